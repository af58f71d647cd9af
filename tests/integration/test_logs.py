# SPDX-License-Identifier: MIT
"""LogFormat json as contrib/logs reads it: real lines of the modules and of
warren, parsed by a reader that is not ours."""

import os
import pathlib
import re
import subprocess
import time

import pytest

from rig import modules as warren
from rig.collectd import built_program
from rig.formats import strict_json
from rig.ports import free_ports
from rig.waiting import wait_for

LOGS = pathlib.Path(__file__).resolve().parents[2] / "contrib" / "logs"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TEXTS = {"level", "service", "plugin", "block", "event", "state", "trace_id",
         "message_id", "message"}
NUMBERS = {"timestamp", "delivery_tag", "seqno", "reply_code"}
ALWAYS = {"timestamp", "level", "service", "plugin", "block", "event", "message"}
JSON = {"LogFormat": "json"}


def checked(line):
    """One line as object. Before the first brace is what collectd writes there."""
    text = line[line.index("{"):]
    assert len(text.encode()) <= 1000
    said = strict_json(text.encode())
    assert ALWAYS <= set(said) <= TEXTS | NUMBERS, said
    for key, value in said.items():
        assert isinstance(value, str if key in TEXTS else int), (key, value)
    assert said["level"] in ("error", "warning", "notice", "info", "debug")
    assert re.fullmatch("[a-z_]+", said["event"]), said
    assert abs(said["timestamp"] / 1000 - time.time()) < 120
    assert re.fullmatch("[0-9a-f]{32}", said.get("trace_id", TRACE)), said
    return said


def lines_of(text):
    """{event: object} of every JSON line in a log."""
    found = {}
    for line in text.splitlines():
        if "{" in line:
            said = checked(line)
            found[(said["plugin"], said["event"])] = said
    return found


def test_lines_of_the_modules_are_objects_and_keep_the_trace(
        rig, broker, vhost, tmp_path):
    """A file per module, and collectd's own log for the consumer. The message
    that is returned has the publisher's trace, the poison an application's."""
    vhost.exchange("nowhere")
    vhost.queue("q")
    files = {m: tmp_path / f"{m}.json" for m in ("publish", "monitor")}
    m = rig.daemon(
        "M", ["load", "rabbitmq_publish", "rabbitmq_consume", "rabbitmq_monitor"],
        warren.publish(warren.publish_block(
            "out", broker, vhost.name, Exchange="nowhere", OnReturn="drop",
            LogFile=str(files["publish"]), **JSON)),
        warren.consume(warren.subscribe_block(
            "in", broker, vhost.name, Queue="q", **JSON)),
        warren.monitor(warren.cluster_block(
            "main", broker, Interval=1, LogFile=str(files["monitor"]), **JSON)))
    vhost.publish("", "q", b"no \x01 \xff {metric", content_type="text/collectd",
                  message_id="order-7\n\"",
                  headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"})
    with m.start():
        def said():
            return lines_of(m.log() + "".join(
                f.read_text("utf-8") for f in files.values() if f.exists()))
        wait_for(lambda: ("rabbitmq_publish", "given_up") in said()
                 and ("rabbitmq_consume", "rejected") in said()
                 and ("rabbitmq_monitor", "reachable") in said(), 30,
                 "each module has said something")
    lost = said()["rabbitmq_publish", "given_up"]
    assert len(lost["trace_id"]) == 32 and lost["message_id"]
    poison = said()["rabbitmq_consume", "rejected"]
    assert poison["trace_id"] == TRACE
    assert poison["message_id"].startswith("order-7")
    assert poison["delivery_tag"] == 1 and poison["service"] == "collectd"


def said_by_warren(build, *arguments, said="", to=subprocess.PIPE):
    """{(plugin, event): object} of its standard error, which has only these."""
    done = subprocess.run(
        [built_program(build, "warren"), *arguments, "--log-format", "json"],
        input=said, stdout=to, stderr=subprocess.PIPE, text=True, timeout=30,
        check=False, env=dict(os.environ, WARREN_PASSWORD="guest"))
    lines = done.stderr.splitlines()
    assert lines and all(line.startswith("{") for line in lines), done.stderr
    assert {checked(line)["service"] for line in lines} == {"warren"}
    return lines_of(done.stderr)


def test_lines_of_warren_are_objects(build, broker, vhost):
    (port,) = free_ports(1)
    found = said_by_warren(build, "monitor", "--once", "--url",
                           f"http://127.0.0.1:{port}")
    assert ("rabbitmq_monitor", "unreachable") in found
    vhost.exchange("nowhere")
    found = said_by_warren(
        build, "publish", "--wait", "--verbose", "--on-return", "drop", "--exchange",
        "nowhere", "--host", f"127.0.0.1:{broker.amqp_port}", "--vhost", vhost.name,
        said="hello\n")
    lost, = (said for (_, event), said in found.items() if event == "given_up")
    assert len(lost["trace_id"]) == 32 and lost["message_id"]


def test_what_warren_says_of_its_own_end_is_an_object_too(
        build, broker, vhost, tmp_path):
    at = ("--host", f"127.0.0.1:{broker.amqp_port}", "--vhost", vhost.name)
    nowhere = ("publish", "--routing-key", "nowhere", *at)
    vhost.queue("q")
    vhost.publish("", "q", b"x" * 200_000)
    taking = ("consume", "--queue", "q", "--queue-passive", "--drain", "2s", *at)
    rows = (
        ((*nowhere, "--wait"), "not_arrived", "1 returned: 312 NO_ROUTE"),
        ((*nowhere, "--max-attempts", "1"), "last_refusal", "no queue takes it"),
        ((*nowhere, "--whole", "--send-queue-bytes", "200KiB"), "not_published",
         "1 record of standard input was not published"),
        (("publish", "--listen", "unix:/nonexistent/socket", *at), "not_started",
         "/nonexistent/socket"),
        ((*taking, "--exec", "/nonexistent/command"), "not_run",
         '"/nonexistent/command" cannot be run'),
        ((*taking, "--max-message-bytes", "100000"), "messages_rejected",
         "neither dropped nor filed are lost where"),
        (("monitor", "--once", "--url",
          f"http://127.0.0.1:{broker.management_port}", "--output", "prometheus",
          "--file", "/nonexistent/file"), "file_failed", "/nonexistent/file"))
    for arguments, event, words in rows:
        found = said_by_warren(build, *arguments, said="x" * 300_000)
        said = found[f"rabbitmq_{arguments[0]}", event]
        assert words in said["message"], said
        assert said["level"] == "error" and said["service"] == "warren"
    vhost.publish("", "q", b"x")
    with open("/dev/full", "wb") as full:
        found = said_by_warren(build, *taking, to=full)
    assert "No space left" in found["rabbitmq_consume", "output_failed"]["message"]


def fields_of(name):
    """What a configuration takes from a line."""
    text = (LOGS / name).read_text("utf-8")
    text = re.sub("(?m)^ *#.*", "", text)
    if name == "promtail.yml":
        body = re.search(r"expressions:\n((?: +\w+:\n)+)", text)[1]
        return set(re.findall(r"(\w+):", body))
    if name == "logstash.conf":
        return set(re.findall(r"\[warren\]\[(\w+)\]", text))
    return set(re.findall(r"warren\.(\w+)", text)) - {"json"}


@pytest.mark.parametrize("name", ["filebeat.yml", "logstash.conf", "promtail.yml"])
def test_a_shipper_reads_fields_that_there_are_and_keeps_the_trace(name):
    fields = fields_of(name)
    assert {"timestamp", "level", "service", "event", "trace_id"} <= fields
    assert fields <= TEXTS | NUMBERS, fields


def test_lines_are_kept_for_180_days():
    policy = strict_json((LOGS / "ilm.json").read_bytes())["policy"]
    assert policy["phases"]["delete"]["min_age"] == "180d"
    assert "retention_period: 4320h" in (LOGS / "loki.yml").read_text("utf-8")
    assert 4320 == 180 * 24
