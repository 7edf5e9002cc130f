"""Streamed exchanges as real clients make them: curl, which reads while it writes, and Python, which does not.

The server is a program of a hundred lines around proxy/http/stream.c (streaming.c).
"""
import hashlib
import http.client
import os
import re
import shutil
import subprocess

import pytest

import daemon
import lab

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "streaming.c")
MIB = 1 << 20


class Server:
    def __init__(self, program):
        self.process = subprocess.Popen([program], stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def url(self, path):
        return "http://127.0.0.1:%d/%s" % (self.port, path)

    def most_memory(self):
        """Bytes."""
        with open("/proc/%d/status" % self.process.pid, encoding="ascii") as f:
            return 1024 * int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not shutil.which("cc") or not lab.tool("curl"):
        pytest.skip("no compiler, or no curl")
    program = str(tmp_path_factory.mktemp("streaming") / "streaming")
    with open(os.path.join(daemon.TOP, "Makefile"), encoding="utf-8") as f:
        libraries = re.search(r"^LDLIBS\s*:= (.*)$", f.read(), re.M).group(1).split()
    san = ["-fsanitize=" + os.environ["SAN"]] if os.environ.get("SAN") else []
    subprocess.run(["cc", "-std=c11", "-O1", "-g", "-D_GNU_SOURCE", "-I" + daemon.TOP, "-pthread", *san,
                    SOURCE, os.path.join(daemon.B, "libocspcached.a"), *libraries, "-o", program], check=True)
    s = Server(program)
    yield s
    s.process.kill()
    s.process.wait()


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A file of 48 MiB, none of which is like another, and its digest."""
    path = tmp_path_factory.mktemp("large") / "body"
    data = b"".join(hashlib.sha256(b"%d" % i).hexdigest().encode() * 512 for i in range(48 * 32))
    path.write_bytes(data)
    assert len(data) == 48 * MIB
    return str(path), hashlib.sha256(data).hexdigest()


def curl(server, path, *options, **more):
    out = subprocess.run(["curl", "-sS", "--max-time", "60", "-o", "-", "-w", "\n%{http_code}", *options,
                          server.url(path)], capture_output=True, check=False, **more)
    body, _, status = out.stdout.rpartition(b"\n")
    return out.returncode, int(status), body


def test_curl_sends_it_with_a_length_in_chunks_and_by_1_0(server, large):
    """R36: -T of a large file waits for its 100, too."""
    for options in (["-T", large[0]], ["-T", "-", "-H", "Transfer-Encoding: chunked"],
                    ["--data-binary", "@" + large[0]], ["--http1.0", "-T", large[0]],
                    ["-H", "Expect: 100-continue", "-T", large[0]]):
        with open(large[0], "rb") as f:
            code, status, body = curl(server, "count", *options, stdin=f)
        assert (code, status, body) == (0, 201, b'{"n":%d}\n' % (48 * MIB)), options


def test_curl_reads_while_it_writes_and_memory_is_flat(server, large):
    """T22"""
    before = server.most_memory()
    for options in (["-T", large[0]], ["-H", "Transfer-Encoding: chunked", "-T", large[0]],
                    ["--http1.0", "-T", large[0]]):
        code, status, body = curl(server, "echo", *options)
        assert (code, status, len(body)) == (0, 200, 48 * MIB), options
        assert hashlib.sha256(body).hexdigest() == large[1]
    assert os.environ.get("SAN") or server.most_memory() < before + 16 * MIB


def test_an_error_before_the_end_is_seen(server, large):
    code, status, body = curl(server, "refuse", "-T", large[0])
    assert status == 400 and b"line 1: refused" in body, code


def test_who_writes_all_before_reading_gets_an_answer_of_up_to_4_mib(server):
    body = b"0123456789abcdef" * (4 * MIB // 16 - 4096)
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    c.request("POST", "/echo", body=body)
    assert c.getresponse().read() == body
    c = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    c.request("POST", "/count", body=(b"x" * 70000 for _ in range(100)), encode_chunked=True,
              headers={"Transfer-Encoding": "chunked"})
    assert c.getresponse().read() == b'{"n":7000000}\n'
