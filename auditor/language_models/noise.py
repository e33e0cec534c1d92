"""The noise floor of a model's arithmetic: how far the same number moves when it is computed with other rounding.

A self-check asks whether two ways to one number agree. How far apart rounding alone may set them depends on the model,
the precision, the device and the kernels at hand, and on the number: a margin rests on the logits of the answers, and
how long those of other tokens are is nothing to it. So the floor is measured on the model at hand, on the number that
is compared, at every position of seeded prompts: computed as rows of batches of several sizes, with other tokens behind
them, which a causal model does not see before, and with every module rounding otherwise (:mod:`.rounding`). None of
these ways goes through the code that the checks are about.

>>> floor = noise_floor(model, target)                                                           # doctest: +SKIP
>>> Check("patched with itself changes nothing", moved <= floor.bound, moved, floor.bound, floor.words)

What rounding alone can do is also what no finding may rest on: :meth:`NoiseFloor.tells` says whether a difference is
larger than that.
"""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.precision import in_double
from auditor.language_models.rounding import rounded_otherwise

if TYPE_CHECKING:
    from auditor.language_models.targets import Target

SUMMED = 3.0
"""A sum may differ by so many times what ``ORDERS`` orders of its terms span: their span is some three deviations."""
PROMPTS, TOKENS = 2, 64
BATCHES = (2, 5)
BEHIND = (1, 7)
OTHERWISE = 4
ORDERS = 8

_known: weakref.WeakKeyDictionary[Any, dict[tuple[Any, ...], NoiseFloor]] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True)
class LogitRead:
    """What is read from the logits of positions.

    Attributes
    ----------
    key
        Tells one reading from another.
    values
        From logits [positions, vocabulary] and, where tokens are picked by them, those computed alone: [positions,
        numbers].
    scale
        From the same logits, the largest one that enters.
    times
        So many such numbers are added up.
    """

    key: tuple[Any, ...]
    values: Callable[[Tensor, Tensor], Tensor]
    scale: Callable[[Tensor], float]
    times: float = 1.0


def any_logit() -> LogitRead:
    """Every logit of the vocabulary: the floor is that of the token that moves most."""
    return LogitRead(("any",), lambda logits, _: in_double(logits), lambda logits: float(logits.abs().max()))


def margin_of(target: Target) -> LogitRead:
    """The margin of single tokens. What it differs by is at most what the answers' own logits differ by, together."""
    cut, tokens = len(target.favourable), list(target.favourable + target.adverse)

    def values(logits: Tensor, alone: Tensor) -> Tensor:
        # As the view reads it, in the model's own precision; the one computed alone as exactly as can be.
        own = in_double(logits[:, tokens]) if logits is alone else logits[:, tokens]
        return in_double(own[:, :cut].logsumexp(-1) - own[:, cut:].logsumexp(-1))[:, None]

    return LogitRead((target.favourable, target.adverse), values, lambda logits: float(logits[:, tokens].abs().max()))


def likelihood(tokens: Sequence[int] = (), *, times: float = 1.0) -> LogitRead:
    """Log-probabilities of tokens, by default of the likeliest, ``times`` of them added up.

    The logarithm of the sum over the vocabulary moves by the mean of what its terms move by, each weighted by its
    probability: it is measured with the rest, and long logits of unlikely tokens do not enter.
    """
    picked = list(tokens)

    def values(logits: Tensor, alone: Tensor) -> Tensor:
        logs = in_double(logits).log_softmax(-1)
        return logs[:, picked] if picked else logs.gather(-1, alone.argmax(-1, keepdim=True).to(logs.device))

    def scale(logits: Tensor) -> float:
        own = logits[:, picked] if picked else logits.max(-1).values
        return max(float(own.abs().max()), float(in_double(logits).logsumexp(-1).abs().max()))

    return LogitRead(("likelihood", tuple(tokens), times), values, scale, times)


def noise_floor(model: Any, of: Target | LogitRead | None = None) -> NoiseFloor:
    """The floor of a causal language model as it is loaded now; measured once a reading, then remembered.

    Parameters
    ----------
    model
        A transformers model in evaluation mode. Its weights are taken to stay as they are.
    of
        What is read: the margin of a target, or another reading; every logit by default.
    """
    read = any_logit() if of is None else of if isinstance(of, LogitRead) else margin_of(of)
    arithmetic = _arithmetic(model)
    known = _known.setdefault(model, {})
    key = (arithmetic, *read.key)
    if key not in known:
        known[key] = _measure(model, read, arithmetic)
    return known[key]


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
        sums.append(float(in_double(total) @ in_double(direction)))
    last = torch.finfo(terms[0].dtype).eps * float(in_double(total).abs() @ in_double(direction).abs())
    return max(max(sums) - min(sums), last / math.sqrt(len(direction)))


def _arithmetic(model: Any) -> str:
    device, dtype = str(model.device), str(model.dtype).removeprefix("torch.")
    kernel = getattr(model.config, "_attn_implementation", None) or "its own attention"
    threads = f", {torch.get_num_threads()} threads" if device == "cpu" else ""
    return f"{dtype} on {device}, {kernel}{threads}"


def _measure(model: Any, read: LogitRead, arithmetic: str) -> NoiseFloor:
    generator = np.random.default_rng(0)
    vocabulary = int(model.get_input_embeddings().num_embeddings)
    longest = int(getattr(model.config.get_text_config(), "max_position_embeddings", 0) or TOKENS + max(BEHIND))
    length = max(1, min(TOKENS, longest - max(BEHIND)))
    lowest = min(3, vocabulary - 1)  # the first ids are special in most vocabularies
    drawn = generator.integers(lowest, vocabulary, (PROMPTS + max(BATCHES), length + max(BEHIND)))
    ids = torch.tensor(drawn, device=model.device)
    moved: dict[str, list[Tensor]] = {}
    state, scale = 0.0, 0.0
    for number in range(PROMPTS):
        alone, last = _first(model, ids[number : number + 1, :length], length)
        own = read.values(alone, alone)
        scale = max(scale, read.scale(alone))
        for way, logits, seen in _ways(model, ids, number, length):
            moved.setdefault(way, []).append(read.values(logits, alone) - own)
            apart = torch.linalg.vector_norm(seen - last)
            state = max(state, float(apart / torch.linalg.vector_norm(last).clamp_min(1e-30)))
    # A way may agree by chance, as batches do on one processor: the way that moves most is the floor.
    sizes = [float(torch.cat(each).square().mean(0).sqrt().max()) for each in moved.values()]
    precision = float(torch.finfo(model.dtype).eps)
    logit = read.times * max(*sizes, precision * scale)
    return NoiseFloor(logit, max(state, precision), precision, arithmetic)


def _ways(model: Any, ids: Int[Tensor, "rows n"], number: int, length: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """The same prompt as the first row of batches, with tokens behind it, and with other rounding."""
    own, rest = ids[number : number + 1], torch.cat([ids[:number], ids[number + 1 :]])
    for size in BATCHES:
        yield f"batch of {size}", *_first(model, torch.cat([own, rest[: size - 1]])[:, :length], length)
    for more in BEHIND:
        yield f"{more} behind", *_first(model, own[:, : length + more], length)
    for draw in range(OTHERWISE):
        with rounded_otherwise(model, seed=OTHERWISE * number + draw):
            found = _first(model, own[:, :length], length)
        yield "rounded otherwise", *found


def _first(model: Any, tokens: Int[Tensor, "batch n"], length: int) -> tuple[Tensor, Tensor]:
    """Logits of the first row, [length, vocabulary], and its state at the last own token, [width]."""
    with torch.inference_mode():
        out = model(input_ids=tokens, use_cache=False, output_hidden_states=True)
    return out.logits[0, :length], in_double(out.hidden_states[-1][0, length - 1])
