"""Names of formats, and what the name of a file promises: code, weights, or something else than its content."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

#: By suffix, for formats whose content has no mark of its own. Binary claims are checked by the formats scanner.
_BY_SUFFIX = {
    "safetensors": ".safetensors",
    "gguf": ".gguf",
    "onnx": ".onnx .ort",
    "onnx-data": ".onnx_data .data",
    "json": ".json .json5 .jsonc .webmanifest .geojson .map",
    "notebook": ".ipynb",
    "jsonl": ".jsonl .ndjson",
    "yaml": ".yaml .yml .cff",
    "toml": ".toml",
    "ini": ".ini .cfg .conf .properties .editorconfig",
    "xml": ".xml .svg .xsd .xmp .pmml",
    "markdown": ".md .mdx .markdown",
    "text": ".txt .rst .tiktoken .vocab .bpe .csv .tsv .log .html .htm .css .tex .bib .lock .license .srt .vtt "
    ".prototxt .proto .diff .patch .names .labels .lst .dict .mil .lic .adoc .metadata .sample .arpa .scp .conll .sql",
    "jinja": ".jinja .jinja2 .j2 .tmpl .prompty",
    "python": ".py .pyi .pyx .pyw",
    "python-bytecode": ".pyc .pyo",
    "source": ".js .mjs .cjs .ts .jsx .tsx .c .cc .cpp .cxx .h .hpp .hh .cu .cuh .cl .m .mm .metal .go .rs .java .kt "
    ".swift .scala .rb .pl .pm .php .lua .r .rmd .jl .ptx .wat .asm .s .hlsl .glsl .wgsl .cs .fs .ex .dart .zig .nix "
    ".mk .cmake",
    "script": ".sh .bash .zsh .ksh .fish .csh .bat .cmd .ps1 .psm1 .psd1",
    "launcher": ".hta .vbs .vbe .vb .wsf .wsh .wsc .sct .jse .reg .scr .pif .com .cpl .msc .lnk .url .desktop .scpt "
    ".applescript .command .workflow .inf .chm .xll .settingcontent-ms .scf .library-ms .application .jnlp",
    "sentencepiece": ".model .spm",
    "tflite": ".tflite",
    "tensorflow": ".pb .pbtxt .meta",
    "tfrecord": ".tfrecord .tfrecords",
    "msgpack": ".msgpack",
    "hdf5": ".h5 .hdf5",
    "coreml": ".mlmodel",
    "arrow": ".arrow .feather",
    "parquet": ".parquet",
    "rds": ".rds .rda .rdata",
    "ubj": ".ubj",
    "brotli": ".br",
    "lzma": ".lzma .tlz",
    "compress": ".z .taz",
    "iso": ".iso .dmg .vhd .vhdx .vmdk .qcow2",
    "pickle": ".bin .pt .pth .ckpt .pkl .pickle .joblib .pk .pckl .dill .cloudpickle .jbl .pdparams .pdopt",
    "audio": ".wav .mp3 .aac",
}
SUFFIXES = {suffix: kind for kind, suffixes in _BY_SUFFIX.items() for suffix in suffixes.split()}
#: By whole name in lower case, before the suffix.
NAMES = {
    "mlmodel": "mlmodel",
    "mlproject": "mlproject",
    "pipfile": "toml",
    "pipfile.lock": "json",
    "dockerfile": "script",
    "containerfile": "script",
    "makefile": "script",
    "justfile": "script",
    "jenkinsfile": "source",
    "cmakelists.txt": "source",
    ".condarc": "yaml",
    ".gitconfig": "ini",
    ".gitmodules": "ini",
    ".npmrc": "ini",
    ".pypirc": "ini",
}
#: By a pattern of the last part of a path in lower case, after `NAMES`.
PATTERNS = (
    # JSON that loaders open by its name: of transformers, diffusers, sentence-transformers, PEFT, ONNX Runtime GenAI.
    (r"(\w*(config|configuration|tokenizer|index|processor|template)|.+\.(index|config))\.json", "config"),
    (
        r"(model|modules|params|vocab|merges|special_tokens_map|added_tokens|preprocessor|manifest|tekken)\.json",
        "config",
    ),
    (r"(.*[._-])?(requirements|constraints)([._-].*)?\.(txt|in)", "requirements"),
    # vLLM and llama.cpp take a chat template from a file of any name.
    (r".*chat[._-]?templates?([._-][^.]*)?(\.txt)?", "jinja"),
    (r".*\.onnx[._]data([._-]?\d+)?", "onnx-data"),
    (r".*\.data-\d{5}-of-\d{5}", "tf-checkpoint"),
    (r"(variables|.*\.ckpt(-\d+)?|ckpt-\d+)\.index", "tf-checkpoint"),
)
_COMPILED = tuple((re.compile(pattern), kind) for pattern, kind in PATTERNS)

Role = Literal[
    "tensor data",
    "inert",
    "configuration",
    "template",
    "serialized objects",
    "graph",
    "code",
    "program",
    "archive",
    "opaque",
]
_BY_ROLE: dict[Role, str] = {
    "tensor data": "safetensors gguf ggml npy onnx-data tf-checkpoint coreml-data torch-storage ctranslate2 "
    "fasttext imatrix",
    "inert": "text markdown jsonl image audio video font pdf postscript parquet arrow tfevents tfrecord empty desktop "
    "git sqlite lfs-pointer",
    "configuration": "json config yaml toml ini xml mlmodel mlproject requirements sentencepiece",
    "template": "jinja",
    "serialized objects": "pickle rds msgpack hdf5 ubj cbm",
    "graph": "onnx tensorflow tflite coreml torchscript",
    "code": "python source script notebook",
    "program": "executable launcher python-bytecode",
    "archive": "zip tar 7z gzip bzip2 xz zstd lzma zlib brotli lz4 rar lzip compress lzop lzfse snappy cab cpio lha "
    "arj xar iso squashfs wim zpaq",
    "opaque": "unknown tensorrt",
}
#: What each format of `weighbridge.content.detection` is to whoever opens the model.
ROLES: dict[str, Role] = {kind: role for role, kinds in _BY_ROLE.items() for kind in kinds.split()}


def named_format(name: str) -> str:
    """Return the format that a file's name promises, or empty. Pure."""
    folder, _, last = name.lower().rpartition("/")
    if kind := NAMES.get(last, ""):
        return kind
    if kind := next((kind for pattern, kind in _COMPILED if pattern.fullmatch(last)), ""):
        return kind
    if last.endswith(".txt") and folder.rpartition("/")[2] == "requirements":
        return "requirements"
    return SUFFIXES.get(suffix(last), "")


def suffix(last: str) -> str:
    """Return the suffix of a path's last part with its dot, as `PurePath.suffix` has it; quick, as every file asks."""
    stem, dot, ending = last.rpartition(".")
    return dot + ending if stem and ending else ""


#: Formats that run code when the usual tools load them.
EXECUTABLE_FORMATS = frozenset({"pickle", *(kind for kind, role in ROLES.items() if role in ("code", "program"))})


#: Formats that hold other files, whether we can unpack them or not.
ARCHIVE_FORMATS = frozenset(kind for kind, role in ROLES.items() if role == "archive")


#: Formats that hold weights.
WEIGHTS_FORMATS = frozenset(
    {"safetensors", "gguf", "ggml", "onnx", "onnx-data", "pickle", "zip", "npy", "hdf5", "tflite"}
    | {
        "ctranslate2",
        "tensorflow",
        "msgpack",
        "tf-checkpoint",
        "coreml",
        "coreml-data",
        "fasttext",
        "cbm",
        "ubj",
        "rds",
    }
    | {"tensorrt"}
)


_PACKED = frozenset({"pickle", "zip", "gzip", "bzip2", "xz", "zstd", "lzma", "zlib", "lz4", "7z", "tar"})


#: The formats that a file's content may have, by its suffix, without deceiving the person who reads the name.
_CLAIMS = {
    ".safetensors": {"safetensors"},
    ".gguf": {"gguf"},
    ".onnx": {"onnx"},
    ".h5 .hdf5": {"hdf5"},
    ".keras": {"zip", "hdf5"},
    ".npy": {"npy"},
    ".npz": {"zip"},
    ".tflite": {"tflite"},
    ".msgpack": {"msgpack"},
    ".bin": {*_PACKED, "ggml", "ctranslate2", "fasttext", "coreml-data", "unknown"},
    ".pt .pth .ckpt .pkl .pickle .joblib": {*_PACKED, "text"},
    ".json": {"json", "config"},
    ".ipynb": {"notebook"},
    ".jsonl .ndjson": {"jsonl"},
    ".yaml .yml .cff": {"yaml"},
    ".toml": {"toml"},
    ".xml .svg": {"xml"},
    ".md .txt .rst .csv .tsv .log": {"text", "markdown", "script", "requirements", "source", "jinja", "xml"},
    ".jinja .jinja2 .j2": {"jinja"},
    ".png .jpg .jpeg .gif .webp .bmp .tif .tiff .ico": {"image"},
    ".pdf": {"pdf"},
    ".wav .mp3 .flac .m4a .aac .opus": {"audio"},
    ".ogg .oga .ogv": {"audio", "video"},
    ".mp4 .mov .webm .mkv .avi .m4v": {"video"},
    ".ttf .otf .ttc .woff .woff2": {"font"},
    ".parquet": {"parquet"},
    ".arrow .feather": {"arrow"},
    ".py": {"python"},
}


_CLAIMED = {suffix: kinds for suffixes, kinds in _CLAIMS.items() for suffix in suffixes.split()}


@dataclass(frozen=True)
class Disagreement:
    """A file's name promises one format and its content is another.

    Attributes:
        level: `error` when what it hides can run code or unpack to anything, else `warning`.
        message: one sentence.
    """

    level: Literal["error", "warning"]
    message: str


def may_hold_weights(name: str) -> bool:
    """Return whether a file's name promises weights. Pure: for judging files without their bytes."""
    suffix = PurePosixPath(name.lower()).suffix
    return named_format(name) in WEIGHTS_FORMATS or suffix in (".keras", ".npz", ".npy", ".zip", ".nemo", ".mar")


def disagreement(name: str, kind: str) -> Disagreement | None:
    """Return how a file's name disagrees with the format that `detect` found in its content, or None. Pure."""
    suffix = PurePosixPath(name.lower()).suffix
    if kind == "empty":
        text = "It is empty, though its name promises weights."
        return Disagreement("warning", text) if may_hold_weights(name) else None
    claimed = _CLAIMED.get(suffix)
    if claimed is None or kind in claimed or kind in ("lfs-pointer", "desktop"):
        return None
    hidden = kind in EXECUTABLE_FORMATS or (
        kind in ARCHIVE_FORMATS | {"hdf5"} and suffix not in (".bin", ".pt", ".pth")
    )
    return Disagreement("error" if hidden else "warning", f"Its name ends in {suffix}, its content is {kind}.")


def fitting(name: str, kinds: Set[str]) -> Set[str]:
    """Return which of `kinds`, the formats that the same bytes have under several names, is that of one name. Pure.

    Where the content determines the format, there is only one. Elsewhere the suffix decides; a name without a known
    suffix is `text` or `unknown`, as in `detect`.
    """
    if len(kinds) < 2:
        return kinds
    suffix = PurePosixPath(name.lower()).suffix
    claimed = named_format(name) or ("unknown" if suffix else "text")
    return {claimed} if claimed in kinds else kinds
