"""versions.py: histories carried by sync --versions between servers that list them differently.

Without it: in which order a real server names versions, what it makes of a delete of what is deleted,
and which conditions it heeds, would be guessed at.
"""

import random
import time

from harness import World, check, step

PART = b"p" * (5 << 20)


def ends(one, two) -> list[str]:
    return ["--source-endpoint-url", one.endpoint, "--target-endpoint-url", two.endpoint]


def versioned(server, bucket: str) -> None:
    server.s3.create_bucket(Bucket=bucket)
    server.s3.put_bucket_versioning(Bucket=bucket,
                                    VersioningConfiguration={"Status": "Enabled"})


class Histories:
    """What was written below a bucket of a source, key by key, oldest first; None is a delete."""

    def __init__(self, server, bucket: str):
        self.s3, self.bucket = server.s3, bucket
        self.keys: dict[str, list] = {}

    def put(self, key: str, body: bytes) -> None:
        made = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body,
                                  Metadata={"length": str(len(body))})
        self.keys.setdefault(key, []).append((body, made["VersionId"]))

    def put_in_parts(self, key: str, last: bytes) -> None:
        made = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key)
        where = {"Bucket": self.bucket, "Key": key, "UploadId": made["UploadId"]}
        parts = [{"PartNumber": number, "ETag": self.s3.upload_part(
            **where, PartNumber=number, Body=body)["ETag"]}
            for number, body in enumerate((PART, last), 1)]
        self.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
        head = self.s3.head_object(Bucket=self.bucket, Key=key)
        self.keys.setdefault(key, []).append((PART + last, head["VersionId"]))

    def delete(self, key: str) -> None:
        history = self.keys.get(key, [])
        # minio keeps no marker for a delete of what is not there.
        if history and history[-1] is not None:
            self.s3.delete_object(Bucket=self.bucket, Key=key)
            history.append(None)

    def count(self) -> int:
        return sum(len(history) for history in self.keys.values())


def stored(s3, bucket: str, prefix: str) -> tuple[dict, dict]:
    """Of each key the versions and the delete markers, oldest first, as the server names them."""
    versions: dict[str, list] = {}
    markers: dict[str, list] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix):
        for version in page.get("Versions", []):
            versions.setdefault(version["Key"].removeprefix(prefix), []).insert(0, version)
        for marker in page.get("DeleteMarkers", []):
            markers.setdefault(marker["Key"].removeprefix(prefix), []).insert(0, marker)
    return versions, markers


def check_copied(histories: Histories, server, bucket: str, prefix: str, whole=True) -> None:
    """The target has each history, or with `whole` false a beginning of it, and nothing else."""
    s3 = server.s3
    # versitygw tells the times of versions to the second, but its ids are in order of time.
    order = "VersionId" if server.kind == "versitygw" else "LastModified"
    versions, markers = stored(s3, bucket, prefix)
    check(set(versions) | set(markers) <= set(histories.keys), "keys that nobody wrote")
    for key, history in histories.keys.items():
        entries = sorted(
            [(version[order], version) for version in versions.get(key, [])] +
            [(marker[order], None) for marker in markers.get(key, [])],
            key=lambda entry: entry[0])
        copies = versions.get(key, [])
        check(len(entries) == len(history) if whole else len(entries) <= len(history),
              f"{key}: {len(entries)} of {len(history)}")
        # Of one and the same instant either may come first.
        if len({when for when, _ in entries}) == len(entries):
            kinds = [version is None for _, version in entries]
            check(kinds == [entry is None for entry in history[:len(kinds)]], f"{key}: {kinds}")
        bodies = [entry for entry in history if entry is not None][:len(copies)]
        for copy, (body, version_id) in zip(copies, bodies, strict=True):
            got = s3.get_object(Bucket=bucket, Key=prefix + key, VersionId=copy["VersionId"])
            check(got["Body"].read() == body, f"{key}: other bytes")
            check(got["Metadata"]["longhaul-version-id"] == version_id, f"{key}: {got['Metadata']}")
            if len(body) < len(PART):
                check(got["Metadata"]["length"] == str(len(body)), f"{key}: {got['Metadata']}")
        if whole:
            latest = [version for version in copies + markers.get(key, []) if version["IsLatest"]]
            check(len(latest) == 1 and ("ETag" in latest[0]) == (history[-1] is not None),
                  f"{key}: {latest}")


def write_histories(histories: Histories) -> None:
    random_ = random.Random(7)
    for number in range(25):
        key = f"d{number % 3}/{number}"
        for _ in range(random_.randrange(1, 7)):
            if random_.random() < 0.25:
                histories.delete(key)
            else:
                # Often the same bytes once more.
                histories.put(key, b"x" * random_.choice([0, 10, 10, 20_000]))
    histories.put("large", b"small at first")
    histories.put_in_parts("large", b"1")
    histories.put_in_parts("large", b"2")
    histories.delete("large")
    histories.put("ü +&%", b"1")


def mirror(world, one, two) -> None:
    source, target = f"from-{two.kind}", f"to-{one.kind}"
    versioned(one, source)
    versioned(two, target)
    histories = Histories(one, source)
    write_histories(histories)
    args = ["sync", "--json", "--versions", *ends(one, two), f"s3://{source}",
            f"s3://{target}/copy"]

    def run(code: int = 0) -> dict:
        return world.run(*args).expect(code).lines()[-1]

    told = world.run(*args, "--dry-run").expect(0).lines()[-1]
    check(told["objects"] == 0 and not any(stored(two.s3, target, "copy/")), f"dry run: {told}")
    told = run()
    check(told["objects"] + told["removed"] == histories.count(), f"{told}")
    # What was uploaded in parts has no MD5, and here no checksum.
    check(told["not_verified"] <= 2, f"{told}")
    check_copied(histories, two, target, "copy/")
    told = run()
    check(told["objects"] + told["removed"] == 0, f"something to do: {told}")
    check(told["left_alone"] == histories.count(), f"{told}")
    world.run("check", *ends(one, two), f"s3://{source}", f"s3://{target}/copy").expect(0)

    for key in ("d0/0", "d1/1", "new"):
        histories.put(key, b"later")
        histories.delete(key)
        histories.put(key, b"later")
    told = run()
    check(told["objects"] == 6 and told["removed"] == 3, f"{told}")
    check_copied(histories, two, target, "copy/")

    # Killed at any moment, it leaves beginnings of histories, and the next run goes on.
    two.s3.create_bucket(Bucket="again-" + one.kind)
    two.s3.put_bucket_versioning(Bucket="again-" + one.kind,
                                 VersioningConfiguration={"Status": "Enabled"})
    args[-1] = f"s3://again-{one.kind}"
    for _ in range(6):
        process = world.start(*args, "--transfers", "3")
        while process.running() and process.output().count('"copied"') < 15:
            time.sleep(0.002)
        process.kill()
        process.wait()
        check_copied(histories, two, "again-" + one.kind, "", whole=False)
    run()
    check_copied(histories, two, "again-" + one.kind, "")

    args[-1] = f"s3://{target}/copy"
    # A delete of what is deleted: some servers keep a marker of it, and some do not.
    histories.delete("d0/0")
    for _ in range(2):
        one.s3.delete_object(Bucket=source, Key="d0/0")
    histories.put("d0/0", b"back")
    histories.delete("d0/0")
    one.s3.delete_object(Bucket=source, Key="d0/0")
    run()
    told = run()
    check(told["objects"] + told["removed"] == 0, f"something to do: {told}")

    # Somebody else's version, behind which nothing is written.
    two.s3.put_object(Bucket=target, Key="copy/new", Body=b"not ours")
    histories.put("new", b"latest")
    histories.put("d2/2", b"latest")
    told = world.run(*args).expect(1, "came from here").lines()[-1]
    check(told["objects"] == 1 and told["failed"] == 1, f"{told}")


def refused(world, one, two) -> None:
    two.s3.create_bucket(Bucket="plain")
    folder = world.work / "folder"
    folder.mkdir()
    both = [*ends(one, two)]
    world.run("sync", "--versions", *both, f"s3://from-{two.kind}", "s3://plain").expect(
        2, "turn its versioning on")
    world.run("cp", "-r", "--versions", *both[2:], folder, f"s3://to-{one.kind}").expect(
        2, "no listing of versions")
    world.run("sync", "--versions", *both[:2], f"s3://from-{two.kind}", folder).expect(
        2, "keeps no versions")
    for flags in (["--delete"], ["--checksum"], ["--min-size", "1"], ["--at", "1h"],
                  ["--plan", "x"], ["--files-from", "x"]):
        world.run("sync", "--versions", *flags, *both, f"s3://from-{two.kind}",
                  f"s3://to-{one.kind}").expect(2, "--versions")


def removed_by_size(world, one) -> None:
    """A delete marker has no size: without it what it hides, and a size keeps, would be back."""
    versioned(one, "sized")
    for body in (b"x" * 5000, b"small"):
        one.s3.put_object(Bucket="sized", Key="k", Body=body)
    one.s3.delete_object(Bucket="sized", Key="k")
    world.run("rm", "-r", "--versions", "--yes", "--max-size", "1KiB", "--endpoint-url",
              one.endpoint, "s3://sized").expect(0)
    versions, markers = stored(one.s3, "sized", "")
    check(len(versions["k"]) == 1 and len(markers["k"]) == 1, f"{versions} {markers}")
    check("Contents" not in one.s3.list_objects_v2(Bucket="sized"), "what was deleted is back")


def removed_by_a_list(world, one) -> None:
    """Each version that is listed goes: one of a key alone would bring back what is older."""
    versioned(one, "listed")
    for key in ("gone", "there"):
        for body in (b"1", b"22"):
            one.s3.put_object(Bucket="listed", Key="x/" + key, Body=body)
    one.s3.delete_object(Bucket="listed", Key="x/gone")
    one.s3.put_object(Bucket="listed", Key="y/stays", Body=b"1")
    at = ["--endpoint-url", one.endpoint]
    listing = world.folder / "versions.jsonl"
    listed = world.run("ls", "-r", "--versions", "--json", *at, "s3://listed/x/").expect(0)
    listing.write_text(listed.stdout)
    world.run("cp", "-r", "--listing", listing, *at, "s3://listed/x/", world.folder / "x").expect(
        2, "more than one version")
    world.run("rm", "-r", "--yes", "--listing", listing, *at, "s3://listed/x/").expect(0)
    versions, markers = stored(one.s3, "listed", "")
    check(set(versions) == {"y/stays"} and not any(markers.values()), f"{versions} {markers}")


def main() -> None:
    with World("versions") as world:
        servers = {kind: world.serve(kind) for kind in ("minio", "versitygw", "rgw")}
        for one, two in (("minio", "versitygw"), ("versitygw", "rgw"), ("rgw", "minio")):
            step(f"{one} to {two}")
            mirror(world, servers[one], servers[two])
        step("refused")
        refused(world, servers["minio"], servers["versitygw"])
        step("removed by size")
        removed_by_size(world, servers["minio"])
        step("removed by a list")
        removed_by_a_list(world, servers["minio"])


main()
