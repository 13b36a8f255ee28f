"""mail_server.py: a mail server for tests: STARTTLS, AUTH PLAIN, and what it was given."""

import base64
import email
import email.message
import email.policy
import pathlib
import socket
import ssl
import threading


class MailServer:
    """Takes messages of one user, by TLS alone; the first one only at the second try."""

    def __init__(self, certificate: pathlib.Path, key: pathlib.Path, user: str, password: str):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(certificate, key)
        self.login = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        self.taken: list[email.message.EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.refused = 0
        self.hangs = False  # Takes connections and says nothing.
        self.asked = 0
        self.in_the_clear: list[str] = []  # Whatever came so, but for EHLO and STARTTLS.
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(60)
            self.asked += 1
            if self.hangs:
                connection.recv(1)
                return
            connection.sendall(b"220-mail.test\r\n220 ready\r\n")
            if self.talk(connection, False) == "STARTTLS":
                connection.sendall(b"220 go on\r\n")
                self.talk(self.tls.wrap_socket(connection, server_side=True), True)
        except OSError:
            pass  # The client has its own word on it.
        finally:
            connection.close()

    def talk(self, connection: socket.socket, secure: bool) -> str:
        known, recipients = False, []
        lines = connection.makefile("rb")
        while line := lines.readline().decode().rstrip("\r\n"):
            word = line.split(" ")[0].upper()
            answer = "250 yes"
            if not secure and word not in ("EHLO", "STARTTLS", "QUIT"):
                self.in_the_clear.append(line)
                answer = "530 by TLS alone"
            elif word == "EHLO":
                answer = "250-mail.test\r\n250 AUTH LOGIN PLAIN" if secure else \
                    "250-mail.test\r\n250-SIZE 1000000\r\n250 STARTTLS"
            elif word == "STARTTLS":
                return word
            elif word == "AUTH":
                known = line == f"AUTH PLAIN {self.login}"
                answer = "235 welcome" if known else "535 no"
            elif not known and word != "QUIT":
                answer = "530 who are you?"
            elif word == "RCPT":
                recipients.append(line[len("RCPT TO:<"):-1])
            elif word == "DATA":
                connection.sendall(b"354 go on\r\n")
                body = b""
                while (part := lines.readline()) != b".\r\n":
                    body += part
                if self.refused == 0:
                    self.refused, answer = 1, "451 not now"
                else:
                    self.taken.append(email.message_from_bytes(body, policy=email.policy.default))
                    self.recipients.append(recipients)
            elif word == "QUIT":
                connection.sendall(b"221 bye\r\n")
                return word
            connection.sendall(answer.encode() + b"\r\n")
        return ""
