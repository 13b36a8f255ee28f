"""secrets_told.py: no output has the external id of a role or the key of a collector, also where the
other side says it back in its error.

Without it: the harness looks for every secret that a test uses, and no test used these.
"""

import contextlib
import http.server
import io
import threading
import urllib.parse

from harness import World, check, fail, rule, secrets_in, step, store_of, tells_none, wait_until

EXTERNAL_ID = "external/id+of=haul"
COLLECTOR_KEY = "key of/the+collector"


class Echo(http.server.BaseHTTPRequestHandler):
    """STS and a collector that refuse, and say why with what they were given."""

    seen: set[str] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.startswith("/v1/traces"):
            given = self.headers["x-api-key"]
            answer = f"no such key: {given}"
        else:
            [given] = urllib.parse.parse_qs(body.decode())["ExternalId"]
            answer = (f"<ErrorResponse><Error><Code>AccessDenied</Code><Message>nobody with {given} "
                      "here</Message></Error></ErrorResponse>")
        self.seen.add(given)
        self.send_response(403)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *_: object) -> None:
        pass


def self_test() -> None:
    found = secrets_in({"stores": {"a": {"external_id": EXTERNAL_ID}},
                        "traces": {"otlp": "http://x", "headers": {"x-api-key": COLLECTOR_KEY}}})
    check(found == {EXTERNAL_ID, COLLECTOR_KEY}, f"taken for secrets: {found}")
    for form in (EXTERNAL_ID, urllib.parse.quote(EXTERNAL_ID, safe="")):
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                tells_none(found, f"role {form}", "this")
        except SystemExit:
            continue
        fail("a secret in an output is not noticed")


def main() -> None:
    self_test()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    with World("secrets-told") as world:
        for folder in ("data", "copy", "staging"):
            (world.work / "root" / folder).mkdir(parents=True)
        (world.work / "root/data/a").write_text("a")
        disk = {"type": "file", "root": str(world.work / "root")}
        world.environment["AWS_ENDPOINT_URL_STS"] = url

        step("the external id of a role")
        role = store_of(url, role_arn="arn:aws:iam::111122223333:role/haul", external_id=EXTERNAL_ID)
        config = world.config({"source": role, "target": disk}, [rule()], "role.yaml")
        world.run("ls", "--config", config, "source:data/").expect(4, "nobody with")
        world.run("replicate", "--config", config, "--once", "--report", "r.jsonl").expect(4)
        world.run("doctor", config).expect(1, "nobody with")
        world.run("config", "show", "--config", config).expect(0, "external_id")
        world.run("config", "show", "--config", config, "--json").expect(0, "external_id")
        check(EXTERNAL_ID in Echo.seen, "STS was not asked")

        step("the key of a collector")
        traces = {"otlp": url, "sample": "100%", "headers": {"x-api-key": COLLECTOR_KEY}}
        config = world.config({"source": disk, "target": disk}, [rule()], "traced.yaml",
                              traces=traces)
        world.run("replicate", "--config", config, "--once").expect(0)
        wait_until(lambda: COLLECTOR_KEY in Echo.seen, 10, "the collector was asked")
        world.run("config", "show", "--config", config).expect(0, "traces.headers")
        check({EXTERNAL_ID, COLLECTOR_KEY} <= world.secrets, "nobody looks for them")
    server.shutdown()
    step("ok")


if __name__ == "__main__":
    main()
