"""What the S3 API Reference says of the operations of `longhaul serve s3`, a case for each sentence.

Without it: clients that rely on a sentence nobody looked at would find out in their own data.
"""

import base64
import hashlib
import http.client
import os
import socket
import time
import traceback
import urllib.error
import urllib.request
import zlib

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
from botocore.exceptions import ClientError

from harness import ACCESS_KEY_ID, BINARY, REGION, SECRET_ACCESS_KEY, World, free_port, step

CASES = []
MIB = 1 << 20
USERS = """
users:
  - {name: reader, access_key_id: READER, secret_access_key: reader-secret, read: ["suite/open/"]}
  - {name: writer, access_key_id: WRITER, secret_access_key: writer-secret, write: ["suite/in/"], read: ["suite/in/"]}
"""


def case(sentence: str):
    def register(function):
        CASES.append((sentence, function))
        return function

    return register


def client(endpoint, key=ACCESS_KEY_ID, secret=SECRET_ACCESS_KEY, **config):
    return boto3.client("s3", endpoint_url=endpoint, region_name=REGION, aws_access_key_id=key,
                        aws_secret_access_key=secret, config=botocore.config.Config(
                            signature_version=config.pop("version", "s3v4"),
                            s3={"addressing_style": "path"}, retries={"max_attempts": 0},
                            parameter_validation=False, **config))


def check(holds, what) -> None:
    """As the harness's, but the cases after it still run."""
    if not holds:
        raise AssertionError(what)


class Suite:
    def __init__(self, endpoint):
        self.endpoint, self.s3, self.bucket = endpoint, client(endpoint), "suite"
        self.count = 0

    def put(self, key, body=b"hello", **more):
        return self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    def head(self, key, **more):
        return self.s3.head_object(Bucket=self.bucket, Key=key, **more)

    def raw(self, method, path, body=b"", headers=(), chunked=False, length=True):
        """A signed request with exactly these headers."""
        request = botocore.awsrequest.AWSRequest(method=method, url=self.endpoint + path,
                                                 headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
        for name, value in dict(headers).items():
            if name.lower().startswith("x-amz-"):
                request.headers[name] = value
        signer = botocore.auth.S3SigV4Auth(
            botocore.credentials.Credentials(ACCESS_KEY_ID, SECRET_ACCESS_KEY), "s3", REGION)
        request.context["client_config"] = botocore.config.Config(s3={"payload_signing_enabled": False})
        signer.add_auth(request)
        sent = dict(request.headers.items()) | dict(headers)
        connection = http.client.HTTPConnection(self.endpoint[7:], timeout=30)
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in sent.items():
            if name.lower() != "content-length":
                connection.putheader(name, value)
        if chunked:
            connection.putheader("Transfer-Encoding", "chunked")
        elif length:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if chunked:
            for at in range(0, len(body), 100_000):
                piece = body[at:at + 100_000]
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
        elif body:
            connection.send(body)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        code = text.split(b"<Code>")[1].split(b"<")[0].decode() if b"<Code>" in text else ""
        return answer.status, code, dict(answer.getheaders())

    def upload(self, key, *sizes, **more):
        place = {"Bucket": self.bucket, "Key": key}
        place["UploadId"] = self.s3.create_multipart_upload(**place, **more)["UploadId"]
        parts = [{"PartNumber": i + 1, "ETag": self.s3.upload_part(
            **place, PartNumber=i + 1, Body=bytes([i + 65]) * size)["ETag"]} for i, size in enumerate(sizes)]
        return place, {"Parts": parts}


def fails(code, call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        check(error.response["Error"]["Code"] == code, f"{code} was expected: {error}")
        return
    raise AssertionError(f"{code} was expected")


@case("a delimiter is any text, and what shares a beginning up to it is one line")
def _(s):
    for key in ("d/a--b--c", "d/a--b", "d/a-b", "d/b--", "d/c/x--1", "d/z"):
        s.put(key)
    for size in (1, 2, 1000):
        for name in ("list_objects_v2", "list_objects", "list_object_versions"):
            keys, prefixes = [], []
            for page in s.s3.get_paginator(name).paginate(
                    Bucket=s.bucket, Prefix="d/", Delimiter="--", PaginationConfig={"PageSize": size}):
                keys += [o["Key"] for o in page.get("Contents", page.get("Versions", []))]
                prefixes += [p["Prefix"] for p in page.get("CommonPrefixes", [])]
            check(keys == ["d/a-b", "d/z"], f"{name} {size}: {keys}")
            check(prefixes == ["d/a--", "d/b--", "d/c/x--"], f"{name} {size}: {prefixes}")
    listed = s.s3.list_objects_v2(Bucket=s.bucket, Prefix="d/", Delimiter="a")
    check([p["Prefix"] for p in listed["CommonPrefixes"]] == ["d/a"], "a letter")


@case("uploads are listed by a delimiter")
def _(s):
    for key in ("u/a/1", "u/a/2", "u/b"):
        s.upload(key)
    listed = s.s3.list_multipart_uploads(Bucket=s.bucket, Prefix="u/", Delimiter="/")
    check([p["Prefix"] for p in listed["CommonPrefixes"]] == ["u/a/"], listed)
    check([u["Key"] for u in listed["Uploads"]] == ["u/b"], listed)


@case("an encoding type other than url is an invalid argument")
def _(s):
    fails("InvalidArgument", s.s3.list_objects_v2, Bucket=s.bucket, EncodingType="other")


@case("a bucket without versions lists each object as its version null, and that can be deleted")
def _(s):
    s.put("v/1")
    version = s.s3.list_object_versions(Bucket=s.bucket, Prefix="v/")["Versions"][0]
    check(version["VersionId"] == "null" and version["IsLatest"], version)
    s.s3.delete_object(Bucket=s.bucket, Key="v/1", VersionId="null")
    check("Versions" not in s.s3.list_object_versions(Bucket=s.bucket, Prefix="v/"), "still there")


@case("an upload is completed again with the same answer, as long as it is what is there")
def _(s):
    place, parts = s.upload("again", 5)
    first = s.s3.complete_multipart_upload(**place, MultipartUpload=parts)
    second = s.s3.complete_multipart_upload(**place, MultipartUpload=parts)
    check(first["ETag"] == second["ETag"], second)
    fails("NoSuchUpload", s.s3.complete_multipart_upload, **place, MultipartUpload={"Parts": [
        {"PartNumber": 1, "ETag": '"00000000000000000000000000000000"'}]})
    s.put("again", b"other")
    fails("NoSuchUpload", s.s3.complete_multipart_upload, **place, MultipartUpload=parts)
    check(s.head("again")["ContentLength"] == 5, "replaced")


@case("all parts but the last have 5 MiB")
def _(s):
    place, parts = s.upload("small", 5 * MIB - 1, 1)
    fails("EntityTooSmall", s.s3.complete_multipart_upload, **place, MultipartUpload=parts)
    s.s3.abort_multipart_upload(**place)
    fails("NoSuchUpload", s.s3.abort_multipart_upload, **place)


@case("a part of an object is read by its number")
def _(s):
    place, parts = s.upload("parts", 5 * MIB, 7)
    s.s3.complete_multipart_upload(**place, MultipartUpload=parts)
    got = s.s3.get_object(Bucket=s.bucket, Key="parts", PartNumber=2)
    check(got["Body"].read() == b"B" * 7 and got["PartsCount"] == 2, got)
    check(got["ContentRange"] == f"bytes {5 * MIB}-{5 * MIB + 6}/{5 * MIB + 7}", got["ContentRange"])
    fails("InvalidPartNumber", s.s3.get_object, Bucket=s.bucket, Key="parts", PartNumber=3)
    found = s.s3.get_object_attributes(Bucket=s.bucket, Key="parts", MaxParts=1, ObjectAttributes=[
        "ETag", "ObjectParts", "ObjectSize", "StorageClass"])
    check(found["ObjectParts"]["TotalPartsCount"] == 2 and found["ObjectParts"]["IsTruncated"], found)
    check(found["ObjectParts"]["Parts"][0]["Size"] == 5 * MIB and found["ObjectSize"] == 5 * MIB + 7, found)
    fails("InvalidArgument", s.s3.get_object_attributes, Bucket=s.bucket, Key="parts", ObjectAttributes=["X"])


@case("a range of a copy's source lies within it")
def _(s):
    s.put("source", b"0123456789")
    place, _ = s.upload("ranges")
    copy = {**place, "PartNumber": 1, "CopySource": f"{s.bucket}/source"}
    for wrong in ("bytes=0-10", "0-2", "bytes=2", "bytes=a-b", "bytes=0-2,3-5", "bytes=3-2"):
        fails("InvalidArgument", s.s3.upload_part_copy, **copy, CopySourceRange=wrong)
    s.s3.upload_part_copy(**copy, CopySourceRange="bytes=0-9")


@case("a write may want the object to be there, or to be another one")
def _(s):
    fails("NoSuchKey", s.put, key="if", IfMatch="*")
    etag = s.put("if", b"1", IfNoneMatch='"0123"')["ETag"]
    fails("PreconditionFailed", s.put, key="if", body=b"2", IfNoneMatch=etag)
    s.put("if", b"2", IfMatch="*")
    check(s.head("if")["ETag"] != etag, "not written")
    s.put("if", b"3", IfNoneMatch=etag)
    fails("PreconditionFailed", s.put, key="if", IfNoneMatch="*")
    s.s3.delete_object(Bucket=s.bucket, Key="if", IfMatch="*")
    fails("NoSuchKey", s.s3.delete_object, Bucket=s.bucket, Key="if", IfMatch="*")
    fails("NoSuchKey", s.put, key="if", IfMatch=etag)


@case("a copy is made unless the source is this one")
def _(s):
    etag = s.put("from")["ETag"]
    copy = {"Bucket": s.bucket, "Key": "to", "CopySource": f"{s.bucket}/from"}
    fails("PreconditionFailed", s.s3.copy_object, **copy, CopySourceIfNoneMatch=etag)
    fails("404", s.head, key="to")
    s.s3.copy_object(**copy, CopySourceIfNoneMatch='"other"')


@case("an object has at most ten tags, of 128 and 256 characters")
def _(s):
    def tags(count, key="k", value="v"):
        return {"TagSet": [{"Key": f"{key}{i}", "Value": value} for i in range(count)]}
    s.put("tags")
    put = lambda **tagging: s.s3.put_object_tagging(Bucket=s.bucket, Key="tags", **tagging)
    put(Tagging=tags(10, "ü" * 127, "ü" * 256))
    fails("BadRequest", put, Tagging=tags(11))
    fails("InvalidTag", put, Tagging=tags(1, "k" * 128))
    fails("InvalidTag", put, Tagging=tags(1, "k", "v" * 257))
    fails("BadRequest", s.put, key="tags", Tagging="&".join(f"k{i}=v" for i in range(11)))
    check(len(s.s3.get_object_tagging(Bucket=s.bucket, Key="tags")["TagSet"]) == 10, "changed")


@case("the name of a bucket is of 3 to 63 lower-case letters, digits, dots and hyphens")
def _(s):
    for wrong in ("ab", "a" * 64, "-abc", "abc-", ".abc", "a_b_c", "Abc", "192.168.5.4", "a..b", "a.-b",
                  "a-.b", "xn--abc", "abc-s3alias"):
        check(s.raw("PUT", "/" + wrong)[:2] == (400, "InvalidBucketName"), wrong)
    s.s3.create_bucket(Bucket="a.b-c.9")
    s.s3.delete_bucket(Bucket="a.b-c.9")


@case("an upload in chunks needs no length, also where it is large")
def _(s):
    for size in (0, 5, 9 * MIB):
        body = os.urandom(1000) * (size // 1000) + b"x" * (size % 1000)
        status, code, _ = s.raw("PUT", f"/{s.bucket}/chunks", body, chunked=True)
        check(status == 200, f"{size}: {status} {code}")
        check(s.s3.get_object(Bucket=s.bucket, Key="chunks")["Body"].read() == body, size)
    wrong = {"Content-MD5": base64.b64encode(hashlib.md5(b"other").digest()).decode()}
    for size in (5, 9 * MIB):
        check(s.raw("PUT", f"/{s.bucket}/spoiled", b"x" * size, wrong, chunked=True)[1] == "BadDigest", size)
    fails("404", s.head, key="spoiled")
    check(not s.s3.list_multipart_uploads(Bucket=s.bucket, Prefix="spoiled").get("Uploads"), "left")


@case("errors have the codes of S3")
def _(s):
    path = f"/{s.bucket}/errors"
    check(s.raw("PUT", path, length=False)[:2] == (411, "MissingContentLength"), "no length")
    check(s.raw("PUT", path, b"x", {"Content-MD5": ""})[:2] == (400, "InvalidDigest"), "empty digest")
    check(s.raw("PUT", path, b"x", {"Content-MD5": "YQ=="})[:2] == (400, "InvalidDigest"), "short digest")
    check(s.raw("PUT", path, b"x", {"x-amz-checksum-crc32": "!"})[:2] == (400, "InvalidRequest"), "no sum")
    check(s.raw("PUT", path, b"x", {"Authorization": "AWS a:b"})[:2] == (400, "InvalidRequest"), "V2")
    check(s.raw("PUT", path, b"x", {"Authorization": "Basic a"})[:2] == (400, "InvalidArgument"), "Basic")
    check(s.raw("PUT", path, b"x", {"Authorization": "AWS4-HMAC-SHA256 x"})[:2]
          == (400, "AuthorizationHeaderMalformed"), "malformed")
    check(s.raw("POST", f"/{s.bucket}?delete", b"<Delete><")[:2] == (400, "MalformedXML"), "XML")
    check(s.raw("PUT", f"/{s.bucket}/%FF", b"x")[:2] == (400, "InvalidURI"), "not UTF-8")
    check(s.raw("GET", f"/{s.bucket}?max-keys=-1")[:2] == (400, "InvalidArgument"), "max-keys")
    check(s.raw("GET", "/?max-buckets=0")[:2] == (400, "InvalidArgument"), "max-buckets")
    fails("404", s.head, key="errors")


@case("an Expect that nobody knows is no reason to refuse")
def _(s):
    for value in ("200", "", "100-continue"):
        check(s.raw("PUT", f"/{s.bucket}/expect", b"x", {"Expect": value})[0] == 200, value)


@case("headers are given back as they came, but for aws-chunked")
def _(s):
    for given, back in (("deflate, gzip", "deflate, gzip"), ("gzip,deflate", "gzip,deflate"),
                        ("gzip, aws-chunked", "gzip"), ("aws-chunked", None)):
        s.raw("PUT", f"/{s.bucket}/encoded", b"x", {"Content-Encoding": given})
        check(s.head("encoded").get("ContentEncoding") == back, given)


@case("a checksum is answered with its type")
def _(s):
    for algorithm in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        if algorithm in ("CRC32C", "CRC64NVME"):
            continue  # boto3 makes these with the CRT alone.
        put = s.put("sum", b"sum", ChecksumAlgorithm=algorithm)
        head = s.head("sum", ChecksumMode="ENABLED")
        check(head["ChecksumType"] == put["ChecksumType"] == "FULL_OBJECT", head)
        sums = {name for name in head if name.startswith("Checksum")}
        check(sums == {"Checksum" + algorithm, "ChecksumType"}, sums)
        found = s.s3.get_object_attributes(Bucket=s.bucket, Key="sum", ObjectAttributes=["Checksum"])
        check(found["Checksum"]["Checksum" + algorithm] == put["Checksum" + algorithm], found)


@case("the checksum of an upload is of its parts' checksums, or of all its bytes when asked for")
def _(s):
    bodies = [b"a" * 5 * MIB, b"b"]
    for algorithm, digest in (("SHA256", lambda b: hashlib.sha256(b).digest()),
                              ("CRC32", lambda b: zlib.crc32(b).to_bytes(4, "big"))):
        for kind in ("COMPOSITE", "FULL_OBJECT") if algorithm == "CRC32" else ("COMPOSITE",):
            place = {"Bucket": s.bucket, "Key": "sums"}
            made = s.s3.create_multipart_upload(**place, ChecksumAlgorithm=algorithm, ChecksumType=kind)
            check((made["ChecksumAlgorithm"], made["ChecksumType"]) == (algorithm, kind), made)
            place["UploadId"] = made["UploadId"]
            parts = [{"PartNumber": i, "ETag": s.s3.upload_part(
                **place, PartNumber=i, Body=body, ChecksumAlgorithm=algorithm)["ETag"]}
                for i, body in enumerate(bodies, 1)]
            listed = s.s3.list_parts(**place)["Parts"][1]["Checksum" + algorithm]
            check(listed == base64.b64encode(digest(b"b")).decode(), listed)
            done = s.s3.complete_multipart_upload(**place, MultipartUpload={"Parts": parts})
            wanted = digest(b"".join(map(digest, bodies))) if kind == "COMPOSITE" else digest(b"".join(bodies))
            wanted = base64.b64encode(wanted).decode() + ("-2" if kind == "COMPOSITE" else "")
            for answer in (done, s.head("sums", ChecksumMode="ENABLED")):
                check(answer["Checksum" + algorithm] == wanted, (wanted, answer))
                check(answer["ChecksumType"] == kind, answer)


@case("a URL of signature version 2 is told that version 4 is taken")
def _(s):
    url = client(s.endpoint, version="s3").generate_presigned_url(
        "get_object", Params={"Bucket": s.bucket, "Key": "x"})
    try:
        urllib.request.urlopen(url)
        raise AssertionError("taken")
    except urllib.error.HTTPError as error:
        text = error.read()
        check(error.code == 400 and b"AWS4-HMAC-SHA256" in text and b"s3v4" in text, text)


@case("an owner has full control, and nothing else can be asked for")
def _(s):
    s.put("acl")
    acl = s.s3.get_object_acl(Bucket=s.bucket, Key="acl")
    check([g["Permission"] for g in acl["Grants"]] == ["FULL_CONTROL"], acl)
    check(acl["Grants"][0]["Grantee"]["ID"] == acl["Owner"]["ID"], acl)
    s.s3.put_object_acl(Bucket=s.bucket, Key="acl", ACL="private")
    fails("NotImplemented", s.s3.put_object_acl, Bucket=s.bucket, Key="acl", ACL="public-read")
    fails("NoSuchKey", s.s3.get_object_acl, Bucket=s.bucket, Key="none")
    fails("NoSuchBucket", s.s3.get_bucket_acl, Bucket="none")


@case("a user reads and writes what it has rights to, and nothing else")
def _(s):
    s.put("open/1")
    s.put("shut/1")
    reader, writer = client(s.endpoint, "READER", "reader-secret"), client(s.endpoint, "WRITER", "writer-secret")
    in_bucket = {"Bucket": s.bucket}
    check(reader.get_object(**in_bucket, Key="open/1")["Body"].read() == b"hello", "not read")
    fails("AccessDenied", reader.get_object, **in_bucket, Key="shut/1")
    fails("AccessDenied", reader.put_object, **in_bucket, Key="open/2", Body=b"")
    fails("AccessDenied", reader.delete_object, **in_bucket, Key="open/1")
    fails("AccessDenied", reader.list_objects_v2, **in_bucket)
    fails("AccessDenied", reader.list_objects_v2, **in_bucket, Prefix="op")
    check(reader.list_objects_v2(**in_bucket, Prefix="open/")["KeyCount"] == 1, "not listed")
    check([b["Name"] for b in reader.list_buckets()["Buckets"]] == [s.bucket], "other buckets are seen")
    fails("AccessDenied", reader.create_bucket, Bucket="of-the-reader")
    writer.put_object(**in_bucket, Key="in/1", Body=b"x")
    fails("AccessDenied", writer.copy_object, **in_bucket, Key="in/2", CopySource=f"{s.bucket}/shut/1")
    writer.copy_object(**in_bucket, Key="in/2", CopySource=f"{s.bucket}/in/1")
    answer = writer.delete_objects(**in_bucket, Delete={"Objects": [{"Key": "in/1"}, {"Key": "shut/1"}]})
    check([d["Key"] for d in answer["Deleted"]] == ["in/1"], answer)
    check([(e["Key"], e["Code"]) for e in answer["Errors"]] == [("shut/1", "AccessDenied")], answer)
    check(s.head("shut/1")["ContentLength"] == 5, "deleted")
    fails("AccessDenied", writer.delete_bucket, **in_bucket)
    fails("SignatureDoesNotMatch", client(s.endpoint, "READER", "writer-secret").get_object, **in_bucket,
          Key="open/1")


@case("a form uploads what its maker has signed for")
def _(s):
    def post(key, form, body=b"from a form", **fields):
        lines = b""
        for name, value in {**form["fields"], "key": key, **fields}.items():
            lines += f'--BB\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        lines += b'--BB\r\nContent-Disposition: form-data; name="file"; filename="f"\r\n\r\n' + body
        request = urllib.request.Request(form["url"], lines + b"\r\n--BB--\r\n", {
            "Content-Type": "multipart/form-data; boundary=BB"})
        try:
            return urllib.request.urlopen(request).status
        except urllib.error.HTTPError as error:
            return error.code, error.read().split(b"<Code>")[1].split(b"<")[0].decode()
    def form(s3, prefix="form/", **more):
        return s3.generate_presigned_post(s.bucket, prefix + "${filename}", Conditions=[
            ["content-length-range", 1, 20]], **more)
    check(post("form/${filename}", form(s.s3)) == 204, "not taken")
    check(s.s3.get_object(Bucket=s.bucket, Key="form/f")["Body"].read() == b"from a form", "other bytes")
    check(post("form/x", form(s.s3), b"") == (400, "EntityTooSmall"), "too small")
    check(post("form/x", form(s.s3), b"x" * 21) == (400, "EntityTooLarge"), "too large")
    check(post("other/x", form(s.s3)) == (403, "AccessDenied"), "another key")
    check(post("form/x", form(s.s3), acl="private") == (403, "AccessDenied"), "a field nobody signed")
    broken = form(s.s3)
    broken["fields"]["x-amz-signature"] = "0" * 64
    check(post("form/x", broken) == (403, "SignatureDoesNotMatch"), "a wrong signature")
    unsigned = form(s.s3)
    del unsigned["fields"]["policy"]
    check(post("form/x", unsigned) == (403, "AccessDenied"), "no policy")
    check(post("form/x", form(client(s.endpoint, "WRITER", "writer-secret"))) == (403, "AccessDenied"),
          "a user signs for what it may not write")
    check(post("in/x", form(client(s.endpoint, "WRITER", "writer-secret"), "in/")) == 204, "its own")
    fails("404", s.head, key="form/x")


def main() -> None:
    with World("gateway-suite") as world:
        server = world.serve("gateway")
        server.s3.create_bucket(Bucket="suite")
        users = world.work / "users.yaml"
        users.write_text(USERS)
        world.secrets |= {"reader-secret", "writer-secret"}
        port = free_port()
        server.spawn([BINARY, "serve", "s3", "--root", server.folder, "--listen", f"127.0.0.1:{port}",
                      "--access-key-id", ACCESS_KEY_ID, "--secret-access-key", SECRET_ACCESS_KEY,
                      "--users", users])
        wait_for(port)
        suite, failed = Suite(f"http://127.0.0.1:{port}"), []
        for sentence, function in CASES:
            try:
                function(suite)
            except Exception:  # Each case is told.
                failed.append(sentence)
                traceback.print_exc()
                print(f"FAILED: {sentence}", flush=True)
        step(f"{len(CASES) - len(failed)} of {len(CASES)} sentences hold")
        check(not failed, f"{len(failed)} do not: {failed}")


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError("no gateway")


if __name__ == "__main__":
    main()
