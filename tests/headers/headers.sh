#!/bin/sh
# headers.sh - does every header compile alone, and twice? The SDK's also as strict C11 and C++11.
# SPDX-License-Identifier: Apache-2.0
set -u
cd "$(dirname "$0")/../.."
libraries=$(pkg-config --cflags libuv lmdb jansson libcurl libcyaml libsodium msgpack)
failed=0

alone() { # HEADER COMPILER...
    header=$1
    shift
    printf '#include "%s"\n#include "%s"\n' "$header" "$header" |
        "$@" -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only - || { echo "not alone: $header ($*)"; failed=1; }
}

# shellcheck disable=SC2086 # the flags are words
for header in $(git ls-files -co --exclude-standard 'runtime/*.h' 'statestore/*.h' 'messaging/*.h' 'sdk/*.h'); do
    alone "$header" ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -I. -Isdk/include $libraries -x c
done
for header in sdk/include/stead/*.h; do
    alone "${header#sdk/include/}" ${CC:-cc} -std=c11 -pedantic -Isdk/include -x c
    command -v ${CXX:-c++} >/dev/null && alone "${header#sdk/include/}" ${CXX:-c++} -std=c++11 -pedantic -Isdk/include -x c++
done
exit $failed
