"""A small Kubernetes client for tests: plain requests, nothing retried, nothing cached."""

import base64
import http.client
import json
import pathlib
import ssl
import tempfile
import threading
import time
import urllib.parse

from .say import Failed

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
ROLLOUTS = "/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts"


class Answer:
    """One answer: status, headers and the body as text and, where it is JSON, as data."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.text = body.decode("utf-8", errors="replace")
        try:
            self.data = json.loads(self.text)
        except ValueError:
            self.data = None


class Api:
    """Requests to one API server with one persona's credentials.

    With `kept` one connection serves all requests, which then must come from one
    thread; without it each request has a fresh one.
    """

    def __init__(self, server, token=None, context=None, kept=False):
        self.server = server
        self.kept = kept
        self._open = None
        address = urllib.parse.urlsplit(server)
        self.secure = address.scheme == "https"
        self.host, self.port = address.hostname, address.port
        self.token = token
        self.context = context

    @classmethod
    def kept_like(cls, other):
        """Another client with the same credentials that keeps one connection of its own."""
        return cls(other.server, other.token, other.context, kept=True)

    @classmethod
    def of_kubeconfig(cls, kubeconfig):
        """A client for the only cluster and user of a kubeconfig written as JSON."""
        config = json.loads(pathlib.Path(kubeconfig).read_text(encoding="utf-8"))
        cluster = config["clusters"][0]["cluster"]
        user = config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        if "client-certificate-data" in user:
            with tempfile.NamedTemporaryFile("wb", suffix=".pem") as pem:
                pem.write(base64.b64decode(user["client-certificate-data"]))
                pem.write(base64.b64decode(user["client-key-data"]))
                pem.flush()
                context.load_cert_chain(pem.name)
        return cls(cluster["server"], user.get("token"), context)

    def connection(self, timeout=30):
        """A fresh connection; the caller closes it."""
        if self.secure:
            return http.client.HTTPSConnection(self.host, self.port, timeout=timeout, context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=timeout)

    def headers(self, extra=None):
        """The headers of a request, credentials included."""
        given = {"Accept": "application/json"}
        if self.token:
            given["Authorization"] = f"Bearer {self.token}"
        given.update(extra or {})
        return given

    def request(self, method, path, body=None, content_type="application/json", headers=None):
        """Sends once and returns whatever was answered."""
        extra = dict(headers or {})
        data = None
        if body is not None:
            data = body if isinstance(body, (bytes, str)) else json.dumps(body)
            extra["Content-Type"] = content_type
        connection = self._open or self.connection()
        self._open = None
        try:
            connection.request(method, path, data, self.headers(extra))
            answer = connection.getresponse()
            whole = Answer(answer.status, dict(answer.getheaders()), answer.read())
        except BaseException:
            connection.close()
            raise
        if self.kept:
            self._open = connection
        else:
            connection.close()
        return whole

    def get(self, path):
        """The object at a path; anything but 200 is a failure."""
        answer = self.request("GET", path)
        if answer.status != 200:
            raise Failed(f"GET {path}: {answer.status} {answer.text[:300]}")
        return answer.data

    def create(self, path, body):
        """Creates an object; anything but 201 is a failure."""
        answer = self.request("POST", path, body)
        if answer.status != 201:
            raise Failed(f"POST {path}: {answer.status} {answer.text[:300]}")
        return answer.data

    def json_patch(self, path, operations):
        """Sends an RFC 6902 patch."""
        return self.request("PATCH", path, operations, JSON_PATCH)

    def merge_patch(self, path, body):
        """Sends an RFC 7386 patch."""
        return self.request("PATCH", path, body, MERGE_PATCH)

    def until(self, path, what, seconds, ready):
        """Polls an object until `ready(object)`; returns it as it was then."""
        deadline = time.monotonic() + seconds
        seen = None
        while time.monotonic() < deadline:
            answer = self.request("GET", path)
            if answer.status == 200:
                seen = answer.data
                if ready(seen):
                    return seen
            time.sleep(0.02)
        raise Failed(f"not seen within {seconds} s: {what}\nlast: {json.dumps((seen or {}).get('status'))}")

    def settled(self, path, quiet=1.1, seconds=60):
        """Waits until an object has not changed for `quiet` seconds and returns it."""
        deadline = time.monotonic() + seconds
        version, since = None, time.monotonic()
        while time.monotonic() < deadline:
            seen = self.get(path)
            if seen["metadata"]["resourceVersion"] != version:
                version, since = seen["metadata"]["resourceVersion"], time.monotonic()
            elif quiet < time.monotonic() - since:
                return seen
            time.sleep(0.05)
        raise Failed(f"{path} kept changing for {seconds} s")


class Watch(threading.Thread):
    """Collects the events of a watch, each with the seconds since it was opened."""

    def __init__(self, api, path):
        super().__init__(daemon=True)
        self.api = api
        self.path = path
        self.events = []
        self.status = None
        self.ended = threading.Event()
        self.opened = threading.Event()
        self.began = time.monotonic()

    def run(self):
        connection = self.api.connection(timeout=120)
        try:
            connection.request("GET", self.path, headers=self.api.headers())
            answer = connection.getresponse()
            self.status = answer.status
            self.opened.set()
            for line in answer:
                if line.strip():
                    self.events.append((time.monotonic() - self.began, json.loads(line)))
        except (OSError, http.client.HTTPException):
            # The server may be stopped under an open watch; what came before counts.
            pass
        finally:
            self.opened.set()
            self.ended.set()
            connection.close()
