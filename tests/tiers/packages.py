#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs inside the root in which the packages lived: what was looked at and what
came of it, into packages-SUITE.json.

usage: packages.py LOG SUITE DIRECTORY-OF-PACKAGES SECONDS
"""

import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from rig import results  # noqa: E402

log, suite, debs, seconds = sys.argv[1:]
text = pathlib.Path(log).read_text(encoding="utf-8", errors="replace")
looked = re.findall(r"^(ok|FAILED)  +(.+)$", text, re.M)
results.write(f"packages-{suite}", {
    "suite": suite, "seconds": int(seconds),
    "packages": {path.name: path.stat().st_size
                 for path in sorted(pathlib.Path(debs).glob("*.deb"))
                 if "~previous" not in path.name and "dbgsym" not in path.name},
    "lintian": sorted(set(re.findall(r"^[EWIP]: .+$", text, re.M))),
    "passed": sum(word == "ok" for word, _ in looked),
    "failed": [what for word, what in looked if word == "FAILED"],
    "looked_at": [what for _, what in looked]})
