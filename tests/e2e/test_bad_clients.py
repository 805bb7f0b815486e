"""test_bad_clients.py - clients that leave early or send slowly: nothing of them stays, and the others go on."""
# SPDX-License-Identifier: Apache-2.0
import socket
import struct
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import faults_app
from harness.case import Case, main
from harness.http import request_bytes


class BadClients(Case):
    def deployed(self, **options):
        node = self.make_node(**options)
        node.deploy(faults_app(self.make_dir()))
        return node

    def test_clients_that_go_away_leave_nothing_behind(self):
        node = self.deployed()
        self.leave(node)  # workers are started
        descriptors = self.descriptors(node)
        for _ in range(3):
            self.leave(node)
        for _ in range(200):
            if self.descriptors(node) <= descriptors:
                return
            self.assert_ok(node.post("/faults/get/x"))
        self.fail(f"{self.descriptors(node)} descriptors are open, {descriptors} were before")

    def leave(self, node):
        """Sends requests and goes away, every third time with a reset."""
        for i in range(200):
            with node.client() as client:
                client.send(request_bytes("POST", "/faults/slow/gone?ms=1"))
                if i % 3 == 0:
                    linger = struct.pack("ii", 1, 0)
                    client.connect().setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        # Behind all of them in the order of the entity.
        self.assert_ok(node.post("/faults/slow/gone?ms=1"))

    @staticmethod
    def descriptors(node):
        return len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))

    def test_many_slow_and_half_requests_do_not_stop_the_others(self):
        node = self.deployed(flags=["--http.request_timeout_ms=2000"])
        held = []
        for i in range(300):
            client = node.client()
            self.addCleanup(client.close)
            client.send(request_bytes("POST", "/faults/add/half", b"x" * 100)[: 10 + i % 100])
            held.append(client)
        began = time.monotonic()
        for _ in range(50):
            self.assert_ok(node.post("/faults/add/whole"))
        self.assertLess(time.monotonic() - began, 5)
        for client in held[:20]:
            self.assertEqual(408, client.read().status)
        self.assertEqual("0", node.post("/faults/get/half").text.strip())


if __name__ == "__main__":
    main()
