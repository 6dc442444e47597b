"""The Modelfile of a model, from which `ollama create NAME -f Modelfile` creates it again in the folder of its files.

The grammar is that of Ollama (docs/modelfile.mdx, parser/parser.go). The same layers give the same bytes: they are part
of the model's identity, so a change of the text written here changes every such identity. Text from a layer is included
exactly, or left out with a comment that gives the reason; comments contain no text of a layer. Not here: reading layers
(sources.ollama).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import from_json

from weighbridge.sources.ollama_layers import CONFIG, LayerFile, Role

NAME = "Modelfile"
#: Roles whose content is in the file.
TEXTS = frozenset({Role.TEMPLATE, Role.SYSTEM, Role.PARAMS, Role.MESSAGES, Role.LICENSE, Role.CONFIG})
_HEAD = "# Written by Weighbridge from the layers of the model: ollama create NAME -f Modelfile"
_PATHS = ((Role.MODEL, "FROM"), (Role.PROJECTOR, "FROM"), (Role.ADAPTER, "ADAPTER"), (Role.DRAFT, "DRAFT"))
#: The parameters that Ollama accepts (api/types.go), some with a warning; any other makes it refuse the Modelfile.
_INTEGERS = frozenset(
    {"draft_num_predict", "main_gpu", "mirostat", "num_batch", "num_ctx", "num_gpu", "num_keep", "num_predict"}
    | {"num_thread", "repeat_last_n", "seed", "top_k"}
)
_NUMBERS = frozenset(
    {"frequency_penalty", "min_p", "mirostat_eta", "mirostat_tau", "presence_penalty", "repeat_penalty", "temperature"}
    | {"top_p", "typical_p"}
)
_SWITCHES = frozenset({"f16_kv", "logits_all", "low_vram", "penalize_newline", "use_mlock", "use_mmap", "vocab_only"})
_LISTS = frozenset({"stop"})
_SETTINGS = {
    "renderer": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}"),
    "parser": re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,79}"),
    "requires": re.compile(r"[0-9]{1,6}\.[0-9]{1,6}\.[0-9]{1,6}(-[A-Za-z0-9.]{1,40})?"),
}
_SPEAKERS = frozenset({"system", "user", "assistant"})
_MESSAGE_KEYS = frozenset({"role", "content"})


def modelfile(files: Sequence[LayerFile], texts: Mapping[str, bytes]) -> bytes | None:
    """Return the Modelfile, or None for a model that none can create: one of tensors, or without weights.

    Args:
        files: those of the model, in their order.
        texts: the content of those whose role is one of `TEXTS`, by path; without those that were too large to read.
    """
    if not any(file.role is Role.MODEL for file in files):
        return None
    lines = [_HEAD]
    for role, instruction in _PATHS:
        lines += [f"{instruction} ./{file.path}" for file in files if file.role is role]
    for file in files:
        if file.role in TEXTS:
            content = texts.get(file.path)
            large = [f"# {file.path} is left out: it is too large."]
            lines += large if content is None else _WRITERS[file.role](file.path, content)
        elif file.role is Role.OTHER:
            lines.append(f"# {file.path} is left out: no instruction has a place for it.")
        elif file.role in (Role.TENSOR, Role.JSON):
            lines.append("# A file that a layer gives a name to is left out: no instruction has a place for it.")
    return "".join(f"{line}\n" for line in lines).encode()


def _quoted(text: str) -> str | None:
    """Return text as an argument, or None when Ollama's parser would read it differently.

    The parser ends at three quotes before the end of a line, and drops invisible characters except white space.
    """
    if '"""' in text or not all(character.isprintable() or character in "\n\r\t" for character in text):
        return None
    return f'"{text}"' if not re.search(r'["\r\n]', text) else f'"""{text}"""'


def _text(instruction: str, path: str, content: bytes) -> Iterator[str]:
    try:
        quoted = _quoted(content.decode())
    except UnicodeDecodeError:
        quoted = None
    if quoted is None:
        yield f"# {instruction} is left out: a Modelfile cannot hold the characters of {path}."
    elif content:
        yield f"{instruction} {quoted}"


def _template(path: str, content: bytes) -> Iterator[str]:
    yield from _text("TEMPLATE", path, content)


def _system(path: str, content: bytes) -> Iterator[str]:
    yield from _text("SYSTEM", path, content)


def _license(path: str, content: bytes) -> Iterator[str]:
    yield from _text("LICENSE", path, content)


def _parameters(path: str, content: bytes) -> Iterator[str]:
    values = _json(content)
    if not isinstance(values, dict):
        yield f"# {path} is left out: it holds no JSON object."
        return
    for name, value in sorted(values.items()):
        arguments = _arguments(name, value)
        if arguments is None:
            shown = f" {name}" if re.fullmatch(r"[a-z0-9_]{1,40}", name) else ""
            yield f"# The parameter{shown} is left out: Ollama has none of that name and kind. See {path}."
            continue
        for argument in arguments:
            yield f"PARAMETER {name} {argument}"


def _arguments(name: str, value: Any) -> list[str] | None:
    if name in _LISTS:
        items = value if isinstance(value, list) else [value]
        quoted = [_quoted(item) if isinstance(item, str) and item else None for item in items]
        return None if None in quoted else [item for item in quoted if item is not None]
    if name in _SWITCHES:
        return [str(value).lower()] if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**63:
        return None
    if name in _INTEGERS:
        return [str(int(value))] if value == int(value) else None
    return [str(value)] if name in _NUMBERS else None


def _messages(path: str, content: bytes) -> Iterator[str]:
    """Yield a whole conversation or nothing: with a gap it would be a different one."""
    values = _json(content)
    lines: list[str] = []
    for value in values if isinstance(values, list) else [None]:
        role, text = (value.get("role"), value.get("content")) if isinstance(value, dict) else (None, None)
        quoted = _quoted(text) if isinstance(text, str) else None
        more = isinstance(value, dict) and any(value[key] for key in value.keys() - _MESSAGE_KEYS)
        if not isinstance(role, str) or role not in _SPEAKERS or quoted is None or more:
            yield f"# MESSAGE is left out: a Modelfile cannot hold what {path} says."
            return
        lines.append(f"MESSAGE {role} {quoted}")
    yield from lines


def _settings(path: str, content: bytes) -> Iterator[str]:
    values = _json(content)
    if not isinstance(values, dict):
        yield f"# {path} is left out: it holds no JSON object."
        return
    for name, pattern in _SETTINGS.items():
        value = values.get(name) or ""
        if isinstance(value, str) and pattern.fullmatch(value):
            yield f"{name.upper()} {value}"
        elif value:
            yield f"# {name.upper()} is left out: a Modelfile cannot hold what {path} says."


def _json(content: bytes) -> Any:
    try:
        return from_json(content, allow_inf_nan=False)
    except ValueError:
        return None


def runs_elsewhere(texts: Mapping[str, bytes]) -> bool:
    """Return whether a configuration says that the model runs on another server, so that it has no weights."""
    values = _json(texts.get(CONFIG, b""))
    return isinstance(values, dict) and bool(values.get("remote_host") or values.get("remote_model"))


_WRITERS = {
    Role.TEMPLATE: _template,
    Role.SYSTEM: _system,
    Role.PARAMS: _parameters,
    Role.MESSAGES: _messages,
    Role.LICENSE: _license,
    Role.CONFIG: _settings,
}
