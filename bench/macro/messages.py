"""messages.py - calls and channels between functions, beside NATS, Redis and plain NNG between processes."""
# SPDX-License-Identifier: Apache-2.0
import json
import os
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.apps import make_app
from harness.node import Node
from harness.paths import program
from macro.counter import TARGET, Stead
from macro.load import wrk
from macro.peers import Peer, Redis, fdatasync
from macro.report import Report, middle, note

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
CONSUMERS = {"consume": 1, "consume100": 100}  # case: messages in one invocation, at most
CONSUMED = 5000
PACED = ("live_latency", "live_20k")
CHANNELS = ("channels:", "  - { name: bench }")
PERCENTILES = {"p50": 0.5, "p99": 0.99, "p999": 0.999}
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


def peer_driver(work, name, libraries):
    """bench/peers/NAME.c with the loops of bench/peers/messages.c; compiled here, for its library is no part of a build."""
    driver = work / f"peer_{name}"
    sources = [str(ROOT / "bench/peers/messages.c"), str(ROOT / f"bench/peers/{name}.c")]
    compiler = os.environ.get("CC", "cc")
    subprocess.run(
        [compiler, "-O2", f"-I{ROOT}", *sources, "-o", str(driver), *libraries, "-lpthread"], check=True
    )
    return driver


def figures_of(text):
    """What a driver or a measuring function prints."""
    found = json.loads(text)
    figures = {f"{p}_us": found[f"{p}_ns"] / 1000 for p in PERCENTILES}
    return {"rate": found["rate"], "errors": found.get("errors", 0)} | {
        name: found[name] for name in SUMMED if name in found
    } | figures


def peer(driver, address, *how):
    done = subprocess.run([driver, address, *map(str, how)], capture_output=True, text=True, check=False, timeout=300)
    if done.returncode != 0:
        raise RuntimeError(f"{driver.name} {' '.join(map(str, how))}: {done.stderr}")
    return figures_of(done.stdout)


def at(buckets, part):
    """Of sorted (ns, count): what this part of them does not exceed, in us."""
    rank, seen = part * sum(count for _, count in buckets), 0
    for ns, count in buckets:
        seen += count
        if seen > rank:
            return ns / 1000
    return None


class Durable:
    """A durable channel on a node of its own. Consumers are added by a second version, when there is something to consume."""

    FUNCTIONS = [{"name": name, "timeout_ms": 60000} for name in ("append", "consume", "consumed")]

    def __init__(self, work):
        self.work = work
        self.node = Node(data=work / "durable").start()
        self._versions = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.close()

    def _deploy(self, app, *subscription):
        self._versions += 1
        head = ("channels:", "  - { name: kept, kind: durable, http: append }", *subscription)
        directory = self.work / f"durable-{self._versions}"
        self.node.deploy(make_app(directory, app, HERE / "messages.c", self.FUNCTIONS, flags=("-O2",), head=head))

    def start(self):
        self._deploy("durable")
        self.append("/durable/append?key=%d", 0.5)  # workers started

    def append(self, target, seconds):
        """64 connections, as the counter has."""
        return wrk(self.node.address, target, 1000, 64, seconds)

    def consume(self, batch, count):
        """`count` messages of 1,000 keys that are there already; the rate at which they are consumed."""
        app = f"consume-{self._versions}"
        self._deploy(app)
        with self.node.client(timeout_s=120) as client:
            for first in range(0, count, 1000):
                if client.post(f"/{app}/append?key={first}&count=1000").status != 200:
                    raise RuntimeError("messages cannot be appended")
            self._deploy(app, "subscriptions:", f"  - {{ channel: kept, function: consume, batch: {batch} }}")
            began = time.monotonic()
            done = early = int(client.post(f"/{app}/consumed").text)
            while done < count:
                if time.monotonic() - began > 120:
                    raise RuntimeError(f"{done} of {count} messages were consumed")
                time.sleep(0.02)  # between two questions
                done = int(client.post(f"/{app}/consumed").text)
        if done != count:
            raise RuntimeError(f"{count} messages were consumed {done} times")
        return {"rate": (count - early) / (time.monotonic() - began), "errors": 0}


class Functions:
    """messages.c on a node of this run."""

    def __init__(self, work):
        self.node = Node(data=work / "messages").start()
        pool = {"pool": "{ min: 2, max: 8 }"}
        functions = [{"name": "keep", **pool}]
        # A callee runs inside of its caller's worker only when it may have no less time and the same memory; answers of
        # stead_call_all stay until the caller returns, here after some million.
        functions += [{"name": name, "timeout_ms": 600000, "memory_mb": 2048, **pool} for name in ("measure", "echo")]
        functions += [{"name": name, "timeout_ms": 600000, "pool": "{ max: 32 }"} for name in ("publish", "receive")]
        app = make_app(work / "messages-app", "messages", HERE / "messages.c", functions, flags=("-O2",), head=CHANNELS)
        self.node.deploy(app)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.close()

    def call(self, callee, at_once, routed, seconds):
        target = f"/messages/measure?callee={callee}&at_once={at_once}&routed={int(routed)}&ms={int(seconds * 1000)}"
        return figures_of(self._post(target))

    def _post(self, target):
        with self.node.client(timeout_s=300) as client:
            reply = client.post(target)
        if reply.status != 200:
            raise RuntimeError(f"{target}: {reply}")
        return reply.text

    def _wait_for_receivers(self, count, receivers):
        deadline = time.monotonic() + 30
        with self.node.client() as client:
            while self._subscriptions(client) < count:
                if time.monotonic() > deadline:
                    raise RuntimeError(f"not all receive: {[one.result() for one in receivers if one.done()]}")
                time.sleep(0.01)  # between two questions

    @staticmethod
    def _subscriptions(client):
        return int(re.search(r"^stead_subscriptions (\d+)", client.get("/metrics").text, re.M).group(1))

    def publish(self, count, rate, seconds):
        with ThreadPoolExecutor(count) as pool:
            receivers = [pool.submit(self._post, "/messages/receive") for _ in range(count)]
            self._wait_for_receivers(count, receivers)
            sent = json.loads(self._post(f"/messages/publish?rate={rate}&ms={int(seconds * 1000)}"))
            got = [json.loads(receiver.result()) for receiver in receivers]
        delivered = sum(one["delivered"] for one in got)
        lost = sent["sent"] * count - delivered
        buckets = sorted(tuple(bucket) for one in got for bucket in one["buckets"])
        return {
            "rate": delivered * 1e9 / (max(one["last_ns"] for one in got) - sent["began_ns"]),
            "sent": sent["sent"], "delivered": delivered, "lost": lost,
            "errors": abs(lost - sum(one["missed"] for one in got)),  # losses that a receiver was not told of
        } | {f"{name}_us": at(buckets, part) for name, part in PERCENTILES.items()}  # fmt: skip


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
        note(f"  {system:6} {case:16} {figures['rate']:12,.0f}/s  p50 {figures.get('p50_us', 0):10,.1f} us{lost}")

    drivers = {
        "nats": peer_driver(work, "nats", ["-lnats"]),
        "redis": peer_driver(work, "redis", ["-lhiredis"]),
        "nng": peer_driver(work, "nng", ["-lnng"]),
    }
    with Functions(work) as functions, Stead(work) as counter, Nats(work) as nats, PubSub(work) as redis, \
            Durable(work) as durable:  # fmt: skip
        durable.start()
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
            for system, driver in drivers.items():
                for case, at_once in ASKS.items():
                    visit(system, case, at_once, "none", lambda: peer(driver, addresses[system], "ask", at_once, part))
            for case, (count, rate) in STREAMS.items():
                visit("stead", case, count, "none", lambda: functions.publish(count, rate, part))
                for system, driver in drivers.items():
                    visit(system, case, count, "none",
                          lambda: peer(driver, addresses[system], "publish", count, rate, part))  # fmt: skip
            visit("stead", "append", 64, "durable", lambda: durable.append("/durable/append?key=%d", part))
            visit("stead", "append_http", 64, "durable", lambda: durable.append("/durable/channels/kept?key=k%d", part))
            for case, batch in CONSUMERS.items():
                visit("stead", case, None, "durable", lambda: durable.consume(batch, CONSUMED))
            visit("fdatasync", "4 KiB", 1, "fdatasync", lambda: fdatasync(program("bench_fdatasync"), work, part))
            visit("stead", "counter", 64, "durable", lambda: counter.measure(64, 1000, part))
    for (system, case, connections, durability), figures in visits.items():
        sums = {name: sum(f[name] for f in figures) for name in SUMMED if name in figures[0]}
        # A stream's rate is what was asked for, so the visit with the median latency stands for it; else see Report.
        chosen = sorted(figures, key=lambda f: f["p50_us"])[len(figures) // 2] if case in PACED else middle(figures)
        figures = [chosen | sums | {"errors": sum(f["errors"] for f in figures)}]
        report.add(system, case, figures, connections, None, durability)
    report.table()
    summarize(report)
    return report


def figure(report, name, system, case):
    return next((row[name] for row in report.rows if (row["system"], row["case"]) == (system, case)), None)


def summarize(report):
    """The ratios that matter, for people."""
    pairs = (
        ("p50_us", "p50 of a call / of a NATS request", ("stead", "call"), ("nats", "request")),
        ("p50_us", "p50 of a call through the node / of a NATS request", ("stead", "call_routed"), ("nats", "request")),
        ("p50_us", "p50 of 16 calls through the node / of 16 NATS requests", ("stead", "call_routed16"), ("nats", "request16")),
        ("rate", "durable appends / increments, 64 connections", ("stead", "append"), ("stead", "counter")),
    )
    for name, text, ours, theirs in pairs:
        a, b = figure(report, name, *ours), figure(report, name, *theirs)
        if a and b:
            note(f"{text}: {a / b:.3f}")
