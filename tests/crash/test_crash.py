"""test_crash.py - kill -9 under load, many times: nothing acknowledged is lost, nothing is done twice, nothing is half."""
# SPDX-License-Identifier: Apache-2.0
#
# A failure prints its seed; --seed N repeats the choices (not the timing).
import argparse
import random
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness.case import Case
from harness.examples import example
from ledger import Ledger
from rounds import run_rounds

OPTIONS = argparse.Namespace(rounds=50, clients=24, rate=2000.0, seed=None)


class Crash(Case):
    def test_nothing_acknowledged_is_lost_or_done_twice_by_kill_9(self):
        seed = OPTIONS.seed if OPTIONS.seed is not None else random.randrange(2**32)
        node = self.make_node()
        for app in ("counter", "bank"):
            node.deploy(example(app))
        ledger = Ledger(random.Random(seed))
        complaints = run_rounds(
            node,
            ledger,
            OPTIONS.rounds,
            OPTIONS.clients,
            OPTIONS.rate,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )
        if complaints:
            self.fail(f"seed {seed}, round {ledger.round}, {len(complaints)} complaints:\n  " + "\n  ".join(complaints[:20]))
        self.assertGreater(len(ledger.acknowledged), OPTIONS.rounds, "too little has run to say anything")
        self.assertGreater(ledger.audits, 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=OPTIONS.rounds, help="how many times the node is killed")
    parser.add_argument("--clients", type=int, default=OPTIONS.clients, help="connections under load")
    parser.add_argument("--rate", type=float, default=OPTIONS.rate, help="requests per second, all together")
    parser.add_argument("--seed", type=int)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest, verbosity=2)
