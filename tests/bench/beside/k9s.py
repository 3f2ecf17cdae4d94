"""Builds k9s with the Go toolchain, once, into the cache; its own module pins what it is made of."""

import os
import shutil
import subprocess
import time

from support import cache
from support.say import Missing, step

MODULE = "github.com/derailed/k9s"
VERSION = "v0.50.16"
FLAGS = ["-p", "2", "-trimpath", "-ldflags", f"-s -w -X {MODULE}/cmd.version={VERSION}"]


def program():
    """The path of k9s; `Missing` says why there is none."""
    if shutil.which("go") is None:
        raise Missing("k9s: Go is not installed")
    env = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-buildvcs=false"}
    version = subprocess.run(["go", "env", "GOVERSION"], env=env, capture_output=True, text=True, check=True).stdout
    folder = cache.root() / "k9s" / cache.digest(version, MODULE, VERSION, FLAGS)
    with cache.lock(folder):
        if not (folder / "k9s").exists():
            began = time.monotonic()
            step("building k9s (four minutes on 2 cores)")
            env["GOBIN"] = str(folder)
            ran = subprocess.run(
                ["nice", "go", "install", *FLAGS, f"{MODULE}@{VERSION}"], env=env, capture_output=True, text=True, check=False
            )
            if ran.returncode != 0:
                raise Missing(f"k9s did not build: {ran.stderr.strip()[-400:]}")
            step(f"k9s built in {time.monotonic() - began:.0f} s")
    return folder / "k9s"
