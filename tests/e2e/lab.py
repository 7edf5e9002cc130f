"""lab - a CA, its responders and what a client sends: everything around the daemon.

Answers are put together with asn1crypto field by field, so that a test can forge any of them; nothing of the
daemon is used, so that what is expected comes from outside.
"""
import base64
import datetime
import glob
import hashlib
import http.server
import os
import random
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import pytest
from asn1crypto import core, ocsp as aocsp, x509 as ax509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

UTC = datetime.timezone.utc
HASHES = {"sha1": hashlib.sha1, "sha256": hashlib.sha256, "sha384": hashlib.sha384, "sha512": hashlib.sha512}


def now():
    return datetime.datetime.now(UTC).replace(microsecond=0)


def ports():
    """Ports below the ephemeral range, one after the other.  Each process goes through a part of its own: test files
    run at the same time, and a port that was given is bound a moment later only."""
    first = 20000 + os.getpid() % 60 * 200
    while True:
        yield from range(first, first + 200)


PORTS = ports()


def free_port():
    """A port that nobody uses at the moment, and that was not given lately."""
    for port in (next(PORTS) for _ in range(200)):
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def new_key(kind="ec"):
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048) if kind == "rsa" else ec.generate_private_key(ec.SECP256R1())


class Party:
    """A certificate and its key."""

    def __init__(self, cert, key):
        self.cert, self.key = cert, key
        self.serial = cert.serial_number
        self.der = cert.public_bytes(serialization.Encoding.DER)
        self.pem = cert.public_bytes(serialization.Encoding.PEM)
        self.asn1 = ax509.Certificate.load(self.der)

    def write(self, path, with_key=False):
        with open(path, "wb") as f:
            f.write(self.pem)
        if with_key:
            with open(path + ".key", "wb") as f:
                f.write(self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                               serialization.NoEncryption()))
        return path

    def sign(self, data, algorithm=None):
        algorithm = algorithm or hashes.SHA256()
        if isinstance(self.key, rsa.RSAPrivateKey):
            return self.key.sign(data, padding.PKCS1v15(), algorithm)
        return self.key.sign(data, ec.ECDSA(algorithm))

    def algorithm(self, digest="sha256"):
        return {"algorithm": digest + ("_rsa" if isinstance(self.key, rsa.RSAPrivateKey) else "_ecdsa")}


class CA(Party):
    def __init__(self, name="Test CA", kind="ec", key=None, issuer=None, crl_sign=True, key_id=None):
        key = key or new_key(kind)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        b = (x509.CertificateBuilder().subject_name(subject)
             .issuer_name(issuer.cert.subject if issuer else subject).public_key(key.public_key())
             .serial_number(x509.random_serial_number())
             .not_valid_before(now() - datetime.timedelta(days=2)).not_valid_after(now() + datetime.timedelta(days=900))
             .add_extension(x509.BasicConstraints(True, None), True)
             .add_extension(x509.KeyUsage(True, False, False, False, False, True, crl_sign, False, False), True)
             .add_extension(x509.SubjectKeyIdentifier(key_id) if key_id else
                            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False))
        by = issuer.key if issuer else key
        super().__init__(b.sign(by, None if isinstance(by, ed25519.Ed25519PrivateKey) else hashes.SHA256()), key)
        self.statuses = {}  # serial -> keyword arguments of single(); "good" for what issue() made

    def issue(self, name="leaf.example", serial=None, key=None, eku=None, nocheck=False, days=(-1, 800), extra=()):
        key = key or new_key()
        at = now()
        b = (x509.CertificateBuilder()
             .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])).issuer_name(self.cert.subject)
             .public_key(key.public_key()).serial_number(serial or x509.random_serial_number())
             .not_valid_before(at + datetime.timedelta(days=days[0]))
             .not_valid_after(at + datetime.timedelta(days=days[1]))
             .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
             .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), False))
        if eku:
            b = b.add_extension(x509.ExtendedKeyUsage(eku), False)
        if nocheck:
            b = b.add_extension(x509.OCSPNoCheck(), False)
        for e, critical in extra:
            b = b.add_extension(e, critical)
        p = Party(b.sign(self.key, hashes.SHA256()), key)
        self.statuses[p.serial] = {"status": "good"}
        return p

    def delegate(self, name="OCSP signer", **more):
        more.setdefault("eku", [ExtendedKeyUsageOID.OCSP_SIGNING])
        more.setdefault("nocheck", True)
        return self.issue(name, **more)

    def key_hash(self, h="sha1"):
        return HASHES[h](self.asn1.public_key["public_key"].contents[1:]).digest()

    def name_hash(self, h="sha1"):
        return HASHES[h](self.asn1.subject.dump()).digest()

    def certid(self, serial, h="sha1", **instead):
        fields = {
            "hash_algorithm": {"algorithm": h, "parameters": core.Null()},
            "issuer_name_hash": self.name_hash(h), "issuer_key_hash": self.key_hash(h), "serial_number": serial}
        fields.update(instead)
        return aocsp.CertId(fields)


def single(ca, serial, h="sha1", status="good", this=-1, next=3600, revoked_at=None, reason=None, certid=None,
           extensions=None):
    """A SingleResponse; this and next in seconds from now, next None for no nextUpdate."""
    if status == "revoked":
        value = aocsp.CertStatus("revoked", aocsp.RevokedInfo({
            "revocation_time": revoked_at or now() - datetime.timedelta(hours=1),
            **({"revocation_reason": reason} if reason else {})}))
    else:
        value = aocsp.CertStatus(status, core.Null())
    fields = {"cert_id": certid or ca.certid(serial, h), "cert_status": value,
              "this_update": now() + datetime.timedelta(seconds=this)}
    if next is not None:
        fields["next_update"] = now() + datetime.timedelta(seconds=next)
    if extensions:
        fields["single_extensions"] = extensions
    return aocsp.SingleResponse(fields)


def response(ca, singles, signer=None, certs=None, produced=0, responder=None, by_name=False, extensions=None,
             break_signature=False, digest="sha256", sign_as=None, outer=None):
    """The DER of an OCSPResponse by signer (the CA itself when None)."""
    signer = signer or ca
    who = responder or signer
    rid = (aocsp.ResponderId("by_name", who.asn1.subject) if by_name else
           aocsp.ResponderId("by_key", hashlib.sha1(who.asn1.public_key["public_key"].contents[1:]).digest()))
    fields = {"responder_id": rid, "produced_at": now() + datetime.timedelta(seconds=produced),
              "responses": singles}
    if extensions:
        fields["response_extensions"] = extensions
    tbs = aocsp.ResponseData(fields)
    hasher = {"sha1": hashes.SHA1, "sha256": hashes.SHA256}[digest]()
    signature = bytearray((sign_as or signer).sign(tbs.dump(), hasher))
    if break_signature:
        signature[-1] ^= 1
    basic = {"tbs_response_data": tbs, "signature_algorithm": signer.algorithm(digest), "signature": bytes(signature)}
    if certs is None:
        certs = [] if signer is ca else [signer]
    if certs:
        basic["certs"] = [c.asn1 for c in certs]
    return aocsp.OCSPResponse({
        "response_status": outer or "successful",
        "response_bytes": {"response_type": "basic_ocsp_response", "response": aocsp.BasicOCSPResponse(basic)},
    }).dump()


ERRORS = {"malformed_request": 1, "internal_error": 2, "try_later": 3, "sign_required": 5, "unauthorized": 6}


def error(name):
    return bytes([0x30, 3, 0x0A, 1, ERRORS[name]])


def request(ca, serial, h="sha1", nonce=None, extensions=(), certids=None, parameters=True, version=None):
    """The DER of an OCSPRequest."""
    ids = certids or [ca.certid(serial, h)]
    if not parameters:
        for i in ids:
            i["hash_algorithm"] = {"algorithm": h}
    fields = {"request_list": [{"req_cert": i} for i in ids]}
    exts = list(extensions)
    if nonce is not None:
        exts.append({"extn_id": "nonce", "critical": False, "extn_value": core.OctetString(nonce)})
    if exts:
        fields["request_extensions"] = exts
    return aocsp.OCSPRequest({"tbs_request": fields}).dump()


def outcome(der):
    """"good", "revoked", "unknown", or the error in the response's own words."""
    r = aocsp.OCSPResponse.load(der, strict=True)
    status = r["response_status"].native
    if status != "successful":
        return status
    basic = r["response_bytes"]["response"].parsed
    return basic["tbs_response_data"]["responses"][0]["cert_status"].name


def requested(der):
    """The serial that a request asks for."""
    return aocsp.OCSPRequest.load(der)["tbs_request"]["request_list"][0]["req_cert"]["serial_number"].native


def serial_of(der):
    r = aocsp.OCSPResponse.load(der)
    basic = r["response_bytes"]["response"].parsed
    return basic["tbs_response_data"]["responses"][0]["cert_id"]["serial_number"].native


def hostile(world):
    """Answers that must not be served, by name: functions of the serial that is asked for."""
    ca, signer = world.ca, world.signer
    other = CA("other CA")
    other_signer = other.delegate()
    stranger = CA(world.name + " CA")  # the same name, another key
    child = CA("child", issuer=ca)
    plain, expired = ca.issue(), ca.delegate(days=(-20, -1))
    any_eku = ca.delegate(eku=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
    below = child.delegate()
    key = ca.key_hash()
    unknown_critical = [{"extn_id": "1.2.3.4", "critical": True, "extn_value": core.ParsableOctetString(b"\x05\x00")}]

    def one(s, **m):
        return [single(ca, s, **m)]
    return {
        "broken signature": lambda s: response(ca, one(s), signer, break_signature=True),
        "broken signature of the CA": lambda s: response(ca, one(s), break_signature=True),
        "another CA": lambda s: response(ca, one(s), other),
        "another CA's delegate": lambda s: response(ca, one(s), other_signer),
        "a CA of the same name": lambda s: response(ca, one(s), stranger.delegate()),
        "no OCSPSigning": lambda s: response(ca, one(s), plain),
        "anyExtendedKeyUsage": lambda s: response(ca, one(s), any_eku),
        "expired delegate": lambda s: response(ca, one(s), expired),
        "delegate of a sub-CA": lambda s: response(ca, one(s), below, certs=[below, child]),
        "the sub-CA itself": lambda s: response(ca, one(s), child, certs=[child]),
        "no certificate": lambda s: response(ca, one(s), signer, certs=[]),
        "wrong responderID": lambda s: response(ca, one(s), signer, responder=other),
        "another serial": lambda s: response(ca, one(s + 1), signer),
        "another issuer's CertID": lambda s: response(ca, [single(other, s)], signer),
        "another key hash": lambda s: response(ca, one(s, certid=ca.certid(
            s, issuer_key_hash=key[:-1] + bytes([key[-1] ^ 1]))), signer),
        "another hash algorithm": lambda s: response(ca, one(s, h="sha256"), signer),
        "expired": lambda s: response(ca, one(s, this=-7200, next=-10), signer),
        "from the future": lambda s: response(ca, one(s, this=1000, next=3600), signer),
        "made in the future": lambda s: response(ca, one(s), signer, produced=1000),
        "ends before it begins": lambda s: response(ca, one(s, this=-10, next=-20), signer),
        "without nextUpdate": lambda s: response(ca, one(s, next=None), signer),
        "contradicting": lambda s: response(ca, one(s) + one(s, status="unknown"), signer),
        "two certificates": lambda s: response(ca, one(s) + one(s + 1), signer),
        "nothing in it": lambda s: response(ca, [], signer),
        "critical extension": lambda s: response(ca, one(s), signer, extensions=unknown_critical),
        "critical single extension": lambda s: response(ca, one(s, extensions=unknown_critical), signer),
        "cut": lambda s: response(ca, one(s), signer)[:-20],
        "trailing": lambda s: response(ca, one(s), signer) + b"\0",
        "removeFromCRL": lambda s: response(ca, one(s, status="revoked", reason="remove_from_crl"), signer),
        "SHA-1 signature": lambda s: response(ca, one(s), signer, digest="sha1"),
        "signed by the subject": lambda s: response(ca, one(s), plain, certs=[signer]),
        "error status with bytes": lambda s: response(ca, one(s), signer, outer="try_later"),
        "empty": lambda s: b"", "text": lambda s: b"<html>sorry</html>",
    }


class Responder:
    """A responder that does what a test says: counts, delays, fails, lies.

    answer(der, request) -> bytes is what it sends; None (the default) for an honest answer from ca.statuses.
    raw(method, der) -> (HTTP status, Content-Type, body), or None for what it sends otherwise.
    mode: "ok", "500", "close" (accept and close), "hang" (say nothing), "truncate" (Content-Length too large),
    "type" (another Content-Type), "redirect".  headers: more of them.
    """

    def __init__(self, *cas, signer=None, life=3600, this=-1):
        self.cas, self.signer, self.life, self.this = cas, signer, life, this
        self.port = free_port()
        self.url = "http://127.0.0.1:%d/" % self.port
        self.mode, self.delay, self.answer, self.raw, self.headers = "ok", 0, None, None, {}
        self.lock, self.requests, self.methods, self.sockets = threading.Lock(), [], [], set()
        self.running, self.most_running = 0, 0
        self.server = None
        self.start()

    def honest(self, der):
        r = aocsp.OCSPRequest.load(der)["tbs_request"]["request_list"][0]["req_cert"]
        h = r["hash_algorithm"]["algorithm"].native
        for ca in self.cas:
            if r["issuer_key_hash"].native == ca.key_hash(h) and r["issuer_name_hash"].native == ca.name_hash(h):
                s = ca.statuses.get(r["serial_number"].native, {"status": "unknown"})
                s = dict({"this": self.this, "next": self.life}, **s)
                signer = self.signer.get(ca) if isinstance(self.signer, dict) else self.signer
                return response(ca, [single(ca, r["serial_number"].native, h, **s)], signer)
        return error("unauthorized")

    def serials(self):
        return [requested(d) for d in self.requests]

    @property
    def count(self):
        return len(self.requests)

    def start(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # head and body are two writes

            def setup(self):
                super().setup()
                outer.sockets.add(self.connection)

            def finish(self):
                outer.sockets.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    pass

            def log_message(self, *a):
                pass

            def do_POST(self):
                self.serve(self.rfile.read(int(self.headers["Content-Length"])))

            def do_GET(self):
                self.serve(base64.b64decode(urllib.parse.unquote(self.path.rsplit("/", 1)[1])))

            def serve(self, der):
                with outer.lock:
                    outer.requests.append(der)
                    outer.methods.append(self.command)
                    outer.running += 1
                    outer.most_running = max(outer.most_running, outer.running)
                try:
                    outer.reply(self, der)
                except OSError:
                    self.close_connection = True
                finally:
                    with outer.lock:
                        outer.running -= 1

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def reply(self, h, der):
        mode = self.mode  # of the moment when the request came
        if self.delay:
            time.sleep(self.delay)
        if mode == "hang":
            while self.mode == "hang" and self.server:
                time.sleep(0.05)
            h.close_connection = True
            return
        if mode == "close":
            h.close_connection = True
            return
        raw = self.raw(h.command, der) if self.raw else None
        if raw:
            h.send_response(raw[0])
            h.send_header("Content-Type", raw[1])
            h.send_header("Content-Length", str(len(raw[2])))
            h.end_headers()
            h.wfile.write(raw[2])
            return
        body = self.answer(der) if self.answer else self.honest(der)
        if mode == "redirect":
            h.send_response(302)
            h.send_header("Location", self.url + "elsewhere")
            h.send_header("Content-Length", "0")
            h.end_headers()
            return
        h.send_response(500 if mode == "500" else 200)
        h.send_header("Content-Type", "text/html" if mode == "type" else "application/ocsp-response")
        for name, v in self.headers.items():
            h.send_header(name, v)
        h.send_header("Content-Length", str(len(body) + (10 if mode == "truncate" else 0)))
        h.end_headers()
        h.wfile.write(body)
        if mode == "truncate":
            h.close_connection = True

    def stop(self):
        if not self.server:
            return
        self.server.shutdown()
        self.server.server_close()
        self.server = None
        for s in list(self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class OpensslResponder:
    """The real `openssl ocsp -port`, started again whenever it ends: it ends on malformed input."""

    def __init__(self, ca, signer, box, statuses, minutes=5, more=()):
        """statuses: certificate -> "V" or "R"; what is not in it is unknown.  more: options of openssl ocsp."""
        self.port = free_port()
        self.url = "http://127.0.0.1:%d/" % self.port
        index = os.path.join(box, "index.txt")
        with open(index, "w") as f:
            for p, state in statuses.items():
                end = p.cert.not_valid_after.strftime("%y%m%d%H%M%SZ")
                f.write("%s\t%s\t%s\t%s\tunknown\t/CN=x\n" % (
                    state, end, "250101000000Z,keyCompromise" if state == "R" else "",
                    ("%X" % p.serial).rjust(2, "0") if len("%X" % p.serial) % 2 == 0 else "0%X" % p.serial))
        open(index + ".attr", "w").write("unique_subject = no\n")
        self.argv = ["openssl", "ocsp", "-index", index, "-port", str(self.port),
                     "-CA", ca.write(os.path.join(box, "responder-ca.pem")),
                     "-rsigner", signer.write(os.path.join(box, "signer.pem"), True),
                     "-rkey", os.path.join(box, "signer.pem.key"), "-nmin", str(minutes), "-rmd", "sha256", *more]
        self.log_path = os.path.join(box, "openssl-ocsp.log")
        self.log = open(self.log_path, "ab")
        self.wanted, self.process = False, None
        self.start()

    def start(self):
        self.wanted = True
        before = os.path.getsize(self.log_path)
        self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        threading.Thread(target=self.supervise, args=(self.process,), daemon=True).start()
        # Its own word, not a connection: a client that connects and leaves makes it spin for ever.
        wait(lambda: b"waiting for OCSP" in open(self.log_path, "rb").read()[before:], 10, "openssl ocsp")

    def supervise(self, process):
        while self.wanted and process is self.process:
            process.wait()
            if self.wanted and process is self.process:
                self.process = process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=self.log,
                                                          stderr=self.log)

    def stop(self):
        self.wanted = False
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait()


def redis_rights():
    """The line of the recipe that is Redis' word for who we are there, as it stands."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "conf", "recipes", "redis-shared.conf"), encoding="utf-8") as f:
        return re.search(r"(?m)^#\t(user .*)$", f.read()).group(1).split()


class Redis:
    """A private redis-server on a unix socket; durable: what it has said yes to survives kill -9.

    Daemons are the recipe's user there, and what that user was refused fails the test that stops the server."""

    user, password = "ocspcached", "password"

    def __init__(self, box, durable=False, port=0, more=()):
        self.durable, self.more, self.port = durable, more, port  # a replica reaches its master by port
        self.path = os.path.join(box, "r%d.sock" % random.randrange(10**6))
        self.login = "%s:%s@" % (self.user, self.password)
        self.url = "redis+unix://" + self.login + self.path
        self.box = box
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--unixsocket", self.path,
             "--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
             "--dir", self.box, "--appenddirname", "aof-" + os.path.basename(self.path),
             "--loglevel", "warning", "--acllog-max-len", "1000", *self.rights(), *self.more] + (
                 ["--appendonly", "yes", "--appendfsync", "always"] if self.durable else []),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        import redis
        self.client = redis.Redis(unix_socket_path=self.path)

        def up():
            try:
                return self.client.ping()
            except redis.exceptions.RedisError:
                return False
        wait(up, 10, "redis-server")

    def rights(self):
        line = redis_rights()
        return ["--" + line[0], *line[1:]]

    def refused(self):
        """What the recipe's user wanted and may not, and in what: the server's own record."""
        return sorted({"%s (%s)" % (e["object"], e["context"]) for e in self.client.acl_log()
                       if e["username"] == self.user})

    def stop(self, kill=False):
        if self.process.poll() is None:
            refused = self.refused()
            (self.process.kill if kill else self.process.terminate)()
            self.process.wait()
            assert not refused, "Redis has refused the recipe's user: %s" % refused
        if os.path.exists(self.path):
            os.unlink(self.path)

    def keys(self, prefix="ocspcached:"):
        """All of ours: answers (a:), and leases (l:) and marks (f:), which come and go."""
        return sorted(k for k in self.client.keys(prefix + "*"))

    def answers(self):
        return self.keys("ocspcached:a:")


class Monitor:
    """What a server is sent, by MONITOR, and what scripts do there."""

    def __init__(self, box, server):
        self.path = os.path.join(box, "monitor")
        with open(self.path, "wb") as out:
            self.process = subprocess.Popen(["redis-cli", "-s", server.path, "monitor"], stdin=subprocess.DEVNULL, stdout=out)
        wait(lambda: os.path.getsize(self.path), 10, "redis-cli")

    def lines(self):
        with open(self.path, encoding="utf-8", errors="replace") as f:
            return f.read().splitlines()

    def stop(self):
        self.process.terminate()
        self.process.wait()


def connects(port, host="127.0.0.1"):
    try:
        socket.create_connection((host, port), 1).close()
        return True
    except OSError:
        return False


def wait(what, seconds=10, name="that"):
    """Wait until what() is true; its value."""
    end = time.monotonic() + seconds * PATIENCE
    while True:
        value = what()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("waited %g s for %s in vain" % (seconds * PATIENCE, name))
        time.sleep(0.02)


# A sanitized binary is slower; waiting longer for something never makes a test pass that should fail.
PATIENCE = 4 if os.environ.get("SAN") else 1


def tool(name):
    """The path of a program, also of those that only root has in PATH; None where there is none."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def fake_clock(at):
    """Environment that sets the daemon's wall clock: a datetime, or "+1d" and such from now."""
    found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
    if not found:
        pytest.skip("faketime is not installed")
    if os.environ.get("SAN"):
        pytest.skip("faketime and the sanitizers replace the same functions")
    if not isinstance(at, str):
        at = at.strftime("@%Y-%m-%d %H:%M:%S")
    return {"LD_PRELOAD": found[0], "FAKETIME": at, "FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC"}


def read(path):
    """What a file says, without white space around it; "" where there is none."""
    return open(path).read().strip() if os.path.exists(path) else ""


def outcome_end(der):
    """nextUpdate of the first SingleResponse, in seconds since 1970."""
    r = aocsp.OCSPResponse.load(der)["response_bytes"]["response"].parsed
    return r["tbs_response_data"]["responses"][0]["next_update"].native.timestamp()
