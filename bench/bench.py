"""bench.py - runs one benchmark: `./dev bench NAME [--json] [--seconds N]`. bench/README.md says how to read it."""
# SPDX-License-Identifier: Apache-2.0
import argparse
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests")]

MACRO = ("counter", "messages", "chain", "baseline", "cold", "idle", "scale", "overload")
HELPERS = ("bench_fdatasync", "bench_drive", "bench_empty")  # programs that macro benches start


def micro(bin_dir):
    return sorted(path.name[len("bench_") :] for path in bin_dir.glob("bench_*") if path.name not in HELPERS)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--bin", type=Path, default=None, help="where the programs are")
    parser.add_argument("--json", action="store_true", help="one JSON object a line on stdout, nothing else")
    parser.add_argument("--seconds", type=float, default=6.0, help="bound of each case")
    parser.add_argument("--only", help="cases whose name (system/connections/keys) contains this")
    parser.add_argument("--dir", type=Path, default=ROOT / "build", help="where state is kept: the disk that is measured")
    options = parser.parse_args()

    if options.bin:
        os.environ["STEAD_BIN_DIR"] = str(options.bin.resolve())
    from harness.paths import bin_dir

    if options.name in MACRO:
        options.dir.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix="bench-", dir=options.dir))
        try:
            importlib.import_module(f"macro.{options.name}").run(work, options.seconds, options.json, options.only)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return 0
    names = micro(bin_dir())
    if options.name not in names:
        print(f"bench: there is no {options.name}; there are: {' '.join([*MACRO, *names])}", file=sys.stderr)
        return 2
    command = [str(bin_dir() / f"bench_{options.name}"), "--seconds", str(options.seconds)]
    return subprocess.run(command + (["--json"] if options.json else []), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
