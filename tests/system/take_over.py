"""take_over.py: archives that the cross-region compressor left in its inbound bucket, made here as
it makes them (Python's tarfile, zstd), are applied and removed.

Without it: an archive would be what this program's own tests take for one.
"""

import hashlib
import io
import json
import subprocess
import tarfile
import time
import uuid

from harness import World, check, keys_of, report, rule, step, text_bytes

import random

HOUR = 3600


def compressor_time(seconds_ago: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(time.time() - seconds_ago))


def archive(objects: list[dict], level: int = 12, targets=(("west", "copy"),)) -> bytes:
    """`objects`: key (below logs/), body, age in seconds or the time; what differs in the manifest."""
    manifest = {"targets": [{"region": region, "bucket": bucket, "storage_class": "STANDARD_IA",
                             "backup": False} for region, bucket in targets], "objects": []}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for thing in objects:
            body = thing["body"]
            info = tarfile.TarInfo("objects/" + thing["key"])
            info.size, info.mtime = len(body), time.time()
            tar.addfile(info, io.BytesIO(body))
            manifest["objects"].append({
                "source_bucket": "data", "source_region": "east", "source_prefix": "logs/",
                "object_name": thing["key"].rsplit("/", 1)[-1], "relative_key": thing["key"],
                "tags": thing.get("tags", []),
                "creation_time": thing.get("created") or compressor_time(thing["age"]),
                "etag": thing.get("etag", hashlib.md5(body).hexdigest()), "size": len(body),
                "storage_class": "STANDARD"})
        text = json.dumps(manifest, indent=2).encode()
        info = tarfile.TarInfo("manifest.json")
        info.size, info.mtime = len(text), time.time()
        tar.addfile(info, io.BytesIO(text))
    # From a pipe, as the compressor streams: the frame does not know the size of its content.
    return subprocess.run(["zstd", "-q", "-c", "--no-check", "--ultra", f"-{level}"],
                          input=file.getvalue(), stdout=subprocess.PIPE, check=True).stdout


def leave(s3, content: bytes, folder: str = "data/logs/") -> str:
    key = f"{folder}{uuid.uuid4().hex}.tar.zst"
    s3.put_object(Bucket="inbound", Key=key, Body=content)
    return key


def main() -> None:
    noise = random.Random(3)
    with World("take-over") as world:
        east = world.serve("versitygw", "east")
        west = world.serve("minio", "west")
        east.s3.create_bucket(Bucket="data")
        for bucket in ("copy", "staging", "inbound"):
            west.s3.create_bucket(Bucket=bucket)
        west.s3.put_bucket_versioning(Bucket="inbound",
                                      VersioningConfiguration={"Status": "Enabled"})
        rules = [rule(source="source:data/logs/", to="target:copy/logs/")]
        rules[0]["targets"][0]["take_over"] = {"from": "target:inbound/"}
        config = world.config({"source": east, "target": west}, rules)
        world.run("config", "check", config).expect(
            0, "takes over the archives in target:inbound/")

        step("archives of all kinds")
        large = noise.randbytes(12 << 20)
        source = text_bytes(noise, 5_000)
        east.s3.put_object(Bucket="data", Key="logs/both", Body=source, ContentType="text/x-log",
                           Metadata={"owner": "ann"})
        west.s3.put_object(Bucket="copy", Key="logs/foreign", Body=b"somebody's")
        west.s3.put_object(Bucket="copy", Key="logs/older", Body=b"1", Tagging=(
            f"OriginalCreationTime={compressor_time(3 * HOUR).replace(' ', '%20')}"
            "&OriginalETag=x"))
        long_key = "long/" + "n" * 200 + "/ä b+c%41"
        leave(west.s3, archive([
            {"key": "2026/a.csv", "body": b"a,b\n", "age": HOUR, "tags": [{"owner": "ann"}]},
            {"key": long_key, "body": b"long", "age": HOUR},
            {"key": "twice", "body": b"first", "age": HOUR},
            {"key": "twice", "body": b"second", "age": HOUR},
            {"key": "empty", "body": b"", "age": HOUR, "tags": {}},
            {"key": "both", "body": source, "age": HOUR},
            {"key": "foreign", "body": b"ours", "age": HOUR},
            {"key": "older", "body": b"2", "age": HOUR}]))
        leave(west.s3, archive([{"key": "large", "body": large, "age": HOUR},
                                {"key": "behind", "body": b"behind it", "age": HOUR}], level=19))
        damaged = leave(west.s3, archive([{"key": "bad", "body": b"x" * 5000, "age": HOUR}])[:-9])
        wrong = leave(west.s3, archive([
            {"key": "wrong", "body": b"text", "age": HOUR, "etag": "0" * 32},
            {"key": "right", "body": b"text", "age": HOUR}]))
        path = world.work / "report.jsonl"
        done = world.run("replicate", "--config", config, "--once", "--memory", "192MiB",
                         "--report", path)
        done.expect(1)
        check(done.peak_rss_bytes < 400 << 20, f"{done.peak_rss_bytes >> 20} MiB were resident")
        expected = {"2026/a.csv": b"a,b\n", long_key: b"long", "twice": b"second", "empty": b"",
                    "both": source, "foreign": b"somebody's", "older": b"2", "large": large,
                    "behind": b"behind it", "right": b"text"}
        found = set(keys_of(west.s3, "copy"))
        check(found == {"logs/" + key for key in expected}, f"at the target: {sorted(found)}")
        for key, body in expected.items():
            there = west.s3.get_object(Bucket="copy", Key="logs/" + key)["Body"].read()
            check(there == body, f"{key}: other bytes")
        tags = west.s3.get_object_tagging(Bucket="copy", Key="logs/2026/a.csv")["TagSet"]
        check(tags == [{"Key": "owner", "Value": "ann"}], f"tags {tags}")
        # What the source holds came from there, with all that belongs to it.
        head = west.s3.head_object(Bucket="copy", Key="logs/both")
        check(head["ContentType"] == "text/x-log" and head["Metadata"]["owner"] == "ann",
              "an archive came before the source")
        states = {line.get("key"): (line["state"], line.get("reason", ""))
                  for line in report(path) if line.get("route") == "take-over"}
        check(states["logs/foreign"][0] == "conflict", f"foreign: {states['logs/foreign']}")
        check(states["logs/both"][0] in ("equal", "superseded"), f"both: {states['logs/both']}")
        check("could not read" in states["logs/empty"][1], f"empty: {states['logs/empty']}")
        left = set(keys_of(west.s3, "inbound"))
        check(left == {damaged, wrong}, f"left in the inbound bucket: {left}")
        world.run("rules", "parked", "main", "--config", config).expect(
            0, "logs/wrong", "cut off", "not those of its ETag")

        step("a person mends it, while longhaul runs")
        west.s3.delete_object(Bucket="inbound", Key=damaged)
        rules[0]["targets"][0]["take_over"]["etags"] = "opaque"
        config = world.config({"source": east, "target": west}, rules)
        process = world.start("replicate", "--config", config, "--roles", "target")
        deadline = time.monotonic() + 30
        while keys_of(west.s3, "inbound") and time.monotonic() < deadline:
            time.sleep(0.2)
        check(not keys_of(west.s3, "inbound"), "the archive is still there: " + process.output())
        check("logs/wrong" in keys_of(west.s3, "copy"), "it is gone and was not applied")
        process.kill(15)
        process.wait(30).expect(143)
        step("ok")


if __name__ == "__main__":
    main()
