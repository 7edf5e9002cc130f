"""POST /v1/status: as many as a body names, in order, streamed both ways, and never a fetch."""
import json
import os
import random
import select
import socket
import subprocess

import pytest

import fleet
import lab
from daemon import FAST
from fleet import NDJSON, PEM, bulk, line, ndjson
from lists import entry, crl


@pytest.fixture
def site(world, publisher, daemons):
    """An issuer with OCSP and a list, and the world's certificates."""
    class Site:
        ca, w = world.ca, world
        url = publisher.publish("a.crl", crl(world.ca, [entry(0x51, "keyCompromise"), entry(0x52, "certificateHold")]))
        d = daemons([world.issuer(crl=[url])], **FAST).start()
    Site.d.wait_number(Site.url, 1)
    return Site


def say(row):
    return row.get("status") or row["error"]["code"]


def test_each_line_in_its_place(site):
    d = site.d
    rows = bulk(d, ndjson(line(0x51), line("xyz"), line("0052"), "", "{}", line(0x53), line(1, issuer="nobody"),
                          json.dumps({"issuer_key": "00" * 20, "serial": "54"})))
    assert [say(r) for r in rows] == ["revoked", "bad_serial", "revoked", "bad_field", "good", "bad_issuer", "unknown"]
    assert rows[0] == {"issuer": "demo", "serial": "51", "status": "revoked", "revoked_at": rows[0]["revoked_at"],
                       "reason": "keyCompromise"}
    assert rows[0]["revoked_at"] == d.status("demo", 0x51)["revoked_at"]
    assert rows[1]["line"] == 2 and rows[3]["line"] == 5 and rows[5]["line"] == 7
    assert rows[2]["serial"] == "52" and rows[2]["reason"] == "certificateHold"
    assert rows[4] == {"issuer": "demo", "serial": "53", "status": "good", "revoked_at": None, "reason": None}
    assert rows[6] == {"issuer": None, "issuer_name": None, "serial": "54", "status": "unknown", "revoked_at": None,
                       "reason": None}


def test_what_only_ocsp_knows_counts_and_nothing_is_fetched(site):
    d, w = site.d, site.w
    d.ask(w.ca, w.revoked.serial)  # latched
    fetches = w.responder.count
    rows = bulk(d, ndjson(*[line(s) for s in (w.revoked.serial, 0x51, w.good.serial, 0x77)]))
    assert [say(r) for r in rows] == ["revoked", "revoked", "good", "good"]
    assert rows[0]["revoked_at"] == d.status("demo", w.revoked.serial)["revoked_at"]
    assert w.responder.count == fetches


@pytest.mark.parametrize("opens", [True, False], ids=["that_is_opened", "that_is_not"])
def test_behind_a_start_it_waits_for_a_list(box, publisher, daemons, opens):
    """A list of the state directory cannot be read (here: a FIFO), and the CA is away.  When it can be, it counts; when
    that takes too long, nothing that it may revoke is good."""
    ca = lab.CA("late CA")
    url = publisher.publish("a.crl", crl(ca, [entry(0x51, "keyCompromise")]))
    d = daemons([{"name": "demo", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": [url]}],
                **dict(FAST, answer_timeout="30s" if opens else "1s"))
    d.start().wait_number(url, 1)
    current, = lab.wait(lambda: [os.path.join(p, "current") for p, _, f in os.walk(d.options["state-directory"])
                                 if "current" in f], 10, "the list on disk")
    d.stop()
    publisher["a.crl"].mode = 503
    os.rename(current, current + ".away")
    os.mkfifo(current)
    d.start(ready=False)
    body = ndjson(line(0x51), line(0x52)).encode()
    c = socket.create_connection(("127.0.0.1", d.api_port), 40 * lab.PATIENCE)
    c.sendall(b"POST /v1/status HTTP/1.0\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (
        NDJSON.encode(), len(body)) + body)
    text = b""
    while not text.endswith(b"\r\n\r\n"):
        text += c.recv(1)
    if opens:  # it waits: the head goes out before the keeper is asked
        assert not select.select([c], [], [], 0)[0]
        os.rename(current + ".away", current)
        d.refresh()
    rows = [json.loads(x) for x in c.makefile("rb").read().splitlines()]
    assert [say(r) for r in rows] == (["revoked", "good"] if opens else ["unknown", "unknown"])


def test_certificates(site, box):
    """Keys and CA certificates give no line; whose issuer nobody has configured is unknown, with its name."""
    d = site.d
    f, other = fleet.Fleet(box, site.ca), fleet.Fleet(box, lab.CA("Other CA"), "others")
    body = (f.issue(0x51, "DNS:a.example") + f.key(0x51) + lab.read(f.ca) + "\n" + other.issue(9, "DNS:b.example") +
            f.issue(0x55, "DNS:c.example"))
    rows = bulk(d, body, PEM)
    assert [(r["issuer"], r["serial"], say(r)) for r in rows] == [
        ("demo", "51", "revoked"), (None, "9", "unknown"), ("demo", "55", "good")]
    assert rows[1]["issuer_name"] == "CN=Other CA"


def test_decimal_serials(site):
    assert [say(r) for r in bulk(site.d, ndjson(line("81"), line("83")), query="?serial=dec")] == ["revoked", "good"]
    rows = bulk(site.d, ndjson(line("81"), line("123456789012")))
    assert say(rows[-1]) == "serials_ambiguous" and len(rows) == 3


@pytest.mark.parametrize("version,n", [("1.0", 3), ("1.1", 3), ("1.1", 5000)])
def test_it_is_streamed_to_clients_of_either_version(site, version, n):
    body = ndjson(*[line(i) for i in range(0x50, 0x50 + n)]).encode()
    c = socket.create_connection(("127.0.0.1", site.d.api_port), 20)
    c.sendall(b"POST /v1/status HTTP/%s\r\nHost: localhost\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (
        version.encode(), NDJSON.encode(), len(body)) + body)
    text = b""
    while True:
        data = c.recv(65536)
        if not data:
            break
        text += data
    head, rest = text.split(b"\r\n\r\n", 1)
    assert (b"Transfer-Encoding: chunked" in head) == (version == "1.1") and b" 200 " in head
    if version == "1.1":
        whole = b""
        while rest:
            size, rest = rest.split(b"\r\n", 1)
            k = int(size, 16)
            whole, rest = whole + rest[:k], rest[k + 2:]
        rest = whole
    rows = [json.loads(x) for x in rest.splitlines()]
    assert [r["serial"] for r in rows] == ["%x" % i for i in range(0x50, 0x50 + n)]


def test_answers_come_before_the_body_is_whole(site):
    c = socket.create_connection(("127.0.0.1", site.d.api_port), 20)
    c.sendall(b"POST /v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
              b"Transfer-Encoding: chunked\r\n\r\n")
    for i, status in ((0x51, b"revoked"), (0x53, b"good")):
        text = (line(i) + "\n").encode()
        c.sendall(b"%x\r\n%s\r\n" % (len(text), text))
        got = b""
        while b"}\n" not in got:
            got += c.recv(65536)
        assert b'"status":"' + status in got
    c.sendall(b"0\r\n\r\n")
    assert c.recv(100).endswith(b"0\r\n\r\n")


def test_a_large_batch_is_told_in_order(site):
    """More lines than one turn makes: batches grow with the number of watchlists."""
    n = 20000
    for i in range(50):
        fleet.put(site.d, "list%d" % i, ndjson(line(i)))
    rows = bulk(site.d, ndjson(*[line(i) for i in range(0x50, 0x50 + n)]))
    assert [r["serial"] for r in rows] == ["%x" % i for i in range(0x50, 0x50 + n)]
    assert [r["serial"] for r in rows if say(r) != "good"] == ["51", "52"]


def test_refused_at_once(site):
    d = site.d
    assert d.api("POST", "/v1/status", b"x", headers={"Content-Type": "text/csv"})[0] == 415
    assert d.api("GET", "/v1/status")[0] == 405
    assert d.api("POST", "/v1/status?serial=oct", b"x", headers={"Content-Type": NDJSON})[0] == 400
    assert bulk(d, "") == []


def test_memory_is_flat(site, box):
    """T22"""
    d, n = site.d, 100000
    rng = random.Random(1)
    with open(os.path.join(box, "body"), "w") as f:
        f.write(ndjson(*[line(rng.getrandbits(120)) for _ in range(n)]))

    def rss():
        return int([x for x in lab.read("/proc/%d/status" % d.process.pid).splitlines() if "RssAnon" in x][0].split()[1])
    bulk(d, ndjson(*[line(i) for i in range(3000)]))
    before = rss()
    # curl reads while it writes
    out = subprocess.run(["curl", "-sS", "-T", f.name, "-X", "POST", "-H", "Content-Type: " + NDJSON,
                          "http://127.0.0.1:%d/v1/status" % d.api_port], check=True, capture_output=True).stdout
    assert out.count(b'"status":"good"') == n and out.count(b"\n") == n
    assert rss() - before < 6144 * (4 if lab.PATIENCE > 1 else 1)  # KiB
    assert d.metric("bulk_status_total") == n + 3000
