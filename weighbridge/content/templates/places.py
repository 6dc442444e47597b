"""Where templates are: keys of configurations, prompts of libraries, tasks of evaluation harnesses, a GGUF's metadata.

Not here: their problems (inspection), and whole files, which are detected by name (content.detection).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from weighbridge.content.templates.inspection import Template

#: Keys whose texts every reader takes for Jinja.
_CHAT = re.compile(r"(?:^|[._])chat[_-]templates?(?:_jinja)?$")
#: Keys whose texts prompt libraries (LangChain, Haystack, NeMo, MLflow) and lm-eval may take for Jinja; most are not.
_PROMPT = re.compile(
    r"(?:^|_)(?:template|prompt|prompts|instruction)$|^(?:template|prompt)_|^doc_to_(?:text|target|choice)$"
    r"|^(?:prefix|suffix)$",
    re.I,
)
#: What Jinja does begins with one of these; a text without them is only text.
_MARKS = ("{{", "{%")


def templates_in(value: Any) -> Iterator[Template]:
    """Yield the templates of a configuration, at any depth.

    A `chat_template` is a text, a list of `{name, template}`, or an object of texts by name. A prompt is Jinja when it
    says so (`template_format: jinja2`); otherwise it may be.
    """
    stack: list[tuple[Any, str]] = [(value, "")]
    while stack:
        found, where = stack.pop()
        items: Iterable[tuple[Any, Any]] = ()
        if isinstance(found, dict):
            items = found.items()
        elif isinstance(found, list) and any(isinstance(child, dict | list) for child in found):
            # Of a list of plain values nothing is a template: the merges of a tokenizer are half a million texts.
            items = enumerate(found)
        for key, child in items:
            if not isinstance(child, str | dict | list):
                continue
            if isinstance(found, dict) and isinstance(key, str) and (_CHAT.search(key) or _PROMPT.search(key)):
                yield from _at_key(key, child, found, _joined(where, key))
                if _CHAT.search(key):
                    continue
            if isinstance(child, dict | list):
                stack.append((child, _joined(where, key)))


def _joined(where: str, key: object) -> str:
    return f"{where}.{key}".lstrip(".")[:200]


def metadata_templates(metadata: Mapping[str, Any]) -> Iterator[Template]:
    """Yield the chat templates of metadata: a GGUF's `tokenizer.chat_template`, and those with a name behind it."""
    for key, value in metadata.items():
        if "chat_template" in key and isinstance(value, str):
            yield Template(value, key, key.partition("chat_template.")[2])
        elif "chat_template" in key and isinstance(value, list):
            # tokenizer.chat_templates lists the names of the others.
            for name in value:
                if isinstance(name, str):
                    yield Template("", key, name)


def _at_key(key: str, value: Any, holder: dict[str, Any], where: str) -> Iterator[Template]:
    if _CHAT.search(key):
        yield from _chat_templates(value, where)
    else:
        sure = key in ("template", "prefix", "suffix") and holder.get("template_format") == "jinja2"
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str) and any(mark in text for mark in _MARKS):
                yield Template(text, where, sure=sure)


def _chat_templates(value: Any, where: str) -> Iterator[Template]:
    if isinstance(value, str):
        yield Template(value, where)
    elif isinstance(value, list):
        for entry in value:
            if isinstance(entry, dict) and isinstance(entry.get("template"), str):
                name = entry.get("name", "")
                yield Template(entry["template"], f"{where}.{name}", name if isinstance(name, str) else "")
    elif isinstance(value, dict):
        for name, text in value.items():
            if isinstance(text, str):
                yield Template(text, f"{where}.{name}", str(name))
