"""Restarts, LMDB, Redis, several nodes: what was known stays known, and no store is trusted."""
import os
import random
import signal
import threading
import time

import pytest

import daemon
import lab
import wire

FAST = dict(backoff_initial="20ms", backoff_max="100ms", refresh_min="100ms", error_ttl="0s", store_backoff_max="200ms",
            answer_timeout="2s", upstream_timeout="2s")


def test_after_kill_9_the_first_request_is_a_hit_from_lmdb(box, world, daemons):
    d = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "store"), **FAST).start()
    before = {p.serial: d.ask(world.ca, p.serial).body for p in (world.good, world.revoked)}
    lab.wait(lambda: d.metric("store_entries") == 2, 5, "the writes")
    d.kill()
    world.responder.stop()
    n = world.responder.count
    d.start()
    for serial, body in before.items():
        r = d.ask(world.ca, serial)
        assert r.hit and r.body == body
    assert world.responder.count == n
    assert d.metric("requests_total", tier="store", outcome="answered") == 2


def test_a_stop_and_a_start_lose_nothing(box, world, daemons):
    d = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "store")).start()
    leaves = [world.ca.issue(key=world.good.key) for _ in range(50)]
    bodies = [d.ask(world.ca, p.serial).body for p in leaves]
    d.stop()
    n = world.responder.count
    d.start()
    for p, body in zip(leaves, bodies):
        r = d.ask(world.ca, p.serial)
        assert r.hit and r.body == body
    assert world.responder.count == n


def test_memory_forgets_and_says_so_by_asking_again(world, daemons):
    d = daemons([world.issuer()]).start()
    assert d.ask(world.ca, world.good.serial).miss
    d.stop()
    d.start()
    assert d.ask(world.ca, world.good.serial).miss
    assert world.responder.count == 2


def test_an_expired_answer_in_the_store_is_not_served(box, worlds, daemons):
    world = worlds(life=2)
    d = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "store"), **FAST).start()
    r = d.ask(world.ca, world.good.serial)
    assert r.outcome == "good"
    lab.wait(lambda: d.metric("store_entries") == 1, 5, "the write")
    d.kill()
    world.responder.stop()
    lab.wait(lambda: time.time() >= lab.outcome_end(r.body), 5, "its end")
    d.start()
    assert d.ask(world.ca, world.good.serial).outcome == "try_later"


def test_garbage_in_the_lmdb_file_is_an_error_with_a_name_and_no_crash(box, world, daemons):
    path = os.path.join(box, "store")
    d = daemons([world.issuer()], store="lmdb:" + path).start()
    d.ask(world.ca, world.good.serial)
    d.stop()
    for root, _, files in os.walk(path):
        for f in files:
            if "lock" not in f:
                with open(os.path.join(root, f), "r+b") as h:
                    h.write(b"garbage!" * 1024)
    d.spawn()
    try:
        code = d.process.wait(15 * lab.PATIENCE)
        d.process = None
        assert code == 1 and path in d.log
    except Exception:
        assert d.process is None, "it runs on a store that is garbage:\n" + d.log


def refused(d):
    """What it says when it will not start."""
    before = len(d.log) if os.path.exists(d.log_path) else 0
    d.spawn()
    code = d.process.wait(15 * lab.PATIENCE)
    d.process = None
    assert code == 1, "ended with %d:\n%s" % (code, d.log)
    return d.log[before:]


def test_damaged_latches_refuse_the_start_with_the_remedy(box, world, daemons):
    """R69: neither SIGBUS nor a certificate that is good again, whatever happened to the file."""
    serial = world.revoked.serial
    d = daemons([world.issuer()], **FAST).start()
    path = os.path.join(d.options["state-directory"], "latches.mdb")
    assert d.ask(world.ca, serial).outcome == "revoked"
    lab.wait(lambda: d.metric("latches") == 1, 5, "the latch")
    d.stop()
    with open(path, "rb") as f:
        kept = f.read()
    world.ca.statuses[serial] = {"status": "good"}
    for cause, content in (("cut short", kept[:len(kept) // 2]), ("cut short", kept[:8192]), ("head", kept[:100]),
                           ("empty", b""), ("no LMDB file", b"x" * len(kept)), ("gone", None)):
        os.unlink(path)
        if content is not None:
            with open(path, "wb") as f:
                f.write(content)
        said = refused(d)
        assert path in said and cause in said and "restore it from a copy" in said, said
        with open(path, "wb") as f:
            f.write(kept)
    os.unlink(path + "-lock")
    os.mkfifo(path + "-lock")
    assert "its lock file (-lock) is a FIFO" in refused(d)
    os.unlink(path + "-lock")
    d.start()
    assert d.ask(world.ca, serial).outcome == "try_later" and d.metric("latches") == 1


def test_a_damaged_cache_is_put_aside_and_a_damaged_log_is_not(box, world, daemons):
    path = os.path.join(box, "store")
    d = daemons([world.issuer()], store="lmdb:" + path, **FAST).start()
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    d.stop()
    for name in ("answers.mdb", "events.mdb"):
        with open(os.path.join(path, name), "r+b") as f:
            f.truncate(os.path.getsize(f.name) // 2)
    said = refused(d)
    assert "events.mdb" in said and "cut short" in said and "move it away" in said
    assert "store_put_aside" in said and os.path.exists(os.path.join(path, "answers.mdb.damaged"))
    os.unlink(os.path.join(path, "events.mdb"))
    d.start()
    assert d.ask(world.ca, world.good.serial).miss and d.metric("store_up") == 1


def test_after_kill_9_the_first_request_is_a_hit_from_redis(world, daemons, redis):
    """P16"""
    d = daemons([world.issuer()], store=redis.url, **FAST).start()
    before = {p.serial: d.ask(world.ca, p.serial).body for p in (world.good, world.revoked)}
    lab.wait(lambda: len(redis.answers()) >= 2, 5, "the writes")
    for key in redis.answers():
        assert 3000 < redis.client.ttl(key) <= 3600, key
    d.kill()
    world.responder.stop()
    n = world.responder.count
    d.start()
    for serial, body in before.items():
        r = d.ask(world.ca, serial)
        assert r.hit and r.body == body
    assert world.responder.count == n


def test_redis_goes_and_comes_under_load_while_the_ca_is_down(world, daemons, redis):
    """P9, P38: no failed request for what is in memory, no crash, recovery by itself."""
    d = daemons([world.issuer()], store=redis.url, **FAST).start()
    leaves = [world.ca.issue(key=world.good.key) for _ in range(20)]
    for p in leaves:
        assert d.ask(world.ca, p.serial).outcome == "good"
    lab.wait(lambda: len(redis.answers()) >= 20, 5, "the writes")
    world.responder.stop()
    stop, failed, asked = threading.Event(), [], [0]

    def load():
        with d.connect(30) as c:
            while not stop.is_set():
                p = random.choice(leaves)
                r = c.send(wire.post(lab.request(world.ca, p.serial))).reply()
                asked[0] += 1
                if not r.hit or r.outcome != "good":
                    failed.append(r)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()

    def go_on():
        before = asked[0]
        lab.wait(lambda: asked[0] > before + 200 or failed, 30, "200 more")
    for kill in (False, True):
        go_on()
        redis.stop(kill)
        assert d.ask(world.ca, 12345).outcome == "try_later"  # what nobody holds: no error, no crash
        lab.wait(lambda: d.metric("store_up") == 0, 10, "the store to be down")
        go_on()
        redis.start()
        lab.wait(lambda: d.metric("store_up") == 1, 10, "the store to be up again")
    stop.set()
    for t in threads:
        t.join()
    assert not failed
    # And it writes again.
    world.responder.start()
    leaf = world.ca.issue(key=world.good.key)
    lab.wait(lambda: d.ask(world.ca, leaf.serial).outcome == "good", 10, "the CA")
    lab.wait(lambda: len(redis.answers()) >= 1, 10, "a write")


def test_redis_that_is_away_at_start_is_no_error(world, daemons, redis):
    redis.stop()
    d = daemons([world.issuer()], store=redis.url, **FAST).start(ready=False)
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    redis.start()
    lab.wait(lambda: d.metric("store_up") == 1, 10, "the store")
    d.ask(world.ca, world.revoked.serial)
    lab.wait(redis.keys, 5, "a write")


def test_three_nodes_on_one_redis_fetch_once(world, daemons, redis):
    """T15"""
    nodes = [daemons([world.issuer()], store=redis.url) for _ in range(3)]
    for d in nodes:
        d.start()
    world.responder.delay = 0.7
    der = wire.post(lab.request(world.ca, world.good.serial))
    connections = [nodes[i % 3].connect(30) for i in range(1000)]
    for c in connections:
        c.send(der)
    assert {c.reply().outcome for c in connections} == {"good"}
    for c in connections:
        c.close()
    assert world.responder.count == 1


def test_two_nodes_fetch_each_certificate_once(world, daemons, redis):
    """T15: also when one node has looked before the other one stored its answer, and asks for the lease after it."""
    nodes = [daemons([world.issuer()], store=redis.url).start() for _ in range(2)]
    crowd = [d.connect(30) for d in nodes for _ in range(2)]
    serials = [world.ca.issue(key=world.good.key).serial for _ in range(150)]
    for n, serial in enumerate(serials):
        der = wire.post(lab.request(world.ca, serial))
        for c in crowd if n % 2 else crowd[::-1]:
            c.send(der)
        assert {c.reply().outcome for c in crowd} == {"good"}
    for c in crowd:
        c.close()
    assert sorted(world.responder.serials()) == sorted(serials)


def test_a_failed_fetch_is_told_to_the_other_nodes(world, daemons, redis):
    nodes = [daemons([world.issuer()], store=redis.url, answer_timeout="4s").start() for _ in range(3)]
    world.responder.mode = "500"
    world.responder.delay = 0.3
    connections = [d.connect(30).send(wire.post(lab.request(world.ca, world.good.serial))) for d in nodes]
    assert {c.reply().outcome for c in connections} == {"try_later"}
    for c in connections:
        c.close()
    assert world.responder.count <= 2


def test_a_node_hears_of_anothers_newer_answer(world, daemons, redis):
    a, b = (daemons([world.issuer()], store=redis.url, **FAST).start() for _ in range(2))
    serial = world.good.serial
    world.ca.statuses[serial]["this"] = -100
    a.ask(world.ca, serial)
    lab.wait(redis.keys, 5, "the write")
    assert b.ask(world.ca, serial).outcome == "good"
    assert world.responder.count == 1
    world.ca.statuses[serial] = {"status": "revoked"}
    a.api("POST", "/v1/refresh", {"issuer": "demo", "serial": "%x" % serial})
    lab.wait(lambda: a.ask(world.ca, serial).outcome == "revoked", 5, "node a")
    lab.wait(lambda: b.ask(world.ca, serial).outcome == "revoked", 10, "node b")


def test_what_redis_loses_stays_in_memory(world, daemons, redis):
    """Nothing that Redis does removes an answer from memory."""
    d = daemons([world.issuer()], store=redis.url, **FAST).start()
    body = d.ask(world.ca, world.good.serial).body
    lab.wait(redis.keys, 5, "the write")
    world.responder.stop()
    redis.client.flushall()
    for _ in range(10):
        r = d.ask(world.ca, world.good.serial)
        assert r.hit and r.body == body
        time.sleep(0.05)


@pytest.fixture(params=[False, True], ids=["no MAC", "MAC"])
def cold(request, box, world, daemons, redis):
    """A node whose memory is cold, in front of a Redis that holds its answers; the CA is down."""
    more = dict(FAST)
    if request.param:
        with open(os.path.join(box, "mac"), "w") as f:
            f.write("# first writes, all verify\n%s\n%s\n" % ("ab" * 32, "cd" * 32))
        more["store_key_file"] = os.path.join(box, "mac")
    d = daemons([world.issuer()], store=redis.url, **more).start()
    d.bodies = {p.serial: d.ask(world.ca, p.serial).body for p in (world.good, world.revoked)}
    lab.wait(lambda: len(redis.answers()) >= 2, 5, "the writes")
    d.stop()
    world.responder.stop()
    return d


def test_what_redis_tampers_with_is_never_served(cold, world, redis):
    """T16: each byte of a value may be a stranger's."""
    keys = redis.answers()
    saved = {k: redis.client.get(k) for k in keys}
    a, b = keys[0], keys[1]
    chosen = random.Random(6960)
    tampered = [("swapped", {a: saved[b], b: saved[a]}), ("empty", {a: b"", b: b""}), ("text", {a: b"sorry", b: b"sorry"}),
                ("cut", {k: v[:-1] for k, v in saved.items()}), ("longer", {k: v + b"\0" for k, v in saved.items()}),
                ("half", {k: v[:len(v) // 2] for k, v in saved.items()}), ("huge", {k: v + bytes(10**6) for k, v in saved.items()})]
    for _ in range(12):
        flips = {}
        for k, v in saved.items():
            i = chosen.randrange(len(v))
            flips[k] = v[:i] + bytes([v[i] ^ (1 << chosen.randrange(8))]) + v[i + 1:]
        tampered.append(("bit flipped", flips))
    cold.start()
    for name, values in tampered:
        for k, v in values.items():
            redis.client.set(k, v)
        cold.api("GET", "/v1/issuers")
        for serial, body in cold.bodies.items():
            r = cold.ask(world.ca, serial)
            # A flip in what neither signature nor MAC covers may leave the signed answer as it was: then it is served.
            assert r.outcome == "try_later" or r.body == body, name
            if r.outcome != "try_later":
                cold.stop()
                cold.start()
    # A value of another type.
    redis.client.delete(a)
    redis.client.rpush(a, "x")
    cold.stop()
    cold.start()
    for serial, body in cold.bodies.items():
        r = cold.ask(world.ca, serial)
        assert r.outcome == "try_later" or r.body == body


def test_forged_values_in_redis_are_never_served(cold, world, redis):
    """T16: a bare DER, as another program might store it: verified in full."""
    keys = {}
    cold.start()
    for p in (world.good,):
        for k in redis.answers():
            v = redis.client.get(k)
            if cold.bodies[p.serial] in v:
                keys[p.serial] = k
    key = keys[world.good.serial]
    for name, make in lab.hostile(world).items():
        redis.client.set(key, make(world.good.serial))
        assert cold.ask(world.ca, world.good.serial).outcome == "try_later", name
    redis.client.set(key, cold.bodies[world.good.serial])
    r = cold.ask(world.ca, world.good.serial)
    assert r.hit and r.body == cold.bodies[world.good.serial]


def test_an_older_answer_from_redis_never_replaces_a_newer_one(world, daemons, redis):
    first, d = (daemons([world.issuer()], store=redis.url, **FAST).start() for _ in range(2))
    serial = world.good.serial
    new = first.ask(world.ca, serial).body
    key = lab.wait(redis.answers, 5, "the write")[0]
    assert d.ask(world.ca, serial).body == new  # what it has read it hears of
    reads = d.metric("store_reads_total")
    redis.client.set(key, lab.response(world.ca, [lab.single(world.ca, serial, this=-3000)], world.signer))
    lab.wait(lambda: d.metric("store_reads_total") > reads, 5, "the word of it to arrive, and to be looked at")
    assert d.ask(world.ca, serial).body == new


def test_two_prefixes_are_two_worlds(world, daemons, redis):
    a = daemons([world.issuer()], store=redis.url, store_prefix="ocspcached:a:").start()
    b = daemons([world.issuer()], store=redis.url, store_prefix="ocspcached:b:").start()
    a.ask(world.ca, world.good.serial)
    lab.wait(lambda: redis.keys("ocspcached:a:"), 5, "the write")
    assert b.ask(world.ca, world.good.serial).miss
    assert world.responder.count == 2


def held(d, option, path, by):
    """d's words of a folder that another holds: which option, file and process, and what helps; exit status 1."""
    said = refused(d)
    assert "event=start_failed what=%s " % option in said and path + "/lock: " in said, said
    assert "another ocspcached (process %d) uses this folder" % by.process.pid in said, said
    assert "give each its own state-directory and, with lmdb:, its own store" in said, said
    assert "if that one is being stopped, start when it has ended" in said, said


def test_a_second_daemon_in_one_folder_is_refused(box, world, daemons):
    """Whichever of the two it is, and by any of its names; what it would have lost are the first one's changes."""
    state, store, name = (os.path.join(box, n) for n in ("one", "store", "link"))
    a = daemons([world.issuer()], state_directory=state, store="lmdb:" + store).start()
    os.symlink(store, name)
    held(daemons([world.issuer()], state_directory=state), "state-directory", state, a)
    held(daemons([world.issuer()], store="lmdb:" + store), "store", store, a)
    held(daemons([world.issuer()], store="lmdb:" + name), "store", name, a)
    held(daemons([world.issuer()], store="lmdb:" + state), "store", state, a)
    held(daemons([world.issuer()], state_directory=store), "state-directory", store, a)
    assert a.ask(world.ca, world.good.serial).outcome == "good" and a.metric("store_up") == 1
    a.kill()  # what is left over binds nobody
    daemons([world.issuer()], store="lmdb:" + store).start()


def test_one_folder_may_be_state_directory_and_store(box, world, daemons):
    """As by default; and by two names."""
    folder, name = os.path.join(box, "both"), os.path.join(box, "name")
    d = daemons([world.issuer()], state_directory=folder, store="lmdb:" + folder).start()
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    d.stop()
    os.symlink("both", name)
    d.options["store"] = "lmdb:" + name
    d.write()
    d.start()
    assert d.ask(world.ca, world.good.serial).hit
    assert {"answers.mdb", "events.mdb", "latches.mdb", "lock"} <= set(os.listdir(folder))
    held(daemons([world.issuer()], store="lmdb:" + folder), "store", folder, d)


def test_a_test_of_the_configuration_takes_nothing(box, world, daemons):
    """-t beside the daemon that runs on it, as the unit's ExecStartPre and a person do."""
    store = os.path.join(box, "store")
    d = daemons([world.issuer()], store="lmdb:" + store).start()
    for _ in range(2):
        assert daemon.check(d.conf, "-t").returncode == 0
    with open(os.path.join(store, "lock")) as f:
        assert f.read() == "%d\n" % d.process.pid
    d.stop()
    d.start()


def test_a_start_during_a_slow_stop_says_so_and_comes_later(world, box, daemons):
    """The first is draining: it still writes."""
    a = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "store"), drain_timeout="60s").start()
    world.responder.delay = 60
    with a.connect(30) as c:
        c.send(wire.post(lab.request(world.ca, world.good.serial)))
        lab.wait(lambda: world.responder.count, 10, "the fetch")
        a.signal(signal.SIGTERM)
        a.wait_event("draining")
        b = daemons([world.issuer()], store=a.options["store"])
        held(b, "store", os.path.join(box, "store"), a)
    a.signal(signal.SIGTERM)
    a.stop()
    b.start()


def test_a_full_lmdb_forgets_what_expires_first_and_goes_on(box, world, daemons):
    d = daemons([world.issuer(fetch_rate=100000)], store="lmdb:" + os.path.join(box, "store"), store_size="1M",
                hot_cache="64K").start()
    with d.connect(60) as c:
        for i in range(1500):
            world.ca.statuses[10**6 + i] = {"status": "good"}
            r = c.send(wire.post(lab.request(world.ca, 10**6 + i))).reply()
            assert r.outcome == "good"
    assert d.metric("store_up") == 1
    d.stop()
    n = world.responder.count
    d.start()
    hits = sum(d.ask(world.ca, 10**6 + i).hit for i in range(1490, 1500))
    assert hits >= 5, "the newest are kept"
    assert world.responder.count - n <= 5
