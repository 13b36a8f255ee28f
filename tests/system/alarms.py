"""alarms.py: `alarms:` tells a webhook, a mail server and a topic of SNS once that objects are parked,
and once that it is over.

Without it: an alarm might never leave a process, come again with each restart, or never end; a server
that never answers might keep a process that is told to end; and a password might go over the wire
before TLS, or into a log.
"""

import http.server
import json
import signal
import socket
import threading
import time

import boto3
from harness import (ACCESS_KEY_ID, REGION, SECRET_ACCESS_KEY, World, check, free_port, make_buckets,
                     put_all, rule, step, things, wait_until)
from https import make_certificate
from mail_server import MailServer

PASSWORD = "open-sesame-of-mail"


class Hook:
    """Takes messages; the first one only at the second try."""

    def __init__(self):
        self.taken: list[dict] = []
        self.refused = 0
        self.hanging = threading.Event()  # Set: whoever asks gets no answer.
        self.asked = 0
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                hook.asked += 1
                if hook.hanging.is_set():
                    self.rfile.read(1)  # Until the other side is gone.
                    return
                fails = hook.refused == 0
                if fails:
                    hook.refused += 1
                else:
                    hook.taken.append(body)
                self.send_response(503 if fails else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.port = free_port()
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Silence:
    """Takes connections and never answers."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.taken: list[socket.socket] = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            self.taken.append(self.listener.accept()[0])


class Topic:
    """A topic of SNS with a queue behind it, which says what has been said."""

    def __init__(self, endpoint: str):
        def client(service):
            return boto3.client(service, endpoint_url=endpoint, region_name=REGION,
                                aws_access_key_id=ACCESS_KEY_ID,
                                aws_secret_access_key=SECRET_ACCESS_KEY)

        sns, self.sqs = client("sns"), client("sqs")
        self.arn = sns.create_topic(Name="alarms")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="told")["QueueUrl"]
        queue_arn = self.sqs.get_queue_attributes(
            QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sns.subscribe(TopicArn=self.arn, Protocol="sqs", Endpoint=queue_arn)
        self.seen: list[dict] = []

    def said(self) -> list[dict]:
        answer = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            self.seen.append(json.loads(message["Body"]))
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return self.seen


def main() -> None:
    with World("alarms") as world:
        source = world.serve("versitygw", "source")
        target = world.serve("minio", "target")
        make_buckets(source, target)
        put_all(source.s3, "data", things(5))
        # What minio can hold only where no object "beside/a" is.
        target.s3.put_object(Bucket="copy", Key="beside/a", Body=b"somebody's")
        source.s3.put_object(Bucket="data", Key="beside/a/b", Body=b"hidden")
        hook = Hook()
        certificate, key = make_certificate(world.work, "mail")
        mail = MailServer(certificate, key, "longhaul", PASSWORD)
        moto = world.serve("moto")
        topic = Topic(moto.endpoint)
        config = world.config(
            {"source": source, "target": target}, [rule()],
            alarms={"webhook": f"http://127.0.0.1:{hook.port}/secret-path",
                    "email": {"to": ["ops@example.com", "night@example.com"],
                              "from": "longhaul@example.com", "server": f"127.0.0.1:{mail.port}",
                              "username": "longhaul", "password": "${MAIL_PASSWORD}"},
                    "sns": topic.arn})
        environment = {"MAIL_PASSWORD": PASSWORD, "AWS_CA_BUNDLE": str(certificate),
                       "AWS_ENDPOINT_URL_SNS": moto.endpoint}

        def run_until(condition, what: str) -> None:
            process = world.start("replicate", "--config", config, env=environment)
            wait_until(condition, 240, what, every=1)
            process.kill(signal.SIGTERM)
            output = process.wait(60).expect(143)
            said = output.stdout + output.stderr
            for secret in ("secret-path", PASSWORD, mail.login, SECRET_ACCESS_KEY):
                check(secret not in said, "a secret was logged")

        step("the doctor logs in at the mail server, and tells nobody")
        world.run("doctor", config, env=environment).expect(0, f"alarms email 127.0.0.1:{mail.port}")
        world.run("doctor", config, env={**environment, "MAIL_PASSWORD": "something-else"}).expect(
            1, "does not take username and password")
        check(not mail.taken and mail.refused == 0, "the doctor has sent mail")

        step("a process whose messages hang ends all the same")
        silence = Silence()
        hook.hanging.set()
        mail.hangs = True
        asked = mail.asked
        process = world.start("replicate", "--config", config,
                              env={**environment, "AWS_ENDPOINT_URL_SNS": silence.endpoint})
        wait_until(lambda: hook.asked and mail.asked > asked and silence.taken, 240,
                   "all three are asked", every=0.2)
        began = time.monotonic()
        process.kill(signal.SIGTERM)
        ended = process.wait(60).expect(143)
        took = time.monotonic() - began
        check(took < 8, f"it took {took:.1f} s to end")
        for way in ("webhook", "email", "sns"):
            check(any("the next process tells it again" in line and way in line and
                      "parked/main" in line for line in ended.stderr.splitlines()),
                  f"nothing was said of {way}: {ended.stderr[-2000:]}")
        check(not hook.taken and not mail.taken and not topic.said(), "somebody was told")
        hook.hanging.clear()
        mail.hangs = False

        step("an object is parked, and the next process tells it")
        run_until(lambda: hook.taken and mail.taken and topic.said(), "the alarm has been told")
        [alarm] = hook.taken
        check((alarm["alarm"], alarm["state"], alarm["site"]) == ("parked/main", "alarm", "test-1"),
              f"told: {alarm}")
        check(hook.refused == 1 and mail.refused == 1, "what was refused was not tried again")

        step("it is mended while nothing runs")
        target.s3.delete_object(Bucket="copy", Key="beside/a")
        world.run("rules", "retry", "main", "--all", "--config", config, env=environment).expect(0)
        run_until(lambda: len(hook.taken) > 1 and len(mail.taken) > 1 and len(topic.said()) > 1,
                  "its end has been told")
        check([(told["alarm"], told["state"]) for told in hook.taken] ==
              [("parked/main", "alarm"), ("parked/main", "over")], f"told: {hook.taken}")

        step("mail went by TLS to both of them, and so did what SNS was told")
        check(not mail.in_the_clear, f"in the clear: {mail.in_the_clear}")
        check(mail.recipients == [["ops@example.com", "night@example.com"]] * 2,
              f"sent to {mail.recipients}")
        check([one["Subject"] for one in mail.taken] ==
              ["longhaul test-1: parked/main", "longhaul test-1: over: parked/main"],
              f"subjects: {[one['Subject'] for one in mail.taken]}")
        text = mail.taken[0].get_content()
        check("rule main has parked objects" in text and "Since: 20" in text, f"the mail: {text!r}")
        check([one["Subject"] for one in topic.seen] == [one["Subject"] for one in mail.taken],
              f"SNS was told {topic.seen}")
        states = [one["MessageAttributes"]["state"]["Value"] for one in topic.seen]
        check(states == ["alarm", "over"], f"states: {states}")
        step("ok")


if __name__ == "__main__":
    main()
