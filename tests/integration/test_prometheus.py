# SPDX-License-Identifier: MIT
"""Seen at a glance, woken by: contrib's Prometheus, Alertmanager and Grafana
files, with the real programs (but Grafana) and what real agents say of a real
broker. One world for all tests: a broker with traffic, observed by each agent
under a name of its own, and a Prometheus that asks all of them."""

import itertools
import json
import re
import subprocess
import time

import pytest

from rig import modules as warren
from rig.collectd import Daemon, block, built_program, plugin
from rig.listen import Listener
from rig.ports import free_ports
from rig.prometheus import CONTRIB, Alertmanager, Hooks, Prometheus, Textfile
from rig.traffic import Consumer, Publisher
from rig.waiting import wait_for
from rig.web import Web

SOURCES = CONTRIB.parent
READY = 7
BACKLOG = 50_000  # the limit in rules.yml
DASHBOARDS = ("overview", "queues", "clients")
M = "warren_monitor_"


def run(*argv):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def fill(vhost, queue, count):
    with vhost.connect() as connection:
        channel = connection.channel()
        for _ in range(count):
            channel.basic_publish("", queue, b"x")


def collectd_agent(directory, built, broker, vhost):
    """The three modules and write_prometheus in one daemon: (daemon, address)."""
    port, = free_ports(1)
    daemon = Daemon(
        str(directory), built, [
            "load", "rabbitmq_monitor", "rabbitmq_publish", "rabbitmq_consume",
            "write_prometheus"], [
            plugin("write_prometheus", Host="127.0.0.1", Port=str(port)),
            warren.monitor(warren.cluster_block(
                "collectd", broker,
                warren.probe_block(broker, vhost.name, Interval=1, Timeout=1),
                block("Baseline", Window=60, Learn=5),
                Interval=1)),
            warren.publish(warren.publish_block(
                "out", broker, vhost.name, Exchange="metrics")),
            warren.consume(warren.subscribe_block(
                "in", broker, vhost.name, Exchange="metrics", Queue="values"))])
    return daemon, f"127.0.0.1:{port}"


def telegraf_said(handler):
    """What outputs.prometheus_client of Telegraf 1.37.2 said of such a broker,
    with warren monitor in its inputs.execd."""
    handler.reply(200, (SOURCES / "tests" / "fixtures" / "prometheus" /
                        "telegraf.prom").read_bytes(), **{
                            "Content-Type": "text/plain; version=0.0.4"})


class World:
    """What the tests look at."""

    def __init__(self, vhost, collectd, listener, prometheus, hooks, alertmanager):
        self.vhost, self.collectd, self.listener = vhost, collectd, listener
        self.prometheus, self.hooks = prometheus, hooks
        self.alertmanager = alertmanager


@pytest.fixture(scope="module")
def world(broker, build, built, tmp_path_factory):
    where = tmp_path_factory.mktemp("world")
    with broker.vhost("glance/1") as vhost, Hooks() as hooks, \
            Alertmanager(where / "alertmanager", hooks.url) as alertmanager:
        vhost.exchange("metrics", "fanout")
        vhost.exchange("nowhere")
        for queue in ("orders", "taken"):
            vhost.queue(queue)
        for _ in range(READY):
            vhost.publish("", "orders", b"x", timestamp=int(time.time()))
        fill(vhost, "taken", 2000)
        vhost.queue("log", x_queue_type="stream")
        fill(vhost, "log", READY)
        collectd, collectd_at = collectd_agent(where / "collectd", built, broker,
                                               vhost)
        with collectd, \
                Publisher(vhost, "", "taken", 10), \
                Consumer(vhost, "taken", delay=0.02), \
                Publisher(vhost, "nowhere", "x", 5, mandatory=True), \
                Textfile(where / "warren", built_program(build, "warren"),
                         "--name", "warren", "--url", broker.url,
                         "--metrics-url", broker.metrics_url) as textfile, \
                Listener(build, broker, vhost, str(where), spool_dir=where / "spool",
                         spool_mode="always") as listener, \
                Web(telegraf_said) as telegraf, \
                Prometheus(where / "prometheus", alertmanager.address,
                           warren=textfile.address, collectd=collectd_at,
                           warren_publish=listener.address,
                           telegraf=telegraf.url.removeprefix("http://"),
                           rabbitmq=f"127.0.0.1:{broker.prometheus_port}",
                           rabbitmq_queues=f"127.0.0.1:{broker.prometheus_port}",
                           ) as prometheus:
            yield World(vhost, collectd, listener, prometheus, hooks, alertmanager)


# -- the files by themselves --------------------------------------------------

def test_the_rules_pass_their_unit_tests():
    there = CONTRIB / "prometheus"
    run("promtool", "check", "config", there / "prometheus.yml")
    run("promtool", "test", "rules", there / "rules_test.yml")


def alert_rules():
    """[{alert, expr, for, keep_firing_for, indicator, priority, severity}] of
    rules.yml, whose seconds are numbers."""
    text = (CONTRIB / "prometheus" / "rules.yml").read_text("utf-8")
    found = []
    for rule in text.split("      - alert: ")[1:]:
        said = dict(re.findall(r"(?m)^ +(\w+): (\w\S*)$", rule))
        for key in "for", "keep_firing_for":
            number, unit = re.fullmatch(r"(\d+)([sm])", said.get(key, "0s")).groups()
            said[key] = int(number) * (60 if unit == "m" else 1)
        expr = re.search(r"expr: >-\n((?: {10}.*\n)+)", rule)[1]
        found.append(said | {"alert": rule.split("\n")[0], "expr": expr})
    return found


def of_monitor(pattern):
    text = (SOURCES / "common" / "broker" / "alert_kind.c").read_text("utf-8")
    return re.findall(pattern, text)


def test_holds_and_priorities_are_those_of_the_monitor():
    habits = {kind.lower().replace("_", "-"): (priority, int(hold), int(clear))
              for kind, priority, hold, clear in of_monitor(
                  r"\[RMQ_ALERT_(\w+)\] = \{RMQ_ALERT_(P\d), (\d+), (\d+)\}")}
    ours = [r for r in alert_rules() if r["alert"].startswith("RabbitMQ")]
    assert {r["indicator"] for r in ours} == set(habits)
    for r in ours:
        assert (r["priority"], r["for"], r["keep_firing_for"]) == \
            habits[r["indicator"]], r


def test_limits_are_those_of_the_monitor():
    """Of those that are numbers; a bool is bad or it is not."""
    said = set()
    for type_, instance, warning, failure in of_monitor(
            r'"(\w+)",\s*"(\w+)",\s*get_\w+,\s*(\d+),\s*(\d+)'):
        name = {"certificate_days": "certificate_expiry"}.get(
            instance, instance if type_ == "gauge" else f"{type_}_{instance}")
        for severity, limit in ("warning", warning), ("failure", failure):
            if limit != "0" and type_ != "bool":
                said.add((name, severity, limit))
    assert len(said) >= 25
    rules = alert_rules()
    for name, severity, limit in said:
        assert any(r["severity"] == severity and f"{M}{name}" in r["expr"]
                   and re.search(rf"[<>]= {limit}\b", r["expr"]) for r in rules), \
            (name, severity, limit)


@pytest.mark.parametrize("priority, receiver", [
    ("P0", "page"), ("P1", "team"), ("P2", "digest"), ("", "team")])
def test_an_alert_goes_where_its_priority_says(priority, receiver):
    sample = CONTRIB / "alertmanager" / "alertmanager.yml"
    run("amtool", "check-config", sample)
    labels = [f"priority={priority}"] if priority else []
    assert run("amtool", "config", "routes", "test", f"--config.file={sample}",
               *labels, "cluster=main").split() == [receiver]


# -- dashboards ---------------------------------------------------------------

def dashboard(name):
    return json.loads((CONTRIB / "grafana" / f"{name}.json").read_text("utf-8"))


def test_the_dashboards_are_what_the_generator_writes(tmp_path):
    run("/usr/bin/python3", CONTRIB / "grafana" / "make.py", tmp_path)
    for name in DASHBOARDS:
        there = (CONTRIB / "grafana" / f"{name}.json").read_text("utf-8")
        assert (tmp_path / f"{name}.json").read_text("utf-8") == there, name


def overlap(a, b):
    return (a["x"] < b["x"] + b["w"] and b["x"] < a["x"] + a["w"]
            and a["y"] < b["y"] + b["h"] and b["y"] < a["y"] + a["h"])


@pytest.mark.parametrize("name", DASHBOARDS)
def test_a_dashboard_has_the_shape_that_grafana_reads(name):
    board = dashboard(name)
    assert re.fullmatch("warren-[a-z]+", board["uid"]) and board["title"]
    assert board["schemaVersion"] >= 37
    panels = board["panels"]
    assert len({p["id"] for p in panels}) == len(panels) <= 30
    for p, q in itertools.combinations(panels, 2):
        assert not overlap(p["gridPos"], q["gridPos"]), (p["title"], q["title"])
    names = {v["name"] for v in board["templating"]["list"]}
    assert "datasource" in names
    for p in panels:
        assert p["title"]
        at = p["gridPos"]
        assert 0 <= at["x"] and at["x"] + at["w"] <= 24 and at["h"] > 0
        if p["type"] == "row":
            continue
        assert p["type"] in ("stat", "timeseries", "bargauge")
        assert p["datasource"]["uid"] == "${datasource}"
        defaults = p["fieldConfig"]["defaults"]
        assert defaults["unit"]
        levels = [s["value"] for s in defaults["thresholds"]["steps"]]
        assert levels[0] is None and levels[1:] == sorted(levels[1:])
        assert len({t["refId"] for t in p["targets"]}) == len(p["targets"]) > 0
        for t in p["targets"]:
            used = set(re.findall(r"\$(\w+)", t["expr"]))
            assert used <= names | {"__rate_interval"}, t["expr"]


def limits_of_rules():
    """{series: limits} of the alerts in rules.yml."""
    text = (CONTRIB / "prometheus" / "rules.yml").read_text("utf-8")
    found = {}
    for series, limit in re.findall(r"(warren_monitor_\w+)[^\n]*\) >= ([\d.]+)",
                                    text):
        found.setdefault(series, set()).add(float(limit))
    return found


def test_colours_change_where_the_alerts_begin():
    rules, seen = limits_of_rules(), 0
    for p in itertools.chain(*(dashboard(n)["panels"] for n in DASHBOARDS)):
        for t in p.get("targets", []):
            series = set(re.findall(r"warren_monitor_percent_\w+", t["expr"]))
            levels = {s["value"] for s in p["fieldConfig"]["defaults"]
                      ["thresholds"]["steps"]} - {None}
            for s in series & set(rules):
                if levels:
                    assert levels == rules[s], (p["title"], s)
                    seen += 1
    assert seen >= 8


def test_errors_by_kind_of_rabbitmq_alone_are_those_of_its_error_rate():
    rules = (CONTRIB / "prometheus" / "rules.yml").read_text("utf-8")
    rate = re.search(r"- record: warren:rabbitmq_errors:rate1m\n(.*?)- record:",
                     rules, re.DOTALL)[1]
    panel = next(p for p in dashboard("overview")["panels"]
                 if p["title"] == "Errors by kind")
    told = set(re.findall(r"rabbitmq_global_\w+",
                          " ".join(t["expr"] for t in panel["targets"])))
    assert told == set(re.findall(r"rabbitmq_global_\w+", rate)) != set()


# -- every query of every panel -----------------------------------------------

# What an agent cannot tell: regular expressions of queries, and why. What one of
# them does not tell another one does: every query has an answer.
MISSING = {
    "warren": {    # asks RabbitMQ's metrics
        r"latency_(probe|consumer)": "has no probe, and no consumer beside it",
        r"percent_throughput_drop": "is learned for two minutes",
        r"events_own_": "is not in the daemon that publishes",
        r"warren_monitor_operations_\w+_total": "not told of a queue before 4.0"},
    "collectd": {  # asks the management API
        r"prometheus|dead_lettered|unconfirmed": "known to RabbitMQ's metrics only"},
    "telegraf": {  # the same, of a broker with three queues, for eight seconds
        r"prometheus|dead_lettered|unconfirmed|percent_throughput_drop|latency_":
        "not asked for",
        r"events_own_": "is not in the daemon that publishes"},
    "main": {      # RabbitMQ's own series
        r"current_connections_blocked|latency_|response_time_": "not told",
        r"duration_(head_age|drain)": "not told",
        r"events_(own_|unconfirmed)": "not told, or as a difference only",
        r"warren_monitor_operations|percent_consumer_capacity|bytes_memory\{": "not told "
        "of a queue"}}


def queries():
    """Each query once, with the dashboard's variables left in."""
    found = {}
    for name in DASHBOARDS:
        for p in dashboard(name)["panels"]:
            for t in p.get("targets", []):
                found[t["expr"]] = f"{name}: {p['title']}"
    return found


def filled_in(query, cluster):
    for name, value in (("cluster", cluster), ("vhost", "glance.*|/"),
                        ("queue", ".*"), ("block", ".*"), ("top", "10"),
                        ("__rate_interval", "15s")):
        query = query.replace(f"${name}", value)
    return query


def test_every_query_of_every_panel_has_an_answer(world):
    def unanswered():
        left = []
        for cluster, missing in MISSING.items():
            for query, where in queries().items():
                if any(re.search(m, query) for m in missing):
                    continue
                if not world.prometheus.query(filled_in(query, cluster)):
                    left.append((cluster, where, query))
        return left
    try:
        wait_for(lambda: not unanswered(), 90, "all queries have an answer", pause=1)
    except AssertionError:
        raise AssertionError(unanswered()) from None


def test_no_query_is_excused_everywhere():
    for query, where in queries().items():
        assert not all(any(re.search(m, query) for m in missing)
                       for missing in MISSING.values()), (where, query)


def test_all_agents_say_the_same_of_one_queue(world):
    def told(name):
        return {labels["cluster"]: value for labels, value in world.prometheus.query(
            f'max by (cluster) ({M}{name}{{queue="orders"}})')}
    everybody = dict.fromkeys(MISSING, READY)
    wait_for(lambda: told("queue_length_ready") == everybody, 60,
             "all tell the length")
    wait_for(lambda: told("consumers") == dict.fromkeys(MISSING, 0), 60,
             "all tell that nobody consumes")
    for labels, _ in world.prometheus.query(
            f'{M}queue_length_ready{{queue="orders",source=""}}'):
        assert set(labels) - {"host"} == {"__name__", "cluster", "vhost", "queue",
                                          "instance", "job"}


def test_what_a_stream_keeps_is_no_backlog_of_rabbitmq_alone(world):
    def told(name, queue):
        return world.prometheus.query(f'{name}{{queue="{queue}",cluster="main"}}')
    wait_for(lambda: [v for _, v in told("rabbitmq_detailed_queue_messages_ready",
                                         "log")] == [READY], 60, "RabbitMQ tells it")
    # An evaluation after that one has seen both queues.
    wait_for(lambda: told("warren:rabbitmq_streams", "log")
             and told(f"{M}queue_length_ready", "orders"), 60, "so do the rules")
    for name in "queue_length_ready", "queue_length_unacked":
        assert not told(M + name, "log")


def series_of(world, job, count):
    """The names of a job's series, once there are more than that."""
    names = {labels["__name__"] for labels, _ in world.prometheus.query(
        f'group by (__name__) ({{__name__=~"warren_.*",job="{job}"}})')}
    return len(names) > count and names


def test_each_series_has_the_name_that_the_manual_tells(world):
    told = set()
    for module in "publish", "consume", "monitor":
        manual = (SOURCES / "plugins" / f"rabbitmq_{module}.pod").read_text("utf-8")
        told |= set(re.findall("Prometheus C<(.*?)>", manual))
    told.add("warren_monitor_alert")
    for job in "warren", "collectd", "telegraf":
        names = wait_for(lambda j=job: series_of(world, j, 50), 60,
                         f"all that {job} tells")
        assert names <= told, (job, names - told)
    server = (SOURCES / "plugins" / "warren.pod").read_text("utf-8")
    told |= set(re.findall(r"(?m)^  (warren_publish_\w+) ", server))
    names = {re.sub(r"codes_\w+_total", "codes_STATUS_total", name) for name in
             wait_for(lambda: series_of(world, "warren_publish", 35), 60,
                      "all that warren publish tells")}
    assert names <= told, names - told
    # Nothing is left under its old name, and what is not ours has kept its own.
    assert not world.prometheus.query(
        '{__name__=~"(collectd_)?rabbitmq_(monitor|publish|consume)_.*"}')
    for query in ("collectd_load_shortterm", "node_textfile_mtime_seconds"
                  '{file=~".*warren.*"} > time() - 30'):
        wait_for(lambda q=query: world.prometheus.query(q), 60, query)


# -- the loop -----------------------------------------------------------------

def test_a_backlog_is_told_to_the_team_and_so_is_its_end(world):
    """Fault, indicator, Prometheus, Alertmanager, webhook, and back."""
    queue, observer = "piled/up", "warren"

    def told(status):
        return [a for a in world.hooks.heard("/team", "RabbitMQBacklog", status)
                if a["labels"]["cluster"] == observer]
    world.vhost.queue(queue)
    fill(world.vhost, queue, BACKLOG - 1)
    wait_for(lambda: world.prometheus.get(
        f'sum({M}queue_length_ready{{queue=~"piled.*",cluster="{observer}"}})')
        == BACKLOG - 1, 60, "the indicator shows it")
    assert not told("firing")
    world.vhost.publish("", queue, b"the last straw")
    alert = wait_for(lambda: told("firing"), 60, "the team is told")[0]
    assert alert["labels"]["priority"] == "P1"
    assert f"{BACKLOG} messages wait" in alert["annotations"]["summary"]
    assert alert["annotations"]["runbook"]
    assert not world.hooks.heard("/page", "RabbitMQBacklog", "firing")
    assert not told("resolved")
    world.vhost.delete_queue(queue)
    wait_for(lambda: told("resolved"), 60, "its end is told")


def test_what_applications_cannot_hand_over_is_told_to_the_team(world):
    """Of a real answer; that a server is gone is in rules_test.yml."""
    def told():
        return world.hooks.heard("/team", "WarrenHandoverFails", "firing")
    wait_for(lambda: world.prometheus.get(
        "warren_publish_http_response_codes_502_total") == 0, 60, "none so far")
    assert not told()
    for _ in range(10):
        assert world.listener.ask(
            "POST", "/publish/amq.default/nobody?wait=confirm", "x")[0] == 502
    alert = wait_for(told, 60, "the team is told")[0]
    assert alert["labels"]["block"] == "publish"
    assert alert["labels"]["instance"] == world.listener.address


def test_messages_that_were_answered_202_and_given_up_are_told_to_the_team(world):
    """More than those of the test before, whose senders were told."""
    wait_for(lambda: world.prometheus.query(
        'warren_publish_operations_returned_total{job="warren_publish"}'), 60,
        "it is asked")
    for _ in range(50):
        assert world.listener.ask("POST", "/publish/amq.default/nobody", "x")[0] == 202
    alert = wait_for(lambda: world.hooks.heard("/team", "WarrenPublisherLoses",
                                               "firing"), 90, "the team is told")[0]
    assert alert["labels"]["block"] == "publish"
    assert alert["labels"]["instance"] == world.listener.address


def test_an_outage_pages_and_what_follows_from_it_is_not_told(world):
    """Alertmanager's inhibition, with alerts of a cluster that does not exist."""
    def alert(name, **labels):
        return {"labels": {"alertname": name, "cluster": "gone", **labels}}
    world.alertmanager.tell([
        alert("RabbitMQUnreachable", priority="P0", severity="failure"),
        alert("RabbitMQErrors", priority="P1", severity="failure"),
        {"labels": {"alertname": "RabbitMQErrors", "cluster": "there",
                    "priority": "P1", "severity": "failure"}},
        {"labels": {"alertname": "RabbitMQRateDrop", "cluster": "there",
                    "priority": "P1", "severity": "failure"}},
        {"labels": {"alertname": "RabbitMQRateDrop", "cluster": "there",
                    "priority": "P1", "severity": "warning"}}])

    def told(path, name):
        return {(a["labels"]["cluster"], a["labels"]["severity"])
                for a in world.hooks.heard(path, name, "firing")
                if a["labels"]["cluster"] in ("gone", "there")}
    wait_for(lambda: told("/page", "RabbitMQUnreachable") == {("gone", "failure")}
             and told("/team", "RabbitMQErrors")
             and told("/team", "RabbitMQRateDrop"), 60, "both are told")
    time.sleep(1.5)  # another group_wait
    assert told("/team", "RabbitMQErrors") == {("there", "failure")}
    assert told("/team", "RabbitMQRateDrop") == {("there", "failure")}
