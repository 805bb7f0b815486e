"""peers.py - what stands beside Stead in the same run: nginx, Redis, the bare disk. Each started here, for this run."""
# SPDX-License-Identifier: Apache-2.0
import json
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

NGINX_CONFIG = """
daemon off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    client_body_temp_path {dir}/body;
    proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi;
    scgi_temp_path {dir}/scgi;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "1\\n"; }}
    }}
}}
"""


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


class Peer:
    """A server of this run in a directory of its own."""

    def __init__(self, work, program):
        path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
        if not path:
            raise FileNotFoundError(f"{program} is not installed")
        self.dir = Path(tempfile.mkdtemp(prefix=f"{program}-", dir=work))
        self.address = ("127.0.0.1", free_port())
        self.process = subprocess.Popen(
            self.command(path), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self._wait_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def _wait_ready(self):
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(self.address, timeout=1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.process.args[0]} did not start") from None
                try:
                    self.process.wait(0.02)
                except subprocess.TimeoutExpired:
                    continue


class Nginx(Peer):
    """`return 200`: the most that one HTTP process on this machine answers."""

    def __init__(self, work):
        super().__init__(work, "nginx")

    def command(self, path):
        config = self.dir / "nginx.conf"
        config.write_text(NGINX_CONFIG.format(dir=self.dir, port=self.address[1]))
        return [path, "-p", str(self.dir), "-c", str(config), "-e", str(self.dir / "error.log")]


class Redis(Peer):
    """INCR with `appendfsync always`: a store that also answers only when the disk has it."""

    def __init__(self, work):
        super().__init__(work, "redis-server")

    def command(self, path):
        options = {
            "port": self.address[1], "bind": "127.0.0.1", "dir": self.dir, "save": "", "appendonly": "yes",
            "appendfsync": "always", "daemonize": "no",
        }  # fmt: skip
        return [path] + [word for name, value in options.items() for word in (f"--{name}", str(value))]

    def measure(self, connections, keys, seconds):
        """redis-benchmark counts requests, not time: a short run tells how many fill the time."""
        short = self._benchmark(connections, keys, 200 * min(connections, 20))
        return self._benchmark(connections, keys, max(100, int(short["rate"] * seconds)))

    def _benchmark(self, connections, keys, count):
        host, port = self.address
        command = [
            "redis-benchmark", "-h", host, "-p", str(port), "-c", str(connections), "-n", str(count),
            "-r", str(keys), "INCR", "counter:__rand_int__",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return parse_redis_benchmark(done.stdout)


def parse_redis_benchmark(text):
    rate = float(re.search(r"throughput summary: ([\d.]+) requests", text).group(1))
    steps = [(float(p), float(ms)) for p, ms in re.findall(r"^([\d.]+)% <= ([\d.]+) milliseconds \(", text, re.M)]

    def at(percent):
        return next((ms * 1000 for p, ms in steps if p >= percent), steps[-1][1] * 1000)

    return {"rate": rate, "p50_us": at(50), "p99_us": at(99), "p999_us": at(99.9), "errors": text.count("Error")}


def fdatasync(program, directory, seconds):
    done = subprocess.run([program, str(directory), str(seconds)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout) | {"errors": 0}
