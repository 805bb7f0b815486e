"""browser.py - headless Chromium for tests, driven over a pipe: pages, and what their scripts say. Opens no port, loads nothing."""
# SPDX-License-Identifier: Apache-2.0
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--remote-debugging-pipe",
)  # fmt: skip


def chromium():
    """The program, or None."""
    return shutil.which("chromium")


class Browser:
    """One process with a profile of its own. Messages are JSON with a zero byte behind each: 3 in, 4 out."""

    def __init__(self, timeout_s=60.0):
        self.timeout_s = timeout_s
        self._profile = tempfile.mkdtemp(prefix="stead-browser-")
        self._log = open(Path(self._profile) / "stderr", "w+b")
        self._number, self._pending = 0, b""
        its_in, self._out = os.pipe()
        self._in, its_out = os.pipe()
        # Above 9, so that neither is in the way of the other's new number.
        high_in, high_out = (fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (its_in, its_out))

        def place():
            os.dup2(high_in, 3)
            os.dup2(high_out, 4)

        try:
            self._process = subprocess.Popen(
                [chromium(), *FLAGS, f"--user-data-dir={self._profile}/profile", "about:blank"],
                stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, pass_fds=(3, 4), preexec_fn=place,
                start_new_session=True, env={**os.environ, "HOME": self._profile},
            )  # fmt: skip
        finally:
            for fd in (its_in, its_out, high_in, high_out):
                os.close(fd)

    def close(self):
        """Ends it with all its children, and forgets its profile."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # a session of its own: nobody else is in it
        except ProcessLookupError:
            pass
        self._process.wait()
        for fd in (self._in, self._out):
            os.close(fd)
        self._log.close()
        shutil.rmtree(self._profile, ignore_errors=True)

    def command(self, method, session=None, **params):
        """One command of the DevTools protocol: its result. Events in between are passed over."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + self.timeout_s
        while True:
            answer = self._read(deadline)
            if answer.get("id") == self._number:
                break
        if "error" in answer:
            raise CommandRefused(f"{method}: {answer['error']}")
        return answer["result"]

    def _read(self, deadline):
        while b"\0" not in self._pending:
            ready, _, _ = select.select([self._in], [], [], max(0.0, deadline - time.monotonic()))
            data = os.read(self._in, 65536) if ready else b""
            if not data:
                self._log.seek(0)
                words = self._log.read()[-2000:].decode("utf-8", "replace")
                raise RuntimeError(f"the browser {'has ended' if ready else 'does not answer'}:\n{words}")
            self._pending += data
        message, self._pending = self._pending.split(b"\0", 1)
        return json.loads(message)

    def open(self, url):
        target = self.command("Target.createTarget", url=url)["targetId"]
        return Page(self, self.command("Target.attachToTarget", targetId=target, flatten=True)["sessionId"])


class CommandRefused(RuntimeError):
    """The browser cannot do that now."""


class Page:
    def __init__(self, browser, session):
        self._browser, self._session = browser, session

    def run(self, script):
        """The value of a JavaScript expression; RuntimeError with what it threw."""
        result = self._browser.command("Runtime.evaluate", self._session, expression=script, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(json.dumps(result["exceptionDetails"]))
        return result["result"].get("value")

    def look(self, script):
        """The same for who looks until something is there: None while the page gives way to another one."""
        try:
            return self.run(script)
        except CommandRefused:
            return None
