"""Good by the list that a certificate names: a CA that openssl runs, with partitions; certificates that name theirs, on a
watchlist.  Which other partitions there are nobody says to the daemon."""
import os
import re
import subprocess

import pytest

import fleet
import lab
from daemon import FAST
from fleet import NDJSON, PEM, bulk, find, line, ndjson, put, serials


class Partition:
    """Its list is made by `openssl ca -gencrl`, with a distribution point (and more of them) of its own."""

    def __init__(self, ca, publisher, n):
        self.ca, self.publisher, self.name, self.number = ca, publisher, "part-%d.crl" % n, 0x1000
        self.url = publisher.url(self.name)
        self.box = os.path.join(ca.box, "part-%d" % n)
        os.mkdir(self.box)

    def publish(self, revoked=(), life=3600, points=()):
        self.number += 1
        with open(os.path.join(self.box, "index"), "w") as f:
            for s in revoked:
                text = "%X" % s
                f.write("R\t301231235959Z\t260102030405Z,keyCompromise\t%s\tunknown\t/CN=x\n" % text.rjust(
                    len(text) + len(text) % 2, "0"))
        with open(os.path.join(self.box, "number"), "w") as f:
            f.write("%X\n" % self.number)
        names = "".join("URI.%d=%s\n" % (i, u) for i, u in enumerate(points or [self.url]))
        with open(os.path.join(self.box, "conf"), "w") as f:
            f.write("[ca]\ndefault_ca=c\n[c]\ndatabase=%s/index\ncrlnumber=%s/number\ndefault_md=sha256\n"
                    "certificate=%s\nprivate_key=%s\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n"
                    "issuingDistributionPoint=critical,@i\n[i]\nfullname=@names\nonlyuser=TRUE\n[names]\n%s"
                    % (self.box, self.box, self.ca.ca, self.ca.ca_key, names))
        out = os.path.join(self.box, "list")
        subprocess.run(["openssl", "ca", "-config", os.path.join(self.box, "conf"), "-gencrl", "-crlsec", str(life),
                        "-out", out], check=True, capture_output=True)
        self.publisher.publish(self.name, fleet.openssl("crl", "-in", out, "-outform", "DER"))


class Site:
    def __init__(self, box, publisher, daemons, **issuer):
        self.d_box = box
        self.fleet = fleet.Fleet(box, lab.CA("Partitions CA", "rsa"))
        self.part = [Partition(self.fleet, publisher, n) for n in range(3)]
        for p in self.part[:2]:
            p.publish([0xdead])
        self.issuer = dict({"name": "demo", "certificate": self.fleet.ca, "crl": [p.url for p in self.part[:2]],
                            "crl-interval": "1h"}, **issuer)
        self.d = daemons([self.issuer], store="lmdb:" + os.path.join(box, "store"), **FAST).start()
        for p in self.part[:2]:
            self.d.wait_number(p.url, p.number)

    def issue(self, serial, *urls):
        points = ["crlDistributionPoints=%s" % ",".join("URI:" + u for u in urls)] if urls else []
        return self.fleet.issue(serial, "DNS:h%x.example" % serial, extensions=points)

    def bring(self, n, *args, **more):
        self.part[n].publish(*args, **more)
        self.d.refresh("demo")
        self.d.wait_number(self.part[n].url, self.part[n].number)

    def status(self, serial):
        """By every way on which it can be asked for: all say the same."""
        got = self.d.status("demo", serial)
        word = got["status"]
        assert bulk(self.d, ndjson(line(serial)))[0]["status"] == word
        r = self.d.ctl("status", "demo", "%x" % serial)
        assert re.search(r"(?m)^status +%s\b" % word, r.stdout), r.stdout
        rows = {r["serial"]: r for r in find(self.d, "issuer=demo")}
        if "%x" % serial in rows:
            assert rows["%x" % serial]["status"] == word
        for s in ("good", "revoked", "unknown"):
            for query in ("status=" + s, "status=%s&issuer=demo&name=example" % s):
                assert ("%x" % serial in serials(find(self.d, query))) == (s == word and "%x" % serial in rows)
        return word

    def missing(self, serial):
        assert self.status(serial) == "unknown"
        text = self.d.status("demo", serial)["missing"]
        assert text in self.d.ctl("status", "demo", "%x" % serial).stdout
        return text


@pytest.fixture
def site(box, publisher, daemons):
    return Site(box, publisher, daemons)


def test_who_is_watched_is_good_by_the_list_that_he_names(site):
    """R104: verified, and the list in force; nobody else is, and nothing but a watchlist makes it so."""
    d, p = site.d, site.part
    mine, other = site.issue(0xa1, "ldap://x.example/1", p[0].url), site.issue(0xa2, p[1].url)
    assert [r["status"] for r in bulk(d, mine + other, PEM)] == ["unknown", "unknown"]
    assert "write absent = \"good\", or watch the certificate" in site.missing(0xa1)
    put(d, "web", mine + other, PEM)
    assert [site.status(s) for s in (0xa1, 0xa2, 0xdead, 0xa3)] == ["good", "good", "revoked", "unknown"]
    assert [r["status"] for r in bulk(d, mine + other, PEM)] == ["good", "good"]
    pems = [site.fleet.path("%x.pem" % s) for s in (0xa1, 0xa2)]
    assert d.ctl("check", *pems).returncode == 0
    evidence = d.status("demo", 0xa2)["evidence"]
    assert evidence[0]["kind"] == "crl" and evidence[0]["status"] == "good"
    assert evidence[0]["crl_number"] == str(p[1].number)
    assert d.api("GET", "/v1/summary")[1]["status"] == {"good": 2, "revoked": 0, "unknown": 0}
    site.bring(0, [0xa1])
    assert [site.status(s) for s in (0xa1, 0xa2)] == ["revoked", "good"]
    site.bring(0)
    assert site.status(0xa1) == "good"
    # Over a restart; and gone with the watchlist.
    d.stop()
    d.start()
    assert [site.status(s) for s in (0xa1, 0xa2)] == ["good", "good"]
    assert d.api("DELETE", "/v1/watchlists/web")[0] == 204
    assert [site.status(s) for s in (0xa1, 0xa2)] == ["unknown", "unknown"]


def test_many_are_told_as_each_is(site):
    """R104: more than are looked for one by one, on several watchlists: what each of them says counts."""
    d, p = site.d, site.part
    mine = [site.issue(0xa1, p[0].url), site.issue(0xa2, p[1].url)]
    put(d, "lines", ndjson(*[line(s) for s in (*range(0xa1, 0xa9), *range(0x1000, 0x2000))]))
    put(d, "first", mine[0], PEM)
    put(d, "second", mine[1], PEM)
    asked = [0xa1, *range(0xfff, 0x1800), 0xa2, 0xdead, *range(0x3000, 0x3800), 0xa1]
    rows = bulk(d, ndjson(*[line(s) for s in asked]))
    assert [int(r["serial"], 16) for r in rows] == asked
    assert [int(r["serial"], 16) for r in rows if r["status"] == "good"] == [0xa1, 0xa2, 0xa1]
    assert [int(r["serial"], 16) for r in rows if r["status"] == "revoked"] == [0xdead]
    # of a watchlist that has not verified it, by what another one has
    assert serials(find(d, "watchlist=lines&status=good")) == ["a1", "a2"]
    assert len(find(d, "watchlist=lines&status=unknown&limit=1000")) == 6 + 0x1000


def test_what_is_not_good_says_why(site):
    d, p = site.d, site.part
    put(d, "web", site.issue(0xa1, p[2].url) + site.issue(0xa2), PEM)
    assert site.missing(0xa1).endswith(
        "; it is watched, but the list that it names (%s) is not configured" % p[2].url)
    assert site.missing(0xa2).endswith("; it is watched, but which list it names is not known")
    # A line of text proves nothing, whatever it says; beside the certificate it takes nothing from it.
    put(d, "lines", ndjson(*[line(s, crl=[p[n].url], names=["h%x.example" % s])
                               for s, n in ((0xb1, 0), (0xb2, 2))]), NDJSON)
    unverified = "; it is watched, but its signature was not verified: put it as PEM"
    assert site.missing(0xb1).endswith(unverified) and site.missing(0xb2).endswith(unverified)
    put(d, "a", site.issue(0xb2, p[0].url), PEM)
    assert [site.status(s) for s in (0xb1, 0xb2)] == ["unknown", "good"]
    put(d, "z", site.issue(0xb1, p[1].url), PEM)
    assert serials(find(d, "watchlist=lines&status=good")) == ["b1", "b2"]
    assert serials(find(d, "watchlist=lines&status=unknown")) == []
    # One that another CA signed, with the same issuer's name and key identifier in it.
    forger = fleet.Fleet(site.d_box, lab.CA("Partitions CA", "rsa"), "forger")
    pem = forger.issue(0xc1, "DNS:c1.example", extensions=["crlDistributionPoints=URI:" + p[0].url])
    put(d, "forged", pem, PEM)
    assert d.status("demo", 0xc1)["status"] == "unknown"
    # The list comes into the configuration, and is not to be had; then it is.
    d.issuers = [dict(site.issuer, crl=[x.url for x in p])]
    d.write()
    d.reload()
    assert site.missing(0xa1).endswith("the list that it names (%s) is not in force" % p[2].url)
    assert site.status(0xb2) == "good"  # that another one is missing makes no difference
    p[2].publish()
    d.refresh("demo")
    d.wait_number(p[2].url, p[2].number)
    assert site.status(0xa1) == "good"


def test_a_list_past_its_end_makes_nobody_good(site):
    """R94, T19: nor does the other one, which is in date; and who names that is good all the same."""
    d, p = site.d, site.part
    put(d, "web", site.issue(0xa1, p[0].url) + site.issue(0xa2, p[1].url), PEM)
    site.bring(0, life=4)
    lab.wait(lambda: d.status("demo", 0xa1)["status"] == "unknown", 15, "the end of the list")
    assert site.missing(0xa1).endswith(
        "; it is watched, but the list that it names (%s) is past its nextUpdate" % p[0].url)
    assert site.status(0xa2) == "good"
    site.bring(0)
    assert site.status(0xa1) == "good"


def test_any_name_of_its_distribution_point_is_the_lists(site):
    """RFC 5280 section 6.3.3 (b) (2) (i): a list whose distribution point has several names, fetched by one of them,
    named by another."""
    d, p = site.d, site.part
    mirror = "http://mirror.example/part-0.crl"
    put(d, "web", site.issue(0xa1, mirror), PEM)
    assert "(%s) is not configured" % mirror in site.missing(0xa1)

    def missed():
        return [a["subject"] for a in d.api("GET", "/v1/alarms")[1] if a["alarm"] == "uncovered"]
    lab.wait(lambda: missed() == [mirror], 10, "the alarm")
    site.bring(0, points=[mirror, p[0].url])
    assert site.status(0xa1) == "good"
    put(d, "more", site.issue(0xa2, mirror), PEM)
    lab.wait(lambda: missed() == [], 10, "its end")


@pytest.mark.parametrize("absent,good", [("unknown", 0), ("good", 3)])
def test_the_operators_word_comes_first(box, publisher, daemons, absent, good):
    site = Site(box, publisher, daemons, absent=absent)
    put(site.d, "web", site.issue(0xa1, site.part[0].url) + site.issue(0xa2, site.part[2].url), PEM)
    assert [site.status(s) for s in (0xa1, 0xa2, 0xa3)].count("good") == good
    if not good:
        assert site.missing(0xa1) == 'absent = "unknown" is configured'
    # what absence means is no matter of who would be told of a revocation; that these lists are all is
    missed = [] if good else ["a2"]
    assert serials(r for r in find(site.d, "issuer=demo") if not r["covered"]) == missed
    assert serials(find(site.d, "covered=0")) == missed == serials(find(site.d, "covered=0&name=example"))
    assert site.d.api("GET", "/v1/watchlists/web")[1]["not_covered"] == len(missed)


def test_strangers_names_of_lists_are_bounded(site):
    """T7: 4,096 of a CA (watch_point.h).  Who finds no room is told of once, and is not good; what nobody names any more
    makes room."""
    d, p = site.d, site.part

    def fill(name, first, n):
        rows = [line(0x10000 + first + i, crl=["http://crl.example/%d" % (first + i)]) for i in range(n)]
        return put(d, name, ndjson(*rows), NDJSON)
    for k in range(4):
        fill("churn", 4000 * k, 4000)
    put(d, "web", site.issue(0xa1, p[0].url), PEM)
    assert site.status(0xa1) == "good" and not d.events("watch_crl_left_out")
    fill("more", 900000, 100)
    word = d.wait_event("watch_crl_left_out")[0]
    assert "watchlist=more certificates=5 " in word  # 4,000, 1 and 95
    fill("more", 900000, 101)
    put(d, "late", site.issue(0xa2, p[1].url), PEM)
    assert "which list it names is not known" in site.missing(0xa2) and site.status(0xa1) == "good"
    assert len(d.events("watch_crl_left_out")) == 1
    assert d.api("DELETE", "/v1/watchlists/churn")[0] == 204
    put(d, "late", site.fleet.pem(0xa2), PEM)
    assert site.status(0xa2) == "good"
