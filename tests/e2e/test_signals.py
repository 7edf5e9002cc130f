"""Signals at any time: while it starts, while it stops, and those that it has no use for."""
import os
import signal
import subprocess

import pytest

import daemon
import lab
import wire

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "signalling.c")


@pytest.fixture
def at_open(box):
    """The environment in which a program gets a signal as it opens its files."""
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer has to be loaded first")
    library = os.path.join(box, "signalling.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE], check=True)

    def env(sig, start, times):
        return {"LD_PRELOAD": library, "SIGNAL": str(int(sig)), "SIGNAL_FROM": start, "SIGNAL_TIMES": str(times)}
    return env


def test_hup_while_starting_is_a_reload_behind_it(box, world, daemons, at_open):
    """From the first line of the configuration on, at every file."""
    d = daemons([world.issuer()], store="lmdb:" + os.path.join(box, "db"), env=at_open(signal.SIGHUP, ".conf", 30)).start()
    lab.wait(lambda: d.events("event=reloaded"), 10, "the reload")
    assert d.log.index("event=started") < d.log.index("event=reloaded")
    assert d.ask(world.ca, world.good.serial).outcome == "good"


def test_term_while_starting_ends_in_order(world, daemons, at_open):
    for sig in (signal.SIGTERM, signal.SIGINT):
        for start, begun in ((".conf", False), ("/lock", True)):
            d = daemons([world.issuer()], env=at_open(sig, start, 1)).spawn()
            assert d.process.wait(10 * lab.PATIENCE) == 0, (sig, start, d.log)
            assert bool(d.events("event=stopped")) == begun, d.log
            assert os.path.exists(d.options["state-directory"]) == begun


def test_a_store_that_is_not_there_does_not_hold_up_a_term(world, daemons, silent_store):
    d = daemons([world.issuer()], store="redis://127.0.0.1:%d" % silent_store, store_timeout="30s").spawn()
    lab.wait(lambda: os.path.exists(os.path.join(d.options["state-directory"], "latches.mdb")), 10, "the start")
    d.signal(signal.SIGTERM)
    d.stop()
    assert d.events("event=stopped")


@pytest.fixture
def silent_store():
    """Listens, and says nothing."""
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(8)
        yield s.getsockname()[1]


def test_a_test_of_the_configuration_is_ended_by_what_ends_commands(box, world, daemons, at_open):
    """Not with 0: that would say that the configuration is fine."""
    d = daemons([world.issuer()])
    for sig in (signal.SIGTERM, signal.SIGHUP):
        r = subprocess.run([daemon.PROGRAM, "-t", "-c", d.conf], env=dict(os.environ, **at_open(sig, ".conf", 1)),
                           capture_output=True, timeout=30 * lab.PATIENCE,
                           preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))  # under nohup, too
        assert r.returncode == -sig


def test_hup_while_stopping_changes_nothing(world, daemons):
    d = daemons([world.issuer()]).start()
    p = d.process
    d.signal(signal.SIGTERM)
    d.wait_event("event=draining")
    while p.poll() is None:
        p.send_signal(signal.SIGHUP)
    assert p.returncode == 0
    assert not d.events("event=reloaded") and d.events("event=stopped")


def test_what_other_daemons_know_ends_nothing(world, daemons):
    d = daemons([world.issuer()]).start()
    for sig in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGPIPE):
        d.signal(sig)
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    assert d.process.poll() is None


def test_the_api_answers_until_the_last_client_is_done(world, daemons, streams):
    d = daemons([world.issuer()], drain_timeout="30s").start()
    world.responder.mode = "hang"
    c = d.connect(20).send(wire.post(lab.request(world.ca, world.good.serial)))
    s = streams(d)
    s.ready()
    lab.wait(lambda: world.responder.count == 1, 5, "the fetch")
    d.signal(signal.SIGTERM)
    d.wait_event("event=draining")
    assert s.ended.wait(5 * lab.PATIENCE)  # streams do not wait
    status, ready = d.api("GET", "/readyz")
    assert status == 503 and ready["ready"] is False and "draining" in ready["reasons"]
    assert d.api("GET", "/healthz")[0] == 200
    assert d.api("GET", "/v1/events", headers={"Accept": "text/event-stream"})[0] == 503
    world.responder.mode = "ok"  # it closes the connection that said nothing, and is asked once more
    assert c.reply().outcome == "good"
    d.stop()
