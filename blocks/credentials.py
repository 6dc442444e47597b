"""Base classes of blocks with credentials: they return an `Auth`, and their validation errors show no secret.

Not here: which source kind takes which block (loading).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, model_validator

from weighbridge.errors import InvalidConfiguration
from weighbridge.net.auth import Auth

#: A host name, `*.` before one of at least two parts, or an IP address.
HOST = r"^(\*\.[A-Za-z0-9-]+\.)?[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$|^[0-9A-Fa-f]*:[0-9A-Fa-f:.]+$"


class Credentials(Block, ABC):
    """Credentials for a source of models."""

    # A misspelt field would be kept and shown in clear text; an error would quote its value.
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @abstractmethod
    def get_auth(self) -> Auth:
        """Return the credentials for sources, with the hosts that they may be sent to."""

    @model_validator(mode="after")
    def _can_be_sent(self) -> Self:
        try:
            self.get_auth()
        except InvalidConfiguration as error:
            raise ValueError(error.problem) from None
        return self


class HostCredentials(Credentials):
    """A token, or user and password, for one host: the person who names this block may not choose the host."""

    host: str = Field(
        title="Host",
        pattern=HOST,
        description="The host that these credentials are for, such as models.company.com, or *.company.com for every "
        "host below. They are sent to no other host: a person who may name this block chooses the address, too, and "
        "could otherwise have them sent to a host of their own.",
    )
    token: SecretStr = Field(SecretStr(""), title="Token", description="A bearer token; empty for user and password.")
    username: str = Field("", title="User", description="For basic authentication; empty for a token.")
    password: SecretStr = Field(SecretStr(""), title="Password", description="The password of that user.")

    def get_auth(self) -> Auth:
        """Return the credentials for sources; they go only to `host`."""
        token, password = (secret.get_secret_value().strip() for secret in (self.token, self.password))
        return Auth(token, self.username, password, (self.host,))

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        auth = self.get_auth()
        if bool(auth.token) == bool(auth.username) or (auth.password and not auth.username):
            raise ValueError("give a token, or a user and a password")
        if ":" in auth.username:
            raise ValueError("basic authentication takes no user with a colon")
        return self
