"""`ollama pull`, request by request: quantisations, template and parameters, its own models, and why there is none."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.content.headers.samples import gguf, llama
from tests.web.mirror.conftest import digest_of
from tests.web.oci.conftest import CHATML, OCI, OLLAMA, OciServed, weights
from weighbridge.domain.clock import utc_now
from weighbridge.domain.decision import Reason
from weighbridge.domain.ref import ModelRef
from weighbridge.intake.callers import create_key
from weighbridge.intake.fetching import fetch
from weighbridge.net.auth import Auth
from weighbridge.net.settings import SourceSettings
from weighbridge.sources.ollama import OllamaSource
from weighbridge.store.local import LocalBlobStore

pytestmark = pytest.mark.xdist_group("web")
FILES = {
    "README.md": b"# A model",
    "LICENSE": b"MIT",
    "tiny-Q8_0.gguf": weights(8),
    "tiny-Q4_K_M.gguf": weights(4, **{"tokenizer.chat_template": CHATML, "general.file_type": 15}),
    "tiny.IQ3_XXS.gguf": weights(3),
    "tiny-mmproj-F16.gguf": weights(1),
    "tiny-imatrix.gguf": weights(2),
    "big/tiny-BF16-00001-of-00002.gguf": weights(16),
    "big/tiny-BF16-00002-of-00002.gguf": weights(17),
}


@pytest.fixture(scope="module", autouse=True)
def _models(oci: OciServed) -> None:
    oci.mirror.add("Ollama/Tiny-GGUF", FILES)


@pytest.mark.parametrize(
    ("tag", "file"),
    [
        ("latest", "tiny-Q4_K_M.gguf"),
        ("Q8_0", "tiny-Q8_0.gguf"),
        ("q8_0", "tiny-Q8_0.gguf"),
        ("iq3_xxs", "tiny.IQ3_XXS.gguf"),
        ("tiny-Q8_0.gguf", "tiny-Q8_0.gguf"),
        ("tiny-q8_0", "tiny-Q8_0.gguf"),
        ("1.0.0", "tiny-Q4_K_M.gguf"),
        ("v1.0.0", "tiny-Q4_K_M.gguf"),
        ("1.0.0-Q8_0", "tiny-Q8_0.gguf"),
    ],
)
def test_a_tag_chooses_a_file(oci: OciServed, tag: str, file: str) -> None:
    found = oci.ollama().pull("Ollama/Tiny-GGUF", tag)
    assert found.layer("model") == FILES[file]
    assert found.layer("projector") == FILES["tiny-mmproj-F16.gguf"]
    assert found.layer("license") == b"MIT"
    assert found.config["model_format"] == "gguf"


def test_template_and_configuration_of_the_header(oci: OciServed) -> None:
    found = oci.ollama().pull("Ollama/Tiny-GGUF")
    assert found.kinds == ["model", "projector", "template", "params", "license"]
    assert found.layer("template").startswith(b"{{ if .System }}<|im_start|>system\n{{ .System }}<|im_end|>\n{{ end }}")
    assert json.loads(found.layer("params")) == {"stop": ["<|im_start|>", "<|im_end|>"]}
    digests = [one["digest"] for one in found.manifest["layers"]]
    assert found.config == {
        "model_format": "gguf",
        "model_family": "llama",
        "model_families": ["llama"],
        "model_type": "32",
        "file_type": "Q4_K_M",
        "architecture": "amd64",
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": digests},
    }
    assert oci.ollama().pull("Ollama/Tiny-GGUF", "Q8_0").kinds == ["model", "projector", "license"]


def test_files_beside_the_model_come_before_its_header(oci: OciServed) -> None:
    own = {"template": b"{{ .Prompt }}", "system": b"Be brief.", "params": b'{"temperature": 0.1}'}
    model = {"m-Q4_K_M.gguf": FILES["tiny-Q4_K_M.gguf"]}
    oci.mirror.add("ollama/own-files", own | model)
    found = oci.ollama().pull("ollama/own-files")
    assert {kind: found.layer(kind) for kind in own} == own
    oci.mirror.add("ollama/bad-params", model | {"params": b"[1]", "template": b"{{ .Prompt }}"})
    assert oci.ollama().pull("ollama/bad-params").kinds == ["model", "template"]


def test_a_manifest_is_the_same_bytes_always(oci: OciServed) -> None:
    first, second = (oci.get("/Ollama/Tiny-GGUF/manifests/latest", Accept=OLLAMA) for _ in range(2))
    assert first.content == second.content
    digest = first.headers["docker-content-digest"]
    assert first.headers["content-type"] == OLLAMA
    by_digest = oci.get(f"/Ollama/Tiny-GGUF/manifests/{digest}")
    assert (by_digest.content, by_digest.headers["content-type"]) == (first.content, OLLAMA)
    assert oci.get("/Ollama/Tiny-GGUF/manifests/latest", Accept=OLLAMA, If_None_Match=f'"{digest}"').status_code == 304
    head = oci.head("/Ollama/Tiny-GGUF/manifests/latest", Accept=OLLAMA)
    assert head.headers["content-length"] == str(len(first.content))


def test_a_model_in_parts_is_refused_with_words(oci: OciServed) -> None:
    with pytest.raises(AssertionError, match=r"400: .*UNSUPPORTED.*one of 2 parts"):
        oci.ollama().pull("Ollama/Tiny-GGUF", "BF16")
    with pytest.raises(AssertionError, match="file does not exist"):
        oci.ollama().pull("Ollama/Tiny-GGUF", "Q2_K")
    told = oci.get("/Ollama/Tiny-GGUF/manifests/Q2_K", Accept=OLLAMA).json()["errors"][0]
    assert told["code"] == "MANIFEST_UNKNOWN"
    assert "It has latest, BF16, Q4_K_M, Q8_0, IQ3_XXS, files." in told["message"]


def test_a_model_without_gguf_is_refused_with_words(oci: OciServed) -> None:
    oci.mirror.add("ollama/safetensors", {"model.safetensors": b"1", "config.json": b"{}"})
    with pytest.raises(AssertionError, match=r"400: .*UNSUPPORTED.*no model in GGUF"):
        oci.ollama().pull("ollama/safetensors")


def test_a_name_without_a_namespace_is_ollamas_library(oci: OciServed) -> None:
    oci.mirror.add("tinyone", {"tiny-Q8_0.gguf": FILES["tiny-Q8_0.gguf"]})
    assert oci.ollama().pull("library/tinyone").layer("model") == FILES["tiny-Q8_0.gguf"]


def test_a_model_of_ollamas_keeps_its_layers(oci: OciServed, tmp_path: Path) -> None:
    files = {
        "model.gguf": gguf(llama()),
        "projector.gguf": weights(5),
        "template": b"{{ .Prompt }}",
        "system": b"You are kind.",
        "params.json": b'{"stop":["x"]}',
        "messages.json": b"[]",
        "LICENSE": b"MIT",
        "LICENSE-2": b"Notice",
        "ollama.json": b'{"model_format":"gguf"}',
        "Modelfile": b"FROM ./model.gguf",
    }
    oci.mirror.add("ollama/kept:7b", files, uri=f"ollama:user/kept@sha256:{'a' * 64}")
    found = oci.ollama().pull("ollama/kept-7b")
    assert found.kinds == ["model", "projector", "template", "system", "params", "messages", "license", "license"]
    assert found.layer("system") == b"You are kind."
    assert found.config == {"model_format": "gguf"}
    assert b"FROM ./model.gguf" not in found.blobs.values()
    # Our own source reads it from here, and has the same files.
    source = OllamaSource(SourceSettings(endpoint=oci.root, timeout_s=30))
    found_there = source.resolve(ModelRef.parse("ollama:ollama/kept-7b"))
    store = LocalBlobStore(tmp_path)
    fetched = [fetch(source, found_there.ref, one, store) for one in found_there.files]
    again = {one.path: one.digest for one in fetched}
    want = {one.path: one.digest for one in oci.mirror.served.catalog.get("ollama/kept:7b", "1.0.0").manifest.files}
    assert again.keys() == want.keys()
    assert {path for path in want if again[path] != want[path]} == {"Modelfile"}


def test_our_own_source_pulls_with_a_key(closed: OciServed, tmp_path: Path) -> None:
    closed.mirror.add("ollama/closed", {"m-Q4_K_M.gguf": FILES["tiny-Q4_K_M.gguf"]})
    key = closed.mirror.served.key("reader")["Authorization"].removeprefix("Bearer ")
    settings = SourceSettings(endpoint=closed.root, timeout_s=30, auth=Auth("", "anybody", key))
    source = OllamaSource(settings)
    found = source.resolve(ModelRef.parse("ollama:ollama/closed:Q4_K_M"))
    store = LocalBlobStore(tmp_path)
    fetched = {one.path: fetch(source, found.ref, one, store).digest for one in found.files}
    assert sorted(fetched) == ["Modelfile", "model.gguf", "ollama.json", "params.json", "template"]
    assert fetched["model.gguf"] == digest_of(FILES["tiny-Q4_K_M.gguf"])


def test_ollama_signs_with_a_key_of_its_own(closed: OciServed) -> None:
    closed.mirror.add("ollama/signed", {"m-Q4_K_M.gguf": FILES["tiny-Q4_K_M.gguf"]})
    own = Ed25519PrivateKey.generate()
    ollama = closed.ollama(own)
    with pytest.raises(AssertionError, match=r"401: .*UNAUTHORIZED.*weighbridge token create ollama-") as refused:
        ollama.pull("ollama/signed")
    name = re.search("ollama-[0-9a-f]{40}", str(refused.value))[0]
    create_key(closed.mirror.served.catalog, name, "reader", now=utc_now(), models=("ollama/signed",))
    assert ollama.pull("ollama/signed").layer("model") == FILES["tiny-Q4_K_M.gguf"]
    parts = [one for one in ollama.requests if "range" in one.headers]
    assert parts
    assert all("authorization" not in one.headers for one in parts)
    rows = closed.mirror.served.catalog.audit.rows(object_="ollama/signed@1.0.0", action="version.served")
    assert [row.actor for row in rows] == [f"key:{name}"]
    with pytest.raises(AssertionError, match=r"403: .*DENIED.*is not for the model"):
        ollama.pull("ollama/closed")
    closed.mirror.served.catalog.keys.revoke(name)
    with pytest.raises(AssertionError, match="401"):
        ollama.pull("ollama/signed")


def test_who_is_refused_reads_why(oci: OciServed) -> None:
    reason = Reason("reject", "pickles.code", "It runs code.", "x.bin")
    oci.mirror.add("ollama/refused", {"m.gguf": b"1"}, verdict="FAILED", reasons=(reason,))
    with pytest.raises(AssertionError, match=r"403: .*DENIED.*x.bin: It runs code. Evidence: http"):
        oci.ollama().pull("ollama/refused")
    oci.mirror.add("ollama/withdrawn", {"m-Q8_0.gguf": weights(9)})
    assert oci.ollama().pull("ollama/withdrawn")
    digest = oci.get("/ollama/withdrawn/manifests/latest", Accept=OCI).headers["docker-content-digest"]
    oci.mirror.served.catalog.withdraw("ollama/withdrawn", "1.0.0", "It lies.")
    for reference in ("latest", "1.0.0", "Q8_0", digest):
        told = oci.get(f"/ollama/withdrawn/manifests/{reference}", Accept=OLLAMA)
        assert (told.status_code, told.json()["errors"][0]["code"]) == (404, "MANIFEST_UNKNOWN")
        assert "was withdrawn: It lies." in told.json()["errors"][0]["message"]
