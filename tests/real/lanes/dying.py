"""gonogo killed at each stage of an action, and two of it at once, on the plane the lanes share.

One that promotes while another rolls back is case `race-promote-rollback` of the suite.
"""

import concurrent.futures
import contextlib
import copy
import json
import os
import subprocess
import time

from support.bench import eventually, expect, same
from support.cockpit import Cockpit, cluster_config
from support.kube import Api
from support.objects import rollout
from support.say import Failed

NAMESPACE = "dying"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/{}/rollouts"
STEPS = [{"setWeight": 50}, {"pause": {}}]
# Longer than an action of the dead is looked for.
PATIENCE = 120
# Where it dies, how often it has been there, what had been sent, and how it ends once somebody has looked.
STAGES = [
    ("before-write:1", 0, None),
    ("after-write:1", 0, "failed"),
    ("before-send:1", 0, "failed"),
    ("after-send:1", 1, "confirmed"),
    ("before-write:2", 1, "confirmed"),
    ("after-write:2", 1, "confirmed"),
]
VERBS = {"hold": ["hold", "web", "--yes"], "promote": ["promote", "web", "--full", "--yes"]}
TWICE = 3


def checks(bench, gonogo):
    plane = bench.plane()
    api = plane.admin
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    places = [(verb, number) for verb in VERBS for number in range(len(STAGES))]
    names = [f"{verb}-{number}" for verb, number in places] + [f"twice-{number}" for number in range(TWICE)]
    with bench.check(f"{len(names)} Rollouts stand at their pause", must=True):
        with concurrent.futures.ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda name: stand(plane, name), names))
    with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
        died = {place: pool.submit(die, bench, plane, gonogo, *place) for place in places}
    for (verb, number), one in died.items():
        stage, sent, end = STAGES[number]
        with bench.check(f"{verb} killed at {stage}: {'sent' if sent else 'nothing sent'}, then {end or 'nothing to settle'}"):
            same(one.result(), (sent, end), "requests sent, and the end once somebody has looked")
    for number in range(TWICE):
        with bench.check(f"two promote in the same second ({number + 1}): one is sent, the other is told who was first"):
            two(bench, plane, gonogo, f"twice-{number}")


def stand(plane, name, namespace=NAMESPACE):
    """A Rollout at its first pause."""
    api = Api.kept_like(plane.admin)
    made = copy.deepcopy(rollout(name, STEPS, replicas=2))
    made["metadata"]["namespace"] = namespace
    path = ROLLOUTS.format(namespace)
    api.create(path, made)
    at = f"{path}/{name}"
    api.until(at, "healthy", 90, lambda seen: seen.get("status", {}).get("phase") == "Healthy")
    api.settled(at)
    operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": "registry.test/web:v2"}
    same(api.json_patch(at, [operation]).status, 200, "status of the new image")
    for _ in range(5):
        with contextlib.suppress(Failed):
            api.until(at, "its pause", 4, lambda seen: seen["status"].get("pauseConditions"))
            break
        api.merge_patch(at, {"metadata": {"annotations": {"nudge": str(time.time())}}})
    api.settled(at)


def cockpit(bench, plane, gonogo, name):
    places = [("web", "rollout", "prod", NAMESPACE, name)]
    return Cockpit(gonogo, bench.folder, f"dying-{name}", cluster_config(plane.kubeconfig("release-manager"), places))


def sent(plane, name, namespace=NAMESPACE):
    """What gonogo sent to a Rollout, nudges apart, each with the code of its answer."""
    events = [event for event in plane.sent("release-manager") if event["objectRef"].get("namespace") == namespace]
    own = [(event["requestObject"], event["responseStatus"]["code"]) for event in events if event["objectRef"]["name"] == name]
    return [(body, code) for body, code in own if "gonogo.dev/nudge" not in json.dumps(body)]


def die(bench, plane, gonogo, verb, number):
    """Kills a command at a stage and lets a later process look; `(requests, outcome)`."""
    name = f"{verb}-{number}"
    one = cockpit(bench, plane, gonogo, name)
    one.env["GONOGO_KILL_AT"] = STAGES[number][0]
    code, out, err = one.run(*VERBS[verb])
    del one.env["GONOGO_KILL_AT"]
    same(code, -9, f"code: the program heeds no kill points unless it is a debug build ({out[-400:]} {err[-400:]})")
    before = sent(plane, name)
    if unsettled(one):
        command = [str(word) for word in [gonogo, "--config", one.config, "watch", "web"]]
        with subprocess.Popen(command, env={**os.environ, **one.env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as later:
            try:
                eventually("it is settled by looking", PATIENCE, lambda: not unsettled(one))
            finally:
                later.kill()
    same(sent(plane, name), before, "sent by the time it was settled")
    if one.lines():
        one.must(0, "audit", "verify")
    ends = [line["outcome"] for line in one.lines() if line["type"] == "outcome"]
    return len(before), ends[-1] if ends else None


def unsettled(cockpit):
    """Whether the ledger holds an intent without an outcome."""
    kinds = [line["type"] for line in cockpit.lines()]
    return kinds.count("outcome") < kinds.count("intent")


def two(bench, plane, gonogo, name):
    """Two processes with one ledger."""
    one = cockpit(bench, plane, gonogo, name)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        ran = list(pool.map(lambda _: one.run(*VERBS["promote"]), range(2)))
    said = sorted((code, out + err) for code, out, err in ran)
    same([code for code, _ in said], [0, 4], f"codes ({said})")
    expect("was first" in said[1][1] and "release-manager" in said[1][1], f"who was first: {said[1][1]}")
    same(len(sent(plane, name)), 1, "requests sent")
    kinds = [line["type"] for line in one.lines() if line["type"] != "nudge"]
    same(sorted(kinds), ["intent", "outcome", "refused"], "the ledger of it")
    one.must(0, "audit", "verify")
