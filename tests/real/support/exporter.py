"""A small metrics exporter whose traffic, latency and errors a test drives.

It stands for the pods of a service: requests are counted as wall time passes,
for each track (`stable`, `canary`) at its own rate. Latencies fall into the
buckets of a histogram as a fixed spread around the chosen typical value.
"""

import threading
import time

from support import loopback

BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8, 1.2, 2.0, 5.0]
# Shares of requests at multiples of the typical latency: half below it, one in twenty at twice and more.
SPREAD = [(0.6, 0.25), (0.8, 0.25), (1.0, 0.30), (1.4, 0.13), (1.9, 0.04), (2.6, 0.03)]


class Track:
    """The counters of one track and what drives them."""

    def __init__(self):
        self.per_second = 40.0
        self.latency = 0.08
        self.errors = 0.005
        self.ok = 0.0
        self.bad = 0.0
        self.seconds = 0.0
        self.counts = [0.0] * (len(BUCKETS) + 1)

    def advance(self, passed):
        """Counts the requests of `passed` seconds."""
        requests = self.per_second * passed
        self.bad += requests * self.errors
        self.ok += requests * (1 - self.errors)
        for multiple, share in SPREAD:
            value = self.latency * multiple
            self.seconds += requests * share * value
            place = next((at for at, limit in enumerate(BUCKETS) if value <= limit), len(BUCKETS))
            self.counts[place] += requests * share


class Exporter(loopback.Loopback):
    """Serves `/metrics` on loopback for the tracks `stable` and `canary`."""

    def __init__(self):
        self.tracks = {"stable": Track(), "canary": Track()}
        self.lock = threading.Lock()
        self.last = time.monotonic()
        exporter = self

        class Handler(loopback.Handler):
            def do_GET(self):  # noqa: N802  the name is the library's
                if self.path != "/metrics":
                    self.send_error(404)
                    return
                self.reply("text/plain; version=0.0.4", exporter.text())

        self.serve(Handler)

    def drive(self, track, **what):
        """Sets `per_second`, `latency` (seconds) or `errors` (share) of a track from now on."""
        with self.lock:
            self._advance()
            for name, value in what.items():
                setattr(self.tracks[track], name, value)

    def _advance(self):
        now = time.monotonic()
        for track in self.tracks.values():
            track.advance(now - self.last)
        self.last = now

    def text(self):
        """The counters in Prometheus' text format."""
        with self.lock:
            self._advance()
            lines = ["# TYPE requests_total counter"]
            for name, track in self.tracks.items():
                lines.append(f'requests_total{{track="{name}",code="200"}} {track.ok}')
                lines.append(f'requests_total{{track="{name}",code="500"}} {track.bad}')
            lines.append("# TYPE request_seconds histogram")
            for name, track in self.tracks.items():
                total = 0.0
                for limit, count in zip([*BUCKETS, "+Inf"], track.counts, strict=True):
                    total += count
                    lines.append(f'request_seconds_bucket{{track="{name}",le="{limit}"}} {total}')
                lines.append(f'request_seconds_sum{{track="{name}"}} {track.seconds}')
                lines.append(f'request_seconds_count{{track="{name}"}} {total}')
            return "\n".join(lines) + "\n"
