# SPDX-License-Identifier: MIT
"""Waiting for something to become true, by polling and never by hoping."""

import time


class NotInTime(AssertionError):
    """Something that was waited for did not happen."""


def wait_for(predicate, timeout, what, pause=0.05):
    """Returns the first true answer of predicate(); raises NotInTime."""
    end = time.monotonic() + timeout
    while True:
        answer = predicate()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise NotInTime(f"not within {timeout:g} s: {what}")
        time.sleep(pause)
