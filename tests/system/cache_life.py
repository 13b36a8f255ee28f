"""cache_life.py: copies go when their time to live ends, and nothing else does; a bucket is served
through its cache.

Without it: that the real servers' answers to conditional deletes, ranges and HEADs lead to what is
promised, and that AWS CLI and boto3 can read through `cache serve`, would be known of fakes alone.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.request

import botocore.exceptions
from cache_server import CacheServer
from harness import (ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, World, check, client, free_port,
                     keys_of, put_all, step, things, wait_until)

COUNT = 40


def last(world: World, config, *words, code: int = 0) -> dict:
    done = world.run("cache", *words, "--json", "--config", config).expect(code)
    return done.lines()[-1]


def sweeps(world: World, config, s3) -> None:
    last(world, config, "fill", "east:data/a/", "--to", "east:cache", "--ttl", "60s", "--wait")
    last(world, config, "fill", "east:data/b/", "--to", "east:cache", "--ttl", "1h", "--wait")
    kept = keys_of(s3, "cache", "b/")
    done = last(world, config, "sweep", "east:cache")
    check(done["removed"] == 0 and done["kept"] == 2 * COUNT, f"a sweep too early: {done}")
    s3.put_object(Bucket="cache", Key="mine", Body=b"precious")
    replaced, pinned, extended = keys_of(s3, "cache", "a/")[:3]
    s3.put_object(Bucket="cache", Key=replaced, Body=b"put here by hand")
    check(last(world, config, "pin", f"east:cache/{pinned}")["changed"] == 1, "a pin")
    last(world, config, "fill", f"east:data/{extended}", "--to", "east:cache", "--ttl", "1h")
    watch = world.start("cache", "sweep", "east:cache", "--watch", "--config", config)
    want = sorted([*kept, "mine", replaced, pinned, extended])
    wait_until(lambda: keys_of(s3, "cache") == want, 130, "expired copies are gone", every=1)
    watch.kill(15)
    watch.wait(30)
    check(last(world, config, "evict", "east:cache/a/", "--dry-run")["removed"] == 1, "a dry run")
    done = last(world, config, "evict", "east:cache/a/")
    check((done["removed"], done["pinned"]) == (1, 1), f"evict: {done}")
    last(world, config, "unpin", "east:cache")
    done = last(world, config, "evict", "east:cache")
    check(done["removed"] == COUNT + 1, f"evict all: {done}")
    check(keys_of(s3, "cache") == sorted(["mine", replaced]), f"left: {keys_of(s3, 'cache')}")
    step("sweep, pin, evict")


def budget(world: World, config, west) -> None:
    sizes = {}
    for number in range(10):
        west.s3.put_object(Bucket="data", Key=f"m/{number}", Body=b"x" * 1000)
        sizes[f"m/{number}"] = 1000
    done = last(world, config, "fill", "west:data/m/", "--to", "west:small", "--ttl", "1h",
                "--budget", "4000B", code=1)
    check((done["copied"], done["failed"]) == (4, 6), f"a budget: {done}")
    first = keys_of(west.s3, "small")
    time.sleep(1.1)
    done = last(world, config, "fill", "west:data/m/8", "west:data/m/9", "--to", "west:small",
                "--ttl", "1h")
    left = keys_of(west.s3, "small")
    check(done["failed"] == 0 and len(left) == 4 and {"m/8", "m/9"} <= set(left),
          f"after {first}: {left}")
    step("budget")


def body(s3, key: str, **more) -> bytes:
    return s3.get_object(Bucket="data", Key=key, **more)["Body"].read()


def refused(call, code: str) -> None:
    try:
        call()
    except botocore.exceptions.ClientError as error:
        check(error.response["Error"]["Code"] in (code, "403"), f"{code}: {error}")
        return
    check(False, f"{code}: it was not refused")


def copies_within(world: World, config, east, west) -> None:
    """What is written through the endpoint is of the source, whatever older copy the cache has."""
    old, new = os.urandom(7 << 20), os.urandom(7 << 20)
    east.s3.put_object(Bucket="data", Key="moved", Body=old)
    server = CacheServer(world, config, "--writes")
    body(server.s3, "moved")
    wait_until(lambda: "moved" in keys_of(west.s3, "served"), 30, "a miss fills the cache")
    time.sleep(2)
    east.s3.put_object(Bucket="data", Key="moved", Body=new)
    check(body(server.s3, "moved") == old, "a copy counts until its time to live ends")
    upload = server.s3.create_multipart_upload(Bucket="data", Key="there")["UploadId"]
    parts = []
    for number, span in enumerate(("0-5242879", f"5242880-{(7 << 20) - 1}"), 1):
        done = server.s3.upload_part_copy(Bucket="data", Key="there", UploadId=upload,
                                          PartNumber=number, CopySource="data/moved",
                                          CopySourceRange=f"bytes={span}")
        parts.append({"PartNumber": number} |
                     {name: value for name, value in done["CopyPartResult"].items()
                      if name == "ETag" or name.startswith("Checksum")})
    server.s3.complete_multipart_upload(Bucket="data", Key="there", UploadId=upload,
                                        MultipartUpload={"Parts": parts})
    check(body(east.s3, "there") == new, "an older state was copied part by part")
    etag = east.s3.head_object(Bucket="data", Key="moved")["ETag"]
    refused(lambda: server.s3.put_object(Bucket="data", Key="moved", Body=b"x", IfNoneMatch=etag),
            "PreconditionFailed")
    server.s3.put_object(Bucket="data", Key="moved", Body=b"on a condition", IfMatch="*")
    check(body(server.s3, "moved") == b"on a condition" == body(east.s3, "moved"), "If-Match: *")
    server.stop()
    step("copies within the bucket")


def serves(world: World, config, east, west) -> None:
    wanted = {key: body(east.s3, key) for key in keys_of(east.s3, "data")}
    big = os.urandom(9 << 20)
    east.s3.put_object(Bucket="data", Key="big", Body=big, Metadata={"owner": "me"},
                       ContentType="image/png")
    east.s3.put_object(Bucket="data", Key="named", Body=b"one state")
    wanted |= {"big": big, "named": b"one state"}
    server = CacheServer(world, config)
    for key, want in wanted.items():
        check(body(server.s3, key) == want, f"a miss of {key}")
    wait_until(lambda: keys_of(west.s3, "served") == sorted(wanted), 60, "misses fill the cache")
    wait_until(lambda: last(world, config, "ls", "west:served")["objects"] == len(wanted), 30,
               "the copies are ready")
    time.sleep(1.1)  # A row that was read counts for a second.
    for key, want in wanted.items():
        there = server.s3.get_object(Bucket="data", Key=key)
        source = east.s3.head_object(Bucket="data", Key=key)
        check(there["Body"].read() == want and there["ETag"] == source["ETag"] and
              there["LastModified"] == source["LastModified"] and
              there["ContentType"] == source["ContentType"] and
              there["Metadata"] == source["Metadata"], f"a hit of {key}: {there}")
    # A range reader: as Parquet is read, the end first.
    check(body(server.s3, "big", Range="bytes=-100") == big[-100:], "a suffix")
    for at in (0, 1, 5 << 20, (9 << 20) - 10):
        check(body(server.s3, "big", Range=f"bytes={at}-{at + 999}") == big[at:at + 1000], f"at {at}")
    refused(lambda: body(server.s3, "big", Range=f"bytes={10 << 20}-"), "InvalidRange")
    refused(lambda: body(server.s3, "none"), "NoSuchKey")
    refused(lambda: body(client(server.endpoint, secret_access_key="wrong" * 8), "big"),
            "SignatureDoesNotMatch")
    refused(lambda: server.s3.put_object(Bucket="data", Key="new", Body=b"x"), "AccessDenied")
    refused(lambda: server.s3.delete_object(Bucket="data", Key="big"), "AccessDenied")
    refused(lambda: server.s3.get_object(Bucket="cache", Key="mine"), "NoSuchBucket")
    check(keys_of(server.s3, "data") == sorted(wanted), "the listing")
    aws = shutil.which("aws", path=f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}")
    check(aws, "the AWS CLI is not there")
    folder = world.work / "cli"
    subprocess.run([aws, "--endpoint-url", server.endpoint, "s3", "cp", "--recursive", "--quiet",
                    "s3://data/", str(folder)], check=True, timeout=120,
                   env={**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_REGION": REGION,
                        "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY})
    got = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
           if path.is_file()}
    check(got == wanted, f"AWS CLI: {len(got)} of {len(wanted)}")
    # A copy that somebody has removed or replaced by hand is not what is served.
    west.s3.delete_object(Bucket="served", Key="big")
    check(body(server.s3, "big") == big, "a copy that is gone")
    hand = next(iter(wanted))
    west.s3.put_object(Bucket="served", Key=hand, Body=b"something else")
    check(body(server.s3, hand) == wanted[hand], "a copy that was replaced")
    # Who has the ETag of a listing reads that state, and no older copy.
    east.s3.put_object(Bucket="data", Key="named", Body=b"another state")
    etag = server.s3.list_objects_v2(Bucket="data", Prefix="named")["Contents"][0]["ETag"]
    check(body(server.s3, "named") == b"one state", "a copy counts until its time to live ends")
    check(body(server.s3, "named", IfMatch=etag) == b"another state", "If-Match of the listing")
    refused(lambda: body(server.s3, "named", IfMatch='"' + 32 * "0" + '"'), "PreconditionFailed")
    head = server.s3.head_object(Bucket="data", Key="named", IfMatch=etag)
    check(head["ETag"] == etag and head["ContentLength"] == len(b"another state"), f"HEAD: {head}")
    counted = server.stop().expect(143)
    check("hits" in counted.stdout, counted.stdout)
    step("serve")
    copies_within(world, config, east, west)

    strict = CacheServer(world, config, "--strict", "--writes")
    for round_ in range(20):
        text = b"round %d" % round_
        east.s3.put_object(Bucket="data", Key="changing", Body=text)
        check(body(strict.s3, "changing") == text, f"--strict served an old object: {round_}")
    # The same bytes, and other headers.
    east.s3.put_object(Bucket="data", Key="typed", Body=b"<p>", ContentType="text/plain")
    body(strict.s3, "typed")
    wait_until(lambda: "typed" in keys_of(west.s3, "served"), 30, "a miss fills the cache")
    time.sleep(2)
    east.s3.put_object(Bucket="data", Key="typed", Body=b"<p>", ContentType="text/html")
    there = strict.s3.get_object(Bucket="data", Key="typed")
    check(there["ContentType"] == "text/html", f"--strict served old headers: {there}")
    for round_ in range(5):
        text = b"written %d" % round_
        strict.s3.put_object(Bucket="data", Key="written", Body=text)
        check(body(strict.s3, "written") == text == body(east.s3, "written"), "a write")
    strict.s3.delete_object(Bucket="data", Key="written")
    refused(lambda: body(strict.s3, "written"), "NoSuchKey")
    strict.stop()
    status = world.run("cache", "status", "west:served", "--json", "--config", config).expect(0)
    kinds = [line["kind"] for line in status.lines() if line["event"] == "run"]
    check(kinds.count("serve") == 3, f"status: {kinds}")
    step("strict and writes")


def event(port: int, name: str, key: str) -> None:
    body = {"Records": [{"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
                         "s3": {"bucket": {"name": "followed"}, "object": {"key": key}}}]}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/events?store=east",
                                     json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        check(answer.status == 200, f"an event: {answer.status}")


def works(world: World, config, port: int, worker, east, west) -> None:
    """A schedule has filled the cache meanwhile; events keep it as the source is."""
    wait_until(lambda: keys_of(west.s3, "worked") == ["x/in/a", "x/in/b"], 100, "the schedule fills")
    wait_until(lambda: last(world, config, "ls", "west:worked")["objects"] == 2, 30, "rows")

    def status(*more: str) -> list[dict]:
        return world.run("cache", "status", "west:worked", *more, "--json",
                         "--config", config).expect(0).lines()
    fills = wait_until(lambda: [line for line in status() if line["event"] == "run" and
                                line["kind"] == "fill" and line["phase"] == "done"], 30, "it is done")
    cost = next(line for line in status("--run", str(fills[0]["run"])) if line["event"] == "cost")
    # A GET and a PUT for each of two objects at the least, and the other way a job.
    check(2 * 4e-7 < float(cost["cost_requests_at_east"]) < 5e-5 and
          2 * 5e-6 <= float(cost["cost_requests_at_west"]) < 5e-5 and
          float(cost["batch_jobs"]) == 0.25 and "unknown" not in cost, f"what it cost: {cost}")
    east.s3.put_object(Bucket="followed", Key="in/a", Body=b"new")
    east.s3.delete_object(Bucket="followed", Key="in/b")
    begun = time.monotonic()
    event(port, "ObjectCreated:Put", "in/a")
    event(port, "ObjectRemoved:Delete", "in/b")
    event(port, "ObjectCreated:Put", "in/none")
    text = west.s3.get_object(Bucket="worked", Key="x/in/a")["Body"].read()
    check(text == b"new" and keys_of(west.s3, "worked") == ["x/in/a"] and
          time.monotonic() - begun < 5, f"events: {text}, {keys_of(west.s3, 'worked')}")
    worker.kill(15)
    worker.wait(60).expect(143)
    step("schedule and events")


def main() -> None:
    with World("cache-life") as world:
        east, west = world.serve("minio", "east"), world.serve("versitygw", "west")
        for server, buckets in ((east, ("data", "cache", "followed")),
                                (west, ("data", "small", "served", "worked"))):
            for bucket in buckets:
                server.s3.create_bucket(Bucket=bucket)
        for number, prefix in enumerate(("a/", "b/")):
            put_all(east.s3, "data", things(COUNT, number, prefix))
        east.s3.put_object(Bucket="followed", Key="in/a", Body=b"old")
        east.s3.put_object(Bucket="followed", Key="in/b", Body=b"old")
        port = free_port()
        config = world.config(
            {"east": east, "west": west}, [], listen=f"127.0.0.1:{port}",
            caches=[{"id": "work", "source": "east:followed/in/", "to": "west:worked/x/",
                     "ttl": "1h", "budget": "1GiB", "schedule": "* * * * *",
                     "time_zone": "Europe/Berlin", "events": "refresh"}])
        worker = world.start("cache", "worker", "--listen", "--config", config)
        step("servers")
        budget(world, config, west)
        serves(world, config, east, west)
        sweeps(world, config, east.s3)
        works(world, config, port, worker, east, west)


main()
