"""test_workload.py - workload and checker against fake nodes: a right one passes, each kind of wrong one is caught."""
# SPDX-License-Identifier: Apache-2.0
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checker import OK, UNKNOWN, check
from harness.fake import FakeNode
from harness.http import Client
from harness.swarm import Swarm
from workload import Workload


class FakeStore:
    """Runs programs one after another; `fault` decides for one in ten what goes wrong."""

    def __init__(self, fault=None):
        self.fault = fault
        self.rows = {}
        self.old = [{}]
        self.rng = random.Random(1)

    def handle(self, request):
        wrong = self.fault if self.rng.random() < 0.1 else None
        view = dict(self.rng.choice(self.old) if wrong == "old snapshot" else self.rows)
        out, written = [], {}
        for line in request.body.decode().splitlines():
            step, *rest = line.split(" ")
            if step == "a":
                view[rest[0]] = view.get(rest[0], "") + " " + rest[1]
                written[rest[0]] = view[rest[0]]
            elif step == "r":
                out.append(rest[0] + view.get(rest[0], ""))
            elif step == "s":
                out += [key + view[key] for key in sorted(view) if key.startswith(rest[0])] + ["."]
            elif step == "f":
                if self.fault == "failed is kept":  # each time: programs that fail after a write are rare
                    self.rows.update(written)
                return 500, b'{"error":{"code":"function_error"}}'
        if wrong == "half is kept":
            written = dict(list(written.items())[:1])
        if wrong != "lost":
            self.rows.update(written)
        self.old = self.old[-10:] + [dict(self.rows)]
        if wrong == "no answer":
            return None
        return 200, "".join(line + "\n" for line in out).encode()


def run(test, fault):
    node = FakeNode(FakeStore(fault).handle)
    test.addCleanup(node.close)
    workload = Workload(seed=11)
    with Swarm(node.address, [workload.client(i) for i in range(8)]) as swarm:
        while len(workload.history) < 1200:
            swarm.run(0.1)
        workload.stopped = True
        test.assertTrue(swarm.finish(20))
    with Client(node.address) as client:
        # A fake that answers wrongly may do so here too.
        node._handle.__self__.fault = None
        workload.final_read(client)
    return workload, check(workload.history)


class Fakes(unittest.TestCase):
    def test_a_right_node_passes(self):
        workload, anomalies = run(self, None)
        self.assertEqual([], anomalies)
        self.assertGreater(workload.count(OK), 900)

    def test_a_node_that_does_not_answer_is_no_anomaly(self):
        workload, anomalies = run(self, "no answer")
        self.assertEqual([], anomalies)
        self.assertGreater(workload.count(UNKNOWN), 30)

    def test_wrong_nodes_are_caught(self):
        for fault in ("old snapshot", "lost", "half is kept", "failed is kept"):
            with self.subTest(fault):
                self.assertTrue(run(self, fault)[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
