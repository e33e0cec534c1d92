"""Erasure: is the attribute used? Take it out of the states at every layer and see whether decisions move.

Concept scrubbing: at every layer and position from the attribute's field on, LEACE is fitted on states from which
the concept was already erased at the layers before, so that no later layer can rebuild it. Erasers are fitted on half
of the applications and applied to the other half, both ways round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from threadpoolctl import threadpool_limits

from auditor.behaviour.context import Card, Context, Draft, FloatArray
from auditor.language_models.decoder import Decoder, Target, read_decoder, target_of
from auditor.mechanisms.concepts import concept_payload, draw_clusters, place, suffix_tokens
from auditor.mechanisms.contract import Asked, Bench, Work
from auditor.mechanisms.erasure_measures import measures
from auditor.mechanisms.leace import Eraser, fit_eraser
from auditor.mechanisms.streams import Streams
from auditor.plan import Section

CARD = Card(
    name="erasure",
    purpose="Whether decisions use a protected attribute: what happens to them when it is erased from the states.",
    method=(
        "LEACE (Belrose et al.) at every layer and every position from the attribute's field to the last token, "
        "refitted in sequence, fitted on half the applications and applied to the other half. Beside it erasers "
        "of the same rank in random directions, and erasure of the number that goes with the margin most."
    ),
    worrying=(
        "The difference between groups shrinks, or decisions of one group flip, when the attribute is erased, and not "
        "when a random direction is."
    ),
    limitations=(
        "Erasure is linear: what is held in other ways stays. Nothing moving can mean unused, or used in a way that no "
        "linear map removes. It speaks of these prompts, in which the attribute is stated."
    ),
    references=(
        "Belrose et al. (2023), LEACE: Perfect linear concept erasure in closed form, NeurIPS",
        "Elazar et al. (2021), Amnesic probing, doi:10.1162/tacl_a_00359",
    ),
    needs_internals=True,
)

ATTRIBUTE, RELEVANT, RANDOM = "attribute", "relevant", "random"
Make = Callable[[Eraser, int, int], Eraser]


class Settings(Section):
    """What is erased, and at what cost.

    Attributes
    ----------
    attributes
        Attributes of the plan by field; empty: all of them.
    applications
        Applications an attribute; the groups as filed in turns.
    random_erasers
        Random erasures the attribute's is compared with.
    relevant
        Whether the number that goes with the margin most is erased too, from its own field on; it costs whole prompts.
    """

    attributes: tuple[str, ...] = ()
    applications: Annotated[int, Field(ge=8)] = 48
    random_erasers: Annotated[int, Field(ge=1, le=50)] = 5
    relevant: bool = True


def work(asked: Asked) -> Iterable[Work]:
    """One chunk an attribute."""
    settings: Settings = asked.settings
    for attribute in asked.plan.attributes:
        if settings.attributes and attribute.field not in settings.attributes:
            continue
        clusters = draw_clusters(asked, attribute, applications=settings.applications, test=CARD.name)
        variants = len(attribute.groups)
        runs = 1 + 2 * (1 + settings.random_erasers)
        tokens = 0
        for cluster in clusters:
            whole, suffix = suffix_tokens(asked, cluster, attribute.field)
            tokens += whole + runs * variants * suffix + (2 * whole if settings.relevant else 0)
        prompts = len(clusters) * (variants * runs + (2 if settings.relevant else 0))
        yield Work(prompts=prompts, tokens=tokens, payload=concept_payload(asked, attribute, clusters))


def compute(bench: Bench, payload: Mapping[str, Any]) -> dict[str, Any]:
    """Erase one attribute.

    Returns
    -------
    dict
        ``margins`` by kind of erasure, each in the order of ``cases`` × ``groups``; how well the erasers fitted; or the
        ``reason`` why the model cannot be opened.
    """
    about = {key: payload[key] for key in ("field", "reference", "groups")}
    cases = payload["cases"]
    variants = [{**case["words"], payload["field"]: group} for case in cases for group in payload["groups"]]
    target = target_of(bench.questions([bench.render(variants[0]).text])[0])
    decoder = read_decoder(bench.loaded.model)
    if not isinstance(decoder, Decoder):
        return {**about, "cases": [], "reason": decoder.reason}
    if isinstance(target, str):
        return {**about, "cases": [], "reason": target}
    step = len(payload["groups"])
    # As many threads here as the model is given: a sum's last digits depend on them.
    with torch.inference_mode(), threadpool_limits(bench.plan.budget.threads):
        placed = place(bench, variants, payload["field"])
        streams = Streams(
            decoder,
            [placed[first : first + step] for first in range(0, len(placed), step)],
            should_stop=bench.should_stop,
        )
        clean, mass = untouched(streams, target)
        half = np.repeat(np.arange(len(cases)) % 2, step)
        concept = np.tile(np.eye(step)[:, 1:], (len(cases), 1))
        erased, leftover, erased_mass = scrub(streams, target, concept=concept, half=half)
        margins = {ATTRIBUTE: erased.tolist()}
        masses = {ATTRIBUTE: float(erased_mass.mean())}
        for draw in range(bench.settings.random_erasers):
            other, _, other_mass = scrub(streams, target, concept=concept, half=half, draw=draw)
            margins[f"{RANDOM} {draw + 1}"] = other.tolist()
            masses[f"{RANDOM} {draw + 1}"] = float(other_mass.mean())
        relevant = _relevant(
            bench, payload, decoder, target, clean[payload["groups"].index(payload["reference"]) :: step]
        )
    return {
        **about,
        "cases": [case["id"] for case in cases],
        "clean": clean.tolist(),
        "mass": float(mass.mean()),
        "margins": margins,
        "masses": masses,
        "leftover": leftover,
        "relevant": relevant,
        "exact": target.exact,
    }


def run(context: Context) -> Iterable[Draft]:
    """How far the group difference and the decisions move, against random erasers of the same rank."""
    return measures(context, context.results.get(CARD.name, ()), test=CARD.name)


def untouched(streams: Streams, target: Target) -> tuple[FloatArray, FloatArray]:
    """Margins and label mass without an erasure."""
    streams.begin()
    for layer in range(streams.decoder.layers):
        streams.advance(layer)
    return streams.margins(target)


def scrub(
    streams: Streams, target: Target, *, concept: FloatArray, half: np.ndarray[Any, Any], draw: int | None = None
) -> tuple[FloatArray, float, FloatArray]:
    """Erase a concept layer by layer; every row by erasers fitted on the other half.

    Parameters
    ----------
    concept
        Shape (rows, k).
    half
        0 or 1 for every row; rows of one application share it.
    draw
        Erase random directions of the same rank instead; its number.

    Returns
    -------
    tuple
        Margins of all rows; the largest covariance with the concept left where an eraser was fitted, as a share
        of what was there; label mass of all rows.
    """
    margins, masses = np.zeros(streams.rows), np.zeros(streams.rows)
    leftover = 0.0
    for side in (0, 1):
        streams.begin()
        for layer in range(streams.decoder.layers + 1):
            for back in range(streams.depth):
                leftover = max(leftover, _erase(streams, back, concept, half != side, (draw, layer, back)))
            if layer < streams.decoder.layers:
                streams.advance(layer)
        found, mass = streams.margins(target)
        margins[half == side], masses[half == side] = found[half == side], mass[half == side]
    return margins, leftover, masses


def _erase(
    streams: Streams,
    back: int,
    concept: FloatArray,
    fitted: np.ndarray[Any, Any],
    place: tuple[int | None, int, int],
) -> float:
    rows, states = streams.gather(back)
    mine, marks = fitted[rows], concept[rows]
    if mine.sum() < 4 or not (np.ptp(marks[mine], axis=0) > 0).any():
        return 0.0
    eraser = fit_eraser(states=states[mine], concept=marks[mine])
    if not eraser.rank:
        return 0.0
    draw, *site = place
    if draw is not None:
        streams.scatter(back, eraser.random_like(seed=(draw, *site))(states))
        return 0.0
    erased = eraser(states)
    streams.scatter(back, erased)
    centred = marks[mine] - marks[mine].mean(axis=0)
    before, after = (float(np.linalg.norm(centred.T @ (x - x.mean(axis=0)))) for x in (states[mine], erased[mine]))
    return after / before if before else 0.0


def _relevant(
    bench: Bench, payload: Mapping[str, Any], decoder: Decoder, target: Target, clean: FloatArray
) -> dict[str, Any] | None:
    """Erase the number that goes with the margin most: what the erasure of something that is used looks like."""
    cases = payload["cases"]
    field = _strongest(cases, clean) if bench.settings.relevant else None
    if field is None:
        return None
    values = np.array([case["numbers"][field] for case in cases])
    words = [{**case["words"], payload["field"]: payload["reference"]} for case in cases]
    streams = Streams(decoder, [[each] for each in place(bench, words, field)], should_stop=bench.should_stop)
    ranks = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(np.float64)
    erased, leftover, mass = scrub(streams, target, concept=ranks[:, None], half=np.arange(len(cases)) % 2)
    return {
        "field": field,
        "clean": clean.tolist(),
        "margins": erased.tolist(),
        "leftover": leftover,
        "mass": float(mass.mean()),
    }


def _strongest(cases: Sequence[Mapping[str, Any]], margins: FloatArray) -> str | None:
    found: dict[str, float] = {}
    for name in cases[0]["numbers"]:
        values = [case["numbers"].get(name) for case in cases]
        if None in values or len(set(values)) < 2 or np.ptp(margins) == 0:
            continue
        found[name] = abs(float(np.corrcoef(np.array(values, dtype=np.float64), margins)[0, 1]))
    return max(found, key=lambda name: found[name]) if found else None
