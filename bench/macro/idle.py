"""idle.py - what costs memory while nothing happens: the daemon, a worker, a deployed function."""
# SPDX-License-Identifier: Apache-2.0
from macro.report import Report, note
from macro.workers import FUNCTIONS, Bench, leaves, memory_kib
from harness.apps import compile_so

FUNCTION_COUNT = 1000
WORKERS = 16
CALLS = 1000

SOURCE = "#include <stead/stead.h>\n" + "".join(
    f'STEAD_FUNCTION(f{i}) {{ return stead_reply(ctx, "ok\\n"); }}\n' for i in range(FUNCTION_COUNT)
)


def _resident(bench):
    return memory_kib(bench.node.process.pid, "VmRSS")


def _at_rest(bench):
    """No process is left, and no app has its state open."""
    bench.until("no zygote", lambda w: w["zygotes"] == 0)
    bench.until("all apps asleep", lambda stats: not stats["apps"], part=None)


def daemon(bench):
    """Started, used, at rest."""
    bench.deploy("used", pool="{ min: 0, max: 1, idle_ms: 1 }")
    with bench.node.client() as client:
        for _ in range(CALLS):
            client.post("/used/nothing")
    _at_rest(bench)
    return _resident(bench)


def worker(bench):
    """The mean of idle workers of one app; a page that all of them share counts once."""
    bench.deploy("many", FUNCTIONS, pool=f"{{ min: {WORKERS}, max: {WORKERS} }}")
    bench.until("all workers", lambda w: w["workers"] == WORKERS)
    with bench.node.client() as client:
        for _ in range(CALLS):
            client.post("/many/nothing")
    workers = [memory_kib(pid) for pid in leaves(bench.node.process.pid)]
    if len(workers) != WORKERS:
        raise RuntimeError(f"{WORKERS} workers were asked for, {len(workers)} processes are there")
    with bench.node.admin() as client:
        client.request("DELETE", "/v1/apps/many")
    _at_rest(bench)
    return sum(workers) / len(workers)


def functions_of_one_app(bench, work):
    code = compile_so(SOURCE, work / "thousand.so").read_bytes()
    before = _resident(bench)
    bench.deploy("thousand", [f"f{i}" for i in range(FUNCTION_COUNT)], code, pool="{ idle_ms: 1 }")
    _at_rest(bench)
    return (_resident(bench) - before) / FUNCTION_COUNT


def apps_of_one_function(bench, used):
    before = _resident(bench)
    for i in range(FUNCTION_COUNT):
        bench.deploy(f"app-{i}", pool="{ idle_ms: 1 }")
    if used:
        with bench.node.client() as client:
            for i in range(FUNCTION_COUNT):
                client.post(f"/app-{i}/nothing")
    _at_rest(bench)
    return (_resident(bench) - before) / FUNCTION_COUNT


def apps_after_start(bench, empty_kib):
    """The same apps when the node has just started."""
    bench.node.restart()
    return (_resident(bench) - empty_kib) / FUNCTION_COUNT


def run(work, seconds, as_json, only=None):
    report = Report("idle", as_json, more=("kib",))

    def add(case, measure):
        if only and only not in f"stead/{case}":
            return None
        kib = measure()
        note(f"  {case:24} {kib:10,.1f} KiB")
        report.add("stead", case, [{"kib": round(kib, 2)}])
        return kib

    with Bench(work) as bench:
        empty = _resident(bench)
        add("daemon_empty", lambda: empty)
        add("daemon", lambda: daemon(bench))
        add("worker", lambda: worker(bench))
        add("function", lambda: functions_of_one_app(bench, work))
        add("app", lambda: apps_of_one_function(bench, used=False))
        add("app_after_start", lambda: apps_after_start(bench, empty))
    report.table()
    return report
