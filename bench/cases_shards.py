"""Network threads, one beside two."""

import itertools
import json
import pathlib
import statistics
import subprocess

from harness import BINARY, Finished, check
from results import CORES
from tables import MIB, SCHEMES, Table

SHARDS_BENCH = pathlib.Path(BINARY).parent / "bench/shards_bench"
CARRIERS = {"one shard": (1, 1), "two shards": (1, 2), "two processes of one shard": (2, 1)}


def carry(method: str, https: bool, carriers: tuple[int, int], size: int, clients: int,
          seconds: int, cores: str = "0,1") -> dict:
    """So many processes at once, of so many shards, with the clients shared out: their sum."""
    processes, count = carriers
    running = [subprocess.Popen(
        ["taskset", "-c", cores, SHARDS_BENCH, method, "https" if https else "http", str(count),
         str(size), str(clients // processes), str(seconds)], stdout=subprocess.PIPE, text=True)
        for _ in range(processes)]
    said = [(process.communicate()[0], process.returncode) for process in running]
    check(not any(code for _, code in said), "shards_bench failed")
    figures = [json.loads(line) for line, _ in said]
    total = {name: sum(one[name] for one in figures) for name in figures[0]}
    for name in ("client_cpu_s_per_gib", "client_cpu_us_per_request"):
        total[name] /= processes
    return total


def shards(runs: int) -> Table:
    """Two network threads beside one, and beside two processes: no design gets more of two cores."""
    gib, seconds = 10, 2
    table = Table("Network threads",
                  "The HTTP client by one shard and by two, and two processes of one shard, each on the same two "
                  f"cores (`taskset -c 0,1`), by turns, {seconds} s at a time. CPU and wall are those of {gib} GiB: uploads of "
                  "64 MiB from memory, 8 at once, to servers that throw them away unread (by HTTPS "
                  "undecrypted), so that what binds is the client. *small*: GETs of 4 KiB by 32 "
                  "clients, where the server takes a core. On 16 cores and more also by as many "
                  "shards as the program takes there, on all cores: what they carry beside 25 Gbit/s "
                  "(downloads by HTTPS are those of *Plain copy, 4 × 1 GiB*).")
    measured: dict[tuple, list[dict]] = {}
    for _ in range(4 * runs):
        for https, (name, carriers) in itertools.product(SCHEMES, CARRIERS.items()):
            got = carry("put", https, carriers, 64 << 20, 8, seconds)
            measured.setdefault((name, https), []).append(got)
            table.add(name, Finished([], 0, "", "", gib * 1024 / got["mib_per_second"],
                                     gib * got["client_cpu_s_per_gib"], 0), https)
        for name in ("one shard", "two shards"):
            measured.setdefault((name, None), []).append(
                carry("get", False, CARRIERS[name], 4096, 32, seconds))

    def median(name: str, kind: bool | None, field: str) -> float:
        return statistics.median(got[field] for got in measured[name, kind])

    table.goal("HTTPS: throughput of one shard / of two",
               median("one shard", True, "mib_per_second") /
               median("two shards", True, "mib_per_second"), 1 / 1.8)
    table.goals_of_both("throughput of two processes / of two shards",
                        lambda https: median("two processes of one shard", https, "mib_per_second") /
                        median("two shards", https, "mib_per_second"), 1.05, 1.05)
    table.goals_of_both("cores that the caller's thread takes beside two shards",
                        lambda https: median("two shards", https, "home_cpu"), 0.05, 0.05)
    table.goals_of_both("cores that the server takes then",
                        lambda https: median("two shards", https, "server_cpu"), 0.3, 0.3)
    table.goal("small: CPU of a request by two shards / by one",
               median("two shards", None, "client_cpu_us_per_request") /
               median("one shard", None, "client_cpu_us_per_request"), 2)
    if CORES >= 16:
        count, cores = CORES // 8, f"0-{CORES - 1}"
        for name, method, https in (("downloads", "get", False), ("uploads", "put", False),
                                    ("uploads, HTTPS", "put", True)):
            got = statistics.median(
                carry(method, https, (1, count), 64 << 20, 32, seconds, cores)["mib_per_second"]
                for _ in range(4 * runs))
            table.goal(f"25 Gbit/s / {name} of {count} shards", 25e9 / 8 / MIB / got, 1)
    return table
