"""rule_life.py [SOURCE TARGET]: a rule is paused, resumed, compared, and what is parked is tried again.

All through State, by commands beside the running process. Without it: what somebody asks of a rule
might work on fakes alone, or only for as long as the process lives.
"""

import http.server
import json
import sys
import threading

from harness import World, check, free_port, keys_of, make_buckets, rule, step, wait_until


class Hooks(http.server.ThreadingHTTPServer):
    """Takes what `notify` tells; refuses the first time."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Hook)
        self.refused = False
        self.events: list[dict] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Hook(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.refused:
            self.server.events += json.loads(body)["events"]
        self.send_response(200 if self.server.refused else 503)
        self.server.refused = True
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Life:
    def __init__(self, world: World, source_kind: str, target_kind: str):
        self.world = world
        port = free_port()
        options = {"webhook": f"http://127.0.0.1:{port}/v1/events"}
        self.source = world.serve(source_kind, "source", **options)
        self.target = world.serve(target_kind, "target")
        make_buckets(self.source, self.target)
        the_rule = rule(settle="1s", batch={"linger": "1s"}, deletes=True, threshold="2s")
        self.hooks = Hooks()
        the_rule["targets"][0]["name"] = "west"
        self.config = world.config({"source": self.source, "target": self.target}, [the_rule],
                                   listen=f"127.0.0.1:{port}",
                                   notify=f"http://127.0.0.1:{self.hooks.server_port}/hook")

    def start(self):
        return self.world.start("replicate", "--config", self.config)

    def ask(self, *words: str, code: int = 0) -> list[dict]:
        return self.world.run(*words, "--config", self.config, "--json").expect(code).lines()

    def put(self, *keys: str) -> None:
        for key in keys:
            self.source.s3.put_object(Bucket="data", Key=key, Body=f"text of {key}".encode())

    def there(self) -> set[str]:
        return set(keys_of(self.target.s3, "copy"))

    def arrives(self, *keys: str) -> None:
        wait_until(lambda: set(keys) <= self.there(), 20, f"{keys} at the target")

    def explain(self, key: str) -> dict:
        return self.ask("explain", f"source:data/{key}")[-1]


def main(source_kind: str, target_kind: str) -> None:
    with World("rule-life") as world:
        life = Life(world, source_kind, target_kind)
        check(life.ask("rules", "backfill", "main", code=5), "a backfill without a process")
        running = life.start()
        life.put("first")
        life.arrives("first")
        check(life.explain("first")["status"] == "COMPLETED", "explain of what has arrived")

        step("a paused rule keeps its events, also when the process is killed")
        life.ask("rules", "pause", "main")
        wait_until(lambda: "paused" in running.output(), 10, "the process follows the pause")
        life.put("kept-1", "kept-2")
        wait_until(lambda: life.ask("rules", "status", "main")[0]["hints_kept"], 15,
                   "the events are kept")
        running.kill()
        running.wait()
        running = life.start()
        wait_until(lambda: life.ask("rules", "status")[0]["processes"] >= 1, 10, "it runs again")
        life.put("kept-3")
        status = life.ask("rules", "status")
        check(status[0]["state"] == "paused", f"status of a paused rule: {status[0]}")
        check(life.there() == {"first"}, "a paused rule was carried")
        answer = life.explain("kept-1")
        check(answer["status"] == "PENDING" and "resumed" in answer["next"], f"explain: {answer}")
        life.ask("rules", "resume", "main")
        life.arrives("kept-1", "kept-2", "kept-3")

        step("a paused target's archives wait in staging")
        life.ask("rules", "pause", "main", "--target", "west")
        wait_until(lambda: "target west of rule main" in running.output(), 10,
                   "the process follows the pause of a target")
        life.put("staged")
        staged = wait_until(lambda: [key for key in keys_of(life.target.s3, "staging", "main/")
                                     if key.endswith(".tar.zst")], 15, "an archive in staging")
        check("staged" not in life.there(), "a paused target was written to")
        archive = staged[0].removeprefix("main/").removesuffix(".tar.zst")
        told = life.ask("explain", "source:data/staged")
        check(any(archive in line.get("archives", []) for line in told),
              f"explain does not find archive {archive}: {told}")
        life.ask("rules", "resume", "main", "--target", "west")
        life.arrives("staged")

        step("what is parked is listed, and tried again when it is mended")
        life.target.s3.put_object(Bucket="copy", Key="taken", Body=b"somebody else's")
        life.put("taken")
        parked = wait_until(lambda: life.ask("rules", "parked")[:-1], 15, "it is parked")
        check([line["key"] for line in parked] == ["taken"] and "conflict" in parked[0]["reason"],
              f"parked: {parked}")
        check(life.explain("taken")["status"] == "FAILED", "explain of what is parked")
        life.ask("rules", "retry", "main", "other", code=1)
        life.target.s3.delete_object(Bucket="copy", Key="taken")
        check(life.ask("rules", "retry", "main", "--all")[-1]["keys"] == 1, "one key to retry")
        life.arrives("taken")
        wait_until(lambda: not life.ask("rules", "parked")[:-1], 15, "nothing is parked any more")

        step("a comparison asked for finds what no event told")
        life.target.s3.delete_object(Bucket="copy", Key="kept-1")
        life.ask("rules", "backfill", "main", "--prefix", "kept-")
        life.arrives("kept-1")

        status = wait_until(
            lambda: [line for line in life.ask("rules", "status") if line.get("applied", 0) >= 6],
            15, "the counts in the status")
        check(status[0]["lag_objects"] >= 6 and status[0]["lag_p50_seconds"] > 0,
              f"lag: {json.dumps(status[0])}")
        # It waited for the killed process to be started again, which takes longer than the threshold.
        wait_until(lambda: {("threshold_missed", "kept-1"), ("threshold_reached_after", "kept-1")}
                   <= {(event["event"], event["key"]) for event in life.hooks.events}, 15,
                   "notify is told of what was late")
        # That of the killed one may stand there for a minute.
        before = life.ask("rules", "status")[0]["processes"]
        running.kill(15)
        running.wait(30)
        check(life.ask("rules", "status")[0]["processes"] == before - 1,
              "a process that has ended is said to run")
        step("ok")


if __name__ == "__main__":
    main(*(sys.argv[1:] or ["gateway", "gateway"]))
