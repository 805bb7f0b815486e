"""scale.py - callers come and go, workers follow: load, workers and latency over time, as figures and as a picture."""
# SPDX-License-Identifier: Apache-2.0
import json
import threading
import time

from harness.paths import SOURCE_DIR
from macro.chart import Chart
from macro.report import Report, note
from macro.workers import Bench, Drive

CALLERS = 200
WAIT_MS = 20
IDLE_MS = 1000
PICTURE = SOURCE_DIR / "build" / "bench-scale.svg"


class Watch:
    """Asks the node for its workers ten times a second, beside the load."""

    def __init__(self, bench):
        self.samples = []  # (ms, workers, busy, queued)
        self._bench = bench
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._over.set()
        self._thread.join()

    def ms(self):
        return (time.monotonic() - self._began) * 1000

    def _run(self):
        with self._bench.node.admin() as client:
            while not self._over.wait(0.1):
                workers = json.loads(client.get("/v1/stats").body)["workers"]
                self.samples.append((self.ms(), workers["workers"], workers["busy"], workers["queued"]))


def profile(seconds):
    """1 caller, up to all of them, a while, down to none: (ms, callers)."""
    at = [0, 0.1, 0.35, 0.65, 0.9, 1.0]
    callers = [1, 1, CALLERS, CALLERS, 0, 0]
    return [(round(part * seconds * 1000), count) for part, count in zip(at, callers)]


def measure(bench, points):
    """(lines of the load, its sums, samples of the workers)"""
    plan = ",".join(f"{ms}:{callers}" for ms, callers in points)
    with Watch(bench) as watch:
        *lines, total = Drive(bench.node.address, f"/scale/wait?ms={WAIT_MS}", "callers", plan).lines()
        end = bench.until("no worker after the load", lambda w: w["workers"] == 0, timeout_s=30)
    watch.samples.append((watch.ms(), end["workers"], end["busy"], end["queued"]))
    return lines, total, watch.samples


def draw(lines, samples, path):
    chart = Chart(f"{CALLERS} callers of a function that takes {WAIT_MS} ms", "seconds")
    at = [line["at_ms"] / 1000 for line in lines]
    load = chart.panel("callers")
    load.line("callers", at, [line["callers"] for line in lines], area=True)
    workers = chart.panel("workers")
    seconds = [ms / 1000 for ms, *_ in samples]
    workers.line("workers", seconds, [count for _, count, _, _ in samples], area=True)
    workers.line("busy", seconds, [busy for _, _, busy, _ in samples])
    rate = chart.panel("answers per second")
    rate.line("answers", at, [line["ok"] * 10 for line in lines], area=True)
    latency = chart.panel("latency, ms")
    answered = [line for line in lines if "p50_us" in line]
    seconds = [line["at_ms"] / 1000 for line in answered]
    latency.line("p50", seconds, [line["p50_us"] / 1000 for line in answered])
    latency.line("p99", seconds, [line["p99_us"] / 1000 for line in answered])
    path.write_text(chart.svg())


def run(work, seconds, as_json, only=None):
    report = Report("scale", as_json, more=("workers_max", "workers_end"))
    with Bench(work) as bench:
        # Room for all: what is shown is how the number follows, not how a queue fills.
        bench.deploy(
            "scale", ("wait",), concurrency=CALLERS, pool=f"{{ min: 0, max: {CALLERS + 56}, idle_ms: {IDLE_MS} }}"
        )
        lines, total, samples = measure(bench, profile(max(6.0, seconds)))
    figures = {name: total[name] for name in ("p50_us", "p99_us", "p999_us")}
    figures |= {
        "rate": max(line["ok"] for line in lines) * 10.0,
        "errors": total["failed"] + total["refused"],
        "workers_max": max(workers for _, workers, _, _ in samples),
        "workers_end": samples[-1][1],
    }
    report.add("stead", f"wait {WAIT_MS} ms, 1 to {CALLERS} to 0 callers", [figures], CALLERS)
    draw(lines, samples, PICTURE)
    note(f"picture: {PICTURE.relative_to(SOURCE_DIR)}")
    report.table()
    return report
