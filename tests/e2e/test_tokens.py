"""Tokens of the API: without a good one nothing is told, and with one only what there is for it."""
import concurrent.futures
import hashlib
import http.client
import json
import os
import re
import signal
import subprocess

import pytest

import daemon
import fleet
import lab
import lists
from daemon import FAST
from fleet import NDJSON, line, ndjson, put
from lists import entry
from token_kit import ALL, block

# What the contract has, with the right that each needs: ocspcached(8) has the same, which is compared.
CALLS = [
    ("GET", "/v1/issuers", None, "read"),
    ("GET", "/v1/status/demo/1", None, "read"),
    ("POST", "/v1/status", (NDJSON, '{"issuer":"demo","serial":"1"}\n'), "read"),
    ("GET", "/v1/latches", None, "read"),
    ("GET", "/v1/watchlists", None, "read"),
    ("GET", "/v1/watchlists/web", None, "read"),
    ("GET", "/v1/certificates", None, "read"),
    ("GET", "/v1/summary", None, "read"),
    ("GET", "/v1/incidents", None, "read"),
    ("GET", "/v1/incidents/i", None, "read"),
    ("GET", "/v1/alarms", None, "read"),
    ("GET", "/metrics", None, "read"),
    ("GET", "/v1/events", None, "subscribe"),
    ("PUT", "/v1/watchlists/web", (NDJSON, line(1) + "\n"), "manage"),
    ("POST", "/v1/watchlists/web", (NDJSON, line(2) + "\n"), "manage"),
    ("DELETE", "/v1/watchlists/web/demo/2", None, "manage"),
    ("DELETE", "/v1/watchlists/web", None, "manage"),
    ("GET", "/v1/webhooks", None, "read"),
    ("PUT", "/v1/webhooks/chat", ("application/json", '{"url":"https://hooks.example/T0","disabled":true}'), "manage"),
    ("GET", "/v1/webhooks/chat", None, "read"),
    ("POST", "/v1/webhooks/none/test", None, "manage"),
    ("POST", "/v1/webhooks/chat/replay?since=6b02c04d-000000000001-00001", None, "manage"),
    ("DELETE", "/v1/webhooks/chat", None, "manage"),
    ("PUT", "/v1/incidents/i", ("text/plain", "01\n"), "manage"),
    ("DELETE", "/v1/incidents/i", None, "manage"),
    ("GET", "/v1/explain/demo/1", None, "operate"),
    ("POST", "/v1/refresh", ("application/json", '{"issuer":"demo"}'), "operate"),
    ("POST", "/v1/purge", ("application/json", '{"issuer":"demo"}'), "operate"),
    ("DELETE", "/v1/latches/demo/1", None, "operate"),
]
IDS = ["%s %s" % c[:2] for c in CALLS]


def ask(d, call, token=None, **more):
    method, path, body, _ = call
    fields = dict({"Accept": "application/json"}, **more)
    if body:
        fields["Content-Type"] = body[0]
    if token is not None:
        fields["Authorization"] = "Bearer " + token
    c = http.client.HTTPConnection("127.0.0.1", d.api_port, timeout=15 * lab.PATIENCE)
    try:
        c.request(method, path, body[1].encode() if body else None, fields)
        r = c.getresponse()
        return r.status, r.headers, r.read().decode()
    finally:
        c.close()


class Site:
    """Two CAs; a token for all, one for each right, and some that do not see all."""

    def __init__(self, box, publisher, daemons):
        self.demo, self.other = lists.Feed(box, publisher), lists.Feed(box, publisher, "other")
        self.demo.publish([entry(s) for s in (1, 2, 3)])
        self.other.publish([entry(s) for s in (1, 7)])
        self.d = daemons([self.demo.issuer(), self.other.issuer()], store="lmdb:%s/store" % box,
                         **dict(FAST, position_interval="1s"))
        self.d.tokens = {"all": block("t-all"), "one-stream": block("t-one", ["subscribe"], streams=1)}
        self.d.tokens["no-upload"] = block("t-none", ALL, uploads=0)
        for right in ALL:
            self.d.tokens["only-" + right] = block("t-" + right, [right])
        self.d.tokens["demo"] = block("t-demo", ALL, issuers=["demo"])
        self.d.tokens["both"] = block("t-both", ALL, issuers=["demo", "other"])
        self.d.tokens["web"] = block("t-web", ALL, watchlists=["web"])
        self.d.tokens["other"] = block("t-other", ALL, issuers=["other"])
        self.d.tokens["own"] = block("t-own", ALL, watchlists=["own"])
        self.d.tokens["gone"] = block("t-gone", ["subscribe", "read"])
        self.d.token = "t-all"
        self.d.write()
        self.d.start()
        self.d.wait_number(self.demo.url, self.demo.count)
        self.d.wait_number(self.other.url, self.other.count, "other")
        self.begin = self.get("/v1/events", "t-all", Accept="application/json")[1]["position"]
        assert put(self.d, "web", ndjson(line(1), line(9), line(7, issuer="other")))[0] == 201
        assert put(self.d, "db", ndjson(line(2, names=["secret.example"]), line(1, names=["db.example"])))[0] == 201

    def wait_told(self):
        """What its lists gained that is revoked already is told, behind the answers to the PUTs."""
        def told(name):
            p = self.get("/v1/events?watchlist=%s&since=%s" % (name, self.begin), "t-all", Accept="application/json")[1]
            return {c["serial"] for e in p["events"] for c in e["data"]["changes"]}
        lab.wait(lambda: told("web") == {"1", "7"} and told("db") == {"1", "2"}, 10, "what the lists gained")

    def get(self, path, token, **headers):
        return self.d.api("GET", path, headers=dict({"Authorization": "Bearer " + token}, **headers))


@pytest.fixture
def site(box, publisher, daemons):
    return Site(box, publisher, daemons)


def test_every_call_is_refused_without_its_right(site):
    """T21: no token, a wrong one, one with every other right: refused, and nothing told."""
    d = site.d
    for call in CALLS:
        for token in (None, "wrong", "t-al", "t-all="):
            status, headers, text = ask(d, call, token)
            assert status in (401, 429), (call, token, text)
            assert set(json.loads(text)) == {"error"}
            if status == 401:
                assert headers["WWW-Authenticate"].startswith("Bearer ")
        for right in ALL:
            if right != call[3]:
                status, _, text = ask(d, call, "t-" + right)
                assert status == 403 and set(json.loads(text)) == {"error"}, (call, right, text)
                assert call[3] in json.loads(text)["error"]["message"]
    # with it: done, each in turn
    for call in CALLS:
        assert ask(d, call, "t-" + call[3])[0] in (200, 201, 202, 204, 404), call
    log = d.log
    for text in ("t-all", "wrong", "t-read"):
        assert text not in log
    assert re.search(r"login_failed.*from=127\.0\.0\.1", log)
    told = [x for x in log.splitlines() if "audit" in x]
    assert any("token=only-operate" in x and "/v1/purge demo" in x and "status=204" in x for x in told), told
    assert any("token=only-manage" in x and "PUT /v1/watchlists/web" in x and "outcome=done" in x for x in told), told
    assert any("token=only-read" in x and "outcome=refused" in x and "status=403" in x for x in told), told
    assert not any("GET /v1/issuers" in x for x in told)
    assert d.metric("api_logins_failed_total") >= 4 * len(CALLS)


# Where a call names neither issuer nor list, what it says has nothing of them.
FOREIGN = {"t-other": {"demo": "nobody"}, "t-own": {"demo": "nobody", "web": "nolist"}}


def test_every_call_finds_nothing_of_what_a_token_does_not_reach(site):
    """T21: one for another issuer, and one for another watchlist: as if it were not there, and nothing is done."""
    d = site.d
    assert put(d, "own", ndjson(line(0x55, issuer="other")))[0] == 201
    before = d.api("GET", "/v1/watchlists/web")
    for token, names in FOREIGN.items():
        for call in CALLS:
            method, path, body, right = call
            unknown = path, body and body[1]
            for name, other in names.items():
                unknown = tuple(x and re.sub(r"\b%s\b" % name, other, x) for x in unknown)
            got, want = ask(d, call, token), ask(d, (method, unknown[0], body and (body[0], unknown[1]), right), token)
            said = want[2]
            for name, other in names.items():
                said = said.replace(other, name)
                if unknown == (path, body and body[1]):
                    assert '"%s"' % name not in got[2], (token, call, got[2])
            if unknown != (path, body and body[1]):
                assert (got[0], got[2]) == (want[0], said), (token, call, got, want)
                assert got[0] in (403, 404) or path == "/v1/status", (token, call, got)
    assert d.api("GET", "/v1/watchlists/web") == before


def test_the_manual_has_these_calls():
    """T21: a call that the manual has and no row here names is one whose right nobody has tested."""
    text = lab.read(os.path.join(daemon.TOP, "proxy", "ocspcached.8"))
    table = re.search(r"\.\\\" rights begin\n(.*?)\.\\\" rights end", text, re.S).group(1)
    rows = re.findall(r"^\.It Cm (\S+)\n((?:\.Ql .*\n)+)", table, re.M)
    manual = {(m, re.sub(r"\{\w+\}", "X", p), right) for right, calls in rows
              for m, p in re.findall(r"\.Ql (\S+) (\S+)", calls)}

    def shape(path):
        path = re.sub(r"(watchlists|webhooks|incidents)/\w+", r"\1/X", path.split("?")[0])
        return re.sub(r"/(demo/[12])$", "/X/X", path)
    assert manual == {(m, shape(p), right) for m, p, _, right in CALLS}


PAGES = [  # what a browser says of a page of another site, or of a name that was bound to our address
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"}, {"Host": "evil.example"}, {"Host": "evil.example:8081"},
    {"Host": "localhost.evil.example"}, {"Host": "127.0.0.1.evil.example"}]


def test_a_page_in_a_browser_can_call_nothing(box, feed, daemons):
    """T21: on loopback without tokens, where everybody may do everything, each call of the contract."""
    d = daemons([feed.issuer()], store="lmdb:%s/store" % box).start()
    d.wait_number(feed.url, feed.count)
    assert put(d, "web", ndjson(line(1), line(2)))[0] == 201
    health = [("GET", "/healthz", None, None), ("GET", "/readyz", None, None)]
    for call in CALLS + health:
        for page in PAGES:
            status, headers, text = ask(d, call, **page)
            assert status == 403 and set(json.loads(text)) == {"error"}, (call, page, status, text)
            assert not any(n.lower().startswith("access-control-") for n in headers)
        # its question whether it may ask (a preflight) is no call, and none of our answers says yes
        status, headers, text = ask(d, ("OPTIONS", call[1], None, None), **{
            "Origin": "https://evil.example", "Access-Control-Request-Method": call[0]})
        assert status in (403, 405, 501), (call, status)
        assert not any(n.lower().startswith("access-control-") for n in headers)
    assert fleet.watchlist(d, "web")["certificates"] == 2
    assert not [x for x in d.log.splitlines() if "event=audit" in x and "outcome=done" in x and "watchlists/web" not in x]
    for call in CALLS + health:  # and whoever is no page may
        assert ask(d, call)[0] in (200, 201, 202, 204, 404), call


def test_health_needs_none_and_readyz_says_little(site):
    d = site.d
    d.token = None
    assert d.api("GET", "/healthz") == (200, "ok\n")
    assert d.api("GET", "/readyz") == (200, {"ready": True})
    assert site.get("/healthz", "wrong")[0] == 200
    assert site.get("/readyz", "wrong")[0] in (401, 429)
    assert set(site.get("/readyz", "t-read")[1]) == {"ready", "reasons", "degraded"}
    for token in ("t-demo", "t-web", "t-operate"):
        assert site.get("/readyz", token)[1] == {"ready": True}


@pytest.mark.parametrize("value", [
    "t-all", "Basic dC1hbGw=", "Bearer", "Bearer ", "Bearer t-all x", "Bearert-all", "Bearer \"t-all\"",
    "Bearer " + "x" * 600, "Bearer t-all, Bearer t-all"])
def test_what_is_no_bearer_token(site, value):
    status, text = site.d.api("GET", "/v1/issuers", headers={"Authorization": value})
    assert status == 401, text


def test_the_scheme_in_any_case(site):
    """RFC 9110 section 11.1."""
    for value in ("bearer t-all", "BEARER t-all", "Bearer   t-all"):
        assert site.d.api("GET", "/v1/issuers", headers={"Authorization": value})[0] == 200


def test_another_issuer_is_not_there(site):
    d, get = site.d, lambda path, **more: site.get(path, "t-demo", **more)
    assert [i["name"] for i in get("/v1/issuers")[1]] == ["demo"]
    assert get("/v1/status/demo/1")[1]["status"] == "revoked"
    unknown = get("/v1/status/nobody/1")
    assert unknown[0] == 404 and get("/v1/status/other/1") == unknown
    assert get("/v1/explain/other/1")[0] == 404
    for path in ("/v1/latches", "/v1/latches?issuer=demo"):
        assert get(path)[0] == 200
    assert get("/v1/latches?issuer=other")[0] == 404
    lists_ = {w["name"]: (w["certificates"], w["revoked"]) for w in get("/v1/watchlists")[1]}
    assert lists_ == {"web": (2, 1), "db": (2, 2)}
    assert get("/v1/watchlists/web")[1]["certificates"] == 2
    found = get("/v1/certificates")[1]["certificates"]
    assert {(c["issuer"], c["serial"]) for c in found} == {("demo", "1"), ("demo", "2"), ("demo", "9")}
    assert get("/v1/certificates?issuer=other")[0] == get("/v1/certificates?issuer=nobody")[0] == 404
    s = get("/v1/summary")[1]
    assert s["certificates"] == 3 and [i["issuer"] for i in s["issuers"]] == ["demo"]
    assert {w["name"]: w["certificates"] for w in s["watchlists"]} == {"web": 2, "db": 2}
    assert get("/metrics")[0] == 403
    both = site.get("/v1/summary", "t-both")[1]
    assert both["certificates"] == 4
    d.token = "t-demo"
    for method, path, body in (("POST", "/v1/refresh", {"issuer": "other"}), ("POST", "/v1/purge", {"issuer": "other"}),
                               ("DELETE", "/v1/latches/other/1", None),
                               ("DELETE", "/v1/watchlists/web/other/7", None)):
        assert d.api(method, path, body)[0] == 404
    # a list is not changed as a whole by who sees a part
    assert put(d, "web", ndjson(line(1)))[0] == 403
    assert fleet.upload(d, "POST", "web", ndjson(line(5)))[0] == 403
    assert d.api("DELETE", "/v1/watchlists/web")[0] == 403
    assert d.api("DELETE", "/v1/watchlists/web/demo/9")[0] == 204
    d.token = "t-all"
    assert fleet.watchlist(d, "web")["certificates"] == 2


def test_bulk_status_of_who_does_not_see_all(site):
    d = site.d
    body = b'{"issuer":"demo","serial":"1"}\n{"issuer":"other","serial":"1"}\n{"issuer":"nobody","serial":"1"}\n'

    def lines(token):
        status, text = d.api("POST", "/v1/status", body, headers={"Content-Type": NDJSON, "Authorization": "Bearer " + token})
        assert status == 200
        return [json.loads(x) for x in text.splitlines()]
    mine, other, nobody = lines("t-demo")
    assert mine["status"] == "revoked"
    assert dict(other, line=3) == json.loads(json.dumps(nobody).replace("nobody", "other"))
    assert [x.get("status") for x in lines("t-all")][:2] == ["revoked", "revoked"]
    # by list: 1 of demo stands on web, 1 of other does not
    assert [x.get("status") for x in lines("t-web")][:2] == ["revoked", "unknown"]


def test_another_watchlist_is_not_there(site):
    d, get = site.d, lambda path, **more: site.get(path, "t-web", **more)
    assert [w["name"] for w in get("/v1/watchlists")[1]] == ["web"]
    nothing = get("/v1/watchlists/none")
    assert nothing[0] == 404 and get("/v1/watchlists/db") == nothing
    assert get("/v1/certificates?watchlist=db") == get("/v1/certificates?watchlist=none")
    found = get("/v1/certificates")[1]["certificates"]
    assert {(c["issuer"], c["serial"]) for c in found} == {("demo", "1"), ("demo", "9"), ("other", "7")}
    assert all(c["watchlists"] == ["web"] for c in found)
    # what only the other list says of a certificate
    assert "example" not in json.dumps(found)
    assert get("/v1/certificates?name=db.example")[1]["certificates"] == []
    assert get("/v1/certificates?status=revoked")[1]["certificates"][0]["watchlists"] == ["web"]
    s = get("/v1/summary")[1]
    assert s["certificates"] == 3 and [w["name"] for w in s["watchlists"]] == ["web"]
    assert get("/v1/status/demo/1")[0] == 200 and get("/v1/status/demo/2")[0] == 404
    assert sorted(i["name"] for i in get("/v1/issuers")[1]) == ["demo", "other"]
    assert get("/v1/latches")[0] == 403 and get("/metrics")[0] == 403
    d.token = "t-web"
    assert put(d, "db", ndjson(line(1)))[0] == put(d, "none", ndjson(line(1)))[0] == 403
    assert fleet.upload(d, "POST", "db", ndjson(line(5)))[0] == d.api("DELETE", "/v1/watchlists/db")[0] == 404
    assert d.api("POST", "/v1/refresh", {"issuer": "demo"})[0] == 403
    assert d.api("POST", "/v1/refresh", {"issuer": "demo", "serial": "2"})[0] == 404
    assert d.api("POST", "/v1/refresh", {"issuer": "demo", "serial": "1"})[0] == 202
    assert put(d, "web", ndjson(line(1)))[0] == 200


def test_incidents_of_who_does_not_see_all(site):
    """What stands on one is counted as far as a token reaches; who has lists makes none."""
    def call(method, name, token, body=None):
        return site.d.api(method, "/v1/incidents/" + name, body, headers={
            "Content-Type": "text/plain", "Authorization": "Bearer " + token})

    def hits(token):
        status, body = site.get("/v1/incidents", token)
        assert status == 200, body
        assert all(site.get("/v1/incidents/" + i["name"], token) == (200, i) for i in body)
        return {i["name"]: i["hit"] for i in body}

    assert call("PUT", "all", "t-all", b"1\n2\n7\n9\n")[0] == call("PUT", "seven", "t-other", b"7\n")[0] == 201
    assert call("PUT", "two", "t-demo", b"2\n")[0] == 201
    assert hits("t-all") == hits("t-both") == {"all": 4, "seven": 1, "two": 1}
    assert hits("t-demo") == {"all": 3, "two": 1} and hits("t-other") == {"all": 1, "seven": 1}
    assert hits("t-web") == {"all": 3, "seven": 1} and hits("t-own") == {}
    assert site.get("/v1/incidents/two", "t-web") == site.get("/v1/incidents/none", "t-web")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:  # who asks meanwhile gets his own
        tokens = ["t-demo", "t-web", "t-all", "t-own"] * 4
        assert [len(x) for x in pool.map(hits, tokens)] == [2, 2, 3, 0] * 4
    assert call("PUT", "mine", "t-web", b"1\n")[0] == call("DELETE", "all", "t-web")[0] == 403


def test_alarms_of_who_does_not_see_all(site):
    site.other.publisher.publish(site.other.path, b"no list")
    site.d.refresh("other")
    lab.wait(lambda: any(a["issuer"] == "other" for a in site.get("/v1/alarms", "t-all")[1]), 10, "an alarm")
    assert not any(a["issuer"] != "demo" for a in site.get("/v1/alarms", "t-demo")[1])
    assert any(a["issuer"] == "other" for a in site.get("/v1/alarms", "t-both")[1])


def bearer(token):
    return "Authorization: Bearer %s\r\n" % token


def test_streams_and_pages_of_who_does_not_see_all(site, streams):
    d = site.d
    site.wait_told()
    mine, both = streams(d, fields=bearer("t-demo")), streams(d, fields=bearer("t-both"))
    web = streams(d, fields=bearer("t-web"))
    everything = streams(d, fields=bearer("t-all"))
    start = everything.ready()
    for s in (mine, both, web):
        s.ready()
    site.other.bring(d, [entry(s) for s in (1, 7, 0x20)])
    site.demo.bring(d, [entry(s) for s in (1, 2, 3, 9, 0x10)])
    everything.wait_serials({0x20, 9, 0x10})
    both.wait_serials({0x20, 9, 0x10})
    assert sorted(mine.wait_serials({9, 0x10})) == [9, 0x10]
    assert sorted(web.wait_serials({9})) == [9]
    for query, status in (("issuer=other", 404), ("issuer=nobody", 404), ("issuer=demo", 200)):
        assert streams(d, query, fields=bearer("t-demo")).status == status
    assert streams(d, "watchlist=db", fields=bearer("t-web")).status == 404
    # pages
    def page(token):
        p = site.get("/v1/events?since=" + start, token, Accept="application/json")[1]
        return sorted(int(c["serial"], 16) for e in p["events"] for c in e["data"]["changes"])
    assert page("t-demo") == page("t-demo") == [9, 0x10]
    assert page("t-both") == page("t-all") == [9, 0x10, 0x20]
    assert page("t-web") == [9]
    # snapshots
    snap = streams(d, "snapshot=1", fields=bearer("t-demo"))
    lab.wait(lambda: {1, 2, 3, 9, 0x10} <= set(snap.serials("snapshot")), 10, "the snapshot")
    snap.ready()
    assert set(snap.serials("snapshot")) == {1, 2, 3, 9, 0x10}
    web_snap = streams(d, "snapshot=1", fields=bearer("t-web"))
    lab.wait(lambda: {1, 9, 7} <= set(web_snap.serials("snapshot")), 10, "the snapshot")
    assert set(web_snap.serials("snapshot")) == {1, 9, 7}


def test_streams_have_a_limit_for_each_token(site, streams):
    d = site.d
    first = streams(d, fields=bearer("t-one"))
    first.ready()
    assert streams(d, fields=bearer("t-one")).status == 503
    assert streams(d, fields=bearer("t-all")).status == 200
    first.close()
    lab.wait(lambda: streams(d, fields=bearer("t-one")).status == 200, 10, "the place of who left")


def test_uploads_have_a_limit_for_each_token(site):
    d = site.d
    d.token = "t-none"
    status, body = put(d, "web", ndjson(line(1)))
    assert status == 503 and "uploads" in body["error"]["message"]
    assert re.search(r"audit token=no-upload .*outcome=refused status=503", d.log)
    d.token = "t-all"
    for _ in range(6):  # a place is given back, also by who is refused
        assert put(d, "web", "no line")[0] == 400
    assert put(d, "web", ndjson(line(1)))[0] == 200


def test_hup_takes_a_token_away_with_its_streams(site, streams):
    d = site.d
    gone, stays = streams(d, fields=bearer("t-gone")), streams(d, fields=bearer("t-all"))
    narrowed = streams(d, fields=bearer("t-subscribe"))
    for s in (gone, stays, narrowed):
        s.ready()
    del d.tokens["gone"]
    d.tokens["only-subscribe"]["issuers"] = ["demo"]
    d.tokens["new"] = block("t-new", ["read"])
    d.write()
    d.reload()
    assert gone.ended.wait(10 * lab.PATIENCE) and narrowed.ended.wait(10 * lab.PATIENCE)
    assert site.get("/v1/issuers", "t-gone")[0] == 401
    assert site.get("/v1/issuers", "t-new")[0] == 200
    assert not stays.ended.is_set()
    site.demo.bring(d, [entry(s) for s in (1, 2, 3, 0x30)])
    stays.wait_serials({0x30})
    assert "tokens" in [x for x in d.log.splitlines() if "reloaded" in x][-1]


def test_the_first_token_closes_what_was_open(feed, daemons, streams):
    """A start without tokens says so once; who came then has none."""
    d = daemons([feed.issuer()]).start()
    assert len([x for x in d.log.splitlines() if "api_open" in x]) == 1
    s = streams(d)
    s.ready()
    d.tokens["a"] = block("t-a")
    d.write()
    d.signal(signal.SIGHUP)
    assert s.ended.wait(10 * lab.PATIENCE)
    assert d.api("GET", "/v1/issuers")[0] == 401
    d.token = "t-a"
    assert d.api("GET", "/v1/issuers")[0] == 200


def test_who_fails_often_is_slowed_and_told_once(site):
    d = site.d
    answers = [site.get("/v1/issuers", "wrong-%d" % n)[0] for n in range(40)]
    assert answers[0] == 401 and answers[-1] == 429
    assert site.get("/v1/issuers", "t-all")[0] == 200  # the same address
    assert len([x for x in d.log.splitlines() if "login_failed" in x]) == 1
    assert "wrong-" not in d.log


def test_a_token_is_asked_for_on_a_unix_socket_too(box, feed, daemons):
    path = os.path.join(box, "api.sock")
    d = daemons([feed.issuer()], **{"api-listen": "unix:" + path})
    d.tokens["a"] = block("t-a", ["read"])
    d.write()
    d.spawn()
    lab.wait(lambda: os.path.exists(path), 10, "the socket")
    request = "GET /v1/issuers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n"
    assert b" 401 " in daemon.unix_exchange(path, (request % "").encode())
    assert b" 200 " in daemon.unix_exchange(path, (request % bearer("t-a")).encode())


def test_ocspctl_makes_one_that_works(box, site):
    """The hash is what sha256sum says of the token's text."""
    d, path = site.d, os.path.join(box, "made")
    r = d.ctl("--token-file", path, "token", "made")
    assert r.returncode == 0 and r.stdout.startswith('token "made" {'), r
    token = lab.read(path).strip()
    assert os.stat(path).st_mode & 0o777 == 0o600 and len(token) > 40 and token not in r.stdout
    digest = subprocess.run(["sha256sum"], input=token.encode(), capture_output=True).stdout.split()[0].decode()
    assert digest in r.stdout
    assert d.ctl("--token-file", path, "token", "made").returncode == 64  # it is there already
    with open(d.conf, "a") as f:
        f.write(r.stdout)
    d.reload()
    assert d.ctl("--token-file", path, "status").returncode in (0, 2)
    assert d.ctl("status").returncode == 64
    printed = d.ctl("token").stdout.splitlines()
    assert hashlib.sha256(printed[0].encode()).hexdigest() in printed[3]
    assert json.loads(d.ctl("--json", "token", "x").stdout)["sha256"]
