"""The recipes that tell people and programs what has changed, each as it stands, to the real receiver if Debian has it.

Long where a package of `clients` is needed.
"""
import ctypes
import email
import json
import os
import re
import shlex
import signal
import socket
import socketserver
import subprocess
import threading
import types

import pytest

import clients
import daemon
import lab
from daemon import FAST
from lists import entry
from recipes import blocks, moved


@pytest.fixture
def d(box, feed, daemons):
    return daemons([feed.issuer()], **dict(FAST, store="lmdb:" + os.path.join(box, "store"))).start()


@pytest.fixture
def started():
    yield from clients.kept()


def program(box, name):
    return clients.Program(types.SimpleNamespace(box=box), name)


def executable(box, name, text):
    path = os.path.join(box, name)
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(path, 0o755)
    return path


def command(page, *words):
    """The command of the page that begins with ocspctl and has these words; what is indented goes on."""
    return next(c for b in blocks(page) for c in re.findall(r"(?m)^ocspctl.*\n(?: +.*\n)*", b)
                if all(w in c for w in words))


class Watcher:
    """A recipe's command line in a shell, until the daemon has it as a subscriber.  What it finds in its PATH first is
    in the box."""

    def __init__(self, box, d, text, **env):
        self.out = os.path.join(box, "watcher")
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(
                ["sh", "-c", text], stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=box, start_new_session=True,
                env=dict(os.environ, STATE_DIRECTORY=box, OCSPCTL_URL="http://127.0.0.1:%d" % d.api_port,
                         PATH="%s:%s:%s" % (box, os.path.dirname(daemon.CLIENT), os.environ["PATH"]), **env))
        lab.wait(lambda: d.metric("subscribers") == 1, 15, "the watcher")

    @property
    def log(self):
        with open(self.out, errors="replace") as f:
            return f.read()

    def has_failed(self):
        lab.wait(lambda: self.log, 15, "a command that failed")

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


# Alertmanager

@pytest.mark.long
def test_alertmanager_has_the_alarm_until_it_is_over(box, feed, daemons, publisher, started):
    """By its API: the alert stands far longer than its five minutes, and is gone when the alarm is cleared."""
    clients.need("prometheus-alertmanager")
    allow, put, conf = blocks("alertmanager.md")
    a = program(box, "alertmanager")
    a.write("alertmanager.yml", conf + "route:\n  receiver: nobody\nreceivers:\n- name: nobody\n")
    started(a.start("prometheus-alertmanager", "--config.file=%s/alertmanager.yml" % a.box, "--storage.path=" + a.box,
                    "--web.listen-address=127.0.0.1:%d" % a.port, "--cluster.listen-address="))
    d = daemons([feed.issuer()], **dict(FAST, store="lmdb:" + os.path.join(box, "store")))
    with open(d.conf, "a") as f:
        f.write(moved(allow, {":9093": ":%d" % a.port}))
    d.start()
    r = d.ctl(*shlex.split(moved(put, {":9093": ":%d" % a.port}))[1:])
    assert r.returncode == 0, r.stderr

    def alerts():
        r = clients.run("curl", "-fsS", "http://127.0.0.1:%d/api/v2/alerts" % a.port)
        return {x["labels"]["alertname"]: x for x in json.loads(r.stdout)} if r.returncode == 0 else {}
    publisher.publish(feed.path, b"<html>")
    d.refresh(feed.name)
    refused = lab.wait(lambda: alerts().get("crl_refused"), 20, "the alert")
    assert refused["labels"]["issuer"] == "demo" and refused["labels"]["subject"] == feed.url
    assert refused["annotations"]["summary"].startswith("crl_refused demo")
    assert refused["endsAt"][:10] > (lab.now() + lab.datetime.timedelta(days=20)).isoformat()
    feed.bring(d, [entry(1), entry(2, "keyCompromise")])
    change = lab.wait(lambda: alerts().get("ocspcached_change"), 20, "the change")
    assert "demo 2 revoked, keyCompromise" in change["annotations"]["summary"]
    lab.wait(lambda: "crl_refused" not in alerts(), 20, "its end")


# Brokers

@pytest.mark.long
def test_mqtt_has_each_certificate_though_the_broker_was_away(box, d, feed, started):
    clients.need("mosquitto", "mosquitto_pub", "mosquitto_sub")
    m = program(box, "mosquitto")
    text = moved(command("brokers.md", "--exec", "mosquitto_pub"), {
        "-h broker.example.com": "-h 127.0.0.1 -p %d" % m.port})
    w = started(Watcher(box, d, text))
    feed.bring(d, [entry(1), entry(2, "keyCompromise"), entry(3)])
    w.has_failed()
    started(m.start(lab.tool("mosquitto"), "-p", str(m.port)))
    r = clients.run("mosquitto_sub", "-h", "127.0.0.1", "-p", str(m.port), "-t", "ocsp/#", "-C", "2", "-W", "60", "-v",
                    timeout=70)
    got = dict(line.split(" ", 1) for line in r.stdout.splitlines() if line)
    assert set(got) == {"ocsp/demo/2", "ocsp/demo/3"}, w.log
    change = json.loads(got["ocsp/demo/2"])
    assert (change["status"], change["reason"]) == ("revoked", "keyCompromise")


@pytest.mark.long
def test_mqtt_to_look_on(box, d, feed, started):
    clients.need("mosquitto", "mosquitto_pub", "mosquitto_sub")
    m = program(box, "mosquitto")
    started(m.start(lab.tool("mosquitto"), "-p", str(m.port), "-v"))
    seen = program(box, "sub")
    with open(seen.out, "wb") as out:
        seen.process = subprocess.Popen(["mosquitto_sub", "-h", "127.0.0.1", "-p", str(m.port), "-t", "ocsp/events",
                                         "-C", "1"], stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    started(seen)
    lab.wait(lambda: "Sending SUBACK" in m.log, 15, "the subscription")
    started(Watcher(box, d, moved(command("brokers.md", "--json", "mosquitto_pub"), {
        "-h broker.example.com": "-h 127.0.0.1 -p %d" % m.port})))
    feed.bring(d, [entry(1), entry(2)])
    lab.wait(lambda: "\n" in seen.log, 20, "the event")
    assert [c["serial"] for c in json.loads(seen.log)["changes"]] == ["2"]


class Kafka:
    """The mock cluster of librdkafka, on loopback."""

    def __init__(self):
        try:
            k = ctypes.CDLL("librdkafka.so.1")
        except OSError:
            pytest.skip("librdkafka is not installed (package kcat)")
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_handle_mock_cluster"):
            getattr(k, name).restype = ctypes.c_void_p
        k.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        why = ctypes.create_string_buffer(512)
        conf = ctypes.c_void_p(k.rd_kafka_conf_new())
        assert k.rd_kafka_conf_set(conf, b"test.mock.num.brokers", b"1", why, 512) == 0, why.value
        self.kafka, self.handle = k, ctypes.c_void_p(k.rd_kafka_new(0, conf, why, 512))
        cluster = ctypes.c_void_p(k.rd_kafka_handle_mock_cluster(self.handle))
        self.address = k.rd_kafka_mock_cluster_bootstraps(cluster).decode()

    def stop(self):
        self.kafka.rd_kafka_destroy(self.handle)


@pytest.mark.long
@pytest.mark.parametrize("how, topic, n", [("--exec", "ocsp", 2), ("--json", "ocsp-events", 1)])
def test_kafka_has_what_changed(box, d, feed, started, how, topic, n):
    clients.need("kcat")
    k = started(Kafka())
    started(Watcher(box, d, moved(command("brokers.md", how, "kcat"), {"broker.example.com:9092": k.address})))
    feed.bring(d, [entry(1), entry(2), entry(3)])
    r = clients.run("kcat", "-C", "-q", "-b", k.address, "-t", topic, "-o", "beginning", "-c", str(n),
                    "-X", "allow.auto.create.topics=true", timeout=60)
    messages = [json.loads(line) for line in r.stdout.splitlines()]
    changes = messages if n == 2 else messages[0]["changes"]
    assert [c["serial"] for c in changes] == ["2", "3"], r.stderr


NATS = r"""#!/usr/bin/python3
# A stand-in for the client that Debian lacks: nats --server HOST:PORT pub SUBJECT BODY
import socket, sys
_, option, server, pub, subject, body = sys.argv
assert (option, pub) == ("--server", "pub")
host, port = server.split(":")
with socket.create_connection((host, int(port)), 20) as s, s.makefile("rwb") as f:
    assert f.readline().startswith(b"INFO ")
    data = body.encode()
    f.write(b'CONNECT {"verbose":false}\r\nPUB %s %d\r\n%s\r\nPING\r\n' % (subject.encode(), len(data), data))
    f.flush()
    assert f.readline() == b"PONG\r\n"
"""


@pytest.mark.long
@pytest.mark.parametrize("how, subject", [("--exec", "ocsp.demo"), ("--json", "ocsp.events")])
def test_nats_has_what_changed(box, d, feed, started, how, subject):
    """The server is the real one."""
    clients.need("nats-server")
    executable(box, "nats", NATS)
    n = program(box, "nats-server")
    started(n.start(lab.tool("nats-server"), "-a", "127.0.0.1", "-p", str(n.port)))
    with socket.create_connection(("127.0.0.1", n.port), 30) as s, s.makefile("rwb") as f:
        f.write(b'CONNECT {"verbose":false}\r\nSUB ocsp.> 1\r\nPING\r\n')
        f.flush()
        assert f.readline().startswith(b"INFO ") and f.readline() == b"PONG\r\n"
        started(Watcher(box, d, moved(command("brokers.md", how, "nats --server"), {
            "broker.example.com:4222": "127.0.0.1:%d" % n.port})))
        feed.bring(d, [entry(1), entry(2)])
        message, name = f.readline().decode().split()[:2]
        body = json.loads(f.readline())
    assert (message, name) == ("MSG", subject)
    assert (body["changes"][0] if "changes" in body else body)["serial"] == "2"


# E-mail

class Mail:
    """An SMTP server (RFC 5321) that keeps what it takes, and has no time for the first."""

    def __init__(self):
        self.messages, self.refused = [], 0
        kit = self

        class Handler(socketserver.StreamRequestHandler):
            def say(self, text):
                self.wfile.write(text.encode() + b"\r\n")

            def handle(self):
                self.say("220 mail.example")
                for line in self.rfile:
                    verb = line[:4].upper()
                    if verb == b"DATA":
                        self.say("354 go on")
                        data = b"".join(iter(self.rfile.readline, b".\r\n"))
                        kit.messages.append((self.to, data))
                    if verb == b"RCPT":
                        self.to = re.search(rb"<(.*)>", line).group(1).decode()
                    if verb == b"MAIL" and not kit.refused:
                        kit.refused += 1
                        self.say("451 later")
                        continue
                    self.say("221 bye" if verb == b"QUIT" else "250 well")

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.long
def test_mail_of_what_changed_is_sent_until_it_is_taken(box, d, feed, started):
    """By msmtp in sendmail's place."""
    clients.need("msmtp")
    server = started(Mail())
    with open(executable(box, ".msmtprc", ""), "w") as f:
        f.write("account default\nhost 127.0.0.1\nport %d\nfrom ocspcached@example.com\n" % server.port)
    os.chmod(os.path.join(box, ".msmtprc"), 0o600)
    watch, script = blocks("mail.md")
    mailer = executable(box, "mail-changes", moved(script, {"/usr/sbin/sendmail": lab.tool("msmtp")}))
    body = '{"issuer":"demo","serial":"2","names":["pay.example","söhne.example"],"labels":["owner=x"]}\n'
    assert d.api("PUT", "/v1/watchlists/web", body.encode(), headers={"Content-Type": "application/x-ndjson"})[0] == 201
    w = started(Watcher(box, d, moved(watch, {"/usr/local/lib/ocspcached/mail-changes": mailer}), HOME=box))
    feed.bring(d, [entry(1), entry(2, "keyCompromise"), entry(3)])
    lab.wait(lambda: server.messages, 30, "the message")
    assert server.refused == 1 and len(server.messages) == 1, w.log
    to, data = server.messages[0]
    message = email.message_from_bytes(data)
    assert to == message["To"] == "duty@example.com" and message["Subject"] == "ocspcached: 1 changed"
    lines = message.get_payload(decode=True).decode("utf-8").splitlines()
    for line in ("issuer:demo", "serial:2", "status:revoked", "reason:keyCompromise", "names:[pay.example"):
        assert line in lines, lines


# systemd

SYSTEMCTL = r"""#!/bin/sh
# A stand-in for systemctl, where systemd does not run: what ExecStart of the template says, to its end.
[ "$1" = start ] || exit 64
name=${2#*@}
exec $(sed -n 's/^ExecStart=//p' 'certificate-revoked@.service' | sed "s/%i/${name%.service}/g")
"""


def unit_files(box):
    """Both units of the page, with the programs that they name where a test has them."""
    script = executable(box, "replace", "#!/bin/sh\necho \"$@\" >>done\n"
                        "[ -e tried ] || { touch tried; exit 1; }\n")
    watch, template, _ = blocks("start-a-unit.md")
    for name, text, place, there in (
            ("certificate-revoked.service", watch, "/usr/bin/ocspctl", daemon.CLIENT),
            ("certificate-revoked@.service", template, "/usr/local/sbin/replace-certificate", script)):
        with open(os.path.join(box, name), "w") as f:
            f.write(moved(text, {place: there}))
    return watch


def test_the_units_that_a_change_starts_are_in_order(box):
    if not lab.tool("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (package systemd)")
    unit_files(box)
    for name in ("certificate-revoked.service", "certificate-revoked@.service"):
        r = clients.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", os.path.join(box, name))
        assert r.returncode == 0 and not r.stderr, r.stderr


def test_a_unit_is_started_by_a_change_until_it_succeeds(box, d, feed, started):
    """T23: ExecStart as systemd reads it (systemd.service(5), COMMAND LINES: a line that goes on, quotes, $$)."""
    executable(box, "systemctl", SYSTEMCTL)
    text = unit_files(box)
    line = re.search(r"(?m)^ExecStart=((?:.*\\\n)*.*)", text).group(1).replace("\\\n", " ").replace("$$", "$")
    words = shlex.split(moved(line, {"http://127.0.0.1:8081": "http://127.0.0.1:%d" % d.api_port}))
    assert words[0] == "/usr/bin/ocspctl"
    body = '{"issuer":"demo","serial":"2"}\n{"issuer":"demo","serial":"3"}\n'
    assert d.api("PUT", "/v1/watchlists/web", body, headers={"Content-Type": "application/x-ndjson"})[0] == 201
    started(Watcher(box, d, "exec " + shlex.join([daemon.CLIENT, *words[1:]])))
    feed.bring(d, [entry(1), entry(2, "certificateHold"), entry(4)])
    done = os.path.join(box, "done")
    lab.wait(lambda: os.path.exists(done) and open(done).read() == "demo:2\n" * 2, 20, "the unit, once more")
    feed.bring(d, [entry(1), entry(3), entry(4)])  # 2 is good again: no unit
    lab.wait(lambda: open(done).read() == "demo:2\n" * 2 + "demo:3\n", 20, "the next unit")
