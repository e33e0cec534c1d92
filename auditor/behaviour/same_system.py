"""Whether the system was the same from before the first case to the last: a control of every run that asks one.

Some applications are asked again at the start, in the middle and at the end. A model or a fingerprint that is not the
one that was probed, named by any answer of the run, ends all conclusions of it; so do answers that a system which
answers identical questions alike gives otherwise later on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from auditor.behaviour.metrics import CHANGED_WHEN_ASKED_AGAIN
from auditor.records import Check, Role
from auditor.statistics.results import Estimate
from auditor.testing.asked_system import Answered, AskedSystem
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.factory import measurement, not_tested
from auditor.testing.unadjusted import UnadjustedMeasurement

CHECK = "same system"
MOST_CHANGED = 0.1
"""Share of the applications asked again that may change in a system that answered the probe's questions alike."""
MOVED = 0.05
"""Nats: a margin that moves by more is another answer, though the outcome is the same."""
WEIGHTS = "the weights of this run are files, whose hashes are checked when they are loaded"

CARD = Card(
    name="same_system",
    purpose="Whether the same system answered from the probe before the run to its last case.",
    method=(
        "The model and the fingerprint that answers name are compared with those of the probe. The same applications "
        "are asked again at the start, in the middle and at the end; of a system that answered identical questions of "
        f"the probe alike, at most {MOST_CHANGED:.0%} of them may get another outcome or a margin that moves by more "
        f"than {MOVED:g} nats."
    ),
    worrying="Another model, another fingerprint, or other answers: then no number of the run speaks of one system.",
    limitations="A system that changes and names neither model nor fingerprint shows only where its answers change.",
    label="The same system throughout",
    metrics=(
        Metric(
            CHANGED_WHEN_ASKED_AGAIN,
            "Answers that change when asked again during the run",
            "rate",
            higher_is_better=False,
        ),
    ),
)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """The share that changed, with the check that covers the run; of weights, why there is nothing to ask again."""
    level = 1 - context.plan.thresholds.alpha
    if context.system is None:
        yield UnadjustedMeasurement(not_tested(CARD, WEIGHTS, level=level))
        return
    asked = context.system
    groups = _asked_again(asked.answers)
    changed = sum(_changed(group) for group in groups.values())
    share = changed / len(groups) if groups else None
    yield UnadjustedMeasurement(
        measurement(
            Estimate(
                value=share,
                n=len(groups),
                method="share of applications whose answer changed between start, middle and end",
                reason=None if groups else "no application was asked again",
            ),
            test=CARD.name,
            metric=CHANGED_WHEN_ASKED_AGAIN,
            role=Role.SUPPORTING,
            subject={},
            unit="rate",
            higher_is_better=False,
            cases="",
            level=level,
            checks=(_check(asked, share),),
            counts={"changed": changed},
        )
    )


def _check(asked: AskedSystem, share: float | None) -> Check:
    trouble = list(_renamed(asked))
    # The probe asks greedily: of a sampled run its answers say nothing.
    greedy = not asked.how.temperature and asked.how.replicates == 1
    judged = greedy and bool(asked.how.deterministic) and share is not None
    if judged and share is not None and share > MOST_CHANGED:
        trouble.append("answers changed when they were asked again")
    return Check(
        name=CHECK,
        held=not trouble,
        value=share,
        bound=MOST_CHANGED if judged else None,
        note="; ".join(trouble) or _seen(asked, judged=judged),
        covers_run=True,
    )


def _seen(asked: AskedSystem, *, judged: bool) -> str:
    """What was held against the probe, and what could not be."""
    named = [what for what in ("model", "fingerprint") if getattr(asked.identity, what)]
    names = (
        f"{' and '.join(named)} as when it was probed" if named else "the system names neither model nor fingerprint"
    )
    return names if judged else f"{names}; its answers were not judged: they may differ from one asking to the next"


def _renamed(asked: AskedSystem) -> Iterable[str]:
    """What names the system and changed."""
    for what, frozen, named in (
        ("model", asked.identity.model, [answer.model for answer in asked.answers]),
        ("fingerprint", asked.identity.fingerprint, [answer.fingerprint for answer in asked.answers]),
    ):
        # A system that named none, or several, when it was probed is not held to one.
        others = list(dict.fromkeys(name for name in named if name != frozen)) if frozen else []
        if others:
            then = ", ".join(name or "not named" for name in others)
            yield f"the {what} was {frozen} when it was probed, then {then}"


def _asked_again(answers: Sequence[Answered]) -> dict[str, list[Answered]]:
    """The answers to each application that is asked at several moments."""
    groups: dict[str, list[Answered]] = defaultdict(list)
    for answer in answers:
        if answer.moment:
            groups[answer.case_id].append(answer)
    return groups


def _changed(group: Sequence[Answered]) -> bool:
    first = group[0]
    return any(
        later.outcome is not first.outcome
        or (later.margin is None) != (first.margin is None)
        or abs((later.margin or 0.0) - (first.margin or 0.0)) > MOVED
        for later in group[1:]
    )
