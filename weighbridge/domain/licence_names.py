"""Names of licences: what people write becomes one name a licence, and an expression its alternatives. Pure.

Names become SPDX ids (https://spdx.org/licenses) where there is one, else stay the Hub's word (`llama3.1`, `gemma`);
what is neither stays as it was written. Not here: what a licence allows (domain.licence_table).
"""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import Any

from license_expression import LicenseSymbol, Licensing, get_spdx_licensing

#: Names in use that are neither SPDX ids nor the Hub's words, by their lowercase words.
ALIASES = {
    "bsd license": "bsd",
    "bsd": "bsd",
    "cc0": "CC0-1.0",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "the mit license": "MIT",
    "the mit license (mit)": "MIT",
    "expat": "MIT",
    "odbl": "ODbL-1.0",
    "odc-by": "ODC-By-1.0",
    "pddl": "PDDL-1.0",
    "gemma": "gemma",
    "gemma-tou-2024-04-01": "gemma",
    "mnpl": "mnpl",
    "mnpl-0.1": "mnpl",
    "mistral ai non-production license": "mnpl",
    "mrl": "mrl",
    "mrl-0.1": "mrl",
    "mistral-research": "mrl",
    "mistral ai research license": "mrl",
    "mistral-ai-research-license": "mrl",
    "mistral-ai-research-licence": "mrl",
    "python software foundation license": "PSF-2.0",
    "psfl": "PSF-2.0",
    "openai-tos": "openai-tos",
    "openai tos": "openai-tos",
    "openai terms of use": "openai-tos",
    "openai terms of service": "openai-tos",
    "modified mit": "modified-mit",  # each publisher modifies it in another way, so what it allows is not known
    "modified mit license": "modified-mit",
}
#: Words that name no licence.
_NOTHING = {"", "unknown", "other", "none", "license", "licence", "proprietary", "dual license", "see license"}
_L = r"(?:[ -]licen[sc]e)?"
_GNU = r"gnu (affero |lesser )?general public licen[sc]e,?(?: version ?| v)?"
#: Further spellings, each with the name that it means; groups of the pattern are in braces.
_SPELLINGS: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (rf"(?:the )?(?:apache|asl)(?: software)?{_L},?[ -]?(?:version |v)?2(?:\.0)?{_L}", "Apache-2.0"),
        (rf"(?:the )?apache software{_L}", "Apache-2.0"),
        (rf"(?:the )?(?:new )?bsd[ -]?([23])(?:[ -]?clause)?{_L}", "BSD-{0}-Clause"),
        (rf"(?:the )?([23])[ -]clause bsd{_L}", "BSD-{0}-Clause"),
        (rf"(?:gnu )?(a|l)?gpl[ -]?v?([23])(?:\.0)?(?:\+|[ -]or[ -]later){_L}", "{0}GPL-{1}.0-or-later"),
        (rf"(?:gnu )?(a|l)?gpl[ -]?v?([23])(?:\.0)?{_L}", "{0}GPL-{1}.0-only"),
        (rf"{_GNU} ?([23])(?:\.0)?(?:\+| or later)(?: \(a?l?gplv[23]\+\))?", "{0}GPL-{1}.0-or-later"),
        (rf"{_GNU} ?([23])(?:\.0)?(?: only)?(?: \(a?l?gplv[23]\))?", "{0}GPL-{1}.0-only"),
        (rf"(?:gnu )?lgpl[ -]?v?2\.1(?:\+|[ -]or[ -]later){_L}", "LGPL-2.1-or-later"),
        (rf"(?:gnu )?lgpl[ -]?v?2\.1{_L}", "LGPL-2.1-only"),
        (
            rf"(?:meta[ -])?llama[ -]?(2|3|3\.1|3\.2|3\.3|4)(?:[ -]community)?{_L}(?:[ -]agreement)?(?:[ -]20\d\d)?",
            "llama{0}",
        ),
        (r"mozilla public licen[sc]e,? (?:version |v)?2\.0(?: \(mpl 2\.0\))?", "MPL-2.0"),
        (r"(?:creative commons (?:zero|cc0)|cc0) v?1\.0(?: universal)?", "CC0-1.0"),
        (r"llama[ -]4[ -]cla[ -]2025", "llama4"),
        (rf"gemma(?:[ -]terms[ -]of[ -]use)?{_L}", "gemma"),
    )
)
#: Creative Commons' licences in any spelling: `CC BY-NC 4.0`, `Creative Commons Attribution NonCommercial 4.0`.
_CC_SHORT = re.compile(
    r"cc[ _-]*by((?:[ _-]*(?:nc|sa|nd))*)[ _-]*v?([234]\.[05])(?: international| unported)?(?: deed)?"
)
_CC_LONG = re.compile(
    r"creative commons attribution((?:[ -]*(?:non[ -]?commercial|share[ -]?alike|no[ -]?deriv(?:ative)?s))*)"
    r" v?([234]\.[05])(?: international| unported| generic)?(?: public)?(?: licen[sc]e)?"
)
#: Addresses of licences' own pages.
_PAGES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"spdx\.org/licenses/([a-z0-9.+-]+?)(?:\.html|\.json|\.txt)?/?", "{0}"),
        (r"opensource\.org/licen[sc]es?/([a-z0-9.+-]+?)(?:\.php|\.html)?/?", "{0}"),
        (r"apache\.org/licenses/license-2\.0(?:\.txt|\.html)?/?", "apache-2.0"),
        (r"gnu\.org/licenses/((?:a|l)?gpl-[0-9.]+?)(?:\.html|\.txt|\.en\.html)?/?", "{0}"),
        (r"creativecommons\.org/licenses/(by[a-z-]*)/(\d\.\d)(?:/.*)?", "cc-{0}-{1}"),
        (r"creativecommons\.org/publicdomain/zero/1\.0(?:/.*)?", "cc0-1.0"),
        (r"(?:ai\.google\.dev/gemma|gemma-terms)/?(?:terms)?/?", "gemma"),
        (r"(?:ai\.meta\.com|llama\.meta\.com|llama\.com)/llama(2|3|4)/license/?", "llama{0}"),
        (r"(?:llama\.meta\.com|llama\.com)/llama3_([123])/license/?", "llama3.{0}"),
        (r"mistral\.ai/licenses/mrl-0\.1\.md", "mrl"),
        (r"mistral\.ai/licenses/mnpl-0\.1\.md", "mnpl"),
    )
)
_SCANCODE = re.compile(r"^licenseref-scancode-")
#: A file beside the weights, not one of a folder.
_FILE = re.compile(r"(licen[cs]e|copying|use_policy)([._-][^/]*)?$", re.IGNORECASE)
#: The library takes these for version 1.0 or later; a word without a version stays the publisher's.
_WITHOUT_VERSION = ("gpl", "lgpl", "agpl")
#: Alternatives of one expression that are looked at; one with more is taken for an unknown licence.
_MOST_ALTERNATIVES = 32


def is_licence_file(path: str) -> bool:
    """Return whether a model's file has the text of a licence, by its name."""
    return _FILE.match(path) is not None


@lru_cache(maxsize=2048)
def licence_name(stated: str) -> str:
    """Return a stated licence as an SPDX expression, or as its own name; empty where it names none.

    Several licences that are only listed (`MIT/Apache-2.0`, `MIT, GPL2`) are taken to hold all together: whether one
    may choose among them, such a list does not say.
    """
    words = " ".join(stated.split()).strip("\"'")
    if words.lower() in _NOTHING:
        return ""
    if name := _one(words):
        return name
    parts = [part for part in re.split(r"\s*[,/;|&]\s*", words) if part]
    names = [_one(part) for part in parts]
    return all_of(names) if len(parts) > 1 and all(names) else words


def _one(words: str) -> str:
    """Return the name of one licence, or an SPDX expression; empty for what is neither."""
    folded = _SCANCODE.sub("", words.lower())
    if name := ALIASES.get(folded) or _spelled(folded) or _creative_commons(folded):
        return name
    if folded.startswith(("http://", "https://")):
        page = folded.partition("://")[2].removeprefix("www.")
        named = next((_filled(name, match) for pattern, name in _PAGES if (match := pattern.fullmatch(page))), "")
        return _one(named) or named if named else ""
    if folded in _WITHOUT_VERSION:
        return words
    parsed = _parsed(words)
    return "" if parsed is None or _spdx().unknown_license_keys(parsed) else str(parsed)


def _parsed(words: str) -> Any:
    """Return a text as an expression of the library; None for an empty one, and for what is none."""
    try:
        return _spdx().parse(words, validate=False)
    except Exception:  # noqa: BLE001 (beside ExpressionError the parser trips over its own assertions on odd words)
        return None


def _spelled(folded: str) -> str:
    return next((_filled(name, match) for pattern, name in _SPELLINGS if (match := pattern.fullmatch(folded))), "")


def _filled(name: str, match: re.Match[str]) -> str:
    kinds = {"a": "A", "l": "L", "affero ": "A", "lesser ": "L", None: ""}
    return name.format(*(kinds.get(group, group) for group in match.groups()))


def _creative_commons(folded: str) -> str:
    match = _CC_SHORT.fullmatch(folded) or _CC_LONG.fullmatch(folded)
    if match is None:
        return ""
    kinds = re.sub(r"[ _-]", "", match[1]).replace("commercial", "c").replace("non", "n")
    wanted = (
        ("NC", "nc" in kinds),
        ("ND", "nd" in kinds or "noderiv" in kinds),
        ("SA", "sa" in kinds or "sharealike" in kinds),
    )
    return "-".join(("CC-BY", *(kind for kind, has in wanted if has), match[2]))


def all_of(names: list[str]) -> str:
    """Join licences that all hold into one expression."""
    unique = list(dict.fromkeys(names))
    if len(unique) < 2:
        return "".join(unique)
    return " AND ".join(f"({name})" if " OR " in name or " AND " in name else name for name in unique)


def licence_names(expression: str) -> tuple[str, ...]:
    """Return the licences of an SPDX expression, or the text itself when it is not one.

    All of several alternatives (`MIT OR GPL-3.0-only`) are returned: the policy has to accept each. An exception that
    SPDX lists (`WITH Classpath-exception-2.0`) is no licence: it only adds permissions. Another one may take some away
    (`Apache-2.0 WITH Commons-Clause`), and counts as a further licence.
    """
    parsed = _parsed(expression)
    symbols = _spdx().license_symbols(parsed, decompose=False) if parsed is not None else ()
    names = {without_exception(name) for symbol in symbols for name in _names_of(symbol)}
    return tuple(sorted(names)) or (expression,)


def without_exception(name: str) -> str:
    """Return a licence's name without an exception that SPDX lists; another one stays, as nobody knows what it does."""
    licence, _with, exception = name.partition(" WITH ")
    return licence if exception in _exceptions() else name


@lru_cache(maxsize=2048)
def alternatives(expression: str) -> tuple[tuple[str, ...], ...]:
    """Return the ways in which an expression can be fulfilled, each with all licences that hold then.

    `MIT OR (GPL-3.0-only AND CC-BY-4.0)` has two; a text that is no expression is one licence of that name. With an
    exception that SPDX does not list, a licence holds itself, and beside it a further one.
    """
    parsed = _parsed(expression)
    found = _ways(parsed) if parsed is not None else []
    return tuple(found) or ((expression,),)


def _ways(parsed: Any) -> list[tuple[str, ...]]:
    """Return the alternatives of a parsed expression; none of one that has too many."""
    if not parsed.args:
        return [_names_of(parsed)]
    parts = [_ways(part) for part in parsed.args]
    if not all(parts):
        return []
    if isinstance(parsed, _spdx().OR):
        found = [way for part in parts for way in part]
    else:
        found = [()]
        for part in parts:
            found = [tuple(dict.fromkeys((*one, *other))) for one in found for other in part]
            if len(found) > _MOST_ALTERNATIVES:
                return []
    return found if len(found) <= _MOST_ALTERNATIVES else []


def _names_of(symbol: Any) -> tuple[str, ...]:
    """Return the name of a licence of an expression; with an exception that SPDX does not list, also without it."""
    if isinstance(symbol, LicenseSymbol):
        return (symbol.key,)
    name = str(symbol)
    return (name,) if without_exception(name) != name else (symbol.license_symbol.key, name)


@cache
def _exceptions() -> frozenset[str]:
    return frozenset(symbol.key for symbol in _spdx().known_symbols.values() if symbol.is_exception)


@cache
def _spdx() -> Licensing:
    return get_spdx_licensing()
