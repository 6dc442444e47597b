from typing import Any

import pytest

from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.next_version import next_version
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import UsageError


def files(**contents: str) -> Manifest:
    entries = (
        FileEntry(name.replace("_", "."), len(content), Digest.sha256(content.encode()))
        for name, content in contents.items()
    )
    return Manifest(ModelRef("mock", "o/n", "1"), tuple(entries))


def card(**values: Any) -> ModelCard:
    return ModelCard({name: Field(value, "config.json") for name, value in values.items()})


CARD = card(architecture="llama", vocab_size=100, tokenizer="BPE", licence="MIT")
FILES = files(model_safetensors="w", config_json="c")
BEFORE = ("1.2.3", CARD, FILES)


def test_the_first_version() -> None:
    assert next_version(None, CARD, FILES) == "1.0.0"
    assert next_version(None, CARD, FILES, "0.1.0-rc.1") == "0.1.0-rc.1"


@pytest.mark.parametrize(
    ("now", "manifest", "version"),
    [
        (card(architecture="bert", vocab_size=100), FILES, "2.0.0"),
        (card(architecture="llama", vocab_size=101), FILES, "2.0.0"),
        (card(tokenizer="Unigram"), FILES, "2.0.0"),
        (CARD, files(model_safetensors="other", config_json="c"), "1.3.0"),
        (CARD, files(model_safetensors="w", more_gguf="v", config_json="c"), "1.3.0"),
        (CARD, files(config_json="c"), "1.3.0"),
        (CARD, files(model_safetensors="w", config_json="other"), "1.2.4"),
        (CARD, files(renamed_safetensors="w", config_json="c"), "1.2.4"),
        (card(), files(model_safetensors="w", README_md="r"), "1.2.4"),
        (card(architecture="llama", licence="Apache-2.0"), FILES, "1.2.4"),
        (CARD, FILES, "1.2.4"),
    ],
)
def test_the_difference_decides(now: ModelCard, manifest: Manifest, version: str) -> None:
    assert next_version(BEFORE, now, manifest) == version


def test_a_user_may_say_otherwise() -> None:
    assert next_version(BEFORE, CARD, FILES, "1.9.0") == "1.9.0"
    assert next_version(BEFORE, CARD, FILES, "2.0.0-rc.1") == "2.0.0-rc.1"


@pytest.mark.parametrize("wanted", ["1.2.3", "1.2.2", "0.9", "v2.0.0", "latest", "1.2.3-rc.1", "1.2.3+build", "01.0.0"])
def test_but_not_anything(wanted: str) -> None:
    with pytest.raises(UsageError):
        next_version(BEFORE, CARD, FILES, wanted)
