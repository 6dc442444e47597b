"""The page that says what the API takes and gives, drawn from its OpenAPI document. It loads nothing from elsewhere.

Not here: the document itself (web.app).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from html import escape
from typing import Any

#: The page's style sheet.
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1rem; }
code, pre { font-family: ui-monospace, monospace; font-size: 0.9em; overflow-wrap: anywhere; }
pre { background: #f4f4f2; overflow-x: auto; padding: 0.7rem; }
table { border-collapse: collapse; width: 100%; }
td, th { border-bottom: 1px solid #ddd; padding: 0.3rem 0.6rem 0.3rem 0; text-align: left; vertical-align: top; }
summary { cursor: pointer; padding: 0.4rem 0; }
summary b { display: inline-block; min-width: 4.5rem; }
details { border-bottom: 1px solid #ddd; }
@media (max-width: 40rem) {
  tr, td { display: block; } tr { border-bottom: 1px solid #ddd; padding: 0.3rem 0; } td { border: 0; padding: 0; }
  th { display: none; } td:nth-child(2) { font-style: italic; }
}
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd; } a { color: #8ab4f8; } pre { background: #262626; }
  tr, td, th, details { border-color: #444; }
}
"""


def page(document: Mapping[str, Any], prefix: str) -> str:
    """Return the page of an OpenAPI document whose API is below a path."""
    title = f"{document['info']['title']} {document['info']['version']}"
    by_tag: dict[str, list[str]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            drawn = _operation(path, method.upper(), operation, document)
            by_tag.setdefault(operation.get("tags", ["other"])[0], []).append(drawn)
    return "".join(
        (
            "<!doctype html><html lang=en><meta charset=utf-8>",
            '<meta name=viewport content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}: API</title><link rel=stylesheet href='{escape(prefix)}/docs/style.css'>",
            f"<h1>{escape(title)}</h1><p>{escape(document['info'].get('summary', ''))} ",
            f"For programs: <a href='{escape(prefix)}/openapi.json'>OpenAPI</a>.</p>",
            "<p>A key goes into the header <code>Authorization: Bearer KEY</code>. A refused request is answered with ",
            "<code>application/problem+json</code>: what was refused, why, and what to do.</p>",
            *(f"<h2>{escape(tag)}</h2>{''.join(drawn)}" for tag, drawn in by_tag.items()),
            "</html>",
        )
    )


def _operation(path: str, method: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    parts = [
        f"<details><summary><b>{method}</b> <code>{escape(path)}</code> {escape(operation['summary'])}</summary>",
        *(f"<p>{_text(paragraph)}</p>" for paragraph in operation.get("description", "").split("\n\n")),
    ]
    if parameters := operation.get("parameters"):
        parts.append(_table("parameter", (_parameter(one) for one in parameters)))
    if body:
        parts += ["<p>It takes JSON:</p>", _table("field", _fields(body, document)), _example(body, document)]
    for status, response in operation["responses"].items():
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        parts.append(f"<p><b>{escape(status)}</b> {_text(response.get('description', ''))}</p>")
        if status.startswith("2") and schema:
            parts.append(_table("field", _fields(schema, document)))
    return "".join((*parts, "</details>"))


def _example(schema: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    """Return the example of a body: its own, or one of its fields'."""
    body = _resolved(schema, document)
    fields = {name: field["examples"][0] for name, field in body.get("properties", {}).items() if "examples" in field}
    example = next(iter(body.get("examples", ())), fields)
    return f"<pre>{escape(json.dumps(example, indent=2, ensure_ascii=False))}</pre>" if example else ""


def _text(text: str) -> str:
    """Return text as HTML, in which what stands between backticks is code."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = parameter["in"] + ("" if parameter.get("required") else ", optional")
    return parameter["name"], f"{kind}: {_type(parameter['schema'])}", parameter.get("description", "")


def _fields(schema: Mapping[str, Any], document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """Yield name, type and meaning of each field of an object, and of the objects in it and in its lists."""
    for name, field in _resolved(schema, document).get("properties", {}).items():
        yield f"{prefix}{name}", _type(field), field.get("description", "")
        inner = field.get("items", field)
        if _reference(inner):
            yield from _fields(inner, document, f"{prefix}{name}{'[]' if 'items' in field else ''}.")


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    name = _reference(schema)
    resolved: Mapping[str, Any] = document["components"]["schemas"][name] if name else schema
    return resolved


def _reference(schema: Mapping[str, Any]) -> str:
    """Return the name of the object that a schema is, or may be; empty for none."""
    parts = schema.get("anyOf", [schema])
    return next((str(part["$ref"]).rpartition("/")[2] for part in parts if "$ref" in part), "")


def _type(schema: Mapping[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(str(value) for value in schema["enum"])
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    return str(schema.get("type", "any"))


def _table(first: str, rows: Iterable[tuple[str, str, str]]) -> str:
    drawn = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(kind)}<td>{_text(meaning)}" for name, kind, meaning in rows
    )
    return f"<table><tr><th>{first}<th>type<th>meaning{drawn}</table>"
