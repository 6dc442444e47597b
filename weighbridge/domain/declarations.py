"""Declarations: what a person says of a model, beside what its files say, and where the two contradict. Pure.

1. Of what files can say (architecture, number of parameters, context length, licence), the files' word counts; a
   declaration fills the gaps.
2. A description that a person wrote takes the place of the files' one; tags of both are kept; requirements are those of
   the files, and further ones of the declaration.
3. A contradiction is a warning, and changes neither. The gate looks at what the files say alone.

Not here: the licence's terms (domain.licence_terms), and the stored declarations (catalog.declarations).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.licence_terms import StatedLicence, disagreements
from weighbridge.domain.text import shown

#: What may be declared (spec 4), each with the field of the card that says the same, in the order of answers.
FIELDS = {
    "architecture": "architecture",
    "parameter_count": "parameter_count",
    "description": "description",
    "context_length": "context_length",
    "license_type": "licence",
    "license_restrictions": "",
    "requirements": "requirements",
    "tags": "tags",
}
#: Two numbers that differ by no more than this share of the files' number agree: people round, so that 7e9 stands for
#: 6.7e9 counted weights, and 128,000 for 131,072 tokens.
TOLERANCE = 0.05
#: What names of classes have after a family's name: `LlamaForCausalLM`.
_CLASS_ENDING = re.compile(r"(?<=[a-z0-9])(For[A-Z]\w*|LMHeadModel|Model|Encoder|Decoder)$")


@dataclass(frozen=True)
class ModelDeclaration:
    """What a person says of a model.

    Attributes:
        content: by field of `FIELDS`; what is not declared is missing.
        by: the actor who declared it last.
        at: when; ISO 8601, UTC.
    """

    content: Mapping[str, Any]
    by: str
    at: str

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {**self.content, "declared_by": self.by, "declared_at": self.at}


def changed(before: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a declaration's content after a change: None takes a field back, what is not named stays."""
    after = {**before, **changes}
    return {name: after[name] for name in FIELDS if after.get(name) not in (None, "", [], {})}


def completed(card: ModelCard, declaration: ModelDeclaration | None) -> ModelCard:
    """Return a card with what its model's declaration adds, by the rules above."""
    if declaration is None:
        return card
    fields, declared = dict(card.fields), declaration.content
    by = f"declared by {declaration.by}"
    for name, field in FIELDS.items():
        if name in declared and field and (field not in fields or name == "description"):
            fields[field] = Field(declared[name], by)
    if "tags" in declared and (tags := card.get("tags")):
        fields["tags"] = Field(list(dict.fromkeys([*tags, *declared["tags"]])), f"{fields['tags'].read_from}, {by}")
    if "requirements" in declared and (needs := card.get("requirements")):
        place = f"{fields['requirements'].read_from}, {by}"
        fields["requirements"] = Field({**declared["requirements"], **needs}, place)
    return ModelCard(fields)


def contradictions(card: ModelCard, declaration: ModelDeclaration | None) -> tuple[str, ...]:
    """Return one sentence for each thing that was declared and that the files, or the licence's text, say otherwise.

    1. Numbers agree within `TOLERANCE` of the files' number.
    2. Architectures agree without regard to case, signs, and the endings of classes (`LlamaForCausalLM`).
    3. Licences agree under any of their names; a declaration may choose one of several that the files offer.
    4. Declared terms of a licence are compared with what the table of licences knows of it.
    """
    return tuple(_contradictions(card, declaration)) if declaration is not None else ()


def stated_licence(card: ModelCard, declaration: ModelDeclaration | None) -> StatedLicence:
    """Return the licence of a model, by its files and its declaration."""
    read = card.fields.get("licence")
    declared = declaration.content if declaration else {}
    return StatedLicence(
        read=str(read.value) if read else "",
        read_from=read.read_from if read else "",
        declared=str(declared.get("license_type", "")),
        restrictions=declared.get("license_restrictions", {}),
        declared_by=declaration.by if declaration else "",
    )


def _contradictions(card: ModelCard, declaration: ModelDeclaration) -> Iterator[str]:
    declared = declaration.content
    for name in ("parameter_count", "context_length"):
        said, read = declared.get(name), card.fields.get(name)
        if said is not None and read and isinstance(read.value, int) and _differ(said, read.value):
            yield f"{name}: {said:,} was declared, but the files say {read.value:,} ({read.read_from})."
    said, read = declared.get("architecture"), card.fields.get("architecture")
    if said is not None and read and _family(said) != _family(str(read.value)):
        words = f"{shown(said, 80)} was declared, but the files say {shown(read.value, 80)}"
        yield f"architecture: {words} ({read.read_from})."
    licence = stated_licence(card, declaration)
    if licence.contradicts:
        words = f"{shown(licence.declared, 80)} was declared, but the files say {shown(licence.read, 80)}"
        yield f"license_type: {words} ({licence.read_from})."
    for name, value, known in disagreements(licence):
        is_so = "no limit" if known is None else _word(known)
        yield (
            f"license_restrictions: {name} was declared as {_word(value)}, but by the licence "
            f"{shown(licence.expression, 80)} it is {is_so}."
        )


def _differ(declared: int, read: int) -> bool:
    return abs(declared - read) > TOLERANCE * read


def _family(architecture: str) -> str:
    return re.sub(r"[\W_]", "", _CLASS_ENDING.sub("", architecture.strip())).casefold()


def _word(value: object) -> str:
    return f"{value:,}" if type(value) is int else shown(value, 40).lower()
