# SPDX-License-Identifier: MIT
"""Drills: a fault is made, and it is looked whether indicator and alert come,
how soon, and whether the alert goes when the fault is over. Before them a quiet
time with ordinary load, in which nothing may be said.

One daemon watches one broker through all of them. The table at the end of the
run is drill, its indicator, seconds until that moved, until FAILURE, until OKAY.
Those of --long are in test_drills_long.py and test_drills_cluster.py.
"""

import json
import math
import os
import pathlib
import re
import time

import pytest

from conftest import IS_LONG
from rig import modules as warren
from rig.collectd import block
from rig.drills import (DETECT_S, INTERVAL_S, LATE_S, MAIN, OKAY, SOON_S, Drill,
                        alerts, start_watch)
from rig.traffic import Consumer, Publisher

QUIET_S = int(os.environ.get("WARREN_LONG_QUIET_S", "600")) if IS_LONG else 60
ERRORS_WINDOW_S = 60
ERRORS = "errors .* % of the operations"
UNROUTABLE = "unroutable, mandatory"
TOP = pathlib.Path(__file__).resolve().parent.parent.parent
# Processor and memory of a host are not the broker's alone where others are busy,
# and there two polls of one that hangs may be far from each other.
RESOURCE = {} if IS_LONG else {
    "Resource": ["memory", "file-handles", "processes", "disk"]}
BACKLOG = {} if IS_LONG else {"Hold": 6}


@pytest.fixture(scope="module")
def watch(_victim, built, tmp_path_factory):
    from conftest import Rig
    if not _victim.is_running():
        _victim.start()
    rig = Rig(built, tmp_path_factory.mktemp("drills"))
    yield start_watch(rig, _victim, "M", *alerts(
        connection={}, alarm={}, partition={}, resource=RESOURCE,
        backlog={"Failure": 100} | BACKLOG, no_consumer={"Failure": 20}, errors={}))
    rig.close()


@pytest.fixture
def ground(watch, _victim):
    """A virtual host with a queue, ordinary load, and nothing said before."""
    with _victim.vhost(f"drill/{time.monotonic_ns()}") as vhost:
        vhost.queue("q")
        vhost.exchange("x", "direct")
        vhost.bind("x", "q", "q")
        watch.forget()
        yield vhost


@pytest.fixture
def drill(watch, figure):
    """Makes a Drill and notes it when the test has passed."""
    made = []

    def make(name, indicator, alert=None, **how):
        made.append(Drill(watch, figure, name, indicator, alert,
                          assert_bound=IS_LONG, **how))
        return made[-1]
    yield make
    for d in made:
        d.note()


# Every kind there is; limits are the defaults, or as low as those of the drills.
# The publisher shares two processors with the other groups: it may be held up for
# as long as a hold of seconds.
KINDS = dict.fromkeys((
    "connection", "alarm", "partition", "delay", "errors",
    "quorum", "certificate", "auth_failed", "channel_closed"), {}) | {
        "backlog": {"Failure": 100}, "no_consumer": {"Failure": 20},
        "rate_drop": {"Hold": 20}, "resource": RESOURCE}
DROP = "percent-throughput_drop"
AGAIN = 3  # messages to a broker that was restarted


def witness(rig, broker):
    """A daemon that asks in both ways and is ready to say anything there is."""
    def cluster(name, *inner, **options):
        return warren.cluster_block(
            name, broker, *alerts(**KINDS), block("Baseline", Window=240, Learn=20),
            *inner, Interval=INTERVAL_S, Timeout=2, **options)
    return rig.daemon("Q", ["rabbitmq_monitor"], warren.monitor(
        cluster("management", warren.probe_block(broker, "/", Interval=5)),
        cluster("auto", MetricsURL=broker.metrics_url)))


def says_nothing(daemon, figure):
    """It was able to, and did not."""
    record = daemon.record.refresh()
    for name in ("management", "auto"):
        drops = [v for _, v in record.history(f"rabbitmq_monitor-{name}/{DROP}")]
        assert drops, f"{name} knows no drop"
        figure(f"quiet, {name}: the highest {DROP} was {max(drops):.1f}")
    assert record.history("rabbitmq_monitor-management/latency-probe_delivery")
    assert record.notifications == []


def quiet(rig, watch, ground, figure, seconds):
    """Ordinary load; nothing is said but that the errors before are over, and by
    one who did not see them nothing."""
    began = time.monotonic()
    with Publisher(ground, "x", "q", 50) as p, Consumer(ground, "q") as c, \
            witness(rig, watch.broker) as other:
        watch.until(lambda: watch.said(OKAY, ERRORS),
                    ERRORS_WINDOW_S + SOON_S, "errors: OKAY")
        okay = time.monotonic() - began
        time.sleep(max(0, seconds - okay))
        says_nothing(other, figure)
        seconds = time.monotonic() - began
    assert p.failure is None and c.failure is None
    assert p.sent > 0.9 * 50 * seconds, "the load was not there"
    assert [s for s, _, _ in watch.notifications()[watch.seen:]] == [OKAY]
    figure(f"quiet {seconds:.0f} s with {p.sent} messages: nothing was said but "
           f"errors OKAY, {okay:.1f} s after their end")


def test_unroutable_messages_and_then_ordinary_load(
        rig, watch, ground, figure, drill):
    """The error rate is of a minute: so long it may take to pass its limit, and
    so long an error counts."""
    returned = MAIN + "total_events-returned"
    before = watch.series(returned) or 0
    told_before = told_returned(watch.broker)
    unroutable = Publisher(ground, "x", "nowhere", 20, mandatory=True)
    d = drill(UNROUTABLE, "total_events-returned", ERRORS)
    d.provoke(unroutable.begin, lambda: (watch.series(returned) or 0) > before
              and (watch.series(MAIN + "percent-error_rate") or 0) > 0,
              fail_s=20 if IS_LONG else 60,
              known=lambda: told_returned(watch.broker) > told_before)
    unroutable.end()
    watch.until(lambda: watch.series(MAIN + "gauge-publish_rate") == 0, SOON_S,
                "the last of them is counted")
    watch.forget()
    quiet(rig, watch, ground, figure, QUIET_S)
    watch.until(lambda: watch.series(MAIN + "percent-error_rate") in (0, None),
                ERRORS_WINDOW_S + LATE_S, "no error is left in the window")


def told_returned(broker):
    """How many it says it has returned. What is in the answers that the monitor
    reads counts: the broker keeps these for a while."""
    stats = broker.must("GET", "overview").get("message_stats", {})
    return dict(stats).get("return_unroutable", 0)


def told(ground, queue):
    """What its list of queues says of one of them; {} while nothing."""
    return next((q for q in ground.broker.must("GET", "queues")
                 if (q["vhost"], q["name"]) == (ground.name, queue)), {})


def told_ready(ground, queue):
    return told(ground, queue).get("messages_ready", 0)


def consumers_seen(watch, ground, count):
    """Whether that many consumers of q are seen."""
    return watch.series(watch.queue(ground, "q", "gauge-consumers")) == count


def test_consumer_stopped(watch, ground, drill):
    consumers = [Consumer(ground, "q")]
    ready = watch.queue(ground, "q", "queue_length-ready")
    with Publisher(ground, "x", "q", 50):
        consumers[0].begin()
        watch.until(lambda: consumers_seen(watch, ground, 1), 45,
                    "its consumer is seen")
        d = drill("consumer stopped", "gauge-consumers, queue_length-ready",
                  "queue q in vhost drill.*without a consumer|no-consumer")
        def is_known():
            q = told(ground, "q")
            return q.get("consumers") == 0 and q.get("messages_ready", 0) > 0
        d.provoke(consumers[0].end, lambda: consumers_seen(watch, ground, 0)
                  and (watch.series(ready) or 0) > 0, known=is_known)
        consumers.append(Consumer(ground, "q"))
        d.end(consumers[1].begin)
        consumers[1].end()


def test_slow_consumer(watch, ground, drill):
    c = Consumer(ground, "q")
    ready = watch.queue(ground, "q", "queue_length-ready")
    with Publisher(ground, "x", "q", 100) as p, c:
        watch.until(lambda: consumers_seen(watch, ground, 1), 45,
                    "its consumer is seen")
        d = drill("slow consumer", "queue_length-ready",
                  "queue q in vhost drill.*ready or unacknowledged")
        d.provoke(lambda: setattr(c, "delay", 0.1),
                  lambda: (watch.series(ready) or 0) > 50,
                  known=lambda: told_ready(ground, "q") > 50)

        def hurry():
            """And there is less to do: a busy machine may not be fast enough."""
            c.delay, p.rate = 0, 20
        d.end(hurry, okay_s=SOON_S if IS_LONG else 90)


def test_queue_deleted(watch, ground, drill):
    ready = watch.queue(ground, "q", "queue_length-ready")

    def fill():
        for _ in range(200):
            ground.publish("x", "q", b"x")
    d = drill("queue with a backlog deleted", "queue_length-ready",
              "queue q in vhost drill.*(backlog|ready)")
    d.provoke(fill, lambda: watch.series(ready) == 200,
              known=lambda: told_ready(ground, "q") == 200)
    d.end(lambda: ground.delete_queue("q"))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_alarm(watch, ground, drill, kind):
    alarm = watch.broker.memory_alarm if kind == "memory" else watch.broker.disk_alarm
    series = f"bool-{kind}_alarm"
    d = drill(f"{kind} alarm", series, f"{kind} alarm")
    word = {"memory": "mem_alarm", "disk": "disk_free_alarm"}[kind]
    d.provoke(lambda: alarm(True), lambda: watch.series(watch.node(series)) == 1,
              known=lambda: watch.broker.must("GET", "nodes")[0].get(word) is True)
    d.end(lambda: alarm(False))


def test_connection_churn(watch, ground, drill):
    def count(what):
        return watch.series(MAIN + f"total_connections-{what}")
    watch.until(lambda: None not in (count("opened"), count("closed")), 45,
                "both are counted")
    opened, closed = count("opened"), count("closed")

    def told_counts():
        churn = watch.broker.must("GET", "overview")["churn_rates"]
        return churn["connection_created"], churn["connection_closed"]
    before = told_counts()

    def churn():
        for _ in range(30):
            ground.connect().close()
    drill("connection churn", "total_connections-opened, -closed").provoke(
        churn,
        lambda: count("opened") >= opened + 30 and count("closed") >= closed + 30,
        known=lambda: all(now >= then + 30 for now, then in zip(told_counts(), before)))


def test_broker_that_hangs(watch, ground, drill):
    """Nothing but the root cause is said, although there is a backlog to speak
    of at the same moment: before its hold is over nobody answers any more."""
    def hang():
        with ground.connect() as connection:
            channel = connection.channel()
            for _ in range(200):
                channel.basic_publish("x", "q", b"x")
        watch.broker.hang()
    d = drill("broker hangs", "bool-reachable", "broker is .*reachable")
    try:
        d.provoke(hang, lambda: watch.series(MAIN + "bool-reachable") == 0)
        assert watch.said_of("queue q") == []
        assert watch.said_of("") == watch.said_of(d.alert)
        d.end(watch.broker.cont)
    finally:
        watch.broker.cont()
    ground.delete_queue("q")


def test_broker_that_is_restarted(watch, ground, drill):
    """Its counters begin anew: what was published is counted once, and no rate
    is above what is published then."""
    for _ in range(100):
        ground.publish("x", "q", b"x")
    ground.take_all("q")
    publish, rate = MAIN + "total_operations-publish", MAIN + "gauge-publish_rate"
    watch.until(lambda: ground.state().get("message_stats", {}).get("publish") == 100,
                60, "the broker has counted them")
    counted = time.time()
    watch.until(lambda: watch.reported_at() > counted + DETECT_S
                and watch.series(rate) == 0, 60, "so have we")
    began, history = watch.series(publish), len(watch.daemon.record.history(rate))

    d = drill("broker killed and started", "bool-reachable", "broker is .*reachable")
    d.provoke(watch.broker.kill9, lambda: watch.series(MAIN + "bool-reachable") == 0)
    d.end(watch.broker.start, okay_s=30 + LATE_S)
    for _ in range(AGAIN):  # before that the broker tells no counters
        ground.publish("x", "q", b"x")
    watch.until(lambda: watch.series(publish) >= began + AGAIN, 60, "it counts again")
    assert watch.series(publish) == began + AGAIN
    grown = [v for _, v in watch.daemon.record.history(rate)[history:]]
    # Two polls may be near each other where the first was late.
    assert all(0 <= v <= AGAIN / 0.1 for v in grown), grown


# --- what the manual says of them --------------------------------------------

# Rows of the manual's table: the fault, its series, and which drills it is made of.
ROWS = (
    ("consumer stopped", "gauge-consumers", "consumer stopped"),
    ("slow consumer", "queue_length-ready", "slow consumer"),
    ("publisher stopped", "percent-throughput_drop", "publisher stopped, .*"),
    ("publisher at half rate", "percent-throughput_drop",
     "publisher at half rate, .*"),
    ("unroutable messages", "total_events-dropped_unr.",
     "unroutable, (management|prometheus)"),
    ("the same, mandatory", "total_events-returned", "unroutable, mandatory.*"),
    ("nacks of a full queue", "total_events-unconfirmed", "nacks, .*"),
    ("redelivery loop", "total_events-redelivered", "redelivery loop, .*"),
    ("dead letters: TTL", "total_events-dead_lettered",
     "dead letters, expired, .*"),
    ("length", "likewise", "dead letters, maxlen, .*"),
    ("delivery limit", "likewise", "dead letters, delivery_limit, .*"),
    ("rejected", "likewise", "dead letters, rejected, .*"),
    ("memory alarm", "bool-memory_alarm", "memory alarm"),
    ("disk alarm", "bool-disk_alarm", "disk alarm"),
    ("connection churn", "total_connections", "connection churn"),
    ("wrong passwords", "total_events-auth_failed", "wrong passwords"),
    ("backlog, queue deleted", "queue_length-ready",
     "queue with a backlog deleted"),
    ("broker hangs", "bool-reachable", "broker hangs"),
    ("broker killed, started", "bool-reachable", "broker killed and started"),
    ("node of three killed", "bool-running", "node of three killed, .*"),
    ("node of three hangs", "bool-running",
     "node of three stopped, [a-z]+"),
    ("connections of a node cut", "bool-running", "node of three cut off, .*"),
    ("network of a node cut", "bool-running",
     "network cut, [a-z_]+, [a-z]+"),
    ("it hangs or is cut", "what is missing", ".*, first sign"),
    ("partition, when it heals", "gauge-partitions",
     "partition( by network)?, .*"),
    ("certificate, Interval 1", "gauge-certificate_days",
     "certificate with .*"))


def measured_seconds(lines):
    """Of each drill of a results file: shown, said, over; the last two may be
    unknown."""
    for line in lines:
        if m := re.match(r"drill (.+?): .*indicator ([\d.]+) s"
                         r"(?:, (?:FAILURE|WARNING) ([\d.]+) s)?"
                         r"(?:, OKAY ([\d.]+) s)?", line):
            yield m[1], m.groups()[1:]
        if m := re.match(r"quiet .* errors OKAY, ([\d.]+) s", line):
            yield UNROUTABLE, (None, None, m[1])


def spread(values):
    """Whole seconds, rounded up."""
    whole = sorted(math.ceil(float(v)) for v in values if v)
    if not whole:
        return "-"
    return "-".join(str(v) for v in dict.fromkeys((whole[0], whole[-1])))


def test_the_manual_says_what_was_measured():
    """Its table is of the committed run, and no drill of that is left out."""
    results = json.loads((TOP / "tests/results/long.json").read_text("utf-8"))
    drills = list(measured_seconds(results["parts"]["drills"]["ran"]["measured"]))
    want = []
    for fault, series, pattern in ROWS:
        mine = [d for d in drills if re.fullmatch(pattern, d[0])]
        assert mine, f"no drill {pattern}"
        drills = [d for d in drills if d not in mine]
        shown, said, over = (spread(d[1][i] for d in mine) for i in range(3))
        want.append(f"  {fault:25} {series:26}{shown:>9}{said:>9}{over:>7}")
    assert not drills, "in no row"
    assert "\n".join(want) in (TOP / "plugins/rabbitmq_monitor.pod").read_text(
        "utf-8"), "\n".join(want)
