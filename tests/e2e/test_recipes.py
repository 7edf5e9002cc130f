"""Each recipe of conf/recipes, and README's, run as it stands by the program that it is for.

A recipe is read by recipes.py. Where it offers something in a comment ("#option", without a space) it is taken in by
the case that is about it. Those that tell people and programs are in test_recipes_told.py, ARI's in test_ari.py.
"""
import glob
import os
import re
import subprocess

import pytest

import clients
import daemon
import lab
import lists
import stream
from recipes import RECIPES, blocks, moved, recipe, taken_in


@pytest.fixture
def site(box, responders):
    return clients.Site(box, responders)


@pytest.fixture
def d(site, daemons):
    return clients.front(site, daemons)


@pytest.fixture
def started():
    yield from clients.kept()


def revoke(site, d, leaf):
    """The CA revokes it, and the daemon has seen that."""
    site.sub.statuses[leaf.serial] = {"status": "revoked", "reason": "key_compromise"}
    d.refresh("sub", leaf.serial)
    lab.wait(lambda: lab.outcome(ours(d, site, leaf)) == "revoked", 10, "the revocation")


def ours(d, site, leaf):
    return d.post(lab.request(site.sub, leaf.serial), "/ocsp/").body


def test_every_recipe_is_run():
    text = ""
    for path in glob.glob(os.path.join(os.path.dirname(__file__), "test_*.py")):
        with open(path, encoding="utf-8") as f:
            text += f.read()
    for name in os.listdir(RECIPES):
        assert re.search('["/]%s"' % re.escape(name), text), name


# nginx

def nginx(site, d, edit=lambda text: text):
    for old, new in (("chain", "pem"), ("key", "key")):
        os.replace(site.path("www." + old), site.path("site." + new))
    return clients.Nginx(site, None, http=lambda port: edit(recipe("nginx.conf", to={
        "/etc/nginx": site.box, "127.0.0.1:8080": "127.0.0.1:%d" % d.port, " 443": " 127.0.0.1:%d" % port})))


def test_nginx_staples(d, site, started):
    leaf = site.leaf("www")
    n = started(nginx(site, d))
    assert lab.wait(lambda: clients.staple(n.port), 15, "the staple") == ours(d, site, leaf)


def test_the_lines_of_the_readme_make_nginx_staple(box, world, started):
    """Both its files; the CA signs its answers itself or by a delegate, and has no intermediate."""
    with open(os.path.join(daemon.TOP, "README.md"), encoding="utf-8") as f:
        own, its = re.search(r"```\n# /etc/ocspcached/ocspcached\.conf\n(.*?)```\n\n```\n# nginx, in its server\n(.*?)```",
                             f.read(), re.S).groups()
    os.rename(world.pem, os.path.join(box, "example-ca.pem"))
    d = daemon.Daemon(box, [])
    d.write(moved(own, {"127.0.0.1:8080": "127.0.0.1:%d" % d.port, "http://ocsp.example.com/": world.responder.url}) +
            'api-listen = "127.0.0.1:%d"\nstate-directory = "%s/state"\n' % (d.api_port, box))
    started(d.start())
    world.good.write(os.path.join(box, "site.pem"), True)
    world.box = box  # where a program of clients.py makes its own
    n = started(clients.Nginx(world, moved(its, {
        "127.0.0.1:8080": "127.0.0.1:%d" % d.port, "/etc/ocspcached": box}) +
        "ssl_certificate %s/site.pem; ssl_certificate_key %s/site.pem.key; location / { return 204; }" % (box, box)))
    got = lab.wait(lambda: clients.staple(n.port), 15, "the staple")
    assert got == d.ask(world.ca, world.good.serial).body and lab.outcome(got) == "good"


@pytest.mark.parametrize("cache", [False, True], ids=["as_it_stands", "with_the_cache_that_it_warns_of"])
def test_nginx_refuses_a_client_as_soon_as_it_is_revoked(d, site, started, cache):
    """nextUpdate is an hour away, and until then ssl_ocsp_cache would let it in: that is why it is left out."""
    site.leaf("www")
    n = started(nginx(site, d, lambda text: taken_in(text).replace(
        "ssl_ocsp  ", "ssl_ocsp_cache shared:ocsp:1m;\n ssl_ocsp  ") if cache else taken_in(text)))
    good, revoked = site.leaf("good"), site.leaf("revoked", "revoked")
    for _ in range(2):
        assert site.visit(n.port, good).startswith("HTTP/1.1 404")  # let in, and there is no such page
        assert site.visit(n.port, revoked).startswith("HTTP/1.1 400")
    revoke(site, d, good)
    assert site.visit(n.port, good).startswith("HTTP/1.1 404" if cache else "HTTP/1.1 400")


# Apache

def apache(site, d, take):
    """Its first two lines outside of the virtual host, the others in it; take picks of its other parts."""
    clients.need("apache2")
    site.leaf("site")
    text = recipe("apache.conf", to={
        "/run/apache2/stapling": "stapling", "/etc/apache2": site.box, "http://127.0.0.1:8080": d.proxy})
    stapling, checks, instead = re.split(r"# Client certificates\.\n|# Instead of DefaultResponder.*\n", text)
    top, host = re.match(r"((?:.*\n)*?.*SSLUseStapling on\n)((?:.*\n)*)", stapling).groups()
    tls = "SSLCertificateFile %s\nSSLCertificateKeyFile %s\n" % (site.path("site.chain"), site.path("site.key"))
    return clients.Apache(site, top, tls + host + take(checks, instead))


def test_apache_staples(d, site, started):
    a = started(apache(site, d, lambda checks, instead: ""))
    got = clients.staple(a.port)
    assert lab.outcome(got) == "good" and lab.serial_of(got) in site.sub.statuses


APACHE = {
    "by its address": lambda checks, instead: taken_in(checks),
    "by the certificates' URLs": lambda checks, instead: re.sub(
        r"(?m)^SSLOCSP(Default|Override)Responder .*\n", "", taken_in(checks)) + taken_in(instead)}


@pytest.mark.parametrize("way", APACHE)
def test_apache_checks_clients(d, site, started, way):
    a = started(apache(site, d, APACHE[way]))
    good, revoked = site.leaf("good"), site.leaf("revoked", "revoked")
    for _ in range(2):
        assert site.visit(a.port, good).startswith("HTTP/1.1 204"), a.log
        assert site.visit(a.port, revoked) is None
    revoke(site, d, good)
    assert site.visit(a.port, good) is None


# stunnel

def test_stunnel_checks_clients(d, site, started):
    program = lab.tool("stunnel4") or lab.tool("stunnel")
    if not program:
        pytest.skip("stunnel is not installed")
    site.leaf("server")
    for old, new in (("chain", "pem"), ("key", "key")):
        os.replace(site.path("server." + old), site.path("site." + new))
    s = clients.Program(site, "stunnel")
    conf = s.write("conf", "foreground = yes\npid =\nsyslog = no\ndebug = 6\n" + recipe("stunnel.conf", to={
        "/etc/stunnel": site.box, "127.0.0.1:8080": "127.0.0.1:%d" % d.port, "127.0.0.1:8000": "127.0.0.1:%d" % d.port,
        "= 8443": "= 127.0.0.1:%d" % s.port}))
    started(s.start(program, conf))
    good, revoked = site.leaf("good"), site.leaf("revoked", "revoked")
    for _ in range(2):
        assert site.visit(s.port, good) == "HTTP/1.1 200 OK"  # of the daemon behind it
        assert site.visit(s.port, revoked) is None
    revoke(site, d, good)
    assert site.visit(s.port, good) is None


# HAProxy

def test_haproxy_is_handed_the_answer(d, site, started):
    clients.need("haproxy", "socat")
    leaf = site.leaf("www")
    h = clients.Program(site, "haproxy")
    os.replace(site.path("www.all"), os.path.join(h.box, "site.pem"))
    with open(os.path.join(h.box, "ca.pem"), "wb") as f:
        f.write(site.sub.pem)
    places = {"/etc/haproxy": h.box, "/run/haproxy": h.box}
    setting, script = blocks("haproxy.md")
    bind, touch, socket = moved(setting, dict(places, **{":443": "127.0.0.1:%d" % h.port})).splitlines()
    subprocess.run(touch.lstrip("# "), shell=True, check=True)
    conf = h.write("conf", "global\n    %s\n    maxconn 100\ndefaults\n    mode http\n    timeout connect 5s\n"
                   "    timeout client 5s\n    timeout server 5s\nfrontend tls\n    %s\n"
                   "    http-request return status 204\n" % (re.search(r"`global`: (.*)", socket).group(1), bind))
    started(h.start(lab.tool("haproxy"), "-db", "-f", conf))
    assert clients.staple(h.port) is None
    path = h.write("hand-over", moved(script, dict(places, **{"http://127.0.0.1:8080": d.proxy})))
    os.chmod(path, 0o755)
    r = clients.run(path)
    assert r.returncode == 0 and "OCSP Response updated!" in r.stdout, r.stdout + r.stderr
    assert clients.staple(h.port) == ours(d, site, leaf)
    # what is no answer is not handed over: the CA is away
    site.responder.stop()
    assert d.api("POST", "/v1/purge", {"issuer": "sub"})[0] == 204
    held = clients.staple(h.port)
    lab.wait(lambda: lab.outcome(ours(d, site, leaf)) == "try_later", 10, "the purge")
    assert clients.run(path).returncode != 0
    assert clients.staple(h.port) == held


# certbot

def certbot_folder(site, *leaves):
    """What certbot keeps below /etc/letsencrypt, and the settings by which it looks for that in the box."""
    for leaf in leaves:
        archive, live = (site.path(os.path.join("etc", n, leaf.name)) for n in ("archive", "live"))
        os.makedirs(archive)
        os.makedirs(live)
        chain = site.sub.pem + site.root.pem
        for kind, data in (("cert", leaf.pem), ("chain", chain), ("fullchain", leaf.pem + chain),
                           ("privkey", open(site.path(leaf.name + ".key"), "rb").read())):
            with open(os.path.join(archive, kind + "1.pem"), "wb") as f:
                f.write(data)
            os.symlink(os.path.join(archive, kind + "1.pem"), os.path.join(live, kind + ".pem"))
        renewal = site.path("etc/renewal")
        os.makedirs(renewal, exist_ok=True)
        with open(os.path.join(renewal, leaf.name + ".conf"), "w") as f:
            f.write("version = 2.1.0\narchive_dir = %s\n" % archive + "".join(
                "%s = %s/%s.pem\n" % (k, live, k) for k in ("cert", "privkey", "chain", "fullchain")) +
                    "[renewalparams]\n")
    settings = site.path("xdg/letsencrypt")
    os.makedirs(settings)
    with open(os.path.join(settings, "cli.ini"), "w") as f:
        f.write("".join("%s-dir = %s\n" % (k, site.path(v)) for k, v in (
            ("config", "etc"), ("work", "work"), ("logs", "logs"))))
    return {"XDG_CONFIG_HOME": site.path("xdg")}


def test_certbots_certificates_become_a_configuration(site):
    """By its own command, include() and hook; what is written serves the other recipe too."""
    certbot_folder(site, site.leaf("www.example"), site.leaf("mail.example"))
    command, conf, hook = blocks("certbot.md")[:3]
    places = {"/etc/ocspcached/issuers.d": site.path("issuers.d"), "/etc/letsencrypt/live": site.path("etc/live"),
              "ocspctl": daemon.CLIENT}
    r = clients.run("sh", "-c", moved(command, places))
    assert r.returncode == 0 and r.stdout.endswith(".conf  written\n"), r
    with open(site.path("discovered.conf"), "w") as f:
        f.write(moved(conf, {"/etc/letsencrypt/live": site.path("etc/live")}))
    assert clients.run(daemon.PROGRAM, "-t", "-c", site.path("discovered.conf")).returncode == 0
    r = clients.run("sh", "-c", moved(hook, dict(places, **{"systemctl reload ocspcached": "echo reloaded"})))
    assert r.stdout.endswith(".conf  unchanged\nreloaded\n"), r
    r = clients.run("sh", os.path.join(RECIPES, "renew-when-revoked"), "--check", env={
        "LIVE": site.path("etc/live"), "ISSUERS": site.path("issuers.d")})
    assert r.returncode == 0 and "www.example" in r.stdout + r.stderr, r


def test_the_sections_of_public_cas(box):
    """As they stand; tests/e2e/test_coverage.py follows lists of these shapes from the leaf to the subscriber."""
    text = "\n".join(blocks("public-cas.md"))
    assert re.findall('(?m)^ +crl += (.*)', text) == [
        '"http://r10.c.lencr.org/{1..128}.crl"', '"certificates"', '"ccadb"',
        '"http://crl.sectigo.com/SectigoRSADomainValidationSecureServerCA.crl"']
    for name in re.findall(r"/etc/ocspcached/(.*)\.pem", text):
        lab.CA(name).write(os.path.join(box, name + ".pem"))
    path = os.path.join(box, "recipe.conf")
    with open(path, "w") as f:
        f.write('state-directory = "%s"\nstore = "memory:"\n' % box + moved(text, {"/etc/ocspcached": box}))
    r = daemon.check(path, "-t")
    assert r.returncode == 0, r


def test_certbot_asks_for_a_status(d, site):
    clients.need("certbot")
    env = certbot_folder(site, site.leaf("good.example"), site.leaf("revoked.example", "revoked"))
    command = next(b for b in blocks("certbot.md") if b.startswith("http_proxy="))
    r = clients.run("sh", "-c", moved(command, {"127.0.0.1:8080": "127.0.0.1:%d" % d.port}), env=env)
    good, revoked = (re.search(r"Certificate Name: %s\.example\n(?:.*\n)*?.*Expiry Date: .*\((.*)\)" % n, r.stdout)
                     for n in ("good", "revoked"))
    assert r.returncode == 0 and good and revoked, r.stdout + r.stderr
    assert good.group(1).startswith("VALID") and revoked.group(1) == "INVALID: REVOKED"


def test_certbot_renews_what_is_revoked(box, site, daemons, publisher, started):
    """R145: by the unit's own command line; a stand-in for certbot notes how it was called."""
    leaf = site.leaf("www.example")
    url = publisher.publish("sub.crl", lists.crl(site.sub))
    d = daemons([{"name": "sub", "certificate": site.sub_pem, "crl": [url]}]).start()
    unit = recipe("renew-when-revoked.service")
    program, issuer, check, watch = next(b for b in blocks("certbot.md") if b.startswith("install")).splitlines()
    there = site.path("lib/renew-when-revoked")
    subprocess.run(moved(program, {"/usr/local/lib/ocspcached/renew-when-revoked": there}), shell=True, check=True,
                   cwd=RECIPES)
    places = {"ca.pem": site.sub_pem, "/etc/renew-when-revoked/NAME.pem": site.path("issuers/sub.pem")}
    subprocess.run(moved(issuer, places), shell=True, check=True)
    command = moved(re.search(r"(?m)^ExecStart=(.*)", unit).group(1), {
        "/usr/bin/ocspctl": daemon.CLIENT, "127.0.0.1:8081": "127.0.0.1:%d" % d.api_port,
        "/usr/local/lib/ocspcached/renew-when-revoked": there})
    assert watch in re.sub(r"/usr/bin/(ocspctl) --url \S+", r"\1", unit) and "ExecStartPre=-" + check in unit
    os.mkdir(site.path("state"))
    certbot_folder(site, leaf)
    noted = site.path("noted")
    w = clients.Program(site, "watch")
    stand_in = w.write("certbot", '#!/bin/sh\necho "$@" >>%s\n' % noted)
    os.chmod(stand_in, 0o755)
    w.process = subprocess.Popen(command.split(), stdin=subprocess.DEVNULL, env=dict(
        os.environ, STATE_DIRECTORY=site.path("state"), LIVE=site.path("etc/live"), ISSUERS=site.path("issuers"),
        CERTBOT=stand_in))
    started(w)
    lab.wait(lambda: d.metric("subscribers") == 1, 10, "the watcher")
    publisher.publish("sub.crl", lists.crl(site.sub, [lists.entry(leaf.serial, "keyCompromise")], number=2))
    d.refresh("sub")
    lab.wait(lambda: os.path.exists(noted) and open(noted).read().endswith("\n"), 10, "certbot to be called")
    assert open(noted).read().split() == ["renew", "--cert-name", "www.example", "--force-renewal", "--non-interactive"]


def test_the_unit_of_the_recipe_is_in_order(box):
    if not lab.tool("systemd-analyze"):
        pytest.skip("systemd-analyze is not installed (package systemd)")
    path = os.path.join(box, "renew-when-revoked.service")
    with open(path, "w") as f:
        f.write(recipe("renew-when-revoked.service", to={"/usr/bin/ocspctl": daemon.CLIENT}))
    r = clients.run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", path)
    assert r.returncode == 0 and not r.stderr, r.stderr


# FreeRADIUS: EAP-TLS, as a network that lets in who has a certificate.

RADIUS = """prefix = /usr
confdir = {box}
logdir = {box}
run_dir = {box}
db_dir = {box}
libdir = /usr/lib/freeradius
log {{
	destination = stdout
}}
security {{
	allow_vulnerable_openssl = yes
}}
thread pool {{
	start_servers = 1
	max_servers = 2
	min_spare_servers = 1
	max_spare_servers = 1
}}
client lab {{
	ipaddr = 127.0.0.1
	secret = secret
}}
modules {{
	eap {{
		default_eap_type = tls
		tls-config tls-common {{
			private_key_file = {site}/server.key
			certificate_file = {site}/server.chain
			ca_file = {site}/bundle.pem
			{ocsp}
		}}
		tls {{
			tls = tls-common
		}}
	}}
}}
server default {{
	listen {{
		type = auth
		ipaddr = 127.0.0.1
		port = {port}
	}}
	authorize {{
		eap
	}}
	authenticate {{
		eap
	}}
}}
"""
EAP = """network={{
	key_mgmt=IEEE8021X
	eap=TLS
	identity="anybody"
	ca_cert="{0}/bundle.pem"
	client_cert="{0}/{1}.chain"
	private_key="{0}/{1}.key"
}}
"""


def test_freeradius_lets_in_who_is_good(d, site, started):
    clients.need("freeradius", "eapol_test")
    site.leaf("server")
    s = clients.Program(site, "radius")
    s.write("radiusd.conf", RADIUS.format(box=s.box, site=site.box, port=s.port, ocsp=recipe(
        "freeradius.conf", to={"http://127.0.0.1:8080": d.proxy})))
    with open(s.out, "ab") as out:
        s.process = subprocess.Popen([lab.tool("freeradius"), "-f", "-d", s.box, "-n", "radiusd"],
                                     stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    started(s)
    lab.wait(lambda: "Ready to process requests" in s.log or s.process.poll() is not None, 20, "freeradius")

    def enter(leaf):
        conf = s.write(leaf.name, EAP.format(site.box, leaf.name))
        r = clients.run("eapol_test", "-c", conf, "-a", "127.0.0.1", "-p", str(s.port), "-s", "secret", "-t", "10",
                        "-r0")
        assert r.stdout.endswith("SUCCESS\n") == (r.returncode == 0), r.stdout[-2000:]
        return r.returncode == 0
    good, revoked = site.leaf("good"), site.leaf("revoked", "revoked")
    for _ in range(2):
        assert enter(good), s.log
        assert not enter(revoked)
    revoke(site, d, good)
    assert not enter(good)


# Caddy

def test_caddy_staples(d, site, started):
    clients.need("caddy")
    leaf = site.leaf("www")
    c = clients.Program(site, "caddy")
    c.write("Caddyfile", "{\n\tadmin off\n\tauto_https disable_redirects\n\thttp_port %d\n\tskip_install_trust\n}\n"
            "https://localhost:%d {\n\tbind 127.0.0.1\n\ttls %s %s\n\trespond 204\n}\n" % (
                lab.free_port(), c.port, site.path("www.chain"), site.path("www.key")))
    shell, unit = blocks("caddy.md")
    command = moved(shell, {"127.0.0.1:8080": "127.0.0.1:%d" % d.port})
    assert re.search(r"Environment=(HTTP_PROXY=\S+)", unit).group(1) in shell
    started(c)
    with open(c.out, "ab") as out:
        c.process = subprocess.Popen(
            "exec env " + command, shell=True, cwd=c.box, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            env=dict(os.environ, HOME=c.box, XDG_DATA_HOME=c.box, XDG_CONFIG_HOME=c.box))
    lab.wait(lambda: lab.connects(c.port), 20, "caddy")
    assert lab.wait(lambda: clients.staple(c.port), 15, "the staple") == ours(d, site, leaf)


# Several nodes and one Redis

def test_nodes_share_their_answers_through_redis(box, world, publisher):
    port = lab.free_port()
    text = recipe("redis-shared.conf")
    more = "".join(re.findall(r"(?m)^#\t.*\n", text))
    with open(os.path.join(box, "redis.conf"), "w") as f:
        f.write(re.sub(r"(?m)^#\t", "", more) + "bind 127.0.0.1\nport %d\ndir %s\nsave \"\"\n" % (port, box))
    subprocess.run(re.search(r"Made by: (.*)", text).group(1), shell=True, check=True, cwd=box)
    os.rename(world.pem, os.path.join(box, "ca.pem"))
    url = publisher.publish("ca.crl", lists.crl(world.ca, [world.revoked.serial]))
    server = subprocess.Popen(["redis-server", os.path.join(box, "redis.conf")], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL)
    nodes = []
    try:
        lab.wait(lambda: lab.connects(port), 10, "redis-server")
        for i in range(2):
            d = daemon.Daemon(box, [], name="node%d" % i)
            nodes.append(d)
            d.write('listen = { "127.0.0.1:%d" }\napi-listen = "127.0.0.1:%d"\n' % (d.port, d.api_port) + moved(text, {
                "redis.example.com:6379": "127.0.0.1:%d" % port, "/var/lib/ocspcached": os.path.join(box, d.name),
                "http://ocsp.example.com/": world.responder.url, "http://crl.example.com/ca.crl": url}))
            d.start()
        a, b = nodes
        s = stream.Stream(b.api_port, "")
        body = a.ask(world.ca, world.good.serial).body
        assert lab.outcome(body) == "good"
        lab.wait(lambda: b.ask(world.ca, world.good.serial).body == body, 10, "the other node")
        assert world.responder.count == 1
        for d in nodes:
            assert d.metric("store_up") == 1, d.log
            assert not d.events("events_not_durable") and not d.events("store_may_evict"), d.log
        s.close()
    finally:
        for d in nodes:
            d.stop()
        server.terminate()
        server.wait()
