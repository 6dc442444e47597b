"""Model URIs, read and written: one grammar a source kind.

`hf:org/name@rev` · `pypi:package==1.2` · `mlflow:name/3` · `ollama:llama2:7b` · `git+https://host/repo.git@v1#sub` ·
`s3://bucket/prefix` · `https://host/file#extract=true` · `file:/path`. Any other scheme is that of an installed source
(plugins), with the grammar `scheme:id@revision?option=value`. Not here: whether such a model exists (sources).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from weighbridge.domain import source_kinds
from weighbridge.domain.signed_urls import split_secret
from weighbridge.errors import InvalidReference

#: URI scheme to source kind. A scheme stands for exactly one kind.
SCHEMES = {
    "hf": "huggingface",
    "hf-dataset": "huggingface-dataset",
    "s3": "s3",
    "mlflow": "mlflow",
    "git+https": "git-lfs",
    "git+http": "git-lfs",
    "xet": "git-xet",
    "ollama": "ollama",
    "pypi": "pypi",
    "https": "url",
    "http": "url",
    "file": "file",
    "mock": "mock",
}
EXAMPLES = "hf:org/name@revision, s3://bucket/prefix, pypi:package==1.2, https://host/model.gguf, file:/path"
#: Hosts whose Xet repositories are those of the Hub.
_XET_HOSTS = ("huggingface.co", "hf.co", "www.huggingface.co")
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*):(.+)$", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

Options = tuple[tuple[str, str], ...]


class Parts(NamedTuple):
    """What a URI says, in the order of `ModelRef`'s fields."""

    kind: str
    id: str
    revision: str = ""
    options: Options = ()
    secret: str = ""


def read(uri: str) -> Parts:
    """Read a URI.

    Raises:
        InvalidReference: no scheme, one that no source serves, nothing after it, or a secret in it.
    """
    match = _SCHEME.match(uri.strip())
    if not match or _CONTROL.search(uri):
        raise InvalidReference(f"“{uri}” is no model URI.", f"Write one such as {EXAMPLES}.", uri=uri)
    scheme, rest = match.groups()
    # A package that claims one of our kinds is refused where the source is opened.
    kind = SCHEMES.get(scheme, "") if scheme in (*SCHEMES, *SCHEMES.values()) else source_kinds.kind_of(scheme)
    if not kind:
        known = ", ".join(f"{name}:" for name in (*SCHEMES, *source_kinds.installed()))
        raise InvalidReference(f"No source serves “{scheme}:”.", f"Known schemes: {known}.", uri=uri)
    parts = _READERS.get(kind, _read_named)(kind, scheme, rest, uri)
    if parts.kind not in ("file", "url") and (not parts.id or parts.id.startswith("-") or parts.revision[:1] == "-"):
        raise InvalidReference(f"“{uri}” names no model.", f"Write one such as {EXAMPLES}.", uri=uri)
    return parts


def write(kind: str, id: str, revision: str, options: Options) -> str:  # noqa: A002 (the word of ModelRef)
    """Return the URI that `read` reads back."""
    return _WRITERS.get(kind, _write_named)(Parts(kind, id, revision, options))


def _options(query: str) -> Options:
    options = tuple(sorted(parse_qsl(query, keep_blank_values=True)))
    for _, value in options:
        if re.match(r"^[a-z][a-z0-9+.-]*://[^/?#]*@", value, re.IGNORECASE):
            raise _secret_inside()
    return options


def _query(options: Options) -> str:
    return "?" + urlencode(options, safe="*/:") if options else ""


def _scheme(kind: str) -> str:
    return next((scheme for scheme, known in SCHEMES.items() if known == kind), kind)


def _read_named(kind: str, scheme: str, rest: str, uri: str) -> Parts:
    rest, _, query = rest.partition("?")
    name, _, revision = rest.partition("==" if kind == "pypi" else "@")
    return Parts(kind, unquote(name), unquote(revision), _options(query))


def _write_named(parts: Parts) -> str:
    separator = "==" if parts.kind == "pypi" else "@"
    revision = separator + quote(parts.revision, safe="/+!") if parts.revision else ""
    return f"{_scheme(parts.kind)}:{quote(parts.id, safe='/')}{revision}{_query(parts.options)}"


def _read_file(kind: str, scheme: str, rest: str, uri: str) -> Parts:
    rest, _, query = rest.partition("?")
    path = unquote(re.sub(r"^//(?:localhost(?=/))?", "", rest))  # RFC 8089
    if not path:
        raise InvalidReference(f"“{uri}” names no path.", "Write file:/path/to/model.", uri=uri)
    return Parts(kind, path, "", _options(query))


def _write_file(parts: Parts) -> str:
    return f"file:{quote(parts.id, safe='/:+,=~')}{_query(parts.options)}"


def _read_url(kind: str, scheme: str, rest: str, uri: str) -> Parts:
    address, _, fragment = f"{scheme}:{rest}".partition("#")
    address, secret = split_secret(address)
    if not re.match(r"^https?://[^/\s]+/", address):
        raise InvalidReference(f"“{address}” is no URL of a file.", "Write https://host/path/model.gguf.", uri=address)
    return Parts(kind, _without_secret(address), "", _options(fragment), secret)


def _write_url(parts: Parts) -> str:
    return parts.id + (f"#{urlencode(parts.options)}" if parts.options else "")


def _without_secret(address: str) -> str:
    if "@" in address.split("/")[2]:
        raise _secret_inside()
    return address


def _secret_inside() -> InvalidReference:
    return InvalidReference(
        "The URL holds a user name or password.",
        "Take them out of the URL: name them with --token-env, --token-file or auth: in models.yaml.",
    )


def _read_s3(kind: str, scheme: str, rest: str, uri: str) -> Parts:
    path, _, query = rest.partition("?")
    bucket, _, prefix = unquote(path).removeprefix("//").partition("/")
    if not path.startswith("//") or not re.fullmatch(r"[a-zA-Z0-9._-]{3,255}", bucket):
        raise InvalidReference(f"“{uri}” names no bucket.", "Write s3://bucket/prefix.", uri=uri)
    return Parts(kind, f"{bucket}/{prefix}".rstrip("/"), "", _options(query))


def _write_s3(parts: Parts) -> str:
    return f"s3://{quote(parts.id, safe='/')}{_query(parts.options)}"


def _read_mlflow(kind: str, scheme: str, rest: str, uri: str) -> Parts:
    rest, _, query = rest.partition("?")
    name, slash, revision = rest.partition("/")
    if not slash:
        name, at, alias = rest.partition("@")
        revision = at + alias
    return Parts(kind, unquote(name), unquote(revision), _options(query))


def _write_mlflow(parts: Parts) -> str:
    separator = "" if not parts.revision or parts.revision.startswith("@") else "/"
    return f"mlflow:{quote(parts.id, safe='')}{separator}{quote(parts.revision, safe='@')}{_query(parts.options)}"


def _read_git(kind: str, scheme: str, rest: str, uri: str) -> Parts:
    address, _, subdir = f"{scheme.removeprefix('git+')}:{rest}".partition("#")
    address, _, query = address.partition("?")
    if any(key not in ("files", "exclude") for key, _ in _options(query)):
        raise InvalidReference(
            f"The address {address} has a query that no repository takes.",
            "Name credentials with --token-env, --token-file or auth: in models.yaml; it may hold files and exclude.",
        )
    if not re.match(r"^https?://[^/\s]+/.", address):
        raise InvalidReference(f"“{uri}” is no git repository.", "Write git+https://host/repo.git@v1#subdir.", uri=uri)
    host, path = address.split("/", 3)[2:]
    repository, _, revision = path.partition("@")
    url = f"{address.split('/')[0]}//{host}/{repository}"
    subdir = unquote(subdir).strip("/")
    options = (*_options(query), *((("subdir", subdir),) if subdir else ()))
    return Parts(kind, _without_secret(url), unquote(revision), tuple(sorted(options)))


def _write_git(parts: Parts) -> str:
    revision = f"@{quote(parts.revision, safe='/')}" if parts.revision else ""
    subdir = "".join(f"#{quote(value, safe='/')}" for key, value in parts.options if key == "subdir")
    others = tuple(option for option in parts.options if option[0] != "subdir")
    return f"git+{parts.id}{revision}{_query(others)}{subdir}"


def _read_xet(kind: str, scheme: str, rest: str, uri: str) -> Parts:
    if rest.startswith("//"):
        host, _, rest = rest[2:].partition("/")
        if host.lower() not in _XET_HOSTS:
            raise InvalidReference(
                f"“{host}” serves no Xet repositories: xethub.com closed, and they live on the Hugging Face Hub now.",
                "Write xet:org/name@revision.",
                uri=uri,
            )
    parts = _read_named(kind, scheme, rest, uri)
    return parts._replace(id=parts.id.removesuffix(".git").strip("/"))


def _read_ollama(kind: str, scheme: str, rest: str, uri: str) -> Parts:
    rest, _, query = rest.partition("?")
    name, at, revision = unquote(rest).partition("@")
    last = name.rfind("/") + 1
    if not at and ":" in name[last:]:
        folder, (model, _, revision) = name[:last], name[last:].partition(":")
        name = folder + model
    return Parts(kind, name, revision, _options(query))


def _write_ollama(parts: Parts) -> str:
    separator = "@" if ":" in parts.revision else ":"
    revision = separator + quote(parts.revision, safe=":") if parts.revision else ""
    return f"ollama:{quote(parts.id, safe='/:')}{revision}{_query(parts.options)}"


_READERS: dict[str, Callable[[str, str, str, str], Parts]] = {
    "file": _read_file,
    "url": _read_url,
    "s3": _read_s3,
    "mlflow": _read_mlflow,
    "git-lfs": _read_git,
    "git-xet": _read_xet,
    "ollama": _read_ollama,
}
_WRITERS: dict[str, Callable[[Parts], str]] = {
    "file": _write_file,
    "url": _write_url,
    "s3": _write_s3,
    "mlflow": _write_mlflow,
    "git-lfs": _write_git,
    "ollama": _write_ollama,
}
