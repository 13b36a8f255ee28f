"""telemetry.py: `metrics: emf` gives the figures of a run out as CloudWatch reads them.

Without it: figures of the right form might be of the wrong things, or come where nobody asked.
"""

import json
import signal

from harness import World, check, check_equal, make_buckets, put_all, rule, step, things, wait_until


def figures(output: str) -> list[dict]:
    return [json.loads(line) for line in output.splitlines() if line.startswith('{"_aws":')]


def summed(lines: list[dict], name: str) -> float:
    return sum(line.get(name, 0) for line in lines)


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
        packed = [line for line in lines if "OriginalSize" in line]
        check(summed(packed, "OriginalSize") > summed(packed, "CompressedSize") > 0,
              f"packed: {packed}")
        check(packed[0]["SourcePrefix"] == "root" and packed[0]["CompressionRatio"] > 1,
              f"packed: {packed}")
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
        step("ok")


if __name__ == "__main__":
    main()
