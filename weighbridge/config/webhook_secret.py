"""The operator's secret of webhooks: of the settings, or of a file that is made where there is none.

Not here: the secrets of receivers, which are derived from it (domain.webhooks).
"""

from __future__ import annotations

import fcntl
import secrets
from pathlib import Path

from weighbridge.config.settings import Settings
from weighbridge.domain.webhooks import SigningKey
from weighbridge.errors import InvalidConfiguration
from weighbridge.system import whole_files

#: The file below home; whoever has it can sign messages to every receiver.
FILE = "webhook-secret"
_LOCK = ".webhook-secret.lock"


def signing_key(settings: Settings) -> SigningKey:
    """Return the key of the setting `webhook_secret`, else of the file below home, which is made with mode 0600.

    Raises:
        InvalidConfiguration: the file cannot be read or made.
    """
    if settings.webhook_secret:
        return SigningKey(settings.webhook_secret.encode())
    path = settings.folder / FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return SigningKey(_of_file(path))
    except OSError as error:
        raise InvalidConfiguration(
            f"The secret of webhooks in {path} cannot be used: {error.strerror}.",
            "Let this user read and write there, or set WEIGHBRIDGE_WEBHOOK_SECRET.",
        ) from error


def _of_file(path: Path) -> bytes:
    with open(path.parent / _LOCK, "a") as lock:  # Of processes that start at once, one makes the file.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            whole_files.write(path, secrets.token_hex(32), mode=0o600, durable=True)
        content = path.read_bytes().strip()
    if not content:
        raise InvalidConfiguration(f"The file {path} is empty.", "Delete it: another secret is made.")
    return content
