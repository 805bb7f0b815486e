"""rounds.py - load, kill at a random moment, start again; many times."""
# SPDX-License-Identifier: Apache-2.0
import time

from harness.http import Client
from harness.swarm import Swarm

ROUND_S = 0.5  # load of a round is between nothing and twice this
KILL_WHILE_STARTING = 0.15  # how often the node is killed once more while it recovers


def run_rounds(node, ledger, rounds, clients, rate=None, say=lambda text: None):
    """`node` has kill9(), launch(), start() and an address. Returns the complaints."""
    rng = ledger.rng
    began = time.monotonic()
    with Client(node.address) as client:
        ledger.open_accounts(client)
    with Swarm(node.address, ledger.clients(clients), rate) as swarm:
        for ledger.round in range(1, rounds + 1):
            swarm.run(rng.random() * 2 * ROUND_S)
            node.kill9()
            swarm.drop_all()
            while rng.random() < KILL_WHILE_STARTING:
                node.launch()
                node.kill9(after_s=rng.random() * 0.05)
            node.start()
            swarm.address = node.address
            if ledger.complaints:
                break
            if ledger.round % 10 == 0:
                say(f"{ledger.round} rounds, {len(ledger.acknowledged)} acknowledged, {ledger.audits} audits")
        ledger.stopped = True
        if not swarm.finish(60):
            ledger.complain("requests hang")
    with Client(node.address) as client:
        complaints = ledger.verify(client)
    lost = sum("lost" in event for op in ledger.ops for event in op.events)
    say(
        f"{ledger.round} rounds in {time.monotonic() - began:.0f} s: {len(ledger.acknowledged)} operations "
        f"acknowledged, {lost} answers lost and asked for again, {ledger.audits} audits, {len(complaints)} complaints"
    )
    return complaints
