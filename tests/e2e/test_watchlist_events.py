"""Changes told by watchlist: of every list that a CA publishes, each subscriber gets what its own certificates are hit
by, with the names and labels that its list has for them, and nothing else."""
import json
import os
import random
import re

import pytest

import fleet
import lab
from daemon import FAST, Watch
from fleet import PEM, line, ndjson, put
from lists import entry


@pytest.fixture
def d(feed, daemons, box):
    """A daemon with LMDB whose CA has published its first list, of nothing."""
    feed.publish([])
    made = daemons([feed.issuer()], store="lmdb:%s/store" % box, **dict(FAST, position_interval="1s")).start()
    made.wait_number(feed.url, feed.count)
    return made


def listed(serials):
    return [entry(s) for s in sorted(serials)]


def named(serials, label="owner=x"):
    return ndjson(*(line(s, names=["h%x.example" % s], labels=[label]) for s in serials))


def check(changes, label="owner=x"):
    for c in changes:
        assert c["names"] == ["h%s.example" % c["serial"]] and c["labels"] == [label], c


def memory(d):
    """KiB that are its own."""
    return int(re.search(r"RssAnon:\s+(\d+)", lab.read("/proc/%d/status" % d.process.pid)).group(1))


def page(d, query):
    status, body = d.api("GET", "/v1/events?" + query, headers={"Accept": "application/json"})
    assert status == 200, body
    return body


def test_each_list_is_told_its_own(box, feed, d, streams):
    """T21: also what PEM says of names; who has no watchlist is told as ever."""
    f, seed = fleet.Fleet(box, feed.ca), random.Random(11)
    serials = [0x100000 + 7 * i for i in range(20000)]
    hit = set(seed.sample(serials, 15000))
    fleets = {name: seed.sample(serials, n) for name, n in (("a", 3000), ("b", 15), ("c", 20000))}
    for name, of in fleets.items():
        assert put(d, name, named(of, "list=" + name))[0] == 201
    bundle = f.issue(0xa1, "DNS:www.shop.example", "DNS:*.shop.example", "IP:192.0.2.7") + f.issue(0xa2, cn="old.example")
    assert put(d, "pem", bundle + lab.read(f.ca), PEM)[0] == 201
    assert put(d, "of-others", ndjson(*(json.dumps({"issuer_key": "00" * 20, "serial": "%x" % s}) for s in serials)))[0] == 201
    subscribers = {name: streams(d, "watchlist=" + name) for name in (*fleets, "pem", "of-others")}
    everything = streams(d)
    start = everything.ready()
    for s in subscribers.values():
        s.ready()
    feed.bring(d, listed(hit | {0xa1, 0xa2}))
    for name, of in fleets.items():
        s = subscribers[name]
        assert sorted(s.wait_serials(hit & set(of))) == sorted(hit & set(of))
        check(s.changes(), "list=" + name)
    s = subscribers["pem"]
    assert sorted(s.wait_serials({0xa1, 0xa2})) == [0xa1, 0xa2]
    names = {c["serial"]: c["names"] for c in s.changes()}
    assert names == {"a1": ["www.shop.example", "*.shop.example", "192.0.2.7"], "a2": ["old.example"]}
    assert all(c["labels"] == [] for c in s.changes())
    everything.wait_serials(hit | {0xa1, 0xa2})
    assert all(set(c) == {"serial", "status", "previous", "revoked_at", "reason", "issuer", "evidence"}
               for c in everything.changes())
    assert subscribers["of-others"].got("changes") == []
    # the same in pages, with issuer= besides
    found, since = [], start
    while True:
        p = page(d, "watchlist=a&issuer=demo&since=" + since)
        found += [c for e in p["events"] for c in e["data"]["changes"]]
        if p["position"] == since:
            break
        since = p["position"]
    assert sorted(int(c["serial"], 16) for c in found) == sorted(hit & set(fleets["a"]))
    check(found, "list=a")
    assert d.api("GET", "/v1/events?watchlist=a&issuer=nobody")[0] == 404


def test_a_mass_event_reaches_each_of_many_lists(feed, d, streams):
    """T21: the mass event in small (bench/watchlists.py has it in full): all of its own, once, and nothing else; every
    other list has names."""
    seed = random.Random(12)
    serials = sorted({seed.getrandbits(8 * seed.randrange(9, 20)) | 1 << 64 for _ in range(6100)})
    seed.shuffle(serials)
    hit, others = serials[:5000], serials[5000:6000]
    lists = {"l%02d" % i: hit[i::20] + others[i::20] for i in range(20)}
    for name, of in lists.items():
        assert put(d, name, named(of, name) if name[-1] in "02468" else ndjson(*map(line, of)))[0] == 201
    subscribers = {name: streams(d, "watchlist=" + name) for name in lists}
    starts = {name: s.ready() for name, s in subscribers.items()}
    feed.bring(d, listed(hit))
    for i, (name, s) in enumerate(subscribers.items()):
        assert sorted(s.wait_serials(hit[i::20])) == sorted(hit[i::20])
        if name[-1] in "02468":
            check(s.changes(), name)
        assert all(c["status"] == "revoked" for c in s.changes())
        assert name[-1] in "02468" or all(c["names"] == c["labels"] == [] for c in s.changes())
    # the same for who comes back, and beside one who wants all
    everything, again = streams(d, last=starts["l00"]), streams(d, "watchlist=l03", last=starts["l03"])
    assert sorted(again.wait_serials(hit[3::20])) == sorted(hit[3::20])
    everything.wait_serials(hit)
    feed.bring(d, listed(hit + others[:100]))
    everything.wait_serials(hit + others[:100])
    for i, s in enumerate(subscribers.values()):
        mine = hit[i::20] + others[:100][i::20]
        assert sorted(s.wait_serials(mine)) == sorted(mine)


def test_a_place_is_resumed_over_a_restart_and_a_kill(feed, d, streams):
    """T23: what comes while nobody listens, and while the daemon is away, is told."""
    mine = [0x2000 + i for i in range(0, 6000, 3)]
    assert put(d, "web", named(mine))[0] == 201
    s = streams(d, "watchlist=web")
    place = s.ready()
    s.close()
    feed.bring(d, listed(range(0x2000, 0x2000 + 3000)))
    s = streams(d, "watchlist=web", last=place)
    assert sorted(s.wait_serials(mine[:1000])) == mine[:1000]
    middle = s.got("changes")[0].id  # events of 32 KiB: in the middle of a batch
    last = s.last_id
    d.kill()
    d.start()
    d.wait_number(feed.url, feed.count)
    s = streams(d, "watchlist=web", last=middle)
    feed.bring(d, listed(range(0x2000, 0x2000 + 6000)))
    lab.wait(lambda: set(mine[1000:]) <= set(s.serials()), 10, "what came later")
    assert 1000 < len(s.serials()) < 2000 and len(set(s.serials())) == len(s.serials())
    check(s.changes())
    s = streams(d, "watchlist=web&since=" + last)
    assert sorted(s.wait_serials(mine[1000:])) == mine[1000:]
    assert streams(d, "watchlist=web", last="nonsense").wait("gap").body["since"] == "nonsense"


def test_a_list_that_changes_while_it_is_told(feed, d, streams):
    assert put(d, "web", named([1, 2, 3]))[0] == 201
    s = streams(d, "watchlist=web")
    s.ready()
    feed.bring(d, listed([1, 5]))
    assert s.wait_serials({1}) == [1]
    assert put(d, "web", named([2, 5, 6], "owner=y"))[0] == 200  # replaced: the stream goes on
    feed.bring(d, listed([1, 2, 3, 5]))
    assert s.wait_serials({1, 2, 5}) == [1, 5, 2]  # 5 was revoked when it came
    assert [c["previous"] for c in s.changes()] == ["good", None, "good"]
    assert s.changes()[2]["labels"] == ["owner=y"]
    assert fleet.upload(d, "POST", "web", named([7]))[0] == 200  # added to
    feed.bring(d, listed([1, 2, 3, 5, 7]))
    assert s.wait_serials({1, 2, 5, 7}) == [1, 5, 2, 7]
    assert d.api("DELETE", "/v1/watchlists/web/demo/6")[0] == 204  # one less
    feed.bring(d, listed([1, 2, 3, 5, 6, 7]))
    assert not s.ended.is_set()
    assert d.api("DELETE", "/v1/watchlists/web")[0] == 204  # deleted: it ends, and who comes back is told why
    lab.wait(s.ended.is_set, 10, "the end")
    assert s.serials() == [1, 5, 2, 7]
    assert streams(d, "watchlist=web").status == 404


def test_a_snapshot_is_of_the_list_and_what_follows_too(feed, d, streams):
    revoked = set(range(0x3000, 0x3000 + 50000))
    feed.bring(d, listed(revoked))
    mine = set(range(0x3000, 0x3000 + 60000, 11))
    assert put(d, "web", named(sorted(mine)))[0] == 201
    s = streams(d, "watchlist=web&snapshot=1")
    s.ready()
    assert sorted(s.serials("snapshot")) == sorted(mine & revoked)
    assert all(c["previous"] is None and c["status"] == "revoked" for c in s.changes("snapshot"))
    check(s.changes("snapshot"))
    feed.bring(d, listed(revoked | set(range(0x3000, 0x3000 + 60000))))
    s.wait_serials(mine - revoked)  # and of those before what the list had gained, where it came late
    assert sorted(c["serial"] for c in s.changes() if c["previous"]) == sorted("%x" % n for n in mine - revoked)
    assert streams(d, "watchlist=web&snapshot=1&issuer=demo").ready()


def test_who_does_not_read_costs_nobody_anything(feed, d, streams):
    """T22: 30,000 changes with names for a subscriber that takes none of them: others get theirs, memory is flat."""
    serials = range(0x100000, 0x100000 + 30000)
    assert put(d, "web", ndjson(*(line(s, names=["h%x.%s.example" % (s, "long" * 15)]) for s in serials)))[0] == 201
    slow = [streams(d, "watchlist=web", read=False, buffer=4096) for _ in range(8)]
    quick = streams(d, "watchlist=web")
    quick.ready()
    lab.wait(lambda: d.metric("subscribers") == 9, 10, "subscribers")
    before = memory(d)
    feed.bring(d, listed(serials))
    assert sorted(quick.wait_serials(set(serials), 30)) == list(serials)
    if not os.environ.get("SAN"):
        assert memory(d) - before < 24 << 10  # a list, a window of 8 MiB; eight times all of it would be 80 MB
    slow[0].go_on()
    assert sorted(slow[0].wait_serials(set(serials), 30)) == list(serials)


def test_ocspctl_watches_a_list(box, feed, d, started):
    assert put(d, "web", ndjson(line(0x1f, names=["a.example", "b.example"], labels=["owner=x"]), line(2)))[0] == 201
    w = started(Watch(d.api_port, "--watchlist", "web", "--place", box + "/place"))
    j = started(Watch(d.api_port, "--watchlist", "web", "--place", box + "/other", "--json"))
    lab.wait(lambda: d.metric("subscribers") == 2, 10, "both")
    feed.bring(d, listed([1, 0x1f, 3]))
    lab.wait(lambda: w.out and j.out, 10, "a line")
    assert w.out[0].split("  ")[:4] == ["demo", "1f", "revoked", "good"] and w.out[0].endswith(
        "a.example (and 1 more)  owner=x")
    change = json.loads(j.out[0])["changes"]
    assert [(c["serial"], c["names"], c["labels"]) for c in change] == [("1f", ["a.example", "b.example"], ["owner=x"])]
    assert w.stop() == 0 and j.stop() == 0 and len(w.out) == 1
    gone = started(Watch(d.api_port, "--watchlist", "no list", "--place", box + "/third"))
    assert gone.p.wait(10 * lab.PATIENCE) == 64
