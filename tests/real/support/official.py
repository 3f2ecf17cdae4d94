"""Runs the official client libraries' checks and counts each on the bench."""

import json
import subprocess

from .bench import REAL
from .say import Failed
from .venv import python_of


def official(bench, folder, name, ends):
    """Checks `{kind: {url, token, …}}` with each kind's own library."""
    python = python_of("clients", REAL / "clients" / "requirements.txt")
    path = folder / f"{name}.json"
    path.write_text(json.dumps(ends), encoding="utf-8")
    command = [str(python), str(REAL / "clients" / "official.py"), str(path), *ends]
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300, check=False)
    for line in ran.stdout.splitlines():
        told = json.loads(line)
        with bench.check(told["check"]):
            if told["why"]:
                raise Failed(told["why"])
    with bench.check(f"the client libraries of {', '.join(ends)} ran to their end"):
        if ran.returncode != 0:
            raise Failed(ran.stderr.strip()[-1500:])
