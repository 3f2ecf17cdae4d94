"""The programs that are compared: how each is started, and how one sees that it shows something."""

import json
import pathlib
import re
import time

from support.cockpit import Cockpit, cluster_config, private
from support.say import Failed
from support.terminal import Terminal

from beside.stage import NAME

ROWS, COLUMNS = 40, 160
VIEWERS = {"rollouts": "viewer", "pods": "team-manager"}


class Sitting(Terminal):
    """A program on its terminal, with the moment at which something was on it."""

    def __init__(self, tool, command, env):
        self.tool = tool
        self.started = time.monotonic()
        super().__init__(command, env, ROWS, COLUMNS)

    def shown(self, pattern, seconds):
        """The moment the bytes came that put `pattern` on the screen; None if they did not."""
        deadline = time.monotonic() + seconds
        while not re.search(pattern, self.screen.text()):
            if deadline < time.monotonic():
                return None
            if not self._read(0.05):
                raise Failed(f"{self.tool} ended\n{self.screen.text()}")
        return self.read_at

    def live(self, seconds=60):
        """Waits for the first data; the milliseconds since it was started."""
        at = self.shown(self.tool.live, seconds)
        if at is None:
            raise Failed(f"{self.tool} shows nothing after {seconds} s\n{self.screen.text()}")
        return (at - self.started) * 1000

    def calm(self, seconds):
        """Draws along for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._read(min(0.05, max(0.0, end - time.monotonic())))


class Tool:
    """One program and the view of it that is looked at."""

    # Who it is and what it calls itself in the API server's audit log; no two are alike in both.
    persona = "release-manager"
    agent = ""
    # What the screen holds once there is data.
    live = ""

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder

    def __str__(self):
        return self.name

    def open(self, kubeconfig, namespace, count=1):
        """Starts it on a terminal."""
        command, env = self.command(kubeconfig, namespace, count)
        return Sitting(self, command, env)

    def event(self, number):
        """What the screen holds once it shows a tick."""
        raise NotImplementedError

    def command(self, kubeconfig, namespace, count):
        """Words and environment."""
        raise NotImplementedError

    def focus(self, sitting):
        """Brings what ticks onto the screen."""


class Gonogo(Tool):
    """The cockpit: the fleet, and the screen of one rollout for ticks."""

    agent = "gonogo"
    live = r"canary \d/4"

    def __init__(self, program, folder):
        super().__init__("gonogo", folder)
        self.program = program

    def command(self, kubeconfig, namespace, count):
        names = [NAME, *[f"{NAME}-{number:04}" for number in range(1, count)]]
        places = [(name, "rollout", "prod", namespace, name) for name in names]
        cockpit = Cockpit(self.program, self.folder, f"gonogo-{namespace}", cluster_config(kubeconfig, places))
        return [cockpit.program, "--config", cockpit.config], cockpit.env

    def focus(self, sitting):
        sitting.press("5")
        sitting.calm(0.5)

    def event(self, number):
        return rf"\b{number} of \d+ available in all"


class Kubectl(Tool):
    """`kubectl get -w` of Rollouts or of pods."""

    agent = "kubectl/"

    def __init__(self, program, folder, what):
        super().__init__(f"kubectl get {what} -w", folder)
        self.program = program
        self.what = what
        self.persona = VIEWERS[what]
        self.live = r"1/1 +Running" if what == "pods" else rf"{NAME} +\d+ +\d+"

    def command(self, kubeconfig, namespace, count):
        env = private(self.folder / "home-kubectl")
        return [self.program, f"--kubeconfig={kubeconfig}", "-n", namespace, "get", self.what, "-w"], env

    def event(self, number):
        return rf"{NAME} +\d+ +\d+ +\d+ +{number} "


class Plugin(Tool):
    """`kubectl argo rollouts get rollout -w`."""

    agent = "kubectl-argo-rollouts"
    live = r"Available: +\d"

    def __init__(self, program, folder):
        super().__init__("plugin get rollout -w", folder)
        self.program = program

    def command(self, kubeconfig, namespace, count):
        env = private(self.folder / "home-plugin")
        return [self.program, f"--kubeconfig={kubeconfig}", "-n", namespace, "get", "rollout", NAME, "-w"], env

    def event(self, number):
        return rf"Available: +{number}\b"


class K9s(Tool):
    """k9s on its view of pods, as it is without a configuration; of this server's Rollouts it says `command not found`."""

    agent = "k9s"
    what = "pods"
    persona = VIEWERS["pods"]
    live = r"1/1 .*Running"

    def __init__(self, program, folder):
        super().__init__("k9s pods", folder)
        self.program = program

    def command(self, kubeconfig, namespace, count):
        env = private(self.folder / "home-k9s")
        words = [self.program, "--kubeconfig", kubeconfig, "-n", namespace, "-c", "pods", "--readonly", "--logoless", "--crumbsless"]
        return words, {**env, "COLORTERM": "truecolor"}


def through(kubeconfig, wire, folder):
    """A kubeconfig that goes over a wire."""
    known = json.loads(pathlib.Path(kubeconfig).read_text(encoding="utf-8"))
    known["clusters"][0]["cluster"]["server"] = wire.address
    path = folder / f"wire-{wire.listener.getsockname()[1]}.yaml"
    path.write_text(json.dumps(known), encoding="utf-8")
    return path
