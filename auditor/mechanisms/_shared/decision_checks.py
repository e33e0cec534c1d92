"""Self-checks of tests that change states: the untouched margin is the one decided on, and answers keep their mass."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.tolerance import TOLERANCE
from auditor.records import Check
from auditor.testing.context import Context

AS_DECIDED = "margin as decided"
"""The name of the check that a margin read here is the one the run decided on."""
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
    read = (
        # The group as filed has no counterfactual of its own.
        (name if (name := f"{case}/{field}={group}") in context.decisions else case, margin)
        for case, row in zip(cases, margins, strict=True)
        for group, margin in zip(groups, row, strict=True)
    )
    return as_decided(context, read, noise=noise, which="untouched margin here")


def as_decided(context: Context, read: Iterable[tuple[str, float]], *, noise: NoiseFloor | None, which: str) -> Check:
    """The largest difference, in nats, between margins read by a test and those the run decided on, by case id.

    Each was read twice, here and with the run's own cases, in other batches: both must say the same.

    Parameters
    ----------
    read
        Case ids and margins.
    noise
        What rounding does to the model: where the bound comes from. Without it the packed reading's tolerance holds.
    which
        The margin that was read, in words.
    """
    bound = TOLERANCE if noise is None else noise.bound
    decided = ((float(margin), float(context.decisions[name].margin or 0.0)) for name, margin in read)
    apart = max((abs(here - there) for here, there in decided), default=0.0)
    note = f"largest difference in nats between the {which} and the margin decided on"
    return Check(AS_DECIDED, apart <= bound, apart, bound, note + (f"; {noise.words}" if noise else ""))


def keeps_mass(mass: float, clean: float) -> bool:
    """Whether enough of the probability on the answers is left for decisions to be read."""
    return mass / clean >= MASS_KEPT


def answers_keep_mass(mass: float, clean: float, *, after: str) -> Check:
    """The probability on the answers ``after`` a change, as a share of what it was before."""
    note = f"probability on the answers {after}, as a share of before: decisions that flip must not be damage"
    return Check("answers keep their probability", keeps_mass(mass, clean), mass / clean, MASS_KEPT, note)
