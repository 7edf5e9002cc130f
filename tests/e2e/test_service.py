"""The systemd unit: how much it leaves open, and that it leaves open what the daemon needs."""
import os
import re
import subprocess

import pytest

import daemon
import lab
import lists

UNIT = os.path.join(daemon.TOP, "conf", "ocspcached.service")


def analyze(*arguments):
    tool = lab.tool("systemd-analyze")
    if not tool:
        pytest.skip("systemd-analyze is not installed (package systemd)")
    return subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=30 * lab.PATIENCE)


def settings(name):
    with open(UNIT, encoding="utf-8") as f:
        return re.findall(r"^%s=(.*)$" % name, f.read(), re.M)


def test_the_unit_is_tight():
    r = analyze("security", "--offline=true", UNIT)
    m = re.search(r"Overall exposure level for \S+: ([\d.]+)", r.stdout)
    if not m:
        pytest.skip("systemd-analyze does not work here: " + r.stderr.strip()[:100])
    assert float(m.group(1)) <= 2.0, r.stdout


def calls_of(name):
    """The system calls of a set, "@default", or of one call."""
    if not name.startswith("@"):
        return {name}
    found = set()
    for line in analyze("syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        if word and not word.startswith("#"):
            found |= calls_of(word)
    assert found, name
    return found


def allowed_calls():
    """systemd.exec(5): the first line says what is allowed, later ones add and, with ~, take away."""
    allowed = calls_of("@default")
    for line in settings("SystemCallFilter"):
        calls = set().union(*(calls_of(w) for w in line.lstrip("~").split()))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed


def test_the_unit_allows_every_system_call_that_the_daemon_makes(box, world, daemons, publisher, streams):
    """From its start, with a list, a store on disk, a subscriber and a reload, to its end.  A call that is refused is
    an error that the daemon may get over in silence."""
    if os.environ.get("SAN"):
        pytest.skip("a sanitizer makes calls of its own")
    if not lab.tool("strace"):
        pytest.skip("strace is not installed")
    allowed, out = allowed_calls(), os.path.join(box, "calls")
    url = publisher.publish("a.crl", lists.crl(world.ca, [world.revoked.serial]))
    d = daemons([world.issuer(crl=[url])], store="lmdb:" + os.path.join(box, "store"),
                under=[lab.tool("strace"), "-D", "-f", "-o", out]).start()
    d.wait_number(url, 1)
    s = streams(d)
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    publisher.publish("a.crl", lists.crl(world.ca, [world.revoked.serial, world.good.serial], number=2))
    d.refresh()
    lab.wait(s.changes, 10, "the change")
    d.reload()
    d.stop()
    lab.wait(lambda: "+++ exited with" in open(out).read().splitlines()[-1], 10, "strace to have written it all")
    made = set(re.findall(r"^\d+ +(\w+)\(", open(out).read(), re.M))
    assert {"accept4", "epoll_wait", "setpriority"} <= made, made  # it has seen what there is
    assert made <= allowed, sorted(made - allowed)
