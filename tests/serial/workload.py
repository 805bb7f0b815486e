"""workload.py - clients that run random transactions and write down what they saw."""
# SPDX-License-Identifier: Apache-2.0
import itertools
import random
import time

from checker import FAIL, OK, UNKNOWN, Txn
from harness.http import request_bytes

# Few keys at a time make conflicts; a new generation of them every so often keeps the lists short and makes scans
# meet keys that did not exist a moment ago.
KEYS = 4
TXNS_PER_GENERATION = 150


class Workload:
    """What all clients share: the history, and values that are never used twice."""

    def __init__(self, seed, app="serial"):
        self.rng = random.Random(seed)
        self.app = app
        self.history = []
        self.stopped = False
        self._values = itertools.count(1)
        self._names = itertools.count(1)

    def client(self, process):
        return _Client(self, process)

    def program(self):
        """Steps of one random transaction."""
        rng = self.rng
        generation = len(self.history) // TXNS_PER_GENERATION
        # Now and then the generation before: its last appends have to be still there.
        if generation and rng.random() < 0.1:
            generation -= 1
        prefixes = [f"e{generation}/", f"r{generation}/"]
        steps = []
        for _ in range(rng.randrange(1, 5)):
            key = rng.choice(prefixes) + str(rng.randrange(KEYS))
            roll = rng.random()
            if roll < 0.45:
                steps.append(("a", key, next(self._values)))
            elif roll < 0.85:
                steps.append(("r", key))
            elif roll < 0.95:
                steps.append(("s", rng.choice(prefixes)))
            else:
                steps.append(("w", rng.randrange(20, 2000)))
        if rng.random() < 0.03:
            steps.append(("f",))
        return steps

    def target(self, steps):
        """Some are addressed to the entity of one of their keys, so that they take turns; most are not."""
        entities = [step[1] for step in steps if step[0] in "ra" and step[1].startswith("e")]
        if entities and self.rng.random() < 0.3:
            return f"/{self.app}/txn/{self.rng.choice(entities)}"
        return f"/{self.app}/txn"

    def final_read(self, client):
        """Reads everything, after everything else."""
        generations = len(self.history) // TXNS_PER_GENERATION + 1
        for generation in range(generations):
            for kind in "er":
                steps = [("s", f"{kind}{generation}/")]
                txn = Txn(f"final{kind}{generation}", [], time.monotonic())
                reply = client.post(f"/{self.app}/txn", body_of(steps))
                assert reply.status == 200, reply
                txn.end = time.monotonic()
                txn.ops = ops_of(steps, reply.text)
                self.history.append(txn)

    def count(self, outcome):
        return sum(txn.outcome == outcome for txn in self.history)


class _Client:
    """An actor of a swarm: one transaction after another."""

    def __init__(self, workload, process):
        self.workload = workload
        self.process = process

    def next(self):
        if self.workload.stopped:
            return None
        self.steps = self.workload.program()
        name = f"T{next(self.workload._names)}"
        self.txn = Txn(name, ops_of(self.steps), time.monotonic(), 0, UNKNOWN, self.process)
        self.workload.history.append(self.txn)
        return request_bytes("POST", self.workload.target(self.steps), body_of(self.steps))

    def done(self, reply):
        self.txn.end = time.monotonic()
        if reply.status == 200:
            self.txn.outcome = OK
            self.txn.ops = ops_of(self.steps, reply.text)
        elif reply.error["code"] in ("store_io", "store_full", "read_only"):
            pass  # nobody knows
        else:
            self.txn.outcome = FAIL

    def lost(self):
        pass  # UNKNOWN already


def body_of(steps):
    return "\n".join(" ".join(map(str, step)) for step in steps).encode()


def ops_of(steps, reply=None):
    """Operations for the checker. Without a reply only what it may have written is known."""
    lines = iter(reply.splitlines()) if reply is not None else None
    ops = []
    for step in steps:
        if step[0] == "a":
            ops.append(("append", step[1], step[2]))
        elif lines is None:
            continue
        elif step[0] == "r":
            key, values = _row(next(lines))
            assert key == step[1], f"asked for {step[1]}, got {key}"
            ops.append(("read", key, values))
        elif step[0] == "s":
            rows = {}
            while (line := next(lines)) != ".":
                key, values = _row(line)
                assert key not in rows, f"a scan returned {key} twice"
                rows[key] = values
            ops.append(("scan", step[1], rows))
    return ops


def _row(line):
    key, *values = line.split(" ")
    return key, [int(value) for value in values]
