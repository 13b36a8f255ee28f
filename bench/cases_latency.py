"""How long it takes until a change is at the target."""

import concurrent.futures
import os
import time

from buckets import small_things
from harness import Thing, World, check, free_port, http, make_buckets, rule, step, wait_until
from kill9 import listener
from tables import SCHEMES, Table
from tls_front import TlsFront


def latency(_: int) -> Table:
    """From a change at the source to the same at the target."""
    rules, changes, burst = 10, 1000, 20_000
    table = Table("How long a change takes",
                  f"From the end of a PUT to the replica, a continuous `replicate` that hears of it by "
                  f"webhook, `settle` of 2 s. *idle*: {rules} rules, {changes // rules} changes of each, "
                  f"one after the other, every second of them of an object that is there; then a burst of {burst:,} × 4 KiB for one rule, as fast as the "
                  "source takes them.")
    things = small_things(changes + burst)
    figures = {https: watch_changes(table, https, rules, changes, things) for https in SCHEMES}
    for text, limit in (("idle: s, p50", 2 + 3), ("idle: s, p99", 2 + 3),
                        ("burst: s, the last to arrive after its PUT", 60),
                        ("burst: objects over the rule's threshold of 60 s", 0)):
        table.goals_of_both(text, lambda https: figures[https][text], limit, limit)
    return table


def watch_changes(table: Table, https: bool, rules: int, changes: int,
                  things: list[Thing]) -> dict[str, float]:
    burst = len(things) - changes
    with World("bench") as world:
        port = free_port()
        with listener(port):
            source = world.serve("versitygw", "source", keep_alive=True,
                                 webhook=f"http://127.0.0.1:{port}/v1/events")
        target = world.serve("versitygw", "target", keep_alive=True)
        make_buckets(source, target)
        front = TlsFront(world.work, source.endpoint, target.endpoint)
        world.callback(front.close)
        ends = front.servers if https else [source, target]
        made = []
        for number in range(rules):
            made.append(rule(f"source:data/{number}/", f"target:copy/{number}/",
                             intake={"webhook": True, "listing": "1h"}, threshold="60s")
                        | {"id": f"rule-{number}"})
        config = world.config(dict(zip(("source", "target"), ends)), made,
                              listen=f"127.0.0.1:{port}")
        process = world.start("replicate", "--config", config,
                              env={"AWS_CA_BUNDLE": str(front.certificate)})
        wait_until(lambda: http(f"http://127.0.0.1:{port}/readyz")[0] == 200, 30, "ready")
        time.sleep(3)

        took: list[float] = []
        begun = time.monotonic()

        def change(number: int):
            mine = things[number:changes:rules]
            for turn, thing in enumerate(mine):
                # Every second one changes the object before it.
                key = f"{number}/{mine[turn // 2 * 2].key}"
                etag = source.s3.put_object(Bucket="data", Key=key, Body=thing.body)["ETag"]
                at = time.monotonic()
                while True:
                    time.sleep(0.1)
                    try:
                        if target.s3.head_object(Bucket="copy", Key=key)["ETag"] == etag:
                            break
                    except target.s3.exceptions.ClientError:
                        pass
                    check(time.monotonic() < at + 60, f"{key} does not arrive")
                took.append(time.monotonic() - at)

        with concurrent.futures.ThreadPoolExecutor(rules) as pool:
            for done in [pool.submit(change, number) for number in range(rules)]:
                done.result()
        took.sort()
        step(f"idle: p50 {took[len(took) // 2]:.2f} s, p99 {took[len(took) * 99 // 100]:.2f} s, "
             f"max {took[-1]:.2f} s")

        put_at: dict[str, float] = {}
        late: list[float] = []

        # Each object is a file of the server's: to list them takes nothing from those who work.
        def names() -> set[str]:
            return {name for _, _, files in os.walk(target.folder / "copy/0") for name in files}

        there = names()
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            def put(thing: Thing):
                source.s3.put_object(Bucket="data", Key=f"0/{thing.key}", Body=thing.body)
                put_at[thing.key.split("/")[1]] = time.monotonic()

            done = [pool.submit(put, thing) for thing in things[changes:]]
            while len(late) < burst:
                now = time.monotonic()
                for name in names() - there:
                    there.add(name)
                    late.append(now - put_at.get(name, now))
                check(now < begun + 1800, "the burst does not arrive")
                time.sleep(0.5)
            for one in done:
                one.result()
        metrics = http(f"http://127.0.0.1:{port}/metrics")[1]
        missed = sum(float(line.split()[-1]) for line in metrics.splitlines()
                     if line.startswith("longhaul_threshold_missed_total"))
        process.kill(15)
        finished = process.wait(40)
        finished.code = 0
        table.add("longhaul replicate, from start to end", finished, https)
    return {"idle: s, p50": took[len(took) // 2], "idle: s, p99": took[len(took) * 99 // 100],
            "burst: s, the last to arrive after its PUT": max(late),
            "burst: objects over the rule's threshold of 60 s": missed}
