# SPDX-License-Identifier: MIT
"""One FIFO across RAM and disk: order, bounds, ends and the account, while the
broker goes and comes and the daemon is restarted in between."""

import contextlib
import sqlite3
import threading
import time

import pytest

from rig import books, spoolfile
from rig import modules as warren
from rig.collectd import plugin
from rig.gate import Gate
from rig.waiting import NotInTime, wait_for

WINDOW, RAM = 64, 200


@pytest.fixture
def gate(broker):
    with Gate(broker.amqp_port) as g:
        yield g


@pytest.fixture
def queue(vhost):
    vhost.queue("q")
    vhost.bind("amq.fanout", "q", "")
    return vhost


def options(rig, **more):
    return {"Exchange": "amq.fanout", "SpoolDir": str(rig.dir / "spool"),
            "SendQueueLimit": RAM, "ConfirmWindow": WINDOW, "RetryDelay": 0.1,
            "RetryDelayMax": 0.2} | more


def publisher(rig, gate, vhost, name="A", load=None, interval=0.2, **more):
    return rig.publisher(gate, vhost, name=name, how={"interval": interval},
                         options=options(rig, **more),
                         **({"Series": 20, "Delay": 0.05} | (load or {})))


def series(a):
    return a.record.series("rabbitmq_publish-x/")


def wait_series(a, predicate, patience, what):
    try:
        wait_for(predicate, patience, what)
    except NotInTime as e:
        raise NotInTime(f"{e}; {series(a)}") from None


def reaches(a, name, value, patience=60):
    wait_series(a, lambda: series(a).get(name, 0) >= value, patience,
                f"{name} reaches {value}")


def is_idle(a, accepted):
    s = series(a)
    return (s.get("total_operations-accepted", 0) >= accepted and
            not any(s.get(f"queue_length-{q}", 0)
                    for q in ("outbox", "in_flight", "spooled")))


def idle(a, accepted=0, patience=60):
    wait_series(a, lambda: is_idle(a, accepted), patience, "all has ended")


def file_of(rig, block="x"):
    return str(rig.dir / "spool" / f"{block}.spool")


def arrivals(vhost, queue="q"):
    """[(message-id, number)] in order; every value in a message of its own."""
    return [(p.message_id, n) for p, body in vhost.take_all(queue)
            for n in spoolfile.numbers_of(body)]


def check_arrivals(got, want):
    """All of want came, in order, and what came twice has the same id."""
    ids = {}
    for message_id, n in got:
        assert ids.setdefault(n, message_id) == message_id
    first = list(ids)
    missing, foreign = set(want) - set(first), set(first) - set(want)
    assert not missing and not foreign, (
        f"{len(missing)} missing {sorted(missing)[:5]}, {len(foreign)} foreign "
        f"{sorted(foreign)[:5]}")
    wrong = [(a, b) for a, b in zip(first, first[1:]) if a > b]
    assert not wrong, f"{len(wrong)} overtook, first {wrong[:5]}"
    return len(got) - len(first)


# --- order ------------------------------------------------------------------

def test_order_holds_through_ram_and_disk_while_new_values_come(
        rig, gate, queue, figure):
    total = 16_000
    gate.shut()
    a = publisher(rig, gate, queue, load={"Total": total, "Rate": 2500}).start()
    reaches(a, "queue_length-spooled", 2000)
    gate.open()
    idle(a, total)
    most = max(r["queue_length-spooled"] for r in books.reports(a.record))
    assert any(r["total_operations-confirmed"] > 0 and
               r["total_operations-accepted"] < total
               for r in books.reports(a.record)), "the gate opened too late"
    check_arrivals(arrivals(queue), range(total))
    wait_for(lambda: books.reports(a.record)[-1]["total_operations-confirmed"]
             == total, 60, "the report of the end is followed by another")
    seen = books.check(a.record, least=10)
    figure(f"RAM {RAM}, then disk: {total} values in order, up to {most:.0f} "
           f"spooled, {len(seen)} balanced reports")


def test_order_holds_while_the_connection_comes_and_goes(
        rig, gate, queue, figure):
    total = 16_000
    a = publisher(rig, gate, queue, load={"Total": total, "Rate": 4000}).start()
    cuts = 0
    while series(a).get("total_operations-accepted", 0) < total * 0.9:
        for change, seconds in ((gate.cut, 0.4), (gate.shut, 0.3),
                                (gate.open, 0.3), (gate.stall, 0.2),
                                (gate.open, 0.1)):
            change()
            time.sleep(seconds)
        cuts += 1
    idle(a, total)
    twice = check_arrivals(arrivals(queue), range(total))
    seen = books.check(a.record, least=10)
    most = max(r["queue_length-spooled"] for r in seen)
    assert most > 0, "it never overflowed"
    figure(f"{cuts} times cut, shut, stalled: {total} values in order, up to "
           f"{most:.0f} spooled, {twice} duplicates")


@pytest.mark.parametrize("mode", ["overflow", "always"])
def test_a_restart_in_an_outage_loses_nothing_and_keeps_order(
        rig, gate, queue, mode, figure):
    """Twice, so that rows of two earlier lives lie in one file."""
    gate.shut()
    seconds = []
    for life in range(2):
        a = publisher(rig, gate, queue, name=f"life-{life}", SpoolMode=mode,
                      load={"Total": 2000, "First": life * 2000, "Rate": 4000})
        a.start().wait_log("loadgen: dispatched")
        # what collectd's own queue holds at SIGTERM it discards
        wait_for(lambda: len(a.record.numbers()) == 2000, 60, "all written")
        seconds.append(a.stop())
        books.check(a.record, least=0)
        rows = spoolfile.rows(file_of(rig))
        assert [n for r in rows for n in spoolfile.numbers_of(r.body)] == \
            list(range((life + 1) * 2000))
        assert [r.seq for r in rows] == sorted({r.seq for r in rows})
    a = publisher(rig, gate, queue, name="last", SpoolMode=mode,
                  load={"Total": 2000, "First": 4000, "Rate": 4000}).start()
    reaches(a, "total_operations-accepted", 500)
    gate.open()
    idle(a, 2000)
    twice = check_arrivals(arrivals(queue), range(6000))
    assert twice == 0
    assert series(a)["total_operations-recovered"] == 4000
    assert series(a)["total_operations-confirmed"] == 6000
    books.check(a.record)
    assert a.stop() < 15
    assert spoolfile.rows(file_of(rig)) == []
    assert max(seconds) < 15
    figure(f"two restarts in an outage, {mode}: 6000 in order, 0 lost, SIGTERM "
           f"to exit {max(seconds):.2f} s")


def test_a_restart_under_load_loses_nothing(rig, gate, queue):
    """The broker is up: what was in flight may come twice."""
    accepted = []
    for life in range(3):
        a = publisher(rig, gate, queue, name=f"life-{life}",
                      load={"Total": 100_000, "First": life * 100_000,
                            "Rate": 5000}).start()
        reaches(a, "total_operations-confirmed", 1000)
        if life == 1:
            gate.stall()
            time.sleep(0.3)
        a.stop()
        accepted += a.record.numbers()
        gate.open()
        gate.cut()
    a = publisher(rig, gate, queue, name="last",
                  load={"Total": 1, "First": 900_000}).start()
    idle(a, 1)
    check_arrivals(arrivals(queue), [*accepted, 900_000])


@pytest.mark.parametrize("lanes", [(4, 4), (4, 2), (1, 3)])
def test_lanes_keep_the_order_of_each_routing_key(rig, gate, queue, lanes):
    """The number of lanes changes while rows of the other number lie on disk."""
    gate.shut()
    a = publisher(rig, gate, queue, name="first", Connections=lanes[0],
                  load={"Total": 4000, "Rate": 8000}).start()
    a.wait_log("loadgen: dispatched")
    wait_for(lambda: len(a.record.numbers()) == 4000, 60, "all written")
    books.check(a.record, least=0)
    a.stop()
    a = publisher(rig, gate, queue, name="second", Connections=lanes[1],
                  load={"Total": 8000, "First": 4000, "Rate": 4000}).start()
    reaches(a, "total_operations-accepted", 1000)
    gate.open()
    reaches(a, "total_operations-confirmed", 3000)
    gate.cut()
    idle(a, 8000)
    books.check(a.record)
    by_key = {}
    ids = {}
    for message_id, n in arrivals(queue):
        assert ids.setdefault(n, message_id) == message_id
        if n not in by_key.setdefault(n % 20, []):
            by_key[n % 20].append(n)
    assert set(ids) == set(range(12_000))
    assert all(numbers == sorted(numbers) for numbers in by_key.values())


# --- bounds -----------------------------------------------------------------

class Sizes:
    """The largest that a file and a process ever were, looked at often."""

    def __init__(self, path, pid):
        self.file = self.rss_kb = 0
        self._path, self._pid = path, pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self):
        while not self._done.wait(0.02):
            self.file = max(self.file, spoolfile.size(self._path))
            try:
                with open(f"/proc/{self._pid}/status", encoding="ascii") as f:
                    self.rss_kb = max(self.rss_kb, *(
                        int(line.split()[1]) for line in f
                        if line.startswith("VmRSS")))
            except (OSError, TypeError):
                pass

    def stop(self):
        self._done.set()
        self._thread.join()


def is_still(a):
    """The last reports say the same; a commit may take a while."""
    last = books.reports(a.record)[-10:]
    return len(last) == 10 and all(r["queue_length-spooled"] == last[0]["queue_length-spooled"] and
               books.dropped(r) == books.dropped(last[0]) for r in last)


@pytest.mark.parametrize("mode", ["overflow", "always"])
@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
def test_a_full_spool_drops_by_policy_and_counts_exactly(
        rig, gate, queue, policy, mode, figure):
    total, most_bytes = 20_000, 1 << 20
    gate.shut()
    a = publisher(rig, gate, queue, OverflowPolicy=policy, SpoolMode=mode,
                  SpoolMaxBytes=most_bytes, load={"Total": total, "Rate": 10_000})
    a.start()
    sizes = Sizes(file_of(rig), a.process.pid)
    a.wait_log("loadgen: dispatched", timeout=60)
    reaches(a, "total_operations-accepted", total)
    wait_series(a, lambda: is_still(a), 60, "the disk has had its say")
    held = series(a)
    gate.open()
    idle(a, total)
    sizes.stop()
    seen = books.check(a.record)
    got = arrivals(queue)
    numbers = [n for _, n in got]
    check_arrivals(got, numbers)
    missing = sorted(set(range(total)) - set(numbers))
    last = series(a)
    dropped = last["total_operations-dropped_overflow"]
    figure(f"spool full, {mode}, {policy}: {len(missing)} of {total} dropped and "
           f"counted {dropped:.0f}, file at most {sizes.file} of {most_bytes} "
           f"bytes, RSS {sizes.rss_kb} kB, {len(seen)} balanced reports")
    assert len(missing) == dropped == last["total_values-dropped"]
    assert last["total_operations-confirmed"] == len(numbers)
    assert 0 < sizes.file <= most_bytes
    kept = held["queue_length-spooled"]
    assert kept > 1000, "the bound was hardly used"
    assert missing == list(range(missing[0], missing[0] + len(missing)))
    if policy == "drop-newest":
        assert missing[-1] == total - 1
    else:
        # RAM holds the head of the FIFO
        assert missing[0] <= RAM + WINDOW
        assert missing[-1] < total - 1000
    # RAM: the queue, what waits for the disk, SQLite's cache
    assert sizes.rss_kb < 32 * 1024


# --- ends -------------------------------------------------------------------

def test_a_message_older_than_its_ttl_is_counted_and_not_delivered(
        rig, gate, queue):
    """In RAM, on disk, and on disk since an earlier life."""
    gate.shut()
    for life, ttl in enumerate((600, 2)):  # the first may be slow to end
        a = publisher(rig, gate, queue, name=f"life-{life}", MessageTTL=ttl,
                      load={"Total": 1000, "First": life * 1000, "Rate": 4000})
        a.start().wait_log("loadgen: dispatched")
        wait_for(lambda: len(a.record.numbers()) == 1000, 60, "all written")
        if life == 0:
            a.stop()
    time.sleep(2.5)
    gate.open()
    reaches(a, "total_operations-expired", 2000)
    assert series(a)["total_operations-recovered"] == 1000
    books.check(a.record)
    a.stop()
    b = publisher(rig, gate, queue, name="B", MessageTTL=60,
                  load={"Total": 500, "First": 2000, "Rate": 4000}).start()
    idle(b, 500)
    check_arrivals(arrivals(queue), range(2000, 2500))
    assert series(b)["total_operations-recovered"] == 0


def make_older(path, seconds):
    """The rows of a file whose daemon has ended: no test has to wait for it, nor
    do new values grow too old on a slow machine."""
    with contextlib.closing(sqlite3.connect(path)) as base, base:
        changed = base.execute("UPDATE messages SET accepted_ms = accepted_ms - ?",
                               (seconds * 1000,))
        assert changed.rowcount > 0


def test_rows_older_than_the_spools_age_limit_expire_also_over_a_restart(
        rig, gate, queue):
    gate.shut()
    a = publisher(rig, gate, queue, SpoolMode="always",
                  load={"Total": 1000, "Rate": 8000}).start()
    a.wait_log("loadgen: dispatched")
    reaches(a, "total_operations-accepted", 1000)
    a.stop()
    assert len(spoolfile.rows(file_of(rig))) == 1000
    make_older(file_of(rig), seconds=100)
    b = publisher(rig, gate, queue, name="B", SpoolMode="always", SpoolMaxAge=100,
                  load={"Total": 500, "First": 1000, "Rate": 8000}).start()
    gate.open()
    idle(b, 500)
    check_arrivals(arrivals(queue), range(1000, 1500))
    assert series(b)["total_operations-recovered"] == 1000
    assert series(b)["total_operations-expired"] == 1000
    assert series(b)["total_operations-confirmed"] == 500
    books.check(b.record)


@pytest.mark.parametrize("mode", ["none", "always"])
def test_a_returned_message_goes_to_the_alternate_exchange(
        rig, broker, vhost, mode):
    vhost.exchange("metrics", "direct")
    vhost.exchange("spare", "fanout")
    vhost.queue("q")
    vhost.bind("metrics", "q", "collectd.routed")
    vhost.queue("spare")
    vhost.bind("spare", "spare", "")
    a = publisher(rig, broker, vhost, SpoolMode=mode, SendQueueLimit=1000,
                  Exchange="metrics",
                  OnReturn="alternate", AlternateExchange="spare",
                  load={"Total": 500, "Rate": 0}).start()
    idle(a, 500)
    check_arrivals(arrivals(vhost, "spare"), range(500))
    assert series(a)["total_operations-confirmed"] == 500
    assert series(a)["total_operations-returned"] == 0
    books.check(a.record)


def test_a_message_that_the_broker_never_takes_is_given_up_and_others_flow(
        rig, victim, victim_vhost):
    """One batch is larger than the broker allows: it closes the channel over
    it every time."""
    victim_vhost.queue("q")
    victim_vhost.bind("amq.fanout", "q", "")
    with Gate(victim.amqp_port, is_open=False) as gate:
        a = publisher(rig, gate, victim_vhost, RoutingKey="k", BatchValues=1000,
                      BatchBytes="1MiB", FlushInterval=60,
                      load={"Total": 1000, "Rate": 0}).start()
        reaches(a, "total_operations-accepted", 1)
        a.stop()
        assert len(spoolfile.rows(file_of(rig))) == 1
        victim.max_message_size(20_000)
        try:
            gate.open()
            b = publisher(rig, gate, victim_vhost, name="B", RoutingKey="k",
                          BatchValues=10, FlushInterval=60, MaxAttempts=3,
                          load={"Total": 1000, "First": 1000, "Rate": 1000})
            b.start()
            idle(b, 100)
        finally:
            victim.max_message_size()
    check_arrivals(arrivals(victim_vhost), range(1000, 2000))
    assert series(b)["total_operations-rejected"] == 1
    assert series(b)["total_operations-confirmed"] == 100
    assert b.log_lines(r"\[error\].*gave up")
    books.check(b.record)


def test_two_blocks_with_one_directory_have_a_file_each(rig, gate, queue):
    gate.shut()
    blocks = [warren.publish_block(name, gate, queue.name, **options(
        rig, RoutingKey=name, ReportStats=True)) for name in ("x", "y")]
    a = rig.daemon("A", ["loadgen", "rabbitmq_publish"],
                   plugin("loadgen", Total=1000, Delay=0.1, Rate=4000),
                   warren.publish(*blocks), interval=0.2).start()
    a.wait_log("loadgen: dispatched")
    wait_for(lambda: len(a.record.numbers()) == 1000, 60, "all written")
    a.stop()
    for name in ("x", "y"):
        numbers = [n for r in spoolfile.rows(file_of(rig, name))
                   for n in spoolfile.numbers_of(r.body)
                   if b"loadgen-s" in r.body]
        assert numbers == list(range(1000)), name


# --- the account ------------------------------------------------------------

def test_the_books_balance_at_every_report_whatever_happens(
        rig, gate, vhost, figure):
    """Nacks, returns, cuts, overflow of RAM and disk, expiry, all at once."""
    vhost.exchange("metrics", "topic")
    vhost.queue("q", x_max_length=300, x_overflow="reject-publish")
    # s0 to s9 route, s10 to s19 do not
    for i in range(10):
        vhost.bind("metrics", "q", f"#.s{i}.#")
    a = publisher(rig, gate, vhost, interval=0.1, Exchange="metrics",
                  SpoolMaxBytes=1 << 20, MaxAttempts=3, MessageTTL=4,
                  load={"Total": 30_000, "Rate": 5000}).start()
    a.wait_log("entering read-loop")
    until = time.monotonic() + 7
    while time.monotonic() < until:
        time.sleep(0.5)
        gate.cut()
        vhost.take_all("q", idle=0.1)
        time.sleep(0.3)
        gate.shut()
        time.sleep(0.7)
        gate.open()
    wait_series(a, lambda: vhost.take_all("q", idle=0.1) is not None and
                is_idle(a, 30_000), 60, "all has ended")
    seen = books.check(a.record, least=20)
    last = series(a)
    ends = {k: last.get(f"total_operations-{k}", 0)
            for k in ("confirmed", "returned", "rejected", "expired")}
    ends["dropped"] = books.dropped(last)
    assert sum(ends.values()) == last["total_operations-accepted"] == 30_000
    assert ends["confirmed"] > 0 and ends["returned"] > 0
    figure(f"{len(seen)} reports balance: "
           + ", ".join(f"{k} {v:.0f}" for k, v in ends.items()))
