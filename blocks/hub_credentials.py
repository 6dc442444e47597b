"""Credentials for a source of models: the Hugging Face Hub, a package index, a web server; encrypted by Prefect."""

from __future__ import annotations

from prefect.blocks.core import Block
from pydantic import Field, SecretStr

from weighbridge.sources.interface import Auth


class HubCredentials(Block):
    """A bearer token, or user and password, for a source of models.

    Example:
        Name it in models.yaml as `auth: {block: company-hub}`, or load it:

        >>> from blocks import HubCredentials
        >>> auth = HubCredentials.load("company-hub").get_auth()
    """

    _block_type_name = "Hub Credentials"
    _block_type_slug = "hub-credentials"
    _description = "A bearer token, or user and password, for a source of models."

    token: SecretStr = Field(
        title="Token",
        description="A bearer token, user:password, or KEY_ID:SECRET for S3; sent to the source's own host only.",
    )

    def get_auth(self) -> Auth:
        """Return the credentials as sources take them."""
        return Auth.parse(self.token.get_secret_value())
