# SPDX-License-Identifier: MIT
"""One run of the whole in the daemon under valgrind, AddressSanitizer with
UBSan, and ThreadSanitizer.

The daemon itself is not instrumented and has a small leak of its own, so a
report counts when one of its frames lies in one of our modules."""

import glob
import os
import re
import signal
import subprocess

import pytest

from conftest import TEST_LIMIT_S
from rig import modules as warren
from rig.collectd import OURS, READY, collect_modules, plugin
from rig.waiting import wait_for

TOTAL = 4000


def runtime(name):
    """The path of a sanitizer's runtime library."""
    return subprocess.run(["gcc", f"-print-file-name={name}"], check=True,
                          capture_output=True, text=True).stdout.strip()


def valgrind(where):
    return {"wrapper": [
        "valgrind", f"--log-file={where}/report.%p", "--leak-check=full",
        "--show-leak-kinds=definite,indirect", "--num-callers=30",
        "--keep-debuginfo=yes", "--child-silent-after-fork=yes"]}


def asan(where):
    return {"environment": {
        "LD_PRELOAD": runtime("libasan.so") + ":" + runtime("libubsan.so"),
        "ASAN_OPTIONS": f"log_path={where}/report:detect_leaks=1:exitcode=0:"
                        "abort_on_error=0:fast_unwind_on_malloc=0",
        "UBSAN_OPTIONS": f"log_path={where}/report:print_stacktrace=1:"
                         "halt_on_error=0"}}


def tsan(where):
    return {"environment": {
        "LD_PRELOAD": runtime("libtsan.so"),
        "TSAN_OPTIONS": f"log_path={where}/report:exitcode=0:"
                        "report_signal_unsafe=0"}}


TOOLS = {"valgrind": (valgrind, "WARREN_BUILD"),
         "asan+ubsan": (asan, "WARREN_BUILD_ASAN"),
         "tsan": (tsan, "WARREN_BUILD_TSAN")}
OUR_FRAME = re.compile("|".join([*OURS, "faulty"]))


def reports(where):
    """The reports that a frame of ours has part in."""
    found = []
    for name in glob.glob(f"{where}/report.*"):
        with open(name, encoding="utf-8", errors="replace") as f:
            text = re.sub(r"^==\d+==\s?", "", f.read(), flags=re.M)
        for paragraph in re.split(r"\n\s*\n(?=\S)|={18}", text):
            if OUR_FRAME.search(paragraph) and re.search(
                    r"\bat 0x|#\d|runtime error|SUMMARY", paragraph):
                found.append(paragraph.strip())
    return found


def modules_for(tool, tmp_path):
    build = TOOLS[tool][1]
    if not os.environ.get(build):
        pytest.skip(f"{build} is not set")
    return collect_modules(os.environ[build], str(tmp_path / "modules"))


@pytest.mark.parametrize("tool,fault", [
    ("valgrind", "leak"), ("valgrind", "overflow"), ("asan+ubsan", "leak"),
    ("asan+ubsan", "overflow"), ("tsan", "race")])
def test_a_fault_of_a_module_would_be_reported(rig, tmp_path, tool, fault):
    rig.modules = modules_for(tool, tmp_path)
    daemon = rig.daemon("faulty", ["faulty"], plugin("faulty", Fault=fault),
                        **TOOLS[tool][0](tmp_path))
    daemon.launch()
    wait_for(lambda: reports(tmp_path) or READY in daemon.log()
             or not daemon.is_running(), 120, "it is up")
    if daemon.is_running():
        daemon.stop(patience=120)
    assert any("faulty" in r for r in reports(tmp_path)), daemon.log()


@pytest.mark.parametrize("tool", TOOLS)
def test_the_whole_in_the_daemon_has_no_report(
        rig, broker, vhost, tmp_path, tool, figure):
    signal.alarm(max(TEST_LIMIT_S, 600))  # valgrind on a busy machine
    options = TOOLS[tool][0]
    rig.modules = modules_for(tool, tmp_path)
    vhost.exchange("metrics", "topic")
    vhost.exchange("dlx", "fanout")
    vhost.queue("dead")
    vhost.bind("dlx", "dead", "")
    everything = rig.daemon(
        "B", ["rabbitmq_consume", "rabbitmq_monitor", "rabbitmq_publish",
              "loadgen"],
        warren.consume(warren.subscribe_block(
            "x", broker, vhost.name, Exchange="metrics", RoutingKey="#",
            Queue="sink", DeadLetterExchange="dlx", ShutdownTimeout=20)),
        warren.monitor(warren.cluster_block("main", broker, Interval=1,
                                            ShutdownTimeout=20)),
        warren.publish(warren.publish_block(
            "x", broker, vhost.name, Exchange="metrics", Notifications=True,
            ShutdownTimeout=20)),
        plugin("loadgen", Total=TOTAL, Rate=800, Delay=3, Notifications=3),
        write_threads=3, **options(tmp_path))
    everything.start(timeout=120)
    numbers = everything.record.numbers
    wait_for(lambda: len(numbers()) > TOTAL / 2, 120, "half of it")
    broker_closes(vhost)
    vhost.publish("", "sink", os.urandom(500), content_type="text/collectd")
    vhost.publish("", "sink", b"[{]", content_type="application/json")
    # Each value is recorded where it is dispatched and where it comes back.
    wait_for(lambda: twice(numbers()), 180, "all came back", pause=0.3)
    wait_for(lambda: vhost.ready("dead") >= 2, 60, "poison is dead-lettered")
    seconds = everything.stop(patience=120)
    assert everything.status == 0, everything.log()
    assert len(numbers()) < 3 * TOTAL, "what came back was published again"
    found = reports(tmp_path)
    assert not found, "\n\n".join(found)
    figure(f"{tool}: no report from {TOTAL} values and a lost connection; "
           f"exit {seconds:.1f} s after SIGTERM")


def twice(numbers):
    return len(numbers) >= 2 * TOTAL and set(numbers) == set(range(TOTAL))


def broker_closes(vhost):
    """Closes this virtual host's connections and no others."""
    broker = vhost.broker

    def ours():
        return [c["name"] for c in broker.must("GET", "connections")
                if c.get("vhost") == vhost.name]
    import urllib.parse
    for name in wait_for(ours, 60, "the API lists the connections"):
        broker.api("DELETE", f"connections/{urllib.parse.quote(name)}")
