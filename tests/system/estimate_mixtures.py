"""estimate_mixtures.py: buckets of real files, estimated, replicated, and billed.

Without it: an estimate that holds for made-up text, and for no bucket that anybody has. Where there
are no real files ($LONGHAUL_CORPUS), stand-ins of as many kinds are made.
"""

import gzip
import json
import random

from harness import Thing, World, check, corpus, make_buckets, put_all, rule, step, store_of, text_bytes

# Of each kind of file every so many of them; the rest is left out.
MIXTURES = {
    "events-and-logs": {"json-events": 2, "logs": 1, "json": 3, "csv": 3},
    "documents": {"text": 1, "xml": 1, "json": 1, "png-jpg": 3, "json-events": 40},
    "lake": {"parquet-snappy": 1, "parquet-zstd": 1, "csv-gz": 1, "csv": 1, "binary": 1,
             "png-jpg": 1, "overwrite-pairs": 1},
}
PAID = ("transfer", "requests_at_the_source", "requests_at_the_staging",
        "requests_at_the_target", "processor")


def stand_ins() -> list[Thing]:
    """Files of the kinds of the corpus, each kind with some variety of its own."""
    random_ = random.Random(7)
    made = []

    def table(rows: int) -> bytes:
        places = [f"place-{random_.randrange(10**6)}" for _ in range(random_.randrange(5, 200))]
        return b"".join(
            f"{number},{random_.choice(places)},{random_.gauss(50, 20):.3f},"
            f"{random_.randrange(1000)}\n".encode() for number in range(rows))

    for number in range(1500):
        body = json.dumps({"id": number, "user": f"u-{random_.randrange(5000)}",
                           "event": random_.choice(["put", "get", "list"]),
                           "ip": ".".join(str(random_.randrange(256)) for _ in range(4)),
                           "agent": "x" * random_.randrange(900), "ok": number % 3 == 0})
        made.append(Thing(f"json-events/{number % 9}/{number:05}.json", body.encode()))
    for number in range(30):
        made.append(Thing(f"logs/{number:02}.log", text_bytes(random_, 250_000)))
        made.append(Thing(f"csv/{number:02}.csv", table(4_000)))
        made.append(Thing(f"json/{number:02}.json", json.dumps(
            [{"n": i, "value": random_.random(), "tags": ["a", "b"] * (i % 3)}
             for i in range(1_500)]).encode()))
        made.append(Thing(f"xml/{number:02}.xml", b"".join(
            f'<word x="{random_.randrange(2000)}" y="{random_.randrange(2000)}">w{i % 97}</word>\n'
            .encode() for i in range(2_000))))
        made.append(Thing(f"text/{number:02}.txt", text_bytes(random_, 90_000)))
        made.append(Thing(f"png-jpg/{number:02}.jpg", random_.randbytes(180_000)))
        made.append(Thing(f"csv-gz/{number:02}.csv.gz", gzip.compress(table(9_000))))
        numbers = b"".join(random_.randrange(3_000).to_bytes(4, "little") for _ in range(40_000))
        for kind in ("parquet-snappy", "parquet-zstd", "binary"):
            made.append(Thing(f"{kind}/{number:02}.bin", numbers + random_.randbytes(40_000)))
        first = table(2_000)
        made.append(Thing(f"overwrite-pairs/{number:02}.v1.csv", first))
        made.append(Thing(f"overwrite-pairs/{number:02}.v2.csv", first + table(50)))
    return made


def mixture(files: list[Thing], parts: dict[str, int]) -> list[Thing]:
    taken = []
    for kind, every in parts.items():
        taken += [thing for thing in files if thing.key.startswith(kind + "/")][::every]
    return sorted(taken, key=lambda thing: thing.key)


def off(said: float, real: float) -> float:
    return said / real - 1


def main() -> None:
    with World("estimate-mixtures") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("gateway", "target")
        make_buckets(source, target)
        stores = {"source": source, "target": store_of(target.endpoint, region="eu-west-1")}
        files = corpus("") or stand_ins()
        for name, parts in MIXTURES.items():
            objects = mixture(files, parts)
            size = sum(len(thing.body) for thing in objects)
            source.s3.create_bucket(Bucket=name)
            put_all(source.s3, name, objects)
            database = f"sqlite:{name}.db"
            config = world.config(
                stores, [rule(f"source:{name}/", f"target:copy/{name}/", f"target:staging/{name}/")],
                f"{name}.yaml", queue=database, state=database)

            step(f"{name}: {len(objects)} objects, {size:,} bytes")
            lines = world.run("estimate", f"source:{name}", "--to", "eu-west-1", "--json",
                              "--config", config).expect(0).lines()
            said = lines[-1]
            way = {line["way"]: line for line in lines
                   if line["event"] == "way" and line["volume"] == "all"}
            ran = world.run("replicate", "--config", config, "--once",
                            "--json").expect(0).lines()[-1]
            bill = world.run("savings", "--config", config, "--json").expect(0).lines()[-1]
            check(bill["objects"] == len(objects) and bill["bytes"] == size, f"{bill}")
            check(not said["unknown_prices"] and bill["whole"], f"{said}, {bill}")

            ratio = off(said["packed_bytes"], ran["sent_bytes"])
            money = off(way["longhaul"]["pico_dollars"], bill["paid_pico_dollars"])
            step(f"  ratio {said['ratio']:.2f}, bytes {ratio:+.1%}; money {money:+.1%}; "
                 f"native {off(way['native']['pico_dollars'], bill['native_pico_dollars']):+.2%}, "
                 f"copy {off(way['copy']['pico_dollars'], bill['copy_pico_dollars']):+.2%}")
            for part in PAID:
                step(f"    {part}: estimated {way['longhaul'][part] / 1e12:.8f}, "
                     f"paid {bill['paid_' + part] / 1e12:.8f}")
            check(abs(ratio) <= 0.05, f"{name}: the ratio is off by {ratio:.1%}")
            check(abs(money) <= 0.1, f"{name}: the money is off by {money:.1%}")
            for other in ("native", "copy"):
                wrong = off(way[other]["pico_dollars"], bill[other + "_pico_dollars"])
                check(abs(wrong) <= 0.02, f"{name}: {other} is off by {wrong:.1%}")
        step("ok")


if __name__ == "__main__":
    main()
