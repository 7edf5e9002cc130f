"""Renewal information (RFC 9773): watched certificates are asked for, and what a CA announces by it is told."""
import os
import random
import re
import subprocess
import textwrap
import time

import pytest

import acme
import daemon
import fleet
import lab
from daemon import FAST
from fleet import PEM, find, put

TOP_BIT = 0xfedcba9876543210fedcba9876543210fedcba98  # 20 octets, and a 00 in front


def key_id(ca):
    return ca.asn1.key_identifier_value.native


def issuer(ca, box, a, **more):
    pem = ca.write(os.path.join(box, "demo.pem"))
    return dict({"name": "demo", "certificate": pem, "ocsp": ["http://127.0.0.1:1/"], "ari": a.directory}, **more)


def page(d, query=""):
    return d.api("GET", "/v1/events" + query, headers={"Accept": "application/json"})[1]


def notices(d, since, query=""):
    return [e["data"] for e in page(d, "?since=%s%s" % (since, query))["events"] if e["event"] == "notices"]


def alarms(d, name):
    return [x for x in d.api("GET", "/v1/alarms")[1] if x["alarm"] == name]


def test_an_incident_is_seen_at_the_first_answer_that_shows_it(box, daemons, streams):
    """R146, R147, R148: a serial with its first bit set, one of a few octets; the window moves and comes back."""
    ca = lab.CA("demo CA")
    f = fleet.Fleet(box, ca)
    bundle = f.issue(0x0a1, "DNS:www.shop.example") + f.issue(TOP_BIT, "DNS:mail.shop.example")
    ids = [acme.certid(key_id(ca), s) for s in (0xa1, TOP_BIT)]
    a = acme.ACME(retry_after="1")
    d = daemons([issuer(ca, box, a)], store="lmdb:%s/store" % box, ari_interval_min="1s", ari_rate=100,
                **FAST).start()
    try:
        start = page(d)["position"]
        assert put(d, "web", bundle, PEM)[0] == 201
        lab.wait(lambda: {x.certid for x in a.asked} == set(ids), 15, "both were asked for, by the RFC's names")
        lab.wait(lambda: len(a.times(ids[0])) >= 2, 15, "asked again")
        times = a.times(ids[0])
        assert all(y - x >= 0.99 for x, y in zip(times, times[1:])), "never before Retry-After"
        assert alarms(d, "incident_open") == []
        a.incident([ids[1]])
        lab.wait(lambda: alarms(d, "incident_open"), 15, "the alarm")
        lab.wait(lambda: notices(d, start), 15, "the notice")
        ari = d.api("GET", "/v1/explain/demo/%x" % TOP_BIT)[1]["ari"]
        first, last = a.windows_of_incident
        assert (ari["window_start"], ari["window_end"]) == (acme.text(first), acme.text(last))
        assert ari["explanation_url"] == "https://ca.example/incident" and ari["last_error"] is None
        assert ari["asked_at"] < ari["next_ask_at"]
        r = d.ctl("explain", f.path("%x.pem" % TOP_BIT))
        assert "renew from  " + acme.text(first) in r.stdout and "because     https://ca.example/incident" in r.stdout
        alarm = alarms(d, "incident_open")[0]
        assert alarm["issuer"] == "demo" and "https://ca.example/incident" in alarm["detail"]
        rows = find(d, "notice=ari")
        assert [(r["serial"], r["notices"]) for r in rows] == [
            ("%x" % TOP_BIT, [{"source": "ari", "incident": None, "deadline": None,
                               "url": "https://ca.example/incident"}])]
        assert find(d, "notice=incident") == [] and len(find(d, "watchlist=web")) == 2
        lab.wait(lambda: fleet.watchlist(d, "web")["announced"] == 1, 10, "the count")
        for query in ("snapshot=1", "snapshot=1&watchlist=web"):
            told = streams(d, query)
            told.ready()
            [standing] = [e.body for e in told.got("snapshot") if "notices" in e.body]
            assert standing["source"] == "ari" and standing["url"] == "https://ca.example/incident"
            assert [(n["serial"], n["replace_before"]) for n in standing["notices"]] == [
                ("%x" % TOP_BIT, acme.text(last))]
        a.close_incident([ids[1]])
        lab.wait(lambda: not alarms(d, "incident_open"), 15, "the alarm to be over")
        lab.wait(lambda: len(notices(d, start)) == 2, 15, "the withdrawal")
        told, back = notices(d, start, "&watchlist=web")
        first, last = a.windows_of_incident
        assert told["source"] == "ari" and told["incident"] is None and told["issuer"] == "demo"
        assert told["url"] == "https://ca.example/incident"
        assert told["notices"] == [{"serial": "%x" % TOP_BIT, "names": ["mail.shop.example"], "labels": [],
                                    "replace_after": acme.text(first), "replace_before": acme.text(last),
                                    "withdrawn": False}]
        assert [(n["serial"], n["withdrawn"]) for n in back["notices"]] == [("%x" % TOP_BIT, True)]
        assert a.directories == 1 and a.most_in_flight <= 2
    finally:
        a.stop()


def test_the_recipes_renew_what_is_announced(box, daemons):
    """certbot's recipe as it stands, told by `watch --notices`, and Caddy's script out of its page."""
    ca = lab.CA("demo CA")
    f = fleet.Fleet(box, ca)
    bundle = f.issue(0xa1, "DNS:www.shop.example") + f.issue(0xa2, "DNS:mail.shop.example")
    live, issuers, log = (os.path.join(box, n) for n in ("etc/live", "issuers", "log"))
    for name, serial in (("www", 0xa1), ("mail", 0xa2)):
        for folder, file in ((os.path.join(live, name), "cert.pem"),
                             (os.path.join(box, "caddy/certificates/ca", name), name + ".crt")):
            os.makedirs(folder)
            with open(os.path.join(folder, file), "w") as out:
                out.write(f.pem(serial))
    os.makedirs(issuers)
    ca.write(os.path.join(issuers, "demo.pem"))
    certbot, caddy = os.path.join(box, "certbot"), os.path.join(box, "caddy-renew")
    with open(certbot, "w") as out:
        out.write('#!/bin/sh\necho "$@" >>%s\n' % log)
    with open(os.path.join(daemon.TOP, "conf/recipes/ari.md")) as page_of:
        script = re.search(r"caddy-renew`:\n\n((?:    .*\n|\n)+)", page_of.read()).group(1)
    with open(caddy, "w") as out:
        out.write(textwrap.dedent(script))
    os.chmod(certbot, 0o755)
    os.chmod(caddy, 0o755)
    a = acme.ACME(retry_after="1")
    d = daemons([issuer(ca, box, a)], store="lmdb:%s/store" % box, ari_interval_min="1s", ari_rate=100,
                **FAST).start()
    env = dict(os.environ, LIVE=live, CERTBOT=certbot, ISSUERS=issuers, CADDY=os.path.join(box, "caddy"),
               RELOAD=certbot + " reload")
    assert put(d, "web", bundle, PEM)[0] == 201
    watches = [subprocess.Popen([daemon.CLIENT, "--url", "http://127.0.0.1:%d" % d.api_port, "watch", "--notices",
                                 "--place", os.path.join(box, "place%d" % n), *args], env=env)
               for n, args in enumerate((["--batch", "--exec", os.path.join(daemon.TOP,
                                                                            "conf/recipes/renew-when-revoked")],
                                         ["--watchlist", "web", "--exec", caddy]))]
    try:
        lab.wait(lambda: d.metric("subscribers") == 2, 15, "both watchers")
        lab.wait(lambda: len({x.certid for x in a.asked}) == 2, 15, "the first round")
        a.incident([acme.certid(key_id(ca), 0xa1)])

        def done():
            try:
                with open(log) as lines:
                    return sorted(set(lines.read().splitlines()))
            except FileNotFoundError:
                return []
        lab.wait(lambda: len(done()) == 2, 20, "certbot and Caddy")
        assert done() == ["reload", "renew --cert-name www --force-renewal --non-interactive"]
        there = os.path.join(box, "caddy/certificates/ca")
        assert os.listdir(os.path.join(there, "www")) == ["www.crt.announced"]
        assert os.listdir(os.path.join(there, "mail")) == ["mail.crt"]
    finally:
        for w in watches:
            w.terminate()
            w.wait()
        a.stop()


def test_a_ca_that_answers_badly_is_asked_politely(box, daemons):
    """R147, T7: 404, 429, an end before the start, a redirect, garbage, a body without end, another origin."""
    ca = lab.CA("demo CA")
    f = fleet.Fleet(box, ca)
    serials = [0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6]
    bundle = "".join(f.issue(s, "DNS:h%x.example" % s) for s in serials)
    ids = [acme.certid(key_id(ca), s) for s in serials]
    a = acme.ACME(retry_after="1")
    a.status[ids[0]] = 404
    a.windows[ids[1]] = acme.window(3, 2)
    a.status[ids[2]], a.headers[ids[2]] = 302, {"Location": a.base + "/renewal-info/" + ids[5]}
    a.bodies[ids[3]] = b"\xff\x00garbage"
    a.bodies[ids[4]] = b"{" + b" " * 20000 + b"}"
    d = daemons([issuer(ca, box, a)], store="lmdb:%s/store" % box, ari_interval_min="1s", ari_rate=100,
                **FAST).start()

    def error(n):
        return (d.api("GET", "/v1/explain/demo/%x" % serials[n])[1]["ari"] or {}).get("last_error")
    try:
        assert put(d, "web", bundle, PEM)[0] == 201
        lab.wait(lambda: len(a.times(ids[5])) >= 3, 20, "the one that is well is asked again")
        assert [len(a.times(i)) for i in ids[:5]] == [1] * 5  # a minute and more
        for n, word in ((0, "404"), (1, "ends before it starts"), (2, "302"), (3, "no JSON object"), (4, "")):
            lab.wait(lambda n=n, word=word: word in (error(n) or "-"), 15, "what is wrong with %d" % n)
        assert d.metric("ari_failed_total") == 5
        a.halt, a.halt_retry_after = 429, "3600"
        lab.wait(lambda: d.events("ari_halted"), 15, "the whole CA is left alone")
        n = len(a.asked)
        time.sleep(2.5)
        assert len(a.asked) <= n + 1  # what was under way
        d.kill()
        a.halt, a.renewal_info = None, "http://127.0.0.2:%d/renewal-info" % a.server.server_address[1]
        d.start()  # another origin, on a private address: a stranger's word
        serials.append(0xb7)
        assert put(d, "new", f.issue(0xb7, "DNS:new.example"), PEM)[0] == 201
        lab.wait(lambda: "not from the configuration" in (error(6) or ""), 15, "T7")
        assert len(a.asked) <= n + 1 and len(d.events("ari_failed")) >= 6
    finally:
        a.stop()


def test_who_is_replaced_is_asked_no_more(box, daemons):
    """A newer certificate with all of its names stands on the list: the CA's word on the old one is of no use."""
    ca = lab.CA("demo CA")
    f = fleet.Fleet(box, ca)
    old = f.issue(0xc1, "DNS:www.shop.example", "DNS:shop.example")
    other = f.issue(0xc2, "DNS:mail.shop.example")
    a = acme.ACME(retry_after="1")
    ids = [acme.certid(key_id(ca), s) for s in (0xc1, 0xc2, 0xc3)]
    d = daemons([issuer(ca, box, a)], store="lmdb:%s/store" % box, ari_interval_min="1s", ari_rate=100,
                **FAST).start()
    try:
        assert put(d, "web", old + other, PEM)[0] == 201
        lab.wait(lambda: a.times(ids[0]) and a.times(ids[1]), 15, "both")
        time.sleep(1.1)  # its notBefore is in seconds
        newer = f.issue(0xc3, "DNS:shop.example", "DNS:www.shop.example")
        assert fleet.upload(d, "POST", "web", newer, PEM)[0] == 200
        lab.wait(lambda: a.times(ids[2]), 15, "the newer one")
        n = len(a.times(ids[0]))
        lab.wait(lambda: len(a.times(ids[1])) > n + 3, 30, "the other one goes on")
        assert len(a.times(ids[0])) <= n + 1
    finally:
        a.stop()


def test_by_tls_of_a_private_ca_whose_clock_is_wrong(box, daemons):
    """upstream-tls-ca; a Retry-After that is a date is seen by the answer's own Date (R147)."""
    ca, web = lab.CA("demo CA"), lab.CA("web CA")
    f = fleet.Fleet(box, ca)
    bundle = f.issue(0xd1, "DNS:www.shop.example")
    id_ = acme.certid(key_id(ca), 0xd1)
    a = acme.ACME(party=web.issue("localhost"), box=box)
    a.clock_s = -86400 * 1000
    at = time.time() + a.clock_s + 7200
    a.retry_after = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(at))
    d = daemons([issuer(ca, box, a)], store="lmdb:%s/store" % box, ari_rate=100, **FAST).start()
    try:
        assert put(d, "web", bundle, PEM)[0] == 201
        d.wait_event("ari_directory_failed", seconds=15)
        assert a.directories == 0 and not a.asked, "a CA that nobody knows is not talked to"
        d.options["upstream-tls-ca"] = web.write(os.path.join(box, "web.pem"))
        d.write()
        d.kill()
        d.start()
        lab.wait(lambda: a.times(id_), 15, "the question")

        def known():
            return d.api("GET", "/v1/explain/demo/d1")[1]["ari"]
        lab.wait(lambda: known() and known()["asked_at"], 15, "the answer")
        wait_s = (lab.datetime.datetime.fromisoformat(known()["next_ask_at"][:-1])
                  - lab.datetime.datetime.fromisoformat(known()["asked_at"][:-1])).total_seconds()
        assert 7000 < wait_s < 2 * 7300
    finally:
        a.stop()


def test_key_identifiers_that_are_no_hash(box, daemons):
    """R146: of three octets and of sixty-four, with serials of a zero in front, of 20 octets and of one bit."""
    a = acme.ACME(retry_after="3600")
    issuers, ids, bundle = [], set(), ""
    for n, key_identifier in enumerate((b"\x00\xff\x01", bytes(range(192, 256)))):
        ca = lab.CA("CA %d" % n, key_id=key_identifier)
        name = "ca%d" % n
        issuers.append(issuer(ca, box, a, name=name, certificate=ca.write(os.path.join(box, name + ".pem"))))
        os.mkdir(os.path.join(box, name))
        f = fleet.Fleet(os.path.join(box, name), ca)
        for serial in (0x80 + n, TOP_BIT + n, (1 << 152) + n, 1 + n):
            bundle += f.issue(serial, "DNS:h%x.example" % serial)
            ids.add(acme.certid(key_identifier, serial))
    d = daemons(issuers, store="lmdb:%s/store" % box, ari_rate=100, **FAST).start()
    try:
        assert put(d, "web", bundle, PEM)[0] == 201
        lab.wait(lambda: len(a.asked) >= len(ids), 15, "all of them")
        assert {x.certid for x in a.asked} == ids
        assert d.api("GET", "/v1/explain/ca1/%x" % (TOP_BIT + 1))[1]["ari"]["last_error"] is None
        lab.wait(lambda: d.metric("ari_oldest_seconds") >= 1, 15, "the age of what is known")
    finally:
        a.stop()


def kill_in_an_incident(box, daemons, rounds):
    ca = lab.CA("demo CA")
    f = fleet.Fleet(box, ca)
    all_of = list(range(0x100, 0x100 + 2 * rounds))
    bundle = "".join(f.issue(s, "DNS:h%x.example" % s) for s in all_of)
    ids = {s: acme.certid(key_id(ca), s) for s in all_of}
    a = acme.ACME(retry_after="1")
    d = daemons([issuer(ca, box, a)], store="lmdb:%s/store" % box, ari_interval_min="1s", ari_rate=200,
                **FAST).start()
    start = page(d)["position"]
    try:
        assert put(d, "web", bundle, PEM)[0] == 201
        lab.wait(lambda: {x.certid for x in a.asked} == set(ids.values()), 15, "the first round")
        for n in range(rounds):
            now = all_of[2 * n:2 * n + 2]
            before = [len(a.times(ids[s])) for s in now]
            a.incident([ids[s] for s in now])
            lab.wait(lambda now=now, before=before: [len(a.times(ids[s])) for s in now] > before, 15, "asked")
            time.sleep(random.random() / 50)  # anywhere in what follows
            d.kill()
            d.start()
        lab.wait(lambda: {s for s, w in flags(d, start)} == {"%x" % s for s in all_of}, 30, "all of them told")
        told = flags(d, start)
        assert not any(w for _, w in told) and len(told) <= len(all_of) + 2 * rounds
        assert len(alarms(d, "incident_open")) == 1
        a.close_incident(ids.values())
        lab.wait(lambda: len([1 for _, w in flags(d, start) if w]) == len(all_of), 30, "each withdrawn, once")
        lab.wait(lambda: not alarms(d, "incident_open"), 10, "the alarm to be over")
    finally:
        a.stop()


def test_three_kills_in_an_incident_lose_nothing(box, daemons):
    kill_in_an_incident(box, daemons, 3)


@pytest.mark.long
def test_twenty_kills_in_an_incident_lose_nothing(box, daemons):
    kill_in_an_incident(box, daemons, 20)


# Several nodes of one Redis, one of which asks.

STATES, NOTICED = "ocspcached:{a}:s", "ocspcached:{a}:n:noticed"


@pytest.fixture
def ca_site(box):
    a = acme.ACME(retry_after="1")
    yield a
    a.stop()


@pytest.fixture
def nodes(box, daemons, redis, mac_key, ca_site):
    def make(ca, n=2, **more):
        options = dict(FAST, store=redis.url, store_key_file=mac_key, store_timeout="1s", store_backoff_max="200ms",
                       ari_interval_min="1s", ari_rate=100)
        return [daemons([issuer(ca, box, ca_site)], **dict(options, **more)).start() for _ in range(n)]
    return make


def asking(made):
    """The one of them that asks."""
    def who():
        found = [d for d in made if "held=yes" in ([""] + d.events("ari_lease"))[-1]]
        return found[0] if len(found) == 1 else None
    lab.wait(who, 30, "one node that asks")
    return who()


def flags(d, since):
    """[(serial, withdrawn)] in the order of the log."""
    return [(n["serial"], n["withdrawn"]) for e in notices(d, since) for n in e["notices"]]


def test_one_node_asks_and_another_goes_on(box, nodes, redis, ca_site):
    """R146, R147: the one that asks is killed in the middle of an incident; serials of 20 octets, of one, of zero bits."""
    ca, a = lab.CA("demo CA"), ca_site
    f = fleet.Fleet(box, ca)
    quiet, hit = [0x7f, 0x80, TOP_BIT] + list(range(0x100, 0x10d)), [0xa1, 0xa2]
    bundle = "".join(f.issue(s, "DNS:h%x.example" % s) for s in quiet + hit)
    ids = {s: acme.certid(key_id(ca), s) for s in quiet + hit}
    for s in quiet:
        a.headers[ids[s]] = {"Retry-After": "3600"}
    made = nodes(ca, ari_interval_max="1d")
    lab.wait(lambda: put(made[0], "web", bundle, PEM)[0] == 201, 15, "the list")
    start = page(made[0])["position"]
    lab.wait(lambda: redis.client.hlen(STATES) == len(ids), 30, "all states in Redis")
    first = asking(made)
    other = [d for d in made if d is not first][0]
    assert other.metric("ari_asked_total") == 0
    a.incident([ids[0xa1]])
    lab.wait(lambda: alarms(first, "incident_open"), 20, "the alarm of the node that asks")
    lab.wait(lambda: flags(other, start) == [("a1", False)], 20, "the notice on the other")
    assert alarms(other, "incident_open") == []
    lab.wait(lambda: [c["serial"] for c in other.api("GET", "/v1/certificates?notice=ari")[1]["certificates"]] == ["a1"], 20,
             "its row on the other")
    lab.wait(lambda: redis.client.hlen(NOTICED) == 1, 10, "it in Redis")
    a.incident([ids[0xa2]])
    lab.wait(lambda: len(flags(other, start)) == 2, 20, "the second")
    first.kill()
    asked = {s: len(a.times(ids[s])) for s in quiet}
    before = len(a.times(ids[0xa1]))
    a.close_incident([ids[0xa1]])
    lab.wait(lambda: alarms(other, "incident_open"), 30, "the alarm of who goes on")
    lab.wait(lambda: ("a1", True) in flags(other, start), 30, "the withdrawal")
    assert len(a.times(ids[0xa1])) > before
    assert {s: len(a.times(ids[s])) for s in quiet} == asked == {s: 1 for s in quiet}, "nothing early"
    told = flags(other, start)
    assert told[:2] == [("a1", False), ("a2", False)] and told.count(("a1", True)) == 1
    assert told.count(("a1", False)) == 1 and told.count(("a2", False)) <= 2
    first.start()
    other.stop()
    lab.wait(lambda: "held=yes" in ([""] + first.events("ari_lease"))[-1] and alarms(first, "incident_open"), 30,
             "the first asks again, and knows")
    a.close_incident([ids[0xa2]])
    lab.wait(lambda: ("a2", True) in flags(first, start), 20, "the last withdrawal")
    assert flags(first, start).count(("a1", True)) == 1 == flags(first, start).count(("a2", True))
    assert {s: len(a.times(ids[s])) for s in quiet} == {s: 1 for s in quiet}
    lab.wait(lambda: not alarms(first, "incident_open"), 10, "the alarm to be over")


@pytest.mark.long
def test_while_redis_is_away_nobody_asks(box, nodes, redis, ca_site):
    ca, a = lab.CA("demo CA"), ca_site
    f = fleet.Fleet(box, ca)
    only = acme.certid(key_id(ca), 0xa1)
    d, = nodes(ca, n=1)
    lab.wait(lambda: put(d, "web", f.issue(0xa1, "DNS:www.shop.example"), PEM)[0] == 201, 15, "the list")
    lab.wait(lambda: len(a.times(only)) >= 2, 20, "asked, and again")
    redis.stop()
    lab.wait(lambda: d.events("ari_waits"), 20, "said")
    lab.wait(lambda: "held=no" in d.events("ari_lease")[-1], 30, "the lease has run out")
    n = len(a.times(only))
    a.incident([only])
    time.sleep(3)
    assert len(a.times(only)) == n and len(d.events("ari_waits")) == 1
    redis.start()
    lab.wait(lambda: d.events("ari_goes_on"), 30, "it goes on")
    lab.wait(lambda: alarms(d, "incident_open"), 30, "and knows")
    lab.wait(lambda: d.metric("notices_total", source="ari") == 1, 30, "and tells")
    redis.client.flushall()  # what it knows is written again
    lab.wait(lambda: redis.client.hlen(NOTICED) == 1, 30, "the notice in Redis again")
    a.close_incident([only])
    lab.wait(lambda: not alarms(d, "incident_open"), 30, "the alarm to be over")


def test_strangers_states_in_redis_are_none(box, nodes, redis, ca_site):
    """T16: what has no MAC of ours is told, and asked for anew."""
    ca, a = lab.CA("demo CA"), ca_site
    f = fleet.Fleet(box, ca)
    only = acme.certid(key_id(ca), 0xa1)
    who = b"\x14" + key_id(ca) + b"\x02\x00\xa1"
    redis.client.hset(STATES, who, b"\x01" * 90)
    redis.client.hset(STATES, b"garbage", b"")
    d, = nodes(ca, n=1)
    lab.wait(lambda: put(d, "web", f.issue(0xa1, "DNS:www.shop.example"), PEM)[0] == 201, 15, "the list")
    lab.wait(lambda: a.times(only), 20, "asked")
    lab.wait(lambda: d.events("ari_refused"), 10, "told")
    lab.wait(lambda: redis.client.hget(STATES, who) != b"\x01" * 90, 10, "ours in its place")
