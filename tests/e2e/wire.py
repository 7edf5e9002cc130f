"""wire - HTTP as bytes: a client that sends exactly what a test says and shows exactly what came back."""
import base64
import re
import socket
import urllib.parse

import lab


class Reply:
    def __init__(self, status, reason, headers, body, version):
        self.status, self.reason, self.headers, self.body, self.version = status, reason, headers, body, version

    def __getitem__(self, name):
        values = [v for n, v in self.headers if n.lower() == name.lower()]
        assert len(values) <= 1, "%s is there twice: %r" % (name, values)
        return values[0] if values else None

    @property
    def hit(self):
        return self["Cache-Status"] == "ocspcached; hit"

    @property
    def miss(self):
        return (self["Cache-Status"] or "").startswith("ocspcached; fwd=")

    @property
    def outcome(self):
        assert self.status == 200, "HTTP %d %r" % (self.status, self.body[:100])
        return lab.outcome(self.body)

    def __repr__(self):
        return "<%d %s %d bytes>" % (self.status, self["Cache-Status"], len(self.body))


class Connection:
    def __init__(self, port, timeout=15, host="127.0.0.1", unix=None):
        if unix:
            self.s = socket.socket(socket.AF_UNIX)
            self.s.settimeout(timeout * lab.PATIENCE)
            self.s.connect(unix)
        else:
            self.s = socket.create_connection((host, port), timeout * lab.PATIENCE)
        self.buffer = b""

    def send(self, data):
        self.s.sendall(data)
        return self

    def read_some(self):
        data = self.s.recv(65536)
        self.buffer += data
        return bool(data)

    def until(self, mark):
        while mark not in self.buffer:
            if not self.read_some():
                raise EOFError("closed after %r" % self.buffer)
        head, self.buffer = self.buffer.split(mark, 1)
        return head

    def reply(self, head_only=False):
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        m = re.fullmatch(r"(HTTP/1\.[01]) (\d{3}) (.*)", lines[0])
        assert m, lines[0]
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            assert re.fullmatch(r"[A-Za-z0-9-]+", name) and value.startswith(" "), line
            headers.append((name, value.strip()))
        r = Reply(int(m.group(2)), m.group(3), headers, b"", m.group(1))
        if r.status == 100:
            return r
        length = r["Content-Length"]
        assert r["Transfer-Encoding"] is None
        n = int(length) if length is not None else 0
        if head_only or r.status == 304:
            return r
        assert length is not None, headers
        while len(self.buffer) < n:
            if not self.read_some():
                raise EOFError("%d of %d bytes" % (len(self.buffer), n))
        r.body, self.buffer = self.buffer[:n], self.buffer[n:]
        return r

    def closed(self):
        """Does the other side close now, without another byte?"""
        try:
            data = self.s.recv(1)
        except ConnectionResetError:
            return True
        return data == b"" and self.buffer == b""

    def close(self):
        self.s.close()

    def __enter__(self):
        return self

    def __exit__(self, *a):
        self.close()


def post(der, path="/", host="localhost", version="1.1", more=""):
    return (("POST %s HTTP/%s\r\nHost: %s\r\nContent-Type: application/ocsp-request\r\nContent-Length: %d\r\n%s\r\n"
             % (path, version, host, len(der), more)).encode() + der)


def path_of(der, prefix="/", raw=False):
    text = base64.b64encode(der).decode()
    return prefix + (text if raw else urllib.parse.quote(text, safe=""))


def get(der, prefix="/", host="localhost", version="1.1", more="", method="GET", raw=False):
    return ("%s %s HTTP/%s\r\nHost: %s\r\n%s\r\n"
            % (method, path_of(der, prefix, raw), version, host, more)).encode()


def exchange(port, data, timeout=15, head_only=False, unix=None):
    """One request on a connection of its own; its answer."""
    with Connection(port, timeout, unix=unix) as c:
        return c.send(data).reply(head_only)


def whole(port, data, timeout=10):
    """Send data, then read until the other side closes; all that came."""
    with Connection(port, timeout) as c:
        try:
            c.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        try:
            while c.read_some():
                pass
        except ConnectionResetError:
            pass
        return c.buffer
