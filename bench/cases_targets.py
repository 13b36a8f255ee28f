"""What more targets, a backup and a shared database cost the source."""

import dataclasses

from buckets import Buckets, small_things
from cases_distance import Distance
from harness import BINARY, World, put_all, rule
from results import CORES
from tables import SCHEMES, Table


def targets(runs: int) -> Table:
    """What a second and a third target cost the source."""
    table = Table("Replicate to three targets, source",
                  "20,000 × 4 KiB, level 6, `--roles source`: one target beside three, each of which "
                  "has a staging of its own.")
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", small_things())
        for number, https in enumerate(SCHEMES * runs):
            for count in (1, 3):
                made = rule("source:data/", "", "", compression=6)
                made["targets"] = [{"to": f"target:{buckets.empty()}/",
                                    "staging": f"target:{buckets.empty()}/"} for _ in range(count)]
                database = f"sqlite:{count}-{number}.db"
                config = world.config(buckets.stores(https), [made], f"{count}-{number}.yaml",
                                      queue=database, state=database)
                table.add("one target" if count == 1 else "three targets", world.run(
                    "replicate", "--config", config, "--once", "--roles", "source", timeout=3600,
                    env=buckets.env), https)
    table.goals_of_both("CPU / that of one target", lambda https: table.cpu("three targets", https) /
                        table.cpu("one target", https), 1.1, 1.1)
    return table


def backup(runs: int) -> Table:
    """What a backup beside a replica costs the source."""
    table = Table("Replicate to a target and a backup, source",
                  "20,000 × 4 KiB, level 6, `--roles source`: a target alone beside the same target "
                  "and a backup of the same rule; both go through one staging.")
    with World("bench") as world:
        buckets = Buckets(world)
        put_all(buckets.source.s3, "data", small_things())
        for number, https in enumerate(SCHEMES * runs):
            for name, kinds in (("a target", [{}]), ("a target and a backup", [{}, {"backup": {}}])):
                made = rule("source:data/", "", "", compression=6)
                staging = f"target:{buckets.empty()}/"
                made["targets"] = [{"to": f"target:{buckets.empty()}/", "staging": staging, **kind}
                                   for kind in kinds]
                database = f"sqlite:{len(kinds)}-{number}.db"
                config = world.config(buckets.stores(https), [made], f"{len(kinds)}-{number}.yaml",
                                      queue=database, state=database)
                table.add(name, world.run(
                    "replicate", "--config", config, "--once", "--roles", "source", timeout=3600,
                    env=buckets.env), https)
    table.goals_of_both("CPU / that of the target alone",
                        lambda https: table.cpu("a target and a backup", https) /
                        table.cpu("a target", https), 1.05, 1.05)
    return table


def cluster(runs: int) -> Table:
    """What a shared database costs the source, and what a second process brings."""
    table = Table("Replicate over PostgreSQL, source",
                  "20,000 × 4 KiB, level 12, `--once --roles source`, each process on a core of its "
                  "own: one over SQLite, one over PostgreSQL, and two that pack the same over it; of "
                  "these the CPU of both, and the time until both have ended. Two beside each other "
                  "want more cores than this machine has, as the servers work as well; so once more "
                  f"60,000 of them with the source's server {Distance.MILLISECONDS} ms (round trip) "
                  "away, where cores are not what is waited for.")
    with World("bench") as world:
        buckets = Buckets(world)
        things_ = small_things()
        put_all(buckets.source.s3, "data", things_)
        buckets.source.s3.create_bucket(Bucket="more")
        put_all(buckets.source.s3, "more", small_things(60_000))
        database = world.serve("postgres")
        between = Distance(world, buckets.source)
        between.far()

        def pack(name: str, place: str, count: int, source=buckets.source, bucket="data") -> None:
            staging = buckets.empty()
            config = world.config(
                {"source": source, "target": buckets.target},
                [rule(f"source:{bucket}/", f"target:{buckets.empty()}/", f"target:{staging}/",
                      compression=12)], f"{staging}.yaml", queue=place, state=place)
            world.run("setup", "--config", config).expect(0)
            processes = [world.start("-c", str(number % CORES), BINARY, "replicate", "--config",
                                     config, "--once", "--roles", "source", "--json",
                                     binary="taskset") for number in range(count)]
            done = [process.wait(3600).expect(0) for process in processes]
            table.add(name, dataclasses.replace(
                done[0], cpu_seconds=sum(one.cpu_seconds for one in done),
                seconds=max(one.seconds for one in done),
                peak_rss_bytes=max(one.peak_rss_bytes for one in done)))
            table.bytes_sent[name] = buckets.staged_bytes(staging)
            buckets.drop(staging)

        for number in range(runs):
            schema = f"{database.endpoint}?schema=bench_{number}"
            pack("one over SQLite", f"sqlite:cluster-{number}.db", 1)
            pack("one over PostgreSQL", schema + "_one", 1)
            pack("two over PostgreSQL", schema + "_two", 2)
            pack("one, source far away", schema + "_one_far", 1, between.store, "more")
            pack("two, source far away", schema + "_two_far", 2, between.store, "more")
        between.close()
    table.goal("CPU over PostgreSQL / over SQLite",
               table.cpu("one over PostgreSQL") / table.cpu("one over SQLite"), 1.1)
    table.goal("wall of two / of one",
               table.wall("two over PostgreSQL") / table.wall("one over PostgreSQL"), 0.6)
    table.goal("wall of two / of one, source far away",
               table.wall("two, source far away") / table.wall("one, source far away"), 0.6)
    return table
