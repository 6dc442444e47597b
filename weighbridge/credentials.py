"""Where a secret is kept: an environment variable, a file, or a block; and how it is read just before use.

Only the place is ever written down (models.yaml, flow parameters, logs); never the secret.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from weighbridge.errors import InvalidConfiguration
from weighbridge.sources.interface import Auth


@dataclass(frozen=True)
class AuthPlace:
    """The place of a token; at most one of the three is set.

    Attributes:
        token_env: name of an environment variable.
        token_file: path of a file that holds nothing but the token.
        block: name of a Prefect block, `<name>` or `<type>/<name>`.
    """

    token_env: str = ""
    token_file: str = ""
    block: str = ""


#: What a source kind falls back to when nothing is named, as its own tools do.
DEFAULT_ENV = {"huggingface": "HF_TOKEN", "huggingface-dataset": "HF_TOKEN"}


def read_auth(place: AuthPlace, kind: str, load_block: Callable[[str], Auth] | None = None) -> Auth:
    """Read the credentials for a source kind from their place.

    Args:
        place: where; all empty means the source's own default environment variable, if set.
        kind: the source kind.
        load_block: loads a Prefect block by name; None where Prefect is not in use.

    Raises:
        InvalidConfiguration: the place is named but holds nothing.
    """
    if place.block:
        if load_block is None:
            raise InvalidConfiguration(
                f"auth names the block {place.block!r}, but Prefect is not in use.",
                "Run with --via prefect, or name tokenEnvVar or tokenFile instead.",
            )
        return load_block(place.block)
    if place.token_file:
        try:
            return Auth(Path(place.token_file).expanduser().read_text().strip())
        except OSError as error:
            raise InvalidConfiguration(
                f"The token file {place.token_file} cannot be read: {error.strerror}.", "Create it or mend `tokenFile`."
            ) from error
    if place.token_env:
        token = os.environ.get(place.token_env, "").strip()
        if not token:
            raise InvalidConfiguration(
                f"The environment variable {place.token_env} holds no token.", f"Set it: export {place.token_env}=…"
            )
        return Auth(token)
    return Auth(os.environ.get(DEFAULT_ENV.get(kind, ""), "").strip())
