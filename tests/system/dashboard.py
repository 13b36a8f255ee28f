"""dashboard.py: a browser before a running longhaul between two real servers.

Without it: the page might work on made-up answers alone. What moves does so while nobody touches the
page; what is asked for there happens at the stores.
"""

import subprocess
import time

from harness import (ROOT, World, check, fail, free_port, keys_of, make_buckets, rule, step,
                     wait_until)

TOKEN = "token-of-the-test"


class Browser:
    def __init__(self, url: str):
        self.process = subprocess.Popen(
            [str(ROOT / "web/build"), "run", "node", "test/live.mjs", url, TOKEN],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, what: str) -> None:
        step(f"the page: {what}")
        self.process.stdin.write(what + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline().strip()
        if answer != "ok":
            fail(f"{what}: {answer or 'the browser has gone'}")

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(60)


def main() -> None:
    with World("dashboard") as world:
        port = free_port()
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        target.s3.create_bucket(Bucket="moved")
        the_rule = rule(settle="1s", batch={"linger": "1s"},
                        intake={"listing": "5s", "webhook": False})
        source.s3.create_bucket(Bucket="docs")
        for bucket in ("vault", "fast", "recovered"):
            target.s3.create_bucket(Bucket=bucket)
        kept = {"id": "kept", "source": "source:docs/", "settle": "1s", "batch": {"linger": "1s"},
                "intake": {"listing": "3s"},
                "targets": [{"name": "vault", "to": "target:vault/", "staging": "target:staging/kept/",
                             "backup": {}}]}
        config = world.config({"source": source, "target": target}, [the_rule, kept],
                              listen=f"127.0.0.1:{port}", token=TOKEN)

        def put(*keys: str) -> None:
            for key in keys:
                source.s3.put_object(Bucket="data", Key=key, Body=f"text of {key}".encode())

        def there(*keys: str) -> bool:
            return set(keys) <= set(keys_of(target.s3, "copy"))

        put("first")
        replicate = world.start("replicate", "--config", config)
        wait_until(lambda: there("first"), 60, "first at the target")
        browser = Browser(f"http://127.0.0.1:{port}/")
        world.callback(browser.close)
        browser("sign in")
        browser("watch the rule")
        put(*(f"many/{number:03}" for number in range(40)))
        browser("numbers move")

        target.stop()
        put("while-away")
        browser("target is away")
        target.start()
        browser("target is back")
        wait_until(lambda: there("while-away"), 90, "what came meanwhile")

        target.s3.put_object(Bucket="copy", Key="taken", Body=b"somebody else's")
        put("taken")
        browser("parked")
        target.s3.delete_object(Bucket="copy", Key="taken")
        browser("retry")
        wait_until(lambda: there("taken"), 30, "what was parked")

        browser("pause")
        put("while-paused")
        browser("resume")
        wait_until(lambda: there("while-paused"), 60, "what came during the pause")

        browser("create a run")
        browser("stop the run")
        check(not keys_of(target.s3, "moved"), "a run that nobody carries has copied")
        browser("start the run")
        worker = world.start("migrate", "worker", "--config", config)
        browser("run is finished")
        check(set(keys_of(source.s3, "data")) == set(keys_of(target.s3, "moved")), "the run's copies")
        worker.kill()
        browser("fill a cache")
        check(len(keys_of(target.s3, "fast")) == 40, "the fill's copies")

        def letter(server, bucket: str, key: str) -> bytes:
            return server.s3.get_object(Bucket=bucket, Key=key)["Body"].read()

        source.s3.put_object(Bucket="docs", Key="letter", Body=b"first")
        browser("the backup has it")
        time.sleep(1.1)  # Stamps are whole seconds.
        source.s3.put_object(Bucket="docs", Key="letter", Body=b"the second one")
        browser("there are two versions")
        browser("restore the earlier version")
        check(letter(target, "recovered", "old/letter") == b"first", "what came back")
        browser("restore as of a time")
        check(letter(source, "docs", "letter") == b"the second one", "it was replaced unasked")
        browser("replace it")
        check(letter(source, "docs", "letter") == b"first", "what was to be replaced")
        browser("every page")
        replicate.kill()
        browser("server is lost")
        step("done")


main()
