"""A desk where models are signed, altered and looked at; what the gate makes of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from model_signing import hashing

from tests.content.model_signatures.signing import (
    FILES,
    Files,
    Publisher,
    in_this_process,
    model,
    signed,
    statement_of,
)
from weighbridge.config.publisher_keys import key_anchor
from weighbridge.content.model_signatures.checking import examine
from weighbridge.domain.policy import Policy
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.progress import Silent
from weighbridge.domain.publisher_rules import judge_publishers
from weighbridge.domain.publishers import Anchor, PublisherRule, PublisherSignature
from weighbridge.store.local import LocalBlobStore

STANDARD = PRESETS["standard"]
Hashing = Callable[[hashing.Config], Any]


@dataclass
class Desk:
    """Publishers, and a place where models are signed and looked at.

    Attributes:
        folder: for signing.
        team: a publisher whom policies name.
        other: another publisher.
        store: of blobs.
    """

    folder: Path
    team: Publisher
    other: Publisher
    store: LocalBlobStore
    places: Iterator[int]

    def signed(
        self, files: Files = FILES, by: Publisher | None = None, how: Hashing | None = None, **paths: Any
    ) -> bytes:
        place = self.folder / str(next(self.places))
        place.mkdir()
        return signed(place, files, by or self.team, how, **paths)

    def facts(self, files: Files, *anchors: Anchor, **options: Any) -> tuple[PublisherSignature, ...]:
        manifest = model(self.store, files)
        return examine(manifest, self.store, anchors or (self.anchor,), Silent(), ask=in_this_process, **options)

    @property
    def anchor(self) -> Anchor:
        return key_anchor(self.team.public)

    def judged(self, files: Files, policy: Policy | None = None, **rule: Any) -> list[tuple[str, str]]:
        """Return effects and rules under a policy that wants the team's signature, or under another one."""
        demanding = PublisherRule("mock:o/*", self.anchor, **rule)
        used = policy or replace(STANDARD, publishers=(demanding,))
        manifest = model(self.store, files)
        return [found[:2] for found in judge_publishers(manifest, self.facts(files), used)]


METHODS: dict[str, Hashing] = {
    "files": lambda config: config.use_file_serialization(),
    "files, blake2": lambda config: config.use_file_serialization(hashing_algorithm="blake2"),
    "files, blake3": lambda config: config.use_file_serialization(hashing_algorithm="blake3"),
    "shards": lambda config: config.use_shard_serialization(shard_size=1000),
    "shards, blake2": lambda config: config.use_shard_serialization(hashing_algorithm="blake2", shard_size=1000),
}


def saying(desk: Desk, resources: list[dict[str, Any]], **how: Any) -> dict[str, Any]:
    """Return a statement that lists these files."""
    found = statement_of(desk.signed())
    whole = hashes.Hash(hashes.SHA256())
    for one in resources:
        whole.update(bytes.fromhex(one["digest"]))
    found["subject"][0]["digest"]["sha256"] = whole.finalize().hex()
    serialization = {"method": "files", "hash_type": "sha256", "allow_symlinks": True, "ignore_paths": []}
    serialization |= {"ignore_paths" if name == "ignored" else name: value for name, value in how.items()}
    found["predicate"] = {"serialization": serialization, "resources": resources}
    return found


def with_bundle(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def altered(signature: bytes) -> bytes:
        bundle = json.loads(signature)
        change(bundle)
        return json.dumps(bundle).encode()

    return altered


def resource(name: str, content: bytes, algorithm: str = "sha256") -> dict[str, Any]:
    whole = hashes.Hash(hashes.SHA256())
    whole.update(content)
    return {"name": name, "algorithm": algorithm, "digest": whole.finalize().hex()}


def all_files(**names: str) -> list[dict[str, Any]]:
    return [resource(names.get(path.partition(".")[0], path), content) for path, content in FILES.items()]
