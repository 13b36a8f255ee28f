"""doctor.py: `longhaul iam-policy` prints the rights that are needed and no others, and `longhaul
doctor` names what is missing.

Without it: a policy might lack what a role asks for once a week, or hold what nobody needs; and a
doctor that says "all is well" could have looked at nothing. Behind proxies that enforce policies the
whole policy lets everything work, and without any one of its statements something is denied.
"""

import datetime
import json

from harness import (KMS_KEY_ID, REGION, SECRET_ACCESS_KEY, World, check, check_staging_empty,
                     check_no_uploads, differences, free_port, keys_of, put_all, rule, step,
                     store_of, things)
from policed_proxy import ACCOUNT, PolicedProxy


def policies(world: World, config, *words: str) -> dict[str, dict]:
    """By whose they are."""
    printed = world.run("iam-policy", config, "--json", "--account", ACCOUNT, *words).expect(0)
    lines = printed.lines()
    check(lines[-1]["event"] == "summary", f"no summary: {lines[-1]}")
    return {line["identity"]: json.loads(line["document"]) for line in lines[:-1]}


def doctor(world: World, config, code: int, *words: str) -> list[dict]:
    ran = world.run("doctor", config, "--json", "--timeout", "5s", *words).expect(code)
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


def aws(world: World) -> None:
    """Queue and state in AWS: their rights are in the policy, and tried."""
    source = world.serve("versitygw", "near")
    source.s3.create_bucket(Bucket="data")
    for bucket in ("copy", "staging"):
        source.s3.create_bucket(Bucket=bucket)
    moto = world.serve("moto")
    proxy = PolicedProxy(moto.endpoint)
    stores = {"source": source, "target": source}

    def config(endpoint: str, name: str):
        at = f"region={REGION}&endpoint={endpoint}"
        return world.config(stores, [rule()], name, queue=f"sqs:haul?{at}",
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


if __name__ == "__main__":
    with World("doctor") as the_world:
        s3(the_world)
        locks(the_world)
        aws(the_world)
        step("ok")
