"""An S3 endpoint with one bucket of very many keys, whose pages cost nothing to make."""

import bisect
import hashlib
import http.server
import multiprocessing
import os
import signal
import socket
import time
import urllib.parse

PAGE = 1000
PROCESSES = 2  # One Python does no more than some 500 pages a second.


def entry(key: str, number: int) -> bytes:
    return (f"<Contents><Key>{key}</Key><LastModified>2026-03-01T09:30:00.000Z</LastModified>"
            f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{number % 5000}</Size>"
            "<StorageClass>STANDARD</StorageClass></Contents>").encode()


def page(keys: list[str], entries: list[bytes], start: int) -> bytes:
    """The page that begins with key number `start`; the token is the number of the next one."""
    end = min(start + PAGE, len(keys))
    more = end < len(keys)
    token = f"<NextContinuationToken>{end}</NextContinuationToken>" if more else ""
    head = ('<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>data</Name>'
            f"<Prefix></Prefix><MaxKeys>{PAGE}</MaxKeys><EncodingType>url</EncodingType>"
            f"<KeyCount>{end - start}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}")
    return b"".join([head.encode(), *entries[start:end], b"</ListBucketResult>"])


def serve(listener: socket.socket, count: int, pattern: bool, seconds: float, ready) -> None:
    os.setpgrp()
    if pattern:
        keys = [f"key-{number:09}.log" for number in range(count)]
    else:
        keys = sorted(hashlib.md5(str(number).encode()).hexdigest() for number in range(count))
    entries = [entry(key, number) for number, key in enumerate(keys)]
    for _ in range(PROCESSES - 1):
        if os.fork() == 0:
            break
    ready.set()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def do_GET(self):
            begun = time.monotonic()
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            if "continuation-token" in query:
                start = int(query["continuation-token"][0])
            else:
                start = bisect.bisect_right(keys, query.get("start-after", [""])[0])
            body = page(keys, entries, start)
            time.sleep(max(0.0, seconds - (time.monotonic() - begun)))
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self):
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.socket = listener
    server.serve_forever()


class FakeListing:
    def __init__(self, count: int, pattern: bool = True, seconds: float = 0):
        """`pattern`: keys are numbers, else they are in none. `seconds`: what a page takes."""
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        ready = multiprocessing.Event()
        self.process = multiprocessing.Process(target=serve, daemon=True,
                                               args=(listener, count, pattern, seconds, ready))
        self.process.start()
        ready.wait()

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join()
