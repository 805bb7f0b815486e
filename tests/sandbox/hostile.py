"""hostile.py - a node with hostile apps, a good one beside them, and what must be unhurt after each attack."""
# SPDX-License-Identifier: Apache-2.0
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness.apps import make_app
from harness.case import Case
from harness.node import Node
from harness.paths import SOURCE_DIR, bin_dir

FN = Path(__file__).parent / "fn"
HOSTILE = ("files", "state", "sockets", "processes", "kernel", "frames", "resources")
TIMEOUTS_MS = {"frames": 1500, "resources": 800}  # where functions end by their deadline only
MEMORY_MB = 32
FLAGS = ("-D_GNU_SOURCE", f"-I{SOURCE_DIR}")
ANOTHER_USER = 0x7EAE0000  # owns nothing on this machine

GOOD = r"""
#include <stead/stead.h>

STEAD_FUNCTION(add)
{
    return stead_reply(ctx, "%lld", (long long)stead_add(ctx, "count", 1));
}

STEAD_FUNCTION(get)
{
    return stead_reply(ctx, "%lld", (long long)stead_get_i64(ctx, "count", 0));
}

STEAD_FUNCTION(all)
{
    struct stead_scan *scan = stead_scan_entities(ctx, "");
    struct stead_row row;
    while (stead_scan_next(scan, &row))
        stead_reply(ctx, "%s/%s=%.*s\n", row.entity, row.name, STEAD_FMT(row.value));
    return STEAD_OK;
}
"""


def functions_of(name):
    return re.findall(r"^(?:STEAD_FUNCTION|ATTACK)\((\w+)", (FN / f"{name}.c").read_text(), re.MULTILINE) + ["good"]


def hostile_app(directory, name, flags=(), **fields):
    limits = {"timeout_ms": TIMEOUTS_MS.get(name, 5000), "memory_mb": MEMORY_MB} | fields
    functions = [{"name": function} | limits for function in functions_of(name)]
    for function in functions:
        if function["name"].startswith(("grabs_", "believes_", "replies_more_")):  # end by another limit, however slow the machine is
            function["timeout_ms"] = 20000
    return make_app(Path(directory) / name, name, FN / f"{name}.c", functions, flags=FLAGS + tuple(flags))


class HostileCase(Case):
    """One node for the class, run by root or by another user; after each test everything outside must be as before."""

    user = None  # of the node; None: ours

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.root = Path(tempfile.mkdtemp(prefix="stead-test-"))
        cls.addClassCleanup(shutil.rmtree, cls.root, ignore_errors=True)
        cls.root.chmod(0o755)
        cls.work = cls.root / "work"
        cls.work.mkdir()
        cls.start_node()
        cls.start_canary()
        cls.build_apps()
        print(f"\n{cls.__name__}: {cls.mechanisms()}", flush=True)

    @classmethod
    def start_node(cls):
        home = cls.root / "home"
        home.mkdir()
        cls.identity = {}
        if cls.user is not None:
            # The programs may be in a place that this user cannot reach.
            for name in ("steadd", "stead", "stead-zygote"):
                shutil.copy(bin_dir() / name, cls.root / name)
            os.chown(home, cls.user, cls.user)
            cls.identity = {"user": cls.user, "group": cls.user, "extra_groups": []}
        cls.node = Node(data=home / "data")
        before = os.environ.get("STEAD_BIN_DIR")
        cls.bin = str(cls.root if cls.user is not None else bin_dir())
        os.environ["STEAD_BIN_DIR"] = cls.bin
        try:
            cls.node.start(**cls.identity)
        finally:
            os.environ.pop("STEAD_BIN_DIR") if before is None else os.environ.update(STEAD_BIN_DIR=before)
        cls.addClassCleanup(cls.node.close)

    @classmethod
    def start_canary(cls):
        """A process and a file of the node's own user: what an attacker would hurt first."""
        cls.canary = subprocess.Popen(["sleep", "600"], **cls.identity)
        cls.addClassCleanup(cls.canary.wait)
        cls.addClassCleanup(cls.canary.kill)
        cls.canary_file = cls.root / "home" / "canary"
        cls.canary_file.write_text("alive")
        cls.canary_file.chmod(0o600)
        if cls.user is not None:
            os.chown(cls.canary_file, cls.user, cls.user)
        cls.canary_stat = cls.stat_of(cls.canary_file)

    @classmethod
    def build_apps(cls):
        for name in HOSTILE:
            cls.node.deploy(hostile_app(cls.work, name))
        cls.node.deploy(make_app(cls.work / "bank", "bank", GOOD, ["add", "get", "all"]))
        for entity in ("alice", "bob"):
            assert cls.node.post(f"/bank/add/{entity}").status == 200
        assert cls.node.post("/state/puts").status == 200
        cls.rows = cls.node.get("/bank/all").text
        cls.data = cls.node.data
        cls.system_file = next((cls.data / "system").glob("data*"), cls.data / "system")
        cls.artifact = next((cls.data / "artifacts").iterdir())
        cls.zygote = cls.process_named("bank")

    @classmethod
    def state_file(cls, app):
        return next((cls.data / "apps" / app).rglob("data*"))

    @classmethod
    def process_named(cls, app):
        """Process number of the zygote, or of a worker, of this app."""
        found = subprocess.run(["pgrep", "-f", f"^{cls.bin}/stead-zygote {app} "], capture_output=True, text=True)
        return int(found.stdout.split()[0])

    @staticmethod
    def stat_of(path):
        stat = path.stat()
        return (stat.st_mode, stat.st_uid, stat.st_gid, stat.st_size, stat.st_mtime_ns, stat.st_nlink)

    @classmethod
    def mechanisms(cls):
        """What the sandbox stands on here, in the words of `stead doctor`."""
        found = cls.node.cli("doctor", "--json").json
        wanted = ("kernel", "namespaces", "landlock", "seccomp", "cgroups: cpu", "cgroups: memory", "cgroups: pids")
        who = "root" if cls.node_uid() == 0 else f"user {cls.node_uid()}"
        return f"the node runs as {who}; " + "; ".join(f"{f['what']}: {f['text']}" for f in found if f["what"] in wanted)

    @classmethod
    def node_uid(cls):
        return os.getuid() if cls.user is None else cls.user

    def setUp(self):
        self._log_at = len(self.node.log.lines)
        self.app = None

    def tearDown(self):
        self.assert_unhurt()

    # ---- attacks ----

    def attack(self, app, function, **query):
        self.app = app
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return self.node.post(f"/{app}/{function}" + (f"?{text}" if text else ""))

    def refused(self, app, function, reasons=("EPERM", "EACCES"), **query):
        """The system said no, for one of these reasons."""
        reply = self.attack(app, function, **query)
        self.assertEqual(200, reply.status, reply)
        self.assertIn(reply.text, [f"refused {reason}" for reason in reasons])

    def fails(self, app, function, *codes, **query):
        """The caller hears one of these errors; returns it."""
        reply = self.attack(app, function, **query)
        self.assertGreaterEqual(reply.status, 400, reply)
        self.assertIn(reply.error["code"], codes, reply)
        return reply.error

    def last_words(self):
        return "\n".join(self.node.log.lines[self._log_at :])

    # ---- what must be as it was ----

    def assert_unhurt(self):
        said = self.last_words()[-4000:]
        self.assertTrue(self.node.running, f"the node has ended:\n{said}")
        self.assertIsNone(self.canary.poll(), "a process of the same user was killed")
        self.assertEqual("alive", self.canary_file.read_text())
        self.assertEqual(self.canary_stat, self.stat_of(self.canary_file))
        self.assertEqual(self.rows, self.assert_ok(self.node.get("/bank/all")).text, "rows of another app")
        self.assertEqual("as it was", self.assert_ok(self.node.post("/state/row")).text)
        if self.app:
            self.assert_good(self.app)

    def assert_good(self, app):
        """The same app can go on; a worker that an attack has spoiled may take one more call with it."""
        for _ in range(3):
            reply = self.node.post(f"/{app}/good")
            if reply.status == 200:
                break
        self.assertEqual(200, self.assert_ok(reply).status)
        self.assertIn("good ", reply.text)
