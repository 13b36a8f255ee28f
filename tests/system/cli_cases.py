"""cli_cases.py SERVER: what a person types, on a real server. The name of a case is its command.

Without it: the commands of the guide would be tried for the first time by their readers.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback

from fault_proxy import FaultProxy
from harness import (BINARY, HOSTILE_KEYS, PLAIN_ODD_KEYS, UNHOLDABLE, Thing, World, check,
                     differences, facts, fail, free_port, keys_of, put_all, report, rule, step,
                     store_of, things, wait_until)

CASES = []


def case(command: str):
    def register(function):
        CASES.append((command, function))
        return function

    return register


class Context:
    """A server with a bucket `b` for each case, and the binary with a configuration for it."""

    def __init__(self, world: World, server, bucket: str):
        self.world, self.server, self.s3, self.bucket = world, server, server.s3, bucket
        self.config = world.work / "cli.yaml"
        self.folder = world.work / bucket
        self.folder.mkdir()
        self.s3.create_bucket(Bucket=bucket)

    def url(self, key: str = "") -> str:
        return f"it:{self.bucket}/{key}"

    def run(self, *args, code: int = 0, words=(), **options):
        return self.world.run(args[0], "--config", self.config, *args[1:], timeout=120,
                              **options).expect(code, *words)

    def put(self, *names: str) -> None:
        put_all(self.s3, self.bucket, [Thing(name, f"body of {name}".encode()) for name in names])

    def keys(self) -> list[str]:
        return sorted(keys_of(self.s3, self.bucket))


@case("longhaul cp FILE STORE:BUCKET/KEY")
def _(c: Context):
    (c.folder / "a.txt").write_text("hello")
    c.run("cp", str(c.folder / "a.txt"), c.url("in/a.txt"))
    check(facts(c.s3, c.bucket, "in/a.txt")["size"] == 5, "not there")
    c.run("cp", str(c.folder / "a.txt"), c.url("folder/"))
    check("folder/a.txt" in c.keys(), f"keys: {c.keys()}")


@case("longhaul cp STORE:BUCKET/KEY FILE")
def _(c: Context):
    c.put("in/a.txt")
    c.run("cp", c.url("in/a.txt"), str(c.folder / "out.txt"))
    check((c.folder / "out.txt").read_text() == "body of in/a.txt", "wrong bytes")
    c.run("cp", c.url("no-such-key"), str(c.folder / "none"), code=3, words=["no-such-key"])
    check(not (c.folder / "none").exists(), "a file was left where nothing was copied")


@case("longhaul cp --recursive STORE:BUCKET STORE:BUCKET")
def _(c: Context):
    put_all(c.s3, c.bucket, [Thing("from/" + thing.key, thing.body, thing.options)
                             for thing in things(60)])
    put_all(c.s3, c.bucket, [Thing("from/" + key, key.encode()) for key in PLAIN_ODD_KEYS])
    c.run("cp", "--recursive", c.url("from/"), c.url("to/"))
    found = differences(c.s3, c.bucket, c.s3, c.bucket, "from/", "to/")
    check(not found, "\n".join(found[:20]))
    c.run("check", c.url("from/"), c.url("to/"))


@case("longhaul cp --recursive STORE:BUCKET FOLDER and back")
def _(c: Context):
    put_all(c.s3, c.bucket, [Thing("from/" + thing.key, thing.body, thing.options)
                             for thing in things(40)])
    folder = str(c.folder / "copy")
    c.run("cp", "--recursive", c.url("from/"), folder + "/")
    c.run("check", c.url("from/"), folder + "/")
    c.run("cp", "--recursive", folder + "/", c.url("back/"))
    found = differences(c.s3, c.bucket, c.s3, c.bucket, "from/", "back/")
    check(not found, "\n".join(found[:20]))


@case("longhaul mv (one object under two names)")
def _(c: Context):
    c.put("mv/a.txt")
    alias = c.server.endpoint.replace("127.0.0.1", "127.1")
    c.run("mv", c.url("mv/a.txt"), f"s3://{c.bucket}/mv/a.txt", "--endpoint-url", alias, code=1,
          words=["one object under two names"])
    c.run("mv", c.url("mv/a.txt"), f"s3://{c.bucket}/mv/a.txt", "--endpoint-url",
          c.server.endpoint, code=2, words=["are the same"])
    check("mv/a.txt" in c.keys(), "the only one was removed")


@case("longhaul mv --recursive (between two buckets, within a second)")
def _(c: Context):
    other = c.bucket + "-to"
    c.s3.create_bucket(Bucket=other)
    for flags in ([], ["--no-clobber"]):
        c.put("mv/1", "mv/2")
        c.run("mv", "--recursive", *flags, c.url(), f"it:{other}/")
        check(not c.keys(), f"left behind: {c.keys()}")
        check(keys_of(c.s3, other) == ["mv/1", "mv/2"], f"{keys_of(c.s3, other)}")
        c.run("rm", "--recursive", "--yes", f"it:{other}/")


@case("longhaul cp (50 MiB, in parts)")
def _(c: Context):
    body = bytes(range(256)) * (50 << 12)
    (c.folder / "big").write_bytes(body)
    c.run("cp", str(c.folder / "big"), c.url("big"))
    c.run("cp", c.url("big"), c.url("big-2"))
    c.run("cp", c.url("big-2"), str(c.folder / "big-2"))
    check((c.folder / "big-2").read_bytes() == body, "wrong bytes")
    check(not c.s3.list_multipart_uploads(Bucket=c.bucket).get("Uploads"), "an upload is left")


@case("longhaul ls STORE:BUCKET/PREFIX")
def _(c: Context):
    c.put("a/1", "a/2", "b", "c/ü x")
    ran = c.run("ls", c.url("a/"), words=["1", "2"])
    check("b\n" not in ran.stdout, "lists what is not below the prefix")
    lines = c.run("ls", "--json", "--recursive", c.url()).lines()
    keys = [line["key"] for line in lines if "key" in line]
    check(keys == ["a/1", "a/2", "b", "c/ü x"], f"keys: {keys}")
    c.run("ls", "it:no-such-bucket-x/", code=3, words=["no-such-bucket-x"])


@case("longhaul stat STORE:BUCKET/KEY")
def _(c: Context):
    c.s3.put_object(Bucket=c.bucket, Key="k", Body=b"12345", ContentType="text/css",
                    Metadata={"owner": "me"})
    c.run("stat", c.url("k"), words=["5", "text/css", "owner", "me"])
    c.run("stat", c.url("none"), code=3, words=["none"])


@case("longhaul cat STORE:BUCKET/KEY")
def _(c: Context):
    c.put("k")
    check(c.run("cat", c.url("k")).stdout == "body of k", "wrong bytes")
    c.run("cat", c.url("none"), code=3)


@case("longhaul rm STORE:BUCKET/KEY")
def _(c: Context):
    c.put("a/1", "a/2", "b")
    c.run("rm", c.url("a/1"))
    check(c.keys() == ["a/2", "b"], f"keys: {c.keys()}")
    c.run("rm", "--recursive", "--yes", c.url("a/"))
    check(c.keys() == ["b"], f"keys: {c.keys()}")


@case("longhaul check SRC DST")
def _(c: Context):
    for key in ("same", "size", "bytes", "metadata", "tags", "left"):
        c.s3.put_object(Bucket=c.bucket, Key=f"l/{key}", Body=b"12345")
        if key != "left":
            c.s3.put_object(Bucket=c.bucket, Key=f"r/{key}", Body=b"12345")
    c.s3.put_object(Bucket=c.bucket, Key="r/right", Body=b"12345")
    c.s3.put_object(Bucket=c.bucket, Key="r/size", Body=b"123456")
    c.s3.put_object(Bucket=c.bucket, Key="r/bytes", Body=b"54321")
    c.s3.put_object(Bucket=c.bucket, Key="r/metadata", Body=b"12345", Metadata={"a": "b"})
    c.s3.put_object(Bucket=c.bucket, Key="r/tags", Body=b"12345", Tagging="a=b")
    ran = c.run("check", c.url("l/"), c.url("r/"), code=11,
                words=["size", "bytes", "metadata", "tags", "left", "right"])
    check("same" not in ran.stdout, "names an object that is equal")
    c.run("rm", "--recursive", "--yes", c.url("r/"))
    c.run("cp", "--recursive", c.url("l/"), c.url("r/"))
    c.run("check", c.url("l/"), c.url("r/"))


@case("longhaul check --root SRC --against FILE")
def _(c: Context):
    for side in ("l", "r"):
        for number in range(20):
            c.s3.put_object(Bucket=c.bucket, Key=f"{side}/{number % 3}/{number}",
                            Body=f"{number}".encode(), Metadata={"n": str(number)},
                            Tagging="a=b" if number == 7 else "")
    tree = str(c.folder / "l.tree")
    root = c.run("check", "--root", "--save", tree, c.url("l/")).stdout.strip()
    check(root.startswith("longhaul-tree-1:full:"), root)
    ran = c.run("check", "--root", "--depth", "1", "--against", tree, c.url("r/"))
    check(root in ran.stdout and ran.stdout.count("longhaul-tree-1:full:") == 4, ran.stdout)
    both = c.run("check", "--json", c.url("l/"), c.url("r/")).stdout.splitlines()[-1]
    check(json.loads(both)["source_root"] == json.loads(both)["target_root"] == root, both)
    listed = c.run("check", "--root", "--no-metadata", c.url("l/")).stdout.strip()
    check(listed.startswith("longhaul-tree-1:listing:"), listed)
    c.run("check", "--root", "--no-metadata", "--against", tree, c.url("r/"), code=2,
          words=["other mode"])

    c.s3.put_object(Bucket=c.bucket, Key="r/0/3", Body=b"3", Metadata={"n": "other"})
    c.s3.put_object(Bucket=c.bucket, Key="r/new", Body=b"new")
    c.s3.delete_object(Bucket=c.bucket, Key="r/1/4")
    again = c.run("check", "--root", "--no-metadata", c.url("r/0/")).stdout
    check(again == c.run("check", "--root", "--no-metadata", c.url("l/0/")).stdout,
          "metadata is in the hash of a listing")
    found = c.folder / "report.jsonl"
    c.run("check", "--root", "--against", tree, "--report", str(found), c.url("r/"), code=11)
    aspects = {line["key"]: line["aspect"] for line in map(json.loads, open(found))}
    check(aspects == {"0/3": "content", "new": "extra", "1/4": "missing"}, str(aspects))
    found.unlink()
    c.run("check", "--report", str(found), c.url("l/"), c.url("r/"), code=11)
    aspects = {line["key"]: line["aspect"] for line in map(json.loads, open(found))}
    check(aspects == {"0/3": "metadata n", "new": "extra", "1/4": "missing"}, str(aspects))


@case("longhaul du --depth 2 STORE:BUCKET")
def _(c: Context):
    for key, size in (("a/x/1", 10), ("a/x/2", 20), ("a-b", 1), ("a/y", 3), ("z", 5)):
        c.s3.put_object(Bucket=c.bucket, Key=key, Body=b"." * size)
    lines = [json.loads(line) for line in
             c.run("du", "--depth", "2", "--json", c.url()).stdout.splitlines()]
    sums = {line["prefix"]: (line["objects"], line["bytes"]) for line in lines
            if line["event"] == "prefix"}
    check(sums == {"a/x/": (2, 30), "a/": (3, 33)}, str(sums))
    check((lines[-1]["objects"], lines[-1]["bytes"]) == (5, 39), str(lines[-1]))
    c.run("du", "--depth", "0", c.url("a/"), words=["3 objects", "33 B"])
    c.run("du", c.url("none"), code=3, words=["nothing"])


@case("longhaul ls --listing FILE STORE:BUCKET/PREFIX")
def _(c: Context):
    c.put(*(f"in/{number}" for number in range(30)), "in/odd \u00e4+%", "other")
    kept = str(c.folder / "kept.zst")
    listed = c.run("ls", "-r", "--save-listing", kept, c.url()).stdout
    c.s3.delete_object(Bucket=c.bucket, Key="in/3")
    check(c.run("ls", "-r", "--listing", kept, c.url()).stdout == listed, "not what was kept")
    check(c.run("du", "--listing", kept, c.url("in/"), words=["31 objects"]), "")
    cut = c.folder / "cut.zst"
    cut.write_bytes(open(kept, "rb").read()[:-10])
    c.run("ls", "-r", "--listing", str(cut), c.url(), code=1, words=["cut"])
    c.run("check", "--source-listing", kept, "--no-metadata", c.url("in/"), c.url("in/"), code=11,
          words=["3: missing at the target"])
    # What other programs write, from a bucket and from a file.
    lines = c.run("ls", "-r", "--json", c.url("in/")).stdout
    c.s3.put_object(Bucket=c.bucket, Key="lists/l.jsonl", Body=lines.encode())
    check("31 objects" not in c.run("du", "--listing", c.url("lists/l.jsonl"), c.url()).stdout, "")
    c.run("du", "--listing", c.url("lists/l.jsonl"), c.url(), words=["30 objects"])
    (c.folder / "m.csv").write_text(f"{c.bucket},in/1\n{c.bucket},in/none\n")
    c.run("ls", "--listing", str(c.folder / "m.csv"), c.url(), code=1,
          words=["in/1", "m.csv line 2", "in/none"])
    (c.folder / "names").write_text("# two\n2\nodd \u00e4+%\n")
    check(c.run("ls", "--files-from", str(c.folder / "names"), c.url("in/")).stdout.count("\n") == 2,
          "not the two names")


@case("longhaul ls s3://BUCKET --endpoint-url URL")
def _(c: Context):
    c.put("k")
    c.world.run("ls", f"s3://{c.bucket}/", "--endpoint-url", c.server.endpoint).expect(0, "k")
    c.world.run("cat", f"s3://{c.bucket}/k", "--endpoint-url", c.server.endpoint,
                env={"AWS_SECRET_ACCESS_KEY": "wrong"}).expect(4)
    c.world.run("ls", f"s3://{c.bucket}/", "--endpoint-url", f"http://127.0.0.1:{free_port()}",
                "--timeout", "3s").expect(5)


@case("longhaul cp FILE STORE:BUCKET/KEY (keys of every shape)")
def _(c: Context):
    (c.folder / "x").write_text("x")
    for key in HOSTILE_KEYS:
        if key in UNHOLDABLE[c.server.kind]:
            continue  # `replicate` shows what becomes of these: see replicate.py.
        c.run("cp", str(c.folder / "x"), c.url(key))
        if not key.endswith("/"):
            check(key in c.keys(), f"{key!r} is not there: {c.keys()}")


@case("longhaul replicate --once (a store is away, then SIGTERM)")
def _(c: Context):
    config = c.world.config(
        {"it": store_of(c.server.endpoint), "away": store_of(f"http://127.0.0.1:{free_port()}")},
        [rule(f"it:{c.bucket}/", "away:copy/", "away:staging/")], f"{c.bucket}.yaml")
    process = c.world.start("replicate", "--config", config, "--once")
    # Told at the first failure, in one line, not after the last attempt.
    wait_until(lambda: "store away" in process.output(), 3, "says that the store is away")
    time.sleep(2)
    check(process.output().count("trying again") == 1, f"not told once: {process.output()}")
    check(process.running(), f"gave up: {process.output()}")
    asked = time.monotonic()
    process.kill(signal.SIGTERM)
    process.wait(10).expect(143)
    check(time.monotonic() - asked < 1.5, f"{time.monotonic() - asked:.1f} s to stop")


@case("longhaul replicate --once (a tiny object is no gain)")
def _(c: Context):
    c.s3.create_bucket(Bucket=c.bucket + "-to")
    c.s3.create_bucket(Bucket=c.bucket + "-st")
    c.put("tiny")
    config = c.world.config({"it": store_of(c.server.endpoint)},
                            [rule(f"it:{c.bucket}/", f"it:{c.bucket}-to/", f"it:{c.bucket}-st/")],
                            f"{c.bucket}.yaml", queue=f"sqlite:{c.bucket}.db",
                            state=f"sqlite:{c.bucket}.db")
    ran = c.world.run("replicate", "--config", config, "--once", "--json",
                      "--report", c.folder / "report.jsonl").expect(0)
    summary = ran.lines()[-1]
    check(summary["event"] == "summary" and summary["raw_bytes"] == len("body of tiny"),
          f"{summary}")
    check(summary["saved_bytes"] == summary["raw_bytes"] - summary["sent_bytes"] < 0, f"{summary}")
    last = report(c.folder / "report.jsonl")[-1]
    check(last["saved_bytes"] == summary["saved_bytes"] and last["saved_money"] < 0, f"{last}")


@case("longhaul config check --json FILE")
def _(c: Context):
    bad = c.folder / "bad.yaml"
    bad.write_text("version: 1\nsite: s\nstores:\n  a: { type: s4 }\n"
                   "rules: [{ id: r, source: 'a:My_B/', targets: [{ to: 'x:b', staging: 'a:s' }] }]")
    lines = c.world.run("config", "check", "--json", bad).expect(2).lines()
    check(lines[-1] == {"event": "summary", "file": str(bad), "mistakes": 2}, f"{lines}")
    for line in lines[:-1]:
        check(set(line) == {"event", "file", "line", "column", "field", "message", "remedy"},
              f"{line}")
    check([(line["line"], line["field"]) for line in lines[:-1]] ==
          [(4, "stores.a.type"), (5, "rules[0].targets[0].to")], f"{lines}")


@case("longhaul ls STORE:BUCKET | head -1")
def _(c: Context):
    c.put(*[f"many/{number:04}" for number in range(300)])
    piped = subprocess.run(
        ["bash", "-c", f'set -o pipefail; "{BINARY}" ls -r --config "{c.config}" "{c.url()}" '
                       "| head -1; echo ${PIPESTATUS[0]}"],
        capture_output=True, text=True, timeout=60, check=False)
    check(piped.stdout.splitlines()[-1] == "0" and piped.stderr == "", f"{piped}")


@case("longhaul cp --recursive (on a terminal)")
def _(c: Context):
    put_all(c.s3, c.bucket, [Thing(f"from/{i}", b"x" * 200_000) for i in range(60)])
    args = ["cp", "--recursive", "--config", str(c.config), c.url("from/"), str(c.folder / "out/")]
    colours = re.compile(r"\x1b\[\d+m")
    # A fast server is done before there is anything to redraw.
    proxy = FaultProxy(c.server.endpoint, "slow")
    slow = c.world.config({"it": store_of(proxy.endpoint)}, [], f"{c.bucket}-slow.yaml")
    code, shown = on_terminal([*args[:3], str(slow), *args[4:]], {})
    proxy.close()
    check(code == 0 and "60 objects" in shown, shown)
    check("\r\x1b[K" in shown, f"no line that is redrawn: {shown!r}")
    code, shown = on_terminal(["cat", "--config", str(c.config), c.url("none")],
                              {"NO_COLOR": "1"})
    check(code == 3 and not colours.search(shown), f"{shown!r}")
    ran = c.run(*args[:2], *args[4:])
    check("\x1b" not in ran.stdout + ran.stderr, "steers a terminal that is not there")


def on_terminal(args, env) -> tuple[int, str]:
    """Runs the binary on a terminal of its own; its exit code and all that it has shown."""
    import pty
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(BINARY, [BINARY, *args], {**os.environ, "TERM": "xterm", **env})
    shown = b""
    while True:
        try:
            more = os.read(terminal, 65536)
        except OSError:  # EIO: the program has ended.
            break
        if not more:
            break
        shown += more
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode(errors="replace")


# The gateway alone: other people's clients must work unchanged.


def aws(c: Context, *args, code: int = 0):
    """Runs the AWS CLI as it comes from PyPI."""
    from harness import Process
    process = Process(["-m", "awscli", *args, "--endpoint-url", c.server.endpoint], c.folder,
                      binary=sys.executable)
    return process.wait(60).expect(code)


def aws_cli(c: Context):
    (c.folder / "tree/sub").mkdir(parents=True)
    (c.folder / "tree/a.txt").write_text("hello")
    (c.folder / "tree/sub/ü b+c.bin").write_bytes(b"0" * (20 << 20))
    aws(c, "s3", "cp", "--recursive", "tree", f"s3://{c.bucket}/tree")
    check(c.keys() == ["tree/a.txt", "tree/sub/ü b+c.bin"], f"keys: {c.keys()}")
    listed = aws(c, "s3", "ls", "--recursive", f"s3://{c.bucket}/").stdout
    check("20971520 tree/sub/ü b+c.bin" in listed, listed)
    aws(c, "s3", "sync", f"s3://{c.bucket}/tree", "back")
    check((c.folder / "back/sub/ü b+c.bin").read_bytes() == b"0" * (20 << 20), "wrong bytes")
    again = aws(c, "s3", "sync", f"s3://{c.bucket}/tree", "back").stdout
    check("download" not in again, f"sync copies twice: {again}")
    aws(c, "s3", "mv", f"s3://{c.bucket}/tree/a.txt", f"s3://{c.bucket}/moved.txt")
    head = json.loads(aws(c, "s3api", "head-object", "--bucket", c.bucket, "--key",
                          "moved.txt").stdout)
    check(head["ContentLength"] == 5, f"{head}")
    aws(c, "s3", "rm", "--recursive", f"s3://{c.bucket}/")
    check(c.keys() == [], f"keys: {c.keys()}")


def boto(c: Context):
    import urllib.request
    import boto3
    from harness import client
    s3, bucket = c.s3, c.bucket
    # Defaults of boto3: trailing checksums, CRC32 on every PUT.
    plain = boto3.client("s3", endpoint_url=c.server.endpoint, region_name="us-east-1",
                         aws_access_key_id="longhaul-test",
                         aws_secret_access_key="longhaul-test-secret")
    plain.put_object(Bucket=bucket, Key="defaults", Body=b"12345")
    check(plain.get_object(Bucket=bucket, Key="defaults")["Body"].read() == b"12345", "defaults")
    plain.put_object(Bucket=bucket, Key="sha256", Body=b"1", ChecksumAlgorithm="SHA256")
    head = plain.head_object(Bucket=bucket, Key="sha256", ChecksumMode="ENABLED")
    check(head.get("ChecksumSHA256"), f"{head}")
    # Conditions.
    s3.put_object(Bucket=bucket, Key="once", Body=b"1", IfNoneMatch="*")
    refused(412, lambda: s3.put_object(Bucket=bucket, Key="once", Body=b"2", IfNoneMatch="*"))
    etag = s3.head_object(Bucket=bucket, Key="once")["ETag"]
    s3.put_object(Bucket=bucket, Key="once", Body=b"3", IfMatch=etag)
    refused(412, lambda: s3.put_object(Bucket=bucket, Key="once", Body=b"4", IfMatch=etag))
    refused(412, lambda: s3.get_object(Bucket=bucket, Key="once", IfMatch=etag))
    # Ranges.
    s3.put_object(Bucket=bucket, Key="range", Body=bytes(range(100)))
    for text, body in (("bytes=10-19", bytes(range(10, 20))), ("bytes=-5", bytes(range(95, 100))),
                       ("bytes=90-", bytes(range(90, 100)))):
        answer = s3.get_object(Bucket=bucket, Key="range", Range=text)
        check(answer["Body"].read() == body, f"range {text}")
        check(answer["ResponseMetadata"]["HTTPStatusCode"] == 206, f"range {text}: not 206")
    refused(416, lambda: s3.get_object(Bucket=bucket, Key="range", Range="bytes=200-"))
    # Multipart, with a copied part; an abort leaves nothing.
    part = b"p" * (5 << 20)
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts", Metadata={"a": "b"})["UploadId"]
    parts = []
    for number in (1, 2):
        etag = s3.upload_part(Bucket=bucket, Key="parts", UploadId=upload, PartNumber=number,
                              Body=part)["ETag"]
        parts.append({"PartNumber": number, "ETag": etag})
    listed = s3.list_parts(Bucket=bucket, Key="parts", UploadId=upload)["Parts"]
    check([entry["Size"] for entry in listed] == [5 << 20] * 2, f"{listed}")
    s3.complete_multipart_upload(Bucket=bucket, Key="parts", UploadId=upload,
                                 MultipartUpload={"Parts": parts})
    head = s3.head_object(Bucket=bucket, Key="parts")
    check(head["ETag"].endswith('-2"') and head["Metadata"] == {"a": "b"}, f"{head}")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="aborted")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="aborted", UploadId=upload)
    refused(404, lambda: s3.list_parts(Bucket=bucket, Key="aborted", UploadId=upload))
    # Copy, batch delete, listings in pages of both versions.
    s3.copy_object(Bucket=bucket, Key="copied", CopySource={"Bucket": bucket, "Key": "parts"})
    check(s3.head_object(Bucket=bucket, Key="copied")["Metadata"] == {"a": "b"}, "copy")
    put_all(s3, bucket, [Thing(f"many/{i:04}", b"x") for i in range(1200)])
    check(len(keys_of(s3, bucket, "many/")) == 1200, "listing V2")
    pages = s3.get_paginator("list_objects").paginate(Bucket=bucket, Prefix="many/",
                                                      PaginationConfig={"PageSize": 500})
    check(sum(len(page["Contents"]) for page in pages) == 1200, "listing V1")
    shown = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    check([entry["Prefix"] for entry in shown["CommonPrefixes"]] == ["many/"], "delimiter")
    deleted = s3.delete_objects(Bucket=bucket, Delete={
        "Objects": [{"Key": f"many/{i:04}"} for i in range(1000)]})
    check(len(deleted["Deleted"]) == 1000, "batch delete")
    # Presigned, and what must be refused.
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "once"})
    with urllib.request.urlopen(url) as answer:
        check(answer.read() == b"3", "presigned")
    stranger = client(c.server.endpoint, secret_access_key="wrong")
    refused(403, lambda: stranger.get_object(Bucket=bucket, Key="once"))
    refused(403, lambda: client(c.server.endpoint, "nobody").list_buckets())
    refused(404, lambda: s3.get_object(Bucket=bucket, Key="none"))
    refused(404, lambda: s3.list_objects_v2(Bucket="no-such-bucket"))
    refused(501, lambda: s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [
            {"ID": "a", "Status": "Enabled", "Filter": {"Prefix": ""},
             "Expiration": {"Days": 1}}]}))
    put_all(s3, bucket, [Thing(key, key.encode()) for key in HOSTILE_KEYS])
    missing = set(HOSTILE_KEYS) - set(c.keys())
    check(not missing, f"keys that the gateway does not hold: {missing}")


def refused(status: int, call) -> None:
    from botocore.exceptions import ClientError
    try:
        call()
    except ClientError as error:
        got = error.response["ResponseMetadata"]["HTTPStatusCode"]
        check(got == status, f"status {got}, not {status}: {error}")
        return
    fail(f"not refused with {status}")


def main(kind: str) -> None:
    cases = list(CASES)
    if kind == "gateway":
        cases += [("aws s3 …, aws s3api …", aws_cli), ("boto3 …", boto)]
    failed = []
    with World("cli") as world:
        server = world.serve(kind)
        world.config({"it": store_of(server.endpoint)}, [], "cli.yaml")
        for number, (command, run) in enumerate(cases):
            try:
                run(Context(world, server, f"case-{number:02}"))
                step(f"ok      {command}")
            except SystemExit:  # check() has said why.
                failed.append(command)
            except Exception:
                traceback.print_exc()
                failed.append(command)
    check(not failed, f"{len(failed)} of {len(cases)} cases: {failed}")


if __name__ == "__main__":
    main(sys.argv[1])
