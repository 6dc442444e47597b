"""The clients that are tried: which program loads which sample, in which environment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.clients import samples
from tests.clients.samples import Files, digest_of
from weighbridge.intake.mirrored_models import RepoKind


def the_mark(_: Files, mark: int) -> str:
    """Return what a program prints that reads the mark."""
    return str(mark)


def the_digest(files: Files, _: int) -> str:
    """Return what a program prints that reads every file."""
    return digest_of(files)


def of_one_file(files: Files, _: int) -> str:
    """Return what a program prints that fetches one file: the sha256 of the largest."""
    return hashlib.sha256(max(files.values(), key=len)).hexdigest()


@dataclass(frozen=True)
class Client:
    """A client and what it loads.

    Attributes:
        name: as a reader of the table knows it.
        environment: its name in `ENVIRONMENTS`.
        program: a file in `programs`; it gets a repository, a revision and a folder, and prints `LOADED` and a value.
        sample: returns the files of a version, by its mark.
        value: returns what the program prints, by files and mark.
        kind: of repository.
        variables: further ones of its environment.
        caches: whether it keeps what it loaded, and asks before it uses that again.
        pins: whether it takes a revision.
        shows: whether it shows the message of a refusal; others show its status.
        asks: whether it asks before it uses its cache.
        falls_back: whether it uses its cache when it gets no answer.
        recalls: whether it uses its cache no more after an answer that there is no such revision.
        has_keys: whether it sends a key to a host other than the Hub's.
        hands_on: whether it may get what has no verdict yet, which clients of OCI registries never do.
    """

    name: str
    environment: str
    program: str
    sample: Callable[[int], Files]
    value: Callable[[Files, int], str] = the_mark
    kind: RepoKind = "models"
    variables: Mapping[str, str] = field(default_factory=dict)
    caches: bool = True
    pins: bool = True
    shows: bool = True
    asks: bool = True
    falls_back: bool = True
    recalls: bool = True
    has_keys: bool = True
    hands_on: bool = True


_FAST = {"HF_HUB_ENABLE_HF_TRANSFER": "1"}
CLIENTS: tuple[Client, ...] = (
    *(
        Client(f"huggingface_hub {version}", f"hub-{line}", "files_with_hub.py", samples.files, the_digest)
        for line, version in (("2", "2.4.0"), ("1", "1.33.0"), ("0.36", "0.36.2"), ("0.25", "0.25.2"))
    ),
    Client("hf download 2.4.0", "hub-2", "files_with_command.py", samples.files, the_digest),
    Client("hf download 1.33.0", "hub-1", "files_with_command.py", samples.files, the_digest),
    Client("huggingface-cli 0.25.2", "hub-0.25", "files_with_command.py", samples.files, the_digest),
    Client("hf_transfer 0.1.9", "hub-0.36", "files_with_hub.py", samples.files, the_digest, variables=_FAST),
    Client("HfFileSystem, pandas", "hub-2", "table_with_pandas.py", samples.parquet, kind="datasets", caches=False),
    Client("transformers 5.24.0", "transformers-5", "model_with_transformers.py", samples.llama),
    Client("transformers 4.57.6", "transformers-4", "model_with_transformers.py", samples.llama),
    Client("tokenizers 0.23.3", "transformers-5", "tokenizer_alone.py", samples.llama),
    Client(
        *("sentence-transformers 6.2.0", "sentence-transformers", "embedding_with_sentence_transformers.py"),
        samples.sentences,
    ),
    Client("diffusers 0.42.1", "diffusers", "pipeline_with_diffusers.py", samples.pipeline),
    *(
        Client(
            *(f"datasets {version}, {form}", f"datasets-{version[0]}", program, sample),
            kind="datasets",
            caches=caches,
            shows=version > "4",
        )
        for version in ("5.2.0", "3.6.0")
        for form, program, sample, caches in (
            ("Parquet", "table_with_datasets.py", samples.parquet, True),
            ("CSV", "table_with_datasets.py", samples.comma_separated, True),
            ("JSON, streaming", "stream_with_datasets.py", samples.json_lines, False),
        )
    ),
    Client("@huggingface/hub 2.17.5", "npm", "files_with_node.mjs", samples.files, the_digest, falls_back=False),
    Client(
        *("Transformers.js 4.3.2", "npm", "tokenizer_with_transformers_js.mjs", samples.llama),
        shows=False,
        asks=False,
        has_keys=False,
    ),
    Client(
        *("llama.cpp -hf, its requests", "hub-2", "gguf_as_llama_cpp.py", samples.gguf, of_one_file),
        pins=False,
        recalls=False,
    ),
    Client("OpenDAL 0.47.12 (Rust)", "opendal", "files_with_opendal.py", samples.one_file, the_digest, caches=False),
    Client("requests, two ranges", "hub-0.36", "ranges_with_requests.py", samples.one_file, the_digest, caches=False),
    Client("curl", "debian", "file_with_curl.sh", samples.one_file, of_one_file, caches=False),
    Client("wget", "debian", "file_with_wget.sh", samples.one_file, of_one_file, caches=False, shows=False),
    Client("aria2", "debian", "file_with_aria2.sh", samples.one_file, of_one_file, caches=False, shows=False),
    Client("axel", "debian", "file_with_axel.sh", samples.one_file, of_one_file, caches=False, shows=False),
    Client(
        *("skopeo 1.9.3", "containers", "image_with_skopeo.py", samples.files, the_digest), caches=False, hands_on=False
    ),
    Client(
        *("containerd 1.6.20", "containers", "image_with_containerd.py", samples.llama, the_digest),
        caches=False,
        shows=False,
        hands_on=False,
    ),
)
