"""Judgements on a key's value: whether it makes a reader run, import, fetch or read something, and how bad that is.

Each takes the value and the mapping that holds it, and yields rulings; a value of another type than readers expect,
such as the number of a token in a vocabulary, yields nothing. Not here: which key has which judgement (loader_keys),
dotted names (targets), whole files of one layout (layouts).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.content.loading.targets import is_dotted, package_of, standing_of
from weighbridge.domain.paths import safe_path
from weighbridge.domain.report import Level
from weighbridge.errors import UnsafePath

#: The most texts of one value that are checked; a real auto_map has a dozen.
MAX_TEXTS = 1000
#: The organisation whose attention kernels transformers loads without asking.
_KERNELS = "kernels-community/"
_ABSOLUTE = re.compile(r"^([/\\~]|[A-Za-z]:[/\\])")
_URL = re.compile(r"^[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_CLIMBS = re.compile(r"(^|[/\\])\.\.([/\\]|$)")
#: LangChain's chains and tools whose work is to run code or commands that a model wrote.
_RUNS_CODE = re.compile(
    r"bash|shell|repl|\bpal\b|pal_chain|PALChain|terminal|python_|langchain_experimental", re.IGNORECASE
)
_COMMAND = re.compile(r"[;&|<>`\n\r]|\$\(")


@dataclass(frozen=True)
class Ruling:
    """What a value makes a reader do.

    Attributes:
        rule: id of the finding's rule.
        level: of the finding.
        does: what the reader does, as the end of a sentence that begins with the reader.
        shown: the part of the value that makes it do so.
    """

    rule: str
    level: Level
    does: str
    shown: Any


Judgement = Callable[[Any, Mapping[Any, Any]], Iterable[Ruling]]


def own_or_other_code(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge names of classes in Python files: of the model, or of another repository before `--`."""
    for text in texts(value):
        if "--" in text:
            yield Ruling("config.other-repository", "error", "runs code of another repository on load", text)
        elif text:
            yield Ruling("config.remote-code", "error", "runs code of the publisher on load", text)


def pipelines(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge pipelines by name: of each, `impl` names the class."""
    for entry in value.values() if isinstance(value, dict) else ():
        yield from own_or_other_code(entry.get("impl") if isinstance(entry, dict) else None, {})


def custom_code(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge the name of code: a repository when it has a slash, else a file of the model."""
    for text in texts(value):
        if "/" in text or "--" in text:
            yield Ruling("config.other-repository", "error", "runs code of another repository on load", text)
        elif text:
            yield Ruling("config.remote-code", "error", "runs code of the publisher on load", text)


def code_by_suffix(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a text that may be many things: one that names a Python file, or a name in one, is run."""
    for text in texts(value):
        if re.search(r"\.py(:|$)", text):
            yield Ruling("config.remote-code", "error", "runs a file of the model as code", text)


def trust_switch(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a switch by which code of repositories is trusted: only when it is on."""
    if _is_on(value):
        yield Ruling("config.remote-code", "error", "trusts code of repositories without asking the user", value)


def unpickling_switch(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a switch by which a reader unpickles: only when it is on."""
    if _is_on(value):
        yield Ruling("config.unpickles", "error", "unpickles files, which runs any code in them", value)


def kernel(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge an implementation: a plain name is one of the reader's own, one with a slash is fetched and imported."""
    for text in texts(value):
        if "/" not in text:
            continue
        ours = re.split(r"[|@:]", text.rpartition("|")[2])[0].strip().startswith(_KERNELS)
        does = "fetches a kernel from another repository and imports it"
        yield Ruling("config.other-repository", "warning" if ours else "error", does, text)


def target(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge the dotted name of what a reader imports and calls."""
    if isinstance(value, dict | list) and value:
        yield Ruling("config.imports", "error", "imports and calls what is computed while it reads", value)
    elif isinstance(value, str) and value:
        yield from _called(value)


def target_if_dotted(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a name that is imported only when it has a dot; other names are the reader's own."""
    for text in texts(value):
        if is_dotted(text):
            yield from _called(text)


def _called(text: str) -> Iterator[Ruling]:
    standing = standing_of(text)
    if standing == "known":
        package = package_of(text) or text
        yield Ruling("config.known-class", "note", f"builds classes of {package} with the publisher's settings", text)
    elif standing == "fetching":
        yield Ruling("config.fetches", "warning", "fetches a model that was not looked at", text)
    elif standing == "foreign":
        yield Ruling("config.imports", "error", "imports and calls what no known package of models defines", text)
    elif standing == "dangerous":
        yield Ruling("config.dangerous-target", "error", "calls what can run programs or code", text)
    else:
        yield Ruling("config.imports", "error", "imports and calls what no plain name says", text)


def imported_module(*known: str) -> Judgement:
    """Return the judgement on names of modules: only those below the known ones are the reader's own."""

    def judge(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
        for text in texts(value):
            if text and not any(text == name or text.startswith(f"{name}.") for name in known):
                yield Ruling("config.imports", "error", "imports a module by its name", text)

    return judge


def class_in_module(value: Any, mapping: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge the name of a class whose module is under `__module__` beside it."""
    module = mapping.get("__module__")
    if isinstance(value, str) and isinstance(module, str):
        yield from _called(f"{module}.{value}")


def langchain_id(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge the id of a LangChain object: a list of its module's parts and its class."""
    parts = list(texts(value)) if isinstance(value, list) else []
    name = ".".join(parts)
    if any(_RUNS_CODE.search(part) for part in parts):
        yield Ruling("config.dangerous-target", "error", "builds a tool that runs code or commands", name)
    elif len(parts) > 1 and not parts[0].startswith("langchain"):
        yield Ruling("config.imports", "error", "imports and calls what is not LangChain's own", name)


def langchain_type(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge the type of a LangChain chain, agent or tool."""
    if isinstance(value, str) and _RUNS_CODE.search(value):
        yield Ruling("config.dangerous-target", "error", "builds a chain or tool that runs code or commands", value)


def library(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge the path of a shared library that the reader loads."""
    for text in texts(value):
        if text:
            yield Ruling("config.native-library", "error", "loads a program library into its process", text)


def command(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a command that the reader passes to a shell."""
    for text in texts(value):
        if text:
            yield Ruling("config.command", "error", "runs a command of the publisher's", text)


def started_command(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a command that a person starts by name: only one that does more than to run one program is an error."""
    for text in texts(value):
        simple = re.match(r"\s*python3?\s+(-m\s+\w|[\w./-]+\.py)", text) and not _COMMAND.search(text)
        if text:
            yield Ruling("config.command", "warning" if simple else "error", "runs a command of the publisher's", text)


def joined_path(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a path that the reader joins to the model's folder: it may not leave it, or be an address."""
    for text in texts(value):
        if text and leaves_the_folder(text):
            yield Ruling("config.reads-outside", "error", "reads a file outside of the model", text)


def left_over_path(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a path that is mostly the publisher's own, left over: one that climbs or names a server is an error.

    Tokenizers and adapters are full of absolute paths of the machine that saved them; readers that follow them find
    nothing there.
    """
    for text in texts(value):
        if _CLIMBS.search(text) or text.startswith(("\\\\", "//")) or text.lower().startswith("file:"):
            yield Ruling("config.reads-outside", "error", "reads a file outside of the model", text)
        elif _ABSOLUTE.match(text):
            yield Ruling("config.reads-outside", "warning", "may read a file outside of the model", text)
        elif _URL.match(text):
            yield Ruling("config.fetches", "warning", "may fetch a file from elsewhere", text)


def evaluated(value: Any, _: Mapping[Any, Any]) -> Iterator[Ruling]:
    """Judge a text that the reader evaluates as code, or a serialized call."""
    if isinstance(value, str | list | dict) and value:
        yield Ruling("config.dangerous-target", "error", "runs what is written there as code", value)


def leaves_the_folder(text: str) -> bool:
    """Return whether a path leads out of the folder that it is joined to: absolute, an address, or unsafe."""
    if _ABSOLUTE.match(text) or _URL.match(text):
        return True
    plain = text.removeprefix("./").rstrip("/")
    if not plain or plain == ".":
        return False
    try:
        safe_path(plain)
    except UnsafePath:
        return True
    return False


def texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value: itself, or those of a list or mapping down to three levels, at most `MAX_TEXTS`."""
    layer, count = [value], 0
    for _ in range(4):
        deeper: list[Any] = []
        for part in layer:
            if isinstance(part, str):
                yield part
            elif isinstance(part, dict):
                deeper.extend(part.values())
            elif isinstance(part, list):
                deeper.extend(part)
            count += 1
            if count >= MAX_TEXTS:
                return
        layer = deeper


def _is_on(value: Any) -> bool:
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "yes", "on", "1"))
