"""A ReplicationConfiguration of S3 is imported, filled in, checked, and does what it says.

Without it: an import that reads well and replicates something else would be found by its users.
"""

import json
import time

from harness import (KMS_KEY_ID, World, check, check_staging_empty, keys_of, step, store_of,
                     wait_until)

NATIVE = {"ReplicationConfiguration": {
    "Role": "arn:aws:iam::111122223333:role/replication",
    "Rules": [
        {"ID": "hot ones", "Status": "Enabled", "Priority": 2,
         "Filter": {"And": {"Prefix": "logs/", "Tags": [{"Key": "tier", "Value": "hot"}]}},
         "DeleteMarkerReplication": {"Status": "Disabled"},
         "SourceSelectionCriteria": {"SseKmsEncryptedObjects": {"Status": "Enabled"}},
         "Destination": {"Bucket": "arn:aws:s3:::copy",
                         "EncryptionConfiguration": {"ReplicaKmsKeyID": KMS_KEY_ID},
                         "ReplicationTime": {"Status": "Enabled", "Time": {"Minutes": 15}},
                         "Metrics": {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}}},
        {"ID": "all", "Status": "Enabled", "Priority": 1, "Filter": {"Prefix": "logs/"},
         "DeleteMarkerReplication": {"Status": "Enabled"},
         "Destination": {"Bucket": "arn:aws:s3:::copy"}},
        {"ID": "off", "Status": "Disabled", "Priority": 3, "Filter": {},
         "DeleteMarkerReplication": {"Status": "Disabled"},
         "Destination": {"Bucket": "arn:aws:s3:::elsewhere"}}]}}


def main() -> None:
    with World("native-rules") as world:
        source = world.serve("minio", "source")
        target = world.serve("minio", "target")
        source.s3.create_bucket(Bucket="data")
        for bucket in ("copy", "elsewhere", "staging"):
            target.s3.create_bucket(Bucket=bucket)
        for server, bucket in ((source, "data"), (target, "copy")):
            server.s3.put_bucket_versioning(Bucket=bucket,
                                            VersioningConfiguration={"Status": "Enabled"})
        source.s3.put_object(Bucket="data", Key="logs/before", Body=b"before the import")
        time.sleep(1.1)  # LastModified has whole seconds.

        step("rules import")
        (world.work / "native.json").write_text(json.dumps(NATIVE))
        imported = world.run("rules", "import", "native.json", "--source", "source:data",
                             "--target", "target", "--staging", "target:staging/").expect(
            0, "native.json: Role: not carried over", "'hot ones' is hot-ones here",
            "rules[0].destination.replicationtime: differs")
        check("FILL IN the bucket" not in imported.stdout, "the source was given and is not there")
        # A person fills in where the stores are.
        text = imported.stdout
        for name, server in (("source", source), ("target", target)):
            fields = "".join(f"    {field}: {json.dumps(value)}\n"
                             for field, value in store_of(server.endpoint).items())
            text = text.replace(f"  {name}:\n    type: s3\n", f"  {name}:\n{fields}", 1)
        config = world.work / "longhaul.yaml"
        config.write_text(text)
        world.run("config", "check", config).expect(0, "3 rules")
        world.run("rules", "check", config).expect(0, "-> target:copy/logs/  (hot-ones, priority 2")

        step("replicate")
        s3 = source.s3
        s3.put_object(Bucket="data", Key="logs/hot", Body=b"hot", Tagging="tier=hot&team=a")
        s3.put_object(Bucket="data", Key="logs/hot-large", Body=b"x" * (20 << 20),
                      Tagging="tier=hot")
        s3.put_object(Bucket="data", Key="logs/cold", Body=b"cold", Tagging="tier=cold")
        s3.put_object(Bucket="data", Key="logs/gone", Body=b"to be deleted")
        s3.put_object(Bucket="data", Key="logs/secret", Body=b"secret",
                      ServerSideEncryption="aws:kms", SSEKMSKeyId=KMS_KEY_ID)
        s3.put_object(Bucket="data", Key="other", Body=b"below no rule that is on")
        process = world.start("replicate", "--config", config)
        wanted = ["logs/cold", "logs/gone", "logs/hot", "logs/hot-large"]
        wait_until(lambda: sorted(keys_of(target.s3, "copy")) == wanted, 60,
                   f"at the target: {wanted}")
        process.kill(15)
        process.wait(60).expect(143)
        for key in wanted:
            head = target.s3.head_object(Bucket="copy", Key=key)
            by_key = head.get("SSEKMSKeyId", "").endswith(KMS_KEY_ID)
            check(by_key == key.startswith("logs/hot"), f"{key}: encryption is {head}")

        step("a delete becomes a marker")
        s3.delete_object(Bucket="data", Key="logs/gone")
        world.run("replicate", "--config", config, "--once").expect(0)
        wanted.remove("logs/gone")
        check(sorted(keys_of(target.s3, "copy")) == wanted, "the delete is not at the target")
        versions = target.s3.list_object_versions(Bucket="copy", Prefix="logs/gone")
        check(len(versions.get("DeleteMarkers", [])) == 1 and len(versions.get("Versions", [])) == 1,
              f"no marker above the old version: {versions}")
        check(keys_of(target.s3, "elsewhere") == [], "a disabled rule has carried something")
        check_staging_empty(target)

        step("rules export")
        exported = world.run("rules", "export", "hot-ones", "all", "--config", config,
                             "--role", "arn:aws:iam::111122223333:role/replication").expect(0)
        back = json.loads(exported.stdout)
        for native, was in zip(back["Rules"], NATIVE["ReplicationConfiguration"]["Rules"]):
            check({**native, "ID": was["ID"]} == was, f"{native} is not {was}")
        step("ok")


if __name__ == "__main__":
    main()
