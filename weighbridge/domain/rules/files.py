"""Rules about formats: what a file is, and whether its name says so."""

from __future__ import annotations

from weighbridge.domain.rules.interface import Rule

RULES = (
    Rule(
        "format.unknown",
        "warning",
        "Neither content nor name says what a file is, so nothing in it was checked.",
        "`x.xyz`",
    ),
    Rule("format.unchecked", "warning", "A file was recognised, and its content was not checked.", "a PDF"),
    Rule(
        "format.mismatch",
        "error",
        "The name of a file says one format and its content is another.",
        "a zip called `notes.txt`",
    ),
    Rule(
        "format.second-reading",
        "error",
        "A file is of one format to some readers and of another one to others.",
        "a tar whose first member has a name that begins as a PNG does",
    ),
    Rule(
        "format.lfs-pointer",
        "error",
        "A file is a pointer of Git LFS instead of the content.",
        "`version https://git-lfs…`",
    ),
    Rule("clamav.signature", "error", "ClamAV recognises malware.", "the EICAR test file", "holds a program"),
    Rule("clamav.encrypted", "warning", "ClamAV cannot look into an encrypted file.", "a PDF with a password"),
    Rule("clamav.more", "warning", "More findings than are listed.", "an archive of 300 infected members"),
)
