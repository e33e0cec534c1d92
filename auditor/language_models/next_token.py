"""Choosing the next token: the likeliest one, or one drawn by a seed that the case and the replicate name.

A draw is the largest of logits/temperature plus Gumbel noise (the Gumbel-max trick), so that greedy decoding and
sampling are one thing: the largest of a row of scores. Two scores nearer to each other than arithmetic can tell are a
tie. Whoever asks decides it by the one reading that depends on nothing else: the model's own forward pass over that
text alone. So a text does not depend on what it was computed with.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from auditor.language_models.precision import in_double
from auditor.language_models.tolerance import TOLERANCE
from auditor.seeds import generator_of

TIE = 10 * TOLERANCE
"""Nats by which two logits must differ for their order to be known: each may be off by the tolerance of packing."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How texts are generated.

    Attributes
    ----------
    max_tokens
        The longest text; one that has not ended by then is cut off.
    temperature
        0 is greedy: the likeliest token each time.
    seed
        With a case and a replicate it names the noise of a draw.
    stop
        A text ends before the first of these in its final answer.
    """

    max_tokens: int = 16
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, got {self.max_tokens}")
        if not 0 <= self.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 or more, got {self.temperature}")
        if "" in self.stop:
            raise ValueError("a text to stop at must not be empty")

    @property
    def sampled(self) -> bool:
        """Whether replicates of one case may differ."""
        return self.temperature > 0

    def noise(self, case: str, replicate: int) -> np.random.Generator | None:
        """The generator of one text's draws; ``None`` for greedy decoding, which draws nothing."""
        return generator_of(self.seed, "text", case, replicate) if self.sampled else None


@dataclass(frozen=True)
class NextToken:
    """The token with the largest score, its log-probability in nats at temperature 1, and whether it was a tie."""

    token: int
    log_probability: float
    tie: bool


def perturbation(
    noise: np.random.Generator | None, *, vocabulary: int, temperature: float
) -> npt.NDArray[np.float64] | None:
    """What is added to the logits at one position: Gumbel noise, times the temperature, one number a token."""
    if noise is None:
        return None
    drawn: npt.NDArray[np.float64] = -temperature * np.log(noise.standard_exponential(vocabulary))
    return drawn


def choose(logits: Float[Tensor, " vocabulary"], added: npt.NDArray[np.float64] | None) -> NextToken | None:
    """The next token; ``None`` where a logit is not a finite number.

    Scores are logits plus what is added, both in nats: dividing by the temperature would change no order.
    """
    normaliser = float(torch.logsumexp(logits, -1))
    if not np.isfinite(normaliser):
        return None
    scores = logits
    if added is not None:
        exact = in_double(logits)
        scores = exact + torch.from_numpy(added).to(exact.device)
    if len(scores) == 1:
        return NextToken(0, 0.0, False)
    top = torch.topk(scores, 2)
    first, second = (float(value) for value in top.values)
    # Of equal scores the first token, whatever order a kernel returns them in.
    token = int(torch.nonzero(scores == first)[0]) if first == second else int(top.indices[0])
    return NextToken(token, float(logits[token]) - normaliser, first - second < TIE)
