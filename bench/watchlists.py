"""watchlists - the mass event for who has watchlists: a thousand lists of 15,000 are loaded, one revocation list has
some 3,048 of each, and each list's subscriber is to be told its own, all of it and nothing else."""
import http.client
import json
import os
import statistics
import subprocess
import threading
import time

import sample
import servers
from lists import POLL_S, Watcher, rss_anon
from longer import said
from push import Lister, make_crl

LISTS, SIZE = 1000, 15000
BASE = 1000                 # entries of the first list, of which nobody has one
REVOKED = 3048289           # those that the second one has besides
CONNECTIONS = 2             # that load at once
WATCH_SIZE = '"16G"'
HITS = 2000                 # a second, open loop
HITS_S = 12                 # so long, from before the refresh on
ASK_S = 0.01                # between questions to /healthz
NAMED = {False: "without names", True: "with names"}
TOLD_MOST = {False: 3, True: 6}  # s from the refresh to the last delivery to anybody


def fleet(what, s, names, *more, **how):
    argv = [servers.tool("fleet"), "-p", str(s.api_port), "-l", str(LISTS), "-n", str(SIZE), "-r", str(REVOKED), "-f",
            str(BASE)] + (["-N"] if names else []) + [*more, what]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, **how)


def expect(p, word):
    line = p.stdout.readline().strip()
    if line != word:
        raise RuntimeError("fleet: %r instead of %r" % (line, word))


class Threads:
    """CPU of a server's threads, by name, since it was made."""

    def __init__(self, s):
        self.s = s
        self.before = self.read()

    def read(self):
        """{(name, id): seconds}"""
        got = {}
        for name, tid in self.s.all_threads():
            with open("/proc/%d/task/%d/schedstat" % (self.s.process.pid, tid)) as f:
                got[name, tid] = int(f.read().split()[0]) / 1e9
        return got

    def used(self):
        return {name: v - self.before.get((name, tid), 0) for (name, tid), v in self.read().items()}

    def text(self):
        used = sorted(self.used().items(), key=lambda x: -x[1])
        return ", ".join("%s %.2f" % x for x in used if x[1] >= 0.005)


class Asker(threading.Thread):
    """How long /healthz of the API takes while something else goes on."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.ms, self.wanted = port, [], True
        self.start()

    def run(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        while self.wanted:
            start = time.monotonic()
            c.request("GET", "/healthz")
            c.getresponse().read()
            self.ms.append((time.monotonic() - start) * 1e3)
            time.sleep(ASK_S)
        c.close()

    def stop(self):
        self.wanted = False
        self.join()
        return statistics.median(self.ms), max(self.ms)


class Fleet(Lister):
    """With the first revocation list in force, default options, and no core of its own."""

    def __init__(self, bench):
        super().__init__(bench, bench.disk, core=None, watch_size=WATCH_SIZE)
        del self.options["workers"]
        self.bench, self.ca = bench, os.path.join(bench.box, "ca")
        self.lists = [make_crl(self.ca, n, i, os.path.join(bench.disk, "fleet-%d.crl" % i))
                      for i, n in ((1, BASE), (2, BASE + REVOKED))]
        self.publish(self.lists[0])

    def all_threads(self):
        pid = self.process.pid
        for tid in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/comm" % (pid, tid)) as f:
                yield f.read().strip(), int(tid)

    def durable(self):
        return self.metric("changes_total") >= REVOKED

    def forget(self):
        self.bench.stop(self)
        for path in self.lists:
            os.unlink(path)
        subprocess.run(["rm", "-rf", self.state, self.list])


def load(s, names):
    """Lists by the API: seconds, and anonymous memory beyond an empty daemon's."""
    before, threads = rss_anon(s.process.pid), Threads(s)
    p = fleet("load", s, names, "-c", str(CONNECTIONS))
    r = json.loads(p.communicate()[0])
    memory = (rss_anon(s.process.pid) - before) / (1 << 20)
    print("%s: %d lists of %d loaded in %.1f s, the client's own CPU %.1f s; s of CPU by thread: %s" % (
        NAMED[names], LISTS, SIZE, r["seconds"], r["client_cpu"], threads.text()))
    scale = LISTS * SIZE / 15e6
    said("%s: loaded as NDJSON, s" % NAMED[names], r["seconds"], 60 * scale)
    time.sleep(3)  # what it gives back is given back
    after = (rss_anon(s.process.pid) - before) / (1 << 20)
    print("%s: anonymous memory beyond an empty daemon's %.0f MiB at once, %.0f MiB 3 s later" % (
        NAMED[names], memory, after))
    said("%s: anonymous memory beyond an empty daemon's, MiB" % NAMED[names], after, 600 * scale)


def until(what, start):
    while not what():
        if time.monotonic() - start > 120:
            raise RuntimeError("the second list was not told in 120 s")
        time.sleep(POLL_S)
    return time.monotonic() - start


def event(s, names):
    """From the refresh on, with subscribers and hits."""
    listeners = fleet("listen", s, names, stdin=subprocess.PIPE)
    expect(listeners, "ready")
    s.publish(s.lists[1])
    load_argv = sample.load_argv(s, s.bench.pairs, "-r", str(HITS), "-t", str(HITS_S))
    hits = subprocess.Popen(load_argv, stdout=subprocess.PIPE, text=True)
    time.sleep(1)
    watcher, asker, threads = Watcher(s.process.pid), Asker(s.api_port), Threads(s)
    before = rss_anon(s.process.pid)
    listeners.stdin.write("\n")
    listeners.stdin.flush()
    expect(listeners, "go")
    start = time.monotonic()
    s.refresh()
    searchable = until(lambda: s.number() == "2", start)
    durable = until(s.durable, start)
    r = json.loads(listeners.stdout.readline() or "{}")
    used, peak, slow = threads.text(), watcher.stop(), asker.stop()
    if not r:
        raise RuntimeError("a subscriber was not told what it should have been")
    first, median, last = (r[x + "_ns"] / 1e9 - start for x in ("first_byte", "median", "last"))
    print("%s: %d changes for %d streams, %.0f MB: s from the refresh: searchable %.2f, durable %.2f, first byte %.2f, "
          "a stream has all: median %.2f, last %.2f" % (
              NAMED[names], REVOKED, LISTS, r["bytes"] / 1e6, searchable, durable, first, median, last))
    print("%s: s of CPU by thread: %s; the subscribers' own %.2f" % (NAMED[names], used, r["client_cpu"]))
    print("%s: anonymous memory %.0f MiB before, %.0f MiB at its peak; /healthz of the API meanwhile: median %.1f ms, "
          "slowest %.1f ms" % (NAMED[names], before / (1 << 20), peak / (1 << 20), *slow))
    h = json.loads(hits.communicate()[0])
    print("%s: hits meanwhile, %d/s: median %.0f us, 99%% %.0f us, slowest %.1f ms, wrong %d" % (
        NAMED[names], HITS, h["p50_us"], h["p99_us"], h["max_us"] / 1e3, h["wrong"] + h["broken"]))
    said("%s: each stream had its own, all of it and nothing else, s after the refresh" % NAMED[names], last,
         TOLD_MOST[names])
    listeners.stdin.close()
    listeners.wait(10)


def watchlists(bench, rounds, seconds):
    for names in (False, True):
        s = Fleet(bench)
        bench.start(s)
        s.wait_number(1)
        servers.wait(lambda: s.metric("changes_waiting") == 0, 10, "the first list to be told")
        sample.load(s, bench.pairs, "-o")
        load(s, names)
        event(s, names)
        s.forget()
