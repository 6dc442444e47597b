"""The size of a model in the Hub's list, and how it is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from weighbridge.domain.estimates.listing import listed_size
from weighbridge.domain.estimates.shown import GIGABYTE, memory_text, parameters_text


def plain(count: int, kind: str = "BF16") -> dict[str, Any]:
    return {"parameters": {kind: count}, "total": count}


def line(name: str, *said: Any, **more: Any) -> tuple[str, str]:
    size = listed_size(name, *said, **more)
    return memory_text(size.memory_size), parameters_text(size.parameters)


@pytest.mark.parametrize(
    ("name", "count", "shown"),
    [
        # the three lines of spec 3, with the counts that the models' headers have
        ("Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304, ("4GB", "1.5B")),
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248, ("16GB", "8B")),
        ("meta-llama/Llama-3.1-405B-Instruct", 405_853_388_800, ("810GB", "405B")),
        ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512, ("16GB", "7.6B")),
        ("Qwen/Qwen2.5-32B-Instruct", 32_763_876_352, ("66GB", "32.7B")),
        ("meta-llama/Llama-3.1-70B-Instruct", 70_553_706_496, ("141GB", "70.5B")),
        ("HuggingFaceTB/SmolLM2-135M", 134_515_008, ("4GB", "135M")),
        ("google/gemma-3-1b-it", 999_885_952, ("4GB", "1B")),
        ("moonshotai/Kimi-K2-Instruct", 1_026_470_731_056, ("2052GB", "1026B")),
    ],
)
def test_a_line_shows_what_its_publisher_says(name: str, count: int, shown: tuple[str, str]) -> None:
    assert line(name, plain(count)) == shown


@pytest.mark.parametrize("name", ["Qwen2.5-1.5B-Instruct", "Llama-3.1-8B-Instruct", "Llama-3.1-405B-Instruct"])
def test_the_name_alone_gives_the_same_line(name: str) -> None:
    counts = {"1.5B": ("4GB", "1.5B"), "8B": ("16GB", "8B"), "405B": ("810GB", "405B")}
    assert line(name) in counts.values()
    assert listed_size(name).parameters_from == "name"


class TestQuantisedModels:
    """What peers have met: elements counted for weights, weights counted twice, and both in one list."""

    GPTQ: dict[str, Any] = {"quantization_config": {"quant_method": "gptq", "bits": 4}}
    #: Llama 3.1 8B in w4a16: 872 million elements hold 6,979 million weights (huggingface.js#1770).
    ELEMENTS: dict[str, Any] = {"parameters": {"I32": 874_512_384, "BF16": 1_110_000_000}, "total": 1_984_512_384}
    WEIGHTS: dict[str, Any] = {"parameters": {"I32": 6_979_321_856, "BF16": 1_050_939_392}, "total": 8_030_261_248}

    @pytest.mark.parametrize("said", [ELEMENTS, WEIGHTS])
    def test_elements_and_weights_are_told_apart_by_the_name(self, said: dict[str, Any]) -> None:
        size = listed_size("org/Llama-3.1-8B-Instruct-GPTQ", said, None, self.GPTQ)
        assert size.parameters == pytest.approx(8.05e9, rel=0.02)
        assert size.weights_size == pytest.approx(5.65e9, rel=0.02)
        assert size.memory_size == 6 * GIGABYTE

    def test_without_a_size_in_the_name_the_share_of_containers_decides(self) -> None:
        assert listed_size("org/x", self.ELEMENTS, None, self.GPTQ).parameters == 8 * 874_512_384 + 1_110_000_000
        every = {"parameters": {"U32": 26_900_000_000, "BF16": 800_000_000}}
        assert listed_size("org/x", every, None, {"quantization": {"bits": 4, "group_size": 64}}).parameters == int(
            277e8
        )

    def test_a_total_above_the_sum_is_the_true_one(self) -> None:
        """hub-docs#2704: 88.6 billion elements, 314.6 billion weights of 8 bits."""
        said = {"parameters": {"BF16": 9_964_787_842, "U32": 78_613_118_976}, "total": 314_590_621_012}
        size = listed_size("avlp12/Motif-3-Beta-Alis-MLX-8bit", said)
        assert size.parameters == 314_590_621_012
        assert size.weights_size == 2 * 9_964_787_842 + 4 * 78_613_118_976

    def test_weights_in_mlx_are_not_taken_for_four_bytes_each(self) -> None:
        """omlx#3489: 26.9 billion weights of 4 bits are 14 GB, not 108."""
        said = {"parameters": {"U32": 26_900_000_000, "BF16": 860_000_000}, "total": 27_760_000_000}
        assert line("mlx-community/Qwen3.8-27B-4bit", said, tags=["mlx", "4-bit"]) == ("16GB", "27.7B")

    def test_packed_elements_do_not_make_a_small_model(self) -> None:
        """llmfit#1045: 2.26 billion elements are a model of 9 billion weights and 6.5 GB."""
        said = {"parameters": {"I32": 957_000_000, "BF16": 1_304_053_168}, "total": 2_261_053_168}
        size = listed_size("RedHatAI/NVIDIA-Nemotron-Nano-9B-v2-quantized.w4a16", said)
        assert size.parameters == pytest.approx(8.96e9, rel=0.01)
        assert size.weights_size == pytest.approx(6.5e9, rel=0.02)

    def test_a_language_part_says_how_it_is_quantised(self) -> None:
        """huggingface.js#2003: Kimi-K2.5's 170 billion elements are a trillion weights."""
        groups = {"group_0": {"weights": {"num_bits": 4}}}
        config = {
            "text_config": {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": groups}}
        }
        said = {"parameters": {"I32": 127_000_000_000, "BF16": 43_000_000_000}}
        assert listed_size("moonshotai/Kimi-K2.5", said, None, config).parameters == 8 * int(127e9) + int(43e9)

    def test_a_quantisation_in_eight_bits_is_packed_as_well(self) -> None:
        """llmfit#1045: 9.1 billion elements of AutoRound in 8 bits are 27 billion weights and 30.9 GB."""
        said = {"parameters": {"I32": 6_200_000_000, "BF16": 2_916_380_400}, "total": 9_116_380_400}
        size = listed_size("Minachist/Qwen3.8-27B-INT8-AutoRound", said)
        assert size.parameters == pytest.approx(27.7e9, rel=0.01)
        assert size.weights_size == pytest.approx(30.6e9, rel=0.01)

    def test_bytes_of_bitsandbytes_hold_two_weights(self) -> None:
        said = {"parameters": {"U8": 3_490_000_000, "BF16": 1_050_939_392, "F32": 1_000_000}}
        config = {"quantization_config": {"load_in_4bit": True, "quant_method": "bitsandbytes"}}
        assert line("unsloth/Meta-Llama-3.1-8B-bnb-4bit", said, None, config) == ("6GB", "8B")

    def test_eight_bits_take_a_byte(self) -> None:
        said = {"parameters": {"F8_E4M3": 6_979_321_856, "BF16": 1_050_939_392}}
        assert line("RedHatAI/Llama-3.1-8B-FP8", said) == ("10GB", "8B")

    @pytest.mark.parametrize(
        ("name", "tags", "memory"),
        [
            ("bartowski/Llama-3.1-8B-Instruct-GGUF", [], "5GB"),  # Q4_K_M is what one takes of several
            ("org/Llama-3.1-8B-Instruct-Q8_0-GGUF", ["gguf"], "9GB"),
            ("org/Llama-3.1-8B-Instruct-Q2_K-GGUF", ["gguf"], "4GB"),
        ],
    )
    def test_gguf(self, name: str, tags: list[str], memory: str) -> None:
        said = {"total": 8_030_261_312, "architecture": "llama", "context_length": 131072}
        assert line(name, None, said, None, tags) == (memory, "8B")

    @pytest.mark.parametrize(
        ("name", "tags", "memory"),
        [
            ("TheBloke/Llama-2-70B-Chat-AWQ", [], "40GB"),
            ("org/x-70b", ["4-bit"], "40GB"),
            ("org/x-70b-8bit", [], "75GB"),
            ("org/x-70b-GGUF", ["gguf"], "43GB"),
            ("org/x-70b-fp8", [], "75GB"),
        ],
    )
    def test_names_and_tags(self, name: str, tags: list[str], memory: str) -> None:
        assert line(name, None, None, None, tags)[0] == memory


def test_files_in_thirty_two_bits_are_loaded_in_sixteen() -> None:
    size = listed_size("openai/whisper-large", plain(1_543_304_960, "F32"))
    assert (size.weights_size, size.memory_size) == (4 * 1_543_304_960, 4 * GIGABYTE)


@pytest.mark.parametrize("tags", [["lora"], ["base_model:adapter:meta-llama/Llama-3.1-8B"]])
def test_an_adapter_has_no_memory_of_its_own(tags: list[str]) -> None:
    size = listed_size("org/llama-8b-lora", plain(40_000_000), tags=tags)
    assert (size.parameters, size.memory_size) == (40_000_000, None)


def test_nothing_known_is_nothing_said() -> None:
    assert line("openai-community/gpt2-medium") == ("?", "?")


_HOSTILE = some.recursive(
    some.one_of(
        some.none(),
        some.booleans(),
        some.sampled_from([0, -1, 1, 10**400, 2**63, -(10**400), float("nan"), float("inf"), 1e300, "8", "9" * 5000]),
        some.integers(),
        some.floats(),
        some.text(),
    ),
    lambda inner: some.one_of(
        some.lists(inner, max_size=4),
        some.dictionaries(
            some.sampled_from(["parameters", "total", "I32", "U32", "F4", "BF16", "quantization_config", "bits", "x"]),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(some.text(max_size=40), _HOSTILE, _HOSTILE, _HOSTILE, some.lists(_HOSTILE, max_size=4))
def test_it_never_raises_and_its_numbers_fit_a_table(name: str, one: Any, two: Any, three: Any, tags: Any) -> None:
    size = listed_size(name, one, two, three, tags)
    assert all(
        number is None or 0 < number < 2**63 for number in (size.parameters, size.weights_size, size.memory_size)
    )
    assert memory_text(size.memory_size)
    assert parameters_text(size.parameters)


def test_a_million_entries_cost_nothing() -> None:
    many = dict.fromkeys(map(str, range(1_000_000)), 1)
    assert listed_size("a" * 10**6, {"parameters": many}, None, {"quantization_config": {"config_groups": many}})
