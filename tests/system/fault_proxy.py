"""An HTTP proxy in front of a server that answers as broken networks and busy stores do."""

import collections
import dataclasses
import http.client
import http.server
import io
import random
import socket
import socketserver
import struct
import threading
import time
import urllib.parse

from harness import free_port

SLOW_DOWN = (503, "SlowDown", "Please reduce your request rate.")
DENIED = (403, "AccessDenied", "Access Denied.")
GARBAGE = b"SSH-2.0-OpenSSH_9.6\r\n" + bytes(range(256))
CHUNK = 64 << 10

# Of `mixed`: a fault every third time, and everything is 503 in the first of each ten seconds.
MIXED = ("503", "slow", "cut", "stalled", "corrupt", "garbage", "lost", "cut_upload", "down",
         "reset")
MIXED_SHARE = 0.33
STORM_EVERY_SECONDS, STORM_SECONDS = 10, 1
STALL_SECONDS, MIXED_STALL_SECONDS = 600, 3


def operation_of(method: str, path: str) -> str:
    """As in "PUT partNumber uploadId"."""
    names = sorted(urllib.parse.parse_qs(path.partition("?")[2], keep_blank_values=True))
    return " ".join([method, *names])


@dataclasses.dataclass
class Answer:
    """What the server said: all of the head as bytes, and the body, which is still to be read."""

    status: int
    head: bytes
    length: int
    body: object


class FaultProxy:
    """`mode` is what happens to a request, and may change at any time:

    pass      it is handed on
    503 403   an S3 error
    slow      handed on, a second late, and the answer's body in small pieces
    down      the connection is closed without a word
    reset     the connection is reset (RST) without a word
    refused   nobody listens; the connections that there are get reset
    garbage   what comes back is not HTTP; the server sees nothing of the request
    lost      the server carries it out, but the connection is closed instead of the answer
    cut       carried out, and the answer ends half way: in its body, or in its head without one
    stalled   as cut, but nothing more comes and the connection stays
    corrupt   a byte of the object that a GET brings is wrong; all other requests are handed on
    cut_upload half of the request's body reaches the server, then both connections are reset;
              what has no body is handed on
    mixed     every third request meets one of these that a client which tries again survives (not
              403, nor refused; a stall ends after 3 s, as a client waits for a minute); and a
              second of 503 alone in every ten, from the start on

    `latency_seconds` for each request, and `bytes_per_second` of all bodies together, hold in any
    mode. `only`, when set, says by method and path which requests `mode` is for.
    `puts` counts the PUTs that have been handed on, by path; `asked` all that has been, by operation.
    `faults` counts what has really gone wrong, `kinds` by mode and operation, as in
    kinds["lost", "PUT partNumber uploadId"]. Connections that nobody accepted are not counted.
    """

    def __init__(self, endpoint: str, mode: str = "pass", seed: int = 1,
                 latency_seconds: float = 0, bytes_per_second: int = 0, only=None):
        self.upstream = urllib.parse.urlsplit(endpoint).netloc
        self.latency_seconds, self.bytes_per_second = latency_seconds, bytes_per_second
        self.only = only
        self.name = "proxy"
        self.kinds: collections.Counter = collections.Counter()
        self.puts: collections.Counter = collections.Counter()
        self.asked: collections.Counter = collections.Counter()
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.link_free_at = 0.0
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.server = None
        self.mode = mode

    @property
    def mode(self) -> str:
        return self._mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._mode, self.mode_since = mode, time.monotonic()
        if mode == "refused":
            self.close()
        elif self.server is None:
            self.listen()

    @property
    def faults(self) -> int:
        return sum(self.kinds.copy().values())

    def listen(self) -> None:
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # Else an answer's body waits for the ACK of its head.

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (OSError, http.client.HTTPException):  # One of the two sides has gone away.
                    self.close_connection = True

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return lambda: proxy.handle(self)
                raise AttributeError(name)

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def shutdown_request(self, connection):
                self.close_request(connection)  # A shutdown before it would make no reset of it.

        self.server = Listener(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def count(self, mode: str, request) -> None:
        with self.lock:
            self.kinds[mode, operation_of(request.command, request.path)] += 1

    def choose(self, request) -> str:
        mode = self.mode
        if self.only and not self.only(request.command, request.path):
            return "pass"
        if mode == "mixed":
            if (time.monotonic() - self.mode_since) % STORM_EVERY_SECONDS < STORM_SECONDS:
                return "503"
            mode = self.random.choice(MIXED) if self.random.random() < MIXED_SHARE else "pass"
        if mode == "corrupt" and not reads_object(request):
            return "pass"
        if mode == "cut_upload" and not length_of(request):
            return "pass"
        return mode

    def pace(self, count: int) -> None:
        """Waits as long as a line of this bandwidth, shared by all, is busy with `count` bytes."""
        if not self.bytes_per_second:
            return
        with self.lock:
            now = time.monotonic()
            self.link_free_at = max(self.link_free_at, now) + count / self.bytes_per_second
            wait = self.link_free_at - now
        time.sleep(wait)

    def handle(self, request) -> None:
        time.sleep(self.latency_seconds)
        mode = self.choose(request)
        if mode in ("down", "reset", "refused"):
            self.count(mode, request)
            hang_up(request, reset=mode != "down")
            return
        body = bytearray()
        while piece := request.rfile.read(min(CHUNK, length_of(request) - len(body))):
            body += piece
            self.pace(len(piece))
        if len(body) < length_of(request):  # The client has gone away: nothing to hand on.
            request.close_connection = True
        elif mode in ("503", "403"):
            self.count(mode, request)
            self.refuse(request, *(SLOW_DOWN if mode == "503" else DENIED))
        elif mode == "garbage":
            self.count(mode, request)
            request.wfile.write(GARBAGE)
            hang_up(request)
        else:
            if mode == "slow":
                self.count(mode, request)
                time.sleep(1)
            with self.lock:
                self.asked[operation_of(request.command, request.path)] += 1
                if request.command == "PUT":
                    self.puts[request.path] += 1
            self.forward(request, bytes(body), mode)

    def refuse(self, request, status: int, code: str, message: str) -> None:
        text = (f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>'
                f"{message}</Message><RequestId>FAULT</RequestId></Error>").encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/xml")
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        if request.command != "HEAD":
            request.wfile.write(text)

    def forward(self, request, body: bytes, mode: str) -> None:
        upstream = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            upstream.putrequest(request.command, request.path, skip_host=True,
                                skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in ("connection", "expect", "transfer-encoding"):
                    upstream.putheader(name, value)
            if mode == "cut_upload":
                upstream.endheaders(body[:len(body) // 2])
                self.count(mode, request)
                reset_at_close(upstream.sock)
                hang_up(request, reset=True)
                return
            upstream.endheaders(body or None)
            answer = read_answer(request, upstream.getresponse())
            if mode == "lost":
                while answer.body.read(CHUNK):  # To the end, so that all of it has been done.
                    pass
                self.count(mode, request)
                hang_up(request)
            elif mode in ("cut", "stalled"):
                self.send_half(request, answer, mode)
            else:
                self.send(request, answer, mode)
        finally:
            upstream.close()

    def send(self, request, answer: Answer, mode: str) -> None:
        wrong_at = -1
        if mode == "corrupt" and answer.length and answer.status in (200, 206):
            wrong_at = self.random.randrange(answer.length)
        request.wfile.write(answer.head)
        sent = 0
        while piece := answer.body.read(min(8 << 10 if mode == "slow" else CHUNK,
                                            answer.length - sent)):
            if sent <= wrong_at < sent + len(piece):
                spoilt = bytearray(piece)
                spoilt[wrong_at - sent] ^= 0x20
                piece = bytes(spoilt)
                self.count(mode, request)
            self.pace(len(piece))
            request.wfile.write(piece)
            sent += len(piece)
            if mode == "slow":
                time.sleep(0.01)
        if sent < answer.length:
            hang_up(request)

    def send_half(self, request, answer: Answer, mode: str) -> None:
        if answer.length:
            half = dataclasses.replace(answer, length=answer.length // 2)
        else:
            half = dataclasses.replace(answer, head=answer.head[:len(answer.head) // 2])
        self.send(request, half, "pass")
        self.count(mode, request)
        if mode == "stalled":
            request.connection.settimeout(
                MIXED_STALL_SECONDS if self.mode == "mixed" else STALL_SECONDS)
            try:
                request.connection.recv(1)  # Returns when the client has given up.
            except TimeoutError:
                pass
        hang_up(request)


def length_of(request) -> int:
    return int(request.headers.get("Content-Length") or 0)


def reads_object(request) -> bool:
    """A GET of a key. What tells of keys (listings, tags) has no checksum that could notice."""
    path, _, query = request.path.partition("?")
    return (request.command == "GET" and path.strip("/").count("/") > 0 and
            not {"tagging", "uploadId", "acl"} & set(urllib.parse.parse_qs(query, True)))


def read_answer(request, answer: http.client.HTTPResponse) -> Answer:
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()
              if name.lower() not in ("connection", "transfer-encoding", "content-length")]
    length = answer.headers.get("Content-Length")
    has_body = request.command != "HEAD" and answer.status not in (204, 304)
    body = answer
    if has_body and length is None:
        whole = answer.read()
        length, body = len(whole), io.BytesIO(whole)
    if length is not None:
        lines.append(f"Content-Length: {length}")
    return Answer(answer.status, "\r\n".join([*lines, "", ""]).encode("latin-1"),
                  int(length) if has_body else 0, body)


def reset_at_close(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang_up(request, reset: bool = False) -> None:
    """Ends the client's connection: for both directions at once, or by a reset."""
    request.close_connection = True
    if reset:
        reset_at_close(request.connection)
    else:
        request.connection.shutdown(socket.SHUT_RDWR)
