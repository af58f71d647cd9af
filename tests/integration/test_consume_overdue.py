# SPDX-License-Identifier: MIT
"""Values that never come back from the writers, and writers that are only slow:
the first are overdue and end as OnWrittenTimeout says, the second never are."""

import re
import time

from rig.lives import ENDED, csv_consumer, flat, lines_of
from rig.load import Load, numbers_of
from rig.together import run, until

OVERDUE_S = 1    # WrittenTimeout
REDELIVERIES = 2
STOPPED = 3      # messages whose values the chain stops
STOP = "\n".join([
    '<Chain "PostCache">', '  <Rule>', '    <Match "regex">',
    '      Plugin "^stopped$"', '    </Match>', '    <Target "stop">',
    '    </Target>', '  </Rule>', '  <Target "write">', '  </Target>', '</Chain>',
    'PostCacheChain "PostCache"'])
COMPLAINT = r"\[error\].*PostCacheChain"


class Case:
    """A daemon, its queue of the case's name and the load on that."""

    def __init__(self, rig, broker, vhost, name, load=(), blocks=(), sink=None,
                 queue_type="classic", **options):
        vhost.queue(name, x_dead_letter_exchange="", x_queue_type=queue_type,
                    x_dead_letter_routing_key=f"{name}.dead")
        vhost.queue(f"{name}.dead")
        self.vhost, self.name = vhost, name
        self.load = Load(vhost, name, 1)
        self.daemon = csv_consumer(
            rig, broker, vhost, name, Queue=name, QueuePassive=True,
            WrittenTimeout=OVERDUE_S, load=load, blocks=blocks, sink=sink,
            **options).start()

    def has_written_all(self):
        return flat(lines_of(self.daemon)) == dict.fromkeys(self.load.sent, 1)

    def account(self):
        """How many messages were delivered, how many of them again, and how
        many were rejected; every delivery has had one end."""
        delivered, again, acked, requeued, rejected = map(
            int, re.search(ENDED, self.daemon.log()).groups())
        assert delivered == acked + requeued + rejected
        return delivered, again, rejected

    def is_empty(self):
        """Not even an unacknowledged message is left."""
        return (not self.vhost.ready(self.name) and
                self.vhost.queue_state(self.name).get("messages") == 0)


def stopping(rig, broker, vhost, name, what, queue_type):
    """A chain stops the values of three messages; others flow on. Redeliveries
    are counted by a quorum queue, and by the consumer for a classic one."""
    c = Case(rig, broker, vhost, name, ["match_regex"], [STOP],
             queue_type=queue_type, OnWrittenTimeout=what,
             MaxRedeliveries=REDELIVERIES, RedeliveryDelay=0.2)
    for i in range(STOPPED):
        vhost.publish("", name, b"PUTVAL h/stopped/gauge-n %.3f:%d\n" %
                      (time.time(), -i), content_type="text/collectd")
    c.load.begin(20)
    yield until(lambda: c.daemon.log_lines(COMPLAINT), 40, "a complaint")
    if what == "requeue":
        yield until(lambda: vhost.ready(f"{name}.dead") == STOPPED, 60,
                    "they are dead-lettered")
        assert {n for _, body in vhost.take_all(f"{name}.dead")
                for n in numbers_of(body)} == {-i for i in range(STOPPED)}
    c.load.end()
    yield until(c.has_written_all, 40, "every other value is written, once")
    yield until(c.is_empty, 40, "the queue is empty")
    assert vhost.ready(f"{name}.dead") == 0
    c.daemon.stop()
    delivered, again, rejected = c.account()
    assert rejected == STOPPED
    assert delivered - again == STOPPED + len(c.load.sent)
    assert again == (STOPPED * REDELIVERIES if what == "requeue" else 0)


def slow(rig, broker, vhost, name, **sink):
    """Late, but back in order: no message is overdue."""
    c = Case(rig, broker, vhost, name, sink=sink)
    c.load.put(8)
    yield until(c.has_written_all, 40, "all are written, once")
    yield until(c.is_empty, 40, "all are acknowledged")
    assert not c.daemon.log_lines(r"\[(error|warning)\]")


def stuck(rig, broker, vhost):
    """Nothing at all comes back for ten times WrittenTimeout."""
    c = Case(rig, broker, vhost, "stuck",
             sink={"Delay": 12 * OVERDUE_S, "DelayCount": 1})
    c.load.put(8)
    began = time.monotonic()
    yield until(lambda: c.daemon.log_lines(COMPLAINT), 30, "a complaint")
    assert time.monotonic() - began >= 9.5 * OVERDUE_S
    yield until(c.is_empty, 60, "none is kept for ever")
    assert set(flat(lines_of(c.daemon))) >= set(c.load.sent)


def test_only_what_never_comes_back_from_the_writers_is_overdue(
        rig, broker, vhost):
    failures = run({
        **{f"{what}, {kind}": stopping(rig, broker, vhost, f"{what}.{kind}",
                                       what, kind)
           for what in ("requeue", "ack") for kind in ("classic", "quorum")},
        "one slow write": slow(rig, broker, vhost, "one", Delay=6 * OVERDUE_S,
                               DelayCount=1),
        "every write slow": slow(rig, broker, vhost, "every", Delay=1.5 *
                                 OVERDUE_S),
        "stuck": stuck(rig, broker, vhost)}, tick=0.2)
    assert not any(failures.values()), failures
