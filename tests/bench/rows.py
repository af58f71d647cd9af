# SPDX-License-Identifier: MIT
"""What is measured, and what it is held against. A group runs its contenders in
turn, round after round, each second round backwards; a row's ratio is taken
within a round, and the median of the rounds is what counts."""

import dataclasses
import os
import re
import statistics
import subprocess
import sys

from drains import drain, null
from lab import QUEUE
from outages import BATCH, idle_rss_kb, outage


@dataclasses.dataclass
class Row:
    """ours / reference, round by round. target None: for information."""
    group: str
    name: str
    against: str
    target: float | None
    ours: list
    reference: list
    unit: str = "values/s"

    def __post_init__(self):
        self.ratios = [a / b for a, b in zip(self.ours, self.reference)]
        self.ratio = statistics.median(self.ratios)

    def verdict(self):
        if self.target is None:
            return ""
        return "ok" if self.ratio >= self.target else "MISSED"

    def figures(self):
        return {"group": self.group, "what": self.name, "against": self.against,
                "unit": self.unit, "target": self.target,
                "ours": statistics.median(self.ours),
                "reference": statistics.median(self.reference),
                "ratio": self.ratio, "ratios": self.ratios,
                "spread": [min(self.ratios), max(self.ratios)],
                "verdict": self.verdict(), "all_ours": self.ours,
                "all_reference": self.reference}


class Share(Row):
    """A part of the reference, which it should be at most."""

    def verdict(self):
        if self.target is None:
            return ""
        return "ok" if self.ratio <= self.target else "MISSED"


@dataclasses.dataclass
class Limit:
    """A figure that has a bound of its own; the lower the better."""
    group: str
    name: str
    unit: str
    value: float
    limit: float | None
    values: list

    def verdict(self):
        if self.limit is None:
            return ""
        return "ok" if self.value <= self.limit else "MISSED"

    def figures(self):
        return {"group": self.group, "what": self.name, "unit": self.unit,
                "value": self.value, "limit": self.limit,
                "verdict": self.verdict(), "values": self.values}


def progress(text):
    print(f"   {text}", file=sys.stderr, flush=True)


def rounds(contenders, pairs):
    """{name: [figures]}: every contender once a round, there and back again."""
    got = {name: [] for name in contenders}
    for i in range(pairs):
        order = list(contenders)
        for name in order if i % 2 == 0 else reversed(order):
            got[name].append(contenders[name]())
        progress(f"round {i + 1} of {pairs}: " + ", ".join(
            f"{name} {runs[-1]['rate']:,.0f}/s" for name, runs in got.items()))
    return got


def rates(runs):
    return [r["rate"] for r in runs]


def mean_body(figures):
    queue = figures["queue"]
    return round(queue["bytes"] / queue["messages"])


def raw_runs(got):
    return {name: [{k: v for k, v in r.items() if k != "queue"} for r in runs]
            for name, runs in got.items()}


# -- one value a message -----------------------------------------------------

def one_value(lab, plan):
    total, window = plan.one_value, plan.window
    ours = lab.warren(ConfirmWindow=window)
    body = mean_body(lab.run(ours, total // 4))  # warms the broker, too
    got = rounds({
        "rawlimit": lambda: lab.rawlimit(total, body, window),
        "bare": lambda: lab.run(lab.bare(total, body, window), total),
        "rabbitmq_publish": lambda: lab.run(ours, total),
        "bare, our properties": lambda: lab.run(
            lab.bare(total, body, window, properties=True), total),
        "amqp": lambda: lab.run(lab.stock(), total),
    }, plan.pairs)
    title = f"one value a message, confirmed, window {window}, {body} bytes"

    def row(against, target):
        return Row(title, "rabbitmq_publish", against, target,
                   rates(got["rabbitmq_publish"]), rates(got[against]))
    return [row("bare", 0.9), row("bare, our properties", None),
            row("rawlimit", 0.7), row("amqp", 1.0)], raw_runs(got)


# -- batches -----------------------------------------------------------------

def batches(lab, plan):
    total, window = plan.batches, plan.window
    ours = {form: lab.warren(ConfirmWindow=window, BatchValues=BATCH, Format=form)
            for form in ("Command", "JSON")}
    body = {form: mean_body(lab.run(w, total // 4, batch=BATCH))
            for form, w in ours.items()}

    def bare(form):
        return lambda: lab.run(
            lab.bare(total, body[form], window, BATCH), total, batch=BATCH)

    def publish(form):
        return lambda: lab.run(ours[form], total, batch=BATCH)
    got = rounds({"null": lambda: lab.run_null(total),
                  "bare, Command": bare("Command"),
                  "Command": publish("Command"), "bare, JSON": bare("JSON"),
                  "JSON": publish("JSON")}, plan.pairs)
    title = f"batches of {BATCH}, confirmed, window {window}, " + ", ".join(
        f"{form} {size:,} bytes" for form, size in body.items())

    def row(name, against, target):
        return Row(title, name, against, target, rates(got[name]),
                   rates(got[against]))
    return [row("Command", "bare, Command", 0.85), row("JSON", "bare, JSON", 0.7),
            row("Command", "null", 0.65), row("JSON", "null", 0.5),
            row("bare, Command", "null", None)], raw_runs(got)


# -- encoding ----------------------------------------------------------------

ENCODE_LIMIT_NS = {"Command": 1000, "JSON": 1500}


def encoding(lab, plan):
    runs = {}
    for _ in range(plan.pairs):
        text = subprocess.run([lab.program("codec_bench")], text=True,
                              stdout=subprocess.PIPE, check=True).stdout
        for name, ns in re.findall(r"^(\w+) +encode +(\d+) ns", text, re.M):
            runs.setdefault(name, []).append(int(ns))
    return [Limit("encoding, processor time a value list, one thread", name, "ns",
                  statistics.median(values), ENCODE_LIMIT_NS.get(name), values)
            for name, values in runs.items()], runs


def intake(lab, plan):
    """What five write threads get through the intake, against one."""
    runs = {}
    for _ in range(plan.pairs):
        text = subprocess.run([lab.program("intake_bench")], text=True,
                              stdout=subprocess.PIPE, check=True).stdout
        for form, threads, rate in re.findall(
                rf"^(\w+) +metrics +{BATCH} a message, (\d) threads: +(\d+) ",
                text, re.M):
            runs.setdefault(form, {}).setdefault(threads, []).append(int(rate))
    title = f"contention in the intake, one key, batches of {BATCH}, nothing else"
    return [Row(title, f"{form}, 5 threads", "1 thread", None, by["5"], by["1"])
            for form, by in runs.items()], runs


# -- the spool ---------------------------------------------------------------

def spool(lab, plan):
    got = rounds({
        "null": lambda: lab.run_null(plan.spool),
        "accepted": lambda: outage(lab, plan.spool, plan.flowing,
                                   SendQueueBytes="8MiB"),
    }, plan.pairs)
    title = (f"broker down, SpoolMode overflow, batches of {BATCH}; then it "
             "returns, and new values keep flowing")

    def row(name, ours, against, reference, target):
        return Row(title, name, against, target, ours, reference)
    accepted = rates(got["accepted"])
    stored = [r["stored_rate"] for r in got["accepted"]]
    drained = [r["drain_rate"] for r in got["accepted"]]
    dropped = [r["dropped"] for r in got["accepted"]]
    null = rates(got["null"])
    return [row("accepted", accepted, "null", null, 0.6),
            row("on the disk", stored, "null", null, None),
            row("drained", drained, "accepted", accepted, 1.0),
            Limit(title, "values dropped, because the disk stalled for longer "
                  "than 8 MiB", "", max(dropped), None, dropped)], raw_runs(got)


def memory(lab, plan):
    """An hour of outage at 5,000 values a second, in as little time as it
    takes: what is kept is bounded, and more than that is dropped and counted."""
    queue, spooled = 16 << 20, plan.memory_spool
    base = idle_rss_kb(lab)
    got = outage(  # little in collectd's own queue, which is not what is asked
        lab, plan.memory, 2000, ahead=1000,
        SendQueueBytes=queue, SpoolMaxBytes=spooled)
    title = (f"an outage of {plan.memory:,} values, SendQueueBytes "
             f"{queue >> 20} MiB, SpoolMaxBytes {spooled >> 20} MiB")
    mb = 1e6
    bound = base * 1024 + queue + 16 * mb
    return [Limit(title, "resident memory, peak; idle it is "
                  f"{base * 1024 / mb:.0f} MB", "MB",
                  got["rss_kb"] * 1024 / mb, round(bound / mb), []),
            Limit(title, "database and WAL, largest", "MB",
                  got["disk_bytes"] / mb, round(spooled / mb, 1), []),
            Limit(title, "messages dropped by the bound, of "
                  f"{got['account']['accepted']:,}", "", got["account"]["dropped"],
                  None, [])], {"idle_rss_kb": base, "outage": got}


# -- the consumer ------------------------------------------------------------

def processor_time(title, name, runs):
    ns = [r["cpu_us"] * 1000 for r in runs]
    return Limit(title, f"{name}: processor time of the daemon a value", "ns",
                 statistics.median(ns), None, ns)


def consume_batches(lab, plan):
    """Full queues into a daemon whose values nobody keeps; held against what
    that daemon takes from a generator."""
    total = plan.drained

    def ours(form):
        return lambda: drain(lab, lab.subscriber(**plan.acks()), form, total,
                             BATCH)

    def bare(has_tag):
        return lambda: drain(lab, lab.bare_consumer(
            BATCH, Tag=has_tag, **plan.bare_acks()), "Command", total, BATCH)
    got = rounds({"null": lambda: null(lab, total), "bare": bare(False),
                  "bare, tagged": bare(True), "Command": ours("Command"),
                  "JSON": ours("JSON")}, plan.pairs)
    title = (f"consumed, batches of {BATCH}, AckWhen written, prefetch "
             f"{plan.prefetch}, ack batch {plan.ack_batch}")

    def row(name, against, target):
        return Row(title, name, against, target, rates(got[name]),
                   rates(got[against]))
    return [row("Command", "null", 0.65), row("JSON", "null", 0.45),
            row("Command", "bare, tagged", None),
            row("JSON", "bare, tagged", None), row("bare", "null", None),
            row("bare, tagged", "null", None),
            *(processor_time(title, name, runs) for name, runs in got.items())
            ], raw_runs(got)


def consume_one(lab, plan):
    total = plan.one_value
    got = rounds({
        "rawlimit": lambda: lab.rawlimit_consume(
            plan.prefetch, plan.ack_batch, "Command", total, 1),
        "bare": lambda: drain(lab, lab.bare_consumer(1, **plan.bare_acks()),
                              "Command", total, 1),
        "rabbitmq_consume": lambda: drain(
            lab, lab.subscriber(**plan.acks()), "Command", total, 1),
    }, plan.pairs)
    title = (f"consumed, one value a message, AckWhen written, prefetch "
             f"{plan.prefetch}, ack batch {plan.ack_batch}")

    def row(against, target):
        return Row(title, "rabbitmq_consume", against, target,
                   rates(got["rabbitmq_consume"]), rates(got[against]))
    return [row("bare", 0.9), row("rawlimit", 0.65),
            *(processor_time(title, name, runs) for name, runs in got.items())
            ], raw_runs(got)


def consume_two(lab, plan):
    """Two Subscribe blocks with a queue each, against one with all of it. The
    queues hold different series, as those of a hash exchange would: of one
    series, collectd wants the values in their order."""
    total, cores = plan.drained, os.cpu_count()
    names = (QUEUE, f"{QUEUE}2")

    def ours(count, form, batch, values):
        queues = names[:count]
        return lambda: drain(lab, lab.subscriber(*queues, **plan.acks()), form,
                             values, batch, queues)
    got = rounds({f"{count}, {kind}": ours(count, form, batch, values)
                  for kind, form, batch, values in (
                      ("JSON", "JSON", BATCH, total),
                      ("one value", "Command", 1, plan.one_value))
                  for count in (1, 2)}, plan.pairs)
    title = (f"two Subscribe blocks against one, daemon and broker on {cores} "
             "cores")
    # One block of JSON and the broker fill two cores already.
    return [Row(title, f"2 blocks, {kind}", "1 block", target,
                rates(got[f"2, {kind}"]), rates(got[f"1, {kind}"]))
            for kind, target in (("JSON", None), ("one value", 1.4))
            ], raw_runs(got)


GROUPS = {"one": one_value, "batches": batches, "encoding": encoding,
          "intake": intake, "spool": spool, "memory": memory,
          "consume-one": consume_one, "consume-batches": consume_batches,
          "consume-two": consume_two}
