"""Which features respond to which field, and how far the directions of two kinds of features overlap where both act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auditor.mechanisms._shared.corpus import Corpus, Read
from auditor.mechanisms.sae.geometry import held_share
from auditor.statistics.results import FloatArray, IntArray
from auditor.testing.rows import Row

BoolArray = npt.NDArray[np.bool_]
NEAREST = 5
"""A random partner is one of so many features that act on the same token and are nearest in how often they act."""


@dataclass(frozen=True)
class Tails:
    """Activations where all prompts have the same words: the end, behind the last field.

    Attributes
    ----------
    latents
        Those that act there at all, by their number in the dictionary.
    values
        Shape (prompts, positions, latents), at the length they write into the stream.
    applications, changed
        Of every prompt.
    """

    latents: IntArray
    values: FloatArray
    applications: tuple[str, ...]
    changed: tuple[str | None, ...]

    def halves(self) -> tuple[Tails, Tails]:
        """The prompts of every other application, and those of the rest."""
        names = list(dict.fromkeys(self.applications))
        return self._of(frozenset(names[::2])), self._of(frozenset(names[1::2]))

    def _of(self, names: frozenset[str]) -> Tails:
        rows = [row for row, name in enumerate(self.applications) if name in names]
        return Tails(
            self.latents,
            self.values[rows],
            tuple(self.applications[row] for row in rows),
            tuple(self.changed[row] for row in rows),
        )

    def changes(self, field: str) -> FloatArray:
        """What changing a field changes, shape (prompts with that change, positions, latents)."""
        base = {
            name: row
            for row, (name, changed) in enumerate(zip(self.applications, self.changed, strict=True))
            if changed is None
        }
        rows = [row for row, changed in enumerate(self.changed) if changed == field]
        return self.values[rows] - self.values[[base[self.applications[row]] for row in rows]]

    def response(self, field: str) -> FloatArray:
        """Root mean square change of every latent when a field changes; zeros where it never does."""
        found = self.changes(field)
        if not len(found):
            return np.zeros(len(self.latents))
        return np.asarray(np.sqrt((found**2).mean(axis=(0, 1))))


def tails(read: Read, *, norms: FloatArray) -> Tails:
    """The closing tokens of every prompt, as many as all of them have behind the last field, at least the last one.

    Parameters
    ----------
    read
        Activations on a corpus.
    norms
        Length of every latent's decoder row.
    """
    corpus = read.corpus
    positions = _tail_length(corpus)
    rows = np.flatnonzero(corpus.back < positions)
    rows = rows[np.lexsort((-corpus.back[rows], corpus.prompt[rows]))]
    picked = read.activations[rows]
    latents = np.unique(picked.indices).astype(np.int64)
    values = picked[:, latents].toarray().astype(np.float64) * norms[latents]
    return Tails(
        latents=latents,
        values=values.reshape(len(corpus.prompts), positions, len(latents)),
        applications=tuple(prompt.application for prompt in corpus.prompts),
        changed=tuple(prompt.changed for prompt in corpus.prompts),
    )


def responding(response: FloatArray, *, noise: FloatArray, most: int, above: float = 2.0) -> list[int]:
    """The latents that respond most, strongest first: more than ``above`` times as much as to an irrelevant change."""
    order = np.argsort(-response, kind="stable")[:most]
    return [int(latent) for latent in order if response[latent] > max(above * noise[latent], 0.0)]


class Overlap(Row):
    """How far two sets of features overlap where one of each acts, application by application.

    Attributes
    ----------
    cosine, random
        Mean |cos| between a feature of the first set and one of the second, and one picked at random instead, for
        every application with such a token.
    share, random_share
        Mean share of a first feature's direction that lies in the span of the second set's active features, and of as
        many random ones.
    pairs
        Pairs of features, one count a token.
    """

    cosine: tuple[float, ...] = ()
    random: tuple[float, ...] = ()
    share: tuple[float, ...] = ()
    random_share: tuple[float, ...] = ()
    pairs: int = 0

    @property
    def applications(self) -> int:
        """How many have such a token."""
        return len(self.cosine)


def overlap(
    active: BoolArray,
    *,
    applications: Sequence[str],
    first: Sequence[int],
    second: Sequence[int],
    apart: Sequence[int],
    cosines: FloatArray,
    seed: int,
) -> Overlap:
    """Overlap of two sets of features on the tokens where at least one of each acts.

    Parameters
    ----------
    active
        Which latents act, shape (tokens, latents).
    applications
        Of every token.
    first, second
        The two sets. What is in both is left out of the second.
    apart
        Latents that random partners are not taken from, beside the two sets.
    cosines
        Between all latents' directions, shape (latents, latents).
    seed
        Of the random partners.
    """
    ours, theirs = np.array(sorted(first)), np.array(sorted(set(second) - set(first)))
    if not len(ours) or not len(theirs):
        return Overlap()
    taken = np.zeros(active.shape[1], dtype=bool)
    taken[[*first, *second, *apart]] = True
    often = np.log1p(active.sum(axis=0))
    generator = np.random.default_rng(seed)
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    pairs = 0
    for row in np.flatnonzero(active[:, ours].any(axis=1) & active[:, theirs].any(axis=1)).tolist():
        here, there = ours[active[row, ours]], theirs[active[row, theirs]]
        free = np.flatnonzero(active[row] & ~taken)
        if len(free) < len(there):
            continue
        picked = _partners(there, free, often, generator)
        pairs += len(here) * len(there)
        found.setdefault(applications[row], []).append(
            (
                float(np.abs(cosines[np.ix_(here, there)]).mean()),
                float(np.abs(cosines[np.ix_(here, picked)]).mean()),
                float(np.mean([held_share(one, there, cosines=cosines) for one in here])),
                float(np.mean([held_share(one, picked, cosines=cosines) for one in here])),
            )
        )
    means = np.array([np.mean(rows, axis=0) for _, rows in sorted(found.items())]).reshape(-1, 4)
    cosine, random, share, random_share = (tuple(column.tolist()) for column in means.T)
    return Overlap(cosine=cosine, random=random, share=share, random_share=random_share, pairs=pairs)


def _partners(
    wanted: IntArray, free: IntArray, often: FloatArray, generator: np.random.Generator
) -> npt.NDArray[np.int64]:
    """For every wanted latent a free one that acts about as often, each at most once."""
    left = list(free)
    picked = []
    for latent in wanted:
        left.sort(key=lambda other: (abs(often[other] - often[latent]), other))
        picked.append(left.pop(int(generator.integers(min(NEAREST, len(left))))))
    return np.array(picked, dtype=np.int64)


def _tail_length(corpus: Corpus) -> int:
    behind = corpus.segment == len(corpus.fields)
    counts = np.bincount(corpus.prompt[behind], minlength=len(corpus.prompts))
    return max(1, int(counts.min()))
