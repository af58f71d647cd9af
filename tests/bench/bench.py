#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Warren's speed, as ratios taken in one run: a private broker, the real daemon,
and contenders in turn. Prints one table and writes tests/results/bench.json.
"""

import argparse
import dataclasses
import os
import random
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

from lab import Lab, Wrong  # noqa: E402
from listening import http  # noqa: E402
from monitors import monitor  # noqa: E402
from rig import results  # noqa: E402
from rig.broker import Broker  # noqa: E402
from rig.waiting import NotInTime  # noqa: E402
from rows import GROUPS, Row, Share, progress  # noqa: E402

GROUPS = GROUPS | {"http": http, "monitor": monitor}


@dataclasses.dataclass
class Plan:
    """How much of everything."""
    pairs: int = 5
    window: int = 256          # ConfirmWindow's default
    one_value: int = 100_000   # values of a run
    batches: int = 2_000_000
    spool: int = 2_000_000
    flowing: int = 50_000      # new ones while it drains
    memory: int = 18_000_000   # an hour of 5,000 a second
    memory_spool: int = 1 << 30
    drained: int = 1_000_000   # values that lie in a queue
    prefetch: int = 256        # PrefetchCount's default
    ack_batch: int = 64        # AckBatch's

    @classmethod
    def quick(cls):
        return cls(pairs=3, one_value=20_000, batches=300_000, spool=400_000,
                   flowing=20_000, memory=1_500_000, memory_spool=64 << 20,
                   drained=200_000)

    def acks(self):
        return {"PrefetchCount": self.prefetch, "AckBatch": self.ack_batch}

    def bare_acks(self):
        return {"Prefetch": self.prefetch, "AckBatch": self.ack_batch}


def table(rows):
    """The lines of the one table."""
    lines, group = [], None
    for row in rows:
        if row.group != group:
            group = row.group
            lines += ["", group, "  " + "-" * 89]
        line = (share_line if isinstance(row, Share) else
                ratio_line if isinstance(row, Row) else limit_line)
        lines.append(line(row))
    return lines


def share_line(r):
    f = r.figures()
    target = "" if r.target is None else f"<= {r.target:.2f}"
    return (f"  {r.name:<38}{f['ours']:>8,.0f} of {f['reference']:>8,.0f} "
            f"{r.unit:<5} {r.ratio:7.3f} ({f['spread'][0]:.3f}.."
            f"{f['spread'][1]:.3f})  {target:<8} {r.verdict()}").rstrip()


def ratio_line(r):
    f = r.figures()
    target = "" if r.target is None else f">= {r.target:.2f}"
    return (f"  {r.name:<20}{f['ours']:>10,.0f}  of {r.against:<21}"
            f"{f['reference']:>10,.0f}  {r.ratio:5.2f} "
            f"({f['spread'][0]:.2f}..{f['spread'][1]:.2f})  {target:<11}"
            f"{r.verdict()}")


def limit_line(r):
    limit = "" if r.limit is None else f"<= {r.limit:,g}"
    spread = f"({min(r.values):,.0f}..{max(r.values):,.0f})" if r.values else ""
    return (f"  {r.name:<55}{r.value:>10,.0f} {r.unit:<6}{spread:<15} {limit:<11}"
            f"{r.verdict()}").rstrip()


def heading(plan, load):
    m, v = results.machine(), results.versions()
    return [f"Speed of Warren {results.commit()}, medians of {plan.pairs} rounds "
            "(lowest..highest)",
            f"  {m['cores']} x {m['cpu']}, {m['memory_mb']} MB, {m['system']}, "
            f"Linux {m['kernel']}",
            f"  RabbitMQ {v['broker']}, collectd {v['collectd']}, rabbitmq-c "
            f"{v['rabbitmq-c']}; load average before {load}"]


def measure(names, plan, build, work):
    rows, raw, wrong = [], {}, []
    with Broker(os.path.join(work, "broker")) as broker:
        lab = Lab(broker, build, work)
        for name in names:
            began = time.monotonic()
            progress(f"{name} ...")
            try:
                got, raw[name] = GROUPS[name](lab, plan)
                rows += got
            except (Wrong, NotInTime) as e:
                wrong.append(f"{name}: {e}")
                progress(f"{name} FAILED: {e}")
            progress(f"{name}: {time.monotonic() - began:.0f} s")
    return rows, raw, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true", help="small figures")
    parser.add_argument("--pairs", type=int)
    parser.add_argument("--window", type=int)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("groups", nargs="*", metavar="GROUP",
                        help=" ".join(GROUPS))
    options = parser.parse_args()
    if set(options.groups) - set(GROUPS):
        parser.error(f"groups are: {' '.join(GROUPS)}")
    plan = Plan.quick() if options.quick else Plan()
    plan.pairs = options.pairs or plan.pairs
    plan.window = options.window or plan.window
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    seed = random.SystemRandom().getrandbits(32)
    random.seed(seed)
    load = results.load_average()
    work = tempfile.mkdtemp(prefix="warren-bench.")
    began = time.monotonic()
    try:
        rows, raw, wrong = measure(options.groups or list(GROUPS), plan,
                                   options.build, work)
    finally:
        if options.keep:
            print(f"Kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    print("\n".join(heading(plan, load) + table(rows)))
    for line in wrong:
        print(f"FAILED: {line}")
    missed = [r for r in rows if r.verdict() == "MISSED"]
    # A part never takes the place of the whole.
    path = results.write("-".join(["bench", *options.groups]), {
        "seed": seed, "plan": dataclasses.asdict(plan), "quick": options.quick,
        "groups": options.groups or list(GROUPS),
        "load_average": [load, results.load_average()],
        "seconds": round(time.monotonic() - began),
        "rows": [r.figures() for r in rows], "failed": wrong, "runs": raw})
    judged = [r for r in rows if r.verdict()]
    print(f"\nFigures of every run: {path}")
    print(f"bench: {len(judged) - len(missed)} of {len(judged)} targets reached, "
          f"{len(missed)} missed, {len(wrong)} groups failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
