"""The clients of the Hugging Face Hub, unchanged, load what passed from the mirror."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download, snapshot_download
from huggingface_hub.errors import EntryNotFoundError, GatedRepoError, RepositoryNotFoundError, RevisionNotFoundError

from tests.web.mirror.conftest import SMALL, Mirrored
from weighbridge.domain.decision import Reason

pytestmark = pytest.mark.xdist_group("web")


#: The client's command, as the environment of the tests has it.
HF = str(Path(sys.executable).with_name("hf"))


def content(folder: str | Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()
    }


def test_a_snapshot(mirror: Mirrored, tmp_path: Path) -> None:
    version = mirror.add("clients/snapshot")
    found = snapshot_download("clients/snapshot", endpoint=mirror.url, cache_dir=tmp_path)
    assert content(found) == SMALL
    assert Path(found).name == version.manifest.digest.hex[:40]
    assert snapshot_download("clients/snapshot", endpoint=mirror.url, cache_dir=tmp_path) == found
    assert (
        snapshot_download("clients/snapshot", endpoint=mirror.url, cache_dir=tmp_path, local_files_only=True) == found
    )


@pytest.mark.parametrize("revision", ["v1.0.0", "1.0.0", "main", "c" * 40, "refs/tags/v1.0.0"])
def test_a_file_at_a_revision(mirror: Mirrored, tmp_path: Path, revision: str) -> None:
    name = "clients/revisions"
    mirror.add(name, uri=f"hf:org/upstream@{'c' * 40}")
    path = hf_hub_download(name, "sub/größe ½.bin", revision=revision, endpoint=mirror.url, cache_dir=tmp_path)
    assert Path(path).read_bytes() == SMALL["sub/größe ½.bin"]
    assert "c" * 40 in path


def test_a_name_without_a_namespace(mirror: Mirrored, tmp_path: Path) -> None:
    mirror.add("clients-single")
    found = snapshot_download("clients-single", endpoint=mirror.url, cache_dir=tmp_path)
    assert content(found) == SMALL


@pytest.mark.parametrize(
    ("name", "asked"), [("clients:7b", "clients-7b"), ("a/b/clients", "a/b-clients"), ("x/y z", "x/y-z")]
)
def test_a_name_that_clients_refuse(mirror: Mirrored, tmp_path: Path, name: str, asked: str) -> None:
    mirror.add(name)
    assert content(snapshot_download(asked, endpoint=mirror.url, cache_dir=tmp_path)) == SMALL
    assert asked in [one.id for one in HfApi(mirror.url).list_models(search=name)]
    assert [one.name for one in HfApi(mirror.url).list_repo_refs(asked).branches] == ["main"]


def test_a_data_set(mirror: Mirrored, tmp_path: Path) -> None:
    mirror.add("clients/data", uri=f"hf-dataset:org/data@{'d' * 40}")
    options: dict[str, Any] = {"endpoint": mirror.url, "cache_dir": tmp_path}
    assert content(snapshot_download("clients/data", repo_type="dataset", **options)) == SMALL
    with pytest.raises(RepositoryNotFoundError, match="no model clients/data"):
        snapshot_download("clients/data", endpoint=mirror.url, cache_dir=tmp_path / "other")


def test_what_the_programming_interface_asks(mirror: Mirrored) -> None:
    version = mirror.add("clients/api", uri=f"hf:org/name@{'e' * 40}")
    api = HfApi(mirror.url)
    info = api.model_info("clients/api", files_metadata=True, securityStatus=True)
    assert (info.id, info.sha, info.private, info.gated) == ("clients/api", "e" * 40, False, False)
    assert {one.rfilename: one.size for one in info.siblings or ()} == {name: len(body) for name, body in SMALL.items()}
    assert sorted(api.list_repo_files("clients/api")) == sorted(SMALL)
    entries = {one.path: one for one in api.list_repo_tree("clients/api", recursive=True, expand=True)}
    assert set(entries) == {*SMALL, "sub"}
    file = entries["sub/größe ½.bin"]
    assert file.lfs.sha256 == version.manifest.by_path["sub/größe ½.bin"].digest.hex
    assert (file.security.safe, file.last_commit.oid) == (True, "e" * 40)
    assert [one.path for one in api.list_repo_tree("clients/api", "sub")] == ["sub/größe ½.bin"]
    found = api.get_paths_info("clients/api", ["config.json", "sub", "absent"], expand=True)
    assert [(type(one).__name__, one.path) for one in found] == [("RepoFile", "config.json"), ("RepoFolder", "sub")]
    refs = api.list_repo_refs("clients/api", include_pull_requests=True)
    assert [(one.name, one.target_commit) for one in refs.branches] == [("main", "e" * 40)]
    assert [(one.name, one.target_commit) for one in refs.tags] == [("v1.0.0", "e" * 40)]
    assert api.file_exists("clients/api", "config.json")
    assert not api.file_exists("clients/api", "absent.json")
    assert "clients/api" in [one.id for one in api.list_models(search="clients/api")]
    assert [one.id for one in api.list_models(author="clients", search="nothing like it")] == []


def test_the_file_system(mirror: Mirrored) -> None:
    mirror.add("clients/fs")
    files = HfFileSystem(endpoint=mirror.url, skip_instance_cache=True, use_listings_cache=False)
    assert sorted(files.glob("clients/fs/**/*.bin")) == ["clients/fs/sub/größe ½.bin"]
    assert files.read_bytes("clients/fs/config.json") == SMALL["config.json"]
    with files.open("clients/fs/sub/größe ½.bin") as file:
        file.seek(700)
        assert file.read(7) == b"weights"


def test_the_command(mirror: Mirrored, tmp_path: Path) -> None:
    mirror.add("clients/command")
    target = tmp_path / "target"
    done = mirror.run(HF, "download", "clients/command", "--local-dir", str(target), home=tmp_path / "home")
    assert done.returncode == 0, done.stderr
    assert {path: body for path, body in content(target).items() if not path.startswith(".cache")} == SMALL


def test_what_was_refused_says_why(mirror: Mirrored, tmp_path: Path) -> None:
    reason = Reason("reject", "clamav.signature", "The file is infected: Eicar-Test-Signature.", "sub/größe ½.bin")
    mirror.add("clients/infected", verdict="FAILED", reasons=(reason,))
    with pytest.raises(GatedRepoError) as caught:
        snapshot_download("clients/infected", endpoint=mirror.url, cache_dir=tmp_path)
    assert "Eicar-Test-Signature" in str(caught.value)
    assert "/api/models/clients%2Finfected/versions/1.0.0" in str(caught.value)
    with pytest.raises(GatedRepoError, match="Eicar-Test-Signature"):
        hf_hub_download("clients/infected", "config.json", endpoint=mirror.url, cache_dir=tmp_path)


def test_the_command_says_why_something_was_refused(mirror: Mirrored, tmp_path: Path) -> None:
    """It has words of its own for such errors, and shows the mirror's as a warning only."""
    reason = Reason("reject", "clamav.signature", "The file is infected: Eicar-Test-Signature.", "empty.txt")
    mirror.add("clients/bad", verdict="FAILED", reasons=(reason,))
    done = mirror.run(HF, "download", "clients/bad", home=tmp_path)
    assert done.returncode != 0
    assert "Eicar-Test-Signature" in done.stderr


def test_clients_with_words_of_their_own_get_the_reason_as_a_warning(mirror: Mirrored) -> None:
    path = "/clients/none/resolve/main/config.json"
    for agent, warned in (
        ("datasets/5.2.0; hf_hub/2.4.0", True),
        ("huggingface-cli/2.4.0", True),
        ("hf_hub/2.4.0", False),
    ):
        response = mirror.head(path, User_Agent=agent)
        assert response.status_code == 404
        assert ("no model clients/none" in response.headers.get("x-hf-warning", "")) is warned


def test_what_was_withdrawn_is_not_taken_from_a_cache(mirror: Mirrored, tmp_path: Path) -> None:
    mirror.add("clients/withdrawn")
    options: dict[str, Any] = {"endpoint": mirror.url, "cache_dir": tmp_path}
    hf_hub_download("clients/withdrawn", "config.json", **options)
    mirror.served.catalog.withdraw("clients/withdrawn", "1.0.0", "It has a back door.")
    with pytest.raises(RevisionNotFoundError, match="It has a back door"):
        hf_hub_download("clients/withdrawn", "config.json", **options)
    with pytest.raises(RevisionNotFoundError, match="It has a back door"):
        snapshot_download("clients/withdrawn", **options)
    mirror.served.catalog.reinstate("clients/withdrawn", "1.0.0")
    assert hf_hub_download("clients/withdrawn", "config.json", **options)


def test_what_is_unknown(mirror: Mirrored, tmp_path: Path) -> None:
    mirror.add("clients/known")
    options: dict[str, Any] = {"endpoint": mirror.url, "cache_dir": tmp_path}
    with pytest.raises(RepositoryNotFoundError, match="no model clients/unknown"):
        snapshot_download("clients/unknown", **options)
    with pytest.raises(RevisionNotFoundError, match="no revision other here"):
        snapshot_download("clients/known", revision="other", **options)
    with pytest.raises(EntryNotFoundError, match="no file other"):
        hf_hub_download("clients/known", "other", **options)
    assert list(tmp_path.glob("models--clients--known/.no_exist/*/other"))


def test_a_waiver_is_a_warning(mirror: Mirrored, tmp_path: Path) -> None:
    reason = Reason("waive", "pickle.unknown-global", "It names x.y. Waived by Ada: reviewed “twice”.", "config.json")
    mirror.add("clients/waived", reasons=(reason,))
    done = mirror.run(HF, "download", "clients/waived", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'Waived by Ada: reviewed "twice".' in done.stderr + done.stdout


def test_transformers(mirror: Mirrored, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "vocab_size": 16, "hidden_size": 8}
    config |= {"intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    tensor = {"dtype": "F32", "shape": [16, 8], "data_offsets": [0, 16 * 8 * 4]}
    header = json.dumps({"__metadata__": {"format": "pt"}, "model.embed_tokens.weight": tensor}).encode()
    weights = len(header).to_bytes(8, "little") + header + struct.pack("<128f", *range(128))
    mirror.add("clients/llama", {"config.json": json.dumps(config).encode(), "model.safetensors": weights})
    code = (
        "from transformers import AutoModelForCausalLM\n"
        "model = AutoModelForCausalLM.from_pretrained('clients/llama', revision='v1.0.0')\n"
        "print(type(model).__name__, model.model.embed_tokens.weight.sum().item())\n"
    )
    done = mirror.python(code, tmp_path / "home")
    assert done.stdout.split() == ["LlamaForCausalLM", str(float(sum(range(128))))], done.stderr


def test_curl_goes_on(mirror: Mirrored, tmp_path: Path) -> None:
    body = bytes(range(256)) * 4096
    mirror.add("clients/curl", {"model.gguf": body})
    target = tmp_path / "model.gguf"
    target.write_bytes(body[:1000])
    url = f"{mirror.url}/clients/curl/resolve/main/model.gguf"
    subprocess.run(["curl", "-sfL", "-C", "-", "-o", str(target), url], check=True, timeout=60)
    assert target.read_bytes() == body
