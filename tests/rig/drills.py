# SPDX-License-Identifier: MIT
"""What a drill needs: a daemon that watches a broker, what it has said, and the
seconds until an indicator has moved, an alert was raised and was over."""

import os
import re
import time

from . import modules as warren
from .collectd import block
from .waiting import wait_for

INTERVAL_S = 2
# 2 intervals, or 2 x collect_statistics_interval (1 s) + 1 s if that is longer.
DETECT_S = max(2 * INTERVAL_S, 2 * 1 + 1)
# What the daemon's own read interval may add, and a busy machine: bounds are
# asserted where there is nothing else to do.
LATE_S = 4 if os.environ.get("WARREN_LONG") else 30
HOLD_S = 2
SOON_S = HOLD_S + DETECT_S + LATE_S
# A slow machine makes polls later, not more of them: two intervals, and one more
# since the broker's own answers may be that old (it keeps a list for five times as
# long as it took to make).
DETECT_POLLS = 2 + 1
# How much later than that a poll may be, which waits for nobody but the broker.
POLL_S = 0.5
FAILURE, WARNING, OKAY = 1, 2, 4
SEVERITIES = {FAILURE: "FAILURE", WARNING: "WARNING", OKAY: "OKAY"}
MAIN = "rabbitmq_monitor-main/"


def alerts(**kinds):
    """Blocks <Alert> with a short hold; no_consumer={...} is "no-consumer"."""
    return [block("Alert", kind.replace("_", "-"),
                  **({"Hold": HOLD_S, "ClearHold": HOLD_S} | options))
            for kind, options in kinds.items()]


def start_watch(rig, broker, name, *blocks, **options):
    """A daemon with <Cluster "main"> of that broker, once it is reached."""
    daemon = rig.daemon(name, ["rabbitmq_monitor"], warren.monitor(
        warren.cluster_block("main", broker, *blocks, **({
            "Interval": INTERVAL_S, "Timeout": 2} | options)))).start()
    w = Watch(broker, daemon)
    w.until(lambda: w.series(MAIN + "bool-reachable") == 1, 30, "it is reached")
    return w


class Watch:
    """The watching daemon, and what it has said."""

    def __init__(self, broker, daemon):
        self.broker, self.daemon = broker, daemon
        self.seen = 0
        self._as_of = None

    def series(self, name):
        if self._as_of is None:
            return self.daemon.record.series().get(name)
        values = [v for t, v in self.daemon.record.history(name) if t <= self._as_of]
        return values[-1] if values else None

    def notifications(self):
        return self.daemon.record.refresh().notifications

    def forget(self):
        self.seen = len(self.notifications())

    def said(self, severity, pattern):
        return any(s == severity and re.search(pattern, message)
                   for s, _, message in self.notifications()[self.seen:])

    def said_of(self, pattern):
        """The severities of what was said about it, in order."""
        return [s for s, _, message in self.notifications()[self.seen:]
                if re.search(pattern, message)]

    def polls_until(self, moved, since):
        """Of the polls after `since`, the wall clock's time, the number of the first
        one in whose report moved() was true, however late it was looked at; 0 when it
        was before."""
        times = [t for t, _ in self.daemon.record.history(MAIN + "bool-reachable")
                 if t > since]
        try:
            for count, self._as_of in enumerate((since, *times)):
                if moved():
                    return count
        finally:
            self._as_of = None
        raise AssertionError("no report shows it")

    def reported_at(self):
        """The wall clock's time of the newest report."""
        history = self.daemon.record.history(MAIN + "bool-reachable")
        return history[-1][0] if history else 0.0

    def until(self, predicate, seconds, what):
        """How long that took."""
        began = time.monotonic()
        try:
            wait_for(predicate, seconds, what)
        except AssertionError as e:
            newest = {n: v for n, v in self.daemon.record.series(MAIN).items()}
            raise AssertionError(
                f"{e}\nsaid: {self.notifications()[self.seen:]}\n"
                f"newest: {newest}\n{self.daemon.log()[-3000:]}") from None
        return time.monotonic() - began

    def node(self, name):
        return f"rabbitmq_monitor-main-node-{self.broker.node}/{name}"

    def queue(self, vhost, queue, name):
        where = vhost.name.replace("-", "%2D").replace("/", "%2F")
        return f"rabbitmq_monitor-main-queue-{where}-{queue}/{name}"


class Drill:
    """One drill: what is done to the broker, and what has to be seen of it.

    `indicator` is the series that has to move, for the table; `alert` the pattern
    of its notifications, None where there is none. `detect_s` is the bound for
    the poll that shows it; `assert_bound` is for a machine with nothing else to
    do. On any other one the polls are counted that it took."""

    def __init__(self, watch, figure, name, indicator, alert=None,
                 detect_s=DETECT_S, assert_bound=False):
        self.watch, self.figure = watch, figure
        self.name, self.indicator, self.alert = name, indicator, alert
        self.detect_s, self._assert_bound = detect_s, assert_bound
        self._seconds, self._polls = [], None

    def provoke(self, act, moved, fail_s=SOON_S, severities=(FAILURE,), known=None):
        """Acts, and waits until moved() and the alert is raised; seconds count
        from when it is done, polls from when known() is true: when the broker's own
        answers have it, which takes a busy one longer. None: at once."""
        act()
        began, wall = time.monotonic(), time.time()
        if known and not self._assert_bound:
            wait_for(known, 60, f"{self.name}: the broker knows")
        since = time.time()
        self.watch.until(moved, self.detect_s + LATE_S, f"{self.name}: {self.indicator}")
        shown = min(time.monotonic() - began,
                    max(0, self.watch.reported_at() - wall))
        self._seconds.append(f"indicator {shown:.1f} s")
        if self.alert:
            self.watch.until(
                lambda: any(self.watch.said(s, self.alert) for s in severities),
                fail_s, f"{self.name}: {SEVERITIES[severities[0]]}")
            said = self.watch.said_of(self.alert)[0]
            self._seconds.append(
                f"{SEVERITIES[said]} {time.monotonic() - began:.1f} s")
        if self._assert_bound:
            assert shown <= self.detect_s + POLL_S, f"{self.name}: {shown:.1f} s"
        else:
            self._polls = self.watch.polls_until(moved, since)
            assert self._polls <= DETECT_POLLS, f"{self.name}: {self._polls} polls"
        return self

    def end(self, act, okay_s=SOON_S):
        """Ends it, and waits until OKAY is said; each change was said once. One
        with two limits may pass WARNING on either way."""
        began = time.monotonic()
        act()
        if self.alert:
            self.watch.until(lambda: self.watch.said(OKAY, self.alert), okay_s,
                             f"{self.name}: OKAY")
            self._seconds.append(
                f"OKAY {time.monotonic() - began:.1f} s after the end")
            said = self.watch.said_of(self.alert)
            assert said.count(OKAY) == 1 and said[-1] == OKAY, said
            assert all(a != b for a, b in zip(said, said[1:])), said
        return self

    def note(self):
        self.figure(f"drill {self.name}: {self.indicator}: "
                    + ", ".join(self._seconds)
                    + ("" if self._polls is None else f", polls: {self._polls}"))
