"""The walk comes exactly as far as an unpickler would."""

import contextlib
import io
import os
import pickle
import random

import pytest

from tests.simulators import samples
from weighbridge.content.pickles import machine
from weighbridge.content.pickles.machine import Walked
from weighbridge.content.pickles.symbols import Import

SYSTEM = b"cos\nsystem\n"
CALL = b"cos\nsystem\n(S'true'\ntR."


def walked_of(content: bytes) -> Walked:
    return machine.walk(io.BytesIO(content), len(content))


OUT_OF_REACH = {
    "protocol": b"\x80\x06",
    "no protocol": b"\x80\x3f\x80\x3f",
    "popped from nothing": b"0",
    "called with nothing": b")R",
    "kept from nothing": b"q\x00",
    "twice nothing": b"2",
    "below a mark": b"N(b",
    "nothing above a mark": b"(o",
    "a key without a value": b"}(K\x01u",
    "from an empty memo": b"h\x07",
    "called a number": b"K\x01)R",
    "called a text": b"S'x'\n)R",
    "an instance of a tuple": b"))\x81",
    "named by a number": b"K\x01K\x02\x93",
    "extension 0": b"\x82\x00",
    "extension below 0": b"\x84\xff\xff\xff\xff",
    "no number": b"Ia\n",
    "an empty number": b"I\n",
    "no long": b"L1x\n",
    "no float": b"F1.2.3\n",
    "no text": b"Sx\n",
    "frame": b"\x95\xff\0\0\0\0\0\0\xff",
    "length": b"X\xff\0\0\0",
    "stop without a value": b".",
}


@pytest.mark.parametrize("name", OUT_OF_REACH)
def test_what_no_unpickler_reaches_does_not_count(name: str) -> None:
    walked = walked_of(OUT_OF_REACH[name] + CALL)
    assert (walked.stopped, walked.imports) == (False, {})
    assert walked.problem
    with pytest.raises(Exception):  # noqa: B017 (whatever it raises, Python's own unpickler agrees)
        pickle.loads(OUT_OF_REACH[name] + b"N.")


@pytest.mark.parametrize("name", OUT_OF_REACH)
def test_what_comes_before_counts(name: str) -> None:
    walked = walked_of(SYSTEM + b"0" + OUT_OF_REACH[name])
    assert walked.imports.keys() == {Import("os", "system")}
    assert not walked.stopped


REACHED = {
    "a hexadecimal number": b"I0x10\n0",
    "a number up to its NUL": b"I1\0x\n0",
    "a float up to its NUL": b"F1\0x\n0",
    "a mark that is popped": b"(0",
    "an object below a mark": b"N(0q\x00",
    "a value that was left": b"N",
}


@pytest.mark.parametrize("name", REACHED)
def test_what_an_unpickler_goes_past_hides_nothing(name: str) -> None:
    assert walked_of(REACHED[name] + CALL).imports.keys() == {Import("os", "system")}
    pickle.loads(REACHED[name] + b"N.")


def test_a_global_that_is_a_text_may_name_another() -> None:
    # os.__name__ is "os", so that this would call os.system.
    walked = walked_of(b"\x80\x04cos\n__name__\n\x8c\x06system\x93\x8c\x04true\x85R.")
    assert Import("", "") in walked.imports


def test_a_code_of_the_extension_registry_counts_in_a_whole_pickle_only() -> None:
    assert walked_of(b"\x80\x02\x82\x01)R.").imports
    assert not walked_of(b"\x80\x02\x82\x01)R").imports
    assert not walked_of(b"\x82\x01)R\xff.").imports


@pytest.mark.parametrize("protocol", range(6))
def test_a_cut_pickle_counts_as_far_as_it_goes(protocol: int) -> None:
    evil = samples.malicious_pickle(protocol)
    for end in range(len(evil)):
        walked = walked_of(evil[:end])
        assert not walked.stopped
    # Python's own unpickler, of which joblib's is one, reads a frame that is cut off.
    assert walked.imports


class Inert:
    """Stands for every class and function."""

    def __init__(self, *arguments: object) -> None:
        pass


def furthest(content: bytes) -> set[tuple[str, str]]:
    """Return the globals that Python's own unpickler asks for; nothing is imported or called."""
    asked = set()

    class Watched(pickle._Unpickler):
        def find_class(self, module: str, name: str) -> object:
            if not (module and module.isprintable() and name.isprintable()):
                raise ImportError(module)  # As every import of such a name does.
            asked.add((module, name))
            return Inert

    with contextlib.suppress(Exception):  # Changed pickles break in every way.
        Watched(io.BytesIO(content), fix_imports=False, encoding="latin-1").load()
    return asked


def test_no_change_of_a_few_bytes_hides_a_global_that_is_still_reached() -> None:
    changes = random.Random(5)
    reached = 0
    for protocol in range(6):
        evil = pickle.dumps([{"a": (1, 2.5), "b": [None, b"x"]}, samples.calling(os.system, "true")], protocol=protocol)
        for _ in range(400):
            content = bytearray(evil)
            for _ in range(changes.randrange(1, 4)):
                content[changes.randrange(len(evil))] = changes.randrange(256)
            if b"\x96" in content:
                continue  # Python's own unpickler makes room for a bytearray of any length before it reads one.
            asked = furthest(bytes(content))
            named = {(found.module, found.name) for found in walked_of(bytes(content)).imports}
            assert asked <= named or ("", "") in named, bytes(content)
            reached += bool(asked)
    assert reached > 600
