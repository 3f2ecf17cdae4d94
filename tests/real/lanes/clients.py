"""Everybody else's clients against the demo world, and a real Prometheus that scrapes it.

The demo's servers must be taken for the real ones by programs that know nothing
of gonogo: `kubectl`, the Argo Rollouts plugin, the official client libraries.
Its objects must be valid to a real API server, and a real Prometheus that
scrapes it must come to the same values and lead gonogo to the same verdicts.
"""

import json
import re
import signal
import time
import tomllib
import urllib.parse
import urllib.request

from support.bench import eventually, expect, run, same
from support.cockpit import private
from support.cluster import Cluster, kubectl_checks, plugin_checks
from support.official import official
from support.processes import Server, wait_until
from support.say import Failed

from lanes.prometheus import answer

SCENARIO = "canary"
# Both sides look at the same short stretch; the real one has not seen the demo's hour of history.
WINDOW = "60s"
# Two observers never scrape at the same instant, and one rare event more or less in a window counts.
TOLERANCE = 0.2


def lane(bench):
    gonogo = bench.gonogo()
    folder = bench.folder / "demo"
    folder.mkdir()
    with bench.check(f"`gonogo demo {SCENARIO} --serve DIR` says when it is ready", must=True):
        server = Server.start("gonogo-demo", [gonogo, "demo", SCENARIO, "--serve", folder], folder)
        bench.later(server.stop)
        wait_until("the demo serves", 60, lambda: server.log.read_text(encoding="utf-8").strip(), server)
        ends = json.loads((folder / "endpoints.json").read_text(encoding="utf-8"))
        same(len(server.log.read_text(encoding="utf-8").strip().splitlines()), 1, "lines when ready")
    with bench.check("endpoints.json names what a client needs"):
        names = {
            "github": ["url", "token", "repo", "workflow", "run_id"],
            "mlflow": ["url", "token", "model"],
            "prometheus": ["url", "query"],
            "kubernetes": ["url", "token", "namespace", "rollout"],
        }
        for kind, keys in names.items():
            expect(set(keys) <= set(ends[kind]), f"{kind}: {sorted(ends[kind])}")

    where = ends["kubernetes"]
    kubectl = bench.script("controlplane/plane", "bin", "kubectl")
    plugin = bench.script("controlplane/plane", "bin", "kubectl-argo-rollouts")
    cluster = Cluster(folder / "kubeconfig", where["namespace"], where["rollout"], kubectl, plugin)
    real = scraped(bench, ends)
    kubectl_checks(bench, cluster)
    official(bench, bench.folder, "demo-ends", ends)
    objects(bench, cluster)
    values(bench, ends, real, folder)
    verdicts(bench, gonogo, ends, real, folder)
    plugin_checks(bench, cluster)
    official(bench, bench.folder, "demo-acts", {"github_acts": ends["github"]})
    with bench.check("it ends on a signal"):
        server.stop(patience=5)
        expect(not server.alive(), "it still runs")
        same(server.exit_code() in (0, -signal.SIGTERM, 128 + signal.SIGTERM), True, f"code {server.exit_code()}")


def scraped(bench, ends):
    """A real Prometheus that has scraped the demo for a while."""
    end = ends["prometheus"]
    address = urllib.parse.urlsplit(end["url"])
    real = None
    with bench.check("a real Prometheus scrapes the demo's /metrics"):
        real = bench.prometheus("prometheus-demo", {"demo": (address.netloc, f"{address.path}/metrics", end.get("token"))})
        eventually("the target is up", 30, lambda: value(real, "max(up)") == 1.0)
    return real


def value(url, query):
    """The only value of a query, or None when there is none."""
    status, body = answer(url, query)
    same(status, 200, f"status of `{query}` ({body})")
    found = body["data"]["result"]
    if body["data"]["resultType"] == "scalar":
        return float(found[1])
    expect(len(found) <= 1, f"`{query}` gave {len(found)} series")
    return float(found[0]["value"][1]) if found else None


def configured_queries(config):
    """Every metric query of a configuration, its placeholders filled: (where it stands, text)."""
    for service, settings in config.get("service", {}).items():
        place = settings["rollout"][0]
        words = {"service": service, "rollout": place["name"], **{key: place[key] for key in ("namespace", "environment")}}
        for metric, spec in settings.get("metric", {}).items():
            for arm in ("canary", "stable", "traffic"):
                if spec.get(arm):
                    text = re.sub(r"\{(\w+)\}", lambda found: words[found[1]], spec[arm])
                    yield f"{service}.{metric}.{arm}", text


def counters(end):
    """The series of the demo's text format that may only grow: {series: value}."""
    headers = {"Authorization": f"Bearer {end['token']}"} if end.get("token") else {}
    with urllib.request.urlopen(urllib.request.Request(f"{end['url']}/metrics", headers=headers), timeout=10) as told:
        text = told.read().decode()
    growing = {name for name, kind in re.findall(r"^# TYPE (\S+) (\S+)", text, re.M) if kind in ("counter", "histogram")}
    found = {}
    for line in text.splitlines():
        family = re.sub(r"_(bucket|sum|count)$", "", re.split(r"[{ ]", line)[0])
        if not line.startswith("#") and (family in growing or line.split("{")[0] in growing):
            series, number = line.rsplit(" ", 1)
            found[series] = float(number)
    return found


def short(text):
    """The same query over the window both sides have seen."""
    return re.sub(r"\[\d+(ms|s|m|h)\]", f"[{WINDOW}]", text)


def values(bench, ends, real, folder):
    if real is None:
        return
    config = tomllib.loads((folder / "config.toml").read_text(encoding="utf-8"))
    with bench.check("no counter of the demo's /metrics ever goes down, while a whole window passes"):
        last = {}
        deadline = time.monotonic() + 90
        while (value(real, "max(count_over_time(up[60s]))") or 0) < 58:
            expect(time.monotonic() < deadline, "too few scrapes in 90 s")
            seen = counters(ends["prometheus"])
            fell = [f"{name}: {last[name]} then {now}" for name, now in seen.items() if now < last.get(name, now)]
            # A counter that falls is read as one that began anew, and its whole value as traffic.
            expect(not fell, "; ".join(fell[:3]))
            last = seen
            time.sleep(0.5)
    for place, text in configured_queries(config):
        with bench.check(f"both Prometheus agree on {place}"):
            query = short(text)

            def agree(query=query):
                ours, theirs = value(ends["prometheus"]["url"], query), value(real, query)
                if ours is None or theirs is None:
                    return ours == theirs
                if ours != ours or theirs != theirs:
                    return ours != ours and theirs != theirs
                return abs(ours - theirs) <= TOLERANCE * max(abs(ours), abs(theirs)) + 1e-9

            try:
                eventually("the same value", 20, agree)
            except Failed as why:
                seen = value(ends["prometheus"]["url"], query), value(real, query)
                raise Failed(f"`{query}`: the demo says {seen[0]}, the real one {seen[1]}") from why


def verdicts(bench, gonogo, ends, real, folder):
    if real is None:
        return
    text = short((folder / "config.toml").read_text(encoding="utf-8"))
    expect(ends["prometheus"]["url"] in text, "the configuration does not name the demo's Prometheus")
    service = next(iter(tomllib.loads(text)["service"]))

    def judged(name, url):
        config = folder / f"config-{name}.toml"
        config.write_text(text.replace(ends["prometheus"]["url"], url), encoding="utf-8")
        code, out, err = run(gonogo, "--config", config, "check", service, "--json", env=private(folder / f"home-{name}"))
        expect(code in (0, 1, 2, 3), f"code {code}: {err}")
        told = findings(json.loads(out))
        expect(any(told.values()), f"no findings in {out[:600]}")
        return code, told

    demo = None
    with bench.check("gonogo judges by the demo Prometheus"):
        demo = judged("demo", ends["prometheus"]["url"])
    with bench.check("the real Prometheus leads to the same verdicts"):
        expect(demo, "the demo was not judged")
        # It began to scrape a minute ago: until its first whole window has ended, pending is the truth.
        deadline = time.monotonic() + 3 * 60
        real_one = judged("real", real)
        while "pending" in json.dumps(real_one) and time.monotonic() < deadline:
            time.sleep(2)
            real_one = judged("real", real)
        same(real_one, demo, "code and verdicts")


def findings(told):
    """environment → gate → verdict, of what `check --json` says about one service."""
    return {
        checked["environment"]: {found["gate"]: found["verdict"] for found in checked["findings"]} for checked in told["checks"]
    }


KINDS = {
    "rollout": ("/apis/argoproj.io/v1alpha1", "rollouts"),
    "analysisrun": ("/apis/argoproj.io/v1alpha1", "analysisruns"),
    "analysistemplate": ("/apis/argoproj.io/v1alpha1", "analysistemplates"),
    "replicaset": ("/apis/apps/v1", "replicasets"),
    "deployment": ("/apis/apps/v1", "deployments"),
    "pod": ("/api/v1", "pods"),
}


def objects(bench, cluster):
    """Every object of the demo is asked of a real API server, with every field checked."""
    plane = bench.plane()
    for kind, (group, plural) in KINDS.items():
        with bench.check(f"a real API server takes the demo's {plural}, status included"):
            for item in cluster.json("get", plural)["items"][:10]:
                valid(plane, item, group, plural)


def valid(plane, item, group, plural):
    namespace = item["metadata"]["namespace"]
    plane.admin.request("POST", "/api/v1/namespaces", {"metadata": {"name": namespace}})
    path = f"{group}/namespaces/{namespace}/{plural}"
    strict = "fieldValidation=Strict&dryRun=All"
    whole = dict(item)
    whole["metadata"] = {
        key: item["metadata"][key] for key in ("name", "namespace", "labels", "annotations") if key in item["metadata"]
    }
    whole["metadata"]["name"] = f"checked-{item['metadata']['name']}"
    answered = plane.admin.request("POST", f"{path}?{strict}", whole)
    same(answered.status, 201, f"{item['metadata']['name']}: {answered.text[:600]}")
    if plural == "rollouts":
        # The status is dropped on create, so it is checked on an object that is really there: asleep,
        # so that no controller touches it before the dry run.
        asleep = json.loads(json.dumps(whole))
        asleep["spec"]["replicas"] = 0
        asleep["metadata"]["name"] = f"asleep-{item['metadata']['name']}"
        asleep.pop("status", None)
        plane.admin.request("POST", path, asleep)
        there = f"{path}/{asleep['metadata']['name']}"
        body = {"status": item.get("status", {})}
        answered = plane.admin.request("PATCH", f"{there}/status?{strict}", body, "application/merge-patch+json")
        plane.admin.request("DELETE", there)
        same(answered.status, 200, f"status of {item['metadata']['name']}: {answered.text[:600]}")
