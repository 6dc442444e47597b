import pytest

from weighbridge.content.loading.requirements import channels, is_requirements, rulings


def levels(text: str) -> list[tuple[str, str]]:
    return [(ruling.rule, ruling.level) for ruling in rulings(text)]


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("--index-url http://127.0.0.1:8000/simple", "config.fetches"),
        ("-i http://127.0.0.1/simple", "config.fetches"),
        ("--extra-index-url=https://packages.example.org/simple", "config.fetches"),
        ("--find-links https://packages.example.org/", "config.fetches"),
        ("--extra-index-url https://user:word@download.pytorch.org/whl", "config.fetches"),
        ("--extra-index-url http://download.pytorch.org/whl", "config.fetches"),
        ("--trusted-host 127.0.0.1", "config.fetches"),
        ("git+http://127.0.0.1/evil.git", "config.fetches"),
        ("evil @ git+https://github.com/someone/evil@main", "config.fetches"),
        ("https://example.org/evil-1.0-py3-none-any.whl", "config.fetches"),
        ("evil @ file:///tmp/evil.whl", "config.fetches"),
        ("-e git+ssh://git@example.org/x.git#egg=x", "config.fetches"),
        ("-e .", "config.remote-code"),
        ("./wheels/evil-1.0-py3-none-any.whl", "config.remote-code"),
        ("../evil", "config.reads-outside"),
        ("-r ../../requirements.txt", "config.reads-outside"),
        ("-r https://example.org/r.txt", "config.reads-outside"),
        ("--index-url \\\n  http://127.0.0.1/simple", "config.fetches"),
    ],
)
def test_what_the_publisher_chose_is_an_error(line: str, rule: str) -> None:
    text = f"torch==2.4.0  # pinned\n\n{line}\ntransformers>=4.40\n"
    assert levels(text) == [(rule, "error")]
    assert is_requirements(text)


@pytest.mark.parametrize(
    "line",
    [
        "torch",
        "transformers[torch]>=4.40,<5; python_version >= '3.10'",
        "numpy==1.26.4 --hash=sha256:" + "0" * 64,
        "-r more.txt",
        "--no-index",
        "--pre",
        "# git+http://127.0.0.1/evil.git",
        "",
    ],
)
def test_packages_by_their_name_are_nothing(line: str) -> None:
    assert levels(f"{line}\n") == []


@pytest.mark.parametrize(
    "line",
    [
        "--extra-index-url https://download.pytorch.org/whl/cu121",
        "git+https://github.com/huggingface/transformers.git@main",
    ],
)
def test_the_places_of_known_projects_are_warnings(line: str) -> None:
    assert levels(line) == [("config.fetches", "warning")]


def test_channels_of_conda() -> None:
    assert list(channels(["conda-forge", "defaults", "https://conda.anaconda.org/pytorch"])) == []
    assert [ruling.level for ruling in channels(["someone", "http://127.0.0.1/c"])] == ["warning", "error"]


@pytest.mark.parametrize(
    "text",
    [
        "the\nand\n",
        "https://example.org/a.png\nhttps://example.org/b.png\n",
        "torch\nThis is a sentence.\n--index-url http://127.0.0.1/\n",
        "def f():\n    return 1  # https://example.org\n",
        "",
    ],
)
def test_other_texts_are_no_requirements(text: str) -> None:
    assert not is_requirements(text)
