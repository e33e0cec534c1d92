"""What an answer with another status than 200 is: busy, broken, refused by a filter, or a refusal to be asked."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from auditor.systems.conduct import HandledAnswer, Handling, asked_wait
from auditor.systems.exceptions import WireError
from auditor.systems.retries import passes
from auditor.systems.transport import Arrived
from auditor.systems.wire import read_json

_LONGEST = 300
"""Characters of a server's own sentence that are shown."""


def judge_status(answer: Arrived) -> HandledAnswer:
    """What an answer that is no 200 means for the next try. Its own sentence is in the note; keys are out of it."""
    try:
        phrase = f"{answer.status} {HTTPStatus(answer.status).phrase}"
    except ValueError:
        phrase = str(answer.status)
    wait, said = asked_wait(answer), sentence(answer.body)
    if answer.status == 429 or (answer.status in (503, 529) and wait is not None):
        return HandledAnswer(Handling.BUSY, phrase, said, wait=wait)
    if passes(answer.status):
        return HandledAnswer(Handling.AGAIN, phrase, said, wait=wait)
    note = f"answers {phrase}" + (f": {said}" if said else "")
    if 300 <= answer.status < 400:
        note = f"answers {phrase}; redirects are not followed, since they lead to addresses nobody listed"
    return HandledAnswer(Handling.RENEW if answer.status == 401 else Handling.STOP, note)


def filtered(answer: Arrived) -> bool:
    """Whether a content filter stood between, told as an error: Azure's 400 with ``content_filter``."""
    if answer.status != 400:
        return False
    try:
        error = read_json(answer.body).get("error")
    except WireError:
        return False
    inner = error.get("innererror") if isinstance(error, dict) else None
    codes = [part.get("code") for part in (error, inner) if isinstance(part, dict)]
    return "content_filter" in codes or "ResponsibleAIPolicyViolation" in codes


def told_error(body: bytes) -> str:
    """The sentence of an error that was told as a good answer; empty where the answer names none."""
    try:
        return sentence(body) if read_json(body).get("error") else ""
    except WireError:
        return ""


def sentence(body: bytes) -> str:
    """The sentence in which a server says what is wrong, in one line, cut where it is long."""
    try:
        content: Any = read_json(body)
    except WireError:
        text = body.decode("utf-8", "replace")
        return "" if "<html" in text.lower() else _line(text)
    error = content.get("error", content.get("detail", content.get("message")))
    if isinstance(error, dict):
        error = error.get("message", error.get("detail"))
    if isinstance(error, list) and error and isinstance(error[0], dict):
        error = error[0].get("msg", error[0].get("message"))
    return _line(error) if isinstance(error, str) else ""


def _line(text: str) -> str:
    shown = " ".join("".join(mark if mark.isprintable() else " " for mark in text).split())
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}…"
