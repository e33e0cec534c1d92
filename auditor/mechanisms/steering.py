"""Steering: could the attribute move decisions? Add the difference between two groups to the stream, read the margin.

The direction is the difference of class means at the last token of one layer, taken from half of the applications. It
is put into the same layer or another one (cross-layer re-injection) of the other half, at the last token: added to
prompts that state the reference group, taken from prompts that state the other. A dose of 1 is as long as the groups
are apart at the layer it is put into.

The control is the same with labels permuted within applications (randomisation.py): a difference of class means between
labels that mean nothing, at its own length. Put in at the length of the true difference it would be the true direction
again wherever an attribute is nearly all that tells an application's prompts apart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import torch
from pydantic import Field
from threadpoolctl import threadpool_limits

from auditor.language_models.decoder import target_of
from auditor.language_models.noise import noise_floor
from auditor.measures.minimums import draws_needed
from auditor.mechanisms.concepts import concept_payload, draw_clusters, family_of, place, suffix_tokens
from auditor.mechanisms.contract import Asked, Bench, Work
from auditor.mechanisms.steering_measures import measures
from auditor.mechanisms.steering_runs import Steerer
from auditor.plan import Section
from auditor.testing.card import Card
from auditor.testing.context import Context
from auditor.testing.drafts import Draft

CARD = Card(
    name="steering",
    purpose="Whether a direction that tells two groups apart would move decisions if it were stronger or elsewhere.",
    method=(
        "The difference of class means at the last token of a layer is added to the same or another layer of "
        "held-out applications, in several doses and both directions; beside it the same with labels shuffled within "
        "applications, as often as the level needs. It is repeated at other layers and doses, with the halves "
        "exchanged, and read as probabilities and decisions."
    ),
    worrying="Decisions move with the dose, both ways, more than with the direction of shuffled labels.",
    limitations=(
        "It shows what the representation could do, not what it does in an ordinary prompt. High doses leave the "
        "states a model ever has; the probability left on the answers says when. A plan has one template, so the "
        "template is not varied."
    ),
    references=("Turner et al. (2023), Steering language models with activation engineering, arXiv:2308.10248",),
    needs_internals=True,
    question="usable",
)


class Settings(Section):
    """Where and how strongly is steered.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    full_strength
        Attributes that get as many draws as the level needs; empty: all. Their contrasts are the family; of the others
        the test says that draws are too few to say.
    applications
        Applications an attribute; the groups as filed in turns. Half of them give the direction, half are steered.
    depths
        Layers as shares of the depth; every one is a source and a target. The middle one is declared.
    doses
        Multiples of the distance between the groups: the declared range. The least is declared, the others repeat it.
    draws_elsewhere
        Draws for attributes that are not tested at full strength.
    """

    attributes: tuple[str, ...] = ()
    full_strength: tuple[str, ...] = ()
    applications: Annotated[int, Field(ge=8)] = 48
    depths: Annotated[tuple[Annotated[float, Field(gt=0, lt=1)], ...], Field(min_length=1)] = (0.25, 0.5, 0.75)
    doses: Annotated[tuple[Annotated[float, Field(gt=0)], ...], Field(min_length=1)] = (1.0, 2.0, 4.0)
    draws_elsewhere: Annotated[int, Field(ge=1, le=50)] = 3


def work(asked: Asked) -> Iterable[Work]:
    """One chunk an attribute."""
    settings: Settings = asked.settings
    family = family_of(asked.plan, settings)
    alpha = asked.plan.thresholds.alpha
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        variants = len(attribute.groups)
        full = attribute.field in family.fields
        draws = draws_needed(alpha=alpha, family_size=family.size) if full else settings.draws_elsewhere
        # One token through half the depth, for both prompts of every other group, target, dose, source and draw.
        ways = len(settings.depths) + draws
        runs = (variants - 1) * len(settings.depths) * len(settings.doses) * ways
        runs += (variants - 1) * draws_needed(alpha=alpha, family_size=1) if full else 0
        tokens = 0
        for cluster in clusters:
            whole, suffix = suffix_tokens(asked, cluster, attribute.field)
            tokens += whole + 2 * variants * suffix + runs // 2
        payload = concept_payload(asked, attribute, clusters)
        payload |= {"full": full, "family": family.size, "tested": list(family.fields)}
        yield Work(prompts=len(clusters) * (2 * variants + runs // 2), tokens=tokens, payload=payload)


def compute(bench: Bench, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Steer one attribute.

    Returns
    -------
    dict
        ``curve``: for every group, source, target and dose the margins of the steered applications and the mean
        changes by every draw; ``exchanged``: the declared ones with the halves exchanged; or the ``reason`` why the
        model cannot be opened.
    """
    settings: Settings = bench.settings
    about = {key: payload[key] for key in ("field", "reference", "groups", "full", "family", "tested")}
    cases, groups = payload["cases"], payload["groups"]
    variants = [{**case["words"], payload["field"]: group} for case in cases for group in groups]
    target = target_of(bench.questions([bench.render(variants[0]).text])[0])
    if isinstance(target, str):
        return {**about, "cases": [], "reason": target}
    decoder = bench.decoder()
    needed = draws_needed(alpha=bench.plan.thresholds.alpha, family_size=max(1, payload["family"]))
    # As many threads here as the model is given: a sum's last digits depend on them.
    with torch.inference_mode(), threadpool_limits(bench.plan.budget.threads):
        placed = place(bench, variants, payload["field"])
        steerer = Steerer(
            decoder,
            [placed[first : first + len(groups)] for first in range(0, len(placed), len(groups))],
            target=target,
            depths=settings.depths,
            doses=settings.doses,
            seed=bench.plan.cases.seed,
            should_stop=bench.should_stop,
        )
        reference = groups.index(payload["reference"])
        draws = needed if payload["full"] else settings.draws_elsewhere
        pairs = [(number, reference) for number in range(len(groups)) if number != reference]
        curve = [point.row() for pair in pairs for point in steerer.curve(pair, draws=draws)]
        exchanged = steerer.exchanged()
        again: list[dict[str, Any]] = []
        if payload["full"]:
            each = draws_needed(alpha=bench.plan.thresholds.alpha, family_size=1)
            again = [point.row() for pair in pairs for point in exchanged.curve(pair, draws=each)]
    return {
        **about,
        "cases": [cases[number]["id"] for number in steerer.steered],
        "fitted": len(cases) - len(steerer.steered),
        "untouched": {"cases": [case["id"] for case in cases], "margins": steerer.clean.ravel().tolist()},
        "clean": steerer.clean[list(steerer.steered)].ravel().tolist(),
        "mass": steerer.mass,
        "middle": steerer.middle,
        "needed": needed,
        "possible": steerer.possible(),
        "exact": target.exact,
        "note": target.note,
        "noise": noise_floor(bench.loaded.model, target).row(),
        "curve": curve,
        # The other half steered by the direction of this one.
        "exchanged": {"clean": exchanged.clean[list(exchanged.steered)].ravel().tolist(), "curve": again},
    }


def run(context: Context) -> Iterable[Draft]:
    """The dose curve, and how far one dose in the middle of the model moves the margin."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)
