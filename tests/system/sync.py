"""sync.py: sync, mv, apply and rm between two versitygw, each with its own keys.

Without it: what real servers answer to two listings, conditions on deletes and a store that refuses
would be guessed at.
"""

import json
import os
import pathlib
import shutil

from fault_proxy import FaultProxy
from harness import (Thing, World, check, keys_of, put_all, report, step)


def ends(one, two) -> list[str]:
    return ["--source-endpoint-url", one.endpoint, "--target-endpoint-url", two.endpoint]


def summary(ran) -> dict:
    return ran.lines()[-1]


def mirrored(world, one, two) -> None:
    made = [Thing(f"in/d{i % 7}/{i}", b"x" * (i * 37 % 5000),
                  {"Metadata": {"number": str(i)}}) for i in range(300)]
    put_all(one.s3, "from", made)
    put_all(two.s3, "dest", [Thing("copy/extra", b"1"), Thing("copy/d0/0", b"longer")])
    args = ["sync", "--json", *ends(one, two), "s3://from/in", "s3://dest/copy"]
    told = summary(world.run(*args, "--delete", "--dry-run").expect(0))
    check((told["removed"], told["would_remove"], told["objects"]) == (0, 1, 0),
          f"dry run: {told}")
    check(len(keys_of(two.s3, "dest")) == 2, "a dry run has changed something")
    told = summary(world.run(*args, "--delete").expect(0))
    check(told["objects"] == 300 and told["removed"] == 1, f"{told}")
    check(keys_of(two.s3, "dest", "copy/") ==
          sorted(thing.key.replace("in/", "copy/", 1) for thing in made), "other keys")
    head = two.s3.head_object(Bucket="dest", Key="copy/d0/7")
    check(head["Metadata"] == {"number": "7"}, f"{head['Metadata']}")
    told = summary(world.run(*args, "--delete").expect(0))
    check(told["objects"] == 0 and told["left_alone"] == 300, f"something to do: {told}")
    told = summary(world.run(*args, "--checksum").expect(0))
    check(told["objects"] == 0 and told["left_alone"] == 300, f"--checksum: {told}")


def guarded(world, one, two) -> None:
    one.s3.create_bucket(Bucket="empty")
    before = keys_of(two.s3, "dest")
    world.run("sync", "--delete", *ends(one, two), "s3://empty", "s3://dest").expect(12, "no object")
    world.run("sync", "--delete", *ends(one, two), "s3://nowhere", "s3://dest").expect(3)
    world.run("sync", "-n", "--delete", "--max-delete", "5", *ends(one, two), "s3://from/in/d0",
              "s3://dest/copy").expect(12, "--max-delete allows 5")
    check(set(before) <= set(keys_of(two.s3, "dest")), "a guard has let something go")


def broken_listings(world, one, two) -> None:
    """A listing that fails or breaks off behind its first page, at either end, removes nothing."""
    put_all(one.s3, "from", [Thing(f"many/{i:04}", b"") for i in range(1100)])
    put_all(two.s3, "dest", [Thing(f"many/{i:04}", b"") for i in range(1050)] +
            [Thing("many/a", b"1"), Thing("many/z", b"1")])
    before = keys_of(two.s3, "dest", "many/")
    for mode, code in (("403", 4), ("cut", 5), ("garbage", 5)):
        for end in (one, two):
            proxy = FaultProxy(end.endpoint, mode,
                               only=lambda _, path: "list-type" in path and (
                                   "continuation-token" in path or "start-after" in path))
            pair = (proxy, two) if end is one else (one, proxy)
            ran = world.run("sync", "--delete", "--timeout", "2s", "--size-only", *ends(*pair),
                            "s3://from/many", "s3://dest/many")
            check(ran.code == code, f"{mode}: {ran.code}\n{ran.stderr[-2000:]}")
            check(proxy.faults > 0, "the proxy has broken nothing")
            proxy.close()
            check(set(before) <= set(keys_of(two.s3, "dest", "many/")), f"{mode} removed something")
    told = summary(world.run("sync", "--json", "--delete", *ends(one, two), "s3://from/many",
                             "s3://dest/many").expect(0))
    check(told["removed"] == 2, f"{told}")


def listed_before(world, one, two) -> None:
    """By a listing of the target that is old: what has changed since stays, and is named."""
    put_all(one.s3, "from", [Thing("kept/new", b"1"), Thing("kept/longer", b"12")])
    put_all(two.s3, "dest", [Thing("kept/longer", b"1"), Thing("kept/extra", b"1"),
                             Thing("kept/changes", b"1")])
    kept = world.work / "kept.zst"
    world.run("ls", "-r", "--save-listing", kept, "--endpoint-url", two.endpoint,
              "s3://dest/kept/").expect(0)
    two.s3.put_object(Bucket="dest", Key="kept/changes", Body=b"of today")
    args = ["sync", "--json", "--delete", "--target-listing", kept, *ends(one, two),
            "s3://from/kept", "s3://dest/kept"]
    told = summary(world.run(*args).expect(1, "kept/changes", "has changed since it was listed"))
    check(told["objects"] == 2 and told["removed"] == 1 and told["failed"] == 1, f"{told}")
    check(keys_of(two.s3, "dest", "kept/") == ["kept/changes", "kept/longer", "kept/new"],
          f"{keys_of(two.s3, 'dest', 'kept/')}")
    # By the same listing once more: nothing of what it does not know is replaced.
    told = summary(world.run(*args).expect(1, "has changed since it was listed"))
    check(told["objects"] == 0, f"{told}")


def planned(world, one, two) -> None:
    one.s3.put_object(Bucket="from", Key="in/new", Body=b"1")
    one.s3.put_object(Bucket="from", Key="in/changes", Body=b"1")
    two.s3.put_object(Bucket="dest", Key="copy/extra", Body=b"1")
    two.s3.put_object(Bucket="dest", Key="copy/needed", Body=b"1")
    two.s3.create_bucket(Bucket="aside")
    plan = world.work / "plan.jsonl"
    world.run("sync", "--delete", "--plan", plan, "--backup-dir", "s3://aside/", *ends(one, two),
              "s3://from/in", "s3://dest/copy").expect(0)
    lines = [json.loads(line) for line in plan.read_text().splitlines()]
    check([line.get("op") for line in lines[1:]] == ["copy", "copy", "remove", "remove", "end"],
          f"{lines}")
    check(os.environ.get("AWS_SECRET_ACCESS_KEY", "secret") not in plan.read_text(), "a key")
    one.s3.put_object(Bucket="from", Key="in/changes", Body=b"2")
    world.run("apply", plan).expect(1, "in/changes", "has changed since the plan")
    keys = keys_of(two.s3, "dest", "copy/")
    check("copy/new" in keys and "copy/changes" not in keys, "the plan was not kept to")
    check("copy/extra" in keys, "removed although a copy failed")
    world.run("sync", "--delete", "--plan", plan, "--backup-dir", "s3://aside/", *ends(one, two),
              "s3://from/in", "s3://dest/copy").expect(0)
    two.s3.put_object(Bucket="dest", Key="copy/needed", Body=b"now")
    world.run("apply", plan).expect(1, "copy/needed", "has changed since the plan")
    keys = keys_of(two.s3, "dest", "copy/")
    check("copy/extra" not in keys and "copy/needed" in keys, f"{keys}")
    check(keys_of(two.s3, "aside") == ["extra", "needed"], f"{keys_of(two.s3, 'aside')}")
    two.s3.delete_object(Bucket="dest", Key="copy/needed")


def reported(world, one, two) -> None:
    files = {name: world.work / name for name in ("report", "combined", "match")}
    two.s3.put_object(Bucket="dest", Key="copy/extra", Body=b"1")
    two.s3.put_object(Bucket="dest", Key="copy/d0/7", Body=b"other")
    one.s3.put_object(Bucket="from", Key="in/only", Body=b"1")
    world.run("sync", "--report", files["report"], "--combined", files["combined"], "--match",
              files["match"], *ends(one, two), "s3://from/in", "s3://dest/copy").expect(0)
    signs = files["combined"].read_text().splitlines()
    check({"- extra", "* d0/7", "+ only"} <= set(signs), f"{signs[:5]}")
    check(sum(sign.startswith("= ") for sign in signs) ==
          len(files["match"].read_text().splitlines()), "the lists disagree")
    lines = report(files["report"])
    by_name = {line["name"]: line for line in lines if "name" in line}
    check(by_name["only"]["state"] == "copied" and by_name["only"]["reason"] == "new", "report")
    check(by_name["d0/7"]["reason"] == "size differs", str(by_name)[:500])
    check(lines[-1]["event"] == "summary" and lines[-1]["objects"] == 2, f"{lines[-1]}")


def limited(world, one, two) -> None:
    put_all(one.s3, "from", [Thing(f"big/{i}", b"x" * 100_000) for i in range(10)])
    ran = world.run("cp", "-r", "--json", "--bwlimit", "500KB", *ends(one, two), "s3://from/big",
                    "s3://dest/big").expect(0)
    check(ran.seconds > 1.5, f"1 MB at 500 KB/s in {ran.seconds:.1f} s")
    ran = world.run("sync", "--json", "--ignore-times", "--max-transfer", "350k", *ends(one, two),
                    "s3://from/big", "s3://dest/big").expect(10)
    check(summary(ran)["objects"] == 3, f"{summary(ran)}")


def moved(world, one, two) -> None:
    ran = world.run("mv", "-r", "--json", *ends(one, two), "s3://from/big", "s3://dest/moved").expect(0)
    check(summary(ran)["objects"] == 10, f"{summary(ran)}")
    check(keys_of(one.s3, "from", "big/") == [], "the sources are still there")
    check(len(keys_of(two.s3, "dest", "moved/")) == 10, "the copies are not")
    at_two = ["--endpoint-url", two.endpoint]
    world.run("rm", "-r", "--max-delete", "5", *at_two, "s3://dest/moved").expect(12)
    check(len(keys_of(two.s3, "dest", "moved/")) == 10, "rm has not kept to its guard")
    world.run("rm", "-r", "--include", "1*", *at_two, "s3://dest/moved").expect(0)
    check(len(keys_of(two.s3, "dest", "moved/")) == 9, "rm has not kept to its filter")


def refused(world, one, two) -> None:
    """What a store refuses as a whole is one message."""
    folder = world.work / "many"
    folder.mkdir()
    for i in range(10_000):
        (folder / str(i)).touch()
    at_two = ["--endpoint-url", two.endpoint]

    def once(code: int, *args, words=(), **options):
        ran = world.run("cp", "-r", *at_two, folder, *args, **options).expect(code, *words)
        check(len(ran.stderr.splitlines()) == 1, f"{len(ran.stderr.splitlines())} messages")
        ran = world.run("sync", *at_two, folder, *args, **options).expect(code, *words)
        check(len(ran.stderr.splitlines()) == 1, f"{len(ran.stderr.splitlines())} messages")

    once(3, "s3://nowhere", words=("NoSuchBucket", "create the bucket"))
    once(2, "s3://B", words=("bucket's name",))
    once(4, "s3://dest", words=("AWS_ACCESS_KEY_ID",), env={"AWS_ACCESS_KEY_ID": "nobody"})
    once(4, "s3://dest", words=("AWS_ACCESS_KEY_ID",), env={"AWS_SECRET_ACCESS_KEY": "wrong"})
    shutil.rmtree(folder)


def files(world, two) -> None:
    """The time of a file survives, and nothing is copied again for it, in any direction."""
    folder = world.work / "files"
    folder.mkdir()
    (folder / "old").write_text("1")
    os.utime(folder / "old", ns=(1_354_040_105_123_456_789, 1_354_040_105_123_456_789))
    at_two = ["--json", "--endpoint-url", two.endpoint]
    back = world.work / "back"
    told = summary(world.run("sync", *at_two, folder, "s3://dest/files").expect(0))
    check(told["objects"] == 1, f"{told}")
    mtime = two.s3.head_object(Bucket="dest", Key="files/old")["Metadata"]["mtime"]
    check(mtime == "1354040105.123456789", mtime)
    told = summary(world.run("sync", *at_two, "s3://dest/files", back).expect(0))
    check(told["objects"] == 1, f"{told}")
    check(os.stat(back / "old").st_mtime_ns == 1_354_040_105_123_456_789, "another time")
    for pair in ((folder, "s3://dest/files"), ("s3://dest/files", back), (back, "s3://dest/files")):
        told = summary(world.run("sync", *at_two, *pair).expect(0))
        check(told["objects"] == 0, f"{pair} was copied again")


def one_place(world, one, two) -> None:
    """What is removed or replaced at TARGET is not what is to be read of SOURCE, under two names."""
    one.s3.create_bucket(Bucket="met")
    put_all(one.s3, "met", [Thing("new/x", b"one"), Thing("new/new/x", b"three")])
    before = keys_of(one.s3, "met")
    alias = one.endpoint.replace("127.0.0.1", "localhost")
    two_names = ["--source-endpoint-url", alias, "--target-endpoint-url", one.endpoint]
    own = ["--endpoint-url", one.endpoint]
    folder = one.folder / "met"
    check(folder.is_dir(), f"no {folder}")
    for command in (["sync", "--delete", *two_names, "s3://met/new/", "s3://met/"],
                    ["sync", "--delete", *own, "s3://met/new/", folder],
                    ["sync", "--delete", *own, folder / "new", "s3://met/"],
                    ["sync", "--delete", *own, "s3://met/", one.folder]):
        world.run(*command).expect(2, "--delete would remove it")
        check(keys_of(one.s3, "met") == before, f"{command} has removed something")
    for command in (["sync", *two_names, "s3://met/", "s3://met/new/"],
                    ["cp", "-r", *own, "s3://met/", folder / "new"]):
        world.run(*command).expect(2, "the copy would copy itself")
        check(keys_of(one.s3, "met") == before, f"{command} has copied")
    world.run("mv", "-r", *two_names, "s3://met/new/", "s3://met/").expect(1, "left alone")
    check(keys_of(one.s3, "met") == ["new/new/x", "x"], f"{keys_of(one.s3, 'met')}")
    check(one.s3.get_object(Bucket="met", Key="x")["Body"].read() == b"one", "another one's bytes")


def main() -> None:
    with World("sync") as world:
        one, two = (world.serve("versitygw", name) for name in ("one", "two"))
        one.s3.create_bucket(Bucket="from")
        two.s3.create_bucket(Bucket="dest")
        for case in (mirrored, guarded, broken_listings, listed_before, planned, reported, limited, moved, refused,
                     one_place):
            step(case.__name__)
            case(world, one, two)
        step("files")
        files(world, two)


main()
