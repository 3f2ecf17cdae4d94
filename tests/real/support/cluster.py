"""One API server as its own clients see it: `kubectl` and the Argo Rollouts plugin.

The same checks run against the real plane and against the demo's server. What
only the demo fails is the demo's fault; what both fail is the check's.
"""

import json
import os
import queue
import subprocess
import tempfile
import threading
import time

from .bench import expect, run, same
from .say import Failed


class Cluster:
    """A kubeconfig, the Rollout to look at, and the programs that do."""

    def __init__(self, kubeconfig, namespace, rollout, kubectl, plugin):
        self.namespace = namespace
        self.rollout = rollout
        self.kubectl_program = str(kubectl)
        self.plugin_program = str(plugin)
        # kubectl keeps what it discovers between runs; each cluster gets an own place for that.
        self.home = tempfile.TemporaryDirectory(prefix="gonogo-kubectl-")
        self.env = {"KUBECONFIG": str(kubeconfig), "HOME": self.home.name, "KUBECACHEDIR": self.home.name}

    def try_kubectl(self, *words):
        """Runs kubectl in the namespace; (code, output, errors)."""
        return run(self.kubectl_program, "--namespace", self.namespace, *words, env=self.env)

    def kubectl(self, *words):
        """The output of kubectl; a code other than 0 is a failure."""
        code, out, err = self.try_kubectl(*words)
        same(code, 0, f"code of `kubectl {' '.join(map(str, words))}` ({err.strip()[-600:]})")
        return out

    def json(self, *words):
        """The output of `kubectl … -o json` as data."""
        return json.loads(self.kubectl(*words, "-o", "json"))

    def plugin(self, *words):
        """The output of the plugin; a code other than 0 is a failure."""
        code, out, err = run(self.plugin_program, "--namespace", self.namespace, *words, env=self.env)
        same(code, 0, f"code of `kubectl argo rollouts {' '.join(words)}` ({err.strip()[-600:]})")
        return out

    def seen(self):
        """The Rollout now."""
        return self.json("get", "rollout", self.rollout)

    def quiet(self, seconds=1.1, limit=60):
        """Waits until the Rollout has not changed for a while: what lands before may be overlooked."""
        deadline = time.monotonic() + limit
        version, since = None, time.monotonic()
        while time.monotonic() < deadline:
            seen = self.seen()
            if seen["metadata"]["resourceVersion"] != version:
                version, since = seen["metadata"]["resourceVersion"], time.monotonic()
            elif seconds < time.monotonic() - since:
                return seen
            time.sleep(0.15)
        raise Failed(f"the Rollout kept changing for {limit} s")

    def until(self, what, ready, limit=60):
        """Polls until `ready(rollout)`; nudges once after 3 s, as gonogo does."""
        began = time.monotonic()
        nudged = False
        while time.monotonic() - began < limit:
            seen = self.seen()
            if ready(seen):
                return seen
            if not nudged and 3 < time.monotonic() - began:
                nudged = True
                self.kubectl("annotate", "rollout", self.rollout, f"nudge={time.time()}", "--overwrite")
            time.sleep(0.15)
        raise Failed(f"not seen within {limit} s: {what}\nlast: {json.dumps(seen.get('status'))}")


class Lines(threading.Thread):
    """The lines of a program that does not end by itself."""

    def __init__(self, command, env):
        super().__init__(daemon=True)
        self.child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **env}
        )
        self.lines = queue.Queue()
        self.start()

    def run(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))

    def until(self, what, ready, seconds=20):
        """Takes lines until one satisfies `ready`."""
        deadline = time.monotonic() + seconds
        taken = []
        while time.monotonic() < deadline:
            try:
                taken.append(self.lines.get(timeout=0.2))
            except queue.Empty:
                continue
            if ready(taken[-1]):
                return taken[-1]
        raise Failed(f"not seen within {seconds} s: {what}; saw {taken[-5:]}")

    def stop(self):
        self.child.terminate()
        self.child.wait(10)


def kubectl_checks(bench, cluster):
    """get, describe, watch, patch, auth can-i."""
    name = cluster.rollout
    with bench.check("kubectl version and api-resources know the server"):
        expect(json.loads(cluster.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"], "no version")
        names = cluster.kubectl("api-resources", "-o", "name").split()
        for wanted in ("rollouts.argoproj.io", "analysisruns.argoproj.io", "deployments.apps", "replicasets.apps", "pods", "events"):
            expect(wanted in names, f"{wanted} is not among {names}")
    with bench.check("kubectl get prints the Rollout's own columns"):
        head = cluster.kubectl("get", "rollouts").splitlines()[0].split()
        same(head, ["NAME", "DESIRED", "CURRENT", "UP-TO-DATE", "AVAILABLE", "AGE"], "columns")
        row = cluster.kubectl("get", "rollout", name).splitlines()[1].split()
        same(row[0], name, "row")
    with bench.check("kubectl get rs, pods and by label works"):
        head = cluster.kubectl("get", "replicasets").splitlines()[0].split()
        same(head, ["NAME", "DESIRED", "CURRENT", "READY", "AGE"], "columns")
        head = cluster.kubectl("get", "pods").splitlines()[0].split()
        same(head, ["NAME", "READY", "STATUS", "RESTARTS", "AGE"], "columns")
        labels = cluster.seen()["spec"]["selector"]["matchLabels"]
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        pods = cluster.json("get", "pods", "--selector", selector)["items"]
        expect(pods, f"no pod for {selector}")
        none = cluster.json("get", "pods", "--selector", f"{selector},lane=none")["items"]
        same(none, [], "pods of a label nobody has")
    with bench.check("kubectl get -o yaml and -o json hold the whole object"):
        seen = cluster.seen()
        same((seen["kind"], seen["metadata"]["name"]), ("Rollout", name), "object")
        expect(f"uid: {seen['metadata']['uid']}" in cluster.kubectl("get", "rollout", name, "-o", "yaml"), "no uid in YAML")
    with bench.check("kubectl describe shows the Rollout and its events"):
        text = cluster.kubectl("describe", "rollout", name)
        for wanted in (f"Name:         {name}", "Kind:         Rollout", "Strategy:", "Events:"):
            expect(wanted in text, f"`{wanted}` is not in:\n{text[:600]}")
        pod = cluster.json("get", "pods")["items"][0]["metadata"]["name"]
        expect("Containers:" in cluster.kubectl("describe", "pod", pod), "a pod is not described")
    with bench.check("kubectl get --watch sees a change"):
        words = ["--namespace", cluster.namespace, "get", "rollout", name, "--watch", "-o", "jsonpath={.metadata.annotations.lane}{'\\n'}"]
        lines = Lines([cluster.kubectl_program, *words], cluster.env)
        try:
            lines.until("the first state", lambda _: True)
            stamp = str(time.time())
            cluster.kubectl("annotate", "rollout", name, f"lane={stamp}", "--overwrite")
            lines.until("the annotation", lambda line: line == stamp)
        finally:
            lines.stop()
    with bench.check("kubectl patch works in both forms and on the status"):
        cluster.kubectl("patch", "rollout", name, "--type=merge", "--patch", '{"metadata":{"annotations":{"lane":"merge"}}}')
        same(cluster.seen()["metadata"]["annotations"]["lane"], "merge", "annotation")
        uid = cluster.seen()["metadata"]["uid"]
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": uid},
            {"op": "replace", "path": "/metadata/annotations/lane", "value": "json"},
        ]
        cluster.kubectl("patch", "rollout", name, "--type=json", "--patch", json.dumps(patch))
        same(cluster.seen()["metadata"]["annotations"]["lane"], "json", "annotation")
        words = ("--subresource=status", "--type=merge", "--dry-run=server", "--patch", '{"status":{"abort":true}}')
        patched = json.loads(cluster.kubectl("patch", "rollout", name, *words, "-o", "json"))
        same(patched["status"].get("abort"), True, "abort in the dry run")
        expect(not cluster.seen()["status"].get("abort"), "a dry run was kept")
    with bench.check("a patch whose test fails changes nothing and says Invalid"):
        patch = [
            {"op": "test", "path": "/metadata/uid", "value": "someone-else"},
            {"op": "replace", "path": "/metadata/annotations/lane", "value": "wrong"},
        ]
        code, _, err = cluster.try_kubectl("patch", "rollout", name, "--type=json", "--patch", json.dumps(patch))
        same(code, 1, "code")
        expect("the server rejected our request due to an error in our request" in err, err)
        same(cluster.seen()["metadata"]["annotations"]["lane"], "json", "annotation")
    with bench.check("a replace of a stale object is refused as a conflict"):
        seen = cluster.seen()
        seen["metadata"]["resourceVersion"] = "1"
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(seen, file)
            file.flush()
            code, _, err = cluster.try_kubectl("replace", "-f", file.name)
        same(code, 1, "code")
        expect("the object has been modified" in err, err)
    with bench.check("what is not there is NotFound"):
        code, _, err = cluster.try_kubectl("get", "rollout", "nobody-made-this")
        same(code, 1, "code")
        expect('rollouts.argoproj.io "nobody-made-this" not found' in err, err)
    with bench.check("kubectl auth can-i and whoami answer"):
        words = ("auth", "can-i", "patch", "rollouts.argoproj.io", "--subresource=status")
        same(cluster.kubectl(*words).strip(), "yes", "may patch the status")
        code, out, _ = cluster.try_kubectl("auth", "can-i", "delete", "nodes")
        same((code, out.strip()), (1, "no"), "may delete nodes")
        expect("rollouts" in cluster.kubectl("auth", "can-i", "--list"), "no Rollouts in the list of what is allowed")
        expect("Username" in cluster.kubectl("auth", "whoami"), "no user name")
    with bench.check("kubectl wait and get events work"):
        cluster.kubectl("wait", f"rollout/{name}", "--for=jsonpath={.metadata.name}=" + name, "--timeout=10s")
        events = cluster.json("get", "events", "--field-selector", f"involvedObject.name={name}")["items"]
        expect(all(event["involvedObject"]["name"] == name for event in events), "events of others")
    for deployment in cluster.kubectl("get", "deployments", "-o", "name").split()[:1]:
        with bench.check("kubectl rollout status and history know the Deployment"):
            cluster.kubectl("rollout", "status", deployment, "--timeout=60s")
            expect("REVISION" in cluster.kubectl("rollout", "history", deployment), "no revisions")


def plugin_checks(bench, cluster):
    """get, pause, promote, abort, retry, undo, each with what it did read back."""
    name = cluster.rollout

    def image_of(seen):
        return seen["spec"]["template"]["spec"]["containers"][0]["image"]

    def index(seen):
        return seen["status"].get("currentStepIndex")

    def waits(seen):
        status = seen["status"]
        observed = status.get("observedGeneration") == str(seen["metadata"]["generation"])
        return observed and status.get("phase") == "Paused" and status.get("pauseConditions")

    def healthy(seen):
        status = seen["status"]
        observed = status.get("observedGeneration") == str(seen["metadata"]["generation"])
        return observed and status.get("phase") == "Healthy" and status["currentPodHash"] == status["stableRS"]

    with bench.check("plugin: get and list show the tree"):
        text = cluster.plugin("get", "rollout", name, "--no-color")
        for wanted in (f"Name:            {name}", "Strategy:        Canary", "Status:", "Images:", "⟳", "revision:"):
            expect(wanted in text, f"`{wanted}` is not in:\n{text}")
        expect(name in cluster.plugin("list", "rollouts"), "not in the list")
    with bench.check("plugin: status answers without waiting"):
        code, out, _ = run(cluster.plugin_program, "-n", cluster.namespace, "status", name, "--watch=false", env=cluster.env)
        expect(out.strip().split(" ")[0] in ("Healthy", "Paused", "Progressing", "Degraded"), f"{code} {out}")
    container = cluster.seen()["spec"]["template"]["spec"]["containers"][0]
    base = container["image"].rsplit(":", 1)[0].split("@")[0]
    with bench.check("plugin: set image starts a release that stops at a pause"):
        cluster.quiet()
        cluster.plugin("set", "image", name, f"{container['name']}={base}:lane-1")
        cluster.until("a pause", lambda seen: seen["status"].get("currentPodHash") != seen["status"].get("stableRS") and waits(seen))
    with bench.check("plugin: pause sets spec.paused, promote takes it away"):
        cluster.quiet()
        cluster.plugin("pause", name)
        cluster.until("spec.paused", lambda seen: seen["spec"].get("paused"))
        cluster.quiet()
        cluster.plugin("promote", name)
        cluster.until("not paused", lambda seen: not seen["spec"].get("paused"))
    with bench.check("plugin: promote ends the pause step"):
        # The promote before ended a hold; where the controller has lost sight of it, the nudge brings it back.
        cluster.until("a pause", waits)
        before = index(cluster.quiet())
        cluster.plugin("promote", name)
        cluster.until("a later step", lambda seen: index(seen) != before)
    with bench.check("plugin: abort degrades it and takes the canary away"):
        # Whether a promote of a held Rollout also ends its pause depends on which of its two
        # patches the controller sees first, so the release before may be at any step by now.
        cluster.quiet()
        cluster.plugin("set", "image", name, f"{container['name']}={base}:lane-2")
        cluster.until("a pause", lambda seen: image_of(seen).endswith(":lane-2") and waits(seen))
        cluster.quiet()
        cluster.plugin("abort", name)
        cluster.until("aborted", lambda seen: seen["status"].get("abort") and seen["status"].get("phase") == "Degraded")
        cluster.until("no canary", lambda seen: not seen["status"].get("updatedReplicas"))
        expect("Degraded" in cluster.plugin("get", "rollout", name, "--no-color"), "not Degraded")
    with bench.check("plugin: retry starts again from the first step"):
        cluster.quiet()
        cluster.plugin("retry", "rollout", name)
        cluster.until("a pause again", lambda seen: not seen["status"].get("abort") and waits(seen))
    with bench.check("plugin: promote --full ends healthy"):
        cluster.quiet()
        cluster.plugin("promote", name, "--full")
        cluster.until("healthy", healthy)
    with bench.check("plugin: undo brings the image before back, through the steps"):
        cluster.quiet()
        cluster.plugin("undo", name)
        seen = cluster.until("the old image", lambda seen: not image_of(seen).endswith(":lane-2"))
        cluster.until("a pause", waits)
        labels = seen["spec"]["template"]["metadata"].get("labels", {})
        expect("rollouts-pod-template-hash" not in labels, "the template carries the hash label")
        cluster.quiet()
        cluster.plugin("promote", name, "--full")
        cluster.until("healthy", healthy)
    with bench.check("plugin: get --watch redraws on a change"):
        words = ["-n", cluster.namespace, "get", "rollout", name, "--watch", "--no-color"]
        lines = Lines([cluster.plugin_program, *words], cluster.env)
        try:
            lines.until("the first screen", lambda line: "Name:" in line)
            cluster.plugin("pause", name)
            lines.until("the pause", lambda line: "Paused" in line)
        finally:
            lines.stop()
            cluster.plugin("promote", name)
