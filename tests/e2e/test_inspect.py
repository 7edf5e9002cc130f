"""ocspctl find, watchlist and check: what people and scripts see of what they run."""
import fcntl
import json
import os
import pty
import socket
import struct
import subprocess
import termios
import threading

import pytest

import fleet
import lab
from daemon import CLIENT, FAST
from fleet import find, line, ndjson, serials, watchlist
from lists import entry


class Site:
    def __init__(self, box, feed, daemons):
        self.d = daemons([feed.issuer()], store="lmdb:" + os.path.join(box, "store"), **FAST).start()
        self.d.wait_number(feed.url, feed.count)
        self.fleet = f = fleet.Fleet(box, feed.ca)
        self.folder = os.path.join(box, "live")
        for serial, name, sub in ((0xa1, "a.shop.example", "one"), (0xa2, "b.shop.example", "one"),
                                  (0xa3, "c.mail.example", "two")):
            os.makedirs(os.path.join(self.folder, sub), exist_ok=True)
            with open(os.path.join(self.folder, sub, "%x.pem" % serial), "w") as out:
                out.write(f.issue(serial, "DNS:" + name, "DNS:*." + name) + f.key(serial) + lab.read(f.ca) + "\n")
        with open(os.path.join(self.folder, "two", "privkey.pem"), "w") as out:
            out.write(f.key(0xa3))
        self.feed = feed


@pytest.fixture
def site(box, feed, daemons):
    return Site(box, feed, daemons)


def rows(r):
    return [x.split("  ") for x in r.stdout.splitlines()]


def terminal(d, *args, columns=80):
    """What it writes to a terminal, standard error too; and its exit code."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    p = subprocess.Popen([CLIENT, "--url", "http://127.0.0.1:%d" % d.api_port, *args], stdout=slave, stderr=slave,
                         env=dict(os.environ, TERM="dumb"))
    os.close(slave)
    text = b""
    while True:
        try:
            data = os.read(master, 65536)
        except OSError:  # it has ended
            break
        if not data:
            break
        text += data
    os.close(master)
    return p.wait(), text.decode()


def test_a_fleet_of_folders_from_one_end_to_the_other(site):
    d, f = site.d, site.folder
    r = d.ctl("watchlist", "put", "web", f)
    assert (r.returncode, r.stdout) == (0, "web: 3 certificates\n"), r
    r = d.ctl("watchlist", "list")
    assert (r.returncode, rows(r)) == (0, [["web", "api", "3", "0", "0", "0", "0", "0"]])
    r = d.ctl("find", "shop.example")
    assert r.returncode == 0 and [(x[1], x[6]) for x in rows(r)] == [("a1", "yes"), ("a2", "yes")]
    site.feed.bring(d, [entry(1), entry(0xa2, "keyCompromise")])
    r = d.ctl("find", "x.b.shop.example")
    assert r.returncode == 1 and rows(r)[0][:3] == ["revoked", "a2", "demo"] and "keyCompromise" in r.stdout
    assert d.ctl("watchlist", "list").returncode == 1
    r = d.ctl("watchlist", "show", "web")
    assert r.returncode == 1 and [x[0] for x in rows(r)] == ["good", "revoked", "good"]
    r = d.ctl("watchlist", "progress", "web")
    assert (r.returncode, r.stdout) == (1, "1 hit, 0 replaced, 0 in use, of 3 certificates\n")
    assert d.ctl("watchlist", "rm", "web", "demo", "a2").returncode == 0
    assert d.ctl("watchlist", "add", "web", os.path.join(f, "one", "a2.pem")).stdout == "web: 3 certificates\n"
    assert json.loads(d.ctl("watchlist", "list", "--json").stdout) == d.api("GET", "/v1/watchlists")[1]
    assert json.loads(d.ctl("find", "shop.example", "--json").stdout) == find(d, "name=shop.example")
    assert d.ctl("watchlist", "rm", "web").returncode == 0
    r = d.ctl("watchlist", "show", "web")
    assert r.returncode == 64 and "no watchlist has this name" in r.stderr


def test_check_says_which_file(site, box):
    d, f = site.d, site.folder
    r = d.ctl("check", f)
    assert r.returncode == 0
    assert [(x[0], x[1], x[5], os.path.relpath(x[6], f)) for x in rows(r)] == [
        ("good", "a1", "a.shop.example", "one/a1.pem"), ("good", "a2", "b.shop.example", "one/a2.pem"),
        ("good", "a3", "c.mail.example", "two/a3.pem")]
    other = fleet.Fleet(box, lab.CA("Other CA"), "others")
    other.issue(9, "DNS:o.example")
    r = d.ctl("check", f, other.path("9.pem"))
    assert r.returncode == 2 and rows(r)[3][:3] == ["unknown", "9", "CN=Other CA"]
    r = d.ctl("watchlist", "put", "all", f, other.path("9.pem"))
    assert (r.returncode, r.stdout) == (0, "all: 4 certificates, 1 of them not covered\n"), r
    assert [x[6] for x in rows(d.ctl("watchlist", "show", "all"))].count("NO") == 1
    site.feed.bring(d, [entry(1), entry(0xa3)])
    assert d.ctl("check", f).returncode == 1
    assert d.ctl("check", f, other.path("9.pem")).returncode == 1  # revoked wins
    r = d.ctl("check", "--json", other.path("9.pem"), f)
    assert [(x["status"], os.path.basename(x["file"])) for x in map(json.loads, r.stdout.splitlines())] == [
        ("unknown", "9.pem"), ("good", "a1.pem"), ("good", "a2.pem"), ("revoked", "a3.pem")]
    r = d.ctl("status", os.path.join(f, "two", "a3.pem"))
    assert r.returncode == 1 and rows(r)[0][0] == "revoked"
    r = subprocess.run([CLIENT, "--url", "http://127.0.0.1:%d" % d.api_port, "check", "--serial", "hex"], text=True,
                       input=ndjson(line(0xa3), line(0x77)), capture_output=True)
    assert r.returncode == 1 and [x[0] for x in rows(r)] == ["revoked", "good"]


@pytest.mark.parametrize("columns", [120, 60, 20])
def test_a_progress_bar_stays_in_its_line(site, columns):
    """On a terminal; whatever the length of the list's name."""
    name = "a-name-of-a-watchlist-that-is-longer-than-any-that-one-would-like"[:63]
    code, said = terminal(site.d, "watchlist", "put", name, site.folder, columns=columns)
    *drawn, wiped, last = said.replace("\r\n", "\n").split("\r")
    assert (code, last) == (0, name + ": 3 certificates\n"), said
    assert drawn[0] == "" and wiped.strip() == "" and all(len(line) < columns for line in drawn + [wiped]), said
    assert "[###" in drawn[-1] and (columns < 60 or "is being applied" in drawn[-1]), said


def test_exit_codes(site, box):
    d, f = site.d, site.folder
    missing = os.path.join(box, "missing.pem")
    r = d.ctl("check", missing, f)
    assert r.returncode == 2 and missing in r.stderr and len(rows(r)) == 3
    bad = os.path.join(box, "bad.pem")
    with open(bad, "w") as out:
        out.write("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    r = d.ctl("check", bad, os.path.join(f, "one"))
    assert r.returncode == 2 and [x[0] for x in rows(r)] == ["bad", "good", "good"]
    assert d.ctl("check", os.path.join(f, "two", "privkey.pem")).returncode == 2
    # a file that cannot be read must not make a list that has less
    assert d.ctl("watchlist", "put", "web", f).returncode == 0
    assert d.ctl("watchlist", "put", "web", os.path.join(f, "one"), missing).returncode == 64
    assert watchlist(d, "web")["certificates"] == 3
    d.stop()
    for command in (["check", f], ["find", "a"], ["watchlist", "list"], ["watchlist", "put", "web", f]):
        assert d.ctl(*command).returncode == 69, command


def test_a_list_from_csv(site, box):
    path = os.path.join(box, "inventory.csv")
    with open(path, "w") as out:
        out.write("Serial Number,CA\n161,demo\n162,demo\n")
    r = site.d.ctl("watchlist", "put", "csv", "--map", "serial=Serial Number,issuer=CA", "--serial", "dec", path)
    assert r.stdout == "csv: 2 certificates\n", r
    assert serials(find(site.d, "watchlist=csv")) == ["a1", "a2"]
    r = site.d.ctl("watchlist", "put", "csv", "--map", "serial=Nr,issuer=CA", path)
    assert r.returncode == 64 and "Nr" in r.stderr


def test_on_a_terminal_tables_and_a_bar(site):
    code, text = terminal(site.d, "watchlist", "put", "web", site.folder)
    assert code == 0 and "web: 3 certificates" in text and "\r" in text and "[###" in text
    code, text = terminal(site.d, "find", "shop.example")
    assert code == 0 and text.startswith("STATUS ") and text.count("good") == 2
    code, text = terminal(site.d, "check", site.folder)
    assert code == 0 and text.splitlines()[-1].endswith("3 good, 0 revoked, 0 unknown")
    site.feed.bring(site.d, [entry(1), entry(0xa3)])
    code, text = terminal(site.d, "check", site.folder)
    assert code == 1 and "revoked  a3" in text and "a1" not in text and "2 good, 1 revoked, 0 unknown" in text
    assert site.d.ctl("watchlist", "rm", "web", "demo", "a3").returncode == 0
    code, text = terminal(site.d, "watchlist", "progress", "web")
    assert code == 0 and "[" + 24 * "#" + "]  0 hit, 0 replaced, 0 in use, of 2 certificates" in text
    assert "none is on a watchlist" in terminal(site.d, "find", "nothing.example")[1]


def test_a_key_never_leaves_the_machine(site):
    """Neither of check nor of watchlist put, whatever stands around it."""
    got, s = [], socket.create_server(("127.0.0.1", 0))

    def serve():
        for _ in range(2):
            c, _ = s.accept()
            c.settimeout(10)
            text = b""
            while not text.endswith(b"0\r\n\r\n"):
                data = c.recv(65536)
                if not data:
                    break
                text += data
            got.append(text)
            c.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            c.close()
    t = threading.Thread(target=serve, daemon=True)
    t.start()
    for command in (["check"], ["watchlist", "put", "web"]):
        assert subprocess.run([CLIENT, "--url", "http://127.0.0.1:%d" % s.getsockname()[1], *command, site.folder],
                              capture_output=True).returncode == 69
    t.join(10)
    for text in got:
        assert text.count(b"-----BEGIN CERTIFICATE-----") == 6 and b"PRIVATE" not in text
        for serial in (0xa1, 0xa2, 0xa3):
            for part in site.fleet.key(serial).splitlines()[1:-1]:
                assert part.encode() not in text
    s.close()
