import pytest

from tests.content.headers.samples import rules
from weighbridge.content.headers.config import inspect_config, inspect_metadata
from weighbridge.content.templates.inspection import Template, inspect
from weighbridge.content.templates.places import metadata_templates, templates_in

SSTI = "{{ cycler.__init__.__globals__ }}"


def test_chat_templates_are_found_in_every_shape() -> None:
    assert [found.key for found in templates_in({"chat_template": "x"})] == ["chat_template"]
    named = [{"name": "default", "template": "x"}, {"name": "tool_use", "template": "y"}, {"name": 3}, "x"]
    assert [found.key for found in templates_in({"chat_template": named})] == (
        ["chat_template.default", "chat_template.tool_use"]
    )
    assert [found.text for found in templates_in({"chat_template": {"a": "x", "b": 1}})] == ["x"]
    assert list(templates_in([])) == []


@pytest.mark.parametrize(
    "value",
    [
        {"chat_template": SSTI},
        {"processor": {"default_chat_template": SSTI}},
        [{"tokenizer": [{"chat_template": [{"name": "default", "template": SSTI}]}]}],
        {"_type": "prompt", "template_format": "jinja2", "template": "{{ q }}" + SSTI},
        {"_type": "few_shot", "example_prompt": {"template": SSTI, "template_format": "jinja2"}, "prefix": ""},
        {"components": {"builder": {"init_parameters": {"template": SSTI}}}},
        {"model": {"prompt_template": SSTI}},
        {"task": "arc", "doc_to_text": SSTI, "doc_to_choice": ["{{ a }}", "b"]},
        {"chat": {"system_prompt": SSTI}},
        {"_type": "few_shot", "template_format": "jinja2", "prefix": SSTI, "suffix": "{{ q }}"},
        {"chat_template_jinja": SSTI},
        {"chat-template": SSTI},
    ],
)
def test_templates_are_inspected_at_any_depth(value: object) -> None:
    assert "template.internals" in rules(inspect_config(value))


@pytest.mark.parametrize(
    "value",
    [
        {"template": 'Answer {question} as {{"a": 1}}.', "template_format": "f-string"},
        {"template": "{{ if .System }}<|system|>{{ .System }}{{ end }}{{ .Prompt }}"},
        {"prompts": {"query": "query: ", "passage": "passage: "}},
        {"model": {"vocab": {"{{": 1, "{%": 2, "template": 3}}},
        {"prompt_template": "### Instruction:\n{prompt}\n### Response:"},
    ],
)
def test_prompts_that_are_no_jinja_are_no_finding(value: object) -> None:
    assert [rule for rule in rules(inspect_config(value)) if rule.startswith("template")] == []


@pytest.mark.parametrize("name", ["../../../../tmp/owned", "/etc/x", "a/b", "..", "C:\\x", "a\\..\\b", "a\0b"])
def test_a_name_that_leaves_the_folder_is_an_error(name: str) -> None:
    for value in ([{"name": name, "template": "x"}], {name: "x"}):
        found = [finding for finding in inspect_config({"chat_template": value}) if finding.rule.startswith("template")]
        assert [(finding.rule, finding.level) for finding in found] == [("template.unsafe-name", "error")]
    names = [found.name for found in metadata_templates({"tokenizer.chat_templates": [name]})]
    assert names == [name]


def test_more_templates_than_are_read_are_an_error() -> None:
    text = "{{ messages }}" + "x" * 200_000
    many = {"chat_template": {f"t{number}": text for number in range(8)}}
    assert rules(inspect_config(many)) == ["template.too-large"]


def test_names_in_use_are_safe() -> None:
    for name in ("default", "tool_use", "rag", "qwen3-vl.v2", "Werkzeuge"):
        assert inspect(Template("x", "t", name)) == ()


def test_templates_of_metadata_are_inspected() -> None:
    for key in ("chat_template", "tokenizer.chat_template", "tokenizer.chat_template.tool_use"):
        assert "template.internals" in rules(inspect_metadata({key: SSTI}))


def test_templates_of_a_gguf() -> None:
    metadata = {"tokenizer.chat_template": "a", "tokenizer.chat_template.tool_use": "b", "general.name": "c"}
    assert [(found.text, found.name) for found in metadata_templates(metadata)] == [("a", ""), ("b", "tool_use")]
