# SPDX-License-Identifier: MIT
"""conf.d/thresholds.conf in collectd's own plugin threshold."""

import pathlib

from rig import modules as warren
from rig.prometheus import replaced
from rig.waiting import wait_for

SAMPLE = pathlib.Path(__file__).resolve().parents[2] / "conf.d" / "thresholds.conf"
FAILURE, OKAY = 1, 4


def test_a_backlog_over_its_limit_is_a_notification_and_so_is_its_end(
        rig, broker, vhost):
    limits = replaced(SAMPLE.read_text("utf-8"), ("(?m)^LoadPlugin .*", ""),
                      ("Hits 30", "Hits 2"), ("FailureMax 50000", "FailureMax 50"),
                      ("Hysteresis 5000", "Hysteresis 5"))
    m = rig.daemon("M", ["threshold", "rabbitmq_monitor"], limits,
                   warren.monitor(warren.cluster_block(
                       "main", broker, Interval=1, IncludeVHost=vhost.name)))
    vhost.queue("orders")
    with vhost.connect() as connection, m.start():
        def told(severity, name):
            return [message for s, source, message
                    in m.record.refresh().notifications
                    if s == severity and name in source + message]
        channel = connection.channel()
        for _ in range(60):
            channel.basic_publish("", "orders", b"x")
        message = wait_for(lambda: told(FAILURE, "orders"), 40, "it is said")[0]
        assert "above the failure threshold of 50" in message, message
        channel.queue_purge("orders")
        wait_for(lambda: told(OKAY, "orders"), 40, "its end is said")
        assert len(told(FAILURE, "orders")) == len(told(OKAY, "orders")) == 1
        assert not told(FAILURE, "bool") and not told(FAILURE, "percent")
        vhost.delete_queue("orders")
    assert not m.log_lines(r"threshold.*(unknown|not allowed|Ignoring)"), m.log()
