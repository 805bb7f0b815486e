"""cold.py - from request to reply when all is warm, when no worker is alive, when nothing is, when the app sleeps."""
# SPDX-License-Identifier: Apache-2.0
import os
import selectors
import shutil
import socket
import time

from harness.http import ReplyParser, request_bytes
from harness.paths import program
from macro.report import Report, note
from macro.workers import Bench, percentile

APPS = 50
ONE_BY_ONE = APPS  # requests of a visit
NODE_STARTS = 8
REST_S = 0.05  # after the answer to a call that met nothing the node makes another spare zygote: some 12 ms

# An idle worker is ended soon, its zygote ten times later: the first for `no_worker`, the second for `nothing`.
LASTING = "{ min: 0, max: 1, idle_ms: 1000 }"
BRIEF = "{ min: 0, max: 1, idle_ms: 1 }"


def _connect(address):
    sock = socket.create_connection(address)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _request(app):
    return request_bytes("POST", f"/{app}/nothing")


def one_by_one(address, apps, rest_s=0.0):
    """Microseconds of each."""
    times = []
    with _connect(address) as sock:
        for app in apps:
            time.sleep(rest_s)
            parser, data = ReplyParser(), _request(app)
            began = time.perf_counter_ns()
            sock.sendall(data)
            while (reply := parser.next()) is None:
                parser.feed(sock.recv(4096))
            times.append((time.perf_counter_ns() - began) / 1000)
            _check(reply)
    return times


def at_once(address, apps):
    """All requests are on their way before the first answer is read."""
    with selectors.DefaultSelector() as selector:
        socks = [_connect(address) for _ in apps]
        for sock in socks:
            selector.register(sock, selectors.EVENT_READ, ReplyParser())
        times, began = [], {}
        for sock, app in zip(socks, apps):
            began[sock] = time.perf_counter_ns()
            sock.sendall(_request(app))
        while len(times) < len(apps):
            for key, _ in selector.select():
                now = time.perf_counter_ns()
                key.data.feed(key.fileobj.recv(4096))
                if (reply := key.data.next()) is not None:
                    times.append((now - began[key.fileobj]) / 1000)
                    _check(reply)
        for sock in socks:
            sock.close()
    return times


def _one_by_one_rested(address, apps):
    return one_by_one(address, apps, REST_S)


def _check(reply):
    if reply.status != 200:
        raise RuntimeError(f"a cold request failed: {reply}")


def _brief_asleep(stats):
    return not any(app["app"].startswith("brief") for app in stats["apps"])


def spawn(command, count):
    """Fork, exec, end: microseconds of each."""
    times = []
    for _ in range(count):
        began = time.perf_counter_ns()
        _, status = os.waitpid(os.posix_spawn(command[0], command, {}), 0)
        times.append((time.perf_counter_ns() - began) / 1000)
        if status:
            raise RuntimeError(f"{command[0]} ended with {status}")
    return times


class Cases:
    def __init__(self, bench, only):
        self.bench = bench
        self.only = only
        self.times = {}
        for i in range(APPS):
            bench.deploy(f"lasting-{i}", pool=LASTING)
            bench.deploy(f"brief-{i}", pool=BRIEF)
        self.lasting = [f"lasting-{i}" for i in range(APPS)]
        self.brief = [f"brief-{i}" for i in range(APPS)]

    def wanted(self, system, case, callers):
        return not self.only or self.only in f"{system}/{callers}/{case}"

    def add(self, system, case, callers, times):
        self.times.setdefault((system, case, callers), []).extend(times)
        note(f"  {system:10} {case:10} {callers or '':>3}  p50 {percentile(times, 0.5):9,.0f} us")

    def _until_nothing(self):
        self.bench.until("no zygote", lambda w: w["zygotes"] == 0)

    def turn(self):
        address = self.bench.node.address
        for callers, ask, rested in ((1, one_by_one, _one_by_one_rested), (APPS, at_once, at_once)):
            if self.wanted("stead", "nothing", callers):
                self._until_nothing()
                one_by_one(address, self.brief)  # the apps fell asleep meanwhile: their state is open again
                self._until_nothing()
                self.add("stead", "nothing", callers, rested(address, self.brief))
            if callers == 1 and self.wanted("stead", "in_a_row", callers):
                self._until_nothing()
                self.add("stead", "in_a_row", callers, ask(address, self.brief))
            if self.wanted("stead", "asleep", callers):
                self.bench.until("all brief apps asleep", _brief_asleep, part=None)
                self.add("stead", "asleep", callers, rested(address, self.brief))
            if self.wanted("stead", "no_worker", callers):
                one_by_one(address, self.lasting)  # their zygotes are up
                self.bench.until("no worker", lambda w: w["workers"] == 0)
                self.add("stead", "no_worker", callers, ask(address, self.lasting))
            if self.wanted("stead", "warm", callers):
                ask(address, self.lasting)
                self.add("stead", "warm", callers, ask(address, self.lasting))
        if self.wanted("fork+exec", "empty.c", 1):
            self.add("fork+exec", "empty.c", 1, spawn([program("bench_empty")], 50))
        node_js = shutil.which("node")
        if node_js and self.wanted("node.js", "node -e 0", 1):
            self.add("node.js", "node -e 0", 1, spawn([node_js, "-e", "0"], 5))

    def starts(self):
        """A node that has just begun to listen: each of its first requests meets nothing."""
        for _ in range(2):
            self.bench.node.restart()
            self.add("stead", "new_node", 1, one_by_one(self.bench.node.address, self.brief[:NODE_STARTS]))


def run(work, seconds, as_json, only=None):
    report = Report("cold", as_json, more=("above_warm_us",))
    with Bench(work) as bench:
        cases = Cases(bench, only)
        deadline = time.monotonic() + seconds * 4  # a case waits for workers to end more than it measures
        turn = 0
        while turn == 0 or time.monotonic() < deadline:
            turn += 1
            note(f"turn {turn}")
            cases.turn()
        if cases.wanted("stead", "new_node", 1):
            cases.starts()
    warm = {callers: percentile(times, 0.5) for (_, case, callers), times in cases.times.items() if case == "warm"}
    for (system, case, callers), times in cases.times.items():
        figures = {"p50_us": percentile(times, 0.5), "p99_us": percentile(times, 0.99)}
        if system == "stead" and case != "warm" and callers in warm:
            figures["above_warm_us"] = figures["p50_us"] - warm[callers]
        report.add(system, case, [figures], callers)
    report.table()
    return report
