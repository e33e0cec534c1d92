"""What a run's dictionary follows from, what is known of one, and why there is none, as ledgers keep it. No torch."""

from __future__ import annotations

from typing import Literal

from auditor.mechanisms.sae.settings import DictionarySettings
from auditor.testing.rows import Row

HELD_OUT = 4
"""One of so many applications is held out for the quality."""


def held_out(application: int) -> bool:
    """Whether the application of this number is kept out of training."""
    return application % HELD_OUT == 1


class DictionaryApplication(Row):
    """An application whose prompts are read: its id, and the words of every field of the prompt."""

    id: str
    words: dict[str, str]


class DictionaryPayload(Row):
    """All that a run's dictionary follows from, beside the model.

    Attributes
    ----------
    settings, seed
        Of the plan.
    applications
        A seeded draw that does not depend on the test. Number n is held out of training where ``held_out(n)``.
    variants
        Fields and the values that applications are also read with.
    text
        General text to train on as well.
    files
        SHA-256 of the files that are loaded in place of training, by name.
    """

    settings: DictionarySettings
    seed: int
    applications: tuple[DictionaryApplication, ...]
    variants: tuple[tuple[str, str], ...]
    text: str
    files: dict[str, str]

    @property
    def kept_out(self) -> tuple[DictionaryApplication, ...]:
        """The applications that are held out of training."""
        return tuple(item for number, item in enumerate(self.applications) if held_out(number))


class Provenance(Row):
    """Where a dictionary comes from, and what stands behind it.

    Attributes
    ----------
    source, sha256
        Whether it was trained or loaded, and the hash of its weights as they are used.
    applications, held_out
        Applications that were read, and how many of them training never saw.
    rows, text_rows
        States that were trained on, and those of general text among them.
    tokens
        States that training took in all, each as often as it was drawn; 0 for one that was loaded.
    left_out
        States beyond the limit of length.
    notes
        What a reader should know of one that was loaded.
    """

    source: Literal["trained", "loaded"]
    sha256: str
    applications: int
    held_out: int
    rows: int
    text_rows: int
    tokens: int
    left_out: int
    notes: tuple[str, ...] = ()


class NoDictionary(Row):
    """A chunk that has no features to speak of, and why."""

    part: Literal["no dictionary"] = "no dictionary"
    reason: str
