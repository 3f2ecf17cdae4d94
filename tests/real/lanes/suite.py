"""One suite, two worlds: every cluster case in the demo world and on the real plane.

A case is a file under `suite/cases`; what it may hold is told in
`suite/README.md`. Both worlds must do what the case says, and must look the
same after every step. Where they part, the demo world is wrong and is mended;
what has to stay is listed in `suite/differences.toml` or in the case, with why.
"""

import concurrent.futures
import os
import tomllib

from support.bench import REAL
from support.cockpit import private
from suite.case import Case
from suite.picture import differences, excused
from suite.play import Play
from suite.worlds import Demo, Real

# Cases under way at the same time; most of their time is waiting.
SIDE_BY_SIDE = 8


def lane(bench):
    gonogo = bench.gonogo()
    names = os.environ.get("SUITE", "").split()
    only = os.environ.get("SUITE_WORLD", "")
    cases = Case.all(names)
    worlds = []
    if only != "real":
        with bench.check("the demo world starts", must=True):
            worlds.append(Demo(bench, gonogo, cases))
    if only != "demo":
        with bench.check("the real plane starts", must=True):
            worlds.append(Real(bench, cases))
    plays = {}
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for case in cases:
            for world in playing(case, worlds):
                folder = bench.folder / "suite" / case.name / world.name
                play = Play(case, world, gonogo, private(folder / "home"), folder)
                plays[(case.name, world.name)] = pool.submit(play.run)
    used = set()
    listed = tomllib.loads((REAL / "suite" / "differences.toml").read_text(encoding="utf-8"))
    everywhere = listed["differs"]
    for case in cases:
        those = playing(case, worlds)
        played = [plays[(case.name, world.name)].result() for world in those]
        if played:
            judge(bench, case, those, played, everywhere, used)
    tell_differences(bench, used)
    for case in cases:
        if case.balancer:
            bench.say(f"  on the real plane alone: {case.name}: {listed['balancer']['why']}")
    for entry in listed["not_compared"]:
        bench.say(f"  not compared: {entry['objects']}: {entry['why']}")


def playing(case, worlds):
    """The worlds that can play a case."""
    return [world for world in worlds if world.name == "real" or not case.balancer]


def judge(bench, case, worlds, played, everywhere, used):
    """One check: both worlds did what the case says and look the same after each step."""
    seconds = ", ".join(f"{world.name} {one.seconds:.0f} s" for world, one in zip(worlds, played))
    nudged = "".join(f", {one.nudges} nudged on {world.name}" for world, one in zip(worlds, played) if one.nudges)
    with bench.check(f"{case.name}: {case.title} ({seconds}{nudged})"):
        trouble = [one.trouble for one in played if one.trouble]
        if len(played) == 2:
            trouble += parted(case, played, everywhere, used)
        if trouble:
            raise AssertionError("\n".join(trouble))


def parted(case, played, everywhere, used):
    """Where the two worlds look different after a step, in words; what is listed is noted."""
    told = []
    nudged = played[0].nudges != played[1].nudges
    everywhere = [entry for entry in everywhere if nudged or not entry.get("nudged")]
    for (number, step, demo), (_, _, real) in zip(played[0].pictures, played[1].pictures):
        if demo is None or real is None:
            continue
        for found in differences(demo, real):
            entry = excused(found, case.differs) or excused(found, everywhere)
            if entry is not None:
                used.add((case.name if entry in case.differs else "", entry["object"], entry["pointer"], entry["why"]))
                continue
            name, pointer, one, other = found
            told.append(f"after step {number} ({step.does}): {name} {pointer}: demo {one!r}, real {other!r}")
    return told


def tell_differences(bench, used):
    """Prints what differs and may stay."""
    for case, name, pointer, why in sorted(used):
        where = f" in {case}" if case else ""
        bench.say(f"  stays{where}: {name} {pointer}: {why}")
