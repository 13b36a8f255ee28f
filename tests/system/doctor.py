"""doctor.py: `longhaul iam-policy` prints the rights that are needed and no others, and `longhaul
doctor` names what is missing.

Without it: a policy might lack what a role asks for once a week, or hold what nobody needs; and a
doctor that says "all is well" could have looked at nothing. Behind proxies that enforce policies the
whole policy lets everything work, and without any one of its statements something is denied.
"""

import datetime
import json
import re
import signal

import boto3

from harness import (ACCESS_KEY_ID, KMS_KEY_ID, REGION, SECRET_ACCESS_KEY, World, check,
                     check_staging_empty, check_no_uploads, differences, free_port, keys_of, put_all,
                     rule, step, store_of, things, wait_until)
from inventory import FOLDER, Inventory
from policed_proxy import ACCOUNT, PolicedProxy


def policies(world: World, config, *words: str) -> dict[str, dict]:
    """By whose they are."""
    printed = world.run("iam-policy", config, "--json", "--account", ACCOUNT, *words).expect(0)
    lines = printed.lines()
    check(lines[-1]["event"] == "summary", f"no summary: {lines[-1]}")
    return {line["identity"]: json.loads(line["document"]) for line in lines[:-1]}


def doctor(world: World, config, code: int, *words: str, **options) -> list[dict]:
    ran = world.run("doctor", config, "--json", "--timeout", "5s", *words, **options).expect(code)
    check(SECRET_ACCESS_KEY not in ran.stdout + ran.stderr, "a secret was printed")
    lines = ran.lines()
    check(lines[-1]["event"] == "summary", f"no summary: {lines[-1]}")
    return [line for line in lines if line["event"] == "check"]


def failed(checks: list[dict]) -> list[dict]:
    return [line for line in checks if line["state"] == "failed"]


def without_each(world: World, config, proxies: dict[str, PolicedProxy], whole: dict[str, dict],
                 *words: str) -> None:
    """With any one statement removed something is denied, and the doctor names it."""
    for identity, policy in whole.items():
        proxy = proxies[identity]
        for removed in policy["Statement"]:
            proxy.policy = {"Statement": [one for one in policy["Statement"] if one != removed]}
            proxy.denied.clear()
            found = failed(doctor(world, config, 1, *words))
            check(proxy.denied, f"without {removed} nothing was denied")
            named = [line for line in found if line["action"] in removed["Action"]]
            check(named, f"without {removed} the doctor says {found}")
            check(all(line["remedy"] for line in found), f"a failure has no remedy: {found}")
        proxy.policy = policy


def s3(world: World) -> None:
    source = world.serve("versitygw", "source")
    target = world.serve("minio", "target")
    source.s3.create_bucket(Bucket="data")
    for bucket in ("copy", "staging"):
        target.s3.create_bucket(Bucket=bucket)
    # Only then the rights to versions are needed.
    target.s3.put_bucket_versioning(Bucket="staging",
                                    VersioningConfiguration={"Status": "Enabled"})
    put_all(source.s3, "data", things(40, prefix="logs/"))
    source.s3.put_object(Bucket="data", Key="logs/large", Body=b"0123456789abcdef" * 700_000)
    source.s3.put_object(Bucket="data", Key="other/secret", Body=b"x")
    proxies = {"keys of store source": PolicedProxy(source.endpoint),
               "keys of store target": PolicedProxy(target.endpoint)}
    stores = {name: store_of(proxies[f"keys of store {name}"].endpoint)
              for name in ("source", "target")}
    one = rule("source:data/logs/", "target:copy/in/", "target:staging/", deletes=True)
    one["targets"][0].update(kms_key=KMS_KEY_ID, acl="bucket-owner-full-control")
    config = world.config(stores, [one])

    def enforce(of: dict[str, dict]) -> None:
        check(sorted(of) == sorted(proxies), f"policies of {sorted(of)}")
        for identity, policy in of.items():
            proxies[identity].policy = policy
            proxies[identity].denied.clear()

    step("a policy for both roles")
    whole = policies(world, config)
    enforce(whole)
    checks = doctor(world, config, 0)
    check(not failed(checks) and len(checks) > 20, f"the doctor says {checks}")
    check(not keys_of(target.s3, "copy"), f"the doctor has written {keys_of(target.s3, 'copy')}")
    check(not keys_of(target.s3, "staging"), f"left in staging: {keys_of(target.s3, 'staging')}")
    versions = target.s3.list_object_versions(Bucket="staging")
    check(not versions.get("Versions") and not versions.get("DeleteMarkers"),
          f"the doctor has left versions: {versions}")
    check_no_uploads(target, "copy", "staging")
    world.run("replicate", "--config", config, "--once").expect(0)
    source.s3.delete_object(Bucket="data", Key="logs/large")
    source.s3.put_object(Bucket="data", Key="logs/00/obj-000000.log", Body=b"new")
    world.run("replicate", "--config", config, "--once").expect(0)
    for identity, proxy in proxies.items():
        check(not proxy.denied, f"the policy of {identity} lacks {proxy.denied}")
    found = differences(source.s3, "data", target.s3, "copy", "logs/", "in/")
    check(not found, f"different: {found[:5]}")
    check_staging_empty(target)

    step("without any one statement of it")
    without_each(world, config, proxies, whole)

    step("a policy for each role")
    source.s3.put_object(Bucket="data", Key="logs/last", Body=b"last")
    of_roles = {}
    for role in ("source", "target"):
        of_roles[role] = policies(world, config, "--role", role)
        for identity, proxy in proxies.items():
            proxy.policy = of_roles[role].get(identity, {"Statement": []})
            proxy.denied.clear()
        if role == "source":
            check(not failed(doctor(world, config, 0, "--roles", role)), "the doctor of the source")
        world.run("replicate", "--config", config, "--once", "--roles", role).expect(0)
        denied = [proxy.denied for proxy in proxies.values() if proxy.denied]
        check(not denied, f"the policy of the {role} role lacks {denied}")
    actions = {action for policy in of_roles["source"].values() for one in policy["Statement"]
               for action in one["Action"] if any("copy" in name for name in one["Resource"])}
    check(actions == {"s3:ListBucket", "s3:GetObject"}, f"the source role may {actions} at targets")
    check("last" in str(keys_of(target.s3, "copy", "in/last")), "the last object has not arrived")

    step("what is not a right")
    for proxy in proxies.values():
        proxy.policy = None
    for name, fields, says in (
            ("bucket.yaml", {"to": "target:no-such-bucket/"}, "create it"),
            ("staging.yaml", {"staging": "target:no-such-staging/"}, "create it")):
        wrong = world.config(stores, [rule("source:data/logs/", **fields)], name)
        found = failed(doctor(world, wrong, 1))
        check(any(says in line["remedy"] for line in found), f"{name}: {found}")
    # HEAD has no body that could say it; each server has words of its own in others.
    for name, server in (("source", source), ("target", target)):
        for wrong_keys in ({"access_key_id": "NOBODYHASTHISKEY"}, {"secret_access_key": "x" * 40}):
            wrong = world.config({**stores, name: store_of(server.endpoint, **wrong_keys)}, [one],
                                 "keys.yaml")
            found = [line for line in failed(doctor(world, wrong, 1))
                     if line["what"] == "reach the bucket"]
            check(found and all("check the access key" in line["remedy"] and not line["action"]
                                for line in found), f"{wrong_keys} at {name}: {found}")
    nobody = store_of(f"http://127.0.0.1:{free_port()}")
    away = world.config({"source": nobody, "target": stores["target"]}, [one], "away.yaml")
    found = failed(doctor(world, away, 1))
    check(any(line["place"].startswith("source") and "endpoint" in line["remedy"]
              for line in found), f"a store that is away: {found}")
    text = world.run("doctor", config).expect(0, "list objects (s3:ListBucket)").stdout
    check("nothing failed" in text, text)


def locks(world: World) -> None:
    """What Object Lock of replicas needs is in the policy and tried: without the rights to see a lock
    an object looks as if it had none, and its replica gets none."""
    step("locks")
    source = world.serve("minio", "locked-source")
    target = world.serve("minio", "locked-target")
    source.s3.create_bucket(Bucket="data", ObjectLockEnabledForBucket=True)
    target.s3.create_bucket(Bucket="copy", ObjectLockEnabledForBucket=True)
    target.s3.create_bucket(Bucket="staging")
    until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=2)
    source.s3.put_object(Bucket="data", Key="both", Body=b"both", ObjectLockMode="GOVERNANCE",
                         ObjectLockRetainUntilDate=until, ObjectLockLegalHoldStatus="ON")
    proxies = {"keys of store source": PolicedProxy(source.endpoint),
               "keys of store target": PolicedProxy(target.endpoint)}
    one = rule()
    one["targets"][0]["object_lock"] = True
    config = world.config(
        {name: store_of(proxies[f"keys of store {name}"].endpoint) for name in ("source", "target")},
        [one], "locks.yaml", queue="sqlite:locks.db", state="sqlite:locks.db")
    whole = policies(world, config)
    for identity, proxy in proxies.items():
        proxy.policy = whole[identity]
    check(not failed(doctor(world, config, 0)), "the doctor of the whole policy")
    world.run("replicate", "--config", config, "--once").expect(0)
    for identity, proxy in proxies.items():
        check(not proxy.denied, f"the policy of {identity} lacks {proxy.denied}")
    head = target.s3.head_object(Bucket="copy", Key="both")
    check((head.get("ObjectLockMode"), head.get("ObjectLockLegalHoldStatus")) ==
          ("GOVERNANCE", "ON"), f"the replica has {head}")
    reads, writes = ({f"s3:{word}Object{part}" for part in ("Retention", "LegalHold")}
                     for word in ("Get", "Put"))
    for identity, actions in (("keys of store source", reads),
                              ("keys of store target", reads | writes)):
        proxy = proxies[identity]
        for action in sorted(actions):
            proxy.policy = {"Statement": [
                {**one, "Action": [name for name in one["Action"] if name != action]}
                for one in whole[identity]["Statement"]]}
            proxy.denied.clear()
            found = failed(doctor(world, config, 1))
            check(any(denied == action for denied, _ in proxy.denied),
                  f"without {action} of the {identity} nothing was denied: {proxy.denied}")
            check(any(line["action"] == action and line["remedy"] for line in found),
                  f"without {action} of the {identity} the doctor says {found}")
        proxy.policy = whole[identity]


def inventory(world: World) -> None:
    """A rule that compares by an inventory: its rights are in the policy, and it is read."""
    step("an inventory")
    source = world.serve("versitygw", "listed-source")
    target = world.serve("minio", "listed-target")
    for bucket in ("data", "reports"):
        source.s3.create_bucket(Bucket=bucket)
    for bucket in ("copy", "staging"):
        target.s3.create_bucket(Bucket=bucket)
    source.s3.put_object(Bucket="data", Key="logs/a", Body=b"bytes")
    proxies = {"keys of store source": PolicedProxy(source.endpoint),
               "keys of store target": PolicedProxy(target.endpoint)}
    config = world.config(
        {name: store_of(proxies[f"keys of store {name}"].endpoint) for name in ("source", "target")},
        [rule("source:data/logs/", "target:copy/in/",
              intake={"inventory": f"source:reports/{FOLDER}"})],
        "inventory.yaml", queue="sqlite:inventory.db", state="sqlite:inventory.db")
    whole = policies(world, config)
    for identity, proxy in proxies.items():
        proxy.policy = whole[identity]

    def of_inventory(code: int) -> dict[str, dict]:
        """What is said of it, by what was looked at."""
        return {line["what"]: line for line in doctor(world, config, code)
                if line["place"].startswith("inventory ")}

    found = of_inventory(0)["find the newest inventory"]
    check(found["state"] == "warning" and "within 48 hours" in found["found"],
          f"before the first one: {found}")
    deliveries = Inventory(source)
    now = datetime.datetime.now(datetime.timezone.utc)
    deliveries.deliver(now - datetime.timedelta(days=9), {"logs/a": deliveries.etag("logs/a")})
    found = of_inventory(0)["find the newest inventory"]
    check(found["state"] == "warning" and "older than a week" in found["found"], f"old: {found}")
    data = deliveries.deliver(now, {"logs/a": deliveries.etag("logs/a")})
    lines = of_inventory(0)
    check({"find the newest inventory", "read its manifest", "read its rows"} <= set(lines) and
          all(line["state"] == "ok" for line in lines.values()), f"of the whole policy: {lines}")
    world.run("replicate", "--config", config, "--once").expect(0)
    for identity, proxy in proxies.items():
        check(not proxy.denied, f"the policy of {identity} lacks {proxy.denied}")
    check(keys_of(target.s3, "copy") == ["in/a"], f"at the target: {keys_of(target.s3, 'copy')}")

    identity = "keys of store source"
    statements = [one for one in whole[identity]["Statement"] if one["Sid"].startswith("Inventory")]
    check(len(statements) == 2, f"statements of the inventory: {statements}")
    for removed in statements:
        proxy = proxies[identity]
        proxy.policy = {"Statement": [one for one in whole[identity]["Statement"] if one != removed]}
        proxy.denied.clear()
        lines = of_inventory(1)
        check(proxy.denied, f"without {removed} nothing was denied")
        check(any(line["state"] == "failed" and line["action"] in removed["Action"] and
                  f"allow {line['action']} on" in line["remedy"] for line in lines.values()),
              f"without {removed} the doctor says {lines}")
        proxy.policy = whole[identity]

    for field, value, says in (("fileFormat", "Parquet", "only CSV can be read"),
                               ("sourceBucket", "other", "of the bucket 'other'")):
        deliveries.deliver(now, {}, **{field: value})
        found = of_inventory(1)["read its manifest"]
        check(found["state"] == "failed" and says in found["found"] and
              "put the inventory right" in found["remedy"], f"{field}: {found}")
    deliveries.deliver(now, {"logs/a": "0" * 32})
    source.s3.delete_object(Bucket="reports", Key=data)
    found = of_inventory(1)["read its rows"]
    check(found["state"] == "failed" and data in found["found"], f"without its data: {found}")


def aws(world: World) -> tuple:
    """Queue and state in AWS: their rights are in the policy, and tried. The servers."""
    source = world.serve("versitygw", "near")
    source.s3.create_bucket(Bucket="data")
    for bucket in ("copy", "staging"):
        source.s3.create_bucket(Bucket=bucket)
    moto = world.serve("moto")
    proxy = PolicedProxy(moto.endpoint)
    stores = {"source": source, "target": source}

    def config(endpoint: str, name: str):
        at = f"region={REGION}&endpoint={endpoint}"
        return world.config(stores, [rule(intake={"listing": "2s"})], name, queue=f"sqs:haul?{at}",
                            state=f"dynamodb:haul?{at}")

    path = config(proxy.endpoint, "aws.yaml")
    world.run("setup", "--config", path).expect(0)
    whole = {identity: policy for identity, policy in policies(world, path).items()
             if identity == "default credentials"}
    proxy.policy = whole["default credentials"]
    checks = doctor(world, path, 0)
    check({"sqs:DeleteMessage", "dynamodb:PutItem"} <= {line["action"] for line in checks},
          f"not tried: {checks}")
    source.s3.put_object(Bucket="data", Key="a", Body=b"a")
    world.run("replicate", "--config", path, "--once").expect(0)
    check(not proxy.denied, f"the policy lacks {proxy.denied}")
    for action in ("sqs:DeleteMessage", "sqs:ChangeMessageVisibility",
                   "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"):
        proxy.policy = {"Statement": [
            {**one, "Action": [name for name in one["Action"] if name != action]}
            for one in whole["default credentials"]["Statement"]]}
        found = failed(doctor(world, path, 1))
        check(any(line["action"] == action for line in found), f"without {action}: {found}")

    step("a clock")
    proxy.policy = None
    proxy.ahead = 300
    ran = world.run("doctor", path, "--json", "--timeout", "5s").expect(0)
    clocks = {line["place"]: line for line in ran.lines()
              if line["event"] == "check" and line["what"] == "clock" and line["state"] == "warning"}
    check(set(clocks) == {"sqs", "dynamodb"} and all(
        re.search(r"(299|30[01]) s ahead of this machine", line["found"]) and "NTP" in line["remedy"]
        for line in clocks.values()), f"of clocks it says {ran.stdout}")
    told = [line for line in (ran.stdout + ran.stderr).splitlines() if '"clock_off"' in line]
    check(len(told) == 1, f"told {told}")
    proxy.ahead = 0

    step("a process with the target role alone")
    of_target = policies(world, path, "--role", "target")["default credentials"]
    proxy.policy = of_target
    proxy.denied.clear()
    checks = doctor(world, path, 0, "--roles", "target")
    check(not failed(checks), "the doctor of the target")
    rights = {action for one in of_target["Statement"] for action in one["Action"]}
    of_queue = {action for action in rights if action.startswith("sqs:")}
    check(of_queue == {"sqs:GetQueueUrl", "sqs:GetQueueAttributes"}, f"{of_queue} only to count")
    # Nor is it told to ask for more.
    asked = {line["action"] for line in checks if line["action"].startswith("sqs:")}
    check(asked <= of_queue, f"the doctor of the target speaks of {asked}")
    proxy.policy = {"Statement": [one for one in of_target["Statement"] if one["Sid"] != "Queue"]}
    found = failed(doctor(world, path, 1, "--roles", "target"))
    check(found and not any(word in line["found"] for line in found
                            for word in ("ReceiveMessage", "DeleteMessage", "SendMessage")),
          f"offered too much: {found}")
    proxy.policy = of_target
    proxy.denied.clear()
    target = world.start("replicate", "--config", path, "--roles", "target")
    at_source = world.start("replicate", "--config", config(moto.endpoint, "source.yaml"),
                            "--roles", "source")
    source.s3.put_object(Bucket="data", Key="b", Body=b"b")
    wait_until(lambda: set(keys_of(source.s3, "copy")) == {"a", "b"}, 120, "the object is there")
    at_source.kill()
    target.kill(signal.SIGTERM)
    target.wait(60).expect(143)
    check(not proxy.denied, f"the policy of the target role lacks {proxy.denied}")
    return source, moto


def events(world: World, source, moto) -> None:
    """What `replicate` demands of somebody else's queue is tried, and named with what mends it."""
    step("a queue of events")
    proxy = PolicedProxy(moto.endpoint)
    sqs = boto3.client("sqs", endpoint_url=moto.endpoint, region_name=REGION,
                       aws_access_key_id=ACCESS_KEY_ID, aws_secret_access_key=SECRET_ACCESS_KEY)
    at = f"region={REGION}&endpoint={proxy.endpoint}"
    config = world.config({"source": source, "target": source},
                          [rule(intake={"sqs": f"app-events?{at}"})], "events.yaml",
                          queue="sqlite:events.db", state="sqlite:events.db")

    def refused(says: str) -> None:
        found = failed(doctor(world, config, 1))
        check(len(found) == 1 and says in found[0]["found"] and "command" in found[0]["remedy"],
              f"where {says}: {found}")
        # (`--once` compares, and takes no events.)
        world.run("replicate", "--config", config, timeout=60).expect(2, says)

    refused("the queue app-events is missing")
    url = sqs.create_queue(QueueName="app-events")["QueueUrl"]
    refused("has no dead letters")
    dead = sqs.create_queue(QueueName="app-events-dead-letters")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["QueueArn"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"RedrivePolicy": json.dumps(
        {"deadLetterTargetArn": arn["QueueArn"], "maxReceiveCount": "5"})})
    sqs.delete_queue(QueueUrl=dead)
    refused("the queue app-events-dead-letters is missing")
    sqs.create_queue(QueueName="app-events-dead-letters")
    whole = policies(world, config)
    identity = "default credentials"
    proxy.policy = whole[identity]
    checks = doctor(world, config, 0)
    few = [line for line in checks if line["what"] == "count of receives"]
    check(len(few) == 1 and few[0]["state"] == "warning" and "5 times" in few[0]["found"] and
          "maxReceiveCount of 100" in few[0]["remedy"], f"of five receives: {few}")
    # What only doing it would tell is said, too.
    check({"sqs:ReceiveMessage", "sqs:SendMessage"} <=
          {line["action"] for line in checks if line["state"] == "warning"}, f"warnings: {checks}")
    without_each(world, config, {identity: proxy}, {identity: whole[identity]})


def apart(world: World, source, moto) -> None:
    """What is wrong with the queue says nothing of the state."""
    step("a queue without its state")
    at = f"region={REGION}&endpoint={moto.endpoint}"
    stores = {"source": source, "target": source}
    config = world.config(stores, [rule()], "apart.yaml", queue=f"sqs:apart?{at}",
                          state="sqlite:apart.db",
                          alarms={"sns": f"arn:aws:sns:{REGION}:{ACCOUNT}:alarms"})
    checks = doctor(world, config, 1)
    check(any(line["action"] == "sns:Publish" and line["state"] == "warning" for line in checks),
          f"nothing is said of the topic: {checks}")
    check(any(line["place"] == "state" and line["what"] == "write rows" and line["state"] == "ok"
              for line in checks), f"the state was not tried: {checks}")
    missing = {line["place"] for line in failed(checks) if "longhaul setup" in line["found"]}
    check("queue sqs:apart-main-events" in missing, f"missing: {missing}")

    step("credentials")
    file = world.work / "aws_config"
    file.write_text("[profile broken]\ncredential_process = false\n")
    environment = {"AWS_CONFIG_FILE": str(file)}
    of_profile = {"type": "s3", "endpoint": source.endpoint, "region": REGION, "addressing": "path",
                  "profile": "broken"}
    config = world.config({"source": of_profile, "target": source}, [rule()], "credentials.yaml",
                          queue=f"sqs:apart?{at}&profile=broken", state="sqlite:apart.db")
    found = failed(doctor(world, config, 1, env=environment))
    check({line["place"] for line in found} == {"queue", "source source:data/"} and
          all(not line["action"] and "correct the credentials" in line["remedy"] for line in found),
          f"without credentials: {found}")
    ran = world.run("setup", "--config", config, env=environment).expect(4, "credential_process")
    check("aws iam" not in ran.stderr, f"a policy mends no credentials: {ran.stderr}")

    services = PolicedProxy(moto.endpoint)
    services.policy = {"Statement": []}
    environment = {"AWS_ENDPOINT_URL": services.endpoint}
    role = f"arn:aws:iam::{ACCOUNT}:role/far"
    for fields, action, resource in (
            ({"role_arn": role}, "sts:AssumeRole", role),
            ({"credentials": "secretsmanager:keys"}, "secretsmanager:GetSecretValue", "keys"),
            ({"credentials": "ssm:/a/b"}, "ssm:GetParameter", "/a/b")):
        store = {"type": "s3", "endpoint": source.endpoint, "region": REGION, "addressing": "path",
                 **fields}
        config = world.config({"source": store, "target": source}, [rule()], "identity.yaml",
                              queue="sqlite:apart.db", state="sqlite:apart.db")
        found = failed(doctor(world, config, 1, env=environment))
        check(len(found) == 1 and found[0]["action"] == action and
              f"allow {action} on {resource}" in found[0]["remedy"], f"without {action}: {found}")


def database(world: World, source) -> None:
    """A role that may only look at its queue would find out at the first event."""
    step("a queue in PostgreSQL")
    postgres = world.serve("postgres")
    stores = {"source": source, "target": source}

    def config(role: str):
        place = postgres.endpoint.replace("//longhaul:", f"//{role}:")
        return world.config(stores, [rule()], f"{role}.yaml", queue=place, state=place)

    world.run("setup", "--config", config("longhaul")).expect(0)
    postgres.sql(f"CREATE ROLE worker LOGIN PASSWORD '{SECRET_ACCESS_KEY}'; "
                 "GRANT USAGE ON SCHEMA longhaul TO worker; "
                 "GRANT SELECT ON ALL TABLES IN SCHEMA longhaul TO worker; "
                 "GRANT INSERT, UPDATE, DELETE ON state_rows TO worker; "
                 "GRANT USAGE ON SEQUENCE state_revision TO worker")
    worker = config("worker")
    found = failed(doctor(world, worker, 1))
    check({line["place"] for line in found} == {"queue"} and
          any("INSERT, UPDATE, DELETE on queue_messages" in line["found"] for line in found),
          f"of a role that may only look: {found}")
    check(not failed(doctor(world, worker, 0, "--roles", "target")), "a target only looks")
    postgres.sql(found[0]["remedy"].split(" run: ")[1])
    postgres.sql("REVOKE TRUNCATE ON queue_messages FROM worker")
    checks = doctor(world, worker, 0)
    check(any("TRUNCATE" in line["found"] and line["state"] == "warning" for line in checks),
          f"without TRUNCATE: {checks}")
    postgres.sql("REVOKE INSERT ON state_rows FROM worker")
    found = failed(doctor(world, worker, 1))
    check(all("GRANT" in line["found"] + line["remedy"] and "iam-policy" not in line["remedy"]
              for line in found), f"of a state that may not be written: {found}")


def outbox(world: World) -> None:
    """A staging that S3 replicates from: the versions that it keeps are read and removed."""
    step("a staging near the source")
    source = world.serve("minio", "outbox-source")
    target = world.serve("minio", "outbox-target")
    for bucket in ("data", "outbox"):
        source.s3.create_bucket(Bucket=bucket)
    source.s3.put_bucket_versioning(Bucket="outbox",
                                    VersioningConfiguration={"Status": "Enabled"})
    for bucket in ("copy", "staging"):
        target.s3.create_bucket(Bucket=bucket)
    proxy = PolicedProxy(source.endpoint)
    one = rule(staging="target:staging/hauled/")
    one.update(transport="s3-replication", staging="source:outbox/hauled/")
    config = world.config({"source": store_of(proxy.endpoint), "target": target}, [one],
                          "outbox.yaml", queue="sqlite:outbox.db", state="sqlite:outbox.db")
    identity = "keys of store source"
    whole = policies(world, config)[identity]
    proxy.policy = whole
    check(not failed(doctor(world, config, 0)), "the doctor of the whole policy")
    removed = [one for one in whole["Statement"] if "Versions" in one["Sid"]]
    check(len(removed) == 2, f"statements of versions: {removed}")
    for statement in removed:
        proxy.policy = {"Statement": [one for one in whole["Statement"] if one != statement]}
        found = failed(doctor(world, config, 1))
        check(any(line["action"] in statement["Action"] and line["remedy"] for line in found),
              f"without {statement} the doctor says {found}")


def migrations(world: World) -> None:
    """What a worker needs where there is no rule: printed, tried, and no more than that."""
    step("migrations alone")
    source = world.serve("minio", "from")
    target = world.serve("minio", "to")
    source.s3.create_bucket(Bucket="data")
    target.s3.create_bucket(Bucket="copy")
    # Giants are read in the version that was planned.
    source.s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
    put_all(source.s3, "data", things(20, prefix="in/"))
    source.s3.put_object(Bucket="data", Key="in/giant", Body=b"0123456789abcdef" * 1_000_000,
                         Tagging="size=giant")
    source.s3.put_object(Bucket="data", Key="other/secret", Body=b"x")
    proxies = {"keys of store source": PolicedProxy(source.endpoint),
               "keys of store target": PolicedProxy(target.endpoint)}
    config = world.config(
        {name: store_of(proxies[f"keys of store {name}"].endpoint) for name in ("source", "target")},
        [], "migrations.yaml", queue="sqlite:migrations.db", state="sqlite:migrations.db",
        migrations=[{"id": "once", "source": "source:data/in/", "target": "target:copy/out/",
                     "options": {"giant_size": "6MiB", "range_size": "5MiB"}}])
    whole = policies(world, config)
    check(sorted(whole) == sorted(proxies), f"policies of {sorted(whole)}")
    for identity, proxy in proxies.items():
        proxy.policy = whole[identity]
    check(not failed(doctor(world, config, 0)), "the doctor of the whole policy")
    check(not keys_of(target.s3, "copy"), f"the doctor has written {keys_of(target.s3, 'copy')}")
    world.run("migrate", "start", "once", "--wait", "--config", config).expect(0)
    world.run("migrate", "verify", "once", "--config", config).expect(0)
    for identity, proxy in proxies.items():
        check(not proxy.denied, f"the policy of {identity} lacks {proxy.denied}")
    check(len(keys_of(target.s3, "copy")) == 21, f"at the target: {keys_of(target.s3, 'copy')}")
    without_each(world, config, proxies, whole)


if __name__ == "__main__":
    with World("doctor") as the_world:
        s3(the_world)
        locks(the_world)
        inventory(the_world)
        servers = aws(the_world)
        events(the_world, *servers)
        apart(the_world, *servers)
        database(the_world, servers[0])
        outbox(the_world)
        migrations(the_world)
        step("ok")
