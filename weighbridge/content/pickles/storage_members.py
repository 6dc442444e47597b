"""Storages that are members of torch's zips: which members they are, and whether each has the bytes that it needs.

`a/data.pkl` names `a/data/0`, `a/constants.pkl` names `a/constants/0`, and pickles of torch.package `.data/0.storage`.
They are numbers to every reader, with any bytes. Not here: legacy files (storages).
"""

from __future__ import annotations

from weighbridge.content.archives import Member
from weighbridge.content.findings import Findings, quoted
from weighbridge.content.pickles.tensors import Storage


class StorageMembers:
    """The storages of the pickles of one archive, noted while it is walked."""

    def __init__(self) -> None:
        self._storages: dict[str, Storage] = {}
        #: The members that may be storages; their sizes are whole once the walk went on.
        self._members: dict[str, Member] = {}
        self._sizes: dict[str, int] = {}

    def name(self, pickle: str, storages: dict[str, Storage]) -> None:
        """Record the storages that a pickle names, by its folder."""
        folder, dot, suffix = pickle.partition("@")[0].rpartition(".")
        if not dot or suffix != "pkl":
            return
        root = folder[: folder.find("/", folder.rfind("!") + 1) + 1]
        for key, storage in storages.items():
            if key.isdigit():
                self._storages[f"{folder}/{key}"] = self._storages[f"{root}.data/{key}.storage"] = storage

    def holds(self, member: Member) -> bool:
        """Note a member, and return whether a pickle before it named it as a storage."""
        self._settle()
        if member.location.removesuffix(".storage")[-1:].isdigit():
            self._members[member.location] = member
        return member.location in self._storages

    def inconsistent(self) -> Findings:
        """Return what does not fit, once the walk has ended."""
        self._settle()
        findings = Findings()
        for location, storage in self._storages.items():
            size, needed = self._sizes.get(location), storage.size
            if size is not None and needed is not None and size < needed:
                text = f"The storage {quoted(storage.key)} has {size} bytes, and its tensors need {needed}."
                findings.add("pickle.inconsistent", "error", text, location)
        return findings

    def _settle(self) -> None:
        for location, member in self._members.items():
            self._sizes[location] = member.size
        self._members.clear()
