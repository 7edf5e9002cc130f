"""daemon - one ocspcached: its configuration, its life, its API; and its client."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading

import lab
import wire

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
B = os.path.join(TOP, os.environ.get("B") or "build")
PROGRAM = os.path.join(B, "ocspcached")
CLIENT = os.path.join(B, "ocspctl")
# Options of a daemon that tries again at once.
FAST = dict(backoff_initial="20ms", backoff_max="100ms", crl_backoff_max="100ms", error_ttl="0s",
            refresh_min="100ms", position_interval="15s")
REPORT = re.compile(r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:|Assertion .* failed")


def value(v):
    if isinstance(v, (list, tuple)):
        return "{ %s }" % ", ".join(value(x) for x in v)
    if isinstance(v, bool):
        return "true" if v else "false"
    if isinstance(v, int):
        return str(v)
    return '"%s"' % v


def lines(options, indent=""):
    return "".join("%s%s = %s\n" % (indent, k.replace("_", "-"), value(v)) for k, v in options.items())


class Daemon:
    """Options are those of the file, with _ for -; an issuer is a dict with its name and its options.  under is the
    command that it is run by: one that becomes the daemon in the end."""

    def __init__(self, box, issuers, name="d", env=None, limit_nofile=None, under=(), **options):
        self.box, self.name, self.env, self.under = box, name, env or {}, list(under)
        self.limit_nofile = limit_nofile
        self.port, self.api_port = lab.free_port(), lab.free_port()
        self.options = {
            "listen": ["127.0.0.1:%d" % self.port], "api-listen": "127.0.0.1:%d" % self.api_port, "workers": 2,
            "store": "memory:", "state-directory": os.path.join(box, name + "-state"), "log-repeat": "0s"}
        self.options.update({k.replace("_", "-"): v for k, v in options.items()})
        self.issuers = issuers
        self.watchlists = {}  # name: options
        self.tokens = {}  # the same
        self.token = None  # that api() sends
        self.conf = os.path.join(box, name + ".conf")
        self.log_path = os.path.join(box, name + ".log")
        self.process = None
        self.write()

    def write(self, text=None):
        if text is None:
            text = lines(self.options)
            for i in self.issuers:
                text += 'issuer "%s" {\n%s}\n' % (
                    i["name"], lines({k: v for k, v in i.items() if k != "name"}, "\t"))
            for name, options in self.watchlists.items():
                text += 'watchlist "%s" {\n%s}\n' % (name, lines(options, "\t"))
            for name, options in self.tokens.items():
                text += 'token "%s" {\n%s}\n' % (name, lines(options, "\t"))
        with open(self.conf, "w") as f:
            f.write(text)

    def spawn(self):
        def limit():
            import resource
            if self.limit_nofile:
                resource.setrlimit(resource.RLIMIT_NOFILE, (self.limit_nofile, self.limit_nofile))
        log = open(self.log_path, "ab")
        self.told = False  # to end
        self.process = subprocess.Popen([*self.under, PROGRAM, "-c", self.conf], stdin=subprocess.DEVNULL, stdout=log,
                                        stderr=log, env=dict(os.environ, **self.env), preexec_fn=limit)
        log.close()
        return self

    def start(self, ready=True):
        self.spawn()

        def up():
            if self.process.poll() is not None:
                raise AssertionError("ended with %d:\n%s" % (self.process.returncode, self.log))
            try:
                status = self.api("GET", "/readyz" if ready else "/healthz")[0]
            except (OSError, http.client.HTTPException):
                return False
            return status == 200 if ready else True
        try:
            lab.wait(up, 15, "ocspcached to be ready")
        except AssertionError as e:
            raise AssertionError("%s\n%s" % (e, self.log))
        return self

    @property
    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def events(self, name):
        word = re.compile(r"(^|[ {,\"=])%s($|[ \",])" % re.escape(name))
        return [line for line in self.log.splitlines() if word.search(line)]

    def wait_event(self, name, n=1, seconds=10):
        return lab.wait(lambda: len(self.events(name)) >= n and self.events(name), seconds, "event " + name)

    def signal(self, s):
        self.process.send_signal(s)
        self.told |= s == signal.SIGTERM

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process = None

    def stop(self, code=0):
        """TERM, unless it got one: a second cuts the stop short.  The end has to be clean."""
        if self.process is None:
            return
        p, self.process = self.process, None
        if p.poll() is None and not self.told:
            p.send_signal(signal.SIGTERM)
        try:
            p.wait(15 * lab.PATIENCE)
        except subprocess.TimeoutExpired:
            p.send_signal(signal.SIGABRT)
            p.wait()
            raise AssertionError("TERM did not end it:\n" + self.log)
        assert p.returncode == code, "ended with %d:\n%s" % (p.returncode, self.log)
        assert not REPORT.search(self.log), self.log

    def reload(self, good=True):
        """HUP, and wait until it is through."""
        name = "ok" if good else "error"
        before = self.metric("config_reloads_total", result=name)
        self.signal(signal.SIGHUP)
        lab.wait(lambda: self.metric("config_reloads_total", result=name) > before, 10, "reload: " + name)

    # the front
    def connect(self, timeout=15):
        return wire.Connection(self.port, timeout)

    def post(self, der, path="/", timeout=15, **more):
        return wire.exchange(self.port, wire.post(der, path, **more), timeout)

    def get(self, der, prefix="/", timeout=15, **more):
        return wire.exchange(self.port, wire.get(der, prefix, **more), timeout)

    def ask(self, ca, serial, h="sha1", timeout=15):
        return self.post(lab.request(ca, serial, h), timeout=timeout)

    # the API
    def api(self, method, path, body=None, timeout=15, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.api_port, timeout=timeout * lab.PATIENCE)
        try:
            fields = dict({} if body is None else {"Content-Type": "application/json"}, **(headers or {}))
            if self.token:
                fields.setdefault("Authorization", "Bearer " + self.token)
            c.request(method, path, json.dumps(body) if isinstance(body, dict) else body, fields)
            r = c.getresponse()
            text = r.read()
            kind = r.headers.get("Content-Type") or ""
            return r.status, json.loads(text) if text and kind.startswith("application/json") else text.decode()
        finally:
            c.close()

    def metrics(self):
        status, text = self.api("GET", "/metrics")
        assert status == 200
        return text

    def metric(self, family, **labels):
        """The sum of the family's values whose labels are these."""
        total = 0.0
        for line in self.metrics().splitlines():
            m = re.fullmatch(r"ocspcached_%s(?:\{(.*)\})? (\S+)" % family, line)
            if m and all('%s="%s"' % (k, v) in (m.group(1) or "") for k, v in labels.items()):
                total += float(m.group(2))
        return total

    def degraded(self):
        """What readyz says is wrong although it is ready; "" for nothing."""
        status, body = self.api("GET", "/readyz")
        assert status == 200 and body["reasons"] == []
        return " | ".join(body["degraded"])

    def crls(self, issuer="demo"):
        """What GET /v1/issuers tells of an issuer's lists: URL -> its object."""
        status, all_of = self.api("GET", "/v1/issuers")
        assert status == 200, all_of
        return {c["url"]: c for i in all_of if i["name"] == issuer for c in i["crls"]}

    def number(self, url, issuer="demo"):
        """The CRL number of the list in force; None where there is no list, or none in it."""
        return self.crls(issuer).get(url, {}).get("crl_number")

    def wait_number(self, url, number, issuer="demo", seconds=10):
        try:
            lab.wait(lambda: self.number(url, issuer) == str(number), seconds, "list number %s" % number)
        except AssertionError as e:
            raise AssertionError("%s: %r\n%s" % (e, self.crls(issuer), self.log[-4000:]))

    def refresh(self, issuer="demo", serial=None, **more):
        body = dict({"issuer": issuer}, **more)
        if serial is not None:
            body["serial"] = "%x" % serial
        assert self.api("POST", "/v1/refresh", body)[0] == 202

    def status(self, issuer, serial):
        status, body = self.api("GET", "/v1/status/%s/%x" % (issuer, serial))
        assert status == 200, body
        return body

    def ctl(self, *arguments, timeout=30):
        return subprocess.run([CLIENT, "--url", "http://127.0.0.1:%d" % self.api_port, *arguments],
                              capture_output=True, text=True, timeout=timeout * lab.PATIENCE)


class Watch:
    """ocspctl watch; what it prints, line by line."""

    def __init__(self, port, *args, options=(), **env):
        """port: None where env or options say how to reach it."""
        reach = ["--url", "http://127.0.0.1:%d" % port] if port is not None else []
        self.p = subprocess.Popen([CLIENT, *reach, *options, "watch", *args],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1,
                                  env=dict(os.environ, **env))
        self.out, self.err = [], []
        for stream, lines in ((self.p.stdout, self.out), (self.p.stderr, self.err)):
            threading.Thread(target=lambda s=stream, l=lines: [l.append(x.rstrip("\n")) for x in s],
                             daemon=True).start()

    def stop(self, sig=signal.SIGTERM):
        self.p.send_signal(sig)
        return self.p.wait(10 * lab.PATIENCE)

    def close(self):
        if self.p.poll() is None:
            self.p.kill()
            self.p.wait()


def check(conf, *options):
    """ocspcached with options (-t, -p) on a configuration file."""
    return subprocess.run([PROGRAM, *options, "-c", conf], capture_output=True, text=True, timeout=30 * lab.PATIENCE)


def unix_exchange(path, data):
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        s.sendall(data)
        return s.recv(65536)
