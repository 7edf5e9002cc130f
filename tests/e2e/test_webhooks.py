"""Webhooks as they are managed: made, shown, changed, tested, moved back, deleted; on both stores.

How they are delivered: test_hooks.py.
"""
import base64
import json
import os
import re

import pytest

import hook_kit
import lab
from daemon import FAST
from hook_kit import Receiver, new_pair, new_secret, shown
from lists import entry
from token_kit import ALL, block

LOOPBACK = dict(FAST, webhook_allow_address=["127.0.0.0/8"], webhook_retry=["1s"])
CHAT = "https://hooks.example/T000/HIDDENPATH"
MEMBERS = {"name", "url", "issuer", "watchlist", "types", "format", "secrets", "disabled", "why", "disabled_at",
           "position", "lag", "last_success", "last_error", "last_error_at", "failing_since", "next_try"}


@pytest.fixture(params=["lmdb", "redis"])
def site(request, box, feed, daemons, mac_key):
    """A daemon on either store."""
    more = {"store": "lmdb:" + os.path.join(box, "store")}
    if request.param == "redis":
        more = {"store": request.getfixturevalue("redis").url, "store_key_file": mac_key}
    d = daemons([feed.issuer()], **dict(LOOPBACK, **more)).start()
    settled(d)
    return d


@pytest.fixture
def receiver():
    r = Receiver(secret=new_secret())
    yield r
    r.close()


def settled(d):
    lab.wait(lambda: d.api("GET", "/v1/webhooks")[0] == 200, 10, "the webhooks")


def put(d, name, **body):
    return d.api("PUT", "/v1/webhooks/" + name, body)


def names(d):
    return [h["name"] for h in d.api("GET", "/v1/webhooks")[1]]


def test_one_is_made_shown_changed_and_deleted(site):
    """Its secret is shown once; what a change does not say stays; a kill loses nothing."""
    d = site
    assert d.api("GET", "/v1/webhooks") == (200, [])
    status, made = put(d, "chat", url=CHAT, disabled=True, types=["alarms", "changes"])
    assert status == 201
    assert made.pop("secret").startswith("whsec_") and set(made) == MEMBERS
    assert made["url"] == "https://hooks.example" and made["types"] == ["changes", "alarms"]
    assert (made["disabled"], made["why"], made["secrets"], made["lag"]) == (True, "by an operator", 1, 0)
    assert shown(d, "chat") == made
    status, changed = put(d, "chat", url=CHAT + "2", secrets=[new_secret(), new_pair()[0]], format="slack")
    assert status == 200 and "secret" not in changed
    assert (changed["secrets"], changed["disabled"], changed["position"]) == (2, True, made["position"])
    assert put(d, "chat", url=CHAT)[1]["secrets"] == 2
    assert put(d, "a", url=CHAT, secret=new_secret())[0] == 201
    assert names(d) == ["a", "chat"]
    d.kill()
    d.start()
    settled(d)
    assert names(d) == ["a", "chat"] and shown(d, "chat")["secrets"] == 2
    assert d.api("DELETE", "/v1/webhooks/chat")[0] == 204
    assert d.api("DELETE", "/v1/webhooks/chat")[0] == 404
    assert d.api("GET", "/v1/webhooks/chat")[0] == 404 and names(d) == ["a"]


def test_it_begins_now_and_goes_back_when_it_is_told_to(site, feed, receiver):
    """What was before is not told, but by replay; the same ids then."""
    d, r = site, receiver
    begin = hook_kit.put(d, "early", r.url, disabled=True)["position"]
    feed.bring(d, [entry(1), entry(2)])
    lab.wait(lambda: shown(d, "early")["lag"] == 1, 10, "the change in the log")
    hook_kit.put(d, "chat", r.url)
    feed.bring(d, [entry(1), entry(2), entry(3)])
    assert [c["serial"] for c in r.wait(1)[0].json["data"]["changes"]] == ["3"]
    last = r.taken[0].id
    lab.wait(lambda: shown(d, "chat")["position"] == last, 10, "its position")
    assert shown(d, "chat")["last_success"] and shown(d, "chat")["lag"] == 0
    assert d.api("POST", "/v1/webhooks/chat/replay?since=" + begin) == (202, "")
    lab.wait(lambda: len(r.tried) == 3, 15, "all of it, once more")
    assert [[c["serial"] for c in t.json["data"]["changes"]] for t in r.tried] == [["3"], ["2"], ["3"]]
    assert r.tried[2].id == last and not r.wrong


def test_a_test_says_what_came_of_it(site, receiver):
    """Of one that is disabled, too; it moves nothing."""
    d, r = site, receiver
    hook_kit.put(d, "chat", r.url, disabled=True)
    before = shown(d, "chat")["position"]
    status, body = d.api("POST", "/v1/webhooks/chat/test")
    assert status == 202 and body["id"].startswith("test-") and r.tried[0].id == body["id"]
    assert r.tried[0].json["type"] == "test" and not r.wrong
    r.answers = [500]
    status, body = d.api("POST", "/v1/webhooks/chat/test")
    assert status == 502 and "500" in body["error"]["message"]
    assert d.api("POST", "/v1/webhooks/none/test")[0] == 404
    assert shown(d, "chat")["position"] == before and len(r.tried) == 2


def test_nothing_of_a_secret_is_told(site, box, request):
    """T21: not by GET, not in the log, not in Redis, nor is a URL's path; hooks.mdb is its user's alone."""
    d = site
    secret, (private, _) = new_secret(b"very-secret-very-secret-very-secr"), new_pair()
    assert put(d, "chat", url=CHAT, secrets=[secret, private], disabled=True)[0] == 201
    assert put(d, "page", url=CHAT, secret=secret, format="pagerduty", routing_key="HIDDENKEY", disabled=True)[0] == 201
    put(d, "bad", url=CHAT + " x", secret=secret)
    put(d, "chat", url="htp://hooks.example/HIDDENPATH", secret=secret[:20])
    put(d, "chat", url=CHAT, secrets=secret)
    told = json.dumps([d.api("GET", "/v1/webhooks"), d.api("GET", "/v1/webhooks/chat")]) + d.log
    kept = b""
    if "redis" in request.node.name:
        client = request.getfixturevalue("redis").client
        for key in client.keys("*{h}:*"):
            if client.type(key) == b"hash":
                kept += b"".join(k + v for k, v in client.hgetall(key).items())
        assert kept
    else:
        assert os.stat(os.path.join(box, "store", "hooks.mdb")).st_mode & 0o777 == 0o600
    for hidden in ("HIDDENPATH", "HIDDENKEY", secret[6:], private[5:], "very-secret"):
        assert hidden not in told
        assert hidden.encode() not in kept
    assert base64.b64decode(private[5:])[:32] not in kept


def test_what_is_wrong_is_told_by_its_field(box, feed, daemons):
    d = daemons([feed.issuer()], store="lmdb:" + os.path.join(box, "store"), **FAST).start()
    for body, field in [({}, "url: missing"), ({"url": "ftp://x/"}, "url: is no http"), ({"url": CHAT, "a": 1}, "\"a\""),
                        ({"url": CHAT, "secret": "x"}, "secret: "), ({"url": CHAT, "types": ["x"]}, "types: "),
                        ({"url": CHAT, "format": "pagerduty"}, "routing_key: missing"),
                        ({"url": CHAT, "issuer": "nobody"}, "issuer: "), ({"url": CHAT, "watchlist": "none"}, "watchlist: ")]:
        status, answer = put(d, "chat", **body)
        assert status == 400 and field in answer["error"]["message"], (body, answer)
    assert put(d, "No", url=CHAT)[0] == 400
    assert d.api("PUT", "/v1/webhooks/x", {"url": CHAT}, headers={"Content-Type": "text/plain"})[0] == 415
    assert d.api("GET", "/v1/webhooks/none")[0] == 404
    assert d.api("POST", "/v1/webhooks/none/replay?since=6b02c04d-000000000001-00001")[0] == 404
    assert d.api("POST", "/v1/webhooks/none/replay?since=yesterday")[0] == 400
    assert d.api("POST", "/v1/webhooks/none/replay")[0] == 400
    assert d.api("POST", "/v1/webhooks/none/else")[0] == 404
    assert d.api("POST", "/v1/webhooks/none")[0] == 405
    assert d.api("PUT", "/v1/webhooks", {"url": CHAT})[0] == 405


def test_an_address_that_is_not_public_is_refused_in_every_spelling(box, feed, daemons):
    """T7: when it is put; with the option that would allow it."""
    d = daemons([feed.issuer()], store="lmdb:" + os.path.join(box, "store"), webhook_allow_address=["10.0.0.0/8:9093"],
                **FAST).start()
    for host in ("127.0.0.1", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
                 "[64:ff9b::7f00:1]", "169.254.169.254", "0.0.0.0", "[fe80::1]", "192.168.1.1:8080", "10.0.0.1"):
        status, answer = put(d, "chat", url="http://%s/" % host)
        assert status == 400 and "url: " in answer["error"]["message"], host
    assert put(d, "chat", url="http://10.0.0.1:9093/", disabled=True)[0] == 201
    assert put(d, "other", url="https://93.184.216.34:8443/", disabled=True)[0] == 201


def test_a_store_that_keeps_none_names_the_option(feed, daemons, redis):
    """memory:, and a shared one without a key: 409; there are none."""
    for more, part in (({"store": "memory:"}, "memory:"), ({"store": redis.url}, "store-key-file")):
        d = daemons([feed.issuer()], **dict(FAST, **more)).start()
        status, body = put(d, "chat", url=CHAT)
        assert status == 409 and part in body["error"]["message"]
        assert d.api("GET", "/v1/webhooks") == (200, []) and d.api("DELETE", "/v1/webhooks/chat")[0] == 404
        d.stop()


def test_nodes_have_the_same_and_one_delivers(feed, daemons, redis, mac_key, receiver):
    """Made at one, changed at the other; Redis away: shown, and not changed; flushed: written again."""
    r = receiver
    a, b = [daemons([feed.issuer()], store=redis.url, store_key_file=mac_key, store_backoff_max="200ms",
                    **LOOPBACK).start() for _ in range(2)]
    for d in (a, b):
        settled(d)
    hook_kit.put(a, "chat", r.url)
    lab.wait(lambda: names(b) == ["chat"], 10, "it at the other")
    feed.publish([entry(1), entry(2)])
    for d in (a, b):
        d.refresh()
    last = r.wait(1)[0].id
    for d in (a, b):
        lab.wait(lambda: shown(d, "chat")["position"] == last, 10, "its position at both")
    assert b.api("POST", "/v1/webhooks/chat/replay?since=" + last[:9] + "000000000000-00000")[0] == 202
    lab.wait(lambda: [t.id for t in r.tried] == [last, last], 15, "it once more, from one of them")
    redis.client.flushall()
    lab.wait(lambda: redis.client.hkeys("ocspcached:{h}:h:hooks") == [b"chat"], 10, "it in Redis again")
    assert "webhook_lost" in a.log + b.log and names(a) == names(b) == ["chat"]
    redis.stop()
    lab.wait(lambda: put(b, "chat", url=CHAT)[0] == 503, 10, "no change")
    assert b.api("GET", "/v1/webhooks/chat")[1]["position"]


def test_a_token_makes_webhooks_of_what_it_sees(box, feed, daemons):
    """T21: and sees these, and no others."""
    d = daemons([feed.issuer()], store="lmdb:" + os.path.join(box, "store"), **FAST)
    d.tokens = {"all": block("t-all"), "demo": block("t-demo", ALL, issuers=["demo"]),
                "web": block("t-web", ALL, watchlists=["web", "db"])}
    d.token = "t-all"
    d.write()
    d.start()

    def ask(token, method, path, body=None):
        return d.api(method, path, body, headers={"Authorization": "Bearer " + token})
    assert ask("t-all", "PUT", "/v1/webhooks/all", {"url": CHAT, "disabled": True})[0] == 201
    status, body = ask("t-demo", "PUT", "/v1/webhooks/mine", {"url": CHAT, "disabled": True})
    assert status == 201 and body["issuer"] == "demo"
    assert [h["name"] for h in ask("t-demo", "GET", "/v1/webhooks")[1]] == ["mine"]
    assert [h["name"] for h in ask("t-all", "GET", "/v1/webhooks")[1]] == ["all", "mine"]
    assert ask("t-demo", "GET", "/v1/webhooks/all")[0] == 404
    assert ask("t-demo", "DELETE", "/v1/webhooks/all")[0] == 404
    assert ask("t-demo", "PUT", "/v1/webhooks/all", {"url": CHAT})[0] == 403
    assert ask("t-web", "PUT", "/v1/webhooks/web", {"url": CHAT})[0] == 403
    assert ask("t-web", "PUT", "/v1/webhooks/web", {"url": CHAT, "watchlist": "else"})[0] == 404
    assert ask("t-web", "GET", "/v1/webhooks") == (200, [])
    assert ask("t-demo", "DELETE", "/v1/webhooks/mine")[0] == 204


def ctl(d, *arguments):
    r = d.ctl(*arguments)
    return r.returncode, r.stdout


def test_ocspctl_says_it_all(site, box, receiver):
    d, r = site, receiver
    hook = os.path.join(box, "hook.json")
    with open(hook, "w", encoding="utf-8") as f:
        json.dump({"url": r.url, "secret": new_secret(), "types": ["changes", "alarms"]}, f)
    assert ctl(d, "webhook", "list") == (0, "")
    code, out = ctl(d, "webhook", "put", "chat", hook)
    assert (code, out) == (0, "chat: made\n")
    assert ctl(d, "webhook", "test", "chat") == (0, "delivered\n")
    r.answers = [500]
    assert ctl(d, "webhook", "test", "chat")[0] == 69
    code, out = ctl(d, "webhook", "put", "page", CHAT, "--format", "slack", "--types", "alarms", "--issuer", "demo")
    assert code == 0 and re.fullmatch(r"page: made\nsecret: whsec_\S+\n", out)
    code, out = ctl(d, "webhook", "list")
    assert code == 0 and [x.split()[0] for x in out.splitlines()] == ["chat", "page"] and "HIDDEN" not in out
    code, out = ctl(d, "webhook", "list", "--json")
    assert code == 0 and [set(h) for h in json.loads(out)] == [MEMBERS, MEMBERS]
    position = shown(d, "chat")["position"]
    assert ctl(d, "webhook", "replay", "chat", "--since", position) == (0, "goes on from there\n")
    assert ctl(d, "webhook", "rm", "chat") == (0, "removed\n") and names(d) == ["page"]
    assert ctl(d, "webhook", "rm", "chat")[0] == 64
