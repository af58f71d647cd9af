# SPDX-License-Identifier: MIT
"""warren drill: each comes and goes on a real broker, and leaves nothing."""

import json
import os
import pty
import re
import signal
import subprocess

import pytest

from conftest import IS_LONG
from rig.collectd import built_program
from rig.ports import free_ports
from rig.waiting import wait_for
from rig.web import Web


# Two that are soon over; CI has no time for more.
DRILLS = ["backlog", "closed-connection"]
if IS_LONG:
    DRILLS += ["unroutable", "nack", "redelivery"]
PRIVATE = ["memory-alarm", "disk-alarm", "kill"]
README = ["backlog"]  # its line has --private, too


def command(build, broker, *args, amqp_port=None):
    return [built_program(build, "warren"), "drill", *args, "--url", broker.url,
            "--amqp", f"127.0.0.1:{amqp_port or broker.amqp_port}", "--hold", "0.3",
            "--metrics-url", broker.metrics_url]


def drill(build, broker, *args, password="guest", **more):
    return subprocess.run(
        command(build, broker, *args, **more), capture_output=True, text=True, timeout=120,
        stdin=subprocess.DEVNULL, env=dict(os.environ, WARREN_PASSWORD=password))


def left(broker):
    return [v["name"] for v in broker.must("GET", "vhosts?columns=name")
            if v["name"].startswith("warren-drill-")]


def name_of(broker):
    return broker.must("GET", "cluster-name")["name"]


def private(build, tmp_path, *args):
    """Its files are below tmp_path."""
    return subprocess.Popen(
        [built_program(build, "warren"), "drill", *args, "--private",
         "--hold", "0.3"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
        env=dict(os.environ, TMPDIR=str(tmp_path)))


def running(tmp_path):
    """Names of the processes with a directory of a private broker in their
    environment or arguments."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            what = b""
            for name in ("environ", "cmdline"):
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    what += f.read()
            with open(f"/proc/{pid}/comm", encoding="utf-8") as f:
                name = f.read().strip()
        except OSError:
            continue
        if f"{tmp_path}/warren-drill.".encode() in what:
            found.append(name)
    return found


@pytest.mark.skipif(not IS_LONG, reason="a broker for each: WARREN_LONG=1")
@pytest.mark.parametrize("name", PRIVATE + README)
def test_a_private_broker_comes_and_goes_with_its_drill(build, tmp_path, name,
                                                        figure):
    p = private(build, tmp_path, name)
    wait_for(lambda: running(tmp_path), 20, "something of it runs")
    out, err = p.communicate(timeout=200)
    assert p.returncode == 0, out + err
    assert re.search(rf"^{name} +\S+ +[\d.]+ s +[\d.]+ s +[\d.]+ s$", out, re.M), out
    figure(f"warren drill {' '.join(out.splitlines()[1].split())}")
    wait_for(lambda: not running(tmp_path), 10, "nothing of it runs")
    assert os.listdir(tmp_path) == []


def test_of_a_private_broker_that_is_stopped_early_nothing_is_left(build, tmp_path):
    for end in (signal.SIGTERM, signal.SIGKILL):
        p = private(build, tmp_path, "kill")
        wait_for(lambda: {"epmd", "beam.smp", "erl_child_setup"} <=
                 set(running(tmp_path)), 60, "epmd and the server run")
        p.send_signal(end)
        out, err = p.communicate(timeout=30)
        wait_for(lambda: not running(tmp_path), 30, "nothing of it runs")
        if end == signal.SIGTERM:
            assert p.returncode == 1 and "stopped" in err, out + err
            assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not IS_LONG, reason="starts a broker: WARREN_LONG=1")
def test_a_signal_ends_the_wait_for_rabbitmqctl(build, tmp_path):
    bins = tmp_path / "bin"
    bins.mkdir()
    for name, text in (("rabbitmqctl", "sleep 300; exit 1"),
                       ("rabbitmq-server",
                        "exec /usr/lib/rabbitmq/bin/rabbitmq-server")):
        (bins / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (bins / name).chmod(0o755)
    p = private(build, tmp_path, "memory-alarm", "--rabbitmq-bin", str(bins))
    wait_for(lambda: "sleep" in running(tmp_path), 60, "rabbitmqctl hangs")
    p.send_signal(signal.SIGTERM)
    out, err = p.communicate(timeout=20)
    assert p.returncode == 1 and "stopped" in err, out + err
    wait_for(lambda: not running(tmp_path), 10, "nothing of it runs")
    assert os.listdir(tmp_path) == ["bin"]


def test_a_private_broker_that_cannot_be_started_is_said(build, tmp_path):
    for args, status, want in (
            (["--rabbitmq-bin", "/nowhere"], 1, "/nowhere/rabbitmq-server"),
            (["--url", "http://127.0.0.1:1"], 2, "starts its own broker"),
            (["--yes-on", "x"], 2, "starts its own broker")):
        p = private(build, tmp_path, "kill", *args)
        out, err = p.communicate(timeout=30)
        assert p.returncode == status and want in err and out == "", out + err
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", DRILLS)
def test_it_comes_and_goes_and_nothing_is_left(build, broker, name, figure):
    done = drill(build, broker, name, "--yes-on", name_of(broker))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(rf"^{name} +\S+ +[\d.]+ s +[\d.]+ s +[\d.]+ s$", done.stdout,
                     re.M), done.stdout
    # RabbitMQ 3.10's plugin does not tell these of each virtual host.
    is_shared = name in ("unroutable", "nack", "redelivery")
    assert ("it is the whole cluster's" in done.stdout) == is_shared, done.stdout
    figure(f"warren drill {' '.join(done.stdout.splitlines()[1].split())}")
    assert left(broker) == []


@pytest.mark.skipif(not IS_LONG, reason="a minute for each: WARREN_LONG=1")
@pytest.mark.parametrize("name", ["unroutable", "redelivery"])
def test_the_management_api_tells_the_drills_own_errors(build, broker, name):
    done = drill(build, broker, name, "--source", "management", "--yes-on",
                 name_of(broker))
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(done.stdout.splitlines()) == 2, done.stdout
    assert left(broker) == []


def test_a_backlog_is_seen_among_more_queues_than_are_looked_at(build, broker):
    with broker.vhost("drilled/many") as vhost:
        for i in range(12):
            vhost.queue(f"q{i}")
        done = drill(build, broker, "backlog", "--max-queues", "5", "--limit", "60",
                     "--yes-on", name_of(broker))
    assert done.returncode == 0, done.stdout + done.stderr


def test_where_amqp_is_not_found_it_says_what_was_tried(build, broker):
    port, = free_ports(1)
    done = drill(build, broker, "closed-connection", "--limit", "6", "--yes-on",
                 name_of(broker), amqp_port=port)
    assert done.returncode == 1, done
    assert re.search("bool-amqp_usable is not told to be well before the fault: .*"
                     f"127.0.0.1:{port}: .*refused", done.stderr), done.stderr
    assert done.stdout == "", "a table of a fault that was not made"
    assert left(broker) == []


def test_without_a_confirmation_nothing_is_done(build, broker):
    for args in (["backlog"], ["backlog", "--yes-on", "another"],
                 ["nothing", "--yes-on", name_of(broker)],
                 ["--yes-on", name_of(broker)]):
        done = drill(build, broker, *args)
        assert done.returncode == 2 and done.stderr.startswith("E! warren drill: ")
        assert done.stdout == ""
    assert left(broker) == []


def test_a_user_who_may_only_look_is_told_and_nothing_is_measured(build, broker):
    broker.must("PUT", "users/looker", {"password": "p", "tags": "monitoring"})
    try:
        for password, want in (("p", "Not administrator user"),
                               ("q", "(Login failed|Not_Auth).*WARREN_PASSWORD")):
            done = drill(build, broker, "unroutable", "--yes-on", name_of(broker),
                         "--user", "looker", password=password)
            assert done.returncode == 1 and done.stdout == "", done
            assert re.search(f"HTTP status 401 .{want}.*administrator$",
                             done.stderr), done.stderr
    finally:
        broker.must("DELETE", "users/looker")
    assert left(broker) == []


def test_who_is_asked_to_confirm_knows_of_which_cluster(build, broker):
    """On a terminal. A node's name is what many would type."""
    mine, its = pty.openpty()
    try:
        for args, what in ((["unroutable"], "A fault is"),
                           (["--cleanup"], "all drills, .*that run now, .*removed")):
            os.write(mine, b"rabbit\n")
            done = subprocess.run(command(build, broker, *args), capture_output=True,
                                  text=True, timeout=60, stdin=its,
                                  env=dict(os.environ, WARREN_PASSWORD="guest"))
            assert done.returncode == 2 and done.stdout == "", done
            assert re.search(rf"{what}.* the cluster at {broker.url}\.\n.*"
                             "cluster_status.*: E! .*nothing was done", done.stderr)
    finally:
        os.close(mine)
        os.close(its)


@pytest.mark.parametrize("args, want", [
    ([], "name one drill: .*backlog, .*list.*--cleanup"),
    (["--private", "backlog"], "drill comes first: warren drill backlog"),
    (["--url", "http://x", "nack"], "drill comes first: warren drill nack"),
    (["--user", "kill", "--yes-on=a"], "name one drill: "),
    (["backlog", "--amqp", "u:hunter2@h"], "--amqp: a user or password inside"),
    (["--bogus"], "no option --bogus")])
def test_wrong_arguments_are_explained(build, args, want):
    done = subprocess.run([built_program(build, "warren"), "drill", *args],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 2 and done.stdout == "", done
    assert re.fullmatch(f"E! warren drill: .*{want}.*\n", done.stderr), done.stderr
    assert "hunter2" not in done.stderr


def test_what_hurts_a_whole_broker_is_refused(build, broker):
    for name in ("memory-alarm", "disk-alarm", "kill"):
        done = drill(build, broker, name, "--yes-on", name_of(broker))
        assert done.returncode == 1 and "--private" in done.stderr, done.stderr
        assert done.stdout == ""
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
    # Whether it runs, its virtual host does not tell: one that does loses it.
    p = begin()
    done = drill(build, broker, "--cleanup", "--yes-on", name_of(broker))
    assert done.returncode == 0 and "1 virtual hosts removed" in done.stdout
    assert p.wait(90) == 1 and left(broker) == []


def test_a_vhost_that_cannot_be_removed_is_said_beside_the_cause(build):
    def answer(handler):
        """Makes a virtual host, but no queue, and removes nothing."""
        made = handler.command == "PUT" and "/queues/" not in handler.path
        told = handler.command == "GET"
        handler.reply(201 if made else 200 if told else 503, b'{"name":"guest"}')
    with Web(answer) as web:
        done = subprocess.run(
            [built_program(build, "warren"), "drill", "backlog", "--url", web.url,
             "--yes-on", "guest"],
            capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
            env=dict(os.environ, WARREN_PASSWORD="guest"))
    assert done.returncode == 1, done
    assert re.search(r"queues/.*503.*; warren-drill-[0-9a-f]{16} is left, "
                     "--cleanup removes it: .*503", done.stderr), done.stderr


def test_more_leftovers_than_are_removed_at_a_time_are_said(build):
    there = [f"warren-drill-{i:016x}" for i in range(70)]

    def answer(handler):
        if handler.command == "DELETE":
            there.remove(handler.path.rsplit("/", 1)[1])
        listed = json.dumps([{"name": name} for name in ["/", *there]])
        handler.reply(200, b'{"name":"guest"}' if "cluster-name" in handler.path
                      else listed.encode(), Connection="close")
    with Web(answer) as web:
        runs = [subprocess.run(
            [built_program(build, "warren"), "drill", "--cleanup", "--url", web.url,
             "--yes-on", "guest"], capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL, check=False) for _ in range(2)]
    assert [(r.returncode, r.stdout) for r in runs] == [
        (1, "64 virtual hosts removed\n"), (0, "6 virtual hosts removed\n")], runs
    assert runs[0].stderr == "E! warren drill: 6 more are left; run it again\n"
    assert there == []
