import pytest

from weighbridge.content.headers.document import parse_yaml


def found(content: str) -> list[tuple[str, str]]:
    return [(finding.rule, finding.level) for finding in parse_yaml(content.encode()).findings]


@pytest.mark.parametrize(
    "content",
    [
        "a: !!python/object/apply:os.system [id]",
        "a: !!python/object/new:subprocess.Popen [id]",
        "a: !!python/object:mine.Net {}",
        "a: !!python/name:os.system",
        "a: !!python/module:os",
        "a: !!python/tuples [1]",
        "a: 1\n---\nb: 2\n--- !!python/object/apply:os.system [id]\n",
        "!<tag:yaml.org,2002:python/object/apply:os.system> [id]",
        "%TAG !p! tag:yaml.org,2002:python/object/apply:\n---\n!p!os.system [id]",
        "!!python/object/apply:os%2Esystem [id]",
        "a: !!javax.script.ScriptEngineManager [!!java.net.URLClassLoader [[]]]",
        "a: !ruby/object:Gem::Installer {}",
    ],
)
def test_tags_that_make_objects_are_errors(content: str) -> None:
    assert set(found(content)) == {("config.unsafe-tag", "error")}


@pytest.mark.parametrize(
    "name", ["bool", "bytes", "complex", "dict", "float", "int", "list", "long", "none", "str", "tuple", "unicode"]
)
def test_tags_of_plain_data_are_none(name: str) -> None:
    content = f"a: !!python/{name} " + {"dict": "{b: 1}", "list": "[1]", "tuple": "[1, 2]"}.get(name, "1")
    assert found(content) == []
    assert parse_yaml(content.encode()).value is not None


@pytest.mark.parametrize(
    ("content", "rule", "level"),
    [
        ("a: !apply:os.system [id]", "config.dangerous-target", "error"),
        ("a: !new:subprocess.Popen [id]", "config.dangerous-target", "error"),
        ("a: !name:my_module.function", "config.imports", "error"),
        ("%TAG ! !apply:\n---\na: !os.system [id]", "config.dangerous-target", "error"),
        ("a: !module:evil", "config.imports", "error"),
        ("a: !include:../../x.yaml", "config.reads-outside", "error"),
        ("a: !include /etc/passwd", "config.reads-outside", "error"),
        ("a: !Widget {b: 1}", "config.unknown-tag", "warning"),
        ("a: !new:speechbrain.lobes.models.ECAPA_TDNN.ECAPA_TDNN {b: 1}", "config.known-class", "note"),
        ("a: !apply:torch.manual_seed [1234]", "config.known-class", "note"),
    ],
)
def test_tags_of_applications(content: str, rule: str, level: str) -> None:
    assert found(content) == [(rule, level)]


@pytest.mark.parametrize("content", ["a: !ref <b>", "a: !copy <b>", "a: ! 1", "a: !!set {b, c}", "a: !!str 1"])
def test_references_and_standard_tags_are_none(content: str) -> None:
    assert found(content) == []


def test_a_function_that_an_evaluation_harness_imports_is_code() -> None:
    assert found("process_docs: !function utils.process") == [("config.remote-code", "error")]
