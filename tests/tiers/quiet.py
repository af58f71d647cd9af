#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Ten minutes in which nothing happens: a broker, a daemon that publishes with a
spool, and one that consumes and monitors. They have to say nothing after their
start, and must not grow.
"""

import argparse
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from rig import modules as warren  # noqa: E402
from rig.broker import Broker  # noqa: E402
from rig.collectd import Daemon, Record, collect_modules, plugin  # noqa: E402
from rig.waiting import wait_for  # noqa: E402

GROWTH_KB = 1024
SETTLE_PART = 0.2 # of the time: caches fill, the monitor learns


def sample(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        status = f.read()
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return {"rss_kb": int(re.search(r"^VmRSS:\s*(\d+)", status, re.M).group(1)),
            "threads": int(re.search(r"^Threads:\s*(\d+)", status, re.M).group(1)),
            "fds": len(os.listdir(f"/proc/{pid}/fd")),
            "cpu_s": (int(fields[11]) + int(fields[12]))
                     / os.sysconf("SC_CLK_TCK")}


def daemons(work, build, broker):
    """Values of the first one's own interval go out, come back in the second,
    and are written. Two, because collectd takes no value twice; one write thread
    in the second, because several of them overtake each other when a message
    brings two values of a series, and collectd complains of the older one."""
    vhost = broker.vhost("quiet")
    vhost.exchange("metrics", "topic")
    modules = collect_modules(build, os.path.join(work, "modules"))
    record = os.path.join(work, "record")
    spool = os.path.join(work, "spool")
    os.mkdir(spool, 0o700)
    a = Daemon(os.path.join(work, "a"), modules,
               ["load", "memory", "rabbitmq_publish"],
               [warren.publish(warren.publish_block(
                   "x", broker, vhost.name, Exchange="metrics",
                   RoutingKey="quiet", BatchValues=50, SpoolDir=spool))],
               interval=1.0, write_threads=5, host="a.example.org")
    b = Daemon(os.path.join(work, "b"), modules,
               ["sink", "rabbitmq_consume", "rabbitmq_monitor"],
               [plugin("sink", File=record),
                warren.consume(warren.subscribe_block(
                    "x", broker, vhost.name, Exchange="metrics", RoutingKey="#",
                    Queue="all")),
                warren.monitor(warren.cluster_block("x", broker))],
               interval=1.0, write_threads=1, host="b.example.org")
    return {"publisher": a, "consumer and monitor": b}, Record(record)


def settled(record):
    """All three work: connected both ways, the broker looked at."""
    series = record.series()
    return (series.get("rabbitmq_publish-x/bool-connected") == 1
            and series.get("rabbitmq_consume-x/bool-connected") == 1
            and series.get("rabbitmq_monitor-x/bool-reachable") == 1
            and series.get("rabbitmq_consume-x/total_values-dispatched", 0) > 0)


def watch(running, seconds):
    """{name: [(second, sample)]}, about a hundred of each."""
    began = time.monotonic()
    samples = {name: [] for name in running}
    while (elapsed := time.monotonic() - began) < seconds:
        for name, d in running.items():
            samples[name].append((round(elapsed, 1), sample(d.process.pid)))
        time.sleep(max(0.5, seconds / 100))
    return samples


def flat(samples, seconds, field, allowed):
    """Whether the end is no higher than the time after the settling, and the
    two figures."""
    early = [s[field] for t, s in samples
             if SETTLE_PART * seconds <= t <= 2 * SETTLE_PART * seconds]
    late = [s[field] for t, s in samples if t >= (1 - SETTLE_PART) * seconds]
    return max(late) <= max(early) + allowed, max(early), max(late)


def judge(name, new, samples, seconds):
    """Prints a line per check; returns whether all are fine, and the figures."""
    checks = [(not new, "nothing is logged after the start", f"{len(new)} lines")]
    figures = {"log_lines": len(new), "seconds": samples[-1][0]}
    for field, allowed in (("rss_kb", GROWTH_KB), ("fds", 0), ("threads", 0)):
        fine, early, late = flat(samples, seconds, field, allowed)
        checks.append((fine, f"{field} does not grow", f"{early} -> {late}"))
        figures[field] = [early, late]
    for fine, what, figure in checks:
        print(f"{'ok     ' if fine else 'FAILED '} {name}: {what}, {figure}")
    for line in new[:5]:
        print(f"        {line}")
    figures["cpu_s"] = round(samples[-1][1]["cpu_s"] - samples[0][1]["cpu_s"], 2)
    figures["samples"] = samples[::10]
    print(f"quiet: {name}: {figures['cpu_s']} s of processor time in "
          f"{samples[-1][0]:.0f} s")
    return all(c[0] for c in checks), figures


def log_lines(d, after=0):
    return [line for line in d.log()[after:].split("\n") if line.strip()]


def run(work, options):
    with Broker(os.path.join(work, "broker")) as broker:
        running, record = daemons(work, options.build, broker)
        try:
            for d in reversed(running.values()):
                d.start()
            wait_for(lambda: settled(record), 60, "all three modules work")
            time.sleep(3)
            before = {name: len(d.log()) for name, d in running.items()}
            samples = watch(running, options.seconds)
            fine, figures = True, {}
            for name, d in running.items():
                good, figures[name] = judge(name, log_lines(d, before[name]),
                                            samples[name], options.seconds)
                fine = fine and good
        finally:
            for d in running.values():
                d.__exit__()
    with open(options.figures, "w", encoding="utf-8") as f:
        json.dump(figures, f)
    return 0 if fine else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--figures", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    work = tempfile.mkdtemp(prefix="warren-quiet.")
    try:
        return run(work, options)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
