"""When OCSP and the lists disagree: each row of the table of who wins, from answer to status.

What counts is which of the two is newer, so answers and lists have times of their own: the list's thisUpdate is
LIST seconds ago, an older answer's before that, a newer one's after it.
"""
import time

import pytest

import lab
from lists import crl, entry

LIST, OLDER, NEWER = -600, -900, -300
FAST = dict(backoff_initial="20ms", backoff_max="500ms", crl_backoff_max="100ms", error_ttl="100ms",
            refresh_min="100ms")


class Site:
    """An issuer with OCSP and one list, and a daemon in front of both."""

    def __init__(self, world, publisher, daemons, **more):
        self.world, self.ca, self.publisher = world, world.ca, publisher
        self.serial = world.good.serial
        self.count = 1
        self.url = publisher.publish("a.crl", crl(self.ca, [], this=2 * LIST))
        self.d = daemons([world.issuer(crl=[self.url])], **dict(FAST, **more)).start()

    def say(self, status, this, **more):
        """What the responder says of the certificate from now on."""
        self.ca.statuses[self.serial] = dict({"status": status, "this": this}, **more)

    def publish(self, *entries, this=LIST):
        """The next list, in force when this returns."""
        self.count += 1
        self.publisher.publish("a.crl", crl(self.ca, entries, number=self.count, this=this))
        self.d.refresh()
        self.d.wait_number(self.url, self.count)

    def list_it(self, reason="keyCompromise", **more):
        self.publish(entry(self.serial, reason), **more)

    def ask(self):
        return self.d.ask(self.ca, self.serial)

    def status(self):
        return self.d.status("demo", self.serial)

    @property
    def fetches(self):
        return self.world.responder.serials().count(self.serial)


@pytest.fixture
def site(world, publisher, daemons):
    return Site(world, publisher, daemons)


# R71, first row, T19: revoked by the list, good in the cache.
@pytest.mark.parametrize("this", [OLDER, NEWER])
def test_a_cached_good_is_not_served_once_a_list_has_the_certificate(site, this):
    site.say("good", this)
    assert site.ask().outcome == "good" and site.ask().hit
    site.say("revoked", NEWER, reason="key_compromise")
    site.list_it()
    r = site.ask()
    assert r.outcome == "revoked" and r.miss  # a flight, and no other answer before it
    assert site.status()["status"] == "revoked"
    assert site.fetches == 2


def test_a_cached_good_is_refused_while_the_responder_is_away(site):
    """R71, first row: no answer rather than a wrong one."""
    site.say("good", OLDER)
    assert site.ask().outcome == "good"
    site.world.responder.mode = "500"
    site.list_it()
    assert site.ask().outcome == "try_later"
    assert site.status()["status"] == "revoked"


def test_a_fetched_good_that_is_not_newer_is_refused(site):
    """R71, second row: contradicted_by_crl, tryLater, and no alarm: the responder is behind."""
    site.say("good", OLDER)
    site.list_it()
    assert site.ask().outcome == "try_later"
    status = site.status()
    assert (status["status"], status["reason"], status["disagree"]) == ("revoked", "keyCompromise", False)
    assert status["revoked_at"] == "2026-01-02T03:04:05Z"
    assert site.d.metric("contradicted_by_crl_total") == 1 and not site.d.events("ocsp_and_crl_disagree")
    assert site.d.metric("refused_total", **{"from": "upstream"}) == 0  # an alert that does not wait for it
    # A newer list, a newer good that is older than it.
    site.list_it(this=LIST + 60)
    site.say("good", LIST + 30)
    site.ask()
    assert site.status()["disagree"] is False and not site.d.events("ocsp_and_crl_disagree")
    # Recovered, the answer goes through.
    site.say("revoked", NEWER, reason="key_compromise")
    lab.wait(lambda: site.ask().outcome == "revoked", 5, "the retry")


def test_a_fetched_good_that_is_newer_is_refused_and_an_alarm(site):
    """R71, third row: the same, and "disagree" is true until one of the two gives in."""
    site.say("good", NEWER)
    site.list_it()
    assert site.ask().outcome == "try_later"
    status = site.status()
    assert (status["status"], status["disagree"]) == ("revoked", True)
    assert {(e["kind"], e["status"]) for e in status["evidence"]} == {("crl", "revoked"), ("ocsp", "good")}
    assert site.d.metric("contradicted_by_crl_total") >= 1
    assert site.d.metric("ocsp_crl_disagreements_total") == site.d.metric("contradicted_by_crl_total")
    alarms = site.d.events("ocsp_and_crl_disagree")
    assert len(alarms) == site.d.metric("contradicted_by_crl_total") and "level=error" in alarms[0]
    # A newer list that has it too: the answer is the older one now.
    site.list_it(this=NEWER + 60)
    assert (site.status()["status"], site.status()["disagree"]) == ("revoked", False)
    # One that drops it: no latch was made of a list.
    site.publish(this=NEWER + 90)
    site.say("good", NEWER + 120)
    lab.wait(lambda: site.ask().outcome == "good", 5, "the good answer")
    assert (site.status()["status"], site.status()["disagree"]) == ("good", False)


def test_a_hold_ends_with_a_newer_good(site):
    """R70, R71, fourth row."""
    site.list_it("certificateHold")
    site.say("good", OLDER)
    assert site.ask().outcome == "try_later"
    assert (site.status()["status"], site.status()["reason"]) == ("revoked", "certificateHold")
    site.say("good", NEWER)
    lab.wait(lambda: site.ask().outcome == "good", 5, "the newer good")
    assert site.ask().hit
    assert (site.status()["status"], site.status()["disagree"]) == ("good", False)
    # And is on again with a list that is newer still.
    site.list_it("certificateHold", this=NEWER + 60)
    assert site.status()["status"] == "revoked" and site.ask().outcome == "try_later"


def test_revoked_is_served_although_no_list_has_it(site):
    """R71, last row."""
    site.publish(entry(7))
    site.say("revoked", OLDER, reason="key_compromise")
    assert site.status()["status"] == "good"  # as the list says
    assert site.ask().outcome == "revoked" and site.ask().hit
    status = site.status()
    assert (status["status"], status["reason"]) == ("revoked", "keyCompromise")
    assert {e["kind"] for e in status["evidence"]} == {"latch", "ocsp", "crl"}
    # Not even a newer list makes it good again (R69).
    site.publish(entry(7), this=NEWER)
    assert site.status()["status"] == "revoked" and site.ask().outcome == "revoked"


def test_a_list_says_nothing_of_what_it_does_not_cover_any_more(site):
    """R94, R71: past its nextUpdate a list revokes still, and what it does not have is the responder's to say."""
    site.say("good", NEWER)
    other = site.world.ca.issue(key=site.world.good.key)
    site.count += 1
    site.publisher.publish("a.crl", crl(site.ca, [entry(other.serial)], number=site.count, this=-300, next=1))
    site.d.refresh()
    site.d.wait_number(site.url, site.count)
    lab.wait(lambda: site.d.metric("crl_next_update_seconds", issuer="demo") < 0, 5, "the list's end")
    assert site.ask().outcome == "good"
    assert site.d.ask(site.ca, other.serial).outcome == "try_later"
    assert site.d.status("demo", other.serial)["status"] == "revoked"


def test_a_contradicted_certificate_that_is_hot_costs_a_fetch_for_each_step(world, publisher, daemons):
    """R71, T13: other hits join, and the responder is asked again with back-off."""
    site = Site(world, publisher, daemons, backoff_initial="200ms", backoff_max="10s", error_ttl="500ms")
    site.say("good", OLDER)
    assert site.ask().outcome == "good"
    site.list_it()
    before = site.fetches
    began = time.monotonic()
    for _ in range(200):
        assert site.ask().outcome == "try_later"
    while time.monotonic() - began < 2:
        assert site.ask().outcome == "try_later"
    assert 1 <= site.fetches - before <= 5  # at once, after 0.5, 1, 2 s
    # The responder itself is well: others are answered.
    other = site.ca.issue(key=world.good.key)
    assert site.d.ask(site.ca, other.serial).outcome == "good"


def test_every_hash_algorithm_is_contradicted(site):
    """R71: a list speaks of certificates, not of keys."""
    site.say("good", OLDER)
    for h in ("sha1", "sha256"):
        assert site.d.ask(site.ca, site.serial, h).outcome == "good"
    site.list_it()
    for h in ("sha1", "sha256"):
        assert site.d.ask(site.ca, site.serial, h).outcome == "try_later"


def test_what_the_store_holds_is_contradicted_too(box, world, publisher, daemons):
    """R71, T16, T19: a good from before, out of LMDB or from Redis, and a restart."""
    site = Site(world, publisher, daemons, store="lmdb:" + box + "/store")
    site.say("good", OLDER)
    assert site.ask().outcome == "good"
    lab.wait(lambda: site.d.metric("store_entries") == 1, 5, "the write")
    site.list_it()
    site.d.stop()
    world.responder.mode = "500"
    site.d.start()
    assert site.ask().outcome == "try_later"
    assert site.status()["status"] == "revoked"


def test_nonces_do_not_go_round_the_list(world, publisher, daemons):
    """R71: what is forwarded and not kept meets the same door."""
    url = publisher.publish("a.crl", crl(world.ca, [entry(world.good.serial)], this=LIST))
    d = daemons([world.issuer(crl=[url], nonce="forward")], **FAST).start()
    world.ca.statuses[world.good.serial] = {"status": "good", "this": OLDER}
    der = lab.request(world.ca, world.good.serial, nonce=b"0123456789abcdef")
    assert d.post(der).outcome == "try_later"


def test_explain_shows_the_check_of_the_list(site):
    """R71: who asks why gets the reason."""
    site.say("good", NEWER)
    site.list_it()
    status, body = site.d.api("GET", "/v1/explain/demo/%x" % site.serial)
    assert status == 200
    asked = [a for a in body["answers"] if a["from"] == "upstream"]
    assert asked and not asked[0]["admitted"]
    failed = [c for c in asked[0]["checks"] if not c["ok"]]
    assert [c["code"] for c in failed] == ["contradicted_by_crl"], asked
    r = site.d.ctl("explain", "demo", "%x" % site.serial)
    assert "contradicted_by_crl" in r.stdout + r.stderr
