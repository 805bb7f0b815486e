"""counter.py - durable increments over HTTP, beside nginx `return 200`, Redis INCR and the disk's own flush rate."""
# SPDX-License-Identifier: Apache-2.0
from harness.examples import example
from harness.node import Node
from harness.paths import program
from macro.load import wrk
from macro.peers import Nginx, Redis, fdatasync
from macro.report import Report, note

TARGET = "/counter/increment/k%d"
CONNECTIONS = (1, 8, 64, 256)
KEYS = (1000, 1)
VISITS = 3  # each case is measured so often for a third of its time, in turns with the others


def total(node, keys):
    """The sum of all counters."""
    with node.client() as client:
        return sum(_value(client.get(f"/counter/value/k{i}")) for i in range(keys))


def _value(reply):
    if reply.status != 200:
        raise RuntimeError(f"a counter cannot be read: {reply}")
    return int(reply.text.split()[-1])


class Stead:
    """The example `counter` on a node of this run. Every case is checked: what was acknowledged is there."""

    def __init__(self, work):
        self.node = Node(data=work / "data").start()
        self.node.deploy(example("counter"))
        self.address = self.node.address

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.node.close()

    def measure(self, connections, keys, seconds):
        before = total(self.node, keys)
        figures = wrk(self.address, TARGET, keys, connections, seconds)
        counted = total(self.node, keys) - before
        # wrk stops with requests in flight: each may have been done without an answer.
        if not figures["answered"] <= counted <= figures["answered"] + connections + figures["errors"]:
            raise RuntimeError(
                f"the counters have grown by {counted}, but {figures['answered']} increments were acknowledged "
                f"and at most {connections} were in flight"
            )
        return figures


def run(work, seconds, as_json, only=None):
    report = Report("counter", as_json)
    part = max(1.0, seconds / VISITS)
    visits = {}

    def visit(case, measure):
        if only and only not in "/".join(map(str, case)):
            return
        figures = measure()
        visits.setdefault(case, []).append(figures)
        note(f"  {'/'.join(map(str, case)):28} {figures['rate']:10,.0f}/s  p50 {figures['p50_us']:9,.0f} us")

    with Stead(work) as stead, Nginx(work) as nginx, Redis(work) as redis:
        wrk(stead.address, TARGET, 1000, 8, 1)  # workers started, counters made
        for turn in range(VISITS):
            note(f"turn {turn + 1} of {VISITS}")
            visit(("fdatasync", 1, None), lambda: fdatasync(program("bench_fdatasync"), work, part))
            for connections in CONNECTIONS:
                for keys in KEYS:
                    visit(("stead", connections, keys), lambda c=connections, k=keys: stead.measure(c, k, part))
                visit(("nginx", connections, None), lambda c=connections: wrk(nginx.address, TARGET, 1000, c, part))
                if connections in (1, 64):
                    visit(("redis", connections, 1000), lambda c=connections: redis.measure(c, 1000, part))
    for (system, connections, keys), figures in visits.items():
        report.add(system, CASES[system], figures, connections, keys, DURABILITY[system])
    report.table()
    summarize(report)
    return report


CASES = {
    "stead": "POST increment",
    "nginx": "POST, return 200",
    "redis": "INCR over TCP",
    "fdatasync": "4 KiB overwrite + fdatasync",
}
DURABILITY = {"stead": "durable", "nginx": "none", "redis": "appendfsync always", "fdatasync": "fdatasync"}


def summarize(report):
    """The ratios that matter, for people."""
    pairs = (
        ("64 connections, 1,000 keys / nginx", ("stead", 64, 1000), ("nginx", 64)),
        ("64 connections, 1,000 keys / Redis", ("stead", 64, 1000), ("redis", 64)),
        ("64 connections, one hot key / single fdatasyncs", ("stead", 64, 1), ("fdatasync", 1)),
    )
    for text, ours, theirs in pairs:
        a, b = report.rate(*ours), report.rate(*theirs)
        if a and b:
            note(f"{text}: {a / b:.2f}")
