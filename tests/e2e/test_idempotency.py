"""test_idempotency.py - a request with an Idempotency-Key is run once, however often it is sent."""
# SPDX-License-Identifier: Apache-2.0
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import faults_app
from harness.case import NodeCase, main
from harness.http import request_bytes
from harness.swarm import Swarm


class Once:
    """Sends one request, keeps the answer."""

    def __init__(self, data):
        self.data = data
        self.reply = None

    def next(self):
        data, self.data = self.data, None
        return data

    def done(self, reply):
        self.reply = reply

    def lost(self):
        pass


class Idempotency(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(faults_app(cls.work))

    def add(self, entity, key, body=b"", function="add", query=""):
        return self.node.post(f"/faults/{function}/{entity}{query}", body, {"Idempotency-Key": key})

    def test_the_same_key_gets_the_same_answer_and_runs_once(self):
        first = self.assert_ok(self.add("a", "k1", b"x"))
        second = self.assert_ok(self.add("a", "k1", b"x"))
        self.assertEqual(first.body, second.body)
        self.assertEqual(first.headers.get("content-type"), second.headers.get("content-type"))
        self.assertEqual("1", self.node.post("/faults/get/a").text.strip())

    def test_the_same_key_with_another_body_is_refused(self):
        self.assert_ok(self.add("b", "k2", b"x"))
        self.assert_error(self.add("b", "k2", b"y"), 422, "idempotency_mismatch", "fresh key")
        self.assertEqual("1", self.node.post("/faults/get/b").text.strip())

    def test_the_same_key_for_another_function_entity_or_query_is_never_the_old_answer(self):
        self.assert_ok(self.add("c", "k3", query="?by=5"))
        for reply in (self.add("c2", "k3"), self.add("c", "k3", query="?by=6"), self.add("c", "k3", function="echo")):
            if reply.status == 200:
                self.assertNotIn("idempotency-replayed", reply.headers, "the answer of another request")
            else:
                self.assert_error(reply, 422, "idempotency_mismatch")

    def test_a_failed_request_may_be_tried_again_with_its_key(self):
        self.assert_error(self.add("e", "k4", function="segfaults"), 502, "function_crashed")
        self.assert_error(self.add("e", "k4", function="segfaults"), 502, "function_crashed")
        self.assertEqual("0", self.node.post("/faults/get/e").text.strip())

    def test_a_key_beyond_its_limit_is_refused(self):
        self.assert_ok(self.add("f", "k" * 255))
        reply = self.add("f", "k" * 256)
        self.assert_error(reply, 400, "invalid_argument", "Idempotency-Key", "255")

    def test_many_clients_with_one_key_at_the_same_time_get_one_answer(self):
        actors = [
            Once(request_bytes("POST", "/faults/slow/g?ms=100", headers={"Idempotency-Key": "k5"})) for _ in range(20)
        ]
        with Swarm(self.node.address, actors) as swarm:
            self.assertTrue(swarm.finish(20))
        for actor in actors:
            self.assertEqual("1", self.assert_ok(actor.reply).text.strip())
        self.assertEqual("1", self.node.post("/faults/get/g").text.strip())


if __name__ == "__main__":
    main()
