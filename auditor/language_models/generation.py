"""Text from local weights: many texts at once, greedy or sampled, each as if it had been generated alone.

Prompts are put into groups in the order of their tree, so that what they share is computed once, and a group's texts
grow together, a token a pass (:mod:`auditor.language_models.text_tree`). Models that cannot be packed are asked for
one text at a time, every token by a forward pass over the whole of it. Either way

- a token whose lead is less than arithmetic can tell is decided by the plain forward pass over that text alone, so the
  same case and replicate give the same text whatever they are computed with;
- when a group is done, the log-probability of every token is read once more with the whole text as input, and the
  first text's by the model's own forward pass as well. A text whose numbers do not agree has no reading.

The decoding settings that a model's files bring (penalties, top-k, top-p) are not applied: what is sampled from is the
model's own distribution.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models.next_token import Decoding, NextToken, choose, perturbation
from auditor.language_models.packed import NOT_FINITE, PackedScorer, plain_logits
from auditor.language_models.text_tree import TextTree
from auditor.language_models.tolerance import TOLERANCE
from auditor.language_models.trie import Tokens

Stopped = Callable[[int, Sequence[int]], bool]

TEXTS_AT_ONCE = 32
"""Most texts of a group: a pass over one text costs nearly what a pass over many does, and masks grow with them."""


@dataclass(frozen=True, slots=True)
class TextPrompt:
    """One text that is wanted: the case it is of, its prompt's tokens, and which replicate of the case it is."""

    case: str
    tokens: tuple[int, ...]
    replicate: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratedText:
    """The tokens of one text.

    Attributes
    ----------
    tokens, log_probabilities
        What was generated, an end mark included, and the log-probability of each in nats at temperature 1.
    ended
        It ended by itself or at a stop; otherwise it was cut off.
    ties
        How many tokens led by so little that the plain forward pass decided.
    largest_difference
        Of the log-probabilities to those read again, in nats.
    trouble
        Why the text may not be read; empty where the self-check held.
    """

    tokens: tuple[int, ...]
    log_probabilities: tuple[float, ...]
    ended: bool
    ties: int
    largest_difference: float | None = None
    trouble: str = ""


def generate(
    scorer: PackedScorer,
    prompts: Sequence[TextPrompt],
    decoding: Decoding,
    *,
    ends: frozenset[int],
    stopped: Stopped = lambda *_: False,
) -> list[GeneratedText]:
    """Generate texts.

    Parameters
    ----------
    scorer
        The model, and whether it can be packed.
    prompts
        In any order: it does not matter, nor does which others there are.
    decoding
        How.
    ends
        Tokens that end a text.
    stopped
        Whether a text, by its index and its tokens so far, is at its end.

    Returns
    -------
    list of GeneratedText
        In the order of ``prompts``.

    Raises
    ------
    ScoringError
        If the model returned a logit that is not a finite number, or a prompt leaves no room; its ``prompt`` is the
        index.
    Interrupted
        If a stop was asked for.
    """
    # Greedy decoding of one prompt has one result, whichever case or replicate it is of.
    first: dict[object, int] = {}
    keys = [(each.case, each.replicate) if decoding.sampled else each.tokens for each in prompts]
    for index, key in enumerate(keys):
        first.setdefault(key, index)
    texts: dict[int, GeneratedText] = {}
    for group in _groups(scorer, prompts, sorted(first.values()), decoding.max_tokens):
        growing = [_Growing(index, prompts[index], decoding) for index in group]
        tokens = [each.prompt.tokens for each in growing]
        room = min(decoding.max_tokens, *(_room(scorer.model, each) for each in growing))
        generator = _together if scorer.packs(tokens, growth=room) else _one_by_one
        generator(scorer, growing, _Rules(decoding, room, ends, stopped))
        texts.update(zip(group, _checked(scorer, growing), strict=True))
    return [texts[first[key]] for key in keys]


@dataclass(frozen=True, slots=True)
class _Rules:
    """When a text is at its end."""

    decoding: Decoding
    room: int
    ends: frozenset[int]
    stopped: Stopped


@dataclass(slots=True)
class _Growing:
    """A text so far. ``index`` is its place in what was asked for."""

    index: int
    prompt: TextPrompt
    decoding: Decoding
    tokens: list[int] = field(default_factory=list)
    log_probabilities: list[float] = field(default_factory=list)
    ended: bool = False
    ties: int = 0
    noise: np.random.Generator | None = None

    def __post_init__(self) -> None:
        self.noise = self.decoding.noise(self.prompt.case, self.prompt.replicate)

    def take(self, logits: torch.Tensor, model: Any, rules: _Rules) -> None:
        """Choose the next token from the logits after the text so far."""
        added = perturbation(self.noise, vocabulary=logits.shape[-1], temperature=self.decoding.temperature)
        chosen = self._finite(choose(logits, added))
        if chosen.tie:
            self.ties += 1
            chosen = self._finite(choose(plain_logits(model, (*self.prompt.tokens, *self.tokens)), added))
        self.tokens.append(chosen.token)
        self.log_probabilities.append(chosen.log_probability)
        self.ended = chosen.token in rules.ends or rules.stopped(self.index, self.tokens)

    def _finite(self, chosen: NextToken | None) -> NextToken:
        if chosen is None:
            raise ScoringError(NOT_FINITE, prompt=self.index)
        return chosen

    def done(self, rules: _Rules) -> bool:
        return self.ended or len(self.tokens) >= rules.room


def _groups(
    scorer: PackedScorer, prompts: Sequence[TextPrompt], wanted: Sequence[int], growth: int
) -> Iterator[list[int]]:
    """Prompts that are generated together: neighbours in the tree, as many tokens as one pass holds."""
    order = sorted(wanted, key=lambda index: (prompts[index].tokens, prompts[index].case, prompts[index].replicate))
    group: list[int] = []
    held = 0
    before: tuple[int, ...] = ()
    for index in order:
        tokens = prompts[index].tokens
        new = len(tokens) - _common(before, tokens)
        if group and (len(group) == TEXTS_AT_ONCE or held + new > scorer.pack_tokens):
            yield group
            group, held, new = [], 0, len(tokens)
        group.append(index)
        held, before = held + new, tokens
    if group:
        yield group


def _common(left: Tokens, right: Tokens) -> int:
    count = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        count += 1
    return count


def _room(model: Any, text: _Growing) -> int:
    """How many tokens the model has positions for after a prompt."""
    most = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    room = (int(most) if most else 10**9) - len(text.prompt.tokens)
    if room < 1:
        what = f"the prompt of {len(text.prompt.tokens)} tokens leaves no room in the model's {most} positions"
        raise ScoringError(what, prompt=text.index)
    return room


def _together(scorer: PackedScorer, growing: Sequence[_Growing], rules: _Rules) -> None:
    """Let the texts of a group grow, a token each a pass."""
    tree = TextTree(
        scorer.model,
        [each.prompt.tokens for each in growing],
        growth=rules.room,
        plain_head=scorer.probe.plain_head,
    )
    rows = list(range(len(growing)))
    _go_on(scorer)
    logits = tree.read()
    while True:
        if not bool(logits.isfinite().all()):
            raise ScoringError(NOT_FINITE, prompt=_whose(scorer, [growing[row] for row in rows]))
        for row, values in zip(rows, logits, strict=True):
            growing[row].take(values, scorer.model, rules)
        rows = [row for row in rows if not growing[row].done(rules)]
        if not rows:
            return
        _go_on(scorer)
        logits = tree.grow(rows, [growing[row].tokens[-1] for row in rows])


def _whose(scorer: PackedScorer, growing: Sequence[_Growing]) -> int:
    """Which text has a logit that is no number by itself: one such state makes those of all texts of a pass so."""
    for text in growing:
        if not bool(plain_logits(scorer.model, (*text.prompt.tokens, *text.tokens)).isfinite().all()):
            return text.index
    return growing[0].index


def _one_by_one(scorer: PackedScorer, growing: Sequence[_Growing], rules: _Rules) -> None:
    """One text after another, each token by the model's own forward pass over the whole text."""
    for text in growing:
        while not text.done(rules):
            _go_on(scorer)
            text.take(plain_logits(scorer.model, (*text.prompt.tokens, *text.tokens)), scorer.model, rules)


def _go_on(scorer: PackedScorer) -> None:
    if scorer.should_stop():
        raise Interrupted("stopped between two tokens; what was generated before is kept")


def _checked(scorer: PackedScorer, growing: Sequence[_Growing]) -> list[GeneratedText]:
    """The texts with their self-check: log-probabilities read again from whole texts, and of one text alone."""
    sequences = [(*each.prompt.tokens, *each.tokens[:-1]) for each in growing]
    reads = [
        [(len(each.prompt.tokens) - 1 + place, token) for place, token in enumerate(each.tokens)] for each in growing
    ]
    again = scorer.log_probabilities(sequences, reads)
    alone = scorer.one_by_one(sequences[:1], reads[:1])[0]
    plain = _apart(growing[0].log_probabilities, alone)
    texts = []
    for each, values in zip(growing, again, strict=True):
        difference = _apart(each.log_probabilities, values)
        trouble = ""
        if not plain <= TOLERANCE:
            trouble = f"generated and plain log-probabilities of the group's first text differ by {plain:.2g} nats"
        elif not difference <= TOLERANCE:
            trouble = f"its tokens' log-probabilities differ by {difference:.2g} nats when read again"
        texts.append(
            GeneratedText(
                tokens=tuple(each.tokens),
                log_probabilities=tuple(each.log_probabilities),
                ended=each.ended,
                ties=each.ties,
                largest_difference=difference,
                trouble=trouble,
            )
        )
    texts[0] = replace(texts[0], largest_difference=max(texts[0].largest_difference or 0.0, plain))
    return texts


def _apart(one: Sequence[float], other: Sequence[float]) -> float:
    return float(np.abs(np.asarray(one) - np.asarray(other)).max())
