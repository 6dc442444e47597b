"""Rules that the policy itself judges: scanners, files and licence of a model as a whole."""

from __future__ import annotations

from weighbridge.domain.rules.interface import Rule

RULES = (
    Rule(
        "scanners.required",
        "policy",
        "A scanner that the policy requires did not see all of a file.",
        "a scan that timed out",
    ),
    Rule(
        "scanners.incomplete",
        "policy",
        "A scanner that the policy does not require did not see all of a file.",
        "a broken zip under `minimal`",
    ),
    Rule(
        "scanners.database",
        "policy",
        "The virus signatures are too old, or know the test file only.",
        "signatures of last year",
    ),
    Rule(
        "scanners.elsewhere",
        "warning",
        "Another installation scanned it, whose key is trusted here; its reports came in a bundle.",
        "`bundle import` of a signed bundle",
    ),
    Rule("coverage", "policy", "The policy leaves bytes unread.", "the preset `quick`"),
    Rule("formats.denied", "policy", "The policy lets no file of this format in.", "`deny_formats: [pickle]`"),
    Rule("formats.weights", "policy", "The policy wants weights in other formats.", "`only_weights: [safetensors]`"),
    Rule(
        "files.required", "policy", "The policy wants a file that the model lacks.", "`required_files: [config.json]`"
    ),
    Rule("files.max_size", "policy", "The model is larger than the policy lets in.", "`max_size: 1000`"),
    Rule("files.missing", "error", "A file is missing that the model's own index names.", "one shard of three"),
    Rule(
        "names.unportable",
        "warning",
        "Windows, or a system that does not tell upper from lower case, cannot hold a file under its name.",
        "`C1_or_C2?.json`; `README.md` beside `readme.md`",
    ),
    Rule(
        "publisher.missing",
        "policy",
        "The policy wants a publisher's signature of such a model, and the model has none.",
        '`signatures: [{source: "hf:org/*", key: org.pub}]`',
    ),
    Rule(
        "publisher.untrusted",
        "policy",
        "The model is signed, and not by whom the policy names for its source.",
        "a signature by another key",
    ),
    Rule(
        "publisher.invalid",
        "error",
        "A signature of the model was not made by its own certificate over its own statement.",
        "a statement that was changed afterwards",
    ),
    Rule(
        "publisher.mismatch",
        "error",
        "A signature of the model is over other bytes, or over files that the model lacks.",
        "weights that were replaced",
    ),
    Rule(
        "publisher.uncovered",
        "warning",
        "A signature does not cover every file; it rejects where the policy wants one.",
        "a file that was added",
    ),
    Rule(
        "publisher.unreadable",
        "warning",
        "A file that has the name of a signature cannot be read as one.",
        "a `model.sig` that ends in the middle",
    ),
    Rule(
        "publisher.unknown",
        "note",
        "The model is signed, and nobody here has said whose signature counts.",
        "`model.sig` by a key that no policy names",
    ),
    Rule("model.empty", "policy", "The model has no files.", "an empty folder"),
    Rule(
        "licence.unknown",
        "policy",
        "The model states no licence, or one that is not known here.",
        "a README without one",
    ),
    Rule("licence.denied", "policy", "The licence of the model is not let in.", "`allow: [mit]`"),
    Rule("licence.non-commercial", "policy", "The licence of the model forbids commercial use.", "cc-by-nc-4.0"),
)
