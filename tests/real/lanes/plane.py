"""The control plane does what gonogo relies on, today as when it was captured.

The captured refusals under `tests/fixtures/kubernetes` are asked for again, so
that a newer pin that words them differently is noticed here and not in the
field.
"""

import json
import time

from support.adapters import adapters
from support.bench import ROOT, expect, run, same
from support.cluster import Cluster, kubectl_checks, plugin_checks
from support.objects import DEPLOYMENT_PATH, ROLLOUT_PATH, deployment, rollout
from support.official import official

FIXTURES = ROOT / "tests" / "fixtures" / "kubernetes"
STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
NAME = "lane"
PATH = f"{ROLLOUT_PATH}/{NAME}"


def lane(bench):
    with bench.check("the plane is built and starts", must=True):
        plane = bench.plane()
    manager = plane.api["release-manager"]

    with bench.check("a Rollout gets healthy and a new image stops at its pause", must=True):
        plane.admin.create(ROLLOUT_PATH, rollout(NAME, STEPS))
        manager.until(PATH, "healthy", 60, lambda seen: phase(seen) == "Healthy")
        act(manager, PATH, image("v2"), lambda seen: paused_at(seen, 1))
    with bench.check("hold, resume, continue, abort, retry and full promotion have the known effects"):
        act(manager, PATH, spec(paused=True), lambda seen: observed(seen) and seen["status"].get("message") == "manually paused")
        act(manager, PATH, spec(paused=False), lambda seen: paused_at(seen, 1))
        act(manager, PATH, status(pauseConditions=None), lambda seen: paused_at(seen, 3))
        act(manager, PATH, status(abort=True), lambda seen: phase(seen) == "Degraded" and seen["status"].get("abort"))
        act(manager, PATH, status(abort=False), lambda seen: paused_at(seen, 1))
        act(manager, PATH, status(promoteFull=True), lambda seen: phase(seen) == "Healthy")
    with bench.check("a full promotion under way clears an abort, unless the abort takes it back"):
        act(manager, PATH, image("v3"), lambda seen: paused_at(seen, 1))
        promoting(manager, PATH)
        act_now(manager, PATH, status(abort=True), lambda seen: phase(seen) == "Healthy" and not seen["status"].get("abort"))
        act(manager, PATH, image("v4"), lambda seen: paused_at(seen, 1))
        promoting(manager, PATH)
        stable = manager.get(PATH)["status"]["stableRS"]
        act_now(manager, PATH, status(abort=True, promoteFull=False), lambda seen: phase(seen) == "Degraded")
        seen = manager.until(PATH, "no canary", 40, lambda seen: not seen["status"].get("updatedReplicas"))
        same((seen["status"]["stableRS"], phase(seen)), (stable, "Degraded"), "stable revision and phase")
    with bench.check("an abort of a held canary moves its pods only once the hold ends"):
        act(manager, PATH, status(abort=False), lambda seen: paused_at(seen, 1))
        act(manager, PATH, spec(paused=True), lambda seen: observed(seen) and seen["status"].get("message") == "manually paused")
        act(manager, PATH, status(abort=True), lambda seen: phase(seen) == "Degraded" and seen["status"].get("abort"))
        same(manager.settled(PATH)["status"].get("updatedReplicas"), 1, "pods of the canary while held")
        act(manager, PATH, spec(paused=False), lambda seen: not seen["status"].get("updatedReplicas"))
        act(manager, PATH, status(abort=False), lambda seen: paused_at(seen, 1))
        act(manager, PATH, status(promoteFull=True), lambda seen: phase(seen) == "Healthy")
    with bench.check("a Deployment rolls and is held"):
        path = f"{DEPLOYMENT_PATH}/lane-web"
        plane.admin.create(DEPLOYMENT_PATH, deployment("lane-web"))
        manager.until(path, "available", 60, lambda seen: seen.get("status", {}).get("availableReplicas") == 4)
        same(manager.merge_patch(path, {"spec": {"paused": True}}).status, 200, "status of the hold")
    with bench.check("personas may do what their names say"):
        body = {"status": {"abort": True}}
        seen = {
            who: (api.request("GET", PATH).status, api.merge_patch(f"{PATH}/status?dryRun=All", body).status)
            for who, api in plane.api.items()
        }
        wanted = dict.fromkeys(("admin", "release-manager"), (200, 200)) | dict.fromkeys(("team-manager", "viewer"), (200, 403))
        wanted["stranger"] = (403, 403)
        same(seen, wanted, "read and act")
    with bench.check("each change is in the audit log with who sent it and what"):
        patches = [event for event in plane.sent() if event["verb"] == "patch" and event["objectRef"]["name"] == NAME]
        users = {event["user"]["username"] for event in patches}
        expect("release-manager" in users, f"users: {users}")
        bodies = [event.get("requestObject") for event in patches if event["objectRef"].get("subresource") == "status"]
        expect({"status": {"promoteFull": True}} in bodies, "the full promotion is not there")
    cluster = Cluster(plane.kubeconfig("release-manager"), "default", NAME, plane.program("kubectl"), plane.program("kubectl-argo-rollouts"))
    kubectl_checks(bench, cluster)
    plugin_checks(bench, cluster)
    end = {
        "url": plane.env["server"],
        "ca": plane.env["ca"],
        "token": plane.env["tokens"]["release-manager"],
        "namespace": "default",
        "rollout": NAME,
    }
    official(bench, bench.folder, "plane-ends", {"kubernetes": end})
    adapters(bench, "cluster", {"GONOGO_REAL_PLANE": str(plane.folder / "env.json")})
    adapters(bench, "argo", {"GONOGO_REAL_ARGO_SOURCE": argo_source()})
    for row in refusals():
        with bench.check(f"still so: {row['file']}"):
            compare(plane, row)


def argo_source():
    """The source the controller was built from, in Go's module cache."""
    module = "github.com/argoproj/argo-rollouts"
    tools = ROOT / "tests" / "real" / "controlplane" / "plane-tools"
    code, told, trouble = run("go", "mod", "download", "-json", module, cwd=tools, timeout=300)
    expect(code == 0, trouble)
    return json.loads(told)["Dir"]


def refusals():
    """The captured refusals that can be asked for again on the Rollout of this lane."""
    rows = [json.loads(line) for line in (FIXTURES / "INDEX.jsonl").read_text(encoding="utf-8").splitlines()]
    names = ("error-400", "error-401", "error-403", "error-404", "error-409-stale-r", "error-415", "error-422")
    return [row for row in rows if row["file"].startswith(names)]


def compare(plane, row):
    captured = (FIXTURES / row["file"]).read_text(encoding="utf-8")
    path = row["path"].replace("/rollouts/demo", f"/rollouts/{NAME}")
    if row["persona"] == "nobody":
        stranger = plane.api["viewer"]
        headers = {"Authorization": "Bearer not-a-token"}
        answer = stranger.request(row["method"], path, headers=headers)
    else:
        content_type = row["request_content_type"] or "application/json"
        answer = plane.api[row["persona"]].request(row["method"], path, row["request_body"], content_type)
    same(answer.status, row["status"], "status")
    if answer.data is None:
        same(answer.text.strip(), captured.strip(), "text")
        return
    wanted = json.loads(captured)
    same(answer.data.get("reason"), wanted.get("reason"), "reason")
    same(sorted(answer.data), sorted(wanted), "keys")
    same(shape(answer.data["message"]), shape(wanted["message"]), "message")


def shape(message):
    """A message without what differs from run to run: the object's name and quoted states."""
    return message.replace(f'"{NAME}"', '"demo"')[:80]


def observed(seen):
    return seen.get("status", {}).get("observedGeneration") == str(seen["metadata"]["generation"])


def phase(seen):
    return seen["status"].get("phase") if observed(seen) else None


def paused_at(seen, index):
    status = seen["status"]
    return phase(seen) == "Paused" and status.get("currentStepIndex") == index and status.get("pauseConditions")


def image(tag):
    operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": f"registry.test/lane:{tag}"}
    return lambda api, path: api.json_patch(path, [operation])


def spec(**fields):
    return lambda api, path: api.merge_patch(path, {"spec": fields})


def status(**fields):
    return lambda api, path: api.merge_patch(f"{path}/status", {"status": fields})


def promoting(api, path):
    """Starts a full promotion and waits until it is in the midst of moving pods."""
    act(api, path, status(promoteFull=True), lambda seen: seen["status"].get("promoteFull") and seen["status"].get("updatedReplicas") == 2)


def act(api, path, send, effect):
    """Sends when the object is quiet; nudges once when the controller has not noticed."""
    api.settled(path)
    return act_now(api, path, send, effect)


def act_now(api, path, send, effect):
    """Sends at once, as a brake is; nudges once when the controller has not noticed."""
    answer = send(api, path)
    same(answer.status, 200, "status of the patch")
    nudge_at = time.monotonic() + 3
    nudged = False

    def seen_or_nudge(seen):
        nonlocal nudged
        if not nudged and nudge_at < time.monotonic():
            nudged = True
            api.merge_patch(path, {"metadata": {"annotations": {"nudge": str(time.time())}}})
        return effect(seen)

    return api.until(path, "the effect of a patch", 40, seen_or_nudge)
