# SPDX-License-Identifier: MIT
"""A cluster of three nodes with quorum queues loses nodes while we publish and
consume: one that the publisher is not connected to, and the one that it is, which
is the consumer's too. Nothing is lost, what has one key stays in order, and the
consumer goes on by itself and writes every value once."""

import os
import random
import re
import time

import pytest

from conftest import IS_LONG
from rig import modules as warren
from rig.cluster import Cluster, patiently
from rig.waiting import wait_for

SEED = int(os.environ.get("WARREN_CLUSTER_SEED", random.randrange(1 << 30)))
ROUNDS = 8 if IS_LONG else 1
RATE = 200
KEYS = 10


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    began = time.monotonic()
    made = Cluster(str(tmp_path_factory.mktemp("cluster")))
    try:
        made.start()
        print(f"three nodes in {time.monotonic() - began:.0f} s")
        yield made
    finally:
        made.destroy()


def connected_node(cluster, publisher):
    last = publisher.log_lines(r"connected to 127\.0\.0\.1:")[-1]
    return cluster.by_port(re.search(r"connected to 127\.0\.0\.1:(\d+)", last)[1])


def series(publisher):
    return publisher.record.series("rabbitmq_publish-x/")


def confirmed(publisher):
    return series(publisher).get("total_operations-confirmed", 0)


def goes_on(publisher, patience=90):
    """More is confirmed than when this was asked: the report before may lag."""
    before = confirmed(publisher) + 2 * RATE
    wait_for(lambda: confirmed(publisher) >= before, patience, "confirms go on")


def come_back(cluster, vhost, node):
    node.start()
    vhost.broker = cluster.alive()
    cluster.wait_vhost(vhost)
    # An exchange feeds both: where one has lost its majority, all is nacked.
    for queue in ("q", "c"):
        wait_for(lambda: cluster.members_online(vhost, queue) == 3, 90,
                 f"every node has its member of the queue {queue}")


def lose_another(cluster, publisher, vhost, chance):
    """kill -9 of a node that the publisher is not connected to."""
    others = [n for n in cluster.nodes
              if n is not connected_node(cluster, publisher)]
    gone = chance.choice(others)
    gone.kill9()
    vhost.broker = cluster.alive()
    goes_on(publisher)
    return gone


def lose_connected(cluster, publisher, vhost):
    """kill -9 of the node that it is connected to; the seconds until it was
    ready at another one."""
    gone = connected_node(cluster, publisher)
    ends = len(publisher.log_lines("the trouble is over"))
    gone.kill9()
    killed = time.monotonic()
    publisher.wait_log("the trouble is over", timeout=60, count=ends + 1)
    ready = time.monotonic() - killed
    vhost.broker = connected_node(cluster, publisher)
    assert vhost.broker is not gone
    goes_on(publisher)
    return gone, ready


def judge(messages, sent):
    """What arrived against what was sent; returns the number of duplicates,
    which have the message-id of the first."""
    arrived = [number for number, _ in messages]
    assert len(set(messages)) == len(set(arrived)), "a duplicate with another id"
    missing = sorted(set(sent) - set(arrived))
    assert not missing, f"{len(missing)} of {len(sent)} lost, first {missing[:9]}"
    assert not set(arrived) - set(sent), "something that was never sent"
    firsts = list(dict.fromkeys(arrived))
    for key in range(KEYS):
        mine = [n for n in firsts if n % KEYS == key]
        assert mine == sorted(mine), f"key s{key} is out of order"
    return len(arrived) - len(firsts)


def messages_in(vhost):
    """[(number, message-id)] in the order of the queue."""
    return [(int(float(n)), properties.message_id)
            for properties, body in vhost.take_all("q", idle=2)
            for n in re.findall(rb"PUTVAL \S*/loadgen-\S+ .*:(\S+)", body)]


def start_consumer(rig, cluster, vhost):
    b = rig.consumer(cluster.nodes[0], vhost, Host=cluster.hosts, Queue="c",
                     QueueType="quorum", DeliveryLimit=100, RetryDelay=0.5,
                     RetryDelayMax=2, Exchange="amq.fanout").start()
    b.wait_log("connected to")
    wait_for(lambda: cluster.members_online(vhost, "c") == 3, 90,
             "every node has its member of the consumer's queue")
    return b


def judge_consumer(b, sent):
    """It has written what was sent, each value once."""
    wait_for(lambda: set(sent) <= set(b.record.numbers()), 60,
             "the consumer has written everything")
    arrived = b.record.numbers()
    assert len(arrived) == len(set(arrived)), "a value was written twice"
    assert set(arrived) == set(sent)
    return len(b.log_lines("the trouble is over"))


def test_nothing_is_lost_when_nodes_of_a_cluster_are(rig, cluster, figure):
    chance = random.Random(SEED)
    print(f"WARREN_CLUSTER_SEED={SEED}")
    vhost = cluster.vhost("cluster")
    cluster.quorum_queue(vhost, "q")
    vhost.bind("amq.fanout", "q", "")
    b = start_consumer(rig, cluster, vhost)
    a = rig.publisher(cluster.nodes[0], vhost, options={
        "Exchange": "amq.fanout", "Host": cluster.hosts, "RetryDelay": 0.5,
        "RetryDelayMax": 2}, Total=1_000_000, Rate=RATE, Series=KEYS, Delay=0.1)
    a.start()
    a.wait_log("connected to")
    goes_on(a)
    times = []
    for i in range(ROUNDS):
        come_back(cluster, vhost, lose_another(cluster, a, vhost, chance))
        gone, seconds = lose_connected(cluster, a, vhost)
        times.append(seconds)
        if i + 1 < ROUNDS:
            come_back(cluster, vhost, gone)
    a.stop()
    assert a.log_lines("ended: .* 0 returned, 0 rejected, 0 expired, 0 dropped")
    sent = a.record.numbers()
    duplicates = judge(messages_in(vhost), sent)
    recoveries = judge_consumer(b, sent)
    assert recoveries >= 1, "no kill has met the consumer"
    figure(f"cluster: {ROUNDS} x one node and the connected one killed under "
           f"{RATE} values/s; ready at another after "
           + ", ".join(f"{t:.1f}" for t in times)
           + f" s; {len(sent)} sent, none lost, {duplicates} twice; consumed: "
           f"every value once, {recoveries} recoveries; seed {SEED}")


# --- observed ---------------------------------------------------------------

def put_queue(node, vhost, name, messages):
    """A classic queue that lives on this node, with messages in it."""
    vhost.broker = node
    patiently(lambda: vhost.queue(name) or True, f"{name} is declared")
    for _ in range(messages):
        vhost.publish("", name, b"x")


def test_a_node_that_is_killed_costs_the_monitor_its_part_only(rig, cluster):
    """Through the nodes' Prometheus plugins; the queues of the others go on, the
    cluster's counters neither jump nor fall, and it is said once."""
    first, _, gone = cluster.nodes
    cluster.make_whole()  # another test may have left it without a node
    with cluster.vhost("watched") as vhost:
        put_queue(first, vhost, "stays", 2)
        put_queue(gone, vhost, "goes", 3)
        vhost.broker = first
        began = time.monotonic()
        m = rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(
            warren.cluster_block(
                "main", first, URL=[n.url for n in cluster.nodes], Interval=1,
                MetricsURL=[n.metrics_url for n in cluster.nodes]))).start()
        main, node = "rabbitmq_monitor-main/", "rabbitmq_monitor-main-node-"
        queue = "rabbitmq_monitor-main-queue-watched-"

        def newest(name):
            return m.record.series().get(name)

        wait_for(lambda: newest(f"{queue}goes/queue_length-ready") == 3, 60,
                 "the queue is seen at its node")
        assert m.log_lines("through its Prometheus plugin")
        wait_for(lambda: newest(f"{main}gauge-nodes_running") == 3, 60,
                 "all nodes are seen")
        gone.kill9()
        try:
            wait_for(lambda: newest(f"{node}{gone.node}/bool-running") == 0, 60,
                     "the node is known to be down")
            wait_for(lambda: newest(f"{main}gauge-nodes_running") == 2, 60,
                     "the others run")
            before = {name: len(m.record.history(f"{queue}{name}/"
                                                 "queue_length-ready"))
                      for name in ("stays", "goes")}
            vhost.publish("", "stays", b"y")
            wait_for(lambda: newest(f"{queue}stays/queue_length-ready") == 3, 60,
                     "the other queue is observed on")
            assert len(m.record.history(f"{queue}goes/queue_length-ready")) == \
                before["goes"], "a queue that nobody knows of has no length"
            wait_for(lambda: newest(f"{main}queue_length-ready") == 3, 60,
                     "the sum is that of the others")
        finally:
            gone.start()
        wait_for(lambda: newest(f"{node}{gone.node}/bool-running") == 1, 60,
                 "the node is back")
        wait_for(lambda: newest(f"{queue}goes/queue_length-ready") == 3, 60,
                 "its queue is back")
        published = [v for _, v in m.record.history(
            f"{main}total_operations-publish")]
        assert published == sorted(published)
        assert published[-1] - published[0] <= 1 + 5, "what was published here"
        most = 2 + (time.monotonic() - began) // 60  # one a minute, at most
        assert len(m.log_lines("a node's numbers: not reported")) <= most, m.log()
        assert m.stop() < 20
