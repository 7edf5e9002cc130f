"""stream - a subscriber: what GET /v1/events sends, octet for octet and as what it means."""
import json
import re
import socket
import threading

import lab

ID = re.compile(r"[0-9a-f-]+")


class Frame:
    """One event as it stood in the stream, without the empty line behind it."""

    def __init__(self, text):
        self.text = text
        self.id = self.event = self.data = self.comment = None
        for line in text.split("\n"):
            name, sep, value = line.partition(": ")
            if not name and sep:
                self.comment = value
                continue
            assert sep and name in ("id", "event", "data"), text
            assert getattr(self, name) is None, "two lines of %s:\n%s" % (name, text)
            setattr(self, name, value)

    @property
    def is_position(self):
        return self.event is None and self.data is None and self.comment is None

    @property
    def body(self):
        return json.loads(self.data)

    def __repr__(self):
        return "<%s %s %.300s>" % (self.event, self.id, self.data)


class Stream:
    """A subscriber on a raw socket; a thread reads until it is told to stop or the other side closes."""

    def __init__(self, port, query="", last=None, fields="", read=True, buffer=None):
        self.s = socket.socket()
        if buffer:
            self.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self.s.settimeout(60 * lab.PATIENCE)
        self.s.connect(("127.0.0.1", port))
        if last:
            fields += "Last-Event-ID: %s\r\n" % last
        self.s.sendall(("GET /v1/events%s HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n%s\r\n"
                        % ("?" + query if query else "", fields)).encode())
        self.buffer, self.head, self.frames = b"", None, []
        self.ended, self.wanted = threading.Event(), True
        self.lock = threading.Lock()
        self.failure = None
        self.thread = None
        if read:
            self.go_on()

    def go_on(self):
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()
        return self

    def read(self):
        try:
            while self.wanted:
                data = self.s.recv(1 << 20)
                if not data:
                    break
                self.take(data)
        except OSError:
            pass
        except Exception as e:
            self.failure = e
        self.ended.set()

    def take(self, data):
        self.buffer += data
        if self.head is None:
            if b"\r\n\r\n" not in self.buffer:
                return
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            self.head = head.decode()
        *whole, self.buffer = self.buffer.split(b"\n\n")
        frames = [Frame(t.decode()) for t in whole]
        with self.lock:
            self.frames += frames

    @property
    def status(self):
        return int(lab.wait(lambda: self.head or self.ended.is_set() and "- 0", 10, "an answer").split()[1])

    def header(self, name):
        values = [v.strip() for n, _, v in (line.partition(":") for line in self.head.split("\r\n")[1:])
                  if n.lower() == name.lower()]
        assert len(values) <= 1, self.head
        return values[0] if values else None

    def got(self, kind=None):
        """Frames of a kind so far: "changes", "snapshot", "gap", "position", "comment"."""
        assert self.failure is None, self.failure
        with self.lock:
            return [f for f in self.frames if kind is None
                    or (f.event or ("comment" if f.comment else "position")) == kind]

    def wait(self, kind, n=1, seconds=10):
        try:
            lab.wait(lambda: len(self.got(kind)) >= n, seconds, "%d %s" % (n, kind))
        except AssertionError as e:
            raise AssertionError("%s; there were %r" % (e, self.got()[-5:]))
        return self.got(kind)[n - 1]

    def ready(self):
        """It is listening from here on: its position."""
        return self.wait("position").id

    def changes(self, kind="changes"):
        """All changes so far, in order, each with its issuer and evidence."""
        return [dict(c, issuer=b["issuer"], evidence=b["evidence"]) for b in (f.body for f in self.got(kind))
                for c in b["changes"]]

    def serials(self, kind="changes"):
        return [int(c["serial"], 16) for c in self.changes(kind)]

    def wait_serials(self, serials, seconds=10):
        """Until these and no others have come; in the order that they came."""
        wanted = set(serials)
        lab.wait(lambda: sum(len(f.data) for f in self.got("changes")) > 100 * len(wanted)
                 and wanted <= set(self.serials()), seconds, "%d changes; there are %d" % (
                     len(wanted), len(self.serials())))
        return self.serials()

    @property
    def last_id(self):
        ids = [f.id for f in self.got() if f.id]
        return ids[-1] if ids else None

    def close(self):
        self.wanted = False
        try:
            self.s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.thread:
            self.thread.join(10)
        self.s.close()
