"""Starts servers in process groups of their own and stops exactly those.

A started process is remembered in a file by its id *and* the kernel's start
time, so that a number which has been given to somebody else in the meantime is
never signalled.
"""

import json
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

from .say import Failed, step


def free_ports(count):
    """Loopback ports nobody listens on now; all held together so none repeats."""
    sockets = []
    try:
        for _ in range(count):
            held = socket.socket()
            held.bind(("127.0.0.1", 0))
            sockets.append(held)
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


def _start_time(pid):
    """The kernel's start stamp of a process, or None when it is gone (or a zombie)."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[-1].split()
    return None if fields[0] in ("Z", "X") else fields[19]


class Server:
    """One started process, known by a small file so that another run can stop it."""

    def __init__(self, record):
        self.record = pathlib.Path(record)
        known = json.loads(self.record.read_text(encoding="utf-8"))
        self.name = known["name"]
        self.pid = known["pid"]
        self.started = known["started"]
        self.log = pathlib.Path(known["log"])
        self.command = known["command"]

    @classmethod
    def start(cls, name, command, folder, env=None, cwd=None):
        """Starts `command` with its output in `folder/logs/NAME.log`."""
        folder = pathlib.Path(folder)
        logs = folder / "logs"
        pids = folder / "pids"
        logs.mkdir(parents=True, exist_ok=True)
        pids.mkdir(parents=True, exist_ok=True)
        log = logs / f"{name}.log"
        merged = dict(os.environ)
        merged.update(env or {})
        with open(log, "ab") as out:
            child = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env=merged,
                cwd=cwd or folder,
                start_new_session=True,
            )
        record = pids / f"{name}.json"
        record.write_text(
            json.dumps(
                {
                    "name": name,
                    "pid": child.pid,
                    "started": _start_time(child.pid),
                    "log": str(log),
                    "command": [str(word) for word in command],
                }
            ),
            encoding="utf-8",
        )
        server = cls(record)
        server._child = child
        return server

    def alive(self):
        """Whether the very process that was started still runs."""
        child = getattr(self, "_child", None)
        if child is not None:
            child.poll()
        return self.started is not None and _start_time(self.pid) == self.started

    def exit_code(self):
        """How it ended, where this run started it; None while it runs."""
        return self._child.poll()

    def tail(self, lines=15):
        """The end of its output, for a message about a failure."""
        try:
            text = self.log.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, patience=10.0):
        """Asks the group to end, then insists; the record goes once it is gone."""
        if self.alive():
            self._signal(signal.SIGTERM)
            deadline = time.monotonic() + patience
            while self.alive() and time.monotonic() < deadline:
                time.sleep(0.05)
            # Helpers of the group may outlive their parent, so the group is always swept.
            self._signal(signal.SIGKILL)
            while self.alive() and time.monotonic() < deadline + 5:
                time.sleep(0.05)
        self.record.unlink(missing_ok=True)

    def _signal(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass


def stop_all(folder):
    """Stops, last started first, every server recorded under `folder`."""
    records = sorted(
        pathlib.Path(folder).glob("pids/*.json"),
        key=lambda path: path.stat().st_mtime,
        reverse=True,
    )
    for record in records:
        Server(record).stop()
    return len(records)


def wait_until(what, seconds, ready, *servers):
    """Polls `ready` until it is true; fails early when a server it needs has died."""
    started = time.monotonic()
    told = started
    while True:
        if ready():
            step(f"{what} ({time.monotonic() - started:.1f} s)")
            return
        for server in servers:
            if not server.alive():
                raise Failed(f"{server.name} ended while waiting for: {what}\n{server.tail()}")
        now = time.monotonic()
        if seconds < now - started:
            logs = "\n".join(f"--- {server.name}\n{server.tail()}" for server in servers)
            raise Failed(f"not seen within {seconds} s: {what}\n{logs}")
        if 10 < now - told:
            told = now
            step(f"still waiting for: {what}")
        time.sleep(0.05)


def answers(url, context=None, headers=None):
    """Whether a GET answers 200 now."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=3, context=context) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
