"""Types of parameters: the choices of the form, and the values that the server refuses with 409 before a run exists.

Only the schema is narrowed. In this process the flow itself reads its parameters, as its messages have remedies;
pydantic's would be many lines, and a policy file of models.yaml or of the command line is not one of the presets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.domain import names
from weighbridge.domain.hub_models import PassKind
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.source_kinds import KINDS, plugins, record_of
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.registries import REGISTRIES

EXAMPLE = "hf:org/name"
DUE = "due"


def uri_pattern(kinds: Iterable[SourceKind]) -> str:
    """Return a regular expression of URIs of these kinds, without user or password in a URL.

    `weighbridge.domain.uris.read` refuses everything that it refuses. It is valid in Python and in browsers.
    """
    schemes: dict[str, list[str]] = {}
    for kind in kinds:
        schemes.setdefault(kind.follows, []).extend(re.escape(scheme).replace(r"\-", "-") for scheme in kind.schemes)
    alternatives = (f"({'|'.join(names)}):{follows}" for follows, names in schemes.items())
    return rf"^\s*({'|'.join(alternatives)})$"


def _kinds() -> Iterator[SourceKind]:
    yield from KINDS.values()
    yield from map(record_of, plugins.installed())


URI = Annotated[str, Field(json_schema_extra={"pattern": uri_pattern(_kinds()), "examples": [EXAMPLE]})]
#: A model's name; empty means the source's own name.
Name = Annotated[str, Field(json_schema_extra={"pattern": names.PATTERN})]
#: A preset, or a file of the operator; empty means the operator's own policy.
Policy = Annotated[
    str,
    Field(
        json_schema_extra={
            "anyOf": [
                {"title": "Preset", "type": "string", "enum": ["", *PRESETS]},
                {"title": "File", "type": "string", "pattern": r"\.ya?ml$"},
            ]
        }
    ),
]
Registry = Annotated[str, Field(json_schema_extra={"enum": list(REGISTRIES)})]
#: What a refresh of the Hub's catalogue goes through; `due` means all models from time to time, else what changed.
RefreshKind = Annotated[str, Field(json_schema_extra={"enum": [DUE, *PassKind]})]
Benchmark = Annotated[str, Field(json_schema_extra={"enum": list(BENCHMARKS)})]
#: Names of benchmarks; `default` means those of models.yaml or of the model's task.
BenchmarkOrDefault = Annotated[str, Field(json_schema_extra={"enum": ["default", *BENCHMARKS]})]
