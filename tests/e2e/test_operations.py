"""What an operator does: test a configuration, reload, stop, look at metrics and logs, ask ocspctl."""
import glob
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest

import daemon
import lab
import wire


def messages(text, conf):
    """line number -> message."""
    found = {}
    for line in text.splitlines():
        m = re.match(r"(?:error: |warning: )?%s:(\d+): (.*)" % re.escape(conf), line)
        if m:
            found.setdefault(int(m.group(1)), []).append(m.group(2))
    return found


def test_every_mistake_is_named_with_file_line_option_and_remedy(box, world):
    leaf = world.ca.issue().write(os.path.join(box, "leaf.pem"))
    text = [
        'listne = { "127.0.0.1:1" }',           # 1
        'workers = -3',                         # 2
        'clock-skew = "soon"',                  # 3
        'hot-cache = "12 parsecs"',             # 4
        'workers = 2',                          # 5 a duplicate
        'signer-certificate = "x"',             # 6 comes later
        'log-format = "xml"',                   # 7
        'api-listen = "0.0.0.0:8081"',          # 8
        'issuer "a" {',                         # 9
        '    certificate = "missing.pem"',      # 10
        '    ocsp = { "gopher://x/" }',         # 11
        '    source = "crl"',                   # 12
        '}',                                    # 13
        'issuer "b" {',                         # 14
        '    certificate = "%s"' % leaf,        # 15 says that it is no CA
        '    ocsp = { "http://x/" }',
        '}']
    conf = os.path.join(box, "bad.conf")
    with open(conf, "w") as f:
        f.write("\n".join(text) + "\n")
    r = daemon.check(conf, "-t")
    assert r.returncode == 2, r
    found = messages(r.stderr, conf)
    expected = {1: "listne", 2: "workers", 3: "clock-skew", 4: "hot-cache", 5: "workers", 6: "signer-certificate",
                7: "log-format", 8: "api-listen", 10: "certificate", 11: "ocsp", 12: "source", 15: "certificate"}
    missing = {n: o for n, o in expected.items() if not any(o in m for m in found.get(n, []))}
    assert not missing, "%s\n%s" % (missing, r.stderr)
    assert "listen" in " ".join(found[1]).replace("listne", "")  # did you mean
    assert "later" in found[6][0]


@pytest.mark.parametrize("tail,line", [
    ('issuer "x" {\n', 2), ('store = "memory:\n', 2), ('issuer "x" }\n', 2), ("workers\n", 2), ("= 3\n", 2)])
def test_unclosed_and_garbled(box, tail, line):
    conf = os.path.join(box, "bad.conf")
    with open(conf, "w") as f:
        f.write("workers = 1\n" + tail)
    r = daemon.check(conf, "-t")
    assert r.returncode == 2 and re.search(re.escape(conf) + r":\d+: ", r.stderr), r.stderr


def test_two_issuers_alike_are_an_error(box, world, daemons):
    d = daemons([world.issuer(), dict(world.issuer(), name="again")])
    r = daemon.check(d.conf, "-t")
    assert r.returncode == 2 and "demo" in r.stderr and "again" in r.stderr


def test_a_good_configuration_is_told_so_and_touches_nothing(box, world, daemons):
    d = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "store"))
    r = daemon.check(d.conf, "-t")
    assert r.returncode == 0, r
    assert not os.path.exists(os.path.join(box, "store")) and not os.path.exists(d.options["state-directory"])


def test_a_state_directory_that_a_start_could_not_make_is_found_by_t(box, world, daemons):
    d = daemons([world.issuer()], state_directory="/dev/null/state")
    r = daemon.check(d.conf, "-t")
    assert r.returncode == 2 and re.search(r":\d+: state-directory: /dev/null: .*; name a directory", r.stderr), r
    assert d.spawn().process.wait(15 * lab.PATIENCE) == 1  # the start says so too
    d.process = None
    state = os.path.join(box, "open")
    os.mkdir(state)
    os.chmod(state, 0o777)
    d.options["state-directory"] = state
    d.write()
    r = daemon.check(d.conf, "-t")
    assert r.returncode == 0 and re.search(r"warning: .*state-directory: .*chmod 0700", r.stderr), r
    assert os.listdir(state) == []


def test_a_password_that_was_written_by_mistake_is_shown_nowhere(box, world, daemons):
    """Neither by -t, nor by a reload's log and metrics, nor by ocspctl."""
    d = daemons([world.issuer()]).start()
    d.issuers = [world.issuer(ocsp=["http://user:s3cret@127.0.0.1:1/"], crl=["http://u:s3cret@h/ x.crl"])]
    d.options["store"] = "redis://user:s3cret@127.0.0.1:1/x"
    d.write()
    r = daemon.check(d.conf, "-t")
    assert r.returncode == 2 and r.stderr.count("http://***@") == 2 and "redis://***@" in r.stderr, r.stderr
    d.reload(good=False)
    said = r.stderr + r.stdout + d.log + d.metrics() + json.dumps(d.api("GET", "/v1/issuers"))
    for url in ("http://user:s3cret@127.0.0.1:1", "user:s3cret@host"):
        c = subprocess.run([daemon.CLIENT, "--url", url, "status"], capture_output=True, text=True)
        assert c.returncode in (64, 69) and "***@" in c.stderr, c
        said += c.stderr + c.stdout
    assert "s3cret" not in said


def test_the_printed_configuration_is_one(box, world, daemons):
    d = daemons([world.issuer(unknown_ttl="30s")], store="redis://me:secret@127.0.0.1:1/2", clock_skew="90s")
    first = daemon.check(d.conf, "-p")
    assert first.returncode == 0 and "secret" not in first.stdout and "secret" not in first.stderr
    assert "upstream-timeout" in first.stdout and "unknown-ttl" in first.stdout
    again = os.path.join(box, "again.conf")
    with open(again, "w") as f:
        f.write(first.stdout)
    second = daemon.check(again, "-p")
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout


def test_a_missing_file_and_a_bad_option_are_usage_errors(box):
    assert daemon.check(os.path.join(box, "none.conf"), "-t").returncode == 2
    assert subprocess.run([daemon.PROGRAM, "-Q"], capture_output=True).returncode == 2
    v = subprocess.run([daemon.PROGRAM, "-V"], capture_output=True, text=True)
    assert v.returncode == 0 and "ocspcached" in v.stdout and "OpenSSL" in v.stdout and "libevent" in v.stdout
    h = subprocess.run([daemon.PROGRAM, "-h"], capture_output=True, text=True)
    assert h.returncode == 0 and "-c" in h.stdout


def test_a_reload_keeps_connections_and_answers(box, worlds, daemons):
    a, b = worlds(name="a"), worlds(name="b")
    d = daemons([a.issuer()]).start()
    body = d.ask(a.ca, a.good.serial).body
    n = a.responder.count
    with d.connect() as c:
        assert c.send(wire.post(lab.request(a.ca, a.good.serial))).reply().body == body
        assert d.ask(b.ca, b.good.serial).outcome == "unauthorized"
        d.issuers.append(b.issuer())
        d.write()
        d.reload()
        r = c.send(wire.post(lab.request(a.ca, a.good.serial))).reply()  # the same connection
        assert r.hit and r.body == body
        assert c.send(wire.post(lab.request(b.ca, b.good.serial))).reply().outcome == "good"
        d.issuers.pop(0)  # a is no longer ours
        d.write()
        d.reload()
        assert c.send(wire.post(lab.request(a.ca, a.good.serial))).reply().outcome == "unauthorized"
    assert a.responder.count == n


def test_a_reload_under_load_fails_nobody(world, daemons):
    """R150"""
    import threading
    d = daemons([world.issuer()]).start()
    stop, failed = threading.Event(), []

    def load():
        with d.connect(30) as c:
            while not stop.is_set():
                r = c.send(wire.post(lab.request(world.ca, world.good.serial))).reply()
                if r.outcome != "good":
                    failed.append(r)
    threads = [threading.Thread(target=load) for _ in range(4)]
    for t in threads:
        t.start()
    for i in range(10):
        d.options["max-age-cap"] = "%ds" % (100 + i)
        d.write()
        d.reload()
    stop.set()
    for t in threads:
        t.join()
    assert not failed and world.responder.count == 1
    m = re.search(r"max-age=(\d+)", d.ask(world.ca, world.revoked.serial)["Cache-Control"])
    assert int(m.group(1)) <= 109


def test_a_bad_new_configuration_is_reported_and_the_old_one_stays(world, daemons):
    d = daemons([world.issuer()]).start()
    d.ask(world.ca, world.good.serial)
    d.write("workers = many\n")
    d.reload(good=False)
    assert d.conf + ":1" in d.log
    assert d.ask(world.ca, world.good.serial).hit
    assert d.ask(world.ca, world.revoked.serial).outcome == "revoked"
    d.write()
    d.reload()


def test_what_is_degraded_has_words_and_an_exit_code(world, daemons):
    """A reload that failed, until one works; a responder that nobody asked yet is no fault."""
    d = daemons([world.issuer()]).start()
    ctl = d.ctl("status", "--strict")
    assert (ctl.returncode, "not asked yet" in ctl.stdout) == (0, True), ctl
    assert d.api("GET", "/v1/issuers")[1][0]["responders"][0]["healthy"] is None
    assert "ocspcached_responder_healthy{" not in d.metrics()
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    assert "  healthy  " in d.ctl("status").stdout and d.metric("responder_healthy", issuer="demo") == 1
    d.write("workers = many\nlisten = 7\n")
    d.reload(good=False)
    status, ready = d.api("GET", "/readyz")
    assert status == 200 and len(ready["degraded"]) == 1, ready
    said = ready["degraded"][0]
    assert d.conf + ": no issuer is configured" in said and said.endswith("(and 2 more: ocspcached -t names all)")
    assert d.ctl("status").returncode == 0 and said in d.ctl("status").stdout
    assert d.ctl("status", "--strict").returncode == 2 == d.ctl("status", "--strict", "--json").returncode
    d.write()
    d.reload()
    assert d.ctl("status", "--strict").returncode == 0 and not d.api("GET", "/readyz")[1]["degraded"]


def test_alarms_name_the_certificate_and_latches_are_listed(world, worlds, daemons):
    """Who has to act finds which certificate it is, in the alarm and in a list, and takes its latch back by that."""
    other = worlds(name="other")
    d = daemons([world.issuer(), other.issuer()], backoff_initial="10ms", backoff_max="20ms", error_ttl="0s").start()
    serial = "%x" % world.revoked.serial
    assert d.api("GET", "/v1/latches") == (200, [])
    assert d.ask(world.ca, world.revoked.serial).outcome == "revoked"
    assert d.ask(other.ca, other.revoked.serial).outcome == "revoked"
    world.ca.statuses[world.revoked.serial] = {"status": "good"}
    assert d.ask(world.ca, world.revoked.serial, "sha256").outcome == "try_later"
    assert "serial=" + serial in d.wait_event("revoked_became_good")[0]
    status, latches = d.api("GET", "/v1/latches?issuer=demo")
    assert status == 200 and len(latches) == 1
    since = latches[0].pop("since")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", since)
    told = d.api("GET", "/v1/status/demo/" + serial)[1]
    assert latches[0] == {"issuer": "demo", "serial": serial, "status": "revoked", "revoked_at": told["revoked_at"],
                          "reason": "keyCompromise"}
    assert [x["issuer"] for x in d.api("GET", "/v1/latches")[1]] == ["demo", "other"]
    assert d.api("GET", "/v1/latches?issuer=nobody")[0] == 404 == d.api("DELETE", "/v1/latches/other/1")[0]

    line = "demo  %s  %s  keyCompromise  %s\n" % (serial, told["revoked_at"], since)
    assert d.ctl("latches", "demo").stdout == line and d.ctl("latches").stdout.startswith(line)
    assert json.loads(d.ctl("latches", "--json").stdout) == d.api("GET", "/v1/latches")[1]
    assert d.ctl("latches", "nobody").returncode == 64
    assert d.api("DELETE", "/v1/latches/demo/" + serial)[0] == 204
    assert (d.ctl("latches", "demo").stdout, d.ctl("latches", "demo").returncode) == ("", 0)
    assert d.ctl("latches", "demo", "--json").stdout == "[]\n"


def test_an_option_that_needs_a_restart_says_so(world, daemons):
    d = daemons([world.issuer()]).start()
    d.options["workers"] = 1
    d.write()
    d.reload()
    assert lab.wait(lambda: any("workers" in line and "restart" in line for line in d.log.splitlines()), 5, "the word")


def test_term_lets_requests_in_progress_end(world, daemons):
    d = daemons([world.issuer()], drain_timeout="5s").start()
    world.responder.delay = 1
    idle = d.connect()
    c = d.connect(20).send(wire.post(lab.request(world.ca, world.good.serial)))
    lab.wait(lambda: world.responder.count == 1, 5, "the fetch")
    start = time.monotonic()
    d.signal(signal.SIGTERM)
    assert idle.closed() and time.monotonic() - start < 0.9 * lab.PATIENCE  # an idle one is closed at once
    lab.wait(lambda: not lab.connects(d.port), 10, "the listener to close")
    assert c.reply().outcome == "good" and c.closed()
    d.stop()
    assert time.monotonic() - start < 4 * lab.PATIENCE


def test_term_waits_no_longer_than_drain_timeout_and_a_second_one_not_at_all(world, daemons):
    world.responder.mode = "hang"
    for drain, second in (("500ms", False), ("30s", True)):
        d = daemons([world.issuer()], drain_timeout=drain, answer_timeout="40s", upstream_timeout="40s").start()
        c = d.connect(20).send(wire.post(lab.request(world.ca, world.good.serial)))
        n = world.responder.count
        lab.wait(lambda: world.responder.count > n or n, 5, "the fetch")
        start = time.monotonic()
        d.signal(signal.SIGTERM)
        if second:
            d.wait_event("event=draining")
            d.signal(signal.SIGTERM)
        assert d.process.wait(10 * lab.PATIENCE) == 0
        assert time.monotonic() - start < 4 * lab.PATIENCE
        c.close()


def test_a_port_that_is_taken_is_refused(world, daemons):
    a = daemons([world.issuer()]).start()
    b = daemons([world.issuer()], listen=["127.0.0.1:%d" % a.port]).spawn()
    assert b.process.wait(10 * lab.PATIENCE) == 1
    b.process = None
    assert str(a.port) in b.log
    a.stop()
    a.start()  # and TIME_WAIT of the last run does not refuse a restart


def test_what_is_no_file_is_named_and_not_waited_for(box, world, daemons):
    """A FIFO, a folder or a link to nowhere in the place of each of our own files, and of those that are configured:
    a start that ends and says which.  Those of lists are no bar to a start: scenario/60."""
    d = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "store")).start()
    d.stop()
    state, store = d.options["state-directory"], os.path.join(box, "store")
    for path in [os.path.join(state, n) for n in ("lock", "latches.mdb")] + \
            [os.path.join(store, n) for n in ("answers.mdb", "events.mdb")]:
        for make in (os.mkfifo, os.mkdir, lambda p: os.symlink(os.path.join(box, "nowhere", "x"), p)):
            os.rename(path, path + ".away")
            make(path)
            d.spawn()
            assert d.process.wait(15 * lab.PATIENCE) == 1, d.log
            assert path in d.events("start_failed")[-1], d.log
            (os.rmdir if os.path.isdir(path) else os.unlink)(path)
            os.rename(path + ".away", path)
            d.process = None
    assert not os.path.exists(os.path.join(box, "nowhere"))
    d.start()  # none has suffered
    d.stop()
    fifo = os.path.join(box, "fifo")
    os.mkfifo(fifo)
    for option in ({"certificate": fifo}, {}):
        d.issuers = [world.issuer(**option)]
        if not option:
            d.options["store-key-file"] = fifo
        d.write()
        r = daemon.check(d.conf, "-t")
        assert r.returncode == 2 and fifo + " is no regular file" in r.stderr


def test_metrics_pass_promtool_and_count(world, daemons):
    promtool = lab.tool("promtool")
    if not promtool:
        pytest.skip("promtool is not installed (package prometheus)")
    d = daemons([world.issuer()]).start()
    d.ask(world.ca, world.good.serial)
    d.ask(world.ca, world.good.serial)
    d.post(b"nonsense")
    r = subprocess.run([promtool, "check", "metrics"], input=d.metrics(), capture_output=True, text=True)
    assert r.returncode == 0, r.stdout + r.stderr
    assert d.metric("requests_total", tier="memory", outcome="answered") == 1
    assert d.metric("requests_total", tier="upstream", outcome="answered") == 1
    assert d.metric("requests_total", outcome="malformed") == 1
    assert d.metric("connections_opened_total") >= 3
    assert "%x" % world.good.serial not in d.metrics()  # T30
    status, text = d.api("GET", "/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert status == 200 and text.endswith("# EOF\n")


def test_the_manual_has_the_events_that_there_are():
    """In both directions, and their levels.  What a store tells is logged by a name that comes from it."""
    source = "".join(open(p, encoding="utf-8").read() for folder in ("cache", "conf", "proxy") for p in glob.glob(
        os.path.join(daemon.TOP, folder, "**", "*.c"), recursive=True))
    levels = {}
    for level, each, name in re.findall(
            r'\blog_(?:(error|warn|info|debug)\(|each\(LOG_(ERROR|WARN|INFO),)\s*"(\w+)"', source):
        levels.setdefault(name, set()).add(level or each.lower())
    assert {"started", "reloaded", "config_error"} <= set(levels)  # which are never collapsed
    man = open(os.path.join(daemon.TOP, "proxy", "ocspcached.8"), encoding="utf-8").read()
    man = man[man.index(".Sh LOG EVENTS"):man.index(".Sh METRICS")]
    documented = {n: level for names, level in re.findall(r"^\.It ([\w ,]+) \( (\w+) \)$", man, re.M)
                  for n in re.findall(r"\w+", names)}
    assert len(documented) > 50 and set(levels) <= set(documented), set(levels) - set(documented)
    assert not [n for n in documented if '"%s"' % n not in source]
    assert not [n for n in levels if documented[n] not in levels[n]]


def test_the_api(world, daemons):
    d = daemons([world.issuer()], backoff_initial="20ms").start()
    assert d.api("GET", "/healthz")[0] == 200
    status, body = d.api("GET", "/readyz")
    assert status == 200
    status, issuers = d.api("GET", "/v1/issuers")
    assert status == 200 and [i["name"] for i in issuers] == ["demo"] and issuers[0]["source"] == "ocsp"
    r = issuers[0]["responders"][0]
    assert r["url"] == world.responder.url and r["healthy"] is None  # not asked yet
    assert issuers[0]["crls"] == [] and issuers[0]["signer_expires"] is None

    good, revoked = "%x" % world.good.serial, "%x" % world.revoked.serial
    for spelling in (good, good.upper(), "00" + good, "0" + good):
        status, s = d.api("GET", "/v1/status/demo/" + spelling)
        assert (status, s["issuer"], s["serial"], s["status"]) == (200, "demo", good, "good"), spelling
        assert s["revoked_at"] is None and s["reason"] is None and s["disagree"] is False
        assert [e["kind"] for e in s["evidence"]] == ["ocsp"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", s["evidence"][0]["this_update"])
    assert d.api("GET", "/v1/issuers")[1][0]["responders"][0]["healthy"] is True
    status, s = d.api("GET", "/v1/status/demo/" + revoked)
    assert s["status"] == "revoked" and s["reason"] == "keyCompromise" and s["revoked_at"].endswith("Z")
    assert {e["kind"] for e in s["evidence"]} == {"ocsp", "latch"}
    status, s = d.api("GET", "/v1/status/demo/%x" % world.unknown.serial)
    assert s["status"] == "unknown"
    for path in ("/v1/status/nobody/01", "/v1/nothing", "/v1/latches/nobody/01"):
        status, e = d.api("DELETE" if "latches" in path else "GET", path)
        assert status == 404 and e["error"]["code"] and e["error"]["message"], path
    assert d.api("GET", "/v1/status/demo/xyz")[0] == 400
    assert d.api("DELETE", "/v1/status/demo/01")[0] == 405
    assert d.api("POST", "/v1/refresh", "{")[0] == 400
    assert d.api("POST", "/v1/refresh", {"issuer": "nobody"})[0] == 404
    assert d.api("POST", "/v1/refresh", {"issuer": "demo", "serial": good})[0] == 202


def test_a_page_in_a_browser_cannot_make_us_ask_the_ca(world, daemons):
    """T21: an image of another site is a GET without Origin; the browser says Sec-Fetch-Site."""
    d = daemons([world.issuer()]).start()
    asked = world.responder.count
    for path in ("/v1/status/demo/77", "/v1/explain/demo/77"):
        for site in ("cross-site", "same-site"):
            status, e = d.api("GET", path, headers={"Sec-Fetch-Site": site})
            assert (status, e["error"]["code"]) == (403, "forbidden")
    body = {"issuer": "demo", "serial": "77"}
    assert d.api("POST", "/v1/refresh", body, headers={"Sec-Fetch-Site": "cross-site"})[0] == 403
    # An old browser's form says neither, but it cannot say application/json.
    assert d.api("POST", "/v1/refresh", body, headers={"Content-Type": "text/plain"})[0] == 415
    assert world.responder.count == asked


def test_purge_drops_from_memory_and_store(box, world, daemons):
    d = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "store")).start()
    for p in (world.good, world.revoked):
        d.ask(world.ca, p.serial)
    n = world.responder.count
    assert d.api("POST", "/v1/purge", {"issuer": "demo", "serial": "%x" % world.good.serial})[0] == 204
    lab.wait(lambda: d.ask(world.ca, world.good.serial).miss or world.responder.count > n, 5, "the purge")
    assert world.responder.count == n + 1
    assert d.ask(world.ca, world.revoked.serial).hit
    assert d.api("POST", "/v1/purge", {"issuer": "demo"})[0] == 204
    lab.wait(lambda: d.ask(world.ca, world.revoked.serial) and world.responder.count > n + 1, 5, "the purge of all")


def test_ocspctl(world, daemons):
    """Exit 0 all well, 1 revoked, 2 not to be determined, 64 usage, 69 not reachable."""
    d = daemons([world.issuer()]).start()
    r = d.ctl("status", "demo", "%x" % world.good.serial)
    assert r.returncode == 0 and "good" in r.stdout, r
    r = d.ctl("status", "demo", "%x" % world.revoked.serial)
    assert r.returncode == 1 and "revoked" in r.stdout, r
    r = d.ctl("status", "demo", "%x" % world.unknown.serial)
    assert r.returncode == 2 and "unknown" in r.stdout, r
    r = d.ctl("--json", "status", "demo", "%x" % world.good.serial)
    assert json.loads(r.stdout)["status"] == "good"
    r = d.ctl("explain", "demo", "%x" % world.good.serial)
    assert r.returncode == 0 and "signature" in r.stdout, r
    assert d.ctl("refresh", "demo", "%x" % world.good.serial).returncode == 0
    assert d.ctl("purge", "demo").returncode == 0
    r = d.ctl("status")
    assert r.returncode == 0 and "demo" in r.stdout, r
    r = d.ctl("--json", "status")  # both answers in one
    both, issuers, ready = json.loads(r.stdout), d.api("GET", "/v1/issuers")[1], d.api("GET", "/readyz")[1]
    assert r.returncode == 0 and set(both) == {"issuers", *ready} and both["ready"] is True, r
    assert [i["name"] for i in both["issuers"]] == [i["name"] for i in issuers] == ["demo"]
    assert d.ctl("frobnicate").returncode == 64
    assert d.ctl("--nonsense").returncode == 64
    r = subprocess.run([daemon.CLIENT, "--url", "http://127.0.0.1:%d" % lab.free_port(), "status", "demo", "1"],
                       capture_output=True, text=True)
    assert r.returncode == 69 and r.stderr


def test_explain_names_the_check_that_failed(world, daemons):
    d = daemons([world.issuer()]).start()
    world.responder.answer = lambda der: lab.response(
        world.ca, [lab.single(world.ca, world.good.serial)], world.signer, break_signature=True)
    r = d.ctl("--json", "explain", "demo", "%x" % world.good.serial)
    answers = json.loads(r.stdout)["answers"]
    upstream = [a for a in answers if a["from"] == "upstream"]
    assert upstream and upstream[0]["admitted"] is False
    assert upstream[0]["checks"][-1]["ok"] is False and upstream[0]["checks"][-1]["code"] == "signature"
    assert all(c["ok"] for c in upstream[0]["checks"][:-1])


def test_what_explain_refuses_is_an_alarm_as_elsewhere(world, daemons):
    """R69: the operator's own question finds out that the CA says good of what it has revoked."""
    d = daemons([world.issuer()]).start()
    assert d.ask(world.ca, world.revoked.serial).outcome == "revoked"
    world.ca.statuses[world.revoked.serial] = {"status": "good", "this": 0}
    upstream = [a for a in d.api("GET", "/v1/explain/demo/%x" % world.revoked.serial)[1]["answers"]
                if a["from"] == "upstream"]
    assert upstream[0]["checks"][-1]["code"] == "contradicted_by_latch"
    assert d.metric("contradicted_total") == 1 and d.metric("refused_total", **{"from": "upstream"}) == 1
    assert len(d.events("revoked_became_good")) == 1


def test_logs(world, daemons):
    d = daemons([world.issuer()], log_format="json").start()
    for _ in range(20):
        d.ask(world.ca, world.good.serial)
    world.responder.mode = "500"
    d.ask(world.ca, 999999999999)
    d.stop()
    rows = [json.loads(line) for line in d.log.splitlines()]
    assert {"started", "stopped"} <= {r["event"] for r in rows}
    assert all({"ts", "level", "event"} <= set(r) for r in rows)
    # The access log is off unless asked for: serials and addresses are browsing data (T25).
    assert not [r for r in rows if r["event"] in ("access", "request")]
    assert "%x" % world.good.serial not in d.log and str(world.good.serial) not in d.log


@pytest.mark.parametrize("good", [True, False])
def test_mistakes_at_the_start_are_json_where_the_log_is(box, world, daemons, good):
    """Whoever feeds our standard error to a parser gets no other line; -t is for people."""
    d = daemons([world.issuer(crl="file:missing.crl")], log_format="json")
    if not good:
        d.options["workers"] = "many"
        d.options["listne"] = "x"
        d.write()
    plain = daemon.check(d.conf, "-t")
    d.spawn()
    if good:
        d.wait_event("started")
        d.stop()
    else:
        assert d.process.wait(15 * lab.PATIENCE) == 2
        d.process = None
    rows = [json.loads(line) for line in d.log.splitlines()]
    said = [("warning" if r["event"] == "config_warning" else "error") + ": " + r["detail"]
            for r in rows if r["event"].startswith("config_")]
    assert said and said == re.findall("(?m)^(?:warning|error): .*$", plain.stderr)  # the same, in the same order
    if not good:
        assert [(r["level"], r["event"], r["what"], r["why"]) for r in rows[len(said):]] == [
            ("error", "start_failed", d.conf, "2 errors in the configuration")]


def test_it_says_with_what_it_starts_and_what_a_reload_changes(box, world, daemons):
    socket_path = os.path.join(box, "front")
    d = daemons([world.issuer(crl=["file:a.crl", "file:b.crl"])], log_format="json",
                store="redis://user:s3cret@127.0.0.1:%d/2" % lab.free_port())
    d.options["listen"].append("unix:" + socket_path)
    d.write()
    d.start()

    def told(event, n=1):
        return [json.loads(line) for line in d.wait_event(event, n)][-1]
    started = told("started")
    assert started["file"] == d.conf and started["listen"] == "127.0.0.1:%d,unix:%s" % (d.port, socket_path)
    assert started["api"] == "127.0.0.1:%d" % d.api_port
    assert re.fullmatch(r"redis://\*\*\*@127\.0\.0\.1:\d+/2", started["store"])
    assert (started["workers"], started["issuers"], started["lists"]) == (2, 1, 2)

    def reloaded(n):
        d.write()
        d.reload()
        return told("reloaded", n)
    words = reloaded(1)
    assert (words["options"], words["names"], words["issuers"]) == ("", "", 1)
    names = ["%s%02d" % ("n" * 60, i) for i in range(12)]

    def another(name):
        ca = lab.CA(name).write(os.path.join(box, name + ".pem"))
        return {"name": name, "certificate": ca, "ocsp": ["http://127.0.0.1:1/"]}
    d.options["clock-skew"], d.options["workers"] = "90s", 1  # the second needs a restart, and is told as that
    d.options["max-age-cap"] = "2h"
    d.issuers = [dict(world.issuer(), nonce="forward")] + [another(n) for n in names]
    words = reloaded(2)
    assert words["file"] == d.conf and words["options"] == "clock-skew,max-age-cap"
    assert [words[k] for k in ("issuers", "added", "removed", "changed", "lists")] == [13, 12, 0, 1, 0]
    listed, more = words["names"].split(" and ")
    assert listed.split(",") == ["~demo"] + ["+" + n for n in names][:6] and more == "6 more"
    d.issuers = d.issuers[:2]
    words = reloaded(3)
    assert [words[k] for k in ("issuers", "added", "removed", "changed")] == [2, 0, 11, 0]
    assert "s3cret" not in d.log


def test_the_access_log_is_sampled(world, daemons):
    """T25"""
    d = daemons([world.issuer()], access_log_sample=1, log_repeat="0s").start()
    for _ in range(5):
        d.ask(world.ca, world.good.serial)
    d.stop()
    assert len([line for line in d.log.splitlines() if "event=access" in line or "event=request" in line]) == 5, d.log
    assert "%x" % world.good.serial not in d.log


def test_the_events_of_the_log_are_documented(world):
    """ocspcached(8) lists every event name in the sources."""
    man = open(os.path.join(daemon.TOP, "proxy", "ocspcached.8")).read()
    names = set()
    for root, _, files in os.walk(daemon.TOP):
        if os.path.relpath(root, daemon.TOP).split(os.sep)[0] not in ("proxy", "cache", "conf"):
            continue
        for f in files:
            if f.endswith(".c"):
                text = open(os.path.join(root, f)).read()
                names |= set(re.findall(r'\blog_(?:error|warn|info|debug)\(\s*"(\w+)"', text))
                if f.startswith(("store_", "change_log")):
                    names |= set(re.findall(r'"((?:store|events?)_[a-z_]+)"', text))
    missing = [n for n in sorted(names) if not re.search(r"\b%s\b" % n, man)]
    assert names and not missing, missing


def test_sd_notify(box, world, daemons):
    path = os.path.join(box, "notify.sock")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    s.settimeout(10 * lab.PATIENCE)
    d = daemons([world.issuer()], env={"NOTIFY_SOCKET": path}).start()

    def until(word):
        while True:
            text = s.recv(4096).decode()
            if word in text.split("\n"):
                return text
    until("READY=1")
    d.reload()
    until("READY=1")
    d.signal(signal.SIGTERM)
    until("STOPPING=1")
    s.close()


def test_api_on_a_unix_socket(box, world, daemons):
    path = os.path.join(box, "api.sock")
    d = daemons([world.issuer()], api_listen="unix:" + path).spawn()

    def health():
        try:  # between its bind and its listen it refuses
            return daemon.unix_exchange(path, b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        except OSError:
            return b""
    assert lab.wait(health, 10, "the sockets").startswith(b"HTTP/1.1 200 ")
    r = subprocess.run([daemon.CLIENT, "--url", "unix:" + path, "status", "demo", "%x" % world.good.serial],
                       capture_output=True, text=True)
    assert r.returncode == 0 and "good" in r.stdout, r


def test_the_api_on_several_addresses(box, world, daemons):
    """A unix socket besides: for its user and group, whatever the umask; each ends with the daemon."""
    path, more = os.path.join(box, "api.sock"), lab.free_port()
    d = daemons([world.issuer()])
    d.options["api-listen"] = ["127.0.0.1:%d" % d.api_port, "unix:" + path, "127.0.0.1:%d" % more]
    d.write()
    d.start()
    assert os.stat(path).st_mode & 0o777 == 0o660
    ask = b"GET /v1/issuers HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n"
    assert daemon.unix_exchange(path, ask % b"any.name").startswith(b"HTTP/1.1 200 ")
    assert d.api("GET", "/v1/issuers")[0] == 200
    # by a name, which a web page could have, on none of the others
    assert d.api("GET", "/v1/issuers", headers={"Host": "any.name"})[0] == 403
    for url in ("unix:" + path, "http://127.0.0.1:%d" % more):
        assert subprocess.run([daemon.CLIENT, "--url", url, "status"], capture_output=True).returncode == 0
    d.stop()


def test_a_configuration_in_pieces(box, world, daemons):
    os.mkdir(os.path.join(box, "issuers.d"))
    with open(os.path.join(box, "issuers.d", "demo.conf"), "w") as f:
        f.write('issuer "demo" {\n certificate = "../demo-ca.pem"\n ocsp = "%s"\n}\n' % world.responder.url)
    d = daemons([])
    text = daemon.lines(d.options) + 'include("issuers.d/*.conf")\n'
    d.write(text)
    d.start()
    assert d.ask(world.ca, world.good.serial).outcome == "good"
