from __future__ import annotations

import pytest

from weighbridge.net.www_authenticate import Challenge, read_challenges

BEARER = 'Bearer realm="https://auth.example/token",service="registry",scope="repository:library/m:pull"'
PARAMETERS = {"realm": "https://auth.example/token", "service": "registry", "scope": "repository:library/m:pull"}


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (BEARER, [("bearer", PARAMETERS)]),
        (f'Basic realm="models", {BEARER}', [("basic", {"realm": "models"}), ("bearer", PARAMETERS)]),
        (f"Negotiate, {BEARER}", [("negotiate", {}), ("bearer", PARAMETERS)]),
        (f"Negotiate dG9rZW4=, {BEARER}", [("negotiate", {}), ("bearer", PARAMETERS)]),
        ('bEARER REALM = "a" , Service=plain', [("bearer", {"realm": "a", "service": "plain"})]),
        (r'Basic realm="a \"quoted\" \\ b, c=d"', [("basic", {"realm": r'a "quoted" \ b, c=d'})]),
        ('Basic realm="first", realm="second"', [("basic", {"realm": "first"})]),
        (",, Basic ,,", [("basic", {})]),
        ('Basic realm="never ends', [("basic", {})]),
        ("", []),
        ('realm="no scheme"', []),
        ("(", []),
    ],
)
def test_a_header_is_read(header: str, expected: list[tuple[str, dict[str, str]]]) -> None:
    assert read_challenges(header) == tuple(Challenge(scheme, values) for scheme, values in expected)


@pytest.mark.parametrize("piece", ['a="', "a=", "\\", '"', "a ", ",", "a,", "\t", 'Basic a="\\'])
def test_a_hostile_header_is_read_to_an_end(piece: str) -> None:
    assert all(challenge.scheme for challenge in read_challenges(piece * (4096 // len(piece))))
