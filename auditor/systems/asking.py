"""What a language model is asked, and what came back: the same for every dialect."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerForm:
    """How the answer must be shaped.

    Attributes
    ----------
    kind
        ``json_schema``: the answer's text is JSON of this schema. ``tool``: the answer is a call of this one tool.
    name
        Of the schema or the tool, for the wire.
    schema
        A JSON schema of an object.
    """

    kind: Literal["json_schema", "tool"]
    name: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to a language model.

    Attributes
    ----------
    prompt
        What the user says, or the text that is continued.
    system
        The system prompt; empty for none.
    max_tokens
        The longest answer.
    temperature
        0 is greedy as far as the server obeys; ``None`` leaves it to the server.
    seed
        ``None`` for none.
    top
        How many of the likeliest tokens are asked for at every position; 0 for no log-probabilities.
    form
        ``None`` for free text.
    continuations
        Answers whose own log-probability after the prompt is wanted. Then no text is generated.
    occasion
        ``case``, ``probe``, ``drift start``: questions on other occasions are other requests.
    replicate
        Which of the repeats of the same question. Occasion and replicate are not sent: they keep answers apart.
    """

    prompt: str
    system: str = ""
    max_tokens: int = 16
    temperature: float | None = 0.0
    seed: int | None = None
    top: int = 0
    form: AnswerForm | None = None
    continuations: tuple[str, ...] = ()
    occasion: str = "case"
    replicate: int = 0


class Finish(StrEnum):
    """Why an answer ended."""

    STOP = "stop"
    TOOL = "tool"
    LENGTH = "length"
    FILTERED = "filtered"
    REFUSED = "refused"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the server counted them; ``None`` where it does not say."""

    prompt: int | None = None
    answer: int | None = None


@dataclass(frozen=True, slots=True)
class TokenStep:
    """One token of an answer: its text, its log-probability in nats, and the likeliest tokens at its position."""

    text: str
    log_probability: float
    likeliest: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class Scored:
    """Log-probability (nats) of a whole continuation after the prompt, or why there is none."""

    continuation: str
    log_probability: float | None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What a language model answered.

    Attributes
    ----------
    text
        The final answer, character by character; empty if there is none.
    thinking
        What it said to itself. It is kept and never read as the answer.
    refusal
        The server's own words where it marks a refusal as one.
    tool
        The arguments of the forced tool as JSON text; empty if it was not called.
    finish, finish_said
        Why it ended, and the server's own word for it.
    model, fingerprint
        What the answer says it comes from.
    steps
        The tokens of the final answer; ``None`` without plausible log-probabilities, for the reason in ``trouble``.
    scored
        One for every continuation that was asked for.
    """

    text: str = ""
    thinking: str = ""
    refusal: str = ""
    tool: str = ""
    finish: Finish = Finish.STOP
    finish_said: str = ""
    model: str = ""
    fingerprint: str = ""
    usage: Usage = Usage()
    steps: tuple[TokenStep, ...] | None = None
    trouble: str = ""
    scored: tuple[Scored, ...] = field(default=())
