# SPDX-License-Identifier: MIT
"""Comparing what was sent with what was received."""

# collectd prints times through a double, which near today is good to 0.2 us,
# and then rounds to milliseconds: the same time may come out 1 ms apart.
TIME_TOLERANCE_S = 0.0015


def unmatched(sent, got):
    """Both are collections of (series, time, value). Returns the set of those
    sent that were not received and of those received that were never sent."""
    lost, foreign = set(sent) - set(got), set(got) - set(sent)
    for key in list(lost):
        series, when, value = key
        partner = next(
            (f for f in foreign if f[0] == series and f[2] == value
             and abs(float(f[1]) - float(when)) <= TIME_TOLERANCE_S), None)
        if partner:
            lost.remove(key)
            foreign.remove(partner)
    return lost, foreign


def rounded(text):
    """A value as text, without the last digits that a format may not have."""
    return ":".join(f"{float(x):.12g}" for x in text.split(":"))
