# SPDX-License-Identifier: MIT
"""The main job: what enters a publisher leaves a consumer, whatever happens to
the broker between. Sets are compared, ours of what was sent with the sink's of
what arrived; our own counters are then held against the sets."""

import collections
import time

import pytest

from rig.compare import rounded, unmatched
from rig.waiting import wait_for

TOTAL = 100_000
SERIES = 1000


def number_of(body):
    """The number in a PUTVAL line of loadgen's."""
    return int(float(body.decode().rstrip().rsplit(":", 1)[1]))


def start_pipeline(rig, broker, vhost, total, rate, **options):
    vhost.exchange("metrics", "topic")
    vhost.queue("copy")
    vhost.bind("metrics", "copy", "#")
    b = rig.consumer(broker, vhost, Exchange="metrics", RoutingKey="#",
                     Queue="sink").start()
    wait_for(lambda: b.record.series("rabbitmq_consume-x/").get("bool-connected"),
             60, "the consumer is connected")
    a = rig.publisher(broker, vhost, options={"Exchange": "metrics", **options},
                      Total=total, Series=SERIES, Rate=rate, Delay=0.2).start()
    return a, b


def arrived(b, part, of=TOTAL, patience=120):
    wait_for(lambda: len(b.record.numbers()) >= part * of, patience,
             f"{part:.0%} of {of} values arrived", pause=0.2)


def settle(a, b, total):
    """Waits until everything has arrived and both modules have said so."""
    try:
        wait_for(lambda: len(set(b.record.numbers())) >= total, 120,
                 "all values arrived", pause=0.3)
    except AssertionError as e:
        missing = sorted(set(range(total)) - set(b.record.numbers()))
        raise AssertionError(f"{e}: lost {len(missing)}, first {missing[:10]}"
                             ) from None
    wait_for(lambda: a.record.series("rabbitmq_publish-x/")
             .get("total_operations-confirmed") == total, 60,
             f"confirmed == {total}; " + str(a.record.series("rabbitmq_publish-x/")))
    # The report is of a moment before: it has to say what the sink says.
    wait_for(lambda: b.record.series("rabbitmq_consume-x/")
             .get("total_values-dispatched") == len(b.record.numbers()), 60,
             "the consumer has counted what it dispatched")


def check_sets(b, total):
    numbers = b.record.numbers()
    assert set(numbers) == set(range(total))
    first_seen = list(dict.fromkeys(numbers))
    assert first_seen == sorted(first_seen), "a newer value overtook an older one"
    assert len(numbers) == total, "a value came twice in spite of Deduplicate"


def check_copies(vhost, total):
    """Every message is in the copy queue, each with an id of its own; the same
    value twice means the same id twice."""
    ids = collections.defaultdict(set)
    order = []
    copies = 0
    for properties, body in vhost.take_all("copy"):
        copies += 1
        number = number_of(body)
        order.append(number)
        ids[number].add(properties.message_id)
    assert set(ids) == set(range(total))
    assert all(len(seen) == 1 and None not in seen for seen in ids.values())
    assert len({next(iter(seen)) for seen in ids.values()}) == total
    first_seen = list(dict.fromkeys(order))
    assert first_seen == sorted(first_seen), "published out of order"
    return copies - total


def check_counters(a, b, total, copies):
    """The books balance, and say what the sets say. Each message in the queue,
    copies too, has to be acknowledged, and each copy to be recognised; more
    often when a connection was lost in between. Of a message in flight a broker
    that is killed may keep what one queue has and not the other: `copies` is 0
    where those in the consumer's own queue are not known."""
    published = a.record.series("rabbitmq_publish-x/")
    ops = collections.Counter({k[len("total_operations-"):]: v
                               for k, v in published.items()
                               if k.startswith("total_operations-")})
    queues = collections.Counter({k[len("queue_length-"):]: v
                                  for k, v in published.items()
                                  if k.startswith("queue_length-")})
    assert ops["accepted"] == total
    assert ops["confirmed"] == total
    dropped = sum(v for k, v in ops.items() if k.startswith("dropped_"))
    assert (ops["accepted"] + ops["recovered"] ==
            ops["confirmed"] + ops["returned"] + ops["rejected"] + ops["expired"]
            + dropped + queues["outbox"] + queues["spooled"] + queues["in_flight"])
    assert ops["published"] - ops["republished"] == total

    def acknowledged():
        said = b.record.series("rabbitmq_consume-x/")
        return (said["total_operations-acked"] >= total + copies
                and said["queue_length-unacked"] == 0 and said)
    consumed = wait_for(acknowledged, 60, f"{total + copies} are acknowledged")
    assert consumed["total_operations-deduplicated"] >= max(
        copies, consumed["total_operations-acked"] - total)
    assert consumed["total_values-dispatched"] == total
    return ops, consumed


def stop_in_time(a, b, figure, what):
    seconds = [a.stop(), b.stop()]
    figure(f"{what}: SIGTERM to exit {seconds[0]:.2f} s (A), {seconds[1]:.2f} s (B)")
    assert max(seconds) < 15
    assert (a.status, b.status) == (0, 0)


def report(figure, what, total, began, ops, consumed, copies):
    seconds = time.monotonic() - began
    figure(f"{what}: {total} values in {seconds:.1f} s "
           f"({total / seconds:.0f}/s), 0 lost, {copies} duplicates in the queue, "
           f"0 in the sink, republished {ops['republished']:.0f}, "
           f"redelivered {consumed['total_operations-redelivered']:.0f}")


def opened(a):
    return a.record.series("rabbitmq_publish-x/").get("total_connections-opened", 0)


def test_100000_values_arrive_while_the_broker_closes_the_connection_three_times(
        rig, victim, victim_vhost, figure):
    began = time.monotonic()
    a, b = start_pipeline(rig, victim, victim_vhost, TOTAL, rate=8000)
    closed = 0
    for part in (0.15, 0.4, 0.65):
        arrived(b, part)
        assert len(set(b.record.numbers())) < TOTAL
        victim.close_connections()
        # The consumer may lag far behind: one that is away cannot be closed.
        closed += 1
        wait_for(lambda: opened(a) > closed, 60, "the publisher is back")
    settle(a, b, TOTAL)
    assert opened(a) == 4
    check_sets(b, TOTAL)
    copies = check_copies(victim_vhost, TOTAL)
    ops, consumed = check_counters(a, b, TOTAL, copies)
    report(figure, "three closes", TOTAL, began, ops, consumed, copies)
    stop_in_time(a, b, figure, "three closes")


def test_100000_values_arrive_when_the_broker_is_killed_and_restarted(
        rig, victim, victim_vhost, figure):
    began = time.monotonic()
    a, b = start_pipeline(rig, victim, victim_vhost, TOTAL, rate=8000)
    arrived(b, 0.3)
    victim.sync()
    victim.restart()
    settle(a, b, TOTAL)
    check_sets(b, TOTAL)
    copies = check_copies(victim_vhost, TOTAL)
    ops, consumed = check_counters(a, b, TOTAL, 0)
    wait_for(lambda: victim_vhost.ready("sink") == 0, 60, "nothing is left")
    report(figure, "kill -9", TOTAL, began, ops, consumed, copies)
    stop_in_time(a, b, figure, "kill -9")


def values_of(daemon):
    return {(name, t, rounded(v)) for t, name, v in daemon.record.refresh().values}


@pytest.mark.parametrize("form", ["Command", "JSON"])
def test_values_arrive_unchanged_with_several_write_threads(
        rig, broker, vhost, form):
    vhost.exchange("metrics", "topic")
    b = rig.consumer(broker, vhost, Exchange="metrics", RoutingKey="#",
                     Queue="sink").start()
    wait_for(lambda: vhost.consumers("sink") == 1, 60, "the consumer consumes")
    a = rig.daemon("A", ["rabbitmq_publish", "cpu", "memory", "load", "df",
                         "interface"],
                   _publish(broker, vhost, form), interval=0.5, write_threads=5)
    with a.start():
        wait_for(lambda: len({n for _, n, _ in a.record.refresh().values}) > 20
                 and len(a.record.values) > 150, 60, "some values")
    sent = values_of(a)
    wait_for(lambda: not unmatched(sent, values_of(b))[0], 60, "all arrived")


def _publish(broker, vhost, form):
    from rig import modules as warren
    return warren.publish(warren.publish_block(
        "x", broker, vhost.name, Exchange="metrics", Format=form))
