"""A handler's path is judged without running its code, and its class when it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from weighbridge.errors import HandlerError, InvalidConfiguration, OutOfMemory
from weighbridge.handlers.loading import check_handler, handler_class, open_handler

GOOD = """
class Parent:
    def count_tokens(self, texts):
        return 0

class Mine(Parent):
    capabilities = ["text-embedding"]
    def __init__(self, hf_repo_id, device, cache_dir=None, **kwargs):
        self.name, self.device, self.dim = kwargs.get("name", hf_repo_id), device, 3
        self.thread_safe = True
    def embed(self, texts, cancel_event=None):
        return [[0.0] * 3 for _ in texts]
"""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)


def module(folder: Path, name: str, text: str) -> str:
    (folder / f"{name}.py").write_text(text)
    return f"{name}.Mine"


def test_a_users_own_class_is_found_and_made(tmp_path: Path) -> None:
    path = module(tmp_path, "own_good", GOOD)
    check_handler(path)
    handler = open_handler(path, "org/name", device="cpu", name="mine", generation_defaults={"temperature": 0.5})
    assert (handler.name, handler.device) == ("mine", "cpu")
    assert (handler.thread_safe, handler.owned_by) == (True, "local")  # type: ignore[union-attr]
    assert handler.generation_defaults == {"temperature": 0.5}  # type: ignore[union-attr]


def test_judging_runs_no_code(tmp_path: Path) -> None:
    check_handler(module(tmp_path, "own_loud", "raise SystemExit(1)\n" + GOOD))


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("Mine", "", "no path of a class"),
        ("os; import x.Mine", "", "no path of a class"),
        ("no_such_module.Mine", "", "no module no_such_module"),
        ("own_other.Mine", "class Other:\n    pass\n", "has no class Mine"),
        ("own_broken.Mine", "class Mine(:\n", "cannot be read"),
        ("own_lacks.Mine", "class Mine:\n    capabilities = ['rerank']\n", "lacks the method rerank"),
        ("own_claims.Mine", "class Mine:\n    capabilities = ['flying']\n", "does not exist"),
        ("own_empty.Mine", "class Mine:\n    pass\n", "methods of no kind"),
        ("math.Mine", "", "no module math"),
    ],
)
def test_what_does_not_fit_is_told_when_the_file_is_read(tmp_path: Path, path: str, text: str, told: str) -> None:
    if text:
        module(tmp_path, path.partition(".")[0], text)
    with pytest.raises(InvalidConfiguration) as error:
        check_handler(path)
    assert told in str(error.value)
    assert error.value.remedy


def test_bases_from_elsewhere_are_judged_when_the_class_is_loaded(tmp_path: Path) -> None:
    path = module(tmp_path, "own_far", "import threading\nclass Mine(threading.Event):\n    pass\n")
    check_handler(path)
    with pytest.raises(InvalidConfiguration):
        handler_class(path)


@pytest.mark.parametrize(
    ("raised", "kind"), [("ValueError('x')", HandlerError), ("MemoryError()", OutOfMemory)], ids=["value", "memory"]
)
def test_a_model_that_cannot_be_loaded_is_told(tmp_path: Path, raised: str, kind: type[Exception]) -> None:
    text = GOOD.replace("self.thread_safe = True", f"raise {raised}")
    path = module(tmp_path, f"own_fails_{kind.__name__}", text)
    with pytest.raises(kind):
        open_handler(path, "org/name", device="cpu")


def test_a_module_that_fails_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="fails"):
        handler_class(module(tmp_path, "own_raises", "1 / 0\n" + GOOD))
