#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A real Telegraf on either side of ours: its execd plugins run the command
warren, its AMQP plugins speak to our modules. What was sent is compared with
what arrived, number by number. Where Telegraf is ended, what it had sent is what
it also wrote to a file: the rest it lost itself, and how much is written down.

usage: telegraf.py --build DIR --telegraf PROGRAM [--only WORD | --capture FILE]

--capture only writes tests/fixtures/prometheus/telegraf.prom anew.
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
import urllib.request

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from rig import modules as warren  # noqa: E402
from rig import results  # noqa: E402
from rig.broker import Broker  # noqa: E402
from rig.collectd import (  # noqa: E402
    Daemon, Record, built_program, collect_modules, plugin)
from rig.ports import free_ports  # noqa: E402
from rig.process import end, spawn  # noqa: E402
from rig.traffic import Consumer, Publisher  # noqa: E402
from rig.waiting import wait_for  # noqa: E402

# How inputs.execd asks for samples: all that it knows.
SIGNALS = ("none", "STDIN", "SIGHUP", "SIGUSR1", "SIGUSR2")
COUNT = 3000
LONG = 20000  # for those that see more than one fault

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
# Lines with a number each, a thousand a second however slow the machine is, until
# its input ends. It goes on where the one before it ended.
GENERATOR = """import os, select, sys, time
count, path = int(sys.argv[1]), sys.argv[2]
state = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
n = int(os.read(state, 20) or 0)
began = time.monotonic() - n / 1000
while n < count and not select.select([sys.stdin], [], [], 0.002)[0]:
    while n < min(count, (time.monotonic() - began) * 1000):
        print(f"seq,host=gen,number={n} n={n}i {time.time_ns()}")
        n += 1
    sys.stdout.flush()
    os.pwrite(state, b"%-10d" % n, 0)
sys.stdin.read()
"""
PROMETHEUS = """[[outputs.prometheus_client]]
  listen = "127.0.0.1:{port}"
  collectors_exclude = ["gocollector", "process"]
"""
FIXTURE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                       "fixtures", "prometheus", "telegraf.prom")
# What the monitor can say after some seconds only.
LATE = ("duration_drain{", "percent_consumer_capacity{", "gauge_growth{",
        "percent_cpu{", "duration_head_age{", "duration_scrape_cpu{")


class Skipped(Exception):
    """This cannot be shown with that Telegraf."""


class Telegraf:
    def __init__(self, rig, name, *plugins, agent=AGENT):
        self.path = os.path.join(rig.work, name)
        self.binary = rig.telegraf
        os.makedirs(self.path, exist_ok=True)
        with open(self.at("conf"), "w", encoding="utf-8") as f:
            f.write(agent.format(log=self.at("log")) + "\n".join(plugins))
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

    def kill(self):
        end(self.process, ((signal.SIGKILL, 10),))

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

    def sets(self, name, reachable=1):
        """Of samples of warren monitor, in that file."""
        return len(numbers(
            os.path.join(self.work, name),
            rf"rabbitmq_monitor,cluster=main .*bool_reachable=({reachable})"))

    def numbered(self, name, count=COUNT):
        return self.execd(["/usr/bin/python3", self.generator, str(count),
                           os.path.join(self.work, f"{name}-next")])

    def has_output(self, name):
        said = subprocess.run([self.telegraf, "plugins", "outputs"], text=True,
                              capture_output=True, check=True).stdout
        return name in re.findall(r"[a-z_]+", said)

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


def monitor_says_when_the_broker_is_away(rig, vhost):
    """Asked and on its own clock: the same child says so and goes on."""
    rig.broker.sync()
    agents = {}
    for sign, *interval in ("STDIN",), ("none", "--interval", "1s"):
        agents[f"away-{sign}"] = Telegraf(
            rig, f"monitor-away-{sign}", rig.execd(
                [rig.warren, "monitor", "--url", rig.broker.url, *interval],
                sign=sign),
            TO_FILE.format(path=os.path.join(rig.work, f"away-{sign}"))).start()

    def more(reachable, why):
        for name in agents:
            before = rig.sets(name, reachable)
            wait_for(lambda: rig.sets(name, reachable) >= before + 2, 30,
                     f"{name}: {why}")
    more(1, "two sets")
    children = {name: t.children() for name, t in agents.items()}
    rig.broker.kill9()
    more(0, "two sets that say that it is away")
    rig.broker.start()
    more(1, "two sets that say that it is back")
    for name, t in agents.items():
        assert t.children() == children[name], name
        t.stop()


def through_publish(rig, vhost, name, *args, count=COUNT):
    """A Telegraf that sends the numbers and one that receives them. What was
    sent is also in the file NAME-sent."""
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
    sender = Telegraf(
        rig, f"{name}-sender", rig.numbered(name, count), rig.execd(
            [rig.warren, "publish", "--format", "influx", *rig.access(vhost),
             "--exchange", "metrics", "--routing-key", "a", "--spool-dir", spool,
             *args], "outputs"), TO_FILE.format(path=f"{out}-sent")).start()
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


def sending(out, count, since=0):
    """Waits until more was sent, and sees that it is not all yet."""
    wait_for(lambda: len(numbers(f"{out}-sent")) > since + 300, 30, "more is sent")
    assert numbers(f"{out}-sent")[-1] < count - 1, "too late for a fault"
    return len(numbers(f"{out}-sent"))


def a_piece(lost, of=2000):
    """Whether what was lost, sorted, is one short piece of all, if anything."""
    return not lost or lost[-1] - lost[0] < of


def the_sender_of_publish_is_ended_and_started_again(rig, vhost):
    """In order, then with a SIGKILL. What Telegraf sent before an orderly end
    arrives, all of it; a killed one takes along what it had read and not passed
    on, in either case what it had not read yet: a piece out of the middle."""
    sender, receiver, out = through_publish(rig, vhost, "restarted", count=LONG)
    sending(out, LONG)
    sender.stop()
    before = numbers(f"{out}-sent")
    sender.start()
    sending(out, LONG, len(before))
    sender.kill()
    sender.start()
    wait_for(lambda: LONG - 1 in set(numbers(out)), 90, "the last one arrives")
    sender.stop()
    wait_for(lambda: vhost.ready("q") == 0, 20, "the queue is empty")
    receiver.stop()
    got = set(numbers(out))
    assert set(before) <= got, sorted(set(before) - got)
    again = min(numbers(f"{out}-sent")[len(before):])
    lost = sorted(set(range(LONG)) - got)
    ended, killed = ([n for n in lost if n < again], [n for n in lost if n > again])
    rig.figures["telegraf_lost_when_ended"] = len(ended)
    rig.figures["telegraf_lost_when_killed"] = len(killed)
    assert a_piece(ended) and a_piece(killed), lost


def to_collectd(rig, vhost, name, count=LONG):
    """A Telegraf that sends the numbers by its outputs.amqp, a collectd that
    consumes them, a function that tells which are in collectd, and the path of
    what was sent without -sent."""
    vhost.exchange("metrics", "topic")
    vhost.queue("q")
    vhost.bind("metrics", "q")
    rig.broker.sync()
    out = os.path.join(rig.work, name)
    daemon = Daemon(
        f"{out}-collectd", rig.modules, ["sink", "rabbitmq_consume"],
        [plugin("sink", File=f"{out}-record"), warren.consume(
            warren.subscribe_block("x", rig.broker, vhost.name, Queue="q",
                                   QueuePassive=True, Format="Influx"))])
    sender = Telegraf(rig, name, rig.numbered(name, count), f"""[[outputs.amqp]]
  brokers = ["{rig.url()}{vhost.name.replace('/', '%2F')}"]
  exchange = "metrics"
  exchange_type = "topic"
  exchange_durability = "durable"
  delivery_mode = "persistent"
  routing_key = "a"
  data_format = "influx"
""", TO_FILE.format(path=f"{out}-sent"))
    read = Record(f"{out}-record")

    def arrived():
        return {int(float(v)) for _, series, v in read.refresh().values
                if series.startswith("seq-") and series.endswith("gauge-n")}
    return sender, daemon, arrived, out


def telegraf_amqp_to_collectd(rig, vhost):
    """collectd is stopped and started, killed and started, and Telegraf ended and
    started, while it sends: all that it sent is in collectd."""
    sender, daemon, arrived, out = to_collectd(rig, vhost, "amqp")
    with daemon:
        sender.start()
        since = sending(out, LONG)
        daemon.stop()
        since = sending(out, LONG, since)
        daemon.again().start()
        wait_for(lambda: len(arrived()) > since, 30, "collectd has caught up")
        daemon.kill9()
        since = sending(out, LONG, since)
        daemon.again().start()
        sender.stop()
        sender.start()
        wait_for(lambda: LONG - 1 in arrived(), 60, "the last one is in collectd")
        sender.stop()
        sent = set(numbers(f"{out}-sent"))
        wait_for(lambda: sent <= arrived(), 30, "all that was sent is in collectd")
        daemon.stop()
    lost = sorted(set(range(LONG)) - arrived())
    rig.figures["telegraf_amqp_lost_when_ended"] = len(lost)
    assert a_piece(lost), lost


def telegraf_amqp_goes_on_when_the_broker_was_away(rig, vhost):
    """Telegraf asks for no confirms, and while it finds no broker its outputs.amqp
    of 1.37 takes what it cannot send for written: that is its loss, as long as the
    broker is away. What it sends before and after is in collectd."""
    sender, daemon, arrived, out = to_collectd(rig, vhost, "amqp-broker", 10 * LONG)
    with daemon:
        sender.start()
        sending(out, 10 * LONG)
        wait_for(arrived, 30, "the first are in collectd")
        since = numbers(f"{out}-sent")[-1] - 2000
        rig.broker.kill9()
        rig.broker.start()
        until = numbers(f"{out}-sent")[-1] + 2000
        wait_for(lambda: max(arrived()) > until + 500, 60, "it goes on")
        sender.stop()
        sent = set(numbers(f"{out}-sent"))
        sure = {n for n in sent if not since < n < until}
        wait_for(lambda: sure <= arrived(), 30, "all but a piece is in collectd")
        daemon.stop()
    rig.figures["telegraf_amqp_lost_with_its_broker"] = len(sent - arrived())


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


def prometheus_client_says(rig, wanted):
    """What Telegraf's outputs.prometheus_client says of warren monitor's series,
    once it has all that is wanted: the broker of test_prometheus.py, without
    HELP, which is the same for all."""
    if not rig.has_output("prometheus_client"):
        raise Skipped("this Telegraf has no outputs.prometheus_client")
    port, = free_ports(1)
    with rig.broker.vhost("glance/1") as vhost:
        vhost.exchange("nowhere")
        vhost.queue("orders")
        vhost.queue("taken")
        for _ in range(7):
            vhost.publish("", "orders", b"x", timestamp=int(time.time()))
        with vhost.connect() as connection:
            channel = connection.channel()
            for _ in range(2000):
                channel.basic_publish("", "taken", b"x")
        t = Telegraf(
            rig, "prometheus", rig.execd(
                [rig.warren, "monitor", "--name", "telegraf", "--include-vhost",
                 "glance/1", "--url", rig.broker.url], sign="STDIN"),
            PROMETHEUS.format(port=port),
            agent=AGENT.replace("omit_hostname = true", 'hostname = "h"'))
        with Publisher(vhost, "", "taken", 10), \
                Consumer(vhost, "taken", delay=0.02), \
                Publisher(vhost, "nowhere", "x", 5, mandatory=True):
            t.start()
            text = wait_for(lambda: asked(port, wanted), 45, "all is said")
        t.stop()
    return "".join(line for line in text.splitlines(True)
                   if not line.startswith("# HELP"))


def asked(port, wanted):
    """The page, or nothing while it says less than is wanted."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics",
                                    timeout=5) as answer:
            text = answer.read().decode()
    except OSError:
        return None
    return text if wanted(text) else None


def series_of(text):
    """{(name, names of its labels)}"""
    return {(name, tuple(sorted(re.findall(r'(\w+)="', labels))))
            for name, labels in re.findall(r"^(\w+)\{(.*)\} ", text, re.M)}


def the_fixture_is_what_telegraf_says(rig, vhost):
    """Of names and labels: tests and dashboards rest on it."""
    with open(FIXTURE, encoding="utf-8") as f:
        fixture = series_of(f.read())
    said = series_of(prometheus_client_says(
        rig, lambda text: fixture <= series_of(text)))
    assert said == fixture, sorted(said ^ fixture)


def capture(rig, path):
    """After some six seconds, when rates and growth have settled."""
    text = prometheus_client_says(
        rig, lambda text: all(f"rabbitmq_monitor_{name}" in text for name in LATE)
        and re.search(r"^rabbitmq_monitor_total_events_returned\{.*\} ([3-9]\d|\d{3})", text,
                      re.M))
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)


SHOWN = [monitor_answers_signals_and_ends_with_its_pipe,
         monitor_outlives_neither_its_telegraf_nor_its_own_end,
         monitor_says_when_the_broker_is_away,
         telegraf_to_publish_to_telegraf, publish_is_killed_and_started_again,
         the_sender_of_publish_is_ended_and_started_again,
         telegraf_amqp_to_collectd, telegraf_amqp_goes_on_when_the_broker_was_away,
         consume_to_telegraf, the_fixture_is_what_telegraf_says]


def show(rig, what):
    began = time.monotonic()
    try:
        with rig.broker.vhost(f"telegraf/{what.__name__}") as vhost:
            what(rig, vhost)
        status, why = "ok", ""
    except Skipped as e:
        status, why = "skipped", f"   {e}\n"
    except Exception:  # whatever it is, the others are shown too
        status, why = "FAILED", traceback.format_exc()
        for t in rig.running:
            if os.path.exists(t.at("log")):
                why += f"\n--- {t.path}\n{t.log()[-2000:]}"
    finally:
        rig.ends()
        rig.running.clear()
    print(f"{status:7} {what.__name__}\n{why}", end="", flush=True)
    return {"name": what.__name__, "status": status,
            "seconds": round(time.monotonic() - began, 1)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--telegraf", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--capture")
    args = parser.parse_args()
    version = subprocess.run([args.telegraf, "version"], capture_output=True,
                             text=True, check=True).stdout.strip()
    work = tempfile.mkdtemp(prefix="warren-telegraf.")
    try:
        with Broker(os.path.join(work, "broker")) as broker:
            rig = Rig(args, work, broker)
            if args.capture:
                capture(rig, args.capture)
                rig.ends()
                return 0
            done = [show(rig, what) for what in SHOWN if args.only in what.__name__]
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not args.only:
        results.write("telegraf", {
            "telegraf": version, "messages": COUNT, "messages_of_faults": LONG,
            "signals": SIGNALS, "shown": done, **rig.figures})
    return 1 if any(d["status"] == "FAILED" for d in done) else 0


if __name__ == "__main__":
    sys.exit(main())
