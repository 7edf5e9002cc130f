"""Watchlists that nodes share through Redis: one change for all, whatever ends in the middle; nothing of Redis is
believed without its MAC, and nothing is lost that a node still has."""
import hashlib
import hmac
import http.client
import os
import signal
import struct
import threading
import time

import pytest

import fleet
import lab
from daemon import FAST
from fleet import find, line, ndjson, put, serials, upload, watchlist
from lists import entry

HEADS = "ocspcached:{w}:l:lists"


@pytest.fixture
def nodes(feed, daemons, redis, mac_key):
    """Make nodes of one Redis."""
    def make(n=2, **more):
        options = dict(FAST, store=redis.url, store_key_file=mac_key, store_timeout="500ms", store_backoff_max="200ms")
        made = [daemons([feed.issuer()], **dict(options, **more)) for _ in range(n)]
        for d in made:
            d.start()
            lab.wait(lambda: status(d, "nothing") == 404, 10, "the lists of " + d.name)
        return made
    feed.publish([])
    return make


def status(d, name):
    return d.api("GET", "/v1/watchlists/" + name)[0]


def count(d, name):
    s, body = d.api("GET", "/v1/watchlists/" + name)
    return body["certificates"] if s == 200 else None


def wait_count(d, name, n, seconds=10):
    lab.wait(lambda: count(d, name) == n, seconds, "%s certificates on %s" % (n, d.name))


def fields(redis):
    return sorted(k.decode() for k in redis.client.hkeys(HEADS))


def chunks(redis):
    return sorted(k.decode() for k in redis.client.keys("ocspcached:{w}:c:*"))


def some(n, first=1, **more):
    return ndjson(*[line(first + i, names=["h%x.example" % (first + i)], **more) for i in range(n)])


# Each other's changes.

def test_what_one_node_changes_all_have(feed, nodes, redis, streams):
    """Put, added to, taken from, deleted; searched for and told by the other node, with names and labels."""
    a, b = nodes()
    assert put(a, "web", some(3, labels=["owner=x"])) == (201, {"name": "web", "certificates": 3, "not_covered": 0})
    wait_count(b, "web", 3)
    assert serials(find(b, "name=h2.example")) == ["2"] and find(b, "name=h2.example")[0]["labels"] == ["owner=x"]
    assert find(b, "watchlist=web") == find(a, "watchlist=web")
    s = streams(b, "watchlist=web")
    s.ready()
    assert upload(b, "POST", "web", some(2, first=4))[1]["certificates"] == 5
    wait_count(a, "web", 5)
    assert a.api("DELETE", "/v1/watchlists/web/demo/1")[0] == 204
    wait_count(b, "web", 4)
    assert put(b, "web", some(2, first=5))[0] == 200
    wait_count(a, "web", 2)
    assert serials(find(a, "watchlist=web")) == ["5", "6"]
    for d in (a, b):
        d.wait_number(feed.url, feed.count)
    feed.bring(a, [entry(5), entry(77)])
    s.wait_serials({5}, 15)
    told = s.changes()
    assert [c["names"] for c in told] == [["h5.example"]]
    assert b.api("DELETE", "/v1/watchlists/web")[0] == 204
    lab.wait(lambda: status(a, "web") == 404, 10, "the deletion")
    assert b.api("DELETE", "/v1/watchlists/web")[0] == 404 and upload(a, "POST", "web", some(1))[0] == 404
    assert fields(redis) == ["web"]  # the tombstone
    assert put(a, "web", some(1))[0] == 201
    wait_count(b, "web", 1)


def test_what_is_revoked_already_is_told_by_who_changed_the_list(feed, nodes, streams):
    """Once, whichever node it is read from: the others have a copy of the change, and of its telling."""
    feed.publish([entry(2), entry(3)])
    a, b = nodes()
    for d in (a, b):
        d.wait_number(feed.url, feed.count)
    put(a, "web", some(1))
    wait_count(b, "web", 1)
    s = streams(b, "watchlist=web")
    s.ready()
    assert upload(a, "POST", "web", some(2, first=2))[0] == 200
    assert s.wait_serials({2, 3}, 15) == [2, 3]
    wait_count(b, "web", 3)
    feed.bring(a, [entry(1), entry(2), entry(3)])
    assert s.wait_serials({1, 2, 3}, 15) == [2, 3, 1]  # and nothing between them


def test_only_the_list_in_force_is_kept(nodes, redis):
    """What was before has an end."""
    a, _ = nodes()
    for n in range(1, 4):
        assert put(a, "web", some(n))[0] in (200, 201)
    kept = [k for k in chunks(redis) if redis.client.pttl(k) == -1]
    assert len(kept) == 1
    assert all(0 < redis.client.pttl(k) <= 10000 for k in chunks(redis) if k not in kept)
    assert redis.client.pttl(HEADS) == -1


def test_a_list_of_many_chunks(nodes, redis):
    a, b = nodes()
    body = ndjson(*[line(i, names=["h%x.example" % i], labels=["x" * 500]) for i in range(1, 3001)])
    assert put(a, "web", body)[1]["certificates"] == 3000
    wait_count(b, "web", 3000)
    assert len(redis.client.hkeys(chunks(redis)[-1])) > 4
    assert [serials(find(b, "name=h%x.example" % n)) for n in (1, 1500, 3000)] == [["1"], ["5dc"], ["bb8"]]
    assert put(a, "none", "", fleet.NDJSON)[0] == 201
    wait_count(b, "none", 0)


def test_both_add_at_once_and_nothing_is_lost(nodes):
    a, b = nodes()
    assert put(a, "web", some(1))[0] == 201
    wait_count(b, "web", 1)
    failed = []

    def add(d, first):
        for n in range(10):
            got = upload(d, "POST", "web", some(1, first=first + n))
            if got[0] != 200:
                failed.append(got)
    threads = [threading.Thread(target=add, args=(d, first)) for d, first in ((a, 100), (b, 200))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failed, failed
    for d in (a, b):
        wait_count(d, "web", 21)


def test_a_restart_loads_what_has_changed(nodes):
    a, b = nodes()
    assert put(a, "web", some(2))[0] == 201 and put(a, "db", some(3))[0] == 201
    wait_count(b, "db", 3)
    b.stop()
    assert put(a, "web", some(4))[0] == 200 and a.api("DELETE", "/v1/watchlists/db")[0] == 204
    before = len(b.events("watchlist_changed"))
    b.start()
    wait_count(b, "web", 4)
    lab.wait(lambda: status(b, "db") == 404, 10, "the deletion")
    assert len(b.events("watchlist_changed")) == before + 1
    b.stop()
    b.start()
    assert count(b, "web") == 4
    lab.wait(lambda: status(b, "nothing") == 404, 10, "the look")
    assert len(b.events("watchlist_changed")) == before + 1


# Redis away.

def test_while_redis_is_away_lists_go_on_and_are_not_changed(nodes, redis, streams):
    a, b = nodes()
    assert put(a, "web", some(2))[0] == 201
    wait_count(b, "web", 2)
    redis.stop()
    lab.wait(lambda: put(a, "web", some(3))[0] == 503, 10, "503")
    for d, call in ((a, lambda: upload(a, "POST", "web", some(3))), (b, lambda: b.api("DELETE", "/v1/watchlists/web")),
                    (b, lambda: b.api("DELETE", "/v1/watchlists/web/demo/1"))):
        lab.wait(lambda: call()[0] == 503, 10, "503")
        assert "Redis is away" in call()[1]["error"]["message"]
    assert count(b, "web") == 2 and serials(find(b, "name=h2.example")) == ["2"]
    assert status(b, "nothing") == 404  # they were read
    b.stop()
    b.start()
    assert count(b, "web") == 2 and status(b, "nothing") == 503
    assert b.api("GET", "/v1/certificates?watchlist=nothing")[0] == 503
    assert b.api("GET", "/v1/events?watchlist=nothing")[0] == 503
    assert b.api("GET", "/v1/certificates?watchlist=web")[0] == 200
    redis.start()  # empty
    wait_count(a, "web", 2)
    lab.wait(lambda: fields(redis) == ["web"], 15, "the list in Redis")
    lab.wait(lambda: status(b, "nothing") == 404, 15, "the look")
    lab.wait(lambda: put(a, "web", some(5))[0] == 200, 10, "the put")
    wait_count(b, "web", 5)


def test_a_flush_takes_nothing_away(nodes, redis):
    """T16."""
    a, b = nodes()
    assert put(a, "web", some(300))[0] == 201 and put(a, "gone", some(1))[0] == 201
    wait_count(b, "gone", 1)
    assert a.api("DELETE", "/v1/watchlists/gone")[0] == 204
    lab.wait(lambda: status(b, "gone") == 404, 10, "the deletion")  # else it would come back, as nobody knows better
    wait_count(b, "web", 300)
    redis.client.flushall()
    lab.wait(lambda: fields(redis) == ["web"], 10, "the list in Redis")
    told = lab.wait(lambda: a.events("watchlist_lost") + b.events("watchlist_lost"), 10, "watchlist_lost")
    assert "web" in told[0] and "evict" in told[0]
    assert put(a, "web", some(301))[0] == 200
    wait_count(b, "web", 301)
    assert len(a.events("watchlist_lost") + b.events("watchlist_lost")) == 1
    assert a.metric("watchlists_lost_total") + b.metric("watchlists_lost_total") == 1


def test_an_older_state_of_redis_is_brought_up_to_date(nodes, redis):
    """T16."""
    a, b = nodes()
    assert put(a, "web", some(1))[0] == 201
    old = redis.client.hgetall(HEADS)
    assert put(a, "web", some(2))[0] == 200
    wait_count(b, "web", 2)
    redis.client.hset(HEADS, mapping=old)
    lab.wait(lambda: a.events("watchlist_lost") + b.events("watchlist_lost"), 10, "watchlist_lost")
    lab.wait(lambda: redis.client.hgetall(HEADS) != old, 10, "the head")
    for d in (a, b):
        assert count(d, "web") == 2
    assert put(b, "web", some(3))[0] == 200
    wait_count(a, "web", 3)


# What Redis says is not believed.

def test_a_tampered_chunk_is_refused(nodes, redis):
    """T16."""
    a, = nodes(1)
    assert put(a, "web", some(3))[0] == 201
    b, = nodes(1)
    wait_count(b, "web", 3)
    b.stop()
    assert put(a, "web", some(4))[0] == 200
    name = [k for k in chunks(redis) if redis.client.pttl(k) == -1][0]
    value = bytearray(redis.client.hget(name, 0))
    value[40] ^= 1
    redis.client.hset(name, 0, bytes(value))
    b.start()
    said = b.wait_event("watchlist_refused")
    assert "record_key" in said[0] and "{w}:l:lists" in said[0] and "store-key-file" in said[0], said
    assert count(b, "web") == 3
    assert put(a, "web", some(5))[0] == 200
    wait_count(b, "web", 5)
    assert len(b.events("watchlist_refused")) == 1 and b.metric("watchlists_refused_total") >= 1


def test_heads_of_others_are_refused(nodes, redis):
    """T16: one changed bit, another list's head, another version's; a put is over them."""
    a, b = nodes()
    assert put(a, "web", some(3))[0] == 201 and put(a, "db", some(2))[0] == 201
    wait_count(b, "db", 2)
    head = redis.client.hget(HEADS, "web")
    for n, bad in enumerate([head[:50] + bytes([head[50] ^ 1]) + head[51:], redis.client.hget(HEADS, "db"), b"", b"x",
                             b"\x02" + head[1:], head * 2]):
        redis.client.hset(HEADS, "web", bad)
        a.wait_event("watchlist_refused", n + 1)
        b.wait_event("watchlist_refused", n + 1)
    assert count(a, "web") == 3 and count(b, "web") == 3
    redis.client.hset(HEADS, "../x", head)  # nobody's
    assert upload(a, "POST", "web", some(1, first=9))[1]["certificates"] == 4
    wait_count(b, "web", 4)


def test_another_key_is_another_world(nodes, redis, box):
    a, = nodes(1)
    assert put(a, "web", some(3))[0] == 201
    other = os.path.join(box, "other")
    with open(other, "w") as f:
        f.write("ff" * 32 + "\n")
    os.chmod(other, 0o600)
    b, = nodes(1, store_key_file=other)
    assert "store-key-file" in b.wait_event("watchlist_refused")[0]
    assert status(b, "web") == 404
    with open(other, "a") as f:
        f.write("0123456789abcdef" * 4 + "\n")  # both verify
    b.stop()
    b.start()
    wait_count(b, "web", 3)


def test_a_key_of_another_type_is_refused(nodes, redis):
    a, = nodes(1)
    assert put(a, "web", some(3))[0] == 201
    redis.client.delete(HEADS)
    redis.client.set(HEADS, "x")
    a.wait_event("watchlist_refused")
    assert count(a, "web") == 3 and put(a, "web", some(4))[0] == 503
    redis.client.delete(HEADS)
    lab.wait(lambda: fields(redis) == ["web"], 10, "the list in Redis")


# Lists from files.

def site(box, name, *pems):
    path = os.path.join(box, name)
    os.mkdir(path)
    for n, pem in enumerate(pems):
        with open(os.path.join(path, "%d.pem" % n), "w") as f:
            f.write(pem)
    return path


def with_files(d, path, name="files"):
    d.watchlists[name] = {"certificates": [path + "/"]}
    d.write()
    d.reload()


def test_a_list_from_files_is_that_of_all_nodes(box, feed, nodes, redis):
    f = fleet.Fleet(box, feed.ca)
    pem = {n: f.issue(n, "DNS:h%x.example" % n) for n in (0xa1, 0xa2, 0xa3, 0xa4)}
    a, b = nodes()
    mine, other = site(box, "a", pem[0xa1], pem[0xa2]), site(box, "b", pem[0xa2], pem[0xa3])
    with_files(a, mine)
    wait_count(a, "files", 2)
    wait_count(b, "files", 2)  # who has no section has it too
    assert watchlist(b, "files")["source"] == "files"
    for d in (a, b):
        s, body = put(d, "files", some(1))
        assert s == 409, body
    with_files(b, other)
    for d in (a, b):
        wait_count(d, "files", 3)
    assert len(fields(redis)) == 2 and all(x.startswith("files/") for x in fields(redis))
    with open(os.path.join(mine, "0.pem"), "w") as out:
        out.write(pem[0xa4])
    for d in (a, b):
        lab.wait(lambda: serials(find(d, "watchlist=files")) == ["a2", "a3", "a4"], 15, "the renewed one")
    # A restart, with what was added meanwhile.
    b.stop()
    with open(os.path.join(mine, "9.pem"), "w") as out:
        out.write(pem[0xa1])
    wait_count(a, "files", 4)
    b.start()
    wait_count(b, "files", 4)
    # A section goes, with its part; then the other.
    del a.watchlists["files"]
    a.write()
    a.reload()
    for d in (a, b):
        lab.wait(lambda: serials(find(d, "watchlist=files")) == ["a2", "a3"], 15, "the part to go")
    del b.watchlists["files"]
    b.write()
    b.reload()
    for d in (a, b):
        lab.wait(lambda: status(d, "files") == 404, 15, "the list to go")
    assert put(a, "files", some(1))[0] == 201
    wait_count(b, "files", 1)


def test_what_files_have_gained_is_told_by_the_node_that_has_them(box, feed, nodes, streams):
    """The part of a node is its own change, whoever else has a part, and whichever node it is read from."""
    f = fleet.Fleet(box, feed.ca)
    pem = {n: f.issue(n, "DNS:h%x.example" % n) for n in (0xa1, 0xa2, 0xa3, 0xa4)}
    feed.publish([entry(n) for n in pem])
    a, b = nodes()
    for d in (a, b):
        d.wait_number(feed.url, feed.count)
    everybody = streams(b)
    start = everybody.ready()
    mine, other = site(box, "a", pem[0xa1]), site(box, "b", pem[0xa2])
    with_files(a, mine)
    wait_count(a, "files", 1)
    wait_count(b, "files", 1)
    s = streams(b, "watchlist=files&since=" + start)
    assert s.wait_serials({0xa1}, 15) == [0xa1]
    with_files(b, other)
    s.wait_serials({0xa1, 0xa2}, 15)
    for n, (path, serial) in enumerate(((mine, 0xa3), (other, 0xa4))):
        with open(os.path.join(path, "9.pem"), "w") as out:
            out.write(pem[serial])
        s.wait_serials({0xa1, 0xa2, 0xa3, 0xa4} if n else {0xa1, 0xa2, 0xa3}, 15)
    assert s.serials() == [0xa1, 0xa2, 0xa3, 0xa4]  # each by one node


def test_what_files_have_gained_while_redis_is_away_is_told_to_all(box, feed, nodes, redis, streams):
    """When the other nodes have it: the log may be back before the part is there."""
    f = fleet.Fleet(box, feed.ca)
    pem = {n: f.issue(n, "DNS:h%x.example" % n) for n in (0xa1, 0xa2)}
    feed.publish([entry(0xa2)])
    a, b = nodes()
    for d in (a, b):
        d.wait_number(feed.url, feed.count)
    mine = site(box, "a", pem[0xa1])
    with_files(a, mine)
    for d in (a, b):
        wait_count(d, "files", 1)
    s = streams(b, "watchlist=files")
    s.ready()
    redis.process.send_signal(signal.SIGSTOP)
    try:
        a.wait_event("store_down", 3)
        with open(os.path.join(mine, "1.pem"), "w") as out:
            out.write(pem[0xa2])
        wait_count(a, "files", 2)
        time.sleep(2.3)  # so that what it has gained waits for the log
    finally:
        redis.process.send_signal(signal.SIGCONT)
    wait_count(b, "files", 2, 20)
    assert s.wait_serials({0xa2}, 15) == [0xa2]
    assert s.changes()[0]["names"] == ["ha2.example"]


def test_files_are_followed_while_redis_is_away(box, feed, nodes, redis):
    f = fleet.Fleet(box, feed.ca)
    pem = {n: f.issue(n, "DNS:h%x.example" % n) for n in (0xa1, 0xa2, 0xa3)}
    a, b = nodes()
    mine, other = site(box, "a", pem[0xa1]), site(box, "b", pem[0xa3])
    with_files(a, mine)
    with_files(b, other)
    for d in (a, b):
        wait_count(d, "files", 2)
    redis.stop()
    a.wait_event("store_down", 3)
    with open(os.path.join(mine, "1.pem"), "w") as out:
        out.write(pem[0xa2])
    wait_count(a, "files", 3)
    assert count(b, "files") == 2
    redis.start()
    for d in (a, b):
        wait_count(d, "files", 3, 20)
    lab.wait(lambda: len(fields(redis)) == 2, 10, "both parts")
    redis.client.flushall()
    lab.wait(lambda: len(fields(redis)) == 2, 10, "both parts")
    for d in (a, b):
        assert count(d, "files") == 3
        assert d.events("watchlist_lost")


def test_a_part_that_is_not_seen_for_a_week_goes(box, feed, nodes):
    six, eight = lab.fake_clock("+6d"), lab.fake_clock("+8d")
    f = fleet.Fleet(box, feed.ca)
    a, b = nodes()
    with_files(a, site(box, "a", f.issue(0xa1, "DNS:a.example")))
    with_files(b, site(box, "b", f.issue(0xa2, "DNS:b.example")))
    for d in (a, b):
        wait_count(d, "files", 2)
    b.stop()
    assert count(a, "files") == 2
    a.stop()
    a.env.update(six)
    a.start()
    wait_count(a, "files", 2)
    a.stop()
    a.env.update(eight)
    a.start()
    wait_count(a, "files", 1)
    assert serials(find(a, "watchlist=files")) == ["a1"]


# The layout, as other programs may read it (watch_redis.c, watch_stored.c, watch_chunk.c), and write it.

KEY = bytes.fromhex("0123456789abcdef" * 4)


def mac(key, name, value):
    return hmac.new(key, struct.pack(">I", len(name)) + name + value, hashlib.sha256).digest()


OURS = mac(KEY, b"ocspcached watchlists 1", b"")


def read_head(field, value):
    assert hmac.compare_digest(value[-32:], mac(OURS, b"head:" + field, value[:-32]))
    names = ("version", "kind", "number", "revision", "at", "chunks", "certificates", "node")
    return dict(zip(names, struct.unpack(">BBQ16sqIQ16s", value[:-32])))


def make_head(field, revision, chunks, certificates, number, kind=1):
    value = struct.pack(">BBQ16sqIQ16s", 1, kind, number, revision, int(time.time()), chunks, certificates, b"n" * 16)
    return value + mac(OURS, b"head:" + field, value)


def chunk_name(field, revision, number):
    return b"chunk:%s:%s:%d" % (field, revision.hex().encode(), number)


def read_chunk(field, revision, number, value):
    assert hmac.compare_digest(value[-32:], mac(OURS, chunk_name(field, revision, number), value[:-32]))
    p, end, found = 1, len(value) - 32, []

    def take(n):
        nonlocal p
        p += n
        return value[p - n:p]

    def text():
        return take(struct.unpack(">H", take(2))[0])
    assert value[0] == 1
    while p < end:
        aki = take(take(1)[0])
        issuer, dn = text(), text()
        for _ in range(struct.unpack(">I", take(4))[0]):
            serial = take(take(1)[0])
            row = take(struct.unpack(">I", take(4))[0])
            found.append((aki, issuer.decode(), dn.decode(), serial.hex(), row))
    return found


def test_what_stands_in_redis_is_what_the_sources_say(feed, nodes, redis):
    a, = nodes(1)
    assert put(a, "web", some(500))[0] == 201
    head = read_head(b"web", redis.client.hget(HEADS, "web"))
    assert head["version"] == 1 and head["kind"] == 1 and head["certificates"] == 500 and head["number"] == 1
    assert head["node"].hex() == lab.read(os.path.join(a.options["state-directory"], "node")).strip()
    name = "ocspcached:{w}:c:web:%s" % head["revision"].hex()
    assert redis.client.hlen(name) == head["chunks"] and redis.client.pttl(name) == -1
    found = [c for n in range(head["chunks"])
             for c in read_chunk(b"web", head["revision"], n, redis.client.hget(name, n))]
    assert [int(c[3], 16) for c in sorted(found, key=lambda c: int(c[3], 16))] == list(range(1, 501))
    assert {c[:2] for c in found} == {(feed.ca.key_hash(), "demo")}
    assert all(("h%x.example" % int(c[3], 16)).encode() in c[4] for c in found)
    a.api("DELETE", "/v1/watchlists/web")
    assert read_head(b"web", redis.client.hget(HEADS, "web"))["kind"] == 3


def test_who_has_the_key_may_write_lists(feed, nodes, redis):
    """T16: another program's chunk is read; what is not in our encoding is refused, whatever its MAC says."""
    a, = nodes(1)
    run = struct.pack(">H", 9) + b"x.example"
    row = b"\0" + 2 * (b"\x80" + 4 * b"\0") + struct.pack(">HHH", len(run), 0, 0) + run
    entry_ = b"\1\x42" + struct.pack(">I", len(row)) + row
    ca = bytes([20]) + feed.ca.key_hash() + struct.pack(">H", 0) + struct.pack(">H", 4) + b"CN=x" + struct.pack(">I", 1)
    good = b"\1" + ca + entry_

    def write(body, number, certificates=1, chunks=1):
        revision = bytes([number]) * 16
        redis.client.hset("ocspcached:{w}:c:web:%s" % revision.hex(), "0",
                          body + mac(OURS, chunk_name(b"web", revision, 0), body))
        redis.client.hset(HEADS, "web", make_head(b"web", revision, chunks, certificates, number))
    write(good, 1)
    wait_count(a, "web", 1)
    assert [(r["issuer"], r["serial"], r["names"]) for r in find(a, "")] == [("demo", "42", ["x.example"])]
    for n, (body, certificates) in enumerate([(b"\2" + good[1:], 1), (good[:-1], 1), (good + b"\0", 1), (good, 2),
                                              (good[:1] + b"\xff" + good[2:], 1), (b"\1", 1)]):
        write(body, n + 2, certificates)
        assert "err=record " in a.wait_event("watchlist_refused", n + 1)[n]
    write(good, 9, 2, 2)  # a chunk is missing
    assert "err=not_found" in a.wait_event("watchlist_refused", 7)[6]
    assert serials(find(a, "")) == ["42"]


def test_evicted_chunks_are_written_back(nodes, redis):
    a, b = nodes()
    assert put(a, "web", some(3))[0] == 201
    wait_count(b, "web", 3)
    redis.client.delete(*chunks(redis))
    b.reload()  # which looks for them, as each minute
    b.wait_event("watchlist_lost")
    c, = nodes(1)
    wait_count(c, "web", 3)


# Killed.

def stored(redis):
    return read_head(b"web", redis.client.hget(HEADS, "web"))["certificates"]


def test_a_kill_leaves_one_of_both_lists(nodes, redis):
    a, b = nodes()
    fleet.killed_in_a_put(a, 3, 5000, (b,), lambda: stored(redis))


@pytest.mark.long
def test_a_kill_leaves_one_of_both_lists_twenty_times(nodes, redis):
    a, b = nodes()
    seen = fleet.killed_in_a_put(a, 20, 100000, (b,), lambda: stored(redis))
    assert seen["old"] > 0, seen


# A store that was another before, and ends.

def test_lists_of_an_embedded_store_come_along(feed, daemons, redis, nodes, box):
    b, = nodes(1)
    state = os.path.join(box, "one")
    a = daemons([feed.issuer()], store="lmdb:" + state, state_directory=state, **FAST).start()
    assert put(a, "web", some(3))[0] == 201
    a.stop()
    a.options.update({"store": redis.url, "store-key-file": b.options["store-key-file"]})
    a.write()
    a.start()
    wait_count(b, "web", 3)
    assert a.wait_event("watchlist_shared") and not a.events("watchlist_lost")
    assert serials(find(b, "name=h2.example")) == ["2"]


def test_without_a_key_lists_are_this_nodes_alone(feed, daemons, redis, nodes):
    a, = nodes(1)
    assert put(a, "web", some(3))[0] == 201
    b = daemons([feed.issuer()], store=redis.url, **FAST).start()
    for method in ("PUT", "POST"):
        s, body = upload(b, method, "web", some(1))
        assert s == 409 and "store-key-file" in body["error"]["message"], body
    assert status(b, "web") == 404 and count(a, "web") == 3


def test_a_stop_in_the_middle_of_a_change_is_clean(nodes, redis):
    a, b = nodes()
    body = some(30000)
    for _ in range(3):
        t = threading.Thread(target=lambda: put_or_not(a, body))
        t.start()
        lab.wait(lambda: chunks(redis) or not t.is_alive(), 10, "it to begin")
        a.stop()
        t.join()
        a.start()
    assert put(a, "web", some(3))[0] in (200, 201)
    wait_count(b, "web", 3)


def put_or_not(d, body):
    try:
        put(d, "web", body)
    except (OSError, http.client.HTTPException):
        pass
