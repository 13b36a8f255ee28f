#!/usr/bin/env python3
"""https.py: stores that are reached by TLS. Who is trusted and what is said where nobody is; copies
and replication; and the same where connections are cut in the middle of a record."""

import os
import pathlib
import random
import socket
import subprocess
import threading

from harness import World, check, check_equal, make_buckets, put_all, rule, step, store_of, things


def make_certificate(folder: pathlib.Path, name: str,
                     host: str = "IP:127.0.0.1") -> tuple[pathlib.Path, pathlib.Path]:
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-days", "2", "-subj", "/CN=test", "-addext", f"subjectAltName={host}",
         "-keyout", key, "-out", certificate], check=True, capture_output=True)
    return certificate, key


class Cutter:
    """Passes TCP on to a port, and cuts the first connections somewhere: inside a handshake, a
    request, an answer, between two of them."""

    def __init__(self, endpoint: str, seed: int, cuts: int):
        self.upstream = int(endpoint.rpartition(":")[2])
        self.random, self.left, self.cut = random.Random(seed), cuts, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.endpoint = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            near = self.listener.accept()[0]
            far = socket.create_connection(("127.0.0.1", self.upstream))
            limit = None
            if self.left > 0:
                self.left -= 1
                limit = [self.random.choice((700, 5_000, 30_000, 400_000)) + self.random.randrange(999)]
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=self._pass, args=(one, other, limit), daemon=True).start()

    def _pass(self, one: socket.socket, other: socket.socket, limit) -> None:
        try:
            while data := one.recv(65536):
                if limit is not None:
                    data = data[:max(limit[0], 0)]
                    limit[0] -= len(data)
                if data:
                    other.sendall(data)
                if limit is not None and limit[0] <= 0:
                    self.cut += 1
                    break
        except OSError:
            pass
        for end in (one, other):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


def main() -> None:
    with World("https") as world:
        certificate = make_certificate(world.work, "server")
        stranger = make_certificate(world.work, "stranger")[0]
        # For what of this test is Python.
        os.environ["SSL_CERT_FILE"] = os.environ["AWS_CA_BUNDLE"] = str(certificate[0])
        source, target = (world.serve("versitygw", name, keep_alive=True, certificate=certificate)
                          for name in ("source", "target"))
        make_buckets(source, target)
        objects = things(300)
        put_all(source.s3, "data", objects)
        nobody = {"SSL_CERT_FILE": None, "AWS_CA_BUNDLE": None}

        step("who is not trusted learns nothing, and says at once what to do")
        ls = ("ls", "--recursive", "s3://data/", "--endpoint-url", source.endpoint)
        ran = world.run(*ls, env=nobody).expect(4, "127.0.0.1", "not trusted", "--ca-bundle")
        check(ran.seconds < 5, f"it took {ran.seconds:.1f} s to say so")
        world.run(*ls, "--ca-bundle", stranger, env=nobody).expect(4, "not trusted")
        world.run(*ls, "--ca-bundle", world.work / "none.pem", env=nobody).expect(2, "none.pem")
        elsewhere = source.endpoint.replace("127.0.0.1", "localhost")
        world.run("ls", "s3://data/", "--endpoint-url", elsewhere, "--ca-bundle", certificate[0],
                  env=nobody).expect(4, "it is for 127.0.0.1")
        listed = world.run(*ls, "--ca-bundle", certificate[0], env=nobody).expect(0)
        check(len(listed.stdout.splitlines()) == len(objects), f"listed: {listed.stdout[-500:]}")
        # AWS_CA_BUNDLE comes before the system's, and --ca-bundle before it.
        world.run(*ls, "--ca-bundle", stranger, env={"AWS_CA_BUNDLE": str(certificate[0])}).expect(4)

        step("a configured store is trusted by --ca-bundle as well")
        config = world.config({"source": source, "target": target}, [rule()])
        there = ("ls", "--config", config, "source:data/")
        world.run(*there, env=nobody).expect(4, "--ca-bundle")
        world.run(*there, "--ca-bundle", certificate[0], env=nobody).expect(0)

        step("a copy and a replication over connections that are cut")
        cutters = [Cutter(server.endpoint, seed, 60) for seed, server in enumerate((source, target))]
        stores = {name: store_of(cutter.endpoint) for name, cutter in zip(("source", "target"), cutters)}
        through = world.config(stores, [rule()], "cut.yaml")
        target.s3.create_bucket(Bucket="other")
        world.run("cp", "--config", through, "--recursive", "source:data/", "target:other/").expect(0)
        check_equal(source, target, target_bucket="other")
        check(all(cutter.cut > 10 for cutter in cutters), f"cuts: {[one.cut for one in cutters]}")
        world.run("replicate", "--config", through, "--once").expect(0)
        check_equal(source, target)
        step("ok")


if __name__ == "__main__":
    main()
