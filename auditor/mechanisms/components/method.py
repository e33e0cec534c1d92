"""Component attribution: which heads and MLPs write a change of group into the answer; the margin by layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from auditor.language_models.noise import SUMMED, noise_floor
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.direct_logits import Direct, attribute, lens
from auditor.mechanisms._shared.each_pair import each_pair
from auditor.mechanisms._shared.pair_rows import PairOfPrompts
from auditor.mechanisms._shared.pairs import PairRuns, own_margins, plan_pairs
from auditor.mechanisms._shared.patches import CHECKED
from auditor.mechanisms.components.card import CARD, Settings
from auditor.mechanisms.components.measure import measures
from auditor.mechanisms.components.result import Parted, Payload, Result
from auditor.records import Check
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk a contrast."""
    settings: Settings = asked.settings
    return plan_pairs(asked, name=CARD.name, pairs=settings.pairs, cost=2, attributes=settings.attributes)


def compute(context: ComputeContext, payload: Payload) -> Result:
    """Attribute both prompts of every pair."""
    settings: Settings = context.settings
    done: list[str] = []

    def explain(runs: PairRuns, prompts: PairOfPrompts) -> Parted:
        done.append(prompts.id)
        return _explain(runs, prompts, prove=len(done) <= CHECKED)

    return Result(**dict(each_pair(context, payload, explain)), top=settings.top)


def measure(context: Context, results: Sequence[Result]) -> Iterable[UnadjustedMeasurement]:
    """The largest components' shares of the difference, and the lens by layer."""
    return measures(context, results)


def _explain(runs: PairRuns, prompts: PairOfPrompts, *, prove: bool) -> Parted:
    # Two whole prompts by the model's own forward pass, so a few pairs of a contrast stand for all.
    own = own_margins(runs.decoder, runs.target, (runs.pair.base, runs.pair.donor)) if prove else []
    sides = [
        attribute(runs.decoder, run, runs.target, own=margin)
        for run, margin in zip((runs.base, runs.donor), own or (None, None), strict=True)
    ]
    lenses = [lens(runs.decoder, run, runs.target) for run in (runs.base, runs.donor)]
    return Parted(
        id=prompts.id,
        gap=runs.gap,
        base=runs.base_margin,
        attention=(sides[1].attention - sides[0].attention).tolist(),
        mlps=(sides[1].mlps - sides[0].mlps).tolist(),
        lens=(lenses[1] - lenses[0]).tolist(),
        direction=(sides[0].direction, sides[1].direction),
        checks=_checks(runs, sides, [float(side[-1]) for side in lenses], own) if prove else (),
    )


def _checks(
    runs: PairRuns, sides: Sequence[Direct], last: Sequence[float], own: Sequence[float]
) -> tuple[Check, Check]:
    """Both against the model's own forward pass, which neither sum nor lens comes from."""
    floor = noise_floor(runs.decoder.model, runs.target)
    gap = max(side.gap for side in sides)
    bound = floor.bound + SUMMED * max(side.rounding for side in sides)
    off = max(abs(read - margin) for read, margin in zip(last, own, strict=True))
    return (
        Check("contributions sum to the model's own margin", gap <= bound, gap, bound, f"nats; {floor.words}"),
        Check(
            "the lens at the last layer is the model's own margin", off <= floor.bound, off, floor.bound, floor.words
        ),
    )
