"""A model reference: where a model comes from, and the one URI that names it everywhere.

Not here: what the source holds now (manifest), how it is asked (sources), or which sources exist
(`weighbridge.sources.SOURCES`; a test holds that every kind named here has one).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote, unquote, urlencode

from weighbridge.errors import InvalidReference

#: URI scheme to source kind. A scheme stands for exactly one kind.
SCHEMES = {
    "hf": "huggingface",
    "hf-dataset": "huggingface-dataset",
    "pypi": "pypi",
    "https": "url",
    "http": "url",
    "file": "file",
    "mock": "mock",
}
_EXAMPLES = "hf:org/name@revision, pypi:package==1.2, https://host/model.gguf, file:/path, mock:org/name"
_SCHEME = re.compile(r"^([a-z][a-z0-9+.-]*):(.+)$", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, order=True)
class ModelRef:
    """Where a model comes from.

    Attributes:
        kind: the source kind, a value of `SCHEMES`.
        id: the model's name in that source: `org/name`, a package, a whole URL, a path.
        revision: branch, tag, commit or version; empty for the source's default.
        options: further choices of the source as sorted pairs, such as `("files", "*.safetensors")`.
    """

    kind: str
    id: str
    revision: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, uri: str) -> ModelRef:
        """Read a URI such as `hf:org/name@rev?files=*.safetensors`.

        Raises:
            InvalidReference: no scheme, an unknown one, or nothing after it.
        """
        match = _SCHEME.match(uri.strip())
        if not match or _CONTROL.search(uri):
            raise InvalidReference(f"“{uri}” is no model URI.", f"Write one such as {_EXAMPLES}.", uri=uri)
        scheme, rest = match.groups()
        if scheme not in SCHEMES:
            known = ", ".join(f"{name}:" for name in SCHEMES)
            raise InvalidReference(f"No source serves “{scheme}:”.", f"Known schemes: {known}.", uri=uri)
        kind = SCHEMES[scheme]
        if kind == "url":
            return cls._parse_url(scheme, rest, uri)
        rest, _, query = rest.partition("?")
        options = tuple(sorted(parse_qsl(query, keep_blank_values=True)))
        if kind == "file":
            path = unquote(rest.removeprefix("//"))
            if not path:
                raise InvalidReference(f"“{uri}” names no path.", "Write file:/path/to/model.", uri=uri)
            return cls(kind, path, "", options)
        name, _, revision = rest.partition("==" if kind == "pypi" else "@")
        name, revision = unquote(name), unquote(revision)
        if not name or name.startswith("-") or revision.startswith("-"):
            raise InvalidReference(f"“{uri}” names no model.", f"Write one such as {_EXAMPLES}.", uri=uri)
        return cls(kind, name, revision, options)

    @classmethod
    def _parse_url(cls, scheme: str, rest: str, uri: str) -> ModelRef:
        address, _, fragment = f"{scheme}:{rest}".partition("#")
        if not re.match(r"^https?://[^/\s]+/", address):
            raise InvalidReference(f"“{uri}” is no URL of a file.", "Write https://host/path/model.gguf.", uri=uri)
        if "@" in address.split("/")[2]:
            raise InvalidReference(
                "The URL holds a user name or password.",
                "Take them out of the URL: name a token with --token-env, --token-file or auth: in models.yaml.",
            )
        return cls("url", address, "", tuple(sorted(parse_qsl(fragment, keep_blank_values=True))))

    def __str__(self) -> str:
        return self.uri

    @property
    def uri(self) -> str:
        """The URI that `parse` reads back to this reference.

        A URL's and a path's revision are left out: neither can be asked for what it held earlier.
        """
        if self.kind == "url":
            return self.id + (f"#{urlencode(self.options)}" if self.options else "")
        scheme = next(scheme for scheme, kind in SCHEMES.items() if kind == self.kind)
        separator = "==" if self.kind == "pypi" else "@"
        text = (
            f"{scheme}:{quote(self.id, safe='/:+,=~')}"
            if self.kind == "file"
            else f"{scheme}:{quote(self.id, safe='/')}"
        )
        if self.revision and self.kind != "file":
            text += separator + quote(self.revision, safe="/+!")
        if self.options:
            text += "?" + urlencode(self.options, safe="*/")
        return text

    @property
    def name(self) -> str:
        """The name a model gets when its user gave none: `org/name`, the package, or the last part of the path."""
        if self.kind in ("url", "file"):
            last = self.id.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
            return (
                unquote(re.sub(r"\.(tar\.(gz|xz|zst|bz2)|tgz|zip|gguf|safetensors|onnx|bin|pt)$", "", last)) or "model"
            )
        return self.id

    def option(self, key: str) -> tuple[str, ...]:
        """Every value given for an option, in order."""
        return tuple(value for name, value in self.options if name == key)

    def pinned(self, revision: str) -> ModelRef:
        """The same reference at an immutable revision."""
        return replace(self, revision=revision)
