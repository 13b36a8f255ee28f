"""TLS in front of servers that speak plain HTTP: one nginx, a certificate made here."""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/system"))
from harness import Process, free_port, wait_until  # noqa: E402

# As an object store's front: TLS 1.2 and 1.3, sessions, long keep-alive; bodies are passed on as they
# come and never wait on a disk. It has a quarter of the cores.
CONFIG = """
daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log {folder}/nginx.log warn;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_buffer_size 256k;
  client_body_temp_path {folder}/nginx-body;
  proxy_temp_path {folder}/nginx-proxy;
  fastcgi_temp_path {folder}/nginx-fastcgi;
  uwsgi_temp_path {folder}/nginx-uwsgi;
  scgi_temp_path {folder}/nginx-scgi;
  proxy_http_version 1.1;
  proxy_set_header Connection "";
  proxy_set_header Host $http_host;
  proxy_request_buffering off;
  proxy_buffers 16 64k;
  proxy_buffer_size 64k;
  proxy_busy_buffers_size 256k;
  proxy_max_temp_file_size 0;
  proxy_read_timeout 600s;
  keepalive_requests 1000000;
  ssl_certificate {folder}/certificate.pem;
  ssl_certificate_key {folder}/key.pem;
  ssl_protocols TLSv1.2 TLSv1.3;
  ssl_session_cache shared:sessions:10m;
{servers}
}}
"""
SERVER = """
  upstream server{number} {{ server {upstream}; keepalive 512; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096;
    location / {{ proxy_pass http://server{number}; }}
  }}
"""


class Secure:
    """A server as it is seen through the front."""

    def __init__(self, endpoint: str):
        self.endpoint = endpoint


class TlsFront:
    def __init__(self, folder: pathlib.Path, *endpoints: str):
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.certificate = folder / "certificate.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-days", "2", "-subj", "/CN=bench", "-addext", "subjectAltName=IP:127.0.0.1",
             "-keyout", folder / "key.pem", "-out", self.certificate],
            check=True, capture_output=True)
        ports = [free_port() for _ in endpoints]
        servers = "".join(
            SERVER.format(number=number, port=port, upstream=urllib.parse.urlsplit(endpoint).netloc)
            for number, (endpoint, port) in enumerate(zip(endpoints, ports)))
        config = folder / "nginx.conf"
        config.write_text(CONFIG.format(folder=folder, servers=servers,
                                        workers=max(1, os.cpu_count() // 4)))
        self.process = Process(["-c", str(config), "-p", str(folder)], folder, binary=program)
        self.servers = [Secure(f"https://127.0.0.1:{port}") for port in ports]
        for port in ports:
            wait_until(lambda: self._answers(port), 20, "nginx answers", every=0.1)

    def close(self) -> None:
        self.process.kill(15)
        self.process.wait(20)

    @staticmethod
    def _answers(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0
