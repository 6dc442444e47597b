"""Hostile model folders, made by code after public advisories: each must be rejected under `standard`."""

from __future__ import annotations

import gzip
import io
import lzma
import pickle
import struct
import tarfile
import zipfile

import numpy as np

from tests.content.headers.samples import external, gguf, onnx_model, pair
from tests.gate.sample import LLAMA, Files, Sample, as_json
from tests.simulators import samples
from weighbridge.scanners.clamd.database import eicar

_SYSTEM = samples.malicious_pickle(2)
_ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHI", 3, 62, 1) + bytes(200)
_ESCAPE = "{{ cycler.__init__.__globals__.os.popen('id').read() }}"
_MZ = b"MZ" + bytes(58) + struct.pack("<I", 64) + b"PE\0\0" + bytes(200)


def _call(module: str, name: str, *arguments: str) -> bytes:
    """Return a pickle that calls a global with texts; the global need not be importable here."""

    def text(value: str) -> bytes:
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()

    return b"\x80\x02c" + f"{module}\n{name}\n".encode() + b"(" + b"".join(map(text, arguments)) + b"tR."


def _of_bytes(content: bytes) -> bytes:
    """Return a pickle that has torch load bytes which it brings along."""
    return b"\x80\x02ctorch.storage\n_load_from_bytes\n(B" + struct.pack("<I", len(content)) + content + b"tR."


def _zip(members: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _tar(members: Files, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _tar_named(mark: bytes, members: Files) -> bytes:
    """Return a tar whose first member's name begins with another format's mark; its checksum is right."""
    raw = bytearray(_tar({"x": b"", **members}))
    raw[0:100] = (mark + b"_").ljust(100, b"\0")
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw[:512])
    return bytes(raw)


def _arrays_twice() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros(3))
    return buffer.getvalue() + samples.malicious_npy()


def _keras(layer: dict[str, object]) -> bytes:
    config = {"module": "keras", "class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}
    return _zip(
        {"metadata.json": b'{"keras_version": "3.9.0"}', "config.json": as_json(config), "model.weights.h5": b""}
    )


def _layer(name: str, module: str = "keras.layers", **config: object) -> dict[str, object]:
    return {"module": module, "class_name": name, "config": {"name": "l", **config}, "registered_name": None}


_LAMBDA = _layer("Lambda", function={"class_name": "__lambda__", "config": {"code": "4w=="}})


def _config(**more: object) -> Files:
    return {"config.json": as_json({**LLAMA, **more})}


PICKLES = (
    Sample("pickle-os-system", lambda: {"pytorch_model.bin": _SYSTEM}, ("pickle.global",), "CWE-502"),
    Sample("pickle-in-torch-zip", lambda: {"m.pt": samples.torch_zip(_SYSTEM)}, ("pickle.global",), "CVE-2025-32434"),
    Sample(
        "pickle-hydra-instantiate",
        lambda: {"m.pkl": _call("hydra.utils", "instantiate", "os.system")},
        ("pickle.global", "pickle.unknown-global"),
        "CVE-2025-23304",
    ),
    Sample(
        "pickle-unknown-function",
        lambda: {"m.pkl": _call("acme_models.loading", "restore", "model")},
        ("pickle.unknown-global",),
        "picklescan: a list of the dangerous is never complete",
    ),
    Sample(
        "pickle-newer-standard-library",
        lambda: {"m.pkl": _call("_interpreters", "run_string", "0", "import os")},
        ("pickle.global",),
        "Python 3.13",
    ),
    Sample(
        "pickle-of-python-2", lambda: {"m.pkl": _call("commands", "getoutput", "id")}, ("pickle.global",), "Python 2"
    ),
    Sample("pickle-in-npy", lambda: {"a.npy": samples.malicious_npy()}, ("pickle.global",), "numpy.load allow_pickle"),
    Sample("pickle-behind-an-array", lambda: {"a.npy": _arrays_twice()}, ("pickle.global",), "numpy.save twice"),
    Sample("pickle-in-npz", lambda: {"a.npz": _zip({"a.npy": samples.malicious_npy()})}, ("pickle.global",), "numpy"),
    Sample(
        "pickle-in-gzip", lambda: {"m.pkl.gz": gzip.compress(_SYSTEM, mtime=0)}, ("pickle.global",), "joblib compress"
    ),
    Sample(
        "pickle-in-tar-behind-ggml",
        lambda: {"pytorch_model.bin": _tar_named(b"lmgg", {"pickle": _SYSTEM, "storages": pickle.dumps(0, 2)})},
        ("pickle.global", "format.second-reading"),
        "CVE-2025-32434",
    ),
    Sample(
        "pickle-in-tar-behind-png",
        lambda: {"figure.png": _tar_named(b"\x89PNG\r\n\x1a\n", {"data.pkl": _SYSTEM})},
        ("pickle.global", "format.second-reading"),
        "polyglots",
    ),
    Sample(
        "pickle-of-bytes-that-unpickle",
        lambda: {"m.pkl": _of_bytes(samples.legacy_torch(_SYSTEM))},
        ("pickle.global",),
        "torch.storage._load_from_bytes",
    ),
)
CONFIGURATIONS = (
    Sample(
        "config-auto-map",
        lambda: {**_config(auto_map={"AutoModel": "modeling.Mine"}), "modeling.py": b"import os\n"},
        ("config.remote-code",),
        "transformers: trust_remote_code",
    ),
    Sample(
        "config-auto-map-nested",
        lambda: _config(text_config={"auto_map": {"AutoModel": "modeling.Mine"}}),
        ("config.remote-code",),
        "transformers: composite configurations",
    ),
    Sample(
        "config-code-of-another-repository",
        lambda: _config(auto_map={"AutoModel": "evil/repo--modeling.Mine"}),
        ("config.other-repository", "config.remote-code"),
        "transformers: auto_map with a repository",
    ),
    Sample(
        "config-attention-kernel",
        lambda: _config(_attn_implementation="evil/kernels"),
        ("config.other-repository", "config.remote-code"),
        "CVE-2026-4372",
    ),
    Sample(
        "config-hydra-target",
        lambda: {"model_config.yaml": b"model:\n  _target_: os.system\n  command: id\n"},
        ("config.dangerous-target",),
        "CVE-2025-23304",
    ),
    Sample(
        "config-yaml-object",
        lambda: {"config.yaml": b"a: !!python/object/apply:os.system [id]\n"},
        ("config.unsafe-tag",),
        "CVE-2020-14343",
    ),
    Sample(
        "config-yaml-second-document",
        lambda: {"config.yaml": b"a: 1\n---\nb: !!python/object/apply:os.system [id]\n"},
        ("config.unsafe-tag",),
        "YAML streams",
    ),
    Sample(
        "config-sentence-transformers-module",
        lambda: {"modules.json": as_json([{"name": "0", "path": "", "type": "evil.Module"}])},
        ("config.remote-code", "config.import"),
        "sentence-transformers: modules.json",
    ),
    Sample(
        "config-mlflow-loader",
        lambda: {"MLmodel": b"flavors:\n  python_function:\n    loader_module: evil\n    code: code\n"},
        ("config.remote-code", "config.import"),
        "MLflow: python_function",
    ),
    Sample(
        "config-index-outside",
        lambda: {"model.safetensors.index.json": as_json({"weight_map": {"a": "../../../etc/passwd"}})},
        ("index.unsafe-path", "index.invalid"),
        "CWE-22",
    ),
    Sample(
        "config-in-a-zip",
        lambda: {"bundle.zip": _zip({"m/config.json": as_json({**LLAMA, "auto_map": {"AutoModel": "m.M"}})})},
        ("config.remote-code",),
        "members are judged as files",
    ),
)
TEMPLATES = (
    Sample(
        "template-globals",
        lambda: {"chat_template.jinja": _ESCAPE.encode()},
        ("template.internals", "template.gateway"),
        "CVE-2024-34359",
    ),
    Sample(
        "template-in-gguf",
        lambda: {"m.gguf": gguf([pair("tokenizer.chat_template", _ESCAPE)])},
        ("template.internals", "template.gateway"),
        "CVE-2024-34359",
    ),
    Sample(
        "template-of-keywords",
        lambda: {"chat_template.jinja": b"{{ ''[dict(__class__=1)|join] }}"},
        ("template.internals", "template.dynamic-attribute"),
        "jinja2 sandbox escapes",
    ),
    Sample(
        "template-reversed",
        lambda: {"chat_template.jinja": b"{{ ''['__ssalc__'|reverse] }}"},
        ("template.internals", "template.dynamic-attribute"),
        "jinja2 sandbox escapes",
    ),
    Sample(
        "template-of-langchain",
        lambda: {"prompt.json": as_json({"_type": "prompt", "template": _ESCAPE, "template_format": "jinja2"})},
        ("template.internals", "template.gateway"),
        "CVE-2023-36281",
    ),
    Sample(
        "template-in-a-zip",
        lambda: {"t.zip": _zip({"tokenizer_config.json": as_json({"chat_template": _ESCAPE})})},
        ("template.internals", "template.gateway"),
        "members are judged as files",
    ),
)
GRAPHS = (
    Sample("keras-lambda", lambda: {"m.keras": _keras(_LAMBDA)}, ("keras.lambda",), "CVE-2024-3660"),
    Sample(
        "keras-lambda-in-a-zip",
        lambda: {"b.zip": _zip({"m.keras": _keras(_LAMBDA)})},
        ("keras.lambda",),
        "CVE-2024-3660",
    ),
    Sample(
        "keras-builtins",
        lambda: {"m.keras": _keras(_layer("function", "builtins", config="exec"))},
        ("keras.function",),
        "CVE-2025-1550",
    ),
    Sample(
        "keras-get-file",
        lambda: {
            "m.keras": _keras(
                _layer(
                    "Activation", activation={"module": "keras.utils", "class_name": "function", "config": "get_file"}
                )
            )
        },
        ("keras.foreign-code", "keras.reads-file", "keras.function"),
        "CVE-2025-8747",
    ),
    Sample(
        "onnx-outside",
        lambda: {"m.onnx": onnx_model([external("../../etc/passwd")]).SerializeToString()},
        ("onnx.external-path",),
        "CVE-2024-27318",
    ),
)
FILES = (
    Sample("program-elf", lambda: {"run": _ELF}, ("code.executable",), "CWE-506"),
    Sample("program-windows", lambda: {"tool.exe": _MZ}, ("code.executable",), "CWE-506"),
    Sample(
        "program-in-a-zip",
        lambda: {"t.zip": _zip({"lib.so": _ELF})},
        ("code.executable", "archive.executable"),
        "CWE-506",
    ),
    Sample("program-as-an-image", lambda: {"figure.png": _ELF}, ("code.executable", "format.mismatch"), "CWE-646"),
    Sample(
        "bytecode", lambda: {"m.pyc": b"\xa7\r\r\n" + bytes(12) + b"\xe3" + bytes(40)}, ("code.bytecode",), "CWE-506"
    ),
    Sample("malware", lambda: {"notes.txt": eicar()}, ("clamav.signature",), "the EICAR test file"),
    Sample(
        "malware-in-lzma",
        lambda: {"a.tar.lzma": lzma.compress(_tar({"e": eicar()}), lzma.FORMAT_ALONE)},
        ("clamav.signature", "archive.unsupported", "scanners.required"),
        "streams that are rarely unpacked",
    ),
    Sample("link-out", lambda: {"m.tar": _link("../../etc/passwd")}, ("archive.link",), "CVE-2007-4559"),
    Sample("name-out", lambda: {"m.tar": _tar({"../../x": b"1"})}, ("archive.unsafe-name",), "CVE-2007-4559"),
    Sample(
        "endpoint-handler",
        lambda: {"handler.py": b"class EndpointHandler:\n    pass\n"},
        ("code.run-by-name",),
        "inference endpoints",
    ),
    Sample(
        "pointer",
        lambda: {"w.bin": b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 9\n"},
        ("format.lfs-pointer",),
        "Git LFS",
    ),
)


def _link(target: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("passwd")
        info.type, info.linkname = tarfile.SYMTYPE, target
        archive.addfile(info)
    return buffer.getvalue()


HOSTILE: tuple[Sample, ...] = (*PICKLES, *CONFIGURATIONS, *TEMPLATES, *GRAPHS, *FILES)
