"""Packed scoring: log-probabilities of given tokens after given prefixes, each distinct prefix computed once.

The tree of all prompts (:mod:`auditor.language_models.trie`) is cut into packs. A pack is one forward pass over a
single row of tokens with explicit positions and a tree mask: a token sees its ancestors in the pack and in the context
carried over from the pack before. Read-out happens only at the positions asked for, for many packs at a time where the
model's logits are its final states times its output matrix. Whether a model can be scored this way is measured when it
is taken up (:func:`probe_packing`), against one prompt at a time; where it cannot, prompts go one by one, and the
reason is part of the evidence.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor
from transformers import DynamicCache

from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models.positions import forget_lengths, switch_length
from auditor.language_models.tolerance import TOLERANCE
from auditor.language_models.tree_attention import attending, cut
from auditor.language_models.trie import Pack, PackedLayout, Tokens, lay_out

NOT_FINITE = "the model returned a logit that is not a finite number"

HEAD_ROWS = 128
"""Rows read out at once: the output matrix is large, and reading it once a pack would cost more than using it."""

FloatArray = npt.NDArray[np.float64]

Read = tuple[int, int]
"""A position in a prompt, and the token whose log-probability right after it is wanted."""


@dataclass(frozen=True)
class PackingProbe:
    """What the check at load found: whether packing is exact for this model, and the largest difference seen (nats).

    ``plain_head`` says that the model's logits are its final states times its output matrix, nothing else, so that the
    states of many packs can be read out at once. ``most`` is the length up to which it holds: past a sliding window, or
    where an encoding of positions begins to change with the length, prompts are not packed. ``None``: any length.
    """

    packable: bool
    largest_difference: float | None
    reason: str
    plain_head: bool = False
    most: int | None = None


class PackedScorer:
    """Scores prompts on one model, packed where the model allows it.

    Parameters
    ----------
    model
        A decoder-only transformers model in eval mode.
    pack_tokens
        Most tokens in one forward pass.
    probe
        What :func:`probe_packing` said; with ``packable`` false every prompt is computed alone.
    should_stop
        Asked before every forward pass; true raises :class:`Interrupted`.
    """

    def __init__(
        self,
        model: Any,
        *,
        pack_tokens: int,
        probe: PackingProbe,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self.model = model
        self.pack_tokens = pack_tokens
        self.probe = probe
        self.should_stop = should_stop
        self._mixed_layers = len(set(getattr(model.config.get_text_config(), "layer_types", None) or ())) > 1

    def log_probabilities(self, sequences: Sequence[Tokens], reads: Sequence[Sequence[Read]]) -> list[list[float]]:
        """Log-probabilities, in nats, of the tokens in ``reads``.

        Parameters
        ----------
        sequences
            Token ids of whole prompts, with any answer tokens that later reads stand on.
        reads
            For every sequence, (position, token) pairs.

        Returns
        -------
        list of list of float
            In the order of ``reads``.

        Raises
        ------
        ScoringError
            If the model returned a logit that is not a finite number; its ``prompt`` is the index.
        Interrupted
            If a stop was asked for.
        """
        if not self.packs(sequences):
            return self.one_by_one(sequences, reads)
        layout = lay_out(sequences, pack_tokens=self.pack_tokens)
        wanted_by_pack, slots = _group_reads(layout, reads)
        values = np.full(len(slots), np.nan)
        waiting = _Waiting()
        keys: list[tuple[Tensor, Tensor]] = []
        for number, pack in enumerate(layout.packs):
            if self.should_stop():
                raise Interrupted("stopped between two packs; what was scored before is kept")
            rows = wanted_by_pack.get(number, [])
            positions = sorted({index for index, _, _ in rows})
            last = number + 1 == len(layout.packs) or not layout.packs[number + 1].carry
            states, keys = self._forward(pack, keys, positions, last=last)
            if positions:
                waiting.add(states, positions, rows)
            if waiting.rows >= HEAD_ROWS:
                self._read_out(waiting, values)
        self._read_out(waiting, values)
        result = []
        cursor = 0
        for index, wanted in enumerate(reads):
            mine = values[cursor : cursor + len(wanted)]
            cursor += len(wanted)
            if not np.isfinite(mine).all():
                raise ScoringError(NOT_FINITE, prompt=index)
            result.append([float(value) for value in mine])
        return result

    def one_by_one(self, sequences: Sequence[Tokens], reads: Sequence[Sequence[Read]]) -> list[list[float]]:
        """The same by the model's own forward pass, one prompt at a time: nothing packed, shared, cached or masked."""
        pairs = zip(sequences, reads, strict=True)
        return [self._alone(index, sequence, wanted) for index, (sequence, wanted) in enumerate(pairs)]

    def packs(self, sequences: Sequence[Tokens], *, growth: int = 0) -> bool:
        """Whether these are packed, also when each grows by so many tokens.

        Texts longer than any prompt of the run, such as one with a rationale in it, may be past what was proven.
        """
        most = self.probe.most
        long = most is not None and any(len(sequence) + growth > most for sequence in sequences)
        return self.probe.packable and not long

    def _forward(
        self, pack: Pack, keys: Sequence[tuple[Tensor, Tensor]], positions: Sequence[int], *, last: bool
    ) -> tuple[Float[Tensor, "reads width_or_vocabulary"], list[tuple[Tensor, Tensor]]]:
        """One pass: final states (or logits, without a plain head) at ``positions``, and all keys and values.

        ``keys`` are those of the pack before, ``last`` says that no pack follows that needs this one's.
        """
        cache: Any = DynamicCache() if pack.carry or not last else None
        if pack.carry:
            carry = torch.tensor(pack.carry, device=self.model.device)
            for layer, (key, value) in enumerate(keys):
                cache.update(key.index_select(2, carry), value.index_select(2, carry), layer)
        mask = tree_mask(pack, dtype=self.model.dtype).to(self.model.device)
        wanted = torch.tensor(list(positions) or [0], device=self.model.device)
        asked = {
            "input_ids": torch.tensor([pack.tokens], device=self.model.device),
            "position_ids": torch.tensor([pack.positions], device=self.model.device),
            "attention_mask": {"full_attention": mask, "sliding_attention": mask} if self._mixed_layers else mask,
            "past_key_values": cache,
            "use_cache": cache is not None,
        }
        with torch.inference_mode(), attending(self.model, cut(pack, mask)):
            if self.probe.plain_head:
                read = self.model.base_model(**asked).last_hidden_state[0, wanted]
            else:
                read = self.model(**asked, logits_to_keep=wanted).logits[0]
        if last:
            return read, []
        expected = pack.context + len(pack.tokens)
        for held in cache.layers:
            if held.keys.shape[2] != expected:
                raise ScoringError(f"the cache holds {held.keys.shape[2]} positions where {expected} were computed")
        return read, [(held.keys, held.values) for held in cache.layers]

    def _read_out(self, waiting: _Waiting, values: FloatArray) -> None:
        """Turn what waits into log-probabilities, ``HEAD_ROWS`` rows of logits at a time, and empty it."""
        if not waiting.rows:
            return
        states = torch.cat(waiting.states)
        for start in range(0, waiting.rows, HEAD_ROWS):
            reads = [
                (row - start, token, slot) for row, token, slot in waiting.reads if start <= row < start + HEAD_ROWS
            ]
            rows = states[start : start + HEAD_ROWS]
            with torch.inference_mode():
                logits = self.model.get_output_embeddings()(rows) if self.probe.plain_head else rows
                values[[slot for _, _, slot in reads]] = _pick(logits, reads)
        waiting.clear()

    def _alone(self, index: int, sequence: Tokens, wanted: Sequence[Read]) -> list[float]:
        if self.should_stop():
            raise Interrupted("stopped between two prompts; what was scored before is kept")
        values = plain_log_probabilities(self.model, sequence, wanted, every_position=not offers_positions(self.model))
        if not np.isfinite(values).all():
            raise ScoringError(NOT_FINITE, prompt=index)
        return values


def tree_mask(pack: Pack, *, dtype: torch.dtype) -> Float[Tensor, "1 1 tokens context_and_tokens"]:
    """Additive attention mask of a pack: 0 where a token may look, the lowest number of ``dtype`` elsewhere."""
    size = len(pack.tokens)
    visible = np.zeros((size, pack.context + size), dtype=bool)
    for index, parent in enumerate(pack.parents):
        if parent >= 0:
            visible[index] = visible[parent]
        else:
            # The context is one path: its n-th token has position n, and this one follows it up to its own.
            visible[index, : pack.positions[index]] = True
        visible[index, pack.context + index] = True
    mask = torch.zeros((1, 1, *visible.shape), dtype=dtype)
    return mask.masked_fill_(torch.from_numpy(~visible), torch.finfo(dtype).min)


def plain_log_probabilities(
    model: Any, sequence: Tokens, wanted: Sequence[Read], *, every_position: bool = True
) -> list[float]:
    """The reference: one prompt, one ordinary forward pass, no cache, no mask; log-probabilities in nats.

    Without ``every_position`` the model is asked for the logits that are read and no others, which its forward pass
    offers itself: a long prompt and a large vocabulary make the rest a fifth of the work.
    """
    forget_lengths(model)
    positions = sorted({position for position, _ in wanted})
    asked = {} if every_position else {"logits_to_keep": torch.tensor(positions, device=model.device)}
    with torch.inference_mode():
        ids = torch.tensor([list(sequence)], device=model.device)
        logits = model(input_ids=ids, use_cache=False, **asked).logits[0]
    where = {position: row for row, position in enumerate(positions)}
    rows = logits[positions] if every_position else logits
    values = _pick(rows, [(where[position], token, slot) for slot, (position, token) in enumerate(wanted)])
    return [float(value) for value in values]


def plain_logits(model: Any, sequence: Tokens) -> Float[Tensor, " vocabulary"]:
    """Logits right after a text, by one ordinary forward pass over it alone: no cache, no mask."""
    forget_lengths(model)
    asked = {"logits_to_keep": 1} if offers_positions(model) else {}
    with torch.inference_mode():
        logits: Tensor = model(
            input_ids=torch.tensor([list(sequence)], device=model.device), use_cache=False, **asked
        ).logits[0, -1]
    return logits


def offers_positions(model: Any) -> bool:
    """Whether the model's forward pass returns logits at chosen positions alone."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters


def probe_packing(model: Any, *, vocabulary: int, longest: int, pack_tokens: int = 768) -> PackingProbe:
    """Measure whether packing is exact for this model: small trees of prompts, packed, against one prompt at a time.

    One tree has branches at several depths, a kept context and packs that end in the middle, so every part of the path
    is exercised. The other holds prompts as long as the longest real one beside short ones, since an encoding of
    positions that changes with a prompt's length is exact on short prompts alone.

    Parameters
    ----------
    model
        The model.
    vocabulary
        Number of token ids to draw from.
    longest
        Tokens of the longest prompt that will be scored; a sliding window shorter than this rules packing out.
    pack_tokens
        Tokens of a pack that holds the long prompts.
    """
    config = model.config.get_text_config()
    window = getattr(config, "sliding_window", None) if getattr(config, "use_sliding_window", True) else None
    if window and longest > window:
        return PackingProbe(
            False, None, f"prompts of up to {longest} tokens are longer than the sliding window ({window})"
        )
    switch = switch_length(model)
    if switch is not None and longest > switch:
        reason = f"prompts of up to {longest} tokens are read by their length past {switch} (its position encoding)"
        return PackingProbe(False, None, reason)
    if not offers_positions(model):
        return PackingProbe(False, None, f"{type(model).__name__} cannot return logits at chosen positions")
    most = min((int(each) for each in (window, switch) if each), default=None)
    trees = [(18, _branching(vocabulary)), (pack_tokens, _long(vocabulary, longest))]
    refused = PackingProbe(False, None, "")
    # First with the read-out of many packs at once; a model that scales or caps its logits does that in its own head.
    for plain_head in (True, False):
        largest = 0.0
        for width, sequences in trees:
            found = _difference(model, sequences, pack_tokens=width, plain_head=plain_head)
            if isinstance(found, str):
                refused = PackingProbe(False, None, found)
                break
            largest = max(largest, found)
            if not found <= TOLERANCE:
                refused = PackingProbe(False, found, f"packed and one-by-one scores differ by {found:.2g} nats")
                break
        else:
            return PackingProbe(True, largest, "", plain_head, most)
    return refused


def _branching(vocabulary: int) -> list[list[int]]:
    generator = np.random.default_rng(0)
    root, left, right = (_drawn(generator, vocabulary, count) for count in (12, 9, 5))
    more = [_drawn(generator, vocabulary, count) for count in (3, 6, 4, 7)]
    return [root + left + more[0], root + left + more[1], root + right, root + right + more[2], more[3]]


def _long(vocabulary: int, longest: int) -> list[list[int]]:
    """Two prompts of ``longest`` tokens that part near their end, one that parts in the middle, one short one."""
    generator = np.random.default_rng(1)
    root = _drawn(generator, vocabulary, longest)
    late, middle = max(1, longest - 8), max(1, longest // 2)
    other = root[:late] + _drawn(generator, vocabulary, longest - late)
    return [root, other, root[:middle] + _drawn(generator, vocabulary, 5), _drawn(generator, vocabulary, 7)]


def _drawn(generator: np.random.Generator, vocabulary: int, count: int) -> list[int]:
    return [int(token) for token in generator.integers(0, vocabulary, count)]


def _difference(model: Any, sequences: Sequence[list[int]], *, pack_tokens: int, plain_head: bool) -> float | str:
    """Largest difference in nats between packed and one-by-one scores of a tree, or what the model said to it."""
    reads = [[(len(sequence) - 1, sequence[0]), (len(sequence) // 2, sequence[-1])] for sequence in sequences]
    trial = PackedScorer(model, pack_tokens=pack_tokens, probe=PackingProbe(True, None, "", plain_head))
    try:
        packed = trial.log_probabilities(sequences, reads)
    except ScoringError as error:
        return str(error)
    except (TypeError, ValueError, RuntimeError, IndexError, KeyError, AttributeError) as error:
        # Any architecture may be handed in; what it raises on an unusual call is its answer to the probe.
        return f"{type(model).__name__} refused a packed call: {error}"[:300]
    alone = [plain_log_probabilities(model, *pair) for pair in zip(sequences, reads, strict=True)]
    return float(np.max(np.abs(np.array(packed) - np.array(alone))))


def _group_reads(
    layout: PackedLayout, reads: Sequence[Sequence[Read]]
) -> tuple[dict[int, list[tuple[int, int, int]]], list[int]]:
    by_pack: dict[int, list[tuple[int, int, int]]] = {}
    slots: list[int] = []
    for placement, wanted in zip(layout.placements, reads, strict=True):
        for position, token in wanted:
            slot = len(slots)
            slots.append(slot)
            by_pack.setdefault(placement.packs[position], []).append((placement.indices[position], token, slot))
    return by_pack, slots


@dataclass(slots=True)
class _Waiting:
    """Final states (or logits) that wait to be read out; ``reads`` are (row, token, slot of the value)."""

    states: list[Tensor] = field(default_factory=list)
    reads: list[tuple[int, int, int]] = field(default_factory=list)
    rows: int = 0

    def add(self, states: Tensor, positions: Sequence[int], wanted: Sequence[tuple[int, int, int]]) -> None:
        where = {position: self.rows + row for row, position in enumerate(positions)}
        self.states.append(states)
        self.reads += [(where[position], token, slot) for position, token, slot in wanted]
        self.rows += len(states)

    def clear(self) -> None:
        self.states, self.reads, self.rows = [], [], 0


def _pick(logits: Float[Tensor, "rows vocabulary"], reads: Sequence[tuple[int, int, int]]) -> FloatArray:
    """Log-softmax at the wanted tokens, normalised in the logits' own precision, subtracted in double."""
    index = torch.tensor([row for row, _, _ in reads])
    tokens = torch.tensor([token for _, token, _ in reads])
    normaliser = torch.logsumexp(logits, dim=-1).cpu().double()
    chosen = logits.cpu()[index, tokens].double()
    values: FloatArray = (chosen - normaliser[index]).numpy()
    return values
