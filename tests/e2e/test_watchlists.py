"""Watchlists through the API: what is uploaded is found, counted, kept, and applied as a whole or not at all."""
import http.client
import json
import os
import random
import re
import socket
import subprocess
import threading
import time

import pytest

import fleet
import lab
from daemon import FAST, PROGRAM
from fleet import CSV, NDJSON, PEM, find, line, ndjson, put, serials, upload, watchlist
from lists import entry


class Site:
    """A CA with a list, its fleet, and a daemon with LMDB."""

    def __init__(self, box, feed, daemons, **more):
        self.box, self.feed = box, feed
        self.store = os.path.join(box, "store")
        self.d = daemons([feed.issuer()], store="lmdb:" + self.store, **dict(FAST, **more)).start()
        self.d.wait_number(feed.url, feed.count)
        self.fleet = fleet.Fleet(box, feed.ca)

    def restart(self):
        self.d.stop()
        self.d.start()


@pytest.fixture
def site(box, feed, daemons):
    return Site(box, feed, daemons)


def row(d, query):
    rows = find(d, query)
    assert len(rows) == 1, rows
    return rows[0]


# What is uploaded.

def test_a_bundle_as_servers_have_it(site):
    """Leaf, key, chain; names of every kind; what openssl says of them is what we say."""
    f, d = site.fleet, site.d
    bundle = (f.issue(0xa1, "DNS:www.shop.example", "DNS:*.api.shop.example", "IP:192.0.2.7", "IP:2001:db8::7",
                      "email:ops@shop.example", "URI:spiffe://shop.example/web") + f.key(0xa1) +
              f.issue(0xa2, "DNS:xn--bcher-kva.example", days=5) + f.issue(0xa3, cn="Old-Server.example") +
              lab.read(f.ca))
    assert put(d, "web", bundle, PEM) == (201, {"name": "web", "certificates": 3, "not_covered": 0})
    assert put(d, "web", bundle, PEM) == (200, {"name": "web", "certificates": 3, "not_covered": 0})
    r = row(d, "name=www.shop.example")
    subject = fleet.openssl("x509", "-in", f.path("ca.pem"), "-noout", "-subject", "-nameopt", "RFC2253").decode()
    assert r["issuer"] == "demo" and "subject=" + r["issuer_name"] == subject.strip()
    assert r["serial"] == "a1" and r["watchlists"] == ["web"] and r["labels"] == []
    assert r["names"] == ["www.shop.example", "*.api.shop.example", "192.0.2.7", "2001:db8::7", "ops@shop.example",
                          "spiffe://shop.example/web"]
    end = fleet.openssl("x509", "-in", f.path("a1.pem"), "-noout", "-enddate", "-dateopt", "iso_8601").decode()
    assert r["not_after"] == end.strip().split("=")[1].replace(" ", "T")
    assert r["status"] == "good" and r["revoked_at"] is None and r["reason"] is None
    assert r["notices"] == [] and r["replaced_by"] is None and r["last_asked"] is None and r["covered"] is True
    for query, found in [("name=shop.example", ["a1"]),  # what lies below it
                         ("name=eu.api.shop.example", ["a1"]),  # the wildcard covers it
                         ("name=x.eu.api.shop.example", []), ("name=hop.example", []),
                         ("name=B%C3%BCcher.example".replace("B%C3", "b%C3"), ["a2"]),  # as people write it
                         ("name=old-server.EXAMPLE.", ["a3"]), ("name=192.0.2.7", ["a1"]), ("name=2001:DB8:0::7", ["a1"]),
                         ("issuer=demo", ["a1", "a2", "a3"]), ("covered=0", []), ("covered=1", ["a1", "a2", "a3"]),
                         ("name=old-server.example&covered=1", ["a3"]), ("name=old-server.example&covered=0", []),
                         ("watchlist=web&status=good", ["a1", "a2", "a3"]),
                         ("status=revoked", [])]:
        assert serials(find(d, query)) == found, query
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 7 * 86400))
    assert serials(find(d, "expires_before=" + soon)) == ["a2"]


def test_no_key_is_kept(site):
    f, d = site.fleet, site.d
    assert put(d, "web", f.issue(0xa1, "DNS:a.example") + f.key(0xa1), PEM)[0] == 201
    body = "".join(f.key(0xa1).splitlines()[1:-1])
    raw = fleet.openssl("pkey", "-in", f.path("a1.key"), "-outform", "DER")
    for folder, _, names in os.walk(site.box):
        for name in names if folder != f.box else []:
            with open(os.path.join(folder, name), "rb") as kept:
                data = kept.read()
            assert body.encode() not in data and body[:60].encode() not in data and raw[30:60] not in data, name
    assert not fleet.in_memory(d, body[8:60].encode(), raw[36:66])


def test_what_a_certificate_points_to_is_not_asked(site):
    """T7: its lists, responders and issuers are whatever its maker wrote."""
    trap = socket.create_server(("127.0.0.1", 0))
    trap.settimeout(1)
    url = "http://127.0.0.1:%d/" % trap.getsockname()[1]
    pem = site.fleet.issue(0xa1, "DNS:a.example", "URI:" + url, extensions=[
        "crlDistributionPoints=URI:" + url, "authorityInfoAccess=OCSP;URI:%s,caIssuers;URI:%s" % (url, url)])
    assert put(site.d, "web", pem, PEM)[0] == 201
    assert put(site.d, "hints", ndjson(line(0xa1, crl=[url])))[0] == 201
    fleet.bulk(site.d, pem, PEM)
    find(site.d, "name=a.example")
    with pytest.raises(TimeoutError):
        trap.accept()
    trap.close()


def test_lines_and_rows_say_the_same(site):
    """NDJSON and CSV, with an issuer's name, the identifier of its key, and a CA that nobody has configured."""
    d, aki = site.d, site.feed.ca.key_hash().hex()
    body = ndjson(line(0xb1, names=["a.example", "b.example"], not_after="2031-01-02T03:04:05Z", labels=["owner=x"]),
                  json.dumps({"issuer_key": aki.upper(), "serial": "00:B2"}),
                  json.dumps({"issuer_key": "00" * 20, "serial": "b3"}))
    assert put(d, "n", body)[0] == 201
    csv = ("\ufeffSerial Number,CA,key,Hosts,Valid to,Owner\r\n177,demo,,a.example;b.example,2031-01-02T03:04:05Z,owner=x\r\n"
           "178,,%s,,,\r\n179,,%s,,,\r\n" % (aki, "00" * 20))
    assert put(d, "c", csv, CSV, "?serial=dec&map=serial=Serial%20Number,issuer=CA,issuer_key=key,names=Hosts,"
               "not_after=Valid%20to,labels=Owner")[0] == 201
    rows = find(d, "watchlist=n")
    assert rows == find(d, "watchlist=c")
    assert [r["issuer"] for r in sorted(rows, key=lambda r: r["serial"])] == ["demo", "demo", None]
    assert all(r["watchlists"] == ["c", "n"] for r in rows)
    assert row(d, "name=a.example")["labels"] == ["owner=x"]
    assert serials(find(d, "issuer=" + "00" * 20)) == ["b3"]
    status, body = d.api("DELETE", "/v1/watchlists/c/%s/b3" % ("00" * 20))
    assert status == 204
    assert row(d, "issuer=" + "00" * 20)["watchlists"] == ["n"]


def test_strings_of_others_have_no_controls(site):
    assert put(site.d, "web", ndjson(line(1, labels=["a\x1b[31m\u009bq\"\\\u2028\U0001f600"])))[0] == 201
    c = socket.create_connection(("127.0.0.1", site.d.api_port))
    c.sendall(b"GET /v1/certificates HTTP/1.0\r\n\r\n")
    text = b""
    while True:
        data = c.recv(65536)
        if not data:
            break
        text += data
    assert b"\x1b" not in text and "\u009b".encode() not in text and "\U0001f600".encode() in text
    assert json.loads(text.split(b"\r\n\r\n")[1])["certificates"][0]["labels"] == ["a\x1b[31m\u009bq\"\\\u2028\U0001f600"]


# As a whole, or not at all.

@pytest.mark.parametrize("kind,body,code,said", [
    (NDJSON, ndjson(line(1), line("xyz"), line(2)), "bad_serial", "line 2"),
    (NDJSON, ndjson(line(1), line(2, issuer="nobody")), "bad_issuer", "line 2"),
    (NDJSON, ndjson(line(1)) + '{"issuer":"demo"', "bad_json", "line 2"),
    (NDJSON, ndjson(line("123456789012"), line("12")), "serials_ambiguous", "line 1"),
    (CSV, "serial,issuer\n1,demo\n2\n", "bad_csv", "line 3"),
    (CSV, "Serial No,issuer\n1,demo\n", "bad_column", "line 1"),
    (PEM, "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "bad_certificate", "line 1"),
    (PEM, "no certificate at all\n", "no_certificate", "")])
def test_a_bad_line_changes_nothing(site, kind, body, code, said):
    d = site.d
    assert put(d, "web", ndjson(line(0xc1), line(0xc2)))[0] == 201
    before = d.metric("watchlist_uploads_total", result="refused")
    for method in ("PUT", "POST"):
        status, answer = upload(d, method, "web", body, kind)
        assert status == 400 and answer["error"]["code"] == code, answer
        assert said in answer["error"]["message"]
    assert put(d, "other", body, kind)[0] == 400
    assert serials(find(d, "watchlist=web")) == ["c1", "c2"]
    assert [w["name"] for w in d.api("GET", "/v1/watchlists")[1]] == ["web"]
    assert d.metric("watchlist_uploads_total", result="refused") == before + 3


def test_a_client_that_leaves_in_the_middle_changes_nothing(site):
    d = site.d
    assert put(d, "web", ndjson(line(0xc1)))[0] == 201
    body = ndjson(*[line(i) for i in range(5000)]).encode()
    c = socket.create_connection(("127.0.0.1", d.api_port))
    c.sendall(b"PUT /v1/watchlists/web HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
              b"Content-Length: %d\r\n\r\n" % len(body) + body[:-100])
    time.sleep(0.1)  # what is tested is that nothing happens
    c.close()
    assert watchlist(d, "web")["certificates"] == 1


def test_post_adds_and_delete_takes_away(site):
    d = site.d
    assert upload(d, "POST", "web", ndjson(line(1)))[0] == 404
    assert put(d, "web", ndjson(line(1, labels=["a"]), line(2)))[0] == 201
    assert upload(d, "POST", "web", ndjson(line(1, labels=["b"]), line(3)))[1]["certificates"] == 3
    assert [(r["serial"], r["labels"]) for r in find(d, "watchlist=web")] == [("1", ["b"]), ("2", []), ("3", [])]
    assert d.api("DELETE", "/v1/watchlists/web/demo/2")[0] == 204
    assert d.api("DELETE", "/v1/watchlists/web/demo/2")[0] == 404
    assert d.api("DELETE", "/v1/watchlists/web/nobody/3")[0] == 404
    assert serials(find(d, "watchlist=web")) == ["1", "3"]
    assert d.api("DELETE", "/v1/watchlists/web")[0] == 204
    assert d.api("DELETE", "/v1/watchlists/web")[0] == 404
    assert d.api("GET", "/v1/watchlists/web")[0] == 404
    assert d.api("GET", "/v1/watchlists")[1] == [] and find(d, "") == []


def test_what_is_refused_at_once(site):
    """T21: a web page's requests too."""
    d = site.d
    assert put(d, "web", "x", "text/plain")[0] == 415
    assert put(d, "Web", ndjson(line(1)))[0] == 400
    assert put(d, "web", ndjson(line(1)), query="?serial=oct")[0] == 400
    assert put(d, "web", ndjson(line(1)), query="?map=serial=a")[0] == 400
    assert d.api("PATCH", "/v1/watchlists/web")[0] in (405, 501)
    assert d.api("POST", "/v1/watchlists")[0] == 405 and d.api("GET", "/v1/watchlists/a/b")[0] == 404
    assert d.api("PUT", "/v1/summary")[0] == 405 and d.api("DELETE", "/v1/certificates")[0] == 405
    for query in ("limit=0", "limit=1001", "limit=x", "status=odd", "next=zz", "name=", "expires_before=soon",
                  "notice=other", "covered=2", "colour=red", "limit=1&limit=2"):
        assert d.api("GET", "/v1/certificates?" + query)[0] == 400, query
    assert d.api("GET", "/v1/certificates?issuer=nobody")[0] == 404
    assert d.api("GET", "/v1/certificates?watchlist=nobody")[0] == 404
    for path in ("/v1/watchlists", "/v1/certificates", "/v1/summary"):
        assert d.api("HEAD", path)[0] == 200
        assert d.api("GET", path, headers={"Origin": "http://evil.example"})[0] == 403
        assert d.api("GET", path, headers={"Host": "evil.example"})[0] == 403
    assert upload(d, "PUT", "web", ndjson(line(1)))[0] == 201


# What it says of them.

def test_a_list_that_revokes_shows_at_once(site):
    d = site.d
    assert put(d, "web", ndjson(*[line(i) for i in range(0x100, 0x10a)]))[0] == 201
    assert put(d, "mail", ndjson(line(0x100), line(0x1ff), line(7, issuer="demo")))[0] == 201
    assert watchlist(d, "web")["revoked"] == 0
    site.feed.bring(d, [entry(1), entry(0x100, "keyCompromise"), entry(0x105)])
    r = row(d, "status=revoked&watchlist=mail")
    assert (r["serial"], r["status"], r["reason"]) == ("100", "revoked", "keyCompromise") and r["revoked_at"]
    assert serials(find(d, "status=revoked")) == ["100", "105"]
    assert {w["name"]: (w["certificates"], w["revoked"]) for w in d.api("GET", "/v1/watchlists")[1]} == {
        "web": (10, 2), "mail": (3, 1)}
    assert watchlist(d, "mail") == {"name": "mail", "source": "api", "certificates": 3, "revoked": 1, "announced": 0,
                                    "replaced": 0, "in_use": 0, "not_covered": 0}
    status, s = d.api("GET", "/v1/summary")
    assert s["certificates"] == 12 and s["status"] == {"good": 10, "revoked": 2, "unknown": 0}
    assert s["watchlists"] == [{"name": "mail", "certificates": 3}, {"name": "web", "certificates": 10}]
    assert [(i["issuer"], i["certificates"]) for i in s["issuers"]] == [("demo", 12)]
    assert s["expiry"] == {"expired": 0, "7": 0, "30": 0, "90": 0, "more": 12}
    assert d.metric("watchlists") == 2 and d.metric("watched_certificates") == 13
    assert 0 < d.metric("watch_db_bytes") < d.metric("watch_db_limit_bytes")


def test_pages_stay_right_while_lists_change(site):
    d = site.d
    assert put(d, "web", ndjson(*[line(2 * i) for i in range(1, 51)]))[0] == 201
    first = d.api("GET", "/v1/certificates?limit=20")[1]
    assert len(first["certificates"]) == 20
    assert put(d, "web", ndjson(*[line(i) for i in range(1, 101)]))[0] == 200
    rest = find(d, "limit=7", first["next"])
    assert serials(first["certificates"]) == ["%x" % (2 * i) for i in range(1, 21)]
    assert serials(rest) == ["%x" % i for i in range(41, 101)]


def test_pages_of_one_status_are_those_of_all_filtered(site, box):
    """Of two CAs of one DN too, one of which nobody has configured and which has the same serials."""
    d, rng = site.d, random.Random(7)
    twin = fleet.Fleet(box, lab.CA("demo CA"), "twins")
    numbers = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0xffff, 1 << 64] + [rng.getrandbits(rng.choice((7, 60, 127)))
                                                                  for _ in range(120)]
    ends = ["2027-01-01T00:00:00Z", "2028-01-01T00:00:00Z", None]
    body = ndjson(*[line(n, names=["h%d.example" % i], not_after=ends[i % 3]) for i, n in enumerate(numbers)])
    assert put(d, "all", body)[0] == 201
    assert put(d, "some", ndjson(*[line(n) for n in numbers[::2]]))[0] == 201
    assert put(d, "twins", twin.issue(0x80, "DNS:t.example") + twin.issue(0x100, "DNS:u.example"), PEM)[0] == 201
    site.feed.bring(d, [entry(1)] + [entry(n) for n in sorted(set(numbers[4::3]) - {1})])
    every = find(d, "")
    assert len({r["status"] for r in every}) == 3
    assert find(d, "watchlist=some&limit=9") == [r for r in every if "some" in r["watchlists"]]
    assert find(d, "issuer=demo&limit=9") == [r for r in every if r["issuer"] == "demo"]
    assert find(d, "expires_before=2027-06-01T00:00:00Z&limit=9") == [
        r for r in every if r["not_after"] and r["not_after"] < "2027-06-01"]
    for status in ("revoked", "good", "unknown"):
        for more in ("", "&watchlist=some", "&issuer=demo", "&watchlist=twins", "&expires_before=2027-06-01T00:00:00Z"):
            among = find(d, more.lstrip("&") or "limit=1000")
            rows = [r for r in among if r["status"] == status]
            for limit in ("", "&limit=7", "&limit=1"):
                assert find(d, "status=%s%s%s" % (status, more, limit)) == rows, (status, more, limit)


def test_a_ca_gets_its_name_when_it_is_configured(site, box):
    """Who issued what is told for CAs that are not configured too, and by their name when they are."""
    d, other = site.d, lab.CA("Other CA")
    f = fleet.Fleet(box, other, "others")
    assert put(d, "web", f.issue(0xd1, "DNS:o.example"), PEM)[0] == 201
    r = row(d, "name=o.example")
    assert r["issuer"] is None and r["issuer_name"] == "CN=Other CA" and r["status"] == "unknown"
    d.issuers.append({"name": "other", "certificate": f.ca, "ocsp": ["http://127.0.0.1:9/"]})
    d.write()
    d.reload()
    lab.wait(lambda: row(d, "name=o.example")["issuer"] == "other", 10, "the CA's name")
    assert serials(find(d, "issuer=other")) == ["d1"]
    d.issuers.pop()
    d.write()
    d.reload()
    lab.wait(lambda: row(d, "name=o.example")["issuer"] is None, 10, "nobody's name")
    d.issuers.append({"name": "second", "certificate": f.ca, "ocsp": ["http://127.0.0.1:9/"]})
    d.write()
    site.restart()
    lab.wait(lambda: row(d, "name=o.example")["issuer"] == "second", 10, "the CA's name after a start")


def test_all_at_once(site):
    """Puts, searches, counts, bulk status, lists that change and reloads: each answer is of one moment."""
    d, until, wrong = site.d, time.monotonic() + 1.5, []
    bodies = [ndjson(*[line(1000 * k + i, names=["h%d.example" % i], labels=["k%d" % k]) for i in range(300)])
              for k in (1, 2)]
    assert put(d, "web", bodies[0])[0] == 201

    def again(what):
        def run():
            try:
                while time.monotonic() < until:
                    what()
            except Exception as e:  # told below
                wrong.append(repr(e))
        return threading.Thread(target=run)

    def puts():
        for body in bodies:
            assert put(d, "web", body)[0] == 200

    def searches():
        page = d.api("GET", "/v1/certificates?name=example&limit=1000")[1]["certificates"]
        assert len(page) == 300 and len({r["labels"][0] for r in page}) == 1
        assert len(d.api("GET", "/v1/certificates?status=good&limit=1000")[1]["certificates"]) <= 300

    def counts():
        assert d.api("GET", "/v1/summary")[1]["certificates"] == 300
        assert watchlist(d, "web")["certificates"] == 300

    def asks():
        assert len(fleet.bulk(d, bodies[0])) == 300

    def changes():
        site.feed.bring(d, [entry(1), entry(1000 + site.feed.count)])
        d.reload()
    threads = [again(w) for w in (puts, searches, counts, asks, changes, searches)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong


# What is kept.

def test_a_restart_has_all(site):
    d = site.d
    assert put(d, "web", ndjson(line(1, names=["a.example"], labels=["x"])))[0] == 201
    before = find(d, "")
    site.restart()
    assert find(d, "") == before and watchlist(d, "web")["certificates"] == 1
    d.kill()
    d.start()
    assert find(d, "") == before


def test_a_kill_leaves_one_of_both_lists(site):
    fleet.killed_in_a_put(site.d, 3, 5000)


@pytest.mark.long
def test_a_kill_leaves_one_of_both_lists_twenty_times(site):
    seen = fleet.killed_in_a_put(site.d, 20, 100000)
    assert seen["old"] > 0, seen


def test_when_it_is_full_nothing_is_dropped(box, feed, daemons):
    site = Site(box, feed, daemons, watch_size="1M")
    d = site.d
    assert put(d, "web", ndjson(line(1, names=["a.example"])))[0] == 201
    big = ndjson(*[line(i, names=["host%d.example.org" % i]) for i in range(10000)])
    status, body = put(d, "web", big)
    assert status == 507 and "watch-size" in body["error"]["message"], body
    assert upload(d, "POST", "web", big)[0] == 507
    assert serials(find(d, "")) == ["1"]
    # told once, and to whoever asks, until it is over
    ready, = d.api("GET", "/readyz")[1]["degraded"]
    assert re.fullmatch(r"watchlists cannot be changed: \S+/watch\.mdb: it is full; raise watch-size", ready)
    assert len(re.findall("event=watch_db_failing err=store_full .*raise watch-size", d.log)) == 1, d.log
    assert put(d, "web", ndjson(line(3)))[0] == 200
    assert d.api("GET", "/readyz")[1]["degraded"] == [] and "event=watch_db_well" in d.log
    site.restart()
    assert serials(find(d, "")) == ["3"]
    assert put(d, "web", ndjson(line(2)))[0] == 200


def test_a_damaged_file_is_a_refused_start(site):
    d = site.d
    assert put(d, "web", ndjson(*[line(i) for i in range(1000)]))[0] == 201
    d.stop()
    path = os.path.join(site.store, "watch.mdb")
    with open(path, "r+b") as f:
        f.write(os.urandom(16384))
    r = subprocess.run([PROGRAM, "-c", d.conf], capture_output=True, text=True, timeout=30)
    assert r.returncode == 1 and "start_failed" in r.stderr, r.stderr
    assert re.search(r"%s: .+; restore it from a copy, or remove it" % re.escape(path), r.stderr), r.stderr
    os.unlink(path)
    d.start()
    assert d.api("GET", "/v1/watchlists")[1] == []


def test_a_file_that_was_removed_is_told(site):
    """What is new is not: its lock file stands beside it when only it was removed."""
    d = site.d
    assert put(d, "web", ndjson(line(1)))[0] == 201
    assert "watch_db_gone" not in d.log
    site.restart()
    assert "watch_db_gone" not in d.log
    d.stop()
    path = os.path.join(site.store, "watch.mdb")
    os.unlink(path)
    d.start()
    assert len(re.findall("level=warn event=watch_db_gone file=%s .*put them again" % re.escape(path), d.log)) == 1
    assert d.api("GET", "/v1/watchlists")[1] == []
    site.restart()
    assert d.log.count("watch_db_gone") == 1


def test_memory_takes_none(feed, daemons):
    d = daemons([feed.issuer()], store="memory:").start()
    status, body = put(d, "web", ndjson(line(1)))
    assert status == 409 and "lmdb:" in body["error"]["message"]
    assert d.api("GET", "/v1/watchlists") == (200, [])


def test_a_shared_store_takes_none_without_its_key(feed, daemons, redis):
    d = daemons([feed.issuer()], store=redis.url).start()
    status, body = put(d, "web", ndjson(line(1)))
    assert status == 409 and "store-key-file" in body["error"]["message"]


# While we stop.

def test_a_stop_does_not_wait_for_an_upload(box, feed, daemons):
    d = Site(box, feed, daemons, drain_timeout="200ms").d
    c = socket.create_connection(("127.0.0.1", d.api_port))
    c.sendall(b"PUT /v1/watchlists/web HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n" + b"%x\r\n%s\r\n" % (len(line(1)), line(1).encode()))
    lab.wait(lambda: d.metric("connections") == 0, 5, "nothing")
    d.stop()  # which fails where it waits
    c.close()
    d.start()
    assert d.api("GET", "/v1/watchlists")[1] == []
