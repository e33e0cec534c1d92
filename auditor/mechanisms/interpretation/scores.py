"""How good a description is, on applications it was not made from: detection and fuzzing.

detection   does it tell the contexts on which the feature is active from those on which it is not?
fuzzing     in a context where the feature is active, does it point at the right tokens?

A context is a piece of a prompt that leads up to and holds one field's value. Both are balanced: 1/2 is what a
description gets that has nothing to do with the feature, 1 is perfect. Inactive contexts are weighted half and half
between the same pieces of other prompts, which only what the application says tells apart, and all other pieces. All
contexts are scored, so nothing is drawn and nothing varies from run to run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csc_matrix

from auditor.mechanisms._shared.corpus import Corpus
from auditor.mechanisms.interpretation.answers import Answered, Answers, mean_or_half
from auditor.statistics.results import BoolArray, IntArray

TOO_FEW_HELD_OUT, EVERYWHERE = "too few activations in other applications", "active everywhere"


class HeldOut:
    """The tokens and activity descriptions are tried on.

    Parameters
    ----------
    corpus
        Tokens of applications no description was made from.
    active
        Which tokens every latent is active on, as ones: [tokens, latents].
    """

    def __init__(self, corpus: Corpus, active: csc_matrix) -> None:
        self.corpus, self.active = corpus, active
        # Tokens stand prompt by prompt in the order they are read, so a context is one run of tokens.
        self.starts = np.flatnonzero(np.diff(corpus.context, prepend=-1))
        self.number = np.repeat(np.arange(len(self.starts)), np.diff(self.starts, append=len(corpus)))
        self.prompt = corpus.prompt[self.starts]
        self.segment = corpus.segment[self.starts]
        self.application = np.unique(corpus.application[self.starts], return_inverse=True)[1]

    def tokens(self, latent: int) -> BoolArray:
        """Where a latent is active."""
        found = np.zeros(len(self.corpus), dtype=bool)
        found[self.active.indices[self.active.indptr[latent] : self.active.indptr[latent + 1]]] = True
        return found

    def rows(self, context: int) -> IntArray:
        """The tokens of a context."""
        return np.flatnonzero(self.number == context)

    def contexts(self, tokens: BoolArray) -> BoolArray:
        """Which contexts hold one of some tokens."""
        return np.logical_or.reduceat(tokens, self.starts)

    def problem(self, active: BoolArray, *, least: int) -> str | None:
        """Why a feature that is active on these tokens cannot be scored here."""
        on = self.contexts(active)
        if on.sum() < least or len(np.unique(self.application[on])) < 2:
            return TOO_FEW_HELD_OUT
        return EVERYWHERE if on.all() else None


class Question:
    """What is asked about one feature: where it is active, where not, and which of both are near each other.

    Parameters
    ----------
    held
        The tokens.
    active
        Where the feature is active, shape (tokens,): in some contexts, not in all.
    """

    def __init__(self, held: HeldOut, active: BoolArray) -> None:
        self.held, self.active = held, active
        self.on = held.contexts(active)
        pieces = np.zeros(len(held.corpus.fields) + 1, dtype=bool)
        pieces[held.segment[self.on]] = True
        self.near = ~self.on & pieces[held.segment]
        self.far = ~self.on & ~self.near
        # Tokens of contexts with an active one and of those beside them in the same prompt.
        beside = self.on.copy()
        same = held.prompt[1:] == held.prompt[:-1]
        beside[1:] |= self.on[:-1] & same
        beside[:-1] |= self.on[1:] & same
        self.quiet = beside[held.number] & ~active
        self.loud_in = np.bincount(held.number[active], minlength=len(self.on))
        self.quiet_in = np.bincount(held.number[self.quiet], minlength=len(self.on))
        where = (self.on, self.near, self.far, self.loud_in > 0, self.quiet_in > 0)
        self.applications = [len(np.unique(held.application[each])) for each in where]

    def answered(self, said: BoolArray) -> Answers:
        """What a description gets right that speaks of the tokens ``said``."""
        held = self.held
        hit = held.contexts(said)
        pointed = np.bincount(held.number[self.active & said], minlength=len(hit))
        passed = np.bincount(held.number[self.quiet & ~said], minlength=len(hit))
        loud, quiet = self.loud_in > 0, self.quiet_in > 0
        sums = [
            (hit[self.on].sum(), self.on.sum()),
            ((~hit[self.near]).sum(), self.near.sum()),
            ((~hit[self.far]).sum(), self.far.sum()),
            ((pointed[loud] / self.loud_in[loud]).sum(), loud.sum()),
            ((passed[quiet] / self.quiet_in[quiet]).sum(), quiet.sum()),
        ]
        return Answers(
            *(
                Answered(float(ok), float(every), count)
                for (ok, every), count in zip(sums, self.applications, strict=True)
            )
        )


def recount(held: HeldOut, active: BoolArray, said: BoolArray) -> tuple[float, float]:
    """Detection and fuzzing counted context by context, by the words of this module's head and not by its arrays."""
    corpus = held.corpus
    pieces: dict[tuple[int, int], list[int]] = {}
    for row in range(len(corpus)):
        pieces.setdefault((int(corpus.prompt[row]), int(corpus.segment[row])), []).append(row)
    acting = {piece: any(active[row] for row in rows) for piece, rows in pieces.items()}
    spoken = {piece: any(said[row] for row in rows) for piece, rows in pieces.items()}
    segments = {segment for (_, segment), on in acting.items() if on}
    order = list(pieces)
    found, near, far, right, wrong = ([] for _ in range(5))  # type: ignore[var-annotated]
    for place, (prompt, segment) in enumerate(order):
        piece = (prompt, segment)
        rows = pieces[piece]
        if acting[piece]:
            found.append(float(spoken[piece]))
            loud = [row for row in rows if active[row]]
            right.append(sum(bool(said[row]) for row in loud) / len(loud))
        else:
            (near if segment in segments else far).append(float(not spoken[piece]))
        beside = [order[other] for other in (place - 1, place + 1) if 0 <= other < len(order)]
        if acting[piece] or any(acting[other] and other[0] == prompt for other in beside):
            quiet = [row for row in rows if not active[row]]
            if quiet:
                wrong.append(sum(not said[row] for row in quiet) / len(quiet))

    def mean(values: Sequence[float]) -> float | None:
        return sum(values) / len(values) if values else None

    return mean_or_half([mean(found), mean_or_half([mean(near), mean(far)])]), mean_or_half([mean(right), mean(wrong)])


def derangements(count: int, *, rounds: int, seed: int) -> list[IntArray]:
    """Orders in which no description stays with its feature; none for fewer than two."""
    if count < 2:
        return []
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(rounds):
        order = generator.permutation(count)
        # A cycle through a random order leaves nothing in place.
        moved = np.empty(count, dtype=np.int64)
        moved[order] = np.roll(order, 1)
        found.append(moved)
    return found
