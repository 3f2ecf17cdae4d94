"""What the tools look at: namespaces written straight into the API server, as the controllers would leave them.

The controllers stand still meanwhile. Whatever they would make of ten thousand
pods would be measured instead of the tools, and KWOK alone needs minutes for
half of them.
"""

import concurrent.futures
import copy
import datetime
import queue

from support.bench import same
from support.kube import Api
from support.objects import rollout
from support.say import step

STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
STANDING_STILL = ("rollouts-controller", "kwok", "kube-controller-manager")
# Connections that write at the same time.
HANDS = 6
NAME = "web"
HASH = "rollouts-pod-template-hash"


def rollouts(namespace):
    """Where the Rollouts of a namespace are."""
    return f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts"


def sets(namespace):
    """Where its ReplicaSets are."""
    return f"/apis/apps/v1/namespaces/{namespace}/replicasets"


def pods(namespace):
    """Where its pods are."""
    return f"/api/v1/namespaces/{namespace}/pods"


def namespace(api, name):
    """Makes a namespace."""
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


def now():
    """As the API writes it."""
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Writer:
    """Several connections to one API server, and what is to be sent over them."""

    def __init__(self, plane):
        self.hands = queue.SimpleQueue()
        for _ in range(HANDS):
            self.hands.put(Api.kept_like(plane.admin))
        self.pool = concurrent.futures.ThreadPoolExecutor(HANDS)

    def each(self, things, work):
        """`work(api, thing)` for all of them; what it returned, in order."""

        def one(thing):
            api = self.hands.get()
            try:
                return work(api, thing)
            finally:
                self.hands.put(api)

        return list(self.pool.map(one, things))

    def fill(self, name, count_of_rollouts, count_of_pods):
        """A namespace with Rollouts at their first pause, the first of them `web` with up to four pods, the rest of another owner."""
        step(f"writing {count_of_rollouts} Rollouts and {count_of_pods} pods into {name}")
        self.each([name], namespace)
        # The first of them by name, so that it is on every screen.
        names = [NAME, *[f"{NAME}-{number:04}" for number in range(1, count_of_rollouts)]]
        few = min(4, count_of_pods)
        owners = self.each(names, lambda api, one: standing(api, name, one, few if one == NAME else 4))
        old, new = owners[0]
        # The stable revision holds all but one.
        wanted = [(old, number) for number in range(few - 1)] + [(new, 0)] if few > 1 else [(old, 0)]
        if few < count_of_pods:
            rest = count_of_pods - few
            bulk = self.each(["bulk"], lambda api, one: replica_set(api, name, one, "0a0a0a", rest, None))[0]
            wanted += [(bulk, number) for number in range(rest)]
        self.each(wanted, lambda api, one: pod(api, name, *one))


def standing(api, namespace, name, replicas):
    """A Rollout that waits at its first pause with a quarter of its pods on a new revision; its two ReplicaSets."""
    made = copy.deepcopy(rollout(name, STEPS, replicas=replicas, image=f"registry.test/{name}:v2"))
    made["metadata"]["namespace"] = namespace
    made["metadata"]["annotations"] = {"rollout.argoproj.io/revision": "2"}
    made = api.create(rollouts(namespace), made)
    canary = 1 if replicas > 1 else 0
    old = replica_set(api, namespace, name, "aaaa11", replicas - canary, made, "v1", "1")
    new = replica_set(api, namespace, name, "bbbb22", canary, made, "v2", "2")
    status = {
        "phase": "Paused",
        "message": "CanaryPauseStep",
        "observedGeneration": str(made["metadata"]["generation"]),
        "currentPodHash": "bbbb22",
        "stableRS": "aaaa11",
        "currentStepIndex": 1,
        "controllerPause": True,
        "pauseConditions": [{"reason": "CanaryPauseStep", "startTime": now()}],
        "replicas": replicas,
        "updatedReplicas": canary,
        "readyReplicas": replicas,
        "availableReplicas": replicas,
        "HPAReplicas": replicas,
        "selector": f"app={name}",
        "conditions": [
            condition("Available", "AvailableReason", "Rollout has minimum availability"),
            condition("Paused", "RolloutPaused", "Rollout is paused"),
        ],
    }
    patch(api, f"{rollouts(namespace)}/{name}/status", status)
    return old, new


def condition(kind, reason, message):
    """One condition of a Rollout."""
    return {"type": kind, "status": "True", "reason": reason, "message": message, "lastUpdateTime": now(), "lastTransitionTime": now()}


def replica_set(api, namespace, app, hash_, replicas, owner, tag="v1", revision="1"):
    """A ReplicaSet that has all its pods."""
    labels = {"app": app, HASH: hash_}
    made = {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{app}-{hash_}",
            "namespace": namespace,
            "labels": labels,
            "annotations": {"rollout.argoproj.io/revision": revision, "rollout.argoproj.io/desired-replicas": str(replicas)},
        },
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"nodeName": "kwok-0", "containers": [{"name": "app", "image": f"registry.test/{app}:{tag}"}]},
            },
        },
    }
    if owner:
        made["metadata"]["ownerReferences"] = [owned("argoproj.io/v1alpha1", "Rollout", owner)]
    made = api.create(sets(namespace), made)
    ready = {key: replicas for key in ("replicas", "fullyLabeledReplicas", "readyReplicas", "availableReplicas")}
    patch(api, f"{sets(namespace)}/{app}-{hash_}/status", {**ready, "observedGeneration": 1})
    return made


def owned(version, kind, owner):
    """A reference to a controlling owner."""
    meta = owner["metadata"]
    return {"apiVersion": version, "kind": kind, "name": meta["name"], "uid": meta["uid"], "controller": True, "blockOwnerDeletion": True}


def pod(api, namespace, owner, number):
    """A pod that runs."""
    name = f"{owner['metadata']['name']}-{number:05}"
    container = owner["spec"]["template"]["spec"]["containers"][0]
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": owner["metadata"]["labels"],
            "ownerReferences": [owned("apps/v1", "ReplicaSet", owner)],
        },
        "spec": {"nodeName": "kwok-0", "containers": [{**container, "ports": [{"containerPort": 8080}]}]},
    }
    api.create(pods(namespace), made)
    true = {"status": "True", "lastTransitionTime": now()}
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    status = {
        "phase": "Running",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "hostIP": "127.0.0.1",
        "startTime": now(),
        "conditions": [{"type": kind, **true} for kind in ("Initialized", "PodScheduled", "Ready", "ContainersReady")],
        "containerStatuses": [
            {
                "name": container["name"],
                "image": container["image"],
                "imageID": f"{container['image']}@sha256:{number:064x}",
                "containerID": f"containerd://{number:064x}",
                "ready": True,
                "started": True,
                "restartCount": 0,
                "state": {"running": {"startedAt": now()}},
            }
        ],
    }
    patch(api, f"{pods(namespace)}/{name}/status", status)


def patch(api, path, status):
    """Writes a status."""
    answer = api.merge_patch(path, {"status": status})
    same(answer.status, 200, f"status of writing {path} ({answer.text[:300]})")


def tick(api, namespace, number):
    """One change that every tool shows: a count, a message, and the step every other time."""
    status = {"availableReplicas": number, "message": f"tick {number}", "currentStepIndex": 1 if number % 2 else 3}
    patch(api, f"{rollouts(namespace)}/{NAME}/status", status)
