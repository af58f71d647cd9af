# SPDX-License-Identifier: MIT
"""What a consumer must survive: each bad message is rejected with a line that
says why, ends in the dead-letter queue, and the next good one flows."""

import os
import re
import time

import pytest

from rig.waiting import wait_for

GOOD = (b"PUTVAL h.example.org/good/gauge-n interval=10.000 %.3f:%d\n")
TEXT = "text/collectd"

# body, content type, the cause it is counted for, what the log line has to say
POISON = {
    "20 MB": (b"PUTVAL x/y/gauge interval=1 N:1\n" * 700_000, TEXT,
              "oversized", r"22400000 bytes .* larger than MaxMessageBytes"),
    "empty": (b"", TEXT, "empty", "its body is empty"),
    "unknown content type": (b"hello", "application/x-nobody-knows",
                             "content_type", "application/x-nobody-knows"),
    "no content type": (b"\x00\x01\x02", None, "content_type",
                        "its content type is not one .*: it has none"),
    "garbage": (os.urandom(3000) + b"\0", TEXT, "parse", "has a NUL byte"),
    "garbage JSON": (b'[{"values":[1,', "application/json", "parse",
                     "not JSON: it ends too early, byte 14"),
    "deep JSON": (b"[" * 100_000, "application/json", "parse",
                  "JSON nested deeper than"),
    "another command": (b"FLUSH plugin=csv\n", TEXT, "parse",
                        'command "FLUSH" is not accepted'),
    "unknown type": (b"PUTVAL h/p/nosuchtype interval=1 N:1\n", TEXT, "parse",
                     'type "nosuchtype" is not'),
    "control characters": (b"PUTVAL \"h\x1b[31m\n/p\"/gauge 1:1\n", TEXT,
                           "parse", "a quoted string has no end"),
    "a path as host": (b"PUTVAL ../../etc/gauge-x interval=1 N:1\n", TEXT,
                       "parse", 'host "\\.\\." is not a safe name'),
}


@pytest.fixture
def consumer(rig, broker, vhost):
    """A consumer whose rejects end in the queue "dead"."""
    vhost.exchange("dlx", "fanout")
    vhost.queue("dead")
    vhost.bind("dlx", "dead", "")
    b = rig.consumer(broker, vhost, Queue="q", DeadLetterExchange="dlx")
    b.start()
    wait_for(lambda: vhost.consumers("q") == 1, 60, "the consumer consumes")
    return b


def send_good(vhost, number):
    vhost.publish("", "q", GOOD % (time.time(), number), content_type=TEXT,
                  delivery_mode=2)


def good_arrives(consumer, number, patience=60):
    wait_for(lambda: (number in [v for _, v in
                                 consumer.record.history("good/gauge-n")]),
             patience, f"good value {number} arrived")


@pytest.mark.parametrize("kind", POISON)
def test_poison_is_dead_lettered_with_a_reason_and_the_next_value_flows(
        consumer, vhost, kind):
    body, content_type, cause, reason = POISON[kind]
    vhost.publish("", "q", body, content_type=content_type)
    send_good(vhost, 7)
    good_arrives(consumer, 7)
    wait_for(lambda: vhost.ready("dead") == 1, 60, "it is dead-lettered")
    (properties, dead), = vhost.take_all("dead")
    assert dead == body
    assert properties.headers["x-death"][0]["reason"] == "rejected"
    line, = consumer.wait_log(
        r"\[(error|warning)\].*rejected to the dead-letter exchange")
    assert re.search(reason, line), line
    assert all(c.isprintable() for c in line), repr(line)
    series = lambda: consumer.record.series("rabbitmq_consume-x/")
    wait_for(lambda: series().get("total_operations-acked", 0) >= 1, 60, "acked")
    causes = lambda: {k.split("rejected_")[1]: v for k, v in series().items()
                      if "-rejected_" in k and v}
    wait_for(lambda: causes() == {cause: 1}, 60, "it is counted")
    assert consumer.stop() < 15
    assert consumer.status == 0


def test_a_hundred_poisoned_messages_among_good_ones_lose_no_good_one(
        consumer, vhost):
    import pika
    with vhost.connect() as connection:
        channel = connection.channel()
        now = time.time()
        for i in range(300):
            bad = i % 3 == 0
            channel.basic_publish(
                "", "q", os.urandom(50) if bad else GOOD % (now + i * 0.01, i),
                pika.BasicProperties(content_type=TEXT, delivery_mode=2))
    want = [i for i in range(300) if i % 3]
    wait_for(lambda: len(consumer.record.history("good/gauge-n")) >= len(want), 60,
             "the good ones arrived")
    assert [v for _, v in consumer.record.history("good/gauge-n")] == want
    wait_for(lambda: vhost.ready("dead") == 100, 60, "the bad ones are dead")


def test_messages_held_for_later_do_not_stop_the_good_ones_behind_them(
        rig, broker, vhost):
    """More than fit the prefetch, at the head of the queue."""
    b = rig.consumer(broker, vhost, Queue="q", PrefetchCount=20,
                     OnParseError="requeue")
    vhost.queue("q", durable=True)
    for _ in range(30):
        vhost.publish("", "q", b"no command", content_type=TEXT)
    send_good(vhost, 7)
    b.start()
    good_arrives(b, 7, 30)  # five retries of the first take 31 s
    assert b.log_lines(r"requeued: its body cannot be read")
    assert b.stop() < 15
    assert b.status == 0
    wait_for(lambda: vhost.ready("q"), 60, "the held ones went back")
