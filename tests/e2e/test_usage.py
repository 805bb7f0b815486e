"""test_usage.py - what is metered: exactly what ran, also after the node was killed."""
# SPDX-License-Identifier: Apache-2.0
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import SOURCE
from harness.apps import make_app
from harness.case import Case, main


class Usage(Case):
    def deployed(self, functions, **options):
        node = self.make_node(**options)
        node.deploy(make_app(self.make_dir(), "tiny", SOURCE, functions))
        return node

    def of(self, node, function, meter):
        rows = node.cli("usage", "tiny", "--json").json["usage"]
        return sum(row[meter] for row in rows if row["function"] == function)

    def test_acknowledged_runs_are_counted_exactly_after_a_kill(self):
        node = self.deployed(["add", "get"])
        for round_number in range(1, 4):
            with ThreadPoolExecutor(8) as pool:
                for reply in pool.map(lambda i: node.post(f"/tiny/add/e{i % 5}"), range(40)):
                    self.assert_ok(reply)
            node.kill9()
            node.restart()
            self.assertEqual(40 * round_number, self.of(node, "add", "invocations"))
            self.assertEqual(40 * round_number, self.of(node, "add", "rows_written"))
            self.assertEqual(0, self.of(node, "add", "failures"))

    def test_the_run_that_waited_for_a_new_worker_is_cold_and_the_next_ones_are_not(self):
        node = self.deployed(["add"])
        for _ in range(10):
            self.assert_ok(node.post("/tiny/add/x"))
        self.assertEqual(10, self.of(node, "add", "invocations"))
        self.assertEqual(1, self.of(node, "add", "cold"))
        self.assertIn("COLD", node.cli("usage", "tiny").text)

    def test_a_bill_has_the_time_the_memory_the_rows_and_the_price(self):
        flags = ["--price.per_million_invocations=1000000", "--price.per_gb_second=100000"]
        node = self.deployed([{"name": "slow", "memory_mb": 100}, "get"], flags=flags)
        self.assert_ok(node.post("/tiny/slow/x?ms=30"))
        for _ in range(2):
            self.assert_ok(node.post("/tiny/get/x"))
        (slow,) = [row for row in node.cli("usage", "tiny", "--json").json["usage"] if row["function"] == "slow"]
        self.assertGreaterEqual(slow["wall_us"], 30000)
        self.assertLess(slow["cpu_us"], slow["wall_us"])
        self.assertEqual(100 * slow["wall_us"], slow["mb_us"])
        self.assertGreater(slow["peak_kib"], 100)  # of the process, whatever it is
        self.assertEqual((0, 1), (slow["rows_read"], slow["rows_written"]))
        self.assertGreater(slow["bytes_written"], 0)
        self.assertEqual(0, slow["messages"])
        self.assertAlmostEqual(1 + 100000 * slow["gb_seconds"], slow["price"], delta=0.1)
        self.assertEqual(2, self.of(node, "get", "bytes_read"))  # the one digit, twice
        table = node.cli("usage", "tiny").text
        for word in ("WALL", "CPU", "PEAK", "ROWS", "0/1", "PRICE", f"{slow['price']:.4f}"):
            self.assertIn(word, table)

    def test_metrics_tell_what_the_node_has_done(self):
        node = self.deployed([{"name": "add", "pool": "{ max: 1 }"}])
        for _ in range(3):
            self.assert_ok(node.post("/tiny/add/x"))
        self.assertEqual(404, node.post("/tiny/none").status)
        reply = self.assert_ok(node.get("/metrics"))
        self.assertTrue(reply.headers["content-type"].startswith("text/plain; version=0.0.4"))
        seen = dict(line.rsplit(" ", 1) for line in reply.text.splitlines() if not line.startswith("#"))
        self.assertEqual("3", seen["stead_invocations_succeeded_total"])
        self.assertEqual("3", seen['stead_store_commits_total{app="tiny",partition="0"}'])
        self.assertEqual("1", seen["stead_workers"])


if __name__ == "__main__":
    main()
