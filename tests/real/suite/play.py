"""Plays one case in one world and notes what it came to."""

import concurrent.futures
import json
import shlex
import time

from support.bench import run
from support.kube import Api
from support.say import Failed

from suite.picture import MORE_PATHS, PATHS, Look, at, differences, picture, retold

# Nothing has changed for so long: the controllers have nothing more to do by themselves.
QUIET = 1.1
# An outside change after which nothing at all moves for so long was overlooked, and is shown again.
OVERLOOKED = 8
REPOSITORY = "registry.test/web"


class Played:
    """What became of a case in one world."""

    def __init__(self):
        self.pictures = []
        self.seconds = 0.0
        self.trouble = None
        self.nudges = 0


class Play:
    """One case under way in one world."""

    def __init__(self, case, world, gonogo, env, folder):
        self.case, self.world, self.gonogo, self.env = case, world, gonogo, env
        self.folder = folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = folder / "gonogo.toml"
        group, plural = PATHS[case.kind]
        self.target = f"{group}/namespaces/{case.name}/{plural}/web"
        self.played = Played()
        # A connection of its own: cases run side by side.
        self.api = Api.kept_like(world.admin)

    def run(self):
        """Plays to the end or to the first thing that is not as it must be."""
        began = time.monotonic()
        step = None
        try:
            self.config.write_text(self.world.config(self.case), encoding="utf-8")
            self.world.create(self.case)
            for number, step in enumerate(self.case.steps, 1):
                self.step(number, step)
        except Exception as why:  # noqa: BLE001  whatever a play raises is why the case failed
            kind = "" if isinstance(why, Failed) else f"{type(why).__name__}: "
            place = f"step {number} ({step.does})" if step else "start"
            self.played.trouble = f"{self.world.name}, {place}: {kind}{why}"
        self.played.seconds = time.monotonic() - began
        return self.played

    def step(self, number, step):
        before = len(self.world.sent(self.case.name))
        if step.action:
            getattr(self, f"do_{step.action}")(step)
        look = self.reach(step)
        told = picture(look, self.case.kind)
        (self.folder / f"picture-{number}.json").write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")
        self.requests(step, before, look)
        self.played.pictures.append((number, step, told if step.compare else None))

    # ------------------------------------------------------------ what happens

    def do_image(self, step):
        value = f"{REPOSITORY}:{step.what}"
        operation = {"op": "replace", "path": "/spec/template/spec/containers/0/image", "value": value}
        self.must(self.api.json_patch(self.target, [operation]))

    def do_patch(self, step):
        kind, name = step.what.get("object", f"{self.case.kind} web").split(" ", 1)
        group, plural = {**PATHS, **MORE_PATHS}[kind]
        path = f"{group}/namespaces/{self.case.name}/{plural}/{name}"
        part = f"/{step.what['part']}" if "part" in step.what else ""
        self.must(self.api.merge_patch(path + part, json.loads(step.what["merge"])))

    @staticmethod
    def do_pause(step):
        time.sleep(step.what)

    def do_metric(self, step):
        self.world.metric(self.case.name, step.what)

    def do_ready(self, step):
        word = "True" if step.what["ready"] else "False"
        for pod in self.api.get(f"/api/v1/namespaces/{self.case.name}/pods")["items"]:
            container = pod["spec"]["containers"][0]
            if not container["image"].endswith(f":{step.what['tag']}"):
                continue
            status = {
                "phase": "Running",
                "conditions": [{"type": kind, "status": word, "lastTransitionTime": _now()} for kind in ("Ready", "ContainersReady")],
                "containerStatuses": [
                    {
                        "name": container["name"],
                        "image": container["image"],
                        "imageID": "",
                        "ready": step.what["ready"],
                        "restartCount": 0,
                        "state": {"running": {"startedAt": _now()}},
                    }
                ],
            }
            name = pod["metadata"]["name"]
            path = f"/api/v1/namespaces/{self.case.name}/pods/{name}/status"
            self.must(self.api.merge_patch(path, {"status": status}))

    def do_gonogo(self, step):
        words = step.what if isinstance(step.what, list) else [step.what]
        codes = step.codes if isinstance(step.codes, list) else [step.codes]
        if step.stagger is None:
            ran = [self.command(line, 0) for line in words]
        else:
            with concurrent.futures.ThreadPoolExecutor(len(words)) as pool:
                starts = [pool.submit(self.command, line, place * step.stagger) for place, line in enumerate(words)]
                ran = [start.result() for start in starts]
        for line, code, (seen, out, err) in zip(words, codes, ran, strict=True):
            with open(self.folder / "said.txt", "a", encoding="utf-8") as said:
                said.write(f"$ gonogo {line}\n{out}{err}= {seen}\n")
            if seen != code:
                raise Failed(f"`gonogo {line}` ended with {seen}, not {code}: {out[-700:]} {err[-700:]}")
        told = "".join(out + err for _, out, err in ran)
        for text in step.says:
            if text not in told:
                raise Failed(f"nothing says `{text}`: {told[-1400:]}")

    def command(self, line, after):
        """Runs one command line some seconds from now."""
        time.sleep(after)
        return run(self.gonogo, "--config", self.config, *shlex.split(line), env=self.env, timeout=90)

    @staticmethod
    def must(answer):
        if answer.status >= 300:
            raise Failed(f"an outside change was refused: {answer.status} {answer.text[:300]}")

    # ------------------------------------------------------------ what follows

    def reach(self, step):
        """Waits until the state of a step has come and, unless it moves on by itself, stays."""
        began = time.monotonic()
        nudged = False
        still_since, versions = None, None
        while True:
            look = Look(self.api, self.case.name, {self.world.prometheus: "{prometheus}"})
            told = picture(look, self.case.kind)
            wrong = self.wrong(step, told)
            now = time.monotonic()
            if look.versions != versions:
                versions, still_since = look.versions, now
            if not wrong and (not step.compare or QUIET < now - still_since):
                return look
            if step.within < now - began:
                moving = "" if wrong else "it is as it should be but never stands still; "
                raise Failed(f"not so within {step.within} s: {moving}{'; '.join(wrong)}")
            if wrong and not nudged and OVERLOOKED < now - still_since and step.action in ("image", "patch"):
                nudged = True
                self.played.nudges += 1
                self.api.merge_patch(self.target, {"metadata": {"annotations": {"suite/nudge": str(now)}}})
            time.sleep(0.2)

    def wrong(self, step, told):
        """What is not as the step says, in words."""
        wrong = []
        for (name, pointer), wanted in step.state.items():
            seen = at(told, name, pointer)
            if seen != wanted:
                wrong.append(f"{name} {pointer} is {json.dumps(seen)}, not {json.dumps(wanted)}")
        return wrong

    def requests(self, step, before, look):
        """Exactly the requests of the step were sent, each once; nudges apart."""
        words = look.words(self.case.kind)
        sent = self.world.sent(self.case.name)[before:]
        nudges = [one for one in sent if _is_nudge(one)]
        kept = [one for one in sent if not _is_nudge(one)]
        self.played.nudges += len(nudges)
        if len(nudges) > len(kept):
            raise Failed(f"{len(nudges)} nudges for {len(kept)} requests")
        for one in kept:
            if one["query"] != "fieldManager=gonogo":
                raise Failed(f"the query of a request is `{one['query']}`")
            if one["code"] >= 300:
                raise Failed(f"a request was answered {one['code']}: {json.dumps(one['body'])}")
        seen = [_told(one, words) for one in kept]
        wanted = [one.told() for one in step.requests]
        if len(seen) != len(wanted):
            raise Failed(f"wanted {len(wanted)} requests, saw {len(seen)}: {json.dumps(seen)}")
        numbered = [{f"request {number}": one for number, one in enumerate(all_, 1)} for all_ in (wanted, seen)]
        wrong = [f"{name} {pointer}: wanted {one!r}, saw {other!r}" for name, pointer, one, other in differences(*numbered)]
        if wrong:
            raise Failed("; ".join(wrong))


def _now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def _told(one, words):
    """A request as a case writes it."""
    told = {key: retold(value, words) for key, value in one.items() if key not in ("query", "code")}
    for operation in told["body"] if isinstance(told["body"], list) else []:
        if operation["path"] == "/metadata/generation":
            operation["value"] = "{generation}"
    return told


def _is_nudge(one):
    body = one["body"]
    notes = body.get("metadata", {}).get("annotations", {}) if isinstance(body, dict) else {}
    return "gonogo.dev/nudge" in notes

