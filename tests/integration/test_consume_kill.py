# SPDX-License-Identifier: MIT
"""SIGKILL and SIGTERM of a consuming collectd at random moments under load:
what AckWhen promises, told by sets.

WARREN_KILL_SEED=n replays; WARREN_LONG=1 ends a hundred lives each way, or
WARREN_LONG_KILLS of them.
"""

import os
import random
import signal
import time

import pytest

from rig.lives import Campaign, csv_consumer, flat, lines_of
from rig.load import Load
from rig.waiting import wait_for

KILLS = (int(os.environ.get("WARREN_LONG_KILLS", "100"))
         if os.environ.get("WARREN_LONG") else 4)
SEED = int(os.environ.get("WARREN_KILL_SEED", random.randrange(1 << 30)))
PER_MESSAGE = 10
RATE = 300       # messages a second
PREFETCH = 100
DELAYS = (0, 0.0005)  # of each write: a writer that keeps up, and one that does not
LIMIT = 1000     # BackpressureQueueLength
HANG_S = 12
LATE_S = 6       # what a busy machine may add
PATIENCE_S = 20  # ShutdownTimeout where the writers are to manage all
QUEUES = {"quorum": {"QueueType": "quorum", "DeliveryLimit": 5},
          "classic": {"QueueType": "classic"}}
# With several write threads: messages of so many values that writers rest.
LARGE = 50
LARGE_RATE = 100


def fight(rig, broker, vhost, ends, delays=DELAYS, must_write=False, threads=1,
          **options):
    print(f"WARREN_KILL_SEED={SEED}")
    campaign = Campaign(rig, broker, vhost, SEED,
                        PER_MESSAGE if threads == 1 else LARGE, threads,
                        PrefetchCount=PREFETCH, **options)
    kills = KILLS if threads == 1 else KILLS // 2
    order = [(how, delays[i % len(delays)])
             for how in ends for i in range(kills)]
    campaign.random.shuffle(order)
    campaign.load.begin(RATE if threads == 1 else LARGE_RATE)
    for how, delay in order:
        campaign.live(how, delay, must_write)
    campaign.load.end()
    campaign.finish()
    return campaign


@pytest.mark.parametrize("queue, threads", [
    ("quorum", 1), ("classic", 1), ("classic", 5)])
def test_no_end_of_the_daemon_costs_a_value_that_was_not_written(
        rig, broker, vhost, figure, queue, threads):
    """AckWhen written and a writer that keeps nothing in memory. SIGKILL writes
    again at most what was not acknowledged, SIGTERM nothing. As many write
    threads as collectd has by default bring values back in any order."""
    c = fight(rig, broker, vhost, ("SIGKILL", "SIGTERM"), AckWhen="written",
              ShutdownTimeout=PATIENCE_S, threads=threads, **QUEUES[queue])
    figure(f"AckWhen written, {queue} queue, {threads} write threads: "
           f"{c.figures()}; seed {SEED}")
    assert c.lost() == []
    c.check_foreign()
    # A quorum queue takes back in the order of a hash, threads overtake.
    if queue == "classic" and threads == 1:
        c.check_order()
    c.check_account()
    assert c.duplicates("SIGTERM") == 0
    assert (c.duplicates("SIGKILL")
            <= KILLS * PREFETCH * c.load.per_message)
    assert all(life.stop_s < PATIENCE_S + 2 for life in c.lives)


@pytest.mark.parametrize("how", ["SIGKILL", "SIGTERM"])
def test_only_sigkill_costs_what_was_queued_where_dispatched_is_enough(
        rig, broker, vhost, figure, how):
    """At most BackpressureQueueLength values, since more are not acknowledged;
    SIGTERM waits for the writers."""
    c = fight(rig, broker, vhost, [how], DELAYS[1:], must_write=True,
              AckWhen="dispatched", BackpressureQueueLength=LIMIT,
              ShutdownTimeout=PATIENCE_S, **QUEUES["classic"])
    each = c.lost_by_life()
    figure(f"AckWhen dispatched, BackpressureQueueLength {LIMIT}, csv behind a "
           f"slow writer: {c.figures()}, at most {max(each)} lost in one end; "
           f"seed {SEED}")
    c.check_foreign()
    c.check_order()
    assert (len(c.lost()) > 0) == (how == "SIGKILL")
    assert max(each) <= LIMIT


@pytest.mark.parametrize("ack_when, most", [("written", 0), ("dispatched", LIMIT)])
def test_what_the_writers_do_not_manage_before_the_end_comes_again(
        rig, broker, vhost, figure, ack_when, most):
    """SIGTERM, and ShutdownTimeout is too short for what is queued."""
    campaign = Campaign(rig, broker, vhost, SEED, PER_MESSAGE, AckWhen=ack_when,
                        PrefetchCount=3 * PREFETCH, BackpressureQueueLength=LIMIT,
                        ShutdownTimeout=0.3)
    campaign.load.put(1000)
    life = campaign.live("SIGTERM", DELAYS[1], must_write=True)
    assert life.log_lines("value lists were left"), "collectd wrote all of it"
    campaign.finish()
    figure(f"AckWhen {ack_when}, SIGTERM, ShutdownTimeout too short: "
           f"{campaign.figures()}")
    assert len(campaign.lost()) <= most
    campaign.check_foreign()


def test_another_daemon_takes_over_what_a_killed_one_held(rig, broker, vhost):
    vhost.queue("q")
    load = Load(vhost, "q", PER_MESSAGE)
    both = [csv_consumer(rig, broker, vhost, name, sink={"Delay": DELAYS[-1]},
                         PrefetchCount=PREFETCH).start() for name in "AB"]
    wait_for(lambda: vhost.consumers("q") == 2, 60, "both consume")
    load.put(500)
    wait_for(lambda: all(d.csv.values() for d in both), 60, "both write")
    both[0].kill9()
    killed = set(flat(lines_of(both[0])))
    assert killed and killed < set(load.sent), "killed before its end"
    wait_for(lambda: killed | set(flat(lines_of(both[1]))) == set(load.sent), 60,
             "every value was written by one of them", pause=0.3)


def test_a_writer_that_registers_behind_all_others_is_waited_for(
        rig, broker, vhost):
    """As collectd's network does, in its init, and here loaded behind us: csv
    has the value, it has not."""
    vhost.queue("q")
    b = csv_consumer(rig, broker, vhost, behind=["sink"], AckInterval=0.1,
                     sink={"RegisterAt": "init", "Delay": HANG_S}).start()
    wait_for(lambda: vhost.consumers("q") == 1, 60, "it consumes")
    load = Load(vhost, "q", 1)
    load.put(1)
    wait_for(lambda: flat(lines_of(b)), 60, "csv has it", pause=0.05)
    time.sleep(0.7)  # an acknowledgement would have gone
    b.kill9()
    assert not b.record.refresh().values, "it was written before its end"
    wait_for(lambda: vhost.ready("q") == 1, 60, "it is in the queue again")


def test_a_hanging_writer_does_not_keep_messages_longer_than_shutdown_timeout(
        rig, broker, vhost, figure):
    """collectd itself ends when the writer returns; the messages are somebody
    else's by then."""
    vhost.queue("q")
    load = Load(vhost, "q", PER_MESSAGE)
    stuck = csv_consumer(rig, broker, vhost, "stuck", ShutdownTimeout=1,
                         sink={"Delay": HANG_S, "DelayCount": 1}).start()
    wait_for(lambda: vhost.consumers("q") == 1, 60, "it consumes")
    load.put(20)
    wait_for(lambda: not vhost.ready("q"), 60, "it has them all")
    began = time.monotonic()
    os.kill(stuck.process.pid, signal.SIGTERM)
    wait_for(lambda: vhost.ready("q") == 20, HANG_S, "they are back in the queue")
    seconds = time.monotonic() - began
    figure(f"a hanging writer, ShutdownTimeout 1 s: messages back after "
           f"{seconds:.1f} s")
    assert seconds < 1 + LATE_S and stuck.is_running()
    other = csv_consumer(rig, broker, vhost, "other").start()
    wait_for(lambda: set(flat(lines_of(other))) == set(load.sent), 60,
             "the other daemon has written all of them")
    wait_for(lambda: not stuck.is_running(), HANG_S + 10, "it has ended")
    assert stuck.status == 0
