"""lists - revocation lists, whole or broken in any one place, and the server that publishes them.

A list is put together octet by octet (its names and algorithms by asn1crypto), so that a test can write what no
library would.  Nothing of the daemon is used.
"""
import datetime
import email.utils
import hashlib
import http.server
import os
import re
import socket
import threading
import time

from asn1crypto import algos, core
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding

import lab

REASONS = {"unspecified": 0, "keyCompromise": 1, "cACompromise": 2, "affiliationChanged": 3, "superseded": 4,
           "cessationOfOperation": 5, "certificateHold": 6, "removeFromCRL": 8, "privilegeWithdrawn": 9,
           "aACompromise": 10}
REVOKED_AT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=lab.UTC)


# DER

def tlv(tag, *parts):
    body = b"".join(parts)
    n = len(body)
    if n < 128:
        return bytes([tag, n]) + body
    octets = n.to_bytes((n.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def seq(*parts):
    return tlv(0x30, *parts)


def integer(n):
    return core.Integer(n).dump()


def oid(text):
    return core.ObjectIdentifier(text).dump()


def at(seconds):
    """A time so many seconds from now."""
    return lab.now() + datetime.timedelta(seconds=seconds)


def time_der(t):
    """RFC 5280 section 5.1.2.4: UTCTime through 2049, then GeneralizedTime.  Octets are left as they are."""
    if isinstance(t, bytes):
        return t
    if not isinstance(t, datetime.datetime):
        t = at(t)
    if t.year < 2050:
        return tlv(0x17, t.strftime("%y%m%d%H%M%SZ").encode())
    return tlv(0x18, t.strftime("%Y%m%d%H%M%SZ").encode())


def utc_time(text):
    return tlv(0x17, text.encode())


def generalized_time(text):
    return tlv(0x18, text.encode())


def extension(name, value, critical=False):
    return seq(oid(name), tlv(1, b"\xff") if critical else b"", tlv(4, value))


CRL_NUMBER, REASON, INVALIDITY, DELTA = "2.5.29.20", "2.5.29.21", "2.5.29.24", "2.5.29.27"
IDP, CERTIFICATE_ISSUER, AKI, FRESHEST = "2.5.29.28", "2.5.29.29", "2.5.29.35", "2.5.29.46"
NOBODYS = "1.3.6.1.4.1.99999.7"  # an extension that nobody knows


def entry(serial, reason=None, date=REVOKED_AT, extensions=()):
    """One of revokedCertificates.  serial: a number, or the octets of the element."""
    more = list(extensions)
    if reason is not None:
        code = REASONS.get(reason, reason)
        more.insert(0, extension(REASON, tlv(0x0A, bytes([code]))))
    return seq(serial if isinstance(serial, bytes) else integer(serial), time_der(date),
               seq(*more) if more else b"")


def many(first, n, reason=None):
    """n entries with the serials first, first + 1, ... (8 octets), fast."""
    assert 1 << 56 <= first and first + n < 1 << 63
    model = entry(first, reason)
    i = model.index(first.to_bytes(8, "big"))
    before, after = model[:i], model[i + 8:]
    return b"".join(before + (first + k).to_bytes(8, "big") + after for k in range(n))


def idp(*urls, user=None, ca=None, reasons=None, indirect=None, attribute=None, relative=None, critical=True,
        names=()):
    """issuingDistributionPoint (RFC 5280 section 5.2.5) as an extension."""
    def flag(tag, v):
        return b"" if v is None else tlv(tag, b"\xff" if v else b"\x00")
    point = b""
    if urls or names:
        point = tlv(0xA0, tlv(0xA0, *names, *(tlv(0x86, u.encode()) for u in urls)))
    if relative is not None:
        point = tlv(0xA0, tlv(0xA1, relative))
    return extension(IDP, seq(point, flag(0x81, user), flag(0x82, ca), tlv(0x83, reasons) if reasons else b"",
                              flag(0x84, indirect), flag(0x85, attribute)), critical)


# signatures

def algorithm(key, scheme=None):
    """AlgorithmIdentifier for a key: its usual one, or "sha1", "sha384", "pss"."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return seq(oid("1.3.101.112"))
    if scheme == "pss":
        return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": {
            "hash_algorithm": {"algorithm": "sha256"},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": "sha256"}},
            "salt_length": 32}}).dump()
    rsa = hasattr(key, "decrypt")
    name = "%s_%s" % (scheme or "sha256", "rsa" if rsa else "ecdsa")
    a = {"algorithm": name}
    if rsa:
        a["parameters"] = core.Null()
    return algos.SignedDigestAlgorithm(a).dump()


def sign(party, data, scheme=None):
    if isinstance(party.key, ed25519.Ed25519PrivateKey):
        return party.key.sign(data)
    if scheme == "pss":
        return party.key.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    hasher = {"sha1": hashes.SHA1, "sha384": hashes.SHA384, "sha512": hashes.SHA512}.get(scheme, hashes.SHA256)
    return party.sign(data, hasher())


def crl(ca, revoked=(), number=1, this=-60, next=3600, version=1, name=None, signer=None, scheme=None, inner=None,
        outer=None, aki=True, point=None, extensions=(), no_extensions=False, break_signature=False, trailing=b""):
    """The DER of a CertificateList.

    revoked: entries as serials or octets (an element each, or many() as one); None for an empty SEQUENCE.
    number: None for no CRLNumber, octets for the element.  version: None for v1.  this, next: times, seconds from
    now, or octets; next None for none.  name: the issuer's, in DER.  inner, outer: AlgorithmIdentifiers in DER.
    point: an extension made by idp().  extensions: more of them, in DER.
    """
    signer = signer or ca
    exts = []
    if aki:
        exts.append(extension(AKI, seq(tlv(0x80, ca.key_hash("sha1")))))
    if number is not None:
        exts.append(extension(CRL_NUMBER, number if isinstance(number, bytes) else integer(number)))
    if point:
        exts.append(point)
    exts += extensions
    if no_extensions:
        exts = []
    entries = b"" if revoked is None else b"".join(e if isinstance(e, bytes) else entry(e) for e in revoked)
    algo = algorithm(signer.key, scheme)
    tbs = seq(integer(version) if version is not None else b"", inner or algo, name or ca.asn1.subject.dump(),
              time_der(this), b"" if next is None else time_der(next),
              seq(entries) if entries or revoked is None else b"", tlv(0xA0, seq(*exts)) if exts else b"")
    signature = bytearray(sign(signer, tbs, scheme))
    if break_signature:
        signature[-1] ^= 1
    return seq(tbs, outer or algo, tlv(3, b"\x00", bytes(signature))) + trailing


def pem(der):
    import base64
    return (b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(der) + b"-----END X509 CRL-----\n")


def this_update(der):
    """When a list was made, as another library reads it."""
    from cryptography import x509
    return x509.load_der_x509_crl(der).last_update.replace(tzinfo=lab.UTC)


def put(path, data):
    """A file in its place at once, as a CA's tools should do it; its file: URL."""
    with open(path + ".new", "wb") as f:
        f.write(data)
    os.rename(path + ".new", path)
    return "file://" + path


class Shelf:
    """What one path answers with.

    mode: "ok"; "cut" (Content-Length is larger than what comes); "html" (200 and a page); "redirect" (to a path
    that has the list); "hold" (nothing until release()), "close"; or a number: that HTTP status."""

    def __init__(self):
        self.body, self.mode, self.etag, self.dated = b"", "ok", True, True
        self.hits, self.unchanged, self.conditional = 0, 0, []
        self.modified = None
        self.free = threading.Event()

    def release(self):
        self.mode = "ok"
        self.free.set()


class Publisher:
    """A CA's web server for its lists."""

    def __init__(self):
        self.port = lab.free_port()
        self.shelves, self.sockets = {}, set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *a):
                pass

            def setup(self):
                super().setup()
                outer.sockets.add(self.connection)

            def finish(self):
                outer.sockets.discard(self.connection)
                try:
                    super().finish()
                except OSError:
                    pass

            def do_GET(self):
                try:
                    outer.reply(self)
                except OSError:
                    self.close_connection = True

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 256
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass

        self.server = Server(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def url(self, name):
        return "http://127.0.0.1:%d/%s" % (self.port, name)

    def __getitem__(self, name):
        return self.shelves.setdefault(name, Shelf())

    def publish(self, name, body, **how):
        """Answer with body from now on, dated long enough ago to be a validator (RFC 9110 section 8.8.2.2); the
        URL."""
        shelf = self[name]
        shelf.body, shelf.modified = body, email.utils.formatdate(time.time() - 10, usegmt=True)
        for k, v in how.items():
            setattr(shelf, k, v)
        return self.url(name)

    def reply(self, h):
        name = h.path.lstrip("/")
        shelf = self.shelves.get(re.sub("^elsewhere/", "", name))
        if shelf is None:
            h.send_error(404)
            return
        shelf.hits += 1
        given = {k: h.headers[k] for k in ("If-None-Match", "If-Modified-Since") if h.headers[k]}
        shelf.conditional.append(given)
        mode, body = shelf.mode, shelf.body
        if mode == "hold":
            shelf.free.wait(60)
            mode = shelf.mode
        if name.startswith("elsewhere/"):
            mode = "ok"
        if mode == "close":
            h.close_connection = True
        elif mode == "redirect":
            self.send(h, 302, b"", {"Location": self.url("elsewhere/" + name)})
        elif mode == "html":
            self.send(h, 200, b"<!DOCTYPE html><title>Maintenance</title>\n", {"Content-Type": "text/html"})
        elif isinstance(mode, int):
            self.send(h, mode, None if mode in (204, 304) else body)
        elif mode == "cut":
            self.send(h, 200, body[:len(body) * 2 // 3], {"Content-Length": str(len(body))})
            h.close_connection = True
        else:
            self.send_list(h, shelf, body, given)

    def send_list(self, h, shelf, body, given):
        etag = '"%s"' % hashlib.sha256(body).hexdigest()[:16]
        more = {"Content-Type": "application/pkix-crl"}
        if shelf.etag:
            more["ETag"] = etag
        if shelf.dated:
            more["Last-Modified"] = shelf.modified
        same = given.get("If-None-Match") == etag if "If-None-Match" in given else (
            shelf.dated and given.get("If-Modified-Since") == shelf.modified)
        if same and (shelf.etag or shelf.dated):
            shelf.unchanged += 1
            self.send(h, 304, None, more)
        else:
            self.send(h, 200, body, more)

    def send(self, h, status, body, more=None):
        h.send_response(status)
        fields = dict({"Content-Length": str(len(body))} if body is not None else {}, **(more or {}))
        for k, v in fields.items():
            h.send_header(k, v)
        h.end_headers()
        if body:
            h.wfile.write(body)

    def stop(self):
        for s in self.shelves.values():
            s.release()
        self.server.shutdown()
        self.server.server_close()
        for s in list(self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Feed:
    """A CA that publishes lists, and the issuer of it."""

    def __init__(self, box, publisher, name="demo", path=None):
        self.ca, self.name, self.publisher = lab.CA(name + " CA"), name, publisher
        self.path = path or name + ".crl"
        self.url = publisher.url(self.path)
        self.pem = self.ca.write(os.path.join(box, name + "-ca.pem"))
        self.count, self.age = 0, 3000

    def publish(self, entries, **more):
        """The next list; not fetched yet."""
        self.count += 1
        self.age -= 1
        self.publisher.publish(self.path, crl(self.ca, entries, number=self.count, this=-self.age, **more))

    def bring(self, d, entries, **more):
        """The next list, in force when this returns."""
        self.publish(entries, **more)
        d.refresh(self.name)
        d.wait_number(self.url, self.count, self.name)

    def issuer(self, **more):
        return dict({"name": self.name, "certificate": self.pem, "crl": [self.url], "crl-interval": "1h"}, **more)
