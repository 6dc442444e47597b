"""Chat formats: a model's chat template as Ollama takes it, for the formats that most models have.

Models bring a template in Jinja, which is a program; Ollama has templates of Go. Nothing is executed here: a format is
known by the marks in its text, as llama.cpp knows them. A template with other marks has no format, and Ollama then
uses the one in the model's own header. Not here: where the template is read (intake.gguf_facts).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ChatFormat:
    """A chat format.

    Attributes:
        template: as Ollama takes it, with its `.System`, `.Prompt` and `.Response`.
        stop: texts at which an answer ends.
        marks: texts that a template in Jinja of this format has, all of them.
        without: texts that it does not have.
    """

    template: str
    stop: tuple[str, ...]
    marks: tuple[str, ...]
    without: tuple[str, ...] = ()


def _turns(system: str, user: str, assistant: str, end: str, between: str = "\n") -> str:
    """Return a template in which each speaker has a beginning, and all have one end."""
    return (
        f"{{{{ if .System }}}}{system}{{{{ .System }}}}{end}{between}{{{{ end }}}}"
        f"{{{{ if .Prompt }}}}{user}{{{{ .Prompt }}}}{end}{between}{{{{ end }}}}"
        f"{assistant}{{{{ .Response }}}}{end}{between}"
    )


def _header(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def _granite(role: str) -> str:
    return f"<|start_of_role|>{role}<|end_of_role|>"


_COMMAND = "<|START_OF_TURN_TOKEN|><|{}_TOKEN|>"
#: DeepSeek's marks have a bar of double width, and a block between words.
_DEEP_USER, _DEEP_ASSISTANT, _DEEP_END = (
    f"<\uff5c{word}\uff5c>" for word in ("User", "Assistant", "end\u2581of\u2581sentence")
)
#: The first one whose marks a template has counts.
FORMATS = (
    ChatFormat(
        _turns("<|im_start|>system\n", "<|im_start|>user\n", "<|im_start|>assistant\n", "<|im_end|>"),
        ("<|im_start|>", "<|im_end|>"),
        ("<|im_start|>", "<|im_end|>"),
    ),
    ChatFormat(
        _turns(_header("system"), _header("user"), _header("assistant"), "<|eot_id|>", ""),
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
    ),
    ChatFormat(
        "<start_of_turn>user\n{{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }}<end_of_turn>\n"
        "<start_of_turn>model\n{{ .Response }}<end_of_turn>\n",
        ("<start_of_turn>", "<end_of_turn>"),
        ("<start_of_turn>", "<end_of_turn>"),
    ),
    ChatFormat(
        _turns(_granite("system"), _granite("user"), _granite("assistant"), "<|end_of_text|>"),
        ("<|start_of_role|>", "<|end_of_text|>"),
        ("<|start_of_role|>", "<|end_of_role|>"),
    ),
    ChatFormat(
        _turns(
            _COMMAND.format("SYSTEM"), _COMMAND.format("USER"), _COMMAND.format("CHATBOT"), "<|END_OF_TURN_TOKEN|>", ""
        ),
        ("<|START_OF_TURN_TOKEN|>", "<|END_OF_TURN_TOKEN|>"),
        ("<|START_OF_TURN_TOKEN|>", "<|CHATBOT_TOKEN|>"),
        ("<|START_RESPONSE|>",),
    ),
    ChatFormat(
        _turns("<|system|>\n", "<|user|>\n", "<|assistant|>\n", "<|end|>"),
        ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
        ("<|user|>", "<|assistant|>", "<|end|>"),
    ),
    ChatFormat(
        "[gMASK]<sop>{{ if .System }}<|system|>\n{{ .System }}{{ end }}{{ if .Prompt }}<|user|>\n{{ .Prompt }}{{ end }}"
        "<|assistant|>\n{{ .Response }}",
        ("<|system|>", "<|user|>", "<|assistant|>"),
        ("[gMASK]<sop>", "<|user|>", "<|assistant|>"),
    ),
    ChatFormat(
        _turns("<|system|>\n", "<|user|>\n", "<|assistant|>\n", "</s>"),
        ("<|system|>", "<|user|>", "<|assistant|>", "</s>"),
        ("<|user|>", "<|assistant|>", "eos_token"),
        ("<|end|>", "<|endoftext|>"),
    ),
    ChatFormat(
        "[INST] {{ if .System }}<<SYS>>\n{{ .System }}\n<</SYS>>\n\n{{ end }}{{ .Prompt }} [/INST] {{ .Response }}</s>",
        ("[INST]", "[/INST]", "<<SYS>>", "<</SYS>>"),
        ("[INST]", "[/INST]", "<<SYS>>"),
    ),
    ChatFormat(
        "[INST] {{ if .System }}{{ .System }}\n\n{{ end }}{{ .Prompt }} [/INST] {{ .Response }}</s>",
        ("[INST]", "[/INST]"),
        ("[INST]", "[/INST]"),
        ("[SYSTEM_PROMPT]",),
    ),
    ChatFormat(
        f"{{{{ if .System }}}}{{{{ .System }}}}{{{{ end }}}}{_DEEP_USER}{{{{ .Prompt }}}}{_DEEP_ASSISTANT}"
        f"{{{{ .Response }}}}{_DEEP_END}",
        (_DEEP_USER, _DEEP_ASSISTANT, _DEEP_END),
        (_DEEP_USER, _DEEP_ASSISTANT),
    ),
    ChatFormat(
        "{{ if .System }}{{ .System }}\n\n{{ end }}### Instruction:\n{{ .Prompt }}\n\n"
        "### Response:\n{{ .Response }}\n\n",
        ("### Instruction:", "### Response:"),
        ("### Instruction:", "### Response:"),
    ),
)


def chat_format(template: str) -> ChatFormat | None:
    """Return the format of a chat template in Jinja; None for one that is not among `FORMATS`."""
    for one in FORMATS:
        if all(mark in template for mark in one.marks) and not any(mark in template for mark in one.without):
            return one
    return None
