"""An S3 endpoint with one bucket of very many keys, whose pages cost nothing to make."""

import http.server
import multiprocessing
import socket
import urllib.parse

PAGE = 1000


def page(start: int, count: int) -> bytes:
    entries = "".join(
        f"<Contents><Key>key-{number:09}.log</Key>"
        "<LastModified>2026-03-01T09:30:00.000Z</LastModified>"
        f"<ETag>&quot;{number:032x}&quot;</ETag><Size>{number % 5000}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
        for number in range(start, min(start + PAGE, count)))
    more = start + PAGE < count
    token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
    return ('<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>data</Name>'
            f"<Prefix></Prefix><MaxKeys>{PAGE}</MaxKeys><EncodingType>url</EncodingType>"
            f"<KeyCount>{min(PAGE, count - start)}</KeyCount>"
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{entries}"
            "</ListBucketResult>").encode()


def serve(listener: socket.socket, count: int) -> None:
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
            body = page(int(query.get("continuation-token", ["0"])[0]), count)
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
    server.socket = listener
    server.serve_forever()


class FakeListing:
    def __init__(self, count: int):
        listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self.process = multiprocessing.Process(target=serve, args=(listener, count), daemon=True)
        self.process.start()

    def close(self) -> None:
        self.process.kill()
        self.process.join()
