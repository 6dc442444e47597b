"""What a run on behalf of another person may name on this machine: places of secrets, and files of configuration.

The person who asks for a run chooses its parameters, and often also the host that a secret goes to. The run may use
only what the operator of this machine has released for that. Files of the operator are those directly in the working
folder: nothing that was ingested ever gets there. Not here: which hosts may be reached (net.addresses), which folders
may be ingested (sources.file); docs/adr/0009 has the reasons.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from weighbridge.domain.auth_place import AuthPlace, place_name, shown_name
from weighbridge.domain.policy import Policy
from weighbridge.domain.policy_order import weaknesses
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import record_of
from weighbridge.errors import InvalidConfiguration, NameTaken
from weighbridge.net.auth import Auth

_SUFFIXES = frozenset({".yaml", ".yml"})

#: For each variable or path of a file, the hosts that its secret may go to.
TokenPlaces = Mapping[str, tuple[str, ...]]


def refuse_place(place: AuthPlace, places: TokenPlaces) -> None:
    """Raise InvalidConfiguration when a variable or file is named that is not released for others."""
    name = place_name(place)
    if name and not place.block and name not in places:
        shown = shown_name(place)
        raise InvalidConfiguration(
            f"Runs on behalf of others may not read {shown}.",
            "Name a block with auth_block, or ask the operator of this machine for "
            f'WEIGHBRIDGE_TOKEN_PLACES={{"{shown}": ["<the host it is for>"]}}.',
            place=shown,
        )


def limited(auth: Auth, place: AuthPlace, kind: str, endpoint: str, places: TokenPlaces) -> Auth:
    """Return credentials that are limited to their hosts, whatever a reference names.

    Args:
        auth: the credentials as read.
        place: their place; all empty for those of the source's own tools, which never go to a reference's host.
        kind: the source kind.
        endpoint: the service that a setting names for that kind, or empty.
        places: the variables and files that `refuse_place` allows.

    Raises:
        InvalidConfiguration: no hosts are named for them.
    """
    name = place_name(place)
    if name in places and not place.block:
        return replace(auth, hosts=places[name])
    if not name or auth.hosts or record_of(kind).one_service:
        return auth
    if host := urlsplit(endpoint).hostname:
        return replace(auth, hosts=(host,))
    raise InvalidConfiguration(
        f"The block {name} does not say which hosts its secret is for.",
        f"Runs on behalf of others need that for the source {kind}: name a block that has a host, such as "
        "web-credentials/<name>.",
        place=name,
    )


def is_operators(path: Path, folder: Path) -> bool:
    """Return whether a YAML file is directly in the working folder; it may be a link there."""
    whole = folder / path
    return whole.suffix in _SUFFIXES and whole.parent.resolve() == folder.resolve()


def refuse_file(path: Path, folder: Path, roots: tuple[Path, ...] = (), remedy: str = "") -> None:
    """Raise InvalidConfiguration for a file that a run on behalf of others may not read.

    Args:
        path: that of models.yaml or a policy, absolute or relative to `folder`.
        folder: the working folder.
        roots: further resolved folders whose files others may name.
        remedy: a sentence on what else may be named.
    """
    if is_operators(path, folder):
        return
    if path.suffix in _SUFFIXES and any((folder / path).resolve().is_relative_to(root) for root in roots):
        return
    raise InvalidConfiguration(
        f"Runs on behalf of others may not read {path}.",
        f"Name a YAML file in the worker's own working folder, without a path. {remedy}".strip(),
        path=str(path),
    )


def refuse_weaker(policy: Policy, floor: Policy) -> None:
    """Raise InvalidConfiguration for a policy that permits more than the operator's, which is the minimum."""
    if found := weaknesses(policy, floor):
        raise InvalidConfiguration(
            f"The policy {policy.name} is weaker than the operator's, {floor.name}: {'; '.join(found[:3])}.",
            "Leave `policy` empty or choose a stricter one, or ask the operator of this machine to list it in "
            "WEIGHBRIDGE_REQUEST_POLICIES.",
            policy=policy.name,
            floor=floor.name,
        )


def taken(name: str, ref: ModelRef, origins: Collection[tuple[str, ...]], *, of_strangers: bool) -> NameTaken:
    """Return the error for a name that belongs to another source, with a remedy for the person who asks."""
    known = ", ".join(sorted(" ".join(origin) for origin in origins))
    remedy = (
        "Give this one a name of its own with `name`, or ask the operator of this machine to add it to models.yaml or "
        "WEIGHBRIDGE_SHARED_NAMES."
        if of_strangers
        else "Give this one a name of its own with --name; or, if it is the same model that moved, say so with "
        "--another-source or in models.yaml."
    )
    return NameTaken(
        f"The name {name} belongs to the model from {known}, and {ref.uri} is another one.", remedy, name=name
    )
