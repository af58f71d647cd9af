# SPDX-License-Identifier: MIT
"""Whom a consumer believes, and where what it does not take can be found."""

import json
import os
import pathlib
import time

import pika
import pytest

from rig.waiting import wait_for

TEXT = "text/collectd"


def line(host="web1", plugin="cpu", name="v", number=1, ago=0):
    return (f"PUTVAL {host}/{plugin}/gauge-{name} "
            f"{time.time() - ago:.3f}:{number}\n").encode()


@pytest.fixture
def consumer(rig, broker, vhost):
    """Makes a consumer of "q" whose rejects end in "dead"."""
    vhost.exchange("dlx", "fanout")
    vhost.queue("dead")
    vhost.bind("dlx", "dead", "")

    def make(**options):
        b = rig.consumer(broker, vhost, Queue="q", DeadLetterExchange="dlx",
                         **options)
        b.start()
        wait_for(lambda: vhost.consumers("q") == 1, 60, "it consumes")
        return b
    return make


def recorded(daemon):
    """Full identities that arrived, hosts too, without the block's own."""
    text = pathlib.Path(daemon.path("record")).read_text(encoding="utf-8")
    whole = text[:text.rfind("\n") + 1]  # of the last one a part may be missing
    names = [x.split(" ")[2] for x in whole.split("\n") if x.startswith("V ")]
    return {n for n in names if "/rabbitmq_consume-" not in n}


def series(daemon):
    return daemon.record.series("rabbitmq_consume-x/")


def has_counted(daemon, **want):
    def is_so():
        got = series(daemon)
        return all(got.get(k.replace("__", "-"), 0) == v
                   for k, v in want.items())
    wait_for(is_so, 60, f"{want} in {series(daemon)}")


def test_only_listed_users_hosts_and_plugins_are_believed(consumer, vhost):
    b = consumer(AllowHost="/^web[0-9]+$/", AllowPlugin=["cpu", "/^disk/"],
                 RewriteHost="%{user_id}.%{host}", RequireUserId="guest",
                 MaxAge=60)
    send = lambda body, **more: vhost.publish("", "q", body, content_type=TEXT,
                                              **more)
    with pytest.raises(pika.exceptions.ChannelClosedByBroker):
        send(line(), user_id="root")  # it is the broker that checks
    send(line(name="anonymous"))
    send(line(name="good"), user_id="guest")
    send(line(host="db1"), user_id="guest")
    send(line(plugin="exec"), user_id="guest")
    send(line(ago=100), user_id="guest")
    send(line(ago=-1000), user_id="guest")
    send(line(host="db1") + line(plugin="disk-sda", name="mixed"),
         user_id="guest")
    has_counted(b, total_operations__rejected_user_id=1,
                total_operations__rejected_refused=4,
                total_values__refused_not_allowed=3,
                total_values__refused_too_old=1, total_values__refused_future=1,
                total_operations__acked=2)
    assert recorded(b) == {"guest.web1/cpu/gauge-good",
                           "guest.web1/disk-sda/gauge-mixed"}
    wait_for(lambda: vhost.ready("dead") == 5, 60, "five are dead-lettered")
    assert len(b.log_lines(r"1 record of a message .* AllowHost")) == 1


def test_a_header_names_the_host_and_other_content_types_are_rejected(
        consumer, vhost):
    b = consumer(HostFromHeader="agent", AllowHost="/^web/",
                 RewriteHost="x.%{host}", AcceptContentType=TEXT)
    send = lambda host, **more: vhost.publish(
        "", "q", line(host="web9", name="v"), content_type=TEXT,
        headers=None if host is None else {"other": "web8", "agent": host},
        **more)
    send("web1")
    send("db1")
    send("../web1")
    send(7)
    send(None)
    vhost.publish("", "q", b"[]", content_type="application/json",
                  headers={"agent": "web1"})
    has_counted(b, total_operations__acked=1,
                total_operations__rejected_refused=4,
                total_operations__rejected_content_type=1,
                total_values__refused_not_allowed=1,
                total_values__refused_bad_name=1,
                total_values__refused_no_host=2)
    assert recorded(b) == {"x.web1/cpu/gauge-v"}
    wait_for(lambda: vhost.ready("dead") == 5, 60, "five are dead-lettered")
    b.wait_log("application/json; AcceptContentType does not have it")
    b.wait_log("no text in the header")


def test_a_mixed_message_is_rejected_where_that_is_wanted(consumer, vhost):
    b = consumer(OnMixedMessage="reject")
    body = line(name="a") + b"nonsense\n" + line(name="b")
    vhost.publish("", "q", body, content_type=TEXT)
    vhost.publish("", "q", line(name="c"), content_type=TEXT)
    has_counted(b, total_operations__rejected_mixed=1,
                total_values__refused_parse=1, total_operations__acked=1)
    assert recorded(b) == {"web1/cpu/gauge-c"}
    wait_for(lambda: vhost.ready("dead") == 1, 60, "it is dead-lettered")
    (_, dead), = vhost.take_all("dead")
    assert dead == body


def test_a_quarantined_message_leaves_the_broker_until_there_is_no_room(
        consumer, vhost, rig):
    where = rig.dir / "quarantine"
    b = consumer(OnParseError="quarantine", QuarantineDir=str(where),
                 QuarantineMaxBytes="80KiB")
    bodies = [bytes([65 + i]) * 30_000 for i in range(3)]
    for i, body in enumerate(bodies):
        vhost.publish("", "q", body, content_type=TEXT, message_id=f"m{i}",
                      app_id="sender", type="kind", correlation_id="c",
                      delivery_mode=2,
                      headers={"text": "one", "number": 2, "table": {"a": 1}})
    has_counted(b, total_events__quarantined=2, total_events__quarantine_full=1,
                total_operations__rejected_parse=3)
    wait_for(lambda: vhost.ready("dead") == 1, 60, "one is dead-lettered")
    (properties, dead), = vhost.take_all("dead")
    assert (properties.message_id, dead) == ("m2", bodies[2])
    files = sorted((where / "x").glob("*.json"))
    assert [f.stat().st_mode & 0o777 for f in files] == [0o600] * 2
    first = json.loads(files[0].read_text(encoding="utf-8"))
    assert first["cause"] == "parse" and first["reason"].startswith("its body")
    assert (where / "x" / first["body"]).read_bytes() == bodies[0]
    properties = first["properties"]
    assert properties.pop("headers") == {"text": "one", "number": 2,
                                         "table": None}
    assert properties == {
        "content_type": TEXT, "message_id": "m0", "app_id": "sender",
        "type": "kind", "correlation_id": "c", "delivery_mode": 2}
    b.wait_log("filed as .*-parse", count=2)
    b.wait_log("QuarantineDir is full")


def test_a_directory_that_cannot_be_used_costs_no_message(consumer, vhost, rig):
    where = rig.dir / "quarantine"
    where.mkdir()
    os.chmod(where, 0o777)
    b = consumer(OnParseError="quarantine", QuarantineDir=str(where))
    b.wait_log("others may write to .*; chmod 0700 it")
    vhost.publish("", "q", b"nonsense", content_type=TEXT)
    wait_for(lambda: vhost.ready("dead") == 1, 60, "it is dead-lettered")
    has_counted(b, total_events__quarantine_failed=1)
    vhost.publish("", "q", line(name="good"), content_type=TEXT)
    wait_for(lambda: "web1/cpu/gauge-good" in recorded(b), 60, "the next")
