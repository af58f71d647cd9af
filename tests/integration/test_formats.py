# SPDX-License-Identifier: MIT
"""Each format is read by those it is for. A real collectd publishes the same
values in every format at once, beside collectd's own amqp plugin; what arrives
is then given to the format's own reader, and compared with what went in."""

import collections
import dataclasses
import gzip
import math
import pathlib
import re
import subprocess
import time

import pytest

from rig import modules as warren
from rig.carbon import Carbon
from rig.collectd import Daemon, block, plugin, say
from rig.formats import logstash_alert, logstash_events, strict_json
from rig.influxd import Influxd
from rig.waiting import wait_for

TOP = pathlib.Path(__file__).resolve().parents[2]
FIXTURES = TOP / "tests" / "fixtures" / "codec"
HOST = "host.example.org"
INTERVAL = 10.0
NAN, INF = float("nan"), float("inf")

# plugin, instance, type, instance, values
SHAPES = [
    ("cpu", "0", "gauge", "idle", [99.5]),
    ("load", "", "load", "", [0.1 + 0.2, -1.5e-7, 1e300]),
    ("interface", "eth0", "if_octets", "", [1, 2**53 + 1]),
    ("p", "", "derive", "min", [-2**63]),
    ("p", "", "derive", "max", [2**63 - 1]),
    ("p", "", "counter", "max", [2**64 - 1]),
    ("p", "", "absolute", "", [0]),
    ("p", "", "gauge", "nan", [NAN]),
    ("p", "", "gauge", "inf", [-INF]),
    ("df", 'C:\\a "b"', "gauge", "a b", [1.0]),
    ("df", "D:\\ x,\\=y", "gauge", "\\,", [6.0]),
    ("df", "müll", "gauge", "€", [2.0]),
    ("p", "a,b=c", "gauge", "d.e", [3.0]),
    ("p", "a-b", "gauge", "c-d", [4.0]),
    ("p", "#~%", "gauge", "'|`$", [5.0]),
    ("p", "", "derive", "rate", [100]),
]
# Ten seconds after the last one: the rate is 2.5.
LATER = ("p", "", "derive", "rate", [125])
SOURCES = {"load": ["shortterm", "midterm", "longterm"],
           "if_octets": ["rx", "tx"]}
KINDS = {"derive": "derive", "counter": "counter", "absolute": "absolute",
         "if_octets": "derive"}


@dataclasses.dataclass(frozen=True)
class Sent:
    """One value list that went into the publisher."""
    plugin: str
    plugin_instance: str
    type: str
    type_instance: str
    values: tuple
    time: float

    @property
    def kind(self):
        return KINDS.get(self.type, "gauge")

    @property
    def names(self):
        return SOURCES.get(self.type, ["value"])

    @property
    def identity(self):
        return (self.plugin + (self.plugin_instance and "-") + self.plugin_instance
                + "/" + self.type + (self.type_instance and "-")
                + self.type_instance)

    @property
    def texts(self):
        return ["U" if math.isnan(v) else repr(v) for v in self.values]

    def putval(self):
        name = f"{HOST}/{self.identity}".replace("\\", "\\\\").replace('"', '\\"')
        return (f'PUTVAL "{name}" interval={INTERVAL:g} '
                f"{self.time:.3f}:{':'.join(self.texts)}\n")


def make_sent():
    """Every shape at a second of its own, since Graphite knows seconds only."""
    begin = int(time.time()) - len(SHAPES) - 15
    sent = [Sent(*shape[:4], tuple(shape[4]), begin + i + 0.25)
            for i, shape in enumerate(SHAPES)]
    return [*sent, Sent(*LATER[:4], tuple(LATER[4]), sent[-1].time + 10)]


BATCH = {"BatchValues": 200, "FlushInterval": 3600}  # sealed at the end
GZIP = {**BATCH, "ContentEncoding": "gzip"}
GRAPHITE = {
    "graphite": {},
    "graphite_prefix": {"GraphitePrefix": "a.b.", "GraphitePostfix": ".c"},
    "graphite_escape": {"GraphiteEscapeChar": "-"},
    "graphite_separate": {"GraphiteSeparateInstances": True},
    "graphite_ds": {"GraphiteAlwaysAppendDS": True},
    "graphite_keep": {"GraphitePreserveSeparator": True},
    "graphite_rates": {"StoreRates": True},
}
OURS = {
    "command": {"Format": "Command"},
    "command_batch": {"Format": "Command", **BATCH},
    "command_gzip": {"Format": "Command", **GZIP},
    "json": {"Format": "JSON"},
    "json_batch": {"Format": "JSON", **BATCH},
    "json_gzip": {"Format": "JSON", **GZIP},
    "json_rates": {"Format": "JSON", "StoreRates": True},
    **{name: {"Format": "Graphite", **BATCH, **options}
       for name, options in GRAPHITE.items()},
    "graphite_gzip": {"Format": "Graphite", **GZIP},
    "influx": {"Format": "Influx"},
    "influx_batch": {"Format": "Influx", **BATCH},
    "influx_gzip": {"Format": "Influx", **GZIP},
}
STOCK = {
    "stock_command": {"Format": "Command"},
    "stock_json": {"Format": "JSON"},
    "stock_json_rates": {"Format": "JSON", "StoreRates": True},
    **{f"stock_{name}": {"Format": "Graphite", **options}
       for name, options in GRAPHITE.items()},
}
EVENTS = {"command", "json", "graphite", "influx"}
# The first is that of tests/fixtures/codec/capture.py.
NOTIFICATIONS = [
    'PUTNOTIF severity=failure time=1700000000.5 host=h plugin=cpu '
    'plugin_instance=0 type=cpu type_instance=wait '
    r's:indicator="a \"b\" \\c" message="it is \"full\""' "\n",
    'PUTNOTIF severity=okay time=1700000001 host=h plugin=df type=gauge '
    'message="müll, C:\\\\x"' "\n"]


def our_block(broker, vhost, name, options):
    return warren.publish_block(
        name, broker, vhost.name, Exchange="amq.direct", RoutingKey=name,
        RoutingKeyNotification=f"{name}.event", Notifications=name in EVENTS,
        ReportStats=False, ShutdownTimeout=30, **options)


def stock_block(broker, vhost, name, options):
    return block("Publish", name, Host="127.0.0.1", Port=str(broker.amqp_port),
                 VHost=vhost.name, User="guest", Password="guest",
                 Exchange="amq.direct", RoutingKey=name, Persistent=True,
                 **options)


@dataclasses.dataclass
class World:
    """What was sent and what lies on the broker: for every block its messages
    [(properties, body)], and the same once more in the queue NAME.copy."""
    vhost: object
    sent: list
    messages: dict

    def bodies(self, name):
        """Unpacked where they say that they are packed."""
        return [gzip.decompress(body) if p.content_encoding == "gzip" else body
                for p, body in self.messages[name]]

    def lines(self, name):
        return [line for body in self.bodies(name) for line in body.splitlines()]


def published(vhost, count):
    """Waits for collectd's own plugin; ours has the values before it, or waits
    with them until the daemon stops."""
    wait_for(lambda: all(vhost.ready(f"{name}.copy") == count for name in STOCK),
             60, f"stock amqp published {count}")


@pytest.fixture(scope="module")
def world(built, broker, tmp_path_factory):
    where = str(tmp_path_factory.mktemp("formats"))
    keys = [*OURS, *STOCK, *(f"{name}.event" for name in EVENTS)]
    with broker.vhost("test/formats") as vhost:
        for key in keys:
            for queue in (key, f"{key}.copy"):
                vhost.queue(queue)
                vhost.bind("amq.direct", queue, key)
        daemon = Daemon(
            where, built, ["unixsock", "amqp", "rabbitmq_publish"],
            [plugin("unixsock", SocketFile=f"{where}/sock"),
             plugin("amqp", *(stock_block(broker, vhost, *b)
                              for b in STOCK.items())),
             warren.publish(*(our_block(broker, vhost, *b)
                              for b in OURS.items()))])
        sent = make_sent()
        with daemon.start():
            say(f"{where}/sock", *(s.putval() for s in sent[:-1]), *NOTIFICATIONS)
            published(vhost, len(sent) - 1)  # before collectd knows a rate
            say(f"{where}/sock", sent[-1].putval())
            published(vhost, len(sent))
            daemon.stop()  # what is in open batches is published
        yield World(vhost, sent, {key: vhost.take_all(key, 0.1) for key in keys})


# ---- Command ----

def as_recorded(sent):
    """As sink writes it down: time, identity without the host, value."""
    return (sent.time, sent.identity,
            ":".join(f"{v:.17g}" if sent.kind == "gauge" else str(v)
                     for v in sent.values))


def test_collectds_amqp_reads_a_command_per_message(rig, broker, world):
    b = rig.daemon("B", ["amqp"], plugin("amqp", block(
        "Subscribe", "x", Host="127.0.0.1", Port=str(broker.amqp_port),
        VHost=world.vhost.name, User="guest", Password="guest",
        Exchange="amq.direct", Queue="command.copy", QueueDurable=True,
        QueueAutoDelete=False, RoutingKey="no more of them"))).start()
    try:
        wait_for(lambda: len(b.record.refresh().values) >= len(world.sent), 60,
                 "all values")
        assert b.record.values == [as_recorded(s) for s in world.sent]
    finally:
        b.kill9()  # an idle subscriber of collectd's own does not end by SIGTERM


@pytest.mark.parametrize("name", ["command", "command_batch", "json",
                                  "json_batch"])
def test_our_consumer_reads_each_form(rig, broker, world, name):
    want = [as_recorded(s) for s in world.sent]  # in this order, each once
    if name.startswith("json"):  # null is all it has for what is not finite
        want = [(t, i, "nan" if "inf" in v else v) for t, i, v in want]
    with rig.consumer(broker, world.vhost, Queue=f"{name}.again",
                      Exchange="amq.direct", RoutingKey=f"{name}.again",
                      ReportStats=False).start() as b:
        wait_for(lambda: world.vhost.consumers(f"{name}.again") == 1, 60, "consumes")
        with world.vhost.connect() as connection:
            channel = connection.channel()  # one, which keeps the order
            for properties, body in world.messages[name]:
                channel.basic_publish(
                    "amq.direct", f"{name}.again", body, properties)
        wait_for(lambda: len(b.record.refresh().values) >= len(want), 60,
                 "all values")
        assert b.record.values == want


# ---- JSON ----

def events_of(world, name):
    return [e for body in world.bodies(name) for e in logstash_events(body)]


def as_event(sent):
    return {"values": [v if math.isfinite(v) else None for v in sent.values],
            "dstypes": [sent.kind] * len(sent.values), "dsnames": sent.names,
            "time": sent.time, "interval": INTERVAL, "host": HOST,
            "plugin": sent.plugin, "plugin_instance": sent.plugin_instance,
            "type": sent.type, "type_instance": sent.type_instance}


def by_time(event):
    return event["time"]


def test_logstash_splits_json_into_the_events_it_knows(world):
    events = events_of(world, "json")
    for event in events:
        event.pop("meta", None)
    assert sorted(events, key=by_time) == [as_event(s) for s in world.sent]


def test_json_is_what_collectds_amqp_writes(world):
    """Byte for byte, but for digits that collectd cuts off and UTF-8 that it
    takes apart."""
    same = [s for s in world.sent if s.identity.isascii()
            and not any(v == 0.1 + 0.2 for v in s.values)]
    times = {b'"time":%.3f' % s.time for s in same}

    def of(name):
        return sorted(b for b in world.bodies(name)
                      if re.search(rb'"time":[0-9.]+', b)[0] in times)
    assert len(of("json")) == len(same)
    assert of("json") == of("stock_json")


@pytest.mark.parametrize("name", ["json_batch", "json_gzip"])
def test_a_batch_of_json_is_one_array_of_the_same_events(world, name):
    body, = world.bodies(name)
    alone = [e for body in world.bodies("json") for e in logstash_events(body)]
    assert sorted(logstash_events(body), key=by_time) == sorted(alone, key=by_time)


def test_json_rates_are_those_of_collectds_amqp(world):
    def rates(name):
        return {e["time"]: [v if v is None else f"{v:.12g}" for v in e["values"]]
                for body in world.bodies(name) if b'"dstypes":["derive"' in body
                for e in strict_json(body)}
    assert rates("json_rates") == rates("stock_json_rates")
    assert rates("json_rates")[world.sent[-1].time] == ["2.5"]


# ---- Graphite ----

@pytest.mark.parametrize("name", list(GRAPHITE))
def test_graphite_is_byte_for_byte_what_collectds_amqp_writes(world, name):
    body, = world.bodies(name)
    assert body == b"".join(world.bodies(f"stock_{name}"))


def test_graphite_stores_what_we_write(world, tmp_path):
    """In whisper files: doubles, so that integers over 2**53 lose digits there
    that the line still has; carbon leaves nan out."""
    want = collections.Counter(
        (int(s.time), float(f"{v:.15g}" if s.kind == "gauge" else v))
        for s in world.sent for v in s.values if not math.isnan(v))
    lines = world.lines("graphite")
    with Carbon(tmp_path / "carbon") as carbon:
        carbon.take(*world.bodies("graphite"))
        wait_for(lambda: len(carbon.all_values()) >= want.total(), 60,
                 f"{want.total()} values; {carbon.refused()}")
        stored = carbon.all_values()
        assert collections.Counter((t, v) for _, t, v in stored) == want
        assert {metric for metric, _, _ in stored} == {
            line.decode().split(" ")[0] for line in lines if b" nan " not in line}
        assert carbon.refused() == []
    for number in (b" 9007199254740993 ", b" 18446744073709551615 "):
        assert any(number in line for line in lines)


# ---- Influx ----

def as_points(sent):
    """As InfluxDB gives it back. Integers are fields of their own: one that is
    a float in one line and an integer in the next is refused."""
    tags = {"host": HOST, "instance": sent.plugin_instance, "type": sent.type,
            "type_instance": sent.type_instance}
    tags = frozenset((k, v) for k, v in tags.items() if v)
    when = int(sent.time * 1000) * 1_000_000
    return {(sent.plugin, tags, when,
             name if sent.kind == "gauge" else f"{name}_total", value)
            for name, value in zip(sent.names, sent.values) if math.isfinite(value)}


@pytest.mark.parametrize("name", ["influx", "influx_batch", "influx_gzip"])
def test_influxdb_stores_what_we_write(world, tmp_path, name):
    """All but the counters over 2**63, which InfluxDB 1 does not know: it says
    so and takes the other lines of the body."""
    with Influxd(tmp_path / "influxd") as influxd:
        said = "".join(influxd.take(body) for body in world.bodies(name))
        assert said.count("unable to parse") == 1
        assert "_total=18446744073709551615u" in said
        assert influxd.points() == set().union(*(
            as_points(s) for s in world.sent if s.values != (2**64 - 1,)))


# ---- gzip ----

@pytest.mark.parametrize("form", ["command", "json", "graphite", "influx"])
def test_gzip_is_unpacked_by_python_and_zcat(world, form):
    """And said where Telegraf's content_encoding = "auto" looks for it."""
    plain_name = form if form == "graphite" else f"{form}_batch"
    (packed_as, packed), = world.messages[f"{form}_gzip"]
    (plain_as, plain), = world.messages[plain_name]
    assert packed_as.content_encoding == "gzip"
    assert plain_as.content_encoding in (None, "identity")
    assert packed_as.content_type == plain_as.content_type
    zcat = subprocess.run(["zcat"], input=packed, capture_output=True, check=True)
    assert gzip.decompress(packed) == zcat.stdout == plain
    assert len(packed) < len(plain)


# ---- notifications ----

def test_collectd_takes_our_notifications_back(rig, world):
    path = str(rig.dir / "sock")
    with rig.daemon("B", ["unixsock"],
                    plugin("unixsock", SocketFile=path)).start() as b:
        say(path, *(body.decode().rstrip("\n") + "\n"
                    for body in world.bodies("command.event")))
        wait_for(lambda: len(b.record.refresh().notifications) == 2, 60, "both")
    assert sorted(b.record.notifications) == [
        (1, "h/cpu/cpu", 'it is "full"'), (4, "h/df/gauge", "müll, C:\\x")]


def test_json_notifications_are_the_alerts_that_collectd_sends(world):
    """Byte for byte what collectd's write_http sent for the same one."""
    first, second = sorted(world.bodies("json.event"), key=len, reverse=True)
    assert first.rstrip() == (FIXTURES / "alert.txt").read_bytes().rstrip()
    alert = logstash_alert(second)
    assert alert["labels"] == {
        "alertname": "collectd_df_gauge", "instance": "h", "severity": "OKAY",
        "service": "collectd"}
    assert alert["annotations"] == {"summary": "müll, C:\\x"}
    assert alert["startsAt"].startswith("2023-11-14T22:13:21.000")


@pytest.mark.parametrize("form", ["graphite", "influx"])
def test_a_format_without_notifications_sends_them_as_json(world, form):
    assert sorted(world.bodies(f"{form}.event")) == sorted(
        world.bodies("json.event"))


# ---- content types ----

@pytest.mark.parametrize("name,want", [
    ("command", "text/collectd"), ("command.event", "text/collectd"),
    ("json", "application/json"), ("json.event", "application/json"),
    ("graphite", "text/graphite"), ("graphite.event", "application/json"),
    ("influx", "text/influx"), ("influx.event", "application/json"),
    ("influx_gzip", "text/influx")])
def test_every_message_says_what_it_is(world, name, want):
    messages = world.messages[name]
    assert messages and {p.content_type for p, _ in messages} == {want}


# ---- sizes ----

def sizes_of_the_manual():
    """{format: (alone, in a batch)}: the table in SIZING."""
    page = (TOP / "plugins" / "rabbitmq_publish.pod").read_text(encoding="utf-8")
    rows = re.findall(r"^  (\w+) +(\d+) +(\d+) +\d+ +\d+ +\d+ +\d+$", page, re.M)
    return {form: (int(alone), int(batch)) for form, alone, batch in rows}


def test_a_value_costs_what_the_manual_says(rig, broker, vhost, figure):
    """Of this host's own values, give or take a third: another has others."""
    wanted = sizes_of_the_manual()
    assert set(wanted) == {"Command", "JSON", "Influx", "Graphite"}
    blocks = {f"{form}.{kind}": {"Format": form, **options} for form in wanted
              for kind, options in (("alone", {}), ("batch", BATCH))}
    for name in blocks:
        vhost.queue(name)
        vhost.bind("amq.direct", name, name)
    a = rig.daemon(
        "A", ["cpu", "df", "disk", "interface", "irq", "load", "memory",
              "processes", "vmem", "rabbitmq_publish"],
        warren.publish(*(our_block(broker, vhost, *b) for b in blocks.items())),
        interval=0.5, host="web17.prod.example.org")
    with a.start():
        wait_for(lambda: len(a.record.refresh().values) > 400, 60, "some values")
        a.stop()
    taken = {name: [body for _, body in vhost.take_all(name, 0.1)]
             for name in blocks}
    lists = len(taken["Command.alone"])
    for form, sizes in wanted.items():
        for kind, size in zip(("alone", "batch"), sizes):
            cost = sum(map(len, taken[f"{form}.{kind}"])) / lists
            figure(f"{form} {kind}: {cost:.0f} bytes a value list, manual {size}")
            assert size / 1.33 < cost < size * 1.33, (form, kind)


# ---- the readers ----

@pytest.mark.parametrize("body", [
    b'[{"a":1,"a":2}]', b'[NaN]', b'["\xff"]', b'[1]x', b'[1,]'])
def test_the_json_reader_forgives_nothing(body):
    with pytest.raises((AssertionError, ValueError)):
        strict_json(body)


def test_graphite_says_what_it_cannot_read(tmp_path):
    now = int(time.time())
    with Carbon(tmp_path / "carbon") as carbon:
        carbon.take(b"a.b 1.5 %d\na b 1 %d\nc.d x %d\n" % (now, now, now))
        wait_for(lambda: carbon.all_values() and len(carbon.refused()) == 2, 60,
                 "one value, two complaints")
        assert carbon.all_values() == {("a.b", now, 1.5)}


def test_influxdb_says_what_it_cannot_read(tmp_path):
    with Influxd(tmp_path / "influxd") as influxd:
        assert influxd.take(b"m,t=a\\ b v=1.5,n=9007199254740993i 1\n") == ""
        assert influxd.points() == {
            ("m", frozenset({("t", "a b")}), 1, "v", 1.5),
            ("m", frozenset({("t", "a b")}), 1, "n", 2**53 + 1)}
        for bad in (b"m v=NaN 1", b"m,t= v=1 1", b"m 1", b"m v=1e 1",
                    b"m v=9223372036854775808i 1"):
            assert "unable to parse" in influxd.take(bad), bad
