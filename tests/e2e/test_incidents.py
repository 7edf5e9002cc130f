"""Incidents: what a CA is going to revoke is announced for what is watched, once, over restarts, kills and nodes, and
taken back where it is withdrawn; it is a hint and changes no answer."""
import concurrent.futures
import json
import os
import random
import signal
import time

import pytest

import fleet
import lab
from daemon import FAST
from fleet import CSV, NDJSON, find, line, ndjson, put, serials, upload
from lists import entry

TEXT = "text/plain"
DEADLINE = "2020-03-05T03:00:00Z"
URL = "https://ca.example/caa-rechecking"
QUERY = "?deadline=%s&url=%s" % (DEADLINE, URL)


def announce(d, name, body, kind=TEXT, query=QUERY, **more):
    return d.api("PUT", "/v1/incidents/%s%s" % (name, query), body.encode(), headers={"Content-Type": kind}, **more)


def incidents(d):
    status, body = d.api("GET", "/v1/incidents")
    assert status == 200, body
    return body


BEGIN = {}  # where a daemon's log was when the test began


def begin(d):
    BEGIN[d] = d.api("GET", "/v1/events", headers={"Accept": "application/json"})[1]["position"]
    return d


def page(d, query=""):
    """All events of the log."""
    events, since = [], BEGIN[d]
    while True:
        status, body = d.api("GET", "/v1/events?since=%s&%s" % (since, query), headers={"Accept": "application/json"})
        assert status == 200, body
        events += body["events"]
        if since == body["position"] or not body["events"]:
            return events
        since = body["position"]


def notices(events):
    """(serial, withdrawn) of each, in order."""
    return [(int(n["serial"], 16), n["withdrawn"]) for e in events if e["event"] == "notices"
            for n in e["data"]["notices"]]


def told(d, query="", incident=None):
    return notices([e for e in page(d, query) if incident in (None, e["data"].get("incident"))])


def wait_told(d, wanted, query="", seconds=20):
    wanted = sorted(wanted)
    try:
        lab.wait(lambda: len(told(d, query)) >= len(wanted), seconds, "%d notices" % len(wanted))
    except AssertionError as e:
        raise AssertionError("%s: there are %r" % (e, told(d, query)[:20]))
    assert sorted(told(d, query)) == wanted


def letsencrypt(numbers):
    """Lines as those of caa-rechecking-incident-affected-serials.txt of 29 February 2020."""
    return "".join("serial %036x %d missing CAA checking results for h%x.example names: [h%x.example]\n" % (n, 7, n, n)
                   for n in numbers)


def fleet_of(numbers):
    return ndjson(*(line(n, names=["h%x.example" % n], labels=["owner=x"]) for n in numbers))


@pytest.fixture(params=["lmdb", "redis"])
def site(request, box, feed, daemons, redis, mac_key):
    """Make a daemon of this store; the list has serial 0xee."""
    feed.publish([entry(0xee, "keyCompromise")])

    def make(**more):
        store = dict(store="lmdb:%s/store" % box) if request.param == "lmdb" else dict(
            store=redis.url, store_key_file=mac_key, store_timeout="500ms", store_backoff_max="200ms")
        d = daemons([feed.issuer()], **dict(FAST, **dict(store, **more))).start()
        d.wait_number(feed.url, feed.count)
        lab.wait(lambda: d.api("GET", "/v1/watchlists/nothing")[0] == 404, 10, "the lists")
        return begin(d)
    return make


def test_the_list_of_february_2020_is_announced_kept_and_taken_back(site):
    """Told with deadline and URL; what is revoked already is not; what is watched later is; kept over a restart
    and not told again; withdrawn."""
    d = site()
    assert put(d, "web", fleet_of([1, 2, 3, 0xee]))[0] == 201
    assert announce(d, "2020-02-29", letsencrypt([2, 3, 4, 5, 0xee])) == (
        201, {"name": "2020-02-29", "serials": 5, "hit": 3})
    assert upload(d, "POST", "web", fleet_of([4, 9]))[0] == 200  # before or after it is told
    wait_told(d, [(2, False), (3, False), (4, False)])
    e = [e for e in page(d) if e["event"] == "notices"][0]
    data = e["data"]
    assert data["issuer"] == "demo" and data["source"] == "incident" and data["incident"] == "2020-02-29"
    assert data["deadline"] == DEADLINE and data["url"] == URL
    expected = {"name": "2020-02-29", "deadline": DEADLINE, "url": URL, "issuer": None, "serials": 5, "hit": 4}
    [i] = incidents(d)
    assert dict(i, **expected) == i
    assert d.api("GET", "/v1/incidents/2020-02-29")[1] == i
    assert d.api("GET", "/v1/incidents/other")[0] == 404
    assert serials(find(d, "incident=2020-02-29")) == ["2", "3", "4", "ee"]
    assert serials(find(d, "notice=incident")) == ["2", "3", "4", "ee"]
    assert find(d, "incident=other") == [] and find(d, "notice=ari") == []
    [row] = find(d, "name=h2.example")
    assert row["notices"] == [{"source": "incident", "incident": "2020-02-29", "deadline": DEADLINE, "url": URL}]
    assert row["status"] == "good" and find(d, "name=h1.example")[0]["notices"] == []
    d.stop()
    d.start()
    lab.wait(lambda: d.api("GET", "/v1/incidents")[1] != [] and d.api("GET", "/v1/incidents")[0] == 200, 10, "it")
    assert dict(incidents(d)[0], **expected) == incidents(d)[0]
    assert upload(d, "POST", "web", fleet_of([5]))[0] == 200  # behind which nothing of before can come
    wait_told(d, [(n, False) for n in (2, 3, 4, 5)])
    assert d.api("DELETE", "/v1/incidents/2020-02-29")[0] == 204
    assert incidents(d) == [] and find(d, "notice=incident") == []
    wait_told(d, [(n, w) for n in (2, 3, 4, 5) for w in (False, True)])
    assert d.api("DELETE", "/v1/incidents/2020-02-29")[0] == 404


@pytest.mark.parametrize("site", ["lmdb", pytest.param("redis", marks=pytest.mark.long)], indirect=True)
def test_a_newer_list_takes_back_what_it_has_no_more(site):
    """Only that; a deadline that has moved is told again."""
    d = site()
    assert put(d, "web", fleet_of(range(0xa1, 0xa7)))[0] == 201
    assert announce(d, "i", letsencrypt([0xa1, 0xa2, 0xa3]))[1]["hit"] == 3
    wait_told(d, [(n, False) for n in (0xa1, 0xa2, 0xa3)])
    assert announce(d, "i", letsencrypt([0xa2, 0xa3, 0xa4]))[0] == 200
    so_far = [(n, False) for n in (0xa1, 0xa2, 0xa3, 0xa4)] + [(0xa1, True)]
    wait_told(d, so_far)
    assert announce(d, "i", letsencrypt([0xa2, 0xa3, 0xa4]), query="?deadline=2020-04-01T00:00:00Z")[0] == 200
    wait_told(d, so_far + [(n, False) for n in (0xa2, 0xa3, 0xa4)])
    last = [e for e in page(d) if e["event"] == "notices"][-1]["data"]
    assert last["deadline"] == "2020-04-01T00:00:00Z" and not last["url"]
    [i] = incidents(d)
    assert i["deadline"] == "2020-04-01T00:00:00Z" and i["url"] is None and i["serials"] == 3


def test_whose_a_serial_is(site):
    """By the line, by the query, or anybody's; in three formats."""
    d = site()
    assert put(d, "web", ndjson(line("a1"), line("a2"), line("a3", issuer=None, issuer_key="0badcafe")
                                .replace('"issuer": null, ', "")))[0] == 201
    for body, kind, query, hit in [
            ("demo a1\na3\n", TEXT, "", 2), ("a3\n", TEXT, "?issuer=demo", 0), ("a3 x\n", TEXT, "?issuer=0BADCAFE", 1),
            (ndjson(line("a1"), '{"serial":"a3"}', '{"issuer_key":"0badcafe","serial":"a2"}'), NDJSON, "", 2),
            ("Serial,CA\na1,demo\na2,\n", CSV, "?map=serial=Serial,issuer=CA", 2),
            ("161\n", TEXT, "?serial=dec", 1)]:
        status, answer = announce(d, "i", body, kind, query)
        assert status in (200, 201) and answer["hit"] == hit, (body, answer)


def test_what_is_refused_changes_nothing(site):
    d = site()
    assert announce(d, "i", "01\n02\n")[0] == 201
    for body, kind, query, status, word in [
            ("01\nnames: x\n", TEXT, "", 400, "line 2"), ("12345678901\n", TEXT, "", 400, "hexadecimal or decimal"),
            ('{"serial":"1","issuer":"nobody"}\n', NDJSON, "", 400, "line 1"),
            ("01\n", "application/x-pem-file", "", 415, "text/plain"),
            ("01\n", TEXT, "?deadline=tomorrow", 400, "deadline"),
            ("01\n", TEXT, "?deadline=0000-01-01T00:00:00Z", 400, "deadline"),
            ("01\n", TEXT, "?deadline=1970-01-01T00:00:00Z", 400, "deadline"),
            ("01\n", TEXT, "?url=ftp://x", 400, "url"),
            ("01\n", TEXT, "?issuer=nobody", 404, "issuer"), ("01\n", TEXT, "?more=1", 400, "unknown")]:
        got, answer = announce(d, "i", body, kind, query)
        assert got == status and word in answer["error"]["message"], (body, answer)
    assert announce(d, "NO", "01\n")[0] == 400
    assert d.api("POST", "/v1/incidents/i", b"01\n", headers={"Content-Type": TEXT})[0] == 405
    assert incidents(d)[0]["serials"] == 2


def test_a_store_that_keeps_none_says_so(box, feed, daemons, redis):
    feed.publish([])
    d = daemons([feed.issuer()], **dict(FAST, store="memory:")).start()
    assert announce(d, "i", "01\n")[0] == 409
    d = daemons([feed.issuer()], **dict(FAST, store=redis.url)).start()
    status, answer = announce(d, "i", "01\n")
    assert status == 409 and "store-key-file" in answer["error"]["message"]


def test_redis_away_is_503_and_what_is_known_stays(box, feed, daemons, redis, mac_key):
    feed.publish([])
    d = daemons([feed.issuer()], **dict(FAST, store=redis.url, store_key_file=mac_key, store_timeout="500ms",
                                        store_backoff_max="200ms")).start()
    lab.wait(lambda: d.api("GET", "/v1/watchlists/nothing")[0] == 404, 10, "the lists")
    assert put(d, "web", fleet_of([1]))[0] == 201 and announce(d, "i", "01\n")[1]["hit"] == 1
    redis.stop()
    lab.wait(lambda: announce(d, "i", "02\n")[0] == 503, 10, "it is away")
    assert d.api("DELETE", "/v1/incidents/i")[0] == 503
    assert incidents(d)[0]["hit"] == 1


@pytest.fixture
def nodes(feed, daemons, redis, mac_key):
    """Two on one Redis."""
    feed.publish([])
    nodes = [daemons([feed.issuer()], **dict(FAST, store=redis.url, store_key_file=mac_key, store_timeout="500ms",
                                             store_backoff_max="200ms")).start() for _ in range(2)]
    for d in nodes:
        lab.wait(lambda: d.api("GET", "/v1/watchlists/nothing")[0] == 404, 10, "the lists")
        begin(d)
    return nodes


def test_two_nodes_tell_once(nodes):
    """Whichever node it is put on."""
    a, b = nodes
    assert put(a, "web", fleet_of(range(1, 301)))[0] == 201
    assert announce(b, "i", letsencrypt(range(100, 400)))[0] == 201
    lab.wait(lambda: incidents(a) != [], 10, "the incident")
    once = [(n, False) for n in range(100, 301)]
    wait_told(a, once)
    assert b.api("DELETE", "/v1/incidents/i")[0] == 204
    wait_told(a, once + [(n, True) for n in range(100, 301)])


@pytest.mark.long
def test_a_node_that_ends_before_it_has_told_leaves_it_to_the_other(nodes):
    """The one on which it is deleted."""
    a, b = nodes
    assert put(a, "web", fleet_of(range(1, 301)))[0] == 201
    assert announce(b, "i", letsencrypt(range(100, 400)))[0] == 201
    once = [(n, False) for n in range(100, 301)]
    wait_told(a, once)
    b.api("DELETE", "/v1/incidents/i")
    b.kill()
    wait_told(a, once + [(n, True) for n in range(100, 301)], seconds=40)


def test_ocspctl_incident_and_check(box, feed, daemons):
    """Put, listed, shown, taken away; and asked here, without telling anybody."""
    feed.publish([])
    d = daemons([feed.issuer()], **dict(FAST, store="lmdb:%s/store" % box)).start()
    f = fleet.Fleet(box, feed.ca)
    mine = [f.issue(s, "DNS:h%x.example" % s) for s in (0xa1, 0xa2)]
    assert put(d, "web", "".join(mine), fleet.PEM)[0] == 201
    listed = os.path.join(box, "serials.txt")
    with open(listed, "w") as out:
        out.write(letsencrypt([0xa2, 0xa3]))
    ran = d.ctl("incident", "put", "i", listed, "--deadline", DEADLINE, "--link", URL)
    assert ran.returncode == 0 and ran.stdout == "i: 2 serials, 1 of them watched\n", ran
    ran = d.ctl("incident", "list")
    assert ran.returncode == 0 and "i  " + DEADLINE in ran.stdout and URL in ran.stdout, ran
    ran = d.ctl("incident", "show", "i")
    assert ran.returncode == 0 and "ha2.example" in ran.stdout and "ha1" not in ran.stdout, ran
    assert d.ctl("incident", "rm", "i").returncode == 0 and incidents(d) == []
    assert d.ctl("incident", "rm", "i").returncode == 64
    d.stop()
    paths = [f.path("a1.pem"), f.path("a2.pem")]
    ran = d.ctl("check", "--incident", listed, *paths)
    assert ran.returncode == 1 and ran.stdout == "announced  a2  ha2.example  %s\n" % paths[1], ran
    ran = d.ctl("--json", "check", "--incident", listed, *paths)
    assert json.loads(ran.stdout) == {"status": "announced", "serial": "a2", "name": "ha2.example", "file": paths[1]}
    assert d.ctl("check", "--incident", listed, paths[0]).returncode == 0
    assert d.ctl("check", "--incident", listed, listed).returncode == 2
    assert d.ctl("check", "--incident", f.path("nothing"), *paths).returncode == 64
    with open(listed, "a") as out:
        out.write("names\n")
    ran = d.ctl("check", "--incident", listed, *paths)
    assert ran.returncode == 64 and "line 3" in ran.stderr, ran
    for wrong in (["incident", "put"], ["incident", "list", "x"], ["incident", "rm", "--deadline", "x", "y"],
                  ["find", "--incident", "x", "y"]):
        assert d.ctl(*wrong).returncode == 64


def rounds(d, hit, body, n):
    """Kill the daemon in the middle of telling, n times over, at another moment each time."""
    for i in range(n):
        name = "round%d" % i
        status, answer = announce(d, name, body, timeout=120)
        assert status == 201 and answer["hit"] == len(hit), answer
        time.sleep(random.random() * 0.2)  # any moment will do
        d.kill()
        d.start()
        lab.wait(lambda: len(told(d, incident=name)) >= len(hit), 60, name)
        assert sorted(told(d, incident=name)) == sorted((h, False) for h in hit)
        assert d.api("DELETE", "/v1/incidents/" + name, timeout=60)[0] == 204  # a start reads all that there are
        lab.wait(lambda: len(told(d, incident=name)) >= 2 * len(hit), 60, "the end of " + name)
        assert sorted(told(d, incident=name)) == sorted((h, w) for h in hit for w in (False, True))


def test_killed_in_the_middle_it_is_told_once(box, feed, daemons):
    """A small one; the long one has 3,048,289 serials."""
    feed.publish([])
    d = daemons([feed.issuer()], **dict(FAST, store="lmdb:%s/store" % box)).start()
    d.wait_number(feed.url, feed.count)
    begin(d)
    assert put(d, "web", fleet_of(range(1, 2001)))[0] == 201
    rounds(d, range(1001, 2001), letsencrypt(range(1001, 5001)), 2)


def test_what_is_watched_while_it_is_told_is_announced_too(box, feed, daemons):
    """It was matched before, and is not over yet; nor when it is killed in the middle."""
    feed.publish([])
    d = daemons([feed.issuer()], **dict(FAST, store="lmdb:%s/store" % box)).start()
    d.wait_number(feed.url, feed.count)
    begin(d)
    web, late = range(0x1000, 0x5000), [*range(1, 6), *range(0x10001, 0x10006)]  # before all others, and behind them

    def wait_all(name):
        wanted = {(n, False) for n in [*web, *late]}
        lab.wait(lambda: set(told(d, incident=name)) >= wanted, 30, "all of " + name)
        assert set(told(d, incident=name)) == wanted

    def put_late():
        assert put(d, "web", fleet_of(web))[0] in (200, 201)
        assert announce(d, "i", "".join("%x\n" % n for n in [*web, *late]))[1]["hit"] == len(web)
        assert upload(d, "POST", "web", fleet_of(late))[0] == 200

    put_late()
    wait_all("i")
    assert len(told(d)) == len(web) + len(late)  # once
    assert d.api("DELETE", "/v1/incidents/i")[0] == 204
    lab.wait(lambda: len(told(d)) == 2 * (len(web) + len(late)), 30, "its end")
    begin(d)
    put_late()
    d.kill()
    d.start()
    wait_all("i")


def test_replaced_again_before_it_is_told(box, feed, daemons):
    """What each certificate was told last is as it is: announced where it stands on the last one, else taken back."""
    feed.publish([])
    d = daemons([feed.issuer()], **dict(FAST, store="lmdb:%s/store" % box)).start()
    d.wait_number(feed.url, feed.count)
    begin(d)
    web = range(0x1000, 0x3000)
    assert put(d, "web", fleet_of(web))[0] == 201

    def replace(first):
        assert announce(d, "i", "".join("%x\n" % n for n in web[first:]))[0] in (200, 201)

    def wait_last(wanted):
        lab.wait(lambda: {n for n, withdrawn in dict(told(d)).items() if not withdrawn} == set(wanted), 30, "it")

    for _ in range(2):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(replace, range(4)))
    assert d.api("DELETE", "/v1/incidents/i")[0] == 204
    replace(4)
    wait_last(web[4:])
    assert d.api("DELETE", "/v1/incidents/i")[0] == 204
    replace(0)
    wait_last(web)
    replace(len(web))
    wait_last([])


@pytest.mark.long
def test_a_fleet_of_15000_and_a_list_of_3048289(box, feed, daemons):
    """Twenty kills."""
    signal.alarm(3600)
    feed.publish([])
    r = random.Random(7)
    d = daemons([feed.issuer()], **dict(FAST, store="lmdb:%s/store" % box)).start()
    d.wait_number(feed.url, feed.count)
    begin(d)
    mine = [r.getrandbits(120) | 1 << 119 for _ in range(15000)]
    hit = r.sample(mine, 3048)
    body = letsencrypt(hit + [r.getrandbits(120) | 1 << 120 for _ in range(3048289 - len(hit))])
    assert put(d, "web", fleet_of(mine))[0] == 201
    rounds(d, hit, body, 20)
