#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes the dashboards beside it: make.py [DIRECTORY].

They are for series named warren_*, which ../prometheus/prometheus.yml makes of
what warren, collectd's write_prometheus and Telegraf's prometheus_client bring,
and ../prometheus/rules.yml of RabbitMQ's own: one set for all four. Colours
change at the limits of the rules.

Not opened in a Grafana here. tests/integration/test_prometheus.py checks their
shape, and asks a Prometheus that real series feed for every query.
"""

import json
import pathlib
import sys

RED, AMBER, GREEN, BLUE = "red", "orange", "green", "blue"
M, P, C = "warren_monitor_", "warren_publish_", "warren_consume_"
OF_CLUSTER = 'cluster=~"$cluster",node="",vhost="",queue=""'
OF_NODE = 'cluster=~"$cluster",node!=""'
OF_QUEUE = 'cluster=~"$cluster",vhost=~"$vhost",queue=~"$queue",queue!=""'
OF_BLOCK = 'block=~"$block"'
# The parts of the error rate: ours, what RabbitMQ calls them, words.
ERRORS = (
    ("returned", "unroutable_returned", "returned"),
    ("dropped_unroutable", "unroutable_dropped", "dropped as unroutable"),
    ("unconfirmed", None, "unconfirmed"),
    ("own_nack", None, "refused to our publishers"),
    ("own_dropped", None, "dropped by our publishers"),
    ("redelivered", "redelivered", "redelivered"),
    ("dead_lettered_rejected", "dead_lettered_rejected", "dead: rejected"),
    ("dead_lettered_expired", "dead_lettered_expired", "dead: expired"),
    ("dead_lettered_maxlen", "dead_lettered_maxlen", "dead: queue full"),
    ("dead_lettered_delivery_limit", "dead_lettered_delivery_limit",
     "dead: delivered too often"))


def cluster(name):
    return f"max by (cluster) ({M}{name}{{{OF_CLUSTER}}})"


def node(name):
    return f"max by (cluster, node) ({M}{name}{{{OF_NODE}}})"


def queue(name, top="$top"):
    return f"topk({top}, max by (vhost, queue) ({M}{name}{{{OF_QUEUE}}}))"


def queue_rate(name):
    return (f"topk($top, max by (vhost, queue) (rate("
            f"{M}operations_{name}_total{{{OF_QUEUE}}}[$__rate_interval])))")


def errors(kind, of_rabbitmq):
    """Of a cluster that Warren does not watch, what RabbitMQ says itself; None =
    nothing."""
    told = (f"max by (cluster) (rate({M}events_{kind}_total{{{OF_CLUSTER}}}"
            "[$__rate_interval]))")
    if of_rabbitmq is None:
        return told
    return (f"{told} or sum by (cluster) (rate(rabbitmq_global_messages_{of_rabbitmq}"
            '_total{cluster=~"$cluster"}[$__rate_interval]))')


def block(name):
    return f"max by (instance, block) ({name}{{{OF_BLOCK}}})"


def block_rate(*names):
    parts = (f"rate({n}{{{OF_BLOCK}}}[$__rate_interval])" for n in names)
    return "sum by (instance, block) (" + " + ".join(parts) + ")"


def steps(*limits):
    """Colours from a value on: (colour, from), the first one from nothing."""
    return {"mode": "absolute",
            "steps": [{"color": c, "value": v} for c, v in limits]}


def rising(warning, failure):
    """Green, amber from warning on (None = never), red from failure on."""
    between = [] if warning is None else [(AMBER, warning)]
    return steps((GREEN, None), *between, (RED, failure))


PLAIN = steps((BLUE, None))
FALLEN = steps((RED, None), (GREEN, 1))


def panel(kind, title, what, targets, unit, width, height, limits=PLAIN, **more):
    """`targets` are (query, legend)."""
    field = {"unit": unit, "thresholds": limits,
             "color": {"mode": "thresholds"}, **more.pop("field", {})}
    return {
        "type": kind, "title": title, "description": what,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"w": width, "h": height},
        "fieldConfig": {"defaults": field, "overrides": []},
        "options": more.pop("options", {}), **more,
        "targets": [{"refId": chr(ord("A") + i), "expr": query,
                     "legendFormat": legend}
                    for i, (query, legend) in enumerate(targets)]}


def stat(title, what, query, unit, limits, words=None):
    """One number, red where it is bad; `words` says instead of 0 and 1."""
    field = {"noValue": "not known"}
    if words:
        field["mappings"] = [{"type": "value", "options": {
            str(i): {"text": text, "index": i} for i, text in enumerate(words)}}]
    return panel("stat", title, what, [(query, "")], unit, 3, 4, limits, field=field,
                 options={"colorMode": "background", "graphMode": "area",
                          "reduceOptions": {"calcs": ["lastNotNull"]}})


def graph(title, what, unit, *targets, limits=None, width=12):
    """Lines over time; with limits they are drawn, too."""
    custom = {"lineWidth": 2, "fillOpacity": 8, "showPoints": "never",
              "thresholdsStyle": {"mode": "line" if limits else "off"}}
    return panel("timeseries", title, what, targets, unit, width, 8, limits or PLAIN,
                 field={"color": {"mode": "palette-classic"}, "custom": custom,
                        "min": 0},
                 options={"legend": {"displayMode": "list", "placement": "bottom"},
                          "tooltip": {"mode": "multi", "sort": "desc"}})


def bars(title, what, unit, query, legend, limits, width=12):
    """The newest values, longest first."""
    return panel("bargauge", title, what, [(query, legend)], unit, width, 8, limits,
                 field={"min": 0},
                 options={"displayMode": "gradient", "orientation": "horizontal",
                          "reduceOptions": {"calcs": ["lastNotNull"]}})


def row(title):
    return {"type": "row", "title": title, "collapsed": False, "panels": [],
            "gridPos": {"w": 24, "h": 1}}


def laid_out(panels):
    """Left to right, top to bottom, and an id for each."""
    x = y = height = 0
    for number, p in enumerate(panels, 1):
        at = p["gridPos"]
        if x + at["w"] > 24:
            x, y, height = 0, y + height, 0
        p["id"], at["x"], at["y"] = number, x, y
        x, height = x + at["w"], max(height, at["h"])
    return panels


def variable(name, label, query, many=True):
    return {"name": name, "label": label, "type": "query", "query": query,
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "refresh": 2, "sort": 1, "multi": many, "includeAll": many,
            **({"allValue": ".*", "current": {"text": "All", "value": "$__all"}}
               if many else {})}


ABOUT = ("For the names that contrib/prometheus of Warren gives to the series of "
         "warren, collectd and Telegraf, and to RabbitMQ's own. Made by "
         "contrib/grafana/make.py; never opened in a Grafana by its tests, which "
         "run every query.")


def dashboard(uid, title, variables, panels):
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource",
              "query": "prometheus"}
    return {
        "uid": uid, "title": title, "description": ABOUT, "tags": ["rabbitmq", "warren"],
        "schemaVersion": 37, "version": 1, "editable": True, "timezone": "browser",
        "time": {"from": "now-1h", "to": "now"}, "refresh": "30s",
        "links": [{"type": "dashboards", "title": "RabbitMQ", "tags": ["warren"],
                   "asDropdown": False, "keepTime": True, "includeVars": True}],
        "templating": {"list": [source, *variables]},
        "annotations": {"list": []}, "panels": laid_out(panels)}


CLUSTER = variable("cluster", "Cluster",
                   f"label_values({M}bool_reachable, cluster)", many=False)
TOP = {"name": "top", "label": "Longest", "type": "custom", "query": "10,20,50",
       "current": {"text": "10", "value": "10"}}


def overview():
    return dashboard("warren-overview", "RabbitMQ: the five indicators", [CLUSTER], [
        stat("Reachable", "Whether anybody answers at a URL.",
             cluster("bool_reachable"), "none", FALLEN, ("no", "yes")),
        stat("Nodes that run", "Of those that the cluster has.",
             f"{cluster('nodes_running')} / {cluster('nodes')}",
             "percentunit", FALLEN),
        stat("Memory or disk alarm", "Of any node: it blocks the publishers of all.",
             f"max by (cluster) ({{__name__=~\"{M}bool_(memory|disk)_alarm\","
             f"{OF_NODE}}})", "none", rising(None, 1), ("none", "alarm")),
        stat("Alerts", "Failures that Prometheus says now.",
             'count(ALERTS{alertstate="firing",severity="failure",'
             'cluster=~"$cluster"}) or vector(0)', "none", rising(None, 1)),
        stat("Backlog", "Messages ready and unacknowledged, of all queues.",
             f"{cluster('queue_length_ready')} + {cluster('queue_length_unacked')}",
             "short", rising(None, 50000)),
        stat("Errors", "Share of the operations of the last minute; nothing where "
             "there were none.", cluster("percent_error_rate"), "percent",
             rising(None, 3)),
        stat("Fullest memory", "Of the node that is nearest to its limit.",
             f"max by (cluster) ({M}percent_memory{{{OF_NODE}}})", "percent",
             rising(80, 95)),
        stat("Publish rate below usual", "Against its own baseline; nothing while "
             "that is learned.", cluster("percent_throughput_drop"), "percent",
             rising(30, 50)),
        row("Connection status"),
        graph("Connections", "Open, and those that an alarm holds.", "short",
              (cluster("current_connections_open"), "open"),
              (cluster("current_connections_blocked"), "blocked")),
        graph("Usable, and how fast it answers", "The probe's message, and the "
              "management API or the Prometheus plugins.", "s",
              (cluster("latency_probe_confirm"), "probe confirmed"),
              (cluster("response_time_management"), "management"),
              (cluster("response_time_prometheus"), "Prometheus")),
        row("Lag"),
        graph("Messages that wait", "Ready and unacknowledged.", "short",
              (cluster("queue_length_ready"), "ready"),
              (cluster("queue_length_unacked"), "unacknowledged")),
        graph("How late", "The oldest message at the head of a queue; the probe's "
              "way; consumers on the monitor's host.", "s",
              (f"max by (cluster) ({M}duration_head_age{{cluster=~\"$cluster\"}})",
               "oldest message"),
              (cluster("latency_probe_delivery"), "probe"),
              (cluster("latency_consumer_delivery"), "consumer p95"),
              limits=rising(None, 300)),
        row("Error rate"),
        graph("Errors", "Share of the operations.", "percent",
              (cluster("percent_error_rate"), "errors"), limits=rising(None, 3)),
        graph("Errors by kind", "Messages a second. What is unconfirmed, and what our "
              "own publishers were refused or dropped, only Warren tells; their "
              "refusals are among the unconfirmed.", "cps",
              *((errors(kind, of_rabbitmq), words)
                for kind, of_rabbitmq, words in ERRORS)),
        row("Resource use"),
        graph("Memory", "Of the limit where the alarm blocks publishers.", "percent",
              (node("percent_memory"), "{{node}}"), limits=rising(80, 95), width=8),
        graph("File handles and processes", "Of what the node may have.", "percent",
              (node("percent_file_handles"), "{{node}} files"),
              (node("percent_processes"), "{{node}} processes"),
              limits=rising(80, 90), width=8),
        graph("Disk that is free", "And the limit where the alarm blocks publishers.",
              "bytes", (node("bytes_disk_free"), "{{node}}"),
              (node("bytes_disk_limit"), "{{node}} limit"), width=8),
        row("Throughput"),
        graph("Messages", "A second.", "cps",
              (cluster("publish_rate"), "published"),
              (cluster("deliver_rate"), "delivered"),
              (cluster("ack_rate"), "acknowledged")),
        graph("Publish rate below usual", "", "percent",
              (cluster("percent_throughput_drop"), "below the baseline"),
              limits=rising(30, 50))])


def queues():
    def values(name, *labels):
        return (f"label_values({M}queue_length_ready{{{','.join(labels)}}}, {name})")
    of = [CLUSTER,
          variable("vhost", "Virtual host",
                   values("vhost", 'cluster="$cluster"', 'queue!=""')),
          variable("queue", "Queue",
                   values("queue", 'cluster="$cluster"', 'vhost=~"$vhost"')), TOP]
    name = "{{vhost}} {{queue}}"
    return dashboard("warren-queues", "RabbitMQ: queues", of, [
        bars("Longest", "Messages ready.", "short", queue("queue_length_ready"), name,
             rising(None, 50000)),
        bars("Messages and no consumer", "Nobody takes these.", "short",
             f"topk($top, max by (vhost, queue) ({M}queue_length_ready{{{OF_QUEUE}}}) > 0"
             f" and on (vhost, queue) (max by (vhost, queue) "
             f"({M}consumers{{{OF_QUEUE}}}) == 0))", name, rising(None, 1)),
        graph("Ready", "", "short", (queue("queue_length_ready"), name),
              limits=rising(None, 50000)),
        graph("Unacknowledged", "Delivered, and not answered for yet.", "short",
              (queue("queue_length_unacked"), name)),
        graph("Oldest message", "At the head of the queue; classic queues, messages "
              "with a timestamp.", "s", (queue("duration_head_age"), name),
              limits=rising(None, 300)),
        graph("Empty in", "If it goes on as now; nothing while it grows.", "s",
              (queue("duration_drain"), name)),
        graph("Published", "", "cps", (queue_rate("publish"), name), width=8),
        graph("Delivered", "", "cps", (queue_rate("deliver"), name), width=8),
        graph("Delivered again", "Rejected, or their consumer went away.", "cps",
              (queue_rate("redeliver"), name), width=8),
        graph("Consumers", "", "short", (queue("consumers"), name), width=8),
        graph("Consumers ready to take", "Share of the time.", "percent",
              (queue("percent_consumer_capacity"), name), width=8),
        graph("Memory", "", "bytes", (queue("bytes_memory"), name), width=8)])


def clients():
    name = "{{block}} on {{instance}}"
    gone = [f"{P}operations_{w}_total" for w in
            ("returned", "rejected", "expired", "dropped_overflow", "dropped_encode",
             "dropped_damaged", "dropped_shutdown")]
    refused = [f"{C}operations_rejected_{w}_total" for w in
               ("oversized", "malformed", "empty", "encoding", "content_type", "parse",
                "user_id", "mixed", "refused", "memory", "dispatch", "timeout")]
    return dashboard("warren-clients", "RabbitMQ: publishers and consumers", [
        variable("block", "Block", 'label_values({__name__=~"warren_(publish|consume)_'
                 'bool_connected"}, block)')], [
        row("Publishers"),
        bars("Connected", "Of each publisher.", "bool_yes_no",
             block(f"{P}bool_connected"), name, FALLEN, width=6),
        graph("Messages that wait", "In memory, on their way, on disk.", "short",
              (block(f"{P}queue_length_outbox"), f"{name}: memory"),
              (block(f"{P}queue_length_in_flight"), f"{name}: on their way"),
              (block(f"{P}queue_length_spooled"), f"{name}: disk"), width=18),
        graph("Accepted and confirmed", "Messages a second.", "cps",
              (block_rate(f"{P}operations_accepted_total"), f"{name}: accepted"),
              (block_rate(f"{P}operations_confirmed_total"), f"{name}: confirmed"),
              width=8),
        graph("Lost", "Returned, rejected, expired or dropped for good; of warren "
              "publish also where an application was told so (502).", "cps",
              (block_rate(*gone), name), width=8),
        graph("Time to confirm", "", "s",
              *((block(f"{P}latency_confirm_{p}"), f"{name}: {p}")
                for p in ("p50", "p95", "p99")), width=8),
        row("Messages by HTTP"),
        bars("Answers", "Each warren publish --listen that Prometheus asks.",
             "bool_yes_no", 'max by (instance) (up{job="warren_publish"})',
             "{{instance}}", FALLEN, width=6),
        graph("Answers by status", "A second, of any path. 200 is confirmed, 202 on "
              "disk, 502 refused by the broker, 503 no room, 504 nothing heard in time.",
              "cps",
              *((block_rate(f"{P}http_response_codes_{status}_total"),
                 f"{name}: {status}")
                for status in (200, 202, 400, 413, 502, 503, 504)), width=18),
        graph("Not taken", "Share of the requests with a message that were answered "
              "502, 503 or 504.", "percent",
              (f"100 * {block_rate(f'{P}requests_http_publish_failed_total')} / "
               f"{block_rate(f'{P}requests_http_publish_total')}", name),
              limits=rising(None, 3)),
        graph("Clients", "Connected, and requests that wait for their answer.", "short",
              (block(f"{P}current_connections_http"), f"{name}: connected"),
              (block(f"{P}queue_length_http_waiting"), f"{name}: waiting")),
        row("Consumers"),
        bars("Connected", "Of each consumer.", "bool_yes_no",
             block(f"{C}bool_connected"), name, FALLEN, width=6),
        graph("In hand", "Deliveries that are not acknowledged yet, and values that "
              "collectd has not written.", "short",
              (block(f"{C}queue_length_unacked"), f"{name}: unacknowledged"),
              (block(f"{C}queue_length_outstanding_values"), f"{name}: values"),
              width=18),
        graph("Delivered and acknowledged", "Messages a second.", "cps",
              (block_rate(f"{C}operations_delivered_total"), f"{name}: delivered"),
              (block_rate(f"{C}operations_acked_total"), f"{name}: acknowledged"),
              width=8),
        graph("Refused", "Not readable, not allowed, not taken by collectd or not "
              "written in time.", "cps",
              (block_rate(*refused), f"{name}: rejected"),
              (block_rate(f"{C}operations_requeued_total"), f"{name}: requeued"),
              width=8),
        graph("Publish to settled", "", "s",
              *((block(f"{C}latency_delivery_{p}"), f"{name}: {p}")
                for p in ("p50", "p95", "p99")), width=8)])


def main():
    here = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                        pathlib.Path(__file__).parent)
    for name, make in (("overview", overview), ("queues", queues),
                       ("clients", clients)):
        text = json.dumps(make(), indent=1, ensure_ascii=False)
        (here / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
