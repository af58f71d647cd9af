# SPDX-License-Identifier: MIT
"""warren publish --listen, and applications that hand messages to it."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

from .collectd import built_program
from .process import end, spawn
from .waiting import wait_for


class Listener:
    """One warren publish --listen on a broker's virtual host; `address` is
    127.0.0.1:0 or unix:PATH, where argv does not say it. It may be killed and
    started again."""

    def __init__(self, build, at, vhost, where, address="127.0.0.1:0", argv=(),
                 environment=None, **options):
        self._argv = [built_program(build, "warren"), "publish",
                      *(argv or ("--listen", address)), "--port", str(at.amqp_port),
                      "--vhost", getattr(vhost, "name", vhost), "--user", "guest",
                      "--retry-delay", "0.2", "--retry-delay-max", "1"]
        for name, value in options.items():
            self._argv += [f"--{name.replace('_', '-')}", str(value)]
        self._environment = dict(os.environ, WARREN_PASSWORD="guest",
                                 **(environment or {}))
        self._log = os.path.join(where, "warren.log")
        self._process = None
        self.address = None

    def start(self):
        before = os.path.getsize(self._log) if os.path.exists(self._log) else 0
        with open(self._log, "ab") as log:
            self._process = spawn(self._argv, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=log,
                                  env=self._environment)

        def listens():
            said = re.search(r"listens on (\S+)", self.log()[before:])
            assert said or self._process.poll() is None, self.log()
            return said and said[1]
        self.address = wait_for(listens, 60, "warren listens")
        return self

    def log(self):
        with open(self._log, encoding="utf-8") as f:
            return f.read()

    @property
    def pid(self):
        return self._process.pid

    def kill9(self):
        end(self._process, ((signal.SIGKILL, 10),))

    def stop(self):
        """Returns (exit status, seconds)."""
        seconds = end(self._process)
        assert self._process.stdout.read() == b"", "standard output is not ours"
        return self._process.returncode, seconds

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        end(self._process)

    def is_idle(self):
        """It is connected, and all that it took has ended."""
        said = json.loads(self.ask("GET", "/health")[2])
        return said["connected"] and not said["waiting"] + said["spooled"]

    # -- clients -------------------------------------------------------------

    def client(self, timeout=40):
        return _Unix(self.address[5:], timeout) if self.address.startswith("unix:") \
            else http.client.HTTPConnection(self.address, timeout=timeout)

    def ask(self, method, target, body=None, headers=None):
        """One request: (status, headers, body)."""
        client = self.client()
        try:
            client.request(method, target, body, headers or {})
            answer = client.getresponse()
            return answer.status, answer.headers, answer.read()
        finally:
            client.close()


class _Unix(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Crowd:
    """`count` clients, each with one connection and ids of its own; every second
    one waits for confirms. `told` has the ids of each status, `broken` counts
    requests of which nothing was heard. A body is at least `size` bytes."""

    def __init__(self, listener, target, count=64, pause=0.05, size=0):
        self.told = {}
        self.broken = 0
        self._size = size
        self._listener, self._target, self._pause = listener, target, pause
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, args=(n,), daemon=True)
                         for n in range(count)]

    def __enter__(self):
        for t in self._threads:
            t.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        for t in self._threads:
            t.join(60)
            assert not t.is_alive(), "a client waits for ever"

    def _run(self, who):
        target = self._target + ("?wait=confirm" if who % 2 else "")
        number, client = 0, None
        while not self._over.is_set():
            number += 1
            name = f"{who}-{number}"
            try:
                client = client or self._listener.client()
                client.request("POST", target, name.ljust(self._size),
                               {"X-Message-Id": name})
                answer = client.getresponse()
                answer.read()
            except (OSError, http.client.HTTPException):
                client = None
                with self._lock:
                    self.broken += 1
                time.sleep(0.05)
                continue
            with self._lock:
                self.told.setdefault(answer.status, set()).add(name)
            time.sleep(self._pause)

    def count(self, status):
        with self._lock:
            return len(self.told.get(status, ()))
