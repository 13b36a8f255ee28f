"""Two servers with buckets, and the objects that lie there."""

import pathlib
import random
import subprocess

from harness import Finished, Thing, World, check, keys_of, rule, text_bytes
from peers import rclone
from tls_front import TlsFront


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


def write_files(folder: pathlib.Path, objects: list[Thing]) -> None:
    for thing in objects:
        path = folder / thing.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(thing.body)
