#!/usr/bin/env python3
"""generate.py - writes the documents that come from tables in the code: guides/errors.md, guides/metrics.md and TREE.md.

SPDX-License-Identifier: Apache-2.0

    generate.py            write them (./dev fmt does)
    generate.py --check    exit 1 and say which is out of date
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


# ---- guides/errors.md ---------------------------------------------------------------------------------------------

ERRORS_HEAD = """# Errors

Every failure has one code, from one table (`runtime/base/status.def`). An HTTP caller gets

    {"error": {"code": "function_timeout", "message": "...", "hint": "...", "invocation": "..."}}

with the HTTP status below. *Retry* means that the same request may succeed later without a change; 429 and 503 then
come with `Retry-After`. `stead explain CODE` prints a row of this page. Codes are stable; texts may improve.
"""

TOKEN = re.compile(r'/\*(?P<comment>.*?)\*/|STATUS\((?P<row>(?:"(?:\\.|[^"\\])*"|[^")])*)\)', re.S)


def statuses():
    """("section", title) and ("status", code, http, retryable, text, hint), in order."""
    for match in TOKEN.finditer(read("runtime/base/status.def")):
        if match.group("comment") is not None:
            comment = " ".join(match.group("comment").split())
            if "STATUS(" not in comment:
                yield "section", comment.rstrip(".")
            continue
        row = re.sub(r'"\s+"', "", match.group("row"))  # adjacent literals are one
        fields = [f.strip() for f in re.findall(r'"(?:\\.|[^"\\])*"|[^,"]+', row) if f.strip()]
        name, code, http, retryable, text, hint = (f[1:-1].replace('\\"', '"') if f[0] == '"' else f for f in fields)
        yield "status", code, int(http), retryable == "1", text, hint


def errors_page():
    lines = [ERRORS_HEAD]
    for row in statuses():
        if row[0] == "section":
            lines += [f"\n## {row[1]}\n", "| code | HTTP | retry | what happened | what to do |", "|---|---|---|---|---|"]
        elif row[1] != "ok":
            _, code, http, retryable, text, hint = row
            lines.append(f"| `{code}` | {http} | {'yes' if retryable else ''} | {text} | {hint} |".replace("  ", " "))
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


# ---- guides/metrics.md --------------------------------------------------------------------------------------------

METRICS_HEAD = """# Metrics

`GET /metrics` on the public listener answers in the text format of Prometheus. Whoever reaches the listener can
read them: put a proxy in front when that is not wanted. The figures of a store begin anew when it is opened, and are
left out while its app sleeps. Made from `runtime/observe/metrics.def`.
"""


def metrics_page():
    lines = [METRICS_HEAD]
    text = read("runtime/observe/metrics.def").split("*/", 1)[1]
    for macro, title in (("METRIC", "Of the node"), ("STORE_METRIC", "Of each partition: labels `app`, `partition`")):
        lines += [f"\n## {title}\n", "| name | type | what |", "|---|---|---|"]
        for name, kind, what in re.findall(rf'^{macro}\(\w+, "(\S+)", "(\w+)", "(.*)"\)$', text, re.M):
            lines.append(f"| `{name}` | {kind} | {what} |")
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


# ---- TREE.md --------------------------------------------------------------------------------------------------------

TREE_HEAD = """# Tree

Every source file and its caption. Layers and rules: [ARCHITECTURE.md](ARCHITECTURE.md).
"""
CAPTION = re.compile(r'^(?:/\*|#|""")\s*(\S+) - (.*?)\s*(?:\*/|""")?$')
SHOWN = (".c", ".h", ".py", ".sh", ".def")


def caption_of(path):
    for line in read(path).splitlines()[:4]:
        match = CAPTION.match(line)
        if match and match.group(1) == os.path.basename(path):
            return match.group(2)
    if path.endswith(".def"):  # a table: its first sentence
        match = re.match(r"/\*\s*(.*?)[.:]\s", read(path), re.S)
        return " ".join(match.group(1).replace("*", " ").split()) + "." if match else ""
    return ""


def tree_page():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"],
                            capture_output=True, text=True, check=True).stdout.splitlines()
    folders = {}
    for path in sorted(p for p in listed if p.endswith(SHOWN) and not p.endswith("__init__.py") and os.path.isfile(os.path.join(ROOT, p))):
        folders.setdefault(os.path.dirname(path), []).append(path)
    lines = [TREE_HEAD]
    for folder, paths in sorted(folders.items()):
        lines.append(f"\n## {folder}/\n")
        by_caption = [(os.path.basename(p), caption_of(p)) for p in paths]
        lines += [f"- `{name}` {caption}".rstrip() for name, caption in by_caption]
    return "\n".join(lines).replace("\n\n\n", "\n\n") + "\n"


PAGES = {"docs/guides/errors.md": errors_page, "docs/guides/metrics.md": metrics_page, "docs/TREE.md": tree_page}


def main():
    outdated = []
    for path, make in PAGES.items():
        full = os.path.join(ROOT, path)
        text = make()
        if os.path.exists(full) and read(path) == text:
            continue
        if "--check" in sys.argv[1:]:
            outdated.append(path)
            continue
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)
        print(f"written: {path}")
    for path in outdated:
        print(f"{path} is out of date: ./dev fmt writes it")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())
