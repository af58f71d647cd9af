#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs inside another root: what contrib/run-tests printed there, and with which
versions, into root-SUITE.json.

usage: root.py LOG SUITE STATUS SECONDS
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rig import results  # noqa: E402

log, suite, status, seconds = sys.argv[1:]
text = pathlib.Path(log).read_text(encoding="utf-8", errors="replace")
groups = {name: {"verdict": verdict, "tests": int(tests), "seconds": int(took)}
          for name, verdict, tests, took in re.findall(
              r"^   (\w+): (ok|FAILED), (\d+) tests, (\d+) s$", text, re.M)}
results.write(f"root-{suite}", {
    "suite": suite, "status": int(status), "seconds": int(seconds),
    "groups": groups, "failures": re.findall(r"^FAILED (.+)$", text, re.M),
    # What they said: the root directory, and the log with it, is gone.
    "errors": re.findall(r"^(?:E  |not ok|FAIL:) +(.+)$", text, re.M)[:40],
    "summary": text.strip().split("\n")[-1]})
