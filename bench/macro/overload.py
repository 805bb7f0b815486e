"""overload.py - five times more requests than the node can serve, whether or not it answers; and a neighbour of that."""
# SPDX-License-Identifier: Apache-2.0
from macro.report import Report, note
from macro.workers import Bench, Drive

TIMES = 5  # of what the node can serve
WORK_US = 5000  # processor time of a call
CONNECTIONS = 1024
CONCURRENCY, QUEUE = 16, 64  # of the function: what is admitted waits for at most this many
PEAK_CALLERS = 8
WISHES = (0.5, 0.25)  # what the neighbour asks for, as a part of what the node can serve
REFUSED_CALLERS, NEIGHBOUR_CALLERS = 64, 4  # refused ones ask again at once
TURNS = 3
FIELDS = ("goodput_part", "share", "refused_p99_us", "hintless")


def _open(bench, app, rate, seconds):
    return Drive(bench.node.address, f"/{app}/work?us={WORK_US}", "rate", f"{rate:.1f}", seconds, CONNECTIONS)


def _closed(bench, app, seconds, callers):
    plan = f"0:{callers},{round(seconds * 1000)}:{callers}"
    return Drive(bench.node.address, f"/{app}/work?us={WORK_US}", "callers", plan)


def _light(bench, app, seconds, callers):
    plan = f"0:{callers},{round(seconds * 1000)}:{callers}"
    return Drive(bench.node.address, f"/{app}/work?us=0", "callers", plan)


def figures_of(total, seconds):
    """A total of bench_drive as a row. What was refused is no error here: it is what shall happen."""
    row = {name: total.get(name) for name in ("p50_us", "p99_us", "p999_us", "refused_p99_us", "hintless")}
    return row | {"rate": total["ok"] / seconds, "errors": total["failed"]}


class Cases:
    """Every case is visited in turns, and its part of the peak is that of the same turn: the machine may be noisy."""

    def __init__(self, bench, seconds):
        self.bench = bench
        self.seconds = seconds
        self.visits = {}

    def _at_rest(self):
        self.bench.until("no run left", lambda w: w["queued"] == 0 and w["busy"] == 0)

    def add(self, case, row):
        self.visits.setdefault(case, []).append(row)
        note(f"  {case:24} {row['rate']:8,.0f}/s  p50 {row['p50_us'] or 0:9,} us  p99 {row['p99_us'] or 0:9,} us")

    def turn(self):
        seconds = self.seconds
        best = figures_of(_closed(self.bench, "first", seconds, PEAK_CALLERS).total(), seconds)
        peak = best["rate"]
        self.add("peak", best)
        flood = figures_of(_open(self.bench, "first", peak * TIMES, seconds).total(), seconds)
        self.add(f"{TIMES} x, one app", flood | {"goodput_part": round(flood["rate"] / peak, 3)})
        self._at_rest()
        for wish in WISHES:
            both = _open(self.bench, "first", peak * TIMES, seconds), _open(self.bench, "second", peak * wish, seconds)
            for name, drive in zip((f"flooding, {wish:.0%}", f"wants {wish:.0%}"), both):
                row = figures_of(drive.total(), seconds)
                self.add(f"two apps: {name}", row | {"share": round(row["rate"] / peak, 3)})
            self._at_rest()
        self._refusals()

    def _refusals(self):
        """What is refused costs the loop, too: a neighbour beside callers who are refused and ask again at once."""
        alone = figures_of(_light(self.bench, "second", self.seconds, NEIGHBOUR_CALLERS).total(), self.seconds)
        self.add("neighbour alone", alone)
        flood = _light(self.bench, "limited", self.seconds, REFUSED_CALLERS)
        beside = figures_of(_light(self.bench, "second", self.seconds, NEIGHBOUR_CALLERS).total(), self.seconds)
        self.add("neighbour of refusals", beside | {"share": round(beside["rate"] / alone["rate"], 3)})
        self.add("refusals", figures_of(flood.total(), self.seconds))
        self._at_rest()


def run(work, seconds, as_json, only=None):
    report = Report("overload", as_json, more=FIELDS)
    with Bench(work) as bench:
        # The flood may have many more processes than its neighbour: that must not make its share larger.
        bench.deploy("first", ("work",), concurrency=CONCURRENCY, queue=QUEUE, pool="{ max: 64 }")
        bench.deploy("second", ("work",), concurrency=CONCURRENCY, queue=QUEUE)
        bench.deploy("limited", ("work",), rate="{ per_second: 10 }")
        cases = Cases(bench, max(1.0, seconds / TURNS))
        for turn in range(TURNS):
            note(f"turn {turn + 1} of {TURNS}")
            cases.turn()
    for case, visits in cases.visits.items():
        if not only or only in f"stead/{case}":
            report.add("stead", case, visits)
    report.table()
    return report
