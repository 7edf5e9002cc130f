"""Revocation lists: which are taken, which are refused and why, and what is known of a certificate meanwhile.

Each field of a list is made wrong by itself (lists.py).  An issuer has one case: its list is bad from the start
(nothing is known), then good, then bad again (what was known stays).
"""
import datetime
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import types

import pytest

import daemon
import lab
import lists
from clients import Nginx
from lists import at, crl, entry, extension, idp, integer, seq, tlv

LISTED, ABSENT = 0x1001, 0x2002
GOOD = [entry(LISTED, "keyCompromise")]
FAST = dict(backoff_initial="20ms", backoff_max="100ms", crl_backoff_max="100ms", error_ttl="0s")


def printable_name(name):
    """A name as PrintableString: other octets than in the certificate, and the same name (RFC 5280 section 7.1)."""
    return seq(tlv(0x31, seq(lists.oid("2.5.4.3"), tlv(0x13, name.encode()))))


def common_name(ca):
    return ca.asn1.subject.native["common_name"]


def bad(label, *rules, **options):
    """The case's list is refused with label.  It lists nobody: were it taken, the revoked would become good."""
    def make(build):
        BAD[build.__name__.replace("_", "-")] = (label, rules, options, build)
        return build
    return make


BAD = {}


def short(rules=(), **fields):
    """A list with these fields, all else as it has to be, one number after the good one."""
    return lambda ca, url: crl(ca, **dict({"number": 6, "this": -30}, **fields))


def row(name, label, rules, options=None, **fields):
    BAD[name] = (label, rules, options or {}, short(**fields))


# R89: who signs
@bad("crl_signature", "R89")
def signed_by_another_key_with_the_same_name(ca, url):
    return crl(ca, number=6, this=-30, signer=lab.CA(common_name(ca)))


@bad("crl_issuer", "R89")
def from_another_ca(ca, url):
    return crl(lab.CA("Somebody else"), number=6, this=-30)


@bad("crl_issuer", "R89")
def from_a_ca_whose_name_begins_like_it(ca, url):
    return crl(ca, number=6, this=-30, name=printable_name(common_name(ca) + "s"))


@bad("crl_issuer", "R89")
def signed_by_a_leaf_in_its_own_name(ca, url):
    leaf = ca.issue()
    return crl(ca, number=6, this=-30, signer=leaf, name=leaf.asn1.subject.dump())


row("broken-signature", "crl_signature", "R89", break_signature=True)
row("no-right-to-sign-lists", "crl_key_usage", "R89", {"ca": dict(crl_sign=False)})
# R90: versions
row("v1-with-extensions", "crl_version", "R90", version=None)
row("v1-with-entry-extensions", "crl_version", "R90", version=None, no_extensions=True,
    revoked=[entry(7, "superseded")])
row("v3", "crl_version", "R90", version=2)
row("v1-written-out", "crl_version", "R90", version=0, no_extensions=True)
# R91: an empty SEQUENCE
row("empty-revoked-certificates", "crl_empty_list", "R91", {"issuer": dict(profile="public")}, revoked=None)
# R92: the two algorithms
row("other-outer-algorithm", "crl_signature_algorithm", "R92", outer=seq(lists.oid("1.2.840.10045.4.3.3")))
row("other-inner-algorithm", "crl_signature_algorithm", "R92", inner=seq(lists.oid("1.2.840.10045.4.3.3")))
row("outer-algorithm-with-parameters", "crl_signature_algorithm", "R92",
    outer=seq(lists.oid("1.2.840.10045.4.3.2"), b"\x05\x00"))
row("sha-1", "crl_signature_algorithm", "R92", {"ca": dict(kind="rsa")}, scheme="sha1")
# R93: what is critical and unknown
row("unknown-critical-extension", "crl_extension", "R93", extensions=[extension(lists.NOBODYS, b"\x05\x00", True)])
row("unknown-critical-entry-extension", "crl_entry_extension", "R93",
    revoked=[entry(7, extensions=[extension(lists.NOBODYS, b"\x05\x00", True)])])
row("an-extension-twice", "crl_extension", "R93", extensions=[extension(lists.CRL_NUMBER, integer(6))])
row("critical-reason-that-is-not-assigned", "crl_entry_extension", "R93",
    revoked=[entry(7, extensions=[extension(lists.REASON, tlv(0x0A, b"\x07"), True)])])
# R94: times
row("from-the-future", "crl_this_update_future", "R94", this=3600, next=7200)
row("without-next-update", "crl_next_update_missing", "R94", next=None)
row("next-before-this", "crl_next_before_this", "R94", next=-600)
# R95, R96: numbers, and back in time
row("negative-number", "crl_number", "R95", number=-6)
row("number-of-21-octets", "crl_number", "R95", number=1 << 160)
row("number-that-is-none", "crl_number", "R95", number=b"\x05\x00")
row("lower-number", "crl_rollback", "R95 T18", {"only_after": True}, number=4)
row("older-with-a-higher-number", "crl_rollback", "R96 T18", {"only_after": True}, this=-120)
row("lower-number-of-more-octets", "crl_rollback", "R95", {"only_after": True, "number": 1 << 70}, number=255)
# R97, R98, R100: deltas and what belongs to them
row("delta", "crl_delta", "R99", extensions=[extension(lists.DELTA, integer(5), True)])
row("delta-without-number", "crl_delta", "R98", number=None,
    extensions=[extension(lists.DELTA, integer(5), True)])
row("remove-from-crl-in-a-complete-list", "crl_entry", "R100", revoked=[entry(LISTED, "removeFromCRL")])
# R103..R108: issuingDistributionPoint
row("idp-empty", "crl_scope", "R103", point=idp())
row("idp-users-and-cas", "crl_scope", "R103", point=idp(user=True, ca=True))
row("idp-attribute-certificates", "crl_scope", "R103", point=idp(attribute=True))
row("idp-of-another-list", "crl_scope", "R104", point=idp("http://ca.example/other.crl"))
row("idp-not-byte-for-byte", "crl_scope", "R104", {"scope": "http://ca.example/a.crl"},
    point=idp("http://CA.example/a.crl"))
row("idp-with-a-name-and-no-url", "crl_scope", "R104", point=idp(names=[tlv(0x82, b"ca.example")]))
row("idp-indirect", "crl_indirect", "R106", point=idp(indirect=True))
row("entry-of-another-issuer", "crl_indirect", "R106", revoked=[entry(LISTED, extensions=[
    extension(lists.CERTIFICATE_ISSUER, seq(tlv(0xA4, printable_name("Somebody else"))), True)])])
row("idp-relative-name", "crl_scope", "R108", point=idp(relative=seq(lists.oid("2.5.4.3"), tlv(0x13, b"a"))))
row("idp-relative-name-of-60-kb", "crl_scope", "R108",
    point=idp(relative=seq(lists.oid("2.5.4.3"), tlv(0x13, b"a" * 60000))))
# R109: forms of time
TIMES = {"without-seconds": lists.utc_time("2601020304Z"), "with-an-offset": lists.utc_time("260102030405+0000"),
         "generalized-before-2050": lists.generalized_time("20260102030405Z"),
         "with-a-fraction": lists.generalized_time("20260102030405.5Z"),
         "of-month-13": lists.utc_time("261302030405Z"), "of-february-30": lists.utc_time("260230030405Z"),
         "local": lists.generalized_time("20260102030405")}
for _name, _time in TIMES.items():
    row("this-update-" + _name, "crl_time_format", "R109", this=_time)
    row("entry-date-" + _name, "crl_time_format", "R109", revoked=[entry(7, date=_time)])
row("next-update-generalized-before-2050", "crl_time_format", "R109",
    next=lists.generalized_time((lab.now() + datetime.timedelta(days=1)).strftime("%Y%m%d%H%M%SZ")))
# other entries that are none
row("serial-of-no-octets", "crl_entry", "R93", revoked=[entry(b"\x02\x00")])
row("serial-not-der", "crl_entry", "R93", revoked=[entry(b"\x02\x02\x00\x01")])
row("entry-with-something-behind", "crl_entry", "R93", revoked=[seq(integer(7), lists.time_der(-5), integer(1))])
# R111, R113: octets that are no list, or not all of it
row("bytes-behind", "crl_trailing", "R111", trailing=b"\0")
BAD["half-of-it"] = ("crl_truncated", "R111 T18", {}, lambda ca, url: crl(ca, number=6)[:-100])
BAD["nothing"] = ("crl_truncated", "R111", {}, lambda ca, url: b"")
BAD["pem-of-something-else"] = ("crl_der", "R113", {}, lambda ca, url: lists.pem(crl(ca, number=6)).replace(
    b"X509 CRL", b"CERTIFICATE"))
BAD["pem-cut"] = ("crl_der", "R113", {}, lambda ca, url: lists.pem(crl(ca, number=6))[:-9])
BAD["bundle-of-others"] = ("crl_bundle", "R113", {}, lambda ca, url: b"".join(
    lists.pem(crl(lab.CA(n), number=6)) for n in ("One", "Two")))
BAD["bundle-of-two"] = ("crl_bundle", "R113", {}, lambda ca, url: b"".join(
    lists.pem(crl(ca, number=n, this=-30)) for n in (6, 7)))
BAD["a-page"] = ("crl_der", "R111", {}, lambda ca, url: b"<html><title>Sorry</title></html>\n")
BAD["an-ocsp-answer"] = ("crl_", "R111", {}, lambda ca, url: lab.response(ca, [lab.single(ca, 7)]))
BAD["indefinite-length"] = ("crl_der", "R111", {}, lambda ca, url: b"\x30\x80" + crl(ca, number=6)[4:] + b"\0\0")
BAD["a-length-of-4-gib"] = ("crl_", "R111", {}, lambda ca, url: b"\x30\x84\xff\xff\xff\xff" + crl(ca, number=6)[4:])


class Case:
    def __init__(self, shop, name, options):
        self.name, self.shop = name, shop
        self.ca = lab.CA(name + " CA", **options.get("ca", {}))
        self.url = shop.publisher.url(name + ".crl")
        self.shelf = shop.publisher[name + ".crl"]
        self.options = dict({"name": name, "certificate": self.ca.write(os.path.join(shop.box, name + ".pem")),
                             "crl": [self.url], "crl-interval": "1h"}, **options.get("issuer", {}))
        if "scope" in options:
            self.options["crl-scope"] = [options["scope"]]

    def publish(self, der):
        self.shop.publisher.publish(self.name + ".crl", der)

    def refresh(self):
        self.shop.daemon.refresh(self.name)

    def told(self):
        return self.shop.daemon.crls(self.name).get(self.url)

    def status(self, serial):
        return self.shop.daemon.status(self.name, serial)


class Shop:
    """One daemon with an issuer for each case."""

    def __init__(self, made):
        self.box = tempfile.mkdtemp(prefix="oc-")
        self.publisher = lists.Publisher()
        self.cases = {}
        for name, options in made.items():
            self.cases[name] = Case(self, name, options)

    def start(self):
        self.daemon = daemon.Daemon(self.box, [c.options for c in self.cases.values()], crl_backoff_max="10m",
                                    backoff_initial="5m", backoff_max="5m")
        self.daemon.start()
        return self

    def stop(self):
        try:
            self.daemon.stop()
        finally:
            self.publisher.stop()
            shutil.rmtree(self.box, ignore_errors=True)


@pytest.fixture(scope="module")
def refusals():
    s = Shop({n: o for n, (_, _, o, _) in BAD.items()})
    for n, (_, _, options, build) in BAD.items():
        c = s.cases[n]
        if options.get("only_after"):
            c.shelf.mode = 404
        else:
            c.publish(build(c.ca, c.url))
    yield s.start()
    s.stop()


# R89-R96, R98, R99, R100, R103, R104, R106, R108, R109, R111, R113, T18: each with its reason.
@pytest.mark.parametrize("name", BAD)
def test_a_bad_list_is_refused_and_the_old_one_stays(refusals, name):
    label, rules, options, build = BAD[name]
    c, d = refusals.cases[name], refusals.daemon
    if not options.get("only_after"):
        told = c.told()  # by now each list has been tried (readyz)
        assert told["last_error"].startswith(label), told
        assert told["crl_number"] is None and told["entries"] is None
        for serial in (LISTED, ABSENT):
            assert c.status(serial)["status"] == "unknown"
    if "ca" in options and "crl_sign" in options["ca"]:
        return  # no list of such a CA is good
    number = options.get("number", 5)
    c.shelf.mode = "ok"
    c.publish(crl(c.ca, GOOD, number=number))
    c.refresh()
    d.wait_number(c.url, number, name)
    assert c.told()["last_error"] is None
    refused = d.metric("crl_refused_total", issuer=name)
    c.publish(build(c.ca, c.url))
    c.refresh()
    lab.wait(lambda: d.metric("crl_refused_total", issuer=name) == refused + 1, 10, "a refusal")
    told = c.told()
    assert told["crl_number"] == str(number) and told["entries"] == 1, told
    assert told["last_error"].startswith(label), told
    reason = told["last_error"].split(":")[0]
    assert d.metric("crl_refused_total", issuer=name, reason=reason) >= 1
    revoked = c.status(LISTED)
    assert (revoked["status"], revoked["reason"]) == ("revoked", "keyCompromise")
    assert revoked["revoked_at"] == "2026-01-02T03:04:05Z"
    assert c.status(ABSENT)["status"] == "good"  # as the old one says, which is in date


FETCHES = {"cut": ("cut", "R111 T18"), "redirect": ("redirect", "R111 T7"), "page": ("html", "R111"),
           "404": (404, "R111"), "503": (503, "R111"), "206": (206, "R111"), "204": (204, "R111"),
           "closed": ("close", "R111")}


@pytest.fixture(scope="module")
def failures():
    s = Shop({n: {} for n in FETCHES})
    for c in s.cases.values():
        c.publish(crl(c.ca, GOOD, number=5))
    yield s.start()
    s.stop()


# R111, T18: half a download, an error, another page never replaces the list in force.
@pytest.mark.parametrize("name", FETCHES)
def test_a_fetch_that_fails_replaces_nothing(failures, name):
    c, d = failures.cases[name], failures.daemon
    assert c.told()["crl_number"] == "5"
    c.publish(crl(c.ca, number=6, this=-30))
    c.shelf.mode = FETCHES[name][0]
    c.refresh()
    lab.wait(lambda: c.told()["last_error"], 10, "an error")
    assert c.told()["crl_number"] == "5"
    assert c.status(LISTED)["status"] == "revoked" and c.status(ABSENT)["status"] == "good"
    hits = c.shelf.hits
    c.shelf.mode = "ok"
    c.refresh()  # back-off or not
    d.wait_number(c.url, 6, name)
    assert c.told()["last_error"] is None and c.shelf.hits == hits + 1  # the redirect's place was never asked for
    assert c.status(LISTED)["status"] == "good"


TAKEN = {}


def take(case, rules, listed="revoked", absent="good", told="5", reason="keyCompromise", options=None,
         revoked_at="2026-01-02T03:04:05Z", warning=None, **fields):
    def build(ca, url):
        given = {k: v(ca, url) if callable(v) else v for k, v in fields.items()}
        return crl(ca, **dict({"revoked": GOOD, "number": 5}, **given))
    TAKEN[case] = (rules, listed, absent, told, reason, revoked_at, warning, options or {}, build)


RSA = dict(ca=dict(kind="rsa"))
take("p-256", "R89")
take("p-256-sha-384", "R89", scheme="sha384")
take("rsa", "R89", options=RSA)
take("rsa-sha-512", "R89", options=RSA, scheme="sha512")
take("rsa-pss", "R89", options=RSA, scheme="pss")
take("ed25519", "R89", options=dict(ca=dict(kind="ed25519")))
SPELT = {"printable-string": lambda n: n, "other-case": str.upper,
         "doubled-spaces": lambda n: " " + n.replace(" ", "   ")}
for _name, _spelt in SPELT.items():
    for _profile in ("private", "public"):
        take("its-name-as-%s-%s" % (_name, _profile), "R89", options=dict(issuer=dict(profile=_profile)),
             name=lambda ca, url, spelt=_spelt: printable_name(spelt(common_name(ca))),
             warning="issuer_encoded_otherwise")
take("sha-1-allowed", "R92", options=dict(ca=dict(kind="rsa"), issuer={"allow-sha1-signatures": True}), scheme="sha1",
     warning="sha1_signature")
take("v1", "R90", told=None, number=None, reason=None, version=None, no_extensions=True, revoked=[LISTED],
     warning="no_crl_number")
take("without-a-number", "R95", told=None, number=None, warning="no_crl_number")
take("nobody", "R91", listed="good", revoked=[])
take("empty-sequence", "R91", listed="good", revoked=None, warning="empty_revoked_certificates")
take("a-number-of-20-octets", "R95", told="1461501637330902918203684832716283019655932542975", number=2**160 - 1)
take("the-number-0", "R95", told="0", number=0)
take("unknown-extensions", "R93", extensions=[extension(lists.NOBODYS, b"\x05\x00")], revoked=[entry(
    LISTED, "keyCompromise", extensions=[extension(lists.NOBODYS, b"\x05\x00"),
                                         extension(lists.INVALIDITY, lists.generalized_time("20260101000000Z"))])])
# One odd entry costs no other one.  openssl and Go take such lists (RFC 5280 section 5.3.1: reasonCode is not critical).
ODD = {"reason-7": entry(7, 7), "reason-11": entry(7, 11), "reason-of-another-type": entry(
    7, extensions=[extension(lists.REASON, integer(1))]), "no-extensions-in-it": seq(
        integer(7), lists.time_der(lists.REVOKED_AT), seq()), "a-reason-twice": entry(
            7, "superseded", extensions=[extension(lists.REASON, tlv(0x0A, b"\x01"))])}
for _name, _entry in ODD.items():
    take("odd-" + _name, "R93", revoked=GOOD + [_entry], warning="odd_entries")
take("serial-of-22-octets", "R93", revoked=[entry(1 << 170)] + GOOD + [entry(b"\x02\x20" + b"\x5a" * 32)],
     warning="entries_left_out")
take("freshest-crl", "R102", extensions=lambda ca, url: [extension(lists.FRESHEST, seq(seq(
    tlv(0xA0, tlv(0xA0, tlv(0x86, url.replace(".crl", ".delta").encode()))))))])
take("only-users", "R103", point=idp(user=True))
take("only-cas", "R103", absent="unknown", point=idp(ca=True))
take("only-some-reasons", "R105", absent="unknown", point=idp(reasons=b"\x05\x60"))
# A list that names a distribution point of its own may be one of several, until the operator says that it is not.
ALL = {"absent": "good"}
take("idp-with-its-url", "R104", options=dict(issuer=ALL), point=lambda ca, url: idp(url))
take("idp-with-its-url-alone", "R104", absent="unknown", point=lambda ca, url: idp(url))
take("idp-with-its-url-among-others", "R104", options=dict(issuer=ALL),
     point=lambda ca, url: idp("http://elsewhere.example/a", url))
take("idp-with-crl-scope", "R104", options=dict(scope="http://ca.example/a.crl", issuer=ALL),
     point=idp("http://ca.example/a.crl"))
take("whatever-it-says", "R104", absent="unknown", options=dict(issuer={"absent": "unknown"}))
take("past-its-end", "R94", absent="unknown", this=-7200, next=-3600)
take("until-2051", "R109", next=datetime.datetime(2051, 1, 1, tzinfo=lab.UTC))
take("a-little-in-the-future", "R94", this=120)  # clock-skew
take("revoked-later", "R109", revoked_at=None, warning="entry_after_this_update",
     revoked=lambda ca, url: [entry(LISTED, "keyCompromise", date=at(86400))])
take("revoked-in-1951", "R109", revoked_at="1951-01-02T03:04:05Z",
     revoked=[entry(LISTED, "keyCompromise", date=lists.utc_time("510102030405Z"))])
take("revoked-in-2055", "R109", warning="entry_after_this_update", revoked_at="2055-01-02T03:04:05Z",
     revoked=[entry(LISTED, "keyCompromise", date=lists.generalized_time("20550102030405Z"))])
take("twice-hold-first", "R107", warning="duplicate_serial", revoked=[entry(LISTED, "certificateHold"),
                                                                 entry(LISTED, "keyCompromise")])
take("twice-hold-last", "R107", warning="duplicate_serial", revoked=[entry(LISTED, "keyCompromise"),
                                                                entry(LISTED, "certificateHold")])
take("twice-other-dates", "R107", revoked_at="2025-05-05T05:05:05Z", reason="superseded", warning="duplicate_serial",
     revoked=[entry(LISTED, "keyCompromise"),
              entry(LISTED, "superseded", datetime.datetime(2025, 5, 5, 5, 5, 5, tzinfo=lab.UTC))])
take("among-50000", "R110", revoked=[lists.many(1 << 60, 25000), entry(LISTED, "keyCompromise"),
                                     lists.many(1 << 61, 25000)])
for _reason in ("unspecified", "cACompromise", "affiliationChanged", "superseded", "cessationOfOperation",
                "certificateHold", "privilegeWithdrawn", "aACompromise"):
    take("reason-" + _reason.lower(), "RFC 5280 5.3.1", reason=_reason, revoked=[entry(LISTED, _reason)])


@pytest.fixture(scope="module")
def takings():
    s = Shop({n: row[7] for n, row in TAKEN.items()})
    for n, t in TAKEN.items():
        c = s.cases[n]
        c.publish(t[8](c.ca, c.url))
    yield s.start()
    s.stop()


# R89-R96, R102, R103, R104, R105, R107, R109, R110
@pytest.mark.parametrize("name", TAKEN)
def test_a_list_that_is_right_is_taken(takings, name):
    rules, listed, absent, number, reason, revoked_at, warning, options, build = TAKEN[name]
    c, d = takings.cases[name], takings.daemon
    told = c.told()
    assert told["last_error"] is None and told["crl_number"] == number, told
    assert told["this_update"] == lists.this_update(c.shelf.body).strftime("%Y-%m-%dT%H:%M:%SZ")
    got = c.status(LISTED)
    assert got["status"] == listed, got
    if listed == "revoked":
        assert got["reason"] == reason
        assert revoked_at is None or got["revoked_at"] == revoked_at
    assert [(e["kind"], e["status"], e["crl_number"]) for e in got["evidence"]] == [("crl", listed, number)]
    assert c.status(ABSENT)["status"] == absent
    assert takings.publisher[name + ".delta"].hits == 0
    odd = d.metric("crl_odd_entries", issuer=name)
    assert odd == {"odd_entries": 1, "entries_left_out": 2}.get(warning, 0)
    if name.startswith("odd-"):
        assert (c.status(7)["status"], c.status(7)["reason"]) == ("revoked", None)
    warnings = [e for e in d.events("crl_warning") if "issuer=%s " % name in e]
    assert [re.search(r"warning=(\w+)", e).group(1) for e in warnings] == ([warning] if warning else [])


def one(box, ca, url, **more):
    more = dict({"crl-interval": "1h"}, **more)
    return dict({"name": "demo", "certificate": ca.write(os.path.join(box, "ca.pem")),
                 "crl": url if isinstance(url, list) else [url]}, **more)


@pytest.mark.parametrize("spelt", SPELT)
def test_openssl_takes_a_list_whose_issuer_is_spelt_otherwise(box, spelt):
    """R89: what it is that we follow."""
    ca = lab.CA("Spelt CA")
    leaf = ca.issue()
    pem, leaf_pem, out = ca.write(os.path.join(box, "ca.pem")), leaf.write(os.path.join(box, "l.pem")), box + "/l.crl"
    with open(out, "wb") as f:
        f.write(lists.pem(crl(ca, [entry(leaf.serial)], name=printable_name(SPELT[spelt](common_name(ca))))))
    r = subprocess.run(["openssl", "verify", "-crl_check", "-CAfile", pem, "-CRLfile", out, leaf_pem],
                       capture_output=True, text=True)
    assert "certificate revoked" in r.stderr, r


# R113: a list may be PEM, with text around it.  R90: what openssl makes is taken.
@pytest.mark.parametrize("form", ["DER", "PEM", "PEM with text"])
def test_lists_made_by_openssl(box, daemons, form):
    ca = lab.CA("openssl CA", "rsa")
    ca.write(os.path.join(box, "c.pem"), True)
    held, hit = ca.issue(), ca.issue()
    with open(os.path.join(box, "index.txt"), "w") as f:
        for p, why in ((held, "certificateHold"), (hit, "keyCompromise")):
            text = "%X" % p.serial
            f.write("R\t301231235959Z\t260102030405Z,%s\t%s\tunknown\t/CN=x\n" % (why, text.rjust(
                len(text) + len(text) % 2, "0")))
    with open(os.path.join(box, "o.cnf"), "w") as f:
        f.write("[ca]\ndefault_ca=c\n[c]\ndatabase=%s/index.txt\ncrlnumber=%s/crlnumber\ndefault_md=sha256\n"
                "certificate=%s/c.pem\nprivate_key=%s/c.pem.key\ncrl_extensions=x\n[x]\nauthorityKeyIdentifier=keyid\n"
                % (box, box, box, box))
    open(os.path.join(box, "crlnumber"), "w").write("0FF5\n")
    pem, out = os.path.join(box, "l.pem"), os.path.join(box, "list")
    subprocess.run(["openssl", "ca", "-config", os.path.join(box, "o.cnf"), "-gencrl", "-crlhours", "1", "-out", pem],
                   check=True, capture_output=True)
    subprocess.run(["openssl", "crl", "-in", pem, "-out", out] + (["-outform", "DER"] if form == "DER" else []) + (
        ["-text"] if "text" in form else []), check=True, capture_output=True)
    d = daemons([one(box, ca, "file://" + out)]).start()
    assert d.number("file://" + out) == str(0x0FF5)
    said = subprocess.run(["openssl", "crl", "-in", pem, "-noout", "-crlnumber"], capture_output=True, text=True).stdout
    assert " crl_number=4085 crl_number_hex=%s " % said.split("=")[1].strip() in d.events("crl_in_force")[0]
    assert "  4085 (%s)  " % said.split("=")[1].strip() in d.ctl("status").stdout
    assert d.status("demo", hit.serial)["reason"] == "keyCompromise"
    assert d.status("demo", held.serial)["reason"] == "certificateHold"
    assert d.status("demo", ABSENT)["status"] == "good"


# R104, R94, T18: shards, each with its own name; swapped they answer for nobody.
def test_shards_are_merged_and_never_swapped(box, publisher, daemons):
    ca = lab.CA("shard CA")
    urls = [publisher.url("%d.crl" % n) for n in range(2)]

    def shard(n, number, name=None, **more):
        return crl(ca, [entry(LISTED + n, "superseded")], number=number, point=idp(name or urls[n], user=True), **more)
    for n in range(2):
        publisher.publish("%d.crl" % n, shard(n, 5 + n))
    d = daemons([one(box, ca, urls, absent="good")], **FAST).start()
    assert [d.number(u) for u in urls] == ["5", "6"]
    assert [d.status("demo", LISTED + n)["status"] for n in range(3)] == ["revoked", "revoked", "good"]
    # The two change places.
    for n in range(2):
        publisher.publish("%d.crl" % n, shard(1 - n, 7, this=-30))
    d.refresh()
    lab.wait(lambda: all(d.crls()[u]["last_error"] for u in urls), 10, "both refused")
    assert all(d.crls()[u]["last_error"].startswith("crl_scope") for u in urls)
    assert [d.number(u) for u in urls] == ["5", "6"]
    assert [d.status("demo", LISTED + n)["status"] for n in range(3)] == ["revoked", "revoked", "good"]
    # One ends: who is in no list may be in its successor.
    publisher.publish("0.crl", shard(0, 8, this=-20, next=2))
    publisher.publish("1.crl", shard(1, 8, this=-20))
    d.refresh()
    for u in urls:
        d.wait_number(u, 8)
    lab.wait(lambda: d.status("demo", ABSENT)["status"] == "unknown", 10, "the end of shard 0")
    assert [d.status("demo", LISTED + n)["status"] for n in range(2)] == ["revoked", "revoked"]


def test_a_shard_that_never_came_leaves_what_is_absent_unknown(box, publisher, daemons):
    """R104, T18: absent only if every configured list is here and in date."""
    ca = lab.CA("shard CA")
    publisher.publish("0.crl", crl(ca, GOOD))
    publisher["1.crl"].mode = 404
    urls = [publisher.url("%d.crl" % n) for n in range(2)]
    d = daemons([one(box, ca, urls)], **FAST).start()
    assert d.status("demo", LISTED)["status"] == "revoked"
    assert d.status("demo", ABSENT)["status"] == "unknown"
    publisher.publish("1.crl", crl(ca, [7]), mode="ok")
    d.refresh()
    d.wait_number(urls[1], 1)
    assert d.status("demo", ABSENT)["status"] == "good"


def test_of_some_shards_what_is_absent_is_unknown(box, publisher, daemons):
    """R104: a list that names a distribution point of its own is a part, and who is in none of those that are configured
    may be in the next.  The status and the log say what is missing; the operator may say that these are all."""
    ca = lab.CA("shard CA")
    urls = [publisher.url("%d.crl" % n) for n in range(2)]

    def publish(n, number):
        publisher.publish("%d.crl" % n, crl(ca, [LISTED + n], number=number, point=idp(urls[n], user=True)))
    for n in range(2):
        publish(n, 1)
    d = daemons([one(box, ca, urls[:1])], **FAST).start()
    assert d.status("demo", LISTED)["status"] == "revoked" and "missing" not in d.status("demo", LISTED)
    got = d.status("demo", LISTED + 1)  # revoked by the one that is not configured
    assert got["status"] == "unknown" and 'write absent = "good"' in got["missing"]
    r = d.ctl("status", "demo", "%x" % (LISTED + 1))
    assert r.returncode == 2 and re.search(r"(?m)^missing +each list names a distribution point", r.stdout)
    assert len(d.events("crl_part")) == 1 and "issuer=demo" in d.events("crl_part")[0]
    # With the other one, and the operator's word.
    d.issuers = [one(box, ca, urls, absent="good")]
    d.write()
    d.reload()
    d.wait_number(urls[1], 1)
    assert [d.status("demo", LISTED + n)["status"] for n in range(3)] == ["revoked", "revoked", "good"]
    assert len(d.events("crl_part")) == 1
    # And without the word.
    d.issuers = [one(box, ca, urls)]
    d.write()
    d.reload()
    assert d.status("demo", ABSENT)["status"] == "unknown"
    d.wait_event("crl_part", 2)


def test_an_expired_list_revokes_still_and_is_asked_for_at_its_end(box, publisher, daemons):
    """R94, R115, P17, T19: past nextUpdate the list is asked for early; what it has stays revoked, what it does not
    have is unknown, until its successor is there."""
    ca = lab.CA("short CA")
    url = publisher.publish("a.crl", crl(ca, GOOD, next=2))
    d = daemons([one(box, ca, url, **{"crl-interval": "10s"})], **FAST).start()
    assert d.status("demo", ABSENT)["status"] == "good" and publisher["a.crl"].hits == 1
    lab.wait(lambda: d.status("demo", ABSENT)["status"] == "unknown", 10, "the end of the list")
    assert d.status("demo", ABSENT)["missing"] == "a list is past its nextUpdate: " + url
    assert url in d.wait_event("crl_overdue")[0] and d.metric("crl_overdue", issuer="demo") == 1
    assert d.status("demo", LISTED)["status"] == "revoked"
    status, ready = d.api("GET", "/readyz")
    assert status == 200 and [url in w and "past its nextUpdate" in w for w in ready["degraded"]] == [True], ready
    assert d.ctl("status", "--strict").returncode == 2
    began = time.monotonic()
    publisher.publish("a.crl", crl(ca, [], number=2, this=-1))
    d.wait_number(url, 2)
    assert time.monotonic() - began < 5 * lab.PATIENCE  # and not at the end of crl-interval
    assert d.status("demo", ABSENT)["status"] == "good" and d.status("demo", LISTED)["status"] == "good"
    assert not d.api("GET", "/readyz")[1]["degraded"]


@pytest.mark.parametrize("end", ["TERM", "KILL"])
def test_no_restart_makes_an_older_list_good(box, publisher, daemons, end):
    """R95, R96, T18: number and thisUpdate of the list in force survive the process."""
    ca = lab.CA("back CA")
    url = publisher.publish("a.crl", crl(ca, GOOD, number=7))
    d = daemons([one(box, ca, url)], **FAST).start()
    lab.wait(lambda: os.path.exists(box + "/d0-state") and any(
        "current" in f for _, _, f in os.walk(box + "/d0-state")), 5, "the file")
    d.stop() if end == "TERM" else d.kill()
    for older in (crl(ca, number=6, this=-10), crl(ca, number=8, this=-120)):
        publisher.publish("a.crl", older)
        d.start()
        assert d.number(url) == "7" and d.crls()[url]["last_error"].startswith("crl_rollback")
        assert d.status("demo", LISTED)["status"] == "revoked"
        d.stop()
    # Nor while the CA is away.
    publisher["a.crl"].mode = 503
    d.start()
    assert d.status("demo", LISTED)["status"] == "revoked" and d.status("demo", ABSENT)["status"] == "good"


def test_a_renewed_ca_counts_from_the_start(box, publisher, daemons, streams):
    """R95: RFC 5280 section 5.2.3 counts by issuer and key; both certificates are configured, over a restart too."""
    old, new = lab.CA("rolled CA"), lab.CA("rolled CA")
    url = publisher.publish("a.crl", crl(old, GOOD, number=4711))
    pems = [c.write(os.path.join(box, n + ".pem")) for c, n in ((old, "old"), (new, "new"))]
    d = daemons([one(box, old, url, certificate=pems)], store="lmdb:" + box + "/store", **FAST).start()
    d.wait_number(url, 4711)
    s = streams(d, "issuer=demo")
    s.ready()
    publisher.publish("a.crl", crl(new, GOOD + [entry(ABSENT)], this=-30))
    d.refresh()
    d.wait_number(url, 1)
    s.wait_serials([ABSENT])
    assert d.status("demo", ABSENT)["status"] == "revoked" and not d.events("crl_number_back")
    d.stop()
    publisher.publish("a.crl", crl(old, number=4711))
    d.start()
    assert d.number(url) == "1" and d.crls()[url]["last_error"].startswith("crl_rollback")


def test_a_number_begins_again(box, publisher, daemons, streams):
    """R95: a CA that was restored: refused and told while the list is in date, taken when it has ended, or by the
    operator's word; also where its clock went back."""
    ca = lab.CA("restored CA")
    url = publisher.publish("a.crl", crl(ca, GOOD, number=4711, next=3))
    d = daemons([one(box, ca, url)], **FAST).start()
    d.wait_number(url, 4711)
    s = streams(d, "issuer=demo")
    s.ready()
    lower = crl(ca, GOOD + [entry(ABSENT)], number=1, this=-30)
    publisher.publish("a.crl", lower)
    d.refresh()
    lab.wait(lambda: d.crls()[url]["last_error"], 5, "a refusal")
    assert d.crls()[url]["last_error"].startswith("crl_rollback:")
    assert "--accept-number" in d.crls()[url]["last_error"]
    assert d.metric("crl_number_back", issuer="demo") == 1 and "effect=refused" in d.events("crl_number_back")[0]
    d.wait_number(url, 1)  # when the three seconds are over
    s.wait_serials([ABSENT])
    assert "effect=taken" in d.events("crl_number_back")[-1]
    # In date now, and a count that begins again, dated before: by the operator's word only.
    publisher.publish("a.crl", crl(ca, GOOD + [entry(ABSENT + 1)], number=0, this=-3000))
    before = publisher["a.crl"].hits
    d.refresh()
    lab.wait(lambda: publisher["a.crl"].hits > before and d.crls()[url]["last_error"], 5, "a refusal")
    assert d.ctl("refresh", "--accept-number", "demo").returncode == 0
    d.wait_number(url, 0)
    s.wait_serials([ABSENT, ABSENT + 1])
    assert d.events("crl_accept_number") and d.events("crl_number_accepted")
    assert d.metric("crl_number_back", issuer="demo") == 0
    # Once.
    publisher.publish("a.crl", crl(ca, GOOD, number=0, this=-3600))
    d.refresh()
    lab.wait(lambda: d.crls()[url]["last_error"], 5, "a refusal")
    d.refresh(accept_number=True)
    lab.wait(lambda: d.status("demo", ABSENT + 1)["status"] != "revoked", 5, "the list of an hour ago")
    assert d.api("POST", "/v1/refresh", {"issuer": "demo", "accept_number": "yes"})[0] == 400


# T18, T16: what lies in the state directory is verified again.
@pytest.mark.parametrize("how", ["another CA's list", "half of it", "nothing"])
def test_a_file_of_ours_that_somebody_changed_is_not_believed(box, publisher, daemons, how):
    ca = lab.CA("file CA")
    url = publisher.publish("a.crl", crl(ca, GOOD, number=7))
    d = daemons([one(box, ca, url)], **FAST).start()
    d.stop()
    found = [os.path.join(p, "current") for p, _, f in os.walk(box + "/d0-state") if "current" in f]
    assert len(found) == 1
    der = open(found[0], "rb").read()
    assert der == publisher["a.crl"].body
    with open(found[0], "wb") as f:
        f.write({"another CA's list": crl(lab.CA("file CA"), number=9), "half of it": der[:-70], "nothing": b""}[how])
    d.start()
    d.wait_number(url, 7)
    assert d.status("demo", LISTED)["status"] == "revoked"
    assert d.events("crl_state_refused")


def test_a_list_that_cannot_be_told_is_seen(box, publisher, daemons):
    """T23: what was told cannot be read (here: a FIFO, which nobody waits for): an error, a gauge, degraded; and all
    is told when it can be read again."""
    ca = lab.CA("held CA")
    url = publisher.publish("a.crl", crl(ca, GOOD, number=7))
    d = daemons([one(box, ca, url)], store="lmdb:" + box + "/d0-store", **FAST).start()
    told = lab.wait(lambda: [os.path.join(p, "told") for p, _, f in os.walk(box + "/d0-state") if "told" in f], 10,
                    "the first list to be told")[0]
    lab.wait(lambda: d.metric("changes_waiting") == 0 and not os.path.exists(told[:-4] + "next"), 10, "its place")
    d.stop()
    os.rename(told, told + ".away")
    os.mkfifo(told)
    publisher.publish("a.crl", crl(ca, GOOD + [ABSENT], number=8))
    d.start()
    d.wait_number(url, 8)
    assert d.status("demo", ABSENT)["status"] == "revoked"
    words = lab.wait(lambda: d.api("GET", "/readyz")[1]["degraded"], 10, "degraded")
    assert len(words) == 1 and url in words[0] and told + ": not a regular file" in words[0], words
    assert words[0] in d.ctl("status").stdout
    assert d.metric("crl_held_back", issuer="demo", list="0") == 1
    line = d.wait_event("crl_state_failed")[0]
    assert "level=error" in line and "step=compare" in line and "remedy=" in line
    assert not d.events("crl_changes")
    os.rename(told + ".away", told)
    d.refresh()
    assert "added=1 " in d.wait_event("crl_changes")[0]
    lab.wait(lambda: not d.api("GET", "/readyz")[1]["degraded"], 10, "all is well")
    assert d.metric("crl_held_back", issuer="demo", list="0") == 0 and not d.events("events_gap")


def test_a_list_issued_again_is_noticed(box, publisher, daemons):
    """R95, P17: the same number and nextUpdate, another list: it is taken, and it is an alarm."""
    ca = lab.CA("again CA")
    end = at(3600)
    url = publisher.publish("a.crl", crl(ca, [], number=5, this=-60, next=end))
    d = daemons([one(box, ca, url)], **FAST).start()
    assert d.status("demo", LISTED)["status"] == "good" and not d.events("crl_number_reused")
    publisher.publish("a.crl", crl(ca, GOOD, number=5, this=-30, next=end))
    d.refresh()
    lab.wait(lambda: d.status("demo", LISTED)["status"] == "revoked", 10, "the second list")
    assert len(d.wait_event("crl_number_reused")) == 1
    # And with the same thisUpdate too.
    publisher.publish("a.crl", crl(ca, GOOD + [ABSENT], number=5, this=-30, next=end))
    d.refresh()
    lab.wait(lambda: d.status("demo", ABSENT)["status"] == "revoked", 10, "the third list")
    assert len(d.wait_event("crl_number_reused", 2)) == 2


def test_ready_when_each_list_was_tried_once(box, publisher, world, daemons):
    """R115: 503 until then, and 200 although the list could not be had."""
    url = publisher.publish("a.crl", crl(world.ca, GOOD), mode="hold")
    d = daemons([world.issuer(crl=[url])], **FAST).start(ready=False)
    lab.wait(lambda: publisher["a.crl"].hits, 5, "the fetch")
    for _ in range(3):
        status, body = d.api("GET", "/readyz")
        assert status == 503 and body["ready"] is False and len(body["reasons"]) == 1, body
    assert d.ask(world.ca, world.good.serial).outcome == "good"  # clients that come all the same are answered
    publisher["a.crl"].mode = 404
    publisher["a.crl"].free.set()
    status, body = lab.wait(lambda: (lambda r: r if r[0] == 200 else None)(d.api("GET", "/readyz")), 10, "200")
    assert body["reasons"] == [] and any("demo" in x for x in body["degraded"])
    assert any(url in x and "HTTP status 404" in x for x in body["degraded"]), body


def test_a_refresh_during_a_fetch_is_followed_by_another(box, publisher, daemons):
    """R115: what was published after the fetch began is not missed."""
    ca = lab.CA("slow CA")
    shelf = publisher["a.crl"]
    url = publisher.publish("a.crl", crl(ca, GOOD, number=5))
    d = daemons([one(box, ca, url)], **FAST).start()
    shelf.free.clear()
    shelf.mode = "hold"
    d.refresh()
    lab.wait(lambda: shelf.hits == 2, 5, "the second fetch")
    for _ in range(5):
        d.refresh()
    assert d.number(url) == "5" and shelf.hits == 2  # the keeper has heard of them all; one at a time
    publisher.publish("a.crl", crl(ca, [], number=6, this=-30))
    # The fetch under way gets what there was when it began.
    shelf.mode = "ok"
    shelf.free.set()
    d.wait_number(url, 6)
    lab.wait(lambda: shelf.hits == 3, 5, "the third fetch")
    publisher.publish("a.crl", crl(ca, [], number=7, this=-29))
    d.refresh()
    d.wait_number(url, 7)
    assert shelf.hits == 4 and shelf.unchanged == 1  # and none between


# R115, P33: conditional requests where the server can; the digest where it cannot.
@pytest.mark.parametrize("etag, dated", [(True, True), (True, False), (False, True), (False, False)])
def test_an_unchanged_list_is_not_read_again(box, publisher, daemons, etag, dated):
    ca = lab.CA("same CA")
    shelf = publisher["a.crl"]
    url = publisher.publish("a.crl", crl(ca, GOOD), etag=etag, dated=dated)
    d = daemons([one(box, ca, url, **{"crl-interval": "100ms"})], **FAST).start()
    lab.wait(lambda: shelf.hits >= 4, 10, "some fetches")
    d.wait_number(url, 1)
    assert len(d.events("crl_in_force")) == 1 and not d.events("crl_changes")
    given = shelf.conditional[0], shelf.conditional[-1]
    assert given[0] == {}
    assert ("If-None-Match" in given[1]) == etag
    if dated and not etag:
        assert "If-Modified-Since" in given[1]
    assert (shelf.unchanged >= 3) == (etag or dated)
    publisher.publish("a.crl", crl(ca, [], number=2, this=-10))
    shelf.modified = "Sun, 01 Nov 2026 00:00:00 GMT"
    d.wait_number(url, 2)
    # The validators survive a restart.
    hits = len(shelf.conditional)
    d.stop()
    d.start()
    assert d.number(url) == "2"
    lab.wait(lambda: len(shelf.conditional) > hits, 5, "a fetch")
    assert bool(shelf.conditional[hits]) == (etag or dated)


def same_size(ca, *sizes_of):
    """A list of each of these serials' lists, numbered from 2, all of one size: ECDSA signatures differ in theirs."""
    lists_of = [[crl(ca, revoked, number=2 + n, this=-60) for _ in range(40)] for n, revoked in enumerate(sizes_of)]
    for size in map(len, lists_of[0]):
        fitting = [[der for der in some if len(der) == size] for some in lists_of]
        if all(fitting):
            return [some[0] for some in fitting]
    raise AssertionError("no size is common")


def test_two_lists_of_one_size_within_a_second_are_both_told(box, daemons, streams):
    """R115, R152: nginx's ETag is made of mtime in seconds and size, as its Last-Modified is: the second of two such
    lists, the first fetched between, has both.  Each question of the timer and of the operator until then goes
    without."""
    ca = lab.CA("fast CA")
    www = os.path.join(box, "www")
    os.mkdir(www)
    path = os.path.join(www, "ca.crl")
    one_more, another = same_size(ca, [entry(LISTED), entry(ABSENT)], [entry(LISTED), entry(ABSENT + 1)])
    lists.put(path, crl(ca, GOOD))
    old = time.time() - 100
    os.utime(path, (old, old))
    asked = os.path.join(box, "asked")
    n = Nginx(types.SimpleNamespace(box=box), "root %s; access_log %s status;" % (www, asked),
              'log_format status "$status";', tls=False)

    def statuses():
        with open(asked) as f:
            return f.read().split()
    try:
        url = "http://127.0.0.1:%d/ca.crl" % n.port
        d = daemons([one(box, ca, url)], **FAST).start()
        d.wait_number(url, 1)
        s = streams(d, "issuer=demo")
        s.ready()
        now = int(time.time())  # the second in which both are published
        for number, der, told in ((2, one_more, [ABSENT]), (3, another, [ABSENT, ABSENT + 1])):
            lists.put(path, der)
            os.utime(path, (now, now))
            d.refresh()
            d.wait_number(url, number)
            s.wait_serials(told)
        assert d.status("demo", ABSENT + 1)["status"] == "revoked"
        assert "304" not in statuses()
        # Once the second is over by two, a whole list is fetched, and then asked for with conditions.
        lab.wait(lambda: d.refresh() or "304" in statuses(), 10, "a 304")
    finally:
        n.stop()


def test_a_file_is_read_again_when_anything_of_it_has_changed(box, daemons):
    """P17: unchanged only while device, inode, size, mtime and ctime in ns are all the same, and the times are over
    by two seconds."""
    ca = lab.CA("local CA")
    path = os.path.join(box, "a.crl")
    sizes = [crl(ca, [LISTED + n], number=5 + n, this=-60 + n) for n in range(200)]
    same = {}
    for der in sizes:  # ECDSA signatures differ in length
        same.setdefault(len(der), []).append(der)
    first, second, third, *_ = max(same.values(), key=len)

    def read():
        return len(d.events("crl_in_force"))
    url = lists.put(path, first)
    d = daemons([one(box, ca, url, **{"crl-interval": "100ms"})], **FAST).start()
    was = os.stat(path)
    # Same inode, size and mtime, as `cp -p` or `rsync --inplace` leave it.
    with open(path, "r+b") as f:
        f.write(second)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    lab.wait(lambda: read() == 2, 5, "the second list")
    # Another inode with the same size and mtime.
    with open(path + ".new", "wb") as f:
        f.write(third)
    os.utime(path + ".new", ns=(was.st_atime_ns, was.st_mtime_ns))
    os.rename(path + ".new", path)
    lab.wait(lambda: read() == 3, 5, "the third list")
    # A file that is away, and one that cannot be one.
    os.unlink(path)
    lab.wait(lambda: d.crls()[url]["last_error"], 5, "an error")
    os.mkfifo(path)
    lab.wait(lambda: "regular" in d.crls()[url]["last_error"], 5, "another error")
    assert d.status("demo", ABSENT)["status"] == "good"
    os.unlink(path)
    lists.put(path, third)
    lab.wait(lambda: d.crls()[url]["last_error"] is None, 5, "recovery")


def test_a_refresh_reads_a_file_whatever_it_looks_like(box, daemons):
    ca = lab.CA("local CA")
    path = os.path.join(box, "a.crl")
    same = {}
    for n in range(100):
        der = crl(ca, [LISTED + n], number=5 + n, this=-60 + n)
        same.setdefault(len(der), []).append(der)
    first, second, *_ = max(same.values(), key=len)
    url = lists.put(path, first)
    d = daemons([one(box, ca, url)], **FAST).start()
    was = os.stat(path)
    with open(path, "r+b") as f:
        f.write(second)
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    d.refresh()
    lab.wait(lambda: len(d.events("crl_in_force")) == 2, 5, "the second list")


def test_a_reload_adds_and_removes_lists(box, publisher, daemons):
    """T19: what a list revoked that is taken out of the configuration is known no more, and that is logged."""
    ca = lab.CA("reload CA")
    a = publisher.publish("a.crl", crl(ca, GOOD, number=5))
    b = publisher.publish("b.crl", crl(ca, [ABSENT], number=8))
    issuer = one(box, ca, a)
    d = daemons([issuer], **FAST).start()
    assert d.status("demo", ABSENT)["status"] == "good"
    issuer["crl"] = [a, b]
    d.write()
    d.reload()
    d.wait_number(b, 8)
    assert [d.status("demo", s)["status"] for s in (LISTED, ABSENT, 7)] == ["revoked", "revoked", "good"]
    assert publisher["a.crl"].hits == 1  # nothing of a has changed
    issuer["crl"] = [b]
    d.write()
    d.reload()
    lab.wait(lambda: list(d.crls()) == [b], 5, "a to go")
    lab.wait(lambda: d.status("demo", LISTED)["status"] == "good", 5, "the set without a")  # until then: as before
    assert [d.status("demo", s)["status"] for s in (LISTED, ABSENT, 7)] == ["good", "revoked", "good"]
    assert d.events("crl_dropped")
    # A bad configuration changes nothing.
    issuer["crl"] = ["gopher://x/"]
    d.write()
    d.reload(good=False)
    assert list(d.crls()) == [b] and d.status("demo", ABSENT)["status"] == "revoked"


def test_a_reload_takes_a_renewed_certificate(box, publisher, daemons):
    """R89: one name, two keys; a list is of whichever of them verifies it."""
    old, new = lab.CA("renewed CA"), lab.CA("renewed CA")
    url = publisher.publish("a.crl", crl(new, GOOD, number=5))
    issuer = one(box, old, url)
    d = daemons([issuer], **FAST).start()
    assert d.crls()[url]["last_error"].startswith("crl_signature")
    issuer["certificate"] = [issuer["certificate"], new.write(os.path.join(box, "new.pem"))]
    d.write()
    d.reload()
    d.wait_number(url, 5)
    assert d.status("demo", LISTED)["status"] == "revoked"
    # The key goes again: what it alone vouches for is no evidence.
    issuer["certificate"] = issuer["certificate"][:1]
    d.write()
    d.reload()
    lab.wait(lambda: d.status("demo", LISTED)["status"] == "unknown", 5, "the list to go")


# R111: over crl-max-size, told beforehand or not.
def test_a_list_over_the_limit_is_refused(box, publisher, daemons):
    ca = lab.CA("large CA")
    url = publisher.publish("a.crl", crl(ca, GOOD))
    d = daemons([one(box, ca, url)], crl_max_size="10K", **FAST).start()
    publisher.publish("a.crl", crl(ca, [lists.many(1 << 60, 1000)], number=2, this=-30))
    d.refresh()
    lab.wait(lambda: d.crls()[url]["last_error"], 5, "an error")
    assert d.crls()[url]["last_error"].startswith("crl_large") and d.number(url) == "1"
    path = lists.put(os.path.join(box, "a.crl"), publisher["a.crl"].body)
    d.issuers[0]["crl"] = [path]
    d.write()
    d.reload()
    lab.wait(lambda: d.crls().get(path, {}).get("last_error"), 5, "an error")
    assert d.crls()[path]["last_error"].startswith("crl_large")


def test_a_failing_list_is_asked_for_with_back_off(box, publisher, daemons):
    """R115: a CA that is away is not hammered, and its return is noticed."""
    ca = lab.CA("away CA")
    url = publisher.publish("a.crl", crl(ca, GOOD), mode=503)
    d = daemons([one(box, ca, url)], backoff_initial="100ms", crl_backoff_max="400ms").spawn()
    began = time.monotonic()
    lab.wait(lambda: publisher["a.crl"].hits >= 6, 10, "the sixth fetch")
    assert time.monotonic() - began >= 0.75  # after half of 100, 200, 400, 400, 400 ms at least
    publisher["a.crl"].mode = "ok"
    d.wait_number(url, 1)
    assert d.events("crl_recovered")


def test_a_server_that_says_nothing_is_given_up(box, publisher, daemons):
    """R111, R115: crl-timeout is for the whole fetch; the old list stays, and the next fetch begins anew."""
    ca = lab.CA("mute CA")
    url = publisher.publish("a.crl", crl(ca, GOOD, number=5))
    d = daemons([one(box, ca, url)], crl_timeout="300ms", **FAST).start()
    publisher.publish("a.crl", crl(ca, [], number=6, this=-30), mode="hold")
    d.refresh()
    lab.wait(lambda: d.crls()[url]["last_error"], 5, "an error")
    assert d.crls()[url]["last_error"].startswith("upstream_timeout") and d.number(url) == "5"
    assert d.status("demo", LISTED)["status"] == "revoked"
    publisher["a.crl"].release()
    d.wait_number(url, 6)


def test_a_stop_does_not_wait_for_a_list(box, publisher, daemons):
    """A fetch under way, and one of 1,000,000 entries that is being read: TERM ends both."""
    ca, big = lab.CA("mute CA"), lab.CA("big CA")
    url = publisher.publish("a.crl", crl(ca, GOOD), mode="hold")
    path = lists.put(os.path.join(box, "big.crl"), crl(big, [lists.many(1 << 60, 1000000)]))
    d = daemons([one(box, ca, url), {"name": "big", "certificate": big.write(os.path.join(box, "big.pem")),
                                     "crl": [path]}]).start(ready=False)
    lab.wait(lambda: publisher["a.crl"].hits, 5, "the fetch")
    began = time.monotonic()
    d.stop()
    assert time.monotonic() - began < 3 * lab.PATIENCE


def test_an_old_list_is_an_alarm(box, publisher, daemons):
    """R114: with profile public a list of 5 days is too old where there is no OCSP (CA/B BR 4.9.7: 4 days)."""
    ca = lab.CA("old CA")
    url = publisher.publish("a.crl", crl(ca, GOOD, this=-5 * 86400))
    d = daemons([one(box, ca, url, profile="public")], **FAST).start()
    d.wait_event("crl_old")
    assert d.metric("crl_age_alarm", issuer="demo") == 1
    assert d.metric("crl_age_seconds", issuer="demo") >= 5 * 86400
    publisher.publish("a.crl", crl(ca, GOOD, number=2, this=-3 * 86400))
    d.refresh()
    d.wait_number(url, 2)
    assert d.metric("crl_age_alarm", issuer="demo") == 0


def test_what_is_served_by_ocsp_follows_the_list_at_once(box, publisher, world, daemons):
    """R71, R115: the swap is the revocation: the hit after the new number is told is no good."""
    url = publisher.publish("a.crl", crl(world.ca, []))
    d = daemons([world.issuer(crl=[url])], **FAST).start()
    assert d.ask(world.ca, world.good.serial).outcome == "good" and d.ask(world.ca, world.good.serial).hit
    world.ca.statuses[world.good.serial] = {"status": "revoked", "reason": "key_compromise"}
    publisher.publish("a.crl", crl(world.ca, [entry(world.good.serial, "keyCompromise")], number=2, this=0))
    d.refresh()
    d.wait_number(url, 2)
    assert d.ask(world.ca, world.good.serial).outcome == "revoked"


def test_an_openssl_fuzz_corpus_is_refused_to_the_last(box, corpora, daemons):
    """R93, R109, R111: 200 of 2,064 seeds: none is a list of ours, and none ends the daemon."""
    folder = corpora("openssl-fuzz-crl", "seeds")
    names = random.Random(4).sample(sorted(os.listdir(folder)), 200)
    ca = lab.CA("fuzz CA")
    urls = ["file://" + os.path.join(os.path.abspath(folder), n) for n in names]
    d = daemons([one(box, ca, urls)]).start()
    told = d.crls()
    assert set(told) == set(urls)
    for u in urls:
        assert told[u]["crl_number"] is None and re.match("crl_", told[u]["last_error"]), told[u]
    assert d.status("demo", LISTED)["status"] == "unknown"
    assert d.metric("crl_refused_total", issuer="demo") == 200


def test_hundreds_of_octets_flipped_one_by_one_are_refused(box, daemons):
    """R89, R93: whatever single octet of a list is changed, it is no list."""
    ca = lab.CA("flip CA")
    der = crl(ca, [entry(LISTED, "keyCompromise"), entry(7)], point=idp(user=True))
    places = range(0, len(der), 1 if len(der) < 400 else 2)
    urls = []
    for i in places:
        flipped = bytearray(der)
        flipped[i] ^= 1 << i % 8
        urls.append(lists.put(os.path.join(box, "%d.crl" % i), bytes(flipped)))
    d = daemons([one(box, ca, urls)]).start()
    told = d.crls()
    assert len(told) == len(urls)
    wrong = [u for u in urls if told[u]["last_error"] is None]
    assert wrong == []
    assert d.status("demo", LISTED)["status"] == "unknown"
