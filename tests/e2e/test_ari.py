"""Renewal information (RFC 9773): watched certificates are asked for, and what a CA announces by it is told."""
import os

import acme
import fleet
import lab
from daemon import FAST
from fleet import PEM, put

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


def test_an_incident_is_seen_at_the_first_answer_that_shows_it(box, daemons):
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
