#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The demo behind contrib/demo: a private broker, two collectds, the monitor,
one murder, and an account that compares what went in with what came out."""

import argparse
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests"))

from rig import modules as warren  # noqa: E402
from rig.broker import Broker  # noqa: E402
from rig.collectd import Daemon, OURS, collect_modules, plugin  # noqa: E402
from rig.compare import unmatched  # noqa: E402
from rig.csvfiles import CsvFiles  # noqa: E402
from rig.waiting import NotInTime, wait_for  # noqa: E402

PUBLISHER = "rabbitmq_publish-demo"
CONSUMER = "rabbitmq_consume-demo"
MONITOR = "rabbitmq_monitor-demo"
UNKNOWN = "?"   # no "ok" over what nobody knows
FRESH_S = 3.5   # collectd's interval here is 1 s: what is older is not news
UP_S = 2        # what begins the run is younger, so that it is still news then
DEAD_S = 4      # how long the broker stays dead before it is started again
AFTER_S = 8     # how long to go on when the outage is over
BACK_S = 120    # how long to wait for the broker, beyond the time of the run
SETTLE_S = 60   # how long to wait for what is still on its way at the end


def say(text=""):
    print(text, flush=True)


class Pipeline:
    """The processes, and the files they write."""

    def __init__(self, work, build):
        self.work = pathlib.Path(work)
        self._modules = collect_modules(build, str(self.work / "modules"), OURS)
        self.broker = Broker(str(self.work / "broker"), name="demo")
        host = re.sub(r"[^A-Za-z0-9.]", "-", socket.gethostname()) or "host"
        self.a = self._publisher(host)
        self.b = self._consumer(f"{host}.consumer")
        self.sent = CsvFiles(self.a.path("csv"), host)
        self.got = CsvFiles(self.b.path("csv"), host)
        self.own = CsvFiles(self.b.path("csv"), f"{host}.consumer")

    def _publisher(self, host):
        return Daemon(
            str(self.work / "publisher"), self._modules,
            ["csv", "cpu", "memory", "load", "df", "interface",
             "rabbitmq_publish"],
            [plugin("csv", DataDir=str(self.work / "publisher" / "csv")),
             warren.publish(warren.publish_block(
                 "demo", self.broker, "/", Exchange="metrics",
                 ExchangeType="topic", RetryDelay=1, RetryDelayMax=3,
                 ShutdownTimeout=10))],
            host=host)

    def _consumer(self, host):
        where = self.work / "consumer"
        return Daemon(
            str(where), self._modules,
            ["csv", "rrdtool", "rabbitmq_consume", "rabbitmq_monitor"],
            [plugin("csv", DataDir=str(where / "csv")),
             plugin("rrdtool", DataDir=str(where / "rrd"), StepSize=1,
                    HeartBeat=3, RRATimespan=3600, RRARows=1200,
                    CacheTimeout=5, CacheFlush=60),
             warren.consume(warren.subscribe_block(
                 "demo", self.broker, "/", Exchange="metrics",
                 ExchangeType="topic", RoutingKey="#", Queue="demo",
                 RetryDelay=1, RetryDelayMax=3, ShutdownTimeout=10)),
             warren.monitor(warren.cluster_block(
                 "demo", self.broker, warren.probe_block(
                     self.broker, "/", Interval=1, Timeout=1), Interval=1))],
            host=host)

    def start(self):
        say("Starting a private RabbitMQ ...")
        began = time.monotonic()
        self.broker.start()
        say(f"RabbitMQ is ready after {time.monotonic() - began:.1f} s: "
            f"127.0.0.1:{self.broker.amqp_port}, {self.broker.url}")
        self.b.start()
        wait_for(self._has_consumer, 90,
                 f"the consumer has its queue; see {self.b.path('log')}")
        self.a.start()
        say("collectd A publishes this host, collectd B consumes and monitors.")

    def wait_for_values(self):
        """Until each of the three says that it is up: before that the table would
        say DOWN of what has only just begun."""
        say("Waiting for the first values ...")
        try:
            wait_for(self._is_up, 60, "all three say that they are up", pause=0.3)
        except NotInTime as e:
            say(f"  {e}")

    def _is_up(self):
        return all(files.newest(name, UP_S).get(series) == 1
                   for files, name, series in (
                       (self.sent, PUBLISHER, "bool-connected"),
                       (self.own, CONSUMER, "bool-connected"),
                       (self.own, MONITOR, "bool-reachable")))

    def _has_consumer(self):
        """From here on nothing that is published is unroutable."""
        status, queue = self.broker.api("GET", "queues/%2F/demo")
        return status == 200 and queue.get("consumers", 0) > 0

    def connections_opened(self):
        """By the publisher, as far as it has said."""
        return self.sent.newest(PUBLISHER).get("total_connections-opened", 0)

    def missing(self):
        """What A wrote down and B has not."""
        return unmatched(self.sent.values(), self.got.values())[0]

    def stop(self):
        """Lets everything arrive: A first, so that nothing new comes, then B."""
        now = time.time()
        self._quietly(lambda: not [k for k in self.missing() if float(k[1]) < now],
                      "what was published has arrived")
        self.a.stop()
        self._quietly(lambda: not self.missing(), "the rest has arrived")
        self.b.stop()

    @staticmethod
    def _quietly(predicate, what):
        try:
            wait_for(predicate, SETTLE_S, what, pause=0.3)
        except NotInTime as e:
            say(f"  {e}")

    def close(self):
        """Ends what still runs, in whatever state."""
        self.a.__exit__()
        self.b.__exit__()
        self.broker.destroy(keep_files=True)


class Table:
    """The five indicators, redrawn in place on a terminal and every few seconds
    as a plain line elsewhere."""

    PLAIN_EVERY_S = 5

    def __init__(self, pipeline, out=sys.stdout):
        self._pipeline = pipeline
        self._out = out
        self._is_terminal = out.isatty()
        self._drawn = 0
        self._last_plain = 0

    def show(self, headline):
        rows = self.rows()
        if self._is_terminal:
            self._redraw(headline, rows)
        elif time.monotonic() - self._last_plain >= self.PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            say(headline)
            for name, state, text in rows:
                say(f"  {name:<11} {state:<5} {text}")

    def leave(self):
        """What follows is written below the table."""
        self._drawn = 0

    def _redraw(self, headline, rows):
        width = shutil.get_terminal_size().columns - 1
        lines = [headline[:width], ""]
        for name, state, text in rows:
            code = {"ok": "32", "DOWN": "1;31", "look": "33"}.get(state, "0")
            lines.append(f"  {name:<11} \x1b[{code}m{state:<5}\x1b[0m "
                         f"{text[:width - 20]}")
        if self._drawn:
            self._out.write(f"\x1b[{self._drawn}A")
        for line in [*lines, ""]:
            self._out.write(f"\x1b[2K{line}\n")
        self._drawn = len(lines) + 1
        self._out.flush()

    def rows(self):
        """(indicator, state, text) of each; a value that is not known is not
        made up."""
        cluster = self._pipeline.own.newest(MONITOR, FRESH_S)
        publisher = self._pipeline.sent.newest(PUBLISHER, FRESH_S)
        consumer = self._pipeline.own.newest(CONSUMER, FRESH_S)
        node = {}
        for name in self._pipeline.own.plugins(f"{MONITOR}-node-"):
            node = self._pipeline.own.newest(name, FRESH_S)
        return [connection_row(cluster, publisher, consumer),
                lag_row(cluster, publisher),
                error_row(cluster, publisher, consumer),
                resource_row(node),
                throughput_row(cluster, publisher)]


def put(values, name, form="{:.0f}", unknown="-"):
    return form.format(values[name]) if name in values else unknown


def connection_row(cluster, publisher, consumer):
    word = {1: "connected", 0: "waiting", None: "silent"}
    broker = {1: "reachable", 0: "NOT reachable", None: "not looked at yet"}
    linked = (publisher.get("bool-connected"), consumer.get("bool-connected"))
    reachable = cluster.get("bool-reachable")
    return ("connection",
            "ok" if (reachable, *linked) == (1, 1, 1) else "DOWN",
            f"broker {broker[reachable]}, publisher {word[linked[0]]}, "
            f"consumer {word[linked[1]]}")


def lag_row(cluster, publisher):
    lengths = [publisher.get(f"queue_length-{q}")
               for q in ("outbox", "in_flight", "spooled")]
    kept = sum(n for n in lengths if n is not None)
    is_known = lengths[0] is not None and "queue_length-ready" in cluster
    drain = (put(cluster, "duration-drain", ", drained in {:.0f} s")
             if cluster.get("duration-drain") else "")
    return ("lag", "look" if kept > 500 else "ok" if is_known else UNKNOWN,
            f"{'-' if lengths[0] is None else f'{kept:.0f}'} in the publisher, "
            f"{put(cluster, 'queue_length-ready')} ready, "
            f"{put(cluster, 'queue_length-unacked')} unacked{drain}")


def error_row(cluster, publisher, consumer):
    dropped = sum(v for k, v in publisher.items()
                  if k.startswith("total_operations-dropped_"))
    rate = [put(v, "percent-error_rate", "{:.1f} %")
            for v in (cluster, publisher, consumer)]
    # A share of nothing is not known either; what is reachable has had none.
    is_known = cluster.get("bool-reachable") and publisher and consumer
    return ("errors", "look" if dropped else "ok" if is_known else UNKNOWN,
            f"broker {rate[0]}, publisher {rate[1]}, consumer {rate[2]}, "
            f"dropped {dropped:.0f}")


def resource_row(node):
    if "bytes-memory_used" not in node:
        return ("resources", UNKNOWN, "the broker does not say")
    alarm = node.get("bool-memory_alarm") or node.get("bool-disk_alarm")
    return ("resources", "look" if alarm else "ok",
            f"memory {node['bytes-memory_used'] / 1e6:.0f} MB "
            f"({put(node, 'percent-memory', '{:.0f} %')} of limit), "
            f"disk free {node.get('bytes-disk_free', 0) / 1e9:.0f} GB, "
            f"{'ALARM' if alarm else 'no alarm'}")


def throughput_row(cluster, publisher):
    rates = [put(cluster, f"gauge-{r}_rate", "{:.0f}/s")
             for r in ("publish", "deliver", "ack")]
    rate = cluster.get("gauge-publish_rate")
    return ("throughput", UNKNOWN if rate is None else "ok" if rate else "",
            f"published {rates[0]}, delivered {rates[1]}, acked {rates[2]}, "
            f"{put(publisher, 'total_operations-confirmed')} confirmed")


def of_day(when):
    return time.strftime("%H:%M:%S", time.localtime(when))


class Outage:
    """What happens to the broker, and when."""

    def __init__(self, pipeline, kill_after_s):
        self._pipeline = pipeline
        self._kill_after_s = kill_after_s
        self.killed_at = self.started_at = self.over_at = None

    def step(self, elapsed_s):
        """Does what is due; returns what there is to say about the broker."""
        if self.killed_at is None:
            if elapsed_s < self._kill_after_s:
                return f"SIGKILL in {self._kill_after_s - elapsed_s:.0f} s"
            self.killed_at = time.time()
            self._pipeline.broker.kill9()
        gone_s = time.time() - self.killed_at
        if self.started_at is None:
            if gone_s < DEAD_S:
                return (f"broker KILLED at {of_day(self.killed_at)}, "
                        f"{gone_s:.0f} s ago")
            self.started_at = time.time()
            self._pipeline.broker.start(wait=False)
        if self.over_at is None:
            if self._pipeline.connections_opened() < 2:
                return (f"broker killed at {of_day(self.killed_at)}, "
                        f"{gone_s:.0f} s ago, starting again")
            self.over_at = time.time()
        return f"broker back; the outage took {self.seconds():.0f} s"

    def is_over(self, since_s):
        return self.over_at and time.time() - self.over_at >= since_s

    def clock(self):
        """By the clock, as the pictures are."""
        back = of_day(self.over_at) if self.over_at else "never"
        return (f"broker killed at {of_day(self.killed_at)}, "
                f"publisher connected again at {back}")

    def seconds(self):
        """From SIGKILL until the publisher said it was connected again."""
        return (self.over_at or time.time()) - self.killed_at


def totals(daemon, plugin_name):
    """{word: number} of a module's last line, "ended: 12 messages accepted,
    12 confirmed ..."; empty when it did not come to that."""
    lines = daemon.log_lines(f"{plugin_name} plugin: .* ended: ")
    return {word: int(number) for number, word in re.findall(
        r"(\d+) (?:messages |of them )?(\w+)", lines[-1].split("ended: ")[1])
        } if lines else {}


def draw(pipeline, began):
    """The five indicators as pictures; returns what there is to say of them."""
    program = pathlib.Path(__file__).resolve().parents[1] / "graph/warren-graph"
    if not shutil.which("rrdtool"):
        return ["none, rrdtool is missing"]
    done = subprocess.run(
        [program, "--from", str(int(began)), "--to", str(int(time.time())),
         pipeline.b.path("rrd"), pipeline.work / "pictures"],
        capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).splitlines()


def account(pipeline, outage, pictures):
    """Prints the books; returns how much is wrong with them."""
    sent, got = pipeline.sent.values(), pipeline.got.values()
    lost, foreign = unmatched(sent, got)
    twice = sum(n - 1 for n in got.values())
    publisher = totals(pipeline.a, "rabbitmq_publish")
    consumer = totals(pipeline.b, "rabbitmq_consume")
    say()
    say("Account")
    for what, number in (
            ("values that entered the publisher", len(sent)),
            ("accepted by it, in messages", publisher.get("accepted")),
            ("confirmed by the broker", publisher.get("confirmed")),
            ("published again after the outage", publisher.get("republished")),
            ("messages consumed", consumer.get("delivered")),
            ("values in the consumer's files", len(sent) - len(lost)),
            ("duplicates in them", twice),
            ("LOST", len(lost))):
        say(f"  {what:<36}{'-' if number is None else number:>9}")
    say(f"  {'outage, in seconds':<36}{outage.seconds():>9.1f}")
    say(f"  {outage.clock()}")
    for key in sorted(lost | foreign)[:10]:
        say(f"  {'lost' if key in sent else 'never sent'}: {' '.join(key)}")
    say()
    say("Files")
    say(f"  entered the publisher    {pipeline.a.path('csv')}")
    say(f"  written by the consumer  {pipeline.b.path('csv')}")
    say(f"                           {pipeline.b.path('rrd')}")
    say(f"  logs                     {pipeline.a.path('log')}")
    say(f"                           {pipeline.b.path('log')}")
    for n, line in enumerate(pictures):
        say(f"  {'pictures' if n == 0 else '':<23}  {line}")
    say()
    say("Nothing was lost: the files were compared value by value." if not lost
        else f"{len(lost)} VALUES WERE LOST.")
    return len(lost) + len(foreign)


def run(pipeline, seconds):
    pipeline.start()
    pipeline.wait_for_values()
    table = Table(pipeline)
    outage = Outage(pipeline, seconds / 2)
    began, began_wall = time.monotonic(), time.time()
    say()
    while ((elapsed := time.monotonic() - began) < seconds
           or not outage.is_over(AFTER_S)):
        if elapsed > seconds + BACK_S:
            say("The broker did not come back in time.")
            break
        news = outage.step(elapsed)
        table.show(f"{elapsed:3.0f} of {seconds} s, {news}")
        time.sleep(0.5)
    table.leave()
    say("Stopping: first A, then B when everything has arrived ...")
    pipeline.stop()
    return account(pipeline, outage, draw(pipeline, began_wall))


def interrupt(*_):
    """For ^C, which may reach us twice: from the terminal and from our front."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=90)
    parser.add_argument("--build", required=True)
    parser.add_argument("--work", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    pipeline = Pipeline(options.work, options.build)
    try:
        return 1 if run(pipeline, options.seconds) else 0
    except KeyboardInterrupt:
        say("\nInterrupted; ending what runs ...")
        return 130
    except (AssertionError, RuntimeError) as e:
        say(f"\nThe demo failed: {e}")
        return 1
    finally:
        pipeline.close()


if __name__ == "__main__":
    sys.exit(main())
