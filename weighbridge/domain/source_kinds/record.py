"""The record of a source kind: everything about it that needs no import of its adapter.

Not here: the records themselves (weighbridge.domain.source_kinds), and the options of models.yaml, whose classes a
record names (source_options).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from weighbridge.domain.source_kinds.grammar import Parts, read_named, write_named

#: The class of options for a kind that declares none: `id`, `revision`, and any other by its name in the URI.
NAMED_OPTIONS = "weighbridge.config.source_options:NamedOptions"
WEB_CREDENTIALS = "web-credentials"


@dataclass(frozen=True)
class SourceKind:
    """A kind of place that models come from. Only the first three fields are required; plug-ins use the defaults.

    Attributes:
        name: the kind, as in `ModelRef.kind` and models.yaml.
        schemes: the schemes of its URIs; the first one is written where the id does not contain one.
        adapter: where the source's class is, `module:Class`; it is imported when its first source is made. Empty for
            a plug-in, whose entry point names it.
        options: where the class of its options in models.yaml is, `module:Class`; empty where they are part of another
            kind's.
        read: returns the parts of a URI from kind, scheme and what follows the scheme's colon.
        write: returns the URI from the first scheme and its parts, so that `read` reads it back.
        follows: a regular expression, for Python and browsers, of what follows a scheme's colon; whatever it refuses,
            `read` refuses too.
        mistake: returns what is wrong with id or revision, without any request; empty where nothing is.
        model_name: returns the name that a model gets when its user gives none.
        places: options that determine where a model is, and not which of its files are taken.
        local: whether the id is a path of this machine; a relative one counts from the file that names it.
        endpoint_setting: the field of `Settings` with the base URL of its service; empty where it has none.
        endpoint_variable: the variable of the source's own tools that counts where the setting is empty.
        one_service: whether only a setting names its service, so that no reference can send credentials elsewhere.
        auth_variable: the variable of the source's own tools that holds a token, read where no credentials are named.
        login_variables: likewise for a user's name and password, which count before the token; may be empty.
        key_pair: whether the variable named for it holds the id of a key, as in AWS's tools.
        block: the type of Prefect block that holds its credentials; empty where it needs no credentials.
        page: returns the address of a pinned model's page for people; empty where there is none.
        hub_folder: the folder of a Hugging Face cache for its models, whose revisions are the Hub's commits; empty
            where they are not.
    """

    name: str
    schemes: tuple[str, ...]
    adapter: str
    options: str = NAMED_OPTIONS
    read: Callable[[str, str, str], Parts] = read_named
    write: Callable[[str, Parts], str] = write_named
    follows: str = "[^?@-].*"
    mistake: Callable[[Parts], str] = lambda _: ""
    model_name: Callable[[Parts], str] = lambda parts: parts.id
    places: frozenset[str] = frozenset({"endpoint", "index", "registry", "subdir", "tracking_uri"})
    local: bool = False
    endpoint_setting: str = ""
    endpoint_variable: str = ""
    one_service: bool = False
    auth_variable: str = ""
    login_variables: tuple[str, ...] = ()
    key_pair: bool = False
    block: str = WEB_CREDENTIALS
    page: Callable[[Parts], str] = lambda _: ""
    hub_folder: str = ""
