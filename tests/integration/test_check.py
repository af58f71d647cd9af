# SPDX-License-Identifier: MIT
"""warren check, as Nagios and Icinga call it."""

import json
import os
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

from rig.collectd import built_program
from rig.ports import free_ports
from rig.waiting import wait_for
from rig.web import Web

# How long a look may take; without it no longer than --over.
PATIENT = ("--interval", "10")
# 'label'=value[UOM];[warn];[crit], of the Development Guidelines.
PERF = re.compile(r"'([^'=]+)'=(-?[0-9.]+(?:e[+-]?\d+)?)(s|%|B|c)?;([^; ]*);([^; ]*)")


def silent():
    """A port where nobody answers."""
    listening = socket.create_server(("127.0.0.1", 0))
    return listening, f"http://127.0.0.1:{listening.getsockname()[1]}"


def front(broker, planted=()):
    """The broker's management API, with some answers of our own: part of the
    path, status, body."""
    def answer(handler):
        for part, status, body in planted:
            if part in handler.path:
                handler.reply(status, json.dumps(body).encode())
                return
        request = urllib.request.Request(broker.url + handler.path, headers={
            "Authorization": handler.headers["Authorization"]})
        try:
            with urllib.request.urlopen(request, timeout=10) as r:
                handler.reply(r.status, r.read())
        except urllib.error.HTTPError as e:
            handler.reply(e.code, e.read())
    return Web(answer)


def check(build, *args, url, password="guest"):
    done = subprocess.run(
        [built_program(build, "warren"), "check", *args, "--url", url],
        capture_output=True, text=True, timeout=60,
        env={**os.environ, **({"WARREN_PASSWORD": password} if password else {})})
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
                build, indicator, "--over", "1", *PATIENT, "--include-vhost",
                vhost.name, url=broker.url)
            # Statistics are late, and on a busy machine an answer may be.
            assert word in ("OK", "UNKNOWN") or "no answer" in text, text
            if indicator == "resource" and word == "OK":
                assert perf[f"disk {broker.node}"] <= 50 and "free disk" in text
            return word == "OK" and perf
        wait_for(is_ok, 60, f"{indicator} is OK")


def test_a_backlog_is_critical_by_the_users_range_and_named(build, broker, vhost):
    vhost.queue("orders")
    for _ in range(12):
        vhost.publish("", "orders", b"x")

    def seen():
        return check(build, "lag", "--include-vhost", vhost.name, "--critical",
                     "10", url=broker.url)
    # The last of them are counted a moment later.
    word, text, perf = wait_for(lambda: (s := seen())[2].get("queue_backlog") == 12
                                and s, 60, "the backlog is seen")
    assert word == "CRITICAL", text
    assert f"queue orders in vhost {vhost.name}: 12 messages ready or unack" in text
    assert check(build, "lag", "--include-vhost", vhost.name, "--measure",
                 "queue_ready", "--warning", "10", url=broker.url)[0] == "WARNING"


def test_who_refuses_or_does_not_answer_is_critical_and_says_why(build, broker):
    word, text, _ = check(build, "connection", url=broker.url, password="wrong")
    # RabbitMQ 4 has other words for it than 3.10.
    assert word == "CRITICAL" and re.fullmatch(
        r"RABBITMQ CONNECTION CRITICAL - refused: HTTP 401 "
        rf"\((Login failed|Not_Authorized)\) from {broker.url}; "
        r"check --user and its password \(--password-file or WARREN_PASSWORD\), "
        'and that the user has the tag "monitoring"', text), text
    word, text, _ = check(build, "lag", "--user", "monitor", url=broker.url,
                          password=None)
    assert word == "CRITICAL" and text.endswith(
        "; no password was given (--password-file or WARREN_PASSWORD)"), text
    begin = time.monotonic()
    word, text, _ = check(
        build, "errors", url=f"http://127.0.0.1:{free_ports(1)[0]}")
    assert word == "CRITICAL" and "CRITICAL - no answer: http" in text, text
    assert "asks it again" not in text and "not observed" not in text
    assert time.monotonic() - begin < 10, \
        "an answer that does not come is not awaited twice"


@pytest.mark.parametrize("planted,word,said,figure", [
    ((("certificate-expiration", 503, {"status": "failed", "expired": [
        {"node": "r@a", "port": 5671, "protocol": "amqp/ssl",
         "certfile_expires_on": [time.strftime(
             "%Y-%m-%d %H:%M:%S", time.gmtime(time.time() + 5 * 86400))]}]}),),
     "CRITICAL", "a TLS certificate expires within 5 days", "certificate_days"),
    ((("/api/connections?", 200, [{"state": "running"}, {"state": "blocked"}]),),
     "WARNING", "1 connection blocked", "connections_blocked"),
    ((("quorum-critical", 503, {"status": "failed", "queues": [
        {"name": "q", "virtual_host": "/"}]}),),
     "WARNING", "1 queue that the loss of one more", "quorum_critical_queues"),
    ((("elected-leaders", 503, {"status": "failed", "queues": [
        {"name": "q", "virtual_host": "/"}]}),),
     "CRITICAL", "1 quorum queue without a leader", "leaderless_queues"),
    ((("checks/virtual-hosts", 503, {"status": "failed", "virtual-hosts": ["v"]}),),
     "CRITICAL", "1 virtual host down on a node that runs", "vhosts_down"),
    ((("checks/virtual-hosts", 500, {}),), "UNKNOWN", "HTTP status 500", None),
    ((("quorum-critical", 500, {}),), "UNKNOWN", "HTTP status 500", None),
    ((("elected-leaders", 404, {}),), "OK", "", None),  # of an old version
], ids=["certificate", "blocked", "critical", "leaderless", "vhost", "untold",
        "refused", "unknown"])
def test_connection_knows_what_is_asked_now_and_then(
        build, broker, planted, word, said, figure):
    with front(broker, planted) as api:
        got, text, perf = check(build, "connection", "--health-check",
                                "virtual-hosts", url=api.url)
        assert got == word and said in text, text
        assert "leaderless_queues" in perf or figure != "leaderless_queues"
        if figure:
            assert figure in perf, perf


def test_only_connection_asks_for_more(build, broker):
    more = re.compile(r"/api/(connections|health/)")
    for indicator in "connection", "lag", "errors", "resource", "throughput":
        with front(broker) as api:
            check(build, indicator, "--over", "1", *PATIENT, url=api.url)
            asked = [path for path, _ in api.requests if more.match(path)]
            assert len(asked) == (4 if indicator == "connection" else 0), asked


def test_half_a_cluster_that_is_silent_leaves_nothing_ok(build, broker, vhost):
    vhost.queue("q")
    vhost.publish("", "q", b"x")
    vhost.take_all("q")
    port, = free_ports(1)
    half = ("--metrics-url", f"http://127.0.0.1:{port}")
    for indicator in "connection", "lag", "errors", "resource", "throughput":
        def ask(*more):
            return check(build, indicator, "--source", "prometheus",
                         "--metrics-url", broker.metrics_url, *more, "--over", "1",
                         *PATIENT, url=broker.url)
        wait_for(lambda: ask()[0] == "OK", 60, f"{indicator} of one node is OK")

        def is_unknown():
            word, text, _ = ask(*half)
            return (word == "UNKNOWN" and f":{port}" in text
                    and "a node's numbers: not reported" in text)
        wait_for(is_unknown, 60, f"{indicator} of half a cluster is UNKNOWN")


def probe(port, timeout=1):
    return f"host=127.0.0.1,port={port},timeout={timeout}s,interval=10"


def test_a_probe_says_whether_a_message_gets_through(build, broker, monkeypatch):
    def ask(*options):
        return check(build, "connection", "--probe", probe(*options), url=broker.url)

    def ask_nobody(port):
        began = time.monotonic()
        answer = ask(port)
        assert time.monotonic() - began < 15
        return answer
    monkeypatch.setenv("WARREN_PROBE_PASSWORD", "guest")
    word, text, perf = ask(broker.amqp_port, 10)
    assert word == "OK" and "the probe's message came back in" in text, text
    assert 0 < perf["probe_confirm"] < 10 and 0 < perf["probe_delivery"] < 10
    port, = free_ports(1)
    word, text, perf = ask_nobody(port)
    assert word == "CRITICAL", text
    assert f"no message gets through, says the probe (127.0.0.1:{port}: " in text
    assert "refused" in text and "probe_delivery" not in perf
    listening, url = silent()
    with listening:
        word, text, _ = ask_nobody(url.rpartition(":")[2])
        assert word == "CRITICAL" and "no message gets through" in text, text
    monkeypatch.setenv("WARREN_PROBE_PASSWORD", "wrong")
    word, text, _ = ask(broker.amqp_port, 4)
    assert word == "CRITICAL" and "ACCESS_REFUSED" in text, text


def test_an_alarm_blocks_the_probe_and_whoever_publishes(build, victim):
    def ask():
        return check(build, "connection", "--probe", probe(victim.amqp_port, 3),
                     url=victim.url)
    victim.memory_alarm(True)
    try:
        def is_seen():
            word, text, perf = ask()
            return (word == "CRITICAL" and "memory alarm" in text and text)
        text = wait_for(is_seen, 60, "the alarm is seen")
        assert "no message gets through, says the probe (" in text, text
    finally:
        victim.memory_alarm(False)
    wait_for(lambda: ask()[0] == "OK", 60, "all is well again")


def test_a_server_that_says_nothing_is_critical_by_the_timeout(build):
    listening, url = silent()
    with listening:
        began = time.monotonic()
        word, text, _ = check(build, "connection", "--timeout", "1", "--over", "30",
                              url=url)
        assert word == "CRITICAL" and "no answer" in text, text
        assert time.monotonic() - began < 15


def test_without_a_verdict_by_the_deadline_it_is_unknown(build):
    listening, url = silent()
    with listening:
        began = time.monotonic()
        word, text, _ = check(build, "connection", "--timeout", "10",
                              "--deadline", "2", url=url)
        assert text == "RABBITMQ CONNECTION UNKNOWN - no verdict by the deadline"
        assert 1.5 < time.monotonic() - began < 9


def test_wrong_arguments_are_unknown(build):
    for args in (["lagg"], [], ["lag", "--warning", "x"], ["lag", "--nothing"],
                 ["errors", "--over", "60", "--deadline", "50"],
                 ["lag", "--probe"], ["connection", "--alert", "backlog"],
                 ["connection", "--probe", "--deadline", "5"]):
        done = subprocess.run([built_program(build, "warren"), "check", *args],
                              capture_output=True, text=True, timeout=20)
        assert done.returncode == 3, args
        assert done.stdout == "" and done.stderr.startswith("E! warren check: "), args
    done = subprocess.run([built_program(build, "warren"), "check", "--url", "http://x",
                           "lag"], capture_output=True, text=True, timeout=20)
    assert done.returncode == 3 and "the indicator comes first" in done.stderr, done


def test_icingas_definition_names_arguments_that_exist(build):
    here = os.path.dirname(os.path.abspath(__file__))
    with open(os.path.join(here, "../../contrib/icinga/warren.conf")) as f:
        named = set(re.findall(r'"(--[a-z-]+)"', f.read()))
    shown = subprocess.run([built_program(build, "warren"), "check", "--help"],
                           capture_output=True, text=True, timeout=20).stdout
    assert len(named) >= 12 and {"--probe", "--deadline"} <= named
    assert named <= set(re.findall(r"^  (--[a-z-]+)", shown, re.M))
