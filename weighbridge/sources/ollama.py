"""The source `ollama`: an Ollama model in any OCI registry, `ollama:llama2:7b`, `ollama:hf.co/user/model:Q4_K_M`.

The registry is the one that the name begins with, over https; for other names the settings' endpoint, else Ollama's
own. The option `registry` is a base URL, such as http://127.0.0.1:5000 for one without TLS. Each layer is a file
(ollama_layers), and a generated `Modelfile` makes the folder usable: `ollama create NAME -f Modelfile`. The pinned
revision is the sha256 of the manifest's bytes. Not here: the registry's protocol (oci.registry, oci.access).
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import ClassVar
from urllib.parse import urlsplit

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.selection import Selection
from weighbridge.errors import InvalidReference, ModelNotFound
from weighbridge.net.oci.manifest import read_manifest
from weighbridge.net.oci.registry import OciRegistry
from weighbridge.net.responses import shown
from weighbridge.net.settings import SourceSettings
from weighbridge.net.streams import ByteStream
from weighbridge.net.transfer import Transfer
from weighbridge.sources.interface import refuse_oversize, refuse_unknown_options
from weighbridge.sources.ollama_layers import LayerFile, Role, layer_files
from weighbridge.sources.ollama_modelfile import NAME, TEXTS, modelfile, runs_elsewhere
from weighbridge.sources.ollama_names import OllamaName

OPTIONS = frozenset({"registry"})
OLLAMA = "https://registry.ollama.ai"
#: The most bytes of a text layer in the Modelfile, and of all of them together.
MAX_TEXT, MAX_TEXTS = 1024**2, 8 * 1024**2
#: The most models whose Modelfile stays cached.
KEPT_MODELS = 8
_WEIGHTS = frozenset({Role.MODEL, Role.ADAPTER, Role.TENSOR})


@dataclass(frozen=True)
class _Model:
    """A manifest, the files of its layers and its Modelfile."""

    digest: Digest
    files: tuple[LayerFile, ...]
    modelfile: bytes | None

    def entries(self, taken: Collection[str]) -> tuple[FileEntry, ...]:
        """Return the files of these names."""
        ours = []
        if self.modelfile is not None and NAME in taken:
            ours.append(FileEntry(NAME, len(self.modelfile), Digest.sha256(self.modelfile)))
        return (*(file.entry for file in self.files if file.path in taken), *ours)


class OllamaSource:
    """Ollama models; see the module.

    The credentials of the settings go to the registry, and as `RegistryAccess` says to the realm of its tokens.
    """

    kind: ClassVar[str] = "ollama"

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._transfer = Transfer.of(settings)
        self._lock = Lock()
        self._registries: dict[str, OciRegistry] = {}
        self._models: OrderedDict[tuple[str, str, Digest], _Model] = OrderedDict()

    def resolve(self, ref: ModelRef) -> Manifest:
        """Read the manifest and the layers of text; every file has a size and a sha256.

        Raises:
            InvalidReference: an invalid name, tag, option or registry.
            ModelNotFound: no such model or tag, or something other than a model with weights.
            AccessDenied, SourceUnavailable: as `OciRegistry.manifest`.
            SourceMisbehaved: a manifest or layer whose bytes do not match its digest, or that cannot be parsed.
            UnsafePath: a layer's name that is not safe.
        """
        refuse_unknown_options(ref, OPTIONS)
        name = OllamaName.of(ref)
        model = self._model(self._registry(ref, name), name)
        taken = Selection.of(ref).of_names((*(file.path for file in model.files), NAME), str(name))
        return refuse_oversize(Manifest(ref.pinned(str(model.digest)), model.entries(taken)), self._settings)

    @contextmanager
    def open(self, ref: ModelRef, entry: FileEntry, offset: int = 0) -> Iterator[ByteStream]:
        """Open a layer by its sha256; the Modelfile is generated again from the pinned manifest unless it is cached.

        Raises:
            InvalidReference: the reference is not pinned, or the entry has no sha256.
        """
        name = OllamaName.of(ref)
        if name.digest is None or entry.digest is None or entry.digest.algorithm != "sha256":
            raise InvalidReference(f"{ref.uri} is not pinned to a manifest.", "Resolve it first.", uri=ref.uri)
        registry = self._registry(ref, name)
        content = self._model(registry, name).modelfile if entry.path == NAME else None
        if content is not None:
            start = min(offset, len(content))
            yield ByteStream(start, iter((content[start:],)), len(content))
            return
        with registry.blob(name.repository, entry.digest, offset, entry.size) as stream:
            yield stream

    def service(self, ref: ModelRef | None = None) -> str:
        """Return the registry; see `interface.Service`."""
        return shown(self._address(ref))

    def greet(self, ref: ModelRef | None = None) -> str:
        """Ask whether the registry speaks its protocol; see `interface.Service`."""
        return OciRegistry(self._address(ref), self._transfer, self._settings.auth).greet()

    def _address(self, ref: ModelRef | None) -> str:
        if ref is not None:
            return _base_url(ref, OllamaName.of(ref), self._settings.endpoint)
        url = self._settings.endpoint.rstrip("/") or OLLAMA
        _authority(ref, url)
        return url

    def _registry(self, ref: ModelRef, name: OllamaName) -> OciRegistry:
        url = _base_url(ref, name, self._settings.endpoint)
        with self._lock:
            return self._registries.setdefault(url, OciRegistry(url, self._transfer, self._settings.auth))

    def _model(self, registry: OciRegistry, name: OllamaName) -> _Model:
        """Return the model of a name; a pinned and cached one needs no request."""
        with self._lock:
            known = self._models.get((registry.url, name.repository, name.digest)) if name.digest else None
        if known:
            return known
        where = f"{name} in {urlsplit(registry.url).netloc}"
        try:
            stored = registry.manifest(name.repository, name.reference)
        except ModelNotFound as error:
            raise ModelNotFound(
                f"There is no model {where}.", "Check its name and tag; upper and lower case count.", **error.facts
            ) from error
        manifest = read_manifest(stored.content, stored.media_type, where)
        files = layer_files(manifest, where)
        texts = self._texts(registry, name, files)
        if not any(file.role in _WEIGHTS for file in files):
            why = ", as it runs on another server" if runs_elsewhere(texts) else ""
            raise ModelNotFound(f"{where} has no weights{why}.", "Name a model that can be run locally.")
        model = _Model(stored.digest, files, modelfile(files, texts))
        with self._lock:
            self._models[registry.url, name.repository, stored.digest] = model
            while len(self._models) > KEPT_MODELS:
                self._models.popitem(last=False)
        return model

    def _texts(self, registry: OciRegistry, name: OllamaName, files: tuple[LayerFile, ...]) -> dict[str, bytes]:
        texts: dict[str, bytes] = {}
        left = MAX_TEXTS
        for file in files:
            if file.role in TEXTS and file.layer.size <= min(MAX_TEXT, left):
                left -= file.layer.size
                texts[file.path] = registry.small_blob(name.repository, file.layer.digest, file.layer.size)
        return texts


def _base_url(ref: ModelRef, name: OllamaName, endpoint: str) -> str:
    """Return the base URL of the registry that a reference names.

    1. The option `registry`, which must match the registry that the name begins with, if it has one.
    2. That registry: at the endpoint's URL where it is the same one, else over https.
    3. The endpoint, else Ollama's own.

    Raises:
        InvalidReference: there are two, or it is not a valid address.
    """
    given = set(ref.option("registry"))
    if len(given) > 1:
        raise InvalidReference("There are two registries.", "Keep one.", uri=ref.uri)
    if given:
        url = given.pop().rstrip("/")
        if name.host and _authority(ref, url) != name.host.lower():
            raise InvalidReference(
                f"The name begins with {name.host}, but the registry is another one.", "Keep one.", uri=ref.uri
            )
    else:
        url = endpoint.rstrip("/") or OLLAMA
        if name.host and _authority(ref, url) != name.host.lower():
            url = f"https://{name.host}"
    _authority(ref, url)
    return url


def _authority(ref: ModelRef | None, url: str) -> str:
    """Return host and port of a base URL in lowercase; raise InvalidReference for an invalid one."""
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and "@" not in parts.netloc
    except ValueError:
        plain = False
    if not plain or parts.query or parts.fragment or re.search(r"[^\x21-\x7e]|\\|/\.\.?(/|$)", url):
        raise InvalidReference(
            "The registry is not a plain http or https address.",
            "Write registry=https://host, without user.",
            **({"uri": ref.uri} if ref else {}),
        )
    return parts.netloc.lower()
