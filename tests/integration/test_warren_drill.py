# SPDX-License-Identifier: MIT
"""warren drill: each comes and goes on a real broker, and leaves nothing."""

import os
import re
import signal
import subprocess

import pytest

from conftest import IS_LONG
from rig.collectd import built_program
from rig.waiting import wait_for


# Two that are soon over; CI has no time for more.
DRILLS = ["backlog", "closed-connection"]
if IS_LONG:
    DRILLS += ["unroutable", "nack", "redelivery"]


def command(build, broker, *args):
    return [built_program(build, "warren"), "drill", *args, "--url", broker.url,
            "--amqp", f"127.0.0.1:{broker.amqp_port}", "--hold", "0.3",
            "--metrics-url", broker.metrics_url]


def drill(build, broker, *args):
    return subprocess.run(
        command(build, broker, *args), capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL, env=dict(os.environ, WARREN_PASSWORD="guest"))


def left(broker):
    return [v["name"] for v in broker.must("GET", "vhosts?columns=name")
            if v["name"].startswith("warren-drill-")]


def name_of(broker):
    return broker.must("GET", "cluster-name")["name"]


@pytest.mark.parametrize("name", DRILLS)
def test_it_comes_and_goes_and_nothing_is_left(build, broker, name, figure):
    done = drill(build, broker, name, "--yes-on", name_of(broker))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} +\S+ +[\d.]+ s +[\d.]+ s +[\d.]+ s$", done.stdout,
                     re.M), done.stdout
    figure(f"warren drill {' '.join(done.stdout.splitlines()[1].split())}")
    assert left(broker) == []


def test_without_a_confirmation_nothing_is_done(build, broker):
    for args in (["backlog"], ["backlog", "--yes-on", "another"],
                 ["nothing", "--yes-on", name_of(broker)],
                 ["--yes-on", name_of(broker)]):
        done = drill(build, broker, *args)
        assert done.returncode == 2 and done.stderr.startswith("E! warren drill: ")
        assert done.stdout == ""
    assert left(broker) == []


def test_what_hurts_a_whole_broker_is_refused(build, broker):
    for name in ("memory-alarm", "disk-alarm", "kill"):
        done = drill(build, broker, name, "--yes-on", name_of(broker))
        assert done.returncode == 1 and "--private" in done.stderr, done.stderr
    assert left(broker) == []
    assert not broker.must("GET", "nodes")[0]["mem_alarm"]


def test_what_a_killed_one_leaves_is_removed_and_a_signal_leaves_nothing(
        build, broker):
    def begin():
        p = subprocess.Popen(
            command(build, broker, "backlog", "--yes-on", name_of(broker)),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(os.environ, WARREN_PASSWORD="guest"))
        wait_for(lambda: left(broker), 20, "its virtual host is there")
        return p
    p = begin()
    p.send_signal(signal.SIGTERM)
    assert p.wait(30) == 1 and left(broker) == []
    p = begin()
    p.kill()
    p.wait(10)
    assert len(left(broker)) == 1
    done = drill(build, broker, "--cleanup", "--yes-on", name_of(broker))
    assert done.returncode == 0 and "1 virtual hosts removed" in done.stdout
    assert left(broker) == []
