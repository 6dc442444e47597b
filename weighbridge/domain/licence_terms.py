"""The terms of a model's licence: what it allows, who says so, and whether a use of the model is allowed. Pure.

1. The licence that the model's files state counts; where they state none, the one that a person declared.
2. Of a choice (`MIT OR GPL-3.0-only`) the licence that allows most counts; of several that all hold, each restriction.
3. What the table of licences does not know, a person's declaration may say; its word never makes a plain yes. Where it
   forbids what the licence allows, there is a doubt: a condition.

Not here: what each licence allows (domain.licence_table), and whether a policy lets a model in (domain.licences).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from weighbridge.domain.licence_names import alternatives, licence_name
from weighbridge.domain.licence_table import Licence, Term, When, licence_of

Origin = Literal["files", "declaration", "nobody"]
Purpose = Literal["commercial", "non-commercial", "research"]
Ruling = Literal["allowed", "allowed_with_conditions", "refused"]
_RULINGS: tuple[Ruling, ...] = ("allowed", "allowed_with_conditions", "refused")


@dataclass(frozen=True)
class StatedLicence:
    """The licence of a model, and who states it.

    Attributes:
        read: what the files state, or empty.
        read_from: where they do.
        declared: what a person declared, or empty.
        restrictions: what a person declared that it allows: `commercial_use`, `derivatives`,
            `monthly_active_users_limit`.
        declared_by: that person's actor.
    """

    read: str = ""
    read_from: str = ""
    declared: str = ""
    restrictions: Mapping[str, Any] = field(default_factory=dict)
    declared_by: str = ""

    @property
    def name(self) -> str:
        """The licence that counts, or empty."""
        return self.read or self.declared

    @property
    def origin(self) -> Origin:
        """Who states the one that counts."""
        return "files" if self.read else "declaration" if self.declared else "nobody"

    @property
    def contradicts(self) -> bool:
        """Whether the declared licence is none that the files offer."""
        return bool(self.read and self.declared) and not _offers(self.read, self.declared)

    @property
    def expression(self) -> str:
        """The licence that counts, as an SPDX expression where it is one."""
        return licence_name(self.name)


@dataclass(frozen=True)
class Statement:
    """One thing that is said of a model's licence, and by whom.

    Attributes:
        about: what it is about.
        value: what is said: yes or no, or a number of people.
        licence: the licence that says it; empty for a declaration.
        clause: where that licence says it, or empty.
        origin: whether it follows from the licence or a person declared it.
    """

    about: Literal["commercial_use", "derivatives", "monthly_active_users_limit"]
    value: bool | int
    licence: str
    clause: str
    origin: Literal["licence", "declaration"]

    @property
    def verified(self) -> bool:
        """Whether it was compared with the licence's own text."""
        return bool(self.clause)


@dataclass(frozen=True)
class Restrictions:
    """What a licence allows in all; None where nobody says."""

    commercial_use: bool | None = None
    derivatives: bool | None = None
    monthly_active_users_limit: int | None = None
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether anything is said."""
        return self != Restrictions()


@dataclass(frozen=True)
class PlannedUse:
    """A use of a model that somebody plans.

    Attributes:
        purpose: what for.
        users_per_month: how many people use what it is part of; None where that is not known.
        derivative: whether the model is changed, as by fine-tuning.
        redistribution: whether its files, changed or not, are passed on to others.
    """

    purpose: Purpose
    users_per_month: int | None = None
    derivative: bool = False
    redistribution: bool = False

    def meets(self, when: When) -> bool:
        """Return whether a condition of that kind counts for this use."""
        counts = {
            "use": True,
            "commercial": self.purpose == "commercial",
            "redistribution": self.redistribution,
            "derivatives": self.derivative and self.redistribution,
            "service": True,  # Nobody says that it is for one person alone.
            "changed_service": self.derivative,
        }
        return counts[when]


@dataclass(frozen=True)
class Because:
    """Why a use is refused, or on which condition it is allowed.

    Attributes:
        text: one sentence.
        licence: the licence that says so; empty where none does.
        clause: where it says so, or empty.
    """

    text: str
    licence: str = ""
    clause: str = ""


@dataclass(frozen=True)
class UseJudgement:
    """Whether a use is allowed.

    Attributes:
        ruling: the answer.
        under: the licences that it is judged by: of a choice, those that allow most.
        refusals: why it is refused.
        conditions: what it depends on.
    """

    ruling: Ruling
    under: tuple[str, ...]
    refusals: tuple[Because, ...] = ()
    conditions: tuple[Because, ...] = ()


def restrictions_of(stated: StatedLicence) -> Restrictions:
    """Return what a model's licence allows in all."""
    found = max((_together(way) for way in alternatives(stated.expression)), key=_freedom)
    declared = stated.restrictions
    limit = found.monthly_active_users_limit
    if limit is None and found.commercial_use is None:
        limit = _of_type(declared.get("monthly_active_users_limit"), int)
    return Restrictions(
        _or_declared(found.commercial_use, declared.get("commercial_use")),
        _or_declared(found.derivatives, declared.get("derivatives")),
        limit,
        found.note,
    )


def statements_of(stated: StatedLicence) -> tuple[Statement, ...]:
    """Return everything that is said of a model's licence, by the licences and by the declaration."""
    names = dict.fromkeys(name for way in alternatives(stated.expression) for name in way)
    known = {name: licence for name in names if (licence := licence_of(name))}
    return (
        *(said for name, licence in known.items() for said in _said_by(name, licence)),
        *_declared(stated.restrictions),
    )


def terms_of(stated: StatedLicence) -> tuple[tuple[str, Term], ...]:
    """Return every condition of a model's licences, each with the licence."""
    names = dict.fromkeys(name for way in alternatives(stated.expression) for name in way)
    return tuple((name, term) for name in names if (licence := licence_of(name)) for term in licence.terms)


def unknown_names(stated: StatedLicence) -> tuple[str, ...]:
    """Return the licences of which it is not known here what they allow."""
    names = dict.fromkeys(name for way in alternatives(stated.expression) for name in way if name)
    return tuple(name for name in names if licence_of(name) is None)


def unverified_names(stated: StatedLicence) -> tuple[str, ...]:
    """Return the licences of which something is said here that was not compared with their text."""
    said = [one.licence for one in statements_of(stated) if one.origin == "licence" and not one.verified]
    said += [name for name, term in terms_of(stated) if not term.clause]
    return tuple(dict.fromkeys(said))


def is_restricted(stated: StatedLicence) -> bool:
    """Return whether every way to use the model has limits, or may have: an unknown licence counts as one that does."""
    return all(
        any((licence := licence_of(name)) is None or licence.restricted for name in way)
        for way in alternatives(stated.expression)
    )


def judge(stated: StatedLicence, use: PlannedUse) -> UseJudgement:
    """Judge a use of a model; what is not known makes a condition, never a plain yes."""
    judged = [_judged(way, stated, use) for way in alternatives(stated.expression)]
    best = min(judged, key=lambda one: (_RULINGS.index(one.ruling), len(one.refusals), len(one.conditions)))
    if not stated.contradicts:
        return best
    doubt = Because(
        f"Its files state the licence {stated.read}, but {stated.declared} was declared: find out which one holds."
    )
    ruling: Ruling = "refused" if best.ruling == "refused" else "allowed_with_conditions"
    return UseJudgement(ruling, best.under, best.refusals, (*best.conditions, doubt))


def disagreements(stated: StatedLicence) -> Iterator[tuple[str, Any, Any]]:
    """Yield what a person declared of the licence's terms and the licence says otherwise: field, declared, known."""
    known = max((_together(way) for way in alternatives(stated.expression)), key=_freedom)
    for name in ("commercial_use", "derivatives", "monthly_active_users_limit"):
        said, is_so = stated.restrictions.get(name), getattr(known, name)
        unlimited = name == "monthly_active_users_limit" and known.commercial_use is not None
        if said is not None and said != is_so and (is_so is not None or unlimited):
            yield name, said, is_so


def _offers(read: str, declared: str) -> bool:
    """Return whether every alternative of a declared licence is one that the files offer."""
    offered, chosen = (
        {frozenset((licence_name(name) or name).lower() for name in way) for way in alternatives(licence_name(text))}
        for text in (read, declared)
    )
    return chosen <= offered


def _together(names: Iterable[str]) -> Restrictions:
    """Return what several licences allow that all hold."""
    known = [licence_of(name) for name in names]
    limits = [licence.monthly_users for licence in known if licence and licence.monthly_users is not None]
    notes = dict.fromkeys(licence.note for licence in known if licence and licence.note)
    return Restrictions(
        _all(known, lambda licence: licence.commercial),
        _all(known, lambda licence: licence.derivatives),
        min(limits, default=None),
        "; ".join(notes),
    )


def _all(known: list[Licence | None], allows: Callable[[Licence], bool]) -> bool | None:
    said = [allows(licence) if licence else None for licence in known]
    return False if False in said else None if None in said else True


def _freedom(found: Restrictions) -> tuple[int, int, bool]:
    """Return a key by which the least restricted is the greatest."""
    rank = {True: 2, None: 1, False: 0}
    return rank[found.commercial_use], rank[found.derivatives], found.monthly_active_users_limit is None


def _or_declared(known: bool | None, declared: Any) -> bool | None:
    return known if known is not None else _of_type(declared, bool)


def _of_type(value: Any, kind: type) -> Any:
    return value if type(value) is kind else None


def _said_by(name: str, licence: Licence) -> Iterator[Statement]:
    yield Statement("commercial_use", licence.commercial, name, licence.commercial_clause, "licence")
    yield Statement("derivatives", licence.derivatives, name, licence.derivatives_clause, "licence")
    if licence.monthly_users is not None:
        yield Statement("monthly_active_users_limit", licence.monthly_users, name, licence.users_clause, "licence")


def _declared(restrictions: Mapping[str, Any]) -> Iterator[Statement]:
    for about, kind in (("commercial_use", bool), ("derivatives", bool), ("monthly_active_users_limit", int)):
        if (value := _of_type(restrictions.get(about), kind)) is not None:
            yield Statement(about, value, "", "", "declaration")  # type: ignore[arg-type]


def _judged(way: tuple[str, ...], stated: StatedLicence, use: PlannedUse) -> UseJudgement:
    """Judge a use by licences that all hold."""
    refusals: list[Because] = []
    conditions: list[Because] = []
    for name in way:
        licence = licence_of(name)
        if licence is None:
            conditions.append(_unknown(name))
        else:
            refusals += _refusals(name, licence, use)
            conditions += _conditions(name, licence, use)
    declared = tuple(_refusals_declared(stated, use))
    if any(licence_of(name) is None for name in way):
        refusals += declared
    elif not refusals:
        conditions += (Because(f"{one.text} Its text says otherwise: find out which one holds.") for one in declared)
    ruling: Ruling = "refused" if refusals else "allowed_with_conditions" if conditions else "allowed"
    return UseJudgement(ruling, tuple(filter(None, way)), tuple(refusals), tuple(conditions))


def _unknown(name: str) -> Because:
    if not name:
        return Because("No licence is stated: ask the model's publisher for permission first.")
    return Because(f"What the licence {name} allows is not known here: read it before the model is used.", name)


def _refusals(name: str, licence: Licence, use: PlannedUse) -> Iterator[Because]:
    if not licence.commercial and use.purpose == "commercial":
        yield Because(f"The licence {name} forbids commercial use.", name, licence.commercial_clause)
    elif licence.research_only and use.purpose != "research":
        yield Because(f"The licence {name} allows research alone.", name, licence.commercial_clause)
    if not licence.derivatives and use.derivative and use.redistribution and not _is_for_research(licence, use):
        yield Because(f"The licence {name} lets nobody pass changed models on.", name, licence.derivatives_clause)
    limit, users = licence.monthly_users, use.users_per_month
    if limit is not None and users is not None and users > limit:
        text = f"The licence {name} is for up to {limit:,} users a month, and {users:,} are planned."
        yield Because(text, name, licence.users_clause)


def _conditions(name: str, licence: Licence, use: PlannedUse) -> Iterator[Because]:
    for term in licence.terms:
        if use.meets(term.when):
            yield Because(term.text, name, term.clause)
    if licence.monthly_users is not None and use.users_per_month is None:
        text = f"It is for those whose products have no more than {licence.monthly_users:,} users a month in all."
        yield Because(text, name, licence.users_clause)
    if not licence.derivatives and use.derivative:
        if _is_for_research(licence, use):
            text = "Pass changed models on for research alone, and say that they were changed."
            yield Because(text, name, licence.research_clause)
        else:
            yield Because("Pass no changed model on.", name, licence.derivatives_clause)


def _is_for_research(licence: Licence, use: PlannedUse) -> bool:
    """Return whether a licence lets research pass on changed models that nobody else may, and this is research."""
    return bool(licence.research_clause) and use.purpose == "research"


def _refusals_declared(stated: StatedLicence, use: PlannedUse) -> Iterator[Because]:
    """Yield what a declaration forbids."""
    said, by = stated.restrictions, f"as {stated.declared_by or 'its declaration'} declared"
    if said.get("commercial_use") is False and use.purpose == "commercial":
        yield Because(f"The licence forbids commercial use, {by}.")
    if said.get("derivatives") is False and use.derivative and use.redistribution:
        yield Because(f"The licence lets nobody pass changed models on, {by}.")
    limit, users = _of_type(said.get("monthly_active_users_limit"), int), use.users_per_month
    if limit is not None and users is not None and users > limit:
        yield Because(f"The licence is for up to {limit:,} users a month, {by}, and {users:,} are planned.")
