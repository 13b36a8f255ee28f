"""soak.py [MINUTES]: continuous load, with faults on the way, for a long time (default: 30).

Without it: memory, file descriptors or a database that grow a little with every object would be
found by the first user whose process lives for a month.
"""

import os
import signal
import statistics
import sys
import threading
import time

from fault_proxy import FaultProxy
from harness import (World, check, check_equal, check_no_uploads, check_staging_empty, differences,
                     free_port, make_buckets, rule, staged, step, store_of, wait_until)
from kill9 import Watcher, Writer, listener

SAMPLE_SECONDS = 1.0
# The faults come and go; what counts is how it looks a while after a storm.
STORM_SECONDS, CALM_SECONDS, COUNTED_SECONDS = 8, 8, 16
GROWTH_MINUTES_MIN = 5  # A shorter run sees it warm up.


class Samples(threading.Thread):
    """Memory, descriptors and database of the process, once a second."""

    def __init__(self, process, database, stop: threading.Event):
        super().__init__(daemon=True)
        self.process, self.database, self.stop = process, database, stop
        self.counting = False  # Else nothing is noted.
        self.rss: list[float] = []
        self.descriptors: list[int] = []
        self.database_bytes: list[int] = []

    def run(self):
        while not self.stop.is_set() and self.process.running():
            time.sleep(SAMPLE_SECONDS)
            if not self.counting:
                continue
            self.rss.append(self.process.rss_bytes() / (1 << 20))
            self.descriptors.append(len(os.listdir(f"/proc/{self.process.pid}/fd")))
            self.database_bytes.append(sum(
                path.stat().st_size for path in self.database.parent.glob(self.database.name + "*")))


def quarters(values: list) -> tuple[float, float]:
    """The means of the first and of the last quarter, when the first tenth has warmed it up."""
    warm = values[len(values) // 10:]
    length = max(1, len(warm) // 4)
    return statistics.mean(warm[:length]), statistics.mean(warm[-length:])


def main(minutes: float) -> None:
    with World("soak") as world:
        port = free_port()
        with listener(port):
            source = world.serve("versitygw", "source",
                                 webhook=f"http://127.0.0.1:{port}/v1/events")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        proxies = [FaultProxy(source.endpoint), FaultProxy(target.endpoint, seed=2)]
        config = world.config(
            {"source": store_of(proxies[0].endpoint), "target": store_of(proxies[1].endpoint)},
            [rule(deletes=True, intake={"webhook": True, "listing": "20s"},
                  batch={"linger": "500ms"})],
            listen=f"127.0.0.1:{port}", memory="256MiB")
        process = world.start("replicate", "--config", config)
        stop = threading.Event()
        writers = [Writer(source, number, 7 + number, stop) for number in range(3)]
        watcher = Watcher(target, stop)
        samples = Samples(process, world.work / "longhaul.db", stop)
        for thread in [*writers, watcher, samples]:
            thread.start()

        end = time.monotonic() + minutes * 60
        said = 0.0
        while time.monotonic() < end:
            for mode, seconds in (("mixed", STORM_SECONDS), ("pass", CALM_SECONDS),
                                  ("count", COUNTED_SECONDS)):
                samples.counting = mode == "count"
                for proxy in proxies:
                    proxy.mode = "mixed" if mode == "mixed" else "pass"
                time.sleep(max(0, min(seconds, end - time.monotonic())))
            check(process.running(), f"it ended by itself: {process.output()[-3000:]}")
            check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
            if samples.rss and time.monotonic() - said > 55:
                said = time.monotonic()
                step(f"{sum(writer.operations for writer in writers)} writes, "
                     f"{sum(proxy.faults for proxy in proxies)} faults, "
                     f"{samples.rss[-1]:.0f} MiB, {samples.descriptors[-1]} descriptors, "
                     f"database {samples.database_bytes[-1] >> 10} KiB")
        stop.set()
        for thread in [*writers, watcher, samples]:
            thread.join(60)
        for proxy in proxies:
            proxy.mode = "pass"
        wait_until(lambda: not staged(target) and not differences(
            source.s3, "data", target.s3, "copy"), 180, "both sides equal and staging empty", every=2)
        process.kill(signal.SIGTERM)
        finished = process.wait(40)
        check(finished.code in (0, 143), f"exit {finished.code}: {finished.stderr[-2000:]}")
        count = check_equal(source, target)
        check_staging_empty(target)
        check_no_uploads(target, "copy", "staging")
        for name, values, slack in (("memory in MiB", samples.rss, 2),
                                    ("descriptors", samples.descriptors, 8),
                                    ("bytes of database", samples.database_bytes, 1 << 20)):
            first, last = quarters(values)
            step(f"{name}: {first:.1f} in the first quarter, {last:.1f} in the last")
            check(minutes < GROWTH_MINUTES_MIN or last <= 1.05 * first + slack, f"{name} grow: {first:.1f}, then {last:.1f}")
        step(f"ok: {count} objects equal after {minutes:g} minutes, "
             f"{sum(proxy.faults for proxy in proxies)} faults")


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 30)
