"""What a model still does when the states at one layer are replaced by their reconstruction."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from auditor.exceptions import Interrupted
from auditor.language_models.answers import encode
from auditor.language_models.noise import noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.precision import device_of_doubles, in_double
from auditor.language_models.stream_view import StreamView
from auditor.language_models.targets import Target
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.sae.dictionary import Dictionary
from auditor.mechanisms.sae.rows import DictionaryPayload
from auditor.mechanisms.sae.spliced import CLEAN, IDENTITY, REBUILT, ZERO, ByStream, Spliced

POSITIONS_AT_ONCE = 64


def splice(context: ComputeContext, wanted: DictionaryPayload, dictionary: Dictionary, *, applications: int) -> Spliced:
    """Replace the states of held-out applications, as filed, and read margins and the prompt's own cross-entropy.

    Parameters
    ----------
    context
        The model.
    wanted, dictionary
        The dictionary and what it was made from.
    applications
        How many applications.
    """
    texts = [context.render(item.words).text for item in wanted.kept_out[:applications]]
    chat = context.plan.prompt.form == "chat"
    target = context.target(texts[0])
    decoder = context.decoder()
    margins: dict[str, list[float]] = {}
    entropies: dict[str, list[float]] = {}
    identity = 0.0
    for encoding in encode(context.loaded.tokenizer, texts, chat=chat):
        if context.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        with torch.inference_mode():
            finals = _finals(decoder, encoding.ids, dictionary)
            totals = dict.fromkeys(finals, 0.0)
            for first in range(0, len(encoding.ids), POSITIONS_AT_ONCE):
                part = slice(first, first + POSITIONS_AT_ONCE)
                following = torch.tensor(encoding.ids[1:][part]).to(device_of_doubles(decoder.model.device))
                logits = {name: in_double(decoder.logits(rows[part])) for name, rows in finals.items()}
                identity = max(identity, float((logits[IDENTITY] - logits[CLEAN]).abs().max()))
                for name, rows in logits.items():
                    known = rows[: len(following)]
                    totals[name] += float(torch.nn.functional.cross_entropy(known, following, reduction="sum"))
            for name, rows in finals.items():
                entropies.setdefault(name, []).append(totals[name] / max(1, len(encoding.ids) - 1))
                if isinstance(target, Target):
                    margins.setdefault(name, []).append(_margin(in_double(decoder.logits(rows[-1:])[0]), target))
    floor = noise_floor(context.loaded.model)
    return Spliced(
        applications=len(texts),
        margins=ByStream.of(margins) if isinstance(target, Target) else None,
        no_margins=target.reason if isinstance(target, NotApplicable) else None,
        entropies=ByStream.of(entropies),
        identity=identity,
        identity_bound=floor.bound,
        identity_words=floor.words,
    )


def _finals(view: StreamView, ids: Sequence[int], dictionary: Dictionary) -> dict[str, Float[Tensor, "n read"]]:
    """What each stream becomes after the last block, by name, to be read by the view's ``logits``."""
    tokens = torch.tensor([list(ids)]).to(view.model.device)
    streams = _replaced(view.stream(tokens, layer=dictionary.layer)[0], dictionary)
    rows = torch.stack(list(streams.values()))
    final = view.carry_on(dictionary.layer, rows, tokens=tokens.expand(len(rows), -1))
    # Nothing is put into the first: were the stream read or put in wrongly, the error put back would change something.
    return {CLEAN: view.untouched(tokens)[0], **dict(zip(streams, final, strict=True))}


def _replaced(states: Float[Tensor, "n width"], dictionary: Dictionary) -> dict[str, Float[Tensor, "n width"]]:
    """The states with the error put back, rebuilt, and zero; those beyond the dictionary's limit stay as they are."""
    readable = dictionary.readable(states)[:, None]
    exact = states.to(dictionary.autoencoder.encoder)
    rebuilt = dictionary.autoencoder.reconstruct(exact)
    # In the dictionary's precision: in half precision the sum would round what the model never rounds.
    whole = rebuilt + (exact - rebuilt)
    back = {IDENTITY: whole, REBUILT: rebuilt}
    parts = {name: part.to(states.device, states.dtype) for name, part in back.items()} | {
        ZERO: torch.zeros_like(states)
    }
    return {name: torch.where(readable, part, states) for name, part in parts.items()}


def _margin(logits: Float[Tensor, " vocabulary"], target: Target) -> float:
    favourable, adverse = logits[list(target.favourable)], logits[list(target.adverse)]
    return float(torch.logsumexp(favourable, -1) - torch.logsumexp(adverse, -1))
