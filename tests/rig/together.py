# SPDX-License-Identifier: MIT
"""Cases that mostly wait, run at the same time in one thread. A case is a
generator: what it yields, (predicate, seconds, what), has to become true in
time, and then it goes on."""

import time

from .waiting import NotInTime


def until(predicate, patience, what):
    return predicate, patience, what


def pause(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end, seconds + 60, "time passes"


class _Case:
    def __init__(self, generator):
        self._generator = generator
        self._predicate, self._deadline, self._what = lambda: True, 0, "start"
        self.is_over = False
        self.failure = None

    def step(self):
        """Goes on as far as it can without waiting."""
        try:
            while not self.is_over and self._predicate():
                self._predicate, patience, self._what = next(self._generator)
                self._deadline = time.monotonic() + patience
                return
            if not self.is_over and time.monotonic() > self._deadline:
                what = self._what() if callable(self._what) else self._what
                self._generator.throw(NotInTime(f"not in time: {what}"))
        except StopIteration:
            self.is_over = True
        except Exception as e:  # pylint: disable=broad-except
            self.is_over, self.failure = True, e


def run(cases, tick=0.1):
    """cases: {name: generator}. Returns {name: None or what it failed with}."""
    running = {name: _Case(g) for name, g in cases.items()}
    while not all(c.is_over for c in running.values()):
        for c in running.values():
            c.step()
        time.sleep(tick)
    return {name: c.failure for name, c in running.items()}
