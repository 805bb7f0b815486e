"""test_disk_full.py - the disk fills up while the node commits: clear errors, the node stays up, nothing is lost."""
# SPDX-License-Identifier: Apache-2.0
import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import faults_app
from harness.case import Case, main

DISK_MB = 256


def mount(image, point):
    """A small disk of its own; None when it is mounted, else why it cannot be."""
    if os.geteuid() != 0:
        return "mounting needs root"
    with open(image, "wb") as file:
        file.truncate(DISK_MB << 20)
    point.mkdir()
    for command in (["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], ["mount", "-o", "loop", str(image), str(point)]):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            break
    else:
        return None
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", str(point)], capture_output=True, text=True
    )
    return done.stderr.strip() or "mount failed" if done.returncode else None


class DiskFull(Case):
    def setUp(self):
        self.dir = self.make_dir()
        self.disk = self.dir / "disk"
        reason = mount(self.dir / "image", self.disk)
        if reason:
            self.skipTest(f"no small disk: {reason}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(self.disk)], check=False)

    def fill(self):
        """Takes what is left of the disk."""
        with open(self.disk / "filler", "wb", buffering=0) as filler:
            for size in (1 << 20, 4096):
                try:
                    while True:
                        filler.write(bytes(size))
                except OSError:
                    continue

    def test_a_full_disk_loses_nothing_and_the_node_stays_up(self):
        node = self.make_node(data=self.disk / "data")
        node.deploy(faults_app(self.dir / "app"))
        kept = {}
        for i in range(50):
            self.assert_ok(node.post(f"/faults/store/k{i}", b"x" * 5000))
            kept[f"n{i}"] = self.assert_ok(node.post(f"/faults/add/n{i}?by={i + 1}")).text
        self.fill()

        refused = None
        for i in range(2000):
            reply = node.post(f"/faults/store/more{i}", b"y" * 60000)
            if reply.status != 200:
                refused = reply
                break
            kept[f"n{i}"] = self.assert_ok_or_full(node, i, kept)
        self.assertIsNotNone(refused, "the disk did not get full")
        self.assertIn(refused.error["code"], ("store_full", "read_only"), refused)
        self.assertIn(refused.status, (503, 507))
        self.assertIn("space", (refused.error["message"] + refused.error["hint"]).lower())

        # It goes on answering: reads, and further writes with the same clear error or, where they fit, success.
        self.assertEqual(200, node.get("/healthz").status)
        for i in range(20):
            self.assert_kept(node, kept, f"n{i}")
        for i in range(5):
            reply = node.post(f"/faults/store/again{i}", b"z" * 60000)
            if reply.status != 200:
                self.assertIn(reply.error["code"], ("store_full", "read_only"), reply)

        # With space and a restart everything is as before, and writing goes on.
        (self.disk / "filler").unlink()
        node.kill9()
        node.start()
        for name in kept:
            self.assert_kept(node, kept, name)
        self.assert_ok(node.post("/faults/store/after", b"x" * 60000))

    def test_a_backup_to_a_full_disk_is_told_and_is_none(self):
        node = self.make_node()
        node.deploy(faults_app(self.dir / "app"))
        for i in range(20):
            self.assert_ok(node.post(f"/faults/store/k{i}", b"x" * 60000))
        self.fill()
        filler = self.disk / "filler"
        os.truncate(filler, filler.stat().st_size - (400 << 10))  # so that it begins and does not end
        result = node.cli("backup", self.disk / "backup", check=False)
        self.assertEqual(1, result.code, result)
        self.assertIn(str(self.disk / "backup"), result.err)
        self.assertIn("No space left on device", result.err)
        self.assertFalse((self.disk / "backup" / "backup.json").exists())  # what restore asks for
        filler.unlink()
        node.cli("backup", self.disk / "backup")
        self.assert_ok(node.post("/faults/store/after", b"x"))

    def assert_ok_or_full(self, node, i, kept):
        reply = node.post(f"/faults/add/n{i}")
        if reply.status == 200:
            return reply.text
        self.assertIn(reply.error["code"], ("store_full", "read_only"), reply)
        return kept.get(f"n{i}", "0\n")

    def assert_kept(self, node, kept, name):
        self.assertEqual(kept[name], self.assert_ok(node.post(f"/faults/get/{name}")).text, name)


if __name__ == "__main__":
    main()
