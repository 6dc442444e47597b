"""Links of a run: only such as a browser opens, wherever it is."""

from __future__ import annotations

import pytest

from flows.artifact_report import published_link, source_link
from weighbridge.config.settings import Settings
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.version import Publication

MLFLOW = Publication("mlflow", "models:/org name/3")
EXPORT = Publication("export", "/srv/home/export/tiny/1.0.0")


@pytest.mark.parametrize(
    ("server", "published", "link"),
    [
        (
            "https://user:secret@mlflow.example/base",
            [EXPORT, MLFLOW],
            "https://mlflow.example/base/#/models/org%20name/versions/3",
        ),
        ("https://mlflow.example", [EXPORT], ""),
        ("", [MLFLOW, EXPORT], ""),
    ],
)
def test_the_published_copy(server: str, published: list[Publication], link: str) -> None:
    assert published_link(published, Settings(mlflow_tracking_uri=server)) == link


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("hf:org/name@abc", "https://huggingface.co/org/name/tree/abc"),
        ("hf-dataset:org/name", "https://huggingface.co/datasets/org/name/tree/main"),
        ("https://host/model.gguf?sig=secret", "https://host/model.gguf"),
        ("file:/srv/model", ""),
        ("s3://bucket/prefix", ""),
    ],
)
def test_the_source(uri: str, link: str) -> None:
    assert source_link(ModelRef.parse(uri)) == link
