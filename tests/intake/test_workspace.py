"""What whoever asks may choose: no policy below the operator's, and no name that belongs to another source."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from weighbridge.config.settings import Settings
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.domain.version import ModelVersion
from weighbridge.errors import InvalidConfiguration, NameTaken
from weighbridge.intake import chain
from weighbridge.intake.asker import Asker, process_user
from weighbridge.intake.job import Job
from weighbridge.intake.workspace import Workspace, open_workspace, workspace_of

HOUSE = "name: house\nextends: minimal\ndeny_formats: [pickle]\n"


class Door:
    """A home whose operator judges under HOUSE, and folders that may be taken in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "policy.yaml").write_text(HOUSE)
        (folder / "tight.yaml").write_text(HOUSE + "max_size: 10\n")
        self.one, self.other = self._model("a/v1"), self._model("b/v1")

    def _model(self, path: str) -> ModelRef:
        (self.folder / "models" / path).mkdir(parents=True)
        (self.folder / "models" / path / "README.md").write_text(f"---\nlicense: mit\n---\n{path}\n")
        return ModelRef("file", str(self.folder / "models" / path))

    @contextmanager
    def open(self, **who: Any) -> Iterator[Workspace]:
        settings = {"request_policies": who.pop("policies", ()), "shared_names": who.pop("names", ())}
        roots = (self.folder / "models",)
        with open_workspace(
            Settings(home=self.folder / "home", registries=("export",), file_roots=roots, **settings),
            folder=self.folder,
            **who,
        ) as workspace:
            yield workspace

    def ask(self, request: IngestRequest, **who: Any) -> ModelVersion:
        with self.open(**who) as workspace, chain.Direct() as runner:
            return chain.ingest(Job.of(request, workspace), runner).version


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


def test_others_choose_no_weaker_policy(door: Door) -> None:
    for policy in ("minimal", "quick", "none"):
        with door.open(on_behalf=True) as workspace, pytest.raises(InvalidConfiguration, match="weaker") as caught:
            workspace.policy(IngestRequest(door.one, policy=policy))
        assert caught.value.facts["floor"] == "house"
    with door.open(on_behalf=True) as workspace:
        assert workspace.policy(IngestRequest(door.one, policy="tight.yaml")).name == "house"
        assert workspace.policy(IngestRequest(door.one)).name == "house"


def test_the_operator_chooses_any_and_may_list_some(door: Door) -> None:
    wanted = IngestRequest(door.one, policy="minimal")
    for who in ({}, {"on_behalf": True, "vouched": True}, {"on_behalf": True, "policies": ("minimal",)}):
        with door.open(**who) as workspace:
            assert workspace.policy(wanted).name == "minimal"


def test_a_name_belongs_to_its_first_source(door: Door) -> None:
    first = door.ask(IngestRequest(door.one, name="org/prod"), on_behalf=True)
    stolen = IngestRequest(door.other, name="org/prod")
    for who, wanted in (
        ({"on_behalf": True}, stolen),
        ({"on_behalf": True}, replace(stolen, another_source=True)),  # A stranger's word is not the owner's.
        ({}, stolen),
    ):
        with pytest.raises(NameTaken, match="belongs to the model from file"):
            door.ask(wanted, **who)
    with door.open() as workspace:
        assert [version.version for version in workspace.catalog.versions("org/prod")] == [first.version]


@pytest.mark.parametrize(
    ("who", "word"),
    [
        ({}, True),
        ({"on_behalf": True, "vouched": True}, False),
        ({"on_behalf": True, "names": ("org/*",)}, False),
    ],
)
def test_the_owner_lets_a_name_go_on(door: Door, who: dict[str, Any], word: bool) -> None:
    door.ask(IngestRequest(door.one, name="org/prod"))
    moved = door.ask(IngestRequest(door.other, name="org/prod", another_source=word), **who)
    assert (moved.version, moved.default) == ("1.0.1", True)
    assert door.ask(IngestRequest(door.other, name="org/prod"), on_behalf=True).version == "1.0.1"


def test_addresses_that_end_alike_make_no_versions_of_one_model(door: Door) -> None:
    assert door.one.name == door.other.name == "v1"
    door.ask(IngestRequest(door.one))
    with pytest.raises(NameTaken, match="--name"):
        door.ask(IngestRequest(door.other))
    assert door.ask(IngestRequest(door.one)).version == "1.0.0"


def test_changes_are_the_askers(door: Door) -> None:
    user = process_user()
    assert re.fullmatch(r"cli:[^:]+", user)
    door.ask(IngestRequest(door.one, name="m"), actor="key:ci")
    with door.open(actor="issuer:jane") as workspace:
        workspace.catalog.withdraw("m", "1.0.0", "recalled")
    with door.open() as workspace, workspace_of(workspace.resources, Asker(folder=door.folder)) as another:
        another.catalog.reinstate("m", "1.0.0")
        rows = workspace.catalog.audit.rows()
    actors = {row.action: row.actor for row in rows}
    assert actors == {
        **dict.fromkeys((row.action for row in rows[:-2]), "key:ci"),
        "version.withdrawn": "issuer:jane",
        "version.reinstated": user,
    }
    assert actors["version.settled"] == "key:ci"


def test_the_environment_does_not_say_who_the_user_is(monkeypatch: pytest.MonkeyPatch) -> None:
    user = process_user()
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "somebody-else")
    assert process_user() == user
