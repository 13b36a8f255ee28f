"""faults.py CASE: one thing goes wrong. Each case: a clear message and the right exit code under
--once, and in continuous mode recovery without a restart.

Without it: a person would learn of a broken store by missing objects, or by a process that is gone.
"""

import io
import os
import random
import signal
import subprocess
import sys
import threading
import time

import botocore.exceptions
from boto3.s3.transfer import TransferConfig
from fault_proxy import FaultProxy
from harness import (SECRET_ACCESS_KEY, World, check, check_equal, check_no_uploads,
                     check_staging_empty, differences, free_port, http, keys_of, make_buckets,
                     put_all, rule, staged, step, store_of, things, wait_until)
from kill9 import Watcher, Writer


def two_servers(world: World, count: int = 300):
    source = world.serve("versitygw", "source")
    target = world.serve("minio", "target")
    make_buckets(source, target)
    put_all(source.s3, "data", things(count))
    return source, target


def once(world: World, config, *more, timeout: float = 300):
    return world.run("replicate", "--config", config, "--once", *more, timeout=timeout)


# --once: exit codes and messages.


def wrong_credentials(world: World) -> None:
    source, target = two_servers(world, 10)
    wrong = store_of(source.endpoint, secret_access_key="not-the-secret")
    config = world.config({"source": wrong, "target": target}, [rule()], "source.yaml")
    once(world, config, "--timeout", "10s").expect(4, source.endpoint, "denied")
    wrong = store_of(target.endpoint, secret_access_key="not-the-secret")
    config = world.config({"source": source, "target": wrong}, [rule()], "target.yaml")
    ran = once(world, config, "--timeout", "10s").expect(4, target.endpoint, "denied")
    for secret in (SECRET_ACCESS_KEY, "not-the-secret"):
        check(secret not in ran.stdout + ran.stderr, "a secret was printed")


def missing_buckets(world: World) -> None:
    source, target = two_servers(world, 10)
    stores = {"source": source, "target": target}
    for name, wrong in (("no-such-source", rule("source:no-such-source/")),
                        ("no-such-target", rule(to="target:no-such-target/")),
                        ("no-such-staging", rule(staging="target:no-such-staging/"))):
        config = world.config(stores, [wrong], f"{name}.yaml",
                              state=f"sqlite:{name}.db", queue=f"sqlite:{name}.db")
        step(name)
        once(world, config, "--timeout", "10s").expect(3, name)


def unreachable(world: World) -> None:
    source, target = two_servers(world, 10)
    nobody = store_of(f"http://127.0.0.1:{free_port()}")
    for number, stores in enumerate(({"source": nobody, "target": target},
                                     {"source": source, "target": nobody})):
        config = world.config(stores, [rule()], f"{number}.yaml", state=f"sqlite:{number}.db",
                              queue=f"sqlite:{number}.db")
        ran = once(world, config, "--timeout", "3s").expect(5, nobody["endpoint"])
        step(f"exit 5 after {ran.seconds:.1f} s")
        check(ran.seconds < 20, f"--timeout 3s took {ran.seconds:.0f} s")


def bad_configuration(world: World) -> None:
    path = world.work / "bad.yaml"
    for text, line, word in (
            ("version: 1\nsite: a\nstroes: {}\n", 3, "stores"),
            ("version: 1\nsite: a\nsite: b\n", 3, "site"),
            ("version: 1\nsite: a\nstores:\n  a: { type: s3, secret_access_key: \"${NOT_SET}\" }\n",
             4, "NOT_SET"),
            ("version: 1\nsite: [unclosed\n", 3, "")):
        path.write_text(text)
        world.run("replicate", "--config", path, "--once", timeout=20).expect(
            2, f"bad.yaml:{line}", word)
    world.run("replicate", "--config", world.work / "none.yaml", "--once", timeout=20).expect(
        2, "none.yaml")
    world.run("replicate", "--no-such-flag", timeout=20).expect(2, "--no-such-flag")


def broken_source(world: World, mode: str = "mixed") -> None:
    """A source with faults of all sorts: everything arrives all the same."""
    source, target = two_servers(world, 200)
    proxy = FaultProxy(source.endpoint, mode)
    config = world.config({"source": store_of(proxy.endpoint), "target": target}, [rule()])
    ran = once(world, config).expect(0)
    step(f"{proxy.faults} faults, {ran.seconds:.1f} s")
    check(len({mode for mode, _ in proxy.kinds}) > 5, f"hardly a fault was tried: {proxy.kinds}")
    check_equal(source, target)
    check_staging_empty(target)


def broken_target(world: World) -> None:
    source, target = two_servers(world, 200)
    source.s3.put_object(Bucket="data", Key="large", Body=random.Random(3).randbytes(24 << 20))
    # A creation of an upload that got no answer is swept 15 s later, when --once has ended.
    proxy = FaultProxy(target.endpoint, "mixed", only=lambda _, path: "?uploads" not in path)
    config = world.config({"source": source, "target": store_of(proxy.endpoint)}, [rule()])
    # Mostly a minute or so; but a completion that the target was faster than is waited for, five
    # minutes, and what got no answer two.
    ran = once(world, config, timeout=600)
    step(f"exit {ran.code}, {proxy.faults} faults, {ran.seconds:.1f} s")
    if ran.code == 1:  # An archive was read with a wrong byte: it counts as damaged, and is reported.
        proxy.mode = "pass"
        once(world, config)
        ran = once(world, config)
    ran.expect(0)
    check(len({mode for mode, _ in proxy.kinds}) > 5, f"hardly a fault was tried: {proxy.kinds}")
    check_equal(source, target)
    check_staging_empty(target)
    check_no_uploads(target, "copy", "staging")


def first_of_each(*methods: str):
    """For `FaultProxy.only`: the fault meets the first request for each operation and key. What
    is made anew under a new name would never succeed so: probes are let through, and of the creations
    of multipart uploads only the first one is met."""
    seen = set()

    def only(method: str, path: str) -> bool:
        if method not in methods or "/probe/" in path:
            return False
        what = method, "uploads" if path.partition("?")[2].startswith("uploads") else path
        is_first = what not in seen
        seen.add(what)
        return is_first

    return only


def uploads_of(server) -> list:
    return [upload for bucket in ("copy", "staging")
            for upload in server.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])]


def nothing_wrong(source, target) -> None:
    """What is at the target is as it is at the source, even if not all of it is there."""
    wrong = [line for line in differences(source.s3, "data", target.s3, "copy")
             if not line.startswith("missing at the target")]
    check(not wrong, f"wrong at the target: {wrong[:10]}")


def wrong_bytes(world: World, mode: str) -> None:
    """Answers that are not HTTP, or bodies with a wrong byte: a missing comparison of checksums
    would carry them to the target; a reader that trusts an answer could crash or park the object."""
    source, target = two_servers(world, 60)
    source.s3.put_object(Bucket="data", Key="large", Body=random.Random(3).randbytes(12 << 20))
    servers = {"source": source, "target": target}
    for which, server in servers.items():
        fields = {"queue": f"sqlite:{which}.db", "state": f"sqlite:{which}.db"}
        proxy = FaultProxy(server.endpoint)
        stores = servers | {which: store_of(proxy.endpoint)}
        config = world.config(stores, [rule()], f"{which}.yaml", **fields)
        if which == "target":  # Where archives are read.
            put_all(source.s3, "data", things(60, seed=2, prefix="late/"))
            world.run("replicate", "--config", config, "--once", "--roles", "source").expect(0)
        proxy.mode = mode
        ran = once(world, config, "--timeout", "3s")
        step(f"{which}: {mode} always: exit {ran.code}, {proxy.faults} faults, {ran.seconds:.1f} s")
        check(ran.code in (1, 5), f"exit {ran.code}: {ran.stderr[-2000:]}")
        nothing_wrong(source, target)
        if (which, mode) == ("target", "corrupt"):
            # An archive that was read wrong counts as damaged: its keys are packed anew.
            proxy.mode = "pass"
            wait_until(lambda: once(world, config).code == 0, 30, "replicate --once exits with 0")
        else:
            proxy.only = first_of_each("GET", "HEAD", "PUT", "POST", "DELETE")
            once(world, config).expect(0)
        check_equal(source, target)
        check_staging_empty(target)
        proxy.close()


def cut_upload(world: World) -> None:
    """Each upload breaks half way once: half a body must never count as a whole one."""
    source, target = two_servers(world, 100)
    source.s3.put_object(Bucket="data", Key="large", Body=random.Random(3).randbytes(40 << 20))
    proxy = FaultProxy(target.endpoint, "cut_upload", only=first_of_each("PUT", "POST"))
    config = world.config({"source": source, "target": store_of(proxy.endpoint)}, [rule()])
    ran = once(world, config).expect(0)
    step(f"{proxy.kinds}, {ran.seconds:.1f} s")
    check(proxy.kinds["cut_upload", "PUT partNumber uploadId"] > 0, "no part was cut")
    check(proxy.kinds["cut_upload", "PUT"] > 50, "hardly an upload was cut")
    check_equal(source, target)
    check_staging_empty(target)
    check_no_uploads(target, "copy", "staging")


def slow_line(world: World) -> None:
    """A narrow line to a far place: a deadline for each request would never let a large object
    through."""
    source, target = two_servers(world, 5)
    source.s3.put_object(Bucket="data", Key="large", Body=random.Random(3).randbytes(12 << 20))
    line = {"latency_seconds": 0.1, "bytes_per_second": 4 << 20}
    proxies = [FaultProxy(source.endpoint, **line), FaultProxy(target.endpoint, **line)]
    config = world.config({"source": store_of(proxies[0].endpoint),
                           "target": store_of(proxies[1].endpoint)}, [rule()])
    ran = once(world, config, "--timeout", "3s").expect(0)
    step(f"{ran.seconds:.1f} s")
    # Into staging, out of it, and to its place: three times over the target's line.
    check(ran.seconds > 8, "the line was not slow")
    check_equal(source, target)
    check_staging_empty(target)


def broken_for_good(world: World) -> None:
    """A source that answers nothing else: a message with its name, and an exit code that says so."""
    source, target = two_servers(world, 20)
    for mode, words in (("503", ["503"]), ("cut", []), ("stalled", [])):
        proxy = FaultProxy(source.endpoint, mode)
        config = world.config({"source": store_of(proxy.endpoint), "target": target}, [rule()],
                              f"{mode}.yaml", queue=f"sqlite:{mode}.db", state=f"sqlite:{mode}.db")
        ran = once(world, config, "--timeout", "5s").expect(5, proxy.endpoint, *words)
        step(f"{mode}: exit 5 after {ran.seconds:.1f} s, {proxy.faults} faults")
        # A transfer that stalls is given up after a minute; --timeout says how long to try again.
        limit = 90 if mode == "stalled" else 40
        check(ran.seconds < limit, f"{mode}: --timeout 5s took {ran.seconds:.0f} s")
        check(not keys_of(target.s3, "copy"), "something was written")
        proxy.close()


def damage_staging(world: World, config, target) -> list[str]:
    """Packs what the source holds, and spoils a byte of each archive."""
    world.run("replicate", "--config", config, "--once", "--roles", "source").expect(0)
    archives = [key for key in keys_of(target.s3, "staging") if key.endswith(".tar.zst")]
    check(archives, "nothing in staging")
    for key in archives:
        data = bytearray(target.s3.get_object(Bucket="staging", Key=key)["Body"].read())
        data[len(data) // 3] ^= 0x20
        target.s3.put_object(Bucket="staging", Key=key, Body=bytes(data))
    return archives


def damaged_archive(world: World) -> None:
    source, target = two_servers(world, 300)
    config = world.config({"source": source, "target": target}, [rule()])
    step("--roles source: durable in staging, nothing applied")
    archives = damage_staging(world, config, target)
    check(not keys_of(target.s3, "copy"), "the source role wrote to the target bucket")
    step("--roles target: exit 1, nothing of it applied")
    world.run("replicate", "--config", config, "--once", "--roles", "target").expect(
        1, archives[0].split("/")[-1].split(".")[0])
    check(not keys_of(target.s3, "copy"), "part of a damaged archive was applied")
    step("both roles: the source reads the keys anew")
    wait_until(lambda: once(world, config).code == 0, 60, "replicate --once exits with 0")
    check_equal(source, target)
    check_staging_empty(target)
    step("the same in continuous mode")
    put_all(source.s3, "data", things(50, seed=2, prefix="late/"))
    archives = damage_staging(world, config, target)
    running = Continuous(world, source, target, {"source": source, "target": target})
    running.becomes_equal()
    check(archives[0].split("/")[-1].split(".")[0] in running.process.output(),
          "the log does not name the damaged archive")
    running.ready_is(200)
    # Equal comes before the last receipt is read, which is what empties staging.
    wait_until(lambda: not staged(target), 60, "an empty staging")
    running.end()


# Continuous mode: recovery without a restart.


class Continuous:
    """A `replicate` that runs until the end of the case."""

    def __init__(self, world: World, source, target, stores, rules=None, **fields):
        self.world, self.source, self.target = world, source, target
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        config = world.config(
            stores, rules or [rule(intake={"listing": "2s"}, batch={"linger": "500ms"})],
            listen=f"127.0.0.1:{port}", **fields)
        self.process = world.start("replicate", "--config", config)

    def running(self) -> bool:
        if not self.process.running():
            self.process.wait(5).expect(0, "it must not end by itself")
        return True

    def ready_is(self, status: int, *words: str) -> None:
        def as_wanted() -> bool:
            self.running()
            code, body = http(self.url + "/readyz")
            return code == status and all(word in body for word in words)

        deadline = time.monotonic() + 90
        while not as_wanted():
            check(time.monotonic() < deadline, f"/readyz does not say {status} {words}: "
                                               f"{http(self.url + '/readyz')}")
            time.sleep(0.2)

    def becomes_equal(self, seconds: float = 90) -> None:
        wait_until(lambda: self.running() and not differences(
            self.source.s3, "data", self.target.s3, "copy"), seconds, "equal", every=1)

    def end(self) -> None:
        self.process.kill(signal.SIGTERM)
        finished = self.process.wait(40)
        check(finished.code in (0, 143), f"exit {finished.code}: {finished.stderr[-2000:]}")


def outage(world: World, which: str, mode: str) -> None:
    """One store is away for a while; objects written meanwhile arrive when it is back."""
    source, target = two_servers(world, 50)
    staging = world.serve("versitygw", "staging-server")
    staging.s3.create_bucket(Bucket="staging")
    servers = {"source": source, "target": target, "staging": staging}
    proxy = FaultProxy(servers[which].endpoint)
    stores = {name: store_of(proxy.endpoint if name == which else server.endpoint)
              for name, server in servers.items()}
    running = Continuous(world, source, target, stores, [
        rule(staging="staging:staging/", intake={"listing": "2s"}, batch={"linger": "500ms"})])
    running.ready_is(200)
    running.becomes_equal()
    step(f"{which}: {mode}")
    proxy.mode = mode
    put_all(source.s3, "data", things(50, seed=2, prefix="late/"))
    running.ready_is(503, "rule main")
    time.sleep(5)
    # Of a connection that is refused the proxy learns nothing.
    check(running.running() and (proxy.faults > 0 or mode == "refused"), "nothing asked for the store")
    step("it is back")
    proxy.mode = "pass"
    running.becomes_equal()
    running.ready_is(200)
    wait_until(lambda: not keys_of(staging.s3, "staging"), 60, "staging is empty", every=1)
    running.end()


def lost_answers(world: World) -> None:
    """The first answer to each read at the source and each write at the target is lost after it
    was carried out. A PUT or DELETE that is sent twice, or forgotten, would put an older state over
    a newer one; a lost CompleteMultipartUpload would never end, and a creation that is sent twice
    leaves an upload that nobody knows of."""
    source, target = two_servers(world, 30)
    proxies = [FaultProxy(source.endpoint, "lost", only=first_of_each("GET", "HEAD")),
               FaultProxy(target.endpoint, "lost", only=first_of_each("PUT", "POST", "DELETE"))]
    stop = threading.Event()
    writers = [Writer(source, number, 7 + number, stop) for number in range(3)]
    watcher = Watcher(target, stop)
    running = Continuous(
        world, source, target,
        {"source": store_of(proxies[0].endpoint), "target": store_of(proxies[1].endpoint)},
        [rule(deletes=True, intake={"listing": "1s"}, batch={"linger": "200ms"})])
    source.s3.upload_fileobj(
        io.BytesIO(random.Random(3).randbytes(32 << 20)), "data", "large",
        Config=TransferConfig(multipart_threshold=1, multipart_chunksize=16 << 20))
    for thread in [*writers, watcher]:
        thread.start()
    time.sleep(4)
    stop.set()
    for thread in writers:
        thread.join(30)
    step(f"{sum(writer.operations for writer in writers)} writes at the source")
    running.becomes_equal(200)
    step("equal")
    watcher.join(30)
    check(not watcher.stale, f"older over newer: {watcher.stale[:5]}")
    # For two minutes a write without an answer may still land: so long its archive is not settled.
    wait_until(lambda: not staged(target), 200, "staging is empty", every=1)
    for lost in ("PUT", "DELETE", "POST uploads", "POST uploadId"):
        check(proxies[1].kinds["lost", lost] > 0, f"no {lost} was lost: {proxies[1].kinds}")
    step(f"{proxies[1].kinds}")
    # Who sent the creation is given 15 s to come back.
    wait_until(lambda: not uploads_of(target), 40, "no upload is left")
    running.end()


def missing_at_start(world: World) -> None:
    """A store that is not there when continuous mode starts, nor its bucket."""
    source = world.serve("versitygw", "source")
    target = world.serve("minio", "target")
    running = Continuous(world, source, target, {"source": source, "target": target})
    running.ready_is(503)
    time.sleep(2)
    make_buckets(source, target)
    put_all(source.s3, "data", things(20))
    running.becomes_equal()
    running.ready_is(200)
    running.end()


def credentials_change(world: World) -> None:
    """The keys of the configuration stop working for a while, and then work again."""
    source, target = two_servers(world, 30)
    running = Continuous(world, source, target, {"source": source, "target": target})
    running.becomes_equal()
    running.ready_is(200)
    step("the source knows another secret")
    source.stop()
    source.secret_access_key = "another-secret"
    source.start()
    running.ready_is(503, "rule main")
    said = running.process.output()
    check(source.endpoint in said and "SignatureDoesNotMatch" in said, f"it says {said[-3000:]}")
    step("and the old one again")
    source.stop()
    source.secret_access_key = SECRET_ACCESS_KEY
    source.start()
    put_all(source.s3, "data", things(30, seed=2, prefix="late/"))
    running.becomes_equal()
    running.ready_is(200)
    running.end()
    check(SECRET_ACCESS_KEY not in running.process.output(), "a secret was logged")


def emptied_and_removed(s3, bucket: str) -> bool:
    for key in keys_of(s3, bucket):
        s3.delete_object(Bucket=bucket, Key=key)
    try:
        s3.delete_bucket(Bucket=bucket)
    except botocore.exceptions.ClientError as error:
        check(error.response["Error"]["Code"] == "BucketNotEmpty", f"{error}")
        return False
    return True


def bucket_removed(world: World) -> None:
    """A target bucket goes away while longhaul runs, with all that is in it, and comes back."""
    source, target = two_servers(world, 30)
    running = Continuous(world, source, target, {"source": source, "target": target})
    running.becomes_equal()
    step("the target bucket goes")
    # What goes is sent again by the next comparison, perhaps before all of it has gone.
    wait_until(lambda: emptied_and_removed(target.s3, "copy"), 60, "the bucket to be removed",
               every=0.05)
    put_all(source.s3, "data", things(30, seed=2, prefix="late/"))
    running.ready_is(503, "copy")
    step("the target bucket comes back")
    target.s3.create_bucket(Bucket="copy")
    running.becomes_equal()
    running.ready_is(200)
    running.end()


def full_disk(world: World) -> None:
    """The disk of the SQLite database is full: said clearly; when there is room, it goes on."""
    source, target = two_servers(world, 50)
    disk = world.folder / "disk"
    disk.mkdir()
    # SQLite's log grows to 4 MB before it is written back; it must not fill the disk by itself.
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", disk],
                             capture_output=True, text=True)
    check(mounted.returncode == 0, f"this test mounts a small tmpfs as root: {mounted.stderr}")
    world.callback(subprocess.run, ["umount", "-l", disk])
    ballast = disk / "ballast"

    def fill() -> None:
        with open(ballast, "ab", buffering=0) as file:
            try:
                while True:
                    file.write(b"0" * 4096)
            except OSError:
                pass

    database = f"sqlite:{disk}/longhaul.db"
    stores = {"source": source, "target": target}
    fill()
    config = world.config(stores, [rule()], "once.yaml", queue=database, state=database)
    ran = once(world, config, "--timeout", "5s")
    check(ran.code in (1, 5), f"--once on a full disk exits with {ran.code}:\n{ran.stderr[-2000:]}")
    check("full" in ran.stderr + ran.stdout, f"does not say that it is full:\n{ran.stderr[-2000:]}")
    os.unlink(ballast)

    step("continuous")
    running = Continuous(world, source, target, stores, queue=database, state=database)
    running.becomes_equal()
    fill()
    put_all(source.s3, "data", things(300, seed=2, prefix="late/"))
    wait_until(lambda: running.running() and "full" in running.process.output(), 60,
               "the log says that the disk is full")
    time.sleep(3)
    running.running()
    os.unlink(ballast)
    step("there is room again")
    running.becomes_equal()
    running.ready_is(200)
    running.end()


CASES = {
    "wrong_credentials": wrong_credentials,
    "missing_buckets": missing_buckets,
    "unreachable": unreachable,
    "bad_configuration": bad_configuration,
    "broken_source": broken_source,
    "broken_target": broken_target,
    "garbage": lambda world: wrong_bytes(world, "garbage"),
    "corrupt": lambda world: wrong_bytes(world, "corrupt"),
    "cut_upload": cut_upload,
    "slow_line": slow_line,
    "lost_answers": lost_answers,
    "damaged_archive": damaged_archive,
    "target_down": lambda world: outage(world, "target", "down"),
    "target_refused": lambda world: outage(world, "target", "refused"),
    "target_denied": lambda world: outage(world, "target", "403"),
    "staging_down": lambda world: outage(world, "staging", "503"),
    "source_down": lambda world: outage(world, "source", "503"),
    "source_cut": lambda world: outage(world, "source", "cut"),
    "missing_at_start": missing_at_start,
    "broken_for_good": broken_for_good,
    "credentials_change": credentials_change,
    "bucket_removed": bucket_removed,
    "full_disk": full_disk,
}

if __name__ == "__main__":
    with World("faults") as the_world:
        CASES[sys.argv[1]](the_world)
        step("ok")
