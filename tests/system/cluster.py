"""cluster.py [KILLS [PROCESSES [DOWN_SECONDS [WHERE]]]]: many processes, one rule, over PostgreSQL.

PROCESSES sources and as many targets, each a process that shares nothing with the others but the
database and the stores; one of them after the other is killed while the bucket changes, and the
database is away for a while in the middle. A kill takes 3 s on average. With WHERE `dynamodb` the
state lies in DynamoDB Local; with `sqs` the queue lies in ElasticMQ as well. Those two stay, as they
hold what they have in memory.

Without it: two processes would do the same work, or each take the other's for done, and nobody would
know before the first machine of a cluster dies.
"""

import os
import random
import signal
import sys
import threading
import time

import boto3

from harness import (REGION, SECRET_ACCESS_KEY, World, check, check_equal, check_no_uploads,
                     check_staging_empty, differences, free_port, keys_of, make_buckets, rule,
                     sizes_of, staged, step, wait_until)
from kill9 import Watcher, Writer, listener

# Of DynamoDB alone; Local takes letters and digits. The stores have keys of their own.
KEYS = {"AWS_ACCESS_KEY_ID": "longhaultest"}


class Queues:
    """What lies in SQS, as the server counts it."""

    def __init__(self, endpoint: str):
        self.place = f"sqs:cluster?region={REGION}&endpoint={endpoint}"
        self.client = boto3.client("sqs", endpoint_url=endpoint, region_name=REGION,
                                   aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
                                   aws_secret_access_key=SECRET_ACCESS_KEY)

    def counts(self) -> dict[str, int]:
        """The messages of each queue that has some, in whatever condition."""
        found = {}
        for url in self.client.list_queues().get("QueueUrls", []):
            attributes = self.client.get_queue_attributes(
                QueueUrl=url, AttributeNames=["All"])["Attributes"]
            found[url.rsplit("/", 1)[1]] = sum(
                int(attributes[f"ApproximateNumberOfMessages{what}"])
                for what in ("", "NotVisible", "Delayed"))
        check(len(found) > 3, f"queues: {found}")
        return {name: count for name, count in found.items() if count}


def main(kills: int, processes: int, down_seconds: float, where: str) -> None:
    seed = int(os.environ.get("LONGHAUL_SEED", random.randrange(10**6)))
    step(f"{kills} kills, {processes} + {processes} processes, {where}, LONGHAUL_SEED={seed}")
    random_ = random.Random(seed)
    with World("cluster") as world:
        database = None if where == "sqs" else world.serve("postgres")
        queues = Queues(world.serve("elasticmq").endpoint) if where == "sqs" else None
        port = free_port()
        with listener(port):
            source = world.serve("versitygw", "source",
                                 webhook=f"http://127.0.0.1:{port}/v1/events")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        stores = {"source": source, "target": target}
        rules = [rule(deletes=True, intake={"webhook": True, "listing": "5s"},
                      batch={"linger": "500ms"})]
        if queues:
            place = {"queue": queues.place}
        else:
            place = {"queue": database.endpoint, "state": database.endpoint}
        if where != "postgres":
            place["state"] = f"dynamodb:cluster?endpoint={world.serve('dynamodb').endpoint}"

        def config(number: int):
            # Events reach the first source alone; of all others it hears from the queue.
            listens = f"127.0.0.1:{port if number == 0 else free_port()}"
            return world.config(stores, rules, f"source-{number}.yaml", listen=listens, **place)

        target_rules = [rule(deletes=True, intake={"listing": "5s"}, batch={"linger": "500ms"})]
        target_config = world.config(stores, target_rules, "target.yaml", **place)
        configs = {f"source {number}": config(number) for number in range(processes)}
        configs |= {f"target {number}": target_config for number in range(processes)}

        # What is missing is named with the command that makes it.
        missing = world.run("replicate", "--config", target_config, "--once", env=KEYS)
        missing.expect(2, "longhaul setup")
        printed = world.run("setup", "--print", "--config", target_config, env=KEYS).expect(0)
        check(("create-queue" if queues else "CREATE TABLE queue_messages") in printed.stdout,
              f"setup --print says {printed.stdout}")
        if database:
            # Whoever runs the SQL has nothing left to make.
            database.sql(printed.stdout)
            world.run("setup", "--config", target_config, env=KEYS).expect(0, "nothing was missing")
            database.sql("DROP SCHEMA longhaul CASCADE")
        world.run("setup", "--config", target_config, env=KEYS).expect(
            0, "is there" if queues else "are there")
        world.run("setup", "--config", target_config, env=KEYS).expect(0, "nothing was missing")

        if database:
            # Targets have the rights that are printed for them, and no others.
            grants = printed.stdout.split("processes with the target role alone:\n-- ")[1]
            grants = grants.splitlines()[0]
            check("DELETE ON longhaul.queue" not in grants, f"a target may take messages: {grants}")
            database.sql(f"CREATE ROLE carrier LOGIN PASSWORD '{SECRET_ACCESS_KEY}'; "
                         + grants.replace('"longhaul"', '"carrier"'))
            as_carrier = {what: where_.replace("//longhaul:", "//carrier:")
                          for what, where_ in place.items()}
            of_targets = world.config(stores, target_rules, "carrier.yaml", **as_carrier)
            configs |= {f"target {number}": of_targets for number in range(processes)}
            # Of a version that is still to come nobody works on the tables, nor changes them.
            database.sql("UPDATE schema_versions SET version = 99 WHERE part = 'queue'")
            for command in (("replicate", "--once"), ("setup",)):
                world.run(*command, "--config", target_config, env=KEYS).expect(2, "newer longhaul")
            database.sql("UPDATE schema_versions SET version = 1 WHERE part = 'queue'")

        members: dict[str, object] = {}

        def start(name: str) -> None:
            members[name] = world.start("replicate", "--config", configs[name], "--roles",
                                        name.split()[0], env=KEYS)

        for name in configs:
            start(name)
        def seen() -> set[tuple[int, str]]:
            lines = world.run("rules", "status", "--json", "--config", target_config,
                              env=KEYS).lines()
            return {(line["pid"], line["roles"]) for line in lines if line["event"] == "member"}

        expected = {(process.pid, name.split()[0]) for name, process in members.items()}
        wait_until(lambda: seen() == expected, 60, "rules status names all members", every=1)

        stop = threading.Event()
        writers = [Writer(source, number, seed + number, stop) for number in range(3)]
        watcher = Watcher(target, stop)
        for thread in [*writers, watcher]:
            thread.start()
        # What a killed process had received over SQS comes back after the time for which it was hidden:
        # where the first kills hit all who had something, nothing is applied before that, and then there
        # are more, until enough has been applied to prove anything.
        number = 0
        while number < kills or (watcher.reads <= 20 and number < 5 * kills):
            time.sleep(min(12, max(0.5, random_.expovariate(1 / 3))))
            if database and number == kills // 2:
                database.stop(kill=True)
                step(f"the database is away for {down_seconds} s")
                time.sleep(down_seconds)
                database.start()
            name = random_.choice(list(members))
            process = members[name]
            if not process.running():
                process.wait(5).expect(-signal.SIGKILL)  # It ended by itself: shows why.
            process.kill()
            process.wait(10)
            start(name)
            check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
            number += 1
        stop.set()
        for thread in [*writers, watcher]:
            thread.join(30)
        step(f"{sum(w.operations for w in writers)} writes, {watcher.reads} looks at the target, "
             f"{len(keys_of(target.s3, 'copy'))} keys there")
        check(watcher.reads > 20, "too little was applied to prove anything")

        calm = 0  # Looks in a row at which nothing was left to do.

        def settled() -> bool:
            nonlocal calm
            calm = calm + 1 if at_rest() else 0
            # What a killed process held, or a comparison found before, comes into the queue later.
            return calm >= 3 and not differences(source.s3, "data", target.s3, "copy")

        def at_rest() -> bool:
            for name, process in members.items():
                check(process.running(), f"{name} ended: {process.output()[-3000:]}")
            if staged(target) or sizes_of(source.s3, "data") != sizes_of(target.s3, "copy"):
                return False
            status = world.run("rules", "status", "--json", "--config", target_config, env=KEYS)
            # (What the dead had in hand they are said to have until they are forgotten.)
            return not any(line.get("queue_messages") for line in status.lines())

        wait_until(settled, 600, "both sides equal and staging empty", every=4)
        for process in members.values():  # Over SQS each waits for the answer to its last question.
            process.kill(signal.SIGTERM)
        for name, process in members.items():
            finished = process.wait(60)
            check(finished.code in (0, 143), f"{name}: exit {finished.code}: {finished.stderr[-2000:]}")
        if queues:
            # Nothing was too much for anybody either: no dead letters.
            check(not queues.counts(), f"left in the queues: {queues.counts()}")
        world.run("check", "--config", target_config, "source:data/", "target:copy/",
                  env=KEYS).expect(0)
        count = check_equal(source, target)
        check_staging_empty(target)
        check_no_uploads(target, "copy", "staging")
        check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
        step(f"ok: {count} objects equal after {number} kills")


if __name__ == "__main__":
    words = sys.argv[1:]
    arguments = [float(word) for word in words[:3]]
    main(int(arguments[0]) if arguments else 100, int(arguments[1]) if len(arguments) > 1 else 2,
         arguments[2] if len(arguments) > 2 else 5, words[3] if len(words) > 3 else "postgres")
