# SPDX-License-Identifier: MIT
"""One run of one contender: a fresh daemon whose loadgen feeds one writer as
fast as it takes it, and a queue that is watched until all is in it.

All contenders are measured with the same yardstick, from outside: from loadgen's
first value to the moment the queue holds the last message. What a writer says
about itself, and what is then read from the queue, has to agree with it.
"""

import json
import os
import re
import subprocess
import time

from rig import modules as warren
from rig.collectd import Daemon, block, built_program, collect_modules, plugin
from rig.waiting import wait_for

QUEUE = "bench"
MODULES = ("rabbitmq_publish", "rabbitmq_consume", "rabbitmq_monitor", "bare",
           "bare_consume", "bare_read", "loadgen", "null")
AHEAD = 20_000     # values in collectd's write queue; some 30 MB
SERIES = 1000
WRITE_THREADS = 5


class Wrong(RuntimeError):
    """A run whose figures mean nothing."""


class Watch:
    """How many messages a queue holds, over one connection that stays."""

    def __init__(self, broker, vhost):
        import pika
        self._connection = pika.BlockingConnection(pika.ConnectionParameters(
            "127.0.0.1", broker.amqp_port, vhost.name,
            pika.PlainCredentials("guest", "guest"), heartbeat=0))
        self._channel = self._connection.channel()

    def count(self):
        return self._channel.queue_declare(QUEUE, passive=True).method.message_count

    def close(self):
        self._connection.close()

    def reach(self, expected, timeout):
        """Waits until the queue holds expected messages, or any at all; returns
        (messages, when)."""
        end = time.monotonic() + timeout
        while (count := self.count()) < expected:
            if time.monotonic() > end:
                raise Wrong(f"{count} of {expected} messages after {timeout} s")
            time.sleep(0.01)
        return count, time.monotonic()

    def until(self, expected, began, still_s, timeout):
        """Waits until the queue holds expected messages and then nothing comes
        for still_s; returns (messages, when the last one came). Looks seldom
        while much is missing."""
        curve = self.curve(expected, began, still_s, timeout)
        return curve[-1]

    def curve(self, expected, began, still_s, timeout):
        """As until(), but returns [(messages, when)] of all that was seen."""
        end = time.monotonic() + timeout
        seen = [(-1, began)]
        while True:
            count = self.count()
            now = time.monotonic()
            if count != seen[-1][0]:
                seen.append((count, now))
            elif count >= expected and now - seen[-1][1] >= still_s:
                return seen[1:]
            if now > end:
                raise Wrong(f"{count} of {expected} messages after {timeout} s")
            missing = max(0, expected - count)
            pace = count / (now - began) if count > 0 and now > began else 0
            time.sleep(min(0.25, max(0.004, missing / pace / 5 if pace else 0.02)))


class Lab:
    """A broker, the built modules, and a place for the runs."""

    def __init__(self, broker, build, directory):
        self.broker = broker
        self.vhost = broker.vhost("bench")
        self.dir = directory
        self.modules = collect_modules(build, os.path.join(directory, "modules"),
                                       MODULES)
        self.build = build
        self._runs = 0
        self._queues = set()
        self._last_seen = 0

    def program(self, name):
        found = built_program(self.build, f"tests/bench/{name}")
        if not found:
            raise Wrong(f"the build has no tests/bench/{name}; make bench")
        return found

    def _address(self, queue=QUEUE):
        return ("127.0.0.1", str(self.broker.amqp_port), self.vhost.name, queue)

    # -- the queue -----------------------------------------------------------

    def fresh_queue(self, queue=QUEUE):
        if queue in self._queues:
            self.vhost.delete_queue(queue)
        self.vhost.queue(queue)
        self._queues.add(queue)

    def _rawlimit(self, command, *arguments):
        return self._told([self.program("rawlimit"), command, *self._address(),
                           *(str(a) for a in arguments)])

    @staticmethod
    def _told(command):
        """What a program says that prints one JSON object."""
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=600,
                              check=True)
        return json.loads(done.stdout)

    def read_queue(self, count):
        """What the queue holds, which should be count messages; empties it."""
        return self._rawlimit("read", count)

    def rawlimit(self, messages, body_bytes, window):
        self.fresh_queue()
        return self._rawlimit("publish", messages, body_bytes, window)

    def fill(self, form, values, batch, queue=QUEUE, source="loadgen"):
        """A new queue with values in it, as rabbitmq_publish would write them."""
        self.fresh_queue(queue)
        return self._told([self.program("fill"), *self._address(queue), form,
                           str(values), str(batch), source])

    def rawlimit_consume(self, prefetch, ack_batch, form, values, batch):
        """Messages of the same kind taken by nobody's daemon; the rate is that
        of values."""
        messages = self.fill(form, values, batch)["messages"]
        got = self._rawlimit("consume", messages, prefetch, ack_batch)
        return {"rate": got["rate"] * values / messages,
                "cpu_us": got["cpu_us"] * messages / values}

    # -- the writers ---------------------------------------------------------

    def warren(self, at=None, **options):
        """Our publisher, without its own series so that every message counts."""
        return ("rabbitmq_publish", warren.publish(warren.publish_block(
            "x", at or self.broker, self.vhost.name,
            **({"Exchange": "", "RoutingKey": QUEUE, "ReportStats": False}
               | options))))

    def bare(self, total, body_bytes, window, batch=1, properties=False):
        host, port, vhost, queue = self._address()
        return ("bare", plugin("bare", Host=host, Port=int(port), VHost=vhost,
                               Queue=queue, Batch=batch, BodyBytes=body_bytes,
                               Window=window, Total=total,
                               Properties=properties,
                               Result=os.path.join(self.dir, "bare.json")))

    def stock(self, **options):
        host, port, vhost, queue = self._address()
        return ("amqp", plugin("amqp", block("Publish", "stock", **({
            "Host": host, "Port": port, "VHost": vhost, "User": "guest",
            "Password": "guest", "Exchange": "", "RoutingKey": queue,
            "Persistent": True, "Format": "Command"} | options))))

    @staticmethod
    def null(**options):
        return ("null", plugin("null", **options))

    # -- the consumers: (module, configuration) ------------------------------

    def subscriber(self, *queues, at=None, **options):
        """Our consumer, a block for each queue."""
        return ("rabbitmq_consume", warren.consume(*(
            warren.subscribe_block(
                f"x{i}", at or self.broker, self.vhost.name,
                **({"Queue": queue, "ReportStats": False} | options))
            for i, queue in enumerate(queues or (QUEUE,)))))

    def bare_consumer(self, batch, **options):
        host, port, vhost, queue = self._address()
        return ("bare_consume", plugin("bare_consume", **({
            "Host": host, "Port": int(port), "VHost": vhost, "Queue": queue,
            "Batch": batch, "Series": SERIES, "Ahead": AHEAD} | options)))

    # -- runs ----------------------------------------------------------------

    def new_place(self, name):
        """The directory of one more run."""
        self._runs += 1
        return os.path.join(self.dir, f"{self._runs:04}-{name}")

    def daemon(self, writer, total, write_threads=WRITE_THREADS, **loadgen):
        """A collectd, not yet started, that feeds writer."""
        name, configuration = writer
        where = self.new_place(name)
        return Daemon(where, self.modules, [name, "loadgen"],
                      [configuration, plugin(
                          "loadgen", **({
                              "Total": total, "Series": SERIES, "Delay": 0.2,
                              "Ahead": AHEAD, "Result": f"{where}/loadgen.json"}
                              | loadgen))],
                      interval=10.0, write_threads=write_threads)

    @staticmethod
    def generated(daemon, timeout=600):
        """What loadgen says once every value has been written."""
        path = daemon.path("loadgen.json")

        def read():
            if not daemon.is_running():
                raise Wrong(f"collectd ended:\n{daemon.log()[-3000:]}")
            try:
                with open(path, encoding="ascii") as f:
                    return json.load(f)
            except (FileNotFoundError, ValueError):
                return None
        return wait_for(read, timeout, "loadgen's result", pause=0.1)

    def run_null(self, total, **loadgen):
        """Values per second through collectd alone."""
        with self.daemon(self.null(), total, **loadgen).launch() as d:
            took = self.generated(d)
            return {"rate": total / (took["end"] - took["begin"]),
                    "rss_kb": peak_rss_kb(d),
                    "cpu_us": cpu_s(d.process.pid) / total * 1e6}

    def run(self, writer, total, batch=1, timeout=300, **how):
        """One run into the queue; returns its figures. What is in the queue
        afterwards is read and counted."""
        self.fresh_queue()
        still_s = 1.3 if batch > 1 else 0.2 # FlushInterval, and a little
        watch = Watch(self.broker, self.vhost)
        broker_cpu = cpu_s(self.broker.pid)
        d = self.daemon(writer, total, **how)
        try:
            with d.launch():
                took, count, when = self._follow(d, watch, total, batch, still_s,
                                                 timeout)
                figures = {"rate": total / (when - took["begin"]),
                           "write_rate": total / (took["end"] - took["begin"]),
                           "rss_kb": peak_rss_kb(d),
                           "cpu_us": cpu_s(d.process.pid) / total * 1e6,
                           "broker_cpu_us":
                               (cpu_s(self.broker.pid) - broker_cpu) / total * 1e6}
                self._cross_check(writer[0], figures, when - took["begin"])
        finally:
            watch.close()
        figures["account"] = account(d)
        figures["queue"] = self.read_queue(count)
        self._check(writer[0], figures, total, count)
        return figures

    def _follow(self, d, watch, total, batch, still_s, timeout):
        began = time.monotonic()
        expected = -(-total // batch)
        count, when = watch.until(expected, began + 1, still_s, timeout)
        self._last_seen = when
        return self.generated(d, 10), count, when

    def _cross_check(self, name, figures, seconds):
        """bare knows when its last confirm came: by how much of the run the
        queue's yardstick is off."""
        if name == "bare":
            with open(os.path.join(self.dir, "bare.json"), encoding="ascii") as f:
                end = json.load(f)["end"]
            figures["confirmed_after_s"] = end - self._last_seen
            figures["yardstick_off"] = (end - self._last_seen) / seconds

    @staticmethod
    def _check(name, figures, total, count):
        got = figures["queue"]
        if got["messages"] != count:
            raise Wrong(f"{name}: {got['messages']} messages read of {count}")
        if name == "bare":
            return
        if got["values"] != total:
            raise Wrong(f"{name}: {got['values']} values arrived of {total}")
        books = figures["account"]
        if books and (books["accepted"], books["confirmed"]) != (count, count):
            raise Wrong(f"{name}: the queue held {count} messages, its log: {books}")


def account(daemon, module="rabbitmq_publish"):
    """{word: number} of our module's last lines, a block's each, or {}."""
    total = {}
    for line in daemon.log_lines(rf"{module} plugin: .* ended: "):
        for number, word in re.findall(r"(\d+) (?:messages |of them )?(\w+)",
                                       line.split("ended: ")[1]):
            total[word] = total.get(word, 0) + int(number)
    return total


def _status(daemon, field):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as f:
        return int(re.search(rf"^{field}:\s*(\d+)", f.read(), re.M).group(1))


def peak_rss_kb(daemon):
    return _status(daemon, "VmHWM")


def rss_kb(daemon):
    return _status(daemon, "VmRSS")


def cpu_s(pid):
    """User and system time of a process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
