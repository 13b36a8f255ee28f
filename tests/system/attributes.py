"""attributes.py SOURCE TARGET: tags and metadata change, and the body does not travel.

The target's server copies the replica onto itself. Without it: what a fake does on a copy might not
be what servers do.
"""

import json
import signal
import sys
import urllib.request

from harness import (World, check, check_equal, check_staging_empty, facts, free_port, http,
                     make_buckets, report, rule, staged, step, wait_until)

SIZE = 1 << 20


def main(source_kind: str, target_kind: str) -> None:
    with World("attributes") as world:
        port = free_port()
        source = world.serve(source_kind, "source")
        target = world.serve(target_kind, "target")
        make_buckets(source, target)
        config = world.config({"source": source, "target": target},
                              [rule(settle="1s", batch={"linger": "1s"})],
                              listen=f"127.0.0.1:{port}")
        source.s3.put_object(Bucket="data", Key="k", Body=b"x" * SIZE, ContentType="text/plain",
                             Metadata={"writer": "ann"})
        lines = world.work / "report.jsonl"
        running = world.start("replicate", "--config", config, "--report", lines)

        def tell(name: str) -> None:
            event = {"eventVersion": "2.1", "eventName": name,
                     "s3": {"bucket": {"name": "data"}, "object": {"key": "k", "size": SIZE}}}
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/v1/events?store=source", method="POST",
                data=json.dumps({"Records": [event]}).encode())
            wait_until(lambda: urllib.request.urlopen(request).status == 200, 10, "the webhook")

        def arrives(what: str) -> None:
            def same() -> bool:
                try:
                    return facts(source.s3, "data", "k") == facts(target.s3, "copy", "k")
                except target.s3.exceptions.ClientError:
                    return False
            wait_until(same, 30, what)

        wait_until(lambda: running.running() and port_open(port), 20, "the listener")
        arrives("the object")
        step("the object is there")

        def tag(color: str) -> None:
            source.s3.put_object_tagging(Bucket="data", Key="k",
                                         Tagging={"TagSet": [{"Key": "color", "Value": color}]})
            tell("ObjectTagging:Put")
            arrives(f"the tag {color}")
            step(f"the tag {color} is there")

        tag("red")

        source.s3.copy_object(Bucket="data", Key="k", CopySource={"Bucket": "data", "Key": "k"},
                              MetadataDirective="REPLACE", Metadata={"writer": "bob"},
                              ContentType="text/html")
        tell("ObjectCreated:Copy")
        arrives("the metadata")
        step("the metadata is there")

        tag("blue")  # RGW's copy has lost the one before: none would be left to delete.
        source.s3.delete_object_tagging(Bucket="data", Key="k")
        tell("ObjectTagging:Delete")
        arrives("no tags")
        wait_until(lambda: not staged(target), 20, "an empty staging")
        running.kill(signal.SIGTERM)
        running.wait(60)
        summary = report(lines)[-1]
        outcomes = [line["op"] + " " + line["state"] for line in report(lines) if "op" in line]
        check(outcomes == ["put applied"] + 4 * ["attributes applied"],
              f"outcomes: {report(lines)}")
        check(summary["bytes_read"] == SIZE, f"bodies read: {summary}")
        check_equal(source, target)
        check_staging_empty(target)
        step("one body travelled")


def port_open(port: int) -> bool:
    return http(f"http://127.0.0.1:{port}/healthz")[0] == 200


main(*sys.argv[1:])
