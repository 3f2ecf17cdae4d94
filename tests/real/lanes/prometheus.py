"""A real Prometheus tells empty, zero, NaN and wrong apart as the adapter expects."""

import json
import urllib.error
import urllib.parse
import urllib.request

from support.adapters import adapters
from support.bench import eventually, expect, same
from support.exporter import Exporter
from support.official import official


def lane(bench):
    exporter = Exporter()
    bench.later(exporter.close)
    with bench.check("Prometheus starts and scrapes the exporter", must=True):
        url = bench.prometheus("prometheus-alone", {"service": (exporter.address, "/metrics", None)})
        eventually(
            "a rate over two scrapes", 20, lambda: query(url, "sum(rate(requests_total[10s]))")["data"]["result"]
        )
    with bench.check("what the exporter is driven to is what a query gives"):
        exporter.drive("canary", latency=0.6)
        text = 'histogram_quantile(0.95, sum by (le) (rate(request_seconds_bucket{track="canary"}[5s])))'
        eventually("a p95 above 0.8 s", 30, lambda: 0.8 < float(query(url, text)["data"]["result"][0]["value"][1]))
    with bench.check("no series is an empty vector, not zero"):
        same(query(url, "nothing_here")["data"]["result"], [], "result")
    with bench.check("zero over zero is the word NaN"):
        text = 'sum(rate(requests_total{track="nobody"}[5s]) or vector(0)) / 0'
        value = query(url, text)["data"]["result"][0]["value"][1]
        same(value, "NaN", "value")
    with bench.check("two tracks without an aggregate are two series"):
        same(len(query(url, "request_seconds_count")["data"]["result"]), 2, "series")
    with bench.check("a query that cannot be read is 400 bad_data"):
        status, body = answer(url, "sum(")
        same((status, body["errorType"]), (400, "bad_data"), "answer")
    with bench.check("a many-to-many match is 422 execution"):
        status, body = answer(url, "request_seconds_bucket * on(track) request_seconds_bucket")
        same((status, body["errorType"]), (422, "execution"), "answer")
    with bench.check("values carry the time of the question, not of the scrape"):
        body = query(url, "request_seconds_count", time="1700000000")
        same(body["data"]["result"], [], "long before the first scrape")
        sample = query(url, "timestamp(request_seconds_count)")["data"]["result"][0]["value"]
        expect(float(sample[1]) <= sample[0], f"the scrape is not older than the question: {sample}")
    eventually("a rate over several seconds", 30, lambda: 9 <= count(url))
    adapters(bench, "a_real_prometheus", {"GONOGO_REAL_PROMETHEUS": url})
    end = {"url": url, "query": "sum(rate(requests_total[5s]))", "span": 40}
    official(bench, bench.folder, "prometheus-ends", {"prometheus": end})


def count(url):
    """How often the exporter was scraped."""
    found = query(url, "count_over_time(up[5m])")["data"]["result"]
    return int(found[0]["value"][1]) if found else 0


def query(url, text, **more):
    status, body = answer(url, text, **more)
    same(status, 200, f"status of `{text}`")
    return body


def answer(url, text, **more):
    path = f"{url}/api/v1/query?{urllib.parse.urlencode({'query': text, **more})}"
    try:
        with urllib.request.urlopen(path, timeout=10) as told:
            return told.status, json.loads(told.read())
    except urllib.error.HTTPError as refused:
        return refused.code, json.loads(refused.read())
