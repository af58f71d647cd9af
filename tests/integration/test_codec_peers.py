# SPDX-License-Identifier: MIT
"""What our codecs write is read by collectd itself: its amqp plugin's Subscribe
and its unixsock; and modules of both kinds talk to each other. (What collectd
writes, byte for byte, tests/unit/codec_fixtures_test.c reads; it also holds
ours.txt to be what the codecs write.)"""

import gzip
import pathlib
import time

import pytest

from rig.collectd import block, plugin, say
from rig.modules import only_to_writer
from rig.waiting import wait_for

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "codec"
LONG = ("0123456789" * 6 + "0123") + ("0123456789" * 6 + "012")

# As sink writes them down: time, identity without the host, value.
OURS = [
    (1700000000.123, "p-one/gauge-two", "99.5"),
    (1700000001.123, 'df-C:\\a "b"/gauge-a b', "1"),
    (1700000002.123, "df-müll/gauge-€", "1"),
    (1700000003.123, "p-nan/gauge", "nan"),
    (1700000004.123, "p-inf/gauge", "-inf"),
    (1700000005.123, "load/load",
     "0.30000000000000004:1.4999999999999999e-07:1.0000000000000001e+300"),
    (1700000006.123, "p-min/derive", "-9223372036854775808"),
    (1700000007.123, "p-max/counter", "18446744073709551615"),
    (1700000008.123, f"p-{LONG}/gauge-{LONG}", "1"),
    (1700000009.123, "p-meta/gauge", "1"),
]


def subscriber(rig, vhost):
    """A collectd that reads a queue with its own plugin and logs as JSON."""
    return rig.daemon(
        "B", ["amqp", "write_log"],
        plugin("amqp", block(
            "Subscribe", "x", Host="127.0.0.1",
            Port=str(vhost.broker.amqp_port), VHost=vhost.name, User="guest",
            Password="guest", Exchange="amq.direct", Queue="codec",
            RoutingKey="codec")),
        plugin("write_log", Format="JSON"))


def send(vhost, body):
    vhost.publish("amq.direct", "codec", body, content_type="text/collectd")


def test_collectds_amqp_reads_what_we_write(rig, vhost):
    b = subscriber(rig, vhost).start()
    b.wait_log("Successfully subscribed to queue|Successfully opened")
    wait_for(lambda: vhost.consumers("codec") == 1, 60, "subscribed")
    lines = (FIXTURES / "ours.txt").read_bytes().splitlines()
    for line in lines:
        send(vhost, line)
    wait_for(lambda: len(b.record.refresh().values) >= len(lines), 60,
             "all values")
    assert b.record.values == OURS
    b.wait_log(r'"meta":\{.*"a:b":"x \\"y\\" \\\\z')
    assert b.log_lines('"empty":""')
    b.kill9()  # an idle subscriber of collectd's own does not end by SIGTERM


def test_collectds_amqp_takes_no_message_of_several_samples(rig, vhost):
    """Its parser takes the second PUTVAL for a value: hence BatchValues 1."""
    b = subscriber(rig, vhost).start()
    wait_for(lambda: vhost.consumers("codec") == 1, 60, "subscribed")
    one, two = (FIXTURES / "ours.txt").read_bytes().splitlines()[:2]
    send(vhost, one + b"\n" + two)
    send(vhost, two)
    wait_for(lambda: b.record.refresh().values, 60, "the second message")
    assert b.record.values == OURS[1:2]
    b.kill9()


def test_collectds_unixsock_takes_our_notification(rig):
    path = str(rig.dir / "sock")
    b = rig.daemon("B", ["unixsock"],
                   plugin("unixsock", SocketFile=path)).start()
    say(path, (FIXTURES / "ours_putnotif.txt").read_text(encoding="utf-8"))
    wait_for(lambda: b.record.refresh().notifications, 60, "notified")
    assert b.record.notifications == [
        (2, "h/rabbitmq_monitor/queue_length", 'queue "C:\\x" is long, müll')]


COUNT = 500


def stock_publisher(rig, vhost, **options):
    """A collectd whose own amqp plugin sees only what loadgen dispatches."""
    return rig.daemon(
        "A", ["match_regex", "loadgen", "amqp"],
        plugin("loadgen", Total=COUNT, Delay=0.1),
        plugin("amqp", block(
            "Publish", "x", Host="127.0.0.1", Port=str(vhost.broker.amqp_port),
            VHost=vhost.name, User="guest", Password="guest",
            Exchange="amq.direct", RoutingKey="codec", **options)),
        only_to_writer("loadgen", "amqp/x"))


@pytest.mark.parametrize("form", ["Command", "JSON", "Graphite"])
def test_what_collectds_amqp_publishes_we_consume(rig, broker, vhost, form):
    vhost.queue("codec")
    vhost.bind("amq.direct", "codec", "codec")
    a = stock_publisher(rig, vhost, Format=form).start()
    b = rig.consumer(broker, vhost, Queue="codec").start()
    wait_for(lambda: len(b.record.numbers()) >= COUNT, 60, "all consumed")
    assert sorted(b.record.numbers()) == list(range(COUNT))
    assert b.stop() < 20
    assert vhost.ready("codec") == 0
    a.kill9()


@pytest.mark.parametrize("form", ["Command", "JSON", "Graphite", "Influx"])
def test_what_we_publish_we_consume(rig, broker, vhost, form):
    b = rig.consumer(broker, vhost, Queue="codec").start()
    wait_for(lambda: vhost.consumers("codec") == 1, 60, "subscribed")
    a = rig.publisher(broker, vhost, Total=COUNT, Delay=0.1, options={
        "Exchange": "", "RoutingKey": "codec", "Format": form,
        "BatchValues": 50, "ContentEncoding": "gzip"}).start()
    wait_for(lambda: len(b.record.numbers()) >= COUNT, 60, "all consumed")
    assert sorted(b.record.numbers()) == list(range(COUNT))
    assert a.stop() < 20
    assert b.stop() < 20
    assert vhost.ready("codec") == 0


# As Telegraf's outputs.amqp sends it: any format is text/plain there, and
# use_batch_format and content_encoding are its own options.
TELEGRAF = (b"cpu,cpu=cpu0,host=web1 usage_idle=98.5,usage_user=1i %d\n"
            b"disk,device=sda1,host=web1,path=/ free=5i,fstype=\"ext4\" %d\n")


@pytest.mark.parametrize("encoding", [None, "gzip"])
def test_telegraf_needs_one_option(rig, broker, vhost, encoding):
    b = rig.consumer(broker, vhost, Queue="codec", Format="Influx",
                     ReportStats=False).start()
    wait_for(lambda: vhost.consumers("codec") == 1, 60, "subscribed")
    now = time.time_ns()
    body = TELEGRAF % (now, now)
    vhost.publish("", "codec", gzip.compress(body) if encoding else body,
                  content_type="text/plain", content_encoding=encoding)
    wait_for(lambda: len(b.record.refresh().values) >= 3, 60, "the values")
    assert [(name, value) for _, name, value in b.record.values] == [
        ("cpu-cpu0/gauge-usage_idle", "98.5"),
        ("cpu-cpu0/gauge-usage_user", "1"),
        ("disk-sda1-%2F/gauge-free", "5")]
    assert b.stop() < 20
    assert vhost.ready("codec") == 0


def test_a_gzip_bomb_is_rejected_and_the_next_message_flows(
        rig, broker, vhost):
    b = rig.consumer(broker, vhost, Queue="codec", ReportStats=False).start()
    wait_for(lambda: vhost.consumers("codec") == 1, 60, "subscribed")
    bomb = gzip.compress(b"PUTVAL h/p/gauge 1:1\n" * 5_000_000)
    assert len(bomb) < 1 << 20
    vhost.publish("", "codec", bomb, content_type="text/collectd",
                  content_encoding="gzip")
    send_to = {"content_type": "text/collectd", "content_encoding": "gzip"}
    good = b"PUTVAL h/good/gauge %.3f:1\n" % time.time()
    vhost.publish("", "codec", gzip.compress(good), **send_to)
    b.wait_log("expands to more than 16777216 bytes")
    wait_for(lambda: b.record.refresh().values, 60, "the good value")
    assert [name for _, name, _ in b.record.values] == ["good/gauge"]
    assert b.stop() < 20


def test_what_we_publish_collectds_amqp_consumes(rig, broker, vhost):
    b = subscriber(rig, vhost).start()
    wait_for(lambda: vhost.consumers("codec") == 1, 60, "subscribed")
    a = rig.publisher(broker, vhost, Total=COUNT, Delay=0.1,
                      options={"Exchange": "amq.direct", "RoutingKey": "codec",
                               "Format": "Command"}).start()
    wait_for(lambda: len(b.record.numbers()) >= COUNT, 60, "all consumed")
    assert sorted(b.record.numbers()) == list(range(COUNT))
    assert a.stop() < 20
    b.kill9()
