"""A handler's path is judged without running its code, and its class when it is loaded."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from weighbridge.errors import HandlerError, InvalidConfiguration, OutOfMemory
from weighbridge.handlers.loading import check_handler, handler_class, open_handler
from weighbridge.handlers.sampling import sampling

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


def test_judging_runs_no_package_either(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    for folder in ("own_package", "own_package/inner"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text(f"open({str(ran)!r}, 'w').close()\n")
    (tmp_path / "own_package" / "inner" / "good.py").write_text(GOOD)
    check_handler("own_package.inner.good.Mine")
    assert not ran.exists()
    assert "own_package" not in sys.modules
    handler_class("own_package.inner.good.Mine")
    assert ran.exists()


def test_folders_without_init_and_classes_handed_on_are_found(tmp_path: Path) -> None:
    (tmp_path / "own_space" / "deep").mkdir(parents=True)
    (tmp_path / "own_space" / "deep" / "good.py").write_text(GOOD)
    (tmp_path / "own_space" / "deep" / "hand.py").write_text("from .good import Mine as Handed, Parent\n")
    check_handler("own_space.deep.good.Mine")
    check_handler("own_space.deep.hand.Handed")
    with pytest.raises(InvalidConfiguration, match="does not have the methods of any kind"):
        check_handler("own_space.deep.hand.Parent")


def test_a_class_without_kwargs_gets_what_it_has_a_parameter_for(tmp_path: Path) -> None:
    text = GOOD.replace(", **kwargs):", ", name='none'):").replace('kwargs.get("name", hf_repo_id)', "name")
    path = module(tmp_path, "own_narrow", text)
    handler = open_handler(path, "org/name", device="cpu", name="mine", generation_defaults={"top_p": 0.5})
    assert (handler.name, handler.generation_defaults) == ("mine", {"top_p": 0.5})  # type: ignore[union-attr]


def test_what_models_yaml_says_counts_before_the_classes_own_defaults(tmp_path: Path) -> None:
    text = GOOD + "    generation_defaults = {'temperature': 1.0, 'top_p': 0.9}\n"
    path = module(tmp_path, "own_defaults", text)
    handler = open_handler(path, "org/name", device="cpu", generation_defaults={"temperature": 0.5})
    assert handler.generation_defaults == {"temperature": 0.5, "top_p": 0.9}  # type: ignore[union-attr]
    assert open_handler(path, "x", device="cpu").generation_defaults is not handler.generation_defaults  # type: ignore[union-attr]


@pytest.mark.parametrize("options", [{"pooling": "cls", "window": 3}, {"dtype": "float32"}])
def test_options_that_a_class_does_not_take_are_told(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(InvalidConfiguration, match=r"takes no (window|dtype)\. It takes pooling"):
        open_handler(module(tmp_path, "own_takes", GOOD), "org/name", device="cpu", **options)
    listed = GOOD + "    options = ['window', 'pooling', 'dtype']\n"
    assert open_handler(module(tmp_path, "own_listed", listed), "org/name", device="cpu", **options)


def test_what_is_asked_for_counts_before_the_models_defaults(tmp_path: Path) -> None:
    path = module(tmp_path, "own_sampled", GOOD)
    handler = open_handler(path, "org/name", device="cpu", generation_defaults={"temperature": 0.5, "max_tokens": 9})
    assert sampling(handler) == {"max_new_tokens": 9, "temperature": 0.5, "top_p": 1.0}
    asked = sampling(handler, max_tokens=3, temperature=0.0, top_p=0.5)
    assert asked == {"max_new_tokens": 3, "temperature": 0.0, "top_p": 0.5}
    assert sampling(open_handler(path, "x", device="cpu"))["temperature"] == 0.0


@pytest.mark.parametrize(
    ("path", "text", "told"),
    [
        ("Mine", "", "not the path of a class"),
        ("os; import x.Mine", "", "not the path of a class"),
        ("no_such_module.Mine", "", "no module no_such_module"),
        ("own_other.Mine", "class Other:\n    pass\n", "has no class Mine"),
        ("own_broken.Mine", "class Mine(:\n", "cannot be read"),
        ("own_lacks.Mine", "class Mine:\n    capabilities = ['rerank']\n", "lacks the method rerank"),
        ("own_claims.Mine", "class Mine:\n    capabilities = ['flying']\n", "does not exist"),
        ("own_empty.Mine", "class Mine:\n    pass\n", "does not have the methods of any kind"),
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
