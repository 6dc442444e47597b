"""Loading blocks by name: credentials for sources, settings for a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from prefect.blocks.core import Block
from prefect.blocks.system import Secret

from blocks.blob_store_folder import BlobStoreFolder
from blocks.catalog_database import CatalogDatabase
from blocks.clamav_daemon import ClamAVDaemon
from blocks.hub_credentials import HubCredentials
from blocks.mlflow_server import MLflowServer
from weighbridge.errors import InvalidConfiguration
from weighbridge.sources.interface import Auth

SettingsBlock = MLflowServer | ClamAVDaemon | BlobStoreFolder | CatalogDatabase
#: Block types whose values are settings.
SETTINGS_BLOCKS: Mapping[str, type[SettingsBlock]] = {
    kind.get_block_type_slug(): kind for kind in (MLflowServer, ClamAVDaemon, BlobStoreFolder, CatalogDatabase)
}


def load_block(name: str, kind: str = "huggingface") -> Auth:
    """Load credentials from a block.

    Args:
        kind: the source kind that they are for.
        name: of a Hub Credentials block; or `secret/<name>` for one of Prefect's own Secret blocks.

    Raises:
        InvalidConfiguration: there is no such block, or it holds no credentials.
    """
    slug, _, short = name.rpartition("/")
    if slug in ("", HubCredentials.get_block_type_slug()):
        return cast(HubCredentials, _load(HubCredentials, short)).get_auth()
    if slug == Secret.get_block_type_slug():
        return Auth.parse(str(cast("Secret[Any]", _load(Secret, short)).get()))
    raise InvalidConfiguration(
        f"The block {name!r} holds no credentials.", "Name a hub-credentials block, or secret/<name>."
    )


def load_settings(names: Mapping[str, str]) -> dict[str, Any]:
    """Return the `Settings` fields that blocks stand for.

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
    except ValueError:  # Not there, or not valid any more; what it says of that may quote a secret, so it ends here.
        slug = kind.get_block_type_slug()
        raise InvalidConfiguration(
            f"Prefect has no usable block {slug}/{name}.",
            f"Create it in Prefect's UI under Blocks, or see `prefect block inspect {slug}/{name}`.",
        ) from None
