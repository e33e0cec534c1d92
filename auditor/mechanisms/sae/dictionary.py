"""The dictionary of a run: one autoencoder at one layer, which every test on features of this run shares.

    payload = Payload(dictionary=dictionary_payload(asked), …)     in a test's ``plan_chunks``
    found = dictionary_for(context, payload.dictionary)              in its ``compute``

What is trained, or loaded, follows from the payload and the model alone: settings in ``[settings.dictionary]``, the
words of the applications, the general text itself, the hashes of the files that are loaded. So a dictionary kept in
memory is a memo and nothing else: a worker that has none trains it again and has the same numbers.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from threadpoolctl import threadpool_limits
from torch import Tensor

from auditor.canonical import sha256_bytes, sha256_file, sha256_json
from auditor.exceptions import ModelError, reason_of
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.files import Stored, read_stored
from auditor.mechanisms.sae.gates import too_few_rows, too_poor
from auditor.mechanisms.sae.places import Place, belonging, place_of
from auditor.mechanisms.sae.quality import Quality, measure, recompute
from auditor.mechanisms.sae.readings import EVERYBODY, read_prompts, read_states, read_text
from auditor.mechanisms.sae.rows import DictionaryPayload, Provenance, held_out
from auditor.mechanisms.sae.settings import DictionarySettings
from auditor.mechanisms.sae.states import Matrix
from auditor.mechanisms.sae.training import Recipe, train

NORM_CAP = 10.0
"""States longer than so many medians (attention sinks) are neither trained on, nor measured, nor replaced."""
KEPT = 2

_kept: OrderedDict[str, Dictionary] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Dictionary:
    """An autoencoder and what is known of it.

    Attributes
    ----------
    autoencoder
        Reads states of the stream before block ``layer``.
    layer
        Counted from 0, the embedding.
    quality
        On the tokens of held-out applications.
    unexplained_again, rounding
        The fraction of variance unexplained by another way, and by how much rounding may set the two apart.
    norm_limit
        States longer than this are left as they are.
    provenance
        Where it comes from, and how many applications and tokens stand behind it.
    """

    autoencoder: Autoencoder
    layer: int
    quality: Quality
    unexplained_again: float
    rounding: float
    norm_limit: float
    provenance: Provenance

    @property
    def shortfall(self) -> str | None:
        """Why nothing may be said of its features; ``None`` where it may."""
        return too_poor(self.quality.fvu, self.quality.tokens)

    def readable(self, states: Float[Tensor, "*rows width"]) -> Bool[Tensor, "*rows"]:
        """Which states are no longer than the limit: only those are encoded and replaced."""
        short: Tensor = torch.linalg.vector_norm(states, dim=-1) <= self.norm_limit
        return short

    def activations(self, states: Float[Tensor, "*rows width"]) -> Float[Tensor, "*rows latents"]:
        """The activation of every latent, 0 where a state is beyond the limit."""
        flat = states.reshape(-1, states.shape[-1]).to(self.autoencoder.encoder)
        found = self.autoencoder.encode(flat).dense() * self.readable(flat)[:, None]
        return found.reshape(*states.shape[:-1], self.autoencoder.latents)


def dictionary_for(context: ComputeContext, wanted: DictionaryPayload) -> Dictionary | NotApplicable:
    """Train or load the dictionary of a run, or return it if this process still has it; or why there is none.

    A pure function of the model and ``wanted``: the same numbers in every worker and after every crash (on one machine
    and number of threads). Applications are numbered as in ``wanted.applications``; number n is held out where
    ``held_out(n)``.

    Parameters
    ----------
    context
        The model and the renderer; ``should_stop`` is asked between applications and every ten training steps.
    wanted
        From :func:`dictionary_payload`, as a ledger kept it.

    Raises
    ------
    Interrupted
        If a stop was asked for.
    ModelError
        If a file to load is not what the run was frozen with, or is for states of another width.
    ScoringError
        If a state is not finite.
    """
    if len(wanted.applications) < 2:
        return NotApplicable("a dictionary needs two applications, one of them held out")
    identity = context.loaded.digest
    key = sha256_json({"model": identity, "threads": context.plan.budget.threads, "wanted": wanted.row()})
    with _lock:
        if identity is not None and key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    with threadpool_limits(context.plan.budget.threads):
        try:
            made = _make(context, wanted)
        except ValueError as error:
            return NotApplicable(str(error))
    if isinstance(made, NotApplicable):
        return made
    with _lock:
        if identity is not None:
            _kept[key] = made
            while len(_kept) > KEPT:
                _kept.popitem(last=False)
    return made


def speaking_dictionary(context: ComputeContext, wanted: DictionaryPayload) -> Dictionary | NotApplicable:
    """The dictionary of a run if its features may be spoken of; else why not."""
    found = dictionary_for(context, wanted)
    if isinstance(found, NotApplicable) or not found.shortfall:
        return found
    return NotApplicable(found.shortfall)


def _make(context: ComputeContext, wanted: DictionaryPayload) -> Dictionary | NotApplicable:
    decoder = context.decoder()
    settings = wanted.settings
    _unchanged(wanted)
    try:
        place, stored = _placed(context, settings, layers=decoder.layers, width=decoder.width)
    except ModelError as error:
        # A place or a width is known only beside the model: not tested, with the line that says what to change.
        return NotApplicable(str(error))
    prompts = read_prompts(context, wanted)
    read = read_states(decoder, prompts, layer=place.layer, should_stop=context.should_stop)
    apart = np.array([number != EVERYBODY and held_out(number) for number in read.application])
    ours, kept_out = read.states[torch.from_numpy(~apart)], read.states[torch.from_numpy(apart)]
    text = read_text(
        decoder,
        context.loaded.tokenizer,
        wanted.text,
        layer=place.layer,
        tokens=settings.text_tokens,
        should_stop=context.should_stop,
    )
    limit = NORM_CAP * float(ours.norm(dim=1).median())
    rows = torch.cat([ours, text])
    mean_norm = float(rows.norm(dim=1).mean())
    rows, kept_out = rows[rows.norm(dim=1) <= limit], kept_out[kept_out.norm(dim=1) <= limit]
    notes: tuple[str, ...] = ()
    tokens = 0
    if stored is not None:
        autoencoder, notes = _loaded(settings, stored, place, mean_norm=mean_norm)
    else:
        latents = settings.expansion * decoder.width
        if reason := too_few_rows(len(rows), latents):
            return NotApplicable(reason)
        trained = train(Matrix(rows), _recipe(wanted, latents), should_stop=context.should_stop)
        autoencoder, tokens = trained.autoencoder, trained.tokens
    provenance = Provenance(
        source="trained" if stored is None else "loaded",
        sha256=_hash(autoencoder),
        applications=len(wanted.applications),
        held_out=len(wanted.kept_out),
        rows=len(rows),
        text_rows=len(text),
        tokens=tokens,
        left_out=len(read.states) + len(text) - len(rows) - len(kept_out),
        notes=notes,
    )
    quality = measure(autoencoder, Matrix(kept_out))
    again = recompute(autoencoder, kept_out, quality)
    return Dictionary(
        autoencoder=autoencoder,
        layer=place.layer,
        quality=quality,
        unexplained_again=again.fvu,
        rounding=again.rounding,
        norm_limit=limit,
        provenance=provenance,
    )


def _recipe(wanted: DictionaryPayload, latents: int) -> Recipe:
    """How it is trained."""
    settings = wanted.settings
    return Recipe(
        kind=settings.kind,
        latents=latents,
        k=min(settings.k, latents),
        steps=settings.steps,
        batch=settings.batch,
        learning_rate=settings.learning_rate,
        norm_cap=NORM_CAP,
        dead_after=max(10_000, 20 * settings.batch),
        seed=wanted.seed % 2**31,
    )


def _unchanged(wanted: DictionaryPayload) -> None:
    """The files are those the run was frozen with."""
    folder = Path(wanted.settings.path).expanduser()
    for name, expected in wanted.files.items():
        try:
            found = sha256_file(folder / name)
        except OSError as error:
            raise ModelError(
                str(folder / name), f"cannot be read: {reason_of(error)}", "the file of the plan"
            ) from error
        if found != expected:
            what = f"has SHA-256 {found[:12]}… instead of {expected[:12]}…"
            raise ModelError(str(folder / name), what, "the file the run was frozen with")


def _placed(
    context: ComputeContext, settings: DictionarySettings, *, layers: int, width: int
) -> tuple[Place, Stored | None]:
    """Where features are read; for files, what they hold if they belong there."""
    if not settings.path:
        return Place(place_of(settings, layers)), None
    folder = Path(settings.path).expanduser()
    stored = read_stored(folder, width=width)
    source = context.plan.run.model
    return belonging(stored.declared, settings, source=source, layers=layers, folder=str(folder)), stored


def _loaded(
    settings: DictionarySettings, stored: Stored, place: Place, *, mean_norm: float
) -> tuple[Autoencoder, tuple[str, ...]]:
    """The autoencoder in the folder, and what a reader should know of it."""
    notes = [*place.differs, *stored.declared.notes]
    given = settings.activation_norm
    if stored.declared.average and stored.declared.factor is None:
        norm = f"{given or mean_norm:.4g}"
        whose = "the plan's" if given else "measured on this run's states"
        notes.append(f"its states were scaled by their mean norm, which its files do not give; {norm} is {whose}")
    return stored.autoencoder(mean_norm=given or mean_norm), tuple(notes)


def _hash(autoencoder: Autoencoder) -> str:
    """SHA-256 of the weights as they are used."""
    parts = {
        "encoder": autoencoder.encoder,
        "encoder_bias": autoencoder.encoder_bias,
        "decoder": autoencoder.decoder,
        "decoder_bias": autoencoder.decoder_bias,
    }
    if autoencoder.threshold is not None:
        parts["threshold"] = autoencoder.threshold
    hashes = {name: sha256_bytes(part.contiguous().cpu().numpy().tobytes()) for name, part in parts.items()}
    return sha256_json({"kind": autoencoder.kind, "k": autoencoder.k, **hashes})
