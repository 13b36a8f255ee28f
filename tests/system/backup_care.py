"""backup_care.py: a vault is looked after: damage is found, catalogs are made anew, archives go.

Without it: that verify names a byte that has changed, that a lost catalog costs nothing, that prune
takes only what nobody can ask for any more, and that a lock of the store holds, would be known of
fakes alone.
"""

import datetime
import json
import time

from backup import backup_rule, history, now, restore, state_of, unequal
from harness import World, check, keys_of, step


def archives_in(s3, bucket: str = "vault") -> list[str]:
    return [key for key in keys_of(s3, bucket) if key.endswith(".tar.zst")]


def listed(world: World, config, time_: str) -> list[tuple]:
    lines = world.run("backup", "ls", "--rule", "main", "--at", time_, "--json", "--config",
                      config).expect(0).lines()
    return [(line["key"], line["etag"], line["stamp"]) for line in lines
            if line["event"] == "object"]


def seconds_since(time_: str) -> float:
    then = datetime.datetime.fromisoformat(time_)
    return (datetime.datetime.now(datetime.UTC) - then).total_seconds()


def flip(s3, key: str, offset: int) -> bytes:
    """Changes a byte of what is stored; what was there."""
    stored = s3.get_object(Bucket="vault", Key=key)["Body"].read()
    damaged = bytearray(stored)
    damaged[offset] ^= 1
    s3.put_object(Bucket="vault", Key=key, Body=bytes(damaged))
    return stored


def summary(finished) -> dict:
    return next(line for line in finished.lines() if line["event"] == "summary")


def verify(world: World, config, target) -> None:
    step("verify finds nothing in a sound vault")
    sound = world.run("backup", "verify", "--rule", "main", "--json", "--config", config).expect(0)
    totals = summary(sound)
    check(totals["archives"] == len(archives_in(target.s3)) and totals["problems"] == 0,
          f"{totals}")
    sampled = summary(world.run("backup", "verify", "target:vault/", "--sample", "1%", "--json",
                                "--config", config).expect(0))
    check(0 < sampled["frames"] <= sampled["frames_all"], f"{sampled}")
    world.run("backup", "verify", "target:vault/", "--sample", "1", "--config", config).expect(
        2, "1%")

    step("verify names archive, frame and keys of a flipped byte")
    # The one that holds the large object alone is the largest.
    sizes = {key: target.s3.head_object(Bucket="vault", Key=key)["ContentLength"]
             for key in archives_in(target.s3)}
    largest = max(sizes, key=sizes.get)
    stored = flip(target.s3, largest, sizes[largest] // 2)
    found = world.run("backup", "verify", "--rule", "main", "--json", "--config", config).expect(11)
    problems = [line for line in found.lines() if line["event"] == "problem"]
    check(len(problems) == 1 and problems[0]["file"] == largest and "frame" in problems[0]
          and problems[0]["keys"] == ["big/one"], f"{problems}")
    world.run("backup", "verify", "--rule", "main", "--config", config).expect(
        11, largest, "big/one")
    target.s3.put_object(Bucket="vault", Key=largest, Body=stored)
    world.run("backup", "verify", "--rule", "main", "--config", config).expect(0, "sound")


def rebuild(world: World, config, states, target) -> None:
    step("a vault without catalogs is listed as before when they have been made anew")
    before = [listed(world, config, time_) for time_, _ in states]
    catalogs = [key for key in keys_of(target.s3, "vault") if key.endswith(".jsonl.zst")]
    for key in catalogs[1:]:
        target.s3.delete_object(Bucket="vault", Key=key)
    target.s3.put_object(Bucket="vault", Key=catalogs[0], Body=b"garbage\n")
    # Such young archives are read themselves; a line that is none is told.
    world.run("backup", "ls", "--rule", "main", "--config", config).expect(1, "--rebuild")
    world.run("backup", "catalog", "--rule", "main", "--config", config).expect(2, "--rebuild")
    dry = summary(world.run("backup", "catalog", "--rebuild", "--rule", "main", "--dry-run",
                            "--json", "--config", config).expect(0))
    check(dry["written"] == len(catalogs), f"{dry}")
    check(len([key for key in keys_of(target.s3, "vault") if key.endswith(".jsonl.zst")]) == 1,
          "a dry run has written")
    world.run("backup", "catalog", "--rebuild", "target:vault/", "--bucket", "data", "--config",
              config).expect(0, f"{len(catalogs)} written")
    again = summary(world.run("backup", "catalog", "--rebuild", "--rule", "main", "--json",
                              "--config", config).expect(0))
    check(again["sound"] == len(catalogs) and again["written"] == 0, f"{again}")
    after = [listed(world, config, time_) for time_, _ in states]
    check(after == before, "the catalogs say something else than before")


def prune(world: World, config, states, source, target) -> None:
    step("prune takes what nobody can ask for any more")
    world.run("backup", "prune", "--rule", "main", "--config", config).expect(2, "keep")
    # From the last state but one on.
    keep = f"{int(seconds_since(states[-2][0]) * 1000)}ms"
    before = archives_in(target.s3)
    world.run("backup", "prune", "--rule", "main", "--keep", keep, "--max-delete", "0", "--config",
              config).expect(12, "--max-delete")
    dry = world.run("backup", "prune", "--rule", "main", "--keep", keep, "--dry-run", "--json",
                    "--config", config).expect(0)
    would = {line["key"] for line in dry.lines() if line["event"] == "removed"}
    check(archives_in(target.s3) == before, "a dry run has removed something")
    check(would and would < set(before), f"{len(would)} of {len(before)} would go")
    done = summary(world.run("backup", "prune", "--rule", "main", "--keep", keep, "--json",
                             "--config", config).expect(0))
    check(done["removed"] == len(would) and done["failed"] == 0, f"{done}")
    check(set(archives_in(target.s3)) == set(before) - would, "something else has gone")
    check(len(keys_of(target.s3, "vault")) == 2 * (len(before) - len(would)) + 1,
          "catalogs are left of archives that are gone, or there is no note")
    world.run("backup", "verify", "--rule", "main", "--config", config).expect(0, "sound")
    note = target.s3.get_object(Bucket="vault", Key="longhaul-catalog/data.pruned.json")
    since = json.loads(note["Body"].read())["pruned"][0]["since"]
    world.run("backup", "ls", "--rule", "main", "--at", states[0][0], "--config", config).expect(
        2, f"the earliest time to ask for is {since}")
    for number, (time_, state) in enumerate([(since, states[-2][1]), states[-1]]):
        source.s3.create_bucket(Bucket=f"back-{number}")
        restore(world, config, "", f"source:back-{number}", "--at", time_)
        wrong = unequal(state, state_of(source.s3, f"back-{number}"))
        check(not wrong, f"at {time_}: {len(wrong)} differ: {wrong[:2]}")


def locked(world: World, source, target) -> None:
    step("what a lock holds is named and stays; without one all versions go")
    for bucket, lock in (("locked", {"lock": {"mode": "governance", "days": 1}}), ("open", {})):
        target.s3.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
        source.s3.create_bucket(Bucket=f"of-{bucket}")
        one = backup_rule(keep="1h", **lock)
        one["source"] = f"source:of-{bucket}/"
        one["targets"][0]["to"] = f"target:{bucket}/"
        config = world.config({"source": source, "target": target}, [one],
                              name=f"{bucket}.yaml")
        times = []
        for text in (b"one", b"two"):
            source.s3.put_object(Bucket=f"of-{bucket}", Key="a", Body=text)
            world.run("replicate", "--config", config, "--once").expect(0)
            times.append(now())
            time.sleep(1.2)  # Nobody keeps anything for less than a second.
        world.run("backup", "prune", "--rule", "main", "--config", config).expect(
            0, "removed 0 archives of 2")
        keep = f"{int(seconds_since(times[1]) * 1000)}ms"
        code, words = (1, ("1 failed",)) if lock else (0, ("removed 1 archive of 2",))
        world.run("backup", "prune", "--rule", "main", "--keep", keep, "--config",
                  config).expect(code, *words)
        versions = target.s3.list_object_versions(Bucket=bucket)
        check(len(versions["Versions"]) == (5 if lock else 3), f"{bucket}: {versions['Versions']}")
        check("DeleteMarkers" not in versions, f"{bucket}: delete markers free nothing")


def cured(world: World, source, target) -> None:
    step("what verify says about damage brings back what the source has")
    target.s3.create_bucket(Bucket="sick")
    source.s3.create_bucket(Bucket="of-sick")
    one = backup_rule()
    one["source"] = "source:of-sick/"
    one["targets"][0]["to"] = "target:sick/"
    config = world.config({"source": source, "target": target}, [one], name="sick.yaml")
    of = ("--rule", "main", "--config", config)
    source.s3.put_object(Bucket="of-sick", Key="a", Body=b"one")
    world.run("replicate", "--config", config, "--once").expect(0)
    source.s3.put_object(Bucket="of-sick", Key="a", Body=b"two" * 1000)
    world.run("replicate", "--config", config, "--once").expect(0)
    archive = max(archives_in(target.s3, "sick"),
                  key=lambda key: target.s3.head_object(Bucket="sick", Key=key)["LastModified"])
    catalog = "longhaul-catalog/" + archive.removesuffix(".tar.zst") + ".jsonl.zst"
    # Between an archive and its catalog: what there was before must not be given back.
    line = target.s3.get_object(Bucket="sick", Key=catalog)["Body"].read()
    target.s3.delete_object(Bucket="sick", Key=catalog)
    world.run("backup", "ls", *of).expect(0, "2.9 KiB")
    world.run("backup", "restore", *of, "", world.work / "young").expect(0)
    check((world.work / "young/a").read_bytes() == b"two" * 1000, "an older state was restored")
    target.s3.put_object(Bucket="sick", Key=catalog, Body=line)
    stored = bytearray(target.s3.get_object(Bucket="sick", Key=archive)["Body"].read())
    stored[20] ^= 1
    target.s3.put_object(Bucket="sick", Key=archive, Body=bytes(stored))
    world.run("backup", "verify", *of).expect(11, "What to do about damaged archives")
    world.run("replicate", "--config", config, "--once").expect(0)
    world.run("backup", "restore", *of, "", world.work / "damaged").expect(1)
    target.s3.delete_object(Bucket="sick", Key=archive)
    world.run("backup", "ls", *of).expect(1, "move the catalog out")
    world.run("backup", "verify", *of).expect(11, "What to do about catalogs without an archive")
    target.s3.delete_object(Bucket="sick", Key=catalog)
    world.run("backup", "ls", *of).expect(0, "3 B")
    world.run("replicate", "--config", config, "--once").expect(0)
    world.run("backup", "verify", *of).expect(0, "sound")
    world.run("backup", "restore", *of, "", world.work / "cured").expect(0)
    check((world.work / "cured/a").read_bytes() == b"two" * 1000, "it was not kept again")


def main() -> None:
    with World("backup_care") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        source.s3.create_bucket(Bucket="data")
        for bucket in ("vault", "staging"):
            target.s3.create_bucket(Bucket=bucket)
        config = world.config({"source": source, "target": target}, [backup_rule()])
        step("a history")
        states = history(world, config, source.s3)
        # Once all has been written again little is needed of the first archives.
        for key in keys_of(source.s3, "data"):
            source.s3.put_object(Bucket="data", Key=key, Body=f"again {key}".encode())
        for _ in range(2):
            world.run("replicate", "--config", config, "--once").expect(0)
            states.append((now(), state_of(source.s3, "data")))
            source.s3.put_object(Bucket="data", Key="last", Body=now().encode())
        verify(world, config, target)
        rebuild(world, config, states, target)
        prune(world, config, states, source, target)
        locked(world, source, target)
        cured(world, source, target)
        step("ok")


if __name__ == "__main__":
    main()
