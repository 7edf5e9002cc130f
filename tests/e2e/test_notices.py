"""Notices and alarms that another node has written to the log: records made here, octet by octet, as ocspcached(8) has
them, and what the daemon makes of them."""
import struct

import lab
from daemon import FAST, Watch
from fleet import line, ndjson, put

LOG, STATE = "ocspcached:{e}:log", "ocspcached:{e}:state"
SEEN = 1800000000  # 2027-01-15T08:00:00Z (date -u -d @1800000000)


def head(kind, n):
    return struct.pack(">BBHIQ", 2, kind, 0, n, SEEN * 1000)


def notices(serials, issuer, incident="mass", deadline=SEEN + 3600, url="https://ca.example/x", withdrawn=False):
    record = head(3, len(serials))
    record += struct.pack(">BBBBQHBB", 0, len(issuer), len(incident), 0, deadline, len(url), 0, 0)
    record += (issuer + incident + url).encode()
    for serial in serials:
        octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
        record += octets.rjust(21, b"\0") + struct.pack(">B8xBB", len(octets), withdrawn, 0)
    return record, len(serials)


def alarm(name, issuer="", subject="", detail=b"", cleared=False):
    return head(4, 1) + struct.pack(">BBH", len(issuer), 2, 0) + (issuer + "n2").encode() + struct.pack(
        ">BBHHQ", cleared, len(name), len(subject), len(detail), SEEN) + (name + subject).encode() + detail, 1


def append(redis, record, n):
    """As a node does it, in one step."""
    p = redis.client.pipeline(transaction=True)
    seq = int(redis.client.hget(STATE, "seq")) + 1
    p.xadd(LOG, {"b": record, "t": SEEN, "n": n}, id="%d-0" % seq)
    p.hset(STATE, mapping={"seq": seq, "n": n})
    p.execute()


def test_what_another_node_announces_is_told(box, feed, redis, daemons, streams, started, mac_key):
    """T23: to each what is for it, by stream, page and ocspctl; and behind a restart."""
    d = daemons([feed.issuer()], store=redis.url, store_key_file=mac_key, **FAST).start()
    d.wait_number(feed.url, feed.count)
    issuer = feed.name
    of = ndjson(line(0x2001, names=["a.example"], labels=["x"]), line(0x2003))
    lab.wait(lambda: put(d, "fleet", of)[0] == 201, 20, "Redis to take a list")
    listed, all_of, other = streams(d, "watchlist=fleet"), streams(d), streams(d, "issuer=" + issuer)
    begin = [s.ready() for s in (listed, other, all_of)][-1]
    w = started(Watch(d.api_port, "--notices", "--alarms", "--since", begin))
    append(redis, *notices([0x2001, 0x2002], issuer))
    append(redis, *alarm("log_down", detail=b"a\n\xff\xc3\xa9"))
    append(redis, *alarm("crl_late", issuer, "http://ca.example/x.crl", b"5 h", cleared=True))
    append(redis, *notices([0x2001], issuer, withdrawn=True))
    lab.wait(lambda: len(listed.got("notices")) == 2 and len(other.got("alarms")) == 1, 20, "what is for them")
    lab.wait(lambda: len(all_of.got("notices")) == 2 and len(all_of.got("alarms")) == 2, 20, "all of it")
    element = {"serial": "2001", "names": ["a.example"], "labels": ["x"], "replace_after": None,
               "replace_before": None, "withdrawn": False}
    assert listed.got("notices")[0].body == {
        "issuer": issuer, "seen_at": "2027-01-15T08:00:00Z", "source": "incident", "incident": "mass",
        "deadline": "2027-01-15T09:00:00Z", "url": "https://ca.example/x", "notices": [element]}
    assert listed.got("notices")[1].body["notices"] == [dict(element, withdrawn=True)]
    assert [x["serial"] for x in all_of.got("notices")[0].body["notices"]] == ["2001", "2002"]
    assert all_of.got("alarms")[0].body == {
        "seen_at": "2027-01-15T08:00:00Z", "node": "n2", "cleared": [], "raised": [
            {"alarm": "log_down", "issuer": None, "subject": "", "since": "2027-01-15T08:00:00Z", "node": "n2",
             "detail": "a\n\ufffd\u00e9"}]}
    assert [x["alarm"] for x in listed.got("alarms")[0].body["cleared"]] == ["crl_late"]
    assert len(listed.got("alarms")) == len(other.got("alarms")) == 1
    lab.wait(lambda: len(w.out) == 5, 20, "five lines")
    assert w.out[0] == issuer + "  2001  announced  mass  2027-01-15T09:00:00Z  https://ca.example/x"
    assert w.out[2].split("  ")[:3] == ["-", "log_down", "raised"] and w.out[4].split("  ")[2] == "withdrawn"
    # The place leads on, over a restart and as a page.
    d.stop()
    d.start()
    again = streams(d, last=begin)
    lab.wait(lambda: len(again.got("notices")) == 2 and len(again.got("alarms")) == 2, 20, "the same")
    assert [f.text for f in again.got("notices")] == [f.text for f in all_of.got("notices")]
    status, body = d.api("GET", "/v1/events?since=%s&watchlist=fleet" % begin, headers={"Accept": "application/json"})
    assert status == 200 and [e["event"] for e in body["events"]] == ["notices", "alarms", "notices"]


def test_a_record_that_is_damaged_is_a_gap(feed, redis, daemons, streams):
    """T16"""
    d = daemons([feed.issuer()], store=redis.url, **FAST).start()
    d.wait_number(feed.url, feed.count)
    s = streams(d)
    s.ready()
    record, n = notices([0x2001], "demo")
    append(redis, record[:16] + b"\x02" + record[17:], n)  # of no source
    append(redis, *notices([0x2002], "demo"))
    assert s.wait("notices", seconds=20).body["notices"][0]["serial"] == "2002"
    lab.wait(lambda: "event=event_record_bad" in d.log, 10, "a word")
