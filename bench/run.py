#!/usr/bin/env python3
"""run.py [--runs N] [--record] [CASE...]: longhaul and its peers, measured side by side.

Cases: copy-small copy-large replicate-small replicate-files bundle csv targets backup cluster distance
listing idle latency dashboard cache-serve cache-fill shards (default: all).
Servers, clients and data are on this machine; data is on a tmpfs where there is one. Tools take
turns within a case, so that a busy spell of the machine meets them all; the table shows medians.
CPU is user + system time of the whole process tree of the client; servers are not counted. Read
differences below 20 % as none. Cases run over HTTP and over HTTPS: then nginx stands before the
servers, and nobody but the clients is measured.

--record writes the tables to bench/RESULTS.md, each with its commit, date, machine and command: one
for each case and kind of machine. The tables of other machines and of cases that did not run stay
as they are, and so does what stands below KEPT, by hand.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import datetime
import itertools
import json
import os
import pathlib
import platform
import random
import re
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from http.client import HTTPConnection

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests/system"))
import dashboard_load  # noqa: E402
import many_rules  # noqa: E402
from fake_listing import FakeListing  # noqa: E402
from harness import (ACCESS_KEY_ID, BINARY, REGION, SECRET_ACCESS_KEY, Finished, Process, Thing,  # noqa: E402
                     World, check, corpus, differences, free_port, http, keys_of, make_buckets,
                     put_all, real_servers, rule, step, store_of, text_bytes, wait_until)
from kill9 import listener  # noqa: E402
from tls_front import TlsFront  # noqa: E402

CORES = os.cpu_count()
MIB = 1 << 20
RCLONE = real_servers.cache_dir() / "bin/rclone"
TOXIPROXY = real_servers.cache_dir() / "bin/toxiproxy"
# All that makes it cheaper and leaves a right copy: no HEADs, no hashes, no look at times.
RCLONE_TUNED = ["--size-only", "--s3-no-head", "--s3-no-head-object", "--s3-disable-checksum",
                "--ignore-checksum", "--s3-use-unsigned-payload=true", "--fast-list",
                "--buffer-size", "0", "--transfers", "16"]


SCHEMES = (False, True)  # HTTP, HTTPS.


class Table:
    """Rows of one case: what ran, its figures, and goals with what was reached."""

    def __init__(self, title: str, explain: str):
        self.title, self.explain = title, explain
        self.runs: dict[str, dict[bool, list[Finished]]] = {}
        self.bytes_sent: dict[str, float] = {}
        self.goals: list[tuple[str, float, float]] = []
        self.origin = ""  # Commit, date, machine and command.

    def add(self, name: str, finished: Finished, https: bool = False) -> Finished:
        finished.expect(0)
        self.runs.setdefault(name, {}).setdefault(https, []).append(finished)
        step(f"{self.title}: {name}{', HTTPS' if https else ''}: CPU {finished.cpu_seconds:.1f} s, "
             f"wall {finished.seconds:.1f} s, {finished.peak_rss_bytes >> 20} MiB")
        return finished

    def cpu(self, name: str, https: bool = False) -> float:
        return statistics.median(run.cpu_seconds for run in self.runs[name][https])

    def wall(self, name: str, https: bool = False) -> float:
        return statistics.median(run.seconds for run in self.runs[name][https])

    def rss_mib(self, name: str, https: bool = False) -> float:
        return max(run.peak_rss_bytes for run in self.runs[name][https]) / MIB

    def goal(self, text: str, value: float, limit: float) -> None:
        self.goals.append((text, value, limit))

    def goals_of_both(self, text: str, figure, limit: float, limit_https: float) -> None:
        """`figure` of HTTP and of HTTPS, each with its limit."""
        self.goal(text, figure(False), limit)
        self.goal(f"{text}, HTTPS", figure(True), limit_https)

    def _figures(self, name: str, https: bool) -> list[str]:
        if https not in self.runs[name]:
            return ["", "", ""]
        rss = self.rss_mib(name, https)
        return [f"{self.cpu(name, https):.2f}", f"{self.wall(name, https):.1f}",
                f"{rss:.0f}" if rss else ""]

    def markdown(self) -> str:
        """What belongs to the machine: the title and what it explains are the same on all."""
        both = any(True in runs for runs in self.runs.values())
        heads = ["", "CPU s", "wall s", "peak RSS MiB"]
        heads += ["HTTPS: CPU s", "wall s", "peak RSS MiB"] if both else []
        heads += ["MB sent", "runs"]
        lines = [self.origin, "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
        for name, runs in self.runs.items():
            cells = [name, *self._figures(name, False), *(self._figures(name, True) if both else [])]
            cells += [f"{self.bytes_sent[name] / 1e6:.2f}" if name in self.bytes_sent else "",
                      str(max(len(some) for some in runs.values()))]
            lines.append(f"| {' | '.join(cells)} |")
        if self.goals:
            lines += ["", "| goal | reached | limit | |", "|---|---|---|---|"]
            lines += [f"| {text} | {value:.3g} | {limit:.3g} | "
                      f"{'met' if value <= limit else 'missed'} |"
                      for text, value, limit in self.goals]
        return "\n".join(lines) + "\n"


def run_command(world: World, command: list, env=None) -> Finished:
    """Any program, measured like longhaul."""
    return Process(command[1:], world.work, env, binary=str(command[0])).wait(3600)


def shell(world: World, text: str) -> Finished:
    ran = run_command(world, ["/bin/bash", "-c", "set -o pipefail; " + text])
    ran.peak_rss_bytes = 0  # That of the shell says nothing.
    return ran


def rclone(world: World, source, target, from_: str, to: str, flags) -> Finished:
    env = {"RCLONE_CONFIG": str(world.work / "rclone.conf")}
    if source.endpoint.startswith("https://"):
        flags = [*flags, "--ca-cert", str(world.work / "certificate.pem")]
    for name, server in (("A", source), ("B", target)):
        env |= {f"RCLONE_CONFIG_{name}_TYPE": "s3", f"RCLONE_CONFIG_{name}_PROVIDER": "Other",
                f"RCLONE_CONFIG_{name}_ENDPOINT": server.endpoint,
                f"RCLONE_CONFIG_{name}_REGION": REGION,
                f"RCLONE_CONFIG_{name}_ACCESS_KEY_ID": ACCESS_KEY_ID,
                f"RCLONE_CONFIG_{name}_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}
    return run_command(world, [RCLONE, "copy", "-q", f"A:{from_}", f"B:{to}", *flags], env)


class Buckets:
    """Two servers; a bucket at the source, and a new empty one at the target for each run. They keep
    connections, as S3 does."""

    def __init__(self, world: World):
        self.world = world
        self.source = world.serve("versitygw", "source", keep_alive=True)
        self.target = world.serve("versitygw", "target", keep_alive=True)
        front = TlsFront(world.work, self.source.endpoint, self.target.endpoint)
        world.callback(front.close)
        self.ends = {False: (self.source, self.target), True: tuple(front.servers)}
        self.env = {"AWS_CA_BUNDLE": str(front.certificate)}
        self.source.s3.create_bucket(Bucket="data")
        self.count = 0

    def stores(self, https: bool) -> dict:
        return dict(zip(("source", "target"), self.ends[https]))

    def rclone(self, to: str, flags, https: bool = False) -> Finished:
        return rclone(self.world, *self.ends[https], "data", to, flags)

    def empty(self) -> str:
        self.count += 1
        self.target.s3.create_bucket(Bucket=f"copy-{self.count}")
        return f"copy-{self.count}"

    def drop(self, bucket: str) -> None:
        """Makes room: what the runs wrote lies in memory."""
        self.target.s3.delete_bucket(Bucket=bucket) if not keys_of(self.target.s3, bucket) else None
        subprocess.run(["find", self.target.folder / bucket, "-mindepth", "1", "-delete"])

    def expect_copied(self, bucket: str, count: int) -> None:
        there = len(keys_of(self.target.s3, bucket))
        check(there == count, f"{there} objects at the target, not {count}")

    def copy(self, to: str, *flags, https: bool = False) -> Finished:
        config = self.world.config(self.stores(https), [], "cp.yaml")
        return self.world.run("cp", "--config", config, "--recursive", "source:data/",
                              f"target:{to}/", *flags, timeout=3600, env=self.env)

    def sync(self, to: str, https: bool = False) -> Finished:
        config = self.world.config(self.stores(https), [], "sync.yaml")
        return self.world.run("sync", "--config", config, "source:data/", f"target:{to}/",
                              timeout=3600, env=self.env)

    def replicate(self, to: str, level: int | str = 6, source: str = "data/", https: bool = False):
        staging = self.empty()
        # A new database for each run; both roles of one run share it.
        config = self.world.config(
            self.stores(https),
            [rule(f"source:{source}", f"target:{to}/", f"target:{staging}/", compression=level)],
            f"{to}.yaml", queue=f"sqlite:{to}.db", state=f"sqlite:{to}.db")
        return staging, lambda *more: self.world.run(
            "replicate", "--config", config, "--once", *more, timeout=3600, env=self.env)

    def staged_bytes(self, staging: str) -> int:
        pages = self.target.s3.get_paginator("list_objects_v2").paginate(Bucket=staging)
        return sum(entry["Size"] for page in pages for entry in page.get("Contents", [])
                   if entry["Key"].endswith(".tar.zst"))


def small_things(count: int = 20_000, size: int = 4096) -> list[Thing]:
    random_ = random.Random(11)
    return [Thing(f"{i % 100:02}/obj-{i:06}.log", text_bytes(random_, size)) for i in range(count)]


def copy_small(runs: int) -> Table:
    table = Table("Plain copy, 20,000 × 4 KiB",
                  "`longhaul cp --recursive` beside `rclone copy` (tuned: see `bench/run.py`).")
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", small_things())
        for https in SCHEMES * runs:
            to = buckets.empty()
            table.add("longhaul cp", buckets.copy(to, https=https), https)
            buckets.expect_copied(to, 20_000)
            to = buckets.empty()
            table.add("rclone, tuned", buckets.rclone(to, RCLONE_TUNED, https), https)
            buckets.expect_copied(to, 20_000)
    table.goals_of_both("CPU / rclone's", lambda https: table.cpu("longhaul cp", https) /
                        table.cpu("rclone, tuned", https), 0.2, 0.3)
    table.goals_of_both("wall / rclone's", lambda https: table.wall("longhaul cp", https) /
                        table.wall("rclone, tuned", https), 0.7, 0.7)
    return table


def sync_small(runs: int) -> Table:
    table = Table("Sync, 20,000 × 4 KiB",
                  "`longhaul sync`, first with all objects new, then with nothing to do, beside "
                  "`rclone copy` doing the same: tuned, then with `--size-only --fast-list`.")
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", small_things())
        for https in SCHEMES * runs:
            to = buckets.empty()
            table.add("longhaul sync, new", buckets.sync(to, https), https)
            buckets.expect_copied(to, 20_000)
            table.add("longhaul sync, nothing to do", buckets.sync(to, https), https)
            to = buckets.empty()
            table.add("rclone, tuned, new", buckets.rclone(to, RCLONE_TUNED, https), https)
            buckets.expect_copied(to, 20_000)
            table.add("rclone, nothing to do",
                      buckets.rclone(to, ["--size-only", "--fast-list"], https), https)
    table.goals_of_both("new: CPU / rclone's", lambda https: table.cpu("longhaul sync, new", https)
                        / table.cpu("rclone, tuned, new", https), 0.2, 0.3)
    table.goals_of_both("nothing to do: CPU / rclone's", lambda https:
                        table.cpu("longhaul sync, nothing to do", https) /
                        table.cpu("rclone, nothing to do", https), 0.1, 0.1)
    table.goals_of_both("nothing to do: CPU s", lambda https:
                        table.cpu("longhaul sync, nothing to do", https), 0.2, 0.2)
    return table


def copy_large(runs: int) -> Table:
    table = Table("Plain copy, 4 × 1 GiB",
                  "Single-part sources that carry a CRC64NVME; beside `rclone copy`, defaults.")
    with World("bench") as world:
        buckets = Buckets(world)
        random_ = random.Random(12)
        block = text_bytes(random_, 16 * MIB)
        for number in range(4):
            path = world.work / "body"
            with open(path, "wb") as file:
                for part in range(64):
                    file.write(f"{number} {part}\n".encode().ljust(16) + block[16:])
            with open(path, "rb") as file:
                buckets.source.s3.put_object(Bucket="data", Key=f"large-{number}", Body=file,
                                             ChecksumAlgorithm="CRC64NVME")
            path.unlink()
        head = buckets.source.s3.head_object(Bucket="data", Key="large-0", ChecksumMode="ENABLED")
        check(head.get("ChecksumCRC64NVME"), f"the source has no CRC64NVME: {head}")
        for https in SCHEMES * runs:
            for name, copy in (("longhaul cp", lambda to: buckets.copy(to, https=https)),
                               ("rclone", lambda to: buckets.rclone(to, [], https))):
                to = buckets.empty()
                table.add(name, copy(to), https)
                buckets.expect_copied(to, 4)
                buckets.drop(to)
    table.goals_of_both("CPU / rclone's", lambda https: table.cpu("longhaul cp", https) /
                        table.cpu("rclone", https), 0.2, 0.35)
    table.goal("CPU s per GiB, HTTPS", table.cpu("longhaul cp", True) / 4, 1.8)
    return table


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
            for name, level in levels.items():
                to = buckets.empty()
                _, replicate = buckets.replicate(to, level, https=https)
                done = table.add(name, replicate("--json"), https)
                table.bytes_sent[name] = done.lines()[-1]["sent_bytes"]
                if number < len(SCHEMES):
                    found = differences(buckets.source.s3, "data", buckets.target.s3, to)
                    check(not found, f"not equal: {found[:5]}")
            table.add("rclone, tuned", buckets.rclone(buckets.empty(), RCLONE_TUNED, https), https)
    for name in levels:
        table.goals_of_both(f"{name}: CPU / rclone's", lambda https, name=name:
                            table.cpu(name, https) / table.cpu("rclone, tuned", https), 0.35, 0.3)
    return table


def write_files(folder: pathlib.Path, objects: list[Thing]) -> None:
    for thing in objects:
        path = folder / thing.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(thing.body)


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


def targets(runs: int) -> Table:
    """What a second and a third target cost the source."""
    table = Table("Replicate to three targets, source",
                  "20,000 × 4 KiB, level 6, `--roles source`: one target beside three, each of which "
                  "has a staging of its own.")
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", small_things())
        for number, https in enumerate(SCHEMES * runs):
            for count in (1, 3):
                made = rule("source:data/", "", "", compression=6)
                made["targets"] = [{"to": f"target:{buckets.empty()}/",
                                    "staging": f"target:{buckets.empty()}/"} for _ in range(count)]
                database = f"sqlite:{count}-{number}.db"
                config = world.config(buckets.stores(https), [made], f"{count}-{number}.yaml",
                                      queue=database, state=database)
                table.add("one target" if count == 1 else "three targets", world.run(
                    "replicate", "--config", config, "--once", "--roles", "source", timeout=3600,
                    env=buckets.env), https)
    table.goals_of_both("CPU / that of one target", lambda https: table.cpu("three targets", https) /
                        table.cpu("one target", https), 1.1, 1.1)
    return table


def backup(runs: int) -> Table:
    """What a backup beside a replica costs the source."""
    table = Table("Replicate to a target and a backup, source",
                  "20,000 × 4 KiB, level 6, `--roles source`: a target alone beside the same target "
                  "and a backup of the same rule; both go through one staging.")
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", small_things())
        for number, https in enumerate(SCHEMES * runs):
            for name, kinds in (("a target", [{}]), ("a target and a backup", [{}, {"backup": {}}])):
                made = rule("source:data/", "", "", compression=6)
                staging = f"target:{buckets.empty()}/"
                made["targets"] = [{"to": f"target:{buckets.empty()}/", "staging": staging, **kind}
                                   for kind in kinds]
                database = f"sqlite:{len(kinds)}-{number}.db"
                config = world.config(buckets.stores(https), [made], f"{len(kinds)}-{number}.yaml",
                                      queue=database, state=database)
                table.add(name, world.run(
                    "replicate", "--config", config, "--once", "--roles", "source", timeout=3600,
                    env=buckets.env), https)
    table.goals_of_both("CPU / that of the target alone",
                        lambda https: table.cpu("a target and a backup", https) /
                        table.cpu("a target", https), 1.05, 1.05)
    return table


def cluster(runs: int) -> Table:
    """What a shared database costs the source, and what a second process brings."""
    table = Table("Replicate over PostgreSQL, source",
                  "20,000 × 4 KiB, level 12, `--once --roles source`, each process on a core of its "
                  "own: one over SQLite, one over PostgreSQL, and two that pack the same over it; of "
                  "these the CPU of both, and the time until both have ended.")
    with World("bench") as world:
        buckets = Buckets(world)
        things_ = small_things()
        put_all(buckets.source.s3, "data", things_)
        database = world.serve("postgres")

        def pack(name: str, place: str, count: int) -> None:
            staging = buckets.empty()
            config = world.config(
                buckets.stores(False),
                [rule("source:data/", f"target:{buckets.empty()}/", f"target:{staging}/",
                      compression=12)], f"{staging}.yaml", queue=place, state=place)
            world.run("setup", "--config", config).expect(0)
            processes = [world.start("-c", str(number % CORES), BINARY, "replicate", "--config",
                                     config, "--once", "--roles", "source", "--json",
                                     binary="taskset") for number in range(count)]
            done = [process.wait(3600).expect(0) for process in processes]
            table.add(name, dataclasses.replace(
                done[0], cpu_seconds=sum(one.cpu_seconds for one in done),
                seconds=max(one.seconds for one in done),
                peak_rss_bytes=max(one.peak_rss_bytes for one in done)))
            table.bytes_sent[name] = buckets.staged_bytes(staging)
            buckets.drop(staging)

        for number in range(runs):
            schema = f"{database.endpoint}?schema=bench_{number}"
            pack("one over SQLite", f"sqlite:cluster-{number}.db", 1)
            pack("one over PostgreSQL", schema + "_one", 1)
            pack("two over PostgreSQL", schema + "_two", 2)
    table.goal("CPU over PostgreSQL / over SQLite",
               table.cpu("one over PostgreSQL") / table.cpu("one over SQLite"), 1.1)
    table.goal("wall of two / of one",
               table.wall("two over PostgreSQL") / table.wall("one over PostgreSQL"), 0.6)
    return table


class Distance:
    """A network with a round trip of MILLISECONDS in front of a server."""

    MILLISECONDS = 80

    def __init__(self, world: World, server):
        port, self.port = free_port(), free_port()
        self.process = Process(["-host", "127.0.0.1", "-port", str(port)], world.work, None,
                               binary=str(TOXIPROXY))
        api = f"http://127.0.0.1:{port}"
        wait_until(lambda: self._answers(f"{api}/version"), 20, "toxiproxy answers", every=0.1)
        self._post(f"{api}/proxies", {"name": "far", "listen": f"127.0.0.1:{self.port}",
                                      "upstream": server.endpoint.partition("://")[2]})
        self.scheme = server.endpoint.partition("://")[0]
        self.toxics = f"{api}/proxies/far/toxics"

    def far(self) -> None:
        for stream in ("upstream", "downstream"):
            self._post(self.toxics, {"name": stream, "type": "latency", "stream": stream,
                                     "attributes": {"latency": self.MILLISECONDS // 2}})

    def near(self) -> None:
        for stream in ("upstream", "downstream"):
            urllib.request.urlopen(urllib.request.Request(f"{self.toxics}/{stream}",
                                                          method="DELETE")).read()

    @property
    def store(self) -> dict:
        return store_of(f"{self.scheme}://127.0.0.1:{self.port}")

    def close(self) -> None:
        self.process.kill(15)
        self.process.wait(20)

    @staticmethod
    def _answers(url: str) -> bool:
        try:
            return bool(urllib.request.urlopen(url).read())
        except OSError:
            return False

    @staticmethod
    def _post(url: str, body: dict) -> None:
        urllib.request.urlopen(url, json.dumps(body).encode()).read()


def carried_by_two(buckets: Buckets, source, target, staging: pathlib.Path) -> Finished:
    """A process for each role, until the target has applied all that the source has staged; as one."""
    begun = time.monotonic()
    world = buckets.world
    applies = world.start("replicate", "--config", target, "--roles", "target", env=buckets.env)
    packed = world.run("replicate", "--config", source, "--roles", "source", "--once", timeout=3600,
                       env=buckets.env)
    packed.expect(0)

    def applied() -> bool:  # The server's files: listings would take from those who work.
        return not any(staging.glob("*.tar.zst"))

    wait_until(applied, 3600, "everything is applied", every=0.05)
    seconds = time.monotonic() - begun
    applies.kill(15)
    ended = applies.wait(60)
    return dataclasses.replace(packed, seconds=seconds,
                               cpu_seconds=packed.cpu_seconds + ended.cpu_seconds,
                               peak_rss_bytes=max(packed.peak_rss_bytes, ended.peak_rss_bytes))


def carry_near_and_far(table: Table, buckets: Buckets, https: bool) -> None:
    world = buckets.world
    source_end, target_end = buckets.ends[https]
    between = Distance(world, target_end)
    for source, what, roles in (("data", "60,000 small, source and target", "apart"),
                                ("large", "2 GiB, source and target", "apart"),
                                ("data", "60,000 small, source", "source"),
                                ("large", "2 GiB, source", "source"),
                                ("data", "60,000 small, both roles", "source,target"),
                                ("large", "2 GiB, both roles", "source,target")):
        for where in ("near", "far"):
            to, staging = buckets.empty(), buckets.empty()

            def config(name: str, target) -> pathlib.Path:
                return world.config(
                    {"source": source_end, "target": target},
                    [rule(f"source:{source}/", f"target:{to}/", f"target:{staging}/",
                          compression=6)],
                    f"{name}.yaml", queue=f"sqlite:{name}.db", state=f"sqlite:{name}.db")

            if where == "far":
                between.far()
            if roles == "apart":
                ran = carried_by_two(buckets, config(f"{to}-source", between.store),
                                     config(f"{to}-target", target_end),
                                     buckets.target.folder / staging / "main")
            else:
                far = {**between.store, "requests": 256} if "target" in roles else between.store
                ran = world.run("replicate", "--config", config(to, far), "--once", "--roles", roles,
                                timeout=3600, env=buckets.env)
            table.add(f"{what}, {where}", ran, https)
            if where == "far":
                between.near()
            subprocess.run(["find", buckets.target.folder, "-mindepth", "2", "-delete"])
    between.close()


def distance(runs: int) -> Table:
    table = Table("Replicate over a distance",
                  f"The target's server is {Distance.MILLISECONDS} ms (round trip) away, or beside: a "
                  "proxy, toxiproxy, stands between in both cases. 60,000 × 4 KiB at level 6; and one "
                  "object of 2 GiB that does not shrink. *source and target*: a process for each role, "
                  "beside its own server and with a database of its own, until everything is applied; "
                  "archives alone take the long way. *source*: the same without a target. *both "
                  "roles*, for comparison: one process beside the source reads its archives back and "
                  "makes each write over the distance, 256 requests at a time.")
    random_ = random.Random(14)
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", small_things(60_000))
        buckets.source.s3.create_bucket(Bucket="large")
        with open(world.work / "body", "wb") as file:
            for _ in range(128):
                file.write(random_.randbytes(16 * MIB))
        with open(world.work / "body", "rb") as file:
            buckets.source.s3.put_object(Bucket="large", Key="one", Body=file)
        (world.work / "body").unlink()
        for https in SCHEMES * runs:
            carry_near_and_far(table, buckets, https)
    for what in [name.removesuffix(", far") for name in table.runs if name.endswith(", far")]:
        # A throughput of 80 % is a time of 1 / 0.8.
        table.goals_of_both(f"{what}: time far / near", lambda https: table.wall(
            f"{what}, far", https) / table.wall(f"{what}, near", https), 1.25, 1.25)
    return table


def latency(_: int) -> Table:
    """From a change at the source to the same at the target."""
    rules, changes, burst = 10, 1000, 20_000
    table = Table("How long a change takes",
                  f"From the end of a PUT to the replica, a continuous `replicate` that hears of it by "
                  f"webhook, `settle` of 2 s. *idle*: {rules} rules, {changes // rules} changes of each, "
                  f"one after the other, every second of them of an object that is there; then a burst of {burst:,} × 4 KiB for one rule, as fast as the "
                  "source takes them.")
    things = small_things(changes + burst)
    figures = {https: watch_changes(table, https, rules, changes, things) for https in SCHEMES}
    for text, limit in (("idle: s, p50", 2 + 3), ("idle: s, p99", 2 + 3),
                        ("burst: s, the last to arrive after its PUT", 60),
                        ("burst: objects over the rule's threshold of 60 s", 0)):
        table.goals_of_both(text, lambda https: figures[https][text], limit, limit)
    return table


def watch_changes(table: Table, https: bool, rules: int, changes: int,
                  things: list[Thing]) -> dict[str, float]:
    burst = len(things) - changes
    with World("bench") as world:
        port = free_port()
        with listener(port):
            source = world.serve("versitygw", "source", keep_alive=True,
                                 webhook=f"http://127.0.0.1:{port}/v1/events")
        target = world.serve("versitygw", "target", keep_alive=True)
        make_buckets(source, target)
        front = TlsFront(world.work, source.endpoint, target.endpoint)
        world.callback(front.close)
        ends = front.servers if https else [source, target]
        made = []
        for number in range(rules):
            made.append(rule(f"source:data/{number}/", f"target:copy/{number}/",
                             intake={"webhook": True, "listing": "1h"}, threshold="60s")
                        | {"id": f"rule-{number}"})
        config = world.config(dict(zip(("source", "target"), ends)), made,
                              listen=f"127.0.0.1:{port}")
        process = world.start("replicate", "--config", config,
                              env={"AWS_CA_BUNDLE": str(front.certificate)})
        wait_until(lambda: http(f"http://127.0.0.1:{port}/readyz")[0] == 200, 30, "ready")
        time.sleep(3)

        took: list[float] = []
        begun = time.monotonic()

        def change(number: int):
            mine = things[number:changes:rules]
            for turn, thing in enumerate(mine):
                # Every second one changes the object before it.
                key = f"{number}/{mine[turn // 2 * 2].key}"
                etag = source.s3.put_object(Bucket="data", Key=key, Body=thing.body)["ETag"]
                at = time.monotonic()
                while True:
                    time.sleep(0.1)
                    try:
                        if target.s3.head_object(Bucket="copy", Key=key)["ETag"] == etag:
                            break
                    except target.s3.exceptions.ClientError:
                        pass
                    check(time.monotonic() < at + 60, f"{key} does not arrive")
                took.append(time.monotonic() - at)

        with concurrent.futures.ThreadPoolExecutor(rules) as pool:
            for done in [pool.submit(change, number) for number in range(rules)]:
                done.result()
        took.sort()
        step(f"idle: p50 {took[len(took) // 2]:.2f} s, p99 {took[len(took) * 99 // 100]:.2f} s, "
             f"max {took[-1]:.2f} s")

        put_at: dict[str, float] = {}
        late: list[float] = []

        # Each object is a file of the server's: to list them takes nothing from those who work.
        def names() -> set[str]:
            return {name for _, _, files in os.walk(target.folder / "copy/0") for name in files}

        there = names()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            def put(thing: Thing):
                source.s3.put_object(Bucket="data", Key=f"0/{thing.key}", Body=thing.body)
                put_at[thing.key.split("/")[1]] = time.monotonic()

            done = [pool.submit(put, thing) for thing in things[changes:]]
            while len(late) < burst:
                now = time.monotonic()
                for name in names() - there:
                    there.add(name)
                    late.append(now - put_at.get(name, now))
                check(now < begun + 1800, "the burst does not arrive")
                time.sleep(0.5)
            for one in done:
                one.result()
        metrics = http(f"http://127.0.0.1:{port}/metrics")[1]
        missed = sum(float(line.split()[-1]) for line in metrics.splitlines()
                     if line.startswith("longhaul_threshold_missed_total"))
        process.kill(15)
        finished = process.wait(40)
        finished.code = 0
        table.add("longhaul replicate, from start to end", finished, https)
    return {"idle: s, p50": took[len(took) // 2], "idle: s, p99": took[len(took) * 99 // 100],
            "burst: s, the last to arrive after its PUT": max(late),
            "burst: objects over the rule's threshold of 60 s": missed}


def listing(runs: int) -> Table:
    table = Table("List 1,000,000 keys",
                  "`longhaul ls --recursive` of a server that has its pages ready.")
    with World("bench") as world:
        server = FakeListing(1_000_000)
        front = TlsFront(world.work, server.endpoint)
        world.callback(front.close)
        for https in SCHEMES * runs:
            end = front.servers[0] if https else server
            config = world.config({"fake": store_of(end.endpoint)}, [], "ls.yaml")
            ran = table.add("longhaul ls", world.run(
                "ls", "--config", config, "--recursive", "fake:data/", timeout=600,
                env={"AWS_CA_BUNDLE": str(front.certificate)}), https)
            lines = ran.stdout.count("key-")
            check(lines == 1_000_000, f"{lines} keys")
        server.close()
    table.goals_of_both("CPU s", lambda https: table.cpu("longhaul ls", https), 2, 2)
    table.goals_of_both("peak RSS MiB", lambda https: table.rss_mib("longhaul ls", https), 100, 100)
    return table


def list_flat(runs: int) -> Table:
    table = Table("List a flat prefix of 1,000,000 keys in no pattern, pages of 50 ms",
                  "`longhaul ls --recursive`; beside it `--listers 1`, once.")
    with World("bench") as world:
        server = FakeListing(1_000_000, pattern=False, seconds=0.05)
        config = world.config({"fake": store_of(server.endpoint)}, [], "ls.yaml")
        for name, times, flags in (("64 listers", runs, []), ("one lister", 1, ["--listers", "1"])):
            for _ in range(times):
                ran = table.add(name, world.run("ls", "--config", config, "--recursive", *flags,
                                                "fake:data/", timeout=600))
                keys = [line.split("  ")[-1] for line in ran.stdout.splitlines()]
                check(len(keys) == 1_000_000 and keys == sorted(set(keys)), f"{len(keys)} keys")
        server.close()
    table.goal("wall s, 64 listers ÷ one lister", table.wall("64 listers") / table.wall("one lister"),
               0.05)
    table.goal("peak RSS MiB", table.rss_mib("64 listers"), 150)
    return table


class OpenDashboards:
    """So many tabs with the dashboard open, as far as the server sees them: each holds a stream, and
    asks again for what the overview asks for every minute."""

    def __init__(self, port: int, count: int, token: str = ""):
        self.port, self.headers = port, {"Authorization": f"Bearer {token}"} if token else {}
        self.closed = threading.Event()
        self.streams = []
        for _ in range(count):
            self.ask("v1/version", "v1/rules?limit=100", "v1/health", "v1/dead-letters?limit=1",
                     "v1/history")
            self.streams.append(HTTPConnection("127.0.0.1", port, timeout=60))
            self.streams[-1].request("GET", "/v1/stream", headers=self.headers)
            threading.Thread(target=self._read, args=(self.streams[-1].getresponse(),),
                             daemon=True).start()
            threading.Thread(target=self._look, daemon=True).start()

    def ask(self, *paths: str) -> None:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
        for path in paths:
            connection.request("GET", f"/{path}", headers=self.headers)
            answer = connection.getresponse()
            answer.read()
            check(answer.status == 200, f"{path}: {answer.status}")
        connection.close()

    def _read(self, stream) -> None:
        with contextlib.suppress(Exception):  # It ends when it is closed.
            while stream.read1(1 << 16):
                pass
        check(self.closed.is_set(), "a stream has ended by itself")

    def _look(self) -> None:
        while not self.closed.wait(60):
            self.ask("v1/dead-letters?limit=1", "v1/history")

    def close(self) -> None:
        self.closed.set()
        for stream in self.streams:
            stream.close()


def idle(_: int) -> Table:
    seconds, tabs = 60, 3
    table = Table("Idle", f"A continuous `replicate` with one rule and nothing to do, {seconds} s; then "
                          f"as long with the dashboard open in {tabs} tabs, which hold their streams and "
                          "ask for what the overview asks for.")
    figures = {}
    for https in SCHEMES:
        with World("bench") as world:
            buckets = Buckets(world)
            to, staging = buckets.empty(), buckets.empty()
            put_all(buckets.source.s3, "data", small_things(10))
            port = free_port()
            config = world.config(buckets.stores(https),
                                  [rule("source:data/", f"target:{to}/", f"target:{staging}/")],
                                  listen=f"127.0.0.1:{port}")
            process = world.start("replicate", "--config", config, env=buckets.env)
            wait_until(lambda: len(keys_of(buckets.target.s3, to)) == 10, 60, "10 objects arrive")
            wait_until(lambda: http(f"http://127.0.0.1:{port}/readyz")[0] == 200, 30, "ready")

            def rest() -> tuple[float, float]:
                time.sleep(5)
                before = process.cpu_seconds()
                time.sleep(seconds)
                return (process.cpu_seconds() - before) / seconds, process.rss_bytes() / MIB

            figures[https] = rest()
            dashboards = OpenDashboards(port, tabs)
            figures[https] += rest()
            dashboards.close()
            process.kill(15)
            finished = process.wait(40)
            finished.code = 0
            table.add("longhaul replicate, from start to end", finished, https)
    table.goals_of_both("% of a core", lambda https: 100 * figures[https][0], 1, 1)
    table.goals_of_both("RSS MiB", lambda https: figures[https][1], 40, 40)
    table.goals_of_both("dashboard open: % of a core", lambda https: 100 * figures[https][2], 1.5, 1.5)
    table.goals_of_both("dashboard open: RSS MiB", lambda https: figures[https][3], 50, 50)
    return table


def dashboard(runs: int) -> Table:
    """What the dashboard costs where there is much to show."""
    rules, parked, seconds = 1000, 100_000, 60
    table = Table("Dashboard of 1,000 rules and 100,000 parked objects",
                  f"A continuous `replicate` of {rules:,} rules, each with {parked // rules} objects "
                  "that are parked, which nobody has asked for anything; then Chromium walks through its "
                  "pages. *First load*: from the request for the page until rules are painted, as many "
                  "as a screen shows, for somebody who never was there; the median of five in a browser "
                  f"that runs, and one in a browser that has just been started. *At rest*: {seconds} s with the dashboard open in 3 tabs.")
    loads, colds, shares, answers, looked = [], [], [], [], []
    for _ in range(runs):
        with World("bench") as world:
            port = free_port()
            url = f"http://127.0.0.1:{port}/"
            config = many_rules.make(world, port, rules, parked // rules)
            process = dashboard_load.start(world, config, port)
            time.sleep(30)  # Until each rule has said that it runs.
            before = process.cpu_seconds()
            seen = dashboard_load.browse(url, rules, parked // rules)
            looked.append(process.cpu_seconds() - before)
            loads += seen["first_load_ms"]
            colds.append(seen["cold_browser_ms"])
            answers += seen["first_answers"] + seen["answers"]
            dashboards = OpenDashboards(port, 3, many_rules.TOKEN)
            time.sleep(5)
            before = process.cpu_seconds()
            time.sleep(seconds)
            shares.append((process.cpu_seconds() - before) / seconds)
            dashboards.close()
            process.kill(15)
            finished = process.wait(40)
            finished.code = 0
            table.add("longhaul replicate, from start to end", finished)
    table.goal("first load: ms", statistics.median(loads), 300)
    table.goal("first load, browser just started: ms", statistics.median(colds), 500)
    table.goal("largest answer: KiB", max(answer["bytes"] for answer in answers) / 1024, 256)
    table.goal("slowest answer: ms", max(answer["ms"] for answer in answers), 300)
    table.goal("all pages walked through: CPU s of the server", statistics.median(looked), 2)
    table.goal("at rest, dashboard open: % of a core", 100 * statistics.median(shares), 5)
    return table


GET_BENCH = pathlib.Path(BINARY).parent / "bench/get_bench"


def gets(endpoint: str, bucket: str, count: int, clients: int, seconds: float) -> dict:
    done = subprocess.run([GET_BENCH, endpoint, bucket, "o", str(count), str(clients), str(seconds)],
                          capture_output=True, text=True)
    check(done.returncode == 0, f"get_bench: {done.stderr}")
    return json.loads(done.stdout)


def cache_serve(runs: int) -> Table:
    """Hits beside the gateway over the same folder; misses beside the source itself."""
    count, misses, seconds = 2000, 500, 8
    table = Table("`cache serve`",
                  f"GETs of {count:,} × 4 KiB by 16 clients at once, {seconds} s at a time: `serve s3` "
                  "of a folder, and `cache serve` with its copies in a folder, each of them a hit. Then "
                  f"{misses} misses, one after the other, from versitygw, which is also asked without "
                  "a cache. CPU is of the server.")
    rates: dict[str, list[float]] = {"gateway": [], "hits": []}
    costs: dict[str, list[float]] = {"gateway": [], "hits": []}
    later: list[float] = []
    with World("bench") as world:
        source = world.serve("versitygw", "source", keep_alive=True)
        source.s3.create_bucket(Bucket="data")
        put_all(source.s3, "data", [Thing(f"o{number}", os.urandom(4096)) for number in range(count)])
        folder = world.folder / "near"
        (folder / "cache").mkdir(parents=True)
        (folder / "data").mkdir()
        stores = {"source": source, "near": {"type": "file", "root": str(folder)}}
        config = world.config(stores, [], "serve.yaml", state="sqlite:hits.db")
        world.run("cp", "--config", config, "--recursive", "source:data/", "near:data/").expect(0)
        world.run("cache", "fill", "source:data/", "--to", "near:cache", "--ttl", "24h", "--config",
                  config).expect(0)
        keys = ("--access-key-id", ACCESS_KEY_ID, "--secret-access-key", SECRET_ACCESS_KEY)

        def serve(*args) -> tuple[Process, str]:
            port = free_port()
            process = world.start(*args, "--listen", f"127.0.0.1:{port}", *keys)
            wait_until(lambda: http(f"http://127.0.0.1:{port}/")[0] != 0, 30, "it serves")
            return process, f"http://127.0.0.1:{port}"

        servers = {"gateway": serve("serve", "s3", "--root", folder),
                   "hits": serve("cache", "serve", "source:data", "--to", "near:cache", "--ttl", "24h",
                                 "--config", config)}
        for name, (_, endpoint) in servers.items():
            gets(endpoint, "data", count, 16, 0)  # Each once: what is read first is read from disk.
        for _ in range(2 * runs):
            for name, (process, endpoint) in servers.items():
                before = process.cpu_seconds()
                got = gets(endpoint, "data", count, 16, seconds)
                costs[name].append((process.cpu_seconds() - before) / got["gets"] * 1e6)
                rates[name].append(got["gets"] / got["seconds"])
                step(f"{name}: {rates[name][-1]:.0f}/s, {costs[name][-1]:.0f} us of CPU each")
        for name, (process, _) in servers.items():
            process.kill(15)
            finished = process.wait(60)
            if name == "hits":
                misses_seen = re.search(r"(\d[\d,]*) miss", finished.stdout)
                check(misses_seen and misses_seen[1] == "0", f"not all were hits: {finished.stdout}")
            finished.code = 0
            table.add("serve s3" if name == "gateway" else "cache serve, hits", finished)
        for number in range(runs):
            bucket = f"cold{number}"
            (folder / bucket).mkdir()
            cold = world.config(stores, [], f"{bucket}.yaml", state=f"sqlite:{bucket}.db")
            process, endpoint = serve("cache", "serve", "source:data", "--to", f"near:{bucket}", "--ttl",
                                      "24h", "--config", cold)
            gets(source.endpoint, "data", misses, 1, 0)
            direct = gets(source.endpoint, "data", misses, 1, 0)
            missed = gets(endpoint, "data", misses, 1, 0)
            later.append(missed["first_byte_p50_ms"] - direct["first_byte_p50_ms"])
            step(f"first byte: source {direct['first_byte_p50_ms']:.2f} ms, a miss "
                 f"{missed['first_byte_p50_ms']:.2f} ms")
            process.kill(15)
            finished = process.wait(60)
            finished.code = 0
            table.add("cache serve, misses", finished)
    table.goal("hits: the gateway's throughput / that of hits",
               statistics.median(rates["gateway"]) / statistics.median(rates["hits"]), 1 / 0.8)
    table.goal("hits: CPU of a hit / of a GET of the gateway",
               statistics.median(costs["hits"]) / statistics.median(costs["gateway"]), 1 / 0.8)
    table.goal("hits: CPU µs", statistics.median(costs["hits"]), 1000)
    table.goal("misses: ms from the source's first byte to ours, p50", statistics.median(later), 2)
    return table


SHARDS_BENCH = pathlib.Path(BINARY).parent / "bench/shards_bench"
CARRIERS = {"one shard": (1, 1), "two shards": (1, 2), "two processes of one shard": (2, 1)}


def carry(method: str, https: bool, carriers: tuple[int, int], size: int, clients: int,
          seconds: int) -> dict:
    """So many processes at once, of so many shards, with the clients shared out: their sum."""
    processes, count = carriers
    running = [subprocess.Popen(
        ["taskset", "-c", "0,1", SHARDS_BENCH, method, "https" if https else "http", str(count),
         str(size), str(clients // processes), str(seconds)], stdout=subprocess.PIPE, text=True)
        for _ in range(processes)]
    said = [(process.communicate()[0], process.returncode) for process in running]
    check(not any(code for _, code in said), "shards_bench failed")
    figures = [json.loads(line) for line, _ in said]
    total = {name: sum(one[name] for one in figures) for name in figures[0]}
    for name in ("client_cpu_s_per_gib", "client_cpu_us_per_request"):
        total[name] /= processes
    return total


def shards(runs: int) -> Table:
    """Two network threads beside one, and beside two processes: no design gets more of two cores."""
    gib, seconds = 10, 2
    table = Table("Network threads",
                  "The HTTP client by one shard and by two, and two processes of one shard, each on the same two "
                  f"cores (`taskset -c 0,1`), by turns, {seconds} s at a time. CPU and wall are those of {gib} GiB: uploads of "
                  "64 MiB from memory, 8 at once, to servers that throw them away unread (by HTTPS "
                  "undecrypted), so that what binds is the client. *small*: GETs of 4 KiB by 32 "
                  "clients, where the server takes a core.")
    measured: dict[tuple, list[dict]] = {}
    for _ in range(4 * runs):
        for https, (name, carriers) in itertools.product(SCHEMES, CARRIERS.items()):
            got = carry("put", https, carriers, 64 << 20, 8, seconds)
            measured.setdefault((name, https), []).append(got)
            table.add(name, Finished([], 0, "", "", gib * 1024 / got["mib_per_second"],
                                     gib * got["client_cpu_s_per_gib"], 0), https)
        for name in ("one shard", "two shards"):
            measured.setdefault((name, None), []).append(
                carry("get", False, CARRIERS[name], 4096, 32, seconds))

    def median(name: str, kind: bool | None, field: str) -> float:
        return statistics.median(got[field] for got in measured[name, kind])

    table.goal("HTTPS: throughput of one shard / of two",
               median("one shard", True, "mib_per_second") /
               median("two shards", True, "mib_per_second"), 1 / 1.8)
    table.goals_of_both("throughput of two processes / of two shards",
                        lambda https: median("two processes of one shard", https, "mib_per_second") /
                        median("two shards", https, "mib_per_second"), 1.05, 1.05)
    table.goals_of_both("cores that the caller's thread takes beside two shards",
                        lambda https: median("two shards", https, "home_cpu"), 0.05, 0.05)
    table.goals_of_both("cores that the server takes then",
                        lambda https: median("two shards", https, "server_cpu"), 0.3, 0.3)
    table.goal("small: CPU of a request by two shards / by one",
               median("two shards", None, "client_cpu_us_per_request") /
               median("one shard", None, "client_cpu_us_per_request"), 2)
    return table


FILL_OBJECTS = 20_000


def cache_fill(_: int) -> Table:
    """Copies that servers make by themselves, and hits."""
    count, prefixes = FILL_OBJECTS, 20
    table = Table("`cache fill`",
                  f"{count:,} × 100 bytes below {prefixes} prefixes, from one bucket of a server into "
                  "another of it, so that each copy is a CopyObject; then the same again, where all are "
                  "hits: it lists the source, and copies nothing.")
    costs = {}
    with World("bench", count * 64 << 10) as world:
        folder = world.folder / "files"
        for number in range(count):
            path = folder / f"p{number % prefixes:02}" / f"{number:07}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%0100d" % number)
        for kind in ("versitygw", "minio", "rgw"):
            options = {"keep_alive": True} if kind == "versitygw" else {}
            server = world.serve(kind, kind, **options)
            for bucket in ("data", "cache"):
                server.s3.create_bucket(Bucket=bucket)
            config = world.config({"east": server}, [], f"{kind}.yaml", state=f"sqlite:{kind}.db")
            world.run("cp", "--config", config, "--recursive", f"{folder}/", "east:data/",
                      timeout=3600).expect(0)
            words = ("cache", "fill", *(f"east:data/p{number:02}/" for number in range(prefixes)),
                     "--to", "east:cache", "--ttl", "24h", "--json", "--config", config)
            for what, expected in (("copies", (count, 0)), ("hits", (0, count))):
                ran = table.add(f"{kind}, {what}", world.run(*words, timeout=7200))
                done = ran.lines()[-1]
                check((done["copied"], done["hits"]) == expected, f"{done}")
                costs[kind, what] = ran.cpu_seconds / count * 1000
            server.stop()
    for kind in ("versitygw", "minio", "rgw"):
        table.goal(f"{kind}: CPU ms for a copy", costs[kind, "copies"], 0.15)
        table.goal(f"{kind}: CPU ms for a hit", costs[kind, "hits"], 0.06)
    return table


CASES = {"copy-small": copy_small, "sync-small": sync_small, "copy-large": copy_large,
         "replicate-small": replicate_small,
         "replicate-files": replicate_files, "bundle": bundle, "csv": csv, "targets": targets,
         "backup": backup, "cluster": cluster, "distance": distance, "listing": listing,
         "list-flat": list_flat, "idle": idle, "latency": latency, "dashboard": dashboard,
         "cache-serve": cache_serve, "cache-fill": cache_fill, "shards": shards}


def tls_library() -> str:
    """The one that the program under test runs with: over HTTPS it is a good part of what is measured."""
    told = subprocess.run([BINARY, "version", "--json"], text=True, capture_output=True, check=True)
    return json.loads(told.stdout)["tls"]


def machine() -> str:
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return (f"{CORES} × {model[1] if model else platform.machine()}, {memory:.0f} GiB, "
            f"Linux {platform.release()}, {tls_library()}")


def machine_kind() -> str:
    """What figures are compared within. Other libraries for TLS than what `./dev build` takes are
    machines of their own."""
    model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
    library = tls_library()
    own = "" if library.startswith("BoringSSL") else ", " + ".".join(library.split(".")[:2])
    return f"{CORES} × {model[1] if model else platform.machine()}{own}"


RESULTS = ROOT / "bench/RESULTS.md"
HEAD = """# Measured

By `./dev bench --record`. CPU is user + system seconds of the whole process tree of the client; the
servers share the machine with it, data is on a tmpfs where there is one, and everything goes over
loopback: by HTTP, and by HTTPS with nginx in front of the servers. Times are medians, peak RSS is
the highest of the runs. There is one table for each kind of machine. Absolute figures drift with the
machine and with what else it does, and ratios from one kind of machine to the next: compare within a
table, where the tools took turns, and read differences below 20 % as none.
"""
KEPT = "<!-- Below this line nothing is generated. -->"


def sections_of(text: str, mark: str) -> tuple[str, dict[str, str]]:
    """What stands before the first heading that `mark` begins, and what below each of them."""
    first, *rest = ("\n" + text).split(f"\n{mark} ")
    return first.strip(), {title: below.strip() for title, _, below in
                           (section.partition("\n") for section in rest)}


def record(table: Table) -> None:
    """Puts one table into RESULTS, in the place of its predecessor of this kind of machine."""
    generated, mark, by_hand = (RESULTS.read_text() if RESULTS.exists() else "").partition(KEPT)
    sections = sections_of(generated, "##")[1] if mark else {}
    tables = sections_of(sections.get(table.title, ""), "###")[1]
    tables[machine_kind()] = table.markdown().strip()
    sections[table.title] = "\n\n".join(
        [table.explain, *(f"### {kind}\n\n{text}" for kind, text in sorted(tables.items()))])
    RESULTS.write_text(
        HEAD + "".join(f"\n## {title}\n\n{text}\n" for title, text in sections.items()) +
        f"\n{KEPT}\n\n{by_hand.strip()}".rstrip() + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", metavar="CASE", help=" ".join(CASES))
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--objects", type=int, default=FILL_OBJECTS, metavar="N",
                        help="of cache-fill; what it is to reach is said of 200,000")
    options = parser.parse_args()
    globals()["FILL_OBJECTS"] = options.objects
    unknown = [name for name in options.cases if name not in CASES]
    if unknown:
        parser.error(f"no such case: {unknown}")
    commit = subprocess.run(["git", "-C", ROOT, "rev-parse", "--short", "HEAD"], text=True,
                            capture_output=True).stdout.strip()
    if subprocess.run(["git", "-C", ROOT, "diff", "--quiet", "HEAD", "--", ".",
                       f":!{RESULTS.relative_to(ROOT)}"]).returncode != 0:
        commit += " with changes"
    tables = []
    for name in options.cases or CASES:
        origin = (f"{commit}, {datetime.date.today()}, {machine()}: "
                  f"`./dev bench --runs {options.runs} {name}"
                  f"{f' --objects {options.objects}' if name == 'cache-fill' else ''}`")
        tables.append(CASES[name](options.runs))
        tables[-1].origin = origin
        if options.record:  # At once: what was measured is kept when a later case fails.
            record(tables[-1])
    print("\n".join(f"## {table.title}\n\n{table.explain}\n\n{table.markdown()}"
                    for table in tables))


if __name__ == "__main__":
    main()
