"""Files of one layout whose parts are imported or read by their place in it, such as model_index.json and MLmodel.

A layout is recognised by what it holds, as the same bytes may have any name. Each yields the place of a part and the
ruling on it. Not here: keys that count anywhere (loader_keys), requirements and conda's environments (requirements).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from weighbridge.content.loading import judgements, requirements
from weighbridge.content.loading.judgements import Ruling, leaves_the_folder
from weighbridge.content.loading.targets import is_dotted, standing_of

#: Packages whose own classes diffusers' components may be; onnxruntime's and optimum's are those of exported models.
_COMPONENT_PACKAGES = re.compile(r"^(transformers|diffusers|onnxruntime|optimum|peft|sentence_transformers)(\.|$)")
_DIFFUSERS_PIPELINES_LIST = """
ace_step allegro alt_diffusion amused animatediff anyflow audio_diffusion audioldm audioldm2 aura_flow auto_pipeline
blip_diffusion bria bria_fibo chroma chronoedit cogvideo cogview3 cogview4 consisid consistency_models controlnet
controlnet_hunyuandit controlnet_sd3 controlnet_xs cosmos dance_diffusion ddim ddpm deepfloyd_if deprecated
diffusion_gemma dit dreamlite easyanimate ernie_image flux flux2 glm_image helios hidream_image hunyuan_image
hunyuan_video hunyuan_video1_5 hunyuandit i2vgen_xl ideogram4 joyimage kandinsky kandinsky2_2 kandinsky3 kandinsky5
kolors krea2 latent_consistency_models latent_diffusion latent_diffusion_uncond latte ledits_pp llada2
longcat_audio_dit longcat_image ltx ltx2 lucy lumina lumina2 marigold mochi motif_video musicldm nucleusmoe_image
omnigen onnx_utils ovis_image pag paint_by_example pia pipeline_utils pixart_alpha pndm prx qwenimage repaint sana
sana_video score_sde_ve semantic_stable_diffusion shap_e skyreels_v2 spectrogram_diffusion stable_audio
stable_cascade stable_diffusion stable_diffusion_3 stable_diffusion_attend_and_excite stable_diffusion_diffedit
stable_diffusion_gligen stable_diffusion_k_diffusion stable_diffusion_ldm3d stable_diffusion_panorama
stable_diffusion_safe stable_diffusion_sag stable_diffusion_xl stable_video_diffusion stochastic_karras_ve
t2i_adapter text_to_video_synthesis text_to_video_zero unclip unidiffuser versatile_diffusion visualcloze
vq_diffusion wan wuerstchen z_image
"""
#: Modules of diffusers.pipelines: a component of `["stable_diffusion", "StableDiffusionSafetyChecker"]` is its own.
_DIFFUSERS_PIPELINES = frozenset(_DIFFUSERS_PIPELINES_LIST.split())
#: TorchServe's own handlers.
_TORCHSERVE_HANDLERS = frozenset({"image_classifier", "image_segmenter", "object_detector", "text_classifier"})
_CLASS = re.compile(r"^[A-Z]\w*$", re.ASCII)
_MODULE = re.compile(r"^[a-z_][\w.]*$", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """A file of one layout.

    Attributes:
        name: the file's usual name.
        reader: the program that reads it.
        judge: yields place and ruling of each part, and nothing for a value of another layout.
        since: the advisory, report or page that describes it.
    """

    name: str
    reader: str
    judge: Callable[[Any], Iterator[tuple[str, Ruling]]]
    since: str


def _pipeline(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge diffusers' model_index.json: each component is `[package, class]`, perhaps with settings as a third."""
    if not isinstance(value, dict) or not {"_class_name", "_diffusers_version", "_blocks_class_name"} & value.keys():
        return
    name = value.get("_class_name")
    if isinstance(name, list):
        yield "_class_name", Ruling("config.remote-code", "error", "runs code of the publisher on load", name)
    pipeline = not isinstance(name, str) or "Pipeline" in name
    for key, found in value.items():
        if not isinstance(key, str) or key.startswith("_") or not isinstance(found, list) or len(found) not in (2, 3):
            continue
        kinds = [found]
        if len(found) == 3 and isinstance(found[2], dict) and isinstance(found[2].get("type_hint"), list):
            kinds.append(found[2]["type_hint"])
        for kind in kinds:
            if ruling := _component(kind, pipeline=pipeline):
                yield key[:100], ruling


def _component(found: list[Any], *, pipeline: bool) -> Ruling | None:
    package, name = (*found, None, None)[:2]
    if isinstance(package, list | dict):
        return Ruling("config.imports", "error", "imports what a guard that expects texts overlooks", found)
    if not isinstance(package, str) or not isinstance(name, str):
        return None
    # Models have lists of two texts as well, such as the kinds of their blocks: no module is called so.
    if not pipeline and not (_MODULE.match(package) and _CLASS.match(name)):
        return None
    if _COMPONENT_PACKAGES.match(package) or package in _DIFFUSERS_PIPELINES:
        return None
    return Ruling("config.remote-code", "error", "imports a component from the model's own code or any package", found)


def _modules(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge sentence-transformers' modules.json: each module's type is imported, its path is joined."""
    for number, entry in enumerate(value if isinstance(value, list) else ()):
        if not isinstance(entry, dict) or not {"type", "path"} <= entry.keys():
            continue
        if not is_dotted(str(entry["type"])) and not {"idx", "name"} & entry.keys():
            continue  # A list of files, as the Hub gives it.
        yield from ((f"{number}.type", ruling) for ruling in _module_class(entry["type"]))
        path = entry["path"]
        if not isinstance(path, str) or leaves_the_folder(path):
            yield f"{number}.path", Ruling("index.unsafe-path", "error", "reads a folder outside of the model", path)


def _module_class(kind: Any) -> Iterator[Ruling]:
    if isinstance(kind, str) and kind.startswith("sentence_transformers.") and standing_of(kind) == "known":
        return
    if isinstance(kind, str) and standing_of(kind) == "dangerous":
        yield Ruling("config.dangerous-target", "error", "calls what can run programs or code", kind)
    else:
        does = "imports a class from the model's own code or any package"
        yield Ruling("config.remote-code", "error", does, kind)


def _router(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge sentence-transformers' router_config.json: types by folder, which are imported."""
    if not isinstance(value, dict) or not isinstance(value.get("types"), dict) or "structure" not in value:
        return
    for folder, kind in value["types"].items():
        yield from (("types", ruling) for ruling in _module_class(kind))
        if leaves_the_folder(str(folder)):
            yield "types", Ruling("index.unsafe-path", "error", "reads a folder outside of the model", folder)


def _mlmodel(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge MLflow's MLmodel: the loader of `python_function` is imported, its code goes on the path of modules."""
    flavors = value.get("flavors") if isinstance(value, dict) else None
    for flavor, settings in flavors.items() if isinstance(flavors, dict) else ():
        for key, found in settings.items() if isinstance(settings, dict) else ():
            place = f"flavors.{flavor}.{key}"[:100]
            yield from ((place, ruling) for ruling in _flavor_setting(key, found))


def _flavor_setting(key: Any, found: Any) -> Iterator[Ruling]:
    if key == "loader_module":
        yield from judgements.imported_module("mlflow")(found, {})
    elif key in ("code", "model_code_path") and found:
        yield Ruling("config.remote-code", "error", "imports code of the publisher on load", found)
    elif key == "python_model":
        yield from judgements.code_by_suffix(found, {})
    if key in ("code", "data", "env", "model_data", "pickled_model", "model_code_path", "python_model"):
        yield from judgements.joined_path(found, {})


def _mlproject(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge MLflow's MLproject: `mlflow run` passes the commands of its entry points to a shell."""
    points = value.get("entry_points") if isinstance(value, dict) else None
    for name, point in points.items() if isinstance(points, dict) else ():
        if isinstance(point, dict):
            rulings = judgements.started_command(point.get("command"), {})
            yield from ((f"entry_points.{name}.command"[:100], ruling) for ruling in rulings)


def _package(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge npm's package.json: scripts that run when it is installed."""
    scripts = _mapped(_mapped(value).get("scripts"))
    for name in ("preinstall", "install", "postinstall"):
        yield from ((f"scripts.{name}", ruling) for ruling in judgements.command(scripts.get(name), {}))


def _archive_manifest(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge TorchServe's MAR-INF/MANIFEST.json: a handler that is not its own is code of the publisher."""
    model = value.get("model") if isinstance(value, dict) else None
    if not isinstance(model, dict) or "modelName" not in model:
        return
    handler = model.get("handler")
    if isinstance(handler, str) and handler not in _TORCHSERVE_HANDLERS and not handler.endswith(".py"):
        yield "handler", Ruling("config.remote-code", "error", "runs code of the publisher on load", handler)
    for key in ("serializedFile", "modelFile", "requirementsFile", "configFile"):
        yield from ((key, ruling) for ruling in judgements.joined_path(model.get(key), {}))


def _tensorflow_js(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge TensorFlow.js' model.json: the paths of its weights are joined."""
    groups = value.get("weightsManifest") if isinstance(value, dict) else None
    for group in groups if isinstance(groups, list) else ():
        paths = group.get("paths") if isinstance(group, dict) else None
        yield from (("weightsManifest", ruling) for ruling in judgements.joined_path(paths, {}))


def _environment(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge conda.yaml and python_env.yaml: channels, and requirements among the dependencies."""
    if not isinstance(value, dict) or not isinstance(value.get("dependencies"), list):
        return
    if not {"channels", "python", "name", "prefix"} & value.keys():
        return
    yield from (("channels", ruling) for ruling in requirements.channels(value.get("channels")))
    for entry in (*value["dependencies"], *_listed(value.get("build_dependencies"))):
        lines = entry.get("pip") if isinstance(entry, dict) else [entry]
        for line in lines if isinstance(lines, list) else ():
            if isinstance(line, str):
                yield from (("dependencies", ruling) for ruling in requirements.line(line))


def _project(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge pyproject.toml and Pipfile: what they depend on, and the indexes that they name."""
    if not isinstance(value, dict):
        return
    project, tools = _mapped(value.get("project")), _mapped(value.get("tool"))
    for text in judgements.texts([project.get("dependencies"), project.get("optional-dependencies")]):
        yield from (("project.dependencies", ruling) for ruling in requirements.line(text))
    indexes = [_mapped(tools.get("uv")).get("index"), _mapped(tools.get("poetry")).get("source")]
    pipfile = value.get("source") if "packages" in value else None
    for index in (entry for found in (*indexes, pipfile) for entry in _listed(found)):
        for text in judgements.texts(_mapped(index).get("url")):
            yield from (("index", ruling) for ruling in requirements.line(f"--index-url {text}"))


def _library(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge AllenNLP's config.json: a type with a dot is a class that is imported."""
    if not isinstance(value, dict) or not {"dataset_reader", "model"} <= value.keys():
        return
    stack: list[Any] = [value]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            yield from (("type", ruling) for ruling in judgements.target_if_dotted(part.get("type"), part))
        stack.extend(part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())


def _mapped(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _build(value: Any) -> Iterator[tuple[str, Ruling]]:
    """Judge Cog's cog.yaml: commands that building the image runs."""
    build = value.get("build") if isinstance(value, dict) else None
    if isinstance(build, dict) and {"python_version", "python_packages", "gpu", "python_requirements"} & build.keys():
        for entry in _listed(build.get("run")):
            found = entry.get("command") if isinstance(entry, dict) else entry
            yield from (("build.run", ruling) for ruling in judgements.command(found, {}))


LAYOUTS = (
    Layout("model_index.json", "diffusers", _pipeline, "github.com/huggingface/diffusers/issues/13446"),
    Layout("modules.json", "sentence-transformers", _modules, "github.com/huggingface/sentence-transformers/pull/3860"),
    Layout("router_config.json", "sentence-transformers", _router, "sentence_transformers.models.Router.load"),
    Layout("MLmodel", "MLflow", _mlmodel, "CVE-2024-37060; mlflow.org: python_function's loader_module and code"),
    Layout("MLproject", "MLflow", _mlproject, "mlflow.org: MLproject files"),
    Layout("package.json", "npm", _package, "docs.npmjs.com: scripts that run on install"),
    Layout("MANIFEST.json", "TorchServe", _archive_manifest, "CVE-2023-48299"),
    Layout("model.json", "TensorFlow.js", _tensorflow_js, "tensorflow.org/js: loadGraphModel"),
    Layout("conda.yaml", "MLflow", _environment, "mlflow.org: model environments"),
    Layout("pyproject.toml", "pip", _project, "packaging.python.org: pyproject.toml; docs.astral.sh/uv: indexes"),
    Layout("AllenNLP's config.json", "AllenNLP", _library, "AllenNLP: Registrable.by_name imports names with a dot"),
    Layout("cog.yaml", "Cog", _build, "cog.run: cog.yaml"),
)
