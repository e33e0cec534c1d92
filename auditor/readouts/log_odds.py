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
    """The margin lies at or above ``at_least`` and at or below ``at_most`` (nats); ``None`` where nothing is known.

    The answers of both sides together have a probability from ``mass_at_least`` to ``mass_at_most``.
    """

    at_least: float | None
    at_most: float | None
    reason: str
    mass_at_least: float
    mass_at_most: float


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
    asked: Sequence[Sequence[TokenStep] | None],
    *,
    favourable: Sequence[str],
    adverse: Sequence[str],
    tolerance: float = TOLERANCE,
    trouble: str = "there are no log-probabilities",
) -> Margin | Bound | NoMargin:
    """The margin from the tokens of an answer and the likeliest tokens at each position.

    Parameters
    ----------
    asked
        The tokens of each answer to one and the same prompt: one, or several replicates. A replicate that took another
        way shows what the first could not: the remainder of an answer of several tokens. ``None``: has none.
    favourable, adverse
        Spellings. None of one side may begin with one of the other.
    tolerance
        Nats; see ``TOLERANCE``.
    trouble
        Why there are no tokens, if so.

    Returns
    -------
    Margin
        Both sides are seen, and what was not shown moves the margin by no more than the tolerance.
    Bound
        One side is not seen, or too much was not shown.
    NoMargin
        There are no log-probabilities, nothing of either side was seen, or replicates contradict one another.

    Raises
    ------
    ValueError
        If an answer of one side begins with one of the other.
    """
    for one, other in ((favourable, adverse), (adverse, favourable)):
        if any(long.startswith(short) for long in one for short in other):
            raise ValueError("expected answers of which none begins with one of the other side")
    answers = [steps for steps in asked if steps]
    if not answers:
        return NoMargin(trouble)
    if not any(step.likeliest for steps in answers for step in steps):
        return NoMargin("there is no list of likeliest tokens")
    tree = _Tree()
    for steps in answers:
        if not tree.grow(steps, tolerance=tolerance):
            return NoMargin("answers to one prompt name different log-probabilities")
    return _margin(tree.share(favourable), tree.share(adverse), tolerance=tolerance)


def _margin(up: _Share, down: _Share, *, tolerance: float) -> Margin | Bound | NoMargin:
    if up.seen <= 0 and down.seen <= 0:
        return NoMargin("neither answer is among the likeliest tokens")
    low, high = _log_ratio(up.seen, down.most), _log_ratio(up.most, down.seen)
    seen, most = min(1.0, up.seen + down.seen), min(1.0, up.most + down.most)
    if low is not None and high is not None:
        if high - low <= tolerance:
            return Margin(math.log(up.seen) - math.log(down.seen), low, high, seen)
        return Bound(low, high, "what is outside the likeliest tokens could move the margin", seen, most)
    side = "favourable" if up.seen <= 0 else "adverse"
    return Bound(low, high, f"the {side} answer is not among the likeliest tokens", seen, most)


class _Tree:
    """What was shown at every place a text can be at: the likeliest tokens after the tokens before."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, ...], dict[str, float]] = {}
        self._least: dict[tuple[str, ...], float] = {}

    def grow(self, steps: Sequence[TokenStep], *, tolerance: float) -> bool:
        """Add an answer; false if it contradicts what was shown before by more than the tolerance in nats."""
        before: tuple[str, ...] = ()
        for step in steps:
            shown: dict[str, float] = {}
            for token, value in step.likeliest:  # two tokens of one text are one way to spell it
                shown[token] = _log_sum([shown[token], value]) if token in shown else value
            shown.setdefault(step.text, step.log_probability)
            kept = self._shown.setdefault(before, shown)
            if any(abs(kept[token] - shown[token]) > tolerance for token in kept.keys() & shown.keys()):
                return False
            kept |= {token: value for token, value in shown.items() if token not in kept}
            least = min((value for _, value in step.likeliest), default=0.0)
            self._least[before] = min(self._least.get(before, 0.0), least)
            before = (*before, step.text)
        return True

    def share(self, answers: Sequence[str]) -> _Share:
        """Probability that the text is one of the answers at some border between tokens."""
        seen, most = 0.0, 0.0
        places: list[tuple[tuple[str, ...], float]] = [((), 1.0)]
        while places:
            before, path = places.pop()
            shown = self._shown.get(before)
            if shown is None:  # where it would have gone was not shown
                most += path
                continue
            given = "".join(before)
            for token, value in shown.items():
                here = path * math.exp(value)
                if given + token in answers:
                    seen, most = seen + here, most + here
                elif token and _begins(given + token, answers):
                    places.append(((*before, token), here))
            most += path * self._outside(before, shown, answers)
        return _Share(min(seen, 1.0), min(max(most, seen), 1.0))

    def _outside(self, before: tuple[str, ...], shown: dict[str, float], answers: Sequence[str]) -> float:
        """The most that tokens outside the list can add: each at most the last listed, together what is left over."""
        given = "".join(before)
        wanted = {
            answer[len(given) : end]
            for answer in answers
            if answer.startswith(given)
            for end in range(len(given) + 1, len(answer) + 1)
        }
        left = max(0.0, 1.0 - math.fsum(math.exp(value) for value in shown.values()))
        return min(left, len(wanted) * math.exp(self._least[before]))


def _begins(text: str, answers: Sequence[str]) -> bool:
    return any(answer.startswith(text) and answer != text for answer in answers)


def _log_ratio(over: float, under: float) -> float | None:
    return math.log(over) - math.log(under) if over > 0 and under > 0 else None


def _log_sum(values: Sequence[float]) -> float:
    top = max(values)
    return top + math.log(math.fsum(math.exp(value - top) for value in values))
