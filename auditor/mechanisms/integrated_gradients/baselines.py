"""A reference application that aligns with another one token by token, as a path between two prompts needs it.

A straight line between two prompts' embeddings exists only where both have the same tokens in the same places. So every
field moves to a word that an application of the run has, of as many tokens as the field's own, the nearest to the
typical one (see :func:`auditor.mechanisms._shared.players.reference_words`). A field without such a word stays as filed
and is not compared: no value is invented for it. Pure, but for the tokenizer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from auditor.language_models.answers import Encoding, encode
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.prompts import Rendered, token_span
from auditor.testing.chunks import PlanContext

CANDIDATES = 3
"""Words a field is given to move to, the nearest first: whether one aligns is known once the whole prompt is tokens."""


@dataclass(frozen=True)
class Aligned:
    """Two prompts of one length as tokens, and of every compared field the token positions and the word it moved to."""

    own: tuple[int, ...]
    reference: tuple[int, ...]
    first: int
    places: Mapping[str, tuple[int, ...]]
    words: Mapping[str, str]


class Candidates:
    """What every field may move to, nearest to the typical word first; one for a whole run."""

    def __init__(self, asked: PlanContext, typical: Mapping[str, str]) -> None:
        self._typical = typical
        self._length: Callable[[str], int] = cache(lambda word: asked.count_tokens(f" {word}"))
        self._ranked = {name: self._rank(asked, name) for name in asked.fields}

    def of(self, words: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        """By field the words to try; none for a field at the typical word, and for one that has no like."""
        found = {}
        for name, own in words.items():
            if own == self._typical[name]:
                continue
            like = [word for word in self._ranked[name] if self._length(word) == self._length(own)]
            # A word farther from the typical one than the field's own would turn the comparison round.
            nearer = like[: like.index(own)] if own in like else like
            found[name] = tuple(nearer[:CANDIDATES])
        return found

    def _rank(self, asked: PlanContext, name: str) -> list[str]:
        values: dict[str, Any] = {}
        counts: Counter[str] = Counter()
        for cluster in asked.clusters:
            word = asked.words[cluster.application.id][name]
            counts[word] += 1
            values[word] = cluster.application.values.get(name)
        typical = self._typical[name]
        middle = values.get(typical)

        def distance(word: str) -> tuple[float, float, str]:
            if word == typical:
                return -1.0, 0.0, word
            value = values[word]
            if isinstance(middle, bool) or not isinstance(middle, int | float) or not isinstance(value, int | float):
                return float("inf"), -counts[word], word
            return abs(float(value) - float(middle)), -counts[word], word

        attribute = next((each for each in asked.plan.attributes if each.field == name), None)
        # Of an attribute the words are its groups, the plan's reference first: a group is nearer to none than another.
        known = list(attribute.groups) if attribute is not None else sorted({typical, *counts}, key=distance)
        return [typical, *(word for word in known if word != typical)]


def align(
    context: ComputeContext, words: Mapping[str, str], candidates: Mapping[str, Sequence[str]]
) -> Aligned | NotApplicable:
    """The application and its reference as tokens, or why they do not align.

    Parameters
    ----------
    context
        Renders and tokenises.
    words
        The application's words.
    candidates
        From :meth:`Candidates.of`.
    """
    trials = [(name, word) for name, tried in candidates.items() for word in tried]
    prompts = [context.render(words), *(context.render({**words, name: word}) for name, word in trials)]
    own, *others = _tokens(context, prompts)
    spans = _spans(prompts[0], own)
    moved: dict[str, str] = {}
    for (name, word), prompt, tokens in zip(trials, prompts[1:], others, strict=True):
        if name not in moved and _alike(own, tokens) and _spans(prompt, tokens) == spans:
            moved[name] = word
    if not moved:
        return NotApplicable("no field has another word of as many tokens")
    both = context.render({**words, **moved})
    (reference,) = _tokens(context, [both])
    if not _alike(own, reference) or _spans(both, reference) != spans:
        return NotApplicable("with all fields at the reference the tokens no longer align")
    places = {name: tuple(range(*spans[name])) for name in moved}
    differing = [index for index, pair in enumerate(zip(own.ids, reference.ids, strict=True)) if pair[0] != pair[1]]
    if not set(differing) <= {index for held in places.values() for index in held}:
        return NotApplicable("text outside the fields is tokenised otherwise")
    if not differing:
        return NotApplicable("the application is at the reference in every field that can be compared")
    return Aligned(own.ids, reference.ids, differing[0], places, moved)


def _tokens(context: ComputeContext, prompts: Sequence[Rendered]) -> list[Encoding]:
    chat = context.plan.prompt.form == "chat"
    return encode(context.loaded.tokenizer, [prompt.text for prompt in prompts], chat=chat)


def _spans(prompt: Rendered, tokens: Encoding) -> dict[str, tuple[int, int]]:
    return {name: token_span(tokens.offsets, span) for name, span in prompt.spans.items()}


def _alike(own: Encoding, other: Encoding) -> bool:
    return len(own.ids) == len(other.ids) and own.ids != other.ids
