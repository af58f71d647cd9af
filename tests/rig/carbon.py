# SPDX-License-Identifier: MIT
"""Graphite itself: carbon-cache of Debian's graphite-carbon in a private
directory on loopback, and what stands in its whisper files afterwards."""

import os
import socket
import struct
import subprocess
import time

from .ports import free_ports
from .process import end, spawn
from .waiting import wait_for

CONFIG = """\
[cache]
STORAGE_DIR = {dir}
LOCAL_DATA_DIR = {dir}/whisper
CONF_DIR = {dir}
LOG_DIR = {dir}/log
PID_DIR = {dir}
DATABASE = whisper
USER =
MAX_UPDATES_PER_SECOND = inf
MAX_CREATES_PER_MINUTE = inf
LINE_RECEIVER_INTERFACE = 127.0.0.1
LINE_RECEIVER_PORT = {line}
PICKLE_RECEIVER_INTERFACE = 127.0.0.1
PICKLE_RECEIVER_PORT = {pickle}
CACHE_QUERY_INTERFACE = 127.0.0.1
CACHE_QUERY_PORT = {query}
WHISPER_AUTOFLUSH = True
CARBON_METRIC_INTERVAL = 0
ENABLE_TAGS = False
"""

# One value a second, for two hours: nothing is merged, unless it is older.
SCHEMAS = "[all]\npattern = .*\nretentions = 1s:2h\n"


class Carbon:
    """One carbon-cache; a metric's name is the path of its whisper file."""

    def __init__(self, directory):
        self.dir = os.path.abspath(directory)
        os.makedirs(f"{self.dir}/whisper")
        os.makedirs(f"{self.dir}/log")
        self._line, pickle, query = free_ports(3)
        self._write("carbon.conf", CONFIG.format(
            dir=self.dir, line=self._line, pickle=pickle, query=query))
        self._write("storage-schemas.conf", SCHEMAS)
        self._process = None

    def _write(self, name, text):
        with open(os.path.join(self.dir, name), "w", encoding="ascii") as f:
            f.write(text)

    def _accepts(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"carbon ended at its start:\n{self.log()}")
        try:
            socket.create_connection(("127.0.0.1", self._line), 1).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        with open(f"{self.dir}/log/stdout", "ab") as out:
            self._process = spawn(
                ["/usr/bin/carbon-cache", "--nodaemon",
                 f"--config={self.dir}/carbon.conf",
                 f"--pidfile={self.dir}/pid", f"--logdir={self.dir}/log",
                 "start"],
                cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(self._accepts, 30, "carbon listens")
        return self

    def __exit__(self, *_):
        end(self._process)

    def log(self):
        text = ""
        for name in sorted(os.listdir(f"{self.dir}/log")):
            with open(f"{self.dir}/log/{name}", encoding="utf-8",
                      errors="replace") as f:
                text += f.read()
        return text

    def refused(self):
        """The lines that carbon could not read, as its log has them."""
        return [line for line in self.log().split("\n") if "invalid line" in line]

    def take(self, *bodies):
        """Gives it bodies, as a relay from RabbitMQ would."""
        with socket.create_connection(("127.0.0.1", self._line), 5) as s:
            for body in bodies:
                s.sendall(body)

    def metrics(self):
        """The names of all that has a file."""
        top = f"{self.dir}/whisper"
        return {os.path.relpath(os.path.join(where, name), top)
                .removesuffix(".wsp").replace("/", ".")
                for where, _, names in os.walk(top) for name in names}

    def values(self, metric):
        """{second: value} of one metric, read by Graphite's own library."""
        import whisper  # Debian's, as carbon's
        path = f"{self.dir}/whisper/{metric.replace('.', '/')}.wsp"
        if not os.path.exists(path):
            return {}
        try:
            (begin, _, step), values = whisper.fetch(path, int(time.time()) - 7100)
        except (whisper.WhisperException, struct.error):
            return {}  # it is being created
        return {begin + i * step: v for i, v in enumerate(values)
                if v is not None}

    def all_values(self):
        """{(metric, second, value)} of everything."""
        return {(m, t, v) for m in self.metrics()
                for t, v in self.values(m).items()}
