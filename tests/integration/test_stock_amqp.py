# SPDX-License-Identifier: MIT
"""Coming from collectd's own amqp plugin: each reads what the other writes."""

import pytest

from rig.collectd import block, plugin
from rig.compare import rounded, unmatched
from rig.waiting import wait_for


def stock(broker, vhost, kind, **options):
    return plugin("amqp", block(
        kind, "stock", Host="127.0.0.1", Port=str(broker.amqp_port),
        VHost=vhost.name, User="guest", Password="guest", **options))


def test_stock_amqp_reads_what_we_publish(rig, broker, vhost):
    vhost.exchange("metrics", "fanout")
    # Killed at the end, since its own shutdown hangs when it is idle.
    b = rig.daemon("B", ["amqp", "load"], stock(
        broker, vhost, "Subscribe", Exchange="metrics", Queue="stock",
        QueueDurable=True, QueueAutoDelete=False))
    vhost.queue("stock")
    b.start()
    wait_for(lambda: vhost.consumers("stock") == 1, 60, "stock amqp consumes")
    rig.publisher(broker, vhost, options={"Exchange": "metrics"}, Total=200,
                  Series=20, Delay=0.1).start()
    try:
        wait_for(lambda: sorted(b.record.numbers()) == list(range(200)), 60,
                 "all values arrived at the stock plugin")
    finally:
        b.kill9()


def values_of(daemon):
    return {(name, t, rounded(v)) for t, name, v in daemon.record.refresh().values}


@pytest.mark.parametrize("form", ["Command", "JSON"])
def test_we_read_what_stock_amqp_publishes(rig, broker, vhost, form):
    vhost.exchange("metrics", "fanout")
    b = rig.consumer(broker, vhost, Exchange="metrics", Queue="ours").start()
    wait_for(lambda: vhost.consumers("ours") == 1, 60, "our consumer consumes")
    a = rig.daemon("A", ["amqp", "loadgen", "load", "memory", "interface"],
                   stock(broker, vhost, "Publish", Exchange="metrics",
                         Format=form),
                   plugin("loadgen", Total=200, Series=20, Delay=0.1))
    with a.start():
        a.wait_log("loadgen: dispatched")
        wait_for(lambda: len(a.record.refresh().values) > 230, 60, "some values")
    sent = values_of(a)
    wait_for(lambda: not unmatched(sent, values_of(b))[0], 60, "all arrived")
