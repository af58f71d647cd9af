# SPDX-License-Identifier: MIT
"""warren check, as Nagios and Icinga call it."""

import os
import re
import subprocess
import time

from rig.collectd import built_program
from rig.ports import free_ports
from rig.waiting import wait_for

# 'label'=value[UOM];[warn];[crit], of the Development Guidelines.
PERF = re.compile(r"'([^'=]+)'=(-?[0-9.]+(?:e[+-]?\d+)?)(s|%|B|c)?;([^; ]*);([^; ]*)")


def check(build, *args, url, password="guest"):
    done = subprocess.run(
        [built_program(build, "warren"), "check", *args, "--url", url],
        capture_output=True, text=True, timeout=60,
        env=dict(os.environ, WARREN_PASSWORD=password))
    assert done.stderr == "", done.stderr
    line, = done.stdout.splitlines()
    text, _, perf = line.partition(" | ")
    assert not PERF.sub("", perf).strip(), perf
    word = ("OK", "WARNING", "CRITICAL", "UNKNOWN")[done.returncode]
    assert text.startswith(f"RABBITMQ {args[0].upper()} {word} - "), line
    return word, text, {m[0]: float(m[1]) for m in PERF.findall(perf)}


def test_a_healthy_broker_is_ok_in_all_five(build, broker, vhost):
    vhost.queue("q")
    vhost.publish("", "q", b"x")
    vhost.take_all("q")
    for indicator in "connection", "lag", "errors", "resource", "throughput":
        def is_ok():
            word, text, perf = check(
                build, indicator, "--over", "1", "--include-vhost", vhost.name,
                url=broker.url)
            assert word in ("OK", "UNKNOWN"), text  # statistics are late
            return word == "OK" and perf
        wait_for(is_ok, 20, f"{indicator} is OK")


def test_a_backlog_is_critical_by_the_users_range_and_named(build, broker, vhost):
    vhost.queue("orders")
    for _ in range(12):
        vhost.publish("", "orders", b"x")

    def seen():
        return check(build, "lag", "--include-vhost", vhost.name, "--critical",
                     "10", url=broker.url)
    wait_for(lambda: seen()[0] == "CRITICAL", 20, "the backlog is seen")
    word, text, perf = seen()
    assert f"queue orders in vhost {vhost.name}: 12 messages ready or unack" in text
    assert perf["queue_backlog"] == 12
    assert check(build, "lag", "--include-vhost", vhost.name, "--measure",
                 "queue_ready", "--warning", "10", url=broker.url)[0] == "WARNING"


def test_who_refuses_or_does_not_answer_is_critical_and_says_why(build, broker):
    word, text, _ = check(build, "connection", url=broker.url, password="wrong")
    assert word == "CRITICAL" and "401" in text, text
    begin = time.monotonic()
    word, text, _ = check(
        build, "errors", url=f"http://127.0.0.1:{free_ports(1)[0]}")
    assert word == "CRITICAL" and "no answer" in text, text
    assert time.monotonic() - begin < 5, "an answer that does not come is not awaited twice"


def test_wrong_arguments_are_unknown(build):
    for args in (["lagg"], [], ["lag", "--warning", "x"], ["lag", "--nothing"],
                 ["lag", "--over", "60", "--deadline", "50"]):
        done = subprocess.run([built_program(build, "warren"), "check", *args],
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 3, args
        assert done.stdout == "" and done.stderr.startswith("E! warren check: "), args


def test_icingas_definition_names_arguments_that_exist(build):
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../contrib/icinga/warren.conf")) as f:
        named = set(re.findall(r'"(--[a-z-]+)"', f.read()))
    shown = subprocess.run([built_program(build, "warren"), "check", "--help"],
                           capture_output=True, text=True, timeout=20).stdout
    assert len(named) >= 10
    assert named <= set(re.findall(r"^  (--[a-z-]+)", shown, re.M))
