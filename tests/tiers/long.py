#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Puts what the parts of --long noted into tests/results/long.json: only what
was really run is in it. Each part says of which commit it is and when it was
run; those that were not run this time stay as they are.

usage: long.py DIRECTORY
"""

import datetime
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rig import results  # noqa: E402

now = datetime.datetime.now(datetime.timezone.utc)
parts = results.read("long").get("parts", {})
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.json")):
    parts[path.stem] = {"commit": results.commit(),
                        "date": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
                        "ran": json.loads(path.read_text(encoding="utf-8"))}
print(f"What was run: {results.write('long', {'parts': parts})}")
