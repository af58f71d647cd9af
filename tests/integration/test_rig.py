# SPDX-License-Identifier: MIT
"""The rig measures others, so it is tested first."""

import gzip
import os
import socket
import sqlite3
import subprocess
import threading
import time

import pytest

from rig import books, spoolfile
from rig import modules as warren
from rig.collectd import Record, block, plugin
from rig.gate import Gate
from rig.together import pause, run, until
from rig.waiting import wait_for
from rig.world import World


def test_what_loadgen_dispatches_is_what_the_sink_records(rig):
    a = rig.daemon("A", ["loadgen"], plugin(
        "loadgen", Total=5000, Series=70, First=100, Delay=0.1, Notifications=3,
        Result=str(rig.dir / "A" / "result"))).start()
    wait_for(lambda: len(a.record.numbers()) == 5000, 60, "all recorded")
    assert sorted(a.record.numbers()) == list(range(100, 5100))
    wait_for(lambda: len(a.record.refresh().notifications) == 3, 60, "notified")
    a.wait_log("loadgen: dispatched 5000")  # after its result
    assert rig.result()["dispatched"] == 5000
    assert a.stop() < 15
    assert a.status == 0


def test_a_chain_shows_a_writer_nothing_but_loadgens_values(rig, broker, vhost):
    vhost.queue("q")
    vhost.bind("amq.fanout", "q", "")
    amqp = block("Publish", "x", Host="127.0.0.1", Port=str(broker.amqp_port),
                 VHost=vhost.name, User="guest", Password="guest",
                 Exchange="amq.fanout")
    a = rig.daemon("A", ["match_regex", "loadgen", "memory", "amqp"],
                   plugin("loadgen", Total=300, Delay=0.1),
                   plugin("amqp", amqp),
                   warren.only_to_writer("loadgen", "amqp/x"))
    with a.start():
        wait_for(lambda: "memory/memory-used" in a.record.series(), 60,
                 "memory recorded")
        wait_for(lambda: vhost.ready("q") == 300, 60, "300 messages")
    assert len(a.record.numbers()) == 300
    assert all(b"PUTVAL loadgen.example.org/" in body
               for _, body in vhost.take_all("q"))


def test_a_target_is_called_and_timed_once_per_value(rig):
    a = rig.daemon("A", ["loadgen"], plugin(
        "loadgen", Total=4000, Threads=3, Delay=0.1, Target="sink",
        Result=str(rig.dir / "A" / "result"))).start()
    a.wait_log("loadgen: dispatched 4000")
    result = rig.result()
    assert sorted(a.record.numbers()) == list(range(4000))
    assert 0 < result["p50_us"] <= result["p99_us"] <= result["max_us"]


def test_a_persistent_message_survives_kill_9(victim, victim_vhost):
    victim_vhost.queue("q")
    victim_vhost.publish("", "q", b"survivor", delivery_mode=2)
    victim.sync()
    port, pid = victim.amqp_port, victim.pid
    victim.restart()
    assert (victim.amqp_port, victim.pid != pid) == (port, True)
    assert [body for _, body in victim_vhost.take_all("q")] == [b"survivor"]


def test_a_daemon_that_must_not_start_gives_its_status(rig):
    a = rig.daemon("A", ["loadgen"], plugin("loadgen", NoSuchOption=1))
    assert a.run_to_end() != 0
    assert a.log_lines("cannot use option NoSuchOption")


def test_waiting_in_vain_names_what_was_waited_for():
    with pytest.raises(AssertionError, match="within 0.1 s: pigs fly"):
        wait_for(lambda: False, 0.1, "pigs fly")


# --- what the tests of the spool measure with -------------------------------

def make_spool(path, bodies, encoding=None):
    base = sqlite3.connect(path)
    base.execute("PRAGMA journal_mode=WAL")
    base.execute(
        "CREATE TABLE messages(seq INTEGER PRIMARY KEY, key_hash INTEGER,"
        " value_count INTEGER, accepted_ms INTEGER, message_id TEXT,"
        " routing_key TEXT, content_type TEXT, content_encoding TEXT, body BLOB)")
    base.executemany(
        "INSERT INTO messages VALUES(?, 0, 1, 5, ?, 'k', 'text/collectd', ?, ?)",
        [(i, f"id{i}", encoding, body) for i, body in enumerate(bodies)])
    base.commit()
    return base


def test_rows_are_read_from_a_wal_that_nobody_closed(tmp_path):
    path = str(tmp_path / "x.spool")
    line = b"PUTVAL h/loadgen-s1/gauge-n interval=10.000 1.000:%d\n"
    held = make_spool(path, [line % 7, line % 8 + line % 9])
    before = spoolfile.size(path)
    assert os.path.getsize(path + "-wal") > 0
    rows = spoolfile.rows(path)
    assert [(r.seq, r.message_id) for r in rows] == [(0, "id0"), (1, "id1")]
    assert [spoolfile.numbers_of(r.body) for r in rows] == [[7], [8, 9]]
    held.execute("DELETE FROM messages")  # not locked
    held.close()
    assert before > 0 and spoolfile.rows(str(tmp_path / "none")) == []


def test_rows_are_read_through_their_content_encoding(tmp_path):
    path = str(tmp_path / "x.spool")
    make_spool(path, [gzip.compress(b"PUTVAL a/b/gauge N:3")], "gzip").close()
    assert spoolfile.numbers_of(spoolfile.rows(path)[0].body) == [3]


def echo_server():
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                while data := client.recv(100):
                    client.sendall(data)
    threading.Thread(target=serve, daemon=True).start()
    return server


def ask(connection, text):
    connection.sendall(text)
    return connection.recv(100)


def is_cut(connection):
    try:
        return ask(connection, b"?") == b""
    except ConnectionError:
        return True


def test_a_gate_stands_shut_stalls_cuts_and_opens_again():
    with echo_server() as server:
        port = server.getsockname()[1]
        with Gate(port, is_open=False) as gate:
            def connect():
                return socket.create_connection(("127.0.0.1", gate.amqp_port), 20)
            with pytest.raises(ConnectionRefusedError):
                connect()
            gate.open()
            with connect() as c:
                assert ask(c, b"one") == b"one"
                gate.stall()
                c.settimeout(1)
                with pytest.raises(TimeoutError):
                    ask(c, b"two")
                c.settimeout(20)
                gate.open()
                assert c.recv(100) == b"two"
                gate.cut()
                assert is_cut(c)
            with connect() as c:
                assert ask(c, b"four") == b"four"
            gate.shut()
            with pytest.raises(ConnectionRefusedError):
                connect()


SAYS = """
import os, sys, time
for line in sys.stdin:
    began, code = time.monotonic(), 0
    try:
        with open(line.strip(), "wb", buffering=0) as f:
            f.write(b"x")
            os.fsync(f.fileno())
    except OSError as e:
        code = e.errno
    print(time.time(), time.monotonic() - began, code, flush=True)
"""


def test_a_world_shifts_the_clock_and_spoils_one_directory(build, tmp_path):
    (tmp_path / "disk").mkdir()
    world = World(build, tmp_path / "world", str(tmp_path / "disk"))
    with subprocess.Popen(["/usr/bin/python3", "-c", SAYS], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=os.environ | world.environment) as p:
        def says(where="disk"):
            p.stdin.write(f"{tmp_path}/{where}/f\n")
            p.stdin.flush()
            wall, took, code = p.stdout.readline().split()
            return float(wall) - time.time(), float(took), int(code)
        assert abs(says()[0]) < 10 and says()[2] == 0
        world.change(wall_offset_ms=-3_600_500, sync_delay_ms=300)
        off, took, _ = says()
        assert abs(off + 3600.5) < 10 and took >= 0.3
        world.change(wall_offset_ms=0, sync_delay_ms=0, write_errno="ENOSPC")
        assert says()[2] == 28 and says(".")[2] == 0
        world.change(write_errno=0, sync_errno="EIO")
        assert says()[2] == 5
        p.stdin.close()


def test_books_that_do_not_balance_are_seen(tmp_path):
    path = tmp_path / "record"
    report = ("V 1.0 h/rabbitmq_publish-x/bool-connected 1\n"
              "V 1.0 h/rabbitmq_publish-x/queue_length-outbox 3\n"
              "V 1.0 h/rabbitmq_publish-x/total_operations-accepted {}\n"
              "V 1.0 h/rabbitmq_publish-x/total_operations-dropped_overflow 2\n")
    path.write_text(report.format(5) * 3)
    assert len(books.check(Record(path))) == 2, "the last is not complete yet"
    path.write_text(report.format(5) + report.format(6) + report.format(5))
    with pytest.raises(AssertionError, match="do not balance"):
        books.check(Record(path))
    with pytest.raises(AssertionError, match="only 2 reports"):
        books.check(Record(path), least=3)


def test_a_report_is_read_when_all_of_it_is_written(tmp_path):
    """So that two series that are asked for are of one moment."""
    path = tmp_path / "record"
    record = Record(path)

    def writes(when, **series):
        with open(path, "a", encoding="ascii") as f:
            for name, value in series.items():
                f.write(f"V {when} h/rabbitmq_publish-x/gauge-{name} {value}\n")

    def reads():
        return record.series("rabbitmq_publish-x/gauge-")
    writes(1.0, a=1, b=1)
    wait_for(lambda: reads() == {"a": 1, "b": 1}, 5, "nothing else comes")
    writes(2.0, a=2)
    assert reads() == {"a": 1, "b": 1}, "half of it is there"
    writes(2.0, b=2)
    assert reads() == {"a": 2, "b": 2}
    writes(3.0, b=3)
    assert reads() == {"a": 2, "b": 2}, "it may be shorter, or not complete"
    wait_for(lambda: reads() == {"a": 2, "b": 3}, 5, "it is shorter")
    writes(4.0, a=4, b=4)
    writes(5.0, b=5)
    assert reads() == {"a": 4, "b": 4}, "the next one ends one"
    wait_for(lambda: reads() == {"a": 4, "b": 5}, 5, "nothing else comes")
    writes(1.5, a=9)  # the clock was set back
    assert reads() == reads() == {"a": 9, "b": 5}


def test_cases_played_together_wait_for_each_other_and_fail_alone():
    seen = []

    def good(name):
        yield pause(0.2)
        seen.append(name)
        yield until(lambda: len(seen) == 2, 5, "both were here")

    def late():
        yield until(lambda: False, 0.3, lambda: f"pigs fly over {seen}")

    def wrong():
        yield pause(0.1)
        raise ValueError("wrong")
    began = time.monotonic()
    failures = run({"a": good("a"), "b": good("b"), "late": late(),
                    "wrong": wrong()}, tick=0.02)
    assert time.monotonic() - began < 15
    assert failures["a"] is failures["b"] is None and sorted(seen) == ["a", "b"]
    assert "pigs fly over ['a', 'b']" in str(failures["late"])
    assert isinstance(failures["wrong"], ValueError)
