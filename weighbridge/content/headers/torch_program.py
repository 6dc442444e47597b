"""Programs in PyTorch's archives: TorchScript's code, torch.package's sources, graphs of torch.export.

TorchScript is a language of its own, whose code can only call operators; most compute, some open files. torch.package
keeps Python that loading imports. A graph of torch.export names what it calls, and its loader follows any dotted name
from `torch` on. Not here: which operators do what (torch_operators), pickles (content.pickles), libraries inside
(content.archives).
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weighbridge.content.findings import Findings, quoted
from weighbridge.content.headers import torch_operators, zip_members
from weighbridge.content.headers.document import parse_json
from weighbridge.content.headers.outside import leaves_model
from weighbridge.domain.report import Finding

#: Bytes of one member, and of all of them together.
MAX_MEMBER_SIZE, MAX_SIZE = 64 * 1024 * 1024, 256 * 1024 * 1024
#: An operator that TorchScript's code calls: those of PyTorch itself are written `torch.add`, others `ops.ns.name`.
_CALL = re.compile(r"(?<![\w.])(?:torch\.(?P<own>\w+)|ops\.(?P<other>\w+\.\w+)|(?P<remote>rpc_\w+))\(")
#: Where an archive of TorchScript has its code.
_SCRIPT = re.compile(r"(^|/)code/__torch__(/.*)?\.py$")
#: What is Python and no TorchScript, whose code imports nothing but its own classes.
_PYTHON = re.compile(
    r"(?<![\w.])(?:(?P<module>(?:import|from)[ \t]+(?!__torch__)\w[\w.]*)"
    r"|(?P<call>(?:os|sys|subprocess|builtins|importlib|shutil|socket|ctypes|pickle|marshal|runpy|pty)\.\w+\("
    r"|(?:exec|eval|open|__import__)\())"
)
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"')
#: An operator's name in the bytecode of the mobile interpreter, a pickle: the length of the text, and the text.
_IN_BYTECODE = re.compile(rb"(?:X([\x04-\x7f])\0\0\0|\x8c([\x04-\x7f]))(\w+::\w+)")


@dataclass(frozen=True)
class ProgramHeader:
    """What the programs in an archive lead to.

    Attributes:
        bytes_read: of programs.
        findings: `pytorch.*`.
        failure: why they could not be read to their end, or empty.
    """

    bytes_read: int = 0
    findings: tuple[Finding, ...] = ()
    failure: str = ""


def read(path: Path) -> ProgramHeader:
    """Read the programs in a zip archive; other archives give an empty answer."""
    findings = Findings()
    size = 0
    try:
        with zip_members.opened(path) as archive:
            names = archive.namelist()
            _inspect_package(names, findings)
            for name, content in _programs(archive, names):
                size += len(content)
                if size > MAX_SIZE:
                    raise ValueError(f"its programs have more than {MAX_SIZE:,} bytes")
                _inspect_member(name, content, findings)
    except zip_members.ERRORS as error:
        return ProgramHeader(findings=findings.all, failure=f"its programs cannot be read: {quoted(str(error))}")
    return ProgramHeader(size, findings.all)


def _inspect_package(names: list[str], findings: Findings) -> None:
    """Find the sources of torch.package: any Python file of an archive that lists modules from outside."""
    if any(name.endswith(".data/extern_modules") for name in names):
        sources = sorted(name for name in names if name.endswith((".py", ".pyc", ".so")))
        for name in sources[:20]:
            text = "It is code of the publisher's, which loading the package imports (torch.package)."
            findings.add("pytorch.package-code", "error", text, quoted(name))


def _programs(archive: zipfile.ZipFile, names: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    for name in names:
        if re.search(r"(^|/)code/.*\.py$|(^|/)bytecode\.pkl$|(^|/)models/[^/]+\.json$", name) or name.endswith(
            "serialized_exported_program.json"
        ):
            yield name, zip_members.content(archive, name, MAX_MEMBER_SIZE)


def _inspect_member(name: str, content: bytes, findings: Findings) -> None:
    if name.endswith(".py"):
        inspect_script(content.decode(errors="replace"), name, findings)
    elif name.endswith(".pkl"):
        called = {text[: ord(long or short)] for long, short, text in _IN_BYTECODE.findall(content)}
        for operator in sorted(called):
            _inspect_operator(operator.decode().replace("::", "."), "", name, findings)
    else:
        inspect_graph(parse_json(content).value, name, findings)


def inspect_script(code: str, where: str, findings: Findings) -> None:
    """Find what TorchScript's code calls beyond tensors."""
    python = _PYTHON.search(_LITERAL.sub('""', code))
    if python and _SCRIPT.search(where):
        text = f"Its code is Python and no TorchScript: {quoted(python[0])}."
        findings.add("pytorch.package-code", "error", text, quoted(where))
    called = set()
    for match in _CALL.finditer(code):
        own, other, remote = match.group("own", "other", "remote")
        called.add(f"aten.{own}" if own else other or f"prim.{remote}")
    outside = next((text for text in map(_unescaped, _LITERAL.findall(code)) if leaves_model(text)), "")
    for operator in sorted(called):
        _inspect_operator(operator, outside, where, findings)


def _unescaped(literal: str) -> str:
    try:
        return str(json.loads(f'"{literal}"'))
    except ValueError:
        # TorchScript escapes bytes as octal numbers; a place written so is still not within the model.
        return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), literal)


def _inspect_operator(operator: str, outside: str, where: str, findings: Findings) -> None:
    place = quoted(where)
    if what := torch_operators.why_harmful(operator):
        findings.add("pytorch.operator", "error", f"Its operator {operator} {what}.", place)
    elif torch_operators.reads_file(operator) and outside:
        text = f"Its operator {operator} reads a file, and it names {quoted(outside)}, outside of the model."
        findings.add("pytorch.reads-file", "error", text, place)
    elif torch_operators.reads_file(operator):
        text = f"Its operator {operator} reads a file; which one, whoever runs it decides."
        findings.add("pytorch.operator", "warning", text, place)
    elif not torch_operators.is_known(operator.partition(".")[0]):
        text = f"Its operator {quoted(operator)} needs a library that is not part of PyTorch."
        findings.add("pytorch.custom-operator", "warning", text, place)


def inspect_graph(value: Any, where: str, findings: Findings) -> None:
    """Find what a graph of torch.export calls, and what its sizes would evaluate."""
    stack = [value]
    while stack:
        found = stack.pop()
        if isinstance(found, dict):
            target, size = found.get("target"), found.get("expr_str")
            if isinstance(target, str):
                _inspect_target(target, where, findings)
            if isinstance(size, str) and not torch_operators.is_size(size):
                text = f"Its size {quoted(size)} is Python that loading the graph evaluates."
                findings.add("pytorch.graph-code", "error", text, quoted(where))
            stack.extend(found.values())
        elif isinstance(found, list):
            stack.extend(found)


def _inspect_target(target: str, where: str, findings: Findings) -> None:
    if torch_operators.follows_elsewhere(target):
        text = f"Its graph calls {quoted(target)}, which is no operator of PyTorch's."
        findings.add("pytorch.graph-code", "error", text, quoted(where))
    elif target.startswith("torch.ops."):
        _inspect_operator(".".join(target.split(".")[2:4]), "", where, findings)
