"""An HTTP proxy in front of a server that answers as broken networks and busy stores do."""

import http.client
import http.server
import random
import socket
import socketserver
import threading
import time
import urllib.parse

from harness import free_port

SLOW_DOWN = (503, "SlowDown", "Please reduce your request rate.")
DENIED = (403, "AccessDenied", "Access Denied.")
CHUNK = 64 << 10


class FaultProxy:
    """`mode` is what happens to a request, and may change at any time:

    pass    it is handed on           down    the connection is closed without a word
    503 403 an S3 error               slow    handed on, a second late and in small pieces
    cut     the body ends half way    stalled nothing more comes after half of the body
    mixed   one of 503, slow and cut, every third time
    """

    def __init__(self, endpoint: str, mode: str = "pass", seed: int = 1):
        self.mode = mode
        self.name = "proxy"
        self.upstream = urllib.parse.urlsplit(endpoint).netloc
        self.faults = 0
        self.random = random.Random(seed)
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except OSError:  # The client has gone away.
                    self.close_connection = True

            def __getattr__(self, name):
                if name.startswith("do_"):
                    return lambda: proxy.handle(self)
                raise AttributeError(name)

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self.server = Listener(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def choose(self) -> str:
        if self.mode != "mixed":
            return self.mode
        return self.random.choice(["503", "slow", "cut"]) if self.random.random() < 0.33 else "pass"

    def handle(self, request) -> None:
        mode = self.choose()
        if mode != "pass":
            self.faults += 1
        if mode == "down":
            request.close_connection = True
            request.connection.shutdown(socket.SHUT_RDWR)
            return
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0))
        if mode in ("503", "403"):
            self.refuse(request, *(SLOW_DOWN if mode == "503" else DENIED))
            return
        if mode == "slow":
            time.sleep(1)
        self.forward(request, body, mode)

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
            upstream.endheaders(body or None)
            answer = upstream.getresponse()
            request.send_response_only(answer.status, answer.reason)
            length = answer.headers.get("Content-Length")
            for name, value in answer.headers.items():
                if name.lower() not in ("connection", "transfer-encoding"):
                    request.send_header(name, value)
            if request.command == "HEAD" or answer.status in (204, 304):
                request.end_headers()
                return
            if length is None:
                whole = answer.read()
                request.send_header("Content-Length", str(len(whole)))
                request.end_headers()
                request.wfile.write(whole)
                return
            request.end_headers()
            stop_at = int(length) // 2 if mode in ("cut", "stalled") else int(length)
            sent = 0
            while sent < stop_at:
                piece = answer.read(min(CHUNK if mode != "slow" else 8 << 10, stop_at - sent))
                if not piece:
                    break
                request.wfile.write(piece)
                sent += len(piece)
                if mode == "slow":
                    time.sleep(0.01)
            if mode == "stalled":
                request.connection.settimeout(600)
                request.connection.recv(1)  # Returns when the client has given up.
            if sent < int(length):
                request.close_connection = True
                request.connection.shutdown(socket.SHUT_RDWR)
        finally:
            upstream.close()
