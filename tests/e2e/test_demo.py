"""`make run` as a newcomer meets it."""
import os
import re
import signal
import subprocess

import pytest

import daemon
import lab

RUN = os.path.join(daemon.TOP, "conf", "demo", "run")


class Demo:
    def __init__(self, box, **more):
        self.port, self.api_port = lab.free_port(), lab.free_port()
        self.env = dict(os.environ, **dict({"B": os.environ.get("B") or "build", "PORT": str(self.port),
                                           "API_PORT": str(self.api_port), "CA_PORT": str(lab.free_port()),
                                           "CRL_PORT": str(lab.free_port()),
                                           "DEMO": os.path.join(box, "demo")}, **more))
        self.out_path = os.path.join(box, "out")
        self.process = subprocess.Popen([RUN], cwd=daemon.TOP, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=open(self.out_path, "wb"), stderr=subprocess.STDOUT,
                                        start_new_session=True)

    @property
    def out(self):
        with open(self.out_path, errors="replace") as f:
            return f.read()

    def wait(self):
        lab.wait(lambda: "Ctrl-C stops everything" in self.out or self.process.poll() is not None, 20, "the demo")
        return self

    def left(self):
        """Processes of the demo's session."""
        r = subprocess.run(["ps", "-o", "pid=,args=", "-s", str(self.process.pid)], capture_output=True, text=True)
        return [line for line in r.stdout.splitlines() if line.strip()]

    def stop(self, sig=signal.SIGINT, group=True):
        if self.process.poll() is None:
            (os.killpg if group else os.kill)(self.process.pid, sig)
        code = self.process.wait(15 * lab.PATIENCE)
        lab.wait(lambda: not self.left(), 5, "the end of " + repr(self.left()))
        return code


@pytest.mark.parametrize("store,sig,group", [("lmdb", signal.SIGINT, True), ("redis", signal.SIGTERM, False)])
def test_the_demo(box, store, sig, group):
    demo = Demo(box, STORE=store).wait()
    try:
        out = demo.out
        assert demo.process.poll() is None, out
        for status in ("good", "revoked", "unknown"):
            assert re.search(r"^  %s +\(signature verified, valid until " % status, out, re.M), out
        # Every command that it prints works as it stands, from the top of the tree.
        commands = re.findall(r"^  ((?:openssl|build|curl|%s)\S* .*?)(?:  +#.*)?$" % re.escape(demo.env["B"]), out, re.M)
        watch = next(c for c in commands if c.endswith(" watch"))
        commands = [c for c in commands if c != watch and " --url " in c or not c.startswith(demo.env["B"])]
        assert len(commands) == 9, commands
        for c in commands:
            r = subprocess.run(c, shell=True, cwd=daemon.TOP, capture_output=True, text=True, timeout=20 * lab.PATIENCE)
            assert r.returncode == (1 if " status " in c else 0), (c, r)
            assert "WARNING" not in r.stderr, (c, r)
        assert "good" in subprocess.run(commands[0], shell=True, cwd=daemon.TOP, capture_output=True, text=True).stdout
        # Watchlists, with a key that was made where the store is shared.
        r = subprocess.run([daemon.CLIENT, "--url", "http://127.0.0.1:%d" % demo.api_port, "watchlist", "put", "fleet",
                            os.path.join(demo.env["DEMO"], "good.pem")], capture_output=True, text=True)
        assert r.returncode == 0, r
        # One subscribes, another revokes: the change is there, and the next answer is revoked.
        fourth = next(c for c in commands if "fourth.pem" in c)
        said = os.path.join(box, "watched")
        watcher = subprocess.Popen(watch.split(), cwd=daemon.TOP, stdout=open(said, "wb"))
        try:
            lab.wait(lambda: 'ocspcached_subscribers 1' in subprocess.run(
                ["curl", "-s", "http://127.0.0.1:%d/metrics" % demo.api_port], capture_output=True, text=True).stdout,
                5, "the watcher to be there")
            revoke = re.search(r"^  (\S+/revoke fourth) ", out, re.M).group(1)
            r = subprocess.run(revoke.split(), cwd=daemon.TOP, capture_output=True, text=True, timeout=20 * lab.PATIENCE)
            assert r.returncode == 0, r
            lab.wait(lambda: re.search(r"^demo  \w+  revoked  good  \S+  keyCompromise$", open(said).read(), re.M), 10,
                     "the change")
            answer = subprocess.run(fourth, shell=True, cwd=daemon.TOP, capture_output=True, text=True)
            assert "fourth.pem: revoked" in answer.stdout, answer
            # The webhook's receiver has it too, signed.
            got = os.path.join(demo.env["DEMO"], "hooks.txt")
            lab.wait(lambda: '"status":"revoked"' in open(got).read(), 15, "the webhook's message")
            assert "\nsignature verified\n" in open(got).read() and "NOT OURS" not in open(got).read()
        finally:
            watcher.terminate()
            watcher.wait()
        # The CA goes and comes.
        down = os.path.join(demo.env["DEMO"], "ca-down")
        open(down, "w").close()
        lab.wait(lambda: not lab.connects(int(demo.env["CA_PORT"])), 5, "the responder to stop")
        assert "good" in subprocess.run(commands[0], shell=True, cwd=daemon.TOP, capture_output=True, text=True).stdout
        # The alarm goes the way of the change.
        stopped = re.search(r"^  (touch \S+/ca-down && .*?)   # alarm", out, re.M).group(1)

        def alarmed():
            subprocess.run(stopped, shell=True, cwd=daemon.TOP, capture_output=True, timeout=20 * lab.PATIENCE)
            return '"alarm":"responder_down"' in open(got).read()
        lab.wait(alarmed, 30, "the alarm")
        assert "NOT OURS" not in open(got).read()
        os.unlink(down)
        lab.wait(lambda: lab.connects(int(demo.env["CA_PORT"])), 5, "the responder to come back")
        # That look, a client that leaves, has made it spin: the supervisor notices.
        def answers():
            r = subprocess.run(commands[0].replace("-cert", "-sha384 -cert"), shell=True,
                               cwd=daemon.TOP, capture_output=True, text=True, timeout=20 * lab.PATIENCE)
            return "good.pem: good" in r.stdout
        try:
            lab.wait(answers, 30, "the responder to answer again")
        except AssertionError:
            for name in ("ocspcached.log", "responder.log"):
                print(name, open(os.path.join(demo.env["DEMO"], name)).read())
            print("\n".join(demo.left()))
            raise
    finally:
        code = demo.stop(sig, group)
    assert code == 0, demo.out


def readme_block(demo, section="Which of mine are hit"):
    """The first commands of a section of README, as this demo has to hear them."""
    with open(os.path.join(daemon.TOP, "README.md"), encoding="utf-8") as f:
        block = re.search(r"## %s\n.*?\n```\n(.*?)```" % section, f.read(), re.S).group(1)
    return re.sub(r"\bbuild/", demo.env["B"] + "/", block.replace("build/demo", demo.env["DEMO"]))


def test_which_of_mine_are_hit_pasted_from_the_readme(box):
    """Loaded, searched, revoked; and who subscribed to the watchlist is told, with names and labels.  Then replaced."""
    demo = Demo(box).wait()
    pasted = os.path.join(box, "pasted")
    env = dict(demo.env, OCSPCTL_URL="http://127.0.0.1:%d" % demo.api_port)
    try:
        with open(pasted, "wb") as out:  # the subscriber stays behind, until the demo's list is known to be told
            shell = subprocess.Popen(["bash", "-c", readme_block(demo) + "wait"], cwd=daemon.TOP, env=env, stdout=out,
                                     stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True)
        try:
            told = lab.wait(lambda: re.search(
                r"^demo  2005  revoked  (?:good|-)  \S+Z  keyCompromise  pay\.shop\.example  owner=payments$",
                open(pasted).read(), re.M), 20, "the subscriber to be told")
            lab.wait(lambda: "something is revoked" in open(pasted).read(), 20, "the end of the block")
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            shell.wait()
        out = open(pasted).read()
        assert told and "fleet: 12 certificates" in out, out
        found = re.findall(r"^good  (\w+)  demo  \S+Z  -  -  yes  -  -  fleet  (\S+)", out, re.M)
        assert found == [("2001", "www.shop.example"), ("2002", "*.shop.example"), ("2003", "api.shop.example"),
                         ("2004", "img.shop.example"), ("2005", "pay.shop.example"),
                         ("2006", "ledger.pay.shop.example")], out
        assert re.search(r"^fleet  api  12  1  ", out, re.M), out
        assert re.search(r"^revoked  2005  demo  .*/fleet/pay\.pem$", out, re.M), out
        assert len(re.findall(r"^good  .*/fleet/\w+\.pem$", out, re.M)) == 11, out
        r = subprocess.run(["bash", "-c", readme_block(demo, "Is it replaced, is it still in use")], cwd=daemon.TOP,
                           env=env, capture_output=True, text=True, timeout=60 * lab.PATIENCE)
        assert r.returncode == 0 and r.stderr == "", r
        said = r.stdout.splitlines()
        assert re.match(r"fleet  api  12  1  1  0  0  ", said[1]), r
        newer = [re.fullmatch(r"fleet/%s has a newer certificate: (\w+)" % name, line).group(1)
                 for name, line in zip(("pay", "mail"), said[2:4])]
        assert said[4:6] == ["fleet: 14 certificates", "2 hit, 2 replaced, 0 in use, of 14 certificates"], r
        assert re.search(r"^good  2007  demo .*  yes  %s  -  fleet  mail\.demo\.example " % newer[1], said[6]), r
        # what the demo prints itself
        printed = re.search(r"^  (\S+/ocspctl watchlist put fleet \S+)", demo.out, re.M).group(1)
        r = subprocess.run(printed.split(), cwd=daemon.TOP, env=env, capture_output=True, text=True)
        assert (r.returncode, r.stdout) == (0, "fleet: 12 certificates\n"), r
        assert "OCSPCTL_URL=" + env["OCSPCTL_URL"] in demo.out
    finally:
        code = demo.stop()
    assert code == 0, demo.out


def test_a_second_demo_leaves_the_first_alone(box):
    first = Demo(box).wait()
    second = Demo(box).wait()  # the same DEMO, on other ports
    try:
        assert "Ctrl-C stops everything" in second.out, second.out
        folder = "%s-%d" % (first.env["DEMO"], second.port)
        assert folder + "/good.pem" in second.out
        command = re.search(r"^  (openssl ocsp .*good.pem .*)$", first.out, re.M).group(1)
        r = subprocess.run(command, shell=True, cwd=daemon.TOP, capture_output=True, text=True, timeout=20)
        assert "good.pem: good" in r.stdout and "Response verify OK" in r.stderr, r
    finally:
        codes = first.stop(), second.stop()
    assert codes == (0, 0)


@pytest.mark.parametrize("which", ["PORT", "API_PORT"])
def test_a_taken_port_is_named_with_its_remedy(box, which):
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        demo = Demo(box, **{which: str(s.getsockname()[1])})
        assert demo.process.wait(15) == 1
        assert re.search(r"port %d is taken.*make run %s=\d+" % (s.getsockname()[1], which), demo.out), demo.out
        demo.stop()


def test_a_configuration_of_ones_own(box, world, daemons):
    d = daemons([world.issuer()])
    demo = Demo(box, CONF=d.conf)
    lab.wait(lambda: lab.connects(d.port), 10, "the daemon")
    assert d.ask(world.ca, world.good.serial).outcome == "good"
    assert demo.stop(signal.SIGTERM, False) == 0
