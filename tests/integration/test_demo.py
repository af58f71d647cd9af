# SPDX-License-Identifier: MIT
"""contrib/demo, the first command that the README gives: with the build of this
run, and in the long tier with its own, as a new user types it."""

import os
import pathlib
import re
import shutil
import signal
import subprocess

import pytest

from conftest import IS_LONG
from rig.process import end, spawn

TOP = pathlib.Path(__file__).resolve().parents[2]
PICTURES = {"connection", "lag", "errors", "resource", "throughput"}


def number(text, what):
    return float(re.search(rf"^  {what} +([\d.]+)$", text, re.M)[1])


def run(where, *options):
    """Exit status and what was said. Ended in order even when we are not."""
    demo = spawn([TOP / "contrib" / "demo", "--no-install", "--seconds", "30",
                  *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                 text=True, env=dict(os.environ, TMPDIR=str(where)))
    try:
        said, _ = demo.communicate()
    finally:
        end(demo, ((signal.SIGTERM, 60), (signal.SIGKILL, 10)))
    return demo.returncode, said


def test_it_loses_nothing_and_names_its_pictures(build, tmp_path, figure):
    if not shutil.which("rrdtool"):
        pytest.skip("rrdtool is missing")
    status, said = run(tmp_path, *([] if IS_LONG else ["--build", build]))
    assert status == 0, said
    assert "Nothing was lost: the files were compared value by value." in said
    assert number(said, "LOST") == 0
    assert number(said, "values that entered the publisher") > 100
    assert number(said, "confirmed by the broker") > 0
    # By the clock, as the pictures are; and nothing is DOWN before it was up.
    assert re.search(r"^  broker killed at [\d:]{8}, "
                     r"publisher connected again at [\d:]{8}$", said, re.M), said
    assert re.search(r"^  connection +(\S+) ", said, re.M)[1] == "ok", said
    figure(f"demo: an outage of {number(said, 'outage, in seconds')} s, nothing lost")
    pictures = [pathlib.Path(p) for p in re.findall(r"(/\S+\.png)", said)]
    assert len(pictures) == 5 and {p.stem for p in pictures} == PICTURES, said
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG\r\n"), picture
    work, = tmp_path.iterdir()
    assert {p.name for p in work.iterdir()} >= {"publisher", "consumer", "pictures"}
    assert not {p.name for p in work.iterdir()} & {"src", "build", "broker", "modules"}
