"""`make install` and `make deb`: what they put where, and what the package's scripts ask systemd for.

The package is built by debhelper, looked at by lintian, and installed, upgraded, removed, installed again and purged in
a Debian of its own (debootstrap, so as root), where a systemctl in the real one's place notes what it is asked."""
import os
import re
import shutil
import signal
import subprocess

import pytest

import daemon
import lab

# of Debian 12's dpkg: what it writes down of itself
DPKGS_OWN = re.compile(r"/var/(lib/dpkg|cache/(ldconfig|debconf)|log)/")


def run(*argv, **more):
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "SAN", "B", "CI")}
    more.setdefault("env", env)
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                       cwd=daemon.TOP, **more)
    assert r.returncode == 0, "%s:\n%s" % (" ".join(argv), r.stdout[-6000:])
    return r.stdout


def files_below(top):
    return {os.path.join(folder, n)[len(top):] for folder, folders, names in os.walk(top) for n in names + [
        f for f in folders if os.path.islink(os.path.join(folder, f))]}


def test_make_install_into_a_folder_with_spaces(box):
    """-o: what is built is not made anew."""
    there = os.path.join(box, "a b", "it's")
    install = ("make", "-o", "all", "install", "B=" + os.path.relpath(daemon.B, daemon.TOP), "DESTDIR=" + there,
               "PREFIX=/opt/o")
    run(*install)
    assert files_below(there) == {
        "/opt/o/sbin/ocspcached", "/opt/o/bin/ocspctl", "/opt/o/share/man/man1/ocspctl.1",
        "/opt/o/share/man/man5/ocspcached.conf.5", "/opt/o/share/man/man8/ocspcached.8",
        "/opt/o/share/bash-completion/completions/ocspctl", "/opt/o/lib/systemd/system/ocspcached.service",
        "/etc/ocspcached/ocspcached.conf"}
    with open(there + "/opt/o/lib/systemd/system/ocspcached.service") as f:
        assert "\nExecStart=/opt/o/sbin/ocspcached -c /etc/ocspcached/ocspcached.conf\n" in f.read()
    conf = there + "/etc/ocspcached/ocspcached.conf"
    with open(conf, "w") as f:
        f.write("# mine\n")
    run(*install)
    assert open(conf).read() == "# mine\n"


def test_the_api_is_on_a_unix_socket_besides(box, feed, daemons):
    """Of the configuration that is installed: in the folder of the unit, for its user and group alone."""
    run("make", "-o", "all", "install", "B=" + os.path.relpath(daemon.B, daemon.TOP), "DESTDIR=" + box, "PREFIX=/usr")
    conf = lab.read(box + "/etc/ocspcached/ocspcached.conf")
    assert "\nRuntimeDirectory=ocspcached\n" in lab.read(box + "/usr/lib/systemd/system/ocspcached.service")
    addresses = re.findall('"([^"]*)"', re.search("(?m)^api-listen = (.*)$", conf).group(1))
    assert addresses == ["127.0.0.1:8081", "unix:/run/ocspcached/api.sock"]
    path = os.path.join(box, "api.sock")
    d = daemons([feed.issuer()])
    d.options["api-listen"] = ["127.0.0.1:%d" % d.api_port, "unix:" + path]
    d.write()
    old = os.umask(0)  # nor is it a matter of the umask
    try:
        d.start()
    finally:
        os.umask(old)
    assert os.stat(path).st_mode & 0o7777 == 0o660
    d.wait_number(feed.url, feed.count)
    url = "unix:" + path
    for options, env in ((["--url", url], {}), ([], {"OCSPCTL_URL": url})):
        r = subprocess.run([daemon.CLIENT, *options, "status", "demo", "1"], capture_output=True, text=True,
                           env=dict(os.environ, **env), timeout=30 * lab.PATIENCE)
        assert r.returncode == 1 and "revoked" in r.stdout, r


def test_make_deb_installs_what_the_package_is_built_with():
    """And build-essential, which every package wants without naming it (Debian Policy 4.2)."""
    with open(os.path.join(daemon.TOP, "conf", "deb", "control")) as f:
        wanted = re.search(r"Build-Depends: (.*(?:\n .*)*)", f.read()).group(1)
    wanted = {re.match(r"\s*([\w.+-]+)", w).group(1).replace("debhelper-compat", "debhelper") for w in wanted.split(",")}
    # Where there is no dpkg it says what corresponds.
    said = subprocess.run(["/bin/sh", ".ci/packages", "build", "deb"], cwd=daemon.TOP, env={"PATH": ""},
                          capture_output=True, text=True).stderr
    assert wanted | {"build-essential", "dpkg-dev"} <= set(re.split(r"[\s|]+", said)), said


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """The .deb and its .changes, of a build folder of this test's."""
    if os.environ.get("SAN"):
        pytest.skip("packages are not sanitized")
    for tool in ("dh", "dpkg-buildpackage"):
        if not lab.tool(tool):
            pytest.skip("%s is not installed (.ci/packages deb)" % tool)
    there = os.path.relpath(tmp_path_factory.mktemp("deb"), daemon.TOP)
    run("make", "deb", "B=" + there)
    return os.path.join(daemon.TOP, there, next(n for n in os.listdir(os.path.join(daemon.TOP, there)) if re.fullmatch(
        r"ocspcached_.*\.deb", n)))


@pytest.mark.long
def test_lintian_has_nothing_to_say(package):
    if not lab.tool("lintian"):
        pytest.skip("lintian is not installed (.ci/packages clients)")
    said = run("lintian", "--allow-root", "--fail-on", "error,warning", package.replace(".deb", ".changes"))
    assert not re.search("^[EW]:", said, re.M), said


WANTED = "/etc/systemd/system/multi-user.target.wants/ocspcached.service"
SYSTEMCTL = """#!/bin/sh
# What is asked of systemd, a line each; of the unit it knows whether it was enabled and started.
echo "$*" >>/asked
case " $* " in
*" preset "*) mkdir -p %(folder)s && ln -s /lib/systemd/system/ocspcached.service %(link)s ;;
*" is-enabled "*) [ -e %(link)s ] && echo enabled ;;
*" is-active "*) [ -e /started ] ;;
*" start "*) touch /started ;;
*" stop "*) rm -f /started ;;
esac
""" % {"folder": os.path.dirname(WANTED), "link": WANTED}


class Chroot:
    """A Debian with what the package depends on and nothing else."""

    def __init__(self, top, package):
        self.top, self.package = top, package
        depends = re.findall(r"[\w.+-]+(?= \()", run("dpkg-deb", "-f", package, "Depends"))
        targets = run("apt-get", "indextargets", "--format", "$(SITE) $(CODENAME)", "Created-By: Packages").split("\n")
        site, release = next(t.split() for t in targets if re.fullmatch(r"\S+ [a-z]+", t))
        r = subprocess.run(["debootstrap", "--variant=minbase", "--include=" + ",".join(depends), release, top, site],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if r.returncode != 0:
            pytest.skip("debootstrap cannot make a Debian %s of %s here: %s" % (release, site, r.stdout[-300:]))
        self.write("/usr/bin/systemctl", SYSTEMCTL, 0o755)
        os.makedirs(top + "/run/systemd/system")  # by this scripts see that systemd runs

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.top + path), exist_ok=True)
        with open(self.top + path, "w") as f:
            f.write(text)
        os.chmod(self.top + path, mode)

    def there(self, path):
        return os.path.lexists(self.top + path)

    def run(self, *argv):
        """What it says, and what systemd was asked meanwhile; questions aside."""
        said = run("chroot", self.top, *argv, env={
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})
        asked = []
        if self.there("/asked"):
            with open(self.top + "/asked") as f:
                asked = [re.sub(r"--\S+ ", "", line) for line in f.read().splitlines()]
            os.unlink(self.top + "/asked")
        return said, [a for a in asked if not a.startswith("is-")]

    def install(self, package):
        shutil.copy(package, self.top + "/new.deb")
        said = self.run("dpkg", "-i", "--force-confold", "/new.deb")
        os.unlink(self.top + "/new.deb")
        return said


def newer(package, box):
    """The same in a later version, with another example."""
    there = os.path.join(box, "newer")
    run("dpkg-deb", "-R", package, there)
    control = os.path.join(there, "DEBIAN", "control")
    with open(control) as f:
        text = re.sub("(?m)^Version: .*", "Version: 99", f.read())
    with open(control, "w") as f:
        f.write(text)
    with open(there + "/etc/ocspcached/ocspcached.conf", "a") as f:
        f.write("# new\n")
    out = os.path.join(box, "newer.deb")
    run("dpkg-deb", "--root-owner-group", "-b", there, out)
    return out


UNIT = "ocspcached.service"
STATE = "/var/lib/private/ocspcached/store/data.mdb"


@pytest.mark.long
def test_the_life_of_the_package(box, package, world):
    if os.geteuid() != 0:
        pytest.skip("a chroot takes root: run `make test-all` as root")
    if not lab.tool("debootstrap"):
        pytest.skip("debootstrap is not installed (.ci/packages clients)")
    signal.alarm(600)  # a Debian is fetched
    c = Chroot(os.path.join(box, "debian"), package)
    before = files_below(c.top)

    # The example has no CA: it is enabled, not started, and the words say what is missing.
    said, asked = c.install(package)
    assert asked == ["preset " + UNIT, "daemon-reload"], said
    assert re.search(r"ocspcached\.conf:\d+: certificate: cannot read /etc/ocspcached/ca\.pem: .*\n"
                     r"(.*\n)*ocspcached is not started", said), said
    assert c.there(WANTED) and c.there("/lib/systemd/system/" + UNIT)
    assert "ocspcached" in c.run("ocspcached", "-V")[0]

    # What systemd and the daemon make, and the administrator.
    c.write(STATE, "")
    os.symlink("private/ocspcached", c.top + "/var/lib/ocspcached")
    shutil.copy(world.pem, c.top + "/etc/ocspcached/issuers.d/ca.pem")
    conf = 'issuer "demo" {\n certificate = "issuers.d/ca.pem"\n ocsp = "http://ocsp.example.com/"\n}\n'
    c.write("/etc/ocspcached/ocspcached.conf", conf)
    c.write("/started", "")

    # It runs on until it is restarted, with the administrator's configuration.
    said, asked = c.install(newer(package, box))
    assert asked == ["daemon-reload", "try-restart " + UNIT, "start " + UNIT], said
    assert open(c.top + "/etc/ocspcached/ocspcached.conf").read() == conf

    said, asked = c.run("dpkg", "-r", "ocspcached")
    assert asked == ["stop " + UNIT, "daemon-reload"], said
    assert c.there(STATE) and c.there("/etc/ocspcached/ocspcached.conf") and not c.there("/usr/sbin/ocspcached")

    # Back again: started, as there is a configuration.
    said, asked = c.install(package)
    assert asked == ["daemon-reload", "try-restart " + UNIT, "start " + UNIT], said

    said, asked = c.run("dpkg", "-P", "ocspcached")
    assert asked == ["stop " + UNIT, "daemon-reload", "daemon-reload"], said
    left = {f for f in files_below(c.top) - before if not DPKGS_OWN.match(f)}
    assert left == {"/etc/ocspcached/issuers.d/ca.pem"}, left
    assert not c.there("/var/lib/private/ocspcached")

    # Where the administrator had a configuration before there was the package, it is started at once.
    c.write("/etc/ocspcached/ocspcached.conf", conf)
    said, asked = c.install(package)
    assert asked == ["preset " + UNIT, "daemon-reload", "start " + UNIT], said
