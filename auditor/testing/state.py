"""Whether the natural outcome rule says anything: judged in every arm, and said by arm.

An arm is *mute* where more of its answers are unreadable than the plan allows, and *degenerate* where nearly all of it
gets one outcome. A contrast says nothing at the natural cut-off where both of its arms are so; where one of them is, a
difference may stand but its absence may not be said (docs/statistics.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from auditor.records import Outcome
from auditor.rounding import printed


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmState:
    """How one arm of an attribute was answered: of ``n`` cases, how many by outcome."""

    field: str
    group: str
    n: int
    favourable: int
    unreadable: int
    mute: bool
    degenerate: bool

    @property
    def unreadable_share(self) -> float:
        """Share of the arm without a readable answer; 0 for an empty arm."""
        return self.unreadable / self.n if self.n else 0.0

    @property
    def commonest(self) -> tuple[str, float]:
        """The commonest outcome and its share."""
        adverse = self.n - self.favourable - self.unreadable
        counts = {Outcome.ADVERSE: adverse, Outcome.FAVOURABLE: self.favourable, Outcome.INVALID: self.unreadable}
        same = max(counts, key=lambda name: counts[name])
        return str(same), counts[same] / self.n if self.n else 0.0


def judge_arm(
    *, field: str, group: str, n: int, favourable: int, unreadable: int, mute_share: float, degenerate_share: float
) -> ArmState:
    """An arm under the plan's rule: mute above ``mute_share`` unreadable, degenerate from ``degenerate_share`` on."""
    counts = {"n": n, "favourable": favourable, "unreadable": unreadable}
    plain = ArmState(field=field, group=group, **counts, mute=False, degenerate=False)
    return ArmState(
        field=field,
        group=group,
        **counts,
        mute=plain.unreadable_share > mute_share,
        degenerate=bool(n) and plain.commonest[1] >= degenerate_share,
    )


@dataclass(frozen=True)
class State:
    """What the plan's rule for mute and degenerate models says of every arm.

    ``degenerate`` holds where a contrast says nothing at the natural cut-off, ``reasons`` why, by arm.
    ``same_answer`` and its share are of the reference arms together, ``low_mass_share`` of all cases.
    """

    degenerate: bool
    reasons: tuple[str, ...]
    same_answer_share: float
    same_answer: str
    low_mass_share: float
    arms: tuple[ArmState, ...] = ()
    mute_share: float = 0.05
    degenerate_share: float = 0.98

    def silent(self, *, field: str, group: str, reference: str) -> tuple[str, ...]:
        """Why a contrast says nothing at the natural cut-off; empty if it says something."""
        pair = self._pair(field, group, reference)
        found = []
        if pair and all(arm.mute for arm in pair):
            found.append(self.unreadable(pair))
        if pair and all(arm.degenerate for arm in pair) and len({arm.commonest[0] for arm in pair}) == 1:
            found.append(self.one_outcome(pair))
        return tuple(found)

    def doubts(self, *, field: str) -> tuple[str, ...]:
        """Why no outcome contrast of an attribute may be read as the absence of a difference; empty if it may."""
        arms = [arm for arm in self.arms if arm.field == field]
        return (self.unreadable(arms),) if any(arm.mute for arm in arms) else ()

    def lopsided(self, *, field: str, group: str, reference: str) -> tuple[str, ...]:
        """Why the natural cut-off of one contrast cannot show the absence of a difference: an arm of one outcome."""
        pair = self._pair(field, group, reference)
        return (self.one_outcome(pair),) if any(arm.degenerate for arm in pair) else ()

    def _pair(self, field: str, group: str, reference: str) -> list[ArmState]:
        return [arm for name in (group, reference) for arm in self.arms if (arm.field, arm.group) == (field, name)]

    def unreadable(self, arms: Sequence[ArmState]) -> str:
        """How many answers of these arms could not be read, in words."""
        shares = by_arm([(arm.group, arm.unreadable_share) for arm in arms])
        return f"{shares} gave no readable answer (mute above {percent(self.mute_share)})"

    def one_outcome(self, arms: Sequence[ArmState]) -> str:
        """How much of these arms gets its commonest outcome, in words."""
        names = {arm.commonest[0] for arm in arms}
        shares = by_arm([(arm.group, arm.commonest[1]) for arm in arms])
        # Arms that differ in it are not told by one word.
        what = f"one outcome, {_WORDS[names.pop()]}" if len(names) == 1 else "one outcome each"
        return f"{shares} got {what} (degenerate from {percent(self.degenerate_share)})"


_WORDS = {
    str(Outcome.FAVOURABLE): "the favourable one",
    str(Outcome.ADVERSE): "the adverse one",
    str(Outcome.INVALID): "no readable answer",
}


def state_of(
    arms: Sequence[ArmState],
    *,
    contrasts: Sequence[tuple[str, str, str]],
    references: Sequence[ArmState],
    low_mass_share: float,
    mute_share: float,
    degenerate_share: float,
) -> State:
    """The state of a run from its arms.

    Parameters
    ----------
    arms
        Every arm of the plan's attributes.
    contrasts
        Field, group and reference of every contrast.
    references
        The reference arms, whose commonest outcome is the run's.
    low_mass_share
        Share of all cases whose answers hold too little probability.
    """
    n = sum(arm.n for arm in references)
    pooled = judge_arm(
        field="",
        group="",
        n=n,
        favourable=sum(arm.favourable for arm in references),
        unreadable=sum(arm.unreadable for arm in references),
        mute_share=mute_share,
        degenerate_share=degenerate_share,
    )
    same, share = pooled.commonest if n else ("none", 0.0)
    state = State(False, (), share, same, low_mass_share, tuple(arms), mute_share, degenerate_share)
    reasons: list[str] = []
    silent = [item for item in contrasts if state.silent(field=item[0], group=item[1], reference=item[2])]
    if silent and len(silent) == len(contrasts):
        # All of them: the arms are told in one breath, not attribute by attribute.
        if all(arm.mute for arm in arms):
            reasons.append(state.unreadable(arms))
        if all(arm.degenerate for arm in arms) and len({arm.commonest[0] for arm in arms}) == 1:
            reasons.append(state.one_outcome(arms))
    if not reasons:
        for field, group, reference in silent:
            reasons += state.silent(field=field, group=group, reference=reference)
    return State(
        bool(silent), tuple(dict.fromkeys(reasons)), share, same, low_mass_share, tuple(arms), mute_share,
        degenerate_share,
    )  # fmt: skip


def by_arm(shares: Sequence[tuple[str, float]]) -> str:
    """Shares by arm in words: "22% of the Black arm, 0% of the White arm"; "100% of every arm" where they are alike."""
    texts = [(percent(share), name) for name, share in shares]
    if len({text for text, _ in texts}) == 1 and len(texts) > 2:
        return f"{texts[0][0]} of every arm"
    return ", ".join(f"{text} of the {name} arm" for text, name in texts)


def percent(share: float) -> str:
    """A share in words: "22%", "5.4%", and never 0% or 100% for what is neither."""
    if 0 < share < 0.0005:
        return "under 0.1%"
    if 0.9995 < share < 1:
        return "over 99.9%"
    return printed(share, 1, percent=True).removesuffix(".0") + "%"
