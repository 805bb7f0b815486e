"""test_messages.py - kill -9 while messages are appended and consumed: each has its effect exactly once, in order of its key."""
# SPDX-License-Identifier: Apache-2.0
#
# Each key has one producer: it appends 1, 2, 3, ... over HTTP, each with an Idempotency-Key until it is acknowledged. Two
# groups consume: `relay` one message at a time, which notes in the entity of the key how many came and whether one came out of
# order, and sends to a function that counts, too; `tally` in batches. So at the end, with N acknowledged messages of a key, all
# three have counted N, and none was out of order. A node that notes in a later commit what was done has to be caught by that.
# A failure prints its seed; --seed N repeats the choices (not the timing).
import argparse
import json
import random
import re
import sys
import time
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1]), str(Path(__file__).resolve().parents[1] / "e2e")]

from harness.case import Case
from harness.http import request_bytes
from harness.swarm import Swarm
from test_durable import shop

OPTIONS = argparse.Namespace(rounds=10, keys=16, rate=1500.0, seed=None)
ROUND_S = 0.6  # load of a round is between nothing and twice this
KILL_WHILE_STARTING = 0.15
DRAIN_S = 60
SUBSCRIPTIONS = """subscriptions:
  - { channel: orders, function: relay, group: count, retries: 1 }
  - { channel: orders, function: tally, group: tallying, batch: 10 }
"""
TRY_AGAIN = {"queue_full", "overloaded", "draining", "unavailable"}


class Producer:
    """Appends growing numbers under one key."""

    def __init__(self, key, rng):
        self.key = key
        self.rng = rng
        self.acknowledged = 0
        self.offsets = []
        self.lost_answers = 0
        self.stopped = False
        self.complaints = []
        self.again = False  # the last message is sent once more, though it was acknowledged
        self.pending = False

    def next(self):
        if self.stopped and not self.pending:
            return None
        if not self.pending:
            self.again = self.acknowledged > 0 and self.rng.random() < 0.05
        self.pending = True
        number = self.acknowledged + (0 if self.again else 1)
        return request_bytes("POST", f"/shop/channels/orders?key={self.key}", str(number).encode(),
                             {"Idempotency-Key": f"{self.key}-{number}"})

    def done(self, reply):
        if reply.status != 200:
            if reply.error["code"] not in TRY_AGAIN:
                self.complaints.append(f"{self.key}: unexpected answer {reply!r}")
                self.pending = False
            return
        self.pending = False
        offset = json.loads(reply.text)["offset"]
        if self.again:
            if offset != self.offsets[-1]:
                self.complaints.append(f"{self.key}: offset {offset} for a key that got {self.offsets[-1]} before")
            return
        if self.offsets and offset <= self.offsets[-1]:
            self.complaints.append(f"{self.key}: offset {offset} after {self.offsets[-1]}")
        self.offsets.append(offset)
        self.acknowledged += 1

    def lost(self):
        self.lost_answers += 1


def states(node, producers):
    found = {}
    with node.client() as client:
        for producer in producers:
            texts = client.get(f"/shop/state/{producer.key}").text, client.get(f"/shop/marks/{producer.key}").text
            found[producer.key] = [int(n) for text in texts for n in re.findall(r"\d+", text)]
    return found


class Messages(Case):
    def test_each_message_has_its_effect_once_and_in_order_whenever_the_node_is_killed(self):
        self.assert_exactly_once(*self.run_rounds(OPTIONS.rounds))

    def test_a_node_that_settles_too_late_is_caught(self):
        seed, total, lost, complaints = self.run_rounds(min(OPTIONS.rounds, 5), flags=["--unsafe-unsettled"])
        print(f"caught {len(complaints)}: {complaints[:1]}", file=sys.stderr, flush=True)
        self.assertTrue(complaints, f"seed {seed}: messages that came twice were not noticed")

    def assert_exactly_once(self, seed, total, lost, complaints):
        if complaints:
            self.fail(f"seed {seed}, {len(complaints)} complaints:\n  " + "\n  ".join(complaints[:20]))
        self.assertGreater(total, OPTIONS.rounds * OPTIONS.keys, "too little has run to say anything")
        self.assertGreater(lost, 0, "no kill hit a request")

    def run_rounds(self, rounds, flags=()):
        """Seed, messages acknowledged, answers lost, complaints."""
        seed = OPTIONS.seed if OPTIONS.seed is not None else random.randrange(2**32)
        rng = random.Random(seed)
        node = self.make_node(flags=list(flags))
        node.deploy(shop(self.make_dir(), subscriptions=SUBSCRIPTIONS))
        producers = [Producer(f"k{i}", random.Random(rng.random())) for i in range(OPTIONS.keys)]
        with Swarm(node.address, producers, OPTIONS.rate) as swarm:
            kills = 0
            # A quick node has little under way: some kill has to hit a request.
            while kills < rounds or (kills < 10 * rounds and not any(p.lost_answers for p in producers)):
                kills += 1
                swarm.run(rng.random() * 2 * ROUND_S)
                node.kill9()
                swarm.drop_all()
                while rng.random() < KILL_WHILE_STARTING:
                    node.launch()
                    node.kill9(after_s=rng.random() * 0.1)
                node.start()
                swarm.address = node.address
            for producer in producers:
                producer.stopped = True
            self.assertTrue(swarm.finish(60), f"seed {seed}: requests hang")
        total = sum(producer.acknowledged for producer in producers)
        want = {p.key: [p.acknowledged, p.acknowledged, 0, p.acknowledged, p.acknowledged] for p in producers}
        deadline = time.monotonic() + DRAIN_S
        while (found := states(node, producers)) != want and time.monotonic() < deadline:
            if any(now[0] > then[0] or now[1] > then[1] or now[2] or now[4] > then[4] for now, then in zip(found.values(), want.values())):
                break  # it can only get worse
        complaints = [text for producer in producers for text in producer.complaints]
        for key, numbers in want.items():
            if found[key] != numbers:
                complaints.append(f"{key}: [counted, tallied, out of order, last, marked] is {found[key]} instead of {numbers}")
        lost = sum(producer.lost_answers for producer in producers)
        print(f"{kills} kills, {total} messages of {OPTIONS.keys} keys, {lost} answers lost and asked for again",
              file=sys.stderr, flush=True)
        return seed, total, lost, complaints


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=OPTIONS.rounds, help="how many times the node is killed")
    parser.add_argument("--keys", type=int, default=OPTIONS.keys, help="producers, one for each key")
    parser.add_argument("--rate", type=float, default=OPTIONS.rate, help="messages per second, all together")
    parser.add_argument("--seed", type=int)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=sys.argv[:1] + rest, verbosity=2)
