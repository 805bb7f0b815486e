"""baseline.py - the counter the way of today's cloud functions, state in an object store, beside Stead."""
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

from macro.counter import TARGET, Stead
from macro.load import wrk
from macro.report import Report, note

BASELINE = Path(__file__).resolve().parents[1] / "baseline"
# An assumption, not a measurement: what small objects take in a cloud's object store of the same region. The second
# profile takes the network and the store away and leaves only what the way of working itself costs.
PROFILES = {"10-30 ms": (10, 30), "0 ms": (0, 0)}
CASES = ((1, 1000), (64, 1000), (64, 1))  # connections, keys


class Program:
    """A Python service of the baseline; it prints its port."""

    def __init__(self, name, *arguments):
        command = [sys.executable, str(BASELINE / name), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def run(work, seconds, as_json, only=None):
    report = Report("baseline", as_json)

    def add(system, case, durability, connections, keys, measure):
        if only and only not in f"{system}/{connections}/{keys}":
            return
        figures = measure()
        note(f"  {system:16} {case:28} {connections}/{keys}: {figures['rate']:,.0f}/s, p50 {figures['p50_us']:,} us")
        report.add(system, case, [figures], connections, keys, durability)

    with Stead(work) as stead:
        wrk(stead.address, TARGET, 1000, 8, 1)
        for connections, keys in CASES:
            add("stead", "POST increment", "durable", connections, keys,
                lambda c=connections, k=keys: stead.measure(c, k, seconds))  # fmt: skip
    for name, (low_ms, high_ms) in PROFILES.items():
        for connections, keys in CASES:
            with Program("objects.py", "--low-ms", low_ms, "--high-ms", high_ms) as store:
                with Program("function.py", "--store-port", store.port) as function:
                    address = ("127.0.0.1", function.port)
                    add("object store", f"GET, PUT If-Match, {name}", "emulated, in memory", connections, keys,
                        lambda a=address, c=connections, k=keys: wrk(a, TARGET, k, c, seconds))  # fmt: skip
    report.table()
