"""What tests against permuted labels share: a randomisation p-value on an estimate, its counts, the words beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from auditor.mechanisms._shared.randomisation import Randomised
from auditor.statistics.minimums import draws_needed
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.results import Estimate, Significance
from auditor.testing.context import FloatArray

#: Nats; a difference or an effect that is no larger is none.
SMALLEST = 1e-3
METHOD = "randomisation: labels permuted within applications"
ROUNDING = 1e-12


@dataclass(frozen=True)
class Strength:
    """How many draws there are to be: ``needed`` for the level, ``possible`` with these applications.

    ``full`` says that the plan tests the attribute with as many as its level needs; ``tested`` names those it does.
    """

    needed: int
    possible: int
    full: bool
    tested: tuple[str, ...]

    def short(self, draws: int, *, ended: bool) -> str | None:
        """Why the draws do not say anything; ``None`` where they do."""
        if not self.full:
            others = ", ".join(self.tested)
            return f"too few draws to say: {draws} of {self.needed}; the plan tests {others} at full strength"
        if draws < self.needed and not ended:
            why = f"these applications allow {self.possible}" if self.possible < self.needed else "more are needed"
            return f"too few draws to say: {draws} of {self.needed}, {why}"
        return None


def with_randomisation(estimate: Estimate, found: Randomised) -> Estimate:
    """The estimate with the p-value of the draws in place of its own test's."""
    if found.p_value is None:
        return replace(estimate, test=None)
    method = f"{METHOD}, {found.draws} draws" + (", ended early" if found.ended else "")
    return replace(estimate, test=Significance(found.p_value, method))


def draw_counts(found: Randomised, *, needed: int) -> dict[str, float | int | None]:
    """What the ladder and reports read of the draws."""
    return {
        "draws": found.draws,
        "draws_needed": needed,
        "draws_as_large": found.as_large,
        "stopped_early": int(found.ended),
        "control_largest": found.largest,
    }


def holds(found: Randomised, *, alpha: float) -> bool | None:
    """Whether an effect is beyond its own controls at the level; ``None`` where there are too few to say."""
    if found.p_value is None or (found.draws < draws_needed(alpha=alpha, family_size=1) and not found.ended):
        return None
    return at_level(found.p_value, alpha=alpha)


def turned_beyond(turned: float, controls: FloatArray) -> float | None:
    """One-sided p-value of the share of decisions that turned, against the same draws."""
    if not len(controls):
        return None
    return (1 + int((controls >= turned - ROUNDING).sum())) / (1 + len(controls))


def within_rounding(size: float, *, floor: float) -> bool:
    """Whether rounding alone could make a figure, or hide one, that is large enough to speak of.

    Where rounding is finer than ``SMALLEST`` a figure within it is none. In half precision it can be nats: what lies
    within it is then not known, and says neither yes nor no.
    """
    return abs(size) <= floor and floor > SMALLEST


def p_words(p_value: float | None) -> str:
    """A p-value before adjustment, in words."""
    if p_value is None:
        return "no p-value"
    return "p < 0.001 before adjustment" if p_value < 0.001 else f"p = {p_value:.3f} before adjustment"


def count_words(count: int, one: str, many: str) -> str:
    """``1 decision``, ``no decisions``, ``3 decisions``."""
    return f"{count or 'no'} {one if count == 1 else many}"
