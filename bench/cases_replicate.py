"""Replication of small objects, of real files and of CSV: what packing costs and saves."""

import contextlib
import itertools
import pathlib
import random
import statistics
import threading
import time

from buckets import Buckets, small_things, write_files
from harness import Thing, World, check, corpus, differences, put_all, step
from peers import RCLONE_TUNED, shell
from results import CORES
from tables import MIB, SCHEMES, Table


def replicate_small(runs: int) -> Table:
    table = Table("Replicate, 20,000 × 4 KiB",
                  "`longhaul replicate --once`, both roles in one process, with the compression that it "
                  "chooses by itself (`auto`, the default) and at level 6, beside a plain copy by tuned "
                  "rclone.")
    levels = {"longhaul replicate, auto": "auto", "longhaul replicate, level 6": 6}
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", small_things())
        for number, https in enumerate(SCHEMES * runs):
            for turn, (name, level) in enumerate(levels.items()):
                to = buckets.empty()
                _, replicate = buckets.replicate(to, level, https=https)
                done = table.add(name, replicate("--json"), https)
                table.bytes_sent[name] = done.lines()[-1]["sent_bytes"]
                # Each level once and each scheme once: to read all of it takes longer than the runs.
                if number == turn:
                    found = differences(buckets.source.s3, "data", buckets.target.s3, to)
                    check(not found, f"not equal: {found[:5]}")
            table.add("rclone, tuned", buckets.rclone(buckets.empty(), RCLONE_TUNED, https), https)
    for name in levels:
        table.goals_of_both(f"{name}: CPU / rclone's", lambda https, name=name:
                            table.cpu(name, https) / table.cpu("rclone, tuned", https), 0.35, 0.3)
    return table


def replicate_files(runs: int) -> Table:
    files = corpus("")
    check(files, "replicate-files needs LONGHAUL_CORPUS, a folder of real files")
    objects = [Thing(f"{copy}/{thing.key}", thing.body) for copy in range(10) for thing in files]
    size = sum(len(thing.body) for thing in objects)
    table = Table("Replicate, real files ten times over",
                  f"{len(objects):,} objects, {size / 1e6:.0f} MB, level 6, both roles in one "
                  "process, beside `tar` and `zstd` on the same bytes.")
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", objects)
        write_files(world.work / "files", objects)
        for _ in range(runs):
            for https in SCHEMES:
                to = buckets.empty()
                _, replicate = buckets.replicate(to, https=https)
                table.add("longhaul replicate", replicate(), https)
                buckets.expect_copied(to, len(objects))
                buckets.drop(to)
            # One thread, as CPU is what counts.
            table.add("zstd -6", shell(world, "tar -C files -cf files.tar . && "
                                              "zstd -q -f -6 --single-thread files.tar"))
            table.add("zstd -d", shell(world, "zstd -q -dc files.tar.zst >/dev/null"))
        tar = (world.work / "files.tar.zst").stat().st_size
        to = buckets.empty()
        staging, replicate = buckets.replicate(to)
        replicate("--roles", "source").expect(0)
        table.bytes_sent = {"longhaul replicate": buckets.staged_bytes(staging), "zstd -6": tar}
    zstd = table.cpu("zstd -6") + table.cpu("zstd -d")
    table.goals_of_both("CPU s", lambda https: table.cpu("longhaul replicate", https),
                        *[1.25 * zstd + 0.35e-3 * len(objects)] * 2)
    table.goal("bytes in staging / tar and zstd -6",
               table.bytes_sent["longhaul replicate"] / tar, 1.03)
    return table


def bundle(_: int) -> Table:
    """Each folder of real files as an archive of its own, with all metadata."""
    files = corpus("")
    check(files, "bundle needs LONGHAUL_CORPUS, a folder of real files")
    table = Table("One bundle of each kind of file",
                  "Bytes in staging, metadata and index included, beside a bare `tar | zstd`.")
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", files)
        write_files(world.work / "files", files)
        most = (0, "")
        for folder in sorted({thing.key.split("/")[0] for thing in files if "/" in thing.key}):
            inside = [thing for thing in files if thing.key.startswith(folder + "/")]
            name = f"{len(inside)} files, {sum(len(t.body) for t in inside) / 1e6:.2f} MB"
            step(f"{name}: {folder}")
            for level in (6, 9):
                staging, replicate = buckets.replicate(buckets.empty(), level=level,
                                                       source=f"data/{folder}/")
                longhaul = f"{name}, longhaul at {level}"
                table.add(longhaul, replicate("--roles", "source"))
                table.bytes_sent[longhaul] = buckets.staged_bytes(staging)
                tar = f"{name}, tar and zstd -{level}"
                table.add(tar, shell(world, f"tar -C files/{folder} -c . | "
                                            f"zstd -q -f -{level} --single-thread -o one.zst"))
                table.bytes_sent[tar] = (world.work / "one.zst").stat().st_size
                most = max(most, (len(inside), name))
    # Where the objects are many and small, headers, metadata and index weigh most.
    for level, limit in ((6, 1.077), (9, 1.07)):
        longhaul, tar = (table.bytes_sent[f"{most[1]}, {tool}{level}"]
                         for tool in ("longhaul at ", "tar and zstd -"))
        table.goal(f"{most[1]}: bytes in staging / tar and zstd -{level}", longhaul / tar, limit)
    return table


class Busy:
    """How busy the processes of `world` keep the cores: the share of the time for which as many of
    their threads run, or wait for a core that something else has, as there are cores. Seconds in
    which hardly anything runs (start, listing, end) do not count: they are no compressing."""

    SECONDS = 0.25

    def __init__(self, world: World):
        self.world, self.stop, self.shares = world, threading.Event(), []
        self.thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()

    def _wanted_seconds(self) -> float:
        """CPU seconds that the threads have had, and those for which they waited to have them."""
        total = 0
        for process in self.world.processes:
            for path in pathlib.Path(f"/proc/{process.pid}/task").glob("*/schedstat"):
                with contextlib.suppress(OSError):  # The thread has just ended.
                    total += sum(int(word) for word in path.read_text().split()[:2])
        return total / 1e9

    def _sample(self) -> None:
        at, wanted = time.monotonic(), self._wanted_seconds()
        while not self.stop.wait(self.SECONDS):
            now, now_wanted = time.monotonic(), self._wanted_seconds()
            self.shares.append(min((now_wanted - wanted) / (now - at) / CORES, 1))
            at, wanted = now, now_wanted

    @property
    def share(self) -> float:
        compressing = [share for share in self.shares if share > 0.25]
        return statistics.mean(compressing) if compressing else 0


class CsvRows:
    """Rows as data warehouses unload them; zstd -12 makes about a third of them. What follows a
    row's id comes from a pool that is larger than zstd's window."""

    def __init__(self, random_: random.Random):
        self.random = random_
        self.ends = [
            f",2026-{random_.randrange(1, 13):02}-{random_.randrange(1, 29):02}T"
            f"{random_.randrange(24):02}:{random_.randrange(60):02}:{random_.randrange(60):02}Z,"
            f"C{random_.randrange(10**6):06},{random_.choice(CITIES)},"
            f"P-{random_.randrange(5000):04},{random_.randrange(1, 20)},"
            f"{random_.randrange(100, 99999) / 100:.2f},0.{random_.randrange(0, 40, 5):02},"
            f"{random_.choice(CHANNELS)}\n" for _ in range(300_000)]

    def file(self, size: int) -> bytes:
        count = size // 60
        steps = self.random.choices(range(1, 9), k=count)
        numbers = itertools.accumulate(steps, initial=self.random.randrange(10**8))
        ends = self.random.choices(self.ends, k=count)
        text = "".join(f"{number}{end}" for number, end in zip(numbers, ends))
        return ("id,time,customer,city,product,quantity,price,discount,channel\n" +
                text).encode()[:size]


CITIES = ["Berlin", "Hamburg", "Madrid", "Lisbon", "Paris", "Lyon", "Vienna", "Prague", "Oslo"]
CHANNELS = ["web", "store", "phone", "partner"]


def csv(runs: int) -> Table:
    random_ = random.Random(13)
    rows = CsvRows(random_)
    objects = [Thing(f"one/{i:03}.csv", rows.file(MIB)) for i in range(200)]
    objects += [Thing(f"ten/{i:02}.csv", rows.file(10 * MIB)) for i in range(20)]
    gib = sum(len(thing.body) for thing in objects) / (1 << 30)
    table = Table("Replicate CSV at level 12",
                  "200 × 1 MiB and 20 × 10 MiB, source and target one after the other, beside "
                  "`zstd -12` on the same bytes.")
    idle_shares = []
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", objects)
        write_files(world.work / "files", objects)
        for _ in range(runs):
            for https in SCHEMES:
                to = buckets.empty()
                staging, replicate = buckets.replicate(to, level=12, https=https)
                with Busy(world) as busy:
                    table.add("longhaul, source", replicate("--roles", "source"), https)
                idle_shares.append(1 - busy.share)
                table.bytes_sent["longhaul, source"] = buckets.staged_bytes(staging)
                table.add("longhaul, target", replicate("--roles", "target"), https)
                buckets.expect_copied(to, len(objects))
                buckets.drop(to)
            table.add("zstd -12", shell(world, "tar -C files -c . | "
                                               "zstd -q -f -12 --single-thread -o one.zst"))
        table.bytes_sent["zstd -12"] = (world.work / "one.zst").stat().st_size
    table.goals_of_both("source: CPU s", lambda https: table.cpu("longhaul, source", https),
                        *[1.1 * table.cpu("zstd -12") + gib] * 2)
    table.goals_of_both("target: CPU s per GiB",
                        lambda https: table.cpu("longhaul, target", https) / gib, 6, 6)
    table.goal("source: share of the cores left idle while compressing",
               statistics.median(idle_shares), 0.1)
    return table
