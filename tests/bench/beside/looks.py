"""Figures of looking: start, event to screen, memory, processor, requests."""

import datetime
import random
import time

from support.cockpit import Aside
from support.kube import Api
from support.say import step

from beside.meter import Churn, Counted, Drain, ending, memory, shares
from beside.stage import tick
from beside.tools import through

# Longer than anything that is not lost takes.
LOST = 4
# What a tool does once it has shown its first data is over by then.
SETTLED = 5
RATES = (60, 200)
# Connections that bring a rate about together.
HANDS = 2


def starts(world, tools, namespace, count, repeats):
    """Milliseconds from start to first data, of each tool, by turns."""
    took = {tool: [] for tool in tools}
    for _ in range(repeats):
        for tool in tools:
            with ending([tool.open(world.kubeconfig(tool), namespace, count)]) as (sitting,):
                took[tool].append(sitting.live())
    return took


def events(world, tool, namespace, count):
    """Milliseconds until a change is on the screen, from when the API server answered it and from when it received it, and how many never came there.

    Both moments are the server's own, out of its audit log; the screen's is when the bytes came out of the terminal.
    """
    api = Api.kept_like(world.plane.admin)
    shown = {}
    # The same spacing for everybody.
    pauses = random.Random(4)
    with ending([tool.open(world.kubeconfig(tool), namespace)]) as (sitting,):
        sitting.live()
        sitting.calm(2)
        tool.focus(sitting)
        offset = time.time() - time.monotonic()
        for _ in range(count):
            sitting.calm(min(1.5, 0.04 + pauses.expovariate(3)))
            number = world.next()
            sending = Aside(lambda number=number: tick(api, namespace, number))
            shown[number] = sitting.shown(tool.event(number), LOST)
            sending.result(10)
    step(f"{tool}: {count} changes looked at")
    changes = {event["requestObject"]["status"]["message"]: event for event in world.plane.sent("admin") if of_tick(event)}
    told = []
    for key in ("stageTimestamp", "requestReceivedTimestamp"):
        pairs = [(at + offset, changes[f"tick {number}"]) for number, at in shown.items() if at is not None]
        told.append([(at - moment(event, key)) * 1000 for at, event in pairs])
    return *told, len(shown) - len(told[0])


def of_tick(event):
    """Whether it is a change that is looked for on screens."""
    body = event.get("requestObject")
    status = body.get("status") if isinstance(body, dict) else None
    return str((status or {}).get("message")).startswith("tick ")


class Idle:
    """What one tool took while nothing happened."""

    def __init__(self, share, memory_now, first, minute):
        self.share = share
        self.memory = memory_now
        # Requests and bytes from its start until it had settled, and per minute after that.
        self.first = first
        self.minute = minute


def idle(world, tools, namespace, count, seconds):
    """All tools at once, each over a wire of its own, while nothing changes."""
    wires, sittings = [], []
    began = time.time()
    for tool in tools:
        wires.append(Counted(world.plane.admin.port))
        kubeconfig = through(world.kubeconfig(tool), wires[-1], world.folder)
        sittings.append(tool.open(kubeconfig, namespace, count))
        sittings[-1].live()
    with ending(sittings):
        drain = Drain(sittings)
        time.sleep(SETTLED)
        drain.stop()
        settled, first = time.time(), [wire.bytes for wire in wires]
        percent = shares(sittings, seconds)
        over, then = time.time(), [wire.bytes for wire in wires]
        held = [memory(sitting.pid) for sitting in sittings]
    for wire in wires:
        wire.close()
    step(f"{namespace}: idle for {seconds} s")
    told = {}
    for place, tool in enumerate(tools):
        mine = [moment(event) for event in world.plane.asked(tool.persona) if event.get("userAgent", "").startswith(tool.agent)]
        at_first = sum(began <= at < settled for at in mine)
        per_minute = sum(settled <= at < over for at in mine) * 60 / seconds
        more = (then[place] - first[place]) * 60 / seconds
        told[tool] = Idle(percent[place], held[place], (at_first, first[place]), (per_minute, more))
    return told


def moment(event, key="requestReceivedTimestamp"):
    """When the API server received a request, or another moment of it."""
    return datetime.datetime.fromisoformat(event[key]).timestamp()


def busy(world, tool, namespace, count, seconds):
    """Percent of one core at each rate of changes, alone with the server: `{rate: (percent, rate reached, MB)}`."""
    hands = [Api.kept_like(world.plane.admin) for _ in range(HANDS)]
    changes = [lambda api=api: tick(api, namespace, world.next()) for api in hands]
    told = {}
    with ending([tool.open(world.kubeconfig(tool), namespace, count)]) as (sitting,):
        sitting.live()
        sitting.calm(2)
        for rate in RATES:
            churn = Churn(rate, changes)
            try:
                sitting.calm(1)
                (percent,) = shares([sitting], seconds)
            finally:
                reached = churn.stop()
            told[rate] = (percent, reached, memory(sitting.pid)[0])
            sitting.calm(1)
    step(f"{tool}: " + ", ".join(f"{percent:.1f} % at {reached:.0f}/s" for percent, reached, _ in told.values()))
    return told

