"""A model that answers with text, wherever it runs: what a test needs of one that describes what it found. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class TextModel(Protocol):
    """A model that answers prompts with text, and says which one it is."""

    @property
    def identity(self) -> Any:
        """For a model of the store its files and their hashes, for an endpoint how it is asked; no key."""

    def answers(self, prompts: Sequence[str], *, tokens: int) -> list[str]:
        """One answer a prompt, of at most so many tokens, greedily; empty where it says nothing."""
