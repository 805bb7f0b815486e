"""messages.py - calls and channels between functions, beside NATS, Redis and plain NNG between processes."""
# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
from pathlib import Path

from harness.apps import make_app
from harness.node import Node
from macro.counter import TARGET, Stead
from macro.load import wrk
from macro.peers import Peer, Redis
from macro.report import Report, note

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VISITS = 3  # each case is measured so often for a third of its time, in turns with the others
CALLS = {  # case: (callee, at once, through the node, durability)
    "call": ("echo", 1, False, "none"),
    "call16": ("echo", 16, False, "none"),
    "call_routed": ("echo", 1, True, "none"),
    "call_routed16": ("echo", 16, True, "none"),
    "call_durable": ("keep", 1, True, "durable"),
    "call_durable16": ("keep", 16, True, "durable"),
}
ASKS = {"request": 1, "request16": 16}  # case of the others: requests at once
STREAMS = {  # case: (subscribers, messages a second; 0: as many as possible)
    "live_latency": (1, 2000),
    "live_20k": (8, 20000),
    "live_flood1": (1, 0),
    "live_flood8": (8, 0),
}
SUMMED = ("sent", "delivered", "lost")  # over all visits: a loss in one of them is a loss


class Nats(Peer):
    """A NATS server as it comes."""

    def __init__(self, work):
        super().__init__(work, "nats-server")

    def command(self, path):
        return [path, "-a", "127.0.0.1", "-p", str(self.address[1])]


class PubSub(Redis):
    """Redis that keeps nothing: messages only pass through."""

    def command(self, path):
        return [path, "--port", str(self.address[1]), "--bind", "127.0.0.1", "--dir", str(self.dir), "--save", ""]


def peer_program(work, name, libraries):
    """bench/peers/NAME.c with the loops of bench/peers/messages.c; compiled here, for its library is no part of a build."""
    program = work / f"peer_{name}"
    sources = [str(ROOT / "bench/peers/messages.c"), str(ROOT / f"bench/peers/{name}.c")]
    compiler = os.environ.get("CC", "cc")
    subprocess.run(
        [compiler, "-O2", f"-I{ROOT}", *sources, "-o", str(program), *libraries, "-lpthread"], check=True
    )
    return program


def figures_of(text):
    """What a driver or a measuring function prints."""
    found = json.loads(text)
    figures = {f"{p}_us": found[f"{p}_ns"] / 1000 for p in ("p50", "p99", "p999")}
    return {"rate": found["rate"], "errors": found.get("errors", 0)} | {
        name: found[name] for name in SUMMED if name in found
    } | figures


def peer(program, address, *how):
    done = subprocess.run([program, address, *map(str, how)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{program.name} {' '.join(map(str, how))}: {done.stderr}")
    return figures_of(done.stdout)


class Functions:
    """messages.c on a node of this run."""

    def __init__(self, work):
        self.node = Node(data=work / "messages").start()
        pool = {"pool": "{ min: 2, max: 8 }"}
        functions = [{"name": "measure", "timeout_ms": 600000, **pool}, {"name": "echo", **pool}, {"name": "keep", **pool}]
        app = make_app(work / "messages-app", "messages", HERE / "messages.c", functions, flags=("-O2",))
        self.node.deploy(app)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.close()

    def call(self, callee, at_once, routed, seconds):
        target = f"/messages/measure?callee={callee}&at_once={at_once}&routed={int(routed)}&ms={int(seconds * 1000)}"
        with self.node.client() as client:
            reply = client.post(target)
        if reply.status != 200:
            raise RuntimeError(f"{target}: {reply}")
        return figures_of(reply.text)


def run(work, seconds, as_json, only=None):
    report = Report("messages", as_json, more=SUMMED)
    part = max(0.5, seconds / VISITS)
    visits = {}

    def visit(system, case, connections, durability, measure):
        if only and only not in f"{system}/{case}/{connections}":
            return
        figures = measure()
        visits.setdefault((system, case, connections, durability), []).append(figures)
        lost = f"  lost {figures['lost']:,}" if "lost" in figures else ""
        note(f"  {system:6} {case:16} {figures['rate']:12,.0f}/s  p50 {figures['p50_us']:10,.1f} us{lost}")

    programs = {
        "nats": peer_program(work, "nats", ["-lnats"]),
        "redis": peer_program(work, "redis", ["-lhiredis"]),
        "nng": peer_program(work, "nng", ["-lnng"]),
    }
    with Functions(work) as functions, Stead(work) as counter, Nats(work) as nats, PubSub(work) as redis:
        addresses = {
            "nats": "nats://{}:{}".format(*nats.address),
            "redis": "{}:{}".format(*redis.address),
            "nng": f"ipc://{work}/nng.sock",
        }
        for callee, at_once, routed, _ in CALLS.values():
            functions.call(callee, at_once, routed, 0.1)  # workers started
        wrk(counter.address, TARGET, 1000, 8, 1)
        for turn in range(VISITS):
            note(f"turn {turn + 1} of {VISITS}")
            for case, (callee, at_once, routed, durability) in CALLS.items():
                visit("stead", case, at_once, durability,
                      lambda: functions.call(callee, at_once, routed, part))  # fmt: skip
            for system, program in programs.items():
                for case, at_once in ASKS.items():
                    visit(system, case, at_once, "none", lambda: peer(program, addresses[system], "ask", at_once, part))
            for case, (count, rate) in STREAMS.items():
                for system, program in programs.items():
                    visit(system, case, count, "none",
                          lambda: peer(program, addresses[system], "publish", count, rate, part))  # fmt: skip
            visit("stead", "counter", 64, "durable", lambda: counter.measure(64, 1000, part))
    for (system, case, connections, durability), figures in visits.items():
        sums = {name: sum(f[name] for f in figures) for name in SUMMED if name in figures[0]}
        figures = [f | sums for f in figures]
        report.add(system, case, figures, connections, None, durability)
    report.table()
    summarize(report)
    return report


def p50(report, system, case):
    return next((row["p50_us"] for row in report.rows if (row["system"], row["case"]) == (system, case)), None)


def summarize(report):
    """The ratios that matter, for people."""
    pairs = (
        ("p50 of a call / of a NATS request", ("stead", "call"), ("nats", "request")),
        ("p50 of a call through the node / of a NATS request", ("stead", "call_routed"), ("nats", "request")),
        ("p50 of 16 calls through the node / of 16 NATS requests", ("stead", "call_routed16"), ("nats", "request16")),
    )
    for text, ours, theirs in pairs:
        a, b = p50(report, *ours), p50(report, *theirs)
        if a and b:
            note(f"{text}: {a / b:.3f}")
