"""A server of one directory bucket, as S3 Express One Zone is documented: what it does not take is
refused here, so that a client which asks as it would ask any other bucket fails.

Sources: S3 User Guide, "Differences for directory buckets" and "Authorizing Zonal endpoint API
operations with CreateSession"; S3 API Reference.
"""

import base64
import datetime
import functools
import hashlib
import hmac
import http.server
import threading
import time
import urllib.parse
import uuid
import xml.etree.ElementTree as ElementTree
from email.utils import formatdate
from xml.sax.saxutils import escape

CRC_TABLE = []
for _byte in range(256):
    for _ in range(8):
        _byte = (_byte >> 1) ^ (0x9A6C9329AC4BC9B5 if _byte & 1 else 0)
    CRC_TABLE.append(_byte)


@functools.lru_cache(64)  # It is slow, and asked for the same bytes again and again.
def crc64nvme(data: bytes) -> str:
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return base64.b64encode((crc ^ 0xFFFFFFFFFFFFFFFF).to_bytes(8, "big")).decode()


class Refused(Exception):
    def __init__(self, status: int, code: str, message: str = ""):
        super().__init__(code)
        self.status, self.code, self.message = status, code, message or code


class ExpressServer:
    def __init__(self, bucket: str, access_key_id: str, secret: str, session_seconds: float = 300):
        self.bucket = bucket
        self.keys = {access_key_id: secret}
        self.account = access_key_id
        self.session_seconds = session_seconds
        self.sessions: dict[str, tuple[str, str, float]] = {}  # Key id: secret, token, end.
        self.objects: dict[str, dict] = {}
        self.uploads: dict[str, dict] = {}
        self.asked: list[str] = []
        self.refused: list[str] = []
        self.lock = threading.Lock()
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # Else an answer's body waits for the ACK of its head.

            def do_any(self):
                server.handle(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_any

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            request_queue_size = 128  # With 5, as it is, connections wait for seconds and more.

        self.http = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.endpoint = f"http://127.0.0.1:{self.http.server_port}"

    def handle(self, request) -> None:
        path, _, raw_query = request.path.partition("?")
        query = dict(urllib.parse.parse_qsl(raw_query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in request.headers.items()}
        body = request.rfile.read(int(headers.get("content-length", "0")))
        line = f"{request.command} {request.path}"
        try:
            with self.lock:
                self.asked.append(line)
            _, bucket, key = (urllib.parse.unquote(path) + "/").split("/", 2)
            key = key[:-1] if urllib.parse.unquote(path).count("/") > 1 else ""
            if bucket != self.bucket:
                raise Refused(404, "NoSuchBucket")
            self.authenticate(request.command, path, raw_query, headers, key, query)
            body = self.content(headers, body)
            with self.lock:
                status, answer, text = self.answer(request.command, key, query, headers, body)
        except Refused as refused:
            # A HEAD may ask for what is not there.
            if not (line.startswith("HEAD ") and refused.code == "NoSuchKey"):
                self.refused.append(f"{line}: {refused.code} {refused.message}")
            status, answer = refused.status, {"Content-Type": "application/xml"}
            text = (f"<Error><Code>{refused.code}</Code><Message>{refused.message}</Message>"
                    "</Error>").encode()
        request.send_response(status)
        length = answer.pop("Content-Length", None)
        for name, value in answer.items():
            request.send_header(name, value)
        head = request.command == "HEAD"
        request.send_header("Content-Length",
                            length if head and length is not None else str(len(text)))
        request.end_headers()
        if not head:
            request.wfile.write(text)

    # Who asks.

    def authenticate(self, method, path, raw_query, headers, key, query) -> None:
        authorization = headers.get("authorization", "")
        if not authorization.startswith("AWS4-HMAC-SHA256 "):
            raise Refused(403, "AccessDenied", "not signed")
        fields = dict(field.strip().split("=", 1) for field in authorization[17:].split(","))
        key_id, day, region, service, _ = fields["Credential"].split("/")
        if service != "s3express":
            raise Refused(403, "AccessDenied", f"signed for {service}")
        by_account = ("session" in query or (method == "HEAD" and not key) or
                      "x-amz-copy-source" in headers)
        if by_account:
            secret = self.keys.get(key_id)
            if secret is None or "x-amz-s3session-token" in headers:
                raise Refused(403, "AccessDenied", "this takes no session")
        else:
            secret, token, end = self.sessions.get(key_id, ("", "", 0.0))
            if not secret or headers.get("x-amz-s3session-token") != token:
                raise Refused(403, "AccessDenied", "no such session")
            if "x-amz-security-token" in headers:
                raise Refused(400, "InvalidRequest", "two tokens")
            if time.time() > end:
                raise Refused(400, "ExpiredToken")
        signed = fields["SignedHeaders"].split(";")
        for name in headers:
            if name.startswith("x-amz-") and name not in signed:
                raise Refused(403, "AccessDenied", f"{name} is not signed")
        pairs = sorted(pair if "=" in pair else pair + "=" for pair in raw_query.split("&") if pair)
        canonical = "\n".join([
            method, path, "&".join(pairs),
            "".join(f"{name}:{' '.join(headers[name].split())}\n" for name in signed),
            fields["SignedHeaders"], headers["x-amz-content-sha256"]])
        scope = f"{day}/{region}/{service}/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], scope,
                             hashlib.sha256(canonical.encode()).hexdigest()])
        signing_key = ("AWS4" + secret).encode()
        for part in (day, region, service, "aws4_request", to_sign):
            signing_key = hmac.new(signing_key, part.encode(), hashlib.sha256).digest()
        if signing_key.hex() != fields["Signature"]:
            raise Refused(403, "SignatureDoesNotMatch")

    # What comes.

    def content(self, headers, body: bytes) -> bytes:
        if "content-md5" in headers:
            raise Refused(400, "InvalidRequest", "no MD5 here")
        sent = headers.get("x-amz-checksum-crc64nvme")
        if "aws-chunked" in headers.get("content-encoding", ""):
            parts = []
            while True:
                size, _, body = body.partition(b"\r\n")
                count = int(size.split(b";")[0], 16)
                if count == 0:
                    break
                parts.append(body[:count])
                body = body[count + 2:]
            for line in body.split(b"\r\n"):
                if line.startswith(b"x-amz-checksum-crc64nvme:"):
                    sent = line.split(b":", 1)[1].strip().decode()
            body = b"".join(parts)
            if str(len(body)) != headers["x-amz-decoded-content-length"] or sent is None:
                raise Refused(400, "IncompleteBody")
        if sent is not None and headers.get("x-amz-checksum-type") is None and (
                sent != crc64nvme(body)):
            raise Refused(400, "BadDigest")
        return body

    # What is answered.

    def answer(self, method, key, query, headers, body):
        for name in ("tagging", "versions", "versioning", "acl"):
            if name in query:
                raise Refused(501, "NotImplemented", name)
        if "versionId" in query or "x-amz-tagging" in headers or "x-amz-acl" in headers:
            raise Refused(501, "NotImplemented")
        if headers.get("x-amz-storage-class", "EXPRESS_ONEZONE") != "EXPRESS_ONEZONE":
            raise Refused(400, "InvalidStorageClass")
        if "session" in query:
            return self.create_session()
        if not key:
            if method == "HEAD":
                return 200, {}, b""
            if method == "POST" and "delete" in query:
                return self.remove_many(headers, body)
            if method == "GET" and "uploads" in query:
                return self.list_uploads(query)
            if method == "GET" and query.get("list-type") == "2":
                return self.list(query)
            raise Refused(501, "NotImplemented", f"{method} {query}")
        if "uploads" in query:
            number = uuid.uuid4().hex
            self.uploads[number] = {"key": key, "headers": headers, "parts": {}}
            return self.xml("InitiateMultipartUploadResult", f"<UploadId>{number}</UploadId>")
        if "uploadId" in query:
            return self.upload(method, key, query, headers, body)
        if method == "PUT":
            return self.put(key, headers, body)
        if method == "DELETE":
            self.objects.pop(key, None)
            return 204, {}, b""
        there = self.objects.get(key)
        if there is None:
            raise Refused(404, "NoSuchKey")
        return self.get(headers, there)

    @staticmethod
    def xml(root: str, text: str):
        return 200, {"Content-Type": "application/xml"}, f"<{root}>{text}</{root}>".encode()

    def create_session(self):
        key_id, secret, token = (uuid.uuid4().hex for _ in range(3))
        end = time.time() + self.session_seconds
        self.sessions[key_id] = (secret, token, end)
        when = datetime.datetime.fromtimestamp(end, datetime.timezone.utc)
        return self.xml("CreateSessionResult", (
            f"<Credentials><SessionToken>{token}</SessionToken>"
            f"<SecretAccessKey>{secret}</SecretAccessKey><AccessKeyId>{key_id}</AccessKeyId>"
            f"<Expiration>{when.strftime('%Y-%m-%dT%H:%M:%SZ')}</Expiration></Credentials>"))

    def list(self, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        if prefix and not prefix.endswith("/"):
            raise Refused(400, "InvalidRequest", "the prefix does not end in the delimiter")
        if delimiter not in ("", "/") or "start-after" in query:
            raise Refused(400, "InvalidRequest", "delimiter or start-after")
        found = {}
        for key in self.objects:
            if key.startswith(prefix):
                end = key.find("/", len(prefix)) if delimiter else -1
                found[key if end < 0 else key[:end + 1]] = end < 0
        # In no order that means anything.
        names = sorted(found, key=lambda name: hashlib.md5(name.encode()).digest())
        begin = int(query.get("continuation-token", "0"))
        page = names[begin:begin + min(int(query.get("max-keys", "1000")), 1000)]
        more = begin + len(page) < len(names)
        text = "<EncodingType>url</EncodingType>"
        text += f"<IsTruncated>{'true' if more else 'false'}</IsTruncated>"
        if more:
            text += f"<NextContinuationToken>{begin + len(page)}</NextContinuationToken>"
        for name in page:
            shown = urllib.parse.quote(name, safe="/")
            if found[name]:
                there = self.objects[name]
                text += (f"<Contents><Key>{shown}</Key><Size>{len(there['body'])}</Size>"
                         f"<ETag>\"{there['etag']}\"</ETag>"
                         f"<LastModified>{there['iso']}</LastModified>"
                         "<StorageClass>EXPRESS_ONEZONE</StorageClass></Contents>")
            else:
                text += f"<CommonPrefixes><Prefix>{shown}</Prefix></CommonPrefixes>"
        return self.xml("ListBucketResult", text)

    def list_uploads(self, query):
        prefix = query.get("prefix", "")
        if (prefix and not prefix.endswith("/")) or "upload-id-marker" in query:
            raise Refused(400, "InvalidRequest", "the prefix does not end in the delimiter")
        text = "<IsTruncated>false</IsTruncated>"
        for number, upload in self.uploads.items():
            if upload["key"].startswith(prefix):
                text += (f"<Upload><Key>{escape(upload['key'])}</Key>"
                         f"<UploadId>{number}</UploadId></Upload>")
        return self.xml("ListMultipartUploadsResult", text)

    def keep(self, key, headers, body, checksum):
        now = time.time()
        # An ETag looks like an MD5 and is none.
        self.objects[key] = {
            "body": body, "etag": uuid.uuid4().hex, "checksum": checksum,
            "iso": time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now)),
            "modified": formatdate(now, usegmt=True),
            "headers": {name: value for name, value in headers.items()
                        if name.startswith("x-amz-meta-") or name == "content-type"}}
        return self.objects[key]

    def put(self, key, headers, body):
        if headers.get("if-none-match") == "*" and key in self.objects:
            raise Refused(412, "PreconditionFailed")
        if "if-match" in headers:
            there = self.objects.get(key)
            if there is None or there["etag"] != headers["if-match"].strip('"'):
                raise Refused(412, "PreconditionFailed")
        if "x-amz-copy-source" in headers:
            bucket, _, name = urllib.parse.unquote(headers["x-amz-copy-source"]).strip(
                "/").partition("/")
            source = self.objects.get(name) if bucket == self.bucket else None
            if source is None:
                raise Refused(404, "NoSuchKey")
            replaced = headers if headers.get("x-amz-metadata-directive") == "REPLACE" else (
                source["headers"])
            kept = self.keep(key, replaced, source["body"], source["checksum"])
            return self.xml("CopyObjectResult", f"<ETag>\"{kept['etag']}\"</ETag>")
        kept = self.keep(key, headers, body, crc64nvme(body))
        return 200, {"ETag": f'"{kept["etag"]}"',
                     "x-amz-checksum-crc64nvme": kept["checksum"]}, b""

    def upload(self, method, key, query, headers, body):
        upload = self.uploads.get(query["uploadId"])
        if upload is None or upload["key"] != key:
            raise Refused(404, "NoSuchUpload")
        if method == "DELETE":
            del self.uploads[query["uploadId"]]
            return 204, {}, b""
        if method == "PUT":
            etag = uuid.uuid4().hex
            upload["parts"][int(query["partNumber"])] = (etag, body)
            return 200, {"ETag": f'"{etag}"', "x-amz-checksum-crc64nvme": crc64nvme(body)}, b""
        if method == "GET":
            text = "<IsTruncated>false</IsTruncated>"
            for number, (etag, part) in sorted(upload["parts"].items()):
                text += (f"<Part><PartNumber>{number}</PartNumber><ETag>\"{etag}\"</ETag>"
                         f"<Size>{len(part)}</Size></Part>")
            return self.xml("ListPartsResult", text)
        named = [(int(part.findtext("{*}PartNumber")), part.findtext("{*}ETag").strip('"'))
                 for part in ElementTree.fromstring(body)]
        if [number for number, _ in named] != list(range(1, len(named) + 1)):
            raise Refused(400, "InvalidPartOrder", "parts are numbered from 1 without a gap")
        for number, etag in named:
            if upload["parts"].get(number, ("", b""))[0] != etag:
                raise Refused(400, "InvalidPart")
        if headers.get("if-none-match") == "*" and key in self.objects:
            raise Refused(412, "PreconditionFailed")
        whole = b"".join(upload["parts"][number][1] for number, _ in named)
        checksum = crc64nvme(whole)
        if headers.get("x-amz-checksum-crc64nvme", checksum) != checksum:
            raise Refused(400, "BadDigest")
        del self.uploads[query["uploadId"]]
        kept = self.keep(key, upload["headers"], whole, checksum)
        return self.xml("CompleteMultipartUploadResult", f"<ETag>\"{kept['etag']}\"</ETag>")

    def remove_many(self, headers, body):
        if "x-amz-checksum-crc64nvme" not in headers:
            raise Refused(400, "InvalidRequest", "no checksum")
        for one in ElementTree.fromstring(body):
            if one.tag.endswith("Object"):
                self.objects.pop(one.findtext("{*}Key"), None)
        return self.xml("DeleteResult", "")

    def get(self, headers, there):
        body, status = there["body"], 200
        answer = {"ETag": f'"{there["etag"]}"', "Last-Modified": there["modified"],
                  "x-amz-storage-class": "EXPRESS_ONEZONE", **there["headers"]}
        if "if-match" in headers and headers["if-match"].strip('"') != there["etag"]:
            raise Refused(412, "PreconditionFailed")
        if "range" in headers:
            first, _, last = headers["range"].removeprefix("bytes=").partition("-")
            if not first:
                first, last = str(max(len(body) - int(last), 0)), ""
            end = min(int(last) if last else len(body) - 1, len(body) - 1)
            if int(first) >= len(body):
                raise Refused(416, "InvalidRange")
            answer["Content-Range"] = f"bytes {first}-{end}/{len(body)}"
            body, status = body[int(first):end + 1], 206
        elif headers.get("x-amz-checksum-mode") == "ENABLED":
            answer["x-amz-checksum-crc64nvme"] = there["checksum"]
            answer["x-amz-checksum-type"] = "FULL_OBJECT"
        answer["Content-Length"] = str(len(body))
        return status, answer, body
