"""ledger.py - clients that count and transfer, remember every answer, and know what must be true afterwards."""
# SPDX-License-Identifier: Apache-2.0
#
# Each operation has an Idempotency-Key and is sent again with it until it is acknowledged. An increment answers with
# the new value. So at the end, with N acknowledged increments of a counter:
#
#   a value missing from 1..N      an increment was done twice, or one was lost and done again
#   a value answered twice         an increment that had been acknowledged was lost
#   the next increment is not N+1  the same, for the last ones
#   another answer for a key that was acknowledged before: its outcome was forgotten, it ran again
#
# Transfers move money between accounts: whenever anybody looks, the total is the same, and at the end each account has
# what the acknowledged transfers left in it.
import collections
import itertools
import re

from harness.http import request_bytes

COUNTERS = 6
ACCOUNTS = 10
OPENING = 1_000_000
REPEAT_ACKNOWLEDGED = 0.05  # how many acknowledged operations are sent once more, now or after the next restarts
# What a node may say before it did anything; the operation is sent again.
TRY_AGAIN = {"conflict", "queue_full", "overloaded", "draining", "unavailable", "function_start_failed"}


class Op:
    """One operation and what became of it."""

    def __init__(self, number, kind, target, args):
        self.number = number
        self.kind = kind
        self.target = target
        self.args = args
        self.tries = 0
        self.answer = None
        self.events = []

    @property
    def key(self):
        return f"op-{self.number}"

    def request(self):
        self.tries += 1
        return request_bytes("POST", self.target, headers={"Idempotency-Key": self.key})

    def __repr__(self):
        return f"{self.key} {self.kind}{self.args} {' '.join(self.events)}"


class Ledger:
    """All operations of a run, and the complaints about them."""

    def __init__(self, rng):
        self.rng = rng
        self.round = 0
        self.ops = []
        self.acknowledged = []
        self.complaints = []
        self.audits = 0
        self.stopped = False
        self._numbers = itertools.count(1)

    def complain(self, text, *ops):
        self.complaints.append(text + "".join(f"\n      {op!r}" for op in ops))

    def clients(self, count):
        return [_Client(self) for _ in range(count)] + [_Auditor(self)]

    # ---- operations ----

    def new_op(self):
        rng = self.rng
        number = next(self._numbers)
        if rng.random() < 0.5:
            name = f"c{rng.randrange(COUNTERS)}"
            op = Op(number, "increment", f"/counter/increment/{name}", (name,))
        else:
            source, target = rng.sample(range(ACCOUNTS), 2)
            amount = rng.randrange(1, 50)
            op = Op(
                number,
                "transfer",
                f"/bank/transfer?from=a{source}&to=a{target}&amount={amount}",
                (f"a{source}", f"a{target}", amount),
            )
        self.ops.append(op)
        return op

    def answered(self, op, reply):
        """True when it is acknowledged, for good."""
        if reply.status == 200:
            op.events.append(f"{self.round}:{reply.text.strip()!r}")
            if op.answer is None:
                op.answer = reply.body
                self.acknowledged.append(op)
            elif op.answer != reply.body:
                self.complain(f"another answer for the same key: {reply.text!r}, before {op.answer!r}", op)
            return True
        op.events.append(f"{self.round}:{reply.status}")
        if reply.error["code"] not in TRY_AGAIN:
            self.complain(f"unexpected answer {reply!r}", op)
            return True
        return False

    def lost(self, op):
        op.events.append(f"{self.round}:lost")

    def audited(self, reply):
        if reply.status == 200:
            self.audits += 1
            total = last_number(reply.text)
            if total != ACCOUNTS * OPENING:
                self.complain(f"round {self.round}: an audit found {total} instead of {ACCOUNTS * OPENING}")
        elif reply.error["code"] not in TRY_AGAIN:
            self.complain(f"unexpected answer to an audit: {reply!r}")

    # ---- before and after ----

    def open_accounts(self, client):
        for i in range(ACCOUNTS):
            reply = client.post(f"/bank/deposit/a{i}?amount={OPENING}")
            assert reply.status == 200, reply

    def verify(self, client):
        """Looks at everything once more. Everything sent has been acknowledged by now."""
        for op in self.ops:
            if op.answer is None:
                self.complain("never acknowledged", op)
        self._verify_counters(client)
        self._verify_accounts(client)
        return self.complaints

    def _verify_counters(self, client):
        answers = collections.defaultdict(lambda: collections.defaultdict(list))
        for op in self.acknowledged:
            if op.kind == "increment":
                answers[op.args[0]][last_number(op.answer.decode())].append(op)
        for name, by_value in sorted(answers.items()):
            count = sum(len(ops) for ops in by_value.values())
            for value, ops in sorted(by_value.items()):
                if len(ops) > 1:
                    self.complain(f"{name}: lost update, {value} was answered to {len(ops)} increments", *ops)
            missing = sorted(set(range(1, count + 1)) - set(by_value))
            if missing:
                self.complain(f"{name}: of {count} increments none was answered with {missing[:10]}")
            final = last_number(client.post(f"/counter/increment/{name}").text)
            if final != count + 1:
                what = "done twice" if final > count + 1 else "lost"
                self.complain(f"{name}: {count} increments acknowledged, the next one gave {final}: some were {what}")

    def _verify_accounts(self, client):
        balances = {f"a{i}": OPENING for i in range(ACCOUNTS)}
        for op in self.acknowledged:
            if op.kind == "transfer":
                source, target, amount = op.args
                balances[source] -= amount
                balances[target] += amount
        for name, expected in balances.items():
            found = last_number(client.get(f"/bank/balance/{name}").text)
            if found != expected:
                self.complain(f"{name} has {found}, the acknowledged transfers make {expected}")
        self.audited(client.get("/bank/audit"))


class _Client:
    """One operation after another, each until it is acknowledged; some acknowledged ones again."""

    def __init__(self, ledger):
        self.ledger = ledger
        self.op = None

    def next(self):
        if self.op is None:
            if self.ledger.stopped:
                return None
            done = self.ledger.acknowledged
            if done and self.ledger.rng.random() < REPEAT_ACKNOWLEDGED:
                self.op = self.ledger.rng.choice(done[-2000:])
            else:
                self.op = self.ledger.new_op()
        return self.op.request()

    def done(self, reply):
        if self.ledger.answered(self.op, reply):
            self.op = None

    def lost(self):
        self.ledger.lost(self.op)


class _Auditor:
    """Adds up all accounts, again and again."""

    def __init__(self, ledger):
        self.ledger = ledger

    def next(self):
        return None if self.ledger.stopped else request_bytes("GET", "/bank/audit")

    def done(self, reply):
        self.ledger.audited(reply)

    def lost(self):
        pass


def last_number(text):
    """Answers are for people; the figure is their last whole number."""
    numbers = re.findall(r"-?\d+", text)
    return int(numbers[-1]) if numbers else None
