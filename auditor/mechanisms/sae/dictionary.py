"""The dictionary of a run: one autoencoder at one layer, which every test on features of this run shares.

    payload = {..., "dictionary": dictionary_payload(asked)}      in a test's ``work``
    found = dictionary_for(bench, payload["dictionary"])          in its ``compute``

What is trained, or loaded, follows from the payload and the model alone: settings in ``[settings.dictionary]``, the
words of the applications, the general text itself, the hashes of the files that are loaded. So a dictionary kept in
memory is a memo and nothing else: a worker that has none trains it again and has the same numbers.
"""

from __future__ import annotations

import random
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from pydantic import Field
from threadpoolctl import threadpool_limits
from torch import Tensor

from auditor.canonical import sha256_bytes, sha256_file, sha256_json
from auditor.exceptions import ModelError, PlanError, reason_of
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms.sae.autoencoder import Autoencoder, Kind
from auditor.mechanisms.sae.declared import files_of
from auditor.mechanisms.sae.files import Stored, read_stored
from auditor.mechanisms.sae.gates import too_few_rows, too_poor
from auditor.mechanisms.sae.places import Place, belonging, expected_of, known_to_differ, place_of
from auditor.mechanisms.sae.quality import Quality, measure, recompute
from auditor.mechanisms.sae.readings import EVERYBODY, TokenisedPrompt, read_prompts, read_states, read_text
from auditor.mechanisms.sae.states import Matrix
from auditor.mechanisms.sae.training import Recipe, train
from auditor.plan import Plan, Section, check_section
from auditor.testing.chunks import PlanContext

SECTION = "dictionary"
NORM_CAP = 10.0
"""States longer than so many medians (attention sinks) are neither trained on, nor measured, nor replaced."""
HELD_OUT = 4
"""One of so many applications is held out for the quality."""
KEPT = 2

_kept: OrderedDict[str, Dictionary] = OrderedDict()
_lock = threading.Lock()


class DictionarySettings(Section):
    """``[settings.dictionary]``: one for all tests on features, so that they speak of the same features.

    Attributes
    ----------
    depth
        The layer, as a share of the model's depth: features are read in the stream before that block.
    hook
        The place in its stead, as SAELens names it: ``blocks.N.hook_resid_pre`` or ``blocks.N.hook_resid_post``.
    kind, expansion, k
        How latents are selected, how many there are as a multiple of the width of the stream, and how many are active
        on a token.
    steps, batch, learning_rate
        Of the training.
    tokens
        Most tokens of the audit's prompts to read, by estimate.
    text, text_tokens
        A file of general text to train on as well, and the most tokens of it. The text becomes part of the run.
    path
        A folder with an autoencoder in SAELens' layout, or Gemma Scope's ``params.npz``, to use instead of training
        one. What its files say of model and hook must be this model and this place. Their hashes become part of the
        run.
    foreign
        The files may name another model, layer or hook, or no hook; the report says which.
    activation_norm
        Mean norm of the states it was trained on, where its states were scaled by that and the files do not say it;
        without it the mean norm of this run's states stands in, and the report says so.
    """

    depth: Annotated[float, Field(gt=0, lt=1)] = 0.5
    hook: str = ""
    kind: Kind = "topk"
    expansion: Annotated[int, Field(ge=1, le=64)] = 4
    k: Annotated[int, Field(ge=1, le=1024)] = 32
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 300
    batch: Annotated[int, Field(ge=16, le=65_536)] = 1024
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-3
    tokens: Annotated[int, Field(ge=256)] = 12_000
    text: str = ""
    text_tokens: Annotated[int, Field(ge=128)] = 8_192
    path: str = ""
    foreign: bool = False
    activation_norm: Annotated[float, Field(gt=0)] | None = None


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
        Plain data: ``source`` (``trained`` or ``loaded``), ``sha256`` of the weights, and how many applications and
        tokens stand behind it.
    """

    autoencoder: Autoencoder
    layer: int
    quality: Quality
    unexplained_again: float
    rounding: float
    norm_limit: float
    provenance: Mapping[str, Any]

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


def dictionary_settings(plan: Plan) -> DictionarySettings:
    """The plan's ``[settings.dictionary]``.

    Raises
    ------
    PlanError
        Naming the key, if there is no such setting or its value does not fit.
    """
    return check_section(DictionarySettings, plan.settings.get(SECTION, {}), where=f"settings.{SECTION}")


def dictionary_payload(asked: PlanContext) -> dict[str, Any]:
    """All that a run's dictionary follows from, beside the model: put it into every payload that needs the dictionary.

    Returns
    -------
    dict
        ``settings``; ``applications`` (``id`` and ``words``), a seeded draw that does not depend on the test;
        ``variants``, the (field, value) pairs they are also read with; ``text``; ``files``, SHA-256 by name.

    Raises
    ------
    PlanError
        If a setting does not fit, or a file it names cannot be read.
    """
    settings = dictionary_settings(asked.plan)
    clusters = list(asked.clusters)
    random.Random(f"{asked.plan.cases.seed}/{SECTION}").shuffle(clusters)
    variants = [[item.field, group] for item in asked.plan.attributes for group in item.groups]
    applications: list[dict[str, Any]] = []
    tokens = 0
    for cluster in clusters:
        case = cluster.cases[0]
        earliest = min((case.spans[item.field][0] for item in asked.plan.attributes), default=0)
        whole = asked.count_tokens(case.prompt)
        tokens += whole + round(len(variants) * whole * (1 - earliest / max(1, len(case.prompt))))
        if tokens > settings.tokens and len(applications) >= HELD_OUT:
            break
        words = asked.words[cluster.application.id]
        applications.append({"id": cluster.application.id, "words": {name: words[name] for name in asked.fields}})
    return {
        "settings": settings.model_dump(mode="json"),
        "seed": asked.plan.cases.seed,
        "applications": applications,
        "variants": variants,
        "text": _text(settings),
        "files": _files(settings, asked.plan.run.model),
    }


def dictionary_tokens(wanted: Mapping[str, Any], asked: PlanContext) -> int:
    """An estimate of the tokens that reading and training cost, for the plan of a chunk."""
    settings = wanted["settings"]
    read = min(settings["tokens"], sum(asked.count_tokens(cluster.cases[0].prompt) for cluster in asked.clusters))
    return int(read) + (0 if settings["path"] else settings["steps"] * settings["batch"] // 50)


def dictionary_for(bench: ComputeContext, wanted: Mapping[str, Any]) -> Dictionary | NotApplicable:
    """Train or load the dictionary of a run, or return it if this process still has it; or why there is none.

    A pure function of the model and ``wanted``: the same numbers in every worker and after every crash (on one machine
    and number of threads). Applications are numbered as in ``wanted["applications"]``; number n is held out where
    ``held_out(n)``.

    Parameters
    ----------
    bench
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
    if len(wanted["applications"]) < 2:
        return NotApplicable("a dictionary needs two applications, one of them held out")
    identity = bench.loaded.manifest.get("identity")
    key = sha256_json({"model": identity, "threads": bench.plan.budget.threads, "wanted": wanted})
    with _lock:
        if identity is not None and key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    with threadpool_limits(bench.plan.budget.threads):
        try:
            made = _make(bench, wanted)
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


def speaking_dictionary(bench: ComputeContext, wanted: Mapping[str, Any]) -> Dictionary | NotApplicable:
    """The dictionary of a run if its features may be spoken of; else why not."""
    found = dictionary_for(bench, wanted)
    if isinstance(found, NotApplicable) or not found.shortfall:
        return found
    return NotApplicable(found.shortfall)


def held_out(application: int) -> bool:
    """Whether the application of this number is kept out of training."""
    return application % HELD_OUT == 1


def _make(bench: ComputeContext, wanted: Mapping[str, Any]) -> Dictionary | NotApplicable:
    decoder = bench.decoder()
    settings = wanted["settings"]
    _unchanged(wanted)
    try:
        place, stored = _placed(bench, settings, layers=decoder.layers, width=decoder.width)
    except ModelError as error:
        # A place or a width is known only beside the model: not tested, with the line that says what to change.
        return NotApplicable(str(error))
    prompts: list[TokenisedPrompt] = read_prompts(bench, wanted)
    read = read_states(decoder, prompts, layer=place.layer, should_stop=bench.should_stop)
    apart = np.array([number != EVERYBODY and held_out(number) for number in read.application])
    ours, kept_out = read.states[torch.from_numpy(~apart)], read.states[torch.from_numpy(apart)]
    text = read_text(
        decoder,
        bench.loaded.tokenizer,
        wanted["text"],
        layer=place.layer,
        tokens=settings["text_tokens"],
        should_stop=bench.should_stop,
    )
    limit = NORM_CAP * float(ours.norm(dim=1).median())
    rows = torch.cat([ours, text])
    mean_norm = float(rows.norm(dim=1).mean())
    rows, kept_out = rows[rows.norm(dim=1) <= limit], kept_out[kept_out.norm(dim=1) <= limit]
    about: dict[str, Any] = {
        "applications": len(wanted["applications"]),
        "held_out": sum(held_out(number) for number in range(len(wanted["applications"]))),
        "rows": len(rows),
        "text_rows": len(text),
        "left_out": len(read.states) + len(text) - len(rows) - len(kept_out),
        "notes": [],
    }
    if stored is not None:
        autoencoder, notes = _loaded(settings, stored, place, mean_norm=mean_norm)
        about |= {"source": "loaded", "tokens": 0, "notes": notes}
    else:
        latents = settings["expansion"] * decoder.width
        if reason := too_few_rows(len(rows), latents):
            return NotApplicable(reason)
        recipe = Recipe(
            kind=settings["kind"],
            latents=latents,
            k=min(settings["k"], latents),
            steps=settings["steps"],
            batch=settings["batch"],
            learning_rate=settings["learning_rate"],
            norm_cap=NORM_CAP,
            dead_after=max(10_000, 20 * settings["batch"]),
            seed=wanted["seed"] % 2**31,
        )
        trained = train(Matrix(rows), recipe, should_stop=bench.should_stop)
        autoencoder = trained.autoencoder
        about |= {"source": "trained", "tokens": trained.tokens}
    about["sha256"] = _hash(autoencoder)
    quality = measure(autoencoder, Matrix(kept_out))
    again = recompute(autoencoder, kept_out, quality)
    return Dictionary(
        autoencoder=autoencoder,
        layer=place.layer,
        quality=quality,
        unexplained_again=again.fvu,
        rounding=again.rounding,
        norm_limit=limit,
        provenance=about,
    )


def _unchanged(wanted: Mapping[str, Any]) -> None:
    """The files are those the run was frozen with."""
    folder = Path(wanted["settings"]["path"]).expanduser()
    for name, expected in wanted["files"].items():
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
    bench: ComputeContext, settings: Mapping[str, Any], *, layers: int, width: int
) -> tuple[Place, Stored | None]:
    """Where features are read; for files, what they hold if they belong there."""
    if not settings["path"]:
        return Place(place_of(settings, layers)), None
    folder = Path(settings["path"]).expanduser()
    stored = read_stored(folder, width=width)
    source = bench.plan.run.model
    return belonging(stored.declared, settings, source=source, layers=layers, folder=str(folder)), stored


def _loaded(
    settings: Mapping[str, Any], stored: Stored, place: Place, *, mean_norm: float
) -> tuple[Autoencoder, list[str]]:
    """The autoencoder in the folder, and what a reader should know of it."""
    notes = [*place.differs, *stored.declared.notes]
    given = settings["activation_norm"]
    if stored.declared.average and stored.declared.factor is None:
        norm = f"{given or mean_norm:.4g}"
        whose = "the plan's" if given else "measured on this run's states"
        notes.append(f"its states were scaled by their mean norm, which its files do not give; {norm} is {whose}")
    return stored.autoencoder(mean_norm=given or mean_norm), notes


def _text(settings: DictionarySettings) -> str:
    if not settings.text:
        return ""
    where = f"settings.{SECTION}.text"
    try:
        with Path(settings.text).expanduser().open(encoding="utf-8") as file:
            # No tokenizer makes a token of more than a few dozen characters of ordinary text.
            return file.read(16 * settings.text_tokens)
    except OSError as error:
        raise PlanError(where, f"{settings.text}: cannot be read: {reason_of(error)}", "a text file") from error
    except UnicodeDecodeError as error:
        raise PlanError(where, f"{settings.text}: is not UTF-8 (byte {error.start})", "a text file in UTF-8") from error


def _files(settings: DictionarySettings, source: str) -> dict[str, str]:
    """The hashes of the files, which are read once here so that what does not fit is said before the run begins."""
    if not settings.path:
        return {}
    where = f"settings.{SECTION}.path"
    folder = Path(settings.path).expanduser()
    names = files_of(folder)
    try:
        hashes = {name: sha256_file(folder / name) for name in names}
    except OSError as error:
        what = f"{error.filename or folder}: cannot be read: {reason_of(error)}"
        raise PlanError(where, what, f"a folder with {' and '.join(names)}") from error
    try:
        stored = read_stored(folder)
        stored.autoencoder(mean_norm=1.0)
        differs = known_to_differ(stored.declared, settings.model_dump(), source=source, folder=str(folder))
    except ModelError as error:
        raise PlanError(where, f"{error.where}: {error.what}", error.expected) from error
    if differs and not settings.foreign:
        raise PlanError(where, differs, expected_of(stored.declared))
    return hashes


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
