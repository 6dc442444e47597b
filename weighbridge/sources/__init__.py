"""The sources models come from: one adapter a file, one line here.

An adapter is imported when its first source is made, so that nobody waits for a library that he does not use.
"""

from __future__ import annotations

import importlib

from weighbridge.sources.interface import Source, SourceFactory, SourceSettings


def _adapter(module: str, name: str) -> SourceFactory:
    def create(settings: SourceSettings) -> Source:
        source: Source = getattr(importlib.import_module(f"weighbridge.sources.{module}"), name)(settings)
        return source

    return create


#: Source kind (`ModelRef.kind`) to the factory of its adapter.
SOURCES: dict[str, SourceFactory] = {
    "file": _adapter("file", "FileSource"),
    "huggingface": _adapter("huggingface", "HuggingFaceSource"),
    "huggingface-dataset": _adapter("huggingface", "HuggingFaceDatasetSource"),
    "mock": _adapter("mock", "MockSource"),
    "pypi": _adapter("pypi", "PypiSource"),
    "url": _adapter("url", "UrlSource"),
}
