"""servers - what a bench starts: the CA, the floor, ocspcached and the caches that people use instead.

Each is a Server with a port and the processes whose CPU time counts.  The rival configurations are the best that
were found: their own defaults are slower.
"""
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
B = os.path.join(TOP, os.environ.get("B") or "build")
SERVER_CORE, LOAD_CORE = 0, 1


def tool(name):
    """A program of the bench."""
    return os.path.join(B, "bench", name)


def program(name):
    """A rival's program, also where only root has it in PATH; None where it is not installed."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def free_port():
    for _ in range(200):
        port = random.randrange(20000, 32000)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port")


def wait(what, seconds, name):
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            raise RuntimeError("waited %g s for %s in vain" % (seconds, name))
        time.sleep(0.02)


def connects(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Server:
    """A process pinned to a core; box is a directory for its files."""

    name = "server"
    log_name = None  # its own where there are several

    def __init__(self, box, core=SERVER_CORE):
        self.box, self.core, self.port, self.process = box, core, free_port(), None

    def argv(self):
        raise NotImplementedError

    def start(self):
        pin = [] if self.core is None else ["taskset", "-c", str(self.core)]
        self.log_path = os.path.join(self.box, (self.log_name or self.name) + ".log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(pin + self.argv(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

        def up():
            if self.process.poll() is not None:
                raise RuntimeError("%s ended:\n%s" % (self.name, open(self.log_path).read()[-2000:]))
            return self.ready()
        wait(up, 15, self.name)
        return self

    def ready(self):
        return connects(self.port)

    def pids(self):
        return [self.process.pid]

    def private_bytes(self):
        """Memory that is its own alone."""
        with open("/proc/%d/smaps_rollup" % self.pids()[-1]) as f:
            return 1024 * sum(int(line.split()[1]) for line in f if line.startswith(("Private_Dirty", "Private_Clean")))

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def conf(self, name, text):
        path = os.path.join(self.box, name)
        with open(path, "w") as f:
            f.write(text)
        return path


class CA(Server):
    """The upstream: prepared answers."""

    name = "ca"

    def __init__(self, box, pairs):
        super().__init__(box, LOAD_CORE)
        self.pairs = pairs

    def argv(self):
        return [tool("ca"), "-p", str(self.port), "-a", self.pairs]


class Floor(Server):
    name = "floor"

    def __init__(self, box, response, closes=False, core=SERVER_CORE):
        super().__init__(box, core)
        self.response, self.closes = response, closes

    def argv(self):
        return [tool("floor"), "-p", str(self.port), "-f", self.response] + (["-c"] if self.closes else [])


class Ocspcached(Server):
    """Its defaults but for addresses, paths and workers; options override."""

    name = "ocspcached"

    def __init__(self, box, ca_pem, ca_port, core=SERVER_CORE, workers=1, binary=None, **options):
        super().__init__(box, core)
        self.binary = binary or os.path.join(B, "ocspcached")
        self.api_port = free_port()
        self.log_name = "ocspcached-%d" % self.port
        self.state = os.path.join(box, "state-%d" % self.port)
        self.options = {"listen": '{ "127.0.0.1:%d" }' % self.port, "api-listen": '"127.0.0.1:%d"' % self.api_port,
                        "workers": str(workers), "store": '"lmdb:%s"' % self.state,
                        "state-directory": '"%s"' % self.state}
        self.options.update({k.replace("_", "-"): v for k, v in options.items()})
        self.issuer = {"certificate": '"%s"' % ca_pem, "ocsp": '{ "http://127.0.0.1:%d/" }' % ca_port}

    def argv(self):
        return [self.binary, "-c", self.write()]

    def write(self):
        text = "".join("%s = %s\n" % o for o in self.options.items())
        text += 'issuer "bench" {\n%s}\n' % "".join("\t%s = %s\n" % o for o in self.issuer.items())
        return self.conf("ocspcached-%d.conf" % self.port, text)

    def filled(self, *fill):
        """Start, run each of fill (functions that fill its cache) without a limit on fetches, which is for its
        upstream's sake, and give it its defaults."""
        limits = {"fetch-rate": "1000000"}
        self.issuer.update(limits)
        self.start()
        for f in fill:
            f(self)
        for name in limits:
            del self.issuer[name]
        self.write()
        self.process.send_signal(signal.SIGHUP)
        wait(lambda: "event=reloaded" in open(self.log_path).read(), 10, "reload")
        return self

    def threads(self):
        """Thread ids by name."""
        pid, found = self.process.pid, {}
        for tid in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/comm" % (pid, tid)) as f:
                found[f.read().strip()] = int(tid)
        return found

class Publisher(Server):
    """The least that a push can be."""

    name = "publisher"

    def __init__(self, box, message):
        super().__init__(box)
        self.message = message

    def argv(self):
        return [tool("publisher"), "-p", str(self.port), "-f", self.message]


class Nchan(Server):
    """nginx with nchan, one worker."""

    name = "nchan"
    MODULE = "/usr/lib/nginx/modules/ngx_nchan_module.so"
    TEXT = """
load_module {module};
daemon off; worker_processes 1; pid {box}/nchan.pid; error_log {box}/nchan-error.log error;
worker_rlimit_nofile {files};
events {{ worker_connections {files}; multi_accept on; }}
http {{
  access_log off; nchan_shared_memory_size 64M;
  client_body_temp_path {box}/c-body; proxy_temp_path {box}/c-proxy; fastcgi_temp_path {box}/c-f;
  uwsgi_temp_path {box}/c-u; scgi_temp_path {box}/c-s;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /v1/events {{ nchan_subscriber eventsource; nchan_channel_id x; nchan_subscriber_first_message newest; }}
    location = /publish {{ nchan_publisher; nchan_channel_id x; nchan_message_buffer_length 1; }}
  }}
}}
"""

    def argv(self):
        text = self.TEXT.format(module=self.MODULE, box=self.box, port=self.port,
                                files=min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        if os.getuid() == 0:
            text = text.replace("daemon off;", "daemon off; user root;")
        return [program("nginx"), "-e", os.path.join(self.box, "nchan-error.log"), "-c", self.conf("nchan.conf", text)]

    def pids(self):
        return Nginx.pids(self)


class Nginx(Server):
    """sendfile costs it more than a read for answers of this size; slashes of base64 must not be merged."""

    name = "nginx"
    TEXT = """
daemon off; worker_processes 1; pid {box}/nginx.pid; error_log {box}/nginx-error.log error;
worker_rlimit_nofile {files};
events {{ worker_connections 2048; multi_accept on; }}
http {{
  access_log off; sendfile off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 1h;
  merge_slashes off; server_tokens off; reset_timedout_connection on; types {{ }} client_body_buffer_size 16k;
  client_body_in_single_buffer on; client_body_temp_path {box}/n-body; proxy_temp_path {box}/n-proxy;
  fastcgi_temp_path {box}/n-f; uwsgi_temp_path {box}/n-u; scgi_temp_path {box}/n-s;
  open_file_cache {cached}; open_file_cache_valid 1h;
  proxy_cache_path {box}/n-cache levels=1:2 keys_zone=ocsp:32m max_size=1g inactive=1d use_temp_path=off;
  upstream ca {{ server 127.0.0.1:{ca}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port} reuseport backlog=4096;
    location / {{
      proxy_pass http://ca; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_cache ocsp; proxy_cache_methods GET HEAD POST; proxy_cache_key "$request_uri$request_body";
      proxy_cache_valid 200 1h;
    }}
  }}
}}
"""

    def __init__(self, box, ca_port):
        super().__init__(box)
        self.ca_port = ca_port

    def argv(self):
        # Files that it keeps open save it a tenth of its time; connections need descriptors too.
        files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        cached = "max=%d inactive=1h" % (files - 2500) if files > 5000 else "off"
        text = self.TEXT.format(box=self.box, port=self.port, ca=self.ca_port, files=files, cached=cached)
        if os.getuid() == 0:
            text = "user root;" + text
        return [program("nginx"), "-e", os.path.join(self.box, "nginx-error.log"), "-c", self.conf("nginx.conf", text)]

    def pids(self):
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            return [pid] + [int(p) for p in f.read().split()]


class Haproxy(Server):
    """It caches no POST."""

    name = "haproxy"
    TEXT = """
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout client 1h
  timeout server 10s
  timeout connect 5s
  timeout http-keep-alive 1h
  option http-keep-alive
  no log
cache ocsp
  total-max-size 256
  max-object-size 16384
  max-age 3600
frontend front
  bind 127.0.0.1:{port} backlog 4096
  http-request cache-use ocsp
  http-response cache-store ocsp
  default_backend ca
backend ca
  http-reuse always
  server ca 127.0.0.1:{ca}
"""

    def __init__(self, box, ca_port):
        super().__init__(box)
        self.ca_port = ca_port

    def argv(self):
        text = self.TEXT.format(port=self.port, ca=self.ca_port)
        return [program("haproxy"), "-db", "-f", self.conf("haproxy.cfg", text)]


class Redis(Server):
    """On a unix socket, on the load's core: its CPU is not ours."""

    name = "redis"

    def __init__(self, box):
        super().__init__(box, LOAD_CORE)
        self.path = os.path.join(box, "redis.sock")

    def argv(self):
        return [program("redis-server"), "--port", "0", "--unixsocket", self.path, "--save", "", "--appendonly", "no",
                "--dir", self.box, "--loglevel", "warning"]

    def ready(self):
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(self.path) == 0
