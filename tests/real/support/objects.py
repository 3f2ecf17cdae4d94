"""The objects that lanes and captures create: Rollouts, Deployments, templates."""

ROLLOUT_PATH = "/apis/argoproj.io/v1alpha1/namespaces/default/rollouts"
TEMPLATE_PATH = "/apis/argoproj.io/v1alpha1/namespaces/default/analysistemplates"
DEPLOYMENT_PATH = "/apis/apps/v1/namespaces/default/deployments"


def pod_template(app, image):
    """A pod that KWOK runs on its only node."""
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {
            "nodeName": "kwok-0",
            "containers": [{"name": "app", "image": image, "ports": [{"containerPort": 8080}]}],
        },
    }


def rollout(name, steps, replicas=4, image=None, strategy=None, **spec):
    """A canary Rollout whose only container is called `app`."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Rollout",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "revisionHistoryLimit": 5,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(name, image or f"registry.test/{name}:v1"),
            "strategy": strategy or {"canary": {"maxSurge": 1, "maxUnavailable": 0, "steps": steps}},
            **spec,
        },
    }


def deployment(name, replicas=4, image=None, **spec):
    """A Deployment with kubectl's default strategy."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": pod_template(name, image or f"registry.test/{name}:v1"),
            **spec,
        },
    }


def web_template(name, condition="result < 0.05", **metric):
    """An AnalysisTemplate that asks the web provider for an error rate."""
    return _template(
        name,
        {
            "name": "error-rate",
            "interval": "2s",
            "count": 3,
            "failureLimit": 0,
            "successCondition": condition,
            **metric,
            "provider": {
                "web": {"url": "{{args.url}}/error-rate", "jsonPath": "{$.errorRate}", "timeoutSeconds": 3}
            },
        },
    )


def prometheus_template(name):
    """An AnalysisTemplate that asks the Prometheus provider for a latency."""
    return _template(
        name,
        {
            "name": "p99-latency",
            "interval": "2s",
            "count": 3,
            "failureLimit": 1,
            "successCondition": "result[0] < 0.5",
            "provider": {
                "prometheus": {
                    "address": "{{args.url}}",
                    "query": "histogram_quantile(0.99, rate(latency_bucket[1m]))",
                }
            },
        },
    )


def _template(name, metric):
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "AnalysisTemplate",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"args": [{"name": "url"}], "metrics": [metric]},
    }


def analysis_step(template, url):
    """A canary step that runs an AnalysisTemplate against `url`."""
    return {"analysis": {"templates": [{"templateName": template}], "args": [{"name": "url", "value": url}]}}
