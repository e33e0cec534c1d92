"""The tokens a dictionary was read on: which prompt, which field, what the application says there.

Prompts of one application share their beginning. A prompt in which one field was changed adds only the tokens from the
first difference on, so every distinct token stands in a corpus once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_matrix

from auditor.mechanisms._shared.contrast_rows import Value

MARKS = ("inside", "opens", "closes")
COLUMNS = ("prompt", "token", "segment", *MARKS, "back")
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class CorpusPrompt:
    """One prompt: its application, the field that was changed (``None``: as filed), and what every field says.

    ``words`` are as written; ``values`` the numbers or words behind them, ``None`` where nothing is stated.
    """

    application: str
    changed: str | None
    words: Mapping[str, str]
    values: Mapping[str, Value]


@dataclass(frozen=True)
class Corpus:
    """Distinct tokens of some prompts.

    Attributes
    ----------
    fields
        Fields in the order they stand in the prompt.
    labels
        Their labels.
    prompts
        The prompts.
    vocabulary
        The different tokens, as text.
    prompt, token
        Of every token: its prompt, and its entry in the vocabulary.
    segment
        The field it leads up to or belongs to; ``len(fields)`` for what stands after the last field's value.
    inside, opens, closes
        Whether it carries characters of that field's value, its first, its last.
    back
        How many tokens follow it in its prompt; 0 at the place where the decision is read.
    """

    fields: tuple[str, ...]
    labels: Mapping[str, str]
    prompts: tuple[CorpusPrompt, ...]
    vocabulary: tuple[str, ...]
    prompt: IntArray
    token: IntArray
    segment: IntArray
    inside: BoolArray
    opens: BoolArray
    closes: BoolArray
    back: IntArray

    def __len__(self) -> int:
        return len(self.prompt)

    @cached_property
    def known(self) -> IntArray:
        """How many fields' values have begun by every token."""
        return self.segment + self.inside

    @cached_property
    def context(self) -> IntArray:
        """A number for every piece of a prompt that leads up to and holds one value: the unit descriptions are tried
        on."""
        return self.prompt * (len(self.fields) + 1) + self.segment

    @cached_property
    def application(self) -> npt.NDArray[np.str_]:
        """The application of every token."""
        names = np.array([prompt.application for prompt in self.prompts])
        return np.asarray(names[self.prompt])

    def rows_of(self, applications: Sequence[str]) -> IntArray:
        """The tokens of some applications, in order."""
        return np.flatnonzero(np.isin(self.application, list(applications)))

    def take(self, rows: IntArray) -> Corpus:
        """The same prompts with some of the tokens."""
        return replace(self, **{name: getattr(self, name)[rows] for name in COLUMNS})


@dataclass(frozen=True)
class Read:
    """A corpus and the activations of a dictionary on it: [tokens, latents], mostly zeros."""

    corpus: Corpus
    activations: csr_matrix

    def take(self, rows: IntArray) -> Read:
        """Some of the tokens."""
        return Read(self.corpus.take(rows), self.activations[rows])


@dataclass
class CorpusBuilder:
    """Collects prompts token by token.

    ``fields`` are in the order they stand in the prompt.
    """

    fields: tuple[str, ...]
    labels: Mapping[str, str]

    def __post_init__(self) -> None:
        self._prompts: list[CorpusPrompt] = []
        self._words: dict[str, int] = {}
        self._columns: dict[str, list[int]] = {name: [] for name in COLUMNS}

    def add(
        self,
        prompt: CorpusPrompt,
        *,
        tokens: Sequence[str],
        offsets: Sequence[tuple[int, int]],
        spans: Mapping[str, tuple[int, int]],
        start: int,
    ) -> None:
        """Add the tokens of one prompt from ``start`` on.

        Parameters
        ----------
        prompt
            What it says.
        tokens, offsets
            Text and character range of every token of the whole prompt.
        spans
            Character range of every field's value.
        start
            The first token that no prompt before held.
        """
        number = len(self._prompts)
        self._prompts.append(prompt)
        begins = [spans[name][0] for name in self.fields]
        ends = [spans[name][1] for name in self.fields]
        for place in range(start, len(tokens)):
            first, last = offsets[place]
            segment = int(np.searchsorted(ends, first, side="right"))
            within = segment < len(ends) and first < last and last > begins[segment]
            row: dict[str, int] = {
                "prompt": number,
                "token": self._words.setdefault(tokens[place], len(self._words)),
                "segment": segment,
                "inside": within,
                "opens": within and first <= begins[segment],
                "closes": within and last >= ends[segment],
                "back": len(tokens) - 1 - place,
            }
            for name, value in row.items():
                self._columns[name].append(value)

    def finished(self) -> Corpus:
        """The corpus."""
        columns = {
            name: np.array(values, dtype=bool if name in MARKS else np.int64) for name, values in self._columns.items()
        }
        return Corpus(
            fields=self.fields,
            labels=self.labels,
            prompts=tuple(self._prompts),
            vocabulary=tuple(self._words),
            **columns,
        )
