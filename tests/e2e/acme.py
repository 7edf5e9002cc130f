"""acme - a CA's directory and its renewal information (RFC 9773), with windows that a test moves.

Nothing of the daemon is used: identifiers are made by urlsafe_b64encode() from what section 4.1 says.
"""
import base64
import collections
import datetime
import http.server
import json
import threading
import time

import lab

Asked = collections.namedtuple("Asked", "at certid connection")


def certid(key_identifier, serial):
    """RFC 9773 section 4.1; serial is a number, whose DER has a 00 in front where its first bit is set."""
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return ".".join(base64.urlsafe_b64encode(b).rstrip(b"=").decode() for b in (key_identifier, octets))


def text(t):
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def window(first_day, last_day):
    """Days from now; they may be negative."""
    return tuple(lab.now() + datetime.timedelta(days=d) for d in (first_day, last_day))


class ACME:
    """ordinary: the window of whom nothing else is said of.  Everything else is by certID: windows, pages
    (explanationURL), status (of HTTP), bodies (octets instead of an answer), headers.  halt is the status of all while
    it is set.  An incident is certificates whose window is over, with a page."""

    def __init__(self, ordinary=None, retry_after="21600", party=None, box=None):
        self.ordinary, self.retry_after = ordinary or window(30, 32), retry_after
        self.windows, self.pages, self.status, self.bodies, self.headers = {}, {}, {}, {}, {}
        self.halt, self.halt_retry_after, self.slow_s = None, None, 0
        self.clock_s = 0  # by how much its clock is wrong
        self.renewal_info = None  # another place than ours: what the directory says
        self.asked, self.directories = [], 0  # the first of Asked
        self.in_flight = self.most_in_flight = self.connections = 0
        self.lock = threading.Lock()
        acme = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def date_time_string(self, timestamp=None):
                return super().date_time_string(time.time() + acme.clock_s)

            def log_message(self, *a):
                pass

            def setup(self):
                super().setup()
                with acme.lock:
                    acme.connections += 1
                    self.number = acme.connections

            def do_GET(self):
                with acme.lock:
                    acme.in_flight += 1
                    acme.most_in_flight = max(acme.most_in_flight, acme.in_flight)
                try:
                    acme.reply(self)
                finally:
                    with acme.lock:
                        acme.in_flight -= 1

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 64

            def handle_error(self, request, client_address):
                pass  # the client has gone

        self.server = Server(("127.0.0.1", 0), Handler)
        self.base = "http://127.0.0.1:%d" % self.server.server_address[1]
        if party is not None:
            from egress import speak_tls
            speak_tls(self.server, party, box)
            self.base = "https://localhost:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def directory(self):
        return self.base + "/directory"

    def incident(self, certids, page="https://ca.example/incident"):
        self.windows_of_incident = past = window(-2, -1)
        for c in certids:
            self.windows[c], self.pages[c] = past, page

    def close_incident(self, certids):
        for c in certids:
            self.windows.pop(c, None)
            self.pages.pop(c, None)

    def reply(self, h):
        if self.slow_s:
            time.sleep(self.slow_s)
        if h.path == "/directory":
            with self.lock:
                self.directories += 1
            return self.send(h, 200, json.dumps({
                "newNonce": self.base + "/nonce", "newOrder": self.base + "/order",
                "renewalInfo": self.renewal_info or self.base + "/renewal-info"}).encode())
        if not h.path.startswith("/renewal-info/"):
            return self.send(h, 404, b"{}")
        c = h.path[len("/renewal-info/"):]
        with self.lock:
            self.asked.append(Asked(time.monotonic(), c, h.number))
        if self.halt:
            more = {} if self.halt_retry_after is None else {"Retry-After": self.halt_retry_after}
            return self.send(h, self.halt, b"{}", more)
        more = {} if self.retry_after is None else {"Retry-After": self.retry_after}
        more.update(self.headers.get(c, {}))
        status = self.status.get(c, 200)
        return self.send(h, status, self.bodies[c] if c in self.bodies else self.answer(c), more)

    def answer(self, c):
        first, last = self.windows.get(c, self.ordinary)
        body = {"suggestedWindow": {"start": text(first), "end": text(last)}}
        if c in self.pages:
            body["explanationURL"] = self.pages[c]
        return json.dumps(body).encode()

    def send(self, h, status, body, more=()):
        h.send_response(status)
        h.send_header("Content-Type", "application/json")
        h.send_header("Content-Length", str(len(body)))
        for name, v in dict(more).items():
            h.send_header(name, v)
        h.end_headers()
        h.wfile.write(body)

    def times(self, c):
        with self.lock:
            return [a.at for a in self.asked if a.certid == c]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
