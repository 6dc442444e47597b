import json
from pathlib import Path
from typing import Any

import pytest

from tests.content.headers.samples import rules
from weighbridge.content.examination import Item, examine
from weighbridge.content.headers.config import (
    inspect_config,
    inspect_metadata,
    inspect_text,
    inspect_unnamed,
    weight_files,
)


@pytest.mark.parametrize(
    "value",
    [
        {"auto_map": {"AutoModel": "modeling_x.XModel"}},
        {"custom_pipelines": {"p": {"impl": "p.P"}}},
        {"trust_remote_code": True},
        [{"idx": 0, "name": "0", "path": "", "type": "custom.Module"}],
        {"_diffusers_version": "0.30", "_class_name": ["pipeline", "Mine"]},
        {"_diffusers_version": "0.30", "unet": ["my_unet", "Unet"]},
    ],
)
def test_what_makes_a_reader_run_code_is_an_error(value: Any) -> None:
    findings = inspect_config(value)
    assert [(finding.rule, finding.level) for finding in findings] == [("config.remote-code", "error")]


@pytest.mark.parametrize(
    "value",
    [
        {"model_type": "llama", "trust_remote_code": False, "auto_map": {}},
        {"model": {"vocab": {"auto_map": 17, "_target_": 18, "trust_remote_code": 19}}},
        [{"idx": 0, "name": "0", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"}],
        {"_diffusers_version": "0.30", "unet": ["diffusers", "UNet2DConditionModel"], "safety_checker": [None, None]},
        {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "sub/model.safetensors"}},
        None,
        3,
        [],
    ],
)
def test_what_is_usual_gives_nothing(value: Any) -> None:
    assert inspect_config(value) == ()


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "a/../../b", "..\\x", "a\0", "", "x" * 2000])
def test_an_index_that_leaves_the_folder_is_an_error(name: str) -> None:
    index = {"weight_map": {"a": name, "b": "model.safetensors"}}
    findings = inspect_config(index)
    assert rules(findings) == ["index.unsafe-path"]
    assert findings[0].message.isascii()
    assert weight_files(index) == {"model.safetensors"}


@pytest.mark.parametrize("mapped", ["x", [], {"a": 1}, {"a": None}])
def test_an_index_that_is_none_is_an_error(mapped: Any) -> None:
    assert rules(inspect_config({"weight_map": mapped})) == ["index.invalid"]


def test_a_module_folder_that_leaves_the_model_is_an_error() -> None:
    entry = {"idx": 0, "name": "0", "path": "../x", "type": "sentence_transformers.models.Pooling"}
    assert rules(inspect_config([entry])) == ["index.unsafe-path"]


def test_templates_are_inspected_wherever_they_stand() -> None:
    bad = "{{ x.__class__ }}"
    for value in (bad, [{"name": "default", "template": bad}], {"default": bad}):
        assert rules(inspect_config({"chat_template": value})) == ["template.internals"]


def test_a_wide_configuration_is_read_to_its_end() -> None:
    value = json.loads(json.dumps({"a": [{"n": number} for number in range(5000)]} | {"z": {"_target_": "x.y"}}))
    assert rules(inspect_config(value)) == ["config.imports"]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"tokenizer": {"_target_": "os.system", "command": "id"}}),
        "tokenizer:\n  _target_: os.system\n",
        "{tokenizer: {_target_: os.system}}",
    ],
)
def test_a_configuration_in_metadata_is_inspected(text: str) -> None:
    findings = inspect_text(text, "__hf_config__")
    assert rules(findings) == ["config.dangerous-target"]
    assert findings[0].location.startswith("__hf_config__")


@pytest.mark.parametrize(
    "text",
    ["", "pt", "{", "[1, 2", '{"ss_tag": {"__class__": 3}}', "a: b: c", "x" * 100, "Use trust_remote_code: b: c"],
)
def test_other_texts_in_metadata_are_nothing(text: str) -> None:
    assert inspect_text(text, "format") == ()


def test_broken_metadata_that_mentions_a_loaders_key_is_an_error() -> None:
    assert rules(inspect_text('{"_target_": "os.system"', "x")) == ["config.invalid"]


HYDRA = '{"tokenizer": {"_target_": "os.system", "command": "id"}}'


@pytest.mark.parametrize(
    "metadata",
    [
        {"format": "pt", "__hf_config__": HYDRA},
        {"_target_": "os.system"},
        {"notes": ["a", HYDRA]},
        {"config": "tokenizer:\n  _target_: os.system\n"},
        {"blob": "Y29zCnN5c3RlbQooUydpZCcKdFIu"},
    ],
    ids=["JSON", "key", "list", "YAML", "pickle"],
)
def test_metadata_that_makes_readers_act_is_an_error(metadata: dict[str, Any]) -> None:
    assert any(finding.level == "error" for finding in inspect_metadata(metadata))


@pytest.mark.parametrize(
    "text",
    [
        "Use trust_remote_code: [x: {",
        "set _target_ and run\n\tx: y",
        "networks.lora",
        '{"ss_bucket_info": {"buckets": {"0": {"resolution": [512, 512]}}}, "tags": {"__class__": 3}}',
        "{{ messages[0]['content'] }}",
    ],
)
def test_metadata_that_people_write_is_no_finding(text: str) -> None:
    assert inspect_metadata({"general.description": text, "ss_network_module": "networks.lora", "x": 3}) == ()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"auto_map": {"AutoModel": "m.M"}}', ["config.remote-code"]),
        ("model:\n  _target_: os.system\n", ["config.dangerous-target"]),
        ("The key auto_map: it names code.\nSee the guide.\n", []),
        ("[PAD]\n[UNK]\nauto_map\n_target_\n", []),
        ("plain words", []),
    ],
)
def test_a_text_without_a_format_counts_where_it_is_a_whole_configuration(
    tmp_path: Path, text: str, found: list[str]
) -> None:
    path = tmp_path / "settings"
    path.write_text(text)
    assert rules(inspect_unnamed(path)) == found
    check = examine(Item("settings", path, path.stat().st_size, "text"))
    assert [(finding.rule, finding.level) for finding in check.findings] == [(rule, "warning") for rule in found]
