"""The figures as markdown: medians and ranges, and each as a multiple of gonogo's."""

import datetime
import os
import statistics

from beside import k9s
from beside.meter import percentile, spread

HEADS = {
    "Acting, milliseconds": ["figure", "median (range)", "× gonogo"],
    "Start → first live data, milliseconds": ["size", "tool", "median (range)", "× gonogo"],
    "Change at the API server → on the screen, milliseconds": [
        "tool", "answered → screen: p50", "p99", "received → screen: p50", "p99", "× gonogo", "changes", "never shown",
    ],
    "Idle": [
        "size", "tool", "memory, MB", "at most", "processor, %", "until settled: requests", "kB", "a minute: requests", "kB", "memory × gonogo",
    ],
    "While one Rollout changes": ["size", "tool", "60/s: processor, %", "200/s: processor, %", "reached", "memory, MB", "processor × gonogo"],
}
ACTING, START, EVENT, IDLE, BUSY = HEADS


class Table:
    """Takes figures as they come; all of them are printed at the end."""

    def __init__(self, world):
        self.world = world
        self.rows = {title: [] for title in HEADS}

    def row(self, title, *cells):
        """One line, shown at once for who waits."""
        self.rows[title].append(cells)
        print(f"{title}: " + " | ".join(cells), flush=True)

    def text(self):
        """All of it, with what it was made with."""
        versions = self.world.plane.env["versions"]
        made = ", ".join(f"{name.replace('_', ' ')} {version}" for name, version in versions.items())
        third = self.world.missing or f"k9s {k9s.VERSION}"
        parts = [f"{datetime.date.today():%B %Y}, {os.cpu_count()} cores; {made}; {third}."]
        for title, rows in self.rows.items():
            if rows:
                lines = [HEADS[title], ["---"] * len(HEADS[title]), *rows]
                parts.append(f"**{title}**\n\n" + "\n".join("| " + " | ".join(line) + " |" for line in lines))
        return "\n\n".join(parts) + "\n"

    def acts(self, told):
        """Figures of acting; those that follow one of gonogo's are compared with it."""
        for name, own, words in (
            ("letter", None, "gonogo: confirming letter → request at the API server"),
            ("abort request", "letter", "plugin `abort`: start → request"),
            ("abort", "letter", "plugin `abort`: whole process"),
            ("hold", None, "gonogo: `H` → request, 200 ms of which are its silence"),
            ("back", None, "in mid-update, gonogo: letter → all pods stable"),
            ("abort back", "back", "in mid-update, plugin `abort`: start → all pods stable"),
            ("undo", "back", "in mid-update, plugin `undo`: start → all pods stable"),
            ("after", None, "after an update, gonogo: letter → all pods on the revision before"),
            ("undo to its pause", "after", "after an update, plugin `undo`: start → its first pause"),
            ("undo and promote", "after", "the same and `promote --full` once it is calm: start → all pods"),
        ):
            self.row(ACTING, words, spread(told[name]), times(told[name], told[own]) if own else "")

    def starts(self, size, told):
        """Start to first data."""
        for tool, took in told.items():
            self.row(START, named(size), str(tool), spread(took, 0), times(took, told[self.world.gonogo]))

    def events(self, told):
        """From a change to the screen."""
        own = told[self.world.gonogo][1]
        for tool, (answered, received, lost) in told.items():
            cells = [f"{percentile(values, share):.1f}" if values else "–" for values in (answered, received) for share in (0.5, 0.99)]
            more = times(received, own) if received else "–"
            self.row(EVENT, str(tool), *cells, more, str(len(received) + lost), str(lost))

    def idle(self, size, told):
        """What nothing costs."""
        own = told[self.world.gonogo]
        for tool, seen in told.items():
            counts = [f"{value:.0f}" for pair in (seen.first, seen.minute) for value in (pair[0], pair[1] / 1000)]
            more = times([seen.memory[0]], [own.memory[0]])
            self.row(IDLE, named(size), str(tool), f"{seen.memory[0]:.1f}", f"{seen.memory[1]:.1f}", f"{seen.share:.2f}", *counts, more)

    def busy(self, size, told):
        """What changes cost."""
        for tool, rates in told.items():
            cells = [f"{share:.1f}" for share, _, _ in rates.values()]
            reached = " and ".join(f"{rate:.0f}/s" for _, rate, _ in rates.values())
            held = max(held for _, _, held in rates.values())
            own = told[self.world.gonogo]
            more = " and ".join(times([rates[rate][0]], [own[rate][0]]) for rate in rates)
            self.row(BUSY, named(size), str(tool), *cells, reached, f"{held:.1f}", more)


def named(size):
    """A size in words."""
    rollouts, pods = size
    return f"{rollouts:,} Rollout{'s' * (rollouts > 1)}, {pods:,} pod{'s' * (pods > 1)}"


def times(values, own):
    """How many times gonogo's median a median is."""
    least = statistics.median(own)
    return f"{statistics.median(values) / least:.1f}" if least > 0 else "–"
