# SPDX-License-Identifier: MIT
"""What a web handler pays for one event: an HTTP request to warren publish
--listen of 64 clients at once (wrk), against publishing it itself."""

import json
import os
import shutil
import statistics
import subprocess
import time

from lab import QUEUE, Wrong
from rig.listen import Listener
from rig.waiting import wait_for
from rows import Limit, Row, progress

CLIENTS, BODY = 64, 200
SCRIPT = """\
wrk.method = "POST"
wrk.body = string.rep("x", %d)
wrk.headers["Content-Type"] = "application/json"
function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\\n{"requests": %%d, "seconds": %%f, "p50_ms": %%f, "p99_ms": %%f, "errors": %%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3,
    latency:percentile(99) / 1e3, e.status + e.connect + e.read + e.write + e.timeout))
end
"""


def wrk(lab, listener, target, seconds):
    """Requests a second, and how long the slowest in a hundred took."""
    lab.fresh_queue()
    script = os.path.join(lab.dir, "post.lua")
    with open(script, "w", encoding="ascii") as f:
        f.write(SCRIPT % BODY)
    text = subprocess.run(
        ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}s", "-s", script,
         f"http://{listener.address}{target}"], text=True, stdout=subprocess.PIPE,
        timeout=seconds + 60, check=True).stdout
    got = json.loads(text.splitlines()[-1])
    if got["errors"]:
        raise Wrong(f"{target}: {got['errors']} requests failed\n{text}")
    # wrk goes away while some are under way: they may arrive as well
    wait_for(lambda: lab.vhost.ready(QUEUE) >= got["requests"], 120,
             "what was answered is in the queue")
    return got | {"rate": got["requests"] / got["seconds"]}


def direct(lab, count, keeps):
    """One client with pika that waits for each confirm, over one connection or
    over one of its own for each message."""
    import pika
    lab.fresh_queue()
    times, channel = [], None
    began = time.monotonic()
    for _ in range(count):
        start = time.monotonic()
        if channel is None:
            connection = lab.vhost.connect()
            channel = connection.channel()
            channel.confirm_delivery()
        channel.basic_publish("", QUEUE, b"x" * BODY,
                              pika.BasicProperties(delivery_mode=2), mandatory=True)
        if not keeps:
            connection.close()
            channel = None
        times.append((time.monotonic() - start) * 1e3)
    rate = count / (time.monotonic() - began)
    if channel is not None:
        connection.close()
    return {"rate": rate, "p50_ms": statistics.median(times),
            "p99_ms": statistics.quantiles(times, n=100)[98]}


def http(lab, plan):
    if shutil.which("wrk") is None:
        raise Wrong("wrk is missing; on Debian: apt-get install wrk")
    seconds = 3 if plan.one_value < 100_000 else 10
    runs = {}
    with Listener(lab.build, lab.broker, lab.vhost, lab.dir,
                  spool_dir=os.path.join(lab.dir, "http-spool"), spool_mode="always",
                  send_queue_limit=1_000_000) as listener:
        target = f"/publish/amq.default/{QUEUE}"
        contenders = {
            "202, in the spool": lambda: wrk(lab, listener, target, seconds),
            "200, confirmed": lambda: wrk(lab, listener, f"{target}?wait=confirm",
                                          seconds),
            "rawlimit": lambda: lab.rawlimit(plan.one_value, BODY, CLIENTS),
            "pika, one connection": lambda: direct(lab, 500, keeps=True),
            "pika, a connection each": lambda: direct(lab, 50, keeps=False),
        }
        for i in range(plan.pairs):
            for name, run in contenders.items():
                runs.setdefault(name, []).append(run())
            progress(f"round {i + 1} of {plan.pairs}: " + ", ".join(
                f"{name} {r[-1]['rate']:,.0f}/s" for name, r in runs.items()))
    title = (f"warren publish --listen, {CLIENTS} clients of wrk, {BODY} bytes; "
             f"rawlimit: one connection, window {CLIENTS}")
    rates = {name: [r["rate"] for r in each] for name, each in runs.items()}
    rows = [Row(title, name, against, None, rates[name], rates[against], "messages/s")
            for name in ("202, in the spool", "200, confirmed")
            for against in ("rawlimit", "pika, one connection")]
    for name, each in runs.items():
        if "p99_ms" in each[0]:
            ms = [r["p99_ms"] for r in each]
            rows.append(Limit(title, f"{name}: p99 of a request", "ms",
                              statistics.median(ms), None, ms))
    return rows, runs
