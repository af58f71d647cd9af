# SPDX-License-Identifier: MIT
"""InfluxDB itself: influxd of Debian's influxdb (1.6) in a private directory
on loopback. What it takes at /write it gives back at /query."""

import http.client
import json
import os
import subprocess
import urllib.parse

from .ports import free_ports
from .process import end, spawn
from .waiting import wait_for

CONFIG = """\
reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{dir}/meta"
[data]
  dir = "{dir}/data"
  wal-dir = "{dir}/wal"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
[continuous_queries]
  enabled = false
"""


class Influxd:
    """One server with a database "test"."""

    def __init__(self, directory):
        self.dir = os.path.abspath(directory)
        os.makedirs(self.dir, exist_ok=True)
        self._http, rpc = free_ports(2)
        with open(f"{self.dir}/influxdb.conf", "w", encoding="ascii") as f:
            f.write(CONFIG.format(dir=self.dir, rpc=rpc, http=self._http))
        self._process = None

    def _ask(self, method, path, body=None, **parameters):
        connection = http.client.HTTPConnection("127.0.0.1", self._http,
                                                timeout=20)
        try:
            connection.request(
                method, f"{path}?{urllib.parse.urlencode(parameters)}", body)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def _answers(self):
        if self._process.poll() is not None:
            with open(f"{self.dir}/log", encoding="utf-8") as f:
                raise RuntimeError(f"influxd ended at its start:\n{f.read()}")
        try:
            return self._ask("GET", "/ping")[0] == 204
        except OSError:
            return False

    def __enter__(self):
        with open(f"{self.dir}/log", "ab") as out:
            self._process = spawn(
                ["/usr/bin/influxd", "-config", f"{self.dir}/influxdb.conf"],
                cwd=self.dir, env={"HOME": self.dir, "GOMAXPROCS": "2"},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(self._answers, 30, "influxd answers")
        self.query("CREATE DATABASE test")
        return self

    def __exit__(self, *_):
        end(self._process)

    def query(self, text):
        """The series of the answer, as InfluxDB's JSON has them."""
        status, body = self._ask("POST", "/query", db="test", epoch="ns",
                                 q=text)
        answer = json.loads(body)
        result, = answer.get("results", [answer])
        assert status == 200 and "error" not in result, (text, answer)
        return result.get("series", [])

    def take(self, body):
        """Writes one body; returns what the server has against it, or ""."""
        status, answer = self._ask("POST", "/write", body, db="test",
                                   precision="ns")
        return "" if status == 204 else answer.decode()

    def points(self):
        """{(measurement, frozenset of tags, time in ns, field, value)}."""
        found = set()
        for series in self.query('SELECT * FROM /.*/ GROUP BY *'):
            tags = frozenset((k, v) for k, v in series["tags"].items() if v)
            for when, *values in series["values"]:
                found |= {(series["name"], tags, when, field, value)
                          for field, value in zip(series["columns"][1:], values)
                          if value is not None}
        return found
