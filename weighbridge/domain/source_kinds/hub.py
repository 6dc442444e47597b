"""The source kinds of the Hugging Face Hub: `hf:org/name@rev`, data sets `hf-dataset:org/name`, Xet `xet:org/name`.

Not here: how the Hub is asked (sources.huggingface).
"""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import quote

from weighbridge.domain.source_kinds.git_lfs import revision_mistake
from weighbridge.domain.source_kinds.grammar import Parts, read_named
from weighbridge.domain.source_kinds.record import SourceKind
from weighbridge.errors import InvalidReference

#: The Hub that is asked where nothing names another one.
DEFAULT_ENDPOINT = "https://huggingface.co"
_NAME = re.compile(r"(?=.{1,96}$)[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?")
#: Hosts whose Xet repositories are those of the Hub.
_XET_HOSTS = ("huggingface.co", "hf.co", "www.huggingface.co")


def _mistake(parts: Parts) -> str:
    if not _NAME.fullmatch(parts.id):
        return f"“{parts.id}” is not a repository of the Hub: write org/name, and a revision apart from it"
    return revision_mistake(parts)


def _page(parts: Parts) -> str:
    folder = "datasets/" if parts.kind == HUGGINGFACE_DATASET.name else ""
    revision = quote(parts.revision, safe="") or "main"
    return f"{DEFAULT_ENDPOINT}/{folder}{quote(parts.id, safe='/')}/tree/{revision}"


def _read_xet(kind: str, scheme: str, rest: str) -> Parts:
    if rest.startswith("//"):
        uri = f"{scheme}:{rest}"
        host, _, rest = rest[2:].partition("/")
        if host.lower() not in _XET_HOSTS:
            raise InvalidReference(
                f"“{host}” serves no Xet repositories: xethub.com closed, and they live on the Hugging Face Hub now.",
                "Write xet:org/name@revision.",
                uri=uri,
            )
    parts = read_named(kind, scheme, rest)
    return parts._replace(id=parts.id.removesuffix(".git").strip("/"))


HUGGINGFACE = SourceKind(
    name="huggingface",
    schemes=("hf",),
    adapter="weighbridge.sources.huggingface:HuggingFaceSource",
    options="weighbridge.config.source_options:HuggingFaceOptions",
    mistake=_mistake,
    places=frozenset(),
    endpoint_setting="huggingface_endpoint",
    endpoint_variable="HF_ENDPOINT",
    one_service=True,
    auth_variable="HF_TOKEN",
    block="hub-credentials",
    page=_page,
    hub_folder="models",
)
#: In models.yaml it is `huggingface` with `type: dataset`.
HUGGINGFACE_DATASET = replace(
    HUGGINGFACE,
    name="huggingface-dataset",
    schemes=("hf-dataset",),
    adapter="weighbridge.sources.huggingface:HuggingFaceDatasetSource",
    options="",
    hub_folder="datasets",
)
GIT_XET = replace(
    HUGGINGFACE,
    name="git-xet",
    schemes=("xet",),
    adapter="weighbridge.sources.huggingface:GitXetSource",
    options="weighbridge.config.source_options:GitXetOptions",
    read=_read_xet,
    page=lambda _: "",
    hub_folder="",
)
