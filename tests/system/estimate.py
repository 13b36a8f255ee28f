"""estimate.py: what `estimate` says of a mixture is what `replicate` then does.

Without it: advice that looks exact and is not would be believed with other people's money.
"""

import random

from harness import Thing, World, check, make_buckets, put_all, rule, step, store_of, text_bytes


def mixture() -> list[Thing]:
    """Logs, JSON records, small and large; and what does not shrink."""
    random_ = random.Random(5)
    made = []
    for number in range(120):
        made.append(Thing(f"logs/day-{number:03}.log", text_bytes(random_, 60_000)))
    for number in range(1500):
        body = (f'{{"id": {number}, "name": "user-{random_.randrange(10**6)}", "active": '
                f'{"true" if number % 3 else "false"}, "score": {random_.random():.6f}}}\n')
        made.append(Thing(f"events/{number % 20:02}/{number:05}.json", body.encode() * 3))
    for number in range(60):
        made.append(Thing(f"images/{number:03}.jpg", random_.randbytes(120_000)))
    made.append(Thing("dumps/large.csv", text_bytes(random_, 10_000_000)))
    return made


def estimate(world: World, config, source: str, *flags) -> list[dict]:
    return world.run("estimate", source, "--to", "eu-west-1", "--json", "--config", config,
                     *flags).expect(0).lines()


def main() -> None:
    with World("estimate") as world:
        source = world.serve("minio", "source")
        target = world.serve("gateway", "target")
        make_buckets(source, target)
        objects = mixture()
        put_all(source.s3, "data", objects)
        size = sum(len(thing.body) for thing in objects)
        config = world.config(
            {"source": source, "target": store_of(target.endpoint, region="eu-west-1")}, [rule()])

        step("an estimate that reads a sixth")
        lines = estimate(world, config, "source:data", "--sample", f"{size // 6}")
        said = lines[-1]
        check(lines[0]["event"] == "own_cost", f"{lines[0]}")
        check(said["objects"] == len(objects) and said["bytes"] == size, f"{said}")
        check(said["sample_bytes"] < size / 3, f"read {said['sample_bytes']} of {size}")
        check(not said["unknown_prices"], f"{said['unknown_prices']}")

        step("what replicate really does")
        ran = world.run("replicate", "--config", config, "--once", "--json").expect(0).lines()[-1]
        off = said["packed_bytes"] / ran["sent_bytes"] - 1
        step(f"estimated {said['packed_bytes']:,} bytes, sent {ran['sent_bytes']:,}: {off:+.2%}; "
             f"sampled {said['sample_bytes'] / size:.0%}")
        check(abs(off) <= 0.05, f"the ratio is off by {off:.1%}")

        bill = world.run("savings", "--config", config, "--json").expect(0).lines()[-1]
        way = next(line for line in lines if line.get("way") == "longhaul"
                   and line["volume"] == "all")
        for part in ("transfer", "requests_at_the_source", "requests_at_the_staging",
                     "requests_at_the_target"):
            paid = bill["paid_" + part]
            step(f"{part}: estimated {way[part] / 1e12:.8f}, paid {paid / 1e12:.8f}")
            # How often the staging is looked at depends on time, not on what is carried.
            check(part.endswith("staging") or abs(way[part] / paid - 1) <= 0.1,
                  f"{part}: {way[part]} is off {paid}")

        step("small objects are S3's own")
        source.s3.create_bucket(Bucket="small")
        put_all(source.s3, "small", [Thing(f"{number:05}.json", bytes([48 + number % 10]) * 2000)
                                     for number in range(2000)])
        said = estimate(world, config, "source:small")[-1]
        check(said["best"] == "native", f"{said}")
        world.run("estimate", "source:small", "--to", "eu-west-1", "--config", config).expect(
            0, "use native replication", "this estimate costs", "entered by hand")

        step("limits")
        world.run("estimate", "source:small", "--to", "eu-west-1", "--config", config,
                  "--max-cost", "0.000001").expect(2, "listing alone costs more")
        cheap = estimate(world, config, "source:small", "--max-cost", "0.00002")[-1]
        # Two pages of a list request each, and what is left for GETs.
        check(0 < cheap["sample_objects"] <= 25, f"{cheap}")
        world.run("estimate", "source:data", "--to", "moon-1", "--config", config).expect(
            2, "'moon-1' is a region that neither")
        own = world.config({"source": source, "target": store_of(target.endpoint, region="cellar")},
                           [], "own.yaml")
        world.run("estimate", "source:data", "--to", "cellar", "--config", own).expect(
            0, "transfer/us-east-1/cellar", "no advice")
        world.run("estimate", "source:nothing", "--to", "eu-west-1", "--config", config).expect(3)
        step("ok")


if __name__ == "__main__":
    main()
