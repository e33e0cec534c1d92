"""States of the stream, harvested once: every prompt, every layer, at the positions asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch

from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models.decoder import Decoder
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.sites import RESIDUAL
from auditor.language_models.trie import Tokens


def harvest(
    decoder: Decoder | ResidualView,
    sequences: Sequence[Tokens],
    positions: Sequence[Sequence[int]],
    *,
    layers: Sequence[int] | None = None,
    batch_tokens: int = 2048,
    should_stop: Callable[[], bool] = lambda: False,
) -> npt.NDArray[np.float32]:
    """The stream before each block, and after the last.

    Parameters
    ----------
    decoder
        From ``read_decoder``.
    sequences
        Token ids of whole prompts.
    positions
        For every prompt, the same number of positions (field ends, the last token).
    layers
        Layers to keep: 0 is the embedding, ``decoder.layers`` the stream after the last block; all by default.
    batch_tokens
        Most tokens in one forward pass. The prefix common to all prompts of a batch is computed once.
    should_stop
        Asked before every batch.

    Returns
    -------
    numpy array
        [prompts, positions, layers, width], fp32. Batches follow from the lengths alone, so a repeat gives the same
        bytes.

    Raises
    ------
    Interrupted
        If a stop was asked for.
    ScoringError
        If a state is not finite, or the prompts ask for different numbers of positions.
    """
    kept = list(range(decoder.layers + 1) if layers is None else layers)
    counts = {len(wanted) for wanted in positions}
    if len(counts) != 1 or len(positions) != len(sequences):
        raise ScoringError(f"every prompt needs the same number of positions; counts were {sorted(counts)}")
    out = np.empty((len(sequences), counts.pop(), len(kept), decoder.width), dtype=np.float32)
    order = sorted(range(len(sequences)), key=lambda index: (len(sequences[index]), index))
    while order:
        if should_stop():
            raise Interrupted("stopped between two batches; nothing of this chunk is kept")
        rows = _take(order, sequences, batch_tokens)
        out[rows] = _states(decoder, [sequences[row] for row in rows], [positions[row] for row in rows], kept)
    if not np.isfinite(out).all():
        raise ScoringError("a state of the model is not a finite number")
    return out


def shared_length(sequences: Sequence[Tokens]) -> int:
    """How many tokens all prompts begin with, at most all but the last of the shortest."""
    shortest = min(len(sequence) for sequence in sequences) - 1
    first = sequences[0]
    for index in range(shortest):
        if any(sequence[index] != first[index] for sequence in sequences):
            return index
    return max(shortest, 0)


def pad(sequences: Sequence[Tokens]) -> torch.Tensor:
    """Ids [prompts, longest], padded on the right: under a causal mask nothing sees the padding."""
    longest = max(len(sequence) for sequence in sequences)
    return torch.tensor([[*sequence, *[0] * (longest - len(sequence))] for sequence in sequences])


def _take(order: list[int], sequences: Sequence[Tokens], batch_tokens: int) -> list[int]:
    rows = [order.pop(0)]
    while order and (len(rows) + 1) * len(sequences[order[0]]) <= batch_tokens:
        rows.append(order.pop(0))
    return rows


def _states(
    decoder: Decoder | ResidualView, sequences: Sequence[Tokens], positions: Sequence[Sequence[int]], layers: list[int]
) -> npt.NDArray[np.float32]:
    capture = [(RESIDUAL, layer) for layer in layers]
    device = decoder.model.device
    tokens = pad(sequences).to(device)
    index = torch.tensor([list(wanted) for wanted in positions]).to(device)
    rows = torch.arange(len(sequences), device=device)[:, None]
    with torch.inference_mode():
        if isinstance(decoder, ResidualView):
            run = decoder.run(tokens, capture=capture)
            picked = [run.states[site][rows, index] for site in capture]
        else:
            start = shared_length(sequences) if len(sequences) > 1 else 0
            # Blocks after the last layer that is kept are not run.
            stop = max(layers)
            head = None
            if start:
                stream = decoder.embed(tokens[:1, :start])
                head = decoder.run_from(0, stream, capture=capture, keep_past=True, stop=stop)
            past = head.past if head else None
            stream = decoder.embed(tokens[:, start:], start=start)
            tail = decoder.run_from(0, stream, past=past, capture=capture, stop=stop)
            picked = []
            for site in capture:
                late = tail.states[site][rows, (index - start).clamp(min=0)]
                if head is not None:
                    early = head.states[site][0, index.clamp(max=start - 1)]
                    late = torch.where((index < start)[..., None], early, late)
                picked.append(late)
    return torch.stack(picked, dim=2).float().cpu().numpy()
