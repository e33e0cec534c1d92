"""A test server that describes features and tries descriptions, under two names in the file of systems."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np


class EverySingle:
    """Every text ends where its first token does."""

    def __contains__(self, text: object) -> bool:
        return True


class Describing:
    """Says of marked words that they are the letter B, and of every piece that it holds what is described."""

    stop = EverySingle()

    def tokens(self, text: str) -> list[str]:
        return re.findall(r"\s?\S+|\s", text)

    def score(self, text: str) -> list[float | None]:
        return [None, *(-1.0 for _ in self.tokens(text)[1:])]

    def next(self, text: str, generated: list[int]) -> tuple[list[str], np.ndarray]:
        said = "the letter B." if "have in common?" in text else "Yes"
        return [said, "never"], np.array([-0.01, -5.0])


def two_listed(folder: Path, url: str, *, more: str = "") -> None:
    """``endpoint:one`` and ``endpoint:another`` at one address, asked for the models ``a`` and ``b``."""
    tables = [
        f'[endpoint.{name}]\ndialect = "chat_completions"\nurl = "{url}"\nmodel = "{model}"\n{more}\n'
        for name, model in (("one", "a"), ("another", "b"))
    ]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "systems.toml").write_text("".join(tables), encoding="utf-8")
