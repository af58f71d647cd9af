# SPDX-License-Identifier: MIT
"""A writer much slower than the broker, and a million values waiting: the daemon
takes no more than its options allow, its memory stays where it is, and the
connection lives on."""

import time

from rig.gate import Gate
from rig.lives import csv_consumer
from rig.load import Load
from rig.pressure import Watch, rss_kib
from rig.waiting import wait_for

PER_MESSAGE = 200
MESSAGES = 5000
HEARTBEAT_S = 5
WATCH_S = 3 * HEARTBEAT_S
DELAY_S = 0.001      # of each write
PREFETCH = 4
LIMIT = 3000         # BackpressureQueueLength
VALUE_KIB = 2        # of memory for a value that waits, at most
SLACK_KIB = 4096     # a message's buffers, the allocator's

SLOW = {"Delay": DELAY_S}
STUCK = {"Delay": 8 * WATCH_S, "DelayCount": 1}  # killed before that
IN_PREFETCH = PREFETCH * PER_MESSAGE

# What each block is given, how it is written, and how many values may wait in
# its daemon.
BLOCKS = {
    "written": ({"BackpressureQueueLength": 0}, SLOW, IN_PREFETCH),
    "stuck": ({"BackpressureQueueLength": 0}, STUCK, IN_PREFETCH),
    "dispatched": ({"AckWhen": "dispatched", "BackpressureQueueLength": LIMIT},
                   SLOW, LIMIT + IN_PREFETCH),
    "stuck.dispatched": ({"AckWhen": "dispatched",
                          "BackpressureQueueLength": LIMIT},
                         STUCK, LIMIT + IN_PREFETCH),
}


def test_a_slow_writer_and_a_million_values_cost_no_more_than_the_bound(
        rig, broker, vhost, figure):
    for name in BLOCKS:
        vhost.queue(name)
        vhost.bind("amq.fanout", name, "")
    load = Load(vhost, "", PER_MESSAGE, exchange="amq.fanout")
    load.put(MESSAGES)
    with vhost.connect() as connection:
        watches = watch_all(rig, broker, vhost, connection.channel())
    for name, (_, _, most) in BLOCKS.items():
        judge(name, watches[name], most, figure)
    for name in ("stuck", "stuck.dispatched"):
        assert watches[name].samples[-1].written == 0
    check_pauses(watches["dispatched"], figure)


def test_large_messages_wait_as_they_came_not_as_values(
        rig, broker, vhost, figure):
    """The prefetch of the broker is of messages, the bound of the daemon of
    values: all of them are on their way here at once. They wait in the socket,
    until the broker would no longer bear that."""
    per_message, messages, bound = 2000, 150, 5000
    vhost.queue("large")
    load = Load(vhost, "large", per_message)
    load.put(messages)
    daemon = csv_consumer(
        rig, broker, vhost, "large", Queue="large", PrefetchCount=messages,
        BackpressureQueueLength=bound, Heartbeat=3, ShutdownTimeout=1,
        sink={"Delay": 0.004}).start()
    idle_kib = rss_kib(daemon.process.pid)
    wait_for(lambda: not vhost.ready("large"), 60, "the broker has sent all")
    size_kib = sum(len(load.body(i)) for i in range(messages)) // 1024
    with vhost.connect() as connection:
        watch = Watch(daemon, connection.channel(), "large", messages,
                      per_message)
        watch.idle_rss_kib = idle_kib
        end = time.monotonic() + 5
        while time.monotonic() < end:
            watch.sample()
            time.sleep(0.2)
        written, growth_kib = watch.samples[-1].written, watch.growth_kib()
        wait_for(lambda: sent_kib(broker, vhost) >= size_kib, 60,
                 "all of it is here")
        watch.sample()
    most = bound + per_message
    figure(f"{messages} messages of {per_message} values prefetched, writer of "
           f"250 values/s: RSS idle {idle_kib} KiB, + {growth_kib} KiB "
           f"for at most {most} values, + {watch.growth_kib()} KiB with "
           f"{size_kib} KiB of messages")
    assert vhost.consumers("large") == 1, "the connection did not survive"
    assert 0 < written < most
    assert growth_kib <= most * VALUE_KIB + SLACK_KIB
    assert watch.growth_kib() <= most * VALUE_KIB + SLACK_KIB + size_kib
    assert daemon.stop() < 20
    wait_for(lambda: vhost.ready("large") > messages / 2, 60,
             "what was not begun is back in the queue")


def sent_kib(broker, vhost):
    """What the broker's sockets have taken for connections to a vhost."""
    _, connections = broker.api("GET", "connections")
    return sum(c.get("send_oct", 0) for c in connections
               if c.get("vhost") == vhost.name) // 1024


def watch_all(rig, broker, vhost, channel):
    gates, watches = {}, {}
    for name, (options, sink, _) in BLOCKS.items():
        gates[name] = Gate(broker.amqp_port, is_open=False)
        daemon = csv_consumer(
            rig, gates[name], vhost, name, Queue=name, PrefetchCount=PREFETCH,
            Heartbeat=HEARTBEAT_S, sink=sink, **options).start()
        watches[name] = Watch(daemon, channel, name, MESSAGES, PER_MESSAGE)
        watches[name].idle_rss_kib = rss_kib(daemon.process.pid)
    for gate in gates.values():
        gate.open()
    for name in BLOCKS:
        wait_for(lambda: vhost.ready(name) < MESSAGES, 60, f"{name} consumes")
    end = time.monotonic() + WATCH_S
    while time.monotonic() < end:
        for w in watches.values():
            w.sample()
        time.sleep(0.2)
    for name, gate in gates.items():
        assert gate.accepted == 1, f"{name}: the connection did not survive"
        gate.shut()
    for name, (_, sink, _) in BLOCKS.items():
        if sink is STUCK:
            watches[name].daemon.kill9()
    return watches


def check_pauses(watch, figure):
    """Nothing comes until fewer than half of the limit have been dispatched and
    wait for the writers; at most the prefetch waits before that."""
    pauses = watch.pauses(least_s=1)
    figure(f"dispatched: {len(pauses)} pauses, ended when so many values were "
           f"waiting: {pauses}")
    assert max(watch.waiting()) > LIMIT, "the limit was never reached"
    assert pauses, "nothing came again"
    assert all(low < LIMIT / 2 + IN_PREFETCH and high > 0
               for low, high in pauses)


def judge(name, watch, most, figure):
    waiting = watch.waiting()
    figure(f"{name}, {MESSAGES * PER_MESSAGE} values in the queue, "
           f"{watch.samples[-1].written} written in {WATCH_S} s: at most "
           f"{max(waiting)} waiting of {most} allowed, RSS idle "
           f"{watch.idle_rss_kib} KiB, + {watch.growth_kib()} KiB, drift "
           f"{watch.drift_kib()} KiB")
    assert watch.samples[-1].taken < MESSAGES * PER_MESSAGE / 2
    assert max(waiting) <= most
    assert watch.growth_kib() <= most * VALUE_KIB + SLACK_KIB
    assert watch.drift_kib() <= 1024
