"""nonce = "forward": the client gets its own nonce back, from the CA, through the one door."""
import os
import subprocess

import pytest

import lab


@pytest.fixture
def real(box, world, daemons):
    responder = lab.OpensslResponder(world.ca, world.signer, box, {world.good: "V", world.revoked: "R"})
    made = []

    def start(**more):
        made.append(daemons([world.issuer(ocsp=[responder.url], **more)]).start())
        return made[-1]
    yield start, responder
    responder.stop()


def ask(box, world, leaf, port, *options):
    """openssl's client sends a nonce unless told otherwise; (standard output, standard error)."""
    r = subprocess.run(["openssl", "ocsp", "-timeout", "20", "-issuer", world.pem, "-CAfile", world.pem,
                        "-cert", leaf.write(os.path.join(box, "asked.pem")),
                        "-url", "http://127.0.0.1:%d/" % port, *options],
                       capture_output=True, text=True, timeout=40 * lab.PATIENCE)
    return r.stdout, r.stderr


def test_ignored_by_default(box, world, real):
    """R85"""
    d = real[0]()
    out, err = ask(box, world, world.good, d.port)
    assert "good" in out and "WARNING: no nonce in response" in err


def test_forwarded_nonces_come_back(box, world, real):
    """R64, R86, R87"""
    start, responder = real
    d = start(nonce="forward")
    for leaf, expected in ((world.good, "good"), (world.revoked, "revoked"), (world.good, "good")):
        out, err = ask(box, world, leaf, d.port)
        assert expected in out, err
        assert "Response verify OK" in err and "no nonce" not in err
    # What has no nonce is cached all the same, and serves those with one while the CA is away.
    out, err = ask(box, world, world.good, d.port, "-no_nonce")
    assert "good" in out
    responder.stop()
    out, err = ask(box, world, world.good, d.port)
    assert "good" in out and "WARNING: no nonce in response" in err
