"""The two worlds a case is played in, with one face.

Each gives an administrator's API, the configuration of gonogo as a release
manager, and what its API server saw of gonogo's changes.
"""

import json
import re
import threading
import urllib.parse
import urllib.request

from support.balancer import Balancer
from support.bench import eventually, expect
from support.cockpit import POLICY
from support.kube import Api
from support.metric_source import MetricSource
from support.processes import Server, wait_until

from suite.case import JSON_PATCH
from suite.picture import MORE_PATHS, PATHS

MERGE_PATCH = "application/merge-patch+json"

# The metric every case can ask for: `max(release_error_ratio{namespace="NAME"})`.
METRIC = "release_error_ratio"

NO_DATA = "no data"

CONFIG = """
[backend.prod]
kind = "kubernetes"
kubeconfig = "{kubeconfig}"
context = "{context}"
namespaces = ["{namespace}"]

[environment.prod]
backend = "prod"

[service.web]
rollout = [{{ environment = "prod", namespace = "{namespace}", name = "web", kind = "{kind}" }}]
policy = "live"
"""

class World:
    """What both worlds share."""

    def config(self, case):
        """The configuration of gonogo for a case."""
        text = CONFIG.format(kubeconfig=self.kubeconfig, context=self.context, namespace=case.name, kind=case.kind)
        return text + (case.config or POLICY)

    def create(self, case):
        """Makes the namespace of a case and everything in its manifests."""
        self.admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": case.name}})
        for text in case.manifests:
            text = text.replace("${prometheus.url}", self.prometheus)
            text = text.replace("${namespace}", case.name)
            kind = re.search(r"^kind: (\w+)", text, re.M)[1].lower()
            group, plural = {**PATHS, **MORE_PATHS}[kind]
            path = f"{group}/namespaces/{case.name}/{plural}"
            answer = self.admin.request("POST", path, text, "application/yaml")
            expect(answer.status == 201, f"{kind}: {answer.status} {answer.text[:300]}")


class Demo(World):
    """`gonogo demo` with a scenario that holds nothing but people and metrics."""

    name = "demo"
    context = "demo"

    def __init__(self, bench, gonogo, cases):
        folder = bench.folder / "suite-demo"
        folder.mkdir()
        scenario = folder / "suite.toml"
        scenario.write_text(self.scenario(cases), encoding="utf-8")
        self.server = Server.start("gonogo-demo-suite", [gonogo, "demo", scenario, "--serve", folder], folder)
        bench.later(self.server.stop)
        wait_until("the demo serves", 60, lambda: self.server.log.read_text(encoding="utf-8").strip(), self.server)
        ends = json.loads((folder / "endpoints.json").read_text(encoding="utf-8"))
        self.url = ends["kubernetes"]["url"]
        self.prometheus = ends["prometheus"]["url"]
        self.kubeconfig = folder / "kubeconfig"
        # Every persona's token has the same form, and only the first is written down.
        self.admin = Api(self.url, ends["kubernetes"]["token"].replace("-mia-", "-root-"))

    @staticmethod
    def scenario(cases):
        """The scenario file: who may do what, and a metric for each case."""
        words = """
title = "The suite"
about = "Nothing happens by itself; a driver makes it happen."
guide = []
config = ""

[focus]
repo = "suite/suite"
workflow = "none.yml"
model = "none"
query = "up"
namespace = "default"
rollout = "web"

[[persona]]
login = "mia"
name = "Mia"
role = "release-manager"

[[persona]]
login = "root"
name = "Root"
role = "admin"

[[repo]]
name = "suite/suite"

[[repo.workflow]]
file = "none.yml"
name = "None"
on = ["push"]

[[model]]
name = "none"
"""
        for case in cases:
            words += f"""
[[traffic]]
name = "{case.name}"
kind = "{case.kind.capitalize()}"
namespace = "{case.name}"
target = "web"
requests_per_second = 1
latency_p95_ms = 10

[[traffic.gauge]]
name = "{METRIC}"
value = 0.01
"""
        return words

    def metric(self, namespace, value):
        """Sets the metric of a case; returns once it is answered so."""
        cause = {"silence": {"traffic": namespace, "on": True}}
        if value != NO_DATA:
            self.cause({"silence": {"traffic": namespace, "on": False}})
            cause = {"shape": {"traffic": namespace, "gauges": {METRIC: value}}}
        self.cause(cause)
        wanted = [] if value == NO_DATA else [value]
        query = urllib.parse.quote(f'max({METRIC}{{namespace="{namespace}"}})')

        def shown():
            with urllib.request.urlopen(f"{self.prometheus}/api/v1/query?query={query}", timeout=10) as told:
                result = json.load(told)["data"]["result"]
            return [float(one["value"][1]) for one in result] == wanted

        # The demo's Prometheus scrapes each five seconds.
        eventually(f"{METRIC} is {value}", 15, shown)

    def cause(self, cause):
        """Makes something happen that a scenario could hold."""
        answer = self.admin.request("POST", "/sim/causes", cause)
        expect(answer.status == 202, f"{answer.status} {answer.text}")

    def sent(self, namespace):
        """Changes gonogo sent to a namespace, oldest first."""
        seen = self.admin.get("/sim/mutations")
        return [_as_sent(one) for one in seen if one["user"] == "mia" and f"/namespaces/{namespace}/" in one["path"]]


def _as_sent(one):
    address = urllib.parse.urlsplit(one["path"])
    parts = address.path.split("/")
    below = parts[parts.index("namespaces") + 2 :] + [""]
    return {
        "verb": one["verb"].lower(),
        "resource": below[0],
        "part": below[2],
        "content_type": one["contentType"],
        "body": json.loads(one["body"]),
        "query": address.query,
        "code": one["status"],
    }


class Real(World):
    """The control plane, and metrics this process answers."""

    name = "real"
    context = "plane"

    def __init__(self, bench, cases):
        self.plane = bench.plane()
        source = MetricSource()
        source.vector = [0.01]
        bench.later(source.close)
        self.source = source
        self.prometheus = source.url
        self.kubeconfig = self.plane.kubeconfig("release-manager")
        self.admin = self.plane.admin
        self.events = []
        self.read = 0
        self.lock = threading.Lock()
        if any(case.balancer for case in cases):
            self.second_controller(bench)

    def second_controller(self, bench):
        """Starts one that asks a load balancer, for the Rollouts that are labelled for it alone."""
        balancer = Balancer(self.admin)
        bench.later(balancer.close)
        # The first takes an Ingress of a class it knows for its own, and undoes the weights of Rollouts it does not know.
        own = ["--instance-id=balancer", "--alb-ingress-classes=balancer", "--aws-verify-target-group"]
        command = [*self.plane.commands["rollouts-controller"], *own]
        env = {"POD_NAMESPACE": "argo-rollouts", **balancer.env()}
        server = Server.start("rollouts-controller-balancer", command, self.plane.folder, env)
        bench.later(server.stop)
        wait_until("the second controller is at work", 60, lambda: "Started controller" in server.log.read_text(encoding="utf-8"), server)

    def metric(self, namespace, value):
        """Sets the metric of a case."""
        self.source.vectors[f'"{namespace}"'] = [] if value == NO_DATA else [value]

    def sent(self, namespace):
        """Changes gonogo sent to a namespace, oldest first."""
        with self.lock:
            self._read_log()
            events = list(self.events)
        return [_as_audited(event) for event in events if event["objectRef"].get("namespace") == namespace]

    def _read_log(self):
        with open(self.plane.env["audit_log"], encoding="utf-8") as log:
            log.seek(self.read)
            for line in iter(log.readline, ""):
                if not line.endswith("\n"):
                    break
                self.read += len(line.encode())
                # Most lines are the controllers' own; they are told apart without being parsed.
                if '"username":"release-manager"' not in line:
                    continue
                event = json.loads(line)
                if event["level"] == "RequestResponse" and event["verb"] in ("create", "update", "patch", "delete"):
                    self.events.append(event)


def _as_audited(event):
    body = event.get("requestObject")
    return {
        "verb": event["verb"],
        "resource": event["objectRef"]["resource"],
        "part": event["objectRef"].get("subresource", ""),
        # The log does not hold the header; only a JSON patch is a list, and gonogo sends no third form.
        "content_type": JSON_PATCH if isinstance(body, list) else MERGE_PATCH,
        "body": body,
        "query": urllib.parse.urlsplit(event["requestURI"]).query,
        "code": event["responseStatus"]["code"],
    }
