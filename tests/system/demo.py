"""demo.py [CASE...]: `longhaul demo` ends by itself, and its exit code is the truth.

Without it: the first thing that a new reader types would be the last thing that anyone tried.
"""

import re
import sys

import boto3

from harness import World, check, step, wait_until

SECONDS_MAX = 120


def equal(world: World) -> None:
    ran = world.run("demo", timeout=SECONDS_MAX + 60, env={"TMPDIR": str(world.work)})
    ran.expect(0, "both sides are equal", "went over the wire", "saved")
    step(f"exit 0 after {ran.seconds:.0f} s")
    check(ran.seconds < SECONDS_MAX, f"it took {ran.seconds:.0f} s")
    left = list(world.work.glob("longhaul-demo-*"))
    check(not left, f"left behind: {left}")


def different(world: World) -> None:
    """An object that nobody replicated lies in the west; the replication may not touch it."""
    demo = world.start("demo", env={"TMPDIR": str(world.work)})
    config = wait_until(lambda: next(world.work.glob("longhaul-demo-*/demo.yaml"), None), 20,
                        "the demo has a configuration").read_text()
    west = re.search(r'west: .*endpoint: "([^"]+)".*secret_access_key: "([^"]+)"', config)
    check(west, f"no west in {config}")
    s3 = boto3.client("s3", endpoint_url=west[1], region_name="us-east-1",
                      aws_access_key_id="demo", aws_secret_access_key=west[2])

    def put() -> bool:
        check(demo.running(), f"it ended: {demo.output()[-2000:]}")
        try:
            s3.put_object(Bucket="copy", Key="stranger", Body=b"not from the east")
            return True
        except Exception:  # The bucket is not there yet.
            return False

    wait_until(put, 20, "an object is in the west")
    ran = demo.wait(SECONDS_MAX + 60)
    check(ran.code in (1, 11), f"exit {ran.code} though the west holds more: {ran.stdout[-2000:]}")
    check("equal" not in ran.stdout or "differ" in ran.stdout + ran.stderr, "it says equal")
    step(f"exit {ran.code} after {ran.seconds:.0f} s")
    check(ran.seconds < SECONDS_MAX, f"it took {ran.seconds:.0f} s")


CASES = {"equal": equal, "different": different}

if __name__ == "__main__":
    for name in sys.argv[1:] or CASES:
        with World("demo") as the_world:
            CASES[name](the_world)
