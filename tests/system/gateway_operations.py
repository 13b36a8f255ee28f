"""Every operation of the S3 API model, with every parameter of it, against `longhaul serve s3`.

Each parameter is carried out, which is shown, or refused with 501 NotImplemented and no effect. The
model is botocore's; a parameter that it has and that is not in the tables below fails the test, so
that nothing becomes accepted and ignored because it is new.
"""

import base64
import datetime
import hashlib
import os
import zlib

import boto3
import botocore.config
from botocore.exceptions import ClientError

from harness import ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, World, check, step

BUCKET = "model"
BODY = b"hello model"
OLD, NEW = datetime.datetime(2001, 1, 1), datetime.datetime(2037, 1, 1)
MISMATCH = '"00000000000000000000000000000000"'
PART = os.urandom(64) * (5 << 14)  # 5 MiB.


def crc(data: bytes, polynomial: int, bits: int) -> bytes:
    value = mask = (1 << bits) - 1
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
    return (value ^ mask).to_bytes(bits // 8, "big")


def sums(data: bytes) -> dict[str, str]:
    digests = {"CRC32": zlib.crc32(data).to_bytes(4, "big"), "SHA1": hashlib.sha1(data).digest(),
               "SHA256": hashlib.sha256(data).digest()}
    if len(data) < 1000:
        digests |= {"CRC32C": crc(data, 0x82F63B78, 32),
                    "CRC64NVME": crc(data, 0x9A6C9329AC4BC9B5, 64)}
    return {name: base64.b64encode(digest).decode() for name, digest in digests.items()}


def md5(data: bytes) -> str:
    return base64.b64encode(hashlib.md5(data).digest()).decode()


# The state that operations start from.

class State:
    def __init__(self, s3):
        self.s3 = s3
        self.count = 0

    def name(self) -> str:
        self.count += 1
        return f"thing-{self.count}"

    def object(self, **more) -> dict:
        key = self.name()
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=BODY, Tagging="a=b", **more)
        return {"Bucket": BUCKET, "Key": key}

    def source(self) -> dict:
        there = self.object(ContentType="text/old", Metadata={"old": "1"})
        return {"Bucket": BUCKET, "Key": self.name(),
                "CopySource": f"{there['Bucket']}/{there['Key']}"}

    def upload(self, **more) -> dict:
        place = {"Bucket": BUCKET, "Key": self.name()}
        return {**place, "UploadId": self.s3.create_multipart_upload(**place, **more)["UploadId"]}

    def parts(self, algorithm: str = "") -> dict:
        place = self.upload(**({"ChecksumAlgorithm": algorithm} if algorithm else {}))
        given = {f"Checksum{algorithm}": sums(b"only")[algorithm]} if algorithm else {}
        part = self.s3.upload_part(**place, PartNumber=1, Body=b"only", **given)
        return {**place, "MultipartUpload": {"Parts": [
            {"PartNumber": 1, "ETag": part["ETag"], **given}]}}


STARTS = {
    "ListBuckets": lambda state: {},
    "CreateBucket": lambda state: {"Bucket": state.name()},
    "PutBucketVersioning": lambda state: {"Bucket": BUCKET,
                                          "VersioningConfiguration": {"Status": "Enabled"}},
    "DeleteObjects": lambda state: {"Bucket": BUCKET, "Delete": {"Objects": [
        {"Key": state.object()["Key"]}]}},
    "GetObject": State.object, "HeadObject": State.object, "DeleteObject": State.object,
    "GetObjectTagging": State.object, "DeleteObjectTagging": State.object,
    "PutObject": lambda state: {"Bucket": BUCKET, "Key": state.name(), "Body": BODY},
    "CopyObject": State.source,
    "PutObjectTagging": lambda state: {**state.object(), "Tagging": {"TagSet": [
        {"Key": "c", "Value": "d"}]}},
    "CreateMultipartUpload": lambda state: {"Bucket": BUCKET, "Key": state.name()},
    "UploadPart": lambda state: {**state.upload(), "PartNumber": 1, "Body": BODY},
    "UploadPartCopy": lambda state: {**state.source(), **state.upload(), "PartNumber": 1},
    "ListParts": State.upload, "AbortMultipartUpload": State.upload,
    "CompleteMultipartUpload": State.parts,
    **{name: lambda state: {"Bucket": BUCKET} for name in (
        "HeadBucket", "GetBucketLocation", "GetBucketVersioning", "ListObjects", "ListObjectsV2",
        "ListMultipartUploads")},
}
# Refused for another reason: a folder keeps no versions.
WITHOUT_EFFECT = {"PutBucketVersioning"}
STARTS["DeleteBucket"] = lambda state: {"Bucket": made(state)}
STARTS["ListObjectVersions"] = lambda state: {"Bucket": BUCKET}
STARTS["GetBucketAcl"] = lambda state: {"Bucket": BUCKET}
STARTS["PutBucketAcl"] = lambda state: {"Bucket": BUCKET, "ACL": "private"}
STARTS["GetObjectAcl"] = State.object
STARTS["PutObjectAcl"] = lambda state: {**state.object(), "ACL": "private"}
STARTS["GetObjectAttributes"] = lambda state: {
    **state.object(), "ObjectAttributes": ["ETag", "ObjectSize", "Checksum", "StorageClass"]}


def made(state: State) -> str:
    name = state.name()
    state.s3.create_bucket(Bucket=name)
    return name


# What is carried out: (change of the start, what is then seen). A text is the code of an error; a
# function looks at the state, the parameters and the answer.

def after(look):
    """Looks at the object that was written."""
    return lambda state, params, answer: look(state.s3.head_object(
        Bucket=params["Bucket"], Key=params["Key"], ChecksumMode="ENABLED"))


def answers(look):
    return lambda state, params, answer: look(answer)


def of_upload(look):
    """Looks at the object that the upload becomes."""
    def finish(state, params, answer):
        place = {"Bucket": params["Bucket"], "Key": params["Key"], "UploadId": answer["UploadId"]}
        algorithm = params.get("ChecksumAlgorithm")
        given = {f"Checksum{algorithm}": sums(b"x")[algorithm]} if algorithm else {}
        part = state.s3.upload_part(**place, PartNumber=1, Body=b"x", **given)
        state.s3.complete_multipart_upload(**place, MultipartUpload={"Parts": [
            {"PartNumber": 1, "ETag": part["ETag"]}]})
        return after(look)(state, params, answer)
    return finish


def written(how, value="text/x"):
    """Headers that are stored with an object; `how` finds the object."""
    return {
        "CacheControl": [({"CacheControl": value}, how(lambda o: o["CacheControl"] == value))],
        "ContentDisposition": [({"ContentDisposition": value},
                                how(lambda o: o["ContentDisposition"] == value))],
        "ContentEncoding": [({"ContentEncoding": value}, how(lambda o: o["ContentEncoding"] == value))],
        "ContentLanguage": [({"ContentLanguage": value}, how(lambda o: o["ContentLanguage"] == value))],
        "ContentType": [({"ContentType": value}, how(lambda o: o["ContentType"] == value))],
        "Expires": [({"Expires": NEW}, how(lambda o: "2037" in o["ExpiresString"]))],
        "Metadata": [({"Metadata": {"n": "v"}}, how(lambda o: o["Metadata"] == {"n": "v"}))],
        "WebsiteRedirectLocation": [({"WebsiteRedirectLocation": "/to"},
                                     how(lambda o: o["WebsiteRedirectLocation"] == "/to"))],
        "StorageClass": [({"StorageClass": "STANDARD_IA"},
                          how(lambda o: o["StorageClass"] == "STANDARD_IA"))],
        "Tagging": [({"Tagging": "x=1&y=2"}, how(lambda o: o["TagCount"] == 2))],
        "ACL": [({"ACL": "private"}, how(lambda o: True)),
                ({"ACL": "bucket-owner-full-control"}, how(lambda o: True)),
                ({"ACL": "public-read"}, "NotImplemented")],
    }


def checked(names=("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")):
    """Checksums of a body: the right one is taken, a wrong one is not."""
    return {f"Checksum{name}": [
        ({f"Checksum{name}": sums(BODY)[name]},
         lambda state, params, answer, n=name: answer[f"Checksum{n}"] == sums(BODY)[n]),
        ({f"Checksum{name}": sums(b"other")[name]}, "BadDigest")] for name in names} | {
        "ContentMD5": [({"ContentMD5": md5(BODY)}, answers(bool)),
                       ({"ContentMD5": md5(b"other")}, "BadDigest")],
        "ChecksumAlgorithm": [({"ChecksumAlgorithm": "SHA1"},
                               answers(lambda a: a["ChecksumSHA1"] == sums(BODY)["SHA1"])),
                              ({"header x-amz-sdk-checksum-algorithm": "XXHASH64"}, "NotImplemented")]}


PAYER = {"RequestPayer": [({"RequestPayer": "requester"}, answers(bool))]}
PART = {"PartNumber": [({"PartNumber": 1}, answers(lambda a: a["ContentLength"] == len(BODY))),
                       ({"PartNumber": 0}, ("InvalidArgument", "400"))]}
READ = {
    "IfMatch": [({"IfMatch": MISMATCH}, "PreconditionFailed")],
    "IfNoneMatch": [({"IfNoneMatch": "*"}, "304")],
    "IfModifiedSince": [({"IfModifiedSince": NEW}, "304")],
    "IfUnmodifiedSince": [({"IfUnmodifiedSince": OLD}, "PreconditionFailed")],
    "Range": [({"Range": "bytes=1-2"}, answers(lambda a: a["ContentLength"] == 2))],
    "VersionId": [({"VersionId": "v"}, "NoSuchVersion")],
    "ChecksumMode": [({"ChecksumMode": "ENABLED"}, answers(lambda a: "ChecksumCRC64NVME" in a))],
    "ResponseCacheControl": [({"ResponseCacheControl": "x"}, answers(lambda a: a["CacheControl"] == "x"))],
    "ResponseContentDisposition": [({"ResponseContentDisposition": "x"},
                                    answers(lambda a: a["ContentDisposition"] == "x"))],
    "ResponseContentEncoding": [({"ResponseContentEncoding": "x"},
                                 answers(lambda a: a["ContentEncoding"] == "x"))],
    "ResponseContentLanguage": [({"ResponseContentLanguage": "x"},
                                 answers(lambda a: a["ContentLanguage"] == "x"))],
    "ResponseContentType": [({"ResponseContentType": "x/y"}, answers(lambda a: a["ContentType"] == "x/y"))],
    "ResponseExpires": [({"ResponseExpires": NEW}, answers(lambda a: "2037" in a["ExpiresString"]))],
    **PAYER,
}
# A HEAD has no body that could tell the code.
HEAD = {**READ, "IfMatch": [({"IfMatch": MISMATCH}, "412")],
        "IfUnmodifiedSince": [({"IfUnmodifiedSince": OLD}, "412")],
        "VersionId": [({"VersionId": "v"}, "404")],
        **PART}
SOURCE_IF = {
    "CopySourceIfMatch": [({"CopySourceIfMatch": MISMATCH}, "PreconditionFailed")],
    "CopySourceIfNoneMatch": [({"CopySourceIfNoneMatch": "*"}, "PreconditionFailed")],
    "CopySourceIfModifiedSince": [({"CopySourceIfModifiedSince": NEW}, "PreconditionFailed")],
    "CopySourceIfUnmodifiedSince": [({"CopySourceIfUnmodifiedSince": OLD}, "PreconditionFailed")]}
WRITE_IF = {"IfMatch": [({"IfMatch": MISMATCH}, ("PreconditionFailed", "NoSuchKey"))],
            "IfNoneMatch": [({"IfNoneMatch": "*", "Key": "listed/1"}, "PreconditionFailed")]}
LISTED = {
    "Delimiter": [({"Delimiter": "/", "Prefix": "list"},
                   answers(lambda a: [p["Prefix"] for p in a["CommonPrefixes"]] == ["listed/"]))],
    "EncodingType": [({"EncodingType": "url", "Prefix": "listed/"},
                      answers(lambda a: a["EncodingType"] == "url"))],
    "MaxKeys": [({"MaxKeys": 1, "Prefix": "listed/"},
                 answers(lambda a: a["IsTruncated"] and len(a["Contents"]) == 1))],
    "Prefix": [({"Prefix": "listed/"}, answers(lambda a: len(a["Contents"]) == 2))],
    **PAYER,
}


def beyond_first(answer) -> bool:
    return [o["Key"] for o in answer["Contents"]] == ["listed/2"]


CARRIED = {
    "ListBuckets": {
        "Prefix": [({"Prefix": "no-such"}, answers(lambda a: a["Buckets"] == []))],
        "BucketRegion": [({"BucketRegion": "eu-west-1"}, answers(lambda a: a["Buckets"] == []))],
        "MaxBuckets": [({"MaxBuckets": 1},
                        answers(lambda a: len(a["Buckets"]) == 1 and a["ContinuationToken"]))],
        "ContinuationToken": [({"ContinuationToken": base64.b64encode(b"zzz").decode()},
                               answers(lambda a: a["Buckets"] == []))]},
    "HeadBucket": {}, "DeleteBucket": {}, "GetBucketLocation": {}, "GetBucketVersioning": {},
    "CreateBucket": {
        "ACL": [({"ACL": "private"}, answers(bool)), ({"ACL": "public-read"}, "NotImplemented")],
        "ObjectLockEnabledForBucket": [
            ({"ObjectLockEnabledForBucket": False}, answers(bool)),
            ({"ObjectLockEnabledForBucket": True}, "NotImplemented")],
        "ObjectOwnership": [({"ObjectOwnership": "BucketOwnerEnforced"}, answers(bool)),
                            ({"ObjectOwnership": "ObjectWriter"}, "NotImplemented")],
        # One place serves all regions.
        "CreateBucketConfiguration.LocationConstraint": [
            ({"CreateBucketConfiguration": {"LocationConstraint": "eu-west-1"}}, answers(bool))]},
    "PutBucketVersioning": {
        "ContentMD5": [({"ContentMD5": md5(b"other")}, "BadDigest")],
        "ChecksumAlgorithm": [({"header x-amz-sdk-checksum-algorithm": "SHA512"}, "NotImplemented")],
        # What the folder below says.
        "VersioningConfiguration.Status": [({}, "NotImplemented")],
        "VersioningConfiguration.MFADelete": [
            ({"VersioningConfiguration": {"Status": "Enabled", "MFADelete": "Enabled"}},
             "NotImplemented")]},
    "ListObjects": {**LISTED, "Marker": [({"Prefix": "listed/", "Marker": "listed/1"},
                                          answers(beyond_first))]},
    "ListObjectsV2": {
        **LISTED,
        "StartAfter": [({"Prefix": "listed/", "StartAfter": "listed/1"}, answers(beyond_first))],
        "ContinuationToken": [({"ContinuationToken": "#"}, "InvalidArgument")],
        "FetchOwner": [({"FetchOwner": True, "Prefix": "listed/"},
                        answers(lambda a: a["Contents"][0]["Owner"]["ID"])),
                       ({"FetchOwner": False, "Prefix": "listed/"},
                        answers(lambda a: "Owner" not in a["Contents"][0]))]},
    "ListObjectVersions": {
        **{name: cases for name, cases in LISTED.items() if name in ("Delimiter", "EncodingType")},
        "MaxKeys": [({"MaxKeys": 1, "Prefix": "listed/"},
                     answers(lambda a: a["IsTruncated"] and len(a["Versions"]) == 1))],
        "Prefix": [({"Prefix": "listed/"},
                    answers(lambda a: [v["VersionId"] for v in a["Versions"]] == ["null"] * 2))],
        "KeyMarker": [({"Prefix": "listed/", "KeyMarker": "listed/1"},
                       answers(lambda a: [v["Key"] for v in a["Versions"]] == ["listed/2"]))],
        "VersionIdMarker": [({"KeyMarker": "listed/1", "VersionIdMarker": "null", "Prefix": "listed/"},
                             answers(lambda a: [v["Key"] for v in a["Versions"]] == ["listed/2"])),
                            ({"VersionIdMarker": "null"}, "InvalidArgument")], **PAYER},
    "ListMultipartUploads": {
        "EncodingType": [({"EncodingType": "url"}, answers(lambda a: a["EncodingType"] == "url"))],
        "KeyMarker": [({"KeyMarker": "zzz"}, answers(lambda a: "Uploads" not in a))],
        "MaxUploads": [({"MaxUploads": 1}, answers(lambda a: a["MaxUploads"] == 1))],
        "Prefix": [({"Prefix": "zzz"}, answers(lambda a: "Uploads" not in a))],
        "UploadIdMarker": [({"KeyMarker": "zzz", "UploadIdMarker": "1"},
                            answers(lambda a: "Uploads" not in a))],
        "Delimiter": [({"Delimiter": "/"}, answers(lambda a: a["Delimiter"] == "/"))], **PAYER},
    "DeleteObjects": {
        "ChecksumAlgorithm": [({"ChecksumAlgorithm": "SHA1"}, answers(lambda a: len(a["Deleted"]) == 1)),
                              ({"header x-amz-sdk-checksum-algorithm": "XXHASH3"}, "NotImplemented")],
        "Delete.Quiet": [({"Delete": {"Quiet": True, "Objects": [{"Key": "none"}]}},
                          answers(lambda a: "Deleted" not in a))],
        "Delete.Objects.Key": [({"Delete": {"Objects": [{"Key": "none"}]}},
                                answers(lambda a: a["Deleted"][0]["Key"] == "none"))],
        "Delete.Objects.VersionId": [
            ({"Delete": {"Objects": [{"Key": "listed/1", "VersionId": "v"}]}},
             answers(lambda a: a["Errors"][0]["Code"] == "NoSuchVersion"))],
        "Delete.Objects.ETag": [
            ({"Delete": {"Objects": [{"Key": "listed/1", "ETag": MISMATCH}]}},
             answers(lambda a: a["Errors"][0]["Code"] == "PreconditionFailed"))], **PAYER},
    "GetObject": {**READ, **PART}, "HeadObject": HEAD,
    "GetBucketAcl": {}, "PutBucketAcl": {
        "ACL": [({"ACL": "private"}, answers(bool)), ({"ACL": "public-read"}, "NotImplemented")],
        "ContentMD5": [({"ContentMD5": md5(b"other")}, "BadDigest")],
        "ChecksumAlgorithm": [({"ChecksumAlgorithm": "SHA1"}, answers(bool))]},
    "GetObjectAcl": {"VersionId": [({"VersionId": "v"}, "NoSuchVersion")], **PAYER},
    "PutObjectAcl": {
        "ACL": [({"ACL": "private"}, answers(bool)), ({"ACL": "public-read"}, "NotImplemented")],
        "ContentMD5": [({"ContentMD5": md5(b"other")}, "BadDigest")],
        "ChecksumAlgorithm": [({"ChecksumAlgorithm": "SHA1"}, answers(bool))], **PAYER},
    "GetObjectAttributes": {
        "VersionId": [({"VersionId": "v"}, "NoSuchVersion")],
        "MaxParts": [({"MaxParts": 1}, answers(lambda a: a["ObjectSize"] == len(BODY)))],
        "PartNumberMarker": [({"PartNumberMarker": 1}, answers(lambda a: "ETag" in a))], **PAYER},
    "PutObject": {**written(after), **checked(), **WRITE_IF, **PAYER,
                  "ContentLength": [({"ContentLength": len(BODY)},
                                     after(lambda o: o["ContentLength"] == len(BODY)))]},
    "CopyObject": {
        **{name: [({"MetadataDirective": "REPLACE", "TaggingDirective": "REPLACE", **change}, seen)
                  for change, seen in cases] for name, cases in written(after).items()},
        **WRITE_IF, **PAYER,
        "MetadataDirective": [({"MetadataDirective": "REPLACE"}, after(lambda o: o["Metadata"] == {})),
                              ({"MetadataDirective": "COPY", "Metadata": {"n": "v"}},
                               after(lambda o: o["Metadata"] == {"old": "1"})),
                              ({"MetadataDirective": "OTHER"}, "NotImplemented")],
        "TaggingDirective": [({"TaggingDirective": "REPLACE"}, after(lambda o: "TagCount" not in o)),
                             ({"TaggingDirective": "OTHER"}, "NotImplemented")],
        **SOURCE_IF},
    "DeleteObject": {"VersionId": [({"VersionId": "v"}, "NoSuchVersion")],
                     "IfMatch": [({"IfMatch": MISMATCH}, "PreconditionFailed")], **PAYER},
    "GetObjectTagging": {"VersionId": [({"VersionId": "v"}, "NoSuchVersion")], **PAYER},
    "PutObjectTagging": {
        "ContentMD5": [({"ContentMD5": md5(b"other")}, "BadDigest")],
        "ChecksumAlgorithm": [({"ChecksumAlgorithm": "SHA1"}, answers(bool)),
                              ({"header x-amz-sdk-checksum-algorithm": "SHA512"}, "NotImplemented")],
        "Tagging.TagSet.Key": [({}, after(lambda o: o["TagCount"] == 1))],
        "Tagging.TagSet.Value": [({"Tagging": {"TagSet": [{"Key": "e", "Value": "é"}]}},
                                  lambda state, params, answer: state.s3.get_object_tagging(
                                      Bucket=params["Bucket"], Key=params["Key"])["TagSet"]
                                  == [{"Key": "e", "Value": "é"}])], **PAYER},
    "DeleteObjectTagging": {},
    "CreateMultipartUpload": {
        **written(of_upload), **PAYER,
        "ChecksumAlgorithm": [({"ChecksumAlgorithm": "SHA1"}, of_upload(bool)),
                              ({"ChecksumAlgorithm": "MD5"}, "NotImplemented")],
        "ChecksumType": [({"ChecksumAlgorithm": "CRC32", "ChecksumType": "FULL_OBJECT"}, of_upload(bool)),
                         ({"ChecksumAlgorithm": "SHA1", "ChecksumType": "FULL_OBJECT"},
                          "InvalidRequest"),
                         ({"ChecksumAlgorithm": "CRC32", "ChecksumType": "OTHER"}, "NotImplemented")]},
    "UploadPart": {**checked(), **PAYER,
                   "ContentLength": [({"ContentLength": len(BODY)}, answers(bool))]},
    "UploadPartCopy": {
        **SOURCE_IF,
        "CopySourceRange": [({"CopySourceRange": "bytes=0-3"},
                             lambda state, params, answer: state.s3.list_parts(
                                 Bucket=BUCKET, Key=params["Key"], UploadId=params["UploadId"])
                             ["Parts"][0]["Size"] == 4)], **PAYER},
    "ListParts": {"MaxParts": [({"MaxParts": 3}, answers(lambda a: a["MaxParts"] == 3))],
                  "PartNumberMarker": [({"PartNumberMarker": 7},
                                        answers(lambda a: a["PartNumberMarker"] == 7))], **PAYER},
    "CompleteMultipartUpload": {
        **PAYER,
        **{f"Checksum{name}": [({f"Checksum{name}": sums(b"only")[name], "ChecksumType": "FULL_OBJECT"},
                                answers(bool)),
                               ({f"Checksum{name}": sums(b"other")[name],
                                 "ChecksumType": "FULL_OBJECT"}, "BadDigest")]
           for name in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256")},
        "ChecksumType": [({"ChecksumCRC32": sums(b"only")["CRC32"], "ChecksumType": "COMPOSITE"},
                          "InvalidRequest")],
        "MpuObjectSize": [({"MpuObjectSize": 4}, answers(bool)), ({"MpuObjectSize": 5}, "InvalidRequest")],
        "IfMatch": [({"IfMatch": MISMATCH}, ("PreconditionFailed", "NoSuchKey"))],
        "IfNoneMatch": [({"IfNoneMatch": "*"}, answers(bool))],
        "MultipartUpload.Parts.PartNumber": [
            ({"MultipartUpload": {"Parts": [{"PartNumber": 2, "ETag": MISMATCH}]}}, "InvalidPart")],
        "MultipartUpload.Parts.ETag": [
            ({"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": MISMATCH}]}}, "InvalidPart")]},
    "AbortMultipartUpload": PAYER,
}

# What is refused of operations that are here. `…` means all that begin so.
CUSTOMER_KEY = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
SOURCE_KEY = ("CopySourceSSECustomerAlgorithm", "CopySourceSSECustomerKey",
              "CopySourceSSECustomerKeyMD5")
GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWriteACP")
LOCKED = ("ObjectLockMode", "ObjectLockRetainUntilDate", "ObjectLockLegalHoldStatus")
ENCRYPTED = ("ServerSideEncryption", "SSEKMSKeyId", "SSEKMSEncryptionContext", "BucketKeyEnabled",
             *CUSTOMER_KEY)
OWNER = "ExpectedBucketOwner"
POLICY = tuple(f"AccessControlPolicy.{field}" for field in (
    "Grants.Grantee.DisplayName", "Grants.Grantee.EmailAddress", "Grants.Grantee.ID",
    "Grants.Grantee.Type", "Grants.Grantee.URI", "Grants.Permission", "Owner.DisplayName", "Owner.ID"))
REFUSED = {
    "GetBucketAcl": {OWNER}, "GetObjectAcl": {OWNER},
    "PutBucketAcl": {OWNER, *GRANTS, "GrantWrite", *POLICY},
    "PutObjectAcl": {OWNER, *GRANTS, "GrantWrite", "VersionId", *POLICY},
    "GetObjectAttributes": {OWNER, *CUSTOMER_KEY},
    "HeadBucket": {OWNER}, "DeleteBucket": {OWNER}, "GetBucketLocation": {OWNER},
    "GetBucketVersioning": {OWNER}, "PutBucketVersioning": {OWNER, "MFA"},
    "CreateBucket": {*GRANTS, "GrantWrite", "CreateBucketConfiguration.Location.Type",
                     "CreateBucketConfiguration.Location.Name",
                     "CreateBucketConfiguration.Bucket.DataRedundancy",
                     "CreateBucketConfiguration.Bucket.Type", "CreateBucketConfiguration.Tags.Key",
                     "CreateBucketConfiguration.Tags.Value"},
    "ListObjects": {OWNER, "OptionalObjectAttributes"},
    "ListObjectsV2": {OWNER, "OptionalObjectAttributes"},
    "ListObjectVersions": {OWNER, "OptionalObjectAttributes"},
    "ListMultipartUploads": {OWNER},
    "DeleteObjects": {OWNER, "MFA", "BypassGovernanceRetention", "Delete.Objects.LastModifiedTime",
                      "Delete.Objects.Size"},
    "GetObject": {OWNER, *CUSTOMER_KEY}, "HeadObject": {OWNER, *CUSTOMER_KEY},
    "PutObject": {OWNER, "WriteOffsetBytes", *GRANTS, *LOCKED, *ENCRYPTED},
    "CopyObject": {OWNER, "ExpectedSourceBucketOwner", "ChecksumAlgorithm", *GRANTS, *LOCKED,
                   *ENCRYPTED, *SOURCE_KEY},
    "DeleteObject": {OWNER, "MFA", "BypassGovernanceRetention", "IfMatchLastModifiedTime",
                     "IfMatchSize"},
    "GetObjectTagging": {OWNER}, "PutObjectTagging": {OWNER, "VersionId"},
    "DeleteObjectTagging": {OWNER, "VersionId"},
    "CreateMultipartUpload": {OWNER, *GRANTS, *LOCKED, *ENCRYPTED},
    "UploadPart": {OWNER, *CUSTOMER_KEY},
    "UploadPartCopy": {OWNER, "ExpectedSourceBucketOwner", *CUSTOMER_KEY, *SOURCE_KEY},
    "ListParts": {OWNER, *CUSTOMER_KEY}, "CompleteMultipartUpload": {OWNER, *CUSTOMER_KEY},
    "AbortMultipartUpload": {OWNER, "IfMatchInitiatedTime"},
}
# Operations that are not here at all: whatever they are asked with.
ABSENT = """
    CreateBucketMetadataConfiguration CreateBucketMetadataTableConfiguration CreateSession
    DeleteBucketAnalyticsConfiguration DeleteBucketCors DeleteBucketEncryption
    DeleteBucketIntelligentTieringConfiguration DeleteBucketInventoryConfiguration DeleteBucketLifecycle
    DeleteBucketMetadataConfiguration DeleteBucketMetadataTableConfiguration
    DeleteBucketMetricsConfiguration DeleteBucketOwnershipControls DeleteBucketPolicy
    DeleteBucketReplication DeleteBucketTagging DeleteBucketWebsite DeletePublicAccessBlock
    GetBucketAbac GetBucketAccelerateConfiguration GetBucketAnalyticsConfiguration GetBucketCors
    GetBucketEncryption GetBucketIntelligentTieringConfiguration GetBucketInventoryConfiguration
    GetBucketLifecycle GetBucketLifecycleConfiguration GetBucketLogging GetBucketMetadataConfiguration
    GetBucketMetadataTableConfiguration GetBucketMetricsConfiguration GetBucketNotification
    GetBucketNotificationConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
    GetBucketReplication GetBucketRequestPayment GetBucketTagging GetBucketWebsite
    GetObjectLegalHold GetObjectLockConfiguration GetObjectRetention GetObjectTorrent
    GetPublicAccessBlock ListBucketAnalyticsConfigurations ListDirectoryBuckets ListBucketIntelligentTieringConfigurations
    ListBucketInventoryConfigurations ListBucketMetricsConfigurations PutBucketAbac
    PutBucketAccelerateConfiguration PutBucketAnalyticsConfiguration PutBucketCors
    PutBucketEncryption PutBucketIntelligentTieringConfiguration PutBucketInventoryConfiguration
    PutBucketLifecycle PutBucketLifecycleConfiguration PutBucketLogging PutBucketMetricsConfiguration
    PutBucketNotification PutBucketNotificationConfiguration PutBucketOwnershipControls PutBucketPolicy
    PutBucketReplication PutBucketRequestPayment PutBucketTagging PutBucketWebsite
    PutObjectLegalHold PutObjectLockConfiguration PutObjectRetention PutPublicAccessBlock RenameObject
    RestoreObject SelectObjectContent UpdateBucketMetadataInventoryTableConfiguration
    UpdateBucketMetadataJournalTableConfiguration UpdateObjectEncryption WriteGetObjectResponse""".split()


# Signed for another service than s3.
ELSEWHERE = dict.fromkeys(["ListDirectoryBuckets", "WriteGetObjectResponse"],
                          "AuthorizationHeaderMalformed")


# The model.

def leaves(shape, path: str) -> list[str]:
    """The fields of what goes in a body, "Delete.Objects.Key"."""
    if shape.type_name == "list":
        return leaves(shape.member, path)
    if shape.type_name != "structure":
        return [path]
    return [leaf for name, member in shape.members.items() for leaf in leaves(member, f"{path}.{name}")]


def parameters(model) -> set[str]:
    """What the operation can be asked with, but for what every one of them needs."""
    if model.input_shape is None:
        return set()
    found = set()
    for name, member in model.input_shape.members.items():
        place = member.serialization.get("location")
        if place == "uri" or (place and name in model.input_shape.required_members):
            continue
        found.update([name] if place else leaves(member, name))
    return found - {"Body"}


def sample(shape, depth: int = 0):
    kind = shape.type_name
    if kind == "structure":
        return {name: sample(member, depth + 1) for name, member in shape.members.items()
                if name in shape.required_members or (depth < 3 and not shape.required_members)}
    return {"list": lambda: [sample(shape.member, depth + 1)], "map": lambda: {"key": "value"},
            "timestamp": lambda: OLD, "boolean": lambda: True, "integer": lambda: 1,
            "long": lambda: 1, "blob": lambda: b"x", "float": lambda: 1.0}.get(
                kind, lambda: shape.enum[0] if getattr(shape, "enum", None) else "111122223333")()


def put_in(params: dict, path: str, shape) -> dict:
    """`params` with a sample for one parameter."""
    params = dict(params)
    name, _, rest = path.partition(".")
    member = shape.members[name]
    if not rest:
        params[name] = sample(member)
    elif member.type_name == "list":
        there = params.get(name) or [{}]
        params[name] = [put_in(there[0], rest, member.member), *there[1:]]
    else:
        params[name] = put_in(params.get(name, {}), rest, member)
    return params


# Asking.

class Asker:
    def __init__(self, s3, root):
        self.s3, self.root, self.count = s3, root, 0
        self.extra = None  # Put into the next request: ("query" or "header", name, value).
        s3.meta.events.register("before-sign.s3", self.add)
        self.methods = {s3.meta.method_to_api_mapping[name]: getattr(s3, name)
                        for name in s3.meta.method_to_api_mapping}

    def add(self, request, **_):
        if self.extra is None:
            return
        kind, name, value = self.extra
        if kind == "header":
            del request.headers[name]
            request.headers[name] = value
        else:
            request.url += ("&" if "?" in request.url else "?") + name

    def ask(self, operation: str, params: dict):
        """The answer, or the code of the error."""
        self.count += 1
        try:
            return self.methods[operation](**params)
        except ClientError as error:
            return error.response["Error"]["Code"]

    def snapshot(self):
        """Everything in the folder that is served."""
        found = {}
        for folder, _, files in os.walk(self.root):
            found[folder] = None
            for file in files:
                status = os.stat(os.path.join(folder, file))
                found[os.path.join(folder, file)] = (status.st_size, status.st_mtime_ns, status.st_ino)
        return found

    def refuses(self, operation: str, params: dict, what: str) -> None:
        before = self.snapshot()
        answer = self.ask(operation, params)
        check(answer in ("NotImplemented", "501") or answer == ELSEWHERE.get(operation),
              f"{operation} with {what} is not refused: {answer}")
        check(self.snapshot() == before, f"{operation} with {what} is refused, and had an effect")


def here(asker: Asker, state: State, name: str, model) -> None:
    carried, refused = CARRIED[name], REFUSED.get(name, set())
    known = set(carried) | refused | {
        leaf for leaf in parameters(model) if leaf.startswith("MultipartUpload.Parts.Checksum")}
    unknown = parameters(model) - known
    check(not unknown, f"{name}: neither carried out nor refused here: {sorted(unknown)}")
    check(not set(carried) & refused, f"{name}: both: {sorted(set(carried) & refused)}")
    check(known <= parameters(model), f"{name}: the model has no {sorted(known - parameters(model))}")

    start = STARTS[name](state)
    for parameter in sorted(refused):
        asker.refuses(name, put_in(start, parameter, model.input_shape), parameter)
    for extra in (("query", "nosuchthing", ""), ("query", "policy", ""), ("header", "if-range", "x"),
                  ("header", "x-amz-nosuchthing", "1"), ("header", "x-amz-mfa", "1")):
        asker.extra = extra
        asker.refuses(name, start, " ".join(extra))
        asker.extra = None
    if name in WITHOUT_EFFECT:
        asker.refuses(name, start, "nothing more: a folder keeps no versions")
    else:
        answer = asker.ask(name, start)
        check(not isinstance(answer, str), f"{name} itself fails: {answer}")
    for parameter, cases in carried.items():
        for change, expected in cases:
            # What botocore itself would not send: "header NAME".
            raw = [key for key in change if key.startswith("header ")]
            params = {**STARTS[name](state), **{k: v for k, v in change.items() if k not in raw}}
            asker.extra = ("header", raw[0].split()[1], change[raw[0]]) if raw else None
            answer = asker.ask(name, params)
            asker.extra = None
            shown = {key: value for key, value in change.items() if key != "Body"}
            if callable(expected):
                check(not isinstance(answer, str), f"{name} with {shown} fails: {answer}")
                check(expected(state, params, answer), f"{name} with {shown} has no effect: {answer}")
            else:
                codes = expected if isinstance(expected, tuple) else (expected,)
                check(answer in codes, f"{name} with {shown}: {answer}, not {codes}")


def absent(asker: Asker, name: str, model) -> None:
    shape = model.input_shape
    required = {member: sample(shape.members[member]) for member in shape.required_members}
    required |= {key: value for key, value in (("Bucket", BUCKET), ("Key", "listed/1"))
                 if key in shape.members}
    asker.refuses(name, required, "what it needs")
    for member in shape.members:
        if member not in required:
            asker.refuses(name, required | {member: sample(shape.members[member])}, member)


def part_checksums(state: State, asker: Asker) -> None:
    """Checksums of parts in CompleteMultipartUpload are compared with those that the parts had."""
    for name in ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"):
        params = state.parts(name)
        wrong = {**params, "MultipartUpload": {"Parts": [
            {**params["MultipartUpload"]["Parts"][0], f"Checksum{name}": sums(b"other")[name]}]}}
        check(asker.ask("CompleteMultipartUpload", wrong) == "InvalidPart", f"a wrong {name} is taken")
        digest = base64.b64decode(sums(b"only")[name])
        if name != "CRC64NVME":  # Never one of checksums.
            composite = sums(digest)[name] + "-1"
            wrong = {**params, f"Checksum{name}": sums(b"other")[name] + "-1"}
            check(asker.ask("CompleteMultipartUpload", wrong) == "BadDigest", f"a wrong {name}-1 is taken")
            params = {**params, f"Checksum{name}": composite}
        answer = asker.ask("CompleteMultipartUpload", params)
        check(not isinstance(answer, str), f"the right {name} is not taken: {answer}")


def twice(asker: Asker) -> None:
    """A parameter that is there twice says two things."""
    asker.extra = ("query", "versionId=a&versionId=b", "")
    check(asker.ask("GetObject", {"Bucket": BUCKET, "Key": "listed/1"}) == "InvalidArgument",
          "a version is asked for twice")
    asker.extra = None


def main() -> None:
    with World("gateway-operations") as world:
        server = world.serve("gateway")
        s3 = boto3.client(
            "s3", endpoint_url=server.endpoint, region_name=REGION, aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=botocore.config.Config(
                signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 0},
                parameter_validation=False, inject_host_prefix=False,
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required"))
        s3.create_bucket(Bucket=BUCKET)
        for key in ("listed/1", "listed/2"):
            s3.put_object(Bucket=BUCKET, Key=key, Body=BODY)
        state, asker = State(s3), Asker(s3, server.folder)
        service = s3.meta.service_model
        operations = set(service.operation_names)
        unknown = operations - set(CARRIED) - set(ABSENT)
        check(not unknown, f"neither carried out nor refused here: {sorted(unknown)}")
        for name in sorted(operations):
            model = service.operation_model(name)
            if name in CARRIED:
                here(asker, state, name, model)
            else:
                absent(asker, name, model)
        part_checksums(state, asker)
        twice(asker)
        step(f"{len(operations)} operations, {asker.count} requests")


if __name__ == "__main__":
    main()
