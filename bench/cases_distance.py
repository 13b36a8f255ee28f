"""Replication to a target that is far away."""

import dataclasses
import json
import pathlib
import random
import subprocess
import time
import urllib.request

from buckets import Buckets, small_things
from harness import (Finished, Process, World, free_port, put_all, real_servers, rule, store_of,
                     wait_until)
from tables import MIB, SCHEMES, Table

TOXIPROXY = real_servers.cache_dir() / "bin/toxiproxy"


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
