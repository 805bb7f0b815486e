#!/usr/bin/env python3
"""tidy.py - what the house asks of every file, checked: captions, layers, includes, banned words, links.

SPDX-License-Identifier: Apache-2.0

    tidy.py                    check the tree; exit 1 when something is wrong
    tidy.py --selftest         plant one violation of each rule and see that it is caught
    tidy.py --bin DIR          also check what the built programs link

The tables below are the rules; where the tree departs from them on purpose, DEVIATIONS says why.
"""
import argparse
import fnmatch
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# ---- tables -----------------------------------------------------------------------------------------------------

# A number includes only smaller numbers; equal numbers do not see each other; a folder sees itself.
LAYERS = {
    "runtime/base": 0,
    "runtime/loop": 1, "runtime/sandbox": 1, "statestore/kv": 1, "messaging/wire": 1,
    "statestore": 2, "messaging/bus": 2, "messaging/channel": 2, "sdk": 2, "runtime/observe": 2, "runtime/zygote": 2,
    "runtime/catalog": 3, "runtime/cluster": 3,
    "runtime/worker": 4,
    "runtime/invoke": 5,
    "runtime/router": 6,
    "runtime/gateway": 7, "runtime/trigger": 7, "runtime/workflow": 7,
    "runtime/node": 8, "runtime/cli": 8,
    "sdk/testkit": 9, "examples": 9, "bench": 9, "tests": 9,
}

# (rule, place, subject) -> reason. `place` and `subject` are globs.
DEVIATIONS = [
    ("layer", "runtime/zygote*", "sdk*", "the zygote is the program that the SDK's loop runs in; it sees state only so"),
    ("layer", "tests*", "*", "a test sees what it tests"),
    ("layer", "bench*", "*", "a benchmark sees what it measures"),
    ("banned", "bench/*", "system", "a benchmark starts load generators by their command lines, all its own words"),
    ("banned", "bench/*", "popen", "the same"),
    ("banned", "bench/*", "ato[if]", "the same: arguments from ./dev bench"),
    ("banned", "tests/*", "ato[if]", "arguments from the test itself, or from whoever reads its source"),
    ("banned", "tests/*", "system", "a fixture that copies a directory"),
    ("banned", "tests/integration/sandbox/*", "strncat", "user code, to which nothing of ours is linked"),
    ("banned", "tests/*", "signal", "SIGPIPE is ignored in a program of one purpose"),
]

# Header -> the only files that may see it. Tests and benchmarks may see all.
FOREIGN = {
    "lmdb.h": ["statestore/kv/kv_lmdb.c", "sdk/src/snapshot_lmdb.c"],
    "uv.h": ["runtime/loop/*_uv.c", "runtime/loop/*_uv.h"],
    "uv/*": [],
    "llhttp*": ["runtime/gateway/http_parse.c"],
    # The catalog's records and bundles are nested, which the flat reader of frames is not for.
    "msgpack.h": ["messaging/wire/msgpack.c", "runtime/catalog/bundle.c", "runtime/catalog/catalog_record.c"],
    "msgpack/*": ["messaging/wire/msgpack.c", "runtime/catalog/bundle.c", "runtime/catalog/catalog_record.c"],
    "wslay/*": ["runtime/gateway/ws.c"],
    "nng/*": ["messaging/bus/bus_nng.c"],
    "cyaml/*": ["runtime/catalog/manifest.c", "runtime/catalog/yaml_doc.[ch]", "runtime/node/config.c"],
    "yaml.h": ["runtime/catalog/manifest.c", "runtime/catalog/yaml_doc.[ch]", "runtime/node/config.c"],
    "curl/*": ["runtime/cli/client.c"],
    "jansson.h": ["runtime/gateway/admin*", "runtime/gateway/channel_http.c", "runtime/gateway/live_http.c", "runtime/catalog/*.c", "runtime/cli/*", "runtime/invoke/*.c"],
    "sodium.h": ["runtime/catalog/artifact.c", "runtime/gateway/admin_state.c", "runtime/invoke/idempotency.c", "runtime/cli/*.c"],
    "seccomp.h": ["runtime/sandbox/sandbox_linux.c"],
    "linux/landlock.h": ["runtime/sandbox/sandbox_linux.c"],
    "xxhash.h": ["runtime/base/hash.c"],
    "cmocka.h": [],
    "dlfcn.h": ["runtime/zygote/loader.c", "runtime/catalog/artifact.c"],
    "pthread.h": ["statestore/*.[ch]", "runtime/base/*", "runtime/loop/*_uv.c"],
}

# Function -> what to do instead.
BANNED = {
    "strcpy": "mem_strdup, or buf_append_cstr", "strcat": "buf_append_cstr", "stpcpy": "buf_append_cstr",
    "strncpy": "mem_cstr", "strncat": "buf_append", "sprintf": "snprintf or buf_printf",
    "vsprintf": "vsnprintf or buf_vprintf", "gets": "read", "alloca": "a bound and an array, or mem_alloc",
    "atoi": "strtol, and look at its end", "atol": "strtol, and look at its end", "atof": "strtod, and look at its end",
    "strtok": "slices", "asctime": "strftime", "ctime": "strftime", "gmtime": "gmtime_r", "localtime": "localtime_r",
    "rand": "prng.h", "srand": "prng.h", "random": "prng.h", "system": "posix_spawn", "popen": "posix_spawn",
    "tmpnam": "mkstemp", "mktemp": "mkstemp", "setjmp": "enum status", "longjmp": "enum status",
    "signal": "sigaction, or loop signals",
}
# Allocation goes through mem_alloc and friends, which do not return NULL.
ALLOCATORS = {"malloc": "mem_alloc", "calloc": "mem_zalloc", "realloc": "mem_realloc", "strdup": "mem_strdup",
              "strndup": "mem_cstr"}
# Time and chance come through ports, so that tests can set them.
CLOCKS = {"time": "clock.h", "gettimeofday": "clock.h", "clock_gettime": "clock.h"}
CLOCK_USERS = ["runtime/base/clock.c", "runtime/base/log.c", "runtime/cli/*", "runtime/zygote/*", "sdk/*"]

# Waiting for time to pass makes tests slow and flaky; wait for the event.
SLEEPS = re.compile(r"(?<![\w.])(sleep|usleep|nanosleep)\s*\(|\btime\.sleep\s*\(")
SLEEPERS = {
    "tests/harness/*": "polls other processes, always with a deadline",
    "tests/crash/powerloss/disk.c": "a flush that takes time is what it imitates",
    "tests/integration/statestore/test_snapshot_torture.c": "a reader that dawdles is what it tortures with",
    "tests/harness/case.py": "asks again until something holds, with a deadline",
    "tests/e2e/test_sleep.py": "asks for figures until they are right, with a deadline",
    "tests/crash/rounds.py": "a node has to run for a random time before it is killed",
}

# Program -> libraries it must not link, with the reason.
LINKS = {
    "stead-zygote": (["libuv", "libnng", "libcurl", "libjansson", "libcyaml"],
                     "it forks: threads and loops of a library would not survive, and workers should be small"),
}

UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X)\b")
LINES_WARN = 700


# ---- the tree as text -------------------------------------------------------------------------------------------

class Tree:
    """Paths and texts; from disk, or made up by the self-test."""

    def __init__(self, files):
        self.files = files

    @classmethod
    def from_disk(cls, root):
        listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                                capture_output=True, text=True)
        paths = listed.stdout.splitlines() if listed.returncode == 0 else walk(root)  # a clone, or an archive
        files = {}
        for path in paths:
            full = os.path.join(root, path)
            if "/corpus/" in path or not os.path.isfile(full):
                continue
            with open(full, "rb") as file:
                data = file.read()
            if b"\0" not in data:
                files[path] = data.decode("utf-8", "replace")
        return cls(files)

    def matching(self, *patterns):
        return [(p, t) for p, t in sorted(self.files.items()) if matches(p, patterns)]


def walk(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if f not in ("build", ".git", ".stead")]
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), root)


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)


def deviates(rule, place, subject):
    return any(r == rule and matches(place, [p]) and matches(subject, [s]) for r, p, s, _ in DEVIATIONS)


def folder_of(path):
    """The layer folder that a path lies in: the longest that fits; None outside of all."""
    best = None
    for folder in LAYERS:
        if (path + "/").startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def code_only(text):
    """C without comments and the insides of strings; line numbers stay."""
    def blank(match):
        token = match.group(0)
        if token[0] == "/":
            return re.sub(r"[^\n]", " ", token)
        return token[0] + re.sub(r"[^\n]", " ", token[1:-1]) + token[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def lines_matching(text, pattern):
    for number, line in enumerate(text.split("\n"), 1):
        match = re.search(pattern, line)
        if match:
            yield number, match


INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def includes(text):
    for number, match in lines_matching(text, INCLUDE):
        yield number, match.group(1) == '"', match.group(2)


# ---- rules: each yields (path, line, message) -------------------------------------------------------------------

def rule_caption(tree):
    """The first line of a C file is `/* name - what it is. */`, the second its licence."""
    for path, text in tree.matching("*.c", "*.h"):
        lines = text.splitlines() + ["", ""]
        name = os.path.basename(path)
        if not re.match(r"/\* " + re.escape(name) + r" - \S", lines[0]):
            yield path, 1, f"the first line is not a caption `/* {name} - what it is. */`"
        if lines[1] != "// SPDX-License-Identifier: Apache-2.0":
            yield path, 2, "the second line is not `// SPDX-License-Identifier: Apache-2.0`"
    for path, text in tree.matching("*.py"):
        head = "\n".join(text.splitlines()[:5])
        if text and f"{os.path.basename(path)} - " not in head and os.path.basename(path) != "__init__.py":
            yield path, 1, f"the first lines have no caption `{os.path.basename(path)} - what it is`"
        if text and "SPDX-License-Identifier: Apache-2.0" not in head:
            yield path, 1, "the first lines have no SPDX-License-Identifier"


def rule_header(tree):
    """Headers have #pragma once; a source file includes its own header first."""
    for path, text in tree.matching("*.h"):
        if not re.search(r"^#pragma once$", text, re.M) and not re.search(r"^#ifndef \w+_H\b", text, re.M):
            yield path, 1, "no #pragma once"
    for path, text in tree.matching("*.c"):
        own = path[:-2] + ".h"
        if own in tree.files and not path.startswith("tests/"):  # there cmocka's own order comes first
            first = next(includes(text), None)
            if first and os.path.dirname(first[2]) != os.path.dirname(path):
                yield path, first[0], f"its own header {own} (or its folder's inner one) is not its first include"


def rule_layer(tree):
    """Includes point down, and are written from the root."""
    for path, text in tree.matching("*.c", "*.h"):
        mine = folder_of(path)
        if mine is None:
            yield path, 1, "lies in no folder of the layer table"
            continue
        for number, ours, header in includes(text):
            if not ours:
                continue
            if "../" in header:
                yield path, number, f"{header}: includes are written from the root"
                continue
            theirs = folder_of(header)
            if theirs is None or theirs == mine or deviates("layer", mine, theirs):
                continue
            if LAYERS[theirs] >= LAYERS[mine]:
                yield path, number, f"{header}: {mine} ({LAYERS[mine]}) must not see {theirs} ({LAYERS[theirs]})"


def rule_foreign(tree):
    """A library is seen by its adapter only."""
    for path, text in tree.matching("*.c", "*.h"):
        if matches(path, ["tests/*", "bench/*"]):
            continue
        for number, ours, header in includes(text):
            for pattern, allowed in FOREIGN.items():
                if not ours and matches(header, [pattern]) and not matches(path, allowed):
                    yield path, number, f"<{header}> may be seen only by {', '.join(allowed) or 'tests'}"


def rule_banned(tree):
    """Functions that invite mistakes."""
    for path, text in tree.matching("*.c", "*.h"):
        banned = dict(BANNED)
        if path.startswith(("runtime/", "statestore/", "messaging/")):
            if path != "runtime/base/buf.c":
                banned.update(ALLOCATORS)
            if not matches(path, CLOCK_USERS):
                banned.update(CLOCKS)
        pattern = r"(?<![\w.>])(" + "|".join(banned) + r")\s*\("
        for number, match in lines_matching(code_only(text), pattern):
            name = match.group(1)
            if not deviates("banned", path, name):
                yield path, number, f"{name}() is not used here: {banned[name]}"


def rule_sleep(tree):
    """Tests wait for events, not for time."""
    for path, text in tree.matching("tests/*.c", "tests/*.h", "tests/*.py"):
        if matches(path, SLEEPERS) or path == "tests/tidy/tidy.py":
            continue
        for number, match in lines_matching(code_only(text) if path[-2:] != "py" else text, SLEEPS):
            yield path, number, f"{match.group(0).strip()}: wait for the event, with a deadline"


def rule_unfinished(tree):
    """What is in the tree is finished."""
    for path, text in tree.files.items():
        if matches(path, ["LICENSE"]):
            continue
        for number, match in lines_matching(text, UNFINISHED):
            yield path, number, f"{match.group(0)}: finish it, or open an issue"


def rule_whitespace(tree):
    """Text files end with one newline; no tabs in C, no trailing blanks, no carriage returns."""
    for path, text in tree.files.items():
        if not text:
            continue
        if not text.endswith("\n") or text.endswith("\n\n"):
            yield path, text.count("\n") + 1, "the file does not end with exactly one newline"
        pattern = r"[ \t]+$|\r" + (r"|\t" if path.endswith((".c", ".h", ".py", ".def")) else "")
        for number, _ in lines_matching(text, pattern):
            yield path, number, "trailing blank, tab or carriage return"


def rule_links_in_docs(tree):
    """Relative links in Markdown point to something."""
    folders = {os.path.dirname(path) for path in tree.files}
    folders |= {os.path.dirname(f) for f in folders} | {os.path.dirname(os.path.dirname(f)) for f in folders}
    for path, text in tree.matching("*.md"):
        for number, match in lines_matching(re.sub(r"`[^`\n]*`", "", text), r"\]\(([^)#\s]+)[^)]*\)"):
            target = match.group(1)
            if "://" in target or target.startswith("mailto:"):
                continue
            full = os.path.normpath(os.path.join(os.path.dirname(path), target))
            if full not in tree.files and full not in folders:
                yield path, number, f"link to {target}, which does not exist"


def rule_pages(tree):
    """Documents that code speaks of exist."""
    for path, text in tree.matching("*.c", "*.h", "*.def", "*.txt"):
        for number, match in lines_matching(text, r"(?<![\w/])(docs/[\w./-]+\.(?:md|[158]))\b"):
            if match.group(1) not in tree.files:
                yield path, number, f"speaks of {match.group(1)}, which does not exist"


# Table in the code, what an entry looks like there, the pages which must name each, and how.
MANUALS = [
    ("runtime/node/config.def", r'^SETTING_\w+\(\w+, "([\w.-]+)"', ["docs/man/steadd.8"], "{}"),
    ("runtime/cli/commands.c", r'^    \{"([a-z ]+)", "', ["docs/man/stead.1"], ".It Cm {}"),
    ("runtime/catalog/manifest.c", r'^    CYAML_FIELD_\w+\("(\w+)"',
     ["docs/man/stead.yaml.5", "docs/guides/manifest.md"], "{}"),
]


def rule_manuals(tree):
    """Settings, commands and fields are in their manuals."""
    for source, pattern, pages, form in MANUALS:
        for number, match in lines_matching(tree.files.get(source, ""), pattern):
            for page in pages:
                if form.format(match.group(1)) not in tree.files.get(page, ""):
                    yield source, number, f"{match.group(1)} is not in {page}"


def rule_settings(tree):
    """A setting that hints and pages speak of exists: nobody is sent to a knob that is not there."""
    names = {match.group(1) for _, match in lines_matching(tree.files.get("runtime/node/config.def", ""), MANUALS[0][1])}
    for path, text in tree.matching("runtime/base/status.def", "*.md", "docs/man/*"):
        for number, match in lines_matching(text, r"(?<![\w/.-])((?:http|state|log|price)\.[a-z]+(?:_[a-z]+)+)\b"):
            if match.group(1) not in names:
                yield path, number, f"speaks of the setting {match.group(1)}, which does not exist"


MODULE = re.compile(r"stead_module\(\s*(\w+)(.*?)\)", re.S)


def modules_of(tree):
    """name -> (folder, direct DEPS, CMakeLists path)."""
    found = {}
    for path, text in tree.matching("CMakeLists.txt", "*/CMakeLists.txt"):
        for match in MODULE.finditer(re.sub(r"#[^\n]*", "", text)):
            words, deps, taking = match.group(2).split(), [], False
            for word in words:
                if word in ("SOURCES", "DEPS", "LIBS"):
                    taking = word == "DEPS"
                elif taking:
                    deps.append(word)
            found[match.group(1)] = (os.path.dirname(path), deps, path)
    return found


def rule_link_graph(tree):
    """The link graph is the layer graph: DEPS point down, and what is included is linked."""
    modules = modules_of(tree)
    by_folder = {}
    for name, (folder, _, _) in modules.items():
        by_folder.setdefault(folder_of(folder), set()).add(name)

    def reach(name, seen):
        for dep in modules.get(name, ("", [], ""))[1]:
            if dep not in seen:
                seen.add(dep)
                reach(dep, seen)
        return seen

    for name, (folder, deps, path) in modules.items():
        mine = folder_of(folder)
        for dep in deps:
            theirs = folder_of(modules[dep][0]) if dep in modules else None
            if theirs and theirs != mine and LAYERS[theirs] >= LAYERS[mine] and not deviates("layer", mine, theirs):
                yield path, 1, f"stead_{name} ({mine}, {LAYERS[mine]}) links stead_{dep} ({theirs}, {LAYERS[theirs]})"
        linked = {folder_of(modules[dep][0]) for dep in reach(name, set()) if dep in modules} | {mine}
        if len(by_folder[mine]) > 1:
            continue  # several libraries in one folder: their sources cannot be told apart here
        for source, text in tree.matching(f"{folder}/*.c", f"{folder}/*.h"):
            if folder_of(source) != mine or os.path.basename(source) == "main.c":
                continue
            for number, ours, header in includes(text):
                theirs = folder_of(header)
                if ours and theirs in by_folder and theirs not in linked:
                    yield source, number, f"{header}: stead_{name} does not link {theirs} (DEPS in {path})"


RULES = [rule_caption, rule_header, rule_layer, rule_foreign, rule_banned, rule_sleep, rule_unfinished, rule_whitespace,
         rule_links_in_docs, rule_pages, rule_manuals, rule_settings,
         rule_link_graph]


# ---- built programs ---------------------------------------------------------------------------------------------

def check_links(bin_dir):
    for program, (forbidden, why) in LINKS.items():
        path = os.path.join(bin_dir, program)
        if not os.path.exists(path):
            yield path, 0, "is not built"
            continue
        dynamic = subprocess.run(["readelf", "-d", path], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"NEEDED.*\[(.*?)\]", dynamic):
            if library.startswith(tuple(forbidden)):
                yield path, 0, f"links {library}: {why}"


# ---- self-test --------------------------------------------------------------------------------------------------

HEAD = "/* {} - x. */\n// SPDX-License-Identifier: Apache-2.0\n"


def c_file(path, body):
    return {path: HEAD.format(os.path.basename(path)) + body}


# rule -> trees that break it, each in one way.
PLANTED = {
    rule_caption: [{"runtime/base/a.c": "int x;\n"}, {"runtime/base/a.c": "/* b.c - x. */\n//\n"}, {"tests/a.py": "x = 1\n"}],
    rule_header: [c_file("runtime/base/a.h", "int x;\n"),
                  {**c_file("runtime/base/a.h", "#pragma once\n"), **c_file("runtime/base/a.c", "#include <stdio.h>\n")}],
    rule_layer: [c_file("runtime/base/a.c", '#include "runtime/loop/loop.h"\n'),
                 c_file("runtime/loop/a.c", '#include "statestore/kv/kv.h"\n'),
                 c_file("runtime/loop/a.c", '#include "../base/buf.h"\n'),
                 c_file("statestore/a.c", '#include "runtime/observe/fnlog.h"\n'),
                 c_file("elsewhere/a.c", "")],
    rule_foreign: [c_file("statestore/store.c", "#include <lmdb.h>\n"), c_file("runtime/node/a.c", "#include <uv.h>\n"),
                   c_file("runtime/gateway/routes.c", "#include <llhttp/llhttp.h>\n")],
    rule_banned: [c_file("runtime/base/a.c", f"{name}(x);\n") for name in BANNED] +
                 [c_file("statestore/a.c", "p = malloc(1);\n"), c_file("runtime/invoke/a.c", "t = time(NULL);\n")],
    rule_sleep: [c_file("tests/unit/a.c", "usleep(1);\n"), {"tests/e2e/a.py": "time.sleep(1)\n"}],
    rule_unfinished: [c_file("runtime/base/a.c", "// TO" + "DO later\n")],
    rule_whitespace: [c_file("runtime/base/a.c", "int x; \n"), c_file("runtime/base/a.c", "int x;"),
                      c_file("runtime/base/a.c", "\tint x;\n"), {"a.md": "x\r\n"}],
    rule_links_in_docs: [{"docs/a.md": "[x](nowhere.md)\n"}],
    rule_pages: [c_file("runtime/base/a.c", "/* see docs/nowhere.md. */\n")],
    rule_manuals: [
        {"runtime/node/config.def": 'SETTING_TEXT(a, "a.new", "", "x")\n', "docs/man/steadd.8": "nothing\n"},
        {"runtime/cli/commands.c": '    {"fly", "", "x"},\n', "docs/man/stead.1": ".It Cm swim\n"},
        {"runtime/catalog/manifest.c": '    CYAML_FIELD_UINT("colour", x)\n', "docs/man/stead.yaml.5": "colour\n"}],
    rule_settings: [
        {"runtime/node/config.def": 'SETTING_TEXT(a, "http.a_max", "", "x")\n',
         "runtime/base/status.def": '"raise http.a_min."\n'}],
    rule_link_graph: [
        {"runtime/base/CMakeLists.txt": "stead_module(base SOURCES a.c DEPS loop)\n",
         "runtime/loop/CMakeLists.txt": "stead_module(loop SOURCES a.c)\n"},
        {"runtime/base/CMakeLists.txt": "stead_module(base SOURCES a.c)\n",
         "runtime/loop/CMakeLists.txt": "stead_module(loop SOURCES a.c)\n",
         **c_file("runtime/loop/a.c", '#include "runtime/base/buf.h"\n')}],
}
# Looks like a violation to a careless reader; is none.
CLEAN = {
    **c_file("runtime/base/a.c", '#include "runtime/base/a.h"\n/* strcpy(x) */ "gets(x)"; s->system(x); my_atoi(x);\n'),
    **c_file("runtime/base/a.h", "#pragma once\n"),
    **c_file("runtime/loop/a.c", '#include <stdio.h>\n#include "runtime/base/a.h"\n'),
    **c_file("runtime/loop/loop_uv.c", "#include <uv.h>\n"),
    "runtime/base/CMakeLists.txt": "stead_module(base SOURCES a.c)\n",
    "runtime/loop/CMakeLists.txt": "stead_module(loop SOURCES a.c DEPS base)\n",
    "docs/a.md": "[x](../runtime/base/a.c) [y](https://example.org)\n",
}


def selftest():
    failures = []
    for rule in RULES:
        if rule not in PLANTED:
            failures.append(f"{rule.__name__}: nothing planted")
        for number, files in enumerate(PLANTED.get(rule, [])):
            if not list(rule(Tree(files))):
                failures.append(f"{rule.__name__}: planted violation {number} not caught: {files}")
        for found in rule(Tree(CLEAN)):
            failures.append(f"{rule.__name__}: false alarm: {found}")
    for failure in failures:
        print(failure)
    print(f"self-test: {len(RULES)} rules, {sum(len(p) for p in PLANTED.values())} planted violations, "
          f"{len(failures)} missed")
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--selftest", action="store_true")
    parser.add_argument("--bin", metavar="DIR")
    arguments = parser.parse_args()
    if arguments.selftest:
        return selftest()

    tree = Tree.from_disk(ROOT)
    found = [(rule.__name__[5:], *violation) for rule in RULES for violation in rule(tree)]
    if arguments.bin:
        found += [("links", *violation) for violation in check_links(arguments.bin)]
    for rule, path, line, message in sorted(found, key=lambda f: f[1:3]):
        print(f"{path}:{line}: [{rule}] {message}")
    for path, text in tree.matching("*.c", "*.h", "*.py"):
        if text.count("\n") > LINES_WARN:
            print(f"{path}: note: {text.count(chr(10))} lines; look for a second noun")
    print(f"tidy: {len(tree.files)} files, {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
