# SPDX-License-Identifier: MIT
"""Drills with three nodes, with --long only: one is killed, one is stopped and
keeps its connections, one is cut off from the others. The last of them again in
network namespaces, where the machine allows it: there this file runs itself."""

import json
import os
import subprocess
import sys
import time

import pytest

from conftest import IS_LONG
from rig import network
from rig.cluster import Cluster, patiently
from rig.drills import DETECT_S, MAIN, Drill, alerts, start_watch

if not IS_LONG:
    pytest.skip("with --long only", allow_module_level=True)

IS_INSIDE = bool(os.environ.get("WARREN_NETWORK"))
inside = pytest.mark.skipif(not IS_INSIDE, reason="in a network of its own")
outside = pytest.mark.skipif(IS_INSIDE, reason="one host is enough")

QUEUES = 30  # of the node that goes: none of them is news
TICK_S = 8   # Erlang's net_ticktime: after so long a silent node is down
SOURCES = ("management", "auto")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    where = str(tmp_path_factory.mktemp("cluster"))
    if IS_INSIDE:
        made = Cluster(where, network.Network.makers())
        made.network = network.Network(where)
    else:
        made = Cluster(where)
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
        if IS_INSIDE:
            cluster.network.heal(n.host)
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


@outside
def test_node_killed(watch, whole, figure):
    gone = whole.nodes[-1]
    d = Drill(watch, figure, f"node of three killed, {watch.source}",
              "bool-running of the node", "node is (not )?running", assert_bound=True)
    d.provoke(gone.kill9, lambda: running(watch, gone) == 0)
    d.end(gone.start, okay_s=60)
    only(watch, "node is (not )?running")
    no_spike(watch)
    d.note()


# Said once, whichever is known first.
NODE_IS_AWAY = "node is (not )?running|node .* at its MetricsURL"
# While a node hangs, the management API of each node waits for it; the Prometheus
# plugins of the others do not, but what is known is not all.
SIGNS = {"management": "bool-reachable", "auto": "queue_length-ready"}
# Where all of them answer there it is the list of nodes that does not come.
SIGNS_OF_CUT = {"management": "bool-reachable", "auto": "response_time-management"}


def is_sign(w, series):
    if series == "bool-reachable":
        return w.series(MAIN + series) == 0
    history = w.daemon.record.history(MAIN + series)
    # The series of a report are written one by one.
    return history[-1][0] < w.reported_at() < time.time() - 0.5


def see_sign(w, figure, name, series, act):
    absent = "" if series == "bool-reachable" else " is absent"
    Drill(w, figure, f"{name}, first sign", series + absent, assert_bound=True
          ).provoke(act, lambda: is_sign(w, series)).note()


@outside
def test_node_stopped(watch, whole, figure):
    """It keeps its connections and answers nobody, until the others give it up."""
    gone = whole.nodes[-1]
    d = Drill(watch, figure, f"node of three stopped, {watch.source}",
              "bool-running of the node", NODE_IS_AWAY,
              detect_s=DETECT_S + TICK_S * 1.25 + 2, assert_bound=True)
    see_sign(watch, figure, d.name, SIGNS[watch.source], gone.hang)
    d.provoke(lambda: None, lambda: running(watch, gone) == 0)
    # One that wakes up too late is a partition, and stays one.
    d.end(gone.restart, okay_s=90)
    only(watch, NODE_IS_AWAY if watch.source == "auto" else
         f"{NODE_IS_AWAY}|broker is (not )?reachable")
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


def handle_partitions(cluster, how):
    for n in cluster.nodes:
        n.eval(f"application:set_env(rabbit, cluster_partition_handling, {how}).")


@outside
def test_partition(watch, whole, figure):
    """A node that is cut off is a node that does not run, as far as the others
    know; when they meet again it is a partition, until it is started anew."""
    gone = whole.nodes[-1]
    handle_partitions(whole, "ignore")
    d = Drill(watch, figure, f"node of three cut off, {watch.source}",
              "bool-running of the node", "node is (not )?running",
              assert_bound=True)
    p = Drill(watch, figure, f"partition, {watch.source}", "gauge-partitions",
              "network partition", assert_bound=True)
    d.provoke(lambda: cut_off(whole, gone), lambda: running(watch, gone) == 0)
    p.provoke(lambda: heal(whole, gone),
              lambda: (watch.series(MAIN + "gauge-partitions") or 0) > 0)
    p.end(gone.restart, okay_s=90)
    d.end(lambda: None, okay_s=60)
    only(watch, "node is (not )?running|network partition")
    no_spike(watch)
    d.note()
    p.note()


# --- a network that is cut --------------------------------------------------

@outside
def test_in_a_network_of_its_own(build, figure, tmp_path):
    if not network.is_possible():
        pytest.skip("no network namespaces here")
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        network.alone([sys.executable, "-m", "pytest", "-q", __file__, "-c",
                       os.path.join(os.path.dirname(__file__), "pytest.ini"),
                       "-p", "no:cacheprovider", "--basetemp",
                       str(tmp_path / "inside")]),
        env=os.environ | {"WARREN_NETWORK": "1", "WARREN_BUILD": build,
                          "WARREN_FIGURES": str(figures)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout[-8000:]
    for line in json.loads(figures.read_text(encoding="utf-8")):
        figure(line)


@inside
@pytest.mark.parametrize("handling", ["pause_minority", "ignore"])
def test_network_cut(watch, whole, figure, handling):
    """Nobody hears of it: until Erlang gives up the silent node each management
    API waits for the nodes that it cannot reach any more. What pauses in a
    minority comes back by itself; else it is a partition, until it is started
    anew."""
    gone = whole.nodes[-1]
    handle_partitions(whole, handling)
    how = f"{handling}, {watch.source}"
    d = Drill(watch, figure, f"network cut, {how}", "bool-running of the node",
              "node is (not )?running", detect_s=DETECT_S + TICK_S * 1.25 + 2,
              assert_bound=True)
    see_sign(watch, figure, d.name, SIGNS_OF_CUT[watch.source],
             lambda: whole.network.cut(gone.host))
    d.provoke(lambda: None, lambda: running(watch, gone) == 0)
    if handling == "ignore":
        p = Drill(watch, figure, f"partition by network, {watch.source}",
                  "gauge-partitions", "network partition",
                  detect_s=DETECT_S + 2, assert_bound=True)
        p.provoke(lambda: whole.network.heal(gone.host),
                  lambda: (watch.series(MAIN + "gauge-partitions") or 0) > 0)
        p.end(gone.restart, okay_s=90).note()
    d.end(lambda: handling == "ignore" or whole.network.heal(gone.host), okay_s=90)
    only(watch, "node is (not )?running|network partition" if watch.source == "auto"
         else "node is (not )?running|network partition|broker is (not )?reachable")
    no_spike(watch)
    d.note()
