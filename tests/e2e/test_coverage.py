"""Would I be told?  Lists as CAs publish them today, each with the shortest configuration; and what is said where nobody
would be told."""
import base64
import csv
import io
import json
import os
import random

from cryptography import x509
from cryptography.hazmat.primitives import serialization

import lab
import lists
from fleet import PEM, find, put, upload, watchlist
from lists import crl, idp

FAST = dict(backoff_initial="20ms", backoff_max="100ms", crl_backoff_max="100ms", allow_address=["127.0.0.0/8"],
            position_interval="1s")
KEY = lab.new_key()


def leaf(ca, serial, *urls):
    """A certificate that names these lists, one distribution point with all of them."""
    points = x509.CRLDistributionPoints([x509.DistributionPoint(
        [x509.UniformResourceIdentifier(u) for u in urls], None, None, None)])
    p = ca.issue("h%x.example" % serial, serial, KEY, extra=[(points, False)] if urls else [])
    return p.cert.public_bytes(serialization.Encoding.PEM).decode()


def catalogue(publisher, ca, full=(), parts=()):
    """As the CCADB has it (tests/e2e/test_ccadb.py looks at the form)."""
    out = io.StringIO()
    w = csv.writer(out, quoting=csv.QUOTE_ALL)
    w.writerow(["Certificate Name", "Subject Key Identifier", "Full CRL Issued By This CA",
                "JSON Array of Partitioned CRLs", "JSON Array of All Full CRL URLs"])
    w.writerow(["dc CA", base64.b64encode(ca.key_hash("sha1")).decode(), (list(full) or [""])[0],
                json.dumps(list(parts)), json.dumps(list(full))])
    return publisher.publish("ccadb.csv", out.getvalue().encode())


class Shape:
    """A CA, the lists that it publishes (URL's path -> the name in it, None for none) and its section."""

    def __init__(self, box, publisher, name, paths, named=True, **section):
        self.ca, self.name, self.publisher, self.count = lab.CA(name + " CA"), name, publisher, 0
        self.url = {p: publisher.url(p) for p in paths}
        self.named = named
        self.section = dict({"name": name, "certificate": self.ca.write(os.path.join(box, name + ".pem")),
                             "crl-interval": "1h"}, **section)
        for p in paths:
            self.publish(p)

    def publish(self, path, *revoked, named=None):
        self.count += 1
        der = crl(self.ca, list(revoked), number=self.count, this=self.count - 6000,
                  point=idp(self.url[path]) if (self.named if named is None else named) else None)
        self.publisher.publish(path, der)


def asked_for(publisher, prefix):
    return {p for p, s in publisher.shelves.items() if p.startswith(prefix) and s.hits > 0}


def alarms(d):
    return {(a["alarm"], a["issuer"], a["subject"]): a for a in d.api("GET", "/v1/alarms")[1]}


def uncovered(d):
    return [r["serial"] for r in find(d, "covered=0")]


def test_the_shapes_of_today(box, publisher, daemons, streams):
    """The shortest configuration of each: what is watched is covered, revoked, told to who watches it.  R104, R72"""
    shards = ["le/%d.crl" % n for n in range(1, 129)]
    le = Shape(box, publisher, "le", shards, crl=[publisher.url("le/{1..128}.crl")], **{"crl-need": "watched"})
    dc = Shape(box, publisher, "dc", ["dc/full.crl", "dc2/full.crl", "dc/part1.crl", "dc/part2.crl"], crl=["ccadb"])
    for path in ("dc/full.crl", "dc2/full.crl"):
        dc.publish(path, named=False)
    gts = Shape(box, publisher, "gts", ["gts/%s.crl" % x for x in ("9UVbN0w5E6Y", "xq7Lr1u1MEo")], crl=["certificates"])
    sec = Shape(box, publisher, "sec", ["sec/all.crl"], named=False, crl=[publisher.url("sec/all.crl")])
    two = Shape(box, publisher, "two", ["two/a.crl", "two/b.crl"], named=False,
                crl=[publisher.url("two/a.crl"), publisher.url("two/b.crl")])
    report = catalogue(publisher, dc.ca, [dc.url["dc/full.crl"], dc.url["dc2/full.crl"]], [dc.url["dc/part1.crl"]])
    mine = random.Random(7).sample(shards, 16)  # 15, and one that comes later
    leaves = [leaf(le.ca, 0x100 + n, le.url[p]) for n, p in enumerate(mine)]
    others = [leaf(dc.ca, 0x201, dc.url["dc2/full.crl"]), leaf(dc.ca, 0x202, dc.url["dc/part1.crl"]),
              leaf(gts.ca, 0x301, gts.url["gts/9UVbN0w5E6Y.crl"]), leaf(gts.ca, 0x302, gts.url["gts/9UVbN0w5E6Y.crl"]),
              leaf(sec.ca, 0x401), leaf(two.ca, 0x501, two.url["two/b.crl"])]
    gts.publish("gts/9UVbN0w5E6Y.crl", 0x302)
    everything = [le, dc, gts, sec, two]
    d = daemons([s.section for s in everything], ccadb=[report], ccadb_interval="1s",
                store="lmdb:%s/store" % box, **FAST).start()
    start = streams(d).ready()
    assert put(d, "fleet", "".join(leaves[:15] + others), PEM)[1]["certificates"] == 21
    fleet = streams(d, "watchlist=fleet&since=" + start)
    lab.wait(lambda: uncovered(d) == [], 10, "all of them to be covered")
    assert watchlist(d, "fleet")["not_covered"] == 0
    assert asked_for(publisher, "le/") == set(mine[:15])
    assert asked_for(publisher, "gts/") == {"gts/9UVbN0w5E6Y.crl"}
    assert fleet.wait_serials({0x302}) == [0x302]  # in the first list that is learnt

    # one that is added later brings its list
    assert upload(d, "POST", "fleet", leaves[15], PEM)[1] == {"name": "fleet", "certificates": 22, "not_covered": 1}
    lab.wait(lambda: uncovered(d) == [], 10, "the new one to be covered")
    assert asked_for(publisher, "le/") == set(mine) and alarms(d) == {}

    # revoked, and told
    le.publish(mine[3], 0x103)
    for path in ("dc/full.crl", "dc2/full.crl"):
        dc.publish(path, 0x201, named=False)
    dc.publish("dc/part1.crl", 0x202)
    gts.publish("gts/9UVbN0w5E6Y.crl", 0x302, 0x301)
    sec.publish("sec/all.crl", 0x401)
    two.publish("two/a.crl", 0x501)
    for s in everything:
        d.refresh(s.name)
    revoked = {0x103, 0x201, 0x202, 0x301, 0x302, 0x401, 0x501}
    assert sorted(fleet.wait_serials(revoked)) == sorted(revoked)

    # a part that the CCADB has now
    catalogue(publisher, dc.ca, [dc.url["dc/full.crl"], dc.url["dc2/full.crl"]],
              [dc.url["dc/part1.crl"], dc.url["dc/part2.crl"]])
    lab.wait(lambda: ("lists_changed", "dc", "ccadb") in alarms(d), 10, "the alarm")


def test_who_would_not_be_told_is_an_alarm(box, publisher, daemons):
    """A list that nobody has, and a CA that nobody has, until they are configured.  A restart knows what is watched
    before anything comes, and what the lists of it revoked."""
    s = Shape(box, publisher, "demo", ["a.crl", "b.crl", "c.crl"], crl=[publisher.url("a.crl"), publisher.url("b.crl")])
    s.publish("c.crl", 0x3)
    other = lab.CA("Next Intermediate")
    d = daemons([s.section], store="lmdb:%s/store" % box, **FAST).start()
    assert alarms(d) == {}
    body = leaf(s.ca, 1, s.url["a.crl"]) + leaf(s.ca, 2, s.url["c.crl"]) + leaf(s.ca, 3, s.url["c.crl"])
    lists_of = leaf(other, 4, "http://next.example/1.crl") + leaf(other, 5)
    assert put(d, "web", body + lists_of, PEM)[1] == {"name": "web", "certificates": 5, "not_covered": 4}
    named, strange = ("uncovered", "demo", s.url["c.crl"]), ("not_configured", None, "CN=Next Intermediate")
    lab.wait(lambda: set(alarms(d)) == {named, strange}, 10, "both alarms")
    assert alarms(d)[named]["detail"] == "watched certificates that name it: 2, verified: 2"
    assert alarms(d)[strange]["detail"] == "watched certificates: 2"
    assert d.metric("alarm", alarm="uncovered", issuer="demo") == 1
    # a line says what it likes, and is told as what it is
    line = '{"issuer":"demo","serial":"9","crl":["%s"]}\n' % s.url["c.crl"]
    assert put(d, "lines", line)[0] == 201
    lab.wait(lambda: alarms(d)[named]["detail"].endswith("name it: 3, verified: 2"), 10, "the hint")
    [event], [ca] = d.events("uncovered"), d.events("not_configured")
    assert "issuer=demo" in event and s.url["c.crl"] in event and "Next Intermediate" in ca
    assert {r["serial"]: r["covered"] for r in find(d, "watchlist=web")} == {
        "1": True, "2": False, "3": False, "4": False, "5": False}
    # as the remedies say
    section = dict(s.section, crl=s.section["crl"] + ["certificates"])
    second = {"name": "next", "certificate": other.write(os.path.join(box, "next.pem")), "ocsp": ["http://127.0.0.1:9/"]}
    d.issuers = [section, second]
    d.write()
    d.reload()
    lab.wait(lambda: not any(a[0] in ("uncovered", "not_configured") for a in alarms(d)), 10, "their end")
    lab.wait(lambda: d.status("demo", 3)["status"] == "revoked", 10, "what the learnt list has")
    assert d.crls()[s.url["c.crl"]]["learnt"] == "certificates"
    d.stop()
    publisher.stop()
    d.start()
    assert d.status("demo", 3)["status"] == "revoked" and uncovered(d) == ["4", "5"]
    assert len(d.events("uncovered")) == 1
    # what goes takes its list along
    assert d.api("DELETE", "/v1/watchlists/web")[0] == 204 and d.api("DELETE", "/v1/watchlists/lines")[0] == 204
    lab.wait(lambda: s.url["c.crl"] not in d.crls(), 10, "the list to go")


def test_learnt_lists_lead_to_public_addresses_only(box, publisher, daemons):
    """T7: nobody is asked; the event says what would allow it, and it is no alarm of coverage."""
    s = Shape(box, publisher, "demo", ["a.crl"], crl=["certificates"])
    options = {k: v for k, v in FAST.items() if k != "allow_address"}
    d = daemons([s.section], store="lmdb:%s/store" % box, **options).start()
    put(d, "web", leaf(s.ca, 1, s.url["a.crl"]), PEM)
    assert "allow-address" in d.wait_event("crl_fetch_failed")[0]
    lab.wait(lambda: s.url["a.crl"] in d.crls(), 10, "the list")
    assert publisher["a.crl"].hits == 0 and uncovered(d) == ["1"]
    assert not d.events("uncovered")
