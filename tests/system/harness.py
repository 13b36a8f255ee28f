"""What the system tests stand on: servers, the real binary, and an independent look at objects.

A test is a script: it makes a `World`, does something with the binary, and calls `check`. The first
check that fails ends it with exit code 1 and says why; nothing is skipped.
"""

import collections
import contextlib
import dataclasses
import datetime
import hashlib
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import boto3
import botocore.config
import botocore.exceptions
import botocore.utils

import quick_headers  # noqa: F401  # Before whatever speaks HTTP.
from plain_s3 import HEADERS, PlainS3

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/servers"))
import servers as real_servers  # noqa: E402
from servers import (ACCESS_KEY_ID, KMS_KEY_ID, REGION, SECRET_ACCESS_KEY, Server,  # noqa: E402
                     free_port)

BINARY = os.environ.get("LONGHAUL_BIN", str(ROOT / "build/release/longhaul"))
MARK = "longhaul"
SYSTEM_HEADERS = ("ContentType", "ContentEncoding", "ContentLanguage", "ContentDisposition",
                  "CacheControl", "WebsiteRedirectLocation")


def fail(message: str):
    print(f"FAILED: {message}", flush=True)
    sys.exit(1)


def check(condition, message: str) -> None:
    if not condition:
        fail(message)


def step(text: str) -> None:
    print(f"[{time.monotonic() - STARTED:6.1f} s] {text}", flush=True)


STARTED = time.monotonic()


def wait_until(condition, seconds: float, what: str, every: float = 0.2):
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            fail(f"after {seconds:.0f} s still not: {what}")
        time.sleep(every)
    return value


# The binary.


@dataclasses.dataclass
class Finished:
    """What one run of the binary left."""

    args: list[str]
    code: int
    stdout: str
    stderr: str
    seconds: float
    cpu_seconds: float
    peak_rss_bytes: int

    def expect(self, code: int, *words: str) -> "Finished":
        """Ends the test unless the exit code is `code` and each word is in the output."""
        shown = f"{' '.join(self.args)}\n--- stdout\n{self.stdout[-4000:]}\n--- stderr\n" + (
            self.stderr[-4000:])
        if self.code != code:
            fail(f"exit code {self.code}, not {code}: {shown}")
        for word in words:
            if word.lower() not in (self.stdout + self.stderr).lower():
                fail(f"does not say {word!r}: {shown}")
        return self

    def lines(self) -> list[dict]:
        """The JSON lines of standard output."""
        return [json.loads(line) for line in self.stdout.splitlines() if line.startswith("{")]


class Process:
    """A running binary. Its peak memory is sampled: rusage would count this interpreter's fork."""

    def __init__(self, args, folder: pathlib.Path, env=None, binary: str = BINARY,
                 file_size_bytes_max: int = 0):
        self.args = [str(arg) for arg in args]
        self.out = folder / f"out-{time.monotonic_ns()}"
        self.err = self.out.with_name(self.out.name + ".err")
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
                       "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY, "AWS_REGION": REGION,
                       "AWS_EC2_METADATA_DISABLED": "true",
                       "XDG_STATE_HOME": str(folder / "state-home"), **(env or {})}
        self.secrets = {value for name, value in environment.items()
                        if SECRET_NAME.search(name) and is_secret(value)}
        self.secrets |= {value for name, value in zip(self.args, self.args[1:])
                         if SECRET_FLAG.fullmatch(name) and is_secret(value)}
        self.started = time.monotonic()
        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.process = subprocess.Popen(
                [binary, *self.args], stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=folder,
                env={name: value for name, value in environment.items() if value is not None},
                preexec_fn=real_servers.die_with_parent)
        self.pid = self.process.pid
        self.peak_rss_bytes = 0
        self.sampler = threading.Thread(target=self._sample, daemon=True)
        self.sampler.start()

    def _sample(self) -> None:
        while True:
            try:
                with open(f"/proc/{self.pid}/status") as status:
                    for line in status:
                        if line.startswith("VmHWM:"):
                            self.peak_rss_bytes = max(self.peak_rss_bytes,
                                                      int(line.split()[1]) << 10)
            except OSError:
                return
            if self.process.returncode is not None:
                return
            time.sleep(0.2)  # It is the peak that the kernel keeps.

    def rss_bytes(self) -> int:
        with open(f"/proc/{self.pid}/statm") as statm:
            return int(statm.read().split()[1]) * resource.getpagesize()

    def cpu_seconds(self) -> float:
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def running(self) -> bool:
        return self.process.returncode is None and self.process.poll() is None

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.running():
            self.process.send_signal(number)

    def output(self) -> str:
        return self.out.read_text(errors="replace") + self.err.read_text(errors="replace")

    def wait(self, timeout: float = 600) -> Finished:
        deadline = time.monotonic() + timeout
        while True:
            # wait4 gives the CPU seconds of the process and of children that it waited for.
            if self.process.returncode is not None:  # running() has seen its end.
                return Finished(self.args, self.process.returncode,
                                self.out.read_text(errors="replace"),
                                self.err.read_text(errors="replace"),
                                time.monotonic() - self.started, 0.0, self.peak_rss_bytes)
            pid, status, usage = os.wait4(self.pid, os.WNOHANG)
            if pid:
                break
            if time.monotonic() > deadline:
                self.process.kill()
                os.wait4(self.pid, 0)
                self.process.returncode = -9
                fail(f"did not end in {timeout:.0f} s: {' '.join(self.args)}\n"
                     f"{self.output()[-4000:]}")
            time.sleep(0.01)
        self.process.returncode = os.waitstatus_to_exitcode(status)
        return Finished(self.args, self.process.returncode, self.out.read_text(errors="replace"),
                        self.err.read_text(errors="replace"), time.monotonic() - self.started,
                        usage.ru_utime + usage.ru_stime, self.peak_rss_bytes)


class Gateway(Server):
    """`longhaul serve s3`: our own endpoint over a folder."""

    kind = "gateway"

    def __init__(self, folder, name="", webhook=""):
        super().__init__(folder, name)
        self.webhook = webhook

    def launch(self):
        events = ["--event-webhook", self.webhook] if self.webhook else []
        self.spawn([BINARY, "serve", "s3", "--root", self.folder, "--listen",
                    f"127.0.0.1:{self.port}", "--access-key-id", ACCESS_KEY_ID,
                    "--secret-access-key", SECRET_ACCESS_KEY, *events])


KINDS = {**real_servers.KINDS, "gateway": Gateway}


def client(endpoint: str, access_key_id=ACCESS_KEY_ID, secret_access_key=SECRET_ACCESS_KEY):
    s3 = SESSION.client(
        "s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=access_key_id,
        aws_secret_access_key=secret_access_key,
        config=botocore.config.Config(
            signature_version="s3v4", s3={"addressing_style": "path"}, max_pool_connections=32,
            retries={"max_attempts": 5, "mode": "standard"}, read_timeout=60,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            # Made once for each request otherwise.
            user_agent="longhaul-tests", parameter_validation=False))
    remember_endpoints(s3)
    # After an empty PUT with Expect: 100-continue, minio leaves boto3's connection hanging for 30 s.
    s3.meta.events.register("before-send.s3.PutObject", drop_expect)
    return s3


def time_of(text) -> datetime.datetime:
    """The times of listings; boto3 would try each way in which one can be written."""
    if isinstance(text, str) and text.endswith("Z"):
        return datetime.datetime.fromisoformat(text)
    return botocore.utils.parse_timestamp(text)


SESSION = boto3.session.Session()
SESSION._session.get_component("response_parser_factory").set_parser_defaults(
    timestamp_parser=time_of)


def remember_endpoints(s3) -> None:
    """An endpoint depends on the bucket; boto3 would work it out for each key."""
    resolver = s3._ruleset_resolver
    construct = resolver.construct_endpoint
    resolver.construct_endpoint = lambda operation_model, call_args, request_context: construct(
        operation_model=operation_model, request_context=request_context,
        call_args={name: value for name, value in call_args.items() if name != "Key"})


def drop_expect(request, **_) -> None:
    if "Expect" in request.headers:
        del request.headers["Expect"]


class World(contextlib.ExitStack):
    """A temporary folder and the servers of one test; all of it goes when the test ends."""

    def __init__(self, name: str, bytes_needed: int = real_servers.FREE_BYTES_MIN):
        super().__init__()
        self.folder = real_servers.make_temp_dir(name, bytes_needed)
        self.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.work = self.folder / "work"
        self.work.mkdir()
        self.processes: list[Process] = []
        self.gateways: list[Gateway] = []
        self.secrets: set[str] = set()
        self.environment: dict[str, str] = {}  # Of each process, besides what it is given itself.
        self.push(self._kill_all)

    def _kill_all(self, error, *_):
        for process in self.processes:
            process.kill()
        if not error:
            self._check_secrets(self.processes)
            self._check_files()
        for process in self.processes:
            if error:
                print(f"--- {' '.join(process.args)}\n{process.output()[-2000:]}", flush=True)

    def forget(self, process: Process) -> None:
        """Of a process that has ended: what it wrote takes room, and is not needed to the end."""
        self._check_secrets([process])
        self.processes.remove(process)
        process.out.unlink()
        process.err.unlink()

    def _check_secrets(self, processes: list[Process]) -> None:
        """No process of any test tells a secret that it was given, whatever it logs or prints."""
        for process in processes:
            self._check_text(process.output(), " ".join(process.args))

    def _check_text(self, text: str, where: str) -> None:
        tells_none(set(self.secrets).union(*(process.secrets for process in self.processes)), text,
                   where)

    def _check_files(self) -> None:
        """Nor do reports, tables and databases that processes have written, or answers of theirs."""
        for path in self.work.rglob("*"):
            if path.is_file() and path.name.endswith((".jsonl", ".csv", ".db", ".db-wal")):
                self._check_text(path.read_bytes().decode(errors="replace"), path.name)
        for gateway in self.gateways:
            self._check_text(gateway.log.read_text(errors="replace"), f"the gateway {gateway.name}")
        for url, text in ANSWERS:
            self._check_text(text, f"the answer to {url}")

    def serve(self, kind: str, name: str = "", **options) -> Server:
        server = KINDS[kind](self.folder, name or kind, **options)
        try:
            server.start()
        except real_servers.ServerError as error:
            fail(str(error))
        self.callback(server.stop, kill=True)
        if isinstance(server, Gateway):
            self.gateways.append(server)
            self.secrets.add(SECRET_ACCESS_KEY)
        if server.endpoint.startswith("http"):
            server.s3 = client(server.endpoint)
        return server

    def start(self, *args, **options) -> Process:
        options["env"] = {**self.environment, **(options.get("env") or {})}
        process = Process(args, self.work, **options)
        self.processes.append(process)
        return process

    def run(self, *args, timeout: float = 600, **options) -> Finished:
        return self.start(*args, **options).wait(timeout)

    def config(self, stores: dict[str, Server | dict], rules: list[dict], name="longhaul.yaml",
               **fields) -> pathlib.Path:
        """Writes a configuration (JSON is YAML). A Server becomes the store that describes it."""
        path = self.work / name
        self.secrets |= secrets_in([*stores.values(), rules, fields])
        path.write_text(json.dumps({
            "version": 1, "site": "test-1",
            "stores": {key: store if isinstance(store, dict) else store_of(store.endpoint)
                       for key, store in stores.items()},
            "queue": "sqlite:longhaul.db", "state": "sqlite:longhaul.db", **fields,
            **({"rules": rules} if rules else {})}, indent=1))
        return path


SECRET_NAME = re.compile(r"secret|token|password|seal_key|notify|webhook|external_id",
                         re.IGNORECASE)
SECRET_FLAG = re.compile(r"--\S*(secret-access-key|token|password)")
URL_PASSWORD = re.compile(r"://[^/@\s]*:([^/@\s]+)@")
ANSWERS: collections.deque[tuple[str, str]] = collections.deque(maxlen=500)  # Of processes.


def is_secret(value) -> bool:
    """Short ones stand in other words, and a reference to a variable is none."""
    return isinstance(value, str) and len(value) >= 8 and not value.startswith("${")


def secrets_in(value) -> set[str]:
    """What a configuration keeps under names of secrets, and passwords in URLs."""
    if isinstance(value, str):
        return set(filter(is_secret, map(urllib.parse.unquote, URL_PASSWORD.findall(value))))
    if isinstance(value, (list, tuple)):
        return set().union(*map(secrets_in, value))
    if not isinstance(value, dict):
        return set()
    own = {text for name, text in value.items() if SECRET_NAME.search(name) and is_secret(text)}
    if "otlp" in value:  # Of `traces`: what a collector asks for.
        own |= set(filter(is_secret, value.get("headers", {}).values()))
    return own.union(*map(secrets_in, value.values()))


def tells_none(secrets, text: str, where: str) -> None:
    """Ends the test where `text` has one of `secrets`, also as it would stand in a URL or in JSON."""
    for secret in secrets:
        for form in {secret, urllib.parse.quote(secret, safe=""), json.dumps(secret)[1:-1]}:
            check(form not in text, f"{where} tells the secret that ends in ...{secret[-4:]}")


def store_of(endpoint: str, **changes) -> dict:
    return {"type": "s3", "endpoint": endpoint, "region": REGION, "addressing": "path",
            "access_key_id": ACCESS_KEY_ID, "secret_access_key": SECRET_ACCESS_KEY, **changes}


def rule(source="source:data/", to="target:copy/", staging="target:staging/", **fields) -> dict:
    return {"id": "main", "source": source, "intake": {"listing": "1h"}, **fields,
            "targets": [{"to": to, "staging": staging}]}


# Objects.


@dataclasses.dataclass
class Thing:
    """One object to put: its key, bytes, and the arguments of put_object that belong to it."""

    key: str
    body: bytes
    options: dict = dataclasses.field(default_factory=dict)


def text_bytes(random_: random.Random, size: int) -> bytes:
    """Bytes that compress about as well as logs do."""
    words = WORDS
    out = bytearray()
    while len(out) < size:
        out += random_.choice(words)
        if random_.random() < 0.12:
            out += b" %d\n" % random_.randrange(10**9)
    return bytes(out[:size])


WORDS = [w.encode() + b" " for w in (
    "GET PUT object bucket 200 404 region key=value user-agent Mozilla/5.0 /index.html "
    "us-east-1 eu-west-1 INFO WARN latency_ms= bytes= id= session checkout cart item price "
    "total currency=USD ok retry timeout 10.0.0.1 172.16.4.9").split()]


def things(count: int, seed: int = 1, prefix: str = "") -> list[Thing]:
    """Small objects of many shapes: empty ones, with headers, metadata and tags."""
    random_ = random.Random(seed)
    made = []
    for number in range(count):
        size = 0 if number % 97 == 0 else min(int(random_.lognormvariate(7.5, 1.5)), 300_000)
        options = {}
        if number % 3 == 0:
            options["ContentType"] = random_.choice(
                ["text/plain; charset=utf-8", "application/json", "image/png"])
        if number % 7 == 0:
            options |= {"CacheControl": "max-age=3600, public", "ContentLanguage": "de, en",
                        "ContentDisposition": 'attachment; filename="a b.txt"'}
        if number % 11 == 0:
            options["ContentEncoding"] = "identity-of-test"
        if number % 5 == 0:
            options["Metadata"] = {"owner": f"team-{number % 17}", "note": "two  words; \"quoted\"",
                                   "x-yz": "1" * (number % 50)}
        if number == 10:
            options["Metadata"] = {"long": "m" * 1950}  # Leaves no room for a mark.
        if number % 13 == 0:
            options["Tagging"] = f"tier=hot&n={number}&sp%20ace=a%2Bb%2F%3D%40"
        made.append(Thing(f"{prefix}{number % 40:02}/obj-{number:06}.log",
                          text_bytes(random_, size), options))
    return made


def corpus(prefix: str, of_a_folder: int = 1_000_000) -> list[Thing]:
    """Files of a real-world collection, where there is one ($LONGHAUL_CORPUS); at most so many
    of each folder."""
    folder = pathlib.Path(os.environ.get("LONGHAUL_CORPUS", ROOT / "../shared/corpus"))
    if not folder.is_dir():
        check("LONGHAUL_CORPUS" not in os.environ, f"LONGHAUL_CORPUS={folder} is not a folder")
        step("no LONGHAUL_CORPUS: generated objects only")
        return []
    found = []
    for below in [folder, *sorted(path for path in folder.rglob("*") if path.is_dir())]:
        files = sorted(path for path in below.iterdir() if path.is_file())[:of_a_folder]
        found += [Thing(prefix + str(path.relative_to(folder)), path.read_bytes())
                  for path in files]
    return found


# Keys that not every server can hold, by the reason why.
PLAIN_ODD_KEYS = [
    "odd/with space.txt", "odd/plus+plus", "odd/percent%20literal%", "odd/amp&and=equals?question",
    "odd/hash#hash", "odd/ünïcödé/日本語.txt", "odd/emoji-😀", "odd/quote'\"quote", "odd/back\\slash",
    "odd/semi;colon:comma,", "odd/(paren)[bracket]{brace}", "odd/tilde~caret^bar|", "odd/*star",
    "odd/<less>", "odd/$dollar!at@", "odd/trailing-dot.", "odd/ leading-space", "odd/UPPER",
    "odd/upper", "odd/.hidden", "odd/longhaul/index.json", "odd/" + "/".join(["d" * 60] * 3),
]
DOT_KEYS = ["dot/./here", "dot/../up", "dot/..", "dot/.", "./start", "../start"]
SLASH_KEYS = ["slash//double", "/leading", "slash///"]
FOLDER_KEYS = ["folder/with-body/"]
BESIDE_KEYS = ["beside/a", "beside/a/b"]
LONG_KEYS = ["long/" + "s" * 900, "long/" + "/".join(["k" * 200] * 5)]
UNHOLDABLE = {
    "rgw": [],
    "gateway": [],
    # What real servers store under another name, hide, or refuse.
    "versitygw": DOT_KEYS + SLASH_KEYS + FOLDER_KEYS + BESIDE_KEYS[1:] + LONG_KEYS[:1],
    "minio": DOT_KEYS + SLASH_KEYS + BESIDE_KEYS[1:] + LONG_KEYS[:1],
}
HOSTILE_KEYS = DOT_KEYS + SLASH_KEYS + FOLDER_KEYS + BESIDE_KEYS + LONG_KEYS


def put(s3, bucket: str, thing: Thing) -> None:
    if not plain_of(s3).put(bucket, thing.key, thing.body, thing.options):
        s3.put_object(Bucket=bucket, Key=thing.key, Body=thing.body, **thing.options)


def put_all(s3, bucket: str, all_things: list[Thing], threads: int = 8) -> None:
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda thing: put(s3, bucket, thing), all_things))


def keys_of(s3, bucket: str, prefix: str = "") -> list[str]:
    return [*sizes_of(s3, bucket, prefix)]


def sizes_of(s3, bucket: str, prefix: str = "") -> dict[str, int]:
    found = plain_of(s3).keys(bucket, prefix)
    if found is None:
        found = {}
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            found |= {entry["Key"]: entry["Size"] for entry in page.get("Contents", [])}
    return found


def facts(s3, bucket: str, key: str) -> dict:
    """All that belongs to an object, the mark apart."""
    answer = plain_of(s3).request("GET", bucket, key, read=sha256_of)
    if answer is None:
        s3.get_object(Bucket=bucket, Key=key)  # Raises what is wrong.
        answer = plain_of(s3).request("GET", bucket, key, read=sha256_of)
        check(answer, f"{bucket}/{key} cannot be read")
    headers, digest = answer
    found = {"sha256": digest, "size": int(headers["content-length"]),
             "class": headers.get("x-amz-storage-class", "STANDARD"),
             "metadata": {name.lower(): value for name, value in headers.items()
                          if name.lower().startswith("x-amz-meta-")
                          and name.lower() != "x-amz-meta-" + MARK},
             **{name: headers.get(HEADERS[name], "") for name in SYSTEM_HEADERS}}
    if "expires" in headers:
        found["Expires"] = headers["expires"]
    tags = []
    if int(headers.get("x-amz-tagging-count", 0)):  # Changed since, on RGW there may be no TagSet.
        tags = s3.get_object_tagging(Bucket=bucket, Key=key).get("TagSet", [])
    found["tags"] = sorted((tag["Key"], tag["Value"]) for tag in tags)
    return found


def sha256_of(response) -> str:
    digest = hashlib.sha256()
    while chunk := response.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()


def plain_of(s3) -> PlainS3:
    """The same server with the same keys."""
    plain = getattr(s3, "plain", None)
    if plain is None:
        keys = s3._get_credentials()
        plain = PlainS3(s3.meta.endpoint_url, s3.meta.region_name, keys.access_key,
                        keys.secret_key)
        s3.plain = plain
    return plain


def differences(source, source_bucket, target, target_bucket, source_prefix="", target_prefix="",
                threads: int = 8) -> list[str]:
    """Compares two buckets object by object; an empty list when they hold the same."""
    left = {key[len(source_prefix):] for key in keys_of(source, source_bucket, source_prefix)}
    right = {key[len(target_prefix):] for key in keys_of(target, target_bucket, target_prefix)}
    found = [f"missing at the target: {key!r}" for key in sorted(left - right)]
    found += [f"only at the target: {key!r}" for key in sorted(right - left)]

    def compare(key: str) -> list[str]:
        one = facts(source, source_bucket, source_prefix + key)
        two = facts(target, target_bucket, target_prefix + key)
        return [f"{key!r}: {name}: {one.get(name)!r} is {two.get(name)!r} at the target"
                for name in {*one, *two} if one.get(name) != two.get(name)]

    with ThreadPoolExecutor(threads) as pool:
        for more in pool.map(compare, sorted(left & right)):
            found += more
    return found


def check_equal(source: Server, target: Server, source_bucket="data", target_bucket="copy") -> int:
    found = differences(source.s3, source_bucket, target.s3, target_bucket)
    check(not found, f"{len(found)} differences between {source.name}/{source_bucket} and "
                     f"{target.name}/{target_bucket}:\n  " + "\n  ".join(found[:30]))
    return len(keys_of(source.s3, source_bucket))


def staged(server: Server, bucket: str = "staging") -> list[str]:
    """What replication has in staging: archives and receipts."""
    return [key for key in keys_of(server.s3, bucket) if not key.startswith("probe/")]


def check_staging_empty(server: Server, bucket: str = "staging") -> None:
    left = staged(server, bucket)
    check(not left, f"left in staging: {left[:20]}")


def check_no_uploads(server: Server, *buckets: str) -> None:
    for bucket in buckets:
        uploads = server.s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        check(not uploads, f"multipart uploads left in {server.name}/{bucket}: "
                           f"{[upload['Key'] for upload in uploads][:20]}")


def make_buckets(source: Server, target: Server) -> None:
    source.s3.create_bucket(Bucket="data")
    target.s3.create_bucket(Bucket="copy")
    target.s3.create_bucket(Bucket="staging")


# HTTP to the binary's own listener.


def http(url: str, timeout: float = 5) -> tuple[int, str]:
    """Status and body; status 0 where nothing listens."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read().decode()
    except OSError:
        return 0, ""
    ANSWERS.append((url, text))
    return status, text


def report(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]
