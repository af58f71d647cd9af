#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A real Telegraf on either side of ours: its execd plugins run the command
warren, its AMQP plugins speak to our modules. What was sent is compared with
what arrived, number by number.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from rig import modules as warren  # noqa: E402
from rig import results  # noqa: E402
from rig.broker import Broker  # noqa: E402
from rig.collectd import (  # noqa: E402
    Daemon, Record, built_program, collect_modules, plugin)
from rig.process import end, spawn  # noqa: E402
from rig.waiting import wait_for  # noqa: E402

# How inputs.execd asks for samples: all that it knows.
SIGNALS = ("none", "STDIN", "SIGHUP", "SIGUSR1", "SIGUSR2")
COUNT = 3000

AGENT = """[agent]
  interval = "1s"
  flush_interval = "200ms"
  flush_jitter = "0s"
  metric_batch_size = 500
  metric_buffer_limit = 100000
  omit_hostname = true
  logfile = "{log}"
"""
TO_FILE = """[[outputs.file]]
  files = ["{path}"]
  data_format = "influx"
"""
# Lines with a number each, at about a thousand a second.
GENERATOR = """import sys, time
for n in range(int(sys.argv[1])):
    print(f"seq,host=gen,number={n} n={n}i {time.time_ns()}", flush=True)
    time.sleep(0.001)
sys.stdin.read()
"""


class Telegraf:
    def __init__(self, rig, name, *plugins):
        self.path = os.path.join(rig.work, name)
        self.binary = rig.telegraf
        os.makedirs(self.path, exist_ok=True)
        with open(self.at("conf"), "w", encoding="utf-8") as f:
            f.write(AGENT.format(log=self.at("log")) + "\n".join(plugins))
        self.process = None
        rig.running.append(self)

    def at(self, name):
        return os.path.join(self.path, name)

    def start(self):
        with open(self.at("stderr"), "ab") as out:
            self.process = spawn(
                [self.binary, "--config", self.at("conf")], stdout=out, stderr=out,
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ["PATH"], "WARREN_PASSWORD": "guest"})
        return self

    def stop(self):
        end(self.process)

    def children(self):
        """Processes that it started, by id."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                    parent = int(f.read().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == self.process.pid:
                found.append(int(pid))
        return found

    def child(self, name):
        """The one process of that program."""
        found = []
        for pid in self.children():
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as f:
                if os.path.basename(f.read().split("\0")[0]) == name:
                    found.append(pid)
        assert len(found) < 2, found
        return found[0] if found else None

    def log(self):
        with open(self.at("log"), encoding="utf-8") as f:
            return f.read()

    def errors(self):
        return [line for line in self.log().splitlines() if " E! " in line]


def numbers(path, pattern=r"\bn=(\d+)i?\b"):
    try:
        with open(path, encoding="utf-8") as f:
            return [int(n) for n in re.findall(pattern, f.read())]
    except FileNotFoundError:
        return []


def toml(words):
    return "[" + ", ".join(f"'{w}'" for w in words) + "]"


class Rig:
    def __init__(self, args, work, broker):
        self.work, self.broker = work, broker
        self.telegraf = args.telegraf
        self.warren = os.path.abspath(built_program(args.build, "warren"))
        self.modules = collect_modules(args.build, os.path.join(work, "modules"))
        self.running, self.figures = [], {}
        self.generator = os.path.join(work, "generator.py")
        with open(self.generator, "w", encoding="utf-8") as f:
            f.write(GENERATOR)

    def ends(self):
        for t in self.running:
            if t.process is not None:
                t.stop()

    def execd(self, command, what="inputs", sign="none"):
        extra = f'  signal = "{sign}"\n' if what == "inputs" else ""
        return (f"[[{what}.execd]]\n  command = {toml(command)}\n{extra}"
                '  restart_delay = "500ms"\n  data_format = "influx"\n')

    def sets(self, name):
        """Of samples of warren monitor, in that file."""
        return len(numbers(os.path.join(self.work, name),
                           r"rabbitmq_monitor,cluster=main .*bool_reachable=(1)"))

    def numbered(self):
        return self.execd(["/usr/bin/python3", self.generator, str(COUNT)])

    def access(self, vhost):
        return ["--host", f"127.0.0.1:{self.broker.amqp_port}", "--vhost", vhost.name]

    def url(self):
        return f"amqp://127.0.0.1:{self.broker.amqp_port}/"


# --- what is shown -----------------------------------------------------------

def monitor_answers_signals_and_ends_with_its_pipe(rig, vhost):
    """All signals at once; the child of each ends with its Telegraf, of its own
    accord: Telegraf closes its input first and kills after five seconds."""
    agents = {}
    for sign in SIGNALS:
        command = [rig.warren, "monitor", "--url", rig.broker.url]
        if sign == "none":
            command += ["--interval", "1s"]
        agents[sign] = Telegraf(
            rig, f"monitor-{sign}", rig.execd(command, sign=sign),
            TO_FILE.format(path=os.path.join(rig.work, f"out-{sign}"))).start()
    for sign, t in agents.items():
        wait_for(lambda: rig.sets(f"out-{sign}") >= 3, 30,
                 f"three sets with signal {sign}")
        children = t.children()
        assert len(children) == 1, (sign, children)
        assert t.errors() == []
        began = time.monotonic()
        t.stop()
        assert not os.path.exists(f"/proc/{children[0]}"), "the child is left"
        assert time.monotonic() - began < 4, f"{sign}: it had to be killed"
        # Telegraf may close the pipe that it reads before it has read the end.
        assert [e for e in t.errors() if "file already closed" not in e] == []


def monitor_outlives_neither_its_telegraf_nor_its_own_end(rig, vhost):
    """A killed child is started again; a killed Telegraf takes its child along,
    and what a new one starts reports as before."""
    t = Telegraf(rig, "killed", rig.execd(
        [rig.warren, "monitor", "--url", rig.broker.url], sign="STDIN"),
        TO_FILE.format(path=os.path.join(rig.work, "out-killed"))).start()

    def more(why):
        before = rig.sets("out-killed")
        wait_for(lambda: rig.sets("out-killed") >= before + 2, 30, why)
    more("two sets")
    child, = t.children()
    os.kill(child, signal.SIGKILL)
    wait_for(lambda: t.children() not in ([], [child]), 10, "a new child")
    more("two sets of the new child")
    child, = t.children()
    t.process.kill()
    t.process.wait(10)
    wait_for(lambda: not os.path.exists(f"/proc/{child}"), 10,
             "the child ends without its Telegraf")
    t.start()
    more("two sets for the new Telegraf")
    t.stop()


def through_publish(rig, vhost, name, *args):
    """A Telegraf that sends the numbers and one that receives them."""
    vhost.exchange("metrics", "topic")
    vhost.queue("q")
    vhost.bind("metrics", "q")
    out = os.path.join(rig.work, name)
    spool = os.path.join(rig.work, f"{name}-spool")
    os.mkdir(spool, 0o700)
    receiver = Telegraf(rig, f"{name}-receiver", f"""[[inputs.amqp_consumer]]
  brokers = ["{rig.url()}{vhost.name.replace('/', '%2F')}"]
  queue = "q"
  queue_passive = true
  exchange = ""
  data_format = "influx"
""", TO_FILE.format(path=out)).start()
    sender = Telegraf(rig, f"{name}-sender", rig.numbered(), rig.execd(
        [rig.warren, "publish", "--format", "influx", *rig.access(vhost),
         "--exchange", "metrics", "--routing-key", "a", "--spool-dir", spool,
         *args], "outputs")).start()
    wait_for(lambda: len(numbers(out)) > 100, 30, "the first metrics arrive")
    return sender, receiver, out


def telegraf_to_publish_to_telegraf(rig, vhost):
    """The broker goes away in the middle and comes back."""
    sender, receiver, out = through_publish(rig, vhost, "published")
    rig.broker.kill9()
    rig.broker.start()
    if receiver.process.poll() is not None:
        receiver.start()
    wait_for(lambda: set(numbers(out)) == set(range(COUNT)), 60,
             "all numbers arrive")
    rig.figures["publish_duplicates"] = len(numbers(out)) - COUNT
    sender.stop()
    receiver.stop()


def publish_is_killed_and_started_again(rig, vhost):
    """What Telegraf has written into the pipe of a child counts as sent for it,
    so that a kill costs what the child had not put into its spool yet: a piece
    out of the middle, of less than a second."""
    sender, receiver, out = through_publish(rig, vhost, "survived",
                                            "--spool-mode", "always")
    killed = sender.child("warren")
    os.kill(killed, signal.SIGKILL)
    wait_for(lambda: sender.child("warren") not in (None, killed), 10,
             "a new child")
    wait_for(lambda: numbers(out)[-1] == COUNT - 1, 60, "the last one arrives")
    sender.stop()  # what it had in hand is in the queue now
    wait_for(lambda: vhost.ready("q") == 0, 20, "the queue is empty")
    receiver.stop()
    lost = sorted(set(range(COUNT)) - set(numbers(out)))
    rig.figures["publish_lost_with_its_child"] = len(lost)
    assert len(lost) < 1000, lost
    assert not lost or lost[-1] - lost[0] < 1000, lost


def telegraf_amqp_to_collectd(rig, vhost):
    vhost.exchange("metrics", "topic")
    vhost.queue("q")
    vhost.bind("metrics", "q")
    record = os.path.join(rig.work, "record")
    with Daemon(os.path.join(rig.work, "collectd"), rig.modules,
                ["sink", "rabbitmq_consume"],
                [plugin("sink", File=record), warren.consume(
                    warren.subscribe_block("x", rig.broker, vhost.name, Queue="q",
                                           QueuePassive=True, Format="Influx"))]
                ) as daemon:
        sender = Telegraf(rig, "amqp", rig.numbered(), f"""[[outputs.amqp]]
  brokers = ["{rig.url()}{vhost.name.replace('/', '%2F')}"]
  exchange = "metrics"
  exchange_type = "topic"
  exchange_durability = "durable"
  routing_key = "a"
  data_format = "influx"
""").start()
        read = Record(record)

        def arrived():
            return {int(float(v)) for _, name, v in read.refresh().values
                    if name.startswith("seq-") and name.endswith("gauge-n")}
        wait_for(lambda: arrived() == set(range(COUNT)), 60,
                 "all numbers are in collectd")
        sender.stop()
        daemon.stop()


def consume_to_telegraf(rig, vhost):
    """The child is killed, the broker too, and Telegraf is started anew. What
    Telegraf has read and not yet written is its own, so it is let finish."""
    vhost.queue("q")
    out = os.path.join(rig.work, "consumed")
    now = time.time_ns()
    with vhost.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for n in range(COUNT):
            import pika  # only this needs it
            channel.basic_publish(
                "", "q", f"seq,host=gen,number={n} n={n}i {now + n}".encode(),
                pika.BasicProperties(content_type="text/influx", delivery_mode=2,
                                     message_id=f"m{n}"))
    t = Telegraf(rig, "consume", rig.execd(
        [rig.warren, "consume", *rig.access(vhost), "--queue", "q",
         "--queue-passive", "--output", "influx", "--prefetch-count", "20"]),
        TO_FILE.format(path=out)).start()
    wait_for(lambda: numbers(out), 30, "the first metrics arrive")
    for _ in range(3):
        for pid in t.children():
            os.kill(pid, signal.SIGKILL)
        time.sleep(1)
    rig.broker.kill9()
    rig.broker.start()
    time.sleep(1)
    t.stop()
    t.start()
    wait_for(lambda: set(numbers(out)) == set(range(COUNT)), 60,
             "all numbers arrive")
    rig.figures["consume_duplicates"] = len(numbers(out)) - COUNT
    t.stop()
    assert vhost.take_all("q") == []


SHOWN = [monitor_answers_signals_and_ends_with_its_pipe,
         monitor_outlives_neither_its_telegraf_nor_its_own_end,
         telegraf_to_publish_to_telegraf, publish_is_killed_and_started_again,
         telegraf_amqp_to_collectd,
         consume_to_telegraf]


def show(rig, what):
    began = time.monotonic()
    try:
        with rig.broker.vhost(f"telegraf/{what.__name__}") as vhost:
            what(rig, vhost)
        status, why = "ok", ""
    except Exception:  # whatever it is, the others are shown too
        status, why = "FAILED", traceback.format_exc()
        for t in rig.running:
            if os.path.exists(t.at("log")):
                why += f"\n--- {t.path}\n{t.log()[-2000:]}"
    finally:
        rig.ends()
        rig.running.clear()
    print(f"{status:6} {what.__name__}\n{why}", end="", flush=True)
    return {"name": what.__name__, "status": status,
            "seconds": round(time.monotonic() - began, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--telegraf", required=True)
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    version = subprocess.run([args.telegraf, "version"], capture_output=True,
                             text=True, check=True).stdout.strip()
    work = tempfile.mkdtemp(prefix="warren-telegraf.")
    try:
        with Broker(os.path.join(work, "broker")) as broker:
            rig = Rig(args, work, broker)
            done = [show(rig, what) for what in SHOWN if args.only in what.__name__]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not args.only:
        results.write("telegraf", {"telegraf": version, "messages": COUNT, "signals": SIGNALS,
                                   "shown": done, **rig.figures})
    return 0 if all(d["status"] == "ok" for d in done) else 1


if __name__ == "__main__":
    sys.exit(main())
