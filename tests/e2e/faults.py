"""faults.py - the app of fn/faults.c, ready to deploy."""
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

from harness.apps import make_app

SOURCE = Path(__file__).parent / "fn" / "faults.c"
FUNCTIONS = re.findall(r"^STEAD_FUNCTION\((\w+)\)", SOURCE.read_text(), re.MULTILINE)
LIMITS = {"timeout_ms": 20000, "memory_mb": 256}
SHORT = {"loops", "loops_deaf"}  # end by their timeout only


def faults_app(directory, app="faults"):
    functions = []
    for name in FUNCTIONS:
        fields = {"name": name} | LIMITS
        if name in SHORT:
            fields["timeout_ms"] = 300
        functions.append(fields)
    routes = [("GET", "/counts/{entity}", "get"), ("PUT", "/counts/{entity}", "add")]
    return make_app(Path(directory) / app, app, SOURCE, functions, routes)
