"""Names in Keras configurations: which classes and functions a loader may look up without running or reading anything.

A closed list, taken from what `keras.src.saving.serialization_lib` resolves (Keras 3.11) and what older versions
imported by name. Not here: where in a configuration such names are (keras).
"""

from __future__ import annotations

import builtins
import re


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Packages of Keras and KerasHub under all names of their imports; the longest first.
_ALL_PACKAGES = "tensorflow.python.keras tensorflow.keras tf_keras keras_core keras_hub keras_nlp keras_cv keras"
_PACKAGES = tuple(_ALL_PACKAGES.split())
#: Parts of a package that only repeat it: `keras.src.layers` is `keras.layers`.
_REPEATED = frozenset({"src", "api", "keras", "_tf_keras", "_legacy", "v2", "_v2"})
#: Modules below a package whose classes are built from a configuration alone.
_CLASSES = _names(
    "layers activations losses metrics optimizers initializers regularizers constraints dtype_policies mixed_precision"
    " models quantizers random ops engine trainers premade_models premade experimental feature_column legacy"
    " tokenizers samplers modeling"
)
#: Classes of other modules that are built from a configuration alone.
_SINGLE_CLASSES = frozenset({("utils", "FeatureSpace"), ("utils", "Feature"), ("utils", "Cross")})
#: Modules below a package whose functions only compute.
_FUNCTIONS = frozenset({"activations", "losses", "metrics", "initializers", "regularizers", "constraints", "ops"})
#: Functions of those that look up further names.
_LOOKUPS = frozenset({"get", "deserialize", "serialize"})
#: Functions that older versions wrote with the module `builtins`, and looked up in Keras.
_KNOWN_FUNCTIONS = _names(
    "celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish hard_tanh leaky_relu linear"
    " log_sigmoid log_softmax mish relu relu6 selu sigmoid silu soft_shrink softmax softplus softsign sparse_plus"
    " sparse_sigmoid sparsemax squareplus swish tanh tanh_shrink threshold"
    " binary_crossentropy binary_focal_crossentropy categorical_crossentropy categorical_focal_crossentropy"
    " categorical_generalized_cross_entropy categorical_hinge circle cosine_similarity ctc dice hinge huber"
    " kl_divergence kld log_cosh logcosh mean_absolute_error mae mean_absolute_percentage_error mape"
    " mean_squared_error mse mean_squared_logarithmic_error msle poisson sparse_categorical_crossentropy squared_hinge"
    " tversky accuracy acc binary_accuracy categorical_accuracy concordance_correlation pearson_correlation"
    " sparse_categorical_accuracy sparse_top_k_categorical_accuracy top_k_categorical_accuracy"
)
_BUILTINS = frozenset(dir(builtins)) | {"file", "execfile", "reload", "unicode", "apply", "raw_input", "cmp"}
_CLASS_NAME = re.compile(r"_*[A-Z]\w*")
_FUNCTION_NAME = re.compile(r"[a-z]\w*")

#: Layers that load or run something when they are built: by name, what they do, and since which advisory.
LOADERS = {
    "TFSMLayer": "loads a SavedModel from a path or an address (CVE-2026-1462)",
    "TorchModuleWrapper": "unpickles a module of PyTorch's",
    "KerasLayer": "loads a module of TensorFlow Hub from a path or an address",
    "HubLayer": "loads a module of TensorFlow Hub from a path or an address",
}
#: Layers that read a file when their vocabulary is a text and no list (CVE-2025-12058).
VOCABULARY_LAYERS = frozenset({"StringLookup", "IntegerLookup", "IndexLookup", "TextVectorization"})
#: Layers that call a function of TensorFlow's by its name.
TENSORFLOW_CALLS = frozenset({"TFOpLambda", "ClassMethod", "InstanceMethod", "TFClassMethodDispatcher"})
#: Parts of TensorFlow's names that read, write, load or run; `io.decode_jpeg` and its like only compute.
_REACHING = _names(
    "raw_ops py_function py_func numpy_function saved_model load_op_library load_library load_file_system_library"
    " gfile python_io data summary train autograph distribute config enable_dump_debug_info read_file write_file"
    " matching_files TFRecordWriter TFRecordOptions tf_record_iterator write_graph"
    " utils models applications datasets preprocessing saving"
)


def below_keras(module: str) -> str | None:
    """Return the part below Keras's package that a module is in (`layers`), empty for Keras itself, None elsewhere."""
    for package in _PACKAGES:
        if module == package or module.startswith(package + "."):
            parts = [part for part in module.removeprefix(package).split(".") if part and part not in _REPEATED]
            return parts[0] if parts else ""
    return None


def is_built(module: str, name: str) -> bool:
    """Return whether a class of Keras's is one that is built from its configuration alone."""
    part = below_keras(module)
    if part is None or not _CLASS_NAME.fullmatch(name):
        return False
    return part == "" or part in _CLASSES or (part, name) in _SINGLE_CLASSES


def only_computes(module: str, name: str) -> bool:
    """Return whether a function of Keras's only computes."""
    part = below_keras(module)
    return part in _FUNCTIONS and _FUNCTION_NAME.fullmatch(name) is not None and name not in _LOOKUPS


def is_known_function(name: str) -> bool:
    """Return whether a function without a module is an activation, a loss or a metric of Keras's."""
    return name in _KNOWN_FUNCTIONS


def is_builtin(name: str) -> bool:
    """Return whether a name is a built-in of Python's, such as `exec`, or no name at all."""
    return name in _BUILTINS or not name.isidentifier()


def reaches_out(symbol: str) -> bool:
    """Return whether a function of TensorFlow's, as its public API names it, may read, write, load or run something."""
    return not _REACHING.isdisjoint(symbol.split("."))
