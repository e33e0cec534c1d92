"""What a dictionary needs before anything is said of its features.

A feature that few tokens formed is the trace of those tokens; a dictionary that leaves much of the states unexplained
speaks of something else than the states. Below either bound the tests on features end with the figures and no result.
"""

from __future__ import annotations

ROWS_A_LATENT = 2.0
"""Distinct training tokens a latent (docs/decisions/0013)."""
MOST_UNEXPLAINED = 0.3
"""Fraction of variance unexplained on held-out applications, at most."""
LEAST_HELD_OUT = 200
"""Tokens of held-out applications, behind that fraction, at least."""


def too_few_rows(rows: int, latents: int) -> str | None:
    """Why a dictionary of so many latents is not trained on so many distinct tokens."""
    if rows >= ROWS_A_LATENT * latents:
        return None
    return (
        f"too few tokens to say: {rows:,} distinct tokens for {latents:,} latents, {rows / latents:.1f} each where "
        f"{ROWS_A_LATENT:g} are needed (settings.dictionary: more tokens or text, or a smaller expansion)"
    )


def too_poor(unexplained: float, tokens: int) -> str | None:
    """Why nothing is said of the features of a dictionary with this fraction unexplained on so many held-out tokens."""
    if tokens < LEAST_HELD_OUT:
        return (
            f"too few tokens to say: the dictionary is tried on {tokens} held-out tokens, {LEAST_HELD_OUT} are needed"
        )
    # Not a number is refused too.
    if unexplained <= MOST_UNEXPLAINED:
        return None
    return (
        f"the dictionary leaves {unexplained:.0%} of the variance of held-out states unexplained, where at most "
        f"{MOST_UNEXPLAINED:.0%} is allowed: its features are not those of this model's states"
    )
