"""Many lists in one line, several places for one list, and lists that nobody needs."""
import os

import pytest

import daemon
import lab
import lists
import wire
from lists import crl, idp

ABSENT, LISTED = 0x9000, 0x1000
FAST = {"backoff-initial": "50ms", "crl-backoff-max": "200ms"}


@pytest.fixture
def mirror():
    """The web server of somebody who has the CA's lists too."""
    p = lists.Publisher()
    yield p
    p.stop()


def one(box, ca, *items, **more):
    return dict({"name": "demo", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": list(items)}, **more)


class Shards:
    """Three shards with a distribution point each, at the CA's and at its mirror."""

    def __init__(self, publisher, mirror):
        self.ca, self.at, self.mirror = lab.CA("shards CA"), publisher, mirror
        self.urls = [publisher.url("a/%d.crl" % n) for n in (9, 10, 11)]
        self.item = "%s/{9..11}.crl | %s/{009..011}.crl" % (publisher.url("a"), mirror.url("b"))
        self.put(1)

    def put(self, number, *more, names=None):
        for n in range(3):
            der = crl(self.ca, [LISTED + n] + list(more), number=number, this=number - 600,
                      point=idp((names or self.urls)[n], user=True))
            self.at.publish("a/%d.crl" % (n + 9), der)
            self.mirror.publish("b/%03d.crl" % (n + 9), der)


# R104, R112, T7
def test_a_range_at_two_places(box, publisher, mirror, daemons):
    s = Shards(publisher, mirror)
    d = daemons([one(box, s.ca, s.item)], **FAST).start()
    assert list(d.crls()) == s.urls and all(c["from"] == u for u, c in d.crls().items())
    assert all(s.mirror["b/%03d.crl" % n].hits == 0 for n in (9, 10, 11))
    # a range is the operator's word that these are all
    assert [d.status("demo", LISTED + n)["status"] for n in range(4)] == ["revoked"] * 3 + ["good"]
    # one place of one shard fails: its other one is asked within the same refresh
    s.put(2, 7)
    publisher["a/10.crl"].mode = 404
    d.refresh()
    for u in s.urls:
        d.wait_number(u, 2)
    told = d.crls()[s.urls[1]]
    assert (told["from"], told["last_error"]) == (mirror.url("b/010.crl"), None)
    assert d.crls()[s.urls[0]]["from"] == s.urls[0]
    lines = d.events("crl_fetch_failed")
    assert len(lines) == 1 and s.urls[1] in lines[0] and "next=" + mirror.url("b/010.crl") in lines[0]
    assert d.api("GET", "/readyz")[1]["degraded"] == []
    # no validator of the one is sent to the other: Last-Modified was the same
    d.refresh()
    lab.wait(lambda: mirror["b/010.crl"].hits == 2, 10, "the mirror asked again")
    assert publisher["a/10.crl"].conditional[-1] in ({}, publisher["a/10.crl"].conditional[0])
    assert mirror["b/010.crl"].conditional[0] == {} and mirror["b/010.crl"].conditional[1] != {}
    # and back to the first when it is well
    publisher["a/10.crl"].mode = "ok"
    d.refresh()
    lab.wait(lambda: d.crls()[s.urls[1]]["from"] == s.urls[1], 10, "the way back")
    # the mirror of ours: lists are counted, ranges and alternates; each place is a name
    body = s.at["a/10.crl"].body
    for target, host, status in [
            ("/crl/demo/1.crl", "localhost", 200), ("/crl/demo/3.crl", "localhost", 404),
            ("/a/10.crl", "127.0.0.1:%d" % publisher.port, 200), ("/b/010.crl", "127.0.0.1:%d" % mirror.port, 200),
            ("/b/10.crl", "127.0.0.1:%d" % mirror.port, 404), (mirror.url("b/010.crl"), "x", 200)]:
        r = wire.exchange(d.port, ("GET %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (target, host)).encode())
        assert r.status == status and (status != 200 or r.body == body), (target, r)


def test_a_list_may_be_called_by_any_of_its_places(box, publisher, mirror, daemons):
    """R104, T18: and by nothing else."""
    s = Shards(publisher, mirror)
    s.put(2, names=[mirror.url("b/%03d.crl" % n) for n in (9, 10, 11)])
    d = daemons([one(box, s.ca, s.item)], **FAST).start()
    assert [d.number(u) for u in s.urls] == ["2"] * 3
    s.put(3, names=[s.urls[1], s.urls[2], s.urls[0]])
    d.refresh()
    lab.wait(lambda: all(d.crls()[u]["last_error"] for u in s.urls), 10, "the refusals")
    assert all(d.crls()[u]["last_error"].startswith("crl_scope: " + mirror.url("b/")) for u in s.urls)
    assert [d.status("demo", LISTED + n)["status"] for n in range(3)] == ["revoked"] * 3


def test_what_nobody_needs_is_not_fetched(box, publisher, mirror, daemons):
    """Nor is it missed: ready, not degraded, and each says so."""
    s = Shards(publisher, mirror)
    d = daemons([one(box, s.ca, s.item, **{"crl-need": "watched"})], **FAST).start()
    assert [c["needed"] for c in d.crls().values()] == [False] * 3
    assert d.status("demo", ABSENT)["status"] == "unknown"
    d.refresh()
    assert sum(p.hits for p in publisher.shelves.values()) == 0
    assert d.api("GET", "/readyz")[0] == 200


def test_what_was_written_is_checked_and_printed(box, publisher, daemons):
    ca = lab.CA("range CA")
    item = "http://crl.example/{001..128}.crl | http://crl2.example/{1..128}.crl"
    d = daemons([one(box, ca, item, "certificates", ocsp=["http://ocsp.example/"])])
    d.write()
    assert daemon.check(d.conf, "-t").returncode == 0
    r = daemon.check(d.conf, "-p")
    assert r.returncode == 0 and 'crl = { "%s", "certificates" }' % item in r.stdout
    for wrong, words in [("http://x/{1..2}/{1..2}", "two ranges"), ("http://x/{1..5000}", "crl-max-lists"),
                         ("http://x/{1..2} | http://y/", "different numbers of lists"), ("http://x/}", "%7D"),
                         ("http://x/{1..2} | ldap://y/{1..2}", "LDAP")]:
        d.issuers = [one(box, ca, wrong)]
        d.write()
        r = daemon.check(d.conf, "-t")
        assert r.returncode == 2 and words in r.stderr and ": crl: " in r.stderr, (wrong, r.stderr)
    # two lists of one name, as they were refused before, are one with two places
    d.issuers = [one(box, ca, "http://x/a", "http://x/b", ocsp=["http://ocsp.example/"],
                     **{"crl-scope": ["", "http://x/a"]})]
    d.write()
    r = daemon.check(d.conf, "-t")
    assert r.returncode == 0 and 'write "http://x/a | http://x/b"' in r.stderr


def test_two_urls_of_one_name_are_places_of_one_list(box, publisher, mirror, daemons):
    ca = lab.CA("twice CA")
    urls = [publisher.url("x.crl"), mirror.url("x.crl")]
    publisher["x.crl"].mode = 404
    mirror.publish("x.crl", crl(ca, [LISTED], point=idp(urls[0])))
    d = daemons([one(box, ca, *urls, **{"crl-scope": ["", urls[0]], "absent": "good"})], **FAST).start()
    assert list(d.crls()) == urls[:1] and d.crls()[urls[0]]["from"] == urls[1]
    assert [d.status("demo", s)["status"] for s in (LISTED, ABSENT)] == ["revoked", "good"]


def test_a_complete_list_under_two_urls_is_one(box, publisher, mirror, daemons, streams):
    """Known when it has come from both: then fetched, indexed and told once, also in the next life."""
    ca = lab.CA("complete CA")
    urls = [publisher.url("x.crl"), mirror.url("y.crl")]

    def publish(number, *serials):
        der = crl(ca, serials, number=number, this=number - 600)
        publisher.publish("x.crl", der)
        mirror.publish("y.crl", der)
        return der
    publish(1, LISTED)
    d = daemons([one(box, ca, *urls, ocsp=["http://127.0.0.1:9/"])], store="lmdb:" + box + "/s", **FAST).start()
    lab.wait(lambda: list(d.crls()) == urls[:1], 10, "one list")
    assert urls[0] in d.wait_event("crl_twice")[0] and urls[1] in d.events("crl_twice")[0]
    s = streams(d, "issuer=demo")
    s.ready()
    hits = mirror["y.crl"].hits
    der = publish(2, LISTED, LISTED + 1)
    d.refresh()
    d.wait_number(urls[0], 2)
    s.wait_serials([LISTED + 1])
    d.stop()
    d.start()
    assert mirror["y.crl"].hits == hits and list(d.crls()) == urls[:1]
    assert [d.status("demo", n)["status"] for n in (LISTED, LISTED + 1, ABSENT)] == ["revoked", "revoked", "good"]
    r = wire.exchange(d.port, b"GET /crl/demo/1.crl HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (r.status, r.body) == (200, der)
