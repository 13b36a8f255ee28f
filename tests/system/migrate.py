"""migrate.py [short|long|sqs|cost]: finders and workers are killed as they move a bucket.

Three workers and two finders, thousands of small objects, and an object that all of them carry. At
the end both sides are equal, every status is right, and nothing is left: no upload, no task, no row
but the run's.

With `sqs` the queue lies in SQS (ElasticMQ), where all runs share two lanes, and the state in
DynamoDB (Local).

Without it: that a run goes on where a dead process was would be known of fakes alone.

`cost` asks what an object costs a run beside `sync`, and nothing else; `long` asks that too.
"""

import dataclasses
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

import boto3

from harness import (REGION, SECRET_ACCESS_KEY, World, check, check_no_uploads, differences,
                     free_port, keys_of, make_buckets, put_all, step, things, wait_until)

SHORT = {"small": 800, "parts": 12, "part": 8 << 20, "carried": "8MiB", "seconds": 8,
         "pause": 0.6, "batch": "50"}
# 20 GiB, where the disk has room; in parts that the server copies. It is carried in fewer: versitygw
# keeps the list of an object's parts in an attribute, and ext4 has no room for those of thousands.
LONG = {"small": 50_000, "parts": 320, "part": 64 << 20, "carried": "32MiB", "seconds": 600,
        "pause": 3.0, "batch": "100"}
DISK_LEFT = 30 << 30  # For everything else that is on it.
CPU_RATIO_MAX = 1.15  # Of a run to that of `sync`, for each object.


def fitting(size: dict) -> dict:
    """With as many parts as fit three times: versitygw makes one file of the parts of an upload."""
    room = shutil.disk_usage(tempfile.gettempdir()).free - DISK_LEFT
    parts = min(size["parts"], room // (3 * size["part"]))
    check(parts >= 16, f"too little disk: {room >> 30} GiB besides what is to be left")
    if parts < size["parts"]:
        step(f"{size['parts'] * size['part'] / 2**30:.1f} GiB do not fit")
    step(f"an object of {parts * size['part'] / 2**30:.1f} GiB")
    return {**size, "parts": parts}


def put_giant(s3, size: dict) -> None:
    """Of five parts, which the server copies: that costs this test no bytes on the way."""
    s3.create_bucket(Bucket="seeds")
    for seed in range(5):
        s3.put_object(Bucket="seeds", Key=str(seed),
                      Body=os.urandom(1 << 20) * (size["part"] >> 20))
    upload = s3.create_multipart_upload(Bucket="data", Key="in/giant.bin",
                                        Metadata={"kind": "giant"})["UploadId"]
    parts = []
    for number in range(1, size["parts"] + 1):
        answer = s3.upload_part_copy(Bucket="data", Key="in/giant.bin", UploadId=upload,
                                     PartNumber=number,
                                     CopySource={"Bucket": "seeds", "Key": str(number % 5)})
        parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
    s3.complete_multipart_upload(Bucket="data", Key="in/giant.bin", UploadId=upload,
                                 MultipartUpload={"Parts": parts})


def check_same(source, target) -> None:
    """All but the giant by what servers say; that one byte for byte, in the files that it is."""
    for digit in range(4):
        unequal = differences(source.s3, "data", target.s3, "copy", f"in/{digit}", f"out/{digit}")
        check(not unequal, f"different: {unequal[:5]}")
    left = source.s3.head_object(Bucket="data", Key="in/giant.bin")
    right = target.s3.head_object(Bucket="copy", Key="out/giant.bin")
    check(right["Metadata"] == left["Metadata"], f"metadata of the giant: {right['Metadata']}")
    files = [source.folder / "data/in/giant.bin", target.folder / "copy/out/giant.bin"]
    compared = subprocess.run(["cmp", *files], capture_output=True, text=True)
    check(compared.returncode == 0, f"the giant: {compared.stdout}{compared.stderr}")


def cpu_beside_sync(world: World, target, config, count: int) -> None:
    """What an object costs a run, undisturbed, against `sync`: the better of two each."""
    least = {"sync": float("inf"), "run": float("inf")}
    for round_ in range(2):
        for kind in least:
            bucket = f"{kind}-{round_}"
            target.s3.create_bucket(Bucket=bucket)
            places = ("source:data/in/", f"target:{bucket}/", "--exclude", "giant.bin", "--config",
                      config)
            words = ["sync"] if kind == "sync" else ["migrate", "start", "--wait"]
            done = world.run(*words, *places).expect(0)
            check(len(keys_of(target.s3, bucket)) == count, f"{kind} has not carried all of it")
            least[kind] = min(least[kind], done.cpu_seconds)
    ratio = least["run"] / least["sync"]
    step(f"CPU of an object: {1e6 * least['run'] / count:.0f} us in a run, "
         f"{1e6 * least['sync'] / count:.0f} us in sync, {ratio:.2f} times")
    check(ratio <= CPU_RATIO_MAX, f"a run costs {ratio:.2f} times what sync does")


def cost(count: int) -> None:
    with World("migrate") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("versitygw", "target")
        make_buckets(source, target)
        put_all(source.s3, "data", things(count, 1, "in/"))
        cpu_beside_sync(world, target, world.config({"source": source, "target": target}, []),
                        count)


def status(world: World, config, run: str) -> dict:
    done = world.run("migrate", "status", run, "--json", "--config", config).expect(0)
    return next(line for line in done.lines() if line["event"] == "run")


def verify(world: World, config, code: int, *flags: str) -> dict:
    done = world.run("migrate", "verify", "move", *flags, "--json", "--config", config).expect(code)
    return done.lines()[-1]


class Embedded:
    """Queue and state in one SQLite file."""

    place = {}

    def __init__(self, world: World):
        self.world = world

    def set_up(self, config) -> None:
        self.world.run("setup", "--config", config).expect(0, "SQLite")

    def read(self) -> tuple[list[tuple[str, str]], int]:
        """Rows that do not run out by themselves, and the number of messages."""
        with sqlite3.connect(f"file:{self.world.work}/longhaul.db?mode=ro", uri=True) as database:
            rows = database.execute("SELECT CAST(partition AS TEXT), CAST(key AS TEXT)"
                                    " FROM state_rows WHERE expires_us IS NULL").fetchall()
            return rows, database.execute("SELECT count(*) FROM queue_messages").fetchone()[0]


class InAws:
    """Queue in SQS, state in DynamoDB, each a server that stays."""

    def __init__(self, world: World):
        self.world = world
        endpoints = {kind: world.serve(kind).endpoint for kind in ("elasticmq", "dynamodb")}
        self.place = {"queue": f"sqs:moves?region={REGION}&endpoint={endpoints['elasticmq']}",
                      "state": f"dynamodb:moves?region={REGION}&endpoint={endpoints['dynamodb']}"}
        # DynamoDB Local takes letters and digits.
        world.environment["AWS_ACCESS_KEY_ID"] = "longhaultest"
        self.sqs, self.tables = (
            boto3.client(name, endpoint_url=endpoint, region_name=REGION,
                         aws_access_key_id="longhaultest",
                         aws_secret_access_key=SECRET_ACCESS_KEY)
            for name, endpoint in zip(("sqs", "dynamodb"), endpoints.values()))

    def set_up(self, config) -> None:
        self.world.run("migrate", "start", "source:data/in/", "target:copy/out/", "--config",
                       config).expect(2, "is missing", f"longhaul setup --config {config}")
        self.world.run("setup", "--config", config).expect(0, "moves-migrations-find is there",
                                                           "moves-migrations-work is there")
        self.world.run("setup", "--config", config).expect(0, "nothing was missing")

    def url(self, name: str) -> str:
        return self.sqs.get_queue_url(QueueName=name)["QueueUrl"]

    def count(self, name: str) -> int:
        attributes = self.sqs.get_queue_attributes(QueueUrl=self.url(name),
                                                   AttributeNames=["All"])["Attributes"]
        return sum(int(attributes[f"ApproximateNumberOfMessages{what}"])
                   for what in ("", "NotVisible", "Delayed"))

    def read(self) -> tuple[list[tuple[str, str]], int]:
        rows = []
        for page in self.tables.get_paginator("scan").paginate(TableName="moves",
                                                               ConsistentRead=True):
            # "v": the table's version.
            rows += [(item["p"]["B"][1:].decode(), item["k"]["B"].decode())
                     for item in page["Items"] if "ttl" not in item and item["p"]["B"][:1] != b"v"]
        return rows, sum(map(self.count, ("moves-migrations-find", "moves-migrations-work",
                                          "moves-dead-letters")))


def rows_left(places) -> list[tuple[str, str]]:
    """What State and Queue hold besides the run itself and what runs out by itself."""
    rows, messages = places.read()
    left = [row for row in rows if row[0] != "migrations" and not (
        row[0].startswith("migration/") and row[1].split("/")[0] in ("done", "find", "scope"))]
    return left + [("queue", str(messages))] * (messages > 0)


def expect_nothing_left(places, seconds: float) -> None:
    end = time.monotonic() + seconds
    while (left := rows_left(places)) and time.monotonic() < end:
        time.sleep(2)
    check(not left, f"{len(left)} rows are left: {left[:10]}")


def post(port: int, key: str, name: str) -> dict:
    """An event as stores send it."""
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
              "s3": {"bucket": {"name": "data"}, "object": {"key": key}}}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/events", method="POST",
                                     data=json.dumps({"Records": [record]}).encode())
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def shared(world: World, config, aws: InAws, source, target, small: int) -> None:
    """What is left of runs that are stopped or forgotten, and what nobody understands, in the lanes
    that all runs share."""
    def start(run: str):
        return world.run("migrate", "start", "source:data/in/", f"target:copy/{run}/", "--run", run,
                         "--exclude", "giant.bin", "--batch-count", "50", "--config", config)

    def worker(roles: str):
        return world.start("migrate", "worker", "--roles", roles, "--lease", "3s", "--config",
                           config)

    def drained() -> bool:
        return all(aws.count(f"moves-migrations-{lane}") == 0 for lane in ("find", "work"))

    for run in ("held", "gone", "third"):
        start(run).expect(0)
    finder = worker("finder")
    wait_until(lambda: aws.count("moves-migrations-find") == 0, 120, "all is compared")
    finder.kill(signal.SIGTERM)
    finder.wait(40).expect(143)
    check(aws.count("moves-migrations-work") >= 3 * (small // 50), "tasks do not wait in SQS")
    world.run("migrate", "stop", "held", "--config", config).expect(0)
    world.run("migrate", "stop", "gone", "--forget", "--config", config).expect(0)
    for body in ("no task at all", json.dumps({"run": "nobody", "task": "1"})):
        aws.sqs.send_message(QueueUrl=aws.url("moves-migrations-work"), MessageBody=body)
    workers = [worker("finder,worker"), worker("worker")]
    wait_until(lambda: status(world, config, "third")["state"] == "finished" and drained(), 180,
               "the third run is done and its lanes are empty", every=1)
    letters = {letter["Body"]: letter["MessageAttributes"]["reason"]["StringValue"]
               for _ in range(3) for letter in aws.sqs.receive_message(
                   QueueUrl=aws.url("moves-dead-letters"), WaitTimeSeconds=1,
                   MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get("Messages", [])}
    check("not a message of a migration" in letters.pop("no task at all", ""), f"{letters}")
    check(list(letters.values()) == ["the state has no run nobody"], f"set aside: {letters}")
    aws.sqs.purge_queue(QueueUrl=aws.url("moves-dead-letters"))
    told = status(world, config, "held")
    check(told["state"] == "stopped" and told["pending"] >= small, f"the stopped run: {told}")
    check(not keys_of(target.s3, "copy", "held/") and not keys_of(target.s3, "copy", "gone/"),
          "somebody worked on what is stopped or forgotten")
    start("held").expect(0)
    start("gone").expect(0)  # Of the same name, and nothing to do with the first.
    for run in ("held", "gone"):
        wait_until(lambda: status(world, config, run)["state"] == "finished", 180,
                   f"{run} has finished", every=1)
    wait_until(drained, 60, "the lanes are empty")
    for process in workers:
        process.kill(signal.SIGTERM)
        process.wait(40).expect(143)
    names = [key for key in keys_of(source.s3, "data", "in/") if not key.endswith("giant.bin")]
    for run in ("held", "gone", "third"):
        check(len(keys_of(target.s3, "copy", f"{run}/")) == len(names), f"{run} has not all of it")
    expect_nothing_left(aws, 120)
    step("ok: runs that share lanes")


def stopped(world: World, config, target) -> None:
    """Who waits for a run that somebody else stops is not told that all of it is there."""
    words = ("source:data/in/", "target:copy/stopped/", "--run", "stopped", "--exclude",
             "giant.bin", "--config", config)
    waiting = world.start("migrate", "start", *words, "--wait", "--transfers", "1")
    wait_until(lambda: keys_of(target.s3, "copy", "stopped/"), 120, "it copies", every=0.02)
    # However fast it is: nothing arrives until it is stopped.
    target.processes[0].send_signal(signal.SIGSTOP)
    try:
        world.run("migrate", "stop", "stopped", "--config", config).expect(0)
        time.sleep(5)  # A worker looks every 2 s.
    finally:
        target.processes[0].send_signal(signal.SIGCONT)
    waiting.wait(120).expect(1, "has not finished: somebody stopped it")
    check(status(world, config, "stopped")["pending"] > 0, "nothing was left to be stopped")
    world.run("migrate", "start", *words, "--wait").expect(0)
    step("ok: stopped while somebody waits")


def live(world: World, source, target) -> None:
    """Events bring what they name, in any order, by workers one of which is killed; no delete."""
    port = free_port()
    config = world.config(
        {"source": source, "target": target}, [], name="live.yaml", listen=f"127.0.0.1:{port}",
        queue="sqlite:live.db", state="sqlite:live.db",
        migrations=[{"id": "live", "source": "source:data/live/", "target": "target:copy/live/",
                     "events": True, "filter": {"exclude": ["*.tmp"]}}])
    listener = world.start("migrate", "worker", "--listen", "--lease", "3s", "--config", config)
    other = world.start("migrate", "worker", "--lease", "3s", "--config", config)
    wait_until(lambda: "listening" in listener.output(), 60, "the worker listens")
    keys = [f"live/{number}" for number in range(40)]
    for round_ in range(3):
        for key in keys:
            source.s3.put_object(Bucket="data", Key=key, Body=f"{key} {round_}".encode(),
                                 Metadata={"round": str(round_)})
        for key in random.sample(keys, len(keys)):
            check(post(port, key, "ObjectCreated:Put")["hints"] == 1, f"an event of {key}")
        if round_ == 0:
            other.kill()
            other.wait(10)
    check(post(port, "live/x.tmp", "ObjectCreated:Put")["ignored"] == 1, "an event of what is out")
    check(post(port, keys[0], "ObjectRemoved:Delete")["hints"] == 0, "an event of a delete")
    wait_until(lambda: status(world, config, "live")["state"] == "finished" and
               not differences(source.s3, "data", target.s3, "copy", "live/", "live/"), 120,
               "what events named is there", every=1)
    source.s3.delete_object(Bucket="data", Key=keys[0])
    post(port, keys[0], "ObjectRemoved:Delete")
    told = status(world, config, "live")
    check(told["named_by_events"] == 120 and told["failed"] == 0, f"the status: {told}")
    check(len(keys_of(target.s3, "copy", "live/")) == len(keys), "a delete was carried")
    listener.kill(signal.SIGTERM)
    check(listener.wait(40).code == 143, listener.output()[-2000:])
    step("ok: events")


def main(size: dict, make_places=Embedded) -> None:
    seed = int(os.environ.get("LONGHAUL_SEED", random.randrange(10**6)))
    step(f"LONGHAUL_SEED={seed}")
    random_ = random.Random(seed)
    if size is LONG:
        size = fitting(size)
    bytes_needed = 3 * size["parts"] * size["part"] + (2 << 30)
    with World("migrate", bytes_needed) as world:
        source = world.serve("versitygw", "source")
        target = world.serve("versitygw", "target")
        make_buckets(source, target)
        all_things = things(size["small"], seed, "in/")
        put_all(source.s3, "data", all_things)
        put_giant(source.s3, size)
        places = make_places(world)
        config = world.config({"source": source, "target": target}, [], **places.place)
        places.set_up(config)
        options = ("--run", "move", "--giant-size", "16MiB", "--range-size", "16MiB",
                   "--part-size", size["carried"], "--batch-count", size["batch"], "--config",
                   config)
        plan = world.run("migrate", "plan", "source:data/in/", "target:copy/out/", *options,
                         "--json").expect(0).lines()[-1]
        check(plan["objects"] == size["small"] + 1 and plan["giants"] == 1, f"the plan: {plan}")
        check(not keys_of(target.s3, "copy"), "the plan has written something")
        world.run("migrate", "start", "source:data/in/", "target:copy/out/", *options).expect(0)
        world.run("migrate", "start", "source:data/in/", "target:copy/out/", *options).expect(0)

        roles = ["worker", "worker", "worker", "finder", "finder"]

        def start(role: str):
            return world.start("migrate", "worker", "--roles", role, "--lease", "3s", "--transfers",
                               "16", "--config", config)

        def finished() -> bool:
            return status(world, config, "move")["state"] == "finished"

        processes = [start(role) for role in roles]
        kills = 0
        end = time.monotonic() + size["seconds"]
        rounds = 0
        while time.monotonic() < end:
            if kills > 3 and finished():
                if size["seconds"] < LONG["seconds"]:
                    break
                # There is time for more: some objects change, and are carried with the next start.
                rounds += 1
                put_all(source.s3, "data", [
                    dataclasses.replace(thing, body=thing.body + b" again %d" % rounds)
                    for thing in random_.sample(all_things, 2_000)])
                world.run("migrate", "start", "source:data/in/", "target:copy/out/",
                          *options).expect(0)
            time.sleep(random_.uniform(0.1, 2 * size["pause"]))
            number = random_.randrange(len(roles))
            check(processes[number].running(), processes[number].output()[-3000:])
            processes[number].kill()
            processes[number].wait(10).expect(-signal.SIGKILL)
            processes[number] = start(roles[number])
            kills += 1
        step(f"{kills} kills, {rounds + 1} rounds, {len(keys_of(target.s3, 'copy'))} objects at "
             "the target")
        wait_until(finished, 120 + size["seconds"], "the run has finished", every=1)
        told = status(world, config, "move")
        check(told["failed"] == 0 and told["gone"] == 0 and told["pending"] == 0 and
              told["running"] == 0, f"a status is wrong: {told}")
        check(told["copied"] + told["equal"] >= size["small"] + 1, f"too few are done: {told}")
        # Uploads whose creation nobody could note are swept when their creator is known to be dead.
        expect_nothing_left(places, 240)
        for process in processes:
            process.kill(signal.SIGTERM)
        for process in processes:
            code = process.wait(40).code
            check(code in (0, 143), f"exit {code}: {process.output()[-2000:]}")
        check_same(source, target)
        check_no_uploads(target, "copy")
        proven = verify(world, config, 0)
        check(proven["source_root"] == proven["target_root"] != "", f"the roots: {proven}")
        check(proven["equal"] == size["small"] + 1, f"verified too few: {proven}")

        # What is new comes with the next start; what was taken away at the target is named.
        source.s3.put_object(Bucket="data", Key="in/new", Body=b"new")
        source.s3.put_object_tagging(Bucket="data", Key="in/giant.bin",
                                     Tagging={"TagSet": [{"Key": "late", "Value": "1"}]})
        target.s3.put_object(Bucket="copy", Key="out/extra", Body=b"nobody's business")
        report = world.work / "differences.jsonl"
        proven = verify(world, config, 11, "--report", str(report))
        check(proven["source_root"] != proven["target_root"], f"the roots: {proven}")
        named = {(line["key"], line["aspect"])
                 for line in map(json.loads, report.read_text().splitlines())}
        check(named == {("new", "missing"), ("giant.bin", "tag late")}, f"named: {named}")
        source.s3.delete_object_tagging(Bucket="data", Key="in/giant.bin")
        again = world.run("migrate", "start", "source:data/in/", "target:copy/out/", *options,
                          "--wait", "--json").expect(0).lines()[-1]
        check(again["copied"] == 1 and again["equal"] == size["small"] + 1, f"again: {again}")
        verify(world, config, 0)
        # By its id alone: it has its options already.
        again = world.run("migrate", "start", "move", "--wait", "--json", "--config",
                          config).expect(0).lines()[-1]
        check(again["copied"] == 0 and again["equal"] == size["small"] + 2, f"by its id: {again}")
        world.run("migrate", "start", "move", "--storage-class", "STANDARD_IA", "--config",
                  config).expect(2, "has its options already")
        world.run("migrate", "start", "nosuch", "--config", config).expect(2, "no migration")

        if make_places is InAws:
            shared(world, config, places, source, target, size["small"])
        stopped(world, config, target)
        live(world, source, target)
        if size["seconds"] == LONG["seconds"]:
            cpu_beside_sync(world, target, config, size["small"] + 1)

        # A bucket that is not there is one message, not one for each object.
        world.run("migrate", "start", "source:data/in/", "target:nosuch/", "--config",
                  config).expect(3, "nosuch")
        world.run("migrate", "stop", "move", "--forget", "--config", config).expect(0)
        world.run("migrate", "status", "move", "--config", config).expect(3, "no run")
        step(f"ok: {size['small'] + 1} objects equal after {kills} kills")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["cost"]:
            cost(LONG["small"])
        case ["long"]:
            main(LONG, Embedded)
        case ["sqs"]:
            main(SHORT | {"small": 400}, InAws)
        case _:
            main(SHORT, Embedded)
