"""Python environments made from a pinned list, once per list, in the cache."""

import pathlib
import shutil
import subprocess
import sys
import time

from . import cache
from .say import Failed, Missing, step


def python_of(name, requirements):
    """The interpreter of an environment that holds `requirements`; made when missing."""
    requirements = pathlib.Path(requirements)
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    target = cache.root() / name / cache.digest(version, requirements)
    python = target / "bin" / "python"
    done = target / ".complete"
    with cache.lock(target):
        if done.exists() and _works(python):
            return python
        started = time.monotonic()
        step(f"installing {name} into {target} (one to two minutes)")
        for old in target.iterdir():
            if old.name != ".lock":
                shutil.rmtree(old) if old.is_dir() and not old.is_symlink() else old.unlink()
        made = subprocess.run(
            [sys.executable, "-m", "venv", str(target)], text=True, capture_output=True, check=False
        )
        if made.returncode != 0:
            raise Missing(f"no Python environment could be made (python3-venv?): {made.stderr.strip()[-400:]}")
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        ran = subprocess.run(
            [*pip, "--requirement", str(requirements)], text=True, capture_output=True, check=False
        )
        if ran.returncode != 0:
            if "No matching distribution" in ran.stderr or "Could not find a version" in ran.stderr:
                raise Missing(f"{name} is not to be had from the package index: {ran.stderr.strip()[-400:]}")
            raise Failed(f"pip install for {name}: {ran.stderr.strip()[-2000:]}")
        done.touch()
        step(f"{name} installed in {time.monotonic() - started:.0f} s")
    return python


def _works(python):
    return subprocess.run([str(python), "-c", "pass"], capture_output=True, check=False).returncode == 0
