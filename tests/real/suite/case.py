"""Reads a case: manifests, then steps, each with what must follow from it.

The form is told in README.md. It is strict: a key nobody knows is an error, so
that a typo is not a check that never runs.
"""

import json
import pathlib
import re
import tomllib

from support.say import Failed

CASES = pathlib.Path(__file__).resolve().parent / "cases"

CASE_KEYS = {"title", "why", "manifests", "kind", "config", "step", "differs", "balancer"}
STEP_KEYS = {
    "does",
    "image",
    "patch",
    "metric",
    "ready",
    "pause",
    "gonogo",
    "code",
    "says",
    "stagger",
    "request",
    "state",
    "within",
    "compare",
}
ACTIONS = ("image", "patch", "metric", "ready", "pause", "gonogo")
JSON_PATCH = "application/json-patch+json"


class Request:
    """One change gonogo must send: where to, in which form, and the body as JSON."""

    def __init__(self, where, raw):
        _known(where, raw, {"to", "type", "seen", "body"})
        self.resource, _, self.part = raw["to"].partition("/")
        self.content_type = raw.get("type", JSON_PATCH)
        try:
            self.body = json.loads(raw["body"])
        except ValueError as why:
            raise Failed(f"{where}: `body` is not JSON: {why}") from why
        if self.content_type == JSON_PATCH:
            self.body = [_test(where, one) for one in raw.get("seen", [])] + self.body

    def told(self):
        """As data, to compare with what a world's API server saw."""
        return {"verb": "patch", "resource": self.resource, "part": self.part, "content_type": self.content_type, "body": self.body}


class Step:
    """One thing that happens, and what must follow."""

    def __init__(self, where, raw):
        _known(where, raw, STEP_KEYS)
        actions = [action for action in ACTIONS if action in raw]
        if len(actions) > 1:
            raise Failed(f"{where}: {' and '.join(actions)} in one step; write one step for each")
        self.does = raw["does"]
        self.action = actions[0] if actions else None
        self.what = raw[self.action] if self.action else None
        self.codes = raw.get("code", 0)
        self.says = raw.get("says", [])
        self.stagger = raw.get("stagger")
        self.requests = [Request(where, one) for one in raw.get("request", [])]
        self.state = {}
        for address, value in raw.get("state", {}).items():
            name, _, pointer = address.rpartition(" ")
            if not name or not pointer.startswith("/"):
                raise Failed(f"{where}: `{address}` is not an object and a pointer")
            self.state[(name, pointer)] = value
        self.within = raw.get("within", 30)
        self.compare = raw.get("compare", True)


class Case:
    """A file of `cases/`; its name is its namespace in both worlds."""

    def __init__(self, path):
        self.name = path.stem
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
        _known(self.name, raw, CASE_KEYS)
        self.title = raw["title"]
        self.kind = raw.get("kind", "rollout")
        self.config = raw.get("config")
        self.manifests = [text for text in re.split(r"^---$", raw["manifests"], flags=re.M) if text.strip()]
        self.steps = [Step(f"{self.name}, step {number}", one) for number, one in enumerate(raw["step"], 1)]
        self.differs = raw.get("differs", [])
        self.balancer = raw.get("balancer", False)

    @staticmethod
    def all(names=None):
        """Every case, or those named, in the order of their files."""
        found = {path.stem: path for path in sorted(CASES.glob("*.toml"))}
        unknown = [name for name in names or () if name not in found]
        if unknown:
            raise Failed(f"no case `{unknown[0]}`; there are: {', '.join(found)}")
        return [Case(path) for name, path in found.items() if not names or name in names]


def _test(where, seen):
    """The operation that refuses the whole patch unless this still holds."""
    what, _, value = seen.partition(" ")
    known = {
        "uid": ("/metadata/uid", "{uid}"),
        "generation": ("/metadata/generation", "{generation}"),
        "hash": ("/status/currentPodHash", f"{{{value}}}"),
        "step": ("/status/currentStepIndex", int(value) if value.isdigit() else value),
    }
    if what not in known:
        raise Failed(f"{where}: `seen` knows no `{what}`; known are {', '.join(known)}")
    path, value = known[what]
    return {"op": "test", "path": path, "value": value}


def _known(where, raw, keys):
    strange = sorted(set(raw) - keys)
    if strange:
        raise Failed(f"{where}: unknown key `{strange[0]}`; known are {', '.join(sorted(keys))}")
