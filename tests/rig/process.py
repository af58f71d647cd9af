# SPDX-License-Identifier: MIT
"""Child processes that end with us, whatever way we end."""

import ctypes
import os
import signal
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def spawn(argv, **how):
    """Starts argv in a session of its own, so that a ^C meant for us leaves it
    to us to end it in order. The kernel kills it should this thread die first:
    call it from the main thread only."""
    return subprocess.Popen(argv, preexec_fn=_die_with_parent,
                            start_new_session=True, **how)


def end(process, signals=((signal.SIGTERM, 20), (signal.SIGKILL, 10))):
    """Sends each signal in turn until the process is gone and reaped. Returns
    the seconds it took."""
    began = time.monotonic()
    for number, patience in signals:
        if process.poll() is not None:
            break
        os.kill(process.pid, number)
        if number != signal.SIGKILL:
            os.kill(process.pid, signal.SIGCONT)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
    return time.monotonic() - began
