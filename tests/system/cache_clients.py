"""cache_clients.py: the clients of data jobs read through `cache serve`: s5cmd, s3fs and Arrow.

Without it: that what these send (ranges with If-Match, suffixes, a HEAD first, many at once) comes
back as from the bucket itself, by a miss and by a hit, would be known of boto3 alone.
"""

import os
import pathlib
import random
import subprocess

from cache_server import CacheServer
from harness import (ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, World, check, keys_of, put_all,
                     real_servers, step, text_bytes, things, wait_until)

CLIENTS = real_servers.cache_dir() / "clients/bin"
READER = pathlib.Path(__file__).parent / "range_reader.py"
ENVIRONMENT = {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID, "AWS_REGION": REGION,
               "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY, "AWS_EC2_METADATA_DISABLED": "true"}
COUNT = 60


def client(name: str, *words, what: str) -> str:
    done = subprocess.run([CLIENTS / name, *words], env=ENVIRONMENT, timeout=300,
                          capture_output=True, text=True, check=False)
    check(done.returncode == 0, f"{what}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def s5cmd(server: CacheServer, folder: pathlib.Path, wanted: dict[str, bytes], what: str) -> None:
    at = ("--endpoint-url", server.endpoint)
    # Objects above 5 MiB in five ranges at once.
    client("s5cmd", *at, "cp", "--part-size", "5", "s3://data/*", f"{folder}/", what=what)
    got = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
           if path.is_file()}
    wrong = sorted(set(wanted) ^ set(got)) or sorted(key for key in got if got[key] != wanted[key])
    check(not wrong, f"{what}: {wrong[:5]}")
    listed = client("s5cmd", *at, "ls", "s3://data/*", what=what).splitlines()
    check(len(listed) == len(wanted), f"{what}: {len(listed)} keys listed")
    text = client("s5cmd", *at, "cat", "s3://data/text", what=what)
    check(text.encode() == wanted["text"], f"{what}: cat")


def readers(server: CacheServer, folder: pathlib.Path, what: str) -> None:
    for key in ("big", "text", "table.parquet"):
        client("python", READER, "ranges", server.endpoint, f"data/{key}", folder / key,
               what=f"{what}, {key}")
    client("python", READER, "parquet", server.endpoint, "data/table.parquet",
           folder / "table.parquet", what=what)


def counts(server: CacheServer) -> tuple[int, int]:
    summary = server.stop().expect(143).lines()[-1]
    return summary["hits"], summary["misses"]


def changing(world: World, config, east) -> None:
    """A file that is open while its object changes: no bytes of another state reach its reader."""
    server = CacheServer(world, config, "--strict", "--json")
    old, new = b"old" * 100, b"new" * 100
    for known in (False, True):  # By way of the source, and of a copy.
        east.s3.put_object(Bucket="data", Key="changing", Body=old)
        if known:
            server.s3.get_object(Bucket="data", Key="changing")["Body"].read()
        reader = subprocess.Popen(
            [CLIENTS / "python", READER, "changes", server.endpoint, "data/changing"],
            env=ENVIRONMENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        check(reader.stdout.readline().strip() == old[:100].hex(), "the first range")
        east.s3.put_object(Bucket="data", Key="changing", Body=new)
        rest, _ = reader.communicate("\n", timeout=60)
        check(rest.strip() == "expired", f"a range of an object that has changed: {rest[:80]}")
    server.stop()
    step("an object that changes while it is read")


def main() -> None:
    with World("cache-clients") as world:
        east, west = world.serve("minio", "east"), world.serve("versitygw", "west")
        east.s3.create_bucket(Bucket="data")
        west.s3.create_bucket(Bucket="served")
        config = world.config({"east": east, "west": west}, [])
        folder = world.folder / "wanted"
        folder.mkdir()
        client("python", READER, "make", folder / "table.parquet", what="a table")
        put_all(east.s3, "data", things(COUNT, 7, "a/"))
        (folder / "big").write_bytes(random.Random(2).randbytes((12 << 20) + 345))
        (folder / "text").write_bytes(text_bytes(random.Random(3), 300_000))
        for path in folder.iterdir():
            east.s3.put_object(Bucket="data", Key=path.name, Body=path.read_bytes())
        wanted = {key: east.s3.get_object(Bucket="data", Key=key)["Body"].read()
                  for key in keys_of(east.s3, "data")}
        step(f"servers, and {len(wanted)} objects")

        server = CacheServer(world, config, "--json")
        readers(server, folder, "nothing is there yet")
        s5cmd(server, world.folder / "miss", wanted, "s5cmd, nothing is there yet")
        # s5cmd asks for a range also of an empty object, which has none, so that no copy is made of it.
        filled = sorted(key for key in wanted if wanted[key])
        wait_until(lambda: keys_of(west.s3, "served") == filled, 60, "misses fill the cache")
        hits, misses = counts(server)
        check(misses >= len(filled), f"{misses} misses, {hits} hits")
        step(f"without copies first: {misses} misses, {hits} hits")

        done = world.run("cache", "fill", "east:data", "--to", "west:served", "--ttl", "1h", "--wait",
                         "--json", "--config", config).expect(0).lines()[-1]
        check((done["copied"], done["hits"]) == (len(wanted) - len(filled), len(filled)),
              f"what the misses left: {done}")
        server = CacheServer(world, config, "--json")
        readers(server, folder, "all is there")
        s5cmd(server, world.folder / "hit", wanted, "s5cmd, all is there")
        hits, misses = counts(server)
        check(misses == 0 and hits > 1000, f"{misses} misses, {hits} hits")
        step(f"with copies: {hits} hits")
        changing(world, config, east)


main()
