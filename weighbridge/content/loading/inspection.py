"""Checks a configuration's value against the table: every key at every depth, and the layout of the whole.

Not here: the table (loader_keys, layouts), chat templates and indexes of weights (headers.config).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.loading.judgements import Ruling
from weighbridge.content.loading.layouts import LAYOUTS
from weighbridge.content.loading.loader_keys import KEYS
from weighbridge.content.pickles import embedded
from weighbridge.domain.report import Finding

#: Values that may be pickles; YAML has bytes too.
_TEXTS = frozenset({str, bytes})
#: The most values of one file that are checked; the largest tokenizers have about two million.
MAX_VALUES = 20_000_000
#: The types that parsers return for objects and arrays, never a subclass of them.
_CONTAINERS = frozenset({dict, list})
#: The characters of the shortest text that is searched for a pickle: by its key, and in lists, often vocabularies.
_MIN_TEXT_LENGTH, _MIN_LISTED_LENGTH = 12, 16
#: The length from which a listed text is searched even when it has a space, as the merges of a tokenizer have.
_MAX_MERGE_LENGTH = 64
#: Characters of a value's place that are kept while walking.
_MAX_PLACE = 200


def inspect_value(value: Any, place: str = "") -> tuple[Finding, ...]:
    """Return the findings about what a value makes readers do; `place` is where the value is in its file.

    Findings: `config.remote-code`, `config.other-repository`, `config.imports`, `config.dangerous-target`,
    `config.unpickles`, `config.native-library`, `config.command`, `config.reads-outside`, `config.fetches`,
    `config.known-class`, `index.unsafe-path`, `config.limit`, and `pickle.embedded` of texts that are pickles.
    """
    findings = Findings()
    for layout in LAYOUTS:
        for where, ruling in layout.judge(value):
            add(findings, layout.reader, layout.name, ruling, _joined(place, where))
    _walk(value, place, findings)
    return findings.all


def add(findings: Findings, reader: str, name: str, ruling: Ruling, place: str) -> None:
    """Add a ruling as a finding: who does what because of which key or file."""
    text = f"{reader} {ruling.does} ({name}): {quoted(ruling.shown)}."
    findings.add(ruling.rule, ruling.level, text, place)


def _walk(value: Any, place: str, findings: Findings) -> None:
    stack: list[tuple[Any, str]] = [(value, place)] if isinstance(value, dict | list) else []
    count = 0
    while stack:
        found, where = stack.pop()
        count += len(found)
        if count > MAX_VALUES:
            text = f"It holds more than {MAX_VALUES:,} values; the rest was not looked at."
            findings.add("config.limit", "error", text)
            return
        if isinstance(found, dict):
            _inspect_keys(found, where, findings)
        children: Iterable[tuple[Any, Any]] = found.items() if isinstance(found, dict) else enumerate(found)
        for key, child in children:
            kind = type(child)
            if kind is dict or (kind is list and not _CONTAINERS.isdisjoint(map(type, child))):
                stack.append((child, _joined(where, str(key))[:_MAX_PLACE]))
            elif kind is list:
                # A list of plain values holds no key: the merges of a tokenizer are half a million of them.
                count += len(child)
                for text in child:
                    if type(text) is str and _may_hold_pickle(text):
                        findings.extend(embedded.inspect(text, _joined(where, str(key))[:_MAX_PLACE]))
            elif kind in _TEXTS and len(child) >= _MIN_TEXT_LENGTH:
                findings.extend(embedded.inspect(child, _joined(where, str(key))[:_MAX_PLACE]))


def _inspect_keys(found: Mapping[Any, Any], where: str, findings: Findings) -> None:
    # A vocabulary has a hundred thousand keys, most mappings have a few.
    names = [name for name in KEYS if name in found] if len(found) > len(KEYS) else [x for x in found if x in KEYS]
    for name in names:
        for entry in KEYS[name]:
            if entry.beside and not any(other in found for other in entry.beside):
                continue
            for ruling in entry.judge(found[name], found):
                add(findings, entry.reader, name, ruling, _joined(where, name))


def _may_hold_pickle(text: str) -> bool:
    """Return whether a text in a list is searched: two words of a vocabulary in one line are not."""
    if len(text) < _MIN_LISTED_LENGTH:
        return False
    return len(text) > _MAX_MERGE_LENGTH or " " not in text or "\n" in text


def _joined(place: str, part: str) -> str:
    return f"{place}.{part}" if place and part else place or part
