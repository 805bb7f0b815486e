"""case.py - unittest with nodes: what is started is stopped, and a failed test shows the log of its node."""
# SPDX-License-Identifier: Apache-2.0
import shutil
import sys
import tempfile
import time
import unittest
from pathlib import Path

from harness.node import Node


class Case(unittest.TestCase):
    """Temporary directories and nodes of one test."""

    maxDiff = None

    def make_dir(self):
        path = tempfile.mkdtemp(prefix="stead-test-")
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return Path(path)

    def make_node(self, start=True, **options):
        node = Node(**options)
        self.addCleanup(self._close, node)
        if start:
            node.start()
        return node

    def _close(self, node):
        if _failed(self) and node.log:
            print(f"\nlog of the node of {self.id()}:\n{node.log_text()}\n", file=sys.stderr)
        node.close()

    def eventually(self, holds, words, timeout_s=60):
        """Asks again until it holds. `words`: what to say when it never does, or how to find out."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            if time.monotonic() > deadline:
                self.fail(words() if callable(words) else words)
            time.sleep(0.02)  # between two questions

    def assert_ok(self, reply):
        self.assertEqual(200, reply.status, reply)
        return reply

    def assert_error(self, reply, status, code, *words):
        """An error reply with exactly this status and code whose message or hint has all the words."""
        self.assertEqual((status, code), (reply.status, reply.error["code"]), reply)
        self.assertIn("application/json", reply.headers.get("content-type", ""), reply)
        said = f"{reply.error.get('message', '')} {reply.error.get('hint', '')}".lower()
        for word in words:
            self.assertIn(word.lower(), said)
        return reply.error


class NodeCase(Case):
    """One node for all tests of the class; they must not be in each other's way."""

    flags = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.node = Node(flags=cls.flags)
        cls.addClassCleanup(cls.node.close)
        cls.node.start()
        cls.work = Path(tempfile.mkdtemp(prefix="stead-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.work, ignore_errors=True)
        cls.prepare()

    @classmethod
    def prepare(cls):
        """Deploys what the tests need."""

    def setUp(self):
        self._log_at = len(self.node.log.lines)
        self.addCleanup(self._show_log)

    def _show_log(self):
        if _failed(self):
            said = "\n".join(self.node.log.lines[self._log_at :])
            print(f"\nlog of the node during {self.id()}:\n{said}\n", file=sys.stderr)


def _failed(case):
    result = case._outcome.result
    return any(test is case for test, _ in list(result.failures) + list(result.errors)) or not case._outcome.success


def main():
    unittest.main(module="__main__", verbosity=2)
