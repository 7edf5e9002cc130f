"""clients - the real programs of Debian that ask an OCSP responder, each on a free port in a folder of its own.

Nothing of the system's configuration is read or changed; a program that is not installed skips the test.
"""
import base64
import os
import re
import socket
import ssl
import subprocess
import threading
import types

import pytest
from asn1crypto import ocsp as aocsp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AuthorityInformationAccessOID

import lab

AIA_HOST = "ocsp.test"  # resolves nowhere: whoever gets an answer for it came through the daemon as its proxy


def need(*names):
    for name in names:
        if not lab.tool(name):
            pytest.skip("%s is not installed" % name)


def run(*argv, env=None, timeout=30, input=""):
    """Run a client to its end; what it needs of the environment is added, proxies of the machine are not passed."""
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return subprocess.run(list(argv), input=input, capture_output=True, text=True, errors="replace",
                          env=dict(clean, **(env or {})), timeout=timeout * lab.PATIENCE)


def aia(url):
    return x509.AuthorityInformationAccess([x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url))])


def intermediate(name, root, url):
    """A CA under root that says, like a leaf, where to ask for it."""
    ca = lab.CA(name, issuer=root)
    b = (x509.CertificateBuilder().subject_name(ca.cert.subject).issuer_name(ca.cert.issuer)
         .public_key(ca.key.public_key()).serial_number(ca.serial).not_valid_before(ca.cert.not_valid_before)
         .not_valid_after(ca.cert.not_valid_after).add_extension(aia(url), False))
    for e in ca.cert.extensions:
        b = b.add_extension(e.value, e.critical)
    lab.Party.__init__(ca, b.sign(root.key, hashes.SHA256()), ca.key)
    return ca


class Site:
    """Root, intermediate, and certificates for servers and clients; one responder for both CAs."""

    def __init__(self, box, responders):
        self.box = box
        self.port = lab.free_port()  # of the daemon, known before it starts: certificates name it
        self.url = "http://127.0.0.1:%d/ocsp/" % self.port
        self.root = lab.CA("Lab Root")
        self.sub = intermediate("Lab Issuing CA 1", self.root, self.url)
        self.root.statuses[self.sub.serial] = {"status": "good"}
        self.signers = {self.root: self.root.delegate(), self.sub: self.sub.delegate()}
        self.responder = responders(self.root, self.sub, signer=self.signers)
        self.root_pem = self.root.write(self.path("root.pem"))
        self.sub_pem = self.sub.write(self.path("sub.pem"))
        self.bundle = self.path("bundle.pem")
        with open(self.bundle, "wb") as f:
            f.write(self.sub.pem + self.root.pem)

    def path(self, name):
        return os.path.join(self.box, name)

    def issuers(self, **more):
        # The second URL is what certificates name (their AIA); the first is where it really is.
        there = [self.responder.url, "http://%s/" % AIA_HOST, "http://%s:8888/ocsp/" % AIA_HOST]
        return [dict({"name": "root", "certificate": self.root_pem, "ocsp": there}, **more),
                dict({"name": "sub", "certificate": self.sub_pem, "ocsp": there}, **more)]

    def echo(self, der):
        """An answer as the responder would give it, with the nonce of the request if there is one."""
        tbs = aocsp.OCSPRequest.load(der)["tbs_request"]
        certid = tbs["request_list"][0]["req_cert"]
        h = certid["hash_algorithm"]["algorithm"].native
        ca = next(c for c in (self.root, self.sub) if c.key_hash(h) == certid["issuer_key_hash"].native)
        serial = certid["serial_number"].native
        status = ca.statuses.get(serial, {"status": "unknown"})
        nonce = [e for e in tbs["request_extensions"] or [] if e["extn_id"].native == "nonce"]
        return lab.response(ca, [lab.single(ca, serial, h, **status)], self.signers[ca], extensions=[
            {"extn_id": "nonce", "critical": False, "extn_value": nonce[0]["extn_value"].parsed}] if nonce else None)

    def leaf(self, name, status="good", url="http://%s/" % AIA_HOST):
        """A certificate of the intermediate, NAME.pem (alone), NAME.chain, NAME.key and NAME.all in the box."""
        p = self.sub.issue("localhost", extra=[(aia(url), False)])
        if status != "good":
            self.sub.statuses[p.serial] = {"status": status, **(
                {"reason": "key_compromise"} if status == "revoked" else {})}
        p.name = name
        key = p.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                  serialization.NoEncryption())
        for suffix, data in (("pem", p.pem), ("chain", p.pem + self.sub.pem), ("key", key),
                             ("all", p.pem + self.sub.pem + key)):
            with open(self.path("%s.%s" % (name, suffix)), "wb") as f:
                f.write(data)
        return p

    def visit(self, port, client=None):
        """Open a TLS connection, with a certificate of the client's or none, and ask for /healthz.

        The status line, or None when the server refused the client."""
        context = ssl.create_default_context(cafile=self.root_pem)
        if client:
            context.load_cert_chain(self.path(client.name + ".chain"), self.path(client.name + ".key"))
        try:
            with socket.create_connection(("127.0.0.1", port), 15 * lab.PATIENCE) as s:
                with context.wrap_socket(s, server_hostname="localhost") as t:
                    t.sendall(b"GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n")
                    line = t.recv(4096).split(b"\r\n")[0].decode()
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
            return None
        return line or None


def front(site, daemons):
    """The daemon that answers for both CAs of the site at one address."""
    d = daemons(site.issuers(nonce="ignore"), listen=["127.0.0.1:%d" % site.port])
    d.port, d.url, d.proxy = site.port, site.url, "http://127.0.0.1:%d" % site.port
    return d.start()


def kept():
    """A fixture's body: give a program to it, and it is stopped at the end."""
    programs = []

    def keep(program):
        programs.append(program)
        return program
    yield keep
    for p in programs:
        if hasattr(p, "log"):
            print(p.log[-6000:])  # shown when the test failed
        p.stop()


def staple(port):
    """The OCSP response in the TLS handshake, byte for byte; None where there is none."""
    r = run("openssl", "s_client", "-connect", "127.0.0.1:%d" % port, "-servername", "localhost", "-tls1_2",
            "-status", "-msg")
    m = re.search(r"^<<< [^\n]*CertificateStatus\n((?:    [0-9a-f ]+\n)+)", r.stdout, re.M)
    if not m:
        return None
    message = bytes.fromhex(m.group(1).replace("\n", " "))  # type, length of 3, status type, length of 3, response
    assert message[0] == 22 and message[4] == 1
    return message[8:]


class Program:
    """A server under test: its configuration is written, it is started, and waited for until it listens."""

    def __init__(self, site, name):
        self.site, self.port = site, lab.free_port()
        self.box = os.path.join(site.box, "%s-%d" % (name, self.port))
        os.mkdir(self.box)
        self.out = os.path.join(self.box, "out")
        self.process = None

    def write(self, name, text):
        path = os.path.join(self.box, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def start(self, *argv):
        with open(self.out, "ab") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

        def up():
            assert self.process.poll() is None, "%s ended:\n%s" % (argv[0], self.log)
            return lab.connects(self.port)
        lab.wait(up, 15, argv[0])
        return self

    @property
    def log(self):
        text = ""
        for name in ("out", "log"):
            path = os.path.join(self.box, name)
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    text += f.read()
        return text

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5 * lab.PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


class Nginx(Program):
    """server is what stands in server { } besides listen; http in http { }: without server a function that makes a
    whole server { } of its port."""

    def __init__(self, site, server, http="", tls=True, workers=False):
        need("nginx")
        super().__init__(site, "nginx")
        if server is None:
            block = http(self.port)
        else:
            block = "%s\n    server {\n        listen 127.0.0.1:%d%s;\n        %s\n    }" % (
                http, self.port, " ssl" if tls else "", server)
        conf = self.write("conf", """daemon off; %(process)s pid %(box)s/pid; error_log %(box)s/log info;
events { worker_connections 256; }
http {
    access_log off; client_body_temp_path %(box)s/b; proxy_temp_path %(box)s/p; fastcgi_temp_path %(box)s/f;
    uwsgi_temp_path %(box)s/u; scgi_temp_path %(box)s/s;
    %(block)s
}
""" % {"box": self.box, "block": block, "process": "worker_processes 1;" if workers else "master_process off;"})
        self.start(lab.tool("nginx"), "-c", conf, "-p", self.box)


def apache(program, text):
    """The configuration with what every Apache of ours needs, and the command that runs it."""
    need("apache2")
    folder = next((f for f in ("/usr/lib/apache2/modules", "/usr/lib/httpd/modules") if os.path.isdir(f)), None)
    if not folder:
        pytest.skip("Apache's modules are not where Debian has them")
    conf = program.write("conf", """ServerRoot %(box)s
%(load)s%(user)sServerName localhost
Listen 127.0.0.1:%(port)d
PidFile %(box)s/pid
ErrorLog %(box)s/log
LogLevel info
Mutex sem default
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
DocumentRoot %(box)s
%(text)s
""" % {"box": program.box, "port": program.port, "text": text,
       "load": "".join("LoadModule %s_module %s/mod_%s.so\n" % (m, folder, m) for m in program.MODULES),
       "user": "User www-data\nGroup www-data\n" if os.geteuid() == 0 else ""})
    return lab.tool("apache2"), "-X", "-f", conf


class Apache(Program):
    MODULES = ("mpm_event", "authz_core", "authn_core", "socache_shmcb", "ssl", "alias")

    def __init__(self, site, top, host):
        super().__init__(site, "apache")
        self.start(*apache(self, """LogLevel ssl:info
%s
<VirtualHost 127.0.0.1:%d>
SSLEngine on
%s
RedirectMatch 204 ^/
</VirtualHost>
""" % (top, self.port, host)))


class ApacheFront(Program):
    """Apache as people have it in front of a responder: nothing is set but the proxy, so AllowEncodedSlashes is Off."""

    MODULES = ("mpm_event", "authz_core", "proxy", "proxy_http")

    def __init__(self, box, back):
        super().__init__(types.SimpleNamespace(box=box), "front")
        self.url = "http://127.0.0.1:%d/" % self.port
        self.start(*apache(self, """LogFormat "%%m %%>s" short
CustomLog %(box)s/asked short
ProxyPass / %(back)s
ProxyPassReverse / %(back)s
""" % {"box": self.box, "back": back}))

    @property
    def asked(self):
        """Method and status of each request, oldest first."""
        with open(os.path.join(self.box, "asked")) as f:
            return [tuple(line.split()) for line in f]


class Stunnel(Program):
    """A TLS server in front of what listens at port back."""

    def __init__(self, site, server, options, back):
        if not lab.tool("stunnel4") and not lab.tool("stunnel"):
            pytest.skip("stunnel is not installed")
        super().__init__(site, "stunnel")
        conf = self.write("conf", """foreground = yes
pid =
debug = 6
syslog = no
[tls]
accept = 127.0.0.1:%d
connect = 127.0.0.1:%d
cert = %s
key = %s
CAfile = %s
verifyChain = yes
requireCert = yes
%s
""" % (self.port, back, site.path(server.name + ".chain"), site.path(server.name + ".key"), site.root_pem, options))
        self.start(lab.tool("stunnel4") or lab.tool("stunnel"), conf)


class Haproxy(Program):
    def __init__(self, site, text):
        """text: the proxies; %(box)s and %(port)d in it are the program's own."""
        need("haproxy")
        super().__init__(site, "haproxy")
        self.socket = os.path.join(self.box, "admin.sock")
        conf = self.write("conf", """global
    stats socket %s mode 600 level admin
    maxconn 1000
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
%s""" % (self.socket, text % {"box": self.box, "port": self.port}))
        self.start(lab.tool("haproxy"), "-db", "-f", conf)

    def command(self, text):
        need("socat")
        return run("socat", "-", "UNIX-CONNECT:" + self.socket, input=text + "\n").stdout


class TlsServer:
    """A server that says nothing but a handshake: what gnutls-cli and curl look at."""

    def __init__(self, site, leaf):
        self.port = lab.free_port()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(site.path(leaf.name + ".chain"), site.path(leaf.name + ".key"))
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            try:
                s.settimeout(10)
                with self.context.wrap_socket(s, server_side=True) as t:
                    t.recv(100)
            except OSError:
                s.close()

    def stop(self):
        self.listener.close()


class Tap:
    """A wire between a client and the daemon that remembers what the client sent, one entry a connection."""

    def __init__(self, back):
        self.port, self.back, self.seen = lab.free_port(), back, []
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            self.seen.append(b"")
            there = socket.create_connection(("127.0.0.1", self.back))
            threading.Thread(target=self.copy, args=(s, there, len(self.seen) - 1), daemon=True).start()
            threading.Thread(target=self.copy, args=(there, s, None), daemon=True).start()

    def copy(self, a, b, index):
        try:
            while True:
                data = a.recv(65536)
                if index is not None:
                    self.seen[index] += data
                if not data:
                    b.shutdown(socket.SHUT_WR)
                    return
                b.sendall(data)
        except OSError:
            pass

    def stop(self):
        self.listener.close()


def set_ocsp(der):
    """HAProxy's command that hands it a response."""
    return "set ssl ocsp-response " + base64.b64encode(der).decode()
