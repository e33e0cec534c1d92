"""What a description can say: a place, the words there, and what a field of the application says.

A predicate is a statement about a token that needs no activation to be decided, and that reads as plain English. It is
all that a scorer sees of a description.

    family      its cells                             reads as
    last        the last token                        at the end of the prompt, where the decision is read
    tail        tokens behind the last value          on the closing words of the prompt
    part        tokens that lead up to and hold a     in the part about Race
                field's value
    value       tokens of a field's value             on the value of Race
    label       tokens between two values             on the words before the value of Race
    closes      the last token of a value             at the end of the value of Race
    opens       the first token of a value            at the start of the value of Race
    token       an entry of the vocabulary            on “Black”
    place       an entry in one field's part          on “Black” in the part about Race

Cells of one family do not overlap, so what several of them cover adds up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np

from auditor.mechanisms._shared.contrast_rows import Value
from auditor.mechanisms._shared.corpus import BoolArray, Corpus, CorpusPrompt, IntArray

FAMILIES = ("last", "tail", "part", "value", "label", "closes", "opens", "token", "place")
IS, IS_NOT, ABOVE, AT_MOST = "is", "is not", "above", "at most"
QUANTILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
MOST_WORDS = 12
"""A field with more different words than this is not compared word by word."""


@dataclass(frozen=True, slots=True)
class Condition:
    """What a field says, known from its value on: ``value`` is words (is, is not) or a number; ``said`` is how it
    reads."""

    field: int
    kind: str
    value: Value
    said: str

    def holds(self, words: str, value: Value) -> bool:
        """Whether a field with these words and this value meets it; one that states no number is neither above nor at
        most one."""
        if self.kind in (IS, IS_NOT):
            return bool(words == self.value) == (self.kind == IS)
        if not is_number(value):
            return False
        return is_number(self.value) and (value > self.value) == (self.kind == ABOVE)


@dataclass(frozen=True, slots=True)
class Predicate:
    """Tokens in some cells of a family, where a condition holds if there is one."""

    family: str
    cells: tuple[int, ...]
    condition: Condition | None = None


class Cells:
    """The cell of every token in every family, and where conditions hold: what predicates are matched against.

    Parameters
    ----------
    corpus
        The tokens.
    """

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self._cells = {family: _cells(corpus, family) for family in FAMILIES}
        self._conditions: dict[Condition, BoolArray] = {}

    def __getitem__(self, family: str) -> IntArray:
        """Of every token; −1 where it is in none."""
        return self._cells[family]

    def matches(self, predicate: Predicate) -> BoolArray:
        """Which tokens a predicate speaks of."""
        own = self._cells[predicate.family]
        found = np.zeros(len(own), dtype=bool)
        for cell in predicate.cells:
            found |= own == cell
        return found & self.holds(predicate.condition) if predicate.condition is not None else found

    def holds(self, condition: Condition) -> BoolArray:
        """Where a condition holds and its field's value has begun."""
        if condition not in self._conditions:
            met = met_by(condition, self.corpus)
            self._conditions[condition] = met[self.corpus.prompt] & (self.corpus.known > condition.field)
        return self._conditions[condition]


def is_number(value: Value) -> TypeGuard[int | float]:
    """Whether a value can be compared with a threshold."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def met_by(condition: Condition, corpus: Corpus) -> BoolArray:
    """Which prompts meet a condition."""
    name = corpus.fields[condition.field]
    return np.array([condition.holds(item.words[name], item.values[name]) for item in corpus.prompts], dtype=bool)


def conditions_of(corpus: Corpus, *, prompts: Sequence[int], least: int) -> list[Condition]:
    """The conditions that some prompts meet and others do not.

    Parameters
    ----------
    corpus
        Names fields and prompts.
    prompts
        The prompts to look at.
    least
        Applications that must meet a condition, and that must not.
    """
    found: list[Condition] = []
    chosen = [corpus.prompts[number] for number in prompts]
    for number, name in enumerate(corpus.fields):
        said = sorted({item.words[name] for item in chosen})
        if 2 <= len(said) <= MOST_WORDS:
            for words in said:
                found += [Condition(number, kind, words, words) for kind in ((IS, IS_NOT) if len(said) > 2 else (IS,))]
        numbers = {value: item.words[name] for item in chosen if is_number(value := item.values[name])}
        if len(numbers) > 4:
            places = sorted({_at(sorted(numbers), share) for share in QUANTILES})
            for value in places:
                found += [Condition(number, kind, value, numbers[value]) for kind in (ABOVE, AT_MOST)]
    return [condition for condition in found if _tells_apart(condition, corpus, chosen, least)]


def words_of(predicate: Predicate, corpus: Corpus) -> str:
    """The predicate in plain English: ``active on the value of Race when it is Black``."""
    start = f"Active {_place(predicate, corpus)}"
    condition = predicate.condition
    if condition is None:
        return start
    itself = predicate.family in ("part", "value", "closes", "opens") and predicate.cells == (condition.field,)
    name = "it" if itself else _label(corpus, condition.field)
    return f"{start} when {name} is {_compared(condition)}"


def _compared(condition: Condition) -> str:
    if condition.kind == IS:
        return f"“{condition.said}”"
    return {
        IS_NOT: f"not “{condition.said}”",
        ABOVE: f"above {condition.said}",
        AT_MOST: f"{condition.said} or less",
    }[condition.kind]


def _place(predicate: Predicate, corpus: Corpus) -> str:
    family, cells = predicate.family, predicate.cells
    if family == "last":
        return "at the end of the prompt, where the decision is read"
    if family == "tail":
        return "on the closing words of the prompt"
    if family == "token":
        return f"on {_joined([_quoted(corpus.vocabulary[cell]) for cell in cells])}"
    if family == "place":
        size = len(corpus.vocabulary)
        parts: dict[int, list[str]] = {}
        for cell in cells:
            parts.setdefault(cell // size, []).append(_quoted(corpus.vocabulary[cell % size]))
        return _joined([f"on {_joined(words)} {_part(corpus, segment)}" for segment, words in parts.items()])
    labels = _joined([_label(corpus, cell) for cell in cells])
    values = "value" if len(cells) == 1 else "values"
    return {
        "part": f"in the {'part' if len(cells) == 1 else 'parts'} about {labels}",
        "value": f"on the {values} of {labels}",
        "label": f"on the words before the {values} of {labels}",
        "closes": f"at the end of the {values} of {labels}",
        "opens": f"at the start of the {values} of {labels}",
    }[family]


def _part(corpus: Corpus, segment: int) -> str:
    if segment == len(corpus.fields):
        return "in the closing words of the prompt"
    return f"in the part about {_label(corpus, segment)}"


def _label(corpus: Corpus, field: int) -> str:
    name = corpus.fields[field]
    return corpus.labels.get(name, name)


def _quoted(token: str) -> str:
    if not token.strip():
        return "a line break" if "\n" in token else "a space" if token else "the start of the text"
    return f"“{' '.join(token.split())}”"


def _joined(words: Sequence[str]) -> str:
    words = list(dict.fromkeys(words))
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _cells(corpus: Corpus, family: str) -> IntArray:
    segment, last = corpus.segment, len(corpus.fields)
    marks: Mapping[str, tuple[BoolArray, IntArray]] = {
        "last": (corpus.back == 0, np.zeros_like(segment)),
        "tail": (segment == last, np.zeros_like(segment)),
        "part": (segment < last, segment),
        "value": (corpus.inside, segment),
        "label": ((segment < last) & ~corpus.inside, segment),
        "closes": (corpus.closes, segment),
        "opens": (corpus.opens, segment),
        "token": (np.ones(len(corpus), dtype=bool), corpus.token),
        "place": (np.ones(len(corpus), dtype=bool), segment * len(corpus.vocabulary) + corpus.token),
    }
    where, cells = marks[family]
    return np.where(where, cells, -1)


def _at(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _tells_apart(condition: Condition, corpus: Corpus, chosen: Sequence[CorpusPrompt], least: int) -> bool:
    name = corpus.fields[condition.field]
    met: dict[bool, set[str]] = {True: set(), False: set()}
    for item in chosen:
        met[condition.holds(item.words[name], item.values[name])].add(item.application)
    return min(len(met[True]), len(met[False])) >= least
