"""routes.py KIND...: objects that travel without archives: copied by the store that holds both sides
(of each kind), and streamed to another server.

Without it: what real servers make of a copy with other metadata would be guessed at.
"""

import random
import sys

from harness import (World, check, check_equal, check_no_uploads, keys_of, put_all, report, rule,
                     step, text_bytes, things)


def carry(world, config, expected: str, count: int) -> None:
    path = world.work / f"{config.stem}.jsonl"
    world.run("replicate", "--config", config, "--once", "--report", path).expect(0)
    lines = [line for line in report(path) if "state" in line]
    routes = {line.get("route") for line in lines}
    check(routes == {expected}, f"went by {routes}")
    check(len(lines) == count, f"{len(lines)} lines, not {count}")
    # Nothing is left to do.
    again = world.work / f"{config.stem}-again.jsonl"
    world.run("replicate", "--config", config, "--once", "--report", again).expect(0)
    check(not [line for line in report(again) if "state" in line], "it was carried twice")


def main() -> None:
    kinds = sys.argv[1:] or ["minio", "versitygw", "rgw"]
    with World("routes") as world:
        plain = world.serve("minio", "plain")
        for bucket in ("copy", "staging"):
            plain.s3.create_bucket(Bucket=bucket)
        for kind in kinds:
            server = world.serve(kind, f"{kind}-copies")
            for bucket in ("data", "copy", "staging"):
                server.s3.create_bucket(Bucket=bucket)
            put_all(server.s3, "data", things(60))
            large = text_bytes(random.Random(5), 20 << 20)
            server.s3.put_object(Bucket="data", Key="large", Body=large,
                                 Metadata={"kind": "large"}, ContentType="text/large")
            count = len(keys_of(server.s3, "data"))
            step(f"{kind} copies")
            config = world.config({"one": server}, [rule(
                source="one:data/", to="one:copy/", staging="one:staging/", transport="copy",
                deletes=True)], name=f"copy-{kind}.yaml", state=f"sqlite:{kind}.db",
                queue=f"sqlite:{kind}.db")
            carry(world, config, "copy", count)
            check_equal(server, server)
            check_no_uploads(server, "copy")
            server.s3.delete_object(Bucket="data", Key="large")
            world.run("replicate", "--config", config, "--once").expect(0)
            check("large" not in keys_of(server.s3, "copy"), "the delete was not carried")

        step(f"streamed from {kinds[-1]}")
        source = server
        source.s3.put_object(Bucket="data", Key="large", Body=large, Metadata={"kind": "large"})
        config = world.config({"one": source, "two": plain}, [rule(
            source="one:data/", to="two:copy/", staging="two:staging/", transport="plain")],
            name="plain.yaml", state="sqlite:plain.db", queue="sqlite:plain.db")
        carry(world, config, "plain", count)
        check_equal(source, plain)
        check_no_uploads(plain, "copy")
        step("ok")


if __name__ == "__main__":
    main()
