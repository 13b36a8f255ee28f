"""tuner.py: `compression: auto` follows the prices, and says what it does.

Without it: a level that is chosen and never reaches an archive, or one of which nobody can say why.
"""

import random

from harness import (World, check, check_equal, make_buckets, put_all, rule, step, store_of,
                     text_bytes, things, wait_until, Thing)

PRICES = {"transfer/us-east-1/eu-west-1": "0.02", "vcpu_second/*": "0.0000131"}


def levels(world: World, config) -> list[dict]:
    lines = world.run("rules", "status", "--config", config, "--json").expect(0).lines()
    return [line for line in lines if line["event"] == "level"]


def main() -> None:
    with World("tuner") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("gateway", "target")
        make_buckets(source, target)
        random_ = random.Random(1)
        objects = things(50) + [Thing(f"logs/{i}.log", text_bytes(random_, 2_000_000))
                                for i in range(20)]
        put_all(source.s3, "data", objects)
        far = {"source": source, "target": store_of(target.endpoint, region="eu-west-1")}

        step("what is not bounded, and what is fixed")
        config = world.config(far, [rule()], prices=PRICES)
        shown = world.run("config", "check", "--config", config).expect(0, "compression auto").stdout
        check("levels 1 to 19" in shown, shown)
        fixed = world.config(far, [rule(compression=6)], "fixed.yaml", prices=PRICES)
        world.run("config", "check", "--config", fixed).expect(0, "compression level 6")
        wrong = world.config(far, [rule(compression=6, tuner={"max": 9})], "wrong.yaml")
        world.run("config", "check", "--config", wrong).expect(2, "bounds a level that is fixed")

        step("the level of each kind, and why")
        bounded = world.config(far, [rule(tuner={"min": 2, "max": 3})], "bounded.yaml",
                               prices=PRICES)
        running = world.start("replicate", "--config", bounded)
        wait_until(lambda: any(line["kind"].startswith("log ") for line in levels(world, bounded)),
                   120, "a level of logs")
        for line in levels(world, bounded):
            check(2 <= line["level"] <= 3 and "a GiB costs $" in line["why"], f"{line}")
        told = world.run("rules", "status", "--config", bounded).expect(0).stdout
        check("for log text" in told and "of processor time" in told, told)
        told = world.run("explain", "source:data/logs/1.log", "--config", bounded).expect(0).stdout
        check("for log text" in told and "of transfer" in told, told)
        running.kill(15)
        running.wait()

        step("a price that nobody knows is named, and the level stays")
        cellar = {"source": source, "target": store_of(target.endpoint, region="cellar")}
        unknown = world.config(cellar, [rule()], "unknown.yaml")
        put_all(source.s3, "data", things(5, seed=3))
        running = world.start("replicate", "--config", unknown)
        wait_until(lambda: levels(world, unknown), 60, "a level")
        line = levels(world, unknown)[0]
        check(line["level"] == 6 and "transfer/us-east-1/cellar" in line["why"], f"{line}")
        running.kill(15)
        running.wait()
        world.run("replicate", "--config", config, "--once").expect(0)
        check_equal(source, target)


if __name__ == "__main__":
    main()
