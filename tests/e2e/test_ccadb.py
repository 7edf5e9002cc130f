"""crl = "ccadb": which lists a CA has, as it told the CCADB (CSV with JSON inside)."""
import base64
import csv
import io
import json
import os

import lab
import lists

FAST = dict(backoff_initial="20ms", backoff_max="100ms", crl_backoff_max="100ms", allow_address=["127.0.0.0/8"])
COLUMNS = ["CA Owner", "Certificate Name", "SHA-256 Fingerprint", "Subject Key Identifier", "Full CRL Issued By This CA",
           "JSON Array of Partitioned CRLs", "JSON Array of All Full CRL URLs"]
LISTED, ABSENT = 0x1001, 0x2002


def records(*rows):
    """As CCADB writes them: everything quoted, arrays over several lines."""
    out = io.StringIO()
    w = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    w.writerow(COLUMNS)
    for row in rows:
        w.writerow(row)
    return out.getvalue().encode()


def row(ca, name, full="", parts=(), full_all=()):
    key = base64.b64encode(ca.key_hash("sha1")).decode()
    return ["Owner", name, "", key, full, json.dumps(list(parts) or [""], indent=1), json.dumps(list(full_all))]


def issuer(box, ca, **more):
    return dict({"name": "demo", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": ["ccadb"],
                 "crl-interval": "1h"}, **more)


def urls(d):
    return set(d.crls())


def test_the_lists_that_a_ca_tells(box, publisher, daemons, streams):
    """Places of the full list and parts; a list that is added is an alarm, and is fetched; a record that cannot be read,
    a file cut short and one without the CA take nothing away; a restart without network knows them."""
    ca = lab.CA("Catalogue CA")
    full = publisher.publish("full.crl", lists.crl(ca, [lists.entry(LISTED)]))
    copy = publisher.publish("copy.crl", lists.crl(ca, [lists.entry(LISTED)]))
    report = publisher.publish("ccadb.csv", records(row(lab.CA("Other"), "Other", full="http://x.example/"),
                                                    row(ca, "Catalogue CA", full, full_all=[full, copy])))
    d = daemons([issuer(box, ca)], ccadb=[report], ccadb_interval="1h", **FAST).start()
    d.wait_number(copy, 1)
    assert urls(d) == {copy}  # one list: the first of its places
    assert d.status("demo", LISTED)["status"] == "revoked" and d.status("demo", ABSENT)["status"] == "good"
    assert d.api("GET", "/v1/alarms")[1] == []

    d.options["ccadb-interval"] = "200ms"
    d.write()
    d.reload()

    def again(body):
        """It is asked for twice: the first is taken by then."""
        publisher.publish("ccadb.csv", body)
        before = publisher["ccadb.csv"].hits
        lab.wait(lambda: publisher["ccadb.csv"].hits > before + 1, 10, "the report to be asked for")
    more = publisher.publish("more.crl", lists.crl(ca, [lists.entry(LISTED + 1)], number=7, extensions=[
        lists.idp(publisher.url("more.crl"))]))
    again(records(row(ca, "Catalogue CA", full, [more], [copy])))
    lab.wait(lambda: urls(d) == {copy, more}, 10, "the new list")
    lab.wait(lambda: d.status("demo", LISTED + 1)["status"] == "revoked", 10, "what it revokes")
    [alarm] = [a for a in d.api("GET", "/v1/alarms")[1] if a["alarm"] == "lists_changed"]
    assert alarm["issuer"] == "demo" and alarm["subject"] == "ccadb" and more in alarm["detail"]
    for event, bad in (
            ("ccadb_rows", records(["o", "Catalogue CA", "", row(ca, "")[3], full, '["x', ""])),
            ("ccadb_nothing", records(row(lab.CA("Other"), "Other"))),
            ("ccadb_failed", records()), ("ccadb_failed", b"A,B\r\n1,2\r\n")):
        again(bad)
        assert d.events(event) and urls(d) == {copy, more}
    assert "no column" in d.events("ccadb_failed")[-1]
    again(records(row(ca, "Catalogue CA", full, [more], [copy])))
    lab.wait(lambda: d.metric("ccadb_age_seconds", url=report) < 3, 10, "a good one")
    d.stop()
    publisher.stop()
    d.start()
    assert d.status("demo", LISTED + 1)["status"] == "revoked" and d.status("demo", ABSENT)["status"] == "good"


def test_files_and_nothing_known(box, publisher, daemons):
    """A local file; an issuer that it does not know is told, and nothing is good by absence."""
    ca = lab.CA("Catalogue CA")
    path = os.path.join(box, "report.csv")
    lists.put(path, records(row(lab.CA("Other"), "Other")))
    d = daemons([issuer(box, ca)], ccadb=[path], ccadb_interval="1s", **FAST).start()
    [event] = d.wait_event("ccadb_nothing")
    assert "issuer=demo" in event
    status = d.status("demo", ABSENT)
    assert status["status"] == "unknown" and status["evidence"] == []
    url = publisher.publish("a.crl", lists.crl(ca, [lists.entry(LISTED)]))
    lists.put(path, records(row(ca, "Catalogue CA", url)))
    lab.wait(lambda: d.status("demo", LISTED)["status"] == "revoked", 10, "its list")
    assert d.status("demo", ABSENT)["status"] == "good"


def test_learnt_urls_lead_to_public_addresses_only(box, publisher, daemons):
    """T7: not allowed, nobody is asked."""
    ca = lab.CA("Catalogue CA")
    url = publisher.publish("a.crl", lists.crl(ca, [lists.entry(LISTED)]))
    report = publisher.publish("ccadb.csv", records(row(ca, "Catalogue CA", url)))
    options = dict(FAST)
    del options["allow_address"]
    d = daemons([issuer(box, ca)], ccadb=[report], **options).start(ready=False)
    d.wait_event("crl_fetch_failed")
    assert publisher["a.crl"].hits == 0 and publisher["ccadb.csv"].hits >= 1  # the report's URL is the operator's
