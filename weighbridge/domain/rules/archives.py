"""Rules about archives and what is in them."""

from __future__ import annotations

from weighbridge.domain.rules.interface import Rule

RULES = (
    Rule("archive.bomb", "error", "An archive unpacks to more than it may.", "42.zip"),
    Rule("archive.nesting", "error", "Archives are nested deeper than is read.", "nine zips in each other"),
    Rule("archive.ambiguous", "error", "Readers would read an archive differently.", "two names for one member"),
    Rule(
        "archive.case-collision",
        "warning",
        "Names of members differ in case only, so one overwrites the other on some systems.",
        "`A` and `a`",
    ),
    Rule("archive.duplicate", "error", "Two members have the same name.", "two `config.json`"),
    Rule("archive.checksum", "error", "The checksum of a member is wrong.", "a changed byte"),
    Rule("archive.device", "error", "A member is a device or a pipe.", "`/dev/null`"),
    Rule("archive.encrypted", "error", "A member is encrypted, so it cannot be read.", "a zip with a password"),
    Rule("archive.hidden-data", "error", "Bytes of an archive belong to no member.", "a program before a zip"),
    Rule(
        "archive.link",
        "error",
        "A member is a link that leads out or renames a file.",
        "`a -> /etc/passwd`",
        "reads a file outside the model",
    ),
    Rule("archive.malformed", "error", "An archive cannot be read to its end.", "a cut zip"),
    Rule("archive.overlap", "error", "Members of an archive share bytes.", "a zip bomb by Fifield"),
    Rule("archive.sparse", "warning", "A member is sparse and was not read.", "GNU sparse tar"),
    Rule(
        "archive.unsafe-name",
        "error",
        "The name of a member leads out of the folder or is not allowed on some system.",
        "`../x`",
        "reads a file outside the model",
    ),
    Rule("archive.unsupported", "error", "An archive or a member of it is of a kind that is not read.", "rar"),
    Rule("archive.more", "error", "More findings than are listed.", "an archive of 300 bad names"),
)
