# SPDX-License-Identifier: MIT
"""Reading what a publisher left in its spool file, without touching it."""

import os
import shutil
import sqlite3
import tempfile
import zlib
from collections import namedtuple

Row = namedtuple("Row", "seq values accepted_ms message_id key body")

_QUERY = ("SELECT seq, value_count, accepted_ms, message_id, routing_key,"
          " content_encoding, body FROM messages ORDER BY seq")


def plain(body, encoding):
    """A body without its content encoding."""
    return zlib.decompress(body, 47) if encoding == "gzip" else bytes(body)


def numbers_of(body):
    """The numbers of loadgen's values in a body of PUTVAL lines."""
    return [int(float(line.rsplit(b":", 1)[1])) for line in body.splitlines()]


def rows(path):
    """The committed rows of a file whose daemon is dead. A copy of database and
    WAL is read, so that neither is changed or locked; a file that is not there
    has no rows."""
    if not os.path.exists(path):
        return []
    with tempfile.TemporaryDirectory() as where:
        copy = os.path.join(where, "spool")
        for suffix in ("", "-wal", "-journal"):
            if os.path.exists(path + suffix):
                shutil.copyfile(path + suffix, copy + suffix)
        base = sqlite3.connect(copy)
        try:
            return [Row(seq, values, ms, message_id, key, plain(body, encoding))
                    for seq, values, ms, message_id, key, encoding, body
                    in base.execute(_QUERY)]
        except sqlite3.OperationalError as e:
            if "no such table" in str(e):
                return []  # killed before it was made
            raise
        finally:
            base.close()


def size(path):
    """Bytes of the database and what lies beside it."""
    total = 0
    for suffix in ("", "-wal", "-shm", "-journal"):
        try:
            total += os.stat(path + suffix).st_size
        except FileNotFoundError:
            pass
    return total
