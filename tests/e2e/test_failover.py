"""Redis fails over while the daemon's connections stay open, as in a planned failover, or refuses what is asked of it; and
a disk that does: what readyz and ocspctl status say of it."""
import glob
import os
import resource
import subprocess

import pytest

import daemon
import lab
from lists import Feed, entry

FAST = dict(backoff_initial="20ms", backoff_max="100ms", crl_backoff_max="100ms", store_backoff_max="100ms",
            error_ttl="0s", refresh_min="100ms", position_interval="15s")


class Pair:
    """Two servers that keep what they have said yes to, and a name that leads to one of them."""

    def __init__(self, box):
        self.server = [lab.Redis(box, durable=True, port=lab.free_port()) for _ in range(2)]
        self.name = os.path.join(box, "name.sock")
        self.url = "redis+unix://" + self.server[0].login + self.name
        self.lead_to(0)
        self.follow(1, 0)

    def lead_to(self, n):
        os.symlink(self.server[n].path, self.name + ".new")
        os.rename(self.name + ".new", self.name)

    def follow(self, n, master):
        client = self.server[n].client
        client.execute_command("REPLICAOF", "127.0.0.1", self.server[master].port)
        lab.wait(lambda: client.info("replication")["master_link_status"] == "up", 10, "the replica")

    def fail_over(self, to):
        """By hand; clients stay connected.  What the master has said yes to is at the replica before."""
        master, replica = self.server[1 - to].client, self.server[to].client
        lab.wait(lambda: master.info("replication")["master_repl_offset"] ==
                 replica.info("replication")["slave_repl_offset"], 10, "the replica to be equal")
        replica.execute_command("REPLICAOF", "NO", "ONE")
        self.follow(1 - to, to)

    def stop(self):
        for s in self.server:
            s.stop()


@pytest.fixture
def pair(box):
    p = Pair(box)
    yield p
    p.stop()


@pytest.fixture
def feed(box, publisher):
    f = Feed(box, publisher)
    f.publish([entry(1)])
    return f


def overview(d):
    return subprocess.run([daemon.CLIENT, "--url", "http://127.0.0.1:%d" % d.api_port, "status"], capture_output=True,
                          text=True).stdout


def test_a_failover_that_keeps_connections_loses_no_change(pair, feed, daemons, streams):
    """T23: READONLY ends the connection, the name is looked up again; there and back."""
    d = daemons([feed.issuer()], store=pair.url, **FAST).start()
    s = streams(d)
    s.ready()
    feed.bring(d, [entry(n) for n in range(1, 3)])
    s.wait_serials({2}, 10)
    pair.fail_over(to=1)
    pair.lead_to(1)
    feed.bring(d, [entry(n) for n in range(1, 4)])
    s.wait_serials({2, 3}, 15)
    d.wait_event("store_up", 4)  # the store's connections have written nothing: the heartbeat finds it
    assert not d.degraded()
    # Back, but the name still leads to what is a replica now: told of, held back, not lost.
    pair.fail_over(to=0)
    feed.bring(d, [entry(n) for n in range(1, 5)])
    lab.wait(lambda: "changes wait to be told" in d.degraded() and "change log is away" in d.degraded(), 15, "both")
    assert "READONLY" in d.degraded() and "let the name of the store lead to the master" in d.degraded()
    lab.wait(lambda: "store redis is away" in d.degraded(), 10, "the heartbeat of the store")
    assert d.metric("changes_waiting") == 1 and d.metric("events_log_up") == 0 and d.metric("store_up") == 0
    assert "READONLY" in overview(d) and "changes wait to be told" in overview(d)
    assert "READONLY" in "".join(d.events("store_down"))
    pair.lead_to(0)
    s.wait_serials({2, 3, 4}, 15)
    assert s.serials() == [2, 3, 4] and not s.got("gap")
    lab.wait(lambda: not d.degraded(), 10, "a clean readyz")
    assert d.metric("changes_waiting") == 0 and d.metric("events_log_up") == 1 and d.metric("store_up") == 1


def test_a_redis_that_refuses_writes_is_told_with_its_words(redis, feed, daemons, streams):
    """P9: full memory; the connection stays, changes are held back, and all is well again by itself."""
    d = daemons([feed.issuer()], store=redis.url, **FAST).start()
    s = streams(d)
    s.ready()
    lab.wait(lambda: redis.keys("ocspcached:{e}:told:"), 10, "the first list to be where changes begin")
    redis.client.config_set("maxmemory", 1)
    feed.bring(d, [entry(n) for n in range(1, 3)])
    lab.wait(lambda: "changes wait to be told" in d.degraded(), 15, "the words")
    assert "change log refuses: OOM command not allowed" in d.degraded() and "raise maxmemory" in d.degraded()
    assert d.metric("events_log_up") == 0 and d.metric("changes_waiting") == 1
    assert "OOM command not allowed" in "".join(d.wait_event("store_refuses"))
    redis.client.config_set("maxmemory", 0)
    s.wait_serials({2}, 15)
    lab.wait(lambda: not d.degraded() and d.metric("events_log_up") == 1, 15, "a clean readyz")
    assert s.serials() == [2] and not d.events("store_down")


def test_latches_that_the_disk_does_not_take_are_told_until_it_does(world, daemons):
    d = daemons([world.issuer()], **FAST).start()
    assert d.ask(world.ca, world.good.serial).outcome == "good" and d.metric("latches_up") == 1
    limit = resource.prlimit(d.process.pid, resource.RLIMIT_FSIZE, (8192, resource.RLIM_INFINITY))
    assert d.ask(world.ca, world.revoked.serial).outcome == "revoked"
    lab.wait(lambda: "latches cannot be written" in d.degraded(), 10, "the words")
    assert d.options["state-directory"] + "/latches.mdb: File too large; remedy" in d.degraded()
    assert d.metric("latches_up") == 0 and "latches cannot be written" in overview(d)
    resource.prlimit(d.process.pid, resource.RLIMIT_FSIZE, limit)
    lab.wait(lambda: not d.degraded(), 10, "a clean readyz")
    assert d.metric("latches_up") == 1


def test_lists_that_the_state_directory_does_not_take_are_told_until_it_does(feed, daemons):
    """Nothing can be made there, as without inodes: what is in force stays, and a newer list is taken when it can be."""
    d = daemons([feed.issuer()], **FAST).start()
    scope = glob.glob(d.options["state-directory"] + "/crl/*")[0]
    os.rename(scope, scope + ".away")
    feed.publish([entry(n) for n in range(1, 3)])
    d.refresh("demo")
    lab.wait(lambda: "lists cannot be written to " + d.options["state-directory"] in d.degraded(), 10, "the words")
    assert "issuer demo" in d.degraded() and d.metric("crl_refused_by_disk") == 1
    os.rename(scope + ".away", scope)
    d.refresh("demo")
    d.wait_number(feed.url, 2, "demo")
    lab.wait(lambda: not d.degraded(), 10, "a clean readyz")
    assert d.metric("crl_refused_by_disk") == 0
