"""What only OCSP knows: watched certificates whose issuer has no list in date are asked for each watch-interval."""
import collections
import os
import time

import pytest

import fleet
import lab
from daemon import FAST
from fleet import PEM, bulk, find, line, ndjson, put
from lists import entry


def index(responder, box, **states):
    """What openssl's responder goes by, as `openssl ca` writes it; it reads that at its start only."""
    responder.stop()
    with open(os.path.join(box, "index.txt"), "w") as f:
        for serial, state in states.items():
            f.write("%s\t491231235959Z\t%s\t%s\tunknown\t/CN=x\n" % (
                state, "250101000000Z,keyCompromise" if state == "R" else "", serial))
    responder.start()


def polls(d, result="answered"):
    return d.metric("polls_total", result=result)


def test_a_revocation_that_only_ocsp_knows_is_told(box, daemons, streams):
    """R152, T21: no list is configured; the CA's responder is `openssl ocsp`, and nobody asks us."""
    ca = lab.CA("demo CA")
    f = fleet.Fleet(box, ca)
    bundle = f.issue(0xa1, "DNS:www.shop.example", "DNS:*.shop.example") + f.issue(0xa2, "DNS:mail.shop.example")
    responder = lab.OpensslResponder(ca, ca.delegate(), box, {})
    index(responder, box, A1="V", A2="V")
    pem = ca.write(os.path.join(box, "demo.pem"))
    d = daemons([{"name": "demo", "certificate": pem, "ocsp": [responder.url]}], store="lmdb:%s/store" % box,
                watch_interval="1s", **FAST).start()
    try:
        assert put(d, "web", bundle, PEM)[0] == 201
        told = streams(d, "watchlist=web")
        told.ready()
        body = ndjson(line(0xa1), line(0xa2))
        lab.wait(lambda: [x["status"] for x in bulk(d, body)] == ["good"] * 2, 15, "both good, by the polls alone")
        assert d.metric("polled_certificates", issuer="demo") == 2
        assert d.metric("hot_cache_answers") == 0  # nothing is kept that no client uses
        assert [x["status"] for x in find(d, "watchlist=web")] == ["good"] * 2
        index(responder, box, A1="R", A2="V")
        told.wait_serials({0xa1}, 15)
        change = told.changes()[0]
        assert change["names"] == ["www.shop.example", "*.shop.example"] and change["status"] == "revoked"
        assert change["previous"] == "good" and change["reason"] == "keyCompromise" and change["evidence"] == "ocsp"
        assert d.status("demo", 0xa1)["status"] == "revoked"
        assert [(x["serial"], x["status"]) for x in find(d, "watchlist=web")] == [("a1", "revoked"), ("a2", "good")]
        assert fleet.watchlist(d, "web")["revoked"] == 1
        before = polls(d)
        lab.wait(lambda: polls(d) >= before + 3, 15, "three polls more")
        assert told.serials() == [0xa1]
        d.kill()
        d.start()  # the latch is durable
        assert [x["status"] for x in bulk(d, ndjson(line(0xa1)))] == ["revoked"]
        assert lab.outcome(d.ask(ca, 0xa1).body) == "revoked"
    finally:
        responder.stop()


class Asked:
    """When the responder was asked for what."""

    def __init__(self, responder):
        self.responder, self.at = responder, collections.defaultdict(list)
        responder.answer = self.answer

    def answer(self, der):
        self.at[lab.requested(der)].append(time.monotonic())
        return self.responder.honest(der)

    def count(self, *serials):
        return sum(len(self.at[s]) for s in serials or list(self.at))


def test_neither_start_nor_reload_nor_a_long_list_is_a_storm(box, daemons, world):
    many = range(0x1000, 0x1000 + 3000)
    for s in many:
        world.ca.statuses[s] = {"status": "good"}
    asked = Asked(world.responder)
    d = daemons([world.issuer()], store="lmdb:%s/store" % box, watch_interval="1m", **FAST).start()
    begun = time.monotonic()
    assert put(d, "web", ndjson(*(line(s) for s in many)))[0] == 201
    lab.wait(lambda: asked.count() > 20, 20, "polls")
    for _ in range(3):
        n = asked.count()
        d.reload()
        lab.wait(lambda: asked.count() > n, 10, "polls go on")
    d.kill()
    known = ndjson(*(line(s) for s in asked.at))
    d.start()
    n = asked.count()
    lab.wait(lambda: sum(x["status"] == "good" for x in bulk(d, known)) >= 20, 10, "what the store has is read")
    assert asked.count() < n + 200
    lab.wait(lambda: asked.count() > n + 20, 20, "polls go on")
    assert d.metric("polls_total", result="failed") == 0
    # 50 a second, up to a ninth more by jitter; a storm would have been of 3,000
    assert asked.count() <= (time.monotonic() - begun) * 3000 / 60 / 0.9 + 60
    assert len(asked.at) >= asked.count() * 0.9  # hardly anything twice


def test_a_list_in_date_is_left_to_tell(feed, daemons, responders, box):
    """With OCSP beside it, and after it has run out."""
    r = responders(feed.ca)
    for s in (1, 2, 3):
        feed.ca.statuses[s] = {"status": "good"}
    feed.publish([entry(9)], next=4)
    d = daemons([feed.issuer(ocsp=[r.url])], store="lmdb:%s/store" % box, watch_interval="1s", **FAST).start()
    d.wait_number(feed.url, feed.count)
    assert put(d, "web", ndjson(line(1), line(2), line(3)))[0] == 201
    until = time.time() + 1.5
    lab.wait(lambda: time.time() > until or r.count > 0, 10, "a while")
    assert r.count == 0 and d.metric("polled_certificates", issuer="demo") == 0
    lab.wait(lambda: set(r.serials()) == {1, 2, 3}, 20, "polls, when it has run out")
    assert [x["status"] for x in bulk(d, ndjson(line(1)))] == ["good"]
    feed.bring(d, [entry(9)])
    lab.wait(lambda: d.metric("polled_certificates", issuer="demo") == 0, 10, "the list tells again")


@pytest.mark.long
def test_of_two_nodes_one_asks(box, daemons, streams, world, redis):
    """T15: what one has stored counts for the other, and what it has heard is known there too."""
    f = fleet.Fleet(box, world.ca)
    folder = os.path.join(box, "certs")
    os.mkdir(folder)
    serials = [0xb0 + n for n in range(8)]
    for s in serials:
        world.ca.statuses[s] = {"status": "good", "this": -86400}
        with open(os.path.join(folder, "%x.pem" % s), "w") as out:
            out.write(f.issue(s, "DNS:h%x.example" % s))
    asked = Asked(world.responder)
    nodes = []
    for name in ("a", "b"):
        d = daemons([world.issuer()], name=name, store=redis.url, watch_interval="4s", **FAST)
        d.watchlists = {"web": {"certificates": [folder]}}
        d.write()
        nodes.append(d.start())
    both = ndjson(*(line(s) for s in serials))
    lab.wait(lambda: all(x["status"] == "good" for d in nodes for x in bulk(d, both)), 20, "all good on both")
    lab.wait(lambda: all(len(asked.at[s]) >= 2 for s in serials), 20, "a round, in which both may have asked")
    begun, n = time.monotonic(), asked.count()
    lab.wait(lambda: asked.count() >= n + 24, 40, "three rounds")
    took = time.monotonic() - begun
    assert took > 3 * 4 * 0.65, took  # each asking for itself would have taken half of three intervals
    told = streams(nodes[0], "watchlist=web")
    told.ready()
    world.ca.statuses[0xb3] = {"status": "revoked", "reason": "key_compromise"}
    lab.wait(lambda: all(d.status("demo", 0xb3)["status"] == "revoked" for d in nodes), 20, "both know")
    told.wait_serials({0xb3})
    assert told.changes()[0]["names"] == ["hb3.example"]
    n = asked.count()
    lab.wait(lambda: asked.count() >= n + 14, 40, "two rounds more")
    assert told.serials() == [0xb3]
