"""Hostile responses through the whole daemon: put together here octet by octet from RFC 6960 section 4.2.1, signed
with python3-cryptography.  A second implementation beside tests/lib/forge.c: what both get wrong must be wrong in
two ways.  The verdicts come from the text of the RFCs and of the Baseline Requirements.
"""
import datetime
import hashlib
import shutil
import tempfile

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

import daemon
import lab
from lists import oid, tlv

DAY = 86400


def at(seconds, form="%Y%m%d%H%M%SZ"):
    return (lab.now() + datetime.timedelta(seconds=seconds)).strftime(form).encode()


def extension(dotted, critical, value=b"\x05\x00"):
    return tlv(0x30, oid(dotted) + (b"\x01\x01\xff" if critical else b"") + tlv(0x04, value))


GOOD, UNKNOWN = b"\x80\x00", b"\x82\x00"
STRANGE = "1.2.3.4.5"


def revoked(reason=None, when=-DAY):
    return tlv(0xa1, tlv(0x18, at(when)) + (tlv(0xa0, bytes([0x0a, 1, reason])) if reason is not None else b""))


def single(certid, status=GOOD, this=-60, next=3600, extensions=b""):
    """Times in seconds from now, or the octets of the GeneralizedTime; next None for none."""
    text = at(this) if isinstance(this, int) else this
    content = certid.dump() + status + tlv(0x18, text)
    if next is not None:
        content += tlv(0xa0, tlv(0x18, at(next) if isinstance(next, int) else next))
    return tlv(0x30, content + (tlv(0xa1, tlv(0x30, extensions)) if extensions else b""))


def key_id(party):
    return tlv(0xa2, tlv(0x04, hashlib.sha1(party.asn1.public_key["public_key"].contents[1:]).digest()))


def name_id(party):
    return tlv(0xa1, party.asn1.subject.dump())


def respond(singles, signer, certs=(), rid=None, produced=-60, extensions=b"", version=b"", key=None, digest="sha256",
            status=0, kind="1.3.6.1.5.5.7.48.1.1", claim=None):
    """key: who really signs; claim: what the signature is put under instead of its own bytes."""
    tbs = tlv(0x30, version + (rid or key_id(signer)) + tlv(0x18, at(produced) if isinstance(produced, int) else produced)
              + tlv(0x30, b"".join(singles)) + (tlv(0xa1, tlv(0x30, extensions)) if extensions else b""))
    hasher = {"sha1": hashes.SHA1(), "sha256": hashes.SHA256(), "sha384": hashes.SHA384()}[digest]
    signature = (key or signer).sign(tbs, hasher)
    algorithm = tlv(0x30, oid({"sha1": "1.2.840.10045.4.1", "sha256": "1.2.840.10045.4.3.2",
                               "sha384": "1.2.840.10045.4.3.3"}[digest]))
    content = (claim or tbs) + algorithm + tlv(0x03, b"\0" + signature)
    if certs:
        content += tlv(0xa0, tlv(0x30, b"".join(c.der for c in certs)))
    return tlv(0x30, tlv(0x0a, bytes([status])) + tlv(0xa0, tlv(0x30, oid(kind) + tlv(0x04, tlv(0x30, content)))))


class Stage:
    """A root, two CAs below it (the second under profile "public"), their delegates, Redis and a daemon."""

    def __init__(self, box):
        self.root = lab.CA("Hostile Root")
        self.ca, self.public = lab.CA("Hostile CA", issuer=self.root), lab.CA("Hostile Public CA", issuer=self.root)
        self.sibling = lab.CA("Hostile Sibling", issuer=self.root)
        self.child = lab.CA("Hostile Child", issuer=self.ca)
        self.twin = lab.CA("Hostile CA")  # the CA's name, another key
        self.delegate = self.ca.delegate()
        self.leaf = self.ca.issue()
        self.responder = lab.Responder()
        self.redis = lab.Redis(box)
        self.serial = 0x4000
        issuers = [{"name": n, "certificate": ca.write("%s/%s.pem" % (box, n)), "ocsp": [self.responder.url], "profile": n}
                   for n, ca in (("private", self.ca), ("public", self.public))]
        self.daemon = daemon.Daemon(box, issuers, store=self.redis.url, error_ttl="0s", backoff_initial="10ms",
                                    backoff_max="10ms")
        self.daemon.start()

    def offer(self, make, issuer="private"):
        """Let the responder say make(stage, serial) of a new serial; (what it said, the client's answer, Redis)."""
        self.serial += 0x100
        ca = self.ca if issuer == "private" else self.public
        der = make(self, self.serial)
        self.responder.answer = lambda _: der
        self.daemon.api("POST", "/v1/refresh", {"issuer": issuer, "serial": "%x" % self.serial})  # forgets back-off
        r = self.daemon.ask(ca, self.serial)
        return der, r, self.redis.keys("ocspcached:a:")

    def reason(self, issuer="private"):
        """The code of the check that the answer did not pass."""
        self.daemon.api("POST", "/v1/refresh", {"issuer": issuer, "serial": "%x" % self.serial})
        _, body = self.daemon.api("GET", "/v1/explain/%s/%x" % (issuer, self.serial))
        upstream = [a for a in body["answers"] if a["from"] == "upstream"][0]
        assert upstream["admitted"] is False
        return upstream["checks"][-1]["code"]

    def close(self):
        self.daemon.stop()
        self.redis.stop()
        self.responder.stop()


@pytest.fixture(scope="module")
def stage():
    box = tempfile.mkdtemp(prefix="oc-")
    s = Stage(box)
    yield s
    s.close()
    shutil.rmtree(box, ignore_errors=True)


def one(t, s, **more):
    return [single(t.ca.certid(s), **more)]


def pub(t, s, **more):
    return [single(t.public.certid(s), **more)]


def signed_for_another(t, s):
    """Both by the CA itself."""
    words = tlv(0x30, key_id(t.ca) + tlv(0x18, at(-60)) + tlv(0x30, one(t, s)[0]))
    return respond([single(t.ca.certid(s + 1))], t.ca, claim=words)


def with_delegate(t, s, delegate, **more):
    return respond(one(t, s), delegate, certs=more.pop("certs", [delegate]), **more)


# What is wrong, the number that it proves, what the responder says of serial s, the check that has to find it.
HOSTILE = [
    # RFC 6960 section 3.2, 2: the signature on the response is valid
    ("words of one answer, signature of another", "R43", signed_for_another, "signature"),
    ("signed by a stranger in the CA's name", "R43", lambda t, s: respond(one(t, s), t.ca, key=t.twin), "signature"),
    ("ECDSA with SHA-1", "R43", lambda t, s: respond(one(t, s), t.ca, digest="sha1"), "signature_algorithm"),
    # section 4.2.2.2: the CA, or a certificate that this CA issued directly with id-kp-OCSPSigning
    ("the root, an ancestor", "R46", lambda t, s: with_delegate(t, s, t.root), "delegate_issuer"),
    ("a delegate of the root", "R46", lambda t, s: with_delegate(t, s, t.root.delegate()), "delegate_issuer"),
    ("a delegate of a sibling", "R46", lambda t, s: with_delegate(t, s, t.sibling.delegate()), "delegate_issuer"),
    ("a delegate of a child, with its chain", "R46", lambda t, s: with_delegate(
        t, s, d := t.child.delegate(), certs=[d, t.child, t.ca]), "delegate_issuer"),
    ("a delegate forged below the CA's name", "R47", lambda t, s: with_delegate(t, s, t.twin.delegate()),
     "delegate_issuer"),
    ("no extended key usage", "R45", lambda t, s: with_delegate(t, s, t.leaf), "delegate_eku"),
    ("anyExtendedKeyUsage", "R45", lambda t, s: with_delegate(t, s, t.ca.delegate(
        eku=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])), "delegate_eku"),
    ("a TLS client and server", "R45", lambda t, s: with_delegate(t, s, t.ca.delegate(
        eku=[ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])), "delegate_eku"),
    ("an expired delegate", "R48", lambda t, s: with_delegate(t, s, t.ca.delegate(days=(-9, -1))), "delegate_validity"),
    ("a delegate of tomorrow", "R48", lambda t, s: with_delegate(t, s, t.ca.delegate(days=(1, 9))),
     "delegate_validity"),
    # section 4.2.2.3: ResponderID is the responder's name or the hash of its key
    ("byKey of somebody else", "R51", lambda t, s: with_delegate(t, s, t.delegate, rid=key_id(t.sibling)),
     "responder_id"),
    ("byName of somebody else", "R51", lambda t, s: with_delegate(t, s, t.delegate, rid=name_id(t.sibling)),
     "responder_id"),
    ("byKey of the CA, signed by its delegate", "R51", lambda t, s: with_delegate(t, s, t.delegate, rid=key_id(t.ca)),
     "signature"),
    ("a delegate that is not in it", "R44", lambda t, s: with_delegate(t, s, t.delegate, certs=[]), "responder_id"),
    # section 3.2, 1: the certificate identified in the response is the one of the request
    ("another serial", "R54", lambda t, s: respond(one(t, s + 1), t.ca), "certid"),
    ("a serial that begins like it", "R15", lambda t, s: respond(one(t, s << 8), t.ca), "certid"),
    ("its negative", "R16", lambda t, s: respond(one(t, -s), t.ca), "certid"),
    ("the sibling's certificate", "R52", lambda t, s: respond([single(t.sibling.certid(s))], t.ca), "certid"),
    ("the CA's key, another name", "R52", lambda t, s: respond([single(t.ca.certid(
        s, issuer_name_hash=t.sibling.name_hash()))], t.ca), "certid"),
    ("SHA-256 where SHA-1 was asked for", "R14", lambda t, s: respond([single(t.ca.certid(s, "sha256"))], t.ca),
     "certid"),
    ("nothing at all", "R54", lambda t, s: respond([], t.ca), "certid"),
    ("good and unknown", "R53", lambda t, s: respond(one(t, s) + one(t, s, status=UNKNOWN), t.ca),
     "contradicting_duplicates"),
    ("ours second", "R55", lambda t, s: respond(one(t, s + 1) + one(t, s), t.ca), "multiple_responses"),
    ("twice the same", "R55", lambda t, s: respond(one(t, s) * 2, t.ca), "multiple_responses"),
    # section 4.4: an extension marked critical that is not recognised
    ("an unknown critical extension", "R56", lambda t, s: respond(one(t, s), t.ca, extensions=extension(STRANGE, True)),
     "response_extension"),
    ("the same of one certificate", "R56", lambda t, s: respond(one(t, s, extensions=extension(STRANGE, True)), t.ca),
     "response_extension"),
    # section 3.2, 5 and 6; 4.2.2.1; RFC 9919 section 3.2.4
    ("thisUpdate to come", "R57", lambda t, s: respond(one(t, s, this=400), t.ca), "this_update_future"),
    ("thisUpdate in the year 9999", "T5", lambda t, s: respond(
        one(t, s, this=b"99991231235958Z", next=b"99991231235959Z"), t.ca), "this_update_future"),
    ("expired", "R59", lambda t, s: respond(one(t, s, this=-100, next=-1), t.ca), "expired"),
    ("expired in 1970", "T5", lambda t, s: respond(one(t, s, this=b"19691231000000Z", next=b"19700101000000Z"), t.ca),
     "expired"),
    ("an end before its beginning", "R61", lambda t, s: respond(one(t, s, this=-60, next=-61), t.ca),
     "next_before_this"),
    ("no end", "R58", lambda t, s: respond(one(t, s, next=None), t.ca), "next_update_missing"),
    ("made in the future", "R62", lambda t, s: respond(one(t, s), t.ca, produced=400), "produced_at"),
    ("made before its delegate was", "R62", lambda t, s: with_delegate(t, s, t.delegate, produced=-3 * DAY),
     "produced_at"),
    ("the 30th of February", "R63", lambda t, s: respond(one(t, s, this=b"20250230000000Z"), t.ca), "time_format"),
    # sections 4.2.1 and 2.3
    ("responseStatus 4", "R40", lambda t, s: respond(one(t, s), t.ca, status=4), "response_status"),
    ("responseStatus 7", "R40", lambda t, s: respond(one(t, s), t.ca, status=7), "response_status"),
    ("tryLater with an answer in it", "R39", lambda t, s: respond(one(t, s), t.ca, status=3), "response_try_later"),
    ("another responseType", "R41", lambda t, s: respond(one(t, s), t.ca, kind="1.3.6.1.5.5.7.48.1.99"),
     "response_type"),
    ("version 2", "R42", lambda t, s: respond(one(t, s), t.ca, version=b"\xa0\x03\x02\x01\x01"), "response_version"),
    ("two responses", "R141", lambda t, s: respond(one(t, s), t.ca) * 2, "response_trailing"),
    ("half a response", "R141", lambda t, s: respond(one(t, s), t.ca)[:-40], "response_der"),
    ("an indefinite length", "T11", lambda t, s: b"\x30\x80" + respond(one(t, s), t.ca)[4:] + b"\0\0", "response_der"),
    # RFC 5280 section 5.3.1: removeFromCRL is for delta CRLs alone; 7 is no reason
    ("removeFromCRL", "R65", lambda t, s: respond(one(t, s, status=revoked(8)), t.ca), "reason"),
    ("reason 7", "R65", lambda t, s: respond(one(t, s, status=revoked(7)), t.ca), "reason"),
]
# Baseline Requirements 4.9.9, 4.9.10, 7.1.2.8, RFC 9919 section 3.2.4: for the profile "public" only.
HOSTILE_PUBLIC = [
    ("eleven days old", "R60", lambda t, s: respond(pub(t, s, this=-11 * DAY), t.public), "this_update_old"),
    ("a fraction of a second", "R63", lambda t, s: respond(pub(t, s, this=at(-60, "%Y%m%d%H%M%S.5Z")), t.public),
     "time_format"),
    ("a time that is not Zulu", "R63", lambda t, s: respond(pub(t, s, this=at(3540, "%Y%m%d%H%M%S+0100")), t.public),
     "time_format"),
    ("a delegate without ocsp-nocheck", "R49", lambda t, s: respond(
        pub(t, s), d := t.public.delegate(nocheck=False), certs=[d]), "delegate_nocheck"),
]


def refused(stage, make, code, issuer):
    sent, got, stored = stage.offer(make, issuer)
    assert got.outcome == "try_later" and "no-store" in got["Cache-Control"]
    assert len(got.body) == 5 and stored == []
    assert stage.reason(issuer) == code
    assert stage.redis.keys("ocspcached:a:") == []


@pytest.mark.parametrize("make,code", [c[2:] for c in HOSTILE], ids=[c[1] + " " + c[0] for c in HOSTILE])
def test_a_hostile_answer_reaches_neither_client_nor_store(stage, make, code):
    """R14-R16, R39-R48, R51-R59, R61-R63, R65, R141, T1, T4, T5, T6, T11: the number of each is in its name."""
    refused(stage, make, code, "private")


@pytest.mark.parametrize("make,code", [c[2:] for c in HOSTILE_PUBLIC], ids=[c[1] + " " + c[0] for c in HOSTILE_PUBLIC])
def test_what_the_public_profile_refuses(stage, make, code):
    """R49, R60, R63"""
    refused(stage, make, code, "public")


RIGHT = [
    ("the CA with itself and a stranger in it", lambda t, s: respond(one(t, s), t.ca, certs=[t.ca, t.sibling])),
    ("byName", lambda t, s: with_delegate(t, s, t.delegate, rid=name_id(t.delegate))),
    ("strangers before the delegate", lambda t, s: with_delegate(t, s, t.delegate, certs=[t.root, t.leaf, t.delegate])),
    ("made before thisUpdate", lambda t, s: respond(one(t, s), t.ca, produced=-4000)),
    ("SHA-384", lambda t, s: respond(one(t, s), t.ca, digest="sha384")),
    ("archiveCutoff, critical", lambda t, s: respond(one(t, s, extensions=extension(
        "1.3.6.1.5.5.7.48.1.6", True, tlv(0x18, at(-9 * DAY)))), t.ca)),
    ("an unknown extension", lambda t, s: respond(one(t, s), t.ca, extensions=extension(STRANGE, False))),
    ("eleven days old", lambda t, s: respond(one(t, s, this=-11 * DAY), t.ca)),
    ("a fraction of a second", lambda t, s: respond(one(t, s, this=at(-60, "%Y%m%d%H%M%S.5Z")), t.ca)),
    ("until the year 9999", lambda t, s: respond(one(t, s, next=b"99991231235959Z"), t.ca)),
    ("revoked without a reason", lambda t, s: respond(one(t, s, status=revoked()), t.ca)),
    ("version 1 in words", lambda t, s: respond(one(t, s), t.ca, version=b"\xa0\x03\x02\x01\x00")),
]


@pytest.mark.parametrize("make", [c[1] for c in RIGHT], ids=[c[0] for c in RIGHT])
def test_what_is_odd_and_right_is_served_octet_for_octet(stage, make):
    """R44, R50, R51, R56, R60, R61, R62, R63, R67: the door is not closed to all."""
    sent, got, _ = stage.offer(make)
    assert got.body == sent
    assert 0 < int(got["Cache-Control"].split(",")[0].partition("=")[2]) <= 3600
    lab.wait(lambda: stage.redis.keys("ocspcached:a:"), 5, "the write")
    stage.redis.client.flushall()


def test_contradicting_duplicates_are_not_served_and_the_revocation_stays(stage):
    """R53, R69, T6: OpenSSL reads the first; whichever it is, nobody hears good again."""
    for pair in ((GOOD, revoked(1)), (revoked(1), GOOD)):
        _, got, stored = stage.offer(lambda t, s: respond(one(t, s, status=pair[0]) + one(t, s, status=pair[1]), t.ca))
        assert got.outcome == "try_later" and stored == []
        serial = "%x" % stage.serial
        assert stage.daemon.api("GET", "/v1/status/private/" + serial)[1]["status"] == "revoked"
        honest = respond(one(stage, stage.serial, this=-1), stage.ca)
        stage.responder.answer = lambda _: honest
        stage.daemon.api("POST", "/v1/refresh", {"issuer": "private", "serial": serial})
        assert stage.daemon.ask(stage.ca, stage.serial).outcome == "try_later"
        assert stage.redis.keys("ocspcached:a:") == []
