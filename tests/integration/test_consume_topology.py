# SPDX-License-Identifier: MIT
"""The queue and what happens to it, on the real broker: consumption resumes by
itself, and the log says in one line what happened and what is done. Streams are
read on where they were left.

WARREN_KILL_SEED=n replays the kills.
"""

import os
import random
import signal
import time
from urllib.parse import quote

import pika
import pytest

from rig.waiting import wait_for

SEED = int(os.environ.get("WARREN_KILL_SEED", random.randrange(1 << 30)))
QUICK = {"RetryDelay": 0.2, "RetryDelayMax": 1, "AuthRetryDelay": 1,
         "AckInterval": 0.1}
STREAM = QUICK | {"QueueType": "stream", "OnParseError": "drop",
                  "OnDispatchError": "drop", "OnWrittenTimeout": "ack"}


def line(number):
    return (f"PUTVAL agent/loadgen-s{number % 50}/gauge-x "
            f"{1700000000 + number}:{number}\n")


class Sender:
    """Publishes numbered values, one a message, confirmed."""

    def __init__(self, vhost, exchange="", key="q"):
        self.connection = vhost.connect()
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()
        self.to = (exchange, key)
        self.next = 0

    def send(self, count, persistent=True):
        for _ in range(count):
            self.channel.basic_publish(*self.to, line(self.next), pika.BasicProperties(
                content_type="text/collectd", message_id=f"m-{self.next}",
                delivery_mode=2 if persistent else 1))
            self.next += 1

    def close(self):
        self.connection.close()


def arrived(b, numbers, patience=60):
    wait_for(lambda: set(b.record.numbers()) >= set(numbers), patience,
             f"{len(set(numbers))} values arrived", pause=0.1)


def said(b, name):
    return b.record.series("rabbitmq_consume-x/").get(name, 0)


def consuming(rig, broker, vhost, queue="q", **options):
    b = rig.consumer(broker, vhost, Queue=queue, **(QUICK | options)).start()
    wait_for(lambda: said(b, "bool-connected"), 60, "the consumer is connected")
    return b


# --- resumption -------------------------------------------------------------

def test_a_queue_deleted_while_consuming_is_declared_again(rig, broker, vhost):
    b = consuming(rig, broker, vhost)
    sender = Sender(vhost)
    sender.send(50)
    arrived(b, range(50))
    vhost.delete_queue("q")
    b.wait_log(r'cancelled the consumer: queue "q" was deleted, its node left, '
               r"or .* consumer_timeout; remedy: it is subscribed again .*; next attempt in")
    wait_for(lambda: vhost.consumers("q") == 1, 60, "it consumes again")
    sender.send(50)
    sender.close()
    arrived(b, range(100))
    assert said(b, "total_connections-opened") == 1


def test_a_queue_without_a_name_is_new_and_bound_with_every_connection(
        rig, broker, vhost):
    def queues():
        return broker.must("GET", f"queues/{quote(vhost.name, safe='')}")
    b = rig.consumer(broker, vhost, Exchange="amq.fanout", **QUICK).start()
    wait_for(lambda: said(b, "bool-connected"), 60, "it is connected")
    first, = queues()
    assert first["name"].startswith("amq.gen") and first["exclusive"]
    sender = Sender(vhost, "amq.fanout", "")
    sender.send(5)
    arrived(b, range(5))
    sender.close()
    broker.close_connections()
    b.wait_log("the trouble is over")
    # The broker may take its time to delete the first one.
    wait_for(lambda: first["name"] not in [q["name"] for q in queues()], 60,
             "the first queue is gone")
    second, = queues()
    assert second["name"].startswith("amq.gen")
    sender = Sender(vhost, "amq.fanout", "")
    sender.next = 5
    sender.send(5)
    sender.close()
    arrived(b, range(10))


def test_an_exchange_deleted_comes_back_with_the_next_subscription(
        rig, broker, vhost):
    b = consuming(rig, broker, vhost, Exchange="metrics", ExchangeType="fanout")
    vhost.delete_exchange("metrics")
    vhost.delete_queue("q")
    b.wait_log("cancelled the consumer")
    wait_for(lambda: vhost.consumers("q") == 1, 60, "it consumes again")
    sender = Sender(vhost, "metrics", "")
    sender.send(20)
    sender.close()
    arrived(b, range(20))


def test_an_exchange_deleted_alone_is_found_missing_and_bound_again(
        rig, broker, vhost):
    """Only its bindings are gone, of which the broker tells nobody."""
    # One that the block declares is there again at once ...
    own = consuming(rig, broker, vhost, "own", Exchange="mine",
                    ExchangeType="fanout", IdleCheckInterval=1)
    vhost.delete_exchange("mine")
    own.wait_log(r"404 NOT_FOUND - no exchange 'mine'.*; remedy: .*declared anew")
    wait_for(lambda: vhost.consumers("own") == 1, 60, "it consumes again")
    # ... and one of somebody else when it is back, with or without a look.
    vhost.exchange("theirs", "fanout")
    other = consuming(rig, broker, vhost, "other", name="C", Exchange="theirs",
                      IdleCheckInterval=1)
    vhost.delete_exchange("theirs")
    vhost.exchange("theirs", "fanout")
    for b, exchange in ((own, "mine"), (other, "theirs")):
        sender = Sender(vhost, exchange, "")
        wait_for(lambda: sender.send(1) or b.record.numbers(), 60,
                 f"{exchange} is bound again", pause=0.3)
        sender.close()
        assert said(b, "total_connections-opened") == 1


def test_a_connection_closed_by_the_management_api_is_made_again(
        rig, broker, vhost):
    b = consuming(rig, broker, vhost)

    def close_it():
        for c in broker.must("GET", "connections"):
            if c.get("vhost") == vhost.name and c.get("client_properties", {}).get("connection_name", "").startswith(
                    "collectd/"):
                status, _ = broker.api(
                    "DELETE", "connections/" + quote(c["name"], safe=""))
                return status < 300  # the list may be older than the connection
        return False
    wait_for(close_it, 60, "the API knows the connection")
    b.wait_log(r"the broker closed the connection: 320 .*; next attempt in")
    wait_for(lambda: vhost.consumers("q") == 1, 60, "it consumes again")
    sender = Sender(vhost)
    sender.send(20)
    sender.close()
    arrived(b, range(20))


def test_a_channel_closed_by_consumer_timeout_is_opened_again(
        rig, victim, victim_vhost):
    """The values are stuck in a writer for longer than the broker waits."""
    victim.consumer_timeout(1500)
    try:
        b = rig.consumer(victim, victim_vhost, Queue="q", WrittenTimeout=60,
                         AckInterval=20, AckBatch=100, **{
                             k: v for k, v in QUICK.items()
                             if k != "AckInterval"}).start()
        wait_for(lambda: said(b, "bool-connected"), 60, "it is connected")
        sender = Sender(victim_vhost)
        b_hold(b, sender, victim_vhost)
        b.wait_log(r"closed the channel while working: 406 PRECONDITION_FAILED.*"
                   r"next attempt in")
        wait_for(lambda: victim_vhost.consumers("q") == 1, 60, "it is back")
    finally:
        victim.consumer_timeout(None)


def b_hold(b, sender, vhost):
    """A collectd that is stopped keeps its deliveries, until the broker has had
    enough of that."""
    sender.send(1)
    arrived(b, [0])
    b.process.send_signal(signal.SIGSTOP)
    sender.send(5)
    wait_for(lambda: vhost.consumers("q") == 0, 60, "the channel is closed")
    b.process.send_signal(signal.SIGCONT)
    sender.close()


def test_policies_that_change_are_nothing_to_the_consumer(rig, broker, vhost):
    b = consuming(rig, broker, vhost)
    sender = Sender(vhost)
    name = vhost.name.replace("/", "%2F")
    for definition in ({"max-length": 1000}, {"dead-letter-exchange": "d"},
                       {"max-length": 500, "message-ttl": 60000}):
        broker.must("PUT", f"policies/{name}/p", {
            "pattern": "^q$", "definition": definition, "apply-to": "queues"})
        sender.send(10)
        arrived(b, range(sender.next))
    sender.close()
    assert said(b, "total_connections-opened") == 1
    assert not b.log_lines("channel_closed|closed the channel")


def test_an_idle_consumer_is_left_alone_and_a_standby_too(rig, broker, vhost):
    options = {"SingleActiveConsumer": True, "IdleCheckInterval": 0.5,
               "PrefetchCount": 1}
    first = consuming(rig, broker, vhost, **options)
    second = consuming(rig, broker, vhost, name="C", **options)
    time.sleep(3)
    sender = Sender(vhost)
    sender.send(300)
    sender.close()
    wait_for(lambda: len({*first.record.numbers(), *second.record.numbers()}) == 300,
             60, "all values arrived")
    time.sleep(2)
    for daemon in (first, second):
        assert said(daemon, "total_events-idle_restart") == 0
        assert not daemon.log_lines("subscribing anew")
    assert 0 in (len(first.record.numbers()), len(second.record.numbers()))


# --- what the queue is declared with ----------------------------------------

def declared(rig, broker, vhost, name="B", **options):
    """A queue "q" as the block declares it, and nobody consumes from it."""
    b = consuming(rig, broker, vhost, name=name, **options)
    b.stop()
    return b.again()


def deaths(vhost, patience=60):
    """Why, of every message in the queue "dead", as RabbitMQ wrote it down."""
    wait_for(lambda: vhost.ready("dead") == 15, patience, "15 are dead")
    return [p.headers["x-death"][0]["reason"] for p, _ in vhost.take_all("dead")]


@pytest.mark.parametrize("queue", ["classic", "quorum"])
def test_what_is_too_old_or_too_much_is_dead_lettered(rig, broker, vhost, queue):
    vhost.exchange("dlx", "fanout")
    vhost.queue("dead")
    vhost.bind("dlx", "dead", "")
    declared(rig, broker, vhost, QueueType=queue, QueueMaxLength=10,
             QueueMessageTTL=2, DeadLetterExchange="dlx")
    with vhost.connect() as connection:  # at once: they live for two seconds
        channel = connection.channel()
        for i in range(15):
            channel.basic_publish("", "q", line(i), pika.BasicProperties(
                content_type="text/collectd", delivery_mode=2))
    why = deaths(vhost)
    assert why.count("expired") + why.count("maxlen") == 15
    assert 10 <= why.count("expired") < 15  # more, where sending takes as long


def test_the_higher_priority_comes_first_and_each_key_is_a_binding(
        rig, broker, vhost):
    b = declared(rig, broker, vhost, QueueType="classic", QueueMaxPriority=3,
                 Exchange="metrics", ExchangeType="topic",
                 RoutingKey=["load.#", "*.urgent"])
    with vhost.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for i in range(40):
            channel.basic_publish(
                "metrics", "any.urgent" if i % 4 == 3 else f"load.{i}.x",
                line(i), pika.BasicProperties(content_type="text/collectd",
                                              delivery_mode=2, priority=i % 4))
        channel.basic_publish("metrics", "other.x", line(99))
    b.start()
    arrived(b, range(40))
    # written in the order of dispatch: collectd has one queue of values
    assert b.record.numbers() == sorted(range(40), key=lambda i: (-(i % 4), i))


def test_who_is_connected_and_does_not_consume_subscribes_anew(
        rig, broker, vhost):
    """The queue forgets its consumer and tells nobody, as after a broker's bug."""
    b = consuming(rig, broker, vhost, QueueType="classic", IdleCheckInterval=0.5)
    broker.forget_consumers(vhost.name, "q")
    sender = Sender(vhost)
    sender.send(20)
    sender.close()
    b.wait_log(r'queue "q" has no consumer, though we have subscribed: '
               r"subscribing anew")
    arrived(b, range(20))
    wait_for(lambda: said(b, "total_events-idle_restart") == 1, 60, "it is counted")
    assert said(b, "total_connections-opened") == 1


# --- streams ----------------------------------------------------------------

def stored(state):
    """The offset that the reader's file has."""
    file = state / "rabbitmq_consume-x-q.offset"
    return int(file.read_text("ascii").split()[-2]) if file.exists() else -1


def stream_reader(rig, broker, vhost, state, name="B", **options):
    return rig.consumer(broker, vhost, name, Queue="q", StateDir=state,
                        **(STREAM | options))


def test_a_stream_is_read_on_where_it_was_left_whatever_ends_the_reader(
        rig, broker, vhost, tmp_path, figure):
    print(f"WARREN_KILL_SEED={SEED}")
    chance = random.Random(SEED)
    total, prefetch, kills = 10_000, 100, 3
    half = total // (kills + 1) // 2
    b = stream_reader(rig, broker, vhost, str(tmp_path), StreamOffset="first",
                      PrefetchCount=prefetch).start()
    wait_for(lambda: said(b, "bool-connected"), 60, "the stream is declared")
    sender = Sender(vhost)
    lives = []  # where each began in the record, and what may not come again
    for _ in range(kills):
        sender.send(half)
        arrived(b, range(sender.next))
        kept = sender.next
        wait_for(lambda: stored(tmp_path) >= kept, 60, "the offset is stored")
        sender.send(half)
        wait_for(lambda: len(set(b.record.numbers())) > kept, 60,
                 "some of the rest has come", pause=0.02)
        time.sleep(chance.uniform(0, 0.3))
        b.kill9()
        lives.append((len(b.record.numbers()), kept))
        b.again().start()
    sender.send(total - sender.next)
    sender.close()
    arrived(b, range(total))
    b.stop()
    assert b.status == 0
    numbers = b.record.numbers()
    figure(f"stream, {kills} kills: {len(numbers) - total} of {total} values came "
           f"twice; seed {SEED}")
    assert set(numbers) == set(range(total))
    for begin, kept in lives:
        assert min(numbers[begin:]) >= kept
    # After SIGTERM not one comes again.
    b.again().start()
    b.wait_log(f"reading goes on at offset {total}")
    sender = Sender(vhost)
    sender.next = total
    sender.send(10)
    sender.close()
    arrived(b, range(total + 10))
    assert len(b.record.numbers()) == len(numbers) + 10


@pytest.mark.parametrize("offset,want", [
    ("first", range(0, 30)), ("next", range(20, 30)), ("15", range(15, 30)),
    ("2000-01-01T00:00:00Z", range(0, 30)), ("1h", range(0, 30))])
def test_a_stream_without_a_stored_offset_begins_where_it_is_told(
        rig, broker, vhost, tmp_path, offset, want):
    vhost.queue("q", x_queue_type="stream")
    sender = Sender(vhost)
    sender.send(20)
    b = stream_reader(rig, broker, vhost, str(tmp_path), StreamOffset=offset).start()
    wait_for(lambda: said(b, "bool-connected"), 60, "it is connected")
    time.sleep(0.5)
    sender.send(10)
    sender.close()
    arrived(b, want)
    assert sorted(b.record.numbers()) == list(want)


def test_a_stream_made_anew_is_read_from_its_beginning(
        rig, broker, vhost, tmp_path):
    b = stream_reader(rig, broker, vhost, str(tmp_path), StreamOffset="first",
                      IdleCheckInterval=2).start()
    wait_for(lambda: said(b, "bool-connected"), 60, "it is connected")
    sender = Sender(vhost)
    sender.send(50)
    arrived(b, range(50))
    wait_for(lambda: said(b, "total_operations-acked") == 50, 60, "all is acked")
    vhost.delete_queue("q")
    b.wait_log("cancelled the consumer")
    b.wait_log("the trouble is over")  # and so the new stream is there
    sender.send(10)
    sender.close()
    arrived(b, range(60))
    assert len(b.log_lines("made anew: it is read from its beginning")) == 1


def test_a_damaged_offset_file_is_said_and_the_option_holds(
        rig, broker, vhost, tmp_path):
    file = tmp_path / "rabbitmq_consume-x-q.offset"
    file.write_bytes(b"warren-stream-offset 1 nonsense\n")
    vhost.queue("q", x_queue_type="stream")
    sender = Sender(vhost)
    sender.send(20)
    sender.close()
    b = stream_reader(rig, broker, vhost, str(tmp_path), StreamOffset="first").start()
    b.wait_log(r"\[error\].*offset file .* cannot be used: it is damaged")
    arrived(b, range(20))
    wait_for(lambda: b"nonsense" not in file.read_bytes(), 60, "it is written anew")


def test_a_body_that_cannot_be_read_does_not_stop_a_stream(
        rig, broker, vhost, tmp_path):
    """RabbitMQ closes the connection of who rejects in a stream."""
    b = stream_reader(rig, broker, vhost, str(tmp_path), StreamOffset="first").start()
    wait_for(lambda: said(b, "bool-connected"), 60, "it is connected")
    sender = Sender(vhost)
    sender.send(5)
    vhost.publish("", "q", "nonsense", content_type="text/collectd")
    sender.send(5)
    sender.close()
    arrived(b, range(10))
    wait_for(lambda: said(b, "total_operations-rejected_parse") == 1, 60, "counted")
    assert said(b, "total_connections-opened") == 1
