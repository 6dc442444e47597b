"""The Hubs of the mirror's file: each is asked for its own names, with its own token, and no other sees it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.simulators.hub import Hub
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration
from weighbridge.intake.asker import Asker
from weighbridge.intake.doctor_check import side_by_side
from weighbridge.intake.doctor_services import service_examinations
from weighbridge.intake.workspace import Workspace, open_resources, workspace_of

FILES = {"config.json": b"{}"}


@pytest.fixture
def hubs() -> Iterator[tuple[Hub, Hub]]:
    """The company's Hub and the public one."""
    with Hub() as company, Hub() as public:
        for hub in (company, public):
            for name in ("company/llm", "a/b"):
                hub.add(name, FILES)
        yield company, public


def settings(folder: Path, text: str, **more: str) -> Settings:
    path = folder / "mirror.yaml"
    path.write_text(text)
    return Settings(home=folder / "home", mirror_config=path, **more)


@contextmanager
def stranger(chosen: Settings) -> Iterator[Workspace]:
    with open_resources(chosen) as resources, workspace_of(resources, Asker(on_behalf=True, actor="key:x")) as found:
        yield found


def asked(hub: Hub) -> set[tuple[str, str]]:
    """Return each name that the hub was asked for, with the credentials that came along."""
    pairs = ((name, request) for request in hub.requests for name in ("company/llm", "a/b") if name in request.path)
    return {(name, request.headers.get("authorization", "")) for name, request in pairs}


def test_each_hub_sees_its_own_names_and_token_alone(
    hubs: tuple[Hub, Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company, public = hubs
    company.tokens["hf_company"] = public.tokens["hf_public"] = frozenset()
    monkeypatch.setenv("COMPANY", "hf_company")
    monkeypatch.setenv("HF_TOKEN", "hf_public")
    backends = (
        f"backends:\n- type: huggingface\n  config: {{base_url: {company.url}, names: [company/*], auth: {{}}}}\n"
        "- type: huggingface\n"
    )
    for auth, sent in (("{tokenEnvVar: COMPANY}", "Bearer hf_company"), (None, "")):
        text = backends.replace("{}", auth) if auth else backends.replace(", auth: {}", "")
        with stranger(settings(tmp_path, text, huggingface_endpoint=public.url)) as workspace:
            for name in ("company/llm", "a/b"):
                ref = ModelRef("huggingface", name)
                assert workspace.source(ref, AuthPlace()).resolve(ref).files
        assert asked(company) == {("company/llm", sent)}
        assert asked(public) == {("a/b", "Bearer hf_public")}, "the token of the settings' Hub is for that Hub"
        company.requests.clear()
        public.requests.clear()


def test_the_file_s_timeout_and_redirects_count(hubs: tuple[Hub, Hub], tmp_path: Path) -> None:
    text = f"backends: [{{type: huggingface, config: {{base_url: {hubs[1].url}, timeout: 7, max_redirects: 0}}}}]"
    with stranger(settings(tmp_path, text)) as workspace:
        source = workspace.source(ModelRef("huggingface-dataset", "a/b"), AuthPlace())
        given = source._settings  # type: ignore[attr-defined]
        assert (given.timeout_s, given.max_redirects, given.endpoint) == (7, 0, hubs[1].url)
        other = workspace.source(ModelRef("mock", "a/b"), AuthPlace())
        assert other.kind == "mock"


def test_a_place_that_holds_nothing_is_told(tmp_path: Path) -> None:
    text = "backends: [{type: huggingface, config: {auth: {tokenEnvVar: NOT_SET_ANYWHERE}}}]"
    with stranger(settings(tmp_path, text)) as workspace, pytest.raises(InvalidConfiguration, match="NOT_SET_ANYWHERE"):
        workspace.source(ModelRef("huggingface", "a/b"), AuthPlace())


def test_doctor_asks_each_hub_with_its_token(
    hubs: tuple[Hub, Hub], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    company, public = hubs
    company.tokens["hf_right"] = frozenset()
    text = (
        f"backends: [{{type: huggingface, config: {{base_url: {company.url}, names: [c/*], token: TOKEN}}}}, "
        f"{{type: huggingface, config: {{base_url: {public.url}}}}}]"
    )
    for token, states in (("hf_right", ["ok", "ok"]), ("hf_wrong", ["missing", "ok"])):
        chosen = settings(tmp_path, text.replace("TOKEN", token))
        examined = [one for one in service_examinations(chosen, 5) if one.what == "mirror"]
        found = list(side_by_side(examined, tmp_path))
        assert [one.state for one in found] == states, found
    chosen = settings(tmp_path, "backends: [{type: http}]")
    (broken,) = side_by_side([one for one in service_examinations(chosen, 5) if one.what == "mirror"], tmp_path)
    assert broken.state == "missing"
    assert "mirror.yaml:1" in broken.found
