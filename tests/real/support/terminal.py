"""A program on a terminal of its own: keys go in, and what a person would see can be read.

Knows only what the cockpit's drawing uses: moving the cursor, clearing, text,
and the marks around a frame: what is read is always a whole one. Colours are
thrown away, so nothing is proven by colour alone.
"""

import codecs
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
import unicodedata

from .say import Failed

# A control sequence with its parameters and its last byte, or one whole other escape.
SEQUENCE = re.compile(r"\x1b\[([0-9;?<>=]*)[ -/]*([@-~])|\x1b[()][0-9A-Za-z]|\x1b[^\[()]")
UNFINISHED = re.compile(r"\x1b(\[[0-9;?<>=]*[ -/]*|[()])?$")


class Screen:
    """The characters on a terminal, as the bytes written to it leave them."""

    def __init__(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0
        self.rest = ""
        # What stood there before the frame that is only half written.
        self.before = None

    def text(self):
        """All rows, top first, as the newest whole frame left them."""
        return self._now() if self.before is None else self.before

    def _now(self):
        return "\n".join("".join(row).rstrip() for row in self.cells)

    def feed(self, text):
        """Takes what was written; an unfinished sequence waits for its end."""
        text = self.rest + text
        cut = UNFINISHED.search(text)
        self.rest = text[cut.start() :] if cut else ""
        text = text[: cut.start()] if cut else text
        at = 0
        while at < len(text):
            found = SEQUENCE.match(text, at)
            if found:
                at = found.end()
                self._obey(found.group(1) or "", found.group(2))
                continue
            self._put(text[at])
            at += 1

    def _obey(self, parameters, last):
        if last == "H":
            row, column = ([int(part or 1) for part in parameters.split(";")] + [1, 1])[:2]
            self.row, self.column = min(row, self.rows) - 1, min(column, self.columns) - 1
        elif last == "J":
            self.cells = [[" "] * self.columns for _ in range(self.rows)]
        elif last == "K":
            self.cells[self.row][self.column :] = [" "] * (self.columns - self.column)
        elif parameters == "?2026":
            self.before = self._now() if last == "h" else None

    def _put(self, character):
        if character == "\r":
            self.column = 0
        elif character == "\n":
            self.row = min(self.row + 1, self.rows - 1)
        elif character.isprintable() and not unicodedata.combining(character):
            wide = unicodedata.east_asian_width(character) in "WF"
            for part in [character, ""][: 2 if wide else 1]:
                if self.column < self.columns:
                    self.cells[self.row][self.column] = part
                    self.column += 1


class Terminal:
    """A program that believes it sits on a terminal of `columns` by `rows`."""

    def __init__(self, command, env, rows=40, columns=140):
        self.screen = Screen(rows, columns)
        self.written = ""
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.code = None
        # When the newest bytes were taken off the terminal, on the monotonic clock.
        self.read_at = 0.0
        words = [str(word) for word in command]
        whole = {**os.environ, "TERM": "xterm-256color", **env}
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            # The size must stand before the program asks for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            try:
                os.execve(words[0], words, whole)
            finally:
                os._exit(127)

    def press(self, keys):
        """Types."""
        os.write(self.end, keys.encode())

    def until(self, what, seconds, seen):
        """Draws along until `seen(text of the screen)` is true; returns that."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = seen(self.screen.text())
            if found:
                return found
            if not self._read(0.05):
                raise Failed(f"the program ended while waiting for: {what}\n{self.screen.text()}")
        raise Failed(f"not on the screen within {seconds} s: {what}\n{self.screen.text()}")

    def ended(self, seconds):
        """Waits for the end of the program; its exit code, negative for a signal."""
        deadline = time.monotonic() + seconds
        while self.code is None and time.monotonic() < deadline:
            self._read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.code = os.waitstatus_to_exitcode(status)
        if self.code is None:
            raise Failed(f"it did not end within {seconds} s\n{self.screen.text()}")
        return self.code

    def stop(self):
        """Ends the program if it still runs."""
        if self.code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            self.code = -signal.SIGKILL
        os.close(self.end)

    def _read(self, seconds):
        """Reads what is there; False when nothing more will come."""
        ready, _, _ = select.select([self.end], [], [], seconds)
        if not ready:
            return True
        try:
            data = os.read(self.end, 65536)
            self.read_at = time.monotonic()
        except OSError:
            # How Linux says that nobody holds the other end any more.
            data = b""
        text = self.decoder.decode(data)
        self.written += text
        self.screen.feed(text)
        return bool(data)
