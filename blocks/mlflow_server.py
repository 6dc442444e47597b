"""The MLflow server that versions which passed are published to."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlsplit

from prefect.blocks.core import Block
from pydantic import ConfigDict, Field, SecretStr, field_validator


class MLflowServer(Block):
    """An MLflow server, with basic authentication where it requires it.

    Example:
        >>> from blocks import MLflowServer
        >>> settings = MLflowServer.load("team").get_settings()
    """

    model_config = ConfigDict(hide_input_in_errors=True)
    _block_type_name = "MLflow Server"
    _block_type_slug = "mlflow-server"
    _description = "The MLflow server that versions which passed are published to."

    tracking_uri: str = Field(title="Tracking URI", description="https://host[:port][/prefix], without credentials.")
    username: str = Field("", title="User", description="For basic authentication; empty for none.")
    password: SecretStr = Field(SecretStr(""), title="Password", description="The password of that user.")

    @field_validator("tracking_uri")
    @classmethod
    def _without_credentials(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("enter an http:// or https:// address")
        if "@" in parts.netloc:
            raise ValueError("put user and password into their own fields: this one is shown in clear")
        return value

    def get_settings(self) -> dict[str, Any]:
        """Return the `Settings` fields of this block; the registry moves the credentials out of the URI."""
        if not self.username:
            return {"mlflow_tracking_uri": self.tracking_uri}
        user, password = quote(self.username, safe=""), quote(self.password.get_secret_value(), safe="")
        scheme, rest = self.tracking_uri.split("://", 1)
        return {"mlflow_tracking_uri": f"{scheme}://{user}:{password}@{rest}"}
