"""What happens when a Rollout is deleted, or made anew under its name, while its sheet is open in the cockpit.

Nothing may be sent on the strength of what was read before: neither to nobody
nor to the one that has the name now.
"""

import concurrent.futures
import re
import time

from support.bench import eventually, expect, same
from support.cockpit import Cockpit, cluster_config
from support.say import Failed

from lanes import dying

NAMESPACE = "gone"
# The letter a sheet asks for, once its keys are awake.
LETTER = re.compile(r"press\s+(\w)\s+to abort now(?!.*keys wake)")
OFF = "no letter while it cannot be sent"


def checks(bench, gonogo):
    plane = bench.plane()
    api = plane.admin
    api.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    names = ("deleted", "anew")
    with bench.check("two Rollouts stand at their pause, each with its cockpit", must=True):
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda name: dying.stand(plane, name, NAMESPACE), names))
    deleted(bench, Sheet(bench, plane, gonogo, "deleted"))
    anew(bench, Sheet(bench, plane, gonogo, "anew"))


class Sheet:
    """One Rollout, a cockpit that knows nothing else, and the sheet that is open in it."""

    def __init__(self, bench, plane, gonogo, name):
        self.plane, self.name = plane, name
        places = [("web", "rollout", "prod", NAMESPACE, name)]
        text = cluster_config(plane.kubeconfig("release-manager"), places)
        self.cockpit = Cockpit(gonogo, bench.folder, f"gone-{name}", text)
        self.path = f"{dying.ROLLOUTS.format(NAMESPACE)}/{name}"

    def open(self, key):
        """Opens a sheet; its letter. Who presses too early sees none and presses again."""
        for last in (False, False, True):
            self.terminal.press(key)
            try:
                return self.terminal.until("a sheet with its letter", 10 if last else 3, self.letter)
            except Failed:
                if last or "to abort now" in self.terminal.screen.text():
                    raise

    @staticmethod
    def letter(text):
        """The letter the screen asks for now."""
        found = LETTER.search(text)
        return found and found[1]

    def delete(self):
        """Somebody deletes the Rollout."""
        same(self.plane.admin.request("DELETE", self.path).status, 200, "status of deleting it")

    def no_sets(self):
        """Whether nothing is left of what belonged to it."""
        sets = self.plane.admin.get(f"/apis/apps/v1/namespaces/{NAMESPACE}/replicasets?labelSelector=app={self.name}")
        return not sets["items"]

    def press(self, letter):
        """Types what was read before, and gives it the time to do harm."""
        self.terminal.press(letter)
        end = time.monotonic() + 3
        self.terminal.until("what follows", 5, lambda _: end < time.monotonic())

    def sent(self):
        """What gonogo sent, nudges apart, as `(uid it was meant for, code)`."""
        return [(tested(body), code) for body, code in dying.sent(self.plane, self.name, NAMESPACE)]

    def lines(self):
        """The ledger as `(type, verb, outcome)`."""
        return [(line["type"], line["verb"], line.get("outcome")) for line in self.cockpit.lines()]


def tested(body):
    """The uid a JSON patch insists on."""
    return next((one["value"] for one in body if one["op"] == "test" and one["path"] == "/metadata/uid"), None)


def deleted(bench, sheet):
    sheet.terminal = sheet.cockpit.open()
    try:
        with bench.check("a Rollout is deleted under its open sheet: the sheet takes its letter away, and says why"):
            sheet.terminal.until("the row", 60, lambda text: "canary" in text and "web" in text)
            letter = sheet.open("B")
            sheet.delete()
            began = time.monotonic()
            sheet.terminal.until("no letter", 20, lambda text: not LETTER.search(text))
            after = time.monotonic() - began
            seen = sheet.terminal.screen.text()
            expect(OFF in seen, f"it does not say that it cannot be sent:\n{seen}")
            why = [line.strip() for line in seen.splitlines() if "no rollout" in line or "not found" in line or "gone" in line]
            bench.say(f"       after {after:.2f} s: {' | '.join(why)[:300]}")
        with bench.check("the letter of before sends nothing, and the ledger claims nothing"):
            sheet.press(letter)
            same((sheet.sent(), sheet.lines()), ([], []), "sent, and the ledger")
        with bench.check("a command on it says that there is nothing to act on"):
            code, out, err = sheet.cockpit.run("abort", "web", "--yes", "--timeout", "5s")
            expect(code in (4, 5), f"code {code}: {out[-600:]} {err[-600:]}")
            same(sheet.sent(), [], "sent")
            expect(("intent", "abort", None) not in sheet.lines(), f"the ledger: {sheet.lines()}")
            bench.say(f"       code {code}: {' '.join((out + err).split())[:200]}")
    finally:
        sheet.terminal.stop()


def anew(bench, sheet):
    plane = sheet.plane
    sheet.terminal = sheet.cockpit.open()
    try:
        with bench.check("one is deleted and made anew, to the same step of the same image: the letter of before sends nothing"):
            sheet.terminal.until("the row", 60, lambda text: "canary" in text and "web" in text)
            old = plane.admin.get(sheet.path)
            letter = sheet.open("B")
            sheet.delete()
            # Else their names would be taken, and the new revisions get other ones.
            eventually("its sets are gone", 60, sheet.no_sets)
            dying.stand(plane, sheet.name, NAMESPACE)
            new = plane.admin.get(sheet.path)
            keys = ("currentPodHash", "currentStepIndex", "stableRS")
            same([new["status"].get(key) for key in keys], [old["status"].get(key) for key in keys], "revision and step of the new one")
            expect(new["metadata"]["uid"] != old["metadata"]["uid"], "it is the same object")
            # It is offered again, with another letter.
            other = sheet.terminal.until("another letter", 30, lambda text: (seen := sheet.letter(text)) != letter and seen)
            moved = [line.strip() for line in sheet.terminal.screen.text().splitlines() if "moved" in line or "changed" in line]
            bench.say(f"       letter {letter}, then {other}: {' | '.join(moved)[:300]}")
            sheet.press(letter)
            same((sheet.sent(), sheet.lines()), ([], []), "sent, and the ledger")
        with bench.check("a sheet that is opened on the new one acts on it, once"):
            sheet.terminal.press("\x1b")
            sheet.terminal.until("no sheet", 10, lambda text: not sheet.letter(text))
            sheet.terminal.press(sheet.open("B"))
            sheet.terminal.until("the outcome", 40, lambda _: ("outcome", "abort", "confirmed") in sheet.lines())
            same(sheet.sent(), [(new["metadata"]["uid"], 200)], "sent")
            same(plane.admin.get(sheet.path)["status"].get("abort"), True, "abort of the new one")
            sheet.cockpit.must(0, "audit", "verify")
    finally:
        sheet.terminal.stop()
