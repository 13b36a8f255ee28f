#!/usr/bin/env python3
"""The folders below src/ are the architecture: includes point only downward in this list.

Folders on one line do not include each other. A folder with rooms has a list of its own, top first;
what lies in the folder itself joins its rooms, stands above them, and no room includes it. Tests may
include what they like. The repository
speaks of the product alone: no paths of somebody's machine, no notes of work left undone.
A source file has at most 700 lines, or its first comment says why not: "Over 700 lines: …".
"""

import itertools
import pathlib
import re
import subprocess
import sys
import tempfile

LAYERS = [line.split() for line in """
cli
server
gateway
replication
migration cache backup
cost
events
rules
replica
transfer
archive
observe
storage queue state
aws
net
base
""".strip().splitlines()]
RANK = {folder: rank for rank, line in enumerate(LAYERS) for folder in line}
# Rooms of a folder, as LAYERS.
ROOMS = {
    "gateway": [["access"], ["protocol", "events"]],
    "replication": [["explain"], ["source", "target", "take_over"], ["compare", "apply"], ["giants"],
                    ["staging"], ["context"], ["life"]],
    "transfer": [["tree"], ["listing", "object", "runs"], ["local", "uploads", "limits"]],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')
SOURCES = {".cc", ".h", ".py", ".sh"}
LINES_MAX = 700
REASON = re.compile(rf"\bOver {LINES_MAX} lines: \w")
FORBIDDEN = re.compile(r"(?<![\w.~])/(work|home|root)/|\b(TODO|FIXME|XXX)\b")


def layer_errors(root: pathlib.Path) -> list[str]:
    errors = []
    for path in sorted(root.glob("src/**/*")):
        if path.suffix not in (".h", ".cc"):
            continue
        parts = path.relative_to(root / "src").parts
        if len(parts) == 1:  # main.cc
            continue
        own = parts[0]
        room = parts[1] if len(parts) == 3 else ""
        rooms = {"": -1} | {name: rank for rank, line in enumerate(ROOMS.get(own, []))
                            for name in line}
        if len(parts) not in (2, 3) or own not in RANK or room not in rooms:
            errors.append(f"{path}: not in a folder of the list")
            continue
        if path.name.endswith("_test.cc"):
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            other = found[1].split("/")[0]
            where = f"{path.relative_to(root)}:{number}: includes {found[1]}"
            if other not in RANK or "/" not in found[1]:
                errors.append(f"{where}: not named by its folder below src/")
            elif other != own and RANK[other] <= RANK[own]:
                errors.append(f"{where}: {own}/ is not above {other}/")
            elif other == own:
                steps = found[1].split("/")
                inner = steps[1] if len(steps) == 3 else ""
                if inner not in rooms:
                    errors.append(f"{where}: {own}/ has no room {inner}")
                elif inner != room and rooms[inner] <= rooms[room]:
                    errors.append(f"{where}: {own}/{room} is not above {own}/{inner}")
    return errors


def tracked(root: pathlib.Path) -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=True)
    return [name for name in listed.stdout.decode().split("\0") if name]


def first_comment(text: str) -> str:
    """What a file begins with, where that is a comment or a docstring."""
    text = re.sub(r"\A#!.*\n", "", text)
    if found := re.match(r'"""(.*?)"""', text, re.DOTALL):
        return found[1]
    return "\n".join(itertools.takewhile(re.compile(r"//|#( |$)").match, text.splitlines()))


def size_errors(root: pathlib.Path, names: list[str]) -> list[str]:
    errors = []
    for name in names:
        path = root / name
        if (name.split("/")[0] not in ("src", "tests", "bench") or path.suffix not in SOURCES or
                not path.is_file()):
            continue
        text = path.read_text()
        count = len(text.splitlines())
        if count > LINES_MAX and not REASON.search(first_comment(text)):
            errors.append(f"{name}: has {count} lines: split it by subject, or let its first comment "
                          f'say why it has more than {LINES_MAX} ("Over {LINES_MAX} lines: …")')
    return errors


def word_errors(root: pathlib.Path) -> list[str]:
    errors = []
    for name in tracked(root):
        path = root / name
        if name == "tests/layers_test.py" or not path.is_file():
            continue
        try:
            text = path.read_text()
        except UnicodeDecodeError:  # An image or a golden archive.
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if found := FORBIDDEN.search(line):
                errors.append(f"{name}:{number}: says {found[0]!r}")
    return errors


def self_test() -> list[str]:
    """What would go wrong without it: a check that finds nothing, whatever one does."""
    cases = {
        "src/net/a.h": ('#include "storage/store.h"', True),
        "src/queue/a.cc": ('#include "state/state.h"', True),
        "src/cli/a.cc": ('#include "server/server.h"\n#include <vector>', False),
        "src/base/a.h": ('#include "base/b.h"', False),
        "src/base/b_test.cc": ('#include "cli/cli.h"', False),
        "src/misc/a.h": ("", True),
        "src/net/b.h": ('#include "helper.h"', True),
        "src/net/room/c.h": ("", True),
        "src/self/top/a.h": ('#include "self/low/b.h"', False),
        "src/self/low/b.h": ('#include "self/top/a.h"', True),
        "src/self/low/c.h": ('#include "self/join.h"', True),
        "src/self/join.h": ('#include "self/low/c.h"', False),
        "src/self/low/d_test.cc": ('#include "self/top/a.h"', False),
    }
    RANK["self"], ROOMS["self"] = 0, [["top"], ["low"]]
    errors = []
    for name, (text, is_wrong) in cases.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
            if bool(layer_errors(pathlib.Path(folder))) != is_wrong:
                errors.append(f"self test: {name}: {text!r} judged wrongly")
    del RANK["self"], ROOMS["self"]
    reason = f"Over {LINES_MAX} lines: one table."
    long = "\n" * (LINES_MAX - 1) + "x\n"
    sizes = {
        "src/a/fits.cc": (long, False),
        "src/a/long.cc": (long + "x\n", True),
        "tests/long.py": ("x\n" + long, True),
        "bench/said.cc": (f"// A table.\n// {reason}\n" + long, False),
        "bench/said.py": (f'#!/usr/bin/env python3\n"""A table.\n\n{reason}\n"""\n' + long, False),
        "src/a/late.h": (f"#pragma once\n// {reason}\n" + long, True),
        "src/a/empty.h": (f"// Over {LINES_MAX} lines:\n" + long, True),
        "docs/long.md": ("x\n" + long, False),
    }
    for name, (text, is_wrong) in sizes.items():
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
            if bool(size_errors(pathlib.Path(folder), [name])) != is_wrong:
                errors.append(f"self test: the size of {name} judged wrongly")
    return errors


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    errors = (self_test() + layer_errors(root) + size_errors(root, tracked(root)) +
              word_errors(root))
    print("\n".join(errors) or "includes point downward, and no file is too long")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
