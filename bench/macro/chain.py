"""chain.py - a chain of ten functions that hand 1 KiB on, beside the same chain with its state in an object store."""
# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

from harness.apps import make_app
from harness.http import Client
from harness.node import Node
from harness.paths import program
from macro.baseline import PROFILES, Program
from macro.load import wrk
from macro.peers import fdatasync
from macro.report import Report, note

VISITS = 3
RESULT = "k" * 1024  # ten letters after `a`
CASES = {  # case: (target, durability)
    "nested calls": ("/chain/nested_reads/10?%d", "none"),
    "calls in sequence": ("/chain/sequence_reads?%d", "none"),
    "nested calls, a row each": ("/chain/nested_writes/10?%d", "durable"),
    "calls in sequence, a row each": ("/chain/sequence_writes?%d", "durable"),
}
# Ten wait for one another, one in each worker.
FUNCTIONS = [
    {"name": name, "pool": "{ min: 12, max: 24 }"}
    for name in ("nested_reads", "nested_writes", "sequence_reads", "sequence_writes", "step_reads", "step_writes")
]


def measure(address, target, seconds):
    """One chain after another, checked once."""
    with Client(address) as client:
        reply = client.post(target % 0)
    if reply.status != 200 or reply.text != RESULT:
        raise RuntimeError(f"{target}: the chain ends with {reply}")
    return wrk(address, target, 1, 1, seconds)


def run(work, seconds, as_json, only=None):
    report = Report("chain", as_json)
    visits = {}

    def visit(system, case, durability, address, target):
        if only and only not in f"{system}/{case}":
            return
        figures = measure(address, target, max(1, seconds / VISITS))
        visits.setdefault((system, case, durability), []).append(figures)
        note(f"  {system:14} {case:32} {figures['rate']:10,.1f}/s  p50 {figures['p50_us']:10,.0f} us")

    app = make_app(work / "app", "chain", Path(__file__).with_name("chain.c"), FUNCTIONS, flags=("-O2",))
    with Node(data=work / "data") as node:
        node.deploy(app)
        for target, _ in CASES.values():
            wrk(node.address, target, 1, 1, 1)  # workers started
        for turn in range(VISITS):
            note(f"turn {turn + 1} of {VISITS}")
            for case, (target, durability) in CASES.items():
                visit("stead", case, durability, node.address, target)
            for name, (low_ms, high_ms) in PROFILES.items():
                with Program("objects.py", "--low-ms", low_ms, "--high-ms", high_ms) as store:
                    with Program("chain.py", "--store-port", store.port) as chain:
                        visit("object store", f"GET, PUT in each, {name}", "emulated, in memory",
                              ("127.0.0.1", chain.port), "/1?first%d")  # fmt: skip
            flush = fdatasync(program("bench_fdatasync"), work, max(0.5, seconds / VISITS))
            visits.setdefault(("fdatasync", "4 KiB, once", "fdatasync"), []).append(flush)
    for (system, case, durability), figures in visits.items():
        report.add(system, case, figures, 1, None, durability)
    report.table()
    return report
