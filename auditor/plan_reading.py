"""``[reading]`` and ``[limits]`` of a plan: how the answers of a system are asked for and read, and what that may cost.

Both are keys of schema 2. A plan of schema 1 has their defaults, so it can be put to a system that answers as it is.
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
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    top: Annotated[int, Field(ge=1, le=20)] = 20


class Limits(Section):
    """``[limits]``: the most a run may ask for; what an administrator listed holds beside it."""

    requests: Annotated[int, Field(ge=1)] | None = None
    money: Annotated[float, Field(gt=0)] | None = None
