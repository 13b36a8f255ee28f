"""coming_from.py: each command of ours that docs/coming-from.md shows, run as it stands.

Without it: a table for people who change over would show flags that nobody has tried.
"""

import os
import re
import shlex

from harness import ROOT, Thing, World, check, keys_of, put_all, step

# What a line may end with besides 0: a check that finds a difference has worked, too.
DIFFERENCES = 11


def commands() -> list[str]:
    found = []
    for line in (ROOT / "docs/coming-from.md").read_text().splitlines():
        if line.startswith("| "):
            found += re.findall(r"`(longhaul [^`]+)`", line.split(" | ")[-1])
    return [command for command in found if "migrate import" not in command]


def copied(ran) -> int:
    found = re.search(r"copied +(\d+) object", ran.stdout + ran.stderr)
    return int(found[1]) if found else -1


def imported(world, east, env: dict[str, str]) -> None:
    """A command line that `migrate import` wrote does what the one that it was made of did."""
    (world.work / "flags.txt").write_text("s3trans s3://logs s3://logs-copy\n")
    made = world.run("migrate", "import", "flags.txt", env=env).expect(0).stdout
    (world.work / "longhaul.yaml").write_text(made)
    lines = re.findall(r"^# (longhaul (?!migrate).*)$", made, re.MULTILINE)
    check(len(lines) == 1, f"command lines of\n{made}")
    ran = world.run(*shlex.split(lines[0])[1:], env=env).expect(0)
    check(copied(ran) > 6, f"{lines[0]}: {ran.stdout}{ran.stderr}")
    check(keys_of(east.s3, "logs-copy") == keys_of(east.s3, "logs"), "the buckets differ")


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
    for key in keys_of(west.s3, "logs"):
        west.s3.delete_object(Bucket="logs", Key=key)
    put_all(west.s3, "logs", [Thing("1.log", b"x"), Thing("extra", b"x")])
    for name, text in (("photos/one.jpg", "x"), ("report.pdf", "x"),
                       ("rules.txt", "- *.tmp\n+ **\n"), ("names.txt", "1.log\n2.log\n"),
                       ("out.txt", "/old/**\n*.{tmp,bak}\n")):
        path = world.work / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_700_000_000, 1_700_000_000))  # Older than its copy by more than a second.


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
            if " sync " in command and "--ignore-times" not in command and "--dry" not in command \
                    and "--json" not in command:
                # As there: what is at the target already is left alone.
                again = world.run(*shlex.split(command)[1:], env=env).expect(0)
                check(copied(again) == 0,
                      f"{command}, again: {again.stdout[-500:]}{again.stderr[-500:]}")
        fill(world, east, west)
        for key in keys_of(east.s3, "logs-copy"):
            east.s3.delete_object(Bucket="logs-copy", Key=key)
        imported(world, east, env)
        step(f"{len(every)} commands")


main()
