"""examples.py - the examples of the repository, built in a temporary directory as a user would build a copy."""
# SPDX-License-Identifier: Apache-2.0
import atexit
import functools
import re
import shutil
import tempfile
from pathlib import Path

from harness.apps import compile_so
from harness.paths import SOURCE_DIR


@functools.cache
def example(name):
    """A directory ready for `stead deploy`. Copied, so that tests may change it."""
    root = Path(tempfile.mkdtemp(prefix="stead-example-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    directory = root / name
    shutil.copytree(SOURCE_DIR / "examples" / name, directory)
    manifest = directory / "stead.yaml"
    code = re.search(r"^code:\s*(\S+)", manifest.read_text(), re.MULTILINE).group(1)
    (source,) = directory.glob("*.c")
    compile_so(source, directory / code)
    # It is built: `stead deploy` has nothing to run.
    manifest.write_text(re.sub(r"^build:.*\n", "", manifest.read_text(), flags=re.MULTILINE))
    return directory
