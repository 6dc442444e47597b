"""What licences allow, as data: each statement with the clause of the licence that makes it. Pure.

A help for deciding, and no legal advice: the licence's own text counts. Where there is no clause, nobody has compared
the statement with that text, and answers call it unverified. A licence that is not here is unknown, and what is unknown
is never called allowed. Not here: how names are read (domain.licence_names).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from weighbridge.domain.licence_names import licence_name, without_exception

#: When a condition counts: always, where money is earned, where files are passed on, where changed files are, where
#: others use the model over a network, where they use a changed one.
When = Literal["use", "commercial", "redistribution", "derivatives", "service", "changed_service"]


@dataclass(frozen=True)
class Term:
    """One condition of a licence.

    Attributes:
        when: when it counts.
        text: what it asks for, one sentence.
        clause: where the licence says so; empty where its text was not read for this.
    """

    when: When
    text: str
    clause: str


@dataclass(frozen=True)
class Licence:
    """What a licence allows.

    Attributes:
        title: its name for people.
        commercial: whether the model may earn money.
        derivatives: whether changed models may be passed on.
        note: the condition worth knowing, or empty.
        commercial_clause: where the licence says what `commercial` says.
        derivatives_clause: where it says what `derivatives` says.
        monthly_users: the most people that may use it in a month, or None.
        users_clause: where it says so.
        research_only: whether it may be used for research alone.
        research_clause: where it lets research pass on changed models that nobody else may; or empty.
        terms: its conditions.
    """

    title: str
    commercial: bool
    derivatives: bool
    note: str = ""
    commercial_clause: str = ""
    derivatives_clause: str = ""
    monthly_users: int | None = None
    users_clause: str = ""
    research_only: bool = False
    research_clause: str = ""
    terms: tuple[Term, ...] = ()

    @property
    def restricted(self) -> bool:
        """Whether it limits who may use the model, for what, or how many; what it asks of who passes it on does not."""
        limits = self.monthly_users is not None or any(term.when in ("use", "commercial") for term in self.terms)
        return limits or not self.commercial or not self.derivatives


def _open(title: str, use: str, passing_on: str, *terms: Term, note: str = "") -> Licence:
    return Licence(title, True, True, note, use, passing_on, terms=terms)


def _permissive(title: str, clause: str, *, notice: str = "the copyright notice and the licence") -> Licence:
    return _open(title, clause, clause, Term("redistribution", f"Pass on {notice} with every copy.", clause))


def _public_domain(title: str, clause: str) -> Licence:
    return _open(title, clause, clause)


def _copyleft(title: str, use: str, passing_on: str, *, network: Term | None = None) -> Licence:
    note = f"pass on under the same licence{', also as a service' if network else ''}"
    term = Term("redistribution", "Pass it on under the same licence, with its source.", passing_on)
    return _open(title, use, passing_on, term, *((network,) if network else ()), note=note)


def _as_passed_on(clause: str) -> Term:
    text = "Letting others use it over a network counts as passing it on: under the same licence, with its source."
    return Term("service", text, clause)


def _weak_copyleft(title: str, use: str, passing_on: str) -> Licence:
    text = "Pass on its own files, also changed ones, under the same licence."
    return _open(title, use, passing_on, Term("redistribution", text, passing_on))


def _creative_commons() -> dict[str, Licence]:
    """Return the attribution licences in the versions that are in use."""
    kinds = {
        "by": "Attribution",
        "by-sa": "Attribution-ShareAlike",
        "by-nd": "Attribution-NoDerivatives",
        "by-nc": "Attribution-NonCommercial",
        "by-nc-sa": "Attribution-NonCommercial-ShareAlike",
        "by-nc-nd": "Attribution-NonCommercial-NoDerivatives",
    }
    return {
        f"cc-{kind}-{version}": _attribution(kind, f"Creative Commons {title} {version}", version)
        for kind, title in kinds.items()
        for version in ("2.0", "2.5", "3.0", "4.0")
    }


def _attribution(kind: str, title: str, version: str) -> Licence:
    newest = version == "4.0"
    grant, attribution = ("§2(a)(1)", "§3(a)") if newest else ("§3", "§4")
    note = {"by": "name the author", "by-sa": "pass on under the same licence"}.get(kind, "")
    terms = [Term("redistribution", "Name the author, link the licence, and say what was changed.", attribution)]
    if "-sa" in kind:
        terms.append(
            Term("derivatives", "Pass changed models on under the same licence.", "§3(b)" if newest else "§4(b)")
        )
    if "-nd" in kind and not newest:
        terms.append(
            Term("use", "Change nothing in it that another format does not need, not even for yourself.", "§3")
        )
    return Licence(
        title,
        "-nc" not in kind,
        "-nd" not in kind,
        "not commercial" if "-nc" in kind else note,
        "§4" if "-nc" in kind and not newest else grant,
        grant,
        terms=tuple(terms),
    )


def _llama(version: str, *, improving: bool, europe: bool = False) -> Licence:
    title = f"Llama {version} Community License Agreement"
    shown, name = ("Built with Meta Llama 3", "Llama 3") if version == "3" else ("Built with Llama", "Llama")
    terms = [
        Term("use", "Keep to the Acceptable Use Policy.", "§1(b)(iv)"),
        Term("redistribution", "Pass on the agreement, and the notice that it demands.", "§1(b)(i), (iii)"),
    ]
    if improving:
        terms.append(Term("use", "Do not improve other language models with it or with its answers.", "§1(b)(v)"))
    if version != "2":
        terms.append(Term("derivatives", f"Begin the name of a changed model with “{name}”.", "§1(b)(i)"))
        terms.append(Term("use", f"Show “{shown}” where others get it, or a product or service with it.", "§1(b)(i)"))
    if europe:
        text = (
            "Multimodal models are not licensed to people and companies of the European Union, except to end users of "
            "a product or service with them."
        )
        terms.append(Term("use", text, "Acceptable Use Policy"))
    limit = 700_000_000
    note = "up to 700 million monthly users"
    return Licence(title, True, True, note, "§1(a), §2", "§1(a)", limit, "§2", terms=tuple(terms))


def _rail(title: str, grant: str, uses: str) -> Licence:
    terms = (
        Term("use", "Keep to the use restrictions of its attachment.", uses),
        Term("use", "Hand the use restrictions on, with the licence, to all who get it or use it as a service.", uses),
    )
    return Licence(title, True, True, "restricted uses", grant, grant, terms=terms)


def _research(
    title: str,
    clause: str = "",
    *,
    changing: str = "",
    derivatives: bool = True,
    passing_on: str = "",
    changed: str = "",
    more: Term | None = None,
) -> Licence:
    terms = (
        Term("use", "Use it for research alone that has no commercial purpose.", clause),
        *((more,) if more else ()),
        Term("redistribution", "Pass it on under the same licence, for research alone.", passing_on),
    )
    return Licence(
        title,
        False,
        derivatives,
        "research only",
        clause,
        changing,
        research_only=True,
        research_clause=changed,
        terms=terms,
    )


_APACHE_TERM = Term("redistribution", "Pass on the licence and NOTICE, and mark the files that were changed.", "§4")
_AGPL_SERVICE = Term(
    "changed_service", "Who offers a changed one over a network offers its source to the users.", "§13"
)
#: By lowercase name: SPDX where there is one, else the Hub's own word (spec 4, hub documentation on licences).
LICENCES: dict[str, Licence] = {
    "apache-2.0": _open("Apache License 2.0", "§2, §3", "§2, §4", _APACHE_TERM),
    "mit": _permissive("MIT License", "first and second paragraph"),
    "bsd": _permissive("BSD License, without its version", ""),
    "bsd-2-clause": _permissive("BSD 2-Clause License", "clauses 1 and 2"),
    "bsd-3-clause": _permissive("BSD 3-Clause License", "clauses 1 to 3"),
    "bsd-3-clause-clear": _permissive("BSD 3-Clause Clear License", "clauses 1 to 3"),
    "isc": _permissive("ISC License", "first paragraph"),
    "zlib": _permissive("zlib License", "clauses 1 to 3", notice="the notice, unchanged,"),
    "ncsa": _permissive("University of Illinois/NCSA License", "clauses 1 to 3"),
    "postgresql": _permissive("PostgreSQL License", "first paragraph"),
    "psf-2.0": _permissive("Python Software Foundation License 2.0", "clauses 2 and 3"),
    "mit-cmu": _permissive("CMU License", "first paragraph"),
    "hpnd": _permissive("Historical Permission Notice and Disclaimer", "first paragraph"),
    "bsl-1.0": _permissive("Boost Software License 1.0", "first and second paragraph"),
    "afl-3.0": _open(
        "Academic Free License 3.0",
        "§1",
        "§1(b), (c)",
        Term("derivatives", "Keep its notices in changed files, and say in these that they were changed.", "§6"),
    ),
    "ecl-2.0": _open("Educational Community License 2.0", "§2, §3", "§2, §4", _APACHE_TERM),
    "ms-pl": _open(
        "Microsoft Public License",
        "§2(A)",
        "§2(A), §3(D)",
        Term("redistribution", "Keep its notices in what is passed on.", "§3(C)"),
        Term("redistribution", "Pass source on under this licence alone, with a copy of it.", "§3(D)"),
    ),
    "artistic-2.0": _permissive("Artistic License 2.0", "§1 to §4"),
    "cdla-permissive-1.0": _open(
        "CDLA Permissive 1.0",
        "§2.1",
        "§2.1, §3.1",
        Term("redistribution", "Pass on agreement and credits, and mark the files that were changed.", "§3.1"),
    ),
    "cdla-permissive-2.0": _open(
        "CDLA Permissive 2.0",
        "§1.1",
        "§1.1, §2.1",
        Term("redistribution", "Pass on the text of the agreement with every copy.", "§2.1"),
    ),
    "odc-by-1.0": _permissive("ODC Attribution License 1.0", "§3, §4", notice="the notices and the licence's address"),
    "unlicense": _public_domain("The Unlicense", "first paragraph"),
    "cc0-1.0": _public_domain("CC0 1.0 Universal", "§2, §3"),
    "pddl-1.0": _public_domain("ODC Public Domain Dedication 1.0", "§3"),
    "0bsd": _public_domain("BSD Zero Clause License", "first paragraph"),
    "mit-0": _public_domain("MIT No Attribution", "first paragraph"),
    "wtfpl": _public_domain("WTFPL", "clause 0"),
    **_creative_commons(),
    "gpl-2.0-only": _copyleft("GNU GPL 2.0", "§0, §1", "§1 to §3"),
    "gpl-2.0-or-later": _copyleft("GNU GPL 2.0 or later", "§0, §1", "§1 to §3"),
    "gpl-3.0-only": _copyleft("GNU GPL 3.0", "§2", "§4 to §6"),
    "gpl-3.0-or-later": _copyleft("GNU GPL 3.0 or later", "§2", "§4 to §6"),
    "agpl-3.0-only": _copyleft("GNU AGPL 3.0", "§2", "§4 to §6", network=_AGPL_SERVICE),
    "agpl-3.0-or-later": _copyleft("GNU AGPL 3.0 or later", "§2", "§4 to §6", network=_AGPL_SERVICE),
    "osl-3.0": _copyleft("Open Software License 3.0", "§1", "§1(c), §3", network=_as_passed_on("§5")),
    "odbl-1.0": _copyleft("ODC Open Database License 1.0", "§3", "§4"),
    "cdla-sharing-1.0": _open(
        "CDLA Sharing 1.0",
        "§2.1, §3.3",
        "§2.1, §3.1",
        Term("redistribution", "Pass it on, changed or not, under the same agreement.", "§3.1(a), §3.3"),
        Term("redistribution", "Pass on the credits, and mark the files that were changed.", "§3.1(b), (c)"),
        note="pass on under the same licence",
    ),
    "lgpl-2.1-only": _weak_copyleft("GNU LGPL 2.1", "§0, §1", "§1 to §6"),
    "lgpl-2.1-or-later": _weak_copyleft("GNU LGPL 2.1 or later", "§0, §1", "§1 to §6"),
    "lgpl-3.0-only": _weak_copyleft("GNU LGPL 3.0", "GNU GPL 3.0, §2", "§2, §4"),
    "lgpl-3.0-or-later": _weak_copyleft("GNU LGPL 3.0 or later", "GNU GPL 3.0, §2", "§2, §4"),
    "mpl-2.0": _weak_copyleft("Mozilla Public License 2.0", "§2.1", "§3.1 to §3.3"),
    "epl-2.0": _weak_copyleft("Eclipse Public License 2.0", "§2", "§3"),
    "eupl-1.2": _copyleft(
        "European Union Public Licence 1.2", "article 2", "article 5", network=_as_passed_on("articles 1 and 5")
    ),
    "openrail": _rail("Open RAIL, without its version", "", ""),
    "openrail++": _rail("CreativeML Open RAIL++-M", "§2, §3", "§4, §5, Attachment A"),
    "creativeml-openrail-m": _rail("CreativeML Open RAIL-M", "§2, §3", "§4, §5, Attachment A"),
    "bigscience-openrail-m": _rail("BigScience Open RAIL-M", "§2, §3", "§4, §5, Attachment A"),
    "bigscience-bloom-rail-1.0": _rail("BigScience RAIL 1.0", "§2, §3", "§4, §5, Attachment A"),
    "bigcode-openrail-m": _rail("BigCode Open RAIL-M 1", "§2, §3", "§4, §5, Attachment A"),
    "llama2": _llama("2", improving=True),
    "llama3": _llama("3", improving=True),
    "llama3.1": _llama("3.1", improving=False),
    "llama3.2": _llama("3.2", improving=False, europe=True),
    "llama3.3": _llama("3.3", improving=False, europe=True),
    "llama4": _llama("4", improving=False, europe=True),
    "gemma": Licence(
        "Gemma Terms of Use",
        True,
        True,
        "Google's use policy",
        "§2.2",
        "§3.1",
        terms=(
            Term("use", "Keep to Google's Prohibited Use Policy.", "§3.2"),
            Term("use", "Hand the use restrictions on to all who get it or use it as a service.", "§1.1(b), §3.1"),
            Term("redistribution", "Pass on the terms, and mark changed files.", "§3.1"),
        ),
    ),
    # What a company passes on is no research (§9), so that it may pass on no changed model either, as spec 4 says.
    "mrl": _research(
        "Mistral AI Research License",
        "§3.2",
        changing="§3.2, §9",
        derivatives=False,
        passing_on="§2.2",
        changed="§2.3",
        more=Term("use", "What a company's people do in their daily work is no research.", "§9"),
    ),
    "mnpl": Licence(
        "Mistral AI Non-Production License",
        False,
        True,
        "not in production",
        "§3.2",
        "§2.1, §3.2",
        terms=(Term("use", "Use it for testing, research, evaluation or personally, never in production.", "§3.2"),),
    ),
    "apple-amlr": _research("Apple Machine Learning Research Model License"),
    "intel-research": _research("Intel Research Use License"),
    "deepfloyd-if-license": _research(
        "DeepFloyd IF License",
        "§1(a)",
        changing="§1(a)",
        passing_on="§3",
        more=Term("use", "Keep to its restrictions, such as no production, surveillance or biometrics.", "§2(a)"),
    ),
    "fair-noncommercial-research-license": _research("FAIR Noncommercial Research License"),
    "flux-1-dev-non-commercial-license": Licence(
        "FLUX.1 [dev] Non-Commercial License",
        False,
        True,
        "not commercial",
        "§2(b)",
        "§2(a), §3",
        terms=(
            Term("use", "Keep to its restrictions, such as no production, surveillance or biometrics.", "§4(a)"),
            Term("redistribution", "Pass on the licence and its notice, and say what was changed.", "§3"),
        ),
    ),
    "openai-tos": Licence(
        "OpenAI Terms of Use",
        True,
        False,
        "API only",
        "§3(a) of 14 March 2023",
        "§2(a), (c) of 14 March 2023",
        terms=(
            Term("use", "Use it through OpenAI's services alone, as their terms say today.", "§2(a) of 14 March 2023"),
            Term("use", "Develop no model that competes with OpenAI with its answers.", "§2(c)(iii) of 14 March 2023"),
        ),
    ),
}


@lru_cache(maxsize=2048)
def licence_of(name: str) -> Licence | None:
    """Return what a licence allows, by any of its names; None where that is not known here.

    An exception that SPDX lists (`WITH Classpath-exception-2.0`) only adds permissions: the licence itself counts.
    """
    folded = without_exception(name).lower()
    return LICENCES.get(folded) or LICENCES.get(licence_name(folded).lower())
