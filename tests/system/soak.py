"""soak.py [MINUTES]: continuous load, with faults on the way, for a long time (default: 30).

Without it: memory, file descriptors or a database that grow a little with every object would be
found by the first user whose process lives for a month.

Flat means two things. At rest, when all has arrived, memory and descriptors are at the end at most
5 % over what they were after the first quarter: a leak shows there, however small, for nothing else
does. Under load, the mean of the last quarter of the samples is at most 5 % over the most of the
quarters before: how much is under way is chance, and differs by more than 5 % from one to another.
Nothing is counted in the first tenth: caches, pools and the pages of SQLite fill once, up to their
bounds. Descriptors under load are told alone: half of them are connections on which the source tells
its events, as many as it likes, for as long as a server keeps idle ones. They are counted in whole
ones: where 5 % are less than one, one is allowed.
Large objects are written in the storms alone: one takes as much as all that could be found here, two
parts of 8 MiB, and chance would decide how many of them are under way when memory is looked at.
The size of the database is told; its rows are what is judged (check_rows).
"""

import collections
import contextlib
import os
import signal
import sqlite3
import statistics
import sys
import threading
import time

from fault_proxy import FaultProxy
from harness import (World, check, check_equal, check_no_uploads, check_staging_empty, differences,
                     free_port, make_buckets, rule, staged, step, store_of, wait_until)
from kill9 import KEYS, Watcher, Writer, listener

SAMPLE_SECONDS = 1.0
# The faults come and go; what counts is how it looks a while after a storm.
STORM_SECONDS, CALM_SECONDS, COUNTED_SECONDS = 8, 8, 16
SETTLE_SECONDS = 420
REST_SECONDS = 75  # Idle connections are closed after 60.
REST_AFTER_MINUTES = 6  # SQLite's pages have filled by then.
GROWTH_MINUTES_MIN = 5  # A shorter run sees it warm up.


class Samples(threading.Thread):
    """Memory, descriptors and database of the process, once a second."""

    def __init__(self, process, database, stop: threading.Event):
        super().__init__(daemon=True)
        self.process, self.database, self.stop = process, database, stop
        self.counting = False  # Else nothing is noted.
        self.rss: list[float] = []
        self.descriptors: list[int] = []
        self.rss_least: list[float] = []  # Of each stretch that was counted.
        self.database_bytes: list[int] = []

    def run(self):
        counted_before = False
        while not self.stop.is_set() and self.process.running():
            time.sleep(SAMPLE_SECONDS)
            if not self.counting:
                counted_before = False
                continue
            self.rss.append(self.process.rss_bytes() / (1 << 20))
            self.descriptors.append(len(os.listdir(f"/proc/{self.process.pid}/fd")))
            if counted_before:
                self.rss_least[-1] = min(self.rss_least[-1], self.rss[-1])
            else:
                self.rss_least.append(self.rss[-1])
            counted_before = True
            self.database_bytes.append(sum(
                path.stat().st_size for path in self.database.parent.glob(self.database.name + "*")))


def quarters(values: list) -> list[float]:
    """The mean of each quarter, without the first tenth (see above)."""
    warm = values[len(values) // 10:]
    length = max(1, len(warm) // 4)
    return [statistics.mean(warm[i * length:(i + 1) * length] or warm[-1:]) for i in range(4)]


def check_rows(database) -> None:
    """A row for each key of each target, and a few. (Which keys an archive carried is remembered for an
    hour, whatever becomes of it: the file grows that long.)"""
    with contextlib.closing(sqlite3.connect(database)) as rows:
        count = rows.execute("SELECT count(*) FROM state_rows WHERE "
                             "CAST(partition AS TEXT) NOT LIKE 'archive/%'").fetchone()[0]
    rows_max = 2 * 3 * KEYS + 100
    step(f"{count} rows are left in State")
    check(count <= rows_max, f"{count} rows are left in State; {rows_max} would do")


def await_equal(process, source, server) -> None:
    """What was noted of requests without an answer holds its keys back for two minutes, and what came
    of that is tried again up to a minute later, or two."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        waiting = staged(server)
        try:
            different = differences(source.s3, "data", server.s3, "copy")
        except server.s3.exceptions.ClientError as error:
            different = [f"a replica went while it was read: {error}"]
        if not waiting and not different:
            return
        check(time.monotonic() < deadline,
              f"{server.name} after {SETTLE_SECONDS} s: in staging {waiting[:20]}, different "
              f"{different[:20]}\n{process.output()[-6000:]}")
        time.sleep(2)


def at_rest(process) -> tuple[float, float]:
    """Memory in MiB and descriptors, once connections that are not used have been closed."""
    time.sleep(REST_SECONDS)
    found = []
    for _ in range(10):
        found.append((process.rss_bytes() / (1 << 20), len(os.listdir(f"/proc/{process.pid}/fd"))))
        time.sleep(SAMPLE_SECONDS)
    return tuple(statistics.median(values) for values in zip(*found))


def main(minutes: float) -> None:
    with World("soak") as world:
        port = free_port()
        with listener(port):
            source = world.serve("versitygw", "source",
                                 webhook=f"http://127.0.0.1:{port}/v1/events")
        target = world.serve("minio", "target")
        second = world.serve("versitygw", "second")
        make_buckets(source, target)
        for bucket in ("copy", "staging"):
            second.s3.create_bucket(Bucket=bucket)
        proxies = [FaultProxy(server.endpoint, seed=seed)
                   for seed, server in enumerate((source, target, second))]
        stores = dict(zip(("source", "target", "second"),
                          (store_of(proxy.endpoint) for proxy in proxies)))
        fields = {"deletes": True, "intake": {"webhook": True, "listing": "20s"},
                  "batch": {"linger": "500ms"}}
        config = world.config(
            stores,
            [rule(**fields),
             # What does not shrink leaves the archives.
             rule(to="second:copy/", staging="second:staging/", transport="auto", **fields)
             | {"id": "second"}],
            listen=f"127.0.0.1:{port}", memory="256MiB")
        process = world.start("replicate", "--config", config)
        stop = threading.Event()
        writers = [Writer(source, number, 7 + number, stop, shrinks=number > 0)
                   for number in range(3)]
        watchers = [Watcher(target, stop), Watcher(second, stop)]
        samples = Samples(process, world.work / "longhaul.db", stop)
        for thread in [*writers, *watchers, samples]:
            thread.start()

        def rest() -> tuple[float, float]:
            samples.counting = False
            for proxy in proxies:
                proxy.mode = "pass"
            for server in (target, second):
                await_equal(process, source, server)
            return at_rest(process)

        end = time.monotonic() + minutes * 60
        rest_at = time.monotonic() + max(minutes / 4, min(minutes / 2, REST_AFTER_MINUTES)) * 60
        first_rest = None
        said = 0.0
        while time.monotonic() < end:
            if first_rest is None and time.monotonic() >= rest_at:
                begun = time.monotonic()
                for writer in writers:
                    writer.rests = True
                time.sleep(1)
                first_rest = rest()
                for writer in writers:
                    writer.rests = False
                end += time.monotonic() - begun
                step("at rest: {:.1f} MiB, {:.0f} descriptors".format(*first_rest))
            for mode, seconds in (("mixed", STORM_SECONDS), ("pass", CALM_SECONDS),
                                  ("count", COUNTED_SECONDS)):
                samples.counting = mode == "count"
                for writer in writers:
                    writer.large = mode == "mixed"
                for proxy in proxies:
                    proxy.mode = "mixed" if mode == "mixed" else "pass"
                time.sleep(max(0, min(seconds, end - time.monotonic())))
            check(process.running(), f"it ended by itself: {process.output()[-3000:]}")
            for watcher in watchers:
                check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
            if samples.rss and time.monotonic() - said > 55:
                said = time.monotonic()
                step(f"{sum(writer.operations for writer in writers)} writes, "
                     f"{sum(proxy.faults for proxy in proxies)} faults, "
                     f"{samples.rss[-1]:.0f} MiB, {samples.descriptors[-1]} descriptors, "
                     f"database {samples.database_bytes[-1] >> 10} KiB")
        stop.set()
        for thread in [*writers, *watchers, samples]:
            thread.join(60)
        last_rest = rest()
        process.kill(signal.SIGTERM)
        finished = process.wait(40)
        check(finished.code in (0, 143), f"exit {finished.code}: {finished.stderr[-2000:]}")
        for server in (target, second):
            count = check_equal(source, server)
            check_staging_empty(server)
            check_no_uploads(server, "copy", "staging")
        check_rows(world.work / "longhaul.db")
        kinds = collections.Counter()
        for proxy in proxies:
            for (mode, _), number in proxy.kinds.items():
                kinds[mode] += number
        step(f"faults: {dict(kinds.most_common())}")
        grown = []
        step("least MiB of each stretch: " + " ".join(f"{mib:.0f}" for mib in samples.rss_least))
        for name, values in (("memory in MiB", samples.rss),
                             ("descriptors", samples.descriptors),
                             ("bytes of database", samples.database_bytes)):
            means = quarters(values)
            step(f"{name} under load: {', '.join(f'{mean:.1f}' for mean in means)} in the quarters; "
                 f"least {min(values):.1f}, median {statistics.median(values):.1f}, "
                 f"most {max(values):.1f}")
            if values is samples.rss and means[-1] > 1.05 * max(means[:-1]):
                grown.append(f"{name} grow under load")
        for name, first, last, slack in (("memory in MiB", first_rest[0], last_rest[0], 0),
                                         ("descriptors", first_rest[1], last_rest[1], 1)):
            step(f"{name} at rest: {first:.1f} after the first quarter, {last:.1f} at the end")
            if last > first + max(0.05 * first, slack):
                grown.append(f"{name} grow: {first:.1f}, then {last:.1f}")
        check(minutes < GROWTH_MINUTES_MIN or not grown, "; ".join(grown))
        step(f"ok: {count} objects equal after {minutes:g} minutes, "
             f"{sum(proxy.faults for proxy in proxies)} faults")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
