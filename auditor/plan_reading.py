"""``[reading]`` and ``[limits]`` of a plan: how answers are asked for and read, and what that may cost.

Both are keys of schema 2. A plan of schema 1 has their defaults, so it can be put to a system that answers as it is.
Weights give log-odds by default; with any other readout they are read by the text that they generate.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from auditor.plan_section import Section

AUTO, LOG_ODDS, CHOICE, AMOUNT, REASONS = "auto", "log_odds", "choice", "amount", "reasons"
IN_WORDS = (CHOICE, AMOUNT, REASONS)
"""Readouts that read the text of an answer."""

Text = Annotated[str, Field(min_length=1)]


class AmountReading(Section):
    """``[reading.amount]``: the form of the number that an answer is; nothing is searched for in a text."""

    unit: Text
    marks: tuple[Text, ...] = ()
    marked: bool = False
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ","
    least: float = 0.0
    most: float = 1e15
    adverse_up_to: float = 0.0
    higher_is_better: bool = True

    @model_validator(mode="after")
    def _can_be_told_apart(self) -> AmountReading:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands are written alike")
        if self.marked and not self.marks:
            raise ValueError("marked: the unit must be written, and marks says no way to write it")
        if self.most <= self.least:
            raise ValueError("most must be greater than least")
        return self


class ReasonsReading(Section):
    """``[reading.reasons]``: the codes that an answer may give, and the word that says there is none."""

    codes: Annotated[dict[Text, str], Field(min_length=1)]
    none: Text = "none"
    most: Annotated[int, Field(ge=1)] = 20

    @model_validator(mode="after")
    def _none_is_no_code(self) -> ReasonsReading:
        folded = [code.strip().casefold() for code in self.codes]
        if len(set(folded)) != len(folded) or any(mark in code for code in self.codes for mark in ",;\n"):
            raise ValueError("codes: expected codes that differ in more than case, without comma, semicolon or line")
        if self.none.strip().casefold() in folded:
            raise ValueError(f"none: {self.none!r} is one of the codes")
        return self


class Reading(Section):
    """``[reading]``: how a decision is read from an answer."""

    readout: Literal["auto", "log_odds", "choice", "amount", "reasons"] = "auto"
    form: Literal["text", "json_schema", "tool"] = "text"
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    replicates: Annotated[int, Field(ge=1, le=100)] = 1
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=8)] = ()
    top: Annotated[int, Field(ge=1, le=20)] = 20
    amount: AmountReading | None = None
    reasons: ReasonsReading | None = None


class Limits(Section):
    """``[limits]``: the most a run may ask for; what an administrator listed holds beside it."""

    requests: Annotated[int, Field(ge=1)] | None = None
    money: Annotated[float, Field(gt=0)] | None = None
