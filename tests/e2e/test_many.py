"""test_many.py - hundreds of functions, thousands of invocations in flight: all are answered, memory stays bounded."""
# SPDX-License-Identifier: Apache-2.0
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from harness.apps import compile_so, make_app
from harness.case import Case, main
from harness.http import request_bytes
from harness.swarm import Swarm

APPS, FUNCTIONS, EACH = 20, 25, 10  # 500 functions, 5,000 invocations

# Every function is the same one and waits until the gate opens: in its worker, and all behind it in the node.
SOURCE = """
#include <poll.h>
#include <unistd.h>
#include <stead/stead.h>

static int run(struct stead_ctx *ctx)
{
    while (access("/gate/open", F_OK) != 0) poll(NULL, 0, 20);
    return stead_reply(ctx, "%lld", (long long)stead_query_i64(ctx, "number", -1));
}
""" + "\n".join(f"STEAD_FUNCTION(f{i}) {{ return run(ctx); }}" for i in range(FUNCTIONS))


class One:
    """One request; remembers its reply."""

    def __init__(self, path, want):
        self.data = request_bytes("POST", path)
        self.want = want
        self.got = None

    def next(self):
        data, self.data = self.data, None
        return data

    def done(self, reply):
        self.got = (reply.status, reply.text)

    def lost(self):
        self.got = ("lost", "")


class Many(Case):
    def test_five_thousand_invocations_of_five_hundred_functions_wait_at_once_and_all_are_answered(self):
        gate = self.make_dir()
        gate.chmod(0o755)  # for the apps' own users
        library = compile_so(SOURCE, self.make_dir() / "many.so")
        node = self.make_node()
        functions = [{"name": f"f{i}", "timeout_ms": 120000, "pool": "{ max: 1 }"} for i in range(FUNCTIONS)]
        mounts = ["mounts:", f"  - {{ from: {gate}, to: /gate }}"]
        for app in range(APPS):
            node.deploy(make_app(self.make_dir(), f"app{app}", library, functions, head=mounts))
        empty_mb = node.resident_mb()
        requests = []
        for number in range(APPS * FUNCTIONS * EACH):
            app, function = number % APPS, number // APPS % FUNCTIONS
            requests.append(One(f"/app{app}/f{function}?number={number}", str(number)))
        with Swarm(node.address, requests) as swarm:
            deadline = time.monotonic() + 60
            while self.in_flight(node) < len(requests):
                self.assertLess(time.monotonic(), deadline, f"{self.in_flight(node)} in flight")
                swarm.run(0.1)
            self.assertLess(node.resident_mb() - empty_mb, 200, "40 KB for each that waits")
            self.assertEqual([], [one.got for one in requests if one.got])
            (gate / "open").touch()
            self.assertTrue(swarm.finish(60), "requests hang")
        self.assertEqual([], [(one.want, one.got) for one in requests if one.got != (200, one.want)][:5])

    @staticmethod
    def in_flight(node):
        return node.cli("stats", "--json").json["invocations"]["in_flight"]


if __name__ == "__main__":
    main()
