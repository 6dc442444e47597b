"""Hugging Face's libraries: training arguments with their enums, configurations, and models that were pickled whole.

Tokenizers are not here: the `__setstate__` of many opens the vocabulary at a path that the pickle names.
"""

from __future__ import annotations

from weighbridge.content.pickles.allowed.entry import Family, Group

_TRANSFORMERS = "https://github.com/huggingface/transformers/blob/main/src/transformers/"
_ACCELERATE = "https://github.com/huggingface/accelerate/blob/main/src/accelerate/"
_SENTENCES = "https://github.com/huggingface/sentence-transformers/blob/main/sentence_transformers/"
_TRL = "https://github.com/huggingface/trl/blob/main/trl/trainer/"
_PEFT = "https://github.com/huggingface/peft/blob/main/src/peft/"

GROUPS = (
    Group(
        "transformers.training_args transformers.training_args_seq2seq",
        "class",
        "TrainingArguments Seq2SeqTrainingArguments",
        _TRANSFORMERS + "training_args.py",
        objects=True,
    ),
    Group(
        "transformers.training_args",
        "enum",
        "OptimizerNames ParallelMode",
        _TRANSFORMERS + "training_args.py",
        objects=True,
    ),
    Group(
        "transformers.trainer_utils",
        "enum",
        "IntervalStrategy EvaluationStrategy SaveStrategy HubStrategy SchedulerType FSDPOption HPSearchBackend "
        "ShardedDDPOption",
        _TRANSFORMERS + "trainer_utils.py",
        objects=True,
    ),
    Group("transformers.debug_utils", "enum", "DebugOption", _TRANSFORMERS + "debug_utils.py", objects=True),
    Group(
        "transformers.utils.generic transformers.tokenization_utils_base",
        "enum",
        "PaddingStrategy TensorType TruncationStrategy",
        _TRANSFORMERS + "utils/generic.py",
        objects=True,
    ),
    Group(
        "transformers.trainer_pt_utils",
        "class",
        "AcceleratorConfig",
        _TRANSFORMERS + "trainer_pt_utils.py",
        objects=True,
    ),
    Group(
        "transformers.trainer_callback",
        "class",
        "TrainerState TrainerControl",
        _TRANSFORMERS + "trainer_callback.py",
        objects=True,
    ),
    Group(
        "transformers.integrations.deepspeed transformers.deepspeed",
        "class",
        "HfDeepSpeedConfig HfTrainerDeepSpeedConfig",
        _TRANSFORMERS + "integrations/deepspeed.py",
        objects=True,
    ),
    Group(
        "transformers.configuration_utils",
        "class",
        "PretrainedConfig PreTrainedConfig",
        _TRANSFORMERS + "configuration_utils.py",
        objects=True,
    ),
    Group(
        "transformers.generation.configuration_utils transformers.generation_utils",
        "class",
        "GenerationConfig CompileConfig",
        _TRANSFORMERS + "generation/configuration_utils.py",
        objects=True,
    ),
    Group(
        "transformers.tokenization_utils_base",
        "class",
        "BatchEncoding",
        _TRANSFORMERS + "tokenization_utils_base.py",
        objects=True,
    ),
    Group(
        "accelerate.state",
        "class",
        "PartialState AcceleratorState GradientState",
        _ACCELERATE + "state.py",
        objects=True,
    ),
    Group(
        "accelerate.utils.dataclasses accelerate.state",
        "enum",
        "DistributedType SageMakerDistributedType FP8BackendType ComputeEnvironment DynamoBackend LoggerType "
        "PrecisionType RNGType CustomDtype DDPCommunicationHookType",
        _ACCELERATE + "utils/dataclasses.py",
        objects=True,
    ),
    Group(
        "accelerate.utils.dataclasses",
        "class",
        "DeepSpeedPlugin FullyShardedDataParallelPlugin GradientAccumulationPlugin TorchDynamoPlugin "
        "DistributedDataParallelKwargs GradScalerKwargs AutocastKwargs InitProcessGroupKwargs ProjectConfiguration "
        "DataLoaderConfiguration ParallelismConfig",
        _ACCELERATE + "utils/dataclasses.py",
        objects=True,
    ),
    Group(
        "sentence_transformers.training_args",
        "class",
        "SentenceTransformerTrainingArguments",
        _SENTENCES + "training_args.py",
        objects=True,
    ),
    Group(
        "sentence_transformers.training_args",
        "enum",
        "BatchSamplers MultiDatasetBatchSamplers",
        _SENTENCES + "training_args.py",
        objects=True,
    ),
    Group("peft.utils.peft_types", "enum", "PeftType TaskType", _PEFT + "utils/peft_types.py", objects=True),
)
FAMILIES = (
    Family(
        r"transformers\.models\.\w+\.(configuration|modeling)_\w+",
        _TRANSFORMERS + "modeling_utils.py",
    ),
    Family(r"transformers\.activations", _TRANSFORMERS + "activations.py"),
    Family(r"trl\.trainer\.\w+", _TRL, names=r"[A-Z]\w+Config"),
    Family(r"peft\.tuners(\.\w+)+", _PEFT + "tuners/", names=r"[A-Z]\w+Config"),
    Family(r"sentence_transformers\.models(\.\w+)+", _SENTENCES + "models/"),
)
