"""AWS's client for S3 and compatible services: credentials, region, endpoint, addressing, limits.

Not here: which requests are made (sources), their connections (s3.connections), the meaning of failures (s3.errors).
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore import UNSIGNED
from botocore.config import Config

from weighbridge.errors import AccessDenied, InvalidReference
from weighbridge.net.addresses import service_of
from weighbridge.net.s3.connections import GuardedSession
from weighbridge.net.s3.errors import foreign_errors
from weighbridge.net.s3.hosts import is_aws
from weighbridge.net.settings import SourceSettings

DEFAULT_REGION = "us-east-1"
#: Requests that botocore sends for one call: `net.retrying` decides on retries.
_ATTEMPTS = 1


def connect(settings: SourceSettings, *, region: str, endpoint: str, connections: int) -> Any:
    """Return a boto3 client, safe for several threads; sends only the requests of AWS's credential chain.

    1. Named keys are used; else AWS's own chain: environment, profiles, roles, the machine's own.
    2. Keys go only to hosts that they are meant for (`Auth.hosts`); keys of the chain never go to an endpoint that a
       stranger has chosen (`AddressPolicy.private`). Without keys requests are unsigned, as for public buckets.
    3. The bucket is in the path where the endpoint is not AWS's, unless AWS's configuration file says otherwise.

    Args:
        settings: credentials, timeout and address policy.
        region: that of the bucket; empty for the chain's, else `DEFAULT_REGION`.
        endpoint: base URL; empty for the settings', the chain's (AWS_ENDPOINT_URL_S3), else AWS's own.
        connections: the most connections that stay open.

    Raises:
        AccessDenied: a token alone, or a broken credential chain.
        InvalidReference: an invalid endpoint or region.
    """
    auth, chosen = settings.auth, endpoint or settings.endpoint
    if auth.token and not auth.username:
        raise AccessDenied(
            "S3 accepts no bearer token.",
            "Name an access key id and its secret, written KEY_ID:SECRET, or two variables.",
        )
    if chosen and not (urlsplit(chosen).scheme in ("http", "https") and urlsplit(chosen).hostname):
        raise InvalidReference(f"“{chosen[:200]}” is not an endpoint.", "Write endpoint=https://host:port.")
    options: dict[str, Any] = {
        "retries": {"total_max_attempts": _ATTEMPTS, "mode": "standard"},
        "connect_timeout": settings.timeout_s,
        "read_timeout": settings.timeout_s,
        "max_pool_connections": connections,
        "response_checksum_validation": "when_required",  # sha256 is computed anyway
        "user_agent_extra": "weighbridge",
    }
    with foreign_errors("S3", urlsplit(chosen).hostname or "AWS"):
        session = boto3.Session(region_name=region or None)

        def make() -> Any:
            return session.client(
                "s3",
                region_name=region or session.region_name or DEFAULT_REGION,
                endpoint_url=chosen or None,
                verify=_certificates(),
                config=Config(**options),
                aws_access_key_id=auth.username or None,
                aws_secret_access_key=auth.password or None,
                aws_session_token=auth.token or None,
            )

        client = make()
        first = dict(options)  # the endpoint is known only now, as AWS's configuration may name it too
        if not is_aws(client.meta.endpoint_url) and not _configured_style(session):
            options["s3"] = {"addressing_style": "path"}
        if not _may_sign(session, settings, client.meta.endpoint_url, of_reference=bool(endpoint)):
            options["signature_version"] = UNSIGNED
        client = make() if options != first else client
        client._endpoint.http_session = GuardedSession(client._endpoint.http_session, settings.addresses, settings.pace)
    return client


def _may_sign(session: Any, settings: SourceSettings, endpoint: str, *, of_reference: bool) -> bool:
    """Return whether there are keys that may be used for requests to `endpoint`."""
    auth, addresses = settings.auth, settings.addresses
    if auth.username:
        return auth.may_go_to(endpoint)
    on_behalf = addresses.private is not None
    if on_behalf and of_reference and not is_aws(endpoint) and service_of(endpoint) not in addresses.trusted:
        return False
    return session.get_credentials() is not None


def _configured_style(session: Any) -> bool:
    """Return whether the user's AWS configuration says how buckets are addressed."""
    section = session._session.get_scoped_config().get("s3", {})
    return isinstance(section, dict) and "addressing_style" in section


def _certificates() -> str | None:
    """Return the file of certificate authorities that httpx uses too; None leaves it to AWS's configuration."""
    return None if os.environ.get("AWS_CA_BUNDLE") else os.environ.get("SSL_CERT_FILE") or None
