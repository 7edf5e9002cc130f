"""Of what is revoked: what is replaced by a newer certificate, and what clients still ask for."""
import datetime
import json
import os
import pty
import subprocess
import time

import fleet
import lab
from daemon import CLIENT, FAST
from fleet import find, line, ndjson, put, upload, watchlist
from lists import entry

DAY = 86400


def at(days):
    """A date of NDJSON, so many days from now."""
    return (datetime.datetime.utcnow() + datetime.timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%SZ")


def cert(serial, *names, since=-10, until=60, **more):
    return line(serial, names=list(names), not_before=at(since), not_after=at(until), **more)


def hits(d, name="web"):
    w = watchlist(d, name)
    assert w["announced"] == 0
    return w["revoked"], w["replaced"], w["in_use"]


def row(d, serial):
    rows = [r for r in find(d, "watchlist=web") if r["serial"] == "%x" % serial]
    assert len(rows) == 1, rows
    return rows[0]


def minute_ago(text, start):
    """Between the minute before start and now."""
    asked = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
    return start - 120 <= asked <= time.time()


def start(feed, daemons, box, **more):
    d = daemons([feed.issuer(**more)], store="lmdb:" + os.path.join(box, "store"), **FAST).start()
    d.wait_number(feed.url, feed.count)
    return d


def test_a_newer_certificate_replaces_one_that_is_revoked(feed, daemons, box):
    """One with all of its names, that began later, is in date, and is not revoked itself, on the same list."""
    d = start(feed, daemons, box)
    assert put(d, "web", ndjson(cert(0xa1, "shop.example", "www.shop.example"), cert(0xa2, "pay.shop.example"),
                                cert(0xa3), cert(0xa4, "old.example")))[0] == 201
    assert put(d, "other", ndjson(cert(0xb1, "pay.shop.example", since=-1)))[0] == 201
    feed.bring(d, [entry(s) for s in (1, 0xa1, 0xa2, 0xa3, 0xa4, 0xc5)])
    lab.wait(lambda: hits(d) == (4, 0, 0), 15, "four hit")
    r = d.ctl("watchlist", "progress", "web")
    assert (r.returncode, r.stdout) == (1, "4 hit, 0 replaced, 0 in use, of 4 certificates\n")
    for wrong in (cert(0xc1, "shop.example", since=-1),                        # not all of its names
                  cert(0xc2, "*.shop.example", "shop.example", since=-1),      # nor by a wildcard
                  cert(0xc3, "SHOP.example", "www.shop.example", since=-20),   # older
                  cert(0xc4, "shop.example", "www.shop.example", since=-5, until=-1),  # over
                  cert(0xc5, "shop.example", "www.shop.example", since=-1)):   # revoked
        assert upload(d, "POST", "web", ndjson(wrong))[0] == 200
    lab.wait(lambda: hits(d) == (5, 0, 0), 15, "five hit, none replaced")
    assert [r["replaced_by"] for r in find(d, "watchlist=web")] == [None] * 9
    newer = cert(0xd1, "WWW.shop.example", "pay.shop.example", "shop.example", since=-1)
    assert upload(d, "POST", "web", ndjson(newer))[0] == 200
    lab.wait(lambda: hits(d) == (5, 2, 0), 15, "two replaced, and one that is hit and began as late is not")
    assert row(d, 0xa1)["replaced_by"] == {"issuer": "demo", "serial": "d1"} == row(d, 0xa2)["replaced_by"]
    assert row(d, 0xd1)["replaced_by"] is None and row(d, 0xc5)["replaced_by"] is None
    shown = [x.split("  ") for x in d.ctl("watchlist", "show", "web").stdout.splitlines()]
    assert [x[7] for x in shown if x[1] in ("a1", "a4")] == ["d1", "-"]
    feed.bring(d, [entry(s) for s in (1, 0xa1, 0xa2, 0xa3, 0xa4, 0xc5, 0xd1)])
    lab.wait(lambda: hits(d) == (6, 0, 0), 15, "whoever replaced them is hit too")
    assert row(d, 0xa1)["replaced_by"] is None
    foreign = json.dumps({"issuer_key": "ab" * 20, "serial": "e1", "names": ["shop.example", "www.shop.example"],
                          "not_before": at(0)})
    assert upload(d, "POST", "web", ndjson(foreign))[0] == 200
    lab.wait(lambda: row(d, 0xa1)["replaced_by"] == {"issuer": None, "serial": "e1"}, 15, "another CA's, configured or not")
    for gone in ("demo/a3", "demo/a4", "demo/a2", "demo/c5", "demo/d1"):
        assert d.api("DELETE", "/v1/watchlists/web/" + gone)[0] == 204
    lab.wait(lambda: hits(d) == (1, 1, 0), 15, "all that is left is replaced")
    r = d.ctl("watchlist", "progress", "web")
    assert (r.returncode, r.stdout) == (0, "1 hit, 1 replaced, 0 in use, of 6 certificates\n")
    assert json.loads(d.ctl("watchlist", "progress", "web", "--json").stdout) == watchlist(d, "web")
    r = d.ctl("watchlist", "progress", "nothing")
    assert r.returncode == 64 and "no watchlist has this name" in r.stderr


def test_on_a_terminal_the_bar_fills(feed, daemons, box):
    """It ends when all that is hit is replaced."""
    d = start(feed, daemons, box)
    assert put(d, "web", ndjson(cert(0xa1, "a.example"), cert(0xa2, "b.example")))[0] == 201
    feed.bring(d, [entry(1), entry(0xa1), entry(0xa2)])
    master, slave = pty.openpty()
    p = subprocess.Popen([CLIENT, "--url", "http://127.0.0.1:%d" % d.api_port, "watchlist", "progress", "web"],
                         stdout=slave, stderr=slave, env=dict(os.environ, TERM="dumb"))
    os.close(slave)
    text = b""

    def read_to(wanted):
        nonlocal text
        while wanted not in text:
            text += os.read(master, 4096)
    try:
        read_to(b"2 hit, 0 replaced")
        assert b"[    " in text and b"#" not in text
        upload(d, "POST", "web", ndjson(cert(0xb1, "a.example", since=-1)))
        read_to(b"2 hit, 1 replaced")
        assert b"[############            ]" in text
        upload(d, "POST", "web", ndjson(cert(0xb2, "b.example", since=-1)))
        read_to(b"2 hit, 2 replaced, 0 in use, of 4 certificates")
        assert p.wait(30) == 0 and text.count(b"[" + b"#" * 24 + b"]") == 1
    finally:
        p.kill()
        p.wait()
        os.close(master)


def test_what_clients_ask_for_is_in_use(feed, daemons, box, responders):
    """A hit, a miss, and a question that nobody can answer; known over a kill, and whoever is not watched is not."""
    r = responders(feed.ca)
    d = start(feed, daemons, box, ocsp=[r.url])
    began = time.time()
    assert put(d, "web", ndjson(*[cert(s, "h%x.example" % s) for s in (0xa1, 0xa2, 0xa3, 0xa4)]))[0] == 201
    feed.bring(d, [entry(1), entry(0xa1), entry(0xa2), entry(0xa3)])
    lab.wait(lambda: hits(d) == (3, 0, 0), 15, "three hit")
    assert [x["last_asked"] for x in find(d, "watchlist=web")] == [None] * 4
    for _ in range(3):
        d.ask(feed.ca, 0xa4)
    d.ask(feed.ca, 0xa1, h="sha256")
    r.stop()
    d.ask(feed.ca, 0xa2)
    d.ask(feed.ca, 0x77)
    lab.wait(lambda: hits(d)[2] == 2, 15, "two in use")
    lab.wait(lambda: row(d, 0xa4)["last_asked"] is not None, 15, "a good one's time")
    rows = {x["serial"]: x["last_asked"] for x in find(d, "watchlist=web")}
    assert rows["a3"] is None and all(minute_ago(rows[s], began) for s in ("a1", "a2", "a4")), rows
    assert d.metric("asked_certificates") == 3
    # written within seconds; a kill loses nothing of it then
    written = os.path.join(box, "store", "watch.mdb")

    def is_written():
        with open(written, "rb") as f:
            data = f.read()
        return all(b"demo\0\0" + bytes([s]) in data for s in (0xa1, 0xa2, 0xa4))
    lab.wait(is_written, 15, "the rows")
    d.kill()
    d.start()
    assert {x["serial"]: x["last_asked"] for x in find(d, "watchlist=web")} == rows
    d.wait_number(feed.url, feed.count)
    lab.wait(lambda: hits(d) == (3, 0, 2), 15, "the same counts")


def test_nodes_tell_each_other(feed, daemons, box, redis, mac_key):
    """What is asked of one is in use on the other, also on one that starts later; without the MAC nothing is."""
    options = dict(FAST, store=redis.url, store_key_file=mac_key)
    a, b = daemons([feed.issuer()], **options), daemons([feed.issuer()], **options)
    a.start()
    lab.wait(lambda: a.api("GET", "/v1/watchlists/x")[0] == 404, 15, "the lists")
    assert put(a, "web", ndjson(cert(0xa1, "a.example"), cert(0xa2, "b.example")))[0] == 201
    a.ask(feed.ca, 0xa1)
    lab.wait(lambda: row(a, 0xa1)["last_asked"] is not None, 15, "it is noted")
    asked = "ocspcached:{w}:a:asked"
    lab.wait(lambda: redis.client.xlen(asked) == 1, 15, "the piece")
    b.start()
    lab.wait(lambda: fleet.count(b) == 2, 15, "the list")
    lab.wait(lambda: row(b, 0xa1)["last_asked"] is not None, 15, "the time on the other node")
    assert row(b, 0xa1)["last_asked"] == row(a, 0xa1)["last_asked"]
    b.ask(feed.ca, 0xa2)
    lab.wait(lambda: row(a, 0xa2)["last_asked"] is not None, 15, "and back")
    (_, fields), *_ = redis.client.xrange(asked)
    piece = bytearray(fields[b"v"])
    piece[-1] ^= 1
    redis.client.xadd(asked, {"v": bytes(piece)})
    redis.client.xadd(asked, {"something": "else"})
    for d in (a, b):
        d.wait_event("asked_refused", 2, 15)
    assert redis.client.xlen(asked) == 4  # nobody tells on what he was told


def test_what_is_announced_counts_as_what_is_revoked(feed, daemons, box):
    """Of the list and of the incident; and whoever is announced himself replaces nobody."""
    d = start(feed, daemons, box)
    assert put(d, "web", ndjson(cert(0xa1, "a.example"), cert(0xa2, "b.example"), cert(0xa3, "c.example")))[0] == 201
    assert put(d, "also", ndjson(cert(0xa1, "a.example"), cert(0xb9, "b.example", since=-1)))[0] == 201

    def announce(*serial):
        r = d.api("PUT", "/v1/incidents/leak?deadline=2030-01-01T00:00:00Z", "".join("%x\n" % s for s in serial).encode(),
                  headers={"Content-Type": "text/plain"})
        assert r[0] in (200, 201), r

    def counts():
        w, i = watchlist(d, "web"), d.api("GET", "/v1/incidents/leak")[1]
        return (w["revoked"], w["announced"], w["replaced"], w["in_use"]), (i["hit"], i["replaced"], i["in_use"])
    announce(0xa1, 0xa2, 0xff)
    lab.wait(lambda: counts() == ((0, 2, 0, 0), (2, 0, 0)), 15, "two announced")
    assert d.ctl("watchlist", "progress", "web").stdout == "2 hit, 0 replaced, 0 in use, of 3 certificates\n"
    feed.bring(d, [entry(1), entry(0xa2)])
    lab.wait(lambda: counts() == ((1, 1, 0, 0), (2, 0, 0)), 15, "one revoked, one announced")
    d.ask(feed.ca, 0xa1)
    d.ask(feed.ca, 0xa3)
    lab.wait(lambda: counts() == ((1, 1, 0, 1), (2, 0, 1)), 15, "one in use")
    assert upload(d, "POST", "web", ndjson(cert(0xb1, "a.example", since=-1)))[0] == 200
    lab.wait(lambda: counts() == ((1, 1, 1, 1), (2, 1, 1)), 15, "one replaced")
    assert row(d, 0xa1)["replaced_by"] == {"issuer": "demo", "serial": "b1"}
    announce(0xa1, 0xa2, 0xb1)
    lab.wait(lambda: counts() == ((1, 2, 0, 1), (3, 0, 1)), 15, "who replaced it is announced too")
    assert upload(d, "POST", "also", ndjson(cert(0xa2, "b.example")))[0] == 200
    lab.wait(lambda: counts() == ((1, 2, 0, 1), (3, 1, 1)), 15, "replaced on another list, and once for the incident")
    assert d.api("DELETE", "/v1/incidents/leak")[0] == 204
    lab.wait(lambda: hits(d) == (1, 0, 0), 15, "the incident taken back")
    assert row(d, 0xa1)["replaced_by"] is None
