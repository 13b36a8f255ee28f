"""cache.py: prefixes are copied into a faster bucket, each key once, however many runs overlap.

Without it: that fills of several processes leave keys to each other, that a killed one holds
nothing up, and that a refused request copies nothing, would be known of fakes alone.
"""

import json

from harness import World, check, differences, keys_of, put_all, report, step, things, wait_until

COUNT = 250


def fill(world: World, config, *words: str, code: int = 0) -> dict:
    done = world.run("cache", "fill", *words, "--json", "--config", config).expect(code)
    return done.lines()[-1]


def states(path) -> dict[str, int]:
    """How many lines of a report say what."""
    counted: dict[str, int] = {}
    for line in report(path):
        counted[line["state"]] = counted.get(line["state"], 0) + 1
    return counted


def refused(world: World, config, s3) -> None:
    """What makes no sense is named before anything is copied."""
    for words, code, says in (
            (("east:data/a/", "--to", "east:cache", "--ttl", "0"), 2, "time to live of 0"),
            (("east:data/a/", "--to", "east:cache", "--ttl", "3650d"), 2, "366 days"),
            (("east:data/a/", "--to", "east:data", "--ttl", "1h"), 2, "its own cache"),
            (("east:data/a/", "--to", "wrong:data", "--ttl", "1h", "--take-bucket"), 2,
             "under another name"),
            (("east:data/a/", "east:data/no/", "--to", "east:cache", "--ttl", "1h"), 3, "data/no/"),
            (("east:nodata/a/", "--to", "east:cache", "--ttl", "1h"), 3, "nodata"),
            (("east:data/a/", "--to", "east:nocache", "--ttl", "1h"), 3, "nocache"),
            (("east:data/a/", "west:data/", "--to", "east:cache", "--ttl", "1h"), 2, "of another"),
            (("east:data/a/", "wrong:data/a/", "--to", "east:cache", "--ttl", "1h"), 2, "another"),
            # Of AWS: no host is looked for.
            (("east:data/a/", "--to", "s3://fast--euw1-az1--x-s3", "--ttl", "1h"), 2,
             "us-east-1 has no such zone"),
            (("east/data/a/", "--to", "east:cache", "--ttl", "1h"), 2, "write east:data/a/"),
            (("data/a/", "--to", "east:cache", "--ttl", "1h"), 2, "write s3://BUCKET/PREFIX, or"),
            (("east:", "--to", "east:cache", "--ttl", "1h"), 2, "write east:BUCKET/PREFIX"),
            (("east:data/a/", "--to", "east/cache", "--ttl", "1h"), 2, "write east:cache"),
            (("wrong:data/a/", "--to", "east:cache", "--ttl", "1h"), 4, "data/a/"),
            (("east:data/a/", "--to", "east:full", "--ttl", "1h"), 2, "--take-bucket")):
        world.run("cache", "fill", *words, "--config", config).expect(code, says)
    check(not keys_of(s3, "cache"), "a refused fill has copied")


def one_store(world: World, config, s3) -> None:
    """The server copies by itself; what has changed since, and nothing else, is copied again."""
    to = ("--to", "east:cache", "--wait")
    lines = world.work / "fill.jsonl"
    done = fill(world, config, "east:data/a/", "east:data/b/", *to, "--ttl", "24h", "--report", lines)
    check((done["copied"], done["hits"], done["failed"]) == (2 * COUNT, 0, 0), f"a fill: {done}")
    check(done["FailedJobs"] == [] and done["prefixes"] == [] and not done["WaitingForJobs"] and
          done["ttl"] == 24 and done["directory_bucket"] == "cache", f"the result: {done}")
    check(states(lines) == {"copied": 2 * COUNT}, f"the report: {states(lines)}")
    for prefix in ("a/", "b/"):
        unequal = differences(s3, "data", s3, "cache", prefix, prefix)
        check(not unequal, f"different: {unequal[:5]}")

    def until() -> dict[str, str]:
        listed = world.run("cache", "ls", "east:cache", "--json", "--config", config).expect(0)
        return {line["key"]: line["until"] for line in listed.lines() if line["event"] == "entry"}

    before = until()
    done = fill(world, config, "east:data/a/", *to, "--ttl", "1h")
    check((done["copied"], done["hits"]) == (0, COUNT), f"a second fill: {done}")
    check(until() == before, "a time to live became shorter")
    s3.put_object(Bucket="data", Key=keys_of(s3, "data", "a/")[7], Body=b"changed")
    done = fill(world, config, "east:data/", *to, "--ttl", "48h")
    check((done["copied"], done["hits"]) == (COUNT + 1, 2 * COUNT - 1), f"the whole bucket: {done}")
    after = until()
    check(all(after[key] > then for key, then in before.items()), "one was not extended")
    unequal = differences(s3, "data", s3, "cache")
    check(not unequal, f"different: {unequal[:5]}")
    done = fill(world, config, "east:data/b/", *to, "--ttl", "1h", "--force")
    check((done["copied"], done["hits"]) == (COUNT, 0), f"a forced fill: {done}")
    step("one store")


def two_processes(world: World, config, west) -> None:
    """Into another store; one is killed, and what the others copy adds up."""
    to = ("--to", "west:cache", "--ttl", "1h", "--transfers", "1")
    first = world.start("cache", "fill", "east:data/", *to, "--config", config)
    wait_until(lambda: keys_of(west.s3, "cache"), 60, "the first fill copies", every=0.02)
    lines = world.work / "second.jsonl"
    second = world.start("cache", "fill", "east:data/a/", "east:data/b/", *to, "--wait", "--report",
                         lines, "--config", config)
    wait_until(lambda: "run 2" in second.output(), 60, "the second fill begins", every=0.02)
    check(first.running(), "the first fill was over before it could be killed")
    first.kill()
    first.wait(10)
    second.wait(120).expect(0)
    told = states(lines)
    check(told.get("failed", 0) == 0 and sum(told.values()) == 2 * COUNT, f"the second: {told}")
    status = world.run("cache", "status", "west:cache", "--json", "--config", config).expect(0)
    phases = [line["phase"] for line in status.lines() if line["event"] == "run"]
    check(phases == ["killed", "done"], f"phases: {phases}")
    done = fill(world, config, "east:data/", *to, "--wait")
    check(done["failed"] == 0 and done["copied"] <= COUNT, f"after the kill: {done}")
    listed = world.run("cache", "ls", "west:cache", "--json", "--config", config).expect(0).lines()
    left = {line["key"]: line["state"] for line in listed
            if line["event"] == "entry" and line["state"] != "ready"}
    check(not left, f"not ready: {left}")
    check(listed[-1]["objects"] == 3 * COUNT, f"the cache: {listed[-1]}")
    step("two processes")


def failures(world: World, config, east) -> None:
    """What fails is named, counted by prefix, and not called cached."""
    long = "d" + ("/" + "x" * 195) * 5  # With what stands before it, longer than keys may be.
    for key in ("d/one", long):
        east.s3.put_object(Bucket="data", Key=key, Body=key.encode())
    words = ("east:data/a/", "east:data/d/", "--to", f"west:files/{'y' * 99}/", "--ttl", "1h")
    done = fill(world, config, *words, code=1)
    check([(job["prefix"], job["numberOfTasksFailed"]) for job in done["FailedJobs"]] ==
          [("d/", 1)] and done["Error"] == "Some of the Jobs failed", f"failed jobs: {done}")
    status = world.run("cache", "status", "west:files", "--run", done["main_workflow"], "--json",
                       "--config", config).expect(0)
    failed = [line["key"] for line in status.lines() if line["event"] == "failed"]
    check(len(failed) == 1 and failed[0] == long, f"what failed: {failed}")
    done = fill(world, config, *words, code=1)
    check((done["hits"], done["copied"], done["failed"]) == (COUNT + 1, 0, 1), f"again: {done}")
    step("failures")


def main() -> None:
    with World("cache") as world:
        east, west = world.serve("minio", "east"), world.serve("versitygw", "west")
        for bucket in ("data", "cache", "full"):
            east.s3.create_bucket(Bucket=bucket)
        east.s3.put_object(Bucket="full", Key="mine", Body=b"x")
        west.s3.create_bucket(Bucket="cache")
        west.s3.create_bucket(Bucket="data")
        west.s3.create_bucket(Bucket="files")
        for number, prefix in enumerate(("a/", "b/", "c/")):
            put_all(east.s3, "data", things(COUNT, number, prefix))
        config = world.config({"east": east, "west": west}, [])
        wrong = json.loads(config.read_text())
        wrong["stores"]["wrong"] = {**wrong["stores"]["east"], "secret_access_key": "x" * 20}
        config.write_text(json.dumps(wrong))
        step("servers")
        refused(world, config, east.s3)
        one_store(world, config, east.s3)
        two_processes(world, config, west)
        failures(world, config, east)


main()
