# SPDX-License-Identifier: MIT
"""contrib/graph/warren-graph draws what RRD files say, and nothing where they say
nothing."""

import pathlib
import shutil
import struct
import subprocess
import zlib

import pytest

TOP = pathlib.Path(__file__).resolve().parents[2]
GRAPH = TOP / "contrib" / "graph" / "warren-graph"
GREEN, AMBER, RED = (0x2a, 0x9d, 0x4b), (0xf0, 0xa2, 0x02), (0xd1, 0x24, 0x2f)
BEGIN, STEP, COUNT = 1764000000, 10, 60
PICTURES = {"connection", "lag", "errors", "resource", "throughput"}

pytestmark = pytest.mark.skipif(not shutil.which("rrdtool"),
                                reason="rrdtool is missing")


def rrd(path, values, source="value"):
    """As collectd's plugin makes them; None is a value that was not sent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["rrdtool", "create", path, "--start", str(BEGIN - STEP), "--step", str(STEP),
         f"DS:{source}:GAUGE:{2 * STEP}:U:U",
         *(f"RRA:{f}:0.1:1:600" for f in ("AVERAGE", "MIN", "MAX"))], check=True)
    updates = [f"{BEGIN + i * STEP}:{v}" for i, v in enumerate(values)
               if v is not None]
    subprocess.run(["rrdtool", "update", path, *updates], check=True)


@pytest.fixture
def draw(tmp_path):
    def drawn(connected, blocked=0, *options):
        data, out = tmp_path / "rrd", tmp_path / "out"
        cluster = data / "h" / "rabbitmq_monitor-c.1"
        rrd(cluster / "bool-reachable.rrd", [1] * COUNT)
        rrd(cluster / "queue_length-ready.rrd", [7] * COUNT)
        rrd(cluster / "duration-head_age.rrd", [3] * COUNT, "seconds")
        rrd(cluster / "percent-error_rate.rrd", [50] * COUNT)
        rrd(cluster / "gauge-publish_rate.rrd", [100] * COUNT)
        rrd(data / "h" / "rabbitmq_monitor-c.1-node-a" / "percent-memory.rrd",
            [40] * COUNT)
        publisher = data / "h" / "rabbitmq_publish-main"
        rrd(publisher / "bool-connected.rrd", connected)
        rrd(publisher / "bool-blocked.rrd", [blocked] * COUNT)
        done = subprocess.run(
            [GRAPH, "--from", str(BEGIN), "--to", str(BEGIN + COUNT * STEP),
             *options, data, out], capture_output=True, text=True, check=False)
        return done, out
    return drawn


def pixels(png):
    """How often each colour is in a picture (8 bits, no palette)."""
    data = png.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed = 8, b""
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        body = data[at + 8:at + 8 + size]
        if kind == b"IHDR":
            width, height, _, colour = struct.unpack(">IIBB", body[:10])
        packed += body if kind == b"IDAT" else b""
        at += size + 12
    deep = {2: 3, 6: 4}[colour]
    raw, stride = zlib.decompress(packed), width * deep
    before, seen = bytearray(stride), {}
    for y in range(height):
        how, *line = raw[y * (stride + 1):(y + 1) * (stride + 1)]
        row = bytearray(line)
        for x in range(stride):
            a = row[x - deep] if x >= deep else 0
            b, c = before[x], before[x - deep] if x >= deep else 0
            p = a + b - c
            nearest = min((abs(p - v), i, v) for i, v in enumerate((a, b, c)))[2]
            row[x] = (row[x] + (0, a, b, (a + b) // 2, nearest)[how]) & 255
        for x in range(0, stride, deep):
            key = tuple(row[x:x + 3])
            seen[key] = seen.get(key, 0) + 1
        before = row
    return seen


def share(png, colour):
    """Of the three that a lane can have."""
    seen = pixels(png)
    all_three = sum(seen.get(c, 0) for c in (GREEN, AMBER, RED))
    return seen.get(colour, 0) / all_three


def test_five_pictures_are_drawn_and_named(draw):
    done, out = draw([1] * COUNT)
    assert done.returncode == 0, done.stderr
    assert {p.stem for p in out.glob("*.png")} == PICTURES
    assert done.stdout.split() == [str(out / f"{p}.png") for p in (
        "connection", "lag", "errors", "resource", "throughput")]
    assert all(4000 < p.stat().st_size < 60000 for p in out.glob("*.png"))


def test_what_is_down_is_red_and_what_is_not_known_is_blank(draw):
    half = COUNT // 2
    _, out = draw([1] * half + [0] * half)
    assert 0.15 < share(out / "connection.png", RED) < 0.35  # half of two lanes
    _, out = draw([1] * half + [None] * half)
    assert share(out / "connection.png", RED) < 0.02  # the legend's square
    _, out = draw([1] * COUNT, 1)
    assert share(out / "connection.png", AMBER) > 0.3


def test_what_cannot_be_drawn_is_said(draw, tmp_path):
    done, _ = draw([1] * COUNT, 0, "--cluster", "other")
    assert done.returncode == 1 and "rabbitmq_monitor-other" in done.stderr
    done, _ = draw([1] * COUNT, 0, "--limit", "typo=1")
    assert done.returncode == 1 and "--limit typo=1" in done.stderr
    done = subprocess.run([GRAPH, tmp_path / "none", tmp_path / "out"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "there is no directory" in done.stderr
