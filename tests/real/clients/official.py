"""The official client libraries against the addresses in a JSON file.

    python official.py ENDPOINTS KIND …       KIND: kubernetes mlflow prometheus github github_acts

Prints one JSON object a line: the check's sentence, and null or why it failed.
The file holds an object per kind with `url`, `token` and the names a client
needs; for Kubernetes also `ca` where the server has TLS.
"""

import contextlib
import json
import sys
import threading
import time


@contextlib.contextmanager
def check(sentence):
    began = time.monotonic()
    why = None
    try:
        yield
    except Exception as error:  # noqa: BLE001  whatever a client raises is why it failed
        why = f"{type(error).__name__}: {error}"[:1500]
    print(json.dumps({"check": sentence, "why": why, "seconds": round(time.monotonic() - began, 1)}), flush=True)


def same(seen, wanted, what):
    if seen != wanted:
        raise AssertionError(f"{what}: wanted {wanted!r}, saw {seen!r}")


def expect(truth, otherwise):
    if not truth:
        raise AssertionError(otherwise)


def with_kubernetes(end):
    from kubernetes import client, watch
    from kubernetes.client.rest import ApiException

    settings = client.Configuration()
    settings.host = end["url"]
    settings.api_key = {"authorization": f"Bearer {end['token']}"}
    if end.get("ca"):
        settings.ssl_ca_cert = end["ca"]
    api = client.ApiClient(settings)
    custom = client.CustomObjectsApi(api)
    where = ("argoproj.io", "v1alpha1", end["namespace"], "rollouts")
    name = end["rollout"]

    with check("kubernetes: version and discovery"):
        expect(client.VersionApi(api).get_code().git_version.startswith("v1."), "no version")
        kinds = {item.kind for item in client.AppsV1Api(api).get_api_resources().resources}
        expect({"Deployment", "ReplicaSet"} <= kinds, f"{kinds}")
    with check("kubernetes: a custom object is listed and read"):
        listed = custom.list_namespaced_custom_object(*where)
        expect(name in [item["metadata"]["name"] for item in listed["items"]], "not in the list")
        same(custom.get_namespaced_custom_object(*where, name)["metadata"]["name"], name, "name")
    with check("kubernetes: ReplicaSets, pods and events are read as typed objects"):
        sets = client.AppsV1Api(api).list_namespaced_replica_set(end["namespace"]).items
        owned = [item for item in sets if any(owner.name == name for owner in item.metadata.owner_references or [])]
        expect(owned, "no ReplicaSet is owned by the Rollout")
        pods = client.CoreV1Api(api).list_namespaced_pod(end["namespace"]).items
        expect(any(pod.status.phase == "Running" for pod in pods), "no pod runs")
        client.CoreV1Api(api).list_namespaced_event(end["namespace"])
    with check("kubernetes: a patch of a known key is seen by a watch"):
        version = custom.list_namespaced_custom_object(*where)["metadata"]["resourceVersion"]
        stamp = str(time.time())

        def touch():
            body = {"metadata": {"annotations": {"official": stamp}}}
            custom.patch_namespaced_custom_object(*where, name, body)

        threading.Timer(0.3, touch).start()
        seen = False
        stream = watch.Watch().stream(
            custom.list_namespaced_custom_object, *where, resource_version=version, timeout_seconds=10
        )
        for event in stream:
            if event["object"]["metadata"].get("annotations", {}).get("official") == stamp:
                seen = True
                break
        expect(seen, "the watch ended without it")
    with check("kubernetes: a failing test in a JSON patch is 422"):
        # The library sends custom objects only as merge patches, so its plain request is used.
        headers = {"Content-Type": "application/json-patch+json", "Accept": "application/json"}
        path = f"/apis/argoproj.io/v1alpha1/namespaces/{end['namespace']}/rollouts/{name}"
        body = [{"op": "test", "path": "/metadata/uid", "value": "someone-else"}]
        try:
            api.call_api(path, "PATCH", header_params=headers, body=body, auth_settings=["BearerToken"])
        except ApiException as refused:
            same((refused.status, json.loads(refused.body)["reason"]), (422, "Invalid"), "answer")
        else:
            raise AssertionError("it was accepted")
    with check("kubernetes: an access review says what this token may do"):
        attributes = client.V1ResourceAttributes(
            namespace=end["namespace"], verb="patch", group="argoproj.io", resource="rollouts", subresource="status"
        )
        review = client.V1SelfSubjectAccessReview(
            spec=client.V1SelfSubjectAccessReviewSpec(resource_attributes=attributes)
        )
        answer = client.AuthorizationV1Api(api).create_self_subject_access_review(review)
        same(answer.status.allowed, True, "allowed")


def with_mlflow(end):
    import os

    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    if end.get("token"):
        os.environ["MLFLOW_TRACKING_TOKEN"] = end["token"]
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    client = MlflowClient(tracking_uri=end["url"], registry_uri=end["url"])
    name = end["model"]
    with check("mlflow: the registered model and its versions are found"):
        found = {model.name: model for model in client.search_registered_models()}
        expect(name in found, f"{list(found)}")
        versions = client.search_model_versions(f"name='{name}'")
        expect(len(versions) >= 2, f"{len(versions)} versions")
        numbers = [int(version.version) for version in versions]
        same(numbers, sorted(numbers, reverse=True), "order")
    with check("mlflow: the champion's run has metrics, tags and datasets"):
        champion = client.get_model_version_by_alias(name, "champion")
        run = client.get_run(champion.run_id)
        expect(run.data.metrics, "no metrics")
        expect("mlflow.source.git.commit" in run.data.tags, f"{list(run.data.tags)}")
        expect(run.inputs.dataset_inputs, "no datasets")
        metric = next(iter(run.data.metrics))
        history = client.get_metric_history(champion.run_id, metric)
        same(history[-1].value, run.data.metrics[metric], "newest in the history")
    with check("mlflow: runs are searched with a filter"):
        run = client.get_run(client.get_model_version_by_alias(name, "champion").run_id)
        found = client.search_runs([run.info.experiment_id], filter_string="attributes.status = 'FINISHED'", max_results=5)
        expect(found, "no finished run")
    with check("mlflow: an alias moves and moves back"):
        champion = client.get_model_version_by_alias(name, "champion").version
        other = next(
            version.version for version in client.search_model_versions(f"name='{name}'") if version.version != champion
        )
        for version in (other, champion):
            client.set_registered_model_alias(name, "champion", version)
            same(client.get_model_version_by_alias(name, "champion").version, version, "champion")
    with check("mlflow: what is not there raises as the server words it"):
        for ask, code in (
            (lambda: client.get_model_version_by_alias(name, "absent"), "INVALID_PARAMETER_VALUE"),
            (lambda: client.get_registered_model("absent"), "RESOURCE_DOES_NOT_EXIST"),
        ):
            try:
                ask()
            except MlflowException as refused:
                same(refused.error_code, code, "code")
            else:
                raise AssertionError("it was answered")
    with check("mlflow: a version tag is set and read"):
        champion = client.get_model_version_by_alias(name, "champion")
        client.set_model_version_tag(name, champion.version, "official", "yes")
        same(client.get_model_version(name, champion.version).tags.get("official"), "yes", "tag")


def with_prometheus(end):
    from datetime import datetime, timedelta, timezone

    from prometheus_api_client import PrometheusApiClientException, PrometheusConnect

    headers = {"Authorization": f"Bearer {end['token']}"} if end.get("token") else None
    client = PrometheusConnect(url=end["url"], headers=headers, disable_ssl=True, timeout=20)
    with check("prometheus: it answers and lists its metrics"):
        expect("up" in client.all_metrics(), f"{client.all_metrics()}")
        expect(client.get_label_values("job"), "no job label")
    with check("prometheus: the query gives a finite number now"):
        result = client.custom_query(end["query"])
        expect(result, f"nothing for {end['query']}")
        value = float(result[0]["value"][1])
        expect(value == value and abs(value) != float("inf"), f"{value}")
    with check("prometheus: the query gives a series over the last while"):
        now = datetime.now(timezone.utc)
        span = end.get("span", 600)
        start = now - timedelta(seconds=span)
        result = client.custom_query_range(end["query"], start, now, f"{max(1, span // 40)}s")
        expect(result and 2 <= len(result[0]["values"]), f"{result}")
    with check("prometheus: a name nobody has is empty, a query nobody can read is 400"):
        same(client.custom_query("nobody_has_this_name"), [], "result")
        try:
            client.custom_query("sum(")
        except PrometheusApiClientException as refused:
            expect("400" in str(refused) and "bad_data" in str(refused), str(refused))
        else:
            raise AssertionError("it was answered")


def with_github(end):
    from github import Auth, Github, GithubException

    client = Github(auth=Auth.Token(end["token"]), base_url=end["url"], retry=None, seconds_between_requests=0)
    with check("github: who the token belongs to"):
        expect(client.get_user().login, "no login")
    with check("github: the repository, its workflow and the workflow's runs"):
        repo = client.get_repo(end["repo"])
        same(repo.full_name, end["repo"], "name")
        workflow = repo.get_workflow(end["workflow"])
        same(workflow.state, "active", "state")
        runs = workflow.get_runs()
        expect(runs.totalCount >= 1, "no runs")
        expect(int(end["run_id"]) in [run.id for run in runs[:50]], "the named run is not among the newest fifty")
    with check("github: the run, its jobs and their steps"):
        run = client.get_repo(end["repo"]).get_workflow_run(int(end["run_id"]))
        same(len(run.head_sha), 40, "length of the commit")
        jobs = list(run.jobs())
        expect(jobs, "no jobs")
        expect(any(job.steps for job in jobs), "no steps")
        expect(all(job.head_sha == run.head_sha for job in jobs), "a job of another commit")
    with check("github: runs are filtered by commit and branch"):
        repo = client.get_repo(end["repo"])
        run = repo.get_workflow_run(int(end["run_id"]))
        found = list(repo.get_workflow_runs(head_sha=run.head_sha))
        expect(run.id in [item.id for item in found], "not found by its commit")
        expect(all(item.head_sha == run.head_sha for item in found), "a run of another commit")
        found = repo.get_workflow_runs(branch="nobody-made-this-branch")
        same(found.totalCount, 0, "runs of a branch that is not there")
    with check("github: what waits for approval names its environment"):
        repo = client.get_repo(end["repo"])
        path = f"{repo.url}/actions/runs/{end['run_id']}/pending_deployments"
        _, waiting = repo.requester.requestJsonAndCheck("GET", path)
        for item in waiting:
            expect(item["environment"]["name"] and isinstance(item["current_user_can_approve"], bool), f"{item}")
    with check("github: what is not there is 404 with a message"):
        try:
            client.get_repo(end["repo"]).get_workflow_run(1)
        except GithubException as refused:
            same((refused.status, refused.data["message"]), (404, "Not Found"), "answer")
        else:
            raise AssertionError("it was answered")
    with check("github: a wrong token is 401"):
        stranger = Github(auth=Auth.Token("nobodys-token"), base_url=end["url"], retry=None)
        try:
            stranger.get_user().login
        except GithubException as refused:
            same((refused.status, refused.data["message"]), (401, "Bad credentials"), "answer")
        else:
            raise AssertionError("it was answered")
    with check("github: the rate budget is in the headers"):
        client.get_repo(end["repo"])
        remaining, limit = client.rate_limiting
        expect(0 < remaining <= limit, f"{remaining} of {limit}")


def with_github_acts(end):
    from github import Auth, Github, GithubException

    client = Github(auth=Auth.Token(end["token"]), base_url=end["url"], retry=None, seconds_between_requests=0, seconds_between_writes=0)
    repo = client.get_repo(end["repo"])
    path = f"{repo.url}/actions/runs/{end['run_id']}/pending_deployments"

    def waiting():
        return repo.requester.requestJsonAndCheck("GET", path)[1]

    with check("github: the waiting environment is approved, and nothing waits any more"):
        mine = [item["environment"]["id"] for item in waiting() if item["current_user_can_approve"]]
        expect(mine, "nothing waits for this token")
        body = {"environment_ids": mine, "state": "approved", "comment": "seen"}
        _, told = repo.requester.requestJsonAndCheck("POST", path, input=body)
        expect(told, "no deployments came back")
        still = [item["environment"]["id"] for item in waiting()]
        expect(not set(mine) & set(still), f"still waiting: {still}")
        _, history = repo.requester.requestJsonAndCheck("GET", f"{repo.url}/actions/runs/{end['run_id']}/approvals")
        same(history[0]["state"], "approved", "newest approval")
    with check("github: a run is cancelled and started again as a second attempt"):
        run = repo.get_workflow_run(int(end["run_id"]))
        attempt = run.run_attempt
        expect(run.cancel(), "cancel was refused")
        until(lambda: repo.get_workflow_run(run.id).status == "completed", 60, "cancelled")
        expect(run.rerun(), "rerun was refused")
        until(lambda: repo.get_workflow_run(run.id).run_attempt == attempt + 1, 60, "a new attempt")
    with check("github: a workflow that takes no inputs is dispatched, or says it cannot be"):
        try:
            repo.get_workflow(end["workflow"]).create_dispatch(repo.default_branch, throw=True)
        except GithubException as refused:
            same(refused.status, 422, "status")


def until(ready, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if ready():
            return
        time.sleep(0.2)
    raise AssertionError(f"not seen within {seconds} s: {what}")


KINDS = {"kubernetes": with_kubernetes, "mlflow": with_mlflow, "prometheus": with_prometheus, "github": with_github, "github_acts": with_github_acts}


def main():
    path, *kinds = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        ends = json.load(file)
    for kind in kinds:
        KINDS[kind](ends[kind])


if __name__ == "__main__":
    main()
