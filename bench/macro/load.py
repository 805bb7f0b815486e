"""load.py - drives a server with wrk and hands back the figures."""
# SPDX-License-Identifier: Apache-2.0
import json
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parent / "load.lua"


def wrk(address, path, keys, connections, seconds):
    """POST to `path` with %d replaced by 0..keys-1 in turn. One thread: the server needs the other processors."""
    host, port = address
    # wrk takes whole seconds or whole milliseconds nowhere: round up.
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "10s",
        "-s", str(SCRIPT), f"http://{host}:{port}/", "--", path, str(keys),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    marks = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    if done.returncode or not marks:
        raise RuntimeError(f"wrk ended with {done.returncode}: {done.stdout}{done.stderr}")
    figures = json.loads(marks[0][len("RESULT ") :])
    errors = figures["refused"] + figures["broken"] + figures["timeouts"]
    answered = figures["requests"] - figures["refused"]
    return {
        "rate": answered * 1e6 / figures["duration_us"],
        "p50_us": figures["p50_us"],
        "p99_us": figures["p99_us"],
        "p999_us": figures["p999_us"],
        "errors": errors,
        "answered": answered,
    }
