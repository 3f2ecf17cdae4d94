"""What goes wrong with a cluster, and with gonogo itself, on real servers.

While it lasts the screen says so, with an age; after it gonogo is back by
itself within a minute, and no line of the ledger is lost and nothing is sent
twice. A server that is stopped under gonogo belongs to this lane alone.
"""

import copy
import json
import os
import pathlib
import signal
import time
import urllib.request

from support.bench import eventually, expect, same
from support.cockpit import Aside, Cockpit, cluster_config
from support.kube import MERGE_PATCH, Watch
from support.objects import rollout
from support.processes import answers
from support.screen import Screen
from support.wire import Wire

from lanes import certificates, dying, gone

NAMESPACE = "faults"
ROLLOUTS = f"/apis/argoproj.io/v1alpha1/namespaces/{NAMESPACE}/rollouts"
CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
FLOW = "/apis/flowcontrol.apiserver.k8s.io/v1"
STEPS = [{"setWeight": 25}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]
# What the issue promises.
BACK = 60
# Seconds in which the controller is found to work again after its server was away: its own affair, not gonogo's.
CONTROLLER = 240
# The server stands still for so long; half a minute of it gonogo cannot know.
STILL = int(os.environ.get("FAULTS_STILL", "75"))


def lane(bench):
    gonogo = bench.gonogo()
    with bench.check("a second plane for faults starts", must=True):
        site = Site(bench, gonogo)
    still = Aside(lambda: stands_still(site))
    dying.checks(bench, gonogo)
    gone.checks(bench, gonogo)
    with bench.check(f"the API server stands still for {STILL} s: said so with an age, back by itself"):
        bench.say(f"       {still.result(STILL + 2 * BACK)}")
    terminal = site.cockpit.open()
    try:
        screen = Screen(terminal)
        with bench.check("the cockpit is live", must=True):
            screen.live(BACK)
        stopped(bench, site, screen)
        forgotten(bench, site, screen)
        throttled(bench, site, screen)
        unknown_kind(bench, site, screen)
    finally:
        terminal.stop()
    revoked(bench, site, gonogo)
    certificates.checks(bench, site, gonogo, BACK)
    with bench.check("the ledger is whole, and of what could not be done nothing was sent later"):
        site.cockpit.must(0, "audit", "verify")
        kinds = {line["verb"] for line in site.cockpit.lines()}
        same(kinds, {"hold"}, "verbs in the ledger")
        holds = [event for event in site.sent() if isinstance(event.get("requestObject"), list)]
        expect(len(holds) <= 1, f"sent: {holds}")


class Site:
    """A plane of its own, a Rollout at its pause, and a wire to cut."""

    def __init__(self, bench, gonogo):
        self.plane = bench.own_plane("faults")
        self.api = self.plane.admin
        self.wire = Wire(self.api.port)
        bench.later(self.wire.close)
        self.api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        self.create()
        self.folder = bench.folder
        self.kubeconfig = bench.folder / "faults-wire.yaml"
        known = json.loads(pathlib.Path(self.plane.kubeconfig("release-manager")).read_text(encoding="utf-8"))
        known["clusters"][0]["cluster"]["server"] = self.wire.address
        self.known = known
        self.kubeconfig.write_text(json.dumps(known), encoding="utf-8")
        places = [("web", "rollout", "prod", NAMESPACE, "web")]
        self.text = cluster_config(self.kubeconfig, places)
        self.cockpit = Cockpit(gonogo, bench.folder, "faults", self.text)

    def create(self):
        made = copy.deepcopy(rollout("web", STEPS))
        made["metadata"]["namespace"] = NAMESPACE
        self.api.create(ROLLOUTS, made)
        self.api.until(f"{ROLLOUTS}/web", "healthy", 90, lambda seen: seen.get("status", {}).get("phase") == "Healthy")

    def image(self, tag):
        """Somebody sets an image; returns at once."""
        value = f"registry.test/web:{tag}"
        operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": value}
        same(self.api.json_patch(f"{ROLLOUTS}/web", [operation]).status, 200, "status of a new image")

    def sent(self):
        """What gonogo changed here."""
        return [event for event in self.plane.sent("release-manager") if event["objectRef"].get("namespace") == NAMESPACE]

    def stop_server(self):
        self.plane.server("kube-apiserver").stop()

    def start_server(self):
        self.plane.again("kube-apiserver")
        eventually("the API server is ready", 90, lambda: answers(f"{self.api.server}/readyz", self.api.context))


# ------------------------------------------------------------------ the server


def stands_still(site):
    """SIGSTOP: connections stay open and nothing comes, and a hold is under way. Returns what was seen, for the report."""
    terminal = site.cockpit.open()
    server = site.plane.server("kube-apiserver")
    try:
        screen = Screen(terminal)
        screen.live(BACK)
        site.image("v2")
        screen.shows(r"web .*v2 .*canary 2/4", BACK)
        # A mark that has just moved by itself takes no acting key for a moment.
        screen.shows(r"H hold", BACK)
        pause = time.monotonic() + 2
        terminal.until("awake keys", 10, lambda _: pause < time.monotonic())
        os.kill(server.pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            terminal.press("H")
            terminal.until("the intent in the ledger", 10, lambda _: site.cockpit.lines())
            head, after = screen.says("(no answer in time|not reached|late|silent)", STILL)
            stop = began + STILL
            terminal.until("the end of it", STILL + 5, lambda _: stop < time.monotonic())
            later = screen.head(terminal.screen.text()).strip()
            expect("prod ✓" not in later, f"it is called live: {later}")
        finally:
            os.kill(server.pid, signal.SIGCONT)
        back = screen.live(BACK)
        end = settled(site, terminal)
        same(site.api.merge_patch(f"{ROLLOUTS}/web", {"spec": {"paused": False}}).status, 200, "status of ending the hold")
        site.image("v3")
        shown = screen.shows(r"web .*v3", BACK)
        return (
            f"`{head}` after {after:.0f} s; at the end `{later}`; back {back:.0f} s after it went on; "
            f"the hold: {end}; a new image shown after {shown:.1f} s"
        )
    finally:
        terminal.stop()


def settled(site, terminal):
    """How the hold ended whose answer was lost: as the server has it, and sent once at most."""

    def ends():
        return [line["outcome"] for line in site.cockpit.lines() if line["type"] == "outcome"]

    held = site.api.get(f"{ROLLOUTS}/web")["spec"].get("paused", False)
    possible = ["confirmed"] if held else ["unknown", "failed"]
    terminal.until(f"an end that is true: {possible}", BACK, lambda _: ends() and ends()[-1] in possible)
    holds = [event for event in site.sent() if isinstance(event.get("requestObject"), list)]
    expect(len(holds) <= 1, f"sent again: {holds}")
    return f"{' then '.join(ends())}, {len(holds)} sent"


def stopped(bench, site, screen):
    with bench.check("the API server is stopped: said so with an age; a command says what to do by hand and sends nothing"):
        site.stop_server()
        head, after = screen.says("not reached", 30)
        code, out, err = site.cockpit.run("hold", "web", "--yes", "--timeout", "3s")
        same(code, 5, f"code of a hold without a server ({out[-600:]} {err[-600:]})")
        expect("prod" in out + err, f"nobody is named: {out[-600:]} {err[-600:]}")
        bench.say(f"       `{head}` after {after:.1f} s; hold: {(out + err).strip()[:200]}")
    with bench.check("started again: back by itself, and what changed meanwhile is shown"):
        site.start_server()
        back = screen.live(BACK)
        site.image("v4")
        shown = screen.shows(r"web .*v4", CONTROLLER)
        bench.say(f"       back after {back:.1f} s, a new image shown after {shown:.1f} s")


def forgotten(bench, site, screen):
    with bench.check("what gonogo followed is compacted away (410): it reads anew, and misses nothing"):
        asked = len(site.plane.asked("release-manager"))
        old = site.api.get(ROLLOUTS)["metadata"]["resourceVersion"]
        # Held rather than refused, so that the next thing gonogo does is to follow on from where it was.
        site.wire.hold()
        site.wire.cut()
        site.image("v5")
        site.stop_server()
        compact(site.plane.env["etcd"])
        site.start_server()
        eventually("a bare watch from there is told 410", 30, lambda: told(site, old) == [410])
        site.wire.release()
        shown = screen.shows(r"web .*v5", CONTROLLER)
        back = screen.live(BACK)
        verbs = [event["verb"] for event in site.plane.asked("release-manager")[asked:] if rollouts(event)]
        expect("list" in verbs, f"it never read anew: {verbs}")
        bench.say(f"       shown after {shown:.1f} s, live after {back:.1f} s; it asked: {' '.join(verbs)}")


def told(site, version):
    """The codes a watch from a version on is answered with. A server that has just begun says 429 at first."""
    watch = Watch(site.api, f"{ROLLOUTS}?watch=1&resourceVersion={version}&timeoutSeconds=1")
    watch.start()
    watch.ended.wait(10)
    # Told as the answer itself, or as the only event of one that began well.
    return [event.get("object", event).get("code") for _, event in watch.events] or [watch.status]


def rollouts(event):
    return event["objectRef"]["resource"] == "rollouts" and event["verb"] in ("list", "watch")


def compact(etcd):
    """Forgets everything in etcd but the present."""

    def ask(path, body):
        request = urllib.request.Request(f"{etcd}/v3/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer)

    revision = ask("maintenance/status", {})["header"]["revision"]
    ask("kv/compaction", {"revision": revision, "physical": True})


def throttled(bench, site, screen):
    name = "gonogo-none"
    level = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "PriorityLevelConfiguration",
        "metadata": {"name": name},
        "spec": {
            "type": "Limited",
            "limited": {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0, "limitResponse": {"type": "Reject"}},
        },
    }
    everything = {
        "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": True, "namespaces": ["*"]}],
        "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    }
    schema = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": name},
        "spec": {
            "matchingPrecedence": 2,
            "priorityLevelConfiguration": {"name": name},
            "rules": [{"subjects": [{"kind": "User", "user": {"name": "release-manager"}}], **everything}],
        },
    }
    manager = site.plane.api["release-manager"]
    held = []
    with bench.check("429 from priority and fairness: said so with an age, and a brake is answered for"):
        site.api.create(f"{FLOW}/prioritylevelconfigurations", level)
        site.api.create(f"{FLOW}/flowschemas", schema)
        eventually("the server answers 429", 30, lambda: occupied(manager, held))
        site.wire.cut()
        head, after = screen.says("rate limit reached", 30)
        code, out, err = site.cockpit.run("hold", "web", "--yes", "--timeout", "3s")
        same(code, 5, f"code of a hold ({out[-600:]} {err[-600:]})")
        bench.say(f"       `{head}` after {after:.1f} s; hold: {(out + err).strip()[:200]}")
    with bench.check("it is let through again: back by itself"):
        for connection in held:
            connection.close()
        for plural in ("flowschemas", "prioritylevelconfigurations"):
            same(site.api.request("DELETE", f"{FLOW}/{plural}/{name}").status, 200, "status of lifting it")
        eventually("the server answers", 30, lambda: manager.request("GET", ROLLOUTS).status == 200)
        bench.say(f"       back after {screen.live(BACK):.1f} s")


def occupied(manager, held):
    """Whether the only seat there is for this user is taken; takes it with a request that never sends its body.

    A level without any share still lets one request through at a time.
    """
    connection = manager.connection()
    held.append(connection)
    connection.putrequest("PATCH", f"{ROLLOUTS}/web?dryRun=All")
    for name, value in manager.headers({"Content-Type": MERGE_PATCH, "Content-Length": "100"}).items():
        connection.putheader(name, value)
    connection.endheaders()
    time.sleep(0.5)
    return manager.request("GET", ROLLOUTS).status == 429


def unknown_kind(bench, site, screen):
    crd = f"{CRD}/rollouts.argoproj.io"
    with bench.check("the resource definition is deleted: nothing is known of the release any more, and nothing acts"):
        definition = site.api.get(crd)
        site.api.request("DELETE", crd)
        eventually("Rollouts are no longer served", 60, lambda: site.api.request("GET", ROLLOUTS).status == 404)
        gone = screen.shows(r"web .*unknown", BACK)
        code, out, err = site.cockpit.run("hold", "web", "--yes", "--timeout", "5s")
        expect(code in (4, 5), f"code of a hold: {code} ({out[-600:]} {err[-600:]})")
        bench.say(f"       gone after {gone:.1f} s; hold: {(out + err).strip()[:200]}")
    with bench.check("installed again with a Rollout of the same name: it is shown by itself"):
        fresh = {key: definition[key] for key in ("apiVersion", "kind", "spec")}
        fresh["metadata"] = {"name": "rollouts.argoproj.io", "annotations": definition["metadata"].get("annotations", {})}
        site.api.create(CRD, fresh)
        eventually("Rollouts are served", 60, lambda: site.api.request("GET", ROLLOUTS).status == 200)
        made = copy.deepcopy(rollout("web", STEPS, image="registry.test/web:v9"))
        made["metadata"]["namespace"] = NAMESPACE
        site.api.create(ROLLOUTS, made)
        shown = screen.shows(r"the controller has not looked yet|web .*v9", BACK)
        # The Rollouts controller takes its own time to find the definition again.
        later = screen.shows(r"web .*v9 ", CONTROLLER)
        bench.say(f"       shown after {shown:.1f} s, taken up by the controller {later:.1f} s later")


# ------------------------------------------------------------- the credentials


def revoked(bench, site, gonogo):
    """A service account's token, and the account deleted."""
    accounts = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
    kubeconfig = site.folder / "faults-account.yaml"

    def account():
        site.api.create(accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}})
        token = site.api.create(f"{accounts}/robot/token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
        known = copy.deepcopy(site.known)
        known["users"][0]["user"] = {"token": token["status"]["token"]}
        kubeconfig.write_text(json.dumps(known), encoding="utf-8")

    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "gonogo-viewer"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": NAMESPACE}],
    }
    site.api.create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding)
    account()
    text = site.text.replace(str(site.kubeconfig), str(kubeconfig))
    terminal = Cockpit(gonogo, site.folder, "faults-account", text).open()
    try:
        screen = Screen(terminal)
        with bench.check("a token is revoked: said so with an age"):
            screen.live(BACK)
            same(site.api.request("DELETE", f"{accounts}/robot").status, 200, "status of deleting the account")
            # The server itself believes a token for ten more seconds.
            head, after = screen.says("credentials refused", 90)
            bench.say(f"       `{head}` after {after:.1f} s")
        with bench.check("a new token in the file: back by itself"):
            account()
            bench.say(f"       back after {screen.live(BACK):.1f} s")
    finally:
        terminal.stop()
