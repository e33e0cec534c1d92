"""What reading an answer yields: a value, or the reason why there is none; always the exact text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from auditor.readouts.refusal_words import reads_as_refusal
from auditor.systems.asking import Finish, Response

Value = TypeVar("Value")


class ReadAs(StrEnum):
    """How reading ended. Refused and unreadable are outcomes of their own, counted in every arm."""

    VALUE = "value"
    REFUSED = "refused"
    UNREADABLE = "unreadable"


class NotRead(ValueError):
    """A text is not what a grammar asks for; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadAnswer(Generic[Value]):
    """What was read.

    Attributes
    ----------
    read
        Whether there is a value.
    value
        ``None`` unless ``read`` says there is one.
    text
        The final answer, character by character.
    reason
        Why there is no value; empty where there is one.
    """

    read: ReadAs
    value: Value | None
    text: str
    reason: str = ""


def read_strictly(
    response: Response, parse: Callable[[str], Value], *, tool: bool, answers: tuple[str, ...]
) -> ReadAnswer[Value]:
    """Read the final answer, or the call of the forced tool, with a parser that takes all of it or nothing.

    Parameters
    ----------
    response
        The answer.
    parse
        Raises ``NotRead`` for a text that is not what it asks for.
    tool
        The arguments of the tool are read, not the text.
    answers
        The answers there are; a text with one of them in it is never taken for a refusal.
    """
    exact = response.tool if tool else response.text
    # A model that declines in words does not call the tool either.
    written = exact or response.text
    declines = reads_as_refusal(written, answers=answers)
    if (why := _refused(response)) is not None:
        return ReadAnswer(read=ReadAs.REFUSED, value=None, text=written or response.refusal, reason=why)
    trouble = _hindered(response, exact, tool=tool)
    if trouble is None:
        try:
            return ReadAnswer(read=ReadAs.VALUE, value=parse(exact), text=exact)
        except NotRead as error:
            trouble = str(error)
    if declines and response.finish is not Finish.LENGTH:
        return ReadAnswer(read=ReadAs.REFUSED, value=None, text=written, reason="the answer declines")
    return ReadAnswer(read=ReadAs.UNREADABLE, value=None, text=written, reason=trouble)


def _refused(response: Response) -> str | None:
    """Why the answer is a refusal whatever it says."""
    if response.finish is Finish.FILTERED:
        return "a content filter stood between"
    if response.refusal or response.finish is Finish.REFUSED:
        return "the server marks it as a refusal"
    return None


def _hindered(response: Response, exact: str, *, tool: bool) -> str | None:
    """Why the answer cannot be read whatever it says."""
    if response.finish is Finish.LENGTH:
        return "the answer was cut off"
    if response.finish is Finish.OTHER:
        return f"the answer ended in a way nobody knows ({response.finish_said or 'not said'})"
    if tool and not exact:
        return "the tool was not called, or not once"
    if not tool and response.finish is Finish.TOOL:
        return "a tool was called that is not read"
    return None if exact.strip() else "there is no final answer"
