"""Credentials for S3 and compatible services."""

from __future__ import annotations

from pydantic import Field, SecretStr

from blocks.credentials import HOST, Credentials
from weighbridge.net.auth import Auth
from weighbridge.net.s3.hosts import AWS_HOSTS


class S3Credentials(Credentials):
    """An access key of AWS, or of a compatible service.

    Example:
        >>> from blocks import S3Credentials
        >>> auth = S3Credentials.load("company-s3").get_auth()
    """

    _block_type_name = "S3 Credentials"
    _block_type_slug = "s3-credentials"
    _description = "An access key of AWS, or of a compatible service."

    access_key_id: str = Field(title="Access key id", min_length=1, description="The key's public half.")
    secret_access_key: SecretStr = Field(title="Secret access key", min_length=1, description="Its secret half.")
    session_token: SecretStr = Field(
        SecretStr(""), title="Session token", description="The token of temporary keys; empty for others."
    )
    host: str = Field(
        "",
        title="Host",
        pattern=f"^$|{HOST}",
        description="The host of a service that is not AWS, such as minio.company.com, or *.company.com; empty for "
        "AWS. Requests to another endpoint are not signed with this key, as a person who may name this block chooses "
        "the endpoint, too.",
    )

    def get_auth(self) -> Auth:
        """Return the credentials for sources; they go only to `host`, or without one to AWS's own hosts of S3."""
        secret, session = (value.get_secret_value().strip() for value in (self.secret_access_key, self.session_token))
        return Auth(session, self.access_key_id, secret, (self.host,) if self.host else AWS_HOSTS)
