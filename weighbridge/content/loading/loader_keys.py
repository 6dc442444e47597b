"""The table of keys by which configurations make readers run, import, fetch or read something.

A key counts at any depth of any JSON, YAML, TOML or metadata: readers pass nested settings on, as vLLM
did (CVE-2025-66448), and equal bytes may have many names. Where a key is an ordinary word too, it counts only beside
others that its reader needs. Not here: what a value means (judgements), files of one layout (layouts).
"""

from __future__ import annotations

from dataclasses import dataclass

from weighbridge.content.loading import judgements
from weighbridge.content.loading.judgements import Judgement


@dataclass(frozen=True)
class LoaderKey:
    """One key of a configuration.

    Attributes:
        name: the key.
        reader: the program that acts on it.
        judge: yields the actions of a reader for a value.
        since: the advisory, report or page that describes it.
        beside: keys of which the same mapping must have one, too; empty when the key alone counts.
    """

    name: str
    reader: str
    judge: Judgement
    since: str
    beside: tuple[str, ...] = ()


_own = judgements.own_or_other_code
_custom = judgements.custom_code
_trust = judgements.trust_switch
_unpickles = judgements.unpickling_switch
_kernel = judgements.kernel
_target = judgements.target
_dotted = judgements.target_if_dotted
_joined = judgements.joined_path
_left_over = judgements.left_over_path
_library = judgements.library
_evaluated = judgements.evaluated

LOADER_KEYS = (
    # Code beside the weights, or in another repository.
    LoaderKey("auto_map", "transformers", _own, "CVE-2025-66448; huggingface.co/docs/transformers/custom_models"),
    LoaderKey("custom_generate", "transformers", _custom, "huggingface.co/docs/transformers/generation_strategies"),
    LoaderKey(
        "custom_pipelines", "transformers", judgements.pipelines, "huggingface.co/docs/transformers/add_new_pipeline"
    ),
    LoaderKey("custom_pipeline", "diffusers", _custom, "github.com/huggingface/diffusers/issues/13446"),
    LoaderKey("model_file", "mlx-lm", judgements.code_by_suffix, "CVE-2026-5843"),
    LoaderKey("trust_remote_code", "transformers", _trust, "CVE-2026-5241; github.com/NVIDIA-NeMo/Speech/issues/15598"),
    LoaderKey("trust-remote-code", "vLLM", _trust, "CVE-2025-66448"),
    LoaderKey("option.trust_remote_code", "DJL", _trust, "docs.djl.ai: serving.properties"),
    LoaderKey(
        "allow_dangerous_code", "LangChain", _trust, "CVE-2024-46946; python.langchain.com: allow_dangerous_code"
    ),
    LoaderKey("use_remote_code", "transformers", _trust, "CVE-2026-5241"),
    LoaderKey("allow_remote", "ModelScope", _trust, "github.com/modelscope/modelscope/issues/1405"),
    LoaderKey(
        "plugins",
        "ModelScope",
        judgements.imported_module(),
        "github.com/modelscope/modelscope/issues/1405",
        ("framework", "allow_remote"),
    ),
    *(
        LoaderKey(name, "vLLM", judgements.code_by_suffix, "docs.vllm.ai: reasoning outputs; tool calling")
        for name in (
            *("reasoning_parser_plugin", "tool_parser_plugin"),
            *("reasoning-parser-plugin", "tool-parser-plugin"),
        )
    ),
    # Kernels and attention implementations: a repository whose Python is imported.
    LoaderKey("_attn_implementation_internal", "transformers", _kernel, "CVE-2026-4372"),
    LoaderKey("_attn_implementation", "transformers", _kernel, "CVE-2026-4372"),
    LoaderKey("attn_implementation", "transformers", _kernel, "CVE-2026-4372"),
    LoaderKey("_experts_implementation_internal", "transformers", _kernel, "CVE-2026-4372"),
    LoaderKey("_experts_implementation", "transformers", _kernel, "CVE-2026-4372"),
    LoaderKey("experts_implementation", "transformers", _kernel, "CVE-2026-4372"),
    LoaderKey("kernel_config", "transformers", _kernel, "CVE-2026-4372"),
    LoaderKey("use_kernels", "transformers", _kernel, "CVE-2026-4372"),
    # Names that are imported and called.
    LoaderKey("_target_", "Hydra", _target, "CVE-2025-23304; CVE-2026-22584; GHSA-37p2-j732-x8pj"),
    LoaderKey("__target__", "Hydra", _target, "CVE-2025-23304"),
    LoaderKey("_component_", "torchtune", _target, "meta-pytorch.org/torchtune: configs name components to build"),
    LoaderKey("target", "latent-diffusion", _dotted, "instantiate_from_config of CompVis", ("params",)),
    LoaderKey("class_path", "Lightning", _dotted, "lightning.ai/docs: LightningCLI, arguments with class type"),
    LoaderKey("megatron_core", "PEFT", judgements.imported_module("megatron"), "github.com/huggingface/peft/pull/3090"),
    LoaderKey(
        "parent_library",
        "PEFT",
        judgements.imported_module("transformers", "diffusers", "sentence_transformers", "peft", "timm", "chronos"),
        "github.com/huggingface/peft/issues/3085",
    ),
    LoaderKey(
        "tokenizer_class", "sentence-transformers", _dotted, "github.com/huggingface/sentence-transformers/pull/3860"
    ),
    LoaderKey(
        "activation_function",
        "sentence-transformers",
        _dotted,
        "github.com/huggingface/sentence-transformers/pull/3860",
    ),
    LoaderKey(
        "activation_fn", "sentence-transformers", _dotted, "github.com/huggingface/sentence-transformers/pull/3860"
    ),
    LoaderKey(
        "sbert_ce_default_activation_function",
        "sentence-transformers",
        _dotted,
        "github.com/huggingface/sentence-transformers/pull/3860",
    ),
    LoaderKey("class", "ktransformers", _dotted, "ktransformers: rules that replace modules", ("kwargs",)),
    LoaderKey("class", "GluonTS", _dotted, "github.com/awslabs/gluonts/pull/3324", ("__kind__",)),
    LoaderKey(
        "custom_imports",
        "MMEngine",
        judgements.imported_module("mmengine", "mmcv", "mmdet", "mmseg", "mmpretrain"),
        "mmengine.readthedocs.io: import custom modules",
    ),
    LoaderKey(
        "_instantiator", "Lightning", _dotted, "Lightning: load_from_checkpoint imports the instantiator by name"
    ),
    LoaderKey(
        "type", "Haystack", _dotted, "docs.haystack.deepset.ai: serialization of pipelines", ("init_parameters",)
    ),
    LoaderKey("user_dir", "fairseq", judgements.imported_module(), "fairseq.readthedocs.io: --user-dir"),
    LoaderKey("option.entryPoint", "DJL", judgements.imported_module("djl_python"), "docs.djl.ai: serving.properties"),
    *(
        LoaderKey(name, "vLLM", _dotted, "docs.vllm.ai: engine arguments")
        for name in (
            *("worker_cls", "worker_extension_cls", "scheduler_cls"),
            *("worker-cls", "worker-extension-cls", "scheduler-cls"),
        )
    ),
    LoaderKey("implementation", "MLServer", _dotted, "mlserver.readthedocs.io: model settings", ("parameters", "name")),
    LoaderKey(
        "import_path",
        "Ray Serve",
        judgements.imported_module(),
        "docs.ray.io: serve config files",
        ("route_prefix", "deployments", "runtime_env"),
    ),
    LoaderKey("__class__", "skops", judgements.class_in_module, "CVE-2025-54412; CVE-2025-54886", ("__loader__",)),
    LoaderKey("id", "LangChain", judgements.langchain_id, "CVE-2025-68664", ("lc",)),
    LoaderKey("_type", "LangChain", judgements.langchain_type, "CVE-2023-36258; CVE-2023-29374"),
    # Serialized objects in JSON.
    LoaderKey("py/object", "jsonpickle", _dotted, "jsonpickle.github.io: a malicious JSON runs any code"),
    LoaderKey("py/type", "jsonpickle", _dotted, "jsonpickle.github.io"),
    LoaderKey("py/function", "jsonpickle", _dotted, "jsonpickle.github.io"),
    LoaderKey("py/reduce", "jsonpickle", _evaluated, "jsonpickle.github.io"),
    LoaderKey("py/repr", "jsonpickle", _evaluated, "jsonpickle.github.io"),
    LoaderKey("allow_pickle", "numpy", _unpickles, "numpy.org: numpy.load, allow_pickle"),
    LoaderKey("allow_dangerous_deserialization", "LangChain", _unpickles, "CVE-2024-5998"),
    LoaderKey("enable_unsafe_deserialization", "Keras", _unpickles, "keras.io: enable_unsafe_deserialization"),
    # Program libraries.
    LoaderKey("custom_ops_library", "ONNX Runtime GenAI", _library, "onnxruntime.ai/docs/genai: config reference"),
    LoaderKey("model_lib_path", "MLC-LLM", _library, "llm.mlc.ai: compiled model libraries"),
    LoaderKey("custom_op_library", "ONNX Runtime", _library, "onnxruntime.ai/docs: custom operators"),
    LoaderKey("ep_library_path", "ONNX Runtime", _library, "onnxruntime.ai/docs: plugin execution providers"),
    # Files that are joined to the model's folder, and those that are mostly left over.
    *(
        LoaderKey(name, "PEFT", _left_over, "PEFT: CordaConfig and EvaConfig unpickle files")
        for name in ("cache_file", "covariance_file")
    ),
    LoaderKey("transformers_weights", "transformers", _joined, "transformers: PreTrainedModel.from_pretrained"),
    LoaderKey(
        "filename",
        "ONNX Runtime GenAI",
        _joined,
        "onnxruntime.ai/docs/genai: config reference",
        ("session_options", "inputs", "outputs", "config_filename"),
    ),
    LoaderKey("index_path", "transformers", _left_over, "CVE-2023-6730 (RagRetriever unpickles an index)"),
    LoaderKey("passages_path", "transformers", _left_over, "CVE-2023-6730 (RagRetriever unpickles an index)"),
    LoaderKey("vocab_file", "transformers", _left_over, "transformers: PreTrainedTokenizerBase._from_pretrained"),
    LoaderKey("tokenizer_file", "transformers", _left_over, "transformers: PreTrainedTokenizerBase._from_pretrained"),
    LoaderKey("merges_file", "transformers", _left_over, "transformers: PreTrainedTokenizerBase._from_pretrained"),
    LoaderKey(
        "chat_template_file", "transformers", _left_over, "transformers: PreTrainedTokenizerBase._from_pretrained"
    ),
    LoaderKey("base_model_name_or_path", "PEFT", _left_over, "PEFT: PeftModel.from_pretrained"),
    LoaderKey("template_path", "LangChain", _joined, "CVE-2024-28088", ("_type",)),
    LoaderKey("prompt_path", "LangChain", _joined, "CVE-2024-28088", ("_type",)),
    LoaderKey("llm_path", "LangChain", _joined, "CVE-2024-28088", ("_type",)),
    LoaderKey("llm_chain_path", "LangChain", _joined, "CVE-2024-28088", ("_type",)),
    LoaderKey("example_prompt_path", "LangChain", _joined, "CVE-2024-28088", ("_type",)),
    # Commands and code that a tool runs when it builds or serves the folder.
    LoaderKey("backend-path", "pip", _custom, "PEP 517: in-tree build backends"),
    LoaderKey("predict", "Cog", judgements.code_by_suffix, "cog.run: cog.yaml"),
    LoaderKey("handler", "TorchServe", judgements.code_by_suffix, "CVE-2023-48299; pytorch.org/serve: custom service"),
    LoaderKey("build_commands", "Truss", judgements.command, "docs.baseten.co: build commands"),
)
KEYS: dict[str, tuple[LoaderKey, ...]] = {
    entry.name: tuple(other for other in LOADER_KEYS if other.name == entry.name) for entry in LOADER_KEYS
}
