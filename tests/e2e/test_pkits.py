"""The NIST PKI Interoperability Test Suite (PKITS 1.0.1), as far as it is about one issuer and its lists.

Certificates and lists are NIST's (Debian: python3-cryptography-vectors; valid until the end of 2030); what they
mean is PKITS's own verdict.  PKITS judges a certificate; we are asked about a serial, and the operator has said which
lists there are.  So each certificate's issuer is configured with the lists that its CA published, each under the
name by which the certificate's cRLDistributionPoints calls for it (without one: the issuer's name, RFC 5280
section 6.3.3).

Nothing may be good that PKITS says is revoked or cannot be determined; the exceptions would be in LOOSER.  Where it
says valid and we say less, STRICTER has the reason.
"""
import os
import re
import shutil
import tempfile

import pytest
from asn1crypto import crl as acrl
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding

import daemon

try:
    import cryptography_vectors
    PKITS = os.path.join(os.path.dirname(cryptography_vectors.__file__), "x509", "PKITS_data")
except ImportError:
    PKITS = None

pytestmark = [
    pytest.mark.skipif(PKITS is None or not os.path.isdir(PKITS),
                       reason="PKITS is not here: install python3-cryptography-vectors"),
    pytest.mark.filterwarnings("ignore:Parsed a negative serial number")]

# Why we say less than PKITS.
DELTA = "delta lists are refused, and a set with a refused list covers nothing"
HOLD = DELTA + "; what the complete list says stays"
INDIRECT = "indirect lists are refused"
RELATIVE = "nameRelativeToCRLIssuer is refused (R108)"
REASONS = "what lists of some reasons do not list is undetermined, also where all of them together have every reason"
KIND = "a serial does not say whether it is a CA's, so a list of CA certificates only covers nothing"
SET = "every list of the configuration must be in force, or nothing is covered"
DSA = "DSA, and SHA-1 in it, is no algorithm for lists any more"

# Why we say more.
USERS = ("what PKITS has here is a CA's certificate; a serial does not say so, and with a list of user certificates "
         "only the configuration says that this is all that the issuer has")

VALID, REVOKED, OPEN = "valid", "revoked", "undetermined"  # PKITS: OPEN is a path that ends without a verdict
GOOD, UNKNOWN = "good", "unknown"  # ours, and REVOKED

# Test; the certificate; its issuer's certificates; its lists; PKITS's verdict; ours; why they differ; what each list
# is refused with (None: it is in force).
ROWS = []


def row(test, certificate, ca, lists, pkits, ours, why=None, *, refused=None):
    lists = lists.split()
    refused = refused.split() if refused else []
    refused = [None if r == "-" else r for r in refused] or [None] * len(lists)
    assert len(refused) == len(lists), test
    ROWS.append((test, certificate, ca.split(), lists, pkits, ours, why, refused))


# 4.1 Signature verification: the first, and what the algorithm does
row("4.1.1", "ValidCertificatePathTest1EE", "GoodCACert", "GoodCACRL", VALID, GOOD)
row("4.1.4", "ValidDSASignaturesTest4EE", "DSACACert", "DSACACRL", VALID, UNKNOWN, DSA,
    refused="crl_signature_algorithm")
# 4.4 Basic certificate revocation
row("4.4.1", "InvalidMissingCRLTest1EE", "NoCRLCACert", "NoCRLCACRL", OPEN, UNKNOWN, refused="fetch")
row("4.4.2", "RevokedsubCACert", "GoodCACert", "GoodCACRL", REVOKED, REVOKED)
row("4.4.3", "InvalidRevokedEETest3EE", "GoodCACert", "GoodCACRL", REVOKED, REVOKED)
row("4.4.4", "InvalidBadCRLSignatureTest4EE", "BadCRLSignatureCACert", "BadCRLSignatureCACRL", OPEN, UNKNOWN,
    refused="crl_der")  # the octet that NIST spoilt is that of the unused bits
row("4.4.5", "InvalidBadCRLIssuerNameTest5EE", "BadCRLIssuerNameCACert", "BadCRLIssuerNameCACRL", OPEN, UNKNOWN,
    refused="crl_issuer")
row("4.4.6", "InvalidWrongCRLTest6EE", "WrongCRLCACert", "WrongCRLCACRL", OPEN, UNKNOWN, refused="crl_issuer")
row("4.4.7", "ValidTwoCRLsTest7EE", "TwoCRLsCACert", "TwoCRLsCAGoodCRL", VALID, GOOD)
row("4.4.7 both", "ValidTwoCRLsTest7EE", "TwoCRLsCACert", "TwoCRLsCABadCRL TwoCRLsCAGoodCRL", VALID, UNKNOWN, SET,
    refused="crl_issuer -")
row("4.4.8", "InvalidUnknownCRLEntryExtensionTest8EE", "UnknownCRLEntryExtensionCACert",
    "UnknownCRLEntryExtensionCACRL", REVOKED, UNKNOWN, "RFC 5280 section 5.3 lets no such list be used",
    refused="crl_entry_extension")
row("4.4.9", "InvalidUnknownCRLExtensionTest9EE", "UnknownCRLExtensionCACert", "UnknownCRLExtensionCACRL", REVOKED,
    UNKNOWN, "RFC 5280 section 5.2 lets no such list be used", refused="crl_extension")
row("4.4.10", "InvalidUnknownCRLExtensionTest10EE", "UnknownCRLExtensionCACert", "UnknownCRLExtensionCACRL", OPEN,
    UNKNOWN, refused="crl_extension")
row("4.4.11", "InvalidOldCRLnextUpdateTest11EE", "OldCRLnextUpdateCACert", "OldCRLnextUpdateCACRL", OPEN, UNKNOWN)
row("4.4.12", "Invalidpre2000CRLnextUpdateTest12EE", "pre2000CRLnextUpdateCACert", "pre2000CRLnextUpdateCACRL", OPEN,
    UNKNOWN)
row("4.4.13", "ValidGeneralizedTimeCRLnextUpdateTest13EE", "GeneralizedTimeCRLnextUpdateCACert",
    "GeneralizedTimeCRLnextUpdateCACRL", VALID, GOOD)
row("4.4.14", "ValidNegativeSerialNumberTest14EE", "NegativeSerialNumberCACert", "NegativeSerialNumberCACRL", VALID,
    GOOD)
row("4.4.15", "InvalidNegativeSerialNumberTest15EE", "NegativeSerialNumberCACert", "NegativeSerialNumberCACRL",
    REVOKED, REVOKED)
row("4.4.16", "ValidLongSerialNumberTest16EE", "LongSerialNumberCACert", "LongSerialNumberCACRL", VALID, GOOD)
row("4.4.17", "ValidLongSerialNumberTest17EE", "LongSerialNumberCACert", "LongSerialNumberCACRL", VALID, GOOD)
row("4.4.18", "InvalidLongSerialNumberTest18EE", "LongSerialNumberCACert", "LongSerialNumberCACRL", REVOKED, REVOKED)
KEYS = "SeparateCertificateandCRLKeysCertificateSigningCACert SeparateCertificateandCRLKeysCRLSigningCert"
row("4.4.19", "ValidSeparateCertificateandCRLKeysTest19EE", KEYS, "SeparateCertificateandCRLKeysCRL", VALID, GOOD)
row("4.4.19 without the CRL's key", "ValidSeparateCertificateandCRLKeysTest19EE", KEYS.split()[0],
    "SeparateCertificateandCRLKeysCRL", VALID, UNKNOWN, "the operator did not give the key that signs the lists",
    refused="crl_key_usage")
row("4.4.20", "InvalidSeparateCertificateandCRLKeysTest20EE", KEYS, "SeparateCertificateandCRLKeysCRL", REVOKED,
    REVOKED)
# The CRL's signer is revoked: an operator who asks about it (next row) does not name it as a certificate of the CA.
row("4.4.21", "InvalidSeparateCertificateandCRLKeysTest21EE",
    "SeparateCertificateandCRLKeysCA2CertificateSigningCACert", "SeparateCertificateandCRLKeysCA2CRL", OPEN, UNKNOWN,
    refused="crl_key_usage")
row("4.4.21 the CRL's signer", "SeparateCertificateandCRLKeysCA2CRLSigningCert", "TrustAnchorRootCertificate",
    "TrustAnchorRootCRL", REVOKED, REVOKED)
# 4.5 Self-issued certificates: one CA, two keys.  4.5.8 is about paths.
NEW = "BasicSelfIssuedNewKeyCACert BasicSelfIssuedNewKeyOldWithNewCACert"
OLD = "BasicSelfIssuedOldKeyCACert BasicSelfIssuedOldKeyNewWithOldCACert"
CRLKEY = "BasicSelfIssuedCRLSigningKeyCACert BasicSelfIssuedCRLSigningKeyCRLCert"
row("4.5.1", "ValidBasicSelfIssuedOldWithNewTest1EE", NEW, "BasicSelfIssuedNewKeyCACRL", VALID, GOOD)
row("4.5.2", "InvalidBasicSelfIssuedOldWithNewTest2EE", NEW, "BasicSelfIssuedNewKeyCACRL", REVOKED, REVOKED)
row("4.5.3", "ValidBasicSelfIssuedNewWithOldTest3EE", OLD, "BasicSelfIssuedOldKeyCACRL", VALID, GOOD)
row("4.5.4", "ValidBasicSelfIssuedNewWithOldTest4EE", OLD, "BasicSelfIssuedOldKeyCACRL", VALID, GOOD)
row("4.5.5", "InvalidBasicSelfIssuedNewWithOldTest5EE", OLD, "BasicSelfIssuedOldKeyCACRL", REVOKED, REVOKED)
row("4.5.6", "ValidBasicSelfIssuedCRLSigningKeyTest6EE", CRLKEY, "BasicSelfIssuedCRLSigningKeyCACRL", VALID, GOOD)
row("4.5.7", "InvalidBasicSelfIssuedCRLSigningKeyTest7EE", CRLKEY, "BasicSelfIssuedCRLSigningKeyCACRL", REVOKED,
    REVOKED)
# 4.7 Key usage: cRLSign
row("4.7.4", "InvalidkeyUsageCriticalcRLSignFalseTest4EE", "keyUsageCriticalcRLSignFalseCACert",
    "keyUsageCriticalcRLSignFalseCACRL", OPEN, UNKNOWN, refused="crl_key_usage")
row("4.7.5", "InvalidkeyUsageNotCriticalcRLSignFalseTest5EE", "keyUsageNotCriticalcRLSignFalseCACert",
    "keyUsageNotCriticalcRLSignFalseCACRL", OPEN, UNKNOWN, refused="crl_key_usage")
# 4.14 Distribution points
DP1, DP2 = (("distributionPoint%dCACert" % n, "distributionPoint%dCACRL" % n) for n in (1, 2))
row("4.14.1", "ValiddistributionPointTest1EE", *DP1, VALID, GOOD)
row("4.14.2", "InvaliddistributionPointTest2EE", *DP1, REVOKED, REVOKED)
row("4.14.3", "InvaliddistributionPointTest3EE", *DP1, OPEN, UNKNOWN, refused="crl_scope")
row("4.14.4", "ValiddistributionPointTest4EE", *DP1, VALID, GOOD)
row("4.14.5", "ValiddistributionPointTest5EE", *DP2, VALID, UNKNOWN, RELATIVE, refused="crl_scope")
row("4.14.6", "InvaliddistributionPointTest6EE", *DP2, REVOKED, UNKNOWN, RELATIVE, refused="crl_scope")
row("4.14.7", "ValiddistributionPointTest7EE", *DP2, VALID, UNKNOWN, RELATIVE, refused="crl_scope")
row("4.14.8", "InvaliddistributionPointTest8EE", *DP2, OPEN, UNKNOWN, refused="crl_scope")
row("4.14.9", "InvaliddistributionPointTest9EE", *DP2, OPEN, UNKNOWN, refused="crl_scope")
row("4.14.10", "ValidNoissuingDistributionPointTest10EE", "NoissuingDistributionPointCACert",
    "NoissuingDistributionPointCACRL", VALID, GOOD)
row("4.14.11", "InvalidonlyContainsUserCertsTest11EE", "onlyContainsUserCertsCACert", "onlyContainsUserCertsCACRL",
    OPEN, GOOD, USERS)
row("4.14.12", "InvalidonlyContainsCACertsTest12EE", "onlyContainsCACertsCACert", "onlyContainsCACertsCACRL", OPEN,
    UNKNOWN)
row("4.14.13", "ValidonlyContainsCACertsTest13EE", "onlyContainsCACertsCACert", "onlyContainsCACertsCACRL", VALID,
    UNKNOWN, KIND)
row("4.14.14", "InvalidonlyContainsAttributeCertsTest14EE", "onlyContainsAttributeCertsCACert",
    "onlyContainsAttributeCertsCACRL", OPEN, UNKNOWN, refused="crl_scope")
SOME = "onlySomeReasonsCA%dCert", "onlySomeReasonsCA%dcompromiseCRL onlySomeReasonsCA%dotherreasonsCRL"
ONE, THREE, FOUR = ((SOME[0] % n, SOME[1] % (n, n)) for n in (1, 3, 4))
row("4.14.15", "InvalidonlySomeReasonsTest15EE", *ONE, REVOKED, REVOKED)
row("4.14.16", "InvalidonlySomeReasonsTest16EE", *ONE, REVOKED, REVOKED)  # on hold
row("4.14.17", "InvalidonlySomeReasonsTest17EE", "onlySomeReasonsCA2Cert",
    "onlySomeReasonsCA2CRL1 onlySomeReasonsCA2CRL2", OPEN, UNKNOWN)
row("4.14.18", "ValidonlySomeReasonsTest18EE", *THREE, VALID, UNKNOWN, REASONS + "; and two lists of one name are not "
    "configured", refused="- crl_scope")
row("4.14.19", "ValidonlySomeReasonsTest19EE", *FOUR, VALID, UNKNOWN, REASONS)
row("4.14.20", "InvalidonlySomeReasonsTest20EE", *FOUR, REVOKED, REVOKED)
row("4.14.21", "InvalidonlySomeReasonsTest21EE", *FOUR, REVOKED, REVOKED)
row("4.14.22", "ValidIDPwithindirectCRLTest22EE", "indirectCRLCA1Cert", "indirectCRLCA1CRL", VALID, UNKNOWN, INDIRECT,
    refused="crl_indirect")
row("4.14.23", "InvalidIDPwithindirectCRLTest23EE", "indirectCRLCA1Cert", "indirectCRLCA1CRL", REVOKED, UNKNOWN,
    INDIRECT, refused="crl_indirect")
TWO = "indirectCRLCA2Cert", "indirectCRLCA1CRL"
row("4.14.24", "ValidIDPwithindirectCRLTest24EE", *TWO, VALID, UNKNOWN, INDIRECT, refused="crl_issuer")
row("4.14.25", "ValidIDPwithindirectCRLTest25EE", *TWO, VALID, UNKNOWN, INDIRECT, refused="crl_issuer")
row("4.14.26", "InvalidIDPwithindirectCRLTest26EE", *TWO, OPEN, UNKNOWN, refused="crl_issuer")
row("4.14.27", "InvalidcRLIssuerTest27EE", "indirectCRLCA2Cert", "GoodCACRL", OPEN, UNKNOWN, refused="crl_issuer")
# The cRLIssuer has a name of its own, and an issuer section is of one name.
BOTH = "indirectCRLCA3Cert", "indirectCRLCA3CRL indirectCRLCA3cRLIssuerCRL"
row("4.14.28", "ValidcRLIssuerTest28EE", *BOTH, VALID, UNKNOWN, INDIRECT, refused="crl_scope crl_issuer")
row("4.14.29", "ValidcRLIssuerTest29EE", *BOTH, VALID, UNKNOWN, INDIRECT, refused="crl_scope crl_issuer")
row("4.14.30", "ValidcRLIssuerTest30EE", "indirectCRLCA4Cert", "indirectCRLCA4cRLIssuerCRL", VALID, UNKNOWN, INDIRECT,
    refused="crl_issuer")
SIX, FIVE = ("indirectCRLCA6Cert", "indirectCRLCA5CRL"), ("indirectCRLCA5Cert", "indirectCRLCA5CRL")
row("4.14.31", "InvalidcRLIssuerTest31EE", *SIX, REVOKED, UNKNOWN, INDIRECT, refused="crl_issuer")
row("4.14.32", "InvalidcRLIssuerTest32EE", *SIX, REVOKED, UNKNOWN, INDIRECT, refused="crl_issuer")
row("4.14.33", "ValidcRLIssuerTest33EE", *SIX, VALID, UNKNOWN, INDIRECT, refused="crl_issuer")
row("4.14.34", "InvalidcRLIssuerTest34EE", *FIVE, REVOKED, UNKNOWN, INDIRECT, refused="crl_indirect")
row("4.14.35", "InvalidcRLIssuerTest35EE", *FIVE, OPEN, UNKNOWN, refused="crl_indirect")
# 4.15 Delta lists: complete list and delta are both configured
row("4.15.1", "InvaliddeltaCRLIndicatorNoBaseTest1EE", "deltaCRLIndicatorNoBaseCACert", "deltaCRLIndicatorNoBaseCACRL",
    OPEN, UNKNOWN, refused="crl_delta")


def delta(test, certificate, ca, pkits, ours, why=None):
    row(test, certificate, "deltaCRLCA%dCert" % ca, "deltaCRLCA%dCRL deltaCRLCA%ddeltaCRL" % (ca, ca), pkits, ours, why,
        refused="- crl_entry" if ca == 1 else "- crl_delta")


# The entries of this delta come before what says that it is one, and some are removeFromCRL.
delta("4.15.2", "ValiddeltaCRLTest2EE", 1, VALID, UNKNOWN, DELTA)
delta("4.15.3", "InvaliddeltaCRLTest3EE", 1, REVOKED, REVOKED)
delta("4.15.4", "InvaliddeltaCRLTest4EE", 1, REVOKED, UNKNOWN, DELTA)  # by the delta only
delta("4.15.5", "ValiddeltaCRLTest5EE", 1, VALID, REVOKED, HOLD)  # released by the delta
delta("4.15.6", "InvaliddeltaCRLTest6EE", 1, REVOKED, REVOKED)
delta("4.15.7", "ValiddeltaCRLTest7EE", 1, VALID, UNKNOWN, DELTA)
delta("4.15.8", "ValiddeltaCRLTest8EE", 2, VALID, UNKNOWN, DELTA)
delta("4.15.9", "InvaliddeltaCRLTest9EE", 2, REVOKED, REVOKED)
delta("4.15.10", "InvaliddeltaCRLTest10EE", 3, OPEN, UNKNOWN)

LOOSER = {"4.14.11"}  # "good" where PKITS says otherwise; each row has its reason
IDS = [r[0] for r in ROWS]


def certificate(name):
    with open(os.path.join(PKITS, "certs", name + ".crt"), "rb") as f:
        return x509.load_der_x509_certificate(f.read())


def write_pem(path, certificates):
    with open(path, "wb") as f:
        f.write(b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certificates))
    return path


def directory_name(name):
    return "dirName:" + name.rfc4514_string()


def point_names(c):
    """What a certificate calls its lists, a name for each distribution point (RFC 5280 section 4.2.1.13)."""
    try:
        points = c.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except x509.ExtensionNotFound:
        return [directory_name(c.issuer)]
    names = []
    for p in points:
        issuer = p.crl_issuer[0].value if p.crl_issuer else c.issuer
        if p.relative_name:
            issuer = x509.Name(list(issuer.rdns) + [p.relative_name])
        names.append(directory_name(p.full_name[0].value if p.full_name else issuer))
    return names


class Suite:
    """A daemon with the issuers of many rows.  No daemon has one CA under two names: rows that name the lists of a CA
    differently (its certificates have several distribution points) go to one daemon after the other."""

    def __init__(self):
        self.box = tempfile.mkdtemp(prefix="oc-")
        self.made = []  # of each daemon: its issuers by what they are made of
        self.place = {}  # of each row: its daemon and issuer

    def options(self, ca, files, names):
        """The options of an issuer but its name; the lists are NIST's files as they are."""
        path = write_pem(os.path.join(self.box, "+".join(ca) + ".pem"), map(certificate, ca))
        scopes = (names + [""] * len(files))[:len(files)]
        return {"certificate": path, "crl": ["file://" + os.path.join(PKITS, "crls", n + ".crl") for n in files],
                "crl-scope": scopes, "crl-interval": "1h", "absent": "good"}  # there are no others

    def add(self, test, ca, files, names):
        made = (tuple(ca), tuple(files), tuple(names[:len(files)]))
        for n, issuers in enumerate(self.made + [{}]):
            if n == len(self.made):
                self.made.append(issuers)
            if made in issuers or not any(set(ca) & set(other[0]) for other in issuers):
                break
        if made not in issuers:
            issuers[made] = dict(self.options(ca, files, names), name="i%d" % len(issuers))
        self.place[test] = n, issuers[made]

    def start(self):
        self.daemons = [daemon.Daemon(self.box, list(issuers.values()), name="d%d" % n, backoff_initial="5m",
                                      backoff_max="5m", crl_backoff_max="10m")
                        for n, issuers in enumerate(self.made)]
        for d in self.daemons:
            d.start()
        return self

    def at(self, test):
        n, issuer = self.place[test]
        d = self.daemons[n]
        told = d.crls(issuer["name"])
        return d, issuer["name"], [told[url] for url in issuer["crl"]]

    def stop(self):
        try:
            for d in self.daemons:
                d.stop()
        finally:
            shutil.rmtree(self.box, ignore_errors=True)


@pytest.fixture(scope="module")
def suite():
    s = Suite()
    for test, name, ca, files, *_ in ROWS:
        s.add(test, ca, files, point_names(certificate(name)))
    for test, name, ca, files, *_ in ROWS:
        if test.startswith("4.15."):
            s.add(test + " complete alone", ca, files[:1], point_names(certificate(name)))
    yield s.start()
    s.stop()


def test_the_table_is_that_of_pkits():
    """The certificates' names say what PKITS expects of them, and no row of ours is better without a reason."""
    numbers = set()
    for test, name, _, _, pkits, ours, why, _ in ROWS:
        m = re.fullmatch(r"(Valid|Invalid).*Test(\d+)EE", name)
        if m:
            section, n = re.match(r"4\.(\d+)\.(\d+)", test).groups()
            assert (m.group(1) == "Valid") == (pkits == VALID) and m.group(2) == n, test
            numbers.add((int(section), int(n)))
        same = {VALID: GOOD, REVOKED: REVOKED, OPEN: UNKNOWN}[pkits] == ours
        assert same == (why is None), test
        assert (ours == GOOD and pkits != VALID) == (test in LOOSER), test
    wanted = {(s, n) for s, last in ((4, 21), (14, 35), (15, 10)) for n in range(1, last + 1)}
    assert wanted - numbers == {(4, 2)}  # whose issuer it is that is revoked


# R16, R89, R93, R94, R99, R100, R103, R104, R105, R106, R108: as NIST has it, or less.
@pytest.mark.parametrize("at", ROWS, ids=IDS)
def test_pkits(suite, at):
    test, name, _, _, pkits, ours, why, refused = at
    d, issuer, told = suite.at(test)
    for one, label in zip(told, refused):
        if label is None:
            assert one["last_error"] is None and one["crl_number"] is not None, one
        elif label == "fetch":
            assert one["last_error"] is not None and one["crl_number"] is None, one
        else:
            assert one["last_error"].startswith(label + ":") and one["crl_number"] is None, one
    got = d.status(issuer, certificate(name).serial_number)
    assert got["status"] == ours, (got, why)
    if ours == UNKNOWN:
        assert got["revoked_at"] is None and got["reason"] is None


HELD = {"4.14.16": "certificateHold", "4.14.21": "affiliationChanged", "4.15.5": "certificateHold",
        "4.15.6": "certificateHold"}


# R105: reason and date are those of the list that has it.
@pytest.mark.parametrize("at", [r for r in ROWS if r[5] == REVOKED], ids=[r[0] for r in ROWS if r[5] == REVOKED])
def test_what_is_revoked_has_its_reason(suite, at):
    test, name = at[:2]
    d, issuer, _ = suite.at(test)
    got = d.status(issuer, certificate(name).serial_number)
    assert got["reason"] == HELD.get(test, "keyCompromise")
    assert got["revoked_at"] == ("2010-01-01T08:30:01Z" if test == "4.4.3" else "2010-01-01T08:30:00Z")


# R99, R102: without the delta the complete list speaks alone, as RFC 5280 section 6.3.3 has it where deltas are not
# used; freshestCRL is a hint.  4.15.4 is revoked by nothing but the delta: who has deltas has to configure them (and
# gets "unknown" until they are understood, see above), and learns of it with the next complete list.
@pytest.mark.parametrize("test, status", [
    ("4.15.1", UNKNOWN), ("4.15.2", GOOD), ("4.15.3", REVOKED), ("4.15.4", GOOD), ("4.15.5", REVOKED),
    ("4.15.6", REVOKED), ("4.15.7", GOOD), ("4.15.8", GOOD), ("4.15.9", REVOKED), ("4.15.10", UNKNOWN)])
def test_a_complete_list_alone(suite, test, status):
    d, issuer, _ = suite.at(test + " complete alone")
    name = next(r[1] for r in ROWS if r[0] == test)
    assert d.status(issuer, certificate(name).serial_number)["status"] == status


# R104: the refusal says the name that cures it, as the configuration wants it.
def test_the_refusal_says_what_to_write(suite):
    _, _, told = suite.at("4.14.3")
    assert ("dirName:CN=CRL1 of distributionPoint1 CA,OU=distributionPoint1 CA,O=Test Certificates 2011,C=US, not of "
            "dirName:CN=CRLx of distributionPoint1 CA,") in told[0]["last_error"]


def is_signed_by(crl, key):
    try:
        key.verify(crl["signature"].native, crl["tbs_cert_list"].dump(), padding.PKCS1v15(), hashes.SHA256())
        return True
    except InvalidSignature:
        return False


def lists_and_their_cas():
    """Each of NIST's lists and the CAs' certificates with its issuer's name, one list for a name."""
    cas = {}
    for name in sorted(os.listdir(os.path.join(PKITS, "certs"))):
        if not re.search(r"EE\.|^DSA|cAFalse", name):  # 4.1.4, 4.6.2: no CAs of ours
            c = certificate(name[:-len(".crt")])
            cas.setdefault(c.subject.public_bytes(), []).append(c)
    for name in sorted(os.listdir(os.path.join(PKITS, "crls"))):
        with open(os.path.join(PKITS, "crls", name), "rb") as f:
            crl = acrl.CertificateList.load(f.read())
        found = cas.pop(crl["tbs_cert_list"]["issuer"].dump(), None)
        if found:
            yield name, crl, found


# R89, R109: all that there is, each list under its own CA: what is in force was signed by it, and whoever is listed is
# revoked; the 16 others are refused with a reason.
def test_every_list_of_pkits(daemons, box):
    made = []
    for name, crl, found in lists_and_their_cas():
        url = "file://" + os.path.join(PKITS, "crls", name)
        made.append((url, crl, found, {
            "name": "i%d" % len(made), "certificate": write_pem(os.path.join(box, name + ".pem"), found),
            "crl": [url]}))
    d = daemons([m[3] for m in made]).start()
    in_force = 0
    for url, crl, found, issuer in made:
        told = d.crls(issuer["name"])[url]
        if told["crl_number"] is None:
            assert told["last_error"].startswith("crl_"), told
            continue
        in_force += 1
        entries = list(crl["tbs_cert_list"]["revoked_certificates"])
        assert any(is_signed_by(crl, c.public_key()) for c in found) and told["entries"] == len(entries), told
        for e in entries:
            assert d.status(issuer["name"], e["user_certificate"].native)["status"] == "revoked", (url, e.native)
    assert (in_force, len(made)) == (140, 156)


# R89: a pair of lists by pyca/cryptography, the second with another last octet.
def test_a_signature_whose_last_octet_is_another(daemons):
    folder = os.path.join(os.path.dirname(PKITS), "custom")
    issuers = [{"name": n, "certificate": os.path.join(folder, n + "_cert.pem"),
                "crl": ["file://" + os.path.join(folder, n + "_crl.pem")]}
               for n in ("valid_signature", "invalid_signature")]
    # One CA, so one daemon each.
    right, wrong = ([*daemons([i]).start().crls(i["name"]).values()][0] for i in issuers)
    assert right["last_error"] is None and right["crl_number"] == "3"
    assert wrong["last_error"].startswith("crl_signature:") and wrong["crl_number"] is None
