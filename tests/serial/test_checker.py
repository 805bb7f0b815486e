"""test_checker.py - the checker on tables of good and bad histories: what is wrong is named, what is right is not."""
# SPDX-License-Identifier: Apache-2.0
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from checker import FAIL, OK, UNKNOWN, Txn, check, components


def r(key, *values):
    return ("read", key, list(values))


def a(key, value):
    return ("append", key, value)


def scan(prefix, **rows):
    return ("scan", prefix, rows)


def history(*txns):
    """Rows of (name, ops) run at the same time, or (name, start, end, ops), or with an outcome at the end."""
    made = []
    for row in txns:
        if len(row) == 2:
            row = (row[0], 0, 100, row[1])
        made.append(Txn(row[0], row[3], row[1], row[2], *(row[4:])))
    return made


GOOD = {
    "nothing happened": history(),
    "reads see what was appended before": history(
        ("T1", 0, 1, [a("x", 1)]), ("T2", 2, 3, [r("x", 1), a("x", 2)]), ("T3", 4, 5, [r("x", 1, 2)])
    ),
    "concurrent transactions may have run in any order": history(
        ("T1", 0, 9, [r("x"), a("x", 1)]), ("T2", 0, 9, [r("x", 1), a("x", 2)]), ("T3", 0, 9, [r("x")])
    ),
    "a transaction sees its own appends": history(
        ("T1", [a("x", 1), r("x", 1), a("x", 2), r("x", 1, 2)]), ("T2", [r("x", 1, 2)])
    ),
    "a failed transaction left nothing": history(
        ("T1", 0, 1, [a("x", 1)], FAIL), ("T2", 2, 3, [r("x")])
    ),
    "an unanswered transaction has happened": history(
        ("T1", 0, 0, [a("x", 1)], UNKNOWN), ("T2", 2, 3, [r("x", 1)])
    ),
    "an unanswered transaction has not happened": history(
        ("T1", 0, 0, [a("x", 1)], UNKNOWN), ("T2", 2, 3, [r("x")])
    ),
    "an unanswered transaction may happen late": history(
        ("T1", 0, 0, [a("x", 1)], UNKNOWN), ("T2", 2, 3, [r("x")]), ("T3", 4, 5, [r("x", 1)])
    ),
    "a scan sees new keys": history(
        ("T1", 0, 1, [a("k1", 1)]), ("T2", 2, 3, [scan("k", k1=[1])]), ("T3", 4, 5, [a("k2", 2)]),
        ("T4", 6, 7, [scan("k", k1=[1], k2=[2])]),
    ),
    "long transactions overlap short ones": history(
        ("T1", 0, 50, [r("x"), r("y")]), ("T2", 10, 11, [a("x", 1)]), ("T3", 12, 13, [a("y", 1)])
    ),
}

BAD = {
    "two updates of one version": (
        {"lost-update"},
        history(("T1", [r("x"), a("x", 1)]), ("T2", [r("x"), a("x", 2)]), ("T3", [r("x", 1)])),
    ),
    "an acknowledged append is gone": (
        {"stale-read"},
        history(("T1", 0, 1, [a("x", 1)]), ("T2", 2, 3, [r("x")])),
    ),
    "the last of three appends is gone": (
        {"stale-read"},
        history(("T1", 0, 1, [a("x", 1)]), ("T2", 2, 3, [a("x", 2)]), ("T3", 4, 5, [r("x", 1)])),
    ),
    "an append was seen, then gone": (
        {"incompatible-order"},
        history(
            ("T1", 0, 1, [a("x", 1)]), ("T2", 2, 3, [r("x", 1), a("x", 2)]), ("T3", 2, 3, [a("x", 3)]),
            ("T4", 4, 5, [r("x", 1, 2)]), ("T5", 6, 7, [r("x", 1, 3)]),
        ),
    ),
    "one append twice": (
        {"duplicate-write"}, history(("T1", 0, 1, [a("x", 1)]), ("T2", 2, 3, [r("x", 1, 1)])),
    ),
    "a value that nobody wrote": (
        {"garbage-read"}, history(("T1", [r("x", 7)])),
    ),
    "a value of a failed transaction": (
        {"aborted-read"}, history(("T1", 0, 1, [a("x", 1)], FAIL), ("T2", 2, 3, [r("x", 1)])),
    ),
    "half of a transaction": (
        {"intermediate-read"}, history(("T1", [a("x", 1), a("x", 2)]), ("T2", [r("x", 1)]), ("T3", [r("x", 1, 2)])),
    ),
    "half of a transaction over two keys": (
        {"G-single"}, history(("T1", [a("x", 1), a("y", 2)]), ("T2", [r("x", 1), r("y")])),
    ),
    "own append not seen": (
        {"internal"}, history(("T1", [a("x", 1), r("x")])),
    ),
    "a key changes during a transaction": (
        {"internal"}, history(("T1", [r("x"), r("x", 1)]), ("T2", [a("x", 1)])),
    ),
    "writes in opposite orders": (
        {"G0"},
        history(("T1", [a("x", 1), a("y", 1)]), ("T2", [a("x", 2), a("y", 2)]), ("T3", [r("x", 1, 2), r("y", 2, 1)])),
    ),
    "each reads what the other wrote": (
        {"G1c"}, history(("T1", [a("x", 1), r("y", 1)]), ("T2", [a("y", 1), r("x", 1)])),
    ),
    "write skew": (
        {"G2"},
        history(("T1", [r("x"), a("y", 1)]), ("T2", [r("y"), a("x", 1)]), ("T3", [r("x", 1), r("y", 1)])),
    ),
    "write skew that only acknowledgements show": (
        {"G2"}, history(("T1", [r("x"), a("y", 1)]), ("T2", [r("y"), a("x", 1)])),
    ),
    "two readers see two writers in opposite orders": (
        {"G2"},
        history(
            ("T1", [a("x", 1)]), ("T2", [a("y", 1)]), ("T3", [r("x", 1), r("y")]), ("T4", [r("x"), r("y", 1)])
        ),
    ),
    "two scans that did not see each other's new key": (
        {"G2"},
        history(
            ("T1", [scan("k"), a("k1", 1)]), ("T2", [scan("k"), a("k2", 1)]), ("T3", [scan("k", k1=[1], k2=[1])])
        ),
    ),
    "a scan that misses an old key": (
        {"stale-read"},
        history(("T1", 0, 1, [a("k1", 1)]), ("T2", 2, 3, [r("k1", 1)]), ("T3", 4, 5, [scan("k")])),
    ),
    "a scan that returns what it should not": (
        {"internal"}, history(("T1", [a("m", 1)]), ("T2", [scan("k", m=[1])])),
    ),
    "an acknowledged append is gone, an unanswered one is there": (
        {"stale-read"},
        history(("T1", 0, 1, [a("x", 1)]), ("T2", 0, 0, [a("x", 2)], UNKNOWN), ("T3", 2, 3, [r("x", 2)])),
    ),
    "a read of the past": (
        {"stale-read"},
        history(
            ("T1", 0, 1, [a("x", 1)]), ("T2", 2, 3, [a("x", 2)]), ("T3", 4, 5, [r("x", 1)]), ("T4", 6, 7, [r("x", 1, 2)])
        ),
    ),
    "a read of the future": (
        {"G1c-realtime"},
        history(("T1", 0, 1, [r("x", 1)]), ("T2", 2, 3, [a("x", 1)])),
    ),
    "writes against real time": (
        {"G0-realtime"},
        history(("T1", 0, 1, [a("x", 1)]), ("T2", 2, 3, [a("x", 2)]), ("T3", 0, 9, [r("x", 2, 1)])),
    ),
}


class Tables(unittest.TestCase):
    def test_good_histories_have_no_anomaly(self):
        for name, txns in GOOD.items():
            with self.subTest(name):
                self.assertEqual([], check(txns))

    def test_bad_histories_have_the_anomaly_that_they_were_made_with(self):
        for name, (kinds, txns) in BAD.items():
            with self.subTest(name):
                found = check(txns)
                self.assertTrue(kinds <= {anomaly.kind for anomaly in found}, f"wanted {kinds}, found {found}")

    def test_an_anomaly_tells_who_and_why(self):
        (anomaly,) = check(history(("T1", 0, 1, [a("x", 1)]), ("T2", 2, 3, [r("x")])))
        self.assertEqual({"T1", "T2"}, {txn.name for txn in anomaly.txns})
        self.assertIn("x: did not see 1", anomaly.text)
        self.assertIn("was answered before the other was sent", anomaly.text)

    def test_a_value_appended_twice_is_a_mistake_of_the_test(self):
        with self.assertRaises(ValueError):
            check(history(("T1", [a("x", 1)]), ("T2", [a("x", 1)])))


class Components(unittest.TestCase):
    def test_components_are_those_of_a_slow_and_simple_search(self):
        rng = random.Random(4)
        for _ in range(200):
            nodes = range(rng.randrange(1, 9))
            graph = {n: [m for m in nodes if rng.random() < 0.25] for n in nodes}
            reach = {n: self.reachable(graph, n) for n in nodes}
            slow = {frozenset(m for m in nodes if n == m or (m in reach[n] and n in reach[m])) for n in nodes}
            self.assertEqual(slow, {frozenset(part) for part in components(graph)})

    @staticmethod
    def reachable(graph, node):
        seen, todo = set(), [node]
        while todo:
            for step in graph[todo.pop()]:
                if step not in seen:
                    seen.add(step)
                    todo.append(step)
        return seen


def simulate(seed, count, broken=None):
    """A history of a database that runs one transaction after another, or is broken in one way."""
    rng = random.Random(seed)
    state, old, txns, value = {}, {}, [], 0
    for i in range(count):
        at = i * 1.0
        ops, view = [], state
        if broken == "stale" and i % 10 == 9:
            view = old
        snapshot = {key: list(values) for key, values in view.items()}
        for _ in range(rng.randrange(1, 5)):
            key = f"k{rng.randrange(4)}{i // 40}"
            roll = rng.random()
            if roll < 0.4:
                value += 1
                ops.append(("append", key, value))
                snapshot.setdefault(key, []).append(value)
            elif roll < 0.8:
                ops.append(("read", key, list(snapshot.get(key, []))))
            else:
                ops.append(("scan", "k", {k: list(v) for k, v in snapshot.items()}))
        if broken == "lost" and i % 10 == 5:
            pass
        else:
            for op in ops:
                if op[0] == "append":
                    state.setdefault(op[1], []).append(op[2])
        if i % 10 == 4:
            old = {key: list(values) for key, values in state.items()}
        width = rng.random() * 6
        txns.append(Txn(f"T{i}", ops, at - width, at + rng.random() * 6, OK))
    final = [("scan", "k", {k: list(v) for k, v in state.items()})]
    txns.append(Txn("final", final, count + 10, count + 11, OK))
    rng.shuffle(txns)
    return txns


class Simulated(unittest.TestCase):
    def test_a_serial_database_is_found_right(self):
        for seed in range(20):
            self.assertEqual([], check(simulate(seed, 200)), f"seed {seed}")

    def test_a_database_that_loses_transactions_is_found_wrong(self):
        for seed in range(20):
            self.assertTrue(check(simulate(seed, 200, "lost")), f"seed {seed}")

    def test_a_database_that_reads_old_versions_is_found_wrong(self):
        for seed in range(20):
            self.assertTrue(check(simulate(seed, 200, "stale")), f"seed {seed}")


if __name__ == "__main__":
    unittest.main(verbosity=2)
