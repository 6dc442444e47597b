"""The keys of attestations: made once, for their owner's eyes, rotated, and trusted by name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa

from weighbridge.errors import InvalidConfiguration
from weighbridge.signing.keys import FILE, TRUSTED, keys_of, made_key, own_key, trusted_keys

_ENCODING = serialization.Encoding.PEM


def private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(_ENCODING, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def public_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(_ENCODING, serialization.PublicFormat.SubjectPublicKeyInfo)


def test_a_key_is_made_once_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    assert own_key(tmp_path) is None
    mask = os.umask(0)
    try:
        first, is_new = made_key(tmp_path / "home")
    finally:
        os.umask(mask)
    assert is_new
    assert (tmp_path / "home" / FILE).stat().st_mode & 0o777 == 0o600
    again, is_new = made_key(tmp_path / "home")
    assert (again.public.pem, is_new) == (first.public.pem, False)
    assert trusted_keys(tmp_path / "home")[0].name == "own"


def test_processes_that_start_at_once_have_one_key(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from weighbridge.signing.keys import made_key; "
    code += "print(made_key(Path(sys.argv[1]))[0].public.id)"
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in running}) == 1
    assert [process.returncode for process in running] == [0] * 4


def test_after_a_rotation_the_old_key_is_trusted_and_no_longer_signs(tmp_path: Path) -> None:
    old, _ = made_key(tmp_path)
    new, is_new = made_key(tmp_path, rotate=True)
    assert (is_new, new.public.id != old.public.id) == (True, True)
    assert [key.id for key in trusted_keys(tmp_path)] == [new.public.id, old.public.id]
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    os.unlink(tmp_path / TRUSTED / f"own-{old.public.id[:12]}.pem")
    assert [key.id for key in trusted_keys(tmp_path)] == [new.public.id]


def test_an_unusable_key_is_refused_without_a_word_of_it(tmp_path: Path) -> None:
    path = tmp_path / FILE
    p384, p256 = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
    content = private_pem(p256)
    encrypted = p256.private_bytes(
        _ENCODING, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    )
    cases = [
        (private_pem(p384), 0o600, "is not an ECDSA key on the curve P-256"),
        (private_pem(ed25519.Ed25519PrivateKey.generate()), 0o600, "is not an ECDSA key"),
        (content[:-40] + b"*" * 40, 0o600, "is not an unencrypted private key"),
        (encrypted, 0o600, "is not an unencrypted private key"),
        (public_pem(p256), 0o600, "is not an unencrypted private key"),
        (b"", 0o600, "is not an unencrypted private key"),
        (content, 0o640, "can be read or changed by other users"),
        (content, 0o602, "can be read or changed by other users"),
    ]
    for text, mode, words in cases:
        path.write_bytes(text)
        path.chmod(mode)
        with pytest.raises(InvalidConfiguration, match=words) as caught:
            own_key(tmp_path)
        assert not any(line in str(caught.value) for line in text.decode().splitlines() if line)
        assert caught.value.__cause__ is None
        with pytest.raises(InvalidConfiguration, match=words):
            made_key(tmp_path, rotate=True)
        assert path.read_bytes() == text  # Nothing is replaced that a person may want back.


def test_keys_of_others_are_trusted_by_the_names_of_their_files(tmp_path: Path) -> None:
    folder = tmp_path / TRUSTED
    folder.mkdir()
    (folder / "office.pub").write_bytes(public_pem(ec.generate_private_key(ec.SECP384R1())))
    (folder / "lab.pem").write_bytes(public_pem(ed25519.Ed25519PrivateKey.generate()))
    (folder / "README").write_text("no key")
    assert [key.name for key in trusted_keys(tmp_path)] == ["lab", "office"]
    folder.chmod(0o777)
    with pytest.raises(InvalidConfiguration, match="Anybody may put keys"):
        trusted_keys(tmp_path)
    folder.chmod(0o755)
    (folder / "lab.pem").chmod(0o646)
    with pytest.raises(InvalidConfiguration, match="Anybody may change"):
        trusted_keys(tmp_path)


def test_what_is_no_key_to_trust_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pub"
    with pytest.raises(InvalidConfiguration, match="cannot be read"):
        keys_of([path])
    private = private_pem(ec.generate_private_key(ec.SECP256R1()))
    of_dsa = dsa.generate_private_key(1024).public_key()
    for content, words in (
        (private, "holds a private key"),
        (b"ssh-rsa AAAA", "not a public key in PEM"),
        (public_pem(rsa.generate_private_key(65537, 2048)), "neither ECDSA"),
        (of_dsa.public_bytes(_ENCODING, serialization.PublicFormat.SubjectPublicKeyInfo), "neither ECDSA"),
        (public_pem(ec.generate_private_key(ec.SECP256K1())), "neither ECDSA"),
    ):
        path.write_bytes(content)
        with pytest.raises(InvalidConfiguration, match=words) as caught:
            keys_of([path])
        assert content.decode().splitlines()[-1] not in str(caught.value).replace(str(path), "")
