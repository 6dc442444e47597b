"""What pip and conda install for a model: requirements.txt, and the dependencies of conda.yaml and python_env.yaml.

MLflow, SageMaker, TorchServe, transformers' custom_generate and Spaces install them without asking. A package by its
name comes from the index that the organisation has chosen; an index, a repository or an address is the publisher's
choice. Not here: which file is such a list (content.detection, headers.config).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from packaging.requirements import InvalidRequirement, Requirement

from weighbridge.content.loading.judgements import Ruling, leaves_the_folder, texts

_KNOWN_HOSTS_LIST = """
pypi.org files.pythonhosted.org download.pytorch.org download-r2.pytorch.org pypi.nvidia.com data.pyg.org
data.dgl.ai flashinfer.ai wheels.vllm.ai
"""
#: Indexes of the projects that publish their builds there themselves.
_KNOWN_HOSTS = frozenset(_KNOWN_HOSTS_LIST.split())
#: Organisations whose repositories model cards recommend for installation, because a release is behind.
_KNOWN_REPOSITORIES = re.compile(
    r"^(git\+)?https://github\.com/(huggingface|pytorch|facebookresearch|openai|NVIDIA|NVIDIA-NeMo|vllm-project|google"
    r"|google-deepmind|microsoft|QwenLM|deepseek-ai|mistralai|Dao-AILab|UKPLab|THUDM|OpenGVLab|ml-explore)/[\w.-]+",
    re.IGNORECASE,
)
_CHANNELS_LIST = """
anaconda bioconda conda-forge defaults fastai fastchan huggingface intel main msys2 nodefaults nvidia pytorch
pytorch-nightly pyg r rapidsai xformers
"""
_CHANNELS = frozenset(_CHANNELS_LIST.split())
_INDEX = re.compile(r"^(-i|--index-url|--extra-index-url|-f|--find-links)(\s*=\s*|\s*)(?P<address>\S+)")
_OTHER_FILE = re.compile(r"^(-r|--requirement|-c|--constraint)(\s*=\s*|\s*)(?P<file>\S+)")
_EDITABLE = re.compile(r"^(-e|--editable)(\s*=\s*|\s*)(?P<what>\S+)")
_PLAIN_OPTION = re.compile(
    r"^--(no-index|prefer-binary|pre|only-binary|no-binary|require-hashes|use-pep517|use-feature|no-build-isolation)\b"
)
_TRUSTED = re.compile(r"^--(trusted-host|config-settings|global-option)\b")
#: What a text cannot be without when one of its lines is more than the name of a package.
_ACTS = re.compile(r"^\s*[-./~]", re.MULTILINE)
#: What ends a requirement's line: options of its own, and a comment.
_TAIL = re.compile(r"\s+(#.*|--hash[=\s].*|--(config-settings|global-option)[=\s].*)$")


def rulings(text: str) -> Iterator[Ruling]:
    """Yield the rulings on each line of a requirements file."""
    for found in _lines(text):
        yield from line(found)


def is_requirements(text: str) -> bool:
    """Return whether pip would read a text as requirements: it refuses the whole file for one invalid line."""
    if "://" not in text and "@" not in text and not _ACTS.search(text):
        return False
    lines = list(_lines(text))
    addresses = [found for found in lines if re.match(r"[a-z+]+://", found)]
    # A list of addresses alone is a list of addresses.
    return len(addresses) < len(lines) and all(_is_line(found) for found in lines)


def line(text: str) -> Iterator[Ruling]:
    """Yield the rulings on one requirement or option."""
    text = text.strip()
    if match := _INDEX.match(text):
        yield from _address(match["address"], "takes packages from another index")
    elif match := _OTHER_FILE.match(text):
        if leaves_the_folder(match["file"]):
            yield Ruling("config.reads-outside", "error", "reads requirements outside of the model", match["file"])
    elif match := _EDITABLE.match(text):
        yield from _place(match["what"])
    elif _TRUSTED.match(text):
        yield Ruling("config.fetches", "error", "switches a check of the installer off", text)
    elif not text.startswith("-"):
        yield from _requirement(text)


def channels(value: Any) -> Iterator[Ruling]:
    """Yield the rulings on conda's channels: a known name is one, an address is the publisher's choice."""
    for text in texts(value):
        if "://" in text:
            if urlsplit(text).hostname not in ("conda.anaconda.org", "repo.anaconda.com"):
                yield Ruling("config.fetches", "error", "takes packages from another channel", text)
        elif text.lower() not in _CHANNELS:
            yield Ruling("config.fetches", "warning", "takes packages from a channel that is little known", text)


def _lines(text: str) -> Iterator[str]:
    for found in re.sub(r"\\\r?\n", " ", text.removeprefix("\ufeff")).splitlines():
        found = re.sub(r"(^|\s)#.*$", "", found).strip()
        if found:
            yield found


def _is_line(text: str) -> bool:
    if any(pattern.match(text) for pattern in (_INDEX, _OTHER_FILE, _EDITABLE, _PLAIN_OPTION, _TRUSTED)):
        return True
    return _parsed(text) is not None or "://" in text or text.startswith(("./", "../", "/"))


def _parsed(text: str) -> Requirement | None:
    try:
        return Requirement(_TAIL.sub("", text))
    except InvalidRequirement:
        return None


def _requirement(text: str) -> Iterator[Ruling]:
    parsed = _parsed(text)
    if parsed is not None:
        if parsed.url:
            yield from _place(parsed.url)
    elif "://" in text or text.startswith((".", "/", "~")) or text.endswith((".whl", ".tar.gz", ".zip")):
        yield from _place(text.split()[0])


def _place(text: str) -> Iterator[Ruling]:
    """Judge the source of a package: a repository, an address, or a path."""
    if _KNOWN_REPOSITORIES.match(text):
        yield Ruling("config.fetches", "warning", "installs the newest state of a known project's repository", text)
    elif "://" in text or text.startswith("git@"):
        yield from _address(text, "installs a package from an address that the publisher chose")
    elif leaves_the_folder(text):
        yield Ruling("config.reads-outside", "error", "installs a package from outside of the model", text)
    else:
        yield Ruling("config.remote-code", "error", "installs code of the publisher, which runs then", text)


def _address(text: str, does: str) -> Iterator[Ruling]:
    try:
        parts = urlsplit(text)
        known = parts.scheme == "https" and parts.hostname in _KNOWN_HOSTS and not parts.username
    except ValueError:
        known = False
    yield Ruling("config.fetches", "warning" if known else "error", does, text)
