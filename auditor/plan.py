"""The plan: the design people approve, read from TOML, checked as typed, hashed as canonical JSON.

Everything but ``[run]`` is the design. ``[run]`` names the model and data a run is bound to by default; a retest is the
same design on another model version. docs/plan.md explains every key.
"""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date as calendar_date
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from auditor.canonical import sha256_json
from auditor.exceptions import PlanError, reason_of
from auditor.mappings import nfc
from auditor.plan_reading import Limits, Reading
from auditor.plan_section import Section
from auditor.statistics.results import MIN_RESAMPLES
from auditor.toml_text import parse_toml

Share = Annotated[float, Field(gt=0, lt=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]*$", max_length=80)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=80)]
TWO_RATES = re.compile(r"\s*\[?\s*(0?\.\d+)\s*(?:,|to)\s*(0?\.\d+)\s*\]?\s*")
LARGEST_INTEGER = 2**53
SHARED_SETTINGS = frozenset({"dictionary"})
"""Tables of ``[settings]`` that several tests share."""

SECOND_SCHEMA = ("reading", "limits")
"""Sections that schema 2 added. A plan of schema 1 has their defaults, which are no part of its design."""

LATER = ("amount", "reasons")
"""Tables of ``[reading]`` that stand in a design only where they are given."""

AnySection = TypeVar("AnySection", bound=Section)


class Binding(Section):
    """``[run]``: what the design is bound to when nothing else is said."""

    model: str = ""
    data: str = ""
    mapping: str = ""


class Use(Section):
    """``[use]``: what the model is used for, and under which policy packs it is read."""

    business_use: str
    decision_role: Literal["advisory", "determinative"]
    products: tuple[str, ...] = ()
    jurisdictions: tuple[str, ...] = ()
    population: str = ""
    excluded_uses: tuple[str, ...] = ()
    model_tier: Annotated[int, Field(ge=1, le=4)] = 2
    policy_packs: tuple[str, ...] = ()


class CaseSelection(Section):
    """``[cases]``: which applications are asked about."""

    select: Literal["unseen", "all"] = "all"
    limit: Annotated[int, Field(ge=1)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**53)] = 0


class Answers(Section):
    """``[prompt.answers]``: the spellings of each answer, written exactly as they follow the prompt."""

    favourable: Annotated[tuple[str, ...], Field(min_length=1)]
    adverse: Annotated[tuple[str, ...], Field(min_length=1)]
    mass_floor: Annotated[float, Field(ge=0, le=1)] = 0.5


class Prompt(Section):
    """``[prompt]``: what the model reads."""

    template: Annotated[str, Field(min_length=1)]
    form: Literal["record", "chat"] = "record"
    style: Literal["lines", "table", "json", "prose"] = "lines"
    fields: tuple[Identifier, ...] = ()
    system: str = ""
    date: Annotated[str, Field(pattern=r"^(\d{4}-\d{2}-\d{2})?$")] = ""
    answers: Answers

    @field_validator("date")
    @classmethod
    def _is_a_day(cls, value: str) -> str:
        if value:
            calendar_date.fromisoformat(value)
        return value


def _without_default(schema: dict[str, Any]) -> None:
    """A published schema names no default that it would refuse."""
    del schema["default"]


NO_PROMPT = Prompt.model_construct(
    template="", answers=Answers.model_construct(favourable=(), adverse=(), mass_floor=0.0)
)
"""The prompt of a plan that asks nobody. No plan can write it: a prompt that is given has a template and answers."""


class Placebo(Section):
    """``[placebo]``: an irrelevant field, drawn at random and changed in one case of every application."""

    field: Identifier
    label: str
    low: int
    high: int

    @model_validator(mode="after")
    def _room(self) -> Placebo:
        if self.high <= self.low:
            raise ValueError("high must be greater than low")
        return self


class Attribute(Section):
    """``[[attributes]]``: a protected field, the groups it is set to, and the reference group."""

    field: Identifier
    groups: Annotated[tuple[str, ...], Field(min_length=2)]
    reference: str

    @field_validator("groups", "reference")
    @classmethod
    def _composed(cls, value: Any) -> Any:
        # As mappings write values: a letter and its accent are one.
        return nfc(value) if isinstance(value, str) else tuple(map(nfc, value))

    @model_validator(mode="after")
    def _reference_is_a_group(self) -> Attribute:
        if self.reference not in self.groups:
            raise ValueError(f"reference {self.reference!r} is not one of the groups {list(self.groups)}")
        if len(set(self.groups)) != len(self.groups):
            raise ValueError("a group is listed twice")
        return self


class Noise(Section):
    """``[noise]``: how many applications are asked once more, each prompt alone by the model's own forward pass."""

    reask: Annotated[int, Field(ge=0)] = 0


class Tests(Section):
    """``[tests]``: the tests to run, by name."""

    run: Annotated[tuple[Name, ...], Field(min_length=1)]


class Thresholds(Section):
    """``[thresholds]``: fixed before the run, printed with their basis."""

    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    power: Share = 0.8
    practical_rate: Share = 0.02
    equivalence_rate: Share = 0.02
    practical_margin_sd: Annotated[float, Field(gt=0)] = 0.10
    exploratory_q: Share = 0.10
    bootstrap: Annotated[int, Field(ge=MIN_RESAMPLES, le=100_000)] = 2000
    small_cell: Annotated[int, Field(ge=0)] = 11

    @model_validator(mode="after")
    def _margin_within_threshold(self) -> Thresholds:
        # Otherwise a difference that meets the practical threshold could be called equivalent.
        if self.equivalence_rate > self.practical_rate:
            raise ValueError(
                f"equivalence_rate {self.equivalence_rate:g} is above practical_rate {self.practical_rate:g}: "
                "a difference that matters could be called equivalent"
            )
        return self


class OperatingPoint(Section):
    """``[operating_point]``: when a decision counts as favourable, and when the natural rule says nothing."""

    natural_margin: float = 0.0
    matched_rate: Literal["observed"] | Share = "observed"
    range: Literal["observed"] | tuple[Share, Share] = "observed"
    degenerate_share: Share = 0.98
    mute_share: Share = 0.05

    @field_validator("matched_rate", mode="wrap")
    @classmethod
    def _observed_or_share(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError:
            # One line for both alternatives; the library names its own branches instead of the key.
            raise ValueError('input should be "observed" or a number above 0 and below 1') from None

    @field_validator("range", mode="wrap")
    @classmethod
    def _observed_or_two_rates(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        # The form of the site has text for every box: "0.8 to 0.95" and "[0.8, 0.95]" mean the list.
        typed = TWO_RATES.fullmatch(value) if isinstance(value, str) else None
        try:
            given = [float(typed[1]), float(typed[2])] if typed else value
            found = check(tuple(given) if isinstance(given, list) else given)
        except ValidationError:
            found = None
        if found is None or (isinstance(found, tuple) and found[0] >= found[1]):
            raise ValueError('input should be "observed" or two approval rates [low, high] with 0 < low < high < 1')
        return found


class Budget(Section):
    """``[budget]``: chunk and pack boundaries follow from these numbers alone."""

    threads: Annotated[int, Field(ge=1, le=256)] = 2
    pack_tokens: Annotated[int, Field(ge=16)] = 768
    chunk_tokens: Annotated[int, Field(ge=64)] = 7000
    max_prompt_tokens: Annotated[int, Field(ge=8)] = 1024


class Plan(Section):
    """A whole plan. ``design_sha256`` is what people approve.

    Of schema 2 it may do without ``[prompt]``: then it can be bound to a file of decisions already taken, or to a
    decision service, which is handed fields, and to no language model.
    """

    schema_: Literal[1, 2] = Field(alias="schema")
    name: Name
    title: Annotated[str, Field(min_length=1, max_length=200)]
    run: Binding = Binding()
    use: Use
    cases: CaseSelection = CaseSelection()
    prompt: Prompt = Field(default=NO_PROMPT, json_schema_extra=_without_default)
    placebo: Placebo | None = None
    attributes: Annotated[tuple[Attribute, ...], Field(min_length=1)]
    noise: Noise = Noise()
    tests: Tests
    settings: dict[Name, dict[str, Any]] = Field(default_factory=dict)
    thresholds: Thresholds = Thresholds()
    operating_point: OperatingPoint = OperatingPoint()
    budget: Budget = Budget()
    reading: Reading = Reading()
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _keys_of_its_schema(self) -> Plan:
        for name in SECOND_SCHEMA:
            if self.schema_ == 1 and getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name}: is a section of schema 2")
        return self

    @model_validator(mode="after")
    def _prompt_unless_nobody_is_asked(self) -> Plan:
        if self.schema_ == 1 and not self.asks:
            raise ValueError("prompt: is missing; only a plan of schema 2 for a decision file or a service has none")
        return self

    @model_validator(mode="after")
    def _fields_once(self) -> Plan:
        names = [attribute.field for attribute in self.attributes]
        if len(set(names)) != len(names):
            raise ValueError("attributes: a field is listed twice")
        if self.placebo is not None and self.placebo.field in names:
            raise ValueError("placebo.field: is a protected attribute")
        for name in self.settings:
            if name not in self.tests.run and name not in SHARED_SETTINGS:
                raise ValueError(f"settings.{name}: is not a test of tests.run")
        return self

    @classmethod
    def read(cls, path: Path | str, overrides: Mapping[str, str] | None = None) -> Plan:
        """Read a plan file (TOML); ``overrides`` maps ``section.key`` to a TOML value as text. Errors: PlanError."""
        return read_plan(Path(path), overrides)

    @classmethod
    def parse(cls, source: str | Mapping[str, Any], *, where: str = "plan") -> Plan:
        """Read a plan from TOML text or from plain data, such as a changed copy of another's.

        Parameters
        ----------
        source
            The text of a plan file, or what one holds.
        where
            What errors call it.

        Raises
        ------
        PlanError
            With the key and what was expected.
        """
        return plan_from(_toml(source, where) if isinstance(source, str) else source, where=where)

    def design(self) -> dict[str, Any]:
        """The design as plain data: every section but ``[run]``, defaults written out.

        ``prompt.date`` stands in it only where it is given: designs from before there was such a key keep their hash.
        """
        design = self.model_dump(mode="json", by_alias=True, exclude={"run"})
        if not self.asks:
            del design["prompt"]
        elif not design["prompt"]["date"]:
            del design["prompt"]["date"]
        if self.schema_ == 1:
            for name in SECOND_SCHEMA:
                del design[name]
        else:
            # As prompt.date: what is not given is no key of the design.
            design["reading"] = {
                key: value for key, value in design["reading"].items() if key not in LATER or value is not None
            }
        return design

    @property
    def asks(self) -> bool:
        """Whether it says what a language model is asked; False of a plan for decision files and services alone."""
        return bool(self.prompt.template)

    @property
    def design_sha256(self) -> str:
        """Hash of the design's canonical JSON."""
        return sha256_json(self.design())


def read_plan(path: Path, overrides: Mapping[str, str] | None = None) -> Plan:
    """Read a plan file.

    Parameters
    ----------
    path
        A TOML file.
    overrides
        ``section.key`` to a TOML value as text (``thresholds.alpha`` to ``0.01``); text that is not a TOML value is
        taken as a string.

    Raises
    ------
    PlanError
        With file, key and what was expected.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise PlanError(str(path), f"cannot be read: {reason_of(error)}", "a readable plan file (TOML)") from error
    except UnicodeDecodeError as error:
        raise PlanError(str(path), f"is not UTF-8 (byte {error.start})", "a plan file in UTF-8") from error
    raw = _toml(text, str(path))
    for key, value in (overrides or {}).items():
        _override(raw, key, value)
    return plan_from(raw, where=str(path))


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return parse_toml(text)
    except tomllib.TOMLDecodeError as error:
        raise PlanError(where, f"is not valid TOML: {error}", "a plan as docs/plan.md describes") from error


def plan_from(raw: Mapping[str, Any], *, where: str) -> Plan:
    """Check plain data as a plan; errors as in :func:`read_plan`, the first one found."""
    return check_section(Plan, raw, where=where)


def check_section(kind: type[AnySection], raw: Mapping[str, Any], *, where: str) -> AnySection:
    """Check plain data as one section of a plan; errors as in :func:`read_plan`, the first one found."""
    try:
        # JSON mode: TOML gives lists where the plan has tuples, and strict Python mode would refuse them.
        return kind.model_validate_json(_json(raw, where))
    except ValidationError as error:
        raise _problem(error.errors()[0], where) from error


def plan_problems(raw: Mapping[str, Any], *, where: str) -> tuple[PlanError, ...]:
    """Everything that :func:`plan_from` would refuse, in the order of the keys; empty if it is a plan.

    Rules over several keys are looked at only once every key for itself is right.
    """
    try:
        Plan.model_validate_json(_json(raw, where))
    except PlanError as error:
        return (error,)
    except ValidationError as error:
        return tuple(_problem(item, where) for item in error.errors())
    return ()


def _problem(problem: Mapping[str, Any], where: str) -> PlanError:
    key = ".".join(str(part) for part in problem["loc"]) or "plan"
    # A rule over several keys was given them all; what it says names those that matter.
    nothing_to_show = problem["type"] == "missing" or isinstance(problem["input"], Mapping)
    found = "" if nothing_to_show else f"{problem['input']!r:.80}: "
    return PlanError(f"{where}: {key}", f"{found}{_sentence(problem)}", _expectation(problem))


def _json(raw: Mapping[str, Any], where: str) -> bytes:
    import json

    for key, value in _beyond_json(raw):
        shown = f"a whole number of {value.bit_length():,} bits" if isinstance(value, int) else value
        raise PlanError(
            f"{where}: {key}".removesuffix(": "),
            f"{shown}: a plan cannot hold this",
            "text, a finite number, true or false, a list or a table",
        )
    return json.dumps(raw).encode()


def _beyond_json(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Every value that canonical JSON does not give back, with its key: dates, numbers not finite or too long."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _beyond_json(inner, f"{key}.{name}".removeprefix("."))
    elif isinstance(value, list | tuple):
        for number, inner in enumerate(value):
            yield from _beyond_json(inner, f"{key}.{number}")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield key, value
    elif isinstance(value, int):
        if abs(value) > LARGEST_INTEGER:
            yield key, value
    elif not isinstance(value, str | None):
        yield key, value


def _sentence(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "extra_forbidden":
        return "unknown key"
    text = str(problem["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _expectation(problem: Mapping[str, Any]) -> str:
    if problem["type"] == "extra_forbidden":
        return "a key of docs/plan.md"
    if problem["type"] == "missing":
        return "a value, see docs/plan.md"
    return ""


def _override(raw: dict[str, Any], key: str, value: str) -> None:
    *sections, last = key.split(".")
    target: Any = raw
    for section in sections:
        target = target.setdefault(section, {}) if isinstance(target, dict) else None
    if not isinstance(target, dict) or not last:
        raise PlanError(f"--set {key}", "names no plan key", "section.key=value, as in thresholds.alpha=0.01")
    try:
        target[last] = parse_toml(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        target[last] = value
