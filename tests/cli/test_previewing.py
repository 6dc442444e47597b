"""What `ingest --dry-run` says of a model before its weights are fetched: from folders, a hub, a web server, a mock."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import HEADER, SAFETENSORS, Bench
from tests.simulators import samples
from tests.simulators.hub import Hub
from tests.simulators.web import WebServer


def big(header: bytes = HEADER.replace(b"[2,2]", b"[4096,4096]").replace(b"[0,16]", b"[0,67108864]")) -> bytes:
    """Return 64 MiB of weights whose header is small."""
    return len(header).to_bytes(8, "little") + header + bytes(64 << 20)


def names(ran_json: dict[str, object]) -> set[str]:
    rejections = ran_json["rejections"]
    assert isinstance(rejections, list)
    return {reason["rule"] for reason in rejections}


def test_a_good_folder_would_be_let_in_and_nothing_is_kept(bench: Bench) -> None:
    ran = bench.run("ingest", "--dry-run", bench.model(), "--json")
    assert (ran.status, ran.json["rejected"], ran.json["schema"]) == (0, False, "weighbridge.preview/1")
    assert (ran.json["licence"], ran.json["need"]) == ("Apache-2.0", ran.json["size"])
    assert ran.json["card"]["architecture"]["value"] == "llama"
    assert ran.json["free"] > 0
    assert bench.blobs() == set()
    assert bench.run("list", "--json").json == []
    text = bench.run("ingest", "--dry-run", bench.model()).out
    assert "Nothing that was read speaks against it" in text
    assert "ClamAV" in text


@pytest.mark.parametrize(
    ("files", "rule"),
    [
        ({"config__json": b'{"auto_map": {"AutoModel": "evil--code.Model"}}'}, "config."),
        ({"model__safetensors": b"\xff" * 64}, "safetensors"),
        ({"tokenizer_config__json": b'{"chat_template": "{{ x.__class__ }}"}'}, "template"),
    ],
)
def test_headers_alone_are_enough_to_reject(bench: Bench, files: dict[str, bytes], rule: str) -> None:
    ran = bench.run("ingest", "--dry-run", bench.model(**files), "--json")
    assert ran.status == 2, ran.out
    assert any(name.startswith(rule) for name in names(ran.json)), names(ran.json)
    assert bench.run("ingest", bench.model(**files)).status == 2


def test_a_name_is_enough_where_the_policy_goes_by_names(bench: Bench) -> None:
    (bench.folder / "names.yaml").write_text("extends: minimal\nonly_weights: [safetensors]\nmax_size: 1000\n")
    uri = bench.model(pytorch_model__bin=samples.torch_zip(samples.malicious_pickle(2)))
    ran = bench.run("ingest", "--dry-run", uri, "--policy", "names.yaml", "--json")
    assert ran.status == 2
    assert "formats.weights" in names(ran.json)
    assert any("pytorch_model.bin" in sentence for sentence in ran.json["unknown"])


def test_what_is_here_need_not_be_fetched(bench: Bench) -> None:
    uri = bench.model()
    bench.run("ingest", uri)
    assert bench.run("ingest", "--dry-run", uri, "--json").json["need"] == 0
    other = bench.model("other", README__md=b"another\n")
    assert bench.run("ingest", "--dry-run", other, "--json").json["need"] <= len(SAFETENSORS) + 500


def test_of_large_weights_only_the_header_is_fetched(bench: Bench) -> None:
    with WebServer() as web:
        url = web.put("/model.safetensors", big())
        ran = bench.run("ingest", "--dry-run", url, "--json")
        assert ran.json["card"]["parameter_count"]["value"] == 4096 * 4096
        assert (ran.json["need"], ran.json["size"]) == (len(big()), len(big()))
        assert any("after the header" in sentence for sentence in ran.json["unknown"])
        wrong = web.put("/wrong.safetensors", big(HEADER.replace(b"[0,16]", b"[0,99999999]")))
        assert bench.run("ingest", "--dry-run", wrong, "--name", "wrong").status == 2


def test_a_hub_says_what_it_has_and_what_it_refuses(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with Hub() as hub:
        monkeypatch.setenv("WEIGHBRIDGE_HUGGINGFACE_ENDPOINT", hub.url)
        files = {"README.md": b"---\nlicense: mit\n---\n", "model.safetensors": SAFETENSORS}
        hub.add("org/name", files)
        hub.add("org/gated", files, gated="manual")
        ran = bench.run("ingest", "--dry-run", "hf:org/name", "--json")
        assert (ran.status, ran.json["licence"], ran.json["gated"]) == (0, "MIT", False), ran.out
        gated = bench.run("ingest", "--dry-run", "hf:org/gated", "--json")
        assert (gated.status, gated.json["gated"]) == (1, True)
        assert "only to accounts that org has approved" in gated.json["refused"]
        hub.tokens["hf_let_in"] = frozenset({"org/gated"})
        monkeypatch.setenv("MY_TOKEN", "hf_let_in")
        let_in = ("ingest", "--dry-run", "hf:org/gated", "--token-env", "MY_TOKEN")
        ran = bench.run(*let_in, "--json")
        assert (ran.status, ran.json["gated"], ran.json["refused"]) == (0, True, ""), ran.out
        assert "gated, and open to this account" in bench.run(*let_in).out


def test_what_cannot_be_known_is_named(bench: Bench) -> None:
    with WebServer() as web:
        url = web.put("/model.tar.gz", b"anything") + "#extract=true"
        ran = bench.run("ingest", "--dry-run", url, "--json")
        assert ran.status == 0
        assert any("model.tar.gz" in sentence for sentence in ran.json["unknown"])
    assert bench.run("ingest", "--dry-run", "mock:org/name", "--json").json["files"]


def test_names_and_sources_are_refused_as_by_an_ingest(bench: Bench) -> None:
    uri = bench.model()
    assert bench.run("ingest", "--dry-run", uri, "--name", "../x").status == 64
    assert bench.run("ingest", "--dry-run", "file:/no/such/folder").status == 1
    assert bench.run("ingest", uri).status == 0
    taken = bench.run("ingest", "--dry-run", bench.model("other"), "--name", "tiny", "--json")
    assert (taken.status, json.loads(taken.out)["error"]["kind"]) == (64, "NameTaken")
