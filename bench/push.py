"""push - one change to every subscriber: ocspcached beside a bare publisher, and nginx with nchan where it is there."""
import http.client
import json
import os
import resource
import signal
import socket
import statistics
import subprocess
import time

import servers
from longer import said

STREAMS = 10000
ENTRIES = 1000  # of the list that grows by one in each round


def make_crl(ca, n, number, path):
    """A list by ca (its path without .pem and .key)."""
    subprocess.run([servers.tool("make_crl"), "--entries", str(n), "--number", str(number), "--key", ca + ".key",
                    "--cert", ca + ".pem", "--out", path], check=True)
    return path


def api(port, method, path, body=None, token=None):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        c.request(method, path, json.dumps(body) if body else None,
                  dict({"Content-Type": "application/json"} if body else {},
                       **({"Authorization": "Bearer " + token} if token else {})))
        r = c.getresponse()
        return r.status, r.read().decode()
    finally:
        c.close()


class Lister(servers.Ocspcached):
    """With one list from a file.  box: on a disk, for what is durable has to be written."""

    token = None

    def __init__(self, bench, box, pem=None, core=servers.SERVER_CORE, **options):
        super().__init__(box, pem or bench.pem, bench.ca.port, core, log_repeat='"0s"', **options)
        self.list = os.path.join(box, "list-%d.crl" % self.port)
        self.issuer["crl"] = '"file://%s"' % self.list
        self.issuer["crl-interval"] = '"1h"'

    def publish(self, path):
        """Put path in the list's place at once; it stays where it is too."""
        if os.path.exists(self.list + ".new"):
            os.unlink(self.list + ".new")
        os.link(path, self.list + ".new")
        os.rename(self.list + ".new", self.list)

    def refresh(self):
        status, text = api(self.api_port, "POST", "/v1/refresh", {"issuer": "bench"}, self.token)
        if status != 202:
            raise RuntimeError("refresh: %d %s" % (status, text))

    def number(self):
        in_force = json.loads(api(self.api_port, "GET", "/v1/issuers", token=self.token)[1])[0]["crls"]
        return in_force[0]["crl_number"] if in_force else None

    def wait_number(self, n, seconds=30):
        servers.wait(lambda: self.number() == str(n), seconds, "list %d" % n)

    def metric(self, name):
        lines = api(self.api_port, "GET", "/metrics", token=self.token)[1].splitlines()
        return sum(float(x.rsplit(" ", 1)[1]) for x in lines if x.startswith("ocspcached_" + name)
                   and x[len("ocspcached_" + name)] in " {")


class Subscribers:
    """A process with many streams at a port."""

    def __init__(self, port, n, *arguments, core=servers.LOAD_CORE):
        self.p = subprocess.Popen(["taskset", "-c", str(core), servers.tool("subscribers"), "-p", str(port), "-n",
                                   str(n), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.expect("ready")

    def expect(self, word):
        line = self.p.stdout.readline().strip()
        if line != word:
            raise RuntimeError("subscribers: %r instead of %r" % (line, word))

    def begin(self):
        self.p.stdin.write("\n")
        self.p.stdin.flush()
        self.expect("go")

    def end(self):
        return json.loads(self.p.stdout.readline())

    def stop(self):
        self.p.stdin.close()
        self.p.wait(10)


def first_event(s, path):
    """The whole message that ocspcached sends for one change, to a file: what the publisher sends too."""
    with socket.create_connection(("127.0.0.1", s.api_port), 10) as c:
        c.sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = b""
        while b"id: " not in data:
            data += c.recv(65536)
        yield
        start = len(data)
        while b'"serial"' not in data or not data.endswith(b"\n\n"):
            data += c.recv(65536)
    with open(path, "wb") as f:
        f.write(data[start:])


class Round:
    """What is told in turns, each by its trigger, to its subscribers."""

    def __init__(self, bench, box, n):
        self.ca, self.grown, self.listed = os.path.join(bench.box, "ca"), os.path.join(box, "grown.crl"), 0
        self.ours = Lister(bench, box)
        self.grow()
        bench.start(self.ours)
        self.ours.wait_number(self.listed)
        message = os.path.join(box, "message")
        event = first_event(self.ours, message)
        next(event)
        self.grow()
        self.ours.refresh()
        next(event, None)
        with open(message, "rb") as f:
            self.data = [x for x in f.read().split(b"\n") if x.startswith(b"data: ")][0][6:]
        self.systems = [bench.start(servers.Publisher(box, message)), self.ours]
        if servers.program("nginx") and os.path.exists(servers.Nchan.MODULE):
            self.systems.append(bench.start(servers.Nchan(box)))
        self.subscribers = {}
        for s in self.systems:
            before = s.private_bytes()
            port = s.api_port if s is self.ours else s.port
            self.subscribers[s.name] = Subscribers(port, n, *(["-r", "id: "] if s is self.ours else []))
            time.sleep(0.5)
            s.each = (s.private_bytes() - before) / n

    def grow(self):
        self.listed += 1
        if os.path.exists(self.grown):
            os.unlink(self.grown)  # what is in the list's place is the same file
        self.ours.publish(make_crl(self.ca, ENTRIES + self.listed, self.listed, self.grown))

    def trigger(self, s):
        if s is self.ours:
            s.refresh()
        elif s.name == "nchan":
            c = http.client.HTTPConnection("127.0.0.1", s.port, timeout=30)
            c.request("POST", "/publish", self.data)
            c.getresponse().read()
        else:
            s.process.send_signal(signal.SIGUSR1)

    def tell(self, s):
        """(ms from first delivery to last, from the trigger to the last, to the median)"""
        if s is self.ours:
            self.grow()
        self.subscribers[s.name].begin()
        start = time.monotonic_ns()
        self.trigger(s)
        r = self.subscribers[s.name].end()
        return [(r["last_ns"] - r["first_ns"]) / 1e6, (r["last_ns"] - start) / 1e6, (r["median_ns"] - start) / 1e6]


def allow_files(n):
    """How many descriptors a process may have from now on: n where that is allowed."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(hard, n), max(hard, n)))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def push(bench, rounds, seconds):
    """Judged from the first delivery to the last: what lies before that is, for us, a list that is read and verified
    and an fsync, and for the others nothing.  From the trigger to the last is told beside it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    n = min(STREAMS, (allow_files(3 * STREAMS) - 300) * 3 // 4)  # what ocspcached gives to subscribers
    got = {}
    r = Round(bench, bench.disk, n)
    for _ in range(rounds):
        for s in r.systems:
            got.setdefault(s.name, []).append(r.tell(s))
    for s in r.systems:
        spread, last, median = (statistics.median(v) for v in zip(*got[s.name]))
        print("push to %d, %-10s: first to last %6.1f ms (%.1f to %.1f), trigger to median %6.1f, to last %6.1f; "
              "%5.0f bytes of memory each" % (n, s.name, spread, min(x[0] for x in got[s.name]),
                                              max(x[0] for x in got[s.name]), median, last, s.each))
    for name in list(got)[1:]:
        spread, last = (statistics.median(a[i] / b[i] for a, b in zip(got[name], got["publisher"])) for i in (0, 1))
        if name == "ocspcached":
            said("push to %d, first delivery to last, against the bare publisher" % n, spread, 1.2)
        else:
            print("push to %d, first delivery to last, %s against the bare publisher: %.2f" % (n, name, spread))
        print("push to %d, trigger to last, %s against the bare publisher: %.2f" % (n, name, last))
    said("push to %d, memory of each" % n, r.ours.each / 1024, 2, " KiB")
    for s in r.systems:
        r.subscribers[s.name].stop()
        bench.stop(s)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
