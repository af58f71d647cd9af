# SPDX-License-Identifier: MIT
"""Drills: a fault is made, and it is looked whether indicator and alert come,
how soon, and whether the alert goes when the fault is over. Before them a quiet
time with ordinary load, in which nothing may be said.

One daemon watches one broker through all of them. The table at the end of the
run is drill, seconds until the indicator moved, until FAILURE, until OKAY.
"""

import os
import re
import time

import pytest

from rig import modules as warren
from rig.collectd import block
from rig.traffic import Consumer, Publisher
from rig.waiting import wait_for

IS_LONG = bool(os.environ.get("WARREN_LONG"))
QUIET_S = int(os.environ.get("WARREN_LONG_QUIET_S", "600")) if IS_LONG else 60
INTERVAL_S = 2
# 2 intervals, or 2 x collect_statistics_interval (1 s) + 1 s if that is longer.
DETECT_S = max(2 * INTERVAL_S, 2 * 1 + 1)
LATE_S = 4      # what a busy machine and the daemon's own read interval may add
HOLD_S = 2
ERRORS_WINDOW_S = 60
FAILURE, OKAY = 1, 4
MAIN = "rabbitmq_monitor-main/"
ALERTS = {
    "connection": {}, "alarm": {}, "partition": {}, "resource": {},
    "backlog": {"Failure": 100}, "no-consumer": {"Failure": 20}, "errors": {},
}


class Watch:
    """The watching daemon, and what it has said."""

    def __init__(self, broker, daemon):
        self.broker, self.daemon = broker, daemon
        self.seen = 0

    def series(self, name):
        return self.daemon.record.series().get(name)

    def notifications(self):
        return self.daemon.record.refresh().notifications

    def forget(self):
        self.seen = len(self.notifications())

    def said(self, severity, pattern):
        return any(s == severity and re.search(pattern, message)
                   for s, _, message in self.notifications()[self.seen:])

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


@pytest.fixture(scope="module")
def watch(_victim, built, tmp_path_factory):
    from conftest import Rig
    if not _victim.is_running():
        _victim.start()
    rig = Rig(built, tmp_path_factory.mktemp("drills"))
    alerts = [block("Alert", kind, **({"Hold": HOLD_S, "ClearHold": HOLD_S}
                                      | options))
              for kind, options in ALERTS.items()]
    daemon = rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(
        warren.cluster_block("main", _victim, *alerts, Interval=INTERVAL_S,
                             Timeout=2))).start()
    w = Watch(_victim, daemon)
    w.until(lambda: w.series(MAIN + "bool-reachable") == 1, 30, "it is reached")
    yield w
    rig.close()


@pytest.fixture
def ground(watch, _victim):
    """A virtual host with a queue, ordinary load, and nothing said before."""
    with _victim.vhost(f"drill/{time.monotonic_ns()}") as vhost:
        vhost.queue("q")
        vhost.exchange("x", "direct")
        vhost.bind("x", "q", "q")
        watch.forget()
        yield vhost


SOON_S = HOLD_S + DETECT_S + LATE_S
ERRORS = "errors .* % of the operations"


def provoked(watch, name, indicator, alert, provoke, fail_s=SOON_S):
    """Provokes, and looks until the indicator shows and FAILURE is said; alert
    is the pattern of its notifications, None where there is none. Seconds."""
    provoke()
    shown = watch.until(indicator, DETECT_S + LATE_S, f"{name}: the indicator")
    failed = shown + watch.until(
        lambda: alert is None or watch.said(FAILURE, alert), fail_s,
        f"{name}: FAILURE")
    return f"indicator {shown:.1f} s" + (f", FAILURE {failed:.1f} s" if alert else "")


def drill(watch, figure, name, indicator, alert, provoke, end, okay_s=SOON_S):
    """And ends, and looks until OKAY is said."""
    text = provoked(watch, name, indicator, alert, provoke)
    end()
    if alert:
        okay = watch.until(lambda: watch.said(OKAY, alert), okay_s, f"{name}: OKAY")
        said = [s for s, _, m in watch.notifications()[watch.seen:]
                if re.search(alert, m)]
        assert said == [FAILURE, OKAY], "once per change"
        text += f", OKAY {okay:.1f} s after the end"
    figure(f"drill {name}: {text}")


def errors(watch, ground, figure, name, series, traffic):
    """The error rate is of a minute: so long it may take to pass its limit, and
    so long an error counts."""
    before = watch.series(MAIN + series) or 0
    with traffic:
        text = provoked(watch, name,
                        lambda: (watch.series(MAIN + series) or 0) > before
                        and (watch.series(MAIN + "percent-error_rate") or 0) > 0,
                        ERRORS, lambda: None, fail_s=20)
    figure(f"drill {name}: {text}")
    watch.forget()


def quiet(watch, ground, figure, seconds):
    """Ordinary load; nothing is said but that the errors before are over."""
    began = time.monotonic()
    with Publisher(ground, "x", "q", 50) as p, Consumer(ground, "q") as c:
        watch.until(lambda: watch.said(OKAY, ERRORS),
                    ERRORS_WINDOW_S + SOON_S, "errors: OKAY")
        okay = time.monotonic() - began
        time.sleep(max(0, seconds - okay))
        seconds = time.monotonic() - began
    assert p.failure is None and c.failure is None
    assert p.sent > 0.9 * 50 * seconds, "the load was not there"
    assert [s for s, _, _ in watch.notifications()[watch.seen:]] == [OKAY]
    figure(f"quiet {seconds:.0f} s with {p.sent} messages: nothing was said but "
           f"errors OKAY, {okay:.1f} s after their end")


def test_unroutable_messages_and_then_ordinary_load(watch, ground, figure):
    errors(watch, ground, figure, "unroutable, mandatory", "total_events-returned",
           Publisher(ground, "x", "nowhere", 20, mandatory=True))
    quiet(watch, ground, figure, QUIET_S)
    watch.until(lambda: watch.series(MAIN + "percent-error_rate") in (0, None),
                ERRORS_WINDOW_S, "no error is left in the window")


def another_error(watch, ground, figure, name):
    ground.publish("x", "q", b"x")
    series, traffic = {
        "unroutable": ("total_events-dropped_unroutable",
                       Publisher(ground, "x", "nowhere", 20)),
        "redelivery loop": ("total_events-redelivered",
                            Consumer(ground, "q", rejects=True))}[name]
    errors(watch, ground, figure, name, series, traffic)
    quiet(watch, ground, figure, 0)


if IS_LONG:  # a minute and a half each
    test_another_error = pytest.mark.parametrize(
        "name", ["unroutable", "redelivery loop"])(another_error)


def test_consumer_stopped(watch, ground, figure):
    consumers = [Consumer(ground, "q")]
    ready = watch.queue(ground, "q", "queue_length-ready")
    with Publisher(ground, "x", "q", 50):
        consumers[0].begin()
        watch.until(lambda: watch.series(watch.queue(ground, "q", "gauge-consumers"))
                    == 1, 15, "its consumer is seen")

        def again():
            consumers.append(Consumer(ground, "q").begin())
        drill(watch, figure, "consumer stopped",
              lambda: watch.series(watch.queue(ground, "q", "gauge-consumers")) == 0
              and watch.series(ready) > 0,
              "queue q in vhost drill.*without a consumer|no-consumer",
              consumers[0].end, again)
        consumers[1].end()


def test_slow_consumer(watch, ground, figure):
    c = Consumer(ground, "q")
    with Publisher(ground, "x", "q", 100), c:
        watch.until(lambda: watch.series(watch.queue(ground, "q", "gauge-consumers"))
                    == 1, 15, "its consumer is seen")
        drill(watch, figure, "slow consumer",
              lambda: (watch.series(watch.queue(ground, "q", "queue_length-ready"))
                       or 0) > 50,
              "queue q in vhost drill.*ready or unacknowledged",
              lambda: setattr(c, "delay", 0.1), lambda: setattr(c, "delay", 0))


def test_queue_deleted(watch, ground, figure):
    ready = watch.queue(ground, "q", "queue_length-ready")

    def fill():
        for _ in range(200):
            ground.publish("x", "q", b"x")
    drill(watch, figure, "queue with a backlog deleted",
          lambda: watch.series(ready) == 200, "queue q in vhost drill.*(backlog|ready)",
          fill, lambda: ground.delete_queue("q"))


@pytest.mark.parametrize("kind", ["memory", "disk"])
def test_alarm(watch, ground, figure, kind):
    alarm = watch.broker.memory_alarm if kind == "memory" else watch.broker.disk_alarm
    drill(watch, figure, f"{kind} alarm",
          lambda: watch.series(watch.node(f"bool-{kind}_alarm")) == 1,
          f"{kind} alarm", lambda: alarm(True), lambda: alarm(False))


def test_connection_churn(watch, ground, figure):
    before = watch.series(MAIN + "total_connections-opened")

    def churn():
        for _ in range(30):
            ground.connect().close()
    drill(watch, figure, "connection churn",
          lambda: watch.series(MAIN + "total_connections-opened") >= before + 30
          and watch.series(MAIN + "total_connections-closed") >= 30,
          None, churn, lambda: None)


def test_broker_that_hangs(watch, ground, figure):
    """Nothing but the root cause is said, although there is a backlog to speak
    of at the same moment."""
    def hang():
        for _ in range(200):
            ground.publish("x", "q", b"x")
        watch.broker.hang()
    try:
        drill(watch, figure, "broker hangs",
              lambda: watch.series(MAIN + "bool-reachable") == 0,
              "broker is .*reachable", hang, watch.broker.cont)
    finally:
        watch.broker.cont()
    ground.delete_queue("q")


def test_broker_that_is_restarted(watch, ground, figure):
    """Its counters begin anew: what was published is counted once, and no rate
    is above it."""
    for _ in range(100):
        ground.publish("x", "q", b"x")
    ground.take_all("q")
    publish, rate = MAIN + "total_operations-publish", MAIN + "gauge-publish_rate"
    began, history = watch.series(publish), len(watch.daemon.record.history(rate))

    drill(watch, figure, "broker killed and started",
          lambda: watch.series(MAIN + "bool-reachable") == 0,
          "broker is .*reachable", watch.broker.kill9, watch.broker.start,
          okay_s=30)
    watch.until(lambda: watch.series(rate) is not None, 15, "rates are back")
    grown = [v for _, v in watch.daemon.record.history(rate)[history:]]
    assert all(0 <= v <= 100 / INTERVAL_S for v in grown), grown
    assert 0 <= watch.series(publish) - began <= 100
