"""The statement in a model's signature: which files were signed, each with its digest.

A signature is a Sigstore bundle (JSON) around a DSSE envelope around an in-toto statement. It is read strictly, since
libraries read it a second time: a text that two readers may understand in different ways is refused. Not here: whose
signature it is (checking).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.content.findings import quoted

#: Bytes of a signature; one over 100,000 files has about 20 MB.
MAX_SIZE = 32 * 1024**2
MEDIA_TYPE_PREFIX = "application/vnd.dev.sigstore.bundle"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
_STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
_FORMS = {"https://model_signing/signature/v1.0": "v1.0", "https://model_signing/Digests/v0.1": "v0.2"}
#: The algorithms of digests, with the number of hexadecimal digits.
ALGORITHMS = {"sha256": 64, "blake2b": 128, "blake3": 64}
_BUNDLE_KEYS = {"mediaType", "verificationMaterial", "dsseEnvelope"}
_ENVELOPE_KEYS = {"payload", "payloadType", "signatures"}
_MAX_DEPTH = 40


class UnreadableSignature(ValueError):
    """It is no signature of a model that can be read; the message says why, as the end of “… is: …”."""


class OtherSignature(UnreadableSignature):
    """It is a signature of something else than a model."""


@dataclass(frozen=True)
class SignedPart:
    """A file, or a part of one, that was signed.

    Attributes:
        path: as the signature names it, from its own folder on.
        start: the first byte.
        end: the byte after the last one; None for the whole file.
        digest: of the part, in hexadecimal digits.
    """

    path: str
    start: int
    end: int | None
    digest: str


@dataclass(frozen=True)
class SignedStatement:
    """What a signature says.

    Attributes:
        form: `v1.0`, or `v0.2` of the first tools.
        method: `files` or `shards`.
        algorithm: of the digests.
        parts: what was signed.
        ignored: paths that the signer left out on purpose.
        payload: the signed bytes.
        signature: the signature over them.
        material: how it is to be checked, as the bundle has it.
    """

    form: str
    method: str
    algorithm: str
    parts: tuple[SignedPart, ...]
    ignored: tuple[str, ...]
    payload: bytes
    signature: bytes
    material: Mapping[str, Any]


def read_statement(content: bytes) -> SignedStatement:
    """Return the statement of a signature's file.

    Raises:
        OtherSignature: it is a signature, and of no model.
        UnreadableSignature: it cannot be read, or in more than one way.
    """
    if len(content) > MAX_SIZE:
        raise UnreadableSignature(f"it has more than {MAX_SIZE // 2**20} MiB")
    bundle = _object(_json(content, "it"), "it")
    if not str(bundle.get("mediaType", "")).startswith(MEDIA_TYPE_PREFIX):
        raise OtherSignature("it is no Sigstore bundle")
    if "messageSignature" in bundle:
        raise OtherSignature("it is a signature of one file, and not of a model")
    if unknown := bundle.keys() - _BUNDLE_KEYS:
        raise UnreadableSignature(f"it has an unknown key {quoted(min(unknown))}")
    material = _object(bundle.get("verificationMaterial"), "its verificationMaterial")
    if key := _ambiguous_key(material):
        raise UnreadableSignature(f"it has an unknown key {quoted(key)}")
    payload, signature = _envelope(_object(bundle.get("dsseEnvelope"), "its dsseEnvelope"))
    said = _object(_json(payload, "its statement"), "its statement")
    if said.get("_type") != _STATEMENT_TYPE or said.get("predicateType") not in _FORMS:
        raise OtherSignature("its statement is none about the files of a model")
    form = _FORMS[said["predicateType"]]
    method, algorithm, parts, ignored = _of_v1(said) if form == "v1.0" else _of_v02(said)
    names = [(part.path, part.start) for part in parts]
    if len(set(names)) < len(names):
        raise UnreadableSignature("it lists a file twice")
    return SignedStatement(form, method, algorithm, parts, ignored, payload, signature, material)


def _json(content: bytes, what: str) -> Any:
    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            raise UnreadableSignature(f"{what} has a key twice")
        return found

    def constant(_: str) -> float:
        raise UnreadableSignature(f"{what} has a number that JSON does not know")

    try:
        return json.loads(content.decode(), object_pairs_hook=pairs, parse_constant=constant)
    except UnreadableSignature:
        raise
    except (ValueError, RecursionError) as error:
        raise UnreadableSignature(f"{what} is no JSON") from error


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableSignature(f"{what} is no object")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value or len(value) > 8192:
        raise UnreadableSignature(f"{what} is no text")
    return value


def _ambiguous_key(value: Any, depth: int = 0) -> str:
    """Return a key that a reader may take for another one (`raw_bytes` for `rawBytes`), or one too deep; else ""."""
    if depth > _MAX_DEPTH:
        return "…"
    if isinstance(value, dict):
        wrong = next((key for key in value if not (key.isascii() and key.isalnum())), "")
        return wrong or next(filter(None, (_ambiguous_key(part, depth + 1) for part in value.values())), "")
    if isinstance(value, list):
        return next(filter(None, (_ambiguous_key(part, depth + 1) for part in value)), "")
    return ""


def _base64(value: Any, what: str) -> bytes:
    if not isinstance(value, str):
        raise UnreadableSignature(f"{what} is no text")
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UnreadableSignature(f"{what} is not in base64") from error


def _envelope(envelope: dict[str, Any]) -> tuple[bytes, bytes]:
    if unknown := envelope.keys() - _ENVELOPE_KEYS:
        raise UnreadableSignature(f"it has an unknown key {quoted(min(unknown))}")
    if envelope.get("payloadType") != PAYLOAD_TYPE:
        raise OtherSignature("it signs something else than an in-toto statement")
    signatures = envelope.get("signatures")
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise UnreadableSignature("it has not exactly one signature")
    one = _object(signatures[0], "its signature")
    if unknown := one.keys() - {"sig", "keyid"}:
        raise UnreadableSignature(f"it has an unknown key {quoted(min(unknown))}")
    return _base64(envelope.get("payload"), "its payload"), _base64(one.get("sig"), "its signature")


def _of_v1(said: dict[str, Any]) -> tuple[str, str, tuple[SignedPart, ...], tuple[str, ...]]:
    predicate = _object(said.get("predicate"), "its predicate")
    how = _object(predicate.get("serialization"), "its serialization")
    method, algorithm = how.get("method"), how.get("hash_type")
    if method not in ("files", "shards") or algorithm not in ALGORITHMS:
        raise UnreadableSignature("it hashes the files in a way that is not known here")
    named = algorithm if method == "files" else f"{algorithm}-sharded-{_size(how.get('shard_size'))}"
    listed = predicate.get("resources")
    if not isinstance(listed, list):
        raise UnreadableSignature("it lists no files")
    parts, whole = [], hashlib.sha256()
    for one in listed:
        resource = _object(one, "a file that it lists")
        if resource.get("algorithm") != named:
            raise UnreadableSignature("it lists a file with another algorithm than it says")
        part = _part(_text(resource.get("name"), "a name"), resource.get("digest"), algorithm, method)
        whole.update(bytes.fromhex(part.digest))
        parts.append(part)
    subject = said.get("subject")
    only = _object(subject[0], "its subject") if isinstance(subject, list) and len(subject) == 1 else {}
    if _object(only.get("digest"), "its subject's digest").get("sha256") != whole.hexdigest():
        raise UnreadableSignature("its digest of all files is not that of the files that it lists")
    ignored = how.get("ignore_paths", [])
    if not isinstance(ignored, list) or not all(isinstance(path, str) for path in ignored):
        raise UnreadableSignature("its list of ignored paths is none")
    return method, algorithm, tuple(parts), tuple(ignored)


def _of_v02(said: dict[str, Any]) -> tuple[str, str, tuple[SignedPart, ...], tuple[str, ...]]:
    subjects = said.get("subject")
    if not isinstance(subjects, list):
        raise UnreadableSignature("it lists no files")
    parts = []
    for one in subjects:
        subject = _object(one, "a file that it lists")
        digest = _object(subject.get("digest"), "a digest").get("sha256")
        parts.append(_part(_text(subject.get("name"), "a name"), digest, "sha256", "files"))
    return "files", "sha256", tuple(parts), ()


def _size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnreadableSignature("it does not say how large its shards are")
    if value != int(value) or value < 1:
        raise UnreadableSignature("it does not say how large its shards are")
    return int(value)


def _part(name: str, digest: Any, algorithm: str, method: str) -> SignedPart:
    length = ALGORITHMS[algorithm]
    if not isinstance(digest, str) or len(digest) != length or not set(digest) <= set("0123456789abcdef"):
        raise UnreadableSignature(f"it has no {algorithm} of {quoted(name)}")
    if method == "files":
        return SignedPart(name, 0, None, digest)
    path, start, end = [*name.rsplit(":", 2), "", ""][:3]
    if not (path and all(part.isascii() and part.isdigit() and len(part) < 20 for part in (start, end))):
        raise UnreadableSignature(f"it has no place in a file for {quoted(name)}")
    return SignedPart(path, int(start), int(end), digest)
