"""The blue/green part of `capture`: what a watcher sees of a switch and around it."""

import time

from support.kube import JSON_PATCH
from support.objects import ROLLOUT_PATH, TEMPLATE_PATH, rollout, web_template

SERVICES = "/api/v1/namespaces/default/services"
SETS = "/apis/apps/v1/namespaces/default/replicasets"
PODS = "/api/v1/namespaces/default/pods"


def drive(captures, driven, timeline):
    """Everything here stays within the delays, so that no pods come or go by themselves."""
    by_hand(captures, driven, timeline)
    counted(captures, driven, timeline)
    judged(captures, driven, timeline)
    missing_pods(captures, driven, timeline)


def by_hand(captures, driven, timeline):
    green = make(captures, driven, "green", autoPromotionEnabled=False)
    with timeline(captures, "green", "blue-green-to-pause"):
        green.act("to the pause", lambda: green.image("registry.test/green:v2"), waits)
    green.keep("rollout-bluegreen-paused.json")
    captures.take("replicasets-blue-green-preview.json", f"{SETS}?labelSelector=app%3Dgreen")
    with timeline(captures, "green", "blue-green-switch"):
        green.act("switched", lambda: green.status(pauseConditions=None), settled)
        time.sleep(0.3)
    green.keep("rollout-blue-green-switched.json")
    captures.take("replicasets-blue-green-switched.json", f"{SETS}?labelSelector=app%3Dgreen")
    with timeline(captures, "green", "blue-green-back-within-delay"):
        green.act("back", lambda: back_to(green, "v1"), on("v1"))
        time.sleep(0.3)
    green.act("v3", lambda: green.image("registry.test/green:v3"), waits)
    with timeline(captures, "green", "blue-green-abort-at-pause"):
        green.act("aborted", lambda: green.status(abort=True), degraded)
    green.keep("rollout-blue-green-aborted.json")
    captures.take("replicasets-blue-green-aborted.json", f"{SETS}?labelSelector=app%3Dgreen")
    with timeline(captures, "green", "blue-green-retry-while-pods-are-kept"):
        green.act("switched at once", lambda: green.status(abort=False), settled)
    green.act("v4", lambda: green.image("registry.test/green:v4"), waits)
    green.act("aborted", lambda: green.status(abort=True), degraded)
    with timeline(captures, "green", "blue-green-retry-behind-a-hold"):
        green.act("held", lambda: green.spec(paused=True), lambda seen: seen["spec"].get("paused") and observed(seen))
        green.act("retried", lambda: retry_anew(green), lambda seen: phase(seen) == "Paused")
        green.act("resumed", lambda: green.spec(paused=False), waits)
    with timeline(captures, "green", "blue-green-promote-full"):
        green.act("promoted", lambda: green.status(promoteFull=True), settled)


def counted(captures, driven, timeline):
    clock = make(captures, driven, "clock", autoPromotionSeconds=300)
    clock.act("counting", lambda: clock.image("registry.test/clock:v2"), waits)
    before = captures.manager.get(clock.path)["status"]["pauseConditions"][0]["startTime"]
    time.sleep(1)
    with timeline(captures, "clock", "blue-green-continue-a-countdown"):
        clock.act(
            "counting from the start",
            lambda: clock.status(pauseConditions=None),
            lambda seen: waits(seen) and seen["status"]["pauseConditions"][0]["startTime"] != before,
        )
    captures.take("rollout-blue-green-counting.json", clock.path)
    with timeline(captures, "clock", "blue-green-end-a-countdown"):
        clock.act("switched", lambda: end_countdown(clock), settled)


def judged(captures, driven, timeline):
    for name, count in (("smoke", 1), ("soak", 60)):
        template = web_template(name, count=count)
        captures.admin.create(TEMPLATE_PATH, template)
    url = captures.metrics.url
    analysis = {
        place: {"templates": [{"templateName": name}], "args": [{"name": "url", "value": url}]}
        for place, name in (("prePromotionAnalysis", "smoke"), ("postPromotionAnalysis", "soak"))
    }
    proof = make(captures, driven, "proof", autoPromotionEnabled=False, **analysis)
    with timeline(captures, "proof", "blue-green-judged-before"):
        proof.act("to the pause", lambda: proof.image("registry.test/proof:v2"), waits)
    with timeline(captures, "proof", "blue-green-switch-and-soak"):
        proof.act("soaking", lambda: proof.status(pauseConditions=None), soaking)
        time.sleep(0.5)
    captures.take("rollout-blue-green-soaking.json", proof.path)
    with timeline(captures, "proof", "blue-green-abort-after-switch"):
        proof.act("aborted", lambda: proof.status(abort=True), degraded)
        time.sleep(0.5)
    proof.act("v3", lambda: proof.image("registry.test/proof:v3"), waits)
    proof.act("soaking", lambda: proof.status(pauseConditions=None), soaking)
    with timeline(captures, "proof", "blue-green-fails-after-switch"):
        captures.manager.settled(proof.path)
        captures.metrics.error_rate = 0.5
        proof.until("aborted by itself", degraded)
        time.sleep(0.5)
    captures.metrics.error_rate = 0.01


def missing_pods(captures, driven, timeline):
    captures.admin.create(TEMPLATE_PATH, web_template("soak-ill", count=60))
    judge = {"templates": [{"templateName": "soak-ill"}], "args": [{"name": "url", "value": captures.metrics.url}]}
    ill = make(captures, driven, "ill", autoPromotionEnabled=False, postPromotionAnalysis=judge)
    ill.act("to the pause", lambda: ill.image("registry.test/ill:v2"), waits)
    ill.act("soaking", lambda: ill.status(pauseConditions=None), soaking)
    with timeline(captures, "ill", "blue-green-abort-with-pods-missing"):
        captures.manager.settled(ill.path)
        fail_a_pod(captures, "ill", "v2")
        ill.until("a pod is missing", lambda seen: seen["status"].get("availableReplicas") == 1)
        ill.act("aborted", lambda: ill.status(abort=True), degraded)
        time.sleep(1)
    ill.keep("rollout-blue-green-aborted-users-left.json")
    with timeline(captures, "ill", "blue-green-back-with-pods-missing"):
        ill.act("wanted again", lambda: back_to(ill, "v1"), waits)
        ill.act("promoted", lambda: ill.status(promoteFull=True), on("v1"))


def make(captures, driven, name, **strategy):
    for role in ("active", "preview"):
        service = {
            "metadata": {"name": f"{name}-{role}"},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]},
        }
        captures.admin.create(SERVICES, service)
    services = {"activeService": f"{name}-active", "previewService": f"{name}-preview"}
    delays = {"scaleDownDelaySeconds": 600, "abortScaleDownDelaySeconds": 600}
    made = driven(captures, name)
    made.create(rollout(name, None, replicas=2, strategy={"blueGreen": {**services, **delays, **strategy}}))
    return made


def back_to(made, tag):
    """Undo, as the plugin does it."""
    sets = made.captures.admin.get(f"{SETS}?labelSelector=app%3D{made.name}")["items"]
    for kept in sets:
        template = kept["spec"]["template"]
        if template["spec"]["containers"][0]["image"].endswith(f":{tag}"):
            template["metadata"]["labels"].pop("rollouts-pod-template-hash")
            template["metadata"].pop("creationTimestamp", None)
            return made.api.json_patch(made.path, [{"op": "replace", "path": "/spec/template", "value": template}])
    raise AssertionError(f"no ReplicaSet of {made.name} runs {tag}")


def retry_anew(made):
    before, after = ("/status/blueGreen/prePromotionAnalysisRunStatus", "/status/blueGreen/postPromotionAnalysisRunStatus")
    operations = [
        {"op": "add", "path": "/status/abort", "value": False},
        {"op": "add", "path": before, "value": None},
        {"op": "add", "path": after, "value": None},
    ]
    return made.api.request("PATCH", f"{made.path}/status", operations, JSON_PATCH)


def end_countdown(made):
    operations = [{"op": "replace", "path": "/status/pauseConditions/0/startTime", "value": "1970-01-01T00:00:00Z"}]
    return made.api.request("PATCH", f"{made.path}/status", operations, JSON_PATCH)


def fail_a_pod(captures, name, tag):
    for pod in captures.admin.get(f"{PODS}?labelSelector=app%3D{name}")["items"]:
        if pod["spec"]["containers"][0]["image"].endswith(f":{tag}"):
            conditions = pod["status"]["conditions"]
            for condition in conditions:
                if condition["type"] in ("Ready", "ContainersReady"):
                    condition["status"] = "False"
            path = f"{PODS}/{pod['metadata']['name']}/status"
            captures.admin.merge_patch(path, {"status": {"conditions": conditions}})
            return


def observed(seen):
    return seen.get("status", {}).get("observedGeneration") == str(seen["metadata"]["generation"])


def phase(seen):
    return observed(seen) and seen.get("status", {}).get("phase")


def waits(seen):
    return phase(seen) == "Paused" and seen["status"].get("pauseConditions") and not seen["spec"].get("paused")


def settled(seen):
    return phase(seen) == "Healthy" and seen["status"]["currentPodHash"] == seen["status"]["stableRS"]


def degraded(seen):
    return phase(seen) == "Degraded"


def soaking(seen):
    run = seen.get("status", {}).get("blueGreen", {}).get("postPromotionAnalysisRunStatus", {})
    return run.get("status") == "Running"


def on(tag):
    """Whether users are on an image for good."""

    def check(seen):
        return settled(seen) and seen["spec"]["template"]["spec"]["containers"][0]["image"].endswith(f":{tag}")

    return check
