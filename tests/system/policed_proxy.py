"""An HTTP proxy in front of an S3 server, or of other services of AWS, that enforces policies of IAM.

The servers here know no such policies, or not all of them. What an operation needs is written down
here anew, from "Required permissions for Amazon S3 API operations" of the S3 User Guide.
"""

import email.utils
import http.client
import http.server
import json
import re
import socketserver
import threading
import time
import urllib.parse
import xml.etree.ElementTree

from harness import free_port

ACCOUNT = "111122223333"
REGION = "us-east-1"
# Headers of an object's lock, and what it takes to see or set them.
LOCK_RIGHTS = (("x-amz-object-lock-mode", "ObjectRetention"),
               ("x-amz-object-lock-retain-until-date", "ObjectRetention"),
               ("x-amz-object-lock-legal-hold", "ObjectLegalHold"))


def like(pattern: str, text: str) -> bool:
    """StringLike, and the patterns of actions and resources."""
    regex = ""
    for part in re.findall(r"\$\{[*?$]\}|.", pattern, re.DOTALL):
        regex += (re.escape(part[2]) if len(part) > 1 else ".*" if part == "*"
                  else "." if part == "?" else re.escape(part))
    return re.fullmatch(regex, text, re.DOTALL) is not None


def allows(policy: dict, action: str, resource: str, context: dict[str, str]) -> bool:
    for statement in policy["Statement"]:
        if not any(like(one.lower(), action.lower()) for one in statement["Action"]):
            continue
        if not any(like(one, resource) for one in statement["Resource"]):
            continue
        holds = True
        for operator, keys in statement.get("Condition", {}).items():
            for key, patterns in keys.items():
                if operator == "StringLikeIfExists" and key not in context:
                    continue
                assert operator in ("StringLike", "StringLikeIfExists"), operator
                holds = holds and key in context and any(like(p, context[key]) for p in patterns)
        if holds:
            return True
    return False


def rights_of_write(headers, resource: str) -> list[tuple[str, str, dict]]:
    rights = [("s3:PutObject", resource, {})]
    if headers.get("x-amz-tagging"):
        rights.append(("s3:PutObjectTagging", resource, {}))
    if headers.get("x-amz-acl"):
        rights.append(("s3:PutObjectAcl", resource, {}))
    for header, action in LOCK_RIGHTS:
        if headers.get(header):
            rights.append((f"s3:Put{action}", resource, {}))
    if headers.get("If-Match"):
        rights.append(("s3:GetObject", resource, {}))
    if key := headers.get("x-amz-server-side-encryption-aws-kms-key-id"):
        rights.append(("kms:GenerateDataKey", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/{key}", {}))
    if source := headers.get("x-amz-copy-source"):
        path, _, version = source.partition("?versionId=")
        rights.append(("s3:GetObjectVersion" if version else "s3:GetObject",
                       "arn:aws:s3:::" + urllib.parse.unquote(path).lstrip("/"), {}))
    return rights


def rights_of_s3(method: str, target: str, headers, body: bytes) -> list[tuple[str, str, dict]]:
    """What a request needs: actions, resources and the keys of conditions."""
    path, _, query_text = target.partition("?")
    query = dict(urllib.parse.parse_qsl(query_text, keep_blank_values=True))
    bucket, _, key = urllib.parse.unquote(path).lstrip("/").partition("/")
    of_bucket, resource = f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/{key}"
    version = "Version" if "versionId" in query else ""
    if not key:
        prefix = {"s3:prefix": query["prefix"]} if "prefix" in query else {}
        if method == "POST":
            names = [found.text for found in xml.etree.ElementTree.fromstring(body).iter()
                     if found.tag.endswith("Key")]
            return [("s3:DeleteObject", f"{of_bucket}/{name}", {}) for name in names]
        for name, action in (("versioning", "s3:GetBucketVersioning"),
                             ("uploads", "s3:ListBucketMultipartUploads"),
                             ("versions", "s3:ListBucketVersions")):
            if name in query:
                return [(action, of_bucket, prefix if name == "versions" else {})]
        return [("s3:ListBucket", of_bucket, prefix)]
    for name, action in (("retention", "ObjectRetention"), ("legal-hold", "ObjectLegalHold")):
        if name in query:
            return [(f"s3:{'Get' if method == 'GET' else 'Put'}{action}", resource, {})]
    if "tagging" in query:
        word = "Get" if method == "GET" else "Put"
        return [(f"s3:{word}Object{version}Tagging", resource, {})]
    if method in ("GET", "HEAD"):
        if "uploadId" in query:
            return [("s3:ListMultipartUploadParts", resource, {})]
        return [(f"s3:GetObject{version}", resource, {})]
    if method == "DELETE":
        return [("s3:AbortMultipartUpload" if "uploadId" in query
                 else f"s3:DeleteObject{version}", resource, {})]
    return rights_of_write(headers, resource)


def rights_of_json(headers, body: bytes) -> list[tuple[str, str, dict]]:
    target, operation = headers["X-Amz-Target"].split(".")
    fields = json.loads(body)
    if target == "AmazonSQS":
        name = fields.get("QueueName") or fields["QueueUrl"].rsplit("/", 1)[1]
        return [("sqs:" + operation.removesuffix("Batch"), f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
                 {})]
    for service, operation_name, field, arn in (
            ("secretsmanager", "GetSecretValue", "SecretId", "secret:{}-aaaaaa"),
            ("ssm", "GetParameter", "Name", "parameter/{}")):
        if operation == operation_name:
            name = arn.format(fields[field].lstrip("/"))
            return [(f"{service}:{operation}", f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}", {})]
    action = "BatchGetItem" if operation == "BatchGetItem" else operation
    table = fields.get("TableName") or next(iter(fields["RequestItems"]))
    return [("dynamodb:" + action, f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}", {})]


def rights_of_form(body: bytes) -> list[tuple[str, str, dict]]:
    """Of STS."""
    fields = dict(urllib.parse.parse_qsl(body.decode()))
    return [("sts:" + fields["Action"], fields["RoleArn"], {})]


class PolicedProxy:
    """`policy`: what is allowed; None: all. `denied`: actions and resources that were refused.
    `ahead`: so many seconds its clock is ahead of this machine's."""

    def __init__(self, endpoint: str):
        self.upstream = urllib.parse.urlsplit(endpoint).netloc
        self.policy: dict | None = None
        self.ahead = 0
        self.denied: list[tuple[str, str]] = []
        self.used: set[str] = set()
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # Else an answer's body waits for the ACK of its head.

            def log_message(self, *_):
                pass

            def handle_one(self):
                proxy.carry(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_one

        class Listener(socketserver.ThreadingMixIn, http.server.HTTPServer):
            daemon_threads = True

        self.server = Listener(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def refused(self, rights) -> tuple[str, str] | None:
        for action, resource, context in rights:
            if self.policy is not None and not allows(self.policy, action, resource, context):
                self.denied.append((action, resource))
                return action, resource
            self.used.add(action)
        return None

    def hidden(self, header: str, rights) -> bool:
        """Who may not see a lock is shown the object as if it had none, and is told nothing."""
        for name, action in LOCK_RIGHTS:
            if header.lower() == name and self.policy is not None:
                return not allows(self.policy, f"s3:Get{action}", rights[0][1], {})
        return False

    def carry(self, request) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        is_json = "X-Amz-Target" in request.headers
        form = request.headers.get("Content-Type", "").startswith("application/x-www-form")
        rights = (rights_of_json(request.headers, body) if is_json
                  else rights_of_form(body) if form
                  else rights_of_s3(request.command, request.path, request.headers, body))
        if found := self.refused(rights):
            return self.deny(request, found, is_json, form)
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        connection.putrequest(request.command, request.path, skip_host=True,
                              skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in ("connection", "expect"):
                connection.putheader(name, value)
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status == 404 and not is_json and rights[0][0] in (
                "s3:GetObject", "s3:GetObjectVersion"):
            # Whether a key is there is told only to who may list.
            bucket = rights[0][1].split("/")[0]
            if found := self.refused([("s3:ListBucket", bucket, {})]):
                return self.deny(request, found, is_json)
        request.send_response_only(answer.status)
        length = str(len(content))
        for name, value in answer.getheaders():
            if name.lower() == "date" and self.ahead:
                value = email.utils.formatdate(time.time() + self.ahead, usegmt=True)
            if name.lower() == "content-length" and request.command == "HEAD":
                length = value
            elif not is_json and self.hidden(name, rights):
                continue
            elif name.lower() not in ("transfer-encoding", "content-length", "connection"):
                request.send_header(name, value)
        if answer.status != 204:
            request.send_header("Content-Length", length)
        request.end_headers()
        request.wfile.write(content)
        connection.close()

    def deny(self, request, what: tuple[str, str], is_json: bool, form: bool = False) -> None:
        message = f"User is not authorized to perform: {what[0]} on resource: {what[1]}"
        if is_json:
            body = json.dumps({"__type": "com.amazon.coral.service#AccessDeniedException",
                               "message": message}).encode()
        elif form:
            body = (f"<ErrorResponse xmlns='https://sts.amazonaws.com/doc/2011-06-15/'><Error>"
                    f"<Type>Sender</Type><Code>AccessDenied</Code><Message>{message}</Message>"
                    "</Error></ErrorResponse>").encode()
        else:
            body = (f"<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>{message}"
                    "</Message></Error>").encode()
        if request.command == "HEAD":
            body = b""
        request.send_response(400 if is_json else 403)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)
