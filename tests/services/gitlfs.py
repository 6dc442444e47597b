"""A real Git server with Git LFS on a free loopback port: nginx, git's own http-backend, and giftless.

Repositories below `/open/` and `/fast/` are read by anybody; everything else needs the user or the token. Objects below
`/fast/` come from nginx itself, quickly and in ranges, as large hosts give them; giftless knows no ranges. `/moved/`
redirects to `/open/`; `/old/` is `/open/` over git's oldest protocol.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

USERNAME, PASSWORD, TOKEN = "reader", "s3cret-password", "tok-0123456789abcdef"
BASIC = f"Basic {b64encode(f'{USERNAME}:{PASSWORD}'.encode()).decode()}"
#: Where `make servers` puts giftless.
GIFTLESS = Path(sys.prefix) / "giftless"
_INSTALL = "make servers, or: apt-get install git git-lfs nginx-light fcgiwrap"
_NGINX = r"""
daemon off; {user} worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log warn;
events {{ worker_connections 256; }}
http {{
  log_format requests escape=json '{{"method": "$request_method", "uri": "$request_uri", "status": $status, '
    '"authorization": "$http_authorization", "range": "$http_range", "body": "$batch"}}';
  access_log {folder}/requests.log requests;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  client_max_body_size 0; client_body_buffer_size 1m; proxy_max_temp_file_size 0;
  map $uri $batch {{ default ""; ~/objects/batch$ $request_body; }}
  map $http_authorization $known {{ default 0; "{basic}" 1; "Bearer {token}" 1; }}
  map $uri $public {{ default 0; ~^/(open|fast|old)/ 1; }}
  map "$known$public$is_push" $may {{ default 0; ~^1 1; "010" 1; }}
  map "$uri $arg_service" $is_push {{ default 0; ~git-receive-pack 1; }}
  map $uri $git_protocol {{ default $http_git_protocol; ~^/old/ ""; }}
  map $uri $repository {{ default $uri; ~^/old/(?<rest>.*)$ /open/$rest; }}
  server {{
    listen 127.0.0.1:{port};
    location /moved/ {{ rewrite ^/moved/(.*)$ /open/$1 permanent; }}
    location ~ "^/fast/(?<name>[^/]+?)(\.git)?/info/lfs/objects/storage/(?<oid>[0-9a-f]{{64}})$" {{
      alias {folder}/objects/fast/$name/$oid;
    }}
    location ~ ^/[^/]+/[^/]+/info/lfs/ {{
      proxy_pass http://127.0.0.1:{giftless_port}; proxy_buffering off;
      proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
    location / {{
      if ($may = 0) {{ add_header WWW-Authenticate 'Basic realm="git"' always; return 401; }}
      fastcgi_pass unix:{folder}/fcgi.sock; include /etc/nginx/fastcgi_params;
      fastcgi_param SCRIPT_FILENAME {backend}; fastcgi_param PATH_INFO $repository;
      fastcgi_param GIT_PROJECT_ROOT {folder}/repositories; fastcgi_param GIT_HTTP_EXPORT_ALL 1;
      fastcgi_param HTTP_GIT_PROTOCOL $git_protocol; fastcgi_param HOME {folder};
      fastcgi_param REMOTE_USER {username}; fastcgi_read_timeout 300;
      fastcgi_param NO_BUFFERING 1; fastcgi_buffering off;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Served:
    """A request that the server answered."""

    method: str
    uri: str
    status: int
    authorization: str
    range: str
    body: str

    @property
    def path(self) -> str:
        return urlsplit(self.uri).path


@dataclass(frozen=True)
class GitLfsServer:
    """Where the server is and where it keeps its files."""

    folder: Path
    port: int
    url: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", f"http://127.0.0.1:{self.port}")

    def repository(self, name: str) -> Path:
        """Return the bare repository `organisation/name.git`; made when it is not there yet."""
        path = self.folder / "repositories" / name
        if not path.exists():
            git(self.folder, "init", "--quiet", "--bare", "--initial-branch=main", str(path))
            for key in ("http.receivepack", "uploadpack.allowFilter"):
                git(path, "config", key, "true")
        return path

    def address(self, name: str) -> str:
        return f"{self.url}/{name}"

    def put(self, name: str, content: bytes) -> bytes:
        """Lay an object where giftless keeps those of a repository, and return the pointer to it."""
        oid = hashlib.sha256(content).hexdigest()
        self.object(name, oid).parent.mkdir(parents=True, exist_ok=True)
        self.object(name, oid).write_bytes(content)
        return pointer(oid, len(content))

    def commit(
        self, name: str, files: Mapping[str, bytes], branch: str = "main", special: Mapping[str, tuple[str, str]] = {}
    ) -> str:
        """Commit a whole tree to a repository, on no other commit, and return the new one.

        Args:
            name: `organisation/name.git`.
            files: the content by path.
            branch: it is moved there.
            special: symbolic links, `("120000", target)`, and submodules, `("160000", commit)`, by path.
        """
        stream = b"commit refs/heads/incoming\ncommitter T <t@example.org> 1700000000 +0000\ndata 0\n"
        for path, content in files.items():
            stream += b"M 100644 inline %s\ndata %d\n%s\n" % (path.encode(), len(content), content)
        for path, (mode, target) in special.items():
            where = target if mode == "160000" else "inline"
            stream += f"M {mode} {where} {path}\n".encode()
            stream += b"" if mode == "160000" else b"data %d\n%s\n" % (len(target), target.encode())
        repository = self.repository(name)
        git(repository, "fast-import", "--quiet", "--force", stdin=stream)
        oid = git(repository, "rev-parse", "refs/heads/incoming")
        git(repository, "update-ref", "-d", "refs/heads/incoming")
        git(repository, "update-ref", f"refs/heads/{branch}", oid)
        return oid

    def object(self, name: str, oid: str) -> Path:
        return self.folder / "objects" / name.removesuffix(".git") / oid

    @property
    def count(self) -> int:
        """How many requests were noted so far."""
        return len((self.folder / "requests.log").read_text().splitlines())

    def requests(self, since: int = 0, until: str = "") -> list[Served]:
        """Return what was asked after the first `since` requests; nginx notes a request a moment after its answer.

        Args:
            since: requests to leave out.
            until: wait for a request whose address holds this.
        """
        deadline = time.monotonic() + 10
        while True:
            lines = (self.folder / "requests.log").read_text().splitlines()[since:]
            found = [Served(**json.loads(line)) for line in lines]
            if any(until in request.uri for request in found) or not until:
                return found
            if time.monotonic() > deadline:
                pytest.fail(f"The Git server was not asked for {until}.")
            time.sleep(0.02)


def pointer(oid: str, size: int) -> bytes:
    """Return the text that stands in git for an object of Git LFS."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which git and git-lfs read no configuration of this machine."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))
    settings = {"user.name": "Tester", "user.email": "tester@example.org", "init.defaultBranch": "main"}
    for key, command in (("clean", "clean"), ("smudge", "smudge"), ("process", "filter-process")):
        settings[f"filter.lfs.{key}"] = f"git-lfs {command}" + ("" if key == "process" else " -- %f")
    settings["filter.lfs.required"] = "true"
    values: dict[str, str] = {"GIT_CONFIG_COUNT": str(len(settings))}
    for index, (name, value) in enumerate(settings.items()):
        values |= {f"GIT_CONFIG_KEY_{index}": name, f"GIT_CONFIG_VALUE_{index}": value}
    return values | {
        "PATH": path,
        "HOME": str(folder),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def git(folder: Path, *arguments: str, stdin: bytes | None = None) -> str:
    """Run git in a folder and return what it prints; fail when it does."""
    answer = subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environment(folder), input=stdin, capture_output=True, check=False
    )
    assert answer.returncode == 0, f"git {' '.join(arguments)}: {answer.stderr.decode(errors='replace')}"
    return answer.stdout.decode().strip()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _program(name: str) -> str:
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    return found or pytest.fail(f"{name} is not installed: {_INSTALL}")


def _start(command: Sequence[str], folder: Path, **variables: str) -> subprocess.Popen[bytes]:
    with open(folder / "servers.log", "ab") as log:
        values = {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "LC_ALL": "C"} | variables
        return subprocess.Popen(command, env=values, stdout=log, stderr=log, cwd=folder, start_new_session=True)


def _configure(folder: Path, port: int, giftless_port: int) -> None:
    secret = hashlib.sha256(os.urandom(32)).hexdigest()
    users = {"username": USERNAME, "password": PASSWORD, "token": TOKEN}
    jwt = {"algorithm": "HS256", "private_key": secret, "default_lifetime": 900}
    storage = {"path": str(folder / "objects")}
    settings: dict[str, Any] = {
        "AUTH_PROVIDERS": [{"factory": "giftless_app:factory", "options": users}],
        "PRE_AUTHORIZED_ACTION_PROVIDER": {"factory": "giftless.auth.jwt:factory", "options": jwt},
        "LEGACY_ENDPOINTS": False,
        "TRANSFER_ADAPTERS": {
            "basic": {
                "factory": "giftless.transfer.basic_streaming:factory",
                "options": {
                    "storage_class": "giftless.storage.local_storage:LocalStorage",
                    "storage_options": storage,
                    "action_lifetime": 900,
                },
            }
        },
    }
    (folder / "giftless.yaml").write_text(json.dumps(settings))  # JSON is YAML
    user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
    backend = Path(git(folder, "--exec-path")) / "git-http-backend"
    (folder / "nginx.conf").write_text(
        _NGINX.format(
            folder=folder,
            user=user,
            port=port,
            giftless_port=giftless_port,
            basic=BASIC,
            token=TOKEN,
            username=USERNAME,
            backend=backend,
        )
    )


@contextmanager
def running(folder: Path) -> Iterator[GitLfsServer]:
    """Run a server whose files lie in an empty folder."""
    waitress = GIFTLESS / "bin" / "waitress-serve"
    if not waitress.exists():
        pytest.fail(f"giftless is not installed at {GIFTLESS}: make servers")
    nginx, fcgiwrap, _ = _program("nginx"), _program("fcgiwrap"), _program("git-lfs")
    port, giftless_port = _free_port(), _free_port()
    (folder / "requests.log").touch()
    _configure(folder, port, giftless_port)
    variables = {"GIFTLESS_CONFIG_FILE": str(folder / "giftless.yaml"), "PYTHONPATH": str(Path(__file__).parent)}
    listen = ["--listen", f"127.0.0.1:{giftless_port}", "--max-request-body-size", str(2**36), "--threads", "8"]
    servers = [
        _start([str(waitress), *listen, "--call", "giftless_app:create"], folder, **variables),
        _start([fcgiwrap, "-c", "4", "-s", f"unix:{folder}/fcgi.sock"], folder),
        _start([nginx, "-e", f"{folder}/nginx.log", "-c", f"{folder}/nginx.conf"], folder),
    ]
    try:
        server = GitLfsServer(folder, port)
        _wait(server, servers)
        yield server
    finally:
        for process in servers:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def _wait(server: GitLfsServer, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    server.repository("open/ready.git")
    batch = f"{server.address('open/ready.git')}/info/lfs/objects/batch"
    question = {"operation": "download", "objects": [{"oid": "0" * 64, "size": 1}]}
    deadline = time.monotonic() + 60
    while True:
        try:
            refs = httpx.get(f"{server.address('open/ready.git')}/info/refs?service=git-upload-pack", timeout=5)
            if refs.status_code == 200 and httpx.post(batch, json=question, timeout=5).status_code == 404:
                return  # giftless answers: it has no such object
        except httpx.TransportError:
            pass
        if any(process.poll() is not None for process in processes) or time.monotonic() > deadline:
            logs = "".join(path.read_text()[-2000:] for path in server.folder.glob("*.log"))
            pytest.fail(f"The Git server does not start ({_INSTALL}): {logs}")
        time.sleep(0.05)


@pytest.fixture(scope="session")
def git_lfs_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitLfsServer]:
    """Start a server and yield where it is; it takes about a second."""
    with running(tmp_path_factory.mktemp("gitlfs")) as server:
        yield server
