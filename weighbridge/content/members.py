"""Members of archives, examined by the same checks as the files of a model, at any depth.

Not here: the checks (content.examination), walking archives (content.archives), pickles (content.pickles).
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from weighbridge.content.archives import Member
from weighbridge.content.archives.member_walk import raise_if_ours
from weighbridge.content.examination import Check, Item, examine, reads
from weighbridge.content.second_readings import Excerpts
from weighbridge.domain.code_names import code_name
from weighbridge.domain.report import Finding

#: Formats of which the header is all that is read, and more bytes than any header has.
_HEADERS_ONLY = frozenset({"safetensors", "gguf"})
_HEADER_SIZE = 256 * 1024**2


class MemberExaminer:
    """Examines members one after the other; use it as a context.

    What a check opens goes to a temporary file first, one for all members. Stored tensors are not written there: where
    only a header is read, the rest is a hole of the right length, and what no check opens is not written at all.
    """

    def __enter__(self) -> Self:
        """Open the temporary file."""
        self._file = tempfile.NamedTemporaryFile()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove it."""
        self._file.close()

    def examine(self, member: Member) -> Check:
        """Check a member, before the walk continues; findings have its location.

        Raises:
            ScannerUnavailable: there is no space for it here.
        """
        if member.path:
            check = examine(Item(member.name, member.path, member.size, member.format))
        else:
            excerpts = Excerpts(member.head)
            path = self._spooled(member, excerpts)
            check = examine(Item(member.name, path, member.size, member.format), excerpts)
        findings = [_located(finding, member.location) for finding in check.findings]
        if member.format != "empty" and (named := code_name(member.name)):
            findings.append(Finding("code.run-by-name", named.level, named.message, member.location))
        return replace(check, findings=tuple(findings))

    def _spooled(self, member: Member, excerpts: Excerpts) -> Path:
        """Read a member, and write what its check opens to the file: all, its header or nothing."""
        opened = reads(member.format)
        try:
            self._file.seek(0)
            for chunk in member.chunks():
                excerpts.add(chunk)
                if opened and (member.format not in _HEADERS_ONLY or self._file.tell() < _HEADER_SIZE):
                    self._file.write(chunk)
            if opened:
                # Cutting off what an earlier member has beyond it is quicker than emptying the file for each.
                self._file.truncate()
                self._file.truncate(member.size)
        except OSError as error:
            raise_if_ours(error)
            raise
        return Path(self._file.name)


def _located(finding: Finding, location: str) -> Finding:
    return replace(finding, location=f"{location}: {finding.location}" if finding.location else location)
