"""What the pages say is so: links lead somewhere, commands take these options, settings, rules and files exist."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from textwrap import dedent

import pytest
import typer
import yaml

from weighbridge.cli import app
from weighbridge.config.models_file import read_models
from weighbridge.config.policy_file import load_policy
from weighbridge.config.settings import Settings
from weighbridge.domain.rules import RULES
from weighbridge.domain.webhooks import EVENTS

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(ROOT.glob("d*/**/*.md"))]
LABELS = [str(page.relative_to(ROOT)) for page in PAGES]


def _names(path: Path) -> set[str]:
    """Return what a module defines: names, and the names within its classes."""
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef):
            parts = [part.name for part in node.body if isinstance(part, ast.FunctionDef)]
            parts += [part.target.id for part in node.body if isinstance(part, ast.AnnAssign)]  # type: ignore[union-attr]
            found |= {node.name, *(f"{node.name}.{part}" for part in parts)}
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    return found


def _exists(dotted: str) -> bool:
    """Whether a dotted name below `weighbridge` is a module, or stands in one."""
    parts = dotted.split(".")
    for end in range(len(parts), 0, -1):
        path = ROOT.joinpath("weighbridge", *parts[:end])
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        if file.exists():
            return end == len(parts) or ".".join(parts[end:]) in _names(file)
    return False


def test_the_terms_name_code_that_exists() -> None:
    rows = [line.split(" | ") for line in (ROOT / "docs/terms.md").read_text().splitlines() if line.startswith("| **")]
    named = [name for row in rows for name in re.findall(r"`([\w.]+)`", row[-1])]
    assert len(named) > 40
    assert [name for name in named if name != "prefect.yaml" and not _exists(name)] == []


@pytest.mark.parametrize("page", ["docs/architecture.md", "CONTRIBUTING.md"])
def test_pages_name_files_that_exist(page: str) -> None:
    paths = re.findall(r"`((?:[\w]+/)+[\w]*(?:\.py)?)`", (ROOT / page).read_text())
    assert paths
    roots = (ROOT, ROOT / "weighbridge")
    assert [path for path in paths if "NAME" not in path and not any((root / path).exists() for root in roots)] == []


def test_the_architecture_draws_the_rooms_that_there_are() -> None:
    drawing = (ROOT / "docs/architecture.md").read_text().partition("```")[2].partition("```")[0]
    drawn = re.findall(r"^  (\w+)(?:/|\.py) ", drawing, re.MULTILINE)
    rooms = {path.stem for path in (ROOT / "weighbridge").iterdir() if path.name not in ("__pycache__", "py.typed")}
    assert set(drawn) == rooms - {"__init__", "__main__"}


def blocks(page: Path, kind: str = "") -> list[str]:
    """Return the fenced blocks of a page of one kind, `yaml` say; plain ones hold commands."""
    fenced = re.findall(r"^ *```([\w]*)\n(.*?)^ *```$", page.read_text(), re.MULTILINE | re.DOTALL)
    return [dedent(text) for found, text in fenced if found == kind]


def commands(page: Path) -> list[str]:
    """Return the lines of a page's plain blocks that run Weighbridge."""
    lines = [line for text in blocks(page) for line in text.splitlines()]
    return [line for line in lines if re.match(r"([A-Z_]+=\S+ )*weighbridge \S", line)]


def prose(page: Path) -> str:
    """Return a page without its blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def words_of(page: Path) -> Iterator[str]:
    """Yield what stands in backticks in a page's sentences."""
    yield from re.findall(r"`([^`\n]+)`", prose(page))


def parse(line: str) -> None:
    """Hold a line to what the command line takes; nothing is run."""
    words = shlex.split(re.split(r" > | \|\| ", line)[0], comments=True)
    name, *arguments = (word for word in words[words.index("weighbridge") + 1 :] if word not in ("-q", "-v"))
    group = typer.main.get_group(app.app)
    found = group.get_command(typer.Context(group), name)
    assert found is not None, line
    found.make_context(name, arguments)  # Refuses what the command does not take.


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in commands(page)}))
def test_commands_take_these_options(line: str) -> None:
    parse(line)


def test_the_pages_have_commands() -> None:
    assert len(commands(ROOT / "README.md")) >= 10
    assert len(commands(ROOT / "docs/models.md")) > 8


@pytest.mark.parametrize("page", PAGES, ids=LABELS)
def test_sentences_name_commands_that_exist(page: Path) -> None:
    for text in words_of(page):
        if found := re.match(r"weighbridge ([a-z][a-z-]*)(.*)", text):
            assert set(re.findall(r"(?<!\S)--?[a-z][a-z-]*", found[2])) <= _options(found[1]), text


def _options(name: str) -> set[str]:
    """Return the options of a command, or of all commands of a group. Raises KeyError where there is none."""
    waiting = [typer.main.get_group(app.app).commands[name]]
    options = {"-h", "--help"}
    while waiting:
        command = waiting.pop()
        waiting += getattr(command, "commands", {}).values()
        for option in command.params:
            options |= {*option.opts, *option.secondary_opts}
    return options


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(
        r"^#+ (.+)$", re.sub(r"^ *```.*?^ *```$", "", page.read_text(), flags=re.M | re.S), re.MULTILINE
    )
    plain = (re.sub(r"[`*]|\]\([^)]*\)|\[", "", title).lower() for title in titles)
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in plain}


@pytest.mark.parametrize("page", PAGES, ids=LABELS)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=LABELS)
def test_variables_are_settings(page: Path) -> None:
    known = {f"WEIGHBRIDGE_{field.upper()}" for field in Settings.model_fields}
    assert set(re.findall(r"\bWEIGHBRIDGE_[A-Z_]+\b", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=LABELS)
def test_rules_exist(page: Path) -> None:
    groups = {rule.partition(".")[0] for rule in RULES}
    named = {text for text in words_of(page) if re.fullmatch(r"[a-z]+\.[a-z-]+", text) and not _is_file(text)}
    others = {text for text in named if text.partition(".")[0] in groups and not _exists(text)} - set(EVENTS)
    assert others <= set(RULES)


def _is_file(text: str) -> bool:
    return text.endswith((".json", ".md", ".yaml", ".gguf", ".bin", ".pyc", ".py", ".sig"))


@pytest.mark.parametrize("page", PAGES, ids=LABELS)
def test_files_exist(page: Path) -> None:
    tops = "|".join(path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith("."))
    named = {text for text in words_of(page) if re.fullmatch(rf"(?:{tops})/[\w./-]+", text)}
    own = {text for text in named if "NAME" not in text and "acme" not in text}  # Acme's package is the reader's.
    assert {text for text in own if not (ROOT / text).exists()} == set()


def test_the_index_names_every_page() -> None:
    index = ROOT / "docs" / "README.md"
    linked = {
        (index.parent / target.partition("#")[0]).resolve()
        for target in re.findall(r"\]\(([^)]+)\)", index.read_text())
    }
    pages = {page.resolve() for page in PAGES if page.parent.name != "adr" and "docs" in page.parts}
    assert pages - linked == {index.resolve()}


def _kind(text: str) -> str:
    """Return whether a YAML block is a models.yaml or a policy; empty for others, and for those that need your code."""
    if "own_handlers" in text:
        return ""
    content = yaml.safe_load(text)
    keys = set(content) if isinstance(content, dict) else set()
    if keys and keys <= {"models", "sources"} and "models" in keys:
        return "models"
    return "policy" if keys & {"extends", "waivers"} else ""


@pytest.mark.parametrize(
    "text", sorted({text for page in PAGES for text in blocks(page, "yaml") if "…" not in text and _kind(text)})
)
def test_files_that_are_shown_can_be_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text if _kind(text) == "models" or "extends" in text else f"name: x\nextends: standard\n{text}")
    if _kind(text) == "models":
        assert read_models(path)
    else:
        assert load_policy(str(path), tmp_path).name


@cache
def _messages() -> str:
    """Return every text of the code, one a line, what is filled in as `…`."""
    texts = []
    for root in ("weighbridge", "flows", "tasks", "blocks"):
        for path in (ROOT / root).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.JoinedStr):
                    parts = (str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
                    texts.append("".join(parts))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    texts.append(node.value)
    return "\n".join(text.replace("\n", " ") for text in texts)


def test_the_messages_that_troubleshooting_explains_are_messages() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(rows) > 40
    for message in rows:
        pattern = ".*".join(re.escape(part) for part in message.split("…"))
        assert re.search(pattern, _messages()), message
