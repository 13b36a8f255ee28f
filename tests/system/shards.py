"""shards.py: a giant and 2,000 small objects between two servers by three network threads.

Each thread carries its share of both, every byte arrives where it belongs, and a run that is stopped
midway ends in time and is taken up again. `replicate` does the same.

Without it: that bodies cross between threads whole and unmixed would be known of one process's tests
alone, and machines with fewer than 16 cores would never run it.
"""

import filecmp
import pathlib
import random
import signal
import time

from harness import World, check, make_buckets, rule, step, wait_until

SHARDS = 3
SMALL = 2000
GIANT_SIZE = 768 << 20


def fill(folder: pathlib.Path) -> None:
    """Straight into the folder that is served. Each object says which it is, all along."""
    random_ = random.Random(3)
    for number in range(SMALL):
        path = folder / f"small/{number % 20}/{number}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{number} ".encode() * random_.randrange(1, 6000))
    block = random_.randbytes(1 << 20)
    with open(folder / "giant.bin", "wb") as giant:
        for number in range(GIANT_SIZE >> 20):
            giant.write(number.to_bytes(8, "big") + block[8:])


def shard_ticks(pid: int) -> dict[str, int]:
    """What CPU each of the network's threads has had, in ticks."""
    ticks = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            name = (task / "comm").read_text().strip()
            fields = (task / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # It has ended meanwhile.
            continue
        if name.startswith("shard "):
            ticks[name] = int(fields[11]) + int(fields[12])
    return ticks


def differences(source: pathlib.Path, target: pathlib.Path) -> list[str]:
    names = [str(path.relative_to(source)) for path in source.rglob("*")
             if path.is_file() and path.suffix == ".bin"]
    check(len(names) == SMALL + 1, f"{len(names)} files at the source")
    _, different, missing = filecmp.cmpfiles(source, target, names, shallow=False)
    return different + missing


def main() -> None:
    with World("shards", bytes_needed=4 * GIANT_SIZE) as world:
        source = world.serve("gateway", "source")
        target = world.serve("gateway", "target")
        make_buckets(source, target)
        target.s3.create_bucket(Bucket="other")
        step(f"{SMALL:,} small objects and one of {GIANT_SIZE >> 20} MiB")
        fill(pathlib.Path(source.folder) / "data")
        config = world.config({"source": source, "target": target}, [rule()])

        step("cp --shards 3, stopped midway")
        copy = ("cp", "--recursive", "--config", config, "--shards", SHARDS, "source:data/",
                "target:other/")
        process = world.start(*copy)
        wait_until(lambda: sum(shard_ticks(process.pid).values()) > 5, 60, "it copies", every=0.02)
        stopped = time.monotonic()
        process.kill(signal.SIGTERM)
        process.wait(60).expect(128 + signal.SIGTERM)
        check(time.monotonic() - stopped < 26, "it did not stop in time")

        step("cp --shards 3 again")
        process = world.start(*copy)
        seen: dict[str, int] = {}
        while process.running():
            for name, ticks in shard_ticks(process.pid).items():
                seen[name] = max(seen.get(name, 0), ticks)
            time.sleep(0.05)
        process.wait().expect(0)
        step(f"CPU ticks of each thread: {seen}")
        check(len(seen) == SHARDS and min(seen.values()) * 20 >= max(seen.values()),
              f"not all of {SHARDS} threads carried a share: {seen}")
        different = differences(pathlib.Path(source.folder) / "data",
                                pathlib.Path(target.folder) / "other")
        check(not different, f"{len(different)} differ: {different[:5]}")

        step("replicate --once --shards 3")
        world.run("replicate", "--config", config, "--once", "--shards", SHARDS).expect(0)
        different = differences(pathlib.Path(source.folder) / "data",
                                pathlib.Path(target.folder) / "copy")
        check(not different, f"{len(different)} differ: {different[:5]}")

        step("one network thread is none of its own")
        process = world.start("cp", "--recursive", "--config", config, "--shards", 1,
                              "source:data/small/", "target:other/again/")
        most: set[str] = set()
        while process.running():
            try:
                most |= set(shard_ticks(process.pid))
            except OSError:
                break
        process.wait().expect(0)
        check(not most, f"threads of a network that has one: {most}")


if __name__ == "__main__":
    main()
