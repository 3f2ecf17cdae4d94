"""gonogo from the shell on a real cluster, a real registry and a real Prometheus.

One service with three releases. The second is better and goes live; then it is
rolled back; the third has a worse model and must not pass. After every command
the state is read from the servers themselves, not from gonogo.
"""

import json
import re
import time

from support.bench import Failed, eventually, expect, run, same
from support.cockpit import Cockpit
from support.exporter import Exporter
from support.objects import pod_template
from support.terminal import Terminal

from lanes.clients import findings
from lanes.mlflow import data

SERVICE = "ranker"
NAMESPACE = "recsys"
ENVIRONMENT = "prod-eu"
PATH = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/rollouts/{SERVICE}"
SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets"
COMMITS = [
    "1f0c2b7d9a4e4b0f8c6d5e3a2b1c0d9e8f7a6b51",
    "2ab94c3e7f1d4a6b9c8e0f5d3a7b6c1e2d4f8a92",
    "3c5d8e1f0a2b4c6d8e9f7a5b3c1d0e2f4a6b8c73",
]
STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 100}]
MINE = "gonogo"


def image(commit):
    return f"registry.test/{SERVICE}:{commit}"


def rollout():
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": SERVICE, "namespace": NAMESPACE},
        "spec": {
            "replicas": 4,
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": {"app": SERVICE}},
            "template": pod_template(SERVICE, image(COMMITS[0])),
            "strategy": {"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": STEPS}},
        },
    }


def config(kubeconfig, mlflow, prometheus):
    def p95(track):
        return f'histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket{{track="{track}"}}[5s]))) * 1000'

    return f"""
[backend.registry]
kind = "mlflow"
url = "{mlflow}"

[backend.prom]
kind = "prometheus"
url = "{prometheus}"

[backend.prod]
kind = "kubernetes"
kubeconfig = "{kubeconfig}"
context = "plane"
namespaces = ["{NAMESPACE}"]

[environment.{ENVIRONMENT}]
backend = "prod"

[service.{SERVICE}]
model = {{ backend = "registry", name = "{SERVICE}", alias = "champion" }}
rollout = [{{ environment = "{ENVIRONMENT}", namespace = "{NAMESPACE}", name = "{SERVICE}" }}]
policy = "live"

[service.{SERVICE}.metric.latency_p95]
backend = "prom"
canary = '{p95("canary")}'
stable = '{p95("stable")}'
traffic = 'sum(increase(requests_total{{track="canary"}}[5s]))'
unit = "ms"

[[policy.live.gate]]
id = "latency"
kind = "metric"
class = "L"
required = true
source = {{ metric = "latency_p95" }}
better = "lower"
fail = {{ above = 400 }}

[[policy.live.gate]]
id = "accuracy"
kind = "metric"
class = "A"
required = true
source = {{ model_metric = "accuracy" }}
better = "higher"
fail = {{ below = 0.9 }}
versus = {{ baseline = "champion", max_regression = {{ absolute = 0.01 }}, same_data = true, on_missing_baseline = "warn" }}
"""


def lane(bench):
    gonogo = bench.gonogo()
    plane = bench.plane()
    mlflow = bench.mlflow()
    exporter = Exporter()
    bench.later(exporter.close)
    with bench.check("three models are trained, the first release is live", must=True):
        bench.train(SERVICE, COMMITS)
        plane.admin.request("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
        plane.admin.create(PATH.rsplit("/", 1)[0], rollout())
        plane.admin.until(PATH, "healthy", 60, lambda seen: seen.get("status", {}).get("phase") == "Healthy")
    with bench.check("Prometheus scrapes the service", must=True):
        prometheus = bench.prometheus("prometheus-story", {"service": (exporter.address, "/metrics", None)})
    text = config(plane.kubeconfig("release-manager"), mlflow, prometheus)
    cockpit = Cockpit(gonogo, bench.folder, "story", text)
    world = World(plane, mlflow)

    with bench.check("the configuration is taken and every backend answers", must=True):
        cockpit.must(0, "config", "check")
        cockpit.must(0, "doctor", "--json")
    with bench.check("nothing is on its way: the live release is in `status`"):
        told = json.dumps(cockpit.must(0, "status", "--json"))
        expect(SERVICE in told, told[:600])

    deploy(bench, world, 1)
    good(bench, cockpit, world, exporter)
    refused(bench, cockpit, world, exporter)
    aborted(bench, cockpit, world, exporter)
    promoted(bench, cockpit, world)
    rolled_back(bench, cockpit, world)
    deploy(bench, world, 2)
    personas(bench, gonogo, plane, mlflow, prometheus, world)
    worse_model(bench, cockpit, world)
    deploy(bench, world, 1)
    by_keys(bench, cockpit, plane, world)
    audited(bench, cockpit, world)


class World:
    """The servers' own word on the state."""

    def __init__(self, plane, mlflow):
        self.plane = plane
        self.api = plane.admin
        self.mlflow = mlflow

    def rollout(self):
        return self.api.get(PATH)

    def champion(self):
        path = f"/api/2.0/mlflow/registered-models/alias?name={SERVICE}&alias=champion"
        return data(self.mlflow, "GET", path)["model_version"]["version"]

    def live_image(self):
        """The image of the ReplicaSet that holds every ready pod, or None while there are two."""
        sets = self.api.get(f"{SETS}?labelSelector=app%3D{SERVICE}")["items"]
        images = {
            item["spec"]["template"]["spec"]["containers"][0]["image"] for item in sets if item["status"].get("readyReplicas")
        }
        return images.pop() if len(images) == 1 else None

    def sent(self):
        """Changes that gonogo sent and the server took, oldest first."""
        return [
            event
            for event in self.plane.sent()
            if event["objectRef"].get("namespace") == NAMESPACE
            and MINE in event.get("userAgent", "")
            and event["responseStatus"]["code"] < 300
        ]

    def deploy(self, commit):
        """What a pipeline does: a new image."""
        self.api.settled(PATH)
        operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": image(commit)}
        same(self.api.json_patch(PATH, [operation]).status, 200, "status of the deploy")
        nudge_at = time.monotonic() + 3

        def waits(seen):
            nonlocal nudge_at
            if nudge_at < time.monotonic():
                nudge_at = float("inf")
                self.api.merge_patch(PATH, {"metadata": {"annotations": {"pipeline": str(time.time())}}})
            return paused_at(seen, 1)

        self.api.until(PATH, "the first pause", 60, waits)


def paused_at(seen, index):
    status = seen["status"]
    observed = status.get("observedGeneration") == str(seen["metadata"]["generation"])
    return (
        observed
        and status.get("phase") == "Paused"
        and status.get("currentStepIndex") == index
        and status.get("pauseConditions")
    )


def deploy(bench, world, number):
    with bench.check(f"release {number + 1} is deployed and stops at 25 %", must=True):
        world.deploy(COMMITS[number])
        world.api.settled(PATH)


def good(bench, cockpit, world, exporter):
    exporter.drive("stable", latency=0.08)
    exporter.drive("canary", latency=0.08)
    with bench.check("check says GO: fast enough, and a better model than the champion"):
        told = cockpit.must(0, "check", SERVICE, "--wait", "--timeout", "40s", "--json")
        same(findings(told)[ENVIRONMENT], {"latency": "pass", "accuracy": "pass"}, "verdicts")
    with bench.check("hold stops it: spec.paused, seen by the controller"):
        cockpit.must(0, "hold", SERVICE, "--yes", "--json")
        seen = world.rollout()
        same((seen["spec"].get("paused"), seen["status"].get("message")), (True, "manually paused"), "state")
    with bench.check("continue undoes the hold and stays at the pause"):
        cockpit.must(0, "continue", SERVICE, "--yes", "--json")
        seen = world.rollout()
        expect(not seen["spec"].get("paused") and paused_at(seen, 1), json.dumps(seen["status"]))
    with bench.check("continue again ends the pause: 50 %"):
        cockpit.must(0, "continue", SERVICE, "--yes", "--json")
        world.api.until(PATH, "the second pause", 30, lambda seen: paused_at(seen, 3))


def refused(bench, cockpit, world, exporter):
    exporter.drive("canary", latency=0.6)
    with bench.check("latency rises: check says NO-GO"):
        eventually("NO-GO", 60, lambda: cockpit.run("check", SERVICE, "--json")[0] == 1)
        told = cockpit.must(1, "check", SERVICE, "--json")
        same(findings(told)[ENVIRONMENT], {"latency": "fail", "accuracy": "pass"}, "verdicts")
    with bench.check("continue is not sent, code 1"):
        before = len(world.sent())
        cockpit.must(1, "continue", SERVICE, "--yes", "--json")
        same(len(world.sent()), before, "changes in the audit log")
        expect(paused_at(world.rollout(), 3), "the Rollout moved")


def aborted(bench, cockpit, world, exporter):
    with bench.check("abort takes the traffic back, with one request"):
        before = world.sent()
        cockpit.must(0, "abort", SERVICE, "--yes", "--json")
        seen = world.rollout()
        same((seen["status"].get("abort"), seen["status"].get("phase")), (True, "Degraded"), "state")
        eventually("only the first release serves", 30, lambda: world.live_image() == image(COMMITS[0]))
        bodies = [event["requestObject"] for event in world.sent()[len(before) :]]
        aborts = [body for body in bodies if "/status/abort" in json.dumps(body) or '"abort"' in json.dumps(body)]
        same(len(aborts), 1, f"requests that abort ({bodies})")
    exporter.drive("canary", latency=0.08)
    with bench.check("an aborted canary proves nothing: retry needs a reason, and starts it again"):
        code, _, _ = cockpit.run("retry", SERVICE, "--yes", "--json")
        expect(code in (1, 3), f"retry without a reason: code {code}")
        cockpit.must(0, "retry", SERVICE, "--override", "--reason", "latency is back", "--yes", "--json")
        world.api.until(PATH, "the first pause again", 30, lambda seen: paused_at(seen, 1))


def promoted(bench, cockpit, world):
    with bench.check("promote --full: all pods, then the champion alias"):
        eventually("GO", 60, lambda: cockpit.run("check", SERVICE, "--json")[0] == 0)
        cockpit.must(0, "promote", SERVICE, "--full", "--yes", "--json")
        seen = world.rollout()
        same(seen["status"].get("phase"), "Healthy", "phase")
        same(seen["status"]["currentPodHash"], seen["status"]["stableRS"], "hash")
        same(world.live_image(), image(COMMITS[1]), "image")
        same(world.champion(), "2", "champion")


def rolled_back(bench, cockpit, world):
    with bench.check("rollback: users on the release before, then the alias"):
        world.api.settled(PATH)
        cockpit.must(0, "rollback", SERVICE, "--yes", "--json")
        eventually("the first release serves", 60, lambda: world.live_image() == image(COMMITS[0]))
        seen = world.api.settled(PATH)
        same(seen["status"].get("phase"), "Healthy", "phase")
        template = seen["spec"]["template"]
        same(template["spec"]["containers"][0]["image"], image(COMMITS[0]), "image in the template")
        expect("rollouts-pod-template-hash" not in template["metadata"]["labels"], "the template carries the hash label")
        same(world.champion(), "1", "champion")


def worse_model(bench, cockpit, world):
    with bench.check("a worse model is NO-GO by its own accuracy, and promote is not sent"):
        eventually("NO-GO", 60, lambda: cockpit.run("check", SERVICE, "--json")[0] == 1)
        told = cockpit.must(1, "check", SERVICE, "--json")
        same(findings(told)[ENVIRONMENT].get("accuracy"), "fail", "accuracy")
        before = len(world.sent())
        cockpit.must(1, "promote", SERVICE, "--full", "--yes", "--json")
        same((len(world.sent()), world.champion()), (before, "1"), "changes and champion")
    with bench.check("a rollback in mid-update is an abort: traffic back at once"):
        cockpit.must(0, "rollback", SERVICE, "--yes", "--json")
        eventually("the first release serves", 30, lambda: world.live_image() == image(COMMITS[0]))
        same(world.champion(), "1", "champion")


def personas(bench, gonogo, plane, mlflow, prometheus, world):
    with bench.check("a viewer sees everything and is refused what the cluster would refuse"):
        cockpit = Cockpit(gonogo, bench.folder, "viewer", config(plane.kubeconfig("viewer"), mlflow, prometheus))
        cockpit.must(0, "status", "--json")
        code, out, err = cockpit.run("abort", SERVICE, "--yes", "--json")
        expect(code in (4, 5), f"code {code}: {out[-600:]} {err[-600:]}")
        expect("forbid" in (out + err).lower() or "may not" in out + err, f"why: {out[-600:]} {err[-600:]}")
        seen = world.rollout()
        expect(paused_at(seen, 1) and not seen["status"].get("abort"), json.dumps(seen["status"]))


def by_keys(bench, cockpit, plane, world):
    terminal = Terminal([cockpit.program, "--config", cockpit.config], cockpit.env)
    try:
        with bench.check("the cockpit shows the release where the cluster has it", must=True):
            row = re.compile(rf"{SERVICE} +v2 +{ENVIRONMENT} +canary 2/{len(STEPS)} .*\b25\b")
            terminal.until("the second release at its first pause, 25 %", 30, row.search)
        with bench.check("R and a key that is not the letter sends nothing"):
            letter = sheet(terminal)
            terminal.press("b" if letter != "b" else "c")
            terminal.until("no sheet", 5, lambda text: "what will be sent" not in text)
            expect(paused_at(world.rollout(), 1), "the Rollout moved")
        with bench.check("R and the letter it shows: traffic back at once"):
            terminal.press(sheet(terminal))
            # What it draws must be read meanwhile, or it would wait for its terminal.
            terminal.until("the abort", 10, lambda _: asked(plane)["status"].get("abort") is True)
            terminal.until("only the first release serves", 30, lambda _: world.live_image() == image(COMMITS[0]))
            same(world.champion(), "1", "champion")
        with bench.check("q leaves, code 0, and the terminal is given back"):
            terminal.until("no sheet", 10, lambda text: "what will be sent" not in text)
            # While a plan is still followed the first q asks, and the second leaves.
            terminal.press("q")
            try:
                terminal.ended(3)
            except Failed:
                terminal.press("q")
            same(terminal.ended(10), 0, "code")
            expect("\x1b[?1049l" in terminal.written, "the other screen is still on")
    finally:
        terminal.stop()


def sheet(terminal):
    """Opens the sheet of a rollback and returns its letter once its keys are awake.

    A mark that has just moved by itself takes no acting key for a second; who
    pressed too early sees no sheet and presses again.
    """

    def shown(text):
        found = re.search(r"press\s+(\w)\s+to roll back now", text)
        return found and "keys wake in a moment" not in text and found[1]

    for last in (False, False, True):
        terminal.press("R")
        try:
            return terminal.until("a sheet with its letter", 10 if last else 2, shown)
        except Failed:
            if last or "to roll back now" in terminal.screen.text():
                raise


def asked(plane):
    """The Rollout as `kubectl` prints it."""
    words = ["--kubeconfig", plane.kubeconfig("viewer"), "--namespace", NAMESPACE]
    code, out, err = run(plane.program("kubectl"), *words, "get", "rollout", SERVICE, "-o", "json")
    same(code, 0, f"code of kubectl ({err.strip()[-600:]})")
    return json.loads(out)


def audited(bench, cockpit, world):
    with bench.check("the ledger is intact and says what the server's audit log says"):
        cockpit.must(0, "audit", "verify", "--json")
        lines = cockpit.must(0, "audit", "log", "--limit", "1000", "--json")["lines"]
        verbs = {line["verb"] for line in lines if "verb" in line}
        same(verbs, {"hold", "continue", "abort", "retry", "promote", "roll back"}, "verbs in the ledger")
        expect("release-manager" in json.dumps(lines), "nobody is named")
        by = {event["user"]["username"] for event in world.sent()}
        same(by, {"release-manager"}, "who the server says sent them")
