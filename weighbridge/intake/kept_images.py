"""Images kept in memory, and to which version the digests in them belong: a client asks for each of them by its digest.

Not here: what an image is made of (intake.ollama_images, intake.modelpack_images), and who gets it (intake.pulling).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock

from weighbridge.domain.digest import Digest
from weighbridge.domain.gguf_names import GgufFile, chosen, gguf_files
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import UnknownRevision, UsageError
from weighbridge.intake.gguf_facts import GgufReadings
from weighbridge.intake.modelpack_images import modelpack_image
from weighbridge.intake.oci_images import Form, Image
from weighbridge.intake.ollama_images import gguf_image, is_ollamas, own_image, refuse_parts
from weighbridge.store.interface import BlobStore

#: The tag of the default version, and that of a version with every file.
LATEST, EVERYTHING = "latest", "files"
#: Images that are kept, and digests of which it is known whose they are.
_MOST_IMAGES, _MOST_DIGESTS = 256, 20_000


@dataclass(frozen=True)
class WantedImage:
    """Which image of a model is wanted.

    Attributes:
        number: of the version.
        choice: a quantisation or the name of a file; `EVERYTHING`; empty for the default.
        form: the form.
    """

    number: str
    choice: str
    form: Form


class KeptImages:
    """The images of one process, and to which model and version the digests in them belong. Safe for threads.

    Args:
        store: has the files.
        readings: the facts of those in GGUF.
    """

    def __init__(self, store: BlobStore, readings: GgufReadings) -> None:
        self._store, self.readings, self._lock = store, readings, Lock()
        self._images: OrderedDict[tuple[Digest, str, WantedImage], Image] = OrderedDict()
        self._owners: OrderedDict[tuple[str, Digest], WantedImage] = OrderedDict()

    def of(self, version: ModelVersion, choice: str, form: Form) -> Image:
        """Return the image of a version that a tag chooses, in a form.

        Args:
            version: the version.
            choice: a quantisation or a file's name; `EVERYTHING`; empty for the default.
            form: the form.

        Raises:
            UnknownRevision: the version has nothing of that name.
            UsageError: the version has no such form.
        """
        wanted = WantedImage(version.version, choice, form)
        key = (version.manifest.digest, version.name, wanted)
        with self._lock:
            found = self._images.get(key)
        if found is None:
            found = self._made(version, choice, form)
        with self._lock:
            self._images[key] = found
            self._images.move_to_end(key)
            while len(self._images) > _MOST_IMAGES:
                self._images.popitem(last=False)
            for digest in (found.digest, *found.made):
                self._owners[version.name, digest] = wanted
            while len(self._owners) > _MOST_DIGESTS:
                self._owners.popitem(last=False)
        return found

    def owner(self, name: str, digest: Digest) -> WantedImage | None:
        """Return the image of a model in which a manifest or a made blob was seen, or None."""
        return self._owners.get((name, digest))

    def _made(self, version: ModelVersion, choice: str, form: Form) -> Image:
        files = gguf_files(version.manifest.by_path)
        everything = choice == EVERYTHING
        picked = None if everything else chosen(files, choice)
        if choice and picked is None and not everything:
            raise UnknownRevision(
                f"{version.name} {version.version} has no {shown(choice, 80)} here.",
                f"It has {', '.join(choices(version)[:12])}.",
                name=version.name,
            )
        own = is_ollamas(version)
        if form == "modelpack":
            return modelpack_image(version, None if own else picked)
        if own:
            return own_image(version)
        if picked is None:
            why = "every file of a model is nothing for Ollama" if files else "it has no model in GGUF"
            raise UsageError(
                f"Ollama cannot load {version.name} {version.version}: {why}.",
                "Name a quantisation." if files else "oras, skopeo and other clients of OCI registries can pull it.",
            )
        refuse_parts(picked)
        return gguf_image(version, picked, self.readings.of(_digest(version, picked)), self._store)

    def guessed(self, version: ModelVersion) -> Iterator[Image]:
        """Yield the images for Ollama of the models in GGUF of a version, as if all had the header of the default one.

        The headers of quantisations of one model differ in little that an image has. Whoever looks for the image with
        a digest has found it if a guess has that digest, without reading each header.

        Raises:
            BlobMissing, ScannerUnavailable: the default one's header could not be read.
        """
        files = gguf_files(version.manifest.by_path)
        default = chosen(files, "")
        if default is None or default.is_split or is_ollamas(version):
            return
        facts = self.readings.of(_digest(version, default))
        for one in files:
            if not one.is_split:
                yield gguf_image(version, one, facts, self._store)


def _digest(version: ModelVersion, one: GgufFile) -> Digest:
    digest = version.manifest.by_path[one.paths[0]].digest
    assert digest is not None, "a computed manifest has the digest of every file"
    return digest


def choices(version: ModelVersion) -> list[str]:
    """Return what may be chosen of a version, the default first."""
    named = [one.quantisation or one.paths[0].rpartition("/")[2] for one in gguf_files(version.manifest.by_path)]
    return [LATEST, *dict.fromkeys(named), EVERYTHING]
