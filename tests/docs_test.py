#!/usr/bin/env python3
"""Every test that docs/compared-with-crr.md and the tables of docs/guide.md name is there.

Without it: a table that says "shown by" would go on saying so when the test has another name, or is
gone. `SuiteTest.Name` is a unit test, `.Name` one of the suite named before it in the row, a word
with a "_" a system test.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNIT = re.compile(r"^TEST(?:_[FP])?\((\w+), (\w+)", re.MULTILINE)
OF_GUIDE = re.compile(r"`(\w+Test)\.(\w+)`|`…(\w+)`")
NAMED = re.compile(r"`(\w+Test)?\.(\w+)`|`([a-z]+_[a-z_]+)`")


def known_tests() -> set[str]:
    known = {path.stem for path in (ROOT / "tests/system").glob("*.py")}
    for path in [*ROOT.glob("src/**/*_test.cc"), *ROOT.glob("tests/*/*.cc")]:
        known |= {f"{suite}.{name}" for suite, name in UNIT.findall(path.read_text())}
    return known


def unknown_tests(text: str, known: set[str]) -> list[str]:
    unknown = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.startswith("| ") or line.count("|") < 5:
            continue
        suite = ""
        for own, name, system in NAMED.findall(line.rsplit("|", 2)[1]):
            suite = own or suite
            test = system or f"{suite}.{name}"
            if test not in known:
                unknown.append(f"{number}: there is no test {test}")
    return unknown


def unknown_in_guide(text: str, known: set[str]) -> list[str]:
    unknown = []
    for number, line in enumerate(text.splitlines(), 1):
        suite = ""
        for own, name, further in OF_GUIDE.findall(line if line.startswith("| ") else ""):
            suite = own or suite
            # "`…_STS`" is no test: nothing before it in its row is.
            if suite and f"{suite}.{name or further}" not in known:
                unknown.append(f"{number}: there is no test {suite}.{name or further}")
    return unknown


def main() -> int:
    known = known_tests()
    # A check that finds nothing, whatever one writes, is none.
    wrong = "| a | b | c | `RuleTest.NoSuchName`, `.NeitherThis`, `no_such_test` |"
    if len(unknown_tests(wrong, known)) != 3:
        print("self test: wrong names are not noticed")
        return 1
    if len(unknown_in_guide("| a | `RuleTest.NoSuchName`, `…NeitherThis` |", known)) != 2:
        print("self test: wrong names of the guide are not noticed")
        return 1
    name = "docs/compared-with-crr.md"
    errors = [f"{name}:{error}" for error in unknown_tests((ROOT / name).read_text(), known)]
    guide = "docs/guide.md"
    errors += [f"{guide}:{error}"
               for error in unknown_in_guide((ROOT / guide).read_text(), known)]
    print("\n".join(errors) or f"{name} and {guide} name tests that are there")
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
