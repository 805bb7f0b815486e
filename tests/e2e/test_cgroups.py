"""test_cgroups.py - control groups of apps, on a kernel that gives them to the node; elsewhere what is said instead."""
# SPDX-License-Identifier: Apache-2.0
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from harness.apps import make_app
from harness.case import Case, main

SOURCE = r"""
#include <time.h>
#include <stead/stead.h>

static long long us(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

/* Computes for a second of the wall's time and tells how much of it it had, in percent. */
STEAD_FUNCTION(burns)
{
    long long began = us(CLOCK_MONOTONIC), used = us(CLOCK_PROCESS_CPUTIME_ID);
    while (us(CLOCK_MONOTONIC) - began < 1000000) continue;
    return stead_reply(ctx, "%lld\n", (us(CLOCK_PROCESS_CPUTIME_ID) - used) * 100 / (us(CLOCK_MONOTONIC) - began));
}

STEAD_FUNCTION(works)
{
    long long began = us(CLOCK_MONOTONIC);
    while (us(CLOCK_MONOTONIC) - began < 50000) continue;
    return stead_reply(ctx, "worked\n");
}
"""
LIMITED = {"name": "burns", "cpu_percent": 20, "timeout_ms": 20000}
FREE = {"name": "works", "pool": "{ max: 8 }", "concurrency": 8}


class Groups(Case):
    def places(self, node):
        """Directories that the node makes groups in, by controller."""
        line = node.wait_log(r"node\.cgroups.*").group(0)
        return {name: Path(place) for name, place in re.findall(r'(\w+)="version \d at ([^",]+)', line)}

    def place(self, node, controller):
        places = self.places(node)
        if controller not in places:
            self.skipTest(f"this system gives the node no groups with {controller}: {node.wait_log('node.cgroups.*').group(0)}")
        return places[controller]

    def groups(self, place, pid):
        return list(place.glob(f"stead.{pid}.[0-9]*"))

    def members(self, group):
        return (group / "cgroup.procs").read_text().split()

    def is_empty(self, group):
        """Another node that starts meanwhile may have swept it."""
        try:
            return not self.members(group)
        except FileNotFoundError:
            return True

    def entered(self, node, place, processes=3):
        """The group of the only app, once its outer process, its zygote and its worker are in it."""

        def holds():
            found = self.groups(place, node.process.pid)
            return len(found) == 1 and len(self.members(found[0])) >= processes

        self.eventually(holds, lambda: f"groups: {self.groups(place, node.process.pid)}\n{node.log_text()}")
        return self.groups(place, node.process.pid)[0]

    def deployed(self, functions, **options):
        node = self.make_node(**options)
        place = self.place(node, "cpu")
        node.deploy(make_app(self.make_dir(), "burner", SOURCE, functions))
        return node, place

    def test_a_part_of_a_processor_is_a_bound_of_a_run_that_has_begun(self):
        node, place = self.deployed([LIMITED])
        self.assert_ok(node.post("/burner/burns"))
        group = self.entered(node, place)
        percent = int(self.assert_ok(node.post("/burner/burns")).text)
        self.assertLessEqual(percent, 35)
        throttled = int(re.search(r"nr_throttled (\d+)", (group / "cpu.stat").read_text()).group(1))
        self.assertGreater(throttled, 0, f"{percent} % without having been held back")

    def test_all_workers_are_in_the_group_those_that_come_later_too(self):
        node, place = self.deployed([FREE])
        self.assert_ok(node.post("/burner/works"))
        group = self.entered(node, place)
        with ThreadPoolExecutor(8) as pool:
            for reply in pool.map(lambda _: node.post("/burner/works"), range(8)):
                self.assert_ok(reply)
        workers = node.cli("stats", "--json").json["workers"]["workers"]
        self.assertGreater(workers, 1)
        self.entered(node, place, processes=2 + workers)
        processes = self.place(node, "pids") / group.name / "pids.max"
        self.assertRegex(processes.read_text(), r"^\d+$")

    def test_the_group_goes_with_its_app(self):
        node, place = self.deployed([FREE])
        self.assert_ok(node.post("/burner/works"))
        self.entered(node, place)
        node.cli("remove", "burner")
        self.eventually(lambda: not self.groups(place, node.process.pid), "the group stays")

    def test_no_group_is_left_when_the_node_stops(self):
        node, _ = self.deployed([FREE])
        self.assert_ok(node.post("/burner/works"))
        self.entered(node, self.place(node, "cpu"))
        places, pid = self.places(node), node.process.pid
        self.assertEqual(0, node.stop())
        self.assertEqual([], [group for place in places.values() for group in self.groups(place, pid)])

    def test_what_a_killed_node_leaves_is_swept_by_the_next_one(self):
        node, place = self.deployed([FREE])
        self.assert_ok(node.post("/burner/works"))
        group = self.entered(node, place)
        places, pid = self.places(node), node.process.pid
        node.kill9()
        self.eventually(lambda: self.is_empty(group), "processes have outlived their node")
        node.start()
        self.assertEqual([], [left for place in places.values() for left in self.groups(place, pid)])
        self.assert_ok(node.post("/burner/works"))

    def test_off_means_none(self):
        place = self.place(self.make_node(), "cpu")
        node = self.make_node(flags=["--cgroup", "off"])
        node.deploy(make_app(self.make_dir(), "burner", SOURCE, [LIMITED]))
        for _ in range(2):  # the second one begins long after a group would have been made
            self.assert_ok(node.post("/burner/burns"))
        self.assertEqual([], self.groups(place, node.process.pid))
        self.assertNotIn("node.cgroups", node.log_text())


class Settings(Case):
    def test_what_there_is_and_what_is_missing_is_in_the_log_and_in_doctors_words(self):
        node = self.make_node()
        line = node.wait_log(r"node\.cgroups.*").group(0)
        found = {row["what"]: row for row in node.cli("doctor", "--json").json}
        for controller in ("cpu", "memory", "pids"):
            words = re.search(rf'{controller}="([^"]+)"', line).group(1)
            row = found[f"cgroups: {controller}"]
            self.assertIn(words, row["text"])
            self.assertEqual(not words.startswith("not used"), row["ok"])

    def test_another_word_than_auto_and_off_is_refused(self):
        node = self.make_node(start=False, flags=["--cgroup", "on"])
        node.launch()
        self.assertNotEqual(0, node.wait())
        self.assertIn("cgroup: expected auto or off, got 'on'", node.log_text())


if __name__ == "__main__":
    main()
