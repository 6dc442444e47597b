"""One line a step, whatever its width holds and whatever a file is called; constant lines where nobody watches."""

import io
import itertools

import pytest
from rich.cells import cell_len
from rich.console import Console

from weighbridge.domain.tally import Reading
from weighbridge.views.progress_bars import Bars, line
from weighbridge.views.text import progress_text

GIB = 1024**3
NAMES = ["model-00001-of-00191.safetensors", "模型" * 40, "[bold]x[/bold]", "a\nb\x1b[2J\u202ec", ""]
AMOUNTS = [(0, None), (0, 2 * GIB), (GIB, 2 * GIB), (2 * GIB, 2 * GIB), (5 * GIB, None), (1023 * GIB, 1023 * GIB + 9)]


def readings() -> list[Reading]:
    speeds = [None, 0.0, 1.5, 1023.94 * 1024**2]
    return [
        Reading("fetch", "bytes", done, total, name, speed, 3.0)
        for (done, total), name, speed in itertools.product(AMOUNTS, NAMES, speeds)
    ]


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_a_step_is_one_line_of_any_terminal(width: int, ascii_only: bool) -> None:
    for reading in readings():
        text = line(reading, width, ascii_only=ascii_only)
        assert cell_len(text.plain) <= width
        assert text.plain.isprintable()


def test_a_line_says_amount_speed_time_left_and_the_end_of_the_name() -> None:
    reading = Reading("fetch", "bytes", 512 * 1024**2, GIB, "model-00001-of-00191.safetensors", 128 * 1024.0**2, 4.0)
    words = line(reading, 80).plain.split()
    assert words[1:] == ["fetch", "━━━━━─────", "0.5/1.0", "GiB", "128.0", "MiB/s", "0:04", "left", "...1.safetensors"]
    assert progress_text(reading) == "0.5/1.0 GiB at 128.0 MiB/s, 0:04 left, model-00001-of-00191.safetensors"


def test_counts_have_no_speed() -> None:
    words = line(Reading("compare", "models", 3, 22, "m", 0.5, 6.0), 80).plain.split()
    assert words[1:] == ["compare", "━─────────", "3/22", "models", "0:38", "left", "m"]


def test_a_bar_can_be_read_without_colours() -> None:
    half = Reading("scan", "bytes", 5, 10, "", 1.0, 1.0)
    assert "━━━━━─────" in line(half, 80).plain
    assert "#####....." in line(half, 80, ascii_only=True).plain


@pytest.mark.parametrize("forced", [True, False])
def test_a_pipe_gets_one_constant_line_a_step(forced: bool) -> None:
    """FORCE_COLOR, which continuous integration sets, makes no terminal of a pipe."""
    out = io.StringIO()
    with Bars(Console(file=out, force_terminal=forced, force_interactive=forced, no_color=True)) as bars:
        for step in ("fetch", "scan", "fetch"):
            bars.expect(step, 10)
            bars.say(step, "file")
            bars.advance(step, 5)
        bars.advance("fetch", 5)
    assert [text for text in out.getvalue().splitlines() if "…" in text] == out.getvalue().splitlines()
    assert len(out.getvalue().splitlines()) == 2


def test_a_terminal_is_left_as_it_was() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    console = Console(file=out, force_terminal=True, force_interactive=True, width=80)
    with Bars(console) as bars:
        bars.expect("fetch", 10)
        with bars.hidden():
            console.print("a result")
        bars.advance("fetch", 5)
        bars.stop()  # As an interrupt does, in the middle.
    text = out.getvalue()
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")
    assert text.rstrip().endswith(("\x1b[2K", "\x1b[?25h"))
    assert "a result" in text
