"""workers.py - what the benches of workers share: many small apps, the node's own figures, load by bench_drive."""
# SPDX-License-Identifier: Apache-2.0
import json
import re
import struct
import subprocess
import time
from pathlib import Path

from harness.apps import compile_so, manifest_text
from harness.node import Node
from harness.paths import program

SOURCE = Path(__file__).parent / "functions.c"
FUNCTIONS = ("nothing", "wait", "work")


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(part * len(ordered)))] if ordered else None


def _bin(data):
    return b"\xc6" + struct.pack(">I", len(data)) + data


def _str(text):
    return b"\xd9" + bytes([len(text)]) + text.encode()


class Bench:
    """A node of this run and the functions of functions.c, deployed under any name."""

    def __init__(self, work, flags=()):
        self.node = Node(data=work / "data", flags=flags)
        self.code = compile_so(SOURCE.read_text(), work / "app.so", ("-O2",)).read_bytes()

    def __enter__(self):
        self.node.start()
        return self

    def __exit__(self, *_):
        self.node.close()

    def deploy(self, app, functions=("nothing",), code=None, admin=None, **fields):
        """`fields`: of each function in the manifest; pool="{ max: 2 }". Over the admin socket: a thousand are quick."""
        manifest = manifest_text(app, [{"name": name, **fields} for name in functions])
        body = b"\x82" + _str("manifest") + _bin(manifest.encode())
        body += _str("files") + b"\x81" + _str("app.so") + _bin(code or self.code)
        with admin or self.node.admin() as client:
            reply = client.request("POST", f"/v1/apps/{app}", body)
        if reply.status != 200:
            raise RuntimeError(f"{app} cannot be deployed: {reply}")

    def stats(self):
        with self.node.admin() as client:
            return json.loads(client.get("/v1/stats").body)

    def until(self, words, reached, timeout_s=60, part="workers"):
        """Asks the node until `reached(that part of its figures)`; None: all of them."""
        deadline = time.monotonic() + timeout_s
        with self.node.admin() as client:
            while True:
                stats = json.loads(client.get("/v1/stats").body)
                figures = stats[part] if part else stats
                if reached(figures):
                    return figures
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{words} was not reached within {timeout_s} s: {figures}")
                time.sleep(0.02)  # between two questions


class Drive:
    """bench_drive under way: `lines()` as they come, the last has the sums."""

    def __init__(self, address, target, *how):
        host, port = address
        self.process = subprocess.Popen(
            [program("bench_drive"), host, str(port), target, *map(str, how)], stdout=subprocess.PIPE, text=True
        )

    def lines(self):
        with self.process.stdout:
            for line in self.process.stdout:
                yield json.loads(line)
        if self.process.wait() != 0:
            raise RuntimeError(f"bench_drive ended with {self.process.returncode}")

    def total(self):
        *_, last = self.lines()
        return last


def memory_kib(pid, field="Pss"):
    """Of one process: Pss counts shared pages by the part that it has in them."""
    path = f"/proc/{pid}/" + ("smaps_rollup" if field == "Pss" else "status")
    return int(re.search(rf"^{field}:\s+(\d+) kB", Path(path).read_text(), re.M).group(1))


def leaves(pid):
    """The processes below this one that have none below themselves: workers, whatever stands between. The spare zygote has
    none, too, but is of no app."""
    below = children(pid)
    if below:
        return [leaf for child in below for leaf in leaves(child)]
    return [] if b"\0spare---" in Path(f"/proc/{pid}/cmdline").read_bytes() else [pid]


def children(pid):
    found = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (thread / "children").read_text().split())
    return found
