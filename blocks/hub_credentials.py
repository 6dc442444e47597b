"""Credentials for the Hugging Face Hub: models, data sets, Xet repositories."""

from __future__ import annotations

from pydantic import Field, SecretStr

from blocks.credentials import Credentials
from weighbridge.net.auth import Auth


class HubCredentials(Credentials):
    """An access token of the Hugging Face Hub, or of a mirror of it.

    Example:
        Name it in models.yaml as `auth: {block: company-hub}`, or load it:

        >>> from blocks import HubCredentials
        >>> auth = HubCredentials.load("company-hub").get_auth()
    """

    _block_type_name = "Hub Credentials"
    _block_type_slug = "hub-credentials"
    _description = "An access token of the Hugging Face Hub, or of a mirror of it."

    token: SecretStr = Field(
        title="Token",
        min_length=1,
        description="An access token; sent only to the Hub of the worker's settings.",
    )

    def get_auth(self) -> Auth:
        """Return the credentials for sources, without hosts, as a setting names the Hub."""
        return Auth(self.token.get_secret_value().strip())
