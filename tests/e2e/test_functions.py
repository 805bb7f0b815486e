"""test_functions.py - functions that fail, crash, exit, hang, grow and flood: a clear error, and the node goes on."""
# SPDX-License-Identifier: Apache-2.0
import re
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import faults_app
from harness.case import NodeCase, main


class Functions(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(faults_app(cls.work))

    def setUp(self):
        super().setUp()
        self.entity = self.id().rsplit(".", 1)[1][:100]

    def call(self, function, query=""):
        return self.node.post(f"/faults/{function}/{self.entity}{query}")

    def assert_nothing_kept(self):
        """Nothing was written, and the node answers as before."""
        self.assertEqual("0", self.assert_ok(self.call("get")).text.strip())
        self.assertEqual("1", self.assert_ok(self.call("add")).text.strip())

    def test_a_returned_error_reaches_the_caller_with_its_words(self):
        self.assert_error(self.call("fails"), 500, "function_error", "no price for tea")
        self.assert_nothing_kept()

    def test_a_rejection_has_the_status_that_the_function_chose(self):
        self.assert_error(self.call("rejects"), 418, "function_error", "only tea here")
        self.assert_nothing_kept()

    def test_a_segfault_names_the_signal(self):
        error = self.assert_error(self.call("segfaults"), 502, "function_crashed", "SIGSEGV")
        self.assert_nothing_kept()
        self.assertTrue(error["invocation"])

    def test_what_was_logged_before_a_crash_is_there(self):
        error = self.assert_error(self.call("segfaults"), 502, "function_crashed")
        logs = self.node.cli("logs", "faults", "--tail", "50").text
        self.assertIn("last words", logs)
        self.assertIn(error["invocation"], logs)

    def test_an_abort_names_the_signal(self):
        self.assert_error(self.call("aborts"), 502, "function_crashed", "SIGABRT")
        self.assert_nothing_kept()

    def test_an_exit_is_told_apart_from_a_crash(self):
        self.assert_error(self.call("exits"), 502, "function_exited", "exit")
        self.assert_nothing_kept()

    def test_a_stack_overflow_is_a_crash(self):
        self.assert_error(self.call("overflows"), 502, "function_crashed", "SIGSEGV")

    def test_an_endless_loop_ends_at_its_deadline(self):
        for function in ("loops", "loops_deaf"):
            with self.subTest(function):
                began = time.monotonic()
                self.assert_error(self.call(function), 504, "function_timeout", "timeout_ms")
                self.assertLess(time.monotonic() - began, 5)
        self.assert_nothing_kept()

    def test_endless_allocation_ends_at_the_memory_limit(self):
        for function in ("allocates", "allocates_ours"):
            with self.subTest(function):
                self.assert_error(self.call(function), 502, "function_out_of_memory", "256 MiB", "memory_mb")
        self.assert_nothing_kept()

    def test_a_gigabyte_on_stdout_harms_nobody(self):
        reply = self.call("floods_stdout")
        if reply.status != 200:
            self.assertIn(reply.error["code"], ("function_timeout", "function_crashed"))
        self.assertLess(self.node.resident_mb(), 400)
        self.assertLess(self.node.data_mb(), 100)
        self.assertLess(sum(map(len, self.node.log.lines)), 10 << 20)
        self.assert_told("faults/floods_stdout", r"\(too much output: what exceeds \d+ KiB per second is dropped, \d+ bytes so far")
        self.assert_nothing_kept()

    def assert_told(self, function, words):
        """Whoever reads the function's log learns that something is missing in it."""
        lines = [line for line in self.node.cli("logs", "faults", "--tail", "1000").out.splitlines() if function in line]
        self.assertTrue(any(re.search(words, line) for line in lines), [line[:200] for line in lines[-5:]])

    def test_a_flood_of_log_lines_is_kept_within_bounds(self):
        self.call("floods_log")
        self.assertLess(self.node.resident_mb(), 400)
        self.assertLess(self.node.data_mb(), 100)
        self.assert_told("faults/floods_log", r"\(too many log lines: what exceeds \d+ KiB per second is dropped, \d+ lines so far")
        self.assert_nothing_kept()

    def test_closed_descriptors_end_only_the_worker(self):
        reply = self.call("closes_everything")
        self.assertIn(reply.error["code"], ("function_exited", "function_crashed", "function_protocol"))
        self.assert_nothing_kept()

    def test_rubbish_on_every_descriptor_ends_only_the_worker(self):
        reply = self.call("scribbles")
        self.assertIn(reply.error["code"], ("function_exited", "function_crashed", "function_protocol"))
        self.assert_nothing_kept()

    def test_a_function_cannot_make_processes(self):
        reply = self.call("forks")
        if reply.status == 200:
            self.assertEqual("refused", reply.text.strip())
        else:
            self.assertEqual("function_crashed", reply.error["code"])

    def test_a_function_cannot_kill_what_it_was_forked_from(self):
        reply = self.call("kills_its_parent")
        if reply.status == 200:
            self.assertEqual("refused", reply.text.strip())
        else:
            self.assertEqual("function_crashed", reply.error["code"])
        self.assert_nothing_kept()

    def test_a_row_name_beyond_its_limit_is_told(self):
        self.assert_error(self.call("long_name", "?bytes=501"), 400, "key_too_long", "500")
        self.assert_nothing_kept()

    def test_another_entity_beyond_its_limit_is_told(self):
        reply = self.call("long_entity", "?bytes=401")
        self.assertEqual(400, reply.status, reply)
        self.assertIn(reply.error["code"], ("entity_invalid", "invalid_argument", "key_too_long"))

    def test_a_value_beyond_its_limit_is_told(self):
        self.assert_error(self.call("big_value", f"?bytes={(64 << 20) + 1}"), 413, "value_too_large")
        self.assert_nothing_kept()

    def test_a_value_of_many_megabytes_is_kept(self):
        self.assert_ok(self.call("big_value", f"?bytes={20 << 20}"))
        self.assertEqual("1", self.assert_ok(self.call("get")).text.strip())

    def test_a_write_set_beyond_its_limit_is_told(self):
        reply = self.call("many_rows", f"?rows=300&bytes={1 << 20}")
        self.assertIn(reply.error["code"], ("write_set_too_large", "function_out_of_memory"), reply)

    def test_a_row_that_is_no_number_is_told(self):
        reply = self.call("not_a_number")
        self.assertEqual(("word" in reply.error["message"], True), (True, reply.status >= 400), reply)

    def test_a_reply_beyond_its_limit_is_told(self):
        reply = self.call("big_reply", f"?bytes={(16 << 20) + 1}")
        self.assertGreaterEqual(reply.status, 400)
        self.assertEqual(16 << 20, len(self.assert_ok(self.call("big_reply", f"?bytes={16 << 20}")).body))

    def test_crashing_again_and_again_does_not_hurt_the_neighbours(self):
        for _ in range(30):
            self.assert_error(self.call("segfaults"), 502, "function_crashed")
        self.assert_nothing_kept()


if __name__ == "__main__":
    main()
