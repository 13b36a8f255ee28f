"""api.py: the HTTP API of a running `replicate`, by the file that describes it.

Every path and method of src/server/openapi.yaml is asked for, and each answer, also of a refusal, is
compared with its schema. Then what a person does by it: pause, resume, retry, a migration run. And
who must not: wrong tokens, wrong roles, pages of other origins, bodies that are too long. Without it
the file and the program might say different things, and the dashboard stands on the file.
"""

import datetime
import http.client
import json
import pathlib
import re
import socket
import threading
import time

import yaml

import harness
from harness import World, check, free_port, step, wait_until

OPERATE = "operate-0123456789abcdef"
VIEW = "view-0123456789abcdef"
FILE = pathlib.Path(__file__).resolve().parents[2] / "src/server/openapi.yaml"
KINDS = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float),
         "boolean": bool, "null": type(None)}


class Schema:
    """What of JSON Schema the file uses; a word that it does not know is an error."""

    KNOWN = {"type", "required", "properties", "items", "enum", "allOf", "oneOf", "$ref", "format",
             "additionalProperties", "description", "examples", "minimum", "maximum", "minLength",
             "maxLength", "maxItems", "default"}

    def __init__(self, document: dict):
        self.document = document

    def resolve(self, schema: dict) -> dict:
        while "$ref" in schema:
            at = self.document
            for word in schema["$ref"].removeprefix("#/").split("/"):
                at = at[word]
            schema = at
        return schema

    def problems(self, value, schema: dict, where: str = "$") -> list[str]:
        schema = self.resolve(schema)
        check(set(schema) <= self.KNOWN, f"{where}: the schema has {set(schema) - self.KNOWN}")
        found = []
        if "type" in schema:
            kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
            fits = any(isinstance(value, KINDS[kind]) and
                       (kind == "boolean" or not isinstance(value, bool)) for kind in kinds)
            if not fits:
                return [f"{where}: {value!r} is no {kinds}"]
        if "enum" in schema and value not in schema["enum"]:
            found.append(f"{where}: {value!r} is none of {schema['enum']}")
        if schema.get("format") == "date-time" and isinstance(value, str):
            try:
                datetime.datetime.fromisoformat(value)
            except ValueError:
                found.append(f"{where}: {value!r} is no time")
        for one in schema.get("allOf", []):
            found += self.problems(value, one, where)
        if "oneOf" in schema and sum(not self.problems(value, one, where)
                                     for one in schema["oneOf"]) != 1:
            found.append(f"{where}: {value!r} is not exactly one of the choices")
        if isinstance(value, dict):
            properties = schema.get("properties", {})
            found += [f"{where}: {name} is missing" for name in schema.get("required", [])
                      if name not in value]
            for name, member in value.items():
                if name in properties:
                    found += self.problems(member, properties[name], f"{where}.{name}")
                elif isinstance(schema.get("additionalProperties"), dict):
                    found += self.problems(member, schema["additionalProperties"],
                                           f"{where}.{name}")
        if isinstance(value, list) and "items" in schema:
            for number, item in enumerate(value):
                found += self.problems(item, schema["items"], f"{where}[{number}]")
        return found


class Client:
    def __init__(self, port: int):
        self.port = port
        self.document = yaml.safe_load(FILE.read_text())
        self.schema = Schema(self.document)
        self.seen: set[tuple[str, str]] = set()

    def raw(self, method: str, target: str, body: bytes | None = None, token: str | None = OPERATE,
            headers: dict | None = None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        all_headers = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            all_headers["Authorization"] = f"Bearer {token}"
        connection.request(method, target, body, {**all_headers, **(headers or {})})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        harness.ANSWERS.append((target.split("?")[0], text.decode(errors="replace")))
        return answer.status, answer.headers, text

    def path_of(self, target: str) -> str:
        path = target.split("?")[0]
        for pattern in self.document["paths"]:
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
                return pattern
        raise AssertionError(f"{target} is not in the file")

    def ask(self, method: str, target: str, body: dict | None = None, expect: int = 0,
            token: str | None = OPERATE, **headers):
        """Asks, and compares the answer with what the file says of it."""
        data = None if body is None else json.dumps(body).encode()
        status, answered, text = self.raw(method, target, data, token, headers or None)
        pattern = self.path_of(target)
        operation = self.document["paths"][pattern][method.lower()]
        good = next(code for code in operation["responses"] if code.startswith("2"))
        wanted = expect or int(good)
        check(status == wanted, f"{method} {target}: {status} instead of {wanted}: {text[:300]!r}")
        check(answered["X-Content-Type-Options"] == "nosniff", f"{target}: headers {answered}")
        if str(status) in operation["responses"]:
            response = self.schema.resolve(operation["responses"][str(status)])
            kind, content = next(iter(response["content"].items()))
            check(answered["Content-Type"] == kind, f"{target}: is {answered['Content-Type']}")
            if kind != "application/json":
                self.seen.add((method, pattern))
                return text.decode()
            schema = content["schema"]
        else:
            check(status in (401, 403, 404, 405, 409, 413, 415, 421, 429),
                  f"{method} {target}: {status} is not in the file")
            schema = {"$ref": "#/components/schemas/Error"}
        value = json.loads(text)
        problems = self.schema.problems(value, schema)
        check(not problems, f"{method} {target}: {problems[:5]}")
        if status < 300:
            self.seen.add((method, pattern))
        return value

    def post(self, target: str, body: dict | None = None, expect: int = 0, **options):
        return self.ask("POST", target, {} if body is None else body, expect, **options)

    def get(self, target: str, expect: int = 0, **options):
        return self.ask("GET", target, None, expect, **options)


class Stream(threading.Thread):
    """Reads server-sent events until the server ends them."""

    def __init__(self, client: Client):
        super().__init__(daemon=True)
        self.client = client
        self.events: list[tuple[str, dict]] = []
        self.start()

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.client.port, timeout=60)
        connection.request("GET", "/v1/stream", headers={"Authorization": f"Bearer {VIEW}"})
        answer = connection.getresponse()
        check(answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream",
              f"the stream: {answer.status}")
        self.client.seen.add(("GET", "/v1/stream"))
        name = ""
        for line in answer:
            text = line.decode().rstrip("\n")
            if text.startswith("event: "):
                name = text.removeprefix("event: ")
            elif text.startswith("data: "):
                self.events.append((name, json.loads(text.removeprefix("data: "))))

    def of(self, name: str) -> list[dict]:
        return [data for event, data in self.events if event == name]

    def tells(self, name: str, schema: str, wanted) -> None:
        """One of the runs that the events of this name tell is the one that is wanted."""
        def told() -> list[dict]:
            return [run for data in self.of(name) for run in data["runs"]]
        wait_until(lambda: any(wanted(run) for run in told()), 15, f"an event {name}")
        for run in told():
            problems = self.client.schema.problems(run, {"$ref": f"#/components/schemas/{schema}"})
            check(not problems, f"{name}: {problems}")


def repeats(stream: Stream, name: str) -> list[dict]:
    """Runs that were told as they had been told before."""
    last: dict[str, dict] = {}
    again = []
    for run in (run for data in stream.of(name) for run in data["runs"]):
        key = str(run.get("id") or (run["cache"], run["number"]))
        if last.get(key) == run:
            again.append(run)
        last[key] = run
    return again


def refusals(client: Client) -> None:
    step("who must not gets nothing")
    for token in (None, "", "wrong", OPERATE[:-1], OPERATE + "x", VIEW.upper()):
        error = client.get("/v1/rules", 401, token=token)["error"]
        check(error["code"] == "Unauthorized", f"token {token!r}: {error}")
    check(client.get("/v1/version", token=VIEW)["role"] == "view", "the role of the view token")
    changes = [path for path, item in client.document["paths"].items() if "post" in item]
    for path in changes:
        target = re.sub(r"\{\w+\}", "main", path)
        error = client.post(target, {}, 403, token=VIEW)["error"]
        check(error["code"] == "Forbidden", f"{path} with a view token: {error}")
        client.post(target, {}, 401, token=None)
    for origin in ("http://evil.example", "null", f"http://localhost:{client.port + 1}"):
        client.post("/v1/rules/main/pause", {}, 403, Origin=origin)
        client.get("/v1/rules", 403, Origin=origin)
    client.get("/v1/rules", Origin=f"http://127.0.0.1:{client.port}")
    client.get("/v1/rules", 421, Host="evil.example")
    client.get("/v1/rules", Host="longhaul.example.com")
    check(client.raw("GET", f"/v1/rules?token={OPERATE}", token=None)[0] == 401, "a token in a URL")
    client.post("/v1/rules/main/pause", {"target": "x" * (300 << 10)}, 413)
    check(client.raw("POST", "/v1/rules/main/pause", b"{}", headers={"Content-Type": "text/plain"})
          [0] == 415, "a form of another page")
    for body in (b"[]", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 100):
        check(client.raw("POST", "/v1/rules/main/pause", body)[0] == 400, f"the body {body!r}")
    check(client.raw("DELETE", "/v1/rules")[0] == 405, "a method that is none")
    check(client.raw("GET", "/v1/nothing")[0] == 404, "a path that is none")
    for target, field in (("/v1/rules?limit=0", "limit"), ("/v1/rules?x=1", "x"),
                          ("/v1/rules?health=sick", "health"), ("/v1/rules?cursor=zz", "cursor"),
                          ("/v1/explain", "address"), ("/v1/explain?address=east", "address"),
                          ("/v1/history?from=today", "from"), ("/v1/savings?by=hour", "by")):
        error = client.get(target, 400)["error"]
        check(error["field"] == field, f"{target}: {error}")
    for body, field in (({"until": "2020-01-01T00:00:00Z"}, "until"), ({"for_seconds": 0},
                        "for_seconds"), ({"target": "east"}, "target"), ({"what": 1}, "what")):
        error = client.post("/v1/rules/main/pause", body, 400)["error"]
        check(error["field"] == field, f"pause {body}: {error}")
    client.get("/v1/rules/other", 404)
    check(not client.get("/v1/rules/main")["paused_since"], "what was refused has been done")
    status, headers, _ = client.raw("GET", "/", token=None)
    check(status in (200, 404) and "frame-ancestors 'none'" in headers["Content-Security-Policy"]
          and "unsafe" not in headers["Content-Security-Policy"], f"GET /: {status} {headers}")


def ended(client: Client, path: str) -> dict:
    def over():
        run = client.get(path)
        return run["phase"] != "running" and run
    return wait_until(over, 40, f"{path} has ended")


def stopped_in_time(make, stop) -> None:
    """A run may end before somebody asks it to stop; one of some does not."""
    for number in range(30):
        path = make(number)
        if stop(f"{path.split('?')[0]}/stop" + path[len(path.split("?")[0]):]):
            return
    raise AssertionError("no run could be stopped")


def stop(client: Client, target: str) -> bool:
    status = client.raw("POST", target, b"{}")[0]
    check(status in (202, 409), f"{target}: {status}")
    if status == 202:
        client.seen.add(("POST", client.path_of(target)))
    return status == 202


def cache_runs(client: Client, world: World, source: pathlib.Path, stream: Stream) -> None:
    step("a fill by the document of Amazon's caching solution")
    document = {"ttl": 24, "bucket": "east:data", "prefixes": ["taken-1", "taken-"],
                "directory_bucket": "west:filled", "force_copy": False}
    run = client.post("/v1/cache/runs", document)
    path = f"/v1/cache/runs/{run['number']}?cache={run['cache'].replace(' ', '+')}"
    run = ended(client, path)
    check(run["phase"] == "done" and run["copied"] == 5, f"{run}")
    check({name: run["result"][name] for name in ("ttl", "prefixes", "directory_bucket", "FailedJobs",
           "WaitingForJobs", "Error")} == {"ttl": 24, "prefixes": [], "directory_bucket": "filled",
           "FailedJobs": [], "WaitingForJobs": False, "Error": None}, f"{run['result']}")
    check((world.work / "west/filled/taken-4").read_bytes() == b"ours", "the copy")
    # Folders cost nothing; the other way has its jobs to pay.
    check(run["cost"]["paid_items"] == {} and run["cost"]["batch_items"]["jobs"] == 2 * 25 * 10**10,
          f"{run['cost']}")
    stream.tells("cache_runs", "CacheRun", lambda told: told["number"] == run["number"] and
                 told["phase"] == "done" and told["copied"] == 5)
    again = client.post("/v1/cache/runs", {**document, "force_copy": False})
    again = ended(client, path.replace(f"/{run['number']}?", f"/{again['number']}?"))
    check(again["hits"] == 5 and again["copied"] == 0, f"{again}")

    step("a fill that makes no sense is refused at its field, before anything is copied")
    for change, field in (({"ttl": 0}, "ttl"), ({"ttl": 87600}, "ttl"), ({"ttl": "day"}, "ttl"),
                          ({"ttl": None}, "ttl"), ({"prefixes": []}, "prefixes"),
                          ({"prefixes": ["no/such/"]}, "prefixes"), ({"bucket": "data"}, "bucket"),
                          ({"bucket": "east:none"}, "bucket"), ({"force_copy": None}, "force_copy"),
                          ({"directory_bucket": "west:none"}, "directory_bucket"),
                          ({"directory_bucket": "east:data"}, "directory_bucket"),
                          ({"directory_bucket": "west:moved"}, "directory_bucket"), ({"x": 1}, "x")):
        error = client.post("/v1/cache/runs", {**document, **change}, 400)["error"]
        check(error["field"] == field, f"fill with {change}: {error}")
    check(len(client.get("/v1/cache/runs")["runs"]) == 3, "what was refused is a run")
    page = client.get("/v1/cache/runs?limit=2")
    check(len(client.get(f"/v1/cache/runs?limit=2&cursor={page['next']}")["runs"]) == 1, "a page")

    (source / "wide").mkdir()
    for number in range(200):
        (source / f"wide/{number:03}").write_bytes(b"x" * 5000)

    def fill(_: int) -> str:
        told = client.post("/v1/cache/runs", {**document, "prefixes": ["wide/"], "force_copy": True})
        return path.replace(f"/{run['number']}?", f"/{told['number']}?")
    stopped_in_time(fill, lambda target: stop(client, target))
    last = client.get("/v1/cache/runs")["runs"][0]["number"]
    told = ended(client, path.replace(f"/{run['number']}?", f"/{last}?"))
    check(told["phase"] == "stopped" and told["reason"], f"{told}")
    client.post(f"/v1/cache/runs/{run['number']}/stop{path[path.index('?'):]}", {}, 409)


def backups(client: Client, world: World, stream: Stream) -> None:
    step("a backup is browsed as of a time, page by page")
    source = world.work / "east/kept"
    base = "/v1/backups/kept/vault"
    check([(one["rule"], one["target"]) for one in client.get("/v1/backups")["backups"]] ==
          [("kept", "vault")], "the backups")
    for name in ("a/one", "a/two", "b/three", "four"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(f"first {name}".encode())
    for number in range(100):
        (source / f"b/many-{number:02}").write_bytes(b"x" * 2000)

    def listed(**query) -> dict:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return client.get(f"{base}/objects?{text}")
    wait_until(lambda: len(listed(limit=500)["objects"]) == 104, 60, "all are kept", every=1)
    stamp = client.get(f"{base}/versions?key=a/one")["versions"][0]["stamp"]
    time.sleep(1.5)
    (source / "a/one").write_bytes(b"second, and longer")
    (source / "a/two").unlink()
    wait_until(lambda: len(client.get(f"{base}/versions?key=a/one")["versions"]) == 2, 60,
               "the second version", every=1)
    versions = client.get(f"{base}/versions?key=a/one")["versions"]
    check([one["size"] for one in versions] == [18, 11] and versions[0]["is_latest"], f"{versions}")
    check(len(client.get(f"{base}/versions?key=a/one&limit=1")["versions"]) == 1, "a page of versions")
    now, then = listed(prefix="a/"), listed(prefix="a/", at=stamp)
    check([one["size"] for one in now["objects"] if one["key"] == "a/one"] == [18], f"now: {now}")
    check([one["size"] for one in then["objects"] if one["key"] == "a/one"] == [11], f"then: {then}")
    seen, cursor = [], ""
    while cursor is not None:
        page = listed(delimiter="/", limit=1, cursor=cursor)
        seen += [one["key"] for one in page["objects"]] + page["prefixes"]
        cursor = page["next"]
    check(seen == ["a/", "b/", "four"], f"by folders: {seen}")
    client.get(f"{base}/versions?key=a/on", 404)
    client.get("/v1/backups/main/west/objects", 404)
    for target, field in ((f"{base}/objects?at=then", "at"), (f"{base}/objects?cursor=00x", "cursor"),
                          (f"{base}/objects?limit=501", "limit"), (f"{base}/versions", "key")):
        check(client.get(target, 400)["error"]["field"] == field, target)

    step("an object comes back as of an earlier time")
    run = client.post(f"{base}/restore", {"key": "a/one", "at": stamp, "destination": "west:back/x"})
    run = ended(client, f"/v1/backups/runs/{run['id']}")
    check(run["phase"] == "done" and run["restored"] == 1, f"{run}")
    check((world.work / "west/back/x/one").read_bytes() == b"first a/one", "what came back")
    stream.tells("restores", "Restore", lambda told: told["id"] == run["id"] and
                 told["phase"] == "done" and told["restored"] == 1)

    step("what is there and differs is replaced only when that is said")
    run = client.post(f"{base}/restore", {"key": "a/one", "at": stamp})
    run = ended(client, f"/v1/backups/runs/{run['id']}")
    check(run["phase"] == "stopped" and "differs" in run["reason"] and run["restored"] == 0, f"{run}")
    check((source / "a/one").read_bytes() == b"second, and longer", "it was replaced unasked")
    run = client.post(f"{base}/restore", {"prefix": "a/", "at": stamp, "dry_run": True,
                                          "overwrite": True})
    run = ended(client, f"/v1/backups/runs/{run['id']}")
    check(run["phase"] == "done" and "would be replaced" in run["reason"], f"{run}")
    check((source / "a/one").read_bytes() == b"second, and longer", "a dry run has written")
    run = client.post(f"{base}/restore", {"key": "a/one", "at": stamp, "overwrite": True})
    run = ended(client, f"/v1/backups/runs/{run['id']}")
    check(run["phase"] == "done" and (source / "a/one").read_bytes() == b"first a/one", f"{run}")
    run = client.post(f"{base}/restore", {"key": "a/none", "destination": "west:back/"})
    run = ended(client, f"/v1/backups/runs/{run['id']}")
    check(run["phase"] == "failed" and "nothing of" in run["reason"], f"{run}")
    client.get(f"/v1/backups/runs/{run['id']}/failures")
    client.get(f"/v1/backups/runs/{run['id'][:10]}", 404)
    for body, field in (({}, "prefix"), ({"key": "a", "prefix": "a"}, "key"), ({"key": ""}, "key"),
                        ({"prefix": "", "destination": "no:x/"}, "destination"),
                        ({"prefix": "", "destination": "west:vault/x/"}, "destination"),
                        ({"prefix": "", "destination": "west:staging/kept/"}, "destination"),
                        ({"prefix": "", "destination": "west:none/"}, "destination"),
                        ({"prefix": "", "at": "then"}, "at"), ({"prefix": "", "to": "x"}, "to")):
        error = client.post(f"{base}/restore", body, 400)["error"]
        check(error["field"] == field, f"restore {body}: {error}")

    def restore(number: int) -> str:
        told = client.post(f"{base}/restore", {"prefix": "b/", "destination": f"west:back/{number}/"})
        return f"/v1/backups/runs/{told['id']}"
    stopped_in_time(restore, lambda target: stop(client, target))
    ended(client, "/v1/backups/runs/" + client.get("/v1/backups/runs")["runs"][0]["id"])
    stopped = client.get("/v1/backups/runs")["runs"][0]
    if stopped["phase"] == "stopped":
        world.run("runs", "resume", stopped["id"], "--config", world.work / "longhaul.yaml").expect(0)
    folder = world.work / "west/back" / stopped["destination"].split("/")[-2]
    check(len(list(folder.iterdir())) == 101, "what a command went on with")
    page = client.get("/v1/backups/runs?limit=2")
    rest = client.get(f"/v1/backups/runs?limit=500&cursor={page['next']}")
    check(len(page["runs"]) == 2 and len(rest["runs"]) >= 4, "pages of restores")
    known = {line["run"]: line for line in
             world.run("runs", "ls", "--config", world.work / "longhaul.yaml", "--json").expect(0).lines()
             if line["event"] == "run"}
    check(rest["runs"][-1]["id"] in known, f"`runs ls` knows them: {known}")


def slow_heads(client: Client) -> None:
    step("connections that never finish a head keep nobody out")
    sockets = []
    for _ in range(1500):
        one = socket.create_connection(("127.0.0.1", client.port))
        one.setblocking(False)
        sockets.append(one)
    over = threading.Event()

    def drip() -> None:
        while not over.is_set():
            for one in sockets:
                try:
                    one.send(b"G")
                except OSError:
                    pass
            over.wait(1)

    thread = threading.Thread(target=drip)
    thread.start()
    try:
        time.sleep(1)
        longest = 0.0
        for _ in range(5):
            begun = time.monotonic()
            check(client.raw("GET", "/healthz", token=None)[0] == 200, "health among slow heads")
            longest = max(longest, time.monotonic() - begun)
        # 1 s is what is promised; the rest is for a machine that does other things too.
        check(longest < 4, f"a client waited for {longest:.1f} s")
        print(f"  the longest wait of 5: {longest:.3f} s", flush=True)
    finally:
        over.set()
        thread.join()
        for one in sockets:
            one.close()


def main() -> None:
    with World("api") as world:
        port = free_port()
        for folder in ("east/data", "east/kept", "west/copy", "west/staging", "west/moved", "west/fast",
                       "west/filled", "west/vault", "west/back"):
            (world.work / folder).mkdir(parents=True)
        stores = {name: {"type": "file", "root": str(world.work / name)} for name in ("east", "west")}
        the_rule = {"id": "main", "source": "east:data/", "settle": "1s",
                    "intake": {"watch": True, "listing": "1h"}, "batch": {"linger": "1s"},
                    "targets": [{"name": "west", "to": "west:copy/", "staging": "west:staging/"}]}
        kept = {**the_rule, "id": "kept", "source": "east:kept/", "targets": [
            {"name": "vault", "to": "west:vault/", "staging": "west:staging/kept/", "backup": {}}]}
        config = world.config(
            stores, [the_rule, kept], listen=f"127.0.0.1:{port}", token=OPERATE,
            api={"tokens": [{"name": "board", "role": "view", "token": VIEW}],
                 "hosts": ["longhaul.example.com"]},
            migrations=[{"id": "nightly", "source": "east:data/", "target": "west:moved/"}])
        source = world.work / "east/data"
        (source / "first").write_bytes(b"the first")
        running = world.start("replicate", "--config", config)
        client = Client(port)
        wait_until(lambda: "listening" in running.output(), 20, "it listens")
        check(client.get("/v1/openapi.yaml", token=None) == FILE.read_text(), "another file")
        wait_until(lambda: (world.work / "west/copy/first").exists(), 20, "the first object")
        stream = Stream(client)
        wait_until(lambda: stream.of("hello"), 10, "the stream says hello")

        step("it is shown")
        def ask(*words: str) -> list[dict]:
            return world.run(*words, "--config", config, "--json").expect(0).lines()
        # Processes publish what they know every few seconds.
        wait_until(lambda: client.get("/v1/rules/main")["targets"][0]["applied"] == 1, 20,
                   "the first object is counted")
        # The list is read for all who ask within a moment, so it may be one look older.
        shown = wait_until(lambda: (page := client.get("/v1/rules"))["counts"]["ok"] == 2 and page, 20,
                           "the list has it, too")
        rule = next(one for one in shown["rules"] if one["id"] == "main")
        check(shown["total"] == 2 and rule["id"] == "main" and rule["health"] == "ok", f"{shown}")
        status = ask("rules", "status", "main")
        for name in ("state", "source", "sent_bytes", "plain_bytes", "saved_bytes", "failures"):
            check(status[0][name] == rule[name], f"{name}: {status[0][name]} and {rule[name]}")
        check(client.get("/v1/members")["members"][0]["pid"] == running.pid, "the member")
        check(client.get("/v1/health")["ready"], "it is ready")
        client.get("/v1/failures")
        client.get("/v1/dead-letters")
        client.get("/v1/savings?by=day")
        told = client.get("/v1/explain?address=east:data/first")
        check(told["status"] == "COMPLETED" and
              told["rules"][0]["targets"][0]["object"]["size"] == 9, f"explain: {told}")
        check(client.get("/v1/explain?address=west:copy/first")["status"] == "REPLICA", "a replica")

        step("a pause by the API is that of the command, and the other way round")
        paused = client.post("/v1/rules/main/pause", {"target": "west:copy/", "for_seconds": 3600})
        check(paused["target"] == "west" and paused["until"], f"{paused}")
        told = next(line for line in ask("rules", "status", "main") if line["event"] == "target")
        check(told["state"].startswith("paused until"), "the command")
        check(next(
            one for one in client.get("/v1/rules")["rules"] if one["id"] == "main"
            )["targets"][0]["health"] == "off", "the list")
        wait_until(lambda: any(rule["targets"][0]["state"] == "paused"
                               for data in stream.of("rules") for rule in data["rules"]), 15,
                   "the stream tells of it")
        resumed = ask("rules", "resume", "main", "--target", "west")
        check(resumed[-1]["was_paused"], "resumed by the command")
        ask("rules", "pause", "main")
        check(client.get("/v1/rules/main")["state"] == "paused", "paused by the command")
        check(client.post("/v1/rules/main/resume")["was_paused"], "resumed by the API")
        client.post("/v1/rules/main/backfill", {"prefix": ""})
        client.post("/v1/dead-letters/redrive")

        step("what is parked is listed page by page and tried again")
        for number in range(5):
            (world.work / f"west/copy/taken-{number}").write_bytes(b"somebody else's")
            (source / f"taken-{number}").write_bytes(b"ours")
        wait_until(lambda: len(client.get("/v1/parked")["parked"]) == 5, 30, "they are parked")
        keys, cursor = [], ""
        while cursor is not None:
            page = client.get(f"/v1/parked?rule=main&target=west&limit=2&cursor={cursor}")
            keys += [one["key"] for one in page["parked"]]
            cursor = page["next"]
        check(keys == [f"taken-{number}" for number in range(5)], f"pages: {keys}")
        check(client.get("/v1/failures")["failures"][0]["reason"], "failures")
        for number in range(5):
            (world.work / f"west/copy/taken-{number}").unlink()
        answer = client.post("/v1/rules/main/retry", {"keys": ["taken-1", "other"]})
        check(answer == {"rule": "main", "keys": 1, "forgotten": 0, "missing": ["other"]}, f"{answer}")
        client.post("/v1/rules/main/retry", {"all": True})
        wait_until(lambda: not client.get("/v1/parked")["parked"], 30, "they are carried")

        step("a migration run is made, stopped, started and carried")
        check(client.get("/v1/migrations")["migrations"][0]["id"] == "nightly", "the listed one")
        error = client.post("/v1/migrations/runs", {"source": "east:data/", "target": "no:x/"}, 400)
        check(error["error"]["field"] == "target", f"{error}")
        client.post("/v1/migrations/runs", {"migration": "other"}, 400)
        run = client.post("/v1/migrations/runs", {"source": "east:data/", "target": "west:moved/",
                                                  "id": "by-hand", "options": {"tries": 2}})
        check(run["state"] == "waiting" and run["workers"] == 0, f"{run}")
        check(client.post("/v1/migrations/runs/by-hand/stop")["state"] == "stopped", "stopped")
        check(client.post("/v1/migrations/runs/by-hand/start")["state"] == "waiting", "started")
        worker = world.start("migrate", "worker", "--config", config)
        wait_until(lambda: client.get("/v1/migrations/runs/by-hand")["state"] == "finished", 40,
                   "the run is carried")
        client.get("/v1/migrations/runs/by-hand/objects?state=failed")
        check(client.post("/v1/migrations/runs/by-hand/retry")["objects"] == 0, "nothing failed")
        check(client.get("/v1/migrations/runs")["runs"][0]["copied"] == 6, "six were copied")
        client.get("/v1/migrations/runs/other", 404)
        worker.kill()

        step("a cache run that a command has made")
        client.get("/v1/cache/runs/1", 404)
        world.run("cache", "fill", "east:data/", "--to", "west:fast", "--ttl", "1h", "--config",
                  config).expect(0)
        fill = client.get("/v1/cache/runs")["runs"][0]
        check(fill["phase"] == "done", f"{fill}")
        client.get(f"/v1/cache/runs/{fill['number']}")

        cache_runs(client, world, source, stream)
        backups(client, world, stream)

        step("every change is in the audit log, refused ones are not")
        entries = client.get("/v1/audit?limit=500")["entries"]
        check([entry["number"] for entry in entries] == list(range(len(entries), 0, -1)), "numbers")
        check(entries[-1]["action"] == "pauseRule" and entries[-1]["who"] == "token" and
              entries[-1]["status"] == 200 and "west" in entries[-1]["detail"], f"{entries[-1]}")
        check(client.get("/v1/audit?limit=1")["next"], "there are more pages")
        check(stream.of("audit"), "the stream tells of changes")

        refusals(client)
        wait_until(lambda: client.get("/v1/history")["times"], 90, "a minute of history", every=3)
        lines = client.get("/v1/history?rule=main&target=west")
        check(len(lines["times"]) == len(lines["series"]["lag_seconds"]) >= 1, f"{lines}")
        wait_until(lambda: stream.of("heartbeat"), 40, "the stream beats when nothing happens")

        for name in ("cache_runs", "restores"):
            check(not repeats(stream, name), f"{name}: {repeats(stream, name)[:1]} has not changed")
        missing = {(method.upper(), path) for path, item in client.document["paths"].items()
                   for method in item if method in ("get", "post")} - client.seen
        check(not missing, f"of the file nobody asked for {sorted(missing)}")
        slow_heads(client)
        step("a restore whose process is killed is told of, and begun again goes on")
        wanted = {"prefix": "b/", "destination": "west:back/killed/"}
        run = client.post("/v1/backups/kept/vault/restore", wanted)
        running.process.kill()
        running.wait(30)
        check(OPERATE not in running.output() and VIEW not in running.output(), "a token in the log")
        running = world.start("replicate", "--config", config)
        wait_until(lambda: "listening" in running.output(), 20, "it listens again")
        check(client.get(f"/v1/backups/runs/{run['id']}")["phase"] in ("killed", "done"), "who died")
        run = client.post("/v1/backups/kept/vault/restore", wanted)
        run = ended(client, f"/v1/backups/runs/{run['id']}")
        check(run["phase"] == "done" and run["restored"] + run["equal"] == 101, f"{run}")
        check(len(list((world.work / "west/back/killed").iterdir())) == 101, "what came back")
        running.process.terminate()
        running.wait(30)
        check(running.output().count('"listening"') == 1, "it is told more than once where it listens")
        check(OPERATE not in running.output() and VIEW not in running.output(), "a token in the log")


if __name__ == "__main__":
    main()
