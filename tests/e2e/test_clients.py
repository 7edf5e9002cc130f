"""The programs that people have, against the daemon: good is accepted, revoked is refused, the bytes are the CA's.

What each one sends and expects: CLIENTS.md, REQUIREMENTS.md A12 (R153..R159) and E; R116..R118 and R14 are what they
fail on when it is not so."""
import os
import re

import pytest

import clients
import lab
import wire


@pytest.fixture
def site(box, responders):
    return clients.Site(box, responders)


@pytest.fixture
def d(site, daemons):
    return clients.front(site, daemons)


@pytest.fixture
def started():
    yield from clients.kept()


def ours(d, site, leaf, h="sha1"):
    """What the daemon serves for leaf."""
    return d.post(lab.request(site.sub, leaf.serial, h), "/ocsp/").body


# openssl ocsp: POST HTTP/1.0, Host without port, a nonce unless told not to. It has no GET.

def openssl(site, leaf, *options, sha=(), env=None):
    out = site.path("respout.der")
    r = clients.run("openssl", "ocsp", "-timeout", "10", "-issuer", site.sub_pem, *sha, "-cert",
                    site.path(leaf.name + ".pem"), "-CAfile", site.bundle, "-respout", out, *options, env=env)
    m = re.search(r"%s\.pem: (\w+)" % leaf.name, r.stdout)
    assert r.returncode == 0 and m and "Response verify OK" in r.stderr, r.stdout + r.stderr
    return m.group(1), open(out, "rb").read()


def test_openssl(d, site):
    """R31, R85."""
    real = "http://%s:8888/ocsp/" % clients.AIA_HOST  # a port that Host does not repeat
    for status in ("good", "revoked", "unknown"):
        leaf = site.leaf(status, status)
        for sha, h in (((), "sha1"), (("-sha256",), "sha256")):
            for options, env in ((("-url", d.url), None), (("-url", d.url, "-no_nonce"), None),
                                 (("-url", real, "-proxy", d.proxy), None), (("-url", real), {"http_proxy": d.proxy}),
                                 (("-url", "http://%s/" % clients.AIA_HOST, "-proxy", d.proxy), None)):
                assert openssl(site, leaf, *options, sha=sha, env=env) == (status, ours(d, site, leaf, h)), options


# GnuTLS: POST HTTP/1.0, Host without port; the status code is not looked at.

def ocsptool(site, d, leaf, *options):
    """Its exit code, what it says, and the response that it writes behind a text."""
    out = site.path("ocsptool.out")
    r = clients.run("ocsptool", *options, "--ask=" + d.url, "--load-cert", site.path(leaf.name + ".pem"),
                    "--load-issuer", site.sub_pem, "--load-trust", site.sub_pem, "--outder", "--outfile", out)
    written = b""
    if os.path.exists(out):  # it is taken away when the answer does not please
        with open(out, "rb") as f:
            written = f.read()
    return r.returncode, r.stdout + r.stderr + written.decode("latin-1"), written


def test_ocsptool(d, site):
    """R155."""
    clients.need("ocsptool")
    for status in ("good", "revoked"):
        leaf = site.leaf(status, status)
        code, text, written = ocsptool(site, d, leaf)
        assert code == 0 and "Certificate Status: " + status in text and "Success" in text, text
        assert ours(d, site, leaf) in written
    # Its nonce is compared, and the CA's signed answer has none (nonce = "ignore").
    code, text, _ = ocsptool(site, d, leaf, "--nonce")
    assert code == 1, text


def test_gnutls_cli(d, site, started):
    """R155: it asks where each certificate's AIA says, always with a nonce; ours comes back without one."""
    clients.need("gnutls-cli")
    for status, code in (("good", 0), ("revoked", 1)):
        leaf = site.leaf(status, status, url=d.url)
        server = started(clients.TlsServer(site, leaf))
        r = clients.run("gnutls-cli", "--ocsp", "--x509cafile", site.root_pem, "-p", str(server.port), "localhost")
        text = r.stdout + r.stderr
        assert r.returncode == code, text
        assert ("not revoked" if status == "good" else "Certificate was revoked") in text, text
        assert status != "good" or "OCSP: verified 2 certificate(s)" in text, text
    assert set(site.responder.serials()) >= {leaf.serial, site.sub.serial}


# nginx: GET HTTP/1.0, percent-encoded, Host without port, no nonce (R144).

def test_nginx_staples_our_bytes(d, site, started):
    leaf = site.leaf("site")
    n = started(clients.Nginx(site, """
        ssl_certificate %s; ssl_certificate_key %s; ssl_stapling on; ssl_stapling_verify on;
        ssl_trusted_certificate %s; ssl_stapling_responder %s; location / { return 204; }"""
                              % (site.path("site.chain"), site.path("site.key"), site.bundle, d.url)))
    got = lab.wait(lambda: clients.staple(n.port), 15, "the staple")
    assert got == ours(d, site, leaf) and lab.outcome(got) == "good"
    # R14: curl looks for the SHA-1 CertID in it.
    r = clients.run("curl", "-sS", "--cacert", site.root_pem, "--cert-status", "--resolve",
                    "localhost:%d:127.0.0.1" % n.port, "https://localhost:%d/" % n.port)
    assert r.returncode == 0, r.stderr
    assert d.metric("http_errors_total") == 0


def test_nginx_does_not_staple_revoked(d, site, started):
    """P35, R145: its rule; the front must go on for others."""
    leaf = site.leaf("site", "revoked")
    n = started(clients.Nginx(site, """
        ssl_certificate %s; ssl_certificate_key %s; ssl_stapling on; ssl_stapling_verify on;
        ssl_trusted_certificate %s; ssl_stapling_responder %s; location / { return 204; }"""
                              % (site.path("site.chain"), site.path("site.key"), site.bundle, d.url)))
    assert clients.staple(n.port) is None
    lab.wait(lambda: "certificate status \"revoked\"" in n.log, 10, "nginx to say so")
    assert clients.staple(n.port) is None
    assert lab.outcome(ours(d, site, leaf)) == "revoked"


@pytest.mark.parametrize("mode", ["on", "leaf"])
def test_nginx_checks_client_certificates(d, site, started, mode):
    """With "on" it asks for leaf and intermediate at one URL: the issuer is found by CertID alone."""
    site.leaf("site")
    n = started(clients.Nginx(site, """
        ssl_certificate %s; ssl_certificate_key %s; ssl_client_certificate %s; ssl_verify_client on; ssl_verify_depth 3;
        ssl_ocsp %s; ssl_ocsp_responder %s; ssl_ocsp_cache shared:oc:1m; location / { return 204; }"""
                              % (site.path("site.chain"), site.path("site.key"), site.root_pem, mode, d.url)))
    good, revoked = site.leaf("good"), site.leaf("revoked", "revoked")
    for _ in range(2):
        assert site.visit(n.port, good).startswith("HTTP/1.1 204")
        assert site.visit(n.port, revoked).startswith("HTTP/1.1 400")
    asked = site.responder.serials()
    assert asked.count(good.serial) == 1 and asked.count(revoked.serial) == 1
    assert asked.count(site.sub.serial) == (1 if mode == "on" else 0)


def test_nginx_refuses_clients_of_a_revoked_intermediate(d, site, started):
    site.leaf("site")
    site.root.statuses[site.sub.serial] = {"status": "revoked", "reason": "ca_compromise"}
    n = started(clients.Nginx(site, """
        ssl_certificate %s; ssl_certificate_key %s; ssl_client_certificate %s; ssl_verify_client on; ssl_verify_depth 3;
        ssl_ocsp on; ssl_ocsp_responder %s; location / { return 204; }"""
                              % (site.path("site.chain"), site.path("site.key"), site.root_pem, d.url)))
    assert site.visit(n.port, site.leaf("good")).startswith("HTTP/1.1 400")


# Apache: POST HTTP/1.0, Host always with a port.

def apache_tls(site, name="site"):
    return "SSLCertificateFile %s\nSSLCertificateKeyFile %s\n" % (site.path(name + ".chain"), site.path(name + ".key"))


def test_apache_staples_our_bytes(d, site, started):
    """R118; unlike nginx it staples a revocation too (R145), and curl refuses the site for it."""
    for status, code in (("good", 0), ("revoked", 91)):
        leaf = site.leaf("site", status)
        a = started(clients.Apache(
            site, "SSLStaplingCache shmcb:stapling(32768)\n", apache_tls(site) + "SSLUseStapling on\n"
            "SSLStaplingForceURL %s\nSSLStaplingReturnResponderErrors off\n" % d.url))
        got = clients.staple(a.port)
        assert got == ours(d, site, leaf) and lab.outcome(got) == status
        r = clients.run("curl", "-sS", "--cacert", site.root_pem, "--cert-status", "--resolve",
                        "localhost:%d:127.0.0.1" % a.port, "https://localhost:%d/" % a.port)
        assert r.returncode == code, r.stderr
    assert d.metric("http_errors_total") == 0


def test_apache_checks_client_certificates_through_its_proxy_option(d, site, started):
    """R31: "POST http://ocsp.test:80/ HTTP/1.0". The CA file has to hold the answer's issuer, not the root alone."""
    site.leaf("site")
    tap = started(clients.Tap(d.port))
    a = started(clients.Apache(site, "", apache_tls(site) + """SSLCACertificateFile %s
SSLVerifyClient require
SSLVerifyDepth 3
SSLOCSPEnable leaf
SSLOCSPUseRequestNonce off
SSLOCSPProxyURL http://127.0.0.1:%d
""" % (site.bundle, tap.port)))
    good, revoked = site.leaf("good"), site.leaf("revoked", "revoked")
    for _ in range(2):
        assert site.visit(a.port, good).startswith("HTTP/1.1 204")
        assert site.visit(a.port, revoked) is None
    assert tap.seen and all(s.startswith(b"POST http://ocsp.test:80/ HTTP/1.0\r\n") for s in tap.seen), tap.seen


def test_apache_asks_for_leaf_and_intermediate_at_one_url(d, site, started):
    site.leaf("site")
    a = started(clients.Apache(site, "", apache_tls(site) + """SSLCACertificateFile %s
SSLVerifyClient require
SSLVerifyDepth 3
SSLOCSPEnable on
SSLOCSPUseRequestNonce off
SSLOCSPOverrideResponder on
SSLOCSPDefaultResponder %s
""" % (site.bundle, d.url)))
    good, revoked = site.leaf("good"), site.leaf("revoked", "revoked")
    for _ in range(2):
        assert site.visit(a.port, good).startswith("HTTP/1.1 204")
        assert site.visit(a.port, revoked) is None
    asked = site.responder.serials()
    assert {good.serial, revoked.serial, site.sub.serial} <= set(asked) and len(asked) == len(set(asked))


def test_apache_refuses_everybody_when_its_own_nonce_is_ignored(d, site, started):
    """Its default; SSLOCSPUseRequestNonce off, or nonce = "forward", is the remedy."""
    site.leaf("site")
    a = started(clients.Apache(site, "", apache_tls(site) + """SSLCACertificateFile %s
SSLVerifyClient require
SSLVerifyDepth 3
SSLOCSPEnable leaf
SSLOCSPOverrideResponder on
SSLOCSPDefaultResponder %s
""" % (site.bundle, d.url)))
    assert site.visit(a.port, site.leaf("good")) is None
    assert "AH01924" in a.log


# stunnel: POST HTTP/1.0, leaf and intermediate to one URL.

@pytest.mark.parametrize("by", ["OCSP", "OCSPaia"])
def test_stunnel_checks_client_certificates(d, site, started, by):
    server = site.leaf("site")
    options = "OCSP = %s" % d.url if by == "OCSP" else "OCSPaia = yes"
    s = started(clients.Stunnel(site, server, options, d.port))
    good, revoked = site.leaf("good", url=d.url), site.leaf("revoked", "revoked", url=d.url)
    for _ in range(2):
        assert site.visit(s.port, good) == "HTTP/1.1 200 OK"  # of the daemon behind it
        assert site.visit(s.port, revoked) is None
    assert "OCSP: Certificate accepted" in s.log and "revoked" in s.log.lower()


def test_stunnel_refuses_everybody_when_its_own_nonce_is_ignored(d, site, started):
    s = started(clients.Stunnel(site, site.leaf("site"), "OCSP = %s\nOCSPnonce = yes" % d.url, d.port))
    assert site.visit(s.port, site.leaf("good")) is None
    assert "nonce" in s.log


# nonce = "forward": those that insist on their nonce get it back from the CA (R64, R87).

@pytest.fixture
def forward(site, daemons):
    site.responder.answer = site.echo
    made = daemons(site.issuers(nonce="forward"), listen=["127.0.0.1:%d" % site.port])
    made.port, made.url = site.port, site.url
    return made.start()


def test_openssl_with_its_nonce(forward, site):
    for status in ("good", "revoked"):
        leaf = site.leaf(status, status)
        r = clients.run("openssl", "ocsp", "-timeout", "10", "-issuer", site.sub_pem, "-cert", site.path(status + ".pem"),
                        "-CAfile", site.bundle, "-url", forward.url)
        assert "%s.pem: %s" % (leaf.name, status) in r.stdout and r.stderr.strip() == "Response verify OK", r.stderr


def test_ocsptool_with_its_nonce(forward, site):
    clients.need("ocsptool")
    for status in ("good", "revoked"):
        code, text, _ = ocsptool(site, forward, site.leaf(status, status), "--nonce")
        assert code == 0 and "Certificate Status: " + status in text and "Success" in text, text


def test_apache_with_its_nonce(forward, site, started):
    """Its defaults, leaf and intermediate."""
    site.leaf("site")
    a = started(clients.Apache(site, "", apache_tls(site) + """SSLCACertificateFile %s
SSLVerifyClient require
SSLVerifyDepth 3
SSLOCSPEnable on
SSLOCSPOverrideResponder on
SSLOCSPDefaultResponder %s
""" % (site.bundle, forward.url)))
    good, revoked = site.leaf("good"), site.leaf("revoked", "revoked")
    for _ in range(2):
        assert site.visit(a.port, good).startswith("HTTP/1.1 204")
        assert site.visit(a.port, revoked) is None
    assert site.responder.serials().count(good.serial) == 2  # each asks the CA, with a nonce of its own


def test_stunnel_with_its_nonce(forward, site, started):
    s = started(clients.Stunnel(site, site.leaf("site"), "OCSP = %s\nOCSPnonce = yes" % forward.url, forward.port))
    assert site.visit(s.port, site.leaf("good")) == "HTTP/1.1 200 OK"
    assert site.visit(s.port, site.leaf("revoked", "revoked")) is None


# HAProxy 2.6 asks nobody: it is handed what we serve, over its socket (R55, R141).

def test_haproxy_takes_what_we_serve(d, site, started):
    clients.need("socat")
    leaf, other = site.leaf("site"), site.leaf("other")
    with open(site.path("site.all.ocsp"), "wb"):
        pass  # the empty file that makes a slot for the response
    h = started(clients.Haproxy(site, """
frontend tls
    bind 127.0.0.1:%%(port)d ssl crt %s
    http-request return status 204
""" % site.path("site.all")))
    assert clients.staple(h.port) is None
    served = ours(d, site, leaf)
    assert "OCSP Response updated!" in h.command(clients.set_ocsp(served))
    assert clients.staple(h.port) == served
    listing = h.command("show ssl ocsp-response")
    assert "%040x" % leaf.serial in listing.lower() or "%x" % leaf.serial in listing.lower(), listing
    # What is not for its certificate, or not in its hash, it does not take.
    for der in (ours(d, site, other), ours(d, site, leaf, "sha256"), lab.error("try_later")):
        assert "updated" not in h.command(clients.set_ocsp(der))
    assert clients.staple(h.port) == served
    # A revocation is a new response to hand on; clients that look at the staple see it.
    site.sub.statuses[leaf.serial] = {"status": "revoked", "reason": "key_compromise"}
    assert d.api("POST", "/v1/refresh", {"issuer": "sub", "serial": "%x" % leaf.serial})[0] == 202
    revoked = lab.wait(lambda: lab.outcome(ours(d, site, leaf)) == "revoked" and ours(d, site, leaf), 10, "revoked")
    assert "OCSP Response updated!" in h.command(clients.set_ocsp(revoked))
    assert clients.staple(h.port) == revoked


# certbot: requests, POST HTTP/1.1, keep-alive; it soft-fails to False, so that False alone proves nothing.

CERTBOT = """
import logging, sys
from certbot.ocsp import RevocationChecker
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
checker = RevocationChecker(enforce_openssl_binary_usage=sys.argv[3] == "openssl")
print(checker.ocsp_revoked_by_paths(sys.argv[1], sys.argv[2]))
"""


@pytest.mark.parametrize("way", ["python", "openssl"])
def test_certbot(d, site, way):
    """R14, R31: through http_proxy. Its openssl way goes straight and to a URL without path: certbot 2.1 cannot give
    OpenSSL 3 a proxy, and of "http://host/ocsp/" it makes "Host: host/ocsp", which is no Host (400)."""
    if not os.path.isdir("/usr/lib/python3/dist-packages/certbot"):
        pytest.skip("certbot is not installed")
    for status, expected in (("good", "False"), ("revoked", "True")):
        more = {} if way == "python" else {"url": d.proxy}
        leaf = site.leaf(status, status, **more)
        r = clients.run("/usr/bin/python3", "-c", CERTBOT, site.path(status + ".pem"), site.bundle, way,
                        env={"http_proxy": d.proxy} if way == "python" else None)
        # It tells of failures on its log, and of nothing else.
        assert r.stdout.split() == [expected] and r.stderr == "", r.stdout + r.stderr
        assert site.responder.serials()[-1] == leaf.serial


# curl, for scripts.

def curl(*options):
    r = clients.run("curl", "-sS", "--max-time", "20", "-w", "%{http_code} %{http_version} %{content_type} %{num_connects}",
                    *options)
    assert r.returncode == 0, r.stderr
    return r.stdout.split()


def test_curl(d, site):
    """R36, R37, R124."""
    leaf = site.leaf("leaf")
    der, out, tag = lab.request(site.sub, leaf.serial), site.path("out"), site.path("etag")
    request = site.path("req.der")
    with open(request, "wb") as f:
        f.write(der)
    expected = ours(d, site, leaf)
    post = ("--data-binary", "@" + request, "-H", "Content-Type: application/ocsp-request", "-o", out)
    there = "http://%s/" % clients.AIA_HOST
    for options in ((*post, d.url), (*post, "-H", "Expect: 100-continue", d.url), (*post, "--http2", d.url),
                    (*post, "-x", d.proxy, there), (*post, "-x", d.proxy, "--http2", there),
                    (*post, "-H", "Transfer-Encoding: chunked", d.url), (*post, "--compressed", d.url),
                    ("-o", out, d.url + wire.path_of(der, "")), ("-o", out, d.url + wire.path_of(der, "", True)),
                    ("-o", out, "-x", d.proxy, there + wire.path_of(der, ""))):
        code, version, kind, _ = curl(*options)
        assert (code, version, kind) == ("200", "1.1", "application/ocsp-response"), options
        assert open(out, "rb").read() == expected, options
        os.unlink(out)
    for options in ((*post, "--http1.0", d.url), (*post, "--http1.0", "-x", d.proxy, there)):
        code, _, kind, _ = curl(*options)
        assert (code, kind) == ("200", "application/ocsp-response") and open(out, "rb").read() == expected


def test_curl_asks_only_for_what_is_new(d, site):
    """R38, R123, R124: --etag-compare with no tag yet, then with ours, then after a change."""
    leaf = site.leaf("leaf")
    url, out, tag = d.url + wire.path_of(lab.request(site.sub, leaf.serial), ""), site.path("out"), site.path("etag")
    with open(tag, "wb"):
        pass  # empty: it sends If-None-Match: ""
    assert curl("--etag-compare", tag, "--etag-save", tag, "-o", out, url)[0] == "200"
    assert open(out, "rb").read() == ours(d, site, leaf) and open(tag).read().startswith('"')
    os.unlink(out)
    for _ in range(3):
        assert curl("--etag-compare", tag, "--etag-save", tag, "-o", out, url)[0] == "304"
        assert not os.path.exists(out) or os.path.getsize(out) == 0
    site.sub.statuses[leaf.serial] = {"status": "revoked"}
    assert d.api("POST", "/v1/refresh", {"issuer": "sub", "serial": "%x" % leaf.serial})[0] == 202
    lab.wait(lambda: lab.outcome(ours(d, site, leaf)) == "revoked", 10, "the change")
    assert curl("--etag-compare", tag, "--etag-save", tag, "-o", out, url)[0] == "200"
    assert lab.outcome(open(out, "rb").read()) == "revoked"


def test_curl_keeps_its_connection(d, site):
    """HTTP/1.1 keep-alive over hits, misses, 304 and a refused path."""
    url = d.url + wire.path_of(lab.request(site.sub, site.leaf("leaf").serial), "")
    r = clients.run("curl", "-sS", "-w", "%{http_code} %{num_connects}\n", "-o", os.devnull, url, "-o", os.devnull, url,
                    "-o", os.devnull, "http://127.0.0.1:%d/nothing" % d.port, "-o", os.devnull, url)
    assert r.stdout.split() == ["200", "1", "200", "0", "404", "0", "200", "0"] or \
        r.stdout.split() == ["200", "1", "200", "0", "404", "0", "200", "1"], r.stdout
