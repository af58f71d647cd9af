# SPDX-License-Identifier: MIT
"""What a hostile publisher sends: everything has one expected end, a daemon of
bounded size survives all of it, and good values pass in between."""

import collections
import gzip
import json
import pathlib
import re
import time

from rig import modules as warren
from rig.collectd import plugin
from rig.waiting import NotInTime, wait_for

TEXT, JSON = "text/collectd", "application/json"
MIB = 1 << 20
FAR = time.time() + 86400 * 365


def value(host="h.example.org", name="v", number="1", when=None,
          kind="gauge", **more):
    """One value list as JSON text; host and number are JSON already when they
    are bytes."""
    record = {"values": [0], "time": when or round(time.time(), 3),
              "interval": 10, "host": host, "plugin": "hostile",
              "plugin_instance": "", "type": kind, "type_instance": name}
    return json.dumps(record | more).replace(
        '"values": [0]', f'"values": [{number}]').encode()


def array(*values):
    return b"[" + b",".join(values) + b"]"


def notifications(count):
    return b"".join(
        b'PUTNOTIF severity=failure time=%.3f host=h plugin=p '
        b'message="run %d!"\n' % (time.time(), i) for i in range(count))


def deep_table(depth):
    table = {"end": 1}
    for _ in range(depth):
        table = {"t": table}
    return table


# body, content type, further properties, the cause it is rejected for or None,
# records refused by cause, values that arrive
Case = collections.namedtuple("Case", "body type more cause refused arrives")


def rejected(cause, body, content_type=JSON, more=None, **refused):
    return Case(body, content_type, more or {}, cause, refused, 0)


CASES = {
    "arrays 100,000 deep": rejected("parse", b"[" * 100_000),
    "objects 100,000 deep": rejected("parse", b'[{"a":' * 100_000),
    "a name of 10 MB as JSON": rejected(
        "parse", array(value(host="h" * 10 * MIB)), parse=1),
    "a name of 10 MB as a command": rejected(
        "parse", b"PUTVAL " + b"h" * 10 * MIB + b"/p/gauge N:1\n", TEXT,
        parse=1),
    "a key twice": rejected(
        "parse", array(value().replace(b'"plugin":', b'"host":"other","plugin":')),
        parse=1),
    "invalid UTF-8 as JSON": rejected(
        "parse", array(value().replace(b"h.example", b"\xff\xfe"))),
    "invalid UTF-8 as a command": rejected(
        "parse", b"PUTVAL \xc0\xaf/p/gauge N:1\n", TEXT, parse=1),
    "NUL in a JSON name": rejected(
        "parse", array(value(host="h\0x")), parse=1),
    "NUL in a command": rejected("parse", b"PUTVAL h\0x/p/gauge N:1\n", TEXT),
    "a derive of 2^63": rejected(
        "parse", array(value(number=2 ** 63, kind="derive")), parse=1),
    "a counter of -1": rejected(
        "parse", array(value(number=-1, kind="counter")), parse=1),
    "a counter of 2^64": rejected(
        "parse", array(value(number=2 ** 64, kind="counter")), parse=1),
    "the year 9999": rejected(
        "parse", array(value(when=253402300799)), parse=1),
    "the next year": rejected("refused", array(value(when=FAR)), future=1),
    "larger than MaxMessageBytes": rejected("oversized", b" " * (17 * MIB)),
    "a gzip bomb": rejected(
        "parse", gzip.compress(b"\0" * (400 * MIB), 9), JSON,
        {"content_encoding": "gzip"}),
    "half a gzip": rejected(
        "parse", gzip.compress(array(value()))[:40], JSON,
        {"content_encoding": "gzip"}),
    "header tables 100 deep": rejected(
        "malformed", array(value()), JSON, {"headers": deep_table(100)}),
    "another encoding": rejected(
        "encoding", b"x", JSON, {"content_encoding": "br"}),
    "a host with /": rejected("parse", array(value(host="a/b")), parse=1),
    "a host ..": rejected("parse", array(value(host="..")), parse=1),
    "an instance ../../etc": rejected(
        "parse", array(value(plugin_instance="../../etc")), parse=1),
    "an escape in a name": rejected(
        "parse", array(value(name="\x1b[31m")), parse=1),
    "a line end in a name": rejected(
        "parse", array(value(name="a\nb")), parse=1),
    "a name of 200 bytes": rejected(
        "parse", array(value(name="n" * 200)), parse=1),
    "10,000 notifications": rejected(
        "refused", notifications(10_000), TEXT, notification=10_000),
    "good ones among bad ones": Case(
        array(value(name="g1"), value(host=".."), value(name="g2"), b"7",
              value(when=FAR), value(name="g3")), JSON, {}, None,
        {"parse": 2, "future": 1}, 3),
}


def high_water_mib(daemon):
    status = pathlib.Path(f"/proc/{daemon.process.pid}/status").read_text(
        encoding="ascii")
    line, = [x for x in status.split("\n") if x.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


def filed(directory):
    """What the quarantine says: {message id: description}."""
    found = {}
    for path in pathlib.Path(directory).glob("*.json"):
        described = json.loads(path.read_text(encoding="utf-8"))
        found[described["properties"].get("message_id")] = described
    return found


def publish_all(vhost, messages):
    """messages: (queue, body, properties)."""
    import pika
    with vhost.connect() as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for queue, body, properties in messages:
            channel.basic_publish("", queue, body,
                                  pika.BasicProperties(**properties))


def test_each_hostile_message_has_its_end_and_good_ones_pass(
        rig, broker, vhost, figure):
    vhost.exchange("dlx", "fanout")
    vhost.queue("dead")
    vhost.bind("dlx", "dead", "")
    quarantine = str(rig.dir / "quarantine")
    b = rig.consumer(broker, vhost, Queue="q", DeadLetterExchange="dlx",
                     MaxMessageBytes="16MiB", QuarantineDir=quarantine,
                     QuarantineMaxBytes="256MiB")
    b.start()
    wait_for(lambda: vhost.consumers("q") == 1, 60, "the consumer consumes")
    before = high_water_mib(b)
    good = [array(value(name="good", number=i, when=round(time.time(), 3) + i / 100))
            for i in range(len(CASES) + 1)]
    messages = []
    for i, (name, case) in enumerate(CASES.items()):
        messages.append(("q", good[i], {"content_type": JSON}))
        messages.append(("q", case.body,
                         {"content_type": case.type, "message_id": name,
                          **case.more}))
    messages.append(("q", good[-1], {"content_type": JSON}))
    publish_all(vhost, messages)

    wait_for(lambda: len(b.record.history("hostile/gauge-good")) == len(good),
             60, "all good values arrived")
    assert [v for _, v in b.record.history("hostile/gauge-good")] == list(
        range(len(good)))
    want = {name: c.cause for name, c in CASES.items() if c.cause}
    wait_for(lambda: vhost.ready("dead") == len(want), 60,
             "the bad ones are dead")

    refused, causes = collections.Counter(), collections.Counter()
    for case in CASES.values():
        refused.update(case.refused)
        causes.update([case.cause] if case.cause else [])
    expected = ({f"total_values-refused_{k}": v for k, v in refused.items()} |
                {f"total_operations-rejected_{k}": v for k, v in causes.items()} |
                {"total_events-quarantined": len(want),
                 "total_values-dispatched": len(good) + sum(
                     c.arrives for c in CASES.values())})

    def got():
        series = b.record.series("rabbitmq_consume-x/")
        return {k: series.get(k, 0) for k in expected}
    wait_for(lambda: got()["total_events-quarantined"] == len(want), 60, "filed")
    try:
        wait_for(lambda: got() == expected, 60, "all is counted")
    except NotInTime:
        assert got() == expected

    files = filed(f"{quarantine}/x")
    for name in want:  # properties that cannot be decoded have no id
        if want[name] == "malformed":
            files[name] = files.pop(None)
    assert {name: f["cause"] for name, f in files.items()} == want
    for name, described in files.items():
        if described["cause"] == "oversized":
            assert described["body"] is None
            continue
        body = pathlib.Path(quarantine, "x", described["body"]).read_bytes()
        assert body == CASES[name].body, name
    assert [v for _, v in b.record.history("hostile/gauge-g2")] == [1.0]
    lines = b.log_lines(r"\[(error|warning)\]")
    assert all(c.isprintable() for line in lines for c in line)
    assert len([x for x in lines if "3 records of a message" in x]) == 1
    grown = high_water_mib(b) - before
    figure(f"hostile set: the daemon grew by {grown:.0f} MiB at most")
    assert grown < 200
    assert b.stop() < 20 and b.status == 0


def lines(count):
    begin = time.time() - 2000
    return b"".join(b"PUTVAL h/p/gauge-m %.3f:%d\n" % (begin + i / 1000, i)
                    for i in range(count))


def test_the_values_of_one_message_are_bounded(rig, broker, vhost, figure):
    """By MaxMessageBytes before memory is taken; where that is raised, by the
    most records that one message may have."""
    options = {"DeadLetterExchange": "dlx"}
    vhost.exchange("dlx", "fanout")
    vhost.queue("dead")
    vhost.bind("dlx", "dead", "")
    b = rig.daemon(
        "B", ["rabbitmq_consume"],
        warren.consume(
            warren.subscribe_block("small", broker, vhost.name, Queue="small",
                                   **options),
            warren.subscribe_block("large", broker, vhost.name, Queue="large",
                                   MaxMessageBytes="64MiB", **options)))
    b.start()
    wait_for(lambda: vhost.consumers("small") + vhost.consumers("large") == 2,
             60, "both consume")
    before = high_water_mib(b)
    million = lines(1_000_000)
    large = lambda: b.record.series("rabbitmq_consume-large/")
    publish_all(vhost, [("small", million, {"content_type": TEXT}),
                        ("small", array(value(name="behind")),
                         {"content_type": JSON})])
    wait_for(lambda: b.record.history("hostile/gauge-behind"), 60, "the next")
    wait_for(lambda: vhost.ready("dead") == 1, 60, "the large one is dead")
    assert high_water_mib(b) - before < 20
    publish_all(vhost, [("large", million, {"content_type": TEXT}),
                        ("large", lines(100_000), {"content_type": TEXT})])
    wait_for(lambda: large().get("total_operations-acked") == 1, 60,
             "as many as are allowed are acknowledged")
    assert large()["total_values-dispatched"] == 100_000
    assert large()["total_operations-rejected_parse"] == 1
    wait_for(lambda: vhost.ready("dead") == 2, 60, "both large ones are dead")
    grown = high_water_mib(b) - before
    figure(f"100,000 values in one message: the daemon grew by {grown:.0f} MiB")
    assert grown < 150
    assert b.stop() < 20 and b.status == 0


def test_ten_thousand_notifications_start_no_more_than_the_rate_allows(
        rig, broker, vhost):
    b = rig.consumer(broker, vhost, Queue="q", Notifications=True,
                     NotificationRate=20)
    b.start()
    wait_for(lambda: vhost.consumers("q") == 1, 60, "the consumer consumes")
    began = time.monotonic()
    publish_all(vhost, [("q", notifications(100), {"content_type": TEXT})
                        for _ in range(100)])
    series = lambda: b.record.series("rabbitmq_consume-x/")
    wait_for(lambda: series().get("total_operations-acked") == 100, 60,
             "all messages are acknowledged")
    seconds = time.monotonic() - began
    taken = series()["total_events-notification"]
    assert taken + series()["total_values-refused_rate"] == 10_000
    assert 20 <= taken <= 20 + 20 * seconds
    came = [n for n in b.record.notifications if n[1].startswith("h/p")]
    assert len(came) == taken
    assert came[0][2] == "run 0!"
    assert len(b.log_lines("more than NotificationRate")) == 1


def test_a_message_waits_for_its_notifications_and_the_end_does_not_lose_them(
        rig, broker, vhost):
    b = rig.consumer(broker, vhost, Queue="q", Notifications=True,
                     NotificationRate=100, ShutdownTimeout=30)
    b.start()
    wait_for(lambda: vhost.consumers("q") == 1, 60, "the consumer consumes")

    def came():
        return [n for n in b.record.refresh().notifications
                if n[1].startswith("h/p")]
    send = lambda count: publish_all(
        vhost, [("q", notifications(3), {"content_type": TEXT})
                for _ in range(count)])
    send(1)
    wait_for(lambda: len(came()) == 3, 60, "the first are dispatched")
    send(10)
    wait_for(lambda: vhost.ready("q") == 0, 60, "all are delivered")
    took = b.stop()
    assert took < 20, "it does not wait for a read callback that is gone"
    wait_for(lambda: len(came()) + 3 * vhost.ready("q") == 33, 60,
             "the others are back in the queue")


def test_slow_handlers_of_notifications_do_not_keep_the_daemon_from_ending(
        rig, broker, vhost):
    """Two blocks with work for 40 s each: they share the time that is left."""
    queues, count = ("a", "b"), 200
    b = rig.daemon(
        "B", ["rabbitmq_consume"], plugin("sink", NotificationDelay=0.2),
        warren.consume(*(warren.subscribe_block(
            q, broker, vhost.name, Queue=q, ShutdownTimeout=8,
            Notifications=True, NotificationRate=10000) for q in queues)))
    sent = {q: {f"{q} {i}!" for i in range(count)} for q in queues}
    b.start()
    for q in queues:
        wait_for(lambda: vhost.consumers(q) == 1, 60, "the block consumes")
        publish_all(vhost, [
            (q, b'PUTNOTIF severity=failure time=%.3f host=h plugin=p '
             b'message="%s"\n' % (time.time(), text.encode()),
             {"content_type": TEXT}) for text in sent[q]])

    def came(q):
        return [n[2] for n in b.record.refresh().notifications
                if n[2].startswith(q + " ")]
    for q in queues:
        wait_for(lambda: came(q), 60, "the first are dispatched")
    before = {q: len(came(q)) for q in queues}
    assert b.stop() < 25 and b.status == 0
    for q in queues:
        assert len(came(q)) > before[q] + 10, "it had its share of the end"
        wait_for(lambda: vhost.ready(q) + len(set(came(q))) >= count, 60,
                 "what is left is back in the queue")
        left = {re.search(rb'"(.*)"', body)[1].decode()
                for _, body in vhost.take_all(q)}
        assert left | set(came(q)) == sent[q] and left, "none is lost"
