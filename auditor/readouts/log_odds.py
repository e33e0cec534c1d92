"""Log-odds of a decision: exact from scored answers, and from the likeliest tokens a number or a bound.

The probability of an answer is that of the text beginning with it, summed over the ways to spell it in tokens. Top-k
lists show some of these ways: tokens whose joined text *is* an answer count as seen. What was not shown is bounded: a
shown token that only begins an answer may be followed by its remainder, and a token outside the list has at most the
probability of the last one in it, all of them together at most what the list leaves over.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from auditor.systems.asking import Scored, TokenStep

#: Nats. Where what was not shown could move a margin by more, it is a bound.
TOLERANCE = 0.05


@dataclass(frozen=True, slots=True)
class Margin:
    """ln P(favourable) − ln P(adverse) in nats, and how far what was not shown could move it."""

    value: float
    low: float
    high: float
    mass: float


@dataclass(frozen=True, slots=True)
class Bound:
    """The margin lies at or above ``at_least`` and at or below ``at_most`` (nats); ``None`` where nothing is known."""

    at_least: float | None
    at_most: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class NoMargin:
    """Nothing is known of the margin, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class _Share:
    """Probability of one side's answers: what was seen of it, and the most it can be."""

    seen: float
    most: float


def spellings(answers: Sequence[str], *, loose: bool) -> tuple[str, ...]:
    """The texts that count as an answer: those given and, if ``loose``, each with and without a space before it, as
    given, in lower case, capitalised and in upper case.

    >>> spellings([" deny"], loose=True)
    (' deny', ' Deny', ' DENY', 'deny', 'Deny', 'DENY')
    """
    if not loose:
        return tuple(dict.fromkeys(answers))
    found = []
    for answer in answers:
        bare = answer.strip()
        forms = dict.fromkeys([bare, bare.lower(), bare[:1].upper() + bare[1:].lower(), bare.upper()])
        found += [answer, *(f" {form}" for form in forms), *forms]
    return tuple(dict.fromkeys(found))


def margin_of_scores(
    scores: Sequence[Scored], *, favourable: Sequence[str], adverse: Sequence[str]
) -> Margin | NoMargin:
    """The exact margin from the log-probabilities of whole answers."""
    values = {score.continuation: score for score in scores}
    for answer in (*favourable, *adverse):
        if answer not in values:
            return NoMargin(f"{answer!r} was not scored")
        if values[answer].log_probability is None:
            return NoMargin(f"{answer!r}: {values[answer].trouble}")
    up = _log_sum([values[answer].log_probability or 0.0 for answer in favourable])
    down = _log_sum([values[answer].log_probability or 0.0 for answer in adverse])
    margin = up - down
    return Margin(margin, margin, margin, math.exp(min(0.0, _log_sum([up, down]))))


def margin_of_tokens(
    steps: Sequence[TokenStep] | None,
    *,
    favourable: Sequence[str],
    adverse: Sequence[str],
    tolerance: float = TOLERANCE,
    trouble: str = "there are no log-probabilities",
) -> Margin | Bound | NoMargin:
    """The margin from the tokens of an answer and the likeliest tokens at each position.

    Parameters
    ----------
    steps
        Of the final answer; ``None`` where there are none.
    favourable, adverse
        Spellings. None of one side may begin with one of the other.
    tolerance
        Nats; see ``TOLERANCE``.
    trouble
        Why there are no steps, if so.

    Returns
    -------
    Margin
        Both sides are seen, and what was not shown moves the margin by no more than the tolerance.
    Bound
        One side is not seen, or too much was not shown.
    NoMargin
        There are no log-probabilities, or nothing of either side was seen.

    Raises
    ------
    ValueError
        If an answer of one side begins with one of the other.
    """
    for one, other in ((favourable, adverse), (adverse, favourable)):
        if any(long.startswith(short) for long in one for short in other):
            raise ValueError("expected answers of which none begins with one of the other side")
    if not steps:
        return NoMargin(trouble)
    if not any(step.likeliest for step in steps):
        return NoMargin("there is no list of likeliest tokens")
    up, down = _share(steps, favourable), _share(steps, adverse)
    if up.seen <= 0 and down.seen <= 0:
        return NoMargin("neither answer is among the likeliest tokens")
    low = _log_ratio(up.seen, down.most)
    high = _log_ratio(up.most, down.seen)
    if up.seen > 0 and down.seen > 0 and low is not None and high is not None:
        value = math.log(up.seen) - math.log(down.seen)
        if high - low <= tolerance:
            return Margin(value, low, high, min(1.0, up.seen + down.seen))
        return Bound(low, high, "what is outside the likeliest tokens could move the margin")
    side = "favourable" if up.seen <= 0 else "adverse"
    return Bound(low, high, f"the {side} answer is not among the likeliest tokens")


def _share(steps: Sequence[TokenStep], answers: Sequence[str]) -> _Share:
    """Walk along the answer that was given; at every token the list shows what else could have stood there."""
    seen, most = 0.0, 0.0
    given, path = "", 1.0
    for step in steps:
        shown = dict(step.likeliest) if step.likeliest else {}
        shown.setdefault(step.text, step.log_probability)
        total = math.fsum(math.exp(value) for value in shown.values())
        for token, value in shown.items():
            text, here = given + token, path * math.exp(value)
            if text in answers:
                seen, most = seen + here, most + here
            elif token != step.text and _begins(text, answers):
                most += here  # it may go on to be an answer: where to was not shown
        most += path * _outside(step, shown, given, answers, left=max(0.0, 1.0 - total))
        given, path = given + step.text, path * math.exp(step.log_probability)
        if given in answers or not _begins(given, answers):
            break
    else:
        # The answer ended, or was cut off, before it was whole: where it would have gone was not shown.
        most += path
    return _Share(min(seen, 1.0), min(max(most, seen), 1.0))


def _outside(step: TokenStep, shown: dict[str, float], given: str, answers: Sequence[str], *, left: float) -> float:
    """The most that tokens outside the list can add: each at most the last listed, together at most what is left."""
    wanted = {
        answer[len(given) : end]
        for answer in answers
        if answer.startswith(given)
        for end in range(len(given) + 1, len(answer) + 1)
    }
    hidden = len(wanted - shown.keys())
    least = min(value for _, value in step.likeliest) if step.likeliest else 0.0
    return min(left, hidden * math.exp(least))


def _begins(text: str, answers: Sequence[str]) -> bool:
    return any(answer.startswith(text) and answer != text for answer in answers)


def _log_ratio(over: float, under: float) -> float | None:
    return math.log(over) - math.log(under) if over > 0 and under > 0 else None


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))
