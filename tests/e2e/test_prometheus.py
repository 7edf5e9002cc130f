"""What the daemon tells Prometheus, and those who speak of it: both manuals, the alert rules, the dashboard.

The oracles are the real program's /metrics for names, and promtool for syntax and for what a rule does."""
import json
import os
import re
import subprocess
import urllib.parse
import urllib.request

import pytest

import daemon
import lab
import lists

ALERTS = os.path.join(daemon.TOP, "conf", "prometheus", "alerts.yml")
DASHBOARD = os.path.join(daemon.TOP, "conf", "prometheus", "dashboard.json")
SUFFIX = re.compile(r"_(bucket|sum|count)$")  # of a histogram's series


def read(*path):
    with open(os.path.join(daemon.TOP, *path), encoding="utf-8") as f:
        return f.read()


def manual():
    return read("proxy", "ocspcached.8")


def documented():
    """(name, type, text) of each metric in the manual."""
    text = manual()
    return set(re.findall(r"^\.It (\w+) \( (\w+) \)\n(.*)$", text[text.index(".Sh METRICS"):], re.M))


def names(expression):
    """The families that an expression names; those of others than ours and the process are no business of ours."""
    found = set(re.findall(r"\b(ocspcached_\w+|process_\w+)", expression))
    families = {n for n, _, _ in documented()}
    return {n if n in families else SUFFIX.sub("", n) for n in (m.replace("ocspcached_", "", 1) for m in found)}


def promtool(*arguments):
    path = lab.tool("promtool")
    if not path:
        pytest.skip("promtool is not installed (package prometheus)")
    r = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=60 * lab.PATIENCE)
    assert r.returncode == 0, r.stdout + r.stderr


@pytest.fixture
def everything(box, world, daemons, publisher):
    """A daemon that has something to tell of every family: a list in force, a refused one, one that is not there."""
    crl = [publisher.publish("a.crl", lists.crl(world.ca, [world.revoked.serial])),
           publisher.publish("b.crl", b"<html>"), publisher.url("nothing.crl")]
    report = publisher.publish("ccadb.csv", b"Certificate Name,Subject Key Identifier,Full CRL Issued By This CA,"
                               b"JSON Array of Partitioned CRLs\nA,AQI=,,\n")
    d = daemons([world.issuer(crl=crl + ["ccadb"])], ccadb=[report], store="lmdb:" + os.path.join(box, "store")).start(ready=False)
    d.ask(world.ca, world.good.serial)
    d.wait_number(crl[0], 1)
    lab.wait(lambda: "ocspcached_ccadb_age_seconds" in d.metrics(), 10, "the records")
    for family in ("crl_refused_total", "crl_fetch_failures_total"):
        lab.wait(lambda f=family: d.metric(f, issuer="demo") >= 1, 10, family)
    return d


def test_the_manual_has_the_metrics_that_there_are(everything):
    """Name, type and text, in both directions."""
    text = everything.metrics()
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.M))
    there = {(n.replace("ocspcached_", "", 1), t, helps[n]) for n, t in re.findall(r"^# TYPE (\S+) (.*)$", text, re.M)}
    assert there == documented(), sorted(there ^ documented())


# What is counted where nothing fails; all other counters stay at 0 then.
GOOD_LIFE = set("""admitted_total changes_sent_total changes_total config_reloads_total connections_closed_total
    connections_opened_total events_sent_total flights_total latched_total requests_total responder_fetches_total
    sent_bytes_total store_hits_total store_reads_total store_writes_total subscribers_opened_total""".split())


@pytest.mark.parametrize("store", ["lmdb", "redis"])
def test_a_good_life_counts_no_trouble(box, world, daemons, publisher, streams, redis, store):
    """An alert that looks for growth is of use only while what goes well counts for nothing."""
    url = publisher.publish("a.crl", lists.crl(world.ca, [world.revoked.serial]))
    where = redis.url if store == "redis" else "lmdb:" + os.path.join(box, "store")
    d = daemons([world.issuer(crl=[url])], store=where, hot_cache="0").start()
    told = streams(d)
    told.ready()
    for leaf, outcome in 2 * ((world.good, "good"), (world.revoked, "revoked")):
        assert d.ask(world.ca, leaf.serial).outcome == outcome
        lab.wait(lambda: d.metric("store_writes_total") == world.responder.count, 5, "the write")
    publisher.publish("a.crl", lists.crl(world.ca, [world.revoked.serial, 4711], number=2))
    d.refresh()
    assert told.wait_serials([4711]) == [4711]
    d.reload()
    assert world.responder.count == d.metric("store_writes_total") == d.metric("store_hits_total") == 2
    counted = {m.group(1): float(m.group(2)) for m in re.finditer(
        r"^ocspcached_(\w+_total(?:\{.*\})?) (\S+)$", d.metrics(), re.M)}
    assert len(counted) > 40 and {n for n in counted if counted[n] and n.partition("{")[0] not in GOOD_LIFE} == set()
    assert d.metric("config_reloads_total", result="error") == 0
    assert d.metric("requests_total", outcome="answered") == d.metric("requests_total") == 4


# What follows compares with the manual, which the test above has compared with the program.

def watched():
    """The metrics that README says to watch."""
    text = read("README.md")
    item = text[text.index("- **Metrics**"):]
    return set(re.findall(r"`(\w+_\w+)`", item[:item.index("\n- **")])) - {"try_later"}


def rules():
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed (package python3-yaml)")
    return [r for g in yaml.safe_load(read(ALERTS))["groups"] for r in g["rules"]]


def test_readme_watches_metrics_that_there_are_and_each_has_an_alert():
    assert len(watched()) > 10 and watched() <= {n for n, _, _ in documented()}
    assert watched() <= set().union(*(names(r["expr"]) for r in rules()))


def test_the_alerts_name_what_there_is():
    """Metrics in their expressions; events and metrics in what they tell a person to do."""
    text = manual()
    metrics = {n for n, _, _ in documented()}
    events = set(re.findall(r"\w+", " ".join(re.findall(r"^\.It ([\w ,]+) \( \w+ \)$", text[:text.index(
        ".Sh METRICS")], re.M))))
    for r in rules():
        assert names(r["expr"]) <= metrics, r["alert"]
        assert set(r["annotations"]) == {"summary", "subject", "remedy"} and all(r["annotations"].values()), r["alert"]
        assert r["labels"]["severity"] in ("critical", "warning"), r["alert"]
        words = set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", r["annotations"]["remedy"]))
        assert words <= metrics | events, (r["alert"], words - metrics - events)


# Alert, what is seen minute by minute ("0x5" is six times 0, "0+1x5" counts to 5), a minute at which it is quiet yet,
# one at which it fires; its labels besides instance and severity; what it makes of its value.
RESPONDER = {"issuer": "demo", "url": "http://ca.example/"}
LIST = {"issuer": "demo", "list": "0"}
ON_LIST = '{issuer="demo",list="0"}'
SEEN = 'change_published_to_seen_seconds_bucket{le="%s"}'
CASES = [
    ("Down", {'up{job="ocspcached"}': "1 1 0 0 0"}, 2, 3, {"job": "ocspcached"}),
    ("ReloadFailed", {"config_last_reload_successful": "1 0"}, 0, 1),
    ("ClockWrong", {"clock_before_release": "0 1"}, 0, 1),
    ("ClockStepped", {"clock_steps_total": "0 0 1 1"}, 1, 2),
    ("ClientsWait", {"connections": "900 901", "connections_limit": "1000 1000"}, 0, 1),
    ("ClientsWait", {"accept_paused_total": "3 3 4"}, 1, 2),
    ("TryLater", {'requests_total{tier="memory",outcome="answered"}': "0+990x30",
                  'requests_total{tier="none",outcome="try_later"}': "0+10x10 120+20x20"}, 10, 25, {},
     {"$value | humanizePercentage": "1.98%"}),
    ("ResponderDown", {'responder_healthy{issuer="demo",url="http://ca.example/"}': "1 0x6"}, 5, 6, RESPONDER),
    ("RefreshOverdue", {"refresh_overdue_seconds": "300 301 361x9"}, 5, 7, {}, {"$value | humanizeDuration": "6m 1s"}),
    ("PollsBehind", {'polls_behind_seconds{issuer="demo"}': "60 61 0x9 70x99"}, 15, 16, {"issuer": "demo"},
     {"$value | humanizeDuration": "1m 10s"}),
    ("RefreshLate", {"refreshes_late_total": "0 0 1"}, 1, 2),
    ("AnswersRefused", {'refused_total{from="upstream"}': "0 0 1", 'refused_total{from="store"}': "0 7 8"}, 1, 2,
     {"from": "upstream"}),
    ("StoreValuesRefused", {'refused_total{from="store"}': "0 0 1", 'refused_total{from="upstream"}': "0 7 8"}, 1, 2,
     {"from": "store"}),
    ("GoodAfterRevoked", {"contradicted_total": "0 0 1"}, 1, 2),
    ("OcspAndCrlDisagree", {"ocsp_crl_disagreements_total": "0 0 1"}, 1, 2),
    ("OcspBehindCrl", {"contradicted_by_crl_total": "0 0+1x70"}, 60, 65),
    ("StoreDown", {"store_up": "1 0 0"}, 1, 2),
    ("StoreFails", {"store_errors_total": "0 0+1x20", "store_up": "1x20"}, 10, 13),
    ("LatchesNotKept", {"latches_up": "1 0 1 0 0"}, 3, 4),
    ("ListsNotKept", {"crl_refused_by_disk": "0 2 2"}, 1, 2, {}, {"$value": "2"}),
    ("CrlExpired", {"crl_next_update_seconds" + ON_LIST: "0 -60"}, 0, 1, LIST, {"$value | humanizeDuration": "1m 0s"}),
    ("CrlExpiring", {"crl_next_update_seconds" + ON_LIST: "1000 999x9", "crl_age_seconds" + ON_LIST: "5000 5001x9"},
     5, 6, LIST, {"$value | humanizePercentage": "16.65%"}),
    ("CrlRefused", {'crl_refused_total{issuer="demo",reason="crl_signature"}': "1+1x9"}, 5, 6,
     {"issuer": "demo", "reason": "crl_signature"}),
    ("CrlFetchFailing", {'crl_fetch_failures_total{issuer="demo",reason="upstream_http"}': "1+1x19"}, 10, 11,
     {"issuer": "demo", "reason": "upstream_http"}),
    ("CrlOld", {"crl_age_alarm" + ON_LIST: "0 1"}, 0, 1, LIST),
    ("CrlNumberBack", {"crl_number_back" + ON_LIST: "0 1"}, 0, 1, LIST),
    ("CrlLate", {'alarm{alarm="crl_late",issuer="demo"}': "1x9"}, 4, 6, {"alarm": "crl_late", "issuer": "demo"}),
    ("CrlShrunk", {'alarm{alarm="crl_shrunk",issuer="demo"}': "_ 1"}, 0, 1, {"alarm": "crl_shrunk", "issuer": "demo"}),
    ("IncidentOpen", {'alarm{alarm="incident_open",issuer="demo"}': "_ 1"}, 0, 1,
     {"alarm": "incident_open", "issuer": "demo"}),
    ("AriBehind", {'alarm{alarm="ari_behind",issuer="demo"}': "1x70"}, 59, 61, {"alarm": "ari_behind", "issuer": "demo"}),
    ("WebhookDisabled", {'alarm{alarm="webhook_disabled",issuer=""}': "_ 2"}, 0, 1,
     {"alarm": "webhook_disabled"}, {"$value": "2"}),
    ("NotCovered", {'alarm{alarm="uncovered",issuer="demo"}': "1x9", 'alarm{alarm="crl_old",issuer="demo"}': "1x9"}, 4, 6,
     {"alarm": "uncovered", "issuer": "demo"}),
    ("CrlHeldBack", {"crl_held_back" + ON_LIST: "0 1 1 0 1"}, 1, 2, LIST),
    ("ChangesWaiting", {"changes_waiting": "0 5 0 5 7"}, 3, 4, {}, {"$value": "7"}),
    ("EventsLogDown", {"events_log_up": "1 0 0"}, 1, 2),
    ("EventsLogDamaged", {"events_log_damaged": "0 1"}, 0, 1),
    ("ChangesSeenLate", {SEEN % 14400: "0x9 0+1x9", SEEN % 28800: "0x9 0+10x9", SEEN % "+Inf": "0x9 0+10x9"}, 9, 19, {},
     {"$value | humanizeDuration": "7h 33m 20s"}),
    ("SubscribersRefused", {"subscribers_refused_total": "0 0 1"}, 1, 2),
    ("SubscribersBehind", {"event_gaps_total": "0 0 1"}, 1, 2),
    ("SubscribersBehind", {"subscribers_cut_total": "0 5 11"}, 1, 2),
    ("WebhookDisabled", {'alarm{alarm="webhook_disabled"}': "0 0 1"}, 1, 2, {"alarm": "webhook_disabled"},
     {"$value": "1"}),
]


def series(name):
    """Its full name, with an instance."""
    name = name if name.startswith("up{") else "ocspcached_" + name
    return name[:-1] + ',instance="a:8081"}' if name.endswith("}") else name + '{instance="a:8081"}'


def filled(text, labels, values):
    for k, v in labels.items():
        text = text.replace("{{ $labels.%s }}" % k, v)
    for k, v in values.items():
        text = text.replace("{{ %s }}" % k, v)
    assert "{{" not in text, text
    return text


def rule_test(rule, inputs, quiet, fires, labels=None, values=None):
    """A case in promtool's form."""
    labels = dict(labels or {}, instance="a:8081")
    alert = {"exp_labels": dict(labels, severity=rule["labels"]["severity"]),
             "exp_annotations": {k: filled(v, labels, values or {}) for k, v in rule["annotations"].items()}}
    return {"interval": "1m", "input_series": [{"series": series(k), "values": v} for k, v in inputs.items()],
            "alert_rule_test": [{"eval_time": "%dm" % quiet, "alertname": rule["alert"]},
                                {"eval_time": "%dm" % fires, "alertname": rule["alert"], "exp_alerts": [alert]}]}


def written(box, name, value):
    path = os.path.join(box, name)
    with open(path, "w") as f:
        json.dump(value, f)  # which is YAML too
    return path


def test_each_alert_fires_when_it_should_and_not_before(box):
    promtool("check", "rules", ALERTS)
    by_name = {r["alert"].replace("Ocspcached", "", 1): r for r in rules()}
    assert set(by_name) == {c[0] for c in CASES}
    promtool("test", "rules", written(box, "test.yml", {
        "rule_files": [ALERTS], "evaluation_interval": "1m",
        "tests": [rule_test(by_name[c[0]], *c[1:]) for c in CASES]}))


def panels():
    return json.loads(read(DASHBOARD))["panels"]


def queries(instance=".*", interval="5m"):
    """(panel, expression, legend) of the dashboard, with its variables filled in."""
    for p in panels():
        for t in p.get("targets", ()):
            expression = t["expr"].replace("$__rate_interval", interval)
            assert 'instance=~"$instance"' in expression or "ALERTS" in expression, expression
            yield p["title"], expression.replace("$instance", instance), t["legendFormat"]


def test_the_dashboard_asks_for_what_there_is(box):
    metrics = {n for n, _, _ in documented()}
    for title, expression, _ in queries():
        assert names(expression) <= metrics, title
    rule = [{"record": "a:b", "expr": e, "labels": {"n": str(n)}} for n, (_, e, _) in enumerate(queries())]
    promtool("check", "rules", written(box, "rules.yml", {"groups": [{"name": "all", "rules": rule}]}))


def test_the_dashboard_is_laid_out(box):
    """Ids once each, nothing beside the 24 columns, no panel on another, one source of data for all."""
    taken = set()
    for p in panels():
        g = p["gridPos"]
        cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
        assert g["x"] + g["w"] <= 24 and not cells & taken, p["title"]
        taken |= cells
        assert p["type"] == "row" or p["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, p["title"]
        assert len({t["refId"] for t in p.get("targets", ())}) == len(p.get("targets", ()))
    assert len({p["id"] for p in panels()}) == len(panels())


class Prometheus:
    """A real one, that asks a daemon once a second and goes through the alert rules as often."""

    def __init__(self, box, d):
        if not lab.tool("prometheus"):
            pytest.skip("prometheus is not installed")
        self.port, self.log = lab.free_port(), os.path.join(box, "prometheus.log")
        conf = written(box, "prometheus.yml", {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "rule_files": [ALERTS],
            "scrape_configs": [{"job_name": "ocspcached", "static_configs": [
                {"targets": ["127.0.0.1:%d" % d.api_port]}]}]})
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [lab.tool("prometheus"), "--config.file", conf, "--storage.tsdb.path", os.path.join(box, "tsdb"),
                 "--web.listen-address", "127.0.0.1:%d" % self.port], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        lab.wait(self.ready, 20, "prometheus")

    def ready(self):
        try:
            with urllib.request.urlopen("http://127.0.0.1:%d/-/ready" % self.port, timeout=10):
                return True
        except OSError:
            return False

    def query(self, expression):
        """[labels] of what an expression gives now."""
        url = "http://127.0.0.1:%d/api/v1/query?query=%s" % (self.port, urllib.parse.quote(expression))
        with urllib.request.urlopen(url, timeout=10 * lab.PATIENCE) as r:
            return [v["metric"] for v in json.load(r)["data"]["result"]]

    def stop(self):
        self.process.terminate()
        self.process.wait()


@pytest.fixture
def prometheus(box):
    made = []

    def start(d):
        made.append(Prometheus(box, d))
        return made[-1]
    yield start
    for p in made:
        p.stop()


@pytest.mark.long
def test_a_real_prometheus_draws_the_dashboard(everything, prometheus):
    """Each of its curves has values, with the labels that its legend names."""
    p = prometheus(everything)
    missing = {(e, legend) for _, e, legend in queries(interval="10s")}

    def drawn():
        for e, legend in sorted(missing):
            found = p.query(e)
            if found:
                wanted = set(re.findall(r"{{(\w+)}}", legend))
                assert all(wanted <= set(labels) for labels in found), (e, legend, found)
                missing.discard((e, legend))
        return not missing
    try:
        lab.wait(drawn, 20, "curves")
    except AssertionError as e:
        raise AssertionError("%s: %r" % (e, sorted(missing)))


@pytest.mark.long
def test_a_real_prometheus_sees_what_went_wrong(box, world, daemons, publisher, redis, prometheus):
    """A Redis that goes away, a list that is refused and one that is not there, a responder that is down and a reload
    with mistakes: each has its alert, which names its subject."""
    crl = [publisher.publish("a.crl", lists.crl(world.ca)), publisher.url("nothing.crl")]
    d = daemons([world.issuer(crl=crl, **{"crl-interval": "1s"})], store=redis.url, crl_backoff_max="500ms",
                backoff_initial="200ms").start(ready=False)
    d.wait_number(crl[0], 1)
    p = prometheus(d)
    lab.wait(lambda: p.query("up == 1"), 20, "the first values")
    assert not p.query('ALERTS{alertname!="OcspcachedCrlFetchFailing"}')
    publisher.publish("a.crl", lists.crl(lab.CA("demo CA"), number=2))
    world.responder.stop()
    d.ask(world.ca, world.good.serial)
    redis.stop()
    d.write(open(d.conf).read() + "nonsense = 1\n")
    d.reload(good=False)
    expected = {"ReloadFailed": {}, "StoreDown": {}, "CrlRefused": {"issuer": "demo"}, "CrlFetchFailing":
                {"issuer": "demo", "reason": "upstream_http"}, "ResponderDown": {"issuer": "demo", "url":
                                                                                 world.responder.url}}
    for name, labels in expected.items():
        match = "".join(',%s="%s"' % kv for kv in labels.items())
        lab.wait(lambda q='ALERTS{alertname="Ocspcached%s"%s}' % (name, match): p.query(q), 20, name)
