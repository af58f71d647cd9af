# SPDX-License-Identifier: MIT
"""Which broker of several, and what takes us from one to another: silence, a
refused login, an alarm, a better one that is back, a password that changed."""

import collections
import re
import time

import pytest

from rig import modules as warren
from rig.gate import Gate
from rig.waiting import wait_for


def address(of):
    return f"127.0.0.1:{of.amqp_port}"


def numbers_of(vhost, queue="q"):
    """The numbers in a queue of PUTVAL lines, in its order."""
    return [int(float(n)) for _, body in vhost.take_all(queue)
            for n in re.findall(rb"PUTVAL \S*/loadgen-\S+ .*:(\S+)", body)]


def once_each(numbers, total):
    counts = collections.Counter(numbers)
    missing = [n for n in range(total) if n not in counts]
    double = [n for n, count in counts.items() if count > 1]
    assert not missing and not double, (len(missing), missing[:9],
                                        len(double), double[:9])


def with_queue(vhost):
    vhost.queue("q")
    vhost.bind("amq.fanout", "q", "")
    return vhost


def published(daemon, name="x"):
    return daemon.record.series(f"rabbitmq_publish-{name}/")


def source(rig, at, vhost, hosts, total, rate, **options):
    return rig.publisher(at, vhost, options={
        "Exchange": "amq.fanout", "Host": hosts, "RetryDelay": 1,
        "RetryDelayMax": 2, **options}, Total=total, Rate=rate, Delay=0.1)


def test_a_host_that_says_nothing_is_left_for_the_next(rig, broker, vhost):
    with_queue(vhost)
    with Gate(broker.amqp_port) as mute:
        mute.stall()
        a = source(rig, broker, vhost, [address(mute), address(broker)], 50, 0,
                   RPCTimeout=1)
        tls = rig.daemon("tls", ["rabbitmq_publish"], warren.publish(
            warren.publish_block("x", mute, vhost.name, Metrics=False,
                                 TLSEnabled=True, ConnectTimeout=1)))
        a.start()
        tls.start()
        a.wait_log(rf"{address(mute)}: no answer within 1 s while logging in")
        tls.wait_log(rf"{address(mute)}: no connection within 1 s")
        wait_for(lambda: vhost.ready("q") == 50, 20, "all by the other host")
    once_each(numbers_of(vhost), 50)


def test_a_refused_login_at_one_host_does_not_keep_us_from_another(
        rig, broker, vhost, victim):
    with_queue(vhost)
    broker.must("PUT", "users/only-here", {"password": "p", "tags": ""})
    vhost.permit("only-here")
    a = source(rig, broker, vhost, [address(victim), address(broker)], 50, 0,
               User="only-here", Password="p", AuthRetryDelay=60)
    a.start()
    wait_for(lambda: vhost.ready("q") == 50, 20, "all by the other host")
    assert a.log_lines(r"\[error\].*403.*only-here|only-here.*403")
    assert vhost.ready("q") == 50


def test_a_broker_that_stays_blocked_is_left_for_another(
        rig, broker, vhost, victim):
    with_queue(vhost)
    same = victim.vhost(vhost.name)
    victim.memory_alarm(True)
    try:
        a = source(rig, broker, vhost, [address(victim), address(broker)], 200,
                   100, BlockedTimeout=1).start()
        a.wait_log(r"blocked for \d s, trying another host", timeout=30)
        wait_for(lambda: vhost.ready("q") == 200, 30, "all by the other host")
        wait_for(lambda: published(a).get("total_events-blocked_timeout") == 1,
                 30, "it is counted")
    finally:
        victim.memory_alarm(False)
        same.delete()
    once_each(numbers_of(vhost), 200)


def test_a_better_host_is_gone_back_to_without_loss_or_duplicate(
        rig, broker, vhost, figure):
    """Publisher and consumer under load, each behind a better door that opens
    later."""
    total = 4000
    with_queue(vhost)
    with Gate(broker.amqp_port, is_open=False) as door:
        hosts = [address(door), address(broker)]
        b = rig.consumer(broker, vhost, Queue="q", Host=hosts,
                         FailbackInterval=1).start()
        a = source(rig, broker, vhost, hosts, total, 500,
                   FailbackInterval=1).start()
        for d in (a, b):
            d.wait_log(rf"connected to {address(broker)}")
        time.sleep(1.5)  # longer than the interval: nothing to go back to
        assert not a.log_lines("going back") and not b.log_lines("going back")
        door.open()
        opened = time.monotonic()
        for d in (a, b):
            d.wait_log(rf"going back to {address(door)}", timeout=20)
        figure(f"fail-back: {time.monotonic() - opened:.1f} s after the "
               "preferred host listened again (interval 1 s)")
        wait_for(lambda: len(b.record.numbers()) >= total, 60, "all arrive")
        wait_for(lambda: published(a).get("total_operations-confirmed") == total
                 and published(a).get("total_events-failback") == 1
                 and b.record.series("rabbitmq_consume-x/").get(
                     "total_events-failback") == 1, 40, "all confirmed")
        assert published(a)["total_operations-republished"] == 0
        assert not a.log_lines(r"\[(warning|error)\].*connection_lost")
        # Before the door is shut, which gives back what is not acknowledged yet.
        wait_for(lambda: vhost.queue_state("q").get("messages") == 0, 40,
                 "all are acknowledged")
        once_each(b.record.numbers(), total)
        assert vhost.ready("q") == 0


@pytest.fixture
def rotating(broker, vhost):
    broker.must("PUT", "users/rotating", {"password": "old-pw", "tags": ""})
    vhost.permit("rotating")
    yield "rotating"
    broker.api("DELETE", "users/rotating")


def test_a_rotated_password_is_found_without_a_restart(
        rig, broker, vhost, rotating, tmp_path, figure):
    """First the broker learns the new password, then the file."""
    total, auth_retry = 2000, 2
    secret = tmp_path / "password"
    secret.write_text("old-pw\n")
    with_queue(vhost)
    with Gate(broker.amqp_port) as door:
        a = source(rig, broker, vhost, address(door), total, 300,
                   User=rotating, Password=None, PasswordFile=str(secret),
                   AuthRetryDelay=auth_retry).start()
        wait_for(lambda: vhost.ready("q") > 100, 20, "it publishes")
        broker.must("PUT", "users/rotating", {"password": "new-pw", "tags": ""})
        door.cut()
        a.wait_log(r"\[error\].*refused the login.*PasswordFile", timeout=30)
        secret.write_text("new-pw\n")
        written = time.monotonic()
        a.wait_log("connected to .*the trouble is over", timeout=30)
        took = time.monotonic() - written
        wait_for(lambda: published(a).get("total_operations-confirmed") == total,
                 30, "all confirmed")
    figure(f"rotated password: connected {took:.1f} s after the file was "
           f"written, AuthRetryDelay {auth_retry} s")
    assert took < auth_retry + 15
    numbers = numbers_of(vhost)
    assert set(numbers) == set(range(total))
    assert not a.log_lines("old-pw|new-pw")
