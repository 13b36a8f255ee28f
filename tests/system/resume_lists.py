"""resume_lists.py [OBJECTS]: runs whose names come from elsewhere than the bucket's own listing, killed.

Names in files, kept listings, a bucket as of a time, and whole histories: each run is killed with -9 when
its journal says that something is done, and resumed. Of what is done nothing is asked again, nothing is
written twice but what was in flight, and a list that has changed meanwhile is refused.

Without it: a run by a list that starts over, or goes on by another list than it began with.
"""

import collections
import random
import sys
import time

from fault_proxy import FaultProxy
from harness import Thing, World, check, keys_of, put_all, step, wait_until

LISTED = int(sys.argv[1]) if len(sys.argv) > 1 else 600


def killed_when_noted(world, command, environment) -> dict:
    """Starts `command`, kills it when its journal says that something is done, and tells what."""
    copying = world.start(*command, env=environment)

    def shown() -> dict:
        return world.run("runs", "show", "last", "--json", env=environment).expect(0).lines()[0]

    time.sleep(2)  # Not the run before it.
    wait_until(lambda: shown()["done_up_to"] or not copying.running(), 60, "a name in the journal",
               every=0.3)
    check(copying.running(), f"the run ended before it was killed: {copying.output()}")
    copying.kill()
    copying.wait()
    found = shown()
    check(found["phase"] == "killed", f"not killed: {found}")
    return found


def by_lists(world, source, target, environment) -> None:
    step("runs by lists in files, killed")
    names = [f"{number % 37:02}/{number:07}" for number in range(LISTED)]
    names.sort()
    put_all(source.s3, "data", [Thing("listed/" + name, name.encode()) for name in names],
            threads=16)
    shuffled = [*names, "missing-1", "00/missing-0"]
    random.Random(7).shuffle(shuffled)
    (world.folder / "names").write_text("".join(name + "\n" for name in shuffled))
    # So long that the journal is written meanwhile, which it is every five seconds.
    latency = 12 / LISTED * 8
    for number, (verb, option, file, missing) in enumerate((
            (["sync"], "--files-from", "names", 2), (["sync"], "--source-listing", "kept", 0),
            (["cp", "-r"], "--files-from", "names", 2), (["cp", "-r"], "--listing", "kept", 0))):
        here, there = FaultProxy(source.endpoint), FaultProxy(target.endpoint,
                                                              latency_seconds=latency)
        place = f"s3://copy/listed-{number}"
        # A listing is of the place where it was taken.
        world.run("ls", "-r", "--save-listing", world.folder / "kept", "s3://data/listed/",
                  "--endpoint-url", here.endpoint, env=environment).expect(0)
        found = killed_when_noted(world, [
            *verb, "s3://data/listed", place, option, world.folder / file, "--transfers", "8",
            "--source-endpoint-url", here.endpoint, "--target-endpoint-url", there.endpoint],
            environment)
        done = sum(1 for name in names if name <= found["done_up_to"])
        step(f"{' '.join(verb)} {option}: {done} of {LISTED} are done by the journal")
        text = (world.folder / file).read_bytes()
        (world.folder / file).write_bytes(text + b"00/more\n")
        world.run("runs", "resume", "last", env=environment).expect(2, "has changed since")
        (world.folder / file).write_bytes(text)
        here.asked.clear()
        there.latency_seconds = 0
        world.run("runs", "resume", "last", env=environment).expect(1 if missing else 0)
        if missing:
            shown = world.run("runs", "show", "last", "--json", env=environment).expect(0).lines()
            check(sorted(line["name"] for line in shown if line["event"] == "failed") ==
                  ["00/missing-0", "missing-1"], f"other failures: {shown}")
        # What is left is looked at, and what was in flight; of what is done nothing is asked.
        left = LISTED - done + len(found["open"]) + missing
        step(f"{left} were left, and the source was asked for {here.asked['HEAD']}")
        check(here.asked["HEAD"] <= left + LISTED // 7,  # `cp` looks at what it finds there, too.
              f"{left} were left, and the source was asked {dict(here.asked)}")
        count = len(keys_of(target.s3, "copy", f"listed-{number}/"))
        check(count == LISTED, f"{count} objects instead of {LISTED}")
        again = sum(times - 1 for times in there.puts.values())
        check(again <= 8, f"{again} objects were copied again")
        here.close()
        there.close()
        world.run("check", "s3://data/listed", place, "--source-endpoint-url", source.endpoint,
                  "--target-endpoint-url", target.endpoint, env=environment).expect(0)


def as_of_a_time(world, target, environment) -> None:
    step("a run of what a bucket was some seconds ago, killed")
    source = world.serve("minio", "keeping")
    source.s3.create_bucket(Bucket="kept")
    source.s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    then = {f"{number:05}": b"then" for number in range(LISTED)}
    put_all(source.s3, "kept", [Thing(key, body) for key, body in then.items()], threads=16)
    time.sleep(2)
    moment = time.time()
    time.sleep(3)
    put_all(source.s3, "kept", [Thing(f"{number:05}", b"changed") for number in range(LISTED)] +
            [Thing(f"{number:05}-new", b"new") for number in range(LISTED // 4)], threads=16)
    for verb in (["sync"], ["cp", "-r"]):
        line = FaultProxy(target.endpoint, latency_seconds=12 / LISTED * 8)
        place = f"at-{verb[0]}/"
        # Counted from another beginning it would be another time.
        found = killed_when_noted(world, [
            *verb, "s3://kept", f"s3://copy/{place}", "--at", f"{int(time.time() - moment)}s",
            "--transfers", "8", "--source-endpoint-url", source.endpoint,
            "--target-endpoint-url", line.endpoint], environment)
        step(f"{verb[0]}: done up to {found['done_up_to']} as of {found['at']}")
        line.latency_seconds = 0
        world.run("runs", "resume", "last", env=environment).expect(0)
        keys = keys_of(target.s3, "copy", place)
        check(sorted(keys) == [place + key for key in sorted(then)],
              f"{len(keys)} objects instead of {LISTED}")
        again = sum(times - 1 for times in line.puts.values())
        check(again <= 8, f"{again} objects were copied again")
        line.close()
        folder = world.folder / place
        world.run("cp", "-r", f"s3://copy/{place}", f"{folder}/", "--endpoint-url", target.endpoint,
                  env=environment).expect(0)
        wrong = [path.name for path in folder.iterdir() if path.read_bytes() != b"then"]
        check(not wrong, f"of another time: {wrong[:5]}")
    whole_histories(world, source, environment)


def versions_of(s3, bucket: str) -> collections.Counter:
    """How many each key has."""
    return collections.Counter(
        entry["Key"] for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for entry in page.get("Versions", []))


def whole_histories(world, source, environment) -> None:
    step("whole histories, killed")
    source.s3.create_bucket(Bucket="histories")
    source.s3.put_bucket_versioning(Bucket="histories",
                                    VersioningConfiguration={"Status": "Enabled"})
    line = FaultProxy(source.endpoint, latency_seconds=12 / LISTED * 8)
    found = killed_when_noted(world, [
        "sync", "--versions", "s3://kept", "s3://histories", "--transfers", "8",
        "--source-endpoint-url", source.endpoint, "--target-endpoint-url", line.endpoint],
        environment)
    step(f"done up to {found['done_up_to']}, in flight {len(found['open'])}")
    line.latency_seconds = 0
    line.asked.clear()
    world.run("runs", "resume", "last", env=environment).expect(0)
    # Nobody has written one twice.
    check(versions_of(source.s3, "histories") == versions_of(source.s3, "kept"),
          "the histories differ")
    done = sum(1 for key in versions_of(source.s3, "kept") if key <= found["done_up_to"])
    step(f"{done} keys were done, and the target was asked {dict(line.asked)}")
    line.close()


def main() -> None:
    with World("resume-lists") as world:
        source, target = world.serve("versitygw", "source"), world.serve("versitygw", "target")
        source.s3.create_bucket(Bucket="data")
        target.s3.create_bucket(Bucket="copy")
        environment = {"XDG_STATE_HOME": str(world.work / "home")}
        by_lists(world, source, target, environment)
        as_of_a_time(world, target, environment)
    step("passed")


main()
