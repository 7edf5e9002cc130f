"""secured - one change to every subscriber over TLS, beside as many plain ones.

Over TLS a stream has three descriptors, so that a process may have too few for all of them; then several daemons on
the same core share the streams, which is said, and costs no less than one would."""
import hashlib
import os
import resource
import statistics
import subprocess
import time

import servers
from longer import said
from push import ENTRIES, STREAMS, Lister, Subscribers, allow_files, make_crl


class Secured(Lister):
    """Its API over TLS besides."""

    token = "bench-token"

    def __init__(self, bench, box, pair):
        super().__init__(bench, box)
        self.tls_port = servers.free_port()
        self.options["api-listen"] = '{ "127.0.0.1:%d", "0.0.0.0:%d" }' % (self.api_port, self.tls_port)
        self.options["api-tls-certificate"], self.options["api-tls-private-key"] = ('"%s"' % p for p in pair)

    def write(self):
        path = super().write()
        with open(path, "a") as f:
            f.write('token "bench" {\n\tsha256 = "%s"\n\trights = { "read", "subscribe", "operate" }\n'
                    '\tstreams = %d\n}\n' % (hashlib.sha256(self.token.encode()).hexdigest(), STREAMS))
        return path


def make_pair(box):
    """A certificate of P-256 and its key."""
    pem, key = os.path.join(box, "tls.pem"), os.path.join(box, "tls.key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                    "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out",
                    pem], check=True, capture_output=True)
    return pem, key


class Side:
    """All subscribers of one kind: their daemons, and what is told to them."""

    def __init__(self, bench, name, daemons, n):
        self.name, self.daemons, self.n, self.subscribers = name, daemons, n, []
        self.ca, self.grown, self.listed = os.path.join(bench.box, "ca"), os.path.join(bench.disk, name + ".crl"), 0
        self.grow()
        for i, d in enumerate(daemons):
            bench.start(d)
            d.wait_number(self.listed)
        before, start = self.memory(), time.monotonic()
        for i, d in enumerate(daemons):
            each = n * (i + 1) // len(daemons) - n * i // len(daemons)
            secured = isinstance(d, Secured)
            self.subscribers.append(Subscribers(d.tls_port if secured else d.api_port, each, "-r", "id: ",
                                                *(["-t", d.token] if secured else [])))
        self.opened = time.monotonic() - start
        time.sleep(0.5)
        self.each = (self.memory() - before) / n

    def memory(self):
        return sum(d.private_bytes() for d in self.daemons)

    def grow(self):
        self.listed += 1
        if os.path.exists(self.grown):
            os.unlink(self.grown)  # what is in the lists' places is the same file
        make_crl(self.ca, ENTRIES + self.listed, self.listed, self.grown)
        for d in self.daemons:
            d.publish(self.grown)

    def tell(self):
        """(ms from first delivery to last, from the trigger to the last, to the median)"""
        self.grow()
        for s in self.subscribers:
            s.begin()
        start = time.monotonic_ns()
        for d in self.daemons:
            d.refresh()
        told = [s.end() for s in self.subscribers]
        last = max(r["last_ns"] for r in told)
        return [(last - min(r["first_ns"] for r in told)) / 1e6, (last - start) / 1e6,
                (statistics.median(r["median_ns"] for r in told) - start) / 1e6]

    def stop(self, bench):
        for s in self.subscribers:
            s.stop()
        for d in self.daemons:
            bench.stop(d)


def secured(bench, rounds, seconds):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = allow_files(5 * STREAMS)
    n = min(STREAMS, (files - 300) * 3 // 4)
    daemons = -(-4 * n // (files - 300))  # of its descriptors three quarters, and of these three for a stream
    pair = make_pair(bench.disk)
    sides = [Side(bench, "plain", [Lister(bench, bench.disk)], n),
             Side(bench, "TLS", [Secured(bench, bench.disk, pair) for _ in range(daemons)], n)]
    got = {s.name: [] for s in sides}
    for _ in range(rounds):
        for s in sides:
            got[s.name].append(s.tell())
    for s in sides:
        spread, last, median = (statistics.median(v) for v in zip(*got[s.name]))
        print("push to %d, %-5s (daemons: %d): opened in %.1f s; first to last %6.1f ms, trigger to median %6.1f, to last "
              "%6.1f (%.1f to %.1f); %.1f KiB of memory each" % (
                  n, s.name, len(s.daemons), s.opened, spread, median, last, min(x[1] for x in got[s.name]),
                  max(x[1] for x in got[s.name]), s.each / 1024))
    said("push to %d over TLS, memory of each" % n, sides[1].each / 1024, 24, " KiB")
    said("push to %d over TLS, trigger to last" % n, statistics.median(x[1] for x in got["TLS"]) / 1e3, 2, " s")
    for s in sides:
        s.stop(bench)
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)
