"""Progress for people: one line per step, with the seconds since the start."""

import os
import signal
import sys
import time

_STARTED = time.monotonic()


class Missing(Exception):
    """Something this machine lacks: the lane did not run, and the text says why."""


class Failed(Exception):
    """Something ran and did not do what it should."""


def step(text):
    """Tells what is being done now."""
    seconds = time.monotonic() - _STARTED
    print(f"[{seconds:7.1f} s] {text}", file=sys.stderr, flush=True)


def in_ci():
    """Whether a lane that cannot run is an error rather than a remark."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def closing(work):
    """Runs a command's body and turns trouble into one clear line and a code.

    Codes: 0 done, 1 failed, 3 did not run (1 when CI is set). Told to end, it
    ends like after any other trouble, so that what it started is stopped.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        work()
    except Missing as why:
        print(f"did not run: {why}", file=sys.stderr, flush=True)
        sys.exit(1 if in_ci() else 3)
    except Failed as why:
        print(f"failed: {why}", file=sys.stderr, flush=True)
        sys.exit(1)
