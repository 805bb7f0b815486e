"""test_disk_errors.py - a disk that fails under a node: who is told what, what goes on, and what a restart finds."""
# SPDX-License-Identifier: Apache-2.0
import os
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from harness.apps import compile_so
from harness.case import Case, main
from harness.examples import example

SOURCE = Path(__file__).parent / "fn" / "disk.c"


class DiskErrors(Case):
    def setUp(self):
        if os.environ.get("STEAD_TEST_FLAGS"):
            raise unittest.SkipTest("a daemon with a sanitizer wants to be loaded first")
        self.dir = self.make_dir()
        self.wish = self.dir / "wish"
        self.shim = compile_so(SOURCE, self.dir / "disk.so", ["-D_GNU_SOURCE", "-ldl"])
        self.node = self.make_node(start=False)
        self.start()
        self.node.deploy(example("counter"))
        for _ in range(5):
            self.assert_ok(self.node.post("/counter/increment/x"))

    def start(self):
        self.node.start(env=os.environ | {"LD_PRELOAD": str(self.shim), "STEAD_TEST_DISK": str(self.wish)})

    def read(self, name="x"):
        return self.assert_ok(self.node.get(f"/counter/value/{name}")).text.strip()

    def assert_reads_only(self, why):
        """Writes are refused and say why, reads go on with what is durable, the operator is told."""
        self.assert_error(self.node.post("/counter/increment/x"), 503, "read_only", why, "restart")
        self.assertEqual("5", self.read())
        doctor = self.node.cli("doctor", check=False)
        self.assertIn(why, doctor.text)
        said = self.node.wait_log(r"store\.failed.*").group(0)
        for word in ("apps/counter/p0", why, "hint="):
            self.assertIn(word, said)

    def assert_well_after_restart(self):
        self.wish.unlink()
        self.node.kill9()
        self.start()
        value = int(self.read())
        self.assertGreaterEqual(value, 5)
        self.assertEqual(str(value + 1), self.assert_ok(self.node.post("/counter/increment/x")).text.strip())

    def test_after_a_failed_sync_nothing_is_acknowledged_and_reads_go_on(self):
        self.wish.write_text("sync")
        self.assert_error(self.node.post("/counter/increment/x"), 503, "store_io", "sync", "Input/output error")
        self.wish.write_text("")  # the disk seems well again: what it has dropped nobody knows
        self.assert_reads_only("sync: Input/output error")
        self.assert_well_after_restart()

    def test_after_a_failed_write_reads_go_on(self):
        self.wish.write_text("write")
        self.assert_error(self.node.post("/counter/increment/x"), 503, "store_io", "write", "Input/output error")
        self.wish.write_text("")
        self.assert_reads_only("write: Input/output error")
        self.assert_well_after_restart()

    def test_a_full_disk_fails_what_finds_no_room_and_nothing_else(self):
        self.wish.write_text("full")
        self.assert_error(self.node.post("/counter/increment/x"), 507, "store_full", "No space left on device")
        self.assertEqual("5", self.read())
        self.wish.write_text("")
        self.assertEqual("6", self.assert_ok(self.node.post("/counter/increment/x")).text.strip())
        self.assert_well_after_restart()

    def test_short_writes_are_finished(self):
        self.wish.write_text("short")
        for _ in range(5):
            self.assert_ok(self.node.post("/counter/increment/x"))
        self.node.kill9()
        self.wish.unlink()
        self.start()
        self.assertEqual("10", self.read())


if __name__ == "__main__":
    main()
