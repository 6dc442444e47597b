"""Whether a model's next tokens depend on the prompts beside a prompt: measured, and by what its files say of lengths.

Not here: the batches (batching).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from transformers import LogitsProcessor, StoppingCriteria

from weighbridge.errors import HandlerError
from weighbridge.handlers.generation import Generation

#: The lengths of the prompts that are compared. Some faults show only at one token of padding, or after a block of 32.
_LENGTHS = (3, 4, 35, 36)
#: The tokens that follow each of them: the first comes from a whole prompt, the others from what a model keeps of it.
_STEPS = 3
#: The greatest difference of logits, on the average, that is noise, as a share of their spread: for float32 and for
#: shorter types. A model of 135 million weights has 0.00003 and 0.1; where a mask or positions are missing it is 0.5 or
#: more, and at one token of padding 0.015 or more.
_NOISE, _NOISE_SHORT = 1e-3, 0.3
#: Positions whose rotation depends on the longest sequence of a batch.
_BY_LENGTH = ("dynamic", "longrope")


def reads_padding(generation: Generation, options: Mapping[str, Any]) -> bool:
    """Return whether prompts of several lengths have other logits together than each one alone.

    Args:
        generation: the model.
        options: further options of transformers' `generate`.
    """
    ids = _ordinary(generation)
    prompts = [ids[-length:] for length in _LENGTHS]
    together = _logits(generation, prompts, ids[0], options)
    if together is None:
        return True
    noise = _NOISE if generation.model.dtype == torch.float32 else _NOISE_SHORT
    for row, prompt in enumerate(prompts):
        alone = _logits(generation, [prompt], ids[0], options)
        if alone is None:
            return True
        difference = (together[:, row] - alone[:, 0]).square().mean(dim=-1).sqrt()
        if (difference > noise * alone[:, 0].std(dim=-1)).any():
            return True
    return False


def shared_room(generation: Generation) -> int:
    """Return the most tokens of prompt and answer together that positions of a batch have in common."""
    config = generation.model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if not any(kind in str(named) for named in _values(rope, ("rope_type", "type")) for kind in _BY_LENGTH):
        return generation.context_length
    lengths = _values({"rope": rope, **config.to_dict()}, ("original_max_position_embeddings",))
    return min((length for length in lengths if isinstance(length, int)), default=generation.context_length)


def _values(tree: Any, names: tuple[str, ...]) -> Iterator[Any]:
    """Yield the values of some names in nested mappings: positions may differ by the kind of layer."""
    for name, value in tree.items() if isinstance(tree, Mapping) else ():
        if name in names:
            yield value
        yield from _values(value, names)


def _ordinary(generation: Generation) -> list[int]:
    """Return tokens for a prompt, from all over the vocabulary, none of them special."""
    count = generation.model.get_input_embeddings().weight.shape[0]
    special = {*generation.tokenizer.all_special_ids, *generation.settings.ends}
    ids = [token for token in range(count) if token not in special] or [0]
    return [ids[(7 + number * 7919) % len(ids)] for number in range(max(_LENGTHS))]


def _logits(
    generation: Generation, prompts: list[list[int]], token: int, options: Mapping[str, Any]
) -> torch.Tensor | None:
    """Return the logits of the next steps, of shape (steps, prompts, vocabulary); None where the model fails."""
    forcing = _Forcing(token)
    try:
        generation.run(
            prompts,
            _Never(),
            cancel_event=None,
            watch_layers=False,
            processors=[forcing],
            max_new_tokens=_STEPS,
            **options,
        )
    except HandlerError:
        return None
    return torch.stack(forcing.seen)


class _Forcing(LogitsProcessor):  # type: ignore[misc]
    """Keeps all logits, and makes one token the next one, so that rows to compare continue alike."""

    def __init__(self, token: int) -> None:
        self._token, self.seen = token, list[torch.Tensor]()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return logits of which only one is finite."""
        self.seen.append(scores.float().nan_to_num(neginf=0.0))
        forced = torch.full_like(scores, float("-inf"))
        forced[:, self._token] = 0
        return forced


class _Never(StoppingCriteria):  # type: ignore[misc]
    """Ends nothing."""

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: Any) -> torch.Tensor:
        """Return that no row has ended."""
        return torch.zeros(len(input_ids), device=input_ids.device, dtype=torch.bool)
