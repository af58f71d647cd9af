# SPDX-License-Identifier: MIT
"""Values that never come back from the writers, and writers that are only slow:
the first are overdue and end as OnWrittenTimeout says, the second never are."""

import time

from rig.lives import csv_consumer, flat, lines_of
from rig.load import Load, numbers_of
from rig.together import run, until

OVERDUE_S = 1    # WrittenTimeout
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
                 **options):
        vhost.queue(name, x_dead_letter_exchange="",
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

    def is_empty(self):
        """Not even an unacknowledged message is left."""
        return (not self.vhost.ready(self.name) and
                self.vhost.queue_state(self.name).get("messages") == 0)


def stopping(rig, broker, vhost, what):
    """A chain stops the values of three messages; others flow on."""
    c = Case(rig, broker, vhost, what, ["match_regex"], [STOP],
             OnWrittenTimeout=what)
    for i in range(STOPPED):
        vhost.publish("", what, b"PUTVAL h/stopped/gauge-n %.3f:%d\n" %
                      (time.time(), -i), content_type="text/collectd")
    c.load.begin(20)
    yield until(lambda: c.daemon.log_lines(COMPLAINT), 20, "a complaint")
    if what == "requeue":
        yield until(lambda: vhost.ready("requeue.dead") == STOPPED, 60,
                    "they are dead-lettered")
        assert {n for _, body in vhost.take_all("requeue.dead")
                for n in numbers_of(body)} == {-i for i in range(STOPPED)}
    c.load.end()
    yield until(c.has_written_all, 20, "every other value is written, once")
    yield until(c.is_empty, 20, "the queue is empty")
    assert vhost.ready(f"{what}.dead") == 0
    assert len(c.daemon.log_lines(COMPLAINT)) <= 2 * STOPPED


def slow(rig, broker, vhost, name, **sink):
    """Late, but back in order: no message is overdue."""
    c = Case(rig, broker, vhost, name, sink=sink)
    c.load.put(8)
    yield until(c.has_written_all, 40, "all are written, once")
    yield until(c.is_empty, 20, "all are acknowledged")
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
        "requeue": stopping(rig, broker, vhost, "requeue"),
        "ack": stopping(rig, broker, vhost, "ack"),
        "one slow write": slow(rig, broker, vhost, "one", Delay=6 * OVERDUE_S,
                               DelayCount=1),
        "every write slow": slow(rig, broker, vhost, "every", Delay=1.5 *
                                 OVERDUE_S),
        "stuck": stuck(rig, broker, vhost)}, tick=0.2)
    assert not any(failures.values()), failures
