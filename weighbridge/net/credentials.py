"""The place of a secret, an environment variable, a file or a block, and reading the secret just before use.

Only the place is ever written anywhere (models.yaml, flow parameters, logs), never the secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

from weighbridge.domain.auth_place import AuthPlace, shown_name
from weighbridge.domain.mirror import Upstream
from weighbridge.domain.source_kinds import record_of
from weighbridge.errors import InvalidConfiguration
from weighbridge.net.addresses import service_of
from weighbridge.net.auth import Auth


def read_auth(
    place: AuthPlace, kind: str, endpoint: str = "", load_block: Callable[[str, str], Auth] | None = None
) -> Auth:
    """Return the credentials for a source kind from their place.

    Args:
        place: the place; all empty means the variables of the source's own tools.
        kind: the source kind.
        endpoint: the service of the settings; credentials that were not named for this model go only there.
        load_block: loads a Prefect block by name for a kind; None where Prefect is not in use.

    Raises:
        InvalidConfiguration: the place is named but holds no secret.
    """
    if place.block:
        if load_block is None:
            raise InvalidConfiguration(
                f"auth names the block {place.block!r}, but Prefect is not in use.",
                "Run with --via prefect, or name tokenEnvVar or tokenFile instead.",
            )
        return load_block(place.block, kind)
    if place.token_file:
        try:
            return Auth.parse(Path(place.token_file).expanduser().read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidConfiguration(
                f"The token file {shown_name(place)} cannot be read.",
                "Create it or correct `tokenFile`: it is the path of a file that holds the token, not the token.",
            ) from error
    if place.token_env:
        token = os.environ.get(place.token_env, "").strip()
        if not token:
            raise InvalidConfiguration(
                f"The environment variable {shown_name(place)} holds no token.",
                f"Set it: export {shown_name(place)}=…; the setting is the name of a variable, not the token.",
            )
        return _aws_keys(place.token_env, token) if record_of(kind).key_pair else Auth.parse(token)
    return _default(kind, endpoint)


def upstream_auth(
    upstream: Upstream, kind: str, hub: str, load_block: Callable[[str, str], Auth] | None = None
) -> Auth | None:
    """Return the credentials that the mirror's file has for a Hub, which go to that Hub's host alone.

    None where the file leaves them to the source's own tools. Those are for the Hub of the settings: another one that
    the file names without a token is asked without one.

    Args:
        upstream: what the file says of the Hub.
        kind: the source kind.
        hub: the address of the settings' Hub.
        load_block: as `read_auth`.

    Raises:
        InvalidConfiguration: the place that the file names holds no secret.
    """
    endpoint = upstream.base_url or hub
    if not upstream.names_token:
        return None if service_of(endpoint) == service_of(hub) else Auth()
    auth = Auth(upstream.token) if upstream.token else read_auth(upstream.auth, kind, endpoint, load_block)
    return replace(auth, hosts=(urlsplit(endpoint).hostname or "nowhere",))


def _aws_keys(name: str, value: str) -> Auth:
    """Return AWS's keys: the id from the named variable, the rest from the other variables of AWS's tools.

    `PROD_AWS_ACCESS_KEY_ID` goes with `PROD_AWS_SECRET_ACCESS_KEY` where that is set, else AWS_SECRET_ACCESS_KEY.
    """
    if ":" in value:
        return Auth.parse(value)
    prefix = name.removesuffix("AWS_ACCESS_KEY_ID") if name.endswith("AWS_ACCESS_KEY_ID") else ""
    prefix = prefix if f"{prefix}AWS_SECRET_ACCESS_KEY" in os.environ else ""
    secret = os.environ.get(f"{prefix}AWS_SECRET_ACCESS_KEY", "").strip()
    if not secret:
        raise InvalidConfiguration(f"{name} holds an access key id, but AWS_SECRET_ACCESS_KEY is not set.", "Set both.")
    return Auth(os.environ.get(f"{prefix}AWS_SESSION_TOKEN", "").strip(), value, secret)


def _default(kind: str, endpoint: str) -> Auth:
    """Return the credentials that the source's own tools would use; AWS's chain finds those of S3.

    Where a reference can name the service, such as an MLflow server, they go only to the configured one.
    """
    record = record_of(kind)
    if not record.auth_variable:
        return Auth()
    hosts = () if record.one_service else (urlsplit(endpoint).hostname or "nowhere",)
    user, password = (os.environ.get(name, "") for name in record.login_variables or ("", ""))
    if user:
        return Auth("", user, password, hosts)
    return Auth(os.environ.get(record.auth_variable, "").strip(), hosts=hosts)
