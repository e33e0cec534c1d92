"""Whether log-probabilities can be ones: servers that have none send zeros, −9999 or worse."""

from __future__ import annotations

import math
from collections.abc import Sequence

from auditor.systems.asking import TokenStep

#: Nats. No float32 softmax gives less; servers write −9999 or −1e4 where they have none.
LEAST = -1000.0
#: Nats. What rounding may put above zero.
ABOVE = 1e-3
#: What rounding may put above a sum of one.
SUM_ABOVE = 0.01
#: Nats. By how much rounding may have one token told in two ways.
APART = 0.05


def implausible(steps: Sequence[TokenStep]) -> str:
    """Why these cannot be log-probabilities; empty if they can.

    Checked: finite, not above zero, not a placeholder such as −9999, the likeliest tokens of a position sum to no more
    than one, a list of several is not one certain token among placeholders, and no entry stands twice. The token itself
    is told as its list tells it: with the same value where it stands there, and no likelier than the last where not.
    """
    for index, step in enumerate(steps):
        if why := _step(step):
            return f"the log-probabilities of token {index + 1} are none: {why}"
    return ""


def impossible(value: float) -> str:
    """Why one value cannot be a log-probability; empty if it can.

    >>> impossible(0.4), impossible(-0.4)
    ('above zero (0.4)', '')
    """
    if not math.isfinite(value):
        return "not a number"
    if value > ABOVE:
        return f"above zero ({value:g})"
    if value <= LEAST:
        return f"a placeholder ({value:g})"
    return ""


def _step(step: TokenStep) -> str:
    if why := impossible(step.log_probability):
        return why
    for _, value in step.likeliest:
        if why := impossible(value):
            return why
    total = math.fsum(math.exp(value) for _, value in step.likeliest)
    if total > 1 + SUM_ABOVE:
        return f"the probabilities of one position sum to {total:.3g}"
    return _contradiction(step)


def _contradiction(step: TokenStep) -> str:
    """Where a position contradicts itself: what is outside its list would not be bounded by it."""
    if not step.likeliest:
        return ""
    # Pieces of a character are all written as one mark.
    whole = [pair for pair in step.likeliest if pair[0] and "\N{REPLACEMENT CHARACTER}" not in pair[0]]
    if len(set(whole)) != len(whole):
        return "an entry stands twice among the likeliest tokens"
    own = step.log_probability
    told = [value for text, value in step.likeliest if text == step.text]
    if told and min(abs(value - own) for value in told) > APART:
        return f"the token has {own:.3g} by itself and {told[0]:.3g} among the likeliest"
    least = min(value for _, value in step.likeliest)
    if not told and own > least + APART:
        return "a token that is not among the likeliest is likelier than they are"
    return ""
