"""Self-checks of tests that change states: the untouched margin is the one decided on, and answers keep their mass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.tolerance import TOLERANCE
from auditor.records import Check
from auditor.testing.context import Context

NO_DECISIONS = "the margin of the answers' first tokens is read, and no decision is made by it"
"""Why no decision is counted where answers have several tokens."""
FARTHEST = 0.5
"""No AUROC and no balanced accuracy is farther from 1/2: a check with such a bound could not fail, and is none."""
MASS_KEPT = 0.5
"""Share of the probability on the answers that has to be left; below it a flip may be damage."""


def margin_as_decided(
    context: Context,
    *,
    field: str,
    cases: Sequence[str],
    groups: Sequence[str],
    margins: Iterable[Sequence[float]],
    noise: NoiseFloor | None = None,
) -> Check:
    """The largest difference between untouched margins here and those decided on, in nats.

    Parameters
    ----------
    context
        Holds the decisions.
    field, cases, groups
        The attribute, application ids, and its groups.
    margins
        By application, a margin for every group.
    noise
        What rounding does to the model: where the bound comes from. Without it the packed reading's tolerance holds.
    """
    bound = TOLERANCE if noise is None else noise.bound
    apart = 0.0
    for case, row in zip(cases, margins, strict=True):
        for group, margin in zip(groups, row, strict=True):
            # The group as filed has no counterfactual of its own.
            decision = context.decisions.get(f"{case}/{field}={group}") or context.decisions[case]
            apart = max(apart, abs(float(margin) - float(decision.margin or 0.0)))
    return Check(
        "margin as decided",
        apart <= bound,
        apart,
        bound,
        "largest difference in nats between the untouched margin here and the margin decided on"
        + (f"; {noise.words}" if noise else ""),
    )


def answers_keep_mass(mass: float, clean: float, *, after: str) -> Check:
    """The probability on the answers ``after`` a change, as a share of what it was before."""
    kept = mass / clean
    note = f"probability on the answers {after}, as a share of before: decisions that flip must not be damage"
    return Check("answers keep their probability", kept >= MASS_KEPT, kept, MASS_KEPT, note)
