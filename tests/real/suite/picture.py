"""What a namespace holds, written so that two worlds can be compared.

Names that a world makes up are replaced: the hash of a revision by the tag of
its image in braces (`{v2}`), the hash of the steps by `{steps}`, times by
`{time}`, the uid of what is steered by `{uid}`, addresses by `{address}`. Left
out is what a server keeps for itself.
"""

import fnmatch
import re

KINDS = [
    ("rollout", "/apis/argoproj.io/v1alpha1", "rollouts"),
    ("deployment", "/apis/apps/v1", "deployments"),
    ("replicaset", "/apis/apps/v1", "replicasets"),
    ("analysisrun", "/apis/argoproj.io/v1alpha1", "analysisruns"),
    ("experiment", "/apis/argoproj.io/v1alpha1", "experiments"),
    ("service", "/api/v1", "services"),
]
PATHS = {kind: (group, plural) for kind, group, plural in KINDS}
# Kinds that are made and not compared.
MORE_PATHS = {
    "analysistemplate": ("/apis/argoproj.io/v1alpha1", "analysistemplates"),
    "virtualservice": ("/apis/networking.istio.io/v1alpha3", "virtualservices"),
    "ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
}
HASHES = ("rollouts-pod-template-hash", "pod-template-hash")
TIME = re.compile(r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
KEPT_METADATA = ("name", "labels", "annotations", "finalizers", "deletionTimestamp")
ABSENT = "absent"


class Look:
    """The objects of a namespace at one moment, as they are; `known` are names to replace."""

    def __init__(self, api, namespace, known):
        self.objects = {}
        self.known = known
        for kind, group, plural in KINDS:
            for item in api.get(f"{group}/namespaces/{namespace}/{plural}")["items"]:
                self.objects[(kind, item["metadata"]["name"])] = item
        self.versions = {key: item["metadata"]["resourceVersion"] for key, item in self.objects.items()}

    def words(self, kind):
        """Replacements for the names this world made up: {made up: told as}."""
        words = dict(self.known)
        sets = [item for (of, _), item in self.objects.items() if of == "replicaset"]
        sets.sort(key=lambda item: item["metadata"]["creationTimestamp"] + item["metadata"]["name"])
        for item in sets:
            labels = item["metadata"].get("labels", {})
            made = next((labels[name] for name in HASHES if name in labels), None)
            if made is None:
                continue
            owner = item["metadata"].get("ownerReferences", [{}])[0].get("kind", "")
            image = item["spec"]["template"]["spec"]["containers"][0]["image"]
            name = image.rsplit(":", 1)[-1] + ("-experiment" if owner == "Experiment" else "")
            while f"{{{name}}}" in words.values():
                name += "'"
            words[made] = f"{{{name}}}"
        for (of, name), item in self.objects.items():
            if of == kind and name == "web":
                words[item["metadata"]["uid"]] = "{uid}"
        return words


def picture(look, kind):
    """Every object of a look by its told name, normalised."""
    words = look.words(kind)
    told = {}
    for (of, _), item in look.objects.items():
        whole = retold(_kept(item), words)
        told[f"{of} {whole['metadata']['name']}"] = whole
    return told


def _kept(item):
    meta = {key: value for key, value in item["metadata"].items() if key in KEPT_METADATA}
    notes = meta.get("annotations", {})
    meta["annotations"] = {key: value for key, value in notes.items() if "nudge" not in key}
    owners = item["metadata"].get("ownerReferences", [])
    meta["owners"] = [f"{owner['kind']} {owner['name']}" for owner in owners]
    kept = {"metadata": meta, **{key: value for key, value in item.items() if key not in ("metadata", "kind", "apiVersion")}}
    spec = kept.get("spec", {})
    if "clusterIP" in spec:
        kept["spec"] = {**spec, "clusterIP": "{address}", "clusterIPs": ["{address}"]}
    status = dict(kept.get("status") or {})
    if "currentStepHash" in status:
        status["currentStepHash"] = "{steps}"
    if "observedGeneration" in status:
        seen, now = int(status.pop("observedGeneration")), item["metadata"].get("generation")
        status["observed"] = seen == now
    if "conditions" in status:
        status["conditions"] = {one["type"]: one for one in status["conditions"]}
    kept["status"] = status
    return kept


def retold(value, words):
    """A value with made-up names and times replaced, keys included."""
    if isinstance(value, dict):
        return {retold(key, words): retold(one, words) for key, one in value.items()}
    if isinstance(value, list):
        return [retold(one, words) for one in value]
    if isinstance(value, str):
        for made, name in words.items():
            value = value.replace(made, name)
        return TIME.sub("{time}", value)
    return value


def at(told, name, pointer):
    """What stands at a pointer of a told object; `absent` where nothing does."""
    value = told.get(name, ABSENT)
    for part in pointer.strip("/").split("/") if pointer != "/" else []:
        part = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return ABSENT
    return value


def differences(demo, real):
    """Where two told values part: [(object, pointer, in the demo, on the real one)]."""
    found = []
    for name in sorted(set(demo) | set(real)):
        _compare(name, "", demo.get(name, ABSENT), real.get(name, ABSENT), found)
    return found


def _compare(name, pointer, demo, real, found):
    if isinstance(demo, dict) and isinstance(real, dict):
        for key in sorted(set(demo) | set(real)):
            part = key.replace("~", "~0").replace("/", "~1")
            _compare(name, f"{pointer}/{part}", demo.get(key, ABSENT), real.get(key, ABSENT), found)
    elif isinstance(demo, list) and isinstance(real, list) and len(demo) == len(real):
        for index, (one, other) in enumerate(zip(demo, real)):
            _compare(name, f"{pointer}/{index}", one, other, found)
    elif demo != real:
        found.append((name, pointer or "/", demo, real))


def excused(difference, allowed):
    """The entry of a list of differences that may stay which covers this one, or None."""
    name, pointer, _, _ = difference
    for entry in allowed:
        if fnmatch.fnmatchcase(name, entry["object"]) and fnmatch.fnmatchcase(pointer, entry["pointer"]):
            return entry
    return None
