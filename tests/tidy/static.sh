#!/bin/sh
# static.sh - clang-tidy over our sources, with the compile commands of the build directory given; skipped (77) without it.
# SPDX-License-Identifier: Apache-2.0
set -eu
command -v clang-tidy >/dev/null || { echo "clang-tidy is not installed"; exit 77; }
git ls-files -z 'runtime/*.c' 'statestore/*.c' 'messaging/*.c' 'sdk/*.c' |
    xargs -0 -n 8 -P "$(nproc)" clang-tidy -p "$1" --quiet --extra-arg=-Wno-unknown-warning-option
