# SPDX-License-Identifier: MIT
"""Values that never come back from the writers, and writers that are only slow:
the first are overdue and end as OnWrittenTimeout says, or are given up where
they are acknowledged; the second never are."""

import re
import time

import pika

from rig.lives import ENDED, csv_consumer, flat, lines_of
from rig.load import Load, numbers_of
from rig.together import pause, run, until

OVERDUE_S = 1    # WrittenTimeout
REDELIVERIES = 2
STOPPED = 3      # messages whose values the chain stops
MANY = 300       # more of them
COMPLAINT = r"\[error\].*PostCacheChain"
# collectd itself warns of a machine that is busy.
OURS = r"\[(error|warning)\] rabbitmq_consume plugin"
LIMITS = "WriteQueueLimitHigh 20\nWriteQueueLimitLow 10"


def target(name, *plugins):
    return "\n".join([f'<Target "{name}">', *(f'  Plugin "{p}"' for p in plugins),
                      "</Target>"])


def chain(*targets, last=target("write")):
    """What is done with the values of the plugin "stopped", and with others."""
    return "\n".join([
        '<Chain "PostCache">', '<Rule>', '<Match "regex">',
        'Plugin "^stopped$"', '</Match>', *targets, '</Rule>', last, '</Chain>',
        'PostCacheChain "PostCache"'])


STOP = chain(target("stop"))
SHOW_AND_STOP = chain(target("write", "rabbitmq_consume"), target("stop"))
FORGET_US = chain(target("stop"), last=target("write", "csv"))


class Case:
    """A daemon, its queue of the case's name and the load on that."""

    def __init__(self, rig, broker, vhost, name, chain_=None, sink=None,
                 queue_type="classic", per_message=1, how=None, **options):
        vhost.queue(name, x_dead_letter_exchange="", x_queue_type=queue_type,
                    x_dead_letter_routing_key=f"{name}.dead")
        vhost.queue(f"{name}.dead")
        self.vhost, self.name = vhost, name
        self.load = Load(vhost, name, per_message)
        self.daemon = csv_consumer(
            rig, broker, vhost, name, Queue=name, QueuePassive=True,
            load=["match_regex"] if chain_ else [],
            blocks=[chain_] if chain_ else [], sink=sink, how=how,
            **({"WrittenTimeout": OVERDUE_S} | options)).start()

    def put_stopped(self, count):
        """Messages of one value that the chain stops: -1, -2 and so on."""
        with self.vhost.connect() as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            for i in range(1, count + 1):
                channel.basic_publish(
                    "", self.name, b"PUTVAL h/stopped/gauge-n %.3f:%d\n" %
                    (time.time(), -i), pika.BasicProperties(
                        content_type="text/collectd", message_id=f"stopped-{i}"))

    def dead(self):
        """The numbers in all dead letters."""
        return {n for _, body in self.vhost.take_all(f"{self.name}.dead")
                for n in numbers_of(body)}

    def has_written_all(self):
        return flat(lines_of(self.daemon)) == dict.fromkeys(self.load.sent, 1)

    def account(self):
        """How many messages were delivered, how many of them again, and how
        many were requeued and rejected; every delivery has had one end."""
        delivered, again, acked, requeued, rejected = map(
            int, re.search(ENDED, self.daemon.log()).groups())
        assert delivered == acked + requeued + rejected
        return delivered, again, requeued, rejected

    def is_empty(self):
        """Not even an unacknowledged message is left."""
        return (not self.vhost.ready(self.name) and
                self.vhost.queue_state(self.name).get("messages") == 0)


def stopping(rig, broker, vhost, name, what, queue_type):
    """A chain stops the values of three messages; others flow on. Redeliveries
    are counted by a quorum queue, and by the consumer for a classic one."""
    c = Case(rig, broker, vhost, name, STOP, queue_type=queue_type,
             OnWrittenTimeout=what, MaxRedeliveries=REDELIVERIES,
             RedeliveryDelay=0.2)
    c.put_stopped(STOPPED)
    c.load.begin(20)
    yield until(lambda: c.daemon.log_lines(COMPLAINT), 60, "a complaint")
    assert "message_id=stopped-" in c.daemon.log_lines(COMPLAINT)[0]
    if what == "requeue":
        yield until(lambda: vhost.ready(f"{name}.dead") == STOPPED, 60,
                    "they are dead-lettered")
        assert c.dead() == {-1 - i for i in range(STOPPED)}
    c.load.end()
    yield until(c.has_written_all, 60, "every other value is written, once")
    yield until(c.is_empty, 60, "the queue is empty")
    assert vhost.ready(f"{name}.dead") == 0
    c.daemon.stop()
    delivered, again, _, rejected = c.account()
    assert rejected == STOPPED
    assert delivered - again == STOPPED + len(c.load.sent)
    assert again == (STOPPED * REDELIVERIES if what == "requeue" else 0)


def restarted(rig, broker, vhost):
    """A quorum queue counts deliveries, and still knows when the daemon, which
    counts as well, was killed: three in all."""
    c = Case(rig, broker, vhost, "restarted", STOP, queue_type="quorum",
             MaxRedeliveries=REDELIVERIES, RedeliveryDelay=0,
             WrittenTimeout=6 * OVERDUE_S)  # time to kill it before the third
    c.put_stopped(1)
    c.load.begin(20)
    yield until(lambda: c.daemon.log_lines(f"{COMPLAINT}|requeued"), 60,
                "it is requeued once")
    yield pause(2)  # and delivered again
    c.daemon.kill9()
    c.daemon.again().start()
    yield until(lambda: vhost.ready("restarted.dead") == 1, 90,
                "it is dead-lettered")
    c.load.end()
    yield until(c.is_empty, 60, "the queue is empty")
    c.daemon.stop()
    assert set(flat(lines_of(c.daemon))) == set(c.load.sent)
    *_, requeued, rejected = c.account()
    assert (requeued, rejected) == (0, 1)


def given_up(rig, broker, vhost):
    """Acknowledged when they were dispatched: many are given up at once, and
    nothing comes again."""
    began = time.monotonic()
    c = Case(rig, broker, vhost, "dispatched", STOP, AckWhen="dispatched",
             ReportStats=True)
    c.put_stopped(MANY)
    c.load.begin(20)
    yield until(lambda: c.daemon.record.series("rabbitmq_consume-x/").get(
        "total_values-unreturned") == MANY, 60, "all are given up")
    c.load.end()
    yield until(c.has_written_all, 60, "every other value is written, once")
    yield until(c.is_empty, 60, "the queue is empty")
    assert vhost.ready("dispatched.dead") == 0
    c.daemon.stop()
    assert c.account() == (MANY + len(c.load.sent), 0, 0, 0)
    most = 1 + (time.monotonic() - began) // 60  # one a minute
    assert 1 <= len(c.daemon.log_lines(COMPLAINT)) <= most


def forgotten(rig, broker, vhost):
    """The chain names its writers and not this plugin, so that nothing comes
    back: after ten times WrittenTimeout there is room again."""
    c = Case(rig, broker, vhost, "forgotten", FORGET_US, AckWhen="dispatched",
             BackpressureQueueLength=5)
    c.load.put(11)  # twice as many as come in at a time
    yield until(lambda: c.daemon.log_lines(COMPLAINT), 60, "a complaint")
    yield until(c.has_written_all, 60, "all are written, once")
    yield until(c.is_empty, 60, "all are acknowledged")


def shown(rig, broker, vhost):
    """What is stopped on purpose, as the manual says, is acknowledged."""
    c = Case(rig, broker, vhost, "shown", SHOW_AND_STOP)
    c.put_stopped(STOPPED)
    c.load.put(8)
    yield until(c.has_written_all, 60, "every other value is written, once")
    yield until(c.is_empty, 60, "all are acknowledged")
    assert not c.daemon.log_lines(OURS)
    c.daemon.stop()
    assert c.account() == (STOPPED + len(c.load.sent), 0, 0, 0)


def dropped(rig, broker, vhost):
    """collectd's own bound on its queue is below ours: a warning says so, and
    what it drops is written later or dead-lettered."""
    c = Case(rig, broker, vhost, "dropped", per_message=10,
             sink={"Delay": 0.01}, how={"settings": LIMITS},
             MaxRedeliveries=REDELIVERIES, RedeliveryDelay=0.2)
    assert c.daemon.log_lines(r"\[warning\].* drops values when 10 wait")
    c.load.put(10)
    c.load.begin(4)
    yield until(lambda: c.daemon.log_lines(COMPLAINT), 60, "some are dropped")
    c.load.end()
    yield until(c.is_empty, 60, "the queue is empty")
    found = set()  # what the broker says of the queue may be a second old

    def has_all():
        found.update(flat(lines_of(c.daemon)), c.dead())
        return found >= set(c.load.sent)
    yield until(has_all, 60, "all are written or dead-lettered")
    assert found == set(c.load.sent)


def slow(rig, broker, vhost, name, **sink):
    """Late, but back in order: no message is overdue."""
    c = Case(rig, broker, vhost, name, sink=sink)
    c.load.put(8)
    yield until(c.has_written_all, 60, "all are written, once")
    yield until(c.is_empty, 60, "all are acknowledged")
    assert not c.daemon.log_lines(OURS)


def overtaken(rig, broker, vhost):
    """With several write threads a slow write is overtaken, and its message
    written again."""
    c = Case(rig, broker, vhost, "overtaken", how={"write_threads": 5},
             sink={"Delay": 6 * OVERDUE_S, "DelayCount": 1})
    c.load.put(1)
    yield pause(0.3)
    c.load.put(7)
    yield until(lambda: c.daemon.log_lines(COMPLAINT), 60, "a complaint")
    yield until(lambda: sorted(flat(lines_of(c.daemon)).values()) ==
                [1] * 7 + [2], 60, "one is written twice")
    yield until(c.is_empty, 60, "all are acknowledged")


def stuck(rig, broker, vhost):
    """Nothing at all comes back for ten times WrittenTimeout."""
    c = Case(rig, broker, vhost, "stuck",
             sink={"Delay": 12 * OVERDUE_S, "DelayCount": 1})
    began = time.monotonic()
    c.load.put(8)
    yield until(lambda: c.daemon.log_lines(COMPLAINT), 60, "a complaint")
    assert time.monotonic() - began >= 9.5 * OVERDUE_S
    yield until(c.is_empty, 60, "none is kept for ever")
    assert set(flat(lines_of(c.daemon))) >= set(c.load.sent)


def test_only_what_never_comes_back_from_the_writers_is_overdue(
        rig, broker, vhost):
    failures = run({
        **{f"{what}, {kind}": stopping(rig, broker, vhost, f"{what}.{kind}",
                                       what, kind)
           for what in ("requeue", "ack") for kind in ("classic", "quorum")},
        "dispatched": given_up(rig, broker, vhost),
        "forgotten": forgotten(rig, broker, vhost),
        "shown": shown(rig, broker, vhost),
        "dropped": dropped(rig, broker, vhost),
        "one slow write": slow(rig, broker, vhost, "one", Delay=6 * OVERDUE_S,
                               DelayCount=1),
        "every write slow": slow(rig, broker, vhost, "every", Delay=1.5 *
                                 OVERDUE_S),
        "overtaken": overtaken(rig, broker, vhost),
        "stuck": stuck(rig, broker, vhost),
        # The last one, so that no start of another takes of its time.
        "restarted": restarted(rig, broker, vhost)}, tick=0.2)
    assert not any(failures.values()), failures
