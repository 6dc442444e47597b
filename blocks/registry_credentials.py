"""Credentials for registries of OCI images, such as those that hold Ollama's models."""

from __future__ import annotations

from dataclasses import replace

from pydantic import Field

from blocks.credentials import HOST, HostCredentials
from weighbridge.net.auth import Auth


class RegistryCredentials(HostCredentials):
    """A token, or user and password, for an OCI registry.

    Example:
        >>> from blocks import RegistryCredentials
        >>> auth = RegistryCredentials.load("company-registry").get_auth()
    """

    _block_type_name = "Registry Credentials"
    _block_type_slug = "registry-credentials"
    _description = "A token, or user and password, for an OCI registry."

    realm_host: str = Field(
        "",
        title="Host of the realm",
        pattern=f"^$|{HOST}",
        description="The host that issues tokens for this registry, where it is another one: gitlab.company.com for "
        "registry.company.com. User and password are sent there, too.",
    )

    def get_auth(self) -> Auth:
        """Return the credentials for sources; they go only to `host` and `realm_host`."""
        auth = super().get_auth()
        return replace(auth, hosts=(*auth.hosts, self.realm_host)) if self.realm_host else auth
