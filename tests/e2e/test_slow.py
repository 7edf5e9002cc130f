"""Those who read steadily and slowly: nobody of them is cut off, and their kernels' buffers have their real sizes."""
import os
import socket
import threading
import time

import pytest

import lab
import lists
from lists import crl, many


class Taker:
    """Takes so many bytes a second, until it has `want` or `seconds` have passed."""

    def __init__(self, s, rate, want=None, seconds=None):
        self.s, self.rate, self.want, self.seconds = s, rate, want, seconds
        self.n, self.error = 0, None
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        began, slice_s = time.monotonic(), 0.1
        try:
            while (self.want is None or self.n < self.want) and (
                    self.seconds is None or time.monotonic() - began < self.seconds):
                data = self.s.recv(int(self.rate * slice_s))
                if not data:
                    break
                self.n += len(data)
                late = began + self.n / self.rate - time.monotonic()
                if late > 0:
                    time.sleep(late)
        except OSError as e:
            self.error = e

    def done(self):
        self.thread.join(85 * lab.PATIENCE)
        assert not self.thread.is_alive() and self.error is None, self.error
        return self.n


@pytest.mark.long  # a minute: that is what it took to be cut off
def test_who_reads_steadily_but_slowly_gets_all(box, daemons):
    """T22: a snapshot, a list of 7 MB, and one of 1 MB that the kernel takes as a whole and the client does not."""
    issuers, paths = [], {}
    for name, n in (("large", 200000), ("small", 30000)):
        ca = lab.CA("CA of the %s list" % name)
        paths[name] = lists.put(os.path.join(box, name), crl(ca, [many(1 << 60, n)]))
        issuers.append({"name": name, "certificate": ca.write(os.path.join(box, name + ".pem")), "crl": [paths[name]]})
    d = daemons(issuers, idle_timeout="10s").start()

    def ask(port, target, buffer=None):
        s = socket.socket()
        if buffer:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        s.settimeout(30 * lab.PATIENCE)
        s.connect(("127.0.0.1", port))
        s.sendall(b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % target)
        return s

    def size(name):
        return os.path.getsize(paths[name][7:])
    snapshot = Taker(ask(d.api_port, b"/v1/events?snapshot=1"), 40 * 1024, seconds=70)
    large = Taker(ask(d.port, b"/crl/large.crl"), size("large") / 60, want=size("large"))
    small = Taker(ask(d.port, b"/crl/small.crl", 64 * 1024), size("small") / 40, want=size("small"))
    assert large.done() >= size("large") and small.done() >= size("small")
    assert snapshot.done() > 65 * 40 * 1024
    assert d.metric("subscribers_cut_total") == 0
