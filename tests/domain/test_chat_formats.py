"""Chat templates are known by their marks; none is executed, and none is guessed."""

from __future__ import annotations

import pytest

from weighbridge.domain.chat_formats import FORMATS, chat_format

_LOOP = "{% for m in messages %}"


@pytest.mark.parametrize(
    ("template", "stop"),
    [
        (_LOOP + "{{ '<|im_start|>' + m.role + m.content + '<|im_end|>' }}", "<|im_end|>"),
        (_LOOP + "<|start_header_id|>{{ m.role }}<|end_header_id|>{{ m.content }}<|eot_id|>", "<|eot_id|>"),
        (_LOOP + "<start_of_turn>{{ m.role }}{{ m.content }}<end_of_turn>", "<end_of_turn>"),
        (_LOOP + "<|start_of_role|>{{ m.role }}<|end_of_role|>", "<|end_of_text|>"),
        (_LOOP + "<|START_OF_TURN_TOKEN|><|CHATBOT_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        (_LOOP + "<|user|>{{ m.content }}<|end|><|assistant|>", "<|end|>"),
        (_LOOP + "[gMASK]<sop><|user|><|assistant|>", "<|user|>"),
        (_LOOP + "'<|user|>' + m.content + eos_token + '<|assistant|>'", "</s>"),
        (_LOOP + "[INST] <<SYS>>{{ m.content }}<</SYS>> [/INST]", "<<SYS>>"),
        (_LOOP + "[INST] {{ m.content }} [/INST]", "[/INST]"),
        (_LOOP + "### Instruction:\n{{ m.content }}### Response:\n", "### Response:"),
        (_LOOP + "<\uff5cUser\uff5c>{{ m.content }}<\uff5cAssistant\uff5c>", "<\uff5cend\u2581of\u2581sentence\uff5c>"),
    ],
)
def test_a_format(template: str, stop: str) -> None:
    found = chat_format(template)
    assert found is not None
    assert stop in found.stop
    assert found.template.count("{{ .Prompt }}") == found.template.count("{{ .Response }}") == 1
    assert found.template.count("{{ if") == found.template.count("{{ end }}")


@pytest.mark.parametrize("template", ["", "{{ messages }}", "<|im_start|>", "{{ cycler.__init__.__globals__ }}"])
def test_another_one_has_none(template: str) -> None:
    assert chat_format(template) is None


def test_each_format_is_found() -> None:
    for one in FORMATS:
        assert chat_format(" ".join(one.marks)) is one
