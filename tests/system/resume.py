"""resume.py [KILLS [MIB [OBJECTS [RUN_KILLS]]]]: copies that are killed with -9, and go on.

One large object is copied in parts of 8 MiB and killed KILLS times; in between with another part
size, and with the file that remembers uploads lost. It is downloaded likewise. Then OBJECTS small
ones, a run that is killed RUN_KILLS times and resumed, runs by lists in files and of a time that are
killed, one whose target goes away, one that is resumed when its address leads to another server, which
is refused, one that is resumed with another environment, a plan that is applied again, and a target that
encrypts by SSE-KMS. Nothing is written twice but what was in flight, and at the end everything is equal
and no upload is left.

`./dev test long` has `resume.py 50 4096 2000` and `resume.py 2 256 100000 5`.

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
from harness import KMS_KEY_ID, Thing, World, check, keys_of, put_all, step, text_bytes, wait_until

KILLS = int(sys.argv[1]) if len(sys.argv) > 1 else 6
MIB = int(sys.argv[2]) if len(sys.argv) > 2 else 256
OBJECTS = int(sys.argv[3]) if len(sys.argv) > 3 else 1500
RUN_KILLS = int(sys.argv[4]) if len(sys.argv) > 4 else 2
LISTED = min(OBJECTS, 3000)
PLANNED = 1500
PART = 8 << 20
IN_FLIGHT = 64


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


def small_objects(world, source, target, environment) -> None:
    step(f"{OBJECTS} small objects, {RUN_KILLS} kills")
    folder = world.folder / "small"
    random_ = random.Random(1)
    for number in range(OBJECTS):
        path = folder / f"{number % 37:02}/{number:07}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text_bytes(random_, 100 + number % 900))
    world.run("cp", "-r", f"{folder}/", "s3://data/small", "--endpoint-url", source.endpoint,
              env=environment).expect(0)
    for verb in (["cp", "-r"], ["sync"]):
        line = FaultProxy(target.endpoint, latency_seconds=0.02)
        ends = ["--source-endpoint-url", source.endpoint, "--target-endpoint-url", line.endpoint]
        command = [*verb, "s3://data/small", f"s3://copy/{verb[0]}", *ends, "--transfers",
                   str(IN_FLIGHT)]
        for kill in range(RUN_KILLS):
            copying = world.start(*command, env=environment)
            wait_until(lambda: len(line.puts) > OBJECTS * (kill + 1) // (RUN_KILLS + 1) or
                       not copying.running(), 600, "more of the objects", every=0.1)
            check(copying.running(), f"the run ended before it was killed: {copying.output()}")
            copying.kill()
            copying.wait()
            shown = world.run("runs", "show", "last", "--json", env=environment).expect(0).lines()
            check(shown[0]["phase"] == "killed", f"not killed: {shown[0]}")
            command = ["runs", "resume", "last"]
        step(f"{verb[0]}: {len(line.puts)} are there")
        world.run(*command, env=environment).expect(0)
        count = len(keys_of(target.s3, "copy", verb[0] + "/"))
        check(count == OBJECTS, f"{count} objects instead of {OBJECTS}")
        again = sum(times - 1 for times in line.puts.values())
        step(f"{verb[0]}: {again} were copied again")
        check(len(line.puts) == OBJECTS, f"{len(line.puts)} objects were written")
        check(again <= IN_FLIGHT * RUN_KILLS, f"{again} objects were copied again")
        line.close()
        world.run("check", "s3://data/small", f"s3://copy/{verb[0]}", "--source-endpoint-url",
                  source.endpoint, "--target-endpoint-url", target.endpoint,
                  env=environment).expect(0)
        world.run("runs", "resume", "last", env=environment).expect(2, "nothing to go on with")
        shown = world.run("runs", "ls", "--json", env=environment).expect(0).lines()
        check(shown[0]["phase"] == "done", f"not done: {shown[0]}")


def killed_when_noted(world, command, environment) -> dict:
    """Starts `command`, kills it when its journal says that something is done, and tells what."""
    copying = world.start(*command, env=environment)

    def shown() -> dict:
        return world.run("runs", "show", "last", "--json", env=environment).expect(0).lines()[0]

    time.sleep(2)  # Not the run before it.
    wait_until(lambda: shown()["done_up_to"] or not copying.running(), 60, "a name in the journal",
               every=0.3)
    check(copying.running(), f"the run ended before it was killed: {copying.output()}")
    copying.kill()
    copying.wait()
    found = shown()
    check(found["phase"] == "killed", f"not killed: {found}")
    return found


def by_lists(world, source, target, environment) -> None:
    step("runs by lists in files, killed")
    names = [f"{number % 37:02}/{number:07}" for number in range(LISTED)]
    names.sort()
    put_all(source.s3, "data", [Thing("listed/" + name, name.encode()) for name in names],
            threads=16)
    shuffled = [*names, "missing-1", "00/missing-0"]
    random.Random(7).shuffle(shuffled)
    (world.folder / "names").write_text("".join(name + "\n" for name in shuffled))
    # So long that the journal is written meanwhile, which it is every five seconds.
    latency = 12 / LISTED * 8
    for number, (verb, option, file, missing) in enumerate((
            (["sync"], "--files-from", "names", 2), (["sync"], "--source-listing", "kept", 0),
            (["cp", "-r"], "--files-from", "names", 2), (["cp", "-r"], "--listing", "kept", 0))):
        here, there = FaultProxy(source.endpoint), FaultProxy(target.endpoint,
                                                              latency_seconds=latency)
        place = f"s3://copy/listed-{number}"
        # A listing is of the place where it was taken.
        world.run("ls", "-r", "--save-listing", world.folder / "kept", "s3://data/listed/",
                  "--endpoint-url", here.endpoint, env=environment).expect(0)
        found = killed_when_noted(world, [
            *verb, "s3://data/listed", place, option, world.folder / file, "--transfers", "8",
            "--source-endpoint-url", here.endpoint, "--target-endpoint-url", there.endpoint],
            environment)
        done = sum(1 for name in names if name <= found["done_up_to"])
        step(f"{' '.join(verb)} {option}: {done} of {LISTED} are done by the journal")
        text = (world.folder / file).read_bytes()
        (world.folder / file).write_bytes(text + b"00/more\n")
        world.run("runs", "resume", "last", env=environment).expect(2, "has changed since")
        (world.folder / file).write_bytes(text)
        here.asked.clear()
        there.latency_seconds = 0
        world.run("runs", "resume", "last", env=environment).expect(1 if missing else 0)
        if missing:
            shown = world.run("runs", "show", "last", "--json", env=environment).expect(0).lines()
            check(sorted(line["name"] for line in shown if line["event"] == "failed") ==
                  ["00/missing-0", "missing-1"], f"other failures: {shown}")
        # What is left is looked at, and what was in flight; of what is done nothing is asked.
        left = LISTED - done + len(found["open"]) + missing
        step(f"{left} were left, and the source was asked for {here.asked['HEAD']}")
        check(here.asked["HEAD"] <= left + LISTED // 7,  # `cp` looks at what it finds there, too.
              f"{left} were left, and the source was asked {dict(here.asked)}")
        count = len(keys_of(target.s3, "copy", f"listed-{number}/"))
        check(count == LISTED, f"{count} objects instead of {LISTED}")
        again = sum(times - 1 for times in there.puts.values())
        check(again <= 8, f"{again} objects were copied again")
        here.close()
        there.close()
        world.run("check", "s3://data/listed", place, "--source-endpoint-url", source.endpoint,
                  "--target-endpoint-url", target.endpoint, env=environment).expect(0)


def as_of_a_time(world, target, environment) -> None:
    step("a run of what a bucket was some seconds ago, killed")
    source = world.serve("minio", "keeping")
    source.s3.create_bucket(Bucket="kept")
    source.s3.put_bucket_versioning(Bucket="kept", VersioningConfiguration={"Status": "Enabled"})
    then = {f"{number:05}": b"then" for number in range(LISTED)}
    put_all(source.s3, "kept", [Thing(key, body) for key, body in then.items()], threads=16)
    time.sleep(2)
    moment = time.time()
    time.sleep(3)
    put_all(source.s3, "kept", [Thing(f"{number:05}", b"changed") for number in range(LISTED)] +
            [Thing(f"{number:05}-new", b"new") for number in range(LISTED // 4)], threads=16)
    for verb in (["sync"], ["cp", "-r"]):
        line = FaultProxy(target.endpoint, latency_seconds=12 / LISTED * 8)
        place = f"at-{verb[0]}/"
        # Counted from another beginning it would be another time.
        found = killed_when_noted(world, [
            *verb, "s3://kept", f"s3://copy/{place}", "--at", f"{int(time.time() - moment)}s",
            "--transfers", "8", "--source-endpoint-url", source.endpoint,
            "--target-endpoint-url", line.endpoint], environment)
        step(f"{verb[0]}: done up to {found['done_up_to']} as of {found['at']}")
        line.latency_seconds = 0
        world.run("runs", "resume", "last", env=environment).expect(0)
        keys = keys_of(target.s3, "copy", place)
        check(sorted(keys) == [place + key for key in sorted(then)],
              f"{len(keys)} objects instead of {LISTED}")
        again = sum(times - 1 for times in line.puts.values())
        check(again <= 8, f"{again} objects were copied again")
        line.close()
        folder = world.folder / place
        world.run("cp", "-r", f"s3://copy/{place}", f"{folder}/", "--endpoint-url", target.endpoint,
                  env=environment).expect(0)
        wrong = [path.name for path in folder.iterdir() if path.read_bytes() != b"then"]
        check(not wrong, f"of another time: {wrong[:5]}")
    whole_histories(world, source, environment)


def versions_of(s3, bucket: str) -> collections.Counter:
    """How many each key has."""
    return collections.Counter(
        entry["Key"] for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        for entry in page.get("Versions", []))


def whole_histories(world, source, environment) -> None:
    step("whole histories, killed")
    source.s3.create_bucket(Bucket="histories")
    source.s3.put_bucket_versioning(Bucket="histories",
                                    VersioningConfiguration={"Status": "Enabled"})
    line = FaultProxy(source.endpoint, latency_seconds=12 / LISTED * 8)
    found = killed_when_noted(world, [
        "sync", "--versions", "s3://kept", "s3://histories", "--transfers", "8",
        "--source-endpoint-url", source.endpoint, "--target-endpoint-url", line.endpoint],
        environment)
    step(f"done up to {found['done_up_to']}, in flight {len(found['open'])}")
    line.latency_seconds = 0
    line.asked.clear()
    world.run("runs", "resume", "last", env=environment).expect(0)
    # Nobody has written one twice.
    check(versions_of(source.s3, "histories") == versions_of(source.s3, "kept"),
          "the histories differ")
    done = sum(1 for key in versions_of(source.s3, "kept") if key <= found["done_up_to"])
    step(f"{done} keys were done, and the target was asked {dict(line.asked)}")
    line.close()


def ended_by_its_target(world, source, target, environment) -> None:
    step("a run whose target goes away")
    line = FaultProxy(target.endpoint, latency_seconds=0.02)
    syncing = world.start("sync", "s3://data/small", "s3://copy/away", "--source-endpoint-url",
                          source.endpoint, "--target-endpoint-url", line.endpoint, "--timeout",
                          "3s", env=environment)
    wait_until(lambda: len(line.puts) > OBJECTS // 4 or not syncing.running(), 120,
               "a quarter of the objects", every=0.05)
    line.mode = "down"
    syncing.wait(120).expect(5)
    before = len(keys_of(target.s3, "copy", "away/"))
    check(before < OBJECTS - IN_FLIGHT * 2, f"{before} of {OBJECTS} were copied before it went away")
    shown = world.run("runs", "show", "last", "--json", env=environment).expect(0).lines()
    check(shown[0]["phase"] == "stopped", f"not stopped: {shown[0]}")
    line.mode = "pass"
    world.run("runs", "resume", "last", env=environment).expect(0)
    count = len(keys_of(target.s3, "copy", "away/"))
    check(count == OBJECTS, f"{count} objects instead of {OBJECTS}")
    line.close()


def another_place(world, source, target, environment) -> None:
    step("a run whose address has come to mean another server")
    target.s3.create_bucket(Bucket="data")
    put_all(target.s3, "data", [Thing(f"small/{number % 37:02}/{number:07}", b"theirs")
                                for number in range(OBJECTS)], threads=16)
    line = FaultProxy(source.endpoint, latency_seconds=0.02)
    here = {**environment, "AWS_ENDPOINT_URL": line.endpoint}
    there = {**environment, "AWS_ENDPOINT_URL": target.endpoint}
    folder = world.folder / "from-one-server"
    folder.mkdir()

    def files() -> list:
        return [path for path in folder.glob("*/*") if path.name.isdigit()]

    copying = world.start("sync", "s3://data/small", f"{folder}/", "--transfers", "8", env=here)
    wait_until(lambda: len(files()) > OBJECTS // 4 or not copying.running(), 120,
               "a quarter of the objects", every=0.05)
    check(copying.running(), f"the run ended before it was killed: {copying.output()}")
    copying.kill()
    copying.wait()
    before = len(files())
    check(before < OBJECTS, "there is nothing left to be done")
    world.run("runs", "resume", "last", env=there).expect(
        2, "was begun when 's3://data/small' was at s3 127.0.0.1:", "and now it is at s3 127.0.0.1:")
    check(len(files()) == before, "something came of a run that was refused")
    world.run("runs", "resume", "last", env=here).expect(0)
    check(len(files()) == OBJECTS, f"{len(files())} objects instead of {OBJECTS}")
    check(all(path.read_bytes() != b"theirs" for path in files()), "objects of two servers are mixed")
    line.close()


def own_options(world, environment) -> None:
    step("a run whose options came from the environment, resumed in another one")
    source, target = world.folder / "-options", world.folder / "options-copy"
    (target / "bad").mkdir(parents=True)
    (target / "bad" / "in-the-way").write_text("there")
    (target / "keepme").write_text("mine")
    source.mkdir()
    (source / "bad").write_text("1")
    state = str(world.folder / "options.db")
    copying = world.run("sync", "--delete", "--state", state, "--", str(source), str(target),
                        env={**environment, "LONGHAUL_EXCLUDE": "keep*"})
    copying.expect(1, "longhaul runs resume ", f" --state {state}")
    (target / "bad" / "in-the-way").unlink()
    (target / "bad").rmdir()
    events = world.run("runs", "resume", "last", "--state", state, "--json",
                       env={**environment, "LONGHAUL_DELETE_EXCLUDED": "1"}).expect(0).lines()
    check(events[-1]["event"] == "summary", f"no JSON: {events}")
    check((target / "bad").read_text() == "1", "what failed was not done again")
    check((target / "keepme").exists(), "what the run had left alone was removed")


def planned(world, source, target, environment) -> None:
    step("a plan that is killed, and applied again")
    line = FaultProxy(target.endpoint, latency_seconds=0.02)
    ends = ["--source-endpoint-url", source.endpoint, "--target-endpoint-url", line.endpoint]
    random_ = random.Random(2)
    put_all(source.s3, "data", [
        Thing(f"planned/{number:07}", text_bytes(random_, 100 + number % 900))
        for number in range(PLANNED)], threads=16)
    # Replaced, removed, and new ones.
    put_all(target.s3, "copy", [Thing(f"planned/{number:07}", b"old")
                                for number in range(0, PLANNED, 10)] +
            [Thing(f"planned/extra-{number}", b"old") for number in range(20)], threads=16)
    plan = world.folder / "plan.jsonl"
    world.run("sync", "--delete", "--ignore-times", "--plan", plan, "s3://data/planned",
              "s3://copy/planned", *ends, env=environment).expect(0)
    applying = world.start("apply", plan, env=environment)
    wait_until(lambda: len(keys_of(target.s3, "copy", "planned/")) > PLANNED // 2 or
               not applying.running(), 120, "half of the objects", every=0.1)
    check(applying.running(), f"the plan was done before it was killed: {applying.output()}")
    applying.kill()
    applying.wait()
    time.sleep(1.1)  # Times have whole seconds.
    before = times_of(target.s3, "planned/")
    world.run("apply", plan, env=environment).expect(0)
    after = times_of(target.s3, "planned/")
    check(len(after) == PLANNED, f"{len(after)} objects instead of {PLANNED}")
    again = sum(1 for key, when in before.items() if key in after and after[key] != when)
    # Those that were to be replaced and had not been yet are among them.
    check(again <= IN_FLIGHT + PLANNED // 10, f"{again} objects were copied again")
    world.run("check", "s3://data/planned", "s3://copy/planned", *ends, env=environment).expect(0)
    world.run("apply", plan, env=environment).expect(0)
    check(times_of(target.s3, "planned/") == after, "a plan that was done did something")
    line.close()


def times_of(s3, prefix: str) -> dict:
    return {entry["Key"]: entry["LastModified"]
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket="copy", Prefix=prefix)
            for entry in page.get("Contents", [])}


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
        own_options(world, environment)
        large_object(world, source, target, environment)
        large_download(world, source, environment)
        small_objects(world, source, target, environment)
        by_lists(world, source, target, environment)
        as_of_a_time(world, target, environment)
        ended_by_its_target(world, source, target, environment)
        another_place(world, source, target, environment)
        planned(world, source, target, environment)
        under_kms(world, environment)
        left_uploads(world, target, environment)
    step("passed")


main()
