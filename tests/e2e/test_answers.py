"""The main job: openssl's own client and responder, with the daemon between them; and what is never let through."""
import concurrent.futures
import datetime
import os
import re
import subprocess
import time

import pytest
from asn1crypto import core

import lab
import wire


def openssl(box, ca_pem, leaf, port, *options, sha=None, extra=()):
    p = leaf.write(os.path.join(box, "asked.pem"))
    r = subprocess.run(["openssl", "ocsp", "-timeout", "10", "-issuer", ca_pem, *([sha] if sha else []), "-cert", p, "-CAfile", ca_pem,
                        *(["-url", "http://127.0.0.1:%d/" % port] if port else []), *options, *extra],
                       capture_output=True, text=True, timeout=30 * lab.PATIENCE)
    m = re.search(r"asked\.pem: (\w+)", r.stdout)
    return m.group(1) if m and "Response verify OK" in r.stderr else r.stdout + r.stderr


@pytest.fixture
def real(box, world, daemons):
    """The real `openssl ocsp` responder behind the daemon."""
    responder = lab.OpensslResponder(world.ca, world.signer, box, {world.good: "V", world.revoked: "R"})
    d = daemons([world.issuer(ocsp=[responder.url])]).start()
    yield d, responder
    responder.stop()


@pytest.mark.parametrize("sha", ["-sha1", "-sha256"])
def test_openssl_is_told_what_the_ca_says(box, world, real, sha):
    d, _ = real
    for leaf, expected in ((world.good, "good"), (world.revoked, "revoked"), (world.unknown, "unknown")):
        # By POST, with a nonce (openssl's default) and without.
        assert openssl(box, world.pem, leaf, d.port, sha=sha) == expected
        assert openssl(box, world.pem, leaf, d.port, "-no_nonce", sha=sha) == expected
        # By GET of the request that openssl wrote; it verifies what came.
        req, resp = os.path.join(box, "req.der"), os.path.join(box, "resp.der")
        openssl(box, world.pem, leaf, 0, "-no_nonce", "-reqout", req, sha=sha)
        got = wire.exchange(d.port, wire.get(open(req, "rb").read(), "/ocsp/"))
        open(resp, "wb").write(got.body)
        assert openssl(box, world.pem, leaf, 0, "-no_nonce", "-respin", resp, sha=sha) == expected
        # And byte-identical to the POST (R2).
        assert wire.exchange(d.port, wire.post(open(req, "rb").read(), "/ocsp")).body == got.body


def test_the_real_responder_stops_and_comes_back(box, world, real):
    d, responder = real
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    responder.stop()
    for _ in range(5):
        r = d.ask(world.ca, world.good.serial)
        assert r.hit and r.outcome == "good"
    assert d.ask(world.ca, world.revoked.serial).outcome == "try_later"
    responder.start()
    lab.wait(lambda: d.ask(world.ca, world.revoked.serial).outcome == "revoked", 15, "recovery")


def test_answers_go_on_until_next_update_then_try_later_then_recover(worlds, daemons):
    """R132, R133, R134"""
    world = worlds(life=6)
    d = daemons([world.issuer()], backoff_initial="50ms", backoff_max="200ms", refresh_min="100ms",
                error_ttl="100ms", upstream_timeout="1s", answer_timeout="2s").start()
    first = d.ask(world.ca, world.good.serial)
    assert first.outcome == "good"
    world.responder.stop()
    end = lab.outcome_end(first.body)
    while time.time() < end - 1:
        r = d.ask(world.ca, world.good.serial)
        assert r.outcome == "good" and r.body == first.body
        time.sleep(0.2)
    lab.wait(lambda: time.time() >= end, 5, "its end")
    r = d.ask(world.ca, world.good.serial)
    assert r.outcome == "try_later" and r["Cache-Control"] and "no-store" in r["Cache-Control"]
    world.responder.start()
    assert lab.wait(lambda: d.ask(world.ca, world.good.serial).outcome == "good", 10, "recovery")


def test_an_answer_that_is_used_is_fetched_anew_before_it_ends(worlds, daemons):
    world = worlds(life=6)
    d = daemons([world.issuer()], refresh_min="100ms", refresh_jitter=0, log_level="debug").start()
    first = d.ask(world.ca, world.good.serial)
    end = time.monotonic() + 9
    while time.monotonic() < end:
        r = d.ask(world.ca, world.good.serial)
        assert r.hit and r.outcome == "good"  # never a miss, over more than one whole life
        time.sleep(0.1)
    assert r.body != first.body
    assert 2 <= world.responder.count <= 8
    assert d.metric("refreshes_total") >= 2


def test_the_first_is_a_miss_the_second_a_hit(up, world):
    """R12, R127, P24"""
    for ask in (wire.post, wire.get):
        for h in ("sha1", "sha256", "sha384", "sha512"):
            before = world.responder.count
            der = lab.request(world.ca, world.good.serial, h)
            r = wire.exchange(up.port, ask(der))
            assert r.outcome == "good"
            assert (r.miss and world.responder.count == before + 1) if ask is wire.post else r.hit
            assert wire.exchange(up.port, ask(der)).hit


def test_an_answer_has_the_hash_algorithm_that_was_asked_for(up, world):
    """P2, R14: curl, certbot and nginx find nothing in another."""
    from cryptography.x509 import ocsp
    for h in ("sha1", "sha256"):
        r = ocsp.load_der_ocsp_response(up.ask(world.ca, world.revoked.serial, h).body)
        assert r.hash_algorithm.name == h and r.serial_number == world.revoked.serial
        assert r.certificate_status.name == "REVOKED"


def test_the_head_of_an_answer_says_how_long_it_may_be_kept(up, world):
    """R116"""
    for r in (up.ask(world.ca, world.good.serial), up.ask(world.ca, world.good.serial)):
        assert r["Content-Type"] == "application/ocsp-response"
        assert int(r["Content-Length"]) == len(r.body)
        for name in ("Date", "Last-Modified", "Expires"):
            datetime.datetime.strptime(r[name], "%a, %d %b %Y %H:%M:%S GMT")
        assert re.fullmatch(r'"[0-9A-Za-z]+"', r["ETag"])
        m = re.fullmatch(r"max-age=(\d+), public, no-transform, must-revalidate", r["Cache-Control"])
        assert m and 0 < int(m.group(1)) <= 3600
        assert r["Vary"] is None and r["Age"] is None
    etag = r["ETag"]
    der = lab.request(world.ca, world.good.serial)
    r = wire.exchange(up.port, wire.get(der, more="If-None-Match: \"x\", W/%s\r\n" % etag))
    assert r.status == 304 and r["ETag"] == etag and r["Cache-Control"] and r["Expires"] and r["Date"]
    assert wire.exchange(up.port, wire.get(der, more='If-None-Match: ""\r\n')).status == 200  # R38
    r = wire.exchange(up.port, wire.get(der, method="HEAD"), head_only=True)
    assert r.status == 200 and int(r["Content-Length"]) > 100 and r["ETag"] == etag


def test_every_spelling_of_a_question_shares_one_answer(up, world):
    """R19, R85, P15, T12: nonces, extensions and encodings fill no memory and bust no cache."""
    ca, serial = world.ca, world.good.serial
    plain = up.post(lab.request(ca, serial)).body
    before = world.responder.count
    spellings = [lab.request(ca, serial, nonce=bytes([i]) * n) for i, n in enumerate((1, 16, 32, 128))]
    spellings.append(lab.request(ca, serial, parameters=False))
    spellings.append(lab.request(ca, serial, extensions=[
        {"extn_id": "acceptable_responses", "critical": False,
         "extn_value": core.ParsableOctetString(bytes.fromhex("300b06092b0601050507300101"))}]))
    for der in spellings:
        assert up.post(der).body == plain
        assert up.get(der).body == plain
    assert world.responder.count == before


def test_a_thousand_clients_ask_for_one_cold_certificate_and_one_fetch_is_made(up, world):
    """T15"""
    world.responder.delay = 0.5
    der = wire.post(lab.request(world.ca, world.good.serial))
    connections = [up.connect(30) for _ in range(1000)]
    for c in connections:
        c.send(der)
    assert {c.reply().outcome for c in connections} == {"good"}
    for c in connections:
        c.close()
    assert world.responder.count == 1


def test_clients_that_leave_while_they_wait_are_harmless(up, world):
    """T27."""
    world.responder.delay = 0.3
    der = wire.post(lab.request(world.ca, world.good.serial))
    for _ in range(50):
        c = up.connect().send(der)
        c.close()
    assert up.ask(world.ca, world.good.serial).outcome == "good"
    assert world.responder.count == 1


def test_two_issuers_with_one_serial_are_never_mixed_up(worlds, daemons):
    """P1, T3."""
    a, b = worlds(name="a"), worlds(name="b", kind="rsa")
    la, lb = a.ca.issue(serial=0x1234567890), b.ca.issue(serial=0x1234567890)
    b.ca.statuses[lb.serial] = {"status": "revoked"}
    d = daemons([a.issuer(), b.issuer()]).start()
    for h in ("sha1", "sha256"):
        for _ in range(2):
            assert d.ask(a.ca, la.serial, h).outcome == "good"
            assert d.ask(b.ca, lb.serial, h).outcome == "revoked"


def test_odd_serials_are_their_own(up, world):
    """R16: neighbours in value and in encoding never alias."""
    serials = [1, 0x7f, 0x80, 0xff, 0x100, 0x8000, 0x7fff, (1 << 159) - 1, 1 << 152]
    for i, s in enumerate(serials):
        world.ca.statuses[s] = {"status": "revoked" if i % 2 else "good"}
    for _ in range(2):
        for i, s in enumerate(serials):
            r = up.ask(world.ca, s)
            assert r.outcome == ("revoked" if i % 2 else "good") and lab.serial_of(r.body) == s


def test_a_request_that_is_none_of_ours_gets_unauthorized_and_asks_nobody(up, world):
    """R12, R17"""
    stranger = lab.CA("stranger")
    assert up.ask(stranger, 5).outcome == "unauthorized"
    key, name = world.ca.key_hash(), world.ca.name_hash()
    for certid in (world.ca.certid(5, issuer_key_hash=key[:-1] + bytes([key[-1] ^ 1])),
                   world.ca.certid(5, issuer_name_hash=bytes([name[0] ^ 1]) + name[1:])):
        assert up.post(lab.request(world.ca, 5, certids=[certid])).outcome == "unauthorized"
    md5 = world.ca.certid(5, hash_algorithm={"algorithm": "md5"})
    assert up.post(lab.request(world.ca, 5, certids=[md5])).outcome == "unauthorized"
    assert world.responder.count == 0


def test_what_is_no_request_is_malformed(up, world):
    """R5, R6, R7, R10, R84"""
    ca, serial = world.ca, world.good.serial
    good = lab.request(ca, serial)
    critical = lab.request(ca, serial, extensions=[
        {"extn_id": "1.2.3.4", "critical": True, "extn_value": core.ParsableOctetString(b"\x05\x00")}])
    bad = {
        "empty": b"", "trailing": good + b"\0", "cut": good[:-1], "garbage": b"M" * 40, "no entries": bytes.fromhex("300430023000"),
        "two": lab.request(ca, serial, certids=[ca.certid(1), ca.certid(2)]),
        "nonce of 0": lab.request(ca, serial, nonce=b""), "nonce of 129": lab.request(ca, serial, nonce=b"n" * 129),
        "critical": critical}
    for name, der in bad.items():
        r = up.post(der)
        assert r.outcome == "malformed_request", name
        assert "no-store" in r["Cache-Control"], name
        assert r["Content-Type"] == "application/ocsp-response"
    assert world.responder.count == 0


def test_an_upstream_unauthorized_is_repeated_for_a_while(worlds, daemons):
    """R151, P29"""
    world = worlds()
    world.responder.answer = lambda der: lab.error("unauthorized")
    d = daemons([world.issuer(unknown_ttl="2s")], refresh_min="100ms", backoff_initial="50ms").start()
    for _ in range(5):
        r = d.ask(world.ca, world.good.serial)
        assert r.outcome == "unauthorized" and "no-store" in r["Cache-Control"]
    assert world.responder.count == 1
    world.responder.answer = None
    lab.wait(lambda: d.ask(world.ca, world.good.serial).outcome == "good", 10, "the certificate to become known")


def test_only_if_cached_is_never_fetched(up, world):
    """R131"""
    der = lab.request(world.ca, world.good.serial)
    more = "Cache-Control: only-if-cached\r\n"
    assert wire.exchange(up.port, wire.get(der, more=more)).status == 504
    assert world.responder.count == 0
    assert up.post(der).outcome == "good"
    assert wire.exchange(up.port, wire.get(der, more=more)).outcome == "good"


def test_no_cache_does_not_bust_the_cache(up, world):
    """R130."""
    der = lab.request(world.ca, world.good.serial)
    up.post(der)
    for _ in range(30):
        assert wire.exchange(up.port, wire.get(der, more="Cache-Control: no-cache\r\nPragma: no-cache\r\n")).outcome == "good"
    assert world.responder.count <= 3


def test_a_second_responder_is_asked_when_the_first_fails(worlds, daemons, responders):
    world = worlds()
    second = responders(world.ca, signer=world.signer)
    for n, mode in enumerate(("500", "close", "truncate", "redirect"), 1):
        world.responder.mode = mode
        d = daemons([world.issuer(ocsp=[world.responder.url, second.url])]).start()  # with no pause for the first one
        assert d.ask(world.ca, world.good.serial).outcome == "good", mode
        assert (world.responder.count, second.count) == (2 * n, n), mode  # by GET and by POST
        d.stop()


def test_a_slow_ca_never_delays_another(worlds, daemons):
    """T28"""
    a, b = worlds(name="a"), worlds(name="b")
    a.responder.mode = "hang"
    # strangers may have 4 of 5
    d = daemons([a.issuer(max_in_flight=5), b.issuer()], answer_timeout="5s", upstream_timeout="5s").start()
    leaves = [a.ca.issue(key=a.good.key) for _ in range(20)]
    waiting = [d.connect(30).send(wire.post(lab.request(a.ca, p.serial))) for p in leaves]
    lab.wait(lambda: a.responder.count >= 4, 5, "fetches of a")
    start = time.monotonic()
    assert d.ask(b.ca, b.good.serial).outcome == "good"
    assert time.monotonic() - start < 2 * lab.PATIENCE
    assert a.responder.most_running <= 4
    assert {c.reply().outcome for c in waiting} == {"try_later"}
    assert time.monotonic() - start < 8 * lab.PATIENCE
    for c in waiting:
        c.close()


def test_a_large_answer_is_refused(up, world):
    world.responder.answer = lambda der: b"\x30\x82\xff\xff" + bytes(65535)
    assert up.ask(world.ca, world.good.serial).outcome == "try_later"


def test_a_forged_expired_or_mismatched_answer_never_reaches_a_client(up, world):
    for name, make in lab.hostile(world).items():
        leaf = world.ca.issue(key=world.good.key)
        world.responder.answer = lambda der: make(leaf.serial)
        up.api("POST", "/v1/refresh", {"issuer": "demo", "serial": "%x" % leaf.serial})  # forgets back-off
        r = up.ask(world.ca, leaf.serial)
        assert r.outcome in ("try_later", "internal_error"), name
        world.responder.answer = None
    assert up.metric("admitted_total") == 0
    assert up.metric("refused_total", **{"from": "upstream"}) >= 25


def test_a_refused_answer_does_not_displace_the_held_one(worlds, daemons):
    world = worlds()
    d = daemons([world.issuer()], backoff_initial="10ms", backoff_max="10ms", refresh_min="100ms").start()
    held = d.ask(world.ca, world.good.serial).body
    for name, make in lab.hostile(world).items():
        world.responder.answer = lambda der: make(world.good.serial)
        assert d.api("POST", "/v1/refresh", {"issuer": "demo", "serial": "%x" % world.good.serial})[0] == 202
        assert d.ask(world.ca, world.good.serial).body == held, name


def test_an_older_answer_never_replaces_a_newer_one(up, world):
    """T2, R68: a replay within its validity."""
    old = lab.response(world.ca, [lab.single(world.ca, world.good.serial, this=-3000)], world.signer)
    new = up.ask(world.ca, world.good.serial).body
    world.responder.answer = lambda der: old
    up.refresh(serial=world.good.serial)
    lab.wait(lambda: up.metric("refused_total", **{"from": "upstream"}) == 1, 5, "the old one to be refused")
    assert up.ask(world.ca, world.good.serial).body == new


def test_what_validly_signed_odd_answers_may_look_like(up, world):
    """Answers that are unusual and right are served byte for byte (R50, R51, R62, R67)."""
    ca, signer = world.ca, world.signer
    for name, make in {
        "signed by the CA": lambda s: lab.response(ca, [lab.single(ca, s)]),
        "the CA with itself": lambda s: lab.response(ca, [lab.single(ca, s)], certs=[ca]),
        "by name": lambda s: lab.response(ca, [lab.single(ca, s)], signer, by_name=True),
        "extra certificates": lambda s: lab.response(ca, [lab.single(ca, s)], signer, certs=[ca, signer, world.good]),
        "made before thisUpdate": lambda s: lab.response(ca, [lab.single(ca, s)], signer, produced=-100),
    }.items():
        leaf = ca.issue(key=world.good.key)
        sent = make(leaf.serial)
        world.responder.answer = lambda der: sent
        assert up.ask(ca, leaf.serial).body == sent, name


def test_revoked_stays_revoked(box, world, daemons):
    """R69: over purge, restart and the other hash algorithm, until the operator clears it."""
    d = daemons([world.issuer()], backoff_initial="10ms", backoff_max="20ms", error_ttl="0s", refresh_min="100ms",
                store="lmdb:" + os.path.join(box, "store")).start()
    serial, hex_serial = world.revoked.serial, "%x" % world.revoked.serial
    world.ca.statuses[serial]["this"] = -100
    assert d.ask(world.ca, serial).outcome == "revoked"
    world.ca.statuses[serial] = {"status": "good"}
    assert d.ask(world.ca, serial, "sha256").outcome == "try_later"  # good is refused under the other key too
    assert d.api("POST", "/v1/purge", {"issuer": "demo"})[0] == 204
    lab.wait(lambda: d.ask(world.ca, serial).outcome == "try_later", 5, "the purge")
    d.kill()
    d.start()
    assert d.ask(world.ca, serial).outcome == "try_later"
    status = d.api("GET", "/v1/status/demo/" + hex_serial)[1]
    assert status["status"] == "revoked" and "latch" in [e["kind"] for e in status["evidence"]]
    assert d.metric("contradicted_total") >= 1
    assert d.api("DELETE", "/v1/latches/demo/" + hex_serial)[0] == 204
    assert d.api("DELETE", "/v1/latches/demo/" + hex_serial)[0] == 404
    lab.wait(lambda: d.ask(world.ca, serial).outcome == "good", 10, "good again")
    d.kill()
    d.start()
    assert d.ask(world.ca, serial).outcome == "good"


def test_a_revocation_takes_the_certificates_other_answers_out_of_service(up, world):
    serial = world.good.serial
    assert up.ask(world.ca, serial, "sha1").outcome == "good"
    world.ca.statuses[serial] = {"status": "revoked"}
    assert up.ask(world.ca, serial, "sha256").outcome == "revoked"
    lab.wait(lambda: up.ask(world.ca, serial, "sha1").outcome == "revoked", 5, "the SHA-1 answer to go")


def test_a_hold_is_no_latch(world, daemons):
    """R70"""
    d = daemons([world.issuer()], backoff_initial="10ms", refresh_min="100ms").start()
    serial = world.good.serial
    world.ca.statuses[serial] = {"status": "revoked", "reason": "certificate_hold", "this": -100}
    assert d.ask(world.ca, serial).outcome == "revoked"
    world.ca.statuses[serial] = {"status": "good"}
    d.api("POST", "/v1/refresh", {"issuer": "demo", "serial": "%x" % serial})
    lab.wait(lambda: d.ask(world.ca, serial).outcome == "good", 5, "the release")


def test_a_flood_of_serials_stays_within_the_issuers_bounds(worlds, daemons):
    """T13: at most fetch-rate fetches start in a second; hits do not feel it."""
    world = worlds()
    d = daemons([world.issuer(fetch_rate=20, max_in_flight=8, max_waiting=50)], answer_timeout="2s").start()
    d.ask(world.ca, world.good.serial)
    n, start = world.responder.count, time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(50) as pool:
        flood = [pool.submit(d.ask, world.ca, 10**6 + i, timeout=30) for i in range(200)]
        for _ in range(20):
            assert d.ask(world.ca, world.good.serial).hit
        outcomes = [f.result().outcome for f in flood]
    assert set(outcomes) <= {"unknown", "try_later"}
    assert world.responder.count - n <= 20 * (time.monotonic() - start + 2)
    assert world.responder.most_running <= 8
