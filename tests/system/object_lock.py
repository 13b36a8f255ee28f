"""object_lock.py: `object_lock: true` of a target carries retention and legal hold to real servers.

Without it: what nobody may remove at the source could be removed at the target, or the lock could be
left out without a word where the bucket has none.
"""

import datetime

import botocore.exceptions
from harness import World, check, check_staging_empty, keys_of, step

UNTIL = datetime.datetime(2040, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


def lock_of(s3, bucket: str, key: str) -> tuple:
    head = s3.head_object(Bucket=bucket, Key=key)
    until = head.get("ObjectLockRetainUntilDate")
    return (head.get("ObjectLockMode"), until and until.astimezone(datetime.timezone.utc),
            head.get("ObjectLockLegalHoldStatus", "OFF"))


def main() -> None:
    with World("object_lock") as world:
        source = world.serve("minio", "source")
        target = world.serve("minio", "target")
        source.s3.create_bucket(Bucket="data", ObjectLockEnabledForBucket=True)
        target.s3.create_bucket(Bucket="copy", ObjectLockEnabledForBucket=True)
        for bucket in ("plain", "staging"):
            target.s3.create_bucket(Bucket=bucket)
        retained = {"ObjectLockMode": "GOVERNANCE", "ObjectLockRetainUntilDate": UNTIL}
        source.s3.put_object(Bucket="data", Key="free", Body=b"free")
        source.s3.put_object(Bucket="data", Key="retained", Body=b"retained", **retained)
        source.s3.put_object(Bucket="data", Key="held", Body=b"held", ObjectLockLegalHoldStatus="ON")
        # Beyond the size of a bundle, and in parts at the target.
        source.s3.put_object(Bucket="data", Key="large", Body=b"0123456789abcdef" * 1_300_000, **retained)

        def config(bucket: str, name: str, transport: str = "direct", **fields):
            return world.config(
                {"source": source, "target": target},
                [{"id": "main", "source": "source:data/", "intake": {"listing": "1h"}, "deletes": True,
                  "transport": transport,
                  "targets": [{"to": f"target:{bucket}/", "staging": "target:staging/", **fields}]}],
                f"{name}.yaml", queue=f"sqlite:{name}.db", state=f"sqlite:{name}.db")

        def expect_locks(bucket: str) -> None:
            for key, wanted in (("free", (None, None, "OFF")), ("held", (None, None, "ON")),
                                ("retained", ("GOVERNANCE", UNTIL, "OFF")),
                                ("large", ("GOVERNANCE", UNTIL, "OFF"))):
                found = lock_of(target.s3, bucket, key)
                check(found == wanted, f"{bucket}/{key} has {found}, not {wanted}")

        step("the locks come along in archives")
        locked = config("copy", "locked", object_lock=True)
        world.run("doctor", locked).expect(0)
        world.run("replicate", "--config", locked, "--once").expect(0)
        expect_locks("copy")
        check_staging_empty(target)
        version = target.s3.head_object(Bucket="copy", Key="retained")["VersionId"]
        try:
            target.s3.delete_object(Bucket="copy", Key="retained", VersionId=version)
            check(False, "what is retained was removed")
        except botocore.exceptions.ClientError as error:
            check(error.response["Error"]["Code"] in ("AccessDenied", "ObjectLocked", "InvalidRequest"),
                  f"it was refused by {error}")

        step("what is locked is overwritten and deleted as a new version")
        source.s3.put_object(Bucket="data", Key="retained", Body=b"newer")
        source.s3.delete_object(Bucket="data", Key="held")
        world.run("replicate", "--config", locked, "--once").expect(0)
        check(lock_of(target.s3, "copy", "retained") == (None, None, "OFF"), "a lock was made up")
        check(target.s3.get_object(Bucket="copy", Key="retained")["Body"].read() == b"newer", "not newer")
        check(keys_of(target.s3, "copy") == ["free", "large", "retained"], "held is not gone")
        old = target.s3.head_object(Bucket="copy", Key="retained", VersionId=version)
        check(old["ObjectLockMode"] == "GOVERNANCE", "the old version has lost its lock")

        step("and as streams")
        source.s3.put_object(Bucket="data", Key="retained", Body=b"retained", **retained)
        source.s3.put_object(Bucket="data", Key="held", Body=b"held", ObjectLockLegalHoldStatus="ON")
        target.s3.create_bucket(Bucket="streams", ObjectLockEnabledForBucket=True)
        world.run("replicate", "--config", config("streams", "streams", "plain", object_lock=True),
                  "--once").expect(0)
        expect_locks("streams")

        step("who does not ask for locks gets none")
        target.s3.create_bucket(Bucket="unasked", ObjectLockEnabledForBucket=True)
        world.run("replicate", "--config", config("unasked", "unasked"), "--once").expect(0)
        for key in keys_of(source.s3, "data"):
            found = lock_of(target.s3, "unasked", key)
            check(found == (None, None, "OFF"), f"unasked/{key} has {found}")

        step("a bucket without Object Lock parks what is locked, with the reason, and carries the rest")
        plain = config("plain", "plain", object_lock=True)
        world.run("doctor", plain).expect(1, "lock objects")
        world.run("replicate", "--config", plain, "--once").expect(1)
        check(keys_of(target.s3, "plain") == ["free"], f"there: {keys_of(target.s3, 'plain')}")
        parked = world.run("rules", "parked", "--config", plain).expect(0).stdout
        check("give the target a bucket with Object Lock" in parked, f"parked: {parked}")
        step("ok")


if __name__ == "__main__":
    main()
