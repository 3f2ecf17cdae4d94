"""A real MLflow holds what training registered, and refuses as the adapter expects."""

import json
import urllib.error
import urllib.request

from support.adapters import adapters
from support.bench import expect, same
from support.official import official

COMMITS = [digit * 40 for digit in "abc"]


def lane(bench):
    with bench.check("MLflow starts, three models are trained and registered", must=True):
        url = bench.mlflow()
        told = bench.train("lane-model", COMMITS)
    with bench.check("it says its version as plain text"):
        status, text = ask(url, "GET", "/version")
        same((status, text), (200, "3.17.2"), "answer")
    with bench.check("the champion alias is read from the model, version 1"):
        model = data(url, "GET", "/api/2.0/mlflow/registered-models/get?name=lane-model")["registered_model"]
        same(model["aliases"], [{"alias": "champion", "version": "1"}], "aliases")
    with bench.check("versions in a search carry no aliases"):
        found = data(url, "GET", "/api/2.0/mlflow/model-versions/search?filter=name%3D'lane-model'")
        same([version["version"] for version in found["model_versions"]], ["3", "2", "1"], "versions")
        expect(not any(version.get("aliases") for version in found["model_versions"]), "aliases in a search")
    with bench.check("a run carries its commit, its metrics and what it was trained on"):
        trained = told["versions"][1]
        run = data(url, "GET", f"/api/2.0/mlflow/runs/get?run_id={trained['run_id']}")["run"]
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        same(tags["mlflow.source.git.commit"], COMMITS[1], "commit")
        metrics = {metric["key"]: metric["value"] for metric in run["data"]["metrics"]}
        same(metrics["accuracy"], trained["metrics"]["accuracy"], "accuracy")
        contexts = [
            tag["value"] for item in run["inputs"]["dataset_inputs"] for tag in item["tags"] if tag["key"] == "mlflow.data.context"
        ]
        same(sorted(contexts), ["eval", "training"], "dataset contexts")
    with bench.check("version 2 is honestly better and 3 honestly worse than 1"):
        one, two, three = [version["metrics"]["accuracy"] for version in told["versions"]]
        expect(three < one < two, f"{one}, {two}, {three}")
    with bench.check("an alias that is not there is 400 INVALID_PARAMETER_VALUE"):
        status, text = ask(url, "GET", "/api/2.0/mlflow/registered-models/alias?name=lane-model&alias=absent")
        same((status, json.loads(text)["error_code"]), (400, "INVALID_PARAMETER_VALUE"), "answer")
    with bench.check("a model that is not there is 404 RESOURCE_DOES_NOT_EXIST"):
        status, text = ask(url, "GET", "/api/2.0/mlflow/registered-models/get?name=absent")
        same((status, json.loads(text)["error_code"]), (404, "RESOURCE_DOES_NOT_EXIST"), "answer")
    with bench.check("an unknown path answers 404 in HTML"):
        status, text = ask(url, "GET", "/api/2.0/mlflow/nothing")
        expect(status == 404 and not text.startswith("{"), f"{status} {text[:80]}")
    with bench.check("an alias moves and moves back"):
        for version in ("2", "1"):
            body = {"name": "lane-model", "alias": "champion", "version": version}
            data(url, "POST", "/api/2.0/mlflow/registered-models/alias", body)
            seen = data(url, "GET", "/api/2.0/mlflow/registered-models/alias?name=lane-model&alias=champion")
            same(seen["model_version"]["version"], version, "champion")
    servers = {"GONOGO_REAL_MLFLOW": url, "GONOGO_REAL_MODEL": "lane-model"}
    adapters(bench, "a_real_registry", servers)
    adapters(bench, "first_writers", servers)
    official(bench, bench.folder, "mlflow-ends", {"mlflow": {"url": url, "model": "lane-model"}})


def data(url, method, path, body=None):
    """The JSON of an answer that must be 200."""
    status, text = ask(url, method, path, body)
    same(status, 200, f"status of {method} {path} ({text[:200]})")
    return json.loads(text)


def ask(url, method, path, body=None):
    """One request; (status, text)."""
    sent = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, sent, {"Content-Type": "application/json"}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as told:
            return told.status, told.read().decode()
    except urllib.error.HTTPError as refused:
        return refused.code, refused.read().decode(errors="replace")
