# SPDX-License-Identifier: MIT
"""How much a consuming daemon has taken and how much memory it needs for that,
seen from outside: the queue's length, the sink's file, /proc."""

import collections
import time

Sample = collections.namedtuple("Sample", "time rss_kib taken written written_after")


def rss_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return next(int(line.split()[1]) for line in f
                    if line.startswith("VmRSS:"))


class Lines:
    """Counts the lines of a file that grows."""

    def __init__(self, path):
        self._path, self._offset, self.count = path, 0, 0

    def refresh(self):
        try:
            with open(self._path, "rb") as f:
                f.seek(self._offset)
                while part := f.read(1 << 20):
                    self.count += part.count(b"\n")
                self._offset = f.tell()
        except FileNotFoundError:
            pass
        return self.count


class Watch:
    """Samples of one daemon that consumes from one queue with `messages` in it;
    nobody else does. Without requeued messages what has left the queue has been
    taken by the daemon."""

    def __init__(self, daemon, channel, queue, messages, per_message):
        self.daemon, self.samples = daemon, []
        self._channel, self._queue = channel, queue
        self._messages, self._per_message = messages, per_message
        self._lines = Lines(daemon.path("record"))
        self.idle_rss_kib = None

    def sample(self):
        """The file before and after the queue: on a busy machine some time
        passes between them."""
        written = self._lines.refresh()
        ready = self._channel.queue_declare(
            self._queue, passive=True).method.message_count
        self.samples.append(Sample(
            time.monotonic(), rss_kib(self.daemon.process.pid),
            (self._messages - ready) * self._per_message, written,
            self._lines.refresh()))

    def waiting(self):
        """Values taken and not written, at least, sample by sample."""
        return [s.taken - s.written_after for s in self.samples]

    def growth_kib(self):
        """Memory at most since the daemon had taken nothing."""
        return max(s.rss_kib for s in self.samples) - self.idle_rss_kib

    def drift_kib(self):
        """By how much memory grew from the first half to the second."""
        half = len(self.samples) // 2
        return (max(s.rss_kib for s in self.samples[half:])
                - max(s.rss_kib for s in self.samples[:half]))

    def pauses(self, least_s):
        """Of each pause of at least so long in which no message came: between
        which two numbers of values were waiting when it ended."""
        found, since = [], None
        for before, after in zip(self.samples, self.samples[1:]):
            if after.taken > before.taken:
                if since is not None and before.time - since >= least_s:
                    found.append((before.taken - after.written,
                                  before.taken - before.written))
                since = after.time
        return found
