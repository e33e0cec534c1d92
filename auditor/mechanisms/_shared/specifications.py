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
NOT_REPEATED = "the result was not repeated in any other way"
WORDS = {"layers": "layers", "coefficient": "strength", "corruption": "corruption", "metric": "metric", "seed": "draw"}

MARGIN, PROBABILITY, DECISIONS = "margin", "probability", "decisions"
NOISING, DENOISING, HALFWAY = "group's state put in", "reference's state put in", "mean of both put into both"
WEIGHTED, SUMMED, CHANCES = "share weighted by the difference", "ratio of sums", "ratio of sums of probability"
#: What the counts of a measurement keep apart: the choice, as its key in them, and how it reads in a sentence.
APART: Mapping[str, tuple[str, str]] = {
    MARGIN: ("by_margin", "by the margin"),
    PROBABILITY: ("by_probability", "by the probability"),
    DECISIONS: ("by_decisions", "by decisions"),
    WEIGHTED: ("by_weighted", "by the weighted share"),
    SUMMED: ("by_sums", "by the ratio of sums"),
    CHANCES: ("by_chances", "by the probability"),
    NOISING: ("put_in", "with the group's state put in"),
    DENOISING: ("put_back", "with the reference's state put in"),
    HALFWAY: ("halfway", "with the mean of both states in both prompts"),
}


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
        What is measured, in words: ``margin``, ``probability``, ``decisions``.
    seed
        Which of several draws: of the applications that are fitted and measured on, and of their shuffled labels.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one specification found.

    Attributes
    ----------
    specification
        How it was asked.
    estimate
        Signed; ``None`` where it could not be had, and ``reason`` says why.
    holds
        Whether it is beyond its own controls at the plan's level; ``None`` where that cannot be said (too few draws, a
        check that failed).
    unit
        Of the estimate. Extremes are those of the estimates in the declared one's unit.
    """

    specification: Specification
    estimate: float | None
    holds: bool | None
    reason: str = ""
    unit: str = ""


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
        The extremes of the estimates in the declared one's unit; ``None`` where there are none.
    apart
        By the corruptions and metrics of ``APART`` that were varied: those of ``said``, and those that agree.
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
    apart: Mapping[str, tuple[int, int]]
    stable: bool | None
    reason: str

    @property
    def share(self) -> float | None:
        """Share of ``said`` that agree; ``None`` where it was not repeated."""
        return self.agree / self.said if self.said >= LEAST_COUNT else None

    @property
    def _silent(self) -> bool:
        return self.declared.estimate is None or self.declared.holds is None

    @property
    def conclusion(self) -> Conclusion | None:
        """INCONCLUSIVE where unstable; otherwise nothing, for the test's own order of conclusions to say."""
        return Conclusion.INCONCLUSIVE if self.stable is False else None

    def counts(self) -> dict[str, float | int | None]:
        """The counts of a measurement; `stable_by` reads them."""
        return {
            # Where the declared one is silent there is nothing that the others could agree with.
            "specifications": 0 if self._silent else self.said,
            "specifications_asked": self.asked,
            "specifications_agree": self.agree,
            "specifications_opposed": self.opposed,
            "specifications_lowest": self.lowest.estimate if self.lowest else None,
            "specifications_highest": self.highest.estimate if self.highest else None,
            **{
                f"specifications_{APART[choice][0]}{ending}": count
                for choice, pair in self.apart.items()
                for ending, count in zip(("", "_agree"), pair, strict=True)
            },
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
    known = curve([item for item in results if item.unit == first.unit])
    agree = [item for item in said if _agrees(item, first)]
    opposed = sum(bool(item.holds) and bool(first.holds) and not _same_sign(item, first) for item in said)
    stable: bool | None = None
    if first in said:
        stable, reason = _judged(said=len(said), agree=len(agree), opposed=opposed)
    else:
        agree, opposed = [], 0
        reason = f"the declared specification gave no answer{f': {first.reason}' if first.reason else ''}"
    return Agreement(
        declared=first,
        asked=len(results),
        said=len(said),
        agree=len(agree),
        opposed=opposed,
        lowest=known[0] if known else None,
        highest=known[-1] if known else None,
        apart=_apart(said, agree) if first in said else {},
        stable=stable,
        reason=reason,
    )


def _apart(said: Sequence[Result], agree: Sequence[Result]) -> dict[str, tuple[int, int]]:
    """By corruption and by metric, where more than one of them gave an answer."""
    found: dict[str, tuple[int, int]] = {}
    for choice in ("corruption", "metric"):
        values = dict.fromkeys(getattr(item.specification, choice) for item in said)
        for value in values if len(values) > 1 else ():
            if value in APART:
                mine, alike = (
                    sum(getattr(item.specification, choice) == value for item in items) for items in (said, agree)
                )
                found[value] = (mine, alike)
    return found


def curve(results: Sequence[Result]) -> tuple[Result, ...]:
    """The results that have an estimate, from the lowest to the highest: what a chart of the curve draws."""
    known = [item for item in results if item.estimate is not None]
    return tuple(sorted(known, key=lambda item: (item.estimate or 0.0, item.specification.words)))


def stable_by(counts: Mapping[str, float | int | None]) -> tuple[bool | None, str]:
    """Whether a measurement's own counts say that it is stable, and why; ``None`` where it was not repeated."""
    said, agree = counts.get("specifications"), counts.get("specifications_agree")
    if said is None or agree is None:
        return None, NOT_REPEATED
    return _judged(said=int(said), agree=int(agree), opposed=int(counts.get("specifications_opposed") or 0))


def agreement_words(counts: Mapping[str, float | int | None], *, named: str = "", extremes: bool = True) -> str:
    """The specifications of a measurement in one sentence without its full stop; empty where none was asked.

    ``8 of 9 specifications agree (by decisions 0 of 1), from 0.120 to 0.480 logits; 1 more gives no answer``: how many
    say what the declared one says, which choices do not wholly, and the extremes of those in its unit, which is
    ``named``. The one wording of the ladder, of reports and of pages.
    """
    asked, said = (int(counts.get(key) or 0) for key in ("specifications_asked", "specifications"))
    if not said and not asked:
        return ""
    stable, words = stable_by(counts)
    if said and stable is not None:
        parts = []
        for key, name in APART.values():
            mine, alike = (counts.get(f"specifications_{key}{ending}") for ending in ("", "_agree"))
            if mine is not None and alike is not None and alike < mine:
                parts.append(f"{name} {alike:.0f} of {mine:.0f}")
        words += f" ({', '.join(parts)})" if parts else ""
    elif asked > 1:
        words = f"{asked} specifications were asked, and too few gave an answer to compare"
    low, high = counts.get("specifications_lowest"), counts.get("specifications_highest")
    if extremes and low is not None and high is not None:
        words += f", from {_figure(low)} to {_figure(high)}{f' {named}' if named else ''}"
    silent = max(0, asked - said) if stable is not None else 0
    return words + (f"; {silent} more {'gives' if silent == 1 else 'give'} no answer" if silent else "")


def _judged(*, said: int, agree: int, opposed: int) -> tuple[bool | None, str]:
    if said < LEAST_COUNT:
        return None, NOT_REPEATED
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


def _figure(value: float) -> str:
    """Signed, three decimals under 0.1."""
    text = f"{abs(value):.{2 if abs(value) >= 0.1 else 3}f}"
    return ("\u2212" if value < 0 and float(text) else "") + text
