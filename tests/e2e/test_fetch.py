"""How responders and lists are fetched: codings that nobody asked for, proxies, private CAs of servers."""
import gzip
import json
import os
import types
import zlib

import pytest

import clients
import egress
import lab
import wire
from lists import crl


def gz(path, data):
    """A file that nginx's gzip_static sends, in its place at once."""
    with open(path + ".new", "wb") as f:
        f.write(gzip.compress(data))
    os.rename(path + ".new", path + ".gz")


def test_a_list_that_nginx_codes_whatever_is_asked_for(box, daemons):
    """gzip_static always: Accept-Encoding is not looked at.  Validators and mirror are those of a list (R112)."""
    ca = lab.CA("demo CA")
    first, second = (crl(ca, range(1, 200), number=n, this=n - 60) for n in (1, 2))
    path = os.path.join(box, "ca.crl")
    gz(path, first)
    os.utime(path + ".gz", (10**9, 10**9))
    nginx = clients.Nginx(types.SimpleNamespace(box=box), "gzip_static always; root %s;" % box, tls=False)
    try:
        url = "http://127.0.0.1:%d/ca.crl" % nginx.port
        d = daemons([{"name": "demo", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": [url],
                      "crl-interval": "100ms"}]).start()
        d.wait_number(url, 1)
        c = wire.exchange(d.port, b"GET /crl/demo.crl HTTP/1.1\r\nHost: x\r\nAccept-Encoding: gzip\r\n\r\n")
        assert (c.status, c.body) == (200, first) and c["Content-Encoding"] is None, c
        before = d.crls()[url]["fetched_at"]
        lab.wait(lambda: d.crls()[url]["fetched_at"] != before, name="another look")
        assert d.crls()[url]["last_error"] is None
        gz(path, second)
        d.wait_number(url, 2)
        with open(path + ".gz", "r+b") as f:  # cut off inside the coding: a whole HTTP answer
            f.truncate(os.path.getsize(path + ".gz") // 2)
        lab.wait(lambda: d.crls()[url]["last_error"], name="the refusal")
        assert d.number(url) == "2"
    finally:
        nginx.stop()


def test_an_answer_that_is_coded_is_served_as_it_was_signed(world, daemons):
    """Octet for octet what the responder coded; by GET and by POST (R67)."""
    d = daemons([world.issuer(ocsp=[world.responder.url + "x" * 240])]).start()
    sent = {}

    def coded(how):
        def answer(der):
            sent["body"] = world.responder.honest(der)
            return how(sent["body"])
        return answer
    for coding, how, party in (("gzip", gzip.compress, world.good), ("deflate", zlib.compress, world.revoked)):
        world.responder.headers, world.responder.answer = {"Content-Encoding": coding}, coded(how)
        r = d.ask(world.ca, party.serial)
        assert r.body == sent["body"] and r["Content-Encoding"] is None
    assert world.responder.methods == ["POST", "POST"]


def test_a_bomb_is_cut_off_at_the_decoded_size(world, daemons):
    """16 MB of zeros in 16 KB: response-max-size counts what comes out."""
    bomb = gzip.compress(bytes(1 << 24))
    assert len(bomb) < 1 << 15
    d = daemons([world.issuer()], response_max_size="64K").start()
    world.responder.headers, world.responder.answer = {"Content-Encoding": "gzip"}, lambda der: bomb
    assert lab.outcome(d.ask(world.ca, world.good.serial).body) == "try_later"
    checks = d.api("GET", "/v1/explain/demo/%x" % world.good.serial)[1]["answers"][-1]["checks"]
    assert checks[-1]["code"] == "upstream_size", checks
    world.responder.headers = {"Content-Encoding": "br"}
    checks = d.api("GET", "/v1/explain/demo/%x" % world.good.serial)[1]["answers"][-1]["checks"]
    assert checks[-1]["code"] == "upstream_http", checks


NOWHERE = "http://127.0.0.1:1"
ENVIRONMENT = {name: NOWHERE for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY")}


@pytest.fixture
def proxy():
    p = egress.Proxy()
    yield p
    p.stop()


@pytest.fixture
def private(box, publisher):
    """A web server of a private CA, with a list on it."""
    web, ca = lab.CA("Our web CA"), lab.CA("demo CA")
    egress.speak_tls(publisher.server, web.issue("localhost"), box)
    publisher.publish("ca.crl", crl(ca, [5], number=3))
    issuer = {"name": "demo", "certificate": ca.write(os.path.join(box, "ca.pem")),
              "crl": ["https://localhost:%d/ca.crl" % publisher.port], "crl-interval": "200ms"}
    return types.SimpleNamespace(issuer=issuer, url=issuer["crl"][0], ca=ca, web=web.write(os.path.join(box, "web.pem")))


def test_the_environment_names_no_proxy(world, private, daemons):
    """Neither for answers nor for lists, http and https: only options do."""
    d = daemons([world.issuer(name="ocsp"), private.issuer], upstream_tls_ca=private.web, env=ENVIRONMENT).start()
    assert lab.outcome(d.ask(world.ca, world.good.serial).body) == "good"
    d.wait_number(private.url, 3)


def test_everything_goes_through_the_proxy_that_is_configured(world, private, publisher, proxy, daemons):
    """Absolute-form for http and CONNECT for https, whatever no_proxy says; names are the proxy's to look up."""
    issuer = world.issuer(name="ocsp", ocsp=["http://ocsp.test:%d/" % world.responder.port])
    d = daemons([issuer, private.issuer], upstream_tls_ca=private.web, upstream_proxy=proxy.url,
                env={"no_proxy": "*"}).start()
    assert lab.outcome(d.ask(world.ca, world.good.serial).body) == "good"
    d.wait_number(private.url, 3)
    assert "CONNECT localhost:%d HTTP/1.1" % publisher.port in proxy.lines
    gets = [line for line in proxy.lines if not line.startswith("CONNECT")]
    assert len(gets) == 1 and gets[0].startswith("GET http://ocsp.test:%d/M" % world.responder.port), gets
    # live: without the proxy nobody knows the name
    d.options["upstream-proxy"] = ""
    d.write()
    d.reload()
    assert lab.outcome(d.ask(world.ca, world.revoked.serial).body) == "try_later"
    assert len([line for line in proxy.lines if not line.startswith("CONNECT")]) == 1


def test_a_private_ca_of_https_servers_is_taken_live(private, daemons):
    """Refused without it, in words that name the option; and again when a reload takes it out."""
    d = daemons([private.issuer], crl_backoff_max="200ms").start(ready=False)

    def refused():
        return d.crls().get(private.url, {}).get("last_error")
    assert "upstream-tls-ca" in lab.wait(refused, name="the refusal")
    d.options["upstream-tls-ca"] = private.web
    d.write()
    d.reload()
    d.wait_number(private.url, 3)
    del d.options["upstream-tls-ca"]
    d.write()
    d.reload()
    lab.wait(refused, name="the refusal")


def test_words_say_what_came_from_where_and_what_to_do(world, publisher, daemons):
    """A redirect names where it leads, everything names the HTTP status: in the API, the log and ocspctl."""
    ca, url = world.ca, publisher.publish("ca.crl", b"", mode="redirect")
    d = daemons([world.issuer(crl=[url])]).start(ready=False)
    world.responder.mode = "redirect"
    assert lab.outcome(d.ask(ca, world.good.serial).body) == "try_later"
    place = "HTTP status 302, which leads to %selsewhere; redirects are not followed" % world.responder.url
    told = d.api("GET", "/v1/issuers")[1][0]["responders"][0]["last_error"]
    assert told.startswith("upstream_http: " + place), told
    checks = d.api("GET", "/v1/explain/demo/%x" % world.good.serial)[1]["answers"][-1]["checks"]
    assert checks[-1]["code"] == "upstream_http" and place in checks[-1]["detail"], checks
    lab.wait(lambda: d.crls()[url]["last_error"], name="the list's refusal")
    assert publisher.url("elsewhere/ca.crl") in d.crls()[url]["last_error"]
    assert any(place in line and "level=warn" in line for line in d.events("upstream_error")), d.log
    c = d.ctl("status")
    assert place in c.stdout and publisher.url("elsewhere/ca.crl") in c.stdout, c
    world.responder.mode = "500"
    assert "HTTP status 500" in json.dumps(d.api("GET", "/v1/explain/demo/%x" % world.good.serial)[1])
