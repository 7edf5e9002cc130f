"""ocspctl watch against a server that does as it is told: what is printed or run, where it resumes, what it
survives.  The stream is what unit/events has written out; a run against the real daemon is in test_push.py."""
import http.server
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.parse

import daemon
import lab
from daemon import Watch
from lab import read


class Server:
    """Each connection gets the next script: a list of texts, False (close) or True (stay open); a status, or one
    with its Retry-After."""

    def __init__(self, *scripts, port=0, kind="text/event-stream"):
        self.scripts, self.asked, self.asked_at = list(scripts), [], []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def do_GET(self):
                outer.asked.append(urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query))
                outer.asked_at.append(time.monotonic())
                script = outer.scripts.pop(0) if outer.scripts else [True]
                if isinstance(script, (int, tuple)):
                    status, after = script if isinstance(script, tuple) else (script, None)
                    self.send_response(status)
                    if after:
                        self.send_header("Retry-After", after)
                    self.end_headers()
                    self.wfile.write(b'{"error":{"code":"x","message":"so it is"}}')
                    return
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.end_headers()
                for part in script:
                    if part is True:
                        outer.end.wait(30)
                    elif part:
                        self.wfile.write(part.encode())
                        self.wfile.flush()

        class Listener(http.server.ThreadingHTTPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.end = threading.Event()
        self.http = Listener(("127.0.0.1", port), Handler)
        self.port = self.http.server_address[1]
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self):
        self.end.set()
        self.http.shutdown()
        self.http.server_close()


def change(serial, status="revoked"):
    return {"serial": serial, "status": status, "previous": "good", "revoked_at": "2026-11-22T00:00:00Z",
            "reason": "keyCompromise"}


def event(ident, *changes, kind="changes", issuer="demo"):
    data = {"issuer": issuer, "seen_at": "2026-11-22T00:00:01Z", "evidence": "crl", "crl_number": "7",
            "changes": list(changes)}
    return "%sevent: %s\ndata: %s\n\n" % ("id: %s\n" % ident if ident else "", kind, json.dumps(data))


def position(ident):
    return "id: %s\n\n" % ident


def notices(ident, *serials, kind="notices", withdrawn=False, **more):
    data = {"issuer": "demo", "seen_at": "2026-11-22T00:00:01Z", "source": "incident", "incident": "mass",
            "deadline": "2026-11-25T00:00:00Z", "url": "https://ca.example/x", **more,
            "notices": [{"serial": x, "names": [], "labels": [], "replace_after": None, "replace_before": None,
                         "withdrawn": withdrawn} for x in serials]}
    return "%sevent: %s\ndata: %s\n\n" % ("id: %s\n" % ident if ident else "", kind, json.dumps(data))


def alarms(ident, raised=(), cleared=()):
    element = lambda x: {"alarm": x, "issuer": "demo", "subject": "http://ca.example/x.crl", "detail": "5 h\x1b",
                         "since": "2026-11-22T00:00:00Z", "node": "n1"}
    return "id: %s\nevent: alarms\ndata: %s\n\n" % (ident, json.dumps(
        {"seen_at": "2026-11-22T00:00:01Z", "node": "n1", "raised": [element(x) for x in raised],
         "cleared": [element(x) for x in cleared]}))


def test_a_server_that_does_not_answer_is_told(started):
    with socket.create_server(("127.0.0.1", 0)) as s:
        w = started(Watch(s.getsockname()[1]))
        lab.wait(lambda: w.err, 10, "a word")
        assert "no answer yet" in w.err[0] and w.p.poll() is None


def test_changes_are_printed_as_they_come(started):
    s = started(Server([position("a0"), event("a1", change("1f"), change("2")), True]))
    w = started(Watch(s.port))
    lab.wait(lambda: len(w.out) == 2, 5, "two lines")
    assert w.out[0] == "demo  1f  revoked  good  2026-11-22T00:00:00Z  keyCompromise"
    assert w.stop() == 0
    s2 = started(Server([event("a1", change("1f")), True]))
    w = started(Watch(s2.port, "--json", "demo"))
    lab.wait(lambda: w.out, 5, "a line")
    assert json.loads(w.out[0])["changes"] == [change("1f")]
    assert s2.asked[0] == {"issuer": ["demo"]}
    assert w.stop(signal.SIGINT) == 0


def test_a_watchlist_is_asked_for_and_its_names_and_labels_are_printed(started):
    named = dict(change("1f"), names=["a.example\x1b[31m", "b.example"], labels=["owner=x"])
    s = started(Server([position("a0"), event("a1", named, dict(change("2"), names=[], labels=[])), False],
                       [position("a1"), True]))
    w = started(Watch(s.port, "demo", "--watchlist", "we b"))
    lab.wait(lambda: len(w.out) == 2 and len(s.asked) == 2, 10, "two lines, and another stream")
    assert w.out[0].startswith("demo  1f  revoked  good  2026-11-22T00:00:00Z  keyCompromise  a.example")
    assert w.out[0].endswith("(and 1 more)  owner=x") and "\x1b" not in w.out[0]
    assert w.out[1].endswith("keyCompromise  -  -")
    assert s.asked == [{"issuer": ["demo"], "watchlist": ["we b"]},
                       {"issuer": ["demo"], "watchlist": ["we b"], "since": ["a1"]}]
    assert w.stop() == 0


def test_notices_are_printed_only_when_they_are_asked_for(started, box):
    ari = {"source": "ari", "incident": None, "deadline": None, "url": None}
    script = [position("a0"), notices(None, "5", kind="snapshot"), notices("a1", "1f"),
              notices("a2", "2", withdrawn=True, url="https://ca.example/\x1b[31m"), notices("a3", "3", **ari),
              alarms("a4", ["crl_late"], ["crl_refused"]), event("a5", change("4")), True]
    s = started(Server(script, script, script))
    w = started(Watch(s.port, "--notices"))
    lab.wait(lambda: len(w.out) == 5, 10, "five lines")
    assert w.out == ["demo  5  announced  mass  2026-11-25T00:00:00Z  https://ca.example/x",
                     "demo  1f  announced  mass  2026-11-25T00:00:00Z  https://ca.example/x",
                     "demo  2  withdrawn  mass  2026-11-25T00:00:00Z  https://ca.example/?[31m",
                     "demo  3  announced  ari  -  -",
                     "demo  4  revoked  good  2026-11-22T00:00:00Z  keyCompromise"]
    # Who does not ask has changes alone, and a place that goes on all the same.
    place = os.path.join(box, "place")
    w = started(Watch(s.port, "--place", place))
    lab.wait(lambda: read(place) == "a5", 10, "the place")
    assert w.out == ["demo  4  revoked  good  2026-11-22T00:00:00Z  keyCompromise"]
    w = started(Watch(s.port, "--notices", "--json", "--watchlist", "web"))
    lab.wait(lambda: len(w.out) == 5, 10, "five lines")
    assert json.loads(w.out[1])["notices"][0]["serial"] == "1f" and json.loads(w.out[3])["source"] == "ari"


def test_the_place_passes_over_what_is_not_asked_for(started, box):
    """T23."""
    script = [position("a0"), event("a1", change("1")), notices("a2", "2"), alarms("a3", ["crl_late"]), True]
    s = started(Server(script, script))
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    started(Watch(s.port, "--place", place))
    lab.wait(lambda: read(place) == "a3", 10, "the place")
    started(Watch(s.port, "--exec", "echo $OCSP_SERIAL >>" + out, "--place", place + "2"))
    lab.wait(lambda: read(place + "2") == "a3", 10, "the place")
    assert read(out).split() == ["1"]


def test_alarms_are_lines_when_they_are_asked_for(started):
    script = [position("a0"), alarms("a1", ["crl_late"], ["crl_refused"]), event("a2", change("1")), True]
    s = started(Server(script, script))
    w = started(Watch(s.port, "--alarms"))
    lab.wait(lambda: len(w.out) == 3, 10, "three lines")
    assert w.out[:2] == ["demo  crl_late  raised  2026-11-22T00:00:00Z  http://ca.example/x.crl  n1  5 h?",
                         "demo  crl_refused  cleared  2026-11-22T00:00:00Z  http://ca.example/x.crl  n1  5 h?"]
    w = started(Watch(s.port, "--alarms", "--json"))
    lab.wait(lambda: len(w.out) == 2, 10, "two lines")
    assert json.loads(w.out[0])["raised"][0]["alarm"] == "crl_late"


def test_a_command_is_told_of_a_notice(started, box):
    """T25: UTF-8 without controls in the environment; as the server said it on standard input."""
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    odd = "https://ca.example/\u00e9\x1b[31m\n\u0085\u2028"
    s = started(Server([position("a0"), notices("a1", "1f", url=odd), notices("a2", "1f", withdrawn=True),
                        notices("a3", "2", source="ari", incident=None, deadline=None),
                        notices("a4", "3", url="x" * 9000), event("a5", change("1f")), True]))
    w = started(Watch(s.port, "--notices", "--place", place, "--exec",
                      "{ env | grep ^OCSP_ | LC_ALL=C sort | tr '\\n' '|'; echo; cat; } >>" + out,
                      OCSP_DEADLINE="stale"))
    lab.wait(lambda: read(place) == "a5", 10, "the place")
    lines = read(out).strip().split("\n")
    assert len(lines) == 8
    assert lines[0] == ("OCSP_DEADLINE=2026-11-25T00:00:00Z|OCSP_EVIDENCE=|OCSP_INCIDENT=mass|OCSP_ISSUER=demo|"
                        "OCSP_PREVIOUS=|OCSP_REASON=|OCSP_REVOKED_AT=|OCSP_SERIAL=1f|OCSP_SOURCE=incident|"
                        "OCSP_STATUS=announced|OCSP_URL=https://ca.example/\u00e9?[31m???|")
    assert json.loads(lines[1]) == {
        "issuer": "demo", "source": "incident", "incident": "mass", "deadline": "2026-11-25T00:00:00Z", "url": odd,
        "status": "announced", "serial": "1f", "names": [], "labels": [], "replace_after": None,
        "replace_before": None, "withdrawn": False}
    assert "OCSP_STATUS=withdrawn|" in lines[2] and json.loads(lines[3])["status"] == "withdrawn"
    assert "OCSP_DEADLINE=|" in lines[4] and "OCSP_INCIDENT=|" in lines[4] and "OCSP_SOURCE=ari|" in lines[4]
    assert "OCSP_STATUS=revoked|OCSP_URL=|" in lines[6] and "OCSP_DEADLINE=|" in lines[6]
    assert json.loads(lines[7]) == dict(change("1f"), issuer="demo", evidence="crl")
    assert w.err == ["ocspctl: watch: event a4: a notice whose url has 9000 bytes was passed over"]


def test_a_batch_of_notices_is_one_command(started, box):
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    s = started(Server([notices(None, "1", "2", kind="snapshot"), position("a0"), notices("a1", "3"), True]))
    started(Watch(s.port, "--notices", "--batch", "--snapshot", "--place", place, "--exec",
                  "{ cat; echo $OCSP_STATUS.; } >>" + out))
    lab.wait(lambda: read(place) == "a1", 10, "the place")
    lines = read(out).splitlines()
    assert [x if x == "." else json.loads(x)["serial"] for x in lines] == ["1", "2", ".", "3", "."]
    assert json.loads(lines[0])["status"] == "announced"


def test_a_stream_that_ends_is_resumed_behind_the_last_event(started):
    s = started(Server([event("a1", change("1")), "id: a2\nevent: changes\ndata: {\"issu", False],
                       [position("a1"), event("a2", change("2")), True]))
    w = started(Watch(s.port))
    lab.wait(lambda: len(w.out) == 2, 10, "both")
    assert s.asked == [{}, {"since": ["a1"]}]


def test_a_command_is_tried_until_it_succeeds_and_the_place_waits_for_it(started, box):
    place, done, fail = (os.path.join(box, n) for n in ("state/place", "done", "fail"))
    open(fail, "w").close()
    s = started(Server([position("a0"), event("a1", change("1")), event("a2", change("2"), change("3")), True]))
    w = started(Watch(s.port, "--exec",
                      'test "$OCSP_SERIAL" != 1 -o ! -e %s && cat >>%s && echo $OCSP_STATUS $OCSP_REASON >>%s' % (
                          fail, done, done), "--place", place, "--jobs", "2", OCSP_REASON="stale"))
    lab.wait(lambda: read(done).count("revoked keyCompromise") == 2, 5, "the others, which need not wait")
    lab.wait(lambda: any("demo 1: the command ended with 1; again in 1 s" in x for x in w.err), 5, "a word")
    assert read(place) == "a0"
    os.unlink(fail)
    lab.wait(lambda: read(place) == "a2", 10, "the place to move")
    lines = [json.loads(x) for x in read(done).splitlines() if x.startswith("{")]
    assert sorted(x["serial"] for x in lines) == ["1", "2", "3"]
    assert lines[0]["issuer"] == "demo"
    assert w.stop() == 0
    # Again, from there.
    s2 = started(Server([event("a3", change("4")), True]))
    w = started(Watch(s2.port, "--exec", "cat >>" + done, "--place", place))
    lab.wait(lambda: read(place) == "a3", 5, "the next")
    assert s2.asked == [{"since": ["a2"]}]


def test_a_batch_has_all_changes_on_standard_input(started, box):
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    many = [change("%x" % n) for n in range(1, 1001)]
    s = started(Server([event("a1", *many), event("a2", change("1", "removed")), True]))
    started(Watch(s.port, "--exec", "cat >>%s; echo == >>%s" % (out, out), "--batch", "--place", place))
    lab.wait(lambda: read(place) == "a2", 10, "the place")
    first, second, rest = read(out).split("==")
    assert [json.loads(x)["serial"] for x in first.strip().splitlines()] == [c["serial"] for c in many]
    assert json.loads(second)["status"] == "removed" and rest == ""


def test_a_command_does_not_inherit_the_stream(started, box):
    """A command that stays behind would keep the stream open with what it inherited."""
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    s = started(Server([event("a1", change("1")), True]))
    started(Watch(s.port, "--exec", "readlink /proc/$$/fd/* >%s; true" % out, "--place", place))
    lab.wait(lambda: read(place) == "a1", 10, "the place")
    assert "memfd:" in read(out) and "socket:" not in read(out)


def test_a_large_snapshot_is_taken_whole(started, box):
    """The server cuts off who does not read, and a snapshot begins anew then: it would never end."""
    place, go = (os.path.join(box, n) for n in ("place", "go"))
    parts = [event(None, *[change("%x" % n) for n in range(k * 1000, k * 1000 + 1000)], kind="snapshot")
             for k in range(60)]
    s = started(Server(parts + [position("b1"), False], [True]))
    w = started(Watch(s.port, "--snapshot", "--exec", "until [ -e %s ]; do sleep 0.1; done" % go, "--place", place))
    lab.wait(lambda: len(s.asked) == 2, 20, "the end of the snapshot")
    assert s.asked == [{"snapshot": ["1"]}, {"since": ["b1"]}]
    assert read(place) == ""
    open(go, "w").close()
    assert w.stop() == 0


def test_more_than_can_wait_is_not_read(started, box):
    """Changes are counted, not events: with --batch memory has the same bound."""
    out, place, go = (os.path.join(box, n) for n in ("out", "place", "go"))
    many = [event("a%02d" % k, *[change("%x" % n) for n in range(k * 1000, k * 1000 + 1000)]) for k in range(60)]
    s = started(Server(many + [False], [True]))
    w = started(Watch(s.port, "--batch", "--exec", "until [ -e %s ]; do sleep 0.1; done; wc -l >>%s" % (go, out),
                      "--place", place))
    time.sleep(2)
    assert len(s.asked) == 1 and not w.err  # it has not seen the end
    open(go, "w").close()
    lab.wait(lambda: read(place) == "a59", 30, "the place")
    assert read(out).split() == 60 * ["1000"]


def test_what_a_server_says_cannot_move_the_cursor(started):
    s = started(Server(['event: gap\ndata: {"since":"\x1b[2J","oldest":"b1"}\n\n', position("b1"), True]))
    w = started(Watch(s.port))
    lab.wait(lambda: w.err, 5, "the gap")
    assert "?[2J" in w.err[0] and "\x1b" not in w.err[0]


def test_another_server_is_not_watched(started):
    s = started(Server(["x"], kind="text/html"))
    w = started(Watch(s.port))
    assert w.p.wait(10) == 69
    lab.wait(lambda: any("no answer of ocspcached" in x for x in w.err), 10, "the reason")


def test_changes_of_one_certificate_keep_their_order(started, box):
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    s = started(Server([event("a1", change("1"), change("2")), event("a2", change("1", "good")), True]))
    started(Watch(s.port, "--exec", "test $OCSP_STATUS = good || sleep 0.5; echo $OCSP_SERIAL $OCSP_STATUS >>" + out,
                  "--jobs", "8", "--place", place))
    lab.wait(lambda: read(place) == "a2", 10, "the place")
    lines = read(out).splitlines()
    assert lines.index("1 revoked") < lines.index("1 good")


def test_a_gap_is_told_and_filled_by_a_snapshot(started, box):
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    open(place, "w").write("old\n")
    gap = 'event: gap\ndata: {"since":"old","oldest":"b1"}\n\n'
    s = started(Server([gap, position("b1"), event("b2", change("9")), True],
                       [event(None, change("1"), kind="snapshot"), False],  # cut off inside: all again
                       [event(None, change("1"), kind="snapshot"), event(None, change("2"), kind="snapshot"),
                        position("b3"), event("b4", change("3")), True]))
    w = started(Watch(s.port, "--exec", "cat >>" + out, "--place", place))
    lab.wait(lambda: read(place) == "b4", 15, "the place")
    assert {json.loads(x)["serial"] for x in read(out).splitlines()} == {"1", "2", "3"}
    assert s.asked == [{"since": ["old"]}, {"snapshot": ["1"]}, {"snapshot": ["1"]}]
    assert any("gap" in x for x in w.err)


def test_a_server_that_is_away_or_busy_is_waited_for(started, box):
    place, port = os.path.join(box, "place"), lab.free_port()
    w = started(Watch(port, "--exec", "true", "--place", place))
    lab.wait(lambda: any("trying again" in x for x in w.err), 5, "a word")
    started(Server(503, [position("a0"), event("a1", change("1")), True], port=port))
    lab.wait(lambda: read(place) == "a1", 15, "the place")


def test_what_a_proxy_refuses_for_now_is_asked_for_again(started, box):
    """RFC 9110 sections 15.5.9, 10.2.3, RFC 6585 section 4."""
    place = os.path.join(box, "place")
    s = started(Server(408, (429, "1"), [event("a1", change("1")), True]))
    w = started(Watch(s.port, "--exec", "true", "--place", place))
    t = started(Server(502, [event("a1", change("1")), True]))
    v = started(Watch(t.port))  # who only looks waits for these, too
    lab.wait(lambda: read(place) == "a1" and v.out and v.err and len(w.err) == 2, 15, "the change")
    assert [x.split("HTTP ")[1] for x in w.err] == ["408); trying again", "429); trying again"]
    assert s.asked_at[2] - s.asked_at[1] >= 1
    assert "HTTP 502" in v.err[0]


def test_a_change_that_no_command_can_be_given_holds_nothing_up(started, box):
    """The kernel takes 128 KiB of a variable (execve(2), MAX_ARG_STRLEN)."""
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    changes = [dict(change("1"), reason="x" * 200000), change("2" * 150000), change("3")]
    s = started(Server([event("a1", *changes), event("a2", change("4")), True]))
    w = started(Watch(s.port, "--exec", "echo $OCSP_SERIAL >>" + out, "--place", place))
    lab.wait(lambda: read(place) == "a2", 10, "the place")
    assert read(out).split() == ["3", "4"] and lab.wait(lambda: len(w.err) == 2, 5, "the words")
    assert w.err == ["ocspctl: watch: event a1: a change whose reason has 200000 bytes was passed over",
                     "ocspctl: watch: event a1: a change whose serial has 150000 bytes was passed over"]
    assert w.stop() == 2
    # A batch has them on its standard input, where there is room for all.
    s = started(Server([event("a1", *changes), True]))
    w = started(Watch(s.port, "--batch", "--exec", "wc -c >" + out, "--place", place + "2"))
    lab.wait(lambda: read(place + "2") == "a1", 10, "the place")
    assert int(read(out)) > 350000 and w.stop() == 0


def test_an_event_that_is_too_large_is_told_and_passed_over(started, box):
    place = os.path.join(box, "place")
    s = started(Server([event("a1", dict(change("1"), reason="x" * (5 << 20))), event("a2", change("2")), True]))
    w = started(Watch(s.port, "--exec", "true", "--place", place))
    lab.wait(lambda: read(place) == "a2" and w.err, 10, "the place")
    assert w.err == ["ocspctl: watch: an event of more than 4 MiB was passed over: a1"] and len(s.asked) == 1
    assert w.stop() == 2


def test_what_cannot_work_ends_with_its_reason(started, box):
    w = started(Watch(lab.free_port()))
    assert w.p.wait(10) == 69
    s = started(Server(404))
    w = started(Watch(s.port, "nobody", "--exec", "true", "--place", os.path.join(box, "p")))
    assert w.p.wait(10) == 64
    lab.wait(lambda: any("so it is (HTTP 404)" in x for x in w.err), 10, "the reason")
    # two with one place
    s = started(Server([True], [True]))
    started(Watch(s.port, "--exec", "true", "--place", os.path.join(box, "q")))
    lab.wait(lambda: s.asked, 5, "the first")
    w = started(Watch(s.port, "--exec", "true", "--place", os.path.join(box, "q")))
    assert w.p.wait(10) == 2
    lab.wait(lambda: any("another ocspctl watch has this place" in x for x in w.err), 10, "the reason")


def test_term_lets_the_running_command_end(started, box):
    out, place = os.path.join(box, "out"), os.path.join(box, "place")
    s = started(Server([event("a1", change("1")), True]))
    w = started(Watch(s.port, "--exec", "echo begun >>%s; sleep 1; echo done >>%s" % (out, out), "--place", place))
    lab.wait(lambda: "begun" in read(out), 5, "the command")
    began = time.monotonic()
    assert w.stop() == 0
    assert time.monotonic() - began < 8 and "done" in read(out) and read(place) == "a1"


def test_certbot_renews_what_is_revoked(started, box):
    """R145: the recipe, with a stand-in for certbot that notes how it was called and fails once.  Each CA has serial
    numbers of its own: what another one revokes is not ours, and what is ours of another one is told by its issuer."""
    live, issuers, log, place = (os.path.join(box, n) for n in ("etc/live", "issuers", "log", "place"))
    recipe = os.path.join(daemon.TOP, "conf/recipes/renew-when-revoked")
    ca, other = lab.CA("recipe CA"), lab.CA("other CA")
    hit, spared, old = ca.issue(), ca.issue(), ca.issue(days=(-20, -10))
    twin = other.issue(serial=hit.serial)
    for name, party in (("hit.example", hit), ("spared.example", spared), ("twin.example", twin), ("old.example", old)):
        os.makedirs(os.path.join(live, name))
        party.write(os.path.join(live, name, "cert.pem"))
    os.makedirs(issuers)
    with open(os.path.join(issuers, "demo.pem"), "wb") as f:  # as `certificate` may name several
        f.write(lab.CA("recipe CA").pem + ca.pem)
    certbot = os.path.join(box, "certbot")
    with open(certbot, "w") as f:
        f.write('#!/bin/sh\necho "$@" >>%s\n[ $(wc -l <%s) -gt 1 ]\n' % (log, log))
    os.chmod(certbot, 0o755)
    env = {"LIVE": live, "CERTBOT": certbot, "ISSUERS": issuers}
    r = subprocess.run([recipe, "--check"], env=dict(os.environ, **env), capture_output=True, text=True)
    assert r.returncode == 1 and "hit.example: demo\n" in r.stdout and "twin.example: of no issuer in" in r.stdout, r
    s = started(Server([event("a1", change("1"), change("%x" % hit.serial), change("%x" % spared.serial, "removed"),
                              change("%x" % old.serial))],
                       [event("a2", change("%x" % twin.serial), issuer="other"), True]))
    w = started(Watch(s.port, "--batch", "--exec", recipe, "--place", place, **env))
    words = "renew --cert-name %s --force-renewal --non-interactive"
    lab.wait(lambda: read(place) == "a1", 15, "the place")
    first = sorted([words % "hit.example", words % "old.example"])
    assert sorted(set(read(log).splitlines())) == first and len(read(log).splitlines()) == 4
    assert any("could not be renewed" in x for x in w.err)
    # Nobody can say of which CA the other is: that is no success, and no renewal.
    lab.wait(lambda: any("other.pem" in x for x in w.err), 15, "the reason")
    assert read(place) == "a1" and len(read(log).splitlines()) == 4
    other.write(os.path.join(issuers, "other.pem"))
    lab.wait(lambda: read(place) == "a2", 30, "the place")
    # (by each run, as this stand-in gives it no other serial number)
    assert set(read(log).splitlines()[4:]) == {words % "twin.example"}
    r = subprocess.run([recipe, "--check"], env=dict(os.environ, **env), capture_output=True, text=True)
    assert r.returncode == 0 and "twin.example: other\n" in r.stdout, r
