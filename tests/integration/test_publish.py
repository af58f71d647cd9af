# SPDX-License-Identifier: MIT
"""warren publish: what standard input brings is in the queue, or standard error
and the exit status say what is not."""

import contextlib
import fcntl
import json
import os
import select
import signal
import sqlite3
import struct
import subprocess
import termios
import threading
import time

import pytest

from rig.gate import Gate
from rig.waiting import wait_for


@pytest.fixture
def warren(build, vhost):
    """Starts the command; whatever still runs at the end is ended."""
    started = []

    def start(*arguments, at, where=vhost, stdin=subprocess.PIPE):
        p = subprocess.Popen(
            [f"{build}/warren", "publish", "--host", f"127.0.0.1:{at.amqp_port}",
             "--vhost", where.name, "--retry-delay", "0.1",
             "--retry-delay-max", "0.3", *arguments],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        started.append(p)
        return p
    yield start
    for p in started:
        if p.poll() is None:
            p.kill()
            p.communicate()


def end(p, data=b"", status=0, timeout=60):
    """Gives it the rest of its input; returns what it said."""
    out, err = p.communicate(data, timeout)
    assert out == b""
    assert p.returncode == status, err.decode()
    return err.decode()


def end_once_said(p, data, *words, status):
    """As end(), but the input stays open until standard error has the words, so
    that a slow broker is waited for and not the timeout of the end."""
    p.stdin.write(data)
    p.stdin.flush()
    heard = b""

    def has_said():
        nonlocal heard
        if select.select([p.stderr], [], [], 0)[0]:
            heard += os.read(p.stderr.fileno(), 4096)
        return all(word.encode() in heard for word in words)
    wait_for(has_said, 60, f"standard error says {words}")
    return heard.decode() + end(p, status=status)


def lines(count, first=0):
    return [b"line %d" % n for n in range(first, first + count)]


def joined(some):
    return b"".join(line + b"\n" for line in some)


@pytest.fixture
def queue(vhost):
    vhost.exchange("events", "topic")
    vhost.queue("q")
    vhost.bind("events", "q", "a.#")
    return vhost


def bodies(vhost, name="q"):
    return [body for _, body in vhost.take_all(name)]


def test_lines_that_were_sent_are_lines_that_arrive(broker, queue, warren):
    sent = lines(5000) + [b"", b"\xff\xfe not text", b"no newline"]
    data = joined(sent)[:-1]
    said = end(warren("--exchange", "events", "--routing-key", "a.b", "--wait",
                      at=broker), data)
    assert said == ""
    assert bodies(queue) == sent


def test_the_default_exchange_and_the_whole_of_a_file(broker, queue, warren):
    data = bytes(range(256)) * 2000
    end(warren("--routing-key", "q", "--whole", "--wait", "--message-id", "m-1",
               "--content-type", "image/png", "--type", "picture",
               "--correlation-id", "c-1", "--reply-to", "answers",
               "--header", "tenant=blue", "--header", "tries=3",
               at=broker), data)
    [(properties, body)] = queue.take_all("q")
    assert body == data
    assert properties.message_id == "m-1"
    assert properties.content_type == "image/png"
    assert properties.type == "picture"
    assert properties.correlation_id == "c-1"
    assert properties.reply_to == "answers"
    assert properties.app_id == "warren"
    assert properties.delivery_mode == 2
    assert properties.headers["tenant"] == "blue"
    assert properties.headers["tries"] == 3


def test_what_no_queue_takes_is_an_error_that_says_so(broker, queue, warren):
    said = end(warren("--exchange", "events", "--routing-key", "nobody",
                      "--wait", at=broker), b"one\ntwo\n", status=1)
    assert said == ('E! warren publish: 2 returned: 312 NO_ROUTE, exchange '
                    '"events", routing key "nobody"\n')
    said = end(warren("--exchange", "events", "--routing-key", "nobody",
                      "--max-attempts", "1", at=broker), b"one\n", status=1)
    assert "1 message did not arrive: 1 returned" in said
    said = end(warren("--exchange", "events", "--routing-key", "\x1b[2Jnobody",
                      "--wait", at=broker), b"one\n", status=1)
    assert 'routing key "?[2Jnobody"' in said and "\x1b" not in said


def test_what_was_refused_until_the_end_is_told_with_the_cause(
        broker, queue, warren, tmp_path):
    for spool in ((), ("--spool-dir", str(tmp_path / "spool"))):
        said = end_once_said(
            warren("--exchange", "events", "--routing-key", "nobody",
                   "--max-attempts", "1000", "--shutdown-timeout", "1", *spool,
                   at=broker), b"one\n", "refusal 1 of 1000", status=not spool)
        assert ("1 message waits" if spool else "1 dropped") in said
        assert "1 of them: the broker's last refusal: no queue takes it" in said


def test_each_message_that_is_left_has_its_own_last_refusal(broker, queue, warren):
    """Two that no queue takes, one that a full queue nacks, one that arrives."""
    queue.queue("full", **{"x-max-length": 0, "x-overflow": "reject-publish"})
    said = end_once_said(
        warren("--format", "influx", "--routing-key", "%{plugin}",
               "--max-attempts", "1000", "--shutdown-timeout", "2", at=broker),
        b"nobody v=1\nnowhere v=1\nq v=1\nfull v=1\n", "refusal 1 of 1000",
        status=1)
    assert "3 messages did not arrive: 0 returned, 0 rejected, 0 expired, 3 " \
        "dropped" in said
    assert "2 of them: the broker's last refusal: no queue takes it" in said
    assert "1 of them: the broker's last refusal: the broker nacks it" in said
    assert bodies(queue) == [b"q v=1\n"]


def test_what_the_queue_refuses_is_an_error_that_says_so(broker, queue, warren):
    queue.queue("full", **{"x-max-length": 1, "x-overflow": "reject-publish"})
    said = end(warren("--routing-key", "full", "--wait", "--confirm-window", "1",
                      at=broker), b"one\ntwo\nthree\n", status=1)
    assert "2 rejected: the broker could not take it (nack)" in said
    assert bodies(queue, "full") == [b"one"]


def test_wrong_arguments_are_named(broker, queue, warren):
    for arguments, words in (
            (["--wait"], "--routing-key"),
            (["--routing-key", "q", "--message-id", "x"], "--whole"),
            (["--routing-key", "%{plugin}"], "--format influx"),
            (["--routing-key", "q", "--wait", "--confirm=false"], "--confirm"),
            (["--routing-key", "q", "--spool-mode", "always"], "SpoolDir"),
            (["--routing-key", "q", "--password", "x"], "argument"),
            (["--no-such"], "--no-such")):
        said = end(warren(*arguments, at=broker), status=2)
        assert words in said and said.startswith("E! warren publish: ")


def test_an_exchange_that_is_not_there_ends_the_wait(broker, queue, warren):
    said = end_once_said(
        warren("--exchange", "nowhere", "--routing-key", "a.b", "--wait",
               "--timeout", "1", at=broker), b"one\n", "no exchange 'nowhere'",
        status=1)
    assert "1 dropped: shutdown" in said


def test_line_protocol_is_batched_by_key(broker, queue, warren):
    vhost = queue
    vhost.exchange("metrics", "topic")
    vhost.queue("m")
    vhost.bind("metrics", "m")
    cpu = [f"cpu,host=web.1 usage={n} {n}" for n in range(25)]
    said = end(warren("--exchange", "metrics", "--format", "influx", "--wait",
                      "--routing-key", "t.%{host}.%{plugin}",
                      "--batch-values", "10", at=broker),
               "\n".join([*cpu, "", "# comment", "mem,host=web.1 free=1i"]
                         ).encode())
    assert said == ""
    taken = vhost.take_all("m")
    assert [p.content_type for p, _ in taken] == ["text/influx"] * 4
    assert [body.decode().splitlines() for _, body in taken] == [
        cpu[:10], cpu[10:20], cpu[20:], ["mem,host=web.1 free=1i"]]


def test_an_open_batch_goes_out_in_time(broker, queue, warren):
    p = warren("--format", "influx", "--routing-key", "q", "--batch-values",
               "1000", "--flush-interval", "0.1", at=broker)
    p.stdin.write(b"cpu usage=1\n")
    p.stdin.flush()
    wait_for(lambda: queue.ready("q") == 1, 60, "the line is there")
    end(p)
    assert bodies(queue) == [b"cpu usage=1\n"]


def feed_through(gate, p, data, shut_for):
    """Feeds all of it, the broker being away at first; what it said."""
    feeder = threading.Thread(target=lambda: (p.stdin.write(data),
                                              p.stdin.close()))
    feeder.start()
    feeder.join(shut_for)
    assert feeder.is_alive(), "the pipe did not block"
    gate.open()
    feeder.join(60)
    assert p.wait(60) is not None
    return p.stderr.read().decode()


def test_the_input_waits_while_the_broker_is_away(broker, queue, warren):
    """Nothing is dropped: the pipe blocks."""
    sent = lines(20000)
    with Gate(broker.amqp_port, is_open=False) as gate:
        p = warren("--routing-key", "q", "--wait", "--send-queue-limit", "1000",
                   at=gate)
        said = feed_through(gate, p, joined(sent), shut_for=0.5)
    assert p.returncode == 0, said
    assert bodies(queue) == sent


def test_what_is_left_waits_in_the_spool_for_the_next_run(
        broker, queue, warren, tmp_path, build):
    spool = ("--spool-dir", str(tmp_path / "spool"), "--send-queue-limit", "10",
             "--shutdown-timeout", "2")
    with Gate(broker.amqp_port, is_open=False) as gate:
        said = end(warren("--exchange", "events", "--routing-key", "a.b",
                          "--header", "tenant=blue", "--type", "order", *spool,
                          at=gate), joined(lines(500)))
    assert "500 messages wait in" in said
    exported = subprocess.run(
        [f"{build}/warren", "spool", "export", str(tmp_path / "spool")],
        check=True, capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in exported.splitlines()]
    assert [row["body"].encode() for row in rows] == lines(500)
    assert {row["type"] for row in rows} == {"order"}
    ids = [row["message_id"] for row in rows]
    said = end(warren("--exchange", "events", "--routing-key", "a.b", "--wait",
                      *spool, at=broker), joined(lines(10, first=500)))
    taken = queue.take_all("q")
    assert [body for _, body in taken] == lines(510)
    assert [p.message_id for p, _ in taken][:500] == ids
    assert {p.type for p, _ in taken[:500]} == {"order"}


def test_with_wait_what_is_only_spooled_is_no_success(
        broker, queue, warren, tmp_path):
    with Gate(broker.amqp_port, is_open=False) as gate:
        said = end(warren("--routing-key", "q", "--wait", "--timeout", "2",
                          "--spool-dir", str(tmp_path / "spool"), at=gate),
                   joined(lines(20)), status=1)
    assert "20 kept: in the spool for the next start" in said
    with sqlite3.connect(tmp_path / "spool" / "publish.spool") as base:
        assert base.execute("SELECT count(*) FROM messages").fetchone() == (20,)


def test_a_full_spool_makes_the_input_wait(broker, queue, warren, tmp_path):
    """With a bound of 1 MiB on the disk, some 6 MB arrive all the same."""
    sent = [b"%06d " % n + b"x" * 300 for n in range(20000)]
    with Gate(broker.amqp_port, is_open=False) as gate:
        p = warren("--routing-key", "q", "--wait", "--send-queue-limit", "100",
                   "--spool-dir", str(tmp_path / "spool"), "--spool-max-bytes",
                   "1MiB", at=gate)
        said = feed_through(gate, p, joined(sent), shut_for=1)
    assert p.returncode == 0, said
    assert bodies(queue) == sent


def test_a_hangup_tells_what_is_lost_and_nohup_ignores_it(
        broker, queue, warren):
    with Gate(broker.amqp_port, is_open=False) as gate:
        with hangup(signal.SIG_DFL):
            p = warren("--routing-key", "q", "--shutdown-timeout", "0.3", at=gate)
        p.stdin.write(joined(lines(5)))
        p.stdin.flush()
        wait_for(lambda: catches(p, signal.SIGHUP), 60, "it is ready")
        wait_until_read(p)
        p.send_signal(signal.SIGHUP)
        assert p.wait(60) == 1
        assert b"5 messages did not arrive" in p.stderr.read()
    with hangup(signal.SIG_IGN):
        p = warren("--routing-key", "q", "--wait", at=broker)
    wait_for(lambda: catches(p, signal.SIGTERM), 60, "it is ready")
    p.send_signal(signal.SIGHUP)
    end(p, joined(lines(5)))
    assert bodies(queue) == lines(5)


@contextlib.contextmanager
def hangup(disposition):
    """What a child inherits: under nohup these tests ignore it themselves."""
    before = signal.signal(signal.SIGHUP, disposition)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)


def catches(p, number):
    with open(f"/proc/{p.pid}/status", encoding="utf-8") as status:
        [mask] = [line.split()[1] for line in status
                  if line.startswith("SigCgt:")]
    return int(mask, 16) >> (number - 1) & 1


def wait_until_read(p):
    """It has taken its input out of the pipe, and has a moment to accept it."""
    def unread():
        return struct.unpack("i", fcntl.ioctl(p.stdin, termios.FIONREAD, bytes(4)))[0]
    wait_for(lambda: unread() == 0, 60, "the input is read")
    time.sleep(0.2)


def test_sigterm_drains_and_ends(broker, queue, warren):
    p = warren("--routing-key", "q", at=broker)
    p.stdin.write(joined(lines(1000)))
    p.stdin.flush()
    wait_for(lambda: queue.ready("q") >= 1000, 60, "the lines are there")
    p.send_signal(signal.SIGTERM)
    begin = time.monotonic()
    assert p.wait(60) == 0
    assert time.monotonic() - begin < 20
    p.stdin.close()
    assert bodies(queue) == lines(1000)


def test_records_that_are_lost_are_counted_however_many(build):
    done = subprocess.run(
        [f"{build}/warren", "publish", "--host", "127.0.0.1:1", "--routing-key",
         "q", "--send-queue-bytes", "64KiB", "--shutdown-timeout", "0.1"],
        input=(b"x" * 70_000 + b"\n") * 100, capture_output=True, timeout=60,
        check=False)
    one = "E! warren publish: not published: longer than queue and spool take"
    assert done.returncode == 1
    assert [line for line in done.stderr.decode().splitlines()
            if line.startswith("E! ")] == [one] * 16 + [
        f"{one} ({count} records so far)" for count in (32, 64)] + [
        "E! warren publish: 100 records of standard input were not published"]


def test_a_second_signal_costs_nothing(build):
    p = subprocess.Popen(
        [f"{build}/warren", "publish", "--host", "127.0.0.1:1", "--routing-key",
         "q", "--shutdown-timeout", "1.5"],
        stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    p.stdin.write(b"one\n")
    p.stdin.flush()
    wait_for(lambda: catches(p, signal.SIGTERM), 60, "it is ready")
    wait_until_read(p)
    for _ in range(3):
        p.send_signal(signal.SIGTERM)
        time.sleep(0.1)
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    assert p.returncode == 1 and b"1 dropped" in p.stderr.read()
    assert used.ru_utime + used.ru_stime < 0.25, "it slept until its deadline"


def test_every_line_arrives_when_the_broker_is_killed(victim, victim_vhost,
                                                      warren):
    """Not one is missing, and exit 0. In order by its first arrival, but for
    what was in flight: the broker may have kept some of a window and not those
    before them."""
    victim_vhost.queue("q")
    victim_vhost.broker.sync()
    sent = lines(40000)
    p = warren("--routing-key", "q", "--wait", at=victim, where=victim_vhost)
    data = joined(sent)
    half = data.index(b"line 20000\n")
    p.stdin.write(data[:half])
    p.stdin.flush()
    wait_for(lambda: victim_vhost.ready("q") > 2000, 60, "some have arrived")
    victim.kill9()
    victim.start()
    end(p, data[half:], timeout=100)
    numbers = [int(body.split()[1]) for body in dict.fromkeys(bodies(victim_vhost))]
    assert sorted(numbers) == list(range(len(sent)))
    assert all(abs(n - at) <= 256 for at, n in enumerate(numbers))
