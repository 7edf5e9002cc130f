"""What a hit, a miss, a list, a connection and a subscriber cost, counted and not timed: noise hides no regression.

One read, one write and no allocation for a hit at 64 connections, and its instructions; bytes of memory for an entry of
a list, for an idle connection and for a subscriber, near what README says; a change is one write for each subscriber.
bench/ has the times.
"""
import collections
import ctypes
import glob
import os
import random
import re
import resource
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import threading
import time
import zlib

import pytest

import daemon
import lab
import lists
import stream
import wire

CONNECTIONS, ROUNDS = 64, 40
N = CONNECTIONS * ROUNDS
SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "counting.c")
Row = collections.namedtuple("Row", "name reads writes waits allocations")
FORM = struct.Struct("16s4Q")


@pytest.fixture(autouse=True, scope="module")
def small_pages():
    """For what this process starts: else the kernel may give 2 MiB at once."""
    prctl, PR_SET_THP_DISABLE = ctypes.CDLL(None).prctl, 41
    prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    yield
    prctl(PR_SET_THP_DISABLE, 0, 0, 0, 0)


class Counts:
    """The library that counts, and what it has counted."""

    def __init__(self, box):
        if os.environ.get("SAN"):
            pytest.skip("a sanitizer has its own malloc, which cannot be counted")
        cc = shutil.which("cc") or shutil.which("gcc")
        if not cc:
            pytest.skip("no compiler for the library that counts")
        library, self.path = os.path.join(box, "counting.so"), os.path.join(box, "counts")
        subprocess.run([cc, "-std=gnu11", "-O1", "-shared", "-fPIC", SOURCE, "-o", library], check=True)
        self.env = {"LD_PRELOAD": library, "COUNT_FILE": self.path}

    def of(self, thread):
        with open(self.path, "rb") as f:
            rows = [Row(*r) for r in FORM.iter_unpack(f.read())]
        return next(r for r in rows if r.name.startswith(thread))


def exchange(connections, request):
    """One request on every connection; every answer has to be a hit."""
    for c in connections:
        c.send(request)
    for c in connections:
        assert c.reply().hit


def open_warm(d, request):
    """Connections that have all had a hit: what belongs to a connection has been made."""
    connections = [d.connect() for _ in range(CONNECTIONS)]
    connections[0].send(request).reply()
    exchange(connections, request)
    return connections


REQUESTS = {"get": wire.get, "post": wire.post}


@pytest.mark.parametrize("listed", [False, True], ids=["ocsp", "ocsp_and_list"])
@pytest.mark.parametrize("method", REQUESTS)
def test_a_hit_is_one_read_and_one_write_and_allocates_nothing(box, world, daemons, method, listed):
    counts = Counts(box)
    more = {"crl": lists.put(os.path.join(box, "a.crl"), lists.crl(world.ca, [world.revoked.serial]))} if listed else {}
    d = daemons([world.issuer(**more)], workers=1, env=counts.env).start()
    request = REQUESTS[method](lab.request(world.ca, world.good.serial))
    connections = open_warm(d, request)
    before = counts.of(b"worker")
    for _ in range(ROUNDS):
        exchange(connections, request)
    after = counts.of(b"worker")
    reads, writes, waits, allocations = (b - a for a, b in zip(before[1:], after[1:]))
    print("%d hits: %d reads, %d writes, %d waits, %d allocations" % (N, reads, writes, waits, allocations))
    # libevent's list of ready events grows to 64 and to 128 when so many are ready at once: in the first rounds,
    # or never.
    assert allocations <= 2
    assert N <= reads <= 1.01 * N  # the inbox may be read once or twice meanwhile
    assert writes == N
    assert waits <= N
    for c in connections:
        c.close()


def strace(pid, out):
    """Counting all calls of a process; None where that is not possible."""
    if not lab.tool("strace"):
        pytest.skip("strace is not installed")
    p = subprocess.Popen([lab.tool("strace"), "-f", "-c", "-U", "calls,name", "-o", out, "-p", str(pid)],
                         stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    line = p.stderr.readline()
    if "attached" not in line:
        p.wait()
        pytest.skip("strace may not attach: " + line.strip())
    lab.wait(lambda: all(traced(t) for t in glob.glob("/proc/%d/task/*/status" % pid)), 10, "strace on every thread")
    return p


def traced(status):
    with open(status) as f:
        return "TracerPid:\t0\n" not in f.read()


def test_a_hit_makes_no_other_call(box, world, daemons):
    """Also those that no library sees: a lock that is waited for, a clock that is no vDSO's."""
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer makes calls of its own")
    d = daemons([world.issuer()], workers=1).start()
    request = wire.get(lab.request(world.ca, world.good.serial))
    connections = open_warm(d, request)
    out = os.path.join(box, "calls")
    p = strace(d.process.pid, out)
    for _ in range(ROUNDS):
        exchange(connections, request)
    p.send_signal(signal.SIGINT)
    p.wait(10 * lab.PATIENCE)
    calls = {name: int(n) for n, name in re.findall(r"^\s*(\d+)\s+(\w+)$", open(out).read(), re.M)}
    calls.pop("total", None)
    print(calls)
    waits = sum(calls.pop(name, 0) for name in ("epoll_wait", "epoll_pwait", "epoll_pwait2"))
    assert waits <= 1.1 * N
    assert sum(calls.values()) <= 2.05 * N, calls
    for c in connections:
        c.close()


# Instructions

INSTRUCTIONS = os.path.join(daemon.TOP, "tests", "cost", "instructions.tsv")
SET = ("processor", "compiler", "flags", "libc6", "libevent-core-2.1-7", "libssl3", "libxxhash0", "valgrind")
FIGURES = {"hit-get": 0.01, "hit-post": 0.01, "miss": 0.05}  # and how far from what is recorded one may be


def counted(box):
    """(what the processor can, figure of each): a hit's mean, a miss's median."""
    program = os.path.join(daemon.B, "cost", "instructions")
    out = os.path.join(box, "callgrind")
    r = subprocess.run(["valgrind", "-q", "--tool=callgrind", "--collect-atstart=no", "--callgrind-out-file=" + out,
                        program], capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr
    found = collections.defaultdict(list)
    for name in os.listdir(box):
        if name.startswith("callgrind."):
            with open(os.path.join(box, name)) as f:
                text = f.read()
            found[re.search(r"^desc: Trigger: Client Request: (.*)$", text, re.M).group(1)].append(
                int(re.search(r"^totals: (\d+)$", text, re.M).group(1)))
    with open(os.path.join(daemon.TOP, "tests", "cost", "instructions.c")) as f:
        hits = int(re.search(r"^#define HITS +(\d+)", f.read(), re.M).group(1))
    assert len(found["miss"]) == 9 and len(found["hit-get"]) == len(found["hit-post"]) == 1
    return r.stdout.strip(), {"hit-get": found["hit-get"][0] / hits, "hit-post": found["hit-post"][0] / hits,
                              "miss": statistics.median(found["miss"])}


def this_set(processor):
    """What the figures depend on: the code that libraries choose, theirs, and the compiler's of ours."""
    ours = os.path.join(daemon.B, "tests", "cost", "instructions.o")
    comment = subprocess.run(["readelf", "-p", ".comment", ours], capture_output=True, text=True).stdout
    with open(os.path.join(daemon.B, ".flags")) as f:
        flags = " ".join(w for w in f.read().split() if re.match("-[DOUfms]", w))
    versions = dict(line.split() for line in subprocess.run(
        ["dpkg-query", "-W", "-f=${Package} ${Version}\\n", *SET[3:]], capture_output=True, text=True
    ).stdout.splitlines())
    return [processor, re.search(r"GCC: \(.*\) \S+|clang.*|$", comment).group(0) or "-",
            "%08x" % zlib.crc32(flags.encode()), *(versions.get(n, "-") for n in SET[3:])]


def recorded():
    """set -> figures, and the comment before them."""
    with open(INSTRUCTIONS) as f:
        lines = f.read().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {tuple(r[:len(SET)]): dict(zip(FIGURES, map(float, r[len(SET):]))) for r in rows[1:]}, [
        line for line in lines if line.startswith("#")]


def record(own, figures):
    rows, comment = recorded()
    rows[tuple(own)] = figures
    with open(INSTRUCTIONS, "w") as f:
        f.write("\n".join(comment + ["\t".join([*SET, *FIGURES])] + [
            "\t".join([*k, *("%.0f" % v[n] for n in FIGURES)]) for k, v in sorted(rows.items())]) + "\n")


def test_a_hit_and_a_miss_cost_the_instructions_that_are_recorded(box, capsys):
    """By callgrind, which no load of the machine moves.  Less is a figure to be recorded, too: else it may come back.
    Where nothing is recorded for this processor and these libraries, the figures are printed."""
    unsanitized()
    if not lab.tool("valgrind"):
        pytest.skip("valgrind is not installed")
    processor, figures = counted(box)
    own = this_set(processor)
    if os.environ.get("OCSPCACHED_RECORD"):
        record(own, figures)
    expected = recorded()[0].get(tuple(own))
    if expected is None:
        with capsys.disabled():
            print("\nnote: instructions of %s; none are recorded for %s" % (
                ", ".join("%s %.0f" % f for f in figures.items()), " ".join(own)))
        return
    for name, limit in FIGURES.items():
        change = figures[name] / expected[name] - 1
        assert abs(change) <= limit, (
            "%s: %.0f instructions, %+.1f %% of the %.0f that are recorded.  If that is meant: "
            "OCSPCACHED_RECORD=1 python3 -m pytest tests/e2e/test_cost.py -k instructions" % (
                name, figures[name], 100 * change, expected[name]))


# lists and subscribers

def unsanitized():
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer's memory is its own")


def anonymous(d):
    """Bytes of anonymous memory."""
    with open("/proc/%d/status" % d.process.pid) as f:
        return 1024 * int(re.search(r"^RssAnon:\s+(\d+) kB", f.read(), re.M).group(1))


class Peak(threading.Thread):
    """The highest anonymous memory until stop()."""

    def __init__(self, d):
        super().__init__(daemon=True)
        self.d, self.most, self.wanted = d, 0, True
        self.start()

    def run(self):
        while self.wanted:
            self.most = max(self.most, anonymous(self.d))
            time.sleep(0.002)

    def stop(self):
        self.wanted = False
        self.join()
        return self.most


class Lists:
    """A CA with one list in a file."""

    def __init__(self, box, daemons, **more):
        self.box, self.daemons, self.more = box, daemons, more
        self.ca = lab.CA("demo CA")
        self.pem = self.ca.write(os.path.join(box, "ca.pem"))
        self.path = os.path.join(box, "a.crl")
        self.url = "file://" + self.path

    def put(self, entries, number):
        """entries: octets."""
        lists.put(self.path, lists.crl(self.ca, [entries], number=number, this=number - 1000))

    def start(self, **more):
        issuer = {"name": "demo", "certificate": self.pem, "crl": [self.url], "crl-interval": "1h"}
        return self.daemons([issuer], store="lmdb:" + os.path.join(self.box, "store"), **more).start()

    def bring(self, d, entries, number):
        self.put(entries, number)
        d.refresh()
        d.wait_number(self.url, number, seconds=60)


def test_an_entry_of_a_list_costs_32_bytes(box, daemons):
    """R110.  Two daemons, one with a list of 10 entries, one with 300,000: what they differ by."""
    unsanitized()
    n, used = 300000, []
    for entries in (10, n):
        of = Lists(tempfolder(box, str(entries)), daemons)
        of.put(lists.many(1 << 60, entries, "keyCompromise"), 1)
        d = of.start()
        d.wait_number(of.url, 1)
        used.append(anonymous(d))
        d.stop()
    each = (used[1] - used[0]) / n
    print("%.1f bytes an entry" % each)
    assert each <= 36  # pages and what malloc keeps


def tempfolder(box, name):
    path = os.path.join(box, name)
    os.mkdir(path)
    return path


def descriptors(wanted):
    """Raise the soft limit; how many of these streams both sides can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if (hard - 600) // 2 < wanted // 2:
        pytest.skip("the limit on descriptors (%d) leaves too few connections to tell what one costs" % hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(wanted, (hard - 600) // 2)


def private(d):
    """Bytes of memory that is the daemon's alone and no file's (a library's pages are its own or not as other programs
    come and go), to the page: RssAnon is behind by some for each thread."""
    with open("/proc/%d/smaps_rollup" % d.process.pid) as f:
        return 1024 * int(re.search(r"^Anonymous:\s+(\d+) kB", f.read(), re.M).group(1))


class Plain:
    """Many subscribers that only read; each has been told its position when this returns."""

    def __init__(self, d, n):
        self.d, self.sockets = d, []
        self.more(n)

    def more(self, n):
        new = []
        for _ in range(n):
            s = socket.create_connection(("127.0.0.1", self.d.api_port), 20 * lab.PATIENCE)
            s.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n")
            new.append(s)
        self.until(b"\nid: ", new)
        self.sockets += new

    def until(self, what, sockets=None):
        """Each has got `what` and the end of its message."""
        for s in sockets or self.sockets:
            data = b""
            while what not in data or not data.endswith(b"\n\n"):
                part = s.recv(65536)
                assert part, data
                data += part

    def close(self):
        for s in self.sockets:
            s.close()


EACH_AT_MOST = 512  # 0.4 KiB, pages and what malloc keeps


def test_an_idle_connection_costs_less_than_a_KiB(world, daemons):
    """After a request: what a connection had for it is given back."""
    unsanitized()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        n = descriptors(2000)
        d = daemons([world.issuer()], workers=1).start()
        request = wire.get(lab.request(world.ca, world.good.serial))
        all_of = [d.connect() for _ in range(50)]
        for c in all_of:
            assert c.send(request).reply().status == 200
        before = private(d)
        more = [d.connect() for _ in range(n - 50)]
        exchange(more, request)
        each = (private(d) - before) / len(more)
        print("%d connections: %.0f bytes each" % (len(more), each))
        assert each <= EACH_AT_MOST
        for c in all_of + more:
            c.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_subscriber_costs_less_than_a_KiB(box, daemons):
    unsanitized()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        n = descriptors(2000)
        of = Lists(box, daemons)
        of.put(lists.many(1 << 60, 10), 1)
        d = of.start()
        all_of = Plain(d, 50)
        before = private(d)
        all_of.more(n - 50)
        each = (private(d) - before) / (n - 50)
        # and when all have been told something
        of.bring(d, lists.many(1 << 60, 11), 2)
        all_of.until(b'"serial"')
        later = (private(d) - before) / (n - 50)
        print("%d subscribers: %.0f bytes each, %.0f when they have been told a change" % (n, each, later))
        assert each <= EACH_AT_MOST and later <= EACH_AT_MOST
        all_of.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_change_is_one_write_for_each_subscriber_and_allocates_nothing_for_them(box, daemons):
    counts = Counts(box)
    of = Lists(box, daemons)
    of.put(lists.many(1 << 60, 10), 1)
    d = of.start(env=counts.env)
    n, rounds, spent = 400, 5, []
    all_of = Plain(d, n)
    for i in range(rounds):
        before = counts.of(b"api")
        # GET /v1/issuers would be counted too
        of.put(lists.many(1 << 60, 11 + i), 2 + i)
        d.refresh()
        all_of.until(b'"serial"')
        after = counts.of(b"api")
        spent.append([b - a for a, b in zip(before[1:], after[1:])])
    print("reads, writes, waits, allocations: %r" % spent)
    _, writes, waits, allocations = map(min, zip(*spent))  # a position may be due in one of the rounds
    assert n < writes <= n + 20  # the refresh, messages between threads
    assert waits <= 40           # slices, not subscribers
    assert allocations <= 60
    all_of.close()


def entries_of(n, seed):
    """n entries with random serials of 16 octets: those of fewer are the first of these."""
    r = random.Random(seed)
    model = lists.entry(1 << 120, "keyCompromise")
    at = model.index((1 << 120).to_bytes(16, "big"))
    before, after = model[:at] + b"\x01", model[at + 16:]
    serials = [r.randbytes(15) for _ in range(n)]
    return serials, [before + s + after for s in serials]


@pytest.mark.long
def test_three_million_entries(box, daemons, streams):
    """R110.  The day of the incident: memory, every change told, and the status of certificates on the list and off."""
    unsanitized()
    signal.alarm(300)  # the list is made here
    before, after = 1348289, 3048289
    of = Lists(box, daemons)
    serials, entries = entries_of(after, 4)
    of.put(b"".join(entries[:before]), 1)
    d = of.start()
    d.wait_number(of.url, 1, seconds=60)
    lab.wait(lambda: d.metric("changes_waiting") == 0, 30, "the first list to be told")
    der = lists.crl(of.ca, [b"".join(entries)], number=2, this=-900)
    del entries
    told = Counter(d)
    peak = Peak(d)
    lists.put(of.path, der)
    d.refresh()
    d.wait_number(of.url, 2, seconds=60)
    told.wait(after - before)
    lab.wait(lambda: anonymous(d) <= 64 * after + (64 << 20), 10, "memory to be given back")
    most = peak.stop()
    print("%.0f MiB at the peak, %.0f in the end" % (most / 2**20, anonymous(d) / 2**20))
    assert most <= 64 * (before + after) + (48 << 20)
    assert d.metric("changes_total", evidence="crl") == after - before
    # who was told of, each once, and in their order
    assert told.serials == set(serials[before:])
    number = [int.from_bytes(b"\x01" + s, "big") for s in random.Random(5).sample(serials, 300)]
    for n in number:
        assert d.status("demo", n)["status"] == "revoked"
        if n + 1 not in number:
            assert d.status("demo", n ^ 1 << 60)["status"] == "good"


class Counter(threading.Thread):
    """A subscriber that keeps of each change the serial alone."""

    def __init__(self, d):
        super().__init__(daemon=True)
        self.s = stream.Stream(d.api_port, read=False).s
        self.s.settimeout(60)
        self.serials, self.seen = set(), 0
        self.position = threading.Event()
        self.start()
        assert self.position.wait(20)

    def run(self):
        rest = b""
        while True:
            data = self.s.recv(1 << 20)
            if not data:
                return
            *whole, rest = (rest + data).split(b"\n\n")
            for frame in whole:
                found = re.findall(rb'"serial":"([0-9a-f]+)"', frame)
                self.seen += len(found)
                self.serials.update(bytes.fromhex(s.decode().zfill(32))[1:] for s in found)
            self.position.set()

    def wait(self, n):
        lab.wait(lambda: self.seen >= n, 60, "%d changes" % n)
        self.s.shutdown(socket.SHUT_RDWR)
        self.join()
        assert self.seen == n
