"""Links of a run: only such as a browser opens, wherever it is."""

from __future__ import annotations

import pytest

from flows.artifact_report import published_link
from weighbridge.config.settings import Settings
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
