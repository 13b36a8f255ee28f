"""What a cache answers, and how it is filled."""

import json
import os
import pathlib
import re
import statistics
import subprocess

from harness import (ACCESS_KEY_ID, BINARY, SECRET_ACCESS_KEY, Process, Thing, World, check,
                     free_port, http, put_all, step, wait_until)
from tables import Table

GET_BENCH = pathlib.Path(BINARY).parent / "bench/get_bench"


def gets(endpoint: str, bucket: str, count: int, clients: int, seconds: float) -> dict:
    done = subprocess.run([GET_BENCH, endpoint, bucket, "o", str(count), str(clients), str(seconds)],
                          capture_output=True, text=True)
    check(done.returncode == 0, f"get_bench: {done.stderr}")
    return json.loads(done.stdout)


def cache_serve(runs: int) -> Table:
    """Hits beside the gateway over the same folder; misses beside the source itself."""
    count, misses, seconds = 2000, 500, 8
    table = Table("`cache serve`",
                  f"GETs of {count:,} × 4 KiB by 16 clients at once, {seconds} s at a time: `serve s3` "
                  "of a folder, and `cache serve` with its copies in a folder, each of them a hit. Then "
                  f"{misses} misses, one after the other, from versitygw, which is also asked without "
                  "a cache. CPU is of the server.")
    rates: dict[str, list[float]] = {"gateway": [], "hits": []}
    costs: dict[str, list[float]] = {"gateway": [], "hits": []}
    later: list[float] = []
    with World("bench") as world:
        source = world.serve("versitygw", "source", keep_alive=True)
        source.s3.create_bucket(Bucket="data")
        put_all(source.s3, "data", [Thing(f"o{number}", os.urandom(4096)) for number in range(count)])
        folder = world.folder / "near"
        (folder / "cache").mkdir(parents=True)
        (folder / "data").mkdir()
        stores = {"source": source, "near": {"type": "file", "root": str(folder)}}
        config = world.config(stores, [], "serve.yaml", state="sqlite:hits.db")
        world.run("cp", "--config", config, "--recursive", "source:data/", "near:data/").expect(0)
        world.run("cache", "fill", "source:data/", "--to", "near:cache", "--ttl", "24h", "--config",
                  config).expect(0)
        keys = ("--access-key-id", ACCESS_KEY_ID, "--secret-access-key", SECRET_ACCESS_KEY)

        def serve(*args) -> tuple[Process, str]:
            port = free_port()
            process = world.start(*args, "--listen", f"127.0.0.1:{port}", *keys)
            wait_until(lambda: http(f"http://127.0.0.1:{port}/")[0] != 0, 30, "it serves")
            return process, f"http://127.0.0.1:{port}"

        servers = {"gateway": serve("serve", "s3", "--root", folder),
                   "hits": serve("cache", "serve", "source:data", "--to", "near:cache", "--ttl", "24h",
                                 "--config", config)}
        for name, (_, endpoint) in servers.items():
            gets(endpoint, "data", count, 16, 0)  # Each once: what is read first is read from disk.
        for _ in range(2 * runs):
            for name, (process, endpoint) in servers.items():
                before = process.cpu_seconds()
                got = gets(endpoint, "data", count, 16, seconds)
                costs[name].append((process.cpu_seconds() - before) / got["gets"] * 1e6)
                rates[name].append(got["gets"] / got["seconds"])
                step(f"{name}: {rates[name][-1]:.0f}/s, {costs[name][-1]:.0f} us of CPU each")
        for name, (process, _) in servers.items():
            process.kill(15)
            finished = process.wait(60)
            if name == "hits":
                misses_seen = re.search(r"(\d[\d,]*) miss", finished.stdout)
                check(misses_seen and misses_seen[1] == "0", f"not all were hits: {finished.stdout}")
            finished.code = 0
            table.add("serve s3" if name == "gateway" else "cache serve, hits", finished)
        for number in range(runs):
            bucket = f"cold{number}"
            (folder / bucket).mkdir()
            cold = world.config(stores, [], f"{bucket}.yaml", state=f"sqlite:{bucket}.db")
            process, endpoint = serve("cache", "serve", "source:data", "--to", f"near:{bucket}", "--ttl",
                                      "24h", "--config", cold)
            gets(source.endpoint, "data", misses, 1, 0)
            direct = gets(source.endpoint, "data", misses, 1, 0)
            missed = gets(endpoint, "data", misses, 1, 0)
            later.append(missed["first_byte_p50_ms"] - direct["first_byte_p50_ms"])
            step(f"first byte: source {direct['first_byte_p50_ms']:.2f} ms, a miss "
                 f"{missed['first_byte_p50_ms']:.2f} ms")
            process.kill(15)
            finished = process.wait(60)
            finished.code = 0
            table.add("cache serve, misses", finished)
    table.goal("hits: the gateway's throughput / that of hits",
               statistics.median(rates["gateway"]) / statistics.median(rates["hits"]), 1 / 0.8)
    table.goal("hits: CPU of a hit / of a GET of the gateway",
               statistics.median(costs["hits"]) / statistics.median(costs["gateway"]), 1 / 0.8)
    table.goal("hits: CPU µs", statistics.median(costs["hits"]), 1000)
    table.goal("misses: ms from the source's first byte to ours, p50", statistics.median(later), 2)
    return table


FILL_OBJECTS = 20_000


def cache_fill(_: int) -> Table:
    """Copies that servers make by themselves, and hits."""
    count, prefixes = FILL_OBJECTS, 20
    table = Table("`cache fill`",
                  f"{count:,} × 100 bytes below {prefixes} prefixes, from one bucket of a server into "
                  "another of it, so that each copy is a CopyObject; then the same again, where all are "
                  "hits: it lists the source, and copies nothing.")
    costs = {}
    with World("bench", count * 64 << 10) as world:
        folder = world.folder / "files"
        for number in range(count):
            path = folder / f"p{number % prefixes:02}" / f"{number:07}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"%0100d" % number)
        for kind in ("versitygw", "minio", "rgw"):
            options = {"keep_alive": True} if kind == "versitygw" else {}
            server = world.serve(kind, kind, **options)
            for bucket in ("data", "cache"):
                server.s3.create_bucket(Bucket=bucket)
            config = world.config({"east": server}, [], f"{kind}.yaml", state=f"sqlite:{kind}.db")
            world.run("cp", "--config", config, "--recursive", f"{folder}/", "east:data/",
                      timeout=3600).expect(0)
            words = ("cache", "fill", *(f"east:data/p{number:02}/" for number in range(prefixes)),
                     "--to", "east:cache", "--ttl", "24h", "--json", "--config", config)
            for what, expected in (("copies", (count, 0)), ("hits", (0, count))):
                ran = table.add(f"{kind}, {what}", world.run(*words, timeout=7200))
                done = ran.lines()[-1]
                check((done["copied"], done["hits"]) == expected, f"{done}")
                costs[kind, what] = ran.cpu_seconds / count * 1000
            server.stop()
    for kind in ("versitygw", "minio", "rgw"):
        table.goal(f"{kind}: CPU ms for a copy", costs[kind, "copies"], 0.15)
        table.goal(f"{kind}: CPU ms for a hit", costs[kind, "hits"], 0.06)
    return table
