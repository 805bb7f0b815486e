"""paths.py - where the programs and sources are, for tests started by ctest or by hand."""
# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

SOURCE_DIR = Path(__file__).resolve().parents[2]
SDK_INCLUDE_DIR = SOURCE_DIR / "sdk" / "include"


def bin_dir():
    """$STEAD_BIN_DIR, else the bin directory of the preset built last."""
    given = os.environ.get("STEAD_BIN_DIR")
    if given:
        return Path(given)
    built = [path.parent for path in SOURCE_DIR.glob("build/*/bin/steadd")]
    if not built:
        raise FileNotFoundError("no steadd below build/: build first, or name its directory in STEAD_BIN_DIR")
    return max(built, key=lambda path: (path / "steadd").stat().st_mtime)


def program(name):
    path = bin_dir() / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built")
    return str(path)
