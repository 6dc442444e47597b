"""Text of a hostile model at every place where a person reads it."""

from __future__ import annotations

import io
import re

import pytest

from weighbridge.catalog.listings import ModelSummary
from weighbridge.cli.console import SafeConsole
from weighbridge.domain.card import Field, ModelCard
from weighbridge.domain.clock import utc_now
from weighbridge.domain.decision import Decision, Reason
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.text import markdown_text, shown
from weighbridge.domain.version import ModelVersion
from weighbridge.intake.chain import Outcome
from weighbridge.registries.mlflow import description_of, tags_of
from weighbridge.views import catalog_tables, markdown, terminal

ESCAPES = "\x1b[2J\x1b]0;title\x07 \x9b31m"
TURNED = "txt.\u202eexe\u2066 \u200b\u00ad\U000e0041"
MARKUP = "![p](http://t.example/p.png) [o](//e) <img src=//t> <script>x</script> | a `b` **c** www.evil.example"
HOSTILE = f"{ESCAPES}{TURNED}{MARKUP}\r\nPASSED"
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u2028-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)


def hostile_version() -> ModelVersion:
    entry = FileEntry("a.bin", 1)
    card = ModelCard({name: Field(HOSTILE, HOSTILE) for name in ("architecture", "quantization", "licence")})
    reason = Reason("reject", "config.invalid", HOSTILE, HOSTILE)
    decision = Decision("FAILED", HOSTILE, "d", (reason,))
    ref = ModelRef("mock", "a/b")
    return ModelVersion(HOSTILE, "1.0.0", "FAILED", HOSTILE, Manifest(ref, (entry,)), card, decision)


def summary_of(version: ModelVersion) -> ModelSummary:
    return ModelSummary(
        name=version.name,
        version=version.version,
        default=False,
        status=version.status,
        versions=1,
        manifest=version.summary.manifest,
        source=version.source,
        card=version.card,
        gated=None,
        created_at=utc_now(),
        updated_at=utc_now(),
    )


def rendered() -> dict[str, str]:
    version = hostile_version()
    outcome = Outcome(version, unverified=(HOSTILE,), dropped=(HOSTILE,))
    console = SafeConsole(file=io.StringIO(), width=4000)
    console.print(terminal.report(outcome), catalog_tables.models([summary_of(version)]))
    console.print(HOSTILE, markup=False)
    assert isinstance(console.file, io.StringIO)
    return {
        "terminal": console.file.getvalue(),
        "Prefect": markdown.markdown(outcome),
        "MLflow's description": description_of(version),
        **{f"MLflow's tag {name}": value for name, value in tags_of(version).items()},
    }


@pytest.mark.parametrize("place", sorted(rendered()))
def test_nothing_steers_a_reader(place: str) -> None:
    assert not _STEERING.search(rendered()[place])


@pytest.mark.parametrize("place", ["Prefect", "MLflow's description"])
def test_nothing_is_markup(place: str) -> None:
    text = rendered()[place]
    assert not re.search(r"(?<!\\)\]\(|<\w|(?<!\\)`b|(?<!\\)\*\*c|http://|www\.e", text)
    assert "PASSED" not in [line.strip() for line in text.splitlines()]


@pytest.mark.parametrize("text", ["org/name 1.0.0: llama, 134,515,008 parameters", "größe ½ 模型 é́ 🎉", "", "a-b_c"])
def test_harmless_text_stays(text: str) -> None:
    assert shown(text) == text
    assert markdown_text(text).replace("\\", "") == text


def test_long_text_is_cut() -> None:
    assert shown("a" * 10, 4) == "aaa…"
