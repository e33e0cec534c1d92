"""The rules of the ladder's steps: from one concluded measurement to yes, no or not known, and why, in plain words.

*Yes* needs a p-value, adjusted over its family, that is at most the plan's level, and everything that makes it mean
what it says. A randomisation p-value can equal its level and is then significant: with 39 draws and two contrasts the
smallest adjusted p is .05 itself, and a draw of the null gets there with that probability, not with more.

*No* needs as much: enough draws and applications, an intervention that reached the states, and figures that are shown
to be small. Above all it needs that the groups' scores do not differ: where they do, the model makes the difference
somewhere, and an intervention that left it standing was made elsewhere. Everything else is not known.

What the causal steps read from the counts of a measurement, beside its adjusted p-value:

    draws, draws_needed, stopped_early   draws behind the p-value; 1 where a sequence stopped on enough larger ones
    sign_agrees                          1 where the movement has the direction that use asks for
    held_out_left                        share of what a linear probe finds that is left on unfitted applications
    held_out_short                       share of the groups' distance there that a direction falls short of
    share                                of the difference between groups, what the intervention makes or takes
    gap, gap_low, gap_high               that difference and its interval over the measured applications
    away_low, away_high                  interval of the movement the other way, of a direction
    practical                            nats below which the plan calls a shift of the margin none
    movement, movement_control           how far states moved, as a share of their spread; the same by shuffled labels
    specifications, …_agree, …_opposed   see specifications.py
    decisions_turned, decisions_p        share of decisions that turned; its p-value against the same draws
    within_rounding                      1 where rounding could make the difference, or hide the movement
    first_tokens                         1 where the answers' first tokens are read, and no decision is
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from auditor.mechanisms._shared.specifications import agreement_words, stable_by
from auditor.mechanisms._shared.step_bounds import LEAST_IN_GROUP, LEAST_MOVED, MOST_LEFT, MOST_SHORT, SMALLEST_GAP
from auditor.records import Conclusion, Measurement
from auditor.statistics.minimums import FOR_A_SHARE, interval_may_stand
from auditor.statistics.multiplicity import significant as at_level

NOT_IN_RUN = "not part of this run"
SAYS = {True: "yes", False: "no", None: "not known"}


@dataclass(frozen=True)
class Step:
    """One step: yes (True), no (False) or not known (``None``), and why, in a sentence without its full stop.

    ``decisions`` says whether decisions turned beyond the controls, ``turned`` the share of decisions that turned;
    both ``None`` where that was not measured, and for steps that change nothing in the model.
    """

    name: str
    held: bool | None
    reason: str
    decisions: bool | None = None
    turned: float | None = None

    @property
    def says(self) -> str:
        """``yes``, ``no`` or ``not known``."""
        return SAYS[self.held]


def encoded(items: Sequence[Measurement], *, alpha: float) -> Step:
    """Read only where the attribute is withheld: a prompt that states it holds it by construction."""
    withheld = [item for item in items if item.subject.get("setting") == "withheld"]
    if items and not withheld:
        return Step("encoded", None, "it was read only where the prompt states it, which says nothing")

    def judge(item: Measurement) -> Step:
        read, places = item.estimate or 0.0, item.counts.get("probes")
        where = f"where the prompt withholds it, a linear probe finds it at {read:.0f} of {places or 0:.0f} places"
        best = item.counts.get("best_accuracy")
        best = None if best is None else float(best)
        reading = where + (f" (best balanced accuracy {_percent(best)})" if best is not None else "")
        numbers = item.counts.get("numbers")
        if numbers is not None:
            reading += f", from the application's numbers alone, without the model, at {_percent(float(numbers))}"
        if _significant(item, alpha):
            return Step("encoded", True, f"{reading}, {_p(item)}")
        least = item.counts.get("smaller_group")
        if least is None or least < LEAST_IN_GROUP:
            shown = "not counted" if least is None else f"{least:.0f} in the smaller group"
            return Step("encoded", None, f"too few applications to say: {shown}, {LEAST_IN_GROUP} needed; {reading}")
        return Step("encoded", False, f"{reading}, {_p(item)}")

    return _first(withheld, "encoded", judge)


def selective(items: Sequence[Measurement], *, alpha: float) -> Step:
    """Against words without a meaning in the attribute's place."""
    stated = [item for item in items if item.subject.get("setting") == "stated"]

    def judge(item: Measurement) -> Step:
        accuracy, control = item.counts.get("accuracy"), item.counts.get("control")
        reading = (
            f"read at {_percent(accuracy)}, words without a meaning in its place at {_percent(control)} on average"
        )
        if item.counts.get("ceiling"):
            why = "too few to say: not even perfect reading would stand out from words without a meaning"
            return Step("selective", None, f"{why}; {reading}")
        if not _significant(item, alpha):
            if item.n < LEAST_IN_GROUP:
                few = f"too few applications to say: {item.n}, {LEAST_IN_GROUP} needed"
                return Step("selective", None, f"{few}; {reading}, {_p(item)}")
            return Step("selective", False, f"{reading}, {_p(item)}")
        if not interval_may_stand(item.n) or item.low is None:
            few = f"too few applications to say: {item.n}, {FOR_A_SHARE} needed for an interval of the difference"
            return Step("selective", None, f"{few}; {reading}, {_p(item)}")
        if item.low <= 0:
            why = "too few applications to say: the interval of the difference holds 0"
            return Step("selective", None, f"{why}; {reading}, {_p(item)}")
        return Step("selective", True, f"{reading}, {_p(item)}")

    return _first(stated, "selective", judge)


def used(items: Sequence[Measurement], *, alpha: float) -> Step:
    """Whether erasing the attribute moves the difference between groups beyond labels without a meaning."""

    def judge(item: Measurement) -> Step:
        moved = f"erasing it {_did(item.counts.get('share'), _logits(abs(item.estimate or 0.0)))}"
        return _causal("used", item, moved, alpha)

    return _first(items, "used", judge)


def _did(share: float | None, logits: str) -> str:
    """What an erasure did to the difference between the groups: ``share`` of it went, which the sign alone hides."""
    what = "the difference between the groups"
    if share is None:
        return f"changes {what} by {logits} logits"
    if share < 0:
        return f"widens {what} by {logits} logits"
    if share > 1:
        return f"turns {what} round, by {logits} logits"
    return f"takes {logits} logits off {what} ({_percent(share)} of it)"


def usable(items: Sequence[Measurement], *, alpha: float) -> Step:
    """Whether adding the attribute's direction moves the score beyond directions of labels without a meaning."""

    def judge(item: Measurement) -> Step:
        moved = f"adding its direction moves the score by {_logits(item.estimate)} logits"
        return _causal("usable", item, moved, alpha)

    return _first(items, "usable", judge)


def _first(items: Sequence[Measurement], name: str, judge: Callable[[Measurement], Step]) -> Step:
    """Judge what has a number and enough draws; otherwise the reason why there is none."""
    if not items:
        return Step(name, None, NOT_IN_RUN)
    known = [item for item in items if item.estimate is not None]
    if not known:
        return Step(name, None, _why(items))
    item = known[0]
    if item.conclusion is Conclusion.NOT_TESTED:
        return Step(name, None, _why([item]))
    short = _draws_short(item)
    if short is None and item.p_adjusted is None:
        short = "no p-value against controls was computed"
    return Step(name, None, short) if short else judge(item)


def _why(items: Sequence[Measurement]) -> str:
    reasons = (item.missing_reason or item.conclusion_reason for item in items)
    return (next((text for text in reasons if text), NOT_IN_RUN)).rstrip(".")


def _draws_short(item: Measurement) -> str | None:
    draws, needed = item.counts.get("draws"), item.counts.get("draws_needed")
    if draws is None or needed is None:
        return "its controls do not say how many draws stand behind its p-value"
    # A sequence that stopped because enough draws were at least as large has an exact p-value with fewer of them.
    if draws < needed and not item.counts.get("stopped_early"):
        return f"too few draws to say: {draws:.0f} of the {needed:.0f} that its level needs"
    return None


def _causal(name: str, item: Measurement, moved: str, alpha: float) -> Step:
    draws = item.counts.get("draws") or 0
    moved += ", read from the answers' first tokens" if item.counts.get("first_tokens") else ""
    control = f"{moved}, against shuffled labels and random moves as large, {_p(item)} ({draws:.0f} draws)"
    repeats = agreement_words(item.counts, named="logits")
    again = f"; {repeats}" if repeats and stable_by(item.counts)[0] is not False else ""
    barrier = _barrier(item, alpha, needs_left=name == "used")
    if item.counts.get("within_rounding"):
        barrier = "rounding alone could make it, or hide it, in this precision"
    if barrier is not None:
        return Step(name, None, f"{barrier}; {control}{again}")
    if not _significant(item, alpha):
        why = _no_is_barred(name, item)
        return Step(name, None if why else False, f"{why}; {control}{again}" if why else f"{control}{again}")
    turned, decisions = _decisions(item, alpha)
    if turned == 0:
        after = "moves the score; no decision turned"
    elif turned is None:
        after = "moves the score; decisions were not counted against controls"
    elif decisions:
        after = f"{_percent(turned)} of decisions turned, more than under its controls"
    else:
        after = f"moves the score; {_percent(turned)} of decisions turned, not shown to be more than under its controls"
    return Step(name, True, f"{control}; {after}{again}", decisions, turned)


def _barrier(item: Measurement, alpha: float, *, needs_left: bool) -> str | None:
    """Why neither yes nor no may be said."""
    left = item.counts.get("held_out_left")
    if needs_left and left is None:
        return "what the erasure left on applications it was not fitted on is not known"
    if left is not None and left > MOST_LEFT:
        return f"{_percent(left)} of what a linear probe finds was left, and {MOST_LEFT:.0%} is the most"
    stable, why = stable_by(item.counts)
    if stable is False:
        return f"unstable, {agreement_words(item.counts, named='logits')}"
    if not _significant(item, alpha):
        return None
    sign = item.counts.get("sign_agrees")
    if not sign:
        return "the sign of the movement is not known" if sign is None else "it moves the wrong way"
    return why if stable is None else None


def _no_is_barred(name: str, item: Measurement) -> str | None:
    """Why a movement that stands out from nothing is no "no": few applications, a weak move, much to explain."""
    if not interval_may_stand(item.n):
        return f"too few applications to say no: measured on {item.n}, {FOR_A_SHARE} needed"
    if name == "usable":
        short = item.counts.get("held_out_short")
        if short is None:
            return "how far the direction reaches on applications it was not fitted on is not known"
        if short > MOST_SHORT:
            return (
                f"on applications it was not fitted on, and as rounded, the direction falls {_percent(short)} short of "
                f"the distance between the groups, and {MOST_SHORT:.0%} is the most"
            )
    return _did_not_move(item) or _much_to_explain(name, item)


def _did_not_move(item: Measurement) -> str | None:
    """Why the intervention itself was too weak: it left states as they were, or moved them less than its controls."""
    moved, control = item.counts.get("movement"), item.counts.get("movement_control")
    ends = [item.counts.get(name) for name in ("gap_low", "gap_high")]
    if moved == 0 and all(end is not None and abs(end) <= SMALLEST_GAP for end in ends):
        # The states do not hold the attribute there, and scores do not differ: nothing was to be moved.
        return None
    if not moved:
        return "how far it moves the states is not known" if moved is None else "it does not move the states at all"
    if control is not None and moved < LEAST_MOVED * control:
        return (
            f"it moves the states by {_percent(moved)} of their spread, shuffled labels by {_percent(control)}, and "
            f"{LEAST_MOVED:.0%} of that is the least"
        )
    return None


def _much_to_explain(name: str, item: Measurement) -> str | None:
    """Why what stands out from no control may still be what the decision goes through.

    Only the attribute's words differ between the prompts of an application. Where their scores differ the model uses
    them, and where an intervention leaves the difference as it was, it uses them elsewhere: read late and straight from
    the field, before the window, or in a way that no linear map reaches. And a random move as large can move a margin
    further than what was erased, because the model reads something else more sharply. So a difference that is shown
    bars a "no", and so does one that may be larger than the plan's least shift.
    """
    practical = item.counts.get("practical")
    names = ("gap_low", "gap_high", *(("away_low", "away_high") if name == "usable" else ()))
    found = [item.counts.get(end) for end in names]
    ends = [float(end) for end in (item.low, item.high, *found) if end is not None]
    if practical is None or len(ends) < 2 + len(names):
        return "how large the difference between the groups may be is not known"
    gap, low, high = (float(item.counts.get(each) or 0.0) for each in ("gap", "gap_low", "gap_high"))
    if abs(gap) > SMALLEST_GAP and not low <= 0 <= high:
        did = "the erasure takes that off" if name == "used" else "its direction makes that"
        return (
            f"the groups' scores differ by {_logits(gap)} logits, and {did} no further than its controls do: the model "
            "may read the field elsewhere, early or late, or in a way that no linear step reaches"
        )
    most = max(map(abs, ends))
    if most > max(practical, SMALLEST_GAP):
        return f"too few to say no: it could be as much as {_logits(most)} logits, and {_logits(practical)} is the most"
    return None


def _decisions(item: Measurement, alpha: float) -> tuple[float | None, bool | None]:
    """The share of decisions that turned, and whether that is beyond the controls."""
    turned, p_value = item.counts.get("decisions_turned"), item.counts.get("decisions_p")
    if turned is None:
        return None, None
    if turned == 0:
        return 0.0, False
    if p_value is None:
        return float(turned), None
    # Not adjusted itself: it is held against the level of the family's worst step, which its draws are counted for.
    needed = item.counts.get("draws_needed")
    level = alpha if needed is None else min(alpha, 1 / (float(needed) + 1))
    return float(turned), at_level(p_value, alpha=level)


def _significant(item: Measurement, alpha: float) -> bool:
    return at_level(item.p_adjusted, alpha=alpha)


def _p(item: Measurement) -> str:
    value = item.p_adjusted
    return "no p-value" if value is None else "adjusted p < 0.001" if value < 0.001 else f"adjusted p = {value:.3f}"


def _percent(share: float | None) -> str:
    return "an unknown share" if share is None else f"{100 * share:.1f}%"


def _logits(value: float | None) -> str:
    """Signed; three decimals under 0.1: what an attribute does inside a model may be too small for two."""
    size = abs(value or 0.0)
    text = f"{size:.{2 if size >= 0.1 else 3}f}"
    return ("\u2212" if (value or 0.0) < 0 and float(text) else "") + text
