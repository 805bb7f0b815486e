"""report.py - figures of a benchmark: one JSON object a line, or a table for people."""
# SPDX-License-Identifier: Apache-2.0
import json
import sys

FIELDS = (
    "bench", "system", "case", "connections", "keys", "rate", "p50_us", "p99_us", "p999_us", "errors", "durability",
)  # fmt: skip
WORDS = ("system", "case", "durability")  # the others are numbers


def note(text):
    """For people who watch; never on stdout."""
    print(text, file=sys.stderr, flush=True)


def middle(visits):
    """Of several short measurements of one case the one with the median rate; errors of all of them."""
    ordered = sorted(visits, key=lambda visit: visit.get("rate") or 0)
    chosen = dict(ordered[len(ordered) // 2])
    chosen["errors"] = sum(visit.get("errors", 0) for visit in visits)
    return chosen


class Report:
    """`more`: fields that only this bench has, between the usual ones and `durability`."""

    def __init__(self, bench, as_json, more=()):
        self.bench = bench
        self.as_json = as_json
        self.fields = (*FIELDS[:-1], *more, FIELDS[-1])
        self.rows = []

    def add(self, system, case, visits, connections=None, keys=None, durability="none"):
        row = {"bench": self.bench, "system": system, "case": case, "connections": connections, "keys": keys}
        row |= {name: value for name, value in middle(visits).items() if name in self.fields}
        row["durability"] = durability
        self.rows.append({name: row.get(name) for name in self.fields})
        if self.as_json:
            print(json.dumps(self.rows[-1]), flush=True)

    def rate(self, system, connections=None, keys=None):
        """Of a case that was measured; None when it was not."""
        for row in self.rows:
            if row["system"] == system and row["connections"] == connections and keys in (None, row["keys"]):
                return row["rate"]
        return None

    def table(self):
        if self.as_json:
            return
        shown = [name for name in self.fields[1:] if any(row[name] is not None for row in self.rows)]
        lines = [shown] + [tuple(_cell(row[name]) for name in shown) for row in self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(shown))]
        for line in lines:
            cells = [cell.ljust(w) if name in WORDS else cell.rjust(w) for name, cell, w in zip(shown, line, widths)]
            print("  ".join(cells).rstrip())


def _cell(value):
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 10 else f"{value:.2f}"
    return str(value)
