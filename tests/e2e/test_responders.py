"""Responders as they are: errors for one certificate, fronts that take POST only, URLs with a query."""
import lab

FAST = dict(backoff_initial="20ms", backoff_max="100ms", refresh_min="100ms", error_ttl="0s")
OCSP = "application/ocsp-response"


def serial_asked(der):
    return lab.aocsp.OCSPRequest.load(der)["tbs_request"]["request_list"][0]["req_cert"]["serial_number"].native


def test_errors_for_strangers_keep_nobody_from_answers(worlds, daemons):
    """T13: while anybody asks for serials that get an error, used answers are refreshed and others are fetched."""
    errors = {"not-found": (404, "text/html", b"no"), "broken": (500, "text/html", b"no"),
              "internal": (200, OCSP, lab.error("internal_error")), "later": (200, OCSP, lab.error("try_later"))}
    sites = {}
    for name, said in errors.items():
        w = sites[name] = worlds(name=name, life=4)
        w.responder.raw = lambda _, der, w=w, said=said: None if serial_asked(der) in w.ca.statuses else said
    d = daemons([w.issuer() for w in sites.values()], refresh_jitter=0, error_ttl="2s", log_repeat="10s").start()
    for w in sites.values():
        w.key = lab.new_key()
        assert d.ask(w.ca, w.good.serial).outcome == "good"

    def refreshed():
        for name, w in sites.items():
            assert d.ask(w.ca, w.ca.issue(key=w.key).serial + 1).outcome == "try_later", name
            assert d.ask(w.ca, w.ca.issue(key=w.key).serial).outcome == "good", name
            r = d.ask(w.ca, w.good.serial)
            assert r.outcome == "good" and r.hit, name
        return all(w.responder.serials().count(w.good.serial) >= 2 for w in sites.values())
    lab.wait(refreshed, 20, "the refreshes")
    assert not d.events("upstream_failed") and d.events("upstream_error")
    for w in sites.values():
        assert d.metric("responder_healthy", issuer=w.name, url=w.responder.url) == 1


def test_a_responder_that_is_sick_is_found_so_by_what_it_answered_before(world, daemons):
    """T13: several certificates that it has answered before, and probed with one of these: not with strangers."""
    d = daemons([world.issuer()], **dict(FAST, backoff_initial="300ms", backoff_max="300ms", revalidate_min="0s")).start()
    leaves = [world.ca.issue(key=world.good.key) for _ in range(3)]
    for p in leaves:
        assert d.ask(world.ca, p.serial).outcome == "good"
    world.responder.raw = lambda _, der: (500, "text/html", b"sorry")
    for n in range(5):
        assert d.ask(world.ca, 10**9 + n).outcome == "try_later"
    assert not d.events("upstream_failed")
    for p in leaves:  # what is held goes on, and each is asked for anew
        assert d.post(lab.request(world.ca, p.serial), more="Cache-Control: no-cache\r\n").outcome == "good"
    d.wait_event("upstream_failed")
    assert d.metric("responder_healthy", issuer="demo", url=world.responder.url) == 0
    world.responder.raw = lambda _, der: None if serial_asked(der) < 10**9 or serial_asked(der) in world.ca.statuses \
        else (500, "text/html", b"no such certificate")
    before = world.responder.count
    # only strangers ask, and get errors for theirs, and the recovery is noticed all the same
    lab.wait(lambda: d.ask(world.ca, 2 * 10**9).outcome == "try_later" and d.events("upstream_recovered"), 10, "recovery")
    assert set(world.responder.serials()[before:]) & {p.serial for p in leaves}
    assert d.ask(world.ca, world.good.serial).outcome == "good"
