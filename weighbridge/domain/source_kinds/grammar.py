"""What the URIs of source kinds have in common: their parts, options after `?`, and the grammar of most kinds.

Most kinds are written `scheme:id@revision?option=value`; a kind with a grammar of its own has it in its own module.
Not here: which kind a scheme belongs to (domain.uris).
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

from weighbridge.errors import InvalidReference

_ENDINGS = re.compile(r"\.(tar\.(gz|xz|zst|bz2)|tar|tgz|tbz2|txz|tzst|zip|git|gguf|safetensors|onnx|bin|pt)$")

Options = tuple[tuple[str, str], ...]


class Parts(NamedTuple):
    """The parts of a URI, in the order of `ModelRef`'s fields."""

    kind: str
    id: str
    revision: str = ""
    options: Options = ()
    secret: str = ""

    def option(self, key: str) -> tuple[str, ...]:
        """Return every value given for an option, in order."""
        return tuple(value for name, value in self.options if name == key)


def read_named(kind: str, scheme: str, rest: str, separator: str = "@") -> Parts:
    """Read `id@revision?option=value`, which follows the scheme of most kinds.

    Args:
        kind: the source kind.
        scheme: the URI's scheme.
        rest: the text after the scheme.
        separator: the text before the revision.
    """
    rest, _, query = rest.partition("?")
    name, _, revision = rest.partition(separator)
    return Parts(kind, unquote(name), unquote(revision), read_options(query))


def write_named(scheme: str, parts: Parts, separator: str = "@") -> str:
    """Return the URI that `read_named` reads back."""
    revision = separator + quote(parts.revision, safe="/+!") if parts.revision else ""
    return f"{scheme}:{quote(parts.id, safe='/')}{revision}{write_options(parts.options)}"


def read_options(query: str) -> Options:
    """Return the options of a query, sorted.

    Raises:
        InvalidReference: an option is an address with a user name or password.
    """
    options = tuple(sorted(parse_qsl(query, keep_blank_values=True)))
    for _, value in options:
        if re.match(r"^[a-z][a-z0-9+.-]*://[^/?#]*@", value, re.IGNORECASE):
            raise _secret_inside()
    return options


def write_options(options: Options) -> str:
    """Return `?` and the options as a query; empty without any."""
    return "?" + urlencode(options, safe="*/:") if options else ""


def without_secret(address: str) -> str:
    """Return an address of the web.

    Raises:
        InvalidReference: it holds a user name or password.
    """
    if "@" in address.split("/")[2]:
        raise _secret_inside()
    return address


def last_name(parts: Parts, *, quoted: bool = True) -> str:
    """Return the last part of a path, or of a folder in it, without the ending of an archive or of weights.

    Args:
        parts: the parts of a URI; their id is the path.
        quoted: whether `%20` in it means a blank.
    """
    whole = "/".join((parts.id.split("?")[0].rstrip("/"), *parts.option("subdir")))
    last = whole.rstrip("/").rsplit("/", 1)[-1]
    return _ENDINGS.sub("", unquote(last) if quoted else last) or "model"


def _secret_inside() -> InvalidReference:
    return InvalidReference(
        "The URL holds a user name or password.",
        "Take them out of the URL: name them with --token-env, --token-file or auth: in models.yaml.",
    )
