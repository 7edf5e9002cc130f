"""lists - revocation lists of the size of the worst day: read, compared, told, and what hits notice of it."""
import collections
import hashlib
import json
import os
import re
import statistics
import subprocess
import threading
import time

import sample
import servers
from longer import said
from push import Lister, Subscribers, make_crl

BEFORE, AFTER = 1348289, 3048289  # entries; the second list has all of the first
POLL_S = 0.005
ENTRY_BYTES = 64        # of anonymous memory, for each entry of the lists held
REST, REST_AFTER = 48 << 20, 64 << 20
# Of the bulk thread's time, in the kernel: 60 ms are for reading, copying and the index's pages.  Where a virtual
# machine's host has taken free memory back (free page reporting), the first touch of those pages costs up to 0.4 s
# more, sample by sample.  That is far, as caches are (sample.py): judged are the samples without it, if there are two.
FAR_S = 0.12
TIMES = collections.namedtuple("Times", "start wall read diff system")


def median_ms(values):
    return statistics.median(values) * 1e3


def rss_anon(pid):
    with open("/proc/%d/status" % pid) as f:
        return 1024 * int(next(line for line in f if line.startswith("RssAnon")).split()[1])


class Watcher(threading.Thread):
    """The highest anonymous memory of a process while it runs."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.wanted = pid, 0, True
        self.start()

    def run(self):
        while self.wanted:
            self.peak = max(self.peak, rss_anon(self.pid))
            time.sleep(0.002)

    def stop(self):
        self.wanted = False
        self.join()
        return self.peak


class Case:
    """A CA with a kind of key, and its two lists."""

    def __init__(self, bench, name, kind):
        self.bench, self.name = bench, name
        self.ca = os.path.join(bench.box, name)
        if kind:
            subprocess.run([servers.tool("make_crl"), "--new-ca", kind, "--key", self.ca + ".key", "--cert",
                            self.ca + ".pem"], check=True)
        self.before, self.after = (make_crl(self.ca, n, i, os.path.join(bench.disk, "%s-%d.crl" % (name, i)))
                                   for i, n in ((1, BEFORE), (2, AFTER)))

    def start(self, first=None, core=None, **more):
        """ocspcached with this list in force; with none, it has looked for it in vain, and looks again when told to."""
        s = Lister(self.bench, self.bench.disk, self.ca + ".pem", core, backoff_initial='"10m"', backoff_max='"10m"',
                   crl_backoff_max='"10m"', **more)
        if first:
            s.publish(first)
        self.bench.start(s)
        if first:
            s.wait_number(1)
            servers.wait(lambda: s.metric("changes_waiting") == 0, 10, "the first list to be told")
            time.sleep(0.3)  # its place is written
        return s

    def forget(self):
        for path in (self.before, self.after):
            os.unlink(path)

    def end(self, s):
        self.bench.stop(s)
        subprocess.run(["rm", "-rf", s.state, s.list])


def logged(s, n):
    """What the log says of how long list n took: to read, verify and merge; to compare."""
    form = re.compile(r"event=crl_in_force .* crl_number=%d .* read_ms=(\d+) diff_ms=(\d+)" % n)
    servers.wait(lambda: form.search(open(s.log_path).read()), 5, "the log")
    return (int(x) / 1e3 for x in form.search(open(s.log_path).read()).groups())


def system_s(s):
    """What the kernel has taken of the bulk thread's time."""
    with open("/proc/%d/task/%d/stat" % (s.process.pid, s.threads()["bulk"])) as f:
        return int(f.read().rsplit(") ", 1)[1].split()[12]) / os.sysconf("SC_CLK_TCK")


def until_in_force(s):
    """From POST /v1/refresh until GET /v1/issuers tells of list 2."""
    system = system_s(s)
    start = time.monotonic()
    s.refresh()
    while s.number() != "2":
        if time.monotonic() - start > 30:
            raise RuntimeError("list 2 did not come into force:\n" + open(s.log_path).read()[-2000:])
        time.sleep(POLL_S)
    wall = time.monotonic() - start
    return TIMES(start, wall, *logged(s, 2), system_s(s) - system)


def alone(case):
    s = case.start()
    s.publish(case.after)
    times = until_in_force(s)
    case.end(s)
    return times


def digest_s(path):
    """The least: SHA-256 over the same bytes once (the file's own and the signature's are two)."""
    with open(path, "rb") as f:
        data = f.read()
    start = time.monotonic()
    hashlib.sha256(data).digest()
    return time.monotonic() - start


def compared(case):
    """(times, s until the log has all, s until a subscriber has all)"""
    s = case.start(case.before)
    watcher = Subscribers(s.api_port, 1, "-r", "id: ", "-c", str(AFTER - BEFORE))
    watcher.begin()
    s.publish(case.after)
    times = until_in_force(s)
    start = times.start
    while s.metric("changes_total") < AFTER - BEFORE:
        time.sleep(POLL_S)
    logged = time.monotonic() - start
    told = watcher.end()["last_ns"] / 1e9 - start
    watcher.stop()
    case.end(s)
    return times, logged, told


def memory(case):
    """Anonymous memory with the first list, at its peak, and 3 s after all was told."""
    s = case.start(case.before)
    first = rss_anon(s.process.pid)
    watcher = Watcher(s.process.pid)
    s.publish(case.after)
    until_in_force(s)
    while s.metric("changes_total") < AFTER - BEFORE:
        time.sleep(POLL_S)
    time.sleep(3)
    after = rss_anon(s.process.pid)
    peak = watcher.stop()
    case.end(s)
    return first, peak, after


def openssl(case):
    """OpenSSL's own way: until the list is verified, and what it takes."""
    if not servers.program("openssl"):
        return
    start = time.monotonic()
    p = subprocess.Popen(["openssl", "crl", "-in", case.after, "-inform", "DER", "-CAfile", case.ca + ".pem", "-noout"],
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    print("openssl crl -CAfile: %.2f s and %.0f MiB until it is verified%s" % (
        time.monotonic() - start, usage.ru_maxrss / 1024, "" if status == 0 else " (failed)"))


def near(times):
    few = [x for x in times if x.system <= FAR_S]
    return few if len(few) >= 2 else times


def figures(case, rounds):
    digest, one, two = [], [], []
    for _ in range(rounds):
        digest.append(digest_s(case.after))
        one.append(alone(case))
        two.append(compared(case))
    first, second = one, [x[0] for x in two]
    floor, read = median_ms(digest), median_ms(x.read for x in near(first + second))
    print("%s: %d entries; SHA-256 of the bytes alone %.0f ms" % (case.name, AFTER, floor))
    print("%s: ms read and verified (of these, of CPU in the kernel): %s; compared: %s" % (
        case.name, " ".join("%.0f (%.0f)" % (x.read * 1e3, x.system * 1e3) for x in first + second),
        " ".join("%.0f" % (x.diff * 1e3) for x in second)))
    said("%s: verified and searchable" % case.name, read, 350, " ms, %.1f times the digest" % (read / floor))
    said("%s: comparing with %d entries, besides" % (case.name, BEFORE), median_ms(x.diff for x in second), 100, " ms")
    said("%s: refresh to its number in /v1/issuers" % case.name, median_ms(x.wall for x in near(first)), 600, " ms")
    said("%s: the same as the second list" % case.name, median_ms(x.wall for x in near(second)), 600, " ms")
    print("%s: %d changes in the log, durable, %.2f s after the refresh; told to a subscriber %.2f s after it" % (
        case.name, AFTER - BEFORE, statistics.median(x[1] for x in two), statistics.median(x[2] for x in two)))


def judge_memory(case):
    first, peak, after = memory(case)
    said("%s: anonymous memory besides %d bytes an entry, at its peak" % (case.name, ENTRY_BYTES),
         (peak - ENTRY_BYTES * (BEFORE + AFTER)) / (1 << 20), REST >> 20, " MiB")
    said("%s: the same 3 s after the changes were told" % case.name, (after - ENTRY_BYTES * AFTER) / (1 << 20),
         REST_AFTER >> 20, " MiB")
    print("%s: anonymous memory %.0f MiB with the first list, %.0f at its peak, %.0f MiB in the end" % (
        case.name, first / (1 << 20), peak / (1 << 20), after / (1 << 20)))


def steady(s, pairs, rate, seconds):
    return subprocess.Popen(["taskset", "-c", str(servers.LOAD_CORE)] + sample.load_argv(
        s, pairs, "-r", str(int(rate)), "-t", str(seconds)), stdout=subprocess.PIPE, text=True)


def hits(case, seconds):
    """(quiet, loud): hits at a quarter of the highest rate, without and with the second list coming; the server has one
    core for all its threads."""
    s = case.start(case.before, servers.SERVER_CORE)
    pairs = case.bench.pairs
    sample.load(s, pairs, "-o")
    rate = sample.load(s, pairs, "-t", "1").rate / 4
    quiet = json.loads(steady(s, pairs, rate, seconds).communicate()[0])
    s.publish(case.after)
    p = steady(s, pairs, rate, seconds)
    time.sleep(1)
    s.refresh()
    loud = json.loads(p.communicate()[0])
    s.wait_number(2)
    case.end(s)
    return quiet, loud


def judge_hits(case, rounds, seconds):
    got = [hits(case, seconds) for _ in range(rounds)]
    quiet, loud = (["%.0f/%.0f/%.0f" % (x["p50_us"], x["p99_us"], x["max_us"]) for x in v] for v in zip(*got))
    print("%s: hits at %.0f/s, p50/p99/max us quiet %s; while a list of %d comes into force %s" % (
        case.name, statistics.median(x[0]["rate"] for x in got), " ".join(quiet), AFTER, " ".join(loud)))
    said("%s: p50 of hits meanwhile against quiet" % case.name,
         statistics.median(x["p50_us"] / q["p50_us"] for q, x in got), 2)
    said("%s: slowest hit meanwhile" % case.name, statistics.median(x["max_us"] for _, x in got) / 1e3, 50, " ms")
    wrong = sum(x["wrong"] + x["broken"] for v in got for x in v)
    if wrong:
        print("%s: %d hits WRONG" % (case.name, wrong))


def lists(bench, rounds, seconds):
    for case in (Case(bench, "ca", None), Case(bench, "rsa", "2048")):
        figures(case, min(rounds, 5))
        if case.name == "ca":
            openssl(case)
        case.forget()


def burden(bench, rounds, seconds):
    """What a list is to memory and to hits."""
    case = Case(bench, "ca", None)  # by whom the answers are too
    judge_memory(case)
    judge_hits(case, min(rounds, 3), max(4, seconds))
    case.forget()
