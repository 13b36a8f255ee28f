"""upgrade.py OLD [WHERE]: a source and a target go from the program OLD to this one, one after the
other, and back again, while the bucket changes. (`./dev test upgrade COMMIT` builds OLD.) With WHERE
`postgres` they share a database, whose tables are made by OLD and brought up to date beside its
processes.

Without it: that a message, a row or an archive is read wrongly by the next version, or kills the one
before, would be found on the day of an upgrade.
"""

import signal
import sys
import threading
import time

from harness import (BINARY, World, check, check_equal, check_no_uploads, check_staging_empty,
                     differences, keys_of, sizes_of, staged, step, wait_until)
from kill9 import Watcher, Writer, stores_and_config

SECONDS = 12  # Of each pair of versions.


def main(old: str, where: str) -> None:
    check(where in ("sqlite", "postgres"), f"'{where}' is neither sqlite nor postgres")
    with World("upgrade") as world:
        database = world.serve("postgres") if where == "postgres" else None
        place = {"queue": database.endpoint, "state": database.endpoint} if database else {}
        source, target, config = stores_and_config(world, **place)
        running: dict[str, object] = {}
        if database:
            world.run("setup", "--config", config, binary=old).expect(0)

        def start(role: str, binary: str) -> None:
            running[role] = world.start("replicate", "--config", config, "--roles", role,
                                        binary=binary)

        def end(role: str, number: int) -> None:
            process = running[role]
            check(process.running(), f"{role} has ended: {process.output()[-3000:]}")
            process.kill(number)
            process.wait(60)

        stop = threading.Event()
        writers = [Writer(source, number, 7 + number, stop) for number in range(3)]
        watcher = Watcher(target, stop)
        start("source", old)
        start("target", old)
        for thread in [*writers, watcher]:
            thread.start()
        if database:
            time.sleep(SECONDS / 2)
            bring_up_to_date(world, config, old)
            for role, process in running.items():
                check(process.running(), f"{role} of before: {process.output()[-3000:]}")
        for role, binary, number in (
                ("target", BINARY, signal.SIGTERM), ("source", BINARY, signal.SIGTERM),
                # It was no good after all: back, in haste, and then once more.
                ("target", old, signal.SIGKILL), ("source", old, signal.SIGKILL),
                ("source", BINARY, signal.SIGKILL), ("target", BINARY, signal.SIGKILL)):
            reads = watcher.reads
            time.sleep(SECONDS)
            check(watcher.reads > reads, "nothing is applied")
            check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
            step(f"{role}: {'the old program' if binary == old else 'this one'}")
            end(role, number)
            start(role, binary)
        time.sleep(SECONDS)
        stop.set()
        for thread in [*writers, watcher]:
            thread.join(30)
        step(f"{sum(w.operations for w in writers)} writes, {watcher.reads} looks at the target, "
             f"{len(keys_of(target.s3, 'copy'))} keys there")

        def settled() -> bool:
            for role, process in running.items():
                check(process.running(), f"{role} ended: {process.output()[-3000:]}")
            return (not staged(target) and sizes_of(source.s3, "data") == sizes_of(target.s3, "copy")
                    and not differences(source.s3, "data", target.s3, "copy"))

        wait_until(settled, 300, "both sides equal and staging empty", every=3)
        # A comparison that began before may still have sent something; nothing is packed after this.
        end("source", signal.SIGTERM)
        wait_until(lambda: not [key for key in staged(target) if key.endswith(".tar.zst")], 120,
                   "what was sent last to be applied", every=1)
        end("target", signal.SIGTERM)
        # What the old program could not read it has parked, and the new one has taken from there.
        world.run("rules", "parked", "main", "--config", config).expect(0, "nothing is parked")
        dead = world.run("rules", "dead-letters", "--json", "--config", config).expect(0)
        check(not [line for line in dead.lines() if line["event"] == "dead_letter"],
              f"dead letters: {dead.stdout[:2000]}")
        # Receipts of what was sent last are for a source to take.
        world.run("replicate", "--once", "--config", config).expect(0)
        count = check_equal(source, target)
        check_staging_empty(target)
        check_no_uploads(target, "copy", "staging")
        check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
        if database:
            meet_newer_tables(world, config, database, (old, BINARY))
        step(f"ok: {count} objects equal")


def bring_up_to_date(world: World, config, old: str) -> None:
    """Whoever lacks something says what makes it; that leaves the processes of before as they are."""
    refused = world.run("rules", "status", "--config", config)
    made = world.run("setup", "--config", config).expect(0)
    if "are there" in made.stdout:
        refused.expect(2, "longhaul setup")
    step(f"setup of this version: {made.stdout.strip()}")
    world.run("setup", "--config", config).expect(0, "nothing was missing")
    # Somebody may still carry out the command of before.
    world.run("setup", "--config", config, binary=old).expect(0, "nothing was missing")
    world.run("rules", "status", "--config", config).expect(0)


def meet_newer_tables(world: World, config, database, binaries) -> None:
    """Tables of a version that is not there yet: nobody works on them, nor changes them."""
    for part in ("queue", "state"):
        database.sql(f"UPDATE schema_versions SET version = version + 1 WHERE part = '{part}'")
        for binary in binaries:
            for command in (("replicate", "--once"), ("setup",)):
                world.run(*command, "--config", config, binary=binary).expect(2, "newer longhaul")
        database.sql(f"UPDATE schema_versions SET version = version - 1 WHERE part = '{part}'")
    world.run("setup", "--config", config).expect(0, "nothing was missing")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else "sqlite")
