"""overwritten.py [TRIES]: an object that is overwritten every 100 ms while it is copied.

TRIES copies of a small object (64 KiB) and as many of one that goes in parts (24 MiB), from servers
as they are. All bytes of a state are alike and its metadata says which, so a copy that is made of
two states can be told from any that there was. A copy may give up because its source keeps changing;
it then leaves what it had copied before, and no upload.

`tests/system/run overwritten.py 200` is the long version.

Without it: an object that never was, half of it from before a write and half from after it.
"""

import random
import sys
import threading
import time

from harness import World, check, step

TRIES = int(sys.argv[1]) if len(sys.argv) > 1 else 12
SIZES = {"small": 64 << 10, "large": 24 << 20}
EVERY_SECONDS = 0.1


class Writer:
    """Overwrites one object until it is stopped; each state is one byte, repeated."""

    def __init__(self, s3, key: str, size: int):
        self.s3, self.key, self.size = s3, key, size
        self.written = 0
        self.every_seconds = EVERY_SECONDS
        self.stopping = threading.Event()
        self.random = random.Random(size)
        self.failure = None
        self.write()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def write(self) -> None:
        byte = self.random.randrange(256)
        self.s3.put_object(Bucket="data", Key=self.key, Body=bytes([byte]) * self.size,
                           Metadata={"state": str(byte)})
        self.written += 1

    def run(self) -> None:
        while not self.stopping.wait(self.every_seconds):
            try:
                self.write()
            except Exception as failure:  # Told by stop().
                self.failure = failure
                return

    def stop(self) -> None:
        self.stopping.set()
        self.thread.join()
        check(self.failure is None, f"the writer: {self.failure}")


def copies(world, source, target, name: str) -> None:
    size = SIZES[name]
    writer = Writer(source.s3, name, size)
    states, copied, gave_up, in_a_row = set(), 0, 0, 0
    chance = random.Random(5)
    for number in range(TRIES):
        time.sleep(chance.random() * EVERY_SECONDS)
        # On a machine that is too busy for any copy to come between two writes: now and then one.
        writer.every_seconds = EVERY_SECONDS if in_a_row < 3 else 5
        done = world.run("cp", f"s3://data/{name}", f"s3://copy/{name}", "--part-size", "8MiB",
                         "--source-endpoint-url", source.endpoint,
                         "--target-endpoint-url", target.endpoint)
        if done.code == 0:
            copied, in_a_row = copied + 1, 0
        else:
            done.expect(1)
            gave_up, in_a_row = gave_up + 1, in_a_row + 1
            if not copied:
                continue
        answer = target.s3.get_object(Bucket="copy", Key=name)
        body = answer["Body"].read()
        check(len(body) == size, f"try {number}: {len(body)} bytes instead of {size}")
        check(body.count(body[:1]) == size, f"try {number}: a copy of two states")
        check(answer["Metadata"] == {"state": str(body[0])},
              f"try {number}: bytes of state {body[0]}, metadata {answer['Metadata']}")
        states.add(body[0])
        uploads = target.s3.list_multipart_uploads(Bucket="copy").get("Uploads", [])
        check(not uploads, f"try {number}: {len(uploads)} uploads are left")
    writer.stop()
    step(f"{name}: {writer.written} writes, {copied} copies of {len(states)} states, "
         f"{gave_up} gave up")
    check(copied > 0 and len(states) > 1, "nothing was overwritten while it was copied")


def main() -> None:
    with World("overwritten") as world:
        target = world.serve("versitygw", "target")
        target.s3.create_bucket(Bucket="copy")
        for kind in ("minio", "versitygw"):
            step(f"from {kind}")
            source = world.serve(kind, f"source-{kind}")
            source.s3.create_bucket(Bucket="data")
            for name in SIZES:
                copies(world, source, target, name)
    step("passed")


main()
