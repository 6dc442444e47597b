import hashlib
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.digest import Digest, Hasher
from weighbridge.errors import InvalidConfiguration


@given(st.binary(max_size=300))
def test_every_form_reads_back(content: bytes) -> None:
    digest = Digest.sha256(content)
    assert Digest.parse(str(digest)) == Digest.parse(digest.sri) == Digest.parse(digest.hex) == digest


def test_sri_is_the_published_form() -> None:
    # The SRI of no bytes at all, as spec 1 writes it for its mock source.
    assert Digest.sha256(b"").sri == "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="


@pytest.mark.parametrize("text", ["", "sha256", "sha256:zz", "crc32:00000000", "sha256-!!", "md5:" + "0" * 31])
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(InvalidConfiguration):
        Digest.parse(text)


def test_git_sha1_is_gits_own(tmp_path) -> None:
    (tmp_path / "file").write_bytes(b"weights\n")
    expected = subprocess.run(
        ["git", "hash-object", "file"], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.strip()
    hasher = Hasher(("git-sha1", "md5"), size=8)
    hasher.update(b"wei")
    hasher.update(b"ghts\n")
    assert hasher.digests["git-sha1"].hex == expected
    assert hasher.digests["md5"].hex == hashlib.md5(b"weights\n").hexdigest()
