"""What a model does with its states replaced at one layer, as a ledger keeps it. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from auditor.testing.rows import Row

CLEAN, IDENTITY, REBUILT, ZERO = "clean", "identity", "rebuilt", "zero"


class ByStream(Row):
    """One number an application: untouched, with the error put back, with the reconstruction, and with zeros."""

    clean: tuple[float, ...]
    identity: tuple[float, ...]
    rebuilt: tuple[float, ...]
    zero: tuple[float, ...]

    @classmethod
    def of(cls, found: Mapping[str, Sequence[float]]) -> ByStream:
        """From lists by name."""
        clean, identity, rebuilt, zero = (tuple(found[name]) for name in (CLEAN, IDENTITY, REBUILT, ZERO))
        return cls(clean=clean, identity=identity, rebuilt=rebuilt, zero=zero)


class Spliced(Row):
    """Margins and cross-entropies of held-out applications.

    Attributes
    ----------
    applications
        How many.
    margins
        In nats; ``None`` where none can be read, for the reason in ``no_margins``.
    entropies
        Cross-entropy of the prompts' own tokens, in nats a token.
    identity
        Largest difference of any logit when the error is put back, in nats.
    identity_bound, identity_words
        What rounding does to the model's logits, and where that is from.
    """

    applications: int
    margins: ByStream | None
    no_margins: str | None
    entropies: ByStream
    identity: float
    identity_bound: float
    identity_words: str
