# SPDX-License-Identifier: MIT
"""The world of one daemon, to be changed while it runs: tests/bench/world.c."""

import errno
import os
import struct

from .collectd import built_module

_FORMAT = "<qqqq"


class World:
    """Its environment goes to a Daemon. Files under `disk` meet the faults."""

    def __init__(self, build, path, disk=""):
        self._path = str(path)
        self._state = {"wall_offset_ms": 0, "sync_delay_ms": 0, "write_errno": 0,
                       "sync_errno": 0}
        library = built_module(build, "world")
        assert library, "tests/bench/world.la is not built; make bench"
        with open(self._path, "wb") as f:
            f.write(struct.pack(_FORMAT, 0, 0, 0, 0))
        self.environment = {"LD_PRELOAD": library, "WARREN_WORLD": self._path,
                            "WARREN_WORLD_DISK": os.path.realpath(disk) if disk
                            else ""}

    def change(self, **state):
        """wall_offset_ms, sync_delay_ms; write_errno and sync_errno by name, as
        "ENOSPC", or 0."""
        for key, value in state.items():
            assert key in self._state, key
            self._state[key] = getattr(errno, value) if isinstance(
                value, str) else value
        with open(self._path, "r+b") as f:
            f.write(struct.pack(_FORMAT, *self._state.values()))
