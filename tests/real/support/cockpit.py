"""gonogo with a configuration and a home of its own, from the shell and on a terminal."""

import json
import pathlib
import threading

from .bench import run, same
from .terminal import Terminal

# One gate that asks the cluster alone, and a policy a person can go past.
POLICY = """
[policy.live]
override = "allowed"

[[policy.live.gate]]
id = "health"
kind = "rollout"
class = "I"
required = true
source = { rollout = "health" }
"""


def cluster_config(kubeconfig, places, more=""):
    """A configuration of services that have nothing but a cluster.

    `places` holds `(service, kind, environment, namespace, name)`; `more` is added to the backend.
    """
    text = f'[backend.prod]\nkind = "kubernetes"\nkubeconfig = "{kubeconfig}"\ncontext = "plane"\n{more}\n'
    text += "".join(f'[environment.{name}]\nbackend = "prod"\n' for name in sorted({place[2] for place in places}))
    for service in sorted({place[0] for place in places}):
        rows = [
            f'{{ environment = "{environment}", namespace = "{namespace}", name = "{name}", kind = "{kind}" }}'
            for of, kind, environment, namespace, name in places
            if of == service
        ]
        text += f'[service.{service}]\nrollout = [{", ".join(rows)}]\npolicy = "live"\n'
    return text + POLICY


def private(home):
    """An environment in which gonogo keeps its files under `home`."""
    home.mkdir(parents=True, exist_ok=True)
    return {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / "config"),
        "XDG_STATE_HOME": str(home / "state"),
        "XDG_DATA_HOME": str(home / "data"),
        "XDG_CACHE_HOME": str(home / "cache"),
        "NO_COLOR": "1",
    }


class Cockpit:
    """gonogo with this lane's configuration and its own home."""

    def __init__(self, program, folder, name, text):
        self.program = program
        self.env = private(folder / f"home-{name}")
        self.config = folder / f"{name}.toml"
        self.config.write_text(text, encoding="utf-8")

    def run(self, *words, timeout=120):
        """(code, standard output, standard error) of one command."""
        return run(self.program, "--config", self.config, *words, env=self.env, timeout=timeout)

    def must(self, code, *words):
        """Runs a command that must end with `code`; its JSON, if it printed one."""
        seen, out, err = self.run(*words)
        same(seen, code, f"code of `gonogo {' '.join(words)}`\n{out[-1500:]}\n{err[-1500:]}")
        return json.loads(out) if "--json" in words else out

    def lines(self):
        """The lines of its ledger, oldest first."""
        ledger = pathlib.Path(self.env["XDG_STATE_HOME"]) / "gonogo" / "ledger.jsonl"
        if not ledger.exists():
            return []
        return [json.loads(line) for line in ledger.read_text(encoding="utf-8").splitlines()]

    def open(self, rows=40, columns=200):
        """Opens the cockpit on a terminal."""
        return Terminal([self.program, "--config", self.config], self.env, rows, columns)


class Aside(threading.Thread):
    """Work that goes on beside the lane; what it raises is raised where it is waited for."""

    def __init__(self, work):
        super().__init__(daemon=True)
        self.work = work
        self.why = None
        self.told = None
        self.start()

    def run(self):
        """Called by the thread."""
        try:
            self.told = self.work()
        except BaseException as why:  # noqa: BLE001  raised again by whoever waits
            self.why = why

    def result(self, seconds):
        """What the work returned."""
        self.join(seconds)
        if self.is_alive():
            raise TimeoutError(f"what went on beside the lane took longer than {seconds} s")
        if self.why is not None:
            raise self.why
        return self.told
