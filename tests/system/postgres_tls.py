"""postgres_tls.py: queue and state in a PostgreSQL that is reached by TLS, as `sslmode` and
`sslrootcert` of its URL say. Who is not who it should be gets no password, and the message says why;
what comes of it is the same as elsewhere, also when the server has got another certificate."""

import shutil

from harness import (World, check, differences, make_buckets, put_all, rule, step, things,
                     wait_until)
from https import make_certificate


def main() -> None:
    with World("postgres-tls") as world:
        good = make_certificate(world.work, "database")
        stranger = make_certificate(world.work, "stranger")
        # For another host than the one that is asked.
        elsewhere = make_certificate(world.work, "elsewhere", "DNS:db.example")
        database = world.serve("postgres", certificate=good)
        plain = world.serve("postgres", "plain")
        source, target = (world.serve("versitygw", name) for name in ("source", "target"))
        make_buckets(source, target)
        objects = things(100)
        put_all(source.s3, "data", objects)
        trusted = world.work / "trusted.pem"
        shutil.copy(good[0], trusted)

        def config(server, **options):
            query = "&".join(f"{name}={value}" for name, value in options.items())
            return world.config({"source": source, "target": target}, [rule()],
                                queue=f"{server.endpoint}?{query}", state=f"{server.endpoint}?{query}")

        full = {"sslmode": "verify-full", "sslrootcert": trusted}

        step("who is not trusted, is somebody else or speaks no TLS: the reason is told")
        for server, options, reason in (
                (database, full | {"sslrootcert": stranger[0]}, "certificate"),
                (database, full | {"sslrootcert": world.work / "nothing.pem"}, "nothing.pem"),
                (plain, full, "does not support SSL"),
                (database, {"sslmode": "disable"}, "no encryption")):
            ran = world.run("setup", "--config", config(server, **options))
            check(ran.code != 0 and reason in ran.stderr, f"exit {ran.code}: {ran.stderr}")
            print(f"exit {ran.code}: {ran.stderr.strip()[:300]}")

        step("who is trusted carries")
        path = config(database, **full)
        world.run("setup", "--config", path).expect(0, "are there")
        world.run("replicate", "--once", "--config", path).expect(0)
        found = differences(source.s3, "data", target.s3, "copy")
        check(not found, f"not equal: {found[:5]}")

        step("a certificate for another host: waited for, and told; then the right one again")
        process = world.start("replicate", "--config", path)

        def members() -> set[int]:
            lines = world.run("rules", "status", "--json", "--config", path).lines()
            return {line["pid"] for line in lines if line["event"] == "member"}

        wait_until(lambda: process.pid in members(), 60, "it is a member", every=1)
        database.stop()
        database.certificate = elsewhere
        trusted.write_bytes(good[0].read_bytes() + elsewhere[0].read_bytes())
        database.start()
        ran = world.run("rules", "status", "--config", path)
        check(ran.code != 0 and "db.example" in ran.stderr, f"exit {ran.code}: {ran.stderr}")
        database.stop()
        database.certificate = good
        database.start()
        put_all(source.s3, "data", things(100, seed=7))
        world.run("replicate", "--once", "--config", path).expect(0)
        found = differences(source.s3, "data", target.s3, "copy")
        check(not found, f"not equal: {found[:5]}")
        check(process.running(), "the process that was running when the certificate changed has ended")
        process.kill(15)
        process.wait(60).expect(143)


if __name__ == "__main__":
    main()
