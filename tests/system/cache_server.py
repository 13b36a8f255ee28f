"""`longhaul cache serve` as a server of a test."""

from harness import ACCESS_KEY_ID, SECRET_ACCESS_KEY, World, check, client, free_port, wait_until


class CacheServer:
    """It shows the bucket `data` of the store `east`; copies lie in `served` of `west`."""

    def __init__(self, world: World, config, *flags: str):
        port = free_port()
        self.process = world.start(
            "cache", "serve", "east:data", "--to", "west:served", "--ttl", "1h", "--listen",
            f"127.0.0.1:{port}", "--access-key-id", ACCESS_KEY_ID, "--secret-access-key",
            SECRET_ACCESS_KEY, *flags, "--config", config)
        self.endpoint = f"http://127.0.0.1:{port}"
        wait_until(lambda: self.endpoint in self.process.output() or not self.process.running(), 60,
                   "it serves")
        check(self.process.running(), self.process.output())
        self.s3 = client(self.endpoint)

    def stop(self):
        self.process.kill(15)
        return self.process.wait(60)
