"""Loading blocks by name: credentials for sources, settings for a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from prefect.blocks.core import Block
from prefect.blocks.system import Secret

from blocks.blob_store_folder import BlobStoreFolder
from blocks.catalog_database import CatalogDatabase
from blocks.clamav_daemon import ClamAVDaemon
from blocks.credentials import Credentials, HostCredentials
from blocks.git_credentials import GitCredentials
from blocks.hub_credentials import HubCredentials
from blocks.index_credentials import IndexCredentials
from blocks.mlflow_credentials import MLflowCredentials
from blocks.mlflow_server import MLflowServer
from blocks.registry_credentials import RegistryCredentials
from blocks.s3_credentials import S3Credentials
from blocks.web_credentials import WebCredentials
from weighbridge.domain.source_kinds import record_of
from weighbridge.errors import InvalidConfiguration
from weighbridge.net.auth import Auth

SettingsBlock = MLflowServer | ClamAVDaemon | BlobStoreFolder | CatalogDatabase
#: Block types whose values are settings.
SETTINGS_BLOCKS: Mapping[str, type[SettingsBlock]] = {
    kind.get_block_type_slug(): kind for kind in (MLflowServer, ClamAVDaemon, BlobStoreFolder, CatalogDatabase)
}


#: Block types with credentials for sources; the record of a source kind names its own.
CREDENTIALS: Mapping[str, type[Credentials]] = {
    kind.get_block_type_slug(): kind
    for kind in (
        GitCredentials,
        HubCredentials,
        MLflowCredentials,
        RegistryCredentials,
        IndexCredentials,
        S3Credentials,
        WebCredentials,
    )
}


def load_block(name: str, kind: str) -> Auth:
    """Load credentials from a block.

    Args:
        name: the name of a block of the kind's own type; or `<type>/<name>` for one of another type that fits, as every
            block with a host does where the kind's own has one; or `secret/<name>` for one of Prefect's Secret blocks.
        kind: the source kind that needs them.

    Raises:
        InvalidConfiguration: there is no such block, or it holds no credentials for that kind.
    """
    if not record_of(kind).block:
        raise InvalidConfiguration(f"The source {kind} takes no credentials.", "Name no block for it.")
    slug, _, short = name.rpartition("/")
    if slug == Secret.get_block_type_slug():
        return _secret(short)
    fitting = _fitting(kind)
    wanted = slug or next(iter(fitting))
    if wanted not in fitting:
        raise InvalidConfiguration(
            f"The block {name!r} holds no credentials for the source {kind}.",
            f"Name a block of the type {', '.join(fitting)}; or secret/<name>.",
        )
    return cast(Credentials, _load(fitting[wanted], short)).get_auth()


def _fitting(kind: str) -> dict[str, type[Credentials]]:
    """Return the block types that fit a source kind by slug, its own first."""
    slug = record_of(kind).block
    own = CREDENTIALS[slug]
    hosts = {name: one for name, one in CREDENTIALS.items() if issubclass(one, HostCredentials)}
    return {slug: own} | (hosts if issubclass(own, HostCredentials) else {})


def _secret(name: str) -> Auth:
    value = cast("Secret[Any]", _load(Secret, name)).get()
    if not isinstance(value, str):
        raise InvalidConfiguration(
            f"The block secret/{name} holds no text.", "Set it to a token, user:password, or KEY_ID:SECRET."
        )
    return Auth.parse(value)


def load_settings(names: Mapping[str, str]) -> dict[str, Any]:
    """Return the `Settings` fields of blocks.

    Args:
        names: block type, one of `SETTINGS_BLOCKS`, to the block's name; an empty name leaves the type out.

    Raises:
        InvalidConfiguration: there is no such block.
    """
    fields: dict[str, Any] = {}
    for slug, name in names.items():
        if name:
            fields |= cast(SettingsBlock, _load(SETTINGS_BLOCKS[slug], name)).get_settings()
    return fields


def _load(kind: type[Block], name: str) -> Block:
    try:
        return cast(Block, kind.load(name))
    except ValueError:  # The block is missing or no longer valid; the error may quote a secret, so it is not kept.
        slug = kind.get_block_type_slug()
        raise InvalidConfiguration(
            f"Prefect has no usable block {slug}/{name}.",
            f"Create it in Prefect's UI under Blocks, or see `prefect block inspect {slug}/{name}`.",
        ) from None
