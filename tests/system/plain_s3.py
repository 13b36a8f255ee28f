"""The few requests of S3 that system tests send by the thousand, without what boto3 does for each.

What is not answered with 2xx is None: whoever asked lets boto3 ask again, and has its error.
"""

import datetime
import hashlib
import hmac
import http.client
import ssl
import threading
import urllib.parse
import xml.etree.ElementTree

ATTEMPTS = 4
# Arguments of boto3's put_object that are a header each.
HEADERS = {"ContentType": "content-type", "ContentEncoding": "content-encoding",
           "ContentLanguage": "content-language", "ContentDisposition": "content-disposition",
           "CacheControl": "cache-control", "StorageClass": "x-amz-storage-class",
           "WebsiteRedirectLocation": "x-amz-website-redirect-location", "Tagging": "x-amz-tagging"}


class PlainS3:
    """Signs as SigV4 asks (AWS General Reference, "Signing AWS API requests"); one connection for
    each thread."""

    def __init__(self, endpoint: str, region: str, access_key_id: str, secret_access_key: str):
        self.url = urllib.parse.urlsplit(endpoint)
        self.region = region
        self.access_key_id = access_key_id
        self.secret_access_key = secret_access_key
        self.day_keys: dict[str, bytes] = {}
        self.local = threading.local()

    def _connection(self) -> http.client.HTTPConnection:
        connection = getattr(self.local, "connection", None)
        if connection is None:
            if self.url.scheme == "https":  # Of a test's own making: nobody vouches for it.
                connection = http.client.HTTPSConnection(
                    self.url.netloc, timeout=60, context=ssl._create_unverified_context())
            else:
                connection = http.client.HTTPConnection(self.url.netloc, timeout=60)
            self.local.connection = connection
        return connection

    def _forget(self) -> None:
        self.local.connection.close()
        self.local.connection = None

    def _day_key(self, day: str) -> bytes:
        key = self.day_keys.get(day)
        if key is None:
            key = ("AWS4" + self.secret_access_key).encode()
            for part in (day, self.region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self.day_keys[day] = key
        return key

    def _signed(self, method: str, path: str, query: str, headers: dict[str, str],
                body: bytes) -> dict[str, str]:
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        scope = f"{now[:8]}/{self.region}/s3/aws4_request"
        digest = hashlib.sha256(body).hexdigest()
        headers = {**headers, "host": self.url.netloc, "x-amz-content-sha256": digest,
                   "x-amz-date": now}
        names = sorted(name for name in headers if name == "host" or name.startswith("x-amz-"))
        canonical = "\n".join([
            method, path, query,
            *(f"{name}:{' '.join(headers[name].split())}" for name in names), "",
            ";".join(names), digest])
        to_sign = "\n".join(["AWS4-HMAC-SHA256", now, scope,
                             hashlib.sha256(canonical.encode()).hexdigest()])
        signature = hmac.digest(self._day_key(now[:8]), to_sign.encode(), "sha256").hex()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access_key_id}/{scope},"
                                    f"SignedHeaders={';'.join(names)},Signature={signature}")
        return headers

    def request(self, method: str, bucket: str, key: str = "", query: dict[str, str] | None = None,
                headers: dict[str, str] | None = None, body: bytes = b"", read=None):
        """(headers, what `read` makes of the response; its bytes without), or None."""
        path = urllib.parse.quote(f"/{bucket}/{key}" if key else f"/{bucket}", safe="/-_.~")
        words = "&".join(
            f"{urllib.parse.quote(name, safe='-_.~')}={urllib.parse.quote(value, safe='-_.~')}"
            for name, value in sorted((query or {}).items()))
        for _ in range(ATTEMPTS):
            signed = self._signed(method, path, words, headers or {}, body)
            try:
                connection = self._connection()
                connection.request(method, path + ("?" + words if words else ""),
                                   body=body if method == "PUT" else None, headers=signed)
                response = connection.getresponse()
                if response.status // 100 == 2:
                    return response.headers, read(response) if read else response.read()
                response.read()
                if response.status < 500:
                    return None
            except (OSError, http.client.HTTPException):
                self._forget()
        return None

    def keys(self, bucket: str, prefix: str = "") -> dict[str, int] | None:
        """The sizes of what is there."""
        query = {"list-type": "2", "prefix": prefix, "encoding-type": "url"}
        found: dict[str, int] = {}
        while True:
            answer = self.request("GET", bucket, query=query)
            if answer is None:
                return None
            page = xml.etree.ElementTree.fromstring(answer[1])
            space = page.tag[:page.tag.index("}") + 1] if page.tag.startswith("{") else ""
            encoded = page.findtext(space + "EncodingType") == "url"
            for entry in page.iterfind(space + "Contents"):
                key = entry.findtext(space + "Key")
                found[urllib.parse.unquote_plus(key) if encoded else key] = int(
                    entry.findtext(space + "Size"))
            if page.findtext(space + "IsTruncated") != "true":
                return found
            query["continuation-token"] = page.findtext(space + "NextContinuationToken")

    def put(self, bucket: str, key: str, body: bytes, options: dict) -> bool:
        """False: boto3 has to."""
        metadata = options.get("Metadata", {})
        texts = [*metadata, *metadata.values(), *(v for k, v in options.items() if k in HEADERS)]
        if not {*options} <= {*HEADERS, "Metadata"} or not all(text.isascii() for text in texts):
            return False
        headers = {HEADERS[name]: value for name, value in options.items() if name in HEADERS}
        headers.setdefault("content-type", "binary/octet-stream")
        headers |= {"x-amz-meta-" + name.lower(): value for name, value in metadata.items()}
        return self.request("PUT", bucket, key, headers=headers, body=body) is not None
