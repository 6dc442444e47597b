"""Settings from environment variables: lists as `a,b`, and errors that name the variable and an example.

Not here: which settings exist (config.settings).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import EnvSettingsSource

from weighbridge.errors import InvalidConfiguration

PREFIX = "WEIGHBRIDGE_"
_USER_IN_ADDRESS = re.compile(r"://[^/?#\s]*@")
#: How similar two names must be for one to count as a misspelling of the other; `CMD` is not `CLAMD`.
_LIKENESS = 0.8
#: An example value for each setting whose type does not suggest one.
_EXAMPLES = {
    "home": "~/.weighbridge",
    "catalog_url": "postgresql+psycopg://user@host/database",
    "mlflow_tracking_uri": "https://mlflow.example.com",
    "clamd": "unix:/run/clamav/clamd.ctl",
    "clamav_mirrors": "https://clamav.example.com",
    "policy": "strict",
    "registries": "mlflow,export",
    "allowed_hosts": "huggingface.co,*.example.com",
    "allowed_schemes": "https",
    "private_networks": "10.0.0.0/8,192.168.0.0/16",
    "token_places": '{"HF_TOKEN": ["huggingface.co"]}',
    "cache_limit": "50GB",
    "file_roots": "/srv/models,/data",
    "benchmark_data": '{"speech": "/srv/speech.wav"}',
    "via": "direct",
    "task_runner": "threads",
    "serve_url": "https://models.example.com",
    "webhook_schemes": "https,http",
    "webhook_hosts": "*.example.com",
    "webhook_networks": "10.0.0.0/8",
    "webhook_retries_s": "5,300,1800,7200",
    "serve_proxies": "127.0.0.1,10.0.0.5",
    "api_prefix": "/api",
    "mirror_prefix": "/huggingface",
    "mirror_config": "/etc/weighbridge/mirror.yaml",
    "serve_names": "registry.example.com,10.0.0.5",
    "issuer": "https://login.example.com/realms/company",
    "issuer_audiences": "weighbridge",
    "issuer_roles": '{"ml-admins": "admin", "staff": "reader"}',
}


class ListsInEnvironment(EnvSettingsSource):
    """Reads variables; a list may be JSON or names separated by commas."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        """Return the value of a variable that holds more than one text.

        Raises:
            ValueError: it begins as JSON and is not valid JSON.
        """
        if isinstance(value, str) and not value.strip().startswith(("[", "{")) and "tuple" in str(field.annotation):
            return [part.strip() for part in value.split(",") if part.strip()]
        return json.loads(value)


def holds_password(text: str) -> bool:
    """Return whether a text contains a URL with a user or a password."""
    return _USER_IN_ADDRESS.search(text) is not None


def without_passwords(text: str) -> str:
    """Return a text without the users and passwords of the URLs in it."""
    return _USER_IN_ADDRESS.sub("://", text)


def variable(field: str) -> str:
    """Return the name of a setting's environment variable."""
    return PREFIX + field.upper()


def example(field: str, default: Any) -> str:
    """Return a line that sets a variable to a valid value."""
    value = _EXAMPLES.get(field, "" if default is None else str(default))
    quoted = f"'{value}'" if any(sign in value for sign in ' *{"') else value
    return f"{variable(field)}={quoted}"


def refuse_misspelt(fields: Collection[str]) -> None:
    """Refuse a variable whose name is almost that of a setting: it would be ignored silently.

    Raises:
        InvalidConfiguration: there is one; the message has the nearest name.
    """
    known = {variable(field) for field in fields}
    for name in os.environ:
        if name.startswith(PREFIX) and name not in known:
            own = {other.removeprefix(PREFIX): other for other in known}
            near = get_close_matches(name.removeprefix(PREFIX), list(own), 1, _LIKENESS)
            if near:
                raise InvalidConfiguration(
                    f"There is no setting {name}.", f"Did you mean {own[near[0]]}? README lists them all.", name=name
                )


def mistake(error: ValidationError, examples: dict[str, str]) -> InvalidConfiguration:
    """Return the error for the first wrong setting: the variable, what is wrong, and an example.

    Args:
        error: the error of pydantic.
        examples: a valid line for each setting, by its name.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    words = first["msg"].removeprefix("Value error, ").rstrip(".")
    return InvalidConfiguration(
        f"{variable(field)} is wrong: {words}.",
        f"For example: {examples.get(field, variable(field))}",
        name=variable(field),
    )
