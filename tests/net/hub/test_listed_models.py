"""Rows of a Hub's list as anybody may have written them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from weighbridge.domain.hub_models import Gated, HubModel
from weighbridge.net.hub.listed_models import read_model

NAME = "org/name"


def read(**fields: Any) -> HubModel:
    model = read_model({"id": NAME, **fields})
    assert model is not None
    return model


@pytest.mark.parametrize(
    "name",
    [
        *(None, 5, "", [], {}, "..", ".", "a/..", "../etc/passwd", "/etc/passwd", "a/b/c", "a//b", "a/", "/b"),
        *("a b", "a\nb", "a\x1b[2Jb", "org/\u202ename", "<b>org</b>/name", "org/näme", "a/" + "x" * 10_000, "a\\b"),
        *("\ud800", "org/name\n", "C:/x", "a/b?c", "a/b#c", "a/%2e%2e"),
    ],
)
def test_what_names_no_repository_is_no_model(name: object) -> None:
    assert read_model({"id": name}) is None


@pytest.mark.parametrize("name", ["gpt2", NAME, "a/b.c_d-e", "x/..y", "A/B", "0/1"])
def test_names_of_repositories(name: str) -> None:
    model = read_model({"id": name})
    assert model
    assert model.id == name


def test_an_older_hub_names_it_otherwise() -> None:
    model = read_model({"modelId": NAME})
    assert model
    assert model.id == NAME


@pytest.mark.parametrize(
    ("value", "gated"),
    [
        (False, Gated.NO),
        (True, Gated.YES),
        ("auto", Gated.AUTO),
        ("manual", Gated.MANUAL),
        (None, Gated.UNKNOWN),
        ("<script>", Gated.UNKNOWN),
        (["auto"], Gated.UNKNOWN),
        (0, Gated.UNKNOWN),
    ],
)
def test_gated(value: object, gated: Gated) -> None:
    assert read(gated=value).gated is gated


@pytest.mark.parametrize("value", [-1, 2**63, 10**400, True, 1.5, "12", None, [], {}])
def test_a_count_that_is_none_is_not_said(value: object) -> None:
    model = read(downloads=value, likes=value, downloadsAllTime=value)
    assert (model.downloads, model.likes, model.downloads_all_time) == (None, None, None)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 10**400, True, "7", None])
def test_a_score_that_is_none_is_not_said(value: object) -> None:
    assert read(trendingScore=value).trending_score is None


@pytest.mark.parametrize(
    "value", ["yesterday", "", 5, None, "9999-12-31T23:59:59-14:00", "2024-13-01", "٢٠٢٤-01-01", "2024-01-01" * 99]
)
def test_a_moment_that_is_none_is_not_said(value: object) -> None:
    model = read(createdAt=value, lastModified=value)
    assert (model.created_at, model.last_modified) == (None, None)


@pytest.mark.parametrize("text", ["2024-05-06T07:08:09.000Z", "2024-05-06T07:08:09", "2024-05-06T09:08:09+02:00"])
def test_moments_are_in_utc(text: str) -> None:
    moment = read(createdAt=text).created_at
    assert moment == datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert moment.tzinfo is UTC


def test_texts_that_nobody_should_see_are_left_out() -> None:
    hostile = ["a\x00b", "\x1b[31m", "right\u202eleft", "\ud800", "x" * 10_000, "", 5, None, {}, ["x"], "\u2028"]
    model = read(tags=["good", *hostile, "ünicode"], library_name="\x1b]0;x\x07", pipeline_tag=["x"])
    assert (model.tags, model.library, model.pipeline_tag) == (("good", "ünicode"), "", "")


@pytest.mark.parametrize("tags", [None, "text", {"a": 1}, 5, True])
def test_tags_that_are_no_list(tags: object) -> None:
    assert read(tags=tags).tags == ()


def test_there_are_only_so_many_tags() -> None:
    assert len(read(tags=[f"t{number}" for number in range(100_000)]).tags) == 512


def test_licence_and_base_models_come_from_tags() -> None:
    relations = ["a/b", "finetune:a/b", "quantized:c/d", "adapter:e/f", "merge:g/h", "merge:\u202e"]
    model = read(tags=["license:mit", "license:other", *(f"base_model:{one}" for one in relations)])
    assert model.licence == "mit"
    assert model.base_models == ("a/b", "c/d", "e/f", "g/h")


@pytest.mark.parametrize(
    "value", [None, "no", [], 5, {"total": -5}, {"total": "x", "parameters": []}, {"parameters": {"BF16": "many"}}]
)
def test_sizes_that_make_no_sense_are_not_said(value: object) -> None:
    model = read_model({"id": "org/nameless", "safetensors": value, "gguf": value, "config": value})
    assert model
    assert (model.parameters, model.memory_size) == (None, None)


@pytest.mark.parametrize(
    ("field", "value"), [("sha", "\u202e" * 40), ("sha", "F" * 40), ("sha", 5), ("_id", {"$oid": "x"}), ("_id", "../x")]
)
def test_ids_that_are_none(field: str, value: object) -> None:
    model = read(**{field: value})
    assert (model.sha, model.object_id) == ("", "")


def test_disabled() -> None:
    assert [read(disabled=value).disabled for value in (True, False, None, "yes", 1)] == [True, *[False] * 4]
