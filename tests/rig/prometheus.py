# SPDX-License-Identifier: MIT
"""Prometheus and Alertmanager themselves, of Debian's packages, in private
directories on loopback: with the files of contrib, in seconds instead of
minutes."""

import http.client
import http.server
import json
import os
import pathlib
import re
import subprocess
import threading
import urllib.parse

from .ports import free_ports
from .process import end, spawn
from .waiting import wait_for

CONTRIB = pathlib.Path(__file__).resolve().parents[2] / "contrib"
PROMETHEUS = "/usr/bin/prometheus"
ALERTMANAGER = "/usr/bin/prometheus-alertmanager"
NODE_EXPORTER = "/usr/bin/prometheus-node-exporter"


def replaced(text, *rules):
    """Each (pattern, instead) has to be found: a sample that changes its words
    must not be tested with the old ones."""
    for pattern, instead in rules:
        text, count = re.subn(pattern, instead, text)
        assert count, f"{pattern} is not in the sample"
    return text


class _Server:
    """A program of Go that listens on one port."""

    def __init__(self, directory, ready):
        self.dir = os.path.abspath(directory)
        os.makedirs(self.dir, exist_ok=True)
        self.port, = free_ports(1)
        self._ready = ready
        self._process = None

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def write(self, name, text):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def ask(self, path, **parameters):
        """(status, text) of a GET."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", f"{path}?{urllib.parse.urlencode(parameters)}")
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def _run(self, *argv):
        with open(f"{self.dir}/log", "ab") as out:
            self._process = spawn(
                argv, cwd=self.dir, env={"HOME": self.dir, "GOMAXPROCS": "2"},
                stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(self._answers, 30, f"{argv[0]} answers")
        return self

    def _answers(self):
        if self._process.poll() is not None:
            raise RuntimeError(f"ended at its start:\n{self.log()}")
        try:
            return self.ask(self._ready)[0] == 200
        except OSError:
            return False

    def log(self):
        with open(f"{self.dir}/log", encoding="utf-8", errors="replace") as f:
            return f.read()

    def __exit__(self, *_):
        end(self._process)


class Prometheus(_Server):
    """contrib/prometheus. `targets` says where each job's targets are: a job
    that it does not name has none."""

    def __init__(self, directory, alertmanager="127.0.0.1:9", **targets):
        super().__init__(directory, "/-/ready")
        sample = (CONTRIB / "prometheus" / "prometheus.yml").read_text("utf-8")
        jobs = sample.split("  - job_name: ")
        jobs[0] = replaced(jobs[0], ("15s", "1s"), ("localhost:9093", alertmanager))
        for i, job in enumerate(jobs[1:], 1):
            where = targets.get(job.split("\n")[0], "")
            jobs[i] = replaced(job, (r'"localhost:\d+"', where and f'"{where}"'))
        self._config = self.write("prometheus.yml", "  - job_name: ".join(jobs))
        rules = (CONTRIB / "prometheus" / "rules.yml").read_text("utf-8")
        self.write("rules.yml", replaced(
            rules, (r"(for|keep_firing_for): \d+[sm]\n", r"\1: 1s\n"),
            (r"\[1m\]", "[10s]")))

    def __enter__(self):
        return self._run(
            PROMETHEUS, f"--config.file={self._config}",
            f"--storage.tsdb.path={self.dir}/data",
            f"--web.listen-address={self.address}", "--log.level=warn")

    def query(self, text):
        """[(labels, value)] of an instant query."""
        status, answer = self.ask("/api/v1/query", query=text)
        assert status == 200, (text, answer)
        return [(r["metric"], float(r["value"][1]))
                for r in json.loads(answer)["data"]["result"]]

    def get(self, text):
        """The value of a query whose answer is one series, or None."""
        found = self.query(text)
        return found[0][1] if len(found) == 1 else None


class Alertmanager(_Server):
    """contrib/alertmanager; what it tells arrives at `page` and `team`."""

    def __init__(self, directory, hooks):
        super().__init__(directory, "/-/ready")
        sample = (CONTRIB / "alertmanager" / "alertmanager.yml").read_text("utf-8")
        self._config = self.write("alertmanager.yml", replaced(
            sample, ("http://localhost:8080", hooks),
            (r"group_wait: \d+[smhd]", "group_wait: 1s"),
            (r"group_interval: \d+[smhd]", "group_interval: 1s")))

    def __enter__(self):
        return self._run(
            ALERTMANAGER, f"--config.file={self._config}",
            f"--storage.path={self.dir}/data", "--cluster.listen-address=",
            f"--web.listen-address={self.address}", "--log.level=warn")

    def tell(self, alerts):
        """As Prometheus does."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/api/v2/alerts", json.dumps(alerts),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
        finally:
            connection.close()


class Textfile(_Server):
    """warren monitor writes a file each second, and node_exporter's textfile
    collector serves it."""

    def __init__(self, directory, program, *arguments):
        super().__init__(directory, "/metrics")
        os.makedirs(f"{self.dir}/textfile", exist_ok=True)
        self.file = f"{self.dir}/textfile/warren.prom"
        self._argv = [program, "monitor", *arguments, "--interval", "1",
                      "--output", "prometheus", "--file", self.file]
        self._monitor = None

    def __enter__(self):
        with open(f"{self.dir}/log", "ab") as out:
            self._monitor = spawn(
                self._argv, cwd=self.dir, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, env=dict(os.environ, WARREN_PASSWORD="guest"))
        return self._run(
            NODE_EXPORTER, "--collector.disable-defaults", "--collector.textfile",
            f"--collector.textfile.directory={self.dir}/textfile",
            "--web.disable-exporter-metrics", f"--web.listen-address={self.address}")

    def __exit__(self, *_):
        end(self._monitor)
        super().__exit__()


class Hooks:
    """Where a pager and a chat would be: notes what it is told, (path, status,
    alerts)."""

    def __init__(self):
        told = self.told = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                size = int(self.headers["Content-Length"])
                body = json.loads(self.rfile.read(size))
                told.append((self.path, body["status"], body["alerts"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def heard(self, path, name, status):
        """The alerts of that name and status that came to path."""
        return [a for where, _, alerts in list(self.told) if where == path
                for a in alerts if a["labels"]["alertname"] == name
                and a["status"] == status]

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()
