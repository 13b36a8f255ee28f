"""dynamodb_state.py KIND: rules whose state lies in a table of DynamoDB (KIND: moto or dynamodb).

Without it: a table made by `longhaul setup`, or by the commands that it prints, would never have carried
a rule, and who starts without one would be told something that does not help.
"""

import os
import subprocess
import sys

import boto3

from harness import (REGION, SECRET_ACCESS_KEY, Thing, World, check, check_equal,
                     check_staging_empty, keys_of, make_buckets, put_all, rule, step)

KEY_ID = "longhaultest"  # DynamoDB Local takes letters and digits alone.
KEYS = {"AWS_ACCESS_KEY_ID": KEY_ID, "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY}


def tables_of(endpoint: str):
    return boto3.client("dynamodb", endpoint_url=endpoint, region_name=REGION,
                        aws_access_key_id=KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY)


def check_table(tables, name: str, billing: str) -> None:
    table = tables.describe_table(TableName=name)["Table"]
    found = table.get("BillingModeSummary", {}).get("BillingMode", "PROVISIONED")
    check(found == billing, f"{name} is {found}, not {billing}")
    ttl = tables.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    check(ttl["TimeToLiveStatus"] in ("ENABLED", "ENABLING") and ttl["AttributeName"] == "ttl",
          f"{name}: TTL is {ttl}")


def make_by_hand(commands: str) -> None:
    """Carries out what `setup --print` has printed."""
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    done = subprocess.run(["bash", "-euc", commands], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "PATH": path, **KEYS, "AWS_PAGER": ""})
    check(done.returncode == 0, f"the printed commands fail: {done.stderr}\n{commands}")


def main(kind: str) -> None:
    with World("dynamodb-state") as world:
        server = world.serve(kind)
        tables = tables_of(server.endpoint)
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        runs = []

        def longhaul(*args, **env):
            runs.append(world.run(*args, env={**KEYS, **env}))
            return runs[-1]

        def config(table: str, place: str = "") -> str:
            return world.config({"source": source, "target": target},
                                [rule(deletes=True, batch={"linger": "100ms"})], f"{table}.yaml",
                                state=f"dynamodb:{table}{place}")

        here = f"?region={REGION}&endpoint={server.endpoint}"
        named = config("named", here)
        longhaul("replicate", "--once", "--config", named).expect(
            2, "is missing", f"longhaul setup --config {named}")
        printed = longhaul("setup", "--print", "--config", named).expect(0).stdout
        make_by_hand(printed)
        check_table(tables, "named", "PAY_PER_REQUEST")
        longhaul("setup", "--config", named).expect(0, "nothing was missing")

        # Found by the environment, provisioned.
        found = config("found")
        environment = {"AWS_ENDPOINT_URL_DYNAMODB": server.endpoint}
        longhaul("setup", "--config", found, "--read-capacity", "5", **environment).expect(
            2, "--write-capacity")
        longhaul("setup", "--config", found, "--read-capacity", "500", "--write-capacity", "400",
                 **environment).expect(0, "the table of the state is there")
        check_table(tables, "found", "PROVISIONED")
        longhaul("rules", "status", "--config", found, **environment).expect(0)
        step("two tables are there")

        put_all(source.s3, "data", [Thing(f"logs/{number:04}", b"x" * (number * 7))
                                    for number in range(500)])
        longhaul("replicate", "--once", "--config", named).expect(0)
        check_equal(source, target)
        for number in range(0, 500, 7):
            source.s3.delete_object(Bucket="data", Key=f"logs/{number:04}")
        source.s3.put_object(Bucket="data", Key="logs/0001", Body=b"another state")
        longhaul("replicate", "--once", "--config", named).expect(0)
        check(check_equal(source, target) == 500 - 72, "not all deletes were carried")
        check_staging_empty(target)
        # A tombstone outlives its process: what was deleted stays so for another one.
        longhaul("replicate", "--once", "--config", named).expect(0)
        check(len(keys_of(target.s3, "copy")) == 500 - 72, "a deleted key came back")
        rows = tables.scan(TableName="named", Select="COUNT", ConsistentRead=True)["Count"]
        check(rows > 72, f"only {rows} rows in the table")
        step(f"replicated; {rows} rows in the table")

        # A newer longhaul was here.
        tables.put_item(TableName="named", Item={"p": {"B": b"v"}, "k": {"B": b"state"},
                                                 "version": {"N": "2"}})
        for command in (("replicate", "--once"), ("setup",)):
            longhaul(*command, "--config", named).expect(2, "newer longhaul")
        # A table of somebody else.
        tables.create_table(TableName="theirs", BillingMode="PAY_PER_REQUEST",
                            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
                            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}])
        theirs = config("theirs", here)
        for command in (("replicate", "--once"), ("setup",)):
            longhaul(*command, "--config", theirs).expect(2, "no table of longhaul")
        for ran in runs:
            check(SECRET_ACCESS_KEY not in ran.stdout + ran.stderr, f"{ran.args} tells a secret")
        step("ok")


if __name__ == "__main__":
    main(sys.argv[1])
