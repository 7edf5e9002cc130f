"""The front as a socket sees it: every row of the table of answers, over raw bytes (R21..R38, R137)."""
import socket
import time

import pytest

import lab
import wire


def status_of(data):
    return int(data.split(b" ", 2)[1]) if data.startswith(b"HTTP/1.") else data[:40]


def test_every_shape_of_get_path_reaches_the_same_answer(up, world):
    """R21, R22, R24, R30"""
    der = lab.request(world.ca, world.good.serial)
    expected = up.post(der).body
    raw, quoted = wire.path_of(der, "", True), wire.path_of(der, "")
    paths = ["/" + quoted, "//" + quoted, "/ocsp/" + quoted, "/ocsp//" + quoted, "/" + raw, "/ocsp/" + raw,
             "/" + quoted.replace("%2B", "+"), "/" + raw.replace("+", "%20"),
             "/" + quoted.replace("%3D", "%3d").replace("%2F", "%2f").replace("%2B", "%2b"),
             "/" + quoted.replace("%3D", ""), "/" + quoted + "?x=1"]
    for p in paths:
        r = wire.exchange(up.port, ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % p).encode())
        assert (r.status, r.body == expected) == (200, True), p


def test_paths_of_the_ocsp_urls_are_ours_too(box, world, daemons):
    d = daemons([world.issuer(ocsp=[world.responder.url + "deep/path/"])]).start()
    der = lab.request(world.ca, world.good.serial)
    for prefix in ("/deep/path/", "/deep/path//"):
        assert d.get(der, prefix).outcome == "good"
    assert d.post(der, "/deep/path").outcome == "good"
    assert d.post(der, "/deep/path/").outcome == "good"


def test_a_prefix_ends_at_a_segment(world, daemons):
    """R30"""
    d = daemons([world.issuer(ocsp=[world.responder.url + "x"])], ocsp_path=["/ocsp"]).start()
    der = lab.request(world.ca, world.good.serial)
    for p in ("/ocspx/", "/ocs/", "/other/", "/"):
        assert d.get(der, p).status == 404, p
        assert d.post(der, p).status == 404, p
    assert d.get(der, "/ocsp/").status == 200


REFUSED = [
    # name, request, status
    ("bad escape", b"GET /MF%ZZ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("double percent", b"GET /M%%F HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("escape cut", b"GET /MF%2 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("space in target", b"GET /M F HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("control in target", b"GET /M\x01F HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("NUL in target", b"GET /M\0F HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("two hosts", b"POST / HTTP/1.1\r\nHost: a\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 400),
    ("bad host", b"POST / HTTP/1.1\r\nHost: a b\r\nContent-Length: 0\r\n\r\n", 400),
    ("host with a path", b"POST / HTTP/1.1\r\nHost: a/b\r\nContent-Length: 0\r\n\r\n", 400),
    ("length and coding", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    ("two lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nMMMM", 400),
    ("two lengths that differ", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nMMMMM", 400),
    ("list of lengths", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4, 4\r\n\r\nMMMM", 400),
    ("length with sign", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +4\r\n\r\nMMMM", 400),
    ("negative length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -4\r\n\r\nMMMM", 400),
    ("length in hex", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x4\r\n\r\nMMMM", 400),
    ("empty length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400),
    ("bare LF", b"GET / HTTP/1.1\nHost: a\n\n", 400),
    ("bare LF in head", b"GET /M HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", 400),
    ("folded line", b"GET /M HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400),
    ("space before colon", b"GET /M HTTP/1.1\r\nHost : a\r\n\r\n", 400),
    ("NUL in head", b"GET /M HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", 400),
    ("HTTP/2 preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", (400, 505)),
    ("asterisk with GET", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ("authority with GET", b"GET host:80 HTTP/1.1\r\nHost: host:80\r\n\r\n", 400),
    ("garbage", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ("foreign host", b"GET http://elsewhere.example/M HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n", 403),
    ("redis as host", b"GET http://127.0.0.1:6379/ HTTP/1.1\r\nHost: 127.0.0.1:6379\r\n\r\n", 403),
    ("unknown path", b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ("no M", b"GET /ocsp/AAAA HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ("PUT", b"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405),
    ("DELETE", b"DELETE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("OPTIONS", b"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("OPTIONS *", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", (400, 405)),
    ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 405),
    ("long body", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10001\r\n\r\n" + b"M" * 10001, 413),
    ("huge length", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999999\r\n\r\n", (400, 413)),
    ("long target", b"GET /M" + b"A" * 4200 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    ("expectation", b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\nContent-Length: 4\r\n\r\n", 417),
    ("long head", b"GET /M HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 9000 + b"\r\n\r\n", 431),
    ("many lines", b"GET /M HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 2000 + b"\r\n", 431),
    ("unknown coding", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
    ("two codings", b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", (400, 501)),
    ("version 2.0", b"GET /M HTTP/2.0\r\nHost: a\r\n\r\n", (400, 505)),
    ("version 9", b"GET /M HTTP/9.9\r\nHost: a\r\n\r\n", 505),
]


@pytest.fixture
def front(daemons, world):
    return daemons([world.issuer()], linger_timeout="300ms", idle_timeout="1s", header_timeout="500ms",
                   body_timeout="500ms").start()


def test_the_refusals(front, world):
    """R4, R28, R29, R33, R137, R140"""
    wrong = []
    for name, data, expected in REFUSED:
        got = wire.whole(front.port, data)
        ok = status_of(got) in (expected if isinstance(expected, tuple) else (expected,))
        head, _, body = got.partition(b"\r\n\r\n")
        one_line = body.count(b"\n") <= 1 and b"text/plain" in head and b"no-store" in head.lower()
        allow = status_of(got) != 405 or b"\r\nallow:" in head.lower()
        once = got.count(b"HTTP/1.") == 1
        if not (ok and one_line and allow and once):
            wrong.append("%s: expected %s, got %r" % (name, expected, got[:300]))
    assert not wrong, "\n".join(wrong)
    assert front.ask(world.ca, world.good.serial).outcome == "good"  # nothing of it did harm


def test_what_follows_a_refused_head_is_never_read_as_a_request(front, world):
    """T9: one answer for each request, and none for what was smuggled."""
    inner = wire.get(lab.request(world.ca, world.good.serial))
    for head in (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n",
                 b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
                 b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
                 b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x4\r\nMMMM\r\n0\r\n\r\n",
                 b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4 \r\nMMMMM\r\n0\r\n\r\n",
                 b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"):
        got = wire.whole(front.port, head + inner)
        assert got.count(b"HTTP/1.1 ") == 1 and status_of(got) in (400, 501), (head, got)


def test_a_chunked_request_is_read(up, world):
    der = lab.request(world.ca, world.good.serial)
    body = b"5;x=y\r\n" + der[:5] + b"\r\n" + b"%x\r\n" % (len(der) - 5) + der[5:] + b"\r\n0\r\nTrailer: z\r\n\r\n"
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert wire.exchange(up.port, head + body).outcome == "good"
    with up.connect() as c:  # byte by byte, and the connection stays in step
        for b in head + body:
            c.send(bytes([b]))
        assert c.reply().outcome == "good"
        assert c.send(wire.post(der)).reply().outcome == "good"
    big = b"%x\r\n" % 10001 + b"M" * 10001 + b"\r\n0\r\n\r\n"
    assert wire.exchange(up.port, head + big).status == 413


def test_slow_clients_are_told_or_cut_off(front):
    """T10."""
    with front.connect() as c:
        start = time.monotonic()
        r = c.send(b"GET /M HTTP/1.1\r\nHo").reply()
        assert r.status == 408 and time.monotonic() - start >= 0.4
    with front.connect() as c:  # a byte now and then buys no time
        start = time.monotonic()
        with pytest.raises((EOFError, OSError)):
            for b in b"GET /M HTTP/1.1\r\nHost: " + b"a" * 1000:
                c.send(bytes([b]))
                time.sleep(0.05)
                c.s.setblocking(False)
                try:
                    if c.s.recv(1):
                        raise EOFError
                except BlockingIOError:
                    pass
                c.s.setblocking(True)
        assert time.monotonic() - start < 5 * lab.PATIENCE
    with front.connect() as c:
        assert c.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nMM").reply().status == 408
    with front.connect() as c:  # idle: closed without a word
        start = time.monotonic()
        assert c.closed() and time.monotonic() - start < 5 * lab.PATIENCE


def test_http_1_0_is_answered_and_closed_unless_keep_alive_is_asked(up, world):
    """R118, R154"""
    der = lab.request(world.ca, world.good.serial)
    up.post(der)
    for request in (wire.post(der, version="1.0"), wire.get(der, version="1.0"),
                    b"GET " + wire.path_of(der).encode() + b" HTTP/1.0\r\n\r\n"):  # without Host (R35)
        with up.connect() as c:
            r = c.send(request).reply()
            assert r.outcome == "good" and c.closed()
    with up.connect() as c:
        for _ in range(3):
            r = c.send(wire.get(der, version="1.0", more="Connection: keep-alive\r\n")).reply()
            assert r.outcome == "good" and (r["Connection"] or "").lower() == "keep-alive"
    with up.connect() as c:
        r = c.send(wire.get(der, more="Connection: close\r\n")).reply()
        assert r.outcome == "good" and r["Connection"] == "close" and c.closed()


def test_pipelined_requests_are_answered_in_order(up, world):
    """R138; misses between hits keep their place."""
    serials = [world.good.serial, world.revoked.serial, world.unknown.serial] * 20
    with up.connect() as c:
        c.send(b"".join((wire.get if i % 2 else wire.post)(lab.request(world.ca, s)) for i, s in enumerate(serials)))
        for s in serials:
            assert lab.serial_of(c.reply().body) == s


def test_a_request_in_single_bytes_is_a_request(up, world):
    for data in (wire.get(lab.request(world.ca, world.good.serial)),
                 b"\r\n" + wire.post(lab.request(world.ca, world.good.serial))):
        with up.connect() as c:
            c.s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for b in data:
                c.send(bytes([b]))
            assert c.reply().outcome == "good"


def test_expect_100_continue(up, world):
    der = lab.request(world.ca, world.good.serial)
    data = wire.post(der, more="Expect: 100-continue\r\n")
    with up.connect() as c:
        c.send(data[:-len(der)])
        assert c.reply().status == 100
        assert c.send(der).reply().outcome == "good"
    # Refused before the body is sent.
    with up.connect() as c:
        c.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 20000\r\n\r\n")
        assert c.reply().status == 413


def test_curls_upgrade_is_ignored(up, world):
    """R37."""
    more = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    assert wire.exchange(up.port, wire.post(lab.request(world.ca, world.good.serial), more=more)).outcome == "good"


def test_the_three_shapes_of_a_request(up, world):
    """Origin-form to us, with the CA's name in Host, absolute-form to the CA's URL (R31, R32)."""
    der = lab.request(world.ca, world.good.serial)
    there = "127.0.0.1:%d" % world.responder.port
    for data in (wire.post(der), wire.post(der, host=there), wire.post(der, path="http://%s/" % there, host=there),
                 wire.post(der, path="http://%s/" % there, host="ignored.example"),
                 wire.post(der, path="HTTP://%s" % there, version="1.0"), wire.get(der, "http://%s/" % there)):
        assert wire.exchange(up.port, data).outcome == "good", data[:80]
    assert world.responder.count == 1
    for path in ("http://127.0.0.1:%d/" % (world.responder.port + 1), "http://127.0.0.1/", "https://%s/" % there,
                 "ftp://%s/" % there, "http://user@%s/" % there):
        assert wire.exchange(up.port, wire.post(der, path=path)).status in (400, 403), path


def test_content_types_are_not_looked_at(up, world):
    """R1"""
    der = lab.request(world.ca, world.good.serial)
    for kind in (b"application/ocsp-request", b"text/plain", b"application/x-www-form-urlencoded"):
        data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(der)) + der
        assert wire.exchange(up.port, data).outcome == "good"
    data = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(der) + der
    assert wire.exchange(up.port, data).outcome == "good"


def test_range_and_encoding_are_ignored(up, world):
    """R129, R135"""
    r = wire.exchange(up.port, wire.get(lab.request(world.ca, world.good.serial),
                                        more="Range: bytes=0-3\r\nAccept-Encoding: gzip\r\n"))
    assert r.outcome == "good" and r["Content-Encoding"] is None


def test_healthz(up):
    r = wire.exchange(up.port, b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    assert r.status == 200
    assert wire.exchange(up.port, b"HEAD /healthz HTTP/1.1\r\nHost: a\r\n\r\n", head_only=True).status == 200


def test_bad_base64_is_malformed(up):
    """R26, R27."""
    for path in ("/MF-_", "/MFQw==MFQ", "/MFQ=w", "/M!", "/MFQwUjBQ====", "/M"):
        assert wire.exchange(up.port, ("GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path).encode()).outcome == \
            "malformed_request", path


# Our codes for the cases of the corpus get-paths: what Boulder answers with 400 is for us 404 where the
# path does not begin with M, and 405 or 413 where HTTP has its own code.
CASES = {"405": 405, "400": 404, "400 bad percent-encoding": 400, "400 bad base64": 404, "400 bad DER": 404}


def test_the_get_paths_of_boulder_and_cfssl(corpora, up):
    wrong, n = [], 0
    with open(corpora("get-paths", "cases.tsv")) as f:
        for line in f:
            if line.startswith("#"):
                continue
            _, method, path, expected = line.rstrip("\n").split("\t")
            n += 1
            if path.startswith("body ="):
                data, code = wire.post(b"M" * 10001), 413
            else:
                target = "/ocsp/" + path.lstrip("/") if path == "/" else "/ocsp/" + path
                data = ("%s %s HTTP/1.1\r\nHost: a\r\n\r\n" % (method, target)).encode()
                code = CASES.get(expected, 200)
            r = wire.exchange(up.port, data)
            if r.status != code or (code == 200 and r.outcome not in ("unauthorized", "malformed_request")):
                wrong.append("%s %s: expected %s, got %r" % (method, path, code, r))
            if "contains" in expected or "extra" in expected or "raw" in expected:
                assert r.outcome == "unauthorized", path  # decoded, and of no issuer of ours
    assert n >= 10 and not wrong, "\n".join(wrong)


def test_a_reader_that_does_not_read_is_cut_off(daemons, world):
    """T10"""
    # It may be cut off in the midst of a head: then its answers are all in the kernel, and it takes none.
    d = daemons([world.issuer()], write_timeout="500ms", header_timeout="1s", idle_timeout="30s").start()
    der = wire.get(lab.request(world.ca, world.good.serial))
    with d.connect() as c:
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.s.settimeout(10 * lab.PATIENCE)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for _ in range(20000):  # far more than buffers take
                c.send(der * 10)
    assert d.ask(world.ca, world.good.serial).hit


def test_what_a_cut_off_client_did_not_take_is_dropped(daemons, world):
    """T10: the kernel offers nothing to a client that reads no answer and never finishes its next head."""
    d = daemons([world.issuer()], header_timeout="1s", linger_timeout="500ms", write_timeout="1s",
                idle_timeout="30s").start()
    der = wire.get(lab.request(world.ca, world.good.serial))
    with d.connect() as c:
        c.s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        c.send(der * 400 + der[:50])
        lab.wait(lambda: d.metric("connections_timed_out_total") >= 1, 5, "the deadline")
        here, there = ("0100007F:%04X" % n for n in (d.port, c.s.getsockname()[1]))

        def gone():
            with open("/proc/net/tcp") as f:
                return not any(line.split()[1:3] == [here, there] for line in f)
        lab.wait(gone, 5, "the kernel to forget the connection")


def test_descriptors_run_out_and_nothing_is_lost(daemons, world):
    """EMFILE: accepting pauses and goes on; the kernel's backlog keeps who waits."""
    d = daemons([world.issuer()], limit_nofile=128, reserved_descriptors=64, idle_timeout="30s").start()
    der = wire.post(lab.request(world.ca, world.good.serial))
    assert d.post(lab.request(world.ca, world.good.serial)).outcome == "good"
    crowd = [d.connect(30) for _ in range(300)]
    for c in crowd:
        c.send(der)
    answered = 0
    for c in crowd:  # each that is answered leaves and makes room
        assert c.reply().outcome == "good"
        c.close()
        answered += 1
    assert answered == 300
    assert d.metric("accept_paused_total") >= 1
    # Upstream still has its descriptors while clients use all of theirs.
    crowd = [d.connect(30) for _ in range(200)]
    crowd[0].send(wire.post(lab.request(world.ca, world.revoked.serial)))
    assert crowd[0].reply().outcome == "revoked"
    for c in crowd:
        c.close()


def test_unix_sockets(box, daemons, world):
    path = box + "/http.sock"
    d = daemons([world.issuer()], listen=["unix:" + path]).start()
    der = lab.request(world.ca, world.good.serial)
    for _ in range(10):
        assert wire.exchange(0, wire.post(der), unix=path).outcome == "good"


def test_ipv6_and_several_addresses(daemons, world):
    a, b = lab.free_port(), lab.free_port()
    d = daemons([world.issuer()], listen=["127.0.0.1:%d" % a, "[::1]:%d" % b])
    try:
        socket.create_connection(("::1", 9), 1)
    except ConnectionRefusedError:
        pass
    except OSError:
        pytest.skip("no IPv6 here")
    d.start()
    der = wire.post(lab.request(world.ca, world.good.serial))
    assert wire.exchange(a, der).outcome == "good"
    with wire.Connection(b, host="::1") as c:
        assert c.send(der).reply().outcome == "good"
