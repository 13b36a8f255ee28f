"""inventory.py: a rule whose comparisons read the newest S3 Inventory of the source.

Without it: an inventory of yesterday might be taken for the bucket of today, and what was written
since be deleted at the target; half an inventory might pass for a whole one.
"""

import datetime
import gzip
import hashlib
import json
import urllib.parse

from harness import World, check, keys_of, make_buckets, rule, step

FOLDER = "inv/data/daily/"


class Inventory:
    """Delivers as S3 does: data files first, then manifest.json in a folder of its own."""

    def __init__(self, source) -> None:
        self.s3 = source.s3

    def etag(self, key: str) -> str:
        return self.s3.head_object(Bucket="data", Key=key)["ETag"].strip('"')

    def deliver(self, at: datetime.datetime, keys: dict[str, str], **manifest) -> str:
        """`keys`: with their ETags. The key of its data."""
        rows = "".join(f'"data","{urllib.parse.quote(key, safe="")}","5",'
                       f'"2026-11-01T00:00:00.000Z","{etag}"\n' for key, etag in keys.items())
        packed = gzip.compress(rows.encode())
        data = f"{FOLDER}data/{at:%Y%m%d}.csv.gz"
        self.s3.put_object(Bucket="reports", Key=data, Body=packed)
        text = json.dumps({
            "sourceBucket": "data", "destinationBucket": "arn:aws:s3:::reports",
            "version": "2016-11-30", "creationTimestamp": "1764000000000", "fileFormat": "CSV",
            "fileSchema": "Bucket, Key, Size, LastModifiedDate, ETag",
            "files": [{"key": data, "size": len(packed),
                       "MD5checksum": hashlib.md5(packed).hexdigest()}], **manifest})
        self.manifest(at, text)
        return data

    def manifest(self, at: datetime.datetime, text: str) -> None:
        self.s3.put_object(Bucket="reports", Key=f"{FOLDER}{at:%Y-%m-%dT%H-%MZ}/manifest.json",
                           Body=text.encode())


def day(number: int) -> datetime.datetime:
    return datetime.datetime(2026, 11, number, 1)


def main() -> None:
    with World("inventory") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        source.s3.create_bucket(Bucket="reports")
        inventory = Inventory(source)
        config = world.config({"source": source, "target": target}, [
            rule(deletes=True, intake={"inventory": f"source:reports/{FOLDER}"})])
        once = ("replicate", "--config", config, "--once")

        def put(*keys: str) -> None:
            for key in keys:
                source.s3.put_object(Bucket="data", Key=key, Body=b"bytes")

        def there() -> list[str]:
            return keys_of(target.s3, "copy")

        step("before the first one")
        put("a", "b +/c", "new")
        world.run(*once).expect(3, "there is no manifest.json", f"source:reports/{FOLDER}",
                                "within 48 hours")
        check(there() == [], f"something was carried: {there()}")

        step("the newest of them is read, and the source is not listed")
        inventory.deliver(day(1), {"new": inventory.etag("new")})
        inventory.deliver(day(2), {"a": inventory.etag("a"), "b +/c": inventory.etag("b +/c")})
        world.run(*once).expect(0)
        check(there() == ["a", "b +/c"], f"at the target: {there()}")

        step("what it lacks stays, what has gone since goes")
        put("since")
        full = {key: inventory.etag(key) for key in ("a", "b +/c", "new", "since")}
        inventory.deliver(day(3), full)
        world.run(*once).expect(0)
        check(there() == ["a", "b +/c", "new", "since"], f"at the target: {there()}")
        source.s3.delete_object(Bucket="data", Key="a")
        inventory.deliver(day(4), {"a": "0" * 32})  # Of a state that was there between two readings.
        world.run(*once).expect(0)
        check(there() == ["b +/c", "new", "since"], f"at the target: {there()}")

        step("the same one is not compared again")
        inventory.deliver(day(5), {key: full[key] for key in ("b +/c", "new", "since")})
        world.run(*once).expect(0)
        target.s3.delete_object(Bucket="copy", Key="new")
        world.run(*once).expect(0)
        check(there() == ["b +/c", "since"], f"at the target: {there()}")

        step("what is wrong with one is said, and nothing is deleted")
        rows = {"new": full["new"]}
        data = inventory.deliver(day(6), rows, fileFormat="Parquet")
        world.run(*once).expect(2, "only CSV can be read", "nothing was deleted")
        inventory.deliver(day(6), rows, sourceBucket="other")
        world.run(*once).expect(2, "inventory of the bucket 'other'", "nothing was deleted")
        inventory.manifest(day(6), '{"sourceBucket":"data","fileForm')
        check(world.run(*once).code in (1, 2), "half a manifest was taken")
        inventory.deliver(day(6), rows)
        packed = source.s3.get_object(Bucket="reports", Key=data)["Body"].read()
        source.s3.put_object(Bucket="reports", Key=data, Body=packed[:-9])
        ran = world.run(*once)
        check(ran.code == 1 and "nothing was deleted" in ran.stderr, f"cut data: {ran}")
        source.s3.delete_object(Bucket="reports", Key=data)
        world.run(*once).expect(3, "nothing was deleted", data)
        check(there() == ["b +/c", "since"], f"at the target: {there()}")

        step("and the next one mends it")
        inventory.deliver(day(7), rows)
        world.run(*once).expect(0)
        check(there() == ["b +/c", "new", "since"], f"at the target: {there()}")
        step("ok")


if __name__ == "__main__":
    main()
