"""The controller overlooks a change that lands right after its own write; gonogo's actions reach their effect all the same.

After it has written a status the controller takes the answer to that write for
the newest state. What somebody else changed in between is on the server and
stays unseen until anything else happens. First that is shown with bare
requests; then gonogo is driven into the same moment, with throttles and with
brakes. What took how long is reported; only a generous bound is asserted.

Controllers from argo-rollouts 1.10 on have mended it; with `ROLLOUTS_CONTROLLER`
that none was lost is told and is no failure. `SWALLOWED_ABREAST=1` drives one
Rollout at a time, so that what is timed is not waiting for a processor.

`SWALLOWED=100` sends a hundred of gonogo's actions of each kind, and
`SWALLOWED_PLUGIN=36` as many of each of the Argo plugin's at the same moment.
"""

import concurrent.futures
import copy
import os
import statistics
import time
from datetime import datetime

from support.bench import expect, run, same
from support.cockpit import Cockpit, cluster_config
from support.kube import Api
from support.objects import rollout
from support.say import Failed

NAMESPACE = "swallowed"
PATH = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/rollouts"
# As many Rollouts as are driven at the same time.
SIDE_BY_SIDE = int(os.environ.get("SWALLOWED_ABREAST", "6"))
RAW = 36
COUNT = int(os.environ.get("SWALLOWED", "30"))
# For the table of the report; what the plugin loses is no fault of gonogo, so the ordinary run leaves it out.
PLUGIN = int(os.environ.get("SWALLOWED_PLUGIN", "0"))
# Newer controllers keep no copy of what they wrote (argo-rollouts 1.10): then nothing is lost, and that is told.
OTHER = "ROLLOUTS_CONTROLLER" in os.environ
# Nothing having happened for so long, a change was overlooked: the controller answers within a fifth of a second.
LOST = 2.5
# A brake that takes longer than this on median is no brake; on a calm machine it takes less than a second.
SLOWEST = 10


def lane(bench):
    gonogo = bench.gonogo()
    plane = bench.plane()
    plane.admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    names = [f"r{number}" for number in range(SIDE_BY_SIDE)]
    # Not more than are needed: the server checks each step of an object at each change of it.
    steps = [{"pause": {}}] * (RAW // SIDE_BY_SIDE + 3 * share(COUNT) + 4 * share(PLUGIN) + 2)
    with bench.check(f"{SIDE_BY_SIDE} Rollouts stand at the first of many pauses", must=True):
        drivers = each(names, lambda name: Driver(bench, gonogo, plane, name, steps))
    with bench.check("bare requests right after the controller's write are lost, and a nudge brings each back"):
        ran = flat(each(drivers, lambda driver: [driver.bare() for _ in range(RAW // SIDE_BY_SIDE)]))
        healed = [took for took in ran if took is not None]
        expect(healed or OTHER, f"none of {len(ran)} was lost: this controller has no need of nudges")
        seen = f"nudged, they were seen after {spread(healed)} s" if healed else "this controller has no need of nudges"
        bench.say(f"       {len(healed)} of {len(ran)} lost; {seen}")
    with bench.check(f"{COUNT} continues of gonogo at that moment: each ends its pause, and one only"):
        before = len(nudges(plane))
        took = flat(each(drivers, lambda driver: [driver.by_gonogo() for _ in range(share(COUNT))]))
        bench.say(f"       {len(took)} of {len(took)} seen, {len(nudges(plane)) - before} nudged; command to end {spread(took)} s")
    with bench.check(f"{COUNT} holds and aborts of gonogo while the controller writes: each is obeyed"):
        before = len(nudges(plane))
        took = flat(each(drivers, lambda driver: [driver.brake(number) for number in range(share(COUNT))]))
        median = statistics.median(took)
        expect(median < SLOWEST, f"median {median:.1f} s")
        soon = sum(one <= 2 for one in took)
        bench.say(f"       {len(took)} of {len(took)} obeyed, {len(nudges(plane)) - before} nudged; intent to effect {spread(took)} s, {soon} within 2 s")
    for verb in ("promote", "pause", "abort") if PLUGIN else ():
        with bench.check(f"{PLUGIN} of the plugin's `{verb}` at that moment: how many are lost"):
            took = flat(each(drivers, lambda driver: [driver.by_plugin(verb) for _ in range(share(PLUGIN))]))
            lost = [seconds for seconds in took if seconds is not None]
            told = f"; nudged by hand, they were seen after {spread(lost)} s" if lost else ""
            bench.say(f"       {len(took)} sent, each with code 0, {len(lost)} lost{told}")
    with bench.check("the ledgers are whole"):
        each(drivers, lambda driver: driver.cockpit.must(0, "audit", "verify"))


def share(count):
    """How many of all actions one Rollout takes."""
    return -(-count // SIDE_BY_SIDE)


def each(things, work):
    """Does the same with all of them at once."""
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return list(pool.map(work, things))


def flat(lists):
    return [one for some in lists for one in some]


def spread(seconds):
    """Median and range, for the report."""
    return f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"


def nudges(plane):
    """The nudges gonogo has sent in this lane's namespace."""
    return [event for event in plane.sent("release-manager") if is_nudge(event)]


def is_nudge(event):
    body = event.get("requestObject")
    notes = body.get("metadata", {}).get("annotations", {}) if isinstance(body, dict) else {}
    return event["objectRef"].get("namespace") == NAMESPACE and "gonogo.dev/nudge" in notes


class Driver:
    """One Rollout with one pod that is on its way through many pauses."""

    def __init__(self, bench, gonogo, plane, name, steps):
        self.api = Api.kept_like(plane.api["release-manager"])
        self.name = name
        self.plugin = (plane.program("kubectl-argo-rollouts"), plane.kubeconfig("release-manager"))
        self.path = f"{PATH}/{name}"
        self.tag = 1
        places = [("web", "rollout", "prod", NAMESPACE, name)]
        text = cluster_config(plane.kubeconfig("release-manager"), places)
        self.cockpit = Cockpit(gonogo, bench.folder, f"swallowed-{name}", text)
        made = copy.deepcopy(rollout(name, steps, replicas=1))
        made["metadata"]["namespace"] = NAMESPACE
        plane.admin.create(PATH, made)
        self.api.until(self.path, "healthy", 90, lambda seen: seen.get("status", {}).get("phase") == "Healthy")
        self.release()

    def release(self):
        """A new image, from the first step on, until it stands at a pause."""
        self.tag += 1
        self.api.settled(self.path)
        value = f"registry.test/web:v{self.tag}"
        self.send(self.api.json_patch(self.path, [{"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": value}]))
        self.sure("under way", lambda seen: seen["status"].get("pauseConditions") and observed(seen))

    @staticmethod
    def send(answer):
        same(answer.status, 200, f"status of a change ({answer.text[:300]})")

    def nudge(self):
        self.send(self.api.merge_patch(self.path, {"metadata": {"annotations": {"nudge": str(time.time())}}}))

    def sure(self, what, ready):
        """Waits for what the driver itself brought about, nudging as often as it takes; returns (object, seconds or None)."""
        began = None
        for _ in range(6):
            try:
                seen = self.api.until(self.path, what, LOST, ready)
                return seen, began and time.monotonic() - began
            except Failed:
                began = began or time.monotonic()
                self.nudge()
        raise Failed(f"not seen though nudged: {what}")

    def bare(self):
        """Ends a pause the moment the next one is visible; the seconds from nudge to effect if it was lost."""
        at = self.index()
        self.send(self.api.merge_patch(f"{self.path}/status", {"status": {"pauseConditions": None}}))
        _, healed = self.sure("a later pause", lambda seen: at < (seen["status"].get("currentStepIndex") or 0) and seen["status"].get("pauseConditions"))
        return healed

    def index(self):
        return self.api.get(self.path)["status"].get("currentStepIndex") or 0

    def by_gonogo(self):
        """As `bare`, by a command that begins when the pause is visible."""
        # The controller is made to write now, so that the command does not come upon a calm object.
        self.bare()
        at = self.index()
        began = time.monotonic()
        self.cockpit.must(0, "continue", "web", "--yes", "--json")
        took = time.monotonic() - began
        seen, _ = self.sure("its pause", lambda seen: seen["status"].get("pauseConditions"))
        same(seen["status"].get("currentStepIndex"), at + 1, "step after the continue")
        return took

    def by_plugin(self, verb):
        """As `bare`, by a command of the plugin; the seconds from nudge to effect if it was lost."""
        self.bare()
        at = self.index()
        program, kubeconfig = self.plugin
        code, _, err = run(program, "--kubeconfig", kubeconfig, "--namespace", NAMESPACE, verb, self.name)
        same(code, 0, f"code of the plugin's {verb} ({err[-300:]})")
        effects = {
            "promote": lambda seen: at < (seen["status"].get("currentStepIndex") or 0) and seen["status"].get("pauseConditions"),
            "pause": held,
            "abort": lambda seen: seen["status"].get("abort") and seen["status"].get("phase") == "Degraded",
        }
        _, healed = self.sure(f"the plugin's {verb}", effects[verb])
        if verb == "pause":
            self.resume()
        elif verb == "abort":
            self.release()
        return healed

    def resume(self):
        self.send(self.api.merge_patch(self.path, {"spec": {"paused": False}}))
        self.sure("no hold", lambda seen: observed(seen) and seen["status"].get("message") != "manually paused")

    def brake(self, number):
        """A hold or an abort of gonogo while the controller answers to something else; the seconds from its intent to its effect."""
        self.send(self.api.merge_patch(f"{self.path}/status", {"status": {"pauseConditions": None}}))
        before = len(self.cockpit.lines())
        verb = "abort" if number % 3 == 2 else "hold"
        self.cockpit.must(0, verb, "web", "--yes", "--json")
        seen = self.api.get(self.path)
        if verb == "hold":
            expect(held(seen), f"not held: {seen['status']}")
            self.resume()
        else:
            state = (seen["status"].get("abort"), seen["status"].get("phase"))
            same(state, (True, "Degraded"), "state after the abort")
            self.release()
        lines = self.cockpit.lines()[before:]
        same((lines[0]["type"], lines[-1].get("outcome")), ("intent", "confirmed"), "the ledger of it")
        return moment(lines[-1]) - moment(lines[0])


def moment(line):
    return datetime.fromisoformat(line["time"].replace("Z", "+00:00")).timestamp()


def observed(seen):
    return seen.get("status", {}).get("observedGeneration") == str(seen["metadata"]["generation"])


def held(seen):
    return bool(seen["spec"].get("paused")) and observed(seen) and seen["status"].get("message") == "manually paused"
