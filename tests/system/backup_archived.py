"""backup_archived.py: a backup whose archives have been moved to GLACIER comes back when asked for.

Without it: that archives in archive classes are found, priced, asked for and restored with a server
that keeps them so, would be known of fakes alone.
"""

from backup import backup_rule, restore, state_of, unequal
from harness import World, check, keys_of, put_all, step, things


def move(s3, key: str, storage_class: str) -> None:
    """As a lifecycle rule does it."""
    s3.copy_object(Bucket="vault", Key=key, CopySource={"Bucket": "vault", "Key": key},
                   StorageClass=storage_class, MetadataDirective="COPY")


def main() -> None:
    with World("backup_archived") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("moto", "target")
        source.s3.create_bucket(Bucket="data")
        for bucket in ("vault", "staging"):
            target.s3.create_bucket(Bucket=bucket)
        config = world.config({"source": source, "target": target}, [backup_rule()])
        step("a backup, part of it in archive classes")
        for folder in ("old/", "older/", "new/"):
            put_all(source.s3, "data", things(20, prefix=folder))
            world.run("replicate", "--config", config, "--once").expect(0)
        state = state_of(source.s3, "data")
        source.s3.create_bucket(Bucket="back")
        archives = sorted(key for key in keys_of(target.s3, "vault") if key.endswith(".tar.zst"))
        check(len(archives) >= 3, f"{archives}")
        move(target.s3, archives[0], "GLACIER")
        move(target.s3, archives[1], "DEEP_ARCHIVE")

        step("nothing is restored before somebody has asked")
        refused = restore(world, config, "", "source:back/", code=1)
        refused.expect(1, "2 archives", "--ask-back Bulk", "48 hours")
        check("Expedited" not in refused.stdout + refused.stderr, "DEEP_ARCHIVE has no such tier")
        check(not keys_of(source.s3, "back"), "a refused restore has written")
        restore(world, config, "new/", "source:back/new/")
        check(len(keys_of(source.s3, "back")) == 20, "what can be read was not restored")
        restore(world, config, "", "source:back/", "--wait", code=2)
        restore(world, config, "", "source:back/", "--ask-back", "Soon", code=2)
        restore(world, config, "", "source:back/", "--ask-back", "Bulk", "--max-cost", "0", code=2)
        restore(world, config, "", "source:back/", "--ask-back", "Bulk", "--dry-run")
        for key in archives[:2]:
            check("Restore" not in target.s3.head_object(Bucket="vault", Key=key),
                  f"{key} has been asked for")

        step("asked for, priced, and restored")
        done = restore(world, config, "", "source:back/", "--ask-back", "Bulk", "--ask-back-days",
                       "3", "--wait", "--json")
        told = next(line for line in done.lines() if line["event"] == "ask_back")
        check(told["archives"] == 2 and told["pico_dollars"] > 25_000_000 and
              told["unknown_prices"] == [], f"told: {told}")
        for key in archives[:2]:
            check("expiry-date" in target.s3.head_object(Bucket="vault", Key=key)["Restore"], key)
        wrong = unequal(state, state_of(source.s3, "back"))
        check(not wrong, f"{len(wrong)} differ: {wrong[:2]}")
        restore(world, config, "", "source:back/")
        step("ok")


if __name__ == "__main__":
    main()
