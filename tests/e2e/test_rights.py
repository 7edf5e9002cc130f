"""What Redis lets us do: the recipe's rights, which every daemon of these tests has, are those that are used."""
import os
import re

import pytest

import daemon
import fleet
import lab
from daemon import FAST
from lists import entry

NEVER_HERE = {"xtrim", "hdel"}  # when changes or deletions are old; scripts and trials are compared below


def rights():
    """Commands, with subcommands after a bar."""
    return {w[1:] for w in lab.redis_rights() if w.startswith("+")}


def source(*names):
    return "".join(open(os.path.join(daemon.TOP, "cache", n), encoding="utf-8").read() for n in names)


def test_the_manual_lists_what_the_recipe_has():
    with open(os.path.join(daemon.TOP, "proxy", "ocspcached.8"), encoding="utf-8") as f:
        text = re.search(r"A user of Redis for this daemon.*?\.Bd[^\n]*\n(.*?)\.\n\.Ed", f.read(), re.S).group(1)
    assert set(re.split(r",\s+", text)) == rights()
    words = lab.redis_rights()
    assert {w for w in words if w[0] in "~&%"} == {"~ocspcached:*", "&__redis__:invalidate"}
    assert "-@all" in words and not [w for w in words if w.startswith("+@")]


@pytest.mark.parametrize("names,plain", [
    (["store/store_redis.c"], {"GETRANGE", "UNLINK", "SCAN"}),
    (["change/log_scripts.c", "change/log_takeover.c", "change/change_log_redis.c"], {"GETRANGE", "EXISTS"}),
    (["watch/ari_redis.c", "watch/ari_redis_read.c"], {"HSCAN"}),
    (["watch/watch_redis.c"], {"HGETALL", "HMGET", "HLEN", "XADD", "XRANGE"})])
def test_a_trial_does_what_the_scripts_do(names, plain):
    """So that whatever is refused is known on connecting; and with what is sent by itself."""
    text = source(*names)
    used = {c for c in re.findall(r"redis\.p?call\('([A-Z]+)'", text)}
    sent = {c for c in re.findall(
        r'(?:WORDS\(\w+(?:\([^)]*\))?, \w+, \w+, |\(const char \*const\[\]\)\{\s*)"([A-Z]+)"', text)}
    tried = {c for c in re.findall(r"\{'([A-Z]+)'", text)}
    assert sent == plain and tried == used | sent, (used, sent, tried)


def commands(monitor):
    """But for trials."""
    found = set()
    for line in monitor.lines():
        m = re.match(r'\S+ \[\d+ (\S+)\] "(\w+)"(?: "(\w*))?', line)
        scan_of_trial = m and m.group(1) == "lua" and m.group(2) == "SCAN"
        if not m or m.group(1).startswith("unix:") or ':try"' in line and m.group(2) != "EVAL" or scan_of_trial:
            continue
        name = m.group(2).lower()
        found.add(name + "|" + m.group(3).lower() if name in ("client", "script", "xinfo", "config") else name)
    return found


@pytest.fixture
def server(box):
    s = lab.Redis(box, durable=True, port=lab.free_port())
    s.url = "redis://%s127.0.0.1:%d/1" % (s.login, s.port)
    s.monitor = lab.Monitor(box, s)
    yield s
    s.monitor.stop()
    s.stop()


def used(server):
    """MONITOR leaves out commands of administrators: they are counted.  AUTH needs no right."""
    counted = server.client.info("commandstats")
    return commands(server.monitor) - {"auth"} | {"config|get" for n in counted if n == "cmdstat_config|get"}


def test_what_redis_is_sent_is_what_the_recipe_allows(feed, daemons, responders, streams, server, mac_key):  # noqa: F811
    """Answers, leases, failures, a purge; lists and single changes told and read; watchlists; tracking and the
    heartbeat."""
    r = responders(feed.ca, this=-10)
    feed.ca.statuses = {n: {"status": "good"} for n in range(100, 104)}
    ari = "https://127.0.0.1:%d/directory" % lab.free_port()
    d = daemons([feed.issuer(ocsp=[r.url], ari=ari)], store=server.url, store_key_file=mac_key, **FAST).start()
    s = streams(d)
    s.ready()
    for n in (1, 2):
        lab.wait(lambda n=n: fleet.put(d, "web", fleet.ndjson(fleet.line(n)))[0] in (200, 201), 10, "the list")
    for serial in (100, 101):
        assert lab.outcome(d.ask(feed.ca, serial).body) == "good"
    r.this = 0
    d.refresh(serial=100)  # over what is there
    feed.ca.statuses[101] = {"status": "revoked"}
    d.refresh(serial=101)  # a single change
    s.wait_serials({101}, 15)
    for n in (2, 3):
        feed.bring(d, [entry(i) for i in range(n)])
    s.wait_serials({101, 2}, 15)
    r.mode = "500"
    assert lab.outcome(d.ask(feed.ca, 103).body) == "try_later"  # failed
    assert d.ctl("purge", "demo", "64").returncode == 0 and d.ctl("purge", "demo").returncode == 0
    other = daemons([feed.issuer(ocsp=[r.url])], store=server.url, **FAST).start()
    streams(other, "since=" + s.got("changes")[0].id).wait_serials({2}, 15)  # out of the log, not out of memory
    missing = rights() - NEVER_HERE
    try:
        lab.wait(lambda: used(server) >= missing, 15, "all of them")
    except AssertionError as e:
        raise AssertionError("%s: %s" % (e, missing - used(server)))
    assert used(server) <= rights(), used(server) - rights()
    assert not d.degraded() and d.metric("store_up") == 1 and d.metric("events_log_up") == 1
    assert not [n for n in ("store_refuses", "store_tracking_refused", "events_not_durable") if d.events(n)], d.log
    assert server.refused() == []


# With the words of its server, which name the command, where one is left out.
@pytest.mark.parametrize("right,word", [("hmget", "HMGET"), ("strlen", "STRLEN"), ("pttl", "PTTL"), ("eval", "'eval'")])
def test_a_right_that_is_missing_is_named_until_it_is_given(right, word, feed, daemons, redis):  # noqa: F811
    redis.client.execute_command("ACL", "SETUSER", "ocspcached", "-" + right)
    d = daemons([feed.issuer()], store=redis.url, store_timeout="200ms", **FAST).start()
    lab.wait(lambda: word in d.degraded(), 10, "the words")
    assert "give its user the rights that ocspcached(8) lists" in d.degraded()
    said = "".join(d.wait_event("store_refuses"))
    assert word in said and "give its user the rights" in said
    redis.client.execute_command("ACL", "SETUSER", "ocspcached", "+" + right)
    lab.wait(lambda: not d.degraded(), 15, "a clean readyz")
    redis.client.execute_command("ACL", "LOG", "RESET")


@pytest.mark.parametrize("how", ["renamed", "rights"])
def test_where_config_is_forbidden_it_is_said_once_and_done_without(how, box, feed, daemons, streams):  # noqa: F811
    """As managed services do; with what Redis says of it."""
    more = ["--rename-command", "CONFIG", ""] if how == "renamed" else []
    redis = lab.Redis(box, durable=True, more=more)
    try:
        if how == "rights":
            redis.client.execute_command("ACL", "SETUSER", "ocspcached", "-config|get")
        d = daemons([feed.issuer()], store=redis.url, store_timeout="200ms", **FAST).start()
        s = streams(d)
        s.ready()
        said = "".join(d.wait_event("events_not_durable"))
        assert ("unknown command" if how == "renamed" else "config|get") in said, said
        assert "appendonly=yes appendfsync=unknown" in said and "let its user run CONFIG GET" in said
        feed.bring(d, [entry(n) for n in range(1, 3)])
        s.wait_serials({2}, 15)
        redis.client.execute_command("CLIENT", "KILL", "USER", "ocspcached")
        d.wait_event("store_up", 4)  # of store and log, twice
        feed.bring(d, [entry(n) for n in range(1, 4)])
        s.wait_serials({2, 3}, 15)
        assert len(d.events("events_not_durable")) == 1 and not d.events("store_refuses") and not d.degraded()
    finally:
        redis.client.execute_command("ACL", "LOG", "RESET")
        redis.stop()
