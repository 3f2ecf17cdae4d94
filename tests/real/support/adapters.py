"""Runs the adapters' own tests against a server that a lane has started."""

import os
import shutil
import subprocess

from .bench import ROOT, expect
from .say import Missing


def adapters(bench, tests, servers):
    """Runs the tests whose names begin with `tests`; `servers` are variables that name servers."""
    if shutil.which("cargo") is None:
        raise Missing("cargo is not installed")
    with bench.check(f"the adapter's tests `{tests}` hold on it"):
        ran = subprocess.run(
            ["cargo", "test", "--quiet", "--test", "it", f"real_servers::{tests}", "--", "--nocapture"],
            cwd=ROOT,
            env={**os.environ, **servers},
            capture_output=True,
            text=True,
            check=False,
        )
        told = f"{ran.stdout}\n{ran.stderr}".strip()
        expect(ran.returncode == 0, told[-2500:])
        # A name that no test has is no proof of anything.
        expect("did not run" not in told and "test result: ok. 0 passed" not in told, told[-500:])
