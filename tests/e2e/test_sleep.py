"""test_sleep.py - an app that nobody asks for gives back its processes and its open state, and comes back when asked."""
# SPDX-License-Identifier: Apache-2.0
import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import SOURCE
from harness.apps import make_app
from harness.case import Case, main

BRIEF = {"name": "add", "pool": "{ min: 0, max: 2, idle_ms: 1 }"}


class Sleep(Case):
    def stats(self, node):
        with node.admin() as admin:
            return json.loads(admin.get("/v1/stats").body)

    def wait_asleep(self, node, count, timeout_s=30):
        deadline = time.monotonic() + timeout_s
        while (stats := self.stats(node))["apps_asleep"] != count or stats["apps"]:
            self.assertLess(time.monotonic(), deadline, stats)
            time.sleep(0.05)  # between two questions

    def deployed(self, name="dozer", function=BRIEF):
        node = self.make_node()
        node.deploy(make_app(self.make_dir(), name, SOURCE, [function, "get"]))
        return node

    def test_an_idle_app_sleeps_and_wakes(self):
        node = self.make_node()
        node.deploy(make_app(self.make_dir(), "dozer", SOURCE, [BRIEF]))
        self.wait_asleep(node, 1)
        self.assert_ok(node.post("/dozer/add/x"))
        self.assertEqual(0, self.stats(node)["apps_asleep"])
        self.wait_asleep(node, 1)  # what was written is in a checkpoint before
        self.assertIn("2", self.assert_ok(node.post("/dozer/add/x")).text)

    def test_after_a_start_apps_sleep_until_they_are_asked_for(self):
        node = self.deployed()
        first = self.assert_ok(node.post("/dozer/add/x")).text
        node.restart()
        self.wait_asleep(node, 1)
        second = self.assert_ok(node.post("/dozer/add/x")).text
        self.assertNotEqual(first, second, "the state of before is there")
        self.assertEqual(["dozer"], [app["app"] for app in self.stats(node)["apps"]])

    def test_a_sleeping_app_can_be_looked_at_replaced_and_removed(self):
        node = self.deployed()
        self.assert_ok(node.post("/dozer/add/x"))
        node.restart()
        self.wait_asleep(node, 1)
        self.assertIn("x", node.cli("state", "scan", "dozer").text)
        node.restart()
        self.wait_asleep(node, 1)
        node.deploy(make_app(self.make_dir(), "dozer", SOURCE, [BRIEF]))
        self.assert_ok(node.post("/dozer/add/x"))
        node.restart()
        self.wait_asleep(node, 1)
        node.cli("remove", "dozer", "--state")
        self.assertEqual(404, node.post("/dozer/add/x").status)

    def test_an_app_that_wants_workers_at_all_times_stays_awake(self):
        node = self.deployed(function={"name": "add", "pool": "{ min: 1, max: 2, idle_ms: 1 }"})
        node.restart()
        deadline = time.monotonic() + 30
        while self.stats(node)["workers"]["workers"] < 1:
            self.assertLess(time.monotonic(), deadline, node.log_text())
            time.sleep(0.05)  # between two questions
        self.assertEqual(0, self.stats(node)["apps_asleep"])

    def test_many_apps_need_no_files_of_their_own_while_they_sleep(self):
        node = self.make_node()
        directory = make_app(self.make_dir(), "app-0", SOURCE, [BRIEF])
        manifest = (directory / "stead.yaml").read_text()
        for i in range(20):
            (directory / "stead.yaml").write_text(manifest.replace("app-0", f"app-{i}"))
            node.deploy(directory)
        self.wait_asleep(node, 20)
        files = len(list(Path(f"/proc/{node.process.pid}/fd").iterdir()))
        threads = len(list(Path(f"/proc/{node.process.pid}/task").iterdir()))
        self.assertLess(files, 40)
        self.assertLess(threads, 20)


if __name__ == "__main__":
    main()
