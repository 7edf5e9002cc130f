"""What is heard from the first accept on: clients, snapshots and commands that do not wait for readyz.

Each daemon here begins on what another life left, and is asked from the moment at which its port can be connected to.
"""
import glob
import hashlib
import os
import re
import shutil
import threading
import time

import pytest

import lab
from daemon import FAST, Watch
from lab import read
from lists import crl, entry, many, put

LISTED, OTHER = 0xBAD, 0x900D
ANSWER_TIMEOUT = 8


class Asker(threading.Thread):
    """Asks for one of the questions after the other, on new connections, until end().

    heard: the question's number, when it was asked, how long it took, and what came; None where nothing did."""

    def __init__(self, d, questions):
        super().__init__(daemon=True)
        self.d, self.questions, self.heard, self.over = d, questions, [], threading.Event()
        self.start()

    def run(self):
        n = 0
        while not self.over.is_set():
            at = time.monotonic()
            try:
                answer = lab.outcome(self.d.post(self.questions[n % len(self.questions)], timeout=30).body)
            except (ConnectionRefusedError, ConnectionResetError):
                time.sleep(0.0005)
                continue
            self.heard.append((n % len(self.questions), at, time.monotonic() - at, answer))
            n += 1

    def end(self):
        lab.wait(lambda: len(self.heard) > 5 * len(self.questions), 20, "answers")
        self.over.set()
        self.join()
        return self.heard


def wait_accept(port):
    lab.wait(lambda: lab.connects(port), 20, "the first accept")


def ready(d):
    wait_accept(d.api_port)
    lab.wait(lambda: d.api("GET", "/readyz")[0] == 200, 30, "readyz")


def wait_durable(d, feed):
    """What comes into force is durable a moment later; a kill before is as if it had not come."""
    body, path = feed.publisher[feed.path].body, os.path.join(d.options["state-directory"], "crl", "*", "current")
    lab.wait(lambda: [open(p, "rb").read() for p in glob.glob(path)] == [body], 10, "the list on disk")
    feed.publisher[feed.path].mode = 503  # from now on nobody but the disk knows it


def lagging(ca, responders):
    """A responder that has not heard of any revocation."""
    r = responders(ca, this=-4000)  # older than the lists
    ca.statuses = {LISTED: {"status": "good"}, OTHER: {"status": "good"}}
    return r


@pytest.mark.parametrize("store", ["memory:", "lmdb:", "redis"])
def test_a_listed_certificate_is_good_at_no_moment_of_a_start(store, box, feed, daemons, responders, request):
    """T19: the good one is in the store, and the responder still says it; the list is in the state directory."""
    url = request.getfixturevalue("redis").url if store == "redis" else store + (box + "/s" if store == "lmdb:" else "")
    r = lagging(feed.ca, responders)
    d = daemons([feed.issuer(ocsp=[r.url])], store=url, **FAST).start()
    assert lab.outcome(d.ask(feed.ca, LISTED).body) == "good"
    feed.bring(d, [entry(1), entry(LISTED)])
    assert lab.outcome(d.ask(feed.ca, LISTED).body) == "try_later"
    wait_durable(d, feed)
    for _ in range(3):
        d.kill()
        askers = [Asker(d, [lab.request(feed.ca, LISTED), lab.request(feed.ca, OTHER)]) for _ in range(2)]
        d.spawn()
        ready(d)
        for a in askers:
            heard = a.end()
            assert {h[3] for h in heard if h[0] == 0} == {"try_later"}, heard[:20]
            assert {h[3] for h in heard if h[0] == 1} == {"good"}, heard[:20]
            # On a shared store a killed node's lease may have to end first.
            assert max(h[2] for h in heard) < (ANSWER_TIMEOUT + 1) * lab.PATIENCE


def test_a_million_entries_are_waited_for(box, feed, daemons, responders, streams):
    """T19: it takes some tenths of a second to open them; who asks before gets his answer after."""
    first = 1 << 60
    r = lagging(feed.ca, responders)
    feed.ca.statuses[first + 999_999] = {"status": "good"}
    d = daemons([feed.issuer(ocsp=[r.url])], store="lmdb:" + box + "/s", **FAST).start()
    feed.bring(d, [many(first, 1_000_000)])
    wait_durable(d, feed)
    d.kill()
    a = Asker(d, [lab.request(feed.ca, first + 999_999), lab.request(feed.ca, OTHER)])
    d.spawn()
    wait_accept(d.api_port)
    status = d.status("demo", first)
    s = streams(d, "snapshot=1&issuer=demo", read=True)
    ready(d)
    assert status["status"] == "revoked"
    heard = a.end()
    assert {h[3] for h in heard if h[0] == 0} == {"try_later"}
    assert {h[3] for h in heard if h[0] == 1} <= {"good"}
    assert max(h[2] for h in heard) < ANSWER_TIMEOUT * lab.PATIENCE
    lab.wait(lambda: s.got("snapshot"), 10, "the snapshot")


N = 1000


class Fleet:
    """N issuers of one key, each with a list of its own that is a file; and the state directory that a life leaves
    which had them all in force and told (proxy/lists/crl_state.h): a life of its own would take seconds of fsync."""

    def __init__(self, box, state):
        self.box, self.state, key = box, state, lab.new_key()
        self.ca = [lab.CA("Fleet CA %d" % i, key=key) for i in range(N)]
        for i in range(N):
            self.ca[i].write(self.path(i, "pem"))
            self.publish(i, [entry(LISTED)], 1)

    def leave(self):
        for i in range(N):
            scope = "f%d\0file://%s" % (i, self.path(i, "crl"))
            d = os.path.join(self.state, "crl", hashlib.sha256(scope.encode()).hexdigest())
            os.makedirs(d, 0o700)
            shutil.copy(self.path(i, "crl"), d + "/current")
            os.link(d + "/current", d + "/told")

    def path(self, i, kind):
        return "%s/f%d.%s" % (self.box, i, kind)

    def publish(self, i, entries, number):
        put(self.path(i, "crl"), crl(self.ca[i], entries, number=number, this=number - 100))

    def issuers(self, responder):
        return [{"name": "f%d" % i, "certificate": self.path(i, "pem"), "ocsp": [responder],
                 "crl": ["file://" + self.path(i, "crl")], "crl-interval": "1h"} for i in range(N)]


def test_a_start_with_a_thousand_issuers(box, daemons, responders, streams, started):  # noqa: F811
    """T19, R70, R72: clients, a snapshot and a command of the first milliseconds hear of everything: what was
    revoked, what was revoked while nobody ran, and a hold that a newer answer ends."""
    fleet = Fleet(box, os.path.join(box, "state"))
    held, new, last = 7, range(100, N, 100), N - 1
    fleet.publish(held, [entry(LISTED), entry(OTHER, "certificateHold")], 2)
    r = responders(*(fleet.ca[i] for i in (held, last, 0)), this=-10)
    for ca in r.cas:
        ca.statuses = {LISTED: {"status": "good"}, OTHER: {"status": "good"}}
    fleet.leave()
    d = daemons(fleet.issuers(r.url), store="lmdb:" + box + "/s", state_directory=fleet.state, **FAST)
    for i in new:
        fleet.publish(i, [entry(LISTED), entry(OTHER)], 3)
    a = Asker(d, [lab.request(fleet.ca[i], LISTED) for i in (last, 0)])
    d.spawn()
    wait_accept(d.api_port)
    s, plain = streams(d, "snapshot=1"), streams(d)
    out = os.path.join(box, "out")
    started(Watch(d.api_port, "--snapshot", "--batch", "--exec", "cat >>" + out, "--place", out + ".place"))
    plain.ready()
    assert lab.outcome(d.ask(fleet.ca[held], OTHER).body) == "good"
    ready(d)
    heard = a.end()
    assert {h[3] for h in heard} == {"try_later"}, heard[:20]
    assert max(h[2] for h in heard) < ANSWER_TIMEOUT * lab.PATIENCE
    listed = {("f%d" % i, LISTED, "revoked") for i in range(N)}
    came = {("f%d" % i, OTHER, "revoked") for i in new}

    def told(s, kind):
        return {(c["issuer"], int(c["serial"], 16), c["status"]) for c in s.changes(kind)}
    lab.wait(lambda: listed <= told(s, "snapshot"), 20, "the snapshot")
    lab.wait(lambda: came <= told(s, "snapshot") | told(s, "changes"), 20, "what came")
    lab.wait(lambda: came | {("f%d" % held, OTHER, "good")} <= told(plain, "changes"), 20, "the end of the hold")
    lab.wait(lambda: all(re.search(r'"issuer":"%s".*"serial":"%x".*"status":"%s"' % c, read(out))
                         for c in [*sorted(listed)[::37], *came]), 20, "the command")


def test_a_list_whose_url_changes_revokes_until_the_new_one_does(feed, daemons, responders):  # noqa: F811
    """T19: at the reload, and for as long as the new place is away."""
    r = lagging(feed.ca, responders)
    d = daemons([feed.issuer(ocsp=[r.url])], **FAST).start()
    feed.bring(d, [entry(1), entry(LISTED)])
    feed.path = "moved.crl"
    feed.url = feed.publisher.url(feed.path)
    feed.publish([entry(1), entry(LISTED)])
    feed.publisher[feed.path].mode = 503
    a = Asker(d, [lab.request(feed.ca, LISTED), lab.request(feed.ca, OTHER)])
    d.issuers = [feed.issuer(ocsp=[r.url])]
    d.write()
    d.reload()
    lab.wait(lambda: d.crls().get(feed.url, {}).get("last_error"), 10, "a fetch that fails")
    assert d.status("demo", LISTED)["status"] == "revoked"
    assert d.status("demo", OTHER)["status"] == "good"
    feed.publisher[feed.path].mode = "ok"
    d.wait_number(feed.url, feed.count)
    heard = a.end()
    assert {h[3] for h in heard if h[0] == 0} == {"try_later"}, heard[:20]
    assert {h[3] for h in heard if h[0] == 1} == {"good"}, heard[:20]
