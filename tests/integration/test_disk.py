# SPDX-License-Identifier: MIT
"""A disk that is full, read-only, gone, slow or taken, a spool file that is
broken or strange, a clock that jumps: nothing crashes, no write callback waits,
one clear error says what to do, values flow by RAM meanwhile, and when the
cause goes away so does the trouble.

All cases run at the same time, each in a daemon of its own, since a spool that
failed is deliberately tried again only after half a minute."""

import os
import random
import re
import shutil
import sqlite3
import subprocess

import pytest

from conftest import Rig
from rig import books, spoolfile
from rig.gate import Gate
from rig.together import pause, run, until
from rig.world import World

RATE = 200
TOTAL = RATE * 44     # the spool's half minute and what lies around it
STALL_US = 1_500_000  # the slow disk takes 2 s, a broken one its timeout
BEFORE = 500          # values of an earlier life, numbered from 1000000 on
EARLIER = 1_000_000


class Case:
    """One daemon, its gate, its queue and its spool directory."""

    def __init__(self, name, broker, vhost, built, build, directory):
        self.name = name
        self.dir = directory / name
        self.dir.mkdir()
        self.rig = Rig(built, self.dir)
        self.gate = Gate(broker.amqp_port)
        self.build = build
        self.vhost = vhost
        self.spool = self.dir / "spool"
        self.file = str(self.spool / "x.spool")
        self.daemon = self.world = None
        self.mounted = False
        vhost.queue(name)
        vhost.bind("amq.direct", name, name)

    def mount(self, how):
        """A disk of its own. Returns whether this user may."""
        self.spool.mkdir(exist_ok=True)
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", how, "tmpfs",
                               str(self.spool)], capture_output=True, check=False)
        self.mounted = self.mounted or done.returncode == 0
        return done.returncode == 0

    def remount(self, how):
        subprocess.run(["mount", "-o", f"remount,{how}", str(self.spool)],
                       check=True, capture_output=True)

    def make(self, name="A", load=None, **options):
        """A daemon whose loadgen calls the publisher and times each call."""
        environment = self.world.environment if self.world else None
        self.daemon = self.rig.publisher(
            self.gate, self.vhost, name=name, how={
                "environment": environment},
            options={"Exchange": "amq.direct", "RoutingKey": self.name,
                     "SpoolDir": str(self.spool), "SpoolMode": "always",
                     "RetryDelay": 0.2, "RetryDelayMax": 0.5} | options,
            **({"Total": TOTAL, "Rate": RATE, "Delay": 0.2,
                "Target": "rabbitmq_publish/x"} | (load or {})))
        return self.daemon

    def start(self, **how):
        self.make(**how).launch()
        return self.runs()

    def runs(self):
        return until(lambda: "entering read-loop" in self.daemon.log(), 60,
                     lambda: f"collectd runs: {self.daemon.log()}")

    def series(self):
        return self.daemon.record.series("rabbitmq_publish-x/")

    def errors(self, pattern=None):
        lines = self.daemon.log_lines(r"\[error\]")
        return [line for line in lines if re.search(pattern or "", line)]

    def complains(self, words):
        """One clear error that names the file, or its directory, and says what
        to do."""
        def is_said():
            assert self.daemon.is_running(), self.daemon.log()
            return [line for line in self.errors(words)
                    if str(self.spool) in line]
        return until(is_said, 60, lambda: f"an error with {self.spool} and "
                     f"/{words}/ in {self.daemon.log()}")

    def recovers(self):
        """The log says so, and rows are written again."""
        return until(lambda: self.daemon.log_lines("can be written again"), 90,
                     lambda: f"the spool is used again: {self.daemon.log()}")

    def is_idle(self):
        s = self.series()
        return (s.get("total_operations-accepted", 0) >= TOTAL and
                not any(s.get(f"queue_length-{q}", 0)
                        for q in ("outbox", "in_flight", "spooled")))

    def finish(self, recovered=0, is_ordered=True):
        """All has ended and is in the queue. Yields what to wait for."""
        yield until(lambda: self.daemon.log_lines("loadgen: dispatched"),
                    TOTAL / RATE + 60, "all is dispatched")
        self.gate.open()
        yield until(self.is_idle, 60, lambda: f"idle: {self.series()}")
        self.daemon.stop()
        assert self.daemon.status == 0, self.daemon.log()
        books.check(self.daemon.record)
        self.timing = self.rig.result(os.path.basename(self.daemon.dir))
        assert self.timing["max_us"] < STALL_US
        ids = {}
        for p, body in self.vhost.take_all(self.name, idle=0.2):
            for n in spoolfile.numbers_of(body):
                assert ids.setdefault(n, p.message_id) == p.message_id
        self.arrived = list(ids)
        new = [n for n in self.arrived if n < EARLIER]
        missing = set(range(TOTAL)) - set(new)
        assert not missing, f"{len(missing)} missing: {sorted(missing)[:5]}"
        assert len(self.arrived) - len(new) == recovered
        if is_ordered:
            assert self.arrived == sorted(new) if not recovered else \
                self.arrived[recovered:] == sorted(new)
        assert len(self.errors()) <= 6, f"a flood: {self.errors()}"

    def earlier(self):
        """A daemon that leaves BEFORE rows behind."""
        self.gate.shut()
        yield self.start(name="earlier", load={
            "Total": BEFORE, "First": EARLIER, "Rate": 0})
        yield until(lambda: self.daemon.log_lines("loadgen: dispatched"), 60,
                    "dispatched")
        self.daemon.stop()
        assert len(spoolfile.rows(self.file)) == BEFORE
        self.gate.open()

    def close(self):
        self.rig.close()
        self.gate.__exit__()
        if self.mounted:
            subprocess.run(["umount", str(self.spool)], check=False)


# --- the disk ---------------------------------------------------------------

def a_disk_that_is_full(case):
    """A small one, with the broker down, until somebody makes room."""
    if not case.mount("size=16m,mode=0700"):
        return "needs root and the right to mount"
    with open(case.spool / "filler", "wb") as f:
        f.write(bytes((16 << 20) - 300_000))
    case.gate.shut()
    yield case.start()
    yield case.complains("full.*make room")
    yield pause(2)
    os.unlink(case.spool / "filler")
    yield case.recovers()
    yield from case.finish()


def a_disk_that_is_read_only_at_the_start(case):
    if not case.mount("size=8m,mode=0700"):
        return "needs root and the right to mount"
    case.remount("ro")
    yield case.start()
    yield case.complains("[Rr]ead-only.*mount")
    yield pause(2)
    case.remount("rw")
    yield case.recovers()
    yield from case.finish()
    assert os.path.exists(case.file)


def spoilt(code, words):
    def a_disk(case):
        case.spool.mkdir()
        case.world = World(case.build, case.dir / "world", str(case.spool))
        case.gate.shut()
        yield case.start()
        yield pause(3)
        case.world.change(write_errno=code, sync_errno=code)
        yield case.complains(words)
        yield pause(3)
        case.gate.open()
        yield pause(3)
        case.gate.shut()
        case.world.change(write_errno=0, sync_errno=0)
        yield case.recovers()
        yield from case.finish()
    return a_disk


def a_disk_that_takes_seconds_to_sync(case):
    case.spool.mkdir()
    case.world = World(case.build, case.dir / "world", str(case.spool))
    yield case.start(SpoolSync="always")
    yield pause(2)
    case.world.change(sync_delay_ms=2000)
    yield pause(15)
    case.world.change(sync_delay_ms=0)
    yield from case.finish()


def a_directory_that_is_not_there(case):
    case.spool = case.dir / "not" / "there"
    case.file = str(case.spool / "x.spool")
    yield case.start()
    yield case.complains("[Nn]o such.*create")
    yield pause(2)
    case.spool.mkdir(parents=True)
    yield case.recovers()
    yield from case.finish()


def a_directory_that_vanishes(case):
    """With the broker down: what is accepted is in RAM or in a file that has no
    name any more."""
    case.gate.shut()
    yield case.start()
    yield until(lambda: spoolfile.size(case.file) > 0, 60, "it spools")
    yield pause(2)
    # At one blow: files that are made anew meanwhile would be in the way.
    shutil.rmtree(case.spool.rename(case.dir / "removed"))
    yield case.complains("removed.*made anew with all")
    yield until(lambda: os.path.exists(case.file), 60, "it is made anew")
    yield from case.finish()


# --- the file ---------------------------------------------------------------

def set_aside(case):
    """What was found under the name of the spool is kept under another one."""
    return [n for n in os.listdir(case.spool)
            if n.startswith("x.spool") and
            n not in ("x.spool", "x.spool-wal", "x.spool-shm")]


def a_file_of_garbage(case):
    case.spool.mkdir()
    with open(case.file, "wb") as f:
        f.write(random.Random(1).randbytes(100_000))
    yield case.start()
    yield case.complains("of no use.*kept as")
    yield from case.finish()
    assert set_aside(case) and spoolfile.rows(case.file) == []


def a_file_of_a_newer_version(case):
    yield from case.earlier()
    base = sqlite3.connect(case.file)
    base.execute("PRAGMA user_version=99")
    base.commit()
    base.close()
    yield case.start()
    yield case.complains("later version.*kept as")
    yield from case.finish()
    kept = str(case.spool / sorted(set_aside(case))[0])
    assert len(spoolfile.rows(kept)) == BEFORE, "it is kept as it was"


def a_file_cut_in_half(case):
    yield from case.earlier()
    os.truncate(case.file, os.path.getsize(case.file) // 2)
    yield case.start()
    yield case.complains("of no use.*kept as")
    yield until(lambda: case.daemon.log_lines("loadgen: dispatched"), 90, "sent")
    yield until(case.is_idle, 60, lambda: f"idle: {case.series()}")
    earlier = [n for p, body in case.vhost.take_all(case.name, idle=0.2)
               for n in spoolfile.numbers_of(body)]
    assert set(range(TOTAL)) <= set(earlier)
    books.check(case.daemon.record)


def a_file_with_a_flipped_byte_in_the_middle(case):
    """A bit of a body cannot be seen; a bit of the tree must not hurt."""
    yield from case.earlier()
    with open(case.file, "r+b") as f:
        page = os.path.getsize(case.file) // 4096 // 2
        f.seek(page * 4096)
        f.write(b"\xff" * 8)  # the page's type and its cells' count
    yield case.start()
    yield case.complains("of no use.*kept as")
    yield until(lambda: case.daemon.log_lines("loadgen: dispatched"), 90, "sent")
    yield until(case.is_idle, 60, lambda: f"idle: {case.series()}")
    numbers = [n for p, body in case.vhost.take_all(case.name, idle=0.2)
               for n in spoolfile.numbers_of(body)]
    assert set(range(TOTAL)) <= set(numbers)
    books.check(case.daemon.record)


def a_symbolic_link_in_the_place_of_the_file(case):
    case.spool.mkdir()
    target = case.dir / "precious"
    target.write_bytes(b"precious")
    os.symlink(target, case.file)
    yield case.start()
    yield case.complains("symbolic link.*move it away")
    yield pause(2)
    assert target.read_bytes() == b"precious"
    os.unlink(case.file)
    yield case.recovers()
    yield from case.finish()
    assert target.read_bytes() == b"precious"
    assert os.stat(case.file).st_mode & 0o777 == 0o600


def a_file_that_another_daemon_holds(case):
    """Which then ends, and leaves what it has."""
    case.gate.shut()
    yield case.start(name="first", load={
        "Total": BEFORE, "First": EARLIER, "Rate": 0})
    yield until(lambda: case.daemon.log_lines("loadgen: dispatched"), 60,
                "dispatched")
    first = case.daemon
    yield case.start()
    yield case.complains("another process.*end that")
    yield pause(2)
    first.stop()
    yield case.recovers()
    # the earlier rows were not known yet when newer values were accepted
    yield from case.finish(recovered=BEFORE, is_ordered=False)


# --- the clock --------------------------------------------------------------

def a_clock_that_jumps_back_an_hour(case):
    """Nothing expires, nothing waits for the hour to come again. collectd's own
    reading does, so that the reports pause until the clock is right."""
    case.spool.mkdir()
    case.world = World(case.build, case.dir / "world")
    yield case.start(MessageTTL=300, SpoolMaxAge=300)
    yield pause(3)
    case.world.change(wall_offset_ms=-3_600_000)
    yield pause(2)
    before = case.vhost.ready(case.name)
    yield pause(3)
    yield until(lambda: case.vhost.ready(case.name) > before, 20,
                "values flow all the same")
    case.gate.shut()
    yield pause(4)
    case.gate.open()
    yield pause(4)
    case.world.change(wall_offset_ms=0)
    yield from case.finish()
    assert case.series()["total_operations-expired"] == 0


def a_disk_that_the_spool_itself_fills(case):
    """Deleting needs room in the log, and there is none: the file is begun anew
    once all that is in it has been delivered."""
    if not case.mount("size=1m,mode=0700"):
        return "needs root and the right to mount"
    case.gate.shut()
    yield case.start()
    yield case.complains("full.*make room")
    case.gate.open()
    yield case.recovers()
    yield from case.finish()


CASES = {f.__name__: f for f in (
    a_disk_that_is_full, a_disk_that_the_spool_itself_fills, a_disk_that_is_read_only_at_the_start,
    a_disk_that_takes_seconds_to_sync, a_directory_that_is_not_there,
    a_directory_that_vanishes, a_file_of_garbage, a_file_of_a_newer_version,
    a_file_cut_in_half, a_file_with_a_flipped_byte_in_the_middle,
    a_symbolic_link_in_the_place_of_the_file, a_file_that_another_daemon_holds,
    a_clock_that_jumps_back_an_hour)} | {
    "a_disk_with_errors": spoilt("EIO", "I/O error.*kernel's log"),
    "a_disk_that_becomes_read_only": spoilt("EROFS", "I/O error.*kernel's log"),
    "a_disk_that_becomes_full": spoilt("ENOSPC", "full|[Nn]o space.*make room")}


def noting_skips(case, play):
    """What a case returns is why it could not be played."""
    case.skipped = yield from play(case)


@pytest.fixture(scope="module")
def played(broker, built, build, tmp_path_factory, request):
    """All the cases that were asked for, played: {name: (case, failure)}."""
    wanted = [n for n in CASES if any(
        f"[{n}]" in item.name for item in request.session.items)]
    with broker.vhost("test/disk") as vhost:
        cases = {n: Case(n, broker, vhost, built, build,
                         tmp_path_factory.mktemp("disk")) for n in wanted}
        try:
            failures = run({n: noting_skips(c, CASES[n])
                            for n, c in cases.items()})
        finally:
            for c in cases.values():
                c.close()
    return {n: (c, failures[n]) for n, c in cases.items()}


@pytest.mark.parametrize("name", CASES)
def test_trouble_is_said_survived_and_over(played, name, request, figure):
    case, failure = played[name]
    request.node.rig = case.rig
    if failure is not None:
        raise failure
    if case.skipped:
        pytest.skip(case.skipped)
    if hasattr(case, "timing"):
        figure(f"{name.replace('_', ' ')}: callback p99 "
               f"{case.timing['p99_us']:.0f}, max {case.timing['max_us']:.0f} us;"
               f" {len(case.errors())} errors in the log")
