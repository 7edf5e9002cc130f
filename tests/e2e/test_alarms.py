"""What is wrong now: GET /v1/alarms, ocspctl alarms, ocspcached_alarm, and the one table that they come from."""
import json
import os
import re
import socket

import daemon
import lab
import lists

FAST = dict(backoff_initial="20ms", backoff_max="100ms", crl_backoff_max="100ms", store_backoff_max="100ms",
            error_ttl="0s", refresh_min="100ms")
ROW = re.compile(r'^ALARM\(\w+, "(\w+)", "(\w+)", LOG_(\w+),\s*(\d+),\s*"([^"]*)",\s*"([^"]*)",\s*"([^"]*)"\)', re.M)


def alarms(d):
    status, rows = d.api("GET", "/v1/alarms")
    assert status == 200
    return {(a["alarm"], a["issuer"], a["subject"]): a for a in rows}


def wait(d, *key, gone=False):
    lab.wait(lambda: (key in alarms(d)) != gone, 10, "%s to be %s" % (key, "cleared" if gone else "raised"))
    return alarms(d).get(key)


def test_the_manual_has_every_row():
    """ocspcached(8), ALARMS: name, subject, meaning, remedy and event of proxy/base/alarms.def."""
    man = lab.read(os.path.join(daemon.TOP, "proxy", "ocspcached.8"))
    section = man[man.index(".Sh ALARMS"):man.index(".Sh LOG EVENTS")]
    table = lab.read(os.path.join(daemon.TOP, "proxy", "base", "alarms.def"))
    found = ROW.findall(table)
    assert len(found) == table.count("\nALARM(") and found
    wanted = []
    for name, event, level, stands, subject, meaning, remedy in found:
        hours = int(stands) // 3600
        wanted.append(".It %s\nSubject: %s.\n%s\nRemedy: %s.\nLog event\n.Cm %s .\n" % (name, subject, meaning, remedy, event)
                      + ("Of a moment: %d hour%s.\n" % (hours, "" if hours == 1 else "s") if hours else ""))
        assert re.search(r"^\.It %s \( %s" % (event, level.lower()), man, re.M), event
    assert section[section.index(".It "):section.index(".El")] == "".join(wanted)


def test_lists_that_are_late_or_refused(box, publisher, daemons):
    """Raised once with the list's URL, cleared by the next good one and by a reload that takes the list away."""
    ca = lab.CA("late CA")
    url = publisher.publish("a.crl", lists.crl(ca, [], next=2))
    d = daemons([lists_issuer(box, ca, url)], **FAST).start()
    assert alarms(d) == {}
    a = wait(d, "crl_overdue", "demo", url)
    assert a["detail"] and a["node"] == socket.gethostname() and re.match(r"20\d\d-\d\d-\d\dT.*Z$", a["since"])
    assert d.metric("alarm", alarm="crl_overdue", issuer="demo") == 1
    publisher.publish("a.crl", b"<html>")
    d.refresh()
    assert "a web page and not a list" in wait(d, "crl_refused", "demo", url)["detail"]
    r = d.ctl("alarms")
    assert r.returncode == 2 and "crl_refused" in r.stdout and url in r.stdout and "see why in detail; tell the CA" in r.stdout
    assert {row["alarm"] for row in json.loads(d.ctl("--json", "alarms").stdout)} == {"crl_overdue", "crl_refused"}
    publisher.publish("a.crl", lists.crl(ca, [], number=2))
    d.refresh()
    wait(d, "crl_refused", "demo", url, gone=True)
    wait(d, "crl_overdue", "demo", url, gone=True)
    r = d.ctl("alarms")
    assert (r.returncode, r.stdout) == (0, "")
    publisher.publish("a.crl", lists.crl(ca, [], number=1, this=-30))  # R95
    d.refresh()
    wait(d, "crl_number_back", "demo", url)
    d.issuers = [lists_issuer(box, ca, publisher.publish("b.crl", lists.crl(ca, [], number=3)))]
    d.write()
    d.reload()
    wait(d, "crl_number_back", "demo", url, gone=True)
    assert alarms(d) == {}


def lists_issuer(box, ca, url):
    return {"name": "demo", "certificate": ca.write(os.path.join(box, "late.pem")), "crl": [url], "crl-interval": "10s"}


def test_responders_reloads_and_the_store(world, daemons, redis):
    """A responder by its URL, mistakes with the first of them, a store that is away; each until it is over."""
    d = daemons([world.issuer()], store=redis.url, **FAST).start()
    d.ask(world.ca, world.good.serial)
    lab.wait(lambda: alarms(d) == {}, 10, "all to be well")
    world.responder.stop()
    down = ("responder_down", "demo", world.responder.url)
    lab.wait(lambda: [d.refresh(serial=world.good.serial)] and down in alarms(d), 10, "the responder to be down")
    world.responder.start()
    lab.wait(lambda: d.ask(world.ca, world.revoked.serial) and down not in alarms(d), 10, "the responder to be up")
    d.write("nonsense = 1\n")
    d.reload(good=False)
    assert "no issuer is configured" in wait(d, "reload_failed", None, d.conf)["detail"]
    d.write()
    d.reload()
    wait(d, "reload_failed", None, d.conf, gone=True)
    redis.stop()
    wait(d, "store_down", None, "store")
    wait(d, "log_down", None, "change log")
    redis.start()
    wait(d, "store_down", None, "store", gone=True)
    wait(d, "log_down", None, "change log", gone=True)


class Hole:
    """A place to which no connection comes through: it listens, and takes nobody out of its full queue."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.waiting = []
        lab.wait(self.is_full, 10, "the queue to be full")
        self.url = "http://127.0.0.1:%d/" % self.socket.getsockname()[1]

    def is_full(self):
        s = socket.socket()
        self.waiting.append(s)
        s.settimeout(0.3)
        try:
            s.connect(self.socket.getsockname())
        except socket.timeout:
            return True
        return False

    def close(self):
        for s in self.waiting + [self.socket]:
            s.close()


def test_a_responder_that_a_reload_removes_is_not_down_for_ever(world, daemons):
    """Its fetch fails when nobody asks it any more."""
    hole = Hole()
    d = daemons([world.issuer(ocsp=[hole.url])], upstream_timeout="3s", **FAST).start()
    d.refresh(serial=world.good.serial)
    lab.wait(lambda: d.metric("upstream_in_flight", issuer="demo") == 1, 10, "the question")
    d.issuers = [world.issuer()]
    d.write()
    d.reload()
    d.wait_event("upstream_failed", seconds=20)
    wait(d, "responder_down", "demo", hole.url, gone=True)
    assert d.ask(world.ca, world.good.serial).outcome == "good" and alarms(d) == {}
    hole.close()


def told(d, since):
    """(raised, cleared) of the page of events behind a place, by name and subject."""
    events = [e for e in page(d, since)["events"] if e["event"] == "alarms"]
    return [[(a["alarm"], a["issuer"], a["subject"]) for e in events for a in e["data"][which]]
            for which in ("raised", "cleared")]


def page(d, since=None):
    status, body = d.api("GET", "/v1/events" + ("?since=" + since if since else ""),
                         headers={"Accept": "application/json"})
    assert status in (200, 503)  # while the log is away
    return body if status == 200 else {"events": [], "position": None}


def test_each_raise_and_each_clear_is_an_event(world, daemons):
    """The CA is away, and comes back: raised and cleared, once, as GET /v1/alarms has it."""
    d = daemons([world.issuer()], **FAST).start()
    d.ask(world.ca, world.good.serial)
    start = page(d)["position"]
    world.responder.stop()
    down = ("responder_down", "demo", world.responder.url)
    lab.wait(lambda: [d.refresh(serial=world.good.serial)] and down in alarms(d), 10, "the responder to be down")
    lab.wait(lambda: told(d, start) == [[down], []], 10, "the event")
    [event] = page(d, start)["events"]
    assert event["data"]["node"] == socket.gethostname() and event["data"]["seen_at"].endswith("Z")
    [raised] = event["data"]["raised"]
    assert dict(raised, detail="") == dict(alarms(d)[down], detail="") and raised["detail"]
    world.responder.start()
    lab.wait(lambda: d.ask(world.ca, world.revoked.serial) and down not in alarms(d), 10, "the responder to be up")
    lab.wait(lambda: told(d, start)[1], 10, "the event")
    assert told(d, start) == [[down], [down]]


def test_a_log_that_is_away_is_told_of_when_it_is_back(box, world, daemons):
    """Nobody can be told while it lasts; then of both, and nothing goes round in circles."""
    redis = lab.Redis(box, durable=True)
    d = daemons([world.issuer()], store=redis.url, **FAST).start()
    start = lab.wait(lambda: page(d)["position"], 10, "the log")
    redis.stop()
    for what in (("store_down", None, "store"), ("log_down", None, "change log")):
        wait(d, *what)
    redis.start()
    lab.wait(lambda: alarms(d) == {}, 10, "all to be well")

    def all_over():
        raised, cleared = told(d, start)
        return len(raised) >= 2 and sorted(raised, key=str) == sorted(cleared, key=str) and raised
    raised = lab.wait(all_over, 10, "the events")
    assert {a for a, _, _ in raised} == {"store_down", "log_down"}
    redis.stop()


def test_what_a_kill_left_is_kept(box, world, daemons):
    """What is told as raised is on disk before it is told, and what is over leaves it."""
    d = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "store"), **FAST).start()
    file = os.path.join(d.options["state-directory"], "alarms.json")
    d.write("nonsense = 1\n")
    d.reload(good=False)
    kept = lab.wait(lambda: os.path.exists(file) and json.loads(lab.read(file))["raised"], 10, "the file")
    assert [(a["alarm"], a["issuer"], a["subject"], a["node"]) for a in kept] == [
        ("reload_failed", "", d.conf, socket.gethostname())]
    assert lab.wait(lambda: d.metric("alarm_events_total"), 10, "the log") == 1
    d.write()
    d.kill()
    d.start()
    assert alarms(d) == {} and json.loads(lab.read(file))["raised"] == kept
    d.write("nonsense = 1\n")
    d.reload(good=False)  # as in the life before: nothing to be told
    d.write()
    d.reload()
    lab.wait(lambda: json.loads(lab.read(file))["raised"] == [], 10, "its end on disk")
    assert d.metric("alarm_events_total") == 1


def test_only_get(world, daemons):
    d = daemons([world.issuer()]).start()
    assert d.api("POST", "/v1/alarms", b"{}")[0] == 405 and d.api("GET", "/v1/alarms/x")[0] == 404
