"""Real nginx as the client in front: it staples what came through the daemon."""
import os
import subprocess

import pytest

import lab


class Nginx:
    def __init__(self, box, leaf, ca_pem, port):
        self.port = lab.free_port()
        leaf.write(os.path.join(box, "site.pem"), True)
        conf = os.path.join(box, "nginx.conf")
        with open(conf, "w") as f:
            f.write("""daemon off; master_process off; pid %(box)s/nginx.pid; error_log %(box)s/nginx.log notice;
events { worker_connections 64; }
http {
    access_log off;
    client_body_temp_path %(box)s/b; proxy_temp_path %(box)s/p; fastcgi_temp_path %(box)s/f;
    uwsgi_temp_path %(box)s/u; scgi_temp_path %(box)s/s;
    server {
        listen 127.0.0.1:%(port)d ssl;
        ssl_certificate %(box)s/site.pem; ssl_certificate_key %(box)s/site.pem.key;
        ssl_stapling on; ssl_stapling_verify on; ssl_trusted_certificate %(ca)s;
        ssl_stapling_responder http://127.0.0.1:%(up)d/ocsp/;
        location / { return 204; }
    }
}
""" % {"box": box, "port": self.port, "ca": ca_pem, "up": port})
        self.log = os.path.join(box, "nginx.log")
        self.process = subprocess.Popen([lab.tool("nginx"), "-c", conf, "-p", box], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        lab.wait(lambda: lab.connects(self.port), 10, "nginx")

    def staple(self):
        """What `openssl s_client -status` says of the staple."""
        r = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % self.port, "-servername", "localhost",
                            "-status"], input="", capture_output=True, text=True, timeout=15 * lab.PATIENCE)
        return r.stdout

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def nginx(box, world, daemons):
    if not lab.tool("nginx"):
        pytest.skip("nginx is not installed")
    d = daemons([world.issuer()]).start()
    made = []

    def make(leaf):
        made.append(Nginx(box, leaf, world.pem, d.port))
        return made[-1]
    make.daemon = d
    yield make
    for n in made:
        n.stop()


def test_nginx_staples_our_answer(world, nginx):
    """R141"""
    n = nginx(world.good)
    lab.wait(lambda: "Cert Status: good" in n.staple(), 15, "the staple")
    text = n.staple()
    assert "OCSP Response Status: successful" in text
    assert "%X" % world.good.serial in text
    assert world.responder.count == 1
    assert not [line for line in open(n.log) if "[error]" in line or "[crit]" in line]


def test_several_nginx_cost_one_fetch(box, world, nginx):
    """R144"""
    boxes = [os.path.join(box, str(i)) for i in range(3)]
    for b in boxes:
        os.mkdir(b)
    all_of_them = [Nginx(b, world.good, world.pem, nginx.daemon.port) for b in boxes]
    try:
        for n in all_of_them:
            lab.wait(lambda n=n: "Cert Status: good" in n.staple(), 15, "the staple")
    finally:
        for n in all_of_them:
            n.stop()
    assert world.responder.count == 1
