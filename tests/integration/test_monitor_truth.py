# SPDX-License-Identifier: MIT
"""That the monitor tells the truth, costs what it may cost and ends when it
should: in the daemon and as a command, with a broker that restarts or hangs, and
with web servers that misbehave."""

import os
import re
import signal
import subprocess
import time

import pytest

from rig import modules as warren
from rig.collectd import block
from rig.ports import free_ports
from rig.process import spawn
from rig.waiting import wait_for
from rig.web import Web

MAIN = "rabbitmq_monitor-main/"


def cluster(url, name="main", **options):
    """A <Cluster> block; options may override what is given here."""
    return block("Cluster", name, **{
        "URL": url, "User": "guest", "Password": "guest", "Interval": 1,
        "Timeout": 1, **options})


def monitor(rig, *blocks, name="M"):
    return rig.daemon(name, ["rabbitmq_monitor"], warren.monitor(*blocks))


def wait_series(daemon, name, predicate, timeout=20):
    """Waits until the newest value of a series satisfies the predicate."""
    def newest():
        value = daemon.record.series().get(name)
        return value is not None and predicate(value) and (value,)
    try:
        return wait_for(newest, timeout, f"{name}")[0]
    except AssertionError as e:
        raise AssertionError(f"{e}; newest: {daemon.record.series().get(name)}; "
                             f"log:\n{daemon.log()[-3000:]}") from None


def queue_series(vhost, queue):
    where = vhost.name.replace("-", "%2D").replace("/", "%2F")
    return f"rabbitmq_monitor-main-queue-{where}-{queue}/"


def test_the_five_indicators_of_a_real_broker(rig, broker, vhost):
    vhost.queue("in")
    vhost.publish("", "in", b"x", timestamp=int(time.time()) - 100)
    # What was before the first sight is not counted, whoever published it. The
    # overview is the sum of the virtual hosts; queues are told of earlier.
    wait_for(lambda: vhost.state().get("message_stats", {}).get("publish") == 1,
             20, "the broker has counted it")
    m = monitor(rig, cluster(broker.url, IncludeVHost=vhost.name)).start()
    wait_series(m, MAIN + "bool-reachable", lambda v: v == 1)
    wait_series(m, queue_series(vhost, "in") + "queue_length-ready",
                lambda v: v == 1)
    assert wait_series(m, MAIN + "total_operations-publish",
                       lambda v: v >= 0) == 0
    for _ in range(7):
        vhost.publish("", "in", b"x")
    wait_series(m, queue_series(vhost, "in") + "queue_length-ready",
                lambda v: v == 8)
    age = wait_series(m, queue_series(vhost, "in") + "duration-head_age",
                      lambda v: v > 99)
    assert age < 160
    # connection status, resource use, throughput
    seen = wait_for(lambda: MAIN + "gauge-publish_rate" in (
        s := m.record.series()) and s, 30, "rates")
    node = f"rabbitmq_monitor-main-node-{broker.node}/"
    assert seen[MAIN + "gauge-nodes_running"] == 1
    assert seen[MAIN + "gauge-partitions"] == 0
    assert 0 < seen[MAIN + "response_time-management"] < 5
    assert seen[node + "bool-running"] == 1
    assert 0 < seen[node + "percent-memory"] <= 100
    assert seen[node + "bool-memory_alarm"] == 0
    # all that was published and nothing else
    assert wait_series(m, MAIN + "total_operations-publish",
                       lambda v: v >= 7) == 7
    assert len(vhost.take_all("in")) == 8
    wait_series(m, queue_series(vhost, "in") + "queue_length-ready",
                lambda v: v == 0)
    assert m.stop() < 15
    assert m.status == 0


def differs(seen, cluster_name, queues, status, node, vhost):
    """What of a report is not as rabbitmqctl says, of a broker at rest:
    [(series, reported, wanted)]; None was not reported."""
    wrong = []

    def compare(name, want, slack=0.0):
        name = name.replace("-main", f"-{cluster_name}", 1)
        value = seen.get(name)
        if value is None or abs(value - want) > slack:
            wrong.append((name, value, want))
    for q in queues:
        prefix = queue_series(vhost, q["name"])
        compare(prefix + "queue_length-ready", q["messages_ready"])
        compare(prefix + "queue_length-unacked", q["messages_unacknowledged"])
        compare(prefix + "gauge-consumers", q["consumers"])
    compare(MAIN + "queue_length-ready", sum(q["messages_ready"] for q in queues))
    compare(MAIN + "queue_length-unacked",
            sum(q["messages_unacknowledged"] for q in queues))
    compare(MAIN + "current_connections-open", status["totals"]["connection_count"])
    node = f"rabbitmq_monitor-main-node-{node}/"
    processes, files = status["processes"], status["file_descriptors"]
    limit = status["vm_memory_high_watermark_limit"]
    compare(node + "bytes-memory_limit", limit)
    compare(node + "bytes-disk_limit", status["disk_free_limit"])
    compare(node + "bool-memory_alarm", 0 if status["alarms"] == [] else 1)
    # These move by themselves, and are not read at the same moment.
    compare(node + "percent-memory", 100 * status["memory"]["total"]["rss"] / limit, 5)
    compare(node + "bytes-disk_free", status["disk_free"], 2e9)
    compare(node + "percent-processes", 100 * processes["used"] / processes["limit"], 1)
    compare(node + "percent-file_handles",
            100 * files["total_used"] / files["total_limit"], 1)
    compare(node + "uptime", status["uptime"], 30)
    return wrong


def first_after(record, when):
    """Each series' first value that is younger than that."""
    first = {}
    for t, name, value in record.refresh().values:
        if t > when and ":" not in value:
            first.setdefault(name, float(value))
    return first


def test_numbers_are_those_of_rabbitmqctl(rig, broker, vhost):
    """Of queues of both types with ready and unacknowledged messages, consumers,
    connections, and of the node; whoever is asked, and with the first report after
    the broker's own statistics have them (quorum queues: every 5 s)."""
    m = monitor(rig, *(cluster(broker.url, name=source, IncludeVHost=vhost.name,
                               Source=source, MetricsURL=broker.metrics_url)
                       for source in ("management", "prometheus"))).start()
    vhost.queue("none")
    sent = {"none": 0}
    with vhost.connect() as connection:
        channel = connection.channel()
        for number, kind in ((1, "classic"), (2, "quorum")):
            vhost.queue(f"held{number}", x_queue_type=kind)
            for _ in range(5 + number):
                channel.basic_publish("", f"held{number}", b"x")
            vhost.queue(f"full{number}", x_queue_type=kind)
            for _ in range(10 * number):
                channel.basic_publish("", f"full{number}", b"x")
            sent |= {f"held{number}": 5 + number, f"full{number}": 10 * number}
        channel.basic_qos(prefetch_count=3)
        channel.basic_consume("held1", lambda *_: None)
        channel.basic_consume("held2", lambda *_: None)
        held = {"none": 0, "held1": 3, "held2": 3, "full1": 0, "full2": 0}

        def is_told():
            connection.process_data_events(0)
            queues = broker.api("GET", "queues")[1]
            totals = broker.api("GET", "overview")[1]["queue_totals"]
            return totals.get("messages") == sum(sent.values()) and {
                q["name"]: (q.get("messages_unacknowledged"), q.get("messages"))
                for q in queues if q["vhost"] == vhost.name} == {
                    name: (held[name], count) for name, count in sent.items()}
        wait_for(is_told, 30, "the broker's statistics", pause=0.2)
        queues = broker.ctl("list_queues", "-p", vhost.name, "name", "messages_ready",
                            "messages_unacknowledged", "consumers")
        status = broker.ctl("status")
        asked = time.time()
        assert {q["name"]: q["messages_unacknowledged"] for q in queues} == held

        def wrong():
            seen = first_after(m.record, asked)
            return [d for source in ("management", "prometheus") for d in
                    differs(seen, source, queues, status, broker.node, vhost)]
        wait_for(lambda: None not in [value for _, value, _ in wrong()], 60,
                 "the next report of each")
        assert not wrong(), "series, reported, rabbitmqctl"


def test_lag_and_drain_of_a_backlog(rig, broker, vhost):
    vhost.queue("in")
    with vhost.connect() as connection:
        channel = connection.channel()
        for _ in range(400):
            channel.basic_publish("", "in", b"x")
        m = monitor(rig, cluster(broker.url, IncludeVHost=vhost.name)).start()
        ready = queue_series(vhost, "in") + "queue_length-ready"
        wait_series(m, ready, lambda v: v == 400)
        assert queue_series(vhost, "in") + "duration-drain" not in \
            m.record.series()
        for _ in range(100):
            method, _, _ = channel.basic_get("in")
            channel.basic_ack(method.delivery_tag)
        wait_series(m, ready, lambda v: v == 300)
    drain = queue_series(vhost, "in") + "duration-drain"
    wait_series(m, drain, lambda v: v >= 0)
    # Of the reports in which it fell: the last may have seen few of the hundred.
    assert 0 < min(v for _, v in m.record.history(drain)) < 100


def test_errors_show_as_a_rate(rig, broker, vhost):
    vhost.queue("in")
    m = monitor(rig, cluster(broker.url, MaxQueues=0)).start()
    # the counters must be there before they can grow
    end = time.monotonic() + 40
    with vhost.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        while time.monotonic() < end:
            channel.basic_publish("", "in", b"x")
            channel.basic_publish("", "nowhere", b"x")
            rate = m.record.series().get(MAIN + "percent-error_rate")
            if rate and 20 < rate <= 60:
                break
            time.sleep(0.2)
    assert rate and 20 < rate <= 60, m.record.series(MAIN)
    assert m.record.series()[MAIN + "total_events-dropped_unroutable"] > 0
    assert not any("-queue-" in name for name in m.record.series())


def each_fault_is_said_once(daemon):
    """Again only when something was said between: that it answers, or of another
    fault. A busy machine may let the broker be late once more."""
    states = [re.search(r"state=(\w+)\]", line)[1]
              for line in daemon.log_lines("the broker is not observed|answers")]
    assert set(states) - {"answering"}, daemon.log()
    assert all(a != b for a, b in zip(states, states[1:])), daemon.log()


def rates_are_of_what_was_counted(daemon):
    """In no report is a rate that the counter knows nothing of. Two polls may
    be near each other where the first was late, and one of them not recorded."""
    rates = dict(daemon.record.history(MAIN + "gauge-publish_rate"))
    counted = daemon.record.history(MAIN + "total_operations-publish")
    assert any(rates.values())
    for (_, before), (when, now) in zip(counted, counted[1:]):
        assert 0 <= rates.get(when, 0) <= (now - before) / 0.01, (when, rates, counted)


def test_a_restarted_broker_makes_no_spike(rig, victim, victim_vhost):
    victim_vhost.queue("in")
    m = monitor(rig, cluster(victim.url)).start()
    published = 0
    with victim_vhost.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for _ in range(300):
            channel.basic_publish("", "in", b"x")
            published += 1
    wait_series(m, queue_series(victim_vhost, "in") + "queue_length-ready",
                lambda v: v == 300)
    # a node says its uptime every 5 s; by it a restart is told from a loss
    wait_series(m, f"rabbitmq_monitor-main-node-{victim.node}/uptime",
                lambda v: v > 15, 40)
    victim.restart()
    wait_series(m, MAIN + "bool-reachable", lambda v: v == 1)
    m.wait_log("answers again after")
    each_fault_is_said_once(m)
    before = m.record.series()[MAIN + "total_operations-publish"]
    for _ in range(3):
        victim_vhost.publish("", "in", b"x", delivery_mode=2)
        published += 1
    # counted from 0 after the restart, once
    wait_series(m, MAIN + "total_operations-publish", lambda v: v == before + 3,
                40)
    time.sleep(3)  # what a spike would need to show
    sums = [v for _, v in m.record.refresh().history(
        MAIN + "total_operations-publish")]
    assert sums == sorted(sums), "a counter decreased"
    assert sums[-1] <= published
    rates_are_of_what_was_counted(m)


def test_a_hung_broker_neither_stalls_reads_nor_the_end(rig, victim):
    m = monitor(rig, cluster(victim.url, Timeout=30, Interval=30),
                cluster(victim.url, name="quick")).start()
    wait_series(m, MAIN + "bool-reachable", lambda v: v == 1)
    victim.hang()
    try:
        wait_series(m, "rabbitmq_monitor-quick/bool-reachable",
                    lambda v: v == 0, 40)
        took = m.stop()
        assert took < 20, "the running request was not interrupted"
        assert m.status == 0
    finally:
        victim.cont()


def test_a_wrong_password_is_said_and_read_again(rig, broker, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("wr0ng-s3cret\n")
    m = monitor(rig, cluster(broker.url, Password=None,
                             PasswordFile=str(secret))).start()
    wait_series(m, MAIN + "bool-reachable", lambda v: v == 0)
    line = m.wait_log("HTTP status 401")[0]
    assert "check User and Password" in line
    each_fault_is_said_once(m)
    secret.write_text("guest\n")
    wait_series(m, MAIN + "bool-reachable", lambda v: v == 1)
    m.wait_log("answers again")
    assert "s3cret" not in m.log()


def test_a_new_password_is_read_though_the_nodes_ask_for_none(
        rig, broker, tmp_path):
    secret = tmp_path / "secret"

    def give(password):
        broker.must("PUT", "users/rotated", {"password": password,
                                             "tags": "monitoring"})

    give("first")
    try:
        secret.write_text("first\n")
        m = monitor(rig, cluster(broker.url, User="rotated", Password=None,
                                 MetricsURL=broker.metrics_url,
                                 PasswordFile=str(secret))).start()
        # which the list of nodes alone tells
        wait_series(m, MAIN + "gauge-partitions", lambda v: v == 0, 60)
        give("second")
        m.wait_log("nodes: not reported.*HTTP status 401", 60)
        secret.write_text("second\n")
        m.wait_log("nodes: complete again", 60)
        before = len(m.record.history(MAIN + "gauge-partitions"))
        wait_for(lambda: len(m.record.history(MAIN + "gauge-partitions"))
                 > before, 60, "partitions are told again")
        assert MAIN + "response_time-prometheus" in m.record.series()
    finally:
        broker.must("DELETE", "users/rotated")


def test_errors_of_the_world_do_not_keep_collectd_from_starting(
        rig, broker, tmp_path):
    ca = tmp_path / "ca.pem"
    m = monitor(rig,
                cluster(broker.url.replace("http", "https"), name="ca",
                        CACert=str(ca)),
                cluster(broker.url, name="file", Password=None,
                        PasswordFile=str(tmp_path / "secret")),
                cluster(broker.url, name="good")).start()
    for name in ("ca", "file"):
        wait_series(m, f"rabbitmq_monitor-{name}/bool-reachable",
                    lambda v: v == 0)
    wait_series(m, "rabbitmq_monitor-good/bool-reachable", lambda v: v == 1)
    assert len(m.wait_log(r'block "ca": .*not observed.*' + str(ca))) == 1
    assert len(m.wait_log(r'block "file": .*secret" cannot be read')) == 1
    (tmp_path / "secret").write_text("guest")
    wait_series(m, "rabbitmq_monitor-file/bool-reachable", lambda v: v == 1)


def test_a_user_without_the_tag_sees_what_it_may(rig, broker, vhost):
    broker.must("PUT", "users/nobody", {"password": "x", "tags": "management"})
    vhost.permit("nobody")
    vhost.queue("in")
    try:
        m = monitor(rig, cluster(broker.url, User="nobody", Password="x")).start()
        wait_series(m, queue_series(vhost, "in") + "queue_length-ready",
                    lambda v: v == 0)
        wait_series(m, MAIN + "bool-reachable", lambda v: v == 1)
        assert MAIN + "gauge-nodes_total" not in m.record.series()
        lines = m.wait_log("nodes: not reported.*Not monitor user")
        assert len(lines) == 1 and 'the tag "monitoring"' in lines[0]
    finally:
        broker.must("DELETE", "users/nobody")


def test_every_error_of_the_configuration_is_listed(rig):
    m = monitor(
        rig,
        cluster("http://localhost:1", name="a", Intervall=5, MaxQueues=-1),
        cluster("http://u:s3cret@localhost:1", name="b", IncludeQueue="/(/",
                LogFormat="xml"),
        cluster("ftp://x", name="b2", ClientCert="x"),
        cluster("http://localhost:1", name="not/a name"),
        cluster("http://localhost:1", name="twice"),
        cluster("http://localhost:1", name="twice"),
        block("Clutser", "c"))
    assert m.run_to_end() == 1
    for pattern in (r'block "a": option "Intervall" is not known.*"Interval"',
                    r'block "a": option "MaxQueues": the value "-1".*0 to 1000000',
                    r'block "b": option "LogFormat": the value "xml".*text, json',
                    r'block "b2": option URL: "ftp://x" is not a URL',
                    r'block "b2": option ClientCert',
                    r'"not/a name" cannot be the name of a <Cluster> block',
                    r'there are two <Cluster "twice"> blocks',
                    r'"Clutser" is not known here; allowed are <Cluster "NAME">'):
        assert m.log_lines(pattern), f"{pattern}\n{m.log()}"
    assert "s3cret" not in m.log()


def test_the_sample_configuration_is_accepted(rig, broker):
    top = os.path.join(os.path.dirname(__file__), "..", "..")
    with open(f"{top}/conf.d/rabbitmq_monitor.conf", encoding="ascii") as f:
        text = f.read()
    body = text[text.index("<Plugin"):].replace(
        "http://localhost:15672", broker.url)
    uncommented = re.sub(r'^(\s+)#([A-Z])', r'\1\2', body, flags=re.M)
    for number, config in enumerate((body, re.sub(
            r'^\s+(PasswordFile|BearerTokenFile|CACert|Client\w+|LogFile) .*\n', "",
            uncommented, flags=re.M))):
        m = rig.daemon(f"S{number}", ["rabbitmq_monitor"], config).start()
        wait_series(m, MAIN + "bool-reachable", lambda v: v == 1)
        m.stop()


def test_json_lines_go_to_their_file(rig, tmp_path):
    path = tmp_path / "monitor.log"
    (port,) = free_ports(1)
    m = monitor(rig, cluster(f"http://127.0.0.1:{port}", LogFormat="json",
                             LogFile=str(path))).start()
    wait_series(m, MAIN + "bool-reachable", lambda v: v == 0)
    line = wait_for(lambda: path.exists() and path.read_text(), 30, "a line")
    assert line.startswith('{"timestamp":') and line.endswith("}\n")
    assert '"event":"unreachable"' in line
    assert "not observed" not in m.log()


# -- the command ----------------------------------------------------------------


@pytest.fixture
def command(build):
    made = []

    def start(*args, password="guest", **how):
        environment = {"PATH": "/usr/bin", "WARREN_PASSWORD": password}
        process = spawn([os.path.join(build, "warren"), "monitor", *args],
                        env=environment, stdin=subprocess.PIPE,
                        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                        text=True, bufsize=1, **how)
        made.append(process)
        return process

    yield start
    for process in made:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            stream.close()


def read_set(process):
    """The line of the cluster itself, past those of virtual hosts that may end
    the set before: sets have no end mark, so the next one is asked for only when
    this line was seen."""
    while True:
        line = process.stdout.readline()
        assert line.startswith("rabbitmq_monitor,cluster=main"), line
        if line.startswith("rabbitmq_monitor,cluster=main "):
            return line


def once(command, *args, **how):
    process = command("--once", *args, **how)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def test_a_line_on_standard_input_is_a_set_of_samples(command, broker):
    p = command("--url", broker.url, "--max-queues", "0", "--exclude-vhost",
                "/./")
    times = []
    for _ in range(3):
        p.stdin.write("\n")
        p.stdin.flush()
        line = read_set(p)
        assert re.search(r"[ ,]bool_reachable=1[, ]", line)
        times.append(int(line.rsplit(" ", 1)[1]))
        assert p.stdout.readline().startswith(
            f"rabbitmq_monitor,cluster=main,node={broker.node} ")
    assert times == sorted(set(times))
    p.stdin.close()
    assert p.wait(20) == 0
    assert p.stdout.read() == ""
    assert all(re.match(r"[EWID]! ", line) for line in p.stderr)


def test_an_interval_needs_no_lines_and_ends_with_the_pipe(command, broker):
    p = command("--url", broker.url, "--max-queues", "0", "--interval", "1")
    for _ in range(2):
        read_set(p)
    p.stdin.close()
    assert p.wait(20) == 0


def test_raw_names_are_tags(command, broker, vhost):
    vhost.queue("a b,c=d/é")
    want = (f"rabbitmq_monitor,cluster=pr.od,vhost={vhost.name},"
            r"queue=a\ b\,c\=d/é queue_length_ready=0")

    def is_listed():  # the broker lists a new queue a moment later
        status, out, _ = once(command, "--url", broker.url, "--name", "pr.od",
                              "--include-vhost", vhost.name)
        assert status == 0
        return want in out

    wait_for(is_listed, 20, want, pause=0.5)


def test_exit_statuses_say_what_happened(command, broker):
    (port,) = free_ports(1)
    status, out, err = once(command, "--url", f"http://127.0.0.1:{port}")
    assert (status, "bool_reachable=0" in out) == (3, True)
    assert err.startswith("E! ")
    status, out, err = once(command, "--url", broker.url, password="s3cret")
    assert status == 3 and "HTTP status 401" in err and "s3cret" not in err + out
    status, out, err = once(command, "--urls", "x")
    assert (status, out) == (2, "") and "no option --urls" in err
    status, out, err = once(command, "--password", "x")
    assert status == 2 and "not taken from an argument" in err
    p = command("--url", broker.url)
    p.stdout.close()
    p.stdin.write("\n")
    p.stdin.close()
    assert p.wait(20) == 1


def evil(command, answer, *args):
    """What one set and the log say of a server that answers so; the requests."""
    with Web(answer) as web:
        began = time.monotonic()
        status, out, err = once(command, "--url", web.url, "--timeout", "1",
                                *args)
        return status, out, err, web.requests, time.monotonic() - began


def test_a_redirect_is_not_followed(command):
    with Web(lambda h: h.reply(200, b"{}")) as other:
        status, _, err, requests, _ = evil(
            command, lambda h: h.reply(302, Location=other.url + "/api/overview"),
            "--timeout", "10")
        assert other.requests == []
    assert status == 3 and "HTTP status 302" in err
    assert [path for path, _ in requests] == ["/api/overview"]
    assert requests[0][1]["Authorization"].startswith("Basic ")


def test_an_endless_body_is_cut_off(command):
    sent = []

    def pour(h):
        h.send_response(200)
        h.send_header("Transfer-Encoding", "chunked")
        h.end_headers()
        piece = b" " * 1048576
        for _ in range(200):
            h.wfile.write(b"100000\r\n" + piece + b"\r\n")
            sent.append(1)

    status, _, err, _, _ = evil(command, pour, "--timeout", "30", "--interval",
                                "30")
    assert status == 3
    assert "larger than 33554432 bytes" in err
    assert len(sent) < 60


def test_a_server_that_hangs_costs_its_timeout(command):
    status, out, err, _, took = evil(command, lambda h: h.hang())
    assert status == 3 and took < 10
    assert "timed out" in err.lower()

    def half(h):
        h.send_response(200)
        h.send_header("Content-Length", "1000")
        h.end_headers()
        h.wfile.write(b"{")
        h.wfile.flush()
        h.hang()

    status, out, err, _, took = evil(command, half)
    assert status == 3 and took < 10 and "bool_reachable=0" in out


def test_other_answers_are_not_taken_for_a_broker(command):
    for body in (b"", b"<html>", b"[]", b"{}", b'{"a":' * 3000, b"\xff\xfe"):
        status, out, err, _, _ = evil(command, lambda h, b=body: h.reply(200, b))
        assert status == 3 and "bool_reachable=0" in out and err, body


def test_the_environments_proxy_is_not_for_loopback(command, broker, build):
    (port,) = free_ports(1)
    done = subprocess.run(
        [os.path.join(build, "warren"), "monitor", "--once", "--url", broker.url],
        env={"WARREN_PASSWORD": "guest", "http_proxy": f"http://127.0.0.1:{port}"},
        stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_netrc_is_not_read(command, tmp_path, build):
    (tmp_path / ".netrc").write_text(
        "machine 127.0.0.1 login evil password netrc\n")
    with Web(lambda h: h.reply(401)) as web:
        subprocess.run(
            [os.path.join(build, "warren"), "monitor", "--once", "--url", web.url,
             "--user", "me"], env={"HOME": str(tmp_path),
                                   "WARREN_PASSWORD": "mine"},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
        assert web.requests[0][1]["Authorization"] == "Basic bWU6bWluZQ=="


def test_sigterm_ends_it_at_once_and_in_order(command, broker):
    p = command("--url", broker.url, "--max-queues", "0", "--interval", "1")
    read_set(p)
    os.kill(p.pid, signal.SIGTERM)
    assert p.wait(20) == 0
