#!/usr/bin/env python3
"""Real S3 servers for the tests, on free ports of the loopback, gone when the test is.

  servers.py run KIND... -- COMMAND...   start them, run COMMAND, stop them; its exit code is ours
  servers.py hold KIND...                start them, print where they are, wait for Ctrl-C

KIND is rgw (Ceph), versitygw or minio; postgres; dynamodb (DynamoDB Local), elasticmq (SQS), or
moto for both.
COMMAND finds them in its environment, as LONGHAUL_TEST_S3=Rgw=http://127.0.0.1:PORT,Minio=http://…,
with the keys in LONGHAUL_TEST_S3_KEY_ID and LONGHAUL_TEST_S3_SECRET, and
LONGHAUL_TEST_POSTGRES=postgresql://…, LONGHAUL_TEST_DYNAMODB=Moto=http://…,Local=http://…,
LONGHAUL_TEST_SQS=Moto=http://…,Elasticmq=http://…. A server that does not start is a failure, never a skip.

Every server is a child that the kernel kills when this process dies, however it dies, and keeps its
data below one temporary folder: on a tmpfs where that has extended attributes and room.
"""

import base64
import ctypes
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

ACCESS_KEY_ID = "longhaul-test"
SECRET_ACCESS_KEY = "longhaul-test-secret"
REGION = "us-east-1"
KMS_KEY_ID = "replica-key"  # Of minio.
FREE_BYTES_MIN = 6 << 30  # What most system tests write at most, twice.
MEMORY_LEFT_BYTES_MIN = 4 << 30  # For everything that runs beside.
PORTS = (20000, 32768)  # Above the ports of the guide's example, below those of connections.
PORTS_TAKEN: list[socket.socket] = []
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class ServerError(Exception):
    """A server did not start; the message carries the end of its log."""


def cache_dir() -> pathlib.Path:
    default = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    return pathlib.Path(os.environ.get("LONGHAUL_CACHE") or default / "longhaul")


def free_port() -> int:
    """A port of the loopback that stays ours until this process ends, though nothing listens yet.

    It is none that the kernel gives to connections: one of those, of any test beside this one, would
    take it before a server binds it. An abstract Unix socket of its number, which the kernel closes
    with the process, tells the other tests that it is taken.
    """
    while True:
        port = random.randrange(*PORTS)
        taken = socket.socket(socket.AF_UNIX)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                taken.bind(f"\0longhaul-test-port-{port}")
                probe.bind(("127.0.0.1", port))
            except OSError:
                taken.close()
                continue
        PORTS_TAKEN.append(taken)
        return port


def has_xattrs(folder: str) -> bool:
    with tempfile.NamedTemporaryFile(dir=folder) as probe:
        try:
            os.setxattr(probe.name, "user.longhaul", b"1")
            return True
        except OSError:
            return False


def memory_free_bytes() -> int:
    """What a tmpfs can really take: its own limit may be more than the machine has left."""
    with open("/proc/meminfo") as meminfo:
        for line in meminfo:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0


def make_temp_dir(name: str, bytes_needed: int = FREE_BYTES_MIN) -> pathlib.Path:
    """A new folder, in memory if there is a tmpfs that will do (versitygw needs xattrs)."""
    for base in ("/dev/shm", tempfile.gettempdir()):
        if not os.path.isdir(base) or not os.access(base, os.W_OK):
            continue
        if base == "/dev/shm" and (shutil.disk_usage(base).free < bytes_needed or
                                   memory_free_bytes() < bytes_needed + MEMORY_LEFT_BYTES_MIN):
            continue
        if has_xattrs(base):
            return pathlib.Path(tempfile.mkdtemp(prefix=f"longhaul-{name}-", dir=base))
    raise ServerError("neither /dev/shm nor the temporary folder has extended attributes")


def die_with_parent() -> None:
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Server:
    """One running server. `endpoint` is its URL; `start` and `stop` may alternate: data stays (not in rgw)."""

    kind = ""
    start_seconds_max = 60

    def __init__(self, folder: pathlib.Path, name: str = ""):
        self.name = name or self.kind
        self.folder = folder / self.name
        self.folder.mkdir(parents=True)
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.log = folder / f"{self.name}.log"
        self.processes: list[subprocess.Popen] = []

    def spawn(self, command, env=None) -> subprocess.Popen:
        with open(self.log, "ab") as log:
            process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **(env or {})}, start_new_session=True,
                preexec_fn=die_with_parent)
        self.processes.append(process)
        return process

    def launch(self) -> None:
        raise NotImplementedError

    def ready_path(self) -> str:
        return "/"

    def start(self) -> "Server":
        try:
            self.launch()
            self.wait_until_ready()
        except (OSError, subprocess.SubprocessError, ServerError) as error:
            self.stop()
            raise ServerError(f"{self.name} did not start: {error}\n{self.log_tail()}") from error
        return self

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.start_seconds_max
        while time.monotonic() < deadline:
            for process in self.processes:
                if process.poll() is not None:
                    raise ServerError(f"{process.args[0]} ended with {process.returncode}")
            try:
                urllib.request.urlopen(self.endpoint + self.ready_path(), timeout=2)
                return
            except urllib.error.HTTPError as answer:
                if answer.code < 500:  # 403: it is up and asks who we are.
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise ServerError(f"not ready after {self.start_seconds_max} s")

    def stop(self, kill: bool = False) -> None:
        for process in reversed(self.processes):
            process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []

    def log_tail(self) -> str:
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-20:])
        except OSError:
            return ""

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Versitygw(Server):
    kind = "versitygw"

    def __init__(self, folder, name="", webhook="", keep_alive=False, certificate=None):
        super().__init__(folder, name)
        self.webhook = webhook
        self.certificate = certificate  # And its key, in PEM: it speaks TLS.
        if certificate:
            self.endpoint = f"https://127.0.0.1:{self.port}"
        self.keep_alive = keep_alive  # Else it closes every connection after one request.
        self.secret_access_key = SECRET_ACCESS_KEY  # May be another one at the next start.
        self.versions = folder / f"{self.name}.versions"
        self.versions.mkdir()

    def launch(self):
        options = ["--event-webhook-url", self.webhook] if self.webhook else []
        if self.keep_alive:
            options.append("--keep-alive")
        if self.certificate:
            options += ["--cert", self.certificate[0], "--key", self.certificate[1]]
        self.spawn([cache_dir() / "bin/versitygw", "--access", ACCESS_KEY_ID,
                    "--secret", self.secret_access_key, "--port", f"127.0.0.1:{self.port}",
                    "--region", REGION, "--quiet", *options,
                    "posix", "--versioning-dir", self.versions, self.folder])


class Minio(Server):
    kind = "minio"

    def launch(self):
        self.spawn([cache_dir() / "bin/minio", "server", "--quiet",
                    "--address", f"127.0.0.1:{self.port}", self.folder],
                   {"MINIO_ROOT_USER": ACCESS_KEY_ID, "MINIO_ROOT_PASSWORD": SECRET_ACCESS_KEY,
                    # A key for SSE-KMS; what does not ask for it is not encrypted.
                    "MINIO_KMS_SECRET_KEY": f"{KMS_KEY_ID}:{base64.b64encode(bytes(32)).decode()}",
                    "MINIO_BROWSER": "off", "MINIO_UPDATE": "off"})

    def ready_path(self):
        return "/minio/health/ready"


class Rgw(Server):
    """Ceph's object gateway on one monitor and one OSD that keeps everything in memory."""

    kind = "rgw"
    start_seconds_max = 120
    memory_bytes = 6 << 30

    def tool(self, *command) -> None:
        with open(self.log, "ab") as log:
            subprocess.run([str(word) for word in command], check=True, timeout=120,
                           stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def launch(self):
        home = self.folder
        conf = home / "ceph.conf"
        if conf.exists():
            raise ServerError("its data is gone with its OSD; stop_gateway leaves that running")
        keyring = home / "keyring"
        monitor = f"[v2:127.0.0.1:{free_port()}]"
        fsid = str(uuid.uuid4())
        (home / "mon").mkdir()
        (home / "osd").mkdir()
        conf.write_text(f"""[global]
fsid = {fsid}
mon_initial_members = a
mon_host = {monitor}
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
osd_pool_default_size = 1
osd_pool_default_min_size = 1
mon_allow_pool_size_one = true
osd_pool_default_pg_num = 4
osd_crush_chooseleaf_type = 0
osd_objectstore = memstore
memstore_device_bytes = {self.memory_bytes}
admin_socket = {home}/$name.asok
log_file = {home}/$name.log
mon_data = {home}/mon
osd_data = {home}/osd
keyring = {keyring}
ms_bind_ipv6 = false
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:{self.port}
rgw_thread_pool_size = 64
""")
        for name, caps in (("mon.", ["mon", "allow *"]),
                           ("client.admin", ["mon", "allow *", "osd", "allow *", "mgr", "allow *"]),
                           ("client.rgw", ["mon", "allow *", "osd", "allow *"]),
                           ("osd.0", ["mon", "allow profile osd", "osd", "allow *"])):
            pairs = [word for pair in zip(caps[::2], caps[1::2]) for word in ("--cap", *pair)]
            created = ["--create-keyring"] if name == "mon." else []
            self.tool("ceph-authtool", *created, keyring, "--gen-key", "-n", name, *pairs)
        self.tool("monmaptool", "--create", "--addv", "a", monitor, "--fsid", fsid, home / "monmap")
        self.tool("ceph-mon", "-c", conf, "-i", "a", "--mkfs", "--monmap", home / "monmap",
                  "--keyring", keyring)
        self.spawn(["ceph-mon", "-f", "-c", conf, "-i", "a"])
        osd = str(uuid.uuid4())
        self.tool("ceph", "-c", conf, "osd", "new", osd)
        self.tool("ceph", "-c", conf, "auth", "import", "-i", keyring)
        self.tool("ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", osd)
        self.tool("ceph", "-c", conf, "osd", "crush", "add", "osd.0", "1.0", "host=h",
                  "root=default")
        self.spawn(["ceph-osd", "-f", "-c", conf, "-i", "0"])
        self.tool("radosgw-admin", "-c", conf, "-n", "client.rgw", "user", "create", "--uid", "t",
                  "--display-name", "t", "--access-key", ACCESS_KEY_ID,
                  "--secret", SECRET_ACCESS_KEY)
        self.spawn(["radosgw", "-f", "-c", conf, "-n", "client.rgw"])

    def stop_gateway(self) -> None:
        gateway = self.processes.pop()
        gateway.kill()
        gateway.wait()

    def start_gateway(self) -> None:
        self.spawn(["radosgw", "-f", "-c", self.folder / "ceph.conf", "-n", "client.rgw"])
        self.wait_until_ready()


class Postgres(Server):
    """PostgreSQL with one database and one user; not as root, whom it refuses."""

    kind = "postgres"
    bin = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), default=None)

    def __init__(self, folder, name="", certificate=None):
        """With a certificate (and its key) it asks for TLS of whoever comes over the network."""
        super().__init__(folder, name)
        self.certificate = certificate
        self.endpoint = f"postgresql://longhaul:{SECRET_ACCESS_KEY}@127.0.0.1:{self.port}/postgres"

    def as_user(self, *command) -> list[str]:
        return [*(["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
                  if os.geteuid() == 0 else []), *(str(word) for word in command)]

    def launch(self):
        if self.bin is None:
            raise ServerError("the package postgresql is not installed")
        data = self.folder / "data"
        if not data.exists():
            password = self.folder / "password"
            password.write_text(SECRET_ACCESS_KEY)
            if os.geteuid() == 0:
                shutil.chown(self.folder, "postgres")
                shutil.chown(password, "postgres")
                self.folder.parent.chmod(0o711)
            with open(self.log, "ab") as log:
                subprocess.run(self.as_user(self.bin / "initdb", "-D", data, "-U", "longhaul", "-A",
                                            "scram-sha-256", f"--pwfile={password}", "--no-sync",
                                            "-E", "UTF8", "--locale=C"),
                               check=True, timeout=120, stdin=subprocess.DEVNULL, stdout=log,
                               stderr=log, cwd="/")
            if self.certificate:
                (data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
        if self.certificate:
            for name, file in zip(("server.crt", "server.key"), self.certificate):
                copy = pathlib.Path(shutil.copy(file, data / name))
                copy.chmod(0o600)
                if os.geteuid() == 0:
                    shutil.chown(copy, "postgres")
        self.spawn(self.as_user(self.bin / "postgres", "-D", data, "-p", self.port, "-k", self.folder,
                                "-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200",
                                *(["-c", "ssl=on"] if self.certificate else [])))

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + self.start_seconds_max
        while subprocess.run([self.bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p",
                              str(self.port)]).returncode != 0:
            if self.processes[-1].poll() is not None or time.monotonic() > deadline:
                raise ServerError("not ready")
            time.sleep(0.05)

    def sql(self, text: str) -> str:
        """What psql says of it, in the schema of longhaul."""
        return subprocess.run([self.bin / "psql", "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text,
                               self.endpoint],
                              env={**os.environ, "PGOPTIONS": "-c search_path=longhaul"},
                              check=True, timeout=60, capture_output=True, text=True).stdout.strip()

    def stop(self, kill: bool = False) -> None:
        # SIGINT: a fast shutdown; SIGQUIT: as after a crash, but with its children.
        for process in self.processes:
            process.send_signal(signal.SIGQUIT if kill else signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.processes = []


class Moto(Server):
    """Moto: AWS in Python; here for DynamoDB and SQS."""

    kind = "moto"
    dynamodb_name = "Moto"
    sqs_name = "Moto"
    start_seconds_max = 180  # A lot of Python, beside whatever else runs.

    def launch(self):
        self.spawn([cache_dir() / "venv/bin/python", pathlib.Path(__file__).parent / "moto_server.py",
                    self.port], {"MOTO_PORT": str(self.port)})


# They live for minutes: what compiles code well, and collects garbage on several cores, costs more
# than it saves.
SHORT_LIVED_JAVA = ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]


class DynamodbLocal(Server):
    """Amazon's own DynamoDB Local, in memory."""

    kind = "dynamodb"
    dynamodb_name = "Local"
    start_seconds_max = 180

    def launch(self):
        jars = cache_dir() / "dynamodb/lib"
        self.spawn([*SHORT_LIVED_JAVA, "-Xmx512m", f"-Djava.library.path={jars}", "-cp", f"{jars}/*",
                    "com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-inMemory", "-sharedDb",
                    "-port", self.port, "-disableTelemetry"])


class Elasticmq(Server):
    """ElasticMQ: SQS in memory, with its visibilities."""

    kind = "elasticmq"
    sqs_name = "Elasticmq"
    start_seconds_max = 180

    def launch(self):
        self.spawn([*SHORT_LIVED_JAVA, "-Xmx256m", "-Dnode-address.host=127.0.0.1",
                    f"-Dnode-address.port={self.port}", "-Drest-sqs.bind-hostname=127.0.0.1",
                    f"-Drest-sqs.bind-port={self.port}", "-Drest-stats.enabled=false",
                    "-cp", f"{cache_dir() / 'elasticmq/lib'}/*", "org.elasticmq.server.Main"])


KINDS = {server.kind: server for server in (Rgw, Versitygw, Minio, Postgres, Moto, DynamodbLocal, Elasticmq)}
S3_KINDS = (Rgw.kind, Versitygw.kind, Minio.kind)


def client_environment(servers) -> dict[str, str]:
    databases = [server.endpoint for server in servers if server.kind == "postgres"]
    dynamodb = [f"{server.dynamodb_name}={server.endpoint}" for server in servers
                if hasattr(server, "dynamodb_name")]
    sqs = [f"{server.sqs_name}={server.endpoint}" for server in servers
           if hasattr(server, "sqs_name")]
    return {"LONGHAUL_TEST_S3": ",".join(f"{server.kind.capitalize()}={server.endpoint}"
                                         for server in servers if server.kind in S3_KINDS),
            **({"LONGHAUL_TEST_POSTGRES": databases[0]} if databases else {}),
            **({"LONGHAUL_TEST_DYNAMODB": ",".join(dynamodb)} if dynamodb else {}),
            **({"LONGHAUL_TEST_SQS": ",".join(sqs)} if sqs else {}),
            "LONGHAUL_TEST_S3_KEY_ID": ACCESS_KEY_ID, "LONGHAUL_TEST_S3_SECRET": SECRET_ACCESS_KEY}


def main(arguments) -> int:
    if not arguments or arguments[0] not in ("run", "hold"):
        print(__doc__)
        return 2
    mode, *rest = arguments
    kinds, command = (rest[:rest.index("--")], rest[rest.index("--") + 1:]) if "--" in rest else (
        rest, [])
    if not kinds or any(kind not in KINDS for kind in kinds) or (mode == "run") != bool(command):
        print(__doc__)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # Runs the cleanup below.
    folder = make_temp_dir("servers")
    servers = [KINDS[kind](folder) for kind in kinds]
    try:
        for server in servers:
            server.start()
        environment = client_environment(servers)
        if mode == "run":
            return subprocess.run(command, env={**os.environ, **environment}).returncode
        for name, value in environment.items():
            print(f"export {name}={value}")
        print("# Ctrl-C stops them", flush=True)
        signal.pause()
    except ServerError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for server in servers:
            server.stop(kill=True)
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
