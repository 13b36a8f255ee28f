"""sqs.py: a rule whose queue is in SQS (ElasticMQ), from setup to the dead letters; and events of S3
from a queue of somebody else.

Without it: what SqsQueue promises in the suites might never reach a process: a queue that nobody
made would be an endless retry, and what a process held when it was stopped would be hidden for half
a minute.
"""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.parse

import boto3

from harness import (ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, World, check, check_equal,
                     check_staging_empty, differences, make_buckets, put_all, rule, staged, step,
                     things, wait_until)
from servers import cache_dir

QUEUES = ["haul-dead-letters", "haul-main-backlog", "haul-main-events", "haul-main-segments",
          "haul-migrations-find", "haul-migrations-work"]


AWS_ENVIRONMENT = {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
                   "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
                   "PATH": f"{cache_dir() / 'venv/bin'}:{os.environ['PATH']}"}


def run_in_shell(script: str) -> None:
    subprocess.run(["sh", "-eu"], input=script, text=True, check=True, env=AWS_ENVIRONMENT,
                   stdout=subprocess.DEVNULL, timeout=300)


def command_of(problem: str, endpoint: str) -> str:
    """The commands of the AWS CLI that an error gives, for this server."""
    return re.search(r"aws sqs .*", problem).group().replace("aws sqs",
                                                             f"aws --endpoint-url {endpoint} sqs")


def event(key: str, name="ObjectCreated:Put") -> str:
    return json.dumps({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventTime": "2026-03-01T08:30:00Z",
        "eventName": name, "s3": {"bucket": {"name": "data"},
                                  "object": {"key": urllib.parse.quote_plus(key)}}}]})


def sns(key: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": event(key)})


def bridge(key: str) -> str:
    return json.dumps({
        "version": "0", "detail-type": "Object Created", "source": "aws.s3",
        "time": "2026-03-01T08:30:00Z",
        "detail": {"bucket": {"name": "data"}, "object": {"key": key}, "reason": "PutObject"}})


def cluster_job(key: str) -> str:
    return json.dumps({"Src_bucket": "data", "Src_key": key, "Des_bucket": "b", "Des_key": f"p/{key}",
                       "Size": 7, "versionId": "null"})


def s3trans_job(key: str) -> str:
    return json.dumps({"Records": [{
        "EventVersion": "2.1", "EventSource": "aws:s3", "AwsRegion": REGION,
        "EventTime": "2026-03-01T09:30:00Z", "EventName": "ObjectCreated:Put",
        "S3": {"Bucket": {"Name": "data"}, "Object": {"Key": key, "Size": 7}}}], "Event": ""})


def hub_job(key: str) -> str:
    return json.dumps({"key": key, "size": 7})


def hub_part(key: str) -> str:
    return ('{"objectKey":"' + key + '","partNumber":7,"totalPartsCount":2048,"uploadID":"u",'
            '"bodyRange":"bytes=31457280-36700159"}')


def has(server, key: str) -> bool:
    listed = server.s3.list_objects_v2(Bucket="copy", Prefix=key)
    return any(found["Key"] == key for found in listed.get("Contents", []))


def main() -> None:
    with World("sqs") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        queues = world.serve("elasticmq")
        make_buckets(source, target)
        sqs = boto3.client("sqs", endpoint_url=queues.endpoint, region_name=REGION,
                           aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY)
        stores = {"source": source, "target": target}
        # Many messages, so that some are held at any time.
        rules = [rule(intake={"listing": "2s"}, batch={"count": 20})]
        config = world.config(stores, rules,
                              queue=f"sqs:haul?region={REGION}&endpoint={queues.endpoint}")

        def names() -> list[str]:
            return sorted(url.rsplit("/", 1)[1] for url in sqs.list_queues().get("QueueUrls", []))

        def url(name: str) -> str:
            return sqs.get_queue_url(QueueName=name)["QueueUrl"]

        def count(name: str, what: str) -> int:
            attribute = f"ApproximateNumberOfMessages{what}"
            return int(sqs.get_queue_attributes(QueueUrl=url(name), AttributeNames=[attribute])
                       ["Attributes"][attribute])

        # What is missing is named with the command that makes it.
        missing = world.run("replicate", "--config", config, "--once")
        missing.expect(2, "haul-dead-letters is missing", f"longhaul setup --config {config}")

        # The commands of the AWS CLI make the same.
        printed = world.run("setup", "--print", "--only", "queue", "--config", config).expect(0)
        run_in_shell(printed.stdout)
        check(names() == QUEUES, f"setup --print makes {names()}")
        world.run("setup", "--config", config).expect(0, "nothing was missing")
        for name in QUEUES:
            sqs.delete_queue(QueueUrl=url(name))
        world.run("setup", "--config", config).expect(0, "haul-main-events is there")
        check(names() == QUEUES, f"setup makes {names()}")

        step("killed and stopped in the middle")
        put_all(source.s3, "data", things(300))
        outputs = []
        for number in (signal.SIGKILL, signal.SIGTERM):
            process = world.start("replicate", "--config", config)
            wait_until(lambda: '"replicating"' in process.output()
                       and target.s3.list_objects_v2(Bucket="copy")["KeyCount"] > 0, 120,
                       "something has been carried")
            process.kill(number)
            finished = process.wait(60)
            outputs.append(finished.stderr + finished.stdout)
            if number == signal.SIGTERM:
                finished.expect(143)
        process = world.start("replicate", "--config", config)
        wait_until(lambda: not staged(target)
                   and not differences(source.s3, "data", target.s3, "copy"), 300,
                   "both sides equal and staging empty", every=2)
        wait_until(lambda: all(count(name, what) == 0 for name in QUEUES
                               for what in ("", "NotVisible", "Delayed")), 120, "all queues empty")
        # (What was killed has hidden its messages; they may have made archives since.)
        wait_until(lambda: not staged(target), 120, "staging is empty")

        step("a message that nobody understands")
        sqs.send_message(QueueUrl=url("haul-main-events"), MessageBody="no hint at all")
        wait_until(lambda: count("haul-dead-letters", "") == 1, 60, "it is among the dead letters")
        letters = world.run("rules", "dead-letters", "--config", config).expect(0, "no hint at all")
        check("nobody understands it: not a message of hints" in letters.stdout, letters.stdout)
        check(count("haul-dead-letters", "") == 1, "looking at it has taken it")
        process.kill(signal.SIGTERM)
        finished = process.wait(60)
        finished.expect(143)
        outputs.append(finished.stderr + finished.stdout)
        check_equal(source, target)
        check_staging_empty(target)

        step("events from a queue that is not ours")
        place = f"app-events?region={REGION}&endpoint={queues.endpoint}"
        rules = [rule(intake={"listing": "off", "sqs": place}, deletes=True)]
        config = world.config(stores, rules, "intake.yaml")
        missing = world.run("replicate", "--config", config).expect(2, "create-queue")
        run_in_shell(command_of(missing.stderr, queues.endpoint))
        missing = world.run("replicate", "--config", config).expect(2, "no dead letters")
        run_in_shell(command_of(missing.stderr, queues.endpoint))
        process = world.start("replicate", "--config", config)
        # The comparison at the start is over when what it alone can find is there.
        source.s3.put_object(Bucket="data", Key="told by nobody", Body=b"first")
        sqs.send_message(QueueUrl=url("app-events"), MessageBody=event("told by nobody"))
        wait_until(lambda: has(target, "told by nobody"), 120, "the first event has been followed")
        bodies = {"plain": event, "sns": sns, "bridge": bridge, "cluster": cluster_job,
                  "s3trans": s3trans_job, "hub": hub_job, 'a "part"': hub_part}
        for name, shape in bodies.items():
            source.s3.put_object(Bucket="data", Key=f"{name} a+b%41.txt", Body=name.encode())
            sqs.send_message(QueueUrl=url("app-events"), MessageBody=shape(f"{name} a+b%41.txt"))
        source.s3.delete_object(Bucket="data", Key="told by nobody")
        sqs.send_message(QueueUrl=url("app-events"),
                         MessageBody=event("told by nobody", "ObjectRemoved:Delete"))
        sqs.send_message(QueueUrl=url("app-events"), MessageBody=json.dumps(
            {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "data"}))
        sqs.send_message(QueueUrl=url("app-events"), MessageBody="nothing that S3 sends")
        wait_until(lambda: not has(target, "told by nobody")
                   and all(has(target, f"{name} a+b%41.txt") for name in bodies), 120,
                   "every event has been followed")
        wait_until(lambda: count("app-events", "") + count("app-events", "NotVisible") == 0, 60,
                   "the queue is empty")
        [letter] = sqs.receive_message(QueueUrl=url("app-events-dead-letters"), WaitTimeSeconds=5,
                                       MessageAttributeNames=["All"])["Messages"]
        check(letter["Body"] == "nothing that S3 sends"
              and "not JSON" in letter["MessageAttributes"]["reason"]["StringValue"], str(letter))
        process.kill(signal.SIGTERM)
        finished = process.wait(60).expect(143)
        outputs.append(finished.stderr + finished.stdout)
        check(not any(SECRET_ACCESS_KEY in output for output in outputs), "a secret was logged")
        step("ok")


if __name__ == "__main__":
    sys.exit(main())
