"""The names in Redis serve a cluster: what one script touches is in one slot. A cluster of one node, which refuses all
else as one of many does; how several nodes are found is another matter."""
import re

import pytest

import acme
import fleet
import lab
from daemon import FAST
from lists import entry

HAS_KEY_SECOND = {"XINFO"}  # XINFO STREAM KEY
WITHOUT_KEY = {"TIME", "SCAN", "PING", "SUBSCRIBE", "CLIENT", "INFO", "SCRIPT", "CONFIG", "AUTH", "SELECT"}


@pytest.fixture
def cluster(box):
    s = lab.Redis(box, durable=True, port=lab.free_port(), more=[
        "--cluster-enabled", "yes", "--cluster-port", str(lab.free_port()), "--cluster-config-file", "nodes.conf"])
    s.client.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
    lab.wait(lambda: b"cluster_state:ok" in s.client.execute_command("CLUSTER", "INFO", NEVER_DECODE=True), 15, "the cluster")
    s.monitor = lab.Monitor(box, s)
    yield s
    s.monitor.stop()
    s.stop()


def words(line):
    """Of one line of MONITOR: who, and the command."""
    m = re.match(r"\S+ \[\d+ (\S+)\] (.*)", line)
    if not m:
        return "", []
    return m.group(1), [re.sub(r"\\(.)", r"\1", w) for w in re.findall(r'"((?:[^"\\]|\\.)*)"', m.group(2))]


def keys_of(command):
    name = command[0].upper()
    if name in ("EVAL", "EVALSHA"):
        return command[3:3 + int(command[2])]
    if name in WITHOUT_KEY:
        return []
    if name in ("UNLINK", "DEL", "EXISTS"):
        return command[1:]
    return command[2:3] if name in HAS_KEY_SECOND else command[1:2]


def steps(monitor):
    """(name of the command, its keys, those that it touches inside) for each command that a daemon sent."""
    found = []
    for line in monitor.lines():
        who, command = words(line)
        if not command or who.startswith("unix:") and command[0].upper() in ("MONITOR", "CLUSTER"):
            continue
        if who == "lua":
            found[-1][2].extend(keys_of(command))
        else:
            found.append((command[0].upper(), keys_of(command), []))
    return found


def slot(server, key):
    return server.client.execute_command("CLUSTER", "KEYSLOT", key)


def test_what_one_script_touches_is_declared_and_in_one_slot(request, cluster, feed, daemons, responders, streams,
                                                                 mac_key):
    """All that two nodes do there: answers, leases, failures, a purge; lists and single changes told, read, gone on with;
    watchlists put, added to, lost, deleted, their certificates asked for; webhooks made, delivered to in vain, lost, deleted."""
    r = responders(feed.ca, this=-10)
    feed.ca.statuses = {n: {"status": "good"} for n in range(100, 104)}
    feed.publish([entry(1)])
    ca = acme.ACME(retry_after="1")
    request.addfinalizer(ca.stop)
    a, b = [daemons([feed.issuer(ocsp=[r.url], ari=ca.directory)], store=cluster.url, store_key_file=mac_key,
                    webhook_allow_address=["127.0.0.0/8"], **FAST).start() for _ in range(2)]
    lab.wait(lambda: a.api("GET", "/v1/webhooks")[0] == 200, 10, "the webhooks")
    assert a.api("PUT", "/v1/webhooks/chat", {"url": "http://127.0.0.1:%d/" % lab.free_port()})[0] == 201
    s = streams(a)
    s.ready()
    for serial in (100, 101):
        assert lab.outcome(a.ask(feed.ca, serial).body) == "good"
    lab.wait(lambda: len(cluster.answers()) == 2, 10, "the writes")
    asked = len(r.requests)
    assert lab.outcome(b.ask(feed.ca, 100).body) == "good" and len(r.requests) == asked  # a's
    r.this = 0
    b.refresh(serial=100)
    feed.ca.statuses[101] = {"status": "revoked"}
    b.refresh(serial=101)  # a single change
    s.wait_serials({101}, 15)
    feed.bring(b, [entry(n) for n in range(1, 3)])
    s.wait_serials({101, 2}, 15)
    again = streams(b, "since=" + s.got("changes")[0].id)
    again.wait_serials({2}, 15)
    r.mode = "500"
    assert lab.outcome(a.ask(feed.ca, 103).body) == "try_later"  # failed
    r.mode = "ok"
    assert a.ctl("purge", "demo").returncode == 0
    lab.wait(lambda: not cluster.answers(), 10, "the purge")
    for n, (d, method) in enumerate(((a, "PUT"), (b, "PUT"), (a, "POST"))):
        assert fleet.upload(d, method, "web", fleet.ndjson(fleet.line(n + 1)))[0] in (200, 201)
    lab.wait(lambda: fleet.watchlist(b, "web")["certificates"] == 2, 10, "the list")
    states = "ocspcached:{a}:s"
    lab.wait(lambda: cluster.client.hlen(states) > 0, 15, "renewal information")
    head = "ocspcached:{w}:l:lists"
    cluster.client.delete(head)
    lab.wait(lambda: cluster.client.exists(head), 10, "the list in Redis")
    assert a.api("DELETE", "/v1/watchlists/web")[0] == 204
    lab.wait(lambda: b.api("GET", "/v1/webhooks/chat")[1]["last_error"], 10, "a delivery that failed")
    hooks = "ocspcached:{h}:h:hooks"
    cluster.client.delete(hooks)
    lab.wait(lambda: cluster.client.exists(hooks), 10, "the webhook in Redis")
    assert b.api("DELETE", "/v1/webhooks/chat")[0] == 204
    for d in (a, b):
        assert not d.degraded() and d.metric("store_up") == 1 and d.metric("events_log_up") == 1
    errors = [e for e in cluster.client.info("errorstats") if "CROSSSLOT" in e or "MOVED" in e]
    assert not errors, errors

    slots, seen = {}, set()
    for name, keys, inside in steps(cluster.monitor):
        assert name not in ("MULTI", "WATCH")
        if name in ("EVAL", "EVALSHA"):
            assert set(inside) <= set(keys), (name, keys, inside)
            seen.add(tuple(re.sub(r"\{.*", "", k) for k in keys))
        slots.update({k: slot(cluster, k) for k in keys if k not in slots})
        assert len({slots[k] for k in keys}) <= 1, (name, keys)
    kinds = {len(k) for k in seen}
    assert kinds >= {1, 2, 3, 4}, seen  # trial and put, release and check, lease, append
    assert len(set(slots.values())) > 3  # names that differ are spread

    # CRC16 of what stands in the first braces: the value of 123456789 is the specification's.
    assert slot(cluster, "123456789") == 0x31c3
    assert slots["ocspcached:{e}:log"] == slot(cluster, "e") and slots[head] == slot(cluster, "w")
    assert slots[hooks] == slot(cluster, "h") and slots[states] == slot(cluster, "a")
    name = re.search(r"\{(.*)\}", next(k for k in slots if k.startswith("ocspcached:l:"))).group(1)
    assert slots["ocspcached:l:{%s}" % name] == slot(cluster, name)
    assert slot(cluster, "{ocspcached:{e}:log") != slot(cluster, "e")  # why a prefix has no braces
