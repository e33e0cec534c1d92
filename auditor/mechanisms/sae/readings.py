"""The audit's own prompts as rows of states: every token of every prompt at one layer, each distinct prefix once.

An application's prompts share all tokens before the field that was changed, and all prompts share the instruction. A
state depends on what comes before it alone, so a shared token is one row: twice the same row would only weigh it twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models.activations import pad, shared_length
from auditor.language_models.answers import encode
from auditor.language_models.decoder import Decoder
from auditor.language_models.kv_cache import Past
from auditor.language_models.residual_view import ResidualView
from auditor.language_models.sites import RESIDUAL
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.sae.rows import DictionaryPayload

EVERYBODY = -1
"""The application of a row that all prompts share."""

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class TokenisedPrompt:
    """One prompt: of which application (by number), with which field changed to what, as text and as tokens.

    ``spans`` are the character spans of the fields' values, ``offsets`` the character span of every token.
    """

    application: int
    changed: tuple[str, str] | None
    text: str
    spans: Mapping[str, tuple[int, int]]
    ids: tuple[int, ...]
    offsets: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class TokenStates:
    """States of tokens, and where every row stands.

    Attributes
    ----------
    states
        The stream before the layer, fp32.
    application
        Number of the application of every row; ``EVERYBODY`` where all prompts share it.
    prompt, position
        A prompt the row stands in (the first one), and its token there.
    """

    states: Float[Tensor, "rows width"]
    application: IntArray
    prompt: IntArray
    position: IntArray


def read_prompts(context: ComputeContext, wanted: DictionaryPayload) -> list[TokenisedPrompt]:
    """The prompts of a dictionary: every application as filed, and with every other value of every attribute.

    Parameters
    ----------
    context
        Renders and tokenises.
    wanted
        What the dictionary follows from.
    """
    found: list[tuple[int, tuple[str, str] | None, Mapping[str, str]]] = []
    for number, application in enumerate(wanted.applications):
        words = application.words
        found.append((number, None, words))
        for name, value in wanted.variants:
            if words[name] != value:
                found.append((number, (name, value), {**words, name: value}))
    rendered = [context.render(words) for _, _, words in found]
    chat = context.plan.prompt.form == "chat"
    encodings = encode(context.loaded.tokenizer, [item.text for item in rendered], chat=chat)
    return [
        TokenisedPrompt(number, changed, item.text, item.spans, encoding.ids, encoding.offsets)
        for (number, changed, _), item, encoding in zip(found, rendered, encodings, strict=True)
    ]


def read_states(
    decoder: Decoder | ResidualView,
    prompts: Sequence[TokenisedPrompt],
    *,
    layer: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> TokenStates:
    """The stream before ``layer`` at every token of ``prompts``, each distinct prefix of an application once.

    Raises
    ------
    Interrupted
        If ``should_stop``, asked between applications, says so.
    ScoringError
        If a state is not finite.
    """
    common = shared_length([prompt.ids for prompt in prompts]) if len(prompts) > 1 else 0
    pieces: list[Tensor] = []
    places: list[tuple[int, int, int]] = []
    head: Past | None = None
    with torch.inference_mode():
        if common and isinstance(decoder, Decoder):
            states, head = _forward(decoder, [prompts[0].ids[:common]], layer, None)
            pieces.append(states[0])
        for numbers in _by_application(prompts):
            if should_stop():
                raise Interrupted("stopped between two applications; nothing of this chunk is kept")
            sequences = [prompts[number].ids for number in numbers]
            start = max(common, shared_length(sequences))
            whole = _states(decoder, sequences, layer, start=start, past=head)
            if common and not pieces:
                pieces.append(whole[0][:common])
            for index, number in enumerate(numbers):
                first = common if index == 0 else _first_difference(sequences[0], sequences[index])
                # Where the forward pass began at the common prefix, row 0 is its position.
                offset = common if head is not None else 0
                pieces.append(whole[index][first - offset :])
                places += [(prompts[number].application, number, at) for at in range(first, len(sequences[index]))]
        places = [*((EVERYBODY, 0, at) for at in range(common)), *places]
        states = torch.cat(pieces).float().cpu()
    if not bool(torch.isfinite(states).all()):
        raise ScoringError("a state of the model is not a finite number")
    if len(states) != len(places):
        raise ScoringError(f"{len(states)} states were read where {len(places)} were expected")
    table = np.array(places, dtype=np.int64).reshape(-1, 3)
    # Out of inference mode, so that what trains on the states may keep them for its backward pass.
    return TokenStates(torch.from_numpy(states.numpy().copy()), table[:, 0], table[:, 1], table[:, 2])


def read_text(
    decoder: Decoder | ResidualView,
    tokenizer: Any,
    text: str,
    *,
    layer: int,
    window: int = 128,
    tokens: int,
    should_stop: Callable[[], bool] = lambda: False,
) -> Float[Tensor, "rows width"]:
    """The stream before ``layer`` on general text, in windows of so many tokens; the rest at the end is left out."""
    ids = list(tokenizer(text, add_special_tokens=False).input_ids)[:tokens]
    windows = [ids[first : first + window] for first in range(0, len(ids), window)]
    full = [tuple(each) for each in windows if len(each) == len(windows[0]) and len(each) > 1]
    pieces = []
    with torch.inference_mode():
        for first in range(0, len(full), 8):
            if should_stop():
                raise Interrupted("stopped while general text was read; nothing of this chunk is kept")
            pieces.append(_forward(decoder, full[first : first + 8], layer, None)[0].flatten(0, 1))
        states = torch.cat(pieces).float().cpu() if pieces else torch.empty(0, decoder.width)
    return torch.from_numpy(states.numpy().copy())


def _states(
    decoder: Decoder | ResidualView,
    sequences: Sequence[tuple[int, ...]],
    layer: int,
    *,
    start: int,
    past: Past | None,
) -> list[Tensor]:
    """States of every sequence from the end of ``past`` on."""
    if isinstance(decoder, ResidualView):
        whole, _ = _forward(decoder, sequences, layer, None)
        return [states[: len(sequence)] for states, sequence in zip(whole, sequences, strict=True)]
    begin = past.length if past is not None else 0
    shared, before = None, past
    if start > begin:
        shared, before = _forward(decoder, [sequences[0][begin:start]], layer, past)
    tails, _ = _forward(decoder, [sequence[start:] for sequence in sequences], layer, before)
    found = []
    for tail, sequence in zip(tails, sequences, strict=True):
        own = tail[: len(sequence) - start]
        found.append(own if shared is None else torch.cat([shared[0], own]))
    return found


def _forward(
    decoder: Decoder | ResidualView, sequences: Sequence[tuple[int, ...]], layer: int, past: Past | None
) -> tuple[Float[Tensor, "batch n width"], Past | None]:
    tokens = pad(sequences).to(decoder.model.device)
    if isinstance(decoder, ResidualView):
        return decoder.run(tokens, capture=[(RESIDUAL, layer)]).states[RESIDUAL, layer], None
    stream = decoder.embed(tokens, start=past.length if past is not None else 0)
    run = decoder.run_from(0, stream, past=past, stop=layer, keep_past=len(sequences) == 1)
    return run.final, run.past


def _by_application(prompts: Sequence[TokenisedPrompt]) -> Iterator[list[int]]:
    grouped: dict[int, list[int]] = {}
    for number, prompt in enumerate(prompts):
        grouped.setdefault(prompt.application, []).append(number)
    yield from grouped.values()


def _first_difference(one: Sequence[int], other: Sequence[int]) -> int:
    pairs = zip(one, other, strict=False)
    shorter = min(len(one), len(other))
    return next((place for place, (left, right) in enumerate(pairs) if left != right), shorter)
