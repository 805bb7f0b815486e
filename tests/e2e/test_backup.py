"""test_backup.py - backup under load, restore to a point, export and import, watching changes; and what is refused."""
# SPDX-License-Identifier: Apache-2.0
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from harness.case import Case, NodeCase, main
from harness.examples import example
from harness.paths import program


def restore(backup, data, *arguments):
    command = [program("stead"), "restore", str(backup), "--data", str(data), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


class Load:
    """Transfers between two accounts, and increments, until it is stopped."""

    def __init__(self, node):
        self.node = node
        self.stopped = threading.Event()
        self.acknowledged = 0
        self.wrong = []
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join()

    def _run(self):
        with self.node.client() as client:
            while not self.stopped.is_set():
                there = client.post("/bank/transfer?from=ann&to=bob&amount=1")
                back = client.post("/bank/transfer?from=bob&to=ann&amount=1")
                reply = client.post("/counter/increment/load")
                if [there.status, back.status, reply.status] != [200, 200, 200]:
                    self.wrong.append((there, back, reply))
                    return
                self.acknowledged = int(reply.text)


class Backup(Case):
    def setUp(self):
        self.node = self.make_node()
        for name in ("counter", "bank"):
            self.node.deploy(example(name))
        for name in ("ann", "bob"):
            self.assert_ok(self.node.post(f"/bank/deposit/{name}?amount=500"))
        self.dir = self.make_dir() / "backup"

    def restored(self, *arguments):
        data = self.make_dir() / "data"
        done = restore(self.dir, data, *arguments)
        self.assertEqual(0, done.returncode, done.stderr)
        return self.make_node(data=data)

    def test_a_backup_under_load_restores_to_a_node_that_goes_on(self):
        with Load(self.node) as load:
            while load.acknowledged < 20 and not load.wrong:
                pass
            before = load.acknowledged
            done = self.node.cli("backup", self.dir, "--json").json
            after = load.acknowledged + 1
        self.assertEqual([], load.wrong)
        self.assertEqual(["apps/bank/p0", "apps/counter/p0", "system"], sorted(s["store"] for s in done["stores"]))
        node = self.restored()
        value = int(node.get("/counter/value/load").text)
        self.assertTrue(before <= value <= after, (before, value, after))
        self.assertIn(" 1000", node.get("/bank/audit").text)
        self.assertEqual(str(value + 1), node.post("/counter/increment/load").text.strip())
        versions = lambda node: [app["version"] for app in node.cli("apps", "--json").json["apps"]]
        self.assertEqual(versions(self.node), versions(node))

    def test_a_second_backup_adds_and_a_restore_stops_where_it_is_told(self):
        for _ in range(5):
            self.node.post("/counter/increment/x")
        self.node.cli("backup", self.dir)
        for _ in range(5):
            self.node.post("/counter/increment/x")
        stores = {s["store"]: s for s in self.node.cli("backup", self.dir, "--json").json["stores"]}
        self.assertTrue(stores["apps/counter/p0"]["added"])
        last = stores["apps/counter/p0"]["last_seq"]
        self.assertEqual("10", self.restored().get("/counter/value/x").text.strip())
        node = self.restored("--app", "counter", "--commit", last - 3)
        self.assertEqual("7", node.get("/counter/value/x").text.strip())
        self.assertIn(" 1000", node.get("/bank/audit").text)

    def test_a_restore_goes_nowhere_where_something_is(self):
        self.node.cli("backup", self.dir)
        data = self.make_dir()
        (data / "mine").write_text("keep this")
        done = restore(self.dir, data)
        self.assertEqual(4, done.returncode)
        self.assertIn("is not empty", done.stderr)
        self.assertEqual(["mine"], [path.name for path in data.iterdir()])

    def test_what_is_no_whole_backup_is_told(self):
        done = restore(self.make_dir(), self.make_dir() / "data")
        self.assertEqual(4, done.returncode)
        self.assertIn("backup.json", done.stderr)

    def test_a_damaged_backup_is_named_and_leaves_nothing_behind(self):
        for _ in range(50):
            self.node.post("/counter/increment/x")
        self.node.cli("backup", self.dir)
        files = [path for path in (self.dir / "apps" / "counter" / "p0").rglob("*") if path.is_file()]
        largest = max(files, key=lambda path: path.stat().st_size)
        content = bytearray(largest.read_bytes())
        middle = next(i for i in range(len(content) // 3, len(content)) if content[i])
        content[middle] ^= 0x40
        largest.write_bytes(content)
        data = self.make_dir() / "data"
        done = restore(self.dir, data)
        self.assertEqual(4, done.returncode, done.stdout)
        self.assertIn("apps/counter/p0", done.stderr)
        self.assertFalse(data.exists() and list(data.iterdir()))

    def test_damaged_code_is_named(self):
        self.node.cli("backup", self.dir)
        code = next((self.dir / "artifacts").iterdir())
        code.chmod(0o600)
        code.write_bytes(code.read_bytes()[:-1] + b"\xff\xff")
        done = restore(self.dir, self.make_dir() / "data")
        self.assertEqual(4, done.returncode)
        self.assertIn(code.name, done.stderr)

    def test_a_point_that_is_not_there_is_told(self):
        self.node.cli("backup", self.dir)
        for arguments, code in (
            (("--app", "counter", "--commit", 10**9), 4),
            (("--time", "1999-01-01 00:00"), 4),
            (("--time", "yesterday"), 2),
            (("--commit", "5"), 2),
        ):
            done = restore(self.dir, self.make_dir() / "data", *arguments)
            self.assertEqual(code, done.returncode, (arguments, done.stdout, done.stderr))

    def test_a_directory_with_something_else_is_refused(self):
        self.dir.mkdir()
        (self.dir / "system").mkdir()
        (self.dir / "system" / "mine").write_text("keep this")
        result = self.node.cli("backup", self.dir, check=False)
        self.assertEqual(1, result.code)
        self.assertIn("already_exists", result.err)
        self.assertEqual("keep this", (self.dir / "system" / "mine").read_text())

    def test_a_backup_to_a_place_that_cannot_be_written_is_told(self):
        result = self.node.cli("backup", "/proc/nowhere", check=False)
        self.assertEqual(1, result.code)
        self.assertIn("/proc/nowhere", result.err)


class Rows(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(example("counter"))
        with cls.node.admin() as admin:
            for i in range(300):
                target = f"/v1/apps/counter/state?entity=e{i:03}&name=n"
                assert admin.request("PUT", target, bytes([i % 256]) * (i * 7)).status == 204

    def rows(self, node):
        return node.cli("state", "scan", "counter", "-n", "100000", "--json").json["rows"]

    def test_exported_rows_are_the_same_after_the_import(self):
        file = self.work / "rows"
        done = self.node.cli("state", "export", "counter", file, "--json").json
        other = self.make_node()
        other.deploy(example("counter"))
        self.assertIn(f"{done['rows']} rows", other.cli("state", "import", "counter", file).out)
        self.assertEqual(self.rows(self.node), self.rows(other))

    def test_an_export_overwrites_nothing(self):
        file = self.work / "there"
        file.write_text("keep this")
        result = self.node.cli("state", "export", "counter", file, check=False)
        self.assertEqual(1, result.code)
        self.assertIn("already_exists", result.err)
        self.assertEqual("keep this", file.read_text())

    def test_nothing_of_a_damaged_file_is_imported(self):
        file = self.work / "damaged"
        self.node.cli("state", "export", "counter", file)
        content = bytearray(file.read_bytes())
        other = self.make_node()
        other.deploy(example("counter"))
        for name, changed in (
            ("a bit", content[: len(content) // 2] + bytes([content[len(content) // 2] ^ 1]) + content[len(content) // 2 + 1 :]),
            ("the end", content[:-7]),
            ("all of it", b"no rows at all\n"),
            ("everything", b""),
        ):
            with self.subTest(name):
                file.write_bytes(changed)
                result = other.cli("state", "import", "counter", file, check=False)
                self.assertEqual(1, result.code)
                self.assertIn(str(file), result.err)
                self.assertEqual([], self.rows(other))
        missing = other.cli("state", "import", "counter", self.work / "nosuch", check=False)
        self.assertIn("not_found", missing.err)

    def watch(self, *arguments):
        command = self.node.cli_command("state", "watch", "counter", "--json", *arguments)
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process, json.loads(process.stdout.readline())

    def test_changes_are_shown_as_they_are_committed(self):
        process, first = self.watch()
        self.assertGreater(first["next"], 300)
        self.node.post("/counter/increment/watched")
        self.node.post("/counter/reset/watched")
        put, delete = json.loads(process.stdout.readline()), json.loads(process.stdout.readline())
        self.assertEqual([{"op": "put", "entity": "watched", "name": "value", "value": "1"}], put["changes"])
        self.assertEqual([{"op": "delete", "entity": "watched", "name": "value"}], delete["changes"])
        self.assertEqual(put["seq"] + 1, delete["seq"])

    def test_changes_can_be_read_from_the_beginning(self):
        process, _ = self.watch("--from", "1")
        for i in range(300):
            change = json.loads(process.stdout.readline())["changes"][0]
            self.assertEqual((f"e{i:03}", "n"), (change["entity"], change["name"]))

    def test_a_beginning_far_in_the_future_is_refused(self):
        result = self.node.cli("state", "watch", "counter", "--from", str(10**12), check=False)
        self.assertEqual(1, result.code)
        self.assertIn("invalid_argument", result.err)

    def test_watching_ends_when_the_app_is_removed(self):
        node = self.make_node()
        node.deploy(example("counter"))
        process = subprocess.Popen(node.cli_command("state", "watch", "counter"), stderr=subprocess.PIPE, text=True)
        self.assertIn("from commit", process.stderr.readline())
        node.cli("remove", "counter", "--state")
        process.communicate(timeout=30)
        self.assertEqual(0, node.stop())


class Partitions(Case):
    """An app whose entities are spread."""

    def app(self, partitions):
        directory = self.make_dir() / "counter"
        shutil.copytree(example("counter"), directory)
        manifest = directory / "stead.yaml"
        manifest.write_text(manifest.read_text() + f"partitions: {partitions}\n")
        return directory

    def rows(self, node):
        return node.cli("state", "scan", "counter", "-n", "1000", "--json").json["rows"]

    def test_rows_go_from_four_partitions_to_three_and_one_backup_has_all(self):
        node, other = self.make_node(), self.make_node()
        node.deploy(self.app(4))
        other.deploy(self.app(3))
        for i in range(60):
            self.assert_ok(node.post(f"/counter/increment/e{i}"))
        file = self.make_dir() / "rows"
        self.assertEqual(4, node.cli("state", "export", "counter", file, "--json").json["files"])
        self.assertEqual(["p0", "p1", "p2", "p3"], sorted(path.name for path in file.iterdir()))
        self.assertIn("60 rows", other.cli("state", "import", "counter", file).out)
        self.assertEqual(self.rows(node), self.rows(other))
        self.assertEqual("2", other.post("/counter/increment/e7").text.strip())

        backup, data = self.make_dir() / "backup", self.make_dir() / "data"
        self.assertEqual(5, len(node.cli("backup", backup, "--json").json["stores"]))
        self.assertEqual(0, restore(backup, data).returncode)
        self.assertEqual(self.rows(node), self.rows(self.make_node(data=data)))

    def test_changes_are_watched_in_all_partitions_or_from_a_commit_of_one(self):
        node = self.make_node()
        node.deploy(self.app(2))
        self.assert_ok(node.post("/counter/increment/before"))
        result = node.cli("state", "watch", "counter", "--from", "1", check=False)
        self.assertEqual(1, result.code)
        self.assertIn("needs a `partition`", result.err)
        watch = subprocess.Popen(
            node.cli_command("state", "watch", "counter", "--json"), stdout=subprocess.PIPE, text=True
        )
        self.addCleanup(watch.communicate)
        self.addCleanup(watch.kill)
        self.assertEqual([0, 1], [json.loads(watch.stdout.readline())["partition"] for _ in range(2)])
        names = {f"e{i}" for i in range(20)}
        for name in names:
            self.assert_ok(node.post(f"/counter/increment/{name}"))
        seen = [json.loads(watch.stdout.readline()) for _ in range(20)]
        self.assertEqual(names, {change["changes"][0]["entity"] for change in seen})
        self.assertEqual({0, 1}, {change["partition"] for change in seen})

    def test_a_node_stops_although_it_is_watched(self):
        node = self.make_node()
        node.deploy(self.app(1))
        for command in (("state", "watch", "counter"), ("logs", "-f")):
            process = subprocess.Popen(node.cli_command(*command), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            self.addCleanup(process.communicate)
        self.assert_ok(node.post("/counter/increment/x"))
        self.assertEqual(0, node.stop(timeout_s=8))  # the drain would take 10 s


if __name__ == "__main__":
    main()
