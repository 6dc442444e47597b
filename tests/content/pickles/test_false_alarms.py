"""A part of what `python -m bench.false_alarms` measures: raw numbers and the layouts around them are no pickles."""

import pickle

import numpy as np

from bench.false_alarms import is_alarm, measure
from tests.simulators import samples


def test_nothing_harmless_is_called_a_pickle() -> None:
    files, alarms = measure(4000, seed=7)
    assert files.total() == 4800
    assert +alarms == {}


def test_the_measure_can_fail() -> None:
    assert is_alarm("pytorch_model.bin", samples.malicious_pickle(0))
    assert is_alarm("weights.dat", samples.malicious_pickle(2))
    assert is_alarm("archive/data/7", samples.malicious_pickle(4))
    assert is_alarm("w", pickle.dumps({"a": 1}))
    assert not is_alarm("pytorch_model.bin", np.zeros(9).tobytes())
