"""Watchlists from files and folders of this machine: loaded, followed as they change, no key kept."""
import os
import time

import pytest

import fleet
import lab
from daemon import FAST
from fleet import SERIAL, Folder, PEM, count, find, put, serials, upload, wait_count, watchlist


def start(daemons, feed, watchlists, **more):
    d = daemons([feed.issuer()], **dict(FAST, **more))
    d.watchlists = watchlists
    d.write()
    return d.start()


@pytest.fixture
def folder(box):
    return Folder(box)


@pytest.mark.parametrize("n", [300, pytest.param(15000, marks=pytest.mark.long)])
def test_a_fleet_in_folders_is_followed(box, feed, daemons, folder, n):
    folder.fill(n)
    d = start(daemons, feed, {"web": {"certificates": folder.path, "labels": ["owner=web team"]}})
    wait_count(d, n, 60)
    assert watchlist(d, "web")["source"] == "files" and d.metric("watchlist_files") == n
    assert [w["source"] for w in d.api("GET", "/v1/watchlists")[1]] == ["files"]
    [row] = find(d, "name=host-%x.example" % (SERIAL + 7))
    assert row["labels"] == ["owner=web team"] and row["serial"] == "%x" % (SERIAL + 7)
    began = time.monotonic()
    folder.write("3/3.pem", folder.pem(1) + folder.key_pem)  # renewed
    lab.wait(lambda: serials(find(d, "name=host-1.example")) == ["1"], 10, "the renewed one")
    assert time.monotonic() - began < 1 * lab.PATIENCE
    assert find(d, "name=host-%x.example" % (SERIAL + 3)) == [] and count(d) == n
    os.mkdir(folder.file("new"))  # and a folder that was not there
    folder.write("new/new.pem", folder.pem(2))
    lab.wait(lambda: serials(find(d, "name=host-2.example")) == ["2"], 10, "the new one")
    # half written
    with open(folder.file("3/3.pem"), "w") as f:
        f.write(folder.pem(3)[:200])
    folder.write("4/4.pem", folder.pem(4))
    lab.wait(lambda: serials(find(d, "name=host-4.example")) == ["4"], 10, "the one behind it")
    assert serials(find(d, "name=host-1.example")) == ["1"] and count(d) == n + 1
    os.unlink(folder.file("new/new.pem"))
    [event] = d.wait_event("watchlist_unreadable", 1, 20)
    assert "watchlist=web" in event and "3/3.pem" in event
    wait_count(d, n)
    assert d.metric("watchlist_unreadable") == 1
    folder.write("3/3.pem", folder.pem(3) + folder.key_pem)
    lab.wait(lambda: serials(find(d, "name=host-3.example")) == ["3"], 10, "the mended one")
    lab.wait(lambda: d.metric("watchlist_unreadable") == 0, 10, "the gauge")
    # never a key
    body = "".join(folder.key_pem.splitlines()[1:-1]).encode()
    needles = (body[:60], body[8:60], folder.key_der[30:60], folder.key_der[36:66])
    assert fleet.in_memory(d, *needles) == set()
    for where, _, names in os.walk(d.options["state-directory"]):
        for name in names:
            with open(os.path.join(where, name), "rb") as kept:
                data = kept.read()
            assert not any(x in data for x in needles), name


def test_the_api_does_not_change_it(box, feed, daemons, folder):
    folder.fill(2)
    d = start(daemons, feed, {"web": {"certificates": folder.file("*/*.pem")}, "none": {"certificates": box + "/none/"}},
              store="lmdb:" + os.path.join(box, "store"))
    wait_count(d, 2)
    wait_count(d, 0, name="none")
    for status, body in (put(d, "web", folder.pem(9), PEM), upload(d, "POST", "web", folder.pem(9), PEM),
                         d.api("DELETE", "/v1/watchlists/web"), d.api("DELETE", "/v1/watchlists/web/demo/1")):
        assert status == 409 and body["error"]["code"] == "conflict" and "files" in body["error"]["message"]
    assert put(d, "mine", folder.pem(9), PEM)[0] == 201
    assert count(d) == 2


def test_a_reload_adds_changes_and_removes(box, feed, daemons, folder):
    folder.fill(3)
    d = start(daemons, feed, {}, store="lmdb:" + os.path.join(box, "store"))
    assert put(d, "mine", folder.pem(9), PEM)[0] == 201
    d.watchlists = {"web": {"certificates": folder.path}, "mine": {"certificates": folder.path}}
    d.write()
    d.reload()
    wait_count(d, 3)
    assert "watchlist=mine" in d.wait_event("watchlist_conflict")[0]  # the API's stays
    assert watchlist(d, "mine")["source"] == "api" and count(d, "mine") == 1
    assert d.api("DELETE", "/v1/watchlists/mine")[0] == 204
    d.watchlists["web"]["labels"] = ["tier=1"]
    d.write()
    d.reload()
    lab.wait(lambda: all(r["labels"] == ["tier=1"] for r in find(d, "watchlist=web")), 10, "labels")
    wait_count(d, 3, name="mine")
    # each of them is in force before it is told
    lab.wait(lambda: len(d.events("watchlist_changed")) == 4, 10, "mine by the API, web, its labels, mine by files")
    d.reload()  # nothing has changed, and nothing is written
    del d.watchlists["web"]
    d.write()
    d.reload()
    lab.wait(lambda: count(d) is None, 10, "web to go")
    assert len(d.events("watchlist_changed")) == 4
    del d.watchlists["mine"]  # also while it does not run
    d.stop()
    d.write()
    d.start()
    lab.wait(lambda: d.api("GET", "/v1/watchlists")[1] == [], 10, "no list")


def test_what_cannot_be_read_after_a_start_is_not_lost(box, feed, daemons, folder):
    folder.fill(3)
    d = start(daemons, feed, {"web": {"certificates": folder.path}})
    wait_count(d, 3)
    d.stop()
    with open(folder.file("1/1.pem"), "w") as f:
        f.write("-----BEGIN CERTIFICATE-----\n")
    folder.write("2/2.pem", folder.pem(7))
    d.start()
    lab.wait(lambda: serials(find(d, "name=host-7.example")) == ["7"], 10, "the renewed one")
    assert serials(find(d, "name=host-%x.example" % (SERIAL + 1))) == ["%x" % (SERIAL + 1)]
    folder.write("1/1.pem", folder.pem(8))
    lab.wait(lambda: sorted(serials(find(d, "watchlist=web"))) == sorted(["%x" % SERIAL, "7", "8"]), 10, "all")


def test_with_redis_it_is_this_nodes_alone(box, feed, daemons, folder, redis):
    folder.fill(2)
    d = start(daemons, feed, {"web": {"certificates": folder.path}}, store=redis.url)
    wait_count(d, 2)
    assert d.wait_event("watchlists_of_this_node")
