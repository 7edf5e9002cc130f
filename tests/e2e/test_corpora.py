"""The public set of hostile responses, end to end: what must be refused never reaches client or store."""
import hashlib
import os

from asn1crypto import ocsp as aocsp

import lab
import wire


def rows(path):
    with open(path) as f:
        return [line.rstrip("\n").split("\t") for line in f if not line.startswith("#")]


def certid_of(der):
    r = aocsp.OCSPResponse.load(der)["response_bytes"]["response"].parsed
    return r["tbs_response_data"]["responses"][0]["cert_id"]


def window_of(der):
    """A moment inside the answer's life."""
    r = aocsp.OCSPResponse.load(der)["response_bytes"]["response"].parsed["tbs_response_data"]["responses"][0]
    a, b = r["this_update"].native, r["next_update"].native
    return a + (b - a) / 2


def test_the_answers_of_2012(box, corpora, responders, daemons):
    """R66: the 55 verdicts, each at a clock inside its answer's life.

    The issuer is the first certificate of the file in column "untrusted": the certificate's direct issuer, which is
    what an operator names.  It is the CA file itself in all rows but the cross-signed one, where the root follows."""
    folder = corpora("openssl-ocsp")

    def direct(name):
        path = os.path.join(box, name)
        with open(os.path.join(folder, name)) as f, open(path, "w") as out:
            end = "-----END CERTIFICATE-----\n"
            out.write(f.read().split(end)[0] + end)
        return path

    def load(name):
        return open(os.path.join(folder, name + ".der"), "rb").read()
    responder = responders()
    wrong, refused = [], 0
    for resp, _, cafile, code, kind in rows(os.path.join(folder, "verdicts.tsv")):
        der = load(resp)
        # What is asked for: for the wrong-CertID classes the answer's own CertID is the lie.
        honest = load(resp.rsplit("_", 1)[-1])
        responder.answer = lambda _: der
        d = daemons([{"name": "i", "certificate": direct(cafile), "ocsp": [responder.url],
                      "allow-sha1-signatures": True}],
                    env=lab.fake_clock(window_of(der)), backoff_initial="10ms", backoff_max="10ms", error_ttl="0s",
                    workers=1).start()
        got = d.post(lab.request(None, None, certids=[certid_of(honest)]))
        what = "%s with %s (%s): " % (resp, cafile, kind)
        if code == "0":
            if got.body != der:
                wrong.append(what + "%s instead of the answer\n%s" % (got.outcome, d.log))
        else:
            refused += 1
            if got.outcome in ("good", "revoked", "unknown"):
                wrong.append(what + "served")
            # Asking with the lie's own CertID does not help it.
            got = d.post(lab.request(None, None, certids=[certid_of(der)]))
            if got.outcome in ("good", "revoked", "unknown"):
                wrong.append(what + "served for its own CertID")
            if d.metric("admitted_total"):
                wrong.append(what + "admitted")
        d.stop()
    assert refused >= 36 and not wrong, "\n".join(wrong)


def test_sha1_signatures_are_refused_unless_allowed(corpora, responders, daemons):
    folder = corpora("openssl-ocsp")
    responder = responders()
    der = open(os.path.join(folder, "ND1.der"), "rb").read()
    responder.answer = lambda _: der
    d = daemons([{"name": "i", "certificate": os.path.join(folder, "ND1_Issuer_ICA.pem"), "ocsp": [responder.url]}],
                env=lab.fake_clock(window_of(der))).start()
    assert d.post(lab.request(None, None, certids=[certid_of(der)])).outcome == "try_later"


def test_answers_of_2012_are_expired_today(corpora, responders, daemons):
    folder = corpora("openssl-ocsp")
    responder = responders()
    der = open(os.path.join(folder, "ND1.der"), "rb").read()
    responder.answer = lambda _: der
    d = daemons([{"name": "i", "certificate": os.path.join(folder, "ND1_Issuer_ICA.pem"), "ocsp": [responder.url],
                  "allow-sha1-signatures": True}]).start()
    assert d.post(lab.request(None, None, certids=[certid_of(der)])).outcome == "try_later"


def test_the_pair_of_boulder(corpora, responders, daemons):
    """In date until 2030; its ETag as Boulder makes it, the SHA-256 of the answer (R123)."""
    folder = corpora("boulder-responder")
    request = open(os.path.join(folder, "ocsp.req"), "rb").read()
    der = open(os.path.join(folder, "ocsp.resp"), "rb").read()
    responder = responders()
    responder.answer = lambda _: der
    d = daemons([{"name": "i", "certificate": os.path.join(folder, "test-ca.der.pem"), "ocsp": [responder.url],
                  "allow-sha1-signatures": True}]).start()
    r = d.post(request)
    assert r.outcome == "good" and r.body == der
    assert r["ETag"].strip('"').lower() == hashlib.sha256(der).hexdigest()
    again = wire.exchange(d.port, wire.get(request, more="If-None-Match: %s\r\n" % r["ETag"]))
    assert again.status == 304 and again["ETag"] == r["ETag"]


def test_the_example_of_rfc_9919(corpora, responders, daemons):
    folder = corpora("rfc9919-example")

    def load(name):
        return open(os.path.join(folder, name), "rb").read()
    responder = responders()
    responder.answer = lambda _: load("ocsp_response.der")
    d = daemons([{"name": "i", "certificate": os.path.join(folder, "root_certification_authority_certificate.der"),
                  "ocsp": [responder.url]}], env=lab.fake_clock(window_of(load("ocsp_response.der")))).start()
    r = d.post(load("ocsp_request.der"))
    assert r.outcome == "good" and r.body == load("ocsp_response.der")
    assert d.get(load("ocsp_request.der")).hit


def test_requests_of_rustcrypto(corpora, up):
    """Requests that no configured issuer is meant by: unauthorized; or malformed; never a crash."""
    folder = corpora("rustcrypto-x509-ocsp")
    seen = {}
    for f in sorted(os.listdir(folder)):
        if f.endswith("req.der"):
            der = open(os.path.join(folder, f), "rb").read()
            seen[f] = (up.post(der).outcome, up.get(der).outcome if len(der) < 2000 else None)
    assert len(seen) >= 8
    for f, (by_post, by_get) in seen.items():
        assert by_post == ("malformed_request" if "multiple-requests" in f else "unauthorized"), (f, by_post)
        assert by_get in (by_post, None), f


def test_a_clock_that_is_wrong_by_a_day(world, daemons):
    """T20: answers from the future and the past are refused, and nothing crashes."""
    for days, expected in ((-1, "try_later"), (1, "try_later"), (0, "good")):
        d = daemons([world.issuer()], env=lab.fake_clock("%+dd" % days)).start()
        assert d.ask(world.ca, world.good.serial).outcome == expected, days
        d.stop()
