"""apps.py - builds small apps for tests: a directory with a stead.yaml and its compiled code."""
# SPDX-License-Identifier: Apache-2.0
import os
import shutil
import subprocess
from pathlib import Path

from harness.paths import SDK_INCLUDE_DIR


def compile_so(source, output, flags=()):
    """Compiles C source, a path or the text itself, to a shared library as a user would."""
    output = Path(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    if not isinstance(source, Path):
        text, source = source, output.with_suffix(".c")
        source.write_text(text)
    compiler = os.environ.get("CC", "cc")
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-g", "-Wall", f"-I{SDK_INCLUDE_DIR}", str(source), "-o", str(output)]
        + list(flags),
        check=True,
    )
    return output


def manifest_text(app, functions, code="app.so", routes=(), head=()):
    """`functions`: names, or maps with a name and further fields. `routes`: (method, path, function), and
    further fields as text. `head`: lines of
    other fields of the app."""
    lines = [f"app: {app}", f"code: {code}", *head, "functions:"]
    for function in functions:
        fields = {"name": function} if isinstance(function, str) else function
        lead = "  - "
        for name, value in fields.items():
            lines.append(f"{lead}{name}: {value}")
            lead = "    "
    if routes:
        lines.append("routes:")
    for method, path, function, *more in routes:
        lines.append("  - { " + ", ".join([f'method: {method}, path: "{path}", function: {function}', *more]) + " }")
    return "\n".join(lines) + "\n"


def make_app(directory, app, source, functions, routes=(), flags=(), head=()):
    """A directory ready for `stead deploy`. `source`: C text, or the path of a source file or of a built library."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    if isinstance(source, Path) and source.suffix == ".so":
        shutil.copy(source, directory / "app.so")
    else:
        compile_so(source, directory / "app.so", flags)
    (directory / "stead.yaml").write_text(manifest_text(app, functions, routes=routes, head=head))
    return directory
