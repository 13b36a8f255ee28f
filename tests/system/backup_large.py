"""backup_large.py [MIB]: one object comes back out of a large archive by a few ranges.

Without it: a change that reads an archive through for one of its objects would be seen by whoever
waits for it.
"""

import random
import sys

from harness import World, check, keys_of, make_buckets, step
from fault_proxy import FaultProxy

MIB = 1 << 20
OBJECT_BYTES = 8 * MIB  # The largest that a bundle takes.
GETS_MAX = 3
SECONDS_MAX = 1.0


def main(size_mib: int) -> None:
    with World("backup-large", bytes_needed=4 * size_mib * MIB) as world:
        source = world.serve("versitygw", "source")
        target = world.serve("versitygw", "target")
        make_buckets(source, target)
        target.s3.create_bucket(Bucket="vault")
        random_ = random.Random(17)
        for number in range(size_mib * MIB // OBJECT_BYTES):
            source.s3.put_object(Bucket="data", Key=f"bulk/{number:04}",
                                 Body=random_.randbytes(OBJECT_BYTES))
        needle = random_.randbytes(5000)
        source.s3.put_object(Bucket="data", Key="bulk/0100-needle", Body=needle,
                             Metadata={"kind": "needle"})
        seen: list[str] = []

        def note(method: str, path: str) -> bool:
            seen.append(f"{method} {path}")
            return False

        proxy = FaultProxy(target.endpoint, "slow", only=note)
        world.callback(proxy.close)
        rules = [{"id": "main", "source": "source:data/", "intake": {"listing": "1h"},
                  "compression": 1, "batch": {"bytes": "4GiB", "count": 10_000, "linger": "60s"},
                  "targets": [{"to": "target:vault/", "staging": "target:staging/",
                               "backup": {}}]}]
        config = world.config({"source": source, "target": target}, rules)
        by_proxy = world.config({"source": source, "target": proxy}, rules, "proxy.yaml")
        step(f"{size_mib} MiB are backed up")
        world.run("replicate", "--config", config, "--once", timeout=1200).expect(0)
        archives = [key for key in keys_of(target.s3, "vault") if key.endswith(".tar.zst")]
        sizes = [target.s3.head_object(Bucket="vault", Key=key)["ContentLength"]
                 for key in archives]
        check(max(sizes) >= size_mib * MIB, f"archives of {sizes} bytes")
        best = 1e9
        for number in range(3):
            folder = world.work / f"back-{number}"
            ran = world.run("backup", "restore", "--rule", "main", "bulk/0100-needle",
                            f"{folder}/", "--config", config).expect(0)
            check((folder / "0100-needle").read_bytes() == needle, "another object came back")
            best = min(best, ran.seconds)
        seen.clear()
        world.run("backup", "restore", "--rule", "main", "bulk/0100-needle",
                  f"{world.work}/counted/", "--config", by_proxy).expect(0)
        gets = [line for line in seen if line.startswith("GET ") and ".tar.zst" in line]
        step(f"an archive of {max(sizes) / MIB:.0f} MiB: {len(gets)} GETs of it, {best:.2f} s")
        check(0 < len(gets) <= GETS_MAX, f"{len(gets)} GETs: {gets}")
        check(best <= SECONDS_MAX, f"{best:.2f} s for one object")
        step("ok")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2048)
