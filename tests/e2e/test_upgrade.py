"""What a version before left behind is gone on with: names in Redis without hash tags, batches of version 1.

The bytes are those that it wrote (tests/lib/log_of_before.h); only what names lists and servers of this test is made here,
from what the manual says of it."""
import hashlib
import os
import re
import struct
import urllib.request

import pytest

import daemon
import lab
from daemon import FAST
from lists import entry

with open(os.path.join(daemon.TOP, "tests", "lib", "log_of_before.h"), encoding="utf-8") as f:
    HEADER = f.read()
EPOCH = int(re.search(r"BEFORE_EPOCH +(\d+)", HEADER).group(1))
BATCHES = [(bytes.fromhex("".join(re.findall(r'"([0-9a-f]*)"', b))), int(n))
           for b, n in re.findall(r'\{((?:\s*"[0-9a-f]*")+),\s*(\d+)\}', HEADER)]
OLD = "ocspcached:e:"
NEW = "ocspcached:{e}:"


def place(seq, index):
    return "%08x-%012x-%05x" % (EPOCH, seq, index)


def write_old(redis, batches):
    p = redis.client.pipeline(transaction=False)
    for i, (b, n) in enumerate(batches):
        p.xadd(OLD + "log", {"b": b, "t": EPOCH, "n": n}, id="%d-0" % (i + 1))
    p.hset(OLD + "state", mapping={
        "epoch": EPOCH, "seq": len(batches), "n": batches[-1][1], "cut": 0, "cut_n": 0, "durable": 1,
        "run": redis.client.info("server")["run_id"]})
    p.execute()


@pytest.fixture
def durable_redis(box):
    r = lab.Redis(box, durable=True)
    yield r
    r.stop()


def named(url):
    """What names a list: SHA-256 of what is outside of tbsCertList, and of that one's digest."""
    with urllib.request.urlopen(url) as r:
        der = r.read()

    def content(at):
        n = der[at + 1]
        more = n - 0x80 if n > 0x80 else 0
        return at + 2 + more, int.from_bytes(der[at + 2:at + 2 + more], "big") if more else n
    start, _ = content(0)
    tbs, n = content(start)
    return hashlib.sha256(der[:start] + der[tbs + n:] + hashlib.sha256(der[start:tbs + n]).digest()).digest()


def test_subscribers_and_lists_go_on_where_the_version_before_stopped(durable_redis, feed, daemons, streams):
    """R72, T23: an id that it gave leads on, and the list that came meanwhile is compared with the one that it told."""
    r = durable_redis
    assert len(BATCHES) == 3
    feed.publish([entry(1)])
    first = named(feed.url)
    d = daemons([feed.issuer()], store=r.url, **FAST).start()
    feed.bring(d, [entry(n) for n in range(1, 4)])
    second = named(feed.url)
    told = lab.wait(lambda: r.keys(NEW + "told:"), 10, "the pointer")[0].decode()
    lab.wait(lambda: r.client.get(told)[33:65] == second, 10, "it to move")
    d.stop()
    # Now as if that version had done it.
    at = struct.unpack(">q", r.client.get(told)[65:73])[0]
    r.client.delete(*r.keys(NEW))
    r.client.set(told.replace("{e}", "e"), b"\x01" + first + second + struct.pack(">qLL", at, 1, 1))
    write_old(r, BATCHES)
    feed.publish([entry(n) for n in range(1, 5)])
    d.start()
    s = streams(d, last=place(1, 2))
    s.wait_serials({0x12c, 3, 4}, 15)
    assert [(c["serial"], c["status"], c["previous"], c["evidence"]) for c in s.changes()] == [
        ("12c", "revoked", "good", "ocsp"), ("3", "good", "revoked", "crl"), ("4", "revoked", "good", "crl")]
    assert not s.got("gap") and s.got("changes")[0].id == place(2, 1)
    assert [c["revoked_at"] for c in s.changes()][1] == "2026-01-02T03:04:05Z"
    assert r.keys(OLD) == [] and set(r.keys(NEW)) >= {k.encode() for k in (NEW + "state", NEW + "log", told)}
    assert len(d.events("events_taken_over")) == 1 and not d.events("events_epoch") and not d.degraded()
    feed.bring(d, [entry(n) for n in range(1, 6)])
    s.wait_serials({0x12c, 3, 4, 5}, 15)


def test_a_kill_in_the_middle_of_taking_over_loses_and_doubles_nothing(durable_redis, feed, daemons, streams):
    """T23"""
    r = durable_redis
    batches = BATCHES * 4000
    write_old(r, batches)
    feed.publish([entry(1)])
    d = daemons([feed.issuer()], store=r.url, store_timeout="5s", **FAST)
    killed = 0
    while r.client.exists(OLD + "state"):
        d.spawn()
        left = r.client.xlen(OLD + "log")
        lab.wait(lambda: r.client.xlen(OLD + "log") < left or not r.client.exists(OLD + "state"), 10, "a slice")
        d.kill()
        killed += 0 < r.client.xlen(OLD + "log")
    assert killed >= 1
    d.start()
    lab.wait(lambda: d.metric("events_log_up") == 1, 10, "the log")
    log = r.client.xrange(NEW + "log")
    assert [(e[0], e[1][b"b"], int(e[1][b"n"])) for e in log[:len(batches)]] == [
        (b"%d-0" % (i + 1), b, n) for i, (b, n) in enumerate(batches)]
    assert r.keys(OLD) == [] and not d.events("events_epoch")
    s = streams(d, last=place(len(batches) - 3, 1))
    lab.wait(lambda: len(s.changes()) == 4, 10, "the last ones")
    assert [c["serial"] for c in s.changes()] == ["2", "3", "12c", "3"] and not s.got("gap")
