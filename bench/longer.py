"""longer - what `make bench` measures besides the table: one function for each part, which prints its lines."""
import json
import os
import resource
import socket
import statistics
import subprocess
import time

import sample
import servers

COLD_KEYS = 100000
IDLE = 10000


def said(what, got, most, unit=""):
    print("%s: %.2f%s (at most %g): %s" % (what, got, unit, most, "good" if got <= most else "TOO MUCH"))


def pin(tid, core):
    os.sched_setaffinity(tid, {core})


def both_cores(server, pairs, seconds):
    """CPU for a request while a generator on each core keeps the server busy."""
    argv = sample.load_argv(server, pairs, "-c", "32", "-t", str(seconds))
    other = subprocess.Popen(["taskset", "-c", "0"] + argv, stdout=subprocess.PIPE, text=True)
    mine = sample.load(server, pairs, "-c", "32", "-t", str(seconds))
    there = json.loads(other.communicate()[0])
    # Both saw the same server for the same time, each its own half of the requests.
    cpu = (mine.server_cpu + there["server_cpu"]) / 2
    return cpu / (mine.rate + there["rate"]) * 1e6


def workers(bench, rounds, seconds):
    """Two workers, one on each core, against one.  The generators are on both cores in either case, so that what
    the server shares its caches with is the same."""
    one, two = (bench.ocspcached(workers=n, core=None) for n in (1, 2))
    pin(one.threads()["worker0"], 0)
    for i in (0, 1):
        pin(two.threads()["worker%d" % i], i)
    got = []
    for _ in range(rounds):
        a, b = (both_cores(s, bench.pairs, seconds) for s in (one, two))
        got.append(b / a)
    said("CPU for a request, two workers against one", statistics.median(got), 1.11)
    for s in (one, two):
        bench.stop(s)


def with_redis(bench, redis, **more):
    key = os.path.join(bench.box, "store.key")
    with open(key, "w") as f:
        f.write(os.urandom(32).hex() + "\n")
    os.chmod(key, 0o600)
    return bench.ocspcached(store='"redis+unix://%s"' % redis.path, store_key_file='"%s"' % key, **more)


def redis(bench, rounds, seconds):
    store = bench.start(servers.Redis(bench.box))
    memory = bench.ocspcached()
    tier = with_redis(bench, store, hot_cache="0")
    got = []
    for _ in range(rounds):
        m, r = (sample.take(s, bench.pairs, "-t", str(seconds)) for s in (memory, tier))
        if m.tag == r.tag:
            got.append((r.server_us / m.server_us, r.server_us, r.rate))
    ratio, us, rate = (statistics.median(v) for v in zip(*got))
    print("Redis tier: %.0f requests/s, %.2f us of CPU each" % (rate, us))
    said("Redis tier, CPU for a request against memory", ratio, 2)
    for s in (tier, memory, store):
        bench.stop(s)


def cold(bench, rounds, seconds):
    """How long until COLD_KEYS have been answered by a node that has nothing but Redis."""
    box = os.path.join(bench.box, "cold")
    os.mkdir(box)
    subprocess.run([servers.tool("make_answers"), "-n", str(COLD_KEYS), "-d", box], check=True)
    pairs, pem = os.path.join(box, "pairs"), os.path.join(box, "ca.pem")
    ca, store = bench.start(servers.CA(box, pairs)), bench.start(servers.Redis(box))
    key = os.path.join(box, "store.key")
    with open(key, "w") as f:
        f.write(os.urandom(32).hex() + "\n")
    os.chmod(key, 0o600)
    fill = [lambda s: sample.load(s, pairs, "-o", "-c", "256")]
    for filled in (False, True):
        s = servers.Ocspcached(box, pem, ca.port, store='"redis+unix://%s"' % store.path,
                               store_key_file='"%s"' % key, hot_cache='"1G"')
        bench.started.append(s)
        if not filled:
            s.filled(*fill)
        else:
            r = sample.load(s.start(), pairs, "-o")
            print("cold start: %d keys out of Redis in %.2f s, %.1f us of CPU each" % (
                COLD_KEYS, r.seconds, r.server_us))
        bench.stop(s)
    bench.stop(store)
    bench.stop(ca)


def idle(bench, rounds, seconds):
    """Memory of connections that have had an answer and wait."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    s = bench.ocspcached()
    sample.load(s, bench.pairs, "-c", "64", "-t", "0.5")
    with open(sample.response(s.port, bench.pairs, bench.box, False), "rb") as f:
        answer_n = len(f.read())
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    before = s.private_bytes()
    held = []
    for _ in range(min(IDLE, hard - 200)):
        c = socket.create_connection(("127.0.0.1", s.port), 5)
        c.sendall(request)
        held.append(c)
    for c in held:
        c.recv(answer_n)
    time.sleep(0.5)
    said("%d idle connections, memory of each" % len(held), (s.private_bytes() - before) / 1024 / len(held), 1, " KiB")
    for c in held:
        c.close()
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    bench.stop(s)


def steady(bench, s, rate, seconds, *flood):
    """Hits at this rate, beside a flood if there is one: (figures of the hits, of the flood)."""
    other = None
    if flood:
        argv = sample.load_argv(s, bench.pairs, "-x", "-t", str(seconds + 2), *flood)
        # Hits are sent from the same core: what the flood's sender takes must not look like the server's delay.
        other = subprocess.Popen(["nice", "-n", "19", "taskset", "-c", str(servers.LOAD_CORE)] + argv,
                                 stdout=subprocess.PIPE, text=True)
        time.sleep(1)
    hits = sample.load(s, bench.pairs, "-r", str(int(rate)), "-t", str(seconds))
    return hits, json.loads(other.communicate()[0]) if other else None


def flood(bench, rounds, seconds):
    """Serials that nobody has, as fast as they are taken, beside hits at a quarter of the highest rate.  Clients that
    wait for their answer are slowed down by it; clients that leave are not."""
    s = bench.ocspcached()
    seconds = max(3, seconds)
    rate = sample.load(s, bench.pairs, "-t", "1").rate / 4
    quiet = steady(bench, s, rate, seconds)[0]
    memory = []
    for kind, arguments in 2 * [("that wait", ["-c", "1000"]), ("that leave", ["-c", "64", "-k"])]:
        loud, other = steady(bench, s, rate, seconds, *arguments)
        memory.append(s.private_bytes())
        print("flood of clients %s: %.0f strange serials/s beside %.0f hits/s; p50 %.0f us, quiet %.0f; p99 %.0f, "
              "quiet %.0f" % (kind, other["rate"], loud.rate, loud.p50_us, quiet.p50_us, loud.p99_us, quiet.p99_us))
        said("flood of clients %s, p50 of hits against quiet" % kind, loud.p50_us / quiet.p50_us, 3)
        said("flood of clients %s, p99 of hits against quiet" % kind, loud.p99_us / quiet.p99_us, 3)
    # The first of each kind fills what may be filled: waiting fetches, error answers.
    said("second floods, growth of memory", (memory[3] - memory[1]) / 1048576, 4, " MiB")
    bench.stop(s)
