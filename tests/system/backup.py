"""backup.py: what a backup has kept comes back: the bucket as it was, object by object.

Without it: that restores work with real servers, into buckets and folders, that tar opens what is
kept, and that nothing is replaced unasked, would be known of fakes alone.
"""

import datetime
import pathlib
import random
import subprocess
import time

from harness import (World, check, facts, keys_of, put_all, step, text_bytes, things)


def backup_rule(**backup) -> dict:
    return {"id": "main", "source": "source:data/", "intake": {"listing": "1h"},
            "targets": [{"to": "target:vault/", "staging": "target:staging/", "backup": backup}]}


def now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def state_of(s3, bucket: str) -> dict[str, dict]:
    return {key: facts(s3, bucket, key) for key in keys_of(s3, bucket)}


def unequal(one: dict, two: dict) -> list[str]:
    """Keys that two states of a bucket do not have alike."""
    return [f"{key}: {one.get(key)} is {two.get(key)}" for key in sorted({*one, *two})
            if one.get(key) != two.get(key)]


def history(world: World, config: pathlib.Path, s3) -> list[tuple[str, dict]]:
    """Rounds of puts, overwrites and deletes, each backed up; times, and what there was then."""
    random_ = random.Random(11)
    states = []
    put_all(s3, "data", things(120, prefix="2026/"))
    s3.put_object(Bucket="data", Key="big/one", Body=random_.randbytes(20 << 20),
                  Metadata={"kind": "big"})
    for number in range(4):
        world.run("replicate", "--config", config, "--once").expect(0)
        states.append((now(), state_of(s3, "data")))
        time.sleep(1.1)  # Stamps are whole seconds.
        keys = keys_of(s3, "data", "2026/")
        for key in random_.sample(keys, 12):
            s3.put_object(Bucket="data", Key=key, Body=text_bytes(random_, 500 + number),
                          ContentType="text/changed", Metadata={"round": str(number)},
                          Tagging=f"round={number}")
        for key in random_.sample(keys, 8):
            s3.delete_object(Bucket="data", Key=key)
        put_all(s3, "data", things(10, seed=100 + number, prefix=f"new-{number}/"))
    return states


def restore(world: World, config, prefix: str, to: str, *words: str, code: int = 0):
    return world.run("backup", "restore", "--rule", "main", prefix, to, "--config", config,
                     *words).expect(code)


def main() -> None:
    with World("backup") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        source.s3.create_bucket(Bucket="data")
        for bucket in ("vault", "staging"):
            target.s3.create_bucket(Bucket=bucket)
        config = world.config({"source": source, "target": target}, [backup_rule()])
        step("a history")
        states = history(world, config, source.s3)

        step("ls and versions")
        for time_, state in states:
            listed = world.run("backup", "ls", "--rule", "main", "--at", time_, "--json",
                               "--config", config).expect(0).lines()
            keys = [line["key"] for line in listed if line["event"] == "object"]
            check(keys == sorted(state, key=str.encode), f"ls at {time_}: {len(keys)} keys")
        one = next(key for key in states[0][1] if key not in states[-1][1])
        versions = world.run("backup", "versions", "target:vault/", one, "--json", "--config",
                             config).expect(0).lines()
        marks = [line["is_delete_marker"] for line in versions if line["event"] == "object"]
        check(marks[0] and not marks[-1], f"versions of a deleted key: {versions}")
        world.run("backup", "versions", "target:vault/", "no/such", "--config", config).expect(
            3, "no/such")

        step("restore at each time, into buckets of both servers")
        for number, (time_, state) in enumerate(states):
            server, name = ((source, "source"), (target, "target"))[number % 2]
            server.s3.create_bucket(Bucket=f"back-{number}")
            restore(world, config, "", f"{name}:back-{number}", "--at", time_)
            wrong = unequal(state, state_of(server.s3, f"back-{number}"))
            check(not wrong, f"at {time_}: {len(wrong)} differ: {wrong[:2]}")

        step("what is there is not replaced unasked")
        last = len(states) - 1
        name = "target" if last % 2 else "source"
        again = restore(world, config, "", f"{name}:back-{last}", "--at", states[last][0], "--json")
        check(again.lines()[-1]["objects"] == 0, f"restored again: {again.lines()[-1]}")
        before = state_of(source.s3, "back-0")
        restore(world, config, "", "source:back-0", "--at", states[last][0], code=1)
        check(not unequal(before, state_of(source.s3, "back-0")), "a refused restore has written")
        dry = restore(world, config, "", "source:back-0", "--at", states[last][0], "--overwrite",
                      "--dry-run", "--json")
        check(not unequal(before, state_of(source.s3, "back-0")), "a dry run has written")
        check(dry.lines()[-1]["event"] == "summary", f"{dry.lines()[-1]}")
        restore(world, config, "", "source:back-0", "--at", states[last][0], "--overwrite")
        there = state_of(source.s3, "back-0")
        wrong = unequal(states[last][1], {key: there[key] for key in states[last][1]})
        check(not wrong, f"overwritten: {wrong[:2]}")

        step("into a folder, a prefix, one object")
        folder = world.work / "folder"
        restore(world, config, "2026/", str(folder) + "/", "--at", states[0][0])
        for key in keys_of(source.s3, "back-0", "2026/"):
            if key not in states[0][1]:
                continue
            check((folder / key[5:]).is_file(), f"{key} is not in the folder")
        restore(world, config, "2026/", str(folder) + "/", "--at", states[0][0])
        alone = world.work / "alone"
        restore(world, config, "big/one", str(alone) + "/")
        check([path.name for path in alone.iterdir()] == ["one"], "one object brought others")
        restore(world, config, "no/such/", str(alone) + "/", code=3)
        restore(world, config, "big/o", str(alone) + "/", "--exact", code=3)
        (alone / "one").unlink()
        restore(world, config, "big/one", str(alone) + "/", "--exact")
        check([path.name for path in alone.iterdir()] == ["one"], "--exact brought others")

        step("tar opens every archive")
        archives = [key for key in keys_of(target.s3, "vault") if key.endswith(".tar.zst")]
        check(len(archives) >= 5, f"{archives}")
        for key in archives:
            path = world.work / "archive.tar.zst"
            target.s3.download_file("vault", key, str(path))
            unpacked = world.work / "unpacked"
            unpacked.mkdir(exist_ok=True)
            subprocess.run(["tar", "--zstd", "-xf", str(path), "-C", str(unpacked)], check=True)

        step("garbage in the vault is named and not believed")
        catalog = next(key for key in keys_of(target.s3, "vault") if key.endswith(".jsonl.zst"))
        target.s3.put_object(Bucket="vault", Key="data/notes.txt", Body=b"hello")
        garbage = subprocess.run(["zstd", "-q", "-c"], input=b"garbage\n", capture_output=True,
                                 check=True).stdout
        target.s3.put_object(Bucket="vault", Key=catalog, Body=garbage)
        world.run("backup", "ls", "--rule", "main", "--config", config).expect(
            1, "notes.txt", "1 line")
        target.s3.put_object(Bucket="vault", Key=catalog, Body=b"")
        world.run("backup", "ls", "--rule", "main", "--config", config).expect(
            1, "not compressed", "--rebuild")
        step("ok")


if __name__ == "__main__":
    main()
