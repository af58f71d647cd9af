# SPDX-License-Identifier: MIT
"""Free loopback ports below the ephemeral range, so that no outgoing connection
can take one between two starts of the same server."""

import random
import socket


def free_ports(count):
    """Returns count different ports that nothing listens on now."""
    held = []
    try:
        while len(held) < count:
            candidate = socket.socket()
            try:
                candidate.bind(("127.0.0.1", random.randint(20000, 32000)))
            except OSError:
                candidate.close()
                continue
            held.append(candidate)
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()
