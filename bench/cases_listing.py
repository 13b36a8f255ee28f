"""Listings of a million keys."""

from fake_listing import FakeListing
from harness import World, check, store_of
from tables import SCHEMES, Table
from tls_front import TlsFront


def listing(runs: int) -> Table:
    table = Table("List 1,000,000 keys",
                  "`longhaul ls --recursive` of a server that has its pages ready.")
    with World("bench") as world:
        server = FakeListing(1_000_000)
        front = TlsFront(world.work, server.endpoint)
        world.callback(front.close)
        for https in SCHEMES * runs:
            end = front.servers[0] if https else server
            config = world.config({"fake": store_of(end.endpoint)}, [], "ls.yaml")
            ran = table.add("longhaul ls", world.run(
                "ls", "--config", config, "--recursive", "fake:data/", timeout=600,
                env={"AWS_CA_BUNDLE": str(front.certificate)}), https)
            lines = ran.stdout.count("key-")
            check(lines == 1_000_000, f"{lines} keys")
        server.close()
    table.goals_of_both("CPU s", lambda https: table.cpu("longhaul ls", https), 2, 2)
    table.goals_of_both("peak RSS MiB", lambda https: table.rss_mib("longhaul ls", https), 100, 100)
    return table


def list_flat(runs: int) -> Table:
    table = Table("List a flat prefix of 1,000,000 keys in no pattern, pages of 50 ms",
                  "`longhaul ls --recursive`; beside it `--listers 1`, once.")
    with World("bench") as world:
        server = FakeListing(1_000_000, pattern=False, seconds=0.05)
        config = world.config({"fake": store_of(server.endpoint)}, [], "ls.yaml")
        for name, times, flags in (("64 listers", runs, []), ("one lister", 1, ["--listers", "1"])):
            for _ in range(times):
                ran = table.add(name, world.run("ls", "--config", config, "--recursive", *flags,
                                                "fake:data/", timeout=600))
                keys = [line.split("  ")[-1] for line in ran.stdout.splitlines()]
                check(len(keys) == 1_000_000 and keys == sorted(set(keys)), f"{len(keys)} keys")
        server.close()
    table.goal("wall s, 64 listers ÷ one lister", table.wall("64 listers") / table.wall("one lister"),
               0.05)
    table.goal("peak RSS MiB", table.rss_mib("64 listers"), 150)
    return table
