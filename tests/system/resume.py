"""resume.py [KILLS [MIB]]: copies of large objects that are killed with -9, and go on.

One object of MIB is copied in parts of 8 MiB and killed KILLS times; in between with another part
size, and with the file that remembers uploads lost. It is downloaded likewise, and copied to a target
that encrypts by SSE-KMS. No part that has arrived is sent twice, and at the end everything is equal and no
upload is left.

`./dev test long` has `resume.py 50 4096`.

Without it: a copy of hours that starts over, sends twice, or leaves parts that somebody pays for.
"""

import collections
import hashlib
import io
import os
import random
import sys
import time

from boto3.s3.transfer import TransferConfig

from fault_proxy import FaultProxy
from harness import KMS_KEY_ID, World, check, step, wait_until

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 6
MIB = int(sys.argv[2]) if len(sys.argv) > 2 else 256
PART = 8 << 20


def uploads_of(s3, bucket: str) -> list[dict]:
    return s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])


def parts_of(s3, bucket: str, key: str) -> dict[int, tuple]:
    """The parts of all uploads of a key, by number: ETag, size and time."""
    found = {}
    for upload in uploads_of(s3, bucket):
        if upload["Key"] != key:
            continue
        for page in s3.get_paginator("list_parts").paginate(Bucket=bucket, Key=key,
                                                            UploadId=upload["UploadId"]):
            for part in page.get("Parts", []):
                found[part["PartNumber"]] = (part["ETag"], part["Size"], part["LastModified"])
    return found


def digest_of(s3, bucket: str, key: str) -> str:
    digest = hashlib.sha256()
    for chunk in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(8 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def large_object(world, source, target, environment) -> None:
    step(f"one object of {MIB} MiB, {KILLS} kills")
    # A line slow enough to be cut in the middle.
    line = FaultProxy(target.endpoint, bytes_per_second=max(48 << 20, MIB << 17))
    path = world.folder / "large.bin"
    seed = random.Random(3).randbytes(1 << 20)
    with open(path, "wb") as file:
        for number in range(MIB):
            file.write(number.to_bytes(8, "big") + seed[8:])
    source.s3.upload_file(str(path), "data", "large.bin",
                          Config=TransferConfig(multipart_chunksize=PART),
                          ExtraArgs={"Metadata": {"kind": "large"}})
    os.unlink(path)
    total = (MIB << 20) // PART
    sent_again = collections.Counter()

    def command(part_size: str) -> list:
        return ["cp", "s3://data/large.bin", "s3://copy/large.bin", "--part-size", part_size,
                "--source-endpoint-url", source.endpoint, "--target-endpoint-url", line.endpoint]

    state = world.work / "home/longhaul/state.db"
    for kill in range(KILLS):
        before = parts_of(target.s3, "copy", "large.bin")
        if kill == KILLS // 2 + 1:
            step(f"the state is lost, {len(before)} of {total} parts are there")
            for file in state.parent.iterdir():
                file.unlink()
        copying = world.start(*command("16MiB" if kill == KILLS // 2 else "8MiB"), env=environment)
        want = min(len(before) + max(1, total // (KILLS * 4)), total - 1)
        wait_until(lambda: len(parts_of(target.s3, "copy", "large.bin")) >= want or
                   not copying.running(), 120, "another part", every=0.02)
        check(copying.running(), f"the copy ended before it was killed: {copying.output()}")
        copying.kill()
        copying.wait()
        after = parts_of(target.s3, "copy", "large.bin")
        for number, part in before.items():
            check(number in after, f"part {number} is gone after kill {kill}")
            if after[number] != part:
                sent_again[number] += 1
        check(len(uploads_of(target.s3, "copy")) == 1,
              f"{len(uploads_of(target.s3, 'copy'))} uploads after kill {kill}")
    step(f"{len(parts_of(target.s3, 'copy', 'large.bin'))} of {total} parts are there")
    check(not sent_again, f"parts that were there were sent again: {dict(sent_again)}")
    done = world.run(*command("8MiB"), "--json", env=environment).expect(0)
    copied = [line for line in done.lines() if line.get("event") == "copied"]
    check(copied and copied[0]["found"] >= PART * KILLS,
          f"the last run does not say what it found: {copied}")
    check(not uploads_of(target.s3, "copy"), "an upload is left")
    check(digest_of(source.s3, "data", "large.bin") == digest_of(target.s3, "copy", "large.bin"),
          "the copy differs")
    check(target.s3.head_object(Bucket="copy", Key="large.bin")["Metadata"] == {"kind": "large"},
          "the metadata is lost")
    line.close()


def large_download(world, source, environment) -> None:
    step(f"a download of {MIB} MiB, {KILLS} kills")
    line = FaultProxy(source.endpoint, bytes_per_second=max(48 << 20, MIB << 17))
    folder = world.folder / "download"
    folder.mkdir()
    command = ["cp", "s3://data/large.bin", f"{folder}/large.bin", "--part-size", "8MiB",
               "--source-endpoint-url", line.endpoint]
    total = (MIB << 20) // PART

    def parts_there() -> int:
        return sum(text.count("\npart ") for log in folder.glob(".longhaul-*.part/parts")
                   if (text := log.read_text(errors="replace")))

    # Nothing but the folder is needed: what the user's state remembers is lost each time.
    def elsewhere(number: int) -> dict:
        return {**environment, "XDG_STATE_HOME": str(world.work / f"home-{number}")}

    for kill in range(KILLS):
        before = parts_there()
        copying = world.start(*command, env=elsewhere(kill))
        want = min(before + max(1, total // (KILLS * 4)), total - 1)
        wait_until(lambda: parts_there() >= want or not copying.running(), 120, "another part",
                   every=0.02)
        check(copying.running(), f"the download ended before it was killed: {copying.output()}")
        copying.kill()
        copying.wait()
        check(parts_there() >= before, f"parts are gone after kill {kill}")
        check(len(list(folder.iterdir())) == 1, f"more than one upload after kill {kill}")
    there = parts_there()
    step(f"{there} of {total} parts are there")
    world.run("uploads", "ls", str(folder), env=environment).expect(0, "large.bin", f"{there} part")
    world.run("ls", f"{folder}/", env=environment).expect(0)
    done = world.run(*command, "--json", env=environment).expect(0)
    copied = [line for line in done.lines() if line.get("event") == "copied"]
    check(copied and copied[0]["found"] == there * PART,
          f"the last run has not found what was there: {copied}")
    check([path.name for path in folder.iterdir()] == ["large.bin"], "something is left")
    digest = hashlib.sha256()
    with open(folder / "large.bin", "rb") as file:
        while chunk := file.read(8 << 20):
            digest.update(chunk)
    check(digest.hexdigest() == digest_of(source.s3, "data", "large.bin"), "the download differs")
    line.close()
    os.unlink(folder / "large.bin")


def under_kms(world, environment) -> None:
    step("a target that encrypts by SSE-KMS")
    target = world.serve("minio", "encrypting")
    target.s3.create_bucket(Bucket="plain")
    target.s3.create_bucket(Bucket="copy")
    target.s3.put_bucket_encryption(Bucket="copy", ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms",
                                                "KMSMasterKeyID": KMS_KEY_ID}}]})
    # Nothing but the ETag of its parts says what it is.
    part, parts = 16 << 20, 6
    body = random.Random(4).randbytes(parts * part)
    target.s3.upload_fileobj(io.BytesIO(body), "plain", "kms.bin", Config=TransferConfig(
        multipart_threshold=part, multipart_chunksize=part))
    head = target.s3.head_object(Bucket="plain", Key="kms.bin", ChecksumMode="ENABLED")
    check(head["ETag"].endswith(f'-{parts}"') and not any("Checksum" in name for name in head),
          f"the source is not as it should be: {head}")
    line = FaultProxy(target.endpoint)
    command = ["cp", "s3://plain/kms.bin", "s3://copy/kms.bin", "--upload-concurrency", "2", "--json",
               "--source-endpoint-url", target.endpoint, "--target-endpoint-url", line.endpoint]

    def sent() -> int:
        return line.asked["PUT partNumber uploadId"]

    def copied(done) -> dict:
        line_ = [line for line in done.expect(0).lines() if line.get("event") == "copied"][0]
        head = target.s3.head_object(Bucket="copy", Key="kms.bin")
        check(head.get("ServerSideEncryption") == "aws:kms", f"it is not encrypted: {head}")
        check(target.s3.get_object(Bucket="copy", Key="kms.bin")["Body"].read() == body,
              "the copy differs")
        check(line_["verified"] == "etag", f"it is not verified: {line_}")
        return line_

    copied(world.run(*command, env=environment))
    check(sent() == parts, f"{parts} parts were sent {sent()} times")

    target.s3.delete_object(Bucket="copy", Key="kms.bin")
    line.asked.clear()
    line.bytes_per_second = 16 << 20
    copying = world.start(*command, env=environment)

    def there() -> int:
        uploads = target.s3.list_multipart_uploads(Bucket="copy", Prefix="kms.bin").get("Uploads", [])
        return sum(len(target.s3.list_parts(Bucket="copy", Key="kms.bin",
                                            UploadId=upload["UploadId"]).get("Parts", []))
                   for upload in uploads)

    wait_until(lambda: there() >= 2 or not copying.running(), 120, "two parts", every=0.02)
    check(copying.running(), f"the copy ended before it was killed: {copying.output()}")
    copying.kill()
    copying.wait()
    time.sleep(1)  # The server may be at work on a part that has arrived.
    found = there()
    line.bytes_per_second = 0
    line.asked.clear()
    # Another machine knows nothing of it.
    elsewhere = {**environment, "XDG_STATE_HOME": str(world.work / "elsewhere")}
    done = copied(world.run(*command, env=elsewhere))
    check(done.get("found") == found * part, f"{found} parts were there: {done}")
    check(sent() == parts - found, f"{found} of {parts} parts were there, and {sent()} were sent")
    line.close()


def left_uploads(world, target, environment) -> None:
    step("uploads that others left")
    upload = target.s3.create_multipart_upload(Bucket="copy", Key="foreign.bin")
    target.s3.upload_part(Bucket="copy", Key="foreign.bin", UploadId=upload["UploadId"],
                          PartNumber=1, Body=b"x" * 1000)
    at = ["--endpoint-url", target.endpoint]
    world.run("uploads", "ls", "s3://copy", *at, env=environment).expect(0, "foreign.bin", "1 part")
    world.run("uploads", "abort", "s3://copy", "--older-than", "1h", *at, env=environment).expect(
        0, "no uploads")
    world.run("uploads", "abort", "s3://copy", "--dry-run", *at, env=environment).expect(
        0, "would abort")
    check(uploads_of(target.s3, "copy"), "--dry-run has aborted an upload")
    world.run("uploads", "abort", "s3://copy/foreign", *at, env=environment).expect(0, "aborted")
    check(not uploads_of(target.s3, "copy"), "the upload is still there")


def main() -> None:
    with World("resume", bytes_needed=(3 * MIB) << 20) as world:
        source, target = world.serve("versitygw", "source"), world.serve("versitygw", "target")
        source.s3.create_bucket(Bucket="data")
        target.s3.create_bucket(Bucket="copy")
        environment = {"XDG_STATE_HOME": str(world.work / "home")}
        large_object(world, source, target, environment)
        large_download(world, source, environment)
        under_kms(world, environment)
        left_uploads(world, target, environment)
    step("passed")


main()
