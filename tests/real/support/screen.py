"""What the cockpit's head says of its only backend, `prod`."""

import re
import time


class Screen:
    """The cockpit's words on how its only backend is."""

    def __init__(self, terminal):
        self.terminal = terminal

    def head(self, text):
        return text.splitlines()[1] if text.count("\n") else ""

    def live(self, seconds):
        """Waits until the backend is well; how long that took."""
        began = time.monotonic()
        self.terminal.until("prod is live", seconds, lambda text: "prod ✓" in self.head(text))
        return time.monotonic() - began

    def says(self, words, seconds):
        """Waits until the head names a trouble with an age; the head, and how long that took."""
        began = time.monotonic()
        wanted = re.compile(rf"prod [^✓\s] \d+ ?[smh][^✓]* {words}")
        found = self.terminal.until(f"prod in trouble: {words}", seconds, lambda text: wanted.search(self.head(text)))
        return found[0], time.monotonic() - began

    def shows(self, what, seconds):
        """Waits until something is on the screen; how long that took."""
        began = time.monotonic()
        self.terminal.until(what, seconds, lambda text: re.search(what, text))
        return time.monotonic() - began
