"""Whether the system was the same from before the first case to the last: a control of every run that asks one.

Some applications are asked again at the start, in the middle and at the end. A model or a fingerprint that is not the
one that was probed, named by any answer of the run, ends all conclusions of it; so does any answer that a system which
answers identical questions alike gives otherwise later on. A system that names no version of itself and answers
identical questions differently is not judged, and then nothing of the run is called equivalent.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from auditor.behaviour.metrics import CHANGED_WHEN_ASKED_AGAIN
from auditor.records import Check
from auditor.rounding import printed
from auditor.statistics.pairs import zero_event_bound
from auditor.statistics.results import Estimate
from auditor.testing.asked_system import Answered, AskedSystem
from auditor.testing.card import Card, Metric
from auditor.testing.context import Context
from auditor.testing.factory import control_of_run, not_tested
from auditor.testing.unadjusted import UnadjustedMeasurement

CHECK = "same system"
DATED = re.compile(r"(?<!\d)(?:19|20)\d\d(-?)(?:0[1-9]|1[0-2])\1(?:0[1-9]|[12]\d|3[01])(?!\d)")
"""A day in the name of a model. A name without one is an alias, which may stand for another model tomorrow."""
MOVED = 0.05
"""Nats: a margin that moves by more is another answer, though the outcome is the same."""
WITHIN = 1e-9
"""Of its size: an amount that lies further off is another one. Nearer it is the same, in other last digits."""
WEIGHTS = "the weights of this run are files, whose hashes are checked when they are loaded"

CARD = Card(
    name="same_system",
    purpose="Whether the same system answered from the probe before the run to its last case.",
    method=(
        "The model and the fingerprint that answers name are compared with those of the probe. The same applications "
        "are asked again at the start, in the middle and at the end; of a system that answered identical questions of "
        "the probe alike, and is asked without sampling, none of them may get another outcome, another amount or other "
        f"reasons where these are read, or a margin that moves by more than {MOVED:g} nats. A system of which neither "
        "can be judged is said not to be judged."
    ),
    worrying="Another model, another fingerprint, or other answers: then no number of the run speaks of one system.",
    limitations=(
        "A system that changes and names neither a dated model nor a fingerprint shows only where its answers change, "
        "and ten answers show only a change of many; one that samples, or answers by chance, shows nothing then."
    ),
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
    seen = _Seen(asked, n=len(groups), changed=changed, alpha=context.plan.thresholds.alpha)
    share = changed / len(groups) if groups else None
    reason = seen.unjudged or "no application was asked again"
    yield UnadjustedMeasurement(
        control_of_run(
            CARD,
            Estimate(
                value=None if seen.unjudged else share,
                n=len(groups),
                method="share of applications whose answer changed between start, middle and end",
                reason=None if share is not None and not seen.unjudged else reason,
            ),
            metric=CHANGED_WHEN_ASKED_AGAIN,
            level=level,
            checks=() if seen.unjudged else (seen.check(share),),
            counts={"changed": changed, "least_change_seen": seen.least if seen.by_answers else None},
        ),
        run_doubt=seen.unjudged,
    )


@dataclass(frozen=True)
class _Seen:
    """What can be held against the probe: what names the system, and ``n`` applications asked again."""

    asked: AskedSystem
    n: int
    changed: int
    alpha: float

    @property
    def by_answers(self) -> bool:
        """Whether answers would be the same from the same system. The probe asks greedily: sampled answers differ."""
        how = self.asked.how
        return self.n > 0 and bool(how.deterministic) and not how.temperature and how.replicates == 1

    @property
    def least(self) -> float | None:
        """The least share of answers whose change at least one of these would have shown, at the plan's level."""
        return zero_event_bound(self.n, confidence=1 - self.alpha) if self.n else None

    @cached_property
    def trouble(self) -> tuple[str, ...]:
        """What is not as it was when it was probed."""
        others = tuple(_renamed(self.asked))
        if self.by_answers and self.changed:
            return (*others, f"{self.changed} of {self.n} answers changed when they were asked again")
        return others

    @property
    def unjudged(self) -> str:
        """Why it cannot be said whether it was the same; empty where it can."""
        identity = self.asked.identity
        if self.trouble or self.by_answers or identity.fingerprint or DATED.search(identity.model):
            return ""
        return (
            "whether one system answered throughout was not judged: it names neither a dated model nor a fingerprint, "
            f"and {self._why_answers_tell_nothing}"
        )

    @property
    def _why_answers_tell_nothing(self) -> str:
        how = self.asked.how
        if how.temperature or how.replicates > 1:
            return "its answers are sampled"
        if not self.n:
            return "no application was asked again"
        if how.deterministic is None:
            return "whether it answers identical questions alike is not known"
        return "it answers identical questions differently"

    def check(self, share: float | None) -> Check:
        """The check that covers the run."""
        return Check(
            name=CHECK,
            held=not self.trouble,
            value=share if self.by_answers or self.trouble else None,
            bound=0.0 if self.by_answers else None,
            note="; ".join(self.trouble) or self._held,
            covers_run=True,
        )

    @property
    def _held(self) -> str:
        """What was held against the probe, and what could not be."""
        named = [what for what in ("model", "fingerprint") if getattr(self.asked.identity, what)]
        names = (
            f"{' and '.join(named)} as when it was probed"
            if named
            else "the system names neither model nor fingerprint"
        )
        if not self.by_answers:
            return f"{names}; asking again tells nothing, since {self._why_answers_tell_nothing}"
        least = printed(self.least or 0.0, 0, percent=True)
        sure = printed(1 - self.alpha, 0, percent=True)
        return (
            f"{names}; none of {self.n} answers changed when they were asked again, which would have shown a change of "
            f"{least}% of answers or more in {sure} of 100 runs"
        )


def _renamed(asked: AskedSystem) -> Iterable[str]:
    """What names the system and changed."""
    for what, frozen, named in (
        ("model", asked.identity.model, [answer.model for answer in asked.answers]),
        ("fingerprint", asked.identity.fingerprint, [answer.fingerprint for answer in asked.answers]),
    ):
        # A system that named none, or several, when it was probed is not held to one.
        others = sorted({name for name in named if name != frozen}) if frozen else []
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
    """Whether any two of the answers to one application are apart, in whatever order they stand.

    What the plan or the listing has read of an answer is the answer: outcome, margin, amount, reasons in any order.
    """
    said = {(answer.outcome, None if answer.reasons is None else frozenset(answer.reasons)) for answer in group}
    if len(said) > 1:
        return True
    margins = [answer.margin for answer in group if answer.margin is not None]
    amounts = [answer.amount for answer in group if answer.amount is not None]
    if any(0 < len(numbers) < len(group) for numbers in (margins, amounts)):
        return True
    if margins and max(margins) - min(margins) > MOVED:
        return True
    return bool(amounts) and not math.isclose(max(amounts), min(amounts), rel_tol=WITHIN)
