# SPDX-License-Identifier: MIT
"""One warm broker for the whole run and a virtual host per test. Tests that
kill, hang or alarm a broker share a second one, the victim, which is whole
again at the end of each of them.

WARREN_BUILD names a build directory; WARREN_BUILD_ASAN and WARREN_BUILD_TSAN
those of the sanitizers' builds; WARREN_FIGURES a file for what was measured.
"""

import itertools
import json
import os
import pathlib
import signal
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rig import modules as warren  # noqa: E402
from rig.broker import Broker  # noqa: E402
from rig.collectd import Daemon, Record, collect_modules, plugin  # noqa: E402

IS_LONG = bool(os.environ.get("WARREN_LONG"))
TEST_LIMIT_S = int(os.environ.get("WARREN_TEST_LIMIT",
                                  "1800" if IS_LONG else "240"))
_names = itertools.count()
_figures = []


@pytest.fixture(scope="session")
def build():
    where = os.environ.get("WARREN_BUILD")
    if not where:
        pytest.exit("WARREN_BUILD must name a build directory; "
                    "contrib/run-tests integration does all of it", 2)
    return where


@pytest.fixture(scope="session")
def built(build, tmp_path_factory):
    """The directory with copies of the modules."""
    return collect_modules(build, str(tmp_path_factory.mktemp("modules")))


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    with Broker(str(tmp_path_factory.mktemp("broker"))) as b:
        yield b


@pytest.fixture(scope="session")
def _victim(tmp_path_factory):
    with Broker(str(tmp_path_factory.mktemp("victim")), name="victim") as b:
        yield b


@pytest.fixture
def victim(_victim):
    """A broker to be cruel to."""
    if not _victim.is_running():
        _victim.start()
    yield _victim
    if _victim.is_running():
        _victim.cont()
    else:
        _victim.start()


def _vhost(of):
    return of.vhost(f"test/{next(_names)}")


@pytest.fixture
def vhost(broker):
    with _vhost(broker) as v:
        yield v


@pytest.fixture
def victim_vhost(victim):
    with _vhost(victim) as v:
        yield v


class Rig:
    """Makes the daemons of one test and ends them."""

    def __init__(self, modules, directory):
        self.modules = modules
        self.dir = directory
        self.daemons = []

    def daemon(self, name, load, *blocks, **how):
        """A collectd that is not started yet, with a sink, which is loaded
        first unless `load` has a place for it."""
        where = str(self.dir / name)
        record = f"{where}/record"
        made = Daemon(where, how.pop("modules", self.modules),
                      load if "sink" in load else ["sink", *load],
                      [plugin("sink", File=record), *blocks], **how)
        made.record = Record(record)
        self.daemons.append(made)
        return made

    def publisher(self, at, vhost=None, name="A", options=None, load=(),
                  blocks=(), how=None, **loadgen):
        """A collectd whose publisher "x" sees only what loadgen dispatches."""
        vhost = vhost.name if hasattr(vhost, "name") else vhost or "/"
        loads = [*load, "rabbitmq_publish"]
        extra = [*blocks, warren.publish(
            warren.publish_block("x", at, vhost, **(options or {})))]
        if loadgen:
            loads = ["match_regex", "loadgen", *loads]
            extra.append(plugin("loadgen", Result=f"{self.dir}/{name}/result",
                                **loadgen))
            extra.append(warren.only_to_writer("loadgen", "rabbitmq_publish/x"))
        return self.daemon(name, loads, *extra, **(how or {}))

    def consumer(self, at, vhost=None, name="B", **options):
        vhost = vhost.name if hasattr(vhost, "name") else vhost or "/"
        return self.daemon(
            name, ["rabbitmq_consume"],
            warren.consume(warren.subscribe_block("x", at, vhost, **options)))

    def result(self, name="A"):
        """What loadgen reported."""
        with open(self.dir / name / "result", encoding="ascii") as f:
            return json.load(f)

    def close(self):
        for d in reversed(self.daemons):
            d.__exit__()


@pytest.fixture
def rig(built, tmp_path, request):
    made = Rig(built, tmp_path)
    request.node.rig = made
    yield made
    made.close()


@pytest.fixture
def figure():
    """Notes a measured figure for the end of the run."""
    def note(what):
        _figures.append(what)
    return note


@pytest.fixture(autouse=True)
def limit():
    """A test that hangs fails and says where."""
    def too_long(*_):
        raise TimeoutError(f"the test took more than {TEST_LIMIT_S} s")
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(TEST_LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows what the daemons said."""
    report = (yield).get_result()
    if report.when == "call" and report.failed and hasattr(item, "rig"):
        for d in item.rig.daemons:
            report.sections.append((f"log of {d.dir}", d.log()[-8000:]))


def pytest_terminal_summary(terminalreporter):
    where = os.environ.get("WARREN_FIGURES")
    if where:
        with open(where, "w", encoding="utf-8") as f:
            json.dump(_figures, f)
    if _figures:
        terminalreporter.section("measured")
        for line in _figures:
            terminalreporter.write_line(line)
