#!/usr/bin/env python3
"""lint.py BUILD_DIR [FILE...]: clang-tidy over all sources (or some), on all cores.

The checks are those of .clang-tidy, each an error. A file that was clean is not read again until
something changes that the compiler sees of it: what it and its headers say after preprocessing, the
checks, or clang-tidy itself. ./dev lint prepares BUILD_DIR, which needs a compile_commands.json.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-19"
# A test keeps its lambdas alive, so there they may be coroutines with captures.
ONLY_OUTSIDE_TESTS = "cppcoreguidelines-avoid-capturing-lambda-coroutines"


def cache_dir() -> pathlib.Path:
    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return pathlib.Path(os.environ.get("LONGHAUL_CACHE") or default / "longhaul") / "lint"


def is_test(file: str) -> bool:
    return file.endswith("_test.cc") or file.startswith("tests/")


def preprocessed(command: str, folder: str) -> bytes:
    words = shlex.split(command)
    if pathlib.Path(words[0]).name == "ccache":
        words = words[1:]
    out = words.index("-o")
    del words[out:out + 2]
    # With comments: a NOLINT is one.
    return subprocess.run([*words, "-E", "-C", "-P"], cwd=folder, check=True,
                          capture_output=True).stdout


def lint(file: str, entry: dict, build: pathlib.Path, salt: bytes) -> tuple[str, bool, str]:
    """The file, whether it was read at all, and what is wrong with it."""
    checks = f"--checks=-{ONLY_OUTSIDE_TESTS}" if is_test(file) else "--checks="
    try:
        text = preprocessed(entry["command"], entry["directory"])
    except subprocess.CalledProcessError as error:
        return file, True, error.stderr.decode(errors="replace")
    key = hashlib.sha256(salt + checks.encode() + file.encode() + text).hexdigest()
    clean = cache_dir() / key
    if clean.exists():
        clean.touch()
        return file, False, ""
    ran = subprocess.run([TIDY, "-p", build, "--quiet", checks, ROOT / file], text=True,
                         capture_output=True)
    if ran.returncode == 0:
        clean.touch()
        return file, True, ""
    return file, True, ran.stdout + ran.stderr


def forget_old() -> None:
    """Drops what no run has asked for in a month."""
    for clean in cache_dir().iterdir():
        if clean.stat().st_mtime < time.time() - 30 * 86400:
            clean.unlink(missing_ok=True)


def main(build: pathlib.Path, only: list[str]) -> int:
    started = time.monotonic()
    cache_dir().mkdir(parents=True, exist_ok=True)
    forget_old()
    salt = (ROOT / ".clang-tidy").read_bytes() + subprocess.run(
        [TIDY, "--version"], check=True, capture_output=True).stdout
    entries = {}
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        if path.is_relative_to(ROOT):
            entries[str(path.relative_to(ROOT))] = entry
    wanted = only or sorted(file for file in entries if file.startswith(("src/", "tests/")))
    missing = [file for file in wanted if file not in entries]
    if missing:
        print(f"lint: not compiled by anything: {missing}", file=sys.stderr)
        return 2
    read, bad = 0, []
    jobs = int(os.environ.get("LONGHAUL_JOBS") or os.cpu_count() or 1)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for file, was_read, wrong in pool.map(
                lambda name: lint(name, entries[name], build, salt), wanted):
            read += was_read
            if wrong:
                bad.append(file)
                print(wrong, flush=True)
    print(f"lint: {len(wanted)} files ({read} read, the others known to be clean) in "
          f"{time.monotonic() - started:.0f} s, {len(bad)} with findings")
    return 1 if bad else 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print(__doc__)
        sys.exit(2)
    sys.exit(main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]))
