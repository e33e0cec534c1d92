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
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from auditor.language_models.noise import noise_floor
from auditor.language_models.not_applicable import NotApplicable
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.concepts import concept_payload, draw_clusters, family_of, place, suffix_tokens
from auditor.mechanisms.steering.card import CARD, Settings
from auditor.mechanisms.steering.measure import measures
from auditor.mechanisms.steering.runs import Steerer
from auditor.statistics.minimums import draws_needed
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
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
        yield ChunkSpec(prompts=len(clusters) * (2 * variants + runs // 2), tokens=tokens, payload=payload)


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
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
    target = bench.target(bench.render(variants[0]).text)
    if isinstance(target, NotApplicable):
        return {**about, "cases": [], "reason": target.reason}
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


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """The dose curve, and how far one dose in the middle of the model moves the margin."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)
