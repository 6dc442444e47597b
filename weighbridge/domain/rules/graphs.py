"""Rules about graphs of operators: ONNX, Keras, TensorFlow and others."""

from __future__ import annotations

from weighbridge.domain.rules.interface import Rule

RULES = (
    Rule(
        "keras.lambda",
        "error",
        "A Keras layer holds Python code that runs on load.",
        "a `Lambda` layer",
        "runs code of the publisher on load",
    ),
    Rule(
        "keras.foreign-code",
        "error",
        "A Keras configuration names a function or class outside of Keras' layers.",
        "`builtins.exec`",
        "runs code of the publisher on load",
    ),
    Rule(
        "keras.function",
        "error",
        "A Keras configuration names a function that is no part of a model.",
        "`keras.utils.get_file`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "keras.loads",
        "error",
        "A Keras layer loads or unpickles another model when it is built.",
        "a `TFSMLayer`",
        "runs code of the publisher on load",
    ),
    Rule(
        "keras.reads-file",
        "error",
        "A Keras layer reads a file or an address when it is built; inside the folder it is a warning.",
        "a `StringLookup` of `/etc/passwd`",
        "reads a file outside the model",
    ),
    Rule("keras.custom-layer", "warning", "A Keras layer needs code of the publisher.", "a registered custom layer"),
    Rule(
        "rds.promise",
        "error",
        "A file of R holds promises, code that runs when the value is looked at.",
        "CVE-2024-27322",
        "runs code of the publisher on load",
    ),
    Rule("rds.code", "warning", "A file of R holds functions or calls, which run when they are used.", "a closure"),
    Rule(
        "hdf5.external",
        "error",
        "An HDF5 file holds links to other files or content stored in them.",
        "an external link to `/etc/passwd`",
        "reads a file outside the model",
    ),
    Rule(
        "tensorflow.operator",
        "error",
        "A graph of TensorFlow runs Python, writes files or reaches out; it is a warning if whoever runs it decides.",
        "`PyFunc`",
        "runs a command or reaches the system on load",
    ),
    Rule(
        "tensorflow.reads-file",
        "error",
        "A graph of TensorFlow opens a file outside the model.",
        "`ReadFile` of `/etc/passwd`",
        "reads a file outside the model",
    ),
    Rule(
        "tensorflow.custom-operator",
        "warning",
        "A graph of TensorFlow uses operators that need another library.",
        "`IO>ReadableInit`",
    ),
    Rule("onnx.invalid", "error", "An ONNX file cannot be read.", "no graph"),
    Rule("onnx.unknown-field", "warning", "An ONNX file holds fields that the format does not know.", "field 99"),
    Rule(
        "onnx.embedded",
        "warning",
        "An ONNX file holds bytes that are not a tensor and were not read.",
        "an attribute of 1 MB",
    ),
    Rule("onnx.runtime-ops", "note", "An ONNX file uses operators of ONNX Runtime.", "`com.microsoft`"),
    Rule(
        "onnx.harmful-operator",
        "error",
        "An operator of an ONNX file runs Python or calls another machine.",
        "`PythonOp`",
        "runs code of the publisher on load",
    ),
    Rule("onnx.compiled", "warning", "A part of an ONNX file is compiled code.", "an embedded `EPContext`"),
    Rule(
        "onnx.custom-ops",
        "warning",
        "An ONNX file uses operators that need a library of the publisher.",
        "the domain `acme`",
    ),
    Rule("onnx.type", "error", "A tensor of an ONNX file has an unknown type.", "type 99"),
    Rule("onnx.shape", "error", "A tensor of an ONNX file has an impossible shape.", "a negative dimension"),
    Rule(
        "onnx.tensor-size",
        "error",
        "A tensor of an ONNX file does not hold what its shape needs.",
        "8 bytes for 3 floats",
    ),
    Rule(
        "onnx.external-path",
        "error",
        "An ONNX file names external data outside the model.",
        "`../../etc/passwd`",
        "reads a file outside the model",
    ),
    Rule("onnx.external-data", "error", "An entry of external data in an ONNX file is invalid.", "offset `x`"),
    Rule("onnx.limit", "error", "An ONNX file has more parts than are read.", "a million locations"),
)
