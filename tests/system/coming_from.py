"""coming_from.py: each command of ours that docs/coming-from.md shows, run as it stands.

Without it: a table for people who change over would show flags that nobody has tried.
"""

import re
import shlex

from harness import ROOT, Thing, World, check, put_all, step

# What a line may end with besides 0: a check that finds a difference has worked, too.
DIFFERENCES = 11


def commands() -> list[str]:
    found = []
    for line in (ROOT / "docs/coming-from.md").read_text().splitlines():
        if line.startswith("| "):
            found += re.findall(r"`(longhaul [^`]+)`", line.split(" | ")[-1])
    return [command for command in found if "migrate import" not in command]


def fill(world, east, west) -> None:
    """Everything that the lines name, in both places, fresh for each line."""
    for server in (east, west):
        for bucket in ("logs", "logs-copy", "photos", "tmp", "old", "archive", "kept", "restored"):
            if bucket not in {one["Name"] for one in server.s3.list_buckets()["Buckets"]}:
                server.s3.create_bucket(Bucket=bucket)
                if bucket == "kept":
                    server.s3.put_bucket_versioning(
                        Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    put_all(east.s3, "logs", [Thing(key, b"x") for key in (
        "1.log", "2.log", "3.log", "old/a.log", "tmp/b", "tmp/keep", "2026/c.log")])
    put_all(east.s3, "tmp", [Thing("a", b"x")])
    put_all(east.s3, "kept", [Thing("a", b"x")])
    put_all(west.s3, "logs", [Thing("1.log", b"x"), Thing("extra", b"x")])
    for name, text in (("photos/one.jpg", "x"), ("report.pdf", "x"),
                       ("rules.txt", "- *.tmp\n+ **\n"), ("names.txt", "1.log\n2.log\n")):
        path = world.work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def main() -> None:
    every = commands()
    check(len(every) > 40, f"only {len(every)} commands were found")
    with World("coming-from") as world:
        east, west = (world.serve("versitygw", name) for name in ("east", "west"))
        config = world.config({"east": east, "west": west}, [])
        env = {"LONGHAUL_CONFIG": str(config), "AWS_ENDPOINT_URL": east.endpoint}
        for command in every:
            fill(world, east, west)
            ran = world.run(*shlex.split(command)[1:], env=env)
            check(ran.code == 0 or (ran.code == DIFFERENCES and " check " in command),
                  f"{command}: {ran.code}\n{ran.stdout[-500:]}\n{ran.stderr[-500:]}")
        step(f"{len(every)} commands")


main()
