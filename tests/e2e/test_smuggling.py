"""T9, R137: the smuggling matrix: one answer for a request, always; over the daemon's own socket, and through real
nginx and HAProxy that share their connections to the daemon among all clients.

Each attack is an outer request (or something near one) with an inner one hidden where a careless reader finds it.
Both ask for certificates that nobody else asks for, and the CA's responder knows who was asked for: an inner request
that any reader took for one leaves its serial there, whether its answer was seen or not."""
import base64
import re
import selectors
import socket
import threading
import urllib.parse

import pytest

import clients
import lab
import wire


class Attack:
    """What it is made of: P the head of a POST without its framing, G that of a GET, der its body, inner the request
    that is hidden, n their lengths."""

    def __init__(self, ca):
        self.outer, self.inner_serial = ca.issue().serial, ca.issue().serial
        self.der = lab.request(ca, self.outer)
        self.path = b"/" + urllib.parse.quote(base64.b64encode(self.der).decode(), safe="").encode()
        self.inner = wire.get(lab.request(ca, self.inner_serial), "/")
        self.P = b"POST / HTTP/1.1\r\nHost: a\r\n"
        self.G = b"GET " + self.path + b" HTTP/1.1\r\nHost: a\r\n"
        self.chunked = b"%x\r\n" % len(self.der) + self.der + b"\r\n0\r\n\r\n"
        self.TE = b"Transfer-Encoding: chunked\r\n"
        self.n, self.m = len(self.der), len(self.inner)


def length(n):
    return b"Content-Length: %d\r\n" % n


# Names of answers: "outer", "inner", the name of an OCSP error, or the HTTP status. A row's last is what the daemon
# itself says; a set: any of them. What a row does not name is a fault.
BAD, BOTH = ["400"], ["outer", "inner"]
REFUSED = {("400",), ("501",)}


def coding(value, expected=REFUSED, more=b""):
    """A POST with this Transfer-Encoding and a body that both readings give a meaning."""
    return (lambda a: a.P + more + b"Transfer-Encoding:" + value + b"\r\n\r\n" + a.chunked + a.inner, expected)


def coding_line(line, expected=BAD):
    """Content-Length hides the inner request; the coding that stands in this line would show it."""
    return (lambda a: a.P + length(5 + a.m) + line + b"\r\n\r\n0\r\n\r\n" + a.inner, expected)


def counted(value, expected=BAD):
    """A POST with this Content-Length; %n is the true one."""
    return (lambda a: a.P + b"Content-Length:" + value.replace(b"%n", b"%d" % a.n) + b"\r\n\r\n" + a.der + a.inner,
            expected)


def chunk(size, data=None, end=b"\r\n", last=b"0\r\n\r\n", expected=BAD):
    """A chunked POST whose one chunk is spelt so; %x is its true size."""
    return (lambda a: a.P + a.TE + b"\r\n" + size.replace(b"%x", b"%x" % a.n) + (a.der if data is None else data)
            + end + last + a.inner, expected)


def header(line, expected=BAD):
    """A good POST with one more line before its Content-Length."""
    return (lambda a: a.P + line + b"\r\n" + length(a.n) + b"\r\n" + a.der + a.inner, expected)


def line(text, expected=BAD):
    """A GET with this request line; %p is its path."""
    return (lambda a: text.replace(b"%p", a.path) + b"\r\nHost: a\r\n\r\n" + a.inner, expected)


MATRIX = {
    # Two framings.
    "length, then coding": (lambda a: a.P + length(5) + a.TE + b"\r\n0\r\n\r\n" + a.inner, BAD),
    "coding, then length": (lambda a: a.P + a.TE + length(5) + b"\r\n0\r\n\r\n" + a.inner, BAD),
    "coding, length over all": (lambda a: a.P + a.TE + length(5 + a.m) + b"\r\n0\r\n\r\n" + a.inner, BAD),
    "coding and length of 0": (lambda a: a.P + a.TE + length(0) + b"\r\n" + a.chunked + a.inner, BAD),
    "coding in a GET with length": (lambda a: a.G + a.TE + length(a.m) + b"\r\n" + a.inner, BAD),
    "coding in HTTP/1.0": (lambda a: a.P.replace(b"1.1", b"1.0") + a.TE + b"\r\n" + a.chunked + a.inner, BAD),
    "coding in HTTP/1.0, keep-alive": (lambda a: a.P.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n" + a.TE
                                       + b"\r\n" + a.chunked + a.inner, BAD),
    # Content-Length.
    "length twice": (lambda a: a.P + length(a.n) * 2 + b"\r\n" + a.der + a.inner, BAD),
    "lengths that differ": (lambda a: a.P + length(a.n) + length(a.n + a.m) + b"\r\n" + a.der + a.inner, BAD),
    "lengths that differ, 0 first": (lambda a: a.P + length(0) + length(a.m) + b"\r\n" + a.inner, BAD),
    "length twice, one with a space": (lambda a: a.P + length(a.n) + b"Content-Length : 0\r\n\r\n" + a.der + a.inner, BAD),
    "list of lengths": counted(b" %n, %n"), "list that differs": counted(b" %n,0"), "list with nothing": counted(b" %n,"),
    "plus": counted(b" +%n"), "minus": counted(b" -%n"), "minus zero": counted(b" -0"), "hex": counted(b" 0x%n"),
    "decimal point": counted(b" %n.0"), "exponent": counted(b" %ne0"), "space within": counted(b" 1 %n"),
    "quotes": counted(b" \"%n\""), "nothing": counted(b""), "only spaces": counted(b"   "), "semicolon": counted(b" %n;"),
    "vertical tab": counted(b" \x0b%n"), "form feed": counted(b" %n\x0c"), "NUL after": counted(b" %n\0"),
    "no-break space": counted(b" \xa0%n"), "wide digits": counted(b" \xd9\xa1%n"), "underscore": counted(b" 1_%n"),
    "beyond 64 bits": (lambda a: a.P + length(2**64 + a.n) + b"\r\n" + a.der + a.inner, {("400",), ("413",)}),
    "beyond 32 bits": (lambda a: a.P + length(2**32 + a.n) + b"\r\n" + a.der + a.inner, ["413"]),
    "leading zeros": counted(b" 000%n", BOTH), "blanks around": counted(b"\t %n \t", BOTH), "no blank": counted(b"%n", BOTH),
    "length with a NUL in its name": header(b"Content-Length\0: 0"), "length folded": counted(b"\r\n %n"),
    "length in another name": header(b"Content_Length: 0", BOTH), "length in X-": header(b"X-Content-Length: 0", BOTH),
    "length too short": (lambda a: a.P + length(5) + b"\r\n" + a.der[:5] + a.inner, ["malformed_request", "inner"]),
    "no length": (lambda a: a.P + b"\r\n" + a.inner, {("malformed_request", "inner"), ("411",)}),
    "too long a body": (lambda a: a.P + length(10001) + b"\r\n" + a.inner * 2, ["413"]),
    # Transfer-Encoding.
    "Chunked": coding(b" Chunked", BOTH), "CHUNKED": coding(b"CHUNKED", BOTH), "tab chunked": coding(b"\tchunked\t ", BOTH),
    "xchunked": coding(b" xchunked"), "chunkedx": coding(b" chunkedx"), "chunked, identity": coding(b" chunked, identity"),
    "identity": coding(b" identity"), "identity, chunked": coding(b" identity, chunked"), "gzip, chunked": coding(b" gzip, chunked"),
    "chunked, chunked": coding(b" chunked, chunked"), "chunked;x=y": coding(b" chunked;x=y"), "quoted": coding(b" \"chunked\""),
    "vertical tab, chunked": coding(b" \x0bchunked"), "chunked NUL": coding(b" chunked\0"), "form feed": coding(b" chunked\x0c"),
    "chunked, nothing": coding(b" chunked,"), "nothing, chunked": coding(b" ,chunked"), "no coding": coding(b""),
    "two codings": coding(b" chunked\r\nTransfer-Encoding: identity"), "two codings, other way": coding(b" identity\r\nTransfer-Encoding: chunked"),
    "chunked twice": coding(b" chunked\r\nTransfer-Encoding: chunked"), "no-break space, chunked": coding(b" \xa0chunked"),
    "cow": coding(b" cow"), "cow and chunked": coding(b" cow\r\nTransfer-Encoding: chunked"),
    "long s": coding(b" chun\xe2\x84\xaaed"), "coding folded": coding(b"\r\n chunked"), "coding folded by tab": coding(b"\r\n\tchunked"),
    "coding, space before colon": coding_line(b"Transfer-Encoding : chunked"),
    "coding, tab before colon": coding_line(b"Transfer-Encoding\t: chunked"),
    "coding after a space": coding_line(b" Transfer-Encoding: chunked"), "coding after a tab": coding_line(b"\tTransfer-Encoding: chunked"),
    "coding in a fold": coding_line(b"X: y\r\n Transfer-Encoding: chunked"), "coding after a bare LF": coding_line(b"X: y\nTransfer-Encoding: chunked"),
    "coding after a bare CR": coding_line(b"X: y\rTransfer-Encoding: chunked"), "coding after a NUL": coding_line(b"X: y\0Transfer-Encoding: chunked"),
    "coding after LF CR": coding_line(b"X: y\n\rTransfer-Encoding: chunked"), "coding with NUL in its name": coding_line(b"Transfer\0-Encoding: chunked"),
    "coding with a byte before": coding_line(b"\xffTransfer-Encoding: chunked"), "coding with a byte in its name": coding_line(b"Transfer-Encoding\xa0: chunked"),
    "coding without colon": coding_line(b"Transfer-Encoding chunked"), "coding with a semicolon": coding_line(b"Transfer-Encoding; chunked"),
    "coding with an equals sign": coding_line(b"Transfer-Encoding = chunked"), "coding as name and value": coding_line(b"Foo Transfer-Encoding: chunked"),
    "coding with an underscore": coding_line(b"Transfer_Encoding: chunked", ["malformed_request"]),
    "TE is not it": coding_line(b"TE: chunked", ["malformed_request"]),
    # Lines of the head.
    "name with space": header(b"Foo Bar: x"), "name with brackets": header(b"(Foo): x"), "no name": header(b": x"),
    "no colon": header(b"Foo"), "DEL in a name": header(b"Fo\x7fo: x"), "NUL in a value": header(b"Foo: a\0b"),
    "bell in a value": header(b"Foo: a\x07b"), "bare LF": header(b"Foo: a\nBar: b"), "bare CR": header(b"Foo: a\rBar: b"),
    "CR CR LF": header(b"Foo: a\r"), "folded": header(b"Foo: a\r\n b"), "first line folded": line(b"GET %p HTTP/1.1\r\n Foo: a"),
    "high bytes in a value": header(b"Foo: \xff\xc3\xa4", BOTH), "empty value": header(b"Foo:", BOTH),
    "two hosts": header(b"Host: b"), "bad host": (lambda a: a.P.replace(b": a", b": a b") + length(a.n) + b"\r\n" + a.der + a.inner, BAD),
    "host with comma": (lambda a: a.P.replace(b": a", b": a, b") + length(a.n) + b"\r\n" + a.der + a.inner, BAD),
    "head ends with LF LF": (lambda a: b"GET " + a.path + b" HTTP/1.1\r\nHost: a\n\n" + a.inner, BAD),
    "head ends with LF CR LF": (lambda a: b"GET " + a.path + b" HTTP/1.1\r\nHost: a\n\r\n" + a.inner, BAD),
    "long head": (lambda a: a.P + b"X: " + b"y" * 9000 + b"\r\n" + length(a.n) + b"\r\n" + a.der + a.inner, ["431"]),
    # The request line.
    "HTTP/1.2 is 1.1 to us": line(b"GET %p HTTP/1.2", BOTH), "HTTP/2.0": line(b"GET %p HTTP/2.0", {("505",), ("400",)}),
    "HTTP/0.9": line(b"GET %p", BAD), "HTTP/01.1": line(b"GET %p HTTP/01.1", {("505",), ("400",)}), "HTTP/1.10": line(b"GET %p HTTP/1.10"),
    "HTTP/1.": line(b"GET %p HTTP/1."), "http/1.1": line(b"GET %p http/1.1"), "HTTP/1,1": line(b"GET %p HTTP/1,1"),
    "lower case method": line(b"get %p HTTP/1.1", {("405",), ("405", "inner")}), "method with NUL": line(b"GE\0T %p HTTP/1.1"),
    "two spaces": line(b"GET  %p HTTP/1.1"), "two spaces before the version": line(b"GET %p  HTTP/1.1"), "tab": line(b"GET\t%p\tHTTP/1.1"),
    "space at the end": line(b"GET %p HTTP/1.1 "), "space before": line(b" GET %p HTTP/1.1"), "space in the target": line(b"GET %p x HTTP/1.1"),
    "bare CR in the line": line(b"GET %p\rHTTP/1.1"), "fragment": line(b"GET %p#x HTTP/1.1"), "byte in the target": line(b"GET %p\xff HTTP/1.1"),
    "CRLF by escapes": line(b"GET /M%0d%0aHost:%20b%0d%0a%0d%0a HTTP/1.1", ["malformed_request", "inner"]),
    "three empty lines before": line(b"\r\n\r\n\r\nGET %p HTTP/1.1"), "one empty line before": line(b"\r\nGET %p HTTP/1.1", BOTH),
    "absolute-form, other Host": (lambda a: b"GET http://" + a.authority + a.path + b" HTTP/1.1\r\nHost: evil\r\n\r\n" + a.inner, BOTH),
    "absolute-form, two Hosts": (lambda a: b"GET http://" + a.authority + a.path + b" HTTP/1.1\r\nHost: b\r\nHost: c\r\n\r\n" + a.inner, BAD),
    "absolute-form, no Host": (lambda a: b"GET http://" + a.authority + a.path + b" HTTP/1.1\r\n\r\n" + a.inner, BAD),
    "absolute-form, user": (lambda a: b"GET http://x@" + a.authority + a.path + b" HTTP/1.1\r\nHost: a\r\n\r\n" + a.inner, {("400",), ("403",)}),
    "absolute-form of a stranger": (lambda a: b"GET http://b" + a.path + b" HTTP/1.1\r\nHost: a\r\n\r\n" + a.inner, {("403",), ("403", "inner")}),
    "CONNECT": (lambda a: b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + a.inner, ["405"]),
    "preface of HTTP/2": (lambda a: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + a.inner, {("400",), ("505",)}),
    # Bodies where none are looked for.
    "GET with a body": (lambda a: a.G + length(a.m) + b"\r\n" + a.inner, ["outer"]),
    "GET with a chunked body": (lambda a: a.G + a.TE + b"\r\n%x\r\n" % a.m + a.inner + b"\r\n0\r\n\r\n", ["outer"]),
    "DELETE with a body": (lambda a: a.G.replace(b"GET", b"DELETE") + length(a.m) + b"\r\n" + a.inner, ["405"]),
    "404 with a body": (lambda a: b"POST /x HTTP/1.1\r\nHost: a\r\n" + length(a.m) + b"\r\n" + a.inner, ["404"]),
    "POST to a GET path, with a body": (lambda a: a.G.replace(b"GET", b"POST") + length(a.m) + b"\r\n" + a.inner, {("404",), ("405",), ("malformed_request",)}),
    "GET with Expect and a body": (lambda a: a.G + b"Expect: 100-continue\r\n" + length(a.m) + b"\r\n" + a.inner, ["outer"]),
    "POST that is another request": (lambda a: a.P + length(a.m) + b"\r\n" + a.inner, ["malformed_request"]),
    "chunks that are another request": (lambda a: a.P + a.TE + b"\r\n%x\r\n" % a.m + a.inner + b"\r\n0\r\n\r\n", ["malformed_request"]),
    "Expect, and the body at once": (lambda a: a.P + b"Expect: 100-continue\r\n" + length(a.n) + b"\r\n" + a.der + a.inner, BOTH),
    "Expect of something else": (lambda a: a.P + b"Expect: x\r\n" + length(a.m) + b"\r\n" + a.inner, ["417"]),
    # Chunks.
    "a good chunk": chunk(b"%x\r\n", expected=BOTH), "zeros before": chunk(b"0000%x\r\n", expected=BOTH), "extension": chunk(b"%x;a=b\r\n", expected=BOTH),
    "last chunk of many zeros": chunk(b"%x\r\n", last=b"0000\r\n\r\n", expected=BOTH), "extension of the last": chunk(b"%x\r\n", last=b"0;a\r\n\r\n", expected=BOTH),
    "0x": chunk(b"0x%x\r\n"), "+": chunk(b"+%x\r\n"), "-": chunk(b"-%x\r\n"), "blank before": chunk(b" %x\r\n"), "no size": chunk(b"\r\n"),
    "blank after": chunk(b"%x \r\n", expected={("400",), ("outer", "inner")}), "tab after": chunk(b"%x\t\r\n", expected={("400",), ("outer", "inner")}),
    "size with underscore": chunk(b"0_%x\r\n"), "size with NUL": chunk(b"%x\0\r\n"), "size of letters": chunk(b"xyz\r\n"), "size in quotes": chunk(b"\"%x\"\r\n"),
    "size beyond 64 bits": chunk(b"10000000000000000%x\r\n", expected={("400",), ("413",)}),
    "size of -1": chunk(b"ffffffffffffffff\r\n", expected=["413"]), "size over the limit": chunk(b"2711\r\n", expected=["413"]),
    "size and bare LF": chunk(b"%x\n"), "size and bare CR": chunk(b"%x\r"), "size, CR CR LF": chunk(b"%x\r\r\n"),
    "extension with bare LF": chunk(b"%x;a\nb\r\n"), "extension with bare CR": chunk(b"%x;a\rb\r\n"), "extension with NUL": chunk(b"%x;\0\r\n"),
    "extension with a quoted LF": chunk(b"%x;a=\"\n\"\r\n"), "extension of 8,000": chunk(b"%x;" + b"a" * 8000 + b"\r\n", expected={("400",), ("431",)}),
    "chunk without its end": chunk(b"%x\r\n", end=b""), "chunk and LF": chunk(b"%x\r\n", end=b"\n"), "chunk and CR": chunk(b"%x\r\n", end=b"\rX"),
    "chunk longer than its size": chunk(b"5\r\n"), "chunk and two bytes": chunk(b"%x\r\n", end=b"XX"),
    "last chunk with bare LF": chunk(b"%x\r\n", last=b"0\n\n"), "last, LF CR LF": chunk(b"%x\r\n", last=b"0\n\r\n"), "last, CR LF LF": chunk(b"%x\r\n", last=b"0\r\n\n"),
    # Trailers.
    "trailers": chunk(b"%x\r\n", last=b"0\r\nContent-Length: 999\r\nTransfer-Encoding: gzip\r\nHost: b\r\n\r\n", expected=BOTH),
    "trailer that closes": chunk(b"%x\r\n", last=b"0\r\nConnection: close\r\n\r\n", expected=BOTH),
    "trailers without end": chunk(b"%x\r\n", last=b"0\r\n" + b"X: y\r\n" * 2000 + b"\r\n", expected={("400",), ("431",)}),
    "trailer with bare LF": chunk(b"%x\r\n", last=b"0\r\nX: y\nZ: z\r\n\r\n"), "trailer with NUL": chunk(b"%x\r\n", last=b"0\r\nX: \0\r\n\r\n"),
    # Who goes on after the answer.
    "close": (lambda a: a.G + b"Connection: close\r\n\r\n" + a.inner, ["outer"]),
    "close among others": (lambda a: a.G + b"Connection: keep-alive, CLOSE\r\n\r\n" + a.inner, ["outer"]),
    "close in a second line": (lambda a: a.G + b"Connection: foo\r\nConnection: close\r\n\r\n" + a.inner, ["outer"]),
    "HTTP/1.0": (lambda a: a.G.replace(b"1.1", b"1.0") + b"\r\n" + a.inner, ["outer"]),
    "HTTP/1.0, kept": (lambda a: a.G.replace(b"1.1", b"1.0") + b"Connection: keep-alive\r\n\r\n" + a.inner, BOTH),
    "Connection names Content-Length": header(b"Connection: Content-Length", BOTH), "Connection names Host": header(b"Connection: Host", BOTH),
    "Upgrade": (lambda a: a.G + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n\r\n" + a.inner, BOTH),
    "WebSocket": (lambda a: a.G + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n" + a.inner, BOTH),
    "pipelined": (lambda a: a.G + b"\r\n" + a.inner, BOTH),
}

# What a front answers in a tongue of its own: without a head, and in HTTP/2.
STRANGE = {"HTTP/0.9", "preface of HTTP/2"}

# The beginning of a request, as the hidden one: whoever takes it for one eats the request of the next client.
HALF = b"GET /poisoned HTTP/1.1\r\nX-Eaten: "


class Front:
    """The connections of all attacks at once, read until nobody has said anything for so many seconds."""

    def __init__(self, port, attacks, quiet=1):
        self.selector, self.received = selectors.DefaultSelector(), {}
        for name, data in attacks.items():
            s = socket.create_connection(("127.0.0.1", port), 10 * lab.PATIENCE)
            self.received[name] = b""
            self.selector.register(s, selectors.EVENT_READ, name)
            try:
                s.sendall(data)
            except (BrokenPipeError, ConnectionResetError):
                pass  # refused while it was still talking
            s.setblocking(False)
            self.read(0)
        while self.selector.get_map() and self.read(quiet * lab.PATIENCE):
            pass
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()

    def read(self, seconds):
        """Something came."""
        ready = self.selector.select(seconds)
        for key, _ in ready:
            try:
                data = key.fileobj.recv(65536)
            except ConnectionResetError:
                data = b""
            self.received[key.data] += data
            if not data:
                self.selector.unregister(key.fileobj)
                key.fileobj.close()
        return ready


def answers(text, serials):
    """The names of the answers in what came back; serials: the names of theirs."""
    found = []
    while text:
        m = re.match(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n((?:[^\r\n]+\r\n)*)\r\n", text)
        if not m:
            return found + ["no answer: %r" % text[:80]]
        status, rest = m.group(1).decode(), text[m.end():]
        n = re.search(rb"(?i)^content-length: (\d+)\r$", m.group(2), re.M)
        n = int(n.group(1)) if n else 0 if status in ("100", "304") else len(rest)
        body, text = rest[:n], rest[n:]
        if status == "100":
            continue
        name = status
        if status == "200":
            name = lab.outcome(body)
            if name in ("good", "revoked", "unknown"):
                name = serials.get(lab.serial_of(body), "the answer of another")
        found.append(name)
    return found


@pytest.fixture
def attacks(world):
    made = {name: Attack(world.ca) for name in MATRIX}
    for a in made.values():
        a.authority = b"127.0.0.1:%d" % world.responder.port
    return made


def names(a):
    return {a.outer: "outer", a.inner_serial: "inner"}


def test_the_daemon_itself(up, world, attacks):
    """T9, R137: exactly the answers that the row names, and the CA was asked for nothing else."""
    front = Front(up.port, {name: build(attacks[name]) for name, (build, _) in MATRIX.items()})
    asked, wrong = set(world.responder.serials()), []
    for name, (_, expected) in MATRIX.items():
        a = attacks[name]
        got = answers(front.received[name], names(a))
        allowed = expected if isinstance(expected, set) else {tuple(expected)}
        if tuple(got) not in allowed:
            wrong.append("%s: %s instead of %s" % (name, got, sorted(allowed)))
        if a.inner_serial in asked and "inner" not in got:
            wrong.append("%s: the hidden request was asked" % name)
        if a.outer in asked and "outer" not in got:
            wrong.append("%s: refused, and asked nevertheless" % name)
    assert not wrong, "\n".join(wrong)
    assert up.ask(world.ca, world.good.serial).outcome == "good"


class Victim(threading.Thread):
    """A client of the same front that minds its own business: it gets its own answer each time."""

    def __init__(self, port, ca, method):
        super().__init__(daemon=True)
        self.port, self.serial, self.rounds, self.wrong, self.going = port, ca.issue().serial, 0, [], True
        self.data = method(lab.request(ca, self.serial), more="Connection: close\r\n")
        self.start()

    def run(self):
        while self.going:
            try:
                got = answers(wire.whole(self.port, self.data), {self.serial: "mine"})
            except (OSError, ValueError) as e:
                got = [repr(e)]
            if got != ["mine"]:
                self.wrong.append(got)
            self.rounds += 1

    def stop(self):
        self.going = False
        self.join()
        return self.wrong


def through(port, world, attacks, victims):
    """Send every attack through a front; whole, and with half a request where the hidden one was."""
    wrong, asked_before = [], set(world.responder.serials())
    whole = Front(port, {n: build(attacks[n]) for n, (build, _) in MATRIX.items()})
    asked = set(world.responder.serials()) - asked_before
    for name in MATRIX:
        a = attacks[name]
        got = answers(whole.received[name], names(a))
        # The front may read more or less than we do; but it and we agree on what a request is.
        if a.inner_serial in asked and "inner" not in got:
            wrong.append("%s: the hidden request was asked behind the front's back: %s" % (name, got))
        if name in STRANGE:
            continue
        if len(got) > 2 or got.count("inner") > 1 or got.count("outer") > 1 or \
                any(g.startswith("no answer") or g == "the answer of another" for g in got):
            wrong.append("%s: %s" % (name, got))
    for a in attacks.values():
        a.inner = HALF
        a.m = len(HALF)
    Front(port, {n: build(attacks[n]) for n, (build, _) in MATRIX.items()})
    for v in victims:
        rounds = v.rounds
        lab.wait(lambda: v.rounds > rounds + 5, 10, "the other clients")  # noqa: B023
        wrong += ["another client got %s" % w for w in v.stop()]
    assert not wrong, "\n".join(wrong)


PROXY = """
        %s
        location / {
            proxy_pass http://back; proxy_http_version 1.1; proxy_set_header Connection ""; %s
        }"""


@pytest.mark.parametrize("how", ["by the book", "lets everything through"])
def test_through_nginx(box, up, world, attacks, how, started):
    """T9: strict, and told to pass on what it would rather not."""
    lenient = how != "by the book"
    site = type("Box", (), {"box": box})
    n = started(clients.Nginx(
        site, PROXY % ("ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;" if lenient else
                       "merge_slashes off;", "proxy_request_buffering off; proxy_buffering off;" if lenient else ""),
        http="upstream back { server 127.0.0.1:%d; keepalive 8; }" % up.port, tls=False))
    victims = [Victim(n.port, world.ca, m) for m in (wire.get, wire.post)]
    through(n.port, world, attacks, victims)


@pytest.mark.parametrize("how", ["by the book", "lets everything through"])
def test_through_haproxy(box, up, world, attacks, how, started):
    """T9: strict, and told to pass on what it would rather not."""
    lenient = how != "by the book"
    site = type("Box", (), {"box": box})
    h = started(clients.Haproxy(site, """
frontend front
    bind 127.0.0.1:%%(port)d
    %s
    default_backend back
backend back
    http-reuse always
    server one 127.0.0.1:%d maxconn 8 pool-max-conn 8
""" % ("option accept-invalid-http-request" if lenient else "", up.port)))
    victims = [Victim(h.port, world.ca, m) for m in (wire.get, wire.post)]
    through(h.port, world, attacks, victims)


@pytest.fixture
def started():
    programs = []

    def keep(program):
        programs.append(program)
        return program
    yield keep
    for p in programs:
        p.stop()
