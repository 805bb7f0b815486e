#!/bin/sh
# format.sh - is the C code formatted? Skipped (77) where clang-format is not installed.
# SPDX-License-Identifier: Apache-2.0
set -eu
command -v clang-format >/dev/null || { echo "clang-format is not installed"; exit 77; }
git ls-files -z -co --exclude-standard '*.[ch]' | xargs -0 clang-format --dry-run -Werror
