"""Where built and installed things are kept between runs: never in the work tree."""

import contextlib
import fcntl
import hashlib
import os
import pathlib

from .say import step


def root():
    """The cache folder: `GONOGO_CACHE`, else `gonogo` in the user's cache folder."""
    chosen = os.environ.get("GONOGO_CACHE")
    if chosen:
        return pathlib.Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "gonogo"


def digest(*parts):
    """A short name for a recipe: the same inputs give the same folder."""
    sha = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, pathlib.Path) else str(part).encode()
        sha.update(len(data).to_bytes(8, "big"))
        sha.update(data)
    return sha.hexdigest()[:16]


@contextlib.contextmanager
def lock(folder):
    """Lets one process at a time fill a folder; the others wait and find it full."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            step(f"waiting for another process that fills {folder}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
