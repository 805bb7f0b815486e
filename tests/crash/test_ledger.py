"""test_ledger.py - the crash test against fakes that lose, repeat and halve: each must be caught."""
# SPDX-License-Identifier: Apache-2.0
import random
import sys
import unittest
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import rounds
from harness.fake import FakeNode
from ledger import Ledger


class FakeBank:
    """Counter and bank in memory. `fault` names what a kill, or a repeated key, does wrong."""

    def __init__(self, fault=None):
        self.fault = fault
        self.rng = random.Random(7)
        self.rows = {}
        self.outcomes = {}
        self.before = ({}, {})
        self.up = True
        self.node = FakeNode(self.handle)
        self.address = self.node.address
        self.commits = 0

    def handle(self, request):
        key = request.headers.get("idempotency-key")
        if not self.up or (key and self.rng.random() < 0.005):
            return None
        if key in self.outcomes and not (self.fault == "forgets keys" and self.rng.random() < 0.5):
            return self.outcomes[key]
        self.commits += 1
        if self.commits % 20 == 0:
            self.before = (dict(self.rows), dict(self.outcomes))
        answer = self.run(request)
        if key:
            self.outcomes[key] = answer
        # The answer gets lost after the commit.
        return None if key and self.rng.random() < 0.02 else answer

    def run(self, request):
        _, app, function, *entity = request.path.split("/")
        if function == "increment":
            return self.say(self.add("counter/" + entity[0], 1))
        if function == "deposit":
            return self.say(self.add(entity[0], int(request.query["amount"])))
        if function == "transfer":
            amount = int(request.query["amount"])
            self.add(request.query["from"], -amount)
            if self.fault == "half transfers" and self.rng.random() < 0.2:
                return self.say("done")
            self.add(request.query["to"], amount)
            return self.say("done")
        if function == "balance":
            return self.say(self.rows.get(entity[0], 0))
        return self.say(sum(value for name, value in self.rows.items() if "/" not in name))

    def add(self, name, delta):
        self.rows[name] = self.rows.get(name, 0) + delta
        return self.rows[name]

    @staticmethod
    def say(what):
        return 200, f"{what}\n".encode()

    def kill9(self, after_s=0):
        self.up = False
        if self.fault == "loses the last commits":
            self.rows, self.outcomes = dict(self.before[0]), dict(self.before[1])
        if self.fault == "loses a row":
            self.rows["counter/c1"] = self.rows.get("counter/c1", 1) - 1
        if self.fault == "replays a record":
            self.rows["counter/c2"] = self.rows.get("counter/c2", 0) + 1

    def launch(self):
        pass

    def start(self):
        self.up = True


class Fakes(unittest.TestCase):
    def complaints(self, fault):
        fake = FakeBank(fault)
        self.addCleanup(fake.node.close)
        with mock.patch.object(rounds, "ROUND_S", 0.03):
            return rounds.run_rounds(fake, Ledger(random.Random(3)), rounds=8, clients=6, rate=2000)

    def test_a_right_node_passes(self):
        self.assertEqual([], self.complaints(None))

    def assert_caught(self, fault, *words):
        complaints = self.complaints(fault)
        for word in words:
            self.assertTrue(any(word in text for text in complaints), f"no {word!r} in {complaints}")

    def test_lost_commits_are_caught(self):
        self.assert_caught("loses the last commits", "lost")

    def test_a_lost_update_is_caught(self):
        self.assert_caught("loses a row", "c1: ", "lost")

    def test_a_double_is_caught(self):
        self.assert_caught("replays a record", "c2: ", "done twice")

    def test_forgotten_keys_are_caught(self):
        self.assert_caught("forgets keys", "another answer for the same key")

    def test_half_transfers_are_caught(self):
        self.assert_caught("half transfers", "an audit found")


if __name__ == "__main__":
    unittest.main(verbosity=2)
