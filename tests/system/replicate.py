"""replicate.py SOURCE TARGET COUNT [corpus [N]]: `replicate --once` between two different servers.

With `corpus`, real files as well, at most N of each folder.

Without it: what one server's quirks do to keys, headers, tags or bytes would be seen by users.
"""

import sys

from harness import (HOSTILE_KEYS, PLAIN_ODD_KEYS, UNHOLDABLE, Thing, World, check, check_equal,
                     check_no_uploads, check_staging_empty, corpus, keys_of, make_buckets, put_all,
                     report, rule, step, things)


def main(source_kind: str, target_kind: str, count: int, files_of_a_folder: int) -> None:
    with World("replicate") as world:
        source = world.serve(source_kind, "source")
        target = world.serve(target_kind, "target")
        make_buckets(source, target)
        objects = things(count) + [Thing(key, key.encode()) for key in PLAIN_ODD_KEYS]
        objects += corpus("files/", files_of_a_folder) if files_of_a_folder else []
        step(f"servers are up; {len(objects)} objects")
        put_all(source.s3, "data", objects)

        config = world.config({"source": source, "target": target}, [rule()])
        step("replicate --once")
        report_path = world.work / "report.jsonl"
        ran = world.run("replicate", "--config", config, "--once", "--report", report_path)
        ran.expect(0)
        lines = report(report_path)
        applied = [line["key"] for line in lines if line.get("state") == "applied"]
        check(sorted(applied) == sorted(thing.key for thing in objects),
              f"the report names {len(applied)} applied, not {len(objects)}: {lines[-1]}")
        step(f"done: {ran.seconds:.1f} s, CPU {ran.cpu_seconds:.1f} s, "
             f"{ran.peak_rss_bytes >> 20} MiB; check, then boto3")
        world.run("check", "--config", config, "source:data/", "target:copy/").expect(0)
        compared = check_equal(source, target)
        check(compared == len(objects), f"{compared} objects at the source, not {len(objects)}")
        check_staging_empty(target)
        check_no_uploads(target, "copy", "staging")

        step("a second run finds nothing to do")
        world.run("replicate", "--config", config, "--once", "--report", report_path).expect(0)
        again = [line for line in report(report_path) if line.get("state") == "applied"]
        check(not again, f"applied once more: {again[:3]}")

        step("check names what differs")
        target.s3.put_object(Bucket="copy", Key=objects[1].key, Body=b"changed")
        target.s3.delete_object(Bucket="copy", Key=objects[2].key)
        world.run("check", "--config", config, "source:data/", "target:copy/").expect(
            11, objects[1].key, objects[2].key)

        if source_kind == "rgw":
            hostile_keys(world, source, target)
        step("ok")


def hostile_keys(world: World, source, target) -> None:
    """A key that the target cannot hold is parked with the reason, never written elsewhere."""
    step("keys that the target may not hold")
    source.s3.create_bucket(Bucket="hostile")
    target.s3.create_bucket(Bucket="hostile-copy")
    put_all(source.s3, "hostile", [Thing(key, key.encode()) for key in HOSTILE_KEYS])
    config = world.config({"source": source, "target": target},
                          [rule("source:hostile/", "target:hostile-copy/", id="hostile")],
                          "hostile.yaml")
    report_path = world.work / "hostile.jsonl"
    unholdable = set(UNHOLDABLE[target.kind])
    world.run("replicate", "--config", config, "--once", "--report", report_path).expect(
        1 if unholdable else 0)
    parked = {line["key"]: line.get("reason") for line in report(report_path)
              if line.get("state") == "parked"}
    check(set(parked) == unholdable, f"parked and should not be: {set(parked) - unholdable}; "
                                     f"should be parked: {unholdable - set(parked)}")
    check(all(parked.values()), f"parked without a reason: {parked}")
    held = set(HOSTILE_KEYS) - unholdable
    there = set(keys_of(target.s3, "hostile-copy"))
    check(there == held, f"only at the target: {there - held}; missing: {held - there}")
    for key in held:
        body = target.s3.get_object(Bucket="hostile-copy", Key=key)["Body"].read()
        check(body == key.encode(), f"{key!r} holds {body!r}")


if __name__ == "__main__":
    of_a_folder = int(sys.argv[5]) if len(sys.argv) > 5 else 1_000_000
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), of_a_folder if len(sys.argv) > 4 else 0)
