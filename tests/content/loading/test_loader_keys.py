import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.content.loading.samples import BESIDE, KEYS, mapping
from weighbridge.content.examination import Item, examine
from weighbridge.content.loading.inspection import inspect_value
from weighbridge.content.loading.loader_keys import LOADER_KEYS
from weighbridge.domain.rules import RULES


def errors(value: Any) -> set[str]:
    return {finding.rule for finding in inspect_value(value) if finding.level == "error"}


def nested(value: dict[str, Any]) -> Any:
    """The same mapping deep in a configuration, among what is usual."""
    return {"model_type": "llama", "text_config": {"layers": [{"hidden_size": 4}, {"inner": [value, 1]}]}}


def test_every_key_has_samples_a_source_and_a_reader() -> None:
    assert {entry.name for entry in LOADER_KEYS} == KEYS.keys()
    assert {entry.name for entry in LOADER_KEYS if entry.beside} == BESIDE.keys()
    assert all(entry.since and entry.reader for entry in LOADER_KEYS)
    assert {rule for rule, _, _ in KEYS.values()} <= RULES.keys()


@pytest.mark.parametrize("key", KEYS)
def test_a_hostile_value_is_an_error_at_any_depth(key: str) -> None:
    value = mapping(key, hostile=True)
    assert KEYS[key][0] in errors(value)
    assert KEYS[key][0] in errors(nested(value))


@pytest.mark.parametrize("key", KEYS)
def test_a_harmless_value_is_none(key: str) -> None:
    value = mapping(key, hostile=False)
    assert errors(value) == errors(nested(value)) == set()
    assert {finding.level for finding in inspect_value(value)} <= {"note"}


@pytest.mark.parametrize("key", BESIDE)
def test_an_ordinary_word_counts_only_beside_what_its_reader_needs(key: str) -> None:
    value = {key: KEYS[key][1], "__module__": "os"}
    assert errors(value) == set()


def test_tokens_of_a_vocabulary_are_no_keys() -> None:
    vocabulary = {key: number for number, key in enumerate(KEYS)}
    assert inspect_value({"model": {"type": "BPE", "vocab": vocabulary, "merges": [["auto", "_map"]]}}) == ()
    assert inspect_value({"added_tokens": [{"id": 1, "content": "trust_remote_code", "special": True}]}) == ()


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("name", ["config.json", "any.json", "any.yaml", "MLmodel"])
def test_every_kind_of_text_is_held_against_the_table(tmp_path: Path, key: str, name: str) -> None:
    path = tmp_path / "blob"
    kind = {"config.json": "config", "any.json": "json", "any.yaml": "yaml", "MLmodel": "mlmodel"}[name]
    for hostile in (True, False):
        value = [mapping(key, hostile=hostile)]
        path.write_text(json.dumps(value) if name.endswith("json") else yaml.safe_dump(value))
        check = examine(Item(name, path, path.stat().st_size, kind))
        assert check.status == "completed"
        found = {finding.rule for finding in check.findings if finding.level == "error"}
        assert (KEYS[key][0] in found) if hostile else found == set()


def test_a_kernel_of_the_community_is_a_warning() -> None:
    value = {"attn_implementation": "kernels-community/flash-attn3"}
    assert [(found.rule, found.level) for found in inspect_value(value)] == [("config.other-repository", "warning")]
    assert errors({"attn_implementation": "evil/kernels-community/x"}) == {"config.other-repository"}


def test_code_of_another_repository_is_told_from_the_models_own() -> None:
    assert errors({"auto_map": {"AutoModel": "other/repo--modeling.Model"}}) == {"config.other-repository"}
    assert errors({"auto_map": {"AutoTokenizer": ["tok.Slow", None]}}) == {"config.remote-code"}


@pytest.mark.parametrize("value", [{"a": "b"}, ["os", "system"], "${oc.env:X}", " os.system", "evil", "os..system"])
def test_a_target_that_cannot_be_read_is_an_error(value: Any) -> None:
    assert errors({"_target_": value}) == {"config.imports"}


def test_paths_that_are_left_over_are_warnings() -> None:
    for path in ("/home/someone/vocab.txt", "C:\\models\\vocab.txt", "~/vocab.txt", "https://example.org/vocab.txt"):
        assert {finding.level for finding in inspect_value({"vocab_file": path})} == {"warning"}


def test_messages_say_who_does_what() -> None:
    (finding,) = inspect_value({"vision_config": {"auto_map": {"AutoConfig": "x.Y\n"}}})
    assert finding.message == "transformers runs code of the publisher on load (auto_map): 'x.Y\\n'."
    assert finding.location == "vision_config.auto_map"
