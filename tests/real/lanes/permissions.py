"""Who may do what: which verbs gonogo offers, what it answers who may not, and what then reaches the server.

Four personas on the same objects: an administrator, a manager who may change
one namespace, a viewer who may only read, and a stranger who may do nothing.
What really went over the wire is read from the API server's audit log.
"""

import concurrent.futures
import copy
import json
import time

from support.bench import eventually, expect, same
from support.cockpit import Aside, Cockpit, cluster_config
from support.kube import Api
from support.objects import deployment, rollout
from support.say import Failed

MINE, OTHER, CHANGING = "permitted", "foreign", "changing"
STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
ROLLOUT_VERBS = {"hold", "abort", "roll back", "continue", "skip", "promote"}
DEPLOYMENT_VERBS = {"roll back"}
# What is typed for each verb that a Rollout at its pause has.
COMMANDS = {
    "hold": ["hold"],
    "abort": ["abort"],
    "roll back": ["rollback"],
    "continue": ["continue"],
    "skip": ["skip"],
    "promote": ["promote", "--full"],
}
BRAKES = {"hold", "abort", "roll back"}
ROLE = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gonogo-release-manager"}
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings"
# What the issue promises, and some for a busy machine.
NOTICED = 65


def lane(bench):
    gonogo = bench.gonogo()
    plane = bench.plane()
    with bench.check("three namespaces with a Rollout at its pause and a Deployment of two revisions", must=True):
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda namespace: furnish(plane, namespace), (MINE, OTHER, CHANGING)))
        for namespace in (MINE, CHANGING):
            bind(plane, namespace)
    change = Aside(lambda: changed(bench, gonogo, plane))
    who = {persona: cockpit(bench, gonogo, plane, persona) for persona in plane.api}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        told = dict(zip(who, pool.map(keys, who.values()), strict=True))
    offered(bench, told)
    forced(bench, plane, who)
    allowed(bench, plane, who["team-manager"])
    with bench.check("a permission that is taken, given and taken again is noticed within a minute on an open screen"):
        bench.say(f"       {change.result(240)}")


def cockpit(bench, gonogo, plane, persona, environments=(MINE, OTHER)):
    """gonogo as one of the personas."""
    places = [("web", "rollout", name, name, "web") for name in environments]
    places += [("api", "deployment", name, name, "api") for name in environments]
    name = f"{persona}-{environments[0]}"
    return Cockpit(gonogo, bench.folder, name, cluster_config(plane.kubeconfig(persona), places))


# ---------------------------------------------------------------- the objects


def path(namespace, plural="rollouts", name="web"):
    group = "argoproj.io/v1alpha1" if plural == "rollouts" else "apps/v1"
    return f"/apis/{group}/namespaces/{namespace}/{plural}/{name}"


def furnish(plane, namespace):
    """A namespace with a Rollout that stands at its first pause and a Deployment that can be undone."""
    api = Api.kept_like(plane.admin)
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    for plural, made in (("rollouts", rollout("web", STEPS)), ("deployments", deployment("api"))):
        made = copy.deepcopy(made)
        made["metadata"]["namespace"] = namespace
        api.create(path(namespace, plural, "").rstrip("/"), made)
    at = path(namespace)
    api.until(at, "healthy", 60, lambda seen: seen.get("status", {}).get("phase") == "Healthy")
    at_api = path(namespace, "deployments", "api")
    api.until(at_api, "available", 60, lambda seen: seen.get("status", {}).get("availableReplicas") == 4)
    for where, name in ((at, "web"), (at_api, "api")):
        value = f"registry.test/{name}:v2"
        operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": value}
        api.settled(where)
        same(api.json_patch(where, [operation]).status, 200, "status of the new image")
    nudge(api, at, lambda seen: seen["status"].get("pauseConditions"))
    api.until(at_api, "the second revision", 60, lambda seen: seen["status"].get("updatedReplicas") == 4)
    api.settled(at)


def nudge(api, at, ready):
    """Waits for an effect of a change that nothing else announces, and shows it again where it was overlooked."""
    try:
        api.until(at, "the effect of a change", 4, ready)
    except Failed:
        api.merge_patch(at, {"metadata": {"annotations": {"nudge": str(time.time())}}})
        api.until(at, "the effect of a change, nudged", 30, ready)


def bind(plane, namespace):
    """Lets the team's manager change what is in a namespace."""
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "team-manager"}
    body = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "team", "namespace": namespace},
        "roleRef": ROLE,
        "subjects": [subject],
    }
    plane.admin.create(BINDINGS.format(namespace), body)


def unbind(plane, namespace):
    answer = plane.admin.request("DELETE", BINDINGS.format(namespace) + "/team")
    same(answer.status, 200, "status of taking the permission away")


# ------------------------------------------------------------- what is offered


def keys(cockpit):
    """`{(service, environment): {verb: why not, or None}}` as `doctor` tells it."""
    _, out, err = cockpit.run("doctor", "--json")
    try:
        rows = json.loads(out)["keys"]
    except ValueError as why:
        raise Failed(f"doctor: {out[-600:]} {err[-600:]}") from why
    told = {}
    for row in rows:
        told.setdefault((row["service"], row["environment"]), {})[row["verb"]] = row["why"]
    return told


def offered(bench, told):
    everything = {("web", MINE), ("web", OTHER), ("api", MINE), ("api", OTHER)}
    may = {
        "admin": everything,
        "release-manager": everything,
        "team-manager": {("web", MINE), ("api", MINE)},
        "viewer": set(),
    }
    for persona, where in may.items():
        with bench.check(f"{persona}: is offered what the server would take, and told of the rest why not"):
            for lane, verbs in told[persona].items():
                wanted = ROLLOUT_VERBS if lane[0] == "web" else DEPLOYMENT_VERBS
                if lane in where:
                    same({verb for verb, why in verbs.items() if why is None}, wanted, f"offered for {lane}")
                    continue
                same({verb for verb, why in verbs.items() if why is None}, set(), f"offered for {lane}")
                for verb in wanted:
                    reason(verbs[verb], lane, verb)
    with bench.check("stranger: is offered nothing, because nothing can be seen"):
        for lane, verbs in told["stranger"].items():
            same({verb for verb, why in verbs.items() if why is None}, set(), f"offered for {lane}")


def reason(said, lane, verb):
    """A refusal names the permission that is missing, and where."""
    plural = "rollouts" if lane[0] == "web" else "deployments"
    status = verb in ("abort", "continue", "skip", "promote", "roll back") and plural == "rollouts"
    wanted = f"may not patch {plural}{'/status' if status else ''} in `{lane[1]}`"
    expect(wanted in (said or ""), f"why not {verb} for {lane}: wanted `{wanted}`, saw `{said}`")


# --------------------------------------------------------------- what is forced


def forced(bench, plane, who):
    for persona, environment in (("team-manager", OTHER), ("viewer", MINE), ("stranger", MINE)):
        with bench.check(f"{persona}: what is forced on `{environment}` is refused and written down, by gonogo or by the server"):
            one = who[persona]
            for word in ("--dry-run", "--yes"):
                with concurrent.futures.ThreadPoolExecutor(3) as pool:
                    ran = list(pool.map(lambda words: one.run(*words, "web", "--env", environment, word, "--json"), COMMANDS.values()))
                tried = []
                for verb, (code, out, err) in zip(COMMANDS, ran, strict=True):
                    if persona == "stranger":
                        unseen(code, out, err)
                    elif verb in BRAKES and word == "--yes" and code == 5:
                        # A brake waits for nobody: it may be on its way before the permission is known.
                        expect("403" in out or "not permitted" in out, f"why: {out[-600:]} {err[-600:]}")
                        tried.append(verb)
                    else:
                        same(code, 4, f"code of a forced {verb} {word} ({out[-600:]} {err[-600:]})")
                        answer = json.loads(out)
                        reason(answer.get("refusal") or answer.get("note"), ("web", environment), verb)
            written(one, environment, tried, persona)
            codes = [event["responseStatus"]["code"] for event in plane.sent(persona) if event["objectRef"]["namespace"] in (MINE, OTHER)]
            same(codes, [403] * len(tried), f"changes that {persona} sent")
            for namespace in (MINE, OTHER):
                seen = plane.admin.get(path(namespace))
                expect(not seen["status"].get("abort") and not seen["spec"].get("paused"), f"{namespace}: {seen['status']}")


def unseen(code, out, err):
    """Who may not even look is told so, and not that there is nothing."""
    same(code, 5, f"code ({out[-600:]} {err[-600:]})")
    expect("not permitted" in out + err, f"why: {out[-600:]} {err[-600:]}")


def written(cockpit, environment, tried, persona):
    """Each forced verb is in the ledger once, with how it ended; what was only asked for is not."""
    lines = [line for line in cockpit.lines() if line["environment"] == environment]
    refused = [("refused", verb, None) for verb in COMMANDS if verb not in tried and persona != "stranger"]
    failed = [row for verb in tried for row in (("intent", verb, None), ("outcome", verb, "failed"))]
    seen = [(line["type"], line["verb"], line.get("outcome")) for line in lines]
    same(sorted(seen, key=str), sorted(refused + failed, key=str), "lines of the ledger")
    for line in lines:
        if line["type"] == "refused":
            reason(line["note"], ("web", environment), line["verb"])
    if lines:
        cockpit.must(0, "audit", "verify")


def allowed(bench, plane, team):
    with bench.check("team-manager: in its own namespace a hold and a continue go through, one request each"):
        before = len(plane.sent("team-manager"))
        team.must(0, "hold", "web", "--env", MINE, "--yes", "--json")
        team.must(0, "continue", "web", "--env", MINE, "--yes", "--json")
        sent = plane.sent("team-manager")[before:]
        places = {event["objectRef"]["namespace"] for event in sent}
        acts = [event for event in sent if "gonogo.dev/nudge" not in json.dumps(event["requestObject"])]
        same((places, len(acts), {event["responseStatus"]["code"] for event in sent}), ({MINE}, 2, {200}), "changes")


# ------------------------------------------------- what changes under an open screen


def changed(bench, gonogo, plane):
    """Opens the cockpit, takes the permission, gives it, takes it and acts at once."""
    one = cockpit(bench, gonogo, plane, "team-manager", (CHANGING,))
    terminal = one.open()
    on, off = "B abort", "(B abort)"
    took = {}

    def sees(what, seconds, ready):
        began = time.monotonic()
        terminal.until(what, seconds, ready)
        took[what] = time.monotonic() - began

    try:
        sees("the row", 60, lambda text: "canary" in text and "web" in text)
        terminal.press("/web\r")
        sees("the keys", 20, lambda text: on in text and off not in text)
        unbind(plane, CHANGING)
        sees("taken", NOTICED, lambda text: off in text and "may not patch rollouts" in text)
        bind(plane, CHANGING)
        sees("given", NOTICED, lambda text: on in text and off not in text)
        # The server's own idea of it follows the change by an instant.
        unbind(plane, CHANGING)
        dry = f"{path(CHANGING)}?dryRun=All"
        team = plane.api["team-manager"]
        eventually("the server refuses", 10, lambda: team.merge_patch(dry, {"spec": {"paused": True}}).status == 403)
        terminal.press("H")
        sees("the server's refusal", 20, lambda text: "failed" in text or "refused" in text)
        sees("taken, once it was refused", 20, lambda text: off in text)
    finally:
        terminal.stop()
    real = [event for event in plane.sent("team-manager") if "dryRun" not in event["requestURI"]]
    mine = [event["responseStatus"]["code"] for event in real if event["objectRef"]["namespace"] == CHANGING]
    same(mine, [403], "what reached the server of all that")
    kinds = [(line["type"], line.get("outcome")) for line in one.lines()]
    same(kinds, [("intent", None), ("outcome", "failed")], "the ledger of that")
    one.must(0, "audit", "verify")
    return ", ".join(f"{what} after {seconds:.1f} s" for what, seconds in took.items())
