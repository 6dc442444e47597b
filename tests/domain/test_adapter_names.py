"""The names that models.yaml may use are those of what there is."""

from weighbridge import benchmarks, registries
from weighbridge.domain import adapter_names


def test_they_are_those_of_the_adapters() -> None:
    assert tuple(registries.REGISTRIES) == adapter_names.REGISTRIES
    assert tuple(benchmarks.BENCHMARKS) == adapter_names.BENCHMARKS
