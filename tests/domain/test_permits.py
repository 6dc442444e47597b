"""Loading: a policy allows pickles and own code for one digest, for a time; conversions lie apart from everything."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.registries.values import put
from weighbridge.config.policy_file import load_policy
from weighbridge.domain.permits import LoadingRules, Permit
from weighbridge.domain.presets import PRESETS
from weighbridge.errors import InvalidConfiguration
from weighbridge.store.local import LocalBlobStore

TODAY = date(2026, 11, 21)


def permit(text: str, folder: Path) -> tuple[Permit, ...]:
    (folder / "policy.yaml").write_text(f"extends: standard\nloading:\n  - {text}\n")
    return load_policy("", folder).loading


def test_a_policy_allows_for_one_digest_until_a_day(tmp_path: Path, store: LocalBlobStore) -> None:
    one, other = put(store, {"a.gguf": b"x"}), put(store, {"pytorch_model.bin": b"y"})
    digest = str(one.manifest.digest)
    said = f"{{manifest: '{digest}', allow: [code, pickle], reason: read in SEC-14, by: Ada, until: 2026-11-21}}"
    rules = LoadingRules(permit(said, tmp_path))
    assert rules.options(one, TODAY) == {"trust_remote_code": True, "allow_pickle": True}
    assert rules.options(one, date(2026, 11, 22)) == {}
    assert rules.options(other, TODAY) == {}
    only = replace(rules, permits=permit(said.replace("code, ", ""), tmp_path))
    assert only.options(one, TODAY) == {"allow_pickle": True}


def test_conversions_of_gguf_have_a_folder_for_each_manifest(tmp_path: Path, store: LocalBlobStore) -> None:
    one, other = put(store, {"a.gguf": b"x"}), put(store, {"model.safetensors": b"y"})
    rules = LoadingRules(cache=tmp_path)
    assert rules.options(one, TODAY) == {"converted": str(tmp_path / one.manifest.digest.hex)}
    assert rules.options(other, TODAY) == {}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{manifest: sha256:abc, allow: [code], reason: x, by: Ada}", r"policy\.yaml:3: loading\.0\.manifest"),
        (f"{{manifest: 'sha256:{'a' * 64}', allow: [], reason: x, by: Ada}}", r":3: loading\.0\.allow"),
        (f"{{manifest: 'sha256:{'a' * 64}', allow: [fun], reason: x, by: Ada}}", r":3: loading\.0\.allow\.0"),
        (f"{{manifest: 'sha256:{'a' * 64}', allow: [code], by: Ada}}", r":3: loading\.0\.reason"),
        (f"{{manifest: 'sha256:{'a' * 64}', allow: [code], reason: x}}", r":3: loading\.0\.by"),
    ],
)
def test_whoever_allows_says_what_why_and_who(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(InvalidConfiguration, match=told):
        permit(text, tmp_path)


def test_what_may_be_loaded_is_no_part_of_a_decision() -> None:
    standard = PRESETS["standard"]
    allowed = replace(standard, loading=(Permit("sha256:" + "a" * 64, ("code",), "x", "Ada"),))
    assert allowed.digest == standard.digest
    assert standard.loading == ()
