"""`source` in models.yaml, and the source factories it may `use`: options of a source kind that many models share.

Each value keeps the place where it is written, so that an error names the right file and line: the factory's or the
model's. Not here: what options a kind has (source_options).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from weighbridge.config.source_options import INCOMPLETE, AuthOptions, SourceOptions, known_kinds, options_of
from weighbridge.config.yaml_file import Location, YamlFile, told
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration, UsageError

USE = "use"
AUTH = "auth"


@dataclass(frozen=True)
class FieldPlace:
    """A place in a file: its path and the field."""

    file: YamlFile
    location: Location

    def __truediv__(self, key: int | str) -> FieldPlace:
        return FieldPlace(self.file, (*self.location, key))

    def problem(self, message: str, more: int = 0) -> InvalidConfiguration:
        """Return the error for the value at this place."""
        return self.file.problem(self.location, message, more)


@dataclass(frozen=True)
class Given:
    """Options as they are written in a file, by field.

    Attributes:
        kind: the source kind.
        options: its options.
        values: the values.
        places: the place of each.
    """

    kind: str
    options: type[SourceOptions]
    values: Mapping[str, Any]
    places: Mapping[str, FieldPlace]

    @classmethod
    def of(cls, kind: str, content: Any, place: FieldPlace) -> Given:
        """Read the names of options.

        Raises:
            InvalidConfiguration: the kind or an option is unknown, or an option is given twice.
        """
        options = options_of(kind)
        if options is None:
            known = ", ".join(known_kinds())
            raise place.problem(f"there is no source kind “{kind}”; known ones are {known}")
        if not isinstance(content, Mapping | None):
            raise place.problem(f"write the options of {kind} as a mapping")
        spellings = options.spellings()
        values: dict[str, Any] = {}
        places: dict[str, FieldPlace] = {}
        for key, value in (content or {}).items():
            field = spellings.get(key, str(key))
            if field not in options.model_fields and options.model_config.get("extra") != "allow":
                known = ", ".join(dict.fromkeys(info.alias or name for name, info in options.model_fields.items()))
                raise (place / key).problem(f"{kind} has no such option; it has {known}")
            if field in values:
                raise (place / key).problem("it is given twice")
            values[field], places[field] = value, place / key
        return cls(kind, options, values, places)

    def overridden(self, other: Given) -> Given:
        """Return these options overridden by others, also where the two exclude each other."""
        chosen = set(self.options.one_of) if any(name in other.values for name in self.options.one_of) else set()
        kept = {name: value for name, value in self.values.items() if name not in chosen}
        return Given(self.kind, self.options, {**kept, **other.values}, {**self.places, **other.places})

    def ref(self, place: FieldPlace) -> ModelRef:
        """Return the reference of these options. Raises InvalidConfiguration, at `place` for a missing option."""
        try:
            return self.options.model_validate(self.values).ref()
        except ValidationError as error:
            raise self._first(error.errors(), place) from error

    def check(self, place: FieldPlace) -> None:
        """Raise InvalidConfiguration for options that are wrong whatever else is chosen."""
        try:
            self.options.model_validate(self.values)
        except ValidationError as error:
            wrong = [one for one in error.errors() if one["type"] not in ("missing", INCOMPLETE)]
            if wrong:
                raise self._first(wrong, place) from error

    def _first(self, errors: list[Any], place: FieldPlace) -> InvalidConfiguration:
        first, more = errors[0], len(errors) - 1
        if not first["loc"]:
            return place.problem(told(first), more)
        key, *rest = first["loc"]
        found: FieldPlace = self.places.get(self.options.spellings().get(key, key), place / key)
        for part in rest:
            found = found / part
        return found.problem(told(first), more)


@dataclass(frozen=True)
class SourceFactory:
    """A source kind with options and credentials that models share.

    Attributes:
        given: the options.
        auth: where the credentials are kept, or None.
    """

    given: Given
    auth: AuthOptions | None

    @classmethod
    def read(cls, content: Any, place: FieldPlace) -> SourceFactory:
        """Read a value of `sources`: `{<kind>: {<option>: …}, auth: {…}}`; required options may be left to the models.

        Raises:
            InvalidConfiguration: the first mistake, with file, line and field.
        """
        kinds = [key for key in content if key != AUTH] if isinstance(content, Mapping) else []
        if len(kinds) != 1:
            raise place.problem("a source factory has one source kind with its options, and auth beside it")
        given = Given.of(str(kinds[0]), content[kinds[0]], place / kinds[0])
        given.check(place / kinds[0])
        auth = content.get(AUTH)
        if auth is None:
            return cls(given, None)
        return cls(given, place.file.validate(AuthOptions, auth, (place / AUTH).location))


def read_factories(files: Iterable[YamlFile]) -> dict[str, SourceFactory]:
    """Read `sources` of every file; a later file's factory replaces an earlier one of that name.

    Raises:
        InvalidConfiguration: a factory has a mistake, whether anything uses it or not.
    """
    return {
        str(name): SourceFactory.read(content, FieldPlace(file, ("sources", name)))
        for file in files
        for name, content in (file.content.get("sources") or {}).items()
    }


def read_source(
    content: Any, place: FieldPlace, factories: Mapping[str, SourceFactory]
) -> tuple[ModelRef, AuthOptions | None]:
    """Read a model's `source`: a URI, `{<kind>: {<option>: …}}`, or `{use: <factory>, <option>: …}`.

    Returns:
        The reference, and the factory's `auth`.

    Raises:
        InvalidConfiguration: the first mistake, with file, line and field.
    """
    if isinstance(content, str):
        try:
            ref = ModelRef.parse(content)
        except UsageError as error:
            raise place.problem(str(error)) from error
        if ref.mistake:
            raise place.problem(ref.mistake)
        return ref, None
    if not isinstance(content, Mapping) or not (USE in content or len(content) == 1):
        raise place.problem("name exactly one source kind, a URI, or a source factory with `use`")
    if USE not in content:
        ((kind, options),) = content.items()
        return Given.of(str(kind), options, place / kind).ref(place / kind), None
    name = content[USE]
    factory = factories.get(name) if isinstance(name, str) else None
    if factory is None:
        known = f"there are {', '.join(factories)}" if factories else "`sources` names none"
        raise (place / USE).problem(f"there is no source factory “{name}”; {known}")
    own = {key: value for key, value in content.items() if key != USE}
    given = factory.given.overridden(Given.of(factory.given.kind, own, place))
    return given.ref(place), factory.auth
