"""cache_crowd.py [OBJECTS [KIND...]]: many fills at once over prefixes that overlap at random,
and some of them are killed. On each kind of server, as the copies are made by the server itself.

Without it: that of all the runs that want a key one copies it, that a killed one leaves no lock and
nothing undone, and that a forced run copies each key once more and no more than that, would be
known of fakes alone. The server's own count says how often each key was copied.
"""

import random
import sys
import time

from fault_proxy import FaultProxy
from harness import World, check, keys_of, step, store_of, wait_until

OBJECTS = int((sys.argv + ["400"])[1])
KINDS = sys.argv[2:] or ["versitygw", "minio", "rgw"]
PREFIXES, RUNS = 20, 8
# What was in flight when its run was killed may have been done or not, and its row says neither: the
# next one looks whether the copy is there, and copies what has not arrived yet.
IN_FLIGHT = 4
# Of a forced run, also what was copied in the second in which it was claimed, where the row had not
# been written yet: by its time such a copy may be one from before.
UNWRITTEN = 100


def put_all_fast(world: World, server, count: int, prefixes: int) -> None:
    """By longhaul itself: boto3 would take longer than all the rest."""
    folder = world.folder / f"of-{server.name}"
    for number in range(count):
        path = folder / f"p{number % prefixes:02}" / f"{number:07}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"object %d" % number)
    config = world.config({"east": server}, [], f"put-{server.name}.yaml")
    world.run("cp", "--config", config, "--recursive", f"{folder}/", "east:data/",
              timeout=3600).expect(0)


def fill_words(config, prefixes: list[str], *flags: str) -> list:
    return ["cache", "fill", *(f"east:data/{prefix}" for prefix in prefixes), "--to", "east:cache",
            "--ttl", "1h", "--transfers", str(IN_FLIGHT), "--wait", "--json", *flags, "--config",
            config]


def some_prefixes(random_: random.Random) -> list[str]:
    """Equal ones, wider ones, narrower ones, and at times the whole bucket."""
    kind = random_.random()
    if kind < 0.15:
        return [""]
    wide = [f"p{number:02}/" for number in random_.sample(range(PREFIXES), min(PREFIXES, 6))]
    if kind < 0.4:
        return [f"p{random_.randrange(max(1, PREFIXES // 10))}", *wide[:2]]
    return [prefix + random_.choice(["", "", "0", "00000"]) for prefix in wide]


def crowd(world: World, kind: str, seed: int) -> None:
    random_ = random.Random(seed)
    server = world.serve(kind, f"{kind}-{seed}")
    for bucket in ("data", "cache"):
        server.s3.create_bucket(Bucket=bucket)
    put_all_fast(world, server, OBJECTS, PREFIXES)
    wanted = keys_of(server.s3, "data")
    proxy = FaultProxy(server.endpoint)
    world.callback(proxy.close)
    config = world.config({"east": store_of(proxy.endpoint)}, [], f"{kind}.yaml",
                          state=f"sqlite:{kind}.db")
    step(f"{kind}: {len(wanted)} objects")

    def copies() -> dict[str, int]:
        """By key, of those that the cache was sent since it was asked last."""
        counted = {path.split("?")[0].removeprefix("/cache/"): count
                   for path, count in proxy.puts.items() if path.startswith("/cache/")}
        proxy.puts.clear()
        return counted

    # Forced runs copy anew what was there before them: one asks for all of it, and the others, which
    # begin later, count what it has copied.
    for forced, kills_first in ((False, False), (True, False), (True, True)):
        flags = ("--force",) if forced else ()
        first = world.start(*fill_words(config, [""] if forced else some_prefixes(random_), *flags))
        wait_until(lambda: proxy.puts, 60, "the first run copies", every=0.02)
        killed = 0
        if kills_first:
            killed += first.running()
            first.kill()
            first.wait(10)
            number = world.run("cache", "status", "east:cache", "--json", "--config", config).expect(
                0).lines()
            number = [line["run"] for line in number if line["event"] == "run"][-1]
            first = world.start(*fill_words(config, [""], *flags, "--resume", str(number)))
        running = [first]
        for _ in range(RUNS - 1):
            running.append(world.start(*fill_words(config, some_prefixes(random_))))
            time.sleep(random_.random() * 0.3)
        victims = [] if forced else random_.sample(running, max(1, RUNS // 4))
        for victim in victims:
            time.sleep(random_.random() * 0.5)
            killed += victim.running()
            victim.kill()
        for process in running:
            done = process.wait(1800)
            if process in victims and done.code == -9:
                continue
            summary = done.expect(0).lines()[-1]
            check(summary["failed"] == 0 and not summary["WaitingForJobs"], f"a run: {summary}")
        last = world.run(*fill_words(config, [""]), timeout=1800).expect(0).lines()[-1]
        check(last["failed"] == 0 and last["hits"] + last["copied"] == len(wanted), f"last: {last}")
        counted = copies()
        again = sum(count - 1 for count in counted.values())
        check(set(counted) == set(wanted), f"{len(counted)} of {len(wanted)} keys were copied")
        check(again <= killed * (IN_FLIGHT + (UNWRITTEN if forced else 0)),
              f"{again} keys were copied more than once, {killed} runs killed")
        step(f"{kind}: {RUNS} runs{', forced' if forced else ''}, {killed} killed under way: each of "
             f"{len(counted)} keys copied once, {again} again after a kill")

    left = [line for line in world.run("cache", "ls", "east:cache", "--json", "--config", config)
            .expect(0).lines() if line["event"] == "entry" and line["state"] != "ready"]
    check(not left, f"locks are left: {left[:5]}")
    done = world.run(*fill_words(config, [""]), timeout=1800).expect(0).lines()[-1]
    check((done["hits"], done["copied"]) == (len(wanted), 0) and not copies(),
          f"a fill of what is there: {done}")
    check(keys_of(server.s3, "cache") == wanted, "the cache holds other keys")
    world.processes = [process for process in world.processes if process.running()]


def main() -> None:
    with World("cache-crowd", OBJECTS * 64 << 10) as world:
        for seed, kind in enumerate(KINDS):
            crowd(world, kind, seed)
        step("done")


main()
