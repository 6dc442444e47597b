"""Configurations of the shape that well-known models have: only those that run the publisher's code are errors."""

import base64
import json
import pickle
from pathlib import Path
from typing import Any

import pytest

from tests.content.headers.samples import TWO, gguf, pair, safetensors
from weighbridge.content.detection import detect_file
from weighbridge.content.examination import Item, examine

LLAMA = {
    "_name_or_path": "/fsx/someone/checkpoints/llama",
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "rope_scaling": {"factor": 8.0, "rope_type": "llama3"},
    "torch_dtype": "bfloat16",
    "transformers_version": "4.43.0",
}
QWEN_VL = {"model_type": "qwen2_5_vl", "_attn_implementation": "flash_attention_2", "vision_config": {"depth": 32}}
PHI = {"model_type": "phi3", "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"}}
DEEPSEEK = {"model_type": "deepseek_v3", "auto_map": {"AutoModel": "modeling_deepseek.DeepseekV3Model"}, "ep_size": 1}
WHISPER = {"model_type": "whisper", "activation_function": "gelu", "forced_decoder_ids": [[1, None], [2, 50359]]}
TOKENIZER = {
    "tokenizer_class": "LlamaTokenizer",
    "name_or_path": "/home/someone/llama",
    "special_tokens_map_file": "/home/user/.cache/huggingface/special_tokens_map.json",
    "added_tokens_decoder": {"0": {"content": "<unk>", "special": True}},
    "chat_template": "{% for m in messages %}{{ m['content'] }}{% endfor %}",
}
SDXL = {
    "_class_name": "StableDiffusionXLPipeline",
    "_diffusers_version": "0.19.0.dev0",
    "force_zeros_for_empty_prompt": True,
    "scheduler": ["diffusers", "EulerDiscreteScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "image_encoder": [None, None],
    "unet": ["diffusers", "UNet2DConditionModel"],
}
SD15 = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.6.0",
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
    "vae": ["diffusers", "AutoencoderKL"],
}
LORA = {
    "auto_mapping": {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers.models.llama"},
    "base_model_name_or_path": "mistralai/Mistral-7B-v0.1",
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "peft_type": "LORA",
    "target_modules": ["q_proj", "v_proj"],
    "task_type": "CAUSAL_LM",
}
DENSE = {"in_features": 768, "out_features": 256, "activation_function": "torch.nn.modules.activation.Tanh"}
NEMO = b"""
preprocessor:
  _target_: nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor
  sample_rate: 16000
encoder:
  _target_: nemo.collections.asr.modules.ConformerEncoder
decoder: {_target_: nemo.collections.asr.modules.ConvASRDecoder, vocabulary: [a, b]}
train_ds: {manifest_filepath: /data/train.json}
nemo_version: 1.23.0
target: nemo.collections.asr.models.ctc_bpe_models.EncDecCTCModelBPE
"""
DETECTRON = b"MODEL:\n  ANCHOR_GENERATOR:\n    SIZES: !!python/tuple\n    - 32\n    - 64\n  WEIGHTS: /tmp/x.pth\n"
SPEECHBRAIN = b"""
pretrained_path: speechbrain/spkrec-ecapa-voxceleb
compute_features: !new:speechbrain.lobes.features.Fbank
    n_mels: 80
modules:
    embedding_model: !ref <embedding_model>
pretrainer: !new:speechbrain.utils.parameter_transfer.Pretrainer
    loadables: {embedding_model: !ref <embedding_model>}
"""
SAM = (
    b"model:\n  _target_: sam2.modeling.sam2_base.SAM2Base\n  image_encoder: {_target_: sam2.modeling.backbones.X.Y}\n"
)
MLMODEL = b"""
artifact_path: model
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    python_version: 3.11.9
  sklearn: {code: null, pickled_model: model.pkl, serialization_format: cloudpickle, sklearn_version: 1.5.0}
mlflow_version: 3.1.0
model_uuid: 0f
signature: {inputs: '[{"type": "tensor"}]', outputs: null, params: null}
"""
MLMODEL_TRANSFORMERS = b"""
flavors:
  python_function: {loader_module: mlflow.transformers, model_binary: model, task: llm/v1/chat}
  transformers: {code: null, framework: pt, model_binary: model, source_model_name: a/b, tokenizer_type: GPT2Tokenizer}
mlflow_version: 3.1.0
"""
CONDA = b"channels: [conda-forge]\ndependencies: [python=3.11.9, pip<=24, {pip: [mlflow==3.1.0]}]\nname: mlflow-env\n"
SPACY = b'[nlp]\nlang = "en"\nbefore_creation = null\n[components.ner]\nfactory = "ner"\n[components.ner.model]\n'
GENAI = {"model": {"type": "phi3", "decoder": {"filename": "model.onnx", "session_options": {"provider_options": []}}}}
HARMLESS: dict[str, Any] = {
    "config.json": LLAMA,
    "qwen/config.json": QWEN_VL,
    "whisper/config.json": WHISPER,
    "tokenizer_config.json": TOKENIZER,
    "model_index.json": SDXL,
    "sd/model_index.json": SD15,
    "adapter_config.json": LORA,
    "2_Dense/config.json": DENSE,
    "genai_config.json": GENAI,
    "trainer_state.json": {"log_history": [{"loss": float("nan")}], "best_model_checkpoint": "/tmp/x"},
    "samples.json": b'{"prompt": "a"}\n{"prompt": "b"}\n',
    "log.json": b'{"a": 1,\n',
    "model_config.yaml": NEMO,
    "config.yaml": DETECTRON,
    "hyperparams.yaml": SPEECHBRAIN,
    "sam2_hiera_t.yaml": SAM,
    "MLmodel": MLMODEL,
    "transformers/MLmodel": MLMODEL_TRANSFORMERS,
    "conda.yaml": CONDA,
    "config.cfg": SPACY,
    "requirements.txt": b"torch>=2.4\ntransformers==4.51.0\n",
    "labels.txt": b"cat\ndog\n",
}
RUNS_CODE: dict[str, Any] = {
    "config.json": PHI,
    "deepseek/config.json": DEEPSEEK,
    "modules.json": [{"idx": 0, "name": "0", "path": "", "type": "custom_st.Transformer"}],
    "MLmodel": MLMODEL.replace(b"model_path: model.pkl", b"code: code"),
    "data.json": {"policy": base64.b64encode(pickle.dumps(print)).decode()},
    "any.cfg": b'[a]\n_target_ = "os.system"\n',
    "notes.txt": b"torch\n--index-url http://127.0.0.1/simple\n",
}


def levels(folder: Path, name: str, content: Any) -> set[str]:
    path = folder / "blob"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    check = examine(Item(name, path, path.stat().st_size, detect_file(name, path)))
    assert check.status == "completed"
    return {finding.level for finding in check.findings}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_configuration_that_runs_nothing_is_no_error(tmp_path: Path, name: str) -> None:
    assert "error" not in levels(tmp_path, name, HARMLESS[name])


@pytest.mark.parametrize("name", RUNS_CODE)
def test_a_configuration_that_runs_code_is_an_error(tmp_path: Path, name: str) -> None:
    assert "error" in levels(tmp_path, name, RUNS_CODE[name])


def test_the_usual_ones_have_not_even_a_warning(tmp_path: Path) -> None:
    odd = {"trainer_state.json", "log.json"}
    assert {name for name in HARMLESS if "warning" in levels(tmp_path, name, HARMLESS[name])} == odd


KOHYA = {"ss_tag_frequency": json.dumps({"img": {"__class__": 3, "auto_map": 1}}), "ss_v2": "False", "format": "pt"}


def test_metadata_of_safetensors_is_held_against_the_table(tmp_path: Path) -> None:
    assert levels(tmp_path, "a.safetensors", safetensors({"a": TWO, "__metadata__": KOHYA}, bytes(8))) == set()
    target = {"__hf_config__": json.dumps({"tokenizer": {"_target_": "os.system"}})}
    assert "error" in levels(tmp_path, "a.safetensors", safetensors({"a": TWO, "__metadata__": target}, bytes(8)))


def test_texts_of_gguf_are_held_against_the_table(tmp_path: Path) -> None:
    usual = [pair("general.architecture", "llama"), pair("general.description", "It has trust_remote_code: no: none")]
    assert "error" not in levels(tmp_path, "a.gguf", gguf(usual))
    target = [*usual, pair("general.config", json.dumps({"_target_": "os.system"}))]
    assert "error" in levels(tmp_path, "a.gguf", gguf(target))
