"""Raw storages in torch's legacy format, after the pickles of a file.

Such a file has five pickles (a number, a version, the system, the object, the storages' keys) and then each storage:
how many elements it has, in eight bytes, and their bytes (torch/serialization.py, `_legacy_save`). Not here: torch's
zip, whose storages are members (streams).
"""

from __future__ import annotations

import re
from typing import IO

#: The number that such a file begins with, as a pickle in binary and in digits.
_NUMBER = re.compile(
    rb"(\x80[\x00-\x05])?(\x95.{8})?(\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19|L119547037146038801333356L?\n)\.", re.S
)
PICKLES = 5


def is_legacy(file: IO[bytes]) -> bool:
    """Whether a file begins as one in torch's legacy format."""
    file.seek(0)
    return _NUMBER.match(file.read(64)) is not None
