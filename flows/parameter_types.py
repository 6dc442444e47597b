"""Types of parameters: what the form offers, and what the server refuses with 409 before a run exists.

Only the schema is narrowed. What a flow takes in this process is read by the flow itself, whose messages say what to
do; pydantic's would be many lines, and a policy file of models.yaml or of the command line is none of the presets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated

from pydantic import Field

from weighbridge.benchmarks import BENCHMARKS
from weighbridge.domain import names
from weighbridge.domain.presets import PRESETS
from weighbridge.domain.source_kinds import KINDS, plugins, record_of
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.registries import REGISTRIES

EXAMPLE = "hf:org/name"


def uri_pattern(kinds: Iterable[SourceKind]) -> str:
    """Return what a URI of one of these kinds looks like; a user or password in a URL is none.

    Whatever it refuses, `weighbridge.domain.uris.read` refuses too. Python and browsers read it.
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
#: The source's own name when empty.
Name = Annotated[str, Field(json_schema_extra={"pattern": names.PATTERN})]
#: A preset, the operator's own policy when empty, or a file of his.
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
Benchmark = Annotated[str, Field(json_schema_extra={"enum": list(BENCHMARKS)})]
#: `default` stands for the benchmarks of models.yaml or of the model's task.
BenchmarkOrDefault = Annotated[str, Field(json_schema_extra={"enum": ["default", *BENCHMARKS]})]
