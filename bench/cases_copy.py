"""Copies and syncs of what one bucket has into another."""

import random

from buckets import Buckets, small_things
from harness import World, check, put_all, text_bytes
from peers import RCLONE_TUNED
from results import CORES
from tables import MIB, SCHEMES, Table


def copy_small(runs: int) -> Table:
    table = Table("Plain copy, 20,000 × 4 KiB",
                  "`longhaul cp --recursive` beside `rclone copy` (tuned: see `bench/peers.py`).")
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
    if CORES >= 16:
        table.goals_of_both("25 Gbit/s each way / what was carried", lambda https: 25e9 / 8 *
                            table.wall("longhaul cp", https) / (4096 * MIB), 1, 1)
    return table
