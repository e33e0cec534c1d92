"""How often superposition is found where there is none, and where it was planted.

Tiny random models of two families read the small audit. Their states go through dictionaries whose directions are drawn
at random, so that nothing overlaps but by chance: with directions independent of what the features read (activity says
nothing of the directions), and with the directions they read (tied, as before any training). Nothing is found there but
falsely. Planted: the attribute's features are turned towards a credit field's. Counted are audits with a finding at the
plan's level after Holm over its attributes. ``by_applications`` is what a t test over applications would have found.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import torch
from scipy.stats import ttest_1samp
from torch import Tensor

from auditor.language_models.decoder_check import read_decoder
from auditor.language_models.local import LoadedModel
from auditor.mechanisms._shared.compute import ComputeContext
from auditor.mechanisms._shared.corpus import Corpus, Read
from auditor.mechanisms._shared.feature_contrasts import States, activations_of, read_states
from auditor.mechanisms._shared.feature_responses import tails
from auditor.mechanisms.sae.autoencoder import Autoencoder
from auditor.mechanisms.sae.dictionary import Dictionary
from auditor.mechanisms.sae.quality import Quality
from auditor.mechanisms.sae.rows import Provenance
from auditor.mechanisms.superposition import method as superposition
from auditor.mechanisms.superposition.result import Carried, Payload, Shared
from auditor.plan import Plan
from auditor.statistics.minimums import draws_needed
from auditor.statistics.multiplicity import holm
from auditor.statistics.multiplicity import significant as at_level
from auditor.statistics.rates import Tally, wilson
from benchmarks.rows import Row
from tests.engine.small import small_data, small_plan
from tests.language_models.tiny import tiny_tokenizer
from tests.language_models.zoo import zoo_model
from tests.mechanisms.asking import asked, compute_context, through_a_ledger

FAMILIES = ("llama", "gpt_neox")
MODELS, DICTIONARIES, DESCRIBED = 5, 200, 40
"""Models of a family, dictionaries of a model, and of how many a test over applications is made beside."""
LATENTS, ACTIVE, WIDTH, MOST = 512, 24, 32, 8
TOWARDS = 0.6
"""Cosine at which a planted feature stands to a credit field's direction."""
LAYER = 1
NOWHERE = Provenance(source="trained", sha256="", applications=0, held_out=0, rows=0, text_rows=0, tokens=0, left_out=0)
"""Directions that are drawn were formed on nothing."""


@dataclass(frozen=True)
class Material:
    """States of one model on the small audit's prompts."""

    plan: Plan
    payload: Payload
    corpus: Corpus
    states: States


@dataclass(frozen=True)
class Count:
    """Audits that could be tested, those with a finding; of how many a t test over applications was made, and found."""

    tested: int
    found: int
    described: int
    by_applications: int


def run(*, models: int = MODELS, dictionaries: int = DICTIONARIES) -> Iterator[Row]:
    """A row for each family, and null or planted."""
    for family in FAMILIES:
        for tied in (False, True):
            name = "tied" if tied else "independent"
            count = null_rate(family, tied=tied, models=models, dictionaries=dictionaries)
            yield _row(f"inside nulls: superposition, {family}, random {name} directions", "false_findings", count)
        planted = planted_rate(family, models=models, dictionaries=max(1, dictionaries // 10))
        yield _row(f"inside nulls: superposition, {family}, planted at cosine {TOWARDS}", "power", planted)


def null_rate(family: str, *, tied: bool, models: int, dictionaries: int, described: int = DESCRIBED) -> Count:
    """Findings in random dictionaries."""
    return _counted(
        (
            (material(family, model), random_dictionary(1000 * model + number, tied=tied))
            for model in range(models)
            for number in range(dictionaries)
        ),
        most=described,
    )


def planted_rate(family: str, *, models: int, dictionaries: int, described: int = DESCRIBED) -> Count:
    """Findings where the features of the attributes point to a credit field's features."""

    def planted() -> Iterator[tuple[Material, Dictionary]]:
        for model in range(models):
            here = material(family, model)
            for number in range(dictionaries):
                dictionary = random_dictionary(1000 * model + number, tied=False)
                yield here, turned(dictionary, _measured(here, dictionary), seed=number)

    return _counted(planted(), most=described)


@lru_cache(maxsize=16)
def material(family: str, seed: int) -> Material:
    """One model of a family and its states."""
    plan = small_plan(tests__run=["superposition"], settings={"dictionary": {"tokens": 100_000}})
    data = small_data(24)
    settings = superposition.Settings(applications=16)
    model = zoo_model(family, seed=seed)
    made: ComputeContext = replace(
        compute_context(settings, plan=plan, data=data), loaded=LoadedModel(model, tiny_tokenizer(), None, "cpu")
    )
    (work,) = superposition.plan_chunks(asked(settings, plan=plan, data=data))
    # A random model moves as much with an irrelevant field as with any; nothing would be left to test.
    planned = Payload.read(through_a_ledger(work.payload))
    payload = planned.model_copy(update={"reading": planned.reading.model_copy(update={"placebo": None})})
    corpus, states = read_states(made, payload.reading.contrasts, decoder=read_decoder(model), layer=LAYER)
    # Features are drawn about the mean state, as a trained dictionary's bias is.
    return Material(plan, payload, corpus, np.asarray(states - states.mean(axis=0), dtype=np.float32))


def random_dictionary(seed: int, *, tied: bool) -> Dictionary:
    """TopK with random directions."""
    generator = torch.Generator().manual_seed(seed)
    read, written = (_unit(torch.randn(LATENTS, WIDTH, generator=generator)) for _ in range(2))
    autoencoder = Autoencoder(
        "topk", read, torch.zeros(LATENTS), read if tied else written, torch.zeros(WIDTH), k=ACTIVE
    )
    quality = Quality(1000, 0.1, float(ACTIVE), 0, torch.ones(LATENTS, dtype=torch.int64), torch.ones(LATENTS))
    return Dictionary(autoencoder, LAYER, quality, 0.1, 1.0, float("inf"), NOWHERE)


def turned(dictionary: Dictionary, result: Shared, *, seed: int) -> Dictionary:
    """The same with the attributes' own features at a cosine to a feature of a credit field."""
    rows = dictionary.autoencoder.decoder.clone()
    generator = np.random.default_rng(seed)
    for item in result.attributes:
        both = item.together.features
        credit = [one for one in both if one not in item.features]
        for feature in set(item.features) - set(both):
            if credit:
                # All credit features of a planted model lie near one direction.
                towards = rows[credit[0]]
                across = _unit((rows[feature] - (rows[feature] @ towards) * towards)[None])[0]
                sign = float(generator.choice([-1.0, 1.0]))
                rows[feature] = sign * TOWARDS * towards + (1 - TOWARDS**2) ** 0.5 * across
        for other in credit[1:]:
            across = _unit((rows[other] - (rows[other] @ rows[credit[0]]) * rows[credit[0]])[None])[0]
            rows[other] = TOWARDS * rows[credit[0]] + (1 - TOWARDS**2) ** 0.5 * across
    return replace(dictionary, autoencoder=replace(dictionary.autoencoder, decoder=rows))


def _counted(tries: Iterator[tuple[Material, Dictionary]], *, most: int) -> Count:
    tested = found = described = by_applications = 0
    for here, dictionary in tries:
        alpha, fields = here.plan.thresholds.alpha, here.payload.credit_fields
        attributes = here.payload.reading.attributes
        carriers = _carriers(here, dictionary)
        needed = draws_needed(alpha=alpha, family_size=len(attributes), tails=2)
        tried = [carriers.chance(name, carriers.of_fields(fields), level=1 - alpha, seed=0) for name in attributes]
        p_values = [one.p_value() for one in tried if one is not None and one.too_few(needed) is None]
        if not p_values:
            continue
        tested += 1
        found += any(at_level(p, alpha=alpha) for p in holm(p_values))
        if described < most:
            described += 1
            by_applications += any(
                at_level(_over_applications(item), alpha=alpha) for item in _measured(here, dictionary).attributes
            )
    return Count(tested, found, described, by_applications)


def _carriers(here: Material, dictionary: Dictionary) -> superposition.Carriers:
    rows = dictionary.autoencoder.decoder.numpy()
    found = tails(
        Read(here.corpus, activations_of(dictionary, here.states)),
        norms=np.linalg.norm(rows, axis=1).astype(np.float64),
    )
    return superposition.Carriers.of(found, here.payload, rows, most=MOST)


def _measured(here: Material, dictionary: Dictionary) -> Shared:
    level = 1 - here.plan.thresholds.alpha
    return superposition.measured(dictionary, here.corpus, here.states, here.payload, most=MOST, level=level)


def _over_applications(item: Carried) -> float:
    """The p-value that takes applications for replicates."""
    found = item.together.overlap
    apart = np.array(found.cosine) - np.array(found.random)
    return float(ttest_1samp(apart, 0.0).pvalue) if len(apart) > 2 and apart.std() > 0 else 1.0


def _row(name: str, rate: str, count: Count) -> Row:
    share = count.found / count.tested if count.tested else 0.0
    bounds = wilson(Tally(count.found, count.tested), level=0.95) if count.tested else None
    return Row(
        name=name,
        ours=share,
        peer=None,
        ratio=None,
        agreement=None,
        unit="share of audits",
        n=count.tested,
        extra={
            rate: share,
            "low": bounds.low if bounds else None,
            "high": bounds.high if bounds else None,
            "by_applications": count.by_applications / count.described if count.described else None,
            "described": count.described,
        },
    )


def _unit(rows: Tensor) -> Tensor:
    return torch.nn.functional.normalize(rows, dim=1)
