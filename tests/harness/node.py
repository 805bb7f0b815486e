"""node.py - a node of one's own: a data directory, `steadd` on a free port, its log; start, kill, stop, ask."""
# SPDX-License-Identifier: Apache-2.0
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from harness.http import Client
from harness.paths import program

START_TIMEOUT_S = float(os.environ.get("STEAD_TEST_START_TIMEOUT_S", "30"))
LISTENING = re.compile(r"\bnode\.listening\b.*\baddress=\"?([0-9.]+|\[[0-9a-f:]+\]):(\d+)")


class NodeFailed(AssertionError):
    """The node ended when it should not have, or did not get ready."""


class CliResult:
    def __init__(self, arguments, code, out, err):
        self.arguments = arguments
        self.code = code
        self.out = out
        self.err = err

    @property
    def text(self):
        return self.out + self.err

    @property
    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"`stead {' '.join(self.arguments)}` ended with {self.code}\nout: {self.out}\nerr: {self.err}"


class _Lines:
    """Lines of a pipe, collected by a thread; others wait for one."""

    def __init__(self, pipe, echo):
        self.lines = []
        self.ended = False
        self._changed = threading.Condition()
        self._echo = echo
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def _read(self, pipe):
        with pipe:
            for raw in pipe:
                line = raw.decode("utf-8", "replace").rstrip("\n")
                if self._echo:
                    print(f"    | {line}", flush=True)
                with self._changed:
                    self.lines.append(line)
                    self._changed.notify_all()
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def wait(self, pattern, timeout_s, start=0):
        """The match in the first line from `start` on that has one; None when time or lines end."""
        pattern = re.compile(pattern)
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while True:
                while start < len(self.lines):
                    match = pattern.search(self.lines[start])
                    if match:
                        return match
                    start += 1
                left = deadline - time.monotonic()
                if self.ended or left <= 0:
                    return None
                self._changed.wait(left)

    def join(self):
        self._thread.join()


class Node:
    """`data`: keep the state there; else in a temporary directory, removed by close()."""

    def __init__(self, data=None, flags=(), listen="127.0.0.1:0"):
        self._own = tempfile.mkdtemp(prefix="stead-test-") if data is None else None
        self.data = Path(data) if data is not None else Path(self._own) / "data"
        # $STEAD_TEST_FLAGS: for every node, e.g. workers of another build below a daemon with a sanitizer.
        self.flags = list(flags) + shlex.split(os.environ.get("STEAD_TEST_FLAGS", ""))
        self.listen = listen
        self.address = None
        self.process = None
        self.log = None
        self._former_logs = []  # their ends
        self.starts = 0
        self.start_s = None  # how long the last start took

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.close()

    # ---- life ----

    def launch(self, **popen):
        """Starts the program and waits for nothing."""
        command = [program("steadd"), "--data", str(self.data), "--listen", self.listen] + self.flags
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **popen
        )
        if self.log:
            self._former_logs.append(self.log_text()[-20000:])
        self.log = _Lines(self.process.stderr, echo=bool(os.environ.get("STEAD_TEST_ECHO")))
        self.starts += 1
        return self

    def start(self, **popen):
        began = time.monotonic()
        self.launch(**popen)
        match = self.log.wait(LISTENING, START_TIMEOUT_S)
        if not match:
            if self.process.poll() is None and not self.log.ended:
                self.process.kill()
            code = self.process.wait()
            raise NodeFailed(f"the node did not get ready (exit code {code}):\n{self.log_text()}")
        self.start_s = time.monotonic() - began
        self.address = (match.group(1).strip("[]"), int(match.group(2)))
        return self

    def kill9(self, after_s=0):
        """kill -9: no goodbye, no flush. `after_s`: let it go on for so long first."""
        if after_s:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(after_s)
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.log.join()

    def term(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, timeout_s=30):
        """The exit code."""
        try:
            code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise NodeFailed(f"the node did not end within {timeout_s} s:\n{self.log_text()}") from None
        self.log.join()
        return code

    def stop(self, timeout_s=30):
        """SIGTERM; the exit code."""
        self.term()
        return self.wait(timeout_s)

    def restart(self):
        if self.running:
            self.stop()
        return self.start()

    def close(self):
        if self.running:
            self.kill9()
        if self._own:
            shutil.rmtree(self._own, ignore_errors=True)
        self._check_sanitizers()

    def _check_sanitizers(self):
        """What a sanitizer has said, of the node or its workers, fails the test whatever else it has seen."""
        said = "\n".join(self._former_logs) + self.log_text()
        pattern = r"WARNING: ThreadSanitizer|ERROR: AddressSanitizer|: runtime error: "
        if self.address:  # a node that cannot start ends without giving memory back
            pattern += "|ERROR: LeakSanitizer"
        match = re.search(pattern, said)
        if match:
            raise AssertionError(f"a sanitizer complains:\n{said[max(0, match.start() - 500) : match.start() + 6000]}")

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    # ---- log ----

    def log_text(self):
        return "\n".join(self.log.lines) if self.log else ""

    def wait_log(self, pattern, timeout_s=10, start=0):
        match = self.log.wait(pattern, timeout_s, start)
        if not match:
            raise AssertionError(f"no log line matches {pattern!r}:\n{self.log_text()}")
        return match

    def resident_mb(self):
        """Memory of the daemon alone."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1)) // 1024

    def data_mb(self):
        """What the data directory takes on disk; files are sparse."""
        return sum(path.lstat().st_blocks * 512 for path in self.data.rglob("*")) >> 20

    # ---- asking ----

    def client(self, timeout_s=30.0):
        return Client(self.address, timeout_s)

    def admin(self, timeout_s=30.0):
        return Client(str(self.data / "admin.sock"), timeout_s)

    def request(self, method, target, body=b"", headers=()):
        with self.client() as client:
            return client.request(method, target, body, headers)

    def get(self, target, headers=()):
        return self.request("GET", target, headers=headers)

    def post(self, target, body=b"", headers=()):
        return self.request("POST", target, body, headers)

    def cli_command(self, *arguments):
        return [program("stead"), "--admin", str(self.data / "admin.sock"), *map(str, arguments)]

    def cli(self, *arguments, check=True, stdin=b"", timeout_s=60):
        """`stead ARGUMENTS` against this node."""
        done = subprocess.run(self.cli_command(*arguments), input=stdin, capture_output=True, timeout=timeout_s)
        result = CliResult(list(map(str, arguments)), done.returncode, done.stdout.decode(), done.stderr.decode())
        if check and result.code != 0:
            raise AssertionError(f"{result!r}\nlog of the node:\n{self.log_text()}")
        return result

    def deploy(self, directory, check=True):
        return self.cli("deploy", directory, check=check)
