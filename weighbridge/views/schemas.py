"""The JSON objects that commands print, each by name and version: what a program may rely on (docs/formats.md).

Not here: the objects' fields, which the `to_json` of each value returns.
"""

from __future__ import annotations

from typing import Any

#: Every kind of object with its current version; one that loses or renames a field, or changes its meaning, gets the
#: next one. A new field does not change the version.
SCHEMAS = {
    "access-key": 1,
    "answer": 1,
    "arrival": 1,
    "audit-proof": 1,
    "audit-row": 1,
    "bundle": 1,
    "bundle-content": 1,
    "bundle-import": 1,
    "bundle-key": 1,
    "cache-usage": 1,
    "cached": 1,
    "check": 1,
    "collection": 1,
    "default": 1,
    "difference": 1,
    "error": 1,
    "eviction": 1,
    "explanation": 1,
    "export": 1,
    "fsck": 1,
    "hub-change": 1,
    "hub-export": 1,
    "hub-model": 1,
    "hub-pass": 1,
    "hub-status": 1,
    "job": 1,
    "leaderboard-row": 1,
    "lock": 1,
    "model": 1,
    "plan": 1,
    "policy": 1,
    "policy-check": 1,
    "preload": 1,
    "preview": 1,
    "purge": 1,
    "quarantined": 1,
    "removal": 1,
    "report": 1,
    "result": 1,
    "sync": 1,
    "version": 1,
    "version-summary": 1,
    "warmed": 1,
}


def named(schema: str, content: Any) -> Any:
    """Return an object, or each object of a list, with `schema` as its first field: `weighbridge.version/1`."""
    name = f"weighbridge.{schema}/{SCHEMAS[schema]}"
    if isinstance(content, list):
        return [{"schema": name, **item} for item in content]
    return {"schema": name, **content}
