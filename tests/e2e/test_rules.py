"""Rules and threats of REQUIREMENTS.md that need the whole daemon and stand nowhere else."""
import email.utils
import os
import random
import re
import socket
import struct
import time

import pytest
from asn1crypto import core

import lab
import wire
from lists import tlv

FAST = dict(backoff_initial="10ms", backoff_max="20ms", refresh_min="100ms", error_ttl="0s", store_backoff_max="200ms",
            answer_timeout="2s", upstream_timeout="2s")


def refresh(d, serial):
    """Fetch anew, and wait until the fetch is over."""
    before = d.metric("upstream_duration_seconds_count")
    assert d.api("POST", "/v1/refresh", {"issuer": "demo", "serial": "%x" % serial})[0] == 202
    lab.wait(lambda: d.metric("upstream_duration_seconds_count") > before and d.metric("flights_active") == 0, 5,
             "the refresh")


def test_a_good_answer_from_before_the_revocation_is_good_no_more(world, daemons, redis):
    """T2, R68, R69: good(t0), revoked(t1), then good(t0) again, through upstream, through Redis, after a restart."""
    d = daemons([world.issuer()], store=redis.url, **FAST).start()
    ca, serial = world.ca, world.good.serial
    good = d.ask(ca, serial).body
    assert lab.outcome(good) == "good"
    key = lab.wait(lambda: redis.keys("ocspcached:a:"), 5, "the write")[0]
    saved = redis.client.get(key)
    world.responder.answer = lambda _: lab.response(ca, [lab.single(ca, serial, status="revoked", this=0)],
                                                    world.signer)
    refresh(d, serial)
    assert d.ask(ca, serial).outcome == "revoked"
    world.responder.answer = lambda _: good
    refresh(d, serial)
    assert d.ask(ca, serial).outcome == "revoked"
    for value in (saved, good):  # as we wrote it, and bare
        reads = d.metric("store_reads_total")
        redis.client.set(key, value)
        lab.wait(lambda: d.metric("store_reads_total") > reads, 5, "the word of it to arrive, and to be looked at")
        assert d.ask(ca, serial).outcome == "revoked"
    d.stop()
    for value in (saved, good):  # memory is cold; only the latch remembers
        redis.client.set(key, value)
        d.start()
        assert d.ask(ca, serial).outcome == "try_later"
        d.stop()


def caches_in_a_row(reply, at, rng):
    """When one of three shared caches in a row gives the reply out of its store for the last time (RFC 9111 sections
    4.2.3, 5.1).  Each keeps it as long as it is fresh, passes it on at some moment, often its last; each hop takes a
    while."""
    max_age = int(re.match(r"max-age=(\d+), ", reply["Cache-Control"]).group(1))
    date = email.utils.parsedate_to_datetime(reply["Date"]).timestamp()
    assert reply["Age"] is None
    age_value, last = 0, at
    for _ in range(3):
        request_time = at
        at += rng.random()
        age = max(0, at - date, age_value + at - request_time)
        if age >= max_age:
            break
        at += (max_age - age) * rng.choice((1, 1, rng.random()))
        age_value, last = int(at - date), at
    return last


def test_caches_in_a_row_never_give_an_answer_after_its_end(worlds, daemons):
    """R119, R126"""
    world = worlds(life=40)
    d = daemons([world.issuer()]).start()
    rng = random.Random(9111)
    for _ in range(3):
        r = d.ask(world.ca, world.good.serial)
        end = lab.outcome_end(r.body)
        assert "no-cache" not in r["Cache-Control"] and "no-store" not in r["Cache-Control"] and r["Pragma"] is None
        for _ in range(200):
            assert caches_in_a_row(r, time.time(), rng) < end
        time.sleep(0.7)


def test_a_get_may_be_longer_than_two_thousand_octets(up, world):
    """R34: signed requests and those with extensions are."""
    der = lab.request(world.ca, world.good.serial, extensions=[
        {"extn_id": "1.2.3.4", "critical": False, "extn_value": core.ParsableOctetString(b"\x04\x82\x06\x00" + bytes(1536))}])
    path = wire.path_of(der)
    assert 2048 < len(path) < 4096
    assert up.get(der).outcome == "good"
    assert wire.exchange(up.port, wire.get(lab.request(world.ca, world.good.serial))).hit


def test_expect_100_continue_gets_the_answer_to_its_own_body(up, world):
    """P7, R36: in 2019 a CDN gave such clients another certificate's answer."""
    for _ in range(2):
        for leaf in (world.good, world.revoked, world.unknown):
            der = lab.request(world.ca, leaf.serial)
            with up.connect() as c:
                c.send(wire.post(der, more="Expect: 100-continue\r\n")[:-len(der)])
                assert c.reply().status == 100
                assert lab.serial_of(c.send(der).reply().body) == leaf.serial
            whole = wire.exchange(up.port, wire.post(der, more="Expect: 100-continue\r\n"))
            assert lab.serial_of(whole.body) == leaf.serial


def test_nothing_that_a_client_sends_makes_us_connect_elsewhere(up, world):
    """P8, T7, T8, R17, R31, R32: by target, by Host, by serviceLocator, by CONNECT."""
    with socket.socket() as trap:
        trap.bind(("127.0.0.1", 0))
        trap.listen()
        trap.setblocking(False)
        there = "127.0.0.1:%d" % trap.getsockname()[1]
        der = lab.request(world.ca, world.good.serial)
        url = ("http://%s/" % there).encode()
        aia = b"\x30" + bytes([len(url) + 14]) + b"\x30" + bytes([len(url) + 12]) + bytes.fromhex("06082b06010505073001") + \
            b"\x86" + bytes([len(url)]) + url
        with_locator = lab.request(world.ca, world.good.serial, extensions=[
            {"extn_id": "1.3.6.1.5.5.7.48.1.7", "critical": False,
             "extn_value": core.ParsableOctetString(b"\x30" + bytes([len(aia)]) + aia)}])
        for status, data in ((403, wire.post(der, path=url.decode())), (403, wire.get(der, url.decode())),
                             (403, b"GET http://%s/%%0d%%0aSET%%20x%%20y HTTP/1.1\r\nHost: %s\r\n\r\n" % (there.encode(), there.encode())),
                             (405, b"CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\n" % (there.encode(), there.encode())),
                             (200, wire.post(der, host=there)), (200, wire.post(with_locator))):
            assert wire.exchange(up.port, data).status == status, data[:60]
        with pytest.raises(BlockingIOError):
            trap.accept()
    assert world.responder.count == 1


def test_a_redirect_of_a_responder_leads_nowhere(world, daemons, responders):
    """T7: not to a second host, nor to our own machine."""
    elsewhere = responders(world.ca, signer=world.signer)
    d = daemons([world.issuer()]).start()
    world.responder.mode = "redirect"
    world.responder.url = elsewhere.url  # what Location says
    assert d.ask(world.ca, world.good.serial).outcome == "try_later"
    assert elsewhere.count == 0 and world.responder.methods == ["GET", "POST"]


def leave(c, hard):
    if hard:
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    c.close()


def test_a_client_may_leave_at_any_octet(up, world):
    """T27: with a close or a reset, in its request, while it waits, in its answer, between two requests."""
    der = lab.request(world.ca, world.good.serial)
    post, get = wire.post(der), wire.get(der)
    up.post(der)
    for hard in (False, True):
        for data in (post, get):
            for n in range(0, len(data), 3):
                leave(up.connect().send(data[:n]), hard)
        c = up.connect().send(post * 50)
        c.s.recv(10)
        leave(c, hard)
        c = up.connect().send(get)
        assert c.reply().outcome == "good"
        leave(c.send(get[:20]), hard)
        world.responder.delay = 0.3
        for serial in (1000 + hard, 1000 + hard):
            leave(up.connect().send(wire.post(lab.request(world.ca, serial)) + post), hard)
        assert up.ask(world.ca, 1000 + hard).outcome == "unknown"
        world.responder.delay = 0
    assert up.post(der).hit
    lab.wait(lambda: up.metric("connections") == 0, 10, "all connections to be gone")


def test_deep_and_wide_requests_are_told_at_once(up, world):
    """T11, R7, R139"""
    deep, wide = b"\x30\x80" * 4999, lab.request(world.ca, 1, certids=[world.ca.certid(n) for n in range(120)])
    assert len(wide) < 10000
    for der in (deep, wide, b"\x30\x84\x7f\xff\xff\xff" * 1000):
        assert up.post(der).outcome == "malformed_request"
    entry = tlv(0x30, world.ca.certid(1).dump())
    list_of_10k = tlv(0x30, tlv(0x30, tlv(0x30, entry * 10000)))
    with up.connect() as c:
        assert c.send(wire.post(list_of_10k)[:60000]).reply().status == 413
    assert world.responder.count == 0


def test_an_error_is_five_octets_and_small(up, world):
    """T29, R5, R120: nobody gets more out of an error than he put in."""
    stranger = lab.CA("stranger")
    world.responder.mode = "500"
    for der, outcome in ((b"x", "malformed_request"), (lab.request(stranger, 1), "unauthorized"),
                         (lab.request(world.ca, 1), "try_later")):
        data = wire.post(der, more="Connection: close\r\n")
        raw = wire.whole(up.port, data)
        assert lab.outcome(raw[-5:]) == outcome and raw[-5:] == lab.error(outcome)
        assert len(raw) < 400 and b"Cache-Control: no-store" in raw


def test_errors_are_counted_by_their_kind(up, world):
    """T26, T30: what an alert on the share of errors looks at; its labels do not grow with what clients send."""
    d = up
    d.ask(world.ca, world.good.serial)
    series = len([line for line in d.metrics().splitlines() if not line.startswith("#")])
    world.responder.mode = "500"
    for n in range(30):
        d.ask(world.ca, 10**6 + n)
        d.post(b"junk %d" % n)
        d.ask(lab.CA("s"), n) if n < 3 else None
    assert d.metric("requests_total", outcome="try_later") == 30
    assert d.metric("requests_total", outcome="malformed") == 30
    assert d.metric("requests_total", outcome="unauthorized") == 3
    assert d.metric("requests_total", outcome="answered") == 1
    assert len([line for line in d.metrics().splitlines() if not line.startswith("#")]) == series


def test_no_word_of_a_client_makes_a_line_of_the_log(world, daemons):
    """T25"""
    d = daemons([world.issuer()], access_log_sample=1, log_level="debug").start()
    for data in (b"GET /%0a%0dts=1%20level=error%20event=forged HTTP/1.1\r\nHost: event=forged\r\n\r\n",
                 b"GET /x?\"event=forged HTTP/1.1\r\nHost: a\r\nUser-Agent: x event=forged\r\n\r\n",
                 b"GET http://event=forged/ HTTP/1.1\r\nHost: a\r\n\r\n",
                 wire.post(lab.request(world.ca, world.good.serial), path="/ocsp?event=forged")):
        wire.whole(d.port, data.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    d.stop()
    for line in d.log.splitlines():
        assert re.match(r"ts=\S+ level=(error|warn|info|debug) event=\w+( |$)", line), line
        assert not re.search(r"(^| )event=forged( |$)", re.sub(r'"(\\.|[^"\\])*"', "", line)), line
    assert "%x" % world.good.serial not in d.log


@pytest.fixture
def stepped(box):
    """The environment of a clock that can be set, and what sets it ("+7200")."""
    path = os.path.join(box, "clock")

    def set_clock(text):
        with open(path + ".new", "w") as f:
            f.write(text + "\n")
        os.rename(path + ".new", path)
    set_clock("+0")
    env = dict(lab.fake_clock("+0"), FAKETIME_TIMESTAMP_FILE=path, FAKETIME_NO_CACHE="1")
    del env["FAKETIME"]
    return env, set_clock


def test_a_clock_that_is_far_ahead_at_the_start_forgets_no_latch(world, daemons, stepped):
    """T20: at +500 d (latch-keep is 400), and right a moment later."""
    env, set_clock = stepped
    serial = world.revoked.serial
    d = daemons([world.issuer()], env=env, **FAST).start()
    assert d.ask(world.ca, serial).outcome == "revoked"
    d.stop()
    world.ca.statuses[serial] = {"status": "good"}
    set_clock("+%d" % (500 * 86400))
    d.start()
    assert d.metric("latches") == 1
    set_clock("+0")
    d.wait_event("clock_step")
    assert d.ask(world.ca, serial).outcome == "try_later"
    d.wait_event("revoked_became_good")


def test_a_step_of_the_clock_is_told_and_validity_follows_it(world, daemons, stepped):
    """T20: two hours ahead and back; timers run on, what is out of date is not served, and nothing has to restart."""
    env, set_clock = stepped
    d = daemons([world.issuer()], env=env, **FAST).start()
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    set_clock("+7200")
    lab.wait(lambda: d.metric("clock_steps_total") >= 1, 10, "the alarm")
    assert re.search(r"event=clock_step ms=7(199|200)\d{3}\n", d.log)
    assert d.ask(world.ca, world.good.serial).outcome == "try_later"  # the CA's own clock went on as before
    set_clock("+0")
    lab.wait(lambda: d.metric("clock_steps_total") >= 2, 10, "the second alarm")
    lab.wait(lambda: d.ask(world.ca, world.good.serial).outcome == "good", 10, "good again")


def test_a_clock_before_the_release_is_an_alarm_and_no_refusal(world, daemons):
    """T20"""
    d = daemons([world.issuer()], env=lab.fake_clock("@2020-01-01 00:00:00")).start()
    assert "level=error event=clock_before_release" in d.log and d.metric("clock_before_release") == 1
    assert d.ask(world.ca, world.good.serial).outcome == "try_later"  # from the future, for this clock
    right = daemons([world.issuer()]).start()
    assert "clock_before_release" not in right.log and right.metric("clock_before_release") == 0
