#!/usr/bin/env python3
"""Prints what failed according to the log of a ctest: of each test that did not pass the lines that
say why.

failures.py LOG
"""

import re
import sys

LINES_MAX = 60  # Of one test.

# What says why, and how many lines after it belong to it.
TELLING = [
    (re.compile(r": Failure$|^FAIL(ED)?\b|^\[  FAILED  \]|CHECK failed|^terminate called"), 8),
    (re.compile(r"==\d+==\s*ERROR|runtime error:|^(Direct|Indirect) leak of|WARNING: Thread"), 14),
    (re.compile(r"^Traceback|^AssertionError|^SystemExit|^E  "), 12),
    (re.compile(r"^SUMMARY:|SKIPPED|Running 0 tests"), 0),
]


def tests_of(log):
    """Yields (name, passed, lines of output) of each test in the log."""
    name, output, inside = "", [], False
    for line in log:
        line = line.rstrip("\n")
        begun = re.match(r"\d+/\d+ Testing: (.*)", line)
        if begun:
            name, output, inside = begun[1], [], False
        elif line.startswith("Output:"):
            inside = True
        elif line.startswith("<end of output>"):
            inside = False
        elif line.startswith("Test Passed."):
            yield name, True, output
        elif line.startswith("Test Failed."):
            yield name, False, output
        elif inside:
            output.append(line)


def telling(output):
    """The lines that say why; the last ones where none is known to."""
    chosen = set()
    for at, line in enumerate(output):
        for pattern, after in TELLING:
            if pattern.search(line):
                chosen.update(range(at, min(at + after + 1, len(output))))
    lines = [output[at] for at in sorted(chosen)] or output[-20:]
    # The beginning names the first cause, the end all that failed.
    if len(lines) > LINES_MAX:
        half = LINES_MAX // 2
        lines = lines[:half] + [f"... {len(lines) - 2 * half} lines"] + lines[-half:]
    return lines


def main(path):
    with open(path, encoding="utf-8", errors="replace") as log:
        for name, passed, output in tests_of(log):
            if not passed:
                print(f"== {name} failed:")
                print("\n".join("  " + line for line in telling(output)))


if __name__ == "__main__":
    main(sys.argv[1])
