# SPDX-License-Identifier: MIT
"""Many values in one message, in the real daemon: nothing lost, order kept,
bodies compressed, and nothing waits that was asked for."""

import gzip

from rig.collectd import plugin, say
from rig.waiting import wait_for

from test_pipeline import number_of

TOTAL = 20_100  # the last 100 wait until the end


def lines_of(message):
    properties, body = message
    if properties.content_encoding == "gzip":
        body = gzip.decompress(body)
    else:
        assert properties.content_encoding is None
    return body.splitlines()


def target(vhost):
    vhost.exchange("metrics", "topic")
    vhost.queue("copy")
    vhost.bind("metrics", "copy", "#")


def test_batches_carry_every_value_once_and_in_order(rig, broker, vhost):
    target(vhost)
    a = rig.publisher(
        broker, vhost, how={"write_threads": 1}, Total=TOTAL, Series=100,
        options={"Exchange": "metrics", "RoutingKey": "m.%{plugin}",
                 "BatchValues": 200, "FlushInterval": "1h",
                 "ContentEncoding": "gzip"}).start()
    wait_for(lambda: a.record.series("rabbitmq_publish-x/")
             .get("total_values-accepted") == TOTAL, 60, "all accepted")
    a.stop()
    messages = vhost.take_all("copy")
    bodies = [lines_of(m) for m in messages]
    assert [number_of(line) for body in bodies for line in body] == \
        list(range(TOTAL))
    assert [len(body) for body in bodies] == [200] * 100 + [100]
    assert all(p.content_encoding == "gzip" for p, _ in messages)
    assert len({p.message_id for p, _ in messages}) == len(messages)


def test_flush_sends_what_it_is_asked_for(rig, broker, vhost):
    target(vhost)
    sock = str(rig.dir / "sock")
    a = rig.publisher(
        broker, vhost, load=["unixsock"],
        blocks=[plugin("unixsock", SocketFile=sock)], Total=5, Series=5,
        options={"Exchange": "metrics", "BatchValues": 200,
                 "RoutingKey": "m.%{plugin_instance}",
                 "FlushInterval": "1h"}).start()

    def open_values():
        return a.record.series("rabbitmq_publish-x/").get(
            "queue_length-open_values")

    wait_for(lambda: open_values() == 5, 60, "five values wait")
    assert vhost.ready("copy") == 0
    # None of them is an hour old.
    say(sock, "FLUSH plugin=rabbitmq_publish/x timeout=3600\n")
    say(sock, "FLUSH plugin=rabbitmq_publish/x "
        "identifier=h/loadgen-s2/gauge-n\n")
    wait_for(lambda: vhost.ready("copy") == 1, 60, "one was asked for")
    assert open_values() >= 4
    say(sock, "FLUSH\n")
    wait_for(lambda: vhost.ready("copy") == 5, 60, "all were asked for")
    a.stop()
    keys = [body.split()[1] for _, body in vhost.take_all("copy")]
    assert keys[0] == b"loadgen.example.org/loadgen-s2/gauge-n"
    assert len(keys) == len(set(keys)) == 5


def test_key_per_series_is_warned_of(rig, broker, vhost):
    target(vhost)
    a = rig.publisher(broker, vhost, options={
        "Exchange": "metrics", "BatchValues": 200}).start()
    a.wait_log("BatchValues is over 1.*collectd.%{host}.%{plugin}")
    a.stop()


def test_a_fixed_key_that_leaves_connections_idle_is_warned_of(
        rig, broker, vhost):
    target(vhost)
    a = rig.publisher(broker, vhost, options={
        "Exchange": "metrics", "RoutingKey": "k", "Connections": 3}).start()
    a.wait_log("Connections is over 1.*collectd.%{host}.%{plugin}")
    a.wait_log(r'block "x#3": connected')
    a.stop()
