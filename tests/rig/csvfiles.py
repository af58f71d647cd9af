# SPDX-License-Identifier: MIT
"""What collectd's csv plugin wrote: HOST/PLUGIN/TYPE-YYYY-MM-DD, one line
`time,value[,value...]` each."""

import collections
import os
import re
import time

_DATE = re.compile(r"-\d{4}-\d\d-\d\d$")


def _lines(path):
    with open(path, encoding="ascii", errors="replace") as f:
        next(f, None)  # the header
        for line in f:
            if line.endswith("\n"):
                yield line.rstrip("\n").split(",", 1)


class CsvFiles:
    """The files of one host."""

    def __init__(self, directory, host):
        self._top = os.path.join(directory, host)

    def _files(self):
        for top, _, names in os.walk(self._top):
            for name in names:
                series = os.path.relpath(os.path.join(top, name), self._top)
                yield _DATE.sub("", series), os.path.join(top, name)

    def values(self):
        """Counter of (series, time, values), all as written; what stands there
        twice counts two."""
        found = collections.Counter()
        for series, path in self._files():
            found.update((series, when, values) for when, values in _lines(path))
        return found

    def lines(self):
        """{series: [(time, values)]}, all as written and in the files' order,
        of which a series has two around midnight."""
        found = {}
        for series, path in sorted(self._files()):
            found.setdefault(series, []).extend(map(tuple, _lines(path)))
        return found

    def newest(self, plugin, younger_than_s=None):
        """The newest value of each series of a plugin, {type: value}; only
        those younger than asked for."""
        directory = os.path.join(self._top, plugin)
        oldest = time.time() - younger_than_s if younger_than_s else 0
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        answer = {}
        for name in names:
            last = None
            for last in _lines(os.path.join(directory, name)):
                pass
            if last and float(last[0]) >= oldest:
                answer[_DATE.sub("", name)] = float(last[1].split(",")[0])
        return answer

    def plugins(self, prefix):
        """The plugins of which there are files."""
        names = os.listdir(self._top) if os.path.isdir(self._top) else []
        return sorted(n for n in names if n.startswith(prefix))
