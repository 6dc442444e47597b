"""The sources models come from: one adapter a file, one line here.

An adapter is imported when its first source is made, so that nobody waits for a library that he does not use.
"""

from __future__ import annotations

import importlib

from weighbridge import plugins
from weighbridge.errors import InvalidConfiguration
from weighbridge.sources.installed import InstalledSource
from weighbridge.sources.interface import Source, SourceConstructor, SourceSettings
from weighbridge.uris import SCHEMES


def _adapter(module: str, name: str) -> SourceConstructor:
    def create(settings: SourceSettings) -> Source:
        source: Source = getattr(importlib.import_module(f"weighbridge.sources.{module}"), name)(settings)
        return source

    return create


#: Source kind (`ModelRef.kind`) to what makes its adapter.
SOURCES: dict[str, SourceConstructor] = {
    "file": _adapter("file", "FileSource"),
    "git-lfs": _adapter("git_lfs", "GitLFSSource"),
    "git-xet": _adapter("huggingface", "GitXetSource"),
    "huggingface": _adapter("huggingface", "HuggingFaceSource"),
    "huggingface-dataset": _adapter("huggingface", "HuggingFaceDatasetSource"),
    "mlflow": _adapter("mlflow", "MLflowSource"),
    "mock": _adapter("mock", "MockSource"),
    "ollama": _adapter("ollama", "OllamaSource"),
    "pypi": _adapter("pypi", "PypiSource"),
    "s3": _adapter("s3", "S3Source"),
    "url": _adapter("url", "UrlSource"),
}


def open_source(kind: str, settings: SourceSettings) -> Source:
    """Return a source of ours, or of an installed package (plugins).

    Raises:
        InvalidConfiguration: there is none of that kind, the package that brings it is broken, or one claims a name
            of ours.
        SourceMisbehaved: a package's source fails when it is made.
    """
    if kind in SOURCES:
        plugins.refuse_taken({kind, *(scheme for scheme, known in SCHEMES.items() if known == kind)})
        return SOURCES[kind](settings)
    if not plugins.kind_of(kind):
        known = ", ".join((*SOURCES, *plugins.installed()))
        raise InvalidConfiguration(f"There is no source “{kind}”.", f"Known ones: {known}.", source=kind)
    package = plugins.package_of(plugins.entry_of(kind))
    return InstalledSource.of(kind, package, plugins.load(kind), settings)
