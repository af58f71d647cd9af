# SPDX-License-Identifier: MIT
"""Lag that a broker or the modules of the same daemon measure: of streams, of
our own consumers; and what our own publishers lose."""

import time

import pika
import pytest

from rig import modules as warren
from rig.broker import Broker
from rig.collectd import block
from rig.ports import free_ports
from rig.stream import StreamConsumer
from rig.waiting import wait_for

FAILURE, OKAY = 1, 4
MAIN = "rabbitmq_monitor-main/"
MESSAGES, CHUNKS = 30, 10  # one message each, as they are confirmed one by one


@pytest.fixture
def streams(tmp_path):
    """A broker with RabbitMQ's stream plugins; the stream's port."""
    (port,) = free_ports(1)
    with Broker(str(tmp_path / "streams"), name="streams",
                plugins=("rabbitmq_stream", "rabbitmq_stream_management"),
                extra_config=f"stream.listeners.tcp.1 = 127.0.0.1:{port}\n") as b:
        yield b, port


def newest(daemon, name):
    return daemon.record.series().get(name)


def test_a_streams_lag_is_what_its_consumer_has_still_to_get(rig, streams):
    broker, port = streams
    with broker.vhost("log") as vhost:
        vhost.queue("log", x_queue_type="stream")
        with vhost.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for _ in range(MESSAGES):
                channel.basic_publish("", "log", b"x")
        m = rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(
            warren.cluster_block("main", broker, Interval=1))).start()
        queue = "rabbitmq_monitor-main-queue-log-log/"
        wait_for(lambda: newest(m, queue + "gauge-consumers") is not None, 30,
                 "the stream is reported")
        assert newest(m, queue + "gauge-stream_offset_lag") is None
        consumer = StreamConsumer(port, "log", vhost="log", chunks=CHUNKS)
        try:
            # Offsets are counted from 0.
            want = MESSAGES - CHUNKS
            for series in (queue, MAIN):
                wait_for(lambda s=series: newest(m, s + "gauge-stream_offset_lag")
                         == want, 30, f"the consumer is {want} behind")
            consumer.credit(MESSAGES)
            wait_for(lambda: newest(m, MAIN + "gauge-stream_offset_lag") == 0,
                     30, "it is not behind any more")
        finally:
            consumer.close()
        vhost_series = "rabbitmq_monitor-main-vhost-log/"
        wait_for(lambda: newest(m, vhost_series + "queue_length-ready") == MESSAGES,
                 30, "its virtual host has the messages")
        wait_for(lambda: newest(m, vhost_series + "gauge-growth") is not None, 30,
                 "and grows or does not")
        assert not m.log_lines(r"\[(error|warning)\].*(stream|not reported)")


def said(daemon):
    return [(severity, message) for severity, source, message
            in daemon.record.refresh().notifications
            if "/rabbitmq_monitor/" in source]


def publish(channel, age):
    now = time.time()
    channel.basic_publish(
        "", "in", b"PUTVAL h/late/gauge-n %.3f:1\n" % now, pika.BasicProperties(
            content_type="text/collectd",
            headers={"timestamp_in_ms": int((now - age) * 1000)}))
    channel.connection.sleep(0.3)


def test_a_late_consumer_of_the_same_daemon_is_a_delay(rig, broker, vhost):
    vhost.queue("in")
    m = rig.daemon(
        "M", ["rabbitmq_monitor", "rabbitmq_consume"],
        warren.monitor(warren.cluster_block(
            "main", broker, block("Alert", "delay", Failure=50, Hold=2,
                                  ClearHold=1),
            Interval=1, IncludeVHost=vhost.name)),
        warren.consume(warren.subscribe_block("x", broker, vhost.name,
                                              Queue="in", QueuePassive=True)))
    m.start()
    late = MAIN + "latency-consumer_delivery"

    with vhost.connect() as connection:
        channel = connection.channel()

        def is_found():
            publish(channel, 0)
            return newest(m, late) is not None

        wait_for(is_found, 50, "the consumer is found")
        wait_for(lambda: newest(m, late) == 0, 40, "and idle")
        assert not said(m)
        deadline = time.monotonic() + 60
        while not said(m) and time.monotonic() < deadline:
            publish(channel, 100)
    assert 90 < max(v for _, v in m.record.history(late)) < 120
    severity, message = said(m)[0]
    assert severity == FAILURE
    assert message.startswith("cluster main: messages to a consumer of this "
                              "host took 1"), message
    wait_for(lambda: len(said(m)) > 1, 40, "its end is said")
    assert said(m)[1][0] == OKAY
    assert len(said(m)) == 2


def test_nacks_of_our_own_publisher_are_errors(rig, broker, vhost):
    vhost.queue("full", x_max_length=1, x_overflow="reject-publish")
    vhost.publish("", "full", b"x")
    m = rig.publisher(
        broker, vhost, name="M", load=["rabbitmq_monitor"],
        blocks=[warren.monitor(warren.cluster_block(
            "main", broker, Interval=1, Source="management", MaxQueues=0,
            Publisher="x"))],
        options={"Exchange": "", "RoutingKey": "full", "OnNack": "drop"},
        Total=400, Rate=20)
    m.start()
    wait_for(lambda: (newest(m, MAIN + "total_events-own_nack") or 0) > 20, 30,
             "nacks are counted")
    wait_for(lambda: (newest(m, MAIN + "percent-error_rate") or 0) > 10, 30,
             "they are errors")
    own = newest(m, MAIN + "total_events-own_nack")
    wait_for(lambda: m.record.series("rabbitmq_publish-x/").get(
        "total_events-nack", 0) >= own, 40, "the publisher counts as many")
    assert newest(m, MAIN + "total_events-unconfirmed") is None
