"""A real nginx on a free loopback port that serves a folder in many ways, one location each.

`/files/` plain with ranges and strong ETags; `/weak/` with weak ones; `/whole/` without ranges; `/coding/` with gzip
for who takes it; `/coded/` with gzip whether one takes it or not; `/basic/` for one user; `/slow/` slowly; `/hops/N/`
behind N redirects; `/loop/` behind endless ones; `/away/` behind one to another name of this host; `/status/N` with
that status.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from socket import create_connection, create_server

import pytest

USERNAME, PASSWORD = "reader", "s3cret-password"
STATUSES = (401, 403, 404, 410, 429, 500, 502, 503, 504)
MAX_HOPS = 6
_INSTALL = "make servers, or: apt-get install nginx-light"
_CONFIGURATION = r"""
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn;
events {{ worker_connections 256; }}
http {{
  log_format requests escape=json '{{"method": "$request_method", "path": "$uri", "status": $status, '
    '"sent": $body_bytes_sent, "range": "$http_range", "if_range": "$http_if_range", "host": "$host", '
    '"authorization": "$http_authorization"}}';
  access_log {folder}/requests.log requests;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  default_type application/octet-stream; sendfile on; tcp_nopush on; absolute_redirect off; server_tokens off;
  map $hop $next {{ 1 files; {hops} }}
  server {{
    listen 127.0.0.1:{port};
    root {folder};
    location /files/ {{ }}
    location /weak/ {{ alias {folder}/files/; etag off; add_header ETag 'W/"weak"'; }}
    location /whole/ {{ alias {folder}/files/; max_ranges 0; }}
    location /coding/ {{ alias {folder}/files/; gzip on; gzip_types *; gzip_min_length 1; }}
    location /coded/ {{ alias {folder}/files/; gzip_static always; }}
    location /basic/ {{ alias {folder}/files/; auth_basic models; auth_basic_user_file {folder}/htpasswd; }}
    location /slow/ {{ alias {folder}/files/; limit_rate 200k; }}
    location ~ ^/hops/(?<hop>\d)/(?<rest>.*)$ {{ return 302 /$next/$rest; }}
    location /loop/ {{ return 302 $request_uri; }}
    location ~ ^/away/(?<rest>.*)$ {{ return 307 http://localhost:{port}/$rest; }}
    {statuses}
  }}
}}
"""
_PROXY = r"""
server {{
  listen 127.0.0.1:{port};
  location / {{
    proxy_pass {url};
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
  }}
}}
"""
_AROUND = r"""
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  {inner}
}}
"""


@dataclass(frozen=True)
class Served:
    """A request that was answered; `sent` in bytes of the body."""

    method: str
    path: str
    status: int
    sent: int
    range: str
    if_range: str
    host: str
    authorization: str


@dataclass(frozen=True)
class Nginx:
    """Where it is and where its files lie."""

    folder: Path
    port: int

    def put(self, name: str, content: bytes, *, modified: float | None = None) -> None:
        """Lay a file into `/files/`, in place of one that is there; its ETag is made of size and time in seconds."""
        path = self.folder / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        staged = path.with_name(f".{path.name}.new")
        staged.write_bytes(content)
        if modified is not None:
            os.utime(staged, (modified, modified))
        os.replace(staged, path)

    def url(self, path: str, *, host: str = "127.0.0.1", port: int = 0) -> str:
        return f"http://{host}:{port or self.port}{path}"

    @property
    def count(self) -> int:
        """How many requests were noted so far."""
        return len((self.folder / "requests.log").read_text().splitlines())

    def requests(self, path: str, number: int = 1) -> list[Served]:
        """Return the requests for a path, once there are so many: nginx notes them a moment after its answer."""
        deadline = time.monotonic() + 20
        while True:
            lines = (self.folder / "requests.log").read_text().splitlines()
            found = [served for served in (Served(**json.loads(line)) for line in lines) if served.path == path]
            if len(found) >= number:
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"nginx was asked {len(found)} times for {path}, not {number} times.")
            time.sleep(0.02)


BASIC = f"Basic {b64encode(f'{USERNAME}:{PASSWORD}'.encode()).decode()}"


@contextmanager
def running(folder: Path) -> Iterator[Nginx]:
    """Run a server whose files lie in an empty folder; used by tests and benchmarks."""
    port = free_port()
    (folder / "files").mkdir()
    (folder / "requests.log").touch()
    secret = b64encode(sha1(PASSWORD.encode()).digest()).decode()  # the one scheme of htpasswd that needs no crypt(3)
    (folder / "htpasswd").write_text(f"{USERNAME}:{{SHA}}{secret}\n")
    (folder / "nginx.conf").write_text(
        _CONFIGURATION.format(
            folder=folder,
            port=port,
            user=_user(),
            hops=" ".join(f"{number} hops/{number - 1};" for number in range(2, MAX_HOPS + 1)),
            statuses=" ".join(
                f"location = /status/{status} {{ add_header Retry-After 7 always; return {status}; }}"
                for status in STATUSES
            ),
        )
    )
    with _started(Nginx(folder, port)) as server:
        yield server


@contextmanager
def proxying(folder: Path, url: str) -> Iterator[str]:
    """Run a server that hands on every request to another one, as nginx does it by default, and yield its URL."""
    port = free_port()
    with configured(folder, _PROXY.format(port=port, url=url), port) as server:
        yield server.url("")


@contextmanager
def configured(folder: Path, inner: str, port: int) -> Iterator[Nginx]:
    """Run a server that listens on a port as the inner part of its block `http` says."""
    (folder / "nginx.conf").write_text(_AROUND.format(folder=folder, user=_user(), inner=inner))
    with _started(Nginx(folder, port)) as server:
        yield server


def free_port() -> int:
    with create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _user() -> str:
    return f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""


@contextmanager
def _started(server: Nginx) -> Iterator[Nginx]:
    """Run the server whose configuration lies in its folder."""
    program = shutil.which("nginx", path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    if program is None:
        pytest.fail(f"nginx is not installed: {_INSTALL}")
    folder = server.folder
    with open(folder / "server.log", "ab") as log:
        command = [program, "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf"]
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
    try:
        _wait(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: Nginx, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            create_connection(("127.0.0.1", server.port), timeout=5).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                logs = "".join(path.read_text()[-2000:] for path in server.folder.glob("*.log"))
                pytest.fail(f"nginx does not start ({_INSTALL}): {logs}")
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """Start a server and yield where it is; it takes a few hundredths of a second."""
    with running(tmp_path_factory.mktemp("nginx")) as server:
        yield server
