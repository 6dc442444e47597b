"""The mirror's file: spec 2's blocks as they are, our own fields, and mistakes with file, line, field and remedy."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from weighbridge.config.mirror_file import mirror_of, read_mirror, refuse_passed_tokens
from weighbridge.config.settings import Settings
from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.mirror import NOWHERE, MirrorSettings
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import InvalidConfiguration

SETTINGS = Settings(home=Path("/srv"))
#: Every form in which spec 2 shows the file: the options, the token from the environment, the ConfigMap of Kubernetes.
WHOLE = """
    backends:
      - type: huggingface
        config:
          prefix: /huggingface/
          base_url: https://huggingface.co
          # Optional: For private models/datasets
          token: hf_abcdefghijklmnopqrstuvwxyz
          # Optional: Timeout in seconds (default: 60)
          timeout: 120
"""
FROM_ENVIRONMENT = """
    backends:
      - type: huggingface
        config:
          token: ${HF_TOKEN}  # Read from environment
"""
WITH_CACHE = """
    cache_dir: /path/to/cache  # Ensure this directory is writable
    backends:
      - type: huggingface
        config: {prefix: /huggingface/, token: "${HF_TOKEN}", max_redirects: 3, timeout: 300}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yml"
    path.write_text(dedent(text))
    path.chmod(0o600)
    return path


def read(folder: Path, text: str, **variables: str) -> MirrorSettings:
    return read_mirror(written(folder, text), variables, SETTINGS)


def refused(folder: Path, text: str, **variables: str) -> InvalidConfiguration:
    with pytest.raises(InvalidConfiguration) as caught:
        read(folder, text, **variables)
    assert str(folder / "config.yml") in str(caught.value)
    assert caught.value.remedy
    return caught.value


def test_files_of_the_specification_work_as_they_are(tmp_path: Path) -> None:
    mirror = read(tmp_path, WHOLE)
    (hub,) = mirror.upstreams
    assert (mirror.prefix, hub.base_url, hub.timeout_s) == ("/huggingface", "https://huggingface.co", 120.0)
    assert (hub.token, hub.max_redirects, mirror.notes) == ("hf_abcdefghijklmnopqrstuvwxyz", None, ())
    assert (hub.mode_of("org/name"), hub.ingest_by, hub.names) == ("catalog", "reader", ("*",))
    assert "hf_abc" not in repr(mirror)

    (hub,) = read(tmp_path, FROM_ENVIRONMENT, HF_TOKEN=" hf_xyz\n").upstreams
    assert (hub.token, hub.base_url, hub.timeout_s) == ("hf_xyz", "", None)
    assert read(tmp_path, FROM_ENVIRONMENT, HF_TOKEN="").upstreams[0].token == ""

    mirror = read(tmp_path, WITH_CACHE, HF_TOKEN="hf_xyz")
    assert mirror.upstreams[0].max_redirects == 3
    (note,) = mirror.notes
    assert "/path/to/cache" in note
    assert "/srv/store" in note
    assert read(tmp_path, WITH_CACHE.replace("/path/to/cache", "/srv/store"), HF_TOKEN="").notes == ()


def test_a_hub_is_chosen_by_the_name_and_so_is_the_mode(tmp_path: Path) -> None:
    mirror = read(
        tmp_path,
        """
        backends:
          - type: huggingface
            config:
              base_url: https://hub.company.example/
              names: [company/*, shared-*/*]
              auth: {tokenEnvVar: COMPANY_TOKEN}
              mode: gated
              ingest_by: publisher
              show_refused: true
              follow: true
              max_age: 60
          - type: huggingface
            config:
              modes: {google/*: gated, openai/secret: catalog}
        """,
    )
    company, public = mirror.upstreams
    assert mirror.upstream("company/llm") is mirror.upstream("shared-a/b") is company
    assert mirror.upstream_of(ModelRef.parse("hf-dataset:company/data@v1")) is company
    assert mirror.upstream_of(ModelRef.parse("pypi:company/llm")) is NOWHERE
    assert (company.base_url, company.auth) == ("https://hub.company.example", AuthPlace(token_env="COMPANY_TOKEN"))
    assert (company.ingest_by, company.show_refused) == ("publisher", True)
    assert (company.follow, company.max_age_s) == (True, 60.0)
    assert (public.follow, public.max_age_s) == (False, 300.0)
    assert mirror.upstream("gpt2") is public
    modes = {name: mirror.upstream(name).mode_of(name) for name in ("company/x", "google/t5", "openai/secret", "a/b")}
    assert modes == {"company/x": "gated", "google/t5": "gated", "openai/secret": "catalog", "a/b": "catalog"}
    only = read(tmp_path, "backends: [{type: huggingface, config: {names: [a/*], mode: gated}}]")
    assert only.upstream("b/c").mode_of("b/c") == "catalog"


def test_variables_have_another_value_where_they_are_missing(tmp_path: Path) -> None:
    text = """
        backends:
          - type: huggingface
            config: {base_url: "https://${HUB:-huggingface.co}", timeout: "${SECONDS}", token: "a$b$${c}"}
    """
    (hub,) = read(tmp_path, text, SECONDS="1.5").upstreams
    assert (hub.base_url, hub.timeout_s, hub.token) == ("https://huggingface.co", 1.5, "a$b${c}")
    assert read(tmp_path, text, SECONDS="9", HUB="hub.example").upstreams[0].base_url == "https://hub.example"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("backends: []", 1, "at least one backend"),
        ("- a", 1, "a mapping with `backends`"),
        ("cache: /x\nbackends: [{type: huggingface}]", 1, "did you mean cache_dir"),
        ("listen: 0.0.0.0\nbackends: [{type: huggingface}]", 1, "there are backends, cache_dir"),
        ("port: 80\nbackends: [{type: huggingface}]", 1, "SERVE_PORT"),
        ("backends:\n  - type: http\n", 2, "the mirror has huggingface"),
        ("backends:\n  - config: {}\n", 2, "the mirror has huggingface"),
        ("backends:\n  - huggingface\n", 2, "a backend has a type"),
        ("backends:\n  - type: huggingface\n    config:\n      tokn: x\n", 4, "did you mean token"),
        ("backends:\n  - type: huggingface\n    config:\n      chunk_size: 1\n", 4, "leave it out"),
        ("backends:\n  - type: huggingface\n    config:\n      timeout: 0\n", 4, "greater than 0"),
        ("backends:\n  - type: huggingface\n    config:\n      timeout: .inf\n", 4, "finite"),
        ("backends:\n  - type: huggingface\n    config:\n      follow: true", 3, "about the mode gated"),
        ("backends:\n  - type: huggingface\n    config:\n      max_age: -1", 4, "greater than or equal to 0"),
        ("backends:\n  - type: huggingface\n    config:\n      max_redirects: -1\n", 4, "greater than or equal to 0"),
        ("backends:\n  - type: huggingface\n    config:\n      base_url: huggingface.co\n", 4, "begins with https://"),
        ("backends:\n  - type: huggingface\n    config:\n      base_url: https://u:p@h\n", 4, "a user or a password"),
        ("backends:\n  - type: huggingface\n    config:\n      prefix: huggingface\n", 4, "a path below which"),
        ("backends:\n  - type: huggingface\n    config:\n      prefix: /\n", 4, "a path below which"),
        ("backends:\n  - type: huggingface\n    config:\n      prefix: /a/../b\n", 4, "a path below which"),
        ("backends:\n  - type: huggingface\n    config:\n      prefix: /a%2f\n", 4, "needs no encoding"),
        ("backends:\n  - type: huggingface\n    config:\n      prefix: /v2/hub/\n", 4, "clients of OCI registries"),
        ("backends:\n  - type: huggingface\n    config:\n      mode: strict\n", 4, "'catalog', 'gated'"),
        ("backends:\n  - type: huggingface\n    config:\n      names: []\n", 4, "at least 1 item"),
        ("backends:\n  - type: huggingface\n    config:\n      names: ['a,b']\n", 4, "matches no model"),
        ("backends:\n  - type: huggingface\n    config:\n      token: 12345\n", 4, "write it in quotes"),
        ('backends:\n  - type: huggingface\n    config:\n      token: "a\\nb"\n', 4, "cannot be sent"),
        ("backends:\n  - type: huggingface\n    config:\n      pass_tokens: true\n", 3, "with https://"),
        (
            "backends:\n  - type: huggingface\n    config:\n      {pass_tokens: true, base_url: 'http://hub.example'}\n",
            3,
            "with https://",
        ),
        ("backends:\n  - type: huggingface\n    config:\n      token: a\n      auth: {block: b}\n", 3, "two tokens"),
        ("backends:\n  - type: huggingface\n    config:\n      auth: {}\n", 4, "exactly one of"),
        ("backends:\n  - type: huggingface\n    config:\n      token: ${MISSING}\n", 4, "MISSING is not set"),
        ("backends:\n  - type: huggingface\n    config:\n      token: ${A B}\n", 4, "is written ${NAME}"),
        ("backends:\n  - type: huggingface\n  - type: huggingface\n    config: {names: [a/*]}\n", 3, "an earlier"),
        (
            "backends:\n  - type: huggingface\n    config: {names: [a/*], prefix: /a}\n"
            "  - type: huggingface\n    config:\n      prefix: /hf\n",
            6,
            "below one prefix",
        ),
        ("backends:\n\t- x", 2, "not valid YAML"),
    ],
)
def test_a_mistake_names_its_line_and_what_to_do(tmp_path: Path, text: str, line: int, words: str) -> None:
    error = refused(tmp_path, text)
    assert f"config.yml:{line}" in error.problem
    assert words in str(error)


def test_no_message_has_the_token(tmp_path: Path) -> None:
    for config in ("mode: ${T}", "auth: {token: '${T}'}", "token: ${T}\n      auth: {block: x}", "timeout: ${T}"):
        error = refused(tmp_path, f"backends:\n  - type: huggingface\n    config:\n      {config}\n", T="hunter2")
        assert "hunter2" not in str(error)


def test_a_token_that_others_can_read_is_a_note(tmp_path: Path) -> None:
    path = written(tmp_path, WHOLE)
    path.chmod(0o644)
    (note,) = read_mirror(path, {}, SETTINGS).notes
    assert "chmod 600" in note
    path.write_text(dedent(FROM_ENVIRONMENT))
    assert read_mirror(path, {"HF_TOKEN": "x"}, SETTINGS).notes == ()


def test_the_setting_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert mirror_of(Settings(home=tmp_path)) == MirrorSettings("/huggingface")
    assert mirror_of(Settings(home=tmp_path, mirror_prefix="/hub")).prefix == "/hub"
    text = WHOLE.replace("/huggingface/", "/hub/")
    monkeypatch.setenv("WEIGHBRIDGE_MIRROR_CONFIG", str(written(tmp_path, text)))
    assert mirror_of(Settings(home=tmp_path)).upstreams[0].timeout_s == 120
    for prefix in ("/hub", "/hub/api"):
        with pytest.raises(InvalidConfiguration, match="overlap"):
            mirror_of(Settings(home=tmp_path, api_prefix=prefix))
    assert mirror_of(Settings(home=tmp_path, api_prefix="/hu")).prefix == "/hub"
    monkeypatch.setenv("WEIGHBRIDGE_MIRROR_CONFIG", str(tmp_path / "missing.yml"))
    with pytest.raises(InvalidConfiguration, match=r"missing\.yml"):
        mirror_of(Settings(home=tmp_path))


def test_tokens_are_passed_on_only_where_reading_is_closed(tmp_path: Path) -> None:
    text = "backends: [{type: huggingface, config: {base_url: 'https://hub.example', pass_tokens: true}}]"
    mirror = read(tmp_path, text)
    assert mirror.upstream("a/b").pass_tokens
    refuse_passed_tokens(mirror, Settings(home=tmp_path, api_reading="closed"))
    refuse_passed_tokens(MirrorSettings("/huggingface"), Settings(home=tmp_path, api_reading="open"))
    for settings in (Settings(home=tmp_path, api_reading="open"), Settings(home=tmp_path)):
        with pytest.raises(InvalidConfiguration, match="API_READING=closed"):
            refuse_passed_tokens(mirror, settings)
