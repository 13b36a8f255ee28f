"""backup_drill.py: a drill proves that a backup comes back, and catalogs are tables.

Without it: that a drill leaves nothing on real servers, that a process which runs the rules shows
when one last proved something, that a changed byte fails it, and that the queries of docs/backup.md
answer what `backup ls` answers, nobody would know.
"""

import contextlib
import datetime
import json
import pathlib
import re
import sqlite3
import threading
import time

from fault_proxy import FaultProxy
from harness import (World, check, free_port, http, keys_of, put_all, step, store_of,
                     things, wait_until)

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs/backup.md"
METRIC = re.compile(r'longhaul_last_proven_restore_timestamp_seconds\{rule="main",target="vault"\} '
                    r"(\S+)")


def proven(port: int) -> float | None:
    found = METRIC.search(http(f"http://127.0.0.1:{port}/metrics")[1])
    return float(found[1]) if found else None


def all_versions(s3, bucket: str) -> list:
    page = s3.list_object_versions(Bucket=bucket)
    return [*page.get("Versions", []), *page.get("DeleteMarkers", [])]


def drills(world: World, config, source, target) -> None:
    def drill(*words, code=0, sample="100%", config=config, **options):
        return world.run("backup", "drill", "--rule", "main", "--sample", sample, "--json",
                         "--config", config, *words, **options).expect(code).lines()

    port = free_port()
    running = world.config({"source": source, "target": target}, [backup_rule()], "running.yaml",
                           listen=f"127.0.0.1:{port}")
    process = world.start("replicate", "--config", running)
    wait_until(lambda: proven(port) is not None, 60, "the metric of the backup")
    check(proven(port) == 0, "a backup that was never drilled is shown as proven")

    step("a drill to a bucket that keeps versions leaves nothing there")
    target.s3.create_bucket(Bucket="scratch")
    target.s3.put_bucket_versioning(Bucket="scratch",
                                    VersioningConfiguration={"Status": "Enabled"})
    target.s3.put_object(Bucket="scratch", Key="mine/1", Body=b"stays")
    before = time.time()
    lines = drill("--to", "target:scratch/mine", sample="20")
    summary = lines[-1]
    check(summary["objects"] == 20 and summary["differ"] + summary["failed"] == 0, f"{summary}")
    check(summary["compared_with_source"] == 20, f"compared with the source: {summary}")
    check(len({line["key"] for line in lines if line["event"] == "proven"}) == 20, "20 are named")
    check(len(all_versions(target.s3, "scratch")) == 1, "something is left in the bucket")

    step("the process that runs the rules shows when")
    wait_until(lambda: proven(port) >= int(before), 90, "the time of the drill")
    first = proven(port)

    step("a drill to the temporary files")
    temporary = world.work / "tmp"
    temporary.mkdir()
    modes, over = set(), threading.Event()

    def look() -> None:
        while not over.wait(0.005):
            for folder in temporary.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    modes.add(oct(folder.stat().st_mode & 0o777))
    looking = threading.Thread(target=look)
    looking.start()
    try:
        summary = drill("2026/", "--at", "1s", env={"TMPDIR": str(temporary)})[-1]
    finally:
        over.set()
        looking.join()
    check(summary["objects"] == 40 and summary["of"] == 40, f"{summary}")
    check(modes == {"0o700"}, f"others may look at what was restored: {modes}")
    check(not list(temporary.iterdir()), "something is left among the temporary files")
    wait_until(lambda: proven(port) > first, 90, "the time of the second drill")
    last = proven(port)

    step("a prefix that has nothing is no failed drill")
    world.run("backup", "drill", "--rule", "main", "no/such/", "--config", config).expect(3)
    with contextlib.closing(sqlite3.connect(world.work / "longhaul.db")) as state:
        rows = state.execute("SELECT value FROM state_rows WHERE partition = ?",
                             (b"drills",)).fetchall()
        check([json.loads(row[0])["outcome"] for row in rows] == ["proven"], f"{rows}")

    step("one by the vault's address is noted for the rule whose it is")
    world.run("backup", "drill", "target:vault/", "--sample", "1", "--config", config).expect(
        0, "all as it was")
    wait_until(lambda: proven(port) > last, 90, "the time of the third drill")
    last = proven(port)

    step("rules that share a vault: each is proven by its own keys alone")
    narrow = world.config(
        {"source": source, "target": target},
        [{**backup_rule(), "id": name, "source": f"source:data/{prefix}"}
         for name, prefix in (("narrow", "2026/"), ("other", "more/"))], "narrow.yaml")
    summary = world.run("backup", "drill", "--rule", "narrow", "--sample", "100%", "--json",
                        "--config", narrow).expect(0).lines()[-1]
    check(summary["of"] == 40, f"keys of another rule: {summary}")
    world.run("backup", "drill", "--rule", "narrow", "more/", "--config", narrow).expect(3)
    world.run("backup", "drill", "target:vault/", "2026/", "--config", narrow).expect(0)
    with contextlib.closing(sqlite3.connect(world.work / "longhaul.db")) as state:
        rows = [row[0] for row in state.execute(
            "SELECT key FROM state_rows WHERE partition = ? ORDER BY key", (b"drills",))]
        check([bytes(row) for row in rows] == [b"main/vault", b"narrow/vault"],
              f"proven without a look: {rows}")

    step("bytes that come back changed are told: exit 11")
    with contextlib.closing(FaultProxy(target.endpoint, "corrupt")) as proxy:
        faulty = world.config({"source": source, "target": target,
                               "scratch": store_of(proxy.endpoint)}, [backup_rule()], "bad.yaml")
        summary = drill("--to", "scratch:scratch/", code=11, config=faulty)[-1]
        # Of an empty object no byte can change; each of the two prefixes has one.
        check(summary["differ"] == 58, f"{summary}")
    check(len(all_versions(target.s3, "scratch")) == 1, "something is left after a failed drill")

    step("a damaged archive: named, exit 1, and nothing is proven")
    archives = {key: target.s3.get_object(Bucket="vault", Key=key)["Body"].read()
                for key in keys_of(target.s3, "vault") if key.endswith(".tar.zst")}
    for key, body in archives.items():
        damaged = bytearray(body)
        damaged[len(body) // 3] ^= 0xff
        target.s3.put_object(Bucket="vault", Key=key, Body=bytes(damaged))
    summary = drill("--to", "target:scratch/", code=1)[-1]
    check(summary["failed"] > 0, f"{summary}")
    for key, body in archives.items():
        target.s3.put_object(Bucket="vault", Key=key, Body=body)
    time.sleep(13)  # It is asked for every 10 s.
    check(proven(port) == last, "drills that failed are shown as proven")
    world.run("backup", "drill", "--rule", "main", "--to", "target:vault/x", "--config",
              config).expect(2, "lies in the vault")
    process.kill()


def catalogs(world: World, config, target) -> None:
    import duckdb

    step("the query for DuckDB answers what ls answers")
    folder = world.work / "catalogs"
    for key in keys_of(target.s3, "vault", "longhaul-catalog/"):
        path = folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        target.s3.download_file("vault", key, str(path))
    query = re.search(r"```sql\n(-- The bucket as it was, in DuckDB.*?)```", DOC.read_text(),
                      re.DOTALL)[1]
    query = query.replace("s3://vault/", f"{folder}/").replace("app-logs", "data")
    now = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    asked, count = re.subn(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", now, query)
    check(count == 1, f"the query says no time: {query}")
    rows = duckdb.sql(asked).fetchall()
    listed = world.run("backup", "ls", "--rule", "main", "--json", "--config", config).expect(0)
    wanted = [(line["key"], line["size"]) for line in listed.lines() if line["event"] == "object"]
    check([(row[0], row[1]) for row in rows] == wanted,
          f"DuckDB has {len(rows)} objects, ls {len(wanted)}")

    step("every field is a column of the table for Athena")
    ddl = world.run("backup", "athena", "--rule", "main", "--json", "--config",
                    config).expect(0).lines()[0]["ddl"]
    columns = re.findall(r"^  `(\w+)` ", ddl, re.MULTILINE)
    paths = f"{folder}/longhaul-catalog/data/**/*.jsonl.zst"
    fields = {row[0] for row in duckdb.sql(
        f"DESCRIBE SELECT * FROM read_json('{paths}', hive_partitioning = false)").fetchall()}
    check(fields - {*columns} == set(), f"no columns: {fields - {*columns}}")
    check({*columns} - fields <= {"segment"}, f"no fields: {({*columns} - fields)}")
    check("s3://vault/longhaul-catalog/data/year=${year}/month=${month}/day=${day}/" in ddl, ddl)
    text = world.run("backup", "athena", "target:vault/", "--table", "b.t", "--config",
                     config).expect(0, "EXISTS `b`.`t`")
    check("PARTITIONED" not in text.stdout, "a table of an address has partitions")


def backup_rule() -> dict:
    return {"id": "main", "source": "source:data/", "intake": {"listing": "1h"},
            "targets": [{"name": "vault", "to": "target:vault/", "staging": "target:staging/",
                         "backup": {}}]}


def main() -> None:
    with World("backup_drill") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        source.s3.create_bucket(Bucket="data")
        for bucket in ("vault", "staging"):
            target.s3.create_bucket(Bucket=bucket)
        config = world.config({"source": source, "target": target}, [backup_rule()])
        step("a backup")
        put_all(source.s3, "data", things(40, prefix="2026/"))
        put_all(source.s3, "data", things(20, seed=2, prefix="more/"))
        world.run("replicate", "--config", config, "--once").expect(0)
        catalogs(world, config, target)
        drills(world, config, source, target)

        step("a history, in DuckDB")
        time.sleep(1.1)  # Stamps are whole seconds.
        source.s3.put_object(Bucket="data", Key="2026/new", Body=b"x" * 999)
        for key in keys_of(source.s3, "data", "more/")[:5]:
            source.s3.delete_object(Bucket="data", Key=key)
        for key in keys_of(source.s3, "data", "2026/")[:5]:
            source.s3.put_object(Bucket="data", Key=key, Body=b"y" * 777)
        world.run("replicate", "--config", config, "--once").expect(0)
        catalogs(world, config, target)
        step("ok")


if __name__ == "__main__":
    main()
