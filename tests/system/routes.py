"""routes.py KIND...: objects that travel without archives: copied by the store that holds both sides
(of each kind), and streamed to another server; and objects of which longhaul chooses the way.

Without it: what real servers make of a copy with other metadata would be guessed at.
"""

import random
import sys

from harness import (KMS_KEY_ID, Thing, World, check, check_equal, check_no_uploads, check_staging_empty,
                     keys_of, put_all, report, rule, step, text_bytes, things)


def carry(world, config, expected: str, count: int) -> None:
    path = world.work / f"{config.stem}.jsonl"
    world.run("replicate", "--config", config, "--once", "--report", path).expect(0)
    lines = [line for line in report(path) if "state" in line]
    routes = {line.get("route") for line in lines}
    check(routes == {expected}, f"went by {routes}")
    check(len(lines) == count, f"{len(lines)} lines, not {count}")
    # Nothing is left to do.
    again = world.work / f"{config.stem}-again.jsonl"
    world.run("replicate", "--config", config, "--once", "--report", again).expect(0)
    check(not [line for line in report(again) if "state" in line], "it was carried twice")


def of_all_sorts() -> tuple[list[Thing], dict[str, str]]:
    """Objects, and for each key whether it shrinks enough for an archive."""
    random_ = random.Random(9)
    made = things(40)
    ways = {thing.key: "archive" for thing in made}
    for name, way, body in [
            ("logs/two.txt", "archive", text_bytes(random_, 2 << 20)),
            ("photos/two.jpg", "leaves", random_.randbytes(2 << 20)),
            ("logs/twenty.txt", "archive", text_bytes(random_, 20 << 20)),
            ("films/twenty.mp4", "leaves", random_.randbytes(20 << 20)),
            ("no ending", "leaves", random_.randbytes(3 << 20))]:
        made.append(Thing(key=name, body=body, options={"Metadata": {"way": way}}))
        ways[name] = way
    return made, ways


def choose(world, name: str, source, target, leaving: str) -> None:
    """`leaving`: how what does not shrink goes."""
    made, ways = of_all_sorts()
    for server, bucket in ((source, f"{name}-in"), (target, f"{name}-out")):
        server.s3.create_bucket(Bucket=bucket)
    put_all(source.s3, f"{name}-in", made)
    fields = dict(source=f"one:{name}-in/", to=f"two:{name}-out/", staging="two:staging/",
                  deletes=True)
    if source is target:
        fields = {key: value.replace("two:", "one:") if isinstance(value, str) else value
                  for key, value in fields.items()}
    stores = {"one": source} if source is target else {"one": source, "two": target}
    config = world.config(stores, [rule(transport="auto", **fields)], name=f"{name}.yaml",
                          state=f"sqlite:{name}.db", queue=f"sqlite:{name}.db")
    path = world.work / f"{name}.jsonl"
    # Two processes share a state, as they may.
    world.run("replicate", "--config", config, "--once", "--roles", "source",
              "--report", path).expect(0)
    lines = [line for line in report(path) if "state" in line]
    carried = {line["key"]: line["route"] for line in lines}
    wanted = {key: leaving for key, way in ways.items() if way == "leaves"}
    check(carried == wanted, f"the source carried {carried}, not {wanted}")

    # Another state does not know what this one has deleted: nothing of it is applied.
    elsewhere = world.config(stores, [rule(transport="auto", **fields)],
                             name=f"{name}-elsewhere.yaml", state=f"sqlite:{name}-elsewhere.db",
                             queue=f"sqlite:{name}-elsewhere.db")
    world.run("replicate", "--config", elsewhere, "--once", "--roles", "target").expect(
        1, "needs one state for the source and the target role")
    check(set(keys_of(target.s3, f"{name}-out")) == set(wanted), "the archive was applied")

    world.run("replicate", "--config", config, "--once", "--roles", "target",
              "--report", path).expect(0)
    routes = {line["key"]: line["route"] for line in report(path) if line.get("state") == "applied"}
    check(routes == {key: "archive" for key, way in ways.items() if way == "archive"},
          f"by archive came {routes}")
    check_equal(source, target, f"{name}-in", f"{name}-out")
    world.run("explain", f"one:{name}-in/photos/two.jpg", "--config", config).expect(
        0, "does not shrink", "COMPLETED")
    world.run("explain", f"one:{name}-in/logs/two.txt", "--config", config).expect(
        0, "goes by archive", "COMPLETED")

    source.s3.delete_object(Bucket=f"{name}-in", Key="photos/two.jpg")
    source.s3.delete_object(Bucket=f"{name}-in", Key="logs/two.txt")
    world.run("replicate", "--config", config, "--once").expect(0)
    check_equal(source, target, f"{name}-in", f"{name}-out")
    check_staging_empty(target)
    check_no_uploads(target, f"{name}-out")


def main() -> None:
    kinds = sys.argv[1:] or ["minio", "versitygw", "rgw"]
    with World("routes") as world:
        plain = world.serve("minio", "plain")
        for bucket in ("copy", "staging"):
            plain.s3.create_bucket(Bucket=bucket)
        for kind in kinds:
            server = world.serve(kind, f"{kind}-copies")
            for bucket in ("data", "copy", "staging"):
                server.s3.create_bucket(Bucket=bucket)
            put_all(server.s3, "data", things(60))
            large = text_bytes(random.Random(5), 20 << 20)
            server.s3.put_object(Bucket="data", Key="large", Body=large,
                                 Metadata={"kind": "large"}, ContentType="text/large")
            count = len(keys_of(server.s3, "data"))
            step(f"{kind} copies")
            config = world.config({"one": server}, [rule(
                source="one:data/", to="one:copy/", staging="one:staging/", transport="copy",
                deletes=True)], name=f"copy-{kind}.yaml", state=f"sqlite:{kind}.db",
                queue=f"sqlite:{kind}.db")
            carry(world, config, "copy", count)
            check_equal(server, server)
            check_no_uploads(server, "copy")
            server.s3.delete_object(Bucket="data", Key="large")
            world.run("replicate", "--config", config, "--once").expect(0)
            check("large" not in keys_of(server.s3, "copy"), "the delete was not carried")

        step(f"streamed from {kinds[-1]}")
        source = server
        source.s3.put_object(Bucket="data", Key="large", Body=large, Metadata={"kind": "large"})
        config = world.config({"one": source, "two": plain}, [rule(
            source="one:data/", to="two:copy/", staging="two:staging/", transport="plain")],
            name="plain.yaml", state="sqlite:plain.db", queue="sqlite:plain.db")
        carry(world, config, "plain", count)
        check_equal(source, plain)
        check_no_uploads(plain, "copy")

        step(f"chosen from {kinds[-1]}")
        choose(world, "chosen", source, plain, "plain")
        step("chosen within minio")
        choose(world, "within", plain, plain, "copy")

        step("copies under a key, within minio")
        plain.s3.create_bucket(Bucket="keyed")
        keyed = rule(source="one:within-in/", to="one:keyed/", staging="one:staging/",
                     transport="copy")
        keyed["targets"][0]["kms_key"] = KMS_KEY_ID
        config = world.config({"one": plain}, [keyed], name="keyed.yaml", state="sqlite:keyed.db",
                              queue="sqlite:keyed.db")
        carry(world, config, "copy", len(keys_of(plain.s3, "within-in")))
        check_equal(plain, plain, "within-in", "keyed")
        for key in keys_of(plain.s3, "keyed"):
            head = plain.s3.head_object(Bucket="keyed", Key=key)
            check(head.get("SSEKMSKeyId", "").endswith(KMS_KEY_ID), f"{key} is under {head}")
        step("ok")


if __name__ == "__main__":
    main()
