"""What is packed into a bundle, and who signs it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from backports import zstd

from tests.cli.conftest import SHIPPED
from tests.content.bundles.packing import (
    compressed,
    parts,
    signature_part,
    tape,
    version,
)
from tests.intake.sides import Side, clamd_address, far, office, sent
from weighbridge.config.bundle_keys import made_key, own_key
from weighbridge.config.settings import Settings
from weighbridge.domain.bundle import Signature
from weighbridge.errors import (
    BlobMissing,
    IntegrityError,
    InvalidConfiguration,
    NotInCatalog,
    StateConflict,
    StoreError,
)
from weighbridge.scanners.clamd.database import eicar
from weighbridge.store.local import LocalBlobStore

__all__ = ["clamd_address", "far", "office", "sent"]


class TestPacking:
    def test_equal_content_is_an_equal_file(self, office: Side, sent: Path, tmp_path: Path) -> None:
        done = office.pack("org/tiny@1.0.0", "org/tiny@1.0.1", to=tmp_path / "b")
        assert (tmp_path / "b").read_bytes() == sent.read_bytes()
        assert (done.size, done.key) == (sent.stat().st_size, office.key)
        assert done.index.versions == (("org/tiny", "1.0.0"), ("org/tiny", "1.0.1"))
        assert len(done.index.blobs) == 4  # Two files of the six are the same in both versions.

    def test_equal_files_of_one_model_are_there_once(self, tmp_path: Path, clamd_address: str) -> None:
        """As containers/image#503, whose archives were wrong where an image had a layer twice."""
        side = Side(tmp_path / "s", clamd_address)
        side.ingest("m", SHIPPED | {"copy.json": SHIPPED["config.json"]})
        done = side.pack("m", to=tmp_path / "b")
        assert len(done.index.blobs) == 3
        taken = Side(tmp_path / "far", clamd_address).take(tmp_path / "b").versions[0].version
        assert (taken.status, len(taken.manifest.files)) == ("PASSED", 4)

    def test_the_audit_log_names_what_left(self, office: Side, sent: Path) -> None:
        assert office.history("org/tiny").count("version.bundled") >= 2

    def test_no_place_of_publication_leaves(self, office: Side, tmp_path: Path) -> None:
        office.pack("org/tiny", to=tmp_path / "b")
        assert b"/export/" not in zstd.decompress((tmp_path / "b").read_bytes())

    def test_what_did_not_pass_does_not_leave(self, tmp_path: Path, clamd_address: str) -> None:
        side = Side(tmp_path / "s", clamd_address)
        side.ingest("bad", SHIPPED | {"notes.txt": eicar()})
        side.ingest("gone")
        with side.open() as workspace:
            workspace.catalog.withdraw("gone", "1.0.0", "recalled")
        for name in ("bad", "gone@1.0.0"):
            with pytest.raises(StateConflict, match="is FAILED, so it is not packed"):
                side.pack(name, to=tmp_path / "b")
        with pytest.raises(NotInCatalog):
            side.pack("nobody", to=tmp_path / "b")
        assert not (tmp_path / "b").exists()

    def test_a_missing_and_a_damaged_blob(self, tmp_path: Path, clamd_address: str) -> None:
        side = Side(tmp_path / "s", clamd_address)
        entry = side.ingest("m").manifest.by_path["config.json"]
        assert entry.digest is not None
        blob = LocalBlobStore(side.settings.store_folder).path(entry.digest)
        (tmp_path / "b").write_bytes(b"earlier")
        blob.chmod(0o644)
        blob.write_bytes(blob.read_bytes()[::-1])
        with pytest.raises(IntegrityError, match="was damaged on the disk"):
            side.pack("m", to=tmp_path / "b")
        with pytest.raises(BlobMissing):
            side.pack("m", to=tmp_path / "b")
        assert (tmp_path / "b").read_bytes() == b"earlier"
        assert sorted(os.listdir(tmp_path)) == ["b", "s"]

    def test_a_place_that_cannot_be_written(self, office: Side, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="cannot be written"):
            office.pack("org/tiny", to=tmp_path / "none" / "b")
        with pytest.raises(StoreError, match="cannot be written"):
            office.pack("org/tiny", to=tmp_path)

    def test_a_key_that_others_can_read(self, office: Side, tmp_path: Path) -> None:
        path = office.settings.folder / "bundle-key"
        path.chmod(0o644)
        try:
            with pytest.raises(InvalidConfiguration, match="other users"):
                office.pack("org/tiny", to=tmp_path / "b")
        finally:
            path.chmod(0o600)


class TestSignatures:
    def test_a_signature_of_another_bundle(self, far: Side, office: Side, tmp_path: Path) -> None:
        key = own_key(office.settings)
        assert key is not None
        found = parts(version())
        found.insert(1, signature_part(key.sign(b"weighbridge.bundle/1 sha256:" + b"0" * 64)))
        (tmp_path / "b").write_bytes(compressed(tape(found)))
        for side in (far, far.trusting(office=office.key)):
            with pytest.raises(IntegrityError, match="is not one of what is in it"):
                side.take(tmp_path / "b")
        assert far.is_blank()

    @pytest.mark.parametrize(
        "signature",
        [Signature("ed25519:" + "A" * 43 + "=", b"\0" * 64), Signature("ed25519:x", b""), Signature("rsa:AAAA", b"x")],
    )
    def test_keys_that_are_none(self, far: Side, tmp_path: Path, signature: Signature) -> None:
        found = parts(version())
        found.insert(1, signature_part(signature))
        (tmp_path / "b").write_bytes(compressed(tape(found)))
        with pytest.raises(IntegrityError, match="is not one of what is in it"):
            far.take(tmp_path / "b")

    def test_the_key_of_somebody_else_is_no_trusted_one(
        self, far: Side, office: Side, sent: Path, tmp_path: Path, clamd_address: str
    ) -> None:
        other = Side(tmp_path / "other", clamd_address)
        done = far.trusting(office=other.key).take(sent)
        assert (done.signer.key, done.signer.name) == (office.key, "")
        assert {one.how for one in done.versions} == {"scanned"}

    def test_a_key_is_made_once(self, tmp_path: Path) -> None:
        settings = Settings(home=tmp_path)
        assert own_key(settings) is None
        made, is_new = made_key(settings)
        assert is_new
        assert (made_key(settings)[0].text, made_key(settings)[1]) == (made.text, False)
        assert (tmp_path / "bundle-key").stat().st_mode & 0o777 == 0o600
        (tmp_path / "bundle-key").write_text("nothing")
        with pytest.raises(InvalidConfiguration, match="not an unencrypted private key"):
            own_key(settings)

    def test_settings_take_keys_and_nothing_else(self, tmp_path: Path) -> None:
        key = made_key(Settings(home=tmp_path))[0].text
        assert Settings(trusted_bundle_keys={"office": key}).trusted_bundle_keys == {"office": key}
        for wrong in ({"office": "x"}, {"office": key[:-1]}, {"a b": key}, {"": key}):
            with pytest.raises(InvalidConfiguration):
                Settings(trusted_bundle_keys=wrong)
