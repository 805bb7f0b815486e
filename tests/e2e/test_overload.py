"""test_overload.py - more than the node can take: a clear answer at once, and room for the neighbours."""
# SPDX-License-Identifier: Apache-2.0
import collections
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import SOURCE, faults_app
from harness.apps import make_app
from harness.case import Case, main
from harness.http import request_bytes
from harness.swarm import Swarm


NAP = r"""
#include <poll.h>
#include <stead/stead.h>

STEAD_FUNCTION(nap)
{
    poll(NULL, 0, (int)stead_query_i64(ctx, "ms", 1));
    return stead_reply(ctx, "ok\n");
}
"""


class Flood:
    """One request after another; counts the answers."""

    def __init__(self, data, count):
        self.data = data
        self.left = count
        self.seen = collections.Counter()
        self.odd = []

    def next(self):
        if self.left == 0:
            return None
        self.left -= 1
        return self.data

    def done(self, reply):
        what = reply.status if reply.status == 200 else reply.error["code"]
        self.seen[what] += 1
        if reply.status in (429, 503) and "retry-after" not in reply.headers:
            self.odd.append(f"no Retry-After: {reply}")

    def lost(self):
        self.seen["lost"] += 1


def flood(test, node, data, clients, count):
    floods = [Flood(data, count) for _ in range(clients)]
    with Swarm(node.address, floods) as swarm:
        test.assertTrue(swarm.finish(60), "requests hang")
    for one in floods:
        test.assertEqual([], one.odd[:3])
    return sum((one.seen for one in floods), collections.Counter())


class Overload(Case):
    def deployed(self, **options):
        node = self.make_node(**options)
        node.deploy(faults_app(self.make_dir()))
        return node

    def test_a_full_queue_is_answered_at_once_and_nothing_is_half_done(self):
        node = self.make_node()
        function = {"name": "slow", "concurrency": 1, "queue": 5, "timeout_ms": 20000}
        node.deploy(make_app(self.make_dir(), "tiny", SOURCE, [function, "get"]))
        began = time.monotonic()
        seen = flood(self, node, request_bytes("POST", "/tiny/slow?ms=50"), clients=40, count=3)
        self.assertEqual({200, "queue_full"}, set(seen), seen)
        self.assertLess(time.monotonic() - began, 15)
        self.assertEqual(str(seen[200]), self.assert_ok(node.post("/tiny/get")).text.strip())

    def test_a_node_with_too_many_invocations_says_so(self):
        node = self.deployed(flags=["--invocations_max=10"])
        seen = flood(self, node, request_bytes("POST", "/faults/slow/x?ms=20"), clients=60, count=3)
        self.assertLessEqual(set(seen), {200, "overloaded", "queue_full"}, seen)
        self.assertGreater(seen["overloaded"], 0)
        self.assertEqual(str(seen[200]), self.assert_ok(node.post("/faults/get/x")).text.strip())

    def neighbours(self, **options):
        """A node with two apps of the same code: one for the flood, and one beside it."""
        node = self.make_node(**options)
        wide = {"name": "nap", "concurrency": 64, "pool": "{ max: 64 }", "timeout_ms": 30000}
        for app in ("flood", "quiet"):
            node.deploy(make_app(self.make_dir(), app, NAP, [wide]))
        return node

    def test_an_app_that_floods_the_node_leaves_places_to_its_neighbour(self):
        node = self.neighbours(flags=["--invocations_max=40"])
        with ThreadPoolExecutor(1) as beside:
            data = request_bytes("POST", "/flood/nap?ms=20")
            flooding = beside.submit(flood, self, node, data, clients=100, count=30)
            quiet = collections.Counter()
            while not flooding.done():
                quiet[node.post("/quiet/nap?ms=1").status] += 1
            seen = flooding.result()
        self.assertEqual({200, "overloaded"}, set(seen), seen)
        self.assertEqual({200}, set(quiet), quiet)

    def test_an_app_that_takes_all_workers_leaves_one_to_its_neighbour(self):
        node = self.neighbours(flags=["--workers_max=9"])
        with ThreadPoolExecutor(1) as beside:
            data = request_bytes("POST", "/flood/nap?ms=4000")
            flooding = beside.submit(flood, self, node, data, clients=20, count=1)
            deadline = time.monotonic() + 20
            while self.busy(node) < 8:
                self.assertLess(time.monotonic(), deadline, "the flood does not get its eight workers")
            self.assert_ok(node.post("/quiet/nap?ms=1"))
            self.assertEqual(8, self.busy(node), "the flood's first runs are over: it was waited for one of them")
            self.assertEqual({200: 20}, dict(flooding.result()))

    @staticmethod
    def busy(node):
        return node.cli("stats", "--json").json["workers"]["busy"]

    def test_connections_beyond_the_limit_are_refused_and_those_within_live_on(self):
        node = self.deployed(flags=["--http.connections_max=20"])
        held = [node.client() for _ in range(20)]
        for client in held:
            self.addCleanup(client.close)
            self.assert_ok(client.post("/faults/get/x"))
        with node.client(timeout_s=10) as extra:
            try:
                self.assertEqual(503, extra.get("/healthz").status)
            except ConnectionError:
                pass
        for client in held:
            self.assert_ok(client.post("/faults/get/x"))
        held.pop().close()
        for _ in range(200):  # until the node has seen the goodbye
            with node.client() as extra:
                try:
                    if extra.post("/faults/get/x").status == 200:
                        return
                except ConnectionError:
                    continue
        self.fail("the place of a closed connection is not given back")

    def test_five_hundred_clients_on_one_entity_lose_no_update(self):
        node = self.deployed()
        seen = flood(self, node, request_bytes("POST", "/faults/add/hot"), clients=500, count=10)
        self.assertLessEqual(set(seen), {200, "queue_full", "overloaded"}, seen)
        self.assertEqual(str(seen[200]), self.assert_ok(node.post("/faults/get/hot")).text.strip())

    def test_five_hundred_clients_without_an_entity_lose_no_update(self):
        node = self.deployed()
        seen = flood(self, node, request_bytes("POST", "/faults/add"), clients=500, count=4)
        self.assertLessEqual(set(seen), {200, "queue_full", "overloaded", "conflict"}, seen)
        self.assertEqual(str(seen[200]), self.assert_ok(node.post("/faults/get")).text.strip())
        self.assertGreater(seen[200], 0)


if __name__ == "__main__":
    main()
