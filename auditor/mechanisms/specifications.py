"""The specification curve: one question asked in every way that was declared, and whether the answers agree.

A causal step and a localisation rest on choices that nothing in the model dictates: which layers, how strong, which
corruption, which metric, which seed. One such choice is *declared* and carries the p-value of its family; the others
repeat it. Where they do not agree with the declared one, the answer is a property of the choice and not of the model:
it is unstable, and its conclusion is INCONCLUSIVE.

Pure, over frozen dataclasses (Simonsohn, Simmons and Nelson 2020, Specification curve analysis,
doi:10.1038/s41562-020-0912-z).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from auditor.records import Conclusion

#: The share of the specifications, the declared one among them, that must say what the declared one says.
LEAST_SHARE = 0.75
#: The fewest specifications that can disagree.
LEAST_COUNT = 2
WORDS = {"layers": "layers", "coefficient": "strength", "corruption": "corruption", "metric": "metric", "seed": "seed"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Specification:
    """One way to ask. What a method has no choice of, or does not vary, stays ``None``.

    Attributes
    ----------
    window
        Positions that are changed, in words: ``after the field``.
    layers
        First and last layer that is changed.
    coefficient
        Dose or strength, in the method's unit.
    corruption
        How a prompt is corrupted, in words.
    metric
        What is measured, in words: ``margin``, ``decisions``.
    seed
        Seed of every draw.
    template
        Name of the prompt's template, where a plan has several.
    """

    window: str | None = None
    layers: tuple[int, int] | None = None
    coefficient: float | None = None
    corruption: str | None = None
    metric: str | None = None
    seed: int | None = None
    template: str | None = None

    def subject(self) -> dict[str, str]:
        """What is fixed, as a measurement's subject takes it."""
        found = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: _said(name, value) for name, value in found.items() if value is not None}

    @property
    def words(self) -> str:
        """How it reads: ``after the field, layers 8 to 22, seed 1``."""
        said = self.subject()
        return ", ".join(f"{WORDS[name]} {text}" if name in WORDS else text for name, text in said.items())

    def row(self) -> dict[str, Any]:
        """Plain data, for a ledger; `specification_of` reads it back."""
        row = {item.name: getattr(self, item.name) for item in fields(self)}
        return {name: list(value) if name == "layers" else value for name, value in row.items() if value is not None}


def specification_of(row: Mapping[str, Any]) -> Specification:
    """The specification that was written as ``row``."""
    layers = row.get("layers")
    return Specification(**{**row, "layers": None if layers is None else (int(layers[0]), int(layers[1]))})


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one specification found.

    Attributes
    ----------
    specification
        How it was asked.
    estimate
        Signed, in the unit that all of them share; ``None`` where it could not be had, and ``reason`` says why.
    holds
        Whether it is beyond its own controls at the plan's level; ``None`` where that cannot be said (too few draws, a
        check that failed).
    """

    specification: Specification
    estimate: float | None
    holds: bool | None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far the specifications say the same.

    Attributes
    ----------
    declared
        The one that carries the p-value.
    asked
        Specifications that were declared, also those that could not be had.
    said
        Those that gave an answer, the declared one among them.
    agree
        Those of ``said`` with the declared one's decision and, where it holds, its sign.
    opposed
        Those of ``said`` that hold with the other sign than the declared one.
    lowest, highest
        The extremes of the estimates; ``None`` where there are none.
    stable
        ``None`` where it was not repeated, or the declared one gave no answer.
    reason
        In a sentence without its full stop.
    """

    declared: Result
    asked: int
    said: int
    agree: int
    opposed: int
    lowest: Result | None
    highest: Result | None
    stable: bool | None
    reason: str

    @property
    def share(self) -> float | None:
        """Share of ``said`` that agree; ``None`` where it was not repeated."""
        return self.agree / self.said if self.said >= LEAST_COUNT else None

    @property
    def conclusion(self) -> Conclusion | None:
        """INCONCLUSIVE where unstable; otherwise nothing, for the test's own order of conclusions to say."""
        return Conclusion.INCONCLUSIVE if self.stable is False else None

    def counts(self) -> dict[str, float | int | None]:
        """The counts of a measurement; `stable_by` reads them."""
        return {
            "specifications": self.said,
            "specifications_asked": self.asked,
            "specifications_agree": self.agree,
            "specifications_opposed": self.opposed,
            "specifications_lowest": self.lowest.estimate if self.lowest else None,
            "specifications_highest": self.highest.estimate if self.highest else None,
        }


def agreement(results: Sequence[Result], *, declared: Specification) -> Agreement:
    """Compare every specification with the declared one.

    Parameters
    ----------
    results
        One a specification, the declared one among them.
    declared
        The specification that was fixed beforehand as the one that decides.

    Notes
    -----
    An effect that does not hold has no sign: two specifications that both find nothing agree whatever their signs. The
    answer is stable where at least ``LEAST_SHARE`` of those that gave one agree and none holds with the other sign.
    A specification that cannot say counts neither way, and is counted in ``asked``.

    Raises
    ------
    ValueError
        Unless every specification is there once and the declared one is among them.
    """
    specifications = [item.specification for item in results]
    if len(set(specifications)) != len(specifications):
        raise ValueError("every specification must be there once")
    if declared not in specifications:
        raise ValueError(f"the declared specification is not among the results: {declared.words}")
    first = results[specifications.index(declared)]
    said = [item for item in results if item.estimate is not None and item.holds is not None]
    agree = sum(_agrees(item, first) for item in said)
    opposed = sum(bool(item.holds) and bool(first.holds) and not _same_sign(item, first) for item in said)
    known = curve(results)
    stable: bool | None = None
    if first not in said:
        reason = f"the declared specification gave no answer{f': {first.reason}' if first.reason else ''}"
        return Agreement(
            declared=first,
            asked=len(results),
            said=len(said),
            agree=0,
            opposed=0,
            lowest=known[0] if known else None,
            highest=known[-1] if known else None,
            stable=None,
            reason=reason,
        )
    stable, reason = _judged(said=len(said), agree=agree, opposed=opposed)
    return Agreement(
        declared=first,
        asked=len(results),
        said=len(said),
        agree=agree,
        opposed=opposed,
        lowest=known[0],
        highest=known[-1],
        stable=stable,
        reason=reason,
    )


def curve(results: Sequence[Result]) -> tuple[Result, ...]:
    """The results that have an estimate, from the lowest to the highest: what a chart of the curve draws."""
    known = [item for item in results if item.estimate is not None]
    return tuple(sorted(known, key=lambda item: (item.estimate or 0.0, item.specification.words)))


def stable_by(counts: Mapping[str, float | int | None]) -> tuple[bool | None, str]:
    """Whether a measurement's own counts say that it is stable, and why; ``None`` where it was not repeated."""
    said, agree = counts.get("specifications"), counts.get("specifications_agree")
    if said is None or agree is None:
        return None, "the result was not repeated in any other way"
    return _judged(said=int(said), agree=int(agree), opposed=int(counts.get("specifications_opposed") or 0))


def _judged(*, said: int, agree: int, opposed: int) -> tuple[bool | None, str]:
    if said < LEAST_COUNT:
        return None, "the result was not repeated in any other way"
    if opposed:
        return False, f"{opposed} of {said} specifications find the opposite"
    if agree < LEAST_SHARE * said:
        return False, f"only {agree} of {said} specifications agree, and at least {LEAST_SHARE:.0%} must"
    return True, f"{agree} of {said} specifications agree"


def _agrees(item: Result, first: Result) -> bool:
    return item.holds == first.holds and (not first.holds or _same_sign(item, first))


def _same_sign(item: Result, first: Result) -> bool:
    return (item.estimate or 0.0) * (first.estimate or 0.0) > 0


def _said(name: str, value: Any) -> str:
    if name == "layers":
        return f"{value[0]} to {value[1]}" if value[0] != value[1] else f"{value[0]}"
    return f"{value:g}" if isinstance(value, float) else str(value)
