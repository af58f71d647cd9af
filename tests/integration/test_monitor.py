# SPDX-License-Identifier: MIT
"""The monitor, in collectd and as the command warren."""

import os
import re
import subprocess
import time

import pytest

from rig import modules as warren
from rig.collectd import block, built_program
from rig.process import end, spawn
from rig.waiting import wait_for

OVERVIEW = (
    "bool-reachable response_time-management current_connections-open "
    "gauge-nodes_running gauge-nodes_total gauge-partitions "
    "queue_length-ready queue_length-unacked "
    "total_operations-publish total_operations-confirm total_operations-deliver "
    "total_operations-ack duration-scrape bytes-scrape"
).split()
NODE = (
    "bytes-memory_used bytes-memory_limit bytes-disk_free bytes-disk_limit "
    "percent-memory percent-file_handles percent-processes gauge-run_queue "
    "bool-running bool-memory_alarm bool-disk_alarm uptime "
    "percent-cpu percent-host_memory bytes-memory_rss"
).split()
QUEUE = "queue_length-ready queue_length-unacked gauge-consumers".split()


def start_monitor(rig, broker, **options):
    return rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(
        warren.cluster_block("main", broker, **({"Interval": 1} | options)))).start()


def series_of(daemon, plugin="rabbitmq_monitor-main"):
    return daemon.record.series(f"{plugin}/")


def node_plugin(broker):
    return f"rabbitmq_monitor-main-node-{broker.node}"


def queue_plugin(vhost, queue):
    quoted = vhost.name.replace("/", "%2F").replace("-", "%2D")
    return f"rabbitmq_monitor-main-queue-{quoted}-{queue}"


def test_series_have_the_names_of_the_contract(rig, broker, vhost):
    vhost.queue("q")
    vhost.queue("drained")  # so that something was delivered and acked
    vhost.publish("", "drained", b"x")
    vhost.take_all("drained")
    for i in range(3):
        vhost.publish("", "q", b"%d" % i)
    m = start_monitor(rig, broker)
    queue = queue_plugin(vhost, "q")
    wait_for(lambda: series_of(m, queue).get("queue_length-ready") == 3, 30,
             "the queue's three messages are seen")
    # The broker counts what was delivered some seconds later.
    for names, plugin in ((OVERVIEW, "rabbitmq_monitor-main"),
                          (NODE, node_plugin(broker)), (QUEUE, queue)):
        wait_for(lambda: set(names) <= set(series_of(m, plugin)), 30,
                 f"all of {names} under {plugin}")
    wait_for(lambda: series_of(m)["bool-reachable"] == 1, 30, "it is reachable")
    assert series_of(m)["gauge-nodes_running"] == 1
    wait_for(lambda: series_of(m).get("queue_length-ready", 0) >= 3, 30,
             "the sum of all queues")
    node = series_of(m, node_plugin(broker))
    assert 0 < node["percent-memory"] <= 100
    assert node["bytes-memory_limit"] == 1e9
    assert (node["bool-running"], node["bool-memory_alarm"]) == (1, 0)
    with open(f"/proc/{broker.pid}/statm", encoding="ascii") as f:
        resident = int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    assert abs(node["bytes-memory_rss"] - resident) < 0.3 * resident
    assert m.stop() < 15


def test_queues_are_chosen_by_type_and_by_whose_they_are(rig, broker, vhost):
    for name, kind in ("classic", "classic"), ("quorum", "quorum"), (
            "stream", "stream"):
        vhost.queue(name, x_queue_type=kind)
    with vhost.connect() as connection:
        connection.channel().queue_declare("mine", exclusive=True)
        m = start_monitor(rig, broker, IncludeVHost=vhost.name, QueueType=[
            "classic", "quorum"], ExcludeExclusive=True)
        for name in "classic", "quorum":
            wait_for(lambda n=name: series_of(m, queue_plugin(vhost, n)), 40,
                     f"the queue {name} is reported")
        for name in "mine", "stream":
            assert not series_of(m, queue_plugin(vhost, name)), name


def test_a_virtual_host_that_is_down_is_told_where_it_is_asked_for(
        rig, broker, vhost):
    """RabbitMQ gives up one whose supervisor ends again and again."""
    stop = (f'[begin case rabbit_vhost_sup_sup:get_vhost_sup(<<"{vhost.name}">>) of '
            "{ok, P} -> exit(P, kill); _ -> ok end, timer:sleep(200) end "
            "|| _ <- lists:seq(1, 8)], length(rabbit_vhost_sup_sup:check()).")
    # On a busy machine the next one may not be there yet to be ended.
    wait_for(lambda: broker.eval(stop).strip() == "1", 60, "it is given up")
    m = rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(warren.cluster_block(
        "main", broker, block("Alert", "connection", Hold=0, ClearHold=0),
        Interval=1, HealthCheck="virtual-hosts"))).start()

    def down():
        return series_of(m).get("gauge-vhosts_down")

    def told(severity):
        return [text for s, _, text in m.record.refresh().notifications
                if s == severity and "virtual hosts that are down" in text]
    wait_for(lambda: down() == 1 and told(1), 60, "it is told")
    broker.eval(f'rabbit_vhost_sup_sup:start_vhost(<<"{vhost.name}">>).')
    wait_for(lambda: down() == 0 and told(4), 60, "its end is told")


def steady(get, seconds=3):
    """The value of get() once it has not changed for so long: the broker sums
    its statistics up in steps, and what came before still trickles in."""
    value, since = get(), time.monotonic()
    end = since + 40
    while time.monotonic() - since < seconds and time.monotonic() < end:
        time.sleep(0.2)
        now = get()
        if now != value:
            value, since = now, time.monotonic()
    return value


def test_counters_count_what_was_published(rig, broker, vhost):
    vhost.queue("q")
    vhost.publish("", "q", b"first")  # the queue has a baseline
    wait_for(lambda: vhost.state().get("message_stats", {}).get("publish") == 1,
             30, "the broker has counted it")
    m = start_monitor(rig, broker, IncludeVHost=vhost.name)
    queue = queue_plugin(vhost, "q")
    wait_for(lambda: series_of(m, queue).get("queue_length-ready") == 1, 30,
             "the queue is seen")
    wait_for(lambda: "total_operations-publish" in series_of(m), 30,
             "the broker has statistics")
    before = steady(lambda: series_of(m)["total_operations-publish"])
    for i in range(7):
        vhost.publish("", "q", b"%d" % i)
    wait_for(lambda: series_of(m)["total_operations-publish"] >= before + 7, 30,
             "seven more are counted")
    wait_for(lambda: series_of(m, queue)["queue_length-ready"] == 8, 30,
             "eight are ready; a queue tells its length in its own time")
    assert series_of(m)["total_operations-publish"] == before + 7


def test_a_broker_that_is_down_is_a_value_at_the_usual_pace(rig, victim):
    m = start_monitor(rig, victim)
    wait_for(lambda: series_of(m).get("bool-reachable") == 1, 30, "reachable")
    wait_for(lambda: series_of(m, node_plugin(victim)), 30, "its node is reported")
    victim.kill9()
    wait_for(lambda: series_of(m)["bool-reachable"] == 0, 30, "not reachable")
    name = "rabbitmq_monitor-main/bool-reachable"
    start = len(m.record.history(name))
    wait_for(lambda: len(m.record.history(name)) >= start + 6, 30,
             "six more values")
    times = [t for t, _ in m.record.history(name)[start:]]
    gaps = [b - a for a, b in zip(times, times[1:])]
    # Not the longest: a busy machine may hold collectd up for a second.
    assert sorted(gaps)[len(gaps) // 2] < 1.8, f"the interval was doubled: {gaps}"
    assert all(v == 0 for _, v in m.record.history(name)[start:])
    victim.start()
    wait_for(lambda: series_of(m)["bool-reachable"] == 1, 30, "reachable again")
    assert m.stop() < 15


def test_a_broker_that_hangs_is_not_reachable_and_delays_no_read(rig, victim):
    m = start_monitor(rig, victim)
    wait_for(lambda: series_of(m).get("bool-reachable") == 1, 30, "reachable")
    victim.hang()
    try:
        wait_for(lambda: series_of(m)["bool-reachable"] == 0, 30, "not reachable")
        name = "rabbitmq_monitor-main/bool-reachable"
        start = len(m.record.history(name))
        wait_for(lambda: len(m.record.history(name)) >= start + 2, 30,
                 "two more values")
        assert m.stop() < 15
    finally:
        victim.cont()
    # One may be the machine's, that held collectd up; each read waiting is more.
    assert len(m.log_lines("took .* seconds|longer than")) <= 1, m.log()


def test_a_wrong_password_is_one_error_with_a_remedy(rig, broker):
    m = start_monitor(rig, broker, Password="s3cret-wrong")
    wait_for(lambda: series_of(m).get("bool-reachable") == 0, 30, "not reachable")
    time.sleep(4)
    lines = m.log_lines(r"\[error\].*(401|password|login)")
    assert 1 <= len(lines) <= 2, m.log()
    assert "s3cret-wrong" not in m.log()


# --- the command ------------------------------------------------------------

@pytest.fixture
def command(build, broker):
    program = built_program(build, "warren")
    assert program, "the build has no warren"
    process = spawn([program, "monitor", "--url", broker.url, "--user", "guest",
                     "--output", "influx"], stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    env={"WARREN_PASSWORD": "guest", "PATH": os.environ["PATH"]})
    os.set_blocking(process.stdout.fileno(), False)
    yield process
    end(process)


LINE = re.compile(
    r"^rabbitmq_monitor(,(?:[^ \\]|\\.)+)? ((?:[^ \\]|\\.)+) (\d{19})$")


def lines_until_quiet(process, timeout=15, quiet=0.7):
    """What comes out until nothing has come for a while."""
    text, last, end_at = b"", None, time.monotonic() + timeout
    while time.monotonic() < end_at:
        piece = process.stdout.read()
        if piece:
            text += piece
            last = time.monotonic()
        elif last and time.monotonic() - last > quiet:
            break
        time.sleep(0.02)
    return text.decode().split("\n")[:-1]


def sample(process):
    """Asks for one sample; returns all its fields as text."""
    process.stdin.write(b"\n")
    process.stdin.flush()
    lines = lines_until_quiet(process)
    parsed = [LINE.match(line) for line in lines]
    assert lines and all(parsed), lines
    return ",".join(m.group(2) for m in parsed)


def test_warren_answers_each_line_with_one_sample_and_ends_with_its_input(
        command, vhost):
    vhost.queue("q")
    vhost.publish("", "q", b"x")
    assert lines_until_quiet(command, timeout=1.5) == []  # speaks when asked
    for _ in range(2):
        fields = sample(command)
        assert re.search(r"(^|,)bool_reachable=1i?(,|$)", fields), fields
        assert "gauge_nodes_running=1" in fields
    wait_for(lambda: "queue_length_ready=1" in sample(command), 40,
             "the message is seen")
    command.stdin.close()
    assert command.wait(20) == 0
    for line in command.stderr.read().decode().split("\n"):
        assert not line or line[:3] in ("E! ", "W! ", "I! ", "D! "), line


def test_warren_says_that_a_broker_is_not_there(build, victim):
    victim.kill9()
    done = subprocess.run(
        [built_program(build, "warren"), "monitor", "--url", victim.url,
         "--user", "guest", "--output", "influx"], input=b"\n",
        capture_output=True, timeout=20, check=False,
        env={"WARREN_PASSWORD": "guest", "PATH": os.environ["PATH"]})
    assert done.returncode == 0
    assert b"bool_reachable=0" in done.stdout, done
