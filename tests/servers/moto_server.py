"""moto_server.py PORT: moto, with DynamoDB and SQS one request at a time.

Moto serves requests in threads and reads and writes its items and queues without a lock, so that two
who add at once may count as one, and two who receive at once get the same message: what DynamoDB
never does, and SQS seldom. A long poll waits outside its turn, so that others can send.
"""

import sys
import threading
import time

from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from moto.sqs.models import SQSBackend
from werkzeug.serving import run_simple

app = DomainDispatcherApplication(create_backend_app)
lock = threading.Lock()
receive_now = SQSBackend.receive_message


def receive_in_turns(self, queue_name, count, wait_seconds_timeout, *args, **kwargs):
    """Called in its turn: gives the turn away between two looks at the queue."""
    until = time.monotonic() + wait_seconds_timeout
    while True:
        messages = receive_now(self, queue_name, count, 0, *args, **kwargs)
        if messages or time.monotonic() >= until:
            return messages
        lock.release()
        try:
            time.sleep(0.05)
        finally:
            lock.acquire()


SQSBackend.receive_message = receive_in_turns


def in_turn(environ, start_response):
    if not environ.get("HTTP_X_AMZ_TARGET", "").startswith(("DynamoDB", "AmazonSQS")):
        return app(environ, start_response)
    with lock:
        return app(environ, start_response)


run_simple("127.0.0.1", int(sys.argv[1]), in_turn, threaded=True, request_handler=MotoRequestHandler)
