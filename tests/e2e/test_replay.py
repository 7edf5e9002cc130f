"""What clients put on the wire, byte for byte, of those that are installed here and of those that are not.

The heads were taken down from the programs' own connections (openssl, GnuTLS, nginx, Apache, stunnel, certbot, curl) or
follow what is known of them (Java, Chromium, NSS, strongSwan, FreeRADIUS, hitch, Caddy, dirmngr: R153..R157). All ask
for one certificate: all get the same bytes, and the responder is asked once for each hash algorithm (R2, R12, T12)."""
import base64
import os
import socket
import urllib.parse

import pytest
from asn1crypto import core, ocsp as aocsp, x509 as ax509

import lab
import wire

# Its base64 has all that is special in a URL: runs of '/' and '+', and '=' at the end.
SERIAL = 0x7ffffffffffffffffbefbefbefbefbefbeff
BASIC = {"extn_id": "acceptable_responses", "critical": False,
         "extn_value": core.ParsableOctetString(bytes.fromhex("300b06092b0601050507300101"))}
POST = b"Content-Type: application/ocsp-request\r\nContent-Length: %n\r\n"
UPGRADE = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n"

# name: head (%n the body's length, %p the request's base64 escaped, %r raw, %u raw without padding),
# what is in the request
FORMS = {
    "openssl ocsp": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test\r\n" + POST + b"\r\n", {"nonce": 16}),
    "openssl ocsp -no_nonce -sha256": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test\r\n" + POST + b"\r\n", {"h": "sha256"}),
    "openssl ocsp -proxy": (b"POST http://ocsp.test:80/ HTTP/1.0\r\nHost: ocsp.test\r\n" + POST + b"\r\n", {"nonce": 16}),
    "openssl ocsp -proxy, port 8888": (b"POST http://ocsp.test:8888/ocsp/ HTTP/1.0\r\nHost: ocsp.test\r\n" + POST + b"\r\n", {}),
    "ocsptool": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test\r\nAccept: */*\r\n" + POST + b"Connection: close\r\n\r\n", {}),
    "gnutls-cli": (b"POST / HTTP/1.0\r\nHost: ocsp.test\r\nAccept: */*\r\n" + POST + b"Connection: close\r\n\r\n", {"nonce": 23}),
    "nginx": (b"GET /ocsp/%p HTTP/1.0\r\nHost: ocsp.test\r\n\r\n", {}),
    "nginx, responder without path": (b"GET /%p HTTP/1.0\r\nHost: ocsp.test\r\n\r\n", {}),
    "Apache stapling": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test:80\r\nContent-Type: application/ocsp-request\r\n"
                        b"Connection: close\r\nContent-Length: %n\r\n\r\n", {}),
    "Apache SSLOCSPEnable": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test:8888\r\nContent-Type: application/ocsp-request\r\n"
                             b"Connection: close\r\nContent-Length: %n\r\n\r\n", {"nonce": 16}),
    "Apache SSLOCSPProxyURL": (b"POST http://ocsp.test:80/ HTTP/1.0\r\nHost: ocsp.test:80\r\nContent-Type: "
                               b"application/ocsp-request\r\nConnection: close\r\nContent-Length: %n\r\n\r\n", {}),
    "stunnel": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test\r\nUser-Agent: stunnel\r\n" + POST + b"\r\n", {}),
    "stunnel OCSPnonce": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test\r\nUser-Agent: stunnel\r\n" + POST + b"\r\n", {"nonce": 16}),
    "hitch": (b"POST / HTTP/1.0\r\nHost: ocsp.test\r\n" + POST + b"\r\n", {}),
    "FreeRADIUS": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test:8888\r\n" + POST + b"\r\n", {"nonce": 8}),
    "dirmngr": (b"POST / HTTP/1.0\r\nHost: ocsp.test\r\n" + POST + b"\r\n", {"nonce": 16}),
    "NSS": (b"GET /ocsp/%p HTTP/1.0\r\nHost: ocsp.test:8888\r\n\r\n", {"extensions": [BASIC]}),
    "NSS after a GET that did not please": (b"POST /ocsp/ HTTP/1.0\r\nHost: ocsp.test:8888\r\n" + POST + b"\r\n",
                                            {"extensions": [BASIC]}),
    "Java": (b"GET /ocsp/%p HTTP/1.1\r\nUser-Agent: Java/17.0.18\r\nHost: ocsp.test:8888\r\nAccept: text/html, image/gif, "
             b"image/jpeg, *; q=.2, */*; q=.2\r\nConnection: keep-alive\r\n\r\n", {}),
    "Java, ocspNonce": (b"GET /ocsp/%p HTTP/1.1\r\nUser-Agent: Java/17.0.18\r\nHost: ocsp.test:8888\r\nAccept: text/html, "
                        b"image/gif, image/jpeg, *; q=.2, */*; q=.2\r\nConnection: keep-alive\r\n\r\n", {"nonce": 16}),
    "Java, useget=false": (b"POST /ocsp/ HTTP/1.1\r\nContent-type: application/ocsp-request\r\nUser-Agent: Java/17.0.18\r\n"
                           b"Host: ocsp.test:8888\r\nAccept: text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2\r\n"
                           b"Connection: keep-alive\r\nContent-Length: %n\r\n\r\n", {}),
    "Java, http.proxyHost": (b"GET http://ocsp.test:8888/ocsp/%p HTTP/1.1\r\nUser-Agent: Java/17.0.18\r\nHost: ocsp.test:8888"
                             b"\r\nAccept: */*\r\nProxy-Connection: keep-alive\r\n\r\n", {}),
    "Chromium": (b"GET /ocsp//%p HTTP/1.1\r\nHost: ocsp.test:8888\r\nConnection: keep-alive\r\nPragma: no-cache\r\n"
                 b"Cache-Control: no-cache\r\nUser-Agent: Mozilla/5.0\r\nAccept-Encoding: gzip, deflate\r\n\r\n", {}),
    "Chromium, AIA that is only a slash": (b"GET //%p HTTP/1.1\r\nHost: ocsp.test\r\nConnection: keep-alive\r\n"
                                           b"User-Agent: Mozilla/5.0\r\n\r\n", {}),
    "Chromium, AIA without path": (b"GET /%p HTTP/1.1\r\nHost: ocsp.test\r\nConnection: keep-alive\r\n"
                                   b"User-Agent: Mozilla/5.0\r\n\r\n", {}),
    "Chromium through a proxy": (b"GET http://ocsp.test//%p HTTP/1.1\r\nHost: ocsp.test\r\nProxy-Connection: keep-alive\r\n"
                                 b"User-Agent: Mozilla/5.0\r\n\r\n", {}),
    "certbot": (b"POST / HTTP/1.1\r\nHost: ocsp.test\r\nUser-Agent: python-requests/2.28.1\r\nAccept-Encoding: gzip, deflate, "
                b"br\r\nAccept: */*\r\nConnection: keep-alive\r\n" + POST + b"\r\n", {}),
    "certbot, http_proxy": (b"POST http://ocsp.test/ HTTP/1.1\r\nHost: ocsp.test\r\nUser-Agent: python-requests/2.28.1\r\n"
                            b"Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: keep-alive\r\n" + POST + b"\r\n", {}),
    "Caddy": (b"POST / HTTP/1.1\r\nHost: ocsp.test\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: %n\r\nContent-Type: "
              b"application/ocsp-request\r\nAccept-Encoding: gzip\r\n\r\n", {}),
    "Caddy, HTTP_PROXY": (b"POST http://ocsp.test/ HTTP/1.1\r\nHost: ocsp.test\r\nUser-Agent: Go-http-client/1.1\r\n"
                          b"Content-Length: %n\r\nContent-Type: application/ocsp-request\r\nAccept-Encoding: gzip\r\n\r\n", {}),
    "HAProxy 3.0, ocsp-update.httpproxy": (b"GET http://ocsp.test:80/%p HTTP/1.1\r\nhost: ocsp.test\r\nuser-agent: haproxy\r\n"
                                           b"\r\n", {}),
    "strongSwan": (b"POST /ocsp/ HTTP/1.1\r\nHost: ocsp.test:8888\r\nUser-Agent: strongSwan/5.9.8\r\nAccept: */*\r\n" + POST
                   + b"\r\n", {"nonce": 16, "extensions": [BASIC]}),
    "python3-cryptography and urllib": (b"POST /ocsp/ HTTP/1.1\r\nAccept-Encoding: identity\r\nContent-Type: application/"
                                        b"ocsp-request\r\nContent-Length: %n\r\nHost: ocsp.test:8888\r\nUser-Agent: Python-"
                                        b"urllib/3.11\r\nConnection: close\r\n\r\n", {"h": "sha256", "nonce": 32}),
    "curl": (b"POST /ocsp/ HTTP/1.1\r\nHost: ocsp.test:8888\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n" + POST + b"\r\n", {}),
    "curl --data-binary alone": (b"POST /ocsp/ HTTP/1.1\r\nHost: ocsp.test:8888\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
                                 b"Content-Length: %n\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n", {}),
    "curl --http2": (b"POST /ocsp/ HTTP/1.1\r\nHost: ocsp.test:8888\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n" + UPGRADE
                     + POST + b"\r\n", {}),
    "curl --http2, GET": (b"GET /ocsp/%r HTTP/1.1\r\nHost: ocsp.test:8888\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
                          + UPGRADE + b"\r\n", {}),
    "curl, Expect": (b"POST /ocsp/ HTTP/1.1\r\nHost: ocsp.test:8888\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
                     b"Expect: 100-continue\r\n" + POST + b"\r\n", {}),
    "curl --etag-compare of an empty file": (b"GET /ocsp/%r HTTP/1.1\r\nHost: ocsp.test:8888\r\nUser-Agent: curl/7.88.1\r\n"
                                             b"Accept: */*\r\nIf-None-Match: \"\"\r\n\r\n", {}),
    "curl --http1.0 -x": (b"POST http://ocsp.test/ HTTP/1.0\r\nHost: ocsp.test\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n"
                          b"Proxy-Connection: Keep-Alive\r\n" + POST + b"\r\n", {}),
    "raw base64": (b"GET /%r HTTP/1.1\r\nHost: ocsp.test\r\n\r\n", {}),
    "raw base64 behind a second slash": (b"GET //%r HTTP/1.1\r\nHost: ocsp.test\r\n\r\n", {}),
    "raw base64, no padding": (b"GET /ocsp/%u HTTP/1.1\r\nHost: ocsp.test\r\n\r\n", {}),
    "no Host": (b"GET /%p HTTP/1.0\r\n\r\n", {}),
    "POST without Host": (b"POST / HTTP/1.0\r\nContent-Length: %n\r\n\r\n", {}),
    "absent parameters of the hash": (b"GET /%p HTTP/1.1\r\nHost: ocsp.test\r\n\r\n", {"parameters": False}),
    "names of headers in lower case": (b"POST / HTTP/1.1\r\nhost: ocsp.test\r\ncontent-length: %n\r\n\r\n", {}),
    "a nonce of 32 and AcceptableResponses": (b"POST / HTTP/1.1\r\nHost: ocsp.test\r\n" + POST + b"\r\n",
                                        {"nonce": 32, "extensions": [BASIC]}),
}


def message(form, ca):
    """The bytes that this client sends, and the hash algorithm it asks in."""
    head, what = form
    what = dict(what)
    if "nonce" in what:
        what["nonce"] = os.urandom(what["nonce"])
    der = lab.request(ca, SERIAL, **what)
    raw = base64.b64encode(der)
    head = (head.replace(b"%p", urllib.parse.quote(raw, safe="").encode()).replace(b"%r", raw)
            .replace(b"%u", raw.rstrip(b"=")).replace(b"%n", b"%d" % len(der)))
    return head, der if head.startswith(b"POST") else b"", what.get("h", "sha1")


@pytest.fixture
def d(world, daemons):
    world.ca.statuses[SERIAL] = {"status": "good"}
    made = daemons([world.issuer(ocsp=[world.responder.url, "http://ocsp.test/", "http://ocsp.test:8888/ocsp/"])]).start()
    made.expected = {h: made.ask(world.ca, SERIAL, h).body for h in ("sha1", "sha256")}
    assert [lab.outcome(b) for b in made.expected.values()] == ["good", "good"]
    return made


def answer(c, sent, d, h):
    """Read the answer; it is ours, whole, and the connection goes on exactly where the client thinks it does."""
    r = c.reply()
    while r.status == 100:
        r = c.reply()
    assert (r.status, r["Content-Type"], r["Content-Encoding"]) == (200, "application/ocsp-response", None)
    assert r.body == d.expected[h]
    first = sent.split(b"\r\n")[0]
    if first.endswith(b"HTTP/1.0") or b"Connection: close" in sent:
        assert c.closed()
        return False
    return True


def test_the_serial_has_all_that_is_special_in_a_url(world):
    text = base64.b64encode(lab.request(world.ca, SERIAL)).decode()
    assert "//" in text and "++" in text and text.endswith("=")


@pytest.mark.parametrize("name", FORMS)
def test_form(d, world, name):
    """R1, R2, R13, R18, R19, R21, R24, R26, R31, R35, R36, R37, R38, R85, R117, R118, R154..R157."""
    head, body, h = message(FORMS[name], world.ca)
    for cut in (0, 1, len(head) - 1, len(head), len(head) + len(body) - 1):
        with d.connect() as c:
            c.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            c.send((head + body)[:cut]).send((head + body)[cut:])
            if answer(c, head, d, h):
                assert answer(c.send(head + body), head, d, h)
    # R87, T12: however it is spelt, it is the answer that is there already (R130: Chromium's no-cache comes within
    # revalidate-min of the fetch).
    assert world.responder.count == 2


def test_all_forms_of_one_connection(d, world):
    """R138: those that keep theirs, one behind the other before the first answer is read."""
    sent = [message(f, world.ca) for n, f in FORMS.items() if b"HTTP/1.1" in f[0] and b"Connection: close" not in f[0]]
    assert len(sent) > 20
    with d.connect() as c:
        c.send(b"".join(head + body for head, body, _ in sent * 3))
        for head, _, h in sent * 3:
            assert answer(c, head, d, h)
    assert world.responder.count == 2


def test_chromium_asks_for_two_certificates_on_one_connection(d, world):
    """R157: intermediate first, then leaf."""
    with d.connect() as c:
        for serial in (world.revoked.serial, SERIAL, world.revoked.serial):
            c.send(wire.get(lab.request(world.ca, serial), "/ocsp//"))
            assert lab.serial_of(c.reply().body) == serial


def test_slashes(d, world):
    """R23..R25: one is taken away and no more, and those of the data stay."""
    text = wire.path_of(lab.request(world.ca, SERIAL), "", True)
    for path, status in (("/" + text, 200), ("//" + text, 200), ("///" + text, 404), ("/ocsp/" + text, 200),
                         ("/ocsp//" + text, 200), ("/ocsp///" + text, 404), ("/ocsp" + text, 404), ("/%2F" + text, 404),
                         ("/./" + text, 404), ("/ocsp/../" + text, 404)):
        r = wire.exchange(d.port, ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path).encode())
        assert r.status == status and (status != 200 or r.body == d.expected["sha1"]), path
    r = wire.exchange(d.port, ("GET /%s HTTP/1.1\r\nHost: a\r\n\r\n" % text.replace("//", "/")).encode())
    assert r.outcome == "malformed_request"  # what a front that merges slashes makes of it


def test_padding(d, world):
    """R26."""
    text = wire.path_of(lab.request(world.ca, SERIAL), "", True).rstrip("=")
    for end, outcome in (("", "good"), ("=", "good"), ("==", "good"), ("===", "malformed_request"),
                         ("%3D%3D", "good"), ("%3d=", "good"), ("==A", "malformed_request"), ("=A=", "malformed_request")):
        assert len(text) % 4 == 2
        assert wire.exchange(d.port, ("GET /%s%s HTTP/1.1\r\nHost: a\r\n\r\n" % (text, end)).encode()).outcome == outcome, end


def bare_nonce(ca, octets):
    """asn1crypto does not build it; an extension with an OID of the same length, and then the OID changed."""
    der = lab.request(ca, SERIAL, extensions=[{"extn_id": "1.3.6.1.5.5.7.48.1.99", "critical": False,
                                               "extn_value": core.ParsableOctetString(octets)}])
    stand_in, nonce = bytes.fromhex("06092b06010505073001") + b"\x63", bytes.fromhex("06092b06010505073001") + b"\x02"
    assert der.count(stand_in) == 1
    return der.replace(stand_in, nonce)


@pytest.mark.parametrize("method", [wire.post, wire.get])
def test_nonces_of_every_length(d, world, method):
    """R84, R85, R88: 1 to 128 octets share the answer; 0 and more than 128 are malformed; also where the octets stand
    in the extension without an OCTET STRING of their own."""
    with d.connect() as c:
        for n in range(1, 129):
            nonce = os.urandom(n)
            assert c.send(method(lab.request(world.ca, SERIAL, nonce=nonce))).reply().body == d.expected["sha1"], n
        for n in (0, 129, 130, 500):
            r = c.send(method(lab.request(world.ca, SERIAL, nonce=b"n" * n))).reply()
            assert r.outcome == "malformed_request" and r["Cache-Control"] == "no-store", n
        for n, outcome in ((1, "good"), (8, "good"), (16, "good"), (128, "good"), (0, "malformed_request"),
                           (129, "malformed_request")):
            assert c.send(method(bare_nonce(world.ca, b"n" * n))).reply().outcome == outcome, n
    assert world.responder.count == 2


def test_expect_100_continue(d, world):
    """R36: the answer is that of the body, whatever came before it on the connection."""
    other = lab.request(world.ca, world.revoked.serial)
    head, body, _ = message(FORMS["curl, Expect"], world.ca)
    with d.connect() as c:
        for _ in range(3):
            assert c.send(head).reply().status == 100
            assert c.send(body).reply().body == d.expected["sha1"]
            r = c.send(head.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % len(other))).reply()
            assert r.status == 100
            assert c.send(other).reply().outcome == "revoked"


def test_if_none_match(d, world):
    """R38, R124."""
    der = lab.request(world.ca, SERIAL)
    tag = d.get(der)["ETag"]
    for value, status in (('""', 200), (tag, 304), ("W/" + tag, 304), ('"", ' + tag, 304), ("*", 304), ('"x"', 200),
                          (tag[1:-1], 200), (tag.upper() if tag.lower() == tag else tag.lower(), 200), ("", 200)):
        r = d.get(der, more="If-None-Match: %s\r\n" % value)
        assert r.status == status and r["ETag"] == tag, value
        if status == 200:
            assert r.body == d.expected["sha1"]


def test_head(d, world):
    """R3."""
    der = lab.request(world.ca, SERIAL)
    with d.connect() as c:
        h = c.send(wire.get(der, method="HEAD")).reply(head_only=True)
        g = c.send(wire.get(der)).reply()
        assert h.status == 200 and g.body == d.expected["sha1"]
        assert [x for x in h.headers if x[0] != "Date"] == [x for x in g.headers if x[0] != "Date"] or \
            [n for n, _ in h.headers] == [n for n, _ in g.headers]  # a second may have passed


def test_signed_requests(corpora, d, world):
    """R8, R9: a signature is neither needed nor looked at, whole or broken; nor is who says to have asked."""
    with open(corpora("rustcrypto-x509-ocsp", "ocsp-signed-req.der"), "rb") as f:
        foreign = aocsp.OCSPRequest.load(f.read())
    requests = []
    for signed in (True, False):
        for name in (None, ax509.GeneralName("dns_name", "somebody.example"),
                     ax509.GeneralName("directory_name", world.ca.asn1.subject)):
            r = aocsp.OCSPRequest.load(lab.request(world.ca, SERIAL))
            if name:
                r["tbs_request"]["requestor_name"] = name
            if signed:  # with a signature over something else
                r["optional_signature"] = foreign["optional_signature"]
            requests.append(r.dump(force=True))
    assert len(set(requests)) == 6
    for der in requests:
        assert d.post(der).body == d.expected["sha1"]
        assert d.get(der).body == d.expected["sha1"]
    assert world.responder.count == 2


def test_the_signed_request_of_the_corpora(corpora, responders, daemons):
    """R9, R12, R20: it is understood, and so is the same question in other hashes; an answer to it there is not."""
    folder = corpora("rustcrypto-x509-ocsp")
    responder = responders()
    responder.answer = lambda der: lab.error("unauthorized")
    d = daemons([{"name": "i", "certificate": os.path.join(folder, "rsa-2048-sha256-ca.der"),
                  "ocsp": [responder.url]}]).start()
    for name, asked in (("ocsp-signed-req.der", 1), ("sha1-certid-ocsp-req.der", 1), ("sha256-certid-ocsp-req.der", 2),
                        ("sha384-certid-ocsp-req.der", 3), ("sha512-certid-ocsp-req.der", 4),
                        ("sha224-certid-ocsp-req.der", 4), ("ocsp-signed-req.der", 4)):
        with open(os.path.join(folder, name), "rb") as f:
            der = f.read()
        for way in (d.post, d.get):
            assert way(der).outcome == "unauthorized"
            assert responder.count == asked, name
    assert set(responder.serials()) == {65537}
