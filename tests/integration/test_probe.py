# SPDX-License-Identifier: MIT
"""The monitor's probe: a message through the real broker and back, and what is
said when that fails."""

import pytest

from rig import modules as warren
from rig.gate import Gate
from rig.waiting import wait_for

USABLE = "bool-amqp_usable"
CONFIRM, DELIVERY = "latency-probe_confirm", "latency-probe_delivery"
PATIENT_S = 3


def start_probe(rig, broker, vhost, at=None, **options):
    probe = warren.probe_block(at or broker, vhost.name, **(
        {"Interval": 1, "Timeout": 0.8, "RetryDelay": 0.1,
         "RetryDelayMax": 0.5} | options))
    return rig.daemon("M", ["rabbitmq_monitor"], warren.monitor(
        warren.cluster_block("main", broker, probe, Interval=1))).start()


def series_of(daemon):
    return daemon.record.series("rabbitmq_monitor-main/")


def becomes(daemon, usable, why):
    wait_for(lambda: series_of(daemon).get(USABLE) == usable, 60, why)


@pytest.mark.parametrize("options", [{}, {"Queue": "probe", "QueueType": "quorum"}],
                         ids=["own_queue", "quorum_queue"])
def test_a_message_that_comes_back_is_measured(rig, broker, vhost, figure, options):
    # A second or two may go by before a busy machine has brought one back.
    m = start_probe(rig, broker, vhost, Interval=PATIENT_S, Timeout=PATIENT_S,
                    **options)
    becomes(m, 1, "the broker is usable")
    wait_for(lambda: len(m.record.history(f"rabbitmq_monitor-main/{DELIVERY}")) >= 3,
             60, "three deliveries are measured")
    for name in (CONFIRM, DELIVERY):
        history = [v for _, v in m.record.history(f"rabbitmq_monitor-main/{name}")]
        assert all(0 < v < PATIENT_S for v in history), (name, history)
    figure(f"probe {options or 'own queue'}: confirm {series_of(m)[CONFIRM]:.4f} s, "
           f"delivery {series_of(m)[DELIVERY]:.4f} s")
    if "Queue" in options:  # somebody else's message is taken away
        vhost.publish("", "probe", b"foreign")
        wait_for(lambda: vhost.queue_state("probe").get("messages") == 0, 60,
                 "the queue is empty")
        assert vhost.queue_state("probe")["type"] == "quorum"
        # and a queue that is deleted is declared anew
        vhost.delete_queue("probe")
        wait_for(lambda: vhost.consumers("probe") == 1, 60, "it is there again")
    assert m.stop() < 15
    assert not m.log_lines("not usable")


def test_a_broker_that_answers_and_takes_no_message_is_not_usable(rig, victim,
                                                                  victim_vhost):
    m = start_probe(rig, victim, victim_vhost)
    becomes(m, 1, "the broker is usable")
    victim.memory_alarm(True)
    try:
        becomes(m, 0, "it is not, with an alarm")
        wait_for(lambda: series_of(m)["bool-reachable"] == 1, 30,
                 "the rest of it still answers")
        m.wait_log("the broker blocks publishers")
    finally:
        victim.memory_alarm(False)
    becomes(m, 1, "it is usable again")
    assert m.wait_log("the probe's messages come back again")
    m.stop()


def test_a_broker_that_hangs_or_is_gone_is_not_usable(rig, broker, vhost):
    with Gate(broker.amqp_port) as gate:
        m = start_probe(rig, broker, vhost, at=gate)
        becomes(m, 1, "the broker is usable")
        gate.stall()
        becomes(m, 0, "it is not, while it hangs")
        m.wait_log("was not confirmed in time")
        gate.open()
        becomes(m, 1, "it is usable again")
        gate.shut()
        becomes(m, 0, "it is not, while nobody listens")
        gate.open()
        becomes(m, 1, "it is usable once more")
        m.stop()
