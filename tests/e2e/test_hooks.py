"""Webhooks as they are delivered: signed, in order, one at a time, nothing lost (T7, T21-T23).

The receivers are the tests' own (hook_kit.py), which verify each body.
"""
import json
import os
import random
import time

import pytest

import egress
import hook_kit
import lab
import lists
from daemon import FAST
from hook_kit import Receiver, new_pair, new_secret, put, shown
from lists import entry, many
from token_kit import ALL, block

FIRST = 1 << 60
LOOPBACK = dict(FAST, store="lmdb:", webhook_allow_address=["127.0.0.0/8"], webhook_retry=["1s"])


@pytest.fixture
def receivers():
    made = []

    def make(**more):
        made.append(Receiver(**dict({"secret": new_secret()}, **more)))
        return made[-1]
    yield make
    for r in made:
        r.close()


@pytest.fixture
def hooked(box, feed, daemons):
    """A daemon with webhooks to loopback."""
    def make(**more):
        options = dict(LOOPBACK, **more)
        if options["store"] == "lmdb:":
            options["store"] = "lmdb:" + os.path.join(box, "store")
        return daemons([feed.issuer()], **options).start()
    return make


def events(d, since=""):
    """Of the log: (id, data) of each event."""
    status, page = d.api("GET", "/v1/events" + since, headers={"Accept": "application/json"})
    assert status == 200
    return [(e["id"], e["data"]) for e in page["events"]]


def test_a_change_is_told_and_signed(hooked, feed, receivers, streams):
    """T21: by each secret; the id is that of the event, the data too."""
    private, public = new_pair()
    d, r = hooked(), receivers(public=public)
    s = streams(d)
    s.ready()
    put(d, "chat", r.url, secrets=[new_secret(), private])
    feed.bring(d, [entry(1), entry(2, "keyCompromise")])
    t = r.wait(1)[0]
    hook_kit.verify(t.headers, t.body, secret=new_secret())
    hook_kit.verify(t.headers, t.body, public=public)
    with pytest.raises(AssertionError):
        hook_kit.verify(t.headers, t.body + b" ", secret=new_secret())
    event = s.wait("changes")
    assert t.id == event.id and t.json["data"] == json.loads(event.data) and t.json["type"] == "changes"
    assert t.json["timestamp"] == json.loads(event.data)["seen_at"]
    assert t.headers["Content-Type"] == "application/json" and t.headers["User-Agent"].startswith("ocspcached/")
    lab.wait(lambda: shown(d, "chat")["position"] in (event.id, None), 10, "its position")


def test_what_fails_is_tried_again_in_order(hooked, feed, receivers):
    """R72, T7, T23: the same id in every try, what follows waits, and a redirect leads nowhere.

    A machine that stalls makes a failure more, of what was answered too late."""
    d, trap = hooked(webhook_timeout="500ms"), receivers()
    failures = [[500, 404], [(302, {"Location": trap.url})], ["hang"], [(429, {"Retry-After": "2"})]]
    told = [receivers() for _ in failures]
    for i, r in enumerate(told):
        r.answers = list(failures[i])
        put(d, "w%d" % i, r.url)
    feed.bring(d, [entry(1), entry(2)])
    for r in told:
        lab.wait(lambda: r.tried, 15, "a try")
    feed.bring(d, [entry(1), entry(2), entry(3)])
    for r, failed in zip(told, failures):
        taken = r.wait(2, 60)
        first = r.tried[:len(failed) + 1]
        assert len({t.id for t in first}) == 1 and len({t.body for t in first}) == 1
        assert [c["serial"] for c in r.changes()] == ["2", "3"] and taken[0].id < taken[1].id
    assert told[3].tried[1].at - told[3].tried[0].at >= 2  # Retry-After
    assert not trap.tried and not trap.wrong
    assert d.metric("webhook_tries_total", result="failed") >= 5
    assert len(d.events("webhook_failed")) >= 5
    lab.wait(lambda: len(d.events("webhook_works")) >= 4, 10, "all work again")


def test_who_is_gone_is_told_nothing_more(hooked, feed, receivers):
    """410; and enabled again it goes on where it was."""
    d, r = hooked(), receivers()
    put(d, "chat", r.url)
    r.answers = [410]
    feed.bring(d, [entry(1), entry(2)])
    d.wait_event("webhook_disabled")
    feed.bring(d, [entry(1), entry(2), entry(3)])
    assert shown(d, "chat")["disabled"] is True
    alarms = [a for a in d.api("GET", "/v1/alarms")[1] if a["alarm"] == "webhook_disabled"]
    assert [a["subject"] for a in alarms] == ["chat"]
    assert len(r.tried) == 1
    put(d, "chat", r.url, disabled=False)
    r.wait(2)
    assert [c["serial"] for c in r.changes()] == ["2", "3"]
    assert shown(d, "chat")["disabled"] is False
    lab.wait(lambda: not [a for a in d.api("GET", "/v1/alarms")[1] if a["alarm"] == "webhook_disabled"], 10, "no alarm")


def test_where_a_webhook_may_not_lead(hooked, feed, receivers):
    """T7: loopback in every spelling that was taken while it was allowed, and leads there no more."""
    r, d, names = receivers(), hooked(webhook_allow_address=["127.0.0.0/8", "0.0.0.0/8", "::1/128"]), []
    for i, host in enumerate(["127.0.0.1", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "[::ffff:127.0.0.1]",
                              "[::ffff:7f00:1]", "localhost", "0.0.0.0", "127.255.0.1", "[64:ff9b::7f00:1]"]):
        status, body = d.api("PUT", "/v1/webhooks/w%d" % i, {"url": "http://%s:%d/" % (host, r.port),
                                                             "secrets": [new_secret()]})
        if status == 201:  # some spellings are no host for us
            names.append("w%d" % i)
    assert len(names) >= 4
    d.options["webhook-allow-address"] = ["10.0.0.0/8"]
    d.write()
    d.reload()
    feed.bring(d, [entry(1), entry(2)])
    lab.wait(lambda: all(shown(d, n)["last_error"] for n in names), 15, "all refused")
    assert all("not public" in shown(d, n)["last_error"] for n in names)
    assert not r.tried and not r.wrong


def test_our_own_listeners_are_not_called(hooked, feed):
    """T7: also where the address is allowed, and the listener is one of all addresses."""
    port = lab.free_port()
    d = hooked(listen=["127.0.0.1:%d" % lab.free_port(), "0.0.0.0:%d" % port],
               webhook_allow_address=["127.0.0.0/8", "0.0.0.0/8"])
    before = d.metric("http_requests_total")
    own = ["http://127.0.0.1:%d/" % d.api_port, "http://127.0.0.1:%d/" % port, "http://127.7.7.7:%d/" % port,
           "http://0.0.0.0:%d/" % port, "http://0.0.0.0:%d/v1/purge" % d.api_port]
    names = ["own%d" % i for i in range(len(own))]
    for name, url in zip(names, own):
        put(d, name, url)
    feed.bring(d, [entry(1), entry(2)])
    lab.wait(lambda: all(shown(d, n)["last_error"] for n in names), 15, "all refused")
    assert all("ourselves" in shown(d, n)["last_error"] for n in names)
    assert d.metric("http_requests_total") == before


def test_who_hangs_costs_the_others_nothing(hooked, feed, receivers):
    """T22: half of them hang; the others are told while the hanging ones still do."""
    d, well, hanging = hooked(webhook_timeout="30s"), receivers(), receivers()
    hanging.answers = ["hang"] * 1000
    for i in range(60):
        put(d, "w%02d" % i, (well if i % 2 else hanging).url + "/%d" % i)
    for n in range(2, 5):
        feed.bring(d, [entry(i) for i in range(1, n + 1)])

    def told(i):
        mine = [t for t in list(well.tried) if t.path.endswith("/%d" % i) and t.status]
        return [c["serial"] for t in mine for c in t.json["data"]["changes"]]
    lab.wait(lambda: all(told(i) == ["2", "3", "4"] for i in range(1, 60, 2)), 25, "all that are well")
    assert {t.status for t in hanging.tried} == {0}  # not one has had its answer


def test_an_alarm_is_told(hooked, feed, receivers):
    """Of a receiver that is gone, to one that is not; and that it is over."""
    d, r, gone = hooked(), receivers(), receivers()
    put(d, "ops", r.url, types=["alarms"])
    put(d, "gone", gone.url)
    gone.answers = [410]
    feed.bring(d, [entry(1), entry(2)])

    def told(which):
        return [a for t in r.taken if t.json["type"] == "alarms" for a in t.json["data"][which]
                if a["alarm"] == "webhook_disabled"]
    lab.wait(lambda: told("raised"), 20, "the alarm")
    assert told("raised")[0]["subject"] == "gone" and told("raised")[0]["detail"].startswith("HTTP status 410")
    put(d, "gone", gone.url, disabled=False)
    lab.wait(lambda: told("cleared"), 20, "its end")
    assert not r.wrong


def test_a_receiver_of_https_is_told_when_its_ca_is_trusted(box, hooked, feed, receivers):
    """By a private CA that upstream-tls-ca names; another one's is told nothing, and why is shown."""
    ours, theirs = lab.CA("Our web CA"), lab.CA("Another web CA")
    trusted, stranger = receivers(), receivers()
    for r, ca in ((trusted, ours), (stranger, theirs)):
        egress.speak_tls(r.server, ca.issue("localhost"), box)
    d = hooked(upstream_tls_ca=ours.write(os.path.join(box, "web.pem")),
               webhook_allow_address=["127.0.0.0/8", "::1/128"])
    put(d, "trusted", "https://localhost:%d/hook" % trusted.port)
    put(d, "stranger", "https://localhost:%d/hook" % stranger.port)
    put(d, "wrong", "https://127.0.0.1:%d/hook" % trusted.port)  # a name that is not in its certificate
    feed.bring(d, [entry(1), entry(2)])
    trusted.wait(1)
    assert [c["serial"] for c in trusted.changes()] == ["2"]
    error = lab.wait(lambda: shown(d, "stranger")["last_error"], 15, "the refusal")
    assert "certificate" in error and "upstream-tls-ca" in error
    assert lab.wait(lambda: shown(d, "wrong")["last_error"], 15, "the refusal of another name")
    assert not stranger.tried and shown(d, "wrong")["last_success"] is None
    # trusted from now on: what waited comes
    d.options["upstream-tls-ca"] = theirs.write(os.path.join(box, "theirs.pem"))
    d.write()
    d.reload()
    stranger.wait(1)
    assert [c["serial"] for c in stranger.changes()] == ["2"]


def test_a_token_of_one_issuer_is_told_nothing_of_another(box, feed, publisher, daemons, receivers):
    """T21: neither changes nor alarms; another token's webhook shows that there were both, before."""
    other, mine, all_ = lists.Feed(box, publisher, "other"), receivers(), receivers()
    other.publish([entry(1)])
    d = daemons([feed.issuer(), other.issuer()], **dict(LOOPBACK, store="lmdb:" + os.path.join(box, "store")))
    d.tokens = {"all": block("t-all"), "demo": block("t-demo", ALL, issuers=["demo"])}
    d.token = "t-all"
    d.write()
    d.start()
    put(d, "all", all_.url, types=["changes", "alarms"])
    d.token = "t-demo"
    put(d, "mine", mine.url, types=["changes", "alarms"])
    d.token = "t-all"
    other.bring(d, [entry(1), entry(0x77)])
    publisher.publish(other.path, b"<html>")
    d.refresh("other")
    lab.wait(lambda: {t.json["type"] for t in all_.taken if b'"other"' in t.body} == {"changes", "alarms"}, 20,
             "both, of the other one")
    feed.bring(d, [entry(1), entry(2)])
    lab.wait(lambda: mine.changes(), 20, "its own")
    assert [c["serial"] for c in mine.changes()] == ["2"] and not mine.wrong
    assert not [t.body for t in mine.tried if b"other" in t.body]


@pytest.mark.long
def test_a_thousand_of_which_half_hang(hooked, feed, receivers):
    """T22: once they are known, those who hang cost the five hundred others nothing."""
    d, well, hanging = hooked(webhook_timeout="120s"), receivers(), receivers()
    hanging.answers = ["hang"] * 2000
    for i in range(1000):
        put(d, "w%03d" % i, (well if i % 2 else hanging).url + "/%d" % i)
    for n in (2, 3):
        feed.bring(d, [entry(i) for i in range(1, n + 1)])
        lab.wait(lambda: len([t for t in list(well.tried) if t.status]) == 500 * (n - 1), 60, "500 messages")
    assert len(hanging.tried) == 500 and {t.status for t in hanging.tried} == {0}


def test_filters(hooked, feed, receivers):
    d, all_, none, mine = hooked(), receivers(), receivers(), receivers()
    body = '{"issuer":"demo","serial":"3","names":["pay.example"],"labels":["owner=x"]}\n'
    assert d.api("PUT", "/v1/watchlists/fleet", body, headers={"Content-Type": "application/x-ndjson"})[0] == 201
    put(d, "all", all_.url, issuer="demo")
    put(d, "alarms", none.url, types=["alarms"])
    put(d, "mine", mine.url, watchlist="fleet")
    feed.bring(d, [entry(i) for i in range(1, 6)])
    all_.wait(1), mine.wait(1)
    assert {c["serial"] for c in all_.changes()} == {"2", "3", "4", "5"}
    assert [(c["serial"], c["names"], c["labels"]) for c in mine.changes()] == [("3", ["pay.example"], ["owner=x"])]
    assert not [t for t in none.tried if t.json["type"] != "alarms"]


def test_a_mass_event(hooked, feed, receivers):
    """Bodies of at most 20 kB, and of more than a thousand of a list one thin one."""
    d, r = hooked(api_url="https://api.example"), receivers()
    put(d, "chat", r.url)
    feed.bring(d, [entry(1), many(FIRST, 900)])
    lab.wait(lambda: len(r.changes()) == 900, 20, "900 changes")
    assert all(len(t.body) <= 20000 for t in r.tried) and len(r.taken) >= 6
    assert [t.id for t in r.taken] == sorted(t.id for t in r.taken)
    n = len(r.taken)
    feed.bring(d, [entry(1), many(FIRST, 26000)])
    thin = r.wait(n + 1)[n]
    assert thin.json["type"] == "changes.many"
    data = thin.json["data"]
    assert data["count"] == 25100 and data["last"] == thin.id and data["first"] == r.taken[n - 1].id
    assert data["url"].startswith("https://api.example/v1/events?since=%s" % data["first"])
    # the rest is there
    since, serials = data["first"], set()
    while since < data["last"]:
        page = d.api("GET", "/v1/events?since=" + since, headers={"Accept": "application/json"})[1]
        serials |= {c["serial"] for e in page["events"] for c in e["data"]["changes"]}
        since = page["position"]
    assert len(serials) == 25100


def test_what_is_no_longer_kept_is_a_gap(hooked, feed, receivers):
    """T23: told as such, and what is kept follows."""
    d, r = hooked(events_size="1M"), receivers()
    put(d, "chat", r.url, disabled=True)
    for n in range(1, 7):
        feed.bring(d, [entry(1), many(FIRST, 10000 * n)])
    put(d, "chat", r.url, disabled=False)
    gap = r.wait(2, 20)[0]
    assert gap.json["type"] == "gap" and gap.id == "gap-" + gap.json["data"]["since"]
    assert all(t.id > gap.json["data"]["oldest"] for t in r.taken[1:])


def rounds(nodes, feed, r, n, rng):
    """Changes come while a node is killed and started again, n times; what was taken has them all, in order."""
    serials, bodies = 1, {}
    for i in range(n):
        serials += rng.choice([1, 40, 400])
        d = rng.choice(nodes)
        feed.publish([entry(1), many(FIRST, serials)])
        for node in nodes:
            node.refresh()
        time.sleep(rng.random() * 0.6)  # anywhere in it
        # each failure is a second's pause, and one of a round is enough where there are few
        r.answers = rng.choices([204, 500, (302, {"Location": r.url})], [12, 1, 1], k=20) if n > 3 else [204, 500]
        d.kill()
        d.start()
    serials += 1
    feed.publish([entry(1), many(FIRST, serials)])
    nodes[0].refresh()
    wanted = sorted("%x" % (FIRST + i) for i in range(serials))
    r.answers = []
    try:
        lab.wait(lambda: len(r.changes()) >= len(wanted), 90, "all changes")
    except AssertionError as e:
        raise AssertionError("%s: %d of %d; %r\n%s" % (e, len(r.changes()), len(wanted), shown(nodes[0], "chat"),
                                                       nodes[0].log[-3000:]))
    assert not r.wrong, r.wrong
    for t in r.tried:  # the same id, the same body
        assert bodies.setdefault(t.id, t.body) == t.body
    ids = [t.id for t in r.taken]
    assert ids == sorted(ids)
    assert sorted(c["serial"] for c in r.changes()) == wanted, "twice under two ids, or not wanted"


ROUNDS = pytest.mark.parametrize("n", [3, pytest.param(20, marks=pytest.mark.long)])


@ROUNDS
def test_kills_lose_nothing(hooked, feed, receivers, n):
    """T23: killed with -9 at random points of mass events."""
    d, r = hooked(), receivers()
    put(d, "chat", r.url)
    rounds([d], feed, r, n, random.Random(15))


@ROUNDS
def test_two_nodes_lose_nothing(feed, daemons, receivers, redis, mac_key, n):
    """T23: the same on Redis, where another node goes on."""
    options = dict(LOOPBACK, store=redis.url, store_key_file=mac_key, store_backoff_max="200ms")
    nodes, r = [daemons([feed.issuer()], **options).start() for _ in range(2)], receivers()
    put(nodes[0], "chat", r.url)
    rounds(nodes, feed, r, n, random.Random(16))
