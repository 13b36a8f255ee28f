"""resume_runs.py [OBJECTS [RUN_KILLS]]: runs over small objects that end early, and are gone on with.

Of OBJECTS small ones a run is killed with -9 RUN_KILLS times and resumed. One run's target goes away, one
is resumed when its address leads to another server, which is refused, one with another environment, and
a plan is applied again. Nothing is written twice but what was in flight, and at the end everything is
equal.

`./dev test long` has `resume_runs.py 2000` and `resume_runs.py 100000 5`.

Without it: a run of millions of objects that starts over, or calls done what it never did.
"""

import random
import sys
import time

from fault_proxy import FaultProxy
from harness import Thing, World, check, keys_of, put_all, step, text_bytes, wait_until

OBJECTS = int(sys.argv[1]) if len(sys.argv) > 1 else 600
RUN_KILLS = int(sys.argv[2]) if len(sys.argv) > 2 else 2
PLANNED = 600
IN_FLIGHT = 64


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


def main() -> None:
    with World("resume-runs") as world:
        source, target = world.serve("versitygw", "source"), world.serve("versitygw", "target")
        source.s3.create_bucket(Bucket="data")
        target.s3.create_bucket(Bucket="copy")
        environment = {"XDG_STATE_HOME": str(world.work / "home")}
        own_options(world, environment)
        small_objects(world, source, target, environment)
        ended_by_its_target(world, source, target, environment)
        another_place(world, source, target, environment)
        planned(world, source, target, environment)
    step("passed")


main()
