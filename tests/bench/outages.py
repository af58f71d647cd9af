# SPDX-License-Identifier: MIT
"""One outage from its beginning to its end: the broker is away, values come as
fast as collectd brings them, all that does not fit into memory goes to disk; then
the broker returns while new values flow on, and everything has to be in the
queue, in order."""

import os
import threading
import time

from lab import AHEAD, Watch, Wrong, account, peak_rss_kb
from rig.gate import Gate

BATCH = 200
RATE = 5000        # values a second that come during the drain
DRAINED_S = 3.0    # nothing came for so long


class Disk(threading.Thread):
    """Watches how many bytes a directory takes."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self._path = path
        self._ended = threading.Event()
        self.largest = self.last = 0
        self.changed_at = time.monotonic()

    def run(self):
        while not self._ended.wait(0.02):
            size = self._size()
            if size != self.last:
                self.last, self.changed_at = size, time.monotonic()
                self.largest = max(self.largest, size)

    def _size(self):
        total = 0
        for entry in os.scandir(self._path):
            try:
                total += entry.stat().st_size
            except FileNotFoundError:
                pass
        return total

    def wait_still(self, still_s=0.5, timeout=120):
        """Nothing written for still_s; returns when the last byte was."""
        end = time.monotonic() + timeout
        while time.monotonic() - self.changed_at < still_s:
            if time.monotonic() > end:
                raise Wrong("the spool did not come to rest")
            time.sleep(0.02)
        return self.changed_at

    def stop(self):
        self._ended.set()
        self.join()


def idle_rss_kb(lab):
    """The daemon with our publisher and its spool, when nothing happens."""
    spool = os.path.join(lab.dir, f"spool-{time.monotonic_ns()}")
    os.mkdir(spool, 0o700)
    d = lab.daemon(lab.warren(BatchValues=BATCH, SpoolDir=spool), BATCH)
    lab.fresh_queue()
    with d.launch():
        lab.generated(d)
        time.sleep(1.5)
        return peak_rss_kb(d)


def outage(lab, total, flowing, ahead=AHEAD, **options):
    """total values while the broker is away, then `flowing` more while it is
    back. Returns figures, of which `dropped` is what the bounds cost; loss,
    disorder and books that do not balance raise."""
    lab.fresh_queue()
    with Gate(lab.broker.amqp_port, is_open=False) as gate:
        spool = os.path.join(lab.dir, f"spool-{time.monotonic_ns()}")
        os.mkdir(spool, 0o700)
        resume = f"{spool}.resume"
        d = lab.daemon(
            lab.warren(at=gate, BatchValues=BATCH, SpoolDir=spool,
                       RetryDelay=0.1, RetryDelayMax=0.2, **options),
            total + flowing, Burst=total, Rate=RATE, Resume=resume,
            Ahead=ahead)
        disk = Disk(spool)
        disk.start()
        watch = Watch(lab.broker, lab.vhost)
        try:
            with d.launch():
                seen = _follow(lab, d, gate, watch, disk, resume)
        finally:
            watch.close()
            disk.stop()
    books = account(d)
    queue = lab.read_queue(seen["curve"][-1][0])
    _check(books, queue, total + flowing)
    return _figures(seen, books, total) | {
        "disk_bytes": disk.largest, "account": books, "queue": queue,
        "rss_kb": seen["rss_kb"]}


def _follow(lab, d, gate, watch, disk, resume):
    d.wait_log("loadgen: the burst", timeout=600)
    stored_at = disk.wait_still()
    with open(resume, "w", encoding="ascii"):
        gate.open()
    _, began = watch.reach(1, 60)
    curve = watch.curve(1, began, DRAINED_S, 600)
    return {"stored_at": stored_at, "curve": curve,
            "took": lab.generated(d, 60), "rss_kb": peak_rss_kb(d)}


def _figures(seen, books, total):
    """Rates of what was accepted and came through; what a bound cost is not in
    them. All of the burst is older than what came later, so it has drained when
    so many messages are in the queue."""
    took, curve = seen["took"], seen["curve"]
    messages = total // BATCH - books["dropped"]
    kept = messages * BATCH
    first, began = curve[0]
    last, when = next(c for c in curve if c[0] >= messages)
    return {"rate": kept / (took["burst_written"] - took["begin"]),
            "stored_rate": kept / (seen["stored_at"] - took["begin"]),
            "drain_rate": (last - first) * BATCH / (when - began)
                          if last > first else 0.0,
            "dropped": books["dropped"] * BATCH}


def _check(books, queue, values):
    if queue["late_messages"]:
        raise Wrong(f"{queue['late_messages']} messages out of order")
    if books.get("confirmed") != queue["messages"]:
        raise Wrong(f"the queue held {queue['messages']} messages; {books}")
    if books["accepted"] != books["confirmed"] + books["dropped"]:
        raise Wrong(f"the books do not balance: {books}")
    if not books["dropped"] and queue["values"] != values:
        raise Wrong(f"{queue['values']} values arrived of {values}; {books}")
