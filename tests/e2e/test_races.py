"""What happens when several things happen at once: reasons to fly, reloads, purges, the stop."""
import os
import random
import signal
import socket
import threading
import time

import pytest

import lab
import wire

ONLY_IF_CACHED = "Cache-Control: only-if-cached\r\n"


def in_background(*calls, arrived=lambda n: True):
    """Start them one after the other, each when arrived(how many there are) is true; a function that waits for all and
    returns what they returned (or raised)."""
    results = [None] * len(calls)

    def run(i):
        try:
            results[i] = calls[i]()
        except Exception as e:  # it is the result
            results[i] = e
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    for n, t in enumerate(threads):
        t.start()
        lab.wait(lambda: arrived(n + 1), 10, "call number %d" % (n + 1))

    def wait():
        for t in threads:
            t.join()
        return results
    return wait


def url_of(store, box, redis):
    return {"memory": "memory:", "lmdb": "lmdb:" + os.path.join(box, "store"), "redis": redis.url}[store]


def up_with(d):
    """Until its store is there."""
    d.start()
    lab.wait(lambda: not d.api("GET", "/readyz")[1]["degraded"], 10, "the store")
    return d


def waiting(d):
    """How many have asked for what was not in memory."""
    return d.metric("flights_total") + d.metric("flight_joins_total")


@pytest.mark.parametrize("order", ["fetch first", "cache first"])
def test_only_if_cached_takes_no_fetch_from_those_who_wait(world, daemons, redis, order):
    """While the store is read both share one flight; who would fetch is the stronger."""
    d = up_with(daemons([world.issuer()], store=redis.url, store_timeout="30s"))
    der = lab.request(world.ca, world.good.serial)
    calls = [lambda: d.post(der), lambda: wire.exchange(d.port, wire.get(der, more=ONLY_IF_CACHED))]
    redis.process.send_signal(signal.SIGSTOP)
    wait = in_background(*(calls if order == "fetch first" else calls[::-1]), arrived=lambda n: waiting(d) == n)
    redis.process.send_signal(signal.SIGCONT)
    results = wait()
    fetched, cached = results if order == "fetch first" else results[::-1]
    assert fetched.outcome == "good"
    assert cached.status == 504


@pytest.mark.parametrize("store", ["memory", "lmdb", "redis"])
def test_without_memory_the_store_answers(box, world, daemons, redis, store):
    d = up_with(daemons([world.issuer()], store=url_of(store, box, redis), hot_cache=0))
    for _ in range(3):
        for p, outcome in ((world.good, "good"), (world.revoked, "revoked"), (world.unknown, "unknown")):
            assert d.ask(world.ca, p.serial).outcome == outcome
    der = lab.request(world.ca, world.good.serial)
    cached = wire.exchange(d.port, wire.get(der, more=ONLY_IF_CACHED))
    if store == "memory":
        assert cached.status == 504
    else:
        assert cached.hit and cached.outcome == "good"
        assert world.responder.count == 5  # an unknown is not stored


@pytest.mark.parametrize("store", ["memory", "lmdb", "redis"])
def test_a_cleared_latch_is_not_set_again_by_our_own_store(box, world, daemons, redis, store):
    """R69: the operator may; the CA is asked anew at once."""
    d = up_with(daemons([world.issuer()], store=url_of(store, box, redis)))
    serial = world.revoked.serial
    assert d.ask(world.ca, serial).outcome == "revoked"
    asked = world.responder.count
    world.ca.statuses[serial] = {"status": "good"}  # perhaps of the same second
    assert d.api("DELETE", "/v1/latches/demo/%x" % serial)[0] == 204
    lab.wait(lambda: world.responder.count > asked, 5, "the CA to be asked, though nobody else asks")
    assert d.ask(world.ca, serial).outcome == "good"  # and no refresh
    d.stop()
    d.start()
    assert d.ask(world.ca, serial).outcome == "good"


def test_a_reload_takes_an_issuer_away_while_it_is_asked(world, worlds, daemons):
    other = worlds(name="other")
    other.responder.delay = 1
    d = daemons([world.issuer(), other.issuer()]).start()
    wait = in_background(lambda: d.ask(other.ca, other.good.serial).outcome,
                         arrived=lambda n: other.responder.count == n)
    d.issuers = [world.issuer()]
    d.write()
    d.reload()
    assert wait()[0] in ("unauthorized", "try_later")
    assert d.ask(other.ca, other.good.serial).outcome == "unauthorized"
    d.issuers = [world.issuer(), other.issuer()]
    d.write()
    d.reload()
    lab.wait(lambda: d.ask(other.ca, other.good.serial).outcome == "good", 5, "the issuer to be back")


def test_a_storm_of_reloads_under_load(world, worlds, daemons):
    other = worlds(name="other")
    d = daemons([world.issuer(), other.issuer()]).start()
    texts = [open(d.conf).read()]
    d.issuers = [world.issuer()]
    d.write()
    texts.append(open(d.conf).read())
    end = time.monotonic() + 4
    failed = []

    def ask(ca):
        c = d.connect()
        while time.monotonic() < end:
            r = c.send(wire.post(lab.request(ca, random.randrange(1, 50)))).reply()
            if r.status != 200:
                failed.append(r)
    wait = in_background(*[lambda ca=ca: ask(ca) for ca in (world.ca, other.ca) * 2])
    while time.monotonic() < end:
        with open(d.conf + ".new", "w") as f:
            f.write(random.choice(texts))
        os.rename(d.conf + ".new", d.conf)
        d.signal(signal.SIGHUP)
        time.sleep(random.choice([0, 0.001, 0.02]))
    assert wait() == [None] * 4 and not failed
    for _ in range(3):
        d.signal(signal.SIGHUP)
    d.stop()


def test_purges_and_refreshes_while_a_fetch_is_under_way(world, daemons):
    world.responder.delay = 0.5
    d = daemons([world.issuer()]).start()
    one = {"issuer": "demo", "serial": "%x" % world.good.serial}
    wait = in_background(*[lambda: d.ask(world.ca, world.good.serial).outcome] * 10)
    for _ in range(20):
        assert d.api("POST", "/v1/purge", one)[0] == 204
        assert d.api("POST", "/v1/refresh", one)[0] == 202
    assert wait() == ["good"] * 10


def test_the_certificate_that_vouched_for_an_answer_is_taken_away(box, responders, daemons):
    """A renewed CA: what only its new key has signed goes when the new certificate does."""
    old, new = lab.CA("Renewed CA"), lab.CA("Renewed CA")
    leaf = old.issue()
    responder = responders(old)
    responder.answer = lambda der: lab.response(new, [lab.single(old, leaf.serial)])
    both = [old.write(os.path.join(box, "old.pem")), new.write(os.path.join(box, "new.pem"))]
    d = daemons([{"name": "demo", "certificate": both, "ocsp": [responder.url]}]).start()
    assert d.ask(old, leaf.serial).outcome == "good"
    assert d.ask(old, leaf.serial).hit
    d.issuers[0]["certificate"] = both[:1]
    d.write()
    d.reload()
    lab.wait(lambda: d.ask(old, leaf.serial).outcome == "try_later", 5, "the answer to go")


def test_a_lease_is_given_back_at_the_stop(world, daemons, redis):
    first, second = [up_with(daemons([world.issuer()], store=redis.url)) for _ in range(2)]
    world.responder.mode = "hang"
    wait = in_background(lambda: first.ask(world.ca, world.good.serial))
    lab.wait(lambda: any(k.startswith(b"ocspcached:l:") for k in redis.keys()), 5, "the lease")
    first.stop()
    wait()
    world.responder.mode = "ok"
    started = time.monotonic()
    assert second.ask(world.ca, world.good.serial).outcome == "good"
    assert time.monotonic() - started < 3


def test_redis_dies_while_leases_are_held(world, daemons, redis):
    nodes = [up_with(daemons([world.issuer()], store=redis.url)) for _ in range(2)]
    world.responder.delay = 2
    wait = in_background(*[lambda d=d: d.ask(world.ca, world.good.serial).outcome for d in nodes],
                         arrived=lambda n: waiting(nodes[n - 1]) == 1 and world.responder.count == 1)
    redis.stop(kill=True)
    assert wait() == ["good", "good"]


def test_who_still_waits_at_the_stop_is_told(world, daemons):
    world.responder.mode = "hang"
    d = daemons([world.issuer()], drain_timeout="300ms").start()
    wait = in_background(*[lambda: d.ask(world.ca, world.good.serial).outcome] * 5, arrived=lambda n: waiting(d) == n)
    d.stop()
    assert wait() == ["try_later"] * 5


def test_a_unix_socket_closes_at_once_when_draining(box, world, daemons):
    path = os.path.join(box, "s")
    d = daemons([world.issuer()], listen=["unix:" + path], drain_timeout="5s").start()
    world.responder.delay = 1
    busy = wire.Connection(0, unix=path).send(wire.post(lab.request(world.ca, world.good.serial)))
    lab.wait(lambda: world.responder.count == 1, 10, "the fetch")
    d.signal(signal.SIGTERM)
    d.wait_event("event=draining")

    def refused():
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(path)
            except ConnectionRefusedError:
                return True
            return False
    lab.wait(refused, 10, "the listener to close")
    assert d.process.poll() is None
    assert busy.reply().outcome == "good"


def test_an_error_does_not_outlive_a_clock_that_steps_back(box, world, daemons):
    """T20: what was to be repeated for seconds is not repeated for as long as the clock was ahead."""
    clock = os.path.join(box, "clock")
    env = dict(lab.fake_clock("+0"), DONT_FAKE_MONOTONIC="1")  # its name before faketime 0.9.8
    del env["FAKETIME"]

    def step(to):
        with open(clock + ".new", "w") as f:
            f.write(to)
        os.rename(clock + ".new", clock)
    step("+0s")
    d = daemons([world.issuer()], env=dict(env, FAKETIME_TIMESTAMP_FILE=clock, FAKETIME_NO_CACHE="1")).start()
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    step("+7200s")
    lab.wait(lambda: d.ask(world.ca, world.good.serial).outcome == "try_later", 5, "an answer to be expired")
    d.wait_event("event=clock_step")
    step("+0s")
    lab.wait(lambda: d.ask(world.ca, world.good.serial).outcome == "good", 10, "the error to end")
    assert d.metric("clock_steps_total") == 2
