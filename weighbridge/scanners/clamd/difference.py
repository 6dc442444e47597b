"""The difference of two folders of ClamAV's signatures: what the newer one recognises and the older one does not.

A blob that is clean under the older folder and under the difference is clean under the newer folder. That holds for
signatures that match by themselves, while all that decides how files are unpacked, typed and trusted stays the same.
Whatever is not certain is not proven, with a reason in words, and the blob is scanned with the whole newer folder
(docs/adr/0038). The difference may recognise more than the newer folder, never less: it has no list of false
positives or ignored signatures, since those only hide, and a whole scan decides what it recognises.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from weighbridge.scanners.clamd import database
from weighbridge.scanners.clamd.signature_lines import (
    Dependence,
    dependence,
    expression_target,
    ignored_names,
    name_of,
    normal_name,
)
from weighbridge.scanners.clamd.unpacked import (
    BYTECODE,
    CONTAINERS,
    IGNORED,
    LINES,
    SETTINGS,
    TRUSTED,
    YARA,
    DatabaseFile,
    Doubtful,
    UnpackedLimits,
    kind_of,
    loaded,
    parts,
    sha256_of,
)

#: The most signatures of changed files that are compared; the digests of more would fill a machine's memory.
MOST_LINES = 4_000_000
#: The largest container with bytecode, which is taken as it is: unsigned bytecode is not run.
_LARGEST_CODE = 16 * 1024**2
_NAMED = (".idb", ".pwdb")
_INCLUDES = re.compile(rb"^\s*include\b", re.MULTILINE)


@dataclass(frozen=True)
class DatabaseDifference:
    """What has to be scanned for besides the older signatures.

    Attributes:
        folder: the signatures for clamd, or None where the whole newer folder has to be used.
        reason: why, as a sentence; empty where there is a folder.
        fingerprint: of the folder, as `SignatureDatabase.fingerprint`.
        added: the signatures in it that the older folder lacks.
    """

    folder: Path | None
    reason: str = ""
    fingerprint: str = ""
    added: int = 0


def difference(before: Path, after: Path, into: Path, limits: UnpackedLimits | None = None) -> DatabaseDifference:
    """Write the difference of two folders of signatures.

    Args:
        before: the older signatures, unchanged since a clamd scanned with them.
        after: the newer ones.
        into: the folder to write; what is in it is removed.
        limits: what unpacking may cost.
    """
    shutil.rmtree(into, ignore_errors=True)
    try:
        into.mkdir(parents=True)
        added = _Comparison(before, after, limits or UnpackedLimits()).write(into)
        database.write_test_only(into)  # clamd's room for unpacked files is tested with it.
    except Doubtful as doubt:
        shutil.rmtree(into, ignore_errors=True)
        return DatabaseDifference(None, str(doubt))
    except OSError as error:
        shutil.rmtree(into, ignore_errors=True)
        return DatabaseDifference(None, f"The signatures cannot be compared: {error.strerror}.")
    return DatabaseDifference(into, "", database.read(into).fingerprint, added)


@dataclass
class _Rest:
    """What files hold besides lines that match by themselves.

    Attributes:
        kept: content by name, of what the difference has to have unchanged.
        yara: the content of each file of YARA rules.
        trusted: the lines of the lists of false positives.
        ignored: the names of ignored signatures.
        code: the digest of each file of bytecode.
        containers: the containers with bytecode.
    """

    kept: dict[str, bytes] = field(default_factory=dict)
    yara: dict[str, bytes] = field(default_factory=dict)
    trusted: set[bytes] = field(default_factory=set)
    ignored: set[bytes] = field(default_factory=set)
    code: dict[str, bytes] = field(default_factory=dict)
    containers: set[str] = field(default_factory=set)

    def add(self, part: DatabaseFile, *, last: bool) -> None:
        """Read a file that is not one of independent lines."""
        if part.kind in TRUSTED:
            self.trusted |= {line.rstrip() for line in part.lines(last=last)}
        elif part.kind in IGNORED:
            for line in part.lines(last=True):
                self.ignored |= ignored_names(line)
        elif part.kind in YARA:
            self._keep(self.yara, part)
            if _INCLUDES.search(self.yara[part.name]):
                raise Doubtful(f"{part.place} includes other files.")
        elif part.kind in BYTECODE:
            self._keep(self.code, part)
            if part.container:
                self.containers.add(part.container)
        elif part.kind in SETTINGS:
            if part.kind == ".cfg" and part.container and not part.container.startswith("daily."):
                raise Doubtful(f"{part.place} holds settings of the engine outside of the daily database.")
            self._keep(self.kept, part)

    def _keep(self, known: dict[str, bytes], part: DatabaseFile) -> None:
        if part.name in known:
            raise Doubtful(f"Several files are called {part.name}.")
        known[part.name] = part.content()

    @property
    def names(self) -> set[bytes]:
        """The words among which are the names that an ignored signature's name must not be."""
        texts = [*self.trusted, *self.code.values()]
        texts += [content for name, content in self.kept.items() if kind_of(name) in _NAMED]
        return {normal_name(word) for text in texts for word in re.split(rb"[:;\r\n]", text)}


@dataclass
class _Dependents:
    """Lines on which other signatures' matches depend, with their kind.

    Attributes:
        changed: those of files that both folders have, or only one, in another form.
        same: those of files that both folders have.
        targets: the targets with regular expressions, as far as files were read.
    """

    changed: dict[tuple[str, bytes], Dependence] = field(default_factory=dict)
    same: dict[tuple[str, bytes], Dependence] = field(default_factory=dict)
    targets: set[bytes] = field(default_factory=set)

    def add(self, kind: str, line: bytes, *, same: bool) -> Dependence | None:
        """Take note of a line, and return how others depend on it."""
        if (target := expression_target(kind, line)) is not None:
            self.targets.add(target)
        found = dependence(kind, line)
        if found is not None:
            (self.same if same else self.changed)[kind, line] = found
        return found


class _Comparison:
    """One comparison of two folders. Raises Doubtful, OSError."""

    def __init__(self, before: Path, after: Path, limits: UnpackedLimits) -> None:
        self._before, self._after, self._limits = loaded(before), loaded(after), limits
        older = {path.name: path for path in self._before}
        self._same = {
            path.name for path in self._after if path.name in older and sha256_of(path) == sha256_of(older[path.name])
        }
        self._old, self._new = _Dependents(), _Dependents()

    def write(self, into: Path) -> int:
        """Write the difference and return how many signatures it adds."""
        old, new = self._rest(self._before, last=False), self._rest(self._after, last=True)
        self._check_rest(old, new)
        known = self._known_lines()
        with ExitStack() as stack:
            added = self._write_lines(known, old.ignored, _Writer(into, stack))
        self._check_dependents(old.ignored, new.ignored)
        for name, content in new.kept.items():
            (into / name).write_bytes(content)
        if old.yara != new.yara or old.ignored:
            for name, content in new.yara.items():
                (into / name).write_bytes(content)
        for path in self._after:
            if path.name in new.containers or kind_of(path.name) in BYTECODE:
                shutil.copyfile(path, into / path.name)
        return added

    def _rest(self, files: tuple[Path, ...], *, last: bool) -> _Rest:
        rest = _Rest()
        for path in files:
            for part in parts(path, self._limits):
                if part.kind not in LINES:
                    rest.add(part, last=last)
        return rest

    def _check_rest(self, old: _Rest, new: _Rest) -> None:
        """Refuse changes after which an older signature may match where it did not."""
        for name in sorted(old.kept.keys() | new.kept.keys()):
            if old.kept.get(name) != new.kept.get(name):
                raise Doubtful(f"{name} changed, which decides how files are read or trusted.")
        if old.code != new.code or not new.containers <= self._same:
            raise Doubtful("The bytecode changed, which unpacks files.")
        if any(path.stat().st_size > _LARGEST_CODE for path in self._after if path.name in new.containers):
            raise Doubtful("The bytecode is in a large database.")
        if old.trusted - new.trusted:
            raise Doubtful("A false positive is none any more, so an older signature may match it.")
        if (old.ignored | new.ignored) & (old.names | new.names):
            raise Doubtful("An ignored name is that of a false positive, a password, an icon or bytecode.")

    def _known_lines(self) -> dict[str, set[bytes]]:
        """Return the digests of the older lines in files that changed, by kind."""
        known: dict[str, set[bytes]] = {kind: set() for kind in LINES}
        count = 0
        for part in self._lines(self._before, same=False):
            for line in part.lines(last=False):
                known[part.kind].add(_digest(line))
                self._old.add(part.kind, line, same=False)
                count += 1
                if count > MOST_LINES:
                    raise Doubtful(f"More than {MOST_LINES} signatures are in files that changed.")
        return known

    def _write_lines(self, known: dict[str, set[bytes]], ignored: set[bytes], writer: _Writer) -> int:
        """Write lines that are new, were ignored, or on which others depend; return how many are new."""
        added = 0
        for same in (True, False):
            for part in self._lines(self._after, same=same):
                if same and not ignored and part.kind not in (".ndb", ".ndu", ".ldb", ".ldu"):
                    continue
                for line in part.lines(last=True):
                    depends = self._new.add(part.kind, line, same=same)
                    unknown = not same and _digest(line) not in known[part.kind]
                    added += unknown
                    if unknown or depends or (ignored and name_of(part.kind, line) in ignored):
                        writer.write(part.kind, line)
        return added

    def _lines(self, files: tuple[Path, ...], *, same: bool) -> Iterator[DatabaseFile]:
        for path in files:
            if (path.name in self._same) == same and kind_of(path.name) in LINES | CONTAINERS:
                yield from (part for part in parts(path, self._limits) if part.kind in LINES)

    def _check_dependents(self, ignored_before: set[bytes], ignored_after: set[bytes]) -> None:
        """Refuse changes of lines on which unchanged signatures depend."""
        changed = [self._old.changed.get(key) or self._new.changed[key] for key in self._changed_keys()]
        if any(one.macro for one in changed):
            raise Doubtful("A pattern of a macro changed, on which logical signatures depend.")
        if any(one.handler for one in changed):
            raise Doubtful("A signature that has files read as another format changed.")
        if self._old.targets - self._new.targets:
            raise Doubtful("The last regular expression of a kind of file is gone.")
        ignored = ignored_before | ignored_after
        certain, doubtful = [], changed
        unchanged = self._new.same | {
            key: self._new.changed[key] for key in self._new.changed.keys() & self._old.changed
        }
        for (kind, line), one in unchanged.items():
            if name_of(kind, line) not in ignored:
                certain += [one] if one.certain else []
            elif one.macro or one.handler or one.from_end:
                raise Doubtful("An ignored signature is one on which others depend.")
            else:
                doubtful = [*doubtful, one]
        texts = [one for one in doubtful if one.text]
        if any(one.from_end for one in texts) and not any(one.from_end for one in certain):
            raise Doubtful("The first or last text signature with an offset from the end changed.")
        if max((one.longest for one in texts), default=0) > max((one.shortest for one in certain), default=0):
            raise Doubtful("The longest text signature may have changed, by which clamd cuts texts.")

    def _changed_keys(self) -> set[tuple[str, bytes]]:
        return self._old.changed.keys() ^ self._new.changed.keys()


class _Writer:
    """Writes lines to one file of each kind."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._files: dict[str, IO[bytes]] = {}

    def write(self, kind: str, line: bytes) -> None:
        """Write one line."""
        if kind not in self._files:
            self._files[kind] = self._stack.enter_context((self._folder / f"added{kind}").open("wb"))
        self._files[kind].write(line + b"\n")


def _digest(line: bytes) -> bytes:
    return hashlib.blake2b(line, digest_size=16).digest()
