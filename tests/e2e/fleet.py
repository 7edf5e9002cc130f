"""fleet - certificates as openssl makes them, and calls of the API about them."""
import datetime
import http.client
import json
import os
import random
import re
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import lab

SERIAL = 0x100000
PEM, NDJSON, CSV = "application/x-pem-file", "application/x-ndjson", "text/csv"


def openssl(*args, **more):
    return subprocess.run(["openssl", *args], check=True, capture_output=True, **more).stdout


class Fleet:
    """A CA's certificates: a file each, with a key of its own.  ca is a Party (lab.py)."""

    def __init__(self, box, ca, name="fleet"):
        self.box = os.path.join(box, name)
        os.mkdir(self.box)
        self.ca = ca.write(os.path.join(self.box, "ca.pem"))
        self.ca_key = ca.write(os.path.join(self.box, "signer"), with_key=True) + ".key"

    def path(self, name):
        return os.path.join(self.box, name)

    def issue(self, serial, *names, days=60, cn="host.example", extensions=()):
        """names are subjectAltNames as openssl takes them; returns the certificate's PEM."""
        base = self.path("%x" % serial)
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                base + ".key", "-out", base + ".csr", "-subj", "/CN=" + cn, "-utf8")
        with open(base + ".ext", "w") as f:
            f.write("authorityKeyIdentifier=keyid\n")
            if names:
                f.write("subjectAltName=%s\n" % ",".join(names))
            f.write("".join(e + "\n" for e in extensions))
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.ca, "-CAkey", self.ca_key, "-set_serial",
                "0x%x" % serial, "-days", str(days), "-extfile", base + ".ext", "-out", base + ".pem")
        return self.pem(serial)

    def pem(self, serial):
        with open(self.path("%x.pem" % serial)) as f:
            return f.read()

    def key(self, serial):
        with open(self.path("%x.key" % serial)) as f:
            return f.read()


def in_memory(d, *needles):
    """Which of these octets are in the daemon's memory."""
    found = set()
    with open("/proc/%d/maps" % d.process.pid) as maps, open("/proc/%d/mem" % d.process.pid, "rb") as mem:
        for m in re.finditer(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps.read(), re.M):
            size = int(m.group(2), 16) - int(m.group(1), 16)
            if size > 1 << 28:  # a sanitizer's shadow
                continue
            mem.seek(int(m.group(1), 16))
            data = mem.read(size)
            found |= {n for n in needles if n in data}
    return found


def line(serial, issuer="demo", **more):
    return json.dumps(dict({"issuer": issuer, "serial": serial if isinstance(serial, str) else "%x" % serial}, **more))


def ndjson(*lines):
    return "".join(x + "\n" for x in lines)


def upload(d, method, name, body, kind=NDJSON, query="", **more):
    return d.api(method, "/v1/watchlists/%s%s" % (name, query), body if isinstance(body, bytes) else body.encode(),
                 headers={"Content-Type": kind}, **more)


def put(d, name, body, kind=NDJSON, query="", **more):
    return upload(d, "PUT", name, body, kind, query, **more)


def watchlist(d, name):
    status, body = d.api("GET", "/v1/watchlists/" + name)
    assert status == 200, body
    return body


def find(d, query, place=""):
    """All certificates of all pages."""
    rows = []
    while place is not None:
        status, body = d.api("GET", "/v1/certificates?%s%s" % (query, "&next=" + place if place else ""))
        assert status == 200, body
        rows += body["certificates"]
        place = body["next"]
    return rows


def serials(rows):
    return [r["serial"] for r in rows]


def bulk(d, body, kind=NDJSON, query="", timeout=30):
    """The lines of POST /v1/status."""
    status, text = d.api("POST", "/v1/status" + query, body if isinstance(body, bytes) else body.encode(),
                         headers={"Content-Type": kind}, timeout=timeout)
    assert status == 200, text
    return [json.loads(x) for x in text.splitlines()]


class Folder:
    """Files as servers have them: a certificate, its key behind it.  Signed by a CA that nobody has configured, or by
    the demo's, whose signatures are verified."""

    def __init__(self, box, ca=None):
        self.path = os.path.join(box, "certs")
        os.mkdir(self.path)
        self.signer = ec.generate_private_key(ec.SECP256R1())
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.key_pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
        self.key_der = self.key.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Fleet CA")])

    def pem(self, serial):
        start = datetime.datetime.utcnow() - datetime.timedelta(hours=1)
        name = "host-%x.example" % serial
        return x509.CertificateBuilder().issuer_name(self.issuer).subject_name(
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])).serial_number(serial).not_valid_before(
            start).not_valid_after(start + datetime.timedelta(days=90)).public_key(
            self.key.public_key()).add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), False).add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.signer.public_key()), False).sign(
            self.signer, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def file(self, name):
        return os.path.join(self.path, name)

    def write(self, name, text):
        """As who renews does: beside it, then in its place."""
        part = os.path.join(os.path.dirname(self.file(name)), ".part")
        with open(part, "w") as f:
            f.write(text)
        os.rename(part, self.file(name))

    def fill(self, n):
        for i in range(n):
            os.makedirs(self.file("%d" % (i % 20)), exist_ok=True)
            self.write("%d/%d.pem" % (i % 20, i), self.pem(SERIAL + i) + self.key_pem)


def count(d, name="web"):
    status, body = d.api("GET", "/v1/watchlists/" + name)
    return body["certificates"] if status == 200 else None


def wait_count(d, n, seconds=15, name="web"):
    lab.wait(lambda: count(d, name) == n, seconds, "%d certificates" % n)


def killed_in_a_put(d, rounds, n, others=(), truth=None):
    """kill -9 anywhere in a PUT: the old list or the new one, on this node and the others: the one that the store has,
    where truth() says how many certificates that are.  Returns how often which."""
    seen, now = {"old": 0, "new": 0}, 0
    bodies = [ndjson(*[line("%x%07x" % (k + 10, i), names=["h%d.k%d.example" % (i, k)]) for i in range(n + k)]).encode()
              for k in (0, 1)]
    start = time.monotonic()
    assert put(d, "web", bodies[0], timeout=60)[0] == 201
    whole = time.monotonic() - start
    for _ in range(rounds):
        def send():
            try:
                put(d, "web", bodies[1 - now], timeout=60)
            except (OSError, http.client.HTTPException):
                pass
        t = threading.Thread(target=send)
        t.start()
        time.sleep(random.uniform(0, whole * 1.1))
        d.kill()
        t.join()
        d.start()
        for node in (d, *others) if truth else ():
            lab.wait(lambda: node.api("GET", "/v1/watchlists/web")[1].get("certificates") == truth(), 30, "the store's list")
        count = watchlist(d, "web")["certificates"]
        assert count in (n, n + 1)
        seen["new" if count == n + (1 - now) else "old"] += 1
        now = count - n
        for node in (d, *others):
            assert len(find(node, "name=h5.k%d.example" % now)) == 1
            assert find(node, "name=h5.k%d.example" % (1 - now)) == []
            assert node.api("GET", "/v1/summary")[1]["certificates"] == count
    return seen
