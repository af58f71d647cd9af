#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Puts what the parts of --long noted into tests/results/long.json: only what
was really run is in it."""

import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rig import results  # noqa: E402

parts = {p.stem: json.loads(p.read_text(encoding="utf-8"))
         for p in sorted(pathlib.Path(sys.argv[1]).glob("*.json"))}
print(f"What was run: {results.write('long', parts)}")
