"""directory_bucket.py: S3 Express One Zone, against a server that takes nothing else.

Without it: that a directory bucket is asked in its own way (sessions, whole folders, checksums in
place of MD5s, no tags and no versions) would be known of single requests alone.
"""

import json
import os
import random
import time

from express_server import ExpressServer
from harness import (ACCESS_KEY_ID, SECRET_ACCESS_KEY, World, check, put_all, step, store_of,
                     text_bytes, things)

BUCKET = "fast--use1-az4--x-s3"
LARGE = 6 << 20


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
