# SPDX-License-Identifier: MIT
"""A queue that is full is drained into a daemon. What is measured is the rate at
which values get through the last writer, between the first tenth and the last,
and the processor time that the daemon takes for it: null.c, which is loaded into
every contender's daemon, reads both clocks itself."""

import json
import os

from lab import QUEUE, WRITE_THREADS, Wrong, account, cpu_s, peak_rss_kb
from rig.collectd import Daemon
from rig.waiting import wait_for


def reached(daemon, path, timeout=300):
    """What null says once it has seen all of its values."""
    def read():
        if not daemon.is_running():
            raise Wrong(f"collectd ended:\n{daemon.log()[-3000:]}")
        try:
            with open(path, encoding="ascii") as f:
                return json.load(f)
        except FileNotFoundError:
            return None
    return wait_for(read, timeout, "null's result", pause=0.05)


def null(lab, total, **loadgen):
    """The limit of the daemon: values made in it, counted by the same writer."""
    path = os.path.join(lab.dir, "null.json")
    remove(path)
    with lab.daemon(lab.null(Total=total, Result=path), total,
                    **loadgen).launch() as d:
        got = reached(d, path)
        return got | {"rss_kb": peak_rss_kb(d)}


def drain(lab, consumer, form, total, batch, queues=(QUEUE,)):
    """Fills the queues, each with its part of total, and lets consumer drain
    them. Every value must come once and every message must be settled."""
    messages = sum(
        lab.fill(form, total // len(queues), batch, queue,
                 f"loadgen{i}" if i else "loadgen")["messages"]
        for i, queue in enumerate(queues))
    module, configuration = consumer
    where = lab.new_place(module)
    path = f"{where}/null.json"
    d = Daemon(where, lab.modules, ["null", module],
               [lab.null(Total=total, Result=path)[1], configuration],
               interval=10.0, write_threads=WRITE_THREADS)
    broker_cpu = cpu_s(lab.broker.pid)
    with d.launch():
        figures = reached(d, path)
        figures["rss_kb"] = peak_rss_kb(d)
        d.stop()
    figures["broker_cpu_us"] = (cpu_s(lab.broker.pid) - broker_cpu) / total * 1e6
    figures["account"] = account(d, module)
    check(lab, d, figures, total, messages, queues)
    return figures


def check(lab, daemon, figures, total, messages, queues):
    written = daemon.log_lines(rf"null: took {total} values")
    if not written:
        raise Wrong(f"not {total} values: {daemon.log_lines('null: took')}")
    left = {queue: lab.vhost.ready(queue) for queue in queues}
    if any(left.values()):
        raise Wrong(f"not everything was settled: {left} messages left by "
                    f"{daemon.dir}: {daemon.log_lines('ended')}")
    books = figures["account"]
    if books and (books["delivered"], books["acknowledged"]) != (messages,
                                                                  messages):
        raise Wrong(f"{messages} messages, but the consumer's log: {books}")


def remove(path):
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
