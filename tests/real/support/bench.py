"""Runs checks in a lane, counts them, and keeps the servers that lanes share.

A check is a sentence and a block; what the block raises is the reason it
failed, and the lane goes on. What must hold for the rest to mean anything is
marked `must`, and ends its lane.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from . import processes
from .kube import Api
from .say import Failed, Missing, in_ci, step

REAL = pathlib.Path(__file__).resolve().parent.parent
ROOT = REAL.parent.parent


class LaneOver(Exception):
    """A check that the rest of its lane needs has failed; it is already counted."""


class Bench:
    """Counts of the run, the folder of its data, and servers started so far."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="gonogo-real-"))
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self._plane = None
        self._mlflow = None
        self._stops = []

    def say(self, text):
        """Prints a line and keeps it beside the servers' logs."""
        print(text, flush=True)
        with open(self.folder / "report.txt", "a", encoding="utf-8") as report:
            report.write(text + "\n")

    # ------------------------------------------------------------------ lanes

    def lane(self, name, work, limit):
        """Runs one lane with a time limit in seconds."""
        began = time.monotonic()
        self.say(f"lane {name}: starts")
        previous = signal.signal(signal.SIGALRM, _too_long(limit))
        signal.alarm(limit)
        try:
            work(self)
            word = "finished"
        except LaneOver:
            word = "stopped early"
        except Missing as why:
            word = f"did not run: {why}"
            if in_ci():
                self.failed += 1
            else:
                self.skipped += 1
        except Exception as why:  # noqa: BLE001  any trouble of a lane is its failure, and the others go on
            self.failed += 1
            word = f"broke: {_reason(why)}"
        finally:
            signal.alarm(0)
            signal.signal(signal.SIGALRM, previous)
        self.say(f"lane {name}: {word} ({time.monotonic() - began:.1f} s)")

    @contextlib.contextmanager
    def check(self, sentence, must=False):
        """Counts the block as passed, or as failed with what it raised."""
        began = time.monotonic()
        try:
            yield
        except (LaneOver, Missing):
            raise
        except Exception as why:  # noqa: BLE001  whatever a check raises is why it failed
            self.failed += 1
            self.say(f"  FAIL {sentence} ({time.monotonic() - began:.1f} s)\n       {_reason(why)}")
            if must:
                raise LaneOver from why
        else:
            self.passed += 1
            self.say(f"  ok   {sentence} ({time.monotonic() - began:.1f} s)")

    def close(self):
        """Stops every server; keeps the folder when something failed, for a look at its logs."""
        for stop in reversed(self._stops):
            stop()
        if self.failed:
            print(f"logs and data are kept in {self.folder}", flush=True)
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---------------------------------------------------------------- servers

    def plane(self):
        """The control plane of this run, started when first asked for."""
        if self._plane is None:
            folder = self.folder / "plane"
            self._stops.append(lambda: processes.stop_all(folder))
            self.script("controlplane/plane", "up", folder)
            self._plane = Plane(folder)
        return self._plane

    def own_plane(self, name):
        """A second control plane for what would disturb the others, with priority and fairness."""
        folder = self.folder / name
        self._stops.append(lambda: processes.stop_all(folder))
        self.script("controlplane/plane", "up", folder, "--fair")
        return Plane(folder)

    def mlflow(self):
        """The address of this run's MLflow, started when first asked for."""
        if self._mlflow is None:
            folder = self.folder / "mlflow"
            self._stops.append(lambda: processes.stop_all(folder))
            self.script("mlflow/server", "up", folder)
            self._mlflow = json.loads((folder / "env.json").read_text(encoding="utf-8"))["url"]
        return self._mlflow

    def train(self, name, commits):
        """Trains and registers three versions of a model on this run's MLflow."""
        self.mlflow()
        return json.loads(self.script("mlflow/server", "train", self.folder / "mlflow", name, *commits))

    def prometheus(self, name, scrapes):
        """Starts a Prometheus that scrapes `{job: (host:port, path, token)}` each second; its address."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        jobs = []
        for job, (target, path, token) in scrapes.items():
            entry = {"job_name": job, "metrics_path": path, "static_configs": [{"targets": [target]}]}
            if token:
                entry["authorization"] = {"credentials": token}
            jobs.append(entry)
        config = folder / "prometheus.yml"
        # JSON is YAML, so nothing needs quoting by hand.
        whole = {"global": {"scrape_interval": "1s", "evaluation_interval": "1s"}, "scrape_configs": jobs}
        config.write_text(json.dumps(whole, indent=1) + "\n", encoding="utf-8")
        self._stops.append(lambda: processes.stop_all(folder))
        self.script("prometheus/server", "up", folder, config)
        return json.loads((folder / "env.json").read_text(encoding="utf-8"))["url"]

    def later(self, stop):
        """Calls `stop` when the run ends, before what was started earlier is stopped."""
        self._stops.append(stop)

    def script(self, name, *words):
        """Runs a script beside the lanes, shows its progress, and returns its standard output."""
        command = [sys.executable, str(REAL / name), *[str(word) for word in words]]
        env = {**os.environ, "CI": ""}
        with tempfile.TemporaryFile("w+") as out:
            child = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=env, text=True)
            last = ""
            try:
                for line in child.stderr:
                    print(line, end="", file=sys.stderr, flush=True)
                    last = line.strip() or last
                code = child.wait()
            except BaseException:
                # Told to end: the script first stops what it has started.
                child.terminate()
                child.wait()
                raise
            out.seek(0)
            told = out.read().strip()
        if code == 3:
            raise Missing(last.removeprefix("did not run: "))
        if code != 0:
            raise Failed(f"{name} {words[0]}: {last.removeprefix('failed: ')} (more of its words are above)")
        return told

    # ----------------------------------------------------------------- gonogo

    def gonogo(self):
        """The path of the program under test: `GONOGO_BIN`, else a fresh debug build."""
        chosen = os.environ.get("GONOGO_BIN")
        if chosen:
            return pathlib.Path(chosen)
        if shutil.which("cargo") is None:
            raise Missing("cargo is not installed, and GONOGO_BIN names no program")
        step("building gonogo")
        ran = subprocess.run(
            ["cargo", "build", "--quiet", "--message-format=json-render-diagnostics", "--bin", "gonogo"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            check=False,
        )
        if ran.returncode != 0:
            raise Failed("cargo build failed")
        for line in ran.stdout.splitlines():
            told = json.loads(line)
            if told.get("reason") == "compiler-artifact" and told.get("executable"):
                return pathlib.Path(told["executable"])
        raise Failed("cargo build named no program")


class Plane:
    """One started control plane: its personas' clients, kubeconfigs and programs."""

    def __init__(self, folder):
        self.folder = folder
        self.env = json.loads((folder / "env.json").read_text(encoding="utf-8"))
        records = [processes.Server(record) for record in (folder / "pids").glob("*.json")]
        self.commands = {record.name: record.command for record in records}
        self.api = {name: Api.of_kubeconfig(path) for name, path in self.env["personas"].items()}
        self.admin = self.api["admin"]

    def kubeconfig(self, persona):
        """The path of a persona's kubeconfig."""
        return self.env["personas"][persona]

    def program(self, name):
        """The path of a built program."""
        return str(pathlib.Path(self.env["bin"]) / name)

    def sent(self, user=None):
        """Every change the audit log holds, oldest first; of one user, if named."""
        verbs = ("create", "update", "patch", "delete")
        return [event for event in self.asked(user) if event["verb"] in verbs and event["level"] == "RequestResponse"]

    def asked(self, user=None):
        """Every request the audit log holds, oldest first; of one user, if named."""
        # Most lines are the controllers' own; they are told apart without being parsed.
        sign = f'"username":"{user}"' if user else ""
        with open(self.env["audit_log"], encoding="utf-8") as log:
            # The server may be in the midst of a line.
            return [json.loads(line) for line in log if sign in line and line.endswith("\n")]

    def server(self, name):
        """The handle of one of its processes."""
        return processes.Server(self.folder / "pids" / f"{name}.json")

    def again(self, name):
        """Starts a process that was stopped, as it was."""
        return processes.Server.start(name, self.commands[name], self.folder)


def run(*command, env=None, timeout=60, cwd=None):
    """Runs a program to its end; returns (exit code, standard output, standard error)."""
    ran = subprocess.run(
        [str(word) for word in command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        check=False,
    )
    return ran.returncode, ran.stdout, ran.stderr


def expect(truth, otherwise):
    """Fails the check with `otherwise` unless `truth`."""
    if not truth:
        raise Failed(otherwise)


def same(seen, wanted, what):
    """Fails the check unless both are equal, and says what was seen."""
    if seen != wanted:
        raise Failed(f"{what}: wanted {wanted!r}, saw {seen!r}")


def eventually(what, seconds, ready, pause=0.1):
    """Polls until `ready()` is true, every `pause` seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        time.sleep(pause)
    raise Failed(f"not seen within {seconds} s: {what}")


def _reason(why):
    text = str(why) or type(why).__name__
    kind = "" if isinstance(why, Failed) else f"{type(why).__name__}: "
    return (kind + text)[:4000].replace("\n", "\n       ")


def _too_long(limit):
    def ring(*_):
        raise Failed(f"the lane took longer than {limit} s")

    return ring
