"""savings.py: what `replicate` counts is what `savings` bills, over runs and a kill.

Without it: a counter that nobody reads, or one that a restart begins anew, would be seen on a bill.
"""

import csv
import io
import time

from harness import World, check, make_buckets, put_all, rule, step, store_of, things, wait_until

PRICES = {"transfer/us-east-1/eu-west-1": "0.02", "request/*/put/*": "0.000005",
          "request/*/get/*": "0.0000004", "request/*/list/*": "0.000005",
          "request/*/delete/*": "0", "storage/*/*": "0.023", "vcpu_second/*": "0.00001"}


def savings(world: World, config, *flags) -> list[dict]:
    return world.run("savings", "--config", config, "--json", *flags).expect(0).lines()


def main() -> None:
    with World("savings") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("gateway", "target")
        make_buckets(source, target)
        objects = things(400)
        put_all(source.s3, "data", objects)
        stores = {"source": source, "target": store_of(target.endpoint, region="eu-west-1")}
        config = world.config(stores, [rule()], prices=PRICES)

        step("a ledger of nothing")
        nothing = savings(world, config)
        check([line["event"] for line in nothing] == ["summary"], f"{nothing}")
        check(nothing[-1]["paid_pico_dollars"] == 0, f"{nothing[-1]}")
        world.run("savings", "--config", config).expect(0, "nothing has been carried")

        step("replicate --once")
        ran = world.run("replicate", "--config", config, "--once", "--json").expect(0).lines()[-1]
        all_ = savings(world, config)[-1]
        check(all_["objects"] == len(objects), f"{all_['objects']} objects, not {len(objects)}")
        check(all_["bytes"] == sum(len(thing.body) for thing in objects), f"{all_}")
        check(all_["whole"] and not all_["unknown_prices"], f"{all_['unknown_prices']}")
        # One PUT for each object at least, and one GET.
        check(all_["paid_requests_at_the_target"] >= len(objects) * 5_000_000, f"{all_}")
        check(all_["paid_requests_at_the_source"] >= len(objects) * 400_000, f"{all_}")
        # Receipts go there besides the archives.
        transfer = ran["sent_bytes"] * 20_000_000_000 / 2**30
        check(transfer <= all_["paid_transfer"] <= transfer * 1.2 + 1e6,
              f"{all_['paid_transfer']}, not {transfer}")
        native = all_["bytes"] * 20_000_000_000 / 2**30 + len(objects) * 5_000_000
        check(abs(all_["native_pico_dollars"] - native) <= 1, f"{all_}, not {native}")
        check(all_["paid_processor"] > 0, f"{all_}")

        step("by target and day, as CSV, and for people")
        by_target = savings(world, config, "--by", "target")[:-1]
        check(sum(line["paid_pico_dollars"] for line in by_target) == all_["paid_pico_dollars"],
              f"{by_target}")
        check(any(line["what"].startswith("main/") and line["objects"] == len(objects)
                  for line in by_target), f"{by_target}")
        rows = list(csv.DictReader(io.StringIO(
            world.run("savings", "--config", config, "--csv", "--by", "day").expect(0).stdout)))
        check(sum(int(row["objects"]) for row in rows) == len(objects), f"{rows}")
        check(all(abs(float(row["native_replication"]) - float(row["paid"]) - float(row["net"]))
                  < 1e-11 for row in rows), f"{rows}")
        world.run("savings", "--config", config).expect(0, "paid", "native replication", "#",
                                                        "entered by hand")

        step("what nobody knows the price of is named")
        few = {name: dollars for name, dollars in PRICES.items()
               if not name.startswith(("transfer/", "vcpu"))}
        few["transfer/eu-west-1/us-east-1"] = "1"
        partly = world.config({**stores, "target": store_of(target.endpoint, region="cellar")},
                              [rule()], "partly.yaml", prices=few)
        # The rows keep the regions of the time: only another region's prices are missing there.
        put_all(source.s3, "data", things(20, seed=7))
        world.run("replicate", "--config", partly, "--once").expect(0)
        told = savings(world, partly)[-1]
        check(not told["whole"] and any("cellar" in name for name in told["unknown_prices"]),
              f"{told}")
        check("net_pico_dollars" not in told, f"{told}")

        step("a kill loses a minute at most, and counts nothing twice")
        before = savings(world, config)[-1]
        process = world.start("replicate", "--config", config)
        time.sleep(2)
        process.kill()
        process.wait()
        after = savings(world, config)[-1]
        check(after["objects"] == before["objects"], f"{after} after {before}")
        check(after["paid_pico_dollars"] == before["paid_pico_dollars"], f"{after} after {before}")
        step("ok")


if __name__ == "__main__":
    main()
