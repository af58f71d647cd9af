# SPDX-License-Identifier: MIT
"""One daemon that publishes and consumes must not send values round for ever."""

import collections

from rig import modules as warren
from rig.collectd import plugin
from rig.waiting import wait_for

TOTAL = 200


def test_what_came_from_a_broker_is_not_published_again(rig, broker, vhost):
    """Not by any block: the second publishes to another exchange."""
    for exchange in ("metrics", "other"):
        vhost.exchange(exchange, "fanout")
        vhost.queue(f"copy.{exchange}")
        vhost.bind(exchange, f"copy.{exchange}", "")
    quiet = {"ReportStats": False}
    a = rig.daemon(
        "A", ["loadgen", "rabbitmq_publish", "rabbitmq_consume"],
        plugin("loadgen", Total=TOTAL, Series=10, Delay=0.1),
        warren.publish(*(warren.publish_block(
            exchange, broker, vhost.name, Exchange=exchange, **quiet)
            for exchange in ("metrics", "other"))),
        warren.consume(warren.subscribe_block(
            "back", broker, vhost.name, Exchange="metrics", Queue="back",
            **quiet)))
    with a.start():
        # Each once from loadgen and once from the broker: then all that could
        # be published again has been through the write callbacks.
        wait_for(lambda: len(a.record.numbers()) >= 2 * TOTAL, 60, "all came back")
        for exchange in ("metrics", "other"):
            wait_for(lambda e=exchange: vhost.ready(f"copy.{e}") >= TOTAL, 60,
                     f"all are in copy.{exchange}")
        a.stop()
    assert set(collections.Counter(a.record.numbers()).values()) == {2}
    assert vhost.ready("back") == 0
    assert len(vhost.take_all("copy.metrics")) == TOTAL
    assert len(vhost.take_all("copy.other")) == TOTAL
