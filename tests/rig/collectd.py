# SPDX-License-Identifier: MIT
"""The real collectd daemon in a private directory, with modules of a build.

Nothing of the system's configuration is read, no pid file of the system is
written, and the process dies with us.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import time

from .process import end, spawn
from .waiting import wait_for

STOCK_PLUGINS = os.environ.get("COLLECTD_PLUGINDIR", "/usr/lib/collectd")
DAEMON = os.environ.get("COLLECTD", "/usr/sbin/collectd")
OURS = ("rabbitmq_publish", "rabbitmq_consume", "rabbitmq_monitor")
READY = "Initialization complete, entering read-loop."


def built_module(build, name):
    """The path of a module in a build directory, or None."""
    for top, _, files in os.walk(build):
        if os.path.basename(top) == ".libs" and f"{name}.so" in files:
            return os.path.join(top, f"{name}.so")
    return None


def built_program(build, name):
    """The path of a program in a build directory, or None. A libtool wrapper
    does as well as the program itself."""
    for where in (name, os.path.join("plugins", name)):
        path = os.path.join(build, where)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return None


def collect_modules(build, directory, names=(*OURS, "faulty", "loadgen", "sink")):
    """Copies the modules that the build holds (collectd refuses symlinks)."""
    os.makedirs(directory, exist_ok=True)
    for name in names:
        found = built_module(build, name)
        if found:
            shutil.copy(found, os.path.join(directory, f"{name}.so"))
    return directory


def block(kind, *arguments, **options):
    """A configuration block as text. Options keep their order; a list stands
    for several arguments; a value made with raw() is taken as it is."""
    lines = [" ".join([f"<{kind}", *(quoted(a) for a in arguments)]) + ">"]
    for key, value in options.items():
        if value is None:
            continue
        values = value if isinstance(value, (list, tuple)) else [value]
        lines.append(f"  {key} " + " ".join(quoted(v) for v in values))
    return "\n".join([*lines, f"</{kind}>"])


def quoted(value):
    """A value in collectd's configuration language."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def plugin(name, *inner, **options):
    """A <Plugin NAME> block around inner blocks."""
    head, *rest = block("Plugin", **options).split("\n")
    body = [*rest[:-1], *("  " + line for b in inner for line in b.split("\n"))]
    return "\n".join([head.replace("<Plugin", f"<Plugin {name}"), *body, rest[-1]])


def say(path, *lines):
    """Commands for collectd's plugin unixsock, each of them obeyed."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        wait_for(lambda: s.connect_ex(path) == 0, 60, "unixsock listens")
        answers = s.makefile(encoding="utf-8")
        for line in lines:
            s.sendall(line.encode())
            answer = answers.readline()
            assert answer.startswith("0 "), (line, answer)


class Daemon:
    """One collectd. `blocks` are <Plugin> blocks as text; which modules are
    loaded follows from `load` (name or (name, options of LoadPlugin))."""

    def __init__(self, directory, modules, load, blocks=(), interval=1.0,
                 write_threads=1, settings="", environment=None, wrapper=(),
                 host="rig.example.org"):
        self.dir = os.path.abspath(directory)
        os.makedirs(self.dir, exist_ok=True)
        self._modules = modules
        self._environment = environment or {}
        self._wrapper = list(wrapper)
        self.process = None
        self._write_config(load, blocks, interval, write_threads,
                           f"Hostname {quoted(host)}\n{settings}")

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def _write_config(self, load, blocks, interval, write_threads, settings):
        lines = [
            "FQDNLookup false",
            f"BaseDir {quoted(self.path())}",
            f"PIDFile {quoted(self.path('pid'))}",
            f"Interval {interval}", f"WriteThreads {write_threads}",
            'TypesDB "/usr/share/collectd/types.db"', settings,
            f"PluginDir {quoted(STOCK_PLUGINS)}", "LoadPlugin logfile",
            plugin("logfile", LogLevel="info", File=self.path("log"),
                   Timestamp=True, PrintSeverity=True)]
        stock = None
        for name in load:
            ours = os.path.exists(os.path.join(self._modules, f"{name}.so"))
            if ours != stock:
                where = self._modules if ours else STOCK_PLUGINS
                lines.append(f"PluginDir {quoted(where)}")
                stock = ours
            lines.append(f"LoadPlugin {name}")
        with open(self.path("collectd.conf"), "w", encoding="utf-8") as f:
            f.write("\n".join([*lines, *blocks]) + "\n")

    # -- life ----------------------------------------------------------------

    def launch(self):
        """Starts the daemon without waiting for anything."""
        assert self.process is None, "already started"
        environment = {k: v for k, v in os.environ.items()
                       if k in ("PATH", "HOME", "TZ")} | self._environment
        with open(self.path("stderr"), "ab") as out:
            self.process = spawn(
                [*self._wrapper, DAEMON, "-f", "-C", self.path("collectd.conf")],
                cwd=self.dir, env=environment, stdin=subprocess.DEVNULL,
                stdout=out, stderr=out)
        return self

    def start(self, timeout=60):
        """Starts the daemon and waits until it reads."""
        self.launch()
        wait_for(self._is_reading, timeout, "collectd is reading")
        return self

    def _is_reading(self):
        if not self.is_running():
            raise RuntimeError(f"collectd ended at its start:\n{self.log()}")
        return READY in self.log()

    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def run_to_end(self, timeout=60):
        """For configurations that must not start: returns the exit status."""
        self.launch()
        try:
            return self.process.wait(timeout)
        finally:
            end(self.process)

    def stop(self, patience=60):
        """SIGTERM; returns the seconds until the daemon was gone. One that does
        not go is killed and an error."""
        began = time.monotonic()
        os.kill(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            self.kill9()
            raise AssertionError(
                f"collectd did not end within {patience} s of SIGTERM:\n"
                + self.log()[-3000:]) from None
        return time.monotonic() - began

    @property
    def status(self):
        return self.process.returncode

    def kill9(self):
        end(self.process, ((signal.SIGKILL, 10),))

    def again(self):
        """Forgets an ended process, so that the daemon can be started anew."""
        assert not self.is_running()
        self.process = None
        for name in ("log", "stderr"):
            if os.path.exists(self.path(name)):
                os.rename(self.path(name), self.path(f"{name}.before"))
        return self

    def __enter__(self):
        return self if self.process is not None else self.start()

    def __exit__(self, *_):
        if self.process is not None:
            end(self.process, ((signal.SIGTERM, 30), (signal.SIGKILL, 10)))

    # -- what it says --------------------------------------------------------

    def log(self):
        text = ""
        for name in ("stderr", "log"):
            if os.path.exists(self.path(name)):
                with open(self.path(name), encoding="utf-8", errors="replace") as f:
                    text += f.read()
        return text

    def log_lines(self, pattern):
        return [line for line in self.log().split("\n") if re.search(pattern, line)]

    def wait_log(self, pattern, timeout=60, count=1):
        """Waits for count lines that match; returns them."""
        try:
            return wait_for(
                lambda: (m := self.log_lines(pattern)) and len(m) >= count and m,
                timeout, f"log line {pattern!r} x {count}")
        except AssertionError as e:
            raise AssertionError(f"{e}; the log is:\n{self.log()[-6000:]}") from None


class Record:
    """What the sink module wrote down, read as it grows.

    Our modules report many series of one moment, which the sink writes down one
    by one: a report counts once all of it is there. So what is read together
    belongs together."""

    # After which a report that is shorter than the last is whole, and a first.
    QUIET_S = 1.5
    FIRST_QUIET_S = 0.3

    def __init__(self, path):
        self._path = path
        self._offset = 0
        self._rest = ""
        self._newest = {}         # by series, of whole reports
        self._coming = {}         # by plugin: the report that is being written
        self._numbers = []
        self.values = []          # (time, identity without host, value text)
        self.notifications = []   # (severity, source, message)

    def refresh(self):
        try:
            with open(self._path, encoding="utf-8", errors="replace") as f:
                f.seek(self._offset)
                text = f.read()
                self._offset = f.tell()
        except FileNotFoundError:
            return self
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        for line in lines:
            self._take(line)
        for report in self._coming.values():
            if report.is_news and report.is_whole(
                    self.QUIET_S, self.FIRST_QUIET_S):
                self._newest.update(report.values)
                report.is_news = False
        return self

    def _take(self, line):
        kind, when, rest = line.split(" ", 2)
        if kind == "V":
            name, value = rest.rsplit(" ", 1)
            name = name.split("/", 1)[1]
            self.values.append((float(when), name, value))
            self._take_value(float(when), name, value)
        else:
            severity, source, message = rest.split(" ", 2)
            self.notifications.append((int(severity), source, message))

    def _take_value(self, when, name, value):
        if name.startswith("loadgen-s"):
            self._numbers.append(int(float(value)))
        if ":" in value:
            return
        report = None
        if name.startswith(tuple(OURS)):
            report = self._coming.setdefault(name.split("/")[0], _Report(when))
        if report is None or when < report.time:
            self._newest[name] = float(value)
            return
        if when > report.time:
            self._newest.update(report.values)
            report.begin(when)
        report.add(name, float(value))

    def numbers(self):
        """The numbers that loadgen dispatched, in their order of arrival."""
        self.refresh()
        return list(self._numbers)

    def series(self, prefix=""):
        """The newest value of each series whose name begins with prefix."""
        self.refresh()
        return {name[len(prefix):]: v for name, v in self._newest.items()
                if name.startswith(prefix)}

    def history(self, name):
        """Every value of one series: [(time, value)]."""
        self.refresh()
        return [(t, float(v)) for t, n, v in self.values if n == name]


class _Report:
    """The series of one plugin instance that bear one time."""

    def __init__(self, when):
        self.time, self.values = when, {}
        self.is_news = False
        self._before = None  # how many series the last one had
        self._last_line = 0.0

    def begin(self, when):
        self._before = len(self.values)
        self.time, self.values = when, {}

    def add(self, name, value):
        self.values[name] = value
        self.is_news = True
        self._last_line = time.monotonic()

    def is_whole(self, quiet_s, first_quiet_s):
        quiet = time.monotonic() - self._last_line
        if self._before is None:
            return quiet > first_quiet_s
        return len(self.values) >= self._before or quiet > quiet_s
