# SPDX-License-Identifier: MIT
"""warren consume: standard output and commands in the place of collectd."""

import base64
import collections
import json
import os
import signal
import stat
import subprocess
import time

import pika
import pytest

from conftest import IS_LONG
from rig.collectd import built_program
from rig.process import end, spawn
from rig.waiting import wait_for


@pytest.fixture
def consume(build, broker, tmp_path):
    """Starts warren consume; what still runs at the end is ended."""
    running = []

    def start(vhost, *args, queue="q", **how):
        how.setdefault("stdout", subprocess.PIPE)
        how.setdefault("stdin", subprocess.DEVNULL)
        log = open(tmp_path / f"log{len(running)}", "w+b")
        made = spawn(
            [built_program(build, "warren"), "consume", "--port",
             str(broker.amqp_port), "--vhost", vhost.name, "--queue", queue,
             "--queue-passive", *args],
            env=dict(os.environ, WARREN_PASSWORD="guest"), stderr=log, **how)
        made.log = lambda: open(log.name, encoding="utf-8").read()
        running.append(made)
        return made
    yield start
    for process in running:
        end(process)


def publish_all(vhost, bodies, queue="q", first=0):
    with vhost.connect() as connection:
        channel = connection.channel()
        for i, body in enumerate(bodies):
            if i == len(bodies) - 1:
                channel.confirm_delivery()  # one is enough: they are in order
            channel.basic_publish("", queue, body, pika.BasicProperties(
                message_id=f"m{first + i}", delivery_mode=2))


def lines(count, size=0):
    return [b"%06d" % i + b"." * size for i in range(count)]


def left(vhost, queue="q"):
    return [body for _, body in vhost.take_all(queue)]


def back(vhost, count, queue="q"):
    """What is left, or dead, where that is something: of a connection that
    ends the broker's queues hear later than we do."""
    wait_for(lambda: vhost.ready(queue) >= count, 60, f"{count} in {queue}")
    return left(vhost, queue)


def test_every_message_is_written_then_acked(consume, vhost):
    vhost.queue("q")
    sent = lines(300)  # more than one prefetch
    publish_all(vhost, sent)
    c = consume(vhost, "--drain", "2s")
    out, _ = c.communicate(timeout=60)
    assert c.returncode == 0, c.log()
    assert out.split(b"\n")[:-1] == sent
    assert left(vhost, "q") == []


def test_count_takes_no_more_than_that(consume, vhost):
    vhost.queue("q")
    publish_all(vhost, lines(50))
    c = consume(vhost, "--count", "7")
    out, _ = c.communicate(timeout=60)
    assert c.returncode == 0, c.log()
    assert out == b"".join(b + b"\n" for b in lines(7))
    assert len(back(vhost, 43)) == 43


def test_json_tells_all_that_is_known(consume, vhost):
    vhost.exchange("e", "topic")
    vhost.queue("q")
    vhost.bind("e", "q")
    with vhost.connect() as connection:
        connection.channel().basic_publish("e", "a.b", "gr\u00fc\u00df\n".encode(),
            pika.BasicProperties(
                message_id="i", content_type="text/plain", app_id="app",
                correlation_id="c", type="t", timestamp=1700000000,
                reply_to="answers", expiration="60000", priority=3, headers={
                    "n": 5, "s": 'a"b', "traceparent":
                    "00-" + "1" * 32 + "-" + "2" * 16 + "-01"}))
        connection.channel().basic_publish("e", "x", b"\xff\x00")
    c = consume(vhost, "--output", "json", "--count", "2")
    out, _ = c.communicate(timeout=60)
    first, second = map(json.loads, out.splitlines())
    assert first == {
        "exchange": "e", "routing_key": "a.b", "redelivered": False,
        "properties": {"content_type": "text/plain", "message_id": "i",
                       "timestamp_ms": 1700000000000, "correlation_id": "c",
                       "reply_to": "answers", "type": "t", "app_id": "app",
                       "expiration": "60000", "priority": 3},
        "headers": {"n": 5, "s": 'a"b',
                    "traceparent": "00-" + "1" * 32 + "-" + "2" * 16 + "-01"},
        "trace_id": "1" * 32, "body": "gr\u00fc\u00df\n"}
    assert base64.b64decode(second["body_base64"]) == b"\xff\x00"


def test_null_keeps_bodies_with_newlines_apart(consume, vhost):
    vhost.queue("q")
    publish_all(vhost, [b"a\nb", b"", b"c"])
    c = consume(vhost, "--null", "--count", "3")
    assert c.communicate(timeout=60)[0] == b"a\nb\0\0c\0"


def test_influx_keeps_lines_and_reads_other_formats(consume, vhost, tmp_path):
    (tmp_path / "types.db").write_text("load shortterm:GAUGE:0:U, "
                                       "midterm:GAUGE:0:U\n")
    vhost.queue("q")
    now = int(time.time())
    line = f'cpu,cpu=cpu0,host=a usage=1.5,n=3i,s="x y" {now}000000000'
    for body, kind in ((line, "text/influx"), ("nonsense", "text/influx"),
                       (f"PUTVAL h/load/load {now}:1:2", "text/collectd")):
        vhost.publish("", "q", body.encode(), content_type=kind)
    c = consume(vhost, "--output", "influx", "--drain", "2s", "--types-db",
                str(tmp_path / "types.db"))
    out, _ = c.communicate(timeout=60)
    assert out.decode().splitlines() == [
        line, f"load,host=h,type=load shortterm=1,midterm=2 {now}000000000"]
    assert "it cannot be read" in c.log() or "body" in c.log()


def test_a_reader_that_goes_away_gets_exit_1_and_nothing_is_acked(consume, vhost):
    vhost.queue("q")
    read, write = os.pipe()
    c = consume(vhost, stdout=write)
    os.close(write)
    wait_for(lambda: vhost.consumers("q"), 60, "it consumes")
    os.close(read)
    publish_all(vhost, lines(20))
    assert c.wait(60) == 1
    assert "standard output cannot be written" in c.log()
    assert len(back(vhost, 20)) == 20


def test_a_slow_reader_holds_acks_back_and_the_connection_lives(consume, vhost):
    vhost.queue("q")
    sent = lines(400, 2000)  # several pipes full
    publish_all(vhost, sent)
    c = consume(vhost, "--heartbeat", "2", "--prefetch-count", "100")
    wait_for(lambda: vhost.consumers("q"), 60, "it consumes")
    time.sleep(20 if IS_LONG else 6.5)  # the broker waits for two of ours
    assert vhost.consumers("q") == 1
    assert vhost.ready("q") > 200
    got = [c.stdout.readline().rstrip(b"\n") for _ in sent]
    assert got == sent
    c.send_signal(signal.SIGTERM)
    assert c.wait(60) == 0, c.log()
    assert "restart" not in c.log() and "lost" not in c.log()
    assert left(vhost, "q") == []


@pytest.mark.skipif(not IS_LONG, reason="takes a minute: WARREN_LONG=1")
def test_a_reader_that_stands_still_costs_no_connection(consume, vhost):
    """RabbitMQ closes a connection that takes nothing for 30 s."""
    vhost.queue("q")
    sent = lines(250, 100_000)  # more than the sockets hold
    publish_all(vhost, sent)
    c = consume(vhost)
    wait_for(lambda: not vhost.ready("q"), 60, "the broker has sent all")
    time.sleep(45)
    got = [c.stdout.readline().rstrip(b"\n") for _ in sent]
    assert got == sent
    c.send_signal(signal.SIGTERM)
    assert c.wait(60) == 0, c.log()
    assert "next attempt" not in c.log() and "0 of them again" in c.log()
    assert left(vhost, "q") == []


def test_killed_in_the_middle_nothing_is_lost(consume, vhost, tmp_path):
    vhost.queue("q")
    lives, each = (20, 250) if IS_LONG else (2, 400)
    sent = lines(lives * each, 300)
    with open(tmp_path / "out", "ab") as out:
        for i in range(lives):  # something for each, however late we look
            publish_all(vhost, sent[i * each:(i + 1) * each], first=i * each)
            size = os.path.getsize(out.name)
            c = consume(vhost, "--prefetch-count", "50", "--sync", stdout=out)
            wait_for(lambda: os.path.getsize(out.name) > size, 60, "it writes",
                     pause=0.01)
            c.kill()
            c.wait(60)
        c = consume(vhost, "--drain", "3s", stdout=out)
        assert c.wait(60) == 0, c.log()
    assert set((tmp_path / "out").read_bytes().split(b"\n")) >= set(sent)
    assert left(vhost, "q") == []


SCRIPT = r"""#!/bin/sh
body=$(cat)
case $body in
  ok*) ;;
  bad*) exit 3 ;;
  later*) [ -e "$0.$body" ] || { : >"$0.$body"; exit 75; } ;;
  slow*) sleep 60 & sleep 60 ;;
esac
printf '%s %s %s %s %s\n' "$body" "$WARREN_ROUTING_KEY" "$WARREN_MESSAGE_ID" \
  "$WARREN_HEADER_X_Y" "${WARREN_PASSWORD:-none}" >>"$0.done"
"""


def test_commands_answer_with_their_exit_status(consume, vhost, tmp_path):
    vhost.queue("dead")
    vhost.queue("q", **{"x-dead-letter-exchange": "",
                        "x-dead-letter-routing-key": "dead"})
    script = tmp_path / "handler"
    script.write_text(SCRIPT)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    for i, body in enumerate(("ok1", "bad1", "later1", "slow1", "ok2")):
        vhost.publish("", "q", body.encode(), message_id=f"m{i}",
                      headers={"x-y": "z"})
    c = consume(vhost, "--exec", str(script), "--on-failure", "dead-letter",
                "--timeout", "4", "--parallel", "3", "--redelivery-delay",
                "100ms", "--drain", "2500ms")
    assert c.wait(60) == 1, "two were rejected"
    done = collections.Counter((tmp_path / "handler.done").read_text().split("\n"))
    assert done == collections.Counter(
        ["ok1 q m0 z none", "later1 q m2 z none", "ok2 q m4 z none", ""])
    assert sorted(back(vhost, 2, "dead")) == [b"bad1", b"slow1"]
    log = c.log()
    assert "the command ended with status 3" in log
    assert "the command did not end in time" in log
    assert left(vhost, "q") == []


def test_a_command_that_always_fails_ends_at_max_redeliveries(consume, vhost):
    vhost.queue("dead")
    vhost.queue("q", **{"x-dead-letter-exchange": "",
                        "x-dead-letter-routing-key": "dead"})
    vhost.publish("", "q", b"x", message_id="m")
    c = consume(vhost, "--exec", "sh", "--max-redeliveries", "2",
                "--redelivery-delay", "2s", "--drain", "1500ms",
                "--", "-c", "echo try; exit 1")
    out, _ = c.communicate(timeout=60)
    assert out == b"try\n" * 3, "the drain waits for the delays"
    assert back(vhost, 1, "dead") == [b"x"]


@pytest.mark.parametrize("policy, remains", (("requeue", 1), ("drop", 0)))
def test_a_command_of_the_count_that_failed_is_status_1(
        consume, vhost, policy, remains):
    vhost.queue("q")
    publish_all(vhost, lines(1))
    c = consume(vhost, "--count", "1", "--on-failure", policy, "--exec", "false")
    assert c.wait(60) == 1
    assert "a command failed: not all of --count" in c.log()
    assert len(back(vhost, remains)) == remains


@pytest.mark.parametrize("ends", (("--drain", "2s"), ("--count", "1")))
def test_a_queue_that_is_missing_ends_it_with_the_reason(consume, vhost, ends):
    c = consume(vhost, *ends, "--give-up-after", "3", queue="missing")
    assert c.wait(60) == 1
    last = c.log().splitlines()[-1]
    assert last.startswith("E! warren consume: gave up after 3 s"), last
    assert "'missing'" in last and "next attempt" not in last


def test_a_broker_that_is_away_ends_it_with_the_reason(consume, vhost):
    c = consume(vhost, "--host", "127.0.0.1:1", "--count", "1",
                "--give-up-after", "2s")
    assert c.wait(60) == 1
    assert "refused" in c.log().splitlines()[-1]


def test_a_queue_that_is_empty_is_no_reason_to_give_up(consume, vhost):
    vhost.queue("q")
    c = consume(vhost, "--count", "1", "--give-up-after", "4s")
    wait_for(lambda: vhost.consumers("q"), 60, "it consumes")
    time.sleep(5)
    publish_all(vhost, [b"late"])
    assert c.communicate(timeout=60)[0] == b"late\n"
    assert c.returncode == 0, c.log()


def test_a_large_body_is_handed_on_as_it_is(consume, vhost):
    vhost.queue("q")
    publish_all(vhost, [b"x" * 3000000])
    c = consume(vhost, "--drain", "2s")
    out, _ = c.communicate(timeout=60)
    assert c.returncode == 0, c.log()
    assert out == b"x" * 3000000 + b"\n"


def test_a_message_that_is_too_large_is_not_a_success(consume, vhost):
    vhost.queue("q")
    publish_all(vhost, lines(1, 200000))
    c = consume(vhost, "--max-message-bytes", "100000", "--drain", "2s")
    assert c.wait(60) == 1
    assert "messages were rejected" in c.log()


def test_an_output_that_cannot_be_synchronized_is_said_and_ends_it(build):
    done = subprocess.run(
        [built_program(build, "warren"), "consume", "--host", "127.0.0.1:1",
         "--queue", "q", "--sync"], timeout=60, check=False, capture_output=True)
    assert done.returncode == 1, done
    assert b"--sync is for standard output that is a file" in done.stderr


def test_a_closed_standard_output_costs_no_message(build, broker, vhost, tmp_path):
    vhost.queue("q")
    publish_all(vhost, [b"1234567"])  # with its newline what an eventfd takes
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", built_program(build, "warren"), "consume",
         "--port", str(broker.amqp_port), "--vhost", vhost.name, "--queue", "q",
         "--queue-passive", "--drain", "2s"],
        env=dict(os.environ, WARREN_PASSWORD="guest"), timeout=60, check=False,
        capture_output=True)
    assert done.returncode == 1, done.stderr
    assert back(vhost, 1) == [b"1234567"]


def test_a_command_that_is_missing_costs_no_message(consume, vhost):
    vhost.queue("q")
    publish_all(vhost, lines(5))
    c = consume(vhost, "--exec", "/nonexistent/handler")
    assert c.wait(60) == 1
    assert '"/nonexistent/handler" cannot be run' in c.log()
    assert len(back(vhost, 5)) == 5


def test_count_is_of_commands_that_have_ended(consume, vhost):
    vhost.queue("q")
    publish_all(vhost, lines(6))
    c = consume(vhost, "--count", "4", "--exec", "sh", "--", "-c",
                "sleep 0.2; cat; echo")
    out, _ = c.communicate(timeout=60)
    assert c.returncode == 0, c.log()
    assert out.split() == lines(4)
    assert sorted(back(vhost, 2)) == lines(6)[4:]


def test_what_is_cut_off_at_the_end_comes_again_and_is_status_1(consume, vhost):
    vhost.queue("q")
    publish_all(vhost, lines(200, 2000))
    c = consume(vhost, "--shutdown-timeout", "1")
    wait_for(lambda: vhost.ready("q") == 0, 60, "the prefetch is full")
    c.send_signal(signal.SIGTERM)
    assert c.wait(60) == 1
    c.stdout.read()
    assert lines(200, 2000)[-1] in back(vhost, 1)


def test_the_end_waits_for_commands_in_hand_and_leaves_the_rest(
        consume, vhost, tmp_path):
    vhost.queue("q")
    publish_all(vhost, lines(8))
    begun, go = tmp_path / "begun", tmp_path / "go"
    c = consume(vhost, "--exec", "sh", "--", "-c",
                f": >{begun}; while [ ! -e {go} ]; do sleep 0.1; done; cat; echo")
    wait_for(begun.exists, 60, "a command runs")
    c.send_signal(signal.SIGTERM)
    time.sleep(1)  # it has heard of that
    go.touch()
    out, _ = c.communicate(timeout=60)
    assert c.returncode == 0, c.log()
    assert out.split() == lines(1)
    assert sorted(back(vhost, 7)) == lines(8)[1:]
