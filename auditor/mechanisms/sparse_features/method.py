"""Sparse features: which features of the states differ between groups, and do decisions move when they are taken away?

A sparse autoencoder writes every state at one layer as a sum of few features and an error. Features are chosen on one
half of the applications, by what they carry of the margin's difference; everything that is reported of them is measured
on the other half.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from auditor.exceptions import Interrupted, ScoringError
from auditor.language_models.decoder import Target, target_of
from auditor.language_models.noise import noise_floor
from auditor.language_models.noise_floor import NoiseFloor
from auditor.language_models.not_applicable import NotApplicable
from auditor.language_models.stream_view import StreamView
from auditor.mechanisms._shared.bench import ComputeContext
from auditor.mechanisms._shared.concepts import Placed, concept_payload, draw_clusters, place, suffix_tokens
from auditor.mechanisms.sae.choices import FEATURES, RANDOM, STEER, Chosen, Seen, choose, differences
from auditor.mechanisms.sae.dictionary import Dictionary, dictionary_for, dictionary_payload, dictionary_tokens
from auditor.mechanisms.sae.slope_checks import slope_check
from auditor.mechanisms.sae.splices import splice
from auditor.mechanisms.sae.windows import Window, open_window
from auditor.mechanisms.sparse_features.card import CARD, Settings
from auditor.mechanisms.sparse_features.draws import FIRST, gap_moved, moved_to_group, settled
from auditor.mechanisms.sparse_features.measure import measures
from auditor.plan import Plan
from auditor.statistics.minimums import draws_needed
from auditor.testing.chunks import ChunkSpec, PlanContext
from auditor.testing.context import Context
from auditor.testing.unadjusted import UnadjustedMeasurement


def draws_of(settings: Settings, plan: Plan) -> int:
    """Draws that are made: the settings', or as many as the level of the plan needs for all declared contrasts."""
    wanted = [item for item in plan.attributes if not settings.attributes or item.field in settings.attributes]
    contrasts = sum(len(item.groups) - 1 for item in wanted)
    return settings.random_draws or draws_needed(alpha=plan.thresholds.alpha, family_size=max(1, contrasts))


def plan_chunks(asked: PlanContext) -> Iterable[ChunkSpec]:
    """One chunk for the quality of the dictionary, then one an attribute."""
    settings: Settings = asked.settings
    wanted = dictionary_payload(asked)
    cost = dictionary_tokens(wanted, asked)
    whole = asked.count_tokens(asked.clusters[0].cases[0].prompt)
    yield ChunkSpec(
        prompts=len(wanted["applications"]),
        tokens=cost + 4 * settings.spliced * whole,
        payload={"part": "quality", "dictionary": wanted},
    )
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        runs = (len(attribute.groups) - 1) * (2 * (settings.features + 6) + 3 * draws_of(settings, asked.plan))
        tokens = 0
        for cluster in clusters:
            prefix, suffix = suffix_tokens(asked, cluster, attribute.field)
            tokens += prefix + (runs // 4 + len(attribute.groups)) * suffix
        about = concept_payload(asked, attribute, clusters)
        payload = {"part": "contrasts", "dictionary": wanted, **about}
        yield ChunkSpec(prompts=len(clusters) * (len(attribute.groups) + runs // 2), tokens=tokens, payload=payload)


def compute(bench: ComputeContext, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Measure the dictionary, or the features of one attribute.

    Returns
    -------
    dict
        ``part``; for ``quality`` figures of the dictionary and of the splice, for ``contrasts`` the margins of every
        measured application after every change; or the ``reason`` why there are none.
    """
    with threadpool_limits(bench.plan.budget.threads):
        dictionary = dictionary_for(bench, payload["dictionary"])
        if payload["part"] == "quality":
            return _quality(bench, payload, dictionary)
        if isinstance(dictionary, Dictionary) and dictionary.shortfall:
            dictionary = NotApplicable(dictionary.shortfall)
        return _contrasts(bench, payload, dictionary)


def measure(context: Context) -> Iterable[UnadjustedMeasurement]:
    """The dictionary's quality, features that differ, and what taking them out or putting them in does."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def _quality(
    bench: ComputeContext, payload: Mapping[str, Any], dictionary: Dictionary | NotApplicable
) -> dict[str, Any]:
    if isinstance(dictionary, NotApplicable):
        return {"part": "quality", "reason": dictionary.reason}
    quality = dictionary.quality
    about = {
        "part": "quality",
        "reason": None,
        "shortfall": dictionary.shortfall,
        "layer": dictionary.layer,
        "kind": dictionary.autoencoder.kind,
        "latents": dictionary.autoencoder.latents,
        "provenance": dict(dictionary.provenance),
        "fvu": quality.fvu,
        "fvu_again": dictionary.unexplained_again,
        "fvu_rounding": dictionary.rounding,
        "l0": quality.l0,
        "dead": quality.dead,
        "tokens": quality.tokens,
    }
    return about | splice(bench, payload["dictionary"], dictionary, applications=bench.settings.spliced)


def _contrasts(
    bench: ComputeContext, payload: Mapping[str, Any], dictionary: Dictionary | NotApplicable
) -> dict[str, Any]:
    about = {"part": "contrasts", **{key: payload[key] for key in ("field", "reference", "groups")}, "cases": []}
    if isinstance(dictionary, NotApplicable):
        return {**about, "reason": dictionary.reason}
    cases, groups = payload["cases"], payload["groups"]
    variants = [{**case["words"], payload["field"]: group} for case in cases for group in groups]
    target = target_of(bench.questions([bench.render(variants[0]).text])[0])
    if isinstance(target, NotApplicable):
        return {**about, "reason": target.reason}
    placed = place(bench, variants, payload["field"])
    step = len(groups)
    sets = [placed[first : first + step] for first in range(0, len(placed), step)]
    depth = max(each.last - each.first + 1 for each in placed)
    noise = noise_floor(bench.loaded.model, target)
    shared = _Shared(bench, dictionary, bench.decoder(), target, depth)
    reference = groups.index(payload["reference"])
    with torch.no_grad():
        try:
            seen, slopes = shared.look(sets[::2], reference, noise)
        except ScoringError as error:
            return {**about, "reason": str(error)}
        chosen = [
            choose(
                seen,
                dictionary,
                pair=(number, reference),
                count=bench.settings.features,
                draws=draws_of(bench.settings, bench.plan),
                seed=bench.plan.cases.seed,
            )
            for number in range(step)
            if number != reference
        ]
        measured = shared.measure(sets[1::2], chosen)
    return {
        **about,
        "reason": None,
        "cases": [case["id"] for case in cases[1::2]],
        "layer": dictionary.layer,
        "chosen_on": len(sets[::2]),
        "exact": target.exact,
        "noise": noise.row(),
        "slopes": slopes,
        "note": target.note,
        **measured,
    }


class _Shared:
    """What both halves of a chunk work with."""

    def __init__(
        self, bench: ComputeContext, dictionary: Dictionary, view: StreamView, target: Target, depth: int
    ) -> None:
        self.bench, self.dictionary, self.view, self.target = bench, dictionary, view, target
        self.depth = depth

    def look(
        self, sets: Sequence[Sequence[Placed]], reference: int, noise: NoiseFloor
    ) -> tuple[Seen, dict[str, dict[str, Any]]]:
        """States, activations and slopes of the applications that choose; by group, a check of one slope.

        The first application whose margin is neither flat nor crooked between the two prompts is checked.
        """
        seen = Seen(reference)
        checked: dict[str, dict[str, Any]] = {}
        for placed in sets:
            window = self._open(placed)
            activations = self._activations(window)
            seen.add(window, activations, window.slopes(reference, self.target), self.dictionary.autoencoder.decoder)
            for group in range(len(placed)):
                if group == reference or str(group) in checked:
                    continue
                found = slope_check(window, group=group, reference=reference, target=self.target, noise=noise)
                if found is not None:
                    checked[str(group)] = found
        return seen, checked

    def measure(self, sets: Sequence[Sequence[Placed]], chosen: Sequence[Chosen]) -> dict[str, Any]:
        """Every change of every contrast on the applications that measure, then draws where they left a question."""
        taken = [_Taken() for _ in chosen]
        clean: list[list[float]] = []
        masses: list[list[float]] = []
        totals: list[Tensor] = []
        for placed in sets:
            window = self._open(placed)
            activations = self._activations(window)
            totals.append(activations.sum(1))
            plain, mass = window.margins([(group, None) for group in range(len(placed))], self.target)
            clean.append(plain.tolist())
            masses.append(mass.tolist())
            for each, found in zip(chosen, taken, strict=True):
                first = each.controls(activations, self.dictionary, range(min(FIRST, len(each.random))))
                changes = [*each.changes(window.states, activations, self.dictionary), *first]
                found.take(window, changes, self.target)
        margins = np.array(clean)
        left = [
            number
            for number, (each, found) in enumerate(zip(chosen, taken, strict=True))
            if len(each.random) > FIRST and found.undecided(margins[:, [each.pair[1], each.pair[0]]])
        ]
        for placed in sets if left else ():
            window = self._open(placed)
            activations = self._activations(window)
            for number in left:
                each = chosen[number]
                more = each.controls(activations, self.dictionary, range(FIRST, len(each.random)))
                taken[number].take(window, list(more), self.target)
        activity = torch.stack(totals).cpu().double().numpy()
        return {
            "clean": clean,
            "mass": float(np.mean(masses)),
            "contrasts": [
                {
                    "group": each.pair[0],
                    "features": each.features,
                    "different": len({frozenset(drawn) for drawn in each.random}),
                    **found.row(),
                    **differences(activity, each, q=self.bench.plan.thresholds.exploratory_q),
                }
                for each, found in zip(chosen, taken, strict=True)
            ],
        }

    def _open(self, placed: Sequence[Placed]) -> Window:
        if self.bench.should_stop():
            raise Interrupted("stopped between two applications; nothing of this chunk is kept")
        return open_window(
            self.view,
            placed,
            layer=self.dictionary.layer,
            depth=self.depth,
            should_stop=self.bench.should_stop,
        )

    def _activations(self, window: Window) -> Tensor:
        return self.dictionary.activations(window.states) * window.there[..., None]


class _Taken:
    """Margins, answers' probabilities and movements of one contrast, by the name of the change."""

    def __init__(self) -> None:
        self.margins: dict[str, list[list[float]]] = {}
        self.masses: dict[str, list[float]] = {}
        self.movements: dict[str, list[float]] = {}

    def take(self, window: Window, changes: Sequence[tuple[str, int, Tensor]], target: Target) -> None:
        """Make the changes of one application."""
        found, left = window.margins([(group, change) for _, group, change in changes], target)
        rows: dict[str, list[float]] = {}
        for (name, _, change), margin, mass in zip(changes, found.tolist(), left.tolist(), strict=True):
            rows.setdefault(name, []).append(margin)
            self.masses.setdefault(name, []).append(mass)
            self.movements.setdefault(name, []).append(float(change.norm()))
        for name, row in rows.items():
            self.margins.setdefault(name, []).append(row)

    def undecided(self, before: Any) -> bool:
        """Whether more draws could still show an effect, of taking out or of putting in."""
        if FEATURES not in self.margins:
            return False
        effects = ((gap_moved, "", FEATURES), (moved_to_group, STEER, STEER + FEATURES))
        return any(
            not settled(
                moved(before, np.array(self.margins[name])),
                [
                    moved(before, np.array(rows))
                    for each, rows in self.margins.items()
                    if each.startswith(f"{prefix}{RANDOM} ")
                ],
            )
            for moved, prefix, name in effects
        )

    def row(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "margins": self.margins,
            "masses": {name: float(np.mean(values)) for name, values in self.masses.items()},
            "movements": {name: float(np.mean(values)) for name, values in self.movements.items()},
        }
