"""test_cli.py - the commands as people and scripts use them: words, tables, --json, exit codes."""
# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import faults_app
from harness.case import Case, NodeCase, main
from harness.paths import program


class Commands(NodeCase):
    @classmethod
    def prepare(cls):
        cls.node.deploy(faults_app(cls.work))

    def test_apps_and_functions_are_listed(self):
        self.assertIn("faults", self.node.cli("apps").out)
        (app,) = self.node.cli("apps", "--json").json["apps"]
        self.assertEqual("faults", app["app"])
        self.assertIn("echo", app["functions"])
        self.assertIn("echo", self.node.cli("apps", "faults").out)

    def test_invoke_prints_what_the_function_replied(self):
        self.assertEqual("1", self.node.cli("invoke", "faults", "add", "cli1").out.strip())
        self.assertEqual("2", self.node.cli("invoke", "faults", "add", "cli1").out.strip())

    def test_invoke_of_a_function_that_fails_says_so_and_ends_with_an_error(self):
        result = self.node.cli("invoke", "faults", "fails", check=False)
        self.assertNotEqual(0, result.code)
        self.assertIn("no price for tea", result.err)
        self.assertIn("function_error", result.err)

    def test_state_is_put_read_listed_scanned_and_removed(self):
        self.node.cli("state", "put", "faults", "shelf", "a", "1")
        self.node.cli("state", "put", "faults", "shelf", "b", "two")
        self.assertEqual("two", self.node.cli("state", "get", "faults", "shelf", "b").out.strip())
        listed = self.node.cli("state", "ls", "faults").out
        self.assertIn("shelf", listed)
        scanned = self.node.cli("state", "scan", "faults", "shelf", "--json").json
        self.assertEqual(["a", "b"], [row["name"] for row in scanned["rows"]])
        self.node.cli("state", "rm", "faults", "shelf", "a")
        missing = self.node.cli("state", "get", "faults", "shelf", "a", check=False)
        self.assertNotEqual(0, missing.code)
        self.assertIn("not_found", missing.err)

    def test_logs_can_be_followed(self):
        follow = subprocess.Popen(
            self.node.cli_command("logs", "faults", "-f"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            # The first lines may be written before it follows: go on until one arrives.
            done = threading.Event()

            def speak():
                while not done.is_set():
                    self.node.post("/faults/slow/log?ms=10")

            speaker = threading.Thread(target=speak)
            speaker.start()
            line = follow.stdout.readline()
            done.set()
            speaker.join()
            self.assertIn("slow begins", line)
        finally:
            follow.kill()
            follow.communicate()

    def test_explain_knows_every_code(self):
        result = self.node.cli("explain", "store_full")
        self.assertIn("507", result.out)
        self.assertIn("no space left", result.out)
        self.assertNotEqual(0, self.node.cli("explain", "nosuch_error", check=False).code)

    def test_an_unknown_app_is_named(self):
        result = self.node.cli("apps", "nosuch", check=False)
        self.assertNotEqual(0, result.code)
        self.assertIn("app_not_found", result.err)
        self.assertIn("nosuch", result.err)


class Alone(Case):
    """Without a node."""

    def run_stead(self, *arguments):
        return subprocess.run([program("stead"), *arguments], capture_output=True, text=True, timeout=60)

    def test_an_unreachable_node_is_told(self):
        done = self.run_stead("--admin", str(self.make_dir() / "none.sock"), "apps")
        self.assertNotEqual(0, done.returncode)
        self.assertIn("unavailable", done.stderr)
        self.assertIn("none.sock", done.stderr)

    def test_an_unknown_command_is_told(self):
        done = self.run_stead("dploy")
        self.assertEqual(2, done.returncode)
        self.assertIn("dploy", done.stderr)

    def test_help_is_there_for_everything(self):
        done = self.run_stead("--help")
        self.assertEqual(0, done.returncode)
        for command in ("serve", "init", "dev", "deploy", "apps", "invoke", "state", "logs", "explain"):
            self.assertIn(command, done.stdout)
            self.assertEqual(0, self.run_stead(command, "--help").returncode, command)

    def test_the_version_is_told(self):
        self.assertRegex(self.run_stead("--version").stdout, r"\d+\.\d+")


class New(Case):
    def test_a_new_app_builds_deploys_and_answers(self):
        node = self.make_node()
        directory = self.make_dir() / "mine"
        node.cli("init", directory)
        node.deploy(directory)
        (app,) = node.cli("apps", "--json").json["apps"]
        reply = node.post(f"/{app['app']}/{app['functions'][0]}")
        self.assert_ok(reply)
        self.assertTrue(reply.body)

    def test_init_does_not_overwrite(self):
        node = self.make_node()
        directory = self.make_dir() / "mine"
        node.cli("init", directory)
        before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
        self.assertNotEqual(0, node.cli("init", directory, check=False).code)
        self.assertEqual(before, {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()})


if __name__ == "__main__":
    main()
