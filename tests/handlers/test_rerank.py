"""Reranking with a tiny cross-encoder."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.handlers import tiny
from weighbridge.errors import Cancelled, HandlerError, InvalidRequest
from weighbridge.handlers.rerank import TextRerank

pytestmark = pytest.mark.xdist_group("torch")
DOCUMENTS = ["first", "second", "first", "a longer document, so that the others are padded"]


@pytest.fixture(scope="module")
def rerank(tmp_path_factory: pytest.TempPathFactory) -> TextRerank:
    return TextRerank(str(tiny.bert(tmp_path_factory.mktemp("bert"), labels=1)), "cpu", name="tiny")


def test_documents_come_in_order_of_their_scores(rerank: TextRerank) -> None:
    found = rerank.rerank("query", DOCUMENTS)
    assert sorted(result.index for result in found) == [0, 1, 2, 3]
    assert [result.score for result in found] == sorted((result.score for result in found), reverse=True)
    assert all(result.document == DOCUMENTS[result.index] for result in found)
    assert rerank.rerank("query", DOCUMENTS, top_k=2) == found[:2]
    places = {result.index: place for place, result in enumerate(found)}
    assert places[0] + 1 == places[2]


def test_a_score_depends_on_the_pair_alone(rerank: TextRerank) -> None:
    together = {result.index: result.score for result in rerank.rerank("query", DOCUMENTS)}
    for index, document in enumerate(DOCUMENTS):
        (alone,) = rerank.rerank("query", [document])
        assert alone.score == pytest.approx(together[index], abs=1e-4)
    assert rerank.rerank("other query", ["first"])[0].score != pytest.approx(together[0], abs=1e-7)


def test_scores_of_several_queries_are_those_of_each_alone(rerank: TextRerank) -> None:
    pairs = [("query", "first"), ("a much longer query than the other", "second"), ("", "third")]
    alone = [rerank.score([pair])[0] for pair in pairs]
    assert rerank.score(pairs) == pytest.approx(alone, abs=1e-5)
    assert rerank.score([]) == []
    with pytest.raises(InvalidRequest):
        rerank.score([("query", "\ud800")])


def test_nothing_to_order_is_fine_and_cancelling_ends(rerank: TextRerank) -> None:
    assert rerank.rerank("query", []) == []
    assert rerank.rerank("query", DOCUMENTS, top_k=0) == []
    event = threading.Event()
    event.set()
    with pytest.raises(Cancelled):
        rerank.rerank("query", DOCUMENTS, cancel_event=event)


def test_scores_are_of_0_to_1_and_what_cannot_be_asked_is_told(rerank: TextRerank) -> None:
    inputs = rerank.tokenizer("query", DOCUMENTS[0], return_tensors="pt")
    with torch.inference_mode():
        logit = rerank.model(**inputs).logits[0, 0].double()
    scores = {result.index: result.score for result in rerank.rerank("query", DOCUMENTS)}
    assert scores[0] == pytest.approx(torch.sigmoid(logit).item(), abs=1e-6)
    assert all(0 < score < 1 for score in scores.values())
    with pytest.raises(InvalidRequest, match="top_k"):
        rerank.rerank("query", DOCUMENTS, top_k=-1)
    with pytest.raises(InvalidRequest):
        rerank.rerank("query", ["\ud800"])


def test_a_classifier_is_no_reranker(tmp_path: Path) -> None:
    with pytest.raises(HandlerError, match="computes 3 scores"):
        TextRerank(str(tiny.bert(tmp_path, labels=3)), "cpu")


def test_a_model_that_computes_no_numbers_is_told(tmp_path: Path) -> None:
    weights = load_file(tiny.bert(tmp_path, labels=1) / "model.safetensors")
    weights["classifier.bias"] = torch.full_like(weights["classifier.bias"], float("nan"))
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(HandlerError, match="NaN"):
        TextRerank(str(tmp_path), "cpu").rerank("query", DOCUMENTS)
