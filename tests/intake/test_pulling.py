"""Which version and image an OCI client gets, or why none: the rules of `intake.pulling`, on a catalog and a store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.catalog.values import CARD, decision
from tests.web.oci.conftest import CHATML, weights
from weighbridge.config.settings import Settings
from weighbridge.domain.access import ANONYMOUS, Caller
from weighbridge.domain.decision import Verdict
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    BeingWeighed,
    FileNotInVersion,
    LicenceNotAcknowledged,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    ScannerUnavailable,
    UnknownRevision,
    VersionRefused,
    VersionWithdrawn,
)
from weighbridge.intake import gguf_facts
from weighbridge.intake.gguf_facts import GgufReadings
from weighbridge.intake.kept_images import KeptImages
from weighbridge.intake.oci_images import FORMS
from weighbridge.intake.pulling import blob_of, name_here, pulled, pulled_by_digest, tags
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import open_resources

READER = Caller("r", "reader")
NAME = "org/name"
OLD = {"m-Q4_K_M.gguf": weights(80, **{"tokenizer.chat_template": CHATML}), "m-Q8_0.gguf": weights(81), "a.md": b"old"}
NEW = {"m-Q4_K_M.gguf": weights(82), "m-Q8_0.gguf": weights(81), "a.md": b"new"}


@pytest.fixture
def resources(tmp_path: Path) -> Iterator[Resources]:
    with open_resources(Settings(home=tmp_path)) as opened:
        yield opened


def add(
    resources: Resources,
    files: Mapping[str, bytes] = OLD,
    number: str = "1.0.0",
    name: str = NAME,
    verdict: Verdict = "PASSED",
) -> None:
    entries = tuple(FileEntry(path, len(body), resources.store.put([body])) for path, body in files.items())
    uri = f"s3://bucket/{name}/"
    made = Manifest(ModelRef.parse(uri), entries)
    resources.catalog.settle_version(name, uri, made, CARD, decision(verdict), (), lambda _: number)


def forget(resources: Resources, *, headers: bool = False) -> None:
    """Be another process, which has made no image yet; perhaps one that has read no header either."""
    readings = GgufReadings(resources.store) if headers else resources.images.readings
    resources.images = KeptImages(resources.store, readings)


def test_another_process_finds_what_a_digest_names(resources: Resources) -> None:
    add(resources)
    add(resources, NEW, "1.1.0")
    for tag in ("latest", "1.0.0", "1.0.0-q8_0"):
        for form in FORMS:
            _, image = pulled(NAME, tag, form, ANONYMOUS, resources)
            for digest, content in image.made.items():
                forget(resources)
                blob = blob_of(NAME, digest, ANONYMOUS, resources)
                assert (blob.content, blob.path) == (content, "")
            forget(resources)
            assert pulled_by_digest(NAME, image.digest, ANONYMOUS, resources)[1] == image
    _, image = pulled(NAME, "1.0.0", "ollama", ANONYMOUS, resources)
    forget(resources, headers=True)
    assert pulled_by_digest(NAME, image.digest, ANONYMOUS, resources)[1] == image


def test_few_headers_are_read_for_a_digest(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    names = (
        "Q4_K_M",
        "Q2_K",
        *(f"IQ{number}_XS" for number in range(1, 9)),
        *(f"Q{number}_1" for number in range(1, 9)),
    )
    add(resources, {f"m-{name}.gguf": weights(number) for number, name in enumerate(names)})
    _, image = pulled(NAME, "Q8_1", "ollama", ANONYMOUS, resources)
    forget(resources, headers=True)
    read = gguf_facts.gguf.read
    paths: list[Path] = []
    monkeypatch.setattr(gguf_facts.gguf, "read", lambda path, limits: (paths.append(path), read(path, limits))[1])
    assert pulled_by_digest(NAME, image.digest, ANONYMOUS, resources)[1] == image
    for digest, content in image.made.items():
        assert blob_of(NAME, digest, ANONYMOUS, resources).content == content
    assert len(paths) == 1


def test_one_image_of_two_versions(resources: Resources) -> None:
    add(resources)
    add(resources, NEW, "1.1.0")
    same = [pulled(NAME, tag, "ollama", ANONYMOUS, resources)[1] for tag in ("1.1.0-Q8_0", "1.0.0-Q8_0")]
    assert same[0] == same[1]
    resources.catalog.withdraw(NAME, "1.0.0", "It lies.")
    assert pulled_by_digest(NAME, same[0].digest, ANONYMOUS, resources)[0].version.version == "1.1.0"
    resources.catalog.withdraw(NAME, "1.1.0", "It lies, too.")
    with pytest.raises(VersionWithdrawn):
        pulled_by_digest(NAME, same[0].digest, ANONYMOUS, resources)


def test_files_of_every_version_that_passed(resources: Resources) -> None:
    add(resources)
    add(resources, NEW, "1.1.0")
    found = {body: blob_of(NAME, Digest.sha256(body), ANONYMOUS, resources) for body in (b"old", b"new")}
    assert {body: blob.given.version.version for body, blob in found.items()} == {b"old": "1.0.0", b"new": "1.1.0"}
    resources.catalog.withdraw(NAME, "1.0.0", "It lies.")
    with pytest.raises(VersionWithdrawn):
        blob_of(NAME, Digest.sha256(b"old"), ANONYMOUS, resources)
    both = blob_of(NAME, Digest.sha256(weights(81)), ANONYMOUS, resources)
    assert both.given.version.version == "1.1.0", "a file that a version has that passed"
    with pytest.raises(FileNotInVersion):
        blob_of(NAME, Digest.sha256(b"none"), ANONYMOUS, resources)
    with pytest.raises(UnknownRevision):
        pulled_by_digest(NAME, Digest.sha256(b"none"), ANONYMOUS, resources)


def test_a_withdrawn_default_leaves_older_versions(resources: Resources) -> None:
    add(resources)
    add(resources, NEW, "1.1.0")
    resources.catalog.set_default(NAME, "1.1.0")
    _, old = pulled(NAME, "1.0.0", "ollama", ANONYMOUS, resources)
    _, new = pulled(NAME, "latest", "ollama", ANONYMOUS, resources)
    resources.catalog.withdraw(NAME, "1.1.0", "It lies.")
    for kept in (True, False):
        if not kept:
            forget(resources)
        assert pulled_by_digest(NAME, old.digest, ANONYMOUS, resources)[1] == old
        assert blob_of(NAME, next(iter(old.made)), ANONYMOUS, resources).content in old.made.values()
        with pytest.raises(UnknownRevision):
            pulled_by_digest(NAME, new.digest, ANONYMOUS, resources)


def test_what_did_not_pass_gives_nothing(resources: Resources) -> None:
    add(resources, verdict="FAILED")
    for tag in ("latest", "1.0.0", "Q4_K_M", "none"):
        with pytest.raises(VersionRefused):
            pulled(NAME, tag, "ollama", READER, resources)
    with pytest.raises(VersionRefused):
        blob_of(NAME, Digest.sha256(b"old"), READER, resources)
    with pytest.raises(VersionRefused):
        tags(NAME, READER, resources)


def test_a_key_for_other_models(resources: Resources) -> None:
    add(resources)
    stranger = Caller("s", "reader", ("team/*",))
    for ask in (
        lambda: pulled(NAME, "latest", "modelpack", stranger, resources),
        lambda: pulled("ORG/Name", "latest", "modelpack", stranger, resources),
        lambda: blob_of(NAME, Digest.sha256(b"old"), stranger, resources),
        lambda: pulled_by_digest(NAME, Digest.sha256(b"old"), stranger, resources),
        lambda: tags(NAME, stranger, resources),
    ):
        with pytest.raises(NotPermitted):
            ask()


def test_names_as_clients_write_them(resources: Resources) -> None:
    for name in ("Org/Model-GGUF", "team/model:7b", "single", "Twice/x", "twice/X"):
        add(resources, name=name)
    for asked, found in {
        "Org/Model-GGUF": "Org/Model-GGUF",
        "org/model-gguf": "Org/Model-GGUF",
        "team/model-7b": "team/model:7b",
        "TEAM/Model-7B": "team/model:7b",
        "library/single": "single",
        "library/SINGLE": "single",
        "Twice/x": "Twice/x",
        "twice/x": "twice/x",
        "org/none": "org/none",
    }.items():
        assert name_here(asked, READER, resources) == found
    with pytest.raises(NotInCatalog):
        pulled("twice/x", "latest", "modelpack", READER, resources)


def test_manifests_and_bytes_wait_for_an_acknowledgement(resources: Resources, tmp_path: Path) -> None:
    add(resources)
    policy = tmp_path / "policy.yaml"
    policy.write_text("extends: minimal\nlicence: {acknowledge: always}\n")
    with open_resources(Settings(home=tmp_path, policy=str(policy))) as strict:
        with pytest.raises(LicenceNotAcknowledged):
            pulled(NAME, "latest", "ollama", READER, strict)
        _, image = pulled(NAME, "latest", "modelpack", ANONYMOUS, resources)
        for digest in (image.digest, *image.made):
            with pytest.raises(LicenceNotAcknowledged):
                pulled_by_digest(NAME, image.digest, READER, strict)
            if digest in image.made:
                with pytest.raises(LicenceNotAcknowledged):
                    blob_of(NAME, digest, READER, strict)


def test_an_unknown_model_is_taken_in_once_whatever_the_tag(tmp_path: Path) -> None:
    config = tmp_path / "mirror.yaml"
    config.write_text("backends: [{type: huggingface, config: {base_url: 'http://127.0.0.1:9', mode: gated}}]")
    with open_resources(Settings(home=tmp_path, mirror_config=config)) as gated:
        with pytest.raises(NotAuthenticated):
            pulled("org/new-GGUF", "Q4_K_M", "ollama", ANONYMOUS, gated)
        for tag in ("Q4_K_M", "latest", "Q8_0", "1.0.0", "v9"):
            with pytest.raises(BeingWeighed):
                pulled("org/new-GGUF", tag, "ollama", READER, gated)
        with pytest.raises(BeingWeighed):
            blob_of("org/new-GGUF", Digest.sha256(b"x"), READER, gated)
        assert [job.order.name for job in gated.catalog.jobs.listed()] == ["org/new-GGUF"]


def test_a_header_that_cannot_be_read_now(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> None:
    add(resources)
    limits = gguf_facts.ReadingLimits(wall_time_s=0.0)
    monkeypatch.setattr(gguf_facts, "_LIMITS", limits)
    with pytest.raises(ScannerUnavailable):
        pulled(NAME, "latest", "ollama", READER, resources)
    monkeypatch.undo()
    assert pulled(NAME, "latest", "ollama", READER, resources)
