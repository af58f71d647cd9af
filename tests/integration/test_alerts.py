# SPDX-License-Identifier: MIT
"""Alerts: what a real broker goes through, and what collectd's handlers hear."""

import getpass
import os
import pathlib
import re
import shutil
import signal
import tempfile
import time

import pytest

from rig import modules as warren
from rig.collectd import DAEMON, Daemon, block, plugin
from rig.waiting import wait_for

SOURCES = pathlib.Path(__file__).resolve().parents[2]
FAILURE, WARNING, OKAY = 1, 2, 4
CONTROL = r"""#!/bin/bash
# control start|stop DIRECTORY: a collectd, as systemd would run it
case $1 in
  start) "$DAEMON" -f -C "$2/collectd.conf" </dev/null >>"$2/stderr" 2>&1 &
         echo $! >"$2/control.pid" ;;
  stop) kill "$(cat "$2/control.pid")" ;;
esac
"""


def said(daemon):
    """[(severity, message)] of the monitor's notifications."""
    return [(severity, message) for severity, source, message
            in daemon.record.refresh().notifications
            if "/rabbitmq_monitor/" in source]


def alert(kind, **options):
    return block("Alert", kind, **options)


def fill(vhost, queue, count):
    with vhost.connect() as connection:
        channel = connection.channel()
        for i in range(count):
            channel.basic_publish("", queue, b"PUTVAL h/scale/gauge-n %.3f:%d\n"
                                  % (time.time() - count + i, i))


def test_an_outage_is_one_alert_and_silences_its_queues(rig, victim, victim_vhost):
    victim_vhost.queue("q")
    m = rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(warren.cluster_block(
        "main", victim, alert("connection", Hold=3, ClearHold=0),
        alert("backlog", Failure=3, Hold=6, ClearHold=1),
        Interval=1, Timeout=1, IncludeVHost=victim_vhost.name))).start()
    wait_for(lambda: m.record.series("rabbitmq_monitor-main/").get(
        "bool-reachable") == 1, 30, "reachable")
    fill(victim_vhost, "q", 5)
    wait_for(lambda: any(
        name.endswith("queue_length-ready") and v == 5 for name, v in
        m.record.series("rabbitmq_monitor-main-queue-").items()), 30,
        "the backlog is seen, and its hold has begun")
    victim.hang()
    try:
        wait_for(lambda: said(m), 60, "the outage is said")
        time.sleep(4)  # longer than what is left of the backlog's hold
        assert said(m) == [(FAILURE, "cluster main: the broker is not reachable")]
    finally:
        victim.cont()
    wait_for(lambda: len(said(m)) >= 2, 60, "its end is said")
    severity, message = said(m)[1]
    assert severity == OKAY and "is reachable again, after" in message
    wait_for(lambda: len(said(m)) >= 3, 60, "the backlog is said, after a hold")
    severity, message = said(m)[2]
    assert severity == FAILURE
    assert re.search("queue q in vhost .*: 5, limit 3$", message), message
    victim_vhost.delete_queue("q")
    wait_for(lambda: len(said(m)) >= 4, 60, "the queue's end is said")
    severity, message = said(m)[3]
    assert severity == OKAY and "it is gone" in message
    assert len(m.log_lines(r"rabbitmq_monitor plugin: .*state=(failure|okay)")) == 4
    assert m.stop() < 15


@pytest.fixture
def scale():
    """A directory of the user that the plugin exec switches to: it runs nothing
    as root."""
    user = "nobody" if os.getuid() == 0 else getpass.getuser()
    where = tempfile.mkdtemp(prefix="warren-scale-")
    os.chmod(where, 0o755)
    control = pathlib.Path(where, "control")
    control.write_text(CONTROL.replace("$DAEMON", DAEMON), encoding="ascii")
    control.chmod(0o755)
    shutil.copy(SOURCES / "contrib" / "autoscale.sh", where)
    os.mkdir(f"{where}/state")
    shutil.chown(f"{where}/state", user)
    yield where, user
    try:
        with open(f"{where}/consumer/control.pid", encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGKILL)
    except (FileNotFoundError, ValueError, ProcessLookupError):
        pass
    shutil.rmtree(where, ignore_errors=True)


def second_consumer(where, user, modules, broker, vhost):
    """A collectd that is configured, owned by user and not started."""
    there = shutil.copytree(modules, f"{where}/modules")
    os.chmod(there, 0o755)
    Daemon(f"{where}/consumer", there, ["rabbitmq_consume"],
           [warren.consume(warren.subscribe_block("x", broker, vhost.name,
                                                  Queue="work"))])
    for path in (f"{where}/consumer", f"{where}/consumer/collectd.conf"):
        shutil.chown(path, user)
    return f"{where}/consumer"


def sample_with(broker, where, user, consumer):
    """conf.d/autoscale.conf, for this broker and in seconds instead of minutes."""
    text = (SOURCES / "conf.d" / "autoscale.conf").read_text(encoding="utf-8")
    for pattern, instead in [
            (r"(?m)^LoadPlugin .*", ""),
            (r'URL ".*"', f'URL "{broker.url}"\n    Interval 1'),
            ("Failure 50000", "Failure 100"), ("ClearHold 300", "ClearHold 1"),
            ("Hold 60", "Hold 1"),
            ("NotificationExec .*", f'NotificationExec "{user}" '
             f'"{where}/autoscale.sh" "{where}/state" "{consumer}" '
             f'"{where}/control"')]:
        text, count = re.subn(pattern, instead, text)
        assert count, f"{pattern} is not in the sample"
    return text


def test_a_backlog_starts_a_second_consumer_and_its_end_stops_it(
        rig, broker, vhost, built, scale):
    where, user = scale
    vhost.queue("work")
    consumer = second_consumer(where, user, built, broker, vhost)
    m = rig.daemon("M", ["rabbitmq_monitor", "exec"],
                   sample_with(broker, where, user, consumer)).start()
    fill(vhost, "work", 300)
    wait_for(lambda: vhost.consumers("work") == 1, 60,
             "the second consumer has been started")
    wait_for(lambda: vhost.ready("work") == 0, 60, "it empties the queue")
    wait_for(lambda: vhost.consumers("work") == 0, 60, "it has been stopped")
    assert [severity for severity, _ in said(m)] == [FAILURE, OKAY], said(m)
    assert os.listdir(f"{where}/state/raised") == []
    assert not m.log_lines(r"exec plugin|\[error\](?!.*limit)"), m.log()
