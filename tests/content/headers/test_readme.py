from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.content.headers.samples import rules, write
from weighbridge.content.headers.readme import read, texts

README = b"""---
license: apache-2.0
language:
- en
- no
base_model: org/base
pipeline_tag: text-generation
---

# A title

<p align="center"><img src="x"></p>

```python
import something_that_is_no_sentence
```

This is a [small](https://example.org) **model**, made for tests. It does nothing else.
"""


def test_front_matter_and_first_sentence(tmp_path: Path) -> None:
    found = read(write(tmp_path, README))
    assert found.findings == ()
    assert found.fields["base_model"] == "org/base"
    assert texts(found.fields["language"]) == ["en", "no"]
    assert found.description == "This is a small model, made for tests."


def test_windows_line_ends(tmp_path: Path) -> None:
    assert read(write(tmp_path, README.replace(b"\n", b"\r\n"))).fields["license"] == "apache-2.0"


@pytest.mark.parametrize(
    "content", [b"", b"no front matter", b"---\nlicense: mit\n", b"---\n", b"\xff\xfe", b"# only\n\n## titles\n"]
)
def test_a_readme_without_front_matter_is_no_finding(tmp_path: Path, content: bytes) -> None:
    found = read(write(tmp_path, content))
    assert (found.fields, found.findings) == ({}, ())


@pytest.mark.parametrize(
    "front",
    [
        b"a: [1",
        b"- a\n- b",
        b"a: !!python/name:os.system",
        b"[" * 10_000,
        b"a: &a [x]\n" + b"".join(b"b%d: &b%d [*a,*a]\n" % (n, n) for n in range(3)) + b"c: &c [*c]",
    ],
)
def test_front_matter_that_cannot_be_read_is_a_warning(tmp_path: Path, front: bytes) -> None:
    found = read(write(tmp_path, b"---\n" + front + b"\n---\nA sentence that is long enough.\n"))
    assert [(finding.rule, finding.level) for finding in found.findings] == [("readme.front-matter", "warning")]
    assert found.fields == {}
    assert found.description == "A sentence that is long enough."


def test_aliases_within_limits_are_read(tmp_path: Path) -> None:
    found = read(write(tmp_path, b"---\na: &x [1, 2]\nb: *x\n---\n"))
    assert (found.fields, rules(found.findings)) == ({"a": [1, 2], "b": [1, 2]}, [])


def test_only_clean_texts_are_taken() -> None:
    assert texts(["a\x1b[0m", 3, None, ["x"], {"a": 1}, True, "b" * 1000]) == ["a [0m", "3", "b" * 199 + "…"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet="-a: \n`[]()!<>*_#.|", max_size=300))
def test_any_text_never_raises(tmp_path: Path, content: str) -> None:
    read(write(tmp_path, content.encode()))
    read(write(tmp_path, b"---\n" + content.encode() + b"\n---\n"))
