"""responder-certificate (R44 c): a responder that leaves its certificate out of its answers, or that is trusted by the
operator's word (RFC 6960 section 4.2.2.2)."""
import os

import pytest

import lab


def named(box, party, name="responder.pem"):
    return party.write(os.path.join(box, name))


def test_a_real_responder_that_leaves_its_certificate_out(box, daemons):
    """openssl ocsp -resp_no_certs, an option of EJBCA and others (R44)."""
    ca = lab.CA("demo CA", "rsa")
    signer, good, bad = ca.delegate(), ca.issue(), ca.issue()
    r = lab.OpensslResponder(ca, signer, box, {good: "V", bad: "R"}, more=["-resp_no_certs"])
    try:
        issuer = {"name": "demo", "certificate": ca.write(os.path.join(box, "ca.pem")), "ocsp": [r.url]}
        d = daemons([issuer]).start()
        assert lab.outcome(d.ask(ca, good.serial).body) == "try_later"
        issuer["responder-certificate"] = [named(box, signer)]
        d.write()
        d.reload()
        assert lab.outcome(d.ask(ca, good.serial).body) == "good"
        assert lab.outcome(d.ask(ca, bad.serial).body) == "revoked"
    finally:
        r.stop()


@pytest.fixture
def trusted(world):
    """A responder of another organisation: nothing that the CA has signed speaks for it."""
    party = lab.CA("Their responder")
    world.responder.signer = party
    return party


def test_what_rests_on_a_named_responder_ends_with_it(box, world, trusted, daemons):
    """A reload that takes it out takes out what it signed; a latch stays (R44)."""
    issuer = world.issuer(responder_certificate=named(box, trusted))
    d = daemons([issuer]).start()
    for party, status in ((world.good, "good"), (world.revoked, "revoked")):
        assert lab.outcome(d.ask(world.ca, party.serial).body) == status
    assert world.responder.count == 2
    last = d.api("GET", "/v1/explain/demo/%x" % world.good.serial)[1]["answers"][-1]
    assert [c["detail"] for c in last["checks"] if c["check"] == "delegate"][0].endswith(
        "named by responder-certificate"), last
    d.issuers = [world.issuer(responder_certificate=named(box, lab.CA("Another"), "another.pem"))]
    d.write()
    d.reload()
    assert lab.outcome(d.ask(world.ca, world.good.serial).body) == "try_later"
    assert d.status("demo", world.revoked.serial)["status"] == "revoked"
    d.issuers = [issuer]
    d.write()
    d.reload()
    lab.wait(lambda: lab.outcome(d.ask(world.ca, world.good.serial).body) == "good", name="the responder's answer")


def test_a_reload_leaves_what_the_ca_vouches_for_in_memory(box, world, daemons):
    """Named and included: the answer does not rest on the name."""
    d = daemons([world.issuer(responder_certificate=named(box, world.signer))]).start()
    assert lab.outcome(d.ask(world.ca, world.good.serial).body) == "good"
    d.issuers = [world.issuer()]
    d.write()
    d.reload()
    world.responder.mode = "500"
    assert lab.outcome(d.ask(world.ca, world.good.serial).body) == "good"


def test_a_node_takes_from_the_store_what_rests_on_its_own_configuration(box, world, trusted, daemons, redis):
    """With a good MAC too: one node's operator does not speak for the other's."""
    key = os.path.join(box, "mac.key")
    with open(key, "w") as f:
        f.write("5a" * 32 + "\n")
    os.chmod(key, 0o600)
    issuer = world.issuer(responder_certificate=named(box, trusted))
    shared = {"store": redis.url, "store_key_file": key}
    a, b, stranger = daemons([issuer], **shared), daemons([issuer], **shared), daemons([world.issuer()], **shared)
    for d in (a, b, stranger):
        d.start()
    assert lab.outcome(a.ask(world.ca, world.good.serial).body) == "good"
    lab.wait(redis.answers, name="the answer in the store")
    assert lab.outcome(b.ask(world.ca, world.good.serial).body) == "good" and world.responder.count == 1
    assert lab.outcome(stranger.ask(world.ca, world.good.serial).body) == "try_later"
    assert stranger.metric("refused_total", **{"from": "store"}) == 1
