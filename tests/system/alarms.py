"""alarms.py: `alarms:` tells a webhook once that objects are parked, and once that it is over.

Without it: an alarm might never leave a process, come again with each restart, or never end.
"""

import http.server
import json
import signal
import threading

from harness import (SECRET_ACCESS_KEY, World, check, free_port, make_buckets, put_all, rule, step,
                     things, wait_until)


class Hook:
    """Takes messages; the first one only at the second try."""

    def __init__(self):
        self.taken: list[dict] = []
        self.refused = 0
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                fails = hook.refused == 0
                if fails:
                    hook.refused += 1
                else:
                    hook.taken.append(body)
                self.send_response(503 if fails else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.port = free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def main() -> None:
    with World("alarms") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        put_all(source.s3, "data", things(5))
        # What minio can hold only where no object "beside/a" is.
        target.s3.put_object(Bucket="copy", Key="beside/a", Body=b"somebody's")
        source.s3.put_object(Bucket="data", Key="beside/a/b", Body=b"hidden")
        hook = Hook()
        config = world.config({"source": source, "target": target}, [rule()],
                              alarms={"webhook": f"http://127.0.0.1:{hook.port}/secret-path"})

        def run_until(condition, what: str) -> None:
            process = world.start("replicate", "--config", config)
            wait_until(condition, 240, what, every=1)
            process.kill(signal.SIGTERM)
            output = process.wait(60).expect(143)
            said = output.stdout + output.stderr
            check("secret-path" not in said and SECRET_ACCESS_KEY not in said, "a secret was logged")

        step("an object is parked")
        run_until(lambda: hook.taken, "the alarm has been told")
        [alarm] = hook.taken
        check((alarm["alarm"], alarm["state"], alarm["site"]) == ("parked/main", "alarm", "test-1"),
              f"told: {alarm}")
        check(hook.refused == 1, "what was refused was not tried again")

        step("it is mended while nothing runs")
        target.s3.delete_object(Bucket="copy", Key="beside/a")
        world.run("rules", "retry", "main", "--config", config)
        run_until(lambda: len(hook.taken) > 1, "its end has been told")
        check([(told["alarm"], told["state"]) for told in hook.taken] ==
              [("parked/main", "alarm"), ("parked/main", "over")], f"told: {hook.taken}")
        step("ok")


if __name__ == "__main__":
    main()
