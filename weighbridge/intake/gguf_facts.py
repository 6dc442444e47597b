"""Facts of GGUF files in the store: what Ollama wants to know of one, read from its header once.

Not here: reading a header (content.headers.gguf), and the chat formats (domain.chat_formats).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from weighbridge.content.headers import gguf
from weighbridge.content.sandbox import ReadingLimits
from weighbridge.domain.chat_formats import ChatFormat, chat_format
from weighbridge.domain.digest import Digest
from weighbridge.errors import ScannerUnavailable
from weighbridge.store.local import LocalBlobStore

#: A client waits for it.
_LIMITS = ReadingLimits(wall_time_s=20.0)
#: Files whose facts are kept; those of one take about 1 kB.
_MOST_KEPT = 10_000


@dataclass(frozen=True)
class GgufFacts:
    """What the header of a GGUF says.

    Attributes:
        architecture: such as `llama`; empty where it is not said.
        parameters: weights, counted from the tensors' shapes.
        file_type: the quantisation, such as `Q4_K_M`; empty where it is not said.
        chat: the format of its chat template; None for none, or one that is not known.
    """

    architecture: str
    parameters: int
    file_type: str
    chat: ChatFormat | None


class GgufReadings:
    """The facts of one process's store, each read once. Safe for threads."""

    def __init__(self, store: LocalBlobStore) -> None:
        self._store, self._lock = store, Lock()
        self._kept: OrderedDict[Digest, GgufFacts] = OrderedDict()

    def is_kept(self, digest: Digest) -> bool:
        """Return whether the facts of a file are known without reading it."""
        return digest in self._kept

    def of(self, digest: Digest) -> GgufFacts:
        """Return the facts of a file.

        Raises:
            BlobMissing: it is not in the store.
            ScannerUnavailable: it could not be read now.
        """
        with self._lock:
            found = self._kept.get(digest)
            if found is not None:
                self._kept.move_to_end(digest)
                return found
        found = self._read(digest)
        with self._lock:
            self._kept[digest] = found
            if len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return found

    def _read(self, digest: Digest) -> GgufFacts:
        header = gguf.read(self._store.path(digest), _LIMITS)
        if header.failure:
            raise ScannerUnavailable(f"The header of {digest} could not be read: {header.failure}.", "Try again.")
        architecture, template = (_text(header, key) for key in ("general.architecture", "tokenizer.chat_template"))
        return GgufFacts(
            architecture=architecture[:80],
            parameters=sum(header.parameters.values()),
            file_type=gguf.file_type(header.metadata.get("general.file_type")),
            chat=chat_format(template) if template else None,
        )


def _text(header: gguf.GgufHeader, key: str) -> str:
    value = header.metadata.get(key)
    return value if isinstance(value, str) else ""
