# SPDX-License-Identifier: MIT
"""tests/results/NAME.json: what a tier measured or ran, where, and with what.

WARREN_RESULTS names the directory and WARREN_COMMIT the commit that was built;
contrib/run-tests sets both.
"""

import datetime
import json
import os
import platform
import re
import subprocess

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def _output(*argv):
    try:
        done = subprocess.run(argv, stdout=subprocess.PIPE, text=True, timeout=30,
                              stderr=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip()


def _first(path, pattern):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            found = re.search(pattern, f.read(), re.M)
    except OSError:
        return None
    return found.group(1).strip() if found else None


def package(name):
    """Its version, None where it is not installed."""
    return _output("dpkg-query", "-W", "-f", "${Version}", name) or None


def commit():
    """The commit that is tested; "unknown" where nobody can tell."""
    return os.environ.get("WARREN_COMMIT") or _output(
        "git", "-C", _HERE, "describe", "--always", "--dirty",
        "--abbrev=12") or "unknown"


def machine():
    memory_kb = _first("/proc/meminfo", r"^MemTotal:\s*(\d+)")
    return {"cpu": _first("/proc/cpuinfo", r"^model name\s*:\s*(.+)$")
                   or platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_mb": int(memory_kb) // 1024 if memory_kb else None,
            "kernel": platform.release(),
            "system": _first("/etc/os-release", r'^PRETTY_NAME="?([^"\n]+)')}


def versions():
    return {"broker": package("rabbitmq-server"),
            "erlang": package("erlang-base"),
            "collectd": package("collectd-core"),
            "rabbitmq-c": package("librabbitmq4"),
            "sqlite": package("libsqlite3-0"),
            "compiler": _output("cc", "--version").split("\n")[0] or None}


def load_average():
    return round(os.getloadavg()[0], 2)


def _path(name):
    directory = os.environ.get("WARREN_RESULTS") or os.path.join(_HERE, "results")
    return os.path.join(directory, f"{name}.json")


def read(name):
    """What NAME.json says, {} where there is none."""
    try:
        with open(_path(name), encoding="utf-8") as f:
            return json.load(f)
    except FileNotFoundError:
        return {}


def write(name, figures):
    """Writes NAME.json, what all results say first; returns its path."""
    path = _path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    now = datetime.datetime.now(datetime.timezone.utc)
    with open(f"{path}.tmp", "w", encoding="utf-8") as f:
        json.dump({"commit": commit(),
                   "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                   "machine": machine(), "versions": versions(),
                   **figures}, f, indent=2)
        f.write("\n")
    os.replace(f"{path}.tmp", path)
    return path
