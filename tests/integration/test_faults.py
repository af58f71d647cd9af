# SPDX-License-Identifier: MIT
"""What only the real broker can tell: returns, nacks, cancels, channels it
closes, hosts that are dead."""

import time

from rig import modules as warren
from rig.collectd import plugin
from rig.ports import free_ports
from rig.waiting import wait_for


def published(a):
    return a.record.series("rabbitmq_publish-x/")


def consumed(b):
    return b.record.series("rabbitmq_consume-x/")


def reaches(series, name, value, patience=60):
    wait_for(lambda: series().get(name, 0) >= value, patience,
             f"{name} reaches {value}")


# --- publisher --------------------------------------------------------------

def test_an_unroutable_message_is_returned_and_retried_until_it_routes(
        rig, broker, vhost):
    vhost.exchange("metrics", "direct")
    a = rig.publisher(broker, vhost, options={
        "Exchange": "metrics", "RoutingKey": "k", "RetryDelay": 1,
        "RetryDelayMax": 2, "MaxAttempts": 100}, Total=20, Delay=0.1).start()
    reaches(lambda: published(a), "total_events-return", 20)
    assert published(a).get("total_operations-confirmed", 0) == 0
    assert a.log_lines(r'"metrics" with routing key "k": no queue is bound there '
                       r"that takes it; tried again, refusal 1 of 100 "), a.log()
    vhost.queue("q")
    vhost.bind("metrics", "q", "k")
    reaches(lambda: published(a), "total_operations-confirmed", 20)
    assert {int(float(b.split(b":")[-1])) for _, b in vhost.take_all("q")} == \
        set(range(20))
    assert published(a)["total_operations-returned"] == 0


def test_an_unroutable_message_is_given_up_with_exchange_and_key_in_the_log(
        rig, broker, vhost):
    vhost.exchange("metrics", "direct")
    a = rig.publisher(broker, vhost, options={
        "Exchange": "metrics", "RoutingKey": "nobody.wants.this",
        "OnReturn": "drop"}, Total=20, Delay=0.1).start()
    reaches(lambda: published(a), "total_operations-returned", 20)
    lines = a.log_lines(r"\[error\].*metrics.*nobody\.wants\.this")
    assert 1 <= len(lines) <= 3, a.log()
    assert a.log_lines(r"no queue is bound there that takes it; not tried again \(")
    assert published(a)["total_operations-confirmed"] == 0


def test_a_nacked_message_is_retried_until_the_queue_has_room(
        rig, broker, vhost):
    vhost.queue("q", x_max_length=10, x_overflow="reject-publish")
    vhost.bind("amq.fanout", "q", "")
    a = rig.publisher(broker, vhost, options={
        "Exchange": "amq.fanout", "RetryDelay": 1, "RetryDelayMax": 1,
        "MaxAttempts": 1000}, Total=40, Delay=0.1).start()
    reaches(lambda: published(a), "total_events-nack", 1)
    got = set()

    def drain():
        got.update(int(float(b.split(b":")[-1])) for _, b in vhost.take_all("q"))
        return got == set(range(40))
    wait_for(drain, 60, "all forty got in, ten at a time")
    reaches(lambda: published(a), "total_operations-confirmed", 40)
    assert published(a)["total_operations-rejected"] == 0


def test_a_nacked_message_is_given_up_with_exchange_and_key_in_the_log(
        rig, broker, vhost):
    vhost.queue("q", x_max_length=10, x_overflow="reject-publish")
    vhost.bind("amq.fanout", "q", "")
    a = rig.publisher(broker, vhost, options={
        "Exchange": "amq.fanout", "RoutingKey": "full.queue", "OnNack": "drop"},
        Total=40, Delay=0.1).start()
    reaches(lambda: published(a), "total_operations-rejected", 30)
    assert a.log_lines(r"\[error\].*amq\.fanout.*full\.queue")
    reaches(lambda: published(a), "total_operations-confirmed", 10)
    assert vhost.ready("q") == 10


def test_an_exchange_deleted_in_mid_stream_closes_the_channel_only(
        rig, broker, vhost):
    vhost.exchange("metrics", "fanout")
    vhost.queue("q")
    vhost.bind("metrics", "q", "")
    a = rig.publisher(broker, vhost, options={
        "Exchange": "metrics", "RetryDelay": 1, "RetryDelayMax": 1,
        "MaxAttempts": 1000}, how={"interval": 0.2},
        Total=6000, Rate=800, Delay=0.1).start()
    reaches(lambda: published(a), "total_operations-confirmed", 500)
    vhost.delete_exchange("metrics")
    a.wait_log(r"\[error\].*(404|metrics)")
    vhost.exchange("metrics", "fanout")
    vhost.bind("metrics", "q", "")
    reaches(lambda: published(a), "total_operations-confirmed", 6000, 60)
    got = [int(float(b.split(b":")[-1])) for _, b in vhost.take_all("q")]
    assert set(got) == set(range(6000))
    assert published(a)["total_connections-opened"] == 1


def test_the_third_of_three_hosts_is_found(rig, broker, vhost):
    vhost.queue("q")
    vhost.bind("amq.fanout", "q", "")
    dead = [f"127.0.0.1:{p}" for p in free_ports(2)]
    a = rig.publisher(broker, vhost, options={
        "Host": [*dead, f"127.0.0.1:{broker.amqp_port}"],
        "Exchange": "amq.fanout", "RetryDelay": 1}, Total=50, Delay=0.1).start()
    wait_for(lambda: vhost.ready("q") == 50, 60, "all in the queue")
    assert published(a) is not None


def test_notifications_are_published(rig, broker, vhost):
    vhost.queue("q")
    vhost.exchange("events", "topic")
    vhost.bind("events", "q", "#")
    a = rig.publisher(broker, vhost, options={
        "Exchange": "events", "Metrics": False, "Notifications": True},
        Total=1, Notifications=5, Delay=0.1).start()
    wait_for(lambda: vhost.ready("q") == 5, 60, "five notifications")
    bodies = [b.decode() for _, b in vhost.take_all("q")]
    for i, body in enumerate(bodies):
        assert body.startswith("PUTNOTIF ") and f"notification number {i}" in body
    assert a.stop() < 15


def test_every_message_carries_the_properties_of_the_contract(
        rig, broker, vhost):
    vhost.queue("q")
    vhost.bind("amq.fanout", "q", "")
    before = int(time.time())
    rig.publisher(broker, vhost, options={"Exchange": "amq.fanout"}, Total=10,
                  Delay=0.1).start()
    wait_for(lambda: vhost.ready("q") == 10, 60, "ten messages")
    taken = vhost.take_all("q")
    assert len({p.message_id for p, _ in taken}) == 10
    for p, _ in taken:
        assert p.content_type == "text/collectd"
        assert p.delivery_mode == 2
        assert p.app_id
        assert abs(p.timestamp - before) < 60
        assert abs(p.headers["timestamp_in_ms"] / 1000 - before) < 60
        version, trace, span, flags = p.headers["traceparent"].split("-")
        assert (version, len(trace), len(span), len(flags)) == ("00", 32, 16, 2)


def test_the_last_line_of_each_module_is_its_account(rig, broker, vhost):
    vhost.exchange("metrics", "topic")
    b = rig.consumer(broker, vhost, Exchange="metrics", RoutingKey="#",
                     Queue="sink").start()
    wait_for(lambda: vhost.consumers("sink") == 1, 60, "consuming")
    a = rig.publisher(broker, vhost, options={"Exchange": "metrics"}, Total=321,
                      Delay=0.1).start()
    wait_for(lambda: len(b.record.numbers()) == 321, 60, "all arrived")
    a.stop()
    b.stop()
    assert a.log_lines("ended: 321 messages accepted, 0 recovered, 321 confirmed,"
                       " 0 returned, 0 rejected, 0 expired, 0 dropped;"
                       " 0 republished; 0 wait in the spool")
    assert b.log_lines("ended: 321 messages delivered, 0 of them again; "
                       "321 acknowledged, 0 of them as duplicates, "
                       "0 requeued, 0 rejected")


# --- consumer ---------------------------------------------------------------

def put(vhost, number, **properties):
    vhost.publish("", "q", b"PUTVAL h.example.org/good/gauge-n interval=10 "
                  b"%.3f:%d\n" % (time.time(), number),
                  content_type="text/collectd", delivery_mode=2, **properties)


def values(b):
    return [v for _, v in b.record.history("good/gauge-n")]


def start_consumer(rig, broker, vhost, **options):
    b = rig.consumer(broker, vhost, Queue="q", RetryDelay=1, RetryDelayMax=2,
                     **options).start()
    wait_for(lambda: vhost.consumers("q") == 1, 60, "the consumer consumes")
    return b


def slow_consumer(rig, broker, vhost, **sink):
    """One whose writer takes its time; without series of its own, on which
    that time would be spent."""
    b = rig.daemon("slow", ["rabbitmq_consume"], warren.consume(
        warren.subscribe_block("x", broker, vhost.name, Queue="q", RetryDelay=1,
                               RetryDelayMax=2, ReportStats=False)),
        plugin("sink", **sink)).start()
    wait_for(lambda: vhost.consumers("q") == 1, 60, "consuming")
    return b


def test_a_queue_deleted_under_the_consumer_is_declared_again(
        rig, broker, vhost):
    vhost.queue("q")
    b = start_consumer(rig, broker, vhost)
    put(vhost, 1)
    wait_for(lambda: values(b) == [1], 60, "1 arrived")
    vhost.delete_queue("q")
    b.wait_log("cancel")
    wait_for(lambda: vhost.consumers("q") == 1, 60,
             "the queue and the consumer are back")
    put(vhost, 2)
    wait_for(lambda: values(b) == [1, 2], 60, "2 arrived")


def test_a_channel_closed_by_the_consumer_timeout_is_opened_again(
        rig, victim, victim_vhost):
    """The first write takes longer than the broker's patience."""
    victim_vhost.queue("q")
    victim.consumer_timeout(1000)
    try:
        b = slow_consumer(rig, victim, victim_vhost, Delay=4, DelayCount=1)
        put(victim_vhost, 1)
        b.wait_log(r"406.*timed out", timeout=60)
    finally:
        victim.consumer_timeout(None)
    b.wait_log("trouble is over", timeout=60)
    put(victim_vhost, 2)
    wait_for(lambda: 2 in values(b), 60, "2 arrived")
    wait_for(lambda: victim_vhost.ready("q") == 0, 60, "the queue is empty")
    assert set(values(b)) == {1, 2}


def test_a_consumer_killed_before_its_ack_gets_the_message_again(
        rig, broker, vhost):
    vhost.queue("q")
    slow = slow_consumer(rig, broker, vhost, Delay=20)
    put(vhost, 1)
    wait_for(lambda: vhost.ready("q") == 0, 60, "it was delivered")
    slow.kill9()
    b = start_consumer(rig, broker, vhost)
    wait_for(lambda: 1 in values(b), 60, "it came again")
    reaches(lambda: consumed(b), "total_operations-redelivered", 1)


def test_what_a_consumer_holds_at_sigterm_is_written_or_comes_again(
        rig, broker, vhost):
    """Stops a consumer in mid-stream: nothing may be missing afterwards."""
    vhost.exchange("metrics", "topic")
    first = rig.consumer(broker, vhost, name="first", Exchange="metrics",
                         RoutingKey="#", Queue="sink").start()
    wait_for(lambda: vhost.consumers("sink") == 1, 60, "consuming")
    rig.publisher(broker, vhost, options={"Exchange": "metrics"}, Total=20000,
                  Rate=5000, Delay=0.1).start()
    wait_for(lambda: len(first.record.numbers()) > 5000, 60, "in mid-stream")
    assert first.stop() < 15
    second = rig.consumer(broker, vhost, name="second", Exchange="metrics",
                          RoutingKey="#", Queue="sink").start()
    wait_for(lambda: set(first.record.numbers()) | set(second.record.numbers())
             == set(range(20000)), 60, "every value was written by one of them")
