"""The noise floor of a model's arithmetic: how far the same number moves when it is computed in another order.

A self-check asks whether two ways to one number agree. How far apart rounding alone may set them depends on the model,
the precision, the device and the kernels at hand, so it is measured on the model at hand: the last token's logits of
seeded prompts, each computed alone, as rows of batches of several sizes, and with other tokens behind it, which a
causal model does not see at the last token. None of these ways goes through the code that the checks are about.

>>> floor = noise_floor(model)                                                                   # doctest: +SKIP
>>> Check("patched with itself changes nothing", moved <= floor.bound, moved, floor.bound, floor.words)

What rounding alone can do is also what no finding may rest on: :meth:`NoiseFloor.tells` says whether a difference is
larger than that.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

MARGIN = 10.0
"""A bound is so many times the largest difference seen: few orders are tried, and a check's way has more steps."""
TELLS = 3.0
"""A difference counts from so many times the bound on: below, it may be rounding for the most part."""
PROMPTS, TOKENS = 2, 64
BATCHES = (2, 5)
BEHIND = (1, 7)
ORDERS = 8

_known: weakref.WeakKeyDictionary[Any, dict[str, NoiseFloor]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """What rounding does to one model in one arithmetic.

    Attributes
    ----------
    logit
        Largest difference of a logit at the last token over all orders, in nats; at least the spacing of numbers as
        large as the largest logit.
    state
        Largest difference of the last state, as a share of its length; at least the precision's own.
    precision
        The spacing of numbers at 1 in this precision.
    arithmetic
        Precision, device, kernel and threads in words.
    """

    logit: float
    state: float
    precision: float
    arithmetic: str

    @property
    def bound(self) -> float:
        """The most by which two ways to one margin may differ, in nats."""
        return MARGIN * self.logit

    @property
    def state_bound(self) -> float:
        """The most by which two ways to one state may differ, as a share of its length."""
        return MARGIN * self.state

    def row(self) -> dict[str, Any]:
        """Plain data, for a ledger: ``NoiseFloor(**row)`` reads it back."""
        return asdict(self)

    @property
    def words(self) -> str:
        """Where the bound comes from, for a check's note."""
        return (
            f"the bound is {MARGIN:g} times the largest difference of one logit computed in several orders, "
            f"{self.logit:.1e} nats ({self.arithmetic})"
        )

    def tells(self, difference: float) -> bool:
        """Whether a difference of margins, in nats, is more than rounding could make it."""
        return abs(difference) > TELLS * self.bound


def noise_floor(model: Any) -> NoiseFloor:
    """The floor of a causal language model as it is loaded now; measured once, then remembered.

    Parameters
    ----------
    model
        A transformers model in evaluation mode. Its weights are taken to stay as they are.
    """
    arithmetic = _arithmetic(model)
    known = _known.setdefault(model, {})
    if arithmetic not in known:
        known[arithmetic] = _measure(model, arithmetic)
    return known[arithmetic]


def summing_noise(terms: Sequence[Float[Tensor, " width"]], direction: Float[Tensor, " width"]) -> float:
    """By how much a sum of states moves along a direction when its terms are added in another order.

    The terms are added in their own precision, as a model adds them to its stream, in ``ORDERS`` seeded orders.

    Returns
    -------
    float
        The largest difference between two orders, and at least what rounding the sum itself can do.
    """
    generator = np.random.default_rng(0)
    sums = []
    for _ in range(ORDERS):
        total = torch.zeros_like(terms[0])
        for place in generator.permutation(len(terms)):
            total = total + terms[int(place)]
        sums.append(float(total.double() @ direction.double()))
    last = torch.finfo(terms[0].dtype).eps * float(total.double().abs() @ direction.double().abs())
    return max(max(sums) - min(sums), last / math.sqrt(len(direction)))


def _arithmetic(model: Any) -> str:
    device, dtype = str(model.device), str(model.dtype).removeprefix("torch.")
    kernel = getattr(model.config, "_attn_implementation", None) or "its own attention"
    threads = f", {torch.get_num_threads()} threads" if device == "cpu" else ""
    return f"{dtype} on {device}, {kernel}{threads}"


def _measure(model: Any, arithmetic: str) -> NoiseFloor:
    generator = np.random.default_rng(0)
    vocabulary = int(model.get_input_embeddings().num_embeddings)
    longest = int(getattr(model.config, "max_position_embeddings", 0) or TOKENS + max(BEHIND))
    length = max(1, min(TOKENS, longest - max(BEHIND)))
    lowest = min(3, vocabulary - 1)  # the first ids are special in most vocabularies
    drawn = generator.integers(lowest, vocabulary, (PROMPTS + max(BATCHES), length + max(BEHIND)))
    ids = torch.tensor(drawn, device=model.device)
    logit, state, scale = 0.0, 0.0, 0.0
    for number in range(PROMPTS):
        own = ids[number : number + 1, :length]
        logits, last = _last(model, own, length)
        scale = max(scale, float(logits.abs().max()))
        for other in _others(ids, number, length):
            seen, moved = _last(model, other, length)
            logit = max(logit, float((seen - logits).abs().max()))
            state = max(state, float((moved - last).norm() / last.norm().clamp_min(1e-30)))
    precision = float(torch.finfo(model.dtype).eps)
    return NoiseFloor(max(logit, precision * scale), max(state, precision), precision, arithmetic)


def _others(ids: Int[Tensor, "rows n"], number: int, length: int) -> list[Tensor]:
    """The same prompt as the first row of batches, and with tokens behind it."""
    rest = torch.cat([ids[:number], ids[number + 1 :]])
    batches = [torch.cat([ids[number : number + 1], rest[: size - 1]])[:, :length] for size in BATCHES]
    return batches + [ids[number : number + 1, : length + more] for more in BEHIND]


def _last(model: Any, tokens: Int[Tensor, "batch n"], length: int) -> tuple[Tensor, Tensor]:
    """Logits and state of the first row at its last own token, in double precision: [vocabulary], [width]."""
    with torch.inference_mode():
        out = model(input_ids=tokens, use_cache=False, output_hidden_states=True)
    return out.logits[0, length - 1].double(), out.hidden_states[-1][0, length - 1].double()
