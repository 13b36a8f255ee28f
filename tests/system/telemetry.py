"""telemetry.py: `metrics: emf` gives the figures of a run out as CloudWatch reads them, `traces` its
spans to a collector of OpenTelemetry.

Without it: figures of the right form might be of the wrong things, or come where nobody asked; the
spans of two processes might be two traces, and a collector that is away might hold replication up.
"""

import http.server
import json
import re
import signal
import threading

from harness import (Thing, World, check, check_equal, make_buckets, put_all, rule, step, things,
                     wait_until)


def figures(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"_aws":')]


def summed(lines: list[dict], name: str) -> float:
    return sum(line.get(name, 0) for line in lines)


class Collector:
    """Takes OTLP over HTTP, in JSON; anything else is an error of the test."""

    def __init__(self) -> None:
        self.spans: list[dict] = []
        self.resources: list[dict] = []
        self.problems: list[str] = []
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                try:
                    collector.take(self.path, self.headers, json.loads(body))
                except (AssertionError, KeyError, ValueError) as problem:
                    collector.problems.append(f"{problem!r}: {body[:2000]!r}")
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, path: str, headers, body: dict) -> None:
        assert path == "/v1/traces", path
        assert headers["Content-Type"] == "application/json", headers["Content-Type"]
        assert headers["x-api-key"] == "key-of-the-collector", headers["x-api-key"]
        for of_resource in body["resourceSpans"]:
            self.resources.append(attributes(of_resource["resource"]))
            for of_scope in of_resource["scopeSpans"]:
                assert of_scope["scope"]["name"] == "longhaul"
                for span in of_scope["spans"]:
                    assert re.fullmatch("[0-9a-f]{32}", span["traceId"]), span
                    assert re.fullmatch("[0-9a-f]{16}", span["spanId"]), span
                    assert span["kind"] in (1, 3, 5), span
                    begin, end = span["startTimeUnixNano"], span["endTimeUnixNano"]
                    assert isinstance(begin, str) and int(begin) <= int(end), span
                    self.spans.append(span)

    def named(self, name: str) -> list[dict]:
        return [span for span in self.spans if span["name"] == name]


def attributes(of: dict) -> dict:
    values = {}
    for one in of["attributes"]:
        [(kind, value)] = one["value"].items()
        values[one["key"]] = int(value) if kind == "intValue" else value
    return values


def traces(world: World, source, target, stores: dict) -> None:
    step("two processes make one trace")
    collector = Collector()
    section = {"otlp": collector.url, "sample": "100%",
               "headers": {"x-api-key": "key-of-the-collector"}}
    config = world.config(stores, [rule()], "traced.yaml", traces=section)
    put_all(source.s3, "data", [Thing(f"traced/{i}", b"x" * 1000) for i in range(20)])
    packing = world.start("replicate", "--config", config, "--roles", "source")
    applying = world.start("replicate", "--config", config, "--roles", "target")
    wait_until(lambda: target.s3.list_objects_v2(Bucket="copy", Prefix="traced/")["KeyCount"] == 20,
               90, "the objects have arrived")
    wait_until(lambda: collector.named("apply archive"), 60, "the target has told of it")
    for process in (packing, applying):
        process.kill(signal.SIGTERM)
        ended = process.wait(60).expect(143)
        check("key-of-the-collector" not in ended.stdout + ended.stderr, "the key is shown")
    check(not collector.problems, f"not OTLP: {collector.problems}")
    packs = {span["spanId"]: span for span in collector.named("pack archive")}
    applied = collector.named("apply archive")
    check(applied and all("status" not in span for span in applied), f"applied: {applied}")
    for apply in applied:
        pack = packs.get(apply.get("parentSpanId"))
        check(pack is not None and pack["traceId"] == apply["traceId"], f"no parent: {apply}")
        trace = [span for span in collector.spans if span["traceId"] == apply["traceId"]]
        check({span["name"] for span in trace} == {"take up events", "pack archive",
                                                   "upload archive", "read archive",
                                                   "apply archive"}, f"trace: {trace}")
        [root] = [span for span in trace if "parentSpanId" not in span]
        check(root["name"] == "take up events" and root["spanId"] == pack["parentSpanId"],
              f"root: {trace}")
        ids = {span["spanId"] for span in trace}
        check(all(span.get("parentSpanId", root["spanId"]) in ids for span in trace),
              f"parents: {trace}")
        one, other = attributes(pack), attributes(apply)
        check(one["longhaul.archive"] == other["longhaul.archive"], f"archives: {one} {other}")
        check(one["longhaul.objects"] == other["longhaul.objects"] > 0, f"objects: {one} {other}")
        check(0 < one["longhaul.archive_bytes"] and one["longhaul.level"] >= 0, f"packed: {one}")
        check(other["longhaul.target"] and other["aws.s3.bucket"] == "copy", f"applied: {other}")
    check(len({one["service.instance.id"] for one in collector.resources}) == 2, "two processes")
    objects = sum(attributes(span)["longhaul.objects"] for span in packs.values())
    check(objects == 20, f"{objects} objects in {packs}")
    check_equal(source, target)

    step("no trace unasked, and none of what is not in the sample")
    before = len(collector.spans)
    none = world.config(stores, [rule()], "none.yaml", traces=section | {"sample": "0%"})
    source.s3.put_object(Bucket="data", Key="untraced", Body=b"untraced")
    world.run("replicate", "--config", none, "--once").expect(0)
    check(len(collector.spans) == before, "spans of what is not in the sample")

    step("a collector that is away holds nothing up")
    collector.server.shutdown()
    collector.server.server_close()
    away = world.config(stores, [rule()], "away.yaml", traces=section)
    source.s3.put_object(Bucket="data", Key="unseen", Body=b"unseen")
    ran = world.run("replicate", "--config", away, "--once").expect(0)
    check("key-of-the-collector" not in ran.stdout + ran.stderr, "the key is shown")
    check_equal(source, target)


def as_compressor(lines: list[dict]) -> None:
    """Its dashboard asks for exactly these dimensions."""
    def under(*dimensions: str) -> list[dict]:
        return [line for line in lines
                if line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [list(dimensions)]]

    sizes = under("SourceBucket", "SourcePrefix", "TargetRegion")
    check(summed(sizes, "OriginalSize") > summed(sizes, "CompressedSize") > 0, f"sizes: {lines}")
    ratios = [line for line in under("SourceBucket", "SourcePrefix") if "CompressionRatio" in line]
    check(ratios and ratios[0]["CompressionRatio"] > 1, f"ratios: {lines}")
    check(summed(under("SourceBucket", "SourcePrefix"), "FailedDownloads") == 0, f"failed: {lines}")
    unpacked = under("TargetBucket")
    check(all(line["TargetBucket"] == "copy" for line in unpacked), f"unpacked: {lines}")
    check(summed(unpacked, "DecompressedSize") == summed(sizes, "OriginalSize"),
          f"unpacked: {lines}")
    check(summed(unpacked, "CompressedSize") == summed(sizes, "CompressedSize"),
          f"unpacked: {lines}")
    times = {line["Function"]: line["ProcessingTime"] for line in under("Function")}
    check(set(times) == {"process_message_batch", "upload_object_to_targets"} and
          all(0 < seconds < 60 for seconds in times.values()), f"times: {times}")


def main() -> None:
    with World("telemetry") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        put_all(source.s3, "data", things(60))
        stores = {"source": source, "target": target}

        step("once")
        plain = world.config(stores, [rule()], "plain.yaml", state="sqlite:p.db", queue="sqlite:p.db")
        config = world.config(stores, [rule()], metrics={"format": "emf", "namespace": "stack"})
        ran = world.run("replicate", "--config", config, "--once").expect(0)
        lines = figures(ran.stdout)
        for line in lines:
            [directive] = line["_aws"]["CloudWatchMetrics"]
            check(directive["Namespace"] == "stack", f"namespace of {line}")
            names = [metric["Name"] for metric in directive["Metrics"]] + directive["Dimensions"][0]
            check(names and all(name in line for name in names), f"names without figures: {line}")
        of_rule = [line for line in lines if "RuleId" in line]
        check(of_rule and all((line["SourceBucket"], line["DestinationBucket"], line["RuleId"]) ==
                              ("data", "copy", "main") for line in of_rule), f"rules: {lines}")
        check(summed(of_rule, "ObjectsProcessed") == 60, f"objects: {of_rule}")
        check(summed(of_rule, "OperationsFailedReplication") == 0, f"failed: {of_rule}")
        check(any(line.get("ReplicationLatency", -1) >= 0 for line in of_rule), f"lag: {of_rule}")
        packed = [line for line in lines if "OriginalSize" in line and "Site" in line]
        check(summed(packed, "OriginalSize") > summed(packed, "CompressedSize") > 0,
              f"packed: {packed}")
        check(packed[0]["SourcePrefix"] == "root" and packed[0]["CompressionRatio"] > 1,
              f"packed: {packed}")
        as_compressor(lines)
        check(any("BacklogMessages" in line and "BacklogPerTask" in line for line in lines),
              f"backlog: {lines}")

        step("none unasked")
        ran = world.run("replicate", "--config", plain, "--once").expect(0)
        check(not figures(ran.stdout + ran.stderr), "figures that nobody asked for")

        step("stopped before its first minute")
        source.s3.put_object(Bucket="data", Key="late", Body=b"late")
        process = world.start("replicate", "--config", config)
        wait_until(lambda: target.s3.list_objects_v2(Bucket="copy", Prefix="late")["KeyCount"], 60,
                   "the object has arrived")
        process.kill(signal.SIGTERM)
        lines = figures(process.wait(60).expect(143).stdout)
        check(summed(lines, "ObjectsProcessed") == 1, f"the last line: {lines}")
        check_equal(source, target)
        traces(world, source, target, stores)
        step("ok")


if __name__ == "__main__":
    main()
