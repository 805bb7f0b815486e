"""test_calls.py - functions call and send to each other, over a real node."""
# SPDX-License-Identifier: Apache-2.0
import sys
import threading
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from harness.apps import make_app
from harness.case import Case, NodeCase, main

SOURCE = Path(__file__).parent / "fn" / "calls.c"
FUNCTIONS = [
    "get", "add", "fails", "crashes", "writes_and_crashes", {"name": "spins", "timeout_ms": 300}, "calls", "sees", "contends", "fans_out", "sends",
    "sends_to_fail", "sends_to_nobody", {"name": "dawdles", "memory_mb": 80}, {"name": "hurries", "timeout_ms": 500}, {"name": "calls_with_much", "memory_mb": 256},
]


def calls_app(directory, head=(), without=()):
    functions = [one for one in FUNCTIONS if one not in without]
    return make_app(Path(directory) / "calls", "calls", SOURCE, functions, head=head)


class Calls(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(calls_app(cls.work))

    def post(self, path, *rest, **more):
        return self.node.post(f"/calls/{path}", *rest, **more)

    def test_a_reply_comes_back_through_the_caller(self):
        self.assertEqual("1", self.assert_ok(self.post("calls?function=add&entity=direct")).text)
        self.assertEqual("2", self.assert_ok(self.post("calls?function=add&entity=direct")).text)
        self.assertEqual("2", self.assert_ok(self.post("calls?function=get&entity=direct")).text)

    def test_what_a_call_did_is_seen_by_the_next_and_what_is_not_committed_by_none(self):
        self.assertEqual("0 then 1", self.assert_ok(self.post("sees/one")).text)
        self.assertEqual("1 then 2", self.assert_ok(self.post("sees/two")).text)

    def test_a_rejection_names_the_function_its_error_and_its_words(self):
        self.assert_error(self.post("calls?function=fails&entity=tea"), 502, "call_failed", "fails/tea", "function_error",
                          "no coffee for tea")
        self.assertEqual("0", self.post("get/tea").text, "nothing that a failed function wrote is kept")

    def test_a_crash_of_what_was_called_is_told(self):
        # It only reads, as far as anybody knows: it runs inside of its caller, and takes that along.
        self.assert_error(self.post("calls?function=crashes&entity=x"), 502, "function_crashed", "SIGSEGV")
        self.assertIn("it was in the function crashes, which was called", self.node.cli("logs", "calls").text)

    def test_a_crash_in_another_worker_leaves_the_caller_alive(self):
        self.assert_error(self.post("calls?function=writes_and_crashes&entity=x"), 502, "call_failed", "writes_and_crashes/x",
                          "function_crashed", "SIGSEGV")

    def test_a_call_ends_before_its_caller_does(self):
        self.assert_error(self.post("calls?function=spins&entity=x"), 502, "call_failed", "spins/x", "did not finish within 300 ms")

    def test_a_call_that_would_outlast_its_caller_is_ended_and_its_caller_answers(self):
        # Other limits than its caller's: it does not run inside of it.
        begun = time.monotonic()
        self.assert_error(self.post("hurries?function=dawdles&entity=x"), 502, "call_failed", "dawdles/x", "did not finish within")
        self.assertLess(time.monotonic() - begun, 1.9, "its late reply was waited for")
        self.assertEqual("0", self.post("get/x").text)
        self.assertEqual("late", self.assert_ok(self.post("calls?function=dawdles&entity=x")).text)

    def test_a_function_that_there_is_not_is_named_with_the_version(self):
        version = self.node.cli("apps", "--json").json["apps"][0]["version"]
        self.assert_error(self.post("calls?function=nobody"), 502, "call_failed", "nobody", "function_not_found",
                          f"version {version} of app 'calls' has no function 'nobody'")

    def test_a_call_back_to_the_busy_entity_shows_the_chain(self):
        self.assert_error(self.post("calls/ann?function=add&entity=ann"), 409, "call_cycle", "calls/ann -> add/ann")

    def test_a_payload_beyond_the_limit_is_told(self):
        self.assert_ok(self.post("calls_with_much?size=1000000"))
        self.assert_error(self.post("calls_with_much?size=16777217"), 413, "body_too_large", "the payload for get has 16777217 bytes",
                          "at most 16777216")

    def test_an_entity_beyond_the_limit_is_told(self):
        self.assert_error(self.post("calls?function=get&entity=" + "x" * 401), 400, "entity_invalid", "401 bytes")

    def test_a_fan_out_over_busy_entities_does_each_call_once(self):
        # 8 calls to each of 8 entities: 1+2+...+8, eight times.
        self.assertEqual("288", self.assert_ok(self.post("fans_out")).text)

    def test_callers_that_run_again_do_not_call_again(self):
        def client():
            for _ in range(10):
                replies.append(self.post("contends"))

        replies = []
        threads = [threading.Thread(target=client) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        succeeded = sum(reply.status == 200 for reply in replies)
        self.assertGreater(succeeded, 0)
        for reply in replies:
            self.assertIn(reply.status, (200, 409), reply.text)
        self.assertEqual(str(succeeded), self.node.cli("state", "get", "calls/hot", "n").text.strip())
        # Those that gave up after many conflicts had called, once each: a call commits by itself.
        self.assertEqual(str(len(replies)), self.post("get/called").text)

    def test_a_request_that_is_repeated_with_its_key_calls_once(self):
        for _ in range(3):
            reply = self.post("calls?function=add&entity=keyed", headers={"Idempotency-Key": "once"})
            self.assertEqual("1", self.assert_ok(reply).text)
        self.assertEqual("1", self.post("get/keyed").text)


class Sends(Case):
    """Each with a node of its own: what is sent outlives the test that sent it."""

    head = ()

    def setUp(self):
        super().setUp()
        self.node = self.make_node()
        self.node.deploy(calls_app(self.make_dir(), head=self.head))

    def post(self, path):
        return self.node.post(f"/calls/{path}")

    def until(self, path, text):
        self.eventually(lambda: self.post(path).text == text, lambda: f"{path} is not {text} but {self.post(path).text}")

    def test_what_is_sent_is_done_once_each(self):
        self.assert_ok(self.post("sends?to=many&count=500"))
        self.until("get/many", "500")

    def test_a_sender_that_fails_has_sent_nothing(self):
        self.assert_error(self.post("sends?to=none&count=5&fail=1"), 500, "function_error", "after it has sent")
        self.assert_ok(self.post("sends?to=fence"))
        self.until("get/fence", "1")
        self.assertEqual("0", self.post("get/none").text)
        self.assertEqual("1", self.node.cli("state", "get", "calls/", "sent").text.strip())

    def test_what_is_sent_for_later_waits_and_survives_a_kill(self):
        self.assert_ok(self.post("sends?to=late&count=0&later_ms=2500"))
        waiting = self.node.cli("sends", "ls", "calls", "--json").json["sends"]
        self.assertEqual([("add", "late", 0)], [(one["function"], one["entity"], one["attempts"]) for one in waiting])
        self.node.kill9()
        self.node.start()
        self.assertEqual("0", self.post("get/late").text)
        self.until("get/late", "1")
        self.assertEqual([], self.node.cli("sends", "ls", "calls", "--json").json["sends"])

    def test_what_fails_is_tried_again_and_tells_why(self):
        self.assert_ok(self.post("sends_to_fail"))

        def tried_twice():
            rows = self.node.cli("sends", "ls", "calls", "--json").json["sends"]
            return rows and rows[0]["attempts"] >= 2 and "no coffee for tea" in rows[0]["error"]

        self.eventually(tried_twice, "a send that fails is not tried again")
        self.assertIn("fails", self.node.cli("sends", "ls", "calls").text)

    def test_a_function_that_only_another_version_has_is_named_and_what_was_sent_to_it_waits(self):
        self.assert_ok(self.post("sends?to=left&count=0&later_ms=3000"))
        self.node.deploy(calls_app(self.make_dir(), head=self.head, without=["add"]))
        self.assert_error(self.post("calls?function=add&entity=x"), 502, "call_failed", "function_not_found", "has no function 'add'")

        def told():
            rows = self.node.cli("sends", "ls", "calls", "--json").json["sends"]
            return rows and rows[0]["attempts"] >= 1 and "function_not_found: app 'calls' has no function 'add'" in rows[0]["error"]

        self.eventually(told, "a send to a function that is gone does not say so")
        self.node.cli("rollback", "calls")
        self.until("get/left", "1")

    def test_a_function_that_there_is_not_fails_the_sender(self):
        self.assert_error(self.post("sends_to_nobody"), 404, "function_not_found", "has no function 'nobody'")

    def test_a_dead_letter_that_there_is_not_is_told(self):
        self.assertEqual(1, self.node.cli("sends", "retry", "calls", "0" * 32, check=False).code)
        self.assertIn("32 hexadecimal digits", self.node.cli("sends", "drop", "calls", "xyz", check=False).text)
        self.assertIn("--all", self.node.cli("sends", "drop", "calls", check=False).text)
        self.assertIn("0 dropped", self.node.cli("sends", "drop", "calls", "--all").text)


class SendsOverPartitions(Sends):
    """The same with state in four partitions: what is sent crosses them."""

    head = ("partitions: 4",)


if __name__ == "__main__":
    main()
