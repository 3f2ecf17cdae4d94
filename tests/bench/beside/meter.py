"""Processor time, memory and bytes of processes that sit on terminals."""

import contextlib
import math
import os
import pathlib
import select
import statistics
import threading
import time

from support.cockpit import Aside
from support.wire import Wire

TICKS = os.sysconf("SC_CLK_TCK")
MB = 1_000_000


def processor(pid):
    """Seconds of processor time a process has taken."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory(pid):
    """Resident memory now and at its most, in MB of 10^6 bytes."""
    lines = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    return tuple(next(int(line.split()[1]) * 1024 / MB for line in lines if line.startswith(key)) for key in ("VmRSS", "VmHWM"))


def percentile(values, share):
    """The nearest rank."""
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def spread(values, digits=1):
    """Median and range."""
    if not values:
        return "–"
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"


class Drain:
    """Reads what is drawn, so that nobody waits for its terminal, and looks at none of it."""

    def __init__(self, terminals):
        self.ends = [terminal.end for terminal in terminals]
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        ends = list(self.ends)
        while ends and not self.over.is_set():
            for end in select.select(ends, [], [], 0.2)[0]:
                try:
                    if not os.read(end, 1 << 16):
                        ends.remove(end)
                except OSError:
                    ends.remove(end)

    def stop(self):
        """Leaves the terminals to others again."""
        self.over.set()
        self.thread.join()


def shares(terminals, seconds):
    """Percent of one core that each takes over so many seconds while its terminal is read."""
    drain = Drain(terminals)
    before, began = [processor(terminal.pid) for terminal in terminals], time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - began
    after = [processor(terminal.pid) for terminal in terminals]
    drain.stop()
    return [(late - early) / took * 100 for early, late in zip(before, after, strict=True)]


class Counted(Wire):
    """A wire that counts what passes, both ways together."""

    def __init__(self, port):
        super().__init__(port)
        self.bytes = 0

    def _copy(self, source, sink):
        super()._copy(Counting(source, self), sink)


class Counting:
    """A socket whose received bytes are added to its wire's."""

    def __init__(self, inner, wire):
        self.inner = inner
        self.wire = wire

    def recv(self, size):
        """As of a socket."""
        data = self.inner.recv(size)
        with self.wire.lock:
            self.wire.bytes += len(data)
        return data

    def shutdown(self, how):
        """As of a socket."""
        self.inner.shutdown(how)


class Churn:
    """Several hands that make one change after the other at a steady rate together until they are stopped."""

    def __init__(self, rate, hands):
        self.over = threading.Event()
        self.began = time.monotonic()
        self.work = [Aside(lambda hand=hand: self._run(rate / len(hands), hand)) for hand in hands]

    def _run(self, rate, change):
        sent = 0
        while not self.over.is_set():
            change()
            sent += 1
            time.sleep(max(0.0, self.began + sent / rate - time.monotonic()))
        return sent

    def stop(self):
        """How many a second they made."""
        self.over.set()
        took = time.monotonic() - self.began
        return sum(work.result(10) for work in self.work) / took


@contextlib.contextmanager
def ending(terminals):
    """Ends the programs however the block ends."""
    try:
        yield terminals
    finally:
        for terminal in terminals:
            terminal.stop()
