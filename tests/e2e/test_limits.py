"""test_limits.py - the limits of functions and apps, as callers meet them."""
# SPDX-License-Identifier: Apache-2.0
import collections
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import SOURCE
from harness.apps import make_app
from harness.case import Case, main


PLACE = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <stead/stead.h>

STEAD_FUNCTION(region)
{
    const char *region = getenv("REGION"), *empty = getenv("EMPTY");
    return stead_reply(ctx, "%s %s\n", region ? region : "unset", empty && !*empty ? "empty" : "else");
}

STEAD_FUNCTION(reads)
{
    int file = open("/etc/passwd", O_RDONLY);
    if (file >= 0) close(file);
    return stead_reply(ctx, "%s\n", file >= 0 ? "readable" : "refused");
}
"""


class Surroundings(Case):
    def deployed(self, head):
        node = self.make_node()
        node.deploy(make_app(self.make_dir(), "place", PLACE, ["region", "reads"], head=head))
        return node

    def test_the_environment_of_the_manifest_reaches_the_code(self):
        node = self.deployed(["env:", "  - { name: REGION, value: north }", "  - { name: EMPTY, value: '' }"])
        self.assertEqual("north empty", self.assert_ok(node.post("/place/region")).text.strip())

    def test_code_is_in_a_sandbox_unless_the_manifest_says_none_and_the_log_says_so(self):
        node = self.deployed([])
        self.assertEqual("refused", self.assert_ok(node.post("/place/reads")).text.strip())
        self.assertNotIn("SANDBOX", node.log_text())
        node.deploy(make_app(self.make_dir(), "place", PLACE, ["region", "reads"], head=["sandbox: none"]))
        node.wait_log("WITHOUT A SANDBOX")
        self.assertEqual("readable", self.assert_ok(node.post("/place/reads")).text.strip())


HOARD = r"""
#include <stead/stead.h>

STEAD_FUNCTION(keep)
{
    struct stead_bytes body = stead_body(ctx);
    return stead_put(ctx, "body", body.data, body.size);
}

STEAD_FUNCTION(size)
{
    struct stead_bytes body;
    enum stead_status status = stead_get(ctx, "body", &body);
    return status ? status : stead_reply(ctx, "%zu\n", body.size);
}

STEAD_FUNCTION(drop)
{
    return stead_delete(ctx, "body");
}
"""


class AppLimits(Case):
    def test_a_full_state_refuses_writes_and_takes_reads_and_deletes(self):
        node = self.make_node()
        head = ["limits: { state_bytes_max: 1000000 }"]
        node.deploy(make_app(self.make_dir(), "hoard", HOARD, ["keep", "size", "drop"], head=head))
        kept = 0
        for kept in range(100):
            reply = node.post(f"/hoard/keep/e{kept}", b"x" * 100000)
            if reply.status != 200:
                break
        self.assert_error(reply, 507, "state_limit", "1000000", "limits.state_bytes_max")
        self.assertIn(kept, range(8, 12))
        self.assertEqual("100000", self.assert_ok(node.post("/hoard/size/e0")).text.strip())
        self.assert_error(node.post(f"/hoard/size/e{kept}"), 500, "function_error", "not_found")
        self.assert_ok(node.post("/hoard/drop/e0"))
        self.assert_ok(node.post("/hoard/drop/e1"))
        self.assert_ok(node.post("/hoard/keep/new", b"x" * 100000))

    def test_no_more_workers_are_started_than_fit_into_the_memory_of_the_app(self):
        node = self.make_node()
        head = ["limits: { memory_mb: 200 }"]
        node.deploy(make_app(self.make_dir(), "tiny", SOURCE, ["slow", "pid"], head=head))
        with ThreadPoolExecutor(16) as pool:
            replies = list(pool.map(lambda i: node.post("/tiny/slow?ms=50"), range(16)))
            for reply in replies:
                self.assert_ok(reply)
            pids = {reply.text for reply in pool.map(lambda i: node.post("/tiny/pid"), range(50))}
        self.assertLessEqual(len(pids), 3)


class Limits(Case):
    def deployed(self, functions, head=(), **options):
        node = self.make_node(**options)
        node.deploy(make_app(self.make_dir(), "tiny", SOURCE, functions, head=head))
        return node

    def all_at_once(self, node, targets):
        with ThreadPoolExecutor(len(targets)) as pool:
            return list(pool.map(node.post, targets))

    def test_concurrency_holds_beside_a_function_that_has_more(self):
        wide = {"name": "pid", "concurrency": 8, "pool": "{ max: 8 }"}
        node = self.deployed([{"name": "slow", "concurrency": 2}, wide])
        self.assert_ok(node.post("/tiny/pid"))
        began = time.monotonic()
        for reply in self.all_at_once(node, ["/tiny/slow?ms=100"] * 3 + [f"/tiny/slow/e{i}?ms=100" for i in range(5)]):
            self.assert_ok(reply)
        self.assertGreaterEqual(time.monotonic() - began, 0.4)

    def test_a_part_of_a_processor_is_what_a_function_gets_also_with_many_callers(self):
        node = self.deployed([{"name": "burns", "cpu_percent": 10}, "pid"])
        self.assert_ok(node.post("/tiny/burns?ms=10"))  # now it is known
        began = time.monotonic()
        targets = [f"/tiny/burns{'' if i % 2 else '/hot'}?ms=10" for i in range(8)]
        for reply in self.all_at_once(node, targets):
            self.assert_ok(reply)
        self.assertGreaterEqual(time.monotonic() - began, 0.6)  # 8 times 9 ms or more, of which the last need not be paid
        self.assert_ok(node.post("/tiny/pid"))  # its neighbour does not wait for it

    def test_a_rate_refuses_what_comes_too_fast_and_says_when_to_come_again(self):
        node = self.deployed([{"name": "add", "rate": "{ per_second: 1, burst: 3 }"}, "get"])
        seen = collections.Counter()
        for _ in range(10):
            reply = node.post("/tiny/add/x")
            seen[reply.status] += 1
            if reply.status != 200:
                self.assert_error(reply, 429, "rate_limited", "add", "1 invocations per second")
                self.assertEqual("1", reply.headers["retry-after"])
        self.assertGreaterEqual(seen[200], 3)
        self.assertGreater(seen[429], 0)
        deadline = time.monotonic() + 5
        while node.post("/tiny/add/x").status != 200:
            self.assertLess(time.monotonic(), deadline)
        self.assertEqual(str(seen[200] + 1), node.post("/tiny/get/x").text.strip())

    def test_a_body_beyond_the_limit_of_its_function_is_refused_and_one_byte_less_is_taken(self):
        node = self.deployed([{"name": "echo", "body_bytes_max": 100}])
        self.assert_ok(node.post("/tiny/echo", b"x" * 100))
        self.assert_error(node.post("/tiny/echo", b"x" * 101), 413, "body_too_large", "echo", "100")

    def test_a_reply_beyond_the_limit_of_its_function_fails(self):
        node = self.deployed([{"name": "big_reply", "reply_bytes_max": 1000}])
        self.assert_ok(node.post("/tiny/big_reply?bytes=1000"))
        self.assert_error(node.post("/tiny/big_reply?bytes=1001"), 500, "reply_too_large", "big_reply", "1000")


if __name__ == "__main__":
    main()
