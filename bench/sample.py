"""sample - one run of the load generator, with what the machine was like meanwhile."""
import base64
import collections
import json
import os
import socket
import struct
import subprocess
import types
import urllib.parse

import servers

FAR_NS = 220  # there and back: 90 to 135 ns within a cache, 350 to 550 between two
TRIES = 3     # of a sample during which the machine was moved


def near_ns():
    argv = [servers.tool("near"), str(servers.SERVER_CORE), str(servers.LOAD_CORE)]
    return int(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def load_argv(server, pairs, *arguments):
    pids = [a for p in server.pids() for a in ("-s", str(p))]
    return [servers.tool("load"), "-p", str(server.port), "-a", pairs, *pids, *arguments]


def load(server, pairs, *arguments, core=servers.LOAD_CORE):
    """Run it; its figures as attributes."""
    argv = ["taskset", "-c", str(core)] + load_argv(server, pairs, *arguments)
    r = subprocess.run(argv, capture_output=True, text=True)
    if r.returncode != 0:
        raise RuntimeError("%s: load ended with %d\n%s%s" % (server.name, r.returncode, r.stdout, r.stderr))
    return types.SimpleNamespace(**json.loads(r.stdout))


def take(server, pairs, *arguments):
    """load(), tagged "near", "far", or "moved" when it changed each time that it was tried."""
    for _ in range(TRIES):
        before = near_ns() < FAR_NS
        s = load(server, pairs, *arguments)
        after = near_ns() < FAR_NS
        s.tag = "moved" if before != after else "near" if before else "far"
        if s.tag != "moved":
            break
    return s


def most_common_tag(samples):
    """near if there are at least two such samples, else what there is most of."""
    count = collections.Counter(s.tag for s in samples)
    return "near" if count["near"] >= 2 else count.most_common(1)[0][0]


def limits(samples):
    return collections.Counter(s.limit for s in samples).most_common(1)[0][0]


def first_request(pairs):
    with open(pairs, "rb") as f:
        f.read(8)
        n = struct.unpack("=II", f.read(8))[0]
        return f.read(n)


def response(port, pairs, box, close):
    """Write the server's whole response to the first key's GET to a file; its path."""
    path = urllib.parse.quote(base64.b64encode(first_request(pairs)).decode(), safe="")
    more = "Connection: close\r\n" if close else ""
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        s.sendall(("GET /%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (path, more)).encode())
        data = b""
        while b"\r\n\r\n" not in data:
            data += s.recv(65536)
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(next(h for h in head.split(b"\r\n") if h.lower().startswith(b"content-length:")).split(b":")[1])
        while len(body) < length:
            body += s.recv(65536)
    name = os.path.join(box, "response-close" if close else "response")
    with open(name, "wb") as f:
        f.write(head + b"\r\n\r\n" + body)
    return name
