"""What every end-to-end test starts from."""
import os
import shutil
import signal
import sys
import tempfile

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import daemon  # noqa: E402
import lab  # noqa: E402
import lists  # noqa: E402
import stream  # noqa: E402

CORPORA = os.environ.get("OCSPCACHED_CORPORA") or os.path.join(daemon.TOP, "..", "shared", "corpora")


def pytest_configure(config):
    config.addinivalue_line("markers", "long: only with `make test-all`")


@pytest.fixture(autouse=True)
def deadline():
    """No test hangs: after a minute (more when sanitized) it fails where it stands."""
    def late(*_):
        raise TimeoutError("the test took too long")
    old = signal.signal(signal.SIGALRM, late)
    signal.alarm(90 * lab.PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, old)


@pytest.fixture
def box():
    """A short path: a unix socket's may have 107 bytes."""
    path = tempfile.mkdtemp(prefix="oc-")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def responders():
    """Make responders; they are stopped at the end."""
    made = []

    def make(*cas, **more):
        made.append(lab.Responder(*cas, **more))
        return made[-1]
    yield make
    for r in made:
        r.mode = "ok"
        r.stop()


@pytest.fixture
def daemons(box):
    """Make daemons; each is stopped at the end and has to end well."""
    made = []

    def make(issuers, **more):
        more.setdefault("name", "d%d" % len(made))
        made.append(daemon.Daemon(box, issuers, **more))
        return made[-1]
    yield make
    failed = []
    for d in made:
        print("%s: %s" % (d.name, d.log[-8000:] if os.path.exists(d.log_path) else ""))  # shown when the test failed
        try:
            d.stop()
        except AssertionError as e:
            failed.append(str(e))
    assert not failed, "\n".join(failed)


@pytest.fixture
def publisher():
    """The web server of a CA's lists."""
    p = lists.Publisher()
    yield p
    p.stop()


@pytest.fixture
def streams():
    """Subscribe; ended after the test."""
    made = []

    def subscribe(d, query="", **more):
        made.append(stream.Stream(d.api_port, query, **more))
        return made[-1]
    yield subscribe
    for s in made:
        s.close()


@pytest.fixture
def started():
    """Note what has a close(): it is called after the test, the last one's first."""
    all_of = []

    def add(x):
        all_of.append(x)
        return x
    yield add
    for x in reversed(all_of):
        x.close()


@pytest.fixture
def feed(box, publisher):
    """A CA whose first list is published, with one entry."""
    f = lists.Feed(box, publisher)
    f.publish([lists.entry(1)])
    return f


@pytest.fixture
def redis(box):
    r = lab.Redis(box)
    yield r
    r.stop()


@pytest.fixture
def mac_key(box):
    """A file for store-key-file."""
    path = os.path.join(box, "mac")
    with open(path, "w") as f:
        f.write("0123456789abcdef" * 4 + "\n")
    os.chmod(path, 0o600)
    return path


class World:
    """A CA, its responder and the options of its issuer."""

    def __init__(self, box, responders, name="demo", kind="ec", delegated=True, **more):
        self.ca = lab.CA(name + " CA", kind)
        self.signer = self.ca.delegate() if delegated else None
        self.good, self.revoked = self.ca.issue(), self.ca.issue()
        self.ca.statuses[self.revoked.serial] = {"status": "revoked", "reason": "key_compromise"}
        self.unknown = self.ca.issue()
        del self.ca.statuses[self.unknown.serial]
        self.responder = responders(self.ca, signer=self.signer, **more)
        self.name = name
        self.pem = self.ca.write(os.path.join(box, name + "-ca.pem"))

    def issuer(self, **more):
        return dict({"name": self.name, "certificate": self.pem, "ocsp": [self.responder.url]}, **more)


@pytest.fixture
def worlds(box, responders):
    def make(**more):
        return World(box, responders, **more)
    return make


@pytest.fixture
def world(worlds):
    return worlds()


@pytest.fixture
def up(world, daemons):
    """A daemon in front of world."""
    d = daemons([world.issuer()]).start()
    d.world = world
    return d


@pytest.fixture
def corpora():
    """Skips where nobody has said where they are and they are not there: part of them is a failure."""
    def path(*parts):
        p = os.path.join(CORPORA, *parts)
        if not os.environ.get("OCSPCACHED_CORPORA") and not os.path.exists(CORPORA):
            pytest.skip("the public corpora are not at %s (set OCSPCACHED_CORPORA)" % CORPORA)
        assert os.path.exists(p), p
        return p
    return path
