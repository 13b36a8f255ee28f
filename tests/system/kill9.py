"""kill9.py [COUNT]: source, target or both are killed again and again while the bucket changes.

Without it: an acknowledgement before its work was durable, or a half-applied archive, would lose an
object, or bring an old one back, only on the day a machine dies.
"""

import contextlib
import http.server
import os
import random
import signal
import sys
import threading
import time

from harness import (Thing, World, check, check_equal, check_no_uploads, check_staging_empty,
                     differences, free_port, keys_of, make_buckets, plain_of, put, rule,
                     sizes_of, staged, step, wait_until)

KEYS = 200  # Of each writer: each is written many times.
LARGE = 12_000_000  # Travels alone, in parts.
SIZES = (0, 300, 4_000, 60_000, LARGE)
WEIGHTS = (2, 40, 40, 17, 1)


class Writer(threading.Thread):
    """Writes, overwrites and deletes; each body says how many writes its key has had."""

    def __init__(self, server, number: int, seed: int, stop: threading.Event, shrinks: bool = True):
        super().__init__(daemon=True)
        self.shrinks = shrinks
        self.s3, self.number, self.random, self.stop = server.s3, number, random.Random(seed), stop
        self.counts: dict[str, int] = {}
        self.operations = 0
        self.large = True  # Else what would be large is as the largest of the others.
        self.rests = False

    def run(self):
        while not self.stop.is_set():
            if self.rests:
                time.sleep(0.1)
                continue
            key = f"{self.number}/{self.random.randrange(KEYS):04}"
            if self.random.random() < 0.2:
                self.s3.delete_object(Bucket="data", Key=key)
            else:
                self.counts[key] = self.counts.get(key, 0) + 1
                head = f"{self.counts[key]:010} {key}\n".encode()
                size = self.random.choices(SIZES, WEIGHTS)[0]
                if size == LARGE and not self.large:
                    size = SIZES[-2]
                rest = head * (size // len(head)) if self.shrinks else self.random.randbytes(size)
                put(self.s3, "data", Thing(
                    key, head + rest, {"Metadata": {"count": str(self.counts[key])}}))
            self.operations += 1
            time.sleep(self.random.expovariate(1 / 0.03))


class Watcher(threading.Thread):
    """Reads the target all the time: no key may ever go back to an older state."""

    def __init__(self, server, stop: threading.Event):
        super().__init__(daemon=True)
        self.plain, self.stop = plain_of(server.s3), stop
        self.seen: dict[str, int] = {}
        self.reads = 0
        self.stale: list[str] = []

    def run(self):
        random_ = random.Random(5)
        while not self.stop.is_set():
            key = f"{random_.randrange(3)}/{random_.randrange(KEYS):04}"
            found = self.plain.request("HEAD", "copy", key)
            if found is not None:
                count = int(found[0]["x-amz-meta-count"])
                if count < self.seen.get(key, 0):
                    self.stale.append(f"{key}: {count} after {self.seen[key]}")
                self.seen[key] = max(count, self.seen.get(key, 0))
                self.reads += 1
            time.sleep(0.02)


@contextlib.contextmanager
def listener(port: int):
    """Someone to answer versitygw's first event, without which it does not start."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield
    server.shutdown()
    server.server_close()


def stores_and_config(world: World, **place):
    """Source, target and the configuration of a rule between them that hears of each change; `place`:
    where queue and state are, other than in a file."""
    port = free_port()
    with listener(port):
        source = world.serve("versitygw", "source", webhook=f"http://127.0.0.1:{port}/v1/events")
    target = world.serve("minio", "target")
    make_buckets(source, target)
    config = world.config(
        {"source": source, "target": target},
        [rule(deletes=True, intake={"webhook": True, "listing": "5s"}, batch={"linger": "500ms"})],
        listen=f"127.0.0.1:{port}", **place)
    return source, target, config


def main(kills: int) -> None:
    seed = int(os.environ.get("LONGHAUL_SEED", random.randrange(10**6)))
    step(f"{kills} kills, LONGHAUL_SEED={seed}")
    random_ = random.Random(seed)
    with World("kill9") as world:
        source, target, config = stores_and_config(world)
        roles: dict[str, object] = {}

        def start(role: str) -> None:
            roles[role] = world.start("replicate", "--config", config, "--roles", role)

        start("source")
        start("target")
        stop = threading.Event()
        writers = [Writer(source, number, seed + number, stop) for number in range(3)]
        watcher = Watcher(target, stop)
        for thread in [*writers, watcher]:
            thread.start()

        # On a busy machine, or under a sanitizer, a life of a second is hardly longer than the start
        # of the process: then the lives get longer, until enough has been applied to prove anything.
        number = 0
        life = 1.2  # Seconds, the mean.
        while number < kills or (watcher.reads <= 5 * kills and number < max(25, 5 * kills)):
            time.sleep(min(10 * life, max(0.2, random_.expovariate(1 / life))))
            for role in random_.choice((["source"], ["target"], ["source", "target"])):
                process = roles[role]
                if not process.running():
                    finished = process.wait(5)
                    finished.expect(-signal.SIGKILL)  # It ended by itself: shows why.
                process.kill()
                process.wait(10)
                world.forget(process)
                start(role)
            check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
            number += 1
            if watcher.reads < 5 * min(number, kills):
                life = min(6.0, life * 1.1)
            if number % 10 == 0:
                step(f"{number} kills, {sum(w.operations for w in writers)} writes, "
                     f"{len(keys_of(target.s3, 'copy'))} keys at the target")
        stop.set()
        for thread in [*writers, watcher]:
            thread.join(30)
        step(f"{sum(w.operations for w in writers)} writes, {watcher.reads} looks at the target")
        check(watcher.reads > 5 * kills, "too little was applied to prove anything")

        def settled() -> bool:
            for role, process in roles.items():
                check(process.running(), f"{role} ended: {process.output()[-3000:]}")
            if staged(target) or sizes_of(source.s3, "data") != sizes_of(target.s3, "copy"):
                return False  # Known without reading anything.
            return not differences(source.s3, "data", target.s3, "copy")

        # Leases of the dead run out first, then what has piled up behind them is applied.
        wait_until(settled, 600, "both sides equal and staging empty", every=4)
        for role, process in roles.items():
            process.kill(signal.SIGTERM)
            finished = process.wait(40)
            check(finished.code in (0, 143), f"{role}: exit {finished.code}: {finished.stderr[-2000:]}")
        world.run("replicate", "--config", config, "--once").expect(0)
        world.run("check", "--config", config, "source:data/", "target:copy/").expect(0)
        count = check_equal(source, target)
        check_staging_empty(target)
        check_no_uploads(target, "copy", "staging")
        check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
        step(f"ok: {count} objects equal after {number} kills")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
