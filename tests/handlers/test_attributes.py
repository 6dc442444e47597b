"""What every handler has, however it is made: a server reads it without asking which class it is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.handlers import tiny
from weighbridge.handlers.chat import TextChat
from weighbridge.handlers.embedding import TextEmbedding
from weighbridge.handlers.interface import ATTRIBUTES
from weighbridge.handlers.rerank import TextRerank
from weighbridge.handlers.upstream import UpstreamChat, UpstreamEmbedding, UpstreamRerank, UpstreamSpeech
from weighbridge.handlers.vision import VisionChat

pytestmark = pytest.mark.xdist_group("torch")


@pytest.mark.parametrize(
    ("kind", "made"),
    [
        (TextChat, tiny.llama),
        (VisionChat, tiny.qwen_vl),
        (TextEmbedding, tiny.bert),
        (TextRerank, lambda folder: tiny.bert(folder, labels=1)),
        (UpstreamChat, str),
        (UpstreamEmbedding, str),
        (UpstreamRerank, str),
        (UpstreamSpeech, str),
    ],
)
def test_a_handler_has_every_attribute_however_it_is_made(tmp_path: Path, kind: Any, made: Any) -> None:
    options = {"upstream_base_url": "https://host/v1"} if made is str else {}
    handler = kind(str(made(tmp_path)), "cpu", generation_defaults={"top_k": 5}, **options)
    assert all(hasattr(handler, name) for name in ATTRIBUTES)
    assert handler.generation_defaults == {"top_k": 5}
