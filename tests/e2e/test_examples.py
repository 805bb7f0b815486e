"""test_examples.py - the README of each example: its commands are run, what they print must be what is written there."""
# SPDX-License-Identifier: Apache-2.0
import collections
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from harness.case import NodeCase, main
from harness.paths import SOURCE_DIR, bin_dir

VERSION = re.compile(r"\b[0-9a-f]{12}\b")


def sessions(text):
    """[(command, the lines that it prints)] of the indented blocks."""
    found = []
    for line in text.split("\n"):
        if line.startswith("    $ "):
            found.append((line[6:], []))
        elif line.startswith("    ") and found:
            found[-1][1].append(line[4:])
    return [(command, "\n".join(lines)) for command, lines in found]


def as_pattern(expected):
    """`...` stands for anything, a version for any version."""
    parts = [re.escape(part) for part in expected.split("...")]
    return VERSION.sub("[0-9a-f]{12}", r"[\s\S]*".join(parts)) + r"\s*"


class Readme(NodeCase):
    @classmethod
    def prepare(cls):
        # A copy, because the examples are built where they are.
        ignore = shutil.ignore_patterns("build")
        shutil.copytree(SOURCE_DIR / "examples", cls.work / "examples", ignore=ignore)

    def run_command(self, command):
        host, port = self.node.address
        environment = dict(os.environ)
        environment["PATH"] = f"{bin_dir()}:{environment['PATH']}"
        environment["STEAD_ADMIN"] = str(self.node.data / "admin.sock")
        command = command.replace("127.0.0.1:8080", f"{host}:{port}").replace("curl ", "curl -sS ")
        return subprocess.run(
            ["bash", "-c", command], cwd=self.work, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=60,
        ).stdout.replace("\r", "")  # fmt: skip

    def check(self, name):
        text = (SOURCE_DIR / "examples" / name / "README.md").read_text()
        found = sessions(text)
        self.assertGreater(len(found), 2)
        for command, expected in found:
            if command == "stead serve &":
                continue
            with self.subTest(command):
                self.assertRegex(self.run_command(command), r"\A" + as_pattern(expected) + r"\Z")

    def test_hello(self):
        self.check("hello")

    def test_counter(self):
        self.check("counter")

    def test_bank(self):
        self.check("bank")

    def test_guestbook(self):
        self.check("guestbook")

    def test_chat_room(self):
        self.check("chat-room")

    def test_map_reduce(self):
        self.check("map-reduce")
        with self.node.client() as client:
            lines = client.get("/map-reduce/result/book?top=0").text.splitlines()
        book = (self.work / "book.txt").read_bytes().lower()
        words = collections.Counter(re.findall(rb"[a-z\x80-\xff]+", book))
        self.assertEqual(lines[0], f"{sum(words.values())} words, {len(words)} different ones")
        counted = {word: int(count) for count, word in (line.split(" ") for line in lines[1:])}
        self.assertEqual(counted, {word.decode(): count for word, count in words.items()})

    def test_what_is_in_the_build_tree_can_be_deployed(self):
        built = bin_dir().parent / "examples" / "hello"
        if not built.exists():
            self.skipTest("the programs under test come from an installation: no build tree")
        self.node.deploy(built)


if __name__ == "__main__":
    main()
