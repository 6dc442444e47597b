"""The files for compose and Kubernetes keep to the schemas of these: no field is misspelt, missing or of another type.

Compose has a JSON schema; Kubernetes has an OpenAPI document, of which the package kube_models is made, a class a type.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, ClassVar

import jsonschema
import pytest
import yaml
from check_jsonschema.builtin_schemas import get_builtin_schema
from kube_models.api_v1.io.k8s.api.core.v1 import ConfigMap, PersistentVolumeClaim, Service
from kube_models.apis_apps_v1.io.k8s.api.apps.v1 import Deployment
from kube_models.loader import Loadable

FOLDER = Path(__file__).parents[2] / "deployments"
COMPOSE = yaml.safe_load((FOLDER / "compose.yaml").read_text())
OBJECTS: list[dict[str, Any]] = list(yaml.safe_load_all((FOLDER / "kubernetes" / "mirror.yaml").read_text()))
KINDS = {one.__name__: one for one in (ConfigMap, PersistentVolumeClaim, Service, Deployment)}


def wrong(kind: Any, value: Any, at: str = "") -> Iterator[str]:
    """Yield what of a value does not fit a type of Kubernetes."""
    origin = typing.get_origin(kind)
    if origin in (types.UnionType, typing.Union):
        if all(list(wrong(one, value, at)) for one in typing.get_args(kind)):
            yield from wrong(typing.get_args(kind)[0], value, at)
    elif origin is list:
        if not isinstance(value, list):
            yield f"{at} is no list"
        else:
            for number, one in enumerate(value):
                yield from wrong(typing.get_args(kind)[0], one, f"{at}[{number}]")
    elif origin is dict:
        if not isinstance(value, dict):
            yield f"{at} is no mapping"
        else:
            for name, one in value.items():
                yield from wrong(typing.get_args(kind)[1], one, f"{at}.{name}")
    elif isinstance(kind, type) and issubclass(kind, Loadable):
        yield from wrong_fields(kind, value, at)
    elif kind is not Any and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        yield f"{at} is no {kind.__name__}"


def wrong_fields(kind: type, value: Any, at: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{at} is no mapping"
        return
    hints = {
        name: hint for name, hint in typing.get_type_hints(kind).items() if typing.get_origin(hint) is not ClassVar
    }
    known = {one.metadata.get("original_name", one.name): one for one in fields(kind) if not one.name.startswith("_")}  # type: ignore[arg-type]
    identity = {"apiVersion", "kind"} if hasattr(kind, "apiVersion") else set()
    yield from (f"{at} has no field {name}" for name in value.keys() - known.keys() - identity)
    needed = {name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING}
    yield from (f"{at} misses {name}" for name in needed - value.keys())
    for name in value.keys() & known.keys():
        yield from wrong(hints[known[name].name], value[name], f"{at}.{name}")


def changed(document: Any, path: list[Any], value: Any) -> Any:
    """Return a document with another value at a path; None removes what is there."""
    copy = found = deepcopy(document)
    for step in path[:-1]:
        found = found[step]
    if value is None:
        del found[path[-1]]
    else:
        found[path[-1]] = value
    return copy


def test_kubernetes_objects_are_what_kubernetes_knows() -> None:
    assert {one["kind"] for one in OBJECTS} == set(KINDS)
    for one in OBJECTS:
        kind = KINDS[one["kind"]]
        assert one["apiVersion"] == kind.apiVersion
        assert list(wrong(kind, one, one["kind"])) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["spec", "replicas"], "1", "Deployment.spec.replicas is no int"),
        (["spec", "replica"], 1, "Deployment.spec has no field replica"),
        (["spec", "selector"], None, "Deployment.spec misses selector"),
        (["spec", "template", "spec", "containers"], {}, "Deployment.spec.template.spec.containers is no list"),
    ],
)
def test_a_mistake_in_a_kubernetes_object_is_seen(path: list[Any], value: Any, said: str) -> None:
    deployment = next(one for one in OBJECTS if one["kind"] == "Deployment")
    assert list(wrong(Deployment, changed(deployment, path, value), "Deployment")) == [said]


def test_compose_keeps_to_its_schema() -> None:
    schema = get_builtin_schema("vendor.compose-spec")
    jsonschema.validate(COMPOSE, schema)
    for path, value in ((["services", "registry", "port"], []), (["services", "registry", "ports"], 8080)):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed(COMPOSE, path, value), schema)
