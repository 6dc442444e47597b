import pytest

from weighbridge.domain.digest import Digest
from weighbridge.domain.manifest import FileEntry, Manifest
from weighbridge.domain.ref import ModelRef
from weighbridge.errors import IntegrityError
from weighbridge.intake.verifying import verify

REF = ModelRef.parse("hf:org/name@abc")


def manifest(**files: bytes) -> Manifest:
    return Manifest(REF, tuple(FileEntry(name, len(c), Digest.sha256(c)) for name, c in files.items()))


def test_what_was_promised_passes() -> None:
    model = manifest(a=b"1", b=b"2")
    assert verify(model, model, pin=model.digest, locked=model).equal


@pytest.mark.parametrize(
    ("computed", "word"),
    [(manifest(a=b"x"), "changed: a"), (manifest(), "missing: a"), (manifest(a=b"1", z=b""), "not expected: z")],
)
def test_each_difference_is_named(computed: Manifest, word: str) -> None:
    with pytest.raises(IntegrityError, match=word):
        verify(manifest(a=b"1"), computed)


def test_wrong_pin_tells_expected_and_actual() -> None:
    model, pin = manifest(a=b"1"), Digest.sha256(b"other")
    with pytest.raises(IntegrityError) as error:
        verify(model, model, pin=pin)
    assert error.value.facts == {"expected": pin.sri, "actual": model.digest.sri}
    assert pin.sri in str(error.value)
    assert model.digest.sri in str(error.value)


def test_lock_is_held() -> None:
    with pytest.raises(IntegrityError, match=r"models\.lock holds: changed: a"):
        verify(manifest(a=b"2"), manifest(a=b"2"), locked=manifest(a=b"1"))


def test_files_without_a_promise_are_named() -> None:
    declared = Manifest(REF, (FileEntry("a", 1),))
    assert verify(declared, manifest(a=b"1")).unverified == ("a",)
