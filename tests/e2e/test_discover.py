"""ocspctl discover: from certificates to issuer sections that the daemon takes."""
import json
import os
import re
import subprocess

import pytest
from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID as Access

import lab
from daemon import CLIENT, PROGRAM

OCSP, LIST = "http://ocsp.example/r1", "http://crl.example/r1/%d.crl"


def points_to(ocsp=OCSP, lists=(LIST % 1,), issuers=()):
    """Extensions of a certificate."""
    aia = ([x509.AccessDescription(Access.OCSP, x509.UniformResourceIdentifier(ocsp))] if ocsp else []) + [
        x509.AccessDescription(Access.CA_ISSUERS, x509.UniformResourceIdentifier(u)) for u in issuers]
    crl = [x509.DistributionPoint([x509.UniformResourceIdentifier(u)], None, None, None) for u in lists]
    return ([(x509.AuthorityInformationAccess(aia), False)] if aia else []) + (
        [(x509.CRLDistributionPoints(crl), False)] if crl else [])


def discover(*args, code=0, **more):
    r = subprocess.run([CLIENT, "discover", *args], capture_output=True, text=True, errors="replace",
                       timeout=60 * lab.PATIENCE, **more)
    assert r.returncode == code, r
    return r


def loads(box, text):
    """ocspcached -t takes it; what is in force of its issuers."""
    path = os.path.join(box, "discovered.conf")
    with open(path, "w") as f:
        f.write(text)
    r = subprocess.run([PROGRAM, "-t", "-c", path], capture_output=True, text=True)
    assert r.returncode == 0, (r, text)
    r = subprocess.run([PROGRAM, "-p", "-c", path], capture_output=True, text=True)
    return {m[1]: m[2] for m in re.finditer(r'(?ms)^issuer "([^"]*)" \{\n(.*?)^\}', r.stdout)}


def is_idle(text):
    """Nothing but comments."""
    return all(x[0] == "#" for x in text.splitlines() if x)


def write(box, name, *parts):
    path = os.path.join(box, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        for p in parts:
            f.write(p if isinstance(p, bytes) else p.pem)
    return path


def key_of(party, box):
    with open(party.write(os.path.join(box, "with"), True) + ".key", "rb") as f:
        return f.read()


@pytest.fixture
def root():
    return lab.CA("Example Root")


@pytest.fixture
def ca(root):
    return lab.CA("Example CA R1", issuer=root)


def test_from_fullchain_to_a_configuration_in_one_command(box, root, ca):
    leaf = ca.issue("shop.example", extra=points_to())
    full = write(box, "live/shop/fullchain.pem", key_of(leaf, box), leaf, ca, root)
    folder = os.path.join(box, "issuers")
    r = discover("--write", folder, full)
    conf = os.path.join(folder, "example-ca-r1.conf")
    assert r.stdout == conf + "  written\n" and r.stderr == ""
    issuers = loads(box, 'include("issuers/*.conf")\n')
    assert list(issuers) == ["example-ca-r1"]
    block = issuers["example-ca-r1"]
    assert 'ocsp = { "%s" }' % OCSP in block and 'crl = { "%s" }' % (LIST % 1) in block
    assert sorted(os.listdir(folder)) == ["example-ca-r1.conf", "example-ca-r1.pem"]
    # nothing of a key, and nothing of another certificate than the CA's
    text = lab.read(os.path.join(folder, "example-ca-r1.pem"))
    assert text.count("-----BEGIN") == 1 and ca.pem.decode().strip() in text
    before = os.stat(conf)
    assert discover("--write", folder, full).stdout == conf + "  unchanged\n"
    assert os.stat(conf).st_ino == before.st_ino


def test_a_file_of_the_ca_alone_is_named_where_it_is(box, root, ca):
    write(box, "certs/one/cert.pem", ca.issue("a.example", extra=points_to()))
    write(box, "certs/two/cert.pem", ca.issue("b.example", extra=points_to()))
    chain = write(box, "certs/two/chain.der", ca.der)
    write(box, "certs/two/privkey.pem", key_of(ca, box))
    write(box, "certs/junk", os.urandom(5000))
    r = discover(os.path.join(box, "certs"))
    assert 'certificate = { "%s" }' % chain in loads(box, r.stdout)["example-ca-r1"]
    assert "named by 2 of 2" in r.stdout and "PRIVATE" not in r.stdout
    assert "# issued 2 of the certificates found:" in r.stdout and "CN=Example CA R1" in r.stdout
    r = discover("certs", cwd=box)
    assert 'certificate = "%s"' % chain in r.stdout
    out = json.loads(discover("--json", os.path.join(box, "certs")).stdout)
    assert out["problems"] == [] and out["issuers"][0]["certificate_file"] == chain
    os.rename(os.fsencode(box) + b"/certs", os.fsencode(box) + b"/\xff\n#")
    odd = json.loads(discover("--json", os.fsencode(box) + b"/\xff\n#").stdout)
    assert [x["name"] for x in odd["issuers"]] == ["example-ca-r1"]
    assert is_idle(discover(os.fsencode(box) + b"/\xff\n#", code=2).stdout)
    assert out["issuers"][0]["crl"] == [LIST % 1] and out["issuers"][0]["subject"] == "CN=Example CA R1"


def test_without_a_file_of_its_own_the_section_is_a_comment(box, ca):
    full = write(box, "fullchain.pem", ca.issue(extra=points_to()), ca)
    r = discover(full, code=2)
    assert "NOT READY" in r.stdout and "--write" in r.stdout and "--write" in r.stderr and is_idle(r.stdout)


def test_several_parts_of_a_list_and_renewed_certificates(box, ca):
    again = lab.CA("Example CA R1", key=ca.key)
    leaves = [ca.issue("%d.example" % n, extra=points_to(lists=(LIST % (n % 3),))) for n in range(7)]
    a, b = write(box, "d/a.pem", ca), write(box, "d/b.pem", again)
    write(box, "d/leaves.pem", *leaves)
    r = discover(os.path.join(box, "d"))
    issuers = loads(box, r.stdout)
    assert list(issuers) == ["example-ca-r1"]
    assert a in issuers["example-ca-r1"] and b in issuers["example-ca-r1"]
    assert 'crl = { "certificates" }' in issuers["example-ca-r1"] and 'crl-need = "watched"' in issuers["example-ca-r1"]
    assert "divides its list in 3 parts or more" in r.stdout
    # two points of one certificate are two places of its list
    write(box, "e/cert.pem", ca.issue(extra=points_to(lists=(LIST % 1, LIST % 2))))
    write(box, "e/ca.pem", ca)
    r = discover(os.path.join(box, "e"))
    assert 'crl = { "%s | %s" }' % (LIST % 1, LIST % 2) in loads(box, r.stdout)["example-ca-r1"]
    # a CA that names no list, and one that names nothing
    write(box, "e/cert.pem", ca.issue(extra=points_to(lists=())))
    r = discover(os.path.join(box, "e"))
    assert 'crl = "ccadb"' in r.stdout and "crl = {}" in loads(box, r.stdout)["example-ca-r1"]
    write(box, "e/cert.pem", ca.issue(extra=points_to(None, ())))
    r = discover(os.path.join(box, "e"), code=2)
    assert "neither a responder nor a list" in r.stdout and is_idle(r.stdout)


def test_names_that_collide_get_a_hash_and_keep_it(box):
    cas = [lab.CA("Same Name") for _ in range(3)]
    folder = os.path.join(box, "issuers")
    files = [write(box, "%d.pem" % n, c.issue(extra=points_to()), c) for n, c in enumerate(cas)]
    discover("--write", folder, files[0])
    discover("--write", folder, *files)
    names = sorted(loads(box, 'include("issuers/*.conf")\n'))
    assert len(names) == 3 and names[0] == "same-name"
    assert all(re.fullmatch("same-name-[0-9a-f]{8}", n) for n in names[1:])
    assert discover("--write", folder, *files[::-1]).stdout.count("unchanged") == 3


HOSTILE = [
    'x" } issuer "y" { certificate = "/etc/passwd', "a\nworkers = 7\n", "${HOME} $(id) `id`", "}{}{#//*", "\\",
    "'\"'\"'",
    "\u202e\u0085\u00fc", "../../../etc/cron.d/x", ".", "%s%n", "-rf", " ", "x" * 64]


def test_hostile_names_write_nothing_of_theirs(box):
    cas = [lab.CA(name) for name in HOSTILE]
    folder = os.path.join(box, "issuers")
    files = [write(box, "%d.pem" % n, ca.issue(extra=points_to()), ca) for n, ca in enumerate(cas)]
    discover("--write", folder, *files)
    names = sorted(loads(box, 'include("issuers/*.conf")\n'))
    assert len(names) == len(cas) and all(re.fullmatch("[a-z0-9][a-z0-9._-]{0,62}", x) for x in names)
    assert sorted(os.listdir(folder)) == sorted(x + end for x in names for end in (".conf", ".pem"))
    for name in names:
        text = lab.read(os.path.join(folder, name + ".conf"))
        assert text.isascii() and [x.split()[0] for x in text.splitlines() if x[0] not in "#\t}"] == ["issuer"]
    for n, ca in enumerate(cas):
        write(box, "%d.ca" % n, ca)
    assert sorted(loads(box, discover(*files, *(x[:-3] + "ca" for x in files)).stdout)) == names


def test_hostile_urls_are_no_values(box, ca):
    bad = ['http://a/"x', "http://a/${HOME}", "http://a/x | http://b/y", "http://a/{1..9}", "ldap://a/x",
           "file:///etc/passwd", "http://user@a/", "http://a/x\ny", "ccadb", "certificates"]
    leaf = ca.issue(extra=points_to(lists=bad + [LIST % 1]))
    r = discover(write(box, "leaf.pem", leaf), write(box, "ca.pem", ca))
    assert 'crl = { "%s" }' % (LIST % 1) in loads(box, r.stdout)["example-ca-r1"]


def test_files_of_others_are_left_as_they_are(box, ca):
    folder = os.path.join(box, "issuers")
    theirs = write(box, "issuers/example-ca-r1.conf", b"# mine\n")
    full = write(box, "full.pem", ca.issue(extra=points_to()), ca)
    r = discover("--write", folder, full, code=2)
    assert "is not by ocspctl discover" in r.stderr and lab.read(theirs) == "# mine"
    assert os.listdir(folder) == ["example-ca-r1.conf"]


def test_a_crt_list_of_haproxy(box, ca):
    write(box, "h/a b.pem", ca.issue("a.example", extra=points_to()), key_of(ca, box))
    write(box, "h/a b.pem.issuer", ca)
    write(box, "h/c.pem", ca.issue("c.example", extra=points_to()))
    lines = write(box, "h/crt-list.txt",
                  b"# comment\n\na\\ b.pem [alpn h2 ssl-min-ver TLSv1.2] *.a.example !x.a.example\n" +
                  box.encode() + b"/h/c.pem\r\n")
    r = discover(lines)
    assert "named by 2 of 2" in r.stdout and loads(box, r.stdout)
    write(box, "h/crt-list.txt", b"a\\ b.pem\nmissing.pem [x] y\n")
    r = discover(lines, code=2)
    assert "missing.pem: No such file or directory" in r.stderr and loads(box, r.stdout)
    r = discover(write(box, "text", b"nothing\nof use\n"), code=2)
    assert "holds no certificate, and is no crt-list" in r.stderr


def test_a_server_shows_its_chain(box, root, ca):
    leaf = ca.issue("localhost", extra=points_to())
    port = lab.free_port()
    p = subprocess.Popen(
        [lab.tool("openssl"), "s_server", "-accept", "127.0.0.1:%d" % port, "-quiet", "-Verify", "1", "-cert",
         write(box, "leaf.pem", leaf), "-key", write(box, "leaf.key", key_of(leaf, box)), "-cert_chain",
         write(box, "chain.pem", ca)],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        lab.wait(lambda: lab.connects(port))
        r = discover("--write", os.path.join(box, "issuers"), "localhost:%d" % port)
        assert "written" in r.stdout and loads(box, 'include("issuers/*.conf")\n')
    finally:
        p.kill()
        p.wait()
    r = discover("localhost:%d" % port, code=2)
    assert "localhost:%d: Connection refused" % port in r.stderr


def test_a_port_that_speaks_no_tls(publisher):
    r = discover("127.0.0.1:%d" % publisher.port, code=2)
    assert "is this a server of TLS?" in r.stderr


def test_fetch_gets_the_ca_from_where_it_may(box, publisher, ca):
    """T7: what a certificate says is a stranger's word."""
    pem = write(box, "ca.pem", ca)
    made = subprocess.run([lab.tool("openssl"), "crl2pkcs7", "-nocrl", "-certfile", pem, "-outform", "DER"],
                          capture_output=True, check=True).stdout
    for n, body in enumerate((ca.der, ca.pem, made)):
        url = publisher.publish("ca%d" % n, body)
        leaf = write(box, "leaf.pem", ca.issue(extra=points_to(issuers=(url,))))
        r = discover(leaf, code=2)
        assert url + " has it, and --fetch gets it" in r.stderr and publisher["ca%d" % n].hits == 0
        folder = os.path.join(box, "issuers%d" % n)
        r = discover("--fetch", "--write", folder, leaf, code=2)
        assert "allow-address" in r.stderr and publisher["ca%d" % n].hits == 0 and os.listdir(folder) == []
        r = discover("--fetch", "--allow-address", "127.0.0.0/8:%d" % publisher.port, "--write", folder, leaf)
        assert loads(box, 'include("issuers%d/*.conf")\n' % n) and publisher["ca%d" % n].hits == 1


def test_what_is_fetched_has_to_verify_the_certificate(box, publisher, ca):
    other = lab.CA("Example CA R1")
    allow = ("--allow-address", "127.0.0.1:%d" % publisher.port)
    for name, body in (("other", other.der), ("page", b"<!DOCTYPE html>"), ("long", ca.pem * 1000)):
        leaf = write(box, "leaf.pem", ca.issue(extra=points_to(issuers=(publisher.publish(name, body),))))
        r = discover("--fetch", *allow, leaf, code=2)
        assert "did not help" in r.stderr and "issuer \"" not in r.stdout, name
    publisher.publish("moved", ca.der, mode="redirect")
    leaf = write(box, "leaf.pem", ca.issue(extra=points_to(issuers=(publisher.url("moved"),))))
    assert "redirects are not followed" in discover("--fetch", *allow, leaf, code=2).stderr


def test_what_there_is_not_is_told(box, root, ca):
    r = discover(os.path.join(box, "nowhere"), code=2)
    assert "No such file or directory" in r.stderr and "no certificate was found" in r.stdout
    assert "only certificates of CAs" in discover(write(box, "ca.pem", ca), code=2).stderr
    r = discover(write(box, "leaf.pem", ca.issue(days=(-2, -1))), code=2)
    assert "have expired" in r.stderr
    r = discover(write(box, "leaf.pem", ca.issue()), code=2)
    assert "no URL says where it is" in r.stderr
    # of that name, and not who signed
    assert "is not there" in discover(os.path.join(box, "leaf.pem"), write(box, "x.pem", lab.CA("Example CA R1")),
                                      code=2).stderr
    self_signed = subprocess.run(
        [lab.tool("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", os.path.join(box, "k"), "-subj", "/CN=self", "-addext", "basicConstraints=critical,CA:FALSE"],
        capture_output=True, check=True).stdout
    assert "issuer" not in discover(write(box, "self.pem", self_signed)).stdout


@pytest.mark.parametrize("args", [(), ("--allow-address", "10.0.0.0/8", "x"),
                                  ("--fetch", "--allow-address", "host", "x"), ("--exec", "true", "x")])
def test_usage(args):
    discover(*args, code=64)
