# SPDX-License-Identifier: MIT
"""The rig measures others, so it is tested first."""

import pytest

from rig import modules as warren
from rig.collectd import block, plugin
from rig.waiting import wait_for


def test_what_loadgen_dispatches_is_what_the_sink_records(rig):
    a = rig.daemon("A", ["loadgen"], plugin(
        "loadgen", Total=5000, Series=70, First=100, Delay=0.1, Notifications=3,
        Result=str(rig.dir / "A" / "result"))).start()
    wait_for(lambda: len(a.record.numbers()) == 5000, 20, "all recorded")
    assert sorted(a.record.numbers()) == list(range(100, 5100))
    wait_for(lambda: len(a.record.refresh().notifications) == 3, 10, "notified")
    assert rig.result()["dispatched"] == 5000
    assert a.stop() < 5
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
        wait_for(lambda: "memory/memory-used" in a.record.series(), 10,
                 "memory recorded")
        wait_for(lambda: vhost.ready("q") == 300, 20, "300 messages")
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
