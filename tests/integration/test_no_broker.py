# SPDX-License-Identifier: MIT
"""A broker that is not there, does not answer or takes nothing: collectd starts,
runs and stops as if there were no publisher in it."""

import pytest

from rig.modules import cluster_block, consume, monitor, subscribe_block
from rig.ports import free_ports
from rig.waiting import wait_for

SHUTDOWN_TIMEOUT = 1
COST_LIMIT_US = 50     # of a call, whatever the broker does
WRITE_LIMIT_US = 1000  # of one that waits for nothing but a processor
CALLS = 200_000


class Nowhere:
    """An address where nobody listens."""

    def __init__(self):
        self.amqp_port, = free_ports(1)


@pytest.fixture(params=["absent", "stopped", "alarm"])
def trouble(request):
    """The broker's state, and its undoing."""
    if request.param == "absent":
        yield request.param, Nowhere(), "/"
        return
    victim = request.getfixturevalue("victim")
    vhost = request.getfixturevalue("victim_vhost")
    if request.param == "stopped":
        victim.hang()
        yield request.param, victim, vhost.name
        victim.cont()
    else:
        victim.memory_alarm(True)
        yield request.param, victim, vhost.name
        victim.memory_alarm(False)


def test_no_write_waits_and_sigterm_is_obeyed(rig, trouble, figure):
    state, broker, vhost = trouble
    a = rig.publisher(
        broker, vhost, load=["memory"],
        options={"Exchange": "amq.fanout", "ShutdownTimeout": SHUTDOWN_TIMEOUT},
        Total=CALLS, Threads=2, Rate=40000, Delay=0.5,
        Target="rabbitmq_publish/x")
    a.start()
    wait_for(lambda: len(a.record.history("memory/memory-used")) >= 3, 60,
             "other plugins keep reading")
    a.wait_log("loadgen: dispatched", timeout=90)
    took = rig.result()
    wait_for(lambda: a.record.series("rabbitmq_publish-x/")
             .get("total_operations-accepted") == CALLS, 60,
             "every call was accepted")
    if state != "alarm":
        assert a.record.series("rabbitmq_publish-x/")["bool-connected"] == 0
    seconds = a.stop()
    figure(f"broker {state}: write callback p50 {took['p50_us']:.1f} "
           f"p99 {took['p99_us']:.1f} max {took['max_us']:.0f} us over {CALLS} "
           f"calls, SIGTERM to exit {seconds:.2f} s (ShutdownTimeout "
           f"{SHUTDOWN_TIMEOUT} s)")
    assert a.status == 0
    assert took["p50_us"] < COST_LIMIT_US
    assert took["p99_us"] < WRITE_LIMIT_US
    assert seconds < SHUTDOWN_TIMEOUT + 10


def test_all_three_modules_start_run_and_stop(rig, trouble, figure):
    state, broker, vhost = trouble
    if state == "absent":
        broker.url = "http://127.0.0.1:1"
    a = rig.publisher(
        broker, vhost, load=["memory", "rabbitmq_consume", "rabbitmq_monitor"],
        blocks=[consume(subscribe_block("y", broker, vhost, Queue="q",
                                        ShutdownTimeout=SHUTDOWN_TIMEOUT)),
                monitor(cluster_block("z", broker, Interval=1,
                                      ShutdownTimeout=SHUTDOWN_TIMEOUT))],
        options={"Exchange": "amq.fanout", "ShutdownTimeout": SHUTDOWN_TIMEOUT},
        Total=2000, Delay=0.5)
    a.start()
    wait_for(lambda: len(a.record.history("memory/memory-used")) >= 5, 60,
             "other plugins keep reading")
    seconds = a.stop()
    figure(f"broker {state}, all three modules: SIGTERM to exit {seconds:.2f} s "
           f"(limit {3 * SHUTDOWN_TIMEOUT + 10} s)")
    assert a.status == 0
    assert seconds < 3 * SHUTDOWN_TIMEOUT + 10


def test_a_broker_that_comes_later_gets_everything(rig, victim, victim_vhost):
    victim_vhost.queue("q")
    victim_vhost.bind("amq.fanout", "q", "")
    victim.sync()
    victim.kill9()
    a = rig.publisher(victim, victim_vhost, options={"Exchange": "amq.fanout"},
                      Total=2000, Delay=0.1).start()
    a.wait_log("loadgen: dispatched")
    assert a.record.refresh() and a.is_running()
    victim.start()
    wait_for(lambda: victim_vhost.ready("q") == 2000, 90, "all are in the queue")
    numbers = [int(float(body.split(b":")[-1]))
               for _, body in victim_vhost.take_all("q")]
    assert numbers == list(range(2000))


def test_an_alarm_is_seen_as_blocked_and_over_without_a_reconnect(
        rig, victim, victim_vhost):
    victim_vhost.queue("q")
    victim_vhost.bind("amq.fanout", "q", "")
    a = rig.publisher(victim, victim_vhost, options={"Exchange": "amq.fanout"},
                      Total=20000, Rate=2000, Delay=0.1).start()
    series = lambda: a.record.series("rabbitmq_publish-x/")
    wait_for(lambda: series().get("total_operations-confirmed", 0) > 500, 60,
             "publishing")
    victim.memory_alarm(True)
    try:
        wait_for(lambda: series()["bool-blocked"] == 1, 60, "blocked is seen")
    finally:
        victim.memory_alarm(False)
    wait_for(lambda: series()["total_operations-confirmed"] == 20000, 60,
             "all are confirmed")
    assert series()["bool-blocked"] == 0
    assert series()["total_connections-opened"] == 1
    assert victim_vhost.ready("q") == 20000
