"""What other systems got wrong, tried on us: the P numbers of tests/requirements.tsv.  Most have their test elsewhere."""
import time

import lab
import wire

FAST = dict(backoff_initial="10ms", backoff_max="20ms", refresh_min="100ms", error_ttl="0s", store_backoff_max="200ms")


def test_the_body_of_an_error_is_no_answer(world, daemons, redis):
    """P6: a valid OCSP response under a status that is not 200, or cut, is neither served nor kept; nor is a page."""
    d = daemons([world.issuer()], store=redis.url, **FAST).start()
    honest = world.responder.honest
    for n, (mode, answer) in enumerate((("500", honest), ("truncate", honest), ("ok", lambda _: b"<html>sorry</html>"))):
        world.responder.mode, world.responder.answer = mode, answer

        def refused():  # asked again until the responder's pause is over
            assert d.ask(world.ca, world.good.serial).outcome == "try_later", mode
            return world.responder.count > n
        lab.wait(refused, 5, "the fetch")
        assert redis.keys("ocspcached:a:") == [], mode
    world.responder.mode, world.responder.answer = "ok", None
    lab.wait(lambda: d.ask(world.ca, world.good.serial).outcome == "good", 5, "the recovery")


def test_a_renewed_certificate_has_an_answer_of_its_own(up, world):
    """P5, P30: same name, same key, same Host, one POST after the other to one URL: only the serial differs."""
    old = world.ca.issue("renewed.example")
    new = world.ca.issue("renewed.example", key=old.key)
    world.ca.statuses[old.serial] = {"status": "revoked", "reason": "superseded"}
    with up.connect() as c:
        for _ in range(2):
            for leaf, outcome in ((old, "revoked"), (new, "good")):
                r = c.send(wire.post(lab.request(world.ca, leaf.serial), host="renewed.example")).reply()
                assert r.outcome == outcome and lab.serial_of(r.body) == leaf.serial


def test_a_redis_that_is_full_costs_no_answer(world, daemons, redis):
    """P9, P25: "OOM command not allowed" is the store's trouble and no client's."""
    d = daemons([world.issuer()], store=redis.url, **FAST).start()
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    lab.wait(lambda: redis.keys("ocspcached:a:"), 5, "the write")
    redis.client.config_set("maxmemory-policy", "noeviction")
    redis.client.config_set("maxmemory", "1")
    assert d.ask(world.ca, world.revoked.serial).outcome == "revoked"
    assert d.ask(world.ca, world.unknown.serial).outcome == "unknown"
    assert d.ask(world.ca, world.good.serial).hit and d.ask(world.ca, world.revoked.serial).hit
    lab.wait(lambda: d.metric("store_errors_total") >= 1, 5, "the error to be counted")
    redis.client.config_set("maxmemory", "0")
    leaf = world.ca.issue(key=world.good.key)
    assert d.ask(world.ca, leaf.serial).outcome == "good"
    lab.wait(lambda: len(redis.keys("ocspcached:a:")) >= 2, 5, "writes again")


def test_a_certificate_that_is_not_found_is_never_good(worlds, daemons):
    """P19: by a signed unknown, by "unauthorized", by a CA that cannot be reached."""
    world = worlds()
    d = daemons([world.issuer(unknown_ttl="1s")], **FAST).start()
    assert d.ask(world.ca, 10**9).outcome == "unknown"
    world.responder.answer = lambda _: lab.error("unauthorized")
    assert d.ask(world.ca, 10**9 + 1).outcome == "unauthorized"
    world.responder.stop()
    assert d.ask(world.ca, 10**9 + 2).outcome in ("try_later", "unauthorized")


def test_an_answer_is_as_old_as_its_ca_says(worlds, daemons):
    """P14, P16, P22, P26: seconds are seconds, to the second, in the form of RFC 9110 section 5.6.7."""
    world = worlds(life=1800, this=-1234)
    d = daemons([world.issuer()], max_age_cap="24h").start()
    r = d.ask(world.ca, world.good.serial)
    parsed = {n: time.mktime(time.strptime(r[n], "%a, %d %b %Y %H:%M:%S GMT")) for n in ("Date", "Last-Modified", "Expires")}
    assert parsed["Expires"] - parsed["Last-Modified"] == 1800 + 1234
    assert 1233 <= parsed["Date"] - parsed["Last-Modified"] <= 1234 + 10 * lab.PATIENCE
    left = parsed["Expires"] - parsed["Date"]
    assert 0.7 * left < int(r["Cache-Control"].split(",")[0].partition("=")[2]) < left
