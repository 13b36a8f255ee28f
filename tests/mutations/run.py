#!/usr/bin/env python3
"""Breaks each promise's line in turn and shows that a test fails (mutations.toml).

    run.py [--build DIR] [--seeds N] [--check] [NAME...]

Works in a copy of the tracked files below the build folder; the tree itself is never touched.
--check only sees that every mutation applies. The last line counts what was caught and missed.
Exit 0: all were caught.
"""

import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import time
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def load(names):
    mutations = tomllib.loads((ROOT / "tests/mutations/mutations.toml").read_text())["mutation"]
    seen = set()
    for mutation in mutations:
        if mutation["name"] in seen:
            sys.exit(f"mutations.toml: {mutation['name']} stands there twice")
        seen.add(mutation["name"])
    unknown = set(names) - seen
    if unknown:
        sys.exit(f"no such mutation: {', '.join(sorted(unknown))}")
    return [m for m in mutations if not names or m["name"] in names]


def mutate(tree, mutation):
    """The file's path, its text and its broken text."""
    path = tree / mutation["file"]
    text = path.read_text()
    words = mutation["keeps"].split()
    found = list(re.finditer(r"\s+".join(map(re.escape, words)), text))
    if len(found) != 1:
        sys.exit(f"{mutation['name']}: its line stands {len(found)} times in {mutation['file']}, "
                 "not once: mend mutations.toml")
    return path, text, text[: found[0].start()] + mutation["breaks"] + text[found[0].end() :]


def copy_tree(tree):
    """Tracked files, newer ones alone, so that only what changed is built again."""
    names = subprocess.check_output(["git", "-C", ROOT, "ls-files", "-z"], text=True).split("\0")
    kept = set()
    for name in filter(None, names):
        source, target = ROOT / name, tree / name
        if not source.is_file():
            continue
        kept.add(target)
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    for path in tree.glob("src/*/*"):
        if path.is_file() and path not in kept:
            path.unlink()


def run(command, log, timeout):
    """True: it ended with 0."""
    log.write(f"$ {' '.join(map(str, command))}\n")
    log.flush()
    try:
        return subprocess.run(command, stdout=log, stderr=log, timeout=timeout).returncode == 0
    except subprocess.TimeoutExpired:
        log.write("timed out\n")
        return False


def build(build_dir, target, log):
    return run(["cmake", "--build", build_dir, "--target", target], log, 3600)


def caught_by(build_dir, tree, seeds, log):
    """What noticed: "unit tests", "simulation", or None."""
    if not build(build_dir, "longhaul_tests", log):
        sys.exit(f"a mutation does not compile: {log.name}")
    if not run([build_dir / "tests/longhaul_tests", "--gtest_brief=1", "--gtest_fail_fast"],
               log, 600):
        return "unit tests"
    if not build(build_dir, "longhaul_sim", log):
        sys.exit(f"a mutation does not compile: {log.name}")
    simulation = build_dir / "tests/longhaul_sim"
    if not run([simulation, "--kept", tree / "tests/sim/kept_seeds.txt"], log, 1800):
        return "kept seeds"
    if not run([simulation, "--seeds", str(seeds), "--first", "1"], log, 3600):
        return "simulation"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mutations")
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    mutations = load(options.names)
    if options.check:
        for mutation in mutations:
            mutate(ROOT, mutation)
        print(f"{len(mutations)} mutations apply")
        return 0

    tree, build_dir = options.build / "tree", options.build / "build"
    copy_tree(tree)
    (options.build / "logs").mkdir(exist_ok=True)
    subprocess.run(["cmake", "-S", tree, "-B", build_dir, "-G", "Ninja",
                    "-DCMAKE_BUILD_TYPE=RelWithDebInfo", "-DCMAKE_CXX_FLAGS_RELWITHDEBINFO=-O1"],
                   check=True, stdout=subprocess.DEVNULL)
    with open(options.build / "logs/unbroken.log", "w") as log:
        noticed = caught_by(build_dir, tree, options.seeds, log)
        if noticed:
            sys.exit(f"the tests fail without any mutation ({noticed}): {log.name}")
    missed = []
    for mutation in mutations:
        path, text, broken = mutate(tree, mutation)
        start = time.monotonic()
        try:
            path.write_text(broken)
            with open(options.build / f"logs/{mutation['name']}.log", "w") as log:
                noticed = caught_by(build_dir, tree, options.seeds, log)
        finally:
            path.write_text(text)
        if not noticed:
            missed.append(mutation["name"])
        print(f"{'caught' if noticed else 'MISSED':6} {mutation['name']:34} "
              f"{noticed or mutation['promise']} ({time.monotonic() - start:.0f} s)", flush=True)
    print(f"{len(mutations)} mutations: {len(mutations) - len(missed)} caught, "
          f"{len(missed)} missed{': ' + ', '.join(missed) if missed else ''}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
