"""What the test server speaks with: a real model, or a made-up one that is as fast as a hash."""

from __future__ import annotations

import hashlib
import math
import re
import threading
from collections.abc import Container
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np


class Speaker(Protocol):
    """A language model, as far as a server needs one."""

    def tokens(self, text: str) -> list[str]:
        """Texts of the tokens of a whole text."""
        ...

    def score(self, text: str) -> list[float | None]:
        """Log-probability of each of its tokens after those before it; ``None`` for the first."""
        ...

    def next(self, text: str, generated: list[int]) -> tuple[list[str], np.ndarray]:
        """All token texts, and the log-probability of each to follow the text and the tokens generated since."""
        ...


@dataclass
class MadeUp:
    """Every text has an opinion of its own: the log-probabilities follow from its hash."""

    vocabulary: tuple[str, ...] = ("approve", " approve", "deny", " deny", "app", "rove", ".", " so", " it", " is")

    def tokens(self, text: str) -> list[str]:
        return re.findall(r"\s?\S+|\s", text)

    def score(self, text: str) -> list[float | None]:
        parts = self.tokens(text)
        values: list[float | None] = [None]
        for index in range(1, len(parts)):
            table, logs = self.next("".join(parts[:index]), [])
            values.append(float(logs[table.index(parts[index])]) if parts[index] in table else -3.0)
        return values

    def next(self, text: str, generated: list[int]) -> tuple[list[str], np.ndarray]:
        seed = hashlib.sha256(f"{text}|{generated}".encode()).digest()
        raw = np.frombuffer(seed[: len(self.vocabulary)], dtype=np.uint8) / 64.0
        logits = raw.astype(np.float64)
        logits[:4] += 3.0
        return list(self.vocabulary), logits - math.log(np.exp(logits).sum())


class RealModel:
    """A loaded model of the store, one forward pass of its own for every question."""

    def __init__(self, loaded: Any) -> None:
        import torch

        self.loaded = loaded
        self.torch = torch
        self.lock = threading.Lock()
        self.scored: dict[str, list[float | None]] = {}
        self.followed: dict[tuple[str, tuple[int, ...]], np.ndarray] = {}
        size = loaded.model.config.vocab_size
        self.texts = [loaded.tokenizer.decode([index]) for index in range(min(size, len(loaded.tokenizer)))]

    def _ids(self, text: str) -> list[int]:
        return list(self.loaded.tokenizer(text).input_ids)

    def _logs(self, ids: list[int], *, last: int = 0) -> np.ndarray:
        with self.lock, self.torch.inference_mode():
            asked = self.torch.tensor([ids])
            logits = self.loaded.model(input_ids=asked, use_cache=False, logits_to_keep=last).logits[0]
            found: np.ndarray = self.torch.log_softmax(logits.double(), -1).numpy()
        return found

    def tokens(self, text: str) -> list[str]:
        return [self.texts[index] for index in self._ids(text)]

    def score(self, text: str) -> list[float | None]:
        if text not in self.scored:  # the same question again, as controls ask it, costs nothing
            ids = self._ids(text)
            logs = self._logs(ids)
            self.scored[text] = [None, *(float(logs[place - 1, ids[place]]) for place in range(1, len(ids)))]
        return self.scored[text]

    def next(self, text: str, generated: list[int]) -> tuple[list[str], np.ndarray]:
        asked = (text, tuple(generated))
        if asked not in self.followed:  # a probe asks five times, a control three times
            self.followed[asked] = self._logs([*self._ids(text), *generated], last=1)[-1][: len(self.texts)]
        return self.texts, self.followed[asked]


@dataclass(frozen=True)
class Spoken:
    """An answer before any dialect."""

    text: str
    #: token, its log-probability, and the likeliest at its place
    steps: list[tuple[str, float, list[tuple[str, float]]]]
    finish: str  # stop, length
    prompt_tokens: int


def speak(
    speaker: Speaker, prompt: str, *, longest: int, top: int, temperature: float, seed: int, stop: Container[str] = ()
) -> Spoken:
    """Generate token by token; greedy at temperature 0. It ends where the text is one of ``stop``."""
    generator = np.random.default_rng(seed)
    steps, generated, text, finish = [], list[int](), "", "length"
    for _ in range(longest):
        texts, logs = speaker.next(prompt, generated)
        if temperature:
            shares = np.exp(logs / temperature)
            token = int(generator.choice(len(logs), p=shares / shares.sum()))
        else:
            token = int(logs.argmax())
        best = np.argsort(-logs, kind="stable")[:top]
        steps.append((texts[token], float(logs[token]), [(texts[index], float(logs[index])) for index in best]))
        generated.append(token)
        text += texts[token]
        if text.strip() in stop:
            finish = "stop"
            break
    return Spoken(text, steps, finish, len(speaker.tokens(prompt)))


def preferred(speaker: Speaker, prompt: str, options: list[str]) -> str:
    """The option the model finds likeliest after the prompt: what guided decoding over an enumeration comes to."""
    before = len(speaker.tokens(prompt))

    def total(option: str) -> float:
        return sum(value or 0.0 for value in speaker.score(f"{prompt} {option}")[before:])

    return max(options, key=total)
