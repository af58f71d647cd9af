# SPDX-License-Identifier: MIT
"""Messages that other programs really sent, through a real broker into the real
daemon: tests/fixtures/codec/captured. Each has a block of its own, which puts
the message's name before the host."""

import pathlib

import pytest

from rig import modules as warren
from rig.waiting import wait_for

CAPTURED = pathlib.Path(__file__).resolve().parent.parent / (
    "fixtures/codec/captured")
CPU = "cpu-0/gauge-idle 99.5"
ETH0 = "interface-eth0/if_octets 1:2"
THREE = {f"h.example.org/{x}" for x in (CPU, ETH0, "p/gauge-nan nan")}
INFLUX = {f"t.example.org/{x}" for x in (
    "cpu-cpu0/gauge-usage_idle 98.25", "cpu-cpu0/gauge-usage_user 1.5",
    "disk-rw-%2F/gauge-used 123456789", "disk-rw-%2F/gauge-full 0",
    "kernel/gauge-boot_time 9.2233720368547758e+18")}
GRAPHITE = {f"t_example_org/{x}" for x in (
    "cpu0/gauge-cpu.usage_idle 98.25", "cpu0/gauge-cpu.usage_user 1.5",
    "rw/gauge--.disk.used 123456789", "rw/gauge--.disk.full 0",
    "kernel/gauge-boot_time 1.8446744073709552e+19")}
REJECTED = None
# name: Format, what arrives ("HOST/NAME VALUE"), GraphiteTemplate
ROWS = {
    "write_http-json": ("auto", THREE),
    "write_http-command": ("Command", THREE),
    "write_kafka-json": ("JSON", {f"h.example.org/{ETH0}"}),
    "write_kafka-command": ("Command", {f"h.example.org/{ETH0}"}),
    "write_kafka-json-rates": ("JSON", REJECTED),
    "write_kafka-graphite": ("Graphite", {f"h_example_org/{ETH0}"}),
    "write_kafka-graphite-dots": ("Graphite", REJECTED),
    "amqp1-json": ("JSON", {f"h.example.org/{ETH0}"}),
    "amqp1-3.10-json": ("JSON", {f"h.example.org/{ETH0}"}),
    "amqp1-command": ("Command", {f"h.example.org/{ETH0}"}),
    "amqp1-graphite": ("Graphite", {f"h_example_org/{ETH0}"}),
    "amqp1-notification": ("JSON", set()),
    "telegraf-influx": ("Influx", INFLUX),
    "telegraf-influx-headers": ("Influx", INFLUX),
    "telegraf-influx-gzip": ("Influx", INFLUX),
    "telegraf-graphite": ("Graphite", GRAPHITE, "host.plugin.type_instance*"),
    "telegraf-json": ("JSON", REJECTED),
    "telegraf-json-batch": ("JSON", REJECTED),
}


def properties_of(name):
    got, headers = {}, {}
    where = CAPTURED / f"{name}.properties"
    for line in where.read_text("utf-8").splitlines() if where.exists() else ():
        key, value = line.split(" ", 1)
        if key.startswith("header."):
            headers[key.removeprefix("header.")] = (
                bytes.fromhex(value[4:]) if value.startswith("hex:") else value)
        else:
            got[key] = int(value) if value.isdigit() else value
    return got | ({"headers": headers} if headers else {})


def arrived(daemon, name):
    """{"HOST/NAME VALUE"} of the block of that message."""
    text = pathlib.Path(daemon.path("record")).read_text(encoding="utf-8")
    whole = text[:text.rfind("\n") + 1]  # of the last one a part may be missing
    lines = (x.split(" ", 2)[2] for x in whole.split("\n") if x.startswith("V "))
    return {x.removeprefix(f"{name}.") for x in lines
            if x.startswith(f"{name}.h") or x.startswith(f"{name}.t")}


def test_what_other_programs_send_arrives(rig, broker, vhost):
    assert {f.stem for f in CAPTURED.glob("*.body")} == {*ROWS, "telegraf-own"}
    blocks = []
    for name, (form, _, *template) in ROWS.items():
        vhost.queue(name)
        blocks.append(warren.subscribe_block(
            name.replace("-", "_"), broker, vhost.name, Queue=name, Format=form,
            GraphiteTemplate=template[0] if template else None,
            RewriteHost=f"{name}.%{{host}}", Notifications=True,
            OnParseError="drop"))
    b = rig.daemon("B", ["rabbitmq_consume"], warren.consume(*blocks))
    for name in ROWS:
        vhost.publish("", name, (CAPTURED / f"{name}.body").read_bytes(),
                      **properties_of(name))
    with b.start():
        for name, (_, want, *_) in ROWS.items():
            if want is not REJECTED:
                wait_for(lambda: arrived(b, name) == want, 60,
                         f"{name}: {arrived(b, name)}, not {want}")
                continue
            series = f"rabbitmq_consume-{name.replace('-', '_')}/"
            wait_for(lambda: b.record.series(series).get(
                "total_operations-rejected_parse") == 1, 60, name)
            assert arrived(b, name) == set()
        wait_for(lambda: [n for n in b.record.refresh().notifications
                          if n[2] == 'it is "full"'], 60, "the notification")
    b.wait_log("StoreRates")
    b.wait_log("Telegraf: data_format")
