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
        "scanners.delta",
        "policy",
        "A file was scanned for added virus signatures only, and a scan with all of them is due.",
        "a last whole scan of last year",
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
