"""Sources of installed packages that are broken: each is told in one paragraph."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from weighbridge.cli import app
from weighbridge.content.unpacking import UNPACKERS
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import plugins
from weighbridge.errors import InvalidConfiguration, StoreFull
from weighbridge.net.settings import SourceSettings
from weighbridge.sources import open_source
from weighbridge.sources.installed import ARCHIVES


class User:
    """A user with packages installed beside Weighbridge."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.packages, self._capsys = folder, folder / "packages", capsys

    def install(self, package: str, entry: str, module: str = "Source = 1") -> None:
        """Install a package as an installer leaves it: a module, and a dist-info folder that names the entry point."""
        info = self.packages / f"{package}-2.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.0\n")
        (info / "entry_points.txt").write_text(f"[weighbridge.sources]\n{entry}\n")
        (self.packages / f"{package}.py").write_text(module)
        importlib.invalidate_caches()
        plugins.installed.cache_clear()

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Run the command line; nothing unexpected comes of it."""
        self._capsys.readouterr()
        status = app.run(list(arguments))
        said = self._capsys.readouterr()
        assert "unexpected" not in said.err
        return status, said.out, said.err

    def refused(self, *arguments: str, status: int = 64) -> str:
        """Run the command line, which refuses, and return the one paragraph that says why."""
        ended, out, err = self.run(*arguments)
        assert (ended, out) == (status, ""), err
        return " ".join(err.split())

    def doctor(self) -> dict[str, dict[str, str]]:
        return {check["what"]: check for check in json.loads(self.run("doctor", "--json")[1])}


@pytest.fixture
def user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[User]:
    monkeypatch.setenv("WEIGHBRIDGE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    before = set(sys.modules)
    yield User(tmp_path, capsys)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    plugins.installed.cache_clear()


@pytest.mark.parametrize(
    ("entry", "module", "told"),
    [
        ("broken = broken:Source", "import no_such_module", "cannot be loaded: ModuleNotFoundError: No module named"),
        ("broken = broken:Source", "this is no Python", "cannot be loaded: SyntaxError"),
        ("broken = broken:Source", "raise RuntimeError('no licence')", "cannot be loaded: RuntimeError: no licence"),
        ("broken = broken:Source", "Other = 1", "cannot be loaded: AttributeError"),
        ("broken = broken:Source", "Source = 1", "is broken:Source, which makes nothing"),
        (
            "broken = broken:Source",
            "class Source:\n def __init__(self, settings): pass",
            "needs resolve, open, and the",
        ),
        (
            "broken = broken:Source",
            "class Source:\n kind = 'hf'\n def __init__(self, s): pass\n def resolve(s, r): pass\n def open(s): pass",
            "and has 'hf'",
        ),
    ],
)
def test_a_package_that_cannot_be_loaded_is_told_in_one_paragraph(
    user: User, entry: str, module: str, told: str
) -> None:
    user.install("broken", entry, module)
    paragraph = user.refused("fetch", "broken:model")
    assert "of the package broken 2.0" in paragraph
    assert told in paragraph
    check = user.doctor()["source broken"]
    assert check["state"] == "missing"
    assert told in check["found"]


def test_a_name_that_two_packages_bring_is_refused(user: User) -> None:
    user.install("one", "shared = one:Source")
    user.install("two", "shared = two:Source")
    user.install("three", "third = three:Source")
    paragraph = user.refused("fetch", "shared:model")
    assert re.search(r"package (one|two) 2.0 brings a source “shared”, which (one|two) 2.0 brings too", paragraph)
    assert "three 2.0 is three:Source" in user.refused("fetch", "third:model"), "one clash stands in no other's way"
    (user.folder / "models.yaml").write_text("models: [{source: {shared: {id: x}}}]")
    assert "brings too" in user.refused("lock")


@pytest.mark.parametrize(("name", "uri"), [("mock", "mock:a/b"), ("huggingface", "hf:a/b"), ("hf", "xet:a/b")])
def test_our_own_names_are_not_given_away(user: User, name: str, uri: str) -> None:
    user.install("greedy", f"{name} = greedy:Source", "raise SystemExit('it was imported')")
    if name == "hf":  # Another of ours is not concerned.
        assert "greedy" not in user.run("fetch", "mock:a/b")[2]
        uri = "hf:a/b"
    paragraph = user.refused("fetch", uri)
    assert f"The package greedy 2.0 brings a source “{name}”, which is Weighbridge's own. Uninstall it" in paragraph
    assert "No source serves “huggingface:”" in user.refused("fetch", "huggingface:a/b")


def test_a_name_that_is_no_scheme_is_refused(user: User) -> None:
    user.install("loud", "Loud = loud:Source")
    (user.folder / "models.yaml").write_text("models: [{source: {Loud: {id: x}}}]")
    assert "“Loud”, which is no name of a source" in user.refused("lock")
    assert "brings a source “Loud”" in user.doctor()["source Loud"]["found"]


CRASHING = """
from contextlib import contextmanager
from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.source_kinds import plugins
from weighbridge.net.streams import ByteStream

class Source:
    kind = "odd"
    def __init__(self, settings):
        self.secret = settings.auth.token
        {at_init}
    def resolve(self, ref):
        entry = FileEntry("a.txt", 3)
        {at_resolve}
        return Manifest(ref.pinned("1"), (entry,))
    @contextmanager
    def open(self, ref, entry, offset=0):
        {at_open}
        yield ByteStream(0, iter([b"abc"]))
        {at_close}
"""
PLACES = ("at_init", "at_resolve", "at_open", "at_close")
ODDITIES = [
    ({"at_init": "raise OSError('disk')"}, "failed when it was opened: OSError in odd:: disk"),
    ({"at_resolve": "raise KeyError('x')"}, "failed when it resolved a model: KeyError in odd:: 'x'"),
    ({"at_resolve": "raise StopIteration"}, "failed when it resolved a model: StopIteration in odd:"),
    ({"at_resolve": "FileEntry('a', 'big')"}, "failed when it resolved a model: TypeError in odd:"),
    (
        {"at_resolve": "raise ValueError(f'GET https://u:p@h/x?sig={self.secret} {self.secret}\\n\\nno')"},
        "failed when it resolved a model: ValueError in odd:: GET https://…@h/x?… … no.",
    ),
    ({"at_resolve": "return None"}, "answers nothing, which is not a Manifest"),
    ({"at_resolve": "return {}"}, "answers a dict, which is not a Manifest"),
    ({"at_resolve": "return Manifest(ref, (entry,))"}, "is not pinned to a revision"),
    ({"at_resolve": "return Manifest(ref.pinned('1'), ())"}, "a model without files"),
    ({"at_resolve": "return Manifest(ref.pinned('1'), (entry,), 'rar')"}, "with 1 files to be unpacked as 'rar'"),
    ({"at_resolve": "return Manifest(ModelRef('hf', 'a', '1'), (entry,))"}, "with a model of the source “hf”"),
    ({"at_resolve": "return Manifest(ref.pinned(' 1?'), (FileEntry('a', 3, 'sha256:00'),))"}, "of the wrong type: 'a'"),
    ({"at_resolve": "return Manifest(ref.pinned('1'), (FileEntry('a', 3.5),))"}, "of the wrong type: 'a'"),
    (
        {"at_resolve": "return Manifest(ModelRef('odd', 'a@b?', '1', (('b', '1'), ('a', '1'))), (entry,))"},
        "means another",
    ),
    ({"at_open": "raise ZeroDivisionError"}, "failed when it opened a file: ZeroDivisionError in odd:"),
    ({"at_open": "yield b'abc'; return"}, "opens a file as a bytes, which is not a ByteStream"),
    ({"at_open": "yield ByteStream(0, None); return"}, "failed when it sent a file: TypeError"),
    ({"at_open": "yield ByteStream(0, ['abc']); return"}, "sends a str where bytes belong"),
    ({"at_open": "yield ByteStream(0, [b'ab', None, b'c']); return"}, "sends nothing where bytes belong"),
    ({"at_open": "yield ByteStream(0, (b'ab' if n else 1/0 for n in (1, 0))); return"}, "a file: ZeroDivisionError in"),
    ({"at_close": "raise ZeroDivisionError"}, "failed when it closed a file: ZeroDivisionError in odd:"),
]


@pytest.mark.parametrize(("what", "told"), ODDITIES, ids=[next(iter(what.values()))[:60] for what, _ in ODDITIES])
def test_whatever_a_plugin_does_no_traceback_and_no_secret_reaches_the_user(
    user: User, monkeypatch: pytest.MonkeyPatch, what: dict[str, str], told: str
) -> None:
    monkeypatch.setenv("ODD_TOKEN", "s3cret-token")
    user.install("odd", "odd = odd:Source", CRASHING.format(**dict.fromkeys(PLACES, "pass") | what))
    paragraph = re.sub(
        r"in odd:\d+", "in odd:", user.refused("fetch", "odd:model", "--token-env", "ODD_TOKEN", status=1)
    )
    assert "The source “odd” of the package odd 2.0 " in paragraph
    assert told in paragraph
    assert "s3cret" not in paragraph
    assert "report it to its authors" in paragraph


def test_one_that_does_nothing_odd_works(user: User) -> None:
    user.install("odd", "odd = odd:Source", CRASHING.format(**dict.fromkeys(PLACES, "pass")))
    status, out, _ = user.run("fetch", "odd:model", "--json")
    assert (status, json.loads(out)["size"]) == (0, 3)
    told = user.doctor()["source odd"]
    assert (told["state"], told["found"], told["mend"]) == ("ok", "odd 2.0", "")


@pytest.mark.parametrize("at_open", ["pass", "try: yield ByteStream(0, [b'abc']); return\n        except: return"])
def test_what_fails_on_our_side_is_not_theirs_to_explain_or_to_swallow(user: User, at_open: str) -> None:
    user.install("odd", "odd = odd:Source", CRASHING.format(**dict.fromkeys(PLACES, "pass") | {"at_open": at_open}))
    source = open_source("odd", SourceSettings())
    manifest = source.resolve(ModelRef.parse("odd:model"))
    with pytest.raises(StoreFull), source.open(manifest.ref, manifest.files[0]):
        raise StoreFull("No space left.")


def test_what_is_unpacked_may_come_from_a_plugin_too() -> None:
    assert {"", *UNPACKERS} == ARCHIVES


def test_a_source_that_nobody_brings_is_told() -> None:
    with pytest.raises(InvalidConfiguration, match="There is no source “s4”"):
        open_source("s4", SourceSettings())
