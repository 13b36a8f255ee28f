"""backup_reference.py: what the cross-region compressor has kept as backups is listed and restored.

Without it: its archives and catalogs, made here as it makes them, would be read as this program's
own tests imagine them; and garbage beside them might be believed.
"""

import datetime
import hashlib
import json
import random
import time
import uuid

from harness import World, check, keys_of, step, text_bytes
from take_over import archive

DAY = 86_400
START = time.time()
CATALOG = ["--compressor-catalog", "west:haul-111122223333-us-east-2-catalog/"]


def at(days: float) -> str:
    """The time so many days before this test began, as the compressor writes it."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(START - days * DAY))


class Vault:
    """The backups of a source bucket and prefix, in "kept", as release 1.1.0 leaves them."""

    def __init__(self, s3, prefix: str = "logs/"):
        self.s3, self.prefix = s3, prefix

    def keep(self, objects: list[dict], age: int, **changes) -> str:
        """The archive's name; `age` of the backup in days."""
        name = uuid.uuid4().hex
        folder = self.prefix.rstrip("/")
        date = datetime.datetime.fromtimestamp(START - age * DAY, datetime.UTC)
        self.s3.put_object(Bucket="kept", Key=f"{folder}/{name}.tar.zst",
                           Body=archive(objects, targets=(("us-east-2", "kept"),)))
        lines = []
        for thing in objects:
            key = self.prefix + thing["key"]
            lines.append(json.dumps({
                "backup_file": f"{name}.tar.zst", "backup_timestamp": int(date.timestamp()),
                "backup_date": date.strftime("%Y-%m-%d"), "source_bucket": "data",
                "source_prefix": self.prefix, "object_name": key.rsplit("/", 1)[-1],
                "object_path": key, "object_size": len(thing["body"]),
                "creation_time": thing["created"],
                "creation_date": thing["created"][:10],
                "target_buckets": ["kept"], **changes}))
        self.s3.put_object(
            Bucket="haul-111122223333-us-east-2-catalog",
            Key=f"us-east-1/data/{folder}/{date.strftime('year=%Y/month=%m/day=%d')}/{name}.jsonl",
            Body="".join(line + "\n" for line in lines).encode())
        return name


def main() -> None:
    noise = random.Random(5)
    with World("backup_reference") as world:
        west = world.serve("minio", "west")
        for bucket in ("kept", "haul-111122223333-us-east-2-catalog", "back"):
            west.s3.create_bucket(Bucket=bucket)
        config = world.config({"west": west}, [], "stores.yaml")
        vault = Vault(west.s3)

        def backup(command, *words, code=0, catalog=CATALOG):
            return world.run("backup", command, "west:kept/", *words, "--bucket", "data", *catalog,
                             "--json", "--config", config).expect(code)

        def listed(*words, code=0, command="ls"):
            return [line for line in backup(command, *words, code=code).lines()
                    if line["event"] == "object"]

        step("a history of three archives")
        large = noise.randbytes(12 << 20)
        body = {f"2026/{i}.csv": text_bytes(noise, 4000 + i) for i in range(9)}
        vault.keep([{"key": key, "body": text, "created": at(9), "tags": [{"owner": "ann"}]}
                    for key, text in body.items()], age=9)
        vault.keep([{"key": "2026/0.csv", "body": b"changed", "created": at(5)},
                    {"key": "large", "body": large, "created": at(5)},
                    {"key": "ä b/+%41", "body": b"", "created": at(5), "tags": {}}], age=5)
        vault.keep([{"key": "2026/0.csv", "body": b"changed again", "created": at(1)}], age=1)
        keys = sorted({"logs/" + key for key in [*body, "large", "ä b/+%41"]}, key=str.encode)
        check([line["key"] for line in listed()] == keys, "ls")
        old = listed("--at", "7d")
        check([line["key"] for line in old] == sorted("logs/" + key for key in body), f"{old}")
        sizes = [line["size"] for line in listed("logs/2026/0.csv", command="versions")]
        check(sizes == [13, 7, len(body["2026/0.csv"])], f"versions: {sizes}")

        step("restore, as it was and as it is")
        backup("restore", "", "west:back/old/", "--at", "7d")
        for key, text in body.items():
            there = west.s3.get_object(Bucket="back", Key="old/logs/" + key)
            check(there["Body"].read() == text, f"{key} is not what it was")
            tags = west.s3.get_object_tagging(Bucket="back", Key="old/logs/" + key)["TagSet"]
            check(tags == [{"Key": "owner", "Value": "ann"}], f"{key}: {tags}")
        backup("restore", "logs/", "west:back/new/")
        now = {**body, "2026/0.csv": b"changed again", "large": large, "ä b/+%41": b""}
        check(set(keys_of(west.s3, "back", "new/")) == {"new/" + key for key in now}, "keys")
        for key, text in now.items():
            check(west.s3.get_object(Bucket="back", Key="new/" + key)["Body"].read() == text, key)
        again = backup("restore", "logs/", "west:back/new/").lines()[-1]
        check(again["objects"] == 0, f"restored once more: {again}")
        backup("drill", "--sample", "100%", "--to", "west:back/")
        check(not keys_of(west.s3, "back", "longhaul-drill"), "the drill has left something")

        step("what is none of it is named, counted and not believed")
        catalogs = "haul-111122223333-us-east-2-catalog"
        good = keys_of(west.s3, catalogs)[0]
        lines = west.s3.get_object(Bucket=catalogs, Key=good)["Body"].read()
        west.s3.put_object(Bucket=catalogs, Key=good, Body=b"garbage\n{}\n" + lines)
        west.s3.put_object(Bucket=catalogs, Key="us-east-1/data/logs/notes.txt", Body=b"hello")
        wrong = good.split("/year=")[0] + "/year=1999/month=01/day=01/" + good.rsplit("/", 1)[1]
        west.s3.put_object(Bucket=catalogs, Key=wrong, Body=lines)
        gone = vault.keep([{"key": "gone", "body": b"x", "created": at(2)}], age=2)
        west.s3.delete_object(Bucket="kept", Key=f"logs/{gone}.tar.zst")
        vault.keep([{"key": "elsewhere", "body": b"x", "created": at(2)}], age=2,
                   target_buckets=["another"])
        answer = backup("ls", code=1)
        check([line["key"] for line in answer.lines() if line["event"] == "object"] == keys, "ls")
        summary = next(line for line in answer.lines() if line["event"] == "summary")
        count = 2 + lines.count(b"\n")
        check((summary["skipped_lines"], summary["skipped_files"],
               summary["catalogs_without_archive"]) == (count, 1, 1), f"{summary}")
        answer.expect(1, "notes.txt", "year=1999", gone)
        for key in (wrong, "us-east-1/data/logs/notes.txt"):
            west.s3.delete_object(Bucket=catalogs, Key=key)
        west.s3.put_object(Bucket=catalogs, Key=good, Body=lines)
        for key in keys_of(west.s3, catalogs):
            if gone in key:
                west.s3.delete_object(Bucket=catalogs, Key=key)

        step("a catalog that lies, bytes that are not those of the ETag, an archive cut off")
        vault.keep([{"key": "bad/lied", "body": b"x", "created": at(3)}], age=2,
                   creation_time=at(2))
        vault.keep([{"key": "bad/etag", "body": b"text", "created": at(3), "etag": "0" * 32},
                    {"key": "bad/fine", "body": b"fine", "created": at(3)}], age=3)
        cut = vault.keep([{"key": "bad/cut", "body": noise.randbytes(9000), "created": at(3)}],
                         age=3)
        whole = west.s3.get_object(Bucket="kept", Key=f"logs/{cut}.tar.zst")["Body"].read()
        west.s3.put_object(Bucket="kept", Key=f"logs/{cut}.tar.zst", Body=whole[:-900])
        backup("restore", "logs/bad/", "west:back/bad/", code=1).expect(
            1, "its catalog says", "not those of its ETag", "bad/cut")
        check(keys_of(west.s3, "back", "bad/") == ["bad/fine"], "more than what is sound")
        backup("restore", "logs/bad/etag", "west:back/bad/", catalog=[*CATALOG, "--opaque-etags"])
        there = west.s3.get_object(Bucket="back", Key="bad/etag")
        check(hashlib.md5(there["Body"].read()).digest() == hashlib.md5(b"text").digest(), "etag")
        backup("ls", "no/such", code=3)
        world.run("backup", "ls", "west:kept/", *CATALOG, "--config", config).expect(2, "--bucket")
        step("ok")


if __name__ == "__main__":
    main()
