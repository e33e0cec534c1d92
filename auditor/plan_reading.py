"""``[reading]`` and ``[limits]`` of a plan: how answers are asked for and read, and what that may cost.

Both are keys of schema 2. A plan of schema 1 has their defaults, so it can be put to a system that answers as it is.
Weights give log-odds by default; with ``readout = "choice"`` they are read by the text that they generate.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from auditor.plan_section import Section

AUTO, LOG_ODDS, CHOICE = "auto", "log_odds", "choice"


class Reading(Section):
    """``[reading]``: how a decision is read from an answer."""

    readout: Literal["auto", "log_odds", "choice"] = "auto"
    form: Literal["text", "json_schema", "tool"] = "text"
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.0
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    replicates: Annotated[int, Field(ge=1, le=100)] = 1
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    stop: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=8)] = ()
    top: Annotated[int, Field(ge=1, le=20)] = 20


class Limits(Section):
    """``[limits]``: the most a run may ask for; what an administrator listed holds beside it."""

    requests: Annotated[int, Field(ge=1)] | None = None
    money: Annotated[float, Field(gt=0)] | None = None
