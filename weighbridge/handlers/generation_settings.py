"""The settings of a publisher's generation_config.json: each one applies, or is overridden by name.

A call names temperature, `top_p` and length, and gets one answer as tokens. A publisher's settings of these, of beams,
several answers, dicts and time limits are overridden. Not here: generating (generation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

#: Settings that apply to every answer.
_ALWAYS = (
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id"),
    *("repetition_penalty", "no_repeat_ngram_size", "bad_words_ids", "sequence_bias"),
    *("suppress_tokens", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id"),
)
#: Settings that apply to sampled answers, with their neutral values.
_SAMPLED: dict[str, Any] = {"top_k": 0, "min_p": None, "typical_p": 1.0, "epsilon_cutoff": 0.0, "eta_cutoff": 0.0}

#: Settings that transformers writes into every file, and those with the value that is always used here.
_USUAL = {"use_cache": True, "output_attentions": False, "output_hidden_states": False}


@dataclass(frozen=True)
class GenerationSettings:
    """The publisher's settings that apply, and those that do not.

    Attributes:
        always: settings of each answer.
        sampled: settings of sampled answers; `top_k` is 0, for all tokens, unless the publisher limits it.
        stop: the strings that end an answer.
        ends: the tokens that end an answer.
        overridden: the names of the settings that do not apply.
    """

    always: dict[str, Any]
    sampled: dict[str, Any]
    stop: tuple[str, ...]
    ends: frozenset[int]
    overridden: frozenset[str]

    @property
    def recorded(self) -> dict[str, Any]:
        """Return the facts for a result: the publisher's settings that applied, and the names of the others."""
        return {
            **{name: value for name, value in self.always.items() if not name.endswith("_token_id")},
            **{name: value for name, value in self.sampled.items() if value != _SAMPLED[name] or name == "top_k"},
            "stop_strings": list(self.stop),
            "overridden": sorted(self.overridden),
        }


def read_settings(model: Any) -> GenerationSettings:
    """Return the publisher's settings of a loaded model."""
    said = {
        name: value
        for name, value in model.generation_config.to_diff_dict().items()
        if value is not None and not name.startswith("_") and name != "transformers_version"
        if name not in _USUAL or value != _USUAL[name]
    }
    always = {name: said[name] for name in _ALWAYS if name in said}
    sampled = {name: said.get(name, default) for name, default in _SAMPLED.items()}
    stop, ends = said.get("stop_strings") or (), said.get("eos_token_id")
    words = [stop] if isinstance(stop, str) else [word for word in stop if isinstance(word, str)]
    counted = {*always, *(name for name in _SAMPLED if name in said), "stop_strings"}
    return GenerationSettings(
        always,
        sampled,
        tuple(word for word in words if word),
        frozenset(ends if isinstance(ends, list | tuple) else () if ends is None else (ends,)),
        frozenset(said.keys() - counted),
    )
