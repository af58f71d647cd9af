# SPDX-License-Identifier: MIT
"""Free loopback ports below the ephemeral range, so that no outgoing connection
can take one between two starts of the same server."""

import random
import socket

_FIRST, _LAST = 20000, 32000
_given = set()  # none twice: its owner may not have begun to listen, or be down
# Nor in another process, which begins somewhere else: both go upwards.
_next = random.randint(_FIRST, _LAST)


def free_ports(count):
    """Returns count different ports that nothing listens on now."""
    global _next
    found = []
    while len(found) < count:
        port, _next = _next, _next + 1 if _next < _LAST else _FIRST
        if port not in _given and _is_free(port):
            _given.add(port)
            found.append(port)
    return found


def _is_free(port):
    with socket.socket() as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
