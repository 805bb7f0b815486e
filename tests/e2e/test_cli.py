"""test_cli.py - the commands as people and scripts use them: words, tables, --json, exit codes."""
# SPDX-License-Identifier: Apache-2.0
import json
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from faults import faults_app
from harness.case import Case, NodeCase, main
from harness.http import Client
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
        self.assertEqual("1", self.node.cli("invoke", "faults/add/cli1").out.strip())
        self.assertEqual("2", self.node.cli("invoke", "faults/add/cli1").out.strip())

    def test_invoke_of_a_function_that_fails_says_so_and_ends_with_an_error(self):
        result = self.node.cli("invoke", "faults/fails", check=False)
        self.assertNotEqual(0, result.code)
        self.assertIn("no price for tea", result.err)
        self.assertIn("function_error", result.err)

    def test_state_is_put_read_listed_scanned_and_removed(self):
        self.node.cli("state", "put", "faults/shelf", "a", "-d", "1")
        self.node.cli("state", "put", "faults/shelf", "b", stdin=b"two")
        self.assertEqual("two", self.node.cli("state", "get", "faults/shelf", "b").out)
        listed = self.node.cli("state", "ls", "faults").out
        self.assertIn("shelf", listed)
        scanned = self.node.cli("state", "scan", "faults/shelf", "--json").json
        self.assertEqual(["a", "b"], [row["name"] for row in scanned["rows"]])
        self.node.cli("state", "rm", "faults/shelf", "a")
        missing = self.node.cli("state", "get", "faults/shelf", "a", check=False)
        self.assertNotEqual(0, missing.code)
        self.assertIn("not_found", missing.err)

    def test_rows_of_many_entities_come_page_by_page_in_order(self):
        with self.node.admin() as admin:
            for i in range(40):
                for name in ("a", "b"):
                    target = f"/v1/apps/faults/state?entity=page/{i:03}&name={name}"
                    self.assertEqual(204, admin.request("PUT", target, f"{name}{i}".encode()).status)
        listed = self.node.cli("state", "ls", "faults", "page/", "--json").json["entities"]
        self.assertEqual([f"page/{i:03}" for i in range(40)], [entity["entity"] for entity in listed])
        self.assertEqual({2}, {entity["rows"] for entity in listed})
        self.assertEqual(7, len(self.node.cli("state", "ls", "faults", "page/", "-n", "7", "--json").json["entities"]))
        rows, after = [], ""
        with self.node.admin() as admin:
            while after is not None:
                query = "entity_prefix=page/&limit=9" + (f"&after={after}" if after else "")
                page = json.loads(admin.request("GET", f"/v1/apps/faults/state/rows?{query}").body)
                self.assertLessEqual(len(page["rows"]), 9)
                rows += [(row["entity"], row["name"], row["value"]) for row in page["rows"]]
                after = page["next"]
        self.assertEqual([(f"page/{i:03}", n, f"{n}{i}") for i in range(40) for n in ("a", "b")], rows)

    def test_bytes_that_are_no_text_come_as_base64(self):
        self.node.cli("state", "put", "faults/bytes", "raw", stdin=b"\xff\x00\n")
        (row,) = self.node.cli("state", "scan", "faults/bytes", "--json").json["rows"]
        self.assertEqual(("/wAK", 3), (row["value_base64"], row["bytes"]))
        got = subprocess.run(self.node.cli_command("state", "get", "faults/bytes", "raw"), capture_output=True)
        self.assertEqual(b"\xff\x00\n", got.stdout)
        self.assertNotIn("\0", self.node.cli("state", "scan", "faults/bytes").out)

    def test_wrong_rows_are_refused_with_the_reason(self):
        for arguments, code, words in (
            (("faults/" + "e" * 401, "n"), "entity_invalid", "400"),
            (("faults/e", "n" * 500), "key_too_long", "500"),
        ):
            result = self.node.cli("state", "put", *arguments, "-d", "x", check=False)
            self.assertEqual(1, result.code)
            self.assertIn(code, result.err)
            self.assertIn(words, result.err)
        self.assertEqual(2, self.node.cli("state", "get", "faults", "n", check=False).code)

    def test_a_function_sees_what_was_put_by_hand(self):
        self.node.cli("invoke", "faults/add/hand")
        (row,) = self.node.cli("state", "scan", "faults/hand", "--json").json["rows"]
        self.node.cli("state", "put", "faults/hand", row["name"], "-d", "41")
        self.assertEqual("42", self.node.cli("invoke", "faults/add/hand").out.strip())

    def test_invoke_sends_headers_and_a_body_and_shows_the_head_of_the_reply(self):
        (self.work / "body").write_bytes(b"from a file")
        self.assertIn("from a file", self.node.cli("invoke", "faults/echo", "-d", f"@{self.work}/body").out)
        self.assertIn("from stdin", self.node.cli("invoke", "faults/echo", "-d", "-", stdin=b"from stdin").out)
        shown = self.node.cli("invoke", "faults/echo", "-i", "-d", "x", "-H", "x-mark: 1").out
        self.assertIn("HTTP 200", shown)
        self.assertIn("stead-invocation", shown.lower())

    def test_what_the_admin_api_does_not_know_is_told(self):
        with self.node.admin() as admin:
            self.assert_error(admin.request("GET", "/v1/nosuch"), 404, "route_not_found")
            self.assert_error(admin.request("GET", "/elsewhere"), 404, "route_not_found", "/v1/")
            reply = admin.request("PATCH", "/v1/apps/faults")
            self.assert_error(reply, 405, "method_not_allowed")
            self.assertEqual("GET, POST, DELETE", reply.headers["allow"])
            self.assert_error(admin.request("POST", "/v1/apps/x", b"\x90"), 400, "invalid_argument", "bundle")
            self.assert_error(admin.request("GET", "/v1/logs?tail=many"), 400, "invalid_argument", "tail")
            self.assert_error(admin.request("DELETE", "/v1/apps/faults?state=maybe"), 400, "invalid_argument", "delete")
            self.assert_error(admin.request("GET", "/v1/apps/faults/state/rows?after=zz"), 400, "invalid_argument", "after")

    def test_doctor_shows_the_stores_of_the_node(self):
        shown = self.node.cli("doctor", "--json").json
        self.assertTrue(next(each["ok"] for each in shown if each["what"] == "apps/faults/p0"))
        self.assertIn("takes HTTP at 127.0.0.1:", self.node.cli("doctor").out)

    def test_stats_and_functions_are_shown(self):
        self.assertIn("apps.faults", self.node.cli("stats").out)
        self.assertIn("apps", self.node.cli("stats", "--json").json)
        self.assertIn("20000 ms", self.node.cli("functions", "faults").out)

    def test_every_command_that_shows_something_prints_json(self):
        self.node.post("/faults/add/json")
        self.node.post("/faults/slow/json?ms=1")
        for command in (
            "apps", "apps faults", "functions faults", "stats", "usage", "usage faults", "logs faults", "doctor",
            "state ls faults", "state scan faults", "explain invoke faults/add/x", f"backup {self.make_dir()}/b",
            f"state export faults {self.make_dir()}/e", f"deploy {self.work}/faults",
        ):  # fmt: skip
            with self.subTest(command):
                result = self.node.cli(*command.split(), "--json")
                self.assertEqual("", result.err)
                lines = result.out.splitlines() if command.startswith("logs") else [result.out]
                for line in lines:
                    self.assertIsInstance(json.loads(line), (dict, list))

    def test_errors_are_json_too_when_asked_for(self):
        for command, code in (
            ("apps nosuch", "app_not_found"), ("functions nosuch", "app_not_found"), ("remove nosuch", "app_not_found"),
            ("invoke faults/fails", "function_error"), ("invoke faults/nosuch", "function_not_found"),
            ("rollback faults", "version_not_found"), ("state get faults/x nosuch", "not_found"),
        ):  # fmt: skip
            with self.subTest(command):
                result = self.node.cli(*command.split(), "--json", check=False)
                self.assertEqual((1, ""), (result.code, result.err))
                self.assertEqual(code, result.json["error"]["code"])

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
        self.assertIn("`function_timeout`", self.node.cli("explain", "functoin_timeout", check=False).err)
        self.assertIn("queue_full", self.node.cli("explain").out)
        self.assertIn("conflict", [each["code"] for each in self.node.cli("explain", "--json").json])

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
        self.assertEqual(3, done.returncode)
        self.assertIn("unavailable", done.stderr)
        self.assertIn("none.sock", done.stderr)

    def test_an_unreachable_node_is_told_in_json_too(self):
        done = self.run_stead("apps", "--json", "--admin", str(self.make_dir() / "none.sock"))
        self.assertEqual((3, ""), (done.returncode, done.stderr))
        error = json.loads(done.stdout)["error"]
        self.assertEqual("unavailable", error["code"])
        self.assertIn("none.sock", error["message"])
        self.assertIn("stead serve", error["hint"])

    def test_commands_that_need_no_node_print_json(self):
        for arguments in (("init", str(self.make_dir() / "fresh")), ("explain",), ("explain", "conflict"), ("doctor",),
                          ("sdk",), ("version",), ("help",)):
            with self.subTest(arguments):
                done = self.run_stead(*arguments, "--json")
                self.assertEqual((0, ""), (done.returncode, done.stderr))
                self.assertTrue(json.loads(done.stdout))

    def test_an_unknown_command_is_told(self):
        done = self.run_stead("dploy")
        self.assertEqual(2, done.returncode)
        self.assertIn("dploy", done.stderr)
        self.assertIn("did you mean `deploy`?", done.stderr)
        self.assertIn("ls, scan, get, put, rm", self.run_stead("state").stderr)

    def test_a_wrong_option_is_told(self):
        for arguments, words in (
            (("apps", "--jsno"), "did you mean `--json`?"),
            (("logs", "--tail"), "--tail needs N"),
            (("logs", "--tail", "many"), "--tail takes a number"),
            (("apps", "--json=yes"), "--json takes no value"),
            (("rollback",), "usage: stead rollback APP [VERSION]"),
            (("remove", ""), "the first argument is empty; usage: stead remove APP"),
            (("invoke", "a/b", "-H", "nocolon"), "--header takes 'NAME: VALUE', not `nocolon`"),
        ):
            done = self.run_stead(*arguments)
            self.assertEqual(2, done.returncode, arguments)
            self.assertIn(words, done.stderr)

    def test_doctor_and_sdk_need_no_node(self):
        self.assertIn("disk sync", self.run_stead("doctor").stdout)
        for mechanism in ("namespaces", "landlock", "seccomp", "cgroups"):
            self.assertIn(mechanism, self.run_stead("doctor").stdout)
        self.assertIn("-I", self.run_stead("sdk", "--cflags").stdout)

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

    def test_a_new_app_has_a_unit_test_that_passes(self):
        directory = self.make_dir() / "fresh-app"
        subprocess.run([program("stead"), "init", str(directory)], check=True, capture_output=True)
        done = subprocess.run(["make", "-s", "-C", str(directory), "test"], capture_output=True, text=True, timeout=120)
        self.assertEqual(0, done.returncode, done.stderr)
        self.assertIn("all is well", done.stdout)

    def test_a_name_that_cannot_be_one_is_refused(self):
        done = subprocess.run([program("stead"), "init", "Not A Name"], capture_output=True, text=True)
        self.assertEqual(2, done.returncode)
        self.assertIn("a letter first", done.stderr)

    def test_a_build_that_fails_deploys_nothing(self):
        node = self.make_node()
        directory = self.make_dir() / "broken"
        node.cli("init", directory)
        (directory / "broken.c").write_text("no C at all\n")
        result = node.deploy(directory, check=False)
        self.assertEqual(4, result.code)
        self.assertIn("the build `make -s` failed with exit code 2", result.err)
        self.assertEqual([], node.cli("apps", "--json").json["apps"])

    def test_init_does_not_overwrite(self):
        node = self.make_node()
        directory = self.make_dir() / "mine"
        node.cli("init", directory)
        before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
        self.assertNotEqual(0, node.cli("init", directory, check=False).code)
        self.assertEqual(before, {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()})


class Dev(Case):
    """The loop of development, with a node that `stead dev` starts itself."""

    def wait_line(self, dev, pattern):
        for line in dev.stdout:
            match = re.search(pattern, line)
            if match:
                return match
        self.fail(f"`stead dev` ended without {pattern!r}")

    def test_a_broken_source_leaves_the_running_version_until_it_is_mended(self):
        node = self.make_node()
        app = self.make_dir() / "live"
        subprocess.run([program("stead"), "init", str(app)], check=True, capture_output=True)
        dev = subprocess.Popen(
            node.cli_command("dev", app), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.addCleanup(dev.communicate)
        self.addCleanup(dev.kill)
        shown = self.wait_line(dev, r"curl -X POST http://([0-9.]+):(\d+)/live/greet")
        self.assertEqual(node.address, (shown.group(1), int(shown.group(2))))
        self.wait_line(dev, "watching")
        source = app / "live.c"
        good = source.read_text()
        source.write_text(good.replace("return stead_reply", "retrun stead_reply"))
        self.wait_line(dev, "the build `make -s` failed")
        # The first lines may be written before the logs are followed: go on until one arrives.
        done = threading.Event()

        def greet():
            while not done.is_set():
                self.assert_ok(node.post("/live/greet/ann"))

        greeter = threading.Thread(target=greet)
        greeter.start()
        self.wait_line(dev, "info  live/greet .* ann is greeted")
        done.set()
        greeter.join()
        source.write_text(good.replace("hello", "good day"))
        self.wait_line(dev, "deployed, replacing")
        self.assertIn("good day ann", node.post("/live/greet/ann").text)
        dev.send_signal(signal.SIGTERM)
        self.assertEqual(0, dev.wait(30))
        self.assertTrue(node.running, "it was there before")

    def test_a_change_of_the_source_is_built_and_deployed(self):
        work = self.make_dir()
        app, data = work / "live", work / "data"
        subprocess.run([program("stead"), "init", str(app)], check=True, capture_output=True)
        command = [program("stead"), "dev", str(app), "--data", str(data), "--listen", "127.0.0.1:0"]
        dev = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        self.addCleanup(dev.communicate)
        self.addCleanup(dev.kill)
        target = None
        for line in dev.stdout:
            match = re.search(r"curl -X POST http://([0-9.]+):(\d+)(/live/greet)", line)
            if match:
                target = match
            if "watching" in line:
                break
        self.assertTrue(target, "no address was shown")
        client = Client((target.group(1), int(target.group(2))))
        self.assertEqual("hello ann, for the 1. time\n", client.post("/live/greet/ann").text)
        source = app / "live.c"
        source.write_text(source.read_text().replace("hello %s", "good day %s"))
        for line in dev.stdout:  # logs come too
            if re.search(r"^live [0-9a-f]{12} deployed, replacing", line):
                break
        self.assertEqual("good day ann, for the 2. time\n", client.post("/live/greet/ann").text)
        client.close()
        dev.send_signal(signal.SIGINT)
        self.assertEqual(0, dev.wait(30))
        self.assertFalse((data / "admin.sock").exists(), "the node went with it")


if __name__ == "__main__":
    main()
