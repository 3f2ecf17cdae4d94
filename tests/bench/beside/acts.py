"""Figures of acting: from a key to the request, and from a roll back to all pods on the stable revision.

Real controllers, real pods of KWOK. The plugin does the same as a whole process.
"""

import contextlib
import copy
import re
import time

from support.bench import eventually, run, same
from support.kube import Api
from support.objects import rollout
from support.say import Failed, step

from beside import stage
from beside.looks import moment
from beside.meter import ending

NAMESPACE = "acts"
PATH = f"{stage.rollouts(NAMESPACE)}/{stage.NAME}"
REPLICAS = 10
USER = "release-manager"
# Seconds between two looks at the pods.
LOOK = 0.02


class Release:
    """A Rollout of ten pods that is brought to its first pause again and again."""

    def __init__(self, plane):
        self.plane = plane
        self.api = Api.kept_like(plane.api[USER])
        stage.namespace(plane.admin, NAMESPACE)
        # The controller forgets revisions beyond the limit, the one to go back to among them.
        made = copy.deepcopy(rollout(stage.NAME, stage.STEPS, replicas=REPLICAS, revisionHistoryLimit=100))
        made["metadata"]["namespace"] = NAMESPACE
        plane.admin.create(stage.rollouts(NAMESPACE), made)
        self.tag = 1
        self.sure("healthy", healthy, 90)

    def sure(self, what, ready, seconds=60):
        """Waits for what the bench itself asked for; shows it again to a controller that overlooked it."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            with contextlib.suppress(Failed):
                return self.api.until(PATH, what, 3, ready)
            self.api.merge_patch(PATH, {"metadata": {"annotations": {"nudge": str(time.time())}}})
        raise Failed(f"not seen within {seconds} s: {what}")

    def stand(self):
        """At the first pause of an update, and calm; the hash of what is stable."""
        seen = self.api.settled(PATH)
        if seen["status"].get("abort"):
            same(self.api.merge_patch(f"{PATH}/status", {"status": {"abort": False}}).status, 200, "status of a retry")
        elif healthy(seen):
            self.tag += 1
            value = f"registry.test/{stage.NAME}:v{self.tag}"
            operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": value}
            same(self.api.json_patch(PATH, [operation]).status, 200, "status of a new image")
        self.sure("its first pause", paused)
        return self.api.settled(PATH)["status"]["stableRS"]

    def promoted(self):
        """Through with an update, and calm; the hash of what was stable before."""
        before = self.stand()
        same(self.api.merge_patch(f"{PATH}/status", {"status": {"promoteFull": True}}).status, 200, "status of a promotion")
        self.sure("promoted", healthy)
        self.api.settled(PATH)
        return before

    def on(self, hash_):
        """Whether all pods are of one revision, and ready."""
        found = self.api.get(stage.sets(NAMESPACE))["items"]
        pods = {one["metadata"]["labels"][stage.HASH]: one["status"] for one in found}
        others = sum(status.get("replicas", 0) for name, status in pods.items() if name != hash_)
        return pods.get(hash_, {}).get("readyReplicas", 0) == REPLICAS and others == 0

    def received(self, since, agent):
        """When the API server received the first change of a program since a moment."""
        found = []

        def seen():
            events = [event for event in self.plane.sent(USER) if event.get("userAgent", "").startswith(agent)]
            found[:] = [at for at in map(moment, events) if since <= at]
            return found

        eventually(f"a request of {agent}", 10, seen)
        return found[0]


def paused(seen):
    """At the first pause, as the controller has it."""
    status = seen.get("status", {})
    observed = status.get("observedGeneration") == str(seen["metadata"]["generation"])
    return observed and status.get("phase") == "Paused" and status.get("currentStepIndex") == 1 and status.get("pauseConditions")


def healthy(seen):
    """Through, as the controller has it."""
    status = seen.get("status", {})
    observed = status.get("observedGeneration") == str(seen["metadata"]["generation"])
    return observed and status.get("phase") == "Healthy" and status["currentPodHash"] == status["stableRS"]


def by_keys(release, kubeconfig, tool, hash_):
    """Rolls back with a letter of a fresh cockpit; milliseconds from the letter to the request, and to the stable pods."""
    with ending([tool.open(kubeconfig, NAMESPACE)]) as (sitting,):
        sitting.until("the release", 30, lambda text: re.search(rf"{stage.NAME} .*\bv\d+\b", text))
        sitting.calm(1.2)
        letter = sheet(sitting)
        # Somebody reads the sheet.
        sitting.calm(1)
        letter = letters(sitting.screen.text()) or letter
        since, pressed = time.time(), time.monotonic()
        sitting.press(letter)
        end = pressed + 60
        while not release.on(hash_):
            if end < time.monotonic():
                raise Failed(f"not rolled back within 60 s\n{sitting.screen.text()}")
            # What it draws must be read meanwhile, or it would wait for its terminal.
            sitting.calm(LOOK)
        stable = (time.monotonic() - pressed) * 1000
        # The end of it is written down.
        sitting.calm(1.5)
        return (release.received(since, tool.agent) - since) * 1000, stable


def sheet(sitting):
    """Opens the sheet of a roll back and returns its letter once its keys are awake."""
    for last in (False, False, True):
        sitting.press("R")
        try:
            return sitting.until("a sheet with its letter", 10 if last else 2, letters)
        except Failed:
            if last or "to roll back now" in sitting.screen.text():
                raise


def letters(text):
    """The letter of a sheet whose keys are awake."""
    found = re.search(r"press\s+(\w)\s+to roll back now", text)
    return found and "keys wake in a moment" not in text and found[1]


def by_hold(release, kubeconfig, tool):
    """Milliseconds from `H` to the request; the silence it waits for is in it."""
    with ending([tool.open(kubeconfig, NAMESPACE)]) as (sitting,):
        sitting.until("the release at its pause", 30, lambda text: re.search(rf"{stage.NAME} .*canary", text))
        sitting.calm(3)
        since = time.time()
        sitting.press("H")
        sitting.calm(1)
        took = (release.received(since, tool.agent) - since) * 1000
    same(release.api.merge_patch(PATH, {"spec": {"paused": False}}).status, 200, "status of ending the hold")
    release.sure("no hold", paused)
    return took


def plugin(release, tool, kubeconfig, *words):
    """Runs the plugin; milliseconds to its first request and to its end, and when it began."""
    since, began = time.time(), time.monotonic()
    code, out, err = run(tool.program, f"--kubeconfig={kubeconfig}", "-n", NAMESPACE, *words, env=tool.command(kubeconfig, NAMESPACE, 1)[1])
    ended = (time.monotonic() - began) * 1000
    same(code, 0, f"code of {words} ({out} {err})")
    return since, ended, began


def measure(release, kubeconfig, gonogo, argo, repeats, few):
    """All figures of acting: `{name: [milliseconds, …]}`."""
    told = {}

    def note(name, value):
        told.setdefault(name, []).append(value)

    for _ in range(repeats):
        request, stable = by_keys(release, kubeconfig, gonogo, release.stand())
        note("letter", request)
        note("back", stable)
        hash_ = release.stand()
        since, ended, began = plugin(release, argo, kubeconfig, "abort", stage.NAME)
        eventually("stable pods", 60, lambda hash_=hash_: release.on(hash_), LOOK)
        note("abort back", (time.monotonic() - began) * 1000)
        note("abort", ended)
        note("abort request", (release.received(since, argo.agent) - since) * 1000)
        hash_ = release.stand()
        _, _, began = plugin(release, argo, kubeconfig, "undo", stage.NAME)
        eventually("stable pods", 60, lambda hash_=hash_: release.on(hash_), LOOK)
        note("undo", (time.monotonic() - began) * 1000)
    step("rolled back in mid-update")
    for _ in range(few):
        note("after", by_keys(release, kubeconfig, gonogo, release.promoted())[1])
        hash_ = release.promoted()
        _, _, began = plugin(release, argo, kubeconfig, "undo", stage.NAME)
        # It goes through the steps again: somebody has to see the pause and to promote.
        release.sure("its first pause", paused)
        note("undo to its pause", (time.monotonic() - began) * 1000)
        release.api.settled(PATH)
        plugin(release, argo, kubeconfig, "promote", stage.NAME, "--full")
        eventually("stable pods", 60, lambda hash_=hash_: release.on(hash_), LOOK)
        note("undo and promote", (time.monotonic() - began) * 1000)
    step("rolled back after an update")
    # Last: a held revision that never was live has the next number, and is what a tool without a memory goes back to.
    for _ in range(few):
        release.stand()
        note("hold", by_hold(release, kubeconfig, gonogo))
    return told
