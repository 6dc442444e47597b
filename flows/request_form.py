"""The form of the flow `request_model`: what the person who decides reads, and what the answer holds.

Not here: the run that waits for the answer (request_model).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from prefect.input import RunInput
from pydantic import Field

from weighbridge.domain.text import markdown_text

#: Days for which a request waits; Prefect's server marks it as Failed after them.
Days = Annotated[int, Field(ge=1, le=90)]


class RequestAnswer(RunInput):
    """The decision about a request.

    Attributes:
        decision: whether the model is taken in.
        by: the person who decides, as they call themselves: Prefect's own server knows no users.
        reason: a sentence for the person who asked.
    """

    decision: Literal["approve", "decline"] = Field(description="Whether the model is taken in and examined.")
    by: str = Field(min_length=1, max_length=200, description="Your name: Prefect's own server does not know it.")
    reason: str = Field(default="", max_length=2000, description="A sentence for the person who asked.")


def request_text(model: str, asked_by: str, reason: str, facts: Sequence[tuple[str, str]]) -> str:
    """Return the request as Markdown: who asks for which model and why, and what is known of it.

    Args:
        model: its name.
        asked_by: the person who asks, as they call themselves; empty where they did not say.
        reason: why, in that person's words.
        facts: what is known of the model: a word and its value.
    """
    lines = [f"**{markdown_text(asked_by or 'Somebody')}** asks for **{markdown_text(model)}**."]
    lines += [f"> {markdown_text(reason)}"] if reason else []
    table = ["| | |", "|---|---|", *(f"| {word} | {markdown_text(value)} |" for word, value in facts if value)]
    return "\n\n".join([*lines, "\n".join(table)])
