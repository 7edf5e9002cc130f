"""Responders as they are: errors for one certificate, fronts that take POST only, URLs with a query."""
import base64

import pytest
from cryptography import x509

import clients
import lab

FAST = dict(backoff_initial="20ms", backoff_max="100ms", refresh_min="100ms", error_ttl="0s")
OCSP = "application/ocsp-response"


def serial_asked(der):
    return lab.aocsp.OCSPRequest.load(der)["tbs_request"]["request_list"][0]["req_cert"]["serial_number"].native


def test_errors_for_strangers_keep_nobody_from_answers(worlds, daemons):
    """T13: while anybody asks for serials that get an error, used answers are refreshed and others are fetched."""
    errors = {"not-found": (404, "text/html", b"no"), "broken": (500, "text/html", b"no"),
              "internal": (200, OCSP, lab.error("internal_error")), "later": (200, OCSP, lab.error("try_later"))}
    sites = {}
    for name, said in errors.items():
        w = sites[name] = worlds(name=name, life=4)
        w.responder.raw = lambda _, der, w=w, said=said: None if serial_asked(der) in w.ca.statuses else said
    d = daemons([w.issuer() for w in sites.values()], refresh_jitter=0, error_ttl="2s", log_repeat="10s").start()
    for w in sites.values():
        w.key = lab.new_key()
        assert d.ask(w.ca, w.good.serial).outcome == "good"

    def refreshed():
        for name, w in sites.items():
            assert d.ask(w.ca, w.ca.issue(key=w.key).serial + 1).outcome == "try_later", name
            assert d.ask(w.ca, w.ca.issue(key=w.key).serial).outcome == "good", name
            r = d.ask(w.ca, w.good.serial)
            assert r.outcome == "good" and r.hit, name
        return all(w.responder.serials().count(w.good.serial) >= 2 for w in sites.values())
    lab.wait(refreshed, 20, "the refreshes")
    assert not d.events("upstream_failed") and d.events("upstream_error")
    assert not [line for line in d.events("upstream_error") if "level=warn" in line]  # others are answered
    for w in sites.values():
        assert d.metric("responder_healthy", issuer=w.name, url=w.responder.url) == 1


def test_a_responder_that_is_sick_is_found_so_by_what_it_answered_before(world, daemons):
    """T13: several certificates that it has answered before, and probed with one of these: not with strangers."""
    pause = dict(FAST, backoff_initial="300ms", backoff_max="300ms")
    d = daemons([world.issuer()], revalidate_min="0s", **pause).start()
    leaves = [world.ca.issue(key=world.good.key) for _ in range(3)]
    for p in leaves:
        assert d.ask(world.ca, p.serial).outcome == "good"
    world.responder.raw = lambda _, der: (500, "text/html", b"sorry")
    for n in range(5):
        assert d.ask(world.ca, 10**9 + n).outcome == "try_later"
    assert not d.events("upstream_failed")
    for p in leaves:  # what is held goes on, and each is asked for anew
        assert d.post(lab.request(world.ca, p.serial), more="Cache-Control: no-cache\r\n").outcome == "good"
    d.wait_event("upstream_failed")
    assert d.metric("responder_healthy", issuer="demo", url=world.responder.url) == 0
    world.responder.raw = lambda _, der: None if serial_asked(der) < 10**9 or serial_asked(der) in world.ca.statuses \
        else (500, "text/html", b"no such certificate")
    before = world.responder.count
    # only strangers ask, and get errors for theirs, and the recovery is noticed all the same
    lab.wait(lambda: d.ask(world.ca, 2 * 10**9).outcome == "try_later" and d.events("upstream_recovered"), 10, "that")
    assert set(world.responder.serials()[before:]) & {p.serial for p in leaves}
    assert d.ask(world.ca, world.good.serial).outcome == "good"


# RFC 6960 appendix A.1: POST is what every responder takes; GET is an option.

PAGE = "text/html"
ON_GET = {"405": (405, "", b""), "404": (404, PAGE, b"no"), "400": (400, PAGE, b"no"), "501": (501, "", b""),
          "500": (500, PAGE, b"no"), "page": (200, PAGE, b"<html>hello</html>"), "empty": (200, OCSP, b""),
          "malformed": (200, OCSP, lab.error("malformed_request"))}


def test_responders_that_take_post_only(worlds, daemons):
    """P39: the same question by POST within the client's wait; and what works is remembered."""
    sites = {name: worlds(name=name) for name in ON_GET}
    for name, w in sites.items():
        w.responder.raw = lambda method, _, said=ON_GET[name]: said if method == "GET" else None
    d = daemons([w.issuer() for w in sites.values()], log_repeat="10s").start()
    for name, w in sites.items():
        assert d.ask(w.ca, w.good.serial).outcome == "good", name
        assert d.ask(w.ca, w.revoked.serial).outcome == "revoked", name
        assert d.ask(w.ca, w.unknown.serial).outcome == "unknown", name
        assert w.responder.methods == ["GET", "POST", "POST", "POST"], name
    # explain goes the same way
    w = worlds(name="explained")
    w.responder.raw = lambda method, _: ON_GET["404"] if method == "GET" else None
    d.issuers.append(w.issuer())
    d.write()
    d.reload()
    e = d.api("GET", "/v1/explain/explained/%x" % w.good.serial)[1]["answers"]
    assert [(a["from"], a["admitted"]) for a in e] == [("upstream", True)]
    assert w.responder.methods == ["GET", "POST"]


def test_a_url_with_a_query_is_posted_to(world, daemons):
    """A path cannot be put behind a query, but a POST to it is well defined; clients find us at its path."""
    d = daemons([world.issuer(ocsp=[world.responder.url + "status?ca=1"])]).start()
    for path in ("/status?ca=1", "/status", "/"):
        assert d.post(lab.request(world.ca, world.good.serial), path).outcome == "good", path
    assert world.responder.methods == ["POST"]


def slashed(ca, key, slash):
    """A certificate whose request has a '/' in its base64, or none."""
    while True:
        serial = x509.random_serial_number()
        if (b"/" in base64.b64encode(lab.request(ca, serial))) == slash:
            return ca.issue(serial=serial, key=key)


@pytest.mark.parametrize("nonce", [None, b"0123456789abcdef"])
def test_behind_apache_as_it_is_installed(box, daemons, nonce):
    """P39: AllowEncodedSlashes is off by default: 404 for each path with %2F.  In front of the real `openssl ocsp`."""
    cas = (lab.CA("Apache %d" % n) for n in range(1000))
    ca = next(c for c in cas if b"/" not in base64.b64encode(lab.request(c, 1)))  # its hashes
    key = lab.new_key()
    plain, first, second = slashed(ca, key, False), slashed(ca, key, True), slashed(ca, key, True)
    back = lab.OpensslResponder(ca, ca.delegate(), box, {plain: "V", first: "V", second: "R"})
    front = None
    try:
        front = clients.ApacheFront(box, back.url)
        d = daemons([{"name": "a", "certificate": ca.write(box + "/ca.pem"), "ocsp": [front.url],
                      "nonce": "forward" if nonce else "ignore"}]).start()
        ask = lambda p: d.post(lab.request(ca, p.serial, nonce=nonce)).outcome
        if not nonce:
            assert ask(plain) == "good"
            lab.wait(lambda: front.asked == [("GET", "200")], 5, "Apache's log")  # written behind the answer
        assert ask(first) == "good"
        lab.wait(lambda: front.asked[-2:] == [("GET", "404"), ("POST", "200")], 5, "Apache's log")
        n = len(front.asked)
        assert ask(second) == "revoked"
        lab.wait(lambda: len(front.asked) > n and front.asked[-1] == ("POST", "200"), 5, "Apache's log")
        # Remembered at once where no GET has been answered; else when a certificate is asked for again.
        assert front.asked.count(("GET", "404")) == (1 if nonce else 2)
        assert not d.events("upstream_failed")
    finally:
        back.stop()
        if front:
            front.stop()
