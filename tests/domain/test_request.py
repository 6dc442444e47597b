"""A request as values that a door keeps, hands on, and reads back."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weighbridge.domain.auth_place import AuthPlace
from weighbridge.domain.digest import Digest
from weighbridge.domain.ref import ModelRef
from weighbridge.domain.request import IngestRequest
from weighbridge.errors import InvalidConfiguration, InvalidReference

_DIGESTS = st.none() | st.text("0123456789abcdef", min_size=64, max_size=64).map(lambda text: Digest("sha256", text))
_WORDS = st.text("abcxyz-_./", max_size=12)
_PLACES = st.one_of(
    st.just(AuthPlace()), *(_WORDS.map(lambda text, name=name: AuthPlace(**{name: text})) for name in vars(AuthPlace()))
)
_REFS = st.sampled_from(["hf:org/name@main", "mock:a/b", "s3://bucket/prefix", "pypi:one==1.2"]).map(ModelRef.parse)


@given(
    st.builds(
        IngestRequest,
        ref=_REFS,
        name=_WORDS,
        hash=_DIGESTS,
        nar=_DIGESTS,
        version=_WORDS,
        policy=_WORDS,
        auth=_PLACES,
        registries=st.lists(_WORDS).map(tuple),
        another_source=st.booleans(),
        locked=st.booleans(),
        models=_WORDS,
    )
)
def test_what_is_written_is_read_back(wanted: IngestRequest) -> None:
    assert IngestRequest.from_json(json.loads(json.dumps(wanted.to_json()))) == wanted


def test_a_uri_is_enough() -> None:
    assert IngestRequest.from_json({"uri": "mock:a/b"}) == IngestRequest(ModelRef.parse("mock:a/b"))


def test_what_is_kept_in_clear_holds_no_signature() -> None:
    uri = "https://host.example/model.gguf?X-Amz-Signature=0123456789abcdef"
    for refused in (
        lambda: IngestRequest(ModelRef.parse(uri)).to_json(),
        lambda: IngestRequest.from_json({"uri": uri}),
    ):
        with pytest.raises(InvalidReference, match="auth_block") as caught:
            refused()
        assert "0123456789abcdef" not in str(caught.value)


@pytest.mark.parametrize(
    "names", [("token_env", "token_file"), ("token_env", "block"), ("token_file", "block", "token_env")]
)
def test_a_secret_has_one_place(names: tuple[str, ...]) -> None:
    with pytest.raises(InvalidConfiguration, match="--token-env"):
        AuthPlace(**dict.fromkeys(names, "x"))
