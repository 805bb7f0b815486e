"""test_serial.py - random transactions of many clients against a node: the history must be strictly serializable."""
# SPDX-License-Identifier: Apache-2.0
#
# And the proof that this test can fail: the same against a node whose validation is switched off must be caught.
# A failure prints the seed; --seed N repeats the choices (not the timing).
import argparse
import random
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from checker import OK, UNKNOWN, check
from harness.apps import make_app
from harness.case import Case
from harness.swarm import Swarm
from workload import Workload

OPTIONS = argparse.Namespace(seconds=6.0, clients=16, seed=None, kills=3)


class Serializability(Case):
    def setUp(self):
        self.seed = OPTIONS.seed if OPTIONS.seed is not None else random.randrange(2**32)
        self.workload = Workload(self.seed)
        self.clients = [self.workload.client(i) for i in range(OPTIONS.clients)]

    def deployed(self, **options):
        node = self.make_node(**options)
        source = Path(__file__).parent / "fn" / "txn.c"
        node.deploy(make_app(self.make_dir(), "serial", source, ["txn"]))
        return node

    def finish(self, node, swarm):
        """Ends the load, reads everything, returns what the checker says."""
        self.workload.stopped = True
        self.assertTrue(swarm.finish(30), "requests hang")
        with node.client() as client:
            self.workload.final_read(client)
        return check(self.workload.history)

    def assert_serializable(self, anomalies):
        if not anomalies:
            return
        involved = {txn.name: txn for anomaly in anomalies[:5] for txn in anomaly.txns}
        self.fail(
            f"seed {self.seed}, {len(self.workload.history)} transactions, {len(anomalies)} anomalies:\n  "
            + "\n  ".join(map(repr, anomalies[:5]))
            + "\nwhere\n  "
            + "\n  ".join(map(repr, involved.values()))
        )

    def say(self, what):
        print(f"{what}: {self.workload.count(OK)} of {len(self.workload.history)} transactions", file=sys.stderr)

    def test_histories_are_strictly_serializable(self):
        node = self.deployed()
        with Swarm(node.address, self.clients) as swarm:
            swarm.run(OPTIONS.seconds)
            anomalies = self.finish(node, swarm)
        self.say("checked")
        self.assertGreater(self.workload.count(OK), 200, "too little has run to say anything")
        self.assert_serializable(anomalies)

    def test_histories_are_strictly_serializable_across_kills(self):
        node = self.deployed()
        with Swarm(node.address, self.clients) as swarm:
            for _ in range(OPTIONS.kills):
                swarm.run(OPTIONS.seconds / 6 * (0.5 + self.workload.rng.random()))
                node.kill9()
                swarm.drop_all()
                node.start()
                swarm.address = node.address
            swarm.run(OPTIONS.seconds / 6)
            anomalies = self.finish(node, swarm)
        self.say(f"checked, {self.workload.count(UNKNOWN)} unanswered")
        self.assertGreater(self.workload.count(UNKNOWN), 0, "no kill hit anything")
        self.assert_serializable(anomalies)

    def test_a_node_without_validation_is_caught(self):
        node = self.deployed(flags=["--unsafe-unchecked"])
        with Swarm(node.address, self.clients) as swarm:
            swarm.run(min(OPTIONS.seconds, 3))
            anomalies = self.finish(node, swarm)
        kinds = sorted({anomaly.kind for anomaly in anomalies})
        self.say(f"caught {len(anomalies)} anomalies ({', '.join(kinds)})")
        self.assertTrue(anomalies, f"seed {self.seed}: a node that checks nothing was not caught")
        self.assertIn("lost-update", kinds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=OPTIONS.seconds, help="load of each test")
    parser.add_argument("--clients", type=int, default=OPTIONS.clients)
    parser.add_argument("--kills", type=int, default=OPTIONS.kills)
    parser.add_argument("--seed", type=int)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest, verbosity=2)
