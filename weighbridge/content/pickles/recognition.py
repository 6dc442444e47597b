"""Recognition of pickles: bytes that every unpickler refuses, or that no program unpickles, do not count as one.

Nearly every sequence of bytes begins with some valid opcodes: random weights and plain texts look like the beginning of
a pickle now and then, and a few bytes like a whole one. The result of the walk decides.
Not here: the walk (machine), where pickles are searched (streams).
"""

from __future__ import annotations

import io
import re

from weighbridge.content.pickles import machine
from weighbridge.content.pickles.globals import classify
from weighbridge.content.pickles.machine import Walked
from weighbridge.content.pickles.standard_library import MODULES

#: PROTO and the protocol, as pickles of protocols 2 to 5 begin.
MARK = re.compile(rb"\x80[\x02-\x05]")
#: What modules and attributes that can be imported are called; a hyphen only in a file's name.
_NAME = re.compile(r"[\w-]+(\.[\w-]+)*")


def is_pickle(walked: Walked, *, marked: bool, opened: bool, ends: bool) -> bool:
    r"""Return whether bytes count as a pickle.

    Args:
        walked: from their first byte.
        marked: whether they begin with `MARK`.
        opened: whether something unpickles a file of that name.
        ends: whether nothing follows them.

    1. Whole pickles that import by name count everywhere, and so do marked ones that break off after that.
    2. A computed name or an extension code alone counts in whole pickles that are marked or end where the file does: a
       few random bytes may be such a one.
    3. Where something unpickles them, marked whole pickles of plain values count, and whatever imports by name before
       it breaks off. A text such as "calendar\nemail\n" begins so, but no unpickler opens it.
    4. What has called a harmful function of Python's own before it breaks off counts everywhere: the name of a file
       that was compressed, or of a member, does not say who opens it.
    """
    named = any(found.module and _is_name(found.module, found.name) for found in walked.imports)
    if walked.stopped:
        return named or (marked and opened) or ((marked or ends) and bool(walked.imports))
    return named and (marked or opened or walked.limited or _called_harm(walked))


def may_be_pickle(head: bytes, size: int, *, named: bool) -> bool:
    """Return whether a file may be a pickle, as far as its first bytes show.

    Args:
        head: its first bytes.
        size: bytes of the whole file.
        named: whether its name is that of one; without, only a marked one may be.
    """
    marked = MARK.match(head) is not None
    if not marked and not named:
        return False
    file = io.BytesIO(head)
    walked = machine.walk(file, size)
    cut = not walked.stopped and len(head) < size and file.tell() >= len(head)
    counts = is_pickle(walked, marked=marked, opened=True, ends=walked.end == size)
    # Picklers memoise and fill containers; the same number over and over only grows the stack, or does nothing to it.
    return counts or (cut and walked.values > 0 and (marked or 2 * walked.values < walked.opcodes))


def _called_harm(walked: Walked) -> bool:
    return walked.calls > 0 and any(
        found.module.partition(".")[0] in MODULES and classify(found) == "dangerous" for found in walked.imports
    )


def _is_name(module: str, name: str) -> bool:
    return _NAME.fullmatch(module) is not None and _NAME.fullmatch(name) is not None
