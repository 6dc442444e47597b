"""What the modules of the command line share: consoles, options of several commands, progress, confirmation."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console, ConsoleDimensions, ConsoleOptions, RenderableType
from rich.segment import Segment

from weighbridge.config.settings import Settings
from weighbridge.domain.progress import Progress, Silent
from weighbridge.domain.text import visible
from weighbridge.errors import UsageError
from weighbridge.views.progress_bars import Bars
from weighbridge.views.schemas import named

#: Columns where the output is not a terminal: lines for a file or another program are not wrapped.
_UNWRAPPED = 1 << 16


class SafeConsole(Console):
    """A console that shows invisible and terminal control characters in a model's text by their codes.

    Where the output is not a terminal, no line is wrapped, whatever COLUMNS is.
    """

    @property
    def size(self) -> ConsoleDimensions:
        """The size of the terminal."""
        return super().size if self.is_terminal else ConsoleDimensions(_UNWRAPPED, 25)

    @size.setter
    def size(self, new_size: tuple[int, int]) -> None:
        self.width, self.height = new_size

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield the printed segments; our own cursor movements are separate control segments and stay."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)


out, err = SafeConsole(), SafeConsole(stderr=True)

AsJSON = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else on stdout.")]
AsJSONList = Annotated[bool, typer.Option("--json", help="Print a JSON list of objects and nothing else on stdout.")]
ModelsOption = Annotated[Path, typer.Option("--models", help="The list of wanted models.")]
OnlyOption = Annotated[
    str, typer.Option("--only", envvar="MODELS", help="Names of models.yaml, separated by commas; all by default.")
]
YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
NameArgument = Annotated[str, typer.Argument(metavar="NAME[@VERSION]")]
EXIT_REJECTED = 2
PolicyOption = Annotated[
    str, typer.Option("--policy", help="Preset (strict, standard, minimal, quick, paranoid) or a policy file.")
]
LockedOption = Annotated[bool, typer.Option("--locked", help="Accept exactly what models.lock holds.")]


class Via(StrEnum):
    """How flows are run."""

    auto = "auto"
    direct = "direct"
    prefect = "prefect"


ViaOption = Annotated[
    Via | None,
    typer.Option(help="Through Prefect or directly; auto: through Prefect when PREFECT_API_URL names a server."),
]
#: What every record has: all else are fields that whoever logs has added.
_OF_EVERY_RECORD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
_silenced = False
_verbose = 0
_bars: Bars | None = None


def silence(wanted: bool) -> None:
    """Turn progress off or on for the whole command, as `--quiet` asks."""
    global _silenced
    _silenced = wanted


@contextmanager
def bars(quiet: bool) -> Iterator[Progress]:
    """Show progress on stderr; nothing when quiet."""
    if quiet or _silenced:
        yield Silent()
        return
    global _bars
    with Bars(err) as shown:
        _bars = shown
        try:
            yield shown
        finally:
            _bars = None


@contextmanager
def above_bars() -> Iterator[None]:
    """Hide the progress bars while something is printed."""
    with _bars.hidden() if _bars else nullcontext():
        yield


class LogAboveBars(logging.Handler):
    """Writes log records to stderr, above the progress bars."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        err.print(self.format(record), style="dim", markup=False, highlight=False, soft_wrap=True)


class Fields(logging.Formatter):
    """Formats a record of ours as its message and, in JSON, its fields (`extra`)."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        text = super().format(record)
        fields = {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD}
        ours = record.name.partition(".")[0] == "weighbridge"
        return f"{text} {json.dumps(fields, default=str)}" if fields and ours else text


def log_to_stderr(verbose: int) -> None:
    """Write what is logged to stderr: errors; with 1 also warnings and each step, with 2 also each file given out."""
    global _verbose
    _verbose = verbose
    handler = LogAboveBars()
    handler.setFormatter(Fields("%(message)s"))
    if not verbose:  # The report replaces Prefect's messages; Prefect's own logs have them all.
        handler.addFilter(lambda record: not record.name.startswith("prefect"))
    logging.basicConfig(level=logging.WARNING if verbose else logging.ERROR, handlers=[handler])
    logging.getLogger("weighbridge").setLevel((logging.NOTSET, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    for name in ("httpx", "httpx2"):  # They log whole URLs, and a signed URL is a secret.
        logging.getLogger(name).setLevel(logging.WARNING)


def verbosity() -> int:
    """Return what `log_to_stderr` was told last, for a process that begins anew."""
    return _verbose


def hide_bars() -> None:
    """Remove the progress bars and show the cursor again at any moment, because the process ends."""
    if _bars is not None:
        _bars.stop()
    err.show_cursor()


def examples(*lines: str) -> str:
    """Return the text below a command's help; its lines work in a clone where `make demo` was run."""
    return "\n".join(("For example:", *(f"  {line}" for line in lines)))


def confirm(question: str, yes: bool, as_json: bool) -> None:
    """Ask before something is removed; without a terminal, `--yes` is required.

    Raises:
        UsageError: there is neither `--yes` nor a terminal.
        typer.Exit: the answer is no.
    """
    if yes:
        return
    if as_json or not sys.stdin.isatty():
        raise UsageError("Without a terminal, this command cannot ask for confirmation.", "Add --yes.")
    if not typer.confirm(question, err=True):
        err.print("Nothing was changed.")
        raise typer.Exit(1)


def say(schema: str, content: Any, draw: Callable[[], None], as_json: bool) -> None:
    """Print an object or a list of them as JSON with its schema, or call `draw` for a person."""
    if as_json:
        print(json.dumps(named(schema, content), default=str))  # noqa: T201 (what --json asks for)
    else:
        draw()


def note(text: str) -> None:
    """Print a sentence about a result on stderr, so that pipes stay clean; nothing with `--quiet`."""
    if not _silenced:
        err.print(text, style="dim", markup=False, highlight=False, soft_wrap=True)


def finish(content: Any, draw: Callable[[], None], status: str, as_json: bool) -> None:
    """Print a version, and exit with the gate's status: anything but PASSED is a rejection."""
    say("version", content, draw, as_json)
    if status != "PASSED":
        raise typer.Exit(EXIT_REJECTED)


def via_prefect(wanted: Via | None) -> bool:
    """Return whether a command runs a flow: by its option, else by the settings, else where Prefect has a server."""
    via = wanted or Settings().via
    return via == "prefect" or (via == "auto" and bool(os.environ.get("PREFECT_API_URL")))
