"""boto3 and the AWS CLI, unchanged, against `longhaul serve s3`.

LONGHAUL_BIN names the program; boto3 (and `aws`, beside this Python) must be installed.
"""

import base64
import concurrent.futures
import hashlib
import hmac
import http.server
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import zlib

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from harness import free_port, tells_none

KEY_ID, SECRET = "AKIDGATEWAYTEST", "gateway/secret+with=odd"
ODD_KEYS = ["plain", "with space", "a+b", "a%41", "aA", "a//b", "a/./b", "a/../b", "/lead", "trail/", "ü/é", "🚚",
            "q?a#b&c=d", "<x>&'\"", "a", "a/b", "new\nline", "x" * 900, ".longhaul/meta", "back\\slash", "~.-_*()!'"]


class Hook(http.server.BaseHTTPRequestHandler):
    records = []
    fail_first = 2

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if Hook.fail_first > 0:
            Hook.fail_first -= 1
            self.send_response(503)
        else:
            Hook.records += json.loads(body)["Records"]
            self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        pass


def client(endpoint, secret=SECRET, **config):
    return boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=KEY_ID,
                        aws_secret_access_key=secret,
                        config=Config(signature_version="s3v4", retries={"max_attempts": 1}, **config))


def fails(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, (code, error)
        return error.response
    raise AssertionError(f"{code} expected")


def buckets_and_objects(s3):
    s3.create_bucket(Bucket="first")
    fails("BucketAlreadyOwnedByYou", s3.create_bucket, Bucket="first")
    assert "first" in [b["Name"] for b in s3.list_buckets()["Buckets"]]
    assert s3.get_bucket_location(Bucket="first")["LocationConstraint"] is None
    assert "Status" not in s3.get_bucket_versioning(Bucket="first")
    fails("NoSuchBucket", s3.list_objects_v2, Bucket="none")
    fails("404", s3.head_bucket, Bucket="none")

    put = s3.put_object(Bucket="first", Key="a b+c", Body=b"hello", ContentType="text/x", CacheControl="no-cache",
                        ContentEncoding="gzip", ContentLanguage="de", ContentDisposition='attachment; filename="x y"',
                        Metadata={"one": "1", "two": "b c"}, Tagging="k=v+w&u=%C3%BC", StorageClass="STANDARD_IA")
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"', put
    got = s3.get_object(Bucket="first", Key="a b+c")
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["CacheControl"], got["ContentEncoding"]) == ("text/x", "no-cache", "gzip")
    assert got["Metadata"] == {"one": "1", "two": "b c"} and got["TagCount"] == 2
    assert got["StorageClass"] == "STANDARD_IA"
    tags = s3.get_object_tagging(Bucket="first", Key="a b+c")["TagSet"]
    assert {t["Key"]: t["Value"] for t in tags} == {"k": "v w", "u": "ü"}
    s3.put_object_tagging(Bucket="first", Key="a b+c", Tagging={"TagSet": [{"Key": "n", "Value": "1"}]})
    s3.delete_object_tagging(Bucket="first", Key="a b+c")
    assert s3.get_object_tagging(Bucket="first", Key="a b+c")["TagSet"] == []

    assert s3.get_object(Bucket="first", Key="a b+c", Range="bytes=1-3")["Body"].read() == b"ell"
    assert s3.get_object(Bucket="first", Key="a b+c", Range="bytes=-2")["Body"].read() == b"lo"
    assert s3.get_object(Bucket="first", Key="a b+c", Range="bytes=2-")["ContentRange"] == "bytes 2-4/5"
    fails("InvalidRange", s3.get_object, Bucket="first", Key="a b+c", Range="bytes=9-")
    fails("304", s3.get_object, Bucket="first", Key="a b+c", IfNoneMatch=put["ETag"])
    fails("PreconditionFailed", s3.get_object, Bucket="first", Key="a b+c", IfMatch='"x"')
    fails("PreconditionFailed", s3.put_object, Bucket="first", Key="a b+c", Body=b"x", IfNoneMatch="*")
    fails("PreconditionFailed", s3.put_object, Bucket="first", Key="a b+c", Body=b"x", IfMatch='"x"')
    s3.put_object(Bucket="first", Key="a b+c", Body=b"world", IfMatch=put["ETag"])
    fails("NoSuchKey", s3.get_object, Bucket="first", Key="none")
    fails("404", s3.head_object, Bucket="first", Key="none")
    fails("BucketNotEmpty", s3.delete_bucket, Bucket="first")
    assert s3.get_bucket_acl(Bucket="first")["Grants"][0]["Permission"] == "FULL_CONTROL"
    fails("NotImplemented", s3.put_object, Bucket="first", Key="k", Body=b"", ServerSideEncryption="AES256")

    fails("BadDigest", s3.put_object, Bucket="first", Key="bad", Body=b"x",
          ContentMD5=base64.b64encode(hashlib.md5(b"y").digest()).decode())
    fails("BadDigest", s3.put_object, Bucket="first", Key="bad", Body=b"x",
          ChecksumSHA256=base64.b64encode(hashlib.sha256(b"y").digest()).decode())
    fails("404", s3.head_object, Bucket="first", Key="bad")
    for algorithm in ("CRC32", "SHA1", "SHA256"):
        put = s3.put_object(Bucket="first", Key="sum", Body=b"checked", ChecksumAlgorithm=algorithm)
        head = s3.head_object(Bucket="first", Key="sum", ChecksumMode="ENABLED")
        assert head["Checksum" + algorithm] == put["Checksum" + algorithm], (head, put)
        assert s3.get_object(Bucket="first", Key="sum", ChecksumMode="ENABLED")["Body"].read() == b"checked"

    s3.copy_object(Bucket="first", Key="copy/ü", CopySource={"Bucket": "first", "Key": "a b+c"},
                   MetadataDirective="REPLACE", Metadata={"three": "3"})
    assert s3.head_object(Bucket="first", Key="copy/ü")["Metadata"] == {"three": "3"}
    fails("InvalidRequest", s3.copy_object, Bucket="first", Key="copy/ü", CopySource="first/copy/ü")


def odd_keys(s3):
    s3.create_bucket(Bucket="odd")
    for key in ODD_KEYS:
        s3.put_object(Bucket="odd", Key=key, Body=key.encode())
    for key in ODD_KEYS:
        assert s3.get_object(Bucket="odd", Key=key)["Body"].read() == key.encode(), key
    expected = sorted(ODD_KEYS, key=lambda k: k.encode())
    for size in (1, 3, 1000):
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket="odd", PaginationConfig={"PageSize": size})
        assert [o["Key"] for p in pages for o in p.get("Contents", [])] == expected, size
        pages = s3.get_paginator("list_objects").paginate(Bucket="odd", PaginationConfig={"PageSize": size})
        assert [o["Key"] for p in pages for o in p.get("Contents", [])] == expected, size
        for name in ("list_objects_v2", "list_objects"):
            keys, prefixes = [], []
            for page in s3.get_paginator(name).paginate(Bucket="odd", Delimiter="/",
                                                        PaginationConfig={"PageSize": size}):
                keys += [o["Key"] for o in page.get("Contents", [])]
                prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
            assert keys == [k for k in expected if "/" not in k], (name, size, keys)
            wanted = sorted({k.split("/")[0] + "/" for k in ODD_KEYS if "/" in k}, key=lambda k: k.encode())
            assert prefixes == wanted, (name, size, prefixes)
    answer = s3.delete_objects(Bucket="odd", Delete={"Objects": [{"Key": k} for k in ODD_KEYS]})
    assert len(answer["Deleted"]) == len(ODD_KEYS) and "Errors" not in answer, answer
    assert s3.list_objects_v2(Bucket="odd")["KeyCount"] == 0
    s3.delete_bucket(Bucket="odd")


def multipart(s3, folder):
    s3.create_bucket(Bucket="multi")
    data = os.urandom(1 << 20) * 21
    source = folder / "large"
    source.write_bytes(data)
    s3.upload_file(str(source), "multi", "large", ExtraArgs={"Metadata": {"a": "b"}},
                   Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
    head = s3.head_object(Bucket="multi", Key="large")
    assert head["ETag"].endswith('-5"') and head["Metadata"] == {"a": "b"}, head
    s3.download_file("multi", "large", str(folder / "back"))
    assert (folder / "back").read_bytes() == data
    assert s3.head_object(Bucket="multi", Key="large", PartNumber=2)["PartsCount"] == 5
    # Of an empty last part nothing comes, and not the whole.
    upload = s3.create_multipart_upload(Bucket="multi", Key="ends empty")["UploadId"]
    parts = [{"PartNumber": number, "ETag": s3.upload_part(
        Bucket="multi", Key="ends empty", UploadId=upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((1, data[:5 << 20]), (2, b""))]
    s3.complete_multipart_upload(Bucket="multi", Key="ends empty", UploadId=upload,
                                 MultipartUpload={"Parts": parts})
    last = s3.get_object(Bucket="multi", Key="ends empty", PartNumber=2)
    assert last["PartsCount"] == 2 and last["Body"].read() == b"", last
    s3.copy({"Bucket": "multi", "Key": "large"}, "multi", "copied",
            Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=6 << 20))
    assert hashlib.md5(s3.get_object(Bucket="multi", Key="copied")["Body"].read()).digest() == hashlib.md5(data).digest()

    upload = s3.create_multipart_upload(Bucket="multi", Key="part by part")["UploadId"]
    part = s3.upload_part(Bucket="multi", Key="part by part", UploadId=upload, PartNumber=1, Body=b"only")
    assert [u["Key"] for u in s3.list_multipart_uploads(Bucket="multi")["Uploads"]] == ["part by part"]
    assert s3.list_parts(Bucket="multi", Key="part by part", UploadId=upload)["Parts"][0]["Size"] == 4
    fails("InvalidPart", s3.complete_multipart_upload, Bucket="multi", Key="part by part", UploadId=upload,
          MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": '"0"'}]})
    fails("BadDigest", s3.upload_part, Bucket="multi", Key="part by part", UploadId=upload, PartNumber=2, Body=b"x",
          ContentMD5=base64.b64encode(hashlib.md5(b"y").digest()).decode())
    s3.complete_multipart_upload(Bucket="multi", Key="part by part", UploadId=upload, IfNoneMatch="*",
                                 MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    fails("NoSuchUpload", s3.list_parts, Bucket="multi", Key="part by part", UploadId=upload)
    upload = s3.create_multipart_upload(Bucket="multi", Key="aborted")["UploadId"]
    s3.abort_multipart_upload(Bucket="multi", Key="aborted", UploadId=upload)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="multi")


def signatures(s3, endpoint):
    s3.put_object(Bucket="first", Key="signed", Body=b"signed")
    fails("SignatureDoesNotMatch", client(endpoint, secret="wrong").get_object, Bucket="first", Key="signed")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "first", "Key": "signed"}, ExpiresIn=60)
    assert urllib.request.urlopen(url).read() == b"signed"
    put = s3.generate_presigned_url("put_object", Params={"Bucket": "first", "Key": "by url"}, ExpiresIn=60)
    urllib.request.urlopen(urllib.request.Request(put, data=b"put", method="PUT",
                                                  headers={"Content-Type": ""})).read()
    assert s3.get_object(Bucket="first", Key="by url")["Body"].read() == b"put"
    for bad in (url.replace("signed?", "other?"), url[:-1] + ("0" if url[-1] != "0" else "1"),
                url.split("?")[0], url.replace("X-Amz-Expires=60", "X-Amz-Expires=61")):
        try:
            urllib.request.urlopen(bad)
            raise AssertionError("refused is what it should have been: " + bad)
        except urllib.error.HTTPError as error:
            assert error.code == 403, error
    short = s3.generate_presigned_url("get_object", Params={"Bucket": "first", "Key": "signed"}, ExpiresIn=1)
    time.sleep(2.2)
    try:
        urllib.request.urlopen(short)
        raise AssertionError("expired")
    except urllib.error.HTTPError as error:
        assert error.code == 403 and b"expired" in error.read()
    unsigned = client(endpoint, s3={"payload_signing_enabled": False})
    unsigned.put_object(Bucket="first", Key="unsigned", Body=b"payload")
    assert unsigned.get_object(Bucket="first", Key="unsigned")["Body"].read() == b"payload"


def signed_chunks(s3, endpoint):
    """Bodies as the Java and Go SDKs send them over plain HTTP: each chunk signed, with a trailer or without."""
    def mac(key, text):
        return hmac.new(key, text.encode(), hashlib.sha256).digest()

    def put(key, pieces, trailer="", spoil=lambda body: body):
        payload = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" + ("-TRAILER" if trailer else "")
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        scope = f"{stamp[:8]}/us-east-1/s3/aws4_request"
        headers = {"content-encoding": "aws-chunked,gzip", "host": endpoint[7:], "x-amz-content-sha256": payload,
                   "x-amz-date": stamp, "x-amz-decoded-content-length": str(sum(map(len, pieces)))}
        if trailer:
            headers["x-amz-trailer"] = trailer.split(":")[0]
        names = ";".join(sorted(headers))
        canonical = "\n".join(["PUT", f"/first/{key}", "", *(f"{n}:{headers[n]}" for n in sorted(headers)), "", names,
                               payload])
        signing = ("AWS4" + SECRET).encode()
        for part in scope.split("/"):
            signing = mac(signing, part)

        def sign(kind, *lines):
            return mac(signing, "\n".join([kind, stamp, scope, *lines])).hex()

        def sha(data):
            return hashlib.sha256(data).hexdigest()

        signature = sign("AWS4-HMAC-SHA256", sha(canonical.encode()))
        headers["Authorization"] = (f"AWS4-HMAC-SHA256 Credential={KEY_ID}/{scope},SignedHeaders={names},"
                                    f"Signature={signature}")
        body = b""
        for piece in [*pieces, b""]:
            signature = sign("AWS4-HMAC-SHA256-PAYLOAD", signature, sha(b""), sha(piece))
            body += f"{len(piece):x};chunk-signature={signature}\r\n".encode() + piece + (b"\r\n" if piece else b"")
        if trailer:
            last = sign("AWS4-HMAC-SHA256-TRAILER", signature, sha(trailer.encode() + b"\n"))
            body += f"{trailer}\r\nx-amz-trailer-signature:{last}\r\n".encode()
        try:
            request = urllib.request.Request(f"{endpoint}/first/{key}", data=spoil(body + b"\r\n"), method="PUT",
                                             headers=headers)
            request.add_unredirected_header("Content-Type", "text/plain")
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode().split("<Code>")[1].split("<")[0]

    pieces = [os.urandom(65536), os.urandom(65536), b"end"]
    crc = "x-amz-checksum-crc32:" + base64.b64encode(zlib.crc32(b"".join(pieces)).to_bytes(4, "big")).decode()
    wrong = "x-amz-checksum-crc32:" + base64.b64encode(b"oops").decode()
    for trailer in ("", crc):
        assert put("chunks", pieces, trailer) == 200
        got = s3.get_object(Bucket="first", Key="chunks")
        assert got["Body"].read() == b"".join(pieces) and got["ContentEncoding"] == "gzip"
        spoiled = put("spoiled", pieces, trailer, lambda b: b.replace(b"end\r\n", b"END\r\n"))
        assert spoiled == (403, "SignatureDoesNotMatch"), spoiled
    assert put("spoiled", pieces, wrong) == (400, "BadDigest")
    spoiled = put("spoiled", pieces, crc, lambda b: b.replace(crc.encode(), wrong.encode()))
    assert spoiled == (403, "SignatureDoesNotMatch"), spoiled
    fails("404", s3.head_object, Bucket="first", Key="spoiled")


def many_at_once(s3):
    def one(i):
        s3.put_object(Bucket="first", Key=f"many/{i:04}", Body=b"x" * i)
        return len(s3.get_object(Bucket="first", Key=f"many/{i:04}")["Body"].read()) == i
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(one, range(200)))


def aws_cli(endpoint, folder):
    aws = shutil.which("aws", path=str(pathlib.Path(sys.executable).parent)) or shutil.which("aws")
    if aws is None:
        raise AssertionError("the AWS CLI is not there: pip install awscli")
    environment = dict(os.environ, AWS_ACCESS_KEY_ID=KEY_ID, AWS_SECRET_ACCESS_KEY=SECRET,
                       AWS_DEFAULT_REGION="us-east-1", AWS_CONFIG_FILE="/dev/null",
                       AWS_SHARED_CREDENTIALS_FILE="/dev/null", AWS_MAX_ATTEMPTS="1")

    def run(*arguments):
        return subprocess.run([sys.executable, aws, "--endpoint-url", endpoint, *arguments], check=True,
                              env=environment, capture_output=True, text=True).stdout

    tree = folder / "tree"
    for name, size in (("a.txt", 10), ("b/c d+e.bin", 100_000), ("b/ü.bin", 9 << 20)):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(os.urandom(size))
    run("s3", "mb", "s3://cli")
    run("s3", "sync", str(tree), "s3://cli/x/")
    assert "b/c d+e.bin" in run("s3", "ls", "--recursive", "s3://cli/")
    run("s3", "cp", "--recursive", "s3://cli/x/", "s3://cli/y/")
    run("s3", "sync", "s3://cli/y/", str(folder / "back-tree"))
    for file in tree.rglob("*"):
        if file.is_file():
            assert file.read_bytes() == (folder / "back-tree" / file.relative_to(tree)).read_bytes(), file
    run("s3", "rb", "--force", "s3://cli")


def events(s3):
    Hook.records.clear()
    s3.put_object(Bucket="first", Key="event a+b/ü", Body=b"12345")
    s3.delete_object(Bucket="first", Key="event a+b/ü")
    end = time.time() + 20
    while time.time() < end and len([r for r in Hook.records if "event" in r["s3"]["object"]["key"]]) < 2:
        time.sleep(0.05)
    put, removed = [r for r in Hook.records if r["s3"]["object"]["key"].startswith("event")]
    assert put["eventName"] == "ObjectCreated:Put" and removed["eventName"] == "ObjectRemoved:Delete"
    assert put["s3"]["bucket"]["name"] == "first" and put["s3"]["object"]["size"] == 5
    assert put["s3"]["object"]["key"] == "event+a%2Bb/%C3%BC", put
    assert urllib.parse.unquote_plus(put["s3"]["object"]["key"]) == "event a+b/ü"
    assert put["s3"]["object"]["eTag"] == hashlib.md5(b"12345").hexdigest()
    assert put["s3"]["object"]["sequencer"] < removed["s3"]["object"]["sequencer"]


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="longhaul-gateway-"))
    hook = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=hook.serve_forever, daemon=True).start()
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    log = folder / "gateway.log"
    with open(log, "wb") as output:
        gateway = subprocess.Popen(
            [os.environ["LONGHAUL_BIN"], "serve", "s3", "--root", str(folder / "root"),
             "--listen", f"127.0.0.1:{port}", "--access-key-id", KEY_ID,
             "--secret-access-key", SECRET,
             "--event-webhook", f"http://127.0.0.1:{hook.server_address[1]}/events"],
            stdout=output, stderr=output)
    try:
        for _ in range(200):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert gateway.poll() is None, "the gateway ended"
                time.sleep(0.05)
        s3 = client(endpoint)
        buckets_and_objects(s3)
        odd_keys(s3)
        multipart(s3, folder)
        signatures(s3, endpoint)
        signed_chunks(s3, endpoint)
        many_at_once(s3)
        events(s3)
        aws_cli(endpoint, folder)
        assert gateway.poll() is None, "the gateway ended"
    finally:
        gateway.terminate()
        gateway.wait(30)
        hook.shutdown()
        told = log.read_text(errors="replace")
        shutil.rmtree(folder)
        print(told[-4000:])
    tells_none([SECRET], told, "the gateway")
    print("gateway: boto3 and the AWS CLI work")


if __name__ == "__main__":
    main()
