# SPDX-License-Identifier: MIT
"""Consumers that are ended again and again under load, and the sets that tell
what their acknowledgements promised.

Three witnesses, none of which is the consumer: the load knows what was sent,
the csv files of each life what was written, the queue and its dead letters what
is left. collectd's csv plugin opens, appends and closes for every value list: a
line that its callback has returned for survives SIGKILL. One write thread,
because csv creates a file without asking again whether another thread did: with
several, what the sink wrote down stands for the csv files, a write(2) a line.
"""

import collections
import random
import re
import time

from . import load as loads
from . import modules as warren
from .collectd import plugin
from .csvfiles import CsvFiles
from .waiting import wait_for

ENDED = (r"ended: (\d+) messages delivered, .*?(\d+) of them again; "
         r"(\d+) acknowledged, \d+ of them as duplicates, (\d+) requeued, "
         r"(\d+) rejected")

Life = collections.namedtuple("Life", "how seconds lines acked stop_s")


def csv_consumer(rig, at, vhost, name="B", load=(), behind=(), blocks=(),
                 sink=None, how=None, host=loads.HOST, **options):
    """A collectd whose consumer "x" takes from the queue "q" and whose csv
    plugin writes down what arrives; its `csv` reads that of `host`. Without
    series of its own, on which a slow writer's time would be spent. Before and
    `behind` ours other modules may be loaded."""
    where = str(rig.dir / name / "csv")
    how = how or {}
    has_csv = how.get("write_threads", 1) == 1
    options = {"Queue": "q", "RetryDelay": 0.1, "RetryDelayMax": 0.5,
               "ReportStats": False} | options
    made = rig.daemon(
        name,
        [*load, *(["csv"] if has_csv else []), "rabbitmq_consume", *behind],
        *([plugin("csv", DataDir=where, StoreRates=False)] if has_csv else []),
        *blocks,
        *([plugin("sink", **sink)] if sink else []),
        warren.consume(warren.subscribe_block("x", at, vhost.name, **options)),
        **how)
    made.csv = CsvFiles(where, host) if has_csv else None
    return made


def lines_of(daemon):
    """{series: its numbers in the order of the file}."""
    if daemon.csv is None:
        found = collections.defaultdict(list)
        for _, name, value in daemon.record.refresh().values:
            if name.startswith(f"{loads.PLUGIN}-"):
                found[name].append(int(float(value)))
        return found
    return {series: [int(float(v)) for _, v in lines]
            for series, lines in daemon.csv.lines().items()}


def flat(lines):
    """Every number in lines_of(), as often as it stands there."""
    return collections.Counter(n for numbers in lines.values() for n in numbers)


class Campaign:
    """Lives on one queue "q" with a dead-letter queue "dead", under a load."""

    def __init__(self, rig, broker, vhost, seed, per_message, threads=1,
                 **options):
        self.random = random.Random(seed)
        self.lives = []
        self.rest, self.dead = [], []  # numbers, at the end
        self._rig, self._broker, self._vhost = rig, broker, vhost
        self._options, self._threads = options, threads
        vhost.exchange("dlx", "fanout")
        vhost.queue("dead")
        vhost.bind("dlx", "dead", "")
        self.load = loads.Load(vhost, "q", per_message)
        self._declare()

    def _declare(self):
        """By a first life, with what the options say of the queue."""
        daemon = self._daemon().start()
        wait_for(lambda: self._vhost.consumers("q") == 1, 60,
                 "the queue is declared")
        self._end(daemon, "SIGTERM", 0)

    def _daemon(self, delay=0):
        """`delay` makes every write take that long."""
        return csv_consumer(
            self._rig, self._broker, self._vhost, f"life-{len(self.lives)}",
            sink={"Delay": delay}, how={"write_threads": self._threads},
            DeadLetterExchange="dlx", **self._options)

    def live(self, how, delay=0, must_write=False, longest=0.9):
        """One life: begins with the queue as it is, and ends by `how`, SIGKILL
        or SIGTERM, at a random moment; with must_write not before it has
        written something."""
        daemon = self._daemon(delay).start()
        if must_write:
            wait_for(lambda: flat(lines_of(daemon)), 60, "it writes")
        seconds = self.random.uniform(0, longest)
        time.sleep(seconds)
        return self._end(daemon, how, seconds)

    def _end(self, daemon, how, seconds):
        stop_s = 0
        if how == "SIGKILL":
            daemon.kill9()
        else:
            stop_s = daemon.stop()
        said = re.search(ENDED, daemon.log())
        self.lives.append(Life(how, seconds, lines_of(daemon),
                               int(said.group(3)) if said else None, stop_s))
        return daemon

    def finish(self, patience=60):
        """A last life takes what is left; then the queues are read."""
        daemon = self._daemon().start()
        try:
            wait_for(self._is_idle, patience, "the queue is empty", pause=0.2)
        finally:
            self._end(daemon, "SIGTERM", None)
        self.rest = self._numbers_in("q")
        self.dead = self._numbers_in("dead")

    def _is_idle(self):
        queue = self._vhost.queue_state("q")
        return not queue.get("messages", 1) and not self._vhost.ready("q")

    def _numbers_in(self, queue):
        return [n for _, body in self._vhost.take_all(queue)
                for n in loads.numbers_of(body)]

    # -- what must be true ---------------------------------------------------

    def written(self):
        """Every number that any life wrote, as often as it did."""
        total = collections.Counter()
        for life in self.lives:
            total += flat(life.lines)
        return total

    def lost(self):
        return sorted(set(self.load.sent) - set(self.written())
                      - set(self.rest) - set(self.dead))

    def lost_by_life(self):
        """How many of the lost ones each life had taken: what is missing between
        its last value and the next one's first, as both go in order. Needs
        lives that wrote something."""
        written = [set(flat(life.lines)) for life in self.lives]
        lost, counts = self.lost(), []
        for i in range(len(written)):
            older = max((max(w) for w in written[:i + 1] if w), default=-1)
            younger = min((min(w) for w in written[i + 1:] if w),
                          default=len(self.load.sent))
            counts.append(sum(older < n < younger for n in lost))
        assert sum(counts) == len(lost), "a hole in the middle"
        return counts

    def check_foreign(self):
        """Nothing was written that was not sent."""
        assert set(self.written()) <= set(self.load.sent)

    def check_order(self):
        """Within a series what is written for the first time is in order."""
        seen = collections.defaultdict(list)
        for life in self.lives:
            for series, numbers in life.lines.items():
                seen[series] += numbers
        for series, numbers in seen.items():
            first = list(dict.fromkeys(numbers))
            wrong = [(a, b) for a, b in zip(first, first[1:]) if a > b]
            assert not wrong, f"{series}: {len(wrong)} overtook, {wrong[:5]}"

    def duplicates(self, how):
        """Values written by a life that ended so and by a younger one."""
        found, younger = 0, set()
        for life in reversed(self.lives):
            mine = set(flat(life.lines))
            if life.how == how:
                found += len(mine & younger)
            younger |= mine
        return found

    def check_account(self):
        """What an orderly life said it had acknowledged is what it wrote."""
        for i, life in enumerate(self.lives):
            if life.how != "SIGTERM":
                continue
            numbers = flat(life.lines)
            whole = collections.Counter(n // self.load.per_message
                                        for n in numbers)
            assert set(whole.values()) <= {self.load.per_message}, f"life {i}"
            assert life.acked == len(whole), (
                f"life {i}: {life.acked} acknowledged, {len(whole)} written")

    def figures(self):
        written = self.written()
        ends = collections.Counter(life.how for life in self.lives[1:-1])
        return (", ".join(f"{n} {how}" for how, n in sorted(ends.items()))
                + f": {len(self.load.sent)} values sent, {len(self.lost())} lost, "
                f"{sum(written.values()) - len(written)} written again, "
                f"{len(self.dead)} dead-lettered")
