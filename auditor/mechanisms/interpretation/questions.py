"""What models that describe features are asked, and how much of it there can be. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass

from auditor.mechanisms.interpretation.card import ENDPOINT, Settings

EXAMPLES, EXAMPLE_TOKENS, ANSWER_TOKENS = 5, 40, 4
CHARACTERS_OF_A_DESCRIPTION = 4 * EXAMPLE_TOKENS
TRIES_OF_A_PIECE = 4
"""A description is tried on active pieces, on as many others, and on two markings of the active ones."""
DESCRIBE = (
    "Pieces of credit applications. The words between « and » switch on one part of a language model.\n{pieces}\n"
    "In one short sentence, what do the marked words have in common? The marked words are"
)
DETECT = (
    "A part of a language model is described so: {words}\nA piece of a credit application: {piece}\n"
    "Does this piece hold what is described? Answer yes or no. Answer:"
)
FUZZ = (
    "A part of a language model is described so: {words}\nA piece of a credit application, some words marked with « "
    "and »: {piece}\nAre the marked words the ones described? Answer yes or no. Answer:"
)


@dataclass(frozen=True, kw_only=True)
class MostAsked:
    """The most that an endpoint is asked: requests, characters of one of them, tokens of an answer."""

    source: str
    requests: int
    characters: int
    tokens: int


def most_asked(settings: Settings, *, characters: int) -> tuple[MostAsked, ...]:
    """What describer and scorer are asked at most, those that are endpoints.

    Parameters
    ----------
    settings
        Of the plan.
    characters
        Of a prompt of the run, of which pieces are shown.
    """
    describer = MostAsked(
        source=settings.describer,
        requests=settings.report,
        characters=len(DESCRIBE) + EXAMPLES * characters,
        tokens=EXAMPLE_TOKENS,
    )
    scorer = MostAsked(
        source=settings.scorer,
        # Each description by itself, and once with another feature's.
        requests=settings.report * settings.contexts * TRIES_OF_A_PIECE * 2,
        characters=len(FUZZ) + CHARACTERS_OF_A_DESCRIPTION + characters,
        tokens=ANSWER_TOKENS,
    )
    return tuple(one for one in (describer, scorer) if one.source.startswith(ENDPOINT))
