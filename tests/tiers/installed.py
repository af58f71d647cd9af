#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What is installed on this system does its work in the system's collectd, with
a private broker: values travel, the monitor looks, the command prints, the
samples are read. Debian's autopkgtest runs it, and contrib/run-tests --packages.

usage: installed.py [--during COMMAND]   COMMAND (of the shell) runs while the
                                         daemons do, which must not mind
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / "tests"))

from rig import modules as warren  # noqa: E402
from rig.broker import Broker  # noqa: E402
from rig.collectd import DAEMON, OURS, STOCK_PLUGINS, Daemon, plugin  # noqa: E402
from rig.compare import unmatched  # noqa: E402
from rig.csvfiles import CsvFiles  # noqa: E402
from rig.waiting import wait_for  # noqa: E402

EXAMPLES = pathlib.Path("/usr/share/doc/collectd-mod-rabbitmq/examples")
VALUES = 50  # at least so many travel
INDICATORS = ("bool-reachable", "queue_length-ready", "percent-error_rate",
              "total_operations-publish", "current_connections-open")


class Failures:
    """One line for each thing looked at."""

    def __init__(self):
        self.count = 0

    def look(self, what, function, *arguments):
        try:
            said = function(*arguments)
        except Exception as e:  # pylint: disable=broad-except
            said = f"{type(e).__name__}: {e}"
        print(f"FAILED  {what}: {said}" if said else f"ok      {what}", flush=True)
        self.count += bool(said)
        return not said


class Daemons:
    """A publisher and a consumer that monitors, with the installed modules or
    those of another directory."""

    def __init__(self, work, modules=None, command="warren"):
        self.command = command
        self.broker = Broker(str(work / "broker"), name="packages")
        # No directory of modules: every one is the system's.
        nowhere = modules or str(work / "nowhere")
        self.a = Daemon(
            str(work / "a"), nowhere, ["csv", "load", "memory",
                                       "rabbitmq_publish"],
            [plugin("csv", DataDir=str(work / "a" / "csv")),
             warren.publish(warren.publish_block(
                 "x", self.broker, "/", Exchange="metrics", ExchangeType="topic",
                 SpoolDir=str(work / "a" / "spool"), ShutdownTimeout=10))],
            host="a.example.org", interval=0.5)
        self.b = Daemon(
            str(work / "b"), nowhere, ["csv", "rabbitmq_consume",
                                       "rabbitmq_monitor"],
            [plugin("csv", DataDir=str(work / "b" / "csv")),
             warren.consume(warren.subscribe_block(
                 "x", self.broker, "/", Exchange="metrics", ExchangeType="topic",
                 RoutingKey="#", Queue="x", ShutdownTimeout=10)),
             warren.monitor(warren.cluster_block("x", self.broker, Interval=1))],
            host="b.example.org", interval=0.5)
        self.sent = CsvFiles(self.a.path("csv"), "a.example.org")
        self.got = CsvFiles(self.b.path("csv"), "a.example.org")
        self.own = CsvFiles(self.b.path("csv"), "b.example.org")

    def start(self):
        self.broker.start()
        self.b.start()
        wait_for(lambda: self.broker.api("GET", "queues/%2F/x")[1].get("consumers"),
                 30, f"a consumer\n{self.b.log()}")
        self.a.start()

    def values_travel(self):
        before = sum(self.got.values().values())
        wait_for(lambda: sum(self.got.values().values()) >= before + VALUES, 60,
                 f"{VALUES} values arrive\n{self.a.log()}\n{self.b.log()}")

    def indicators_come(self):
        wait_for(lambda: set(INDICATORS) <= set(
            self.own.newest("rabbitmq_monitor-x")), 30, "the indicators come")
        if self.own.newest("rabbitmq_monitor-x")["bool-reachable"] != 1:
            return "the broker is up and not reachable"
        return None

    def command_prints(self):
        said = subprocess.run(
            [self.command, "monitor", "--url", self.broker.url, "--user", "guest"],
            input="\n", stdout=subprocess.PIPE, text=True, timeout=30, check=True,
            env={**os.environ, "WARREN_PASSWORD": "guest"}).stdout
        if "bool_reachable=1i" not in said and "bool_reachable=1" not in said:
            return f"no reachable broker in {said!r}"
        return None

    def nothing_is_lost(self):
        """A first, so that nothing new comes; then everything is there."""
        self.a.stop()
        wait_for(lambda: not unmatched(self.sent.values(), self.got.values())[0],
                 30, "what was written by A is written by B")
        self.b.stop()
        if (self.a.status, self.b.status) != (0, 0):
            return f"exit status {self.a.status} and {self.b.status}"
        errors = (self.a.log_lines(r"\[error\]") + self.b.log_lines(r"\[error\]"))
        return "\n".join(errors) or None

    def close(self):
        self.a.__exit__()
        self.b.__exit__()
        self.broker.destroy()


def samples_are_read(work):
    """tests/check_samples.sh, with the installed modules for those just built;
    the samples it reads are the installed ones."""
    for path in sorted((TOP / "conf.d").iterdir()):
        if (EXAMPLES / path.name).read_bytes() != path.read_bytes():
            return f"{path.name} among the examples is another"
    libs = work / "build" / ".libs"
    libs.mkdir(parents=True)
    for name in OURS:
        shutil.copy(os.path.join(STOCK_PLUGINS, f"{name}.so"), libs)
    done = subprocess.run(
        ["bash", str(TOP / "tests" / "check_samples.sh")], text=True, timeout=120,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        env={**os.environ, "COLLECTD": DAEMON, "top_builddir": str(libs.parent),
             "MODULES": " ".join(f"{name}.la" for name in OURS)})
    if done.returncode or "# SKIP" in done.stdout:
        return done.stdout
    return None


def command_runs(command):
    done = subprocess.run(command, shell=True, text=True, timeout=600, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout[-3000:] if done.returncode else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--during")
    during = parser.parse_args().during
    work = pathlib.Path(tempfile.mkdtemp(prefix="installed."))
    failures = Failures()
    daemons = Daemons(work)
    try:
        if not failures.look("the daemons start with the installed modules",
                             daemons.start):
            return 1
        failures.look("values travel", daemons.values_travel)
        failures.look("the five indicators come", daemons.indicators_come)
        if during:
            failures.look(during.split("/")[0].strip(), command_runs, during)
            time.sleep(1)
            failures.look("the daemons have not minded", daemons.values_travel)
        failures.look("the command prints", daemons.command_prints)
        failures.look("nothing is lost, no error is logged",
                      daemons.nothing_is_lost)
        failures.look("the samples are read", samples_are_read, work)
    finally:
        daemons.close()
        shutil.rmtree(work, ignore_errors=True)
    return 1 if failures.count else 0


if __name__ == "__main__":
    sys.exit(main())
