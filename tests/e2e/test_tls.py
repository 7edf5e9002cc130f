"""The API off loopback: TLS and a token, or nothing.  The clients are Python's ssl, openssl and ocspctl."""
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess

import pytest

import daemon
import fleet
import lab
from daemon import FAST, Watch
from fleet import line, ndjson
from lists import entry
from token_kit import block


class Site:
    """The API on loopback, and with TLS on every address; names of its certificate: api.example and 127.0.0.1."""

    def __init__(self, box, feed, daemons):
        self.box, self.feed = box, feed
        feed.publish([entry(1)])
        self.fleet = fleet.Fleet(box, feed.ca)
        self.ca = self.fleet.ca
        self.key = self.pair("server", 0xa1, "DNS:api.example", "IP:127.0.0.1")
        self.port = lab.free_port()
        self.d = d = daemons([feed.issuer()], store="lmdb:%s/store" % box, **dict(FAST, position_interval="1s"))
        d.options["api-listen"] = ["127.0.0.1:%d" % d.api_port, "0.0.0.0:%d" % self.port]
        d.options["api-tls-certificate"], d.options["api-tls-private-key"] = self.key
        d.options["api-tls-client-ca"] = self.ca
        self.shown = self.pair("client", 0xa2, "DNS:client.example")
        with open(self.shown[0], "rb") as f:
            der = fleet.openssl("x509", "-outform", "der", input=f.read())
        d.tokens = {"all": block("t-all"), "machine": {"client-certificate": hashlib.sha256(der).hexdigest(),
                                                       "rights": ["read"]}}
        d.token = "t-all"
        d.write()
        d.start()
        d.wait_number(feed.url, feed.count)

    def pair(self, name, serial, *names):
        base = os.path.join(self.box, name)
        with open(base + ".pem", "w") as f:
            pem = self.fleet.issue(serial, *names)
            f.write(pem if isinstance(pem, str) else pem.decode())
        with open(base + ".key", "w") as f:
            f.write(lab.read(self.fleet.path("%x.key" % serial)))
        return base + ".pem", base + ".key"

    def context(self, shown=None):
        x = ssl.create_default_context(cafile=self.ca)
        if shown:
            x.load_cert_chain(*shown)
        return x

    def ask(self, method, path, body=None, token="t-all", shown=None, **headers):
        c = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=15 * lab.PATIENCE, context=self.context(shown))
        try:
            fields = dict(headers, **({"Authorization": "Bearer " + token} if token else {}))
            c.request(method, path, body, fields)
            r = c.getresponse()
            return r.status, r.read()
        finally:
            c.close()

    def stream(self, token="t-all"):
        s = self.context().wrap_socket(socket.create_connection(("127.0.0.1", self.port), 20 * lab.PATIENCE),
                                       server_hostname="api.example")
        s.sendall(("GET /v1/events HTTP/1.1\r\nHost: api.example\r\nAuthorization: Bearer %s\r\n\r\n" % token).encode())
        return s


@pytest.fixture
def site(box, feed, daemons):
    return Site(box, feed, daemons)


def until(s, text):
    got = b""
    while text not in got:
        more = s.recv(65536)
        assert more, got
        got += more
    return got


def test_calls_over_tls(site):
    """T21: the same calls; without a token nothing, by a name of its own nobody."""
    assert json.loads(site.ask("GET", "/v1/issuers")[1])[0]["name"] == "demo"
    for token in (None, "wrong"):
        status, text = site.ask("GET", "/v1/issuers", token=token)
        assert status == 401 and set(json.loads(text)) == {"error"}
    assert site.ask("GET", "/v1/issuers", Host="api.example:443")[0] == 200
    for host in ("localhost", "evil.example", "127.0.0.2", "api.example.evil.example", ""):
        assert site.ask("GET", "/v1/issuers", Host=host)[0] == 403, host
    assert site.ask("GET", "/v1/issuers", Origin="https://api.example")[0] == 403
    # a body of several megabytes, and an answer of as many
    lines = ndjson(*(line(0x1000 + n) for n in range(60000))).encode()
    kind = {"Content-Type": fleet.NDJSON}
    assert site.ask("PUT", "/v1/watchlists/big", lines, **kind)[0] == 201
    status, text = site.ask("POST", "/v1/status", lines, **kind)
    assert status == 200 and len(text.splitlines()) == 60000
    assert any("audit token=all" in x and "from=127.0.0.1" in x for x in site.d.log.splitlines())


def test_a_certificate_in_the_place_of_a_token(site):
    assert site.ask("GET", "/v1/issuers", token=None, shown=site.shown)[0] == 200
    assert site.ask("POST", "/v1/purge", b'{"issuer":"demo"}', token=None, shown=site.shown,
                    **{"Content-Type": "application/json"})[0] == 403
    # another certificate of the CA is not configured; a token that is given counts, and not the certificate
    assert site.ask("GET", "/v1/issuers", token=None, shown=site.key)[0] == 401
    assert site.ask("GET", "/v1/issuers", token="wrong", shown=site.shown)[0] == 401
    # of another CA
    other = lab.CA("other").write(os.path.join(site.box, "other.pem"), with_key=True)
    with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
        site.ask("GET", "/v1/issuers", shown=(other, other + ".key"))


def test_a_stream_over_tls_and_half_open_ones_beside_it(site):
    """T21: 1,000 who connect and say nothing, or a byte at a time, hold no stream up and keep nobody out."""
    s = site.stream()
    until(s, b"\nid: ")
    idle = [socket.create_connection(("127.0.0.1", site.port)) for _ in range(1000)]
    for n, i in enumerate(idle[:100]):
        i.send(b"\x16\x03\x01"[:1 + n % 3])
    site.feed.bring(site.d, [entry(v) for v in (1, 0x77)])
    assert b'"77"' in until(s, b'"77"')
    assert site.ask("GET", "/v1/issuers")[0] == 200
    for i in idle:
        i.close()
    del site.d.tokens["all"]
    site.d.tokens["new"] = block("t-new")
    site.d.write()
    site.d.signal(1)
    while s.recv(65536):  # to its end, which is close_notify
        pass
    assert site.ask("GET", "/v1/issuers")[0] == 401 and site.ask("GET", "/v1/issuers", token="t-new")[0] == 200
    site.d.token = "t-new"


def s_client(site, *options, text=b""):
    return subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % site.port, "-CAfile", site.ca, *options],
                          input=text, capture_output=True, timeout=30 * lab.PATIENCE)


def test_what_is_spoken(site):
    for version in ("-tls1_2", "-tls1_3"):
        r = s_client(site, version, "-alpn", "h2,http/1.1")
        assert b"Verify return code: 0" in r.stdout and b"ALPN protocol: http/1.1" in r.stdout, r
        assert b"New Session Ticket arrived" not in r.stdout
    for refused in (["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"], ["-alpn", "h2"],
                    ["-tls1_2", "-cipher", "AES128-SHA:AES128-GCM-SHA256"]):
        assert b"Cipher is (NONE)" in s_client(site, *refused).stdout, refused
    # RFC 5746: R asks for renegotiation
    r = s_client(site, "-tls1_2", text=b"R\n")
    assert b"RENEGOTIATING" in r.stdout + r.stderr and b"no renegotiation" in r.stdout + r.stderr


@pytest.mark.long
def test_testssl_finds_nothing_above_low(box, site):
    """T21: protocols, ciphers, forward secrecy and vulnerabilities, as testssl.sh judges them."""
    tool = lab.tool("testssl") or lab.tool("testssl.sh")
    if not tool:
        pytest.skip("testssl.sh is not installed (.ci/packages clients)")
    out = os.path.join(box, "testssl.json")
    r = subprocess.run([tool, "-p", "-s", "-f", "-U", "--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none",
                        "--ip", "127.0.0.1", "--jsonfile", out, "api.example:%d" % site.port], stdin=subprocess.DEVNULL,
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900 * lab.PATIENCE)
    assert os.path.exists(out), r.stdout
    with open(out) as f:
        found = {x["id"]: x for x in json.load(f)}
    # it has looked: what is spoken, what is not, and a finding of each group (FS is PFS before 3.2)
    found.setdefault("FS", found.get("PFS"))
    for name in ("TLS1_2", "TLS1_3", "FS", "cipherlist_NULL", "heartbleed", "secure_renego", "secure_client_renego"):
        assert found[name]["severity"] == "OK", (name, found[name], r.stdout)
    for name in ("SSLv2", "SSLv3", "TLS1", "TLS1_1"):
        assert "not offered" in found[name]["finding"], found[name]
    # WARN is what it could not test; engine_problem speaks of its own OpenSSL
    above = [x for x in found.values() if x["severity"] not in ("OK", "INFO", "LOW") and x["id"] != "engine_problem"]
    assert not above, (above, r.stdout)


def test_a_reload_takes_another_certificate(site):
    before = ssl.get_server_certificate(("127.0.0.1", site.port))
    site.pair("server", 0xa9, "DNS:api.example", "IP:127.0.0.1")
    site.d.reload()
    lab.wait(lambda: ssl.get_server_certificate(("127.0.0.1", site.port)) != before, 10, "the new one")
    assert site.ask("GET", "/v1/issuers")[0] == 200
    site.d.options["api-host"] = ["fleet.example"]
    site.d.write()
    site.d.reload()
    assert site.ask("GET", "/v1/issuers", Host="fleet.example")[0] == 200


def test_without_tls_or_a_token_it_does_not_start(site):
    d = site.d
    tokens, certificate = d.tokens, d.options.pop("api-tls-certificate")
    d.write()
    assert daemon.check(d.conf, "-t").returncode == 2
    d.options["api-tls-certificate"] = certificate
    d.tokens = {}
    d.write()
    r = daemon.check(d.conf, "-t")
    assert r.returncode == 2 and "ocspctl token" in r.stderr
    d.signal(1)  # nor is that reloaded
    lab.wait(lambda: "config_error" in d.log or "reload_failed" in d.log, 10, "the refusal")
    assert site.ask("GET", "/v1/issuers", token=None)[0] == 401
    d.tokens = tokens


def test_watch_over_tls_goes_on_after_a_restart(box, site, started):
    """R145: printed, run, and none twice or never when the daemon goes and comes."""
    d, out, place, token = site.d, os.path.join(box, "out"), os.path.join(box, "place"), os.path.join(box, "token")
    with open(token, "w") as f:
        f.write("t-all\n")
    reach = {"OCSPCTL_URL": "https://127.0.0.1:%d" % site.port}
    options = ["--ca", site.ca, "--token-file", token]
    printed = started(Watch(None, "demo", options=options, **reach))
    run = started(Watch(None, "--exec", "echo $OCSP_SERIAL $OCSP_STATUS >>" + out, "--place", place, options=options,
                        **reach))
    lab.wait(lambda: d.metric("subscribers") == 2, 10, "both")
    lab.wait(lambda: lab.read(place), 10, "a place")
    site.feed.bring(d, [entry(1), entry(0xAB)])
    lab.wait(lambda: len(printed.out) == 1 and lab.read(out) == "ab revoked", 10, "the first")
    d.stop()
    site.feed.publish([entry(1), entry(0xAB), entry(0xCD)])
    d.start()  # finds the new list itself
    lab.wait(lambda: len(printed.out) == 2 and lab.read(out).splitlines() == ["ab revoked", "cd revoked"], 30, "the second")
    # and with another certificate, which it verifies anew
    site.pair("server", 0xaa, "DNS:api.example", "IP:127.0.0.1")
    d.stop()
    site.feed.publish([entry(v) for v in (1, 0xAB, 0xCD, 0xEF)])
    d.start()
    lab.wait(lambda: len(printed.out) == 3 and len(lab.read(out).splitlines()) == 3, 30, "the third")
    assert [x.split()[1] for x in printed.out] == ["ab", "cd", "ef"]
    assert run.stop() == 0 and printed.stop() == 0


def test_ocspctl_over_tls(box, site):
    path = os.path.join(box, "token")
    with open(path, "w") as f:
        f.write("t-all\n")
    url = "https://127.0.0.1:%d" % site.port
    run = lambda *more: subprocess.run([daemon.CLIENT, *more], capture_output=True, text=True,  # noqa: E731
                                       env=dict(os.environ, OCSPCTL_URL=url), timeout=30 * lab.PATIENCE)
    assert run("--ca", site.ca, "--token-file", path, "status", "demo", "1").returncode == 1
    assert run("--token-file", path, "status").returncode == 69  # a CA that the system does not know
    assert run("--ca", site.ca, "status").returncode == 64
