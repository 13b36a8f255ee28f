"""directory_bucket.py: S3 Express One Zone, against a server that takes nothing else.

Without it: that a directory bucket is asked in its own way (sessions, whole folders, checksums in
place of MD5s, no tags and no versions) would be known of single requests alone.
"""

import collections
import json
import os
import random
import time

from express_server import ExpressServer
from fault_proxy import FaultProxy, operation_of
from harness import (ACCESS_KEY_ID, SECRET_ACCESS_KEY, World, check, put_all, step, store_of,
                     text_bytes, things, wait_until)

BUCKET = "fast--use1-az4--x-s3"
LARGE = 6 << 20
# Dollars, as the table of prices has them: of S3 Standard, and of S3 Express One Zone.
STANDARD = {"get": 0.0004e-3, "list": 0.005e-3, "put": 0.005e-3, "delete": 0}
EXPRESS = {"get": 0.00003e-3, "list": 0.00113e-3, "put": 0.00113e-3, "delete": 0}
UPLOAD_GIB, STORAGE_GIB_MONTH = 0.0032, 0.11
PRICED = 400


def kind_of(operation: str) -> str:
    """Of "GET list-type max-keys": as it is billed."""
    method, *names = operation.split()
    if method == "GET" and {"list-type", "uploads", "uploadId"} & set(names):
        return "list"
    return {"GET": "get", "HEAD": "get", "DELETE": "delete"}.get(method, "put")


def dollars_of(asked: collections.Counter, prices: dict[str, float]) -> float:
    return sum(count * prices[kind_of(operation)] for operation, count in asked.items())


def costs(world: World, east, server: ExpressServer) -> None:
    """A fill costs what the two servers were asked for, and less than half of the other way."""
    size = 1000
    for number in range(PRICED):
        east.s3.put_object(Bucket="data", Key=f"priced/{number:04}", Body=b"x" * size)
    proxy = FaultProxy(east.endpoint)
    world.callback(proxy.close)
    config = world.config({"east": store_of(proxy.endpoint), "fast": store_of(server.endpoint)}, [],
                          "costs.yaml", state="sqlite:costs.db")
    server.asked.clear()
    words = ("cache", "fill", "east:data/priced/", "--to", f"fast:{BUCKET}/c/", "--ttl", "24h",
             "--take-bucket", "--wait", "--json", "--config", config)
    told = next(line for line in world.run(*words).expect(0).lines() if line["event"] == "cost")
    there = collections.Counter(operation_of(*line.split(" ", 1)) for line in server.asked)
    source, target = dollars_of(proxy.asked, STANDARD), dollars_of(there, EXPRESS)
    upload = PRICED * size / (1 << 30) * UPLOAD_GIB
    for name, counted in (("cost_requests_at_east", source), ("cost_requests_at_fast", target),
                          ("cost_bytes_into_fast", upload), ("dollars", source + target + upload),
                          ("storage_dollars",
                           PRICED * size / (1 << 30) * STORAGE_GIB_MONTH * 24 / 730)):
        check(abs(float(told[name]) - counted) <= 0.001 * counted,
              f"{name}: {told[name]}, counted {counted:.9f}: {proxy.asked}, {there}")
    check("unknown" not in told, f"{told}")
    # A million of them, in as many jobs as the published example has for so many.
    million = 1e6 / PRICED
    ours = million * (source + target + upload)
    others = million * (float(told["batch_dollars"]) - float(told["batch_jobs"])) + 20 / 3 * 0.25
    check(float(told["batch_jobs"]) == 0.25 and ours < others / 2,
          f"a million: {ours:.2f}, the other way {others:.2f}")
    step(f"cost of a million objects: {ours:.2f} dollars, the other way {others:.2f}")
    # The same words, for a person; and what is there already costs next to nothing.
    shown = world.run(*(word for word in words if word != "--json")).expect(
        0, "cost: $0.0", "by S3 Batch Operations at least $0.0")
    check("not known" not in shown.stdout, shown.stdout)
    # Without a configuration: by the region that the environment says.
    told = next(line for line in world.run(
        "cache", "fill", "s3://data/priced/", "--to", f"s3://{BUCKET}/d/", "--ttl", "24h", "--force",
        "--take-bucket", "--json", "--state", "plain.db", "--source-endpoint-url", east.endpoint,
        "--target-endpoint-url", server.endpoint).expect(0).lines() if line["event"] == "cost")
    check(abs(float(told["cost_requests_at_the_target"]) - target) <= 0.001 * target and
          abs(float(told["cost_requests_at_the_source"]) - source) <= 0.001 * source, f"{told}")


def main() -> None:
    server = ExpressServer(BUCKET, ACCESS_KEY_ID, SECRET_ACCESS_KEY)
    at = ("--endpoint-url", server.endpoint)
    there = f"s3://{BUCKET}"
    with World("directory_bucket") as world:
        source = world.work / "files"
        contents = {"logs/one": b"1", "logs/two": b"22", "logs/deep/three": b"333", "lone": b"4",
                    "empty": b"", "large": text_bytes(random.Random(1), LARGE)}
        for name, content in contents.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(content)
            # Written in the second of its copy it would be newer than that, which has whole seconds.
            os.utime(source / name, (time.time() - 60, time.time() - 60))

        def kept() -> dict[str, bytes]:
            return {key: one["body"] for key, one in server.objects.items()}

        world.run("cp", "--recursive", "--part-size", "5MiB", "--multipart-threshold", "5MiB",
                  "files/", f"{there}/a/", *at).expect(0)
        check(kept() == {f"a/{name}": content for name, content in contents.items()},
              f"after cp: {sorted(kept())}")
        check(any("uploadId" in line for line in server.asked), "nothing went in parts")
        check(not server.uploads, "an upload was left")
        sessions = sum("?session" in line for line in server.asked)
        check(sessions == 1, f"{sessions} sessions")
        check(not server.refused, f"refused: {server.refused}")
        step("cp")

        writes = sum(line.startswith("PUT") for line in server.asked)
        world.run("sync", "files/", f"{there}/a/", *at).expect(0)
        check(writes == sum(line.startswith("PUT") for line in server.asked), "sync copied again")
        (source / "logs/two").write_bytes(b"changed")
        (source / "lone").unlink()
        world.run("sync", "--delete", "files/", f"{there}/a/", *at).expect(0)
        contents["logs/two"] = b"changed"
        del contents["lone"]
        check(kept() == {f"a/{name}": content for name, content in contents.items()},
              f"after sync: {sorted(kept())}")
        step("sync")

        listed = world.run("ls", "--json", f"{there}/a/lo", *at).expect(0).lines()
        shown = {line.get("prefix") or line.get("key") for line in listed} - {None}
        check(shown == {"a/logs/"}, f"ls of what begins so: {listed}")
        listed = world.run("ls", "--recursive", "--json", f"{there}/a/logs/", *at).expect(0).lines()
        keys = [line["key"] for line in listed if "key" in line]
        check(sorted(keys) == ["a/logs/deep/three", "a/logs/one", "a/logs/two"], f"ls: {listed}")
        step("ls")

        world.run("cp", "--recursive", f"{there}/a/", "back/", *at).expect(0)
        for name, content in contents.items():
            check((world.work / "back" / name).read_bytes() == content, f"{name} came back different")
        world.run("cp", f"{there}/a/logs/one", f"{there}/b/one", *at).expect(0)
        check(kept()["b/one"] == b"1", "a copy within the bucket")
        step("back, and within")

        world.run("rm", "--recursive", f"{there}/a/", *at).expect(0)
        check(set(kept()) == {"b/one"}, f"after rm: {sorted(kept())}")
        step("rm")

        east = world.serve("minio", "east")
        east.s3.create_bucket(Bucket="data")
        put_all(east.s3, "data", things(40, 3, "p/"))
        east.s3.put_object(Bucket="data", Key="p/tagged", Body=b"x", Tagging="color=red")
        config = world.config({"east": east, "fast": store_of(server.endpoint)}, [])
        words = ("cache", "fill", "east:data/p/", "--to", f"fast:{BUCKET}/c/", "--ttl", "1h",
                 "--take-bucket", "--wait", "--json", "--config", config)
        done = world.run(*words).expect(0).lines()[-1]
        check((done["copied"], done["failed"]) == (41, 0), f"a fill: {done}")
        wrong = [key for key, body in kept().items() if key.startswith("c/") and body !=
                 east.s3.get_object(Bucket="data", Key=key[2:])["Body"].read()]
        check(not wrong and sum(key.startswith("c/") for key in kept()) == 41, f"wrong: {wrong}")
        done = world.run(*words).expect(0).lines()[-1]
        check((done["copied"], done["hits"]) == (0, 41), f"a second fill: {done}")
        step("cache fill")
        costs(world, east, server)
        worked = world.config(
            {"east": east, "fast": store_of(server.endpoint)}, [], "worker.yaml",
            caches=[{"id": "work", "source": "east:data/p/", "to": f"fast:{BUCKET}/w/", "ttl": "1h",
                     "schedule": "* * * * *"}])
        worker = world.start("cache", "worker", "--config", worked)
        wait_until(lambda: sum(key.startswith("w/") for key in kept()) == 41, 100,
                   "the schedule fills")
        worker.kill(15)
        worker.wait(60).expect(143)
        wrong = [key for key, body in kept().items() if key.startswith("w/") and body !=
                 east.s3.get_object(Bucket="data", Key=key[2:])["Body"].read()]
        check(not wrong, f"wrong: {wrong}")
        step("cache worker")

        check(not server.refused, f"refused: {server.refused}")
        rule = {"id": "r", "source": "east:data/", "targets": [
            {"to": f"fast:{BUCKET}/", "staging": "east:data/s/"}]}
        broken = world.config({"east": east, "fast": store_of(server.endpoint)}, [rule], "rule.yaml")
        world.run("replicate", "--once", "--config", broken).expect(2, "is a directory bucket")
        wrong = json.loads(config.read_text())
        wrong["stores"]["fast"]["secret_access_key"] = "x" * 20
        config.write_text(json.dumps(wrong))
        world.run("ls", f"fast:{BUCKET}/", "--config", config).expect(4, f"CreateSession {BUCKET}")
        step("what is refused")


main()
