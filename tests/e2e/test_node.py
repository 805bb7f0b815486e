"""test_node.py - the node itself: where it cannot start and why, how it stops, what it keeps."""
# SPDX-License-Identifier: Apache-2.0
import itertools
import os
import random
import select
import shutil
import signal
import socket
import struct
import sys
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import faults_app
from harness.apps import make_app
from harness.case import Case, main
from harness.paths import program

NOBODY = 65534

VERSION = """
#include <stead/stead.h>
STEAD_FUNCTION(version) { return stead_reply(ctx, "%d"); }
STEAD_FUNCTION(count) { return stead_reply(ctx, "%%lld", (long long)stead_add(ctx, "n", 1)); }
"""


class Starting(Case):
    """A node that cannot start says why, and ends with a code that is not 0."""

    def refused(self, *words, **options):
        popen = options.pop("popen", {})
        node = self.make_node(start=False, **options)
        node.launch(**popen)
        code = node.wait(20)
        said = node.log_text().lower()
        self.assertGreater(code, 0, f"killed by a signal or no error: {code}\n{said}")
        for word in words:
            self.assertIn(word.lower(), said)

    def test_a_data_directory_below_a_file_is_told(self):
        file = self.make_dir() / "file"
        file.write_text("")
        self.refused("store_unwritable", str(file), data=file / "data")

    def test_a_data_directory_without_write_permission_is_told(self):
        """The directory is there but not ours to write, or the one above it is not."""
        directory = self.make_dir()
        directory.chmod(0o555)
        popen = self.as_somebody() if os.geteuid() == 0 else {}
        for data in (directory, directory / "data"):
            with self.subTest(data):
                self.refused("store_unwritable", str(data), "permission denied", "--data", data=data, popen=popen)

    def as_somebody(self):
        """What makes the program run as a user without rights: root may write everywhere."""
        programs = self.make_dir()
        programs.chmod(0o755)
        for name in ("steadd", "stead-zygote"):
            shutil.copy(program(name), programs / name)
        return {"executable": str(programs / "steadd"), "user": NOBODY, "group": NOBODY, "extra_groups": []}

    def test_a_data_directory_in_use_is_told(self):
        node = self.make_node()
        self.refused("store_in_use", str(node.data), data=node.data)
        self.assertEqual(200, node.get("/healthz").status)

    def test_an_address_in_use_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            address = f"127.0.0.1:{other.getsockname()[1]}"
            self.refused("address_in_use", address, listen=address)

    def test_an_address_that_is_none_is_told(self):
        for address in ("nonsense", "127.0.0.1:99999", "127.0.0.1:", "256.0.0.1:80"):
            with self.subTest(address):
                self.refused("invalid", address.split(":")[0], listen=address)

    def test_an_unknown_setting_is_told(self):
        self.refused("nosuch", flags=["--nosuch=1"])

    def test_a_setting_beyond_its_limits_is_told(self):
        self.refused("http.body_bytes_max", flags=["--http.body_bytes_max=99999999999"])
        self.refused("drain_timeout_ms", flags=["--drain_timeout_ms=soon"])

    def test_a_store_of_a_newer_format_is_told(self):
        for store in ("system", "apps/faults/p0"):
            with self.subTest(store):
                node = self.stopped_node()
                (file,) = (node.data / store).glob("data*")
                data = bytearray(file.read_bytes())
                old, new = b"sformat" + struct.pack("<I", 1), b"sformat" + struct.pack("<I", 99)
                self.assertIn(old, data)
                file.write_bytes(data.replace(old, new))
                self.assert_partition_refused(node, store, "store_format", "99")

    def test_a_damaged_store_is_told_and_not_repaired(self):
        for store in ("system", "apps/faults/p0"):
            with self.subTest(store):
                node = self.stopped_node()
                (file,) = (node.data / store).glob("data*")
                with file.open("r+b") as data:
                    data.write(os.urandom(8192))
                before = file.read_bytes()
                self.assert_partition_refused(node, store, "store_corrupt", file.name)
                self.assertEqual(before, file.read_bytes())

    def test_an_app_with_a_damaged_store_can_be_removed_and_begun_again(self):
        node = self.stopped_node()
        (file,) = (node.data / "apps/faults/p0").glob("data*")
        file.write_bytes(os.urandom(8192))
        node.start()
        self.assert_error(node.post("/faults/add/a"), 503, "store_corrupt")
        node.cli("remove", "faults", "--state")
        self.assert_error(node.post("/faults/add/a"), 404, "app_not_found")
        node.deploy(faults_app(self.make_dir()))
        self.assertEqual("1", self.assert_ok(node.post("/faults/add/a")).text.strip())

    def stopped_node(self):
        node = self.make_node()
        node.deploy(faults_app(self.make_dir()))
        self.assert_ok(node.post("/faults/add/a"))
        self.assertEqual(0, node.stop())
        return node

    def assert_partition_refused(self, node, store, code, *words):
        """Without its own store a node does not start; without that of an app it serves everything else."""
        if store == "system":
            self.refused(code, *words, data=node.data)
            return
        node.start()
        error = self.assert_error(node.post("/faults/add/a"), 503, code)
        for word in words:
            self.assertIn(word.lower(), (error["message"] + node.log_text()).lower())
        self.assertEqual(200, node.get("/healthz").status)


class Stopping(Case):
    def deployed(self, **options):
        node = self.make_node(**options)
        node.deploy(faults_app(self.make_dir()))
        return node

    def test_a_node_without_work_stops_at_once(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            node = self.deployed()
            node.process.send_signal(number)
            self.assertEqual(0, node.wait(5))

    def test_a_running_request_is_finished_before_the_node_stops(self):
        node = self.deployed()
        replies = []
        caller = threading.Thread(target=lambda: replies.append(node.post("/faults/slow/x?ms=1000")))
        caller.start()
        self.wait_running(node)
        node.term()
        caller.join()
        self.assertEqual("1", self.assert_ok(replies[0]).text.strip())
        self.assertEqual(0, node.wait(5))
        node.start()
        self.assertEqual("1", self.assert_ok(node.post("/faults/get/x")).text.strip())

    def test_a_stopping_node_takes_nothing_new(self):
        node = self.deployed()
        caller = threading.Thread(target=lambda: node.post("/faults/slow/x?ms=1500"))
        caller.start()
        self.wait_running(node)
        with node.client() as idle:
            idle.connect()
            node.term()
            node.wait_log(r"drain|stopp")
            try:
                reply = idle.post("/faults/add/y")
                self.assert_error(reply, 503, "draining")
            except ConnectionError:
                pass  # closed, as idle connections may be
            with self.assertRaises(ConnectionError):
                node.post("/faults/add/y")
        caller.join()
        self.assertEqual(0, node.wait(5))

    def test_a_request_that_does_not_end_does_not_keep_the_node_for_ever(self):
        node = self.deployed(flags=["--drain_timeout_ms=300"])
        caller = threading.Thread(target=self.ignore_loss, args=(node, "/faults/slow/x?ms=8000"))
        caller.start()
        self.wait_running(node)
        node.term()
        node.wait(5)
        caller.join()

    def test_no_process_is_left_behind(self):
        for end in ("stop", "kill9"):
            with self.subTest(end):
                node = self.deployed()
                worker = int(self.assert_ok(node.post("/faults/pid")).text)
                children = self.descendants(node.process.pid)
                self.assertTrue(children, f"worker {worker} is no descendant of the node")
                pidfds = [os.pidfd_open(pid) for pid in children]
                getattr(node, end)()
                for pid, pidfd in zip(children, pidfds):
                    with open(pidfd, "rb", buffering=0) as watched:
                        self.assertTrue(self.ends(watched, 5), f"process {pid} lives on after {end}")

    @staticmethod
    def ends(pidfd, timeout_s):
        return bool(select.select([pidfd], [], [], timeout_s)[0])

    @staticmethod
    def descendants(root):
        children = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    stat = (entry / "stat").read_text()
                except OSError:
                    continue
                children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
        found, todo = [], [root]
        while todo:
            for child in children.get(todo.pop(), []):
                found.append(child)
                todo.append(child)
        return found

    @staticmethod
    def ignore_loss(node, target):
        try:
            node.post(target)
        except OSError:
            pass

    def wait_running(self, node):
        """Waits until the slow function has said that it runs."""
        with node.admin() as admin:
            admin.send(b"GET /v1/logs?app=faults&follow=1&tail=10 HTTP/1.1\r\nHost: x\r\n\r\n")
            admin.head()
            next(line for line in admin.lines() if b"slow begins" in line)


class Keeping(Case):
    def test_a_restart_keeps_apps_versions_and_state(self):
        node = self.make_node()
        node.deploy(faults_app(self.make_dir()))
        for i in range(20):
            self.assert_ok(node.post(f"/faults/add/k{i}?by={i}"))
        apps = node.cli("apps", "--json").json
        for end in (node.stop, node.kill9):
            end()
            node.start()
            self.assertEqual(apps, node.cli("apps", "--json").json)
            for i in range(20):
                self.assertEqual(str(i), self.assert_ok(node.post(f"/faults/get/k{i}")).text.strip())

    def test_a_kill_during_deployments_leaves_one_whole_version(self):
        rng = random.Random(20)
        node = self.make_node()
        versions = [make_app(self.make_dir(), "app", VERSION % i, ["version", "count"]) for i in range(2)]
        node.deploy(versions[0])
        count = 0
        for _ in range(12):
            deployments = self.deploy_in_turns(node, versions)
            node.kill9(after_s=rng.random() * 0.3)
            deployments.join()
            node.start()
            (app,) = node.cli("apps", "--json").json["apps"]
            self.assertEqual(["count", "version"], sorted(app["functions"]))
            self.assertIn(self.assert_ok(node.post("/app/version")).text, ("0", "1"))
            count += 1
            self.assertEqual(str(count), self.assert_ok(node.post("/app/count")).text)

    @staticmethod
    def deploy_in_turns(node, versions):
        """Until the node is gone."""

        def run():
            for directory in itertools.cycle(reversed(versions)):
                if node.deploy(directory, check=False).code != 0:
                    return

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def test_an_idempotency_key_holds_across_restarts(self):
        node = self.make_node()
        node.deploy(faults_app(self.make_dir()))
        key = {"Idempotency-Key": "once"}
        first = self.assert_ok(node.post("/faults/add/i", headers=key))
        for end in (node.stop, node.kill9):
            end()
            node.start()
            self.assertEqual(first.body, self.assert_ok(node.post("/faults/add/i", headers=key)).body)
        self.assertEqual("1", node.post("/faults/get/i").text.strip())


if __name__ == "__main__":
    main()
