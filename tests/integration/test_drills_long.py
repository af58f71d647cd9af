# SPDX-License-Identifier: MIT
"""More drills, with --long only: publishers that stop, errors that only the
Prometheus plugin counts, wrong passwords, a certificate that expires. A daemon
for each, so that one drill leaves nothing in the error rate of the next."""

import pathlib
import shutil
import subprocess
import time

import pytest

from conftest import IS_LONG
from rig.drills import (DETECT_S, FAILURE, INTERVAL_S, MAIN, SOON_S, WARNING, Drill,
                        alerts, start_watch)
from rig.tls import listener
from rig.traffic import Consumer, Publisher

if not IS_LONG:
    pytest.skip("with --long only", allow_module_level=True)

RIG = pathlib.Path(__file__).resolve().parent.parent / "rig"
ERRORS = "errors .* % of the operations"
ERRORS_WINDOW_S = 60
RATE = 50
# A nack has no counter: it is what stays unconfirmed for 2 polls and 6 seconds.
UNCONFIRMED_S = 6 + 2 * INTERVAL_S
SOURCES = {"management": {}, "prometheus": {"Source": "auto"}}


def watched(rig, broker, source, *blocks):
    options = dict(SOURCES[source])
    if source == "prometheus":
        options["MetricsURL"] = broker.metrics_url
    return start_watch(rig, broker, "M", *blocks, **options)


@pytest.fixture(params=SOURCES)
def source(request):
    return request.param


@pytest.fixture
def ground(victim):
    with victim.vhost(f"drill/{time.monotonic_ns()}") as vhost:
        vhost.queue("q")
        vhost.exchange("x", "direct")
        vhost.bind("x", "q", "q")
        yield vhost


def counted(watch, series):
    return watch.series(MAIN + series) or 0


# --- errors -----------------------------------------------------------------

class Errors:
    """A drill whose indicator is one of the parts of the error rate."""

    def __init__(self, rig, victim, figure, source, name, series,
                 detect_s=DETECT_S):
        self.watch = watched(rig, victim, source, *alerts(errors={}))
        self.series = series
        self.drill = Drill(self.watch, figure, f"{name}, {source}", series, ERRORS,
                           detect_s=detect_s, assert_bound=True)

    def run(self, ground, begin, end):
        """Errors on top of ordinary load, which goes on after them."""
        w = self.watch
        with Publisher(ground, "amq.fanout", "", RATE) as p:
            ground.queue("ordinary")
            ground.bind("amq.fanout", "ordinary", "")
            with Consumer(ground, "ordinary", prefetch=100) as c:
                w.until(lambda: counted(w, "total_operations-publish") > RATE, 30,
                        "the load is seen")
                w.until(lambda: w.series(MAIN + self.series) is not None, 30,
                        f"{self.series} is there")
                before = counted(w, self.series)
                w.until(lambda: w.series(MAIN + "percent-error_rate") == 0,
                        ERRORS_WINDOW_S + 30, "no error yet")
                self.drill.provoke(
                    begin, lambda: counted(w, self.series) > before
                    and counted(w, "percent-error_rate") > 0, fail_s=30)
                self.drill.end(end, okay_s=ERRORS_WINDOW_S + SOON_S)
        assert p.failure is None and c.failure is None
        self.drill.note()
        return counted(w, self.series) - before


def test_unroutable(rig, victim, ground, figure, source):
    e = Errors(rig, victim, figure, source, "unroutable", "total_events-dropped_unroutable")
    p = Publisher(ground, "x", "nowhere", 20)
    assert e.run(ground, p.begin, p.end) == p.sent


def test_unroutable_mandatory(rig, victim, ground, figure, source):
    e = Errors(rig, victim, figure, source, "unroutable, mandatory",
               "total_events-returned")
    p = Publisher(ground, "x", "nowhere", 20, mandatory=True)
    assert e.run(ground, p.begin, p.end) == p.sent


def test_redelivery_loop(rig, victim, ground, figure, source):
    ground.publish("x", "q", b"x")
    e = Errors(rig, victim, figure, source, "redelivery loop",
               "total_events-redelivered")
    c = Consumer(ground, "q", rejects=True)
    e.run(ground, c.begin, c.end)


def test_nacks(rig, victim, ground, figure):
    """From a queue that is full and rejects: shows as unconfirmed."""
    ground.queue("full", x_max_length=1, x_overflow="reject-publish")
    ground.bind("x", "full", "full")
    ground.publish("x", "full", b"x")
    e = Errors(rig, victim, figure, "prometheus", "nacks",
               "total_events-unconfirmed", detect_s=UNCONFIRMED_S + DETECT_S)
    p = Publisher(ground, "x", "full", 20, confirms=True)
    assert e.run(ground, p.begin, p.end) == p.nacked > 0


@pytest.mark.parametrize("reason", ["expired", "maxlen", "delivery_limit", "rejected"])
def test_dead_letters(rig, victim, ground, figure, reason):
    ground.exchange("dlx", "fanout")
    ground.queue("dead")
    ground.bind("dlx", "dead", "")
    arguments = {
        "expired": {"x_message_ttl": 100},
        "maxlen": {"x_max_length": 1},
        "delivery_limit": {"x_queue_type": "quorum", "x_delivery_limit": 2},
        "rejected": {}}[reason]
    ground.queue("dying", x_dead_letter_exchange="dlx", **arguments)
    ground.bind("x", "dying", "dying")
    e = Errors(rig, victim, figure, "prometheus", f"dead letters, {reason}",
               f"total_events-dead_lettered_{reason}")
    threads = [Publisher(ground, "x", "dying", 20)]
    if reason in ("delivery_limit", "rejected"):
        threads.append(Consumer(ground, "dying", rejects=True,
                                requeues=reason != "rejected"))

    def begin():
        for t in threads:
            t.begin()

    def end():
        for t in threads:
            t.end()
    grown = e.run(ground, begin, end)
    assert grown == len(ground.take_all("dead")), "what was counted is what came"


# --- throughput -------------------------------------------------------------

# Two lives of a publisher: one that stops, one that slows down.
DROPS = {"publisher stopped": 0, "publisher at half rate": RATE / 2}


def shown_drops(w):
    return [v for _, v in w.daemon.record.history(MAIN + "percent-throughput_drop")]


@pytest.mark.parametrize("name", DROPS)
def test_publisher(rig, victim, ground, figure, source, name):
    from rig.collectd import block
    w = watched(rig, victim, source, block("Baseline", Window=240, Learn=20),
                *alerts(rate_drop={}))
    drop = MAIN + "percent-throughput_drop"
    with Publisher(ground, "x", "q", RATE) as p, Consumer(ground, "q", prefetch=100):
        w.until(lambda: w.series(drop) is not None, 60, "the rate is learned")
        steady = len(shown_drops(w))
        time.sleep(30)
        highest = max(shown_drops(w)[steady:])
        figure(f"steady {RATE} messages/s, {source}: the highest "
               f"percent-throughput_drop was {highest:.1f}")
        assert not w.said_of("below its baseline"), "the rate did not drop"
        d = Drill(w, figure, f"{name}, {source}", "percent-throughput_drop",
                  "the publish rate is below its baseline", assert_bound=True)
        d.provoke(lambda: setattr(p, "rate", DROPS[name]),
                  lambda: w.series(drop) >= 30, severities=(FAILURE, WARNING))
        d.end(lambda: setattr(p, "rate", RATE))
    d.note()
    assert highest < 30, "a steady rate is no drop"


# --- who comes in -----------------------------------------------------------

def test_wrong_passwords(rig, victim, ground, figure):
    import pika
    w = watched(rig, victim, "prometheus",
                *alerts(auth_failed={"Failure": 8, "Warning": 0}))
    series = "total_events-auth_failed"
    w.until(lambda: w.series(MAIN + series) is not None, 30, "it is counted")
    before = counted(w, series)

    def try_passwords():
        for _ in range(10):
            with pytest.raises(pika.exceptions.AMQPError):
                ground.connect("wr0ng")
    d = Drill(w, figure, "wrong passwords", series, "refused logins",
              assert_bound=True)
    d.provoke(try_passwords, lambda: counted(w, series) >= before + 10)
    # Those of the last minute count.
    d.end(lambda: None, okay_s=60 + SOON_S)
    d.note()
    assert counted(w, series) == before + 10


# --- certificates -----------------------------------------------------------

CERTIFICATES_EVERY = 60  # polls, of 1 s


def test_expiring_certificate(rig, victim, figure, tmp_path):
    """A listener's file has 30 days, then another one with 5, then the renewed
    one: what is asked every 60 polls is seen with the next of them."""
    subprocess.run([RIG / "tls.sh", tmp_path], check=True, capture_output=True)

    def put(name):
        for end in ("key", "pem"):
            shutil.copyfile(tmp_path / f"{name}.{end}", tmp_path / f"listener.{end}")
    put("server")
    with listener(victim, tmp_path, "listener"):
        w = start_watch(rig, victim, "M", *alerts(
            certificate={"Failure": 7, "Warning": 0}), Interval=1)
        days = MAIN + "gauge-certificate_days"
        w.until(lambda: 29 < (w.series(days) or 0) <= 30, 15, "its days are seen")
        d = Drill(w, figure, "certificate with 5 days left, Interval 1",
                  "gauge-certificate_days", "a TLS certificate",
                  detect_s=CERTIFICATES_EVERY + 2, assert_bound=True)
        d.provoke(lambda: put("soon"), lambda: 4.9 < (w.series(days) or 0) <= 5)
        d.end(lambda: put("server"), okay_s=CERTIFICATES_EVERY + SOON_S)
        assert w.series(days) > 29
    d.note()
