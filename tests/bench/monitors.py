# SPDX-License-Identifier: MIT
"""What observing costs: the broker, against one GET /api/queues of the same
minute; us, for a poll; and collectd's reading thread, for a value.

The broker is one of its own with RabbitMQ's default statistics. Its management
plugin caches nothing: an answer of up to five times its own age would make a
second /api/queues look cheap. Many sizes in turn are served by a replay of what
such a broker says.
"""

import base64
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import time
import urllib.parse

from lab import Wrong, cpu_s
from rig import modules as warren
from rig.broker import Broker
from rig.collectd import Daemon, built_program, plugin
from rig.waiting import wait_for
from rig.web import Web
from rows import Limit, Row, Share, progress

FEW, MANY = 100, 10_000
SIZES = (1_000, 5_000, 10_000, 50_000)
READS = 6           # reports that are handed over in one run
MB = 1e6
BROKER_CONFIG = """\
vm_memory_high_watermark.absolute = 4GB
collect_statistics_interval = 5000
management.db_cache_multiplier = 0
management.tcp.idle_timeout = 600000
management.tcp.inactivity_timeout = 600000
management.tcp.request_timeout = 600000
"""


# -- a broker with queues ----------------------------------------------------

def queue_name(i):
    return f"orders.eu-{i % 7}.q{i:05}"


def declare(broker, first, last):
    """Queues by definitions, as an operator would; an hour apart from
    declaring them one by one."""
    status, answer = broker.api("POST", "definitions", {"queues": [
        {"name": queue_name(i), "vhost": "/", "durable": i % 2 == 0,
         "auto_delete": False, "arguments": {}}
        for i in range(first, last)]}, timeout=600)
    if status >= 300:
        raise Wrong(f"definitions: {status} {answer}")


class Traffic:
    """A connection that put messages into some of the queues and consumes from
    others, without an acknowledgement."""

    def __init__(self, broker, queues):
        import pika
        self._connection = pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", broker.amqp_port, "/",
            pika.PlainCredentials("guest", "guest"), heartbeat=0))
        channel = self._connection.channel()
        names = [queue_name(i) for i in range(queues)]
        for name in random.sample(names, queues // 10):
            for _ in range(random.randint(1, 20)):
                channel.basic_publish("", name, b"x" * 100)
        for name in random.sample(names, queues // 10):
            channel.basic_consume(name, lambda *_: None)

    def turn(self):
        self._connection.process_data_events(0)

    def close(self):
        self._connection.close()


def listed(broker):
    return broker.api("GET", "overview", timeout=60)[1]["object_totals"]["queues"]


def settled(broker, queues, traffic=None):
    """All are known, and all have been told of by the statistics."""
    wait_for(lambda: listed(broker) == queues, 120, f"{queues} queues")
    for _ in range(12):  # two turns of collect_statistics_interval
        time.sleep(1)
        if traffic is not None:
            traffic.turn()


# -- who asks ----------------------------------------------------------------

def http_get(url, path):
    """What the full list costs whoever asks for it; returns its bytes."""
    at = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname, at.port, timeout=600)
    login = base64.b64encode(b"guest:guest").decode()
    try:
        connection.request("GET", path, headers={"Authorization":
                                                 f"Basic {login}"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    if answer.status != 200:
        raise Wrong(f"{path}: {answer.status}")
    return body


def monitor_once(lab, url, *arguments):
    """One `warren monitor --once` to its end: what it took, and how many queues
    it reported."""
    path = os.path.join(lab.dir, "monitor.out")
    command = [lab.program("usage"), path, built_program(lab.build, "warren"),
               "monitor", "--once", "--output", "influx", "--url", url,
               "--user", "guest", "--interval", "60", "--timeout", "60",
               *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=True,
                          env=os.environ | {"WARREN_PASSWORD": "guest"})
    told = json.loads(done.stdout)
    if told["status"]:
        raise Wrong(f"warren monitor: {told['status']}: {done.stderr.decode()}")
    with open(path, encoding="utf-8") as out:
        text = out.read()
    return {"seconds": told["seconds"], "cpu_ms": told["cpu_ms"],
            "rss_mb": told["rss_kb"] * 1024 / MB,
            "queues": len(set(re.findall(r",queue=([^ ,]+)", text))),
            "bytes": scraped(text), "log": done.stderr.decode()}


def scraped(text):
    found = re.search(r"[ ,]bytes_scrape=([0-9.e+]+)", text)
    return float(found.group(1)) if found else None


# -- what the broker pays ----------------------------------------------------

def charged(broker, ask, times=1):
    """Seconds, and the broker's processor time. What it does anyway runs on
    meanwhile and is in both of a pair: where the machine is busy, requests take
    long and that is most of both, so the shares of the broker alone, in the
    title, say whether the ratio of processor time means anything."""
    time.sleep(0.2)
    cpu, began = cpu_s(broker.pid), time.monotonic()
    for _ in range(times):
        told = ask()
    return {"wall_ms": (time.monotonic() - began) / times * 1e3,
            "cpu_ms": (cpu_s(broker.pid) - cpu) / times * 1e3, "told": told}


def idle_share(broker, seconds=10):
    cpu = cpu_s(broker.pid)
    time.sleep(seconds)
    return (cpu_s(broker.pid) - cpu) / seconds


def scrapes(lab, broker):
    """{contender: (how often in a row, what it does)}: one tick of the
    broker's clock is 10 ms, which the cheap ones have to be many of."""
    metrics = ("--metrics-url", broker.metrics_url)
    every = ("--max-queues", str(MANY))

    def once(*arguments):
        return lambda: monitor_once(lab, broker.url, *arguments)
    return {
        "GET /api/queues": (1, lambda: len(http_get(broker.url, "/api/queues"))),
        "auto": (5, once(*metrics)),
        "auto, every queue": (5, once(*metrics, *every)),
        "management": (1, once("--source", "management")),
        "management, every queue": (1, once("--source", "management", *every)),
        "management, no queues": (5, once("--source", "management",
                                          "--max-queues", "0")),
    }


def what_it_takes_the_broker(lab, plan, broker, traffic):
    idle = [idle_share(broker)]
    got = {name: [] for name in scrapes(lab, broker)}
    for i in range(plan.pairs):
        order = list(scrapes(lab, broker).items())
        for name, (times, ask) in order if i % 2 == 0 else reversed(order):
            traffic.turn()
            got[name].append(charged(broker, ask, times))
        progress(f"round {i + 1} of {plan.pairs}: " + ", ".join(
            f"{name} {r[-1]['cpu_ms']:,.0f} ms" for name, r in got.items()))
    idle.append(idle_share(broker))
    title = (f"{MANY:,} queues: one scrape against one GET /api/queues, ms; the "
             f"broker alone takes {idle[0]:.0%} of a core before, {idle[1]:.0%} "
             "after")
    rows = []
    for name in list(got)[1:]:
        # Only "auto" has a target: it asks the nodes where it can. The others
        # tell what Source management costs whoever has nothing else.
        target = 0.05 if name == "auto" else None
        for what, key in (("wall", "wall_ms"), ("broker CPU", "cpu_ms")):
            rows.append(Share(title, f"{name}: {what}", "GET /api/queues", target,
                              [r[key] for r in got[name]],
                              [r[key] for r in got["GET /api/queues"]], "ms"))
    return rows + own_cost(got), got | {"idle_shares": idle}


def own_cost(got):
    title = f"{MANY:,} queues: fetch, parse, indicators, warren monitor --once"
    rows = []
    for name, runs in got.items():
        if name.startswith("GET"):
            continue
        told = [r["told"] for r in runs]
        bound = name != "management, no queues"
        cpu = [t["cpu_ms"] for t in told]
        rss = [t["rss_mb"] for t in told]
        rows += [Limit(title, f"{name}: processor time, {told[0]['queues']:,} "
                       "queues reported", "ms", statistics.median(cpu),
                       60 if bound else None, cpu),
                 Limit(title, f"{name}: memory, peak", "MB",
                       statistics.median(rss), 24 if bound else None, rss)]
    return rows


def few(lab, plan, broker):
    title = f"{FEW} queues: warren monitor --once from start to end"
    contenders = {"auto": ("--metrics-url", broker.metrics_url),
                  "management": ("--source", "management")}
    got = {name: [] for name in contenders}
    for _ in range(2 * plan.pairs):
        for name, arguments in contenders.items():
            told = monitor_once(lab, broker.url, *arguments)
            if told["queues"] != FEW:
                raise Wrong(f"{told['queues']} of {FEW} queues reported")
            got[name].append(told)
    return [Limit(title, name, "ms",
                  statistics.median(r["seconds"] for r in runs) * 1e3, 50,
                  [r["seconds"] * 1e3 for r in runs])
            for name, runs in got.items()], got


# -- the replay --------------------------------------------------------------

class Replay:
    """Answers as a node with so many queues does; `polls` scrapes of /metrics,
    then not any more."""

    def __init__(self, broker, polls=None):
        self._metrics = http_get(broker.metrics_url, "/metrics").decode()
        self._answers = {path: http_get(broker.url, path)
                         for path in ("/api/overview", "/api/nodes")}
        self._polls = polls
        self._made = {}

    def set_queues(self, count):
        text = re.sub(r"^rabbitmq_queues .*$", f"rabbitmq_queues {count}",
                      self._metrics, flags=re.M)
        self._made = self._answers | {"/metrics": text.encode(),
                                      "/metrics/detailed": self._detailed(count)}
        self._count = count

    @staticmethod
    def _detailed(count):
        lines = []
        for family in ("messages_ready", "messages_unacked", "messages",
                       "process_reductions_total", "consumers"):
            name = f"rabbitmq_detailed_queue_{family}"
            lines += [f"# TYPE {name} gauge", f"# HELP {name} Replayed"]
            lines += [f'{name}{{vhost="/",queue="{queue_name(i)}"}} {i % 11}'
                      for i in range(count)]
        return ("\n".join(lines) + "\n").encode()

    def _page(self, query):
        number, size = int(query["page"][0]), int(query["page_size"][0])
        first = (number - 1) * size
        items = ",".join(
            f'{{"consumers":{i % 3},"memory":{13000 + i},"message_stats":'
            f'{{"ack":{i},"deliver":{i},"deliver_no_ack":0,"get":0,'
            f'"get_no_ack":0,"publish":{i + 5},"redeliver":1}},'
            f'"messages_ready":{i % 11},"messages_unacknowledged":0,'
            f'"name":"{queue_name(i)}","type":"classic","vhost":"/"}}'
            for i in range(first, min(first + size, self._count)))
        return (f'{{"filtered_count":{self._count},"item_count":{size},"items":'
                f'[{items}],"page":{number},"page_count":'
                f'{-(-self._count // size)},"page_size":{size},'
                f'"total_count":{self._count}}}').encode()

    def answer(self, handler):
        at = urllib.parse.urlsplit(handler.path)
        if at.path == "/metrics" and self._polls is not None:
            self._polls -= 1
        if self._polls is not None and self._polls < 0:
            handler.reply(503, Connection="close")
        elif at.path == "/api/queues":
            key = (self._count, handler.path)
            if key not in self._made:
                self._made[key] = self._page(urllib.parse.parse_qs(at.query))
            handler.reply(200, self._made[key], Connection="close")
        elif at.path in self._made:
            handler.reply(200, self._made[at.path], Connection="close")
        else:
            handler.reply(404, Connection="close")


def linear(lab, plan, broker):
    """Slopes: what a queue more costs among many and among fewer."""
    replay, got = Replay(broker), {}
    sources = {"Prometheus": lambda url: ("--metrics-url", url),
               "management": lambda url: ("--source", "management")}
    with Web(replay.answer) as web:
        for _ in range(plan.pairs):
            for count in SIZES:
                replay.set_queues(count)
                for name, arguments in sources.items():
                    told = monitor_once(lab, web.url, *arguments(web.url),
                                        "--max-queues", str(count))
                    if told["queues"] != count:
                        raise Wrong(f"{told['queues']} of {count} queues with "
                                    f"{name}: {told['log']}")
                    got.setdefault((name, count), []).append(told)
    rows = []
    for name in sources:
        title = f"replayed answers, {name}: a poll of every queue"
        for count in SIZES:
            for key, unit in (("cpu_ms", "ms"), ("rss_mb", "MB")):
                values = [t[key] for t in got[name, count]]
                rows.append(Limit(title, f"{count:,} queues", unit,
                                  statistics.median(values), None, values))
        for key, unit, nano in (("cpu_ms", "ns", 1e6), ("rss_mb", "bytes", MB)):
            rows.append(Share(
                title, f"a queue more: {unit}", f"up to {SIZES[2]:,}", 1.5,
                slopes(got, name, key, SIZES[2], SIZES[3], nano),
                slopes(got, name, key, SIZES[0], SIZES[2], nano), unit))
    return rows, {f"{name}, {count}": runs for (name, count), runs in got.items()}


def slopes(got, name, key, low, high, scale):
    return [(b[key] - a[key]) / (high - low) * scale
            for a, b in zip(got[name, low], got[name, high])]


# -- within collectd ---------------------------------------------------------

def reader_cpu_s(pid):
    """Processor time of the reading threads so far."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm", encoding="ascii") as f:
            if not f.read().startswith("reader"):
                continue
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def hand_over(lab, name, configuration, is_done):
    """ns of the reading threads for a value that the daemon took."""
    where = lab.new_place(name)
    d = Daemon(where, lab.modules, ["null", name],
               [lab.null()[1], configuration], interval=1.0)
    with d.launch():
        wait_for(lambda: is_done(d), 300, "all reports")
        time.sleep(2.5)  # until the last one has been handed over
        cpu = reader_cpu_s(d.process.pid)
        d.stop()
    count = int(re.search(r"null: took (\d+)", d.log()).group(1))
    return {"ns": cpu / count * 1e9, "values": count}


def ours_in_collectd(lab, broker, arguments):
    """The replay answers READS times, so what is handed over ends by itself."""
    replay = Replay(broker, polls=READS)
    replay.set_queues(MANY)
    with Web(replay.answer) as web:
        arguments = {key: web.url if value is None else value
                     for key, value in arguments.items()}
        return hand_over(
            lab, "rabbitmq_monitor",
            warren.monitor(warren.cluster_block(
                "main", broker, **({"URL": web.url, "Interval": 1.0,
                                    "MaxQueues": MANY} | arguments))),
            lambda d: len([p for p, _ in web.requests if p == "/metrics"])
            > READS)


def bare_in_collectd(lab, values, has_meta=True):
    began = time.monotonic()
    return hand_over(lab, "bare_read",
                     plugin("bare_read", Queues=MANY, Values=values, Reads=READS,
                            HasMeta=has_meta),
                     lambda d: time.monotonic() - began > READS + 1)


def handing_over(lab, plan, broker):
    got = {"bare": [], "bare, no meta data": [], "rabbitmq_monitor": []}
    contenders = {
        "bare": lambda: bare_in_collectd(lab, 3),
        "bare, no meta data": lambda: bare_in_collectd(lab, 3, False),
        "rabbitmq_monitor": lambda: ours_in_collectd(
            lab, broker, {"MetricsURL": None}),
    }
    for i in range(plan.pairs):
        order = list(contenders)
        for name in order if i % 2 == 0 else reversed(order):
            got[name].append(contenders[name]())
        progress(f"round {i + 1} of {plan.pairs}: " + ", ".join(
            f"{name} {r[-1]['ns']:,.0f} ns" for name, r in got.items()))
    title = (f"collectd's reading thread: dispatching what {MANY:,} queues have "
             "to say, for a value")
    on_top = [a["ns"] - b["ns"]
              for a, b in zip(got["rabbitmq_monitor"], got["bare"])]
    rows = [Limit(title, name, "ns", statistics.median(r["ns"] for r in runs),
                  None, [r["ns"] for r in runs]) for name, runs in got.items()]
    return rows + [Limit(title, "on top of plugin_dispatch_values, with the same "
                         "meta data", "ns", statistics.median(on_top), 1000,
                         on_top)], got


# -- the group ---------------------------------------------------------------

def monitor(lab, plan):
    rows, raw = [], {}
    with Broker(os.path.join(lab.dir, "observed"),
                extra_config=BROKER_CONFIG) as broker:
        declare(broker, 0, FEW)
        settled(broker, FEW)
        got, raw["few"] = few(lab, plan, broker)
        rows += got
        declare(broker, FEW, MANY)
        traffic = Traffic(broker, MANY)
        settled(broker, MANY, traffic)
        got, raw["broker"] = what_it_takes_the_broker(lab, plan, broker, traffic)
        rows += got
        traffic.close()
        got, raw["linear"] = linear(lab, plan, broker)
        rows += got
        got, raw["collectd"] = handing_over(lab, plan, broker)
        rows += got
    return rows, raw
