# SPDX-License-Identifier: MIT
"""What comes twice is written once: the csv files, where a value that was
written again stands again, are compared with what was sent."""

import collections
import os
import random
import time

import pytest

from rig.gate import Gate
from rig.lives import csv_consumer, flat, lines_of
from rig.load import Load
from rig.waiting import wait_for

SEED = int(os.environ.get("WARREN_KILL_SEED", random.randrange(1 << 30)))
PER_MESSAGE = 10
MESSAGES = 300
PREFETCH = 50
CUTS = 5
TOTAL = 15_000   # values of the publisher, a message each: more than the window
RATE = 3000
SERIES = 50
LIMIT = {"dispatched": 200}  # BackpressureQueueLength, by AckWhen


def written(daemon):
    return flat(lines_of(daemon))


def often(numbers):
    """How many were written how often."""
    return collections.Counter(numbers.values())


@pytest.mark.parametrize("queue_type, deduplicate, ack_when", [
    ("quorum", True, "written"), ("classic", True, "written"),
    ("classic", False, "written"), ("classic", True, "dispatched")])
def test_deduplicate_is_what_makes_broken_connections_cost_no_second_line(
        rig, broker, vhost, figure, queue_type, deduplicate, ack_when):
    """A slow writer, so that each break meets values on their way, messages
    that are finished and not acknowledged, and copies of both."""
    print(f"WARREN_KILL_SEED={SEED}")
    chance = random.Random(SEED)
    vhost.queue("q", x_queue_type=queue_type)
    load = Load(vhost, "q", PER_MESSAGE)
    with Gate(broker.amqp_port) as gate:
        b = csv_consumer(rig, gate, vhost,
                         sink={"Delay": 0.0005 if deduplicate else 0.001},
                         PrefetchCount=PREFETCH, QueuePassive=True,
                         AckWhen=ack_when, Deduplicate=deduplicate,
                         BackpressureQueueLength=LIMIT.get(ack_when)).start()
        for connection in range(1, CUTS + 1):
            # The broker counts the consumer of the connection before, too.
            wait_for(lambda: gate.accepted >= connection
                     and vhost.consumers("q") == 1, 60, "it consumes again")
            if connection == 1:
                load.put(MESSAGES)  # now, so that much of it meets a break
            time.sleep(chance.uniform(0.05, 0.5))
            gate.cut()
        wait_for(lambda: len(written(b)) == len(load.sent), 60,
                 "every value is written", pause=0.3)
        wait_for(lambda: vhost.queue_state("q").get("messages") == 0, 60,
                 "every message is acknowledged", pause=0.3)
        wait_for(lambda: gate.accepted > CUTS, 60, "each was broken")
        b.stop()
    numbers = written(b)
    figure(f"{gate.accepted - 1} broken connections, Deduplicate {deduplicate}, "
           f"AckWhen {ack_when}, {queue_type}: written so often {dict(often(numbers))}; seed {SEED}")
    assert set(numbers) == set(load.sent)
    assert (set(numbers.values()) == {1}) == deduplicate


def test_every_value_is_written_once_though_the_broker_is_killed(
        rig, victim, victim_vhost, figure):
    """Here the publisher sends again as well: what was not confirmed, with the
    same id."""
    victim_vhost.exchange("metrics", "fanout")
    b = csv_consumer(rig, victim, victim_vhost, host="loadgen.example.org",
                     Exchange="metrics", sink={"Delay": 0.0001}).start()
    wait_for(lambda: victim_vhost.consumers("q") == 1, 60, "it consumes")
    victim.sync()
    a = rig.publisher(victim, victim_vhost, options={
        "Exchange": "metrics", "RetryDelay": 0.1, "RetryDelayMax": 0.5},
        Total=TOTAL, Rate=RATE, Series=SERIES, Delay=0.1).start()
    for part, hurt in ((0.2, victim.close_connections), (0.4, victim.restart),
                       (0.7, victim.close_connections)):
        wait_for(lambda: len(written(b)) >= part * TOTAL, 60,
                 f"{part:.0%} written", pause=0.2)
        hurt()
    wait_for(lambda: len(written(b)) == TOTAL, 60, "all are written", pause=0.3)
    wait_for(lambda: a.record.series("rabbitmq_publish-x/")
             .get("total_operations-confirmed") == TOTAL, 60, "all are confirmed")
    time.sleep(1)  # a second line would come now
    b.stop()
    again = a.record.series("rabbitmq_publish-x/")["total_operations-republished"]
    said = b.log_lines("ended:")[-1].split("ended: ")[1]
    figure(f"two closes and a kill -9: {TOTAL} values written so often "
           f"{dict(often(written(b)))}, republished {again:.0f}; {said}")
    assert written(b) == dict.fromkeys(range(TOTAL), 1)
