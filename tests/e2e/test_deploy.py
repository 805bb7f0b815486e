"""test_deploy.py - what deploy refuses and with which words; switching versions under load; rollback; removal."""
# SPDX-License-Identifier: Apache-2.0
import os
import struct
import sys
import threading
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1])]

from harness.apps import compile_so, make_app, manifest_text
from harness.case import NodeCase, main
from harness.http import request_bytes
from harness.swarm import Swarm

HELLO = """
#include <stead/stead.h>
STEAD_FUNCTION(hello) { return stead_reply(ctx, "VERSION %s", stead_entity(ctx)); }
STEAD_FUNCTION(count) { return stead_reply(ctx, "%lld", (long long)stead_add(ctx, "n", 1)); }
"""
GOOD = "app: bad\ncode: app.so\nfunctions:\n  - name: hello\n"

# What is wrong -> (manifest, the words that must be said). The file is always named.
MANIFESTS = {
    "empty": ("", ()),
    "not YAML": ("app: [bad\n", (":2: is not yaml",)),
    "a list": ("- app\n", (":1:", "a list")),
    "no app": ("code: app.so\nfunctions:\n  - name: hello\n", ("app",)),
    "no code": ("app: bad\nfunctions:\n  - name: hello\n", ("code",)),
    "no functions": ("app: bad\ncode: app.so\n", ("functions",)),
    "an empty list of functions": ("app: bad\ncode: app.so\nfunctions: []\n", ("functions",)),
    "a word for a number": (GOOD + "    timeout_ms: soon\n", ("stead.yaml:5:", "timeout_ms")),
    "a negative number": (GOOD + "    timeout_ms: -1\n", ("stead.yaml:5:", "timeout_ms")),
    "a number beyond its limit": (GOOD + "    memory_mb: 99999999\n", ("stead.yaml:5:", "memory_mb")),
    "a list for a word": ("app: bad\ncode: [app.so]\nfunctions:\n  - name: hello\n", ("stead.yaml:2:", "code")),
    "a word for a list": ("app: bad\ncode: app.so\nfunctions: hello\n", ("stead.yaml:3:", "functions")),
    "an unknown field": (GOOD + "    timout_ms: 5\n", ("stead.yaml:5:", "timout_ms", "timeout_ms")),
    "an unknown field on top": ("colour: red\n" + GOOD, ("stead.yaml:1:", "colour")),
    "one function twice": (GOOD + "  - name: hello\n", ("stead.yaml:5:", "hello")),
    "a field twice": ("app: bad\n" + GOOD, ("app",)),
    "an app name with capitals": (GOOD.replace("bad", "Bad"), ("stead.yaml:1:", "app")),
    "an app name beyond its limit": (GOOD.replace("bad", "b" * 64), ("stead.yaml:1:", "63")),
    "a function name with a dash": (GOOD.replace("hello", "hel-lo"), ("stead.yaml:4:", "hel-lo")),
    "an unknown durability": (GOOD + "    durability: maybe\n", ("stead.yaml:5:", "durability")),
    "a route to nobody": (
        GOOD + 'routes:\n  - { method: GET, path: "/x", function: nosuch }\n', ("stead.yaml:6:", "nosuch"),
    ),
    "a route with no method": (GOOD + 'routes:\n  - { path: "/x", function: hello }\n', ("stead.yaml:6:", "method")),
    "a route that is not absolute": (
        GOOD + 'routes:\n  - { method: GET, path: "x", function: hello }\n', ("stead.yaml:6:", "path"),
    ),
    "a route with the rest of the path in the middle": (
        GOOD + 'routes:\n  - { method: GET, path: "/{x...}/y", function: hello }\n', ("stead.yaml:6:", "path"),
    ),
    "one route twice": (
        GOOD + 'routes:\n' + '  - { method: GET, path: "/x/{entity}", function: hello }\n' * 2, ("stead.yaml:7:", "/x/"),
    ),
    "a zero byte": ("app: b\0ad\n" + GOOD, ()),
    "a bomb of aliases": (
        "a: &a [x,x,x,x,x,x,x,x,x]\n"
        + "".join(f"{c}: &{c} [{','.join(['*' + p] * 9)}]\n" for p, c in zip("abcdefgh", "bcdefghi"))
        + GOOD, (),
    ),
}  # fmt: skip


class Refused(NodeCase):
    """Every mistake is refused with its own words, and nothing of it is deployed."""

    def setUp(self):
        super().setUp()
        self.dir = make_app(self.make_dir(), "bad", HELLO, ["hello", "count"])

    def refuse(self, *words):
        result = self.node.deploy(self.dir, check=False)
        self.assertNotEqual(0, result.code, result)
        for word in words:
            self.assertIn(word.lower(), result.err.lower())
        self.assertNotIn("Traceback", result.text)
        self.assertNotIn("bad", [app["app"] for app in self.node.cli("apps", "--json").json["apps"]])
        return result

    def test_every_mistake_in_a_manifest_is_told_with_file_line_and_field(self):
        for name, (text, words) in MANIFESTS.items():
            with self.subTest(name):
                (self.dir / "stead.yaml").write_text(text)
                self.refuse("stead.yaml", *words)

    def test_a_directory_without_a_manifest_is_told(self):
        (self.dir / "stead.yaml").unlink()
        self.refuse("stead.yaml")

    def test_a_directory_that_is_not_there_is_told(self):
        self.dir = self.dir / "nosuch"
        self.refuse("nosuch")

    def test_missing_code_is_named(self):
        (self.dir / "app.so").unlink()
        self.refuse("stead.yaml:2: code: there is no file `app.so`")

    def test_code_that_is_no_file_is_named_and_not_waited_for(self):
        (self.dir / "app.so").unlink()
        for make in (os.mkfifo, os.mkdir):
            make(self.dir / "app.so")
            with self.subTest(make):
                self.refuse("stead.yaml:2: code: `app.so` is not a file")
            (self.dir / "app.so").unlink() if make is os.mkfifo else (self.dir / "app.so").rmdir()

    def test_code_that_is_no_library_is_told(self):
        for content in (b"", b"#!/bin/sh\n", b"\x7fELF", b"\x7fELF" + bytes(60), bytes(100000)):
            with self.subTest(content[:8]):
                (self.dir / "app.so").write_bytes(content)
                self.refuse("artifact_invalid")

    def test_a_memory_limit_below_what_the_code_takes_when_it_is_loaded_names_both(self):
        source = "#include <stead/stead.h>\nstatic volatile char rows[64 << 20];\n"
        source += 'STEAD_FUNCTION(first) { return stead_reply(ctx, "%d", rows[0]); }\n'
        self.dir = make_app(self.make_dir(), "bad", source, [{"name": "first", "memory_mb": 64}])
        self.refuse("manifest_invalid", "stead.yaml:4: functions[0].memory_mb: 64 is not more than the 64 MB", "app.so")

    def test_code_that_was_cut_off_is_told(self):
        whole = (self.dir / "app.so").read_bytes()
        for part in (100, len(whole) // 2):
            with self.subTest(part):
                (self.dir / "app.so").write_bytes(whole[:part])
                self.refuse("artifact_invalid")

    def test_code_for_another_architecture_names_it(self):
        code = bytearray((self.dir / "app.so").read_bytes())
        code[18:20] = struct.pack("<H", 243)  # e_machine: RISC-V
        (self.dir / "app.so").write_bytes(code)
        self.refuse("artifact_invalid", "risc-v")

    def test_a_function_that_the_code_does_not_have_is_named(self):
        (self.dir / "stead.yaml").write_text(manifest_text("bad", ["hello", "goodbye"]))
        self.refuse("stead_fn_goodbye")

    def test_code_for_another_version_of_the_sdk_names_both(self):
        text = '#define STEAD_RUNTIME\n#include <stead/stead.h>\n'
        text += 'STEAD_API extern const uint32_t stead_abi_version;\nconst uint32_t stead_abi_version = 99;\n'
        text += "STEAD_FUNCTION(hello) { return STEAD_OK; }\nSTEAD_FUNCTION(count) { return STEAD_OK; }\n"
        compile_so(text, self.dir / "app.so")
        self.refuse("99", "abi")

    def test_code_that_needs_what_is_not_there_has_the_words_of_the_loader(self):
        text = HELLO + "void nosuch_symbol(void);\nSTEAD_FUNCTION(more) { nosuch_symbol(); return STEAD_OK; }\n"
        make_app(self.dir, "bad", text, ["hello", "more"])
        self.refuse("nosuch_symbol")

    def test_code_that_crashes_while_it_is_loaded_is_told(self):
        text = HELLO + "#include <stdlib.h>\n__attribute__((constructor)) static void boom(void) { abort(); }\n"
        make_app(self.dir, "bad", text, ["hello"])
        self.refuse()
        self.assertEqual(404, self.node.post("/bad/hello").status)

    def test_code_that_hangs_while_it_is_loaded_is_told(self):
        text = HELLO + "__attribute__((constructor)) static void hang(void) { for (volatile int i = 0;; i++); }\n"
        make_app(self.dir, "bad", text, ["hello"])
        self.refuse()

    def test_a_route_of_another_app_is_told(self):
        routes = [("GET", "/shared/{entity}", "hello")]
        self.node.deploy(make_app(self.make_dir(), "first", HELLO, ["hello"], routes))
        make_app(self.dir, "bad", HELLO, ["hello"], [("GET", "/shared/{entity}", "hello")])
        self.refuse("/shared/", "first")

    def test_a_refused_version_leaves_the_running_one(self):
        directory = make_app(self.make_dir(), "stays", HELLO, ["hello"])
        self.node.deploy(directory)
        (directory / "app.so").write_bytes(b"rubbish")
        self.assertNotEqual(0, self.node.deploy(directory, check=False).code)
        self.assert_ok(self.node.post("/stays/hello"))


class Caller:
    """Calls again and again; remembers every answer that is no success, and which versions answered."""

    def __init__(self, target):
        self.data = request_bytes("POST", target)
        self.stopped = False
        self.wrong = []
        self.seen = []

    def next(self):
        return None if self.stopped else self.data

    def done(self, reply):
        if reply.status != 200:
            self.wrong.append(reply)
        elif not self.seen or self.seen[-1] != reply.text:
            self.seen.append(reply.text)

    def lost(self):
        self.wrong.append("connection lost")


class Versions(NodeCase):
    def app(self, version, name="app"):
        return make_app(self.work / name, name, HELLO.replace("VERSION", f"v{version}"), ["hello", "count"])

    def test_a_switch_under_load_fails_no_request_and_never_goes_back(self):
        self.node.deploy(self.app(0, "switch"))
        callers = [Caller("/switch/hello") for _ in range(16)]
        with Swarm(self.node.address, callers) as swarm:
            for version in range(1, 6):
                swarm.run(0.3)
                directory = self.app(version, "switch")
                deploy = threading.Thread(target=self.node.deploy, args=(directory,))
                deploy.start()
                while deploy.is_alive():
                    swarm.run(0.02)
            swarm.run(0.3)
            for caller in callers:
                caller.stopped = True
            self.assertTrue(swarm.finish(20))
        for caller in callers:
            self.assertEqual([], caller.wrong)
            self.assertEqual(sorted(caller.seen), caller.seen, "an old version answered after a new one")
            self.assertEqual("v5 ", caller.seen[-1])

    def test_state_outlives_versions_and_rollback_brings_the_old_code_back(self):
        self.node.deploy(self.app(1, "back"))
        self.assertEqual("1", self.node.post("/back/count/x").text)
        first = self.node.cli("apps", "back", "--json").json
        self.node.deploy(self.app(2, "back"))
        self.assertEqual("v2 ", self.node.post("/back/hello").text)
        self.assertEqual("2", self.node.post("/back/count/x").text)
        self.node.cli("rollback", "back")
        self.assertEqual("v1 ", self.node.post("/back/hello").text)
        self.assertEqual("3", self.node.post("/back/count/x").text)
        self.assertEqual(first["version"], self.node.cli("apps", "back", "--json").json["version"])

    def test_rollback_beyond_the_first_version_is_told(self):
        self.node.deploy(self.app(1, "single"))
        result = self.node.cli("rollback", "single", check=False)
        self.assertNotEqual(0, result.code)
        self.assertIn("version_not_found", result.err)
        self.assertNotEqual(0, self.node.cli("rollback", "nosuch", check=False).code)

    def test_a_removed_app_is_gone_and_its_state_stays_unless_asked(self):
        self.node.deploy(self.app(1, "gone"))
        self.assertEqual("1", self.node.post("/gone/count/x").text)
        self.node.cli("remove", "gone")
        self.assert_error(self.node.post("/gone/count/x"), 404, "app_not_found", "gone")
        self.node.deploy(self.app(1, "gone"))
        self.assertEqual("2", self.node.post("/gone/count/x").text)
        self.node.cli("remove", "gone", "--state")
        self.node.deploy(self.app(1, "gone"))
        self.assertEqual("1", self.node.post("/gone/count/x").text)

    def test_the_same_code_again_is_the_same_version(self):
        directory = self.app(1, "same")
        first = self.node.cli("deploy", directory, "--json").json
        self.assertEqual(first["version"], self.node.cli("deploy", directory, "--json").json["version"])


if __name__ == "__main__":
    main()
