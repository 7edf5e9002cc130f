"""misses - what a miss costs: CPU of each thread, beside OpenSSL verifying such a signature in the same run.

Cold keys, each asked for once, through prepared answers: from upstream with `store = "memory:"`, and from a Redis
without MAC, whose answers are verified in full.  A binary given by --base takes turns with ours, so that what happens
to the machine happens to both; figures are medians of the rounds.  Then a refresh of STORM answers at once, and hits
beside it.
"""
import os
import re
import statistics
import subprocess
import types
import urllib.request

import sample
import servers
from longer import said

STORM = 100000
STORM_S = 120  # of refresh-max: all have come, and hits were measured in quiet, when the first is due
# name, arguments of make_answers, keys (an RSA signature takes a millisecond to make), algorithm of openssl speed
KINDS = [
    ("P-256, delegated", [], 20000, "ecdsap256"),
    ("P-256, direct", ["-i"], 20000, "ecdsap256"),
    ("RSA-2048, delegated", ["-r"], 10000, "rsa2048"),
    ("RSA-2048, direct", ["-r", "-i"], 10000, "rsa2048"),
]
MOST_US, MOST_RATIO = 190, 0.48  # of the keeper, P-256 delegated from upstream; against the base


def verify_us(algorithm):
    """One verification by OpenSSL, on the server's core."""
    out = subprocess.run(["taskset", "-c", str(servers.SERVER_CORE), "openssl", "speed", "-mr", "-seconds", "1",
                          algorithm], check=True, capture_output=True, text=True).stdout
    # "+F4:n:bits:signed/s:verified/s" of ECDSA, "+F2:..." of RSA
    return 1e6 / float(re.search(r"^\+F[24]:(.*)$", out, re.M).group(1).split(":")[-1])


def threads(server):
    """{name: (ns in all, ticks of user, ticks of kernel)}"""
    found = {}
    for name, tid in server.threads().items():
        at = "/proc/%d/task/%d/" % (server.process.pid, tid)
        with open(at + "schedstat") as f:
            ns = int(f.read().split()[0])
        with open(at + "stat") as f:
            ticks = f.read().rpartition(")")[2].split()
        found[name] = (ns, int(ticks[11]), int(ticks[12]))
    return found


def used(before, after, n):
    """{name: (us in all, user, kernel)} for each of n; user and kernel are shares of what is exact."""
    out = {}
    for name, now in after.items():
        ns, user, kernel = (a - b for a, b in zip(now, before.get(name, (0, 0, 0))))
        us, share = ns / 1e3 / n, user / (user + kernel) if user + kernel else 0
        out[name] = (us, us * share, us * (1 - share))
    return out


def measured(server, pairs, n):
    before = threads(server)
    rate = sample.load(server, pairs, "-o", "-c", "64").rate
    return used(before, threads(server), n), rate


def make(bench, name, n, arguments):
    """Answers in a folder of their own, and who hands them out."""
    box = os.path.join(bench.box, name)
    os.mkdir(box)
    subprocess.run([servers.tool("make_answers"), "-n", str(n), "-d", box, *arguments], check=True)
    pairs = os.path.join(box, "pairs")
    return types.SimpleNamespace(box=box, pairs=pairs, pem=os.path.join(box, "ca.pem"), n=n,
                                 ca=bench.start(servers.CA(box, pairs)))


def node(bench, made, binary, **more):
    s = servers.Ocspcached(made.box, made.pem, made.ca.port, binary=binary, **{"hot_cache": '"1G"', **more})
    s.issuer["fetch-rate"] = "1000000"
    return s


def from_upstream(bench, made, binary):
    s = bench.start(node(bench, made, binary, store='"memory:"'))
    got = measured(s, made.pairs, made.n)
    bench.stop(s)
    return got


def from_redis(bench, made, binary, redis):
    s = bench.start(node(bench, made, binary, store='"redis+unix://%s"' % redis.path))
    got = measured(s, made.pairs, made.n)
    bench.stop(s)
    return got


def binaries(bench):
    return [("ours", None)] + ([("base", bench.base)] if bench.base else [])


def medians(rounds):
    """Of [({thread: (us, user, kernel)}, rate)]: the same, rounds taken together."""
    names = {name for cpu, _ in rounds for name in cpu}
    cpu = {n: tuple(statistics.median(c.get(n, (0, 0, 0))[i] for c, _ in rounds) for i in range(3)) for n in names}
    return cpu, statistics.median(rate for _, rate in rounds)


def show(what, who, cpu, rate, verify):
    keeper = cpu["keeper"]
    others = ", ".join("%s %.1f" % (n, us[0]) for n, us in sorted(cpu.items()) if n != "keeper" and us[0] >= 0.5)
    print("misses, %s, %s: keeper %.0f us of CPU (user %.0f, kernel %.0f), %s; %.0f/s; %.2f of the verifying rate "
          "(%.0f us)" % (what, who, *keeper, others or "nobody else", rate, verify / keeper[0], verify))


def compare(bench, what, take, rounds, verify):
    """take(binary), in turns; the median of ours, and of the ratios to the base (None without one)."""
    got = {who: [] for who, _ in binaries(bench)}
    for _ in range(rounds):
        for who, binary in binaries(bench):
            got[who].append(take(binary))
    for who, every in got.items():
        show(what, who, *medians(every), verify)
    if not bench.base:
        return medians(got["ours"])[0]["keeper"][0], None
    ratio = statistics.median(a[0]["keeper"][0] / b[0]["keeper"][0] for a, b in zip(got["ours"], got["base"]))
    print("misses, %s: %.2f of the base's keeper" % (what, ratio))
    return medians(got["ours"])[0]["keeper"][0], ratio


def kind(bench, rounds, name, arguments, n, algorithm):
    made = make(bench, name.replace(", ", "-"), n, arguments)
    us, ratio = compare(bench, name + ", from upstream", lambda b: from_upstream(bench, made, b), rounds,
                        verify_us(algorithm))
    if name == KINDS[0][0]:
        said("misses, %s: the keeper's CPU" % name, us, MOST_US, " us")
    if ratio is not None and "delegated" in name:
        said("misses, %s: the keeper's CPU against the base" % name, ratio, MOST_RATIO)
    redis = bench.start(servers.Redis(made.box))
    from_redis(bench, made, None, redis)  # fills it
    compare(bench, name + ", from Redis without MAC", lambda b: from_redis(bench, made, b, redis), rounds,
            verify_us(algorithm))
    bench.stop(redis)
    bench.stop(made.ca)


def refreshes(s):
    with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % s.api_port, timeout=30) as f:
        return int(re.search(rb"^ocspcached_refreshes_total (\d+)", f.read(), re.M).group(1))


def hits(s, made, rate, seconds):
    return sample.load(s, made.pairs, "-r", str(int(rate)), "-t", str(seconds))


def storm_of(bench, made, binary, seconds):
    """(CPU of a refresh, hits in quiet, hits beside the storm)."""
    s = bench.start(node(bench, made, binary, store='"memory:"', refresh_max='"%ds"' % STORM_S, refresh_jitter="0"))
    sample.load(s, made.pairs, "-o", "-c", "256")
    rate = sample.load(s, made.pairs, "-t", "1").rate / 4
    quiet = hits(s, made, rate, seconds)
    begun = refreshes(s)
    if begun:
        print("refresh: it began before hits were measured in quiet; this machine needs a longer STORM_S")
    servers.wait(lambda: refreshes(s) > begun + 1000, 3 * STORM_S, "the storm")
    before, first = threads(s), refreshes(s)
    loud = hits(s, made, rate, seconds)
    servers.wait(lambda: refreshes(s) >= begun + STORM // 2, 10 * STORM_S, "the storm")
    cpu = used(before, threads(s), refreshes(s) - first)
    bench.stop(s)
    return cpu, quiet, loud


def storm(bench, seconds):
    made = make(bench, "storm", STORM, [])
    for who, binary in binaries(bench):
        cpu, quiet, loud = storm_of(bench, made, binary, max(3, seconds))
        print("refresh of %d answers, %s: keeper %.0f us of CPU each (user %.0f, kernel %.0f); hits beside it at %.0f/s, "
              "p50/p99 us quiet %.0f/%.0f, then %.0f/%.0f" % (STORM, who, *cpu["keeper"], loud.rate, quiet.p50_us,
                                                              quiet.p99_us, loud.p50_us, loud.p99_us))
    bench.stop(made.ca)


def misses(bench, rounds, seconds):
    for name, arguments, n, algorithm in KINDS:
        kind(bench, min(rounds, 5), name, arguments, n, algorithm)
    storm(bench, seconds)
