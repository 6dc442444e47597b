"""What requests for work hold, and that nobody without a key asks for any."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tests.services.weighbridge import Served
from weighbridge.catalog import JobEnd, JobOrder, StoredJob
from weighbridge.domain.access import Caller
from weighbridge.errors import UsageError
from weighbridge.web.api.job_documents import JobDocument, job_document
from weighbridge.web.api.order_documents import ImportOrder, MetadataChange, NewVersion, Registration

pytestmark = pytest.mark.xdist_group("web")

NOW = datetime(2026, 11, 28, tzinfo=UTC)
SPEC = {"name": "my-custom-model", "source": "custom", "architecture": "llama", "parameter_count": 7000000000}


@pytest.mark.parametrize(
    ("body", "uri"),
    [
        ({"source": "huggingface", "model_id": "org/name", "revision": "v1"}, "hf:org/name@v1"),
        ({"source": "huggingface", "model_id": "hf:org/name@v2"}, "hf:org/name@v2"),
        ({"source": "huggingface-dataset", "model_id": "org/name"}, "hf-dataset:org/name"),
        ({"source": "s3", "model_id": "bucket/prefix"}, "s3://bucket/prefix"),
        ({"source": "s3", "model_id": "s3://bucket/prefix/"}, "s3://bucket/prefix"),
        ({"source": "url", "model_id": "https://host.example/m.gguf"}, "https://host.example/m.gguf"),
        ({"source": "mlflow", "model_id": "name", "revision": "3"}, "mlflow:name/3"),
        ({"source": "ollama", "model_id": "llama2:7b"}, "ollama:llama2:7b"),
        ({"source": "pypi", "model_id": "package", "revision": "1.2"}, "pypi:package==1.2"),
        ({"uri": "git+https://host.example/m.git@v1#sub"}, "git+https://host.example/m.git@v1#sub"),
    ],
)
def test_every_source_can_be_named(body: dict[str, str], uri: str) -> None:
    assert ImportOrder(**body).request().ref.uri == uri


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"source": "huggingface"},
        {"model_id": "a/b"},
        {"source": "nowhere", "model_id": "a/b"},
        {"source": "mock", "model_id": "a/b", "uri": "mock:a/b"},
        {"uri": "mock:a/b", "revision": "main"},
        {"source": "mock", "model_id": "a/b", "nmae": "c"},
        {"uri": "x" * 5000},
    ],
)
def test_an_import_names_one_place(body: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ImportOrder(**body)


@pytest.mark.parametrize(
    "body",
    [
        {"uri": "nowhere:a"},
        {"source": "s3", "model_id": "s3://b"},
        {"uri": "https://user:hunter2@host.example/x.gguf"},
        {"uri": "https://host.example/x.gguf?X-Amz-Signature=hunter2"},
        {"uri": "mock:a/b", "hash": "sha256:1"},
        {"uri": "mock:a/b", "token_env": "A", "token_file": "/b"},
        {"source": "mock", "model_id": "mock:a/b?files=c"},
    ],
)
def test_what_cannot_be_read_is_refused_without_its_secret(body: dict[str, str]) -> None:
    with pytest.raises(UsageError) as caught:
        ImportOrder(**body).request()
    assert "hunter2" not in str(caught.value)


def test_a_registration_needs_what_the_specification_needs() -> None:
    body: dict[str, Any] = SPEC | {"storage_path": "s3://bud-models/my-model/", "tags": ["llm"]}
    wanted = Registration(**body)
    assert (wanted.request().ref.uri, wanted.request().model) == ("s3://bud-models/my-model", "my-custom-model")
    assert wanted.declared() == {"architecture": "llama", "parameter_count": 7000000000, "tags": ["llm"]}
    for name in ("name", "architecture", "parameter_count", "storage_path"):
        with pytest.raises(ValidationError, match=name):
            Registration(**{key: value for key, value in body.items() if key != name})
    for wrong in (
        {"storage_path": "https://host/x"},
        {"storage_path": "x"},
        {"source": "s3"},
        {"parameter_count": -1},
        {"requirements": {"min_gpu_memory_gb": float("nan")}},
        {"license_restrictions": {"limits": [float("inf")]}},
    ):
        with pytest.raises(ValidationError):
            Registration(**body | wrong)


@pytest.mark.parametrize("field", ["requirements", "license_restrictions"])
def test_values_within_values_have_an_end(field: str) -> None:
    deep = "[" * 800 + "]" * 800
    with pytest.raises(ValidationError, match="levels of values within values"):
        MetadataChange.model_validate({field: json.loads(f'{{"x": {deep}}}')})
    with pytest.raises(ValidationError, match="20,000 characters"):
        MetadataChange.model_validate({field: {"x": "x" * 20_000}})
    said = MetadataChange.model_validate({field: {"x": {"y": [{"z": [1]}]}}}).changes("name")
    assert said[field]["x"] == {"y": [{"z": [1]}]}


def test_a_new_version_may_come_from_another_place() -> None:
    request = NewVersion(version="2.0.0", storage_path="s3://bud-models/v2/", changelog="x").request("m")
    assert (request.model, request.version, request.another_source) == ("m", "2.0.0", True)


@pytest.mark.parametrize("path", ["/models/import", "/models", "/models/a/b/versions", "/models/a/b/scan"])
def test_without_a_key_nothing_is_asked_for(served: Served, path: str) -> None:
    for body, statuses in (
        (b"", {401}),
        (b"{}", {401}),
        (json.dumps(SPEC).encode(), {401}),
        (b"{", {401, 422}),  # What is no JSON is refused before anything else is looked at.
        (b"\xff", {400, 401}),
        (b"[" * 50_000, {400, 401}),
    ):
        response = served.request("POST", path, content=body)
        assert response.status_code in statuses
        assert response.headers["content-type"] == "application/problem+json"
    assert served.request("DELETE", "/ingests/none").status_code == 401
    assert served.get("/ingests").status_code == 401
    assert served.get("/ingests/none").status_code == 404
    assert served.catalog.jobs.listed() == []


def test_what_errors_say_of_the_operators_machines_is_for_admins() -> None:
    end = JobEnd("failed", problem="/srv/store is full.", remedy="Free some space.", error="StoreFull")
    order = JobOrder("ingest", "m", {"uri": "mock:m"}, "key:ci")
    job = StoredJob("1", order, "failed", 1, False, "", {}, end, NOW, NOW, NOW)
    assert job_document(job, Caller("a", "admin"))["error"]["problem"] == "/srv/store is full."
    shown = job_document(job, Caller("p", "publisher"))
    assert JobDocument.model_validate(shown).status == "ERROR"
    assert "/srv" not in json.dumps(shown)
    assert shown["error"]["type"] == "urn:weighbridge:problem:store-full"
