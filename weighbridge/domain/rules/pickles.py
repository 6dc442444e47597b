"""Rules about pickles: what they name, and what they are inside of."""

from __future__ import annotations

from weighbridge.domain.rules.interface import Rule

RULES = (
    Rule(
        "pickle.global",
        "error",
        "A pickle names a callable that runs code, reaches the system, or loads further code.",
        "`os.system`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "pickle.unknown-global",
        "error",
        "A pickle names what is not on the list of harmless globals, or uses it in another way than the list allows.",
        "`hydra.utils.instantiate`",
        "runs code of the publisher on load",
    ),
    Rule(
        "pickle.embedded",
        "error",
        "A value of another format, such as an attribute or a key of a JSON file, is a pickle that imports something.",
        "an attribute of an HDF5 file that PyTables unpickles",
        "runs code of the publisher on load",
    ),
    Rule(
        "pickle.inconsistent",
        "error",
        "A pickle's or an array's sizes do not fit each other, so that readers reach beyond what is there.",
        "a tensor of a million numbers over a storage of four",
    ),
    Rule(
        "pickle.trailing-data",
        "warning",
        "Bytes follow a file's last pickle or array that belong to neither.",
        "a checkpoint with something appended",
    ),
    Rule("pickle.malformed", "warning", "A pickle cannot be read to its end.", "a stream that is cut"),
    Rule(
        "pickle.objects",
        "note",
        "A pickle rebuilds listed objects that are more than tensors and plain values.",
        "`sklearn.linear_model.LinearRegression`",
    ),
    Rule(
        "pickle.engine",
        "warning",
        "Another engine alarms on a pickle of which our list knows every global, or breaks on one.",
        "picklescan on a listed `getattr` of an enum's member",
    ),
    Rule(
        "pickle.disagreement",
        "note",
        "The engines disagree on whether a pickle is harmful.",
        "fickling: suspicious, globals: clean",
    ),
    Rule("pickle.more", "error", "More findings than are listed.", "a pickle of 300 unknown globals"),
)
