from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.content.model_signatures.signing import certify, publisher
from weighbridge.config.policy_file import load_policy, policy_state
from weighbridge.domain.presets import PRESETS
from weighbridge.errors import InvalidConfiguration


def test_nothing_said_means_standard(tmp_path: Path) -> None:
    assert load_policy("", tmp_path) == PRESETS["standard"]


def test_the_folders_policy_is_taken(tmp_path: Path) -> None:
    (tmp_path / "policy.yaml").write_text(
        "name: house\nextends: strict\nclamav: {max_database_age_days: 3}\nrules: {template: warn}\n"
        "licence: {allow: [apache-2.0]}\n"
        "waivers: [{rule: licence.denied, reason: bought, by: Ada, until: 2027-01-01}]\n"
    )
    policy = load_policy("", tmp_path)
    assert policy.name == "house"
    assert policy.required == PRESETS["strict"].required
    assert policy.max_database_age_days == 3
    assert dict(policy.rules)["template"] == "warn"
    assert dict(policy.rules)["pickle"] == "reject"
    assert policy.licence.allow == ("apache-2.0",)
    assert policy.waivers[0].by == "Ada"
    assert policy.digest != PRESETS["strict"].digest


def test_another_policy_has_another_state(tmp_path: Path) -> None:
    for wanted in ("", "mine.yaml"):
        path, states = tmp_path / (wanted or "policy.yaml"), [policy_state(wanted, tmp_path)]
        for text in ("extends: strict\n", "extends: minimal\n"):
            path.write_text(text)
            states += [policy_state(wanted, tmp_path)] * 2
        replaced = tmp_path / "new.yaml"
        replaced.write_text("extends: minimal\n")
        replaced.rename(path)
        states.append(policy_state(wanted, tmp_path))
        path.unlink()
        states.append(policy_state(wanted, tmp_path))
        assert [states.index(state) for state in states] == [0, 1, 1, 3, 3, 5, 0]
    assert policy_state("strict", tmp_path) == policy_state("strict", tmp_path / "other")


def test_what_has_to_be_acknowledged_changes_no_decision(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("extends: strict\nlicence: {unknown: reject, acknowledge: restricted}\n")
    policy = load_policy("mine.yaml", tmp_path)
    assert policy.acknowledge == "restricted"
    assert replace(policy, name="strict").digest == PRESETS["strict"].digest


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("name: x\nrequired: []\n", "requires no scanner"),
        ("name: x\nrequire: [clamav]\n", "2: require:"),
        ("extends: lax\n", "1: extends:"),
        ("name: x\nlicence: {acknowledge: all}\n", r"2: licence\.acknowledge:"),
        ("name: x\nwaivers:\n  - {rule: code.python, reason: b}\n", r"3: waivers\.0\.by"),
        ("a: [\n", "is not valid YAML"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(InvalidConfiguration, match=place):
        load_policy("mine.yaml", tmp_path)


def test_neither_preset_nor_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration, match="paranoid"):
        load_policy("lenient", tmp_path)


@pytest.mark.parametrize("path", sorted(Path("deployments").rglob("policy*.yaml")), ids=str)
def test_shipped_policies_are_valid(path: Path) -> None:
    assert load_policy(str(path.absolute()), Path()).required


def test_signatures_name_files_beside_the_policy(tmp_path: Path) -> None:
    (home := tmp_path / "gates").mkdir()
    team, root = publisher(home, "team"), publisher(home, "root")
    certify(root, root, authority=True)
    (home / "root.json").write_text('{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    entries = (
        '{source: "s3://models/*", key: team.pub, required: false, unsigned: ["*.md"], file: sigs/x.json}',
        '{source: "hf:o/*", certificate: root.crt, identity: "*@example.org"}',
        '{source: "hf:o/*", identity: a@b.c, issuer: "https://issuer"}',
        '{source: "hf:o/*", identity: a@b.c, issuer: "https://issuer", trusted_root: root.json}',
    )
    (home / "mine.yaml").write_text("signatures:\n" + "".join(f"  - {entry}\n" for entry in entries))
    policy = load_policy("gates/mine.yaml", tmp_path)
    key, authority, public, own = policy.publishers
    assert (key.anchor.content, key.required, key.unsigned, key.file) == (
        team.public.read_text(),
        False,
        ("*.md",),
        "sigs/x.json",
    )
    assert authority.anchor.content == root.certificate.read_text()
    assert (public.anchor.content, public.required, "trustedroot" in own.anchor.content) == ("", True, True)
    team.public.write_bytes(root.public.read_bytes())
    assert load_policy("gates/mine.yaml", tmp_path).digest != policy.digest, "another key is another policy"


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("{source: x}", "it needs one of"),
        ("{source: x, key: team.pub, certificate: y}", "it needs one of"),
        ("{source: x, identity: a@b.c}", "it needs one of"),
        ('{source: x, issuer: "https://i"}', "name an identity"),
        ('{source: x, issuer: "https://i", identity: "**"}', "name an identity"),
        ("{source: x, key: team.pub, identity: a@b.c}", "leave one of them out"),
        ("{source: x, key: team.pub, trusted_root: y}", "is for identity and issuer"),
        ('{source: "", key: team.pub}', "at least 1 character"),
        ("{source: x, key: none.pub}", "No such file"),
        ("{source: x, key: .}", "Is a directory"),
        ("{source: x, key: team.key}", "a private key"),
        ("{source: x, key: mine.yaml}", "no public key"),
        ("{source: x, key: koblitz.pub}", "no key of the curves"),
        ("{source: x, certificate: team.pub}", "no certificate"),
        ('{source: x, identity: a, issuer: "https://i", trusted_root: mine.yaml}', "no trusted root"),
        ('{source: x, identity: a, issuer: "https://i", trusted_root: list.json}', "no trusted root"),
        ("{source: x, key: huge.pub}", "more than 1 MiB"),
    ],
)
def test_mistakes_in_signatures_are_told_when_the_policy_is_read(tmp_path: Path, entry: str, told: str) -> None:
    publisher(tmp_path, "team")
    publisher(tmp_path, "koblitz", ec.SECP256K1())
    (tmp_path / "list.json").write_text("[]")
    (tmp_path / "huge.pub").write_bytes(bytes(2**20 + 1))
    (tmp_path / "mine.yaml").write_text(f"signatures:\n  - {entry}\n")
    with pytest.raises(InvalidConfiguration) as caught:
        load_policy("mine.yaml", tmp_path)
    assert told in str(caught.value)
