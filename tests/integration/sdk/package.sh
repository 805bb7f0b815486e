#!/bin/sh
# package.sh - the installed SDK, used as by somebody who has nothing else: plain cc, pkg-config, the CMake package.
# SPDX-License-Identifier: Apache-2.0
#
# usage: package.sh BUILD_DIR SANITIZERS; sanitized builds need the same flag in the test that loads the testkit.
set -eu
build=$1
sanitize=${2:+-fsanitize=$2}
app=$(cd "$(dirname "$0")/app" && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/stead-package-XXXXXX")
trap 'rm -rf "$tmp"' EXIT
fail() { echo "package.sh: $*" >&2; exit 1; }
warnings="-Wall -Wextra -Werror -pedantic"

cmake --install "$build" --component sdk --prefix "$tmp/usr" >"$tmp/log" || { cat "$tmp/log"; exit 1; }
pc=$(dirname "$(find "$tmp/usr" -name stead.pc)")
export PKG_CONFIG_PATH="$pc"

echo "the header compiles alone, as C and as C++"
for header in stead testkit; do
    echo "#include <stead/$header.h>" >"$tmp/alone.c"
    for std in c11 c17; do
        ${CC:-cc} -std=$std $warnings $(pkg-config --cflags stead) -c "$tmp/alone.c" -o "$tmp/alone.o"
    done
    for std in c++11 c++17 c++20; do
        ${CXX:-c++} -x c++ -std=$std $warnings $(pkg-config --cflags stead) -c "$tmp/alone.c" -o "$tmp/alone.o"
    done
done

# exports FILE FUNCTION: it has the function and its ABI version, needs stead_* and links to none of our libraries.
exports() {
    nm -D --defined-only "$1" | grep -q " T stead_fn_$2\$" || fail "$1 does not export stead_fn_$2"
    nm -D --defined-only "$1" | grep -q " stead_abi_version\$" || fail "$1 has no ABI version"
    nm -D --undefined-only "$1" | grep -q " U stead_reply\$" || fail "$1 does not take stead_reply from the node"
    ! readelf -d "$1" | grep NEEDED | grep -q stead || fail "$1 links to a library of Stead"
}

echo "a function builds with cc and pkg-config"
${CC:-cc} -std=c11 $warnings -shared -fPIC -fvisibility=hidden $(pkg-config --cflags stead) "$app/counter.c" -o "$tmp/counter.so"
exports "$tmp/counter.so" add
${CXX:-c++} -std=c++17 $warnings -shared -fPIC $(pkg-config --cflags stead) "$app/hello.cc" -o "$tmp/hello.so"
exports "$tmp/hello.so" hello

echo "its unit test builds with pkg-config and passes"
${CC:-cc} $sanitize $(pkg-config --cflags stead-testkit) "$app/test_counter.c" "$app/counter.c" \
    $(pkg-config --libs stead-testkit) -o "$tmp/test_counter"
LD_LIBRARY_PATH="$(pkg-config --variable=libdir stead-testkit)" "$tmp/test_counter" | grep -qx 6 || fail "its test failed"

echo "and with the CMake package"
cmake -S "$app" -B "$tmp/app" -DCMAKE_PREFIX_PATH="$tmp/usr" -DCMAKE_C_FLAGS="$sanitize" >"$tmp/log" 2>&1 &&
    cmake --build "$tmp/app" >>"$tmp/log" 2>&1 || { cat "$tmp/log"; exit 1; }
if [ -z "$sanitize" ]; then exports "$tmp/app/counter.so" add; fi
exports "$tmp/app/greeter.so" hello
"$tmp/app/test_counter" | grep -qx 6 || fail "its test failed"
