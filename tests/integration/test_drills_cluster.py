# SPDX-License-Identifier: MIT
"""Drills with three nodes, with --long only: one is killed, one is stopped and
keeps its connections, one is cut off from the others."""

import time

import pytest

from conftest import IS_LONG
from rig.cluster import Cluster, patiently
from rig.drills import DETECT_S, MAIN, Drill, alerts, start_watch

if not IS_LONG:
    pytest.skip("with --long only", allow_module_level=True)

QUEUES = 30  # of the node that goes: none of them is news
TICK_S = 8   # Erlang's net_ticktime: after so long a silent node is down
SOURCES = ("management", "auto")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    made = Cluster(str(tmp_path_factory.mktemp("cluster")))
    try:
        yield made.start()
    finally:
        made.destroy()


@pytest.fixture
def whole(cluster):
    """All nodes there, before and after."""
    cluster.make_whole()
    for n in cluster.nodes:
        n.eval(f"net_kernel:set_net_ticktime({TICK_S}, 0).")
    yield cluster
    for n in cluster.nodes:
        if n.is_running():
            n.cont()
    cluster.make_whole()


@pytest.fixture(params=SOURCES)
def watch(rig, whole, request):
    """The first node's URL comes first, the last node is the one that goes. Its
    queues have a backlog that is over the limit as soon as they are seen anew."""
    first, gone = whole.nodes[0], whole.nodes[-1]
    options = {"Source": request.param, "URL": [n.url for n in whole.nodes]}
    if request.param == "auto":
        options["MetricsURL"] = [n.metrics_url for n in whole.nodes]
    with whole.vhost(f"drill/{time.monotonic_ns()}") as vhost:
        vhost.broker = gone
        for i in range(QUEUES):
            patiently(lambda i=i: vhost.queue(f"q{i}") or True, "a queue")
        vhost.broker = first
        w = start_watch(rig, first, "M", *alerts(
            connection={}, alarm={}, partition={}, no_consumer={},
            backlog={"Failure": 1}), **options)
        w.source = request.param
        w.until(lambda: w.series(MAIN + "gauge-nodes_running") == 3, 30,
                "all nodes are seen")
        w.until(lambda: sum("-queue-drill" in s for s in w.daemon.record.series())
                > 0, 30, "the queues are seen")
        yield w


def running(w, node):
    return w.series(f"rabbitmq_monitor-main-node-{node.node}/bool-running")


def only(w, pattern):
    """Nothing was said but that."""
    said = [m for _, _, m in w.notifications()[w.seen:]]
    assert len(said) == len(w.said_of(pattern)), said


def no_spike(w):
    """Nobody publishes: no rate, whatever counters do."""
    for series in ("gauge-publish_rate", "gauge-deliver_rate"):
        rates = [v for _, v in w.daemon.record.history(MAIN + series)]
        assert set(rates) <= {0}, f"{series}: {rates}"


def test_node_killed(watch, whole, figure):
    gone = whole.nodes[-1]
    d = Drill(watch, figure, f"node of three killed, {watch.source}",
              "bool-running of the node", "node is (not )?running", assert_bound=True)
    d.provoke(gone.kill9, lambda: running(watch, gone) == 0)
    d.end(gone.start, okay_s=60)
    only(watch, "node is (not )?running")
    no_spike(watch)
    d.note()


# While a node hangs, the management API of each node waits for it; the Prometheus
# plugins of the others do not, but what is known is not all.
SIGNS = {"management": "bool-reachable", "auto": "queue_length-ready is absent"}


def is_sign(w):
    if w.source == "management":
        return w.series(MAIN + "bool-reachable") == 0
    ready = w.daemon.record.history(MAIN + "queue_length-ready")
    # The series of a report are written one by one.
    return ready[-1][0] < w.reported_at() < time.time() - 0.5


def test_node_stopped(watch, whole, figure):
    """It keeps its connections and answers nobody, until the others give it up."""
    gone = whole.nodes[-1]
    d = Drill(watch, figure, f"node of three stopped, {watch.source}",
              "bool-running of the node", "node is (not )?running",
              detect_s=DETECT_S + TICK_S * 1.25 + 2)
    first = Drill(watch, figure, f"node of three stopped, {watch.source}, first sign",
                  SIGNS[watch.source], assert_bound=True)
    first.provoke(gone.hang, lambda: is_sign(watch)).note()
    d.provoke(lambda: None, lambda: running(watch, gone) == 0)
    # One that wakes up too late is a partition, and stays one.
    d.end(gone.restart, okay_s=90)
    only(watch, "node is (not )?running" if watch.source == "auto" else
         "node is (not )?running|broker is (not )?reachable")
    no_spike(watch)
    d.note()


def cut_off(cluster, node):
    """Nobody connects by himself any more, and the node loses all others at
    once: for Erlang it is a network that is cut."""
    for n in cluster.nodes:
        n.eval("application:set_env(kernel, dist_auto_connect, never).")
    others = ", ".join(f"'{n.node}'" for n in cluster.nodes if n is not node)
    node.eval(f"[erlang:disconnect_node(N) || N <- [{others}]].")


def heal(cluster, node):
    for n in cluster.nodes:
        n.eval("application:unset_env(kernel, dist_auto_connect).")
    for other in cluster.nodes:
        if other is not node:
            node.eval(f"net_kernel:connect_node('{other.node}').")


def test_partition(watch, whole, figure):
    """A node that is cut off is a node that does not run, as far as the others
    know; when they meet again it is a partition, until it is started anew."""
    gone = whole.nodes[-1]
    for n in whole.nodes:
        n.eval("application:set_env(rabbit, cluster_partition_handling, ignore).")
    d = Drill(watch, figure, f"node of three cut off, {watch.source}",
              "bool-running of the node", "node is (not )?running")
    p = Drill(watch, figure, f"partition, {watch.source}", "gauge-partitions",
              "network partition", detect_s=DETECT_S + 10)
    d.provoke(lambda: cut_off(whole, gone), lambda: running(watch, gone) == 0)
    p.provoke(lambda: heal(whole, gone),
              lambda: (watch.series(MAIN + "gauge-partitions") or 0) > 0)
    p.end(gone.restart, okay_s=90)
    d.end(lambda: None, okay_s=60)
    only(watch, "node is (not )?running|network partition")
    no_spike(watch)
    d.note()
    p.note()
