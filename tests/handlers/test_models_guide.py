"""docs/models.md says what is so: its tables are those of the code, its examples run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.handlers import tiny
from weighbridge.benchmarks.running import handler_options
from weighbridge.config.models_file import HandlerOptions, read_models
from weighbridge.config.policy_file import load_policy
from weighbridge.handlers.loading import check_handler, known_options, open_handler

pytestmark = pytest.mark.xdist_group("torch")
PAGE = Path("docs/models.md").read_text()
SECTIONS = dict(part.split("\n", 1) for part in PAGE.split("\n## ")[1:])
HANDLERS = "Handlers and their options"


def blocks(kind: str, section: str) -> list[str]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", SECTIONS[section], re.MULTILINE | re.DOTALL)
    return [text for one, text in found if one == kind]


def rows(section: str) -> list[list[str]]:
    """Return the cells of a section's tables, without their heads."""
    lines = [line for line in SECTIONS[section].splitlines() if line.startswith("|")]
    heads = {number for number, line in enumerate(lines) if line.startswith("|---")}
    kept = [line for number, line in enumerate(lines) if number not in heads and number + 1 not in heads]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in kept]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_the_catalogue_is_the_one_that_ships() -> None:
    told = {(model, named(handler)[0]) for _, handler, models in rows("The catalogue") for model in named(models)}
    assert told == {(entry.key, entry.handler.rpartition(".")[2]) for entry in read_models(Path("models.yaml"))}


def test_every_handler_is_listed_with_its_options() -> None:
    cells = [(named(one), named(two)) for one, two, *_ in rows(HANDLERS)]
    listed = {handler: options for handlers, options in cells for handler in handlers if "." in handler}
    classes = [
        f"{path.stem.partition('_')[0]}.{name}"  # The modules of upstream_ are named through upstream.
        for path in Path("weighbridge/handlers").glob("*.py")
        for name in re.findall(r"^class ([A-Z]\w+)", path.read_text(), re.MULTILINE)
        if re.search(rf"^class {name}.*?^    capabilities = ", path.read_text(), re.MULTILINE | re.DOTALL)
        and path.stem not in ("interface", "generation", "speech", "vision", "declaration")
    ]
    assert listed.keys() == {*classes, "speech.WhisperSpeech", "vision.VisionChat"}
    for handler, options in listed.items():
        check_handler(f"weighbridge.handlers.{handler}")
        assert tuple(options) == known_options(f"weighbridge.handlers.{handler}"), handler
    explained = {name for one, _ in rows(HANDLERS) for name in named(one) if "." not in name}
    assert explained == set(HandlerOptions.model_fields) == {name for options in listed.values() for name in options}


@pytest.mark.parametrize("section", ["The catalogue", "Models elsewhere"])
def test_entries_are_read(section: str, tmp_path: Path) -> None:
    (tmp_path / "models.yaml").write_text(blocks("yaml", section)[0])
    assert read_models(tmp_path / "models.yaml")


def test_the_policy_is_read(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(blocks("yaml", "Pickles and code of a model")[0])
    assert load_policy("", tmp_path).loading[0].allow == ("pickle",)


def test_a_handler_of_ones_own_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    section = "A handler of one's own"
    (tmp_path / "own_handlers.py").write_text(blocks("python", section)[0])
    (tmp_path / "models.yaml").write_text("models: []\n")
    (tmp_path / "models.local.yaml").write_text(blocks("yaml", section)[0])
    monkeypatch.syspath_prepend(tmp_path)
    (entry,) = read_models(tmp_path / "models.yaml")
    folder = tiny.bert(tmp_path / "model")
    handler: Any = open_handler(entry.handler, folder, device="cpu", name=entry.key, **handler_options(entry))
    plain: Any = open_handler("weighbridge.handlers.embedding.TextEmbedding", folder, device="cpu")
    assert handler.name == "search"
    np.testing.assert_allclose(handler.embed(["a"]), plain.embed(["passage: a"]), atol=1e-6)
