#!/usr/bin/env python3
"""snippets.py - the whole functions shown in the documents compile as they stand, as the documents say.

SPDX-License-Identifier: Apache-2.0
"""
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BLOCK = re.compile(r"^```c\n(#include <stead/stead\.h>.*?)^```$", re.S | re.M)


def main():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard", "*.md"],
                            capture_output=True, text=True, check=True).stdout.splitlines()
    count, failed = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for page in listed:
            with open(os.path.join(ROOT, page), encoding="utf-8") as file:
                text = file.read()
            for match in BLOCK.finditer(text):
                count += 1
                line = text[:match.start()].count("\n") + 2
                done = subprocess.run(
                    [os.environ.get("CC", "cc"), "-std=c11", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC",
                     "-I", os.path.join(ROOT, "sdk/include"), "-o", os.path.join(folder, "app.so"), "-x", "c", "-"],
                    input=match.group(1), capture_output=True, text=True)
                if done.returncode != 0:
                    failed += 1
                    print(f"{page}:{line}: does not compile\n{done.stderr}")
    print(f"{count} snippets compiled, {failed} failed")
    return 1 if failed or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
