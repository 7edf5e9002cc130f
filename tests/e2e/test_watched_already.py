"""What is watched and revoked already is told: what a watchlist gains to its own subscribers, and what the first list of
a scope has of watched certificates to everybody; both with previous null, and nothing of it twice or never."""
import http.client
import random
import threading
import time

import pytest

import fleet
import lab
from daemon import FAST
from fleet import Folder, PEM, line, ndjson, put, upload, wait_count
from lists import Feed, entry, idp

CA_CONF = """[ca]
default_ca = x
[x]
database = %(d)s/index.txt
crlnumber = %(d)s/crlnumber
certificate = %(ca)s
private_key = %(key)s
default_md = sha256
default_crl_days = 1
crl_extensions = e
[e]
authorityKeyIdentifier = keyid
"""


def write(path, text):
    with open(path, "w") as f:
        f.write(text)


FIRST = {"previous": None, "status": "revoked", "issuer": "demo"}


class OpensslCA:
    """openssl ca over a fleet's certificates: it revokes them and signs the lists."""

    def __init__(self, f):
        self.fleet, self.conf = f, f.path("ca.conf")
        write(self.conf, CA_CONF % {"d": f.box, "ca": f.ca, "key": f.ca_key})
        write(f.path("index.txt"), "")
        write(f.path("crlnumber"), "77\n")

    def revoke(self, serial, reason):
        fleet.openssl("ca", "-config", self.conf, "-revoke", self.fleet.path("%x.pem" % serial), "-crl_reason", reason)

    def list(self):
        pem = fleet.openssl("ca", "-config", self.conf, "-gencrl")
        return fleet.openssl("crl", "-outform", "DER", input=pem)


def page(d, query):
    status, body = d.api("GET", "/v1/events?" + query, headers={"Accept": "application/json"})
    assert status == 200, body
    return body


def listed(serials):
    return [entry(s, "keyCompromise") for s in sorted(serials)]


def named(serials):
    return ndjson(*(line(s, names=["h%x.example" % s], labels=["owner=x"]) for s in serials))


def check(changes, evidence="crl"):
    for c in changes:
        assert dict(c, **FIRST, evidence=evidence) == c, c


def of(daemons, feed, box, **more):
    return daemons([feed.issuer()], **dict(FAST, store="lmdb:%s/store" % box, position_interval="1s", **more))


def quiet(feed, d, streams_of, serial, seen):
    """One more change: each of these streams gets it, and had nothing before it but what it had."""
    feed.bring(d, listed(set(seen) | {serial}))
    for s, had in streams_of:
        assert s.wait_serials(set(had) | {serial}) == list(had) + [serial]


def test_what_openssl_ca_has_revoked_is_told_to_who_watches_it(box, feed, daemons, streams):
    """R72: when it is added, and only then; to nobody else."""
    f = fleet.Fleet(box, feed.ca)
    ca = OpensslCA(f)
    pems = {s: f.issue(s, "DNS:h%x.example" % s) for s in (0xa1, 0xa2, 0xa3, 0xa4)}
    for s, reason in ((0xa1, "keyCompromise"), (0xa3, "superseded"), (0xa4, "cessationOfOperation")):
        ca.revoke(s, reason)
    feed.publisher.publish(feed.path, ca.list())
    d = of(daemons, feed, box).start()
    d.wait_number(feed.url, 0x77)
    assert put(d, "web", pems[0xa2], PEM)[0] == 201 and put(d, "other", pems[0xa2], PEM)[0] == 201
    web, other, everybody = streams(d, "watchlist=web"), streams(d, "watchlist=other"), streams(d)
    by_issuer = streams(d, "watchlist=web&issuer=demo")
    start = everybody.ready()
    for s in (web, other, by_issuer):
        s.ready()
    assert upload(d, "POST", "web", pems[0xa1], PEM)[0] == 200
    for s in (web, by_issuer):
        assert s.wait_serials({0xa1}) == [0xa1]
    [c] = web.changes()
    assert c.pop("revoked_at").startswith("20")
    assert c == {"serial": "a1", "status": "revoked", "previous": None, "reason": "keyCompromise", "issuer": "demo",
                 "evidence": "crl", "names": ["ha1.example"], "labels": []}
    assert web.got("changes")[0].body["crl_number"] == str(0x77)
    # what is added to is not told again, nor what is put as it was
    assert upload(d, "POST", "web", pems[0xa1] + pems[0xa3] + pems[0xa2], PEM)[0] == 200
    assert web.wait_serials({0xa1, 0xa3}) == [0xa1, 0xa3]
    assert put(d, "web", pems[0xa2] + pems[0xa3] + pems[0xa4], PEM)[0] == 200
    assert web.wait_serials({0xa1, 0xa3, 0xa4}) == [0xa1, 0xa3, 0xa4]
    # in pages
    events = page(d, "watchlist=web&since=" + start)["events"]
    assert [c["serial"] for e in events for c in e["data"]["changes"]] == ["a3", "a4"]  # a1 left the list
    assert all(e["event"] == "changes" and c["previous"] is None for e in events for c in e["data"]["changes"])
    for query in ("", "issuer=demo&", "watchlist=other&"):
        p = page(d, query + "since=" + start)
        assert p["events"] == [] and p["position"] > start
    # nobody else, and not at a restart
    ca.revoke(0xa2, "keyCompromise")
    feed.publisher.publish(feed.path, ca.list())
    d.refresh()
    for s in (other, everybody):
        assert s.wait_serials({0xa2}) == [0xa2]
    place = web.last_id
    d.stop()
    d.start()
    d.wait_number(feed.url, 0x78)
    again = streams(d, "watchlist=web", last=place)
    again.ready()
    assert upload(d, "POST", "web", pems[0xa1], PEM)[0] == 200
    lab.wait(lambda: 0xa1 in again.serials(), 10, "what came back")
    assert again.serials() in ([0xa1], [0xa2, 0xa1])  # a2: where the place was before it


@pytest.mark.parametrize("store", ["lmdb", "memory", "redis"])
def test_what_files_have_gained(box, feed, daemons, streams, redis, store):
    """The first round of a run is no gain of what the last run had."""
    folder = Folder(box)
    folder.signer, folder.issuer = feed.ca.key, feed.ca.cert.subject
    url = {"lmdb": "lmdb:%s/store" % box, "memory": "memory:", "redis": redis.url}[store]
    for i in range(3):
        folder.write("%d.pem" % i, folder.pem(0x100 + i))
    feed.publish(listed({0x101, 0x103}))
    d = daemons([feed.issuer()], **dict(FAST, store=url, state_directory=box + "/state"))
    d.start()  # the list first, so that it is no baseline of what is watched
    d.wait_number(feed.url, feed.count)
    d.watchlists = {"web": {"certificates": folder.path}}
    d.write()
    everybody = streams(d)
    start = everybody.ready()
    d.reload()
    wait_count(d, 3)
    web = streams(d, "watchlist=web&since=" + start)
    assert web.wait_serials({0x101}) == [0x101]
    folder.write("3.pem", folder.pem(0x103))
    assert web.wait_serials({0x101, 0x103}) == [0x101, 0x103]
    check(web.changes())
    place = web.last_id
    if store != "memory":
        d.stop()
        folder.write("4.pem", folder.pem(0x104))
        d.start()
        web = streams(d, "watchlist=web", last=place)
        web.ready()
        wait_count(d, 5)
    else:
        folder.write("4.pem", folder.pem(0x104))
        wait_count(d, 5)
    seen = [] if store != "memory" else [0x101, 0x103]
    quiet(feed, d, [(web, seen)], 0x102, {0x101, 0x103})


def test_what_an_answer_said_is_told_too(box, daemons, worlds, streams):
    """The evidence is OCSP: a latch."""
    world = worlds()
    world.ca.statuses[7] = {"status": "revoked", "reason": "key_compromise"}
    d = daemons([world.issuer()], **dict(FAST, store="lmdb:%s/store" % box)).start()
    everybody = streams(d)
    everybody.ready()
    assert d.ask(world.ca, 7).outcome == "revoked"
    assert everybody.wait_serials({7}) == [7]
    assert put(d, "empty", ndjson(line(9)))[0] == 201
    web = streams(d, "watchlist=empty")
    web.ready()
    assert upload(d, "POST", "empty", named([7, 8]))[0] == 200
    assert web.wait_serials({7}) == [7]
    check(web.changes(), "ocsp")
    assert web.got("changes")[0].body["crl_number"] is None
    assert everybody.serials() == [7]


def test_the_first_list_is_told_of_what_is_watched(box, publisher, daemons, streams):
    """R72: to everybody, whatever watchlist it is; the rest of it is the baseline that it is without."""
    seed = random.Random(5)
    revoked = {0x500000 + 3 * i for i in range(60000)}
    mine = set(seed.sample(sorted(revoked), 300))
    feed = Feed(box, publisher)
    d = of(daemons, feed, box).start(ready=False)
    assert put(d, "web", named(sorted(mine | {1, 2})))[0] == 201
    assert put(d, "more", named(sorted(mine)[:10]))[0] == 201
    everybody = streams(d)
    web, more = streams(d, "watchlist=web"), streams(d, "watchlist=more")
    for s in (everybody, web, more):
        s.ready()
    feed.publish(listed(revoked))
    d.refresh()
    d.wait_number(feed.url, feed.count)
    for s, serials in ((everybody, mine), (web, mine), (more, sorted(mine)[:10])):
        assert sorted(s.wait_serials(serials)) == sorted(serials)
        check(s.changes())
    assert web.changes()[0]["names"] == ["h%s.example" % web.changes()[0]["serial"]]
    assert all(f.body["crl_number"] == "1" for f in everybody.got("changes"))
    had = everybody.serials()
    d.stop()
    d.start()
    d.wait_number(feed.url, feed.count)
    again = streams(d, "since=" + web.last_id)
    again.ready()
    quiet(feed, d, [(again, [])], 1, revoked)
    assert everybody.serials() == had


def test_each_scope_has_a_first_list(box, publisher, daemons, streams):
    parts = [Feed(box, publisher, path="%d.crl" % i) for i in range(2)]
    parts[1].ca = parts[0].ca
    parts[0].ca.write(parts[0].pem)
    parts[0].publish(listed({1, 2}), extensions=[idp(parts[0].url)])
    issuer = parts[0].issuer(crl=[p.url for p in parts])
    d = daemons([issuer], **dict(FAST, store="lmdb:%s/store" % box, position_interval="1s")).start(ready=False)
    d.wait_number(parts[0].url, 1)
    assert put(d, "web", named([1, 3, 5]))[0] == 201
    everybody = streams(d)
    everybody.ready()
    parts[1].publish(listed({3, 4}), extensions=[idp(parts[1].url)])
    d.refresh()
    assert everybody.wait_serials({3}) == [3]
    check(everybody.changes())


def all_told(d, streams, serials, since):
    s = streams(d, "watchlist=web&since=" + since)
    lab.wait(lambda: set(serials) <= set(s.serials()), 20, "%d of %d" % (len(s.serials()), len(serials)))
    check(s.changes())
    s.close()


def killed_at_put(feed, d, streams, rounds, n):
    """kill -9 anywhere from the PUT on: what is on the list is told, now or by the next life."""
    s = streams(d)
    s.ready()
    feed.bring(d, listed(range(0x1000, 0x1000 + rounds * n)))
    s.wait_serials(range(0x1000, 0x1000 + rounds * n), 30)
    since = s.last_id  # behind the moves
    s.close()
    told = 0
    for k in range(rounds):
        mine = range(0x1000 + k * n, 0x1000 + (k + 1) * n)

        def send():
            try:
                put(d, "web", named(mine), timeout=60)
            except (OSError, http.client.HTTPException):
                pass
        t = threading.Thread(target=send)
        t.start()
        time.sleep(random.uniform(0, 0.12))
        d.kill()
        t.join()
        d.start()
        status, found = d.api("GET", "/v1/certificates?watchlist=web&limit=1")
        if status == 200 and found["certificates"] and int(found["certificates"][0]["serial"], 16) in mine:
            told += 1
            all_told(d, streams, mine, since)
    return told


@pytest.mark.parametrize("rounds, n", [(4, 300), pytest.param(20, 3000, marks=pytest.mark.long)])
def test_a_kill_after_a_put_loses_nothing(box, feed, daemons, streams, rounds, n):
    """T23."""
    feed.publish([])
    d = of(daemons, feed, box).start()
    told = killed_at_put(feed, d, streams, rounds, n)
    assert told > 0 or rounds < 20


@pytest.mark.parametrize("rounds, n", [(2, 40000), pytest.param(20, 40000, marks=pytest.mark.long)])
def test_a_kill_in_the_first_list_loses_nothing(box, publisher, daemons, streams, rounds, n):
    """T23: goes on where it was."""
    issuers = [Feed(box, publisher, name="demo" if k == 0 else "demo%d" % k) for k in range(rounds)]
    d = daemons([i.issuer() for i in issuers], **dict(FAST, store="lmdb:%s/store" % box)).start(ready=False)
    s = streams(d)
    since = s.ready()
    s.close()
    mine = range(0x1000, 0x1000 + n, 7)
    body = ndjson(*(line(s, issuer=i.name) for i in issuers for s in mine))
    assert put(d, "web", body, timeout=60)[0] == 201
    for i in issuers:
        i.publish(listed(range(0x1000, 0x1000 + n)))
        d.refresh(i.name)
        time.sleep(random.uniform(0, 0.3))
        d.kill()
        d.start(ready=False)
        d.wait_number(i.url, i.count, i.name)
        s = streams(d, "watchlist=web&issuer=%s&since=%s" % (i.name, since))
        lab.wait(lambda: set(mine) <= set(s.serials()), 20, "%d" % len(s.serials()))
        assert all(c["previous"] is None for c in s.changes())
        s.close()


def test_a_log_that_is_away_holds_nothing_but_time(box, feed, daemons, streams, redis):
    """T23: what is gained meanwhile is told when Redis is back."""
    folder = Folder(box)
    folder.signer, folder.issuer = feed.ca.key, feed.ca.cert.subject
    feed.publish(listed({0x101, 0x102}))
    d = daemons([feed.issuer()], **dict(FAST, store=redis.url, state_directory=box + "/state")).start()
    d.wait_number(feed.url, feed.count)
    d.watchlists = {"web": {"certificates": folder.path}}
    d.write()
    d.reload()
    folder.write("0.pem", folder.pem(0x100))
    wait_count(d, 1)
    redis.stop()
    lab.wait(lambda: d.metric("store_up") == 0, 10, "Redis to be away")
    folder.write("1.pem", folder.pem(0x101))
    wait_count(d, 2)
    lab.wait(lambda: d.metric("changes_waiting") == 1, 10, "the one that waits")
    folder.write("2.pem", folder.pem(0x102))
    wait_count(d, 3)
    redis.start()
    web = streams(d, "watchlist=web&since=00000000-000000000000-00000")
    lab.wait(lambda: d.metric("changes_waiting") == 0, 20, "the log")
    lab.wait(lambda: {0x101, 0x102} <= told_in(d), 20, "both of them")
    assert web.status == 200


def told_in(d):
    """What the log has for web: from its oldest place on."""
    gap = page(d, "watchlist=web&since=00000000-000000000000-00000")["gap"]
    events = page(d, "watchlist=web&since=" + gap["oldest"])["events"]
    return {int(c["serial"], 16) for e in events for c in e["data"]["changes"]}


def test_a_ca_that_is_configured_later(box, feed, publisher, daemons, streams):
    """Its certificates were watched before: what is revoked of them is told when it is known whose they are."""
    later = Feed(box, publisher, name="later")
    f = fleet.Fleet(box, later.ca)
    later.publish(listed({0xa1}))
    d = of(daemons, feed, box).start()
    d.wait_number(feed.url, feed.count)
    assert put(d, "web", f.issue(0xa1, "DNS:a1.example") + f.issue(0xa2, "DNS:a2.example"), PEM)[0] == 201
    web = streams(d, "watchlist=web")
    web.ready()
    d.issuers.append(later.issuer())
    d.write()
    d.reload()
    lab.wait(lambda: 0xa1 in web.serials(), 10, "the revoked one")
    assert set(web.serials()) == {0xa1}
    assert all(c["previous"] is None and c["issuer"] == "later" and c["names"] == ["a1.example"] for c in web.changes())
