"""The mirror (R112): a CA's lists to whoever asks, byte for byte, under their own names and as their CA's."""
import email.utils
import os
import re
import time

import pytest

import lab
import lists
import wire
from clients import need, run
from lists import crl, entry, many

NAME = "ca.example"


def ask(d, target, method="GET", host="localhost", more="", version="1.1"):
    request = "%s %s HTTP/%s\r\nHost: %s\r\n%s\r\n" % (method, target, version, host, more)
    return wire.exchange(d.port, request.encode(), head_only=method == "HEAD")


def seconds(date):
    return email.utils.parsedate_to_datetime(date).timestamp()


class Site:
    """Two issuers: one with one list, one with two of which a name is not where they are fetched."""

    def __init__(self, box, publisher, daemons, **more):
        self.publisher = publisher
        self.ca, self.two = lab.CA("one CA"), lab.CA("two CA")
        self.der = crl(self.ca, [entry(0x1001, "keyCompromise"), entry(7)], this=-600, next=1800)
        self.shards = [crl(self.two, [entry(n)], number=n, this=-60, next=86400,
                           point=lists.idp("http://%s/two/%d.crl" % (NAME, n))) for n in range(2)]
        self.url = publisher.publish("one/a.crl", self.der)
        urls = [publisher.publish("two/%d" % n, s) for n, s in enumerate(self.shards)]
        self.issuers = [
            {"name": "one", "certificate": self.ca.write(os.path.join(box, "one.pem")), "crl": [self.url],
             "crl-interval": "1h"},
            {"name": "two", "certificate": self.two.write(os.path.join(box, "two.pem")), "crl": urls,
             "crl-scope": ["http://%s/two/%d.crl" % (NAME, n) for n in range(2)], "crl-interval": "1h"}]
        self.d = daemons(self.issuers, **more).start()


@pytest.fixture
def site(box, publisher, daemons):
    return Site(box, publisher, daemons)


def test_lists_are_found_in_every_shape(site):
    """R112, R31: own name, a CA's name in Host, absolute-form; and each list is the one that was meant."""
    d, port = site.d, site.publisher.port
    cases = [
        ("/crl/one.crl", "localhost", site.der),
        ("/crl/one.crl", "whatever.example:8080", site.der),
        ("/crl/one/0.crl", "localhost", site.der),
        ("/crl/two/0.crl", "localhost", site.shards[0]),
        ("/crl/two/1.crl", "localhost", site.shards[1]),
        ("/one/a.crl", "127.0.0.1:%d" % port, site.der),
        ("/two/1.crl", NAME, site.shards[1]),
        ("/two/1.crl", NAME + ":80", site.shards[1]),
        ("/two/0", "127.0.0.1:%d" % port, site.shards[0]),
        ("http://%s/two/1.crl" % NAME, NAME, site.shards[1]),
        ("http://CA.example:80/two/0.crl", NAME, site.shards[0]),
        (site.url, "127.0.0.1:%d" % port, site.der)]
    for target, host, der in cases:
        r = ask(d, target, host=host)
        assert (r.status, r.body == der) == (200, True), (target, host, r)
    for target, host, status in [
            ("/crl/nobody.crl", "localhost", 404), ("/crl/two.crl", "localhost", 404),
            ("/crl/one/1.crl", "localhost", 404), ("/crl/one/00.crl", "localhost", 404), ("/crl/one/", "localhost", 404),
            ("/crl/two/2.crl", "localhost", 404), ("/crl/", "localhost", 404), ("/crl/../etc/passwd", "localhost", 404),
            ("/crl/one.crl/", "localhost", 404), ("/crl/one", "localhost", 404),
            ("/two/1.crl", "other.example", 404), ("/two/1.CRL", NAME, 404), ("/two/1.crl", NAME + ":81", 404),
            ("http://other.example/two/1.crl", "other.example", 403), ("http://%s:81/two/1.crl" % NAME, NAME, 403)]:
        assert ask(d, target, host=host).status == status, (target, host)


def test_each_spelling_of_a_url_is_the_same(publisher, worlds, daemons):
    """R112, R30, R31: RFC 3986 section 6.2.2, for lists by Host and in absolute form, and for OCSP."""
    world = worlds()
    der = crl(world.ca, [entry(7)])
    urls = [publisher.publish(path, der) for path in ("pki/~ca/list.crl", "get?issuer=CN%3DExample%2CO%3DX")]
    ocsp = world.responder.url.rstrip("/") + "/~ca/ocsp"
    d = daemons([world.issuer(crl=urls, ocsp=[ocsp])]).start()
    host = "127.0.0.1:%d" % publisher.port
    for path in ("/pki/~ca/list.crl", "/pki/%7Eca/list.crl", "/%70ki/%7eca/list.crl",
                 "/get?issuer=CN%3DExample%2CO%3DX", "/get?issuer=CN%3dExample%2cO%3dX"):
        for target in (path, "http://%s%s" % (host, path)):
            r = ask(d, target, host=host)
            assert (r.status, r.body) == (200, der), (target, r)
    for path in ("/pki/~CA/list.crl", "/get?issuer=CN=Example%2CO%3DX", "/get?issuer=CN%3DExample,O%3DX"):
        assert ask(d, path, host=host).status == 404
    request = lab.request(world.ca, world.good.serial)
    for prefix in ("/~ca/ocsp/", "/%7Eca/ocsp/", "/%7eca/%6fcsp/"):
        r = d.get(request, prefix)
        assert r.status == 200 and lab.outcome(r.body) == "good", prefix
        assert d.post(request, prefix).body == r.body, prefix


def test_the_head_says_how_long_a_list_may_be_kept(site):
    """R112: Content-Type, Last-Modified, Expires, a strong ETag, max-age."""
    before = time.time()
    r = ask(site.d, "/crl/one.crl")
    this = lists.this_update(site.der).timestamp()
    assert r["Content-Type"] == "application/pkix-crl" and r["Content-Length"] == str(len(site.der))
    assert seconds(r["Last-Modified"]) == this
    assert seconds(r["Expires"]) == this + 600 + 1800
    assert re.fullmatch('"[^"]+"', r["ETag"])
    assert len({ask(site.d, "/crl/%s.crl" % n)["ETag"] for n in ("one", "two/0", "two/1")}) == 3
    assert abs(seconds(r["Date"]) - before) <= 2
    age = int(re.search(r"max-age=(\d+)", r["Cache-Control"]).group(1))
    assert 1700 < age <= this + 2400 - int(before)
    assert "public" in r["Cache-Control"] and "no-transform" in r["Cache-Control"]
    # A day of validity, but max-age-cap is an hour.
    assert int(re.search(r"max-age=(\d+)", ask(site.d, "/crl/two/0.crl")["Cache-Control"]).group(1)) <= 3600
    head = ask(site.d, "/crl/one.crl", "HEAD")
    assert head.status == 200 and head.body == b"" and head["Content-Length"] == r["Content-Length"]
    assert head["ETag"] == r["ETag"]
    post = ask(site.d, "/crl/one.crl", "POST", more="Content-Length: 0\r\n")
    assert post.status == 405 and set(post["Allow"].split(", ")) == {"GET", "HEAD"}
    old = ask(site.d, "/crl/one.crl", version="1.0")
    assert old.body == site.der and old["Connection"] == "close"


def test_who_has_it_is_not_sent_it_again(site):
    """R112: both validators; If-None-Match wins."""
    r = ask(site.d, "/crl/one.crl")
    etag, modified = r["ETag"], r["Last-Modified"]
    earlier = email.utils.formatdate(seconds(modified) - 1, usegmt=True)
    later = email.utils.formatdate(seconds(modified) + 1, usegmt=True)
    for more, status in [
            ("If-None-Match: %s" % etag, 304), ('If-None-Match: "x", %s' % etag, 304),
            ("If-None-Match: W/%s" % etag, 304), ("If-None-Match: *", 304), ('If-None-Match: "x"', 200),
            ("If-Modified-Since: " + modified, 304), ("If-Modified-Since: " + later, 304),
            ("If-Modified-Since: " + earlier, 200), ("If-Modified-Since: yesterday", 200),
            ('If-None-Match: "x"\r\nIf-Modified-Since: ' + modified, 200),
            ("If-None-Match: %s\r\nIf-Modified-Since: %s" % (etag, earlier), 304)]:
        for method in ("GET", "HEAD"):
            got = ask(site.d, "/crl/one.crl", method, more=more + "\r\n")
            assert got.status == status, (method, more)
            assert got["ETag"] == etag and got["Cache-Control"]
    assert site.d.metric("lists_served_total", outcome="not_modified") == 14


def test_a_date_that_two_lists_share_hides_neither(site):
    """R112: a CA that dates its lists back: two of them have one thisUpdate, and so one Last-Modified."""
    d, when = site.d, lists.this_update(site.der)
    modified = "If-Modified-Since: %s\r\n" % ask(d, "/crl/one.crl")["Last-Modified"]
    assert ask(d, "/crl/one.crl", more=modified).status == 304
    new = crl(site.ca, [entry(0x1001, "keyCompromise"), entry(7), entry(8)], number=2, this=when, next=1800)
    site.publisher.publish("one/a.crl", new)
    d.refresh("one")
    d.wait_number(site.url, 2, "one")

    def hides_nothing():
        r = ask(d, "/crl/one.crl", more=modified)
        assert (r.status, r.body) == (200, new)
        assert ask(d, "/crl/one.crl", more="If-None-Match: %s\r\n" % r["ETag"]).status == 304
    hides_nothing()
    d.stop()
    d.start()
    hides_nothing()
    # The next one has a date of its own.
    site.publisher.publish("one/a.crl", crl(site.ca, number=3, this=-30))
    d.refresh("one")
    d.wait_number(site.url, 3, "one")
    r = ask(d, "/crl/one.crl")
    assert ask(d, "/crl/one.crl", more="If-Modified-Since: %s\r\n" % r["Last-Modified"]).status == 304


def test_a_new_list_is_served_as_soon_as_it_is_in_force(site):
    etag = ask(site.d, "/crl/one.crl")["ETag"]
    with wire.Connection(site.d.port) as c:
        get = b"GET /crl/one.crl HTTP/1.1\r\nHost: localhost\r\n\r\n"
        assert c.send(get).reply().body == site.der
        new = crl(site.ca, [], number=2, this=-10)
        site.publisher.publish("one/a.crl", new)
        site.d.refresh("one")
        site.d.wait_number(site.url, 2, "one")
        assert c.send(get).reply().body == new  # the same connection
        assert ask(site.d, "/crl/one.crl", more="If-None-Match: %s\r\n" % etag).status == 200
        # What is refused is not served.
        site.publisher.publish("one/a.crl", crl(site.ca, [], number=1, this=0))
        site.d.refresh("one")
        lab.wait(lambda: site.d.crls("one")[site.url]["last_error"], 5, "a refusal")
        assert c.send(get + get).reply().body == new and c.reply().body == new  # pipelined
    site.d.stop()
    site.publisher["one/a.crl"].mode = 503
    site.d.start()
    assert ask(site.d, "/crl/one.crl").body == new


def test_before_a_list_is_in_force_there_is_none(box, publisher, daemons):
    """R112: 503, and not somebody else's."""
    ca = lab.CA("late CA")
    url = publisher.publish("a.crl", crl(ca, []), mode=404)
    d = daemons([{"name": "one", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": [url]}],
                backoff_initial="20ms", crl_backoff_max="100ms").start()
    r = ask(d, "/crl/one.crl")
    assert r.status == 503 and "no-store" in r["Cache-Control"]
    publisher["a.crl"].mode = "ok"
    d.wait_number(url, 1, "one")
    assert ask(d, "/crl/one.crl").status == 200


def test_a_list_past_its_end_is_handed_out_with_no_time_to_live(box, publisher, daemons):
    ca = lab.CA("ended CA")
    url = publisher.publish("a.crl", crl(ca, [], next=-5))
    d = daemons([{"name": "one", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": [url]}]).start()
    r = ask(d, "/crl/one.crl")
    assert r.status == 200 and "max-age=0" in r["Cache-Control"]


@pytest.mark.parametrize("way", ["file", "http"])
def test_pem_is_mirrored_as_the_der_that_is_in_it(box, publisher, daemons, way):
    """R112, R113: what clients get is the list's DER, whatever the file was: with text before it, CRLF and a mark; or
    one of several CAs' lists, of which the issuer's is taken out."""
    ca = lab.CA("pem CA")
    der = crl(ca, [entry(1)])
    windows = b"\xef\xbb\xbf" + lists.pem(der).replace(b"\n", b"\r\n")
    bundle = lists.pem(crl(lab.CA("root CA"), [entry(2)])) + b"Certificate Revocation List\n" + lists.pem(
        der) + lists.pem(crl(lab.CA("pem CA"), number=9))
    for n, text in enumerate((b"Certificate Revocation List\n" + lists.pem(der), windows, bundle)):
        url = (lists.put(os.path.join(box, "%d.pem" % n), text) if way == "file" else
               publisher.publish("%d.pem" % n, text))
        d = daemons([{"name": "one", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": [url]}]).start()
        r = ask(d, "/crl/one.crl")
        assert (r.status, r["Content-Type"], r.body) == (200, "application/pkix-crl", der), (n, d.crls("one"))


def test_who_is_reading_a_list_that_goes_gets_all_of_it(box, daemons):
    """R112: a reload takes the issuer away in the middle of a download."""
    ca = lab.CA("large CA")
    der = crl(ca, [many(1 << 60, 400000)])
    path = lists.put(os.path.join(box, "a.crl"), der)
    stays = lab.CA("stays")
    d = daemons([{"name": "one", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": [path]},
                 {"name": "two", "certificate": stays.write(os.path.join(box, "two.pem")),
                  "crl": [lists.put(os.path.join(box, "b.crl"), crl(stays, []))]}]).start()
    with wire.Connection(d.port) as c:
        c.send(b"GET /crl/one.crl HTTP/1.1\r\nHost: localhost\r\n\r\n")
        c.read_some()
        del d.issuers[0]
        d.write()
        d.reload()
        lab.wait(lambda: ask(d, "/crl/one.crl").status == 404, 5, "it to be gone")
        assert c.reply().body == der
    assert ask(d, "/crl/two.crl").status == 200


# Real clients.

def test_curl_fetches_and_asks_again(site, box):
    """R112: curl -z and --etag-compare; as a proxy."""
    url = "http://127.0.0.1:%d/crl/one.crl" % site.d.port
    out, etag = os.path.join(box, "one.crl"), os.path.join(box, "etag")
    r = run("curl", "-sSfR", "-o", out, "--etag-save", etag, url)
    assert r.returncode == 0, r.stderr
    assert open(out, "rb").read() == site.der
    assert os.stat(out).st_mtime == lists.this_update(site.der).timestamp()
    for options in (["-z", out], ["--etag-compare", etag]):
        r = run("curl", "-sS", "-o", os.path.join(box, "again"), "-w", "%{http_code} %{size_download}", *options, url)
        assert r.stdout == "304 0", r.stdout + r.stderr
    # As a proxy, and with the CA's name leading here.
    r = run("curl", "-sSf", "-x", "http://127.0.0.1:%d" % site.d.port, "-o", out, "http://%s/two/1.crl" % NAME)
    assert r.returncode == 0 and open(out, "rb").read() == site.shards[1], r.stderr


def test_wget_fetches_and_asks_again(site, box):
    """R112: wget -N."""
    need("wget")
    out, url = os.path.join(box, "one.crl"), "http://127.0.0.1:%d/crl/one.crl" % site.d.port
    for again in (False, True):
        r = run("wget", "-S", "-N", "-P", box, url)
        assert r.returncode == 0 and ("304 Not Modified" in r.stderr) == again, r.stderr
        assert open(out, "rb").read() == site.der


def test_openssl_verifies_with_the_list_that_it_downloads(box, publisher, daemons):
    """R112: openssl verify -crl_check -crl_download: the CA's URL in the certificate, its name leading to us."""
    from cryptography import x509
    front = lab.free_port()
    uri = "http://127.0.0.1:%d/crl/one.crl" % front
    ca = lab.CA("openssl CA")
    place = x509.DistributionPoint([x509.UniformResourceIdentifier(uri)], None, None, None)
    point = x509.CRLDistributionPoints([place])
    good, hit = (ca.issue("%d.example" % n, extra=[(point, False)]) for n in range(2))
    url = publisher.publish("a.crl", crl(ca, [entry(hit.serial, "keyCompromise")]))
    pem = ca.write(os.path.join(box, "ca.pem"))
    d = daemons([{"name": "one", "certificate": pem, "crl": [url]}], listen=["127.0.0.1:%d" % front])
    d.port = front
    d.start()
    for party, code, text in ((good, 0, "OK"), (hit, 2, "certificate revoked")):
        path = party.write(os.path.join(box, "%x.pem" % party.serial))
        r = run("openssl", "verify", "-crl_check", "-crl_download", "-CAfile", pem, path)
        assert r.returncode == code and text in r.stdout + r.stderr, r.stdout + r.stderr
    assert d.metric("lists_served_total", outcome="sent") == 2


def test_slow_clients_of_a_large_list_cost_no_memory(box, publisher, daemons):
    """R112: 20 MB to a client that does not read is a reference and an offset."""
    ca = lab.CA("large CA")
    der = crl(ca, [many(1 << 60, 800000)])
    assert len(der) > 20 << 20
    path = lists.put(os.path.join(box, "a.crl"), der)
    d = daemons([{"name": "one", "certificate": ca.write(os.path.join(box, "ca.pem")), "crl": [path]}],
                write_timeout="10m").start()

    def memory():  # of its own: not the pages of files
        return int(re.search(r"RssAnon:\s+(\d+)", open("/proc/%d/status" % d.process.pid).read()).group(1)) * 1024
    get = b"GET /crl/one.crl HTTP/1.1\r\nHost: localhost\r\n\r\n"
    assert wire.exchange(d.port, get).body == der
    before = memory()
    slow = [wire.Connection(d.port).send(get) for _ in range(30)]
    for c in slow:
        c.until(b"\r\n\r\n")
    assert wire.exchange(d.port, get).body == der  # nobody waits for them
    if not os.environ.get("SAN"):
        assert memory() - before < 4 << 20  # 600 MB if each had its copy
    # A new list while they stand: who began with the old one ends with it.
    reader = slow.pop()
    new = crl(ca, [many(1 << 60, 400000)], number=2, this=-10)
    lists.put(os.path.join(box, "a.crl"), new)
    d.refresh("one")
    d.wait_number(path, 2, "one")
    while len(reader.buffer) < len(der) and reader.read_some():
        pass
    assert reader.buffer == der
    assert wire.exchange(d.port, get).body == new
    # They are cut off in their time, and what they held goes.
    assert d.metric("connections_timed_out_total") == 0
    d.options["write-timeout"] = "500ms"
    d.write()
    d.reload()
    lab.wait(lambda: d.metric("connections_timed_out_total") == 29, 10, "the slow ones to be cut off")
    for c in slow + [reader]:
        c.close()
    held = "/proc/%d/fd" % d.process.pid

    def open_lists():
        links = []
        for n in os.listdir(held):
            try:
                links.append(os.readlink(os.path.join(held, n)))
            except OSError:
                pass
        return [x for x in links if "/crl/" in x and "socket" not in x]
    lab.wait(lambda: len([x for x in open_lists() if "deleted" in x]) <= 1, 5, "the old list's file to be closed")
