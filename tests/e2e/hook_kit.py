"""hook_kit - a webhook's receiver that can be told how to behave, and the check of Standard Webhooks.

The check is written from the specification's text (version 1.0: "Signature scheme", "Webhook headers"), and knows
nothing of ours.
"""
import base64
import hashlib
import hmac
import http.server
import json
import threading
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

import lab

TOLERANCE = 5 * 60  # seconds between webhook-timestamp and now


def verify(headers, body, secret=None, public=None):
    """Raises unless one of the signatures is by this symmetric secret (whsec_...), or by this public key (whpk_...)."""
    message, at = headers["webhook-id"], headers["webhook-timestamp"]
    assert abs(time.time() - int(at)) < TOLERANCE
    signed = ("%s.%s." % (message, at)).encode() + body
    for one in headers["webhook-signature"].split(" "):
        version, text = one.split(",", 1)
        signature = base64.b64decode(text)
        if version == "v1" and secret:
            key = base64.b64decode(secret.removeprefix("whsec_"))
            if hmac.compare_digest(hmac.new(key, signed, hashlib.sha256).digest(), signature):
                return
        if version == "v1a" and public:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public.removeprefix("whpk_")))
            try:
                key.verify(signature, signed)
                return
            except Exception:  # another key's
                pass
    raise AssertionError("no signature is ours: %r" % dict(headers))


def new_secret(octets=b"0123456789abcdef0123456789abcdef"):
    return "whsec_" + base64.b64encode(octets).decode()


def new_pair(seed=b"abcdefghijklmnopqrstuvwxyz012345"):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public = key.public_key().public_bytes_raw() if hasattr(key.public_key(), "public_bytes_raw") else raw(key)
    return "whsk_" + base64.b64encode(seed + public).decode(), "whpk_" + base64.b64encode(public).decode()


def raw(key):
    from cryptography.hazmat.primitives import serialization
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


class Tried:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body, self.at = path, headers, body, time.monotonic()
        self.id = headers["webhook-id"]
        self.status = None  # what it was answered

    @property
    def json(self):
        return json.loads(self.body)


class Receiver:
    """Each POST is verified, kept in `tried`, and answered by answers.pop(0) or else 204: a status, or (status,
    headers), or "hang" (until let_go()).  One thread a connection."""

    def __init__(self, secret=None, public=None, port=0):
        self.tried, self.answers, self.wrong = [], [], []
        self.secret, self.public, self.delay = secret, public, 0
        self.lock, self.free = threading.Lock(), threading.Event()
        kit = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *a):
                pass

            def do_POST(self):
                kit.take(self)

            def do_GET(self):
                kit.wrong.append("GET " + self.path)
                self.send_error(500)

        class Server(http.server.ThreadingHTTPServer):
            request_queue_size = 1024
            daemon_threads = True

            def handle_error(self, *a):
                pass
        self.server = Server(("127.0.0.1", port), Handler)
        self.port = self.server.server_address[1]
        self.url = "http://127.0.0.1:%d/hook" % self.port
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def take(self, h):
        body = h.rfile.read(int(h.headers["Content-Length"]))
        t = Tried(h.path, h.headers, body)
        try:
            if self.secret or self.public:
                verify(h.headers, body, self.secret, self.public)
        except (AssertionError, TypeError, KeyError) as e:
            self.wrong.append(repr(e))
        with self.lock:
            answer = self.answers.pop(0) if self.answers else 204
            self.tried.append(t)
        if self.delay:
            time.sleep(self.delay)
        if answer == "hang":
            t.status = 0
            self.free.wait(60)
            return
        status, headers = answer if isinstance(answer, tuple) else (answer, {})
        t.status = status
        h.send_response(status)
        for k, v in headers.items():
            h.send_header(k, v)
        h.send_header("Content-Length", "0")
        h.end_headers()

    def let_go(self):
        self.free.set()

    @property
    def taken(self):
        """What was answered 2xx, in order, each id once."""
        seen, out = set(), []
        for t in list(self.tried):
            if t.status and t.status // 100 == 2 and t.id not in seen:
                seen.add(t.id)
                out.append(t)
        return out

    def changes(self):
        return [c for t in self.taken if t.json["type"] == "changes" for c in t.json["data"]["changes"]]

    def wait(self, n, seconds=15):
        """n messages were taken."""
        lab.wait(lambda: len(self.taken) >= n, seconds, "%d messages, not %d" % (n, len(self.taken)))
        assert not self.wrong, self.wrong
        return self.taken

    def close(self):
        self.let_go()
        self.server.shutdown()
        self.server.server_close()


def put(d, name, url, **more):
    status, body = d.api("PUT", "/v1/webhooks/" + name, dict({"url": url, "secrets": [new_secret()]}, **more))
    assert status in (200, 201), body
    return body


def shown(d, name):
    status, body = d.api("GET", "/v1/webhooks/" + name)
    assert status == 200, body
    return body
