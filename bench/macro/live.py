"""live.py - live channels under load: a function that publishes at a rate, functions that receive and measure."""
# SPDX-License-Identifier: Apache-2.0
import json
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from harness.apps import compile_so

MANIFEST = """app: live
code: live.so
channels:
  - { name: ticks }
functions:
  - { name: publish, timeout_ms: 120000 }
  - { name: receive, timeout_ms: 120000, pool: { max: 32 } }
"""


def deploy(node, directory):
    """The app `live`; `directory` is made."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    compile_so(Path(__file__).with_name("live.c"), directory / "live.so", ["-O2"])
    (directory / "stead.yaml").write_text(MANIFEST)
    node.deploy(directory)


def _subscriptions(node):
    for line in node.get("/metrics").text.splitlines():
        if line.startswith("stead_subscriptions "):
            return int(line.rsplit(" ", 1)[1])
    raise RuntimeError("the node has no live channels")


def case(node, subscribers, rate, seconds, size=64):
    """`rate` messages a second (0: `seconds` x 20000 of them as fast as it goes) to so many receivers. Medians over the receivers."""
    count = int((rate or 20000) * seconds)
    with ThreadPoolExecutor(subscribers) as pool:
        receivers = [pool.submit(node.client(timeout_s=150).get, "/live/receive") for _ in range(subscribers)]
        deadline = time.monotonic() + 30
        while _subscriptions(node) < subscribers:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{subscribers} receivers were asked for: {[r.result() for r in receivers if r.done()]}")
            time.sleep(0.01)
        sent = json.loads(node.client(timeout_s=150).post(f"/live/publish?count={count}&rate={rate}&size={size}").text)
        got = [json.loads(receiver.result().text) for receiver in receivers]
    return {
        "published": sent["published"],
        "per_second": sent["published"] / sent["seconds"],
        "delivered": sum(one["received"] for one in got),
        "lost": sum(one["lost"] for one in got),
        "p50_us": statistics.median(one["p50_us"] for one in got),
        "p99_us": statistics.median(one["p99_us"] for one in got),
    }


def run(work, seconds, as_json, only):
    """./dev bench live"""
    from harness.node import Node

    with Node(data=work / "data") as node:
        deploy(node, work / "app")
        for name, subscribers, rate in (("latency", 1, 2000), ("fan_out", 8, 20000), ("flood_1", 1, 0), ("flood_8", 8, 0)):
            if only and only != name:
                continue
            result = {"system": "stead", "case": name, "subscribers": subscribers, "rate": rate, **case(node, subscribers, rate, seconds)}
            print(json.dumps(result) if as_json else "  ".join(f"{k} {v}" for k, v in result.items()), flush=True)
