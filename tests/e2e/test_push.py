"""Changes and who is told of them: the stream, what is in it, resuming, snapshots, slow readers, stores, kills.

The form of the stream is written out here; which changes there have to be is computed
from the lists that the test has made.
"""
import datetime
import http.client
import json
import os
import random
import re
import signal
import subprocess
import threading
import time

import pytest

import lab
import stream
from daemon import FAST, Watch
from lab import read
from lists import Feed, crl, entry, many, put

FIRST = 1 << 60  # of many(): serials of 8 octets
REVOKED_AT = "2026-01-02T03:04:05Z"
SECOND = re.compile(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def page(d, query="", headers=None):
    status, body = d.api("GET", "/v1/events" + ("?" + query if query else ""),
                         headers=dict({"Accept": "application/json"}, **(headers or {})))
    return status, body


def test_the_stream_octet_for_octet(feed, daemons, streams):
    """R72: head, position, event; keys in their order, data in one line."""
    d = daemons([feed.issuer()], **FAST).start()
    s = streams(d)
    assert s.status == 200
    assert s.header("Content-Type") == "text/event-stream" and s.header("Cache-Control") == "no-store"
    assert s.header("Content-Length") is None and s.header("Transfer-Encoding") is None
    position = s.ready()
    assert re.fullmatch("[0-9a-f-]+", position)
    before = datetime.datetime.utcnow().replace(microsecond=0)
    feed.bring(d, [entry(1), entry(0xABCDEF0123456789, "keyCompromise"), entry(0x0F)])
    f = s.wait("changes")
    seen = re.search('"seen_at":"([^"]+)"', f.text).group(1)
    assert SECOND.fullmatch(seen)
    assert before <= datetime.datetime.strptime(seen, "%Y-%m-%dT%H:%M:%SZ") <= datetime.datetime.utcnow()
    one = '{"serial":"%s","status":"revoked","previous":"good","revoked_at":"' + REVOKED_AT + '","reason":%s}'
    texts = one % ("abcdef0123456789", '"keyCompromise"'), one % ("f", "null")
    shape = ('id: %s\nevent: changes\ndata: {"issuer":"demo","seen_at":"%s","evidence":"crl","crl_number":"2",'
             '"changes":[%s]}')
    assert f.text in [shape % (f.id, seen, ",".join(order)) for order in (texts, texts[::-1])]
    assert f.id > position
    # Nothing but these two, and a position never has data.
    assert [x.event for x in s.got()] == [None, "changes"] and s.got("position")[0].text == "id: " + position


def test_curl_prints_what_is_pushed(feed, daemons):
    """README's way: curl -N."""
    d = daemons([feed.issuer()], **FAST).start()
    p = subprocess.Popen(["curl", "-sSN", "http://127.0.0.1:%d/v1/events?issuer=demo" % d.api_port],
                         stdout=subprocess.PIPE, bufsize=0)
    try:
        assert p.stdout.readline().startswith(b"id: ") and p.stdout.readline() == b"\n"
        feed.bring(d, [entry(1), entry(2)])
        lines = [p.stdout.readline().decode() for _ in range(3)]
        assert lines[0].startswith("id: ") and lines[1] == "event: changes\n"
        assert json.loads(lines[2][6:])["changes"][0]["serial"] == "2"
    finally:
        p.kill()
        p.wait()


def test_a_change_arrives_within_a_second_of_the_refresh(feed, daemons, streams):
    d = daemons([feed.issuer()], **FAST).start()
    s = streams(d)
    s.ready()
    feed.publish([entry(1), entry(2)])
    began = time.monotonic()
    d.refresh()
    s.wait("changes", seconds=1)
    assert time.monotonic() - began < 1 * lab.PATIENCE
    # And who was told finds it so: the status, the list.
    assert d.status("demo", 2)["status"] == "revoked" and d.number(feed.url) == "2"
    assert d.metric("changes_total", evidence="crl") == 1
    for h in ("published_to_seen", "seen_to_durable", "durable_to_told"):
        assert d.metric("change_%s_seconds_count" % h) == 1


def test_the_position_is_told_again_and_again(feed, daemons, streams):
    """R72: an idle subscriber can resume too, and no proxy cuts it off."""
    d = daemons([feed.issuer()], **dict(FAST, position_interval="200ms")).start()
    s = streams(d)
    s.wait("position", 4)
    assert {f.id for f in s.got()} == {s.got()[0].id}
    feed.bring(d, [entry(1), entry(2)])
    event = s.wait("changes")
    n = len(s.got("position"))
    assert s.wait("position", n + 1).id == event.id


def test_what_is_a_change_and_what_is_none(feed, daemons, streams):
    """R72, T19: baseline, added, hold, release, removed, the same again, another reason, evidence that ends."""
    d = daemons([feed.issuer()], **FAST).start()
    s = streams(d)
    start = s.ready()
    assert page(d, "since=" + start)[1]["events"] == []  # the baseline made none

    def bring(entries):
        n = len(s.changes())
        feed.bring(d, entries)
        return n

    def moves(n, wanted):
        lab.wait(lambda: len(s.changes()) >= n + len(wanted), 5, "changes")
        got = {(c["serial"], c["status"], c["previous"], c["reason"]) for c in s.changes()[n:]}
        assert got == set(wanted)
    n = bring([entry(1), entry(2, "certificateHold"), entry(3, "superseded")])
    moves(n, [("2", "revoked", "good", "certificateHold"), ("3", "revoked", "good", "superseded")])
    n = bring([entry(1), entry(2, "certificateHold"), entry(3, "superseded")])  # another number, the same entries
    n = bring([entry(1, "keyCompromise"), entry(2, "certificateHold"), entry(3, "superseded")])  # reason alone
    n = bring([entry(1, "keyCompromise"), entry(2, "keyCompromise"), entry(3, "superseded")])  # hold to for good
    moves(n, [("2", "revoked", "revoked", "keyCompromise")])
    n = bring([entry(1, "keyCompromise"), entry(2, "keyCompromise"), entry(4, "certificateHold")])
    moves(n, [("3", "removed", "revoked", "superseded"), ("4", "revoked", "good", "certificateHold")])
    n = bring([entry(1, "keyCompromise"), entry(2, "keyCompromise")])
    moves(n, [("4", "good", "revoked", "certificateHold")])
    assert d.status("demo", 4)["status"] == "good"
    # All of it once more for who comes now.
    late = streams(d, "since=" + start)
    lab.wait(lambda: late.changes() == s.changes(), 5, "the same")
    assert len(s.changes()) == 6


# R72, T23: the second list is here before the first is durable: what came with it is told all the same.
@pytest.mark.parametrize("store", ["memory:", "lmdb:", "redis"])
def test_a_list_right_behind_the_first_is_no_baseline(box, feed, daemons, streams, publisher, durable, store):
    url = {"lmdb:": "lmdb:" + box + "/store"}.get(store, store) if store != "redis" else durable().url
    shelf = publisher[feed.path]
    for n in range(3):
        shelf.mode, feed.count = "hold", 0
        shelf.free.clear()
        feed.publish([entry(1)])
        d = daemons([feed.issuer(name="r%d" % n)], store=url, **FAST).start(ready=False)
        lab.wait(lambda: shelf.hits >= 1, 5, "the fetch of the first")  # which is the first list, whenever it comes
        s = streams(d)
        s.ready()
        d.refresh("r%d" % n)
        feed.publish([entry(1), entry(2)])
        shelf.release()
        s.wait("changes")
        assert s.serials() == [2]
        d.stop()
        shelf.hits = 0


def test_what_was_not_covered_was_unknown_before(box, publisher, daemons, streams):
    """R72, R94: after a list that had ended nobody can say that it was good."""
    f = Feed(box, publisher)
    f.publish([entry(1)], next=-10)
    d = daemons([f.issuer()], **FAST).start()
    s = streams(d)
    s.ready()
    f.bring(d, [entry(1), entry(2)])
    s.wait("changes")
    assert [(c["serial"], c["previous"]) for c in s.changes()] == [("2", "unknown")]


def test_a_second_evidence_makes_no_second_change(world, publisher, daemons, streams):
    """R72: told once, by whichever came first."""
    ca = world.ca
    a, b = world.good.serial, ca.issue(key=world.good.key).serial
    url = publisher.publish("a.crl", crl(ca, [], this=-600))
    d = daemons([world.issuer(crl=[url])], **FAST).start()
    s = streams(d)
    s.ready()
    # First by OCSP: a refresh finds that it was revoked.
    assert d.ask(ca, a).outcome == "good"
    ca.statuses[a] = {"status": "revoked", "reason": "key_compromise"}
    d.refresh(serial=a)
    s.wait("changes")
    assert [(int(c["serial"], 16), c["status"], c["previous"], c["reason"], c["evidence"]) for c in s.changes()] == [
        (a, "revoked", "good", "keyCompromise", "ocsp")]
    assert s.got("changes")[0].body["crl_number"] is None
    # Then by the list, with another.
    publisher.publish("a.crl", crl(ca, [entry(a, "keyCompromise"), entry(b, "superseded")], number=2, this=-60))
    d.refresh()
    s.wait("changes", 2)
    assert s.serials() == [a, b]
    # And OCSP says it of the other.
    ca.statuses[b] = {"status": "revoked", "reason": "superseded"}
    assert d.ask(ca, b).outcome == "revoked"
    third = ca.issue(key=world.good.key).serial
    ca.statuses[third] = {"status": "revoked"}
    assert d.ask(ca, third).outcome == "revoked"
    s.wait("changes", 3)
    assert s.serials() == [a, b, third]
    assert d.metric("changes_total", evidence="ocsp") == 2 and d.metric("changes_total", evidence="crl") == 1


def test_only_the_issuer_that_was_asked_for(box, publisher, daemons, streams):
    feeds = [Feed(box, publisher, n) for n in ("one", "two")]
    for f in feeds:
        f.publish([])
    d = daemons([f.issuer() for f in feeds], **FAST).start()
    every, two = streams(d), streams(d, "issuer=two")
    start = every.ready()
    two.ready()
    feeds[0].bring(d, [entry(0x11)])
    every.wait("changes", 1)
    feeds[1].bring(d, [entry(0x22)])
    every.wait("changes", 2)
    two.wait("changes", 1)
    feeds[0].bring(d, [entry(0x11), entry(0x12)])
    every.wait("changes", 3)
    feeds[1].bring(d, [entry(0x22), entry(0x23)])
    every.wait("changes", 4)
    two.wait("changes", 2)
    assert two.serials() == [0x22, 0x23] and every.serials() == [0x11, 0x22, 0x12, 0x23]
    feeds[0].bring(d, [entry(0x11), entry(0x12), entry(0x13)])
    every.wait("changes", 5)
    # What it was not told of is behind it all the same.
    again = streams(d, "issuer=two&since=" + start)
    lab.wait(lambda: again.serials() == [0x22, 0x23], 5, "the two")
    body = page(d, "issuer=two&since=" + start)[1]
    assert [int(c["serial"], 16) for e in body["events"] for c in e["data"]["changes"]] == [0x22, 0x23]
    assert body["position"] == every.last_id


# R72, T23: resumed exactly, over a restart, wherever the reader was.
@pytest.mark.parametrize("how", ["Last-Event-ID", "since"])
def test_a_subscriber_resumes_where_it_was(box, feed, daemons, streams, how):
    d = daemons([feed.issuer()], store="lmdb:" + box + "/store", **FAST).start()
    s = streams(d)
    s.ready()
    feed.bring(d, [entry(1), entry(2)])
    s.wait("changes")
    feed.bring(d, [entry(1), entry(2), many(FIRST, 2500)])
    s.wait_serials([2] + list(range(FIRST, FIRST + 2500)))
    frames = s.got("changes")
    assert max(len(f.body["changes"]) for f in frames) == 1000 and len(frames) == 4
    d.stop()
    assert s.ended.wait(5)
    d.start()
    feed.bring(d, [entry(1), entry(2), many(FIRST, 2500), entry(3)])
    for k, f in enumerate(frames):
        if how == "since":
            again = streams(d, "since=" + f.id)
        else:
            again = streams(d, "since=" + frames[0].id, last=f.id)  # which wins
        wanted = [c["serial"] for g in frames[k + 1:] for c in g.body["changes"]] + ["3"]
        lab.wait(lambda: len(again.changes()) >= len(wanted), 5, "the rest")
        assert [c["serial"] for c in again.changes()] == wanted and not again.got("gap")
    # At the end there is nothing to come.
    end = streams(d, "since=" + again.last_id)
    assert end.ready() == again.last_id and not end.got("changes")


def test_a_kill_loses_nothing_of_what_was_told(box, feed, daemons, streams):
    """T23: what a subscriber has seen, the next life has too."""
    d = daemons([feed.issuer()], store="lmdb:" + box + "/store", **FAST).start()
    s = streams(d)
    start = s.ready()
    feed.bring(d, [entry(1), entry(2)])
    last = s.wait("changes").id
    d.kill()
    d.start()
    again, all_of = streams(d, "since=" + last), streams(d, "since=" + start)
    feed.bring(d, [entry(1), entry(2), entry(3)])
    lab.wait(lambda: again.serials() == [3] and all_of.serials() == [2, 3], 5, "the next")
    assert not again.got("gap") and not all_of.got("gap")


def test_without_a_store_a_restart_is_a_gap(feed, daemons, streams):
    """R72: memory: forgets, and says so."""
    d = daemons([feed.issuer()], **FAST).start()
    s = streams(d)
    s.ready()
    feed.bring(d, [entry(1), entry(2)])
    last = s.wait("changes").id
    d.stop()
    d.start()
    again = streams(d, last=last)
    gap = again.wait("gap")
    assert re.fullmatch(r'event: gap\ndata: \{"since":"%s","oldest":"[0-9a-f-]+"\}' % last, gap.text)
    assert gap.id is None
    position = again.ready()
    feed.bring(d, [entry(1), entry(2), entry(3)])
    assert again.wait("changes").body["changes"][0]["serial"] == "3"
    assert [f.event for f in again.got()] == ["gap", None, "changes"]
    assert gap.body["oldest"] <= position


@pytest.mark.parametrize("since", ["x", "0", "00000000-000000000001-00001", "%22%7D%0Aevent:%20changes", "a" * 3000,
                                   "ffffffff-ffffffffffff-fffff"])
def test_an_id_of_somebody_else_is_a_gap(feed, daemons, streams, since):
    """R72: never an error, never a silent start from now, and nothing of it gets into the stream unescaped."""
    d = daemons([feed.issuer()], **FAST).start()
    s = streams(d, "since=" + since)
    if s.status == 414:
        assert len(since) > 1000
        return
    gap = s.wait("gap")
    s.ready()
    assert [f.event for f in s.got()] == ["gap", None]
    assert set(gap.body) == {"since", "oldest"}
    assert page(d, "since=" + since)[1]["gap"]["oldest"] == gap.body["oldest"]


def test_a_snapshot_is_followed_by_what_comes_after_it(box, publisher, world, daemons, streams):
    """R72: what is revoked already, each certificate once, then the position, then changes."""
    ca = world.ca
    f = Feed(box, publisher, "two")
    f.publish([many(FIRST, 2300, "superseded"), entry(7, "certificateHold")])
    url = publisher.publish("a.crl", crl(ca, [entry(0x11, "keyCompromise"), entry(world.revoked.serial)]))
    d = daemons([world.issuer(crl=[url]), f.issuer()], **FAST).start()
    assert d.ask(ca, world.revoked.serial).outcome == "revoked"  # a latch and a list
    early = streams(d)
    early.ready()
    latched = ca.issue(key=world.good.key).serial
    ca.statuses[latched] = {"status": "revoked", "reason": "superseded"}
    assert d.ask(ca, latched).outcome == "revoked"
    early.wait_serials([latched])  # else it may be told behind the snapshot too
    s = streams(d, "snapshot=1")
    s.ready()
    frames = s.got()
    assert [x.event for x in frames] == ["snapshot"] * (len(frames) - 1) + [None]
    assert all(x.id is None for x in frames[:-1])
    got = s.changes("snapshot")
    assert sorted((c["issuer"], int(c["serial"], 16)) for c in got) == sorted(
        [("demo", 0x11), ("demo", world.revoked.serial), ("demo", latched), ("two", 7)] + [
            ("two", n) for n in range(FIRST, FIRST + 2300)])
    assert {(c["status"], c["previous"]) for c in got} == {("revoked", None)}
    assert {c["reason"] for c in got if c["issuer"] == "two"} == {"superseded", "certificateHold"}
    assert max(len(x.body["changes"]) for x in frames[:-1]) <= 1000
    assert frames[0].text.startswith('event: snapshot\ndata: {"issuer":"')
    f.bring(d, [many(FIRST, 2301, "superseded"), entry(7, "certificateHold")])
    lab.wait(lambda: s.serials() == [FIRST + 2300], 5, "the change")
    one = streams(d, "snapshot=1&issuer=demo")
    one.ready()
    assert sorted(one.serials("snapshot")) == sorted([0x11, world.revoked.serial, latched])


def test_pages_for_who_cannot_keep_a_stream(feed, daemons, streams):
    """R72: with Accept: application/json, page by page, each since the position of the one before."""
    d = daemons([feed.issuer()], **FAST).start()
    status, body = page(d)
    assert status == 200 and body == {"events": [], "position": body["position"], "gap": None}
    start = body["position"]
    feed.bring(d, [entry(1), many(FIRST, 2500)])
    feed.bring(d, [entry(1), many(FIRST, 2500), entry(9)])
    s = streams(d, "since=" + start)
    s.wait_serials([9] + list(range(FIRST, FIRST + 2500)))
    serials, since, pages = [], start, 0
    while pages < 20:
        body = page(d, "since=" + since)[1]
        pages += 1
        if not body["events"]:
            break
        changes = [c for e in body["events"] for c in e["data"]["changes"]]
        assert len(changes) <= 1000 and all(e["event"] == "changes" for e in body["events"])
        assert body["position"] == body["events"][-1]["id"] > since and body["gap"] is None
        serials += [int(c["serial"], 16) for c in changes]
        since = body["position"]
    assert serials == s.serials()
    # Last-Event-ID is understood here too, and an unknown place is a gap.
    assert page(d, "since=" + start, {"Last-Event-ID": since})[1]["events"] == []
    assert page(d, "since=nonsense")[1]["gap"]["since"] == "nonsense"


def test_what_cannot_be_subscribed_to(feed, daemons, streams):
    """T21: an unknown issuer, an unknown watchlist, another page's script, another method."""
    d = daemons([feed.issuer()], **FAST).start()
    assert streams(d, "issuer=nobody").status == 404
    assert streams(d, "watchlist=mine").status == 404
    assert streams(d, "snapshot=yes").status == 400
    assert streams(d, fields="Origin: https://evil.example\r\n").status == 403
    assert page(d, "issuer=nobody")[0] == 404
    assert page(d, "watchlist=mine")[0] == 404
    assert d.api("POST", "/v1/events", "{}")[0] == 405
    c = http.client.HTTPConnection("127.0.0.1", d.api_port, timeout=5)
    c.request("GET", "/v1/events", headers={"Host": "evil.example"})  # DNS rebinding
    assert c.getresponse().status == 403
    c.close()
    assert d.metric("subscribers_opened_total") == 0


def test_over_the_limit_subscribers_are_sent_away(feed, daemons, streams):
    """T22: 503, and the place of who leaves is free again."""
    d = daemons([feed.issuer()], **dict(FAST, max_subscribers=2)).start()
    a, b = streams(d), streams(d)
    a.ready()
    b.ready()
    assert streams(d).status == 503
    assert d.metric("subscribers_refused_total") == 1
    a.close()
    lab.wait(lambda: streams(d).status == 200, 5, "a place")
    assert page(d)[0] == 200  # a page is no subscriber


def test_a_slow_subscriber_is_cut_off_and_the_others_are_not_kept(feed, daemons, streams):
    """T22, P37: who stops reading costs nobody anything, and resumes where it was."""
    d = daemons([feed.issuer()], **dict(FAST, subscriber_timeout="1s")).start()
    slow = streams(d, read=False, buffer=4096)
    for _ in range(20):
        streams(d, read=False, buffer=4096)
    good = streams(d)
    start = good.ready()
    lab.wait(lambda: d.metric("subscribers_opened_total") == 22, 5, "all of them")
    rss = re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % d.process.pid).read())
    wanted = range(FIRST, FIRST + 60000)
    feed.bring(d, [entry(1), many(FIRST, 60000)])
    good.wait_serials(wanted, 10)  # 8 MB of text: more than any socket takes
    lab.wait(lambda: d.metric("subscribers_cut_total") == 21, 15, "the slow ones to be cut off")
    now = re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % d.process.pid).read())
    if not os.environ.get("SAN"):
        assert int(now.group(1)) - int(rss.group(1)) < 64 * 1024  # and not 21 times 8 MB
    slow.go_on()
    assert slow.ended.wait(10)
    again = streams(d, "since=" + (slow.last_id or start))
    again.wait_serials(set(wanted) - set(slow.serials()), 10)
    assert not again.got("gap")
    # The rest goes on.
    feed.bring(d, [entry(1), many(FIRST, 60000), entry(2)])
    lab.wait(lambda: good.got("changes")[-1].body["changes"][0]["serial"] == "2", 5, "the next")


def test_who_comes_while_changes_flow_misses_none(feed, daemons, streams):
    """P37: nothing falls between replay and live."""
    d = daemons([feed.issuer()], **FAST).start()
    first = streams(d)
    start = first.ready()
    feed.publish([entry(1), many(FIRST, 40000)])
    d.refresh()
    joined = []
    while len(first.got("changes")) < 40:
        joined.append(streams(d, "since=" + start))
        time.sleep(0.02)
    feed.bring(d, [entry(1), many(FIRST, 40000), entry(2)])
    wanted = set(range(FIRST, FIRST + 40000)) | {2}
    assert joined
    for s in [first] + joined:
        got = s.wait_serials(wanted, 10)
        assert len(got) == len(wanted) and got == first.serials()


def test_a_snapshot_while_changes_flow_misses_none(feed, daemons, streams):
    """P37: what is not in the snapshot follows it."""
    d = daemons([feed.issuer()], **FAST).start()
    first = streams(d)
    first.ready()
    feed.publish([entry(1), many(FIRST, 40000)])
    d.refresh()
    joined = []
    while len(first.got("changes")) < 40:
        joined.append(streams(d, "snapshot=1"))
        lab.wait(lambda: joined[-1].head, 5, "an answer")
    wanted = set(range(FIRST, FIRST + 40000))
    first.wait_serials(wanted)
    for s in joined:
        lab.wait(lambda: s.got("position"), 10, "the end of the snapshot")
        lab.wait(lambda: wanted <= set(s.serials("snapshot")) | set(s.serials()), 10, "all of them")
        assert 1 in s.serials("snapshot")
        events = [f.event for f in s.got()]
        assert events.index(None) == events.count("snapshot")  # nothing before the position but the snapshot


def test_an_issuer_that_goes_and_comes(box, publisher, daemons, streams):
    """A reload takes an issuer away from its subscribers and gives it back: they stay."""
    feeds = [Feed(box, publisher, n) for n in ("one", "two")]
    for f in feeds:
        f.publish([])
    d = daemons([f.issuer() for f in feeds], **FAST).start()
    s = streams(d, "issuer=two")
    s.ready()
    gone = d.issuers.pop()
    d.write()
    d.reload()
    assert streams(d, "issuer=two").status == 404
    feeds[0].bring(d, [entry(1)])
    d.issuers.append(gone)
    d.write()
    d.reload()
    d.wait_number(feeds[1].url, 1, "two")
    feeds[1].bring(d, [entry(0x22)])
    lab.wait(lambda: s.serials() == [0x22], 5, "the change")


def test_a_stop_closes_streams_at_once(feed, daemons, streams):
    """R72: TERM: nobody waits for drain-timeout."""
    d = daemons([feed.issuer()], **dict(FAST, drain_timeout="30s")).start()
    all_of = [streams(d) for _ in range(5)]
    for s in all_of:
        s.ready()
    began = time.monotonic()
    d.stop()
    assert time.monotonic() - began < 5 * lab.PATIENCE
    assert all(s.ended.wait(2) for s in all_of)
    assert all(s.buffer == b"" for s in all_of)  # between two events, not inside one


def test_a_reload_keeps_the_streams(feed, daemons, streams):
    d = daemons([feed.issuer()], **FAST).start()
    s = streams(d)
    s.ready()
    d.options["position-interval"] = "200ms"
    d.write()
    d.reload()
    s.wait("position", 3)
    feed.bring(d, [entry(1), entry(2)])
    s.wait("changes")
    assert not s.ended.is_set()


def test_what_is_kept_no_longer_is_a_gap(box, feed, daemons, streams):
    """R72: events-keep, once the clock has been right for a day; both clocks of the daemon jump here, none is stepped."""
    clock = os.path.join(box, "clock")

    def set_clocks(seconds):
        put(clock, b"+%d\n" % seconds)
    set_clocks(0)
    env = dict(lab.fake_clock("+0"), FAKETIME_TIMESTAMP_FILE=clock, FAKETIME_NO_CACHE="1")
    del env["FAKETIME"], env["FAKETIME_DONT_FAKE_MONOTONIC"]
    d = daemons([feed.issuer()], store="lmdb:" + box + "/store", env=env, **dict(FAST, events_keep="1s")).start()
    start = page(d)[1]["position"]
    feed.bring(d, [entry(1), entry(2)])
    last = lab.wait(lambda: page(d, "since=" + start)[1]["events"] and page(d)[1]["position"], 10, "the change")
    ahead = [0]

    def gone():
        ahead[0] += 100  # the log is looked at once a minute
        set_clocks(ahead[0])
        time.sleep(0.2)
        return page(d, "since=" + start)[1]["gap"]
    for _ in range(3):
        assert not gone()
    ahead[0] = 90000
    lab.wait(gone, 20, "the log to be trimmed")
    # Who has all is not told of a gap: nothing but alarms has come since.
    assert page(d, "since=" + last)[1]["gap"] is None


# Redis: any node tells what any node found (T23).

def both(daemons, feed, redis, **more):
    nodes = [daemons([feed.issuer()], store=redis.url, **dict(FAST, **more)) for _ in range(2)]
    return [n.start() for n in nodes]


def test_a_node_tells_what_another_found(feed, daemons, streams, redis):
    """T23: one log; ids of one node are ids of the other."""
    a, b = both(daemons, feed, redis)
    sa, sb = streams(a), streams(b)
    start = sa.ready()
    sb.ready()
    feed.publish([entry(1), entry(2), many(FIRST, 1500)])
    a.refresh()  # only a hears of it
    wanted = {2} | set(range(FIRST, FIRST + 1500))
    assert len(sa.wait_serials(wanted)) == 1501 and len(sb.wait_serials(wanted)) == 1501
    assert [f.text for f in sa.got("changes")] == [f.text for f in sb.got("changes")]
    b.refresh()
    b.wait_number(feed.url, feed.count)
    b.wait_event("crl_changes")  # durable, too: else the next one is told from the first list on, with all of it again
    # What b found itself then is nothing new.
    feed.publish([entry(1), entry(2), many(FIRST, 1500), entry(3)])
    b.refresh()
    lab.wait(lambda: sa.serials()[-1] == 3 and sb.serials()[-1] == 3, 5, "the third")
    assert len(sa.serials()) == 1502 and len(sb.serials()) == 1502
    # Resume on the other node.
    middle = sa.got("changes")[0].id
    again = streams(b, last=middle)
    wanted = sa.changes()[len(sa.got("changes")[0].body["changes"]):]
    lab.wait(lambda: again.changes() == wanted, 5, "the rest")
    assert streams(b, "since=" + start).wait_serials({2, 3} | set(range(FIRST, FIRST + 1500)))


def test_a_node_goes_on_where_another_was_killed(feed, daemons, streams, redis):
    """T23: a dies in the middle of 30,000 changes; b has the same list; the subscriber has every change."""
    a, b = both(daemons, feed, redis)
    s = streams(b)
    start = s.ready()
    feed.publish([entry(1), many(FIRST, 30000)])
    a.refresh()
    lab.wait(lambda: redis.client.keys("ocspcached:*") and (s.got("changes") or a.number(feed.url) == str(feed.count)),
             10, "the first changes")
    a.kill()
    b.refresh()
    wanted = set(range(FIRST, FIRST + 30000))
    got = s.wait_serials(wanted, 15)
    assert len(got) == 30000
    late = streams(b, "since=" + start)
    assert late.wait_serials(wanted, 10) == got
    a.start()
    assert streams(a, "since=" + start).wait_serials(wanted, 10) == got


def test_changes_wait_for_a_log_that_is_away(feed, daemons, streams, durable):
    """T23, R72: known at once, told when it is durable; nothing is dropped meanwhile."""
    r = durable()
    d = daemons([feed.issuer()], store=r.url, **dict(FAST, store_backoff_max="100ms")).start()
    s = streams(d)
    s.ready()
    r.stop(kill=True)
    feed.bring(d, [entry(1), entry(2)])
    feed.bring(d, [entry(1), entry(2), entry(3)])
    feed.bring(d, [entry(1), entry(3), entry(4)])
    assert d.status("demo", 2)["status"] == "good" and d.status("demo", 4)["status"] == "revoked"
    d.wait_event("changes_held_back")
    assert not s.got("changes")
    r.start()
    lab.wait(lambda: 4 in s.serials(), 15, "the changes")
    assert not s.got("gap") and not s.ended.is_set()
    last = {c["serial"]: c["status"] for c in s.changes()}
    assert last.pop("2", "removed") == "removed" and last == {"3": "revoked", "4": "revoked"}
    d.wait_event("changes_flow_again")


@pytest.mark.parametrize("how", ["away", "hanging"])
def test_who_has_to_wait_for_the_log_is_told_so(feed, daemons, streams, durable, started, how):
    """P38: headers and a line at once, whatever was asked for; and nothing is missed."""
    r = durable()
    if how == "away":
        r.stop(kill=True)
        come_back = r.start
    else:
        r.process.send_signal(signal.SIGSTOP)
        rescue = threading.Timer(20 * lab.PATIENCE, r.process.send_signal, [signal.SIGCONT])
        rescue.daemon = True  # or its fixture could not end it after a failure
        rescue.start()

        def come_back():
            r.process.send_signal(signal.SIGCONT)
    d = daemons([feed.issuer()], store=r.url, **dict(FAST, store_backoff_max="100ms", position_interval="500ms")).start()
    waiting = [streams(d), streams(d, "snapshot=1"), streams(d, "since=6b02c04d-000000000001-00001")]
    watch = started(Watch(d.api_port, "demo"))
    for s in waiting:
        assert s.wait("comment", 2).comment.startswith("waiting for ")
        assert s.status == 200 and s.header("Content-Type") == "text/event-stream" and not s.got("position")
    lab.wait(lambda: any("the server is waiting for " in x for x in watch.err), 5, "watch to say why it is silent")
    assert d.api("GET", "/v1/events", headers={"Accept": "application/json"})[0] == 503
    feed.bring(d, [entry(1), entry(2)])  # entry 1 was in the first list
    come_back()
    waiting[0].ready()
    assert waiting[2].wait("gap", seconds=15).body["since"] == "6b02c04d-000000000001-00001"
    for s in (waiting[0], waiting[2]):
        lab.wait(lambda: s.serials() == [2], 15, "the change")
    lab.wait(lambda: set(waiting[1].serials("snapshot")) == {1, 2}, 15, "the snapshot")
    lab.wait(lambda: len(watch.out) == 1, 15, "the line")
    assert watch.stop() == 0


def test_a_redis_that_forgets_is_a_gap(feed, daemons, streams, redis):
    """R72: without appendfsync always a lost tail is a new epoch, and start-up warns of it."""
    d = daemons([feed.issuer()], store=redis.url, **dict(FAST, store_backoff_max="100ms")).start()
    d.wait_event("events_not_durable")
    s = streams(d)
    s.ready()
    feed.bring(d, [entry(1), entry(2)])
    last = s.wait("changes").id
    redis.stop(kill=True)
    redis.start()
    gap = s.wait("gap", seconds=15)  # who listens is told at once
    assert gap.body["since"] == last
    feed.bring(d, [entry(1), entry(2), entry(3)])
    lab.wait(lambda: s.serials()[-1] == 3, 15, "what comes then")
    late = streams(d, last=last)
    late.wait("gap")
    lab.wait(lambda: late.serials() == s.serials()[1:], 5, "the same")


# ocspctl watch, both sides real.

def test_watch_survives_a_restart_of_the_daemon(box, feed, daemons, started):
    """R145, T23: printed, run, and none twice or never when the daemon goes and comes."""
    d = daemons([feed.issuer()], store="lmdb:" + box + "/store", **FAST).start()
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    printed = started(Watch(d.api_port, "demo"))
    run = started(Watch(d.api_port, "--exec", "echo $OCSP_SERIAL $OCSP_STATUS >>" + out, "--place", place))
    lab.wait(lambda: d.metric("subscribers") == 2 or d.metric("subscribers_opened_total") == 2, 10, "both")
    lab.wait(lambda: read(place), 5, "a place")
    feed.bring(d, [entry(1), entry(0xAB, "keyCompromise")])
    lab.wait(lambda: printed.out, 5, "a line")
    assert printed.out == ["demo  ab  revoked  good  %s  keyCompromise" % REVOKED_AT]
    lab.wait(lambda: read(out) == "ab revoked", 5, "the command")
    d.stop()
    feed.publish([entry(1), entry(0xAB, "keyCompromise"), entry(0xCD)])
    d.start()  # finds the new list itself
    lab.wait(lambda: read(out).splitlines() == ["ab revoked", "cd revoked"], 15, "the second")
    lab.wait(lambda: len(printed.out) == 2, 15, "the second line")
    feed.bring(d, [entry(1)])
    lab.wait(lambda: len(read(out).splitlines()) == 4, 10, "what was removed")
    assert sorted(read(out).splitlines()[2:]) == ["ab removed", "cd removed"]
    assert run.stop() == 0 and printed.stop() == 0


# Kills.

class Counter(stream.Stream):
    """A subscriber that keeps what it was told of and not the text: for millions."""

    def __init__(self, *args, **more):
        self.seen, self.place, self.gaps = set(), None, 0
        super().__init__(*args, **more)

    def take(self, data):
        self.buffer += data
        if self.head is None:
            if b"\r\n\r\n" not in self.buffer:
                return
            self.head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        *whole, self.buffer = self.buffer.split(b"\n\n")
        for frame in whole:
            self.gaps += frame.startswith(b"event: gap")
            self.seen.update((int(n, 16), s) for n, s in CHANGE.findall(frame))
            if frame.startswith(b"id: "):
                self.place = frame[4:].split(b"\n", 1)[0].decode()


CHANGE = re.compile(rb'"serial":"([0-9a-f]+)","status":"(\w+)"')


class Kills:
    """Rounds of one list after the other, each with n entries more or less than the one before, and a kill at a
    random point of its being told.  Whoever resumes at its place has every change."""

    def __init__(self, d, feed, n, seed, kill, revive):
        self.d, self.feed, self.n, self.random = d, feed, n, random.Random(seed)
        self.kill, self.revive = kill, revive
        self.place, self.inside = None, 0

    def subscribe(self):
        s = Counter(self.d.api_port, last=self.place)
        lab.wait(lambda: s.place or s.gaps, 20, "a position")
        assert s.gaps == 0
        return s

    def leave(self, s, seen):
        s.close()
        assert s.failure is None
        seen |= s.seen
        self.place = s.place

    def round(self, k, most_s):
        adding, seen = k % 2 == 0, set()
        word = b"revoked" if adding else b"removed"
        self.feed.publish([entry(1)] + ([many(FIRST, self.n)] if adding else []))
        s = self.subscribe()
        self.d.refresh()
        if self.random.random() < 0.7:  # in the middle of the telling; else at any time before or after
            lab.wait(lambda: s.seen, 30, "the first changes")
        time.sleep(self.random.uniform(0, most_s))
        self.kill()
        self.leave(s, seen)
        self.inside += 0 < len(seen) < self.n
        self.revive()
        s = self.subscribe()
        self.d.wait_number(self.feed.url, self.feed.count, seconds=30)
        lab.wait(lambda: len(seen | s.seen) >= self.n if len(s.seen) + len(seen) >= self.n else False, 60,
                 "every change of round %d" % k)
        self.leave(s, seen)
        assert seen == {(n, word) for n in range(FIRST, FIRST + self.n)}

    def rounds(self, n, most_s):
        for k in range(n):
            self.round(k, most_s)
        print("%d of %d kills while the subscriber had a part" % (self.inside, n))


def kills(which, box, feed, daemons, redis_at, n, seed):
    """A daemon, and what kills and revives what is killed."""
    store = "lmdb:" + box + "/store" if which == "daemon with LMDB" else redis_at().url
    d = daemons([feed.issuer()], store=store, **FAST).start()

    def kill():
        if "daemon" in which:
            d.kill()
        if which.startswith("Redis"):
            redis_at().stop(kill=True)

    def revive():
        if which.startswith("Redis"):
            redis_at().start()
        if "daemon" in which:
            d.start()
    return Kills(d, feed, n, seed, kill, revive)


KILLED = ["daemon with LMDB", "daemon with Redis", "Redis", "Redis and daemon"]


@pytest.fixture
def durable(box):
    """A Redis whose yes survives kill -9, when it is asked for."""
    made = []

    def get():
        if not made:
            made.append(lab.Redis(box, durable=True))
        return made[0]
    yield get
    for r in made:
        r.stop()


# T23: every subscriber that resumes has every change.
@pytest.mark.parametrize("which", KILLED)
def test_no_kill_loses_a_change(box, feed, daemons, durable, which):
    kills(which, box, feed, daemons, durable, 100000, which).rounds(
        2 if "daemon" in which and "Redis" in which else 4, 0.03)  # there the next life waits 2 s for other nodes


# T23, as the issue asks: 1.7 million entries, twenty times.
@pytest.mark.long
@pytest.mark.parametrize("which", KILLED)
def test_twenty_kills_in_a_change_of_1700000_lose_none(box, feed, daemons, durable, which):
    signal.alarm(1800 * lab.PATIENCE)
    kills(which, box, feed, daemons, durable, 1700000, which).rounds(20 if which != KILLED[1] else 5, 3)
