#!/usr/bin/env python3
"""Breaks each promise's line in turn and shows that a test fails (mutations.toml).

    run.py [--build DIR] [--jobs N] [--seeds N] [--check] [NAME...]

Works in copies of the tracked files below the build folder, one for each job; the tree itself is
never touched. --check only sees that every mutation applies. Of what was caught the first test that
failed, or the first seed, is named; a stage that does not end in its time says so: a mutation that
makes the tests hang is caught. A mutation with a `server` is tried by the suites on that server
(tests/servers/servers.py), which say of it what the unit tests cannot. The last line counts what was caught and missed. Exit 0: all were
caught.
"""

import argparse
import os
import pathlib
import queue
import re
import shutil
import subprocess
import sys
import threading
import time
import tomllib

# Seeds up to a million are old ones, which know few of the faults (tests/sim/plan.cc).
FIRST_SEED = 1_000_001
SUITE = re.compile(r"^TEST(?:_[FP])?\((\w+),", re.MULTILINE)
# What a failed test or seed says of itself. A test that ends the process says only that it began.
FAILED = re.compile(r"^(?:\[  FAILED  \] ([\w/.]+)|(seed \d+):)", re.MULTILINE)
BEGAN = re.compile(r"^\[ RUN      \] ([\w/.]+)", re.MULTILINE)

# Of the suites, what runs on a real server.
SUITES_ON = {"postgres": "*/Postgres:PostgresServer*"}

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
    for path in tree.glob("src/**/*"):
        if path.is_file() and path not in kept:
            path.unlink()


class Broken(Exception):
    """The check itself cannot be made."""


class Job:
    """A copy of the tree and its build."""

    def __init__(self, folder, seeds):
        self.seeds = seeds
        self.tree, self.build_dir = folder, folder / "build/dev"
        self.env = {**os.environ, "CCACHE_BASEDIR": str(self.tree), "CCACHE_NOHASHDIR": "1"}
        copy_tree(self.tree)

    def run(self, command, log, timeout):
        """Its exit code; None: it did not end in time."""
        log.write(f"$ {' '.join(map(str, command))}\n")
        log.flush()
        try:
            return subprocess.run(command, stdout=log, stderr=log, timeout=timeout, env=self.env,
                                  cwd=self.tree).returncode
        except subprocess.TimeoutExpired:
            log.write("timed out\n")
            return None

    def fails(self, stage, command, log, timeout):
        """How `stage` failed and what failed first, or None."""
        log.flush()
        begins_at = os.path.getsize(log.name)
        code = self.run(command, log, timeout)
        if code == 0:
            return None
        log.flush()
        with open(log.name, errors="replace") as file:
            file.seek(begins_at)
            said = file.read()
        how = "timed out" if code is None else f"signal {-code}" if code < 0 else f"exit {code}"
        failed = FAILED.search(said)
        began = BEGAN.findall(said)
        if failed:
            which = failed[1] or failed[2]
        else:
            which = f"{how} in {began[-1]}" if began else how
        # A stage that hung after a failure has been noticed by both.
        return f"{stage}: {which}" + (" (timed out)" if failed and code is None else "")

    def configure(self, log):
        if self.run(["cmake", "--preset", "dev"], log, 600) != 0:
            raise Broken(f"cmake failed: {log.name}")

    def build(self, target, log):
        if self.run(["ninja", "-C", self.build_dir, "-j2", target], log, 3600) != 0:
            raise Broken(f"it does not compile: {log.name}")

    def caught_on(self, server, log):
        self.build("longhaul_tests", log)
        return self.fails(f"suites on {server}",
                          [self.tree / "tests/servers/servers.py", "run", server, "--",
                           self.build_dir / "tests/longhaul_tests", "--gtest_fail_fast",
                           f"--gtest_filter={SUITES_ON[server]}"], log, 900)

    def caught_by(self, log, near=()):
        """What noticed, as in "unit tests: QueueSuite.Acks", or None. `near`: suites to begin with."""
        self.build("longhaul_tests", log)
        tests = [self.build_dir / "tests/longhaul_tests", "--gtest_fail_fast"]
        near_filter = ":".join(f"{suite}.*:*/{suite}.*" for suite in near)
        noticed = (near and self.fails("unit tests", [*tests, f"--gtest_filter={near_filter}"], log,
                                       900)) or self.fails("unit tests", tests, log, 900)
        if noticed:
            return noticed
        self.build("longhaul_sim", log)
        simulation = [self.build_dir / "tests/longhaul_sim", "--jobs", "1"]
        return (self.fails("kept seeds", [*simulation, "--kept",
                                          self.tree / "tests/sim/kept_seeds.txt"], log, 1800) or
                self.fails("simulation", [*simulation, "--seeds", str(self.seeds), "--first",
                                          str(FIRST_SEED)], log, 3600))

    def look_at(self, mutation, log):
        path, text, broken = mutate(self.tree, mutation)
        # The tests that stand beside what is broken mostly notice, in a tenth of the time.
        near = sorted({suite for test in path.parent.glob("*_test.cc")
                       for suite in SUITE.findall(test.read_text())})
        try:
            path.write_text(broken)
            if "server" in mutation:
                return self.caught_on(mutation["server"], log)
            return self.caught_by(log, near)
        finally:
            path.write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/mutations")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
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

    logs = options.build / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    jobs = [Job(options.build / str(i), options.seeds) for i in range(options.jobs)]
    for i, job in enumerate(jobs):
        with open(logs / f"unbroken-{i}.log", "w") as log:
            job.configure(log)
            job.build("longhaul_tests", log)
            noticed = job.caught_by(log) if i == 0 else None
            servers = {mutation["server"] for mutation in mutations if "server" in mutation}
            for server in sorted(servers) if i == 0 else ():
                noticed = noticed or job.caught_on(server, log)
            if noticed:
                raise Broken(f"the tests fail without any mutation ({noticed}): {log.name}")

    waiting = queue.SimpleQueue()
    for mutation in mutations:
        waiting.put(mutation)
    missed, hangs = [], []

    def work(job):
        while not waiting.empty():
            try:
                mutation = waiting.get_nowait()
            except queue.Empty:
                return
            start = time.monotonic()
            try:
                with open(logs / f"{mutation['name']}.log", "w") as log:
                    noticed = job.look_at(mutation, log)
            except Broken as error:
                noticed = None
                print(f"{mutation['name']}: {error}", flush=True)
            if not noticed:
                missed.append(mutation["name"])
            hung = noticed is not None and "timed out" in noticed
            if hung:
                hangs.append(mutation["name"])
            print(f"{'hung' if hung else 'caught' if noticed else 'MISSED':6} {mutation['name']:34} "
                  f"{noticed or mutation['promise']} ({time.monotonic() - start:.0f} s)", flush=True)

    workers = [threading.Thread(target=work, args=(job,)) for job in jobs]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if hangs:
        print(f"caught because the tests timed out: {', '.join(hangs)}")
    print(f"{len(mutations)} mutations: {len(mutations) - len(missed)} caught, "
          f"{len(missed)} missed{': ' + ', '.join(missed) if missed else ''}")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Broken as problem:
        sys.exit(str(problem))
