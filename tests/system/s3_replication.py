"""s3_replication.py: archives go to one staging, and a copier that plays S3's replication brings them
to the stagings of two targets: late, twice, out of order, and to one of them not at all for a while.

Without it: the fakes of the unit tests would be the only stores on which this was ever seen to work.
"""

import random
import sys
import threading
import time

from harness import (World, check, check_equal, check_no_uploads, check_staging_empty, client,
                     keys_of, make_buckets, put_all, rule, step, text_bytes, things, wait_until)

PREFIX = "lh/"


class Copier(threading.Thread):
    """Copies what is new in a bucket to others, under the same key, within two seconds or so."""

    def __init__(self, source, bucket, targets):
        super().__init__(daemon=True)
        self.source, self.bucket, self.targets = source, bucket, targets
        self.random = random.Random(11)
        self.broken = set()  # Indexes of targets that nothing is copied to.
        self.seen, self.due = set(), []
        self.copies = 0
        self.error = None
        self.ended = threading.Event()
        # A client belongs to one thread.
        self.here = client(source.endpoint)
        self.there = [client(target.endpoint) for target in targets]

    def look(self):
        now = time.monotonic()
        for item in self.here.list_objects_v2(Bucket=self.bucket).get("Contents", []):
            name = (item["Key"], item["ETag"])
            if name in self.seen:
                continue
            self.seen.add(name)
            try:
                body = self.here.get_object(Bucket=self.bucket, Key=item["Key"])["Body"].read()
            except self.here.exceptions.NoSuchKey:
                continue
            for index in range(len(self.targets)):
                if index in self.broken:
                    continue
                for _ in range(1 + (self.random.random() < 0.3)):
                    self.due.append((now + self.random.uniform(0, 2), index, item["Key"], body))
        for copy in sorted((one for one in self.due if one[0] <= now), key=lambda one: one[0]):
            self.due.remove(copy)
            self.there[copy[1]].put_object(Bucket="staging", Key=copy[2], Body=copy[3])
            self.copies += 1

    def run(self):
        try:
            while not self.ended.wait(0.1):
                self.look()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def flush(self):
        wait_until(lambda: not self.due or self.error, 30, "the copier's copies")
        check(self.error is None, f"the copier failed: {self.error}")


def main() -> None:
    with World("s3-replication") as world:
        source = world.serve("versitygw", "source")
        targets = [world.serve("minio", "west"), world.serve("minio", "south")]
        make_buckets(source, targets[0])
        for bucket in ("copy", "staging"):
            targets[1].s3.create_bucket(Bucket=bucket)
        source.s3.create_bucket(Bucket="outbox")
        one = rule(to="west:copy/", staging=f"west:staging/{PREFIX}")
        one.update(transport="s3-replication", staging=f"source:outbox/{PREFIX}",
                   replication_timeout="10s")
        one["targets"].append({"to": "south:copy/", "staging": f"south:staging/{PREFIX}",
                               "name": "south"})
        config = world.config({"source": source, "west": targets[0], "south": targets[1]}, [one])
        world.run("config", "check", config).expect(0, "replicates archives from source:outbox/lh/")

        copier = Copier(source, "outbox", targets)
        copier.start()
        put_all(source.s3, "data", things(300))
        source.s3.put_object(Bucket="data", Key="large", Body=text_bytes(random.Random(3), 30 << 20))

        step("replicate --once, by the copier alone")
        world.run("replicate", "--config", config, "--once", "--timeout", "2m").expect(0)
        check(copier.copies >= 4, f"only {copier.copies} copies were made")

        step("killed while archives are on their way; nothing is copied to south")
        copier.broken.add(1)
        put_all(source.s3, "data", things(300, seed=2, prefix="second/"))
        process = world.start("replicate", "--config", config, "--once")
        wait_until(lambda: keys_of(source.s3, "outbox"), 60, "an archive near the source", 0.05)
        process.kill()
        process.wait()
        check(keys_of(source.s3, "outbox"), "the copy went before south had it")
        ran = world.run("replicate", "--config", config, "--once", "--timeout", "2m").expect(0)
        check("was not replicated in time" in ran.stderr, "the source did not mend it: " + ran.stderr)

        step("copies that come late are applied again, and go")
        copier.flush()
        world.run("replicate", "--config", config, "--once").expect(0)
        copier.ended.set()
        copier.join()
        for target in targets:
            check_equal(source, target)
            check_staging_empty(target)
            check_no_uploads(target, "staging", "copy")
        check(keys_of(source.s3, "outbox") == [], "archives are left near the source")
        check_no_uploads(source, "outbox")
        step("ok")


if __name__ == "__main__":
    sys.exit(main())
