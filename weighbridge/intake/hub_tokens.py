"""Tokens of a Hub that the mirror passes on: what each may read, asked of the Hub and remembered for a minute.

Where the mirror's file says `pass_tokens`, a client may be known by its own token of that Hub. It is then a reader of
the one repository that it asks for, if the Hub lets the token read it, and of nothing else here. A token is sent to its
Hub alone; the process remembers a hash of it, and the catalog and the logs have the beginning of that. Not here: which
versions it gets (intake.mirroring). Why it is built so is in docs/adr/0024.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from weighbridge.domain.access import PREFIX, Caller, hash_of
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import (
    AccessDenied,
    AddressRefused,
    ModelNotFound,
    NotAuthenticated,
    NotInCatalog,
    NotPermitted,
    SourceError,
    SourceUnavailable,
)
from weighbridge.intake.asker import Asker
from weighbridge.intake.mirrored_models import SOURCE_KINDS, RepoKind
from weighbridge.intake.resources import Resources
from weighbridge.intake.workspace import workspace_of
from weighbridge.net.auth import Auth
from weighbridge.net.retrying import Retrying
from weighbridge.sources import open_source
from weighbridge.sources.interface import Permitting

#: Seconds without a byte after which a Hub counts as slow here.
_TIMEOUT_S = 3.0
_SOON_S = 2
#: Letters of the hash of a token by which logs and the catalog name it.
_NAMED_BY = 16


def is_passed(token: str, name: str, resources: Resources) -> bool:
    """Return whether a token is one of the Hub that has a name, and the mirror's file says that it is passed on."""
    if not token.startswith("hf_") or token.startswith(PREFIX):  # A mistyped key of ours leaves this server never.
        return False
    return bool(name) and resources.mirror.upstream(name).pass_tokens


def holder_of(token: str, kind: RepoKind, name: str, resources: Resources) -> Caller:
    """Return who sends a token of a Hub: a reader of one repository, which the Hub lets the token read.

    Args:
        token: the token.
        kind: the kind of repository.
        name: of the repository, which `is_passed` is about.
        resources: those of the process.

    Raises:
        NotAuthenticated: it is no token of the Hub.
        NotInCatalog: the Hub shows it no such repository, or makes no sense.
        NotPermitted: the Hub does not let it read the repository.
        SourceUnavailable: the Hub cannot be asked, and has not said so lately.
    """
    ref = ModelRef(SOURCE_KINDS.get(kind, ""), name) if kind in SOURCE_KINDS else None
    if ref is None or ref.mistake or any(sign in name for sign in "*?["):
        raise NotInCatalog("There is no repository of that name.", name=name)
    hub, hashed = resources.mirror.upstream(name).base_url, hash_of(token)
    resources.hub_tokens.refuse((hub, kind, name, hashed), lambda: _ask(ref, hub, token, resources))
    return Caller(hashed[:_NAMED_BY], "reader", (name,), kind="hub")


def _ask(ref: ModelRef, hub: str, token: str, resources: Resources) -> None:
    try:
        with workspace_of(resources, Asker(on_behalf=True)) as workspace:
            usual = workspace.source_settings(ref, AuthPlace())
            own = Auth(token, hosts=(urlsplit(hub).hostname or "nowhere",))
            source = open_source(
                ref.kind, replace(usual, auth=own, timeout_s=_TIMEOUT_S, retrying=Retrying(attempts=1))
            )
            assert isinstance(source, Permitting)
            source.check_access(ref)
    except SourceUnavailable as error:
        raise SourceUnavailable(
            f"The Hub cannot say now what this token may read of {ref.id}.",
            "Ask again in some seconds, or with a key of this registry.",
            retry_after_s=max(_SOON_S, round(error.facts.get("retry_after_s") or 0.0)),
        ) from error
    except ModelNotFound as error:
        raise NotInCatalog(f"The Hub shows this token no repository {ref.id}.", name=ref.id) from error
    except AccessDenied as error:
        if error.facts.get("credentials"):
            raise NotAuthenticated("The token is none of this registry, and its Hub does not accept it.") from error
        if not isinstance(error, AddressRefused):
            raise NotPermitted(
                f"The Hub does not let this token read {ref.id}. {error.problem}", name=ref.id
            ) from error
        raise NotInCatalog(f"The Hub of {ref.id} makes no sense.", name=ref.id) from error
    except SourceError as error:
        raise NotInCatalog(f"The Hub of {ref.id} makes no sense. {error.problem}", name=ref.id) from error
