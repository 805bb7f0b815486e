"""test_memory.py - clients that do not read, or send much at once: the node's memory stays within bounds."""
# SPDX-License-Identifier: Apache-2.0
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import SOURCE, faults_app
from harness.apps import make_app
from harness.case import Case, main
from harness.http import request_bytes


WRITE_TIMEOUT_S = 30  # BOUND_HTTP_WRITE_TIMEOUT_MS


class Memory(Case):
    def deployed(self, **options):
        node = self.make_node(**options)
        node.deploy(faults_app(self.make_dir()))
        return node

    def test_a_client_that_does_not_read_costs_bounded_memory(self):
        # What is promised is memory, not time: making so many bytes takes a busy machine its while.
        count, patient = 40, {"timeout_ms": 120000, "memory_mb": 64}
        node = self.make_node()
        node.deploy(make_app(self.make_dir(), "large", SOURCE, [{"name": "big_reply"} | patient]))
        node.deploy(make_app(self.make_dir(), "quiet", SOURCE, ["add"]))
        with node.client() as client:
            for _ in range(count):
                client.send(request_bytes("POST", f"/large/big_reply?bytes={8 << 20}"))
            others, began = 0, time.monotonic()
            while self.succeeded(node) < count + others:  # until all replies wait for their reader
                self.assertLess(time.monotonic() - began, 120, "the replies are not made")
                self.assert_ok(node.post("/quiet/add/x"))
                others += 1
            self.assertLess(node.resident_mb(), 480)
            try:
                for _ in range(3):
                    self.assertEqual(8 << 20, len(client.read().body))
            except ConnectionError:  # given up, as is right when nothing was read for so long
                self.assertGreater(time.monotonic() - began, WRITE_TIMEOUT_S)
        self.assert_ok(node.post("/quiet/add/x"))

    @staticmethod
    def succeeded(node):
        return node.cli("stats", "--json").json["invocations"]["succeeded"]

    def test_a_follower_of_logs_that_does_not_read_costs_bounded_memory(self):
        node = self.deployed()
        with node.admin() as admin:
            admin.send(b"GET /v1/logs?app=faults&follow=1&tail=0 HTTP/1.1\r\nHost: x\r\n\r\n")
            admin.head()
            for _ in range(4):  # 60 MB of lines each
                self.assert_ok(node.post("/faults/floods_log/x"))
            self.assertLess(node.resident_mb(), 300)
        self.assert_ok(node.post("/faults/get/x"))

    def test_many_large_bodies_at_once_cost_bounded_memory(self):
        node = self.deployed()
        body = bytes(15 << 20)
        clients = [node.client() for _ in range(64)]
        for client in clients:
            self.addCleanup(client.close)
            head = f"POST /faults/get/x HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            try:
                client.send(head + body[:-1])  # all but the last byte: it has to be held
            except ConnectionError:
                pass
        held = node.resident_mb()
        self.assert_ok(node.post("/faults/get/x"))
        self.assertLess(held, 600, "one gigabyte of bodies is held at once")


if __name__ == "__main__":
    main()
