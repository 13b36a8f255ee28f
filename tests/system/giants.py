"""giants.py: two sources and two targets share an object of 5 GiB; one of each is killed midway.

Segments are parts of one upload, whoever brings them, and whatever the dead have done of it counts.

Without it: that processes take part in one giant, and that it arrives whole when some of them die
on the way, would be known of small objects in fakes alone.
"""

import concurrent.futures
import os
import signal
import subprocess

from harness import (World, check, check_no_uploads, check_staging_empty, keys_of, make_buckets,
                     rule, staged, step, wait_until)

PART_SIZE = 64 << 20
PARTS = 81  # 5 GiB and one part: 11 segments, the least that there can be.
SIZE = PARTS * PART_SIZE
SEEDS = 11
BLOCK_SIZE = 1 << 20
MEMORY = "256MiB"
RSS_MAX = 320 << 20
# A process that has had no segment is idle: it needs some 0.2 s to start and to look around.
WORK_SECONDS_MIN = 0.7


def put_giant(s3) -> None:
    """Of a few parts, which the server copies: that takes a quarter of the time. Part n is seed
    n modulo 11, so that no two segments of eight parts have the same bytes."""
    for seed in range(SEEDS):
        s3.put_object(Bucket="seeds", Key=str(seed), Body=seed_bytes(seed))
    upload = s3.create_multipart_upload(Bucket="data", Key="giant.bin", Metadata={"kind": "giant"},
                                        ContentType="video/mp4")["UploadId"]

    def put_part(number: int) -> dict:
        answer = s3.upload_part_copy(
            Bucket="data", Key="giant.bin", UploadId=upload, PartNumber=number,
            CopySource={"Bucket": "seeds", "Key": str(number % SEEDS)})
        return {"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]}

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        parts = list(pool.map(put_part, range(1, PARTS + 1)))
    s3.complete_multipart_upload(Bucket="data", Key="giant.bin", UploadId=upload,
                                 MultipartUpload={"Parts": parts})


def seed_bytes(seed: int) -> bytes:
    """A MiB that does not compress, again and again, but for its beginning."""
    part = bytearray(os.urandom(BLOCK_SIZE) * (PART_SIZE // BLOCK_SIZE))
    for at in range(0, PART_SIZE, BLOCK_SIZE):
        part[at:at + 8] = (seed * PART_SIZE + at).to_bytes(8, "big")
    return bytes(part)


def parts_at(s3) -> tuple[int, int]:
    """How many uploads there are at the target, and parts of all of them."""
    uploads = s3.list_multipart_uploads(Bucket="copy").get("Uploads", [])
    parts = 0
    for upload in uploads:
        pages = s3.get_paginator("list_parts").paginate(Bucket="copy", Key=upload["Key"],
                                                        UploadId=upload["UploadId"])
        try:
            parts += sum(len(page.get("Parts", [])) for page in pages)
        except s3.exceptions.NoSuchUpload:
            pass  # It was completed after it was listed.
    return len(uploads), parts


def main() -> None:
    # The object twice, and once more while versitygw makes one file of the parts.
    with World("giants", bytes_needed=3 * SIZE) as world:
        source = world.serve("versitygw", "source")
        target = world.serve("versitygw", "target")
        make_buckets(source, target)
        source.s3.create_bucket(Bucket="seeds")
        put_giant(source.s3)
        step(f"{SIZE / 2**30:.2f} GiB are at the source; two sources and two targets start")
        config = world.config({"source": source, "target": target}, [rule()])
        processes = {name: world.start("replicate", "--config", config, "--memory", MEMORY,
                                       "--roles", name.split()[0])
                     for name in ("source 1", "target 1", "source 2", "target 2")}

        def kill(name: str) -> None:
            process = processes[name]
            worked = process.cpu_seconds()
            process.kill()
            finished = process.wait(10).expect(-signal.SIGKILL)
            step(f"{name} is killed after {worked:.1f} s of work")
            check(worked >= WORK_SECONDS_MIN, f"{name} was idle: {finished.stderr[-2000:]}")

        uploads_most = 0

        def parts_stored() -> int:
            nonlocal uploads_most
            uploads, parts = parts_at(target.s3)
            uploads_most = max(uploads_most, uploads)
            return parts

        # The middle: parts are at the target, and most of the segments are still to come.
        wait_until(lambda: parts_stored() >= PARTS // 8, 600, "some parts are at the target")
        kill("source 1")
        wait_until(lambda: parts_stored() >= PARTS // 3, 600, "a third of the parts is there")
        kill("target 1")
        check("giant.bin" not in keys_of(target.s3, "copy"), "it is complete: the kills came late")

        def arrived() -> bool:
            for name in ("source 2", "target 2"):
                check(processes[name].running(), f"{name}: {processes[name].output()[-3000:]}")
            parts_stored()
            return keys_of(target.s3, "copy") == ["giant.bin"] and not staged(target)

        # What the dead held comes back half a minute after they died.
        wait_until(arrived, 900, "the object is at the target and staging is empty")
        step("it has arrived")
        check(uploads_most == 1, f"{uploads_most} uploads side by side for one object")
        for name in ("source 2", "target 2"):
            process = processes[name]
            worked = process.cpu_seconds()
            check(worked >= WORK_SECONDS_MIN, f"{name} took no part: {worked:.1f} s of work")
            process.kill(signal.SIGTERM)
            finished = process.wait(40)
            check(finished.code in (0, 143), f"{name}: {finished.code}: {finished.stderr[-2000:]}")
        for name, process in processes.items():
            check(process.peak_rss_bytes <= RSS_MAX,
                  f"{name}: peak RSS {process.peak_rss_bytes / 2**20:.0f} MiB is more than "
                  f"{RSS_MAX >> 20} MiB")
        peak = max(process.peak_rss_bytes for process in processes.values())
        step(f"the largest process had {peak / 2**20:.0f} MiB")
        left = source.s3.head_object(Bucket="data", Key="giant.bin")
        right = target.s3.head_object(Bucket="copy", Key="giant.bin")
        check(right["ETag"] == left["ETag"], f'{right["ETag"]} instead of {left["ETag"]}')
        check(right["ContentLength"] == SIZE, f'{right["ContentLength"]} bytes, not {SIZE}')
        check(right["ContentType"] == "video/mp4" and right["Metadata"].get("kind") == "giant",
              "headers or metadata are not at the target")
        # versitygw keeps an object as a file of its name; by GET this would take ten times as long.
        files = [source.folder / "data/giant.bin", target.folder / "copy/giant.bin"]
        compared = subprocess.run(["cmp", *files], capture_output=True, text=True)
        check(compared.returncode == 0, f"it differs: {compared.stdout}{compared.stderr}")
        check_staging_empty(target)
        check_no_uploads(target, "copy", "staging")
        step("ok: equal byte for byte, with its ETag")


if __name__ == "__main__":
    main()
