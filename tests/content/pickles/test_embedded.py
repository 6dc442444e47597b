"""A pickle is found in a value of another format, however it is written there; plain values are none."""

import base64
import collections
import gzip
import pickle
import random
import string
import zlib

import pytest

from tests.simulators import samples
from weighbridge.content.pickles.embedded import embedded_pickles, inspect

EVIL = samples.malicious_pickle(4)
WRITTEN = {
    "bytes": EVIL,
    "protocol 0": samples.malicious_pickle(0),
    "protocol 2": samples.malicious_pickle(2),
    "a text of letters for bytes": EVIL.decode("latin-1"),
    "a text of protocol 0": samples.malicious_pickle(0).decode(),
    "base64": base64.b64encode(EVIL),
    "a text of base64": base64.b64encode(EVIL).decode(),
    "base64 for addresses": base64.urlsafe_b64encode(EVIL).decode(),
    "base64 without its end": base64.b64encode(EVIL).decode().rstrip("="),
    "base64 in lines": base64.encodebytes(EVIL * 3).decode(),
    "data URI": "data:application/octet-stream;base64," + base64.b64encode(EVIL).decode(),
    "hexadecimal": EVIL.hex(),
    "zlib": zlib.compress(EVIL),
    "gzip as base64": base64.b64encode(gzip.compress(EVIL)).decode(),
    "followed by zeros": EVIL + bytes(20),
    "broken": EVIL[:-1] + b"\xff",
    "padded": samples.malicious_pickle(0).decode() + "\0\0",
    "unknown": samples.malicious_global("company.layers", "Layer"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_pickle_is_found_however_it_is_written(name: str) -> None:
    (finding,) = inspect(WRITTEN[name], "attribute")
    assert (finding.rule, finding.level, finding.location) == ("pickle.embedded", "error", "attribute")
    assert "system" in finding.message or "Layer" in finding.message


def test_a_harmless_one_is_a_note() -> None:
    (finding,) = inspect(pickle.dumps(collections.OrderedDict(a=1)))
    assert finding.level == "note"


HARMLESS = {
    "plain values": pickle.dumps({"a": [1, 2.5, "x", None]}),
    "a number": "0.",
    "words": "calendar\nemail\n",
    "a class": "class A:\n    pass\n",
    "a list": "cat\ndog\nfox.\n",
    "a key": "model.layers.0.self_attn.q_proj.weight",
    "a digest": "0f3a" * 16,
    "an image": "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(200)).decode(),
    "an address": "https://example.org/a/b?c=d",
    "nothing": "",
    "zeros": bytes(1000),
    "a word": "compressed",
    "other letters": "模型" * 50,
    "a version": "1.0.0+cu118.",
}


@pytest.mark.parametrize("name", HARMLESS)
def test_plain_values_are_none(name: str) -> None:
    assert embedded_pickles(HARMLESS[name]) == ()


def test_random_values_are_none() -> None:
    dice = random.Random(3)
    for _ in range(3000):
        length = dice.randrange(1, 200)
        assert not embedded_pickles(dice.randbytes(length))
        assert not embedded_pickles(b"\x80\x04" + dice.randbytes(length))
        assert not embedded_pickles("".join(dice.choices(string.printable, k=length)))
        assert not embedded_pickles(base64.b64encode(dice.randbytes(length)).decode())
