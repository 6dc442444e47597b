"""Pulling: which version and image a client of OCI registries gets for a name and a tag, or a digest.

Whether it gets any is decided where it is for clients of the Hugging Face Hub (intake.mirroring): each function here
asks that first. Not here: the protocol (web.oci), and what an image is made of (intake.oci_images).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from weighbridge.domain.access import Caller
from weighbridge.domain.digest import Digest
from weighbridge.domain.gguf_names import chosen, gguf_files
from weighbridge.domain.text import shown
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import FileNotInVersion, UnknownRevision, UsageError, VersionRefused
from weighbridge.intake.kept_images import LATEST, choices
from weighbridge.intake.mirrored_models import MAIN, MirroredModel
from weighbridge.intake.mirroring import Served, refuse_bytes, served
from weighbridge.intake.oci_images import Form, Image
from weighbridge.intake.resources import Resources

#: What a tag may be.
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
#: What may be done to answer one request for a digest that no image had so far: headers of GGUF files that are read,
#: and layers of images that are made.
_MOST_READ, _MOST_LAYERS = 16, 200_000


@dataclass(frozen=True)
class Blob:
    """A blob of an image.

    Attributes:
        given: the version.
        path: of the file that it is; empty for one that is made.
        content: of a blob that is made.
    """

    given: Served
    path: str = ""
    content: bytes = b""


def pulled(asked: str, tag: str, form: Form, caller: Caller, resources: Resources) -> tuple[Served, Image]:
    """Return the version and the image that a tag of a model means, for a caller.

    1. `latest` is the default version; a number, with or without a `v`, or a commit is that version.
    2. A quantisation, or the name of a GGUF file, chooses that model of the default version; after a number and a
       `-`, of that version. Without one it is Q4_K_M, or what comes nearest.
    3. `files` is every file of the version.

    Args:
        asked: the name as the client writes it.
        tag: the tag.
        form: the form that the client reads.
        caller: who asks.
        resources: those of the process.

    Raises:
        UnknownRevision: there is no such tag.
        UsageError: the version cannot be had in that form.
        LicenceNotAcknowledged: the caller has to acknowledge the licence first.
        WeighbridgeError: as `served`.
    """
    name = name_here(asked, caller, resources)
    number, choice = _read_tag(tag, resources.kept.model(name))
    given = served("models", name, number, caller, resources)
    refuse_bytes(given, caller, resources)
    return given, resources.images.of(given.version, choice, form)


def pulled_by_digest(asked: str, digest: Digest, caller: Caller, resources: Resources) -> tuple[Served, Image]:
    """Return the version and the image whose manifest has a digest.

    Raises:
        UnknownRevision: the model has no such manifest.
        WeighbridgeError: as `pulled`.
    """
    for given, image in _images(asked, digest, caller, resources):
        if image.digest == digest:
            refuse_bytes(given, caller, resources)
            return given, image
    raise UnknownRevision(f"{shown(asked, 100)} has no manifest {digest} here.", "Ask for it by a tag.", name=asked)


def blob_of(asked: str, digest: Digest, caller: Caller, resources: Resources) -> Blob:
    """Return the blob of a digest, of a version of the model that the caller may be given.

    Raises:
        FileNotInVersion: no such version of the model has it.
        WeighbridgeError: as `pulled`.
    """
    name = name_here(asked, caller, resources)
    refused: UnknownRevision | VersionRefused | None = None
    for number in _holding(name, digest, resources):
        try:
            given = served("models", name, number, caller, resources)
        except (UnknownRevision, VersionRefused) as error:  # Another version may have the same file.
            refused = error
            continue
        return Blob(given, path=given.version.manifest.by_digest[digest].path)
    for given, image in _images(asked, digest, caller, resources):
        if digest in image.made:
            refuse_bytes(given, caller, resources)
            return Blob(given, content=image.made[digest])
    if refused is not None:
        raise refused
    raise FileNotInVersion(f"{shown(asked, 100)} has no blob {digest} here.", commit="")


def tags(asked: str, caller: Caller, resources: Resources) -> list[str]:
    """Return the tags of a model, sorted: of the default version its choices, of each other one its number too.

    Raises:
        WeighbridgeError: as `served` of the default version.
    """
    name = name_here(asked, caller, resources)
    given = served("models", name, "", caller, resources)
    model = resources.kept.model(given.version.name)
    numbers = _passed(model) if model is not None else []
    own = choices(given.version)
    of_default = [*own, *(f"{given.version.version}-{choice}" for choice in own if choice != LATEST)]
    return sorted(tag for tag in {*of_default, *numbers} if TAG.fullmatch(tag))


def name_here(asked: str, caller: Caller, resources: Resources) -> str:
    """Return the name in the catalog of what a client asks for.

    1. That name, or the one that clients of the Hub write so.
    2. Without `library/`, which Ollama writes before a name without a slash.
    3. The one that differs in upper and lower case only, as most clients know lower case alone.

    Where several would be meant, or the caller's key is not for it, it is the name as it was asked for. So it is where
    unknown models are taken in, as each name is then the Hub's own.
    """
    kept = resources.kept
    if resources.mirror.upstream(asked).mode_of(asked) != "catalog":
        return asked
    for name in dict.fromkeys((asked, asked.removeprefix("library/"))):
        for look in (kept.name_of, kept.name_in_any_case):
            found = look(name)
            if found and kept.model(found) is not None and caller.may("reader", found):
                return found
    return asked


def _read_tag(tag: str, model: MirroredModel | None) -> tuple[str, str]:
    """Return the revision that a tag names, empty for the default version, and what it chooses of it."""
    if tag in (LATEST, MAIN):
        return "", ""
    if model is not None and model.find(tag) is not None:
        return tag, ""
    number, dash, choice = tag.partition("-")
    if dash and choice and model is not None and model.find(number) is not None:
        return number, "" if choice == LATEST else choice
    return "", tag


def _holding(name: str, digest: Digest, resources: Resources) -> Iterator[str]:
    """Yield the numbers of the versions of a model that passed and have a file, the default version first."""
    model = resources.kept.model(name)
    if model is None:
        return
    main = model.find("")
    first = main[0].number if main is not None else ""
    version = resources.kept.version(name, first) if first else None
    if version is not None and digest in version.manifest.by_digest:
        yield first
        return
    for number in resources.catalog.lists.versions_with(name, digest):
        if number != first:
            yield number


def _images(asked: str, digest: Digest, caller: Caller, resources: Resources) -> Iterator[tuple[Served, Image]]:
    """Yield images of a model until the one with a digest, which is the first one where it was seen before.

    Where this process has not made it yet, the images of each version are made, the default version's first.
    """
    name = name_here(asked, caller, resources)
    seen = resources.images.owner(name, digest)
    model = resources.kept.model(name)
    refused: UnknownRevision | VersionRefused | None = None
    if seen is not None and model is not None and model.find(seen.number) is not None:
        try:
            given = served("models", name, seen.number, caller, resources)
            yield given, resources.images.of(given.version, seen.choice, seen.form)
        except (UnknownRevision, VersionRefused) as error:  # Another version may have the same image.
            refused = error
    numbers = _passed(model) if model is not None else []
    if not numbers:
        served("models", name, "", caller, resources)
    yield from _every_image(name, numbers, caller, resources)
    if refused is not None:
        raise refused


def _every_image(
    name: str, numbers: Sequence[str], caller: Caller, resources: Resources
) -> Iterator[tuple[Served, Image]]:
    """Yield the images of versions of a model, as many as one request may cost.

    First those for which one header of a version is read, which is guessed to be that of its other models, too.
    """
    reads, layers = _MOST_READ, _MOST_LAYERS
    for number in numbers:
        given = served("models", name, number, caller, resources)
        for choice in ("", *choices(given.version)[1:]):
            layers -= len(given.version.manifest.files)
            if layers < 0:
                return
            with suppress(UsageError):
                yield given, resources.images.of(given.version, choice, "modelpack")
        reads -= 0 if _is_read(given.version, "", resources) else 1
        if reads >= 0:
            with suppress(UsageError):
                yield given, resources.images.of(given.version, "", "ollama")
            yield from ((given, image) for image in resources.images.guessed(given.version))
    for number in numbers:
        given = served("models", name, number, caller, resources)
        for choice in choices(given.version)[1:]:
            reads -= 0 if _is_read(given.version, choice, resources) else 1
            if reads >= 0:
                with suppress(UsageError):
                    yield given, resources.images.of(given.version, choice, "ollama")


def _passed(model: MirroredModel) -> list[str]:
    """Return the numbers of the versions that passed, the default one first, and then the latest."""
    numbers = [one.number for one in model.versions if one.passed]
    return sorted(numbers, key=lambda number: number != model.default)


def _is_read(version: ModelVersion, choice: str, resources: Resources) -> bool:
    """Return whether the image for Ollama needs no header that was not read yet."""
    picked = chosen(gguf_files(version.manifest.by_path), choice)
    entry = version.manifest.by_path[picked.paths[0]] if picked is not None else None
    return entry is None or entry.digest is None or resources.images.readings.is_kept(entry.digest)
